"""Checking: every row of the mirror that is or comes into the ledger is judged, and people see why one does not go."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from connectors.errors import SettingsNeeded
from connectors.models import Connection
from connectors.records import Kind, Source, Transaction
from pexsync.accounts.tenancy import reading, scope
from syncjobs import booked, coding, facts, judge, keys, ledger, lookalikes, mirror, notices, runs, shown
from syncjobs.booked import Decided
from syncjobs.desk import MOST_ENTRIES, Desk
from syncjobs.judge import Close, Due, Hold, Judgement, Rules, Wait
from syncjobs.models import Export, PexTransaction, RunResult, SyncRun
from syncjobs.shown import Chosen
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

    def add(self, export: Export, verdict: Judgement | None) -> None:
        """None: judged, but not this run's to send."""
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


def check(desk: Desk, run: SyncRun) -> None:
    """Judge all into the ledger. Of a preview that was confirmed only what was shown comes in and is counted."""
    desk.progress(phase=SyncRun.Phase.CHECKING)
    rules = rules_of(desk)
    kinds = _kinds(desk, run)
    _pair_what_banks_book(desk, run, rules, kinds)
    verdicts = Verdicts()
    bench = Bench(rules, booked.decided(desk, run), kinds, _names_of(desk), Counter())
    sent, held = _behind(desk, run)
    for new, known in rows_to_judge(desk, run, rules, run.only_kinds):
        desk.step()
        chosen = shown.chosen(run, [*new, *(record for _, record in known)])
        bench.unseen.update(record.kind for record in new if record.kind not in kinds)
        seen = [record for record in new if record.kind in kinds and chosen.admits(record)]
        _admit(desk, bench, chosen, seen, verdicts)
        _rejudge(desk, bench, chosen, known, verdicts)
        save_results(desk, run, verdicts.take_new())
        due = sent + held + verdicts.due
        desk.progress(rows_judged=verdicts.judged, rows_waiting=verdicts.waiting, rows_due=due)
    desk.progress(phase=SyncRun.Phase.SENDING, rows_failed=held + verdicts.needs_you)
    if run.nightly:
        _tell_unseen(desk, bench.unseen)
    _note_settings(desk, verdicts.stopped_by)


@dataclass(frozen=True)
class Bench:
    """What is the same for all rows of one checking. `unseen`: how many rows of kinds nobody confirmed were met."""

    rules: Rules
    decided: Decided
    kinds: frozenset[Kind]
    names: Mapping[str, str]  # of those that are chosen by id to book entries against
    unseen: Counter[Kind | None]


def _kinds(desk: Desk, run: SyncRun) -> frozenset[Kind]:
    """The kinds that may go. At night, and with a preview that was confirmed, only those somebody has looked at."""
    kinds = runs.kinds_of(run, desk.settings)
    if run.nightly or run.confirmed_at is not None:
        return kinds - runs.unconfirmed(desk.connection)
    return kinds


def _names_of(desk: Desk) -> dict[str, str]:
    return shown.parties(desk.settings, desk.connection.settings.get("labels", {}))


def _tell_unseen(desk: Desk, unseen: Mapping[Kind | None, int]) -> None:
    """A night does not ask: what nobody has looked at stays out, and people are told once."""
    counts = {kind: count for kind, count in unseen.items() if kind is not None and count}
    if not counts and runs.unconfirmed(desk.connection):  # else the end of the run says so
        notices.over(desk.connection, notices.PREVIEW)
    if not counts:
        return
    waiting = " and ".join(
        f"{count:,} {kind.label}{'' if count == 1 else 's'}" for kind, count in sorted(counts.items())
    )
    wait = "waits" if sum(counts.values()) == 1 else "wait"
    says = (
        f"{waiting} {wait}: nobody has looked at them yet. Everything else was synced. "
        f"Press {desk.books.sync_word} and confirm them."
    )
    notices.tell(desk.connection, notices.PREVIEW, says)


def _behind(desk: Desk, run: SyncRun) -> tuple[int, int]:
    """How many rows a run that checks once more has sent before, and how many of its rows a person must look at."""
    with reading(desk.business.pk):
        sent = desk.exports().filter(run=run, state__in=(State.SENT, State.POSTED)).count()
        failed = RunResult.objects.filter(run=run).values("export_id")
        return sent, desk.exports().filter(pk__in=failed, state=State.HELD).count()


def verdict_on_new(desk: Desk, rules: Rules, decided: Decided, record: Transaction) -> tuple[Judgement, bool]:
    """What becomes of a row the ledger does not know, and whether a person has overruled what speaks against it."""
    overruled = decided.overrules(record)
    return decided.verdict(record, verdict_on(desk, rules, record, overruled=overruled), overruled), overruled


