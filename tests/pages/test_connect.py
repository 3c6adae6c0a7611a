"""Connecting: every state of a connection, the sign-in at the other system, the company, and leaving."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.utils.html import strip_tags

from connectors.models import Connection, Credential
from pexsync import clock
from pexsync.accounts.models import Membership
from pexsync.pages import connect
from syncjobs.models import Export, Tally
from tests import make
from tests.pages.conftest import sign_in

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


def text_of(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode().replace("</dt>", " ")).split())


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
    assert 'href="https://www.xero.com/signup/"' in page


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
    answer = browser.post("/xero/company", {"company": another.id, "change": another.id, "cutover": first.isoformat()})
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
    answer = browser.post("/xero/company", {"company": another.id, "change": another.id, "cutover": typed})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Enter a day up to today" in page
    assert f'name="cutover" value="{typed}"' in page
    assert 'aria-describedby="cutover-error cutover-hint"' in page
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id


def test_another_company_asks_for_the_setup_and_a_new_confirmation(browser, acme, another):
    Connection.objects.update(preview_confirmed={"purchase": {"by": "ann.admin"}})
    asked = browser.post("/xero/company", {"company": another.id})
    assert asked.status_code == 200
    page = text_of(asked)
    assert "You chose Another LLC. So far it was Acme Builders LLC." in page
    assert "Setup opens next: choose them anew." in page
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id

    assert browser.post("/xero/company", {"company": another.id, "change": another.id}).url == "/xero/setup"
    acme.connection.refresh_from_db()
    assert (acme.connection.company, acme.connection.preview_confirmed) == (another.id, {})


def test_another_choice_than_the_one_confirmed_is_asked_about_anew(browser, acme, another, sandbox):
    third = sandbox.worlds["xero"].add_organisation(name="Third LLC", short_code="!third")
    person = sandbox.worlds["xero"].add_user("Theo", "theo@example.com", [acme.books, another, third])
    browser.get(at_xero(browser, person.email, [acme.books.id, another.id, third.id]))
    answer = browser.post("/xero/company", {"company": third.id, "change": another.id})
    assert "You chose Third LLC." in text_of(answer)
    acme.connection.refresh_from_db()
    assert acme.connection.company == acme.books.id


def test_a_sign_in_that_does_not_open_the_company_chooses_no_other_by_itself(browser, acme, sandbox, change):
    other = sandbox.worlds["xero"].add_organisation(name="Another LLC", short_code="!other")
    person = sandbox.worlds["xero"].add_user("Olga", "olga@example.com", [other])
    change(state="failed", failure="Xero ended the sign-in.")
    answer = browser.get(at_xero(browser, person.email, [other.id]), follow=True)
    page = answer.content.decode()
    assert "This sign-in does not open Acme Builders LLC." in page
    assert '<option value="">Choose an organization</option>' in page
    assert " selected" not in page
    assert browser.post("/xero/company", {"company": ""}).status_code == 422
    acme.connection.refresh_from_db()
    assert (acme.connection.company, acme.connection.ready) == (acme.books.id, False)


def test_a_session_failure_offers_both_ways_and_says_nothing_is_lost(browser, change):
    change(state="failed", failure="Xero ended the sign-in: it was not used for 60 days.")
    page = browser.get("/xero/connect").content.decode()
    assert "Xero Session Failure" in page
    assert "Xero needs you to sign in again." in page
    assert "not used for 60 days" in page
    assert ">RE-CONNECT<" in page
    assert ">DISCONNECT<" in page
    assert "Nothing is lost. Settings are kept." in page


def test_a_session_failure_counts_what_waits_and_says_since_when(browser, acme, change):
    at = clock.now() - timedelta(days=1)
    change(state="failed", failure="Xero ended the sign-in.", failed_at=at)
    month = clock.today().replace(day=1)
    facts = {"business": acme.business, "system": "xero", "month": month, "amount": 12}
    Tally.objects.create(**facts, kind="purchase", state="due", count=22)
    Tally.objects.create(**facts, kind="purchase", state="sent", count=1)
    Tally.objects.create(**facts, kind="purchase", state="due", waits="later", count=5)
    page = text_of(browser.get("/xero/connect"))
    assert "23 purchases ($24.00) are waiting." in page
    assert f"Since {at.astimezone(clock.EASTERN):%-d %b %H:%M}" in page
    Tally.objects.create(**facts, kind="fee", state="due", count=1)
    assert "24 transactions ($36.00) are waiting." in text_of(browser.get("/xero/connect"))


PAGES = [
    "/xero/sync",
    "/xero/history",
    "/xero/transactions",
    "/xero/settings",
    "/xero/runs/{run}",
    "/xero/transactions/{row}",
]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_of_a_failed_connector_says_so(browser, change, a_run, a_row, address):
    run = a_run()
    address = address.format(run=run.pk, row=a_row(run=run).pk)
    assert "RE-CONNECT" not in browser.get(address).content.decode()
    change(state="failed", failure="Xero ended the sign-in.")
    page = browser.get(address).content.decode()
    assert "Xero needs you to sign in again." in page
    assert page.count(">RE-CONNECT<") == 1


ENDINGS = {
    "unused": "was not used for 60 days",
    "revoked": "took PEX Sync off the Connected apps",
    "unreadable": "cannot be read any more",
    "refused": "does not accept our sign-in any more",
    "scope": "Xero asks for a permission that was not given",
    "disconnected": "somebody disconnected it in Xero",
}


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_each_way_a_sign_in_ends_is_explained(browser, acme, sandbox, travel, ending):
    credential = acme.connection.credential
    xero = sandbox.worlds["xero"]
    if ending == "unused":
        travel(days=61)
    elif ending == "revoked":
        credential.save_renewed(make.xero_secret({"access_token": "x", "refresh_token": "y"}), clock.now())
    elif ending == "unreadable":
        Credential.objects.filter(pk=credential.pk).update(sealed="torn")
    elif ending == "refused":
        sandbox.faults.add("status", system="xero-api", status=401, times=None)
    elif ending == "scope":
        headers = {"WWW-Authenticate": 'error="insufficent_scope"'}
        sandbox.faults.add("status", system="xero-api", status=401, headers=headers, times=None)
    else:
        xero.connections.clear()
    browser.get("/xero/setup/accounts")
    acme.connection.refresh_from_db()
    assert acme.connection.state == "failed"
    page = text_of(browser.get("/xero/connect"))
    assert ENDINGS[ending] in page
    assert "Nothing is lost. Settings are kept." in page


def test_checks_that_find_the_sign_in_dead_say_session_failure(browser, acme, sandbox):
    sandbox.worlds["xero"].connections.clear()
    page = text_of(browser.get("/xero/connect/checks"))
    acme.connection.refresh_from_db()
    assert (acme.connection.state, acme.connection.get_state_display()) == ("failed", "Session Failure")
    assert "somebody disconnected it in Xero" in page
    assert "Xero Session Failure" in page
    assert "RE-CONNECT" in text_of(browser.get("/xero/sync"))


def test_a_page_whose_checks_find_the_sign_in_dead_is_drawn_anew(browser, sandbox):
    sandbox.worlds["xero"].connections.clear()
    answer = browser.get("/xero/connect/checks", headers={"HX-Request": "true"})
    assert (answer.headers["HX-Refresh"], answer.content) == ("true", b"")


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ({"kind": "status", "status": 503}, ""),
        ({"kind": "status", "status": 403, "body": '{"Detail": "AuthenticationUnsuccessful"}'}, "Organisation"),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "3600"}}, ""),
        ({"kind": "status", "status": 403, "body": "<html>Access Denied</html>", "content_type": "text/html"}, ""),
    ],
)
def test_checks_that_learn_nothing_are_no_session_failure(browser, acme, sandbox, fault, path):
    sandbox.faults.add(**fault, system="xero-api", path=path, times=None)
    assert "Your sign-in and your settings stay as they are." in text_of(browser.get("/xero/connect/checks"))
    acme.connection.refresh_from_db()
    assert acme.connection.ready


def silent_since(browser) -> str:
    """Since when the checks say that nobody answers; "" where they say no such thing."""
    found = re.search(r"Xero is not answering \(since (\d\d:\d\d)\)\.", text_of(browser.get("/xero/connect/checks")))
    return found[1] if found else ""


def minute(at: datetime) -> str:
    return f"{at.astimezone(clock.EASTERN):%H:%M}"


def test_no_answer_is_no_session_failure(browser, acme, settings, travel):
    there = settings.XERO_API_URL
    settings.XERO_API_URL = "http://127.0.0.1:9"
    before = clock.now()
    since = silent_since(browser)
    assert since in (minute(before), minute(clock.now()))
    travel(minutes=10)
    assert silent_since(browser) == since
    acme.connection.refresh_from_db()
    assert acme.connection.ready
    settings.XERO_API_URL = there
    assert not silent_since(browser)
    settings.XERO_API_URL = "http://127.0.0.1:9"
    assert silent_since(browser) not in ("", since)


def test_a_sign_in_that_lives_can_be_made_anew(browser):
    """A permission that is missing is given by signing in once more."""
    assert browser.get("/xero/connect").content.decode().count(">RE-CONNECT<") == 1


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


@pytest.fixture
def second(acme, sandbox) -> make.World:
    """Another business of Acme's admin, installed and not connected yet."""
    world = make.world(sandbox, "Second Street", 6600, "ann.admin")
    Connection.objects.filter(pk=world.connection.pk).update(
        state="installed", credential=None, company="", company_name="", settings={}, settings_version=0
    )
    Credential.objects.filter(system="xero", business=world.business).delete()
    return world


