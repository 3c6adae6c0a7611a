"""The whole way of a business: every control of the setup, the preview, a sync, a session that breaks, the end."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from pexsync import clock
from tests.browser import walk
from tests.browser.companies import Company, company_of
from tests.browser.conftest import Gate
from tests.make import PROJECTS

pytestmark = pytest.mark.browser

LONG = 60_000  # milliseconds a sync may take on a busy machine
DEFAULT = re.compile("^If the expense account tag is missing")


@pytest.fixture
def acme(sandbox, product) -> Company:
    """A prepaid business that spent, paid fees, moved money, earned a rebate; one month of it is booked by hand."""
    found = company_of(sandbox, "Acme Builders", "Prepaid", 4410)
    day = clock.now() - timedelta(days=3)
    purpose = {found.tags["Purpose"].tag_id: "Framing lumber", found.tags["Expense Account"].tag_id: "429"}
    found.buys("84.20", "Target #0973226", project=0, receipts=["pdf"])
    shares = [("100.00", purpose), ("50.50", {found.tags["Expense Account"].tag_id: "449"})]
    found.buys("150.50", "Granite & Gable Lumber", splits=shares, tags={})
    found.buys("-20.00", "Target #0973226")
    found.buys("9.99", "Corner Cup", account="")
    found.buys("31.00", "Pilot Hill Fuel", account="449")
    found.buys("11.00", "Quick Plans", approval="NotReviewed")
    long_ago = clock.now() - timedelta(days=45)
    for amount in ("5.00", "6.00", "7.00"):
        found.buys(amount, "Old Shop", settled=long_ago)
    for amount in ("5.00", "6.00"):
        found.books.post_by_hand("Card", amount, date=long_ago.date(), bank_account=found.bank, account="429")
    found.pex.add_card_fee("1.00", settled=day)
    found.pex.add_business_row("BusinessAccountFee", "-25.00", "Monthly maintenance fee", settled=day)
    found.pex.add_business_row("BusinessFunding", "500.00", "ACH credit", settled=day)
    found.pex.add_business_row("BusinessRebate", "18.42", "Rebate Credit", settled=day)
    return found


@pytest.fixture
def harbor(sandbox, product) -> Company:
    """A charge business: it buys, and pays its statement."""
    found = company_of(sandbox, "Harbor Charge Co", "Credit", 5520)
    found.buys("84.20", "Target #0973226")
    found.pex.add_statement(
        "1000.00",
        due=clock.now() - timedelta(days=3),
        payments=[("PEXTransfer", "900.00"), ("RebateCredit", "12.00")],
    )
    return found


def test_a_prepaid_business_from_the_first_step_to_the_disconnect(page: Page, product, sandbox, acme, gate):
    gate.let(100)
    walk.sign_in(page)
    walk.install(page)
    walk.connect(page, "Acme Builders LLC")
    the_setup_is_walked(page)
    settings = review_of(page)
    walk.save_review(page)
    expect(page.locator(".toast")).to_contain_text("Set up. Press SYNC to read PEX")

    walk.press_sync(page)
    expect(walk.heading(page)).to_contain_text("ready to send", timeout=LONG)
    assert len(acme.books.live()) == 2
    assert not acme.books.live_transfers()
    the_example_follows_the_settings(page)
    the_preview_is_decided(page)

    page.locator("#confirm").click()
    the_results_are_read(page, acme)
    the_books_hold(acme, "5.00 6.00 84.20 150.50 -20.00 9.99 1.00 25.00 -18.42", transfers="500.00")
    the_tags_hold_the_lists(page, acme)

    what_was_unticked_goes_when_somebody_says_so(page)
    acme.buys("12.34", "Late Lunch")
    the_session_breaks_and_is_put_right(page, acme, gate)
    the_books_hold(acme, "5.00 6.00 84.20 150.50 -20.00 9.99 1.00 25.00 -18.42 31.00 12.34", transfers="500.00")
    assert review_of(page) == settings
    the_connection_is_ended(page, sandbox)


def test_a_charge_business_pays_its_bill(page: Page, product, harbor, worker):
    walk.sign_in(page)
    walk.install(page)
    walk.connect(page, "Harbor Charge Co LLC")
    expect(page.get_by_label("Transfers", exact=True)).to_have_count(0)
    for name in ("Bill Payments", "Rebates"):
        page.get_by_label(name, exact=True).check()
    walk.choose_what(page, since=clock.today() - timedelta(days=60))

    walk.choose(page.get_by_label("Source Cash"), "Business Checking")
    expect(page.get_by_text("Use this Xero bank account as the source account for bill payments.")).to_be_visible()
    expect(page.get_by_text("It must be a bank account of type credit card")).to_be_visible()
    walk.choose(page.get_by_label("PEX Card"), "PEX Card Account")
    walk.choose(page.get_by_label("PEX Tag", exact=True), "Expense Account")
    walk.forward(page)
    walk.forward(page)
    walk.choose_merchants(page)
    walk.forward(page)
    walk.choose(page.get_by_label("Income Account"), "Other Revenue")
    walk.choose(page.get_by_label("Contact"), "PEX")
    walk.save(page)

    walk.press_sync(page)
    page.locator("#look").click(timeout=LONG)
    expect(page.locator("#previewed tbody tr")).to_have_count(3)
    bill = entry_of(page, "900.00")
    expect(bill.locator(".drawn li")).to_have_text(
        [re.compile("Debit.*PEX Card Account"), re.compile("Credit.*Checking")]
    )
    page.locator("#confirm").click()
    expect(last_sync(page)).to_contain_text("Success", timeout=LONG)
    the_books_hold(harbor, "84.20 -12.00", transfers="900.00")


# --- the setup --------------------------------------------------------------------------------------------------------


def the_setup_is_walked(page: Page) -> None:
    what_is_synced(page)
    what_becomes_tags(page)
    walk.back(page)
    expect(page.get_by_label("Sync Project")).to_be_checked()  # kept by BACK
    walk.forward(page)
    page.get_by_role("button", name="CANCEL").click()
    expect(page.locator(".toast")).to_contain_text("What you filled in is kept")
    page.get_by_role("link", name=re.compile("^Finish setup", re.IGNORECASE)).first.click()
    which_accounts(page)
    what_purchases_carry(page)
    whom_they_are_booked_against(page)
    what_fees_carry(page)
    what_rebates_carry(page)


def what_is_synced(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure what to sync from PEX")
    rebates = page.get_by_label("Rebates", exact=True)
    for name in ("Fees", "Transfers"):
        page.get_by_label(name, exact=True).check()
    rebates.check()
    expect(page.get_by_text("Rebates are synced only together with Purchases")).to_be_visible()
    page.get_by_label("Which purchases").select_option("approved")
    page.get_by_label("Start Date").fill((clock.today() - timedelta(days=60)).isoformat())
    walk.forward(page)


def what_becomes_tags(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure what to sync from Xero")
    expect(page.get_by_text("You can only sync fields to dropdown tags")).to_be_visible()
    for name in ("Expense Account", "Project"):
        tag = page.get_by_label(f"PEX Tag for {name}")
        expect(tag).to_be_hidden()
        page.get_by_label(f"Sync {name}").check()
        walk.choose(tag, name)
    expect(page.get_by_label("PEX Tag for Project").locator("option", has_text="Purpose")).to_have_count(0)
    walk.forward(page)


def which_accounts(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure which accounts to use")
    tag = page.get_by_label("PEX Tag", exact=True)
    expect(tag.locator("option:checked")).to_have_text("Expense Account")  # which gets the accounts
    walk.choose(page.get_by_label("Source Cash"), "Business Checking")
    walk.choose(page.get_by_label("PEX Cash"), "PEX Cash Account")
    walk.choose(page.get_by_label("Tax", exact=True), "No tax")
    walk.choose(page.get_by_label(DEFAULT), "General Expenses")
    page.get_by_role("link", name=re.compile("PEX Sync Options")).click()
    expect(page.get_by_label("Rebates", exact=True)).to_be_checked()
    page.get_by_role("link", name=re.compile("Account Options")).click()
    expect(page.get_by_label(DEFAULT).locator("option:checked")).to_contain_text("General Expenses")  # kept by the jump
    walk.choose(page.get_by_label(re.compile("^Fees")), "Bank Fees")
    walk.forward(page)


def what_purchases_carry(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure how purchases populate your Xero spend money transactions")
    page.get_by_label("Attachments").check()
    expect(page.get_by_label("Send receipts that are added later, too")).to_be_visible()
    page.get_by_label("Map Item Description").check()
    walk.choose(page.get_by_label("Mapping of Item Description"), "Purpose")
    page.get_by_label("Map Project").check()
    expect(page.get_by_label("Mapping of Project").locator("option:checked")).to_have_text("Project")
    walk.choose(page.get_by_label("Default for Project"), PROJECTS[2])
    walk.forward(page)


def whom_they_are_booked_against(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure contact sync")
    expect(page.locator("#example .drawn li, #example .lines tbody tr").first).to_be_visible(timeout=LONG)  # an own one
    page.get_by_label("Use one contact as the transaction contact").check()
    expect(page.get_by_label("Contact", exact=True)).to_be_visible()
    walk.choose_merchants(page)
    expect(page.get_by_label("Contact", exact=True)).to_be_hidden()
    walk.forward(page)


def what_fees_carry(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure how fees populate your Xero spend money transactions")
    walk.choose(page.get_by_label("Contact"), "PEX")
    page.get_by_label("Map Project").check()
    walk.choose(page.get_by_label("Mapping of Project"), PROJECTS[1])
    walk.forward(page)


def what_rebates_carry(page: Page) -> None:
    expect(walk.heading(page)).to_have_text("Configure how rebates populate your Xero receive money transactions")
    walk.choose(page.get_by_label("Income Account"), "Other Revenue")
    walk.choose(page.get_by_label("Contact"), "PEX")
    page.get_by_role("button", name="SAVE").click()


def review_of(page: Page) -> str:
    """What the review says of all choices."""
    page.goto("/xero/setup/review")
    expect(walk.heading(page)).to_have_text("Review your settings")
    return page.get_by_role("region", name="All choices").inner_text()


# --- the preview ------------------------------------------------------------------------------------------------------


def the_example_follows_the_settings(page: Page) -> None:
    """Beside the setup an own purchase is drawn, as soon as PEX was read; nothing of it is saved by looking."""
    page.goto("/xero/setup/contacts")
    example = page.locator("#example")
    contact = example.locator("dt:has-text('Contact') + dd")
    expect(contact).to_contain_text("created in Xero if it is not there yet")
    page.get_by_label("Use one contact as the transaction contact").check()
    walk.choose(page.get_by_label("Contact", exact=True), "PEX")
    expect(contact).to_have_text("PEX")
    page.get_by_role("button", name="Older").click()
    expect(example).to_contain_text("2 of the last")
    page.get_by_role("button", name="CANCEL").click()
    expect(page.locator(".toast")).to_contain_text("Your settings are as they were.")


def the_preview_is_decided(page: Page) -> None:
    page.locator("#look").click()
    expect(walk.heading(page)).to_contain_text("would be sent to Xero")
    expect(page.get_by_role("heading", name=re.compile("looks booked$"))).to_have_count(1)
    expect(page.locator("#confirm")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Leave .* out")).click()

    drawn = entry_of(page, "84.20").locator(".drawn li")
    expect(drawn).to_have_text(
        [re.compile("Debit.*General Expenses.*Project: Maple Street"), re.compile("Credit.*PEX")]
    )
    assert [sum_of(drawn.nth(side)) for side in (0, 1)] == ["$84.20", "$84.20"]
    expect(entry_of(page, "150.50").locator(".drawn li")).to_have_count(3)
    expect(entry_of(page, "150.50")).to_contain_text("Framing lumber")
    expect(entry_of(page, "500.00").locator(".drawn li")).to_have_text(
        [re.compile("Debit.*PEX Cash Account"), re.compile("Credit.*Business Checking")]
    )
    expect(page.locator("#confirm")).to_have_text("Send these 9 to Xero")
    page.get_by_role("checkbox", name=re.compile("^Send Pilot Hill Fuel")).uncheck()
    expect(page.locator("#confirm")).to_have_text("Send these 8 to Xero")


def entry_of(page: Page, amount: str) -> Locator:
    """The entry of the transaction of this amount, expanded."""
    row = page.locator("#previewed tbody tr").filter(has=page.locator(".trail", has_text=re.compile(rf"\b{amount}$")))
    details = row.locator("details")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    return details


def sum_of(line: Locator) -> str:
    return line.locator(".money").inner_text()


# --- what became of it ------------------------------------------------------------------------------------------------


def last_sync(page: Page) -> Locator:
    return page.locator("#history tbody tr").first


def the_results_are_read(page: Page, acme: Company) -> None:
    ended = last_sync(page)
    expect(ended.locator(".chip")).to_have_text(re.compile("Success|Partial"), timeout=LONG)
    expect(ended).to_contain_text("8 of 8 transactions")
    expect(ended).to_contain_text("2 of 2 lists")
    ended.get_by_role("link").first.click()
    expect(page.locator("#lists")).to_contain_text("2 of 2 lists up to date")
    target = page.locator("#results tbody tr").filter(has_text="$84.20")
    with page.expect_popup() as opened:
        target.get_by_role("link", name=re.compile("Open record")).click()
    record = opened.value
    expect(walk.heading(record)).to_contain_text("Spent 84.20 USD")
    expect(record.get_by_text(PROJECTS[0]).first).to_be_visible()
    expect(record.get_by_role("link", name=re.compile(r"\.pdf$"))).to_be_visible()
    record.close()


def the_books_hold(company: Company, amounts: str, transfers: str) -> None:
    """These records and no others; amounts as they leave the PEX account. The account's balance follows from both."""
    wanted = sorted(map(Decimal, amounts.split()))
    assert sorted(-one.signed_total for one in company.books.live()) == wanted
    assert [one.amount for one in company.books.live_transfers()] == [Decimal(transfers)]
    assert company.books.balance(company.bank) == Decimal(transfers) - sum(wanted)


