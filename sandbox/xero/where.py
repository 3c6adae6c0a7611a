"""Xero's `where` and `order`: a small grammar compiled once into one test for every row.

Xero evaluates these filters row by row, so a string that is null breaks the query unless a null test stands
before it. Refusals carry the messages of Xero's error 16.
"""

import operator
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sandbox.xero.organisation import name_key

Read = Callable[[Any], Any]
NULL_MET = "Object reference not set to an instance of an object."
TOKEN = re.compile(r'\s*("[^"]*"|\'[^\']*\'|\d+(?:\.\d+)?|[A-Za-z_]\w*|==|!=|<>|>=|<=|&&|\|\||[=<>!().,])')
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "Contains": operator.contains,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
}
TEXT_CHANGES: dict[str, Callable[[str], str]] = {"ToLower": str.lower, "ToUpper": str.upper, "Trim": str.strip}
ORDERED = ("DateTime", "Decimal")


class QueryError(Exception):
    """The query cannot be understood or breaks on a row; the text is Xero's message."""


@dataclass(frozen=True)
class Member:
    """A member rows can be asked for: `kind` is its type in Xero's messages.

    `folded`: compared without case and accents. `day`: a date without time. `safe`: null simply differs.
    """

    kind: str
    read: Read
    folded: bool = False
    day: bool = False
    safe: bool = False


@dataclass(frozen=True)
class Operand:
    kind: str
    read: Read
    folded: bool = False
    day: bool = False
    safe: bool = True
    literal: bool = False


Members = Mapping[str, Member]


def compile_where(text: str, members: Members, type_name: str, allow_or: bool = True) -> Callable[[Any], bool]:
    """Return the test for one row. The test may raise QueryError too."""
    return _Parser(text, members, type_name, allow_or).whole()


def compile_order(text: str, members: Members, type_name: str) -> Callable[[Iterable[Any]], list[Any]]:
    """Return a function that sorts by `Date DESC, Reference`; null comes first."""
    keys = []
    for part in text.split(","):
        words = part.split()
        if len(words) not in (1, 2) or (len(words) == 2 and words[1].upper() not in ("ASC", "DESC")):
            raise QueryError("Syntax error")
        keys.append((_member(words[0], members, type_name), words[-1].upper() == "DESC"))

    def sort(rows: Iterable[Any]) -> list[Any]:
        result = list(rows)
        for member, descending in reversed(keys):
            result.sort(key=_null_first(member.read), reverse=descending)
        return result

    return sort


def _null_first(read: Read) -> Callable[[Any], tuple[bool, Any]]:
    def key(row: Any) -> tuple[bool, Any]:
        value = read(row)
        return (value is not None, value if value is not None else 0)

    return key


def _member(name: str, members: Members, type_name: str) -> Member:
    if name in members:
        return members[name]
    first, _, rest = name.partition(".")
    if rest and any(known.startswith(f"{first}.") for known in members):
        raise QueryError(f"No property or field '{rest}' exists in type '{first}'")
    raise QueryError(f"No property or field '{first}' exists in type '{type_name}'")


