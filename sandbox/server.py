"""The simulated companies as one server: one process, one port, a path prefix per system."""

import asyncio
import contextlib
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from sandbox.calls import CallLog
from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.wire import DroppableProtocol, Wire

KEEP_ALIVE = 60  # seconds an idle connection is kept open, as the real companies do


@dataclass
class Desk:
    """What every simulated company is handed: the clock, the outside addresses, the troubles, the call log.

    `worlds` holds one picklable object per company, keyed "pex", "xero", ...; it is all that is kept over a restart.
    """

    clock: Clock = field(default_factory=Clock)
    calls: CallLog = field(default_factory=CallLog)
    faults: Faults = field(default_factory=Faults)
    url: str = "http://localhost:8001"  # where people and the product reach the sandbox
    product_url: str = "http://localhost:8000"  # where the product is reached
    worlds: dict[str, Any] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)  # held while a world is read or changed
    changes: int = 0  # made by the control room, whose calls are not counted


def application(desk: Desk) -> Starlette:
    """Return the ASGI application of all companies. Each module's `mounts(desk)` gives (prefix, app) pairs."""
    from sandbox import control, dynamics365, pex, xero

    routes: list[BaseRoute] = []
    for module in (pex, xero, dynamics365):
        for prefix, app in module.mounts(desk):
            routes.append(Mount(f"/{prefix}", app=Wire(app, prefix, desk.calls, desk.faults, desk.clock)))
    routes.append(Mount("/", app=control.application(desk)))
    return Starlette(routes=routes)


class Server:
    """The sandbox in a thread of this process, for tests and benchmarks."""

    def __init__(self, desk: Desk | None = None, port: int = 0) -> None:
        self.desk = desk or Desk()
        # Named as TCP, since asyncio switches off the delay of small packets (40 ms a call) only on such sockets.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.desk.url = f"http://localhost:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(
            application(self.desk),
            http=DroppableProtocol,
            log_level="warning",
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def start(self) -> "Server":
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=5)
        self.socket.close()


def serve(desk: Desk, port: int, data: Path | None, host: str = "127.0.0.1") -> None:
    """Serve until told to stop; the worlds are saved when they changed and once more at the end.

    OSError when the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        config = uvicorn.Config(
            application(desk),
            http=DroppableProtocol,
            log_level="warning",
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE,
        )
        # uvicorn raises the signal that stopped it once more; that must not end us before the worlds are saved.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        asyncio.run(_serve(uvicorn.Server(config), bound, desk, data))


async def _serve(server: uvicorn.Server, bound: socket.socket, desk: Desk, data: Path | None) -> None:
    saver = asyncio.create_task(_save_now_and_then(desk, data)) if data else None
    try:
        await server.serve([bound])
    finally:
        if saver:
            saver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await saver
        if data:
            save(desk, data)


async def _save_now_and_then(desk: Desk, data: Path) -> None:
    """Save each second something changed; a large world more rarely, to stay below a twentieth of the time."""
    seen, pause = (0, 0), 1.0
    while True:
        await asyncio.sleep(pause)
        calls = desk.calls.calls
        state = (calls[-1].number if calls else 0, desk.changes)
        if state != seen:
            seen, started = state, time.monotonic()
            save(desk, data)
            pause = max(1.0, 20 * (time.monotonic() - started))


def save(desk: Desk, data: Path) -> None:
    with desk.lock:
        blob = pickle.dumps(desk.worlds)
    fresh = data.with_suffix(".new")
    fresh.write_bytes(blob)
    fresh.replace(data)


def load(desk: Desk, data: Path, seed: Callable[[Desk], None]) -> None:
    """Fill the worlds from the file, or seed them when there is none."""
    if data.exists():
        desk.worlds = pickle.loads(data.read_bytes())  # noqa: S301  # our own file, in our own folder
    else:
        seed(desk)
