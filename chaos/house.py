"""The parts of a chaos run: started, killed, frozen, started again, and all of them gone in the end."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any, Self

from chaos.orders import Orders
from chaos.services import Postgres, Redis, free_port
from demo import watchdog
from demo.supervisor import ROOT
from demo.world import ADDRESSES, KNOWN_AS, NOT_OURS

JSON = dict[str, Any]

WORKERS = 3
GRACE = 10.0  # seconds a part has to end by itself
PATIENCE = 0.02  # 10 minutes are 12 seconds, the lease of 45 s is one of 0.9 s
SWEEP_SECONDS = 0.7
# The companies' own limits do not scale with patience; here a minute's work must fit into a second.
WIDE_LIMITS = {
    "XERO_CALLS_A_MINUTE": "6000",
    "BC_CALLS_IN_FIVE_MINUTES": "60000",
    "PEX_CALLS_A_MINUTE": "6000",
    "PEX_LISTS_AN_HOUR": "6000",
    "PEX_BUSINESS_LISTS_A_MINUTE": "600",
}
UNEXPECTED = "raised unexpected"  # how Celery tells of a task that ended with an error nobody expected
OF_RESTARTS = ("OperationalError", "InterfaceError", "ConnectionError", "PoolTimeout")
OF_FROZEN_WRITERS = ("database is locked",)  # SQLite lets one process write: frozen meanwhile, it keeps the others out


@dataclass
class Part:
    name: str
    command: Sequence[str]
    owner: str = ""  # the user of the machine it runs as; "": ours
    process: "subprocess.Popen[str] | None" = None
    wanted: bool = True  # started again when it is gone
    pipes: bool = False  # we talk with it
    said: "SimpleQueue[str]" = field(default_factory=SimpleQueue)


class House:
    """Use it in a `with`; afterwards no process of it is left, and no file when `keep` is not asked for."""

    def __init__(self, database: str, patience: float = PATIENCE) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.patience = patience
        self.parts: dict[str, Part] = {}
        self.frozen: set[int] = set()  # processes that stopped themselves, and go on later
        self.orders = Orders(self.folder / "orders")
        self.port = free_port()
        self.clock = self.folder / "clock.json"
        self.postgres = Postgres(self.folder) if database == "postgres" else None
        self.redis = Redis(self.folder) if database == "postgres" else None
        self._lock: IO[str] = (self.folder / "lock").open("w")
        self._watchdog = watchdog.start(self._lock)
        self.env = self._environment()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._lock.close()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def tables(self) -> str:
        """Where the checker reads the product's tables."""
        return self.postgres.admin_url if self.postgres else f"sqlite:///{self._sqlite}"

    @property
    def _sqlite(self) -> Path:
        return self.folder / "data" / "pexsync.sqlite3"

    def _environment(self) -> dict[str, str]:
        (self.folder / "data").mkdir()
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        return kept | {
            **KNOWN_AS,
            **{name: f"{self.url}{prefix}" for name, prefix in ADDRESSES.items()},
            "SECRET_KEY": secrets.token_urlsafe(50),
            "CREDENTIAL_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "INSTALLATION_ID": "chaos",
            "ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "pexsync.settings",
            "DATA_DIR": str(self.folder / "data"),
            "DATABASE_URL": self.postgres.url if self.postgres else f"sqlite:///{self._sqlite}",
            "REDIS_URL": self.redis.url if self.redis else "",
            "CLOCK_FILE": str(self.clock),
            "CHAOS_ORDERS": str(self.folder / "orders"),
            **WIDE_LIMITS,
            "PATIENCE": str(self.patience),
            "SWEEP_SECONDS": str(SWEEP_SECONDS),
            "LOG_JSON": "true",
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }

    # --- starting ---

    def open(self, businesses: int, central: int) -> list[JSON]:
        """Start the companies and the servers, make the tables; return what the companies' world holds."""
        for part, server in (("postgres", self.postgres), ("redis", self.redis)):
            if server is not None:
                self.start(part, server.command, owner=getattr(server, "owner", ""))
        asked = {
            "businesses": businesses,
            "central": central,
            "port": self.port,
            "clock": str(self.clock),
            "patience": self.patience,
        }
        world = self.start("companies", [sys.executable, "-m", "chaos.world", json.dumps(asked)], pipes=True)
        for server in (self.postgres, self.redis):
            if server is not None:
                server.wait()
        if self.postgres:
            self.postgres.create()
        self._prepare("migrate", "--no-input", "--verbosity", "0")
        facts: list[JSON] = json.loads(world.said.get(timeout=60))
        return facts

    def _prepare(self, *words: str) -> None:
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.env, check=True)

    def start_workers(self) -> None:
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
        for number in range(1, WORKERS + 1):
            words = ("worker", "--pool", "threads", "--concurrency", "4", "--hostname", f"w{number}@chaos", *quiet)
            self.start(f"worker {number}", [sys.executable, "-m", "chaos.worker", *words])
        self.start("beat", [sys.executable, "-m", "celery", "--app", "pexsync", "beat", "--loglevel", "WARNING"])

    def start(self, name: str, command: Sequence[str], owner: str = "", pipes: bool = False) -> Part:
        part = self.parts[name] = Part(name, command, owner, pipes=pipes)
        self._spawn(part)
        return part

    def _spawn(self, part: Part) -> None:
        with (self.folder / f"{part.name}.log").open("a") as log:
            part.process = subprocess.Popen(
                list(part.command),
                cwd=ROOT if not part.owner else "/",
                env=self.env,
                stdin=subprocess.PIPE if part.pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if part.pipes else log,
                stderr=log,
                start_new_session=True,
                text=True,
                user=part.owner or None,
                group=part.owner or None,
            )
        self._tell_watchdog("+", part.process.pid)
        if part.pipes:
            threading.Thread(target=_listen, args=(part.process, part.said), daemon=True).start()

    def look_after(self) -> list[str]:
        """Start again what has died and is wanted; return the names."""
        again = []
        for part in self.parts.values():
            if part.wanted and part.process is not None and part.process.poll() is not None:
                self._forget(part)
                self._spawn(part)
                again.append(part.name)
        return again

    def surprises(self) -> list[str]:
        """Errors that tasks ended with, but those a server's restart explains: bugs the product survives unnoticed."""
        excused = OF_RESTARTS if self.postgres else OF_FROZEN_WRITERS
        lines = [line for log in sorted(self.folder.glob("worker*.log")) for line in log.read_text().splitlines()]
        found = [json.loads(line) for line in lines if UNEXPECTED in line and line.startswith("{")]
        return [one["event"] for one in found if not any(word in one["event"] for word in excused)]

    # --- breaking ---

    def workers(self) -> list[Part]:
        return [part for name, part in sorted(self.parts.items()) if name.startswith("worker")]

    def signal(self, part: Part, number: int) -> None:
        if part.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(part.process.pid, number)

    def part_of(self, pid: int) -> Part | None:
        return next((part for part in self.parts.values() if part.process and part.process.pid == pid), None)

    def pause(self, name: str) -> None:
        """Take a part away until it is asked for again."""
        part = self.parts[name]
        part.wanted = False
        self.signal(part, signal.SIGTERM)

    def resume(self, name: str) -> None:
        part = self.parts[name]
        part.wanted = True
        if part.process is not None and part.process.poll() is None:
            self.signal(part, signal.SIGKILL)
            part.process.wait()

    def crash(self, name: str, number: int) -> None:
        """End a server by this signal and start it again at once."""
        part = self.parts[name]
        self.signal(part, number)
        if part.process is not None:
            try:
                part.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.signal(part, signal.SIGKILL)
                part.process.wait()
        self.look_after()
        server = self.postgres if name == "postgres" else self.redis
        if server is not None:
            server.wait()

    # --- ending ---

    def stop(self) -> None:
        for part in self.parts.values():
            part.wanted = False
            self.signal(part, signal.SIGCONT)
        names = sorted(self.parts, key=lambda name: name in ("postgres", "redis"))  # servers go last
        for last in (False, True):
            ending = [self.parts[name] for name in names if (name in ("postgres", "redis")) is last]
            for part in ending:
                self.signal(part, signal.SIGINT if part.name == "postgres" else signal.SIGTERM)
            for part in ending:
                self._end(part)
        self.parts.clear()
        if self._watchdog.stdin:
            self._watchdog.stdin.close()
        self._watchdog.wait()

    def _end(self, part: Part) -> None:
        if part.process is None:
            return
        try:
            part.process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self.signal(part, signal.SIGKILL)
            part.process.wait()
        self._forget(part)

    def _forget(self, part: Part) -> None:
        """The process is gone: so must be whoever it started, and our ends of its pipes."""
        if part.process is None:
            return
        watchdog.end({part.process.pid}, grace=1)
        self._tell_watchdog("-", part.process.pid)
        if part.process.stdin:
            with suppress(BrokenPipeError):
                part.process.stdin.close()

    def _tell_watchdog(self, sign: str, group: int) -> None:
        with suppress(BrokenPipeError):
            if self._watchdog.stdin:
                self._watchdog.stdin.write(f"{sign}{group}\n")


class Hands:
    """The people of the product (`chaos.hands`): told what to do without waiting, since they may have to wait long."""

    def __init__(self, house: House) -> None:
        self.house, self._number = house, 0
        house.start("hands", [sys.executable, "-m", "chaos.hands"], pipes=True)

    def ask(self, do: str, **facts: Any) -> int:
        self._number += 1
        process = self.house.parts["hands"].process
        if process is not None and process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.write(f"{json.dumps({'do': do, 'number': self._number, **facts})}\n")
                process.stdin.flush()
        return self._number

    def answers(self) -> list[JSON]:
        """What came back since this was last asked."""
        found = []
        while True:
            try:
                found.append(json.loads(self.house.parts["hands"].said.get_nowait()))
            except Empty:
                return found

    def wait_for(self, do: str, **facts: Any) -> JSON:
        number = self.ask(do, **facts)
        while True:
            answer: JSON = json.loads(self.house.parts["hands"].said.get(timeout=120))
            if answer["number"] == number:
                return answer


def _listen(process: "subprocess.Popen[str]", said: "SimpleQueue[str]") -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            said.put(line)
