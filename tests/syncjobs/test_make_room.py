"""Books that can get ready for many receipts at once are asked to; whatever comes of it, each receipt goes once."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.dynamics365.connector import Dynamics365
from connectors.errors import NotNow, RetryLater, SettingsNeeded
from pexsync import clock
from syncjobs import delivery, engine, runs
from syncjobs.models import ExportReceipt, SyncRun
from syncjobs.transitions import State
from tests import make
from tests.syncjobs.conftest import Died
from tests.syncjobs.following import NOTE, export_of, work

pytestmark = pytest.mark.database

Status = SyncRun.Status
Receipt = ExportReceipt.State
ROOM = {"system": "bc-api", "method": "POST", "path": r"\$batch$", "contains": '"parentType"'}
ENTRIES = {"system": "bc-api", "method": "POST", "path": r"\$batch$", "contains": '"accountType"'}
ONE_FILE = {"system": "bc-api", "method": "POST", "path": r"/attachments$"}
CONTENT = {"system": "bc-api", "method": "PATCH", "path": r"/attachmentContent$"}


def watch(world: make.World) -> None:
    """Keep what is asked when room is made, and let it through. Faults that are to strike such calls come before."""
    world.sandbox.faults.add("slow", **ROOM, seconds=0, times=None)


def rooms(world: make.World) -> list[list[str]]:
    """The names of the files each of those calls asked for."""
    asked = [strike.body for strike in world.sandbox.faults.strikes if b'"parentType"' in strike.body]
    return [[one["body"]["fileName"] for one in json.loads(body)["requests"]] for body in asked]


def files(world: make.World) -> list[tuple[str, bool]]:
    """The name of each file there, and whether it has its bytes."""
    return sorted((file.name, bool(file.content)) for file in world.books.attachments.values())


def buy(world: make.World, count: int, *receipts: str) -> list[Any]:
    return [world.purchase(f"{number}.00", receipts=receipts or ["png"]) for number in range(1, count + 1)]


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in ExportReceipt.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def counts(run: SyncRun) -> tuple[int, int, int]:
    run.refresh_from_db()
    return run.receipts_due, run.receipts_done, run.receipts_failed


def refusing(error: Exception) -> Callable[[], None]:
    """What stands in the way of a verb: it raises before anything is asked."""

    def refuse() -> None:
        raise error

    return refuse


def settled(world: make.World) -> None:
    """Later, when nobody has to wait any more, what is left goes on by itself."""
    world.sandbox.faults.clear()
    world.sandbox.clock.advance(timedelta(minutes=20))
    engine.settle(world.connection.pk)


class TestOneCallForMany:
    def test_all_that_is_listed_goes_in_one_call_and_each_is_filled_once(self, entered):
        buy(entered, 4, "png", "pdf")
        watch(entered)
        run = entered.sync()
        assert run.status == Status.SUCCESS
        [asked] = rooms(entered)
        assert len(asked) == 8
        assert [full for _, full in files(entered)] == [True] * 8
        assert (counts(run), states()) == ((8, 8, 0), {Receipt.ATTACHED: 8})
        assert entered.sandbox.calls.matching("bc-api", "POST", "/attachments") == []

    def test_it_is_told_the_names_as_far_as_they_are_known(self, entered):
        [row] = buy(entered, 1, "pdf", "jpeg")
        watch(entered)
        entered.sync()
        [asked] = rooms(entered)
        sent = sorted(ExportReceipt.objects.values_list("name", flat=True))  # named once their bytes were here
        assert sorted(name.replace(".jpg", ".jpeg") for name in asked) == [
            name.replace(".jpg", ".jpeg") for name in sent
        ]
        assert {name.rpartition(".")[2] for name in asked} == {"jpg", "pdf"}
        assert all(name.startswith(f"pex-{row.transaction_id}-") for name in asked)

    def test_no_call_holds_more_than_a_room_does(self, entered, monkeypatch):
        monkeypatch.setattr(delivery, "ROOM", 2)
        buy(entered, 5)
        watch(entered)
        run = entered.sync()
        assert sum(len(asked) for asked in rooms(entered)) == 5
        assert {len(asked) for asked in rooms(entered)} <= {1, 2}
        assert (counts(run), len(files(entered))) == ((5, 5, 0), 5)

    def test_books_that_make_none_get_each_as_it_comes(self, acme):
        acme.purchase("12.50", receipts=["png"])
        run = acme.sync()
        assert (run.status, counts(run)) == (Status.SUCCESS, (1, 1, 0))
        [record] = acme.books.live()
        assert len(record.attachments) == 1


class TestWithoutRoom:
    @pytest.mark.parametrize("trouble", ["drop_before", "drop_after", "status"])
    def test_receipts_go_all_the_same_and_once(self, entered, sandbox, trouble):
        buy(entered, 3)
        sandbox.faults.add(trouble, **ROOM)
        run = entered.sync()
        assert (run.status, counts(run)) == (Status.SUCCESS, (3, 3, 0))
        assert [full for _, full in files(entered)] == [True, True, True]
        assert len(entered.books.attachments) == 3

    @pytest.mark.parametrize("error", [RetryLater("The books are slow."), SettingsNeeded("The journal is gone.")])
    def test_so_they_do_where_nothing_of_it_was_even_asked(self, entered, freeze, error):
        buy(entered, 2)
        freeze(Dynamics365, "make_room", refusing(error))
        run = entered.sync()
        assert (run.status, run.says, counts(run)) == (Status.SUCCESS, "", (2, 2, 0))
        assert [full for _, full in files(entered)] == [True, True]

    def test_where_no_call_may_go_now_none_is_tried_and_notes_go_on(self, entered, freeze, sandbox):
        rows = buy(entered, 6)
        sandbox.faults.add("slow", **NOTE, seconds=1, times=None)  # so that most of them go after it
        freeze(Dynamics365, "make_room", refusing(NotNow("The day's calls are used up.", after=300)))
        run = entered.sync()
        assert (run.status, counts(run), states()) == (Status.SUCCESS, (6, 0, 0), {Receipt.SENT: 6})
        assert "6 receipts were still to follow" in run.says
        assert files(entered) == []
        assert [len(entered.pex.notes(row.transaction_id)) for row in rows] == [1] * 6
        settled(entered)
        assert (counts(run), states()) == ((6, 6, 0), {Receipt.ATTACHED: 6})

    def test_books_that_take_nothing_for_a_while_keep_none_of_them_from_going_later(self, entered, sandbox):
        rows = buy(entered, 3)
        slow_down = {"status": 429, "headers": {"Retry-After": "300"}}
        sandbox.faults.add("status", **ROOM, **slow_down, times=None)
        run = entered.sync()
        assert (run.status, counts(run)) == (Status.SUCCESS, (3, 0, 0))
        assert "3 receipts were still to follow" in run.says
        assert states() == {Receipt.SENT: 3}
        assert [len(entered.pex.notes(row.transaction_id)) for row in rows] == [1, 1, 1]
        settled(entered)
        assert (counts(run), states()) == ((3, 3, 0), {Receipt.ATTACHED: 3})
        assert [full for _, full in files(entered)] == [True, True, True]

    def test_what_another_process_listed_is_carried_without(self, entered, crash):
        buy(entered, 2)
        crash(delivery.Delivery, "_make_room")
        with pytest.raises(Died):
            entered.sync()
        assert states() == {Receipt.SENT: 2}
        watch(entered)
        entered.sandbox.clock.advance(timedelta(minutes=20))
        run = work(SyncRun.objects.get())
        assert rooms(entered) == []
        assert (run.status, counts(run), len(files(entered))) == (Status.SUCCESS, (2, 2, 0), 2)

    def test_a_process_that_dies_once_room_is_made_leaves_no_second_file(self, entered, crash):
        buy(entered, 2)
        crash(Dynamics365, "make_room", "after")
        with pytest.raises(Died):
            entered.sync()
        assert [full for _, full in files(entered)] == [False, False]
        entered.sandbox.clock.advance(timedelta(minutes=20))
        run = work(SyncRun.objects.get())
        assert (run.status, counts(run)) == (Status.SUCCESS, (2, 2, 0))
        assert [full for _, full in files(entered)] == [True, True]

    def test_what_pex_still_loaded_when_it_was_listed_goes_later_and_without(self, entered, freeze):
        row = entered.purchase("12.50")
        entered.pex.add_receipt(row, status="NotLoaded", loads_at=clock.now() + timedelta(minutes=10))
        watch(entered)
        run = entered.sync()
        assert (rooms(entered), states()) == ([], {Receipt.WAITING: 1})
        asked: list[str] = []
        freeze(Dynamics365, "make_room", lambda: asked.append("room"))
        settled(entered)
        assert (asked, len(files(entered)), counts(run)[1]) == ([], 1, 1)


class TestWhileItIsMade:
    def test_somebody_who_cancels_meanwhile_stops_nothing_that_is_posted(self, entered, freeze):
        rows = buy(entered, 2)
        freeze(Dynamics365, "make_room", lambda: runs.cancel(SyncRun.objects.get(), entered.user))
        run = entered.sync()
        assert run.status == Status.CANCELLED
        assert {export_of(row).state for row in rows} == {State.POSTED}
        settled(entered)
        assert (counts(run), states()) == ((2, 2, 0), {Receipt.ATTACHED: 2})
        assert [full for _, full in files(entered)] == [True, True]

    def test_the_next_batch_is_not_held_up_by_a_room_that_is_not_full(self, entered, monkeypatch, sandbox):
        monkeypatch.setattr(Dynamics365, "batch_size", 2)
        buy(entered, 5)
        watch(entered)
        run = entered.sync()
        assert (run.rows_posted, counts(run)) == (5, (5, 5, 0))
        assert sum(len(asked) for asked in rooms(entered)) == 5

    def test_receipts_of_a_batch_without_an_answer_follow_once_it_is_found(self, entered, sandbox):
        buy(entered, 2)
        sandbox.faults.add("drop_after", **ENTRIES)
        run = entered.sync()
        assert counts(run) == (0, 0, 0)
        sandbox.clock.advance(timedelta(minutes=21))
        engine.settle(entered.connection.pk)
        assert (counts(run), states()) == ((2, 2, 0), {Receipt.ATTACHED: 2})
        assert [full for _, full in files(entered)] == [True, True]

    def test_one_that_pex_cannot_give_now_steps_aside_and_the_room_it_had_is_used_later(self, entered, sandbox):
        buy(entered, 2)
        sandbox.faults.add("status", system="pex", method="GET", path=r"/Attachment/", status=503, times=1)
        run = entered.sync()
        settled(entered)
        assert (counts(run), states()) == ((2, 2, 0), {Receipt.ATTACHED: 2})
        assert [full for _, full in files(entered)] == [True, True]
