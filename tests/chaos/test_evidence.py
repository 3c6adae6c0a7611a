"""The checker reads companies and tables after a real sync: clean at first, then each wrong thing is seen."""

from decimal import Decimal

import pytest
from django.db import connection

from chaos import checker, evidence
from chaos.companies import Companies
from chaos.evidence import Tables
from chaos.journal import Journal
from pexsync.accounts.tenancy import everywhere
from syncjobs.models import Export, SyncRun, Tally

pytestmark = pytest.mark.database


def ask(question):
    with everywhere(), connection.cursor() as cursor:
        cursor.execute(question)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def world(acme):
    """Acme after two syncs: a purchase with a receipt, a refund, and what must not be booked."""
    acme.purchase("12.50", receipts=["pdf"])
    acme.purchase("-3.20")
    acme.purchase("7.00", approval="NotReviewed")
    acme.pex.add_decline("99.00")
    acme.pex.add_card_fee("1.00")
    acme.books.post_by_hand(amount="500.00", bank_account=acme.books.add_bank_account("Checking"))
    acme.sync()
    acme.sync()
    return acme


@pytest.fixture
def named(world, tmp_path):
    """What the checker names now, with the transaction where it is about one."""
    bank = next(account.id for account in world.books.bank_accounts() if account.name == "PEX Cash Account")
    facts = [{"pex_id": world.pex.business_id, "company": world.books.id, "bank": bank}]
    journal = Journal(tmp_path / "journal")

    def check():
        found = evidence.gather(Companies(world.sandbox.url), facts, Tables(ask), journal.doings)
        return {(violation.kind, violation.pex_id) for violation in checker.check(found).violations}

    return check


@pytest.fixture
def drill(world):
    return next(row for row in world.pex.transactions.values() if row.amount == Decimal("-12.50"))


def record_of(world, row):
    return next(one for one in world.books.live() if one.reference == f"PEXT{row.transaction_id}")


def test_a_real_sync_is_clean(named, world):
    assert named() == set()
    assert len(world.books.live()) == 3


def test_a_record_that_was_voided_is_missed(named, world, drill):
    world.books.void(record_of(world, drill).id)
    assert named() == {("lost", drill.transaction_id)}


def test_a_record_entered_once_more_is_a_double(named, world, drill):
    pex_account = record_of(world, drill).bank_account
    world.books.post_by_hand(f"PEXT{drill.transaction_id}", "12.50", bank_account=pex_account)
    assert named() == {("doubled_unseen", drill.transaction_id)}


def test_an_amount_that_was_changed_is_seen(named, world, drill):
    world.books.edit(record_of(world, drill).id, amount="12.49")
    assert named() == {("wrong_cents", drill.transaction_id)}


def test_a_stranger_on_the_pex_account_is_seen(named, world, drill):
    world.books.post_by_hand("rent", "12.50", bank_account=record_of(world, drill).bank_account)
    assert named() == {("stranger", None)}


def test_a_receipt_twice_on_the_record_is_seen(named, world, drill):
    record = record_of(world, drill)
    world.books.attach(record.id, "again.pdf", record.attachments[0].content, "application/pdf")
    assert named() == {("receipts_wrong", drill.transaction_id)}


def test_a_note_that_is_gone_or_doubled_is_seen(named, world, drill):
    note = drill.notes[0]
    world.pex.add_note(drill, note.text, system=True)
    assert named() == {("notes_wrong", drill.transaction_id)}
    drill.notes = ()
    assert named() == {("notes_wrong", drill.transaction_id)}


def test_a_row_in_doubt_a_wrong_tally_and_an_open_run_are_seen(named, world, drill):
    with everywhere():
        Export.objects.filter(pex_id=drill.transaction_id).update(state="sent")
        Tally.objects.filter(state="posted").update(amount=Decimal("1.00"))
        run = SyncRun.objects.first()
        SyncRun.objects.filter(pk=run.pk).update(status=SyncRun.Status.RUNNING)
    assert named() == {
        ("stuck", drill.transaction_id),
        ("notes_wrong", drill.transaction_id),
        ("stuck", None),
        ("tally_wrong", None),
    }
