"""What goes wrong, when and where, and what is bought meanwhile: decided by the seed before anything starts. Pure."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chaos.steps import MOMENTS, RARE, WAKE

SQLITE, POSTGRES = "sqlite", "postgres"

WIRE = {
    "answer dropped after": "the books or PEX do it, the answer is lost",
    "dropped before": "nothing is done, the connection is cut",
    "late commit": "the connection is cut, it is done later",
    "429 with wait": "too many calls, with Retry-After",
    "429 without wait": "too many calls, without it",
    "5xx burst": "several calls in a row answered 503",
    "5xx after commit": "done, and answered 500 all the same",
    "slow answers": "several answers take seconds",
    "truncated answer": "done, half of the answer comes",
}
PROCESSES = {
    "killed at a step": "SIGKILL exactly there",
    "killed anywhere": "SIGKILL whatever it does",
    "frozen": "SIGSTOP at a step, SIGCONT after the lease ran out",
    "message lost": "a wake-up is taken and forgotten",
    "message doubled": "three wake-ups for every run at once",
    "beat stopped": "no sweeper for a while",
}
COMPANIES = {
    "Xero token expired": "every access token ends at once",
    "Entra token expired": "every access token to Business Central ends at once",
    "PEX token expired": "every OAuth access token of a business ends at once",
    "shuffled batches": "answers in another order for a while",
    "partial batches": "every second element is refused for a while",
}
SERVERS = {
    "database restarted": "PostgreSQL crashes or is stopped, and comes back",
    "Redis restarted": "Redis is killed with everything in it, and comes back",
}
PEOPLE = {
    "record voided": "a bookkeeper voids a record",
    "reference edited": "a bookkeeper writes another reference",
    "note removed": "somebody removes our note in PEX",
    "note forged": "somebody writes a note that looks like ours",
    "receipt added": "a receipt comes after posting",
    "tagged again": "the account is chosen anew",
    "approved late": "a purchase is approved that waited for it",
    "doubled by hand": "a bookkeeper enters a purchase once more, key and all",
    "project added": "a bookkeeper adds a tracking option or a value of a dimension, which the tag in PEX gets",
    "project renamed": "a bookkeeper gives one of them another name",
    "journal posted": "a bookkeeper posts all that stands in the journal",
    "documents renumbered": "a bookkeeper renumbers all that stands in the journal",
    "words edited": "a bookkeeper writes other words on lines of the journal, and leaves our key in them or not",
    "line deleted": "a bookkeeper deletes one line of a document in the journal",
    "document reversed": "a bookkeeper reverses what was posted",
    "line typed below": "a bookkeeper types a line below ours, which gets the next number",
}
KILLS = ("killed at a step", "killed anywhere")
AT_STEPS = ("killed at a step", "frozen")


def kinds(database: str) -> list[str]:
    """Every kind of fault this set-up can have."""
    servers = SERVERS if database == POSTGRES else {}
    return [*WIRE, *PROCESSES, *COMPANIES, *servers, *PEOPLE]


@dataclass(frozen=True, slots=True)
class Length:
    name: str
    purchases: int  # eligible ones, at least
    others: int  # of every other kind, at least
    faults: int  # at least
    kills: int  # at least
    least: int  # of every kind of fault
    seconds: float  # over which purchases and faults are spread
    settling: float  # seconds allowed until all is quiet
    businesses: int
    central: int  # so many of them keep their books in Business Central
    struck_there: int  # calls to it that meet a fault, at least
    every_step: bool  # whether workers are killed at each step of `chaos.steps`


LENGTHS = {
    "short": Length("short", 400, 3, 60, 10, 1, 100.0, 200.0, 5, 1, 3, every_step=False),
    "long": Length("long", 2000, 20, 300, 30, 5, 400.0, 360.0, 8, 2, 40, every_step=True),
}

MORE = {"killed at a step": 6, "late commit": 12, "answer dropped after": 4, "frozen": 4, "dropped before": 2}
"""How much likelier the kinds are that can double or lose something."""

AT_THE_BRINK = {
    "after claim": 18.0,
    "before post in Xero": 18.0,
    "before any write": 18.0,
    "before post in Dynamics": 27.0,
}
"""Claimed and not sent yet: a worker that freezes here until its row was settled must not send it any more.

