import pytest

from syncjobs import transitions
from syncjobs.transitions import TABLE, Event, State, Who


def test_every_event_of_the_table_is_named_once_but_the_one_with_two_ends():
    events = [move.event for move in TABLE]
    assert {event for event in events if events.count(event) > 1} == {Event.SETTLED_ABSENT}
    assert set(events) == set(Event)


def test_only_people_undo_what_is_closed():
    leaving = [move for move in TABLE if State.CLOSED in move.before]
    assert [move.who for move in leaving] == [frozenset({Who.PERSON})]


def test_nothing_reaches_sent_but_a_claim():
    assert [move.event for move in TABLE if move.after is State.SENT and State.SENT not in move.before] == [
        Event.CLAIMED
    ]


def test_whatever_is_said_about_a_sent_row_names_its_batch():
    assert all(move.batch_must_match for move in TABLE if State.SENT in move.before)


def test_no_automatic_move_brings_a_posted_row_back_to_due_without_a_new_generation():
    back = [move for move in TABLE if State.POSTED in move.before and move.after is State.DUE]
    assert [move.event for move in back] == [Event.SEND_AGAIN]


def test_an_event_with_two_ends_must_be_asked_with_one():
    with pytest.raises(LookupError):
        transitions.move(Event.SETTLED_ABSENT)
    assert transitions.move(Event.SETTLED_ABSENT, State.HELD).number == "11h"
