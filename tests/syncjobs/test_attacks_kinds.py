"""Attacks on previews, put-off rows and the kinds that move between accounts: nothing twice, nothing unconfirmed."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db.models import Q

from connectors.models import Connection
from connectors.pex import auth as pex_auth
from connectors.records import Entry, Kind, Line, Party
from connectors.settings import Settings
from pexsync import clock
from pexsync.pages import versions
from syncjobs import bank_statement, engine, ledger, mirror, people, preview, runs, shown, views
from syncjobs.judge import Due
from syncjobs.lookalikes import Decision
from syncjobs.models import Export, ExportEvent, Lease, PreviewRow, SyncRun, Tally
from syncjobs.people import Action
from syncjobs.transitions import Cause, Event, State, Who
from syncjobs.window import Window
from tests.make import World
from tests.syncjobs.conftest import Died
from tests.syncjobs.following import (
    POST,
    SLOW_DOWN,
    asked,
    booked,
    confirmed_and_cancelled,
    export_of,
    issued_anew,
    press,
    settle,
    untick,
    work,
)

pytestmark = pytest.mark.database

TRANSFER = {"system": "xero-api", "method": "PUT", "path": "/BankTransfers$"}
Status = SyncRun.Status


def amounts(world: World) -> list[Decimal]:
    return sorted(amount for _, amount in booked(world))


class TestPutOff:
    def test_sent_by_a_person_while_a_run_posts_it_is_still_compared_with_the_books(self, acme, sandbox, travel):
        """The run had compared before; what a person lets go meanwhile must not pass by the comparison."""
        settled = clock.now() - timedelta(days=1)
        for amount in ("5.00", "7.00"):
            acme.purchase(amount, settled=settled)
        row = acme.purchase("6.00", settled=settled)
        acme.books.post_by_hand("Card", "6.00", date=settled.date())
        run = asked(acme)
        untick(run, row)
        assert runs.confirm(run, acme.user)
        work(run)
        acme.purchase("8.00")
        sandbox.faults.add("status", **POST, **SLOW_DOWN)
        run = asked(acme)
        assert (run.status, run.phase) == (Status.PAUSED, SyncRun.Phase.SENDING)
        assert press(acme, Action.SEND, row).moved
        travel(seconds=6)
        run = work(run)
        assert amounts(acme).count(Decimal("6.00")) == 1, "by hand and no second time"
        assert (export_of(row).state, export_of(row).cause) == (State.HELD, Cause.LOOKALIKE)

    def test_of_a_preview_whose_run_died_it_is_put_off_before_another_preview_is_made(self, acme):
        row = confirmed_and_cancelled(acme)
        run = asked(acme, asks_first=True)
        told = PreviewRow.objects.get(run=run, pex_id=row.transaction_id)
        assert (told.state, told.cause) == ("later", "put_off")
        assert shown.total(shown.going(run)).count == 1

    def test_once_a_record_stood_for_it_the_untick_of_long_ago_is_over(self, acme):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        assert runs.confirm(run, acme.user)
        work(run)
        acme.pex.add_note(row, "Synced with Xero")
        acme.connection.refresh_from_db()
        acme.sync()
        assert export_of(row).cause == Cause.NOTE_BY_HAND
        record = acme.books.post_by_hand("Staples", "6.00", date=clock.today() - timedelta(days=1))
        acme.connection.refresh_from_db()
        wish = people.Wish(acme.connection, Action.IT_IS_THERE, acme.user, record=record.id)
        assert people.decide(wish, [export_of(row).pk]).moved
        acme.books.void(record.id)
        assert press(acme, Action.SEND_AGAIN, row).moved
        acme.connection.refresh_from_db()
        acme.sync()
        assert export_of(row).state == State.POSTED

    def test_unticked_when_it_could_go_and_looked_at_again_when_it_could_not_it_stays_so(self, acme, travel):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        acme.pex.set_approval(row, "NotReviewed")
        acme.set(clean_names=False)
        travel(minutes=61)
        assert runs.look_again(run)
        run = work(run)
        assert PreviewRow.objects.get(pex_id=row.transaction_id).state == "later"
        assert runs.confirm(run, acme.user)
        work(run)
        acme.pex.set_approval(row, "Approved")
        acme.connection.refresh_from_db()
        acme.sync()
        assert (export_of(row).waiting, amounts(acme)) == ("put_off", [Decimal("5.00")])

    def test_pex_shows_it_under_another_number_and_it_does_not_slip_through(self, acme, travel):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        assert runs.confirm(run, acme.user)
        work(run)
        anew = issued_anew(acme, row)
        for _ in range(3):
            acme.connection.refresh_from_db()
            acme.sync()
            travel(minutes=11)
        assert amounts(acme) == [Decimal("5.00")]
        assert (export_of(anew).state, export_of(anew).cause) == (State.HELD, Cause.REISSUED)


class TestKinds:
    def test_what_pex_calls_by_another_kind_later_is_looked_for_where_it_was_sent(self, acme, sandbox, travel):
        acme.all_kinds()
        row = acme.pex.add_business_row("BusinessFunding", "18.42", "By PEX")
        sandbox.faults.add("status", **TRANSFER, **SLOW_DOWN)
        run = acme.sync()
        assert (run.status, export_of(row).kind, booked(acme)) == (Status.PAUSED, Kind.TRANSFER, [])
        row.category = "BusinessRebate"
        sandbox.faults.add("drop_after", **POST)
        travel(minutes=61)
        while run.alive:
            run = work(run)
        acme.connection.refresh_from_db()
        acme.sync()
        assert (export_of(row).state, booked(acme)) == (State.SENT, [(f"PEXT{row.transaction_id}", Decimal("-18.42"))])
        travel(minutes=11)
        settle(acme)
        acme.connection.refresh_from_db()
        acme.sync()
        assert booked(acme) == [(f"PEXT{row.transaction_id}", Decimal("-18.42"))]
        assert export_of(row).kind == Kind.REBATE
        left = {(one.kind, one.state): one.count for one in Tally.objects.exclude(count=0)}
        assert left == {("rebate", "posted"): 1}

    def test_what_is_called_so_while_a_run_posts_is_remembered_as_what_was_sent(self, acme, sandbox, travel):
        acme.all_kinds()
        acme.pex.add_business_row("BusinessFunding", "1.00", "By PEX")
        acme.sync()
        row = acme.pex.add_business_row("BusinessFunding", "18.42", "By PEX")
        sandbox.faults.add("status", **TRANSFER, **SLOW_DOWN)
        run = asked(acme)
        assert (run.phase, run.confirmed_at, export_of(row).kind) == (SyncRun.Phase.SENDING, None, Kind.TRANSFER)
        row.category = "BusinessRebate"
        travel(minutes=2)
        days = Window(run.window_start, run.window_end)
        with pex_auth.client_for(acme.business) as pex:  # as another connection of the business reads it
            mirror.refresh(acme.business, pex, days, {}, bill_pay=False, step=lambda rows: None)
        sandbox.faults.add("drop_after", **POST)
        assert len(booked(acme)) == 1
        run = work(run)
        assert (export_of(row).state, export_of(row).kind) == (State.SENT, Kind.REBATE)
        travel(minutes=11)
        settle(acme)
        acme.sync()
        assert [amount for _, amount in booked(acme)].count(Decimal("-18.42")) == 1

    def test_two_who_learn_of_another_kind_at_once_count_it_once(self, acme, sandbox):
        acme.all_kinds()
        row = acme.pex.add_business_row("BusinessFunding", "18.42", "By PEX")
        sandbox.faults.add("status", **TRANSFER, **SLOW_DOWN)
        acme.sync()
        first, second = export_of(row), export_of(row)
        key, amount = f"PEXT{row.transaction_id}", first.amount
        entry = Entry(key, Kind.REBATE, amount, clock.today(), "bank", Party(), (Line(amount, "260", ""),))
        for each in (first, second):
            ledger.judged(ledger.Actor(acme.business.pk, Who.JUDGE), [(each, Due(entry), amount)])
        left = {(one.kind, one.state): one.count for one in Tally.objects.exclude(count=0)}
        assert left == {("rebate", "due"): 1}

    def test_a_row_whose_kind_pex_no_longer_tells_stands_in_a_preview_as_what_it_was(self, acme, sandbox, travel):
        acme.all_kinds()
        row = acme.pex.add_business_row("BusinessFunding", "18.42", "By PEX")
        sandbox.faults.add("status", **TRANSFER, **SLOW_DOWN)
        run = acme.sync()
        runs.cancel(run, acme.user)
        work(run)
        row.category = "Mystery"
        acme.purchase("5.00")
        travel(minutes=61)
        run = asked(acme, asks_first=True)
        lines = views.preview_lines(run, shown.by_month(run))
        assert [(line.kind_key, line.count, line.later) for line in lines] == [("purchase", 1, 0), ("transfer", 0, 1)]
        assert runs.confirm(run, acme.user, expected=1)
        work(run)
        assert amounts(acme) == [Decimal("5.00")]

    def test_calls_refused_and_answers_lost_among_many_transfers_leave_each_there_once(self, acme, sandbox, travel):
        acme.all_kinds()
        rows = [acme.pex.add_business_row("BusinessFunding", f"{number}.00", "By PEX") for number in range(10, 16)]
        sandbox.faults.add("status", skip=2, **TRANSFER, **SLOW_DOWN)
        run = acme.sync()
        assert len(booked(acme)) == 2
        sandbox.faults.add("drop_after", skip=1, **TRANSFER)
        while run.alive:
            travel(minutes=3)
            run = work(run)
        events = Counter(ExportEvent.objects.values_list("event", flat=True))
        assert (events[Event.UNANSWERED], events[Event.NOT_SENT] > 0) == (1, True)
        travel(minutes=12)
        settle(acme)
        acme.connection.refresh_from_db()
        acme.sync()
        assert [key for key, _ in booked(acme)] == sorted(f"PEXT{row.transaction_id}" for row in rows)

    def test_a_payment_and_a_purchase_of_one_number_are_ticked_and_sent_apart(self, acme):
        acme.pex.funding = "Credit"
        acme.all_kinds()
        bought = acme.purchase("12.50")
        owed = acme.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = clock.now() - timedelta(days=1)
        acme.pex.add_payment(owed, amount="12.50", payment_id=bought.transaction_id, paid=paid)
        run = asked(acme)
        assert runs.tick(run, Q(source="statement_payment"), chosen=False)
        assert runs.look_again(run)
        run = work(run)
        assert dict(run.shown.values_list("source", "chosen")) == {"statement_payment": False, "transaction": True}
        assert runs.confirm(run, acme.user, expected=1)
        work(run)
        assert booked(acme) == [(f"PEXT{bought.transaction_id}", Decimal("12.50"))]
        waiting = dict(Export.objects.values_list("source", "waiting"))
        assert waiting == {"transaction": "", "statement_payment": "put_off"}

    def test_a_month_a_person_wanted_posted_says_nothing_of_what_settles_later_in_it(self, acme, travel):
        """Money that comes after the confirmation may be booked by the bank feed as on every other day."""
        acme.all_kinds()
        day = clock.today() - timedelta(days=1)
        acme.pex.add_business_row("BusinessFunding", "500.00", "By PEX")
        acme.books.post_by_hand("Feed", "500.00", type="RECEIVE", date=day)
        run = asked(acme)
        [line] = shown.undecided(run)
        assert runs.decide(run, line["month"], line["kind"], Decision.POST)
        assert runs.confirm(run, acme.user)
        assert work(run).rows_posted == 1
        travel(days=2)
        later = acme.pex.add_business_row("BusinessFunding", "900.00", "By PEX", settled=clock.now())
        acme.books.post_by_hand("Feed", "900.00", type="RECEIVE", date=clock.today())
        acme.connection.refresh_from_db()
        acme.sync()
        assert f"{clock.today():%Y-%m}" == line["month"]
        assert (export_of(later).state, export_of(later).cause) == (State.HELD, Cause.LOOKALIKE)
        assert amounts(acme).count(Decimal("-900.00")) == 1


class TestPreview:
    def test_contacts_are_created_only_for_what_goes(self, acme):
        """Neither for a month that is left out nor for what looks booked and is held."""
        now = clock.now()
        acme.purchase("5.00", settled=now - timedelta(days=40), merchant="Pilot Fuel")
        acme.books.post_by_hand("Card", "5.00", date=(now - timedelta(days=40)).date())
        acme.purchase("6.00", settled=now - timedelta(days=2), merchant="Shell")
        acme.books.post_by_hand("Card", "6.00", date=(now - timedelta(days=2)).date())
        for amount in ("7.00", "8.00"):
            acme.purchase(amount, settled=now - timedelta(days=2), merchant="Staples")
        run = asked(acme)
        [line] = shown.undecided(run)
        assert runs.decide(run, line["month"], line["kind"], Decision.LEAVE_OUT)
        assert runs.confirm(run, acme.user)
        assert work(run).rows_posted == 2
        assert {one.name for one in acme.books.contacts.values()} & {"Staples", "Pilot Fuel", "Shell"} == {"Staples"}

    def test_looked_at_again_it_waits_although_all_that_is_left_was_confirmed_before(self, acme):
        Connection.objects.update(preview_confirmed={"purchase": {}})
        acme.connection.refresh_from_db()
        acme.all_kinds()
        row = acme.purchase("6.00")
        acme.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
        run = asked(acme)
        untick(run, row)
        acme.set(kinds=["purchase"])
        assert runs.look_again(run)
        run = work(run)
        assert booked(acme) == []
        assert runs.waits_for_confirmation(run)
        assert not PreviewRow.objects.get(pex_id=row.transaction_id).chosen

    def test_days_before_the_start_date_are_shown_before_anything_of_them_goes(self, acme):
        Connection.objects.update(preview_confirmed={"purchase": {}})
        acme.connection.refresh_from_db()
        acme.set(start_date=(clock.today() - timedelta(days=10)).isoformat())
        acme.purchase("6.00", settled=clock.now() - timedelta(days=30))
        assert asked(acme, first=clock.today() - timedelta(days=9)).status == Status.SUCCESS
        run = asked(acme, first=clock.today() - timedelta(days=40))
        assert runs.waits_for_confirmation(run)
        assert booked(acme) == []

    def test_a_worker_that_dies_over_it_leaves_no_run_that_nobody_can_answer(self, acme, crash):
        acme.purchase("5.00")
        run = runs.start(acme.connection, acme.user)
        crash(runs, "show", "after")
        with pytest.raises(Died):
            engine.advance(run.pk)
        run = SyncRun.objects.get()
        assert runs.waits_for_confirmation(run)
        assert runs.confirm(run, acme.user)

    def test_a_worker_that_dies_while_it_is_made_anew_forgets_no_untick(self, acme, crash):
        acme.purchase("5.00")
        row = acme.purchase("6.00")
        run = asked(acme)
        untick(run, row)
        assert runs.look_again(run)
        crash(preview, "_keep")
        with pytest.raises(Died):
            engine.advance(run.pk)
        run = work(run)
        assert not PreviewRow.objects.get(pex_id=row.transaction_id).chosen

    def test_a_worker_that_thaws_over_it_takes_nothing_back_that_was_confirmed(self, acme, freeze):
        day = clock.now() - timedelta(days=1)
        acme.purchase("5.00", settled=day)
        acme.purchase("7.00", settled=day)
        acme.books.post_by_hand("Card", "5.00", date=day.date())
        run = runs.start(acme.connection, acme.user)

        def another_worker_and_a_person() -> None:
            Lease.objects.update(holder="", until=clock.database_now())
            work(run)
            [line] = shown.undecided(run)
            assert runs.decide(run, line["month"], line["kind"], Decision.LEAVE_OUT)
            assert runs.confirm(run, acme.user)

        freeze(preview, "_mark", another_worker_and_a_person, when="after")
        engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.QUEUED
        assert [line["decision"] for line in run.preview] == ["out"]
        work(run)
        assert amounts(acme) == [Decimal("5.00")]


class TestSwitchedOffAndOn:
    def test_a_kind_that_was_off_for_a_while_is_shown_before_it_goes_again(self, acme):
        """What settled meanwhile was booked by somebody, or by nobody: nobody here can tell."""
        acme.all_kinds()
        acme.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=2))
        acme.sync()
        chosen = Settings.parse(acme.connection.settings)
        for kinds in (chosen.kinds - {Kind.FEE}, chosen.kinds):
            acme.connection = versions.keep(acme.connection, replace(chosen, kinds=kinds), {}, acme.user)
        row = acme.pex.add_card_fee("2.00", settled=clock.now() - timedelta(days=1))
        assert set(acme.connection.preview_confirmed) == {"purchase", "transfer", "rebate"}
        run = asked(acme)
        assert runs.waits_for_confirmation(run)
        assert not Export.objects.filter(pex_id=row.transaction_id).exists()
        assert len(booked(acme)) == 1


class TestAnEarlierStart:
    """Days nobody agreed to yet are shown, and compared with the books, before anything of them goes."""

    @pytest.fixture
    def late_start(self, acme) -> World:
        """Purchases of the last ten days are confirmed; an older one is in the books, entered by hand."""
        acme.set(start_date=(clock.today() - timedelta(days=10)).isoformat())
        acme.purchase("5.00")
        acme.sync()
        acme.purchase("6.00", settled=clock.now() - timedelta(days=30))
        day = clock.today() - timedelta(days=30)
        acme.books.post_by_hand("Staples", "6.00", date=day, bank_account=acme.books.account("PEX Cash Account"))
        return acme

    def test_a_start_date_moved_back_in_the_setup_asks_once_more(self, late_start):
        acme = late_start
        chosen = Settings.parse(acme.connection.settings)
        later = replace(chosen, start_date=clock.today() - timedelta(days=9))
        acme.connection = versions.keep(acme.connection, later, {}, acme.user)
        assert "purchase" in acme.connection.preview_confirmed
        earlier = replace(chosen, start_date=clock.today() - timedelta(days=40))
        acme.connection = versions.keep(acme.connection, earlier, {}, acme.user)
        run = asked(acme)
        assert runs.waits_for_confirmation(run)
        assert [line["paired"] for line in run.preview if line["paired"]] == [1]

    def test_days_asked_for_once_are_compared_as_well(self, late_start):
        acme = late_start
        run = asked(acme, first=clock.today() - timedelta(days=40))
        assert runs.waits_for_confirmation(run)
        assert runs.confirm(run, acme.user)
        work(run)
        assert amounts(acme).count(Decimal("6.00")) == 1
        assert Export.objects.get(state=State.HELD).cause == Cause.LOOKALIKE


def test_a_funding_that_is_put_off_leaves_the_banks_record_to_the_one_that_would_go(acme):
    acme.all_kinds()
    first = acme.pex.add_business_row(amount="500.00", settled=clock.now() - timedelta(days=3))
    run = asked(acme)
    untick(run, first)
    assert runs.confirm(run, acme.user)
    work(run)
    day = clock.today() - timedelta(days=2)
    pex_account = acme.books.account("PEX Cash Account")
    acme.books.post_by_hand("ACH CREDIT", "500.00", type="RECEIVE", date=day, bank_account=pex_account)
    second = acme.pex.add_business_row(amount="500.00", settled=clock.now() - timedelta(days=2))
    acme.sync()
    assert Export.objects.get(pex_id=second.transaction_id).cause == Cause.LOOKALIKE
    assert amounts(acme).count(Decimal("-500.00")) == 1


class TestMonthlyStatement:
    """It is reconciled with the books to the cent: what stands in only one of the two is somebody's evening."""

    @pytest.fixture
    def charge(self, acme) -> World:
        acme.pex.funding = "Credit"
        acme.all_kinds()
        return acme

    def lines(self, world: World, day: date) -> list[Decimal]:
        world.business.refresh_from_db()
        told = bank_statement.statement(world.business, day.replace(day=1))
        assert told
        return sorted(line.amount for line in told.lines)

    def test_a_payment_sent_back_after_it_was_booked_stands_in_it_beside_its_reversal(self, charge):
        owed = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = charge.pex.add_payment(owed, amount="500.00", paid=clock.now() - timedelta(days=2))
        charge.sync()
        paid.rejected = True
        charge.pex.add_payment(owed, "Reversal", amount="500.00", paid=clock.now() - timedelta(days=1))
        charge.connection.refresh_from_db()
        charge.sync()
        assert amounts(charge) == [Decimal("-500.00"), Decimal("500.00")]
        assert self.lines(charge, clock.today()) == amounts(charge)

    def test_one_sent_back_and_not_reversed_yet_moved_nothing(self, charge):
        owed = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        charge.pex.add_payment(owed, amount="500.00", paid=clock.now() - timedelta(days=2), rejected=True)
        charge.pex.add_payment(owed, amount="90.00", paid=clock.now() - timedelta(days=2))
        charge.sync()
        assert self.lines(charge, clock.today()) == [Decimal("90.00")]

    def test_a_purchase_whose_splits_do_not_add_up_has_moved_its_money(self, acme):
        row = acme.purchase("10.00", splits=[("4.00", {acme.expense_tag.tag_id: "429"})])
        acme.sync()
        assert export_of(row).waiting == "coding"
        assert self.lines(acme, clock.today()) == [Decimal("-10.00")]
