"""What one SYNC does to both companies, and what can go wrong on the way."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from connectors.models import Connection, Credential
from pexsync import clock
from pexsync.accounts.tenancy import everywhere, reading
from syncjobs import engine, ledger, runs, sending, sweeper
from syncjobs.models import Export, ExportEvent, ExportReceipt, PexTransaction, RunResult, SyncRun, Tally
from syncjobs.transitions import TABLE, Cause, Closed, Event, State
from tests import make
from tests.syncjobs.conftest import Died

pytestmark = pytest.mark.database

Status = SyncRun.Status


def books(world) -> list[tuple[str, Decimal]]:
    return sorted((record.type, Decimal(record.total)) for record in world.books.live())


def only_export() -> Export:
    return Export.objects.get()


def check_the_ledger(world) -> None:
    """What must hold whatever happened: the tally counts the rows, each row's log is a path of the table."""
    counted = Counter()
    for row in Export.objects.filter(business=world.business):
        counted[row.settled_on.replace(day=1), row.kind, row.state] += 1
    told = Counter()
    for row in Tally.objects.filter(business=world.business):
        told[row.month, row.kind, row.state] += row.count
    assert +told == counted
    moves = {
        (event, before, after) for m in TABLE for event, after in [(m.event, m.after)] for before in m.before or {""}
    }
    for event in ExportEvent.objects.filter(business=world.business):
        assert (event.event, event.before, event.after) in moves
    for row in Export.objects.filter(business=world.business):
        assert ExportEvent.objects.filter(export=row).order_by("pk").last().after == row.state


class TestPosting:
    def test_purchases_appear_in_xero_exactly_as_pex_says(self, acme):
        tag = acme.expense_tag.tag_id
        acme.purchase("12.50")
        acme.purchase("84.20", splits=[("52.00", {tag: "429"}), ("32.20", {tag: "449"})])
        acme.purchase("-7.00", merchant="Target")
        run = acme.sync()
        assert run.status == Status.SUCCESS, run.says
        assert books(acme) == [
            ("RECEIVE", Decimal("7.00")),
            ("SPEND", Decimal("12.50")),
            ("SPEND", Decimal("84.20")),
        ]
        assert (run.rows_posted, run.rows_due, run.rows_failed) == (3, 3, 0)
        assert run.amount_posted == Decimal("89.70")
        check_the_ledger(acme)

    def test_each_purchase_gets_one_note_with_its_key_and_every_receipt(self, acme):
        row = acme.purchase("12.50", receipts=["png", "pdf"])
        run = acme.sync()
        [note] = acme.pex.notes(row.transaction_id)
        assert note.text == f"Synced with Xero · PEXT{row.transaction_id}"
        [record] = acme.books.live()
        assert sorted(name.file_name[-4:] for name in record.attachments) == [".pdf", ".png"]
        assert (run.receipts_due, run.receipts_done, run.receipts_failed) == (2, 2, 0)

    def test_a_second_run_writes_nothing(self, acme, sandbox):
        acme.purchase("12.50", receipts=["png"])
        acme.sync()
        sandbox.calls.clear()
        run = acme.sync()
        assert run.status == Status.SUCCESS
        assert sandbox.calls.writes("xero-api") == []
        assert sandbox.calls.writes("pex") == []
        assert len(acme.books.live()) == 1

    def test_the_first_sync_asks_once_before_anything_is_posted(self, acme):
        acme.purchase("12.50")
        acme.purchase("7.00", account=None)
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.PAUSED
        [line] = run.preview
        assert (line["kind"], line["count"], line["sum"], line["blocked"]) == ("purchase", 1, "12.50", 1)
        assert acme.books.live() == []
        assert not Export.objects.exists()
        engine.advance(run.pk)
        assert acme.books.live() == []
        runs.confirm(run, acme.user)
        engine.advance(run.pk)
        assert len(acme.books.live()) == 1
        acme.connection.refresh_from_db()
        assert acme.connection.preview_confirmed["purchase"]["by"] == "ann.admin"
        acme.purchase("3.00")
        assert acme.sync().preview == []

    def test_more_purchases_than_a_batch_go_in_batches(self, acme, sandbox):
        for number in range(120):
            acme.purchase(f"{number + 1}.00")
        run = acme.sync()
        assert run.rows_posted == 120
        assert len(sandbox.calls.matching("xero-api", "PUT", "BankTransactions")) == 3
        check_the_ledger(acme)

    def test_two_businesses_never_meet(self, acme, sandbox):
        rival = make.world(sandbox, name="Rival Interiors", business_id=6630, username="riva.admin")
        acme.purchase("12.50")
        rival.purchase("99.00")
        acme.sync()
        assert books(acme) == [("SPEND", Decimal("12.50"))]
        assert rival.books.live() == []
        rival.sync()
        assert books(rival) == [("SPEND", Decimal("99.00"))]


