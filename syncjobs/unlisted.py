"""Why a transaction PEX shows is not among those of a connector: not settled, out of the window, its kind off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Exists, Max, OuterRef, QuerySet

from connectors import registry
from connectors.models import Connection
from connectors.records import Transaction
from connectors.settings import Settings
from pexsync import clock
from syncjobs import coding, judge, mirror, remedies, window
from syncjobs.models import Export, MirrorRead, PexTransaction
from syncjobs.remedies import Button, Place, Remedy

SHOWN = 10  # at once

SYNC = Remedy(Place.SYNC, "SYNC")
IN_PEX = Remedy(Place.PEX, "OPEN IN PEX")


@dataclass(frozen=True, slots=True)
class Reason:
    says: str
    remedy: Remedy


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction that is not in the list, as the page draws it."""

    transaction: PexTransaction
    says: str
    button: Button | None


@dataclass(frozen=True, slots=True)
class Reach:
    """What a connection takes in."""

    settings: Settings
    today: date
    auto_sync: bool
    cutover: date | None = None
    setup_page: str = "Setup"  # what the system's pages call the settings, and the button of a sync
    sync_word: str = "SYNC"


def why(row: Transaction, reach: Reach) -> Reason:
    """The first thing in its way. Pure."""
    return _not_money(row) or _not_wanted(row, reach) or _out_of_window(coding.settled_on(row), reach) or _next(reach)


def _not_money(row: Transaction) -> Reason | None:
    if row.declined:
        return Reason("PEX declined it: no money moved.", IN_PEX)
    if row.pending:
        return Reason("Pending in PEX: it is sent once it has settled, under a new number.", IN_PEX)
    if row.missing:
        return Reason(judge.NOT_SHOWN.partition(".")[0] + ".", IN_PEX)
    if row.kind is None:
        name = f"“{row.category}”" if row.category else "a kind without a name"
        return Reason(f"PEX calls it {name}, which is not booked: enter it by hand where it has to be.", IN_PEX)
    return None


def _not_wanted(row: Transaction, reach: Reach) -> Reason | None:
    if row.kind is not None and row.kind not in reach.settings.kinds:
        says = f"{row.kind.label.capitalize()}s are switched off in {reach.setup_page}."
        return Reason(says, _setup("kinds"))
    if reach.cutover and coding.settled_on(row) < reach.cutover:
        says = f"It settled before the company was changed, on {_said(reach.cutover)}: it belongs to the former one."
        return Reason(says, IN_PEX)
    return None


def _out_of_window(day: date, reach: Reach) -> Reason | None:
    start, end = reach.settings.start_date, reach.settings.end_date
    if day < window.one_year_before(reach.today):
        return Reason("It settled more than a year ago: nothing that old is synced. Enter it by hand.", IN_PEX)
    if start and day < start:
        says = f"It settled before the Start Date, {_said(start)}. Choose an earlier one in {reach.setup_page}."
        return Reason(says, _setup("start_date"))
    if end and day > end:
        says = f"It settled after the End Date, {_said(end)}. Choose a later one in {reach.setup_page}."
        return Reason(says, _setup("end_date"))
    if day < window.manual(reach.settings, reach.today).first:
        says = f"It settled more than two months ago, and no Start Date is chosen. Choose one in {reach.setup_page}."
        return Reason(says, _setup("start_date"))
    if day < window.automatic(reach.settings, reach.today).first:
        says = f"It settled more than two months ago: nights do not reach that far. Press {reach.sync_word}."
        return Reason(says, SYNC)
    return None


def _next(reach: Reach) -> Reason:
    if reach.auto_sync:
        return Reason("It came in after the last sync. The next one takes it.", SYNC)
    return Reason(f"It came in after the last sync, and auto-sync is off. Press {reach.sync_word}.", SYNC)


def _setup(field: str) -> Remedy:
    return Remedy(Place.SETUP, "OPEN SETUP", field=field)


def _said(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


# --- for the page -----------------------------------------------------------------------------------------------------


def rows(connection: Connection, found: QuerySet[PexTransaction]) -> Sequence[Row]:
    """The newest of the mirror's rows `found` that the connection does not have, each with its reason: one query."""
    mine = Export.objects.filter(
        business_id=connection.business_id,
        system=connection.system,
        source=OuterRef("source"),
        pex_id=OuterRef("pex_id"),
    )
    connector = registry.ALL[connection.system]
    reach = Reach(
        Settings.parse(connection.settings),
        clock.today(),
        connection.auto_sync,
        cutover=connection.cutover_on,
        setup_page=connector.setup_page,
        sync_word=connector.sync_word,
    )
    shown = []
    for row in found.filter(~Exists(mine)).order_by("-happened_at", "-pk")[:SHOWN]:
        reason = why(mirror.record_of(row), reach)
        shown.append(Row(row, reason.says, remedies.drawn(reason.remedy, connection.system, row.account_id)))
    return shown


def read_at(connection: Connection) -> datetime | None:
    """When PEX was last asked for transactions: what it has shown since is not known here."""
    reads = MirrorRead.objects.filter(business_id=connection.business_id, ended_at__isnull=False)
    newest: datetime | None = reads.aggregate(at=Max("began_at"))["at"]
    return newest
