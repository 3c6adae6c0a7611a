"""bc-api: lets calls in, counts them against the limits, and hands them to the table of routes."""

import asyncio
import json
from collections.abc import Callable
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.dynamics365 import batch
from sandbox.dynamics365.answers import Answer, json_answer, refusal
from sandbox.dynamics365.door import Sent, admit, read_sent, signed_in
from sandbox.dynamics365.limits import Slots, TooMany, take
from sandbox.dynamics365.routes import Call, read_options
from sandbox.dynamics365.switches import Switches
from sandbox.dynamics365.values import Refused
from sandbox.dynamics365.verbs import served
from sandbox.dynamics365.world import BusinessCentralWorld, User, world_of
from sandbox.server import Desk

ENVIRONMENTS = "environments/"
VERSIONS = ("v1.1", "v1.2")


class Api:
    """The ASGI application behind `bc-api`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.slots = Slots()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        sent = read_sent(scope, dict(request.headers), await request.body())
        answer = await self._answer(sent)
        response = Response(answer.body, answer.status, dict(answer.headers), None)
        if answer.body:
            response.headers["Content-Type"] = answer.media
        await response(scope, receive, send)

    async def _answer(self, sent: Sent) -> Answer:
        language = sent.headers.get("accept-language", "")
        try:
            return await self._serve(sent)
        except TooMany as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
            return refusal(refused, language, headers)
        except Refused as refused:
            return refusal(refused, language)

    async def _serve(self, sent: Sent) -> Answer:
        """Let the call in, wait for its turn, then do it in one piece. Raises Refused."""
        with self.desk.lock:
            world = world_of(self.desk)
            user = signed_in(world, sent.headers)
            do, operations = self._work(world, user, sent)
            take(world, user.id, max(1, operations))
        async with self.slots.taken(user.id, world.switches):
            await asyncio.sleep(_seconds(world.switches, sent, operations))
            with self.desk.lock:
                return do()

    def _work(self, world: BusinessCentralWorld, user: User, sent: Sent) -> tuple[Callable[[], Answer], int]:
        """Return what is to be done, and how many operations that is. Raises Refused."""
        if sent.path.lower().startswith(ENVIRONMENTS):
            return lambda: _environments(self.desk, user, sent), 1
        visit = admit(world, user, sent)
        if unquote(visit.rest) == "$batch":
            operations = batch.read_operations(sent)
            return lambda: batch.answer(visit, sent, operations), len(operations)
        options = read_options(sent.query)
        call = Call(sent.method, visit.rest, options, sent.headers, sent.body, company=_company_of(options, sent))
        return lambda: served(visit, call), 1


def _company_of(options: dict[str, str], sent: Sent) -> str:
    return options.get("company") or sent.headers.get("companyid") or sent.headers.get("company") or ""


def _seconds(switches: Switches, sent: Sent, operations: int) -> float:
    """Return how long this call takes."""
    upload = switches.seconds_per_upload if sent.path.endswith("/attachmentContent") and sent.method == "PATCH" else 0
    return switches.latency + switches.seconds_per_operation * operations + upload


def _environments(desk: Desk, user: User, sent: Sent) -> Answer:
    """Return the environments of the user's tenant. Raises Refused for a version there is not yet."""
    newest = world_of(desk).switches.environment_version
    version = sent.path.lower().removeprefix(ENVIRONMENTS)
    if version not in VERSIONS or version > newest:
        raise Refused("BadRequest_NotFound", f"No HTTP resource was found that matches '{sent.path}'.", 404)
    if sent.method != "GET":
        raise Refused("BadRequest_MethodNotAllowed", f"{sent.method} is not allowed for '{sent.path}'.", 405)
    rows = [
        {
            "aadTenantId": user.tenant.id,
            "applicationFamily": "BusinessCentral",
            "type": one.kind,
            "name": one.name,
            "countryCode": "US",
            "webServiceUrl": sent.origin,
            "webClientLoginUrl": f"{desk.url}/bc/{user.tenant.id}/{quote(one.name)}",
            "ringName": "PROD",
        }
        for one in user.tenant.environments
    ]
    return json_answer(json.dumps({"value": rows}, ensure_ascii=False))
