"""The pages where a person picks an account and allows the app, alone or for everybody of the tenant."""

import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.dynamics365.grants import Denied, check_scope, tenant_of
from sandbox.dynamics365.look import page
from sandbox.dynamics365.world import PERMISSIONS, RESOURCE, SCOPE, App, BusinessCentralWorld, Code, User, client_info
from sandbox.server import Desk

WORDS = {
    SCOPE: "Use Dynamics 365 Business Central as you: see and change what you may see and change there",
    PERMISSIONS[0]: "Read and write financial data in Dynamics 365 Business Central",
    PERMISSIONS[1]: "Access Dynamics 365 Business Central as you",
    "offline_access": "Maintain access to data you have given it access to",
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
}


class Ask:
    """One authorisation request, read from the query."""

    def __init__(self, query: str) -> None:
        self.query = query
        values = dict(parse_qsl(query, keep_blank_values=True))
        self.client_id, self.redirect_uri = values.get("client_id", ""), values.get("redirect_uri", "")
        self.response_type, self.response_mode = values.get("response_type", ""), values.get("response_mode", "query")
        self.state, self.nonce = values.get("state"), values.get("nonce", "")
        self.scope = values.get("scope", "")
        self.challenge, self.method = values.get("code_challenge", ""), values.get("code_challenge_method", "plain")
        self.client_info = values.get("client_info") == "1"
        self.prompt, self.login_hint = values.get("prompt", ""), values.get("login_hint", "")

    def back(self, **answer: str) -> Response:
        """Send the browser back to the app: by its address, or with a form the person's browser posts."""
        answer |= {} if self.state is None else {"state": self.state}
        if self.response_mode == "form_post":
            return page("entra_continue.html", address=self.redirect_uri, answer=answer)
        joint = "&" if "?" in self.redirect_uri else "?"
        return RedirectResponse(f"{self.redirect_uri}{joint}{urlencode(answer)}", 302)

    def refused(self, error: str, number: int, sentence: str) -> Response:
        more = {"error_subcode": "cancel"} if number == 65004 else {}
        return self.back(error=error, **more, error_description=f"AADSTS{number}: {sentence}")


def _registered(desk: Desk, world: BusinessCentralWorld, ask: Ask) -> App:
    """The app that asks. Raises Denied: nobody is sent to an address that is not the app's."""
    app = world.apps.get(ask.client_id)
    if app is None:
        raise Denied("unauthorized_client", 700016, f"Application '{ask.client_id}' was not found in the directory.")
    if ask.redirect_uri not in app.redirects(desk):
        sentence = f"The redirect URI '{ask.redirect_uri}' specified in the request does not match those of {app.name}."
        raise Denied("invalid_request", 50011, sentence)
    return app


def authorize(desk: Desk, world: BusinessCentralWorld, request: Request, form: Mapping[str, str]) -> Response:
    ask, tenant = Ask(request.url.query), tenant_of(world, request)
    app = _registered(desk, world, ask)
    try:
        _check(ask)
    except Denied as denied:
        return ask.refused(denied.error, denied.number, denied.sentence)
    people = [one for one in world.users.values() if tenant in (None, one.tenant)]
    if world.switches.consent != "ask":
        return _answer_for(world, ask, people)
    if ask.prompt == "none":
        return ask.refused("login_required", 50058, "A silent sign-in request was sent but no user is signed in.")
    user = _chosen(people, form.get("user", ""))
    if user is None:
        return page("entra_signin.html", query=ask.query, app=app, people=people, hint=ask.login_hint.casefold())
    return _decide(world, app, ask, user, form)


def _check(ask: Ask) -> None:
    """Raise Denied with what the app is told when it asks for something that does not exist."""
    if ask.response_type != "code":
        raise Denied("unsupported_response_type", 700054, f"response_type '{ask.response_type}' is not enabled.")
    if ask.response_mode not in ("query", "form_post"):
        raise Denied("invalid_request", 900971, f"response_mode '{ask.response_mode}' is not supported here.")
    if ask.challenge and ask.method != "S256":
        raise Denied("invalid_request", 501491, "The code challenge method must be S256.")
    check_scope(ask.scope)


