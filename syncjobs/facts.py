"""What PEX and the books say before any row is judged: permissions, tags, accounts, lock date, and PEX's rows."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Min

from connectors.errors import NotAuthorized
from connectors.pex import mapping
from pexsync import clock
from pexsync.accounts import permissions
from pexsync.accounts.tenancy import reading
from syncjobs import glance, mirror, window
from syncjobs.coding import Book, Choices
from syncjobs.desk import Desk
from syncjobs.judge import Rules
from syncjobs.models import SyncRun
from syncjobs.transitions import State
from syncjobs.window import Window
from tagging import definitions

logger = logging.getLogger(__name__)

STALE = timedelta(hours=1)  # a run that goes on later than this reads PEX anew


@dataclass(frozen=True, slots=True)
class PexFacts:
    names: Mapping[int, str]  # cardholders by card account
    tags_enabled: bool
    bill_pay: bool


def gather(desk: Desk) -> None:
    """Ask the books and PEX side by side, refresh the mirror where it is stale, and lay the rules on the desk.

    Raises `RetryLater`, `NotAuthorized`.
    """
    desk.step()
    asked = desk.pool.submit(_ask_books, desk)
    facts = _ask_pex(desk)
    if desk.run is not None:
        _read_rows(desk, desk.run, facts)
    try:
        book, closed_until = asked.result()
    except NotAuthorized as error:
        desk.books_lost(error)
        raise
    with reading(desk.business.pk):
        tags = definitions.usable(desk.business)
    desk.rules = Rules(
        settings=desk.settings,
        book=Book(book.label, book.fields, book.choices, tags, facts.tags_enabled),
        note=desk.books.note,
        foreign_marks=tuple(desk.books.foreign_marks),
        where=desk.books.where,
        today=clock.today(),
        closed_until=closed_until,
    )


def _ask_books(desk: Desk) -> tuple[Book, date | None]:
    fields = desk.books.fields()
    choices = {field.key: Choices(desk.books.options(field.key)) for field in fields}
    choices["pex_account"] = Choices(desk.books.options("pex_account"))
    return Book(desk.books.label, fields, choices, {}), desk.books.closed_until()


def _ask_pex(desk: Desk) -> PexFacts:
    """First whether the sign-in lives and has its permissions, since PEX says only once why it does not."""
    pex = desk.pex
    _check_permissions(mapping.admin(pex.my_profile()))
    asked = [desk.pool.submit(ask) for ask in (pex.business_settings, pex.account_details)]
    tags = desk.pool.submit(pex.tags)
    settings, details = (answer.result() for answer in asked)
    rows = tags.result()
    if rows is not None:
        definitions.save(desk.business, [mapping.tag(row) for row in rows])
    glance.note(desk.business, details, settings, tags_enabled=rows is not None)
    return PexFacts(
        names=mapping.cardholders(details),
        tags_enabled=rows is not None,
        bill_pay=settings.get("UseBillPay") is True,
    )


def _check_permissions(admin: mapping.Admin) -> None:
    lacking = [need.label for need in permissions.CONNECTOR if need.value not in admin.permissions]
    if lacking:
        names = ", ".join(lacking)
        raise NotAuthorized(
            f"{admin.name or admin.username} no longer has the PEX permission {names}. Switch it on in PEX under "
            "My Profile → Permissions, or let another admin launch PEX Sync from PEX.",
            permission=names,
        )


def _read_rows(desk: Desk, run: SyncRun, facts: PexFacts) -> None:
    if run.mirrored_at and clock.now() - run.mirrored_at < STALE:
        return
    desk.progress(phase=SyncRun.Phase.READING)
    began = clock.now()
    days = window.to_read(Window(run.window_start, run.window_end), oldest_due(desk), clock.today())

    def read_so_far(rows: int) -> None:
        desk.alive()  # however long it takes: a read that is cut off begins anew, and PEX allows few of them
        desk.progress(rows_read=rows)

    read = mirror.refresh(desk.business, desk.pex, days, facts.names, facts.bill_pay, read_so_far)
    glance.refresh(desk.business)
    desk.progress(rows_read=read.rows, mirrored_at=began, phase=SyncRun.Phase.CHECKING)
    logger.info("mirror read", extra={"run": run.pk, "rows": read.rows, "changed": read.changed})


def oldest_due(desk: Desk) -> date | None:
    with reading(desk.business.pk):
        oldest: date | None = desk.exports().filter(state=State.DUE).aggregate(day=Min("settled_on"))["day"]
    return oldest