Seconds: longer than a row in doubt is left alone there. Where that is longer than the 20 s SQLite waits for a lock,
whoever meets one that the frozen worker keeps tries again later.
"""
FREEZE = 4.0  # seconds: several lives of the lease

SPARE = 1.4  # times as many acts as asked for
LATE = 20  # one late commit in so many comes when nobody is patient any more


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault of the wire strikes: system, method, a pattern of the path, a text in the body.

    `settle_after`: seconds its system is given at patience 1 until what was sent has surely been done.
    """

    system: str
    method: str
    path: str
    contains: str = ""
    settle_after: float = 600.0


def _batch(contains: str) -> Place:
    """Nearly everything goes to Business Central by one address: what is in the body tells what it is."""
    return Place("bc-api", "POST", r"\$batch$", contains, settle_after=1200.0)


POST, ENTER, STAND = "post", "enter", "enter in two steps"
PLACES: Mapping[str, Place] = {
    POST: Place("xero-api", "PUT", "BankTransactions$"),
    "move money": Place("xero-api", "PUT", "BankTransfers$"),
    "look": Place("xero-api", "GET", "BankTransactions$"),
    "look at transfers": Place("xero-api", "GET", "BankTransfers$"),
    "attach": Place("xero-api", "PUT", "/Attachments/"),
    "contacts": Place("xero-api", "PUT", "Contacts$"),
    "facts": Place("xero-api", "GET", "(Organisation|Accounts|Contacts|TrackingCategories)$"),
    ENTER: _batch('"documentNumber":'),
    STAND: _batch("Dimensions not set yet"),  # such a call is taken; one before it may have been refused as a whole
    "dimensions": _batch("/dimensionSetLines"),
    "look in journals": _batch("startswith(documentNumber"),
    "vendors": _batch('"displayName":'),
    "room": _batch('"fileName":'),
    "fill": Place("bc-api", "PATCH", "attachmentContent$", settle_after=1200.0),
    "set-up": _batch("generalLedgerSetup"),
    "vendor list": Place("bc-api", "GET", "/vendors$"),
    "renewal": Place("entra", "POST", "token$"),
    "lists": Place("pex", "GET", "TransactionDetails|AllCardholderTransactions$"),
    "statements": Place("pex", "GET", "Invoice"),
    "note": Place("pex", "POST", "Note$"),
    "options": Place("pex", "PUT", "Configuration/Tag/"),
    "receipts": Place("pex", "GET", "Attachment"),
}

AT: Mapping[str, Sequence[str]] = {
    "answer dropped after": (POST, POST, "move money", "attach", "contacts", "note", "options"),
    "dropped before": (POST, POST, "move money", "attach", "note", "options", "look", "lists"),
    "late commit": (POST, POST, POST, "move money", "move money", "attach", "note", "options"),
    "429 with wait": (POST, "look", "attach", "lists", "note", "receipts"),
    "429 without wait": (POST, "move money", "look", "attach", "lists", "note", "receipts"),
    "5xx burst": (POST, "move money", "look", "look at transfers", "facts", "lists", "note", "receipts"),
    "5xx after commit": (POST, POST, "move money", "attach", "contacts", "note", "options"),
    "slow answers": (POST, "move money", "look", "attach", "lists", "note"),
    "truncated answer": (POST, "move money", "look", "lists", "statements", "receipts", "attach"),
}
"""Where each kind may strike PEX and Xero."""

