"""PEX changes its mind: what vanishes, comes back, comes anew, late or with another amount never moves money twice."""

from datetime import timedelta
from decimal import Decimal

import pytest

from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from syncjobs import changes, engine, runs, standing
from syncjobs.models import Export, MirrorRead, Notice, PexTransaction, SyncRun
from syncjobs.transitions import Cause, State
from tests.syncjobs.following import export_of, issued_anew
from tests.syncjobs.test_mirror import by_night

pytestmark = pytest.mark.database

Status = SyncRun.Status


def days_ago(number: float):
    return clock.now() - timedelta(days=number)


def older(acme, count: int, days: float = 20, **fields) -> list:
    return [acme.purchase(f"{number + 1}.00", settled=days_ago(days), **fields) for number in range(count)]


class TestLateApprovalsAndTags:
    def test_a_purchase_approved_on_day_62_is_sent_by_the_night(self, acme, travel):
        acme.purchase("1.00")
        row = acme.purchase("12.50", approval="NotReviewed", settled=clock.now())
        acme.sync()
        for _ in range(6):
            travel(days=10)
            by_night(acme)
        travel(days=2)
        acme.pex.set_approval(row, "Approved")
        run = by_night(acme)
        assert (run.status, run.rows_posted) == (Status.SUCCESS, 1)
        assert export_of(row).state == State.POSTED
        assert len(acme.books.live()) == 2

    def test_one_tagged_after_140_days_is_found_by_the_weekly_read(self, acme, travel):
        acme.purchase("1.00")
        row = acme.purchase("12.50", account=None, settled=clock.now())
        acme.sync()
        for _ in range(14):
            travel(days=10)
            by_night(acme)
        acme.pex.tag(row, {acme.expense_tag.tag_id: "449"})
        travel(days=2)
        by_night(acme)
        assert export_of(row).waiting == "coding"
        travel(days=6)
        by_night(acme)
        assert export_of(row).state == State.POSTED

    def test_another_tag_before_it_is_sent_is_followed_and_one_after_it_changes_nothing(self, acme):
        acme.purchase("1.00")
        row = acme.purchase("12.50", approval="NotReviewed")
        acme.sync()
        acme.pex.tag(row, {acme.expense_tag.tag_id: "449"})
        acme.pex.set_approval(row, "Approved")
        acme.sync()
        [record] = [record for record in acme.books.live() if record.total == Decimal("12.50")]
        assert [line.account.code for line in record.lines] == ["449"]
        acme.pex.tag(row, {acme.expense_tag.tag_id: "429"})
        run = acme.sync()
        assert run.rows_due == 0
        assert [line.account.code for line in record.lines] == ["449"]
        assert len(acme.books.live()) == 2


class TestShownLate:
    def test_many_old_rows_shown_only_now_wait_for_one_yes(self, acme, travel, client):
        acme.purchase("1.00")
        acme.sync()
        rows = older(acme, 25)
        recent = acme.purchase("7.00")
        run = acme.sync()
        assert run.rows_posted == 1
        assert export_of(recent).state == State.POSTED
        waiting = export_of(rows[0])
        assert (waiting.state, waiting.waiting) == (State.DUE, "late")
        assert waiting.says == "PEX showed it only long after it settled. Confirm it in Manage."
        assert standing.of(acme.connection).needs_you.count == 25
        assert changes.asked_about(acme.connection).count == 25
        acme.sync()
        assert len(acme.books.live()) == 2
        travel(minutes=1)
        assert changes.confirm_late(acme.connection, acme.user)
        assert acme.sync().rows_posted == 25
        assert changes.asked_about(acme.connection).count == 0
        assert not changes.confirm_late(acme.connection, acme.user)

    def test_they_go_on_waiting_when_a_few_are_left(self, acme):
        acme.purchase("1.00")
        acme.sync()
        rows = older(acme, 22)
        acme.sync()
        for row in rows[:15]:
            acme.pex.set_approval(row, "NotReviewed")
        Export.objects.filter(pex_id__in=[row.transaction_id for row in rows[:15]]).update(
            state=State.CLOSED, waiting="", cause="left_out"
        )
        acme.sync()
        assert len(acme.books.live()) == 1

    def test_another_lot_after_the_yes_asks_once_more(self, acme, travel):
        acme.purchase("1.00")
        acme.sync()
        older(acme, 21)
        acme.sync()
        changes.confirm_late(acme.connection, acme.user)
        acme.sync()
        travel(days=1)
        older(acme, 21)
        acme.sync()
        assert len(acme.books.live()) == 22
        assert changes.asked_about(acme.connection).count == 21

    def test_twenty_rows_go_unasked(self, acme):
        acme.purchase("1.00")
        acme.sync()
        older(acme, 20)
        assert acme.sync().rows_posted == 20

    def test_no_more_than_a_usual_day_brings_goes_unasked(self, acme):
        for day in range(1, 60):
            older(acme, 25, days=day, approval="NotReviewed")
        acme.purchase("1.00")
        acme.sync()
        older(acme, 24)
        assert acme.sync().rows_posted == 24

    def test_old_rows_of_days_nobody_asked_for_before_are_not_late(self, acme):
        acme.set(start_date=(clock.today() - timedelta(days=5)).isoformat())
        acme.purchase("1.00")
        acme.sync()
        older(acme, 25, days=120)
        acme.set(start_date=(clock.today() - timedelta(days=200)).isoformat())
        assert acme.sync().rows_posted == 25


