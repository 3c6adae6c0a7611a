"""Xero's call limits: fixed windows per app and organisation, each starting at its own moment."""

import hashlib
import math
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.xero.switches import Switches

MINUTE, DAY = 60, 86_400  # seconds


@dataclass(frozen=True)
class Left:
    """What the headers tell after a call."""

    day: int
    minute: int
    app_minute: int


@dataclass(frozen=True)
class TooMany:
    problem: str
    retry_after: int | None  # seconds; None: no header
    left: Left


@dataclass
class Windows:
    """Calls counted per window. A window is known by its start, so an old count ends by itself."""

    counts: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)  # tenant -> an instant at which its windows begin

    def begin(self, tenant: str, now: datetime) -> None:
        """Let the windows of a tenant begin now, for measurements that start with a fresh one."""
        self.starts[tenant] = now.timestamp()
        self.counts = {key: count for key, count in self.counts.items() if key[1] != tenant}

    def take(
        self, switches: Switches, client_id: str, tenant: str, now: datetime, in_progress: int = 0
    ) -> Left | TooMany:
        """Count one call, or say which limit it breaks; a refused call is not counted.

        Without a tenant only the app's own limit is asked.
        """
        if not switches.limits:
            return Left(switches.day_limit, switches.minute_limit, switches.app_minute_limit)
        counted = {
            (tenant, DAY): self._count(client_id, tenant, DAY, now),
            (tenant, MINUTE): self._count(client_id, tenant, MINUTE, now),
            ("", MINUTE): self._count(client_id, "", MINUTE, now),
        }
        if in_progress >= switches.concurrent_limit:
            return TooMany("concurrent", None, _left(switches, counted, tenant))
        for problem, window, limit in _limits(switches, tenant):
            if counted[window] >= limit:
                rest = self._window(*window, now)[1]
                return TooMany(problem, math.ceil(rest), _left(switches, counted, tenant))
        for window in counted:
            counted[window] += 1
            self.counts[client_id, *window] = (self._window(*window, now)[0], counted[window])
        return _left(switches, counted, tenant)

    def _count(self, client_id: str, tenant: str, seconds: int, now: datetime) -> int:
        """Return the calls of the window `now` lies in."""
        window = self._window(tenant, seconds, now)[0]
        counted, calls = self.counts.get((client_id, tenant, seconds), (window, 0))
        return calls if counted == window else 0

    def _window(self, tenant: str, seconds: int, now: datetime) -> tuple[int, float]:
        """Return the number of the window `now` lies in, and the seconds until its end."""
        since = now.timestamp() - self.starts.get(tenant, _offset(tenant))
        return math.floor(since / seconds), seconds - since % seconds


def _limits(switches: Switches, tenant: str) -> list[tuple[str, tuple[str, int], int]]:
    """Return name, window and allowance of each limit a call is held against."""
    app = ("appminute", ("", MINUTE), switches.app_minute_limit)
    if not tenant:
        return [app]
    return [
        app,
        ("day", (tenant, DAY), switches.day_limit),
        ("minute", (tenant, MINUTE), switches.minute_limit),
    ]


def _left(switches: Switches, counted: dict[tuple[str, int], int], tenant: str) -> Left:
    return Left(
        day=max(0, switches.day_limit - counted[tenant, DAY]),
        minute=max(0, switches.minute_limit - counted[tenant, MINUTE]),
        app_minute=max(0, switches.app_minute_limit - counted["", MINUTE]),
    )


def _offset(tenant: str) -> float:
    """Every tenant's windows start at another moment of the day."""
    return int.from_bytes(hashlib.sha256(tenant.encode()).digest()[:4]) % DAY
