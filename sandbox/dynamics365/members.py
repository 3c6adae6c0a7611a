"""One member of a body, read as the type its field has. What does not fit is refused."""

import re
import uuid
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.dynamics365.records import NO_DATE, NOBODY
from sandbox.dynamics365.values import Refused

CENT = Decimal("0.01")
LARGEST = 2**31 - 1
MOST = 10**15  # an amount of a field with two places
_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unfit(name: str, value: Any, kind: str) -> Refused:
    return Refused("BadRequest", f"Cannot convert the value '{value}' of the property '{name}' to {kind}.")


def text(name: str, value: Any, limit: int) -> str:
    """Raises Refused when it is longer than the field; null is the empty text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _unfit(name, value, "Edm.String")
    if len(value) > limit:
        raise Refused(
            "Application_StringExceededLength",
            f"The length of the string is {len(value)}, but it must be less than or equal to {limit} characters. "
            f"Value: {value}",
        )
    return value


def code(name: str, value: Any, limit: int) -> str:
    """A text of type Code: spaces around it go, letters become capitals, then it is measured."""
    return text(name, value.strip().upper() if isinstance(value, str) else value, limit)


def guid(name: str, value: Any) -> str:
    """In small letters; null is the empty guid."""
    if value is None:
        return NOBODY
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise _unfit(name, value, "Edm.Guid") from None


def day(name: str, value: Any) -> date:
    """`NO_DATE` for null and for the empty date."""
    if value is None:
        return NO_DATE
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise _unfit(name, value, "Edm.Date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _unfit(name, value, "Edm.Date") from None


def money(name: str, value: Any) -> Decimal:
    """Rounded to cents without a word, half away from nought."""
    number = _number(value)
    if number is None or abs(number) >= MOST:
        raise _unfit(name, value, "Edm.Decimal")
    return number.quantize(CENT, ROUND_HALF_UP)


def whole_number(name: str, value: Any) -> int:
    number = _number(value)
    if number is None or abs(number) > LARGEST or number != int(number):
        raise _unfit(name, value, "Edm.Int32")
    return int(number)


def _number(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def member(name: str, value: Any, members: Iterable[str]) -> str:
    """A member of an enum, sent plainly or encoded."""
    plain = _ENCODED.sub(lambda match: chr(int(match[1], 16)), value) if isinstance(value, str) else ""
    if plain not in members:
        raise _unfit(name, value, "an enum member")
    return plain


def children(
    body: dict[str, Any], name: str, writable: frozenset[str], read_only: frozenset[str]
) -> list[dict[str, Any]]:
    """The records nested in a body under this name. Raises Refused for members they have not or that are read-only."""
    nested = body.get(name) or []
    if not isinstance(nested, list) or not all(isinstance(one, dict) for one in nested):
        raise Refused("BadRequest", f"The property '{name}' must hold a list.")
    for one in nested:
        unknown = one.keys() - writable
        if unknown & read_only:
            raise Refused("BadRequest_InvalidOperation", f"The field {min(unknown & read_only)} is read-only.")
        if unknown:
            raise Refused("BadRequest", f"The property '{min(unknown)}' does not exist on the type of '{name}'.")
    return nested
