"""Connecting: every state of a connection, the sign-in at the other system, the company, and leaving."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.models import Connection, Credential
from pexsync import clock
from syncjobs.models import Export

ALLOW = {"decision": "allow"}


@pytest.fixture
def nora(acme) -> Any:
    """A person at Xero who may open Acme's organisation."""
    return acme.sandbox.worlds["xero"].add_user("Nora", "nora@example.com", [acme.books])


@pytest.fixture
def installed(acme, change) -> None:
    """Installed and not connected yet."""
    change(state="installed", credential=None, company="", company_name="", settings={}, settings_version=0)
    Credential.objects.filter(system="xero").delete()


def at_xero(browser, email: str, tenants: list[str], decision: str = "allow") -> str:
    """Press CONNECT, answer at Xero, and return the address the browser is sent back to."""
    there = browser.post("/xero/connect/begin").url
    answer = httpx.post(there, data={"user": email, "tenant": tenants, "decision": decision})
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


@pytest.mark.usefixtures("installed")
def test_not_connected_explains_and_offers_connect(browser):
    page = browser.get("/xero/connect").content.decode()
    assert "Not connected" in page
    assert ">CONNECT<" in page
    assert "in another browser tab first" in page
    assert "No Xero account yet?" in page


@pytest.mark.usefixtures("installed")
def test_the_way_to_xero_carries_state_and_challenge(browser, settings):
    there = urlsplit(browser.post("/xero/connect/begin").url)
    asked = parse_qs(there.query)
    assert there.geturl().startswith(settings.XERO_LOGIN_URL)
    assert asked["redirect_uri"] == ["http://testserver/xero/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["state"][0]


@pytest.mark.usefixtures("installed")
def test_signing_in_leads_to_tenant_selection_even_for_one_company(browser, acme, nora):
    assert browser.get(at_xero(browser, nora.email, [acme.books.id])).url == "/xero/company"

    page = browser.get("/xero/company").content.decode()
    assert "Please select which Xero organization" in page
    assert acme.books.name in page
    assert "CONFIRM" in page
    acme.connection.refresh_from_db()
    assert acme.connection.get_state_display() == "Connected: Not Ready"

    assert browser.post("/xero/company", {"company": acme.books.id}).url == "/xero/connect"
    acme.connection.refresh_from_db()
    assert acme.connection.ready
    assert acme.connection.company == acme.books.id
    assert acme.connection.connected_by == acme.user


@pytest.mark.usefixtures("installed")
def test_a_refused_consent_says_that_nothing_happened(browser, acme, nora):
    answer = browser.get(at_xero(browser, nora.email, [], "cancel"), follow=True)
    assert "Nothing was connected" in answer.content.decode()
    acme.connection.refresh_from_db()
    assert acme.connection.state == Connection.State.INSTALLED


@pytest.mark.parametrize("address", ["?code=c&state=forged", "?code=c", "?state=", "?error=access_denied&state=forged"])
@pytest.mark.usefixtures("installed")
def test_a_sign_in_that_was_not_begun_here_is_not_taken(browser, acme, address):
    browser.post("/xero/connect/begin")
    answer = browser.get(f"/xero/callback{address}", follow=True)
    assert "not begun here or is too old" in answer.content.decode()
    assert not Credential.objects.filter(system="xero").exists()


@pytest.mark.usefixtures("installed")
def test_a_sign_in_is_taken_once(browser, acme, nora):
    address = at_xero(browser, nora.email, [acme.books.id])
    browser.get(address)
    assert browser.get(address).url == "/xero/connect"
    assert Credential.objects.filter(system="xero").count() == 1


@pytest.mark.usefixtures("installed")
def test_a_sign_in_begun_for_another_business_is_not_taken(browser, acme, rival, nora):
    address = at_xero(browser, nora.email, [acme.books.id])
    session = browser.session
    session["connecting"] = {**session["connecting"], "business": rival.business.pk}
    session.save()
    browser.get(address)
    assert not Credential.objects.filter(system="xero", business=acme.business).exists()


def test_a_company_that_the_sign_in_does_not_open_is_refused(browser, acme, rival):
    answer = browser.post("/xero/company", {"company": rival.books.id})
    assert answer.status_code == 422
    assert "Choose a company." in answer.content.decode()
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id


def test_signed_in_again_to_the_same_company_all_goes_on(browser, acme, change, nora):
    change(state="failed", failure="Xero ended the sign-in.", preview_confirmed={"purchase": {}})
    assert browser.get(at_xero(browser, nora.email, [acme.books.id])).url == "/xero"
    acme.connection.refresh_from_db()
    assert acme.connection.ready
    assert acme.connection.settings_version == 1
    assert acme.connection.preview_confirmed == {"purchase": {}}
    assert "Signed in again." in browser.get("/xero/sync").content.decode()


def test_signed_in_again_to_another_company_it_is_asked_for(browser, acme, change, sandbox):
    other = sandbox.worlds["xero"].add_organisation(name="Another LLC", short_code="!other")
    sandbox.worlds["xero"].add_user("Olga", "olga@example.com", [other])
    change(state="failed", failure="Xero ended the sign-in.")
    assert browser.get(at_xero(browser, "olga@example.com", [other.id])).url == "/xero/company"
    acme.connection.refresh_from_db()
    assert not acme.connection.ready


@pytest.fixture
def another(browser, acme, sandbox) -> Any:
    """Another organisation, which the person who signed in again may open as well."""
    other = sandbox.worlds["xero"].add_organisation(name="Another LLC", short_code="!other")
    person = sandbox.worlds["xero"].add_user("Olga", "olga@example.com", [acme.books, other])
    browser.get(at_xero(browser, person.email, [acme.books.id, other.id]))
    return other


def test_the_company_cannot_change_while_something_is_on_its_way(browser, acme, a_row, another):
    until = clock.now() + timedelta(minutes=5)
    for _ in range(2):
        a_row(state="sent", target=f"xero:{acme.books.id}", next_look=until)
    answer = browser.post("/xero/company", {"company": another.id})
    assert answer.status_code == 422
    page = answer.content.decode()
    hour = f"{until.astimezone(clock.EASTERN):%-d %b %H:%M}"
    assert f"2 transactions are on their way to Acme Builders LLC until {hour}." in page
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id


def test_the_company_cannot_change_while_a_sync_is_under_way(browser, acme, a_run, another):
    a_run(status="running")
    answer = browser.post("/xero/company", {"company": another.id})
    assert answer.status_code == 422
    assert "A sync to Acme Builders LLC is under way." in answer.content.decode()


def test_rows_never_sent_ask_for_the_first_day_of_the_new_company(browser, acme, a_row, another):
    Connection.objects.update(preview_confirmed={"purchase": {"by": "ann.admin"}})
    today = clock.today()
    early = a_row(state="due", waiting="approval", settled_on=today - timedelta(days=9))
    late = a_row(state="due", settled_on=today - timedelta(days=3))
    page = browser.post("/xero/company", {"company": another.id}).content.decode()
    assert "First day for Another LLC" in page
    assert "2 transactions were not sent yet." in page
    assert f'name="cutover" value="{today.isoformat()}"' in page
    assert f'<option value="{another.id}" selected>' in page
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id

    first = today - timedelta(days=3)
    answer = browser.post("/xero/company", {"company": another.id, "cutover": first.isoformat()})
    assert answer.url == "/xero/setup"
    acme.connection.refresh_from_db()
    assert (acme.connection.company, acme.connection.cutover_on) == (another.id, first)
    assert acme.connection.preview_confirmed == {}
    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.state, early.cause, late.state) == ("closed", "left_out", "due")
    assert "1 transaction settled before that day: left out." in browser.get("/xero/setup/sync").content.decode()


