"""JSON as PEX writes it: money as numbers with its two decimals, never through a float."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

CENT = Decimal("0.01")


class Raw(str):
    """JSON that is already text."""

    __slots__ = ()


def dumps(value: Any) -> str:
    """Return JSON. A naive datetime is Eastern wall clock; a Decimal keeps the decimals it has."""
    kind = type(value)
    if kind is str:
        return quoted(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is Decimal:
        return format(value, "f")
    if kind is datetime:
        return f'"{value.isoformat()}"'
    if kind is Raw:
        return str(value)
    if kind is dict or isinstance(value, Mapping):
        return "{" + ",".join([f"{quoted(name)}:{dumps(inner)}" for name, inner in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    raise TypeError(f"{kind.__name__} has no place in PEX's JSON.")


def loads(text: bytes) -> Any:
    """Read strict JSON in UTF-8, numbers with a point as Decimal. ValueError when it is not JSON."""
    try:
        return json.loads(text.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


def cents(amount: Decimal | str | int) -> Decimal:
    """Return money with two decimals; refuse what has more."""
    try:
        exact = Decimal(amount)
        rounded = exact.quantize(CENT)
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount.") from None
    if rounded != exact:
        raise ValueError(f"{amount!r} has fractions of a cent.")
    return rounded
