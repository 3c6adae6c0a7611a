"""The minute a nightly sync begins at: its own, the same for ever, once on every local day whatever the clocks do."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncjobs.hours import Hours, minute_of, next_begin

EASTERN = ZoneInfo("America/New_York")
NIGHT = Hours.parse("00:00-06:00")
ZONES = ("America/New_York", "America/Phoenix", "America/Santiago", "Europe/London", "Africa/Cairo", "Asia/Kolkata")


def begins(connection: int, zone: ZoneInfo, hours: Hours, start: datetime, days: int) -> list[datetime]:
    found, at = [], start
    for _ in range(days):
        at = next_begin(connection, zone, hours, at)
        found.append(at)
    return found


@pytest.mark.parametrize(
    ("text", "opens", "minutes"),
    [("00:00-06:00", time(0), 360), (" 22:30 - 04:00 ", time(22, 30), 330), ("1:05-1:06", time(1, 5), 1)],
)
def test_a_night_is_read_as_it_is_written(text, opens, minutes):
    assert Hours.parse(text) == Hours(opens, minutes)


@pytest.mark.parametrize("text", ["", "night", "00:00", "00:00-", "06:00-06:00", "00:00-24:00", "00:00-06:60", "0-6"])
def test_what_is_no_night_is_refused(text):
    with pytest.raises(ValueError):
        Hours.parse(text)


def test_the_minute_of_a_connection_never_changes():
    assert [minute_of(number, NIGHT) for number in (1, 2, 3, 4410)] == [110, 200, 61, 219]


def test_minutes_are_spread_evenly_and_leave_the_end_of_the_night_free():
    crowd = Counter(minute_of(number, NIGHT) for number in range(1, 10_001))
    assert set(crowd) == set(range(300))
    assert max(crowd.values()) <= 60  # 33 in the mean
    assert min(crowd.values()) >= 12


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("text", ["00:00-06:00", "22:00-04:00"])
def test_there_is_exactly_one_night_on_every_local_day_of_a_year(name, text):
    zone, hours = ZoneInfo(name), Hours.parse(text)
    for connection in range(1, 8):
        found = begins(connection, zone, hours, datetime(2026, 1, 1, 12, tzinfo=UTC), 366)
        opened = [(at.astimezone(zone) - timedelta(hours=hours.opens.hour)).date() for at in found]
        assert opened == [opened[0] + timedelta(days=number) for number in range(366)]
        apart = {later - earlier for earlier, later in itertools.pairwise(found)}
        assert apart <= {timedelta(hours=each) for each in (23, 24, 25)}


def test_a_minute_the_clocks_skip_falls_an_hour_later_that_day():
    hours = Hours.parse("02:30-02:31")
    assert next_begin(1, EASTERN, hours, datetime(2026, 3, 8, 5, tzinfo=UTC)) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert datetime(2026, 3, 8, 7, 30, tzinfo=UTC).astimezone(EASTERN).time() == time(3, 30)


def test_a_minute_the_clocks_show_twice_comes_once():
    hours = Hours.parse("01:30-01:31")
    first = next_begin(1, EASTERN, hours, datetime(2026, 11, 1, 4, tzinfo=UTC))
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert next_begin(1, EASTERN, hours, first).astimezone(EASTERN).date() == date(2026, 11, 2)


def test_the_clocks_of_the_business_count():
    hours = Hours.parse("03:00-03:01")
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert next_begin(1, EASTERN, hours, noon) == datetime(2026, 7, 2, 7, tzinfo=UTC)
    assert next_begin(1, ZoneInfo("Asia/Kolkata"), hours, noon) == datetime(2026, 7, 1, 21, 30, tzinfo=UTC)


def test_a_night_that_passes_midnight_belongs_to_the_day_it_opens_on():
    hours = Hours.parse("23:59-00:01")
    connection = 1
    at = next_begin(connection, EASTERN, hours, datetime(2026, 7, 1, 16, tzinfo=UTC))
    assert at == datetime(2026, 7, 2, 3, 59, tzinfo=UTC)
    assert next_begin(connection, EASTERN, hours, at) == at + timedelta(days=1)
