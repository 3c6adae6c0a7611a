"""The checker reads companies and tables after a real sync: clean at first, then each wrong thing is seen."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from chaos import checker, evidence
from chaos.companies import Companies
from chaos.evidence import Tables
from chaos.journal import Journal
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from syncjobs.models import Export, SyncRun, Tally
from tests.syncjobs.following import booked

pytestmark = pytest.mark.database


def ask(question):
    with everywhere(), connection.cursor() as cursor:
        cursor.execute(question)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def world(acme):
    """Acme after two syncs: a purchase with receipt and project, something of every kind, and what must stay out."""
    kinds = acme.all_kinds(tracking=["Project"])
    category, project = kinds.tracking["Project"]
    tags = {acme.expense_tag.tag_id: "429", project.tag_id: category.options[0].id}
    acme.purchase("12.50", receipts=["pdf"], tags=tags)
    acme.purchase("-3.20")
    acme.purchase("7.00", approval="NotReviewed")
    acme.pex.add_decline("99.00")
    acme.pex.add_card_fee("1.00")
    for category, amount, words in (
        ("BusinessAccountFee", "25.00", "Monthly fee reversal"),
        ("BusinessFunding", "500.00", "ACH credit"),
        ("BusinessFunding", "-80.00", "ACH debit"),
        ("BusinessFunding", "4.10", "Rebate Credit"),
        ("CardFunding", "-30.00", "Card funding"),
    ):
        acme.pex.add_business_row(category, amount, words)
    acme.books.post_by_hand(amount="500.00", bank_account=acme.books.add_bank_account("Savings"))
    acme.sync()
    acme.sync()
    return acme


@pytest.fixture
def named(world, tmp_path):
    """What the checker names now, with the transaction where it is about one."""
    return lambda: {(one.kind, one.pex_id) for one in judged(world, tmp_path).violations}


def judged(world, folder):
    facts = {
        "system": "xero",
        "pex_id": world.pex.business_id,
        "company": world.books.id,
        "bank": world.books.account("PEX Cash Account").id,
        "charge": world.pex.funding == "Credit",
        "project_tag": next(tag.tag_id for tag in world.pex.tags.values() if tag.name == "Project"),
        "category": next(iter(world.books.tracking)),
        "synced": True,
    }
    doings = Journal(folder / "journal").doings
    return checker.check(evidence.gather(Companies(world.sandbox.url), [facts], Tables(ask), doings))


@pytest.fixture
def drill(world):
    return next(row for row in world.pex.transactions.values() if row.amount == Decimal("-12.50"))


def record_of(world, row):
    return next(one for one in world.books.live() if one.reference == f"PEXT{row.transaction_id}")


def test_a_real_sync_is_clean(named, world):
    assert named() == set()
    assert len(booked(world)) == 7


def test_a_record_that_was_voided_is_missed(named, world, drill):
    world.books.void(record_of(world, drill).id)
    assert named() == {("lost", drill.transaction_id)}


def test_a_record_entered_once_more_is_a_double(named, world, drill):
    pex_account = record_of(world, drill).bank_account
    world.books.post_by_hand(f"PEXT{drill.transaction_id}", "12.50", bank_account=pex_account)
    assert named() == {("doubled_unseen", drill.transaction_id), ("miscoded", drill.transaction_id)}


def transfer_of(world, amount):
    return next(one for one in world.books.live_transfers() if one.amount == Decimal(amount))


def test_a_transfer_that_was_deleted_is_missed(named, world):
    transfer = transfer_of(world, "500.00")
    world.books.delete_transfer(transfer, "A person")
    assert named() == {("lost", int(transfer.reference.removeprefix("PEXT")))}


@pytest.mark.parametrize("way", [("PEX Cash Account", "Business Checking"), ("Business Checking", "PEX Cash Account")])
def test_a_transfer_entered_once_more_is_a_double_and_the_wrong_way_round_another_amount(named, world, way):
    reference = transfer_of(world, "80.00").reference
    world.books.transfer_by_hand(*way, "80.00", reference=reference)
    number = int(reference.removeprefix("PEXT"))
    wrong = {("wrong_cents", number)} if way[0] == "Business Checking" else set()
    assert named() == {("doubled_unseen", number)} | wrong


def test_an_option_the_tag_did_not_get_is_seen(named, world):
    category = next(iter(world.books.tracking.values()))
    world.books.add_tracking_option(category, "Ninth Avenue School")
    assert named() == {("options_wrong", None)}


def test_another_project_on_a_line_is_seen(named, world, drill):
    line = record_of(world, drill).lines[0]
    line.tracking = []
    assert named() == {("miscoded", drill.transaction_id)}


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


def test_of_a_charge_account_the_statement_is_judged_and_not_what_its_business_list_repeats(acme, tmp_path):
    acme.pex.funding = "Credit"
    acme.all_kinds(tracking=["Project"])
    statement = acme.pex.add_statement("900.00", due=clock.now() + timedelta(days=9), status="Open", payments=[])
    yesterday = clock.now() - timedelta(days=1)
    paid, _, _, _, back = (
        acme.pex.add_payment(statement, type_, amount, paid=yesterday, rejected=rejected)
        for type_, amount, rejected in (
            ("PEXTransfer", "500.00", False),
            ("SameDayACH", "70.00", True),
            ("RebateCredit", "9.00", False),
            ("SameDayACH", "60.00", False),
            ("Reversal", "60.00", False),
        )
    )
    acme.pex.add_business_row("BusinessFunding", "500.00")
    acme.sync()
    acme.sync()
    verdict = judged(acme, tmp_path)
    assert verdict.violations == []
    assert dict(verdict.eligible) == {"bill_payment": 1, "rebate": 1}
    acme.books.post_by_hand(f"PEXS{back.payment_id}", "60.00", bank_account=acme.books.account("PEX Cash Account"))
    acme.books.delete_transfer(acme.books.live_transfers()[0], "A person")
    found = {(one.kind, one.pex_id) for one in judged(acme, tmp_path).violations}
    assert {("lost", paid.payment_id), ("stuck", back.payment_id)} <= found
