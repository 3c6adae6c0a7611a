"""The review: all choices of the setup in words, what they change and what to know; SAVE makes them the settings."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from connectors.models import Connection
from connectors.records import PARTY, Kind
from connectors.settings import PER_MERCHANT, TAG, Settings
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import versions
from pexsync.pages.lists import ALL_LISTS, read_books, tags_of
from pexsync.pages.setup import draft_of, in_the_way, link_to, name_in, needed_steps, stepper
from pexsync.pages.steps import CARDS, Books, place_of, steps_of
from pexsync.pages.steps.effects import listed
from pexsync.pages.words import NAMES_OF_KINDS
from syncjobs.views import connection_of, connector_of, typed

OF_STEPS = {"kinds": "sync", "posting_date": ""}  # places that no control is named after; "" asked nowhere


@dataclass(frozen=True, slots=True)
class Part:
    """What one step chose, in words, with the link that changes it."""

    name: str
    link: str
    choices: list[tuple[str, str]]


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def page(request: BusinessRequest, system: str) -> HttpResponse:
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    if not connection.ready:
        return redirect("connect", system)
    if CARDS in steps_of(connector_of(system)):
        return redirect(link_to(connection, CARDS))
    tags, _ = tags_of(request.business)
    books = read_books(connection, tags, ALL_LISTS)
    wrong = in_the_way(connection, books)
    if wrong:
        name = name_in(connection, wrong)
        messages.error(request, f"{name} {'needs' if not name.endswith('s') else 'need'} your attention before SAVE.")
        return redirect(f"{link_to(connection, wrong)}?look=1")
    if request.method == "POST":
        return _save(request, connection, books)
    return _shown(request, connection, books)


def _save(request: BusinessRequest, connection: Connection, books: Books) -> HttpResponse:
    """SAVE holds what was shown, and nothing that was changed since in another window."""
    settings = draft_of(connection)
    if request.POST.get("seen") != _digest(connection, settings):
        messages.warning(request, "The setup was changed in another window meanwhile. Look once more, then press SAVE.")
        return redirect("setup-review", connection.system)
    names, note = versions.names_of(settings, books), typed(request.POST, "note").strip()
    try:
        versions.keep(connection, settings, names, request.user, note, seen=connection.settings_version)
    except versions.Overtaken as overtaken:
        messages.warning(request, str(overtaken))
        return redirect("setup-review", connection.system)
    messages.success(request, _saved(connection, books))
    return redirect("manage", connection.system)


def _shown(request: BusinessRequest, connection: Connection, books: Books) -> HttpResponse:
    settings, connector = draft_of(connection), books.connector
    stored = {**settings.stored(), versions.LABELS: _names(connection, settings, books)}
    changes = versions.differences(connection.settings, stored) if connection.settings_version else []
    with tenancy.reading(request.business.pk):
        context = {
            "connector": connector,
            "connection": connection,
            "books": books,
            "steps": stepper(connection, connector, ""),
            "parts": _parts(connection, settings, stored, books),
            "changes": changes,
            "in_use": bool(connection.settings_version),
            "warnings": warnings(settings, Settings.parse(connection.settings), books),
            "back": link_to(connection, needed_steps(connection)[-1]),
            "seen": _digest(connection, settings),
        }
        return render(request, "pages/setup_review.html", context)


def _names(connection: Connection, settings: Settings, books: Books) -> dict[str, str]:
    return {**connection.settings.get(versions.LABELS, {}), **versions.names_of(settings, books)}


def _parts(connection: Connection, settings: Settings, stored: dict[str, Any], books: Books) -> list[Part]:
    """Every setting under the step that asks for it."""
    steps = needed_steps(connection)
    found: dict[str, list[tuple[str, str]]] = {each.key: [] for each in steps}
    for place, said in versions.in_words(stored).items():
        key = _step_of(place, settings, books)
        if key in found:
            found[key].append((said.label, said.words))
    return [Part(name_in(connection, each), link_to(connection, each), found[each.key]) for each in steps]


def _step_of(place: str, settings: Settings, books: Books) -> str:
    if place in OF_STEPS:
        return OF_STEPS[place]
    first, _, rest = place.partition(":")
    field = rest if first in ("fields", "by_kind", "extra") else place
    there = place_of(books.connector, field, settings)
    return there[0].key if there else ""


def warnings(settings: Settings, before: Settings, books: Books) -> list[str]:
    """What a person should know before these settings hold, a sentence each. Pure."""
    label, found = books.connector.label, [*_about_tags(settings, books)] if Kind.PURCHASE in settings.kinds else []
    if settings.end_date:
        found.append(
            f"Nothing settled after {settings.end_date:%b} {settings.end_date.day}, {settings.end_date.year} is synced,"
            " and auto-sync stops then: empty the End Date when your test is over."
        )
    added = [NAMES_OF_KINDS[kind.value][1] for kind in books.kinds() if kind in settings.kinds - before.kinds]
    if before.kinds and added:
        found.append(f"Before the first {listed(added)} go to {label} you see them in a preview and confirm it.")
    if before.kinds and versions.begins_earlier(settings, before, books.today):
        found.append(
            f"The Start Date is earlier than before: press {books.connector.sync_word}, look at what the older days "
            "would send and confirm it. Nothing is sent by night until then."
        )
    if before.pex_account and before.pex_account != settings.pex_account:
        found.append(f"The PEX account is another one: what is posted in {label} stays on the account it is on.")
    return found


def _about_tags(settings: Settings, books: Books) -> Iterator[str]:
    """What to know of the tags that purchases are coded by."""
    fed = {tag: books.asked(Kind.PURCHASE, key) for key, tag in settings.synced.items()}
    for key, source in settings.fields.items():
        wanted, tag = books.asked(Kind.PURCHASE, key), books.tag(source.tag)
        if source.source != TAG or wanted is None or wanted.text or tag is None:
            continue
        if key == PARTY and settings.party_mode == PER_MERCHANT:
            continue
        feeding = fed.get(source.tag)
        if wanted.required and not source.default:
            yield f"Purchases without the {tag.name} tag wait until somebody tags them: no default is chosen."
        if feeding is None:
            yield f"The options of {tag.name} are kept by hand: one that {books.connector.label} does not know waits."
        elif feeding.key != key:
            yield f"{wanted.label} is read from the tag {tag.name}, which gets the options of {feeding.label}."


def _digest(connection: Connection, settings: Settings) -> str:
    """Tells whether what is saved is what was shown."""
    shown = json.dumps([connection.settings_version, settings.stored()], sort_keys=True)
    return blake2b(shown.encode(), digest_size=16).hexdigest()


def _saved(before: Connection, books: Books) -> str:
    said = saved_sentence(books, first=not before.settings_version)
    return f"Settings saved. {said}" if before.settings_version else said


def saved_sentence(books: Books, first: bool) -> str:
    """What comes next: after the first SAVE, and after others."""
    if first:
        label, press = books.connector.label, books.connector.sync_word
        return f"Set up. Press {press} to read PEX; nothing goes to {label} before you have seen and confirmed it."
    return "They hold from the next sync; what is already posted stays as it is."
