"""Entries of Acme as coding makes them, and what its books hold afterwards."""

import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.connector import Deadline
from connectors.dynamics365.connector import Dynamics365
from connectors.records import Entry, Fate, Found, Kind, Line, Outcome, Party, Sent
from tests.connectors.dynamics365.conftest import Acme

DAY = date(2026, 3, 14)
BATCH = r"/\$batch$"


def entry(acme: Acme, number: int = 1, amount: str = "41.87", **changes: Any) -> Entry:
    key = changes.pop("key", f"PEXT{8000000 + number}")
    facts: dict[str, Any] = {
        "key": key,
        "kind": Kind.PURCHASE,
        "amount": Decimal(amount),
        "date": DAY,
        "account": acme.card.id,
        "party": Party(name="Shell"),
        "lines": (Line(Decimal(amount), acme.fuel.id, "Fuel, card 1234"),),
        "url": f"https://dashboard.pexcard.com/cards/77/detail?transaction=4410-{key}",
    }
    return Entry(**(facts | changes))


def entries(acme: Acme, count: int = 3) -> list[Entry]:
    return [entry(acme, number, f"{number}.50") for number in range(1, count + 1)]


def coded(acme: Acme, number: int, *values: tuple[Any, str], account: Any = None, **changes: Any) -> Entry:
    """An entry whose line carries these (dimension, code of a value) pairs."""
    dimensions = tuple((f"dimension:{dimension.id}", dimension.values[code].id) for dimension, code in values)
    line = Line(Decimal("41.87"), (account or acme.fuel).id, "Fuel", dimensions)
    return entry(acme, number, lines=(line,), **changes)


def sent(made: Entry, **changes: Any) -> Sent:
    facts: dict[str, Any] = {
        "key": made.key,
        "amount": made.amount,
        "date": made.date,
        "account": made.account,
        "url": made.url,
        "kind": made.kind,
        "in_doubt": True,
    }
    return Sent(**(facts | changes))


def post(books: Dynamics365, *made: Entry, seconds: float = 30) -> dict[str, Outcome]:
    return dict(books.post(made, Deadline.after(seconds)))


def look(books: Dynamics365, made: Entry, **changes: Any) -> Found:
    return books.find([sent(made, **changes)])[made.key]


def fate(books: Dynamics365, made: Entry, **changes: Any) -> Fate:
    return look(books, made, **changes).fate


def kinds(outcomes: dict[str, Outcome]) -> dict[str, type]:
    return {key: type(outcome) for key, outcome in outcomes.items()}


def numbers(acme: Acme) -> list[tuple[str, Decimal]]:
    """Each document in journal and ledger: its number, and what it credits the PEX account by."""
    return [(one.number, -one.on(acme.card.number)) for one in acme.company.documents()]


def wait_for(happened: Callable[[], Any]) -> None:
    """Poll for what the other company does by itself."""
    for _ in range(400):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")
