"""Acme and Rival at the simulated PEX, and a browser."""

from pathlib import Path

import pytest
from django.core.cache import cache
from pytest_django.fixtures import Settings

from sandbox.pex import Admin, Business, PexWorld
from sandbox.server import Desk
from tests import make


@pytest.fixture(autouse=True)
def _static(settings: Settings) -> None:
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns where it is missing


@pytest.fixture
def world(sandbox: Desk, settings: Settings) -> PexWorld:
    make.point_at(settings, sandbox)
    cache.clear()
    world: PexWorld = sandbox.worlds["pex"]
    world.clock = sandbox.clock
    return world


@pytest.fixture
def acme(world: PexWorld) -> Business:
    return world.add_business("Acme Builders", business_id=4410)


@pytest.fixture
def rival(world: PexWorld) -> Business:
    return world.add_business("Rival Roofing", funding="Credit", business_id=5520)


@pytest.fixture
def alex(acme: Business) -> Admin:
    return acme.add_admin("Alex.Admin", "Alex", "Admin")


@pytest.fixture
def rita(rival: Business) -> Admin:
    return rival.add_admin("rita.rival", "Rita", "Rival")