class _Parser:
    """Reads token by token, so that a quote inside a value is a syntax error where it stands."""

    def __init__(self, text: str, members: Members, type_name: str, allow_or: bool) -> None:
        self.text, self.members, self.type_name, self.allow_or = text, members, type_name, allow_or
        self.at = 0
        self.token = ""
        self.advance()

    def advance(self) -> str:
        """Return the token that was current and read the next one; "" is the end."""
        before, rest = self.token, self.text[self.at :]
        found = TOKEN.match(rest)
        if found:
            self.token, self.at = found[1], self.at + found.end()
        elif not rest.strip():
            self.token = ""
        elif rest.lstrip()[0] in "\"'":
            raise QueryError("Unterminated string literal")
        else:
            raise QueryError("Syntax error")
        return before

    def expect(self, token: str) -> None:
        if self.advance() != token:
            raise QueryError("Syntax error")

    def whole(self) -> Callable[[Any], bool]:
        test = self.either()
        if self.token:
            raise QueryError("Syntax error")
        return test

    def either(self) -> Callable[[Any], bool]:
        left = self.both()
        while self.token.upper() in ("OR", "||"):
            if not self.allow_or:
                raise QueryError("Operator 'OR' is not supported")
            self.advance()
            left = _either(left, self.both())
        return left

    def both(self) -> Callable[[Any], bool]:
        left = self.one()
        while self.token.upper() in ("AND", "&&"):
            self.advance()
            left = _both(left, self.one())
        return left

    def one(self) -> Callable[[Any], bool]:
        if self.token == "!":
            self.advance()
            return _opposite(self.one())
        if self.token == "(":
            self.advance()
            inner = self.either()
            self.expect(")")
            return inner
        left = self.operand()
        if self.token in COMPARE:
            return _comparison(self.advance(), left, self.operand())
        if left.kind != "Boolean":
            raise QueryError("Expression of type 'Boolean' expected")
        return lambda row: bool(left.read(row))

    def operand(self) -> Operand:
        token = self.advance()
        if not token:
            raise QueryError("Syntax error")
        if token[0] == '"':
            return self.calls(_literal("String", token[1:-1]))
        if token[0] == "'":
            if len(token) != 3:
                raise QueryError("Character literal must contain exactly one character")
            return _literal("Char", token[1:-1])
        if token[0].isdigit():
            return _literal("Decimal", Decimal(token))
        if token.lower() in ("null", "true", "false"):
            value = {"null": None, "true": True, "false": False}[token.lower()]
            return _literal("Null" if value is None else "Boolean", value)
        if token.lower() in ("datetime", "guid") and self.token == "(":
            return self.constructed(token.lower())
        if not (token[0].isalpha() or token[0] == "_"):
            raise QueryError("Syntax error")
        return self.path(token)

    def constructed(self, name: str) -> Operand:
        arguments = self.arguments()
        try:
            if name == "guid":
                return _literal("Guid", str(uuid.UUID(arguments[0])))
            return _literal("DateTime", _moment(arguments))
        except (ValueError, TypeError, IndexError, AttributeError):
            raise QueryError("Syntax error") from None

    def arguments(self) -> list[Any]:
        """Read `(literal, literal)`."""
        self.expect("(")
        values: list[Any] = []
        while self.token != ")":
            if values:
                self.expect(",")
            operand = self.operand()
            if not operand.literal:
                raise QueryError("Syntax error")
            values.append(operand.read(None))
        self.advance()
        return values

    def path(self, name: str) -> Operand:
        """Read `Contact.Name` and methods called on it."""
        while self.token == "." and name not in self.members:
            self.advance()
            name = f"{name}.{self.advance()}"
        member = _member(name, self.members, self.type_name)
        return self.calls(Operand(member.kind, member.read, member.folded, member.day, member.safe))

    def calls(self, operand: Operand) -> Operand:
        while self.token == ".":
            self.advance()
            method = self.advance()
            if self.token != "(":
                raise QueryError(f"No property or field '{method}' exists in type '{operand.kind}'")
            operand = _called(operand, method, self.arguments())
        return operand


def _moment(arguments: list[Any]) -> datetime:
    """Return the instant of `DateTime(2026,7,1[,hours,minutes,seconds[,milliseconds]])`."""
    parts = [int(one) for one in arguments]
    milliseconds = parts.pop() if len(parts) == 7 else 0
    if len(parts) not in (3, 6):
        raise ValueError(arguments)
    year, month, day, *clock = parts
    hours, minutes, seconds = clock or (0, 0, 0)
    return datetime(year, month, day, hours, minutes, seconds, milliseconds * 1000, UTC)


def _literal(kind: str, value: object) -> Operand:
    return Operand(kind, lambda row: value, literal=True)


