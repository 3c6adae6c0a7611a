"""Rows in doubt: when they are looked for, what must not matter to it, and when nobody can look."""

from datetime import UTC, timedelta
from typing import Any

import pytest

from connectors import registry
from connectors.models import Connection, Credential
from connectors.settings import PURCHASE_DAY
from connectors.xero.connector import Xero
from pexsync import clock
from syncjobs import engine, ledger, sweeper, wording
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import Cause, State
from tests import make
from tests.syncjobs.following import LOOK, POST, export_of, key_of, posts, settle, wait_for

pytestmark = pytest.mark.database

Status = SyncRun.Status


@pytest.fixture
def no_memory(sandbox) -> None:
    """Books that do not know a repeated call again: what keeps us from doubling must not lean on them."""
    sandbox.worlds["xero"].switches.idempotency_seconds = 0


# --- when -------------------------------------------------------------------------------------------------------------


class TestPatience:
    def test_a_request_the_books_commit_late_but_in_their_time_is_not_sent_twice(
        self, acme, sandbox, travel, no_memory
    ):
        acme.purchase("12.50")
        sandbox.faults.add("late_commit", **POST, seconds=540)
        acme.sync()
        travel(minutes=5)
        settle(acme)
        acme.sync()
        assert (Export.objects.get().state, posts(acme)) == (State.SENT, 1)
        travel(minutes=4, seconds=10)
        wait_for(lambda: len(acme.books.live()) == 1)
        travel(minutes=2)
        settle(acme)
        assert (Export.objects.get().state, posts(acme)) == (State.POSTED, 1)
        assert len(acme.books.live()) == 1

    @pytest.mark.parametrize("patience", [1.0, 0.1])
    def test_a_row_is_looked_for_when_the_time_to_send_and_the_books_time_are_over(
        self, acme, sandbox, travel, settings, patience
    ):
        settings.PATIENCE = patience
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        row = Export.objects.get()
        assert row.next_look - row.sent_at == (timedelta(seconds=30) + Xero.settle_after) * patience
        looks = len(sandbox.calls.matching("xero-api", "GET", "BankTransactions"))
        travel(seconds=0.8 * 630 * patience)
        settle(acme)
        assert len(sandbox.calls.matching("xero-api", "GET", "BankTransactions")) == looks
        assert sweeper.unsettled_connections() == []
        travel(seconds=0.25 * 630 * patience)
        assert sweeper.unsettled_connections() == [acme.connection.pk]
        settle(acme)
        assert Export.objects.get().state == State.POSTED

    def test_others_go_on_while_one_is_in_doubt(self, acme, sandbox):
        first = acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        second = acme.purchase("3.00")
        run = acme.sync()
        assert (run.status, run.rows_posted) == (Status.SUCCESS, 1)
        assert (export_of(first).state, export_of(second).state) == (State.SENT, State.POSTED)

    def test_meanwhile_people_read_until_when_it_takes(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(minutes=3)
        row = Export.objects.get()
        said = wording.state_of(row, Xero, UTC).text
        assert said == f"Checking with Xero until {row.sent_at + timedelta(minutes=10, seconds=30):%H:%M}"

    def test_a_request_committed_after_its_row_was_sent_anew_is_found_a_day_later_and_held(self, acme, sandbox, travel):
        """The gap that is left: books that break their word for longer than they ever did. It does not stay unseen."""
        acme.purchase("12.50")
        sandbox.faults.add("late_commit", **POST, seconds=1500)
        acme.sync()
        travel(minutes=11)
        settle(acme)
        assert (Export.objects.get().state, len(acme.books.live())) == (State.POSTED, 1)
        travel(minutes=15)
        wait_for(lambda: len(acme.books.live()) == 2)
        travel(hours=23, minutes=40)
        assert sweeper.unsettled_connections() == []
        travel(minutes=20)
        assert sweeper.unsettled_connections() == [acme.connection.pk]
        settle(acme)
        row = Export.objects.get()
        assert (row.state, row.cause) == (State.HELD, Cause.DOUBLED)
        assert "2 times" in row.says
        acme.sync()
        assert len(acme.books.live()) == 2

    def test_a_later_look_that_was_not_complete_decides_nothing_and_is_made_again(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(minutes=11)
        settle(acme)
        del acme.books.bank_transactions[acme.books.live()[0].id]
        travel(hours=25)
        sandbox.faults.add("status", **LOOK, status=400, times=None)
        settle(acme)
        assert Export.objects.get().state == State.POSTED
        assert sweeper.unsettled_connections() == []
        sandbox.faults.clear()
        travel(minutes=11)
        assert sweeper.unsettled_connections() == [acme.connection.pk]
        settle(acme)
        assert Export.objects.get().cause == Cause.MISSING


# --- what must not matter ---------------------------------------------------------------------------------------------


def another_pex_account(world: make.World, row: Any) -> None:
    world.set(pex_account=world.books.add_bank_account("PEX Cash Two").id)


def another_date_choice(world: make.World, row: Any) -> None:
    world.set(posting_date=PURCHASE_DAY)


def another_tag(world: make.World, row: Any) -> None:
    world.pex.tag(row, {world.expense_tag.tag_id: "449"})


def a_later_start(world: make.World, row: Any) -> None:
    world.set(start_date=clock.today().isoformat())


class TestWhatIsChangedMeanwhile:
    @pytest.mark.parametrize("change", [another_pex_account, another_date_choice, another_tag, a_later_start])
    @pytest.mark.parametrize(("fault", "sent"), [("drop_after", 1), ("drop_before", 2)])
    def test_while_a_row_is_in_doubt(self, acme, sandbox, travel, change, fault, sent):
        row = acme.purchase("12.50")
        sandbox.faults.add(fault, **POST)
        acme.sync()
        as_sent = Export.objects.values("pex_account", "posting_date", "fingerprint").get()
        acme.connection.refresh_from_db()
        change(acme, row)
        travel(minutes=11)
        acme.sync()
        assert (export_of(row).state, posts(acme)) == (State.POSTED, sent)
        assert len(acme.books.live()) == 1
        if fault == "drop_after":
            assert Export.objects.values(*as_sent).get() == as_sent

    def test_a_new_account_is_used_only_for_what_is_surely_not_in_the_old_one(self, acme, sandbox, travel):
        arrived, lost = acme.purchase("12.50", account="429"), acme.purchase("3.00", account="449")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        [there, gone] = sorted(acme.books.live(), key=lambda record: record.total, reverse=True)
        del acme.books.bank_transactions[gone.id]
        acme.connection.refresh_from_db()
        old, new = there.bank_account.id, acme.books.add_bank_account("PEX Cash Two").id
        acme.set(pex_account=new)
        travel(minutes=11)
        acme.sync()
        assert [(row.state, row.pex_account) for row in map(export_of, (arrived, lost))] == [
            (State.POSTED, old),
            (State.POSTED, new),
        ]
        assert {key: record.bank_account.id for record in acme.books.live() for key in [record.reference]} == {
            key_of(arrived): old,
            key_of(lost): new,
        }


class TestDisconnected:
    def disconnect(self, world: make.World) -> None:
        with registry.open_connector(Connection.objects.get()) as opened:
            opened.disconnect()

    def reconnect(self, world: make.World) -> None:
        """The same person signs in again to the same organisation."""
        xero = world.sandbox.worlds["xero"]
        person = next(iter(xero.users.values()))
        tokens = xero.grant(person, [world.books])
        until = clock.now() + timedelta(seconds=tokens["expires_in"])
        credential = Credential.store(world.business, "xero", world.user, make.xero_secret(tokens), until)
        Connection.objects.update(credential=credential, state=Connection.State.READY)
        world.connection.refresh_from_db()

    @pytest.mark.parametrize(("fault", "sent"), [("drop_after", 2), ("drop_before", 3)])
    def test_the_ledger_outlives_it_and_rows_in_doubt_are_settled_afterwards(self, acme, sandbox, travel, fault, sent):
        posted = acme.purchase("12.50")
        acme.sync()
        record = export_of(posted).record_id
        doubtful = acme.purchase("3.00")
        sandbox.faults.add(fault, **POST)
        acme.sync()
        self.disconnect(acme)
        travel(hours=3)
        sandbox.calls.clear()
        assert sweeper.unsettled_connections() == []
        settle(acme)
        assert sandbox.calls.calls == []
        assert (export_of(posted).state, export_of(doubtful).state) == (State.POSTED, State.SENT)
        self.reconnect(acme)
        acme.sync()
        assert (export_of(posted).record_id, export_of(doubtful).state) == (record, State.POSTED)
        assert (len(acme.books.live()), posts(acme)) == (2, sent - 2)

    @pytest.mark.parametrize(
        ("fault", "becomes"), [("drop_after", (State.POSTED, "")), ("drop_before", (State.HELD, Cause.UNRESOLVED))]
    )
    def test_after_a_day_a_row_in_doubt_is_a_persons_and_is_found_if_it_is_there(
        self, acme, sandbox, travel, fault, becomes
    ):
        acme.purchase("12.50")
        sandbox.faults.add(fault, **POST)
        acme.sync()
        self.disconnect(acme)
        travel(hours=23)
        sweeper.give_up()
        assert Export.objects.get().state == State.SENT
        travel(hours=2)
        sweeper.give_up()
        assert (Export.objects.get().state, Export.objects.get().cause) == (State.HELD, Cause.UNRESOLVED)
        self.reconnect(acme)
        acme.sync()
        assert (Export.objects.get().state, Export.objects.get().cause) == becomes
        assert posts(acme) == 1


# --- with what is left of a day ---------------------------------------------------------------------------------------


class TestTheLastCallsOfADay:
    """Rule L12: they belong to looks."""

    @pytest.fixture
    def doubt(self, acme, sandbox, travel) -> Any:
        """One row in doubt whose look is due, one to be sent."""
        first = acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(minutes=11)
        return first, acme.purchase("3.00")

    def test_looks_go_on_and_posting_stops(self, acme, sandbox, travel, doubt):
        first, second = doubt
        switches = sandbox.worlds["xero"].switches
        switches.limits, switches.day_limit = True, 31
        run = acme.sync()
        assert (export_of(first).state, export_of(second).state) == (State.POSTED, State.DUE)
        assert (run.status, posts(acme)) == (Status.PAUSED, 1)
        assert "nearly used up" in run.says
        switches.day_limit = 5000
        travel(hours=25)
        assert sweeper.sleeping_runs() == [run.pk]
        engine.advance(run.pk)
        run.refresh_from_db()
        assert (run.status, export_of(second).state) == (Status.SUCCESS, State.POSTED)
        assert len(acme.books.live()) == 2

    def test_a_day_spent_altogether_leaves_a_row_in_doubt_where_it_is_until_it_was_looked_for(
        self, acme, sandbox, travel, doubt
    ):
        first, second = doubt
        switches = sandbox.worlds["xero"].switches
        switches.limits, switches.day_limit = True, 0
        run = acme.sync()
        assert (run.status, posts(acme)) == (Status.PAUSED, 1)
        travel(hours=12)
        engine.advance(run.pk)
        settle(acme)
        assert (Export.objects.get().state, posts(acme)) == (State.SENT, 1)
        switches.day_limit = 5000
        travel(hours=13)
        sweeper.give_up()
        engine.advance(run.pk)
        assert (export_of(first).state, export_of(second).state, posts(acme)) == (State.POSTED, State.POSTED, 2)
        assert len(acme.books.live()) == 2


def test_a_sweeper_that_stood_still_does_not_give_up_a_row_that_was_sent_anew(acme, sandbox, travel, freeze):
    """Move 13 goes by the batch it has read of."""
    acme.purchase("12.50")
    sandbox.faults.add("drop_before", **POST, times=2)
    acme.sync()
    travel(hours=25)
    freeze(ledger, "give_up", lambda: settle(acme))
    sweeper.give_up()
    assert (Export.objects.get().state, posts(acme)) == (State.SENT, 2)
    travel(minutes=11)
    settle(acme)
    assert (Export.objects.get().state, len(acme.books.live())) == (State.POSTED, 1)
