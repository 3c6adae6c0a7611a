"""The page of a preview: what would be sent as debit and credit lines, what would not and why, and which of it to send.

Ticks are kept in the database with every button of the page, so that they survive its other pages, and work without
script; with script each is kept as it is made.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.fields.json import KT
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from connectors.connector import Connector
from connectors.records import Kind
from pexsync.accounts.middleware import needs
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from syncjobs import preview, remedies, runs, shown, views
from syncjobs.lookalikes import Decision
from syncjobs.models import PreviewRow, SyncRun
from syncjobs.remedies import Button, Subject
from syncjobs.transitions import Cause, Closed, State
from syncjobs.views import connector_of, harmless, preview_lines, run_of, searched, typed
from syncjobs.wording import CLOSED, Label

ROWS = 50  # transactions on a page
CAUSES = 20
CONTACTS = 200  # new ones listed by name
STATES = (
    ("ready", "Ready"),
    ("booked", "Looks booked"),
    ("blocked", "Needs you"),
    ("later", "Not due"),
    ("out", "Left out"),
)
LABELS = {
    "ready": Label("ok", "Ready"),
    "booked": Label("warn", "Looks booked"),
    "blocked": Label("bad", "Needs you"),
    "later": Label("off", "Not due"),
    "out": Label("off", "Left out"),
}
SHEET = (
    "Date",
    "Merchant",
    "Kind",
    "Amount",
    "State",
    "Says",
    "Ticked",
    "{Party}",
    "New {party}",
    "Posting date",
    "Account",
    "Debit",
    "Credit",
    "Description",
    "Dimensions",
    "PEX id",
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What of a preview is listed; what the address says otherwise is left alone."""

    state: str = ""
    month: str = ""
    kind: str = ""
    cause: str = ""
    says: str = ""  # the sentence, where several share a cause
    search: str = ""
    paired: str = ""  # "1": only what has a record like it in the books

    @classmethod
    def of(cls, request: BusinessRequest) -> "Filter":
        sent = request.GET
        state, month, kind = (typed(sent, name) for name in ("state", "month", "kind"))
        return cls(
            state=state if state in LABELS else "",
            month=month if _is_month(month) else "",
            kind=kind if kind in set(Kind) else "",
            cause=typed(sent, "cause"),
            says=typed(sent, "says"),
            search=searched(sent),
            paired="1" if sent.get("paired") == "1" else "",
        )

    def rows(self, run: SyncRun) -> Q:
        found = shown.group(run, self.state) if self.state else Q()
        if self.month:
            found &= shown.in_month(self.month)
        for name, value in (("kind", self.kind), ("cause", self.cause), ("says", self.says)):
            if value:
                found &= Q(**{name: value})
        if self.paired:
            found &= shown.PAIRED
        if self.search:
            wanted = Q(merchant__icontains=self.search) | Q(entry__party__icontains=self.search)
            if self.search.isdecimal() and len(self.search) < 19:
                wanted |= Q(pex_id=int(self.search))
            found &= wanted
        return found

    @property
    def query(self) -> str:
        names = {"state": self.state, "month": self.month, "kind": self.kind, "cause": self.cause}
        names |= {"says": self.says, "paired": self.paired, "q": self.search}
        return urlencode({name: value for name, value in names.items() if value})


