"""Connecting where the company is a setting: Not Ready while we look, Ready by itself, and never over a company."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from connectors.models import Connection, Credential
from connectors.records import Company, Kind
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.models import Membership
from pexsync.accounts.tenancy import everywhere
from pexsync.pages import preflight
from syncjobs import notices
from syncjobs.company import CannotChange, found_ready, settle
from syncjobs.models import SyncRun
from tests import make
from tests.pages.conftest import sign_in
from tests.pages.microsoft import (
    CHECKS,
    CONNECT,
    FRAGMENT,
    Microsoft,
    at_microsoft,
    change,
    connect,
    connection,
    tabs_of,
    tenant_of,
    text_of,
)


@pytest.fixture
def microsoft(acme, sandbox) -> Microsoft:
    return tenant_of(sandbox)


@pytest.fixture
def installed(browser, microsoft) -> None:
    browser.post("/apps/dynamics365/install")


@pytest.mark.usefixtures("installed")
class TestBefore:
    def test_the_steps_are_those_of_this_sign_in(self, browser):
        page = text_of(browser.get(CONNECT))
        assert "Sign in at Microsoft" in page
        assert "admin access to your Business Central environment" in page
        assert "turns to “Connected: Ready” by itself" in page
        assert "allow PEX to work with your company" in page
        assert "It never posts the journal" in page
        for foreign in ("another browser tab", "Organization", "organization", "Allow access", "contacts"):
            assert foreign not in page

    def test_a_missing_permission_is_named_with_where_to_get_it(self, browser):
        Membership.objects.update(permissions=["EditBusinessProfile"])
        refused = browser.get(CONNECT)
        assert refused.status_code == 403
        page = text_of(refused)
        assert "Manage cardholder, View card transactions" in page
        assert "My Profile" in page


@pytest.mark.usefixtures("installed")
class TestGettingReady:
    def test_back_from_the_sign_in_it_is_not_ready_and_looks_by_itself(self, browser, microsoft):
        microsoft.company()
        assert connect(browser).url == CONNECT
        answer = browser.get(CONNECT)
        assert "Connected: Not Ready" in text_of(answer)
        assert f'hx-get="{CHECKS}" hx-trigger="load"' in answer.content.decode()
        assert (connection().state, connection().company) == ("preparing", "")

    def test_the_only_company_is_taken(self, browser, microsoft):
        company = microsoft.company()
        connect(browser)
        page = browser.get(CHECKS)
        now = connection()
        assert (now.state, now.company_name) == ("ready", "Acme Builders LLC")
        assert now.company == microsoft.world.place_of(company)
        assert now.company_facts["environment"] == "Production"
        shown = text_of(page)
        assert "Connected: Ready" in shown
        assert "Company Acme Builders LLC Environment Production" in shown
        assert "Connected to Acme Builders LLC." in shown
        assert "Acme Builders LLC can be reached." in shown
        assert re.search(r'href="/dynamics365/setup">NEXT<', page.content.decode())

    def test_the_page_around_a_fragment_comes_anew_once_it_is_ready(self, browser, microsoft):
        microsoft.company()
        connect(browser)
        answer = browser.get(CHECKS, headers=FRAGMENT)
        assert answer.headers["HX-Refresh"] == "true"
        again = browser.get(CHECKS, headers=FRAGMENT)
        assert "HX-Refresh" not in again.headers
        assert "Acme Builders LLC can be reached." in text_of(again)

    def test_without_a_company_it_says_what_to_do_and_looks_again(self, browser, microsoft):
        connect(browser)
        answer = browser.get(CHECKS, headers=FRAGMENT)
        assert "Ensure you have at least one active company" in text_of(answer)
        assert f'hx-get="{CHECKS}?look=1" hx-trigger="every 3s"' in answer.content.decode()
        assert connection().state == "preparing"

        microsoft.company()
        assert browser.get(f"{CHECKS}?look=1", headers=FRAGMENT).headers["HX-Refresh"] == "true"
        assert connection().ready

    def test_without_a_script_the_same_stands_on_the_page(self, browser):
        connect(browser)
        page = text_of(browser.get(CHECKS))
        assert "Connected: Not Ready" in page
        assert "Ensure you have at least one active company" in page
        assert "Check again" in page

    def test_the_looks_of_one_page_are_slower_and_slower_and_come_to_an_end(self, browser):
        connect(browser)
        seconds, look = [], 0
        while True:
            page = browser.get(f"{CHECKS}?look={look}", headers=FRAGMENT).content.decode()
            found = re.search(r'look=(\d+)" hx-trigger="every (\d+)s"', page)
            if found is None:
                break
            look, wait = int(found[1]), int(found[2])
            seconds.append(wait)
        assert seconds == sorted(seconds)
        assert (len(seconds), sum(seconds)) == (len(preflight.WAITS), 676)
        assert "rest now" in page
        assert "every 3s" in browser.get(CHECKS, headers=FRAGMENT).content.decode()

    @pytest.mark.parametrize("number", ["-1", "x", "99999999999", "²"])
    def test_a_number_of_looks_that_is_none_begins_anew_or_rests(self, browser, number):
        connect(browser)
        assert browser.get(CHECKS, {"look": number}, headers=FRAGMENT).status_code == 200

    def test_among_several_nothing_is_chosen_and_it_is_ready_all_the_same(self, browser, microsoft):
        microsoft.company("Acme Builders LLC")
        microsoft.company("Acme Holding LLC")
        connect(browser)
        page = text_of(browser.get(CHECKS))
        assert (connection().state, connection().company) == ("ready", "")
        assert "Connected: Ready" in page
        assert "Company Not chosen yet" in page
        assert "Your sign-in opens 2 companies. You choose the one to use in Settings." in page
        assert "Connected. Choose the company in Settings." in page
        assert "NEXT" in page

    def test_the_only_one_of_a_production_environment_is_taken(self, browser, microsoft):
        trial = microsoft.sandbox()
        microsoft.company("Acme Trial", trial)
        microsoft.company("Acme Trial Two", trial)
        microsoft.company("Acme Builders LLC")
        connect(browser)
        browser.get(CHECKS)
        assert connection().company_name == "Acme Builders LLC (Production)"

    def test_of_two_that_are_only_for_trying_none_is_taken(self, browser, microsoft):
        trial = microsoft.sandbox()
        microsoft.company("Acme Trial", trial)
        microsoft.company("Acme Trial Two", trial)
        connect(browser)
        browser.get(CHECKS)
        assert (connection().state, connection().company) == ("ready", "")

    def test_who_is_not_let_in_yet_waits_signed_in(self, browser, microsoft):
        """A licence or a permission set given a moment ago takes some minutes to arrive."""
        microsoft.company()
        microsoft.ann.known = False
        connect(browser)
        page = text_of(browser.get(CHECKS))
        assert connection().state == "preparing"
        assert "may not enter this environment" in page
        assert "Session Failure" not in page

        microsoft.ann.known = True
        browser.get(CHECKS)
        assert connection().ready

    def test_a_sign_in_that_has_ended_meanwhile_is_a_session_failure(self, browser, microsoft):
        microsoft.company()
        connect(browser)
        microsoft.world.revoke(microsoft.ann)
        microsoft.world.expire_access()
        browser.get(CHECKS)
        assert connection().state == "failed"
        assert "Session Failure" in text_of(browser.get(CONNECT))

    def test_while_the_other_side_is_silent_it_waits(self, browser, microsoft, sandbox):
        microsoft.company()
        connect(browser)
        sandbox.faults.add("status", system="bc-api", status=503, times=None)
        answer = browser.get(CHECKS, headers=FRAGMENT)
        assert "The checks could not run." in text_of(answer)
        assert "every 3s" in answer.content.decode()
        assert connection().state == "preparing"

    def test_a_refused_consent_connects_nothing(self, browser):
        answer = browser.get(at_microsoft(browser, decision="cancel"), follow=True)
        assert "Not connected" in text_of(answer)
        assert connection().credential_id is None


@pytest.mark.usefixtures("installed")
class TestPages:
    def test_the_pages_are_connect_settings_and_sync(self, browser, microsoft):
        microsoft.company()
        connect(browser)
        page = browser.get(CHECKS).content.decode()
        assert tabs_of(page) == ["Connect", "Settings"]
        change(settings=a_setup().stored(), settings_version=1)
        assert tabs_of(browser.get(CONNECT).content.decode())[:3] == ["Connect", "Settings", "Sync"]

    def test_the_others_keep_theirs(self, browser):
        assert tabs_of(browser.get("/xero/connect").content.decode())[:2] == ["Connect", "Manage"]
        assert tabs_of(browser.get("/xero/connect").content.decode())[-1] == "Setup"

    def test_the_tile_says_where_it_stands(self, browser, microsoft):
        connect(browser)
        page = text_of(browser.get("/apps"))
        assert "Connected: Not Ready" in page
        assert "Signed in to Dynamics 365, but not ready to sync yet." in page


@pytest.mark.usefixtures("installed")
class TestAnotherCompany:
    """One is in use: nothing but a person's word puts another in its place."""

    @pytest.fixture
    def in_use(self, browser, microsoft) -> Any:
        company = microsoft.company()
        connect(browser)
        browser.get(CHECKS)
        change(settings=a_setup().stored(), settings_version=1)
        return company

    def test_signed_in_again_all_goes_on(self, browser, in_use):
        change(state="failed", failure="It has ended.")
        assert connect(browser).url == "/dynamics365"
        now = connection()
        assert (now.state, now.company_name, now.settings_version) == ("ready", "Acme Builders LLC", 1)

    def test_where_the_books_were_silent_at_the_return_it_goes_on_by_itself(self, browser, in_use, sandbox, a_row):
        change(state="failed", failure="It has ended.", auto_sync=True)
        notices.tell(connection(), notices.SESSION, "It has ended.")
        back = at_microsoft(browser)
        sandbox.faults.add("status", system="bc-api", status=503, times=None)
        assert browser.get(back).url == CONNECT
        assert connection().state == "preparing"

        sandbox.faults.clear()
        page = text_of(browser.get(CHECKS))
        assert (connection().state, connection().company_name) == ("ready", "Acme Builders LLC")
        assert "Signed in again. A sync has begun." in page
        with everywhere():
            assert SyncRun.objects.filter(system="dynamics365").count() == 1

    def test_a_sign_in_that_does_not_open_it_takes_no_other(self, browser, in_use, microsoft):
        other = microsoft.world.add_tenant("Other LLC")
        microsoft.world.add_company(microsoft.world.add_environment(other), "Other LLC")
        microsoft.world.add_user("Olga", "olga@other.example", other)
        assert connect(browser, "olga@other.example").url == "/dynamics365/company"
        page = text_of(browser.get("/dynamics365/company"))
        assert "This sign-in does not open Acme Builders LLC." in page

        looked = text_of(browser.get(CHECKS))
        assert "Your sign-in does not open Acme Builders LLC." in looked
        assert "Connected: Not Ready" in looked
        assert connection().company_name == "Acme Builders LLC"

    def test_the_company_page_asks_about_the_one_named(self, browser, in_use, microsoft):
        other = microsoft.world.place_of(microsoft.company("Acme Holding LLC"))
        answer = browser.get("/dynamics365/company", {"company": other})
        page = text_of(answer)
        assert "You chose Acme Holding LLC. So far it was Acme Builders LLC." in page
        assert "The accounts, vendors and other lists chosen in Settings are those of Acme Builders LLC." in page
        assert f'<option value="{other}" selected>' in answer.content.decode()
        assert connection().company_name == "Acme Builders LLC"

        answer = browser.post("/dynamics365/company", {"company": other, "change": other})
        assert answer.url == "/dynamics365/setup"
        assert connection().company_name == "Acme Holding LLC"

    def test_asking_changes_nothing_where_nothing_was_set_up_either(self, browser, in_use, microsoft):
        change(settings={}, settings_version=0)
        other = microsoft.world.place_of(microsoft.company("Acme Holding LLC"))
        assert "You chose Acme Holding LLC." in text_of(browser.get("/dynamics365/company", {"company": other}))
        assert connection().company_name == "Acme Builders LLC"


