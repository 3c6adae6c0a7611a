"""A call as the rooms of the simulated PEX see it, and what they may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.pex.business import Admin, Business
from sandbox.pex.eastern import read_wall
from sandbox.pex.records import Transaction
from sandbox.pex.text import dumps, loads
from sandbox.pex.world import PexWorld, Token
from sandbox.server import Desk

INT64 = 2**63


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, dumps(value).encode())


EMPTY = Reply()


class Refused(Exception):
    """An answer in PEX's error shape, `{"Message": text}`."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}

    def reply(self) -> Reply:
        return Reply(self.status, dumps({"Message": self.message}).encode(), headers=self.headers)


class Fields:
    """A JSON object of a request. Names are matched without case, values strictly by type."""

    def __init__(self, value: Any, what: str = "The request body") -> None:
        if not isinstance(value, dict):
            raise Refused(400, f"{what} must be a JSON object.")
        self.values = {name.lower(): inner for name, inner in value.items()}

    def value(self, name: str) -> Any:
        return self.values.get(name.lower())

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; missing, null or empty is refused unless there is a default."""
        value = self.values.get(name.lower())
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and default is None):
            raise Refused(400, f"{name} is required and must be a text.")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name.lower())
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Refused(400, f"{name} must be true or false.")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        value = self.values.get(name.lower())
        if value is None and default is not None:
            return default
        if type(value) is not int or not -INT64 <= value < INT64:
            raise Refused(400, f"{name} is required and must be a whole number.")
        return value

    def money(self, name: str) -> Decimal:
        """Return an amount, sent as a number or as a text."""
        value: Any = self.values.get(name.lower())
        if type(value) not in (int, Decimal, str):
            raise Refused(400, f"{name} is required and must be an amount.")
        try:
            amount = Decimal(value)
            exact = amount.is_finite() and amount.quantize(Decimal("0.01")) == amount
        except ArithmeticError:
            exact = False
        if not exact:
            raise Refused(400, f"{name} must be an amount in whole cents.")
        return amount.quantize(Decimal("0.01"))

    def rows(self, name: str) -> list["Fields"]:
        value = self.values.get(name.lower())
        if not isinstance(value, list):
            raise Refused(400, f"{name} is required and must be a list.")
        return [Fields(one, f"Each of {name}") for one in value]


@dataclass
class Ask:
    """One call. `business`, `admin` and `token` are set once the caller is known."""

    desk: Desk
    world: PexWorld
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    groups: dict[str, str] = field(default_factory=dict)
    known_token: Token | None = None

    @property
    def token(self) -> Token:
        assert self.known_token is not None, "the route is open to strangers"
        return self.known_token

    @property
    def business(self) -> Business:
        return self.world.businesses[self.token.business_id]

    @property
    def admin(self) -> Admin:
        return self.business.admins[self.token.admin_id]

    def number(self, group: str) -> int:
        return int(self.groups[group])

    def fields(self) -> Fields:
        """Return the JSON object in the body."""
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "The request body must be sent as application/json.")
        try:
            return Fields(loads(self.body))
        except ValueError:
            raise Refused(400, "The request body is not valid JSON.") from None

    def parameter(self, name: str) -> str | None:
        """Return the last value of a query parameter, its name matched without case."""
        found = [value for key, value in self.query if key.lower() == name.lower()]
        return found[-1] if found else None

    def flag(self, name: str) -> bool:
        text = self.parameter(name)
        if text is None:
            return False
        if text.lower() not in ("true", "false"):
            raise Refused(400, f"{name} must be true or false.")
        return text.lower() == "true"

    def wall_time(self, name: str) -> datetime:
        try:
            return read_wall(self.parameter(name) or "")
        except ValueError:
            raise Refused(400, f"{name} is required as yyyy-MM-ddTHH:mm:ss, Eastern time.") from None

    def day(self, name: str) -> date | None:
        """Return an optional ISO date; a time of day after it is ignored."""
        text = self.parameter(name)
        if text is None:
            return None
        try:
            return read_wall(text).date() if "T" in text else date.fromisoformat(text)
        except ValueError:
            raise Refused(400, f"{name} must be an ISO date.") from None

    def row(self) -> Transaction:
        """Return the business's own transaction that the path names."""
        row = self.business.transactions.get(self.number("transaction"))
        if row is None:
            raise Refused(404, "Transaction not found")
        return row
