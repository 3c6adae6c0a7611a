"""What every test may ask for: the simulated companies, reset before each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from sandbox.server import Desk, Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--specs", default="", help="folder of the official machine-readable schemas")


@pytest.fixture(scope="session")
def specs(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--specs")
    if not folder:
        pytest.skip("the official specifications are not here: give their folder with --specs DIR")
    return Path(folder)


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Server]:
    server = Server(Desk()).start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _whose_database() -> None:
    """The database is emptied between tests: what the process knows of it is of the one before."""
    from pexsync.accounts import installation

    installation.forget()


@pytest.fixture(autouse=True)
def fresh_gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody has called anybody yet. In Redis each test counts under a name of its own."""
    from connectors import pace

    pace.gate.cache_clear()
    prefix = f"pace-test-{uuid.uuid4()}"
    monkeypatch.setattr(pace.RedisGate, "PREFIX", prefix)
    yield
    if settings.REDIS_URL and pace.gate.cache_info().currsize:
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            for key in client.scan_iter(f"{prefix}*", count=1000):
                client.delete(key)


@pytest.fixture
def sandbox(sandbox_server: Server) -> Desk:
    """The sandbox with empty worlds, no faults, no calls, its clock at the wall's time."""
    from sandbox import dynamics365, pex, xero

    desk = sandbox_server.desk
    desk.clock.reset()
    desk.faults.clear()
    desk.calls.clear()
    desk.worlds["pex"] = pex.fresh_world(desk.clock)
    desk.worlds["xero"] = xero.fresh_world()
    desk.worlds["dynamics365"] = dynamics365.fresh_world()
    return desk
