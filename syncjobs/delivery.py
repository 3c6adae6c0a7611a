"""After posting: the note in PEX and the receipts in the books. Their failure never posts again.

Network in a few threads, the database only in the calling thread and in bulk. What a crash leaves undone is found
again by the row's own columns (`receipts_checked_at`, `note_state`) and by the receipts' states.
"""

import logging
import re
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings

from connectors import pace
from connectors.connector import Connector, Deadline
from connectors.errors import ConnectorError, NoAnswer, NotAuthorized, NotNow, NotReached, RetryLater
from connectors.pex import mapping
from connectors.pex.client import PexClient
from connectors.records import (
    ExpectedReceipt,
    NotSent,
    Outcome,
    PexAttachment,
    Posted,
    Receipt,
    Refused,
    Source,
    Unknown,
)
from pexsync import clock
from pexsync.accounts.tenancy import scope
from syncjobs import bulk, keys, receipts
from syncjobs.models import Export, ExportReceipt

logger = logging.getLogger(__name__)

WRITERS, CARRIERS = 3, 6  # threads for notes, which must leave soon after their mark, and for receipts
SAVED_EVERY = 0.25  # seconds, while nothing else is left to do
ODD_ONES = 5  # that may fail in one slice, before it counts as trouble of PEX that all wait for
MOST_BYTES = 25 * 1024 * 1024  # a larger file no system takes
NOTES_AHEAD = 8 * WRITERS  # handed to the threads; the others wait for their mark
SENDING = timedelta(seconds=30)  # a note leaves within this of its mark or not at all: somebody else may repeat it
FRESH = timedelta(seconds=15)  # an older mark is renewed before the note is handed on
NOT_TAKEN = "PEX did not take its note"
ROOM = 50  # receipts the books get ready for at once, where they can
PDF = "pdf"  # what PEX calls such a receipt; the others are images

State = ExportReceipt.State


@dataclass
class Done:
    """What a delivery has done so far with the receipts of one run's rows."""

    found: int = 0
    attached: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of a note. `late`: its mark was too old, and it was not sent. `refused`: what PEX said."""

    export: Export
    sent: bool  # also when nobody knows: it is repeated only after a read ten minutes later lacks it
    late: bool = False
    refused: str = ""


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
class Roomed:
    """The books are ready for these, or could not be made so: either way they are carried now."""

    receipts: Sequence[ExportReceipt]


@dataclass(frozen=True, slots=True)
class Stumbled:
    """One list or file PEX could not give now, though it answers: it steps aside and its turn comes again."""

    what: Export | ExportReceipt
    error: RetryLater


Result = Noted | Listed | Roomed | Carried | Stumbled


class InFlight:
    """How many bytes of receipts this process has on its disk and on the wire at once."""

    def __init__(self, most: int) -> None:
        self.most, self._held, self._changed = most, 0, threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until so many bytes fit; one that never would goes alone."""
        size = min(size, self.most)
        with self._changed:
            self._changed.wait_for(lambda: self._held + size <= self.most)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


IN_FLIGHT = InFlight(64 * 1024 * 1024)  # shared by all slices of this process


