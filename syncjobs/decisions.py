"""The pages on which a person decides about transactions: the buttons of the lists, what is asked first, one's history.

The view behind the buttons may ask the other system, so it is marked `outside` and opens short scopes of its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from connectors.models import Connection
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from syncjobs import people, receipt_words, standing, wording
from syncjobs.desk import key_of
from syncjobs.lookalikes import BY_BANK
from syncjobs.models import Export, ExportEvent
from syncjobs.people import Action, Answer, Refusal, Wish
from syncjobs.transitions import State
from syncjobs.views import connection_of, connector_of, of_cause, searched, typed

SHOWN = 50  # transactions listed before a decision about many
REASONS = 4  # told at once
REMARK = 200  # characters
WITH_A_REMARK = (Action.BY_HAND, Action.LEAVE_OUT)
QUEUES = (Action.SEND, Action.SEND_AGAIN, Action.UNDO)

# What a button does, before it is pressed, and what it did. One and many.
WILL = {
    Action.SEND: (
        "Whatever held {it} no longer counts. The next sync looks in {label} and sends {it} if nothing is there."
    ),
    Action.SEND_AGAIN: (
        "We look in {label} now. Only where the old record is deleted or void, a new one goes out with the next sync, "
        "under a number of its own, with its receipts and a new note in PEX."
    ),
    Action.BY_HAND: "{It} {counts} as booked by you in {label} and {is} not sent. Nothing is changed there.",
    Action.LEAVE_OUT: "{It} {is} not sent to {label}. Nothing is changed there or in PEX.",
    Action.UNDO: "{It} {is} due again, and {goes} to {label} with the next sync, which looks there first.",
}
ASKED = {
    Action.SEND: "Send {count}",
    Action.SEND_AGAIN: "Send {count} again",
    Action.BY_HAND: "Count {count} as entered by hand",
    Action.LEAVE_OUT: "Leave out {count}",
    Action.UNDO: "Bring back {count}",
}
DID = {
    Action.IT_IS_THERE: "{It} {is} {where} now. The note in PEX follows by itself.",
    Action.SEND: "{It} {goes} with the next sync.",
    Action.SEND_AGAIN: "{Its} old record is gone, so {it} {goes} again with the next sync.",
    Action.BY_HAND: "{It} {counts} as entered by hand.",
    Action.LEAVE_OUT: "{It} {is} left out.",
    Action.UNDO: "{It} {is} due again and {goes} with the next sync.",
}
# The same where support allows it: what is pressed is a wish.
WILL_ASK = (
    "We look in {label} now. Where the old record still stands nothing changes. Where it is gone support is asked: "
    "once they have looked too and allow it, the next sync sends {it} again, under a number of its own."
)
ASKED_OF_SUPPORT = "Ask support to send {count} again"
DID_ASK = "Support was asked to send {it} again. {It} {goes} once they allow it."
ONE = {"it": "it", "It": "It", "Its": "Its", "is": "is", "goes": "goes", "counts": "counts"}
MANY = {"it": "them", "It": "They", "Its": "Their", "is": "are", "goes": "go", "counts": "count"}


@dataclass(frozen=True, slots=True)
class Chapter:
    """One line of a transaction's history."""

    event: ExportEvent
    title: str
    who: str


@require_safe
@needs(*CONNECTOR)
def row(request: BusinessRequest, system: str, row: int) -> HttpResponse:
    """One transaction: how it stands, what may be decided, and what became of it so far."""
    connection = connection_of(request, system)
    return _row_page(request, connection, _row_of(connection, row))


@require_POST
@needs(*CONNECTOR)
def send_receipt(request: BusinessRequest, system: str, row: int) -> HttpResponse:
    """SEND AGAIN beside a receipt that could not be attached."""
    connection = connection_of(request, system)
    export = _row_of(connection, row)
    number = request.POST.get("receipt", "")
    if number.isdecimal() and len(number) < 19 and receipt_words.send_again(connection, export, int(number)):
        messages.success(request, "The receipt goes out once more in a moment.")
    else:
        messages.info(request, "Nothing was sent: look at the receipt as it stands now.")
    return redirect("row", system, export.pk)


