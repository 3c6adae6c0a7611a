"""One slice of a run, step by step. The only place that reacts to connector errors.

Each step is committed before the next begins, so that whoever comes after a crash finds in the database what is known
and what is in doubt.
"""

import logging

from django.conf import settings

from connectors import registry
from connectors.errors import NotAuthorized, RetryLater, SettingsNeeded
from connectors.models import Connection
from pexsync import clock
from pexsync.accounts.tenancy import everywhere, reading
from syncjobs import checking, facts, lease, runs, sending, upkeep
from syncjobs.desk import Cancelled, Desk, OutOfTime
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import State

logger = logging.getLogger(__name__)

CRASHES = 5  # slices in a row that died before the run is given up

Status = SyncRun.Status


def advance(run_id: int) -> None:
    """Work on a run for one slice. Harmless when the run has ended or another slice is at it."""
    run = _run(run_id)
    if run is None or not run.alive:
        return
    goes_on = False
    with lease.take(run.target) as held:
        run = _run(run_id) if held else None
        if held and run and _wants_work(run):
            goes_on = _work(run, held)
    if goes_on:  # woken only now that the lease is free
        runs.wake(run_id)


def _run(run_id: int) -> SyncRun | None:
    with everywhere():
        return SyncRun.objects.select_related("connection__business").filter(pk=run_id).first()


def _wants_work(run: SyncRun) -> bool:
    """Not one that waits for a person or for a later hour, unless it is to be cancelled."""
    if not run.alive:
        return False
    if run.cancel_asked_at:
        return True
    waits_for_a_person = bool(run.preview) and run.confirmed_at is None
    return not waits_for_a_person and (run.wake_at is None or run.wake_at <= clock.now())


def _work(run: SyncRun, held: lease.Held) -> bool:
    """True when the next slice is wanted at once."""
    if run.cancel_asked_at or run.connection is None:
        _cancelled(run)
        return False
    if reason := _no_way_on(run, run.connection):
        runs.finish(run, Status.FAILED, reason)
        return False
    if run.attempts >= CRASHES:
        runs.finish(run, Status.FAILED, _our_fault(run))
        return False
    started = run.started_at or clock.now()
    runs.progress(run, status=Status.RUNNING, started_at=started, attempts=run.attempts + 1, says="")
    try:
        with Desk(run.connection, held, run) as desk:
            _slice(desk, run)
    except Cancelled:
        _cancelled(run)
    except OutOfTime:
        runs.progress(run, attempts=0, wake_at=clock.now())
        return True
    except RetryLater as error:
        runs.progress(run, attempts=0)
        runs.pause(run, error.says, error.after * settings.PATIENCE)
    except (NotAuthorized, SettingsNeeded) as error:
        runs.finish(run, Status.FAILED, error.says)
    except lease.Lost:
        logger.warning("another slice has taken over", extra={"run": run.pk})
    return False


def _no_way_on(run: SyncRun, connection: Connection) -> str:
    """Why a run cannot go on where it began; "" when it can. A run writes to one target."""
    if connection.state == Connection.State.FAILED:
        return connection.failure
    if not connection.ready:
        return "It was disconnected while this sync was under way. What was not sent goes with the next sync."
    if connection.target != run.target:
        return "Another company was chosen while this sync was under way. Press SYNC to begin one for that company."
    return ""


def _slice(desk: Desk, run: SyncRun) -> None:
    facts.gather(desk)
    if desk.rules is None:  # pragma: no cover  # gather lays them there
        return
    if run.phase in (SyncRun.Phase.READING, SyncRun.Phase.CHECKING) and not checking.check(desk, run):
        return
    upkeep.read_notes(desk)
    sending.settle(desk)
    sending.send(desk, desk.rules)
    _deliver(desk)
    _finish(desk, run)


def settle(connection_id: int) -> None:
    """Look again at rows of a connection that has no run; what is surely not in the books is sent once more."""
    with everywhere():
        connection = Connection.objects.select_related("business").filter(pk=connection_id).first()
    if connection is None or not connection.target or not connection.ready:
        return
    with lease.take(connection.target) as held:
        if held is None:
            return
        try:
            with Desk(connection, held, None) as desk:
                _settle(desk)
        except (OutOfTime, lease.Lost):
            logger.info("settling goes on later", extra={"connection": connection.pk})
        except (RetryLater, NotAuthorized, SettingsNeeded) as error:
            logger.warning("settling put off", extra={"connection": connection.pk, "says": str(error)})
            sending.put_off(connection, error.after if isinstance(error, RetryLater) else 0)


def _settle(desk: Desk) -> None:
    freed = sending.settle(desk)
    if freed:
        facts.gather(desk)
        if desk.rules is not None:
            sending.send(desk, desk.rules, only=frozenset(row.pk for row in freed))
    _deliver(desk)


def _deliver(desk: Desk) -> None:
    """Notes and receipts: those of this slice, then whatever earlier slices and runs still owe."""
    desk.progress(phase=SyncRun.Phase.RECEIPTS)
    desk.delivery.drain(desk.show_receipts)
    upkeep.resume(desk)
    desk.delivery.drain(desk.show_receipts)


def _finish(desk: Desk, run: SyncRun) -> None:
    with reading(desk.business.pk):
        doubt = desk.exports().filter(run=run, state=State.SENT).count()
    failed = run.rows_failed + run.receipts_failed
    doubt += desk.unseen
    if not failed and not doubt:
        status = Status.SUCCESS
    else:
        status = Status.PARTIAL if run.rows_posted or doubt else Status.FAILED
    runs.finish(run, status, _summary(run, doubt - desk.unseen, desk.unseen, desk.books.label))


def _summary(run: SyncRun, doubt: int, unseen: int, label: str) -> str:
    """The sentence beside the status, numbers first; nothing where all went well."""
    parts = []
    if run.rows_failed:
        parts.append(f"{run.rows_failed} need{'s' if run.rows_failed == 1 else ''} you")
    if doubt:
        parts.append(_in_doubt(doubt, label))
    if unseen:
        parts.append(f"{unseen} could not be looked for in {label} yet")
    if run.receipts_failed:
        parts.append(f"{run.receipts_failed} receipt{'' if run.receipts_failed == 1 else 's'} could not be attached")
    coming = run.receipts_due - run.receipts_done - run.receipts_failed
    if coming > 0:
        parts.append(f"{coming} receipt{' follows' if coming == 1 else 's follow'} with a later sync")
    return f"{', '.join(parts)}." if parts else ""


def _in_doubt(count: int, label: str) -> str:
    return f"{count} {'is' if count == 1 else 'are'} being checked with {label}"


def _cancelled(run: SyncRun) -> None:
    with reading(run.business_id):
        doubt = Export.objects.filter(business_id=run.business_id, run=run, state=State.SENT).count()
    left = max(run.rows_due - run.rows_posted - run.rows_failed - doubt, 0)
    parts = [
        f"{run.rows_posted} {'was' if run.rows_posted == 1 else 'were'} posted",
        *([_in_doubt(doubt, registry.ALL[run.system].label)] if doubt else []),
        f"{left} {'was' if left == 1 else 'were'} not sent; what was not sent goes with the next sync.",
    ]
    runs.finish(run, Status.CANCELLED, ", ".join(parts))


def _our_fault(run: SyncRun) -> str:
    return (
        f"Something is wrong on our side, and the sync stopped after {CRASHES} tries. Nothing is lost. "
        f"Tell support the reference run-{run.pk}."
    )
