"""What a person may decide about a transaction, and what becomes of it: moves 15 to 19 of the ledger.

Which row allows what is one pure table, `allowed`, read by the pages that show the buttons and by the functions behind
them. Whatever needs a look asks the books first, outside any transaction; the move itself is the ledger's.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from connectors import registry
from connectors.connector import Connector
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection
from connectors.records import Fate, Found, Posted, Sent
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.models import Membership, User
from pexsync.accounts.permissions import CONNECTOR
from pexsync.accounts.tenancy import reading
from syncjobs import ledger, notices, owing, support
from syncjobs.desk import as_sent, key_of
from syncjobs.judge import PUT_OFF
from syncjobs.models import Export, PexTransaction
from syncjobs.transitions import Cause, Closed, State, Who

logger = logging.getLogger(__name__)

MOST = 500  # rows one decision covers
LOOKED_FOR = 50  # of them where each has to be looked for in the books while the person waits


class Action(StrEnum):
    """What a person may decide; the value stands in forms."""

    IT_IS_THERE = "it_is_there"
    SEND = "send"
    SEND_AGAIN = "send_again"
    BY_HAND = "by_hand"
    LEAVE_OUT = "leave_out"
    UNDO = "undo"


_OUT = (Action.BY_HAND, Action.LEAVE_OUT)
_MAYBE_NEVER_SENT = (Action.IT_IS_THERE, Action.SEND, *_OUT)
_HAS_A_RECORD = (Action.IT_IS_THERE, *_OUT)
_OF_CAUSE: Mapping[str, tuple[Action, ...]] = {
    Cause.LOOKALIKE: _MAYBE_NEVER_SENT,
    Cause.NOTE_BY_HAND: _MAYBE_NEVER_SENT,
    Cause.RECEIPT: _MAYBE_NEVER_SENT,
    Cause.REISSUED: _MAYBE_NEVER_SENT,
    Cause.STATEMENT: _MAYBE_NEVER_SENT,
    Cause.UNRESOLVED: _MAYBE_NEVER_SENT,
    Cause.DOUBLED: _HAS_A_RECORD,
    Cause.EDITED: _HAS_A_RECORD,
    Cause.MISSING: (Action.IT_IS_THERE, Action.SEND_AGAIN, *_OUT),
}
_OF_STATE: Mapping[str, tuple[Action, ...]] = {
    State.DUE: _OUT,
    State.SENT: (),
    State.POSTED: (Action.SEND_AGAIN,),
}


def allowed(state: str, cause: str, record_id: str) -> tuple[Action, ...]:
    """What a person may decide about a row. Pure.

    Undone is only what surely has no record: another one would double it. Nought stays nought.
    """
    if state == State.HELD:
        return _OF_CAUSE.get(cause, ())
    if state == State.DUE and cause == PUT_OFF:
        return (Action.SEND, *_OUT)
    if state == State.CLOSED:
        return () if record_id or cause == Closed.NOTHING else (Action.UNDO,)
    return _OF_STATE[state]


def actions_of(export: Export) -> tuple[Action, ...]:
    return allowed(export.state, export.cause, export.record_id)


def offered(export: Export) -> tuple[Action, ...]:
    """Those with a button: what support was asked for is not asked for twice."""
    asked = support.waits(export)
    return tuple(action for action in actions_of(export) if not (asked and action is Action.SEND_AGAIN))


def is_final(export: Export, action: Action) -> bool:
    """Whether `action` cannot be undone, so that the person is asked first."""
    return action in _OUT and bool(export.record_id)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one row did not move: a sentence, and the record it speaks of."""

    export: Export
    says: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`asked`: rows that stay where they are until support allows it."""

    moved: Sequence[Export] = ()
    refused: Sequence[Refusal] = ()
    asked: Sequence[Export] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. `record`: what they typed to name a record; `remark`: their words, kept in the event."""

    connection: Connection
    action: Action
    by: User | None
    who: Who = Who.PERSON
    record: str = ""
    remark: str = ""

    @property
    def actor(self) -> ledger.Actor:
        return ledger.Actor(self.connection.business_id, self.who, person=self.by)

    @property
    def connector(self) -> type[Connector]:
        return registry.ALL[self.connection.system]

    @property
    def asks_support(self) -> bool:
        """Whether it is support's to allow."""
        return self.action is Action.SEND_AGAIN and self.who is Who.PERSON and support.allows(self.connector)


def decide(wish: Wish, exports: Collection[int]) -> Answer:
    """Do what is wished with these rows of the connection, at most `MOST`; the others of them stay as they are.

    Call it outside any transaction: it may ask the books. Raises `PermissionDenied`.
    """
    if wish.who is Who.PERSON:
        _check_permission(wish)
    rows = rows_of(wish.connection, exports)
    refused = [Refusal(row, says) for row in rows if (says := refusal(wish, row))]
    left = {each.export.pk for each in refused}
    decided = _ask_support if wish.asks_support else _MOVES[wish.action]
    answer = decided(wish, [row for row in rows if row.pk not in left])
    return replace(answer, refused=[*refused, *answer.refused])


