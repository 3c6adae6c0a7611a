"""What posted rows still owe: a note nobody has seen in PEX yet, receipts not listed or not through.

Such rows stand in an index of their own and leave it once their note was seen and their receipts were listed.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q

from connectors.records import Note, Transaction
from pexsync import clock
from pexsync.accounts.tenancy import reading, scope
from syncjobs import bulk, coding, keys, mirror, window
from syncjobs.desk import Desk
from syncjobs.models import Export, ExportReceipt, PexTransaction
from syncjobs.transitions import State
from syncjobs.window import Window

NOTE_PATIENCE = timedelta(minutes=10)  # PEX may show a new note late; one that lacks after this never arrived
LOADING = timedelta(minutes=5)  # until PEX is asked again about a receipt it was still loading
RECEIPT_PATIENCE = timedelta(days=30)  # a receipt PEX has not loaded after this is given up
CHUNK = 500

Owed = ExportReceipt.State


def read_notes(desk: Desk) -> None:
    """Compare the notes we sent with what the last read of PEX shows: seen, or never arrived and to be repeated."""
    run = desk.run
    if run is None or run.mirrored_at is None:
        return
    began = run.mirrored_at  # a note sent long before that would stand in the read
    days = window.to_read(Window(run.window_start, run.window_end), None, began.astimezone(clock.EASTERN).date())
    last = 0
    while True:
        with reading(desk.business.pk):
            sent = desk.exports().filter(Q(state=State.POSTED), ~Q(note_state="seen"), note_state="sent", pk__gt=last)
            rows = list(sent.order_by("pk")[:CHUNK])
            shown = _records(desk, rows)
        if not rows:
            return
        last = rows[-1].pk
        changes = []
        for row in rows:
            record = shown.get((row.source, row.pex_id))
            if record is None:
                continue
            if any(_names(note, row) for note in record.notes):
                changes.append((row.pk, {"note_state": "sent"}, {"note_state": "seen"}))
            elif _was_read(record, days) and row.note_at and began - row.note_at > NOTE_PATIENCE * settings.PATIENCE:
                changes.append((row.pk, {"note_state": "sent"}, {"note_state": ""}))
        if changes:
            with scope(desk.business.pk):
                bulk.update_each(Export, changes)


def _records(desk: Desk, rows: list[Export]) -> dict[tuple[str, int], Transaction]:
    found = PexTransaction.objects.filter(business_id=desk.business.pk, pex_id__in=[row.pex_id for row in rows])
    return {(row.source, row.pex_id): mirror.record_of(row) for row in found}


def _was_read(record: Transaction, days: Window) -> bool:
    """Whether the last read showed this row anew, by whichever day PEX filters: of older ones the mirror is old too."""
    happened = record.happened_at.astimezone(clock.EASTERN).date()
    return min(happened, coding.settled_on(record)) > days.first


def _names(note: Note, row: Export) -> bool:
    name = keys.find_key(note.text)
    return name is not None and (name.source, name.pex_id) == (row.source, row.pex_id)


def resume(desk: Desk) -> None:
    """Hand the delivery what was left: by a crash, a cancelled run, a limit, or by PEX that was still loading."""
    with scope(desk.business.pk):
        owing = Q(state=State.POSTED) & (~Q(note_state="seen") | Q(receipts_checked_at=None))
        posted = desk.exports().filter(owing)
        lacking = list(posted.filter(note_state=""))
        Export.objects.filter(pk__in=[row.pk for row in lacking]).update(note_state="sent", note_at=clock.now())
        listing = {row.pk: row for row in posted.filter(receipts_checked_at=None)} if desk.settings.receipts else {}
        receipts = _receipts(desk) if desk.settings.receipts else []
    listing |= {row.export_id: row.export for row in receipts if row.state == Owed.WAITING}
    desk.delivery.notes(lacking)
    desk.delivery.resume(list(listing.values()), [row for row in receipts if row.state != Owed.WAITING])


def _receipts(desk: Desk) -> list[ExportReceipt]:
    """Receipts without an outcome, of rows still posted; the same name overwrites, so a repeat is safe."""
    now = clock.now()
    waited = Q(state__in=(Owed.SENT, Owed.UNKNOWN)) | Q(state=Owed.WAITING, at__lt=now - LOADING)
    return list(
        ExportReceipt.objects.filter(
            waited,
            business_id=desk.business.pk,
            at__gt=now - RECEIPT_PATIENCE,
            export__system=desk.connection.system,
            export__state=State.POSTED,
            generation=F("export__generation"),
        ).select_related("export")
    )
