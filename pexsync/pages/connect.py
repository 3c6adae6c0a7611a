"""Connecting a system: sign in there, choose the company, look whether all is ready; and taking it back.

The views here that call the other system are marked `outside`: no transaction is open around them, and what they
need of the database they fetch in a short scope of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from connectors import registry, sign_in
from connectors.connector import Connector
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection, Credential
from connectors.records import Company
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import held_up, preflight, revisions, rooms, words
from pexsync.pages.setup import stepper
from syncjobs import notices, runs, standing
from syncjobs.company import CannotChange, change_company, has_synced, in_the_way, is_another, never_sent, settle
from syncjobs.views import connection_of, connector_of

SESSION = "connecting"  # what a sign-in under way must come back with
OFFERED = 20  # sign-ins of other businesses


@require_safe
@needs(*CONNECTOR)
def page(request: BusinessRequest, system: str) -> HttpResponse:
    return _page(request, connection_of(request, system))


@require_safe
@outside
@needs(*CONNECTOR)
def checks(request: BusinessRequest, system: str) -> HttpResponse:
    """The preflight: asks the other system, so it stands apart from the page that shows it."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    before = connection.state
    looked = preflight.look(connection)
    became_ready = connection.ready and before != connection.state
    if became_ready:
        messages.success(request, _found_ready(request, connection, looked.failed))
    if request.htmx and before != connection.state:
        return HttpResponse(headers={"HX-Refresh": "true"})  # the page around it says otherwise
    if became_ready:
        looked = preflight.look(connection)
    context = _checks(request, connection, looked)
    with tenancy.reading(request.business.pk):
        if request.htmx:
            return render(request, "pages/_checks.html", context)
        return _page(request, connection, context)


@require_POST
@outside
@needs(*CONNECTOR)
def mend(request: BusinessRequest, system: str) -> HttpResponse:
    """The button of a finding. Only what the checks offer at this moment is done."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    what = request.POST.get("what", "")
    if connection.credential_id is None or preflight.prepares(connection):
        return redirect("checks", system)
    try:
        with registry.open_connector(connection) as opened:
            if what and what in {found.mend for found in preflight.findings(opened)}:
                messages.success(request, opened.mend(what))
            else:
                messages.info(request, "Nothing was changed: look at the checks as they stand now.")
    except ConnectorError as error:
        if isinstance(error, NotAuthorized) and not preflight.lives(connection):
            notices.signed_out(connection, error.says)
            return redirect("connect", system)
        messages.error(request, error.says)  # one who may not do this is still signed in
    return redirect("checks", system)


@require_POST
@needs(*CONNECTOR)
def begin(request: BusinessRequest, system: str) -> HttpResponse:
    """CONNECT and RE-CONNECT: off to the other system's sign-in, with a state and a verifier to come back with."""
    connection_of(request, system)
    sign_in = rooms.way_in(connector_of(system)).begin()
    request.session[SESSION] = {
        "system": system,
        "business": request.business.pk,
        "state": sign_in.state,
        "verifier": sign_in.verifier,
    }
    return redirect(sign_in.url)


@require_POST
@outside
@needs(*CONNECTOR)
def link(request: BusinessRequest, system: str) -> HttpResponse:
    """Use a sign-in this person made for another of their businesses, instead of signing in once more."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    lender = next((each for each in _lenders(request, connection) if str(each.pk) == request.POST.get("from")), None)
    if lender is None:
        messages.warning(request, "That sign-in cannot be used here any more. Press CONNECT.")
        return redirect("connect", system)
    if not _borrow(connection, lender):
        messages.info(request, "Somebody signed in here meanwhile. Nothing was changed.")
        return redirect("connect", system)
    _signed_in(connection, request)
    return _go_on(request, connection)


@require_GET
@outside
@needs(*CONNECTOR)
def callback(request: BusinessRequest, system: str) -> HttpResponse:
    """Back from the other system's sign-in, with a code, a refusal, or something we did not ask for."""
    expected: dict[str, Any] = request.session.pop(SESSION, {})
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    mine = expected.get("system") == system and expected.get("business") == request.business.pk
    way_in = rooms.way_in(connector_of(system))
    try:
        code = way_in.code_of(request.GET.dict(), expected["state"] if mine else "")
        way_in.connect(connection, request.user, code, expected["verifier"])
    except ConnectorError as error:
        messages.warning(request, error.says)
        return redirect("connect", system)
    _signed_in(connection, request)
    return _go_on(request, connection)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def company(request: BusinessRequest, system: str) -> HttpResponse:
    """Tenant Selection: shown even for one company. `?company=` asks about another one, chosen among the settings."""
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
    connector = connector_of(system)
    if connection.credential_id is None:
        return redirect("connect", system)
    try:
        with registry.open_connector(connection) as opened:
            companies = list(opened.companies())
    except NotAuthorized as error:
        notices.signed_out(connection, error.says)
        return redirect("connect", system)
    except ConnectorError as error:
        return _company_page(request, connection, [], error.says)
    if request.method == "POST":
        return _choose(request, connection, connector, companies)
    asked = next((each for each in companies if each.id == request.GET.get("company")), None)
    if asked and is_another(connection, asked):
        return _change(request, connection, asked, companies)
    return _company_page(request, connection, companies)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def disconnect(request: BusinessRequest, system: str) -> HttpResponse:
    """DISCONNECT deletes the secret and nothing else: settings, history and what was posted stay."""
    connector = connector_of(system)
    with tenancy.reading(request.business.pk):
        connection = connection_of(request, system)
        running = runs.current(connection)
    if request.method != "POST" or running:
        others = sign_in.others(connection)
        with tenancy.reading(request.business.pk):
            context = {
                "connector": connector,
                "connection": connection,
                "standing": standing.of(connection),
                "running": running,
                "others": others,
            }
            return render(request, "pages/disconnect.html", context)
    try:
        with registry.open_connector(connection) as opened:
            opened.disconnect()
    except ConnectorError as error:
        messages.error(request, f"{error.says} Nothing was disconnected; try again.")
        return redirect("disconnect", system)
    notices.over(connection, notices.SESSION)
    messages.success(
        request, f"Disconnected from {connector.label}. Nothing there was changed; your settings are kept."
    )
    return redirect("connect", system)


