"""The simulated Xero: sign-in, tokens, Accounting API, deep links, and the books as pages."""

from starlette.types import ASGIApp

from sandbox.server import Desk
from sandbox.xero import books, go, identity, login
from sandbox.xero.api import Api
from sandbox.xero.seeds import seed
from sandbox.xero.world import XeroWorld, fresh_world

__all__ = ["XeroWorld", "fresh_world", "mounts", "seed"]


def mounts(desk: Desk) -> list[tuple[str, ASGIApp]]:
    """Return the path prefix and the application of each host Xero has."""
    return [
        ("xero-login", login.application(desk)),
        ("xero-identity", identity.application(desk)),
        ("xero-api", Api(desk)),
        ("xero-go", go.application(desk)),
        ("xero-books", books.application(desk)),
    ]
