"""The simulated Microsoft cloud as far as Business Central needs it: tenants, people, apps, tokens, environments."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clock import Clock
from sandbox.dynamics365.company import Company, fresh_id
from sandbox.dynamics365.switches import Switches
from sandbox.server import Desk

KEY = "dynamics365"  # of `desk.worlds`
DEMO_CLIENT = "7f0d4c52-9c1e-4e0f-8a61-2c5e6d1f9b04"
DEMO_SECRET = "pexsync-demo-entra-secret"
NAMESPACE = uuid.UUID("0e1b6b8e-54f6-4c57-9d53-7b4a53d1b0a2")
LOGIN = "https://login.microsoftonline.com"
RESOURCE = "https://api.businesscentral.dynamics.com"
SCOPE = f"{RESOURCE}/.default"
PERMISSIONS = (f"{RESOURCE}/Financials.ReadWrite.All", f"{RESOURCE}/user_impersonation")  # what the demo app registered
SIGN_IN_SCOPES = ("openid", "profile", "email", "offline_access")
ALL_SCOPES = " ".join((SCOPE, "offline_access", "openid", "profile"))  # as msal asks


@dataclass
class App:
    client_id: str
    secret: str
    name: str
    redirect_uris: list[str]  # "{product_url}" stands for where the product is reached now

    def redirects(self, desk: Desk) -> list[str]:
        return [one.replace("{product_url}", desk.product_url) for one in self.redirect_uris]


@dataclass(eq=False)
class Environment:
    name: str
    kind: str  # Production or Sandbox
    companies: dict[str, Company] = field(default_factory=dict)  # by id


@dataclass(eq=False)
class Tenant:
    id: str
    name: str
    environments: list[Environment] = field(default_factory=list)
    admin_consent: set[str] = field(default_factory=set)  # client ids an administrator allowed for everybody
    needs_admin: bool = False  # people may not consent for themselves
    domain: str = ""  # another name of the tenant in the sign-in's addresses
    has_service: bool = True  # Business Central was once ordered for it

    def environment(self, name: str) -> Environment | None:
        return next((one for one in self.environments if one.name.casefold() == name.casefold()), None)


@dataclass(eq=False)
class User:
    """`rights`: "all", "read" (nothing may be written) or "none" (no table may be opened). `known`: set up in BC."""

    id: str
    name: str
    email: str
    tenant: Tenant
    rights: str = "all"
    known: bool = True
    administrator: bool = False  # of the tenant: may consent for everybody


@dataclass(frozen=True)
class Code:
    client_id: str
    redirect_uri: str
    user_id: str
    scope: str
    nonce: str
    challenge: str
    expires: datetime


@dataclass(frozen=True)
class Access:
    client_id: str
    user_id: str
    expires: datetime


@dataclass
class Refresh:
    client_id: str
    user_id: str
    issued: datetime
    revoked: bool = False
    scope: str = ALL_SCOPES


@dataclass(eq=False)
class BusinessCentralWorld:
    switches: Switches = field(default_factory=Switches)
    apps: dict[str, App] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    consents: set[tuple[str, str]] = field(default_factory=set)  # (client, user)
    codes: dict[str, Code] = field(default_factory=dict)
    used_codes: set[str] = field(default_factory=set)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)
    calls: dict[str, deque[datetime]] = field(default_factory=dict)  # user id -> when each counted call came
    last_id: int = 0
    clock: Clock | None = field(default=None, repr=False)  # the desk's, lent by `world_of`

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "clock": None}

    def now(self) -> datetime:
        return self.clock.now() if self.clock else datetime.now(UTC)

    def new_id(self, kind: str) -> str:
        """The same story gives the same ids."""
        self.last_id += 1
        return fresh_id(NAMESPACE, self.last_id, kind)

    # --- people, tenants, companies -----------------------------------------------------------------------------------

    def add_tenant(self, name: str = "Acme LLC", **fields: Any) -> Tenant:
        made = Tenant(self.new_id("tenant"), name, **fields)
        self.tenants[made.id] = made
        return made

    def add_environment(self, tenant: Tenant, name: str = "Production", kind: str = "Production") -> Environment:
        made = Environment(name, kind)
        tenant.environments.append(made)
        return made

    def add_company(self, environment: Environment, name: str = "Acme LLC", **fields: Any) -> Company:
        fields.setdefault("display_name", name)
        made = Company(self.new_id("company"), name[:30], world=self, created=self.now(), **fields)
        environment.companies[made.id] = made
        return made

    def add_user(self, name: str, email: str, tenant: Tenant, **fields: Any) -> User:
        made = User(self.new_id("user"), name, email, tenant, **fields)
        self.users[made.id] = made
        return made

    def companies(self) -> list[Company]:
        return [
            company
            for tenant in self.tenants.values()
            for environment in tenant.environments
            for company in environment.companies.values()
        ]

    def company(self, name: str) -> Company:
        """The company of this id or name. Raises `StopIteration`."""
        return next(one for one in self.companies() if name in (one.id, one.name, one.display_name))

    def place_of(self, company: Company) -> str:
        """Tenant, environment and company as the product names the target: "tenant/environment/company"."""
        for tenant in self.tenants.values():
            for environment in tenant.environments:
                if company.id in environment.companies:
                    return f"{tenant.id}/{environment.name}/{company.id}"
        raise LookupError(company.name)

    # --- consent and tokens -------------------------------------------------------------------------------------------

    def consented(self, client_id: str, user: User) -> bool:
        return (client_id, user.id) in self.consents or client_id in user.tenant.admin_consent

    def sign_in(self, user: User, client_id: str = DEMO_CLIENT, scope: str = ALL_SCOPES) -> dict[str, Any]:
        """Return the token answer a consent would lead to."""
        self.consents.add((client_id, user.id))
        return self.issue(client_id, user, scope)

    def token(self, user: User, client_id: str = DEMO_CLIENT) -> str:
        """Return an access token that is good now."""
        self.consents.add((client_id, user.id))
        return self._access_token(client_id, user)

    def issue(self, client_id: str, user: User, scope: str, nonce: str = "", who: bool = True) -> dict[str, Any]:
        """Return a token answer.

        `scope` is what was asked: `openid` and `offline_access` bring tokens of their own. `who` adds the client info.
        """
        seconds, asked = self.switches.token_seconds, scope.split()
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(self._granted(asked)),
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": self._access_token(client_id, user),
        }
        if "offline_access" in asked:
            made = f"1.{secrets.token_urlsafe(96)}"
            self.refresh[made] = Refresh(client_id, user.id, self.now(), scope=scope)
            answer["refresh_token"] = made
        if "openid" in asked:
            answer["id_token"] = self._id_token(client_id, user, nonce)
        if who and self.switches.client_info:
            answer["client_info"] = client_info(user)
        return answer

    def _granted(self, asked: list[str]) -> list[str]:
        """What the answer's `scope` says: of `.default` what it means, and, unless switched off, `.default` too."""
        named = [one for one in asked if one in PERMISSIONS]
        if SCOPE not in asked:
            return named
        return [*PERMISSIONS, SCOPE] if self.switches.scope_echo == "default" else list(PERMISSIONS)

    def _access_token(self, client_id: str, user: User) -> str:
        expires = self.now() + timedelta(seconds=self.switches.token_seconds)
        claims = {**self._claims(user), "aud": RESOURCE, "appid": client_id, "exp": int(expires.timestamp())}
        made = jwt({**claims, "uti": secrets.token_urlsafe(16)})
        self.access[made] = Access(client_id, user.id, expires)
        return made

    def _id_token(self, client_id: str, user: User, nonce: str) -> str:
        pair = hashlib.sha256(f"{client_id} {user.id}".encode()).digest()
        facts = {"aud": client_id, "exp": int(self.now().timestamp()) + 3600, "name": user.name, "ver": "2.0"}
        known = {"preferred_username": user.email, "sub": base64.urlsafe_b64encode(pair).decode().rstrip("=")}
        return jwt({**self._claims(user), **facts, **known, **({"nonce": nonce} if nonce else {})})

    def _claims(self, user: User) -> dict[str, Any]:
        now = int(self.now().timestamp())
        issuer = f"{LOGIN}/{user.tenant.id}/v2.0"
        return {"iss": issuer, "iat": now, "nbf": now, "oid": user.id, "tid": user.tenant.id}

    def expire_access(self) -> int:
        """End every access token as time does; refresh tokens stay good. Return how many ended."""
        ended = len(self.access)
        self.access.clear()
        return ended

    def revoke(self, user: User) -> int:
        """End every token of a person, as a new password or an administrator does. Return how many ended."""
        mine = [token for token, access in self.access.items() if access.user_id == user.id]
        for token in mine:
            del self.access[token]
        refreshing = [one for one in self.refresh.values() if one.user_id == user.id and not one.revoked]
        for one in refreshing:
            one.revoked = True
        return len(mine) + len(refreshing)

    def withdraw(self, user: User, client_id: str = DEMO_CLIENT) -> None:
        """Take back what a person, or the administrator for everybody, allowed the app. Its access tokens live on."""
        self.consents.discard((client_id, user.id))
        user.tenant.admin_consent.discard(client_id)


def client_info(user: User) -> str:
    return encoded({"uid": user.id, "utid": user.tenant.id})


def encoded(content: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def jwt(claims: Mapping[str, Any]) -> str:
    """Return three parts as a signed token has; nobody in this world could check the signature."""
    return ".".join((encoded({"typ": "JWT", "alg": "RS256"}), encoded(claims), secrets.token_urlsafe(256)))


def fresh_world() -> BusinessCentralWorld:
    world = BusinessCentralWorld()
    world.apps[DEMO_CLIENT] = App(DEMO_CLIENT, DEMO_SECRET, "PEX Sync demo", ["{product_url}/dynamics365/callback"])
    return world


def world_of(desk: Desk) -> BusinessCentralWorld:
    world: BusinessCentralWorld = desk.worlds.setdefault(KEY, fresh_world())
    world.clock = desk.clock
    return world
