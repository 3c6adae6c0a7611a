"""PEX's core API as one table: verb and path, the room that answers, the permissions it takes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.pex import (
    accounts,
    answers,
    attachments,
    notes,
    reviews,
    statements,
    tags,
    tokens,
    transactions,
)
from sandbox.pex.asks import Ask, Refused, Reply
from sandbox.pex.limits import count_call
from sandbox.pex.world import PexWorld
from sandbox.server import Desk

Room = Callable[[Ask], Reply]
NUMBER, TEXT = "[0-9]{1,18}", "[^/]+"
VIEW = (frozenset({"ViewCardTransactions"}),)
NOTES = (*VIEW, frozenset({"ModifyTransactionNotes"}))
TAGS = (frozenset({"EditBusinessProfile", "ManageCardholder"}),)  # either
TAGGING = (*VIEW, *TAGS)
ADMINS = (frozenset({"ViewAdministration"}),)


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    room: Room
    needs: Sequence[frozenset[str]] = ()  # one permission of each set
    open: bool = False  # needs no token
    tags: bool = False  # answered 403 while the business has tags switched off


def _route(
    method: str,
    path: str,
    room: Room,
    needs: Sequence[frozenset[str]] = (),
    open: bool = False,
    tags: bool = False,
) -> Route:
    pattern = re.sub(r"{(\w+)}", lambda name: f"(?P<{name[1]}>{GROUPS.get(name[1], NUMBER)})", path)
    return Route(method, re.compile(pattern, re.IGNORECASE), room, needs, open, tags)


GROUPS = {
    "tag": TEXT,
    "attachment": TEXT,
    "kind": "|".join(tags.KINDS),
    "ticket": "[0-9]+-[0-9a-f]+-[0-9]+-[0-9a-f]{64}",
}
DETAILS, CONFIG, TRANSACTION = "V4/Details", "V4/Business/Configuration", "V4/Transactions/{transaction}"
ROUTES = [
    _route("GET", "V4/Ping", tokens.ping, open=True),
    _route("POST", "Internal/V4/Account/Token/Exchange", tokens.exchange, open=True),
    _route("POST", "V4/Token", tokens.create, open=True),
    _route("GET", "V4/Token", tokens.every),
    _route("DELETE", "V4/Token", tokens.delete),
    _route("GET", "V4/Token/Current", tokens.current),
    _route("GET", "V4/Token/GetAuthTokens", tokens.auth_tokens),
    _route("POST", "V4/Token/Renew", tokens.renew),
    _route("GET", "V4/Business/Profile", accounts.profile),
    _route("GET", "V4/Business/Balance", accounts.balance),
    _route("GET", "V4/Business/Settings", accounts.settings),
    _route("GET", "V4/Business/MyProfile", accounts.my_profile),
    _route("GET", "V4/Business/Admin", accounts.admins, ADMINS),
    _route("GET", "V4/Business/Admin/{admin}", accounts.admin, ADMINS),
    _route("GET", "V4/Business/Linked", accounts.linked),
    _route("GET", "V4/Partner", accounts.partner),
    _route("GET", f"{DETAILS}/AccountDetails", accounts.details),
    _route("GET", f"{DETAILS}/AccountDetails/{{account}}", accounts.one_card),
    _route("GET", "V4/Card/Profile/{account}", accounts.card_profile),
    _route("GET", "V4/UserGroup", accounts.groups),
    _route("GET", "V4/UserGroup/{group}", accounts.group),
    _route("GET", "V4/UserGroup/{group}/cardholders", accounts.group_cardholders),
    _route("GET", f"{DETAILS}/AllCardholderTransactions", transactions.all_cards, VIEW),
    _route("GET", f"{DETAILS}/AllCardholderTransactionCount", transactions.count, VIEW),
    _route("GET", f"{DETAILS}/TransactionDetails", transactions.business, VIEW),
    _route("GET", f"{DETAILS}/TransactionDetails/{{account}}", transactions.one_card, VIEW),
    _route("POST", "V4/Note", notes.add, NOTES),
    _route("POST", "V4/Note/NetworkTransactionNote", notes.add_to_network, NOTES),
    _route("POST", "V4/Note/TransactionRelationshipNote", notes.add_to_relationship, NOTES),
    _route("PUT", "V4/Note/{note}", notes.change, NOTES),
    _route("DELETE", "V4/Note/{note}", notes.remove, NOTES),
    _route("GET", f"{TRANSACTION}/Attachments", attachments.every, VIEW),
    _route("DELETE", f"{TRANSACTION}/Attachments", attachments.remove_all, VIEW),
    _route("POST", f"{TRANSACTION}/Attachment", attachments.add, VIEW),
    _route("GET", f"{TRANSACTION}/Attachment/{{attachment}}", attachments.one, VIEW),
    _route("PUT", f"{TRANSACTION}/Attachment/{{attachment}}", attachments.change, VIEW),
    _route("DELETE", f"{TRANSACTION}/Attachment/{{attachment}}", attachments.remove, VIEW),
    _route("GET", "files/{ticket}", attachments.file, open=True),
    _route("GET", f"{CONFIG}/Tags", tags.every, tags=True),
    _route("GET", f"{CONFIG}/Tag/{{tag}}", tags.one, tags=True),
    _route("POST", f"{CONFIG}/Tag/{{kind}}", tags.create, TAGS, tags=True),
    _route("GET", f"{CONFIG}/Tag/{{kind}}/{{tag}}", tags.one, tags=True),
    _route("PUT", f"{CONFIG}/Tag/{{kind}}/{{tag}}", tags.change, TAGS, tags=True),
    _route("DELETE", f"{CONFIG}/Tag/{{kind}}/{{tag}}", tags.remove, TAGS, tags=True),
    _route("POST", f"{CONFIG}/Tag/Dropdown/{{tag}}/Options", tags.add_options, TAGS, tags=True),
    _route("GET", f"{TRANSACTION}/Tags", answers.read, VIEW, tags=True),
    _route("POST", f"{TRANSACTION}/Tags", answers.first, TAGGING, tags=True),
    _route("PUT", f"{TRANSACTION}/Tags", answers.change, TAGGING, tags=True),
    _route("DELETE", f"{TRANSACTION}/Tags", answers.remove, TAGGING, tags=True),
    _route("POST", f"{TRANSACTION}/Tags/Allocations", answers.first_split, TAGGING, tags=True),
    _route("PUT", f"{TRANSACTION}/Tags/Allocations", answers.change_split, TAGGING, tags=True),
    _route("DELETE", f"{TRANSACTION}/Tags/Allocations", answers.remove, TAGGING, tags=True),
    _route("POST", "V4/Approval/{transaction}/Approve", reviews.approve, VIEW),
    _route("POST", "V4/Approval/{transaction}/Reject", reviews.reject, VIEW),
    _route("POST", "V4/Approval/{transaction}/Reset", reviews.reset, VIEW),
    _route("GET", "V4/Invoices", statements.every, VIEW),
    _route("GET", "V4/Invoice/{invoice}/allocations", statements.allocations, VIEW),
    _route("GET", "V4/Invoice/{invoice}/payments", statements.payments, VIEW),
]


def application(desk: Desk) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        with desk.lock:
            answer = _answer(_ask(desk, request, body))
        headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store", **answer.headers}
        await Response(answer.body, answer.status, headers)(scope, receive, send)

    return app


def world_of(desk: Desk) -> PexWorld:
    """Return the desk's world as it stands now, on the desk's clock. Call it with the desk locked."""
    world: PexWorld = desk.worlds["pex"]
    world.clock = desk.clock
    world.catch_up()
    return world


def _ask(desk: Desk, request: Request, body: bytes) -> Ask:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", "")).strip("/")
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    world = world_of(desk)
    return Ask(desk, world, request.method, path, query, request.headers, body, world.now())


def _answer(ask: Ask) -> Reply:
    try:
        return _routed(ask)
    except Refused as refusal:
        return refusal.reply()


def _routed(ask: Ask) -> Reply:
    found = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(ask.path))]
    if not found:
        raise Refused(404, "No resource was found that matches the request address.")
    for route, match in found:
        if route.method == ask.method:
            ask.groups = match.groupdict()
            return _admitted(ask, route)
    allowed = ", ".join(dict.fromkeys(route.method for route, _ in found))
    raise Refused(405, "The requested resource does not support this method.", {"Allow": allowed})


def _admitted(ask: Ask, route: Route) -> Reply:
    if route.open:
        return route.room(ask)
    ask.known_token = tokens.authenticate(ask)
    count_call(ask.world, f"business {ask.token.business_id}", ask.method, _below_version(ask.path), ask.now)
    if any(not ask.admin.permissions & either for either in route.needs):
        raise Refused(403, "Admin does not have permission")
    if route.tags and not ask.business.tags_enabled:
        raise Refused(403, "This business does not support the Tags Feature")
    return route.room(ask)


def _below_version(path: str) -> str:
    return re.sub(r"^V4/", "", path, flags=re.IGNORECASE)
