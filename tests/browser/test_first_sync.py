"""From "Sign in with PEX" to a record in the books, as a person walks it, with everything running."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from pexsync import clock
from tests.browser import walk
from tests.browser.companies import Company

pytestmark = pytest.mark.browser


@pytest.fixture
def acme(untouched) -> Company:
    return untouched


def test_from_sign_in_to_the_books(page: Page, product, acme, worker):
    walk.sign_in(page)
    walk.install(page)
    walk.connect(page, "Acme Builders LLC")
    walk.choose_what(page, since=clock.today() - timedelta(days=60))
    walk.choose_accounts(page)
    walk.forward(page)
    walk.choose_purchases_and_contacts(page)
    expect(page.locator(".toast")).to_contain_text("Set up. Press SYNC to read PEX")

    walk.press_sync(page)
    expect(walk.heading(page)).to_contain_text("ready to send")
    assert not acme.books.live()
    page.locator("#confirm").click()
    ended = page.locator("#history tbody tr").first
    expect(ended).to_contain_text("Partial")
    expect(ended).to_contain_text("2 of 3 transactions")

    ended.get_by_role("link").first.click()
    expect(walk.heading(page)).to_contain_text("Sync of")
    expect(page.locator("#results tbody tr")).to_have_count(3)
    expect(row(page, "Corner Cup")).to_contain_text("Needs you")
    expect(row(page, "Target")).to_contain_text("In Xero")
    with page.expect_popup() as opened:
        row(page, "Target").get_by_role("link", name=re.compile("Open record")).click()
    record = opened.value
    expect(walk.heading(record)).to_contain_text("Spent 84.20 USD")
    expect(record.get_by_text("General Expenses").first).to_be_visible()
    expect(record.get_by_role("link", name=re.compile(r"\.pdf$"))).to_be_visible()

    assert sorted(Decimal(one.total) for one in acme.books.live()) == [Decimal("31.00"), Decimal("84.20")]
    noted = {one.merchant: [note.text for note in one.notes] for one in acme.pex.transactions.values()}
    assert noted["Corner Cup"] == []
    assert all(any(note.startswith("Synced with Xero") for note in noted[name]) for name in list(noted)[:2])


def test_launched_from_the_dashboard_of_pex(page: Page, product, sandbox, acme):
    page.goto(f"{sandbox.url}/pex-dashboard/apps")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="LAUNCH").first.click()

    expect(page).to_have_url(f"{product}/")  # the one-time word of PEX is out of the address
    expect(walk.heading(page)).to_have_text("Overview")
    expect(page.locator(".rail")).to_contain_text("Acme Builders")


def test_xero_declined_leaves_everything_as_it_was(page: Page, product, acme):
    walk.sign_in(page)
    walk.install(page)
    page.get_by_role("button", name="CONNECT").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Cancel").click()

    expect(walk.heading(page)).to_have_text("Connect your Xero account")
    expect(page.get_by_role("button", name="CONNECT")).to_be_visible()
    expect(page.locator(".toast")).to_be_visible()


def row(page: Page, merchant: str) -> Locator:
    return page.locator("#results tbody tr").filter(has_text=merchant)
