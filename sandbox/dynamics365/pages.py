"""bc: plain pages on which a person sees a company's books and does there what people do in Business Central."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.dynamics365 import journal_pages, set_up_pages, web_client
from sandbox.dynamics365.look import TEMPLATES, page, read_form
from sandbox.dynamics365.switches import Switches
from sandbox.dynamics365.values import Refused
from sandbox.dynamics365.visit import Missing, Rejected, View, Visit
from sandbox.dynamics365.world import world_of
from sandbox.pex.dashboard import same_origin
from sandbox.server import Desk

GONE = "This page is about something that does not exist, or not any more."


def application(desk: Desk) -> Starlette:
    views = [*VIEWS, *set_up_pages.VIEWS, *journal_pages.VIEWS, *web_client.VIEWS]
    routes = [Route(path, _served(desk, view), methods=[method]) for method, path, view in views]
    return Starlette(routes=[Route("/style.css", _style), *routes])


def _served(desk: Desk, view: View) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        if request.method == "POST" and not same_origin(desk, request):
            return page("problem.html", 403, title="Not from here", sentence="The form was sent by another site.")
        with desk.lock:
            try:
                return view(Visit(world_of(desk), request.path_params, dict(request.query_params), form))
            except Missing:
                return page("problem.html", 404, title="Nothing is here", sentence=GONE)
            except (Rejected, Refused) as refused:
                return page("problem.html", 400, title="That cannot be done", sentence=str(refused))

    return endpoint


async def _style(request: Request) -> Response:
    return Response((TEMPLATES / "style.css").read_bytes(), media_type="text/css")


def _index(visit: Visit) -> Response:
    return page("companies.html", tenants=list(visit.world.tenants.values()))


# Switches


def _switches(visit: Visit) -> Response:
    switches = visit.world.switches
    rows = [(one.name, getattr(switches, one.name), get_args(one.type)) for one in dataclasses.fields(switches)]
    return page("switches.html", rows=rows, standard=Switches())


def _set_switches(visit: Visit) -> Response:
    """Set the switches sent; a true-or-false one that is not sent is off."""
    fresh = Switches()
    for one in dataclasses.fields(fresh):
        setattr(fresh, one.name, _value(one, visit.form.get(one.name)))
    visit.world.switches = fresh
    return RedirectResponse("/bc/switches", 303)


def _value(one: "dataclasses.Field[Any]", text: str | None) -> Any:
    if one.type is bool:
        return text is not None
    if text is None:
        return one.default
    choices = get_args(one.type)
    if choices and text not in choices:
        raise Rejected(f"{one.name} knows {', '.join(choices)}.")
    try:
        return one.type(text) if one.type in (int, float) else text
    except ValueError:
        raise Rejected(f"{one.name} needs a number.") from None


def _reset_switches(visit: Visit) -> Response:
    visit.world.switches = Switches()
    return RedirectResponse("/bc/switches", 303)


VIEWS: list[tuple[str, str, View]] = [
    ("GET", "/", _index),
    ("GET", "/switches", _switches),
    ("POST", "/switches", _set_switches),
    ("POST", "/switches/reset", _reset_switches),
]
