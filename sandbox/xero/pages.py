"""Rendering of the simulated Xero's pages."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

TEMPLATES = Path(__file__).parent / "templates"
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def page(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**facts), status)


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}".replace("-", "−")


ENVIRONMENT.filters["amount"] = _amount
