"""What pages say of receipts: how many are still to come and when, each one on its row, and SEND AGAIN."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils.html import strip_tags

from pexsync import clock
from syncjobs import engine, receipt_words, sweeper
from syncjobs.models import Export, ExportReceipt, SyncRun
from tests import make
from tests.pages.conftest import sign_in

pytestmark = pytest.mark.database

KEPT = "Xero's calls for today are kept for transactions."


def shown(browser, address: str) -> str:
    return " ".join(strip_tags(browser.get(address).content.decode()).replace("&#x27;", "'").split())


@pytest.fixture
def row(acme, a_row, a_run) -> Export:
    """A posted row of a sync that has ended, of the company that is connected."""
    return a_row("Staples", run=a_run(), target=acme.connection.target, posted_at=clock.now())


def receipt(row: Export, state: str, says: str = "", **facts: Any) -> ExportReceipt:
    defaults = {"business": row.business, "attachment_id": f"{row.pk}-{state}", "at": clock.now()}
    return ExportReceipt.objects.create(export=row, state=state, says=says, **(defaults | facts))


class TestStillToCome:
    @pytest.fixture
    def waits(self, row, change) -> str:
        """Three wait; when they go on."""
        at = clock.now() + timedelta(hours=7)
        for number, says in enumerate((KEPT, "", "")):
            receipt(row, "sent", says, attachment_id=str(number))
        receipt(row, "attached")
        change(deliver_at=at)
        return f"{at.astimezone(row.business.zone):%H:%M}"

    @pytest.mark.parametrize("place", ["/xero/sync", "/xero/runs/{run}", "/xero/transactions/{row}"])
    def test_how_many_and_when_and_why(self, browser, row, waits, place):
        page = shown(browser, place.format(run=row.run_id, row=row.pk))
        assert "3 receipts continue" in page
        assert f"{waits}." in page
        assert page.count(KEPT) == 1

    def test_one_that_goes_now_is_on_its_way(self, browser, row, change):
        receipt(row, "sent")
        change(deliver_at=clock.now() - timedelta(seconds=1))
        assert "1 receipt is on its way." in shown(browser, "/xero/sync")

    def test_a_sync_tells_only_of_its_own(self, browser, row, a_run, waits):
        assert "continue" not in shown(browser, f"/xero/runs/{a_run().pk}")

    @pytest.mark.parametrize(
        "change_to", [{"state": "held"}, {"target": "xero:elsewhere"}, {"generation": 2}], ids=lambda facts: str(facts)
    )
    def test_what_goes_nowhere_is_not_counted(self, browser, row, waits, change_to):
        Export.objects.update(**change_to)
        assert "continue" not in shown(browser, "/xero/sync")

    def test_nothing_is_said_where_all_are_there(self, browser, row):
        receipt(row, "attached")
        assert "receipt" not in shown(browser, "/xero/sync").split("Sync History")[0]


class TestOnItsRow:
    @pytest.mark.parametrize(
        ("state", "says", "word"),
        [
            ("attached", "", "Attached"),
            ("failed", "The receipt is larger than Xero takes.", "Not attached"),
            ("waiting", "PEX is still loading this receipt.", "Waits"),
            ("sent", "", "On its way"),
            ("sent", KEPT, "Waits"),
            ("unknown", "", "Checking"),
        ],
    )
    def test_each_says_how_it_stands(self, browser, row, state, says, word):
        receipt(row, state, says)
        page = shown(browser, f"/xero/transactions/{row.pk}")
        assert word in page
        assert says in page
        assert "Xero keeps ten files of one transaction, of up to 10 MB each." in page
        assert ("SEND AGAIN" in page) is (state == "failed")

    def test_one_pex_never_loaded_is_not_waited_for_for_ever(self, browser, row):
        receipt(row, "waiting", at=clock.now() - timedelta(days=31))
        page = shown(browser, f"/xero/transactions/{row.pk}")
        assert "PEX gave no file for 30 days." in page
        assert "SEND AGAIN" in page

    @pytest.mark.parametrize(
        ("of_row", "of_connection", "says"),
        [
            ({"state": "held", "cause": "edited"}, {}, "Receipts follow once it is decided"),
            ({"target": "xero:elsewhere"}, {}, "no longer the one you are connected to"),
            ({}, {"state": "installed"}, "Xero is not connected: receipts follow once it is."),
        ],
    )
    def test_why_none_goes(self, browser, row, change, of_row, of_connection, says):
        receipt(row, "failed", "No.")
        Export.objects.update(**of_row)
        change(**of_connection)
        page = shown(browser, f"/xero/transactions/{row.pk}")
        assert says in page
        assert "SEND AGAIN" not in page

    def test_when_pex_is_asked_again(self, browser, row, acme):
        at = clock.now() + timedelta(days=3)
        Export.objects.update(receipts_again_at=at, receipts_checked_at=clock.now())
        local = at.astimezone(row.business.zone)
        page = shown(browser, f"/xero/transactions/{row.pk}")
        assert f"A receipt added in PEX now follows by itself: PEX is asked again on {local.day} {local:%b %Y}." in page
        acme.set(late_receipts=False)
        assert "that is switched off in Setup" in shown(browser, f"/xero/transactions/{row.pk}")

    def test_when_nobody_asks_any_more(self, browser, row):
        Export.objects.update(receipts_checked_at=clock.now())
        assert "has to be added in Xero by hand" in shown(browser, f"/xero/transactions/{row.pk}")

    @pytest.mark.parametrize("kind", ["fee", "transfer", "rebate"])
    def test_kinds_without_receipts_do_not_speak_of_them(self, browser, row, kind):
        Export.objects.update(kind=kind, receipts_checked_at=clock.now())
        assert "Receipts" not in shown(browser, f"/xero/transactions/{row.pk}")

    def test_of_a_transfer_the_banks_own_line_is_to_be_matched(self, browser, row):
        Export.objects.update(kind="transfer")
        assert "Match that line" in shown(browser, f"/xero/transactions/{row.pk}")


class TestSendAgain:
    @pytest.fixture
    def failed(self, acme) -> ExportReceipt:
        """A receipt the books did not take, of a purchase that is really there."""
        row = acme.purchase("12.50", receipts=["png"])
        late = row.attachments[0].attachment_id
        acme.pex.change_receipt(row, late, status="LoadFailed")
        acme.sync()
        acme.pex.change_receipt(row, late, status="Loaded")
        return ExportReceipt.objects.get(state="failed")

    def press(self, browser, receipt: ExportReceipt, number: str = "") -> str:
        address = f"/xero/transactions/{receipt.export_id}/receipts"
        return browser.post(address, {"receipt": number or receipt.pk}, follow=True).content.decode()

    def test_it_goes_out_once_more_and_is_counted_anew(self, browser, acme, failed, travel):
        run = SyncRun.objects.get()
        assert (run.receipts_due, run.receipts_done, run.receipts_failed) == (1, 0, 1)
        assert "The receipt goes out once more in a moment." in self.press(browser, failed)
        travel(minutes=2)  # while the page is open calls are kept for people
        for connection in sweeper.unsettled_connections():
            engine.settle(connection)
        assert [len(record.attachments) for record in acme.books.live()] == [1]
        run.refresh_from_db()
        assert (run.receipts_due, run.receipts_done, run.receipts_failed) == (1, 1, 0)

    def test_pressed_twice_it_goes_once(self, browser, failed):
        self.press(browser, failed)
        assert "Nothing was sent" in self.press(browser, failed)

    @pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1"])
    def test_a_number_that_is_none_sends_nothing(self, browser, failed, number):
        assert "Nothing was sent" in self.press(browser, failed, number)
        failed.refresh_from_db()
        assert failed.state == "failed"

    def test_one_that_is_attached_is_not_sent(self, browser, row):
        there = receipt(row, "attached")
        assert "Nothing was sent" in self.press(browser, there)

    def test_a_row_that_is_not_posted_sends_none(self, acme, failed):
        Export.objects.update(state="held")
        assert not receipt_words.send_again(acme.connection, Export.objects.get(), failed.pk)

    def test_rival_cannot_send_it(self, client, acme, rival, failed):
        browser = sign_in(client, rival.user, rival.business)
        assert (
            browser.post(f"/xero/transactions/{failed.export_id}/receipts", {"receipt": failed.pk}).status_code == 404
        )
        failed.refresh_from_db()
        assert failed.state == "failed"

    def test_nor_through_a_row_of_their_own(self, client, acme, rival, failed, a_row):
        own = a_row("Rival's", world=rival, target=rival.connection.target)
        browser = sign_in(client, rival.user, rival.business)
        browser.post(f"/xero/transactions/{own.pk}/receipts", {"receipt": failed.pk})
        failed.refresh_from_db()
        assert failed.state == "failed"
        assert isinstance(acme, make.World)
