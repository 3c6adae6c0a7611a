"""How often an outside system may be called: its limits as data, and the counting against them. Pure.

A limit holds in *every* stretch of its length. The other side's windows begin when they like, so a count that starts
anew at some edge of ours could let twice as many calls through around an edge of theirs. For the same reason a call
counts until so many seconds after its *end*: it may arrive there at any moment in between. Nothing is spread out: as
long as there is room, calls go at once.

`pace.lua` does the same counting in Redis; a test holds the two to each other.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ARRIVAL = 30.0  # seconds after which what was sent has arrived or never will: the sockets' user time-out (rule L4)
LONGEST_BACK_OFF = 300.0  # seconds, between refusals that name no time
LATE = 5  # an allowance that rose by no more is an older answer that came late; by more, a new window
AT_ONCE = "at once"
SPARE = "spare"
RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many calls in any stretch of so many seconds. Headers and sentences speak of it by its name."""

    name: str
    seconds: float
    calls: int | None = None  # None: not counted here, the other side tells how many are left
    kept: int = 0  # of them, for people while a page is open
    spare: int = 0  # of those the other side says are left: no write touches them (rule L12)
    reserve: int = 0  # of the others: no write that can wait touches them


@dataclass(frozen=True, slots=True)
class Limits:
    """What one key of an outside system allows: an app with one company, a business, a path."""

    key: str
    rates: tuple[Rate, ...] = ()
    at_once: int | None = None  # calls under way; None: any number
    kept_at_once: int = 0  # of them, for people while a page is open


@dataclass(frozen=True, slots=True)
class Use:
    """What a call is for."""

    people: bool = False  # somebody waits at a page for its answer
    writes: bool = False
    leaves: int | None = None  # of a write that can wait: so many calls it leaves to others, beside the reserve


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: ask again in so many seconds.

    `why`: a rate's name, `AT_ONCE`, `SPARE`, `RESERVED`, or what a refusal was about.
    """

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The other side refused a call for its pace. Without `after` we back off, `first` seconds and then ever longer."""

    key: str
    why: str
    after: float | None  # seconds
    first: float


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer told about the limits."""

    left: Mapping[str, int] = field(default_factory=dict)  # calls still allowed, by the name of the rate
    refused: tuple[Refusal, ...] = ()


@dataclass(slots=True)
class Told:
    """How many calls the other side says are left, less those begun since; until its window has surely ended."""

    left: int
    ends_at: float


WORK = Use()
NOTHING = Said()


class Meter:
    """The calls of one key. Whoever asks says what time it is, in seconds of any one clock."""

    def __init__(self) -> None:
        self.running: dict[str, float] = {}  # call -> when it has arrived at the latest
        self.ended: list[float] = []  # when calls ended, oldest first
        self.told: dict[str, Told] = {}
        self.closed_until = 0.0
        self.why = ""  # it is closed
        self.refusals = 0  # in a row that named no time
        self.page_until = 0.0

    def wait(self, now: float, limits: Limits, use: Use) -> Wait | None:
        """Why a call may not begin now; None when it may. The longest wait counts, a full house comes last."""
        self._let_arrive(now, max((rate.seconds for rate in limits.rates if rate.calls is not None), default=0.0))
        if now < self.closed_until:
            return Wait(self.closed_until - now, self.why)
        keep = not use.people and now < self.page_until
        waits = [wait for rate in limits.rates for wait in self._waits(now, rate, use, keep)]
        if waits:
            return max(waits, key=lambda wait: wait.seconds)
        if limits.at_once is not None and len(self.running) >= limits.at_once - keep * limits.kept_at_once:
            return Wait(min(self.running.values(), default=now + ARRIVAL) - now, AT_ONCE)
        return None

    def begin(self, now: float, call: str) -> None:
        self.running[call] = now + ARRIVAL
        for told in self.told.values():
            told.left -= 1

    def end(self, now: float, call: str) -> None:
        arrived = self.running.pop(call, None)
        if arrived is not None:
            insort(self.ended, min(arrived, now))

    def hear(self, now: float, rate: Rate, left: int) -> None:
        """Take what the other side counts. It counts calls we know nothing of: what is left only falls in a window."""
        known = self.told.get(rate.name)
        if known is None or now >= known.ends_at or left > known.left + LATE:
            self.told[rate.name] = Told(left, now + rate.seconds)
        else:
            known.left = min(known.left, left)

    def close(self, now: float, refusal: Refusal) -> float:
        """No call until the time the other side named, or after a back-off. Returns the seconds."""
        if refusal.after is None:
            seconds = min(refusal.first * 2.0**self.refusals, max(LONGEST_BACK_OFF, refusal.first))
            self.refusals += 1
        else:
            seconds = refusal.after
        if now + seconds > self.closed_until:
            self.closed_until, self.why = now + seconds, refusal.why
        return seconds

    def _let_arrive(self, now: float, longest: float) -> None:
        for call in [call for call, at in self.running.items() if at <= now]:
            insort(self.ended, self.running.pop(call))
        del self.ended[: bisect_right(self.ended, now - longest)]

    def _waits(self, now: float, rate: Rate, use: Use, keep: bool) -> Iterator[Wait]:
        kept = rate.kept if keep else 0
        told = self.told.get(rate.name)
        if rate.calls is None:
            if use.writes and told and now < told.ends_at and told.left < _untouched(rate, use):
                yield Wait(told.ends_at - now, SPARE if told.left < rate.spare else RESERVED)
            return
        if told and now < told.ends_at and told.left <= kept:
            yield Wait(told.ends_at - now, rate.name)
        left_behind = bisect_right(self.ended, now - rate.seconds)
        too_many = len(self.ended) - left_behind + len(self.running) - (rate.calls - kept)
        if too_many >= 0:
            place = left_behind + too_many  # of the call that must be so long ago
            oldest = self.ended[place] if place < len(self.ended) else now
            yield Wait(oldest + rate.seconds - now, rate.name)


def _untouched(rate: Rate, use: Use) -> int:
    """How many of the calls left a write must find, to be one of them."""
    return rate.spare if use.leaves is None else rate.spare + rate.reserve + use.leaves


class Limiter:
    """All keys together, for one process or a simulation."""

    def __init__(self) -> None:
        self.meters: dict[str, Meter] = {}

    def reserve(self, now: float, limits: Sequence[Limits], call: str, use: Use = WORK) -> Wait | None:
        """Begin a call against all its limits at once, or none and say how long to wait."""
        meters = [self.meter(each.key) for each in limits]
        for meter, each in zip(meters, limits, strict=True):
            wait = meter.wait(now, each, use)
            if wait is not None:
                return wait
        for meter in meters:
            meter.begin(now, call)
        return None

    def release(self, now: float, limits: Sequence[Limits], call: str, said: Said = NOTHING) -> float:
        """The call has ended. Returns the longest wait in seconds a refusal asks for."""
        seconds = 0.0
        for each in limits:
            meter = self.meter(each.key)
            meter.end(now, call)
            for rate in each.rates:
                if rate.name in said.left:
                    meter.hear(now, rate, said.left[rate.name])
            refusals = [refusal for refusal in said.refused if refusal.key == each.key]
            if not said.refused:
                meter.refusals = 0
            seconds = max([seconds, *(meter.close(now, refusal) for refusal in refusals)])
        return seconds

    def open_page(self, now: float, key: str, seconds: float) -> None:
        self.meter(key).page_until = now + seconds

    def meter(self, key: str) -> Meter:
        return self.meters.setdefault(key, Meter())
