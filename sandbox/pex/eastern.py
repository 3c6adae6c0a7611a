"""US/Eastern wall clock, the time PEX speaks in its lists: no offset, daylight saving observed."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
_WALL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,7})?", re.ASCII)


def wall(instant: datetime) -> datetime:
    """Return the naive Eastern time of an aware instant, cut to the second as PEX shows it."""
    return instant.astimezone(EASTERN).replace(tzinfo=None, microsecond=0)


def instant(wall_time: datetime) -> datetime:
    """Return the aware UTC instant of a naive Eastern time."""
    return wall_time.replace(tzinfo=EASTERN).astimezone(UTC)


def read_wall(text: str) -> datetime:
    """Read a `StartDate` or `EndDate`, dropping fractions. ValueError for anything else, offsets included."""
    if not _WALL.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text[:19])


def months_later(start: datetime, months: int) -> datetime:
    """Return the same day and time so many calendar months away, or the last day of a shorter month."""
    index = start.year * 12 + start.month - 1 + months
    first = start.replace(year=index // 12, month=index % 12 + 1, day=1)
    following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first.replace(day=min(start.day, (following - timedelta(days=1)).day))


def oldest_day(now: datetime) -> date:
    """Return the first day the lists may be asked for: twelve months before today in the East."""
    return months_later(wall(now), -12).date()


def utc_text(moment: datetime) -> str:
    """Return the text of a field whose name ends in `Utc`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
