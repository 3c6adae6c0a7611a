"""The whole simulated Xero: organisations, people, registered apps, tokens and connections."""

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.clock import Clock
from sandbox.server import Desk
from sandbox.xero.limits import Windows
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import TaxRate
from sandbox.xero.switches import Switches

DEMO_CLIENT = "pexsync-demo-xero"
DEMO_SECRET = "pexsync-demo-xero-secret"
NAMESPACE = uuid.UUID("5f0c5b4e-6f0b-4f0e-9d43-0c9a3b0c7e11")
EVERYTHING = (
    "openid profile email offline_access accounting.banktransactions accounting.contacts "
    "accounting.settings accounting.attachments"
)


@dataclass
class App:
    """An app registered with the developer centre. Without a secret it is a PKCE app."""

    client_id: str
    secret: str
    name: str
    redirect_uris: list[str]  # "{product_url}" stands for where the product is reached now

    def redirects(self, desk: Desk) -> list[str]:
        return [one.replace("{product_url}", desk.product_url) for one in self.redirect_uris]


@dataclass(eq=False)
class User:
    id: str
    name: str
    email: str
    organisations: list[Organisation] = field(default_factory=list)


@dataclass(eq=False)
class Connection:
    """One organisation a person connected to one app."""

    id: str
    client_id: str
    user_id: str
    tenant_id: str
    tenant_type: str
    tenant_name: str | None
    auth_event_id: str
    created: datetime
    updated: datetime


@dataclass(frozen=True)
class Code:
    """An authorisation code and what it was asked with."""

    client_id: str
    redirect_uri: str
    user_id: str
    scopes: tuple[str, ...]
    auth_event_id: str
    challenge: str
    expires: datetime


@dataclass(frozen=True)
class Access:
    """What an access token allows, until when."""

    client_id: str
    user_id: str
    scopes: frozenset[str]
    auth_event_id: str
    expires: datetime


@dataclass
class Refresh:
    """A refresh token; `replaced` is set when a younger one was given out for it."""

    client_id: str
    user_id: str
    scopes: tuple[str, ...]
    auth_event_id: str
    issued: datetime
    family: str  # all tokens that descend from one consent
    replaced: datetime | None = None


@dataclass(frozen=True)
class StoredAnswer:
    """An answer kept under an Idempotency-Key."""

    fingerprint: str
    until: datetime
    status: int
    media: str
    body: bytes