def test_a_sign_in_of_ones_other_business_serves_this_one_too(client, acme, second, sandbox):
    theirs = sign_in(client, second.user, second.business)
    page = text_of(theirs.get("/xero/connect"))
    assert "Or link an existing connection" in page
    assert "Acme Builders LLC" in page

    answer = theirs.post("/xero/connect/link", {"from": acme.connection.pk})

    assert answer.url == "/xero/company"
    second.connection.refresh_from_db()
    assert second.connection.credential_id == acme.connection.credential_id
    assert second.connection.state == Connection.State.PREPARING
    assert theirs.post("/xero/company", {"company": acme.books.id}).url == "/xero/connect"
    assert "PEX Cash Account" in theirs.get("/xero/setup/accounts").content.decode()

    assert theirs.post("/xero/disconnect").url == "/xero/connect"
    assert Credential.objects.filter(pk=acme.connection.credential_id).exists()
    assert "PEX Cash Account" in sign_in(client, acme.user, acme.business).get("/xero/setup/accounts").content.decode()


@pytest.mark.parametrize("lost", ["membership", "permission", "owner", "life"])
def test_a_sign_in_that_is_not_ones_own_or_lives_no_more_serves_nobody(client, acme, second, rival, lost):
    if lost == "membership":
        Membership.objects.filter(business=acme.business).delete()
    elif lost == "permission":
        Membership.objects.filter(business=acme.business).update(permissions=["EditBusinessProfile"])
    elif lost == "owner":
        Credential.objects.filter(pk=acme.connection.credential_id).update(owner=rival.user)
    else:
        acme.connection.credential.die("Xero ended the sign-in.")
    theirs = sign_in(client, second.user, second.business)
    assert "a sign-in you have" not in text_of(theirs.get("/xero/connect"))
    answer = theirs.post("/xero/connect/link", {"from": acme.connection.pk}, follow=True)
    assert "That sign-in cannot be used here any more." in text_of(answer)
    second.connection.refresh_from_db()
    assert second.connection.credential_id is None


