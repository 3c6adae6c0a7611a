"""The preview: what a run would send and what it would not, row by row, before anything is sent (rule L9).

It is made by the code that posts, from the rows it will post, and kept with the run; `shown` says what becomes of it.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef

from connectors.records import Kind, Transaction
from pexsync import clock
from pexsync.accounts.tenancy import everywhere, reading, scope
from syncjobs import booked, bulk, checking, coding, lease, lookalikes, notices, runs, shown, window
from syncjobs.desk import Desk
from syncjobs.judge import PUT_OFF, Close, Due, Hold, Judgement, Rules, Wait
from syncjobs.models import Export, PexTransaction, PreviewRow, SyncRun

logger = logging.getLogger(__name__)

LIFE = timedelta(days=7)  # after the run has ended
LOOK = "Look at what would be posted and confirm it. Nothing was posted yet."
COLUMNS = (
    "business_id", "run_id", "source", "pex_id", "kind", "settled_on", "amount", "merchant", "state", "cause", "says",
    "fingerprint", "entry", "pair", "chosen",
)  # fmt: skip
SHOWN_ANEW = "on conflict (run_id, source, pex_id) do update set " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS
)


def asks(desk: Desk, run: SyncRun) -> bool:
    """Whether a person must look first: at a kind nobody confirmed, or because somebody wants to. Nights ask nobody."""
    if run.nightly or run.confirmed_at is not None:
        return False
    return run.asks_first or _shows_something_new(desk, run)


def _unseen(desk: Desk, run: SyncRun) -> frozenset[Kind]:
    """The kinds this run would send and nobody has confirmed."""
    return runs.unconfirmed(desk.connection) & runs.kinds_of(run, desk.settings)


def _shows_something_new(desk: Desk, run: SyncRun) -> bool:
    kinds = _unseen(desk, run)
    if not kinds:
        return False
    first = checking.first_day(desk, run)
    with reading(desk.business.pk):
        rows = PexTransaction.objects.filter(business_id=desk.business.pk, settled_on__gte=first)
        return rows.filter(kind__in=[kind.value for kind in kinds]).exists()


def make(desk: Desk, run: SyncRun) -> bool:
    """Show what would go out. True when the run now waits for a person; nothing was judged into the ledger.

    Raises `lease.Lost` where another slice was faster, and somebody may have confirmed what that one showed.
    """
    desk.progress(phase=SyncRun.Phase.CHECKING)
    rules = checking.rules_of(desk)
    unticked = left = _clear(desk, run)
    begins = window.manual(desk.settings, clock.today()).first
    sheet = _Sheet(_unseen(desk, run), run.asks_first, begins)
    names = shown.parties(desk.settings, desk.connection.settings.get("labels", {}))
    for rows in _judged(desk, run, rules):
        desk.alive()
        sheet.add(rows)
        _keep(desk, [_row(desk, run, rules, names, unticked, *row) for row in rows])
        left = left - {(record.source.value, record.pex_id) for record, _ in rows}
    _drop(desk, run, left if sheet.to_show else None)
    if not sheet.to_show:
        if not run.only:  # else it says nothing about the other kinds
            notices.over(desk.connection, notices.PREVIEW)
        return False
    pairs = booked.pairs(desk, sheet.to_pair)
    sheet.count_pairs(pairs)
    _mark(desk, run, booked.stored(pairs), _to_create(desk))
    if not runs.show(run, LOOK, sheet.lines, booked.stored(pairs), desk.connection.settings_version):
        raise lease.Lost
    return True


def _judged(desk: Desk, run: SyncRun, rules: Rules) -> Iterator[list[tuple[Transaction, Judgement]]]:
    """All rows with their verdicts, in chunks; also those an earlier run let in: nobody may have seen them yet."""
    decided = booked.decided(desk, run)
    for new, known in checking.rows_to_judge(desk, run, rules, run.only_kinds):
        fresh = [(record, checking.verdict_on_new(desk, rules, decided, record)[0]) for record in new]
        yield fresh + [
            (_of_a_kind(one, row), checking.verdict_on_known(desk, rules, decided, row, one)) for row, one in known
        ]


def _of_a_kind(record: Transaction, row: Export) -> Transaction:
    """What PEX calls by a name nobody knows since it was let in is shown as what it was."""
    return record if record.kind else replace(record, kind=Kind(row.kind))


# --- counted ----------------------------------------------------------------------------------------------------------


@dataclass
class _Line:
    """One month of one kind while it is counted."""

    ready: int = 0
    amount: Decimal = Decimal("0.00")
    blocked: int = 0
    later: int = 0
    paired: int = 0


@dataclass
class _Sheet:
    """The preview while it is counted. `new`: the kinds nobody confirmed; `begins`: the first day of an ordinary sync.

    What nobody has agreed to yet is compared with the books, and what banks book too always is.
    """

    new: frozenset[Kind]
    asked_for: bool
    begins: date
    to_pair: list[Transaction] = field(default_factory=list)
    _lines: dict[tuple[str, Kind], _Line] = field(default_factory=dict)

    def add(self, rows: Iterable[tuple[Transaction, Judgement]]) -> None:
        for record, verdict in rows:
            line = self._lines.setdefault(booked.month_and_kind(record), _Line())
            if isinstance(verdict, Due):
                line.ready += 1
                line.amount += record.amount
            elif checking.needs_you(verdict):
                line.blocked += 1
            else:
                line.later += 1
            if self._compared(record, verdict):
                self.to_pair.append(_slim(record))

    def _compared(self, record: Transaction, verdict: Judgement) -> bool:
        """One that is put off must not use up the record that explains another one, which would go."""
        if isinstance(verdict, Wait) and verdict.word == PUT_OFF:
            return False
        unseen = record.kind in self.new or coding.settled_on(record) < self.begins
        return unseen or record.kind in lookalikes.BY_BANK

    def count_pairs(self, pairs: Mapping[lookalikes.Name, lookalikes.Pair]) -> None:
        """Months of kinds that were confirmed before are not asked about: what looks booked there is held by itself."""
        for record in self.to_pair:
            if record.kind in self.new and (record.source, record.pex_id) in pairs:
                self._lines[booked.month_and_kind(record)].paired += 1

    @property
    def to_show(self) -> bool:
        """Whether somebody must look: unless a preview was asked for, only at what is new and would go or be mended."""
        if self.asked_for:
            return bool(self._lines)
        return any(line.ready or line.blocked for (_, kind), line in self._lines.items() if kind in self.new)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Money as text. Months in which nothing is ready stand there only where there is nothing else."""
        found = [
            {
                "month": month,
                "kind": kind.value,
                "count": line.ready,
                "sum": str(line.amount),
                "blocked": line.blocked,
                "later": line.later,
                "paired": line.paired,
            }
            for (month, kind), line in sorted(self._lines.items())
        ]
        return [line for line in found if line["count"] or line["blocked"]] or found