def _checks(request: BusinessRequest, connection: Connection, looked: preflight.Looked) -> dict[str, Any]:
    """What the part of the page with the checks shows; `again`: the next look of one that waits to be ready."""
    number = request.GET.get("look", "")
    return {
        "connector": connector_of(connection.system),
        "connection": connection,
        "checks": preflight.shown(looked.found),
        "trouble": looked.trouble,
        "silent_since": preflight.silent_since(connection, looked.found),
        "preparing": preflight.prepares(connection),
        "again": preflight.next_look(connection, int(number) if number.isdecimal() and len(number) < 5 else 0),
    }


def _found_ready(request: BusinessRequest, connection: Connection, failed: bool) -> str:
    """It became ready by itself: what that was, and what comes next."""
    if connection.settings_version:
        return f"Signed in again. {held_up.go_on(connection, request.user, failed)}"
    if connection.company:
        return f"Connected to {connection.company_name}."
    connector = connector_of(connection.system)
    return f"Connected. Choose the {connector.company_word.lower()} in {connector.setup_page}."


def _page(request: BusinessRequest, connection: Connection, checks: dict[str, Any] | None = None) -> HttpResponse:
    connector = connector_of(connection.system)
    tone, state = words.of_connection(connection)
    return render(
        request,
        "pages/connect.html",
        {
            "connector": connector,
            "connection": connection,
            "tone": tone,
            "state": state,
            "steps": stepper(connection, connector, "connection") if _in_steps(connection, connector) else None,
            "lenders": _lenders(request, connection),
            "can_copy": connection.ready
            and not connection.settings_version
            and bool(revisions.patterns(request, connection.system)),
            "held": held_up.of(connection) if connection.state == Connection.State.FAILED else None,
            **(checks or {}),
        },
    )


def _in_steps(connection: Connection, connector: type[Connector]) -> bool:
    """Whether this page is the first step of a setup under way, and not one of the pages beside it."""
    return not connection.settings_version and not connector.company_in_setup


def _lenders(request: BusinessRequest, connection: Connection) -> list[Connection]:
    """Living sign-ins this person made for other businesses where they may do as much as here."""
    if connection.credential_id is not None:
        return []
    with tenancy.reading_everywhere():
        allowed = revisions.others_of(request)
        found = Connection.objects.filter(
            system=connection.system,
            state=Connection.State.READY,
            business__in=allowed,
            credential__business__in=allowed,
            credential__owner=request.user.pk,
            credential__state=Credential.State.ALIVE,
        )
        return list(found.select_related("business").order_by("business__name")[:OFFERED])


def _borrow(connection: Connection, lender: Connection) -> bool:
    """Use the lender's sign-in too; False where somebody was faster, and this connection has one of its own."""
    with tenancy.scope(connection.business_id):
        free = Connection.objects.filter(pk=connection.pk, credential=None)
        borrowed = bool(free.update(credential=lender.credential_id))
        connection.refresh_from_db()
    return borrowed


def _signed_in(connection: Connection, request: BusinessRequest) -> None:
    """The company is asked next; until then nothing is synced."""
    with tenancy.scope(connection.business_id):
        Connection.objects.filter(pk=connection.pk).update(
            state=Connection.State.PREPARING,
            failure="",
            failed_at=None,
            connected_at=clock.now(),
            connected_by=request.user,
        )
        connection.refresh_from_db()


