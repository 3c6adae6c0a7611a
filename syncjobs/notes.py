"""Our notes in PEX as the last read shows them: seen, never arrived, or taken away by somebody.

A note that is taken away asks for the purchase to be sent again. That happens only where the record in the books is
proven dead; where it is still there the note comes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from connectors import registry
from connectors.connector import Resync
from connectors.models import Connection
from connectors.records import Fate, Found, Kind, Note, Transaction
from pexsync import clock
from pexsync.accounts.tenancy import reading, scope
from syncjobs import bulk, coding, keys, ledger, mirror, notices, sending, support, window
from syncjobs.desk import Desk
from syncjobs.models import Export, PexTransaction
from syncjobs.transitions import State, Who
from syncjobs.window import Window

PATIENCE = timedelta(minutes=10)  # PEX may show a new note late, and leave an old one out once
CHUNK = 500
MANY, SHARE = 20, 20  # more than so many, and more than one in so many of the known ones, at once is trouble of PEX

NOTE_COLUMNS = ("note_state", "note_at", "note_missed_at")

TROUBLE = (
    "PEX suddenly shows many purchases without their sync note. Nothing was changed because of that. "
    "If you removed them to have purchases sent again, use “{again}”."
)


@dataclass(slots=True)
class Seen:
    """What one read says about the notes of some rows."""

    days: Window
    began_at: datetime
    changes: list[bulk.Row] = field(default_factory=list)

    def showed(self, record: Transaction | None) -> bool:
        """Whether that read had to show the row and did: of others the mirror may be older."""
        if record is None or record.missing:
            return False
        happened = record.happened_at.astimezone(clock.EASTERN).date()
        return window.shows(self.days, happened, coding.settled_on(record))

    def add(self, row: Export, **becomes: Any) -> None:
        """Change a row's columns unless somebody changed them meanwhile."""
        was = {name: getattr(row, name) for name in NOTE_COLUMNS}
        self.changes.append((row.pk, was, was | becomes))

    def long_after(self, at: datetime | None) -> bool:
        return at is not None and self.began_at - at > PATIENCE * settings.PATIENCE


def read(desk: Desk) -> None:
    """Compare what the ledger knows of the notes with what the run's read of PEX shows, then mend what differs.

    Raises `RetryLater`, `NotAuthorized`.
    """
    run = desk.run
    row = mirror.read_of(desk.business.pk, run.mirrored_at) if run and run.mirrored_at else None
    if row is not None:
        _arrived(desk, Seen(Window(row.first, row.last), row.began_at))
        _taken_away(desk, Seen(Window(row.first, row.last), row.began_at))
    _mend(desk)


def _arrived(desk: Desk, seen: Seen) -> None:
    """Notes that were sent: seen now, or so long ago that they never arrived and are to be sent again."""
    # The first condition is the second one's consequence; the index of owing rows is found by it.
    sent = _posted(desk).filter(~Q(note_state="seen"), note_state="sent")
    for rows, shown in _chunks(desk, sent):
        for row in rows:
            record = shown.get((row.source, row.pex_id))
            if record is not None and _carries(desk, record, row):
                seen.add(row, note_state="seen", note_at=seen.began_at)
            elif seen.showed(record) and seen.long_after(row.note_at):
                seen.add(row, note_state="", note_at=None)
    _save(desk, seen)


def _taken_away(desk: Desk, seen: Seen) -> None:
    """Notes that were seen once: missing now for the first time, for the second, or there again."""
    first: list[Export] = []
    for rows, shown in _chunks(desk, _suspects(desk)):
        for row in rows:
            record = shown.get((row.source, row.pex_id))
            if record is None or not seen.showed(record):
                continue
            if _carries(desk, record, row):
                seen.add(row, note_state="seen", note_missed_at=None, note_at=seen.began_at)
            elif row.note_missed_at is None:
                first.append(row)
            elif seen.long_after(row.note_missed_at):
                seen.add(row, note_state="removed")
    if _too_many(desk, len(first), seen.days):
        again = support.word(registry.ALL[desk.connection.system])
        notices.tell(desk.connection, notices.NOTES_VANISHED, TROUBLE.format(again=again))
    else:
        notices.over(desk.connection, notices.NOTES_VANISHED)
        for row in first:
            seen.add(row, note_missed_at=seen.began_at)
    _save(desk, seen)


