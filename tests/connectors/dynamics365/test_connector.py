"""The declaration, the companies of a sign-in, the preflight and what it mends, the addresses."""

from datetime import date, timedelta
from urllib.parse import unquote

import httpx
import pytest

from connectors import registry
from connectors.connector import Receipts, Resync
from connectors.dynamics365.connector import Dynamics365
from connectors.errors import NotAuthorized, RetryLater, SettingsNeeded
from connectors.models import Connection
from connectors.records import ACCOUNT, PARTY, Kind
from connectors.settings import ONE_PARTY, TAG, FieldSource
from pexsync import clock
from pexsync.accounts.models import Business
from sandbox.dynamics365 import journals
from tests.connectors.dynamics365.conftest import choose, reread
from tests.connectors.dynamics365.entries import entry, post

pytestmark = pytest.mark.database


def findings(books):
    return {finding.name: finding for finding in books.check()}


def states(books):
    return {finding.name: finding.state for finding in books.check()}


# --- declaration


def test_it_is_offered_once_the_operator_gave_id_and_secret(settings):
    assert Dynamics365 in registry.available()
    settings.ENTRA_CLIENT_SECRET = ""
    assert Dynamics365 not in registry.available()
    settings.ENTRA_CLIENT_SECRET, settings.ENTRA_CLIENT_ID = "x", ""
    assert Dynamics365 not in registry.available()


def test_it_takes_every_kind_and_each_for_itself():
    assert Dynamics365.kinds == tuple(Kind)
    assert Dynamics365.needs == {}
    assert (Dynamics365.receipts, Dynamics365.resync, Dynamics365.resend) == (Receipts.AFTER, Resync.SUPPORT, True)
    assert (Dynamics365.settle_after, Dynamics365.batch_size) == (timedelta(minutes=20), 50)
    assert Dynamics365.note == Dynamics365.foreign_marks[0] == "Synced with Dynamics 365"


def test_fields_are_asked_of_the_kinds_they_are_for(acme, dynamics):
    acme.company.add_dimension("DEPARTMENT", [], name="Department")

    asked = {
        kind: [(field.label, field.required) for field in dynamics.fields() if kind in field.kinds] for kind in Kind
    }

    assert asked == {
        Kind.PURCHASE: [("Expense Account", True), ("Vendor", False), ("Tax", False), ("Department", False)],
        Kind.FEE: [("Fee Account", True), ("Department", False)],
        Kind.TRANSFER: [("Bank Account", True), ("Department", False)],
        Kind.BILL_PAYMENT: [("Bank Account", True), ("Department", False)],
        Kind.REBATE: [("Income Account", True), ("Department", False)],
    }
    vendor = next(field for field in dynamics.fields() if field.key == PARTY)
    assert (vendor.static, vendor.tag_types, vendor.can_sync) == (True, ("Dropdown",), True)


# --- companies


def test_the_companies_of_the_sign_in_are_offered_with_what_the_target_needs(acme, connection, dynamics):
    [company] = dynamics.companies()

    assert (company.id, company.name) == (acme.place, "Acme LLC")
    assert company.facts == {
        "name": "Acme LLC",
        "environment": "Production",
        "environment_type": "Production",
        "user": connection.company_facts["user"],
    }


def test_where_there_are_several_environments_they_are_named(acme, dynamics):
    sandbox = acme.world.add_environment(acme.tenant, "Test Room", "Sandbox")
    acme.world.add_company(sandbox, "CRONUS", display_name="")

    assert [(company.name, company.id.split("/")[1]) for company in dynamics.companies()] == [
        ("Acme LLC (Production)", "Production"),
        ("CRONUS (Test Room)", "Test Room"),
    ]


def test_an_only_environment_that_is_no_production_is_named_too(acme, dynamics):
    acme.environment.kind = "Sandbox"

    assert [company.name for company in dynamics.companies()] == ["Acme LLC (Production)"]


def test_an_environment_the_user_does_not_work_in_hides_no_other(acme, dynamics):
    acme.world.add_environment(acme.tenant, "Shut", "Production")
    body = '{"error":{"code":"Authentication_InvalidCredentials","message":"No."}}'
    where = {"path": "/Shut/", "content_type": "application/json", "times": None}
    acme.desk.faults.add("status", status=401, body=body, **where)

    assert [company.name for company in dynamics.companies()] == ["Acme LLC (Production)"]


def test_a_user_who_works_in_no_environment_is_told_so(acme, dynamics):
    acme.person.known = False

    with pytest.raises(NotAuthorized):
        dynamics.companies()


@pytest.mark.parametrize("path", ["environments", "companies$"])
def test_a_refused_list_of_companies_means_later(acme, dynamics, path):
    acme.forge('{"error":{"code":"Unknown","message":"No."}}', status=400, path=path)

    with pytest.raises(RetryLater):
        dynamics.companies()