@pytest.mark.usefixtures("installed")
class TestTwoAtOnce:
    """What a look found is worth nothing once somebody has done more than look."""

    @pytest.fixture
    def seen(self, browser, microsoft) -> Connection:
        """The connection as a look read it."""
        microsoft.company()
        connect(browser)
        return connection()

    def test_another_sign_in_stands(self, browser, seen):
        connect(browser)
        assert not found_ready(seen, Company("there/Production/1", "There LLC"))
        assert (connection().state, connection().company) == ("preparing", "")

    def test_a_company_chosen_meanwhile_stands(self, browser, seen):
        browser.get(CHECKS)
        assert not found_ready(connection(), Company("there/Production/1", "There LLC"))
        assert not found_ready(seen, Company("there/Production/1", "There LLC"))
        assert connection().company_name == "Acme Builders LLC"

    def test_the_first_of_two_choices_stands(self, seen):
        settle(connection(), Company("here", "Here LLC"))
        with pytest.raises(CannotChange, match="Somebody chose Here LLC meanwhile"):
            settle(seen, Company("there", "There LLC"))
        assert connection().company == "here"

    def test_one_disconnected_meanwhile_stays_so(self, browser, seen):
        browser.post("/dynamics365/disconnect")
        assert not found_ready(seen, None)
        assert connection().state == "installed"


