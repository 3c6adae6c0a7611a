"""One sentence and one button for each cause a row can show, and a reason for each row that is not there at all."""

import inspect
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.connector import Receipts, Resync
from connectors.models import Connection
from connectors.records import Kind, Refused, Source, Transaction
from connectors.settings import Settings
from connectors.xero import mapping
from connectors.xero.connector import Xero
from pexsync.pages.steps import place_of
from syncjobs import coding, judge, notices, people, receipt_words, remedies, unlisted
from syncjobs.models import SyncRun
from syncjobs.people import Action
from syncjobs.remedies import Place, Subject
from syncjobs.transitions import Cause, Closed, State
from syncjobs.unlisted import Reach

TODAY = date(2026, 11, 21)
SETTLED = datetime(2026, 11, 10, 15, tzinfo=UTC)
ON = Settings(kinds=frozenset({Kind.PURCHASE}), start_date=date(2026, 8, 1))


# --- every cause has its button ---------------------------------------------------------------------------------------


def words_of_waits() -> set[str]:
    """As `judge` writes them; `coding` and `settings` stand for the causes below."""
    source = inspect.getsource(judge)
    written = set(re.findall(r'Wait\(\s*"(\w+)"', source)) | {judge.PUT_OFF, judge.UNSEEN}
    return written - {"coding", "settings"}


def causes_of_coding() -> set[str]:
    return set(re.findall(r'cause=f?"(\w+)', inspect.getsource(coding))) | {"settings"}


def of_subject(state: State, cause: str, waiting: str = "", **facts: Any) -> remedies.Button | None:
    about = {"link": "https://books.example/1", "card_account": 7} | facts
    return remedies.button(Subject("xero", state, cause, waiting, **about))


def every_cause() -> Iterator[tuple[State, str, str]]:
    yield from ((State.DUE, "", word) for word in sorted(words_of_waits()))
    yield from ((State.DUE, f"{cause}:account", "coding") for cause in sorted(causes_of_coding() - {"split"}))
    yield State.DUE, "split", "coding"
    yield from ((State.DUE, cause, "refused") for cause in sorted(reasons_of_xero()))
    yield State.DUE, "refused", "refused"
    yield State.DUE, "what nobody has heard of", "refused"
    yield from ((State.HELD, cause, "") for cause in Cause)
    yield from ((State.CLOSED, cause, "") for cause in Closed)


def reasons_of_xero() -> set[str]:
    return {Refused("No.", known.cause, known.field).reason for known in mapping.KNOWN} - {"period"}


def test_the_walk_knows_the_words():
    assert words_of_waits() >= {"approval", "gone", "kind_off", "late", "period", "put_off", "too_old", "unseen"}
    assert causes_of_coding() == {"archived", "parties", "settings", "split", "unknown", "untagged"}
    assert len(reasons_of_xero()) > 5


@pytest.mark.parametrize("single", [True, False], ids=["one row", "several"])
@pytest.mark.parametrize(("state", "cause", "waiting"), list(every_cause()), ids=lambda part: str(part) or "-")
def test_each_cause_has_one_button(state, cause, waiting, single):
    button = of_subject(state, cause, waiting, single=single)
    assert button is not None
    assert button.word
    assert sum([bool(button.link), bool(button.post), button.action is not None]) == 1


@pytest.mark.parametrize(("state", "cause", "waiting"), list(every_cause()), ids=lambda part: str(part) or "-")
def test_a_move_on_a_button_is_one_the_row_allows(state, cause, waiting):
    """`judge` writes a row that was put off with its word as its cause too."""
    button = of_subject(state, cause, waiting, link="")
    assert button is not None
    if button.action is not None:
        assert button.action in people.allowed(state, cause or waiting, "")


def test_no_table_names_a_cause_nobody_writes():
    of_books = {known.cause for known in mapping.KNOWN}
    assert set(remedies.DUE) <= words_of_waits() | causes_of_coding() | of_books
    assert set(remedies.HELD) == set(Cause)
    assert set(remedies.CLOSED) == set(Closed)


