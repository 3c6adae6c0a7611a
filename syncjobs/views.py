"""The pages of syncing: Manage with a run while it lives, History, and what became of each transaction."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_POST, require_safe

from connectors import registry
from connectors.connector import Connector
from connectors.models import Connection
from connectors.records import Kind
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.middleware import needs
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from syncjobs import changes, night, notices, receipt_words, runs, shown, standing, unlisted, window, wording
from syncjobs.lookalikes import Decision
from syncjobs.models import Export, ExportReceipt, SyncRun
from syncjobs.people import Action
from syncjobs.standing import ResultRow
from syncjobs.summary import summary
from syncjobs.wording import Label

LAST_RUNS = 5  # on the Manage page
PAGE = 25  # syncs on a page of the history
ROWS = 50  # transactions on a page
CHUNK = 500
SEARCH = 100  # characters
RUN_VIEWS = (("", "All"), ("failed", "Not sent"), ("posted", "In the books"), ("checking", "Being checked"))
ROW_VIEWS = (
    ("", "All"),
    ("needs_you", "Needs you"),
    ("not_due", "Not due"),
    ("queued", "Queued"),
    ("checking", "Being checked"),
    ("posted", "In the books"),
    ("closed", "Closed"),
)
SHEET = (
    "Date",
    "Merchant",
    "Cardholder",
    "Kind",
    "Amount",
    "State",
    "Says",
    "Record",
    "Link",
    "Receipts",
    "PEX id",
)
Phase = SyncRun.Phase
Status = SyncRun.Status


@dataclass(frozen=True, slots=True)
class PhaseNow:
    """One stage of a run as drawn: what it is, how far, in words."""

    name: str
    fact: str
    done: int
    due: int
    state: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row of the history."""

    run: SyncRun
    status: Label
    says: str
    only: str = ""  # the kinds it was asked for: "Purchases only"; "" where it covers all


@dataclass(frozen=True, slots=True)
class Link:
    """The words of a link, and its address."""

    word: str
    address: str


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """What one month and kind of a first sync would post."""

    month: date
    kind: str
    count: int
    amount: Decimal
    blocked: int  # a person must mend these first
    paired: int  # look booked already
    asks: bool  # so many that the whole month is asked about
    name: str  # of the question's field in the form
    later: int = 0
    decision: str = ""  # what was said of a month that is asked about
    kind_key: str = Kind.PURCHASE.value

    @property
    def one(self) -> str:
        """The kind of one row, in the middle of a sentence."""
        return Kind(self.kind_key).label


# --- which connector, which connection --------------------------------------------------------------------------------


def connector_of(system: str) -> type[Connector]:
    connector = registry.get(system)
    if connector is None:
        raise Http404
    return connector


def connection_of(request: BusinessRequest, system: str) -> Connection:
    connections = request.business.connections.select_related("connected_by")
    connection: Connection = get_object_or_404(connections, system=connector_of(system).key)
    connection.business = request.business
    request.pace_keys = registry.pace_keys(connection)  # type: ignore[attr-defined]  # for pace.people_middleware
    return connection


def run_of(request: BusinessRequest, system: str, run: int) -> SyncRun:
    runs_here = request.business.runs.select_related("connection", "started_by", "cancel_asked_by")
    found: SyncRun = get_object_or_404(runs_here, pk=run, system=connector_of(system).key)
    return found


# --- Manage -----------------------------------------------------------------------------------------------------------


@require_safe
@needs(*CONNECTOR)
def manage(request: BusinessRequest, system: str) -> HttpResponse:
    connection = connection_of(request, system)
    if not connection.settings_version:
        return redirect("launch", system)
    connector = connector_of(system)
    settings = Settings.parse(connection.settings)
    run = runs.current(connection)
    days = window.manual(settings, clock.today())
    context: dict[str, Any] = {
        "connector": connector,
        "connection": connection,
        "standing": standing.of(connection),
        "causes": standing.causes(connection),
        "late": changes.asked_about(connection),
        "run": run,
        "rows": [_row(each, connector) for each in _history(request, system)[:LAST_RUNS]],
        "summary": summary(settings, connection.settings.get("labels", {}), connector.kinds),
        "kinds": [kind for kind in connector.kinds if kind in settings.kinds],
        "books_page": _books_page(connection, connector),
        "drafts": standing.drafts(connection),
        "window": days,
        "starts": settings.start_date is not None,
        "limit": window.one_year_before(clock.today()),
        "today": clock.today(),
        "first_sync": not connection.preview_confirmed,
        "nights": night.of(connection),
        "coming": None if run else receipt_words.coming(connection),
    }
    context["notices"], context["known"] = notices.banners(connection)
    if run:
        context |= progress(run, connector)
    return render(request, "syncjobs/manage.html", context)


