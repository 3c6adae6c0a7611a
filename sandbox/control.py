"""The control room: change the simulated companies, the clock and the faults, by a page or by JSON."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import MISSING, asdict, fields
from datetime import timedelta
from itertools import islice
from typing import Any, get_args, get_type_hints
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.dynamics365 import actions as bc_actions
from sandbox.dynamics365.world import world_of as bc_world_of
from sandbox.faults import KINDS, Fault
from sandbox.pex.actions import ACTIONS, business_of, listing, payment_listing, tag_listing
from sandbox.pex.api import world_of
from sandbox.pex.dashboard import same_origin
from sandbox.server import Desk
from sandbox.templates import page
from sandbox.xero import actions as xero_actions
from sandbox.xero.world import world_of as xero_world_of

Room = Callable[[Desk, dict[str, Any]], Any]
SHOWN = 60  # transactions on the page


def application(desk: Desk) -> ASGIApp:
    return Starlette(
        routes=[
            Route("/", _html(desk, index)),
            Route("/control", _html(desk, control)),
            Route("/control/do", _form(desk), methods=["POST"]),
            *_json(desk, "/control/faults", GET=faults, POST=add_fault, DELETE=clear_faults),
            *_json(desk, "/control/faults/{number:int}", DELETE=remove_fault),
            *_json(desk, "/control/strikes", GET=strikes),
            *_json(desk, "/control/calls", GET=calls, DELETE=clear_calls),
            *_json(desk, "/control/clock", GET=clock, POST=advance),
            *_json(desk, "/control/reset", POST=reset),
            *_json(desk, "/control/{system}/switches", GET=switches, POST=switch),
            *_json(desk, "/control/pex/businesses", GET=businesses),
            *_json(desk, "/control/pex/transactions", GET=transactions, POST=act),
            *_json(desk, "/control/pex/payments", GET=payments),
            *_json(desk, "/control/pex/tags", GET=tags),
            *_json(desk, "/control/pex/{action}", POST=act),
            *_json(desk, "/control/xero/books", GET=books),
            *_json(desk, "/control/xero/transfers", GET=transfers),
            *_json(desk, "/control/xero/set-up", GET=set_up, POST=change_set_up),
            *_json(desk, "/control/xero/{action}", POST=act_in_books),
            *_json(desk, "/control/dynamics365/books", GET=bc_books),
            *_json(desk, "/control/dynamics365/set-up", GET=bc_set_up),
            *_json(desk, "/control/dynamics365/{action}", POST=act_in_bc),
        ]
    )


# Pages


def index(desk: Desk, facts: dict[str, Any]) -> Response:
    world = world_of(desk)
    return page("index.html", businesses=list(world.businesses.values()), now=desk.clock.now(), desk=desk)


def control(desk: Desk, facts: dict[str, Any]) -> Response:
    world = world_of(desk)
    chosen = business_of(world, facts) if world.businesses else None
    rows = sorted(chosen.transactions.values(), key=lambda row: (row.happened, row.transaction_id)) if chosen else []
    counted = desk.calls.calls
    return page(
        "control.html",
        desk=desk,
        world=world,
        chosen=chosen,
        rows=list(islice(reversed(rows), SHOWN)),
        total=len(rows),
        now=desk.clock.now(),
        said=facts.get("said", ""),
        kinds=KINDS,
        counts=_counts(desk),
        last_calls=counted[-15:][::-1],
        switches=switches(desk, {"system": "pex"}),
    )


def _counts(desk: Desk) -> list[tuple[str, int, int, int]]:
    """Return each system with its calls, its writes and its TCP connections."""
    systems = sorted({call.system for call in desk.calls.calls})
    return [
        (
            system,
            sum(call.system == system for call in desk.calls.calls),
            sum(call.system == system and call.method not in ("GET", "HEAD") for call in desk.calls.calls),
            len({call.peer for call in desk.calls.calls if call.system == system}),
        )
        for system in systems
    ]


def _html(desk: Desk, room: Room) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        with desk.lock:
            try:
                answer: Response = room(desk, dict(request.query_params))
            except ValueError as problem:
                answer = page("problem.html", 404, title="Not found", text=str(problem))
        return answer

    return endpoint


def _form(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """Take a form of the control page: its `action` names what to do, then the page is shown again."""

    async def endpoint(request: Request) -> Response:
        pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        facts: dict[str, Any] = dict(pairs)
        if not same_origin(desk, request):
            return page("problem.html", 403, title="Not from here", text="The form was sent by another site.")
        with desk.lock:
            desk.changes += 1
            try:
                said = _done(desk, facts)
            except (ValueError, TypeError) as problem:
                said = f"Not done: {problem}"
        back = {"said": said, **({"business_id": facts["business_id"]} if facts.get("business_id") else {})}
        return RedirectResponse(f"/control?{urlencode(back)}", 303)

    return endpoint


def _done(desk: Desk, facts: dict[str, Any]) -> str:
    action = facts.pop("action", "")
    if action in FORMS:
        FORMS[action](desk, {name: value for name, value in facts.items() if value != ""})
        return "Done."
    if action not in ACTIONS:
        raise ValueError("there is no such action.")
    did = ACTIONS[action](world_of(desk), facts)
    return f"Done: {', '.join(f'{name} {value}' for name, value in did.items() if name != 'transaction_ids')}."


# JSON


def _json(desk: Desk, path: str, **rooms: Room) -> list[Route]:
    """Return the route of a JSON resource: what a room returns is the answer, ValueError is a 400."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            facts = {**request.query_params, **_sent(request, body), **request.path_params}
            with desk.lock:
                desk.changes += request.method != "GET"
                return JSONResponse(rooms[request.method](desk, facts), headers={"Cache-Control": "no-store"})
        except (ValueError, TypeError) as problem:
            return JSONResponse({"message": str(problem)}, 400)

    return [Route(path, endpoint, methods=list(rooms))]


