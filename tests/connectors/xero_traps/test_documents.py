from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from connectors.errors import SettingsNeeded
from connectors.records import CLOSED_PERIOD, Fate, Line, Posted, Refused
from connectors.settings import Settings
from tests.connectors.xero.conftest import change
from tests.syncjobs.following import posts

pytestmark = pytest.mark.database

LONG = "Diesel for the truck, " * 300


def lines(acme, *amounts: str, words: str = "Fuel") -> tuple[Line, ...]:
    return tuple(Line(Decimal(amount), acme.fuel.id, words) for amount in amounts)


@pytest.mark.parametrize(
    "changes",
    [
        {"words": ""},
        {"words": "   "},
        {"words": LONG},
        {"words": "“Ünïcode” 日本 & <b>"},
        {"amounts": ("0.00", "41.87")},
        {"amounts": ("50.00", "-8.13")},
    ],
)
def test_whatever_stands_in_pex_becomes_a_document_xero_takes(acme, xero, soon, changes):
    """Row 25: no line without words or amount, none too long, the total above nought."""
    entry = acme.entry(1, lines=lines(acme, *changes.get("amounts", ("41.87",)), words=changes.get("words", "Fuel")))

    outcome = xero.post([entry], soon)[entry.key]

    assert isinstance(outcome, Posted)
    assert [record.total for record in acme.organisation.live()] == [Decimal("41.87")]


@pytest.mark.parametrize(
    ("what", "changes", "cause"),
    [
        ("bank", {"status": "ARCHIVED"}, "bank_account"),
        ("fuel", {"status": "ARCHIVED"}, "account_archived"),
        ("fuel", {"status": "DELETED"}, "account"),
        ("fuel", {"system_account": "DEBTORS"}, "account"),
        ("fuel", {"type": "BANK"}, "account"),
    ],
)
def test_an_account_that_changed_after_it_was_read_is_named_with_what_to_do(acme, xero, soon, what, changes, cause):
    """Row 26: the mapping may be older than the chart of accounts."""
    xero.options("account")
    acme.organisation.change_account(getattr(acme, what), **changes)

    refused = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert (refused.cause, bool(refused.field)) == (cause, True)
    assert acme.organisation.live() == []


@pytest.mark.parametrize("usual", ["Exclusive", "Inclusive", "NoTax"])
@pytest.mark.parametrize("pays_tax", [True, False])
def test_the_amount_is_the_cards_whatever_xero_takes_amounts_for(acme, xero, soon, usual, pays_tax):
    """Row 27: sources disagree on what a document without the word means."""
    acme.switch(line_amount_types=usual)
    acme.organisation.pays_tax = pays_tax
    acme.organisation.add_tax_rate("Tax on purchases", "INPUT", "8.25")
    acme.organisation.change_account(acme.fuel, tax_type="INPUT")

    outcome = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert [record.total for record in acme.organisation.live()] == [Decimal("41.87")]
    assert isinstance(outcome, Posted)
    assert outcome.says == ""


def test_tax_of_many_odd_splits_leaves_the_total_alone(acme, xero, soon):
    """Row 28: tax is rounded on each line."""
    acme.organisation.pays_tax = True
    acme.organisation.add_tax_rate("Odd", "INPUT", "7.375")
    acme.organisation.change_account(acme.fuel, tax_type="INPUT")
    shares = ("0.01", "0.07", "0.33", "3.33", "3.34", "9.99")

    xero.post([acme.entry(1, "17.07", lines=lines(acme, *shares))], soon)

    (record,) = acme.organisation.live()
    assert (record.total, record.sub_total + record.total_tax) == (Decimal("17.07"), Decimal("17.07"))
    assert [line.line_amount for line in record.lines] == [Decimal(share) for share in shares]


@pytest.mark.parametrize(("tax_type", "cause"), [("", "tax"), ("GONE", "tax"), ("OUTPUT", "tax")])
def test_a_tax_rate_that_does_not_fit_is_said_with_what_to_do(acme, xero, soon, tax_type, cause):
    """Row 28: an account without a rate, with a deleted one, with one for sales."""
    acme.organisation.pays_tax = True
    acme.organisation.add_tax_rate("Gone", "GONE", "8", status="DELETED")
    acme.organisation.add_tax_rate("Tax on Sales", "OUTPUT", "8", classes=("REVENUE",))
    acme.organisation.change_account(acme.fuel, tax_type=tax_type)

    refused = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert (refused.cause, refused.field) == (cause, "tax")


@pytest.mark.parametrize("mode", ["error", "cut"])
def test_our_key_fits_wherever_xero_may_cut(acme, xero, soon, again, mode):
    """Row 29: how long a reference may be is nowhere said; one that is cut is another key."""
    acme.switch(reference_length=20, reference_mode=mode)
    entry = acme.entry(1, key="PEXT9999999999999-99")

    outcome = xero.post([entry], soon)[entry.key]

    assert isinstance(outcome, Posted)
    assert [record.reference for record in acme.organisation.live()] == [entry.key]
    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.LIVE


def test_a_plan_without_dollars_is_said_with_what_to_do(acme, xero, soon):
    """Row 30: another currency than the account's, or one the plan has not, is refused."""
    acme.organisation.currency = "AUD"
    acme.organisation.currencies.clear()

    refused = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert (refused.cause, refused.field) == ("currency", "pex_account")


@pytest.mark.parametrize("lock", ["period_lock_date", "end_of_year_lock_date"])
def test_a_lock_set_behind_our_back_is_said_and_the_day_after_it_goes(acme, xero, soon, lock):
    """Row 31: the locked day itself is closed, whichever of the two locks it is."""
    xero.closed_until()
    setattr(acme.organisation, lock, date(2026, 7, 3))
    on_the_day, after = acme.entry(1), acme.entry(2, date=date(2026, 7, 4))

    outcomes = xero.post([on_the_day, after], soon)

    assert isinstance(outcomes[on_the_day.key], Refused)
    assert outcomes[on_the_day.key].cause == CLOSED_PERIOD
    assert isinstance(outcomes[after.key], Posted)


def test_a_purchase_of_the_locked_day_waits_and_goes_once_it_is_open(world):
    """Row 31: off by one day would be a refusal every night."""
    row = world.purchase("12.50")
    day = row.times[1].date()
    world.books.period_lock_date = day
    world.sync()
    closed = posts(world)

    world.books.period_lock_date = day - timedelta(days=1)
    world.sync()

    assert (closed, posts(world), len(world.books.live())) == (0, 1, 1)


def test_a_reconciled_record_is_left_alone_and_still_known_as_ours(world, travel):
    """Row 32: an edit of it would fail in silence, so none is ever tried."""
    world.purchase("12.50")
    world.sync()
    (record,) = world.books.live()
    world.books.reconcile(record.id)
    written = len(world.sandbox.calls.writes("xero-api"))

    travel(days=1, hours=1)
    world.sync()

    assert len(world.sandbox.calls.writes("xero-api")) == written
    assert (record.status, record.is_reconciled, len(world.books.live())) == ("AUTHORISED", True, 1)


def test_without_a_bank_account_for_pex_nothing_is_guessed(acme, connection, again):
    """Row 26: the first bank account of the list is not ours by chance."""
    change(connection, settings=replace(Settings.parse(connection.settings), pex_account="").stored())

    with pytest.raises(SettingsNeeded):
        again().books(date(2026, 7, 1), date(2026, 7, 3))
