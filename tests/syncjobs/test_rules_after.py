"""After posting, and around it: notes, receipts, wake-ups that never come or come twice, and neighbours."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from connectors.models import Credential
from connectors.xero.connector import Xero
from pexsync import clock
from syncjobs import delivery, engine, ledger, runs, sweeper, tasks
from syncjobs.models import Export, ExportEvent, ExportReceipt, SyncRun
from syncjobs.transitions import TABLE, Cause, State
from tests import make
from tests.syncjobs.conftest import Died
from tests.syncjobs.following import NOTE, POST, export_of, key_of, posts, wait_for

pytestmark = pytest.mark.database

Status = SyncRun.Status
FETCH = {"system": "pex", "method": "GET", "path": "/Attachment/"}
UPLOAD = {"system": "xero-api", "method": "PUT", "path": "/Attachments/"}
NAMES = {"system": "xero-api", "method": "GET", "path": "/Attachments$"}


def go_on(world: make.World) -> None:
    """What sleeps is woken; where nothing does, somebody presses SYNC."""
    sleeping = sweeper.sleeping_runs()
    for run_id in sleeping:
        engine.advance(run_id)
    if not sleeping:
        world.sync()


# --- after posting ----------------------------------------------------------------------------------------------------


class TestAfter:
    """Rule L5: whatever becomes of note and receipts, the purchase is not posted again, and they come once."""

    @pytest.mark.parametrize(
        "fault",
        [
            {**NOTE, "kind": "drop_before"},
            {**NOTE, "kind": "status", "status": 500},
            {**NOTE, "kind": "status", "status": 429, "headers": {"Retry-After": "90"}},
            {**FETCH, "kind": "truncate", "times": 3},
            {**FETCH, "kind": "status", "status": 503, "times": 3},
            {**UPLOAD, "kind": "drop_after"},
            {**UPLOAD, "kind": "drop_before"},
            {**UPLOAD, "kind": "status", "status": 429, "headers": {"Retry-After": "90"}},
        ],
        ids=lambda fault: f"{fault['path'].strip('/$')}-{fault['kind']}-{fault.get('status', '')}",
    )
    def test_trouble_with_note_or_receipt_ends_with_one_of_each(self, acme, sandbox, travel, fault):
        row = acme.purchase("12.50", receipts=["png"])
        acme.purchase("1.00")
        sandbox.faults.add(**fault)
        acme.sync()
        assert export_of(row).state == State.POSTED
        for _ in range(3):
            travel(minutes=11)
            go_on(acme)
        [record] = acme.books.with_reference(key_of(row))
        assert (len(acme.pex.notes(row.transaction_id)), len(record.attachments)) == (1, 1)
        assert (posts(acme), len(acme.books.live())) == (1, 2)

    @pytest.mark.parametrize(
        "fault", [{**NOTE, "kind": "status", "status": 400}, {**UPLOAD, "kind": "status", "status": 400}]
    )
    def test_what_is_refused_for_good_is_told_and_posts_nothing(self, acme, sandbox, travel, fault):
        row = acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add(**fault, times=None)
        for _ in range(3):
            acme.sync()
            travel(minutes=11)
        assert (export_of(row).state, posts(acme)) == (State.POSTED, 1)
        assert export_of(row).says or ExportReceipt.objects.get().says

    @pytest.mark.parametrize(
        ("module", "name", "when"),
        [
            (ledger, "accepted", "after"),
            (delivery.Delivery, "_save_lists", "before"),
            (delivery.Delivery, "drain", "after"),
        ],
    )
    def test_a_worker_that_dies_after_posting_leaves_no_second_record_note_or_receipt(
        self, acme, travel, crash, module, name, when
    ):
        row = acme.purchase("12.50", receipts=["png", "pdf"])
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        runs.confirm(run, acme.user)
        crash(module, name, when)
        with pytest.raises(Died):
            engine.advance(run.pk)
        assert export_of(row).state == State.POSTED
        for _ in range(3):
            travel(minutes=11)
            engine.advance(run.pk)
        acme.sync()
        [record] = acme.books.live()
        assert (len(acme.pex.notes(row.transaction_id)), len(record.attachments), posts(acme)) == (1, 2, 1)

    def test_a_receipt_goes_under_the_same_name_however_often_it_goes(self, acme, sandbox):
        row = acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add("drop_after", **UPLOAD)
        sandbox.faults.add("status", **NAMES, status=500, times=3)
        acme.sync()
        assert ExportReceipt.objects.get().state == ExportReceipt.State.ATTACHED
        uploads = [call.path for call in sandbox.calls.matching("xero-api", "PUT", "/Attachments/")]
        assert (len(uploads), len(set(uploads))) == (2, 1)
        [record] = acme.books.live()
        assert len(record.attachments) == 1
        [receipt] = row.attachments
        assert delivery.file_name(row.transaction_id, receipt.attachment_id, "png") == record.attachments[0].file_name


# --- wake-ups ---------------------------------------------------------------------------------------------------------


class Messages:
    """What is said to the workers. Nothing is carried to them but by `deliver`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[tuple[Callable[[int], None], int]] = []
        for task, work in ((tasks.advance, engine.advance), (tasks.settle, engine.settle)):
            monkeypatch.setattr(task, "apply_async", self._keeping(work))

    def _keeping(self, work: Callable[[int], None]) -> Callable[..., None]:
        def keep(arguments: tuple[int], **options: Any) -> None:
            self.waiting.append((work, arguments[0]))

        return keep

    def lose(self) -> None:
        self.waiting.clear()

    def take(self) -> list[tuple[Callable[[int], None], int]]:
        taken, self.waiting = self.waiting, []
        return taken


