"""Receipts people add in PEX after their purchase was posted: asked for on five days, attached, never edited in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.models import Connection
from pexsync import clock
from syncjobs import delivery, engine, receipts, sweeper, upkeep
from syncjobs.models import Export, ExportReceipt, SyncRun
from tests import make
from tests.syncjobs.following import export_of, posts

pytestmark = pytest.mark.database

POSTED = datetime(2026, 3, 5, 2, 41, tzinfo=UTC)
LIST = {"system": "pex", "method": "GET", "path": "/Attachments$"}


def wake(world: make.World) -> bool:
    """What the sweeper does of itself; whether there was anything to do."""
    woken = sweeper.unsettled_connections()
    for connection in woken:
        engine.settle(connection)
    return bool(woken)


def asked(world: make.World) -> int:
    """How often PEX was asked for the list of a transaction's receipts."""
    calls = world.sandbox.calls.matching("pex", "GET")
    return sum(call.path.endswith("/Attachments") for call in calls)


def attached(world: make.World) -> list[int]:
    return [len(record.attachments) for record in world.books.live()]


@pytest.fixture
def posted(acme) -> Any:
    """A purchase in the books, without a receipt yet."""
    row = acme.purchase("12.50")
    assert acme.sync().status == SyncRun.Status.SUCCESS
    acme.sandbox.calls.clear()
    return row


class TestTheDays:
    @pytest.mark.parametrize(
        ("asked_after", "next_after"), [(0, 1), (1, 3), (2.9, 3), (3, 7), (10, 14), (14, 30), (30, None), (400, None)]
    )
    def test_each_is_the_first_still_to_come(self, asked_after, next_after):
        found = receipts.next_check(POSTED, POSTED + timedelta(days=asked_after))
        assert found == (POSTED + timedelta(days=next_after) if next_after else None)

    def test_what_was_never_posted_has_none(self):
        assert receipts.next_check(None, POSTED) is None
        assert receipts.put_off(None, POSTED) is None

    def test_where_pex_gave_no_list_it_is_asked_again_but_not_for_ever(self):
        assert receipts.put_off(POSTED, POSTED + timedelta(days=30)) == POSTED + timedelta(days=30, hours=6)
        assert receipts.put_off(POSTED, POSTED + timedelta(days=32)) is None

    @pytest.mark.parametrize(
        ("kind", "amount", "may"),
        [("purchase", "1.00", True), ("purchase", "-1.00", False), ("fee", "1.00", False), ("transfer", "1.00", False)],
    )
    def test_only_purchases_have_them(self, kind, amount, may):
        assert receipts.come_later(kind, Decimal(amount)) is may


class TestAsking:
    def test_a_receipt_added_later_follows_by_itself_and_the_entry_is_not_touched(self, acme, posted, travel):
        before = vars(acme.books.live()[0]).copy()
        acme.pex.add_receipt(posted, "png")
        travel(days=1, minutes=1)
        assert wake(acme)
        [record] = acme.books.live()
        assert attached(acme) == [1]
        assert {name: value for name, value in vars(record).items() if name != "attachments"} == {
            name: value for name, value in before.items() if name != "attachments"
        }
        assert posts(acme) == 0
        run = SyncRun.objects.get()
        assert (run.receipts_due, run.receipts_done, run.receipts_failed) == (1, 1, 0)

    def test_it_is_asked_for_on_five_days_and_then_no_more(self, acme, posted, travel):
        days = []
        for day in range(1, 61):
            travel(days=1)
            before = asked(acme)
            while wake(acme):
                pass
            days += [day] * (asked(acme) - before)
        assert days == [1, 3, 7, 14, 30]
        acme.connection.refresh_from_db()
        assert acme.connection.deliver_at is None

    def test_the_same_receipt_goes_once_and_a_second_one_beside_it(self, acme, posted, travel):
        for count in (1, 2):
            acme.pex.add_receipt(posted, "png")
            travel(days=2 * count)
            wake(acme)
            assert attached(acme) == [count]
        uploads = acme.sandbox.calls.matching("xero-api", "PUT")
        assert len(uploads) == 2

    def test_what_pex_still_scans_follows_when_it_is_done(self, acme, posted, travel):
        late = acme.pex.add_receipt(posted, "png")
        acme.pex.change_receipt(posted, late.attachment_id, status="NotLoaded")
        travel(days=1, minutes=1)
        wake(acme)
        assert [row.state for row in ExportReceipt.objects.all()] == ["waiting"]
        acme.pex.change_receipt(posted, late.attachment_id, status="Loaded")
        travel(hours=13)
        wake(acme)
        assert attached(acme) == [1]

    def test_refunds_are_never_asked_about_again(self, acme, travel):
        row = acme.purchase("-7.00")
        acme.sync()
        assert export_of(row).receipts_again_at is None
        acme.pex.add_receipt(row, "png")
        travel(days=31)
        assert not wake(acme)

    def test_a_run_does_not_wait_for_it(self, acme, posted, travel):
        acme.pex.add_receipt(posted, "png")
        travel(days=1, minutes=1)
        acme.sync()
        assert asked(acme) == 0
        travel(minutes=3)
        wake(acme)
        assert attached(acme) == [1]

    def test_many_are_asked_about_in_pieces_a_few_minutes_apart(self, acme, travel, monkeypatch):
        monkeypatch.setattr(upkeep, "LATE_CHECKS", 4)
        for _ in range(10):
            acme.purchase("1.00")
        acme.sync()
        acme.sandbox.calls.clear()
        travel(days=1, minutes=1)
        pieces = []
        for _ in range(4):
            before = asked(acme)
            woken = wake(acme)
            pieces.append(asked(acme) - before)
            assert woken is (pieces[-1] > 0)
            travel(minutes=2, seconds=1)
        assert pieces == [4, 4, 2, 0]

    def test_rows_of_one_day_wait_for_each_other(self, acme, posted, travel):
        for _ in range(4):
            travel(minutes=30)
            acme.purchase("1.00")
            acme.sync()
        acme.sandbox.calls.clear()
        travel(hours=22, minutes=5)
        wakes = 0
        for _ in range(12):
            wakes += wake(acme)
            travel(minutes=30)
        assert asked(acme) == 5
        assert wakes <= 2