def test_a_connection_that_has_a_sign_in_borrows_none(browser, acme, second):
    Connection.objects.filter(pk=second.connection.pk).update(
        state="ready", credential=acme.connection.credential, company="x", company_name="Second Street LLC"
    )
    before = acme.connection.credential_id
    answer = browser.post("/xero/connect/link", {"from": second.connection.pk}, follow=True)
    assert "That sign-in cannot be used here any more." in text_of(answer)
    acme.connection.refresh_from_db()
    assert (acme.connection.credential_id, acme.connection.ready) == (before, True)


def test_a_sign_in_somebody_made_meanwhile_stays(client, acme, second, monkeypatch):
    """Two tabs: while one picks a sign-in to use, the other comes back from Xero."""
    theirs, real = sign_in(client, second.user, second.business), connect._borrow

    def late(connection: Connection, lender: Connection) -> bool:
        own = Credential.store(second.business, "xero", second.user, {}, None)
        Connection.objects.filter(pk=connection.pk).update(state="ready", credential=own, company=second.books.id)
        return real(connection, lender)

    monkeypatch.setattr(connect, "_borrow", late)
    answer = theirs.post("/xero/connect/link", {"from": acme.connection.pk}, follow=True)
    assert "Somebody signed in here meanwhile. Nothing was changed." in text_of(answer)
    second.connection.refresh_from_db()
    assert second.connection.ready
    assert second.connection.credential_id != acme.connection.credential_id


def test_disconnect_asks_first_and_says_what_stays(browser, acme):
    page = browser.get("/xero/disconnect").content.decode()
    assert "What stays" in page
    assert "PEX Sync is taken off Acme Builders LLC there." in text_of(browser.get("/xero/disconnect"))
    acme.connection.refresh_from_db()
    assert acme.connection.ready


def test_disconnect_leaves_the_access_that_another_connection_uses(browser, acme, rival):
    Connection.objects.filter(pk=rival.connection.pk).update(company=acme.books.id)
    page = text_of(browser.get("/xero/disconnect"))
    assert "Not the access in Xero itself: another connection here still uses Acme Builders LLC." in page
    assert "Rival" not in page


def test_disconnect_says_that_the_queue_is_held(browser, acme):
    facts = {"business": acme.business, "system": "xero", "month": clock.today().replace(day=1)}
    Tally.objects.create(**facts, kind="purchase", state="due", count=3)
    page = text_of(browser.get("/xero/disconnect"))
    assert "3 transactions in the queue: held, and sent when you press SYNC after connecting again." in page


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