class TestGone:
    def test_what_two_reads_lack_is_gone_and_stays_posted_and_may_come_back(self, acme, travel):
        row = acme.purchase("12.50")
        acme.purchase("1.00")
        acme.sync()
        acme.pex.remove(row)
        acme.sync()
        assert (export_of(row).gone_at, export_of(row).says) == (None, "")
        travel(minutes=11)
        acme.sync()
        gone = export_of(row)
        assert gone.gone_at is not None
        assert (gone.state, gone.says) == (State.POSTED, changes.GONE)
        acme.pex.transactions[row.transaction_id] = row
        acme.sync()
        back = export_of(row)
        assert (back.gone_at, back.gone_missed_at, back.says) == (None, None, "")
        assert len(acme.books.live()) == 2

    def test_a_row_missed_once_and_shown_again_begins_from_the_start(self, acme, travel):
        row = acme.purchase("12.50")
        acme.purchase("1.00")
        for shown in (True, False, True, False):
            acme.pex.transactions.pop(row.transaction_id, None)
            if shown:
                acme.pex.transactions[row.transaction_id] = row
            acme.sync()
            travel(minutes=11)
        assert export_of(row).gone_at is None
        assert export_of(row).gone_missed_at is not None

    def test_an_empty_list_takes_nothing_away_and_is_told_once(self, acme, travel):
        rows = [acme.purchase("1.00") for _ in range(30)]
        waiting = acme.purchase("5.00", account=None)
        acme.sync()
        shown = dict(acme.pex.transactions)
        acme.pex.transactions.clear()
        for _ in range(3):
            acme.sync()
            travel(minutes=11)
        assert not Export.objects.filter(gone_missed_at__isnull=False).exists()
        [notice] = Notice.objects.filter(ended_at=None)
        assert (notice.cause, notice.times) == ("rows_vanished", 3)
        assert export_of(waiting).waiting == "gone"
        acme.pex.transactions.update(shown)
        acme.sync()
        assert not Notice.objects.filter(ended_at=None).exists()
        assert export_of(waiting).waiting == "coding"
        assert len(acme.books.live()) == len(rows)

    def test_a_due_row_pex_takes_back_is_not_sent_and_says_why(self, acme, travel):
        acme.purchase("1.00")
        row = acme.purchase("12.50", approval="NotReviewed")
        acme.sync()
        row.approval = "Approved"
        acme.pex.remove(row)
        acme.sync()
        assert export_of(row).says.startswith("PEX no longer shows it.")
        assert standing.of(acme.connection).queued.count == 0
        assert len(acme.books.live()) == 1
        acme.pex.transactions[row.transaction_id] = row
        acme.sync()
        assert export_of(row).state == State.POSTED

    def test_a_due_row_the_mirror_has_lost_does_not_look_queued(self, acme, sandbox):
        acme.set(start_date=(clock.today() - timedelta(days=300)).isoformat())
        row = acme.purchase("12.50", settled=days_ago(200), happened=days_ago(202))
        sandbox.faults.add("status", system="xero-api", method="PUT", path="/BankTransactions$", status=429)
        run = acme.sync()
        assert standing.of(acme.connection).queued.count == 1
        runs.cancel(run, acme.user)
        engine.advance(run.pk)
        PexTransaction.objects.all().delete()
        MirrorRead.objects.all().delete()
        acme.set(start_date=(clock.today() - timedelta(days=5)).isoformat())
        acme.sync()
        assert export_of(row).waiting == "gone"
        assert standing.of(acme.connection).queued.count == 0

    def test_bill_pay_switched_off_is_no_reason_to_call_its_charges_gone(self, acme, travel):
        acme.set(bill_pay=True)
        acme.pex.use_bill_pay = True
        row = acme.purchase("12.50", bill_pay=True)
        acme.purchase("1.00")
        acme.sync()
        assert export_of(row).state == State.POSTED
        acme.pex.use_bill_pay = False
        for _ in range(2):
            travel(minutes=11)
            acme.sync()
        assert export_of(row).gone_missed_at is None