def _is_month(text: str) -> bool:
    try:
        return bool(shown.in_month(text))
    except (ValueError, OverflowError):
        return False


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One transaction of a preview as drawn."""

    row: PreviewRow
    label: Label
    says: str
    mends: Button | None  # a link to where it is mended
    link: str  # to what it looks booked as
    can_tick: bool
    day: date | None  # that the entry would carry


# --- the page ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@needs(*CONNECTOR)
def page(request: BusinessRequest, system: str, run: int) -> HttpResponse:
    found = run_of(request, system, run)
    asked = Filter.of(request)
    if request.method != "POST":
        return _drawn(request, found, asked)
    if not _keep_ticks(request, found):
        messages.info(request, "This preview was confirmed or cancelled meanwhile. Nothing was changed.")
        return redirect("preview", system, run)
    return _pressed(request, found, asked)


def _keep_ticks(request: BusinessRequest, run: SyncRun) -> bool:
    """Keep the ticks of the rows that stood on the page; False when nothing can be chosen any more."""
    on_page, ticked = _numbers(request, "on"), _numbers(request, "row")
    kept = runs.tick(run, Q(pk__in=on_page & ticked), chosen=True)
    return kept and runs.tick(run, Q(pk__in=on_page - ticked), chosen=False)


def _numbers(request: BusinessRequest, name: str) -> set[int]:
    return {int(text) for text in request.POST.getlist(name)[: 4 * ROWS] if text.isdecimal() and len(text) < 19}


def _pressed(request: BusinessRequest, run: SyncRun, asked: Filter) -> HttpResponse:
    pressed = request.POST
    here = reverse("preview", args=[run.system, run.pk])
    if "look" in pressed:
        runs.look_again(run)
        return redirect("manage", run.system)
    if "send" in pressed:
        return views.confirm(request, run.system, run.pk)
    if "decide" in pressed:
        month, kind, decision = [*pressed["decide"].split(":"), "", ""][:3]
        if decision in set(Decision):
            runs.decide(run, month, kind, Decision(decision))
        return redirect(f"{here}?{asked.query}#months-title")
    if pressed.get("all") in ("0", "1"):
        runs.tick(run, asked.rows(run), chosen=pressed["all"] == "1")
    if request.htmx:
        return render(
            request,
            "syncjobs/_preview_foot.html",
            _foot(run, shown.by_month(run)) | {"connector": connector_of(run.system)},
        )
    number = pressed.get("go") or pressed.get("here", "")
    place = f"&page={number}" if number.isdecimal() else ""
    return redirect(f"{here}?{asked.query}{place}")


def _drawn(request: BusinessRequest, run: SyncRun, asked: Filter) -> HttpResponse:
    connector = connector_of(run.system)
    found = run.shown.filter(asked.rows(run)).order_by("settled_on", "pk")
    listed = Paginator(found, ROWS).get_page(request.GET.get("page"))
    months = shown.by_month(run)
    counts = {name: shown.together(months, name).count for name in shown.GROUPS}
    lines = preview_lines(run, months)
    context = {
        "connector": connector,
        "connection": run.connection,
        "run": run,
        "lines": lines,
        "filter": asked,
        "states": [(state, word, counts[state]) for state, word in STATES if counts[state]],
        "all": sum(counts.values()),
        "months": list(dict.fromkeys(line.month for line in lines)),
        "kinds": [kind for kind in Kind if any(line.kind_key == kind for line in lines)],
        "page": listed,
        "rows": _rows(run, listed),
        "causes": _causes(run),
        "query": f"{asked.query}&" if asked.query else "",
        "kept_days": preview.LIFE.days,
        "later_start": _later_start(run),
        "confirmed_by": next((line["by"] for line in run.preview if line.get("by")), ""),
        **_foot(run, months),
        **_new_contacts(run),
    }
    context["title"], context["says"] = _sentence(run, connector, context, counts)
    return render(request, "syncjobs/preview.html", context)


def _later_start(run: SyncRun) -> date | None:
    """The first day after the last month that looks booked: a Start Date with which nothing of it is sent."""
    booked = [line["month"] for line in run.preview if shown.asks(line)]
    if not booked:
        return None
    return shown.following(max(booked))


def _foot(run: SyncRun, months: Mapping[shown.Month, Mapping[str, shown.Total]]) -> dict[str, Any]:
    """What the button below says."""
    stale = runs.is_stale(run, run.connection)
    return {
        "run": run,
        "waits": runs.waits_for_confirmation(run),
        "stale": stale,
        "going": shown.together(months, "going"),
        "ready": shown.together(months, "ready"),
        "undecided": shown.undecided(run),
    }


def _new_contacts(run: SyncRun) -> dict[str, Any]:
    names = shown.going(run).filter(entry__new=True).annotate(party=KT("entry__party"))
    found = list(names.values_list("party", flat=True).distinct().order_by("party")[: CONTACTS + 1])
    count = len(found) if len(found) <= CONTACTS else names.aggregate(count=Count("party", distinct=True))["count"]
    return {"new_contacts": found[:CONTACTS], "new_contacts_count": count}


def _causes(run: SyncRun) -> list[dict[str, Any]]:
    """What would not go, grouped by the sentence; the commonest first."""
    others = run.shown.exclude(state=PreviewRow.State.READY)
    groups = others.values("cause", "says", "state").annotate(count=Count("pk"), amount=Sum("amount"))
    return [
        {
            **found,
            "query": Filter(cause=found["cause"], says=found["says"]).query,
            "mends": _mends(run.system, found["cause"]),
            "label": _label(found["state"], found["cause"]),
        }
        for found in groups.order_by("-count", "cause", "says")[:CAUSES]
    ]


def _mends(system: str, cause: str) -> Button | None:
    """Where it is mended; None where only a row of the ledger could be decided about, and there is none yet."""
    found = remedies.button(Subject(system, State.DUE, cause, waiting=cause)) if cause not in set(Cause) else None
    return found if found and found.link else None


def _label(name: str, cause: str) -> Label:
    if name == "later" and cause in set(Closed):
        return Label("off", CLOSED[Closed(cause)])
    return LABELS[name]


def _rows(run: SyncRun, rows: Iterable[PreviewRow]) -> list[ShownRow]:
    months = shown.decisions(run)
    return [_shown(run, row, months) for row in rows]


def _shown(run: SyncRun, row: PreviewRow, months: Mapping[tuple[str, str], str]) -> ShownRow:
    name = shown.group_of(months.get((f"{row.settled_on:%Y-%m}", row.kind), ""), row.state, bool(row.pair))
    can_tick = row.state == PreviewRow.State.READY and name == "ready"
    says = {
        "booked": f"It looks like a record of {_day(row.pair)}, so it is held until you decide.",
        "out": "Its month is left out.",
    }.get(name, row.says)
    mends = _mends(run.system, row.cause) if name == row.state and row.cause else None
    day = date.fromisoformat(row.entry["date"]) if row.entry else None
    return ShownRow(row, _label(name, row.cause), says, mends, row.pair.get("link", ""), can_tick, day)


def _day(pair: Mapping[str, Any]) -> str:
    day = date.fromisoformat(pair["day"]) if pair.get("day") else None
    return f"{day.day} {day:%b %Y} in the books" if day else "another day in the books"


# --- words ------------------------------------------------------------------------------------------------------------


def _sentence(
    run: SyncRun, connector: type[Connector], context: Mapping[str, Any], counts: Mapping[str, int]
) -> tuple[str, str]:
    """The title, and what stands below it: counts, amounts, the next step."""
    if not context["all"]:
        return "There is nothing to show", _why_empty(run)
    if not context["waits"]:
        return "What the preview showed", _afterwards(run, context["confirmed_by"])
    going: shown.Total = context["going"]
    parts = [_beside(connector, context, counts)]
    if not going.count:
        parts.append(_next_step(counts, bool(context["undecided"])))
        return f"Nothing would be sent to {connector.label}", " ".join(part for part in parts if part)
    one = going.count == 1
    title = f"{going.count:,} {'transaction' if one else 'transactions'} would be sent to {connector.label}"
    way = "out of" if going.amount > 0 else "into"
    return title, " ".join([f"Together ${abs(going.amount):,.2f} {way} PEX.", *parts]).strip()


def _beside(connector: type[Connector], context: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    new, word = context["new_contacts_count"], connector.party_word
    facts = [
        (new, f"{word} would be created in {connector.label}", f"{word}s would be created in {connector.label}"),
        (context["ready"].count - context["going"].count, "is not ticked", "are not ticked"),
        (counts["booked"], "looks booked already", "look booked already"),
        (counts["blocked"], "needs you first", "need you first"),
        (counts["later"], "is not due", "are not due"),
        (counts["out"], "is left out", "are left out"),
    ]
    said = [f"{count:,} {one if count == 1 else many}" for count, one, many in facts if count]
    return f"{', '.join(said)}." if said else ""


def _next_step(counts: Mapping[str, int], undecided: bool) -> str:
    if undecided:
        return "Say first what becomes of the months that look booked."
    if counts["ready"]:
        return "Tick what should go."
    if counts["blocked"]:
        return "Mend what needs you, then look again."
    return "Each says below why it does not go. Press CANCEL, and sync again when that has changed."


def _why_empty(run: SyncRun) -> str:
    if run.alive:
        return "PEX is being read. What would be sent is shown here as soon as it is known."
    if run.preview:
        return "What a preview showed is kept for some days after its sync. The sync itself is in the history."
    return "This sync did not ask: everything it sent is of a kind that was confirmed before."


def _afterwards(run: SyncRun, by: str) -> str:
    if run.confirmed_at is None:
        return "It was not confirmed, and nothing of it was sent by this sync."
    return f"Confirmed by {by or 'a person who left'}. Only what is ticked here was sent by this sync."


# --- as a table -------------------------------------------------------------------------------------------------------


@require_safe
@needs(*CONNECTOR)
def sheet(request: BusinessRequest, system: str, run: int) -> HttpResponse:
    """The whole preview as CSV, one line for each debit and credit: ISO dates, plain amounts, no formulas."""
    found = run_of(request, system, run)
    text = io.StringIO()
    writer = csv.writer(text)
    word = connector_of(system).party_word
    writer.writerow(head.format(party=word, Party=word.capitalize()) for head in SHEET)
    writer.writerows(_lines(found, found.shown.order_by("settled_on", "pk")))
    headers = {"Content-Disposition": f'attachment; filename="{system}-preview-{found.pk}.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _lines(run: SyncRun, rows: QuerySet[PreviewRow]) -> Iterator[list[str]]:
    months = shown.decisions(run)
    nothing = {"account": "", "debit": "", "credit": "", "description": "", "dimensions": []}
    for row in rows.iterator(chunk_size=shown.CHUNK):
        drawn = _shown(run, row, months)
        about = [
            row.settled_on.isoformat(),
            harmless(row.merchant),
            row.kind,
            str(row.amount),
            drawn.label.text,
            harmless(drawn.says),
            _yes(drawn.can_tick and row.chosen),
            harmless(row.entry.get("party", "")),
            _yes(row.entry.get("new", False)),
            row.entry.get("date", ""),
        ]
        for line in row.entry.get("lines") or [nothing]:
            dimensions = "; ".join(f"{label}: {value}" for label, value in line["dimensions"])
            amounts = [str(Decimal(line[side])) if line[side] else "" for side in ("debit", "credit")]
            texts = [harmless(line["description"]), harmless(dimensions), str(row.pex_id)]
            yield [*about, harmless(line["account"]), *amounts, *texts]


def _yes(claim: bool) -> str:
    return "yes" if claim else "no"
