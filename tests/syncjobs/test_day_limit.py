"""Where the books allow few calls a day: documents first, receipts with what is left, and the rest the next day."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.xero.client import CALLS_FOR_DOCUMENTS, CALLS_FOR_LOOKS
from connectors.xero.connector import Xero
from syncjobs import engine, sweeper
from syncjobs.delivery import CARRIERS
from syncjobs.models import SyncRun
from tests import make
from tests.syncjobs.following import posts

pytestmark = pytest.mark.database

Status = SyncRun.Status
ROOM = 20  # calls for one sync and some receipts
KEPT = CALLS_FOR_LOOKS + CALLS_FOR_DOCUMENTS


@pytest.fixture
def allowed(acme, sandbox) -> Callable[[int], None]:
    """Xero allows so many calls a day, from now on."""

    def calls(most: int) -> None:
        world = sandbox.worlds["xero"]
        world.switches.limits, world.switches.minute_limit, world.switches.day_limit = True, 10_000, most
        world.windows.begin(acme.books.id, sandbox.clock.now())

    return calls


def made(world: make.World) -> list[Any]:
    return list(world.sandbox.calls.matching("xero-api"))


def refused(world: make.World) -> int:
    """Calls in a window where none was allowed any more."""
    return sum(call.status == 429 for call in made(world))


def attached(world: make.World) -> int:
    return sum(len(record.attachments) for record in world.books.live())


def wake(world: make.World) -> None:
    for connection in sweeper.unsettled_connections():
        engine.settle(connection)


@pytest.fixture
def tight(acme, allowed) -> SyncRun:
    """A sync of 24 purchases with 20 receipts, on a day that has room for about half of the receipts."""
    allowed(KEPT + ROOM)
    for number in range(24):
        acme.purchase(f"{number + 1}.00", receipts=["png"] if number < 20 else [])
    return acme.sync()


class TestDocumentsFirst:
    def test_the_run_ends_with_its_documents_and_receipts_wait(self, acme, tight):
        assert (tight.status, tight.rows_posted) == (Status.SUCCESS, 24)
        assert len(acme.books.live()) == 24
        assert 0 < attached(acme) < 20
        assert (tight.receipts_due, tight.receipts_failed) == (20, 0)
        assert "still to follow" in tight.says
        assert refused(acme) == 0

    def test_the_calls_of_the_rest_of_the_day_are_left(self, acme, tight):
        assert len(made(acme)) <= ROOM + 1
        before = attached(acme)
        acme.purchase("500.00", receipts=["png"])
        assert acme.sync().rows_posted == 1
        assert attached(acme) == before
        assert refused(acme) == 0

    def test_what_must_wait_is_not_fetched_from_pex(self, acme, tight):
        fetched = acme.sandbox.calls.matching("pex", "GET", "/Attachment/")
        assert len(fetched) <= attached(acme) + CARRIERS

    def test_notes_go_out_all_the_same(self, acme, tight):
        noted = [row for row in acme.pex.transactions.values() if any("Synced with" in note.text for note in row.notes)]
        assert len(noted) == 24

    def test_they_follow_by_themselves_when_there_are_new_calls(self, acme, tight, travel):
        before = len(made(acme))
        for _ in range(4):
            travel(hours=5)
            wake(acme)
        assert len(made(acme)) == before, "nobody asks before the new day"
        for _ in range(3):
            travel(hours=25)
            wake(acme)
        assert attached(acme) == 20
        assert refused(acme) == 0
        tight.refresh_from_db()
        assert (tight.receipts_due, tight.receipts_done) == (20, 20)

    def test_receipts_leave_what_the_documents_still_due_need(self, acme, allowed, monkeypatch):
        monkeypatch.setattr(Xero, "batch_size", 1)
        allowed(CALLS_FOR_LOOKS + 130 + 15)
        for number in range(130):
            acme.purchase(f"{number + 1}.00", receipts=["png"] if number < 60 else [])
        run = acme.sync()
        assert (run.status, run.rows_posted) == (Status.SUCCESS, 130)
        assert refused(acme) == 0

    def test_the_last_calls_are_neither_for_receipts_nor_for_documents(self, acme, allowed):
        allowed(CALLS_FOR_LOOKS + 3)
        acme.purchase("12.50", receipts=["png"])
        run = acme.sync()
        assert run.status == Status.PAUSED
        assert posts(acme) == 0
        assert refused(acme) == 0
