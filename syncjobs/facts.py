"""What PEX and the books say before any row is judged: permissions, tags, accounts, lock date, and PEX's rows."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

from django.conf import settings
from django.db.models import Max, Min

from connectors.connector import Connector
from connectors.errors import NotAuthorized, NotNow
from connectors.pex import mapping
from connectors.records import PARTY, Field, KnownTag
from pexsync import clock
from pexsync.accounts import permissions
from pexsync.accounts.tenancy import reading
from syncjobs import changes, coding, glance, mirror, window
from syncjobs.coding import Book, Choices
from syncjobs.desk import Desk
from syncjobs.judge import Rules
from syncjobs.models import MirrorRead, PexTransaction, SyncRun
from syncjobs.transitions import State
from syncjobs.window import Window
from tagging import definitions

logger = logging.getLogger(__name__)

STALE = timedelta(hours=1)  # a run that goes on later than this reads PEX anew
DETAILS_LIFE = timedelta(minutes=10)  # PEX gives the account's details ten times an hour


@dataclass(frozen=True, slots=True)
class PexFacts:
    names: Mapping[int, str]  # cardholders by card account
    tags_enabled: bool
    bill_pay: bool


class Cardholders(Mapping[int, str]):
    """The names on the cards: those the mirror knows, and PEX's own list once a card is met that it does not."""

    def __init__(self, desk: Desk, details: mapping.JSON | None) -> None:
        self._desk, self._details = desk, details

    @cached_property
    def _mirrored(self) -> dict[int, str]:
        with reading(self._desk.business.pk):
            rows = PexTransaction.objects.filter(business_id=self._desk.business.pk, account_id__isnull=False)
            newest = rows.values("account_id").annotate(last=Max("pex_id")).values("last")
            found = rows.filter(pex_id__in=newest).values_list("account_id", "cardholder")
            return {account: name for account, name in found if account is not None}

    @cached_property
    def _asked(self) -> dict[int, str]:
        return mapping.cardholders(self._details or self._desk.pex.account_details())

    def __getitem__(self, account: int) -> str:
        if self._details is None and account in self._mirrored:
            return self._mirrored[account]
        return self._asked[account]

    def __iter__(self) -> Iterator[int]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)


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
        book=replace(book, tags=tags, tags_enabled=facts.tags_enabled),
        note=desk.books.note,
        foreign_marks=tuple(desk.books.foreign_marks),
        today=clock.today(),
        closed_until=closed_until,
        gone=changes.gone(desk),
        late=changes.late(desk),
        statements=changes.statement_verdicts(desk) if desk.business.charge else {},
        cutover=desk.connection.cutover_on,
    )


def _ask_books(desk: Desk) -> tuple[Book, date | None]:
    fields = desk.books.fields()
    lists = {field.list_name for field in fields if not field.text} | {"pex_account"}
    if not (coding.reads_party(desk.settings) or PARTY in desk.settings.synced):
        # Whom entries are booked against is known by id, or asked for when it is needed: there may be thousands.
        lists.discard(PARTY)
    choices = {name: Choices(desk.books.options(name)) for name in sorted(lists)}
    return book_of(type(desk.books), fields, choices, {}), desk.books.closed_until()


def book_of(
    connector: type[Connector],
    fields: Sequence[Field],
    choices: Mapping[str, Choices],
    tags: Mapping[str, KnownTag],
    tags_enabled: bool = True,
) -> Book:
    """What coding must know of the books and of PEX's tags, with the words people read about that system."""
    return Book(
        label=connector.label,
        fields=fields,
        choices=choices,
        tags=tags,
        tags_enabled=tags_enabled,
        party_word=connector.party_word,
        setup_page=connector.setup_page,
        sync_word=connector.sync_word,
        sync_page=connector.sync_page,
    )


def _ask_pex(desk: Desk) -> PexFacts:
    """First whether the sign-in lives and has its permissions, since PEX says only once why it does not."""
    pex = desk.pex
    _check_permissions(mapping.admin(pex.my_profile()))
    wanted = desk.pool.submit(_details, desk)
    asked = desk.pool.submit(pex.business_settings)
    tags = desk.pool.submit(pex.tags)
    told, rows = asked.result(), tags.result()
    details = wanted.result()
    if rows is not None:
        definitions.save(desk.business, [mapping.tag(row) for row in rows])
    glance.note(desk.business, details, told, tags_enabled=rows is not None)
    return PexFacts(
        names=Cardholders(desk, details),
        tags_enabled=rows is not None,
        bill_pay=told.get("UseBillPay") is True,
    )


def _details(desk: Desk) -> mapping.JSON | None:
    """The account's details; None where they are known well enough, or PEX does not give them again so soon."""
    asked = desk.business.glance_at
    if asked and clock.now() - asked < DETAILS_LIFE:
        return None
    try:
        return desk.pex.account_details()
    except NotNow:
        return None


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
    """Let the run work with a read of PEX that is new enough: somebody else's, or one of its own.

    PEX allows few. By night the connections of a business share one; a person who pressed SYNC sees what PEX says now,
    and only what it said within the hour where PEX gives no more.
    """
    now = clock.now()
    stale = now - STALE * settings.PATIENCE
    if run.mirrored_at and run.mirrored_at > stale:
        return
    desk.progress(phase=SyncRun.Phase.READING)
    days = window.to_read(Window(run.window_start, run.window_end), oldest_due(desk), clock.today(), run.nightly)
    whole = window.the_year(clock.today()) if mirror.year_is_due(desk.business.pk, now) else days
    shared = mirror.last_read(desk.business.pk, whole, since=stale if run.nightly else max(run.queued_at, stale))
    if shared is None:
        try:
            _read_anew(desk, whole, facts)
        except NotNow:
            shared = mirror.last_read(desk.business.pk, days, since=stale)
            if shared is None:
                raise
    if shared is not None:
        _go_on_with(desk, shared)
    changes.let_wait(desk)


def _read_anew(desk: Desk, days: Window, facts: PexFacts) -> None:
    def read_so_far(rows: int) -> None:
        desk.alive()  # however long it takes: a read that is cut off begins anew, and PEX allows few of them
        desk.progress(rows_read=rows)

    read = mirror.refresh(desk.business, desk.pex, days, facts.names, facts.bill_pay, read_so_far)
    changes.compare(desk.connection, read)
    glance.refresh(desk.business)
    desk.progress(rows_read=read.rows, mirrored_at=read.began_at, phase=SyncRun.Phase.CHECKING)
    facts_read = {"rows": read.rows, "changed": read.changed, "missing": len(read.missing)}
    logger.info("mirror read", extra={"business": desk.business.pk, **facts_read})


def _go_on_with(desk: Desk, read: MirrorRead) -> None:
    desk.progress(rows_read=read.rows, mirrored_at=read.began_at, phase=SyncRun.Phase.CHECKING)
    logger.info("mirror shared", extra={"business": desk.business.pk, "read": read.pk})


def oldest_due(desk: Desk) -> date | None:
    with reading(desk.business.pk):
        oldest: date | None = desk.exports().filter(state=State.DUE).aggregate(day=Min("settled_on"))["day"]
    return oldest
