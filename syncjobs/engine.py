"""One slice of a run, step by step. The only place that reacts to connector errors.

Each step is committed before the next begins, so that whoever comes after a crash finds in the database what is known
and what is in doubt.
"""

import logging
from datetime import timedelta, tzinfo

from django.conf import settings

from connectors import registry
from connectors.errors import NotAuthorized, NotNow, RetryLater, SettingsNeeded
from connectors.models import Connection
from pexsync import clock
from pexsync.accounts import installation
from pexsync.accounts.tenancy import everywhere, reading
from syncjobs import (
    checking,
    drafts,
    facts,
    fields,
    lease,
    lookalikes,
    notes,
    notices,
    owing,
    preview,
    runs,
    sending,
    shown,
    upkeep,
)
from syncjobs.desk import Cancelled, Desk, OutOfTime
from syncjobs.models import Export, RunResult, SyncRun
from syncjobs.transitions import State

logger = logging.getLogger(__name__)

CRASHES = 5  # slices in a row that died before the run is given up
LONG_WAIT = 60.0  # seconds from which on people are told until when
STRANGER_WAITS = 3600.0  # seconds

Status = SyncRun.Status


def advance(run_id: int) -> None:
    """Work on a run for one slice. Harmless when the run has ended or another slice is at it."""
    run = _run(run_id)
    if run is None or not run.alive:
        return
    wait: float | None = 0.0
    with lease.take(run.target) as held:
        run = _run(run_id) if held else None
        if held and run and _wants_work(run):
            wait = _work(run, held)
            if run.connection and not run.alive:
                owing.end(run.connection, wait or 0.0)
    if wait is None and run:  # woken only now that the lease is free
        runs.wake(run_id, runs.urgency(run))


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


def _work(run: SyncRun, held: lease.Held) -> float | None:
    """Seconds to wait before what is left is tried; None when the next slice is wanted at once."""
    if not installation.ours():
        runs.pause(run, installation.STRANGER, STRANGER_WAITS)
        return STRANGER_WAITS
    if run.cancel_asked_at or run.connection is None:
        _cancelled(run)
        return 0.0
    if reason := _no_way_on(run, run.connection):
        runs.finish(run, Status.FAILED, reason)
        return 0.0
    if run.attempts >= CRASHES:
        runs.finish(run, Status.FAILED, _our_fault(run))
        return 0.0
    started = run.started_at or clock.now()
    runs.progress(run, status=Status.RUNNING, started_at=started, attempts=run.attempts + 1, says="")
    try:
        with Desk(run.connection, held, run) as desk:
            return _slice(desk, run)
    except Cancelled:
        _cancelled(run)
    except OutOfTime:
        runs.progress(run, attempts=0, wake_at=clock.now())
        return None
    except RetryLater as error:
        after = seconds(error)
        runs.progress(run, attempts=0)
        runs.pause(run, _pause_sentence(run, run.connection.business.zone, error, after), after)
    except (NotAuthorized, SettingsNeeded) as error:
        runs.finish(run, Status.FAILED, error.says)
        notices.stopped(run.connection, error)
    except lease.Lost:
        logger.warning("another slice has taken over", extra={"run": run.pk})
    return 0.0


def seconds(error: RetryLater) -> float:
    """How long to wait: what the other side asked for is its own measure of time, whatever ours is scaled to."""
    return error.after if isinstance(error, NotNow) else error.after * settings.PATIENCE


def _pause_sentence(run: SyncRun, zone: tzinfo, error: RetryLater, after: float) -> str:
    """Why it waits and, where that takes longer than a person would sit through, until when and what is left."""
    if after < LONG_WAIT:
        return error.says
    until = (clock.now() + timedelta(seconds=after)).astimezone(zone)
    left = max(run.rows_due - run.rows_posted - run.rows_failed, 0)
    to_go = f", {left:,} to go" if left else ""
    return f"{error.says} Continues {until:%H:%M}{to_go}."


def _no_way_on(run: SyncRun, connection: Connection) -> str:
    """Why a run cannot go on where it began; "" when it can. A run writes to one target."""
    if connection.state == Connection.State.FAILED:
        return connection.failure
    if not connection.ready:
        return "It was disconnected while this sync was under way. What was not sent goes with the next sync."
    if connection.target != run.target:
        word = registry.ALL[connection.system].sync_word
        return f"Another company was chosen while this sync was under way. Press {word} to begin one for that company."
    return ""


def _slice(desk: Desk, run: SyncRun) -> float:
    """Seconds until the receipts and notes that could not go now are tried; 0 when nothing hinders them."""
    freed = sending.settle(desk)  # first of all: rows in doubt ask the books alone, and PEX may be out of reach
    if run.phase in (SyncRun.Phase.SENDING, SyncRun.Phase.RECEIPTS) and any(map(_banks_book_it_too, freed)):
        desk.progress(phase=SyncRun.Phase.CHECKING)
    facts.gather(desk)
    if desk.rules is None:  # pragma: no cover  # gather lays them there
        return 0.0
    if run.phase in (SyncRun.Phase.READING, SyncRun.Phase.CHECKING):
        fields.bring_over(desk, run)
        shown.put_off(desk.connection, desk.step)
        if preview.asks(desk, run) and preview.make(desk, run):
            return 0.0
        checking.check(desk, run)
    notes.read(desk)
    sending.send(desk, desk.rules)
    wait = 0.0
    try:
        _deliver(desk)
    except RetryLater as error:  # the documents are in the books: what they owe follows by itself (rule L7)
        wait = seconds(error)
    drafts.look(desk, run)
    _finish(desk, run, follows=wait > 0)
    return wait


