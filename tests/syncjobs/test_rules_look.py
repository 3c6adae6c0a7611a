"""What a look finds and what that decides: of rows in doubt, posted, forgotten, or in a person's hand."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.records import Fate, Found, Sent
from connectors.xero.client import Client
from connectors.xero.connector import Xero
from pexsync import clock
from syncjobs import sweeper
from syncjobs.models import Export, ExportEvent, ExportReceipt, SyncRun, Tally
from syncjobs.transitions import Cause, Event, State
from tests import make
from tests.syncjobs.following import POST, export_of, key_of, posts, settle

pytestmark = pytest.mark.database

Status = SyncRun.Status


# --- what people do in the books --------------------------------------------------------------------------------------


def as_it_was(world: make.World, record: Any) -> None:
    """Nobody touched it."""


def with_another_reference(world: make.World, record: Any) -> None:
    world.books.edit(record.id, reference="Invoice 7")


def without_its_address(world: make.World, record: Any) -> None:
    record.url = ""
    world.books.edit(record.id)


def divided_in_two(world: make.World, record: Any) -> None:
    world.books.edit(record.id, amount="10.00")
    world.books.post_by_hand(record.reference, "2.50", bank_account=record.bank_account, date=record.date)


def deleted(world: make.World, record: Any) -> None:
    world.books.void(record.id)


def cancelled_by_another(world: make.World, record: Any) -> None:
    world.books.post_by_hand(record.reference, "12.50", type="RECEIVE", date=record.date)


def copied(world: make.World, record: Any) -> None:
    world.books.post_by_hand(record.reference, "12.50", bank_account=record.bank_account, date=record.date)


def copied_onto_another_account_long_ago(world: make.World, record: Any) -> None:
    savings = world.books.add_bank_account("Savings")
    world.books.post_by_hand(record.reference, "12.50", bank_account=savings, date=record.date - timedelta(days=700))


def with_another_amount(world: make.World, record: Any) -> None:
    world.books.edit(record.id, amount="99.00")


def on_another_day(world: make.World, record: Any) -> None:
    record.date -= timedelta(days=3)
    world.books.edit(record.id)


def on_another_account(world: make.World, record: Any) -> None:
    record.bank_account = world.books.add_bank_account("Savings")
    world.books.edit(record.id)


def vanished(world: make.World, record: Any) -> None:
    del world.books.bank_transactions[record.id]


# --- what it decides --------------------------------------------------------------------------------------------------

THERE = (State.POSTED, "")
LOOKED: Mapping[Callable[[make.World, Any], None], tuple[State, str]] = {
    as_it_was: THERE,
    with_another_reference: THERE,
    without_its_address: THERE,
    divided_in_two: THERE,
    deleted: (State.HELD, Cause.MISSING),
    cancelled_by_another: (State.HELD, Cause.MISSING),
    copied: (State.HELD, Cause.DOUBLED),
    copied_onto_another_account_long_ago: (State.HELD, Cause.DOUBLED),
    with_another_amount: (State.HELD, Cause.EDITED),
    on_another_day: (State.HELD, Cause.EDITED),
    on_another_account: (State.HELD, Cause.EDITED),
}
NAMES = [change.__name__ for change in LOOKED]
CASES = pytest.mark.parametrize(("change", "becomes"), LOOKED.items(), ids=NAMES)


@pytest.fixture
def unanswered(acme, sandbox) -> Any:
    """Its record, of which we never heard."""
    acme.purchase("12.50")
    sandbox.faults.add("drop_after", **POST)
    acme.sync()
    [record] = acme.books.live()
    return record


class TestWhatALookFinds:
    """Rule L2, wherever a look is made: nothing is sent a second time, whatever it finds."""

    def check(self, world: make.World, becomes: tuple[State, str], sent: int = 1) -> None:
        row = Export.objects.get()
        assert (row.state, row.cause) == becomes
        assert posts(world) == sent
        assert row.state == State.POSTED or row.says

    @CASES
    def test_of_a_row_without_an_answer(self, acme, unanswered, travel, change, becomes):
        change(acme, unanswered)
        travel(minutes=11)
        settle(acme)
        self.check(acme, becomes)

    def test_a_row_without_an_answer_that_is_surely_not_there_is_sent_again(self, acme, unanswered, travel):
        vanished(acme, unanswered)
        travel(minutes=11)
        settle(acme)
        self.check(acme, THERE, sent=2)
        assert len(acme.books.live()) == 1

    @pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
    def test_where_a_system_may_not_be_sent_to_again_a_person_decides(self, acme, sandbox, travel, monkeypatch, fault):
        monkeypatch.setattr(Xero, "resend", False)
        acme.purchase("12.50")
        sandbox.faults.add(fault, **POST)
        acme.sync()
        travel(minutes=11)
        settle(acme)
        acme.sync()
        self.check(acme, THERE if fault == "drop_after" else (State.HELD, Cause.UNRESOLVED))

    @CASES
    def test_of_a_posted_row_a_day_later(self, acme, unanswered, travel, change, becomes):
        travel(minutes=11)
        settle(acme)
        change(acme, unanswered)
        travel(hours=25)
        settle(acme)
        self.check(acme, becomes)
        assert Export.objects.get().next_look is None

    def test_a_posted_row_whose_record_is_nowhere_a_day_later_is_a_persons(self, acme, unanswered, travel):
        travel(minutes=11)
        settle(acme)
        vanished(acme, unanswered)
        travel(hours=25)
        settle(acme)
        acme.sync()
        self.check(acme, (State.HELD, Cause.MISSING))

    @pytest.mark.parametrize("noted", [True, False], ids=["noted", "not noted"])
    @CASES
    def test_of_a_row_the_ledger_forgot_to_have_sent(self, acme, change, becomes, noted):
        row = acme.purchase("12.50")
        acme.sync()
        [note] = acme.pex.notes(row.transaction_id)
        if not noted:
            acme.pex.remove_note(row, note.note_id)
        [record] = acme.books.live()
        for model in (ExportEvent, ExportReceipt, Export, Tally):
            model.objects.all().delete()
        change(acme, record)
        acme.sync()
        self.check(acme, becomes)

    @CASES
    def test_of_a_row_a_person_has_in_hand(self, acme, unanswered, travel, change, becomes):
        change(acme, unanswered)
        travel(hours=25)
        sweeper.give_up()
        acme.sync()
        self.check(acme, becomes if becomes == THERE else (State.HELD, Cause.UNRESOLVED))

    def test_a_row_a_person_has_in_hand_is_not_sent_because_nothing_is_found(self, acme, unanswered, travel):
        vanished(acme, unanswered)
        travel(hours=25)
        sweeper.give_up()
        acme.sync()
        self.check(acme, (State.HELD, Cause.UNRESOLVED))


class TestFoundAgain:
    """Move 20: a person put it right in the books, and nothing had to be said here."""

    @pytest.fixture
    def doubled(self, acme, sandbox, travel) -> Any:
        """A purchase with note and receipt, posted after doubt and doubled since; returns both records."""
        acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(minutes=11)
        settle(acme)
        [record] = acme.books.live()
        copy = acme.books.post_by_hand(record.reference, "12.50", bank_account=record.bank_account, date=record.date)
        travel(hours=25)
        settle(acme)
        assert Export.objects.get().cause == Cause.DOUBLED
        return record, copy

    def test_a_double_a_person_deleted_is_posted_without_a_second_note_or_receipt(self, acme, sandbox, travel, doubled):
        record, copy = doubled
        acme.books.void(copy.id)
        delivered = Export.objects.values("posted_at", "receipts_checked_at").get()
        sandbox.calls.clear()
        assert acme.sync().status == Status.SUCCESS
        row = Export.objects.get()
        assert (row.state, row.cause, row.record_id) == (State.POSTED, "", record.id)
        assert Export.objects.values(*delivered).get() == delivered
        travel(minutes=11)
        acme.sync()
        assert sandbox.calls.writes("pex") == []
        assert sandbox.calls.writes("xero-api") == []
        assert ExportEvent.objects.filter(event=Event.FOUND_AGAIN).count() == 1
        assert (len(acme.pex.notes(row.pex_id)), len(record.attachments)) == (1, 1)

    def test_where_the_other_record_stays_the_receipt_follows_it_and_the_note_does_not(self, acme, travel, doubled):
        record, copy = doubled
        acme.books.void(record.id)
        for _ in range(2):
            acme.sync()
            travel(minutes=11)
        row = Export.objects.get()
        assert (row.state, row.record_id) == (State.POSTED, copy.id)
        assert (len(acme.pex.notes(row.pex_id)), len(copy.attachments)) == (1, 1)

    def test_it_is_looked_at_once_more_a_day_later(self, acme, travel, doubled):
        record, copy = doubled
        acme.books.void(copy.id)
        acme.sync()
        deleted(acme, record)
        travel(hours=25)
        settle(acme)
        assert Export.objects.get().cause == Cause.MISSING

    def test_while_both_stand_it_stays_with_the_person(self, acme, doubled):
        acme.sync()
        assert Export.objects.get().cause == Cause.DOUBLED

    def test_one_that_was_never_known_as_posted_gets_its_note_and_receipt_once(self, acme, sandbox, travel):
        row = acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(hours=25)
        sweeper.give_up()
        [record] = acme.books.live()
        for _ in range(3):
            acme.sync()
            assert export_of(row).state == State.POSTED
            assert (len(acme.pex.notes(row.transaction_id)), len(record.attachments)) == (1, 1)
            travel(minutes=11)

    def test_a_record_another_row_stands_for_is_not_found_again(self, acme, sandbox, travel):
        acme.purchase("12.50")
        acme.sync()
        [record] = acme.books.live()
        second = acme.purchase("12.50")
        sandbox.faults.add("drop_before", **POST)
        acme.sync()
        travel(hours=25)
        sweeper.give_up()
        acme.books.edit(record.id, reference=key_of(second))
        acme.sync()
        assert (export_of(second).state, export_of(second).cause) == (State.HELD, Cause.UNRESOLVED)

    def test_a_row_held_for_what_the_books_cannot_tell_stays_held(self, acme):
        row = acme.purchase("12.50")
        acme.pex.add_note(row, "Synced with Xero", system=False)
        acme.purchase("1.00")
        acme.sync()
        acme.books.post_by_hand(key_of(row), "12.50", date=export_of(row).settled_on)
        acme.sync()
        assert export_of(row).cause == Cause.NOTE_BY_HAND


class TestPages:
    """Rule L1: a look reads many pages, and the books are worked in meanwhile."""

    @pytest.fixture
    def many(self, acme) -> list[Any]:
        """More than a page of records, each changed a second after the one before; their keys stand in one place."""
        contact, last = acme.books.add_contact("Staples"), clock.now()
        records = []
        for number in range(1500):
            record = acme.books.post_by_hand(f"PEXT{7_000_000 + number}", "1.00", contact=contact)
            record.updated = last - timedelta(seconds=1500 - number)
            records.append(record)
        return records

    def look(self, world: make.World, records: list[Any]) -> Mapping[str, Found]:
        with registry.open_connector(world.connection) as books:
            return books.find([Sent(record.reference, Decimal("1.00")) for record in records])

    def test_a_record_changed_between_two_pages_does_not_let_another_slip_by(self, acme, many, freeze):
        freeze(Client, "bank_transactions", lambda: acme.books.edit(many[0].id), "after")
        found = self.look(acme, many)
        assert {what.fate for what in found.values()} == {Fate.LIVE}

    def test_a_record_no_page_shows_is_not_taken_for_absent_while_the_books_count_one_more(
        self, acme, many, monkeypatch
    ):
        original, hidden = Client.bank_transactions, many[700].id

        def with_one_left_out(client, where, since=None, page=1):
            answer = original(client, where, since, page)
            rows = [row for row in answer.rows if row["BankTransactionID"].lower() != hidden.lower()]
            return replace(answer, rows=rows)

        monkeypatch.setattr(Client, "bank_transactions", with_one_left_out)
        assert self.look(acme, many)[many[700].reference].fate is Fate.UNSEEN
