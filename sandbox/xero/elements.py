"""Reading the members of what was sent, with error 14 for a wrong type."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from sandbox.xero.answers import Refused, unreadable
from sandbox.xero.formats import JSON, day_from, decimal_from, flag_from

T = TypeVar("T")


def text(element: JSON, name: str) -> str:
    """Return the member without blanks around it; "" when absent or null."""
    value = element.get(name)
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        raise _wrong(name, value)
    return str(value).strip()


def identifier(element: JSON, name: str) -> str:
    """Return an id in lower case. Xero compares them without case."""
    value = text(element, name).lower()
    if value and (len(value) != 36 or value.count("-") != 4):
        raise _wrong(name, value)
    return value


def number(element: JSON, name: str) -> Decimal | None:
    return _read(element, name, decimal_from)


def flag(element: JSON, name: str) -> bool | None:
    return _read(element, name, flag_from)


def day(element: JSON, name: str) -> date | None:
    return _read(element, name, lambda value: day_from(str(value)))


def choice(element: JSON, name: str, known: Sequence[str]) -> str:
    value = text(element, name)
    if value and value not in known:
        raise _wrong(name, value)
    return value


def record(element: JSON, name: str) -> JSON | None:
    value = element.get(name)
    if value is not None and not isinstance(value, dict):
        raise _wrong(name, value)
    return value


def records(element: JSON, name: str) -> list[JSON]:
    value = element.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _wrong(name, value)
    return value


def _read(element: JSON, name: str, convert: Callable[[Any], T]) -> T | None:
    value = element.get(name)
    if value is None or value == "":
        return None
    try:
        return convert(value)
    except (ValueError, OverflowError):
        raise _wrong(name, value) from None


def _wrong(name: str, value: object) -> Refused:
    return Refused(unreadable(f"JSON for post data was invalid, error converting value '{value}' to '{name}'"))
