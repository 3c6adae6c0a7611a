"""What one slice works with: the connection, both doors to the outside, the lease, and the run it reports to."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from types import TracebackType
from typing import Any

from django.db.models import QuerySet

from connectors import registry
from connectors.connector import Connector
from connectors.errors import NotAuthorized
from connectors.models import Connection
from connectors.pex import auth as pex_auth
from connectors.pex.client import PexClient
from connectors.records import Entry, Party, Source
from connectors.settings import Settings
from pexsync.accounts.tenancy import reading, scope
from syncjobs import keys, lease, ledger, runs
from syncjobs.delivery import Delivery
from syncjobs.judge import Rules
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import State, Who

MOST_ENTRIES = 10_000  # kept between checking and sending; the others are coded once more
SLICE = 180.0  # seconds after which a slice hands over to the next


class Cancelled(Exception):
    """A person asked the run to stop."""


class OutOfTime(Exception):
    """The slice is long enough; the next one goes on."""


class Desk:
    """Use it in a `with`. `run` is None while rows of ended runs are looked at again."""

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
        self._shown = (0, 0, 0)
        self._stack = ExitStack()

    def __enter__(self) -> "Desk":
        with self._stack as stack:
            self.books: Connector = stack.enter_context(registry.open_connector(self.connection))
            self.pex: PexClient = stack.enter_context(pex_auth.client_for(self.business))
            self.pool = stack.enter_context(ThreadPoolExecutor(max_workers=5, thread_name_prefix="facts"))
            self.delivery = stack.enter_context(Delivery(self.business.pk, self.pex, self.books))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None or issubclass(kind, Exception):
            self._count_receipts()

    def actor(self, who: Who) -> ledger.Actor:
        return ledger.Actor(self.business.pk, who, self.run)

    def owed(self, note: bool) -> ledger.Owed:
        """What a row still owes once it is posted."""
        return ledger.Owed(note=note, receipts=self.settings.receipts)

    # --- the ledger rows of this connection ---

    def exports(self) -> QuerySet[Export]:
        return Export.objects.filter(business_id=self.business.pk, system=self.connection.system)

    def due(self) -> QuerySet[Export]:
        return self.exports().filter(state=State.DUE, waiting="")

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
        """Add to the run what the delivery did since it was last shown."""
        self.step()
        self._count_receipts()

    def _count_receipts(self) -> None:
        done = self.delivery.done
        counted = (done.found, done.attached, done.failed)
        if self.run is None or counted == self._shown:
            return
        found, attached, failed = (now - before for now, before in zip(counted, self._shown, strict=True))
        self._shown = counted
        self.add(receipts_due=found, receipts_done=attached, receipts_failed=failed)
        known = self.run.receipts_done + self.run.receipts_failed
        if known > self.run.receipts_due:  # some were found by an earlier run
            self.progress(receipts_due=known)

    def books_lost(self, error: NotAuthorized) -> None:
        """The books no longer let us in: the connection says so until somebody signs in again."""
        with scope(self.business.pk):
            self.connection.fail(error.says)


def key_of(export: Export) -> str:
    return keys.key(Source(export.source), export.pex_id, export.generation)


def earlier_keys(source: str, pex_id: int, generation: int) -> tuple[str, ...]:
    return tuple(keys.key(Source(source), pex_id, past) for past in range(1, generation))
