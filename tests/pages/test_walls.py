"""Who may see what: nobody another business, nobody without the permissions, nobody unasked."""

import pytest
from django.test import Client
from django.urls import URLPattern

from pexsync.accounts.models import Membership
from pexsync.pages import urls as pages
from syncjobs import urls as syncs
from tests.pages.conftest import sign_in

WITH_SYSTEM = [each for each in (*pages.urlpatterns, *syncs.urlpatterns) if "<slug:system>" in str(each.pattern)]
ABOUT_THE_APP = ("app", "install")  # the marketplace itself, open to everyone who is signed in


def address_of(pattern: URLPattern, run: int = 0) -> str:
    route = str(pattern.pattern)
    for part, value in (
        ("<slug:system>", "xero"),
        ("<slug:step>", "sync"),
        ("<int:run>", str(run)),
        ("<int:row>", str(run)),
        ("<int:version>", "1"),
    ):
        route = route.replace(part, value)
    return f"/{route}"


@pytest.mark.parametrize("pattern", WITH_SYSTEM, ids=lambda each: each.name)
def test_rival_finds_nothing_of_acme(client, acme, rival, a_run, pattern):
    run = a_run(status="running")
    rival.connection.delete()
    browser = sign_in(client, rival.user, rival.business)
    for ask in (browser.get, browser.post):
        answer = ask(address_of(pattern, run.pk))
        if pattern.name in ABOUT_THE_APP:
            assert "Acme" not in answer.content.decode()
        else:
            assert answer.status_code in (404, 405)
    run.refresh_from_db()
    assert run.cancel_asked_at is None
    acme.connection.refresh_from_db()
    assert acme.connection.ready


@pytest.mark.parametrize("pattern", WITH_SYSTEM, ids=lambda each: each.name)
def test_a_run_of_acme_is_not_among_rivals(client, acme, rival, a_run, a_row, pattern):
    run = a_run()
    a_row("Acme's shop", run=run)
    browser = sign_in(client, rival.user, rival.business)
    answer = browser.get(address_of(pattern, run.pk), follow=True)
    assert "Acme" not in answer.content.decode()
    if "<int:run>" in str(pattern.pattern):
        assert answer.status_code in (404, 405)


@pytest.mark.parametrize("pattern", WITH_SYSTEM, ids=lambda each: each.name)
def test_without_permissions_the_page_names_what_is_missing(browser, acme, a_run, pattern):
    run = a_run()
    Membership.objects.update(permissions=["EditBusinessProfile", "ManageCardholder"])
    answers = [ask(address_of(pattern, run.pk)) for ask in (browser.get, browser.post)]
    if pattern.name in ("app", "launch"):
        return
    assert {answer.status_code for answer in answers} <= {403, 405}
    refused = next(answer for answer in answers if answer.status_code == 403).content.decode()
    assert "View card transactions, Modify transaction notes" in refused
    assert "My Profile" in refused


@pytest.mark.parametrize("address", ["/", "/apps", "/help", "/parts", "/xero/sync", "/xero/setup/sync"])
def test_strangers_are_sent_to_sign_in(client, acme, address):
    assert client.get(address).url.startswith("/sign-in")


def test_changes_need_their_token(acme, a_run):
    run = a_run(status="running")
    browser = sign_in(Client(enforce_csrf_checks=True), acme.user, acme.business)
    for pattern in WITH_SYSTEM:
        answer = browser.post(address_of(pattern, run.pk))
        assert answer.status_code == 403, pattern.name
        assert "This page was open too long" in answer.content.decode()


def test_pages_may_not_run_or_style_inline(browser, acme, a_run, a_row):
    run = a_run(status="running", rows_due=3)
    a_row(run=run)
    for address in (
        "/",
        "/apps",
        "/xero/sync",
        "/xero/history",
        f"/xero/runs/{run.pk}",
        "/xero/setup/accounts",
        "/help",
    ):
        answer = browser.get(address)
        page = answer.content.decode()
        assert "style=" not in page
        assert "onclick" not in page
        assert "hx-on" not in page
        assert "<script>" not in page
        assert page.count("<h1") == 1
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]


def test_pages_name_no_missing_value(browser, acme, a_run, a_row):
    run = a_run()
    a_row(run=run)
    for address in ("/", "/apps", "/xero/sync", "/xero/connect", f"/xero/runs/{run.pk}", "/xero/setup/sync"):
        assert "None" not in browser.get(address).content.decode()
