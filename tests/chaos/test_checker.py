"""The checker must not be blind: each wrong thing planted into a small clean world is named, and nothing else is."""

from dataclasses import replace
from decimal import Decimal

import pytest

from chaos import checker
from chaos.facts import Evidence, Half, Note, Options, Record, Row, Stray, Tally, Transaction, Twin
from chaos.journal import Doing

DRILL, LADDER, PAINT = 700000001, 700000002, 700000003
PAID, REVERSED = 30001, 30002
TARGET = "books"


def purchase(pex_id=DRILL, amount="12.50", eligible=True, notes=None, files=None, **fields):
    ours = (Note(pex_id, f"Synced with Xero · PEXT{pex_id}", system=True),) if eligible else ()
    return Transaction(
        pex_id,
        4410,
        TARGET,
        Decimal(amount),
        eligible,
        notes=ours if notes is None else notes,
        files={"a1": "sha-a1"} if files is None else files,
        **fields,
    )


def payment(pex_id=PAID, amount="-50.00", **fields):
    """Of a statement; without note and receipt."""
    return replace(purchase(pex_id, amount, notes=()), kind="bill_payment", files={}, **fields)


def record(pex_id=DRILL, amount="12.50", id="", live=True, files=("sha-a1",)):
    return Record(id or f"record-{pex_id}", TARGET, live, Decimal(amount), (pex_id,), files)


def in_central(id="", draft=True, **fields):
    """A record that is known by its key, whatever its lines are."""
    return replace(record(id=id or "line 1"), known=f"record-{DRILL}", draft=draft, **fields)


def row(pex_id=DRILL, state="posted", amount="12.50", **fields):
    known = {"waiting": "", "cause": "", "says": "", "record_id": f"record-{pex_id}", **fields}
    return Row(pex_id, 4410, pex_id, state, amount=Decimal(amount), kind="purchase", month="2026-05", **known)


HELD = row(state="held", cause="doubled")


def doing(kind, *hit, **facts):
    return Doing(1.0, kind, "", hit, facts)


def tallied(rows):
    groups = {}
    for one in rows:
        count, amount = groups.get(one.state, (0, Decimal()))
        groups[one.state] = (count + 1, amount + one.amount)
    return [Tally(4410, "2026-05", "purchase", state, *sums) for state, sums in groups.items()]


def world(transactions=None, records=None, rows=None, doings=(), **more):
    """Two purchases as they must be, unless told otherwise."""
    rows = [row(), row(LADDER)] if rows is None else rows
    given = {"tallies": tallied(rows), **more}
    return Evidence(
        transactions=[purchase(), purchase(LADDER)] if transactions is None else transactions,
        records=[record(), record(LADDER)] if records is None else records,
        rows=rows,
        doings=doings,
        **given,
    )


def named(evidence):
    return [(violation.kind, violation.pex_id) for violation in checker.check(evidence).violations]


def test_a_world_as_it_must_be_is_clean():
    verdict = checker.check(world())
    assert verdict.violations == []
    assert (verdict.eligible["purchase"], verdict.delivered) == (2, 2)
    assert verdict.figures()["chaos.delivered_pct"] == 100


