"""The mirror: what PEX says, read as a stream and saved in chunks, only where it changed.

A row is overwritten only by a newer read. PEX allows few list reads an hour, so pages, previews and reasons read this.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any

from connectors.pex import mapping
from connectors.pex.client import PexClient
from connectors.records import Allocation, Kind, Note, Source, TagValue, Transaction
from pexsync import clock
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import scope
from syncjobs import bulk, coding
from syncjobs.models import PexTransaction
from syncjobs.window import Window

CHUNK = 500

KEY = ("business_id", "source", "pex_id")
COLUMNS = (
    "kind", "category", "amount", "happened_at", "settled_at", "settled_on", "pending", "declined", "account_id",
    "cardholder", "merchant", "merchant_clean", "description", "approval", "facts", "digest", "read_at",
)  # fmt: skip


UNLESS_KNOWN = "on conflict (business_id, source, pex_id) do update set " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS
)


@dataclass(frozen=True, slots=True)
class Read:
    """What one refresh did."""

    rows: int
    changed: int


def refresh(
    business: Business, client: PexClient, days: Window, names: Mapping[int, str], bill_pay: bool, step: Any
) -> Read:
    """Read the card list and the business list of these days into the mirror.

    `names` are the cardholders by card account. Where `bill_pay` is in use the card list is read twice, with and
    without the charges that paid bills, because a row itself does not tell. `step(rows)` is called after each chunk.
    Raises `RetryLater`, `NotAuthorized`.
    """
    at = clock.now()
    plain = _ids(client.card_transactions(days.first, days.last, bill_pay=False)) if bill_pay else None
    total = changed = 0
    holds: set[int] = set()
    for rows in _chunks(_records(business, client, days, names, plain)):
        changed += save(business.pk, rows, at)
        holds.update(row.pex_id for row in rows if row.pending)
        total += len(rows)
        step(total)
    _drop_holds(business.pk, days.first, holds)
    return Read(total, changed)


def _drop_holds(business_id: int, since: date, seen: set[int]) -> None:
    """Holds PEX shows no more: settled under another id, or dropped off. Such rows were for display only."""
    with scope(business_id):
        known = PexTransaction.objects.filter(business_id=business_id, pending=True, happened_at__date__gte=since)
        gone = [pk for pk, pex_id in known.values_list("pk", "pex_id") if pex_id not in seen]
        PexTransaction.objects.filter(pk__in=gone).delete()


def _ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    return {int(row["TransactionId"]) for row in rows}


def _records(
    business: Business, client: PexClient, days: Window, names: Mapping[int, str], plain: set[int] | None
) -> Iterator[Transaction]:
    # Without the feature one read is enough: PEX leaves such charges out of it by itself.
    for row in client.card_transactions(days.first, days.last, bill_pay=plain is not None, pendings=True):
        paid_a_bill = plain is not None and not row.get("IsPending") and row["TransactionId"] not in plain
        yield mapping.card_row(row, names, bill_pay=paid_a_bill)
    for row in client.business_transactions(days.first, days.last):
        yield mapping.business_row(row, charge=business.charge)


def _chunks(records: Iterable[Transaction]) -> Iterator[list[Transaction]]:
    stream = iter(records)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def save(business_id: int, records: Iterable[Transaction], at: datetime) -> int:
    """Write the rows that are new or different, unless a newer read was here; return how many."""
    fresh = {(record.source.value, record.pex_id): record for record in records}
    digests = {name: digest(record) for name, record in fresh.items()}
    with scope(business_id):
        known = {
            (source, pex_id): (was, read_at)
            for source, pex_id, was, read_at in PexTransaction.objects.filter(
                business_id=business_id, pex_id__in=[pex_id for _, pex_id in fresh]
            ).values_list("source", "pex_id", "digest", "read_at")
        }
        changed = [
            _row(business_id, record, digests[name], at)
            for name, record in fresh.items()
            if name not in known or (known[name][0] != digests[name] and known[name][1] < at)
        ]
        bulk.insert_all(PexTransaction, KEY + COLUMNS, changed, UNLESS_KNOWN)
    return len(changed)


def digest(record: Transaction) -> str:
    return blake2b(repr(record).encode(), digest_size=16).hexdigest()


def _row(business_id: int, record: Transaction, stamp: str, at: datetime) -> tuple[Any, ...]:
    """The values of one row, in the order of `KEY + COLUMNS`."""
    return (
        business_id,
        record.source,
        record.pex_id,
        record.kind or "",
        record.category[:60],
        record.amount,
        record.happened_at,
        record.settled_at,
        _day(record),
        record.pending,
        record.declined,
        record.account_id,
        record.cardholder[:200],
        record.merchant[:200],
        record.merchant_clean[:200],
        record.description[:500],
        record.approval[:30],
        _facts(record),
        stamp,
        at,
    )


def _day(record: Transaction) -> date | None:
    """The US/Eastern day a settled row counts for: of settlement, or of the transaction where PEX gives none."""
    if record.pending or record.declined:
        return None
    return coding.settled_on(record)


def _facts(record: Transaction) -> dict[str, Any]:
    """What has no column of its own; absent where it is empty."""
    facts: dict[str, Any] = {}
    if record.allocations:
        facts["shares"] = [
            [str(share.amount), [[tag.tag_id, tag.value, tag.name] for tag in share.tags]]
            for share in record.allocations
        ]
    if record.notes:
        facts["notes"] = [[note.id, note.text, note.system_generated] for note in record.notes]
    if record.foreign_amount is not None:
        facts["foreign"] = [str(record.foreign_amount), record.foreign_currency]
    for name in ("mcc", "dispute", "bill_pay", "authorization_id", "network_id", "problem"):
        if value := getattr(record, name):
            facts[name] = value
    return facts


def record_of(row: PexTransaction) -> Transaction:
    """The record a mirror row was made from."""
    facts = row.facts
    foreign = facts.get("foreign")
    return Transaction(
        pex_id=row.pex_id,
        source=Source(row.source),
        kind=Kind(row.kind) if row.kind else None,
        amount=row.amount,
        happened_at=row.happened_at,
        settled_at=row.settled_at,
        pending=row.pending,
        declined=row.declined,
        category=row.category,
        account_id=row.account_id,
        cardholder=row.cardholder,
        description=row.description,
        merchant=row.merchant,
        merchant_clean=row.merchant_clean,
        mcc=facts.get("mcc", ""),
        approval=row.approval,
        dispute=facts.get("dispute", False),
        bill_pay=facts.get("bill_pay", False),
        authorization_id=facts.get("authorization_id"),
        network_id=facts.get("network_id"),
        foreign_amount=Decimal(foreign[0]) if foreign else None,
        foreign_currency=foreign[1] if foreign else "",
        allocations=tuple(
            Allocation(Decimal(amount), tuple(TagValue(*tag) for tag in tags))
            for amount, tags in facts.get("shares", ())
        ),
        notes=tuple(Note(*note) for note in facts.get("notes", ())),
        problem=facts.get("problem", ""),
    )
