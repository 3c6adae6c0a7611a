"""The nights: auto-sync on and off, and the tick that starts what is due.

Every connection with auto-sync carries the instant of its next nightly sync. The tick takes those whose time has come,
moves each to its next night and queues its run, all in one transaction: either both happened or neither. However many
schedules tick at once, one of them gets a connection. Where workers were away for hours the oldest goes first, and no
more than a batch with each tick, so that a morning does not begin with everybody at once.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings as house

from connectors import registry
from connectors.connector import Connector
from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts import installation
from pexsync.accounts.tenancy import everywhere, scope
from syncjobs import bulk, hours, notices, runs, window
from syncjobs.hours import Hours
from syncjobs.models import SyncRun
from syncjobs.notices import News

logger = logging.getLogger(__name__)

BATCH = 100  # connections a tick takes; of ten thousand, about 33 begin in a minute
Alive = Mapping[int, SyncRun]  # by connection


def tick() -> int:
    """Start the nightly syncs whose time has come; return how many. A fixed number of statements, whoever is due."""
    if not installation.ours():
        return 0
    with everywhere():
        at = clock.now()
        connections = _claim(at)
        alive = _alive(connections)
        started = _start([each for each in connections if not cannot_switch_on(each)], at)
        _switch_off([each for each in connections if _has_ended(each)])
        notices.tell_all(_news(connections, alive), at)
        for run in started:
            runs.wake(run, runs.LATER)
    if connections:
        logger.info("nightly syncs begin", extra={"due": len(connections), "started": len(started)})
    return len(started)


def _claim(at: datetime) -> list[Connection]:
    """The connections that are due and whose next night this tick has planned."""
    due = Connection.objects.filter(auto_sync=True, auto_next_at__lte=at).order_by("auto_next_at")
    # Another tick's rows are not waited for. SQLite knows no such lock: there one transaction writes at a time.
    taken = list(due.select_for_update(skip_locked=True, of=("self",)).select_related("business")[:BATCH])
    nights = [
        (each.pk, {"auto_sync": True, "auto_next_at": each.auto_next_at}, {"auto_next_at": next_night(each, at)})
        for each in taken
    ]
    moved = bulk.update_each(Connection, nights) if nights else set()
    return [each for each in taken if each.pk in moved]


def _alive(connections: Sequence[Connection]) -> Alive:
    found = SyncRun.objects.filter(connection__in=[each.pk for each in connections], status__in=SyncRun.ALIVE)
    return {run.connection_id: run for run in found if run.connection_id}


def _start(connections: Sequence[Connection], at: datetime) -> list[int]:
    """Queue a run for each that has none alive, which the database knows best, and return their numbers."""
    planned = [_planned(each, at) for each in connections]
    SyncRun.objects.bulk_create([run for run in planned if run], ignore_conflicts=True)
    queued = SyncRun.objects.filter(
        connection__in=[each.pk for each in connections], nightly=True, status=SyncRun.Status.QUEUED, queued_at=at
    )
    return list(queued.order_by("pk").values_list("pk", flat=True))


def _planned(connection: Connection, at: datetime) -> SyncRun | None:
    settings = Settings.parse(connection.settings)
    try:
        run = runs.planned(connection, settings, window.automatic(settings, clock.today()), at)
    except runs.CannotStart:  # its first day is still to come
        return None
    run.nightly = True
    return run


def _switch_off(connections: Sequence[Connection]) -> None:
    Connection.objects.filter(pk__in=[each.pk for each in connections]).update(auto_sync=False, auto_next_at=None)


def _news(connections: Sequence[Connection], alive: Alive) -> list[News]:
    """What people are told of the nights that do not begin; a sync under way needs no word."""
    news = []
    for each in connections:
        run = alive.get(each.pk)
        if _has_ended(each):
            news.append(News(each, notices.END_DATE, _ended(each)))
        elif run is not None and waits_for_a_person(run):
            news.append(News(each, notices.PREVIEW, runs.WAITS_FOR_A_LOOK))
        elif each.state == Connection.State.FAILED:
            news.append(News(each, notices.SESSION, each.failure))
        elif each.ready and not each.preview_confirmed:
            news.append(News(each, notices.PREVIEW, _unseen(each)))
    return news


def waits_for_a_person(run: SyncRun) -> bool:
    return run.status == SyncRun.Status.PAUSED and run.wake_at is None


def _has_ended(connection: Connection) -> bool:
    return window.has_ended(Settings.parse(connection.settings), clock.today())


def _ended(connection: Connection) -> str:
    day = Settings.parse(connection.settings).end_date
    assert day is not None
    return (
        f"What settled up to {day.day} {day:%b %Y} was synced, and nothing later is. Choose a later End Date in "
        f"{_connector(connection).setup_page} and switch auto-sync on again, or leave it off."
    )


def _unseen(connection: Connection) -> str:
    word = _connector(connection).sync_word
    return f"Press {word} once and confirm what would be sent; then auto-sync can be switched on."


def _connector(connection: Connection) -> type[Connector]:
    return registry.ALL[connection.system]


# --- the switch -------------------------------------------------------------------------------------------------------


def cannot_switch_on(connection: Connection) -> str:
    """Why no night can begin, a sentence; "" when it can."""
    connector = registry.get(connection.system)
    if connector is not None and connector.beta:
        return f"{connector.app_name} is in BETA: it syncs when you press {connector.sync_word}, not by itself."
    try:
        settings = runs.check_ready(connection)
    except runs.CannotStart as reason:
        return str(reason)
    if not connection.preview_confirmed:
        return _unseen(connection)
    if window.has_ended(settings, clock.today()):
        return f"The End Date has passed. Choose a later one in {_connector(connection).setup_page} first."
    return ""


def switch_on(connection: Connection) -> datetime:
    """Return when the first nightly sync begins. Raises `CannotStart`."""
    if reason := cannot_switch_on(connection):
        raise runs.CannotStart(reason)
    first = next_night(connection, clock.now())
    _set(connection, auto_sync=True, auto_next_at=first)
    notices.over(connection, notices.END_DATE)
    return first


def switch_off(connection: Connection) -> None:
    _set(connection, auto_sync=False, auto_next_at=None)


def _set(connection: Connection, **columns: Any) -> None:
    with scope(connection.business_id):
        Connection.objects.filter(pk=connection.pk).update(**columns)
    for name, value in columns.items():
        setattr(connection, name, value)


@dataclass(frozen=True, slots=True)
class Nights:
    """What a page says of auto-sync. `next_one`: "tonight about 02:41", "" while none is planned."""

    on: bool
    next_one: str
    zone: str  # as its clocks are called then: "EST"
    why_not: str  # why no night can begin as things stand; "" when it can
    first: date  # the earliest day a nightly sync reaches now


def of(connection: Connection) -> Nights:
    zone, now = connection.business.zone, clock.now()
    planned = connection.auto_next_at if connection.auto_sync else None
    return Nights(
        on=connection.auto_sync,
        next_one=when(planned, now, zone) if planned else "",
        zone=(planned or now).astimezone(zone).tzname() or "",
        why_not=cannot_switch_on(connection),
        first=window.automatic(Settings.parse(connection.settings), clock.today()).first,
    )


def next_night(connection: Connection, after: datetime) -> datetime:
    night = Hours.parse(house.NIGHT_WINDOW)
    return hours.next_begin(connection.pk, connection.business.zone, night, after)


def when(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "tonight about 02:41", "tomorrow about 02:41" or "in a moment", by the business's clocks."""
    if at <= now:
        return "in a moment"
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    if at - now < timedelta(hours=20):
        dark = local.hour < 6 or local.hour >= 18
        day = "tonight" if dark else "today" if local.date() == today else "tomorrow"
    else:
        day = "tomorrow"
    return f"{day} about {local:%H:%M}"
