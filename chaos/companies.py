"""The simulated companies as the schedule and the checker reach them: their control room, JSON over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

JSON = dict[str, Any]
SECONDS = 60.0  # one answer may take
EVERYTHING = 1_000_000
XERO, CENTRAL = "xero", "dynamics365"  # the system a business keeps its books in


class Refused(Exception):
    """The control room would not do it; the message says why."""


class Companies:
    def __init__(self, url: str) -> None:
        self.url = url

    # --- PEX ---

    def transactions(self, business: int) -> list[JSON]:
        return list(self._ask("GET", "pex/transactions", {"business_id": business, "limit": EVERYTHING}))

    def payments(self, business: int) -> list[JSON]:
        return list(self._ask("GET", "pex/payments", {"business_id": business}))

    def tags(self, business: int) -> list[JSON]:
        return list(self._ask("GET", "pex/tags", {"business_id": business}))

    def pex(self, action: str, **facts: Any) -> JSON:
        return dict(self._ask("POST", f"pex/{action}", facts))

    # --- Xero ---

    def books(self, organisation: str) -> list[JSON]:
        return list(self._ask("GET", "xero/books", {"organisation": organisation}))

    def transfers(self, organisation: str) -> list[JSON]:
        return list(self._ask("GET", "xero/transfers", {"organisation": organisation}))

    def tracking(self, organisation: str) -> list[JSON]:
        return list(self._ask("GET", "xero/set-up", {"organisation": organisation})["tracking"])

    def xero(self, action: str, **facts: Any) -> JSON:
        return dict(self._ask("POST", f"xero/{action}", facts))

    # --- Business Central ---

    def central_books(self, company: str) -> JSON:
        """The lines of every journal, the G/L entries, and the files that hang on nothing."""
        return dict(self._ask("GET", "dynamics365/books", {"company": company}))

    def central_set_up(self, company: str) -> JSON:
        return dict(self._ask("GET", "dynamics365/set-up", {"company": company}))

    def central(self, action: str, **facts: Any) -> JSON:
        return dict(self._ask("POST", f"dynamics365/{action}", facts))

    # --- faults and the clock ---

    def switch(self, system: str, **moods: Any) -> None:
        self._ask("POST", f"{system}/switches", moods)

    def add_fault(self, kind: str, **facts: Any) -> int:
        return int(self._ask("POST", "faults", {"kind": kind, **facts})["number"])

    def remove_fault(self, number: int) -> None:
        self._ask("DELETE", f"faults/{number}")

    def active_faults(self) -> set[int]:
        return {one["number"] for one in self._ask("GET", "faults")["active"]}

    def strikes(self, after: int) -> list[JSON]:
        return list(self._ask("GET", "strikes", {"after": after}))

    def calls(self, system: str, method: str, path: str) -> int:
        asked = {"system": system, "method": method, "path": path, "limit": 1}
        return int(self._ask("GET", "calls", asked)["count"])

    def advance(self, seconds: float) -> None:
        self._ask("POST", "clock", {"advance_seconds": seconds})

    def _ask(self, method: str, path: str, facts: JSON | Sequence[Any] = ()) -> Any:
        """Raises `Refused`, `OSError`."""
        url, body = f"{self.url}/control/{path}", None
        if method == "POST":
            body = json.dumps(facts).encode()
        elif facts:
            url = f"{url}?{urlencode(facts)}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read()).get("message", "")) from error