@pytest.mark.parametrize("typed", ["", "soon", "2026-02-31", "2999-01-01"])
def test_a_first_day_that_is_none_is_asked_once_more(browser, acme, a_row, another, typed):
    a_row(state="due")
    answer = browser.post("/xero/company", {"company": another.id, "cutover": typed})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Enter a day up to today" in page
    assert f'name="cutover" value="{typed}"' in page
    assert 'aria-describedby="cutover-error cutover-hint"' in page
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id


def test_another_company_asks_for_the_setup_and_a_new_confirmation(browser, acme, another):
    Connection.objects.update(preview_confirmed={"purchase": {"by": "ann.admin"}})
    assert browser.post("/xero/company", {"company": another.id}).url == "/xero/setup"
    acme.connection.refresh_from_db()
    assert (acme.connection.company, acme.connection.preview_confirmed) == (another.id, {})


def test_a_session_failure_offers_both_ways_and_says_nothing_is_lost(browser, change):
    change(state="failed", failure="Xero ended the sign-in: it was not used for 60 days.")
    page = browser.get("/xero/connect").content.decode()
    assert "Xero Session Failure" in page
    assert "not used for 60 days" in page
    assert ">RE-CONNECT<" in page
    assert ">DISCONNECT<" in page
    assert "Nothing is lost" in page


def test_the_checks_come_from_the_other_system(browser):
    page = browser.get("/xero/connect/checks").content.decode()
    assert "Permissions in Xero" in page
    assert "PEX Cash Account, in US dollars." in page
    fragment = browser.get("/xero/connect/checks", headers={"HX-Request": "true"}).content.decode()
    assert fragment.strip().startswith('<div id="checks">')


def test_the_page_itself_calls_nobody(browser, sandbox):
    sandbox.calls.clear()
    browser.get("/xero/connect")
    assert not sandbox.calls.calls


def test_a_system_that_does_not_answer_is_no_error_of_the_page(browser, settings):
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    answer = browser.get("/xero/company")
    assert answer.status_code == 200
    assert "TRY AGAIN" in answer.content.decode()


def test_disconnect_asks_first_and_says_what_stays(browser, acme):
    page = browser.get("/xero/disconnect").content.decode()
    assert "What stays" in page
    acme.connection.refresh_from_db()
    assert acme.connection.ready


def test_disconnect_deletes_the_secret_and_keeps_the_rest(browser, acme, a_row):
    export = a_row()
    assert browser.post("/xero/disconnect").url == "/xero/connect"
    acme.connection.refresh_from_db()
    assert acme.connection.state == Connection.State.INSTALLED
    assert acme.connection.settings_version == 1
    assert not Credential.objects.filter(system="xero").exists()
    assert Export.objects.filter(pk=export.pk).exists()


def test_disconnect_waits_for_a_running_sync(browser, acme, a_run):
    a_run(status="running")
    assert "VIEW RUNNING SYNC" in browser.post("/xero/disconnect").content.decode()
    acme.connection.refresh_from_db()
    assert acme.connection.ready
