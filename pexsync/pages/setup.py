"""The setup of a connector, step by step. Each step is saved into the connection's draft as it is left; what SAVE makes
of the draft is looked at once more on the review.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors.connector import Connector
from connectors.models import Connection
from connectors.records import Kind
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import example
from pexsync.pages.example import Example
from pexsync.pages.lists import ALL_LISTS, read_books, tags_of
from pexsync.pages.steps import CONNECTION, Books, Step, StepForm, place_of, steps_of
from pexsync.pages.steps.sync import name_of
from pexsync.pages.words import NAMES_OF_KINDS
from syncjobs import first_look, standing
from syncjobs.views import connection_of, connector_of

TYPED = "typed"  # member of the draft: what a step held when it was left, right or not
MOST_TYPED = 50_000  # characters of it


@dataclass(frozen=True, slots=True)
class Mark:
    """One step as the row of steps shows it: done, current, attention, later or unneeded."""

    name: str
    link: str
    state: str


@require_safe
@needs(*CONNECTOR)
def index(request: BusinessRequest, system: str) -> HttpResponse:
    """Open the setup where it was left, or where a field is asked for (`?field=fee:account`)."""
    connection = connection_of(request, system)
    if not connection.ready:
        return redirect("connect", system)
    wanted, connector = request.GET.get("field", ""), connector_of(system)
    if wanted == "company" and not connector.company_in_setup:
        return redirect("company", system)
    place = place_of(connector, wanted, draft_of(connection)) if wanted else None
    if place:
        there, control = place
        if not there.needed(draft_of(connection)):
            return _switched_off(request, connection, there)
        return redirect(f"{link_to(connection, there)}#{control}")
    if connection.settings_version:
        return redirect("setup-step", system, needed_steps(connection)[0].key)
    return redirect("setup-step", system, _first_open(connection).key)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def step(request: BusinessRequest, system: str, step: str) -> HttpResponse:
    opened = open_step(request, system, step)
    if isinstance(opened, HttpResponse):
        return opened
    connection, here, books = opened
    if request.method == "POST":
        return _left(request, connection, here, books)
    return reopened(request, connection, here, books)


def reopened(request: BusinessRequest, connection: Connection, here: Step, books: Books) -> HttpResponse:
    """A step as it was left; with what is wrong with it where that is asked for (`?look=1`)."""
    first_look.ask(connection)
    form = here.form.reopened(books, draft_of(connection), typed(connection, here))
    return page_of(request, connection, here, form.looked_at() if "look" in request.GET else form)


@require_POST
@outside
@needs(*CONNECTOR)
def beside(request: BusinessRequest, system: str, step: str) -> HttpResponse:
    """The live example of a step as somebody types, which saves nothing. Without a script the whole step comes back."""
    opened = open_step(request, system, step)
    if isinstance(opened, HttpResponse):
        return opened
    connection, here, books = opened
    form = here.form(books, draft_of(connection), typed=request.POST)
    if not request.htmx:
        return page_of(request, connection, here, form)
    shown = _example(request, connection, form)
    with tenancy.reading(request.business.pk):
        context = {"example": shown, "connector": connector_of(system), "step": here}
        return render(request, "pages/_example.html", context)


def open_step(request: BusinessRequest, system: str, step: str) -> tuple[Connection, Step, Books] | HttpResponse:
    """A step with the lists it shows, or the page to see instead."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    if step == CONNECTION:
        return redirect("connect", system)
    here = next((each for each in steps_of(connector_of(system)) if each.key == step), None)
    if here is None:
        raise Http404
    if not connection.ready:
        return redirect("connect", system)
    if not here.needed(draft_of(connection)):
        return _switched_off(request, connection, here)
    fresh = "again" in request.GET
    tags, silent = tags_of(request.business, fresh)
    books = read_books(connection, tags, here.form.reads, fresh)
    if silent and not books.trouble:
        books = replace(books, trouble=silent, silent="PEX")
    return connection, here, books


