"""A person decides about transactions: one that waits for them, many at once, without script, in every width."""

import re

import pytest
from playwright.sync_api import Page, expect

from syncjobs.models import Export
from syncjobs.transitions import Cause, Closed, State
from tests.browser.conftest import let_in
from tests.browser.eyes import look_over

pytestmark = pytest.mark.browser

LONG = 30_000  # milliseconds a sync may take on a busy machine
SAYS = "Somebody typed “Synced with Xero” as a note in PEX."
NEEDS_YOU = "/xero/transactions?view=needs_you"


@pytest.fixture
def held(a_row) -> list[Export]:
    """Rows that wait for a person, of two causes, and one of them has a record."""
    rows = [a_row(f"Granite & Gable Lumber {n}", state="held", cause=Cause.NOTE_BY_HAND, says=SAYS) for n in (1, 2)]
    twice = {"state": "held", "cause": Cause.DOUBLED, "record_id": "r", "target": "xero:t", "link": "https://x.example"}
    return [*rows, a_row("Corner Cup", says="Xero holds it 2 times.", **twice)]


def decide(page: Page, word: str) -> None:
    """Press a button about the ticked ones."""
    page.get_by_role("group", name="Decide about several").get_by_role("button", name=word).click()


def test_a_held_purchase_is_sent_anyway_and_the_page_tells_its_story(desk, acme, change, worker):
    change(preview_confirmed={"purchase": {}})
    acme.purchase("12.50", merchant="Home Depot", notes=["Synced with Xero"])
    desk.goto("/xero/sync")
    desk.get_by_role("button", name="SYNC", exact=True).click()
    expect(desk.locator("#history tbody tr").first.locator(".chip.bad")).to_be_visible(timeout=LONG)

    desk.get_by_role("link", name=re.compile("^DECIDE")).click()
    desk.get_by_role("button", name=re.compile("^Send anyway.*Home Depot")).click()
    toast = desk.locator(".toast")
    expect(toast).to_contain_text("It goes with the next sync.")
    toast.get_by_role("button", name="SYNC").click()
    expect(desk.locator("#history tbody tr").first).to_contain_text("Success", timeout=LONG)
    assert len(acme.books.live()) == 1

    desk.goto("/xero/transactions")
    desk.locator("summary", has_text="More").last.click()
    desk.get_by_role("link", name=re.compile("^History of Home Depot")).click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Home Depot $12.50")
    expect(desk.locator("main h3")).to_have_text(
        ["Booked in Xero", "On its way to Xero", "Checked", "Released to be sent", "Held", "Came in from PEX"]
    )
    expect(desk.locator("li", has_text="Released to be sent")).to_contain_text("Ann")


def test_many_are_ticked_asked_about_and_left_out(desk, held):
    desk.goto(NEEDS_YOU)
    for box in desk.get_by_role("checkbox", name=re.compile("^Choose Granite")).all():
        box.check()
    decide(desk, "Leave out")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Leave out 2 transactions?")
    desk.get_by_label("Why").fill("Paid back in cash.")
    desk.get_by_role("button", name="Yes, leave out 2 transactions").click()
    expect(desk.locator(".toast")).to_contain_text("They are left out.")
    expect(desk.locator("#results tbody tr")).to_have_count(1)
    assert {row.says for row in Export.objects.filter(cause=Closed.LEFT_OUT)} == {"Left out by Ann: Paid back in cash."}


def test_a_no_changes_nothing_and_leads_back(desk, held):
    desk.goto(NEEDS_YOU)
    desk.get_by_role("checkbox").first.check()
    desk.get_by_role("checkbox").nth(1).check()
    decide(desk, "Entered by hand")
    desk.get_by_role("link", name="No, change nothing").click()
    expect(desk).to_have_url(re.compile(re.escape(NEEDS_YOU)))
    assert Export.objects.filter(state=State.HELD).count() == 3


def test_enter_in_a_tick_box_decides_nothing(desk, held):
    desk.goto(NEEDS_YOU)
    desk.get_by_role("checkbox").first.press("Enter")
    expect(desk.locator(".toast")).to_contain_text("Nothing was changed.")
    assert Export.objects.filter(state=State.HELD).count() == 3


def test_decisions_work_without_script(new_eyes, acme, product, held):
    eyes = new_eyes(java_script_enabled=False)
    let_in(eyes.context, product, acme.user, acme.business)
    page = eyes.context.new_page()
    page.goto(NEEDS_YOU)
    page.get_by_role("button", name=re.compile("^Leave out.*Lumber 1")).click()
    expect(page.locator(".toast")).to_contain_text("It is left out.")
    page.get_by_role("link", name=re.compile("^It is there.*Lumber 2")).click()
    eyes.expected = {422}
    page.get_by_role("button", name="It is there").click()
    expect(page.locator("#record-error")).to_contain_text("That names no record of Xero.")


def test_nothing_keeps_anybody_out(desk, eyes, held, a_row):
    a_row("Target #0973226", receipts=2)
    a_row("Corner Cup", state="closed", cause=Closed.SYNCED_BEFORE)
    faults = []
    for address in ("/xero/transactions", *(f"/xero/transactions/{row.pk}" for row in Export.objects.all())):
        desk.goto(address)
        faults += look_over(eyes, desk)
    desk.goto(NEEDS_YOU)
    for box in desk.get_by_role("checkbox").all():
        box.check()
    decide(desk, "Leave out")
    expect(desk.get_by_role("heading", name="This cannot be undone.")).to_be_visible()
    faults += look_over(eyes, desk)
    desk.get_by_role("button", name="Yes, leave out").click()
    faults += look_over(eyes, desk)
    eyes.expected = {422}
    desk.goto(f"/xero/transactions/{Export.objects.filter(state=State.POSTED).get().pk}")
    desk.get_by_role("button", name="Send again").click()
    faults += look_over(eyes, desk)
    assert faults == []
