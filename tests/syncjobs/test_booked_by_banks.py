"""Fundings and bill payments come into the books from the bank's side too: every run looks before it adds them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from pexsync import clock
from syncjobs import engine, people
from syncjobs.models import Export, SyncRun
from syncjobs.people import Action
from syncjobs.transitions import Cause, State
from tests.syncjobs.following import booked, settle

pytestmark = pytest.mark.database


@pytest.fixture
def prepaid(acme):
    """Acme with every kind on and its first sync behind it."""
    acme.all_kinds()
    acme.pex.add_business_row(amount="1.00", settled=clock.now() - timedelta(days=40))
    acme.sync()
    assert "transfer" in acme.connection.preview_confirmed
    return acme


@pytest.fixture
def charge(acme):
    """Acme as a charge account with one open statement, its first sync behind it."""
    acme.pex.funding = "Credit"
    acme.all_kinds()
    statement = acme.pex.add_statement("1000.00", due=clock.now() + timedelta(days=9), status="Open", payments=[])
    acme.pex.add_payment(statement, amount="1.00", paid=clock.now() - timedelta(days=40))
    acme.sync()
    return acme


def fund(world, amount: str = "500.00", days_ago: int = 10) -> str:
    """Money comes from the bank; returns the key its record would carry."""
    settled = clock.now() - timedelta(days=days_ago)
    return f"PEXT{world.pex.add_business_row(amount=amount, settled=settled).transaction_id}"


def feed(world, amount: str = "500.00", days_ago: int = 10, type: str = "RECEIVE"):
    """The bank feed of the PEX account brought it, and a bookkeeper coded it."""
    pex_account = world.books.account("PEX Cash Account")
    day = clock.today() - timedelta(days=days_ago)
    return world.books.post_by_hand("ACH CREDIT PEX", amount, type=type, date=day, bank_account=pex_account)


def held() -> list[str]:
    rows = Export.objects.filter(state=State.HELD, cause=Cause.LOOKALIKE)
    return sorted(f"PEX{'S' if row.source == 'statement_payment' else 'T'}{row.pex_id}" for row in rows)


@pytest.mark.parametrize(("apart", "is_held"), [(-8, False), (-7, True), (0, True), (7, True), (8, False)])
def test_a_funding_the_bank_feed_booked_within_seven_days_is_held_on_a_later_run_too(prepaid, apart, is_held):
    key = fund(prepaid, days_ago=20)
    feed(prepaid, days_ago=20 + apart)
    before = booked(prepaid)
    prepaid.sync()
    assert held() == ([key] if is_held else [])
    assert booked(prepaid) == before + ([] if is_held else [(key, Decimal("-500.00"))])


def test_a_transfer_somebody_entered_between_the_two_accounts_counts_as_well(prepaid):
    prepaid.books.transfer_by_hand("Business Checking", "PEX Cash Account", "500.00")
    key = fund(prepaid, days_ago=2)
    prepaid.sync()
    assert held() == [key]


def test_money_that_goes_back_to_the_bank_is_not_taken_for_money_that_came(prepaid):
    key = fund(prepaid, "-500.00")
    feed(prepaid)
    prepaid.sync()
    assert held() == []
    assert (key, Decimal("500.00")) in booked(prepaid)


def test_of_two_equal_fundings_one_line_of_the_feed_explains_one(prepaid):
    keys = {fund(prepaid), fund(prepaid)}
    feed(prepaid)
    prepaid.sync()
    assert len(held()) == 1
    assert {reference for reference, _ in booked(prepaid)} >= keys - set(held())


def test_a_payment_of_a_statement_is_held_in_the_same_way(charge):
    [statement] = charge.pex.statements.values()
    paid = charge.pex.add_payment(statement, amount="500.00", paid=clock.now() - timedelta(days=10))
    feed(charge, days_ago=5)
    charge.sync()
    assert held() == [f"PEXS{paid.payment_id}"]


def test_the_line_a_person_vouches_for_becomes_its_record_and_nothing_is_added(prepaid):
    fund(prepaid)
    line = feed(prepaid)
    before = booked(prepaid)
    prepaid.sync()
    row = Export.objects.get(state=State.HELD)
    wish = people.Wish(prepaid.connection, Action.IT_IS_THERE, prepaid.user, record=line.id)
    assert people.decide(wish, [row.pk]).moved
    prepaid.sync()
    assert Export.objects.get(pk=row.pk).state == State.POSTED
    assert booked(prepaid) == before


def test_sent_anyway_it_is_booked_beside_the_line_of_the_feed(prepaid):
    key = fund(prepaid)
    feed(prepaid)
    prepaid.sync()
    row = Export.objects.get(state=State.HELD)
    assert people.decide(people.Wish(prepaid.connection, Action.SEND, prepaid.user), [row.pk]).moved
    prepaid.sync()
    assert (key, Decimal("-500.00")) in booked(prepaid)


def test_for_payments_that_stay_out_the_books_are_not_asked(charge):
    [statement] = charge.pex.statements.values()
    paid = clock.now() - timedelta(days=3)
    charge.pex.add_payment(statement, amount="500.00", paid=paid, rejected=True)
    charge.pex.add_payment(statement, "Reversal", amount="500.00", paid=paid)
    charge.sync()
    charge.sandbox.calls.clear()
    charge.sync()
    assert charge.sandbox.calls.matching("xero-api", "GET", "/BankTrans") == []


class TestDoubtAboutATransferWhoseKeySomebodyChanged:
    """A transfer is known by its reference alone. Without it in the books a second one would go out."""

    TRANSFERS = {"system": "xero-api", "method": "PUT", "path": "/BankTransfers$"}

    @pytest.fixture
    def lost(self, prepaid, sandbox):
        """A funding whose answer was lost, and whose record then got another reference in Xero."""
        key = fund(prepaid, days_ago=2)
        sandbox.faults.add("drop_after", **self.TRANSFERS)
        prepaid.sync()
        (transfer,) = [each for each in prepaid.books.live_transfers() if each.reference == key]
        prepaid.books.edit_transfer(transfer, "Funding of July")
        return key

    def test_it_is_not_sent_again_before_a_run_has_compared(self, prepaid, lost, travel):
        travel(minutes=11)
        settle(prepaid)
        assert [row.state for row in Export.objects.exclude(state=State.POSTED)] == [State.DUE]
        prepaid.sync()
        assert held() == [lost]
        assert [amount for _, amount in booked(prepaid)].count(Decimal("-500.00")) == 1

    def test_a_run_that_is_sending_compares_once_more(self, prepaid, lost, sandbox, travel):
        travel(minutes=11)
        prepaid.purchase("9.99")
        sandbox.faults.add("status", status=503, system="xero-api", method="GET", path="/BankTransfers$", times=99)
        run = prepaid.sync(slices=1)
        there = {"phase": SyncRun.Phase.SENDING, "mirrored_at": clock.now()}
        SyncRun.objects.filter(pk=run.pk).update(wake_at=None, **there)
        sandbox.faults.clear()
        engine.advance(run.pk)
        assert held() == [lost]
        assert [amount for _, amount in booked(prepaid)].count(Decimal("-500.00")) == 1
