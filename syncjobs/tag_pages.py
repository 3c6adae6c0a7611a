"""The page of the PEX tags that get their options from the books: how each list stands, and what the next sync does.

It asks the books, so it is marked `outside` and opens short scopes of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from connectors import registry
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection
from connectors.records import Field, Option
from connectors.settings import Settings
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from syncjobs import notices
from syncjobs.coding import Choices
from syncjobs.views import connection_of, connector_of, typed
from tagging import definitions, feeds
from tagging.feeds import Source
from tagging.models import Feed, Tag
from tagging.options import Plan

ASKED_AGAIN = 120  # seconds for which one answer of the books serves
SHOWN = 50  # names of options that are held

Values = Mapping[str, tuple[Field, Sequence[Option]]]  # by field key


@dataclass(frozen=True, slots=True)
class ListNow:
    """One list as the page draws it. `counts`: in the books, options in PEX, switched on, hidden by a person."""

    field: str
    label: str
    tag: Tag | None
    feed: Feed | None
    tone: str
    word: str
    says: str
    counts: Mapping[str, int]
    plan: Plan | None  # what the next sync would do; None where the books were not asked
    future: str = ""
    changes: Mapping[str, Any] | None = None
    going: Sequence[str] = ()  # names of the options that are held
    seen: str = ""  # stands for exactly those
    mends: bool = False  # a person must choose another tag


TONES = {Feed.State.HELD: ("warn", "Held"), Feed.State.FAILED: ("bad", "Not updated")}


@require_safe
@outside
@needs(*CONNECTOR)
def tags(request: BusinessRequest, system: str) -> HttpResponse:
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    synced = Settings.parse(connection.settings).synced
    values, trouble = _ask(connection, list(synced)) if synced and connection.ready else ({}, "")
    with tenancy.reading(request.business.pk):
        known = {tag.tag_id: tag for tag in Tag.objects.filter(business=request.business)}
        fed = {feed.tag_id: feed for feed in request.business.feeds.filter(system=system)}
        lists = [
            _list(connection, key, known.get(tag_id), fed.get(tag_id), values.get(key))
            for key, tag_id in synced.items()
        ]
        context = {
            "connector": connector_of(system),
            "connection": connection,
            "lists": lists,
            "trouble": trouble,
            "sentence": _sentence(lists),
            "lasts": ASKED_AGAIN // 60,
        }
        return render(request, "syncjobs/tags.html", context)


@require_POST
@needs(*CONNECTOR)
def apply_anyway(request: BusinessRequest, system: str) -> HttpResponse:
    """A person agrees to what is held: exactly to the options that were shown."""
    connection = connection_of(request, system)
    held = request.business.feeds.filter(system=connection.system, state=Feed.State.HELD)
    feed: Feed = get_object_or_404(held, tag_id=typed(request.POST, "tag"))
    if not feed.going or request.POST.get("seen") != _digest(feed.going):
        messages.info(request, "That list has changed since you looked. Look again before you decide.")
    else:
        feeds.allow(feed, request.user)
        messages.success(
            request, f"The next sync switches off these {len(feed.going):,} options in PEX.", extra_tags="offer-sync"
        )
    return redirect("tags", system)


def _ask(connection: Connection, keys: Sequence[str]) -> tuple[Values, str]:
    """The books' values by field, and why they are not to be had. PEX's tags are read anew beside it."""
    key = f"values:{connection.pk}:{connection.company}:{connection.settings_version}"
    try:
        definitions.refresh(connection.business)
        kept: Values | None = cache.get(key)
        if kept is None:
            kept = _in_the_books(connection, keys)
            cache.set(key, kept, ASKED_AGAIN)
    except ConnectorError as error:
        return {}, error.says
    return kept, ""


def _in_the_books(connection: Connection, keys: Sequence[str]) -> Values:
    """Raises what the connector raises; that the sign-in has ended is then told on every page."""
    try:
        with registry.open_connector(connection) as books:
            asked = [field for field in books.fields() if field.key in keys and field.can_sync]
            return {field.key: (field, list(books.options(field.list_name))) for field in asked}
    except NotAuthorized as error:
        notices.signed_out(connection, error.says)
        raise


def _list(
    connection: Connection, key: str, tag: Tag | None, feed: Feed | None, found: tuple[Field, Sequence[Option]] | None
) -> ListNow:
    connector = connector_of(connection.system)
    labels: dict[str, str] = connection.settings.get("labels", {})
    label = found[0].label if found else labels.get(f"synced:{key}", "") or _plain(key)
    problem = feeds.unusable(tag, label, connector.setup_page)
    counts = dict(feed.counts) if feed else {}
    tone, word = ("off", "Not synced yet") if feed is None else TONES.get(Feed.State(feed.state), ("ok", "Up to date"))
    says = feed.says if feed else ""
    if problem:
        tone, word, says = "bad", "Needs you", problem
    if tag is None or problem or found is None:
        return ListNow(key, label, tag, feed, tone, word, says, counts, None, mends=bool(problem))
    source = _source(connector.label, connection.system, found)
    plan = feeds.look(tag, feed, source)
    if plan.changes and tone == "ok":
        tone, word = "busy", "Will change"
    going = _names(tag, feed.going) if feed else []
    return ListNow(
        field=key,
        label=label,
        tag=tag,
        feed=feed,
        tone=tone,
        word=word,
        says=says,
        counts=feeds.counts(plan, source, feeds.known(tag, feed or Feed())),
        plan=plan,
        future=""
        if plan.held and feed and feed.state == Feed.State.HELD
        else feeds.sentence(plan, source, future=True),
        changes=feeds.changes(plan),
        going=going[:SHOWN],
        seen=_digest(feed.going) if feed and feed.going and not feed.allowed else "",
    )


def _source(books: str, system: str, found: tuple[Field, Sequence[Option]]) -> Source:
    field, values = found
    choices = Choices(values)
    return Source(system, field.key, field.label, books, list(choices.by_id.values()), choices.match)


def _names(tag: Tag, keys: Sequence[str]) -> list[str]:
    wanted = set(keys)
    return [name for value, name, _ in tag.options if value.casefold() in wanted]


def _digest(going: Sequence[str]) -> str:
    return blake2b("\n".join(going).encode(), digest_size=8).hexdigest()


def _plain(key: str) -> str:
    return key.partition(":")[0].replace("_", " ").capitalize()


def _sentence(lists: Sequence[ListNow]) -> str:
    if not lists:
        return "No tag gets its options from the books yet."
    behind = sum(each.tone in ("warn", "bad") for each in lists)
    if behind:
        return f"{behind} of {len(lists)} {'list needs' if behind == 1 else 'lists need'} you."
    waiting = sum(bool(each.plan and each.plan.changes) for each in lists)
    if waiting:
        return f"{waiting} of {len(lists)} {'list' if len(lists) == 1 else 'lists'} would change with the next sync."
    return "The list is up to date." if len(lists) == 1 else f"All {len(lists)} lists are up to date."
