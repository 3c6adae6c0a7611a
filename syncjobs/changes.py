"""PEX changes its mind (rule L11): rows vanish, come back, come anew under another number, late, or with other amounts.

Nothing here moves a row of the ledger or touches the books: it is told, and the judge lets nothing go that might be in
the books already.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from connectors.models import Connection
from connectors.records import Source, Transaction
from pexsync import clock
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import reading, scope
from syncjobs import judge, ledger, mirror, notices, statements, window
from syncjobs.desk import Desk
from syncjobs.judge import Address, Gone, Wait
from syncjobs.mirror import Read
from syncjobs.models import Export, MirrorRead, PexTransaction
from syncjobs.standing import Figure
from syncjobs.statements import Verdict
from syncjobs.transitions import Closed, State, Who
from syncjobs.window import Window

logger = logging.getLogger(__name__)

CHUNK = 500
APART = timedelta(minutes=10)  # between two reads that lack something, before it counts as taken away
RECENT = timedelta(days=30)  # what was shown first longer ago was judged when it was
USUAL = timedelta(days=60)  # over which a usual day is counted
MANY = 20  # rows that come late without anybody being asked

TO_BE_SENT = Q(state=State.DUE, put_off=False)  # nobody has dealt with such a row yet
GONE = "No longer in PEX. Its record stays in the books."
AMOUNT_CHANGED = "PEX changed the amount"

MUCH_MISSING = (
    "PEX suddenly shows far fewer transactions than before. Nothing was changed for those it leaves out, and those "
    "not sent yet wait. If they do not come back, ask PEX support about it."
)


# --- after a read -----------------------------------------------------------------------------------------------------


def compare(connection: Connection, read: Read) -> None:
    """Compare the ledger of the whole business, for every system, with what a read just showed."""
    with scope(connection.business_id):
        rows = Export.objects.filter(business_id=connection.business_id, source=Source.TRANSACTION)
        _come_back(rows, read)
        if not read.doubtful:
            _vanished(rows, read)
        _changed_amounts(rows, read)
    if read.doubtful:
        notices.tell(connection, notices.ROWS_VANISHED, MUCH_MISSING)
    else:
        notices.over(connection, notices.ROWS_VANISHED)


def _come_back(rows: QuerySet[Export], read: Read) -> None:
    missed = rows.filter(gone_missed_at__lt=read.began_at).values_list("pk", "pex_id")
    for some in _pieces([pk for pk, pex_id in missed if pex_id in read.seen]):
        back = rows.filter(pk__in=some)
        back.filter(says=GONE).update(says="")
        back.update(gone_missed_at=None, gone_at=None)


def _vanished(rows: QuerySet[Export], read: Read) -> None:
    """What no complete read shows twice is gone.

    A row still due has nothing in the books: the judge lets it wait. One that a person put off may have, by hand.
    """
    before = read.began_at - APART * settings.PATIENCE
    for some in _pieces(read.missing):
        lost = rows.filter(pex_id__in=some, gone_at=None).exclude(TO_BE_SENT)
        lost.filter(gone_missed_at__lte=before, state=State.POSTED).update(gone_at=read.began_at, says=GONE)
        lost.filter(gone_missed_at__lte=before).update(gone_at=read.began_at)
        lost.filter(gone_missed_at=None).update(gone_missed_at=read.began_at)


def _changed_amounts(rows: QuerySet[Export], read: Read) -> None:
    """A posted row keeps the amount it was posted with, and says what PEX shows now."""
    for some in _pieces(read.rewritten):
        posted = list(rows.filter(pex_id__in=some, state=State.POSTED))
        shown = _amounts(rows, posted)
        for row in posted:
            says = _amount_says(row, shown.get(row.pex_id, row.amount))
            if says != row.says:
                rows.filter(pk=row.pk, state=State.POSTED).update(says=says)


def _amounts(rows: QuerySet[Export], posted: Sequence[Export]) -> Mapping[int, Decimal]:
    if not posted:
        return {}
    found = PexTransaction.objects.filter(
        business_id=posted[0].business_id, source=Source.TRANSACTION, pex_id__in=[row.pex_id for row in posted]
    )
    return dict(found.values_list("pex_id", "amount"))


def _amount_says(row: Export, shown: Decimal) -> str:
    if shown != row.amount:
        return (
            f"{AMOUNT_CHANGED} to {shown} after this was posted with {row.amount}. Its record stays as it was posted."
        )
    return "" if row.says.startswith(AMOUNT_CHANGED) else row.says


# --- what came late -------------------------------------------------------------------------------------------------


def asked_about(connection: Connection) -> Figure:
    """How many rows wait because PEX showed them so late. Call it inside the tenant's scope."""
    waiting = _waiting_late(connection).aggregate(count=Count("pk"), amount=Sum("amount"))
    return Figure(waiting["count"], waiting["amount"] or Decimal("0.00"))


def confirm_late(connection: Connection, by: User) -> bool:
    """What PEX has shown so far may go, however late it was; False when nothing waits for that."""
    with scope(connection.business_id):
        count = _waiting_late(connection).count()
        if count:
            Connection.objects.filter(pk=connection.pk).update(late_confirmed_at=clock.now())
    if count:
        logger.info("late rows confirmed", extra={"connection": connection.pk, "rows": count, "by": by.pk})
    return bool(count)


def _waiting_late(connection: Connection) -> QuerySet[Export]:
    rows = Export.objects.filter(business_id=connection.business_id, system=connection.system)
    # The first condition is the second one's consequence; the index of waiting rows is found by it.
    return rows.filter(~Q(waiting=""), state=State.DUE, waiting="late")


# --- before judging ---------------------------------------------------------------------------------------------------


