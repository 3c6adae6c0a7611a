"""After posting: the note in PEX and the receipts in the books. Their failure never posts again.

Network in a few threads, the database only in the calling thread and in bulk. What a crash leaves undone is found
again by the row's own columns (`receipts_checked_at`, `note_state`) and by the receipts' states.
"""

import logging
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from connectors.connector import Connector
from connectors.errors import ConnectorError, NoAnswer, NotAuthorized, NotNow, NotReached, RetryLater
from connectors.pex import mapping
from connectors.pex.client import PexClient
from connectors.records import NotSent, Outcome, PexAttachment, Posted, Receipt, Refused, Source, Unknown
from pexsync import clock
from pexsync.accounts.tenancy import scope
from syncjobs import bulk, keys
from syncjobs.models import Export, ExportReceipt

logger = logging.getLogger(__name__)

WORKERS = 8
SAVED_EVERY = 0.25  # seconds, while nothing else is left to do
ODD_ONES = 5  # that may fail in one slice, before it counts as trouble of PEX that all wait for
MOST_BYTES = 25 * 1024 * 1024  # a larger file no system takes

State = ExportReceipt.State


@dataclass
class Done:
    """What a delivery has done so far."""

    found: int = 0
    attached: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    export: Export
    sent: bool  # also when nobody knows: it is repeated only after a read ten minutes later lacks it


@dataclass(frozen=True, slots=True)
class Listed:
    export: Export
    attachments: Sequence[PexAttachment]


@dataclass(frozen=True, slots=True)
class Carried:
    receipt: ExportReceipt
    name: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Stumbled:
    """One list or file PEX could not give now, though it answers: it steps aside and its turn comes again."""

    what: Export | ExportReceipt
    error: RetryLater


Result = Noted | Listed | Carried | Stumbled


