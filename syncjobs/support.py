"""Sending again where support allows it: an admin asks, the wish stands on the row, and staff allow or decline it.

Whoever runs PEX Sync for their own company may let its admins do it themselves: `RESYNC_BY_ADMINS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from django.conf import settings
from django.db.models import OuterRef, Subquery

from connectors import registry
from connectors.connector import Connector, Resync
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import everywhere
from syncjobs import ledger
from syncjobs.models import Export, ExportEvent
from syncjobs.transitions import Remark, Who

SEND_AGAIN, ASK = "Send again", "Ask support to send again"  # on the button


@dataclass(frozen=True, slots=True)
class Wished:
    """One row somebody wants to be sent again. `remark`: what they wrote to support."""

    export: Export
    business: str
    business_id: int  # PEX's
    by: str
    remark: str


def allows(connector: type[Connector]) -> bool:
    """Whether support allows sending again there; else an admin does it."""
    return connector.resync is Resync.SUPPORT and not settings.RESYNC_BY_ADMINS


def word(connector: type[Connector]) -> str:
    """What the button says, and every sentence that names it."""
    return ASK if allows(connector) else SEND_AGAIN


def waits(export: Export) -> bool:
    """Whether somebody asked, and support has not answered yet."""
    return export.asked_at is not None and allows(registry.ALL[export.system])


def says(export: Export, names: Mapping[int, str], zone: tzinfo) -> str:
    """What the row tells of a wish that waits, "" where nobody asks; `names` of people by id, as of `names_of`."""
    if not waits(export):
        return ""
    by = names.get(export.asked_by_id or 0, "somebody who left")
    return f"Support was asked on {_day(export, zone)} by {by}: it goes again once they allow it."


def asked_already(export: Export, zone: tzinfo) -> str:
    return f"Support was asked on {_day(export, zone)} already. It goes again once they allow it."


def names_of(exports: Sequence[Export]) -> dict[int, str]:
    """Who asked, by id: one query, none where nobody did."""
    ids = {export.asked_by_id for export in exports if export.asked_at and export.asked_by_id}
    return {user.pk: str(user) for user in User.objects.filter(pk__in=ids)} if ids else {}


def _day(export: Export, zone: tzinfo) -> str:
    return f"{export.asked_at.astimezone(zone):%-d %b %Y}" if export.asked_at else ""


# --- for staff --------------------------------------------------------------------------------------------------------


def wishes() -> list[Wished]:
    """All that waits for support, whosesoever it is, the longest first."""
    asked = ExportEvent.objects.filter(export=OuterRef("pk"), event=Remark.ASKED_SUPPORT).order_by("-pk")
    with everywhere():
        rows = Export.objects.filter(asked_at__isnull=False).select_related("business", "asked_by")
        found = list(rows.annotate(remark=Subquery(asked.values("says")[:1])).order_by("asked_at", "pk"))
        return [
            Wished(row, row.business.name, row.business.pex_id, str(row.asked_by or "somebody who left"), row.remark)
            for row in found
            if row.system in registry.ALL
        ]


def decline(export: Export, reason: str) -> bool:
    """The row stays as it is, and says why; False when nobody had asked, or it moved on meanwhile."""
    if export.asked_at is None:
        return False
    told = f"Support did not let it go again: {reason}"
    return bool(ledger.decline(ledger.Actor(export.business_id, Who.STAFF), export, told))
