"""The life of a run as people and the schedule see it: start, confirm, cancel, pause, end. A run is a history row."""

import logging
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Sum

from connectors import registry
from connectors.models import Connection
from connectors.records import Kind
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts import installation
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import scope
from syncjobs import notices, shown, window
from syncjobs.lookalikes import Decision
from syncjobs.models import PreviewRow, SyncRun, Tally
from syncjobs.transitions import State
from syncjobs.window import Window

logger = logging.getLogger(__name__)

# Of a wake-up: a worker that is free takes the lowest first. One queue and one kind of worker, so that no installation
# can forget to serve the nights, and no sync of a person waits behind ten thousand of them.
FIRST, LATER = 0, 9

WAITS_FOR_A_LOOK = (
    "A preview waits for you, and no sync begins beside it. Nothing is sent before you confirm it or press CANCEL."
)
STALE = "The settings were changed after this preview was made, so it no longer shows what would be sent. Look again."


class CannotStart(Exception):
    """Why no run begins: one sentence for the person who asked."""


class Undecided(Exception):
    """What a person must say first: one sentence."""


class Stale(Exception):
    """The preview is not what would be sent any more: one sentence."""


class Miscounted(Exception):
    """Other rows are ticked than the person saw: `count` of them now."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def start(
    connection: Connection,
    by: User | None,
    first: date | None = None,
    last: date | None = None,
    asks_first: bool = False,
    kinds: Collection[Kind] = (),
) -> SyncRun:
    """Queue a run and wake a worker. Raises `CannotStart`. Call it inside the tenant's scope or outside any.

    `asks_first`: it shows what it would send, and waits until somebody confirms that. So does one that begins before
    the Start Date: nobody has said yet that what settled then is to go. `kinds`: it sends only these; none: all that
    are switched on.
    """
    settings = check_ready(connection)
    only = _only(connection, settings, kinds)
    usual = window.manual(settings, clock.today())
    run = planned(connection, settings, window.manual(settings, clock.today(), first, last), clock.now())
    run.started_by, run.asks_first, run.only = by, asks_first or run.window_start < usual.first, only
    try:
        with scope(connection.business_id):
            run.save(force_insert=True)
    except IntegrityError as error:
        raise CannotStart("A sync is already running. You can watch it here.") from error
    wake(run.pk)
    return run


def planned(connection: Connection, settings: Settings, days: Window, at: datetime) -> SyncRun:
    """A run as it begins, not saved yet. Raises `CannotStart` when there is no day to sync."""
    if days.first > days.last:
        raise CannotStart(
            f"There is nothing to sync: the window would begin after {days.last:%-d %b %Y}, its last day."
        )
    return SyncRun(
        business_id=connection.business_id,
        connection=connection,
        system=connection.system,
        target=connection.target,
        window_start=days.first,
        window_end=days.last,
        settings_version=connection.settings_version,
        queued_at=at,
        wake_at=at,
    )


def _only(connection: Connection, settings: Settings, kinds: Collection[Kind]) -> list[str]:
    """The kinds as a run keeps them; [] where none that is switched on is left out. Raises `CannotStart`."""
    if off := set(kinds) - settings.kinds:
        names = " and ".join(f"{kind.label}s" for kind in Kind if kind in off).capitalize()
        setup = registry.ALL[connection.system].setup_page
        raise CannotStart(f"{names} are switched off in {setup}. Switch them on there, or choose other kinds.")
    return [] if settings.kinds <= set(kinds) else sorted(kind.value for kind in set(kinds))


def check_ready(connection: Connection) -> Settings:
    """Return the settings a run would begin with. Raises `CannotStart`."""
    settings, connector = Settings.parse(connection.settings), registry.get(connection.system)
    if not installation.ours():
        raise CannotStart(installation.STRANGER)
    if connector is None:
        raise CannotStart("This connector is not available on this installation.")
    if connection.state == Connection.State.FAILED:
        raise CannotStart(connection.failure or f"{connector.label} needs you to sign in again.")
    if not connection.ready or not connection.target:
        raise CannotStart(f"Connect {connector.label} first.")
    if not connection.settings_version or not settings.kinds:
        raise CannotStart("Finish the setup first: choose what to sync.")
    return settings


def wake(run_id: int, priority: int = FIRST) -> None:
    """Send a worker its way once the database holds what it looks for; the sweeper makes up for a lost message."""
    from syncjobs.tasks import advance

    transaction.on_commit(lambda: advance.apply_async((run_id,), priority=priority), robust=True)


def urgency(run: SyncRun) -> int:
    """How soon a free worker takes it: nobody waits for the night."""
    return LATER if run.nightly else FIRST


def resume(connection: Connection, by: User) -> int | None:
    """Somebody signed in again: begin a run where something is due or in doubt, or where nights may have been missed.

    So does, as it was asked for, a sync that a person had begun and that came to nothing. Return how many transactions
    were held up; None when no run began.
    """
    with scope(connection.business_id):
        waiting = Tally.objects.filter(business_id=connection.business_id, system=connection.system).filter(
            Q(state=State.DUE, waits="") | Q(state=State.SENT)
        )
        held_up: int = waiting.aggregate(count=Sum("count"))["count"] or 0
        failed = _failed_for_somebody(connection)
    if not (held_up or connection.auto_sync or failed):
        return None
    try:
        if failed:
            days = failed.window_start, failed.window_end
            start(connection, by, *days, asks_first=failed.asks_first, kinds=failed.only_kinds)
        else:
            start(connection, by)
    except CannotStart as reason:
        logger.info("nothing resumed", extra={"connection": connection.pk, "says": str(reason)})
        return None
    return held_up


def _failed_for_somebody(connection: Connection) -> SyncRun | None:
    """The last sync, where a person began it and it failed before anything was sent."""
    run = last(connection)
    if run is None or run.started_by_id is None or run.status != SyncRun.Status.FAILED or run.rows_posted:
        return None
    return run


def current(connection: Connection) -> SyncRun | None:
    return connection.runs.filter(status__in=SyncRun.ALIVE).first()


def last(connection: Connection) -> SyncRun | None:
    return connection.runs.exclude(status__in=SyncRun.ALIVE).order_by("-queued_at").first()


def unconfirmed(connection: Connection) -> frozenset[Kind]:
    """The kinds that are switched on and that nobody has agreed to yet: a preview shows them first (rule L9)."""
    kinds = Settings.parse(connection.settings).kinds
    return frozenset(kind for kind in kinds if kind.value not in connection.preview_confirmed)


def kinds_of(run: SyncRun, settings: Settings) -> frozenset[Kind]:
    """The kinds a run may send: those that are switched on and that it is asked for."""
    return frozenset(kind for kind in settings.kinds if run.covers(kind))


def waits_for_confirmation(run: SyncRun) -> bool:
    return run.status == SyncRun.Status.PAUSED and run.confirmed_at is None and bool(run.preview)


def is_stale(run: SyncRun, connection: Connection | None) -> bool:
    """Whether something else would be sent than the preview shows, since the settings or the company changed."""
    if connection is None:
        return True
    return (connection.settings_version, connection.target) != (run.settings_version, run.target)


def confirm(
    run: SyncRun,
    by: User,
    decisions: Mapping[tuple[str, str], Decision] = MappingProxyType({}),
    expected: int | None = None,
) -> bool:
    """A person agrees to exactly what the preview shows and is ticked; False when the run no longer waits for it.

    `decisions`, by month and kind, say what becomes of the months that look booked already. `expected`: how many rows
    the person was told would go. Raises `Undecided`, `Stale`, `Miscounted`; then nothing has changed.
    """
    at = clock.now()
    with scope(run.business_id):
        found = _waiting(run).first()
        if found is None:
            return False
        connection = Connection.objects.select_for_update().filter(pk=run.connection_id or 0).first()
        if connection is None or is_stale(found, connection):
            raise Stale(STALE)
        found.preview = [_decided(line, decisions) | {"by": by.username} for line in found.preview]
        if expected is not None and (count := shown.total(shown.going(found)).count) != expected:
            raise Miscounted(count)
        confirmed = _waiting(run).update(
            status=SyncRun.Status.QUEUED,
            phase=SyncRun.Phase.CHECKING,
            confirmed_at=at,
            wake_at=at,
            says="",
            preview=found.preview,
        )
        if not confirmed:
            return False
        run.preview = found.preview
        connection.preview_confirmed |= _confirmation(found, connection, by)
        connection.save(update_fields=["preview_confirmed"])
        notices.over(connection, notices.PREVIEW)
    logger.info("preview confirmed", extra={"run": run.pk, "user": by.pk})
    wake(run.pk)
    return True


def _waiting(run: SyncRun) -> QuerySet[SyncRun]:
    """The run as long as it waits for its confirmation, to be locked where the database can."""
    waiting = SyncRun.objects.filter(pk=run.pk, status=SyncRun.Status.PAUSED, confirmed_at=None)
    return waiting.exclude(preview=[]).select_for_update(no_key=True)


def _decided(line: dict[str, Any], decisions: Mapping[tuple[str, str], Decision]) -> dict[str, Any]:
    if not shown.asks(line):
        return line
    decision = decisions.get((line["month"], line["kind"])) or line.get("decision")
    if not decision:
        raise Undecided("Say of each month that looks booked already whether it is left out or posted.")
    return line | {"decision": str(decision)}


def _confirmation(run: SyncRun, connection: Connection, by: User) -> dict[str, Any]:
    """What was agreed to, per kind that is switched on and was shown: the others ask when their turn comes.

    What was agreed to before stays as it was: the run that asked then holds what was found and decided.
    """
    return {
        kind.value: {
            "at": clock.now().isoformat(),
            "by": by.username,
            "run": run.pk,
            "months": [line for line in run.preview if line["kind"] == kind],
        }
        for kind in sorted(unconfirmed(connection))
        if run.covers(kind)
    }


def decide(run: SyncRun, month: str, kind: str, decision: Decision) -> bool:
    """What becomes of a month that looks booked, said before the rest is confirmed; False when it is too late."""
    with scope(run.business_id):
        found = _waiting(run).first()
        if found is None:
            return False
        wanted = (month, kind)
        run.preview = [
            line | {"decision": decision.value}
            if (line["month"], line["kind"]) == wanted and shown.asks(line)
            else line
            for line in found.preview
        ]
        return bool(_waiting(run).update(preview=run.preview))


def tick(run: SyncRun, rows: Q, chosen: bool) -> bool:
    """Tick or untick rows of a preview that are ready; False when it is too late."""
    with scope(run.business_id):
        if _waiting(run).first() is None:
            return False
        run.shown.filter(rows, state=PreviewRow.State.READY).update(chosen=chosen)
        return True


def show(run: SyncRun, says: str, lines: list[dict[str, Any]], pairs: dict[str, Any], version: int) -> bool:
    """A preview was made: from now on the run waits for a person. False when another one was made meanwhile."""
    columns = {"preview": lines, "pairs": pairs, "settings_version": version, "attempts": 0}
    columns |= {"status": SyncRun.Status.PAUSED, "says": says[:500], "wake_at": None}
    with scope(run.business_id):
        nothing_shown = SyncRun.objects.filter(pk=run.pk, status__in=SyncRun.ALIVE, confirmed_at=None, preview=[])
        shown_now = bool(nothing_shown.update(**columns))
    if shown_now:
        for name, value in columns.items():
            setattr(run, name, value)
    return shown_now


def look_again(run: SyncRun) -> bool:
    """Make the preview anew, with the settings as they are; False when the run no longer waits for a person.

    Whoever asked is shown what would go, also where the settings no longer hold anything nobody has confirmed.
    """
    with scope(run.business_id):
        queued = {"status": SyncRun.Status.QUEUED, "wake_at": clock.now(), "says": "", "preview": [], "pairs": {}}
        queued["asks_first"] = True
        again = bool(_waiting(run).update(**queued))
    if again:
        wake(run.pk)
    return again


def cancel(run: SyncRun, by: User) -> None:
    """Ask a run to stop at its next step; one that waits for a person or for a time ends at once."""
    at = clock.now()
    with scope(run.business_id):
        SyncRun.objects.filter(pk=run.pk, status__in=SyncRun.ALIVE, cancel_asked_at=None).update(
            cancel_asked_at=at, cancel_asked_by=by, wake_at=at
        )
    wake(run.pk)


def pause(run: SyncRun, says: str, after: float | None) -> None:
    """The slice ends; the run goes on after so many seconds (None: when a person has answered)."""
    wake_at = clock.now() + timedelta(seconds=after) if after is not None else None
    _change(run, status=SyncRun.Status.PAUSED, says=says[:500], wake_at=wake_at)


def finish(run: SyncRun, status: SyncRun.Status, says: str = "") -> None:
    _change(run, status=status, phase=SyncRun.Phase.DONE, says=says[:500], ended_at=clock.now(), wake_at=None)
    if run.connection is not None:
        if not unconfirmed(run.connection):
            notices.over(run.connection, notices.PREVIEW)
        if status in (SyncRun.Status.SUCCESS, SyncRun.Status.PARTIAL):
            notices.went_well(run.connection)
    logger.info("run ended", extra={"run": run.pk, "status": status.value, "posted": run.rows_posted})


def progress(run: SyncRun, **columns: Any) -> None:
    """Write progress of a run that is alive; one that somebody ended meanwhile is left alone."""
    _change(run, **columns)


def add(run: SyncRun, **numbers: Any) -> None:
    """Add to counts of a run: a slice that worked on it meanwhile may have counted too."""
    with scope(run.business_id):
        SyncRun.objects.filter(pk=run.pk, status__in=SyncRun.ALIVE).update(
            **{name: F(name) + number for name, number in numbers.items()}
        )
        run.refresh_from_db(fields=list(numbers))


def add_late(business_id: int, run_id: int, **numbers: int) -> None:
    """Add to counts of another run, ended or not: receipts of its rows may follow long after."""
    with scope(business_id):
        SyncRun.objects.filter(pk=run_id).update(**{name: F(name) + number for name, number in numbers.items()})


def _change(run: SyncRun, **columns: Any) -> None:
    with scope(run.business_id):
        SyncRun.objects.filter(pk=run.pk, status__in=SyncRun.ALIVE).update(**columns)
    for name, value in columns.items():
        setattr(run, name, value)