@require_POST
@outside
@needs(*CONNECTOR)
def decide(request: BusinessRequest, system: str) -> HttpResponse:
    """A button of a list or of one transaction. What concerns many, or cannot be taken back, is asked first."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
        action, rows = _asked(request, connection)
    if action is None or not rows:
        messages.info(request, "Nothing was changed. Tick the transactions first, then press a button.")
        return redirect(_back(request, system))
    wish = Wish(
        connection,
        action,
        request.user,
        record=typed(request.POST, "record").strip(),
        remark=typed(request.POST, "remark").strip()[:REMARK],
    )
    possible = [row for row in rows if not people.refusal(wish, row)]
    if "sure" not in request.POST and _asks_first(action, possible):
        with tenancy.reading(request.business.pk):
            return _question(request, wish, rows, possible)
    answer = people.decide(wish, [row.pk for row in rows])
    if action is Action.IT_IS_THERE and not answer.moved:
        with tenancy.reading(request.business.pk):
            return _row_page(request, connection, _row_of(connection, rows[0].pk), answer.refused[0], wish.record)
    _tell(request, wish, answer)
    return redirect(_back(request, system))


def _asked(request: BusinessRequest, connection: Connection) -> tuple[Action | None, list[Export]]:
    """The button that was pressed and the rows it is about: its own row's, the ticked ones, or the whole list's."""
    name, _, number = request.POST.get("one", "").partition(":")
    name = name or request.POST.get("action", "")
    action = Action(name) if name in list(Action) else None
    if "all" in request.POST and not number:
        return action, _whole_list(request, connection)
    asked = [number] if number else request.POST.getlist("row")
    numbers = [int(text) for text in asked if text.isdecimal() and len(text) < 19]
    rows = people.rows_of(connection, numbers)
    if numbers and not rows:
        raise Http404
    return action, rows


def _whole_list(request: BusinessRequest, connection: Connection) -> list[Export]:
    found = standing.ledger_rows(connection, request.POST.get("view", ""), searched(request.POST))
    return list(of_cause(found, typed(request.POST, "cause"), typed(request.POST, "says"))[: people.MOST])


def _asks_first(action: Action, rows: Sequence[Export]) -> bool:
    final = any(people.is_final(row, action) for row in rows)
    return bool(rows) and (len(rows) > 1 or action is Action.SEND_AGAIN or final)


def _back(request: BusinessRequest, system: str) -> str:
    """The list the button stood on."""
    asked = request.POST.get("back", "")
    if asked.startswith(f"/{system}/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None):
        return asked
    return reverse("rows", args=[system])


def _row_of(connection: Connection, row: int) -> Export:
    mine = connection.business.exports.filter(system=connection.system)
    found: Export = get_object_or_404(mine, pk=row)
    return found


def _question(request: BusinessRequest, wish: Wish, rows: Sequence[Export], possible: Sequence[Export]) -> HttpResponse:
    """What exactly would happen, to which transactions, and which of the chosen ones it cannot happen to."""
    kept = {row.pk for row in possible}
    refused = Counter(people.refusal(wish, row) for row in rows if row.pk not in kept)
    asked = (ASKED_OF_SUPPORT if wish.asks_support else ASKED[wish.action]).format(count=_counted(possible))
    context = {
        "connector": wish.connector,
        "connection": wish.connection,
        "action": wish.action,
        "title": f"{asked}?",
        "yes": f"Yes, {asked[:1].lower()}{asked[1:]}",
        "will": _words(WILL_ASK if wish.asks_support else WILL[wish.action], wish, len(possible)),
        "final": any(people.is_final(row, wish.action) for row in possible),
        "queues": _queues(wish),
        "asks_remark": wish.action in WITH_A_REMARK or wish.asks_support,
        "possible": possible,
        "amount": sum(row.amount for row in possible),
        "rows": standing.result_rows(request.business, possible[:SHOWN]),
        "more": max(len(possible) - SHOWN, 0),
        "refused": refused.most_common(REASONS),
        "cut": "all" in request.POST and len(rows) == people.MOST,
        "most": people.MOST,
        "back": _back(request, wish.connection.system),
        "remark_length": REMARK,
    }
    return render(request, "syncjobs/decide.html", context)


def _tell(request: BusinessRequest, wish: Wish, answer: Answer) -> None:
    """How many moved, how many did not and why; where something is queued now, SYNC is offered."""
    if answer.moved:
        says = f"{_counted(answer.moved)}: {_words(DID[wish.action], wish, len(answer.moved))}"
        messages.success(request, says, extra_tags="offer-sync" if _queues(wish) else "")
    if answer.asked:
        messages.success(request, f"{_counted(answer.asked)}: {_words(DID_ASK, wish, len(answer.asked))}")
    reasons = Counter(refusal.says for refusal in answer.refused)
    for says, count in reasons.most_common(REASONS):
        whose = "Not changed" if count == 1 else f"{count:,} not changed"
        link = next((each.link for each in answer.refused if each.says == says and each.link), "")
        messages.warning(request, _with_link(f"{whose}: {says}", link if count == 1 else "", wish))
    if (left := len(reasons) - REASONS) > 0:
        messages.warning(request, f"{left:,} more could not be changed; each says why on its own page.")


def _queues(wish: Wish) -> bool:
    """Whether what moves goes with the next sync."""
    return wish.action in QUEUES and not wish.asks_support


def _counted(rows: Sequence[Export]) -> str:
    return "1 transaction" if len(rows) == 1 else f"{len(rows):,} transactions"


def _with_link(says: str, link: str, wish: Wish) -> str:
    if not link:
        return says
    opening = '{} <a href="{}" target="_blank" rel="noopener noreferrer">Open it in {}</a>'
    return format_html(opening, says, link, wish.connector.label)


def _words(sentence: str, wish: Wish, count: int) -> str:
    where = wording.where_all(wish.connector)
    return sentence.format(**(ONE if count == 1 else MANY), label=wish.connector.label, where=where)


# --- one transaction --------------------------------------------------------------------------------------------------


def _row_page(
    request: BusinessRequest, connection: Connection, export: Export, refused: Refusal | None = None, typed: str = ""
) -> HttpResponse:
    connector = connector_of(connection.system)
    shown = standing.result_rows(request.business, [export])[0]
    events = export.events.select_related("person").order_by("-at", "-pk")
    context: dict[str, Any] = {
        "connector": connector,
        "connection": connection,
        "row": shown,
        "told": shown.transaction,
        "key": key_of(export),
        "held": export.state == State.HELD,
        "chapters": [Chapter(each, wording.event_of(each, connector), wording.who_of(each)) for each in events],
        "asks_number": Action.IT_IS_THERE in people.actions_of(export),
        "typed": typed or (export.link if export.state == State.HELD else ""),
        "refused": refused,
        "summary": [("record", refused.says)] if refused else [],
        "remark_length": REMARK,
        "asks_remark": any(action in WITH_A_REMARK for action, _ in shown.actions),
        "here": reverse("row", args=[connection.system, export.pk]),
        "button": shown.button,
        "receipts": receipt_words.lines(export, connection, shown.receipts),
        "coming": receipt_words.coming(connection, export),
        "stays": receipt_words.stays(export, connection) if export.record_id else "",
        "later": receipt_words.later(export, connection),
        "limits": receipt_words.limits(export),
        "by_bank": bool(export.record_id) and export.kind in BY_BANK,
    }
    return render(request, "syncjobs/row.html", context, status=422 if refused else 200)
