"""Choosing kinds and days for one sync: what is offered, what is begun, and what the pages say of such a run."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from connectors.records import Kind
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from sandbox.dynamics365 import lines, posting
from syncjobs import runs
from syncjobs.models import Export, SyncRun
from tests import make
from tests.pages.conftest import sign_in
from tests.syncjobs.following import work


@pytest.fixture
def all_kinds(acme) -> None:
    acme.all_kinds()


def text_of(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode()).split())


def ticks(page: str) -> list[tuple[str, bool]]:
    """The kinds offered, and whether each is ticked."""
    boxes = re.findall(r'<input type="checkbox" name="kinds" value="(\w+)"( checked)?>', page)
    return [(kind, bool(ticked)) for kind, ticked in boxes]


@pytest.mark.usefixtures("all_kinds")
class TestKinds:
    def test_those_switched_on_are_offered_and_ticked(self, browser, acme):
        page = browser.get("/xero/sync").content.decode()
        assert "Choose kinds and days" in page
        offered = [("purchase", True), ("fee", True), ("transfer", True), ("rebate", True)]
        assert ticks(page) == offered

        acme.set(kinds=["purchase"])
        assert ticks(browser.get("/xero/sync").content.decode()) == [("purchase", True)]

    def test_a_sync_of_some_kinds_is_of_these_alone(self, browser):
        browser.post("/xero/sync/start", {"choosing": "1", "kinds": ["rebate", "fee"]})
        assert SyncRun.objects.get().only_kinds == {Kind.FEE, Kind.REBATE}

    def test_all_of_them_ticked_is_the_usual_sync(self, browser):
        browser.post("/xero/sync/start", {"choosing": "1", "kinds": ["purchase", "fee", "transfer", "rebate"]})
        run = SyncRun.objects.get()
        assert (run.only, run.covers("purchase")) == ([], True)

    def test_the_big_button_asks_for_no_kinds(self, browser):
        browser.post("/xero/sync/start")
        assert SyncRun.objects.get().only == []

    def test_with_none_ticked_nothing_begins(self, browser):
        answer = browser.post("/xero/sync/start", {"choosing": "1"}, follow=True)
        assert "Tick at least one kind of transaction. No sync was started." in text_of(answer)
        assert not SyncRun.objects.exists()

    @pytest.mark.parametrize("kinds", [["bill_payment"], ["gift"], ["purchase", "gift"], ["purchase", "bill_payment"]])
    def test_a_kind_that_is_off_or_none_begins_nothing(self, browser, kinds):
        answer = browser.post("/xero/sync/start", {"choosing": "1", "kinds": kinds}, follow=True)
        assert "switched o" in text_of(answer)
        assert not SyncRun.objects.exists()

    def test_kinds_and_days_go_together(self, browser):
        first, last = clock.today() - timedelta(days=9), clock.today() - timedelta(days=2)
        days = {"first": first.isoformat(), "last": last.isoformat()}
        browser.post("/xero/sync/start", {"choosing": "1", "kinds": ["fee"], **days})
        run = SyncRun.objects.get()
        assert (run.window_start, run.window_end, run.only, run.asks_first) == (first, last, ["fee"], False)

    def test_rival_begins_nothing_of_acme(self, client, rival):
        sign_in(client, rival.user, rival.business)
        client.post("/xero/sync/start", {"choosing": "1", "kinds": ["purchase"]})
        assert [run.business_id for run in SyncRun.objects.all()] == [rival.business.pk]


class TestDays:
    def test_before_the_start_date_it_is_shown_first_and_the_page_says_so(self, browser, acme):
        start = clock.today() - timedelta(days=90)
        says = f"Before your Start Date, {start.day} {start:%b %Y}: you see first what would be sent, and what is"
        assert says in text_of(browser.get("/xero/sync"))

        browser.post("/xero/sync/start", {"choosing": "1", "kinds": "purchase", "first": str(start)})
        assert not SyncRun.objects.get().asks_first
        SyncRun.objects.all().delete()
        browser.post("/xero/sync/start", {"kinds": "purchase", "first": str(start - timedelta(days=1))})
        assert SyncRun.objects.get().asks_first

    def test_without_a_start_date_two_months_are_meant(self, browser, acme):
        acme.set(start_date="")
        page = text_of(browser.get("/xero/sync"))
        assert "your Start Date" not in page
        assert re.search(r"Before \d+ \w{3} \d{4}: you see first what would be sent", page)


class TestSaid:
    @pytest.mark.parametrize(
        ("kinds", "says"),
        [
            (["purchase"], "Purchases only"),
            (["fee", "rebate"], "Fees and rebates only"),
            (["purchase", "bill_payment", "rebate"], "Purchases, bill payments and rebates only"),
            ([], ""),
        ],
    )
    def test_the_history_names_the_kinds_it_was_asked_for(self, browser, a_run, kinds, says):
        run = a_run(only=kinds)
        for address in ("/xero/history", "/xero/sync", f"/xero/runs/{run.pk}"):
            page = text_of(browser.get(address))
            assert (says in page) if says else not re.search("(ees|hases|bates) only", page), address

    def test_so_does_a_run_under_way(self, browser, a_run):
        a_run(only=["fee"], status="running")
        page = browser.get("/xero/sync").content.decode()
        live = page.partition('id="live"')[2].partition('aria-label="PEX')[0]
        assert "Fees only." in live


@pytest.fixture
def lane(acme, sandbox) -> make.World:
    """A business whose entries stand in a journal until a person posts them."""
    return make.dynamics(sandbox, "Ledger Lane", 7700, "lee.ledger")


@pytest.fixture
def lee(lane) -> Client:
    return sign_in(Client(), lane.user, lane.business)


class TestJournal:
    def test_what_nobody_has_posted_yet_is_counted_and_said_of_each_row(self, lee, lane):
        lane.purchase("12.50")
        lane.purchase("20.00")
        run = lane.sync()
        assert (run.status, run.rows_posted) == ("success", 2)
        page = text_of(lee.get("/dynamics365/sync"))
        assert re.search(r"2 in the PEX Card journal, not posted, as of today \d\d:\d\d\. Open the PEX Card", page)
        assert page.startswith("Dynamics 365 sync")
        assert "All 2 settled transactions" in page
        assert "are in Dynamics 365." in page
        assert "posted in Dynamics 365" not in page
        for address in ("/dynamics365/transactions", f"/dynamics365/runs/{run.pk}"):
            assert text_of(lee.get(address)).count("In the PEX Card journal, not posted") == 2, address

    def test_once_a_person_has_posted_it_the_next_sync_says_so(self, lee, lane):
        lane.purchase("12.50")
        lane.sync()
        posting.post(lane.books, lane.books.journal())
        lane.sync()
        assert "in the PEX Card journal, not posted" not in text_of(lee.get("/dynamics365/sync"))
        assert "Posted in Dynamics 365" in text_of(lee.get("/dynamics365/transactions"))

    def test_a_sync_of_one_kind_leaves_the_others_where_they_are(self, lee, lane):
        lane.all_kinds()
        lane.purchase("12.50")
        lane.pex.add_card_fee("3.00", settled=clock.now() - timedelta(days=1))
        lee.post("/dynamics365/sync/start", {"choosing": "1", "kinds": "fee"})
        run = work(SyncRun.objects.get())
        assert "1 transaction is ready to send" in text_of(lee.get("/dynamics365/sync"))
        assert "Fees only." in text_of(lee.get("/dynamics365/sync"))
        lee.post(f"/dynamics365/runs/{run.pk}/confirm")
        run = work(run)
        assert (run.status, run.rows_posted) == ("success", 1)
        assert "Fees only." in text_of(lee.get("/dynamics365/history"))
        assert {line.amount for line in lane.books.lines()} == {Decimal("3.00"), Decimal("-3.00")}


class TestAskingSupport:
    @pytest.fixture
    def row(self, lane) -> Export:
        lane.purchase("12.50")
        lane.sync()
        with everywhere():
            return Export.objects.get(system="dynamics365")

    @pytest.fixture
    def gone(self, lane, row) -> Export:
        """Somebody deleted its lines in the journal."""
        for line in lane.books.lines():
            lines.delete(lane.books, line)
        return row

    def ask(self, browser: Client, row: Export, **more: str) -> Any:
        form = {"action": "send_again", "row": row.pk, "back": f"/dynamics365/transactions/{row.pk}"}
        return browser.post("/dynamics365/transactions/decide", form | more, follow=True)

    def test_the_button_asks_and_says_what_that_means(self, lee, gone):
        assert "Ask support to send again" in text_of(lee.get(f"/dynamics365/transactions/{gone.pk}"))
        page = text_of(self.ask(lee, gone))
        assert "Ask support to send 1 transaction again?" in page
        assert "once they have looked too and allow it, the next sync sends it again" in page
        assert "Press" not in page.partition("<main")[2]

    def test_asked_it_says_by_whom_and_when_and_is_asked_once(self, lee, gone):
        page = text_of(self.ask(lee, gone, sure="1", remark="It was deleted by mistake."))
        today = clock.now().astimezone(clock.EASTERN)
        assert "Support was asked to send it again. It goes once they allow it." in page
        assert f"Support was asked on {today.day} {today:%b %Y} by Lee" in page
        assert "It was deleted by mistake." in page
        assert "Ask support to send again" not in page.partition("History")[0]
        again = text_of(self.ask(lee, gone, sure="1"))
        assert "Support was asked" in again
        with everywhere():
            gone.refresh_from_db()
            assert gone.events.filter(event="asked_support").count() == 1

    def test_what_still_stands_is_not_asked_for(self, lee, row):
        page = text_of(self.ask(lee, row, sure="1"))
        assert "Its record is still in Dynamics 365. Delete or void it there first" in page
        with everywhere():
            row.refresh_from_db()
            assert row.asked_at is None


@pytest.mark.usefixtures("all_kinds")
def test_after_a_sync_of_some_kinds_the_page_does_not_claim_all_that_settled(browser, acme):
    acme.purchase("12.50")
    browser.post("/xero/sync/start", {"choosing": "1", "kinds": ["purchase"]})
    run = work(SyncRun.objects.get())
    assert runs.confirm(run, acme.user)
    assert work(run).status == SyncRun.Status.SUCCESS
    assert "All 1 transaction synced so far is in Xero." in text_of(browser.get("/xero/sync"))

    acme.sync()
    assert "All 1 settled transaction up to " in text_of(browser.get("/xero/sync"))
