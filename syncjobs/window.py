"""Which days a run covers. Pure: "today" is an argument, a US/Eastern date."""

from dataclasses import dataclass
from datetime import date, timedelta

from connectors.settings import Settings

OVERLAP = timedelta(days=60)  # a hold may take this long to settle, and PEX may filter by either day


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


def to_read(window: Window, oldest_open: date | None, today: date) -> Window:
    """What PEX is asked for: the window and the oldest open row (at most 60 days before it), with overlap."""
    start = window.first
    if oldest_open:
        start = min(start, max(oldest_open, today - OVERLAP))
    return Window(max(start - OVERLAP, one_year_before(today)), today)


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