@pytest.mark.usefixtures("installed")
class TestLinking:
    @pytest.fixture
    def second(self, browser, acme, microsoft, sandbox) -> Any:
        """Another business of the same person; Acme is connected."""
        microsoft.company()
        connect(browser)
        browser.get(CHECKS)
        business, _ = make.member("Second Street", 6600, acme.user.username)
        return business

    def test_an_existing_connection_serves_this_business_too(self, client, acme, second):
        theirs = sign_in(Client(), acme.user, second)
        theirs.post("/apps/dynamics365/install")
        page = theirs.get(CONNECT)
        assert "Or link an existing connection" in text_of(page)
        assert "you choose the company in Settings" in text_of(page)
        lender = re.search(r'name="from" value="(\d+)"', page.content.decode())
        assert lender
        assert theirs.post("/dynamics365/connect/link", {"from": lender[1]}).url == CONNECT
        assert "Connected: Not Ready" in text_of(theirs.get(CONNECT))

        theirs.get(CHECKS)
        with everywhere():
            linked = Connection.objects.get(system="dynamics365", business=second)
            assert linked.credential_id == connection().credential_id
            assert (linked.state, linked.company_name) == ("ready", "Acme Builders LLC")
            assert Credential.objects.filter(system="dynamics365").count() == 1

    def test_disconnect_says_what_ends_and_what_does_not(self, browser, second):
        page = text_of(browser.get("/dynamics365/disconnect"))
        assert "nothing here can open it any more" in page
        assert "stays listed among the apps of your Microsoft account" in page
        assert "is taken off" not in page


def a_setup() -> Settings:
    start = clock.today() - timedelta(days=30)
    return Settings(kinds=frozenset({Kind.PURCHASE}), start_date=start, pex_account="11111111")
