"""What posted rows still owe: a note that was not sent yet, receipts not listed or not through, or added since.

Rows that lack something stand in an index of their own and leave it once their note was seen and their receipts were
listed. Another one holds those that PEX is asked about again, by the time of that.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet

from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import reading
from syncjobs.desk import Desk
from syncjobs.models import Export, ExportReceipt
from syncjobs.transitions import State

REFUSED_NOTE = timedelta(days=1)  # until a note PEX refused is tried again
NOTE_PATIENCE = timedelta(days=7)  # after posting; a note PEX refuses for longer is given up
LOADING = timedelta(minutes=5)  # until PEX is asked again about a receipt it was still loading
RECEIPT_PATIENCE = timedelta(days=30)  # a receipt PEX has not loaded after this is given up
LATE_CHECKS = 100  # rows one slice asks PEX about again, a call each: less than PEX takes in a minute

Owed = ExportReceipt.State


def resume(desk: Desk) -> None:
    """Hand the delivery what was left: by a crash, a cancelled run, a limit, or by PEX that was still loading.

    Receipts only go to the company their record is in: another one that was chosen since does not know it.
    """
    with reading(desk.business.pk):
        owing = Q(state=State.POSTED) & (~Q(note_state="seen") | Q(receipts_checked_at=None))
        posted = desk.exports().filter(owing)
        lacking = list(posted.filter(_note_is_due(), note_state=""))
        here = posted.filter(target=desk.target)
        listing = {row.pk: row for row in here.filter(receipts_checked_at=None)} if desk.settings.receipts else {}
        receipts = _receipts(desk) if desk.settings.receipts else []
    listing |= {row.export_id: row.export for row in receipts if row.state == Owed.WAITING}
    desk.delivery.notes(lacking)
    desk.delivery.resume(list(listing.values()), [row for row in receipts if row.state != Owed.WAITING])


def ask_again(desk: Desk) -> None:
    """Hand the delivery the posted rows whose day has come to be looked at for receipts added since.

    Only where no run waits for it to end, and so many at a time: what is left is asked about soon after.
    """
    due = late_checks(desk.connection, desk.settings)
    with reading(desk.business.pk):
        rows = list(due.filter(receipts_again_at__lte=clock.now()).order_by("receipts_again_at", "pk")[:LATE_CHECKS])
    desk.delivery.resume(rows, [])


def late_checks(connection: Connection, wanted: Settings) -> QuerySet[Export]:
    """The rows PEX is asked about again, now or later; none where that is switched off.

    Only those of the company the connection writes to now: no other would take their receipts.
    """
    if not (wanted.receipts and wanted.late_receipts):
        return Export.objects.none()
    mine = Export.objects.filter(business_id=connection.business_id, system=connection.system)
    return mine.filter(target=connection.target, state=State.POSTED, receipts_again_at__isnull=False)


def _note_is_due() -> Q:
    """A note that PEX refused carries the time of that: it is tried once a day, and for a week."""
    now, patience = clock.now(), settings.PATIENCE
    refused_long_ago = Q(note_at__lt=now - REFUSED_NOTE * patience, posted_at__gt=now - NOTE_PATIENCE * patience)
    return Q(note_at=None) | refused_long_ago


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
            export__target=desk.target,
            generation=F("export__generation"),
        ).select_related("export")
    )