@pytest.mark.walls
def test_a_sync_from_start_to_end_stays_within_its_tenants_walls(acme, sandbox, travel):
    """Marked `walls`: on PostgreSQL no row is seen outside a scope, so every query of the engine must be in one."""
    rival = make.world(sandbox, name="Rival Interiors", business_id=6630, username="riva.admin")
    acme.purchase("12.50", receipts=["png"])
    acme.purchase("7.25", account=None)
    rival.purchase("99.00")
    sandbox.faults.add("drop_after", system="xero-api", method="PUT", path="/BankTransactions$")
    assert acme.sync().status == Status.PARTIAL
    travel(minutes=11)
    sweeper.sweep()
    engine.settle(acme.connection.pk)
    assert rival.sync().status == Status.SUCCESS
    assert books(acme) == [("SPEND", Decimal("12.50"))]
    assert books(rival) == [("SPEND", Decimal("99.00"))]
    with everywhere():
        assert {row.business_id for row in Export.objects.all()} == {acme.business.pk, rival.business.pk}
    with reading(acme.business.pk):
        rows = Export.objects.all() if connection.vendor == "postgresql" else acme.business.exports.all()
        assert {row.business_id for row in rows} == {acme.business.pk}


class TestWhatIsNotDue:
    def test_pending_and_declined_rows_never_reach_the_ledger(self, acme):
        acme.purchase("12.50", settled=None)
        acme.pex.add_decline(amount="50.00")
        assert acme.sync().status == Status.SUCCESS
        assert not Export.objects.exists()

    def test_a_hold_that_settled_under_another_id_leaves_the_mirror(self, acme, travel):
        hold = acme.purchase("12.50", settled=None)
        acme.sync()
        assert PexTransaction.objects.get().pending
        acme.pex.settle(hold, amount="13.00", at=clock.now())
        acme.sync()
        [row] = PexTransaction.objects.all()
        assert (row.pending, row.amount) == (False, Decimal("13.00"))

    def test_an_unapproved_purchase_waits_and_goes_once_it_is_approved(self, acme):
        row = acme.purchase("12.50", approval="NotReviewed")
        acme.purchase("1.00")
        run = acme.sync()
        assert run.status == Status.SUCCESS
        assert run.rows_waiting == 1
        waiting = Export.objects.get(waiting="approval")
        assert waiting.says == "Waiting for approval in PEX."
        acme.pex.set_approval(row, "Approved")
        acme.sync()
        assert len(acme.books.live()) == 2
        check_the_ledger(acme)

    def test_an_untagged_purchase_says_what_to_do_and_the_others_go(self, acme):
        acme.purchase("12.50", account=None)
        acme.purchase("1.00")
        run = acme.sync()
        assert run.status == Status.PARTIAL
        assert run.says == "1 needs you."
        assert (run.rows_posted, run.rows_due) == (1, 2)
        result = RunResult.objects.get(run=run)
        assert result.says.startswith("No Expense Account tag.")
        assert result.cause == "untagged:account"

    def test_a_retagged_purchase_goes_with_the_next_run(self, acme):
        row = acme.purchase("12.50", account="nonsense")
        acme.purchase("1.00")
        acme.sync()
        acme.pex.tag(row, {acme.expense_tag.tag_id: "449"})
        run = acme.sync()
        assert run.status == Status.SUCCESS
        assert len(acme.books.live()) == 2

    def test_a_split_that_does_not_sum_is_rejected_alone(self, acme):
        tag = acme.expense_tag.tag_id
        acme.purchase("10.00", splits=[("5.00", {tag: "429"}), ("4.99", {tag: "449"})])
        acme.purchase("1.00")
        acme.sync()
        assert books(acme) == [("SPEND", Decimal("1.00"))]
        assert "add up to 9.99" in Export.objects.get(waiting="coding").says

    def test_nought_is_closed_as_nothing_to_book(self, acme):
        acme.purchase("0.00")
        acme.purchase("1.00")
        acme.sync()
        assert Export.objects.get(state=State.CLOSED).cause == Closed.NOTHING
        check_the_ledger(acme)

    def test_a_closed_period_waits_with_its_lock_date(self, acme):
        acme.purchase("12.50", settled=clock.now() - timedelta(days=20), happened=clock.now() - timedelta(days=21))
        acme.purchase("1.00")
        acme.books.period_lock_date = clock.today() - timedelta(days=10)
        acme.sync()
        assert books(acme) == [("SPEND", Decimal("1.00"))]
        assert Export.objects.get(waiting="period").says.startswith("Closed to ")

    def test_a_row_of_an_unknown_kind_is_kept_and_not_posted(self, acme):
        acme.pex.add_business_row(category="MysteryMovement", amount="5.00", description="?")
        acme.purchase("1.00")
        acme.sync()
        assert PexTransaction.objects.get(category="MysteryMovement").kind == ""
        assert len(acme.books.live()) == 1

    def test_a_note_typed_by_hand_holds_the_row(self, acme):
        row = acme.purchase("12.50")
        acme.pex.add_note(row, "Synced with Xero", system=False)
        acme.purchase("1.00")
        acme.sync()
        assert Export.objects.get(state=State.HELD).cause == Cause.NOTE_BY_HAND
        assert len(acme.books.live()) == 1
        check_the_ledger(acme)

    def test_the_original_connectors_note_closes_the_row(self, acme):
        row = acme.purchase("12.50")
        acme.pex.add_note(row, "Synced with Xero", system=True)
        acme.purchase("1.00")
        acme.sync()
        assert Export.objects.get(state=State.CLOSED).cause == Closed.SYNCED_BEFORE


