"""Of Business Central the checker reads journals and ledger after a real sync: clean, then each wrong thing is seen."""

from decimal import Decimal

import pytest
from django.db import connection

from chaos import central, checker, evidence
from chaos.companies import Companies
from chaos.evidence import Tables
from chaos.journal import Doing, vendors_in
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from sandbox.dynamics365 import attachments, journals, posting
from sandbox.dynamics365.records import NOBODY
from syncjobs.models import Export
from tests import make

pytestmark = pytest.mark.database

PEX, USUAL = "10950", "449"


def ask(question):
    with everywhere(), connection.cursor() as cursor:
        cursor.execute(question)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def world(sandbox, settings, transactional_db, tmp_path):
    """Acme after two syncs with Business Central: a purchase with receipt and project, one whose account has a project
    of its own, one with both, something of every kind."""
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    acme = make.dynamics(sandbox)
    dimension, project = acme.all_kinds(tracking=["Project"]).tracking["Project"]
    first, second, _ = dimension.values.values()
    acme.books.account(USUAL).default_dimensions[dimension.code] = first.code
    acme.purchase("12.50", receipts=["pdf"], tags={acme.expense_tag.tag_id: "429", project.tag_id: first.id})
    acme.purchase("20.00", account=USUAL)
    acme.purchase("30.00", tags={acme.expense_tag.tag_id: USUAL, project.tag_id: second.id})
    acme.purchase("-3.20")
    acme.pex.add_card_fee("1.00")
    acme.pex.add_business_row("BusinessFunding", "500.00", "ACH credit")
    acme.pex.add_business_row("BusinessFunding", "4.10", "Rebate Credit")
    acme.sync()
    acme.sync()
    yield acme
    sandbox.clock.path = None


def judged(world, *doings):
    facts = {
        "system": "dynamics365",
        "pex_id": world.pex.business_id,
        "company": world.books.id,
        "account": PEX,
        "charge": False,
        "project_tag": next(tag.tag_id for tag in world.pex.tags.values() if tag.name == "Project"),
        "category": "PROJECT",
        "usual": {USUAL: world.books.account(USUAL).default_dimensions["PROJECT"]},
        "synced": False,
    }
    return checker.check(evidence.gather(Companies(world.sandbox.url), [facts], Tables(ask), doings))


def named(world, *doings):
    return {(one.kind, one.pex_id) for one in judged(world, *doings).violations}


def did(kind, row, **facts):
    return Doing(clock.now().timestamp(), kind, "", (row.transaction_id,), facts)


@pytest.fixture
def drill(world):
    return next(row for row in world.pex.transactions.values() if row.amount == Decimal("-12.50"))


def lines_of(world, row):
    """The line on the expense account and the one on the PEX account."""
    found = [line for line in world.books.lines() if line.description.endswith(f"PEXT{row.transaction_id}")]
    return sorted(found, key=lambda line: line.account == PEX)


def copy(world, row, words="Dana"):
    for line in lines_of(world, row):
        fields = {"posting_date": line.posting_date, "document_number": line.document_number}
        fields |= {"description": f"{words} {line.document_number}", "account_type": line.account_type}
        journals.add_manual_line(world.books, world.books.journal(), line.account, line.amount, **fields)


def held(row, cause="edited"):
    with everywhere():
        Export.objects.filter(pex_id=row.transaction_id).update(state="held", cause=cause)


def test_a_real_sync_is_clean_in_the_journal_and_once_it_is_posted(world):
    verdict = judged(world)
    assert verdict.violations == []
    assert (verdict.eligible.total(), verdict.delivered, verdict.unfinished) == (7, 7, 0)
    posting.post_now(world.books, world.books.journal())
    world.sync()
    assert named(world) == set()


def test_numbers_that_follow_ours_and_blank_lines_stand_for_nothing(world):
    journal = world.books.journal()
    journals.add_manual_line(world.books, journal, "404", Decimal("5.00"), balance_account="429")
    typed = journals.add_manual_line(world.books, journal, "404", Decimal("5.00"), balance_account="429")
    assert typed.document_number.startswith("PEX")
    posting.post_now(world.books, journal)
    world.sync()
    assert named(world) == set()
    assert central.documents(Companies(world.sandbox.url).central_books(world.books.id))
    assert [line.document_number[:3] for line in journal.lines.values()] == ["PEX"]


def test_renumbered_documents_are_those_they_were(world):
    journals.renumber(world.books, world.books.journal())
    assert named(world) == set()


def test_a_document_that_was_deleted_is_missed(world, drill):
    for line in lines_of(world, drill):
        journals.delete_line(world.books, line)
    assert {("lost", drill.transaction_id)} <= named(world)


def test_half_a_document_is_seen_and_excused_only_where_the_row_is_held_for_it(world, drill):
    expense, _ = lines_of(world, drill)
    journals.delete_line(world.books, expense)
    deed = did("line deleted", drill)
    assert named(world) == {("half", drill.transaction_id), ("miscoded", drill.transaction_id)}
    assert named(world, deed) == {("half", drill.transaction_id)}
    held(drill)
    assert named(world, deed) == {("tally_wrong", None)}


def test_the_files_of_a_deleted_line_hang_on_nothing(world, drill):
    _, pex = lines_of(world, drill)
    journals.delete_line(world.books, pex)
    held(drill)
    assert {("unlinked", drill.transaction_id), ("half", drill.transaction_id)} <= named(world)
    assert named(world, did("line deleted", drill)) == {("tally_wrong", None)}