def rows_of(connection: Connection, exports: Collection[int]) -> list[Export]:
    """The rows of this connection among the given ones."""
    with reading(connection.business_id):
        mine = Export.objects.filter(business_id=connection.business_id, system=connection.system)
        return list(mine.filter(pk__in=list(exports)[:MOST]).order_by("-settled_on", "-pk"))


def _check_permission(wish: Wish) -> None:
    with reading(wish.connection.business_id):
        places = Membership.objects.filter(business_id=wish.connection.business_id, user=wish.by)
        place = places.first()
    missing = list(CONNECTOR) if place is None else place.missing(CONNECTOR)
    if missing:
        raise PermissionDenied(", ".join(permission.label for permission in missing))


# --- why not ----------------------------------------------------------------------------------------------------------

_NOT_OF_CAUSE = {
    Cause.DOUBLED: "The books hold it twice: sending it would make three. Delete all but one there.",
    Cause.EDITED: "The books hold a record of it: sending it would double it. Look there first.",
    Cause.MISSING: "It had a record in the books. Press “{again}”: it looks first whether that one is gone.",
}
_NOT_OF_STATE = {
    State.DUE: "It is not held: it goes with a sync as soon as nothing keeps it back.",
    State.HELD: "That is not possible while it waits for you for this reason.",
    State.CLOSED: "It is closed. Press “Undo” first.",
}


def refusal(wish: Wish, export: Export) -> str:
    """Why a row does not allow the wish; "" when it does, as far as can be said without asking the books."""
    if export.state == State.SENT:
        return f"It is being sent right now. Wait until {_hour(wish.connection, export.next_look)}; then we know."
    if wish.action not in actions_of(export):
        return _not_allowed(wish, export)
    if wish.action not in _OUT and export.target not in ("", wish.connection.target):
        return (
            f"It was sent to another company than {wish.connection.company_name}. "
            "Look there; then press “Entered by hand” or “Leave out”."
        )
    if wish.action is Action.SEND and export.cause == Cause.UNRESOLVED and (until := _patience_ends(wish, export)):
        return f"It was sent a moment ago. Wait until {_hour(wish.connection, until)}; then a look is worth something."
    if wish.asks_support and support.waits(export):
        return support.asked_already(export, wish.connection.business.zone)
    return ""


def _not_allowed(wish: Wish, export: Export) -> str:
    if export.state == State.POSTED:
        return f"It is in {wish.connector.label} already."
    if export.state == State.CLOSED and wish.action is Action.UNDO:
        if export.record_id:
            return "A record of it is known in the books: sending it once more would double it."
        return "There is nothing to book."
    if export.state == State.HELD and wish.action is Action.SEND and export.cause in _NOT_OF_CAUSE:
        return _NOT_OF_CAUSE[Cause(export.cause)].format(again=support.word(wish.connector))
    return _NOT_OF_STATE[State(export.state)]


def _patience_ends(wish: Wish, export: Export) -> datetime | None:
    """When a look first tells something of a row that was sent; None when it does already."""
    if export.sent_at is None:
        return None
    until = export.sent_at + (ledger.SENDING + wish.connector.settle_after) * settings.PATIENCE
    return until if until > clock.database_now() else None


def _hour(connection: Connection, at: datetime | None) -> str:
    return f"{at.astimezone(connection.business.zone):%H:%M}" if at else "the sync has ended"


def _faster(rows: Sequence[Export], moved: Sequence[Export]) -> list[Refusal]:
    """Rows that somebody else, or a sync, moved between our look at them and our move."""
    done = {row.pk for row in moved}
    return [Refusal(row, "It was changed meanwhile. Look at it once more.") for row in rows if row.pk not in done]


# --- looking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found, by key; or why there was none, a sentence."""

    found: Mapping[str, Found] = field(default_factory=dict)
    trouble: str = ""

    def of(self, export: Export) -> Found:
        return self.found.get(key_of(export), Found(Fate.UNSEEN))


def _look(wish: Wish, rows: Sequence[Export], record_id: str = "") -> Seen:
    """One look at all of them, by key and by record, as exact as for rows in doubt."""
    connection = wish.connection
    if not rows:
        return Seen()
    if not connection.ready:
        return Seen(trouble=f"Connect {wish.connector.label} first, so that we can look there.")
    try:
        with registry.open_connector(connection) as books:
            return Seen(books.find([_to_look_for(wish, books, row, record_id) for row in rows]))
    except NotAuthorized as error:
        notices.signed_out(connection, error.says)
        return Seen(trouble=error.says)
    except ConnectorError as error:
        return Seen(trouble=f"{error.says} Nothing was changed.")


