"""Usage limits, off until the world's switch turns them on."""

import re
from datetime import datetime, timedelta
from math import ceil

from sandbox.pex.asks import Refused
from sandbox.pex.world import Limit, PexWorld


def count_call(world: PexWorld, who: str, method: str, path: str, now: datetime) -> None:
    """Count a call against every limit it falls under; refuse it, uncounted, when one is used up."""
    if not world.switches.limits:
        return
    matching = [(limit, _recent(world, who, limit, now)) for limit in _matching(world, method, path)]
    for limit, hits in matching:
        if len(hits) >= limit.calls:
            raise _exceeded(world, limit, hits, now)
    for _, hits in matching:
        hits.append(now)


def _matching(world: PexWorld, method: str, path: str) -> list[Limit]:
    return [
        limit
        for limit in world.switches.limit_table
        if limit.method in ("", method) and re.fullmatch(limit.path, path, re.IGNORECASE)
    ]


def _recent(world: PexWorld, who: str, limit: Limit, now: datetime) -> list[datetime]:
    hits = world.hits.setdefault((who, limit.method, limit.path), [])
    since = now - timedelta(seconds=limit.seconds)
    hits[:] = [hit for hit in hits if hit > since]
    return hits


def _exceeded(world: PexWorld, limit: Limit, hits: list[datetime], now: datetime) -> Refused:
    free_at = hits[-limit.calls] + timedelta(seconds=limit.seconds) if limit.calls else None
    wait = ceil((free_at - now).total_seconds()) if free_at else limit.seconds
    headers = {"Retry-After": str(max(wait, 1))} if world.switches.retry_after else {}
    return Refused(429, "Usage Limits Exceeded", headers)
