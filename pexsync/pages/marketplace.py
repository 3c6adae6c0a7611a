"""Apps: what is installed, what could be, and what PEX itself offers beside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from connectors import registry
from connectors.connector import Connector
from connectors.models import Connection
from pexsync import clock
from pexsync.accounts.middleware import needs
from pexsync.accounts.models import Business, BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import words
from syncjobs import night, notices, runs, standing
from syncjobs.models import SyncRun
from syncjobs.notices import Shown
from syncjobs.views import connector_of

TABS = (("installed", "Installed"), ("available", "Available"), ("services", "Additional services"))


@dataclass(frozen=True, slots=True)
class Tile:
    """One connector as the list shows it. `act` is the button that fits its state: a word and an address."""

    connector: type[Connector]
    connection: Connection | None = None
    tone: str = ""
    state: str = ""
    says: str = ""
    last: SyncRun | None = None
    running: bool = False
    needs_you: int = 0
    act: tuple[str, str] | None = None
    next_one: str = ""  # of the nightly syncs: "tonight about 02:41"
    notices: Sequence[Shown] = ()


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    tagline: str
    link: str


@dataclass(frozen=True, slots=True)
class Shelf:
    installed: Sequence[Tile] = ()
    available: Sequence[Tile] = ()
    services: Sequence[Service] = field(default_factory=tuple)

    def counts(self) -> dict[str, int]:
        return {"installed": len(self.installed), "available": len(self.available), "services": len(self.services)}


@require_safe
def apps(request: BusinessRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    shelf = shelf_of(request.business)
    tab = request.GET.get("tab", "")
    if tab not in dict(TABS):
        tab = "installed" if shelf.installed else "available"
    shown = getattr(shelf, tab)
    counts = shelf.counts()
    return render(
        request,
        "pages/apps.html",
        {
            "tab": tab,
            "tabs": [(key, word, counts[key]) for key, word in TABS],
            "query": query,
            "found": [item for item in shown if _speaks_of(item, query)],
            "says": _sentence(shelf),
            "missing": request.membership.missing(CONNECTOR),
        },
    )


@require_safe
def app(request: BusinessRequest, system: str) -> HttpResponse:
    connector = connector_of(system)
    connection = request.business.connections.filter(system=system).first()
    return render(
        request,
        "pages/app.html",
        {
            "connector": connector,
            "connection": connection,
            "missing": request.membership.missing(CONNECTOR),
            "needed": CONNECTOR,
            "kinds": [kind for kind in connector.kinds if fits(kind.value, request.business)],
        },
    )


@require_POST
@needs(*CONNECTOR)
def install(request: BusinessRequest, system: str) -> HttpResponse:
    connector = connector_of(system)
    connection, new = Connection.objects.get_or_create(
        business=request.business, system=system, defaults={"installed_at": clock.now()}
    )
    if new:
        messages.success(request, f"{connector.app_name} is installed. Connect it to your books next.")
    return redirect("launch", connection.system)


@require_safe
def launch(request: BusinessRequest, system: str) -> HttpResponse:
    """LAUNCH opens what comes next: connecting, the setup, or the sync page."""
    connector = connector_of(system)
    connection = get_object_or_404(request.business.connections, system=connector.key)
    if not connection.ready:
        return redirect("connect", system)
    return redirect("manage" if connection.settings_version else "setup", system)


def shelf_of(business: Business) -> Shelf:
    connections = {connection.system: connection for connection in business.connections.all()}
    known = registry.available()
    told = notices.of_business(business) if connections else {}
    return Shelf(
        installed=[
            installed(kind, connections[kind.key], told.get(kind.key, ())) for kind in known if kind.key in connections
        ],
        available=[Tile(kind) for kind in known if kind.key not in connections],
        services=services(),
    )


def installed(connector: type[Connector], connection: Connection, told: Sequence[Shown]) -> Tile:
    """The tile of an installed connector, with the one button that its state asks for."""
    tone, state = words.of_connection(connection)
    standing_now = standing.of(connection)
    needs_you = standing_now.needs_you.count
    nights = night.of(connection)
    return Tile(
        connector=connector,
        connection=connection,
        tone=tone,
        state=state,
        says=_says(connector, connection, standing_now.sentence),
        last=runs.last(connection),
        running=runs.current(connection) is not None,
        needs_you=needs_you,
        act=_act(connector, connection, needs_you),
        next_one=nights.next_one if not nights.why_not else "",
        notices=told,
    )


def services() -> Sequence[Service]:
    """PEX's own apps. They move money, so they stay with PEX: we only show the way."""
    return (
        Service(
            "Funding Scheduler",
            "Create custom funding schedules for PEX cardholders to increase funding automation.",
            f"{settings.PEX_DASHBOARD_URL}/apps",
        ),
        Service(
            "Quick transfer",
            "Make a Same Day ACH transfer between your bank and your PEX account.",
            settings.PEX_DASHBOARD_URL,
        ),
    )


def fits(kind: str, business: Business) -> bool:
    """Prepaid accounts have transfers where charge accounts have bill payments."""
    return kind != ("transfer" if business.charge else "bill_payment")


def _act(connector: type[Connector], connection: Connection, needs_you: int) -> tuple[str, str] | None:
    system = connection.system
    if connection.state == Connection.State.FAILED:
        return "RE-CONNECT", reverse("connect", args=[system])
    if not connection.ready:
        return "CONNECT", reverse("connect", args=[system])
    if not connection.settings_version:
        return f"FINISH {connector.setup_page.upper()}", reverse("setup", args=[system])
    if connection.settings_problem:
        return "MEND THE SETTINGS", reverse("setup", args=[system])
    if needs_you:
        word = "SEE 1 PROBLEM" if needs_you == 1 else f"SEE {needs_you} PROBLEMS"
        return word, reverse("manage", args=[system]) + "#needs-you"
    return None


def _says(connector: type[Connector], connection: Connection, sentence: str) -> str:
    if connection.state == Connection.State.FAILED:
        return connection.failure or f"{connector.label} needs you to sign in again. Settings are kept."
    if connection.state == Connection.State.PREPARING:
        return f"Signed in to {connector.label}, but not ready to sync yet."
    if not connection.ready:
        return f"Not connected to {connector.label} yet."
    if not connection.settings_version:
        return "Connected. Choose what to sync, then the first sync can begin."
    return connection.settings_problem or sentence


def _sentence(shelf: Shelf) -> str:
    if not shelf.installed:
        return "No connectors yet. Pick your accounting system; installing one takes about ten minutes."
    return " ".join(tile.says for tile in shelf.installed)


def _speaks_of(item: Any, query: str) -> bool:
    """Search over the name, the system and what it does."""
    if not query:
        return True
    if isinstance(item, Service):
        text = f"{item.name} {item.tagline}"
    else:
        kind = item.connector
        text = " ".join([kind.app_name, kind.label, kind.tagline, *kind.more, *(each.label for each in kind.kinds)])
    return query.casefold() in text.casefold()