@pytest.fixture
def messages(monkeypatch) -> Messages:
    return Messages(monkeypatch)


def done(world: make.World, rows: list[Any], receipts: int) -> None:
    """Each purchase is in the books once, with its note and its receipts, and no run is open."""
    assert Counter(record.reference for record in world.books.live()) == {key_of(row): 1 for row in rows}
    assert [len(world.pex.notes(row.transaction_id)) for row in rows] == [1] * len(rows)
    assert sum(len(record.attachments) for record in world.books.live()) == receipts
    assert not SyncRun.objects.filter(status__in=SyncRun.ALIVE).exists()
    moves = {(move.event, before, move.after) for move in TABLE for before in move.before or {""}}
    assert {(event.event, event.before, event.after) for event in ExportEvent.objects.all()} <= moves


class TestWakeUps:
    """Rule L7: the database is the truth, a message a wake-up."""

    def person(self, world: make.World) -> None:
        """Somebody looks at the page and confirms what is asked."""
        for run in SyncRun.objects.filter(status=Status.PAUSED, confirmed_at=None).exclude(preview=[]):
            runs.confirm(run, world.user)

    def test_with_every_message_lost_the_sweeper_brings_a_sync_to_its_end(self, acme, sandbox, travel, messages):
        rows = [acme.purchase("12.50", receipts=["png"]), acme.purchase("3.00"), acme.purchase("4.00")]
        sandbox.faults.add("late_commit", **POST, seconds=60)
        sandbox.faults.add("drop_before", **NOTE)
        run = runs.start(acme.connection, acme.user)
        for _ in range(40):
            messages.lose()
            for run_id in sweeper.sleeping_runs():
                engine.advance(run_id)
            for connection_id in sweeper.unsettled_connections():
                engine.settle(connection_id)
            self.person(acme)
            travel(minutes=1)
        run.refresh_from_db()
        assert (run.status, run.rows_due) == (Status.PARTIAL, 3)
        acme.sync()
        done(acme, rows, receipts=1)

    def test_messages_that_come_twice_late_and_in_any_order_do_no_harm(self, acme, sandbox, travel, messages):
        dice = random.Random(4711)  # a schedule, no secret
        rows = [acme.purchase("12.50", receipts=["png"]), acme.purchase("3.00"), acme.purchase("4.00")]
        sandbox.faults.add("late_commit", **POST, seconds=300)
        runs.start(acme.connection, acme.user)
        old: list[tuple[Callable[[int], None], int]] = [(engine.settle, acme.connection.pk)]  # of an hour ago
        for minute in range(20):
            if minute == 7:
                wait_for(lambda: len(acme.books.live()) == 3)
            sweeper.sweep()
            old += messages.take()
            for work, about in dice.sample(old, len(old)) * 2:
                work(about)
            self.person(acme)
            travel(minutes=1)
        done(acme, rows, receipts=1)
        assert posts(acme) == 1

    def test_a_run_that_waits_for_a_person_or_has_ended_is_not_moved_by_messages(self, acme, sandbox, messages):
        acme.purchase("12.50")
        run = runs.start(acme.connection, acme.user)
        [first] = messages.take()
        engine.advance(run.pk)
        for confirmed in (False, True):
            if confirmed:
                runs.confirm(run, acme.user)
                engine.advance(run.pk)
            sandbox.calls.clear()
            was = SyncRun.objects.values().get()
            for work, about in [first, *messages.take()] * 2:
                work(about)
            assert sandbox.calls.calls == []
            assert SyncRun.objects.values().get() == was
        assert was["status"] == Status.SUCCESS

    def test_the_sweeper_wakes_again_whom_nobody_woke(self, acme, messages):
        run = runs.start(acme.connection, acme.user)
        assert messages.take() == [(engine.advance, run.pk)]
        for _ in range(2):
            sweeper.sweep()
            assert messages.take() == [(engine.advance, run.pk)]

    def test_what_a_dead_worker_still_owed_is_delivered_without_any_run(self, acme, sandbox, travel, crash):
        acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        travel(minutes=11)
        crash(engine, "_deliver")
        with pytest.raises(Died):
            engine.settle(acme.connection.pk)
        [record] = acme.books.live()
        assert (Export.objects.get().state, record.attachments) == (State.POSTED, [])
        travel(minutes=11)
        assert sweeper.unsettled_connections() == [acme.connection.pk]
        engine.settle(acme.connection.pk)
        assert len(record.attachments) == 1

    def test_a_run_ends_with_its_documents_and_what_is_under_way_is_counted_beside_it(self, acme, sandbox, travel):
        row = acme.purchase("12.50", receipts=["png"])
        [receipt] = row.attachments
        acme.pex.change_receipt(row, receipt.attachment_id, status="NotLoaded")
        acme.purchase("3.00", merchant="Home Depot")
        sandbox.faults.add("drop_after", **POST, skip=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Xero, "batch_size", 1)
            run = acme.sync()
        assert (run.status, run.rows_due, run.rows_posted) == (Status.PARTIAL, 2, 1)
        assert "1 is being checked with Xero" in run.says
        assert "1 receipt was still to follow" in run.says
        assert Export.objects.filter(run=run, state=State.SENT).count() == 1


