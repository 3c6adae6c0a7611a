"""The pages of settings that were: each version and what it changed, going back to one, copying another business's."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from connectors.models import Connection, SettingsVersion
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest, Membership
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import versions
from pexsync.pages.copying import Pattern, copied
from pexsync.pages.lists import ALL_LISTS, read_books, tags_of
from pexsync.pages.setup import TYPED, draft_of, link_to, name_in
from pexsync.pages.steps import Books, Step, steps_of
from pexsync.pages.versions import Difference
from syncjobs.views import connection_of, connector_of
from tagging.models import Tag

PAGE = 20
OFFERED = 50  # businesses to copy from
NAMED = 5  # of what is left to choose, in one sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One version as the list shows it, with what it changed."""

    version: SettingsVersion
    changes: Sequence[Difference]
    first: bool  # there is none before it
    in_use: bool


@require_safe
@needs(*CONNECTOR)
def index(request: BusinessRequest, system: str) -> HttpResponse:
    connection = connection_of(request, system)
    page = Paginator(_versions(connection), PAGE).get_page(request.GET.get("page"))
    context = {
        "connector": connector_of(system),
        "connection": connection,
        "page": page,
        "rows": _rows(connection, list(page)),
        "can_copy": bool(patterns(request, system)),
    }
    return render(request, "pages/versions.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def version(request: BusinessRequest, system: str, version: int) -> HttpResponse:
    """One version beside the settings in use, or beside another (`?with=2`); POST goes back to it."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
        found = get_object_or_404(_versions(connection), version=version)
        if request.method != "POST":
            return _compared(request, connection, found)
    if not connection.ready:
        messages.error(request, "Connect first: a version is checked against the books before it is used again.")
        return redirect("connect", system)
    return _restore(request, connection, found)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def copy(request: BusinessRequest, system: str) -> HttpResponse:
    """Copy the settings of another business of the same person into the draft; nothing in use changes."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    if not connection.ready:
        return redirect("connect", system)
    offered = patterns(request, system)
    if request.method != "POST":
        with tenancy.reading(request.business.pk):
            context = {"connector": connector_of(system), "connection": connection, "offered": offered}
            return render(request, "pages/versions_copy.html", context)
    chosen = next((each for each in offered if str(each.business_id) == request.POST.get("business")), None)
    if chosen is None:
        raise Http404
    return _copy(request, connection, chosen)


def patterns(request: BusinessRequest, system: str) -> list[Connection]:
    """What may be copied: the same system's connections of businesses where this person may do as much as here."""
    with tenancy.reading_everywhere():
        found = Connection.objects.filter(business__in=others_of(request), system=system, settings_version__gt=0)
        return list(found.select_related("business").order_by("business__name")[:OFFERED])


def others_of(request: BusinessRequest) -> list[int]:
    """The person's other businesses where they may do as much as here. Call it in `reading_everywhere`."""
    places = Membership.objects.filter(user=request.user.pk).exclude(business=request.business)
    return [place.business_id for place in places if not place.missing(CONNECTOR)]


def _versions(connection: Connection) -> QuerySet[SettingsVersion]:
    return SettingsVersion.objects.filter(connection=connection).select_related("by").order_by("-version")


def _rows(connection: Connection, found: Sequence[SettingsVersion]) -> list[Row]:
    if not found:
        return []
    oldest = _versions(connection).filter(version__lt=found[-1].version).first()
    earlier = [*found[1:], oldest]
    return [
        Row(
            each,
            versions.differences(before.settings, each.settings) if before else (),
            before is None,
            each.version == connection.settings_version,
        )
        for each, before in zip(found, earlier, strict=True)
    ]


def _compared(request: BusinessRequest, connection: Connection, found: SettingsVersion) -> HttpResponse:
    numbers = list(_versions(connection).values_list("version", flat=True))
    wanted = request.GET.get("with", "")
    other = _number(wanted) if _number(wanted) in numbers else connection.settings_version
    in_use = other == connection.settings_version
    beside = connection.settings if in_use else _versions(connection).get(version=other).settings
    context = {
        "connector": connector_of(connection.system),
        "connection": connection,
        "version": found,
        "other": other,
        "other_in_use": in_use,
        "others": [number for number in numbers if number != found.version],
        "changes": versions.differences(beside, found.settings),
        "says": list(versions.in_words(found.settings).values()),
        "draft": bool(connection.draft),
    }
    return render(request, "pages/versions_one.html", context)


def _number(text: str) -> int:
    """The number of a version; -1 for what is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _restore(request: BusinessRequest, connection: Connection, found: SettingsVersion) -> HttpResponse:
    """Make a version the newest one, if the books still have all it names; else it becomes the draft to be mended."""
    tags, _ = tags_of(request.business)
    books = read_books(connection, tags, ALL_LISTS)
    if books.trouble:
        messages.error(request, f"{books.trouble} Nothing was restored; try again.")
        return redirect("version", connection.system, found.version)
    settings, note = Settings.parse(found.settings), f"Version {found.version} restored"
    wrong = _not_standing(settings, books)
    if wrong:
        _into_draft(connection, settings, note, ())
        messages.warning(
            request,
            f"{name_in(connection, wrong[0])}: something in version {found.version} is no longer there. Mend it here, "
            "then press SAVE. Nothing has changed so far.",
        )
        return redirect(f"{link_to(connection, wrong[0])}?look=1")
    names = versions.names_of(settings, books)
    try:
        now = versions.keep(connection, settings, names, request.user, note, seen=_number(request.POST.get("seen", "")))
    except versions.Overtaken as overtaken:
        messages.warning(request, str(overtaken))
        return redirect("version", connection.system, found.version)
    messages.success(
        request,
        f"Version {found.version} is restored, as version {now.settings_version}. It holds from the next sync; what is "
        "already posted stays as it is.",
    )
    return redirect("versions", connection.system)


def _copy(request: BusinessRequest, connection: Connection, chosen: Connection) -> HttpResponse:
    with tenancy.reading(chosen.business_id):
        theirs = list(Tag.objects.filter(business_id=chosen.business_id))
    tags, _ = tags_of(request.business)
    books = read_books(connection, tags, ALL_LISTS)
    if books.trouble:
        messages.error(request, f"{books.trouble} Nothing was copied; try again.")
        return redirect("settings-copy", connection.system)
    pattern = Pattern(
        Settings.parse(chosen.settings),
        chosen.settings.get(versions.LABELS, {}),
        theirs,
        same_company=bool(connection.company) and chosen.company == connection.company,
    )
    made = copied(pattern, draft_of(connection), books)
    wrong = _not_standing(made.settings, books)
    # Other admins read the note, and need not know of the person's other businesses.
    _into_draft(connection, made.settings, "Copied from another business", wrong)
    tell = messages.warning if made.left or wrong else messages.success
    tell(request, f"Copied from {chosen.business.name}. {_left(made.left)} Nothing is used before you press SAVE.")
    if wrong:
        return redirect(f"{link_to(connection, wrong[0])}?look=1")
    return redirect("setup-review", connection.system)


def _not_standing(settings: Settings, books: Books) -> list[Step]:
    """The steps whose answers cannot be saved as they are."""
    needed = [each for each in steps_of(books.connector) if each.needed(settings)]
    return [each for each in needed if not each.form(books, settings).stands()]


def _into_draft(connection: Connection, settings: Settings, note: str, wrong: Sequence[Step]) -> None:
    """Whatever was begun is replaced; the settings in use stay."""
    kept = {**settings.stored(), versions.NOTE: note, TYPED: {}, "saved_at": clock.now().isoformat()}
    steps = [each.key for each in steps_of(connector_of(connection.system)) if each not in wrong]
    with tenancy.scope(connection.business_id):
        Connection.objects.filter(pk=connection.pk).update(draft={**kept, "steps": steps})


def _left(left: Sequence[str]) -> str:
    if not left:
        return "Everything has its match here."
    named = "; ".join(left[:NAMED]) + (f"; and {len(left) - NAMED} more" if len(left) > NAMED else "")
    return f"{len(left)} {'thing' if len(left) == 1 else 'things'} to choose: {named}."