def _slim(record: Transaction) -> Transaction:
    """What pairing asks of a row, and no more: there may be tens of thousands."""
    return replace(record, allocations=(), notes=(), description="", merchant="", merchant_clean="", cardholder="")


# --- kept -------------------------------------------------------------------------------------------------------------


def _clear(desk: Desk, run: SyncRun) -> set[shown.Name]:
    """Drop what an earlier look of this run showed; return what was unticked in it, which stays so.

    Rows that were unticked stand until they are shown anew: whoever comes after a crash must find them.
    """
    with scope(desk.business.pk):
        if not SyncRun.objects.filter(pk=run.pk, confirmed_at=None).exists():
            raise lease.Lost
        unticked = set(run.shown.filter(chosen=False).values_list("source", "pex_id"))
        run.shown.filter(chosen=True).delete()
    return unticked


def _drop(desk: Desk, run: SyncRun, names: Collection[shown.Name] | None) -> None:
    """Rows that are not shown any more; None: none is."""
    if names is not None and not names:
        return
    with scope(desk.business.pk):
        old = run.shown.filter(chosen=False).values_list("pk", "source", "pex_id")
        gone = (
            run.shown.all()
            if names is None
            else run.shown.filter(pk__in=[pk for pk, *name in old if tuple(name) in names])
        )
        gone.delete()


