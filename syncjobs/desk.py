"""What one slice works with: the connection, both doors to the outside, the lease, and the run it reports to."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from connectors import registry
from connectors.connector import Connector
from connectors.errors import NotAuthorized
from connectors.models import Connection
from connectors.pex import auth as pex_auth
from connectors.pex.client import PexClient
from connectors.records import Entry, Kind, Party, Sent, Source
from connectors.settings import Settings
from pexsync.accounts.tenancy import reading, scope
from syncjobs import keys, lease, ledger, notices, runs
from syncjobs.delivery import Delivery, Done
from syncjobs.judge import Rules
from syncjobs.models import Export, PreviewRow, SyncRun
from syncjobs.transitions import State, Who

MOST_ENTRIES = 10_000  # kept between checking and sending; the others are coded once more
SLICE = 180.0  # seconds after which a slice hands over to the next


class Cancelled(Exception):
    """A person asked the run to stop."""


class OutOfTime(Exception):
    """The slice is long enough; the next one goes on."""


class Desk:
    """Use it in a `with`. `run` is None while rows of ended runs are looked at again.

    PEX is opened when it is first needed: rows in doubt are looked for while PEX cannot be reached.
    """

    def __init__(self, connection: Connection, held: lease.Held, run: SyncRun | None) -> None:
        self.connection, self.business, self.held, self.run = connection, connection.business, held, run
        self.target = connection.target
        self.settings = Settings.parse(connection.settings)
        self.rules: Rules | None = None  # known once PEX and the books were asked
        self.new_parties: dict[Party, Entry] = {}  # an entry for each party met while checking
        self.entries: dict[str, Entry] = {}  # by key: what this slice found due, up to `MOST_ENTRIES`
        self.silent = 0  # batches in a row that got no answer at all
        self.unseen = 0  # rows in doubt that no complete look has covered: they stay due
        self._ends = time.monotonic() + SLICE
        self._shown: dict[int | None, Done] = {}
        self._stack = ExitStack()
        self._pex: PexClient | None = None
        self._delivery: Delivery | None = None
        self._undelivered: list[Export] = []

    def __enter__(self) -> "Desk":
        with self._stack as stack:
            self.books: Connector = stack.enter_context(registry.open_connector(self.connection))
            self.pool = stack.enter_context(ThreadPoolExecutor(max_workers=5, thread_name_prefix="facts"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None or issubclass(kind, Exception):
            self._count_receipts()
            self._give_back()

    def _give_back(self) -> None:
        """Rows were marked as having their note under way, and PEX was never open: it did not leave."""
        if self._undelivered:
            with scope(self.business.pk):
                mine = Export.objects.filter(pk__in=[row.pk for row in self._undelivered], note_state="sent")
                mine.update(note_state="", note_at=None)

    @property
    def pex(self) -> PexClient:
        """Raises `NotAuthorized` when nobody's sign-in to PEX lives, `RetryLater`."""
        if self._pex is None:
            self._pex = self._stack.enter_context(pex_auth.client_for(self.business))
        return self._pex

    @property
    def delivery(self) -> Delivery:
        """Carries notes and receipts; raises what `pex` raises."""
        if self._delivery is None:
            self._delivery = self._stack.enter_context(Delivery(self.business.pk, self.pex, self.books))
            self._delivery.add(self._undelivered)
            self._undelivered = []
        return self._delivery

    def deliver(self, posted: Sequence[Export]) -> None:
        """What these rows owe goes out now, or as soon as PEX is open."""
        if self._delivery is None:
            self._undelivered += posted
        else:
            self._delivery.add(posted)

    def actor(self, who: Who) -> ledger.Actor:
        return ledger.Actor(self.business.pk, who, self.run)

    def owed(self, note: bool) -> ledger.Owed:
        """What a row still owes once it is posted."""
        return ledger.Owed(note=note, receipts=self.settings.receipts)

    # --- the ledger rows of this connection ---

    def exports(self) -> QuerySet[Export]:
        return Export.objects.filter(business_id=self.business.pk, system=self.connection.system)

    def covers(self, kind: str) -> bool:
        """Whether rows of a kind may go out now: a run may be asked for some kinds only."""
        return self.run is None or self.run.covers(kind)

    def due(self) -> QuerySet[Export]:
        """What may go out now. Of a preview that was confirmed: what was ticked in it, and is still what was shown."""
        due = self.exports().filter(state=State.DUE, waiting="")
        if self.run is not None and self.run.only:
            due = due.filter(kind__in=self.run.only)
        if self.run is None or self.run.confirmed_at is None:
            return due
        ticked = self.run.shown.filter(state=PreviewRow.State.READY, chosen=True)
        same = {name: OuterRef(name) for name in ("source", "pex_id", "fingerprint")}
        return due.filter(Exists(ticked.filter(**same)))

    def url_of(self, key: str, card_account: int | None) -> str:
        return self.books.url_of(self.business.pex_id, key, card_account)

    # --- between two steps ---

    def step(self) -> None:
        """Show that the slice lives. Raises `OutOfTime`, and what `alive` raises."""
        self.alive()
        if time.monotonic() > self._ends:
            raise OutOfTime

    def alive(self) -> None:
        """As `step`, within work that cannot be divided. Raises `Cancelled` when a person asked for it, `Lost`."""
        self.held.step()
        if self.held.lost:
            raise lease.Lost
        if self.run is None:
            return
        with reading(self.business.pk):
            asked = SyncRun.objects.filter(pk=self.run.pk).values_list("cancel_asked_at", flat=True).first()
        if asked:
            raise Cancelled

    def progress(self, **columns: Any) -> None:
        if self.run is not None:
            runs.progress(self.run, **columns)

    def add(self, **numbers: Any) -> None:
        if self.run is not None and any(numbers.values()):
            runs.add(self.run, **numbers)

    def sent_by_this_run(self, export: Export) -> bool:
        return self.run is not None and export.run_id == self.run.pk

    def count_posted(self, exports: Sequence[Export]) -> None:
        """Rows that an earlier run sent are that run's."""
        mine = [row.amount for row in exports if self.sent_by_this_run(row)]
        self.add(rows_posted=len(mine), amount_posted=sum(mine, Decimal()))

    def show_receipts(self) -> None:
        """Add to the runs what the delivery did with their receipts since it was last shown."""
        self.step()
        self._count_receipts()

    def _count_receipts(self) -> None:
        if self._delivery is None:
            return
        for run_id, done in self._delivery.done.items():
            shown = self._shown.get(run_id, Done())
            counts = {
                "receipts_due": done.found - shown.found,
                "receipts_done": done.attached - shown.attached,
                "receipts_failed": done.failed - shown.failed,
            }
            self._shown[run_id] = replace(done)
            if run_id is None or not any(counts.values()):
                continue
            if self.run is not None and run_id == self.run.pk:
                self.add(**counts)
            else:
                runs.add_late(self.business.pk, run_id, **counts)

    @contextmanager
    def asking_books(self) -> Iterator[None]:
        """Whatever the books are asked for: a sign-in that has ended is theirs, and people are told so."""
        try:
            yield
        except NotAuthorized as error:
            self.books_lost(error)
            raise

    def books_lost(self, error: NotAuthorized) -> None:
        notices.signed_out(self.connection, error.says)


def key_of(export: Export) -> str:
    return keys.key(Source(export.source), export.pex_id, export.generation)


def earlier_keys(source: str, pex_id: int, generation: int) -> tuple[str, ...]:
    return tuple(keys.key(Source(source), pex_id, past) for past in range(1, generation))


def as_sent(export: Export, connection: Connection, books: Connector) -> Sent:
    """What the ledger froze when the row was claimed, never today's settings; those only for one never claimed."""
    key = key_of(export)
    return Sent(
        key=key,
        amount=export.amount,
        record_id=export.record_id,
        date=export.posting_date,
        account=export.pex_account or Settings.parse(connection.settings).pex_account,
        url=books.url_of(connection.business.pex_id, key, export.card_account),
        in_doubt=True,
        earlier=earlier_keys(export.source, export.pex_id, export.generation),
        kind=Kind(export.kind),
    )