def the_tags_hold_the_lists(page: Page, acme: Company) -> None:
    page.goto("/xero/tags")
    for name in ("Expense Account", "Project"):
        expect(page.get_by_role("heading", name=f"{name} → PEX tag {name}")).to_be_visible()
    assert {option.name for option in acme.tags["Project"].options} == set(PROJECTS)
    assert "Bank Fees" in {option.name for option in acme.tags["Expense Account"].options}


def what_was_unticked_goes_when_somebody_says_so(page: Page) -> None:
    page.goto("/xero/transactions?q=Pilot")
    unticked = page.locator("#results tbody tr")
    expect(unticked).to_contain_text("Unticked in a preview")
    unticked.get_by_role("button", name=re.compile("^Send.*Pilot Hill Fuel")).click()
    expect(page.locator(".toast")).to_contain_text("It goes with the next sync.")


# --- the session ------------------------------------------------------------------------------------------------------


def the_session_breaks_and_is_put_right(page: Page, acme: Company, gate: Gate) -> None:
    """Somebody takes the app off the organisation in Xero just as a purchase is about to be sent."""
    gate.let(0)
    page.goto("/xero/sync")
    walk.press_sync(page)
    expect(walk.heading(page)).to_have_text("Syncing: 0 of 2 are in Xero", timeout=LONG)
    acme.books.world.disconnect(acme.books)
    gate.open.set()
    expect(last_sync(page).locator(".chip")).to_have_text(re.compile("Failed"), timeout=LONG)
    page.goto("/xero")
    expect(walk.heading(page)).to_have_text("Xero Session Failure")
    expect(page.get_by_text("Settings are kept.")).to_be_visible()
    expect(page.get_by_text("2 purchases ($43.34) are waiting.")).to_be_visible()
    walk.sign_in_again(page)
    expect(walk.heading(page)).to_have_text(re.compile("Sync"))
    expect(page.locator(".toast")).to_contain_text("Signed in again. Sending 2 purchases.")
    expect(last_sync(page).locator(".chip")).to_have_text(re.compile("Success|Partial"), timeout=LONG)
    expect(last_sync(page)).to_contain_text("2 of 2 transactions")


def the_connection_is_ended(page: Page, sandbox: Any) -> None:
    page.goto("/xero/sync")
    page.get_by_role("link", name="DISCONNECT").click()
    expect(walk.heading(page)).to_have_text("Disconnect Xero?")
    stays = page.get_by_role("region", name="What stays")
    for told in ("10 transactions already posted", "Your settings, with all their versions", "nothing is posted twice"):
        expect(stays).to_contain_text(told)
    expect(page.get_by_role("region", name="What goes")).to_contain_text(
        "PEX Sync is taken off Acme Builders LLC there"
    )
    page.get_by_role("button", name="Yes, DISCONNECT").click()
    expect(page.get_by_role("button", name="CONNECT", exact=True)).to_be_visible()
    assert not sandbox.worlds["xero"].connections
