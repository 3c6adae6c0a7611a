"""The setup of a connector, step by step. Each step is saved into the connection's draft as it is left; SAVE makes it
the settings, with a version that says who and when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.core.cache import cache
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors import registry
from connectors.connector import Connector
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection, SettingsVersion
from connectors.records import Field, Option
from connectors.settings import FieldSource, Settings
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import Business, BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages.forms import (
    TEXT,
    AccountOptions,
    Books,
    PurchaseContactOptions,
    PurchaseOptions,
    StepForm,
    SyncOptions,
)
from syncjobs import notices, standing
from syncjobs.coding import ACCOUNT
from syncjobs.views import connection_of, connector_of
from tagging import definitions
from tagging.models import Tag

ASKED_AGAIN = 120  # seconds after which the books are asked again for their lists
LABELS = "labels"  # member of the settings: the names the books had for what was chosen
TYPED = "typed"  # member of the draft: what a step held when it was left, right or not


@dataclass(frozen=True, slots=True)
class Step:
    key: str
    name: str
    title: str
    says: str
    form: type[StepForm] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One step as the row of steps shows it."""

    name: str
    link: str
    state: str


STEPS = (
    Step("connection", "{label} Connection", "Connect your {label} account", ""),
    Step(
        "sync",
        "PEX Sync Options",
        "Configure what to sync from PEX",
        "Choose what kind of transactions to sync from PEX into {label}.",
        SyncOptions,
    ),
    Step(
        "accounts",
        "Account Options",
        "Configure which accounts to use",
        "Choose the accounts in {label} that each kind of transaction is booked on.",
        AccountOptions,
    ),
    Step(
        "purchases",
        "Purchase Options",
        "Configure how purchases are booked",
        "Choose what each purchase carries into {label}.",
        PurchaseOptions,
    ),
    Step(
        "contacts",
        "Purchase Contact Options",
        "Configure contact sync",
        "Choose whom purchases are booked against in {label}.",
        PurchaseContactOptions,
    ),
)
BY_KEY = {step.key: step for step in STEPS}
FORMS = [step for step in STEPS if step.form]
ALL_LISTS = ("pex_account", "party", "fields")  # the account is one of the fields
PLACES = {"pex_account": "accounts", "account": "accounts", "party": "contacts"}  # where a field is asked for


@require_safe
@needs(*CONNECTOR)
def index(request: BusinessRequest, system: str) -> HttpResponse:
    """Open the setup where it was left, or where a field is asked for (`?field=account`)."""
    connection = connection_of(request, system)
    if not connection.ready:
        return redirect("connect", system)
    wanted = request.GET.get("field", "")
    if wanted:
        place = PLACES.get(wanted, "purchases")
        return redirect(reverse("setup-step", args=[system, place]) + f"#{_anchor(wanted)}")
    if connection.settings_version:
        return redirect("setup-step", system, FORMS[0].key)
    return redirect("setup-step", system, _first_open(connection).key)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def step(request: BusinessRequest, system: str, step: str) -> HttpResponse:
    here = BY_KEY.get(step)
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    if here is None:
        raise Http404
    if here.form is None or not connection.ready:
        return redirect("connect", system)
    fresh = "again" in request.GET
    tags, silent = tags_of(request.business, fresh)
    books = read_books(connection, tags, here.form.reads, fresh)
    if silent and not books.trouble:
        books = replace(books, trouble=silent, silent="PEX")
    if request.method == "POST":
        return _left(request, connection, here, books)
    form = here.form(books, draft_of(connection), typed=typed(connection, here))
    return _page(request, connection, here, form.looked_at() if "look" in request.GET else form)


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


def tags_of(business: Business, fresh: bool) -> tuple[list[Tag], str]:
    """The tags of a business as PEX has them now; our last copy where PEX is silent, with why if there is none."""
    silent = ""
    try:
        definitions.refresh(business, fresh)
    except ConnectorError as error:
        silent = error.says
    with tenancy.reading(business.pk):
        tags = list(business.tags.filter(enabled=True, deleted=False))
    return tags, "" if tags else silent


