"""A sync of some kinds only: those go, and whatever is of another kind stays exactly as it is."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.models import Connection
from connectors.records import Kind
from pexsync import clock
from syncjobs import night, notices, runs, sweeper
from syncjobs.models import Export, ExportEvent, Notice, PreviewRow, SyncRun
from syncjobs.transitions import Event, State
from tests import make
from tests.syncjobs.following import POST, SLOW_DOWN, asked, booked, calls, key_of, work

pytestmark = pytest.mark.database

Status = SyncRun.Status
TRANSFER = {"system": "xero-api", "method": "PUT", "path": "/BankTransfers$"}


def fee(world: make.World, amount: str = "1.25") -> Any:
    return world.pex.add_business_row("BusinessAccountFee", f"-{amount}", "By PEX")


def funding(world: make.World, amount: str = "500.00") -> Any:
    return world.pex.add_business_row("BusinessFunding", amount, "By PEX")


def sync_only(world: make.World, *kinds: Kind, **how: Any) -> SyncRun:
    """Press SYNC for these kinds and confirm what is asked."""
    run = asked(world, kinds=kinds, **how)
    if runs.waits_for_confirmation(run):
        assert runs.confirm(run, world.user)
        run = work(run)
    world.connection.refresh_from_db()
    return run


def due(world: make.World, row: Any, *kinds: Kind) -> dict[str, Any]:
    """A run took the row in, the books asked to wait, and somebody cancelled: its columns as they stand."""
    world.sandbox.faults.add("status", **POST, **SLOW_DOWN)
    run = asked(world, kinds=kinds)
    runs.cancel(run, world.user)
    assert work(run).status == Status.CANCELLED
    world.sandbox.clock.advance(timedelta(seconds=6))
    found = columns(row)
    assert (found["state"], found["waiting"]) == (State.DUE, "")
    return found


def columns(row: Any) -> dict[str, Any]:
    return Export.objects.filter(pex_id=row.transaction_id).values().get()


def confirmed(world: make.World) -> set[str]:
    world.connection.refresh_from_db()
    return set(world.connection.preview_confirmed)


@pytest.fixture
def every(acme) -> make.World:
    """Acme with every kind on; nobody has confirmed any."""
    acme.all_kinds()
    return acme


@pytest.fixture
def seen(every) -> make.World:
    """The same, with its first sync behind it."""
    Connection.objects.update(preview_confirmed={kind.value: {} for kind in Kind})
    every.connection.refresh_from_db()
    return every


class TestStarting:
    def test_the_kinds_stand_on_the_run(self, seen):
        assert runs.start(seen.connection, seen.user, kinds=(Kind.TRANSFER, Kind.FEE)).only == ["fee", "transfer"]

    def test_all_that_are_switched_on_are_a_run_like_any_other(self, seen):
        kinds = (Kind.REBATE, Kind.TRANSFER, Kind.FEE, Kind.PURCHASE)
        assert runs.start(seen.connection, seen.user, kinds=kinds).only == []

    def test_one_that_is_switched_off_is_refused_by_name_and_no_run_begins(self, acme):
        with pytest.raises(runs.CannotStart, match=r"Fees and rebates are switched off in Setup\."):
            runs.start(acme.connection, acme.user, kinds=(Kind.PURCHASE, Kind.REBATE, Kind.FEE))
        assert not SyncRun.objects.exists()

    def test_what_somebody_began_and_came_to_nothing_begins_again_for_the_same_kinds(self, seen, sandbox):
        fee(seen)
        sandbox.faults.add("status", system="xero-api", status=401, times=None)
        assert asked(seen, kinds=[Kind.FEE]).status == Status.FAILED
        sandbox.faults.clear()
        Connection.objects.update(state=Connection.State.READY, failure="")
        seen.connection.refresh_from_db()
        runs.resume(seen.connection, seen.user)
        begun = SyncRun.objects.get(status__in=SyncRun.ALIVE)
        assert begun.only == ["fee"]

    def test_a_night_takes_every_kind(self, seen, travel):
        night.switch_on(seen.connection)
        travel(days=1)
        night.tick()
        assert SyncRun.objects.get(nightly=True).only == []


class TestWhatGoes:
    def test_only_these_come_in_and_go_out(self, seen):
        one, _, _ = fee(seen), funding(seen), seen.purchase("12.50")
        run = sync_only(seen, Kind.FEE)
        assert (run.status, run.rows_judged, run.rows_due, run.rows_posted) == (Status.SUCCESS, 1, 1, 1)
        assert booked(seen) == [(key_of(one), Decimal("1.25"))]
        assert list(Export.objects.values_list("kind", flat=True)) == ["fee"]

    def test_the_others_go_with_the_next_run_of_all(self, seen):
        fee(seen), funding(seen), seen.purchase("12.50")
        sync_only(seen, Kind.PURCHASE)
        run = seen.sync()
        assert (run.rows_due, run.rows_posted) == (2, 2)
        assert sorted(amount for _, amount in booked(seen)) == [Decimal("-500.00"), Decimal("1.25"), Decimal("12.50")]

    def test_a_row_of_another_kind_that_is_due_stays_as_it_is(self, seen):
        row = seen.purchase("12.50")
        before = due(seen, row)
        events = ExportEvent.objects.count()
        seen.pex.tag(row, {})  # judged anew it would wait for its tag

        one = fee(seen)
        assert sync_only(seen, Kind.FEE).rows_due == 1
        assert columns(row) == before
        assert ExportEvent.objects.filter(export=before["id"]).count() == events
        assert [reference for reference, _ in booked(seen)] == [key_of(one)]

    def test_one_that_pex_has_changed_to_another_kind_is_left_to_a_run_of_all(self, seen):
        row = fee(seen)
        due(seen, row, Kind.FEE)
        row.category = "BusinessFunding"
        run = sync_only(seen, Kind.FEE)
        assert (run.rows_due, columns(row)["kind"], columns(row)["state"]) == (0, "fee", State.DUE)
        assert booked(seen) == []
        seen.sync()
        assert (columns(row)["kind"], columns(row)["state"]) == ("transfer", State.POSTED)

    def test_what_pex_calls_by_a_name_nobody_knows_stays_as_the_kind_it_was(self, seen, sandbox):
        row = fee(seen)
        before = due(seen, row, Kind.FEE)
        row.category = "Novelty"
        sandbox.calls.clear()
        assert sync_only(seen, Kind.PURCHASE).rows_due == 0
        assert columns(row) == before
        assert calls(seen, "GET") == []  # nothing goes, so nothing is looked for

    def test_nothing_is_compared_with_the_books_that_does_not_go(self, seen, sandbox):
        funding(seen), seen.purchase("12.50")
        sandbox.calls.clear()
        sync_only(seen, Kind.PURCHASE)
        listed = [call for call in sandbox.calls.matching("xero-api", "GET") if "BankTransfers" in call.path]
        assert listed == []
        assert len(calls(seen, "GET")) <= 2

    def test_tag_options_follow_the_books_whatever_goes(self, seen):
        seen.set(synced={"account": seen.expense_tag.tag_id})
        fee(seen)
        run = sync_only(seen, Kind.FEE)
        assert (run.fields_done, run.fields_due) == (1, 1)


class TestDoubt:
    def test_what_is_in_doubt_is_settled_whatever_its_kind(self, seen, sandbox, travel):
        row = funding(seen)
        sandbox.faults.add("drop_after", **TRANSFER)
        sync_only(seen, Kind.TRANSFER)
        assert columns(row)["state"] == State.SENT
        travel(minutes=11)
        run = sync_only(seen, Kind.PURCHASE)
        assert columns(row)["state"] == State.POSTED
        assert (run.rows_due, run.rows_posted) == (0, 0)

    def test_what_turns_out_not_to_be_there_is_due_and_not_this_runs_to_send(self, seen, sandbox, travel):
        row = fee(seen)
        sandbox.faults.add("drop_before", **POST)
        sync_only(seen, Kind.FEE)
        travel(minutes=11)
        run = sync_only(seen, Kind.PURCHASE)
        assert (columns(row)["state"], run.rows_due, run.status) == (State.DUE, 0, Status.SUCCESS)
        assert booked(seen) == []
        seen.sync()
        assert booked(seen) == [(key_of(row), Decimal("1.25"))]
        assert ExportEvent.objects.filter(event=Event.CLAIMED).count() == 2

    def test_the_sweeper_asks_nobody_which_kinds(self, seen, sandbox, travel):
        fee(seen)
        sandbox.faults.add("drop_after", **POST)
        sync_only(seen, Kind.FEE)
        travel(minutes=11)
        assert sweeper.unsettled_connections() == [seen.connection.pk]


class TestPreview:
    def test_it_shows_and_confirms_only_what_was_asked_for(self, every):
        row, one = every.purchase("12.50"), fee(every)
        run = asked(every, kinds=[Kind.PURCHASE])
        assert list(PreviewRow.objects.values_list("pex_id", flat=True)) == [row.transaction_id]
        assert {line["kind"] for line in run.preview} == {"purchase"}
        assert runs.confirm(run, every.user, expected=1)
        work(run)
        assert confirmed(every) == {"purchase"}
        assert [reference for reference, _ in booked(every)] == [key_of(row)]

        again = asked(every)
        assert runs.waits_for_confirmation(again)
        assert PreviewRow.objects.get(run=again, state="ready").pex_id == one.transaction_id
        assert runs.confirm(again, every.user, expected=1)
        work(again)
        assert confirmed(every) == {"purchase", "fee", "transfer", "rebate"}
        assert len(booked(every)) == 2

    def test_a_kind_that_was_not_shown_does_not_slip_in_with_a_confirmed_run(self, every):
        every.purchase("12.50")
        run = asked(every, kinds=[Kind.PURCHASE])
        fee(every)
        assert runs.confirm(run, every.user)
        assert work(run).rows_posted == 1
        assert list(Export.objects.values_list("kind", flat=True)) == ["purchase"]

    def test_what_somebody_confirmed_needs_no_second_look_though_other_kinds_do(self, every):
        every.purchase("12.50")
        sync_only(every, Kind.PURCHASE)
        fee(every), every.purchase("7.00")
        run = asked(every, kinds=[Kind.PURCHASE])
        assert (run.status, run.preview, run.rows_posted) == (Status.SUCCESS, [], 1)
        assert confirmed(every) == {"purchase"}

    def test_looked_at_again_it_shows_the_same_kinds(self, every):
        every.purchase("12.50"), fee(every)
        run = asked(every, kinds=[Kind.FEE])
        assert runs.look_again(run)
        run = work(run)
        assert (run.only, {row.kind for row in run.shown.all()}) == (["fee"], {"fee"})

    def test_days_before_the_start_date_are_shown_of_these_kinds(self, seen):
        seen.set(start_date=(clock.today() - timedelta(days=10)).isoformat())
        early = clock.now() - timedelta(days=40)
        row = seen.purchase("12.50", settled=early)
        seen.pex.add_business_row("BusinessAccountFee", "-1.25", "By PEX", happened=early)
        run = asked(seen, kinds=[Kind.PURCHASE], first=clock.today() - timedelta(days=60))
        assert runs.waits_for_confirmation(run)
        assert [shown.pex_id for shown in run.shown.all()] == [row.transaction_id]

    def test_cancelled_it_has_confirmed_nothing(self, every):
        every.purchase("12.50"), fee(every)
        run = asked(every, kinds=[Kind.PURCHASE])
        runs.cancel(run, every.user)
        assert work(run).status == Status.CANCELLED
        assert confirmed(every) == set()
        assert not Export.objects.exists()

    def test_a_night_leaves_the_others_to_a_person_and_says_so(self, every, travel):
        every.purchase("12.50"), fee(every)
        sync_only(every, Kind.PURCHASE)
        night.switch_on(every.connection)
        travel(days=1)
        night.tick()
        run = work(SyncRun.objects.get(nightly=True))
        assert (run.status, run.rows_due) == (Status.SUCCESS, 0)
        notice = Notice.objects.get(cause=notices.PREVIEW, ended_at=None)
        assert notice.says.startswith("1 fee waits: nobody has looked at them yet.")

    def test_a_run_of_other_kinds_does_not_take_that_word_back(self, every, travel):
        self.test_a_night_leaves_the_others_to_a_person_and_says_so(every, travel)
        funding(every)
        every.books.period_lock_date = clock.today()  # so that nothing of it is ready, and nobody has to look
        assert asked(every, kinds=[Kind.TRANSFER]).status == Status.SUCCESS
        assert Notice.objects.filter(cause=notices.PREVIEW, ended_at=None).exists()
