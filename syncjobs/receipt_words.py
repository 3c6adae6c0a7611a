"""What pages say of receipts: each with its state, how many are still to come and when, and what does not follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Max, Q

from connectors import registry
from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import scope
from syncjobs import owing, receipts
from syncjobs.models import Export, ExportReceipt, SyncRun
from syncjobs.owing import UNDER_WAY
from syncjobs.transitions import State
from syncjobs.upkeep import RECEIPT_PATIENCE
from syncjobs.wording import Label

Receipt = ExportReceipt.State

LABELS = {
    Receipt.ATTACHED: Label("ok", "Attached"),
    Receipt.FAILED: Label("bad", "Not attached"),
    Receipt.WAITING: Label("off", "Waits"),
    Receipt.SENT: Label("busy", "On its way"),
    Receipt.UNKNOWN: Label("busy", "Checking"),
}
GIVEN_UP = "PEX gave no file for 30 days. Add it in the books by hand."


@dataclass(frozen=True, slots=True)
class Coming:
    """Receipts that are not through yet. `at`: when they go on, None in a moment. `says`: what they wait for."""

    count: int
    at: datetime | None
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """One receipt as the page of its transaction draws it. `again`: a person may have it sent once more."""

    receipt: ExportReceipt
    label: Label
    says: str
    again: bool


def coming(connection: Connection, about: SyncRun | Export | None = None) -> Coming | None:
    """Those of all rows of a connection, of the rows a run sent, or of one row: one query. None where none is."""
    found = ExportReceipt.objects.filter(
        business_id=connection.business_id,
        state__in=UNDER_WAY,
        at__gt=clock.now() - RECEIPT_PATIENCE,
        export__system=connection.system,
        export__state=State.POSTED,
        export__target=connection.target,
        generation=F("export__generation"),
    )
    if isinstance(about, SyncRun):
        found = found.filter(export__run=about)
    elif about is not None:
        found = found.filter(export=about)
    told = found.aggregate(count=Count("pk"), says=Max("says", filter=Q(state=Receipt.SENT)))
    if not told["count"]:
        return None
    at = connection.deliver_at
    return Coming(told["count"], at if at and at > clock.now() else None, told["says"] or "")


def lines(export: Export, connection: Connection, found: Sequence[ExportReceipt]) -> list[Line]:
    go = not stays(export, connection)
    return [_line(receipt, go) for receipt in found]


def _line(receipt: ExportReceipt, go: bool) -> Line:
    state = Receipt(receipt.state)
    if state in UNDER_WAY and receipt.at <= clock.now() - RECEIPT_PATIENCE:
        return Line(receipt, LABELS[Receipt.FAILED], GIVEN_UP, go)
    label = LABELS[state]
    if state in UNDER_WAY and (receipt.says or not go):
        label = LABELS[Receipt.WAITING]
    return Line(receipt, label, receipt.says, go and state == Receipt.FAILED)


def stays(export: Export, connection: Connection) -> str:
    """Why no receipt of a row goes to the books as things stand, a sentence; "" where they do."""
    connector = registry.ALL[export.system]
    if export.state != State.POSTED:
        return "Receipts follow once it is decided what becomes of the transaction."
    if not connection.ready:
        return f"{connector.label} is not connected: receipts follow once it is."
    if export.target != connection.target:
        return (
            f"Its record is in a company of {connector.label} that is no longer the one you are connected to, so no "
            "receipt is sent there. Add it there by hand."
        )
    if not Settings.parse(connection.settings).receipts:
        return f"Attachments are switched off in {connector.setup_page}, so no receipt is sent."
    return ""


def later(export: Export, connection: Connection) -> str:
    """What becomes of a receipt that is added in PEX from now on; "" where `stays` says it."""
    if stays(export, connection) or not receipts.come_later(export.kind, export.amount):
        return ""
    if not Settings.parse(connection.settings).late_receipts:
        setup = registry.ALL[export.system].setup_page
        return f"Receipts added in PEX after posting are not sent: that is switched off in {setup}."
    at = export.receipts_again_at
    if at is None:
        if export.receipts_checked_at is None:
            return ""
        return f"PEX is not asked for receipts of it any more. One added now has to be added {_where(export)} by hand."
    local = at.astimezone(connection.business.zone)
    return f"A receipt added in PEX now follows by itself: PEX is asked again on {local.day} {local:%b %Y}."


def _where(export: Export) -> str:
    return f"in {registry.ALL[export.system].label}"


def limits(export: Export) -> str:
    return registry.ALL[export.system].receipt_limits


def send_again(connection: Connection, export: Export, receipt: int) -> bool:
    """A person wants a receipt that failed sent once more; False where it cannot be, or somebody was faster."""
    if stays(export, connection):
        return False
    now = clock.now()
    failed = Q(state=Receipt.FAILED) | Q(state__in=UNDER_WAY, at__lte=now - RECEIPT_PATIENCE)
    with scope(connection.business_id):
        mine = ExportReceipt.objects.filter(failed, pk=receipt, export=export, generation=export.generation)
        counted = mine.filter(state=Receipt.FAILED).exists()
        if not mine.update(state=Receipt.SENT, says="", at=now):
            return False
        if counted:  # its run told of it as one that failed; what becomes of it now is counted anew
            told = SyncRun.objects.filter(pk=export.run_id or 0, receipts_failed__gt=0)
            told.update(receipts_failed=F("receipts_failed") - 1)
    owing.soon(connection)
    return True