@pytest.mark.parametrize(
    ("state", "cause", "waiting", "single", "word", "leads"),
    [
        (State.DUE, "untagged:account", "coding", True, "TAG IN PEX", "/cards/7/detail"),
        (State.DUE, "settings:fee:account", "settings", True, "OPEN SETUP", "/xero/setup?field=fee:account"),
        (State.DUE, "", "kind_off", True, "OPEN SETUP", "/xero/setup?field=kinds"),
        (State.DUE, "", "approval", True, "APPROVE IN PEX", "/cards/7/detail"),
        (State.DUE, "contact_archived:party", "refused", True, "OPEN SETUP", "/xero/setup?field=party"),
        (State.DUE, "refused", "refused", False, "SYNC", "/xero/sync/start"),
        (State.DUE, "", "period", True, "SYNC", "/xero/sync/start"),
        (State.DUE, "late", "late", False, "CONFIRM", "/xero/sync#late-title"),
        (State.HELD, "doubled", "", True, "OPEN RECORD", "https://books.example/1"),
        (State.HELD, "doubled", "", False, "DECIDE", "/xero/transactions?view=needs_you&cause=doubled"),
        (State.HELD, "reissued", "", True, "It is there", "it_is_there"),
        (State.DUE, "", "reissued", True, "SYNC", "/xero/sync/start"),
        (State.HELD, "missing", "", True, "Send again", "send_again"),
        (State.CLOSED, "left_out", "", True, "Undo", "undo"),
    ],
)
def test_where_it_leads(state, cause, waiting, single, word, leads):
    button = of_subject(state, cause, waiting, single=single)
    assert button is not None
    assert button.word == word
    assert leads in (button.link or button.post or str(button.action))


def test_a_tag_may_also_be_set_as_a_default():
    button = of_subject(State.DUE, "untagged:account", "coding")
    assert button is not None
    assert button.setup == "/xero/setup?field=account"


def test_what_stands_in_the_books_is_not_brought_back():
    button = of_subject(State.CLOSED, Closed.LEFT_OUT, final=True)
    assert button is not None
    assert (button.link, button.action) == ("https://books.example/1", None)


@pytest.mark.parametrize("state", [State.POSTED, State.SENT])
def test_where_nothing_is_wrong_there_is_no_button(state):
    assert of_subject(state, "") is None
    assert of_subject(State.DUE, "") is None


FIELDS = {remedy.field for remedy in remedies.DUE.values() if remedy.field} | {"start_date", "end_date"}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_the_setup_knows_where_each_of_its_own_fields_is_asked_for(field):
    found = place_of(Xero, field, ON)
    assert found is not None
    assert found[0].key == "sync"


# --- a row that is not in the list ------------------------------------------------------------------------------------


def row(**facts: Any) -> Transaction:
    defaults = {"pex_id": 1, "source": Source.TRANSACTION, "kind": Kind.PURCHASE, "amount": Decimal("1.00")}
    return Transaction(**(defaults | {"happened_at": SETTLED, "settled_at": SETTLED} | facts))


def settled(days_ago: int) -> Transaction:
    return row(settled_at=datetime(2026, 11, 21, 15, tzinfo=UTC) - timedelta(days=days_ago))


def why(about: Transaction, settings: Settings = ON, **facts: Any) -> unlisted.Reason:
    return unlisted.why(about, Reach(settings, TODAY, **({"auto_sync": True} | facts)))


@pytest.mark.parametrize(
    ("about", "says", "place"),
    [
        (row(declined=True), "PEX declined it", Place.PEX),
        (row(pending=True, settled_at=None), "Pending in PEX", Place.PEX),
        (row(missing=True), "PEX no longer shows it.", Place.PEX),
        (row(kind=None, category="CardLoad"), "PEX calls it “CardLoad”", Place.PEX),
        (row(kind=Kind.FEE), "Fees are switched off in Setup.", Place.SETUP),
        (settled(400), "more than a year ago", Place.PEX),
        (settled(200), "before the Start Date, 1 Aug 2026", Place.SETUP),
        (settled(80), "nights do not reach that far", Place.SYNC),
        (settled(1), "The next one takes it.", Place.SYNC),
    ],
)
def test_the_first_thing_in_its_way_is_told(about, says, place):
    reason = why(about)
    assert says in reason.says
    assert reason.remedy.place is place


