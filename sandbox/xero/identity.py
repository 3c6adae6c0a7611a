"""xero-identity: tokens for codes, younger tokens for older ones, revocation."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.server import Desk
from sandbox.xero.world import App, Code, XeroWorld, world_of

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Denied(Exception):
    """An OAuth error: 400 with its name."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error, self.description = error, description

    def answer(self) -> Response:
        members = {"error": self.error, "error_description": self.description}
        content = {name: value for name, value in members.items() if value}
        return Response(_compact(content), 400, NO_STORE, "application/json")


def application(desk: Desk) -> Starlette:
    async def token(request: Request) -> Response:
        form = await read_form(request)
        with desk.lock:
            try:
                return JSONResponse(_token(world_of(desk), request, form), headers=NO_STORE)
            except Denied as denied:
                return denied.answer()

    async def revocation(request: Request) -> Response:
        form = await read_form(request)
        with desk.lock:
            try:
                _revoke(world_of(desk), request, form)
            except Denied as denied:
                return denied.answer()
        return Response(status_code=200)

    return Starlette(
        routes=[
            Route("/connect/token", token, methods=["POST"]),
            Route("/connect/revocation", revocation, methods=["POST"]),
        ]
    )


async def read_form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def _token(world: XeroWorld, request: Request, form: Mapping[str, str]) -> dict[str, Any]:
    app = _authenticated(world, request, form)
    grants = {"authorization_code": _for_code, "refresh_token": _for_refresh}
    grant = form.get("grant_type", "")
    if grant not in grants:
        raise Denied("unauthorized_client" if grant == "client_credentials" else "unsupported_grant_type")
    return grants[grant](world, app, form)


def _authenticated(world: XeroWorld, request: Request, form: Mapping[str, str]) -> App:
    """Return the app behind the Basic header or the body. Raises Denied."""
    client_id, secret = _basic(request.headers.get("authorization", ""))
    if not client_id:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    app = world.apps.get(client_id)
    if app is None or secret != app.secret:
        raise Denied("invalid_client")
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


def _for_code(world: XeroWorld, app: App, form: Mapping[str, str]) -> dict[str, Any]:
    code = world.codes.pop(form.get("code", ""), None)
    if code is None or not _code_holds(world, app, code, form):
        raise _dead(world)
    user = world.users[code.user_id]
    return world.issue(app.client_id, user, code.scopes, code.auth_event_id)


def _code_holds(world: XeroWorld, app: App, code: Code, form: Mapping[str, str]) -> bool:
    return (
        code.client_id == app.client_id
        and code.redirect_uri == form.get("redirect_uri")
        and world.now() < code.expires
        and _proves(form.get("code_verifier", ""), code.challenge)
        and bool(code.challenge or app.secret)
    )


def _proves(verifier: str, challenge: str) -> bool:
    """Check PKCE: the verifier hashes to the challenge, when one was sent."""
    if not challenge:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return 43 <= len(verifier) <= 128 and base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge


def _for_refresh(world: XeroWorld, app: App, form: Mapping[str, str]) -> dict[str, Any]:
    """Rotate: the token used is replaced, yet may be used again during the grace period."""
    token = world.refresh.get(form.get("refresh_token", ""))
    if token is None or token.client_id != app.client_id or not world.may_refresh(token):
        raise _dead(world)
    user = world.users[token.user_id]
    return world.issue(app.client_id, user, token.scopes, token.auth_event_id, token.family)


def _dead(world: XeroWorld) -> Denied:
    return Denied("invalid_grant", world.switches.invalid_grant_description)


def _revoke(world: XeroWorld, request: Request, form: Mapping[str, str]) -> None:
    """Cut every connection of the person; an unknown token is answered like a known one."""
    app = _authenticated(world, request, form)
    token = world.refresh.get(form.get("token", ""))
    if token and token.client_id == app.client_id:
        world.revoke(app.client_id, token.user_id)


def _compact(content: Mapping[str, str]) -> str:
    """Return `{"error":"invalid_grant"}` without blanks: clients are known to compare the text."""
    return json.dumps(content, separators=(",", ":"))


def code_expiry(world: XeroWorld) -> timedelta:
    return timedelta(seconds=world.switches.code_seconds)
