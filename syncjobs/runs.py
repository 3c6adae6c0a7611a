"""The life of a run as people and the schedule see it: start, confirm, cancel, pause, end. A run is a history row."""

import logging
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from connectors import registry
from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import scope
from syncjobs import window
from syncjobs.models import SyncRun

logger = logging.getLogger(__name__)


class CannotStart(Exception):
    """Why no run begins: one sentence for the person who asked."""


def start(
    connection: Connection, by: User | None, first: date | None = None, last: date | None = None, nightly: bool = False
) -> SyncRun:
    """Queue a run and wake a worker. Raises `CannotStart`. Call it inside the tenant's scope or outside any."""
    settings = Settings.parse(connection.settings)
    _check_ready(connection, settings)
    days = window.automatic(settings, clock.today()) if nightly else window.manual(settings, clock.today(), first, last)
    if days.first > days.last:
        raise CannotStart(
            f"There is nothing to sync: the window would begin after {days.last:%-d %b %Y}, its last day."
        )
    try:
        with scope(connection.business_id):
            run = SyncRun.objects.create(
                business_id=connection.business_id,
                connection=connection,
                system=connection.system,
                target=connection.target,
                started_by=by,
                nightly=nightly,
                window_start=days.first,
                window_end=days.last,
                settings_version=connection.settings_version,
                queued_at=clock.now(),
                wake_at=clock.now(),
            )
    except IntegrityError as error:
        raise CannotStart("A sync is already running. You can watch it here.") from error
    wake(run.pk)
    return run


def _check_ready(connection: Connection, settings: Settings) -> None:
    connector = registry.get(connection.system)
    if connector is None:
        raise CannotStart("This connector is not available on this installation.")
    if connection.state == Connection.State.FAILED:
        raise CannotStart(connection.failure or f"{connector.label} needs you to sign in again.")
    if not connection.ready or not connection.target:
        raise CannotStart(f"Connect {connector.label} first.")
    if not connection.settings_version or not settings.kinds:
        raise CannotStart("Finish the setup first: choose what to sync.")


def wake(run_id: int) -> None:
    """Send a worker its way once the database holds what it looks for; the sweeper makes up for a lost message."""
    from syncjobs.tasks import advance

    transaction.on_commit(lambda: advance.delay(run_id), robust=True)


def current(connection: Connection) -> SyncRun | None:
    return connection.runs.filter(status__in=SyncRun.ALIVE).first()


def last(connection: Connection) -> SyncRun | None:
    return connection.runs.exclude(status__in=SyncRun.ALIVE).order_by("-queued_at").first()


def confirm(run: SyncRun, by: User) -> bool:
    """A person agrees to what the first sync would post; False when the run no longer waits for it."""
    at = clock.now()
    with scope(run.business_id):
        waiting = SyncRun.objects.filter(pk=run.pk, status=SyncRun.Status.PAUSED, confirmed_at=None).exclude(preview=[])
        if not waiting.update(status=SyncRun.Status.QUEUED, confirmed_at=at, wake_at=at, says=""):
            return False
        connection = Connection.objects.select_for_update().filter(pk=run.connection_id or 0).first()
        if connection is not None:
            connection.preview_confirmed |= _confirmation(run, connection, by)
            connection.save(update_fields=["preview_confirmed"])
    wake(run.pk)
    return True


def _confirmation(run: SyncRun, connection: Connection, by: User) -> dict[str, Any]:
    """What was agreed to, per kind that is switched on: kinds switched on later ask again.

    Where the settings were changed since the run began, only what the preview showed was agreed to.
    """
    kinds = {kind.value for kind in Settings.parse(connection.settings).kinds}
    if connection.settings_version != run.settings_version:
        kinds &= {line["kind"] for line in run.preview}
    return {
        kind: {
            "at": clock.now().isoformat(),
            "by": by.username,
            "months": [line for line in run.preview if line["kind"] == kind],
        }
        for kind in sorted(kinds)
    }


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


def _change(run: SyncRun, **columns: Any) -> None:
    with scope(run.business_id):
        SyncRun.objects.filter(pk=run.pk, status__in=SyncRun.ALIVE).update(**columns)
    for name, value in columns.items():
        setattr(run, name, value)
