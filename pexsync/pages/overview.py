"""The account at a glance, the health of each connection, and what needs a person today."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from connectors import registry
from pexsync.accounts.models import Business, BusinessRequest
from pexsync.pages import marketplace, words
from pexsync.pages.marketplace import Tile
from syncjobs import notices, standing, wording
from syncjobs.notices import Shown
from syncjobs.standing import CauseGroup

UNKNOWN = "PEX has not given us this figure."


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the account; `why` stands in for one that is missing."""

    name: str
    shown: str
    why: str = ""


MAIN = (
    ("balance", "PEX account balance"),
    ("card_funds", "Available card funds"),
    ("total_funds", "Total funds"),
    ("open_cards", "Open cards"),
)
MORE = (
    ("pending_card", "Pending card transactions"),
    ("ledger_midnight", "Total ledger balance at 12am (ET)"),
    ("pending_ach", "Pending ACH transfers"),
    ("spend_today", "Card spend since 12am (ET)"),
    ("rebate_lifetime", "Rebate rewards, lifetime earned"),
    ("rebate_year", "Rebate rewards, year-to-date earned"),
)
COUNTS = frozenset({"open_cards"})


@require_safe
def overview(request: BusinessRequest) -> HttpResponse:
    business = request.business
    shelf = marketplace.shelf_of(business)
    main, more = figures(business, MAIN), figures(business, MORE)
    causes = [
        (tile, standing.causes(tile.connection)) for tile in shelf.installed if tile.connection and tile.needs_you
    ]
    return render(
        request,
        "pages/overview.html",
        {
            "says": _sentence(shelf.installed),
            "main": main,
            "more": more,
            "why_missing": next((figure.why for figure in [*main, *more] if figure.why), ""),
            "tiles": shelf.installed,
            "available": registry.available(),
            "needs_you": _needs_you(shelf.installed, causes),
        },
    )


def figures(business: Business, names: Sequence[tuple[str, str]]) -> list[Figure]:
    """The figures as PEX last gave them; what it did not give is a dash with the reason."""
    found = []
    for key, name in names:
        value = business.glance.get(key)
        if value in (None, ""):
            found.append(Figure(name, "—", UNKNOWN))
        else:
            found.append(Figure(name, str(value) if key in COUNTS else wording.money(str(value))))
    return found


@dataclass(frozen=True, slots=True)
class Task:
    """One thing a person should do today."""

    title: str
    says: str
    word: str
    link: str
    notice: Shown | None = None  # which people were told, and since when


def _needs_you(tiles: Sequence[Tile], causes: Sequence[tuple[Tile, Sequence[CauseGroup]]]) -> list[Task]:
    tasks = []
    for tile in tiles:
        tasks += _told(tile)
    for tile, groups in causes:
        for group in groups:
            tasks.append(_task(tile, group))
    return tasks


def _told(tile: Tile) -> list[Task]:
    """What the state of a connection asks for, with since when; then what else people were told of it."""
    tasks = []
    by_state = [each for each in tile.notices if tile.connection and notices.by_state(tile.connection, each)]
    if tile.act and tile.tone != "ok":  # one that stands well asks by its causes
        since = by_state[0] if by_state else None
        tasks.append(Task(f"{tile.connector.app_name}: {tile.state}", tile.says, *tile.act, since))
    others = (each for each in tile.notices if each not in by_state)
    return [*tasks, *(Task(each.title, each.says, each.word, each.link, each) for each in others)]


def _task(tile: Tile, group: CauseGroup) -> Task:
    counted = words.counted(group.count, "")
    first, others = words.headline(group.says)
    return Task(
        title=f"{counted}: {first}",
        says=f"{others} {wording.money(group.amount)} for {tile.connector.label}.".strip(),
        word="SHOW",
        link=reverse("manage", args=[tile.connector.key]) + "#needs-you",
    )


def _sentence(tiles: Sequence[Tile]) -> str:
    if not tiles:
        return "Your books are not connected yet. Install a connector to begin."
    return " ".join(tile.says for tile in tiles)
