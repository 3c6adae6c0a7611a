"""Whose database this is. A copy of it, or a restored backup, must not write to anybody's books by itself (rule L10).

The database carries the name of the installation it belongs to, and the environment repeats it (`INSTALLATION_ID`).
Where the two differ nothing is sent and no stored sign-in is opened, until somebody who runs it says
`manage.py adopt`: two installations that renew one sign-in lock each other out, and two that send double.
"""

from datetime import datetime

from django.conf import settings
from django.db import connection

from pexsync import clock
from pexsync.accounts.models import Installation

ROW = 1
STRANGER = (
    "This database belongs to another installation of PEX Sync, so nothing is sent from here. "
    "Whoever runs it decides with “manage.py adopt”."
)

_ours: set[tuple[str, str]] = set()  # databases and names known to agree: asked once per process


def ours() -> bool:
    """Whether this process may work with this database. An empty one belongs to whoever comes first."""
    name = (str(connection.settings_dict["NAME"]), settings.INSTALLATION_ID)
    if name not in _ours and _row().name == settings.INSTALLATION_ID:
        _ours.add(name)
    return name in _ours


def restored_at() -> datetime | None:
    """When this database was last taken over: what was sent up to then may be in the books and not in the ledger."""
    return _row().restored_at


def adopt() -> None:
    """Make this the installation the database belongs to; every row settled so far is looked for before it is sent."""
    now = clock.now()
    Installation.objects.update_or_create(
        pk=ROW, defaults={"name": settings.INSTALLATION_ID, "adopted_at": now, "restored_at": now}
    )


def forget() -> None:
    """Ask the database again; for tests, where it changes under a living process."""
    _ours.clear()


def _row() -> Installation:
    defaults = {"name": settings.INSTALLATION_ID, "adopted_at": clock.now()}
    return Installation.objects.get_or_create(pk=ROW, defaults=defaults)[0]
