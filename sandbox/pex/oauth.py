"""PEX's OAuth 2.1 host: code flow with PKCE, refresh tokens that rotate, OpenID's userinfo."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.pex import jwt
from sandbox.pex.api import world_of
from sandbox.pex.business import Admin
from sandbox.pex.world import (
    ACCESS_SECONDS,
    CODE_SECONDS,
    REFRESH_SECONDS,
    Code,
    Family,
    OAuthClient,
    PexWorld,
    RefreshToken,
    Token,
)
from sandbox.server import Desk
from sandbox.templates import page

SCOPES = ("openid", "offline_access", "profile", "email")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Declined(Exception):
    """An answer of RFC 6749: an error code and a sentence."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


@dataclass
class Visit:
    """One call, with its parameters (query and form together) and the world it concerns."""

    desk: Desk
    world: PexWorld
    request: Request
    values: dict[str, str]
    now: datetime

    @property
    def issuer(self) -> str:
        return f"{self.desk.url}/pex-oauth"

    def value(self, name: str) -> str:
        """Return a parameter; Declined when it is missing."""
        value = self.values.get(name, "")
        if not value:
            raise Declined("invalid_request", f"{name} is required.")
        return value


def application(desk: Desk) -> ASGIApp:
    rooms: list[tuple[str, str, Callable[[Visit], Response]]] = [
        ("GET", "/.well-known/openid-configuration", discovery),
        ("GET", "/.well-known/jwks.json", keys),
        ("GET", "/oauth21/authorize", ask_consent),
        ("POST", "/oauth21/authorize", decide),
        ("POST", "/oauth21/token", token),
        ("POST", "/oauth21/revoke", revoke),
        ("GET", "/oauth21/userinfo", userinfo),
        ("POST", "/oauth21/userinfo", userinfo),
    ]
    paths = dict.fromkeys(path for _, path, _ in rooms)
    routes = []
    for path in paths:
        verbs = {method: room for method, at, room in rooms if at == path}
        routes.append(Route(path, _endpoint(desk, verbs), methods=list(verbs)))
    return Starlette(routes=routes)


def _endpoint(desk: Desk, verbs: Mapping[str, Callable[[Visit], Response]]) -> Any:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        room = verbs.get(request.method) or verbs["GET"]
        with desk.lock:
            world = world_of(desk)
            visit = Visit(desk, world, request, {}, world.now())
            try:
                visit.values = _parameters(request, body)
                return room(visit)
            except Declined as refusal:
                return _declined(refusal)

    return endpoint


def _parameters(request: Request, body: bytes) -> dict[str, str]:
    if request.method == "POST" and body:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise Declined("invalid_request", "Parameters are sent form-encoded.")
        text = body.decode("utf-8", "replace")
    else:
        text = request.url.query if request.method == "GET" else ""
    pairs = parse_qsl(text, keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Declined("invalid_request", "A parameter was sent twice.")
    return values


def _declined(refusal: Declined) -> JSONResponse:
    body = {"error": refusal.error, "error_description": refusal.description}
    return JSONResponse(body, refusal.status, {"Cache-Control": "no-store"})


def discovery(visit: Visit) -> Response:
    issuer = visit.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth21/authorize",
            "token_endpoint": f"{issuer}/oauth21/token",
            "userinfo_endpoint": f"{issuer}/oauth21/userinfo",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "revocation_endpoint": f"{issuer}/oauth21/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(SCOPES),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
        }
    )


def keys(visit: Visit) -> Response:
    return JSONResponse(jwt.key_set())


# Consent


def ask_consent(visit: Visit) -> Response:
    """Show the admins, Allow and Cancel. A wrong client or address is told here, the rest goes back."""
    client = _addressed(visit)
    if client is None:
        return _broken_link()
    try:
        _check_request(visit)
    except Declined as refusal:
        return _back(visit, {"error": refusal.error, "error_description": refusal.description})
    people = [admin for admin in visit.world.admins() if admin.status == "Active"]
    businesses = visit.world.businesses
    return page("authorize.html", client=client, people=people, businesses=businesses, values=visit.values)


def decide(visit: Visit) -> Response:
    """Take the form: `decision` is allow or cancel, `admin` is BUSINESS:ADMIN or a user name."""
    client = _addressed(visit)
    if client is None:
        return _broken_link()
    try:
        _check_request(visit)
    except Declined as refusal:
        return _back(visit, {"error": refusal.error, "error_description": refusal.description})
    if visit.values.get("decision") != "allow":
        return _back(visit, {"error": "access_denied", "error_description": "The admin cancelled."})
    admin = chosen_admin(visit.world, visit.values.get("admin", ""))
    if admin is None:
        return page("problem.html", 400, title="Choose an admin", text="Go back and say who you are.")
    return _back(visit, {"code": _code(visit, client, admin)})