def _row(
    desk: Desk,
    run: SyncRun,
    rules: Rules,
    names: Mapping[str, str],
    unticked: set[shown.Name],
    record: Transaction,
    verdict: Judgement,
) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    state, cause, says = _why(verdict)
    due = verdict.entry if isinstance(verdict, Due) else None
    return (
        desk.business.pk,
        run.pk,
        record.source.value,
        record.pex_id,
        str(record.kind),
        coding.settled_on(record),
        record.amount,
        (record.merchant_clean or record.merchant or record.description)[:200],
        state,
        cause[:80],
        says[:500],
        coding.fingerprint(due) if due else "",
        shown.kept(due, rules.book, names) if due else {},
        {},
        (record.source.value, record.pex_id) not in unticked,
    )


def _why(verdict: Judgement) -> tuple[str, str, str]:
    """State, cause and sentence."""
    match verdict:
        case Due():
            return PreviewRow.State.READY, "", ""
        case Wait(word=word, says=says, cause=cause, needs_you=needs_you):
            return PreviewRow.State.BLOCKED if needs_you else PreviewRow.State.LATER, cause or word, says
        case Hold(cause=held, says=says):
            return PreviewRow.State.BLOCKED, held, says
        case Close(cause=closed, says=says):
            return PreviewRow.State.LATER, closed, says


def _keep(desk: Desk, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        with scope(desk.business.pk):
            bulk.insert_all(PreviewRow, COLUMNS, rows, SHOWN_ANEW)


def _to_create(desk: Desk) -> set[str]:
    """Whom the books would have to be told of first: asked once."""
    parties = [party for party in desk.new_parties if party.name]
    if not parties:
        return set()
    desk.alive()
    with desk.asking_books():
        return {party.name for party in desk.books.missing_parties(parties)}


def _mark(desk: Desk, run: SyncRun, pairs: Mapping[str, Mapping[str, Any]], missing: set[str]) -> None:
    """Write beside the rows what they look booked as, and whether whom they are booked against would be new."""
    last = 0
    while pairs or missing:
        desk.alive()
        with scope(desk.business.pk):
            rows = list(run.shown.filter(pk__gt=last).order_by("pk")[: shown.CHUNK])
            if not rows:
                return
            last = rows[-1].pk
            marked = [_marked(row, pairs.get(f"{row.source}:{row.pex_id}", {}), missing) for row in rows]
            bulk.update_each(PreviewRow, [each for each in marked if each])


def _marked(row: PreviewRow, pair: Mapping[str, Any], missing: set[str]) -> bulk.Row | None:
    new = row.entry.get("party") in missing
    if not pair and not new:
        return None
    entry = {**row.entry, "new": True} if new else row.entry
    return row.pk, {"run_id": row.run_id}, {"pair": dict(pair), "entry": entry}


# --- dropped ----------------------------------------------------------------------------------------------------------


def drop_old() -> int:
    """Forget the rows of previews whose runs ended some days ago; return of how many runs. What was decided stays.

    So do rows that are still to be put off: the next run does it.
    """
    with everywhere():
        rows = PreviewRow.objects.filter(run=OuterRef("pk"))
        owing = Exists(rows.filter(shown.TO_PUT_OFF))
        ended = SyncRun.objects.filter(Exists(rows), ended_at__lt=clock.now() - LIFE)
        old = list(ended.exclude(owing, confirmed_at__isnull=False).values_list("business_id", "pk"))
    for business_id, run_id in old:
        with scope(business_id):
            PreviewRow.objects.filter(run_id=run_id).delete()
    return len(old)
