"""What every test may ask for: the simulated companies, reset before each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture
def sandbox(sandbox_server: Server) -> Desk:
    """The sandbox with empty worlds, no faults, no calls, its clock at the wall's time."""
    from sandbox import pex, xero

    desk = sandbox_server.desk
    desk.clock.reset()
    desk.faults.clear()
    desk.calls.clear()
    desk.worlds["pex"] = pex.fresh_world(desk.clock)
    desk.worlds["xero"] = xero.fresh_world()
    return desk
