"""The counting: in every stretch of a limit's length no more calls than it allows, whatever order things happen in."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import redis
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as some

from connectors import pace
from connectors.limits import (
    ARRIVAL,
    AT_ONCE,
    NOTHING,
    RESERVED,
    SPARE,
    WORK,
    Limiter,
    Limits,
    Rate,
    Refusal,
    Said,
    Use,
    Wait,
)

PEOPLE, WRITE = Use(people=True), Use(writes=True)
MINUTE = Rate("minute", 60, 3)


def limits(*rates: Rate, at_once: int | None = None, kept_at_once: int = 0, key: str = "acme") -> tuple[Limits, ...]:
    return (Limits(key, rates, at_once, kept_at_once),)


@dataclass
class Clocked:
    """A limiter with a clock of its own; calls end at once unless told otherwise."""

    each: tuple[Limits, ...]
    limiter: Limiter = field(default_factory=Limiter)
    now: float = 1000.0
    number: int = 0

    def begin(self, use: Use = WORK) -> str | Wait:
        self.number += 1
        call = f"call {self.number}"
        return self.limiter.reserve(self.now, self.each, call, use) or call

    def end(self, call: str | Wait, said: Said = NOTHING) -> float:
        assert isinstance(call, str)
        return self.limiter.release(self.now, self.each, call, said)

    def call(self, use: Use = WORK, said: Said = NOTHING) -> None:
        self.end(self.begin(use), said)

    def wait(self, use: Use = WORK) -> float:
        """Seconds a call would have to wait; nought when it went."""
        found = self.begin(use)
        if isinstance(found, Wait):
            return found.seconds
        self.end(found)
        return 0.0


def test_a_fresh_minute_goes_at_once_and_the_next_call_when_the_first_has_aged():
    acme = Clocked(limits(MINUTE))
    for _ in range(3):
        acme.call()
        acme.now += 1
    assert acme.begin() == Wait(57.0, "minute")
    acme.now += 57
    assert acme.wait() == 0


def test_a_call_counts_from_its_end_since_it_may_arrive_as_late_as_that():
    acme = Clocked(limits(Rate("minute", 60, 1)))
    slow = acme.begin()
    acme.now += 20
    acme.end(slow)
    acme.now += 59
    assert acme.wait() == pytest.approx(1)


def test_a_call_whose_worker_died_counts_until_it_must_have_arrived():
    acme = Clocked(limits(MINUTE, at_once=1))
    acme.begin()
    assert acme.begin() == Wait(ARRIVAL, AT_ONCE)
    acme.now += ARRIVAL
    assert acme.wait() == 0


def test_an_end_that_comes_after_that_changes_nothing():
    acme = Clocked(limits(Rate("minute", 60, 1)))
    lost = acme.begin()
    acme.now += ARRIVAL + 10
    acme.end(lost)
    assert acme.wait() == pytest.approx(50)


def test_of_two_rates_the_longer_wait_counts():
    acme = Clocked(limits(Rate("minute", 60, 1), Rate("hour", 3600, 1)))
    acme.call()
    assert acme.begin() == Wait(3600, "hour")


def test_a_call_is_counted_against_all_its_limits_or_none():
    company, app = Limits("company", (Rate("minute", 60, 5),)), Limits("app", (Rate("appminute", 60, 1),))
    limiter = Limiter()
    assert limiter.reserve(0, (company, app), "a") is None
    assert limiter.reserve(0, (company, app), "b") == Wait(60, "appminute")
    assert len(limiter.meter("company").running) == 1


class TestPeople:
    def test_a_share_is_kept_for_them_while_a_page_is_open(self):
        acme = Clocked(limits(Rate("minute", 60, 3, kept=1), at_once=2, kept_at_once=1))
        acme.limiter.open_page(acme.now, "acme", 60)
        one = acme.begin()
        assert acme.begin() == Wait(ARRIVAL, AT_ONCE)
        acme.end(acme.begin(PEOPLE))
        acme.end(one)
        assert acme.wait() == 60
        assert acme.wait(PEOPLE) == 0

    def test_without_an_open_page_work_may_use_all(self):
        acme = Clocked(limits(Rate("minute", 60, 3, kept=1)))
        acme.limiter.open_page(acme.now, "acme", 60)
        acme.now += 60
        assert [acme.wait() for _ in range(3)] == [0, 0, 0]
        assert acme.wait() == 60


class TestWhatTheOtherSideSays:
    def test_calls_of_others_count(self):
        acme = Clocked(limits(MINUTE))
        acme.call(said=Said({"minute": 1}))
        acme.call(said=Said({"minute": 0}))
        assert acme.begin() == Wait(60, "minute")
        assert acme.wait(PEOPLE) == 60

    def test_an_older_answer_that_comes_late_gives_nothing_back(self):
        acme = Clocked(limits(Rate("minute", 60, 60)))
        first, second = acme.begin(), acme.begin()
        acme.end(second, Said({"minute": 0}))
        acme.end(first, Said({"minute": 1}))
        assert acme.wait() == 60

    def test_a_new_window_of_theirs_is_taken(self):
        acme = Clocked(limits(Rate("minute", 60, 60)))
        acme.call(said=Said({"minute": 0}))
        acme.now += 5
        assert acme.wait() == 55
        acme.now += 55
        acme.call(said=Said({"minute": 59}))
        assert acme.wait() == 0

    def test_their_allowance_never_lifts_ours(self):
        acme = Clocked(limits(MINUTE))
        for _ in range(3):
            acme.call(said=Said({"minute": 50}))
        assert acme.wait() == 60

    def test_the_last_calls_of_the_day_are_not_for_writes(self):
        acme = Clocked(limits(Rate("day", 86_400, spare=30)))
        acme.call(WRITE, Said({"day": 30}))
        acme.call(WRITE, Said({"day": 29}))
        acme.now += 100
        assert acme.begin(WRITE) == Wait(86_300, SPARE)
        assert acme.wait() == 0
        acme.now += 86_300
        assert acme.wait(WRITE) == 0

    def test_a_write_that_can_wait_leaves_room_for_the_others(self):
        acme = Clocked(limits(Rate("day", 86_400, spare=30, reserve=100)))
        acme.call(said=Said({"day": 133}))
        assert acme.wait(Use(writes=True, leaves=3)) == 0
        assert acme.begin(Use(writes=True, leaves=4)) == Wait(86_400, RESERVED)
        acme.call(said=Said({"day": 129}))
        assert acme.begin(Use(writes=True, leaves=0)) == Wait(86_400, RESERVED)
        assert acme.wait(WRITE) == 0
        acme.call(said=Said({"day": 29}))
        assert acme.begin(Use(writes=True, leaves=0)) == Wait(86_400, SPARE)

    def test_a_new_day_of_theirs_lets_writes_go_on(self):
        acme = Clocked(limits(Rate("day", 86_400, spare=30)))
        acme.call(said=Said({"day": 3}))
        acme.call(said=Said({"day": 4999}))
        assert acme.wait(WRITE) == 0


class TestRefused:
    def refuse(self, acme: Clocked, after: float | None, why: str = "minute") -> float:
        return acme.end(acme.begin(), Said(refused=(Refusal("acme", why, after, 5),)))

    def test_nobody_calls_before_the_time_that_was_named(self):
        acme = Clocked(limits(MINUTE))
        assert self.refuse(acme, 22) == 22
        acme.now += 21.9
        found = acme.begin(PEOPLE)
        assert isinstance(found, Wait)
        assert found.seconds == pytest.approx(0.1)
        acme.now += 0.1
        assert acme.wait() == 0

    def test_a_shorter_time_named_later_does_not_open_earlier(self):
        acme = Clocked(limits(MINUTE))
        one, other = acme.begin(), acme.begin()
        acme.end(one, Said(refused=(Refusal("acme", "day", 900, 5),)))
        acme.end(other, Said(refused=(Refusal("acme", "minute", 20, 5),)))
        assert acme.begin() == Wait(900, "day")

    def test_without_a_time_the_waits_grow_and_a_good_answer_ends_that(self):
        acme = Clocked(limits(Rate("minute", 60, 100)))
        waits = []
        for _ in range(8):
            waits.append(self.refuse(acme, None))
            acme.now += waits[-1]
        assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
        acme.call()
        assert self.refuse(acme, None) == 5

    def test_another_key_is_not_concerned(self):
        acme = Clocked((Limits("acme"), Limits("app")))
        self.refuse(acme, 60)
        assert acme.limiter.reserve(acme.now, (Limits("rival"), Limits("app")), "x") is None


# --- every stretch, and Redis ----------------------------------------------------------------------------------------

BOTH = (
    Limits(
        "company", (Rate("minute", 60, 6, kept=1), Rate("day", 86_400, spare=3, reserve=2)), at_once=3, kept_at_once=1
    ),
    Limits("app", (Rate("appminute", 60, 8),)),
)


@given(
    some.lists(some.tuples(some.floats(0, 40), some.floats(0, 25), some.floats(0, 1)), max_size=60),
    some.integers(1, 5),
)
def test_no_window_of_theirs_ever_holds_more_than_the_limit(calls, most):
    """Calls come after any pause, take any time below `ARRIVAL`, and arrive anywhere within that time."""
    limiter, each, now = Limiter(), limits(Rate("minute", 60, most)), 0.0
    arrivals: list[float] = []
    running: list[tuple[float, str]] = []
    for number, (pause, lasts, arrives) in enumerate(calls):
        now += pause
        for end, call in sorted(running):
            if end <= now:
                limiter.release(end, each, call)
                running.remove((end, call))
        if limiter.reserve(now, each, str(number)) is None:
            running.append((now + lasts, str(number)))
            arrivals.append(now + lasts * arrives)
    arrivals.sort()
    assert all(later - first >= 60 - 1e-6 for first, later in zip(arrivals, arrivals[most:], strict=False))


class Told:
    """`Limiter`'s manner for the script, which is handed the time."""

    def __init__(self, url: str, prefix: str) -> None:
        self.client, self.prefix, self.now = redis.Redis.from_url(url), prefix, 0.0

    def run(self, order: str, each: tuple[Limits, ...], *words: str) -> Any:
        script = pace._script().text.replace('redis.call("TIME")', '{ARGV[#ARGV], "0"}')
        keys = [f"{self.prefix}:{one.key}:{part}" for one in each for part in ("calls", "facts")]
        return self.client.eval(script, len(keys), *keys, order, "0", pace._packed(each), *words, f"{self.now:.6f}")

    def reserve(self, now: float, each: tuple[Limits, ...], call: str, use: Use) -> Wait | None:
        self.now = now
        leaves = "" if use.leaves is None else str(use.leaves)
        found = self.run("begin", each, call, str(int(use.people)), str(int(use.writes)), leaves)
        return Wait(float(found[0]), found[1].decode()) if found else None

    def release(self, now: float, each: tuple[Limits, ...], call: str, said: Said) -> float:
        self.now = now
        facts = {"left": dict(said.left), "refused": [vars_of(one) for one in said.refused]}
        return float(self.run("end", each, call, json.dumps(facts)))

    def open_page(self, now: float, key: str, seconds: float) -> None:
        self.now = now
        self.run("page", (Limits(key),), str(seconds))


