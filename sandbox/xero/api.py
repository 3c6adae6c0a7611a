"""xero-api: lets calls in, repeats what was answered under a key, and hands the rest to the table of routes."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.server import Desk
from sandbox.xero import connections
from sandbox.xero.answers import Answer, ApiRequest, Refused, bad_key, new_answer_id
from sandbox.xero.door import Admitted, Caller, Sent, admit, allowance, bearer, read_sent, take
from sandbox.xero.routes import WRITES, handled
from sandbox.xero.world import StoredAnswer, XeroWorld, world_of

LONGEST_KEY = 128


class Api:
    """The ASGI application behind `xero-api`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.in_progress: Counter[Caller] = Counter()  # calls being served
        self.running: dict[tuple[str, str], asyncio.Event] = {}  # (client, key) -> set when its first call ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        sent = read_sent(scope, dict(request.headers), await request.body())
        id = new_answer_id()
        answer = await self._answer(sent, id)
        headers = {
            "Xero-Correlation-Id": id,
            "X-Client-TLS-ver": "tls1.3",
            "Cache-Control": "max-age=0, no-cache, no-store",
            **answer.headers,
        }
        response = Response(answer.body, answer.status, headers, None)
        if answer.body:
            response.headers["Content-Type"] = answer.media
        await response(scope, receive, send)

    async def _answer(self, sent: Sent, id: str) -> Answer:
        if sent.path and sent.path[0].lower() == "connections":
            await asyncio.sleep(world_of(self.desk).switches.latency)
            return self._connections(sent)
        try:
            with self.desk.lock:
                admitted = admit(world_of(self.desk), sent, self.in_progress)
        except Refused as refused:
            return refused.answer
        self.in_progress[admitted.caller] += 1
        try:
            answer = await self._serve_once(sent, admitted, id)
        finally:
            self.in_progress[admitted.caller] -= 1
        return Answer(answer.status, answer.body, answer.media, answer.headers | allowance(admitted.left))

    # Idempotency

    async def _serve_once(self, sent: Sent, admitted: Admitted, id: str) -> Answer:
        """Serve, or repeat what was answered to the same request under the same key."""
        if not sent.key:
            return await self._serve(sent, admitted, id)
        if len(sent.key) > LONGEST_KEY:
            return bad_key(f"Idempotency-Key is too long. Maximum of {LONGEST_KEY} characters allowed")
        slot = (admitted.access.client_id, sent.key)
        while slot in self.running:
            await self.running[slot].wait()
        with self.desk.lock:
            stored = _stored(world_of(self.desk), slot)
        if stored:
            return _repeated(stored, sent)
        self.running[slot] = asyncio.Event()
        try:
            return await self._serve_and_store(sent, admitted, id, slot)
        finally:
            self.running.pop(slot).set()

    async def _serve_and_store(self, sent: Sent, admitted: Admitted, id: str, slot: tuple[str, str]) -> Answer:
        world = world_of(self.desk)
        began = world.now()
        answer = await self._serve(sent, admitted, id)
        switches = world.switches
        if answer.status < 500 or switches.replay_server_errors:
            until = began + timedelta(seconds=switches.idempotency_seconds)
            with self.desk.lock:
                kept = StoredAnswer(sent.fingerprint, until, answer.status, answer.media, answer.body)
                world.answers[slot] = kept
        return answer

    # The work

    async def _serve(self, sent: Sent, admitted: Admitted, id: str) -> Answer:
        world = world_of(self.desk)
        await asyncio.sleep(_seconds(world, sent))
        with self.desk.lock:
            request = ApiRequest(
                desk=self.desk,
                world=world,
                app=world.apps[admitted.access.client_id],
                access=admitted.access,
                organisation=admitted.organisation,
                method=sent.method,
                path=sent.path[2:],
                query=sent.query,
                headers=sent.headers,
                body=sent.body,
                id=id,
            )
            answer = handled(request)
            if sent.method in WRITES and world.switches.server_errors > 0:
                world.switches.server_errors -= 1
                return Answer(500, b"<html><body><h1>Internal Server Error</h1></body></html>", "text/html")
            return answer

    # Connections

    def _connections(self, sent: Sent) -> Answer:
        """List or end the connections of the token's person; needs no tenant and speaks JSON only."""
        with self.desk.lock:
            world = world_of(self.desk)
            try:
                access = bearer(world, sent)
                take(world, access, tenant="")
            except Refused as refused:
                return refused.answer
            return connections.serve(world, access, sent)


def _stored(world: XeroWorld, slot: tuple[str, str]) -> StoredAnswer | None:
    """Return the living answer of this key; dead ones are dropped on the way."""
    now = world.now()
    if len(world.answers) > 5000:
        world.answers = {key: one for key, one in world.answers.items() if one.until > now}
    found = world.answers.get(slot)
    return found if found and found.until > now else None


def _repeated(stored: StoredAnswer, sent: Sent) -> Answer:
    if stored.fingerprint != sent.fingerprint:
        return bad_key("The Idempotency-Key was already used with another request")
    return Answer(stored.status, stored.body, stored.media)


def _seconds(world: XeroWorld, sent: Sent) -> float:
    """Return how long this call takes."""
    switches = world.switches
    seconds = switches.latency
    if "attachments" in [part.lower() for part in sent.path]:
        return seconds + (switches.seconds_per_upload if sent.method in WRITES else 0)
    if switches.seconds_per_element and sent.method in WRITES:
        with suppress(ValueError):
            content = json.loads(sent.body)
            lists = [one for one in content.values() if isinstance(one, list)] if isinstance(content, dict) else []
            seconds += switches.seconds_per_element * max((len(one) for one in lists), default=1)
    return seconds
