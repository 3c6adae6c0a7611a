"""Everybody can use every page: axe in light and dark, narrow windows, a keyboard and nothing else."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from connectors.records import Kind
from pexsync import clock
from syncjobs import runs
from syncjobs.models import MirrorRead, RunResult, Tally
from tests import make
from tests.browser import walk
from tests.browser.eyes import NARROW, Eyes, look_over, resize

pytestmark = pytest.mark.browser

GLANCE = {
    "balance": "1223.03",
    "card_funds": "12115.61",
    "total_funds": "13338.64",
    "open_cards": 12,
    "spend_today": "-41.94",
}
UNTAGGED = "No Expense Account tag. Tag it in PEX, or set a default in Setup."
FOUND = "429 is archived in Xero. Choose another in Setup."
Look = Callable[..., None]


@pytest.fixture
def look(eyes: Eyes, page: Page) -> Look:
    """Open an address, let somebody do something there, and look the page over."""

    def at(address: str, heading: str = "", act: Callable[[Page], object] | None = None) -> None:
        page.goto(address)
        if act:
            act(page)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        assert look_over(eyes, page) == []

    page.route("**/sync/live", lambda route: route.fulfill(status=204))  # a page stands still while it is looked at
    return at


@pytest.fixture
def full(acme, change, a_run, a_row) -> None:
    """Acme in the middle of its work: rows of every state, syncs of every end."""
    acme.business.glance, acme.business.glance_at = GLANCE, clock.now()
    acme.business.save()
    change(preview_confirmed={"purchase": {}})
    day, at = clock.today(), clock.now()
    MirrorRead.objects.create(business=acme.business, first=day, last=day, began_at=at, ended_at=at)
    for status in ("success", "partial", "failed", "cancelled"):
        a_run(status=status, rows_due=118, rows_posted=116, says="2 need you.", fields_due=2, fields_done=1)
    a_row(merchant="Target #0973226", receipts=2)
    a_row(merchant="A merchant with quite a long name, and a place in Saint-Remy-en-Bouzemont-Saint-Genest-et-Isson")
    a_row(amount=Decimal("-118.35"))
    a_row(state="sent", sent_at=clock.now(), next_look=clock.now())
    a_row(state="due", waiting="approval", says="Waiting for approval in PEX.")
    a_row(state="due", waiting="coding", cause="untagged:account", says=UNTAGGED)
    a_row(state="closed", cause="left_out", says="Left out by Ann.")
    for state, waits in (("due", ""), ("due", "you"), ("due", "later"), ("posted", "")):
        month = clock.today().replace(day=1)
        Tally.objects.create(
            business=acme.business, system="xero", month=month, kind="purchase", state=state, waits=waits, count=3,
            amount=Decimal("292.57"),
        )  # fmt: skip


def test_the_eyes_see(page, eyes):
    page.set_content("<title>x</title><main><input><p style='width: 500px; color: #777; background: #888'>grey</main>")
    seen = " ".join(look_over(eyes, page))
    for fault in (
        "critical label",
        "serious color-contrast",
        "dark, narrow: serious color-contrast",
        "too wide at 390",
    ):
        assert fault in seen


# --- what axe finds, and narrow windows -------------------------------------------------------------------------------


def test_the_way_in(look, eyes, product):
    look("/sign-in", "Sign in with your PEX account.")
    eyes.expected = {400}
    look("/handle-pex-jwt?jwt=old", "Launch PEX Sync again.")
    look("/sign-in/pex/callback?code=a&state=b", "Sign in again.")


def test_asked_whether_to_change_the_business(look, desk, acme, rival, sandbox):
    token = sandbox.worlds["pex"].launch_jwt(rival.admin, "pexsync-demo")
    look(f"/handle-pex-jwt?jwt={token}", "You are working in Acme Builders.")


def test_pages_before_anything_is_installed(look, desk, acme):
    acme.connection.delete()
    look("/", "Overview")
    look("/apps", "Apps")
    look("/apps?tab=installed")
    look("/apps?tab=services")
    look("/apps?q=nothing")
    look("/apps/xero", "PEX Connector for Xero")
    look("/help", "Help")


def test_pages_in_the_middle_of_the_work(look, desk, full):
    look("/", "Overview")
    look("/apps", "Apps")
    look("/apps?tab=available")
    look("/apps/xero")
    look("/xero/sync", "Sync to Xero", act=lambda page: page.get_by_text("Choose kinds and days").click())
    look("/xero/history", "Sync History")
    look("/xero/history?status=paused")
    look("/xero/transactions", "Transactions")
    look("/xero/transactions?q=nobody")
    look("/xero/disconnect", "Disconnect Xero?")
    look("/help", "Help")


@pytest.mark.parametrize(
    ("columns", "heading"),
    [
        ({"state": "installed", "credential": None, "company": "", "settings_version": 0}, "Connect your Xero account"),
        ({"state": "preparing", "company": "", "company_name": "", "settings_version": 0}, "Xero connection"),
        ({"state": "ready"}, "Xero connection"),
        ({"state": "failed", "failure": "Xero ended the sign-in."}, "Xero Session Failure"),
    ],
)
def test_connecting_in_every_state(look, desk, change, columns, heading):
    change(**columns)
    look("/xero/connect", heading, act=lambda page: page.wait_for_load_state("networkidle"))


def test_choosing_the_company(look, desk, acme, eyes):
    look("/xero/company", "Tenant Selection")
    eyes.expected = {422}

    def choose_what_is_gone(page: Page) -> None:
        page.locator("#company option").first.evaluate("option => option.value = 'gone'")
        page.get_by_role("button", name="CONFIRM").click()
        expect(page.locator("#error-summary")).to_be_visible()

    look("/xero/company", "Tenant Selection", act=choose_what_is_gone)


STEPS = ("sync", "options", "accounts", "purchases", "contacts", "fees", "rebates")


def test_the_steps_of_the_setup(look, desk, acme):
    acme.purchase("118.35", merchant="Granite & Gable Lumber #0114")
    acme.sync()
    acme.all_kinds(tracking=["Project"])
    for step in STEPS:
        look(f"/xero/setup/{step}", "Configure")
    look("/xero/setup/review", "Review your settings")


def test_the_steps_of_the_first_setup(look, desk, acme, change):
    change(settings={}, settings_version=0, draft={})
    for step in STEPS[:-2]:
        look(f"/xero/setup/{step}", "Configure")


def test_the_review_of_what_changes(look, desk, acme):
    walk.change_merchant_names(desk)
    look("/xero/setup/review", "Review your settings")
    expect(desk.get_by_role("heading", name="What changes")).to_be_visible()


def test_versions_of_the_settings(look, desk, acme, sandbox):
    make.world(sandbox, "Rival Roofing", 5520, "ann.admin")
    look("/xero/settings", "Versions of the settings")
    for note in ("Names as the network gives them", ""):
        walk.change_merchant_names(desk)
        walk.save(desk, note)
    look("/xero/settings", "Versions of the settings")
    expect(desk.locator(".versions > li")).to_have_count(2)
    for link in ("Compare or restore", "Show all settings"):
        desk.goto("/xero/settings")
        desk.get_by_role("link", name=link).click()
        look(desk.url, "Version")
    look("/xero/settings/copy", "Copy settings from another business")
    expect(desk.get_by_role("button", name="COPY from Rival Roofing")).to_be_visible()


def test_lists_and_the_statement_before_and_after_a_sync(look, desk, acme, change, worker):
    look("/xero/tags", "Tag options from Xero")
    look("/xero/statement", "Statement of your PEX account")
    acme.purchase("84.20", merchant="Target #0973226")
    category, tag = acme.all_kinds(tracking=["Project"]).tracking["Project"]
    acme.set(synced={"account": acme.expense_tag.tag_id, f"tracking:{category.id}": tag.tag_id})
    look("/xero/tags", "Tag options from Xero", act=open_all)
    change(preview_confirmed={kind.value: {} for kind in Kind})
    run = runs.start(acme.connection, acme.user)
    worker.rest()
    look("/xero/tags", "Tag options from Xero", act=open_all)
    look(f"/xero/runs/{run.pk}", "Sync of", act=open_all)
    expect(desk.locator("#lists li")).to_have_count(2)
    look("/xero/statement", "Statement of your PEX account")
    expect(desk.get_by_role("link", name="DOWNLOAD OFX")).to_be_visible()


def open_all(page: Page) -> None:
    for summary in page.locator("main summary").all():
        summary.click()


def test_the_steps_of_the_setup_with_something_to_fix(look, desk, eyes, change):
    change(settings={}, settings_version=0, draft={})
    eyes.expected = {422}

    def press_next(page: Page) -> None:
        page.get_by_role("button", name=re.compile("NEXT|SAVE")).click()
        expect(page.locator("#error-summary")).to_be_focused()

    look("/xero/setup/sync", act=lambda page: (page.get_by_label("Start Date").fill(""), press_next(page)))
    look("/xero/setup/accounts", act=press_next)
    look("/xero/setup/contacts", act=lambda page: (page.get_by_label("Use one contact").check(), press_next(page)))


def test_the_setup_where_the_books_do_not_answer(look, desk, sandbox, change):
    change(settings_problem=FOUND)
    sandbox.faults.add("status", system="xero-api", times=None)
    look("/xero/setup/accounts", "Configure which accounts to use")


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "queued", "phase": "reading", "started_at": None},
        {"status": "running", "rows_read": 240, "rows_judged": 240, "rows_waiting": 122, "rows_due": 118,
         "rows_posted": 37, "rows_failed": 2, "receipts_due": 96, "receipts_done": 20},
        {"status": "paused", "rows_due": 118, "says": "Xero allows 5,000 calls a day. Continues 09:14, 81 to go."},
    ],
    ids=["queued", "running", "limited"],
)  # fmt: skip
def test_a_sync_while_it_lives(look, desk, a_run, columns):
    run = a_run(**columns)
    look("/xero/sync")
    look(f"/xero/runs/{run.pk}", "Sync of")


def test_a_first_sync_that_waits_for_a_yes(look, desk, acme, worker):
    acme.purchase("84.20", merchant="Target #0973226")
    acme.purchase("118.35", merchant="Granite & Gable Lumber #0114", settled=clock.now() - timedelta(days=40))
    acme.purchase("9.99", merchant="Corner Cup", account=None)
    runs.start(acme.connection, acme.user)
    worker.rest()
    look("/xero/sync", "ready to send")


def test_a_sync_that_cannot_start(look, desk, change):
    change(state="failed", failure="Xero ended the sign-in.", settings_problem=FOUND)
    look("/xero/sync", "Sync to Xero")


def test_pages_of_a_connection_without_any_sync(look, desk, acme):
    look("/xero/sync", "Sync to Xero")
    look("/xero/history", "Sync History")
    look("/xero/transactions", "Transactions")
    look("/xero/transactions?view=needs_you")


def test_what_became_of_each_transaction(look, desk, acme, a_run, a_row):
    run = a_run(status="partial", rows_due=3, rows_posted=2, rows_failed=1, receipts_due=2, receipts_done=1)
    a_row(merchant="Target #0973226", run=run, receipts=2)
    failed = a_row(merchant="Corner Cup", state="due", waiting="coding", cause="untagged:account", says=UNTAGGED)
    RunResult.objects.create(business=acme.business, run=run, export=failed, cause="untagged:account", says=UNTAGGED)
    look(f"/xero/runs/{run.pk}", "Sync of")
    look(f"/xero/runs/{run.pk}?view=failed")
    look(f"/xero/runs/{a_run().pk}")


def test_pages_that_say_no(look, desk, eyes, acme):
    eyes.expected = {403, 404}
    look("/nowhere", "There is nothing at this address.")
    membership = acme.user.memberships.get()
    membership.permissions = []
    membership.save()
    look("/xero/sync", "Your PEX permissions do not cover this yet.")
    look("/apps?tab=available", "Apps")


def test_every_part_in_every_state(look, desk):
    look("/parts", "Parts")


# --- a keyboard and nothing else --------------------------------------------------------------------------------------

HAS_RING = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""
WHERE = "() => (document.activeElement.innerText || document.activeElement.id || '').trim()"


def test_the_skip_link_leads_to_the_page_and_sync_comes_first(desk, full):
    desk.goto("/xero/sync")
    desk.keyboard.press("Tab")
    skip = desk.get_by_role("link", name="Skip to the page")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    desk.keyboard.press("Enter")
    expect(desk.locator("#main")).to_be_focused()
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("button", name="SYNC", exact=True)).to_be_focused()


@pytest.mark.parametrize("address", ["/", "/apps", "/xero/sync", "/xero/setup/accounts", "/xero/transactions"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whoever_walks_by_tab_sees_where_they_are(desk, full, address, scheme):
    desk.emulate_media(color_scheme=scheme)
    desk.goto(address)
    walked = 0
    while True:
        desk.keyboard.press("Tab")
        if desk.evaluate("document.activeElement === document.body"):
            break
        walked += 1
        assert desk.evaluate(HAS_RING), f"no ring around {desk.evaluate(WHERE)!r}"
    assert walked == desk.evaluate(STOPS)


STOPS = """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")].filter(
  (one) => one.checkVisibility({visibilityProperty: true}) && !one.disabled && one.tabIndex >= 0
    && !(one.type === "radio" && !one.checked)).length"""


def test_after_an_error_its_summary_has_the_focus_and_leads_to_the_field(desk, eyes, acme):
    eyes.expected = {422}
    desk.goto("/xero/setup/sync")
    start = desk.get_by_label("Start Date")
    start.fill("")
    start.press("Enter")
    summary = desk.locator("#error-summary")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("heading")).to_have_text("1 thing to fix. Nothing you typed is lost.")
    desk.keyboard.press("Tab")
    desk.keyboard.press("Enter")
    expect(start).to_be_focused()
    expect(start).to_have_accessible_description(re.compile("^Enter the Start Date"))


def test_a_whole_sync_without_a_mouse(desk, acme, worker):
    acme.purchase("12.50")
    desk.goto("/xero/sync")
    press_by_tab(desk, "SYNC")
    expect(desk.locator("#confirm")).to_be_visible(timeout=30_000)
    press_by_tab(desk, "Send these 1")
    expect(desk.locator("#history tbody tr").first).to_contain_text("Success", timeout=30_000)
    assert len(acme.books.live()) == 1


def press_by_tab(page: Page, word: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(WHERE) == word:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab never came to {word!r}")


def test_the_menu_of_a_narrow_window_opens_by_keyboard(desk, full):
    resize(desk, NARROW)
    desk.goto("/")
    menu = desk.locator(".bar > summary")
    menu.focus()
    menu.press("Enter")
    desk.locator(".bar").get_by_role("link", name="Apps").press("Enter")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Apps")


def test_slash_goes_to_the_search(desk, full):
    desk.goto("/xero/transactions")
    desk.keyboard.press("/")
    expect(desk.get_by_label("Merchant, cardholder or number")).to_be_focused()
    desk.keyboard.type("target")
    desk.keyboard.press("Enter")
    expect(desk.locator("#results tbody tr")).to_have_count(1)


def test_a_dark_screen_gets_a_dark_page(desk, full):
    brightness = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    for scheme, dark in (("light", False), ("dark", True)):
        desk.emulate_media(color_scheme=scheme)
        desk.goto("/xero/sync")
        assert (max(desk.evaluate(brightness)) < 128) is dark