def test_a_rival_sees_nothing_of_it(acme, dynamics):
    rival = acme.world.add_tenant("Rival LLC")
    acme.world.add_company(acme.world.add_environment(rival), "Rival LLC")

    assert [company.name for company in dynamics.companies()] == ["Acme LLC"]


def test_leaving_forgets_the_secret(dynamics):
    dynamics.disconnect()

    assert reread(dynamics.connection).credential is None
    assert reread(dynamics.connection).state == Connection.State.INSTALLED


@pytest.mark.parametrize("first", [date(2026, 7, 1), None])
def test_days_before_the_first_open_one_are_closed(acme, dynamics, first):
    if first:
        acme.company.posting_from = first

    assert dynamics.closed_until() == (date(2026, 6, 30) if first else None)


# --- preflight


def test_a_company_in_order_has_nothing_missing(dynamics):
    assert states(dynamics) == {
        "Company in Business Central": "ok",
        "Permissions in Business Central": "ok",
        "Currency": "ok",
        "PEX Card journal": "ok",
        "Set-up of the journal": "unknown",
        "PEX account": "ok",
        "Posting dates": "ok",
    }


def test_every_finding_says_something_and_what_we_cannot_see_says_where_to_look(dynamics):
    for finding in dynamics.check():
        assert finding.says
        if finding.state == "unknown":
            assert finding.link.startswith("http")


def test_without_a_company_nothing_else_is_asked(acme, connection, dynamics):
    connection.company = ""

    assert states(dynamics) == {"Company in Business Central": "missing"}
    assert acme.calls() == 0


def test_a_company_that_is_gone_stops_the_preflight(acme, dynamics):
    acme.environment.companies.clear()

    assert states(dynamics) == {"Company in Business Central": "missing"}


def test_a_user_without_permissions_is_told_what_is_missing(acme, dynamics):
    body = '{"responses":[{"id":"1","status":403,"body":{"error":{"code":"Authorization_RequestDenied",'
    body += '"message":"You need TableData Vendor Read."}}},{"id":"2","status":200},{"id":"3","status":200}]}'
    acme.forge(body, method="POST", path=r"/\$batch$", contains="vendors")

    found = findings(dynamics)["Permissions in Business Central"]

    assert (found.state, "TableData Vendor Read" in found.says) == ("missing", True)


def test_trouble_over_there_is_unknown(acme, dynamics):
    acme.desk.faults.add("status", path="environments", status=503, times=None)

    [found] = dynamics.check()

    assert found.state == "unknown"


def test_a_dead_sign_in_is_raised(acme, dynamics):
    acme.world.revoke(acme.person)

    with pytest.raises(NotAuthorized):
        dynamics.check()


def test_a_company_in_another_currency_is_refused(acme, dynamics):
    acme.company.currency = "EUR"

    found = findings(dynamics)["Currency"]

    assert (found.state, "EUR" in found.says) == ("missing", True)


def test_a_missing_journal_is_explained_and_can_be_created(acme, dynamics, another):
    journals.delete(acme.company, acme.journal)

    found = findings(dynamics)["PEX Card journal"]
    assert (found.state, found.mend, found.mend_word) == ("missing", "journal", "CREATE THE JOURNAL FOR ME")
    assert "General Journals" in found.fix

    assert "created" in dynamics.mend("journal")
    assert [(one.code, one.name, one.balance_account) for one in acme.company.journals.values()] == [
        ("PEX CARD", "PEX Card Journal", "")
    ]
    assert states(dynamics)["PEX Card journal"] == states(another())["PEX Card journal"] == "ok"
    assert post(dynamics, entry(acme))


def test_a_journal_that_is_there_is_not_created_again(acme, dynamics):
    assert "there already" in dynamics.mend("journal")
    assert len(acme.company.journals) == 1


def test_a_journal_made_meanwhile_by_another_is_no_trouble(acme, dynamics):
    journals.delete(acme.company, acme.journal)
    dynamics.check()
    acme.company.add_journal()

    assert "there already" in dynamics.mend("journal")


def test_without_an_answer_nobody_says_it_was_created(acme, dynamics):
    journals.delete(acme.company, acme.journal)
    acme.desk.faults.add("drop_before", method="POST", path="journals$")

    with pytest.raises(RetryLater):
        dynamics.mend("journal")


def test_a_refusal_is_told_in_their_words(acme, dynamics):
    journals.delete(acme.company, acme.journal)
    body = '{"error":{"code":"Application_DialogException","message":"The template is locked."}}'
    acme.forge(body, status=400, method="POST", path="journals$")

    with pytest.raises(SettingsNeeded, match="The template is locked"):
        dynamics.mend("journal")


