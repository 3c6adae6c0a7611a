"""The words of states, money and time."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from pexsync.pages import words
from pexsync.pages.templatetags.pages import net
from syncjobs import wording

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 5, 3, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1234.5", "$1,234.50"), ("-41.94", "\N{MINUS SIGN}$41.94"), (0, "$0.00"), (None, "—"), ("", "—"), ("soon", "—")],
)
def test_money_has_a_minus_sign_and_cents(amount, shown):
    assert wording.money(amount) == shown


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 5, 3, 4, 1, tzinfo=UTC), "today"),
        (datetime(2026, 5, 3, 3, 59, tzinfo=UTC), "yesterday"),  # still the 2nd in New York
        (datetime(2026, 1, 12, 15, 0, tzinfo=UTC), "12 Jan"),
        (datetime(2025, 12, 31, 15, 0, tzinfo=UTC), "31 Dec 2025"),
    ],
)
def test_days_are_those_of_the_business(moment, shown):
    assert words.day(moment, NOW, NEW_YORK) == shown


@pytest.mark.parametrize(
    ("seconds", "shown", "spoken"),
    [
        (41, "0:41", "41 seconds"),
        (125, "2:05", "2 minutes"),
        (3729, "1:02:09", "1 hour 2 minutes"),
        (1, "0:01", "1 second"),
    ],
)
def test_a_duration_is_shown_and_spoken(seconds, shown, spoken):
    assert words.duration(seconds) == shown
    assert words.spoken_duration(seconds) == spoken


def test_what_is_named_stands_apart_from_what_is_advised():
    assert words.headline("No PROJECTS tag. Tag it in PEX.") == ("no PROJECTS tag", "Tag it in PEX.")
    assert words.headline("April is locked in Xero.") == ("April is locked in Xero", "")


def test_every_state_of_a_connection_has_tone_and_word(acme):
    from connectors.models import Connection

    for state in Connection.State:
        acme.connection.state = state
        tone, word = words.of_connection(acme.connection)
        assert tone in words.SHAPES
        assert word == state.label


def test_a_settings_problem_shows_on_a_ready_connection(acme):
    acme.connection.settings_problem = "429 is archived."
    assert words.of_connection(acme.connection) == ("warn", "Connected: Needs settings")


@pytest.mark.parametrize(
    ("amount", "shown"), [("12.50", "$12.50"), ("0.00", "$0.00"), ("-8283.67", "$8,283.67 into PEX")]
)
def test_a_sum_over_several_kinds_says_when_more_came_in(amount, shown):
    assert net(Decimal(amount)) == shown
