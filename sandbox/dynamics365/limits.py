"""Limits of one user: calls in a sliding window, calls running at once, and calls waiting for their turn.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/administration/operational-limits-online
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sandbox.dynamics365.switches import Switches
from sandbox.dynamics365.values import Refused
from sandbox.dynamics365.world import BusinessCentralWorld


class TooMany(Refused):
    """Refused before any work was done. `retry_after`: seconds; 0: the answer names none."""

    def __init__(self, actual: int, most: int, retry_after: int) -> None:
        message = f"Too many requests reached. Actual ({actual}). Maximum ({most})."
        super().__init__("Application_TooManyRequests", message, 429)
        self.retry_after = retry_after


def take(world: BusinessCentralWorld, user_id: str, cost: int) -> None:
    """Count a call, or each operation of a batch. A refused call is not counted. Raises TooMany."""
    switches = world.switches
    if not switches.limits:
        return
    now, calls = world.now(), world.calls.setdefault(user_id, deque())
    while calls and calls[0] <= now - timedelta(seconds=switches.window_seconds):
        calls.popleft()
    cost = cost if switches.inner_counts else 1
    if len(calls) + cost > switches.window_limit:
        raise TooMany(len(calls) + cost, switches.window_limit, switches.retry_after)
    calls.extend([now] * cost)


class Slots:
    """Who is being served and who waits, per user."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.freed = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, user_id: str, switches: Switches) -> AsyncIterator[None]:
        """Wait for a slot and hold it. Raises TooMany when too many wait already."""
        async with self.freed:
            if self._full(user_id, switches):
                await self._wait(user_id, switches)
            self.running[user_id] += 1
        try:
            yield
        finally:
            async with self.freed:
                self.running[user_id] -= 1
                self.freed.notify_all()

    def _full(self, user_id: str, switches: Switches) -> bool:
        return switches.limits and self.running[user_id] >= switches.concurrent_limit

    async def _wait(self, user_id: str, switches: Switches) -> None:
        if self.waiting[user_id] >= switches.queue_limit:
            raise TooMany(self.waiting[user_id] + 1, switches.queue_limit, switches.retry_after)
        self.waiting[user_id] += 1
        try:
            await self.freed.wait_for(lambda: not self._full(user_id, switches))
        finally:
            self.waiting[user_id] -= 1
