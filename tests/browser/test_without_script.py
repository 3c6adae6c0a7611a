"""With JavaScript switched off: every page can be read, and a sync started, confirmed and watched."""

import re
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from connectors.models import Connection
from pexsync import clock
from tests.browser import walk
from tests.browser.conftest import let_in

pytestmark = pytest.mark.browser

PATIENCE = 60  # seconds


@pytest.fixture
def plain(new_eyes, acme, product) -> Page:
    eyes = new_eyes(java_script_enabled=False)
    let_in(eyes.context, product, acme.user, acme.business)
    page: Page = eyes.context.new_page()
    return page


@pytest.fixture
def stranger(new_eyes, untouched) -> Page:
    """A browser without script in which nobody has signed in."""
    page: Page = new_eyes(java_script_enabled=False).context.new_page()
    return page


@pytest.mark.parametrize(
    ("address", "heading"),
    [
        ("/", "Overview"),
        ("/apps", "Apps"),
        ("/xero/connect", "Xero connection"),
        ("/xero/setup/accounts", "Configure which accounts to use"),
        ("/xero/setup/options", "Configure what to sync from Xero"),
        ("/xero/setup/purchases", "Configure how purchases populate your Xero spend money transactions"),
        ("/xero/setup/review", "Review your settings"),
        ("/xero/settings", "Versions of the settings"),
        ("/xero/tags", "Tag options from Xero"),
        ("/xero/statement", "Statement of your PEX account"),
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


def test_the_first_sync_from_the_sign_in_to_the_books(stranger, untouched, worker):
    walk.sign_in(stranger)
    walk.install(stranger)
    walk.consent(stranger, "Acme Builders LLC")
    stranger.get_by_role("link", name="NEXT", exact=True).click()
    walk.choose_what(stranger, since=clock.today() - timedelta(days=60))
    walk.choose_accounts(stranger)
    walk.back(stranger)
    walk.forward(stranger)
    expect(stranger.get_by_label("PEX Cash").locator("option:checked")).to_contain_text("PEX Cash Account")
    walk.forward(stranger)
    walk.choose_purchases_and_contacts(stranger)

    walk.press_sync(stranger)
    refresh(stranger, until="#look")
    stranger.locator("#look").click()
    rows = stranger.locator("#previewed tbody tr")
    expect(rows).to_have_count(3)
    first = rows.filter(has_text="Target")
    first.locator("summary").click()
    expect(first.locator(".drawn li")).to_have_text([re.compile("Debit.*General"), re.compile("Credit.*PEX Cash")])
    stranger.get_by_role("checkbox", name=re.compile("^Send Pilot Hill Fuel")).uncheck()
    stranger.locator("#confirm").click()
    expect(stranger.locator(".toast")).to_contain_text("Nothing was sent: 1 transaction is ticked now.")
    expect(stranger.get_by_role("checkbox", name=re.compile("^Send Pilot Hill Fuel"))).not_to_be_checked()
    stranger.locator("#confirm").click()
    refresh(stranger, until="#history .chip:not(.busy)")
    assert [one.total for one in untouched.books.live()] == [Decimal("84.20")]


def test_the_example_beside_a_step_is_one_button_away(plain, acme, worker):
    for days, merchant in ((1, "Staples"), (2, "Corner Cup")):
        acme.purchase(merchant=merchant, settled=clock.now() - timedelta(days=days))
    acme.sync()
    plain.goto("/xero/setup/contacts")
    expect(plain.locator("#example .entry-head")).to_contain_text("Staples")
    plain.get_by_label("Use standardized merchant names").click()
    plain.get_by_role("button", name="Older").click()
    expect(plain.locator("#example .entry-head")).to_contain_text("Corner Cup")
    assert not Connection.objects.get().draft  # looking saves nothing


def refresh(page: Page, until: str) -> None:
    """Press REFRESH, as a person would, until the page shows it."""
    give_up = time.monotonic() + PATIENCE
    while not page.locator(until).count():
        assert time.monotonic() < give_up, page.inner_text("main")
        page.get_by_role("link", name="REFRESH").click()
