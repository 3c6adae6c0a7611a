"""A preview shows what would go, and a confirmed one sends exactly that (docs/decisions/0014)."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from connectors.models import Connection
from pexsync import clock
from syncjobs import engine, preview, runs, sending, shown
from syncjobs.lookalikes import Decision
from syncjobs.models import Export, ExportEvent, PreviewRow, RunResult, SyncRun
from syncjobs.people import Action
from syncjobs.shown import CHANGED
from syncjobs.transitions import Cause, Event, State
from tests import make
from tests.syncjobs.conftest import Died
from tests.syncjobs.following import POST, SLOW_DOWN, asked, confirmed_and_cancelled, export_of, press, untick, work

pytestmark = pytest.mark.database

Status = SyncRun.Status


def confirm(world: make.World, run: SyncRun, **how: Any) -> SyncRun:
    assert runs.confirm(run, world.user, **how)
    world.connection.refresh_from_db()
    return work(run)


def shown_of(row: Any) -> PreviewRow:
    return PreviewRow.objects.get(pex_id=row.transaction_id)


def totals(world: make.World) -> list[str]:
    return sorted(str(one.total) for one in world.books.live())


def retag(world: make.World, row: Any, account: str) -> None:
    world.pex.tag(row, {world.expense_tag.tag_id: account})


@pytest.fixture
def seen(acme) -> make.World:
    """Acme with its first sync behind it."""
    Connection.objects.update(preview_confirmed={"purchase": {}})
    acme.connection.refresh_from_db()
    return acme


class TestWhatIsShown:
    def test_each_row_stands_there_ready_blocked_or_not_due_with_why(self, acme):
        ready = acme.purchase("12.50")
        blocked = acme.purchase("7.00", account=None)
        later = acme.purchase("3.00", approval="NotReviewed")
        nothing = acme.purchase("0.00")
        asked(acme)
        states = {row.pex_id: (row.state, row.cause) for row in PreviewRow.objects.all()}
        assert states == {
            ready.transaction_id: ("ready", ""),
            blocked.transaction_id: ("blocked", "untagged:account"),
            later.transaction_id: ("later", "approval"),
            nothing.transaction_id: ("later", "nothing_to_book"),
        }
        assert "No Expense Account tag" in shown_of(blocked).says
        assert not Export.objects.exists()
        assert acme.books.live() == []

    def test_an_entry_is_shown_as_debit_and_credit_with_the_names_the_books_have(self, acme):
        category, tag = acme.all_kinds(tracking=["Project"]).tracking["Project"]
        row = acme.purchase(
            "12.50", tags={acme.expense_tag.tag_id: "429", tag.tag_id: category.options[0].id}, merchant="Staples"
        )
        asked(acme)
        entry = shown_of(row).entry
        debit, credit = entry["lines"]
        assert (debit["account"], debit["debit"], debit["credit"]) == ("429 General Expenses", "12.50", "")
        assert debit["dimensions"] == [["Project", "Maple Street Renovation"]]
        assert (credit["account"], credit["debit"], credit["credit"]) == ("PEX Cash Account", "", "12.50")
        assert (entry["party"], entry["new"]) == ("Staples", True)

    def test_only_contacts_the_books_lack_are_called_new_and_they_are_asked_for_once(self, acme, sandbox):
        acme.books.add_contact("Staples")
        known, new = acme.purchase(merchant="Staples"), acme.purchase(merchant="Pilot Fuel")
        acme.purchase(merchant="Pilot Fuel")
        asked(acme)
        assert "new" not in shown_of(known).entry
        assert shown_of(new).entry["new"] is True
        looked = [call for call in sandbox.calls.matching("xero-api", "GET") if call.path.endswith("/Contacts")]
        assert len(looked) <= 2
        assert sandbox.calls.writes("xero-api") == []

    def test_every_kind_is_shown_with_its_own_accounts(self, acme):
        kinds = acme.all_kinds()
        fee = acme.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
        asked(acme)
        row = shown_of(fee)
        assert row.state == "ready"
        assert row.entry["lines"][0]["account"].endswith(kinds.fees.name)

    def test_five_hundred_rows_are_kept_with_one_statement_and_marked_with_two(self, acme):
        for number in range(120):
            acme.purchase(f"{number + 1}.00")
        with CaptureQueriesContext(database) as seen:
            asked(acme)
        about = [query["sql"] for query in seen if "syncjobs_previewrow" in query["sql"]]
        assert PreviewRow.objects.count() == 120
        assert Counter(sql.split()[0].lower() for sql in about) == {"select": 4, "delete": 1, "insert": 1, "with": 1}

    def test_a_slice_that_dies_over_it_makes_it_once_more_and_no_row_stands_there_twice(self, acme, crash):
        acme.purchase("12.50")
        run = runs.start(acme.connection, acme.user)
        crash(preview, "_mark", "before")
        with pytest.raises(Died):
            engine.advance(run.pk)
        run = work(run)
        assert run.status == Status.PAUSED
        assert PreviewRow.objects.count() == 1

    def test_what_it_showed_is_dropped_a_week_after_the_run_has_ended(self, acme, travel):
        acme.purchase("12.50")
        run = confirm(acme, asked(acme))
        assert not run.alive
        travel(days=6)
        assert preview.drop_old() == 0
        travel(days=2)
        assert preview.drop_old() == 1
        assert not PreviewRow.objects.exists()
        run.refresh_from_db()
        assert run.preview

    def test_one_that_still_waits_is_not_dropped(self, acme, travel):
        acme.purchase("12.50")
        asked(acme)
        travel(days=30)
        assert preview.drop_old() == 0
        assert PreviewRow.objects.exists()


class TestExactlyThese:
    def test_what_was_shown_and_ticked_goes(self, acme):
        acme.purchase("5.00")
        acme.purchase("6.00")
        run = confirm(acme, asked(acme))
        assert (run.status, run.rows_posted) == (Status.SUCCESS, 2)
        assert totals(acme) == ["5.00", "6.00"]

    def test_what_appeared_after_the_preview_goes_with_the_next_sync(self, acme, travel):
        acme.purchase("5.00")
        run = asked(acme)
        acme.purchase("6.00")
        travel(minutes=61)
        run = confirm(acme, run)
        assert (run.status, run.rows_due, totals(acme)) == (Status.SUCCESS, 1, ["5.00"])
        assert Export.objects.count() == 1
        assert acme.sync().rows_posted == 1

    @pytest.mark.parametrize("change", ["amount", "account"])
    def test_what_changed_since_it_was_shown_is_not_sent_and_says_so(self, acme, travel, change):
        same, row = acme.purchase("5.00"), acme.purchase("6.00")
        run = asked(acme)
        if change == "account":
            retag(acme, row, "449")
        else:
            acme.pex.transactions[row.transaction_id].amount = Decimal("-6.50")
            row.splits = None
        travel(minutes=61)
        run = confirm(acme, run)
        assert (run.rows_posted, run.rows_failed) == (1, 1)
        assert run.status == Status.PARTIAL
        assert run.says == "1 changed after you looked and goes with the next sync."
        told = RunResult.objects.get()
        assert told.cause == CHANGED
        assert told.says.startswith("It changed after you looked at it: ")
        assert export_of(same).state == State.POSTED
        assert (export_of(row).state, export_of(row).waiting) == (State.DUE, "")
        assert acme.sync().rows_posted == 1

    def test_the_sentence_names_what_changed(self, acme, travel):
        row = acme.purchase("6.00")
        run = asked(acme)
        retag(acme, row, "449")
        travel(minutes=61)
        confirm(acme, run)
        assert "429 General Expenses" in RunResult.objects.get().says
        assert "449 Motor Vehicle Expenses" in RunResult.objects.get().says

    def test_what_could_not_go_when_it_was_shown_is_not_sent_although_it_can_now(self, acme, travel):
        acme.purchase("5.00")
        row = acme.purchase("6.00", account=None)
        run = asked(acme)
        retag(acme, row, "429")
        travel(minutes=61)
        run = confirm(acme, run)
        assert (run.status, run.rows_due, totals(acme)) == (Status.SUCCESS, 1, ["5.00"])
        assert acme.sync().rows_posted == 1

    def test_a_slice_that_dies_after_the_confirmation_and_resumes_sends_the_same(self, acme, crash, travel):
        for amount in ("5.00", "6.00"):
            acme.purchase(amount)
        left = acme.purchase("7.00")
        run = asked(acme)
        untick(run, left)
        acme.purchase("8.00")
        assert runs.confirm(run, acme.user)
        crash(sending, "_send_batch", "before")
        with pytest.raises(Died):
            engine.advance(run.pk)
        travel(minutes=61)
        while run.alive:
            run = work(run)
        assert totals(acme) == ["5.00", "6.00"]

    def test_what_is_coded_otherwise_when_its_turn_comes_is_not_sent(self, acme, sandbox, travel):
        acme.purchase("6.00", merchant="STAPLES #0041")
        run = asked(acme)
        sandbox.faults.add("status", **POST, **SLOW_DOWN)
        assert confirm(acme, run).status == Status.PAUSED
        run.refresh_from_db()
        assert run.phase == SyncRun.Phase.SENDING
        acme.set(clean_names=False)
        travel(seconds=30)
        run = work(run)
        assert (run.rows_posted, run.rows_failed, totals(acme)) == (0, 1, [])
        assert RunResult.objects.get().cause == CHANGED
        assert acme.sync().rows_posted == 1

    def test_a_row_released_by_a_person_after_the_preview_is_not_sent_with_it(self, acme):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        first = asked(acme)
        untick(first, row)
        confirm(acme, first)
        acme.purchase("7.00")
        second = asked(acme, asks_first=True)
        assert len(press(acme, Action.SEND, row).moved) == 1
        assert confirm(acme, second).rows_posted == 1
        assert totals(acme) == ["5.00", "7.00"]
        acme.sync()
        assert totals(acme) == ["5.00", "6.00", "7.00"]

    def test_two_people_who_confirm_at_once_confirm_once(self, acme):
        acme.purchase("5.00")
        run = asked(acme)
        again = SyncRun.objects.get()
        assert runs.confirm(run, acme.user)
        assert not runs.confirm(again, acme.user)
        assert not runs.tick(again, Q(), chosen=False)
        work(run)
        assert totals(acme) == ["5.00"]

    def test_whoever_saw_another_number_confirms_nothing(self, acme):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        with pytest.raises(runs.Miscounted) as told:
            runs.confirm(run, acme.user, expected=2)
        assert told.value.count == 1
        run.refresh_from_db()
        assert (run.confirmed_at, Export.objects.count()) == (None, 0)
        assert confirm(acme, run, expected=1).rows_posted == 1

    def test_the_one_who_confirmed_is_remembered(self, acme):
        acme.purchase("5.00")
        run = confirm(acme, asked(acme))
        assert [line["by"] for line in run.preview] == [acme.user.username]


class TestSettings:
    def test_a_preview_made_under_other_settings_is_not_confirmed_and_nothing_is_sent(self, acme):
        acme.purchase("5.00")
        run = asked(acme)
        acme.set(clean_names=False)
        with pytest.raises(runs.Stale):
            runs.confirm(run, acme.user)
        run.refresh_from_db()
        assert (run.status, run.confirmed_at) == (Status.PAUSED, None)
        acme.connection.refresh_from_db()
        assert acme.connection.preview_confirmed == {}
        assert acme.books.live() == []

    def test_looked_at_again_it_shows_the_new_settings_and_keeps_what_was_unticked(self, acme):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        acme.set(fields={"account": {"source": "static", "value": acme.books.account("449").id}})
        assert runs.look_again(run)
        run = work(run)
        assert {one.entry["lines"][0]["account"] for one in PreviewRow.objects.all()} == {"449 Motor Vehicle Expenses"}
        assert not shown_of(row).chosen
        assert confirm(acme, run).rows_posted == 1

    def test_a_run_that_was_confirmed_is_not_looked_at_again(self, acme):
        acme.purchase("5.00")
        run = asked(acme)
        assert runs.confirm(run, acme.user)
        assert not runs.look_again(run)


class TestPutOff:
    @pytest.fixture
    def put_off(self, acme) -> Any:
        """A row that was unticked; another one went."""
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        confirm(acme, run)
        return row

    def test_it_stays_out_of_later_syncs(self, acme, put_off):
        row = export_of(put_off)
        assert (row.state, row.waiting, row.put_off) == (State.DUE, "put_off", True)
        assert "Press “Send”" in row.says
        for _ in range(2):
            assert acme.sync().status == Status.SUCCESS
        assert totals(acme) == ["5.00"]

    def test_send_lets_it_go_with_the_next_sync(self, acme, put_off):
        assert len(press(acme, Action.SEND, put_off).moved) == 1
        row = export_of(put_off)
        assert (row.put_off, row.waiting, row.overruled) == (False, "", False)
        assert acme.sync().rows_posted == 1
        assert totals(acme) == ["5.00", "6.00"]

    def test_leave_out_closes_it(self, acme, put_off):
        assert len(press(acme, Action.LEAVE_OUT, put_off).moved) == 1
        assert export_of(put_off).state == State.CLOSED

    def test_brought_back_after_it_was_left_out_it_goes(self, acme, put_off):
        press(acme, Action.LEAVE_OUT, put_off)
        assert len(press(acme, Action.UNDO, put_off).moved) == 1
        assert acme.sync().rows_posted == 1

    def test_send_is_not_offered_for_what_only_waits(self, seen):
        row = seen.purchase("6.00", approval="NotReviewed")
        seen.sync()
        assert not press(seen, Action.SEND, row).moved

    def test_it_is_put_off_also_when_the_run_is_cancelled_at_once_and_another_one_follows(self, acme, travel):
        row = confirmed_and_cancelled(acme)
        travel(days=9)
        assert preview.drop_old() == 0
        acme.connection.refresh_from_db()
        acme.sync()
        assert preview.drop_old() == 1
        assert totals(acme) == ["5.00"]
        [event] = ExportEvent.objects.filter(export=export_of(row), event=Event.SEEN)
        assert event.person == acme.user

    def test_a_row_the_ledger_knows_already_is_put_off_as_well(self, seen):
        row = seen.purchase("6.00", account=None)
        seen.sync()
        retag(seen, row, "429")
        run = asked(seen, asks_first=True)
        untick(run, row)
        confirm(seen, run)
        assert (export_of(row).waiting, export_of(row).put_off) == ("put_off", True)
        seen.sync()
        assert totals(seen) == []

    def test_one_that_is_sent_by_a_person_while_the_run_goes_on_still_waits_for_the_next(self, seen, sandbox, travel):
        row = seen.purchase("6.00")
        sandbox.faults.add("status", **POST, **SLOW_DOWN)
        runs.cancel(asked(seen), seen.user)
        work(SyncRun.objects.get())
        travel(seconds=6)
        assert export_of(row).fingerprint
        seen.purchase("5.00")
        run = asked(seen, asks_first=True)
        untick(run, row)
        sandbox.faults.add("status", **POST, **SLOW_DOWN)
        assert confirm(seen, run).status == Status.PAUSED
        assert len(press(seen, Action.SEND, row).moved) == 1
        travel(seconds=6)
        assert work(run).rows_posted == 1
        assert totals(seen) == ["5.00"]
        assert seen.sync().rows_posted == 1

    def test_in_the_next_preview_it_is_not_due(self, acme, put_off):
        acme.purchase("7.00")
        asked(acme, asks_first=True)
        row = PreviewRow.objects.filter(pex_id=put_off.transaction_id).latest("pk")
        assert (row.state, row.cause) == ("later", "put_off")

    def test_what_looks_booked_and_was_unticked_is_not_held_until_it_is_sent(self, acme):
        days = clock.now() - timedelta(days=1)
        for amount in ("5.00", "7.00"):
            acme.purchase(amount, settled=days)
        row = acme.purchase("6.00", settled=days)
        acme.books.post_by_hand("Card", "6.00", date=clock.today() - timedelta(days=1))
        run = asked(acme)
        assert shown_of(row).pair
        untick(run, row)
        confirm(acme, run)
        assert export_of(row).waiting == "put_off"
        acme.sync()
        assert export_of(row).waiting == "put_off"
        press(acme, Action.SEND, row)
        acme.sync()
        assert (export_of(row).state, export_of(row).cause) == (State.HELD, Cause.LOOKALIKE)


class TestPreviewFirst:
    def test_a_kind_confirmed_long_ago_is_shown_when_somebody_wants_to_look(self, seen):
        seen.purchase("5.00")
        before = dict(Connection.objects.get().preview_confirmed)
        run = asked(seen, asks_first=True)
        assert (run.status, run.wake_at) == (Status.PAUSED, None)
        assert seen.books.live() == []
        assert confirm(seen, run).rows_posted == 1
        assert Connection.objects.get().preview_confirmed == before

    def test_without_anything_that_could_go_it_says_why(self, seen):
        seen.purchase("5.00", approval="NotReviewed")
        run = asked(seen, asks_first=True)
        assert run.status == Status.PAUSED
        assert [(line["count"], line["later"]) for line in run.preview] == [(0, 1)]
        assert confirm(seen, run).status == Status.SUCCESS

    def test_without_any_row_it_ends_by_itself(self, seen):
        run = asked(seen, asks_first=True)
        assert run.status == Status.SUCCESS

    def test_the_days_of_the_run_hold_for_it(self, seen):
        seen.purchase("5.00", settled=clock.now() - timedelta(days=20))
        recent = seen.purchase("6.00")
        asked(seen, asks_first=True, first=clock.today() - timedelta(days=5))
        assert [row.pex_id for row in PreviewRow.objects.all()] == [recent.transaction_id]

    def test_what_goes_with_a_new_kind_is_shown_of_all_kinds(self, seen):
        seen.all_kinds()
        seen.purchase("5.00")
        seen.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
        run = asked(seen)
        assert [(line["kind"], line["count"]) for line in run.preview] == [("fee", 1), ("purchase", 1)]
        confirm(seen, run)
        told = Connection.objects.get().preview_confirmed
        assert (told["purchase"], told["fee"]["run"]) == ({}, run.pk)
        assert Counter(Export.objects.values_list("state", flat=True)) == {State.POSTED: 2}

    def test_a_new_kind_of_which_nothing_would_go_does_not_make_the_others_wait(self, seen):
        seen.all_kinds()
        seen.purchase("5.00")
        seen.pex.add_card_fee("0.00", settled=clock.now() - timedelta(days=1))
        assert asked(seen).rows_posted == 1
        assert not PreviewRow.objects.exists()

    def test_what_banks_book_is_held_by_itself_and_no_month_of_it_asked_about_again(self, acme):
        acme.all_kinds()
        Connection.objects.update(preview_confirmed={kind: {} for kind in ("purchase", "fee", "transfer", "rebate")})
        acme.connection.refresh_from_db()
        acme.pex.add_business_row("BusinessFunding", "-80.00", "By PEX")
        acme.books.post_by_hand("Feed", "80.00", date=clock.today() - timedelta(days=1))
        run = asked(acme, asks_first=True)
        assert PreviewRow.objects.get().pair
        assert shown.undecided(run) == []
        confirm(acme, run, expected=0)
        assert Export.objects.get().cause == Cause.LOOKALIKE

    def test_months_of_a_kind_confirmed_before_are_not_asked_about_again(self, seen):
        seen.purchase("5.00")
        seen.books.post_by_hand("Card", "5.00", date=clock.today() - timedelta(days=1))
        run = asked(seen, asks_first=True)
        assert shown.undecided(run) == []
        assert confirm(seen, run).rows_posted == 1


class TestMonths:
    @pytest.fixture
    def booked(self, acme) -> SyncRun:
        """A preview whose only month looks booked."""
        day = clock.now() - timedelta(days=1)
        acme.purchase("5.00", settled=day)
        acme.purchase("7.00", settled=day)
        acme.books.post_by_hand("Card", "5.00", date=day.date())
        return asked(acme)

    def test_it_is_decided_before_the_rest_is_confirmed(self, acme, booked):
        [line] = shown.undecided(booked)
        with pytest.raises(runs.Undecided):
            runs.confirm(booked, acme.user)
        assert runs.decide(booked, line["month"], line["kind"], Decision.LEAVE_OUT)
        assert shown.total(shown.going(booked)).count == 0
        assert runs.decide(booked, line["month"], line["kind"], Decision.POST)
        assert shown.total(shown.going(booked)).count == 2
        assert confirm(acme, booked, expected=2).rows_posted == 2

    def test_left_out_none_of_it_goes(self, acme, booked):
        [line] = shown.undecided(booked)
        runs.decide(booked, line["month"], line["kind"], Decision.LEAVE_OUT)
        confirm(acme, booked, expected=0)
        assert {row.state for row in Export.objects.all()} == {State.CLOSED}

    def test_a_month_nobody_asks_about_is_not_decided(self, acme):
        acme.purchase("5.00")
        run = asked(acme)
        [line] = run.preview
        runs.decide(run, line["month"], line["kind"], Decision.LEAVE_OUT)
        run.refresh_from_db()
        assert "decision" not in run.preview[0]
        assert confirm(acme, run).rows_posted == 1

    def test_every_row_is_in_one_group(self, acme, booked):
        acme.purchase("9.00", account=None)
        for decision in (None, Decision.LEAVE_OUT, Decision.POST):
            if decision:
                runs.decide(booked, booked.preview[0]["month"], "purchase", decision)
            counts = [booked.shown.filter(shown.group(booked, name)).count() for name in shown.GROUPS]
            assert sum(counts) == booked.shown.count()