# --- neighbours -------------------------------------------------------------------------------------------------------


class TestTwoBusinessesInOneCompany:
    @pytest.fixture
    def rival(self, acme, sandbox) -> make.World:
        """Another business whose purchases go to the same organisation and the same bank account."""
        rival = make.world(sandbox, name="Rival Interiors", business_id=6630, username="riva.admin")
        xero = sandbox.worlds["xero"]
        tokens = xero.grant(xero.add_user("riva.too", "riva@example.com", [acme.books]), [acme.books])
        until = clock.now() + (acme.connection.credential.expires_at - acme.connection.installed_at)
        credential = Credential.store(rival.business, "xero", rival.user, make.xero_secret(tokens), until)
        rival.connection.credential, rival.connection.company = credential, acme.books.id
        rival.connection.settings |= {"pex_account": acme.connection.settings["pex_account"]}
        rival.connection.save()
        rival.books = acme.books
        return rival

    def test_each_ones_purchases_are_there_once_though_they_are_equal(self, acme, rival):
        rows = [world.purchase("12.50") for world in (acme, rival, acme, rival)]
        assert acme.connection.target == rival.connection.target
        assert [acme.sync().rows_posted, rival.sync().rows_posted] == [2, 2]
        assert Counter(record.reference for record in acme.books.live()) == {key_of(row): 1 for row in rows}
        assert [acme.sync().rows_posted, rival.sync().rows_posted] == [0, 0]
        assert len(acme.books.live()) == 4

    def test_one_waits_while_the_other_posts(self, acme, rival, freeze):
        acme.purchase("12.50")
        rival.purchase("12.50")
        run = runs.start(rival.connection, rival.user)
        seen: list[Mapping[str, Any]] = []

        def the_other_wants_to() -> None:
            before = len(acme.sandbox.calls.calls)
            engine.advance(run.pk)
            seen.append({"calls": len(acme.sandbox.calls.calls) - before, "sleeping": sweeper.sleeping_runs()})

        freeze(Xero, "post", the_other_wants_to)
        acme.sync()
        assert seen == [{"calls": 0, "sleeping": []}]
        assert sweeper.sleeping_runs() == [run.pk]

    def test_a_row_in_doubt_is_settled_by_its_own_business(self, acme, rival, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", **POST)
        acme.sync()
        rival.purchase("12.50")
        rival.sync()
        travel(minutes=11)
        assert sweeper.unsettled_connections() == [acme.connection.pk]
        engine.settle(rival.connection.pk)
        assert Export.objects.get(business=acme.business).state == State.SENT
        engine.settle(acme.connection.pk)
        assert set(Export.objects.values_list("state", flat=True)) == {State.POSTED}
        assert len(acme.books.live()) == 2


# --- notes somebody else wrote ----------------------------------------------------------------------------------------


class TestNotesOfOthers:
    def noted(self, world: make.World, text: str, system: bool) -> Any:
        row = world.purchase("12.50")
        world.pex.add_note(row, text.format(key=key_of(row)), system=system)
        world.purchase("1.00")
        world.sync()
        return row

    def test_our_note_with_the_rows_key_sends_nothing_while_the_books_do_not_hold_it(self, acme):
        row = self.noted(acme, "Synced with Xero · {key}", system=True)
        export = export_of(row)
        assert (export.state, export.cause) == (State.HELD, Cause.UNRESOLVED)
        assert f"synced as {key_of(row)}" in export.says
        assert acme.books.with_reference(key_of(row)) == []

    def test_with_its_record_in_the_books_the_row_is_posted_and_gets_no_second_note(self, acme):
        row = acme.purchase("12.50")
        acme.pex.add_note(row, f"Synced with Xero · {key_of(row)}", system=True)
        acme.books.post_by_hand(key_of(row), "12.50", date=clock.today() - timedelta(days=1))
        acme.sync()
        assert export_of(row).state == State.POSTED
        assert (len(acme.books.live()), len(acme.pex.notes(row.transaction_id)), posts(acme)) == (1, 1, 0)

    @pytest.mark.parametrize(
        ("text", "system", "becomes"),
        [
            ("Synced with Xero · {key}", False, (State.HELD, Cause.NOTE_BY_HAND)),
            ("Synced with Xero · PEXT1", True, (State.HELD, Cause.NOTE_BY_HAND)),
            ("Synced with Xero", True, (State.CLOSED, "synced_before")),
            ("Synced with QuickBooks", True, (State.POSTED, "")),
        ],
    )
    def test_other_notes(self, acme, text, system, becomes):
        row = self.noted(acme, text, system)
        assert (export_of(row).state, export_of(row).cause) == becomes
        assert len(acme.books.with_reference(key_of(row))) == (becomes[0] == State.POSTED)