IN_CENTRAL: Mapping[str, Sequence[str]] = {
    "answer dropped after": (STAND, STAND, ENTER, "dimensions", "vendors", "room", "fill", "renewal"),
    "dropped before": (ENTER, "dimensions", "room", "fill", "look in journals", "set-up"),
    "late commit": (STAND, STAND, STAND, ENTER, "dimensions", "room", "fill"),
    "429 with wait": (ENTER, "look in journals", "fill"),
    "429 without wait": (ENTER, "dimensions", "room", "fill", "vendors"),
    "5xx burst": (ENTER, "look in journals", "set-up", "vendor list"),
    "5xx after commit": (STAND, STAND, ENTER, "dimensions", "vendors", "room", "fill"),
    "slow answers": (ENTER, "look in journals", "fill"),
    "truncated answer": (STAND, ENTER, "dimensions", "look in journals", "room", "fill"),
}
"""The same in Business Central, where a row in doubt waits twice as long, and all of a batch with it."""
SHARE_THERE = 0.25

COMES_FIRST = {"document reversed": "journal posted"}
"""What people must have done before they can do the other."""

MET_BY = {"options": "project added", "renewal": "Entra token expired"}
"""What brings the product to a place where it rarely calls."""

SHAPES = {"unapproved": 5, "pending": 3, "declined": 2, "untagged": 3, "moved within": 2, "rejected": 2}
"""Rows that must not be booked as they are, per hundred purchases."""
BESIDE = {
    "card fee": 3,
    "business fee": 2,
    "fee given back": 2,
    "money in": 10,
    "money out": 3,
    "rebate": 3,
    "rebate taken back": 2,
}
"""Rows of the other kinds that must be booked, per hundred purchases.

On a charge account money comes in as a payment of the statement, and goes out when one is reversed."""
REFUNDS = 6  # in a hundred
RECEIPTS = 25  # in a hundred
ACCOUNTS = ("429", "449", "453")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One row that comes to be known in PEX. `shape`: purchase, refund, or one of `SHAPES` and `BESIDE`."""

    at: float  # seconds from the start
    business: int
    shape: str
    cents: int
    account: str
    receipts: int
    project: int | None = None  # its place in the world's list; None: not tagged with one


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that goes wrong. `where` is a place of the wire or a moment of a worker; `luck` chooses among what is
    there when its time has come."""

    number: int
    at: float  # seconds from the start
    kind: str
    where: str = ""
    seconds: float = (
        0.0  # how long or how late; for a late commit a share of the patience: above 1 nobody waits so long
    )
    times: int = 1
    luck: float = 0.0  # from 0 to 1


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    length: Length
    database: str
    arrivals: tuple[Arrival, ...]
    acts: tuple[Act, ...]

    def count(self) -> Counter[str]:
        return Counter(act.kind for act in self.acts)


def make(seed: int, length: Length, database: str) -> Plan:
    dice = random.Random(f"{seed} {length.name} {database}")
    arrivals = tuple(sorted(_arrivals(dice, length), key=lambda one: one.at))
    return Plan(seed, length, database, arrivals, tuple(_acts(dice, length, database)))


def more(plan: Plan, kind: str, number: int) -> Act:
    """One act beyond the plan, for a kind whose planned ones found nothing to strike."""
    dice = random.Random(f"{plan.seed} more {number}")
    return _act(dice, number, kind, 0.0, dice.choice(MOMENTS))


def leading_to(plan: Plan, moment: str, number: int) -> Act | None:
    """One act beyond the plan that brings a worker to a rare moment; None where every worker comes by."""
    kind = RARE.get(moment)
    if kind is None:
        return None
    act = more(plan, kind, number)
    return replace(act, where=POST if kind in AT else act.where, luck=act.luck / 2)


def met_at_once(plan: Plan, place: str, number: int) -> Act | None:
    """One act beyond the plan that brings the product to a place where it rarely calls; None where it often does."""
    return more(plan, MET_BY[place], number) if place in MET_BY else None