def verdict_on_known(desk: Desk, rules: Rules, decided: Decided, export: Export, record: Transaction) -> Judgement:
    return decided.verdict(record, verdict_of(desk, rules, export, record), export.overruled)


def verdict_of(desk: Desk, rules: Rules, export: Export, record: Transaction) -> Judgement:
    """What becomes of a row of the ledger now, with all that people decided about it."""
    return verdict_on(desk, rules, record, export.generation, export.overruled, export.put_off)


def verdict_on(
    desk: Desk,
    rules: Rules,
    record: Transaction,
    generation: int = 1,
    overruled: bool = False,
    put_off: bool = False,
) -> Judgement:
    key = keys.key(record.source, record.pex_id, generation)
    url = desk.url_of(key, record.account_id)
    verdict = judge.judge(record, rules, generation=generation, overruled=overruled, url=url, put_off=put_off)
    if isinstance(verdict, Due):
        desk.new_parties.setdefault(verdict.entry.party, verdict.entry)
        if not verdict.noted and len(desk.entries) < MOST_ENTRIES:
            desk.entries[key] = verdict.entry
    return verdict


def _pair_what_banks_book(desk: Desk, run: SyncRun, rules: Rules, kinds: frozenset[Kind]) -> None:
    """Fundings and bill payments are compared on every run: a bank feed may have brought them into the books first."""
    by_bank = lookalikes.BY_BANK & kinds
    if not by_bank:
        return
    rows = []
    for new, known in rows_to_judge(desk, run, rules, by_bank):
        # One that is put off must not use up the record that explains another one, which would go.
        rows += [*new, *(record for row, record in known if not (row.overruled or row.put_off))]
    # What stays out because of its statement is compared once it may go: it may wait for a year.
    rows = [row for row in rows if row.source is not Source.STATEMENT_PAYMENT or row.pex_id not in rules.statements]
    desk.progress(pairs=booked.stored(booked.pairs(desk, rows)) | run.pairs)


def needs_you(verdict: Judgement) -> bool:
    """Whether a person must do something before the row goes."""
    return isinstance(verdict, Hold) or (isinstance(verdict, Wait) and verdict.needs_you)


def rows_to_judge(
    desk: Desk, run: SyncRun, rules: Rules, kinds: Collection[Kind] = frozenset()
) -> Iterator[tuple[list[Transaction], list[Pair]]]:
    """Yield chunks of the mirror: what the ledger does not know and lets in, and what it holds as due.

    Of these kinds alone, where any are given.
    """
    of_kinds = {"kind__in": [kind.value for kind in kinds]} if kinds else {}
    days = Window(run.window_start, run.window_end)
    first = first_day(desk, run)
    last = 0
    while True:
        with reading(desk.business.pk):
            rows = list(
                PexTransaction.objects.filter(
                    business_id=desk.business.pk, settled_on__gte=first, pk__gt=last, **of_kinds
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


def first_day(desk: Desk, run: SyncRun) -> date:
    """The settlement day of the earliest row that can concern the run."""
    return min(run.window_start, facts.oldest_due(desk) or run.window_start)


def _admit(desk: Desk, bench: Bench, chosen: Chosen, records: Sequence[Transaction], verdicts: Verdicts) -> None:
    """Insert each row with its verdict in it, so that a row costs one version; held and closed ones move on."""
    decided = bench.decided
    judged: dict[tuple[str, int], tuple[Transaction, Judgement]] = {}
    rows = []
    for record in records:
        verdict, overruled = verdict_on_new(desk, bench.rules, decided, record)
        judged[record.source.value, record.pex_id] = record, verdict
        rows.append(_new_row(desk, record, verdict, overruled))
    admitted = ledger.admit(desk.actor(Who.JUDGE), rows)
    moving = []
    for row in admitted:
        record, verdict = judged[row.source, row.pex_id]
        verdicts.add(row, chosen.counted(record, verdict, bench.rules.book, bench.names))
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


def _rejudge(desk: Desk, bench: Bench, chosen: Chosen, pairs: Sequence[Pair], verdicts: Verdicts) -> None:
    moving = []
    for export, record in pairs:
        verdict = verdict_on_known(desk, bench.rules, bench.decided, export, record)
        if record.kind in bench.rules.settings.kinds - bench.kinds and isinstance(verdict, Due):
            verdict = judge.unseen(record.kind, bench.rules.book)
            bench.unseen[record.kind] += 1
        verdicts.add(export, chosen.counted(record, verdict, bench.rules.book, bench.names))
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


def rules_of(desk: Desk) -> Rules:
    if desk.rules is None:
        raise AssertionError("judged before the facts were gathered")
    return desk.rules
