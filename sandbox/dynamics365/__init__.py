"""The simulated Microsoft Dynamics 365 Business Central: sign-in at Entra, the API v2.0, and pages for people."""

from starlette.types import ASGIApp

from sandbox.dynamics365 import entra, pages
from sandbox.dynamics365.api import Api
from sandbox.dynamics365.seeds import seed
from sandbox.dynamics365.world import BusinessCentralWorld, fresh_world
from sandbox.server import Desk

__all__ = ["BusinessCentralWorld", "fresh_world", "mounts", "seed"]


def mounts(desk: Desk) -> list[tuple[str, ASGIApp]]:
    """Return the path prefix and the application of each host Microsoft has."""
    return [
        ("entra", entra.application(desk)),
        ("bc-api", Api(desk)),
        ("bc", pages.application(desk)),
    ]
