"""Everything that can happen to one row is tried (see `row_model`); then the ledger's own statements are held to it.

The search is only worth something if it sees: each guard is taken out alone, and then it must find the harm.
"""

from collections.abc import Callable
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal

import pytest

from connectors.records import Posted, Refused
from pexsync import clock
from syncjobs import ledger
from syncjobs.ledger import Actor, Batch, Owed
from syncjobs.models import Export, ExportEvent, Tally
from syncjobs.transitions import TABLE, Cause, Closed, State, Who
from tests import make
from tests.syncjobs.row_model import Guards, Scene, Search, explore

SCENES = {
    "three workers": Scene(workers=3),
    "two workers and the sweeper": Scene(workers=2, sweeper=True),
    "books where nothing is sent twice": Scene(workers=2, resend=False),
    "a ledger that was lost": Scene(workers=2, ledger_lost=True),
    "a commit later than promised": Scene(workers=2, late_commits=1),
    "two commits later than promised": Scene(workers=2, late_commits=2),
    "a person": Scene(workers=1, people=1, copies=False),
    "a person who makes records too": Scene(workers=1, people=1),
    "a person and a commit later than promised": Scene(workers=1, people=1, late_commits=1, copies=False),
    "a person and the sweeper": Scene(workers=1, people=1, sweeper=True, copies=False),
    "two people": Scene(workers=1, people=2, copies=False),
    "two workers and a person": Scene(workers=2, people=1, copies=False),
}
TWICE = "it stands in the books twice, and both are ours"
STOOD_THERE = "it is sent although it stood there when it was looked for"
LIVES = "it is to be sent again although its record lives"
NO_REST = "it never comes to rest"
HARM = {  # what the search must find without a guard, and where
    "state": ("a person", STOOD_THERE),
    "batch": ("two workers and the sweeper", TWICE),
    "generation": ("two people", LIVES),
    "seen": ("two people", STOOD_THERE),
    "deadline": ("two workers and the sweeper", TWICE),
    "patience": ("two workers and the sweeper", TWICE),
    "own_look": ("two workers and the sweeper", TWICE),
    "look": ("a ledger that was lost", STOOD_THERE),
    "doubted": ("a commit later than promised", STOOD_THERE),
    "later_look": ("a commit later than promised", NO_REST),
    "proof": ("a person", LIVES),
}


def told(name: str, search: Search) -> str:
    return f"{name}: {search.wrong}, after {search.worlds} worlds\n{search.trace}"


def test_whatever_happens_a_row_is_not_doubled_not_forgotten_and_comes_to_rest():
    made: set[str] = set()
    for name, scene in SCENES.items():
        search = explore(scene)
        assert not search.wrong, told(name, search)
        made |= search.moves
    assert made == {move.number for move in TABLE}


@pytest.mark.parametrize("guard", HARM)
def test_without_a_guard_the_harm_is_found(guard):
    name, harm = HARM[guard]
    search = explore(SCENES[name], Guards(**{guard: False}))
    assert search.wrong == harm, told(name, search) if search.wrong else f"{name}: nothing is found without {guard}"


@pytest.mark.parametrize(
    "name", ["two workers and the sweeper", "a ledger that was lost", "a commit later than promised"]
)
def test_the_lease_is_for_order_and_pace_only(name):
    search = explore(SCENES[name], Guards(lease=False))
    assert not search.wrong, told(name, search)


def test_every_guard_is_taken_out_once():
    assert {field.name for field in fields(Guards)} == {*HARM, "lease"}


def test_the_same_search_finds_the_same():
    blind = Guards(deadline=False)
    assert explore(SCENES["a person"], blind) == explore(SCENES["a person"], blind)


# --- the ledger itself ------------------------------------------------------------------------------------------------

OWED = Owed(note=True, receipts=False)
POSTED = Posted("record-1", "https://books.example/record-1")


@pytest.fixture
def business(db):
    return make.member("Acme Builders", 4410, "ann.admin")[0]


def row_of(business, state: State = State.SENT, **columns) -> Export:
    now = clock.now()
    sent = {"batch": 7, "sent_at": now, "target": "xero:one"} if state is State.SENT else {}
    return Export.objects.create(
        **{
            "business": business,
            "system": "xero",
            "source": "transaction",
            "pex_id": 1,
            "kind": "purchase",
            "state": state,
            "settled_on": date(2026, 3, 2),
            "amount": Decimal("12.50"),
            "first_seen_at": now,
            **sent,
            **columns,
        }
    )


def as_it_stands(export: Export) -> tuple[dict[str, object], int, list[tuple[str, int]]]:
    """All there is to know of a row: its columns, how many moves it made, the tally."""
    columns = Export.objects.filter(pk=export.pk).values().get()
    return columns, ExportEvent.objects.count(), list(Tally.objects.values_list("state", "count"))


def batch_of(export: Export) -> Batch:
    return Batch(export.batch, export.sent_at, {"PEXT1": export})


ABOUT_A_BATCH: dict[str, Callable[[Actor, Export], object]] = {  # by number of the move
    "6": lambda actor, row: ledger.accepted(actor, batch_of(row), {"PEXT1": POSTED}, OWED),
    "7": lambda actor, row: ledger.refused(actor, batch_of(row), {"PEXT1": Refused("The account is archived.")}),
    "8": lambda actor, row: ledger.not_sent(actor, batch_of(row), ["PEXT1"]),
    "10": lambda actor, row: ledger.settle_live(actor, [(row, POSTED)], OWED),
    "11": lambda actor, row: ledger.settle_absent(actor, [row], resend=True),
    "11h": lambda actor, row: ledger.settle_absent(actor, [row], resend=False),
    "12": lambda actor, row: ledger.settle_unsure(actor, [(row, Cause.DOUBLED, "It is there twice.", "")]),
    "13": lambda actor, row: ledger.give_up(actor, [row], "Nobody could look."),
}


