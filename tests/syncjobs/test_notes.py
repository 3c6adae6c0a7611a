"""Our notes in PEX: one per purchase, sent in time or not at all; taken away, they ask for the purchase again."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connectors import registry
from connectors.pex import auth as pex_auth
from connectors.pex import mapping
from pexsync import clock
from syncjobs import delivery, engine, mirror, notes
from syncjobs.delivery import Delivery, InFlight
from syncjobs.models import Export, Notice, PexTransaction, SyncRun
from syncjobs.transitions import State
from tests.syncjobs.following import NOTE, export_of

pytestmark = pytest.mark.database

Status = SyncRun.Status


def texts(acme, row) -> list[str]:
    return [note.text for note in acme.pex.notes(row.transaction_id)]


def take_away(acme, row) -> None:
    for note in acme.pex.notes(row.transaction_id):
        acme.pex.remove_note(row, note.note_id)


def note_calls(acme) -> int:
    return sum(call.path.endswith("/Note") and call.method == "POST" for call in acme.sandbox.calls.calls)


@pytest.fixture
def noted(acme):
    """A posted purchase whose note was seen."""
    row = acme.purchase("12.50")
    acme.sync()
    acme.sync()
    assert export_of(row).note_state == "seen"
    return row


@pytest.fixture
def open_delivery(acme):
    """A delivery as a slice has it."""

    def opened() -> Delivery:
        return Delivery(acme.business.pk, pex, books)

    with registry.open_connector(acme.connection) as books, pex_auth.client_for(acme.business) as pex:
        yield opened


class TestWhatTheMirrorKnows:
    def test_a_row_is_noted_by_a_note_of_ours_with_its_own_key_only(self, acme):
        ours, typed, other, bare = (acme.purchase(f"{number}.00") for number in range(1, 5))
        acme.pex.add_note(ours, f"Synced with Xero · PEXT{ours.transaction_id}", system=True)
        acme.pex.add_note(typed, f"Synced with Xero · PEXT{typed.transaction_id}")
        acme.pex.add_note(other, f"Synced with Xero · PEXT{ours.transaction_id}", system=True)
        acme.sync()
        shown = dict(PexTransaction.objects.values_list("pex_id", "noted"))
        assert [shown[row.transaction_id] for row in (ours, typed, other, bare)] == [True, False, False, False]


class TestTakenAway:
    def test_with_its_record_still_there_the_note_comes_back_and_the_row_says_so(self, acme, noted, travel):
        take_away(acme, noted)
        acme.sync()
        assert export_of(noted).note_state == "seen"
        assert texts(acme, noted) == []
        travel(minutes=11)
        acme.sync()
        row = export_of(noted)
        assert texts(acme, noted) == [f"Synced with Xero · PEXT{noted.transaction_id}"]
        assert row.says == "Its note was removed in PEX, but it is still in Xero; the note is back."
        assert (row.state, row.generation) == (State.POSTED, 1)
        assert len(acme.books.live()) == 1
        acme.sync()
        assert export_of(noted).note_state == "seen"

    def test_with_its_record_void_the_purchase_is_sent_again_under_a_new_key(self, acme, noted, travel):
        acme.books.void(acme.books.live()[0].id)
        take_away(acme, noted)
        acme.sync()
        travel(minutes=11)
        run = acme.sync()
        assert (run.status, run.rows_posted) == (Status.SUCCESS, 1)
        row = export_of(noted)
        assert (row.state, row.generation) == (State.POSTED, 2)
        assert [record.reference for record in acme.books.live()] == [f"PEXT{noted.transaction_id}-2"]
        assert texts(acme, noted) == [f"Synced with Xero · PEXT{noted.transaction_id}-2"]
        event = row.events.get(event="send_again")
        assert (event.who, event.before, event.after) == ("slice", "posted", "due")
        assert event.facts["record_id"]

    def test_with_an_edited_record_a_person_looks(self, acme, noted, travel):
        acme.books.edit(acme.books.live()[0].id, None, "13.00")
        take_away(acme, noted)
        acme.sync()
        travel(minutes=11)
        acme.sync()
        assert export_of(noted).state == State.HELD
        assert len(acme.books.live()) == 1

    def test_while_the_books_cannot_be_asked_nothing_happens_and_it_is_asked_later(self, acme, sandbox, noted, travel):
        take_away(acme, noted)
        acme.sync()
        travel(minutes=11)
        sandbox.faults.add("status", system="xero-api", method="GET", path="/BankTransactions", status=503, times=None)
        run = acme.sync()
        assert run.status == Status.PAUSED
        assert export_of(noted).note_state == "removed"
        assert texts(acme, noted) == []
        sandbox.faults.clear()
        travel(minutes=11)
        engine.advance(run.pk)
        assert len(texts(acme, noted)) == 1

    def test_two_reads_within_ten_minutes_prove_nothing(self, acme, noted, travel):
        take_away(acme, noted)
        for _ in range(3):
            acme.sync()
            travel(minutes=3)
        assert export_of(noted).note_state == "seen"
        assert note_calls(acme) == 1

    def test_a_note_missing_once_and_shown_again_was_never_taken_away(self, acme, noted, travel):
        kept = noted.notes
        for shown in (False, True, False):
            noted.notes = kept if shown else ()
            acme.sync()
            travel(minutes=11)
        row = export_of(noted)
        assert row.note_state == "seen"
        assert row.note_missed_at is not None
        noted.notes = kept
        acme.sync()
        assert export_of(noted).note_missed_at is None
        assert note_calls(acme) == 1

    def test_a_row_read_before_notes_were_kept_is_not_missing_one(self, acme, noted, travel):
        take_away(acme, noted)
        PexTransaction.objects.update(noted=None)
        PexTransaction.objects.update(digest=_as_pex_shows_it(noted, acme))
        for _ in range(2):
            acme.sync()
            travel(minutes=11)
        assert export_of(noted).note_missed_at is None

    def test_a_note_pex_shows_late_is_not_written_twice(self, acme, sandbox, travel):
        sandbox.worlds["pex"].switches.note_delay = 300
        row = acme.purchase("12.50")
        acme.sync()
        for _ in range(4):
            travel(minutes=4)
            acme.sync()
        assert export_of(row).note_state == "seen"
        assert note_calls(acme) == 1

    def test_many_gone_at_once_are_pexs_trouble_told_once(self, acme, travel):
        rows = [acme.purchase("1.00") for _ in range(30)]
        acme.sync()
        acme.sync()
        kept = [row.notes for row in rows]
        for row in rows[:25]:
            row.notes = ()
        for _ in range(3):
            travel(minutes=11)
            acme.sync()
        assert not Export.objects.exclude(note_state="seen").exists()
        assert note_calls(acme) == 30
        [notice] = Notice.objects.filter(ended_at=None)
        assert (notice.cause, notice.times) == ("notes_vanished", 3)
        for row, was in zip(rows, kept, strict=True):
            row.notes = was
        acme.sync()
        assert not Notice.objects.filter(ended_at=None).exists()

    def test_a_few_of_many_are_news(self, acme, travel):
        rows = [acme.purchase("1.00") for _ in range(30)]
        acme.sync()
        acme.sync()
        for row in rows[:20]:
            take_away(acme, row)
        acme.sync()
        travel(minutes=11)
        acme.sync()
        assert note_calls(acme) == 50
        assert len(acme.books.live()) == 30

    def test_an_old_note_is_missed_by_the_weekly_read(self, acme, travel):
        acme.set(start_date=(clock.today() - timedelta(days=300)).isoformat())
        old = acme.purchase("12.50", settled=clock.now() - timedelta(days=200))
        acme.sync()
        acme.sync()
        acme.set(start_date=(clock.today() - timedelta(days=5)).isoformat())
        take_away(acme, old)
        acme.sync()
        assert export_of(old).note_missed_at is None
        for _ in range(2):
            travel(days=7)
            acme.sync()
        assert len(texts(acme, old)) == 1

    def test_how_many_rows_are_posted_costs_no_further_query(self, acme):
        def queries() -> int:
            with CaptureQueriesContext(connection) as seen:
                acme.sync()
            return len(seen)

        for _ in range(3):
            acme.purchase("1.00")
        acme.sync()
        acme.sync()
        few = queries()
        for _ in range(40):
            acme.purchase("1.00")
        acme.sync()
        acme.sync()
        assert queries() == few


def _as_pex_shows_it(row, acme) -> str:
    """The digest of the row as the next read will find it, without its note."""
    with pex_auth.client_for(acme.business) as pex:
        today = clock.today()
        [shown] = pex.card_transactions(today - timedelta(days=30), today, bill_pay=False)
    return mirror.digest(mapping.card_row(shown, {row.account_id: "Carla Cole"}))


@pytest.mark.parametrize(
    ("lost", "known", "many"), [(20, 20, False), (21, 21, True), (21, 419, True), (21, 420, False)]
)
def test_more_than_twenty_and_one_in_twenty_notes_are_trouble(lost, known, many):
    assert notes.are_many(lost, known) is many


class TestInTime:
    def test_a_worker_that_was_frozen_does_not_write_a_note_somebody_repeated(self, acme, sandbox, open_delivery):
        row = acme.purchase("12.50")
        sandbox.faults.add("drop_before", **NOTE)
        acme.sync()
        frozen = export_of(row)
        repeated = clock.now()
        frozen.note_at = repeated - timedelta(minutes=12)
        Export.objects.update(note_state="sent", note_at=repeated)
        before = note_calls(acme)
        with open_delivery() as slices:
            slices.notes([frozen])
            slices.drain(lambda: None)
        assert note_calls(acme) == before
        assert export_of(row).note_at == repeated

    def test_a_note_that_waited_too_long_for_its_turn_gets_a_new_mark_first(self, acme, sandbox, open_delivery):
        row = acme.purchase("12.50")
        sandbox.faults.add("drop_before", **NOTE)
        acme.sync()
        old = clock.now() - timedelta(minutes=1)
        Export.objects.update(note_state="sent", note_at=old)
        with open_delivery() as slices:
            slices.notes([export_of(row)])
            slices.drain(lambda: None)
        assert len(texts(acme, row)) == 1
        assert export_of(row).note_at > old

    def test_one_whose_turn_comes_too_late_is_marked_anew_before_it_leaves(self, acme, sandbox, settings):
        settings.PATIENCE = 0.02  # a note leaves within 0.6 seconds of its mark
        rows = [acme.purchase("1.00") for _ in range(12)]
        sandbox.faults.add("slow", **NOTE, seconds=1.2, times=delivery.WRITERS)
        acme.sync()
        [written] = zip(*(acme.pex.notes(row.transaction_id) for row in rows), strict=True)
        waits = [note.at - export_of(row).note_at for note, row in zip(written, rows, strict=True)]
        assert sum(wait > timedelta(seconds=1.1) for wait in waits) == delivery.WRITERS  # those PEX was slow with

    def test_notes_not_begun_are_given_back(self, acme, sandbox, travel):
        rows = [acme.purchase("1.00") for _ in range(60)]
        sandbox.faults.add("status", **NOTE, status=429, headers={"Retry-After": "40"}, skip=5, times=None)
        assert acme.sync().status == Status.SUCCESS
        assert Export.objects.filter(note_state="sent").count() == 5
        sandbox.faults.clear()
        travel(minutes=2)
        engine.settle(acme.connection.pk)
        assert sorted(len(texts(acme, row)) for row in rows) == [1] * 60


class TestRefused:
    def test_a_note_pex_refuses_is_tried_once_a_day_and_given_up_after_a_week(self, acme, sandbox, travel):
        row = acme.purchase("12.50")
        sandbox.faults.add("status", **NOTE, status=400, body='{"Message": "No notes here."}', times=None)
        acme.sync()
        assert export_of(row).says == "PEX did not take its note: PEX refused this: No notes here."
        for _ in range(3):
            travel(hours=1)
            acme.sync()
        assert note_calls(acme) == 1
        for _ in range(12):
            travel(days=1, minutes=5)
            acme.sync()
        assert note_calls(acme) == 7
        assert export_of(row).state == State.POSTED
        assert "No notes here." in export_of(row).says

    def test_once_pex_takes_it_the_row_says_nothing_more(self, acme, sandbox, travel):
        row = acme.purchase("12.50")
        sandbox.faults.add("status", **NOTE, status=400)
        acme.sync()
        travel(days=1, minutes=1)
        acme.sync()
        assert (export_of(row).says, len(texts(acme, row))) == ("", 1)


class TestBytesInFlight:
    def test_receipts_wait_until_their_bytes_fit(self):
        room, order = InFlight(100), []
        began = threading.Event()

        def carry() -> None:
            began.set()
            with room.hold(60):
                order.append("second")

        with room.hold(60):
            other = threading.Thread(target=carry)
            other.start()
            began.wait()
            with room.hold(40):
                order.append("small")
            order.append("first ends")
        other.join()
        assert order == ["small", "first ends", "second"]

    def test_one_larger_than_all_the_room_goes_alone(self):
        room = InFlight(10)
        with room.hold(25):
            pass
        with room.hold(10):
            pass

    def test_all_receipts_arrive_through_a_door_for_one(self, acme, monkeypatch):
        monkeypatch.setattr(delivery, "IN_FLIGHT", InFlight(1))
        for _ in range(12):
            acme.purchase("1.00", receipts=["png"])
        run = acme.sync()
        assert (run.receipts_done, run.receipts_failed) == (12, 0)
        assert sum(len(record.attachments) for record in acme.books.live()) == 12
