"""The page of cards in a browser: what is off rests and is not lost, the example follows, no script is needed."""

import re

import pytest
from playwright.sync_api import Page, expect

from connectors.models import Connection
from connectors.settings import Settings
from syncjobs import runs
from tests import make
from tests.browser.conftest import let_in
from tests.browser.eyes import (
    AXE,
    EVERY_RULE,
    NARROW,
    NARROWEST,
    OF_LOOKS,
    WIDE,
    Eyes,
    grave_faults,
    resize,
    too_wide,
)

pytestmark = pytest.mark.browser

CARDS = "/dynamics365/setup/cards"
FEES = "Create journal entries in Dynamics for business & cardholder fees"
PURCHASES = "Create journal entries in Dynamics for cardholder purchases"
EACH_MERCHANT = "Create a Dynamics vendor for each unique merchant"


@pytest.fixture
def builders(product, sandbox, worker) -> make.World:
    """Acme with its books in Business Central, every kind switched on, and one purchase and one fee already synced."""
    world = make.dynamics(sandbox)
    world.all_kinds()
    world.purchase("108.00", merchant="Target #0973226")
    world.pex.add_card_fee("4.00")
    run = runs.start(world.connection, world.user)
    worker.rest()
    run.refresh_from_db()
    runs.confirm(run, world.user)
    worker.rest()
    return world


@pytest.fixture
def desk(page, builders, product) -> Page:
    let_in(page.context, product, builders.user, builders.business)
    return page


def saved(world: make.World) -> Settings:
    world.connection.refresh_from_db()
    return Settings.parse(world.connection.settings)


def test_a_card_that_is_off_rests_and_keeps_what_it_holds(desk, builders):
    desk.goto(CARDS)
    account = desk.get_by_label("Fee Account of fees")
    account.select_option(label="449 Motor Vehicle Expenses")
    desk.get_by_label(FEES).uncheck()
    expect(account).to_be_hidden()
    desk.get_by_label(FEES).check()
    expect(account).to_have_value(builders.books.account("449").id)
    desk.get_by_label(FEES).uncheck()
    desk.get_by_role("button", name="SAVE").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Sync to Dynamics 365")
    assert "fee" not in saved(builders).kinds
    desk.goto(CARDS)
    expect(account).to_be_hidden()
    desk.get_by_label(FEES).check()
    expect(account).to_have_value(builders.books.account("449").id)


def test_the_row_of_a_field_follows_its_type(desk, builders):
    desk.goto(CARDS)
    row = desk.get_by_role("row", name=re.compile("^Tax"))
    sync = desk.get_by_label("Sync the values of Tax to its tag")
    expect(row.get_by_label("Value of Tax")).to_be_visible()
    expect(row.get_by_label("PEX tag of Tax")).to_be_hidden()
    expect(sync).to_be_hidden()
    row.get_by_label("Type of Tax").select_option(label="Tag")
    expect(row.get_by_label("Value of Tax")).to_be_hidden()
    expect(sync).to_be_disabled()
    row.get_by_label("PEX tag of Tax").select_option(label="Expense Account")
    expect(sync).to_be_enabled()


def test_the_vendor_is_mapped_only_where_no_merchant_has_one_of_its_own(desk, builders):
    desk.goto(CARDS)
    vendor = desk.get_by_role("row", name=re.compile("^Vendor"))
    update = desk.get_by_label("Update vendors with the chosen company if needed")
    expect(vendor).to_be_hidden()
    expect(update).to_be_visible()
    desk.get_by_label(EACH_MERCHANT).uncheck()
    expect(vendor).to_be_visible()
    expect(update).to_be_hidden()


def test_the_example_is_of_the_kind_touched_last(desk, builders):
    desk.goto(CARDS)
    lines = desk.locator("#example .lines")
    expect(lines).to_contain_text("$108.00")
    desk.get_by_label("Fee Account of fees").select_option(label="449 Motor Vehicle Expenses")
    expect(lines).to_contain_text("449 Motor Vehicle Expenses")
    expect(lines).to_contain_text("$4.00")
    desk.locator("#example").get_by_role("button", name="Purchase").click()
    expect(lines).to_contain_text("$108.00")


