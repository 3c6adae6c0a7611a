from dataclasses import replace
from datetime import date

import httpx
import pytest

from connectors import registry
from connectors.errors import NotAuthorized, SettingsNeeded
from connectors.records import ACCOUNT, Kind
from connectors.settings import ONE_PARTY, TAG, FieldSource, Settings
from connectors.xero.connector import Xero

from .conftest import change

pytestmark = pytest.mark.database


def choose(connection, **changes) -> None:
    connection.settings = replace(Settings.parse(connection.settings), **changes).stored()


def states(xero):
    return {finding.name: finding.state for finding in xero.check()}


def test_xero_is_hidden_where_no_app_is_configured(settings):
    assert Xero in registry.available()
    settings.XERO_CLIENT_ID = ""
    assert Xero not in registry.available()


def test_opening_a_connector_calls_nobody(acme, connection):
    Xero(connection).close()

    assert acme.calls() == 0


def test_every_kind_has_an_account_and_tracking_has_a_field_per_active_category(acme, xero):
    region = acme.organisation.add_tracking("Region", ["West"])
    acme.organisation.add_tracking("Team", status="ARCHIVED")

    fields = xero.fields()

    asked = {(kind, field.label) for field in fields if field.key == ACCOUNT for kind in field.kinds}
    assert asked == {
        (Kind.PURCHASE, "Expense Account"),
        (Kind.FEE, "Expense Account"),
        (Kind.REBATE, "Income Account"),
        (Kind.TRANSFER, "Source Cash"),
        (Kind.BILL_PAYMENT, "Source Cash"),
    }
    assert set(xero.kinds) == {kind for kind, _ in asked}
    assert [field.key for field in fields if field.key.startswith("tracking:")] == [f"tracking:{region.id}"]


def test_what_the_settings_name_and_xero_has_archived_is_told(acme, connection, xero):
    region = acme.organisation.add_tracking("Region", ["West"], status="ARCHIVED")
    euro = acme.organisation.add_bank_account("Euro", currency="EUR")
    acme.organisation.change_account(acme.office, status="ARCHIVED")
    acme.organisation.change_contact(acme.shell, status="ARCHIVED")
    choose(
        connection,
        kinds=frozenset(Kind),
        fields={"account": FieldSource(value=acme.fuel.id), f"tracking:{region.id}": FieldSource(TAG, tag="7")},
        by_kind={
            Kind.FEE: {"account": acme.office.id, "party": acme.shell.id},
            Kind.TRANSFER: {"account": euro.id},
            Kind.REBATE: {"account": "00000000-1111-4222-8333-444444444444"},
        },
    )

    assert {finding.name: finding.says for finding in xero.check() if finding.state == "missing"} == {
        "Expense Account of fees": "453 Office Expenses is archived in Xero.",
        "Contact of fees": "The contact “Shell” is archived in Xero. Restore it there, or choose another contact in "
        "the settings.",
        "Source Cash of transfers": "Euro is kept in EUR, not in US dollars.",
        "Income Account of rebates": "It is not in Xero any more.",
        "Tracking categories": "A tracking category of the settings is archived in Xero: nothing is coded with it.",
    }


def test_a_practice_is_no_company_and_a_nameless_one_has_a_name(acme, xero):
    acme.switch(practice_row=True, null_tenant_names=True)
    acme.grant()

    assert [(company.id, company.name) for company in xero.companies()] == [
        (acme.organisation.id, "Unnamed organisation")
    ]


def test_of_a_company_s_name_what_can_be_kept_is_taken(acme, xero):
    for one in acme.world.connections.values():
        one.tenant_name = "A" * 4000

    assert [len(company.name) for company in xero.companies()] == [200]


def test_the_address_is_the_same_on_every_installation(xero, settings):
    settings.PEX_DASHBOARD_URL = "https://dashboard.pexcard.com"

    assert xero.url_of(4410, "PEXT1", 77) == "https://dashboard.pexcard.com/cards/77/detail?transaction=4410-PEXT1"
    assert xero.url_of(4410, "PEXT1", None) == "https://dashboard.pexcard.com/?transaction=4410-PEXT1"


@pytest.mark.parametrize("card", [77, None])
def test_the_address_is_a_page_of_the_dashboard(acme, xero, settings, card):
    settings.PEX_DASHBOARD_URL = f"{acme.desk.url}/pex-dashboard"

    asked = httpx.get(xero.url_of(4410, "PEXT1", card))

    assert (asked.status_code, asked.headers["Location"]) == (303, "/pex-dashboard/sign-in")


def test_the_later_lock_date_closes_the_books(acme, xero):
    acme.organisation.period_lock_date = date(2026, 3, 31)
    acme.organisation.end_of_year_lock_date = date(2025, 12, 31)

    assert xero.closed_until() == date(2026, 3, 31)


def test_the_organisation_is_read_once_per_run(acme, xero):
    xero.closed_until()
    xero.closed_until()
    xero.check()

    assert acme.calls(path="Organisation") == 1


def test_books_without_a_chosen_account_ask_for_one(connection, xero):
    choose(connection, pex_account="")

    with pytest.raises(SettingsNeeded) as caught:
        xero.books(date(2026, 7, 1), date(2026, 7, 31))
    assert caught.value.field == "pex_account"


# --- check


def test_everything_in_order(acme, xero):
    assert states(xero) == {
        "Xero organisation": "ok",
        "Permissions in Xero": "ok",
        "Bank account for PEX": "ok",
        "Lock dates": "ok",
    }


def test_no_bank_account_is_said_with_the_way_out(connection, xero):
    choose(connection, pex_account="")

    (finding,) = [finding for finding in xero.check() if finding.state == "missing"]
    assert "US dollars" in finding.fix


@pytest.mark.parametrize(("currency", "status"), [("EUR", "ACTIVE"), ("USD", "ARCHIVED")])
def test_an_unfit_bank_account_is_said(acme, connection, xero, currency, status):
    bank = acme.organisation.add_bank_account("Other", currency=currency, status=status)
    choose(connection, pex_account=bank.id)

    assert states(xero)["Bank account for PEX"] == "missing"


def test_a_permission_not_given_is_named(acme, connection, settings, xero):
    settings.XERO_SCOPES += " accounting.reports.read"

    (finding,) = [finding for finding in xero.check() if finding.state == "missing"]
    assert "accounting.reports.read" in finding.says


@pytest.mark.parametrize(("status", "state"), [("ACTIVE", "ok"), ("ARCHIVED", "missing")])
def test_the_one_contact_for_all_is_looked_at(acme, connection, xero, status, state):
    acme.organisation.change_contact(acme.shell, status=status)
    choose(connection, party_mode=ONE_PARTY, party=acme.shell.id)

    assert states(xero)["Contact"] == state


def test_a_lock_date_is_told(acme, xero):
    acme.organisation.period_lock_date = date(2026, 3, 31)

    assert "2026-03-31" in next(finding.says for finding in xero.check() if finding.name == "Lock dates")


def test_a_dead_sign_in_an_unchosen_company_and_silence_are_told_apart(acme, connection, xero, again):
    acme.desk.faults.add("drop_before", path="Organisation", times=3)
    silent = states(xero)
    acme.world.disconnect(acme.organisation)
    with pytest.raises(NotAuthorized, match="not connected to this app any more"):
        xero.check()
    change(connection, company="")
    unchosen = again().check()

    assert silent == {"Xero organisation": "unknown"}
    assert "Choose the organisation" in unchosen[0].fix
