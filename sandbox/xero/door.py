"""The door of the API: who asks, with which scope, for which organisation, and how often."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, unquote

from starlette.types import Scope

from sandbox.xero.answers import Answer, Refused, not_found, plain, problem
from sandbox.xero.limits import Left, TooMany
from sandbox.xero.organisation import Organisation
from sandbox.xero.routes import WRITES
from sandbox.xero.world import Access, XeroWorld

Caller = tuple[str, str]  # client id, tenant

BASE = ("api.xro", "2.0")
CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "title": str.title, "upper": str.upper}
SETTINGS = ("accounting.settings",)
CONTACTS = ("accounting.contacts",)
MONEY = ("accounting.banktransactions", "accounting.transactions")
ATTACHMENTS = ("accounting.attachments",)
SCOPES = {
    "banktransactions": MONEY,
    "banktransfers": MONEY,
    "contacts": CONTACTS,
    "accounts": SETTINGS,
    "currencies": SETTINGS,
    "organisation": SETTINGS,
    "organisations": SETTINGS,
    "taxrates": SETTINGS,
    "trackingcategories": SETTINGS,
}
"""First part of the path to the scopes that open it; a read is also open to their `.read` forms."""


@dataclass(frozen=True)
class Sent:
    """A request as it arrived, with the path taken apart before it was decoded."""

    method: str
    path: tuple[str, ...]
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "") if self.method in WRITES else ""

    @property
    def fingerprint(self) -> str:
        tenant = self.headers.get("xero-tenant-id", "").lower()
        head = f"{self.method} {self.url} {tenant} ".encode()
        return hashlib.sha256(head + self.body).hexdigest()


@dataclass(frozen=True)
class Admitted:
    """A caller the door let in, with the allowance left."""

    access: Access
    left: Left
    organisation: Organisation

    @property
    def caller(self) -> Caller:
        return self.access.client_id, self.organisation.id


def read_sent(scope: Scope, headers: Mapping[str, str], body: bytes) -> Sent:
    """Split the path before decoding it, so that an encoded slash stays inside its part."""
    raw = scope["raw_path"].decode("latin-1").removeprefix(scope.get("root_path", ""))
    query = scope["query_string"].decode("latin-1")
    pairs = parse_qsl(query, keep_blank_values=True)
    parts = tuple(unquote(part) for part in raw.split("/") if part)
    values = {name.lower(): value for name, value in pairs}
    return Sent(scope["method"], parts, f"{raw}?{query}", values, headers, body)


def admit(world: XeroWorld, sent: Sent, in_progress: Mapping[Caller, int]) -> Admitted:
    """Check token, path, scope, tenant and limits, in this order. Raises Refused."""
    if set("[]") & set(sent.url.partition("?")[0]):
        raise Refused(plain(400, "Bad Request"))
    access = bearer(world, sent)
    if tuple(part.lower() for part in sent.path[:2]) != BASE or len(sent.path) < 3:
        raise Refused(not_found())
    _check_scope(access, sent)
    organisation = _organisation(world, access, sent)
    if organisation.offline:
        raise Refused(plain(503, "The organisation for this access token is offline"))
    left = take(world, access, organisation.id, in_progress.get((access.client_id, organisation.id), 0))
    return Admitted(access, left, organisation)


def bearer(world: XeroWorld, sent: Sent) -> Access:
    """Return what the bearer token allows. Raises Refused."""
    kind, _, token = sent.headers.get("authorization", "").partition(" ")
    access = world.access.get(token.strip()) if kind.lower() == "bearer" else None
    if access is None:
        raise Refused(problem(401, "Unauthorized", "AuthenticationUnsuccessful"))
    now = world.now()
    if now >= access.expires:
        detail = f"TokenExpired: token expired at {_moment(access.expires)}, time now {_moment(now)}"
        raise Refused(problem(401, "Unauthorized", detail))
    return access


def _moment(moment: datetime) -> str:
    return moment.strftime("%m/%d/%Y %H:%M:%S")


def _check_scope(access: Access, sent: Sent) -> None:
    parts = [part.lower() for part in sent.path[2:]]
    scopes = ATTACHMENTS if "attachments" in parts[2:3] else SCOPES.get(parts[0])
    if scopes is None:
        raise Refused(not_found())
    if sent.method == "GET":
        scopes = (*scopes, *(f"{scope}.read" for scope in scopes))
    if not access.scopes.intersection(scopes):
        # Xero spells it this way.
        refused = problem(401, "Unauthorized", "AuthorizationUnsuccessful")
        refused.headers["WWW-Authenticate"] = 'Bearer error="insufficent_scope"'
        raise Refused(refused)


def _organisation(world: XeroWorld, access: Access, sent: Sent) -> Organisation:
    """Return the organisation of the tenant header, when the person connected it to this app."""
    tenant = sent.headers.get("xero-tenant-id", "").lower()
    connected = any(one.tenant_id == tenant for one in world.connections_of(access.client_id, access.user_id))
    organisation = world.organisations.get(tenant) if connected else None
    if organisation is None:
        raise Refused(problem(403, "Forbidden", "AuthenticationUnsuccessful"))
    return organisation


def take(world: XeroWorld, access: Access, tenant: str, in_progress: int = 0) -> Left:
    """Count the call against the limits; without a tenant only the app's own. Raises Refused."""
    left = world.windows.take(world.switches, access.client_id, tenant, world.now(), in_progress)
    if isinstance(left, TooMany):
        raise Refused(_too_many(world, left))
    return left


def _too_many(world: XeroWorld, broken: TooMany) -> Answer:
    switches = world.switches
    headers = {"X-Rate-Limit-Problem": CASES[switches.limit_problem_case](broken.problem)}
    if broken.retry_after is not None:
        headers["Retry-After"] = str(switches.limit_retry_after or broken.retry_after)
    return Answer(429, switches.limit_body.encode(), "text/plain", headers | allowance(broken.left))


def allowance(left: Left) -> dict[str, str]:
    return {
        "X-DayLimit-Remaining": str(left.day),
        "X-MinLimit-Remaining": str(left.minute),
        "X-AppMinLimit-Remaining": str(left.app_minute),
    }
