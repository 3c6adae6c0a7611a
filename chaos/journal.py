"""What the schedule did, to which transaction: kept for the checker, and for whoever must understand a violation."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

KEY = re.compile(r"(?:PEX[TS]|pex-)(\d+)")  # in a record or a note, or in the name of a receipt
AT_LARGE = ("killed", "frozen", "thawed", "message", "beat", "database", "Redis", "journal posted", "documents renum")


@dataclass(frozen=True, slots=True)
class Doing:
    """`at` is a wall clock in seconds; `hit` are PEX's ids of the transactions it concerns."""

    at: float
    kind: str
    says: str = ""
    hit: tuple[int, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def process(self) -> bool:
        """Whether it was done to a process, a message, a server or a whole journal: to no transaction in particular."""
        return not self.hit and self.kind.startswith(AT_LARGE)


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.doings: list[Doing] = []

    def add(self, kind: str, says: str = "", hit: Iterable[int] = (), **facts: Any) -> None:
        doing = Doing(time.time(), kind, says, tuple(hit), facts)
        self.doings.append(doing)
        with self.path.open("a") as file:
            file.write(f"{json.dumps(asdict(doing))}\n")


def named_in(text: str) -> tuple[int, ...]:
    """PEX's ids of the transactions whose keys stand in a request."""
    return tuple(sorted({int(number) for number in KEY.findall(text)}))


def vendors_in(body: str) -> list[str]:
    """The vendors a request was to make, as names are compared; none where it is not about them."""
    if '"displayName":' not in body:
        return []
    try:
        requests = json.loads(body).get("requests", [])
    except (ValueError, AttributeError):
        return []
    names = [one["body"]["displayName"] for one in requests if "displayName" in (one.get("body") or {})]
    return [normal(name) for name in names]


def normal(name: str) -> str:
    """What two vendors have in common that are one to us."""
    return " ".join(name.split()).casefold()