@require_safe
@needs(*CONNECTOR)
def live(request: BusinessRequest, system: str) -> HttpResponse:
    """The part of Manage that changes while a run lives; once it has ended the whole page is wanted again."""
    connection = connection_of(request, system)
    run = runs.current(connection)
    if not request.htmx:
        return redirect("manage", system)
    if run is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    connector = connector_of(system)
    context = {"connector": connector, "connection": connection, "run": run, "row": _row(run, connector)}
    return render(request, "syncjobs/_live.html", context | progress(run, connector))


@require_POST
@needs(*CONNECTOR)
def start(request: BusinessRequest, system: str) -> HttpResponse:
    connection = connection_of(request, system)
    try:
        first, last = _day(request, "first"), _day(request, "last")
        asks_first = "asks_first" in request.POST
        kinds = _kinds(request)
        runs.start(connection, by=request.user, first=first, last=last, asks_first=asks_first, kinds=kinds)
    except ValueError:
        messages.error(request, "Enter the days of the sync as year, month and day. No sync was started.")
    except runs.CannotStart as reason:
        messages.error(request, str(reason))
    return redirect("manage", system)


@require_POST
@needs(*CONNECTOR)
def cancel(request: BusinessRequest, system: str, run: int) -> HttpResponse:
    """CANCEL asks; the run stops at its next step, after what was already sent has been settled."""
    found = run_of(request, system, run)
    if found.alive:
        runs.cancel(found, by=request.user)
        messages.info(request, "Cancelling. What is already sent is being finished; nothing new is sent.")
    else:
        messages.info(request, "This sync had already ended.")
    return redirect("manage", system)


@require_POST
@needs(*CONNECTOR)
def confirm(request: BusinessRequest, system: str, run: int) -> HttpResponse:
    """A person has seen what a sync would post and says yes."""
    found = run_of(request, system, run)
    expected = request.POST.get("expected", "")
    count = int(expected) if expected.isdecimal() and len(expected) < 9 else None
    try:
        if not runs.confirm(found, request.user, _decisions(request, found), count):
            messages.info(request, "There was nothing left to confirm.")
        return redirect("manage", system)
    except runs.Miscounted as now:
        many = "1 transaction is" if now.count == 1 else f"{now.count:,} transactions are"
        messages.warning(request, f"Nothing was sent: {many} ticked now. Press the button again to send exactly these.")
    except (runs.Undecided, runs.Stale) as reason:
        messages.error(request, str(reason))
    return redirect("preview", system, run)


@require_POST
@needs(*CONNECTOR)
def send_late(request: BusinessRequest, system: str) -> HttpResponse:
    """A person says that what PEX showed so late may go."""
    connection = connection_of(request, system)
    if not changes.confirm_late(connection, request.user):
        messages.info(request, "There was nothing left to confirm.")
        return redirect("manage", system)
    try:
        runs.start(connection, by=request.user)
    except runs.CannotStart as reason:
        messages.info(request, f"Confirmed. They go with the next sync. {reason}")
    return redirect("manage", system)


def _decisions(request: BusinessRequest, run: SyncRun) -> dict[tuple[str, str], Decision]:
    """What was chosen for each month and kind that looks booked already; anything else than the two is no choice."""
    chosen = {}
    for line in run.preview:
        text = request.POST.get(_decision_name(line["month"], line["kind"]), "")
        if text in {decision.value for decision in Decision}:
            chosen[line["month"], line["kind"]] = Decision(text)
    return chosen


def _decision_name(month: str, kind: str) -> str:
    return f"decide-{month}-{kind}"


def progress(run: SyncRun, connector: type[Connector]) -> dict[str, Any]:
    """What the page says of a run that lives."""
    asked = bool(run.preview and not run.confirmed_at)
    months = shown.by_month(run) if asked else {}
    lines, going = preview_lines(run, months), shown.together(months, "going")
    return {
        "title": _title(run, connector, going.count if asked else None),
        "says": _says(run, connector, asked),
        "only": only(run),
        "phases": phases(run),
        "asked": asked,
        "preview": lines,
        "preview_count": sum(line.count for line in lines),
        "preview_blocked": sum(line.blocked for line in lines),
        "preview_paired": sum(line.paired for line in lines),
        "preview_sum": sum((line.amount for line in lines), Decimal("0.00")),
        "going": going,
        "undecided": shown.undecided(run),
        "stale": asked and runs.is_stale(run, run.connection),
        "announce": _announcement(run, connector),
    }


