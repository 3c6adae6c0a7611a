"""One page view or pressed button, and how what a person typed is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from sandbox.dynamics365.company import Company
from sandbox.dynamics365.world import BusinessCentralWorld

ROWS = 100


class Missing(Exception):
    """What the page is about does not exist."""


class Rejected(Exception):
    """What was typed cannot be used; the text is shown."""


@dataclass(frozen=True)
class Visit:
    world: BusinessCentralWorld
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def company(self) -> Company:
        company = next((one for one in self.world.companies() if one.id == self.path["company"]), None)
        if company is None:
            raise Missing
        return company

    @property
    def root(self) -> str:
        return f"/bc/companies/{self.path['company']}"

    def back(self, *parts: str, **query: str) -> Response:
        """Show the page again from which the button was pressed."""
        asked = {name: value for name, value in query.items() if value}
        return RedirectResponse("/".join([self.root, *parts]) + (f"?{urlencode(asked)}" if asked else ""), 303)

    def part(self, rows: Sequence[Any], start: int | None = None) -> Mapping[str, Any]:
        """The rows of the page asked for, or of the one that holds the row at `start`."""
        number = self._number if start is None else start // ROWS + 1
        first = (number - 1) * ROWS
        facts = {"found": len(rows), "number": number, "more": first + ROWS < len(rows)}
        return {"rows": rows[first : first + ROWS], **facts}

    @property
    def _number(self) -> int:
        wanted = self.query.get("page", "1")
        return max(1, int(wanted)) if wanted.isdecimal() and len(wanted) < 8 else 1

    def text(self, name: str) -> str:
        return self.form.get(name, "").strip()


View = Callable[[Visit], Response]


def found(records: Mapping[str, Any], id: str) -> Any:
    if id not in records:
        raise Missing
    return records[id]


def day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Rejected(f"{text} is not a date.") from None


def money(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise Rejected(f"{text or 'Nothing'} is not an amount.") from None
    if not amount.is_finite() or abs(amount) >= 10**15:
        raise Rejected(f"{text} is not an amount.")
    return amount
