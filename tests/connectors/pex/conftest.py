"""Acme at the simulated PEX, and a client with its admin's token."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from connectors.pex.client import PexClient, PexSession, Token
from sandbox.clock import Clock
from sandbox.pex import Admin, Business, PexWorld
from sandbox.server import Desk


@pytest.fixture
def world(sandbox: Desk, settings: Settings) -> PexWorld:
    settings.PEX_API_URL = f"{sandbox.url}/pex"
    settings.PEX_OAUTH_URL = f"{sandbox.url}/pex-oauth"
    settings.PEX_DASHBOARD_URL = f"{sandbox.url}/pex-dashboard"
    sandbox.product_url = "http://testserver"
    world: PexWorld = sandbox.worlds["pex"]
    world.clock = sandbox.clock
    return world


@pytest.fixture
def acme(world: PexWorld) -> Business:
    return world.add_business("Acme Builders", business_id=4410)


@pytest.fixture
def alex(acme: Business) -> Admin:
    return acme.add_admin("alex.admin", "Alex", "Admin")


@pytest.fixture
def session() -> Iterator[PexSession]:
    session = PexSession()
    yield session
    session.close()


@pytest.fixture
def client(world: PexWorld, alex: Admin, session: PexSession) -> PexClient:
    return PexClient(Token(world.token(alex)), session)


@pytest.fixture
def shared_clock(sandbox: Desk, settings: Settings, tmp_path: Path) -> Iterator[Clock]:
    """The sandbox's clock, followed by the product: `shared_clock.advance(timedelta(...))` moves both."""
    sandbox.clock.path = settings.CLOCK_FILE = tmp_path / "clock.json"
    sandbox.clock.reset()
    yield sandbox.clock
    sandbox.clock.path = None
