"""What time it is. In production the wall's; in a simulated world wall plus the offset both sides share."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

EASTERN = ZoneInfo("America/New_York")

_seen: tuple[tuple[Path, int] | None, timedelta] = (None, timedelta())  # which state of which file said what


def now() -> datetime:
    return datetime.now(UTC) + offset()


def today() -> date:
    """The US/Eastern date PEX counts in."""
    return now().astimezone(EASTERN).date()


def database_now() -> datetime:
    """The database's clock, which all workers share, moved by the same offset. On SQLite the host's."""
    if connection.vendor != "postgresql":
        return now()
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        stamp: datetime = cursor.fetchone()[0]
    return stamp + offset()


def offset() -> timedelta:
    """Read the shared offset again only when its file changed. Without a file there is none."""
    global _seen
    path: Path | None = settings.CLOCK_FILE
    if path is None:
        return timedelta()
    try:
        state = (path, os.stat(path).st_mtime_ns)
    except FileNotFoundError:
        return timedelta()
    if state != _seen[0]:
        seconds = float(json.loads(path.read_text())["offset_seconds"])
        _seen = (state, timedelta(seconds=seconds))
    return _seen[1]
