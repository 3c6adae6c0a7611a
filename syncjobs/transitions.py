"""The states of a ledger row and every move between them: one table, shared by code, tests and pages.

Pure. The code takes its `WHERE state IN ...` and `SET state = ...` from here, so nothing moves that is not listed.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    DUE = "due"
    SENT = "sent"
    POSTED = "posted"
    HELD = "held"
    CLOSED = "closed"


class Event(StrEnum):
    SEEN = "seen"
    JUDGED = "judged"
    FOUND_EQUAL = "found_equal"
    FOUND_DIFFERENT = "found_different"
    HELD_BY_RULE = "held_by_rule"
    CLOSED_BY_RULE = "closed_by_rule"
    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNANSWERED = "unanswered"
    SETTLED_LIVE = "settled_live"
    SETTLED_ABSENT = "settled_absent"
    SETTLED_UNSURE = "settled_unsure"
    GIVEN_UP = "given_up"
    CHANGED_THERE = "changed_there"
    IT_IS_THERE = "it_is_there"
    SEND = "send"
    TAKEN_OUT = "taken_out"
    UNDONE = "undone"
    SEND_AGAIN = "send_again"
    FOUND_AGAIN = "found_again"


class Remark(StrEnum):
    """What is written into a row's log beside its moves: the row stays where it is."""

    ASKED_SUPPORT = "asked_support"
    DECLINED = "declined"


class Who(StrEnum):
    JUDGE = "judge"
    SLICE = "slice"
    SENDER = "sender"
    SWEEPER = "sweeper"
    PERSON = "person"
    STAFF = "staff"


class Cause(StrEnum):
    """Why a row is held."""

    LOOKALIKE = "possibly_booked"
    DOUBLED = "doubled"
    MISSING = "missing"
    EDITED = "edited"
    UNRESOLVED = "unresolved"
    NOTE_BY_HAND = "note_by_hand"
    RECEIPT = "receipt"
    REISSUED = "reissued"
    STATEMENT = "statement"  # sales credits and write-offs


class Closed(StrEnum):
    """Why a row is closed."""

    LEFT_OUT = "left_out"
    BY_HAND = "entered_by_hand"
    SYNCED_BEFORE = "synced_before"
    NOTHING = "nothing_to_book"


@dataclass(frozen=True, slots=True)
class Move:
    number: str  # as the table of the design counts them
    before: frozenset[State]  # empty: the row does not exist yet
    event: Event
    after: State
    who: frozenset[Who]
    batch_must_match: bool = False  # the guard compares the batch number as well as the state


def _move(number: str, before: str, event: Event, after: State, who: str, batch: bool = False) -> Move:
    states = frozenset(State(name) for name in before.split())
    return Move(number, states, event, after, frozenset(Who(name) for name in who.split()), batch)


TABLE: tuple[Move, ...] = (
    _move("1", "", Event.SEEN, State.DUE, "judge"),
    _move("2", "due", Event.JUDGED, State.DUE, "judge"),
    _move("3", "due", Event.FOUND_EQUAL, State.POSTED, "slice"),
    _move("4", "due", Event.FOUND_DIFFERENT, State.HELD, "slice"),
    _move("4a", "due", Event.HELD_BY_RULE, State.HELD, "judge"),
    _move("4b", "due", Event.CLOSED_BY_RULE, State.CLOSED, "judge"),
    _move("5", "due", Event.CLAIMED, State.SENT, "slice"),
    _move("6", "sent", Event.ACCEPTED, State.POSTED, "sender", batch=True),
    _move("7", "sent", Event.REFUSED, State.DUE, "sender", batch=True),
    _move("8", "sent", Event.NOT_SENT, State.DUE, "sender", batch=True),
    _move("9", "sent", Event.UNANSWERED, State.SENT, "sender", batch=True),
    _move("10", "sent", Event.SETTLED_LIVE, State.POSTED, "slice", batch=True),
    _move("11", "sent", Event.SETTLED_ABSENT, State.DUE, "slice", batch=True),
    _move("11h", "sent", Event.SETTLED_ABSENT, State.HELD, "slice", batch=True),  # `resend` = no
    _move("12", "sent", Event.SETTLED_UNSURE, State.HELD, "slice", batch=True),
    _move("13", "sent", Event.GIVEN_UP, State.HELD, "sweeper", batch=True),
    _move("14", "posted", Event.CHANGED_THERE, State.HELD, "slice"),
    _move("15", "held", Event.IT_IS_THERE, State.POSTED, "person"),
    _move("16", "due held", Event.SEND, State.DUE, "person"),  # due: unticked in a preview before
    _move("17", "due held", Event.TAKEN_OUT, State.CLOSED, "person"),
    _move("18", "closed", Event.UNDONE, State.DUE, "person"),
    _move("19", "posted held", Event.SEND_AGAIN, State.DUE, "slice person staff"),
    _move("20", "held", Event.FOUND_AGAIN, State.POSTED, "slice"),
)


def move(event: Event, after: State | None = None) -> Move:
    """Return the one move of this event (with `after` where an event can end in two states)."""
    found = [row for row in TABLE if row.event is event and after in (None, row.after)]
    if len(found) != 1:
        raise LookupError(f"{event} names {len(found)} moves")
    return found[0]
