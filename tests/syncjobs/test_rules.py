"""Every move of the ledger by itself: what it does to a row that is as it was read, and that it leaves all others."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.models import Connection
from connectors.records import Entry, Kind, Line, Party, Posted, Refused
from pexsync import clock
from syncjobs import ledger
from syncjobs.judge import Close, Due, Hold, Wait
from syncjobs.ledger import Actor
from syncjobs.models import Export, ExportEvent, Lease, Tally
from syncjobs.transitions import TABLE, Cause, Closed, Event, State, Who
from tests import make

pytestmark = pytest.mark.database

KEY, TARGET, HOLDER = "PEXT1", "xero:acme-books", "this slice"
MINE, ANOTHER = 7, 8  # batch numbers
BOOKED = date(2026, 7, 3)
ENTRY = Entry(
    key=KEY,
    kind=Kind.PURCHASE,
    amount=Decimal("12.50"),
    date=BOOKED,
    account="pex-account",
    party=Party(name="Staples"),
    lines=(Line(Decimal("12.50"), "429", "Paper"),),
    url="",
)
FOUND = Posted("record-1", "https://books.example/record-1")
OWED = ledger.Owed(note=True, receipts=True)


def batch_of(row: Export) -> ledger.Batch:
    return ledger.Batch(row.batch, row.sent_at, {KEY: row})


MOVES: Mapping[str, Callable[[Actor, Export], Any]] = {  # by the number of the table, with the row as it was read
    "2": lambda actor, row: ledger.judged(actor, [(row, Wait("approval", "Not approved."), row.amount)]),
    "3": lambda actor, row: ledger.adopt(actor, TARGET, [(row, ENTRY, FOUND)], OWED),
    "4": lambda actor, row: ledger.hold_found(actor, [(row, Cause.EDITED, "It differs.", "")]),
    "4a": lambda actor, row: ledger.judged(actor, [(row, Hold(Cause.NOTE_BY_HAND, "Somebody did."), row.amount)]),
    "4b": lambda actor, row: ledger.judged(actor, [(row, Close(Closed.NOTHING, "Nought."), row.amount)]),
    "5": lambda actor, row: ledger.claim(actor, TARGET, [(row, ENTRY)], timedelta(minutes=10), HOLDER),
    "6": lambda actor, row: ledger.accepted(actor, batch_of(row), {KEY: FOUND}, OWED),
    "7": lambda actor, row: ledger.refused(actor, batch_of(row), {KEY: Refused("No.", cause="account")}),
    "8": lambda actor, row: ledger.not_sent(actor, batch_of(row), [KEY]),
    "9": lambda actor, row: ledger.unanswered(actor, batch_of(row), [KEY]),
    "10": lambda actor, row: ledger.settle_live(actor, [(row, FOUND)], OWED),
    "11": lambda actor, row: ledger.settle_absent(actor, [row], resend=True),
    "11h": lambda actor, row: ledger.settle_absent(actor, [row], resend=False),
    "12": lambda actor, row: ledger.settle_unsure(actor, [(row, Cause.DOUBLED, "Twice.", "")]),
    "13": lambda actor, row: ledger.give_up(actor, [row], "For a day nobody could look."),
    "14": lambda actor, row: ledger.changed_there(actor, [(row, Cause.MISSING, "Gone.", "")]),
    "15": lambda actor, row: ledger.it_is_there(actor, TARGET, row, FOUND, OWED, look_again=True),
    "16": lambda actor, row: ledger.send(actor, [row]),
    "17": lambda actor, row: ledger.take_out(actor, [row], Closed.BY_HAND, "Entered by hand."),
    "18": lambda actor, row: ledger.undo(actor, [row]),
    "19": lambda actor, row: ledger.send_again(actor, [row], "Deleted there."),
    "20": lambda actor, row: ledger.found_again(actor, TARGET, [(row, FOUND)], OWED),
}
FIRST = next(move for move in TABLE if not move.before)
CASES = [(move, before) for move in TABLE for before in sorted(move.before)]
GUARDED = [(move, before) for move, before in CASES if move.event is not Event.UNANSWERED]  # which only writes the log
IDS = [f"{move.number}-{before}" for move, before in GUARDED]

AS_READ: Mapping[State, Mapping[str, Any]] = {
    State.DUE: {},
    State.SENT: {"batch": MINE, "target": TARGET, "posting_date": BOOKED},
    State.POSTED: {"batch": MINE, "target": TARGET, "record_id": "record-0"},
    State.HELD: {"cause": Cause.UNRESOLVED},
    State.CLOSED: {"cause": Closed.LEFT_OUT},
}


@dataclass
class House:
    """A ledger with one row, and what a slice needs to claim it."""

    business: Any
    user: Any
    connection: Connection

    def actor(self, who: Who) -> Actor:
        return Actor(self.business.pk, who, person=self.user if who is Who.PERSON else None)

    def row(self, state: State, **columns: Any) -> Export:
        at = clock.database_now()
        facts = {
            "business": self.business,
            "system": "xero",
            "source": "transaction",
            "pex_id": 1,
            "kind": Kind.PURCHASE.value,
            "state": state,
            "amount": ENTRY.amount,
            "settled_on": BOOKED,
            "first_seen_at": at,
            "sent_at": at if state is State.SENT else None,
            "next_look": at if state is State.SENT else None,
        }
        row = Export.objects.create(**(facts | AS_READ[state] | columns))
        Tally.objects.create(
            business=self.business, system="xero", month=BOOKED.replace(day=1), kind=row.kind, state=state, count=1,
            amount=row.amount,
        )  # fmt: skip
        return row


@pytest.fixture
def house(db) -> House:
    business, user = make.member("Acme Builders", 4410, "ann.admin")
    connection = Connection.objects.create(
        business=business, system="xero", company=TARGET.removeprefix("xero:"), installed_at=clock.now()
    )
    Lease.objects.create(target=TARGET, holder=HOLDER, until=clock.database_now() + timedelta(seconds=45))
    return House(business, user, connection)


def as_it_is(row: Export) -> tuple[Any, ...]:
    """The row, how often its log was written, and what the tally counts."""
    counted = sorted(Tally.objects.exclude(count=0).values_list("state", "waits", "count", "amount"))
    return Export.objects.filter(pk=row.pk).values().get(), ExportEvent.objects.count(), counted


def test_every_move_of_the_table_is_tried_here():
    assert {FIRST.number, *MOVES} == {move.number for move in TABLE}


@pytest.mark.parametrize(("move", "before"), CASES, ids=[f"{move.number}-{before}" for move, before in CASES])
def test_a_move_takes_a_row_where_the_table_says_and_writes_it_down(house, move, before):
    who = sorted(move.who)[0]
    row = house.row(before)
    MOVES[move.number](house.actor(who), row)
    now = Export.objects.get()
    assert now.state == move.after
    event = ExportEvent.objects.get()
    assert (event.event, event.before, event.after, event.who) == (move.event, before, move.after, who)
    told = Counter()
    for line in Tally.objects.all():
        told[line.state] += line.count
    assert +told == {now.state: 1}


MOVED_ON = [(move, before, now) for move, before in GUARDED for now in State if now is not before]


@pytest.mark.parametrize(
    ("move", "before", "now"), MOVED_ON, ids=[f"{move.number}-{before}-{now}" for move, before, now in MOVED_ON]
)
def test_a_row_that_is_in_another_state_by_now_is_left_alone(house, move, before, now):
    row = house.row(before)
    Export.objects.filter(pk=row.pk).update(state=now)
    was = as_it_is(row)
    MOVES[move.number](house.actor(sorted(move.who)[0]), row)
    assert as_it_is(row) == was


@pytest.mark.parametrize(("move", "before"), GUARDED, ids=IDS)
@pytest.mark.parametrize("changed", [{"generation": 2}, {"waiting": "period"}, {"amount": Decimal("13.00")}])
def test_a_row_of_which_anything_else_has_changed_is_left_alone(house, move, before, changed):
    row = house.row(before)
    Export.objects.filter(pk=row.pk).update(**changed)
    was = as_it_is(row)
    MOVES[move.number](house.actor(sorted(move.who)[0]), row)
    assert as_it_is(row) == was


SENT_ROWS = [move for move, before in GUARDED if before is State.SENT]


@pytest.mark.parametrize("move", SENT_ROWS, ids=[move.number for move in SENT_ROWS])
def test_a_row_that_was_sent_anew_is_left_alone_by_what_is_said_of_its_first_batch(house, move):
    row = house.row(State.SENT)
    Export.objects.filter(pk=row.pk).update(batch=ANOTHER)
    was = as_it_is(row)
    MOVES[move.number](house.actor(sorted(move.who)[0]), row)
    assert as_it_is(row) == was


HELD_ROWS = [move for move, before in GUARDED if before is State.HELD]


@pytest.mark.parametrize("move", HELD_ROWS, ids=[move.number for move in HELD_ROWS])
def test_a_row_that_is_held_for_another_reason_by_now_is_left_alone(house, move):
    row = house.row(State.HELD)
    Export.objects.filter(pk=row.pk).update(cause=Cause.DOUBLED)
    was = as_it_is(row)
    MOVES[move.number](house.actor(sorted(move.who)[0]), row)
    assert as_it_is(row) == was


NOWHERE_TO_BEGIN = [
    (move, state)
    for move in TABLE
    for state in State
    if move.before and state not in move.before and move.event is not Event.UNANSWERED
]


@pytest.mark.parametrize(
    ("move", "state"), NOWHERE_TO_BEGIN, ids=[f"{move.number}-{state}" for move, state in NOWHERE_TO_BEGIN]
)
def test_no_move_begins_where_the_table_does_not_let_it(house, move, state):
    """Nobody calls it so; somebody who did would hear of it at once."""
    row = house.row(state)
    with pytest.raises(AssertionError, match="cannot start from"):
        MOVES[move.number](house.actor(sorted(move.who)[0]), row)


class TestFirstSeen:
    def new(self, house: House) -> Export:
        return Export(
            business_id=house.business.pk, system="xero", source="transaction", pex_id=1, kind="purchase",
            amount=Decimal("12.50"), settled_on=BOOKED,
        )  # fmt: skip

    def test_a_row_two_slices_let_in_is_there_once_and_counted_once(self, house):
        actor = house.actor(Who.JUDGE)
        [mine] = ledger.admit(actor, [self.new(house)])
        assert ledger.admit(actor, [self.new(house)]) == []
        assert Export.objects.get().pk == mine.pk
        assert [event.event for event in ExportEvent.objects.all()] == [Event.SEEN]
        assert [(line.state, line.count) for line in Tally.objects.all()] == [(State.DUE, 1)]

    def test_one_that_was_posted_long_ago_does_not_become_due_because_it_is_seen_anew(self, house):
        house.row(State.POSTED)
        assert ledger.admit(house.actor(Who.JUDGE), [self.new(house)]) == []
        assert Export.objects.get().state == State.POSTED


class TestClaim:
    """Move 5 asks for more than the row."""

    def claim(self, house: House, row: Export) -> ledger.Batch:
        return ledger.claim(house.actor(Who.SLICE), TARGET, [(row, ENTRY)], timedelta(minutes=10), HOLDER)

    def test_it_freezes_what_is_sent_where_and_when_by_the_databases_clock(self, house, settings):
        settings.PATIENCE = 0.5
        row = house.row(State.DUE)
        earliest = clock.database_now()
        batch = self.claim(house, row)
        now = Export.objects.get()
        assert (now.batch, now.target, now.pex_account) == (batch.number, TARGET, ENTRY.account)
        assert (now.amount, now.posting_date, bool(now.fingerprint)) == (ENTRY.amount, ENTRY.date, True)
        assert earliest <= now.sent_at <= clock.database_now()
        assert now.next_look - now.sent_at == timedelta(minutes=10, seconds=30) * 0.5

    @pytest.mark.parametrize("lease", [{"holder": "another slice"}, {"until": clock.now() - timedelta(days=1)}])
    def test_without_the_lease_nothing_is_claimed(self, house, lease):
        Lease.objects.update(**lease)
        assert self.claim(house, house.row(State.DUE)).exports == {}
        assert Export.objects.get().state == State.DUE

    def test_nothing_is_claimed_for_a_company_the_connection_no_longer_writes_to(self, house):
        Connection.objects.update(company="another-company")
        assert self.claim(house, house.row(State.DUE)).exports == {}
        assert Export.objects.get().state == State.DUE

    def test_two_claims_of_one_row_have_different_numbers_and_one_wins(self, house):
        row = house.row(State.DUE)
        stale = Export.objects.get()
        first, second = self.claim(house, row), self.claim(house, stale)
        assert first.number != second.number
        assert (list(first.exports), list(second.exports)) == ([KEY], [])
        assert Export.objects.get().batch == first.number


def test_a_refusal_frees_the_target_and_keeps_the_sentence(house):
    MOVES["7"](house.actor(Who.SENDER), house.row(State.SENT))
    row = Export.objects.get()
    assert (row.target, row.batch, row.sent_at, row.next_look) == ("", None, None, None)
    assert (row.waiting, row.cause, row.says) == ("refused", "account", "No.")


@pytest.mark.parametrize("number", ["8", "11"])
def test_what_is_not_in_the_books_is_free_to_go_anywhere(house, number):
    MOVES[number](house.actor(Who.SENDER if number == "8" else Who.SLICE), house.row(State.SENT))
    row = Export.objects.get()
    assert (row.state, row.target, row.batch, row.waiting) == (State.DUE, "", None, "")
    assert row.doubted is (number == "11")


def test_no_answer_leaves_the_row_and_its_look_as_they_are(house):
    row = house.row(State.SENT)
    before = as_it_is(row)[0]
    MOVES["9"](house.actor(Who.SENDER), row)
    assert as_it_is(row)[0] == before


@pytest.mark.parametrize(
    ("number", "doubted", "again"), [("3", False, False), ("3", True, True), ("6", False, False), ("6", True, True)]
)
def test_what_was_in_doubt_once_is_looked_at_once_more_a_day_later(house, number, doubted, again):
    row = house.row(State.DUE if number == "3" else State.SENT, doubted=doubted)
    MOVES[number](house.actor(Who.SLICE), row)
    later = Export.objects.get().next_look
    assert (later is not None and later > clock.database_now() + timedelta(hours=23)) is again


@pytest.mark.parametrize("number", ["10", "20"])
def test_what_a_look_found_is_looked_at_once_more_a_day_later(house, number):
    MOVES[number](house.actor(Who.SLICE), house.row(State.SENT if number == "10" else State.HELD))
    later = Export.objects.get().next_look
    assert later is not None
    assert later > clock.database_now() + timedelta(hours=23)


def test_a_new_generation_forgets_the_old_record_and_the_log_keeps_it(house):
    MOVES["19"](house.actor(Who.PERSON), house.row(State.POSTED, note_state="seen", posted_at=clock.now()))
    row = Export.objects.get()
    assert (row.generation, row.record_id, row.note_state, row.posted_at) == (2, "", "", None)
    event = ExportEvent.objects.get()
    assert (event.generation, event.facts["record_id"], event.facts["target"]) == (2, "record-0", TARGET)


def test_a_verdict_that_changes_nothing_is_not_written_again(house):
    row = house.row(State.DUE)
    actor = house.actor(Who.JUDGE)
    verdict = (row, Due(ENTRY), row.amount)
    ledger.judged(actor, [verdict])
    ledger.judged(actor, [verdict])
    assert ExportEvent.objects.count() == 1


LOOKED = {
    State.SENT: lambda actor, row: ledger.look_again(actor, [row], 600.0),
    State.POSTED: lambda actor, row: ledger.still_there(actor, [row], clock.database_now()),
}


@pytest.mark.parametrize("state", LOOKED)
@pytest.mark.parametrize("changed", [{}, {"batch": ANOTHER}, {"generation": 2}, {"state": State.DUE}])
def test_the_next_look_is_set_only_for_the_batch_and_generation_that_was_looked_for(house, state, changed):
    due = clock.database_now()
    row = house.row(state, next_look=due)
    Export.objects.filter(pk=row.pk).update(**changed)
    LOOKED[state](house.actor(Who.SLICE), row)
    assert (Export.objects.get().next_look == due) is bool(changed)