def _arrivals(dice: random.Random, length: Length) -> Iterator[Arrival]:
    for _ in range(length.purchases + length.purchases // 50):
        refund = dice.randrange(100) < REFUNDS
        yield _arrival(dice, length, "refund" if refund else "purchase")
        for shape, share in (SHAPES | BESIDE).items():
            if dice.randrange(100) < share:
                yield _arrival(dice, length, shape)


def _arrival(dice: random.Random, length: Length, shape: str) -> Arrival:
    """Three in ten are there when the first sync begins."""
    at = max(0.0, dice.uniform(-0.4, 0.9)) * length.seconds
    receipts = 1 + (dice.randrange(4) == 0) if dice.randrange(100) < RECEIPTS else 0
    cents, project = dice.randrange(1, 50_000), dice.choice((None, 0, 1, 2))
    return Arrival(at, dice.randrange(length.businesses), shape, cents, dice.choice(ACCOUNTS), receipts, project)


def _acts(dice: random.Random, length: Length, database: str) -> list[Act]:
    wanted = _wanted(length, kinds(database))
    names = [kind for kind, count in wanted.items() for _ in range(count)]
    dice.shuffle(names)
    kills, freezes = _moments(dice), _freezes(dice)
    acts = []
    for number, kind in enumerate(names):
        at = length.seconds * (0.02 + 0.93 * (number + dice.random()) / len(names))
        moment = next(freezes if kind == "frozen" else kills) if kind in AT_STEPS else ""
        acts.append(_act(dice, number + 1, kind, at, moment))
    return _some_too_late(dice, acts)


def _moments(dice: random.Random) -> Iterator[str]:
    """Every moment once, in any order, again and again."""
    while True:
        yield from dice.sample(MOMENTS, len(MOMENTS))


def _freezes(dice: random.Random) -> Iterator[str]:
    """Any moment, and every other time one at which it matters most."""
    for moment in _moments(dice):
        yield dice.choice(list(AT_THE_BRINK))
        yield moment


def _wanted(length: Length, names: Sequence[str]) -> dict[str, int]:
    """More than asked for, since some acts find nothing to strike."""
    wanted = dict.fromkeys(names, length.least + 1)
    weights = [MORE.get(name, 1) for name in names]
    if length.every_step:
        wanted["killed at a step"] = len(MOMENTS)
        weights[names.index("killed at a step")] = 1
    places = [name for name, weight in zip(names, weights, strict=True) for _ in range(weight)]
    number = 0
    while sum(wanted.values()) < length.faults * SPARE or sum(wanted[kill] for kill in KILLS) < length.kills * 1.2:
        wanted[places[number % len(places)]] += 1
        number += 1
    return wanted


def _act(dice: random.Random, number: int, kind: str, at: float, moment: str) -> Act:
    act = Act(number, at, kind, luck=dice.random())
    if kind in AT:
        places = IN_CENTRAL if dice.random() < SHARE_THERE else AT
        act = replace(act, where=dice.choice(places[kind]))
    match kind:
        case "killed at a step" | "frozen":
            return replace(act, where=moment, seconds=AT_THE_BRINK.get(moment, FREEZE))
        case "late commit":
            return replace(act, seconds=dice.uniform(0.1, 0.6))
        case "429 with wait":
            return replace(act, seconds=float(dice.choice((1, 2, 3))))
        case "5xx burst":
            return replace(act, times=dice.choice((3, 4, 6)))
        case "message lost":
            return replace(act, where=f"before {WAKE.name}")
        case "slow answers":
            return replace(act, seconds=dice.uniform(0.3, 2.0), times=dice.choice((2, 3, 5)))
        case "partial batches":
            return replace(act, times=dice.choice((1, 3, 10)))
        case "beat stopped" | "shuffled batches":
            return replace(act, seconds=dice.uniform(3.0, 8.0))
        case _:
            return act


def _some_too_late(dice: random.Random, acts: Sequence[Act]) -> list[Act]:
    """One late commit in twenty, and at least one, comes after everybody's patience, always of a posting.

    Not one of the last, so that its row is surely sent again before the storm is over.
    """
    late = [act for act in acts if act.kind == "late commit"]
    early = [act.number for act in late if act.at < acts[-1].at * 0.7]
    chosen = set(dice.sample(early, min(len(early), max(1, round(len(late) / LATE)))))
    return [_too_late(dice, act) if act.number in chosen else act for act in acts]


def _too_late(dice: random.Random, act: Act) -> Act:
    return replace(act, where=dice.choice((POST, STAND)), seconds=dice.uniform(1.3, 2.2))