def let_wait(desk: Desk) -> None:
    """Due rows the mirror does not hold at all are never judged: they must not look as if they were about to go."""
    mirrored = PexTransaction.objects.filter(
        business_id=OuterRef("business_id"), source=OuterRef("source"), pex_id=OuterRef("pex_id")
    )
    with reading(desk.business.pk):
        lost = list(desk.exports().filter(~Exists(mirrored), ~Q(waiting="gone"), state=State.DUE))
    ledger.judged(desk.actor(Who.JUDGE), [(row, Wait("gone", judge.NOT_SHOWN), row.amount) for row in lost])


def gone(desk: Desk) -> Mapping[Address, Gone]:
    """What PEX no longer shows though the ledger has dealt with it, by the marks a re-issued row would share."""
    found: dict[Address, Gone] = {}
    with reading(desk.business.pk):
        unseen = PexTransaction.objects.filter(
            business_id=desk.business.pk,
            source=Source.TRANSACTION,
            digest=mirror.NO_LONGER_SHOWN,
            settled_on__gte=window.one_year_before(clock.today()),
        )
        lost = {row.pex_id: mirror.record_of(row) for row in unseen}
        for some in _pieces(list(lost)):
            known = desk.exports().filter(source=Source.TRANSACTION, pex_id__in=some).exclude(TO_BE_SENT)
            for export in known:
                record = lost[export.pex_id]
                mark = Gone(export.pex_id, _name(record), sure=export.gone_at is not None, link=export.link)
                found |= dict.fromkeys(judge.addresses(record), mark)
    return found


def _name(record: Transaction) -> str:
    day = record.happened_at.astimezone(clock.EASTERN)
    return f"{record.merchant or record.description or record.category} of {day:%-d %b %Y} ({abs(record.amount):,.2f})"


def statement_verdicts(desk: Desk) -> Mapping[int, Verdict]:
    """What the payments of a charge account's statements say about each other; tells of those left rejected."""
    with scope(desk.business.pk):
        rows = list(
            PexTransaction.objects.filter(
                business_id=desk.business.pk,
                source=Source.STATEMENT_PAYMENT,
                settled_on__gte=window.one_year_before(clock.today()),
            )
        )
        mine = desk.exports().filter(source=Source.STATEMENT_PAYMENT)
        booked = Q(state=State.POSTED) | Q(state=State.CLOSED, cause=Closed.BY_HAND)
        in_books = set(mine.filter(booked).values_list("pex_id", flat=True))
        shown = [mirror.record_of(row) for row in rows]
        payments = [one for one in shown if not one.missing or one.pex_id in in_books]
        rejected_since = {row.pex_id: row.read_at for row in rows if row.facts.get("rejected")}
        left = statements.not_reversed(payments, in_books, rejected_since, clock.now())
        mine.filter(pex_id__in=left, state=State.POSTED).update(says=statements.NOT_REVERSED)
    return statements.verdicts(payments, in_books)


def late(desk: Desk) -> frozenset[tuple[str, int]]:
    """The rows that wait for somebody to confirm them: so many older ones were never shown only now.

    Once asked for they wait for the answer, also when fewer of them are left.
    """
    with reading(desk.business.pk):
        asked = set(_waiting_late(desk.connection).values_list("source", "pex_id"))
        waiting = asked - _confirmed(desk, asked)
        rows = _shown_late(desk)
        if len(rows) > MANY:
            rows -= _dealt_with(desk, rows)
        if len(rows) > max(MANY, _usual_day(desk)):
            waiting |= rows
    return frozenset(waiting)


def _shown_late(desk: Desk) -> set[tuple[str, int]]:
    """Rows first shown long after they settled, although a read had covered their days in between."""
    since = clock.now() - RECENT
    if desk.connection.late_confirmed_at:
        since = max(since, desk.connection.late_confirmed_at)
    reads = MirrorRead.objects.filter(business_id=desk.business.pk, ended_at__isnull=False)
    covered = [(began, Window(first, last)) for began, first, last in reads.values_list("began_at", "first", "last")]
    shown = PexTransaction.objects.filter(
        business_id=desk.business.pk,
        first_read_at__gt=since,
        settled_on__lt=clock.today() - judge.LATE,
        settled_on__gte=window.one_year_before(clock.today()),
        kind__in=[kind.value for kind in desk.settings.kinds],
    )
    return {
        (source, pex_id)
        for source, pex_id, happened, settled, first in shown.values_list(
            "source", "pex_id", "happened_at", "settled_at", "first_read_at"
        )
        if first and judge.came_late(happened, settled or happened, first, covered)
    }


def _dealt_with(desk: Desk, rows: set[tuple[str, int]]) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for some in _pieces([pex_id for _, pex_id in rows]):
        known = desk.exports().filter(pex_id__in=some).exclude(state=State.DUE)
        found.update(known.values_list("source", "pex_id"))
    return found


def _confirmed(desk: Desk, rows: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those a person has said yes to: first shown before that."""
    if desk.connection.late_confirmed_at is None:
        return set()
    shown = PexTransaction.objects.filter(
        business_id=desk.business.pk,
        pex_id__in=[pex_id for _, pex_id in rows],
        first_read_at__lte=desk.connection.late_confirmed_at,
    )
    return set(shown.values_list("source", "pex_id"))


def _usual_day(desk: Desk) -> float:
    """How many rows settle on a day, over the last two months."""
    settled = PexTransaction.objects.filter(
        business_id=desk.business.pk,
        settled_on__gt=clock.today() - USUAL,
        kind__in=[kind.value for kind in desk.settings.kinds],
    )
    return settled.count() / USUAL.days


def _pieces(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
