"""When a connection's nightly sync begins. Pure: "now" is an argument, and so are the night and the zone.

Every connection has a minute of its own, the same one each night and on every machine. The minutes lie in the first
five sixths of the night, so that the last sync to begin has the rest of it to end in.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

DAY = 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Hours:
    """The night by a business's own clocks: when it opens, and how many minutes it lasts. It may pass midnight."""

    opens: time
    minutes: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "00:00-06:00" or "22:00-04:00". Raises `ValueError`."""
        opens, dash, closes = text.strip().partition("-")
        if not dash:
            raise ValueError(f"{text!r} is not a night like 00:00-06:00")
        first, last = _clock(opens), _clock(closes)
        minutes = (_minutes(last) - _minutes(first)) % DAY
        if not minutes:
            raise ValueError(f"{text!r} is a night without a minute")
        return cls(first, minutes)

    @property
    def to_begin(self) -> int:
        """In how many of its minutes, from the first on, syncs begin."""
        return max(self.minutes * 5 // 6, 1)


def minute_of(connection: int, hours: Hours) -> int:
    """Return the minute of the night this connection begins at, counted from its opening.

    From a digest of its number, since neighbours must not begin together and Python's own hash differs by process.
    """
    digest = hashlib.blake2b(str(connection).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % hours.to_begin


def next_begin(connection: int, zone: ZoneInfo, hours: Hours, after: datetime) -> datetime:
    """Return the first begin later than `after`, in UTC: one for each local day on which a night opens."""
    today = after.astimezone(zone).date()
    days = (today + timedelta(days=number) for number in (-1, 0, 1, 2))  # yesterday's night may pass midnight
    minute = minute_of(connection, hours)
    return next(at for day in days if (at := _begin(day, minute, zone, hours)) > after)


def _begin(day: date, minute: int, zone: ZoneInfo, hours: Hours) -> datetime:
    """The instant at which that day's clocks show the minute.

    In spring a minute that is skipped falls as much later; in autumn the first of the two counts.
    """
    shown = datetime.combine(day, hours.opens) + timedelta(minutes=minute)
    return shown.replace(tzinfo=zone).astimezone(UTC)


def _clock(text: str) -> time:
    hour, colon, minute = text.strip().partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal()):
        raise ValueError(f"{text!r} is not a time like 06:00")
    return time(int(hour), int(minute))


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute
