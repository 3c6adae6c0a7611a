"""When somebody comes back to a connection's notes and receipts, where no run is there to do it.

That is for what it still owes, and for the days on which PEX is asked for receipts added since.

A slice says at its begin that somebody must come back, and at its end when, or that nothing is owed: so a worker that
died leaves word too.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Min, Q

from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import scope
from syncjobs import upkeep
from syncjobs.models import Export, ExportReceipt
from syncjobs.transitions import State

SOON, LATE = timedelta(minutes=5), timedelta(hours=12)
NEXT_CHECKS = timedelta(minutes=2)  # until the rest of many rows is asked about: most of PEX's minute stays free
TOGETHER = timedelta(hours=3)  # between two times rows are asked about: those of one day wait for each other
UNDER_WAY = (ExportReceipt.State.WAITING, ExportReceipt.State.SENT, ExportReceipt.State.UNKNOWN)


def begin(connection: Connection) -> None:
    """Somebody works on it now; if they die the sweeper comes back in a while."""
    _plan(connection, clock.now() + 2 * SOON * settings.PATIENCE)


def soon(connection: Connection) -> None:
    """Somebody asked for a receipt to be sent: the next round of the sweeper takes it."""
    _plan(connection, clock.now())


def end(connection: Connection, after: float = 0.0) -> None:
    """Plan the next try for what is left: in so many seconds where somebody said how long to wait."""
    now, chosen = clock.now(), Settings.parse(connection.settings)
    newest = _newest(connection, chosen.receipts)
    check = _next_check(connection, chosen)
    if newest is not None and after:
        _plan(connection, now + timedelta(seconds=after))
        return
    times = []
    if newest is not None:
        times.append(now + _ever_rarer(now - newest))
    if check is not None:
        times.append(_check_at(check, now, after))
    _plan(connection, min(times, default=None))


def _ever_rarer(age: timedelta) -> timedelta:
    """The older what is left, the rarer the tries: receipts PEX never loads must not be asked about for ever."""
    return min(max(age / 2, SOON * settings.PATIENCE), LATE)


def _check_at(check: datetime, now: datetime, after: float) -> datetime:
    """When to ask about receipts added since; `check` is when the first row is due for it, `after` as in `end`."""
    if check > now:
        return max(check, now + TOGETHER)
    if after:  # nobody could be asked
        return now + max(timedelta(seconds=after), _ever_rarer(now - check))
    return now + NEXT_CHECKS * settings.PATIENCE


def _next_check(connection: Connection, chosen: Settings) -> datetime | None:
    with scope(connection.business_id):
        first: datetime | None = upkeep.late_checks(connection, chosen).aggregate(at=Min("receipts_again_at"))["at"]
    return first


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
