"""Xero at its worst: Acme's organisation with one of Xero's traps switched on, and what our side makes of it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from sandbox.server import Desk
from tests import make
from tests.connectors.xero.conftest import Acme, acme, addresses, again, connection, soon, xero

__all__ = ["Acme", "acme", "addresses", "again", "connection", "soon", "xero"]


@pytest.fixture
def world(sandbox: Desk, settings: Any, transactional_db: None, tmp_path: Any) -> Iterator[make.World]:
    """The whole product before the simulated companies: a business, connected and set up."""
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    yield make.world(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def travel(sandbox: Desk) -> Callable[..., None]:
    """Move the one clock both sides share."""
    return lambda **by: sandbox.clock.advance(timedelta(**by))


@pytest.fixture
def mood(sandbox: Desk) -> Callable[..., None]:
    """Turn switches of the simulated Xero."""

    def turn(**switches: Any) -> None:
        moods = sandbox.worlds["xero"].switches
        for name, value in switches.items():
            assert hasattr(moods, name), name
            setattr(moods, name, value)

    return turn
