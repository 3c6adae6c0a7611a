"""The words people see for the state of a transaction and of a run: one table each. Pure but for the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

from connectors.connector import Connector
from pexsync import clock
from syncjobs import support
from syncjobs.judge import NEEDS_YOU, PUT_OFF
from syncjobs.models import Export, ExportEvent, SyncRun
from syncjobs.people import Action
from syncjobs.transitions import Cause, Closed, Event, Remark, State, Who

TWO_MINUTES = timedelta(minutes=2)
SHAPES = {"ok": "●", "busy": "◐", "warn": "◆", "bad": "▲", "off": "■"}


@dataclass(frozen=True, slots=True)
class Label:
    """A state as shown: a tone (colour), a shape and a word, never colour alone."""

    tone: str
    text: str

    @property
    def shape(self) -> str:
        return SHAPES[self.tone]


CLOSED = {
    Closed.LEFT_OUT: "Left out",
    Closed.BY_HAND: "Entered by hand",
    Closed.SYNCED_BEFORE: "Synced before PEX Sync",
    Closed.NOTHING: "Nothing to book",
}
ACTIONS = {
    Action.IT_IS_THERE: "It is there",
    Action.SEND: "Send",
    Action.SEND_AGAIN: support.SEND_AGAIN,
    Action.BY_HAND: "Entered by hand",
    Action.LEAVE_OUT: "Leave out",
    Action.UNDO: "Undo",
}
EVENTS = {
    Event.SEEN: "Came in from PEX",
    Event.JUDGED: "Checked",
    Event.FOUND_EQUAL: "Found in {label} and taken over",
    Event.FOUND_DIFFERENT: "Held after a look in {label}",
    Event.HELD_BY_RULE: "Held",
    Event.CLOSED_BY_RULE: "Closed",
    Event.CLAIMED: "On its way to {label}",
    Event.ACCEPTED: "Booked in {label}",
    Event.REFUSED: "Refused by {label}",
    Event.NOT_SENT: "Not sent after all",
    Event.UNANSWERED: "{label} gave no answer",
    Event.SETTLED_LIVE: "Looked for in {label}, and found",
    Event.SETTLED_ABSENT: "Looked for in {label}, and not there",
    Event.SETTLED_UNSURE: "Held after a look in {label}",
    Event.GIVEN_UP: "Held: {label} could not be asked for a day",
    Event.CHANGED_THERE: "Held: changed in {label}",
    Event.IT_IS_THERE: "Its record was named",
    Event.SEND: "Released to be sent",
    Event.TAKEN_OUT: "Taken out",
    Event.UNDONE: "Brought back",
    Event.SEND_AGAIN: "To be sent again",
    Event.FOUND_AGAIN: "Found in {label} again",
}
REMARKS = {
    Remark.ASKED_SUPPORT: "Support was asked to let it go again",
    Remark.DECLINED: "Support did not let it go again",
}
RUN_TONES = {
    SyncRun.Status.QUEUED: "busy",
    SyncRun.Status.RUNNING: "busy",
    SyncRun.Status.PAUSED: "warn",
    SyncRun.Status.SUCCESS: "ok",
    SyncRun.Status.PARTIAL: "warn",
    SyncRun.Status.FAILED: "bad",
    SyncRun.Status.CANCELLED: "off",
}


def state_of(export: Export, connector: type[Connector], zone: tzinfo | None = None) -> Label:
    """The words of one ledger row; the sentence beside them is `export.says`."""
    match State(export.state):
        case State.DUE if export.waiting in NEEDS_YOU:
            return Label("bad", "Needs you")
        case State.DUE:
            return Label("off", "Not due") if export.waiting else Label("busy", "Queued")
        case State.SENT:
            return _sent(export, connector, zone)
        case State.POSTED:
            where = where_of(export, connector)
            return Label("ok", where[:1].upper() + where[1:])
        case State.HELD:
            return Label("bad", "Needs you")
        case State.CLOSED:
            return Label("off", CLOSED.get(Closed(export.cause), "Left out") if export.cause else "Left out")


def where_of(export: Export, connector: type[Connector]) -> str:
    """What "posted" is called of one row."""
    return connector.where_draft if export.draft and connector.where_draft else connector.where


def where_all(connector: type[Connector]) -> str:
    """What "posted" is called of many rows: with some of them a person may have a step to take yet."""
    return f"in {connector.label}" if connector.where_draft else connector.where


def _sent(export: Export, connector: type[Connector], zone: tzinfo | None) -> Label:
    fresh = export.sent_at is None or clock.now() - export.sent_at < TWO_MINUTES
    if fresh or export.next_look is None:
        return Label("busy", "Sending")
    return Label("busy", f"Checking with {connector.label} until {_time(export.next_look, zone)}")


def action_of(action: Action, cause: str = "", connector: type[Connector] | None = None) -> str:
    """The word on a button; against a rule's doubt it says so. Without a connector as most systems have it."""
    if action is Action.SEND_AGAIN and connector is not None:
        return support.word(connector)
    if action is Action.SEND and cause not in ("", Cause.UNRESOLVED, PUT_OFF):
        return "Send anyway"
    return ACTIONS[action]


def event_of(event: ExportEvent, connector: type[Connector]) -> str:
    words = REMARKS[Remark(event.event)] if event.event in set(Remark) else EVENTS[Event(event.event)]
    return words.format(label=connector.label)


def who_of(event: ExportEvent) -> str:
    """Who moved the row: a person by name, the sync, or support."""
    if event.person:
        return str(event.person)
    return {Who.PERSON: "a person who left", Who.STAFF: "support"}.get(Who(event.who), "PEX Sync")


def _time(at: datetime, zone: tzinfo | None) -> str:
    return f"{at.astimezone(zone or clock.EASTERN):%H:%M}"


def status_of(run: SyncRun) -> Label:
    return Label(RUN_TONES[SyncRun.Status(run.status)], SyncRun.Status(run.status).label)


def money(amount: Decimal | str | int | None) -> str:
    """Return "$1,234.50" or "−$41.94"; an em dash when unknown."""
    if amount is None or amount == "":
        return "—"
    try:
        exact = Decimal(str(amount))
    except InvalidOperation:
        return "—"
    sign = "\N{MINUS SIGN}" if exact < 0 else ""
    return f"{sign}${abs(exact):,.2f}"
