"""A night of ten thousand connections, on a simulated clock. `python -m bench.fleet '{"day": "2026-11-24"}'` prints it.

What decides is the product's own: the minute each connection begins at (`syncjobs.hours`), how many a tick takes
(`syncjobs.night`), what PEX and Xero allow and how calls are counted (`connectors.limits`), and how long a slice waits
in place before it parks its run (`connectors.pace`). Modelled is the work of a run, with the calls that
`bench.measures` counts: documents first, then receipts and notes side by side; a slice that begins anew asks again for
accounts and permissions. Every call lasts 300 ms.
"""

import heapq
import json
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from bench.worker import prepare

CONNECTIONS = 10_000
PURCHASES, RECEIPTS, BATCH = 300, 210, 50
LATENCY = 0.3  # seconds
SLOTS = 150  # three workers of fifty threads, as docs/operations.md recommends
ZONE = ZoneInfo("America/New_York")
STARVED = 3600.0  # seconds after it was due
GIVE_UP = 7200.0  # seconds after the night when the simulation ends, whatever is left

PEX, XERO = "pex", "xero"
# What every slice asks first, and what only the first one does; side by side within the inner parentheses.
OPENING = ((PEX,), (PEX, PEX, XERO, XERO, XERO))
READING = ((PEX,), (PEX,), (PEX,), (XERO,), (XERO,))
# The delivery's jobs and their calls, one after the other.
LIST, NOTE, RECEIPT = "list", "note", "receipt"
CALLS = {LIST: (PEX,), NOTE: (PEX,), RECEIPT: (PEX, XERO)}


@dataclass(slots=True)
class Sync:
    """One connection's run of the night. Times are seconds since its midnight."""

    number: int
    due: float
    began: float | None = None
    ended: float | None = None
    asking: deque[tuple[str, ...]] = field(default_factory=deque)  # what the slice still asks before it works
    documents: int = PURCHASES // BATCH  # still to be posted
    listed: int = 0  # purchases whose receipts are known
    notes: int = 0  # waiting for a thread
    jobs: deque[str] = field(default_factory=deque)  # lists and receipts waiting for one
    threads: list[tuple[str, int]] = field(
        default_factory=list
    )  # the jobs at work, and how many of their calls have begun
    running: list[tuple[str, str]] = field(default_factory=list)  # system and name of the calls of this moment
    park: float = 0.0  # seconds a limit asks for: too long to sit out, so the slice ends

    @property
    def done(self) -> bool:
        return not (self.asking or self.documents or self.notes or self.jobs or self.threads or self.running)


@dataclass(frozen=True, slots=True)
class Outcome:
    late: int  # not finished when the night ended, receipts and notes included
    starved: int
    minutes_left: float  # of the night when the last sync ended
    slots: int  # busy at most
    person_waits: float  # seconds at most until a worker is free for a sync somebody starts by hand
    xero_calls: int