PLANTED = {
    "a record is missing": (world(records=[record(LADDER)]), [("lost", DRILL)]),
    "a dead record counts for none": (world(records=[record(live=False), record(LADDER)]), [("lost", DRILL)]),
    "a row is missing": (
        world(rows=[row(LADDER)], records=[record(LADDER)]),
        [("lost", DRILL), ("notes_wrong", DRILL)],
    ),
    "a record the ledger does not know": (
        world(rows=[row(LADDER)]),
        [("disagrees", DRILL), ("notes_wrong", DRILL)],
    ),
    "a record under another id": (world(records=[record(id="other"), record(LADDER)]), [("disagrees", DRILL)]),
    "a doubled record nobody saw": (
        world(records=[record(), record(id="twin"), record(LADDER)]),
        [("doubled_unseen", DRILL)],
    ),
    "a doubled record in two companies": (
        world(records=[record(), replace(record(id="twin"), company="elsewhere"), record(LADDER)]),
        [("doubled_unseen", DRILL), ("disagrees", DRILL)],
    ),
    "wrong cents": (world(records=[record(amount="12.51"), record(LADDER)]), [("wrong_cents", DRILL)]),
    "wrong sign": (world(records=[record(amount="-12.50"), record(LADDER)]), [("wrong_cents", DRILL)]),
    "another project": (
        world(transactions=[purchase(project="Maple Street"), purchase(LADDER)]),
        [("miscoded", DRILL)],
    ),
    "a project nobody tagged": (
        world(records=[replace(record(), projects=("Maple Street",)), record(LADDER)]),
        [("miscoded", DRILL)],
    ),
    "left due": (
        world(rows=[row(state="due", record_id=""), row(LADDER)], records=[record(LADDER)]),
        [("stuck", DRILL), ("notes_wrong", DRILL)],
    ),
    "left in doubt": (
        world(rows=[row(state="sent", record_id=""), row(LADDER)]),
        [("stuck", DRILL), ("notes_wrong", DRILL)],
    ),
    "held without reason": (
        world(rows=[row(state="held", cause="edited"), row(LADDER)]),
        [("held_unexplained", DRILL)],
    ),
    "closed without reason": (
        world(rows=[row(state="closed", record_id=""), row(LADDER)], records=[record(LADDER)]),
        [("lost", DRILL), ("notes_wrong", DRILL)],
    ),
    "no note": (world(transactions=[purchase(notes=()), purchase(LADDER)]), [("notes_wrong", DRILL)]),
    "two notes": (
        world(transactions=[purchase(notes=purchase().notes * 2), purchase(LADDER)]),
        [("notes_wrong", DRILL)],
    ),
    "a receipt is missing": (world(records=[record(files=()), record(LADDER)]), [("receipts_wrong", DRILL)]),
    "a doubled receipt": (
        world(records=[record(files=("sha-a1", "sha-a1")), record(LADDER)]),
        [("receipts_wrong", DRILL)],
    ),
    "somebody else's receipt": (
        world(records=[record(files=("sha-a1", "sha-b7")), record(LADDER)]),
        [("receipts_wrong", DRILL)],
    ),
    "a receipt under way": (world(rows=[row(owed=1), row(LADDER)]), [("stuck", DRILL)]),
    "an uninvited record": (
        world(transactions=[purchase(eligible=False), purchase(LADDER)], rows=[row(LADDER)]),
        [("uninvited", DRILL)],
    ),
    "an uninvited claim of the ledger": (
        world(transactions=[purchase(eligible=False), purchase(LADDER)], records=[record(LADDER)]),
        [("uninvited", DRILL), ("notes_wrong", DRILL)],
    ),
    "a stranger": (world(records=[record(), record(LADDER), record(PAINT)]), [("stranger", None)]),
    "a nameless stranger": (
        world(records=[record(), record(LADDER), replace(record(PAINT), names=())]),
        [("stranger", None)],
    ),
    "an open run": (world(open_runs=["run 7 of business 4410 is running"]), [("stuck", None)]),
    "an option the tag lacks": (
        world(options=[Options(4410, {"p1": "Maple Street", "p2": "Harbor View"}, {"p1": "Maple Street"})]),
        [("options_wrong", None)],
    ),
    "an option under its former name": (
        world(options=[Options(4410, {"p1": "Maple Street"}, {"p1": "Maple St"})]),
        [("options_wrong", None)],
    ),
    "a tally that lies": (
        world(tallies=[Tally(4410, "2026-05", "purchase", "posted", 3, Decimal("25.00"))]),
        [("tally_wrong", None)],
    ),
    "a tally that is off by a cent": (
        world(tallies=[Tally(4410, "2026-05", "purchase", "posted", 2, Decimal("25.01"))]),
        [("tally_wrong", None)],
    ),
    "a row that calls a draft what was posted": (
        world(rows=[row(draft=True), row(LADDER)], records=[in_central(draft=False), record(LADDER)]),
        [("draft_wrong", DRILL)],
    ),
    "a row that calls posted what is a draft": (
        world(records=[in_central(draft=True), record(LADDER)]),
        [("draft_wrong", DRILL)],
    ),
    "a document in a journal and in the ledger": (
        world(
            records=[in_central(draft=True), in_central(draft=False, id="posted"), record(LADDER)],
            rows=[HELD, row(LADDER)],
        ),
        [("half", DRILL), ("held_unexplained", DRILL)],
    ),
    "half a document": (world(halves=[Half("out of balance", (DRILL,))]), [("half", DRILL)]),
    "half a document of nobody": (world(halves=[Half("out of balance", ())]), [("half", None)]),
    "a file that hangs on nothing": (world(strays=[Stray("hangs on nothing", (DRILL,))]), [("unlinked", DRILL)]),
    "a file of nobody's": (world(strays=[Stray("hangs on nothing", ())]), [("unlinked", None)]),
    "a vendor made twice": (world(twins=[Twin(TARGET, "staples", 2)]), [("vendors_doubled", None)]),
    "dimensions nobody set": (
        world(
            records=[in_central(unfinished=True, projects=("Maple Street",)), record(LADDER)],
            rows=[row(draft=True), row(LADDER)],
        ),
        [("miscoded", DRILL)],
    ),
    "a tally of rows that are not there": (
        world(tallies=[*tallied(world().rows), Tally(4410, "2026-05", "purchase", "due", 1, Decimal("1.00"))]),
        [("tally_wrong", None)],
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_wrong_is_named_and_nothing_else(what):
    evidence, expected = PLANTED[what]
    assert named(evidence) == expected


def test_every_violation_has_been_planted():
    planted = {kind for _, expected in PLANTED.values() for kind, _ in expected}
    assert planted == set(checker.VIOLATIONS)


def of_statement(*states, waiting="statement"):
    """A payment and its reversal beside two purchases, in these states; those posted are in the books."""
    paid, back = payment(PAID, "-50.00", against=REVERSED), payment(REVERSED, "50.00", against=PAID)
    pair = list(zip((paid, back), states, strict=True))
    rows = [row(one.id, state, str(one.amount), waiting=waiting if state == "due" else "") for one, state in pair]
    booked = [record(one.id, str(one.amount), files=()) for one, state in pair if state == "posted"]
    return world(
        transactions=[purchase(), purchase(LADDER), paid, back],
        records=[record(), record(LADDER), *booked],
        rows=[row(), row(LADDER), *rows],
    )


@pytest.mark.parametrize(("states", "eligible"), [(("posted", "posted"), 4), (("due", "due"), 2)])
def test_a_payment_and_its_reversal_are_both_booked_or_neither(states, eligible):
    verdict = checker.check(of_statement(*states))
    assert verdict.violations == []
    assert (verdict.eligible.total(), verdict.delivered) == (eligible, eligible)


def test_one_of_the_two_alone_in_the_books_is_a_violation():
    assert named(of_statement("posted", "due")) == [("stuck", REVERSED)]
    assert named(of_statement("due", "posted")) == [("stuck", PAID)]
    assert named(of_statement("due", "due", waiting="")) == [("stuck", PAID), ("stuck", REVERSED)]


def test_a_note_or_a_receipt_belongs_to_purchases_only():
    fee = purchase(kind="fee", files={})
    evidence = world(transactions=[fee, purchase(LADDER)], records=[record(), record(LADDER)])
    assert named(evidence) == [("notes_wrong", DRILL), ("receipts_wrong", DRILL)]


EXCUSED = {
    "voided, and nobody looked again": world(
        records=[record(live=False), record(LADDER)], doings=[doing("record voided", DRILL)]
    ),
    "voided, and held as missing": world(
        records=[record(live=False), record(LADDER)],
        rows=[row(state="held", cause="missing"), row(LADDER)],
        doings=[doing("record voided", DRILL)],
    ),
    "forged before it was sent": world(
        records=[record(LADDER)],
        transactions=[purchase(notes=(Note(9, "Synced with Xero", system=False),)), purchase(LADDER)],
        rows=[row(state="held", cause="note_by_hand", record_id=""), row(LADDER)],
        doings=[doing("note forged", DRILL, note=9)],
    ),
    "the earlier connector's note forged": world(
        records=[record(LADDER)],
        transactions=[purchase(notes=(Note(9, "Synced with Xero", system=True),)), purchase(LADDER)],
        rows=[row(state="closed", cause="synced_before", record_id=""), row(LADDER)],
        doings=[doing("note forged", DRILL, note=9)],
    ),
    "doubled by hand after posting": world(
        records=[record(), record(id="by-hand", files=()), record(LADDER)],
        doings=[doing("doubled by hand", DRILL, record="by-hand")],
    ),
    "entered by hand before posting, and taken over": world(
        records=[record(id="by-hand"), record(LADDER)],
        rows=[row(record_id="by-hand"), row(LADDER)],
        doings=[doing("doubled by hand", DRILL, record="by-hand")],
    ),
    "reversed, and nobody looked again": world(
        records=[in_central(live=False, draft=False), record(LADDER)], doings=[doing("document reversed", DRILL)]
    ),
    "half deleted, and held": world(
        records=[record(LADDER)],
        rows=[row(state="held", cause="edited"), row(LADDER)],
        halves=[Half("out of balance", (DRILL,))],
        strays=[Stray("hangs on nothing", (DRILL,))],
        doings=[doing("line deleted", DRILL)],
    ),
    "its key gone from its words, and held": world(
        rows=[row(state="held", cause="missing"), row(LADDER)], doings=[doing("words edited", DRILL)]
    ),
    "copied by hand in the journal": world(
        records=[in_central(), in_central(id="by-hand"), record(LADDER)],
        rows=[row(draft=True), row(LADDER)],
        doings=[doing("doubled by hand", DRILL, record="by-hand")],
    ),
    "posted as it was": world(
        transactions=[purchase(project="Maple Street"), purchase(LADDER)],
        records=[in_central(draft=False), record(LADDER)],
        doings=[doing("journal posted", DRILL)],
    ),
    "a note removed": world(
        transactions=[purchase(notes=()), purchase(LADDER)], doings=[doing("note removed", DRILL, note=DRILL)]
    ),
    "a receipt after posting, not fetched yet": world(
        transactions=[purchase(files={"a1": "sha-a1", "a2": "sha-a2"}), purchase(LADDER)],
        doings=[doing("receipt added", DRILL, attachment="a2")],
    ),
    "a receipt after posting, fetched": world(
        transactions=[purchase(files={"a1": "sha-a1", "a2": "sha-a2"}), purchase(LADDER)],
        records=[record(files=("sha-a1", "sha-a2")), record(LADDER)],
        doings=[doing("receipt added", DRILL, attachment="a2")],
    ),
}


@pytest.mark.parametrize("what", EXCUSED)
def test_what_the_schedule_did_excuses_what_follows_from_it(what):
    verdict = checker.check(EXCUSED[what])
    assert verdict.violations == []
    assert verdict.delivered == 2


@pytest.mark.parametrize("what", [name for name in EXCUSED if "receipt" not in name and "taken over" not in name])
def test_the_same_is_a_violation_when_the_schedule_did_it_to_another_transaction(what):
    evidence = EXCUSED[what]
    elsewhere = [replace(one, hit=(PAINT,)) for one in evidence.doings]
    assert DRILL in {pex_id for _, pex_id in named(replace(evidence, doings=elsewhere))}


def test_a_row_held_because_its_dimensions_are_not_set_is_excused_by_its_record_and_counted():
    there = world(
        records=[in_central(unfinished=True), record(LADDER)],
        transactions=[purchase(project="Maple Street"), purchase(LADDER)],
        rows=[row(state="held", cause="edited"), row(LADDER)],
    )
    verdict = checker.check(there)
    assert (verdict.violations, verdict.delivered, verdict.figures()["chaos.unfinished_held"]) == ([], 2, 1)
    finished = replace(there, records=[in_central(projects=("Maple Street",)), record(LADDER)])
    assert named(finished) == [("held_unexplained", DRILL)]
    twice = replace(there, records=[*there.records, in_central(id="line 2", unfinished=True)])
    assert ("held_unexplained", DRILL) in named(twice)


def test_a_project_the_account_gives_counts_where_nobody_tagged_one():
    usual = {"projects": ("Maple Street",), "usual": ("Maple Street",)}
    there = world(rows=[row(draft=True), row(LADDER)], records=[in_central(**usual), record(LADDER)])
    assert named(there) == []
    tagged = replace(there, transactions=[purchase(project="Harbor View"), purchase(LADDER)])
    assert named(tagged) == [("miscoded", DRILL)]


def test_an_empty_file_of_a_call_nobody_heard_of_is_counted_only():
    stray = Stray("hangs on nothing", (DRILL,), empty=True)
    verdict = checker.check(world(strays=[stray], doings=[doing("late commit", DRILL)]))
    assert (verdict.violations, verdict.figures()["chaos.files_unheard_of"]) == ([], 1)
    for other in (replace(stray, empty=False), replace(stray, linked=True)):
        assert named(world(strays=[other], doings=[doing("late commit", DRILL)])) == [("unlinked", DRILL)]
    assert named(world(strays=[stray], doings=[doing("slow answers", DRILL)])) == [("unlinked", DRILL)]


@pytest.mark.parametrize("explained", [doing("late commit", vendors=["staples"]), doing("frozen")])
def test_a_vendor_made_twice_where_a_fault_explains_it_is_counted_only(explained):
    verdict = checker.check(world(twins=[Twin(TARGET, "staples", 2)], doings=[explained]))
    assert (verdict.violations, verdict.figures()["chaos.vendors_named_twice"]) == ([], 1)
    other = replace(explained, kind="late commit", facts={"vendors": ["shell"]})
    assert named(world(twins=[Twin(TARGET, "staples", 2)], doings=[other])) == [("vendors_doubled", None)]


def test_a_document_in_two_places_is_excused_where_the_first_came_after_everybodys_patience():
    evidence = world(
        records=[in_central(draft=True), in_central(draft=False, id="posted"), record(LADDER)],
        rows=[HELD, row(LADDER)],
        doings=[doing("commit beyond patience", DRILL)],
    )
    assert named(evidence) == []


def test_a_double_that_was_found_and_held_is_counted_apart():
    evidence = world(
        records=[record(), record(id="twin"), record(LADDER)],
        rows=[HELD, row(LADDER)],
        doings=[doing("commit beyond patience", DRILL)],
    )
    verdict = checker.check(evidence)
    assert verdict.violations == []
    assert verdict.figures()["chaos.doubled_held"] == 1
    assert verdict.figures()["chaos.doubled_unseen"] == 0


def test_a_double_is_a_violation_also_where_a_commit_came_late():
    evidence = world(
        records=[record(), record(id="twin"), record(LADDER)], doings=[doing("commit beyond patience", DRILL)]
    )
    assert named(evidence) == [("doubled_unseen", DRILL)]


def test_a_double_of_ours_beside_one_by_hand_is_a_violation():
    evidence = world(
        records=[record(), record(id="twin"), record(id="by-hand"), record(LADDER)],
        doings=[doing("doubled by hand", DRILL, record="by-hand")],
    )
    assert named(evidence) == [("doubled_unseen", DRILL)]


def test_a_voided_record_does_not_excuse_two_living_ones():
    evidence = world(
        records=[record(), record(id="twin"), record(id="dead", live=False), record(LADDER)],
        doings=[doing("record voided", DRILL)],
    )
    assert named(evidence) == [("doubled_unseen", DRILL)]


def test_the_share_that_was_delivered_counts_eligible_rows_only():
    evidence = world(
        transactions=[purchase(), purchase(LADDER), purchase(PAINT, eligible=False)], records=[record(LADDER)]
    )
    verdict = checker.check(evidence)
    assert (verdict.eligible.total(), verdict.delivered) == (2, 1)
    assert verdict.figures()["chaos.delivered_pct"] == 50


def test_a_violation_is_told_with_the_log_of_its_row_and_what_was_done_to_it():
    moved = "2026-05-04 10:00:00+00:00  claimed: due -> sent by slice batch 7 generation 1  "
    at = 1777888801.0  # a second later
    evidence = world(
        records=[record(), record(id="twin"), record(LADDER)],
        events={DRILL: [moved], LADDER: ["2026-05-04 10:00:00+00:00  another row's"]},
        doings=[
            Doing(at, "answer dropped after", "PUT BankTransactions", (DRILL,)),
            Doing(at, "killed at a step", "after claim, process 9"),
            Doing(at + 60, "killed at a step", "long after"),
        ],
    )
    (violation,) = checker.check(evidence).violations
    told = checker.explained(violation, evidence)
    assert told == [
        f"doubled_unseen: {DRILL} stands twice in the books (record-{DRILL}, twin) and the ledger says posted",
        f"    ledger    {moved}",
        "    schedule  2026-05-04 10:00:01.000000  answer dropped after: PUT BankTransactions ",
        "    meanwhile 2026-05-04 10:00:01.000000  killed at a step: after claim, process 9 ",
    ]
