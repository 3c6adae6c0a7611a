from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors.records import Entry, Line, Posted, Refused
from syncjobs.models import Export
from syncjobs.transitions import State

pytestmark = pytest.mark.database

Tracked = Callable[..., Entry]


@pytest.fixture
def region(acme) -> Any:
    return acme.organisation.add_tracking("Region", ["North", "South"])


@pytest.fixture
def tracked(acme) -> Tracked:
    """An entry of one line with an option of each category, its first one unless another is named."""

    def make(*categories: Any, number: int = 1, option: Any = None) -> Entry:
        dimensions = tuple((f"tracking:{one.id}", (option or one.options[0]).id) for one in categories)
        return acme.entry(number, lines=(Line(Decimal("41.87"), acme.fuel.id, "Fuel", dimensions),))

    return make


def booked(acme) -> list[str]:
    return [value.option.name for record in acme.organisation.live() for value in record.lines[0].tracking]


def test_both_categories_of_a_line_stand_in_the_books(acme, xero, soon, region, tracked):
    """Row 33: by their ids, so that a name changed in between changes nothing."""
    project = acme.organisation.add_tracking("Project", ["Maple Street"])
    xero.fields()
    acme.organisation.change_tracking(region.options[0], name="Northern")

    outcome = xero.post([tracked(region, project)], soon)["PEXT8000001"]

    assert booked(acme) == ["Northern", "Maple Street"]
    assert isinstance(outcome, Posted)
    assert outcome.says == ""


@pytest.mark.parametrize("mode", ["drop", "warn"])
def test_an_option_xero_drops_without_a_word_is_told_beside_the_posted_row(acme, xero, soon, region, tracked, mode):
    """Row 33: it was archived between our reading and our writing; only the answer shows that it is missing."""
    acme.switch(tracking=mode)
    xero.options(f"tracking:{region.id}")
    acme.organisation.change_tracking(region.options[0], status="ARCHIVED")

    dropped, kept = xero.post([tracked(region), tracked(region, number=2, option=region.options[1])], soon).values()

    assert isinstance(dropped, Posted)
    assert "North" in dropped.says
    assert kept == Posted(kept.record_id, kept.link)
    assert booked(acme) == ["South"]


def test_an_option_xero_refuses_is_refused_and_the_others_go(acme, xero, soon, region, tracked):
    """Row 33: other servers refuse what these drop."""
    acme.switch(tracking="refuse")
    xero.options(f"tracking:{region.id}")
    acme.organisation.change_tracking(region.options[0], status="ARCHIVED")

    refused, posted = xero.post([tracked(region), tracked(region, number=2, option=region.options[1])], soon).values()

    assert (type(refused), type(posted)) == (Refused, Posted)
    assert booked(acme) == ["South"]


@pytest.mark.parametrize("mode", ["drop", "warn", "refuse"])
@pytest.mark.parametrize("gone", ["option archived", "option deleted", "category archived", "category deleted"])
def test_what_is_known_to_be_gone_is_never_sent(acme, xero, soon, region, tracked, mode, gone):
    """Row 33: whatever Xero would do with it, a person should choose."""
    acme.switch(tracking=mode)
    what, status = gone.split()
    thing = region.options[0] if what == "option" else region
    acme.organisation.change_tracking(thing, status=status.upper())

    refused = xero.post([tracked(region)], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert refused.field == f"tracking:{region.id}"
    assert acme.calls("PUT", "BankTransactions") == 0


def test_a_third_category_on_a_line_is_refused_before_it_is_sent(acme, xero, soon, region, tracked):
    """Row 33: a line takes two."""
    more = [acme.organisation.add_tracking(name, ["One"]) for name in ("Project", "Third")]

    refused = xero.post([tracked(region, *more)], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert acme.calls("PUT", "BankTransactions") == 0


def test_splits_keep_the_tracking_of_each_line(acme, xero, soon, region):
    """Row 33: what came back is compared line by line."""
    north, south = region.options
    lines = tuple(
        Line(Decimal(amount), acme.fuel.id, "Fuel", ((f"tracking:{region.id}", option.id),))
        for amount, option in (("20.00", north), ("21.87", south))
    )

    outcome = xero.post([acme.entry(1, lines=lines)], soon)["PEXT8000001"]

    (record,) = acme.organisation.live()
    assert [[value.option.name for value in line.tracking] for line in record.lines] == [["North"], ["South"]]
    assert isinstance(outcome, Posted)
    assert outcome.says == ""


def test_a_purchase_is_tracked_by_its_tag_until_the_option_is_archived(world):
    """Rows 33 and 47: an archived option keeps its purchases waiting with a sentence, and the others go."""
    kinds = world.all_kinds(tracking=["Region"])
    category, tag = kinds.tracking["Region"]
    first, second = category.options[:2]
    account = {world.expense_tag.tag_id: "429"}
    world.purchase("10.00", tags={**account, tag.tag_id: first.id})
    world.sync()
    world.books.change_tracking(first, status="ARCHIVED")
    waiting = world.purchase("20.00", tags={**account, tag.tag_id: first.id})
    world.purchase("30.00", tags={**account, tag.tag_id: second.id})
    world.sync()

    found = {record.total: [value.option for value in record.lines[0].tracking] for record in world.books.live()}
    assert found == {Decimal("10.00"): [first], Decimal("30.00"): [second]}
    row = Export.objects.get(pex_id=waiting.transaction_id)
    assert (row.state, first.name in row.says) == (State.DUE, True)