class Delivery:
    """Notes and receipts of one slice's posted rows. In a `with`: `collect()` between batches, `drain()` last."""

    def __init__(self, business_id: int, pex: PexClient, books: Connector) -> None:
        self.business_id, self.pex, self.books = business_id, pex, books
        self.done = Done()
        self.trouble: RetryLater | NotAuthorized | None = None  # nothing new begins after one; raised by `drain`
        self._stumbled = 0
        self._carried: set[int] = set()  # receipts on their way now: not twice at once, also when listed anew
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="delivery")
        self._folder = tempfile.TemporaryDirectory(prefix="receipts-")
        self._running: dict[Future[Result], Export | None] = {}  # with the row whose note the job is to send
        self._finished: SimpleQueue[Future[Result]] = SimpleQueue()  # looking through thousands would cost more

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish what is under way, save it, and give back what was not begun; not when the process itself ends."""
        self._pool.shutdown(cancel_futures=True)
        try:
            if kind is None or issubclass(kind, Exception):
                self._take(list(self._running), last=True)
        finally:
            self._folder.cleanup()

    def add(self, exports: Sequence[Export]) -> None:
        """Begin with rows whose note is marked as going out and whose receipts were not listed yet."""
        for export in exports:
            if export.receipts_checked_at is None:
                self._begin(self._list, export)
        self.notes([export for export in exports if export.note_state != "seen"])

    def notes(self, exports: Sequence[Export]) -> None:
        """Begin with rows that only lack their note; it is marked as going out already."""
        for export in exports:
            self._begin(self._note, export)

    def resume(self, listing: Sequence[Export], carrying: Sequence[ExportReceipt]) -> None:
        """Begin with what an earlier slice left: rows never listed, receipts without an outcome."""
        for export in listing:
            self._begin(self._list, export)
        for receipt in carrying:
            self._begin(self._carry, receipt)

    def collect(self) -> None:
        """Save what has come back, without waiting."""
        self._take(self._come_back(within=0))

    def drain(self, step: Callable[[], None]) -> None:
        """Wait for all of it, saving in pieces. Raises the first `RetryLater` or `NotAuthorized` met."""
        while self._running:
            self._take(self._come_back(within=SAVED_EVERY))
            step()
        if self.trouble:
            raise self.trouble

    def _come_back(self, within: float) -> list[Future[Result]]:
        """The jobs that end within so many seconds; at once when none is left."""
        until = time.monotonic() + within
        ended: list[Future[Result]] = []
        while len(ended) < len(self._running):
            try:
                ended.append(self._finished.get(timeout=max(until - time.monotonic(), 0.0001)))
            except Empty:
                break
        return ended

    def _begin(self, job: Callable[[Any], Result], what: Export | ExportReceipt) -> None:
        if isinstance(what, ExportReceipt):
            if what.pk in self._carried:
                return
            self._carried.add(what.pk)
        noting = what if job == self._note and isinstance(what, Export) else None
        future = self._pool.submit(job, what)
        self._running[future] = noting
        future.add_done_callback(self._finished.put)

    def _take(self, finished: Sequence[Future[Result]], last: bool = False) -> None:
        results: list[Result] = []
        for future in finished:
            noting = self._running.pop(future)
            try:
                results.append(future.result())
            except CancelledError:
                if noting is not None:
                    results.append(Noted(noting, sent=False))
            except _Stopped:
                continue
            except (RetryLater, NotAuthorized) as error:
                self.trouble = self.trouble or error
        self._save_notes([result for result in results if isinstance(result, Noted)])
        self._save_lists([result for result in results if isinstance(result, Listed)], begin=not last)
        self._save_carried([result for result in results if isinstance(result, Carried)])
        self._save_stumbled([result for result in results if isinstance(result, Stumbled)])

    # --- in the threads: network only ---

    def _note(self, export: Export) -> Noted:
        if self.trouble:
            return Noted(export, sent=False)
        try:
            self.pex.add_note(
                export.pex_id,
                f"{self.books.note} · {keys.key(Source(export.source), export.pex_id, export.generation)}",
            )
        except NoAnswer:
            return Noted(export, sent=True)
        except (NotReached, RetryLater) as error:
            self.trouble = self.trouble or RetryLater(str(error), error.after)
            return Noted(export, sent=False)
        except NotAuthorized as error:
            self.trouble = self.trouble or error
            return Noted(export, sent=False)
        except ConnectorError as error:
            logger.warning("note refused", extra={"pex_id": export.pex_id, "says": error.says})
            return Noted(export, sent=False)
        return Noted(export, sent=True)

    def _list(self, export: Export) -> Listed | Stumbled:
        if self.trouble:
            raise _Stopped
        try:
            found = [mapping.attachment(one) for one in self.pex.attachments(export.pex_id)]
        except (NotNow, NotAuthorized):
            raise
        except RetryLater as error:
            return Stumbled(export, error)
        except ConnectorError as error:
            logger.warning("receipts not listed", extra={"pex_id": export.pex_id, "says": error.says})
            found = []
        return Listed(export, [one for one in found if one.id])

    def _carry(self, receipt: ExportReceipt) -> Carried | Stumbled:
        """Fetch one receipt from PEX into a temporary file and hand it to the books."""
        if self.trouble:
            raise _Stopped
        export, path = receipt.export, Path(self._folder.name) / str(receipt.pk)
        try:
            file = self.pex.attachment(export.pex_id, receipt.attachment_id, path, MOST_BYTES)
            if not file.extension:
                says = "PEX gave a file that is no picture and no PDF. Replace the receipt in PEX."
                return Carried(receipt, "", Refused(says))
            name = file_name(export.pex_id, receipt.attachment_id, file.extension)
            parcel = Receipt(receipt.attachment_id, name, path, file.content_type, file.size)
            return Carried(receipt, name, self.books.attach(export.record_id, [parcel])[receipt.attachment_id])
        except (NotNow, NotAuthorized):
            raise
        except RetryLater as error:
            return Stumbled(receipt, error)
        except ConnectorError as error:
            return Carried(receipt, "", Refused(error.says))
        finally:
            path.unlink(missing_ok=True)

    # --- in the slice's own thread: the database, in bulk ---

    def _save_notes(self, results: Sequence[Noted]) -> None:
        lacking = [result.export.pk for result in results if not result.sent]
        if lacking:
            with scope(self.business_id):
                Export.objects.filter(pk__in=lacking, note_state="sent").update(note_state="", note_at=None)

    def _save_lists(self, results: Sequence[Listed], begin: bool) -> None:
        """Remember each receipt before it is sent; then send those that are ready, unless this is the end."""
        if not results:
            return
        rows = [self._row(result.export, attachment) for result in results for attachment in result.attachments]
        exports = {result.export.pk: result.export for result in results}
        with scope(self.business_id):
            ExportReceipt.objects.bulk_create(rows, ignore_conflicts=True)
            Export.objects.filter(pk__in=exports, receipts_checked_at=None).update(receipts_checked_at=clock.now())
            saved = self._advance_waiting(rows, exports) if rows else []
        for row in saved:
            if begin and row.state == State.SENT and row.generation == exports[row.export_id].generation:
                row.export = exports[row.export_id]
                self._begin(self._carry, row)
        stamps = {(row.export_id, row.attachment_id): row.at for row in rows}
        news = [row for row in saved if stamps.get((row.export_id, row.attachment_id)) == row.at]
        self.done.found += len(news)
        self.done.failed += sum(row.state == State.FAILED for row in news)

    def _advance_waiting(self, rows: Sequence[ExportReceipt], exports: Mapping[int, Export]) -> list[ExportReceipt]:
        """Return the receipts as stored; those PEX was still loading become what PEX says of them now."""
        said = {(row.export_id, row.attachment_id): row for row in rows}
        saved = list(ExportReceipt.objects.filter(export_id__in=exports))
        changes = []
        for row in saved:
            now = said.get((row.export_id, row.attachment_id))
            if row.state == State.WAITING and now is not None and now.state != State.WAITING:
                row.state, row.at = now.state, now.at
                changes.append((row.pk, {"state": State.WAITING}, {"state": now.state, "says": now.says, "at": now.at}))
        if changes:
            bulk.update_each(ExportReceipt, changes)
        return saved

    def _row(self, export: Export, attachment: PexAttachment) -> ExportReceipt:
        state = State.FAILED if attachment.trouble else State.SENT if attachment.ready else State.WAITING
        return ExportReceipt(
            business_id=self.business_id,
            export=export,
            attachment_id=attachment.id,
            generation=export.generation,
            state=state,
            size=attachment.size,
            says=attachment.trouble or ("" if attachment.ready else "PEX is still loading this receipt."),
            at=clock.now(),
        )

    def _save_carried(self, results: Sequence[Carried]) -> None:
        if not results:
            return
        self._carried.difference_update(result.receipt.pk for result in results)
        rows: list[bulk.Row] = []
        for result in results:
            state, says = _fate(result.outcome)
            becomes = {"state": state, "name": result.name, "says": says[:300], "at": clock.now()}
            rows.append((result.receipt.pk, {}, becomes))
            self.done.attached += state == State.ATTACHED
            self.done.failed += state == State.FAILED
            if isinstance(result.outcome, NotSent):
                says = result.outcome.says or "The remaining receipts wait for their turn."
                self.trouble = self.trouble or RetryLater(says, result.outcome.after)
        with scope(self.business_id):
            bulk.update_each(ExportReceipt, rows)

    def _save_stumbled(self, results: Sequence[Stumbled]) -> None:
        """A receipt waits as if PEX were still loading it; a row whose receipts were not listed is listed later."""
        for result in results:
            logger.warning("receipt put off", extra={"says": result.error.says})
            self._stumbled += 1
            if self._stumbled > ODD_ONES:
                self.trouble = self.trouble or result.error
        waiting = [
            (result.what.pk, {"state": result.what.state}, {"state": State.WAITING, "says": str(result.error)[:300]})
            for result in results
            if isinstance(result.what, ExportReceipt)
        ]
        if waiting:
            at = clock.now()
            with scope(self.business_id):
                bulk.update_each(ExportReceipt, [(pk, was, {**becomes, "at": at}) for pk, was, becomes in waiting])


class _Stopped(Exception):
    """A job that was not begun, because another one met trouble."""


def file_name(pex_id: int, attachment_id: str, ending: str) -> str:
    """Safe everywhere and always the same, so that a repeat overwrites instead of doubling."""
    return f"pex-{pex_id}-{re.sub(r'[^A-Za-z0-9]', '', attachment_id)[:60]}.{ending}"


def _fate(outcome: Outcome) -> tuple[str, str]:
    match outcome:
        case Posted():
            return State.ATTACHED, ""
        case Refused(says=says):
            return State.FAILED, says
        case NotSent(says=says):
            return State.SENT, says
        case Unknown(says=says):
            return State.UNKNOWN, says