@pytest.mark.parametrize(
    ("field", "label"),
    [("pex_account", "PEX Account"), ("fee:account", "Fee Account of fees"), ("account", "PEX tag of Expense Account")],
)
def test_a_cause_leads_to_its_control(desk, builders, field, label):
    desk.goto(f"/dynamics365/setup?field={field}")
    expect(desk.get_by_label(label)).to_be_focused()
    expect(desk.get_by_label(label)).to_be_in_viewport()


def test_another_company_is_offered_its_button_once_it_is_chosen(desk, builders):
    entra = builders.sandbox.worlds["dynamics365"]
    entra.add_company(next(iter(entra.tenants.values())).environments[0], "Beta Builders")
    desk.goto(CARDS)
    button = desk.get_by_role("button", name="USE THIS COMPANY")
    expect(button).to_be_hidden()
    desk.get_by_label(re.compile("^Company")).select_option(label="Beta Builders")
    button.click()
    expect(desk.get_by_role("heading", name="You chose Beta Builders.")).to_be_visible()


def test_nobody_is_kept_out_of_the_cards(desk, builders, eyes):
    eyes.expected = {422}
    desk.goto(CARDS)
    desk.get_by_label(EACH_MERCHANT).uncheck()
    judged(desk, eyes)
    desk.get_by_label("PEX Account").select_option(value="")
    desk.get_by_label("Type of Expense Account").select_option(label="Static")
    desk.get_by_role("button", name="SAVE").click()
    expect(desk.locator("#error-summary")).to_be_focused()
    judged(desk, eyes)
    desk.get_by_role("link", name="Choose the Expense Account of all purchases").click()
    expect(desk.get_by_label("Value of Expense Account")).to_be_focused()


def judged(page: Page, eyes: Eyes) -> None:
    for size in (NARROWEST, NARROW, WIDE):
        resize(page, size)
        assert too_wide(page) == []
        with eyes.shut():
            page.evaluate(AXE)
            assert grave_faults(page, EVERY_RULE if size is WIDE else OF_LOOKS) == []


def test_without_a_script_everything_stands_there_and_is_saved(new_eyes, builders, product):
    context = new_eyes(java_script_enabled=False).context
    let_in(context, product, builders.user, builders.business)
    plain = context.new_page()
    plain.goto(CARDS)
    assert plain.locator("main [hidden]").count() == 0
    expect(plain.get_by_role("row", name=re.compile("^Vendor"))).to_be_visible()
    plain.get_by_label(FEES).uncheck()
    plain.get_by_label("Use purchase dates").check()
    plain.get_by_label("Use purchase dates").press("Enter")
    expect(plain.get_by_role("heading", level=1)).to_have_text("Sync to Dynamics 365")
    assert "fee" not in saved(builders).kinds
    assert saved(builders).posting_date == "purchase"
    assert saved(builders).by_kind["fee"]["account"] == builders.books.account("404").id


def test_names_without_a_space_do_not_widen_a_page(desk, builders, worker):
    builders.purchase("8.00", merchant="Bauunternehmung" * 9)
    Connection.objects.filter(pk=builders.connection.pk).update(company_name="Acme" * 25)
    run = runs.start(builders.connection, builders.user)
    worker.rest()
    run.refresh_from_db()
    assert run.rows_posted == 1
    resize(desk, NARROW)
    for address in (CARDS, "/dynamics365/connect", "/dynamics365/sync", "/dynamics365/transactions"):
        desk.goto(address)
        assert too_wide(desk) == [], address
    desk.goto("/dynamics365/callback?admin_consent=True&error=access_denied")
    expect(desk.locator(".toast")).to_contain_text("was not allowed for the whole organization")
    desk.locator(".toast span").last.evaluate("(one) => { one.textContent = 'https://' + 'adminconsent'.repeat(30) }")
    assert too_wide(desk) == []
