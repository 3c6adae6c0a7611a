"""The way a person walks through PEX Sync: from PEX's sign-in to a setup that is saved."""

import re
from datetime import date

from playwright.sync_api import Locator, Page, expect


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def sign_in(page: Page) -> None:
    """Come as the first of PEX's admins."""
    page.goto("/")
    page.get_by_role("button", name="Sign in with PEX").click()
    page.get_by_role("button", name="Allow").click()
    expect(heading(page)).to_have_text("Overview")


def install(page: Page, app: str = "Xero") -> None:
    page.get_by_role("link", name="SEE THE APPS").click()
    page.get_by_role("button", name=f"INSTALL PEX Connector for {app}").click()
    expect(heading(page)).to_have_text(f"Connect your {app} account")


def connect(page: Page, company: str) -> None:
    """Consent, choose the company, and go on once everything is found to be ready."""
    consent(page, company)
    expect(page.locator("#checks")).to_contain_text("OK")
    page.get_by_role("link", name="NEXT", exact=True).click()


def consent(page: Page, company: str) -> None:
    """Consent as the first of Xero's people, and choose the company."""
    page.get_by_role("button", name="CONNECT").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow access").click()
    expect(heading(page)).to_have_text("Tenant Selection")
    expect(page.get_by_label("Organization")).to_contain_text(company)
    page.get_by_role("button", name="CONFIRM").click()
    expect(page.locator(".toast")).to_have_text(re.compile(f"Connected to {company}."))


def consent_at_microsoft(page: Page) -> None:
    """CONNECT as the first of the people there, and accept what the app asks for."""
    page.get_by_role("button", name="CONNECT", exact=True).click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Accept").click()
    expect(heading(page)).to_have_text("Dynamics 365 connection")


def choose_what(page: Page, since: date) -> None:
    expect(heading(page)).to_have_text("Configure what to sync from PEX")
    expect(page.get_by_label("Purchases", exact=True)).to_be_checked()
    page.get_by_label("Start Date").fill(since.isoformat())
    forward(page)
    choose_what_is_synced_to_tags(page)


def choose_what_is_synced_to_tags(page: Page) -> None:
    """Leave it as it is: nothing."""
    expect(heading(page)).to_have_text("Configure what to sync from Xero")
    forward(page)


def choose_accounts(page: Page) -> None:
    """Leave the step open, so that it can be looked at."""
    expect(heading(page)).to_have_text("Configure which accounts to use")
    choose(page.get_by_label("PEX Cash"), "PEX Cash Account")
    choose(page.get_by_label("PEX Tag", exact=True), "Expense Account")


def choose_purchases_and_contacts(page: Page) -> None:
    expect(heading(page)).to_have_text("Configure how purchases populate your Xero spend money transactions")
    page.get_by_label("Attachments").check()
    forward(page)
    choose_merchants(page)
    save(page)


def choose_merchants(page: Page) -> None:
    page.get_by_label("Create a contact for each unique merchant").check()
    page.get_by_label("Use standardized merchant names").check()


def save(page: Page, note: str = "") -> None:
    """SAVE on the last step shows everything once more, SAVE there holds it."""
    page.get_by_role("button", name="SAVE").click()
    save_review(page, note)


def save_review(page: Page, note: str = "") -> None:
    expect(heading(page)).to_have_text("Review your settings")
    if note:
        page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="SAVE").click()
    expect(heading(page)).to_have_text("Sync to Xero")


def change_merchant_names(page: Page) -> None:
    """Change a setting in use, and leave the step open."""
    page.goto("/xero/setup/contacts")
    page.get_by_label("Use standardized merchant names").click()
    page.get_by_role("button", name="BACK").click()
    page.goto("/xero/setup/contacts")


def choose(select: Locator, text: str) -> None:
    """Choose the option that contains the text."""
    select.select_option(select.locator("option").filter(has_text=text).get_attribute("value"))


def forward(page: Page) -> None:
    page.get_by_role("button", name="NEXT").click()


def back(page: Page) -> None:
    page.get_by_role("button", name="BACK").click()


def press_sync(page: Page) -> None:
    page.get_by_role("button", name="SYNC", exact=True).click()


def sign_in_again(page: Page) -> None:
    """RE-CONNECT, as the first of Xero's people."""
    page.get_by_role("button", name="RE-CONNECT").first.click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow access").click()
