"""PEX's dashboard in outline: sign in as an admin, launch an app, look at cards, switch permissions."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.pex.api import world_of
from sandbox.pex.business import ALL, Admin
from sandbox.pex.oauth import chosen_admin
from sandbox.pex.world import PexWorld
from sandbox.server import Desk
from sandbox.templates import page

COOKIE = "pex_dashboard"
WORDING = {
    "EditBusinessProfile": "Edit business settings & apps",
    "ManageCardholder": "Manage cardholders",
    "ViewCardTransactions": "View card transactions",
    "ModifyTransactionNotes": "Modify transaction notes",
    "ViewAdministration": "View administration",
    "AddEditTerminateAdministrator": "Add/edit/terminate administrator",
    "RequestDeleteACHTransfer": "Request/delete ACH transfer",
    "CreateCardholder": "Create cardholder",
    "AddEditTerminateCard": "Add/edit/terminate card",
    "ViewCardNumbers": "View card numbers",
    "ViewCardUsage": "View card usage",
    "ApproveFundingRequest": "Approve/reject funding requests",
    "RequestCardFunding": "Funding of cards",
}
NEEDED = ("EditBusinessProfile", "ManageCardholder", "ViewCardTransactions")

Room = Callable[[Desk, PexWorld, Admin, Request, list[tuple[str, str]]], Response]


def application(desk: Desk) -> ASGIApp:
    return Starlette(
        routes=[
            Route("/", _signed_in(desk, _home)),
            Route("/sign-in", _sign_in(desk), methods=["GET", "POST"]),
            Route("/sign-out", _sign_out(desk), methods=["POST"]),
            Route("/apps", _signed_in(desk, _apps)),
            Route("/apps/app/{app}", _signed_in(desk, _apps)),
            Route("/apps/app/{app}/launch", _signed_in(desk, _launch), methods=["POST"]),
            Route("/cards", _signed_in(desk, _cards)),
            Route("/cards/{account:int}/detail", _signed_in(desk, _card)),
            Route("/profile", _signed_in(desk, _profile), methods=["GET", "POST"]),
        ]
    )


def _signed_in(desk: Desk, room: Room) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a page that needs an admin; strangers are sent to sign in first."""

    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        if request.method == "POST" and not same_origin(desk, request):
            return page("problem.html", 403, title="Not from here", text="The form was sent by another site.")
        with desk.lock:
            world = world_of(desk)
            admin = _who(world, request)
            if admin is None:
                return RedirectResponse(f"{_root(request)}/sign-in", 303)
            return room(desk, world, admin, request, form)

    return endpoint


async def read_form(request: Request) -> list[tuple[str, str]]:
    body = await request.body() if request.method == "POST" else b""
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def same_origin(desk: Desk, request: Request) -> bool:
    """Tell whether a form came from our own pages, by the browser's word; programs send no Origin."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc in (urlsplit(desk.url).netloc, request.headers.get("host", ""))


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _sign_in(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        form = dict(await read_form(request))
        with desk.lock:
            world = world_of(desk)
            admin = chosen_admin(world, form.get("admin", ""))
            if request.method == "POST" and admin is not None and same_origin(desk, request):
                answer = RedirectResponse(f"{_root(request)}/apps", 303)
                answer.set_cookie(
                    COOKIE, _sealed(world, admin), httponly=True, samesite="lax", path=_root(request) or "/"
                )
                return answer
            people = [one for one in world.admins() if one.status == "Active"]
            return page("sign_in.html", people=people, businesses=world.businesses, root=_root(request))

    return endpoint


def _sign_out(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        answer = RedirectResponse(f"{_root(request)}/sign-in", 303)
        if same_origin(desk, request):
            answer.delete_cookie(COOKIE, path=_root(request) or "/")
        return answer

    return endpoint


def _sealed(world: PexWorld, admin: Admin) -> str:
    name = f"{admin.business_id}.{admin.admin_id}.{admin.password_version}"
    return f"{name}.{_seal(world, name)}"


def _seal(world: PexWorld, name: str) -> str:
    return hmac.new(world.secret.encode(), f"cookie {name}".encode(), hashlib.sha256).hexdigest()


def _who(world: PexWorld, request: Request) -> Admin | None:
    name, _, seal = request.cookies.get(COOKIE, "").rpartition(".")
    if not hmac.compare_digest(_seal(world, name).encode(), seal.encode()):
        return None
    business_id, admin_id, version = map(int, name.split("."))
    admin = world.admin(business_id, admin_id)
    if admin is None or admin.status != "Active" or admin.password_version != version:
        return None
    return admin


def _home(desk: Desk, world: PexWorld, admin: Admin, request: Request, form: object) -> Response:
    return RedirectResponse(f"{_root(request)}/apps", 303)


def _apps(desk: Desk, world: PexWorld, admin: Admin, request: Request, form: object) -> Response:
    missing = [WORDING[name] for name in NEEDED if name not in admin.permissions]
    apps = list(world.apps.values())
    return _page("apps.html", world, admin, request, apps=apps, missing=missing)


def _launch(desk: Desk, world: PexWorld, admin: Admin, request: Request, form: object) -> Response:
    app = world.apps.get(request.path_params["app"])
    if app is None:
        return page("problem.html", 404, title="No such app", text="The app is not in PEX's list.")
    token = quote(world.launch_jwt(admin, app.app_id))
    address = f"{desk.product_url}/handle-pex-jwt?jwt={token}"
    return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _cards(desk: Desk, world: PexWorld, admin: Admin, request: Request, form: object) -> Response:
    return _page("cards.html", world, admin, request)


def _card(desk: Desk, world: PexWorld, admin: Admin, request: Request, form: object) -> Response:
    business = world.businesses[admin.business_id]
    card = business.cards.get(request.path_params["account"])
    if card is None:
        return page("problem.html", 404, title="No such card", text="This business has no such card.")
    rows = [row for row in business.card_rows() if row.account_id == card.account_id]
    rows.sort(key=lambda row: (row.happened, row.transaction_id), reverse=True)
    return _page("card.html", world, admin, request, card=card, rows=rows[:200])


def _profile(desk: Desk, world: PexWorld, admin: Admin, request: Request, form: list[tuple[str, str]]) -> Response:
    if request.method == "POST":
        admin.permissions = {value for name, value in form if name == "permission" and value in ALL}
        return RedirectResponse(f"{_root(request)}/profile", 303)
    return _page("profile.html", world, admin, request, wording=WORDING)


def _page(template: str, world: PexWorld, admin: Admin, request: Request, **facts: Any) -> Response:
    business = world.businesses[admin.business_id]
    return page(template, admin=admin, business=business, root=_root(request), **facts)