class TestNoAnswer:
    @pytest.mark.parametrize("fault", ["drop_after", "status_after", "truncate"])
    def test_an_answer_lost_after_the_commit_never_posts_twice(self, acme, sandbox, travel, fault):
        row = acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add(fault, system="xero-api", method="PUT", path="/BankTransactions$", status=502)
        run = acme.sync()
        assert run.status == Status.PARTIAL
        assert run.says == "1 is being checked with Xero."
        assert only_export().state == State.SENT
        acme.sync()
        assert len(acme.books.live()) == 1
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        assert only_export().state == State.POSTED
        assert len(acme.books.live()) == 1
        assert len(acme.pex.notes(row.transaction_id)) == 1
        check_the_ledger(acme)

    @pytest.mark.parametrize("fault", ["drop_before", "status"])
    def test_what_never_arrived_is_sent_again_by_itself(self, acme, sandbox, travel, fault):
        acme.purchase("12.50")
        sandbox.faults.add(fault, system="xero-api", method="PUT", path="/BankTransactions$", status=503)
        acme.sync()
        assert only_export().state == State.SENT
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        assert only_export().state == State.POSTED
        assert len(acme.books.live()) == 1
        check_the_ledger(acme)

    def test_nothing_is_decided_before_patience_ran_out(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_before", system="xero-api", method="PUT", path="/BankTransactions$")
        acme.sync()
        travel(minutes=5)
        engine.settle(acme.connection.pk)
        acme.sync()
        assert only_export().state == State.SENT
        assert acme.books.live() == []

    def test_a_row_found_after_no_answer_is_looked_at_once_more_a_day_later(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", system="xero-api", method="PUT", path="/BankTransactions$")
        acme.sync()
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        assert only_export().next_look is not None
        [record] = acme.books.live()
        acme.books.post_by_hand(record.reference, "12.50")
        travel(hours=25)
        engine.settle(acme.connection.pk)
        assert (only_export().state, only_export().cause) == (State.HELD, Cause.DOUBLED)

    def test_a_reference_edited_meanwhile_is_still_found(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_after", system="xero-api", method="PUT", path="/BankTransactions$")
        acme.sync()
        [record] = acme.books.live()
        acme.books.edit(record.id, reference="edited by a bookkeeper")
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        assert only_export().state == State.POSTED
        assert len(acme.books.live()) == 1


class TestDyingWorkers:
    @pytest.mark.parametrize(
        ("module", "name", "when"),
        [
            (ledger, "claim", "before"),
            (ledger, "claim", "after"),
            (ledger, "accepted", "before"),
            (ledger, "accepted", "after"),
            (ledger, "admit", "after"),
            (sending, "settle", "after"),
            (engine, "_deliver", "before"),
            (engine, "_finish", "before"),
        ],
    )
    def test_wherever_the_worker_dies_each_purchase_ends_up_once(self, acme, travel, crash, module, name, when):
        rows = [acme.purchase("12.50", receipts=["png"]), acme.purchase("7.25")]
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        runs.confirm(run, acme.user)
        crash(module, name, when)
        with pytest.raises(Died):
            engine.advance(run.pk)
        for _ in range(3):
            engine.advance(run.pk)
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        travel(minutes=11)
        acme.sync()
        assert books(acme) == [("SPEND", Decimal("7.25")), ("SPEND", Decimal("12.50"))]
        assert {row.state for row in Export.objects.all()} == {State.POSTED}
        assert [len(acme.pex.notes(row.transaction_id)) for row in rows] == [1, 1]
        assert sum(len(record.attachments) for record in acme.books.live()) == 1
        assert not SyncRun.objects.filter(status__in=SyncRun.ALIVE).exists()
        check_the_ledger(acme)

    def test_a_slice_that_lost_its_lease_claims_nothing(self, acme, monkeypatch):
        acme.purchase("12.50")
        from syncjobs.models import Lease

        original = ledger.claim

        def robbed(*args, **kwargs):
            Lease.objects.update(holder="somebody else")
            return original(*args, **kwargs)

        monkeypatch.setattr(ledger, "claim", robbed)
        run = acme.sync()
        assert run.status == Status.PAUSED
        assert acme.books.live() == []
        assert only_export().state == State.DUE

    def test_a_late_answer_after_the_row_moved_on_changes_nothing(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_before", system="xero-api", method="PUT", path="/BankTransactions$")
        acme.sync()
        stale = only_export()
        batch = ledger.Batch(stale.batch, stale.sent_at, {"PEXT1": stale})
        travel(minutes=11)
        engine.settle(acme.connection.pk)
        posted = only_export()
        actor = ledger.Actor(acme.business.pk, "sender")
        assert ledger.accepted(actor, batch, {"PEXT1": sending.Posted("another-record")}, ledger.Owed(True, True)) == []
        assert only_export().record_id == posted.record_id

    def test_a_run_that_keeps_crashing_ends_with_a_reference(self, acme, monkeypatch):
        acme.purchase("12.50")

        def broken(*args, **kwargs):
            raise RuntimeError("a bug of ours")

        monkeypatch.setattr(sending, "send", broken)
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        runs.confirm(run, acme.user)
        for _ in range(engine.CRASHES):
            with pytest.raises(RuntimeError):
                engine.advance(run.pk)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.FAILED
        assert f"run-{run.pk}" in run.says


class TestRefusals:
    def test_one_refused_purchase_fails_alone_with_a_sentence(self, acme, monkeypatch):
        acme.purchase("12.50")
        acme.purchase("1.00", account="449")
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        runs.confirm(run, acme.user)
        original = ledger.claim

        def archive_meanwhile(*args, **kwargs):
            next(one for one in acme.books.accounts.values() if one.code == "449").status = "ARCHIVED"
            return original(*args, **kwargs)

        monkeypatch.setattr(ledger, "claim", archive_meanwhile)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.PARTIAL
        refused = Export.objects.get(waiting="refused")
        assert "archived" in refused.says
        assert refused.target == ""
        assert books(acme) == [("SPEND", Decimal("12.50"))]
        check_the_ledger(acme)

    def test_settings_no_row_gets_past_stop_the_run_and_stand_on_the_settings_page(self, acme):
        acme.purchase("12.50")
        acme.set(pex_account="gone")
        run = acme.sync()
        assert run.status == Status.FAILED
        acme.connection.refresh_from_db()
        assert "PEX account" in acme.connection.settings_problem
        assert run.says == acme.connection.settings_problem

    def test_mended_settings_clear_the_problem(self, acme):
        acme.purchase("12.50")
        good = acme.connection.settings["pex_account"]
        acme.set(pex_account="gone")
        acme.sync()
        acme.connection.refresh_from_db()
        acme.set(pex_account=good)
        assert acme.sync().status == Status.SUCCESS
        acme.connection.refresh_from_db()
        assert acme.connection.settings_problem == ""

    def test_a_dead_pex_sign_in_ends_the_run_and_is_remembered(self, acme):
        acme.purchase("12.50")
        acme.admin.deactivate()
        run = acme.sync()
        assert run.status == Status.FAILED
        assert "no longer active" in run.says
        assert Credential.objects.get(system="pex").state == Credential.State.DEAD
        acme.connection.refresh_from_db()
        assert acme.connection.state == Connection.State.READY

    def test_a_missing_permission_is_named(self, acme):
        acme.purchase("12.50")
        acme.admin.permissions.discard("ModifyTransactionNotes")
        run = acme.sync()
        assert run.status == Status.FAILED
        assert "Modify transaction notes" in run.says
        assert acme.books.live() == []

    def test_a_disconnected_organisation_becomes_a_session_failure(self, acme, sandbox):
        acme.purchase("12.50")
        sandbox.worlds["xero"].disconnect(acme.books)
        run = acme.sync()
        assert run.status == Status.FAILED
        acme.connection.refresh_from_db()
        assert acme.connection.state == Connection.State.FAILED


class TestTrouble:
    @pytest.mark.parametrize(
        "fault",
        [
            {
                "kind": "status",
                "status": 502,
                "body": "<html>bad gateway</html>",
                "content_type": "text/html",
                "times": 9,
            },
            {"kind": "truncate", "times": 9},
            {"kind": "drop_before", "times": 9},
            {"kind": "status", "status": 429, "headers": {"Retry-After": "7"}, "times": 1},
        ],
    )
    @pytest.mark.parametrize("where", [("pex", "AllCardholderTransactions"), ("xero-api", "/Accounts")])
    def test_trouble_while_reading_pauses_the_run_and_it_goes_on_by_itself(self, acme, sandbox, travel, fault, where):
        acme.purchase("12.50")
        sandbox.faults.add(system=where[0], path=where[1], **fault)
        run = acme.sync()
        assert run.status == Status.PAUSED
        assert run.says
        sandbox.faults.clear()
        travel(minutes=20)
        engine.advance(run.pk)
        run.refresh_from_db()
        if run.preview and not run.confirmed_at:
            runs.confirm(run, acme.user)
            engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.SUCCESS
        assert len(acme.books.live()) == 1

    def test_a_limit_while_sending_puts_the_rows_back(self, acme, sandbox, travel):
        acme.purchase("12.50")
        headers = {"Retry-After": "40", "X-Rate-Limit-Problem": "minute"}
        sandbox.faults.add(
            "status", system="xero-api", method="PUT", path="/BankTransactions$", status=429, headers=headers
        )
        run = acme.sync()
        assert run.status == Status.PAUSED
        assert only_export().state == State.DUE
        engine.advance(run.pk)
        assert acme.books.live() == []
        travel(seconds=41)
        engine.advance(run.pk)
        assert len(acme.books.live()) == 1
        check_the_ledger(acme)

    def test_a_person_cancels_before_anything_was_sent(self, acme):
        acme.purchase("12.50")
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        runs.cancel(run, acme.user)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.CANCELLED
        assert acme.books.live() == []

    def test_cancelled_between_two_batches_the_rest_goes_with_the_next_run(self, acme, monkeypatch):
        for number in range(60):
            acme.purchase(f"{number + 1}.00")
        run = runs.start(acme.connection, acme.user)
        engine.advance(run.pk)
        runs.confirm(run, acme.user)
        original = ledger.accepted

        def and_then_cancel(*args, **kwargs):
            moved = original(*args, **kwargs)
            runs.cancel(run, acme.user)
            return moved

        monkeypatch.setattr(ledger, "accepted", and_then_cancel)
        engine.advance(run.pk)
        monkeypatch.setattr(ledger, "accepted", original)
        run.refresh_from_db()
        assert run.status == Status.CANCELLED
        assert run.rows_posted == 50
        assert acme.sync().rows_posted == 10
        assert len(acme.books.live()) == 60
        assert all(len(acme.pex.notes(row.pex_id)) == 1 for row in Export.objects.all())

    def test_a_second_press_says_that_one_is_running(self, acme):
        runs.start(acme.connection, acme.user)
        with pytest.raises(runs.CannotStart, match="already running"):
            runs.start(acme.connection, acme.user)


class TestReceiptsAndNotes:
    def test_a_lost_answer_to_a_note_is_not_a_second_note(self, acme, sandbox, travel):
        row = acme.purchase("12.50")
        sandbox.faults.add("drop_after", system="pex", method="POST", path="/Note")
        acme.sync()
        travel(minutes=11)
        acme.sync()
        assert len(acme.pex.notes(row.transaction_id)) == 1

    def test_a_note_that_never_arrived_is_written_by_a_later_run(self, acme, sandbox, travel):
        row = acme.purchase("12.50")
        sandbox.faults.add("drop_before", system="pex", method="POST", path="/Note")
        acme.sync()
        assert acme.pex.notes(row.transaction_id) == []
        acme.sync()
        assert acme.pex.notes(row.transaction_id) == []
        travel(minutes=11)
        acme.sync()
        assert len(acme.pex.notes(row.transaction_id)) == 1

    def test_a_note_seen_in_a_later_read_is_remembered_as_seen(self, acme):
        acme.purchase("12.50")
        acme.sync()
        assert only_export().note_state == "sent"
        acme.sync()
        assert only_export().note_state == "seen"

    @pytest.mark.parametrize(
        ("facts", "says"),
        [({"status": "HasMalware"}, "malware"), ({"status": "LoadFailed"}, "could not load")],
    )
    def test_a_bad_receipt_is_told_on_its_row_and_the_purchase_is_posted(self, acme, facts, says):
        row = acme.purchase("12.50", receipts=["png"])
        [receipt] = row.attachments
        acme.pex.change_receipt(row, receipt.attachment_id, **facts)
        run = acme.sync()
        assert run.status == Status.PARTIAL
        assert len(acme.books.live()) == 1
        told = ExportReceipt.objects.get()
        assert told.state == ExportReceipt.State.FAILED
        assert says in told.says

    def test_a_receipt_that_is_no_picture_is_told_on_its_row(self, acme):
        acme.purchase("12.50", receipts=[b"not a picture at all"])
        run = acme.sync()
        assert run.receipts_failed == 1
        assert "no picture" in ExportReceipt.objects.get().says

    def test_a_receipt_pex_still_loads_goes_with_a_later_run(self, acme, travel):
        row = acme.purchase("12.50", receipts=["png"])
        [receipt] = row.attachments
        acme.pex.change_receipt(row, receipt.attachment_id, status="NotLoaded")
        assert acme.sync().status == Status.SUCCESS
        acme.pex.change_receipt(row, receipt.attachment_id, status="Loaded")
        travel(minutes=6)
        acme.sync()
        assert [len(record.attachments) for record in acme.books.live()] == [1]

    def test_receipts_can_be_switched_off(self, acme, sandbox):
        acme.purchase("12.50", receipts=["png"])
        acme.set(receipts=False)
        assert acme.sync().status == Status.SUCCESS
        assert sandbox.calls.matching("pex", "GET", "Attachments") == []

    def test_a_lost_answer_to_an_upload_leaves_one_receipt(self, acme, sandbox):
        acme.purchase("12.50", receipts=["png"])
        sandbox.faults.add("drop_after", system="xero-api", method="PUT", path="/Attachments/")
        acme.sync()
        assert [len(record.attachments) for record in acme.books.live()] == [1]
        assert ExportReceipt.objects.get().state == ExportReceipt.State.ATTACHED


class TestAdoption:
    def test_a_record_the_ledger_forgot_is_adopted_not_doubled(self, acme):
        acme.purchase("12.50")
        acme.sync()
        _forget_everything()
        acme.connection.refresh_from_db()
        run = acme.sync()
        assert run.status == Status.SUCCESS
        assert len(acme.books.live()) == 1
        assert ExportEvent.objects.filter(event=Event.FOUND_EQUAL).count() == 1
        check_the_ledger(acme)

    def test_a_forgotten_record_that_was_changed_there_is_held(self, acme):
        acme.purchase("12.50")
        acme.sync()
        [record] = acme.books.live()
        _forget_everything()
        acme.books.edit(record.id, amount="99.00")
        acme.connection.refresh_from_db()
        acme.sync()
        assert only_export().cause == Cause.EDITED

    def test_a_forgotten_record_that_was_deleted_there_is_held(self, acme):
        acme.purchase("12.50")
        acme.sync()
        [record] = acme.books.live()
        acme.books.void(record.id)
        _forget_everything()
        acme.connection.refresh_from_db()
        acme.sync()
        assert (only_export().state, only_export().cause) == (State.HELD, Cause.MISSING)
        assert acme.books.live() == []


def _forget_everything() -> None:
    """As if the database were yesterday's: the ledger knows nothing, both companies do."""
    ExportReceipt.objects.all().delete()
    RunResult.objects.all().delete()
    ExportEvent.objects.all().delete()
    Export.objects.all().delete()
    Tally.objects.all().delete()


class TestAfterSomebodySignedInAgain:
    def failed(self, world, **asked):
        run = runs.start(world.connection, world.user, **asked)
        runs.finish(run, SyncRun.Status.FAILED, "Xero needs you to sign in again.")
        return run

    def test_a_sync_that_came_to_nothing_begins_again_as_it_was_asked_for(self, acme):
        before = self.failed(acme, first=clock.today() - timedelta(days=9), asks_first=True)
        assert runs.resume(acme.connection, acme.user) == 0
        again = runs.current(acme.connection)
        assert (again.window_start, again.window_end) == (before.window_start, before.window_end)
        assert again.asks_first

    @pytest.mark.parametrize("changes", [{"status": "success"}, {"rows_posted": 1}, {"started_by": None}])
    def test_one_that_went_well_or_that_nobody_pressed_does_not(self, acme, changes):
        before = self.failed(acme)
        SyncRun.objects.filter(pk=before.pk).update(**changes)
        assert runs.resume(acme.connection, acme.user) is None
        assert runs.current(acme.connection) is None