def _go_on(request: BusinessRequest, connection: Connection) -> HttpResponse:
    """Signed in again to the same company, all goes on as it was; otherwise the company is asked for.

    Where the company is a setting, the page of the connection looks by itself and says what is wrong.
    """
    asks = "connect" if preflight.prepares(connection) else "company"
    if not connection.settings_version:
        return redirect(asks, connection.system)
    try:
        with registry.open_connector(connection) as opened:
            same = next((each for each in opened.companies() if each.id == connection.company), None)
    except ConnectorError:
        return redirect(asks, connection.system)  # it asks again and says what is wrong
    if same is None:
        return redirect("company", connection.system)
    try:
        failed = settle(connection, same)
    except CannotChange:
        return redirect("company", connection.system)
    messages.success(request, f"Signed in again. {held_up.go_on(connection, request.user, failed)}")
    return redirect("launch", connection.system)


def _company_page(
    request: BusinessRequest,
    connection: Connection,
    companies: Sequence[Company],
    trouble: str = "",
    errors: Sequence[tuple[str, str]] = (),
    change: "Change | None" = None,
) -> HttpResponse:
    """`errors`: the field each is about, and the sentence. `change`: another company was chosen than before."""
    with tenancy.reading(request.business.pk):
        context = {
            "connector": connector_of(connection.system),
            "connection": connection,
            "companies": companies,
            "trouble": trouble,
            "errors": dict(errors),
            "summary": errors,
            "posted_says": _posted_says(connection),
            "chosen": change.company.id if change else request.POST.get("company", connection.company),
            "closed_out": bool(connection.company) and connection.company not in {each.id for each in companies},
            "change": change,
        }
        return render(request, "pages/company.html", context, status=422 if errors else 200)


def _posted_says(connection: Connection) -> str:
    """What a change of the company leaves behind; "" while nothing is posted."""
    posted = standing.of(connection).posted_total if connection.company else 0
    if not posted:
        return ""
    stay = f"{words.counted(posted, '')} in {connection.company_name} stay there."
    return f"{stay} What is sent from now on goes to the new one."


def _choose(
    request: BusinessRequest, connection: Connection, connector: type[Connector], companies: Sequence[Company]
) -> HttpResponse:
    chosen = next((each for each in companies if each.id == request.POST.get("company", "")), None)
    if chosen is None:
        return _company_page(request, connection, companies, errors=[("company", "Choose a company.")])
    if is_another(connection, chosen):
        return _change(request, connection, chosen, companies)
    try:
        failed = settle(connection, chosen)
    except CannotChange as reason:
        return _company_page(request, connection, companies, errors=[("company", str(reason))])
    goes_on = held_up.go_on(connection, request.user, failed) if connection.settings_version else ""
    messages.success(request, f"Connected to {chosen.name}. {goes_on}".strip())
    return redirect("connect" if not connection.settings_version else "launch", connection.system)


@dataclass(frozen=True, slots=True)
class Change:
    """The question before a connection writes to another company than before."""

    company: Company
    waiting: int  # rows never sent
    asks_day: bool  # from which day on transactions belong to the new company
    typed: str


def _change(
    request: BusinessRequest, connection: Connection, chosen: Company, companies: Sequence[Company]
) -> HttpResponse:
    """To another company: asked once more, and with a day for what was never sent (rule L8)."""
    if says := in_the_way(connection):
        return _company_page(request, connection, companies, errors=[("company", says)])
    waiting, typed = never_sent(connection), request.POST.get("cutover")
    asks_day = bool(waiting) or has_synced(connection)
    shown_day = typed if typed is not None else clock.today().isoformat()
    question = Change(chosen, waiting, asks_day, shown_day)
    sure = request.POST.get("change") == chosen.id or not (asks_day or connection.settings_version)
    if request.method != "POST" or not sure:
        return _company_page(request, connection, companies, change=question)
    day = _past_day(typed or "")
    if asks_day and day is None:
        says = "Enter a day up to today, from which on transactions go to the new company."
        return _company_page(request, connection, companies, errors=[("cutover", says)], change=question)
    former = connection.company_name
    try:
        left_out = change_company(connection, chosen, day, request.user)
    except CannotChange as reason:
        return _company_page(request, connection, companies, errors=[("company", str(reason))])
    messages.warning(request, _changed(former, chosen.name, left_out, bool(connection.settings_version)))
    among_settings = connector_of(connection.system).company_in_setup
    return redirect("setup" if connection.settings_version or among_settings else "connect", connection.system)


def _past_day(typed: str) -> date | None:
    """The day typed, None where it is none or lies ahead."""
    try:
        day = parse_date(typed)
    except ValueError:
        return None
    return day if day and day <= clock.today() else None


def _changed(former: str, name: str, left_out: int, set_up: bool) -> str:
    parts = [f"Connected to {name} instead of {former}."]
    if left_out:
        parts.append(f"{words.counted(left_out, '')} settled before that day: left out. You can undo that in the list.")
    if set_up:
        parts.append("Its accounts are others: go through the setup once more.")
    return " ".join(parts)
