"""The door of the API: who asks, and of which environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.types import Scope

from sandbox.dynamics365.values import Refused
from sandbox.dynamics365.world import BusinessCentralWorld, Environment, Tenant, User

PATH = re.compile(r"v2\.0/(?:(?P<tenant>[^/]+)/)?(?P<environment>[^/]+)/api/v2\.0(?:/(?P<rest>.*))?", re.IGNORECASE)
WRITES = ("POST", "PATCH", "PUT", "DELETE")


@dataclass(frozen=True)
class Sent:
    """A request as it arrived. `path` is below the prefix and not decoded, `origin` is what stands before it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    origin: str


@dataclass(frozen=True)
class Visit:
    """A person the door let in. `base` is the absolute address of the API, `rest` what was asked below it."""

    world: BusinessCentralWorld
    user: User
    environment: Environment
    base: str
    rest: str


def read_sent(scope: Scope, headers: Mapping[str, str], body: bytes) -> Sent:
    root = scope.get("root_path", "")
    path = scope["raw_path"].decode("latin-1").removeprefix(root).strip("/")
    origin = f"{scope['scheme']}://{headers.get('host', 'localhost')}{root}"
    return Sent(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, origin)


def signed_in(world: BusinessCentralWorld, headers: Mapping[str, str]) -> User:
    """Return whose token it is. Raises Refused."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    access = world.access.get(token.strip()) if kind.lower() == "bearer" else None
    if access is None or access.expires <= world.now() or access.user_id not in world.users:
        raise _unknown("The server has rejected the client credentials.")
    return world.users[access.user_id]


def admit(world: BusinessCentralWorld, user: User, sent: Sent) -> Visit:
    """Return the environment of the path, with its tenant or with the user's own. Raises Refused."""
    parts = PATH.fullmatch(sent.path)
    if parts is None:
        message = f"No HTTP resource was found that matches the request URI '{sent.origin}/{sent.path}'."
        raise Refused("BadRequest_NotFound", message, 404)
    name = unquote(parts["environment"])
    tenant = user.tenant
    if not _is(tenant, unquote(parts["tenant"] or tenant.id)):
        raise Refused("NoEnvironment", "Tenant does not exist.", 404)
    environment = tenant.environment(name)
    if environment is None or not (world.switches.names_anywhere or environment.name == name):
        raise Refused("NoEnvironment", f"Environment '{name}' does not exist.", 404)
    if not user.known:
        raise _unknown("Web service call failed because user could not be authenticated or authorized.")
    rest = parts["rest"] or ""
    base = f"{sent.origin}/{sent.path}".removesuffix(rest).rstrip("/")
    return Visit(world, user, environment, base, rest)


def check_rights(user: User, method: str) -> None:
    """Raises Refused: 403 when the user's permission sets do not allow it."""
    if user.rights == "none" or (user.rights == "read" and method in WRITES):
        raise Refused("Authorization_RequestDenied", "Sorry, the current permissions prevented the action.", 403)


def check_intent(method: str, headers: Mapping[str, str]) -> None:
    """Raises Refused for a write that asks for a read-only replica."""
    if method in WRITES and headers.get("data-access-intent", "").lower() == "readonly":
        raise Refused("BadRequest_InvalidOperation", "A read-only replica cannot be written.")


def _is(tenant: Tenant, name: str) -> bool:
    return name.casefold() in (tenant.id.casefold(), tenant.domain.casefold()) and bool(name)


def _unknown(message: str) -> Refused:
    return Refused("Authentication_InvalidCredentials", message, 401)
