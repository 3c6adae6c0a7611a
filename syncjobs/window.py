"""Which days a run covers. Pure: "today" is an argument, a US/Eastern date."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from connectors.settings import Settings

SHOWN_LATE = timedelta(days=2)  # what settled on a day may be in PEX's list only after the next night
OVERLAP = timedelta(days=60)  # a hold may take this long to settle, and PEX may filter by either day
WEEK = timedelta(days=6, hours=12)  # nights are not begun to the second
DAY = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class Window:
    """Both days included; empty when `first` is after `last`."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


def one_year_before(day: date) -> date:
    """The earliest day anything syncs: on 30 Nov 2024 that is 30 Nov 2023."""
    return _back(day, 12)


def two_months_before(day: date) -> date:
    return _back(day, 2)


def manual(settings: Settings, today: date, first: date | None = None, last: date | None = None) -> Window:
    """By hand: the Start Date (empty: two months), overridden for one run, never beyond a year."""
    start = first or settings.start_date or two_months_before(today)
    return Window(max(start, one_year_before(today)), _end(last or settings.end_date, today))


def automatic(settings: Settings, today: date) -> Window:
    """By night: the later of the Start Date and two months back."""
    reach = two_months_before(today)
    start = max(settings.start_date, reach) if settings.start_date else reach
    return Window(start, _end(settings.end_date, today))


def has_ended(settings: Settings, today: date) -> bool:
    """Whether every night that could show something settled up to the End Date is over."""
    return settings.end_date is not None and today > settings.end_date + SHOWN_LATE


def to_read(window: Window, oldest_open: date | None, today: date, nightly: bool = False) -> Window:
    """What PEX is asked for: the window and the oldest open row (at most 60 days back), with overlap.

    By night two months at least, so that the connections of one business can share a read.
    """
    start = min(window.first, two_months_before(today)) if nightly else window.first
    if oldest_open:
        start = min(start, max(oldest_open, today - OVERLAP))
    return Window(max(start - OVERLAP, one_year_before(today)), today)


def the_year(today: date) -> Window:
    """All that PEX answers for and all that may still be due."""
    return Window(one_year_before(today), today)


def year_is_due(now: datetime, begun: datetime | None, done: datetime | None, tried: datetime | None) -> bool:
    """Whether the whole year is read this time: approvals, tags and notes of old rows change too.

    Once a week: the first time a week after the reads have `begun`, later a week after it was last `done`. One that
    was `tried` and did not come to its end is tried again a day later, since it may be more than PEX gives in an hour.
    """
    if begun is None or (tried is not None and now - tried < DAY):
        return False
    return now - (done or begun) >= WEEK


def shows(days: Window, happened: date, settled: date) -> bool:
    """Whether a read of these days must show a row, by whichever of the two days PEX filters.

    Of the first day PEX may leave out the beginning: its twelve months end to the second.
    """
    return days.first < min(happened, settled) and max(happened, settled) <= days.last


def _end(last: date | None, today: date) -> date:
    return min(last, today) if last else today


def _back(day: date, months: int) -> date:
    """The same day so many months ago, or the last day of a shorter month."""
    count = day.year * 12 + day.month - 1 - months
    year, month = divmod(count, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")