def test_a_file_without_bytes_is_seen(world, drill):
    _, pex = lines_of(world, drill)
    body = {"parentId": pex.id, "parentType": "Journal", "fileName": f"pex-{drill.transaction_id}-b.pdf"}
    attachments.create(world.books, None, body)
    assert named(world) == {("unlinked", drill.transaction_id)}
    attachments.create(world.books, None, {**body, "parentId": NOBODY, "fileName": "lost.pdf"})
    assert named(world) == {("unlinked", drill.transaction_id), ("unlinked", None)}


def test_a_document_entered_once_more_is_a_double(world, drill):
    copy(world, drill)
    assert named(world) == {("doubled_unseen", drill.transaction_id)}
    posting.post_now(world.books, world.books.journal())
    assert ("doubled_unseen", drill.transaction_id) in named(world)


def test_one_that_a_person_copied_is_told_from_ours_also_once_it_is_posted(world, drill):
    key = f"PEXT{drill.transaction_id}"
    deed = did("doubled by hand", drill, record=f"{key} by hand 7")
    copy(world, drill, "Dana, by hand 7")
    assert named(world, deed) == set()
    posting.post_now(world.books, world.books.journal())
    assert {kind for kind, _ in named(world, deed)} == {"draft_wrong"}
    assert ("doubled_unseen", drill.transaction_id) in named(world)


def test_what_stands_in_the_journal_and_in_the_ledger_is_two_halves_of_a_mistake(world, drill):
    posted = [(line.account, line.amount, line.posting_date) for line in lines_of(world, drill)]
    posting.post_now(world.books, world.books.journal())
    world.sync()
    for account, amount, day in posted:
        fields = {"posting_date": day, "document_number": f"PEXT{drill.transaction_id}"}
        journals.add_manual_line(world.books, world.books.journal(), account, amount, **fields)
    assert {("half", drill.transaction_id), ("doubled_unseen", drill.transaction_id)} <= named(world)


def test_a_reversed_document_is_missed_unless_a_person_reversed_it(world, drill):
    posting.post_now(world.books, world.books.journal())
    world.sync()
    mine = next(one for one in world.books.entries.values() if one.document_number == f"PEXT{drill.transaction_id}")
    posting.reverse(world.books, mine)
    assert named(world) == {("lost", drill.transaction_id)}
    assert named(world, did("document reversed", drill)) == set()


@pytest.mark.parametrize("place", ["external_number", "description", "document_number"])
def test_one_place_of_the_key_is_enough(world, drill, place):
    for line in lines_of(world, drill):
        journals.edit_line(world.books, line, **{place: "lunch"})
    assert named(world) == set()


def test_another_amount_and_another_project_are_seen(world, drill):
    expense, pex = lines_of(world, drill)
    expense.dimensions = {"PROJECT": "P003"}
    assert named(world) == {("miscoded", drill.transaction_id)}
    for line, amount in ((expense, "12.49"), (pex, "-12.49")):
        journals.edit_line(world.books, line, amount=Decimal(amount))
    assert named(world) == {("miscoded", drill.transaction_id), ("wrong_cents", drill.transaction_id)}


def test_a_project_the_account_gives_by_itself_is_no_mistake_and_one_it_lost_is(world):
    usual = next(row for row in world.pex.transactions.values() if row.amount == Decimal("-20.00"))
    expense, _ = lines_of(world, usual)
    assert expense.dimensions == {"PROJECT": "P001"}
    expense.dimensions = {}
    assert named(world) == {("miscoded", usual.transaction_id)}


def test_dimensions_that_are_still_to_be_set_excuse_a_row_that_is_held_for_them(world, drill):
    expense, _ = lines_of(world, drill)
    expense.dimensions, expense.comment = {}, "Dimensions not set yet: PROJECT=P001"
    assert named(world) == {("miscoded", drill.transaction_id)}
    held(drill)
    verdict = judged(world)
    assert {one.kind for one in verdict.violations} == {"tally_wrong"}
    assert verdict.unfinished == 1


def test_one_posted_without_its_project_is_excused_where_a_person_took_it_as_it_was(world, drill):
    expense, _ = lines_of(world, drill)
    expense.dimensions, expense.comment = {}, "Dimensions not set yet: PROJECT=P001"
    posting.post_now(world.books, world.books.journal())
    world.sync()
    assert named(world) == {("miscoded", drill.transaction_id)}
    assert named(world, did("journal posted", drill)) == set()


def test_a_stranger_on_the_pex_account_is_seen(world):
    journals.add_manual_line(world.books, world.books.journal(), PEX, Decimal("-9.00"), document_number="RENT-1")
    journals.add_manual_line(world.books, world.books.journal(), "429", Decimal("9.00"), document_number="RENT-1")
    assert named(world) == {("stranger", None)}


def test_a_ledger_that_does_not_know_what_was_posted_is_seen(world):
    posting.post_now(world.books, world.books.journal())
    assert {kind for kind, _ in named(world)} == {"draft_wrong"}
    assert len(named(world)) == 7


def test_vendors_of_one_name_are_counted_and_are_our_mistake_where_no_fault_explains_them(world):
    world.books.add_vendor("staples ")
    verdict = judged(world)
    assert [one.kind for one in verdict.violations] == ["vendors_doubled"]
    assert verdict.figures()["chaos.vendors_named_twice"] == 1
    struck = Doing(1.0, "answer dropped after", "POST bc-api", (), {"vendors": ["staples"]})
    assert judged(world, struck).violations == []
    assert judged(world, Doing(1.0, "frozen", "after claim")).violations == []


def test_the_vendors_of_a_call_are_read_from_what_it_sent():
    sent = '{"requests":[{"method":"POST","body":{"displayName":"Alder  Diner"}},{"method":"GET"}]}'
    assert vendors_in(sent) == ["alder diner"]
    assert vendors_in('{"requests":[{"url":"vendors?$select=displayName"}]}') == []
    assert vendors_in('{"displayName":') == []