class TestTrouble:
    def test_a_row_pex_gives_no_list_of_steps_back_behind_the_others(self, acme, travel, monkeypatch):
        monkeypatch.setattr(upkeep, "LATE_CHECKS", 1)
        odd, other = acme.purchase("1.00"), acme.purchase("2.00")
        acme.sync()
        acme.pex.add_receipt(other, "png")
        acme.sandbox.faults.add(
            "status", system="pex", method="GET", path=f"/{odd.transaction_id}/Attachments", status=500, times=99
        )
        travel(days=1, minutes=1)
        for _ in range(3):
            wake(acme)
            travel(minutes=10)
        assert sum(attached(acme)) == 1

    def test_a_row_sent_again_meanwhile_is_not_taken_for_listed(self, acme, posted, travel, freeze):
        travel(days=1, minutes=1)
        again = {"generation": 2, "receipts_checked_at": None, "receipts_again_at": None}
        freeze(delivery, "_listed", meanwhile=lambda: Export.objects.update(**again))
        wake(acme)
        assert asked(acme) == 1
        assert export_of(posted).receipts_checked_at is None

    def test_it_costs_the_other_rows_nothing_when_pex_is_away(self, acme, posted, travel):
        acme.pex.add_receipt(posted, "png")
        travel(days=1, minutes=1)
        acme.sandbox.faults.add("status", system="pex", times=99, status=503)
        wake(acme)
        acme.sandbox.faults.clear()
        assert export_of(posted).state == "posted"
        travel(hours=13)
        wake(acme)
        assert attached(acme) == [1]


class TestWhereItDoesNotGo:
    @pytest.fixture
    def later(self, acme, posted, travel) -> Callable[[], None]:
        """A receipt is added, and the first day comes."""

        def come() -> None:
            acme.pex.add_receipt(posted, "png")
            travel(days=1, minutes=1)
            Connection.objects.update(deliver_at=clock.now())  # somebody comes by, whatever they find to do
            wake(acme)

        return come

    def test_else_it_goes(self, acme, later):
        later()
        assert (asked(acme), attached(acme)) == (1, [1])

    def test_where_it_is_switched_off(self, acme, later):
        acme.set(late_receipts=False)
        later()
        assert asked(acme) == 0

    def test_where_receipts_are_switched_off_altogether(self, acme, later):
        acme.set(receipts=False)
        later()
        assert asked(acme) == 0

    def test_where_another_company_was_chosen(self, acme, later):
        Export.objects.update(target="xero:somewhere-else")
        later()
        assert asked(acme) == 0

    @pytest.mark.parametrize("state", ["held", "closed", "due"])
    def test_where_the_row_is_not_posted_any_more(self, acme, later, state):
        Export.objects.update(state=state, cause="missing" if state == "held" else "")
        later()
        assert asked(acme) == 0

    def test_where_the_connection_was_ended(self, acme, later):
        Connection.objects.update(state=Connection.State.INSTALLED)
        later()
        assert asked(acme) == 0

    def test_where_the_record_is_gone_and_the_row_says_so(self, acme, posted, later):
        acme.books.bank_transactions.clear()
        later()
        [receipt] = ExportReceipt.objects.all()
        assert receipt.state == "failed"
        assert "not in Xero any more" in receipt.says
        assert export_of(posted).state == "posted"
        assert posts(acme) == 0

    def test_switched_on_again_it_is_caught_up_with(self, acme, posted, later, travel):
        acme.set(late_receipts=False)
        later()
        acme.set(late_receipts=True)
        acme.sync()
        travel(minutes=3)
        wake(acme)
        assert attached(acme) == [1]