def _chosen(people: list[User], wanted: str) -> User | None:
    return next((one for one in people if wanted.casefold() in (one.id, one.email.casefold())), None)


def _decide(world: BusinessCentralWorld, app: App, ask: Ask, user: User, form: Mapping[str, str]) -> Response:
    """What follows once it is known who asks. A program may send user and decision in one POST."""
    decision = form.get("decision", "")
    if not user.tenant.has_service:
        return ask.refused("invalid_resource", 500011, f"{user.tenant.name} has no {RESOURCE} in its directory.")
    if world.consented(app.client_id, user) and ask.prompt != "consent":
        return _allow(world, ask, user)
    if user.tenant.needs_admin and not user.administrator:
        return _without_administrator(app, ask, user, decision)
    if decision == "cancel":
        return ask.refused("access_denied", 65004, "User declined to consent to access the app.")
    if decision == "allow":
        if "everybody" in form and user.administrator:
            user.tenant.admin_consent.add(app.client_id)
        return _allow(world, ask, user)
    return page("entra_consent.html", query=ask.query, app=app, user=user, scopes=_in_words(ask.scope), everybody=False)


def _without_administrator(app: App, ask: Ask, user: User, decision: str) -> Response:
    if decision:
        return ask.refused("consent_required", 90094, "An administrator of the organization has to approve the app.")
    link = f"/entra/{user.tenant.id}/v2.0/adminconsent?" + urlencode(
        {
            "client_id": ask.client_id,
            "scope": ask.scope,
            "redirect_uri": ask.redirect_uri,
            **({} if ask.state is None else {"state": ask.state}),
        }
    )
    return page("entra_approval.html", query=ask.query, app=app, user=user, link=link)


def _in_words(scope: str) -> list[tuple[str, str]]:
    return [(WORDS[one], one) for one in scope.split()]


def _answer_for(world: BusinessCentralWorld, ask: Ask, people: list[User]) -> Response:
    """Decide without a person: the user hinted at, or else the first, allows or cancels."""
    user = _chosen(people, ask.login_hint) or next(iter(people), None)
    if world.switches.consent == "admin":
        return ask.refused("consent_required", 90094, "An administrator of the organization has to approve the app.")
    if world.switches.consent == "cancel" or user is None:
        return ask.refused("access_denied", 65004, "User declined to consent to access the app.")
    return _allow(world, ask, user)


def _allow(world: BusinessCentralWorld, ask: Ask, user: User) -> Response:
    world.consents.add((ask.client_id, user.id))
    expires = world.now() + timedelta(seconds=world.switches.code_seconds)
    code = f"1.{secrets.token_urlsafe(96)}"
    world.codes[code] = Code(ask.client_id, ask.redirect_uri, user.id, ask.scope, ask.nonce, ask.challenge, expires)
    known = {"client_info": client_info(user)} if ask.client_info and world.switches.client_info else {}
    return ask.back(code=code, **known, session_state=str(uuid.uuid4()))


def admin_consent(desk: Desk, world: BusinessCentralWorld, request: Request, form: Mapping[str, str]) -> Response:
    """The page on which an administrator allows the app for everybody of the tenant."""
    ask, tenant = Ask(request.url.query), tenant_of(world, request)
    app = _registered(desk, world, ask)
    check_scope(ask.scope)
    people = [one for one in world.users.values() if tenant in (None, one.tenant)]
    user = _chosen(people, form.get("user", ""))
    if user is None:
        return page("entra_signin.html", query=ask.query, app=app, people=people, hint="")
    if not user.administrator:
        raise Denied("access_denied", 90093, f"{user.name} is not an administrator of {user.tenant.name}.", 403)
    if form.get("decision") == "cancel":
        return ask.refused("access_denied", 65004, "The administrator declined to consent to access the app.")
    if form.get("decision") == "allow":
        user.tenant.admin_consent.add(app.client_id)
        return ask.back(admin_consent="True", tenant=user.tenant.id, scope=ask.scope)
    return page("entra_consent.html", query=ask.query, app=app, user=user, scopes=_in_words(ask.scope), everybody=True)
