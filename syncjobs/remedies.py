"""What mends a row, by the cause it shows: one place, and one button that leads there.

The table is data about `judge`, `coding`, `transitions` and what a connector refuses; a test walks all of their causes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from connectors import registry
from connectors.connector import Connector
from syncjobs import support
from syncjobs.judge import PUT_OFF, UNSEEN
from syncjobs.people import Action
from syncjobs.transitions import Cause, Closed, State


class Place(StrEnum):
    SETUP = "setup"  # the step that asks for the field the cause names
    PEX = "pex"  # the transaction there
    BOOKS = "books"  # its record there
    SYNC = "sync"  # the next sync looks at it anew
    MANAGE = "manage"  # a question stands there
    HELP = "help"
    DECIDE = "decide"  # a person's move


@dataclass(frozen=True, slots=True)
class Remedy:
    """`word` stands on the button; `action` is the move, where a person's move mends it."""

    place: Place
    word: str
    action: Action | None = None
    field: str = ""  # of the settings, where the cause itself names none


def _decide(action: Action, word: str) -> Remedy:
    return Remedy(Place.DECIDE, word, action)


_SETUP = Remedy(Place.SETUP, "OPEN SETUP")
_SYNC = Remedy(Place.SYNC, "SYNC")
_OPEN_RECORD = Remedy(Place.BOOKS, "OPEN RECORD", Action.IT_IS_THERE)  # the move, where no record is known
_IT_IS_THERE = _decide(Action.IT_IS_THERE, "It is there")
_BY_HAND = _decide(Action.BY_HAND, "Entered by hand")
_LEAVE_OUT = _decide(Action.LEAVE_OUT, "Leave out")
_UNDO = _decide(Action.UNDO, "Undo")

# Of rows that are due: the words of `judge`, then what stands before the colon of a cause of `coding`, then refusals of
# the books whose remedy is not where a field is asked for.
DUE: Mapping[str, Remedy] = {
    "gone": _LEAVE_OUT,
    "reissued": _SYNC,
    "statement": _SYNC,
    "too_old": _BY_HAND,
    "kind_off": Remedy(Place.SETUP, "OPEN SETUP", field="kinds"),
    "bill_pay": Remedy(Place.SETUP, "OPEN SETUP", field="bill_pay"),
    "approval": Remedy(Place.PEX, "APPROVE IN PEX"),
    "period": _SYNC,
    "late": Remedy(Place.MANAGE, "CONFIRM"),
    PUT_OFF: _decide(Action.SEND, "Send"),
    UNSEEN: _SYNC,
    "split": Remedy(Place.PEX, "OPEN IN PEX"),
    "untagged": Remedy(Place.PEX, "TAG IN PEX"),
    "unknown": Remedy(Place.PEX, "TAG IN PEX"),
    "archived": Remedy(Place.PEX, "TAG IN PEX"),
    "parties": Remedy(Place.PEX, "TAG IN PEX"),
    "settings": _SETUP,
    "mistake": Remedy(Place.HELP, "OPEN HELP"),
}
HELD: Mapping[str, Remedy] = {
    Cause.LOOKALIKE: _IT_IS_THERE,
    Cause.NOTE_BY_HAND: _IT_IS_THERE,
    Cause.REISSUED: _IT_IS_THERE,
    Cause.UNRESOLVED: _IT_IS_THERE,
    Cause.DOUBLED: _OPEN_RECORD,
    Cause.EDITED: _OPEN_RECORD,
    Cause.MISSING: _decide(Action.SEND_AGAIN, support.SEND_AGAIN),
    Cause.RECEIPT: _decide(Action.SEND, "Send anyway"),
    Cause.STATEMENT: _BY_HAND,
}
CLOSED: Mapping[str, Remedy] = {
    Closed.LEFT_OUT: _UNDO,
    Closed.BY_HAND: _UNDO,
    Closed.SYNCED_BEFORE: _UNDO,
    Closed.NOTHING: Remedy(Place.PEX, "OPEN IN PEX"),
}


def of(state: str, cause: str, waiting: str = "") -> Remedy | None:
    """What mends a row; None where nothing is wrong with it.

    A refusal of the books that is not in the table is mended where its field is asked for; where it has none, only they
    can say what is wrong, and the next sync tries again.
    """
    match state:
        case State.HELD:
            return HELD.get(cause)
        case State.CLOSED:
            return CLOSED.get(cause)
        case State.DUE if cause or waiting:
            known = DUE.get(cause.partition(":")[0]) or DUE.get(waiting)
            return known or (_SETUP if field_of(cause) else _SYNC)
    return None


def field_of(cause: str) -> str:
    """The settings field a cause names: `untagged:account`, `settings:pex_account`."""
    return cause.partition(":")[2]


# --- as pages draw it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Button:
    """One of: a link, an address it posts to, or a move of the list's form. `setup`: where it could be set instead."""

    word: str
    link: str = ""
    outside: bool = False  # of the link: it leaves for PEX or the books
    post: str = ""
    action: Action | None = None
    setup: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a button is about: one row, or what several have in common."""

    system: str
    state: str
    cause: str
    waiting: str = ""
    says: str = ""  # the sentence that several have in common
    link: str = ""  # of its record in the books
    card_account: int | None = None
    single: bool = True
    final: bool = False  # closed, and a record of it is known: nobody brings it back


def button(about: Subject) -> Button | None:
    """Several rows are decided about in their list, where they can be ticked."""
    remedy = of(about.state, about.cause, about.waiting)
    if remedy is None:
        return None
    if remedy.place is Place.BOOKS and about.single and about.link:
        return Button(remedy.word, about.link, True)
    if remedy.action is None:
        return drawn(remedy, about.system, about.card_account, about.cause)
    if not about.single:
        asked = {"view": "needs_you", "cause": about.cause, "says": about.says}
        query = urlencode({name: value for name, value in asked.items() if value})
        return Button("DECIDE", f"{reverse('rows', args=[about.system])}?{query}")
    if about.final:
        return Button("OPEN RECORD", about.link, True) if about.link else None
    word = support.word(_connector(about.system)) if remedy.action is Action.SEND_AGAIN else remedy.word
    return Button(word, action=remedy.action)


def drawn(remedy: Remedy, system: str, card_account: int | None, cause: str = "") -> Button:
    """A remedy that is a place, not a person's move."""
    field = remedy.field or field_of(cause)
    match remedy.place:
        case Place.SETUP:
            return Button(f"OPEN {_connector(system).setup_page.upper()}", _setup(system, field))
        case Place.PEX:
            return Button(remedy.word, pex_page(card_account), True, setup=_setup(system, field, ""))
        case Place.SYNC:
            return Button(_connector(system).sync_word, post=reverse("sync-start", args=[system]))
        case Place.MANAGE:
            return Button(remedy.word, f"{reverse('manage', args=[system])}#{cause}-title")
    return Button(remedy.word, reverse("help"))


def _connector(system: str) -> type[Connector]:
    """Whose pages and buttons the words are of."""
    return registry.ALL[system]


def _setup(system: str, field: str, otherwise: str | None = None) -> str:
    if not field and otherwise is not None:
        return otherwise
    return reverse("setup", args=[system]) + (f"?field={field}" if field else "")


def pex_page(card_account: int | None) -> str:
    """The page of a card in PEX, which lists its transactions; PEX has no address for one of them."""
    page = f"cards/{card_account}/detail" if card_account else ""
    return f"{settings.PEX_DASHBOARD_URL}/{page}"