def preview_lines(run: SyncRun, months: Mapping[shown.Month, Mapping[str, shown.Total]]) -> list[PreviewLine]:
    """Each month and kind of a preview with what is ready in it now. `months`: `shown.by_month`."""
    told = {(line["month"], line["kind"]): line for line in run.preview}
    return [_preview_line(month, kind, totals, told.get((month, kind), {})) for (month, kind), totals in months.items()]


def _preview_line(month: str, kind: str, totals: Mapping[str, shown.Total], told: dict[str, Any]) -> PreviewLine:
    counts = {name: totals.get(name, shown.Total()).count for name in ("ready", "blocked", "later", "paired")}
    return PreviewLine(
        month=date.fromisoformat(f"{month}-01"),
        kind=Kind(kind).label.capitalize() + "s",
        count=counts["ready"],
        amount=totals.get("ready", shown.Total()).amount,
        blocked=counts["blocked"],
        paired=counts["paired"],
        asks=bool(told) and shown.asks(told),
        name=_decision_name(month, kind),
        later=counts["later"],
        decision=told.get("decision", ""),
        kind_key=kind,
    )


def phases(run: SyncRun) -> list[PhaseNow]:
    order = [Phase.READING, Phase.CHECKING, Phase.SENDING, Phase.RECEIPTS, Phase.DONE]
    here = order.index(Phase(run.phase)) if run.status != Status.QUEUED or run.started_at else -1
    reached = here > order.index(Phase.CHECKING)
    facts = [
        (f"{run.rows_read:,} read" if run.rows_read else "", 0, 0),
        (f"{run.rows_due:,} due, {run.rows_waiting:,} not" if run.rows_judged else "", 0, 0),
        (f"{run.rows_posted:,} of {run.rows_due:,}" if reached else "", run.rows_posted, run.rows_due),
        (_receipt_fact(run), run.receipts_done, run.receipts_due),
    ]
    return [
        PhaseNow(str(phase.label), fact, done, due, _stage(number, here, done))
        for number, (phase, (fact, done, due)) in enumerate(zip(order, facts, strict=False))
    ]


def _stage(number: int, here: int, done: int) -> str:
    """Receipts go out while entries are still being sent, so a later stage may have begun."""
    if number < here:
        return "done"
    return "current" if number == here or done else "later"


# --- History ----------------------------------------------------------------------------------------------------------


@require_safe
@needs(*CONNECTOR)
def history(request: BusinessRequest, system: str) -> HttpResponse:
    connection = connection_of(request, system)
    connector = connector_of(system)
    status = request.GET.get("status", "")
    found = _history(request, system)
    if status in Status.values:
        found = found.filter(status=status)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    context = {
        "connector": connector,
        "connection": connection,
        "page": page,
        "rows": [_row(run, connector) for run in page],
        "status": status,
        "statuses": Status.choices,
        "query": f"status={status}&" if status else "",
    }
    return render(request, "syncjobs/history.html", context)


def _history(request: BusinessRequest, system: str) -> QuerySet[SyncRun]:
    return request.business.runs.filter(system=system).select_related("started_by").order_by("-queued_at", "-pk")


def _row(run: SyncRun, connector: type[Connector]) -> RunRow:
    return RunRow(run, wording.status_of(run), run.says or _beside(run, connector), only(run))


def only(run: SyncRun) -> str:
    """The kinds a run was asked for, "Purchases and fees only"; "" where it covers all that are switched on."""
    names = [f"{kind.label}s" for kind in Kind if kind in run.only_kinds]
    listed = " and ".join([", ".join(names[:-1]), *names[-1:]]) if len(names) > 1 else "".join(names)
    return f"{listed.capitalize()} only" if listed else ""


def _beside(run: SyncRun, connector: type[Connector]) -> str:
    """The sentence beside a status that says little by itself."""
    parts = _troubles(run)
    if parts and run.rows_due and run.rows_posted == run.rows_due:
        parts.append(f"All {run.rows_due:,} are {wording.where_all(connector)}.")
    return " ".join(parts)


def _troubles(run: SyncRun) -> list[str]:
    parts = []
    if run.fields_due > run.fields_done:
        behind = run.fields_due - run.fields_done
        parts.append(f"{behind} tag {'list' if behind == 1 else 'lists'} not updated.")
    if run.rows_failed:
        parts.append(f"{run.rows_failed:,} {'needs' if run.rows_failed == 1 else 'need'} you.")
    if run.receipts_failed:
        parts.append(f"{run.receipts_failed:,} {'receipt' if run.receipts_failed == 1 else 'receipts'} not attached.")
    return parts


