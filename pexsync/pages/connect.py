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

from connectors import registry
from connectors.connector import Connector
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection
from connectors.records import Company, Finding
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import rooms, words
from pexsync.pages.setup import stepper
from syncjobs import notices, runs, standing
from syncjobs.company import CannotChange, change_company, has_synced, in_the_way, is_another, never_sent
from syncjobs.views import connection_of, connector_of

SESSION = "connecting"  # what a sign-in under way must come back with


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the preflight as shown."""

    name: str
    tone: str
    word: str
    says: str
    fix: str
    link: str


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
    found, trouble = _ask(connection)
    with tenancy.reading(request.business.pk):
        if request.htmx:
            context = {"checks": shown(found), "trouble": trouble, "connector": connector_of(system)}
            return render(request, "pages/_checks.html", context)
        return _page(request, connection, shown(found), trouble)


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
    """Tenant Selection: shown even for one company."""
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
        with tenancy.reading(request.business.pk):
            context = {
                "connector": connector,
                "connection": connection,
                "standing": standing.of(connection),
                "running": running,
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


def shown(findings: Sequence[Finding]) -> list[Check]:
    return [
        Check(
            found.name, *words.FINDINGS.get(found.state, words.FINDINGS["unknown"]), found.says, found.fix, found.link
        )
        for found in findings
    ]


def _page(
    request: BusinessRequest, connection: Connection, found: Sequence[Check] = (), trouble: str = ""
) -> HttpResponse:
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
            "steps": stepper(connection, connector, "connection") if not connection.settings_version else None,
            "checks": found,
            "trouble": trouble,
            "waiting": standing.of(connection).queued if connection.state == Connection.State.FAILED else None,
        },
    )


def _ask(connection: Connection) -> tuple[Sequence[Finding], str]:
    """Return the findings, or why there are none."""
    if connection.credential_id is None:
        return (), "Connect first; then we look whether everything is ready."
    try:
        with registry.open_connector(connection) as opened:
            return opened.check(), ""
    except NotAuthorized as error:
        notices.signed_out(connection, error.says)
        return (), error.says
    except ConnectorError as error:
        return (), error.says


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


def _go_on(request: BusinessRequest, connection: Connection) -> HttpResponse:
    """Signed in again to the same company, all goes on as it was; otherwise the company is asked for."""
    if not connection.settings_version:
        return redirect("company", connection.system)
    try:
        with registry.open_connector(connection) as opened:
            same = next((each for each in opened.companies() if each.id == connection.company), None)
    except ConnectorError:
        same = None  # the page of the companies asks again and says what is wrong
    if same is None:
        return redirect("company", connection.system)
    messages.success(request, f"Signed in again. {_goes_on(request, connection, _settle(connection, same))}")
    return redirect("launch", connection.system)


def _company_page(
    request: BusinessRequest,
    connection: Connection,
    companies: Sequence[Company],
    trouble: str = "",
    errors: Sequence[tuple[str, str]] = (),
    cutover: "CutOver | None" = None,
) -> HttpResponse:
    """`errors`: the field each is about, and the sentence."""
    with tenancy.reading(request.business.pk):
        context = {
            "connector": connector_of(connection.system),
            "connection": connection,
            "companies": companies,
            "trouble": trouble,
            "errors": dict(errors),
            "summary": errors,
            "posted_says": _posted_says(connection),
            "chosen": request.POST.get("company", connection.company),
            "cutover": cutover,
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
    failed = _settle(connection, chosen)
    goes_on = _goes_on(request, connection, failed) if connection.settings_version else ""
    messages.success(request, f"Connected to {chosen.name}. {goes_on}".strip())
    return redirect("connect" if not connection.settings_version else "launch", connection.system)


@dataclass(frozen=True, slots=True)
class CutOver:
    """The question from which day on transactions belong to the new company."""

    company: str
    waiting: int  # rows never sent
    typed: str


def _change(
    request: BusinessRequest, connection: Connection, chosen: Company, companies: Sequence[Company]
) -> HttpResponse:
    """To another company: a day is asked for what was never sent (rule L8)."""
    if says := in_the_way(connection):
        return _company_page(request, connection, companies, errors=[("company", says)])
    waiting, typed = never_sent(connection), request.POST.get("cutover")
    question = CutOver(chosen.name, waiting, typed if typed is not None else clock.today().isoformat())
    asked = bool(waiting) or has_synced(connection)
    if asked and typed is None:
        return _company_page(request, connection, companies, cutover=question)
    day = _past_day(typed or "")
    if asked and day is None:
        says = "Enter a day up to today, from which on transactions go to the new company."
        return _company_page(request, connection, companies, errors=[("cutover", says)], cutover=question)
    former = connection.company_name
    try:
        left_out = change_company(connection, chosen, day, request.user)
    except CannotChange as reason:
        return _company_page(request, connection, companies, errors=[("company", str(reason))])
    messages.warning(request, _changed(former, chosen.name, left_out, bool(connection.settings_version)))
    return redirect("setup" if connection.settings_version else "connect", connection.system)


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


def _settle(connection: Connection, chosen: Company) -> bool:
    """Ready to write to the company: the first one ever, or the same as before. True when it had failed meanwhile."""
    with tenancy.scope(connection.business_id):
        Connection.objects.filter(pk=connection.pk).update(
            company=chosen.id,
            company_name=chosen.name,
            company_facts=dict(chosen.facts),
            state=Connection.State.READY,
            failure="",
            failed_at=None,
        )
        connection.refresh_from_db()
        return notices.over(connection, notices.SESSION)


def _goes_on(request: BusinessRequest, connection: Connection, failed: bool) -> str:
    """What a failure held up goes by itself; what somebody disconnected on purpose waits for SYNC."""
    held_up = runs.resume(connection, request.user) if failed else None
    if held_up is not None:
        return f"A sync has begun{f' with the {held_up:,} that waited' if held_up else ''}."
    with tenancy.reading(request.business.pk):
        count = standing.of(connection).queued.count
    return f"{words.counted(count, '')} waiting; press SYNC to send them." if count else "Settings were kept."