@pytest.mark.database
class TestTheLedger:
    def test_all_moves_that_name_a_batch_are_held_to_it_here(self):
        # 9 moves nothing: that there was no answer is only written down.
        assert {move.number for move in TABLE if move.batch_must_match} == {*ABOUT_A_BATCH, "9"}

    @pytest.mark.parametrize("number", ABOUT_A_BATCH)
    def test_what_is_said_about_its_batch_moves_the_row(self, business, number):
        row = row_of(business)
        [move] = [move for move in TABLE if move.number == number]
        assert ABOUT_A_BATCH[number](Actor(business.pk, Who.SLICE), row)
        assert Export.objects.get().state == move.after
        assert ExportEvent.objects.get().event == move.event

    @pytest.mark.parametrize("number", ABOUT_A_BATCH)
    @pytest.mark.parametrize(
        "meanwhile",
        [{"batch": 8}, {"state": State.DUE, "batch": None}, {"state": State.POSTED}, {"state": State.CLOSED}],
        ids=["sent anew", "due again", "posted", "closed"],
    )
    def test_what_is_said_about_a_batch_of_the_past_moves_nothing(self, business, number, meanwhile):
        row = row_of(business)
        Export.objects.update(**meanwhile)
        before = as_it_stands(row)
        assert not ABOUT_A_BATCH[number](Actor(business.pk, Who.SLICE), row)
        assert as_it_stands(row) == before

    @pytest.mark.parametrize(
        "meanwhile", [{"batch": 8}, {"state": State.POSTED}, {"state": State.CLOSED}], ids=["anew", "posted", "closed"]
    )
    def test_no_answer_changes_nothing_but_the_log(self, business, meanwhile):
        row = row_of(business)
        Export.objects.update(**meanwhile)
        before, events, _ = as_it_stands(row)
        ledger.unanswered(Actor(business.pk, Who.SENDER), batch_of(row), ["PEXT1"])
        after, more, _ = as_it_stands(row)
        assert (after, more) == (before, events + 1)

    def test_a_look_that_failed_does_not_hasten_the_look_at_another_batch(self, business):
        row, later = row_of(business), clock.now() + timedelta(minutes=10)
        Export.objects.update(batch=8, next_look=later)
        ledger.look_again(Actor(business.pk, Who.SLICE), [row], after=1)
        assert Export.objects.get().next_look == later

    def test_a_late_answer_does_not_hasten_the_look_at_another_batch(self, business):
        row, later = row_of(business), clock.now() + timedelta(minutes=10)
        Export.objects.update(batch=8, next_look=later)
        ledger.look_now(Actor(business.pk, Who.SENDER), [row])
        assert Export.objects.get().next_look == later

    @pytest.mark.parametrize(("hours", "last"), [(1, False), (25, True)])
    def test_only_a_look_a_day_after_the_last_sending_is_the_last(self, business, hours, last):
        sent_at = clock.now() - timedelta(hours=hours)
        row = row_of(business, State.POSTED, batch=7, sent_at=sent_at, posted_at=sent_at, next_look=clock.now())
        ledger.still_there(Actor(business.pk, Who.SLICE), [row], clock.now())
        assert (Export.objects.get().next_look is None) is last

    @pytest.mark.parametrize(
        ("columns", "may"),
        [
            ({"sent_at": timedelta(hours=1)}, True),
            ({"sent_at": timedelta(hours=25)}, False),
            ({"posted_at": timedelta(hours=1)}, True),
            ({"doubted": True}, True),
            ({}, False),
        ],
        ids=["sent just now", "sent long ago", "posted just now", "in doubt", "never sent"],
    )
    def test_for_a_day_after_the_last_sending_another_record_may_come(self, columns, may):
        now = clock.now()
        past = {name: now - age if isinstance(age, timedelta) else age for name, age in columns.items()}
        assert ledger.may_come_through(Export(**past), now) is may

    @pytest.mark.parametrize(
        "meanwhile",
        [{"record_id": "record-1"}, {"batch": 7, "sent_at": clock.now()}, {"doubted": True}],
        ids=["posted", "sent", "in doubt"],
    )
    @pytest.mark.parametrize(
        ("state", "decides"),
        [
            (State.CLOSED, lambda actor, row: ledger.undo(actor, [row])),
            (State.HELD, lambda actor, row: ledger.send(actor, [row])),
            (State.DUE, lambda actor, row: ledger.take_out(actor, [row], Closed.LEFT_OUT, "Left out.")),
        ],
        ids=["undo", "send", "leave out"],
    )
    def test_a_person_decides_of_the_row_they_saw(self, business, state, decides, meanwhile):
        row = row_of(business, state)
        Export.objects.update(**meanwhile)  # it went its way meanwhile, and came back to the state they saw
        before = as_it_stands(row)
        assert decides(Actor(business.pk, Who.PERSON), row) == []
        assert as_it_stands(row) == before

    def test_a_row_that_came_into_doubt_since_it_was_looked_for_is_not_claimed(self, acme, monkeypatch):
        acme.purchase("12.50")
        original = ledger.claim

        def doubted_meanwhile(*args, **kwargs):
            Export.objects.update(doubted=True)
            return original(*args, **kwargs)

        monkeypatch.setattr(ledger, "claim", doubted_meanwhile)
        acme.sync(slices=2)
        assert Export.objects.get().state == State.DUE
        assert acme.books.live() == []
