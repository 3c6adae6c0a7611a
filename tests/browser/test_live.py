"""A sync goes on while people come, go, look from two places, change their mind or leave for good."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from syncjobs.models import SyncRun
from tests import make

pytestmark = pytest.mark.browser

LONG = 30_000  # milliseconds a sync may take on a busy machine


@pytest.fixture
def busy(acme, change) -> None:
    """Three purchases to send; what the first sync asks was confirmed before."""
    change(preview_confirmed={"purchase": {}})
    for amount in ("12.50", "7.25", "99.00"):
        acme.purchase(amount)


def heading(page: Page):
    return expect(page.get_by_role("heading", level=1))


def last_sync(page: Page):
    return expect(page.locator("#history tbody tr").first)


def start(page: Page) -> None:
    page.goto("/xero/sync")
    page.get_by_role("button", name="SYNC", exact=True).click()


def test_leaving_and_coming_back_shows_the_same_run(desk, acme, busy, gate):
    gate.let(1)
    start(desk)
    heading(desk).to_have_text("Syncing: 1 of 3 are in Xero", timeout=LONG)
    desk.get_by_role("navigation", name="Pages").get_by_role("link", name="Help").click()
    heading(desk).to_have_text("Help")
    desk.goto("/xero/sync")
    heading(desk).to_have_text("Syncing: 1 of 3 are in Xero")
    expect(desk.get_by_role("progressbar", name="Sending")).to_have_attribute("value", "1")
    expect(desk.locator("#live-words")).to_have_attribute("role", "status")

    gate.open.set()
    last_sync(desk).to_contain_text("Success", timeout=LONG)
    last_sync(desk).to_contain_text("3 of 3")
    assert SyncRun.objects.count() == 1
    assert len(acme.books.live()) == 3


def test_two_tabs_show_one_sync_and_a_second_press_starts_none(desk, acme, busy, gate):
    other = desk.context.new_page()
    other.goto("/xero/sync")
    gate.let(2)
    start(desk)
    heading(desk).to_have_text("Syncing: 2 of 3 are in Xero", timeout=LONG)

    other.get_by_role("button", name="SYNC", exact=True).click()
    expect(other.locator(".toast")).to_contain_text("A sync is already running.")
    heading(other).to_have_text("Syncing: 2 of 3 are in Xero")
    gate.open.set()
    for tab in (desk, other):
        last_sync(tab).to_contain_text("Success", timeout=LONG)
    assert SyncRun.objects.count() == 1


def test_cancel_finishes_what_is_sent_and_keeps_the_rest_for_later(desk, acme, busy, gate):
    gate.let(1)
    start(desk)
    heading(desk).to_have_text("Syncing: 1 of 3 are in Xero", timeout=LONG)
    desk.get_by_role("button", name="CANCEL").click()
    heading(desk).to_have_text("Cancelling the sync")
    expect(desk.get_by_role("button", name="CANCEL")).to_have_count(0)

    gate.open.set()
    last_sync(desk).to_contain_text("Cancelled", timeout=LONG)
    last_sync(desk).to_contain_text("2 of 3")
    assert len(acme.books.live()) == 2

    start(desk)
    last_sync(desk).to_contain_text("Success", timeout=LONG)
    assert len(acme.books.live()) == 3


def test_a_limit_of_xero_pauses_the_sync_and_it_goes_on_by_itself(desk, acme, busy, worker, sandbox, sweep):
    limited = {"Retry-After": "40", "X-Rate-Limit-Problem": "minute"}
    sandbox.faults.add("status", system="xero-api", path="BankTransactions", status=429, headers=limited, times=None)
    start(desk)
    expect(desk.locator("#history")).to_contain_text("Paused", timeout=LONG)
    expect(desk.locator("main .lead").first).to_contain_text("Xero")
    assert not acme.books.live()

    sandbox.faults.clear()
    sandbox.clock.advance(timedelta(minutes=2))
    sweep()
    last_sync(desk).to_contain_text("Success", timeout=LONG)
    assert len(acme.books.live()) == 3


def test_updates_that_do_not_arrive_are_said(desk, eyes, a_run):
    a_run(status="running", rows_due=3)
    with eyes.shut():
        desk.route("**/sync/live", lambda route: route.abort())
        desk.goto("/xero/sync")
        expect(desk.get_by_text("Updates are paused.")).to_be_visible(timeout=LONG)
        desk.unroute("**/sync/live")
        expect(desk.get_by_text("Updates are paused.")).to_be_hidden(timeout=LONG)


def test_after_a_session_failure_one_consent_puts_it_right(desk, acme, busy, change, worker):
    change(state="failed", failure="Xero ended the sign-in.")
    desk.goto("/xero")
    heading(desk).to_have_text("Xero Session Failure")
    desk.get_by_role("button", name="RE-CONNECT").click()
    desk.get_by_role("button", name="Sign in").click()
    desk.get_by_role("button", name="Allow access").click()
    heading(desk).to_have_text("Sync to Xero")
    expect(desk.locator(".toast")).to_contain_text("Signed in again.")
    start(desk)
    last_sync(desk).to_contain_text("Success", timeout=LONG)


def test_switching_the_business_shows_nothing_of_the_first(desk, acme, a_run, a_row, sandbox):
    a_run(rows_due=1)
    a_row(merchant="Acme's Own Supplier")
    make.world(sandbox, "Rival Roofing", 5520, "ann.admin")
    desk.goto("/xero/transactions")
    expect(desk.get_by_text("Acme's Own Supplier").first).to_be_visible()

    desk.locator(".rail summary").click()
    desk.get_by_role("button", name="Switch to Rival Roofing").click()
    heading(desk).to_have_text("Overview")
    expect(desk.locator(".rail")).to_contain_text("Rival Roofing")
    desk.goto("/xero/transactions")
    expect(desk.get_by_text("No transaction has come in yet.")).to_be_visible()


def test_signing_out_ends_it_even_for_the_back_button(desk, product):
    desk.goto("/xero/sync")
    desk.locator(".rail").get_by_role("button", name="Sign out").click()
    heading(desk).to_have_text("Sign in with your PEX account.")
    desk.go_back()
    heading(desk).to_have_text("Sign in with your PEX account.")
    desk.goto("/xero/history")
    expect(desk).to_have_url(f"{product}/sign-in?next=%2Fxero%2Fhistory")


def test_a_live_page_of_somebody_signed_out_goes_to_the_sign_in(desk, a_run):
    a_run(status="running", rows_due=3)
    desk.goto("/xero/sync")
    other = desk.context.new_page()
    other.goto("/")
    other.locator(".rail").get_by_role("button", name="Sign out").click()
    heading(other).to_have_text("Sign in with your PEX account.")
    heading(desk).to_have_text("Sign in with your PEX account.", timeout=LONG)
