"""Coming in: external tokens, their life cycle, and the exchange of the dashboard's JWT."""

import base64
import binascii
import hmac
from datetime import timedelta
from typing import Any

from sandbox.pex import jwt
from sandbox.pex.asks import EMPTY, Ask, Refused, Reply, reply
from sandbox.pex.business import Admin
from sandbox.pex.eastern import months_later, wall
from sandbox.pex.limits import count_call
from sandbox.pex.world import JWT_SECONDS, RENEW_MONTHS, App, PexWorld, Token

DEAD = "Token expired or does not exist"


def authenticate(ask: Ask) -> Token:
    """Return the caller's live token. A token that turns out dead is deleted, so its reason is told once."""
    scheme, _, text = ask.headers.get("authorization", "").partition(" ")
    text = text.strip()
    if scheme.lower() not in ("token", "bearer") or not text:
        raise Refused(401, "Authorization has been denied for this request.")
    token = ask.world.tokens.get(text)
    if token is None or token.scheme.lower() != scheme.lower():
        raise _dead(ask)
    if token.expires <= ask.now:
        del ask.world.tokens[text]
        raise _dead(ask)
    _check_owner(ask, token)
    return token


def _check_owner(ask: Ask, token: Token) -> None:
    admin = ask.world.admin(token.business_id, token.admin_id)
    if admin is None:
        del ask.world.tokens[token.text]
        raise _dead(ask)
    if admin.password_version != token.password_version:
        del ask.world.tokens[token.text]
        raise Refused(401, "Password has changed")
    if admin.status != "Active":
        del ask.world.tokens[token.text]
        raise Refused(403, "User is not active")
    if ask.world.businesses[token.business_id].status != "OPEN":
        raise Refused(403, "Business is not open")


def _dead(ask: Ask) -> Refused:
    return Refused(ask.world.switches.dead_token_status, DEAD)


def create(ask: Ask) -> Reply:
    """POST Token, with the app's secret as Basic authorization and a user's name and password"""
    app = _basic(ask)
    sent = ask.fields()
    username, password = sent.text("Username"), sent.text("Password")
    count_call(ask.world, f"user {username.lower()}", ask.method, "Token", ask.now)
    for admin in ask.world.admins():
        if admin.username.lower() == username.lower() and _same(admin.password, password) and _may(ask, admin):
            return reply({"Token": ask.world.issue(admin, app.app_id).text}, 201)
    raise Refused(401, "Invalid username or password")


def exchange(ask: Ask) -> Reply:
    """POST /Internal/V4/Account/Token/Exchange: a launch's JWT, once, for an external token"""
    scheme, _, text = ask.headers.get("authorization", "").partition(" ")
    sent = ask.fields()
    app = _app(ask.world, sent.text("AppId"), sent.text("AppSecret"))
    claims = _claims(ask.world, text.strip())
    if scheme.lower() != "bearer" or claims.get("iss") != "pex-dashboard" or claims["aud"] != app.app_id:
        raise Refused(401, "Invalid JWT")
    if claims["exp"] <= ask.now.timestamp() or claims["jti"] in ask.world.spent_jwts:
        raise Refused(401, "JWT expired or already used")
    admin = ask.world.admin(claims["business"], claims["admin"])
    if admin is None or admin.password_version != claims["pwd"] or not _may(ask, admin):
        raise Refused(401, "Invalid JWT")
    ask.world.spent_jwts[claims["jti"]] = ask.now + timedelta(seconds=JWT_SECONDS)
    return reply(ask.world.issue(admin, app.app_id).text)


def _claims(world: PexWorld, text: str) -> dict[str, Any]:
    try:
        return jwt.verified(text, world.secret)
    except ValueError:
        return {}


def current(ask: Ask) -> Reply:
    """GET Token/Current"""
    return reply(_token_json(ask, ask.token))


def every(ask: Ask) -> Reply:
    """GET Token: the live external tokens of this admin"""
    return reply({"Tokens": [_token_json(ask, token) for token in _own(ask)]})


def auth_tokens(ask: Ask) -> Reply:
    """GET Token/GetAuthTokens"""
    rows = [
        {
            "Token": token.text,
            "SecondsUntilExpire": int((token.expires - ask.now).total_seconds()),
            "ExpirationTime": wall(token.expires),
        }
        for token in _own(ask)
    ]
    return reply({"Tokens": rows})


def renew(ask: Ask) -> Reply:
    """POST Token/Renew: a new token beside the old one, in the old one's last month only"""
    token = ask.token
    if token.scheme != "token" or ask.now < months_later(token.expires, -RENEW_MONTHS):
        raise Refused(403, "Cannot renew token")
    fresh = ask.world.issue(ask.admin, token.app_id)
    return reply(
        {
            "Username": ask.admin.username,
            "Token": fresh.text,
            "AppId": fresh.app_id,
            "TokenExpiration": wall(fresh.expires),
        }
    )


def delete(ask: Ask) -> Reply:
    """DELETE Token"""
    ask.world.tokens.pop(ask.token.text, None)
    return EMPTY


def ping(ask: Ask) -> Reply:
    """GET Ping"""
    return reply("OK")


def _own(ask: Ask) -> list[Token]:
    mine = (ask.token.business_id, ask.token.admin_id)
    return [
        token
        for token in ask.world.tokens.values()
        if (token.business_id, token.admin_id) == mine and token.scheme == "token" and token.expires > ask.now
    ]


def _token_json(ask: Ask, token: Token) -> dict[str, Any]:
    return {
        "AppId": token.app_id,
        "BusinessAccountId": token.business_id,
        "BusinessAccountName": ask.business.name,
        "CardholderAccountId": None,
        "UserType": "Admin",
        "Username": ask.admin.username,
        "Token": token.text,
        "TokenExpiration": wall(token.expires),
    }


def _basic(ask: Ask) -> App:
    scheme, _, text = ask.headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        name = secret = ""
    if scheme.lower() != "basic":
        raise Refused(401, "Invalid application credentials")
    return _app(ask.world, name, secret)


def _app(world: PexWorld, app_id: str, secret: str) -> App:
    app = world.apps.get(app_id)
    if app is None or not _same(app.secret, secret):
        raise Refused(401, "Invalid application credentials")
    return app


def _may(ask: Ask, admin: Admin) -> bool:
    return admin.status == "Active" and ask.world.businesses[admin.business_id].status == "OPEN"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