class Night:
    """The clock, the workers and the limits."""

    def __init__(self, day: datetime, connections: int, slots: int) -> None:
        from django.conf import settings

        from syncjobs.hours import Hours, next_begin

        hours, opens = Hours.parse(settings.NIGHT_WINDOW), day.astimezone(UTC)
        closes = (day.replace(tzinfo=None) + timedelta(minutes=hours.minutes)).replace(tzinfo=ZONE).astimezone(UTC)
        self.ends = (closes - opens).total_seconds()  # an hour less where the clocks skip one
        before = opens - timedelta(seconds=1)
        self.syncs = [
            Sync(number, (next_begin(number, ZONE, hours, before) - opens).total_seconds())
            for number in range(1, connections + 1)
        ]
        self.tick_seconds, self.sweep_seconds = settings.NIGHT_SECONDS, settings.SWEEP_SECONDS
        self.free, self.slots, self.busiest = slots, slots, 0
        self.woken: deque[Sync] = deque()  # waiting for a worker
        self.parked: list[tuple[float, int, Sync]] = []
        self.moments: list[tuple[float, int, Sync]] = []  # when a slice at work goes on
        self.names = count()
        self.person_since: float | None = None  # a sync started by hand waits for a worker
        self.person_waits, self.xero_calls = 0.0, 0
        self._know_limits()

    def _know_limits(self) -> None:
        from connectors.limits import AT_ONCE, Limiter, Limits
        from connectors.pace import FEW
        from connectors.pex.client import of_business
        from connectors.xero.client import of_app, of_company
        from syncjobs.delivery import CARRIERS, WRITERS

        self.limiter, self.at_once, self.few = Limiter(), AT_ONCE, FEW
        self.writers, self.carriers = WRITERS, CARRIERS
        app = of_app()
        self.limits: dict[int, dict[str, Sequence[Limits]]] = {
            sync.number: {
                PEX: (of_business(sync.number),),
                XERO: (of_company(f"company-{sync.number}"), app),
            }
            for sync in self.syncs
        }

    def run(self) -> Outcome:
        from syncjobs.night import BATCH as TAKEN

        due = deque(sorted(self.syncs, key=lambda sync: sync.due))
        tick = sweep = 0.0
        while (due or self.woken or self.parked or self.moments) and min(tick, sweep) < self.ends + GIVE_UP:
            now = min(tick, sweep, self.moments[0][0] if self.moments else tick)
            if self.moments and self.moments[0][0] <= now:
                self._go_on(heapq.heappop(self.moments)[2], now)
            elif tick <= now:
                self.woken += [due.popleft() for _ in range(TAKEN) if due and due[0].due <= now]
                tick += self.tick_seconds
            else:
                while self.parked and self.parked[0][0] <= now:
                    self.woken.append(heapq.heappop(self.parked)[2])
                sweep += self.sweep_seconds
                if not self.free and self.person_since is None:
                    self.person_since = now
            self._hand_out(now)
        return self._outcome()

    # --- workers ---

    def _hand_out(self, now: float) -> None:
        """Whoever was woken first gets the next free thread."""
        while self.free and self.woken:
            sync = self.woken.popleft()
            self.free -= 1
            self.busiest = max(self.busiest, self.slots - self.free)
            sync.park, sync.asking = 0.0, deque(OPENING)
            if sync.began is None:
                sync.began = now
                sync.asking += READING
            self._at(now, sync)

    def _at(self, moment: float, sync: Sync) -> None:
        heapq.heappush(self.moments, (moment, next(self.names), sync))

    def _leave(self, sync: Sync, now: float) -> None:
        self.free += 1
        if self.person_since is not None:  # the first thread that is free is theirs
            self.person_waits = max(self.person_waits, now - self.person_since)
            self.person_since = None
        if sync.done:
            sync.ended = now
        else:
            heapq.heappush(self.parked, (now + sync.park, next(self.names), sync))

    # --- one slice ---

    def _go_on(self, sync: Sync, now: float) -> None:
        """The calls that were under way have ended; the next ones begin."""
        self._end_calls(sync, now)
        waits = self._ask(sync, now) if sync.asking else [*self._post(sync, now), *self._deliver(sync, now)]
        if sync.running:
            self._at(now + LATENCY, sync)
        elif sync.park or sync.done:
            self._leave(sync, now)
        else:
            self._at(now + max(min(waits, default=LATENCY), 0.001), sync)

    def _ask(self, sync: Sync, now: float) -> list[float]:
        waits = [self._begin(sync, system, now) for system in sync.asking[0]]
        left = tuple(system for system, wait in zip(sync.asking[0], waits, strict=True) if wait)
        sync.asking.popleft()
        if left:
            sync.asking.appendleft(left)
        return [wait for wait in waits if wait]

    def _post(self, sync: Sync, now: float) -> list[float]:
        if not sync.documents or sync.park:
            return []
        if wait := self._begin(sync, XERO, now):
            return [wait]
        sync.documents -= 1
        sync.jobs += [LIST] * BATCH
        sync.notes += BATCH
        return []

    def _deliver(self, sync: Sync, now: float) -> list[float]:
        if not sync.park:
            self._staff(sync)
        at_work, waiting, waits = [], [], []
        for job, begun in sync.threads:
            wait = self._begin(sync, CALLS[job][begun], now) if begun or not sync.park else self.few
            if wait:
                waiting.append((job, begun))
                waits.append(wait)
            else:
                at_work.append((job, begun + 1))
        if sync.park:  # whoever waits gives up; a file that was fetched is fetched again
            sync.notes += sum(job == NOTE for job, _ in waiting)
            sync.jobs.extendleft(job for job, _ in waiting if job != NOTE)
            waiting = []
        sync.threads = at_work + waiting
        return waits

    def _staff(self, sync: Sync) -> None:
        """Give every free thread a job."""
        writing = sum(job == NOTE for job, _ in sync.threads)
        carrying = len(sync.threads) - writing
        notes = min(sync.notes, self.writers - writing)
        sync.notes -= notes
        sync.threads += [(NOTE, 0)] * notes
        sync.threads += [(sync.jobs.popleft(), 0) for _ in range(min(len(sync.jobs), self.carriers - carrying))]

    def _begin(self, sync: Sync, system: str, now: float) -> float:
        """Return 0 when the call has begun, else the seconds to wait for it."""
        name = str(next(self.names))
        wait = self.limiter.reserve(now, self.limits[sync.number][system], name)
        if wait is None:
            sync.running.append((system, name))
            self.xero_calls += system == XERO
            return 0.0
        if wait.why == self.at_once:
            return LATENCY
        if wait.seconds > self.few:
            sync.park = max(sync.park, wait.seconds)
        return wait.seconds

    def _end_calls(self, sync: Sync, now: float) -> None:
        for system, name in sync.running:
            self.limiter.release(now, self.limits[sync.number][system], name)
        sync.running.clear()
        for job, begun in sync.threads:
            if job == LIST and begun:
                sync.listed += 1
                if sync.listed * RECEIPTS // PURCHASES > (sync.listed - 1) * RECEIPTS // PURCHASES:
                    sync.jobs.append(RECEIPT)
        sync.threads = [(job, begun) for job, begun in sync.threads if begun < len(CALLS[job])]

    def _outcome(self) -> Outcome:
        never = self.ends + GIVE_UP
        ended = [never if sync.ended is None else sync.ended for sync in self.syncs]
        began = [never if sync.began is None else sync.began for sync in self.syncs]
        return Outcome(
            late=sum(at > self.ends for at in ended),
            starved=sum(at - sync.due > STARVED for at, sync in zip(began, self.syncs, strict=True)),
            minutes_left=(self.ends - max(ended)) / 60,
            slots=self.busiest,
            person_waits=self.person_waits,
            xero_calls=self.xero_calls,
        )


def main() -> None:
    prepare({"url": "http://localhost"})
    day = datetime.fromisoformat(json.loads(sys.argv[1])["day"]).replace(tzinfo=ZONE)
    print(json.dumps(asdict(Night(day, CONNECTIONS, SLOTS).run())))


if __name__ == "__main__":
    main()
