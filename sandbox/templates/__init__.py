"""The simulation's own pages, all of one look."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """Render a page. It may not be framed, and it runs no scripts."""
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",  # with no-referrer a browser hides the Origin of our own forms
        "Cache-Control": "no-store",
    }
    return HTMLResponse(_pages.get_template(template).render(**facts), status, headers)