def test_after_the_end_date():
    assert (
        "after the End Date, 5 Nov 2026" in why(settled(1), Settings(kinds=ON.kinds, end_date=date(2026, 11, 5))).says
    )


def test_without_a_start_date_two_months_count():
    reason = why(settled(80), Settings(kinds=ON.kinds))
    assert "no Start Date is chosen" in reason.says
    assert reason.remedy.field == "start_date"


def test_what_settled_before_the_company_was_changed():
    assert "belongs to the former one" in why(settled(11), cutover=date(2026, 11, 15)).says


def test_with_auto_sync_off_somebody_must_press():
    assert "auto-sync is off" in why(settled(1), auto_sync=False).says


# --- the decision table "my transaction did not sync" -----------------------------------------------------------------


def refused_in_their_words(text: str, **facts: str) -> Callable[[], bool]:
    """A refusal of books we have no entry for: shown as it came, with a button."""
    refusal = Refused(text, **({"cause": "refused"} | facts))
    return lambda: of_subject(State.DUE, refusal.reason, "refused") is not None


def says(about: Transaction, words: str, **facts: Any) -> Callable[[], bool]:
    return lambda: words in why(about, **facts).says


def shown(state: State, cause: str, waiting: str = "") -> Callable[[], bool]:
    return lambda: of_subject(state, cause, waiting) is not None


DECISION_TABLE: dict[int, tuple[str, Callable[[], bool]]] = {
    1: ("settled after the last run", says(settled(0), "The next one takes it")),
    2: ("out of the window", says(settled(200), "before the Start Date")),
    3: ("pending", says(row(pending=True), "Pending in PEX")),
    4: ("a required tag is missing", shown(State.DUE, "untagged:account", "coding")),
    5: ("not approved", shown(State.DUE, "", "approval")),
    6: ("older than a year", says(settled(400), "nothing that old is synced")),
    7: ("another tag is mapped than the one people fill", shown(State.DUE, "untagged:account", "coding")),
    8: ("the tag or its mapping is gone", shown(State.DUE, "settings:account", "settings")),
    9: ("the books do not know the option", shown(State.DUE, "unknown:account", "coding")),
    10: ("older than two months, and only nights", says(settled(80), "nights do not reach that far")),
    11: ("auto-sync is off", says(settled(1), "auto-sync is off", auto_sync=False)),
    12: ("a sync note is there already", shown(State.CLOSED, Closed.SYNCED_BEFORE)),
    13: ("no receipt where one must travel with it", shown(State.HELD, Cause.RECEIPT)),
    14: ("the vendor lacks the company", refused_in_their_words("Vendor has no company.", field="party")),
    15: ("the journal is missing", refused_in_their_words("There is no journal of that name.")),
    16: ("Connected: Not Ready", lambda: Connection.State.PREPARING.label == "Connected: Not Ready"),
    17: ("the authorisation ended", lambda: notices.HEADINGS[notices.SESSION].word == "RE-CONNECT"),
    18: ("the sync was cancelled", lambda: SyncRun.Status.CANCELLED.label == "Cancelled"),
    19: ("receipts are refused", lambda: receipt_words.LABELS[receipt_words.Receipt.FAILED].text == "Not attached"),
    20: ("the books refuse the sign-in", lambda: notices.HEADINGS[notices.SESSION].tone == "bad"),
    21: ("the kind is switched off", says(row(kind=Kind.REBATE), "Rebates are switched off in Setup.")),
    22: ("a transfer's account", shown(State.DUE, "settings:transfer:account", "settings")),
    23: ("the tag cannot be chosen", shown(State.DUE, "settings:account", "settings")),
}


@pytest.mark.parametrize("number", range(1, 24))
def test_each_reason_people_are_told_for_a_missing_transaction_can_be_said(number):
    reason, told = DECISION_TABLE[number]
    assert told(), reason


def test_the_connector_declares_what_the_table_goes_by():
    assert Xero.receipts is Receipts.AFTER
    assert Xero.resync is Resync.NOTE
    assert Action.SEND_AGAIN in people.allowed(State.HELD, Cause.MISSING, "")
