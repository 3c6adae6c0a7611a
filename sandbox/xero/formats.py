"""Xero's spelling of things: its dates, its JSON with raw decimals, its XML, and numbers and dates as sent."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from xml.sax.saxutils import escape

JSON = dict[str, Any]
ZERO_ID = "00000000-0000-0000-0000-000000000000"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MS_DATE = re.compile(r"/Date\((-?\d{1,13})([+-]\d{4})?\)/")
NUMBER = re.compile(r'"\\u0001(-?\d+(?:\.\d+)?)"')
SINGULARS = {
    "Tracking": "TrackingCategory",
    "Currencies": "Currency",
    "TrackingCategories": "TrackingCategory",
    "Addresses": "Address",
}


# Out


def ms_date(moment: datetime | date, form: str, zoned: bool = True) -> str:
    """Return `/Date(ms)/`, with `+0000` where the form has it; the form "recorded" mixes both."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    zone = "+0000" if form == "zone" or (form == "recorded" and zoned) else ""
    return f"/Date({milliseconds}{zone})/"


def day_in_words(day: date) -> str:
    """Return `30-Nov-2018`, as dates stand in Xero's messages."""
    return f"{day.day:02d}-{MONTHS[day.month - 1]}-{day.year}"


def json_text(value: Any) -> str:
    """Return JSON with decimals as raw numbers, trailing zeros kept, and the slash of dates escaped."""
    text = json.dumps(value, default=_number, ensure_ascii=False, separators=(",", ":"))
    return NUMBER.sub(r"\1", text).replace('"/Date(', '"\\/Date(').replace(')/"', ')\\/"')


def _number(value: object) -> str:
    """Mark a decimal so that `json_text` can take its quotes away."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in JSON")
    return f"\x01{value:f}"


def xml_text(payload: str, root: str = "Response") -> str:
    """Return the XML twin of a JSON answer."""
    content = json.loads(payload, parse_float=Decimal)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{_element(root, content)}'


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = "".join(_element(key, one) for key, one in value.items())
    elif isinstance(value, list):
        inner = "".join(_element(SINGULARS.get(name, name.removesuffix("s")), one) for one in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    elif isinstance(value, str) and (found := MS_DATE.fullmatch(value)):
        inner = (EPOCH + timedelta(milliseconds=int(found[1]))).strftime("%Y-%m-%dT%H:%M:%S")
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>" if inner else f"<{name} />"


# In


def day_from(value: str) -> date:
    """Read `2026-07-03`, an ISO date with time, or `/Date(ms)/`. Raises ValueError."""
    found = MS_DATE.fullmatch(value)
    if found:
        return (EPOCH + timedelta(milliseconds=int(found[1]))).date()
    if not re.match(r"\d{4}-\d\d-\d\d", value):
        raise ValueError(value)
    return datetime.fromisoformat(value).date()


def moment_from(value: str) -> datetime:
    """Read an If-Modified-Since header to the second, with or without zone. Raises ValueError."""
    moment = datetime.fromisoformat(value.strip()).replace(microsecond=0)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def decimal_from(value: object) -> Decimal:
    """Read a JSON number or a numeric string. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise ValueError(value)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(value) from None
    if not number.is_finite() or abs(number) >= 10**12:
        raise ValueError(value)
    return number


def flag_from(value: object) -> bool:
    """Read a JSON boolean or its name in any letter case. Raises ValueError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(value)


def without_nothing(members: Mapping[str, Any]) -> JSON:
    """Leave out what is empty: Xero rarely sends null."""
    return {name: value for name, value in members.items() if value is not None and value != ""}
