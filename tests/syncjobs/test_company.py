"""Changing the company in the books: what follows, what stays, and that nothing slips through between the two."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections

from connectors.models import Credential
from connectors.records import Company
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from syncjobs import company, engine, ledger, people, runs, sweeper
from syncjobs.models import Export, SyncRun
from syncjobs.people import Action, Wish
from syncjobs.transitions import Cause, Closed, State
from tests import make
from tests.syncjobs.following import POST, export_of

pytestmark = pytest.mark.database


@pytest.fixture
def west(acme) -> Any:
    """Another organisation of the same person, with the same accounts; Acme's sign-in opens both."""
    xero = acme.sandbox.worlds["xero"]
    other = xero.add_organisation(name="Acme West LLC", short_code="!west")
    other.add_bank_account("PEX Cash Account")
    for code in ("429", "449"):
        other.add_account(code, f"Account {code}")
    tokens = xero.grant(xero.add_user("ann.west", "west@example.com", [acme.books, other]), [acme.books, other])
    acme.connection.credential = Credential.store(
        acme.business, "xero", acme.user, make.xero_secret(tokens), clock.now() + timedelta(minutes=30)
    )
    acme.connection.save()
    return other


def move(world: make.World, to: Any, cutover: Any = None) -> int:
    """Choose the company and its PEX account, as Connect and Setup leave them."""
    with everywhere():
        world.connection.refresh_from_db()
    left_out = company.change_company(world.connection, Company(to.id, to.name), cutover, world.user)
    world.set(pex_account=next(account.id for account in to.bank_accounts()))
    return left_out


def settled(days: int) -> dict[str, Any]:
    return {"settled": clock.now() - timedelta(days=days)}


def day(days: int) -> Any:
    return clock.today() - timedelta(days=days)


class TestWhatFollows:
    def test_rows_never_sent_follow_from_the_day_on(self, acme, west):
        posted = acme.purchase("1.00", **settled(20))
        early = acme.purchase("2.00", approval="NotReviewed", **settled(20))
        late = acme.purchase("3.00", approval="NotReviewed", **settled(5))
        acme.sync()
        assert move(acme, west, day(10)) == 1
        for row in (early, late):
            acme.pex.set_approval(row, "Approved")
        acme.sync()
        assert [record.total for record in west.live()] == [3]
        assert [record.total for record in acme.books.live()] == [1]
        assert (export_of(early).state, export_of(early).cause) == (State.CLOSED, Closed.LEFT_OUT)
        assert export_of(early).says == "Settled before the change to Acme West LLC."
        assert export_of(early).events.get(event="taken_out").person == acme.user
        assert export_of(posted).target == f"xero:{acme.books.id}"

    def test_what_settled_before_and_was_never_seen_is_not_let_in(self, acme, west):
        acme.sync()
        move(acme, west, day(10))
        acme.purchase("2.00", **settled(11))
        on_the_day = acme.purchase("3.00", **settled(10))
        acme.sync()
        assert [row.pex_id for row in Export.objects.all()] == [on_the_day.transaction_id]
        assert len(west.live()) == 1

    def test_what_was_left_out_may_be_brought_back(self, acme, west):
        early = acme.purchase("2.00", approval="NotReviewed", **settled(20))
        acme.sync()
        move(acme, west, day(10))
        acme.pex.set_approval(early, "Approved")
        people.decide(Wish(acme.connection, Action.UNDO, acme.user), [export_of(early).pk])
        acme.sync()
        assert len(west.live()) == 1

    def test_the_first_day_stands_when_the_company_changes_once_more(self, acme, west):
        move(acme, west, day(10))
        move(acme, acme.books)
        assert acme.connection.cutover_on == day(10)

    def test_nothing_goes_to_the_new_company_before_somebody_confirmed_it(self, acme, west):
        acme.purchase("1.00")
        acme.sync()
        acme.purchase("2.00")
        move(acme, west, day(30))
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert (run.status, west.live()) == (SyncRun.Status.PAUSED, [])

    def test_a_receipt_that_comes_later_is_not_carried_to_the_wrong_company(self, acme, west, travel):
        row = acme.purchase("1.00", receipts=["png"])
        acme.pex.change_receipt(row, row.attachments[0].attachment_id, status="NotLoaded")
        acme.sync()
        move(acme, west, day(0))
        acme.pex.change_receipt(row, row.attachments[0].attachment_id, status="Loaded")
        travel(minutes=6)
        acme.sandbox.calls.clear()
        acme.sync()
        assert acme.sandbox.calls.matching("xero-api", "PUT", "/Attachments/") == []
        assert [receipt.state for receipt in export_of(row).receipts.all()] == ["waiting"]


