"""The token endpoint of the sign-in: tokens for codes, younger tokens for older ones, and how they are refused.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import base64
import binascii
import hashlib
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.dynamics365.world import (
    PERMISSIONS,
    RESOURCE,
    SCOPE,
    SIGN_IN_SCOPES,
    App,
    BusinessCentralWorld,
    Refresh,
    Tenant,
    User,
)
from sandbox.server import Desk

NO_STORE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
ANYBODY = "organizations"  # the tenant of an address that serves every tenant
NUMBERS = {
    "invalid_grant": 700082,
    "interaction_required": 50076,
    "login_required": 50058,
    "consent_required": 65001,
    "invalid_client": 7000215,
    "unauthorized_client": 700016,
    "invalid_resource": 500011,
    "invalid_scope": 70011,
    "temporarily_unavailable": 90033,
}
"""The AADSTS number of an error the switches ask for."""


class Denied(Exception):
    """An answer of the token endpoint other than tokens."""

    def __init__(self, error: str, number: int, sentence: str, status: int = 400, **more: str) -> None:
        super().__init__(sentence)
        self.error, self.number, self.sentence, self.status, self.more = error, number, sentence, status, more

    def description(self, trace: str, correlation: str, at: str) -> str:
        return f"AADSTS{self.number}: {self.sentence} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"

    def answer(self, world: BusinessCentralWorld) -> Response:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        at = world.now().strftime("%Y-%m-%d %H:%M:%SZ")
        members = {
            "error": self.error,
            "error_description": self.description(trace, correlation, at),
            "error_codes": [self.number],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
        }
        return JSONResponse({**members, **{name: value for name, value in self.more.items() if value}}, self.status)


def tenant_of(world: BusinessCentralWorld, request: Request) -> Tenant | None:
    """The tenant an address names by id or domain; None for "organizations". Raises Denied."""
    name = request.path_params["tenant"].casefold()
    if name == ANYBODY:
        return None
    for one in world.tenants.values():
        if name in (one.id, one.domain.casefold() or one.id):
            return one
    raise Denied("invalid_tenant", 90002, f"Tenant '{name}' not found. Check that you have the correct tenant ID.")


def check_scope(scope: str) -> None:
    asked = scope.split()
    foreign = [one for one in asked if "://" in one and not one.startswith(f"{RESOURCE}/")]
    if foreign:
        sentence = f"The resource principal named {foreign[0].rpartition('/')[0]} was not found in the tenant."
        raise Denied("invalid_resource", 500011, sentence)
    of_books = [one for one in asked if one not in SIGN_IN_SCOPES]
    if not of_books or not set(of_books) <= {SCOPE, *PERMISSIONS} or (SCOPE in of_books and len(of_books) > 1):
        raise Denied(
            "invalid_scope", 70011, f"The provided value for the input parameter 'scope' is not valid: {scope}"
        )


def token(desk: Desk, world: BusinessCentralWorld, request: Request, form: Mapping[str, str]) -> Mapping[str, Any]:
    _moods(world)
    tenant = tenant_of(world, request)
    grants = {"authorization_code": _for_code, "refresh_token": _for_refresh}
    grant = _given(form, "grant_type")
    if grant not in grants:
        raise Denied("unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'.")
    app = _authenticated(world, request, form)
    user, scope, nonce = grants[grant](world, app, form)
    _check_user(world, app, tenant, user)
    return world.issue(app.client_id, user, scope, nonce, who=form.get("client_info") == "1")


def _moods(world: BusinessCentralWorld) -> None:
    """Refuse as the switches say. Raises Denied."""
    switches = world.switches
    error = switches.token_error or ("temporarily_unavailable" if switches.token_status else "")
    if error:
        number = 65001 if switches.token_suberror == "consent_required" else NUMBERS.get(error, 50000)
        status = switches.token_status or (401 if error == "invalid_client" else 400)
        more = {"suberror": switches.token_suberror, "claims": switches.token_claims}
        raise Denied(error, number, "The sandbox was told to refuse this call.", status, **more)


def _given(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise Denied("invalid_request", 900144, f"The request body must contain the following parameter: '{name}'.")
    return form[name]


def _authenticated(world: BusinessCentralWorld, request: Request, form: Mapping[str, str]) -> App:
    """The app behind the Basic header or the body. Raises Denied."""
    client_id, secret = _basic(request.headers.get("authorization", ""))
    if not client_id:
        client_id, secret = _given(form, "client_id"), form.get("client_secret", "")
    app = world.apps.get(client_id)
    if app is None:
        raise Denied("unauthorized_client", 700016, f"Application '{client_id}' was not found in the directory.")
    if not secret:
        sentence = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        raise Denied("invalid_client", 7000218, sentence, 401)
    if secret != app.secret:
        raise Denied("invalid_client", 7000215, "Invalid client secret provided.", 401)
    return app


def _basic(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(client_id), unquote(secret)


Granted = tuple[User, str, str]  # user, scope, nonce


def _for_code(world: BusinessCentralWorld, app: App, form: Mapping[str, str]) -> Granted:
    given = _given(form, "code")
    if given in world.used_codes:
        raise Denied("invalid_grant", 54005, "OAuth2 Authorization code was already redeemed.")
    code = world.codes.get(given)
    if code is None or code.client_id != app.client_id:
        raise Denied("invalid_grant", 70000, "The provided value for the 'code' parameter is not valid.")
    del world.codes[given]
    world.used_codes.add(given)
    if code.expires <= world.now():
        raise Denied("invalid_grant", 70008, "The provided authorization code has expired.")
    if code.redirect_uri != _given(form, "redirect_uri"):
        raise Denied("invalid_grant", 500112, "The reply address does not match the one of the authorization request.")
    if not _proves(form.get("code_verifier", ""), code.challenge):
        raise Denied("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
    return world.users[code.user_id], code.scope, code.nonce


def _proves(verifier: str, challenge: str) -> bool:
    """Check PKCE: the verifier hashes to the challenge, when one was sent."""
    if not challenge:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return 43 <= len(verifier) <= 128 and base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge


def _for_refresh(world: BusinessCentralWorld, app: App, form: Mapping[str, str]) -> Granted:
    """The token used stays good: it is replaced in the answer and dies of age or when it is revoked."""
    token = world.refresh.get(_given(form, "refresh_token"))
    if token is None or token.client_id != app.client_id:
        raise Denied("invalid_grant", 70000, "The provided value for the 'refresh_token' parameter is not valid.")
    if token.revoked:
        raise Denied("invalid_grant", 50173, "The provided grant has expired due to it being revoked.")
    if _died_of_age(world, token):
        sentence = f"The refresh token has expired due to inactivity. It was issued on {token.issued.isoformat()}."
        raise Denied("invalid_grant", 700082, sentence)
    scope = form.get("scope") or token.scope
    check_scope(scope)
    return world.users[token.user_id], scope, ""


def _died_of_age(world: BusinessCentralWorld, token: Refresh) -> bool:
    return token.issued + timedelta(days=world.switches.refresh_days) <= world.now()


def _check_user(world: BusinessCentralWorld, app: App, tenant: Tenant | None, user: User) -> None:
    if tenant not in (None, user.tenant):
        raise Denied("invalid_grant", 50020, f"User account '{user.email}' does not exist in the tenant.")
    if not user.tenant.has_service:
        raise Denied("invalid_resource", 500011, f"{user.tenant.name} has no {RESOURCE} in its directory.")
    if not world.consented(app.client_id, user):
        sentence = "The user or administrator has not consented to use the application."
        raise Denied("invalid_grant", 65001, sentence, suberror="consent_required")