def _to_look_for(wish: Wish, books: Connector, export: Export, record_id: str) -> Sent:
    sent = as_sent(export, wish.connection, books)
    return replace(sent, record_id=record_id) if record_id else sent


def _not_looked(wish: Wish) -> str:
    return f"{wish.connector.label} could not be looked through completely. Try again in a few minutes."


def _too_many(rows: Sequence[Export]) -> list[Refusal]:
    says = f"Only {LOOKED_FOR} are looked for at once. Press it again for the others."
    return [Refusal(row, says) for row in rows]


# --- the moves --------------------------------------------------------------------------------------------------------


def _it_is_there(wish: Wish, rows: Sequence[Export]) -> Answer:
    """Move 15. The person vouches for a record that differs; one that is gone or doubled is nobody's to vouch for."""
    if not rows:
        return Answer()
    export, others = rows[0], rows[1:]
    refused = [Refusal(row, "Name the record of one transaction at a time.") for row in others]
    record_id = wish.connector.record_in(wish.record)
    if not record_id:
        return Answer((), [Refusal(export, _no_number(wish)), *refused])
    begun = clock.database_now()
    seen = _look(wish, [export], record_id)
    what = seen.of(export)
    says = seen.trouble or _not_the_one(wish, what, record_id)
    if says:
        return Answer((), [Refusal(export, says, what.link), *refused])
    found = Posted(what.record_id, what.link, what.says, what.draft)
    again = what.fate is Fate.LIVE or ledger.may_come_through(export, begun)
    target = wish.connection.target
    try:
        moved = ledger.it_is_there(wish.actor, target, export, found, _owed(wish.connection, export), look_again=again)
    except IntegrityError:
        return Answer((), [Refusal(export, _taken(wish.connection, found), found.link), *refused])
    owing.end(wish.connection)
    return Answer(moved, [*_faster([export], moved), *refused])


def _no_number(wish: Wish) -> str:
    label = wish.connector.label
    return f"That names no record of {label}. Open the record in {label} and copy the address of its page."


def _not_the_one(wish: Wish, what: Found, record_id: str) -> str:
    """Why the record found is not taken; "" when it is."""
    label = wish.connector.label
    match what.fate:
        case Fate.UNSEEN:
            return _not_looked(wish)
        case Fate.ABSENT:
            return f"{label} has no such record. Open the record there and copy the address of its page."
        case Fate.DEAD:
            return "That record is deleted or void. Name one that stands, or enter it there."
        case Fate.DOUBLED:
            return f"{what.says or 'The books hold it more than once.'} Then name the one that stays."
    if what.record_id.casefold() != record_id.casefold():
        return f"{label} holds this transaction as another record than the one you named. Look at that one."
    return ""


def _owed(connection: Connection, export: Export) -> ledger.Owed:
    """A purchase that carries our note already does not get a second one."""
    with reading(connection.business_id):
        mirrored = PexTransaction.objects.filter(
            business_id=connection.business_id, source=export.source, pex_id=export.pex_id
        ).first()
    noted = mirrored is not None and mirrored.noted is True
    return ledger.Owed(note=not noted, receipts=Settings.parse(connection.settings).receipts)


def _taken(connection: Connection, found: Posted) -> str:
    with reading(connection.business_id):
        other = Export.objects.filter(
            business_id=connection.business_id, target=connection.target, record_id=found.record_id
        ).first()
    whose = f"PEX {other.pex_id}, settled {other.settled_on:%-d %b %Y}" if other else "another one"
    return f"That record is the one of another transaction already: {whose}. Name another record."


def _send(wish: Wish, rows: Sequence[Export]) -> Answer:
    """Move 16. A row whose fate was never learned goes only when a look right now says that it is not there."""
    doubtful = [row for row in rows if row.cause == Cause.UNRESOLVED]
    seen = _look(wish, doubtful[:LOOKED_FOR])
    refused = _too_many(doubtful[LOOKED_FOR:])
    refused += [
        Refusal(row, says, seen.of(row).link)
        for row in doubtful[:LOOKED_FOR]
        if (says := seen.trouble or _not_absent(wish, seen.of(row)))
    ]
    left = {each.export.pk for each in refused}
    ready = [row for row in rows if row.pk not in left]
    moved = ledger.send(wish.actor, ready)
    return Answer(moved, [*refused, *_faster(ready, moved)])


def _not_absent(wish: Wish, what: Found) -> str:
    if what.fate in (Fate.ABSENT, Fate.DEAD):  # a dead one is held as missing by the look before the next sending
        return ""
    if what.fate is Fate.UNSEEN:
        return _not_looked(wish)
    return f"It is in {wish.connector.label} after all. Look at it, then press “It is there”."


