"""A PostgreSQL cluster and a Redis of our own on free ports, so that both can be crashed."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 40.0  # a server may take to come up
ROLE = "chaos"


class NotHere(Exception):
    """A server's program is not installed on this machine; the message names it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """Files are flushed as in production: what was committed survives a crash of the server."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.port = _programs(), free_port()
        self.folder, self.password = folder / "pg", secrets.token_hex(12)
        self.owner = "postgres" if os.getuid() == 0 else ""  # PostgreSQL refuses to run as root
        self.folder.mkdir()
        if self.owner:
            folder.chmod(0o755)
            who = pwd.getpwnam(self.owner)
            os.chown(self.folder, who.pw_uid, who.pw_gid)
        self.data = self.folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")

    @property
    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "log_min_messages": "fatal",
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [f"{self.bin}/postgres", "-D", str(self.data), "-p", str(self.port), *given]

    @property
    def url(self) -> str:
        """As the product's own role, which cannot pass through row-level security."""
        return f"postgres://{ROLE}:{self.password}@127.0.0.1:{self.port}/{ROLE}"

    @property
    def admin_url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{ROLE}"

    def create(self) -> None:
        self._psql(f"create role {ROLE} login password '{self.password}' nosuperuser nobypassrls")
        self._psql(f"create database {ROLE} owner {ROLE}")

    def wait(self) -> None:
        _wait(lambda: self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), check=False) == 0)

    def _psql(self, statement: str) -> None:
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres")
        self._run("psql", *address, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement)

    def _run(self, program: str, *words: str, check: bool = True) -> int:
        done = subprocess.run(
            [f"{self.bin}/{program}", *words],
            check=check,
            cwd="/",
            stdout=subprocess.DEVNULL,
            user=self.owner or None,
            group=self.owner or None,
        )
        return done.returncode


class Redis:
    """Nothing is kept on disk: killed, it forgets every message."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("redis-server")
        if not found:
            raise NotHere("redis-server")
        self.program, self.port, self.folder = found, free_port(), folder

    @property
    def command(self) -> list[str]:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        return [self.program, *where, "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def wait(self) -> None:
        _wait(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _programs() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if found:
        return str(found[-1])
    initdb = shutil.which("initdb")
    if not initdb:
        raise NotHere("PostgreSQL (initdb)")
    return str(Path(initdb).parent)


def _wait(ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not ready():
        if time.monotonic() > give_up:
            raise TimeoutError("a server of the chaos run did not come up")
        time.sleep(0.05)
