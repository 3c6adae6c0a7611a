"""The whole way of a business: every control of the setup, the preview, a sync, a session that breaks, the end."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from pexsync import clock
from tests.browser import walk
from tests.make import PROJECTS

pytestmark = pytest.mark.browser

LONG = 60_000  # milliseconds a sync may take on a busy machine
DEFAULT = re.compile("^If the expense account tag is missing")


@dataclass
class Company:
    """A business at PEX and its organisation in Xero, neither of which has heard of PEX Sync."""

    pex: Any
    books: Any
    bank: Any  # the account in the books that stands for PEX
    project: Any  # a tracking category in Xero
    tags: dict[str, Any] = field(default_factory=dict)

    def buys(self, amount: str, merchant: str, account: str = "429", project: int | None = None, **facts: Any) -> Any:
        tags = {self.tags["Expense Account"].tag_id: account} if account else {}
        if project is not None:
            tags[self.tags["Project"].tag_id] = self.project.options[project].id
        return self.pex.add_purchase(amount, merchant=merchant, **{"tags": tags, **facts})


def company_of(sandbox: Any, name: str, funding: str, number: int, bank_type: str) -> Company:
    pex = sandbox.worlds["pex"].add_business(name, funding, number)
    pex.add_admin("ann.admin", "Ann", "Admin")
    pex.add_cardholder("Carla", "Cole")
    xero = sandbox.worlds["xero"]
    books = xero.add_organisation(name=f"{name} LLC", short_code=f"!{number}")
    bank = books.add_bank_account("PEX Account", bank_account_type=bank_type)
    books.add_bank_account("Business Checking")
    for code, title in (("404", "Bank Fees"), ("429", "General Expenses"), ("449", "Motor Vehicle Expenses")):
        books.add_account(code, title)
    books.add_account("260", "Other Revenue", "REVENUE")
    books.add_contact("PEX")
    project = books.add_tracking("Project", PROJECTS)
    xero.add_user("Nora Lind", "nora@acme.example", [books])
    accounts = [("429", "General Expenses"), ("449", "Motor Vehicle Expenses")]
    tags = {
        "Expense Account": pex.add_tag("Expense Account", options=accounts),
        "Project": pex.add_tag("Project", options=[(project.options[0].id, PROJECTS[0])]),
        "Purpose": pex.add_tag("Purpose", type="Text"),
    }
    return Company(pex, books, bank, project, tags)


@pytest.fixture
def acme(sandbox, product) -> Company:
    """A prepaid business that spent, paid fees, moved money, earned a rebate; one month of it is booked by hand."""
    found = company_of(sandbox, "Acme Builders", "Prepaid", 4410, "BANK")
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
    found = company_of(sandbox, "Harbor Charge Co", "Credit", 5520, "CREDITCARD")
    found.buys("84.20", "Target #0973226")
    found.pex.add_statement(
        "1000.00",
        due=clock.now() - timedelta(days=3),
        payments=[("PEXTransfer", "900.00"), ("RebateCredit", "12.00")],
    )
    return found


def test_a_prepaid_business_from_the_first_step_to_the_disconnect(page: Page, eyes, product, sandbox, acme, worker):
    walk.sign_in(page)
    walk.install(page)
    walk.connect(page, "Acme Builders LLC")
    the_setup_is_walked(page, eyes)
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

    acme.buys("12.34", "Late Lunch")
    sandbox.worlds["xero"].disconnect(acme.books)
    the_session_breaks_and_is_put_right(page)
    the_books_hold(acme, "5.00 6.00 84.20 150.50 -20.00 9.99 1.00 25.00 -18.42 12.34", transfers="500.00")
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
    expect(page.get_by_label("PEX Card").locator("option").filter(has_text="Business Checking")).to_have_count(1)
    walk.choose(page.get_by_label("PEX Card"), "Business Checking")
    walk.choose(page.get_by_label("PEX Tag", exact=True), "Expense Account")
    walk.forward(page)