def vars_of(refusal: Refusal) -> dict[str, Any]:
    found = {"key": refusal.key, "why": refusal.why, "after": refusal.after, "first": refusal.first}
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[[], Told]]:
    """Makes a fresh count in Redis each time; nothing of it stays."""
    made: list[Told] = []

    def make() -> Told:
        made.append(Told(settings.REDIS_URL, f"limits-test-{uuid.uuid4()}"))
        return made[-1]

    yield make
    for told in made:
        for key in told.client.scan_iter(f"{told.prefix}:*"):
            told.client.delete(key)
        told.client.close()


if settings.REDIS_URL:  # run with what touches the database, which CI runs on Redis

    @pytest.mark.database
    @pytest.mark.parametrize("seed", range(12))
    def test_redis_counts_as_the_process_does(script, seed):
        dice, ours, theirs, now = Random(seed), Limiter(), script(), 1000.0
        running: list[str] = []
        for number in range(300):
            what = dice.choices(("begin", "end", "refuse", "pass", "long", "page"), (45, 25, 12, 12, 1, 4))[0]
            if what == "begin":
                leaves = dice.choice([None, None, 0, 2])
                use = Use(people=dice.random() < 0.3, writes=dice.random() < 0.5, leaves=leaves)
                found, other = ours.reserve(now, BOTH, str(number), use), theirs.reserve(now, BOTH, str(number), use)
                assert (found and found.why) == (other and other.why)
                assert (found and found.seconds) == pytest.approx(other and other.seconds, abs=1e-3)
                running += [] if found else [str(number)]
            elif what in ("end", "refuse") and running:
                call, left = running.pop(dice.randrange(len(running))), dice.choice([None, *range(12), 4000])
                said = Said({} if left is None else {"minute": left, "day": left, "appminute": 6})
                if what == "refuse":
                    said = Said(refused=(Refusal("company", "minute", dice.choice([None, 1, 40]), 5),))
                assert ours.release(now, BOTH, call, said) == pytest.approx(theirs.release(now, BOTH, call, said))
            elif what == "pass":
                now += dice.uniform(0, 15)
            elif what == "long":
                now += dice.choice([31, 61, 90_000])
            elif what == "page":
                ours.open_page(now, "company", 60)
                theirs.open_page(now, "company", 60)