def _suspects(desk: Desk) -> QuerySet[Export]:
    """Rows whose note was seen and may be gone: one statement, whatever the number of posted rows.

    Each system and each generation writes a note of its own, and the mirror remembers only whether there is any: where
    there may be several, the rows that changed since are looked at one by one.
    """
    shown = PexTransaction.objects.filter(
        business_id=OuterRef("business_id"), source=OuterRef("source"), pex_id=OuterRef("pex_id")
    )
    known_since = Coalesce(OuterRef("note_at"), OuterRef("posted_at"))
    changed = Exists(shown.filter(noted=True, read_at__gt=known_since))
    others = Q() if _several(desk.connection) else Q(generation__gt=1)
    suspicious = Exists(shown.filter(noted=False)) | Q(note_missed_at__isnull=False) | (others & changed)
    return _posted(desk).filter(suspicious, note_state="seen")


def _several(connection: Connection) -> bool:
    with reading(connection.business_id):
        return Connection.objects.filter(business_id=connection.business_id).count() > 1


def _too_many(desk: Desk, lost: int, days: Window) -> bool:
    if lost <= MANY:  # what most runs can say without counting
        return False
    with reading(desk.business.pk):
        known = _posted(desk).filter(note_state="seen", settled_on__gt=days.first).count()
    return are_many(lost, known)


def are_many(lost: int, known: int) -> bool:
    """Whether so many of the known notes are missing at once that it is trouble rather than people. Pure."""
    return lost > MANY and lost * SHARE > known


def _carries(desk: Desk, record: Transaction, row: Export) -> bool:
    return any(desk.books.note in note.text and _names(note, row) for note in record.notes)


def _names(note: Note, row: Export) -> bool:
    name = keys.find_key(note.text) if note.system_generated else None
    return name is not None and (name.source, name.pex_id, name.generation) == (row.source, row.pex_id, row.generation)


# --- what is to be done about a note that was taken away ------------------------------------------------------------


def _mend(desk: Desk) -> None:
    """Ask the books what became of the records: a new generation for a dead one, the note again for a live one.

    What is doubled, changed or gone without a trace is a person's; what the look did not cover waits for the next.
    """
    with reading(desk.business.pk):
        removed = _posted(desk).filter(~Q(note_state="seen"), note_state="removed", target=desk.target)
        rows = list(removed.order_by("pk")[:CHUNK])
    if not rows:
        return
    found = sending.look_at(desk, rows)
    _send_again(desk, [row for row, what in found if what.fate is Fate.DEAD and desk.books.resync is Resync.NOTE])
    _write_again(desk, [row for row, what in found if what.fate is Fate.LIVE])
    others = [(row, what) for row, what in found if _is_a_persons(desk, what)]
    ledger.changed_there(desk.actor(Who.SLICE), [sending.to_hold(row, what) for row, what in others])


def _is_a_persons(desk: Desk, what: Found) -> bool:
    by_note = desk.books.resync is Resync.NOTE
    return what.fate not in (Fate.LIVE, Fate.UNSEEN) and not (what.fate is Fate.DEAD and by_note)


def _send_again(desk: Desk, rows: Sequence[Export]) -> None:
    """Move 19."""
    says = f"Its note was removed in PEX, and its record is deleted in {desk.books.label}."
    moved = ledger.send_again(desk.actor(Who.SLICE), rows, says)
    desk.add(rows_due=sum(desk.covers(row.kind) for row in moved))


def _write_again(desk: Desk, rows: Sequence[Export]) -> None:
    says = f"Its note was removed in PEX, but it is still in {desk.books.label}; the note is back."
    with scope(desk.business.pk):
        at = clock.now()
        becomes: dict[str, Any] = {"note_state": "sent", "note_at": at, "note_missed_at": None, "says": says}
        was = {"state": State.POSTED, "note_state": "removed"}
        won = bulk.update_each(Export, [(row.pk, was, becomes) for row in rows]) if rows else set()
    going = [row for row in rows if row.pk in won]
    for row in going:
        row.note_state, row.note_at = "sent", at
    desk.delivery.notes(going)


# --- rows and the database ------------------------------------------------------------------------------------------


def _posted(desk: Desk) -> QuerySet[Export]:
    """Only purchases carry notes."""
    return desk.exports().filter(state=State.POSTED, kind=Kind.PURCHASE)


def _chunks(desk: Desk, rows: QuerySet[Export]) -> Any:
    """Yield the rows in pieces, each with what the mirror holds of them, by source and PEX id."""
    last = 0
    while True:
        with reading(desk.business.pk):
            some = list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK])
            shown = _records(desk, some)
        if not some:
            return
        last = some[-1].pk
        yield some, shown


def _records(desk: Desk, rows: Sequence[Export]) -> Mapping[tuple[str, int], Transaction]:
    found = PexTransaction.objects.filter(business_id=desk.business.pk, pex_id__in=[row.pex_id for row in rows])
    return {(row.source, row.pex_id): mirror.record_of(row) for row in found}


def _save(desk: Desk, seen: Seen) -> None:
    if seen.changes:
        with scope(desk.business.pk):
            bulk.update_each(Export, seen.changes)
