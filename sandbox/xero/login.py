"""xero-login: the page where a person signs in, chooses organisations and allows the app."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.server import Desk
from sandbox.xero.identity import code_expiry
from sandbox.xero.organisation import Organisation
from sandbox.xero.pages import page
from sandbox.xero.world import App, Code, User, XeroWorld, world_of

IDENTITY = ("openid", "profile", "email", "offline_access")
BROAD = ("accounting.transactions", "accounting.transactions.read", "accounting.reports.read")
GRANULAR = tuple(
    f"accounting.{name}{ending}"
    for name in ("banktransactions", "invoices", "payments", "manualjournals")
    for ending in ("", ".read")
)
LASTING = tuple(
    f"accounting.{name}{ending}" for name in ("contacts", "settings", "attachments") for ending in ("", ".read")
)
WORDS = {
    "accounting.banktransactions": "See and change your bank transactions and transfers",
    "accounting.banktransactions.read": "See your bank transactions and transfers",
    "accounting.transactions": "See and change your business transactions",
    "accounting.transactions.read": "See your business transactions",
    "accounting.contacts": "See and change your contacts",
    "accounting.contacts.read": "See your contacts",
    "accounting.settings": "See and change your organisation settings",
    "accounting.settings.read": "See your organisation settings",
    "accounting.attachments": "See and add attachments",
    "accounting.attachments.read": "See attachments",
    "offline_access": "Do this also while you are away",
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your email address",
}


class Ask:
    """One authorisation request, read from the query."""

    def __init__(self, query: str) -> None:
        self.query = query
        values = dict(parse_qsl(query, keep_blank_values=True))
        self.client_id, self.redirect_uri = values.get("client_id", ""), values.get("redirect_uri", "")
        self.response_type, self.state = values.get("response_type", ""), values.get("state")
        self.scopes = tuple(dict.fromkeys(values.get("scope", "").split()))
        self.challenge = values.get("code_challenge", "")
        self.challenge_method = values.get("code_challenge_method", "")

    def back(self, **answer: str) -> Response:
        """Send the browser back to the app."""
        answer |= {} if self.state is None else {"state": self.state}
        joint = "&" if "?" in self.redirect_uri else "?"
        return RedirectResponse(f"{self.redirect_uri}{joint}{urlencode(answer)}", 302)


def application(desk: Desk) -> Starlette:
    async def authorize(request: Request) -> Response:
        form = parse_qsl((await request.body()).decode(), keep_blank_values=True)
        with desk.lock:
            return _authorize(desk, Ask(request.url.query), form)

    return Starlette(routes=[Route("/identity/connect/authorize", authorize, methods=["GET", "POST"])])


def _authorize(desk: Desk, ask: Ask, form: Sequence[tuple[str, str]]) -> Response:
    world = world_of(desk)
    app = world.apps.get(ask.client_id)
    if app is None:
        return _problem("unauthorized_client", "No app with this client id is registered.")
    if ask.redirect_uri not in app.redirects(desk):
        return _problem("invalid_request", f"The redirect URI is not registered for {app.name}.")
    error = _error(world, app, ask)
    if error:
        return ask.back(error=error)
    if world.switches.consent != "ask":
        return _answer_for(world, ask)
    return _step(world, app, ask, form)


def _error(world: XeroWorld, app: App, ask: Ask) -> str:
    if ask.response_type != "code":
        return "unsupported_response_type"
    if (ask.challenge and ask.challenge_method != "S256") or not (ask.challenge or app.secret):
        return "invalid_request"
    if not ask.scopes or not set(ask.scopes) <= set(_allowed(world)):
        return "invalid_scope"
    return ""


def _allowed(world: XeroWorld) -> Sequence[str]:
    """Return the scope names this app may ask for; its age decides between broad and granular ones."""
    by_age = {"granular": GRANULAR, "broad": BROAD, "both": (*GRANULAR, *BROAD)}
    return (*IDENTITY, *LASTING, *by_age[world.switches.app_age])


def _step(world: XeroWorld, app: App, ask: Ask, form: Sequence[tuple[str, str]]) -> Response:
    """Sign in, then decide. A program may send user, organisations and decision in one POST."""
    sent = dict(form)
    user = _user(world, sent.get("user", ""))
    if user is None:
        return page("signin.html", ask=ask, app=app, users=list(world.users.values()))
    if sent.get("decision") == "cancel":
        return ask.back(error="access_denied")
    if sent.get("decision") == "allow":
        chosen = {value for name, value in form if name == "tenant"}
        tenants = [one for one in user.organisations if one.id in chosen or one.name in chosen]
        return _allow(world, ask, user, tenants)
    return page("consent.html", ask=ask, app=app, user=user, scopes=_in_words(ask.scopes), **_choice(world, app, user))


def _choice(world: XeroWorld, app: App, user: User) -> Mapping[str, Any]:
    connected = {one.tenant_id for one in world.connections_of(app.client_id, user.id)}
    return {"organisations": user.organisations, "connected": connected}


def _in_words(scopes: Sequence[str]) -> list[tuple[str, str]]:
    return [(WORDS.get(scope, f"Use {scope}"), scope) for scope in scopes]


def _user(world: XeroWorld, wanted: str) -> User | None:
    return next((one for one in world.users.values() if wanted in (one.id, one.email)), None)


def _answer_for(world: XeroWorld, ask: Ask) -> Response:
    """Decide without a person: the first user allows everything or nothing, or cancels."""
    user = next(iter(world.users.values()), None)
    if world.switches.consent == "cancel" or user is None:
        return ask.back(error="access_denied")
    return _allow(world, ask, user, user.organisations if world.switches.consent == "allow" else [])


def _allow(world: XeroWorld, ask: Ask, user: User, organisations: Sequence[Organisation]) -> Response:
    event = world.consent(user, ask.client_id, organisations, ask.scopes)
    scopes = world.granted[ask.client_id, user.id]
    code = secrets.token_urlsafe(32)
    world.codes[code] = Code(
        ask.client_id, ask.redirect_uri, user.id, scopes, event, ask.challenge, world.now() + code_expiry(world)
    )
    return ask.back(code=code, scope=" ".join(scopes), session_state=secrets.token_urlsafe(16))


def _problem(error: str, sentence: str) -> Response:
    return page("problem.html", status=400, title="This sign-in cannot go on", error=error, sentence=sentence)
