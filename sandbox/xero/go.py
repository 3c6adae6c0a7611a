"""xero-go: deep links into Xero, as the product puts them beside what it posted."""

from urllib.parse import parse_qs, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.server import Desk
from sandbox.xero.organisation import Organisation
from sandbox.xero.pages import page
from sandbox.xero.world import world_of

PAGES = {
    "/bank/viewtransaction.aspx": ("banktransactionid", "transactions"),
    "/bank/viewtransfer.aspx": ("banktransferid", "transfers"),
}
"""Where a link leads: the argument with the id, and the room of our pages."""


def application(desk: Desk) -> Starlette:
    async def organisation_login(request: Request) -> Response:
        """Follow `?shortcode=!abcde&redirecturl=/Bank/ViewTransaction.aspx?bankTransactionID=...`."""
        if request.path_params["path"].lower() != "organisationlogin/default.aspx":
            return _nowhere("Links begin with organisationlogin/default.aspx.")
        query = {name.lower(): value for name, value in request.query_params.items()}
        with desk.lock:
            organisations = world_of(desk).organisations.values()
            shortcode = query.get("shortcode", "")
            found = next((one for one in organisations if one.short_code == shortcode), None)
            return _follow(found, query.get("redirecturl", ""))

    return Starlette(routes=[Route("/{path:path}", organisation_login)])


def _follow(organisation: Organisation | None, target: str) -> Response:
    if organisation is None:
        return _nowhere("No organisation has this short code.")
    parts = urlsplit(target)
    argument, room = PAGES.get(parts.path.lower(), ("", ""))
    arguments = {name.lower(): values[0] for name, values in parse_qs(parts.query).items()}
    id = arguments.get(argument, "").lower()
    if not room:
        return RedirectResponse(f"/xero-books/{organisation.id}", 302)
    if id not in {**organisation.bank_transactions, **organisation.bank_transfers}:
        return _nowhere(f"{organisation.name} has no such record.")
    return RedirectResponse(f"/xero-books/{organisation.id}/{room}/{id}", 302)


def _nowhere(sentence: str) -> Response:
    return page("problem.html", status=404, title="This link leads nowhere", error="not found", sentence=sentence)