def stepper(connection: Connection, connector: type[Connector], here: str) -> list[Mark]:
    """The row of steps: done ones can be opened again, later ones once everything before them is done."""
    open_from = _first_open(connection)
    reached = STEPS.index(open_from) if not connection.settings_version else len(STEPS)
    marks = []
    for number, each in enumerate(STEPS):
        link = _link(connection, each) if number <= reached else ""
        marks.append(
            Mark(each.name.format(label=connector.label), link, _state(connection, each, here, number < reached))
        )
    return marks


def draft_of(connection: Connection) -> Settings:
    """The settings as the steps left so far would make them."""
    return Settings.parse({**connection.settings, **_without_typed(connection.draft)})


def typed(connection: Connection, step: Step) -> QueryDict | None:
    """What this step held when it was left although not everything in it was right."""
    held = connection.draft.get(TYPED, {}).get(step.key)
    return QueryDict(held) if held else None


def read_books(connection: Connection, tags: Sequence[Tag], reads: Sequence[str] = (), fresh: bool = False) -> Books:
    """What the books offer to choose from; with the reason where they do not answer."""
    books = Books(connector_of(connection.system), connection.business.charge, clock.today(), tags=tags)
    if not reads:
        return books
    try:
        fields, options = _lists(connection, reads, fresh)
    except NotAuthorized as error:
        notices.signed_out(connection, error.says)
        return replace(books, trouble=error.says)
    except ConnectorError as error:
        return replace(books, trouble=error.says)
    return replace(books, fields=fields, options=options)


def _lists(
    connection: Connection, reads: Sequence[str], fresh: bool
) -> tuple[Sequence[Field], Mapping[str, Sequence[Option]]]:
    """The lists a step asks for, kept for two minutes: going back and forth asks nobody again."""
    key = f"lists:{connection.pk}:{connection.company}:{','.join(reads)}"
    kept: tuple[Sequence[Field], Mapping[str, Sequence[Option]]] | None = None if fresh else cache.get(key)
    if kept is None:
        with registry.open_connector(connection) as opened:
            fields = list(opened.fields()) if "fields" in reads else []
            names = [name for name in reads if name != "fields"]
            names += [field.key for field in fields if set(field.tag_types) != {TEXT}]
            kept = fields, {name: list(opened.options(name)) for name in names}
        cache.set(key, kept, ASKED_AGAIN)
    return kept


def _left(request: BusinessRequest, connection: Connection, here: Step, books: Books) -> HttpResponse:
    """A step is left by NEXT, BACK or SAVE. What was typed is kept whatever it was."""
    assert here.form is not None
    form = here.form(books, draft_of(connection), typed=request.POST)
    back, right = request.POST.get("go") == "back", form.is_valid()
    with tenancy.scope(request.business.pk):
        _keep(connection, here, form.settings().stored() if right else None, request.POST)
    if back:
        return redirect(_link(connection, STEPS[STEPS.index(here) - 1]))
    if not right:
        return _page(request, connection, here, form, status=422)
    if here is FORMS[-1]:
        return _save(request, connection, books.tags)
    return redirect(_link(connection, STEPS[STEPS.index(here) + 1]))


def _keep(connection: Connection, here: Step, stored: dict[str, Any] | None, posted: QueryDict) -> None:
    """Called inside a scope: the draft is read again, so that two open pages do not undo each other's steps."""
    draft = Connection.objects.select_for_update().values_list("draft", flat=True).get(pk=connection.pk)
    held = {key: text for key, text in draft.get(TYPED, {}).items() if key != here.key}
    if stored is None:
        kept = posted.copy()
        for name in ("csrfmiddlewaretoken", "go"):
            kept.pop(name, None)
        draft = {**draft, TYPED: {**held, here.key: kept.urlencode()}}
    else:
        done = [*dict.fromkeys([*draft.get("steps", []), here.key])]
        draft = {**draft, **stored, TYPED: held, "steps": done, "saved_at": clock.now().isoformat()}
    Connection.objects.filter(pk=connection.pk).update(draft=draft)
    connection.draft = draft