@require_POST
@needs(*CONNECTOR)
def leave(request: BusinessRequest, system: str) -> HttpResponse:
    """CANCEL: settings in use stay as they are; a first setup keeps what was filled in."""
    connection = connection_of(request, system)
    if connection.settings_version:
        Connection.objects.filter(pk=connection.pk).update(draft={})
        messages.info(request, "Left the setup. Your settings are as they were.")
        return redirect("manage", system)
    messages.info(request, "Left the setup. What you filled in is kept; finish it any time.")
    return redirect("apps")


def stepper(connection: Connection, connector: type[Connector], here: str) -> list[Mark]:
    """The row of steps: done ones can be opened again, later ones once everything before them is done."""
    first = "current" if here == CONNECTION else "done" if connection.ready else "later"
    marks = [Mark(f"{connector.label} Connection", reverse("connect", args=[connection.system]), first)]
    draft, held = draft_of(connection), connection.draft.get(TYPED, {})
    done, open_from = _done(connection), _first_open(connection).key
    for each in steps_of(connector):
        can_open = connection.ready and each.needed(draft) and (each.key in (*done, open_from) or _in_use(connection))
        link = link_to(connection, each) if can_open else ""
        state = "done" if each.key in done else "later"
        if each.key == here:
            state = "current"
        elif not each.needed(draft):
            state = "unneeded"
        elif each.key in held:
            state = "attention"
        marks.append(Mark(each.words(each.name, connector), link, state))
    return marks


def draft_of(connection: Connection) -> Settings:
    """The settings as the steps left so far would make them. Until somebody chooses, purchases are synced."""
    draft = Settings.parse({**connection.settings, **_without_typed(connection.draft)})
    return draft if draft.kinds else replace(draft, kinds=frozenset({Kind.PURCHASE}))


def typed(connection: Connection, step: Step) -> QueryDict | None:
    """What this step held when it was left although not everything in it was right."""
    held = connection.draft.get(TYPED, {}).get(step.key)
    return QueryDict(held) if held else None


def needed_steps(connection: Connection) -> list[Step]:
    """The steps of the kinds switched on, in their order."""
    draft = draft_of(connection)
    return [each for each in steps_of(connector_of(connection.system)) if each.needed(draft)]


def in_the_way(connection: Connection, books: Books) -> Step | None:
    """The first step whose answers cannot be saved as they are."""
    draft = draft_of(connection)
    for each in needed_steps(connection):
        if not each.form(books, draft, typed=typed(connection, each)).stands():
            return each
    return None


def link_to(connection: Connection, step: Step) -> str:
    return reverse("setup-step", args=[connection.system, step.key])


def name_in(connection: Connection, step: Step) -> str:
    return step.words(step.name, connector_of(connection.system))


def _left(request: BusinessRequest, connection: Connection, here: Step, books: Books) -> HttpResponse:
    """A step is left by NEXT, BACK, SAVE or for another one of the row. What was typed is kept whatever it was."""
    with tenancy.scope(request.business.pk):
        form = keep(connection, here, books, request.POST)
    if not here.needed(draft_of(connection)):  # somebody else switched its kind off meanwhile
        return _switched_off(request, connection, here)
    go, right = request.POST.get("go", "next"), form.is_valid()
    before, after = _neighbours(connection, here)
    if go == "back":
        return redirect(link_to(connection, before) if before else reverse("connect", args=[connection.system]))
    if go in {mark.link for mark in stepper(connection, connector_of(connection.system), here.key) if mark.link}:
        return redirect(go)
    if not right:
        return page_of(request, connection, here, form, status=422)
    if go == "review" or after is None:
        return redirect("setup-review", connection.system)
    return redirect(link_to(connection, after))


def _neighbours(connection: Connection, here: Step) -> tuple[Step | None, Step | None]:
    """The step before and the one after, of those that are needed."""
    steps = needed_steps(connection)
    place = steps.index(here)
    return steps[place - 1] if place else None, steps[place + 1] if place + 1 < len(steps) else None


