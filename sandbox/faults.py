"""Troubles that can be switched on: what may go wrong between two companies on a bad day."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

MOST_STRIKES = 20_000  # remembered
LONGEST_BODY = 200_000  # bytes of a struck request that are remembered

KINDS = {
    "status": "answer with `status`, `body` and `headers`; nothing is done",
    "slow": "wait `seconds`, then serve as usual",
    "drop_before": "close the connection; nothing is done",
    "drop_after": "do it, then close the connection without an answer",
    "late_commit": "close the connection now, do it `seconds` later",
    "status_after": "do it, then answer with `status` and `body` all the same",
    "truncate": "do it, then send half of the answer",
}


@dataclass
class Fault:
    """One trouble: where it strikes, what happens, how often."""

    kind: str
    system: str = ""  # prefix of the system's name; empty: any
    method: str = ""
    path: str = ""  # regular expression searched in the path below the system's prefix
    body: str = ""
    contains: str = ""  # strikes only requests whose body contains this text
    status: int = 503
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    skip: int = 0  # calls let through first
    times: int | None = 1  # None: until switched off
    number: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown fault {self.kind!r}; known: {', '.join(KINDS)}.")
        try:
            re.compile(self.path)
        except re.error as problem:
            raise ValueError(f"{self.path!r} is not a pattern: {problem}.") from None

    def strikes(self, system: str, method: str, path: str, body: bytes) -> bool:
        return (
            self.times != 0
            and system.startswith(self.system)
            and self.method in ("", method)
            and re.search(self.path, path, re.IGNORECASE) is not None
            and self.contains.encode() in body
        )


@dataclass(frozen=True, slots=True)
class Strike:
    """One call a fault struck, kept so that somebody can tell afterwards what was hit."""

    number: int  # of the strike; they are counted on also when all are forgotten
    fault: int
    kind: str
    at: datetime
    system: str
    method: str
    path: str
    body: bytes


@dataclass
class Faults:
    active: list[Fault] = field(default_factory=list)
    struck: dict[str, int] = field(default_factory=dict)  # kind -> how often it happened
    strikes: list[Strike] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _strikes: Iterator[int] = field(default_factory=lambda: count(1))

    def add(self, kind: str, **where: Any) -> Fault:
        fault = Fault(kind=kind, **where)
        fault.number = next(self._numbers)
        self.active.append(fault)
        return fault

    def remove(self, number: int) -> None:
        self.active = [fault for fault in self.active if fault.number != number]

    def clear(self) -> None:
        self.active.clear()
        self.struck.clear()
        self.strikes.clear()

    def remember(self, fault: Fault, at: datetime, system: str, method: str, path: str, body: bytes) -> None:
        strike = Strike(next(self._strikes), fault.number, fault.kind, at, system, method, path, body[:LONGEST_BODY])
        self.strikes.append(strike)
        if len(self.strikes) > MOST_STRIKES:
            del self.strikes[: MOST_STRIKES // 2]

    def for_call(self, system: str, method: str, path: str, body: bytes) -> Fault | None:
        """Return the first fault that strikes this call, and count it down."""
        for fault in self.active:
            if not fault.strikes(system, method, path, body):
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self.active.remove(fault)
            self.struck[fault.kind] = self.struck.get(fault.kind, 0) + 1
            return fault
        return None