def _save(request: BusinessRequest, connection: Connection, tags: Sequence[Tag]) -> HttpResponse:
    """SAVE: every step is looked at once more, then the draft becomes the settings."""
    settings = draft_of(connection)
    books = read_books(connection, tags, ALL_LISTS)
    for each in FORMS:
        assert each.form is not None
        if not each.form(books, settings, typed=typed(connection, each)).stands():
            messages.error(request, f"{each.name} needs your attention before the settings can be saved.")
            return redirect(_link(connection, each) + "?look=1")
    with tenancy.scope(request.business.pk):
        now = Connection.objects.select_for_update().get(pk=connection.pk)
        now.settings = {**settings.stored(), LABELS: {**now.settings.get(LABELS, {}), **_labels(settings, books)}}
        now.draft, now.settings_problem = {}, ""
        now.settings_version += 1
        now.save(update_fields=["settings", "draft", "settings_problem", "settings_version"])
        SettingsVersion.objects.create(
            business=request.business,
            connection=now,
            version=now.settings_version,
            settings=now.settings,
            by=request.user,
            at=clock.now(),
        )
    messages.success(request, _saved_sentence(now, books))
    return redirect("manage", connection.system)


def _labels(settings: Settings, books: Books) -> dict[str, str]:
    """The names of what was chosen, so that summaries need not ask the books again."""
    source = settings.fields.get(ACCOUNT, FieldSource())
    chosen = {
        "pex_account": ("pex_account", settings.pex_account),
        "account": (ACCOUNT, source.value),
        "account_default": (ACCOUNT, source.default),
        "party": ("party", settings.party),
    }
    labels = {}
    for name, (options, value) in chosen.items():
        option = next((each for each in books.options.get(options, ()) if each.id == value), None)
        if option or not value:
            labels[name] = option.label if option else ""
    tag = books.tag(source.tag)
    return {**labels, "account_tag": tag.name if tag else ""}


def _saved_sentence(connection: Connection, books: Books) -> str:
    if connection.settings_version == 1:
        label = books.connector.label
        return f"Set up. Press SYNC to read PEX; nothing goes to {label} before you have seen and confirmed it."
    return "Settings saved. They hold from the next sync; what is already posted stays as it is."


def _page(
    request: BusinessRequest, connection: Connection, here: Step, form: StepForm, status: int = 200
) -> HttpResponse:
    connector = connector_of(connection.system)
    with tenancy.reading(request.business.pk):
        trouble = _step_in_trouble(connection)
        context = {
            "problem_link": _link(connection, trouble) if trouble and trouble is not here else "",
            "problem_step": trouble.name if trouble else "",
            "connector": connector,
            "connection": connection,
            "step": replace(here, says=here.says.format(label=connector.label)),
            "steps": stepper(connection, connector, here.key),
            "form": form,
            "books": form.books,
            "errors": form.summary(),
            "back": _link(connection, STEPS[STEPS.index(here) - 1]),
            "last": here is FORMS[-1],
            "saved_at": parse_datetime(connection.draft.get("saved_at", "")),
        }
        return render(request, f"pages/setup_{here.key}.html", context, status=status)


def _step_in_trouble(connection: Connection) -> Step | None:
    """The step that asks for what stopped the last sync, where the ledger names it."""
    if not connection.settings_problem:
        return None
    for group in standing.causes(connection):
        if group.says == connection.settings_problem and group.field:
            return BY_KEY[PLACES.get(group.field, "purchases")]
    return None


def _without_typed(draft: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in draft.items() if key not in (TYPED, "steps", "saved_at")}


def _first_open(connection: Connection) -> Step:
    """The first step that was not left in order yet."""
    if not connection.ready:
        return STEPS[0]
    done = connection.draft.get("steps", [])
    return next((each for each in FORMS if each.key not in done), FORMS[-1])


def _state(connection: Connection, each: Step, here: str, done: bool) -> str:
    if each.key == here:
        return "current"
    if each.key in connection.draft.get(TYPED, {}):
        return "attention"
    return "done" if done else "later"


def _link(connection: Connection, each: Step) -> str:
    if each.form is None:
        return reverse("connect", args=[connection.system])
    return reverse("setup-step", args=[connection.system, each.key])


def _anchor(wanted: str) -> str:
    return {"pex_account": "id_pex_account", "account": "expense-account", "party": "id_party"}.get(wanted, "mappings")
