"""Every call the simulated companies received, for tests that count and people who wonder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count


@dataclass(frozen=True, slots=True)
class Call:
    number: int
    at: datetime
    system: str  # "pex", "pex-oauth", "xero-api", "xero-identity" ...
    method: str
    path: str  # below the system's prefix, as sent
    query: str
    tenant: str  # the xero-tenant-id header, else ""
    key: str  # the Idempotency-Key header, else ""
    peer: str  # "host:port" of the TCP connection the call came on
    status: int  # 0: the connection was dropped without an answer
    request_bytes: int
    response_bytes: int
    seconds: float


@dataclass
class CallLog:
    """Calls in the order they ended. `keep` bounds the memory of a sandbox that runs for weeks."""

    keep: int = 200_000
    calls: list[Call] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def add(self, **facts: object) -> None:
        self.calls.append(Call(number=next(self._numbers), **facts))  # type: ignore[arg-type]  # Call names each fact
        if len(self.calls) > self.keep:
            del self.calls[: self.keep // 2]

    def matching(self, system: str = "", method: str = "", path: str = "") -> list[Call]:
        """Return the calls of a system (prefix), verb and path fragment; empty means any."""
        return [
            call
            for call in self.calls
            if call.system.startswith(system) and method in ("", call.method) and path.lower() in call.path.lower()
        ]

    def writes(self, system: str = "") -> list[Call]:
        return [call for call in self.matching(system) if call.method not in ("GET", "HEAD")]

    def connections(self, system: str = "") -> int:
        """Return on how many TCP connections the calls came."""
        return len({call.peer for call in self.matching(system)})

    def clear(self) -> None:
        self.calls.clear()
