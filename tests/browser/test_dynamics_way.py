"""The whole way to a journal of Business Central: connecting, one page of cards, EXECUTE, posting, a late purchase."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from pexsync import clock
from syncjobs import tasks
from tests import make
from tests.browser import walk
from tests.browser.companies import DEPARTMENTS, Builders, builders_of
from tests.browser.conftest import Worker, let_in
from tests.browser.eyes import look_over
from tests.browser.test_without_script import refresh

pytestmark = pytest.mark.browser

LONG = 60_000  # milliseconds a sync, or a wait of our own, may take on a busy machine
NOT_POSTED, POSTED = "In the PEX Card journal, not posted", "Posted in Dynamics 365"


@pytest.fixture
def builders(sandbox, product) -> Builders:
    """A prepaid business that spent, paid a fee, moved money and earned a rebate; its books know nobody yet."""
    found = builders_of(sandbox, "Acme Builders", 4410)
    found.person.known = False
    day = clock.now() - timedelta(days=3)
    found.buys("84.20", "Target #0973226", department="ADM", receipts=["pdf", "png"], settled=day)
    found.buys("31.00", "Pilot Hill Fuel", account="449", settled=day)
    found.buys("9.99", "Corner Cup", account="", settled=day)
    found.buys("7.00", "Old Shop", settled=clock.now() - timedelta(days=20))
    found.pex.add_card_fee("1.00", settled=day)
    found.pex.add_business_row("BusinessFunding", "500.00", "ACH credit", settled=day)
    found.pex.add_business_row("BusinessRebate", "18.42", "Rebate Credit", settled=day)
    return found


def test_from_the_sign_in_at_microsoft_to_what_goes_by_itself(page: Page, product, eyes, builders, worker):
    walk.sign_in(page)
    walk.install(page, "Dynamics 365")
    assert look_over(eyes, page) == []
    walk.consent_at_microsoft(page)
    it_becomes_ready_by_itself(page, builders)
    the_journal_is_created(page)
    assert look_over(eyes, page) == []

    page.get_by_role("link", name="NEXT", exact=True).click()
    the_cards_are_filled_in(page)
    page.get_by_role("button", name="SAVE").click()
    expect(walk.heading(page)).to_have_text("Sync to Dynamics 365")
    assert look_over(eyes, page) == []

    purchases_of_some_days(page, first=10, last=1)
    the_preview_is_read(page, builders)
    page.locator("#confirm").click()
    expect(last_sync(page).locator(".chip")).to_have_text(re.compile("Success"), timeout=LONG)
    expect(last_sync(page)).to_contain_text("3 of 3 transactions")
    assert builders.amounts() == ["9.99", "31.00", "84.20"]
    assert {option.name for option in builders.tags["Department"].options} == set(DEPARTMENTS.values())
    assert look_over(eyes, page) == []

    the_rows_say(page, NOT_POSTED, 3)
    the_journal_is_posted(page)
    worker.rest()
    purchases_of_some_days(page, first=10, last=0)
    expect(last_sync(page).locator(".chip")).to_have_text(re.compile("Success"), timeout=LONG)
    the_rows_say(page, POSTED, 3)
    assert builders.amounts() == ["9.99", "31.00", "84.20"]

    the_other_kinds_are_shown_first(page)
    assert builders.amounts() == ["-500.00", "-18.42", "1.00", "7.00", "9.99", "31.00", "84.20"]
    a_late_purchase_goes_by_itself(page, builders, worker)
    assert builders.amounts() == ["-500.00", "-18.42", "1.00", "7.00", "9.99", "12.34", "31.00", "84.20"]


def test_a_second_business_of_the_same_person_uses_the_sign_in_too(page: Page, product, eyes, sandbox):
    acme = make.dynamics(sandbox)
    second, _ = make.member("Second Street", 6600, acme.user.username)
    central = sandbox.worlds["dynamics365"]
    central.add_company(next(iter(central.tenants.values())).environments[0], "Second Street")
    let_in(page.context, product, acme.user, second)
    page.goto("/")
    walk.install(page, "Dynamics 365")
    expect(page.get_by_role("region", name="Or link an existing connection")).to_contain_text("Acme Builders LLC")
    assert look_over(eyes, page) == []
    page.get_by_role("button", name="USE IT from Acme Builders").click()
    expect(page.locator(".page-head .chip")).to_contain_text("Connected: Ready", timeout=LONG)
    expect(page.get_by_role("region", name="Company", exact=True)).to_contain_text("Not chosen yet")
    page.get_by_role("link", name="NEXT", exact=True).click()
    page.get_by_label(re.compile("^Company")).select_option(label="Second Street")
    page.get_by_role("button", name="USE THIS COMPANY").click()
    expect(page.get_by_label("PEX Account")).to_be_visible()
    assert not [call for call in sandbox.calls.matching("entra") if call.path.endswith("/authorize")]


def test_without_a_script(new_eyes, builders, worker):
    """Every step of the way is a link or a button."""
    builders.person.known = True
    builders.books.add_journal()
    plain: Page = new_eyes(java_script_enabled=False).context.new_page()
    walk.sign_in(plain)
    walk.install(plain, "Dynamics 365")
    walk.consent_at_microsoft(plain)
    plain.get_by_role("link", name="Show the checks").click()
    expect(plain.locator(".page-head .chip")).to_contain_text("Connected: Ready")
    plain.get_by_role("link", name="NEXT", exact=True).click()
    the_cards_are_filled_in(plain)
    plain.get_by_role("button", name="SAVE").click()
    purchases_of_some_days(plain, first=10, last=1)
    refresh(plain, until="#look")
    plain.locator("#look").click()
    expect(plain.locator("#previewed tbody tr")).to_have_count(3)
    plain.locator("#confirm").click()
    refresh(plain, until="#history .chip.ok")
    assert builders.amounts() == ["9.99", "31.00", "84.20"]
    the_rows_say(plain, NOT_POSTED, 3)


# --- connecting -------------------------------------------------------------------------------------------------------


def it_becomes_ready_by_itself(page: Page, builders: Builders) -> None:
    """Business Central gets to know the person while the page waits."""
    state = page.locator(".page-head .chip")
    expect(state).to_contain_text("Connected: Not Ready")
    expect(page.locator("#checks")).to_contain_text("We look again by ourselves", timeout=LONG)
    builders.person.known = True
    expect(state).to_contain_text("Connected: Ready", timeout=LONG)
    expect(page.get_by_role("region", name="Company", exact=True)).to_contain_text("Acme Builders LLC")


def the_journal_is_created(page: Page) -> None:
    journal = check(page, "PEX Card journal")
    expect(journal).to_contain_text("Missing")
    page.get_by_role("button", name="CREATE THE JOURNAL FOR ME").click()
    expect(page.locator(".toast")).to_contain_text("The journal PEX CARD was created in Business Central.")
    expect(journal).to_contain_text("The journal PEX CARD is there.")
    expect(journal.locator(".chip")).to_have_text(re.compile("OK"))


def check(page: Page, name: str) -> Locator:
    """One line of the preflight."""
    return page.locator("#checks li").filter(has=page.get_by_role("heading", name=name, exact=True))


# --- the cards --------------------------------------------------------------------------------------------------------


def the_cards_are_filled_in(page: Page) -> None:
    page.get_by_label("Start Date").fill((clock.today() - timedelta(days=60)).isoformat())
    expect(page.get_by_label(re.compile("^Company")).locator("option:checked")).to_contain_text("Acme Builders LLC")
    walk.choose(page.get_by_label("PEX Account"), "PEX Card Prepaid")
    for field in ("Expense Account", "Department"):
        page.get_by_label(f"Type of {field}").select_option(label="Tag")
        walk.choose(page.get_by_label(f"PEX tag of {field}"), field)
    walk.choose(page.get_by_label("Default of Expense Account"), "General Expenses")
    page.get_by_label("Sync the values of Department to its tag").check()
    for kind, field, value in (
        ("business & cardholder fees", "of fees", "Bank Fees"),
        ("business transfers", "of transfers", "Business Checking"),
        ("business rebates", "of rebates", "Rebates"),
    ):
        page.get_by_label(f"Create journal entries in Dynamics for {kind}").check()
        walk.choose(page.get_by_label(re.compile(f"Account {field}$")), value)


# --- EXECUTE ----------------------------------------------------------------------------------------------------------


def purchases_of_some_days(page: Page, first: int, last: int) -> None:
    """`first` and `last` are counted in days before today."""
    page.goto("/dynamics365/sync")
    page.get_by_text("Choose kinds and days").click()
    for kind in ("Fees", "Transfers", "Rebates"):
        page.get_by_label(kind, exact=True).uncheck()
    page.get_by_label("First day").fill((clock.today() - timedelta(days=first)).isoformat())
    page.get_by_label("Last day").fill((clock.today() - timedelta(days=last)).isoformat())
    page.get_by_role("button", name="EXECUTE THESE").click()


def the_preview_is_read(page: Page, builders: Builders) -> None:
    expect(walk.heading(page)).to_contain_text("3 transactions are ready to send", timeout=LONG)
    page.locator("#look").click()
    expect(page.locator("#previewed tbody tr")).to_have_count(3)
    row = page.locator("#previewed tbody tr").filter(has_text="$84.20")
    row.locator("summary").click()
    expect(row.locator(".drawn li")).to_have_text(
        [re.compile("Debit.*General Expenses.*Department: ADM Administration"), re.compile("Credit.*PEX Card Prepaid")]
    )
    expect(page.locator("#previewed tbody tr").filter(has_text="$9.99")).to_contain_text("Corner Cup")
    assert builders.amounts() == []


def the_other_kinds_are_shown_first(page: Page) -> None:
    """EXECUTE takes everything; what was never confirmed is shown before it goes."""
    page.goto("/dynamics365/sync")
    page.get_by_role("button", name="EXECUTE", exact=True).click()
    page.locator("#look").click(timeout=LONG)
    expect(page.locator("#previewed tbody tr")).to_have_count(4)
    page.locator("#confirm").click()
    expect(last_sync(page)).to_contain_text("4 of 4 transactions", timeout=LONG)
    expect(last_sync(page).locator(".chip")).to_have_text(re.compile("Success"))


def a_late_purchase_goes_by_itself(page: Page, builders: Builders, worker: Worker) -> None:
    """With auto-sync on, what settles meanwhile goes in the next night."""
    page.get_by_role("button", name="SWITCH AUTO-SYNC ON").click()
    expect(page.get_by_role("region", name="Auto-sync")).to_contain_text("Next sync")
    builders.buys("12.34", "Late Lunch")
    builders.pex.world.clock.advance(timedelta(hours=30))
    tasks.begin_nights.delay()
    worker.rest()
    page.goto("/dynamics365/transactions?q=Late")
    expect(page.locator("#results .state")).to_have_text(re.compile(NOT_POSTED))


def last_sync(page: Page) -> Locator:
    return page.locator("#history tbody tr").first


def the_rows_say(page: Page, says: str, count: int) -> None:
    page.goto("/dynamics365/transactions?view=posted")
    expect(page.locator("#results tbody tr")).to_have_count(count)
    expect(page.locator("#results .state").filter(has_text=says)).to_have_count(count)


# --- in Business Central ----------------------------------------------------------------------------------------------


def the_journal_is_posted(page: Page) -> None:
    """The link of a row opens its entry; its receipts hang on the credit line."""
    row = page.locator("#results tbody tr").filter(has_text="$84.20")
    with page.expect_popup() as opened:
        row.get_by_role("link", name=re.compile("^Open record")).click()
    journal = opened.value
    expect(walk.heading(journal)).to_contain_text("General Journal: PEX CARD")
    filed = journal.get_by_role("row").filter(has_text="2 files")
    expect(filed.locator("[data-label=Credit]")).to_have_text("84.20")
    filed.get_by_role("link").click()
    expect(journal.locator("#line").get_by_role("link", name=re.compile(r"\.(pdf|png)$"))).to_have_count(2)
    journal.get_by_role("button", name="Post", exact=True).click()
    expect(journal.locator("[data-label=Credit]")).to_have_count(0)  # one blank line stays, as it does there
    journal.close()