class TestWhatIsInTheWay:
    def test_a_row_without_an_answer_keeps_the_company_until_its_fate_is_known(self, acme, west, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        with pytest.raises(company.CannotChange, match=r"1 transaction is on its way to .* until \d+ \w+ \d\d:"):
            move(acme, west)
        acme.connection.refresh_from_db()
        assert acme.connection.company == acme.books.id
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        with pytest.raises(company.CannotChange, match="looked at once more until"):
            move(acme, west)
        travel(hours=25)
        engine.settle(acme.connection.pk)
        move(acme, west)
        acme.sync()
        assert (len(acme.books.live()), west.live()) == (1, [])

    def test_what_was_held_before_it_went_anywhere_is_left_out_like_the_rest(self, acme, west):
        row = acme.purchase("2.00", **settled(20))
        acme.pex.add_note(row, "Synced with Xero")
        acme.sync()
        assert export_of(row).state == State.HELD
        assert company.never_sent(acme.connection) == 1
        assert move(acme, west, day(10)) == 1
        assert (export_of(row).state, export_of(row).cause) == (State.CLOSED, Closed.LEFT_OUT)

    def test_a_row_in_doubt_that_a_person_holds_stays_with_the_old_company(self, acme, west, sandbox, travel):
        row = acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(hours=25)
        sweeper.give_up()
        move(acme, west, day(30))
        acme.sync()
        assert (export_of(row).state, export_of(row).cause) == (State.HELD, Cause.UNRESOLVED)
        assert export_of(row).target == f"xero:{acme.books.id}"
        answer = people.decide(Wish(acme.connection, Action.SEND, acme.user), [export_of(row).pk])
        assert not answer.moved
        assert west.live() == []

    def test_a_sync_under_way_keeps_the_company(self, acme, west):
        acme.purchase("12.50")
        runs.start(acme.connection, acme.user)
        with pytest.raises(company.CannotChange, match="is under way"):
            move(acme, west)


class TestRace:
    """Rows freed by a look are sent without a run, so a change of the company may come between their look and claim."""

    @pytest.fixture
    def freed(self, acme, sandbox, travel) -> Any:
        """A purchase that surely did not arrive: the next settling sends it once more."""
        row = acme.purchase("12.50")
        sandbox.faults.add("drop_before", **POST)
        acme.sync()
        travel(minutes=11)
        return row

    def test_a_company_changed_before_the_claim_gets_nothing_and_the_old_one_neither(
        self, acme, west, freed, monkeypatch
    ):
        original = ledger.claim

        def too_late(*args):
            monkeypatch.setattr(ledger, "claim", original)
            move(acme, west, day(30))
            return original(*args)

        monkeypatch.setattr(ledger, "claim", too_late)
        engine.settle(acme.connection.pk)
        assert (acme.books.live(), west.live()) == ([], [])
        assert (export_of(freed).state, export_of(freed).target) == (State.DUE, "")
        acme.sync()
        assert (acme.books.live(), len(west.live())) == ([], 1)

    def test_a_company_cannot_be_changed_after_the_claim(self, acme, west, freed, monkeypatch):
        reasons = []
        original = Xero.post

        def meanwhile(books, entries, deadline):
            with pytest.raises(company.CannotChange) as reason:
                move(acme, west)
            reasons.append(str(reason.value))
            return original(books, entries, deadline)

        monkeypatch.setattr(Xero, "post", meanwhile)
        engine.settle(acme.connection.pk)
        assert "on its way" in reasons[0]
        assert (len(acme.books.live()), west.live()) == (1, [])

    def test_a_claim_that_comes_while_the_company_is_being_changed_waits_and_then_claims_nothing(
        self, acme, west, freed, monkeypatch
    ):
        claimed: list[int] = []
        original, take_out = ledger.claim, ledger.take_out
        waiting: list[threading.Thread] = []

        def beside(*args):
            """Claim in a thread of its own while the change holds the connection; its lease is its own."""

            def claim():
                claimed.append(len(original(*args).exports))
                connections.close_all()

            def and_a_claim_comes(*these):
                waiting.append(threading.Thread(target=claim))
                waiting[0].start()
                wait_until_blocked()
                return take_out(*these)

            monkeypatch.setattr(ledger, "claim", original)
            monkeypatch.setattr(ledger, "take_out", and_a_claim_comes)
            move(acme, west, day(30))
            waiting[0].join(30)
            return original(*args)

        monkeypatch.setattr(ledger, "claim", beside)
        engine.settle(acme.connection.pk)
        assert claimed == [0]
        assert (acme.books.live(), west.live()) == ([], [])


def wait_until_blocked() -> None:
    """Until somebody waits for a lock of ours. SQLite lets one writer in at a time, whenever it comes."""
    if database.vendor != "postgresql":
        return
    with database.cursor() as cursor:
        for _ in range(100_000):
            cursor.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits: the claim did not ask for the connection")