def keep(connection: Connection, here: Step, books: Books, posted: QueryDict) -> StepForm:
    """Called inside a scope. The draft is read again: what others left or saved since this page was asked for stays."""
    now = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    form, draft = here.form(books, draft_of(now), typed=posted), now.draft
    held = {key: text for key, text in draft.get(TYPED, {}).items() if key != here.key}
    if form.is_valid():
        done = [*dict.fromkeys([*draft.get("steps", []), here.key])]
        left = {TYPED: held, "steps": done, "saved_at": clock.now().isoformat()}
        draft = {**draft, **form.settings().stored(), **left}
    else:
        draft = {**draft, TYPED: {**held, here.key: _as_text(posted)}}
    Connection.objects.filter(pk=connection.pk).update(draft=draft)
    connection.draft, connection.settings, connection.settings_version = draft, now.settings, now.settings_version
    return form


def _as_text(posted: QueryDict) -> str:
    """What was typed, to be kept; "" for more than any step has room for."""
    kept = posted.copy()
    for name in ("csrfmiddlewaretoken", "go", *example.OWN):
        kept.pop(name, None)
    text = kept.urlencode()
    return text if len(text) <= MOST_TYPED else ""


def page_of(
    request: BusinessRequest, connection: Connection, here: Step, form: StepForm, status: int = 200
) -> HttpResponse:
    connector = connector_of(connection.system)
    before, after = _neighbours(connection, here)
    shown = _example(request, connection, form)
    with tenancy.reading(request.business.pk):
        trouble = _step_in_trouble(connection)
        context = {
            "problem_link": link_to(connection, trouble) if trouble and trouble is not here else "",
            "problem_step": name_in(connection, trouble) if trouble else "",
            "connector": connector,
            "connection": connection,
            "step": here,
            "title": here.words(here.title, connector),
            "says": here.words(here.says, connector),
            "steps": stepper(connection, connector, here.key),
            "form": form,
            "books": form.books,
            "example": shown,
            "errors": form.summary(),
            "back": link_to(connection, before) if before else reverse("connect", args=[connection.system]),
            "last": after is None,
            "in_use": _in_use(connection),
            "note": request.POST.get("note", ""),
            "saved_at": parse_datetime(connection.draft.get("saved_at", "")),
        }
        return render(request, here.page, context, status=status)


def _example(request: BusinessRequest, connection: Connection, form: StepForm) -> Example:
    """One recent transaction as the form as it stands would post it. Asks for lists that are not kept yet."""
    # While a step's own lists do not come, nobody waits for the others as well.
    books = form.books if form.books.trouble else read_books(connection, form.books.tags, ALL_LISTS)
    settings, place = form.as_it_stands(), example.place_in(request.POST)
    kind = example.kind_of(form, settings, request.POST)
    with tenancy.reading(request.business.pk):
        shown = example.beside(connection, settings, books, kind, place)
    return replace(shown, kinds=[each for each in form.kinds_shown() if each in settings.kinds])


def _switched_off(request: BusinessRequest, connection: Connection, there: Step) -> HttpResponse:
    """A step that is not needed leads to the switch that makes it needed."""
    assert there.kind is not None
    kinds = NAMES_OF_KINDS[there.kind.value][1]
    messages.info(request, f"{name_in(connection, there)} are not needed: {kinds} are switched off.")
    return redirect(reverse("setup-step", args=[connection.system, "sync"]) + f"#id_{name_of(there.kind)}")


def _step_in_trouble(connection: Connection) -> Step | None:
    """The step that asks for what stopped the last sync, where the ledger names it."""
    if not connection.settings_problem:
        return None
    for group in standing.causes(connection):
        if group.says == connection.settings_problem and group.field:
            place = place_of(connector_of(connection.system), group.field, draft_of(connection))
            return place[0] if place else None
    return None


def _without_typed(draft: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in draft.items() if key not in (TYPED, "steps", "saved_at")}


def _in_use(connection: Connection) -> bool:
    """Whether there are settings already that this draft would change."""
    return connection.settings_version > 0


def _done(connection: Connection) -> Sequence[str]:
    """The steps left in order. Settings in use answered all of the kinds they have."""
    done: list[str] = connection.draft.get("steps", [])
    if not _in_use(connection):
        return done
    saved = Settings.parse(connection.settings)
    return [*done, *(each.key for each in steps_of(connector_of(connection.system)) if each.needed(saved))]


def _first_open(connection: Connection) -> Step:
    """The first step that was not left in order yet."""
    done, steps = _done(connection), needed_steps(connection)
    return next((each for each in steps if each.key not in done), steps[-1])
