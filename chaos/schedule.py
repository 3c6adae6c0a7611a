"""Carries the plan out against the clock: purchases arrive, people press SYNC, things break, until all of it is done.

An act counts as a fault only when it really struck: a fault of the wire when it met a call, a kill or a freeze when a
worker stood at the step. What found nothing to strike is tried again.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chaos import people, plan, troubles
from chaos.companies import CENTRAL, XERO, Companies, Refused
from chaos.house import Hands, House
from chaos.journal import Journal, named_in, vendors_in
from chaos.orders import FREEZE, KILL, LOSE, Taken
from chaos.plan import Act, Arrival, Plan
from chaos.stage import Done, Stage

JSON = dict[str, Any]
Say = Callable[[str], None]

TICK = 0.05  # seconds
SYNC_EVERY = 1.2  # seconds between two syncs that begin, each time of another business
NIGHTS = 4  # one sync in so many begins by itself
WITHDRAW = 15.0  # seconds an order or a fault waits for somebody to strike
AGAIN = 2.0  # seconds until an act that found nothing to act on is tried again
TRICKLE = 1.0  # seconds between purchases beyond the plan, which faults still under way need
TOLD_EVERY = 20.0  # seconds
OVERTIME = 1.0  # of the planned time, until what was not struck is given up
BEYOND_PATIENCE = "commit beyond patience"

ORDERS = {"killed at a step": KILL, "frozen": FREEZE, "message lost": LOSE}
DEEDS = people.DEEDS | troubles.DEEDS
IN_SANDBOX = {
    "answer dropped after": "drop_after",
    "dropped before": "drop_before",
    "late commit": "late_commit",
    "429 with wait": "status",
    "429 without wait": "status",
    "5xx burst": "status",
    "5xx after commit": "status_after",
    "slow answers": "slow",
    "truncated answer": "truncate",
}


@dataclass(frozen=True, slots=True)
class Later:
    at: float
    do: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Pending:
    """An act given as an order or switched on as a fault, not struck yet."""

    act: Act
    since: float
    fault: int = 0


class Schedule:
    def __init__(
        self,
        made: Plan,
        house: House,
        companies: Companies,
        hands: Hands,
        world: list[JSON],
        journal: Journal,
        say: Say,
    ) -> None:
        self.plan, self.house, self.companies, self.hands = made, house, companies, hands
        self.world, self.journal, self.say = world, journal, say
        self.connections: list[int] = []
        self.dice = random.Random(f"{made.seed} on the way")
        self.stage = Stage(world, house, companies, hands, self.dice, self._after)
        self.struck: Counter[str] = Counter()
        self.struck_at: Counter[str] = Counter()  # calls, by system
        self.killed_at: set[str] = set()
        self._arrivals, self._acts = list(made.arrivals), list(made.acts)
        self._pending: dict[int, Pending] = {}  # by the act's number
        self._later: list[Later] = []
        self._extra = 10_000  # numbers of acts beyond the plan
        self._last_strike = 0
        self._began = self._next_sync = self._next_trickle = self._next_words = 0.0

    @property
    def _pressed(self) -> list[int]:
        """Connections as often as people sync them: those to Business Central, of which there are few, twice."""
        pairs = zip(self.connections, self.world, strict=True)
        return [connection for connection, facts in pairs for _ in range(1 + (facts["system"] == CENTRAL))]

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    def run(self) -> None:
        self._began = time.monotonic()
        limit = self.plan.length.seconds * (1 + OVERTIME)
        while not self._done() and self.now < limit:
            self._arrive()
            self._sync()
            self._act()
            self._hear()
            self._finish_what_is_over()
            self.house.look_after()
            self._report()
            time.sleep(TICK)

    def _done(self) -> bool:
        return not self._arrivals and not self._later and not self._unfinished()

    def _unfinished(self) -> bool:
        return bool(self._acts or self._pending or self._lacking())

    def _lacking(self) -> list[str]:
        """Kinds that struck too rarely, kills first; what is to come is hoped for."""
        length = self.plan.length
        have = self.struck + Counter(one.act.kind for one in self._pending.values())
        have += Counter(act.kind for act in self._acts)
        lacking = [kind for kind in plan.kinds(self.plan.database) if have[kind] < length.least]
        if sum(have[kill] for kill in plan.KILLS) < length.kills:
            lacking.insert(0, "killed at a step")
        if have.total() < length.faults:
            lacking.append(self.dice.choice(sorted(plan.WIRE)))
        return lacking

    # --- purchases, and people who sync ---

    def _arrive(self) -> None:
        while self._arrivals and self._arrivals[0].at <= self.now:
            self.stage.buy(self._arrivals.pop(0))
        if not self._arrivals and self._unfinished() and self.now > self._next_trickle:
            self._next_trickle = self.now + TRICKLE
            for business in range(len(self.world)):
                cents, account = self.dice.randrange(1, 50_000), self.dice.choice(plan.ACCOUNTS)
                self.stage.buy(Arrival(self.now, business, "purchase", cents, account, self.dice.randrange(2)))

    def _sync(self) -> None:
        if self.now < self._next_sync:
            return
        self._next_sync = self.now + SYNC_EVERY
        do = "night" if self.dice.randrange(NIGHTS) == 0 else "sync"
        self.hands.ask(do, connection=self.dice.choice(self._pressed))
        if self.dice.randrange(4) == 0:
            self.look_after_people()

    def look_after_people(self) -> None:
        """Confirm what waits for it, and sign in again where a sign-in was found dead the last time."""
        self._hear()
        self.hands.ask("confirm")
        self.hands.ask("signed out")

    def _sign_in(self, business: int) -> None:
        facts = next(facts for facts in self.world if facts["pex_id"] == business)
        pair = self.companies.pex("pair", admin=facts["admin"])
        self.hands.ask("sign in", pex_id=business, username=facts["username"], pair=pair)
        self.journal.add("signed in again", facts["name"])

    # --- acts ---

    def _act(self) -> None:
        due = [act for act in self._acts if act.at <= self.now]
        self._acts = [act for act in self._acts if act.at > self.now]
        if self.now > self.plan.length.seconds:
            due += [self._one_more(kind) for kind in self._lacking()]
        for act in due:
            if not self._begin(act):
                self._acts.append(replace(act, at=self.now + AGAIN, luck=self.dice.random()))

    def _one_more(self, kind: str) -> Act:
        self._extra += 1
        return plan.more(self.plan, kind, self._extra)

    def _begin(self, act: Act) -> bool:
        """False when there is nothing to act on now."""
        if act.kind in plan.WIRE:
            self._switch_on(act)
            return True
        if act.kind in ORDERS:
            self._order(act)
            return True
        try:
            done = DEEDS[act.kind](self.stage, act)
        except Refused as refusal:
            self.say(f"  {act.kind} was refused: {refusal}")
            return False
        if done is None:
            self._prepare(act.kind)
            return False
        self._strike(act.kind, done)
        return True

    def _prepare(self, kind: str) -> None:
        """What must be done first, where there was nothing to do this to."""
        first = plan.COMES_FIRST.get(kind)
        if first and not any(act.kind == first for act in self._acts):
            self._acts.append(replace(self._one_more(first), at=self.now))

    def _order(self, act: Act) -> None:
        """At a rare step somebody must be led to it."""
        self.house.orders.give(act.number, ORDERS[act.kind], act.where)
        self._pending[act.number] = Pending(act, self.now)
        self._extra += 1
        leading = plan.leading_to(self.plan, act.where, self._extra)
        if leading is not None:
            self._acts.append(replace(leading, at=self.now))

    def _switch_on(self, act: Act) -> None:
        place = plan.PLACES[act.where]
        where: JSON = {"system": place.system, "method": place.method, "path": place.path, "times": act.times}
        where["contains"] = place.contains
        fault = self.companies.add_fault(IN_SANDBOX[act.kind], **where, **self._how(act))
        self._pending[act.number] = Pending(act, self.now, fault)
        self._extra += 1
        leading = plan.met_at_once(self.plan, act.where, self._extra)
        if leading is not None:
            self._acts.append(replace(leading, at=self.now))

    def _how(self, act: Act) -> JSON:
        match act.kind:
            case "late commit":
                return {"seconds": act.seconds * plan.PLACES[act.where].settle_after * self.house.patience}
            case "429 with wait":
                return {"status": 429, "headers": {"Retry-After": f"{act.seconds:.0f}"}}
            case "429 without wait":
                return {"status": 429}
            case "5xx burst":
                return {"status": 503}
            case "5xx after commit":
                return {"status": 500}
            case "slow answers":
                return {"seconds": act.seconds}
            case _:
                return {}

    def _strike(self, kind: str, done: Done) -> None:
        self.struck[kind] += 1
        self.stage.mark(kind, done.hit)
        self.journal.add(kind, done.says, done.hit, **done.facts)

    # --- what struck, and what is over ---

    def _hear(self) -> None:
        for strike in self.companies.strikes(self._last_strike):
            self._last_strike = strike["number"]
            self._met_a_call(strike)
        for taken in self.house.orders.news():
            self._carried_out(taken)
        for answer in self.hands.answers():
            if answer.get("trouble"):
                self.journal.add("hands", answer["trouble"])
            for business in answer.get("businesses", ()):
                self._sign_in(business)

    def _met_a_call(self, strike: JSON) -> None:
        vendors = vendors_in(strike["body"])
        done = Done(
            f"{strike['method']} {strike['system']} {strike['path'][-60:]}",
            named_in(f"{strike['path']} {strike['body']}"),
            {"vendors": vendors} if vendors else {},
        )
        self.struck_at[strike["system"]] += 1
        mine = next((one for one in self._pending.values() if one.fault == strike["fault"]), None)
        if mine is None:  # a further call of a burst
            self.journal.add(strike["kind"], done.says, done.hit, **done.facts)
            return
        del self._pending[mine.act.number]
        self._strike(mine.act.kind, done)
        if mine.act.kind == "late commit" and mine.act.seconds > 1:
            self.journal.add(BEYOND_PATIENCE, done.says, done.hit)

    def _carried_out(self, taken: Taken) -> None:
        pending = self._pending.pop(taken.number, None)
        if pending is None:
            return
        self._strike(pending.act.kind, Done(f"{taken.moment}, process {taken.pid}"))
        if taken.deed == KILL:
            self.killed_at.add(taken.moment)
        if taken.deed == FREEZE:
            self.house.frozen.add(taken.pid)
            self._after(pending.act.seconds, lambda: self._thaw(taken.pid))

    def _thaw(self, pid: int) -> None:
        self.house.frozen.discard(pid)
        part = self.house.part_of(pid)
        if part is not None:
            self.house.signal(part, signal.SIGCONT)
            self.journal.add("thawed", f"process {pid}")

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        self._later.append(Later(self.now + seconds, do))

    def _finish_what_is_over(self) -> None:
        over = [later for later in self._later if later.at <= self.now]
        self._later = [later for later in self._later if later.at > self.now]
        for later in over:
            later.do()
        for pending in list(self._pending.values()):
            if self.now - pending.since > WITHDRAW:
                self._withdraw(pending)

    def _withdraw(self, pending: Pending) -> None:
        """Nobody came by: another place is tried for a fault, the same step once more for a worker."""
        if pending.fault:
            self.companies.remove_fault(pending.fault)
        else:
            self.house.orders.withdraw(pending.act.number)
        self._hear()
        if self._pending.pop(pending.act.number, None) is None:
            return  # somebody came by in the last moment
        again = replace(self._one_more(pending.act.kind), at=self.now + AGAIN)
        if pending.act.kind in plan.AT_STEPS:
            self._acts.append(replace(again, where=pending.act.where))
        elif self.now < self.plan.length.seconds:
            self._acts.append(again)

    # --- the end ---

    def calm(self) -> None:
        """Nothing breaks any more, and what was broken is whole again."""
        for fault in self.companies.active_faults():
            self.companies.remove_fault(fault)
        for number in self.house.orders.waiting():
            self.house.orders.withdraw(number)
        self._hear()
        self._pending.clear()
        while self._later:
            self._later.pop().do()
        for part in self.house.workers():
            self.house.signal(part, signal.SIGCONT)
        self.companies.switch(XERO, shuffled=False, refused_elements=0)
        self.companies.switch(CENTRAL, inner_failures=0)
        self.house.look_after()

    def figures(self) -> dict[str, float]:
        kinds = plan.kinds(self.plan.database)
        return {
            "chaos.faults": self.struck.total(),
            "chaos.kills": self._kills,
            "chaos.steps_killed_at": len(self.killed_at),
            "chaos.struck_in_dynamics": self.struck_at["bc-api"] + self.struck_at["entra"],
            "chaos.fault_kinds_below_5": sum(self.struck[kind] < 5 for kind in kinds),
            "chaos.fault_kinds_lacking": sum(self.struck[kind] < self.plan.length.least for kind in kinds),
        }

    @property
    def _kills(self) -> int:
        return sum(self.struck[kill] for kill in plan.KILLS)

    def _report(self) -> None:
        if self.now > self._next_words:
            self._next_words = self.now + TOLD_EVERY
            self.say(
                f"  {self.now:4.0f} s  {len(self.stage.bought)} bought, {self.struck.total()} faults, "
                f"{self._kills} kills, {len(self._acts)} to come"
            )
