"""When the notes and receipts a connection still owes are tried again, where no run is there to do it.

A slice says at its begin that somebody must come back, and at its end when, or that nothing is owed: so a worker that
died leaves word too.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Q

from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import scope
from syncjobs import upkeep
from syncjobs.models import Export, ExportReceipt
from syncjobs.transitions import State

SOON, LATE = timedelta(minutes=5), timedelta(hours=12)
UNDER_WAY = (ExportReceipt.State.WAITING, ExportReceipt.State.SENT, ExportReceipt.State.UNKNOWN)


def begin(connection: Connection) -> None:
    """Somebody works on it now; if they die the sweeper comes back in a while."""
    _plan(connection, clock.now() + 2 * SOON * settings.PATIENCE)


def end(connection: Connection, after: float = 0.0) -> None:
    """Plan the next try for what is left: in so many seconds where somebody said how long to wait."""
    now = clock.now()
    newest = _newest(connection, Settings.parse(connection.settings).receipts)
    if newest is None:
        _plan(connection, None)
    elif after:
        _plan(connection, now + timedelta(seconds=after))
    else:
        # The older what is left, the rarer the tries: receipts PEX never loads must not be asked about for ever.
        _plan(connection, now + min(max((now - newest) / 2, SOON * settings.PATIENCE), LATE))


def _newest(connection: Connection, receipts: bool) -> datetime | None:
    """When the youngest row that owes something was posted; None where nothing is owed. Both queries go by an index."""
    recent = {"posted_at__gt": clock.now() - upkeep.RECEIPT_PATIENCE}
    with scope(connection.business_id):
        posted = Export.objects.filter(business_id=connection.business_id, system=connection.system, state=State.POSTED)
        mine = posted.filter(target=connection.target)  # another company, chosen since, does not know the former's
        lacking = mine.filter(~Q(note_state="seen") | Q(receipts_checked_at=None), **recent)
        owes = Q(note_state="") | Q(receipts_checked_at=None) if receipts else Q(note_state="")
        newest = [lacking.filter(owes).aggregate(at=Max("posted_at"))["at"]]
        if receipts:
            under_way = ExportReceipt.objects.filter(business_id=connection.business_id, state__in=UNDER_WAY)
            rows = under_way.values("export_id")
            newest.append(mine.filter(pk__in=rows, **recent).aggregate(at=Max("posted_at"))["at"])
    return max((at for at in newest if at), default=None)


def _plan(connection: Connection, at: datetime | None) -> None:
    with scope(connection.business_id):
        Connection.objects.filter(pk=connection.pk).update(deliver_at=at)