def _both(left: Callable[[Any], bool], right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda row: left(row) and right(row)


def _either(left: Callable[[Any], bool], right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda row: left(row) or right(row)


def _opposite(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda row: not test(row)


def _called(operand: Operand, method: str, arguments: list[Any]) -> Operand:
    if operand.kind != "String" or method not in {**TEXT_TESTS, **TEXT_CHANGES}:
        raise QueryError(f"No applicable method '{method}' exists in type '{operand.kind}'")
    read = _not_null(operand.read)
    if method in TEXT_CHANGES:
        change = TEXT_CHANGES[method]
        return Operand("String", lambda row: change(read(row)))
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise QueryError(f"No applicable method '{method}' exists in type 'String'")
    test, wanted = TEXT_TESTS[method], arguments[0]
    return Operand("Boolean", lambda row: test(read(row), wanted))


def _not_null(read: Read) -> Read:
    def checked(row: Any) -> Any:
        value = read(row)
        if value is None:
            raise QueryError(NULL_MET)
        return value

    return checked


def _comparison(sign: str, left: Operand, right: Operand) -> Callable[[Any], bool]:
    if "Null" in (left.kind, right.kind):
        return _null_test(sign, right if left.kind == "Null" else left)
    if left.kind != right.kind or (sign not in ("==", "=", "!=", "<>") and left.kind not in ORDERED):
        raise QueryError(f"Operator '{sign}' incompatible with operand types '{left.kind}' and '{right.kind}'")
    if left.kind == "DateTime":
        left, right = _as_dates(left, right)
    elif left.kind == "String":
        left, right = _as_texts(left, right)
    return _compared(COMPARE[sign], left, right)


def _null_test(sign: str, operand: Operand) -> Callable[[Any], bool]:
    read = operand.read
    if sign in ("==", "="):
        return lambda row: read(row) is None
    if sign in ("!=", "<>"):
        return lambda row: read(row) is not None
    raise QueryError(f"Operator '{sign}' incompatible with operand types '{operand.kind}' and 'null'")


def _as_dates(left: Operand, right: Operand) -> tuple[Operand, Operand]:
    """Let a day be compared with an instant: at midnight both are days, else the day becomes its midnight."""
    if not (left.day or right.day):
        return left, right
    instants = [one for one in (left, right) if not one.day]
    if all(one.literal and one.read(None).time() == datetime.min.time() for one in instants):
        days = [one if one.day else _literal("DateTime", one.read(None).date()) for one in (left, right)]
        return days[0], days[1]
    midnights = [_at_midnight(one) if one.day else one for one in (left, right)]
    return midnights[0], midnights[1]


def _at_midnight(operand: Operand) -> Operand:
    def read(row: Any) -> datetime | None:
        day: date | None = operand.read(row)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None

    return Operand("DateTime", read)


def _as_texts(left: Operand, right: Operand) -> tuple[Operand, Operand]:
    if left.folded or right.folded:
        return _folded(left), _folded(right)
    return left, right


def _folded(operand: Operand) -> Operand:
    if operand.literal:
        return _literal("String", name_key(operand.read(None)))

    def read(row: Any) -> str | None:
        value = operand.read(row)
        return None if value is None else name_key(value)

    return Operand("String", read, safe=operand.safe)


def _compared(compare: Callable[[Any, Any], bool], left: Operand, right: Operand) -> Callable[[Any], bool]:
    read, other = left.read, right.read
    if left.kind == "String" and not (left.safe and right.safe):
        read, other = _not_null(read), _not_null(other)
    if right.literal:
        wanted = right.read(None)

        def test(row: Any) -> bool:
            value = read(row)
            return compare(value, wanted) if value is not None else compare is operator.ne

        return test

    def test_both(row: Any) -> bool:
        one, two = read(row), other(row)
        if one is None or two is None:
            return compare is operator.ne and one is not two
        return compare(one, two)

    return test_both
