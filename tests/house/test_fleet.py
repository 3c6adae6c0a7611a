"""The simulated night of the bench: it does all the work of a night, and it can tell when that was too much."""

from datetime import datetime

import pytest

from bench import fleet
from bench.fleet import RECEIPTS, SLOTS, ZONE, Night

NOVEMBER, MARCH = datetime(2026, 11, 24, tzinfo=ZONE), datetime(2027, 3, 14, tzinfo=ZONE)


def test_every_connection_has_all_its_documents_notes_and_receipts_in_the_end():
    night = Night(NOVEMBER, 20, SLOTS)
    outcome = night.run()
    assert (outcome.late, outcome.starved) == (0, 0)
    assert all(sync.done and sync.listed == fleet.PURCHASES for sync in night.syncs)
    assert outcome.xero_calls >= 20 * (RECEIPTS + fleet.PURCHASES // fleet.BATCH)


@pytest.fixture(autouse=True)
def _published(settings) -> None:
    """The limits PEX and Xero have published, which the other tests do without."""
    settings.PEX_CALLS_A_MINUTE, settings.XERO_CALLS_A_MINUTE = 120, 60


def test_no_limit_is_ever_broken():
    night = Night(NOVEMBER, 1, SLOTS)
    begun: list[float] = []
    original = night._begin

    def counted(sync, system, now):
        wait = original(sync, system, now)
        if not wait and system == fleet.PEX:
            begun.append(now)
        return wait

    night._begin = counted
    night.run()
    assert len(begun) > 2 * fleet.PURCHASES
    assert max(sum(at <= other < at + 60 for other in begun) for at in begun) <= 120


def test_too_few_workers_leave_somebody_late_and_starved(monkeypatch):
    monkeypatch.setattr(fleet, "LATENCY", 6.0)
    outcome = Night(NOVEMBER, 60, 1).run()
    assert outcome.late
    assert outcome.starved
    assert outcome.slots == 1


@pytest.mark.parametrize(("day", "hours"), [(NOVEMBER, 6), (MARCH, 5)])
def test_the_night_is_an_hour_shorter_where_the_clocks_skip_one(day, hours):
    assert Night(day, 1, SLOTS).ends == hours * 3600