def settle(connection_id: int) -> None:
    """Tend to a connection that has no run: rows in doubt are looked for, and what posted rows owe goes out.

    What is surely not in the books is sent once more.
    """
    with everywhere():
        connection = Connection.objects.select_related("business").filter(pk=connection_id).first()
    if connection is None or not connection.target or not connection.ready or not installation.ours():
        return
    with lease.take(connection.target) as held:
        if held is None:
            return
        owing.begin(connection)
        after = 0.0
        try:
            with Desk(connection, held, None) as desk:
                _settle(desk)
        except (OutOfTime, lease.Lost):
            logger.info("settling goes on later", extra={"connection": connection.pk})
        except (RetryLater, NotAuthorized, SettingsNeeded) as error:
            logger.warning("settling put off", extra={"connection": connection.pk, "says": str(error)})
            sending.put_off(connection, error.after if isinstance(error, RetryLater) else 0.0)
            after = seconds(error) if isinstance(error, RetryLater) else sending.LOOK_AGAIN * settings.PATIENCE
        except Exception:  # a bug of ours must not be run into again every few seconds
            logger.exception("settling failed", extra={"connection": connection.pk})
            sending.put_off(connection, 0.0)
            after = sending.LOOK_AGAIN * settings.PATIENCE
        owing.end(connection, after)


def _banks_book_it_too(row: Export) -> bool:
    """Such a row is compared with the books before it goes again: somebody may have changed the key it is known by."""
    return row.kind in lookalikes.BY_BANK


def _settle(desk: Desk) -> None:
    """What banks book too goes again only with a run, which first compares it with the books (rule L9)."""
    again = frozenset(row.pk for row in sending.settle(desk) if not _banks_book_it_too(row))
    if again:
        facts.gather(desk)
        if desk.rules is not None:
            sending.send(desk, desk.rules, only=again)
    _deliver(desk)


def _deliver(desk: Desk) -> None:
    """Notes and receipts: those of this slice, then whatever earlier slices and runs still owe.

    Raises what stops the notes, and where nothing does, what receipts wait for.
    """
    desk.progress(phase=SyncRun.Phase.RECEIPTS)
    desk.delivery.leaves = sending.calls_due(desk)
    desk.delivery.drain(desk.show_receipts)
    upkeep.resume(desk)
    if desk.run is None:
        upkeep.ask_again(desk)
    desk.delivery.drain(desk.show_receipts)
    desk.delivery.check_receipts()


def _finish(desk: Desk, run: SyncRun, follows: bool) -> None:
    desk.show_receipts()
    with reading(desk.business.pk):
        doubt = desk.exports().filter(run=run, state=State.SENT).count()
        changed = RunResult.objects.filter(run=run, cause=shown.CHANGED).count() if run.confirmed_at else 0
    failed = run.rows_failed + run.receipts_failed
    doubt += desk.unseen
    behind = run.fields_due > run.fields_done
    if not failed and not doubt:
        status = Status.PARTIAL if behind else Status.SUCCESS
    else:
        status = Status.PARTIAL if run.rows_posted or doubt else Status.FAILED
    runs.finish(run, status, _summary(run, doubt - desk.unseen, desk.unseen, changed, desk.books.label, follows))


def _summary(run: SyncRun, doubt: int, unseen: int, changed: int, label: str, follows: bool) -> str:
    """The sentence beside the status, numbers first; nothing where all went well."""
    parts = []
    if needing_you := run.rows_failed - changed:
        parts.append(f"{needing_you} need{'s' if needing_you == 1 else ''} you")
    if changed:
        parts.append(f"{changed} changed after you looked and {'goes' if changed == 1 else 'go'} with the next sync")
    if doubt:
        parts.append(_in_doubt(doubt, label))
    if unseen:
        parts.append(f"{unseen} could not be looked for in {label} yet")
    if run.receipts_failed:
        parts.append(f"{run.receipts_failed} receipt{'' if run.receipts_failed == 1 else 's'} could not be attached")
    coming = run.receipts_due - run.receipts_done - run.receipts_failed
    if coming > 0 or follows:
        parts.append(f"{_receipts(coming)} still to follow when it ended")
    if parts and (behind := run.fields_due - run.fields_done):  # alone, pages say it with what went well
        parts.append(f"{behind} tag list{'' if behind == 1 else 's'} {'was' if behind == 1 else 'were'} not updated")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _receipts(coming: int) -> str:
    if coming > 0:
        return f"{coming} receipt{' was' if coming == 1 else 's were'}"
    return "receipts and notes were"


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
