"""Hostile input for connecting, the settings on cards, and syncing: forged, stale, stolen, enormous."""

import json
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.db import connection as database
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern

from connectors.models import Connection, Credential
from pexsync.accounts.models import Membership
from pexsync.accounts.tenancy import everywhere
from syncjobs.models import SyncRun
from tests import make
from tests.pages.conftest import sign_in
from tests.pages.filling_in import form_of
from tests.pages.microsoft import (
    CHECKS,
    CONNECT,
    FRAGMENT,
    Microsoft,
    at_microsoft,
    connect,
    connection,
    tenant_of,
    text_of,
)
from tests.pages.test_walls import ABOUT_THE_APP, WITH_SYSTEM

pytestmark = pytest.mark.database

CARDS, SYNC, START = "/dynamics365/setup/cards", "/dynamics365/sync", "/dynamics365/sync/start"
CALLBACK = "/dynamics365/callback"
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
NOT_BEGUN_HERE = "This sign-in was not begun here or is too old."


@pytest.fixture
def builders(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    """Acme with its books in Business Central, set up and in use."""
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    cache.clear()
    yield make.dynamics(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def ann(client, builders) -> Client:
    return sign_in(client, builders.user, builders.business)


@pytest.fixture
def rita(builders, sandbox) -> make.World:
    """Another business with books of its own, at the same installation."""
    return make.dynamics(sandbox, "Rival Roofing", 5520, "rita.rival")


@pytest.fixture
def microsoft(acme, browser, sandbox) -> Microsoft:
    """Acme on Xero, with the second connector installed and a tenant at Microsoft; nobody has signed in there yet."""
    found = tenant_of(sandbox)
    browser.post("/apps/dynamics365/install")
    return found


def filled(browser: Client, **members: str) -> QueryDict:
    data = form_of(browser.get(CARDS).content.decode())
    for name, value in members.items():
        data[name] = value
    return data


def send(browser: Client, data: QueryDict, go: str = "save") -> Any:
    return browser.post(CARDS, f"{data.urlencode()}&go={go}", content_type="application/x-www-form-urlencoded")


def kept(world: make.World) -> tuple[Any, ...]:
    """What an attack must leave as it was."""
    world.connection.refresh_from_db()
    now = world.connection
    return now.state, now.company, now.credential_id, now.settings, now.settings_version


def place_of(world: make.World, books: Any) -> str:
    return str(world.sandbox.worlds["dynamics365"].place_of(books))


# --- the way back from the sign-in ------------------------------------------------------------------------------------


class TestBack:
    @pytest.mark.parametrize(
        "forged",
        ["", "?code=1.x", "?code=1.x&state=", "?code=1.x&state=s", "?state=%00", "?error=access_denied", "?code=%ff"],
    )
    def test_an_answer_nobody_asked_for_connects_nothing(self, browser, microsoft, forged):
        answer = browser.get(f"{CALLBACK}{forged}", follow=True)
        assert answer.redirect_chain == [(CONNECT, 302)]
        assert NOT_BEGUN_HERE in text_of(answer)
        assert connection().credential_id is None

    def test_the_right_answer_with_another_state_connects_nothing_and_is_spent(self, browser, microsoft):
        microsoft.company()
        right = at_microsoft(browser)
        state = parse_qs(urlsplit(right).query)["state"][0]
        assert NOT_BEGUN_HERE in text_of(browser.get(right.replace(state, state[::-1]), follow=True))
        assert NOT_BEGUN_HERE in text_of(browser.get(right, follow=True))  # one try for one sign-in
        assert connection().credential_id is None

    def test_what_was_begun_for_one_system_is_not_taken_by_another(self, browser, microsoft):
        begun = browser.post("/xero/connect/begin").url
        state = parse_qs(urlsplit(begun).query)["state"][0]
        assert NOT_BEGUN_HERE in text_of(browser.get(CALLBACK, {"code": "1.x", "state": state}, follow=True))
        assert connection().credential_id is None

    def test_what_was_begun_for_one_business_is_not_taken_by_another(self, client, acme, browser, microsoft):
        microsoft.company()
        make.member("Acme Two", 4411, acme.user.username)
        address = at_microsoft(browser)
        with everywhere():
            second = Membership.objects.get(business__pex_id=4411)
        session = browser.session
        session["business"] = second.business_id
        session.save()
        browser.post("/apps/dynamics365/install")
        assert NOT_BEGUN_HERE in text_of(browser.get(address, follow=True))
        with everywhere():
            assert not Connection.objects.filter(system="dynamics365", credential__isnull=False).exists()

    def test_a_stolen_answer_is_worth_nothing_in_another_session(self, browser, acme, microsoft):
        microsoft.company()
        address = at_microsoft(browser)
        thief = sign_in(Client(), acme.user, acme.business)
        assert NOT_BEGUN_HERE in text_of(thief.get(address, follow=True))
        assert connection().credential_id is None

    def test_the_same_answer_twice_changes_nothing_more(self, browser, microsoft):
        microsoft.company()
        address = at_microsoft(browser)
        browser.get(address)
        first = connection()
        assert NOT_BEGUN_HERE in text_of(browser.get(address, follow=True))
        assert connection().credential_id == first.credential_id

    @pytest.mark.parametrize("error", ["access_denied", "consent_required", "server_error"])
    def test_an_administrator_who_refuses_is_not_told_that_all_is_allowed(self, browser, microsoft, error):
        """Microsoft marks the refusals of its page for administrators with `admin_consent` too."""
        answer = browser.get(CALLBACK, {"admin_consent": "True", "error": error}, follow=True)
        assert "is allowed for the whole organization" not in text_of(answer)
        assert "PEX Sync was not allowed for the whole organization" in text_of(answer)
        assert connection().credential_id is None

    def test_what_microsoft_says_is_text(self, browser, microsoft):
        sent = parse_qs(urlsplit(at_microsoft(browser)).query)
        answer = browser.get(CALLBACK, {"state": sent["state"][0], "error": EVIL}, follow=True)
        assert EVIL not in answer.content.decode()
        assert connection().credential_id is None

    def test_no_code_or_token_is_seen_on_a_page_or_in_a_cookie(self, browser, microsoft):
        microsoft.company()
        address = at_microsoft(browser)
        flow = json.loads(browser.session["connecting"]["verifier"])
        browser.get(address)
        with everywhere():
            secret = Credential.objects.get(system="dynamics365").secret()
        pages = "".join(browser.get(each).content.decode() for each in (CONNECT, CHECKS, "/dynamics365/setup"))
        cookies = browser.cookies.output()
        for word in (flow["code_verifier"], flow["nonce"], secret["access_token"], secret["cache"]):
            assert word
            assert word not in pages
            assert word not in cookies
        assert "connecting" not in browser.session

    def test_the_form_that_begins_may_lead_to_microsoft_and_nowhere_else(self, browser, microsoft):
        policy = browser.get(CONNECT).headers["Content-Security-Policy"]
        allowed = next(part for part in policy.split(";") if "form-action" in part)
        assert "https://login.microsoftonline.com" in allowed
        assert "*" not in allowed


class TestLink:
    def test_only_a_sign_in_of_ones_own_is_lent(self, browser, microsoft, rita_of):
        for key in (str(rita_of.pk), "0", "", "x", "1\0", "9" * 40):
            answer = browser.post("/dynamics365/connect/link", {"from": key}, follow=True)
            assert "That sign-in cannot be used here any more" in text_of(answer)
        assert connection().credential_id is None

    def test_nor_one_to_another_system(self, browser, acme, microsoft):
        browser.post("/dynamics365/connect/link", {"from": str(acme.connection.pk)})
        assert connection().credential_id is None

    @pytest.fixture
    def rita_of(self, acme, sandbox) -> Connection:
        return make.dynamics(sandbox, "Rival Roofing", 5520, "rita.rival").connection


# --- walls ------------------------------------------------------------------------------------------------------------


def address_of(pattern: URLPattern, run: int) -> str:
    route = str(pattern.pattern)
    for part, value in (
        ("<slug:system>", "dynamics365"),
        ("<slug:step>", "cards"),
        ("<int:run>", str(run)),
        ("<int:row>", str(run)),
        ("<int:version>", "1"),
    ):
        route = route.replace(part, value)
    return f"/{route}"


@pytest.mark.parametrize("pattern", WITH_SYSTEM, ids=lambda each: each.name)
class TestWalls:
    def test_a_business_without_the_connector_finds_nothing(self, client, builders, sandbox, pattern):
        business, user = make.member("Nobody Ltd", 7001, "nora.nobody")
        stranger, before = sign_in(Client(), user, business), kept(builders)
        for ask in (stranger.get, stranger.post):
            answer = ask(address_of(pattern, 1))
            assert "Acme" not in answer.content.decode()
            if pattern.name not in ABOUT_THE_APP:
                assert answer.status_code in (404, 405)
        assert kept(builders) == before

    def test_every_page_needs_its_permissions(self, ann, builders, pattern):
        with everywhere():
            Membership.objects.update(permissions=["EditBusinessProfile"])
        if pattern.name in ("app", "launch"):
            return
        answers = {ask(address_of(pattern, 1)).status_code for ask in (ann.get, ann.post)}
        assert 403 in answers
        assert answers <= {403, 405}

    def test_nobody_gets_in_unasked(self, client, builders, pattern):
        before = kept(builders)
        for ask in (client.get, client.post):
            answer = ask(address_of(pattern, 1))
            assert answer.status_code == 302
            assert answer.url.startswith("/sign-in")
        assert kept(builders) == before


# --- the cards --------------------------------------------------------------------------------------------------------


class TestCards:
    def test_the_company_of_another_tenant_is_no_choice(self, ann, builders, rita):
        stolen, before = place_of(rita, rita.books), kept(builders)
        for go in ("save", "company"):
            answer = send(ann, filled(ann, **{"settings-company": stolen}), go)
            assert answer.status_code == 422
        for name in ("company", "change"):
            ann.post("/dynamics365/company", {name: stolen, "company": stolen, "cutover": "2020-01-01"})
        asked = ann.get("/dynamics365/company", {"company": stolen})
        assert "Rival" not in asked.content.decode()
        assert kept(builders) == before

    def test_what_it_asks_for_by_address_is_only_looked_up(self, ann, builders):
        before = kept(builders)
        for field in ("", "\0", EVIL, "//evil.example", "dimension:" + "x" * 5000, "purchase:account", "javascript:1"):
            answer = ann.get("/dynamics365/setup", {"field": field})
            assert answer.status_code == 302
            assert answer.url.startswith("/dynamics365/")
        assert kept(builders) == before

    def test_nowhere_else_does_a_button_lead(self, ann, builders):
        for go in ("https://evil.example", "//evil.example", "javascript:alert(1)", "back", "review", "next", ""):
            answer = send(ann, filled(ann), go)
            assert answer.status_code in (302, 422)
            assert answer.status_code == 422 or answer.url.startswith("/dynamics365/")

    @pytest.mark.parametrize(
        "value", ["\0", EVIL, "x" * 4000, "-1", "9999-99-99"], ids=("nul", "evil", "long", "-1", "day")
    )
    def test_odd_values_in_every_control_at_once_are_refused_and_shown_as_text(self, ann, builders, value):
        before, data = kept(builders), filled(ann)
        for name in data:
            if name not in ("seen", "csrfmiddlewaretoken") and not name.endswith("shown"):
                data[name] = value
        answer = send(ann, data)
        assert answer.status_code == 422
        assert EVIL not in answer.content.decode()
        assert EVIL not in ann.get(CARDS).content.decode()  # what was typed is kept and shown again
        assert kept(builders) == before

    def test_a_page_that_is_all_gone_saves_nothing(self, ann, builders):
        before = kept(builders)
        for body in ("", "go=save", f"go=save&seen={before[-1]}x", "seen=", "go=company", "a=b&" * 900):
            answer = ann.post(CARDS, body, content_type="application/x-www-form-urlencoded")
            assert answer.status_code in (302, 422)
        assert kept(builders)[:3] == before[:3]
        assert kept(builders)[4] == before[4]

    def test_names_from_everywhere_are_text(self, ann, builders):
        books = builders.books
        books.add_account("666", EVIL, "Assets")
        books.add_account("667", EVIL)
        books.add_dimension("EVIL", [("E", EVIL)])
        builders.pex.add_tag(EVIL, options=[(EVIL, EVIL)])
        with everywhere():
            Connection.objects.filter(pk=builders.connection.pk).update(company_name=EVIL)
        cache.clear()
        for address in (f"{CARDS}?again=1", SYNC, CONNECT, CHECKS, "/dynamics365/company", "/dynamics365/disconnect"):
            answer = ann.get(address)
            assert answer.status_code == 200, address
            assert EVIL not in answer.content.decode(), address
            assert "<script>alert" not in answer.content.decode(), address
        assert EVIL in unescape(ann.get(CARDS).content.decode())

    def test_another_window_that_changed_the_company_is_not_written_over(self, ann, builders):
        """What stood on the old page names accounts of the company before."""
        entra = builders.sandbox.worlds["dynamics365"]
        beta = entra.add_company(next(iter(entra.tenants.values())).environments[0], "Beta Builders")
        old = filled(ann)
        with everywhere():
            Connection.objects.filter(pk=builders.connection.pk).update(
                company=place_of(builders, beta), company_name="Beta Builders"
            )
        cache.clear()
        before = kept(builders)
        answer = send(ann, old)
        assert answer.status_code == 422
        assert kept(builders) == before

    def test_five_thousand_accounts_cost_no_more_queries(self, ann, builders):
        few = self._queries(ann)
        for number in range(5000):
            builders.books.add_account(f"X{number}", f"Account {number} " + "y" * 80)
        assert self._queries(ann) <= few

    def _queries(self, browser: Client) -> int:
        cache.clear()
        browser.get(f"{CARDS}?again=1")
        with CaptureQueriesContext(database) as asked:
            assert browser.get(CARDS).status_code == 200
        return len(asked)


# --- EXECUTE ----------------------------------------------------------------------------------------------------------


class TestExecute:
    @pytest.mark.parametrize(
        "sent",
        [
            {"kinds": ["purchase\0"]},
            {"kinds": [EVIL]},
            {"kinds": ["fee"]},
            {"kinds": ["purchase", "rebate"]},
            {"first": "2026-13-45"},
            {"first": EVIL},
            {"last": "\0"},
            {"first": "9999-12-31"},
            {"first": "٢٠٢٦-٠١-٠١x"},
        ],
        ids=str,
    )
    def test_what_was_forged_begins_nothing(self, ann, builders, sent):
        answer = ann.post(START, sent, follow=True)
        assert answer.status_code == 200
        assert EVIL not in answer.content.decode()
        assert (
            "o sync was started" in text_of(answer)
            or "There is nothing to sync" in text_of(answer)
            or ("switched off in Settings" in text_of(answer))
        )
        assert not SyncRun.objects.exists()

    def test_days_before_the_limit_begin_at_it_and_are_shown_first(self, ann, builders):
        ann.post(START, {"first": "1900-01-01"})
        run = SyncRun.objects.get()
        assert run.asks_first
        assert (run.window_end - run.window_start).days <= 366

    def test_a_run_of_rival_cannot_be_confirmed_or_ended(self, ann, builders, rita):
        run = make.runs.start(rita.connection, rita.user)
        for what in ("cancel", "confirm"):
            assert ann.post(f"/dynamics365/runs/{run.pk}/{what}").status_code == 404
        run.refresh_from_db()
        assert (run.cancel_asked_at, run.confirmed_at) == (None, None)


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x&page=1#'\"><b>", "../../evil", "@evil.example/", "javascript:alert(1)", "\t//e"])
def test_the_link_into_the_books_stays_at_the_books(ann, builders, settings, name):
    with everywhere():
        Connection.objects.filter(pk=builders.connection.pk).update(
            company=f"{name}/{name}/{name}", company_name=name, company_facts={"name": name}
        )
    link = ann.get(SYNC).context["books_page"].address
    assert link.startswith(f"{settings.BC_WEB_URL}/")
    assert urlsplit(link).netloc == urlsplit(settings.BC_WEB_URL).netloc


@pytest.mark.parametrize("method", ["get", "post"])
def test_mend_does_nothing_that_is_not_offered(ann, builders, method):
    before = len(builders.books.journals)
    for what in ("journal", "__init__", "disconnect", "\0", EVIL, ""):
        answer = getattr(ann, method)("/dynamics365/mend", {"what": what})
        assert answer.status_code == (405 if method == "get" else 302)
    assert len(builders.books.journals) == before
    assert kept(builders)[2] is not None


def test_a_look_of_a_stranger_finds_nothing_ready(browser, microsoft):
    """Without a sign-in the checks ask nobody and change nothing."""
    microsoft.company()
    assert browser.get(CHECKS, headers=FRAGMENT).status_code == 200
    assert connection().company == ""
    connect(browser)
    browser.get(CHECKS)
    assert connection().company