def _sent(request: Request, body: bytes) -> dict[str, Any]:
    if request.method != "POST":
        return {}
    # A foreign page can make a browser post a form, but not JSON.
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ValueError("Send application/json.")
    facts = json.loads(body or b"{}", parse_float=str)
    if not isinstance(facts, dict):
        raise ValueError("Send a JSON object.")
    return facts


def faults(desk: Desk, facts: Mapping[str, Any]) -> Any:
    active = [{**asdict(fault), "headers": dict(fault.headers)} for fault in desk.faults.active]
    return {"active": active, "struck": desk.faults.struck, "kinds": KINDS}


def add_fault(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Switch a fault on. The facts are the fields of Fault; `times` null means until switched off."""
    known = {one.name: one for one in fields(Fault) if one.name != "number"}
    unknown = facts.keys() - known.keys()
    if unknown or not facts.get("kind"):
        raise ValueError(f"A fault has a kind and {', '.join(name for name in known if name != 'kind')}.")
    given = {name: _typed(name, known[name].default, value) for name, value in facts.items()}
    return {"number": desk.faults.add(**given).number}


def _typed(name: str, default: object, value: Any) -> Any:
    """Return a value of a form or of JSON as the type the field's default has."""
    if name == "times" and value in (None, "always"):
        return None
    if name == "headers" or default is MISSING:
        return value
    if isinstance(default, bool):
        if value not in (True, False, "true", "false", "on"):
            raise ValueError(f"{name} is true or false.")
        return value in (True, "true", "on")
    kind = type(default)
    return kind(value) if kind in (int, float, str) else value


def clear_faults(desk: Desk, facts: Mapping[str, Any]) -> Any:
    desk.faults.clear()
    return faults(desk, facts)


def remove_fault(desk: Desk, facts: Mapping[str, Any]) -> Any:
    desk.faults.remove(int(facts.get("number", "none")))
    return faults(desk, facts)


def strikes(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Which calls the faults struck, those after the strike `after`."""
    after = int(facts.get("after", 0))
    return [
        {**asdict(strike), "at": strike.at.isoformat(), "body": strike.body.decode("utf-8", "replace")}
        for strike in desk.faults.strikes
        if strike.number > after
    ]


def calls(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Count the calls of `system` (prefix), `method` and `path` (fragment); show the newest `limit`."""
    where = {name: str(facts.get(name, "")) for name in ("system", "method", "path")}
    found = desk.calls.matching(**where)
    newest = found[-max(int(facts.get("limit", 200)), 1) :]
    return {
        "count": len(found),
        "writes": sum(call.method not in ("GET", "HEAD") for call in found),
        "connections": len({call.peer for call in found}),
        "calls": [{**asdict(call), "at": call.at.isoformat()} for call in newest],
    }


def clear_calls(desk: Desk, facts: Mapping[str, Any]) -> Any:
    desk.calls.clear()
    return {"count": 0}


def clock(desk: Desk, facts: Mapping[str, Any]) -> Any:
    return {"now": desk.clock.now().isoformat(), "offset_seconds": desk.clock.offset.total_seconds()}


def advance(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Move the clock forward by `advance_seconds`."""
    seconds = float(facts.get("advance_seconds", "nothing"))
    if not 0 <= seconds <= 10 * 366 * 86_400:
        raise ValueError("The clock moves forward, by ten years at most.")
    desk.clock.advance(timedelta(seconds=seconds))
    world_of(desk)
    return clock(desk, facts)


def reset(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Begin again: with the seeds, or with empty worlds when `seeds` is false. The clock goes on."""
    from sandbox import dynamics365, pex, seeds, xero

    desk.faults.clear()
    desk.calls.clear()
    desk.worlds["pex"], desk.worlds["xero"] = pex.fresh_world(desk.clock), xero.fresh_world()
    desk.worlds["dynamics365"] = dynamics365.fresh_world()
    if facts.get("seeds", True) in (True, "true", "on"):
        seeds.seed(desk)
    return {"businesses": list(desk.worlds["pex"].businesses)}


def switches(desk: Desk, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: _plain(getattr(_moods(desk, facts), one.name)) for one in fields(_moods(desk, facts))}


def switch(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Set switches of a system's world by name."""
    moods = _moods(desk, facts)
    given = {name: value for name, value in facts.items() if name != "system"}
    for name, value in given.items():
        if name == "limit_table" or not hasattr(moods, name):
            raise ValueError(f"There is no switch {name}.")
        setattr(moods, name, _chosen(moods, name, _typed(name, getattr(moods, name), value)))
    return switches(desk, facts)


def _chosen(moods: Any, name: str, value: Any) -> Any:
    """Return the value, when the switch knows it. Raises ValueError."""
    known = get_args(get_type_hints(type(moods))[name])
    if known and isinstance(value, str) and value not in known:
        raise ValueError(f"{name} is one of {', '.join(map(str, known))}.")
    return value


def _moods(desk: Desk, facts: Mapping[str, Any]) -> Any:
    bc_world_of(desk)  # kept worlds of older days have none
    moods = getattr(desk.worlds.get(str(facts["system"])), "switches", None)
    if moods is None:
        raise ValueError(f"{facts['system']} has no switches.")
    return moods


def _plain(value: Any) -> Any:
    return [asdict(one) for one in value] if isinstance(value, list) else value


def businesses(desk: Desk, facts: Mapping[str, Any]) -> Any:
    return [
        {
            "business_id": one.business_id,
            "name": one.name,
            "funding": one.funding,
            "transactions": len(one.transactions),
            "admins": [f"{admin.business_id}:{admin.admin_id} {admin.username}" for admin in one.admins.values()],
            "cards": {card.account_id: card.name for card in one.cards.values()},
            "tags": {tag.tag_id: tag.name for tag in one.tags.values()},
        }
        for one in world_of(desk).businesses.values()
    ]


def transactions(desk: Desk, facts: Mapping[str, Any]) -> Any:
    world = world_of(desk)
    return listing(world, business_of(world, facts), int(facts.get("limit", 100)))


def payments(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Every payment of one business's statements."""
    return payment_listing(business_of(world_of(desk), facts))


def tags(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Every tag of one business with its options."""
    return tag_listing(business_of(world_of(desk), facts))


def act(desk: Desk, facts: dict[str, Any]) -> Any:
    """Do one of PEX's actions: transactions, review, tag, receipt, note, settle, admin, token ..."""
    action = facts.pop("action", "transactions")
    if action not in ACTIONS:
        raise ValueError(f"Unknown action {action!r}; known: {', '.join(ACTIONS)}.")
    return ACTIONS[action](world_of(desk), facts)


def books(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Every bank transaction of one organisation, with what is attached to it."""
    return xero_actions.books(xero_world_of(desk), facts)


def transfers(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Every bank transfer of one organisation."""
    return xero_actions.transfers(xero_world_of(desk), facts)


def set_up(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """How one organisation is set up, with the ids of its records."""
    return xero_actions.set_up(xero_world_of(desk), facts)


def change_set_up(desk: Desk, facts: dict[str, Any]) -> Any:
    return act_in_books(desk, {**facts, "action": "set-up"})


def act_in_books(desk: Desk, facts: dict[str, Any]) -> Any:
    """Do in Xero what a person does there: void, edit, archive, lock ...; or what time does: expire-tokens."""
    action = facts.pop("action")
    if action not in xero_actions.ACTIONS:
        raise ValueError(f"Unknown action {action!r}; known: {', '.join(xero_actions.ACTIONS)}.")
    return xero_actions.ACTIONS[action](xero_world_of(desk), facts)


def bc_books(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Every journal line and G/L entry of one company of Business Central, with what is attached to them."""
    return bc_actions.books(bc_world_of(desk), facts)


def bc_set_up(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """How one company of Business Central is set up, with the ids of its records."""
    return bc_actions.told(bc_world_of(desk), facts)


def act_in_bc(desk: Desk, facts: dict[str, Any]) -> Any:
    """Do in Business Central what a person does there: post, edit-line, block-account ...; or what time does."""
    return bc_actions.act(bc_world_of(desk), facts.pop("action"), facts)


def set_limits(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Turn PEX's usage limits on or off, and set the numbers of the table (`calls-N`, `seconds-N`)."""
    moods = world_of(desk).switches
    moods.limits = facts.get("limits") == "on"
    moods.retry_after = facts.get("retry_after") == "on"
    for number, limit in enumerate(moods.limit_table):
        limit.calls = max(0, int(facts.get(f"calls-{number}", limit.calls)))
        limit.seconds = max(1, int(facts.get(f"seconds-{number}", limit.seconds)))


def set_moods(desk: Desk, facts: Mapping[str, Any]) -> Any:
    """Take the page's form of switches; a box that is not ticked is not sent."""
    moods = world_of(desk).switches
    for one in fields(moods):
        value: Any = facts.get(one.name)
        if one.name in ("limits", "retry_after", "limit_table"):
            continue
        if isinstance(getattr(moods, one.name), bool):
            setattr(moods, one.name, value == "on")
        elif value is not None:
            setattr(moods, one.name, _typed(one.name, getattr(moods, one.name), value))


def _without_page(room: Room) -> Room:
    return lambda desk, facts: room(desk, {name: facts[name] for name in facts if name != "business_id"})


FORMS: dict[str, Room] = {
    "advance": _without_page(advance),
    "add-fault": _without_page(add_fault),
    "remove-fault": _without_page(remove_fault),
    "clear-faults": _without_page(clear_faults),
    "clear-calls": _without_page(clear_calls),
    "limits": set_limits,
    "moods": set_moods,
    "reset": _without_page(reset),
}
