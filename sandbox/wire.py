"""The wire in front of each simulated company: counts the calls and lets faults strike."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.calls import CallLog
from sandbox.clock import Clock
from sandbox.faults import Fault, Faults


class DroppableProtocol(H11Protocol):
    """Lets an application cut its own connection, as a dying proxy does: no status line, no close_notify."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["sandbox.cut"] = lambda: self.transport.abort()
            await inner(scope, receive, send)

        self.app = app


class Wire:
    """ASGI middleware around one company's application."""

    def __init__(self, app: ASGIApp, system: str, calls: CallLog, faults: Faults, clock: Clock) -> None:
        self.app, self.system, self.calls, self.faults, self.clock = app, system, calls, faults, clock
        self.late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        body = await _whole_body(receive)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        fault = self.faults.for_call(self.system, scope["method"], path, body)
        if fault:
            self.faults.remember(fault, self.clock.now(), self.system, scope["method"], path, body)
        answer = await self._serve(scope, body, fault)
        host, port = scope.get("client") or ("", 0)
        self.calls.add(
            at=self.clock.now(),
            system=self.system,
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            tenant=headers.get("xero-tenant-id", ""),
            key=headers.get("idempotency-key", ""),
            peer=f"{host}:{port}",
            status=answer.status,
            request_bytes=len(body),
            response_bytes=len(answer.body),
            seconds=time.perf_counter() - started,
        )
        await _send(answer, scope, send)  # the call is counted before its caller can know it ended

    async def _serve(self, scope: Scope, body: bytes, fault: Fault | None) -> "Answer":
        kind = fault.kind if fault else ""
        if fault and kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault and kind == "status":
            return _fault_answer(fault)
        if kind == "drop_before":
            return Answer(status=0)
        if fault and kind == "late_commit":
            task = asyncio.create_task(self._later(scope, body, fault.seconds))
            self.late.add(task)
            task.add_done_callback(self.late.discard)
            return Answer(status=0)
        answer = await self._ask(scope, body)
        if kind == "drop_after":
            return Answer(status=0)
        if fault and kind == "status_after":
            return _fault_answer(fault)
        if kind == "truncate":
            answer.body = answer.body[: len(answer.body) // 2]
        return answer

    async def _later(self, scope: Scope, body: bytes, seconds: float) -> None:
        """Do the work once so many seconds of the shared clock have gone by; nobody hears the answer."""
        due = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < due:
            await asyncio.sleep(0.02)
        await self._ask(scope, body)

    async def _ask(self, scope: Scope, body: bytes) -> "Answer":
        answer = Answer()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message.get("headers", []))
            else:
                answer.body += message.get("body", b"")

        await self.app(dict(scope), receive, send)
        return answer


class Answer:
    def __init__(self, status: int = 500, headers: list[tuple[bytes, bytes]] | None = None, body: bytes = b"") -> None:
        self.status, self.headers, self.body = status, headers or [], body


def _fault_answer(fault: Fault) -> Answer:
    headers = {"Content-Type": fault.content_type, **fault.headers}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Answer(fault.status, pairs, fault.body.encode())


async def _whole_body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    if answer.status == 0:
        scope["sandbox.cut"]()
        await asyncio.sleep(0)  # lets the server notice, so that it does not complain about a missing answer
        return
    headers = [pair for pair in answer.headers if pair[0].lower() not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
