from datetime import UTC, date, datetime, timedelta

import pytest

from connectors.settings import Settings
from syncjobs import window
from syncjobs.window import Window

TODAY = date(2026, 11, 21)


def settings(start: date | None = None, end: date | None = None) -> Settings:
    return Settings(start_date=start, end_date=end)


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2024, 11, 30), date(2023, 11, 30)),
        (date(2024, 2, 29), date(2023, 2, 28)),
        (date(2026, 1, 1), date(2025, 1, 1)),
    ],
)
def test_nothing_older_than_a_year_syncs(day, before):
    assert window.one_year_before(day) == before


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2026, 4, 30), date(2026, 2, 28)),
        (date(2026, 1, 31), date(2025, 11, 30)),
        (date(2026, 11, 21), date(2026, 9, 21)),
    ],
)
def test_two_months_end_on_a_day_that_exists(day, before):
    assert window.two_months_before(day) == before


def test_without_a_start_date_two_months_are_synced():
    assert window.manual(settings(), TODAY) == Window(date(2026, 9, 21), TODAY)


def test_a_start_date_that_aged_past_a_year_is_clamped_not_refused():
    assert window.manual(settings(start=date(2024, 1, 1)), TODAY).first == date(2025, 11, 21)


def test_an_override_wins_for_one_run_but_not_over_the_year():
    saved = settings(start=date(2026, 10, 1), end=date(2026, 10, 31))
    assert window.manual(saved, TODAY, first=date(2026, 3, 1), last=date(2026, 3, 31)) == Window(
        date(2026, 3, 1), date(2026, 3, 31)
    )
    assert window.manual(saved, TODAY, first=date(2020, 1, 1)).first == date(2025, 11, 21)


def test_both_days_of_the_window_belong_to_it():
    days = window.manual(settings(start=date(2026, 10, 1), end=date(2026, 10, 31)), TODAY)
    assert date(2026, 10, 1) in days
    assert date(2026, 10, 31) in days
    assert date(2026, 11, 1) not in days


def test_the_night_reaches_back_two_months_at_most():
    assert window.automatic(settings(start=date(2026, 1, 1)), TODAY).first == date(2026, 9, 21)
    assert window.automatic(settings(start=date(2026, 11, 1)), TODAY).first == date(2026, 11, 1)


def test_an_end_date_in_the_future_ends_today():
    assert window.manual(settings(end=date(2027, 1, 1)), TODAY).last == TODAY


def test_pex_is_read_with_overlap_from_the_oldest_open_row_but_never_beyond_its_year():
    days = Window(date(2026, 11, 1), TODAY)
    assert window.to_read(days, None, TODAY).first == date(2026, 9, 2)
    assert window.to_read(days, date(2026, 1, 5), TODAY).first == date(2026, 7, 24)
    assert window.to_read(Window(date(2025, 11, 25), TODAY), None, TODAY).first == date(2025, 11, 21)


def test_by_night_two_months_are_read_at_least_so_that_connections_share_a_read():
    days = Window(date(2026, 11, 15), TODAY)
    assert window.to_read(days, None, TODAY).first == date(2026, 9, 16)
    assert window.to_read(days, None, TODAY, nightly=True).first == date(2026, 7, 23)


NOW = datetime(2026, 11, 21, 7, tzinfo=UTC)


def days_before(number: float) -> datetime:
    return NOW - timedelta(days=number)


@pytest.mark.parametrize(
    ("begun", "done", "tried", "due"),
    [
        (None, None, None, False),
        (days_before(3), None, None, False),
        (days_before(7), None, None, True),
        (days_before(300), days_before(3), days_before(3), False),
        (days_before(300), days_before(6.9), days_before(6.9), True),
        (days_before(300), days_before(9), days_before(0.5), False),
        (days_before(300), days_before(9), days_before(0.95), True),
    ],
)
def test_the_year_is_read_once_a_week_and_after_a_failure_a_day_later(begun, done, tried, due):
    assert window.year_is_due(NOW, begun, done, tried) is due


@pytest.mark.parametrize(
    ("happened", "settled", "shown"),
    [
        (date(2026, 3, 2), date(2026, 3, 4), True),
        (date(2026, 3, 1), date(2026, 3, 4), False),
        (date(2026, 2, 27), date(2026, 3, 4), False),
        (date(2026, 3, 30), date(2026, 3, 31), True),
        (date(2026, 3, 30), date(2026, 4, 1), False),
    ],
)
def test_a_read_must_show_what_lies_in_its_days_by_either_day(happened, settled, shown):
    assert window.shows(Window(date(2026, 3, 1), date(2026, 3, 31)), happened, settled) is shown
