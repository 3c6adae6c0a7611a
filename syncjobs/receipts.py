"""Receipts people add in PEX after their purchase was posted: on which days PEX is asked for them again. Pure.

PEX tells neither by a message nor in its lists that a transaction has a new receipt; the only way to know is one call
for each transaction. So a posted purchase is asked about five times, ever more rarely, and then no more.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from connectors.records import Kind

DAYS = (1, 3, 7, 14, 30)  # after posting
STUMBLED = timedelta(hours=6)  # until a purchase PEX could not be asked about is asked about again
LAST = timedelta(days=DAYS[-1] + 2)  # after posting; later nobody asks any more, also where a check never succeeded


def come_later(kind: str, amount: Decimal) -> bool:
    """Whether receipts may follow at all: refunds, fees and what moves between accounts get none."""
    return kind == Kind.PURCHASE and amount > 0


def next_check(posted_at: datetime | None, asked_at: datetime) -> datetime | None:
    """The first of the days that is still to come; None after the last. Days that were missed are not made up for."""
    if posted_at is None:
        return None
    days = (posted_at + timedelta(days=day) for day in DAYS)
    return next((at for at in days if at > asked_at), None)


def put_off(posted_at: datetime | None, asked_at: datetime) -> datetime | None:
    """When to ask again where PEX gave no list."""
    later = asked_at + STUMBLED
    return later if posted_at is not None and later < posted_at + LAST else None