def _send_again(wish: Wish, rows: Sequence[Export]) -> Answer:
    """Move 19, only where a look right now proves the old record dead."""
    looked = rows[:LOOKED_FOR]
    seen = _look(wish, looked)
    refused = _too_many(rows[LOOKED_FOR:])
    refused += [
        Refusal(row, says, seen.of(row).link or row.link)
        for row in looked
        if (says := seen.trouble or _not_dead(wish, row, seen.of(row)))
    ]
    _hold_vanished(wish, [row for row in looked if row.state == State.POSTED and seen.of(row).fate is Fate.ABSENT])
    left = {each.export.pk for each in refused}
    ready = [row for row in looked if row.pk not in left]
    moved = ledger.send_again(wish.actor, ready, wish.remark)
    return Answer(moved, [*refused, *_faster(ready, moved)])


def _not_dead(wish: Wish, export: Export, what: Found) -> str:
    match what.fate:
        case Fate.DEAD:
            return ""
        case Fate.UNSEEN:
            return _not_looked(wish)
        case Fate.ABSENT if export.state == State.HELD:
            return ""
        case Fate.ABSENT:
            return f"{_VANISHED} Look there, then press “{support.word(wish.connector)}” once more."
    return f"Its record is still in {wish.connector.label}. Delete or void it there first, then send it again."


_VANISHED = "Its record is not in the books any more, not even as a deleted one."


def _hold_vanished(wish: Wish, rows: Sequence[Export]) -> None:
    """Move 14: the look of a person is a look. A record that vanished is proven dead only by the next one."""
    actor = ledger.Actor(wish.connection.business_id, Who.SLICE, person=wish.by)
    says = f"{_VANISHED} Look there; then press “{support.word(wish.connector)}” or “Entered by hand”."
    ledger.changed_there(actor, [(row, Cause.MISSING, says, row.link) for row in rows])


def _ask_support(wish: Wish, rows: Sequence[Export]) -> Answer:
    """No move 19: where a look right now does not find the record, the wish stands on the row until support answers.

    What a look finds gone is held first, as with every look (move 14), so that nobody takes it for booked meanwhile.
    """
    looked = rows[:LOOKED_FOR]
    seen = _look(wish, looked)
    refused = _too_many(rows[LOOKED_FOR:])
    refused += [
        Refusal(row, says, seen.of(row).link or row.link)
        for row in looked
        if (says := seen.trouble or _not_gone(wish, row, seen.of(row)))
    ]
    left = {each.export.pk for each in refused}
    gone = [row for row in looked if row.pk not in left]
    actor = ledger.Actor(wish.connection.business_id, Who.SLICE, person=wish.by)
    posted = [(row, seen.of(row)) for row in gone if row.state == State.POSTED]
    ledger.changed_there(actor, [(row, Cause.MISSING, _gone_says(what), what.link or row.link) for row, what in posted])
    asked = ledger.ask_support(wish.actor, gone, wish.remark)
    if asked:
        numbers = [row.pex_id for row in asked]
        logger.info("support asked", extra={"connection": wish.connection.pk, "pex_ids": numbers})
    return Answer(refused=[*refused, *_faster(gone, asked)], asked=asked)


def _not_gone(wish: Wish, export: Export, what: Found) -> str:
    return "" if what.fate is Fate.ABSENT else _not_dead(wish, export, what)


def _gone_says(what: Found) -> str:
    return "Its record was deleted or reversed in the books." if what.fate is Fate.DEAD else _VANISHED


def _take_out(wish: Wish, rows: Sequence[Export]) -> Answer:
    """Move 17."""
    closed, done = {
        Action.LEAVE_OUT: (Closed.LEFT_OUT, "Left out"),
        Action.BY_HAND: (Closed.BY_HAND, "Entered by hand"),
    }[wish.action]
    by = f"{done} by {wish.by or 'support'}"
    says = f"{by}: {wish.remark}" if wish.remark else f"{by}."
    moved = ledger.take_out(wish.actor, rows, closed, says)
    return Answer(moved, _faster(rows, moved))


def _undo(wish: Wish, rows: Sequence[Export]) -> Answer:
    """Move 18."""
    moved = ledger.undo(wish.actor, rows)
    return Answer(moved, _faster(rows, moved))


_MOVES: Mapping[Action, Callable[[Wish, Sequence[Export]], Answer]] = {
    Action.IT_IS_THERE: _it_is_there,
    Action.SEND: _send,
    Action.SEND_AGAIN: _send_again,
    Action.BY_HAND: _take_out,
    Action.LEAVE_OUT: _take_out,
    Action.UNDO: _undo,
}
