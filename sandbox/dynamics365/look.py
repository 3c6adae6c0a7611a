"""Rendering of the pages people see: the sign-in and the books."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sandbox.dynamics365.records import NO_DATE

TEMPLATES = Path(__file__).parent / "templates"
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def page(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**facts), status)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form; of several with one name the last."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}".replace("-", "−") if value else ""


def _day(value: date) -> str:
    return "" if value == NO_DATE else value.isoformat()


def _pairs(values: dict[str, str]) -> Iterator[str]:
    return (f"{code} {value}" for code, value in sorted(values.items()))


def _many(things: Sequence[Any], word: str) -> str:
    return f"{len(things):,} {word}{'' if len(things) == 1 else 's'}"


ENVIRONMENT.filters |= {"amount": _amount, "day": _day, "pairs": _pairs, "many": _many}
