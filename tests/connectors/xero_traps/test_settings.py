from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import Posted
from pexsync import clock
from syncjobs.models import Export
from syncjobs.transitions import State

pytestmark = pytest.mark.database


def test_an_account_renamed_and_renumbered_between_two_syncs_is_still_the_chosen_one(world):
    """Row 47: a code can be given to another account, an id cannot."""
    world.set(
        fields={"account": {"source": "static", "value": world.books.account("429").id, "tag": "", "default": ""}}
    )
    account = world.books.account("429")
    world.purchase("10.00")
    world.sync()
    world.books.change_account(account, code="777", name="Sundry")
    world.books.add_account("429", "Entertainment")
    world.purchase("20.00")
    world.sync()

    assert {line.account for record in world.books.live() for line in record.lines} == {account}
    assert [record.total for record in world.books.live()] == [Decimal("10.00"), Decimal("20.00")]


def test_an_account_archived_between_two_syncs_keeps_its_purchases_until_it_is_back(world):
    """Row 47: nothing is booked elsewhere instead."""
    world.purchase("10.00")
    world.sync()
    account = world.books.account("429")
    world.books.change_account(account, status="ARCHIVED")
    row = world.purchase("20.00")
    world.sync()
    archived = Export.objects.get(pex_id=row.transaction_id)
    world.books.change_account(account, status="ACTIVE")
    world.sync()

    assert archived.state == State.DUE
    assert "archived" in archived.says
    assert [record.total for record in world.books.live()] == [Decimal("10.00"), Decimal("20.00")]


@pytest.mark.parametrize("pays_tax", [True, False])
def test_tax_follows_the_organisation_from_one_sync_to_the_next(world, pays_tax):
    """Row 47: whether it pays tax may change, and the amount stays the card's."""
    world.books.add_tax_rate("Tax on purchases", "INPUT", "8.25")
    world.books.change_account(world.books.account("429"), tax_type="INPUT")
    world.books.pays_tax = not pays_tax
    world.purchase("10.00")
    world.sync()
    world.books.pays_tax = pays_tax
    world.purchase("20.00")
    world.sync()

    first, second = world.books.live()
    assert (first.total, second.total) == (Decimal("10.00"), Decimal("20.00"))
    assert bool(second.total_tax) is pays_tax
    assert bool(first.total_tax) is not pays_tax


def test_a_rate_deleted_between_two_syncs_stops_its_purchases_with_a_sentence(world):
    """Row 47: the account still names it."""
    rate = world.books.add_tax_rate("Tax on purchases", "INPUT", "8.25")
    world.books.change_account(world.books.account("429"), tax_type="INPUT")
    world.books.pays_tax = True
    world.books.change_tax_rate(rate, status="DELETED")
    world.purchase("10.00")

    world.sync()

    row = Export.objects.get()
    assert (row.state, world.books.live()) == (State.DUE, [])
    assert "tax rate" in row.says


@pytest.mark.parametrize("count", [0, 1, 2])
def test_as_many_tracking_categories_as_there_are_can_be_coded(acme, xero, soon, count):
    """Row 47: an organisation has none, one or two, and a retired one is no more to be chosen."""
    names = ["Region", "Project"][:count]
    for name in names:
        acme.organisation.add_tracking(name, ["One"])
    acme.organisation.add_tracking("Retired", ["One"], status="ARCHIVED")

    assert {field.label for field in xero.fields() if field.key.startswith("tracking:")} == set(names)
    assert isinstance(xero.post([acme.entry(1)], soon)["PEXT8000001"], Posted)


def test_a_lock_lifted_lets_the_waiting_go(world):
    """Row 47: lock dates come and go between syncs."""
    world.purchase("12.50")
    world.books.end_of_year_lock_date = clock.today() + timedelta(days=1)
    world.sync()
    closed = len(world.books.live())
    world.books.end_of_year_lock_date = None
    world.sync()

    assert (closed, len(world.books.live())) == (0, 1)
