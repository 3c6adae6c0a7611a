"""With JavaScript switched off: every page can be read, and a sync started, confirmed and watched."""

import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import let_in

pytestmark = pytest.mark.browser

PATIENCE = 60  # seconds


@pytest.fixture
def plain(new_eyes, acme, product) -> Page:
    eyes = new_eyes(java_script_enabled=False)
    let_in(eyes.context, product, acme.user, acme.business)
    page: Page = eyes.context.new_page()
    return page


@pytest.mark.parametrize(
    ("address", "heading"),
    [
        ("/", "Overview"),
        ("/apps", "Apps"),
        ("/xero/connect", "Xero connection"),
        ("/xero/setup/accounts", "Configure which accounts to use"),
        ("/xero/history", "Sync History"),
        ("/xero/transactions", "Transactions"),
        ("/help", "Help"),
    ],
)
def test_pages_can_be_read(plain, address, heading):
    plain.goto(address)
    expect(plain.get_by_role("heading", level=1)).to_have_text(heading)
    assert plain.locator("main [hidden]").count() == 0


def test_the_checks_of_a_connection_are_one_link_away(plain):
    plain.goto("/xero/connect")
    plain.get_by_role("link", name="Show the checks").click()
    expect(plain.locator("#checks")).to_contain_text("OK")


def test_a_sync_from_its_start_to_its_results(plain, acme, worker):
    acme.purchase("12.50", receipts=["pdf"])
    acme.purchase("7.25", merchant="Corner Cup")
    plain.goto("/xero/sync")
    plain.get_by_role("button", name="SYNC", exact=True).click()
    refresh(plain, until="#confirm")
    plain.locator("#confirm").click()
    refresh(plain, until="#history .chip.ok")

    ended = plain.locator("#history tbody tr").first
    expect(ended).to_contain_text("Success")
    ended.get_by_role("link").first.click()
    expect(plain.locator("#results tbody tr")).to_have_count(2)
    expect(plain.get_by_text("1 receipt").first).to_be_visible()
    assert len(acme.books.live()) == 2


def refresh(page: Page, until: str) -> None:
    """Press REFRESH, as a person would, until the page shows it."""
    give_up = time.monotonic() + PATIENCE
    while not page.locator(until).count():
        assert time.monotonic() < give_up, page.inner_text("main")
        page.get_by_role("link", name="REFRESH").click()
