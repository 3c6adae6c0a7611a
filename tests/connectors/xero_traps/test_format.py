from datetime import date
from decimal import Decimal

import pytest

from connectors.records import Fate, Posted

pytestmark = pytest.mark.database


def test_json_is_asked_for_wherever_we_ask(acme, xero, soon, monkeypatch):
    """Row 11: without the header Xero speaks XML, which nothing here could read."""
    asked = []
    client = xero.client.session
    monkeypatch.setattr(client, "read", _noting(client.read, asked))
    monkeypatch.setattr(client, "write", _noting(client.write, asked))

    xero.check()
    xero.post([acme.entry(1)], soon)
    xero.find([acme.sent(acme.entry(1))])

    assert len(asked) >= 6
    assert {headers["Accept"] for headers in asked} == {"application/json"}


def _noting(send, asked):
    def noted(method, url, **options):
        asked.append(options["headers"])
        return send(method, url, **options)

    return noted


@pytest.mark.parametrize("form", ["recorded", "zone", "plain"])
def test_days_are_the_same_in_each_form_xero_writes_them_in(acme, xero, soon, again, form):
    """Row 12: dates come with a zone, without one, and both in one body."""
    acme.switch(date_form=form)
    acme.organisation.period_lock_date = date(2026, 6, 30)
    entry = acme.entry(1)
    xero.post([entry], soon)

    (record,) = again().books(date(2026, 7, 3), date(2026, 7, 3))

    assert (record.date, again().closed_until()) == (date(2026, 7, 3), date(2026, 6, 30))
    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.LIVE


@pytest.mark.parametrize("member", ["CurrencyCode", "LineAmountTypes", "Status", "Type"])
def test_a_value_nobody_has_heard_of_never_makes_a_posted_record_unknown(acme, xero, soon, again, member):
    """Row 13: a reader that gives up on it would lose the whole answer, and post a second time."""
    acme.switch(unknown_enum=member)
    batch = [acme.entry(number) for number in (1, 2)]

    outcomes = xero.post(batch, soon)
    found = again().find([acme.sent(entry, in_doubt=True) for entry in batch])

    assert {type(outcome) for outcome in outcomes.values()} == {Posted}
    assert {what.fate for what in found.values()} <= {Fate.LIVE, Fate.DOUBTFUL}
    assert len(acme.organisation.live()) == 2


@pytest.mark.parametrize(
    "member",
    [
        "Accounts.Class",
        "Accounts.BankAccountType",
        "Accounts.TaxType",
        "Organisations.Class",
        "Organisations.OrganisationStatus",
        "Organisations.Timezone",
        "TrackingCategories.Status",
    ],
)
def test_a_value_nobody_has_heard_of_in_the_settings_stops_nothing(acme, xero, soon, member):
    """Row 13: plans, types and classes are added every year."""
    acme.switch(unknown_enum=member)

    outcome = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert isinstance(outcome, Posted)
    assert all(finding.state == "ok" for finding in xero.check())
    assert xero.fields()


def test_cents_are_read_as_they_are_written(acme, xero, soon, again):
    """Row 13: numbers keep their trailing zeros and must not become something nearly equal."""
    entry = acme.entry(1, "1000000.10")
    xero.post([entry], soon)

    (record,) = again().books(date(2026, 7, 3), date(2026, 7, 3))

    assert (record.amount, str(record.amount)) == (Decimal("1000000.10"), "1000000.10")