class Delivery:
    """Notes and receipts of one slice's posted rows. In a `with`: `collect()` between batches, `drain()` last."""

    def __init__(self, business_id: int, pex: PexClient, books: Connector) -> None:
        self.business_id, self.pex, self.books = business_id, pex, books
        self.done: defaultdict[int | None, Done] = defaultdict(Done)  # by the run that sent the row
        self.trouble: RetryLater | NotAuthorized | None = None  # nothing new begins after one; raised by `drain`
        self.receipts_wait: RetryLater | None = None  # the books take none for now: lists and notes go on all the same
        self.leaves = 0  # calls the documents still due need: of those the books allow today receipts leave so many
        self._stumbled = 0
        self._carried: set[int] = set()  # receipts on their way now: not twice at once, also when listed anew
        self._notes: deque[Export] = deque()  # rows whose note waits for a thread
        self._expected: dict[int, tuple[ExportReceipt, bool]] = {}  # that wait for room: the receipt, whether a PDF
        self._lists: set[Future[Result]] = set()  # lists on their way: what they tell may share that room
        self._writers = ThreadPoolExecutor(max_workers=WRITERS, thread_name_prefix="notes")
        self._carriers = ThreadPoolExecutor(max_workers=CARRIERS, thread_name_prefix="receipts")
        self._folder = tempfile.TemporaryDirectory(prefix="receipts-")
        self._running: dict[Future[Result], Export | None] = {}  # with the row whose note the job is to send
        self._finished: SimpleQueue[Future[Result]] = SimpleQueue()  # looking through thousands would cost more

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish what is under way, save it, and give back what was not begun; not when the process itself ends."""
        self._writers.shutdown(cancel_futures=True)
        self._carriers.shutdown(cancel_futures=True)
        try:
            if kind is None or issubclass(kind, Exception):
                self._take(list(self._running), last=True)
                self._give_back(self._notes)
        finally:
            self._folder.cleanup()

    def add(self, exports: Sequence[Export]) -> None:
        """Begin with rows just posted: their note is marked as going out, their receipts were not listed yet."""
        for export in exports:
            if export.receipts_checked_at is None:
                self._begin(self._list, export)
        self.notes([export for export in exports if export.note_state != "seen"])

    def notes(self, exports: Sequence[Export]) -> None:
        """Begin with rows that only lack their note, marked as going out or not."""
        self._notes.extend(exports)
        self._hand_on_notes()

    def resume(self, listing: Sequence[Export], carrying: Sequence[ExportReceipt]) -> None:
        """Begin with what an earlier slice left: rows to be listed, for the first time or again, and receipts."""
        for export in listing:
            self._begin(self._list, export)
        for receipt in carrying:
            self._begin(self._carry, receipt)

    def collect(self) -> None:
        """Save what has come back, without waiting."""
        self._take(self._come_back(within=0))

    def drain(self, step: Callable[[], None]) -> None:
        """Wait for all of it, saving in pieces. Raises the first `RetryLater` or `NotAuthorized` that stops it all."""
        while self._running or (self._notes and not self.trouble):
            self._take(self._come_back(within=SAVED_EVERY))
            step()
        if self.trouble:
            raise self.trouble

    def check_receipts(self) -> None:
        """Raises the `RetryLater` for which receipts wait, where they do."""
        if self.receipts_wait:
            raise self.receipts_wait

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
        if not isinstance(what, ExportReceipt) or self._claims(what):
            self._submit(job, what)

    def _claims(self, receipt: ExportReceipt) -> bool:
        """Whether nobody in this process has taken it to carry before: from now on somebody has."""
        first = receipt.pk not in self._carried
        self._carried.add(receipt.pk)
        return first

    def _submit(self, job: Callable[[Any], Result], what: Any) -> None:
        noting = what if job == self._note and isinstance(what, Export) else None
        pool = self._writers if noting is not None else self._carriers
        future = pool.submit(job, what)
        self._running[future] = noting
        if job == self._list:
            self._lists.add(future)
        future.add_done_callback(self._finished.put)

    # --- room in the books, where they can be made ready for many receipts at once ---

    def _expect(self, receipt: ExportReceipt, pdf: bool) -> None:
        if self._claims(receipt):
            self._expected[receipt.pk] = receipt, pdf

    def _ask_for_room(self) -> None:
        """For full rooms at once; for the rest when no list is on its way that could fill it."""
        while len(self._expected) >= ROOM or (self._expected and not self._lists):
            self._submit(self._make_room, [self._expected.pop(pk) for pk in list(self._expected)[:ROOM]])

    def _take(self, finished: Sequence[Future[Result]], last: bool = False) -> None:
        results: list[Result] = []
        for future in finished:
            noting = self._running.pop(future)
            self._lists.discard(future)
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
        if not last:
            self._carry_all([result for result in results if isinstance(result, Roomed)])
            self._ask_for_room()
            self._hand_on_notes()

    def _carry_all(self, rooms: Sequence[Roomed]) -> None:
        for room in rooms:
            for receipt in room.receipts:
                self._submit(self._carry, receipt)

    def _hand_on_notes(self) -> None:
        """Hand the threads as many notes as will leave soon, each with a mark that is new."""
        room = NOTES_AHEAD - sum(noting is not None for noting in self._running.values())
        if self.trouble or not self._notes or room <= 0:
            return
        some = [self._notes.popleft() for _ in range(min(room, len(self._notes)))]
        for export in self._marked(some):
            self._begin(self._note, export)

    def _marked(self, exports: Sequence[Export]) -> list[Export]:
        """Those that are marked as going out now; not those that somebody else has changed meanwhile."""
        now = clock.now()
        fresh = now - FRESH * settings.PATIENCE
        old = [row for row in exports if row.note_state != "sent" or row.note_at is None or row.note_at < fresh]
        renewed: set[int] = set()
        if old:
            becomes = {"note_state": "sent", "note_at": now}
            with scope(self.business_id):
                renewed = bulk.update_each(Export, [(row.pk, _mark_of(row), becomes) for row in old])
            for row in old:
                row.note_state, row.note_at = "sent", now
        lost = {row.pk for row in old} - renewed
        return [row for row in exports if row.pk not in lost]

    def _give_back(self, exports: Sequence[Export] | deque[Export]) -> None:
        """Notes that surely did not leave: whoever comes next sends them."""
        marked = [row for row in exports if row.note_state == "sent"]
        rows = [(row.pk, _mark_of(row), {"note_state": "", "note_at": None}) for row in marked]
        if rows:
            with scope(self.business_id):
                bulk.update_each(Export, rows)

    # --- in the threads: network only ---

    def _note(self, export: Export) -> Noted:
        if self.trouble:
            return Noted(export, sent=False)
        deadline = _deadline(export)
        key = keys.key(Source(export.source), export.pex_id, export.generation)
        try:
            self.pex.add_note(export.pex_id, f"{self.books.note} · {key}", deadline=deadline)
        except NoAnswer:
            return Noted(export, sent=True)
        except (NotReached, RetryLater) as error:
            if deadline.passed:
                return Noted(export, sent=False, late=True)
            self.trouble = self.trouble or RetryLater(str(error), error.after)
            return Noted(export, sent=False)
        except NotAuthorized as error:
            self.trouble = self.trouble or error
            return Noted(export, sent=False)
        except ConnectorError as error:
            logger.warning("note refused", extra={"pex_id": export.pex_id, "says": error.says})
            return Noted(export, sent=False, refused=error.says)
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

    def _make_room(self, expected: Sequence[tuple[ExportReceipt, bool]]) -> Roomed:
        """Each receipt, and whether it is a PDF. Where it fails they are carried all the same: `attach` manages.

        Books that take nothing for now take no receipt either: notes and lists go on.
        """
        if self.trouble or self.receipts_wait:
            raise _Stopped
        rooms: defaultdict[str, list[ExpectedReceipt]] = defaultdict(list)
        for receipt, pdf in expected:
            name = stem(receipt.export.pex_id, receipt.attachment_id)
            rooms[receipt.export.record_id].append(ExpectedReceipt(receipt.attachment_id, name, pdf))
        try:
            with pace.leaving(self.leaves):
                self.books.make_room(rooms)
        except NotNow as error:
            self.receipts_wait = self.receipts_wait or error
            raise _Stopped from error
        except NotAuthorized:
            raise
        except ConnectorError as error:
            logger.warning("no room made for receipts", extra={"receipts": len(expected), "says": error.says})
        return Roomed([receipt for receipt, _ in expected])

    def _carry(self, receipt: ExportReceipt) -> Carried | Stumbled:
        """Fetch one receipt from PEX into a temporary file and hand it to the books."""
        if self.trouble or self.receipts_wait:
            raise _Stopped
        export, path = receipt.export, Path(self._folder.name) / str(receipt.pk)
        try:
            with IN_FLIGHT.hold(receipt.size or MOST_BYTES):
                return self._carried_over(receipt, export, path)
        except (NotNow, NotAuthorized):
            raise
        except RetryLater as error:
            return Stumbled(receipt, error)
        except ConnectorError as error:
            return Carried(receipt, "", Refused(error.says))
        finally:
            path.unlink(missing_ok=True)

    def _carried_over(self, receipt: ExportReceipt, export: Export, path: Path) -> Carried:
        file = self.pex.attachment(export.pex_id, receipt.attachment_id, path, MOST_BYTES)
        if not file.extension:
            says = "PEX gave a file that is no picture and no PDF. Replace the receipt in PEX."
            return Carried(receipt, "", Refused(says))
        name = file_name(export.pex_id, receipt.attachment_id, file.extension)
        parcel = Receipt(receipt.attachment_id, name, path, file.content_type, file.size)
        with pace.leaving(self.leaves):
            outcome = self.books.attach(export.record_id, [parcel])[receipt.attachment_id]
        if isinstance(outcome, NotSent) and not self.receipts_wait:
            says = outcome.says or "The remaining receipts wait for their turn."
            self.receipts_wait = RetryLater(says, outcome.after)
        return Carried(receipt, name, outcome)

    # --- in the slice's own thread: the database, in bulk ---

    def _save_notes(self, results: Sequence[Noted]) -> None:
        self._notes.extend(result.export for result in results if result.late)
        unsent = [result for result in results if not result.sent and not result.late]
        self._give_back([result.export for result in unsent if not result.refused])
        self._save_refused([result for result in unsent if result.refused])
        self._forget_refusals([result.export for result in results if result.sent])

    def _save_refused(self, results: Sequence[Noted]) -> None:
        """A note PEX refuses is tried again a day later: the row keeps when it was refused, and why."""
        now = clock.now()
        rows = [
            (
                result.export.pk,
                _mark_of(result.export),
                {"note_state": "", "note_at": now, "says": f"{NOT_TAKEN}: {result.refused}"[:500]},
            )
            for result in results
        ]
        if rows:
            with scope(self.business_id):
                bulk.update_each(Export, rows)

    def _forget_refusals(self, exports: Sequence[Export]) -> None:
        taken = [row.pk for row in exports if row.says.startswith(NOT_TAKEN)]
        if taken:
            with scope(self.business_id):
                Export.objects.filter(pk__in=taken, says__startswith=NOT_TAKEN).update(says="")

    def _save_lists(self, results: Sequence[Listed], begin: bool) -> None:
        """Remember each receipt before it is sent; then send those that are ready, unless this is the end."""
        if not results:
            return
        rows = [self._row(result.export, attachment) for result in results for attachment in result.attachments]
        exports = {result.export.pk: result.export for result in results}
        with scope(self.business_id):
            ExportReceipt.objects.bulk_create(rows, ignore_conflicts=True)
            bulk.update_each(Export, [_listed(export, clock.now()) for export in exports.values()])
            saved, advanced = self._advance_waiting(rows, exports) if rows else ([], set())
        stamps = {(row.export_id, row.attachment_id): row.at for row in rows}
        news = [row for row in saved if stamps.get((row.export_id, row.attachment_id)) == row.at]
        never_tried = {row.pk for row in news} - advanced if self.books.makes_room else set()
        kinds = {(result.export.pk, each.id): each.kind for result in results for each in result.attachments}
        for row in saved:
            if begin and row.state == State.SENT and row.generation == exports[row.export_id].generation:
                row.export = exports[row.export_id]
                if row.pk in never_tried:
                    self._expect(row, kinds[row.export_id, row.attachment_id].casefold() == PDF)
                else:
                    self._begin(self._carry, row)
        for row in news:
            done = self.done[exports[row.export_id].run_id]
            done.found += 1
            done.failed += row.state == State.FAILED

    def _advance_waiting(
        self, rows: Sequence[ExportReceipt], exports: Mapping[int, Export]
    ) -> tuple[list[ExportReceipt], set[int]]:
        """Return the receipts as stored, and the ids of those PEX was still loading: they become what PEX says now."""
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
        return saved, {pk for pk, _, _ in changes}

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
            done = self.done[result.receipt.export.run_id]
            done.attached += state == State.ATTACHED
            done.failed += state == State.FAILED
        with scope(self.business_id):
            bulk.update_each(ExportReceipt, rows)

    def _save_stumbled(self, results: Sequence[Stumbled]) -> None:
        """A receipt waits as if PEX were still loading it; a row whose receipts were not listed is listed later.

        One listed before steps back behind the others: those who ask again ask about the longest due first.
        """
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
        at = clock.now()
        known = [
            result.what for result in results if isinstance(result.what, Export) and result.what.receipts_checked_at
        ]
        with scope(self.business_id):
            if waiting:
                bulk.update_each(ExportReceipt, [(pk, was, {**becomes, "at": at}) for pk, was, becomes in waiting])
            if known:
                again = [(row, receipts.put_off(row.posted_at, at)) for row in known]
                bulk.update_each(Export, [(row.pk, _as_listed(row), {"receipts_again_at": on}) for row, on in again])


class _Stopped(Exception):
    """A job that was not begun, because another one met trouble."""


def _listed(export: Export, at: datetime) -> bulk.Row:
    """PEX told the receipts of a row: when it was, and when it is asked again."""
    later = receipts.come_later(export.kind, export.amount)
    again = receipts.next_check(export.posted_at, at) if later else None
    return export.pk, _as_listed(export), {"receipts_checked_at": at, "receipts_again_at": again}


def _as_listed(export: Export) -> dict[str, Any]:
    """What the row must still be: sent again as another generation it has not been listed yet."""
    return {"generation": export.generation}


def _mark_of(export: Export) -> dict[str, Any]:
    """What the row must still say of its note, so that nobody takes away another one's mark."""
    return {"note_state": export.note_state, "note_at": export.note_at}


def _deadline(export: Export) -> Deadline:
    marked = clock.now() - export.note_at if export.note_at else timedelta()
    return Deadline.after((SENDING * settings.PATIENCE - marked).total_seconds())


def file_name(pex_id: int, attachment_id: str, ending: str) -> str:
    """Safe everywhere and always the same, so that a repeat overwrites instead of doubling."""
    return f"{stem(pex_id, attachment_id)}.{ending}"


def stem(pex_id: int, attachment_id: str) -> str:
    return f"pex-{pex_id}-{re.sub(r'[^A-Za-z0-9]', '', attachment_id)[:60]}"


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
