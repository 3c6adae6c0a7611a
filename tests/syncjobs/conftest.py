from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests import make


class Died(BaseException):
    """The worker is gone: nothing below this line runs, nobody catches it."""


@pytest.fixture
def acme(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    """Acme, connected and set up; the engine works in threads, so rows are really committed."""
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    yield make.world(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def entered(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    """Acme with books whose journal a person posts."""
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    yield make.dynamics(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def travel(sandbox) -> Callable[..., None]:
    """Move the one clock both sides share."""
    return lambda **by: sandbox.clock.advance(timedelta(**by))


@pytest.fixture
def crash(monkeypatch) -> Callable[..., None]:
    """Let the worker die once, just before or after it calls a function of a module."""

    def at(module: Any, name: str, when: str = "before") -> None:
        original = getattr(module, name)

        def dying(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(module, name, original)
            if when == "after":
                original(*args, **kwargs)
            raise Died

        monkeypatch.setattr(module, name, dying)

    return at


@pytest.fixture
def freeze(monkeypatch) -> Callable[..., None]:
    """Let the worker stand still once, before or after it calls a function of a module, while something happens."""

    def at(module: Any, name: str, meanwhile: Callable[[], object], when: str = "before") -> None:
        original = getattr(module, name)

        def standing_still(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(module, name, original)
            if when == "before":
                meanwhile()
            answer = original(*args, **kwargs)
            if when == "after":
                meanwhile()
            return answer

        monkeypatch.setattr(module, name, standing_still)

    return at