class TestIssuedAnew:
    def test_the_new_number_of_a_posted_row_is_held_and_names_the_old_one(self, acme, travel):
        row = acme.purchase("12.50")
        acme.purchase("1.00")
        acme.sync()
        new = issued_anew(acme, row, amount="12.75", happened=row.happened + timedelta(seconds=1))
        acme.sync()
        first = export_of(new)
        assert (first.state, first.waiting) == (State.DUE, "reissued")
        assert "PEX may be showing Staples" in first.says
        travel(minutes=11)
        acme.sync()
        held = export_of(new)
        assert (held.state, held.cause) == (State.HELD, Cause.REISSUED)
        assert "(12.50)" in held.says
        assert len(acme.books.live()) == 2

    def test_card_amount_and_time_are_enough(self, acme, travel):
        row = acme.purchase("12.50", auth_id=0)
        acme.purchase("1.00")
        acme.sync()
        new = issued_anew(acme, row, auth_id=0)
        acme.sync()
        travel(minutes=11)
        acme.sync()
        assert export_of(new).cause == Cause.REISSUED

    def test_when_the_old_one_comes_back_both_were_meant(self, acme, travel):
        row = acme.purchase("12.50")
        acme.purchase("1.00")
        acme.sync()
        new = issued_anew(acme, row)
        acme.sync()
        assert export_of(new).waiting == "reissued"
        acme.pex.transactions[row.transaction_id] = row
        acme.sync()
        assert export_of(new).state == State.POSTED
        assert len(acme.books.live()) == 3

    def test_so_does_another_card_of_the_same_moment(self, acme):
        row = acme.purchase("12.50")
        acme.purchase("1.00")
        acme.sync()
        other = issued_anew(acme, row, card=acme.pex.add_cardholder("Olga", "Other"))
        acme.sync()
        assert export_of(other).state == State.POSTED

    def test_an_old_one_that_was_never_sent_keeps_nobody_waiting(self, acme):
        acme.purchase("1.00")
        row = acme.purchase("12.50", account=None)
        acme.sync()
        new = issued_anew(acme, row)
        acme.sync()
        assert export_of(new).state == State.POSTED
        assert export_of(row).waiting == "gone"
        assert len(acme.books.live()) == 2

    def test_many_at_once_are_not_sent_though_so_much_vanishing_is_not_believed(self, acme, travel):
        rows = [acme.purchase(f"{number}.25") for number in range(1, 31)]
        acme.sync()
        for row in rows:
            issued_anew(acme, row)
        for _ in range(3):
            acme.sync()
            travel(minutes=11)
        assert len(acme.books.live()) == 30
        assert Export.objects.filter(waiting="reissued").count() == 30

    def test_a_person_may_send_it_anyway(self, acme, travel):
        row = acme.purchase("12.50")
        acme.purchase("1.00")
        acme.sync()
        new = issued_anew(acme, row)
        acme.sync()
        travel(minutes=11)
        acme.sync()
        from syncjobs import ledger
        from syncjobs.transitions import Who

        ledger.send(ledger.Actor(acme.business.pk, Who.PERSON, person=acme.user), [export_of(new)])
        acme.sync()
        assert len(acme.books.live()) == 3


class TestAmounts:
    def test_another_amount_after_posting_is_told_and_not_posted(self, acme):
        row = acme.purchase("12.50")
        acme.sync()
        row.amount = Decimal("-13.00")
        assert acme.sync().rows_due == 0
        assert export_of(row).says == (
            "PEX changed the amount to 13.00 after this was posted with 12.50. Its record stays as it was posted."
        )
        assert [record.total for record in acme.books.live()] == [Decimal("12.50")]
        row.amount = Decimal("-12.50")
        acme.sync()
        assert export_of(row).says == ""

    def test_until_it_is_sent_the_amount_follows_pex(self, acme):
        acme.purchase("1.00")
        row = acme.purchase("12.50", approval="NotReviewed")
        acme.sync()
        row.amount, row.approval = Decimal("-13.00"), "Approved"
        acme.sync()
        assert sorted(record.total for record in acme.books.live()) == [Decimal("1.00"), Decimal("13.00")]


def test_a_slice_without_a_run_sends_nothing_pex_no_longer_shows(acme, sandbox, travel):
    row = acme.purchase("12.50")
    sandbox.faults.add("drop_before", system="xero-api", method="PUT", path="/BankTransactions$")
    acme.sync()
    acme.pex.remove(row)
    other = runs.start(acme.connection, acme.user)
    engine.advance(other.pk)
    travel(minutes=11)
    engine.settle(acme.connection.pk)
    assert acme.books.live() == []
    assert export_of(row).waiting == "gone"


@pytest.mark.walls
def test_what_pex_changes_is_weighed_within_the_walls(acme, travel):
    """On PostgreSQL a query outside a scope sees nothing: every comparison needs its own."""
    noted, gone = acme.purchase("1.00"), acme.purchase("2.00")
    for number in range(4):
        acme.purchase(f"{number + 3}.00")
    acme.sync()
    acme.sync()
    acme.pex.remove_note(noted, noted.notes[0].note_id)
    new = issued_anew(acme, gone)
    rows = older(acme, 21)
    for _ in range(2):
        acme.sync()
        travel(minutes=11)
    assert changes.confirm_late(acme.connection, acme.user)
    with everywhere():
        acme.connection.refresh_from_db()
    by_night(acme)
    with everywhere():
        assert export_of(noted).says.endswith("the note is back.")
        assert export_of(gone).says == changes.GONE
        assert export_of(new).cause == Cause.REISSUED
        assert {export_of(row).state for row in rows} == {State.POSTED}