# --- what became of each transaction ----------------------------------------------------------------------------------


@require_safe
@needs(*CONNECTOR)
def results(request: BusinessRequest, system: str, run: int) -> HttpResponse:
    """One sync: what it did, the causes of what did not go, and its transactions."""
    found = run_of(request, system, run)
    connector = connector_of(system)
    view, search = _asked(request, dict(RUN_VIEWS))
    page = Paginator(standing.run_rows(found, view, search), ROWS).get_page(request.GET.get("page"))
    shown = standing.result_rows(request.business, list(page), found)
    context = {
        "connector": connector,
        "connection": found.connection,
        "run": found,
        "only": only(found),
        "row": _row(found, connector),
        "says": _outcome(found, connector),
        "causes": standing.causes_in(found),
        "coming": receipt_words.coming(found.connection, found) if found.connection and not found.alive else None,
        "page": page,
        "rows": shown,
        "bulk": _bulk(shown, connector),
        "view": view,
        "views": RUN_VIEWS,
        "search": search,
        "query": _query(view=view, q=search),
    }
    return render(request, "syncjobs/results.html", context)


@require_safe
@needs(*CONNECTOR)
def results_csv(request: BusinessRequest, system: str, run: int) -> HttpResponse:
    found = run_of(request, system, run)
    view, search = _asked(request, dict(RUN_VIEWS))
    name = f"{system}-sync-{found.pk}.csv"
    return _sheet(request, name, standing.run_rows(found, view, search), found)


@require_safe
@needs(*CONNECTOR)
def rows(request: BusinessRequest, system: str) -> HttpResponse:
    """The transactions behind a count of the Manage page."""
    connection = connection_of(request, system)
    connector = connector_of(system)
    view, search = _asked(request, dict(ROW_VIEWS))
    cause, says = typed(request.GET, "cause"), typed(request.GET, "says")
    found = of_cause(standing.ledger_rows(connection, view, search), cause, says)
    if request.GET.get("format") == "csv":
        return _sheet(request, f"{system}-transactions.csv", found)
    page = Paginator(found, ROWS).get_page(request.GET.get("page"))
    shown = standing.result_rows(request.business, list(page))
    context = {
        "connector": connector,
        "connection": connection,
        "page": page,
        "rows": shown,
        "bulk": _bulk(shown, connector),
        "all_count": page.paginator.count if page.paginator.num_pages > 1 else 0,
        "view": view,
        "views": ROW_VIEWS,
        "search": search,
        "unlisted": _unlisted(connection, search) if not view and not cause else (),
        "read_at": unlisted.read_at(connection) if search and not shown else None,
        "cause": cause,
        "sentence": says,
        "query": _query(view=view, q=search, cause=cause, says=says),
    }
    return render(request, "syncjobs/rows.html", context)


def _bulk(shown: Sequence[ResultRow], connector: type[Connector]) -> list[tuple[Action, str]]:
    """What may be decided about several rows of a list at once; a record is named for one at a time."""
    offered = {action for row in shown for action, _ in row.actions}
    return [
        (action, wording.action_of(action, connector=connector))
        for action in Action
        if action in offered and action is not Action.IT_IS_THERE
    ]


def _unlisted(connection: Connection, search: str) -> Sequence[unlisted.Row]:
    """What PEX shows of a search and this connector does not have, with the reason."""
    if not search.strip():
        return ()
    return unlisted.rows(connection, standing.searched_in_pex(connection.business_id, search))


def _asked(request: BusinessRequest, views: dict[str, str]) -> tuple[str, str]:
    view = request.GET.get("view", "")
    return view if view in views else "", searched(request.GET)


def searched(sent: QueryDict) -> str:
    """What is looked for in a list; a pattern of a page's length would be too much for the database."""
    return typed(sent, "q").strip()[:SEARCH]


def of_cause(found: QuerySet[Export], cause: str, says: str) -> QuerySet[Export]:
    """Those with this cause, and with this sentence where several share it; "" asks for nothing."""
    asked = {"cause": cause, "says": says}
    return found.filter(**{name: value for name, value in asked.items() if value})


def typed(sent: QueryDict, name: str) -> str:
    """What a person sent, without the one character that no database takes."""
    return sent.get(name, "").replace("\0", "")


def _query(**members: str) -> str:
    """The address of this list without its page, to be followed by one."""
    given = urlencode({name: value for name, value in members.items() if value})
    return f"{given}&" if given else ""


