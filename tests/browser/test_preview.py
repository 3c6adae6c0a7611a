"""A preview in a browser: looked over, its ticks kept as they are made, and without script too."""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from connectors.models import Connection
from pexsync import clock
from tests import make
from tests.browser.conftest import let_in
from tests.browser.eyes import look_over
from tests.browser.test_without_script import refresh

pytestmark = pytest.mark.browser

LONG = "A merchant with quite a long name, and a place in Saint-Remy-en-Bouzemont-Saint-Genest-et-Isson"


@pytest.fixture
def busy(acme) -> make.World:
    """Acme with something of everything: what goes, what needs somebody, what waits, what looks booked."""
    kinds = acme.all_kinds(tracking=["Project"])
    category, tag = kinds.tracking["Project"]
    for number, merchant in enumerate(("Staples", "Shell", LONG)):
        tags = {acme.expense_tag.tag_id: "429", tag.tag_id: category.options[number].id}
        acme.purchase(f"{84.2 + number:.2f}", merchant=merchant, tags=tags)
    acme.purchase("31.00", merchant="Pilot Hill Fuel", account=None)
    acme.purchase("9.99", merchant="Corner Cup", approval="NotReviewed")
    long_ago = clock.now() - timedelta(days=45)
    for amount in ("5.00", "6.00", "7.00"):
        acme.purchase(amount, merchant="Target", settled=long_ago)
    for amount in ("5.00", "6.00"):
        acme.books.post_by_hand("Card", amount, date=long_ago.date())
    acme.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
    return acme


def preview_of(page: Page) -> None:
    page.goto("/xero/sync")
    page.get_by_role("button", name="SYNC", exact=True).click()
    page.locator("#look").click(timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_contain_text("would be sent to Xero")


def test_everybody_can_use_it(desk, eyes, busy, worker):
    preview_of(desk)
    for each in desk.locator("#previewed summary").all():
        each.click()
    assert look_over(eyes, desk) == []
    assert desk.locator("#previewed tbody tr").count() == 9


def test_ticks_are_kept_as_they_are_made_and_exactly_those_go(desk, busy, worker):
    preview_of(desk)
    desk.get_by_role("button", name=re.compile("^Leave .* out")).click()
    expect(desk.locator("#confirm")).to_have_text("Send these 4 to Xero")
    desk.get_by_role("checkbox", name=re.compile("^Send Staples")).uncheck()
    expect(desk.locator("#confirm")).to_have_text("Send these 3 to Xero")
    desk.reload()
    expect(desk.get_by_role("checkbox", name=re.compile("^Send Staples"))).not_to_be_checked()
    before = len(busy.books.live())
    desk.locator("#confirm").click()
    expect(desk.locator("#history tbody tr").first).to_contain_text("Partial", timeout=60_000)
    assert len(busy.books.live()) == before + 3


def test_without_script_it_is_ticked_paged_and_sent(new_eyes, product, acme, worker):
    Connection.objects.update(preview_confirmed={"purchase": {}})
    for number in range(52):
        acme.purchase(f"{number + 1}.00", merchant=f"Shop {number}")
    plain: Any = new_eyes(java_script_enabled=False)
    let_in(plain.context, product, acme.user, acme.business)
    page: Page = plain.context.new_page()
    page.goto("/xero/sync")
    page.get_by_role("button", name="PREVIEW FIRST").click()
    refresh(page, until="#look")
    page.locator("#look").click()
    page.locator("#previewed input[type=checkbox]").first.uncheck()
    page.get_by_role("button", name="Later").click()
    expect(page.locator("#previewed tbody tr")).to_have_count(2)
    page.locator("#previewed input[type=checkbox]").first.uncheck()
    page.locator("#confirm").click()
    expect(page.locator(".toast")).to_contain_text("Nothing was sent: 50 transactions are ticked now.")
    page.locator("#confirm").click()
    refresh(page, until="#history .chip.ok")
    assert len(acme.books.live()) == 50
