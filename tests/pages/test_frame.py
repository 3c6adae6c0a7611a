"""What stands around every page, help, errors, and the page of parts."""

import pytest
from django.template.loader import render_to_string
from structlog.contextvars import bound_contextvars

from pexsync.accounts.models import Membership


def test_the_rail_leads_to_every_page_there_is_and_no_other(browser):
    page = browser.get("/").content.decode()
    for link in ('href="/"', 'href="/help"', 'href="/apps"', 'href="/xero"'):
        assert link in page
    assert 'href="/" aria-current="page"' in page
    assert "Sign out" in page
    assert "Skip to the page" in page
    assert "<main" in page


def test_the_state_of_a_connector_is_told_in_the_rail(browser, change):
    change(state="failed", failure="Gone.")
    page = browser.get("/help").content.decode()
    assert 'Xero<span class="for-readers">, Session Failure</span>' in page


def test_other_businesses_can_be_opened(browser, acme, rival):
    assert "Rival" not in browser.get("/").content.decode()
    Membership.objects.create(business=rival.business, user=acme.user)
    page = browser.get("/").content.decode()
    assert f'name="business" value="{rival.business.pk}"' in page
    assert "Rival Roofing" in page


def test_times_are_those_of_the_business(browser, acme, a_run):
    from datetime import UTC, datetime

    acme.business.time_zone = "America/Los_Angeles"
    acme.business.save()
    a_run(queued_at=datetime(2026, 5, 3, 14, 2, tzinfo=UTC))
    page = browser.get("/xero/history").content.decode()
    assert "3 May 07:02" in page
    assert 'title="3 May 2026 07:02:00 PDT"' in page
    assert 'datetime="2026-05-03T14:02:00+00:00"' in page
    assert "America/Los_Angeles" in page


def test_an_unknown_time_zone_is_no_error(browser, acme):
    acme.business.time_zone = "Mars/Olympus"
    acme.business.save()
    assert browser.get("/").status_code == 200


def test_help_gives_every_reason(browser):
    page = browser.get("/help").content.decode()
    for word in (
        "Pending",
        "Not Approved",
        "Session Failure",
        "older than one year",
        "closed period",
        "receipt is missing",
    ):
        assert word.lower() in page.lower()
    assert 'href="/xero/history"' in page


def test_a_page_that_is_not_there_says_so_with_a_reference(browser):
    answer = browser.get("/no/such/page", headers={"X-Request-ID": "reference-4711"})
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.content.decode()
    assert "reference-4711" in answer.content.decode()


@pytest.mark.parametrize("name", ["400.html", "403.html", "403_csrf.html", "404.html", "500.html"])
def test_error_pages_need_nothing_and_name_the_reference(name):
    with bound_contextvars(request_id="4f1c2a"):
        page = render_to_string(name)
    assert "4f1c2a" in page
    assert page.count("<h1") == 1


def test_error_pages_ask_the_database_nothing_more(browser, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        browser.get("/xero/runs/999")


def test_parts_are_for_staff_and_developers(browser, acme, settings):
    assert browser.get("/parts").status_code == 404
    settings.SHOW_PARTS = True
    assert browser.get("/parts").status_code == 200
    settings.SHOW_PARTS = False
    acme.user.staff = True
    acme.user.save()
    page = browser.get("/parts").content.decode()
    for word in ("Synced before PEX Sync", "Cancelled", "Session Failure", "As it would be in", "Send these 118"):
        assert word in page