def test_nothing_else_is_mended(dynamics):
    with pytest.raises(LookupError):
        dynamics.mend("currency")


def test_a_balancing_account_is_said_with_its_reason_and_cannot_be_mended_here(acme, dynamics):
    acme.journal.balance_account = acme.office.number

    found = findings(dynamics)["PEX Card journal"]

    assert (found.state, found.mend) == ("missing", "")
    assert "61300" in found.says
    assert "page=251" in found.link


@pytest.mark.parametrize("account", ["", "gone", "61200", "blocked"])
def test_the_pex_account_is_looked_at(acme, connection, dynamics, account):
    acme.card.blocked = account == "blocked"
    chosen = {"61200": acme.fuel.id, "blocked": acme.card.id}.get(account, account)
    choose(connection, acme)
    connection.settings["pex_account"] = chosen

    assert states(dynamics)["PEX account"] == "missing"


def test_a_charge_business_keeps_what_it_owes_on_a_liability(acme, connection, dynamics):
    connection.business.funding = Business.Funding.CREDIT
    assert "liability" in findings(dynamics)["PEX account"].says
    owed = acme.company.add_account("20950", "PEX Card Payable", "Liabilities")
    connection.settings["pex_account"] = owed.id
    dynamics._books.forget()

    assert states(dynamics)["PEX account"] == "ok"


def test_dates_that_are_no_longer_open_are_said(acme, dynamics):
    acme.company.posting_from, acme.company.posting_to = date(2026, 1, 1), clock.today() - timedelta(days=3)

    found = findings(dynamics)["Posting dates"]

    assert (found.state, str(acme.company.posting_to) in found.says) == ("missing", True)


def test_in_the_vendor_ledger_posting_groups_are_somebody_elses_to_see(acme, connection, dynamics):
    choose(connection, acme, kinds=frozenset({Kind.PURCHASE}), extra={"vendors": "ledger"})

    assert states(dynamics)["Vendors"] == "unknown"


def test_what_the_settings_name_and_is_gone_or_blocked_is_listed(acme, connection, dynamics):
    euro = acme.company.add_bank_account("EURO", "Euro", currency="EUR")
    old = acme.company.add_vendor("Old", blocked="All")
    acme.office.blocked = True
    choose(
        connection,
        acme,
        kinds=frozenset(Kind),
        party_mode=ONE_PARTY,
        party=old.id,
        fields={
            ACCOUNT: FieldSource(source=TAG, tag="7", default=acme.office.id),
            "dimension:gone": FieldSource(source=TAG, tag="8"),
        },
        by_kind={
            Kind.FEE: {ACCOUNT: "no-such-account"},
            Kind.TRANSFER: {ACCOUNT: f"bank:{euro.id}"},
            Kind.REBATE: {ACCOUNT: acme.fuel.id},
        },
    )

    missing = {name: found.says for name, found in findings(dynamics).items() if found.state == "missing"}

    assert set(missing) == {
        "Expense Account of purchases",
        "Fee Account of fees",
        "Bank Account of transfers",
        "Vendor of purchases",
        "Dimensions",
    }
    assert "61300 Office is blocked" in missing["Expense Account of purchases"]
    assert "EUR" in missing["Bank Account of transfers"]


# --- addresses


def test_the_journal_can_be_opened(acme, connection, settings):
    settings.BC_WEB_URL = "https://businesscentral.dynamics.com"

    words, address = Dynamics365.page_of_books(connection)

    assert words == "Open the PEX Card journal"
    assert unquote(address) == (
        f"https://businesscentral.dynamics.com/{acme.tenant.id}/Production?company=Acme LLC&page=39"
        "&filter='Gen. Journal Line'.'Journal Batch Name' IS 'PEX CARD'"
    )
    connection.company = ""
    assert Dynamics365.page_of_books(connection) == ("", "")


def test_links_open_the_pages_of_the_simulated_company(acme, dynamics):
    made = entry(acme)
    link = post(dynamics, made)[made.key].link

    page = httpx.get(link, follow_redirects=True, trust_env=False)

    assert page.status_code == 200
    assert made.key in page.text


def test_an_entry_leads_back_to_the_card_in_pex(dynamics, settings):
    settings.PEX_DASHBOARD_URL = "https://dashboard.pexcard.com"

    assert dynamics.url_of(4410, "PEXT7", 51001) == (
        "https://dashboard.pexcard.com/cards/51001/detail?transaction=4410-PEXT7"
    )
    assert dynamics.url_of(4410, "PEXT7", None) == "https://dashboard.pexcard.com/?transaction=4410-PEXT7"


def test_its_calls_count_against_the_user(connection):
    [limits] = Dynamics365.limits(connection)

    assert limits.key == f"dynamics365:{connection.company_facts['user']}"
