"""The simulated PEX: cards, tags, notes and receipts behind PEX's own wire formats."""

from starlette.types import ASGIApp

from sandbox.pex import api, dashboard, oauth
from sandbox.pex.business import ALL, Admin, Business, CardAccount
from sandbox.pex.records import ABSENT, Attachment, Note, Option, Payment, Statement, Tag, Transaction
from sandbox.pex.world import Limit, PexWorld, Switches, fresh_world
from sandbox.server import Desk

__all__ = [
    "ABSENT",
    "ALL",
    "Admin",
    "Attachment",
    "Business",
    "CardAccount",
    "Limit",
    "Note",
    "Option",
    "Payment",
    "PexWorld",
    "Statement",
    "Switches",
    "Tag",
    "Transaction",
    "fresh_world",
    "mounts",
]


def mounts(desk: Desk) -> list[tuple[str, ASGIApp]]:
    """Return the path prefixes of PEX's three hosts and what answers there."""
    return [
        ("pex", api.application(desk)),
        ("pex-oauth", oauth.application(desk)),
        ("pex-dashboard", dashboard.application(desk)),
    ]
