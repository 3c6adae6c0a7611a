"""Checking: every row of the mirror that is or comes into the ledger is judged, and people see why one does not go."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.errors import SettingsNeeded
from connectors.models import Connection
from connectors.records import Kind, Transaction
from pexsync.accounts.tenancy import reading, scope
from syncjobs import booked, coding, facts, judge, keys, ledger, lookalikes, mirror, runs
from syncjobs.booked import Decided
from syncjobs.desk import MOST_ENTRIES, Desk
from syncjobs.judge import Close, Due, Hold, Judgement, Rules, Wait
from syncjobs.models import Export, PexTransaction, RunResult, SyncRun
from syncjobs.transitions import State, Who
from syncjobs.window import Window

CHUNK = 500

Pair = tuple[Export, Transaction]


class Verdicts:
    """What the judge said in this run so far: the counts, and the rows a person must mend."""

    def __init__(self) -> None:
        self.judged = self.waiting = self.due = self.needs_you = 0
        self.settings_problem = ""
        self._settings = 0
        self._new: list[tuple[Export, Wait | Hold]] = []

    def add(self, export: Export, verdict: Judgement) -> None:
        self.judged += 1
        match verdict:
            case Due():
                self.due += 1
            case Wait(needs_you=True) | Hold():
                self.due += 1
                self.needs_you += 1
                self._new.append((export, verdict))
                if isinstance(verdict, Wait) and verdict.word == "settings":
                    self._settings += 1
                    self.settings_problem = verdict.says
            case Wait():
                self.waiting += 1

    @property
    def stopped_by(self) -> str:
        """The sentence about the settings, when no row gets past it; else ""."""
        return self.settings_problem if self._settings and self._settings == self.due else ""

    def take_new(self) -> list[tuple[Export, Wait | Hold]]:
        new, self._new = self._new, []
        return new


def check(desk: Desk, run: SyncRun) -> bool:
    """Judge all. False: a person must look at the preview and confirm it first; nothing was judged into the ledger."""
    desk.progress(phase=SyncRun.Phase.CHECKING)
    rules = _rules(desk)
    if any(kind.value not in desk.connection.preview_confirmed for kind in desk.settings.kinds):
        shown = preview(desk, run, rules)
        if shown.lines:
            # What this run asked before, of kinds confirmed since, stays on record beside it.
            answered = [line for line in run.preview if line["kind"] in desk.connection.preview_confirmed]
            desk.progress(preview=answered + shown.lines, pairs=run.pairs | shown.pairs, confirmed_at=None, attempts=0)
            runs.pause(run, "Look at what would be posted and confirm it. Nothing was posted yet.", None)
            return False
    _pair_what_banks_book(desk, run, rules)
    verdicts = Verdicts()
    decided = booked.decided(desk, run)
    sent, held = _behind(desk, run)
    for new, known in rows_to_judge(desk, run, rules):
        desk.step()
        _admit(desk, rules, decided, new, verdicts)
        _rejudge(desk, rules, decided, known, verdicts)
        save_results(desk, run, verdicts.take_new())
        due = sent + held + verdicts.due
        desk.progress(rows_judged=verdicts.judged, rows_waiting=verdicts.waiting, rows_due=due)
    desk.progress(phase=SyncRun.Phase.SENDING, rows_failed=held + verdicts.needs_you)
    _note_settings(desk, verdicts.stopped_by)
    return True


def _behind(desk: Desk, run: SyncRun) -> tuple[int, int]:
    """How many rows a run that checks once more has sent before, and how many of its rows a person must look at."""
    with reading(desk.business.pk):
        sent = desk.exports().filter(run=run, state__in=(State.SENT, State.POSTED)).count()
        failed = RunResult.objects.filter(run=run).values("export_id")
        return sent, desk.exports().filter(pk__in=failed, state=State.HELD).count()


def verdict_on(
    desk: Desk, rules: Rules, record: Transaction, generation: int = 1, overruled: bool = False
) -> Judgement:
    key = keys.key(record.source, record.pex_id, generation)
    url = desk.url_of(key, record.account_id)
    verdict = judge.judge(record, rules, generation=generation, overruled=overruled, url=url)
    if isinstance(verdict, Due):
        desk.new_parties.setdefault(verdict.entry.party, verdict.entry)
        if not verdict.noted and len(desk.entries) < MOST_ENTRIES:
            desk.entries[key] = verdict.entry
    return verdict


@dataclass
class Preview:
    """What the first sync of a kind would post: per month and kind, money as text; and what looks booked already."""

    lines: list[dict[str, Any]]
    pairs: dict[str, dict[str, Any]]


@dataclass
class _Line:
    """One month of one kind while it is counted."""

    ready: list[Decimal] = field(default_factory=list)
    blocked: int = 0
    paired: int = 0


def preview(desk: Desk, run: SyncRun, rules: Rules) -> Preview:
    """Count and sum what would go out of kinds nobody confirmed, and what a person must mend first."""
    lines: dict[tuple[str, Kind], _Line] = {}
    seen: list[Transaction] = []
    for new, known in rows_to_judge(desk, run, rules):
        desk.alive()
        # What an earlier run let in while it waited has not been shown to anybody yet.
        unseen = [(record, 1, False) for record in new]
        unseen += [(record, row.generation, row.overruled) for row, record in known]
        for record, generation, overruled in unseen:
            if record.kind in desk.connection.preview_confirmed:
                continue
            verdict = verdict_on(desk, rules, record, generation, overruled)
            line = lines.setdefault(booked.month_and_kind(record), _Line())
            seen.append(record)
            if isinstance(verdict, Due):
                line.ready.append(record.amount)
            elif needs_you(verdict):
                line.blocked += 1
    pairs = booked.pairs(desk, seen)
    for record in seen:
        if (record.source, record.pex_id) in pairs:
            lines[booked.month_and_kind(record)].paired += 1
    return Preview(
        [
            {
                "month": month,
                "kind": kind.value,
                "count": len(line.ready),
                "sum": str(sum(line.ready, Decimal("0.00"))),
                "blocked": line.blocked,
                "paired": line.paired,
            }
            for (month, kind), line in sorted(lines.items())
            if line.ready or line.blocked
        ],
        booked.stored(pairs),
    )


def _pair_what_banks_book(desk: Desk, run: SyncRun, rules: Rules) -> None:
    """Fundings and bill payments are compared on every run: a bank feed may have brought them into the books first."""
    kinds = lookalikes.BY_BANK & desk.settings.kinds
    if not kinds:
        return
    rows = []
    for new, known in rows_to_judge(desk, run, rules):
        rows += [record for record in new if record.kind in kinds]
        rows += [record for row, record in known if record.kind in kinds and not row.overruled]
    desk.progress(pairs=booked.stored(booked.pairs(desk, rows)) | run.pairs)


def needs_you(verdict: Judgement) -> bool:
    """Whether a person must do something before the row goes."""
    return isinstance(verdict, Hold) or (isinstance(verdict, Wait) and verdict.needs_you)


def rows_to_judge(desk: Desk, run: SyncRun, rules: Rules) -> Iterator[tuple[list[Transaction], list[Pair]]]:
    """Yield chunks of the mirror: what the ledger does not know and lets in, and what it holds as due."""
    days = Window(run.window_start, run.window_end)
    first = min(days.first, facts.oldest_due(desk) or days.first)
    last = 0
    while True:
        with reading(desk.business.pk):
            rows = list(
                PexTransaction.objects.filter(
                    business_id=desk.business.pk, settled_on__gte=first, pk__gt=last
                ).order_by("pk")[:CHUNK]
            )
            exports = {
                (export.source, export.pex_id): export
                for export in desk.exports().filter(pex_id__in=[row.pex_id for row in rows])
            }
        if not rows:
            return
        last = rows[-1].pk
        new: list[Transaction] = []
        known: list[Pair] = []
        for row in rows:
            export = exports.get((row.source, row.pex_id))
            if export is not None:
                if export.state == State.DUE:
                    known.append((export, mirror.record_of(row)))
            elif row.kind:
                record = mirror.record_of(row)
                if judge.admitted(record, rules, days):
                    new.append(record)
        yield new, known


def _admit(desk: Desk, rules: Rules, decided: Decided, records: Sequence[Transaction], verdicts: Verdicts) -> None:
    """Insert each row with its verdict in it, so that a row costs one version; held and closed ones move on."""
    judged: dict[tuple[str, int], tuple[Transaction, Judgement]] = {}
    rows = []
    for record in records:
        overruled = decided.overrules(record)
        verdict = decided.verdict(record, verdict_on(desk, rules, record, overruled=overruled), overruled)
        judged[record.source.value, record.pex_id] = record, verdict
        rows.append(_new_row(desk, record, verdict, overruled))
    admitted = ledger.admit(desk.actor(Who.JUDGE), rows)
    moving = []
    for row in admitted:
        record, verdict = judged[row.source, row.pex_id]
        verdicts.add(row, verdict)
        if isinstance(verdict, Hold | Close):
            moving.append((row, verdict, record.amount))
    ledger.judged(desk.actor(Who.JUDGE), moving)


def _new_row(desk: Desk, record: Transaction, verdict: Judgement, overruled: bool) -> Export:
    row = Export(
        business_id=desk.business.pk,
        system=desk.connection.system,
        source=record.source.value,
        pex_id=record.pex_id,
        kind=str(record.kind),
        settled_on=coding.settled_on(record),
        amount=record.amount,
        card_account=record.account_id,
        overruled=overruled,
    )
    match verdict:
        case Due(entry=entry):
            row.fingerprint, row.posting_date = coding.fingerprint(entry), entry.date
        case Wait(word=word, cause=cause, says=says):
            row.waiting, row.cause, row.says = word, cause[:80], says[:500]
    return row


def _rejudge(desk: Desk, rules: Rules, decided: Decided, pairs: Sequence[Pair], verdicts: Verdicts) -> None:
    moving = []
    for export, record in pairs:
        verdict = verdict_on(desk, rules, record, export.generation, export.overruled)
        verdict = decided.verdict(record, verdict, export.overruled)
        verdicts.add(export, verdict)
        moving.append((export, verdict, record.amount))
    ledger.judged(desk.actor(Who.JUDGE), moving)


def save_results(desk: Desk, run: SyncRun, failures: Sequence[tuple[Export, Wait | Hold]]) -> None:
    """Keep what did not go in this run and why; successes are read from the ledger."""
    rows = [
        RunResult(
            business_id=desk.business.pk,
            run=run,
            export=export,
            cause=(why.cause or why.word if isinstance(why, Wait) else why.cause)[:80],
            says=why.says[:500],
            field=why.field[:60] if isinstance(why, Wait) else "",
        )
        for export, why in failures
    ]
    if rows:
        with scope(desk.business.pk):
            RunResult.objects.bulk_create(rows, ignore_conflicts=True)


def _note_settings(desk: Desk, problem: str) -> None:
    """Settings that no longer fit stop the run only when every row is affected."""
    if problem != desk.connection.settings_problem:
        with scope(desk.business.pk):
            Connection.objects.filter(pk=desk.connection.pk).update(settings_problem=problem[:300])
    if problem:
        raise SettingsNeeded(problem)


def _rules(desk: Desk) -> Rules:
    if desk.rules is None:
        raise AssertionError("judged before the facts were gathered")
    return desk.rules