def _outcome(run: SyncRun, connector: type[Connector]) -> str:
    """What a sync did, in one sentence or two."""
    if run.alive:
        return "This sync is still under way."
    beside = run.says or " ".join(_troubles(run))
    if not run.rows_due:
        return f"Nothing was due. {beside}" if beside and not run.says else beside or "Nothing was due."
    verb, where = "is" if run.rows_posted == 1 else "are", wording.where_all(connector)
    return f"{run.rows_posted:,} of {run.rows_due:,} {verb} {where}. {beside}".strip()


def _sheet(request: BusinessRequest, name: str, found: QuerySet[Export], run: SyncRun | None = None) -> HttpResponse:
    """The rows as CSV: ISO dates, plain amounts, and nothing a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(SHEET)
    exports = list(found)
    for start in range(0, len(exports), CHUNK):
        for row in standing.result_rows(request.business, exports[start : start + CHUNK], run):
            writer.writerow(_sheet_row(row))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _sheet_row(row: ResultRow) -> list[str]:
    told = row.transaction
    attached = sum(receipt.state == ExportReceipt.State.ATTACHED for receipt in row.receipts)
    texts = [
        told.merchant_clean or told.merchant if told else "",
        told.cardholder if told else "",
        row.export.kind,
        row.label.text,
        row.says,
        row.export.record_id,
        row.link,
    ]
    merchant, cardholder, kind, state, says, record, link = (harmless(text) for text in texts)
    return [
        row.export.settled_on.isoformat(),
        merchant,
        cardholder,
        kind,
        str(row.export.amount),
        state,
        says,
        record,
        link,
        f"{attached} of {len(row.receipts)}" if row.receipts else "",
        str(row.export.pex_id),
    ]


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


# --- words ------------------------------------------------------------------------------------------------------------


def _title(run: SyncRun, connector: type[Connector], to_confirm: int | None) -> str:
    if run.cancel_asked_at:
        return "Cancelling the sync"
    if to_confirm is not None:
        return f"{to_confirm:,} {'transaction is' if to_confirm == 1 else 'transactions are'} ready to send"
    if run.phase in (Phase.SENDING, Phase.RECEIPTS):
        return f"Syncing: {run.rows_posted:,} of {run.rows_due:,} are {wording.where_all(connector)}"
    return "Sync is about to begin" if run.status == Status.QUEUED and not run.started_at else "Syncing: reading PEX"


def _says(run: SyncRun, connector: type[Connector], asked: bool) -> str:
    if run.cancel_asked_at:
        return "Finishing what is already sent. Nothing new is sent."
    if asked:
        return f"PEX is read. Nothing goes to {connector.label} before you confirm it."
    if run.status == Status.PAUSED:
        return run.says or "Paused; it continues by itself."
    return "You can leave this page; the sync goes on by itself."


def _announcement(run: SyncRun, connector: type[Connector]) -> str:
    """For screen readers: changes only at each quarter, so that the page stays quiet."""
    if run.phase == Phase.SENDING and run.rows_due:
        return f"{run.rows_posted * 4 // run.rows_due * 25} percent are {wording.where_all(connector)}."
    return str(Phase(run.phase).label)


def _receipt_fact(run: SyncRun) -> str:
    if not run.receipts_due:
        return ""
    failed = f", {run.receipts_failed:,} not attached" if run.receipts_failed else ""
    return f"{run.receipts_done:,} of {run.receipts_due:,}{failed}"


def _kinds(request: BusinessRequest) -> tuple[Kind, ...]:
    """The kinds that were ticked; none where nobody was asked. Raises `runs.CannotStart`."""
    ticked = set(request.POST.getlist("kinds"))
    if not ticked:
        if "choosing" in request.POST:
            raise runs.CannotStart("Tick at least one kind of transaction. No sync was started.")
        return ()
    if ticked - set(Kind):
        raise runs.CannotStart("Choose among the kinds that are switched on. No sync was started.")
    return tuple(kind for kind in Kind if kind in ticked)


def _books_page(connection: Connection, connector: type[Connector]) -> Link | None:
    """Where people see in the books what is written; None where nothing leads there."""
    word, address = connector.page_of_books(connection)
    return Link(word, address) if address else None


def _day(request: BusinessRequest, name: str) -> date | None:
    """Raises `ValueError` when what was typed is no day."""
    text = request.POST.get(name, "").strip()
    if not text:
        return None
    found = parse_date(text)
    if found is None:
        raise ValueError(name)
    return found