@dataclass(eq=False)
class XeroWorld:
    switches: Switches = field(default_factory=Switches)
    apps: dict[str, App] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    organisations: dict[str, Organisation] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    granted: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # (client, user) -> scopes so far
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)
    youngest: dict[str, str] = field(default_factory=dict)  # family -> its one refresh token not yet replaced
    answers: dict[tuple[str, str], StoredAnswer] = field(default_factory=dict)  # (client, key) -> first answer
    windows: Windows = field(default_factory=Windows)
    last_id: int = 0
    clock: Clock | None = field(default=None, repr=False)  # the desk's, lent by `world_of`

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "clock": None}

    def now(self) -> datetime:
        return self.clock.now() if self.clock else datetime.now(UTC)

    # Ids: the same story gives the same ids

    def new_id(self, kind: str) -> str:
        return self.id_of(self.reserve_ids(1), kind)

    def reserve_ids(self, n: int) -> int:
        """Return the first of n numbers nobody else will get."""
        self.last_id += n
        return self.last_id - n + 1

    def id_of(self, number: int, kind: str = "record") -> str:
        return str(uuid.uuid5(NAMESPACE, f"{kind} {number}"))

    # People and organisations

    def add_organisation(
        self, name: str = "Acme LLC", currency: str = "USD", short_code: str = "", **fields: Any
    ) -> Organisation:
        id = self.new_id("organisation")
        organisation = Organisation(
            id=id,
            name=name,
            short_code=short_code or "!" + base64.b32encode(bytes.fromhex(id[:8])).decode()[:5],
            world=self,
            currency=currency,
            created=self.now(),
            **fields,
        )
        organisation.currencies[currency] = currency
        organisation.tax_rates["NONE"] = TaxRate("Tax Exempt", "NONE", Decimal("0"))
        self.organisations[id] = organisation
        return organisation

    def add_user(self, name: str, email: str, organisations: Iterable[Organisation] = ()) -> User:
        user = User(self.new_id("user"), name, email, list(organisations))
        self.users[user.id] = user
        return user

    def organisation(self, name: str) -> Organisation:
        """Return the organisation with this id, name or short code."""
        return next(one for one in self.organisations.values() if name in (one.id, one.name, one.short_code))

    # Consent

    def grant(
        self,
        user: User,
        organisations: Iterable[Organisation],
        scopes: str | Iterable[str] = EVERYTHING,
        client_id: str = DEMO_CLIENT,
    ) -> dict[str, Any]:
        """Return the token set the app would hold after this person connected these organisations."""
        names = scopes.split() if isinstance(scopes, str) else list(scopes)
        event = self.consent(user, client_id, organisations, names)
        return self.issue(client_id, user, self.granted[client_id, user.id], event)

    def consent(self, user: User, client_id: str, organisations: Iterable[Organisation], scopes: Iterable[str]) -> str:
        """Connect the organisations and return the id of this consent. Scopes add to those given before."""
        event = self.new_id("authentication event")
        before = self.granted.get((client_id, user.id), ())
        self.granted[client_id, user.id] = tuple(dict.fromkeys([*before, *scopes]))
        if self.switches.practice_row:
            self.connect(user, client_id, self.id_of(0, f"practice of {user.id}"), "PRACTICE", None, event)
        for organisation in organisations:
            name = None if self.switches.null_tenant_names else organisation.name
            self.connect(user, client_id, organisation.id, "ORGANISATION", name, event)
        return event

    def connect(
        self, user: User, client_id: str, tenant_id: str, tenant_type: str, tenant_name: str | None, event: str
    ) -> Connection:
        now = self.now()
        mine = (one for one in self.connections_of(client_id, user.id) if one.tenant_id == tenant_id)
        connection = next(mine, None)
        if connection is None:
            id = self.new_id("connection")
            connection = Connection(
                id, client_id, user.id, tenant_id, tenant_type, tenant_name, event, created=now, updated=now
            )
            self.connections[id] = connection
        connection.auth_event_id, connection.updated = event, now
        connection.tenant_name = tenant_name
        return connection

    def connections_of(self, client_id: str, user_id: str) -> list[Connection]:
        mine = (one for one in self.connections.values() if (one.client_id, one.user_id) == (client_id, user_id))
        return list(mine)

    def disconnect(self, organisation: Organisation, client_id: str = DEMO_CLIENT) -> None:
        """Remove the app from an organisation as a person does inside Xero; the app is not told."""
        for id, one in list(self.connections.items()):
            if one.tenant_id == organisation.id and one.client_id == client_id:
                del self.connections[id]

    def revoke(self, client_id: str, user_id: str) -> None:
        """Forget every token and connection of this person at this app."""
        mine = (client_id, user_id)
        self.refresh = {token: one for token, one in self.refresh.items() if (one.client_id, one.user_id) != mine}
        self.access = {token: one for token, one in self.access.items() if (one.client_id, one.user_id) != mine}
        self.connections = {id: one for id, one in self.connections.items() if (one.client_id, one.user_id) != mine}
        self.granted.pop(mine, None)

    def begin_windows(self, organisation: Organisation) -> None:
        """Let the organisation's limit windows begin now."""
        self.windows.begin(organisation.id, self.now())

    # Tokens

    def issue(self, client_id: str, user: User, scopes: Iterable[str], event: str, family: str = "") -> dict[str, Any]:
        """Return a new token set; a refresh token only with `offline_access`, in place of its family's last."""
        now, names = self.now(), tuple(scopes)
        expires = now + timedelta(seconds=self.switches.token_seconds)
        self._forget_stale(now)
        claims = {
            "nbf": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "client_id": client_id,
            "sub": user.id,
            "xero_userid": user.id,
            "authentication_event_id": event,
            "jti": secrets.token_hex(16),
            "scope": [name for name in names if name not in ("openid", "profile", "email")],
        }
        access = _jwt(claims)
        self.access[access] = Access(client_id, user.id, frozenset(names), event, expires)
        answer: dict[str, Any] = {}
        if "openid" in names:
            answer["id_token"] = _jwt(_identity_claims(user, client_id, now))
        answer |= {"access_token": access, "expires_in": self.switches.token_seconds, "token_type": "Bearer"}
        if "offline_access" in names:
            answer["refresh_token"] = self._next_refresh(client_id, user, names, event, family)
        return answer | {"scope": " ".join(names)}

    def _next_refresh(self, client_id: str, user: User, scopes: tuple[str, ...], event: str, family: str) -> str:
        token, family = secrets.token_urlsafe(32), family or self.new_id("token family")
        last = self.refresh.get(self.youngest.get(family, ""))
        if last:
            last.replaced = self.now()
        self.refresh[token] = Refresh(client_id, user.id, scopes, event, self.now(), family)
        self.youngest[family] = token
        return token

    def _forget_stale(self, now: datetime) -> None:
        """Drop access tokens a day after their end and refresh tokens nobody can use any more."""
        if len(self.access) < 1000:
            return
        old = now - timedelta(days=1)
        self.access = {token: one for token, one in self.access.items() if one.expires > old}
        self.refresh = {token: one for token, one in self.refresh.items() if self.may_refresh(one)}

    def may_refresh(self, token: Refresh) -> bool:
        now = self.now()
        if token.replaced:
            return now < token.replaced + timedelta(seconds=self.switches.grace_seconds)
        return now < token.issued + timedelta(days=self.switches.refresh_days)


def world_of(desk: Desk) -> XeroWorld:
    """Return the world as it is now; it tells the time by the desk's clock."""
    world: XeroWorld = desk.worlds["xero"]
    world.clock = desk.clock
    return world


def fresh_world() -> XeroWorld:
    """Return a Xero without organisations in which the demo app is registered."""
    world = XeroWorld()
    world.apps[DEMO_CLIENT] = App(DEMO_CLIENT, DEMO_SECRET, "PEX Sync", ["{product_url}/xero/callback"])
    return world


def _identity_claims(user: User, client_id: str, now: datetime) -> dict[str, Any]:
    first, _, last = user.name.partition(" ")
    return {
        "iss": "simulated-xero",
        "aud": client_id,
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300,
        "sub": user.id,
        "xero_userid": user.id,
        "email": user.email,
        "preferred_username": user.email,
        "given_name": first,
        "family_name": last,
    }


def _jwt(claims: Mapping[str, Any]) -> str:
    parts = [_part(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.new(NAMESPACE.bytes, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _part(signature)])


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
