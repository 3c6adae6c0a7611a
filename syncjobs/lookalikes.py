"""What looks booked already: records on the PEX account that this product did not make, paired with PEX's rows. Pure.

One record explains one transaction. A pair has the same direction and the same cents, and the record's day lies between
the day before the purchase and the day after it settled; for fundings and bill payments, which banks book when they
like, up to seven days either way.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from connectors.records import BookRecord, Kind, Source, Transaction
from syncjobs import coding, keys

BEFORE_PURCHASE = AFTER_SETTLING = timedelta(days=1)
BANK_DAYS = timedelta(days=7)
BY_BANK = frozenset({Kind.TRANSFER, Kind.BILL_PAYMENT})  # somebody else books these too, so every run compares

Name = tuple[Source, int]


class Decision(StrEnum):
    """What a person said of a month that looks booked."""

    POST = "post"
    LEAVE_OUT = "out"


@dataclass(frozen=True, slots=True)
class Span:
    """The days a record of one row may carry, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Pair:
    """What one row looks booked as, and how many rows of its day and amount do."""

    record_id: str
    link: str
    day: date
    alike: int = 1


def span(row: Transaction) -> Span:
    happened = row.happened_at.astimezone(coding.EASTERN).date()
    settled = coding.settled_on(row)
    first, last = min(happened, settled), max(happened, settled)
    if row.kind in BY_BANK:
        return Span(first - BANK_DAYS, last + BANK_DAYS)
    return Span(first - BEFORE_PURCHASE, last + AFTER_SETTLING)


def window(rows: Iterable[Transaction]) -> Span | None:
    """The days in which the books must be listed; None where there is nothing to pair."""
    spans = [span(row) for row in rows]
    if not spans:
        return None
    return Span(min(one.first for one in spans), max(one.last for one in spans))


def pairs(rows: Sequence[Transaction], records: Iterable[BookRecord]) -> dict[Name, Pair]:
    """Pair as many rows as the records can explain: each record goes to the row whose days end first."""
    waiting: dict[Decimal, list[Transaction]] = defaultdict(list)
    for row in rows:
        waiting[row.amount].append(row)
    found: dict[Name, BookRecord] = {}
    for amount, strangers in _strangers(records).items():
        found |= _paired(waiting.get(amount, ()), strangers)
    by_name = {(row.source, row.pex_id): row for row in rows}
    alike = Counter(_group(by_name[name]) for name in found)
    return {
        name: Pair(record.id, record.link, record.date, alike[_group(by_name[name])]) for name, record in found.items()
    }


def looks_booked(paired: int, count: int) -> bool:
    """Whether a month is asked about as a whole: half of it or more is in the books."""
    return paired > 0 and 2 * paired >= count


def _strangers(records: Iterable[BookRecord]) -> Mapping[Decimal, list[BookRecord]]:
    """Live records without a key of ours, by amount, oldest first."""
    found: dict[Decimal, list[BookRecord]] = defaultdict(list)
    for record in records:
        if record.live and not any(keys.find_key(text) for text in (record.reference, *record.texts)):
            found[record.amount].append(record)
    for several in found.values():
        several.sort(key=lambda record: (record.date, record.id))
    return found


def _paired(rows: Sequence[Transaction], records: Sequence[BookRecord]) -> dict[Name, BookRecord]:
    """Days in order, each record to the open row that closes first: no other way explains more of them."""
    found: dict[Name, BookRecord] = {}
    by_end = sorted(rows, key=lambda row: (span(row).last, row.pex_id))
    for record in records:
        for row in by_end:
            days = span(row)
            if days.first <= record.date <= days.last:
                found[row.source, row.pex_id] = record
                by_end.remove(row)
                break
    return found


def _group(row: Transaction) -> tuple[date, Decimal]:
    return coding.settled_on(row), row.amount
