"""entra: the sign-in of work accounts: discovery, the pages where a person consents, and tokens.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.dynamics365.grants import ANYBODY, NO_STORE, Denied, tenant_of, token
from sandbox.dynamics365.look import page, read_form
from sandbox.dynamics365.sign_in import admin_consent, authorize
from sandbox.dynamics365.world import LOGIN, SIGN_IN_SCOPES, BusinessCentralWorld, world_of
from sandbox.pex.dashboard import same_origin
from sandbox.server import Desk

ALIASES = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]


def application(desk: Desk) -> Starlette:
    return Starlette(
        routes=[
            Route("/common/discovery/instance", _json(desk, _instance)),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", _json(desk, _discovery)),
            Route("/{tenant}/oauth2/v2.0/token", _json(desk, token), methods=["POST"]),
            Route("/{tenant}/oauth2/v2.0/authorize", _page(desk, authorize), methods=["GET", "POST"]),
            Route("/{tenant}/v2.0/adminconsent", _page(desk, admin_consent), methods=["GET", "POST"]),
        ]
    )


def _json(desk: Desk, room: Callable[..., Mapping[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        with desk.lock:
            world = world_of(desk)
            try:
                return JSONResponse(room(desk, world, request, form), headers=NO_STORE)
            except Denied as denied:
                return denied.answer(world)

    return endpoint


def _page(desk: Desk, room: Callable[..., Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        if request.method == "POST" and not same_origin(desk, request):
            return page("entra_problem.html", 403, title="Not from here", sentence="The form was sent by another site.")
        with desk.lock:
            world = world_of(desk)
            try:
                return room(desk, world, request, form)
            except Denied as denied:
                title, sentence = "Sorry, we cannot sign you in", f"AADSTS{denied.number}: {denied.sentence}"
                return page("entra_problem.html", denied.status, title=title, sentence=sentence)

    return endpoint


def _discovery(desk: Desk, world: BusinessCentralWorld, request: Request, form: Mapping[str, str]) -> Mapping[str, Any]:
    """The authorize page is ours, so that a browser comes here; msal wants an https address of the token endpoint."""
    tenant = tenant_of(world, request)
    named = tenant.id if tenant else ANYBODY
    return {
        "issuer": f"{LOGIN}/{tenant.id if tenant else '{tenantid}'}/v2.0",
        "authorization_endpoint": f"{desk.url}/entra/{named}/oauth2/v2.0/authorize",
        "token_endpoint": f"{LOGIN}/{named}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_modes_supported": ["query", "form_post"],
        "response_types_supported": ["code"],
        "scopes_supported": list(SIGN_IN_SCOPES),
        "subject_types_supported": ["pairwise"],
        "tenant_region_scope": None,
        "cloud_instance_name": "microsoftonline.com",
    }


def _instance(desk: Desk, world: BusinessCentralWorld, request: Request, form: Mapping[str, str]) -> Mapping[str, Any]:
    asked = urlsplit(request.query_params.get("authorization_endpoint", ""))
    if asked.hostname not in ALIASES:
        raise Denied("invalid_instance", 50049, "Unknown or invalid instance.")
    tenant = asked.path.strip("/").split("/")[0]
    return {
        "tenant_discovery_endpoint": f"{LOGIN}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [
            {"preferred_network": ALIASES[0], "preferred_cache": ALIASES[1], "aliases": ALIASES},
        ],
    }