def _code(visit: Visit, client: OAuthClient, admin: Admin) -> str:
    code = secrets.token_urlsafe(32)
    visit.world.codes[code] = Code(
        client_id=client.client_id,
        redirect_uri=visit.values["redirect_uri"],
        challenge=visit.values["code_challenge"],
        scope=visit.values["scope"],
        nonce=visit.values.get("nonce", ""),
        business_id=admin.business_id,
        admin_id=admin.admin_id,
        expires=visit.now + timedelta(seconds=CODE_SECONDS),
    )
    return code


def chosen_admin(world: PexWorld, text: str) -> Admin | None:
    """Return the active admin named by BUSINESS:ADMIN, or the first one with that user name."""
    for admin in world.admins():
        names = (f"{admin.business_id}:{admin.admin_id}", admin.username)
        if text in names and admin.status == "Active":
            return admin
    return None


def _addressed(visit: Visit) -> OAuthClient | None:
    """Return the client when its redirect address is exactly the registered one."""
    client = visit.world.clients.get(visit.values.get("client_id", ""))
    registered = f"{visit.desk.product_url}{client.redirect_path}" if client else None
    return client if visit.values.get("redirect_uri") == registered else None


def _check_request(visit: Visit) -> None:
    if visit.value("response_type") != "code":
        raise Declined("unsupported_response_type", "Only the code flow is offered.")
    if visit.values.get("code_challenge_method") != "S256":
        raise Declined("invalid_request", "code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(visit.value("code_challenge")):
        raise Declined("invalid_request", "code_challenge must be the base64url of a SHA-256.")
    if not set(visit.value("scope").split()) <= set(SCOPES):
        raise Declined("invalid_scope", f"Known scopes are {' '.join(SCOPES)}.")


def _back(visit: Visit, facts: dict[str, str]) -> Response:
    if "state" in visit.values:
        facts["state"] = visit.values["state"]
    query = urlencode({**facts, "iss": visit.issuer})
    return RedirectResponse(f"{visit.values['redirect_uri']}?{query}", 303, {"Cache-Control": "no-store"})


def _broken_link() -> Response:
    text = "The app that sent you here is not known, or asked to be answered at an address it does not own."
    return page("problem.html", 400, title="This link does not work", text=text)


# Tokens


def token(visit: Visit) -> Response:
    client_id = visit.value("client_id")
    if client_id not in visit.world.clients:
        raise Declined("invalid_client", "The client is not known.", 401)
    grant = visit.value("grant_type")
    if grant == "authorization_code":
        return _issued(visit, _redeem(visit, client_id))
    if grant == "refresh_token":
        return _issued(visit, _rotate(visit, client_id))
    raise Declined("unsupported_grant_type", "Send authorization_code or refresh_token.")


def _redeem(visit: Visit, client_id: str) -> str:
    """Exchange a code, once, and return the family of tokens it founded."""
    world, text = visit.world, visit.value("code")
    verifier, redirect_uri = visit.value("code_verifier"), visit.value("redirect_uri")
    code = world.codes.get(text)
    if code is None or code.client_id != client_id:
        raise _invalid()
    if code.family:
        revoke_family(world, code.family)
        raise _invalid()
    code.family = secrets.token_hex(12)  # used up, whatever comes
    digest = jwt.encode(hashlib.sha256(verifier.encode()).digest())
    proven = _VERIFIER.fullmatch(verifier) and hmac.compare_digest(digest, code.challenge)
    if code.expires <= visit.now or code.redirect_uri != redirect_uri or not proven:
        raise _invalid()
    admin = _active(world, code.business_id, code.admin_id)
    world.families[code.family] = Family(
        client_id, admin.business_id, admin.admin_id, code.scope, code.nonce, admin.password_version
    )
    return code.family


def _rotate(visit: Visit, client_id: str) -> str:
    """Use up a refresh token and return its family. A second use ends the family."""
    world = visit.world
    refresh = world.refresh_tokens.get(visit.value("refresh_token"))
    family = world.families.get(refresh.family) if refresh else None
    if refresh is None or family is None or family.client_id != client_id:
        raise _invalid()
    if refresh.used:
        revoke_family(world, refresh.family)
    if family.revoked or refresh.expires <= visit.now:
        raise _invalid()
    _owner(world, family)
    refresh.used = True
    return refresh.family


def _issued(visit: Visit, family_id: str) -> Response:
    family = visit.world.families[family_id]
    body = _tokens(visit.world, family_id)
    if "openid" in family.scope.split():
        body["id_token"] = _id_token(visit, family)
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _tokens(world: PexWorld, family_id: str) -> dict[str, Any]:
    """Make the next tokens of a family and return them as the token address answers."""
    family, now = world.families[family_id], world.now()
    access = Token(
        text=secrets.token_urlsafe(32),
        app_id=family.client_id,
        business_id=family.business_id,
        admin_id=family.admin_id,
        issued=now,
        expires=now + timedelta(seconds=ACCESS_SECONDS),
        password_version=family.password_version,
        scheme="Bearer",
        family=family_id,
    )
    world.tokens[access.text] = access
    body: dict[str, Any] = {
        "access_token": access.text,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "scope": family.scope,
    }
    if "offline_access" in family.scope.split():
        text = secrets.token_urlsafe(32)
        world.refresh_tokens[text] = RefreshToken(family_id, now + timedelta(seconds=REFRESH_SECONDS))
        body |= {"refresh_token": text, "refresh_token_expires_in": REFRESH_SECONDS}
    return body


def grant(world: PexWorld, admin: Admin, client_id: str = "") -> dict[str, Any]:
    """Return the tokens the product would hold after this admin consented."""
    client_id, family_id = client_id or next(iter(world.clients)), secrets.token_hex(12)
    world.families[family_id] = Family(
        client_id, admin.business_id, admin.admin_id, "openid offline_access", "", admin.password_version
    )
    return _tokens(world, family_id)


def _id_token(visit: Visit, family: Family) -> str:
    admin = _owner(visit.world, family)
    issued = int(visit.now.timestamp())
    claims = {"iss": visit.issuer, "aud": family.client_id, "iat": issued, "exp": issued + ACCESS_SECONDS}
    if family.nonce:
        claims["nonce"] = family.nonce
    return jwt.signed_rs256({**claims, **_claims(admin)})


def _claims(admin: Admin) -> dict[str, Any]:
    """Return who the person is: the same `sub` in every business they administer."""
    return {
        "sub": f"pex-{hashlib.sha256(admin.username.lower().encode()).hexdigest()[:24]}",
        "name": admin.name,
        "email": admin.email,
        "preferred_username": admin.username,
    }


def revoke_family(world: PexWorld, family_id: str) -> None:
    family = world.families.get(family_id)
    if family is not None:
        family.revoked = True
    world.tokens = {text: token for text, token in world.tokens.items() if token.family != family_id}


def _owner(world: PexWorld, family: Family) -> Admin:
    """Return the admin who consented, unless their password has changed since."""
    admin = _active(world, family.business_id, family.admin_id)
    if admin.password_version != family.password_version:
        raise _invalid()
    return admin


def _active(world: PexWorld, business_id: int, admin_id: int) -> Admin:
    admin = world.admin(business_id, admin_id)
    if admin is None or admin.status != "Active" or world.businesses[business_id].status != "OPEN":
        raise _invalid()
    return admin


def _invalid() -> Declined:
    return Declined("invalid_grant", "The grant is invalid, expired, revoked or was issued to somebody else.")


def revoke(visit: Visit) -> Response:
    """RFC 7009: an unknown token is revoked already."""
    client_id, text = visit.value("client_id"), visit.value("token")
    if client_id not in visit.world.clients:
        raise Declined("invalid_client", "The client is not known.", 401)
    refresh = visit.world.refresh_tokens.get(text)
    if refresh is not None and visit.world.families[refresh.family].client_id == client_id:
        revoke_family(visit.world, refresh.family)
    access = visit.world.tokens.get(text)
    if access is not None and access.scheme == "Bearer" and access.app_id == client_id:
        del visit.world.tokens[text]
    return Response(status_code=200)


def userinfo(visit: Visit) -> Response:
    scheme, _, text = visit.request.headers.get("authorization", "").partition(" ")
    token = visit.world.tokens.get(text.strip())
    family = visit.world.families.get(token.family) if token else None
    if scheme.lower() != "bearer" or token is None or family is None or token.expires <= visit.now:
        return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if "openid" not in family.scope.split():
        return Response(status_code=403, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
    try:
        admin = _owner(visit.world, family)
    except Declined:
        return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return JSONResponse(_claims(admin), headers={"Cache-Control": "no-store"})
