"""The mirror: what PEX says, read as a stream and saved in chunks, only where it changed.

A row is overwritten only by a newer read. PEX allows few list reads an hour, so pages, previews and reasons read this,
and the connections of one business share a read. Which days were read, and when, stands in `MirrorRead`: whoever drops
the mirror drops that too.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any

from django.db.models import Max, Min, Q, QuerySet

from connectors.errors import NotNow
from connectors.pex import mapping
from connectors.pex.client import PexClient
from connectors.records import Allocation, Kind, Note, Source, TagValue, Transaction
from pexsync import clock
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import reading, scope
from syncjobs import bulk, coding, keys, statements, window
from syncjobs.models import MirrorRead, PexTransaction
from syncjobs.window import Window

logger = logging.getLogger(__name__)

CHUNK = 500
MINUTE = timedelta(seconds=90)  # PEX gives the business list once a minute: within that time nobody needs a newer one
KEPT = timedelta(days=400)  # how long it is remembered which days were read
MANY, SHARE = 20, 20  # more than so many, and more than one in so many, at once is trouble of PEX and no news
FEW = 3  # of so few rows any number may vanish

KEY = ("business_id", "source", "pex_id")
COLUMNS = (
    "kind", "category", "amount", "happened_at", "settled_at", "settled_on", "pending", "declined", "account_id",
    "cardholder", "merchant", "merchant_clean", "description", "approval", "facts", "noted", "digest", "read_at",
)  # fmt: skip
ONCE = ("first_read_at",)  # what a later read leaves as it is

UNLESS_NEWER = (
    "on conflict (business_id, source, pex_id) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
    + " where syncjobs_pextransaction.read_at < excluded.read_at"
)
NO_LONGER_SHOWN = ""  # the digest of a row that PEX's last list of its days lacked: nothing read ever equals it
PERHAPS, SURELY = "perhaps", "surely"  # such a row is missing: perhaps while much more is missing than can be true


@dataclass(slots=True)
class Read:
    """What one refresh did, and what it saw."""

    days: Window
    began_at: datetime
    rows: int = 0
    rewritten: list[int] = field(default_factory=list, repr=False)  # ids of rows known before, and different now
    changed: int = 0
    seen: set[int] = field(default_factory=set, repr=False)
    business_list: bool = True  # False: PEX was not asked for it again, an older read of it stands
    missing: list[int] = field(default_factory=list, repr=False)  # ids that PEX should have shown and did not
    doubtful: bool = False  # so many of them at once that it is PEX's trouble rather than news
    statements: dict[int, set[int]] = field(default_factory=dict, repr=False)  # those read: ids of their payments


def vanished_too_many(lost: int, known: int) -> bool:
    """Whether so many of the known rows are gone at once that nobody should believe it. Pure."""
    return (lost > MANY and lost * SHARE > known) or (known > FEW and lost * 2 > known)


# --- which days were read -------------------------------------------------------------------------------------------


def last_read(business_id: int, days: Window, since: datetime) -> MirrorRead | None:
    """The newest read that came to its end, covers these days and began at that time or later."""
    with reading(business_id):
        return (
            _reads(business_id)
            .filter(ended_at__isnull=False, began_at__gte=since, first__lte=days.first, last__gte=days.last)
            .order_by("-began_at")
            .first()
        )


def read_of(business_id: int, began_at: datetime) -> MirrorRead | None:
    """The read that began then, if it came to its end."""
    with reading(business_id):
        return _reads(business_id).filter(began_at=began_at, ended_at__isnull=False).first()


def year_is_due(business_id: int, now: datetime) -> bool:
    ended, whole = Q(ended_at__isnull=False), Q(first__lte=window.one_year_before(clock.today()))
    with reading(business_id):
        known = _reads(business_id).aggregate(
            begun=Min("began_at", filter=ended),
            done=Max("began_at", filter=ended & whole),
            tried=Max("began_at", filter=whole),
        )
    return window.year_is_due(now, **known)


def _reads(business_id: int) -> QuerySet[MirrorRead]:
    return MirrorRead.objects.filter(business_id=business_id)


def _begin(business_id: int, days: Window, at: datetime) -> MirrorRead:
    with scope(business_id):
        _reads(business_id).filter(began_at__lt=at - KEPT).delete()
        return MirrorRead.objects.create(business_id=business_id, first=days.first, last=days.last, began_at=at)


# --- one read ---------------------------------------------------------------------------------------------------------


def refresh(
    business: Business, client: PexClient, days: Window, names: Mapping[int, str], bill_pay: bool, step: Any
) -> Read:
    """Read the business list and the card list of these days into the mirror.

    `names` are the cardholders by card account. Where `bill_pay` is in use the card list is read twice, with and
    without the charges that paid bills, because a row itself does not tell. `step(rows)` is called after each chunk.
    Raises `RetryLater`, `NotAuthorized`; what was read so far is kept, and the read counts as not made.
    """
    read = Read(days, clock.now())
    row = _begin(business.pk, days, read.began_at)
    holds: set[int] = set()
    for records in _chunks(_records(business, client, read, names, bill_pay)):
        new, rewritten = save(business.pk, records, read.began_at)
        read.changed += new + len(rewritten)
        read.rewritten += [pex_id for source, pex_id in rewritten if source == Source.TRANSACTION]
        holds.update(record.pex_id for record in records if record.pending)
        read.seen.update(record.pex_id for record in records if record.source is Source.TRANSACTION)
        read.rows += len(records)
        step(read.rows)
    _drop_holds(business.pk, days.first, holds)
    _end(business.pk, read, row, bill_pay)
    return read


def _end(business_id: int, read: Read, row: MirrorRead, bill_pay: bool) -> None:
    """The read is whole: mark what PEX should have shown and did not, and let the read count."""
    with scope(business_id):
        seen, unseen = _compared(business_id, read, bill_pay)
        news = [gone for gone in unseen if gone.facts.get("missing") != SURELY]
        read.missing = [gone.pex_id for gone in unseen]
        read.doubtful = vanished_too_many(len(news), seen + len(news))
        _mark(news, PERHAPS if read.doubtful else SURELY)
        _mark(_payments_gone(business_id, read), SURELY)
        MirrorRead.objects.filter(pk=row.pk).update(ended_at=clock.now(), rows=read.rows)


def _compared(business_id: int, read: Read, bill_pay: bool) -> tuple[int, list[PexTransaction]]:
    """Of the settled rows this read should have shown: how many it did, and those it did not."""
    begins = datetime.combine(read.days.first + timedelta(days=1), time.min, clock.EASTERN)
    rows = PexTransaction.objects.filter(
        business_id=business_id,
        source=Source.TRANSACTION,
        settled_on__gt=read.days.first,  # `window.shows` in the database's words
        settled_on__lte=read.days.last,
        happened_at__gte=begins,
        read_at__lte=read.began_at,  # one that a newer read has written is not for this one to judge
    )
    if not read.business_list:
        rows = rows.filter(account_id__isnull=False)
    known = rows.values_list("pk", "pex_id").iterator(CHUNK)
    shown, lost = 0, []
    for pk, pex_id in known:
        if pex_id in read.seen:
            shown += 1
        else:
            lost.append(pk)
    unseen = [row for start in range(0, len(lost), CHUNK) for row in rows.filter(pk__in=lost[start : start + CHUNK])]
    # Once bill pay is switched off PEX leaves its charges out of the list, which says nothing about them.
    return shown, [row for row in unseen if bill_pay or not row.facts.get("bill_pay")]


def _payments_gone(business_id: int, read: Read) -> list[PexTransaction]:
    """Payments we know of a statement that PEX, asked for all of its payments, no longer showed."""
    known = PexTransaction.objects.filter(
        business_id=business_id,
        source=Source.STATEMENT_PAYMENT,
        read_at__lte=read.began_at,
        facts__invoice_id__in=list(read.statements),
    )
    return [row for row in known if row.pex_id not in read.statements[row.facts["invoice_id"]]]


def _mark(rows: Sequence[PexTransaction], word: str) -> None:
    """PEX does not show them. The next read that does finds another digest and writes the row anew."""
    bulk.update_each(
        PexTransaction,
        [
            (row.pk, {"read_at": row.read_at}, {"digest": NO_LONGER_SHOWN, "facts": row.facts | {"missing": word}})
            for row in rows
            if row.facts.get("missing") != word
        ],
    )


def _drop_holds(business_id: int, since: date, seen: set[int]) -> None:
    """Holds PEX shows no more: settled under another id, or dropped off. Such rows were for display only."""
    with scope(business_id):
        known = PexTransaction.objects.filter(business_id=business_id, pending=True, happened_at__date__gte=since)
        gone = [pk for pk, pex_id in known.values_list("pk", "pex_id") if pex_id not in seen]
        PexTransaction.objects.filter(pk__in=gone).delete()


def _records(
    business: Business, client: PexClient, read: Read, names: Mapping[int, str], bill_pay: bool
) -> Iterator[Transaction]:
    """The business list first: it is refused sooner than the card list, whose reads are fewer."""
    days = read.days
    try:
        for row in client.business_transactions(days.first, days.last):
            yield mapping.business_row(row, charge=business.charge)
    except NotNow:
        if last_read(business.pk, days, since=read.began_at - MINUTE) is None:
            raise
        read.business_list = False
    plain = _ids(client.card_transactions(days.first, days.last, bill_pay=False)) if bill_pay else None
    # Without the feature one read is enough: PEX leaves such charges out of it by itself.
    for row in client.card_transactions(days.first, days.last, bill_pay=bill_pay, pendings=True):
        paid_a_bill = plain is not None and not row.get("IsPending") and row["TransactionId"] not in plain
        yield mapping.card_row(row, names, bill_pay=paid_a_bill)
    if business.charge:
        yield from _statement_payments(client, read)


def _statement_payments(client: PexClient, read: Read) -> Iterator[Transaction]:
    """Whatever the days are: payments of an open statement, or of one just closed, may still change."""
    days = read.days
    invoices = [mapping.invoice(row) for row in client.invoices(window.one_year_before(days.last))]
    for invoice_id in statements.to_read(invoices, days.first, days.last):
        payments = [mapping.statement_payment(row, invoice_id) for row in client.invoice_payments(invoice_id)]
        read.statements[invoice_id] = {payment.pex_id for payment in payments}
        yield from payments


def _ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    return {int(row["TransactionId"]) for row in rows}


def _chunks(records: Iterable[Transaction]) -> Iterator[list[Transaction]]:
    stream = iter(records)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def save(business_id: int, records: Iterable[Transaction], at: datetime) -> tuple[int, list[tuple[str, int]]]:
    """Write the rows that are new or different, unless a newer read was here.

    Returns how many were new, and source and id of those that were different.
    """
    fresh = {(record.source.value, record.pex_id): record for record in records}
    digests = {name: digest(record) for name, record in fresh.items()}
    with scope(business_id):
        known = {
            (source, pex_id): (was, read_at)
            for source, pex_id, was, read_at in PexTransaction.objects.filter(
                business_id=business_id, pex_id__in=[pex_id for _, pex_id in fresh]
            ).values_list("source", "pex_id", "digest", "read_at")
        }
        new = [name for name in fresh if name not in known]
        different = [
            name for name, (was, read_at) in known.items() if name in fresh and was != digests[name] and read_at < at
        ]
        rows = [_row(business_id, fresh[name], digests[name], at) for name in new + different]
        bulk.insert_all(PexTransaction, KEY + COLUMNS + ONCE, rows, UNLESS_NEWER)
    return len(new), different


def digest(record: Transaction) -> str:
    return blake2b(repr(record).encode(), digest_size=16).hexdigest()


def _row(business_id: int, record: Transaction, stamp: str, at: datetime) -> tuple[Any, ...]:
    """The values of one row, in the order of `KEY + COLUMNS + ONCE`."""
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
        any(names_itself(note, record.source, record.pex_id) for note in record.notes),
        stamp,
        at,
        at,
    )


def names_itself(note: Note, source: str, pex_id: int) -> bool:
    """Whether it is a note of ours with the key of the row it stands on."""
    name = keys.find_key(note.text) if note.system_generated else None
    return name is not None and (name.source, name.pex_id) == (source, pex_id)


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
    for name in ("mcc", "dispute", "bill_pay", "authorization_id", "network_id", "invoice_id", "rejected", "problem"):
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
        invoice_id=facts.get("invoice_id"),
        rejected=facts.get("rejected", False),
        problem=facts.get("problem", ""),
        missing="missing" in facts,
    )
