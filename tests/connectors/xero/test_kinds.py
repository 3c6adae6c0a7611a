"""Every kind as it stands in Xero: direction, tax, tracking, what it costs."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from connectors.connector import Deadline
from connectors.records import Kind, Line, Party, Posted, Refused
from connectors.settings import Settings

pytestmark = pytest.mark.database

WAYS = [
    (Kind.PURCHASE, "41.87", "SPEND"),
    (Kind.PURCHASE, "-41.87", "RECEIVE"),
    (Kind.FEE, "3.00", "SPEND"),
    (Kind.FEE, "-3.00", "RECEIVE"),
    (Kind.REBATE, "-12.34", "RECEIVE"),
    (Kind.REBATE, "12.34", "SPEND"),
]


@pytest.fixture
def taxed(acme):
    acme.organisation.pays_tax = True
    acme.organisation.add_tax_rate("Tax on purchases", "INPUT", "8.25")
    acme.organisation.change_account(acme.fuel, tax_type="INPUT")


@pytest.fixture
def region(acme):
    return acme.organisation.add_tracking("Region", ["West", "East"])


@pytest.fixture
def team(acme):
    return acme.organisation.add_tracking("Team", ["Blue"])


def choose_tax(connection, tax):
    connection.settings = replace(Settings.parse(connection.settings), extra={"tax": tax}).stored()


def tracked(acme, *options, **changes):
    """An entry whose line carries these (category, option) pairs."""
    dimensions = tuple((f"tracking:{category.id}", option.id) for category, option in options)
    return acme.entry(1, lines=(Line(Decimal("41.87"), acme.fuel.id, "Fuel", dimensions),), **changes)


@pytest.mark.parametrize(("kind", "amount", "type"), WAYS)
def test_each_kind_stands_by_its_sign_and_to_the_cent(acme, xero, soon, kind, amount, type):
    outcome = xero.post([acme.entry(1, amount, kind=kind)], soon)["PEXT8000001"]

    (record,) = acme.organisation.live()
    assert isinstance(outcome, Posted)
    assert (record.type, record.total) == (type, abs(Decimal(amount)))
    assert -acme.organisation.balance(acme.bank) == Decimal(amount)
    assert [(each.id, each.amount) for each in xero.books(date(2026, 7, 1), date(2026, 7, 31))] == [
        (outcome.record_id, Decimal(amount))
    ]


def test_all_kinds_of_one_batch_add_up_to_what_pex_says(acme, xero, soon):
    batch = [acme.entry(number, amount, kind=kind) for number, (kind, amount, _) in enumerate(WAYS, 1)]
    batch += [
        acme.transfer(7, "-500.00"),
        acme.transfer(8, "120.50"),
        acme.transfer(9, "-9.99", kind=Kind.BILL_PAYMENT),
    ]

    xero.post(batch, soon)

    assert -acme.organisation.balance(acme.bank) == sum(entry.amount for entry in batch)
    assert acme.organisation.balance(acme.savings) == Decimal("-389.49")
    assert sum(record.amount for record in xero.books(date(2026, 7, 1), date(2026, 7, 31))) == sum(
        entry.amount for entry in batch
    )


# --- tax


@pytest.mark.parametrize(("kind", "amount", "type"), WAYS)
def test_tax_is_carved_out_of_every_kind_and_the_total_stays(acme, taxed, xero, soon, kind, amount, type):
    outcome = xero.post([acme.entry(1, amount, kind=kind)], soon)["PEXT8000001"]

    (record,) = acme.organisation.live()
    assert (record.line_amount_types, record.total, outcome.says) == ("Inclusive", abs(Decimal(amount)), "")
    assert record.total_tax > 0


def test_no_tax_where_the_setting_says_so(acme, taxed, connection, xero, soon):
    choose_tax(connection, "none")

    xero.post([acme.entry(1)], soon)

    assert [(one.line_amount_types, one.total_tax) for one in acme.organisation.live()] == [("NoTax", Decimal("0.00"))]


def test_an_organisation_that_pays_no_tax_gets_none_whatever_the_setting_says(acme, taxed, connection, xero, soon):
    acme.organisation.pays_tax = False
    choose_tax(connection, "inclusive")

    xero.post([acme.entry(1)], soon)

    assert [one.line_amount_types for one in acme.organisation.live()] == ["NoTax"]


def test_an_account_without_a_tax_rate_is_explained(acme, taxed, xero, soon):
    acme.organisation.change_account(acme.fuel, tax_type="")

    refused = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert (refused.cause, refused.field) == ("tax", "tax")
    assert "default tax rate" in refused.says


# --- tracking


def test_two_categories_stand_on_each_line(acme, region, team, xero, soon):
    west, blue = region.option("west"), team.option("blue")

    outcome = xero.post([tracked(acme, (region, west), (team, blue))], soon)["PEXT8000001"]

    (record,) = acme.organisation.live()
    assert [(one.category.name, one.option.name) for one in record.lines[0].tracking] == [
        ("Region", "West"),
        ("Team", "Blue"),
    ]
    assert outcome.says == ""
    assert acme.calls("GET", "TrackingCategories") == 1


@pytest.mark.parametrize("kind", [Kind.PURCHASE, Kind.FEE])
def test_an_archived_option_is_said_before_anything_is_sent(acme, region, xero, soon, kind):
    west = region.option("west")
    acme.organisation.change_tracking(west, status="ARCHIVED")

    refused = xero.post([tracked(acme, (region, west), kind=kind)], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert "“West” of Region is archived" in refused.says
    assert refused.field == {Kind.PURCHASE: "", Kind.FEE: "fee:"}[kind] + f"tracking:{region.id}"
    assert acme.calls("PUT") == 0


def test_an_option_archived_at_the_last_moment_is_told_beside_the_posted_record(acme, region, xero, soon):
    west = region.option("west")
    xero.fields()
    acme.organisation.change_tracking(west, status="ARCHIVED")

    outcome = xero.post([tracked(acme, (region, west))], soon)["PEXT8000001"]

    assert isinstance(outcome, Posted)
    assert "without its tracking: Region “West”" in outcome.says
    assert len(acme.organisation.live()) == 1


def test_an_option_xero_refuses_at_the_last_moment_is_refused_alone(acme, region, xero, soon):
    acme.switch(tracking="refuse")
    west = region.option("west")
    xero.fields()
    acme.organisation.change_tracking(west, status="ARCHIVED")

    outcomes = xero.post([tracked(acme, (region, west)), acme.entry(2)], soon)

    assert [type(outcome) for outcome in outcomes.values()] == [Refused, Posted]


# --- what it costs


def test_the_calls_of_a_sync_with_every_kind_and_tracking_stay_within_the_bar(acme, region, xero):
    acme.organisation.add_foreign_transactions(20_000)
    acme.organisation.add_foreign_contacts(2_999)
    west = region.option("west")
    line = Line(Decimal("1.00"), acme.fuel.id, "Fuel", ((f"tracking:{region.id}", west.id),))
    purchases = [
        acme.entry(number, "1.00", party=Party(name=f"Merchant {number % 120}"), lines=(line,)) for number in range(380)
    ]
    fees = [acme.entry(400 + number, "1.00", kind=Kind.FEE, party=Party(id=acme.shell.id)) for number in range(20)]
    batch, transfers = [*purchases, *fees], [acme.transfer(500 + number) for number in range(12)]
    everything = [*batch, *transfers]

    for field in xero.fields():
        if not field.text and field.key != "party":
            xero.options(field.list_name)
    xero.closed_until()
    xero.find([acme.sent(entry) for entry in everything])
    xero.prepare(everything)
    for start in range(0, len(everything), 50):
        xero.post(everything[start : start + 50], Deadline.after(30))

    assert len(acme.organisation.live()) == 20_400
    assert len(acme.organisation.live_transfers()) == 12
    assert acme.calls() <= 400 / 50 + 12 + 3 + 10
    assert acme.desk.calls.connections("xero") <= 4
