"""Look, claim, send, remember: how a due row becomes exactly one record in the books."""

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Count, Q

from connectors import registry
from connectors.connector import Deadline
from connectors.errors import NotAuthorized, RetryLater, SettingsNeeded
from connectors.models import Connection
from connectors.records import (
    CLOSED_PERIOD,
    Entry,
    Fate,
    Found,
    Kind,
    NotSent,
    Outcome,
    Posted,
    Refused,
    Sent,
    Source,
    Transaction,
    Unknown,
)
from pexsync import clock
from pexsync.accounts import installation
from pexsync.accounts.tenancy import reading
from syncjobs import booked, checking, coding, keys, ledger, lookalikes, mirror, shown, support
from syncjobs.desk import Desk, as_sent, earlier_keys, key_of
from syncjobs.judge import Due, Hold, Judgement, Rules, Wait
from syncjobs.models import Export, PexTransaction
from syncjobs.transitions import Cause, State, Who

logger = logging.getLogger(__name__)

CHUNK = 500
SILENT_BATCHES = 2  # in a row without any answer, after which sending pauses
SILENCE = 300.0  # seconds
LOOK_AGAIN = 600.0  # seconds after a look that was not complete, or could not be begun
TAKEN = (
    "Its record in the books is another transaction's as well. Look there: press “It is there” and name its own, "
    "or enter it there and press “Entered by hand”."
)
HELD_LOOKS = 50  # held rows one run looks at: each may cost a call
FOUND_AGAIN = (Cause.DOUBLED, Cause.MISSING, Cause.EDITED, Cause.UNRESOLVED)
CAUSES = {  # what is wrong where the books do not say it better, and what to press; `again`: the word of "send again"
    Fate.DOUBLED: (
        Cause.DOUBLED,
        "The books hold this twice. Delete all but one there.",
        "Then press “It is there”.",
    ),
    Fate.DOUBTFUL: (
        Cause.EDITED,
        "The books hold this, but not as it was sent.",
        "If that is right, press “It is there”; if not, mend it there.",
    ),
    Fate.DEAD: (
        Cause.MISSING,
        "Its record in the books was deleted there.",
        "Press “{again}” for a new one, or “Leave out” if that was meant.",
    ),
    Fate.ABSENT: (
        Cause.MISSING,
        "Its record is no longer in the books.",
        "Look there; then press “{again}”, or “Entered by hand”.",
    ),
    Fate.LIVE: (
        Cause.EDITED,
        "The books hold this already, but it cannot be coded as it is now.",
        "Press “It is there” to take that record.",
    ),
}


# --- rows in doubt ------------------------------------------------------------------------------------------


def settle(desk: Desk) -> list[Export]:
    """Look at rows without an answer whose patience ran out, and once more at those found that way a day ago.

    Returns the rows that are due again, since they are surely not in the books.
    """
    now = clock.database_now()
    with reading(desk.business.pk):
        rows = list(desk.exports().filter(target=desk.target, state__in=(State.SENT, State.POSTED), next_look__lte=now))
        if desk.run is not None:
            rows += _held_to_look_at(desk)
    freed = []
    for start in range(0, len(rows), CHUNK):
        desk.step()
        freed += _settle_some(desk, rows[start : start + CHUNK], now)
    return freed


def _held_to_look_at(desk: Desk) -> list[Export]:
    """Rows a person may have mended in the books: each run looks at the newest of them once more."""
    mended_there = desk.exports().filter(state=State.HELD, cause__in=FOUND_AGAIN, target__in=("", desk.target))
    return list(mended_there.order_by("-pk")[:HELD_LOOKS])


def _settle_some(desk: Desk, rows: Sequence[Export], begun: datetime) -> list[Export]:
    pairs = look_at(desk, rows)
    doubt = [pair for pair in pairs if pair[0].state == State.SENT]
    second = [pair for pair in pairs if pair[0].state == State.POSTED]
    _find_again(desk, [(row, what) for row, what in pairs if row.state == State.HELD and what.fate is Fate.LIVE])
    actor = desk.actor(Who.SLICE)
    _settle_live(desk, [(row, what) for row, what in doubt if what.fate is Fate.LIVE])
    absent = [row for row, what in doubt if what.fate in (Fate.ABSENT, Fate.DEAD)]
    freed = ledger.settle_absent(actor, absent, resend=desk.books.resend)
    unsure = [(row, what) for row, what in doubt if what.fate in (Fate.DOUBLED, Fate.DOUBTFUL)]
    _hold_in_doubt(desk, [to_hold(row, what) for row, what in unsure])
    there = [(row, what) for row, what in second if what.fate is Fate.LIVE]
    ledger.still_there(actor, [row for row, _ in there], begun)
    ledger.remember_drafts(actor, there)
    changed = [(row, what) for row, what in second if what.fate not in (Fate.LIVE, Fate.UNSEEN)]
    ledger.changed_there(actor, [to_hold(row, what) for row, what in changed])
    unseen = [row for row, what in doubt + second if what.fate is Fate.UNSEEN]
    ledger.look_again(actor, unseen, LOOK_AGAIN)
    if not desk.books.resend:
        return []
    desk.add(rows_due=sum(desk.covers(row.kind) and not desk.sent_by_this_run(row) for row in freed))
    return freed


def look_at(desk: Desk, rows: Sequence[Export]) -> list[tuple[Export, Found]]:
    """What the books say of rows as they were sent."""
    found = look(desk, [_to_look_for(desk, row) for row in rows])
    return [(row, found.get(key_of(row), Found(Fate.UNSEEN))) for row in rows]


def _settle_live(desk: Desk, pairs: Sequence[tuple[Export, Found]]) -> None:
    """Move 10. A record that another row holds already cannot be this row's as well: a person looks."""
    rows = [(row, _posted(what)) for row, what in pairs]
    try:
        live = ledger.settle_live(desk.actor(Who.SLICE), rows, desk.owed(note=True))
    except IntegrityError:
        if len(pairs) > 1:
            for pair in pairs:
                _settle_live(desk, [pair])
        else:
            _hold_in_doubt(desk, [(row, Cause.UNRESOLVED, TAKEN, what.link) for row, what in pairs])
        return
    desk.count_posted(live)
    desk.deliver(live)


def _find_again(desk: Desk, pairs: Sequence[tuple[Export, Found]]) -> None:
    """Move 20. A record that another row holds already leaves the row where it is: with a person."""
    rows = [(row, _posted(what)) for row, what in pairs]
    never_posted = {row.pk for row, _ in pairs if row.posted_at is None}
    try:
        found = ledger.found_again(desk.actor(Who.SLICE), desk.target, rows, desk.owed(note=True))
    except IntegrityError:
        if len(pairs) > 1:
            for pair in pairs:
                _find_again(desk, [pair])
        return
    desk.deliver([row for row in found if row.pk in never_posted])


def _hold_in_doubt(desk: Desk, rows: Sequence[tuple[Export, Cause, str, str]]) -> None:
    """Move 12."""
    held = ledger.settle_unsure(desk.actor(Who.SLICE), rows)
    _tell(desk, [(row, Hold(Cause(row.cause), row.says)) for row in held if desk.sent_by_this_run(row)])


def put_off(connection: Connection, after: float) -> None:
    """The books could not be asked: nobody asks again before that time."""
    now = clock.database_now()
    with reading(connection.business_id):
        mine = Export.objects.filter(business_id=connection.business_id, target=connection.target)
        rows = list(mine.filter(state__in=(State.SENT, State.POSTED), next_look__lte=now))
    ledger.look_again(ledger.Actor(connection.business_id, Who.SLICE), rows, after or LOOK_AGAIN)


def look(desk: Desk, sent: Sequence[Sent]) -> Mapping[str, Found]:
    desk.held.step()
    with desk.asking_books():
        return desk.books.find(sent)


# --- rows that are due --------------------------------------------------------------------------------------


def send(desk: Desk, rules: Rules, only: frozenset[int] | None = None) -> None:
    """Send what is due, oldest first, batch by batch; `only` these rows where given.

    One look covers all keys first: what the books know already is adopted or held.
    """
    asked = _names(desk, only)
    if not asked:
        return
    found = look(desk, asked)
    _take_found(desk, rules, {key: what for key, what in found.items() if what.fate not in (Fate.ABSENT, Fate.UNSEEN)})
    seen = {key for key, what in found.items() if what.fate is not Fate.UNSEEN}
    covered = {sent.key for sent in asked if sent.key in seen or not sent.in_doubt}
    desk.unseen += len(asked) - len(covered)
    with desk.asking_books():
        desk.books.prepare(_going(desk, covered))
    left = calls_due(desk)
    for exports in _batches(desk, covered):
        desk.step()
        desk.delivery.leaves = max(left, 0)
        ready = _ready(desk, rules, exports)
        if ready:
            _send_batch(desk, ready)
        left -= _calls(desk, Counter(row.kind for row in exports))
        desk.delivery.collect()
        desk.show_receipts()


def _going(desk: Desk, names: Collection[str]) -> list[Entry]:
    """Entries of these keys as far as this slice coded them: nobody is created for what is only shown or held."""
    return [entry for entry in (*desk.new_parties.values(), *desk.entries.values()) if entry.key in names]


def calls_due(desk: Desk) -> int:
    """How many calls the books are at most still needed for by what is due: receipts leave them alone.

    What moves between two accounts goes one by one in some systems.
    """
    with reading(desk.business.pk):
        return _calls(desk, dict(desk.due().order_by().values_list("kind").annotate(count=Count("pk"))))


def _calls(desk: Desk, rows: Mapping[str, int]) -> int:
    """So many rows of each kind."""
    alone = sum(count for kind, count in rows.items() if kind in lookalikes.BY_BANK)
    return alone + math.ceil((sum(rows.values()) - alone) / desk.books.batch_size)


def _names(desk: Desk, only: frozenset[int] | None) -> list[Sent]:
    """What the look is asked for: every row about to go out."""
    facts = ("kind", "source", "pex_id", "generation", "amount", "posting_date", "card_account")
    forgotten = _forgotten_up_to()
    with reading(desk.business.pk):
        rows = desk.due().values_list("pk", "settled_on", "doubted", *facts)
        return [
            _expected(desk, doubted or settled_on <= forgotten, *row)
            for pk, settled_on, doubted, *row in rows
            if only is None or pk in only
        ]


def _forgotten_up_to() -> date:
    """The last day whose rows this database may have forgotten to have sent: it was restored then."""
    restored = installation.restored_at()
    return restored.astimezone(clock.EASTERN).date() if restored else date.min


def _expected(
    desk: Desk,
    in_doubt: bool,
    kind: str,
    source: str,
    pex_id: int,
    generation: int,
    amount: Decimal,
    day: date | None,
    card: int | None,
) -> Sent:
    key = keys.key(Source(source), pex_id, generation)
    return Sent(
        key=key,
        amount=amount,
        date=day,
        account=desk.settings.pex_account,
        url=desk.url_of(key, card),
        in_doubt=in_doubt,
        earlier=earlier_keys(source, pex_id, generation),
        kind=Kind(kind),
    )


def _to_look_for(desk: Desk, export: Export) -> Sent:
    """Of rows a person holds half a look is enough: nothing is sent because of it."""
    sent = as_sent(export, desk.connection, desk.books)
    return sent if export.state != State.HELD else replace(sent, in_doubt=False)


def _take_found(desk: Desk, rules: Rules, known: Mapping[str, Found]) -> None:
    """Moves 3 and 4: rows the books already know."""
    if not known:
        return
    with reading(desk.business.pk):
        exports = [row for row in desk.due().iterator(chunk_size=CHUNK) if key_of(row) in known]
    adopting, holding = [], []
    for export, record in _with_records(desk, exports):
        what = known[key_of(export)]
        verdict = checking.verdict_of(desk, rules, export, record)
        if what.fate is Fate.LIVE and isinstance(verdict, Due):
            adopting.append((export, verdict, what))
        else:
            holding.append(to_hold(export, what))
    for noted in (True, False):  # a purchase that carries our note already does not get a second one
        _adopt(desk, [(row, due.entry, what) for row, due, what in adopting if due.noted is noted], note=not noted)
    _hold_due(desk, holding)


def _adopt(desk: Desk, rows: Sequence[tuple[Export, Entry, Found]], note: bool) -> None:
    """Move 3. A record that another row holds already cannot be this row's as well: a person looks."""
    found = [(row, entry, _posted(what)) for row, entry, what in rows]
    try:
        adopted = ledger.adopt(desk.actor(Who.SLICE), desk.target, found, desk.owed(note))
    except IntegrityError:
        if len(rows) > 1:
            for one in rows:
                _adopt(desk, [one], note)
        else:
            _hold_due(desk, [(row, Cause.UNRESOLVED, TAKEN, what.link) for row, _, what in rows])
        return
    desk.count_posted(adopted)
    desk.deliver(adopted)


def _hold_due(desk: Desk, rows: Sequence[tuple[Export, Cause, str, str]]) -> None:
    """Move 4."""
    held = ledger.hold_found(desk.actor(Who.SLICE), rows)
    _tell(desk, [(row, Hold(Cause(row.cause), row.says)) for row in held])


def _batches(desk: Desk, covered: set[str]) -> Iterator[list[Export]]:
    """Yield the due rows the look covered, oldest first. A row comes once per slice, also if it stays due."""
    after: tuple[date, int] | None = None
    while True:
        due = desk.due().order_by("settled_on", "pk")
        if after:
            due = due.filter(Q(settled_on__gt=after[0]) | Q(settled_on=after[0], pk__gt=after[1]))
        with reading(desk.business.pk):
            rows = list(due[: desk.books.batch_size])
        if not rows:
            return
        after = (rows[-1].settled_on, rows[-1].pk)
        yield [row for row in rows if key_of(row) in covered]


def _with_records(desk: Desk, exports: Sequence[Export]) -> list[tuple[Export, Transaction]]:
    """Each with what PEX shows; not those whose kind PEX has changed to one that this run is not asked for."""
    found = {}
    for start in range(0, len(exports), CHUNK):
        ids = [export.pex_id for export in exports[start : start + CHUNK]]
        with reading(desk.business.pk):
            for row in PexTransaction.objects.filter(business_id=desk.business.pk, pex_id__in=ids):
                if not row.kind or desk.covers(row.kind):
                    found[row.source, row.pex_id] = mirror.record_of(row)
    return [
        (export, found[export.source, export.pex_id]) for export in exports if (export.source, export.pex_id) in found
    ]


def _ready(desk: Desk, rules: Rules, exports: Sequence[Export]) -> list[tuple[Export, Entry]]:
    """The entries of a batch: as this slice coded them while checking, else judged once more now.

    Rows PEX says are synced already are looked for one by one.
    """
    known = {export.pk: entry for export in exports if (entry := desk.entries.pop(key_of(export), None))}
    ready = [(export, known[export.pk]) for export in exports if export.pk in known]
    noted, other = [], []
    for export, record, verdict in _judged(desk, rules, [export for export in exports if export.pk not in known]):
        if not isinstance(verdict, Due):
            other.append((export, verdict, record.amount))
        elif verdict.noted:
            noted.append((export, verdict.entry))
        else:
            ready.append((export, verdict.entry))
    ledger.judged(desk.actor(Who.JUDGE), other)
    _tell(desk, [(row, why) for row, why, _ in other if isinstance(why, Wait | Hold) and checking.needs_you(why)])
    if noted:
        _find_noted(desk, noted)
    return _as_shown(desk, ready)


def _judged(desk: Desk, rules: Rules, exports: Sequence[Export]) -> Iterator[tuple[Export, Transaction, Judgement]]:
    """Judged once more, with what looks booked: a person may have let a row go since the run compared."""
    decided = booked.decided(desk, desk.run) if exports and desk.run is not None else None
    for export, record in _with_records(desk, exports):
        if decided is None:
            yield export, record, checking.verdict_of(desk, rules, export, record)
        else:
            yield export, record, checking.verdict_on_known(desk, rules, decided, export, record)


def _as_shown(desk: Desk, rows: Sequence[tuple[Export, Entry]]) -> list[tuple[Export, Entry]]:
    """What was confirmed in a preview goes as it was shown there; what is coded otherwise by now goes another time."""
    if desk.run is None or desk.run.confirmed_at is None:
        return list(rows)
    same = [(export, entry) for export, entry in rows if coding.fingerprint(entry) == export.fingerprint]
    kept = {export.pk for export, _ in same}
    other = [(export, Due(entry), entry.amount) for export, entry in rows if export.pk not in kept]
    ledger.judged(desk.actor(Who.JUDGE), other)
    _tell(desk, [(export, shown.changed("it is coded otherwise now")) for export, _, _ in other])
    return same


def _find_noted(desk: Desk, rows: Sequence[tuple[Export, Entry]]) -> None:
    """PEX carries our note with the row's key, the ledger does not know it as posted: only the books can tell."""
    asked = [
        Sent(
            entry.key,
            entry.amount,
            date=entry.date,
            account=entry.account,
            url=entry.url,
            in_doubt=True,
            kind=entry.kind,
        )
        for _, entry in rows
    ]
    found = look(desk, asked)
    adopting, holding = [], []
    for export, entry in rows:
        what = found.get(entry.key, Found(Fate.UNSEEN))
        if what.fate is Fate.LIVE:
            adopting.append((export, entry, what))
        elif what.fate is Fate.ABSENT:
            says = (
                f"PEX says this was synced as {entry.key}, but it is not in {desk.books.label}. Look there: press "
                "“Send”, or “It is there” if you find it."
            )
            holding.append((export, Cause.UNRESOLVED, says, ""))
        elif what.fate is not Fate.UNSEEN:
            holding.append(to_hold(export, what))
        else:
            desk.unseen += 1
    _adopt(desk, adopting, note=False)
    _hold_due(desk, holding)


def _send_batch(desk: Desk, rows: Sequence[tuple[Export, Entry]]) -> None:
    deadline = Deadline.after(ledger.SENDING.total_seconds() * settings.PATIENCE)
    actor = desk.actor(Who.SLICE)
    batch = ledger.claim(actor, desk.target, rows, desk.books.settle_after, desk.held.holder)
    desk.held.step()
    if not batch.exports:
        raise RetryLater("Another sync of this company is under way. This one goes on after it.", after=5)
    entries = [entry for _, entry in rows if entry.key in batch.exports]
    try:
        outcomes = desk.books.post(entries, deadline)
    except RetryLater as error:
        _remember(desk, batch, {entry.key: NotSent(error.after, error.says) for entry in entries})
        raise
    except (NotAuthorized, SettingsNeeded) as error:
        if isinstance(error, NotAuthorized):
            desk.books_lost(error)
        _remember(desk, batch, {entry.key: NotSent(0, error.says) for entry in entries})
        raise
    unsent = _remember(desk, batch, outcomes)
    if unsent:
        after = max(outcome.after for outcome in unsent)
        raise RetryLater(unsent[0].says or "Not everything could be sent yet.", after)
    _check_silence(desk, outcomes)


def _check_silence(desk: Desk, outcomes: Mapping[str, Outcome]) -> None:
    """Books that are silent about whole batches get no more of them: each row in doubt has to be looked for."""
    desk.silent = desk.silent + 1 if all(isinstance(outcome, Unknown) for outcome in outcomes.values()) else 0
    if desk.silent >= SILENT_BATCHES:
        raise RetryLater(f"{desk.books.label} does not answer. What was sent is looked for; the rest waits.", SILENCE)


def _remember(desk: Desk, batch: ledger.Batch, outcomes: Mapping[str, Outcome]) -> list[NotSent]:
    """Save what became of each row of a batch before anything else happens; return what was not sent.

    A row the books said nothing about stays in doubt.
    """
    actor = desk.actor(Who.SENDER)
    posted = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, Posted)}
    refusals = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, Refused)}
    unsent = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, NotSent)}
    unknown = [key for key in batch.exports if isinstance(outcomes.get(key, Unknown()), Unknown)]
    moved = _accept(desk, batch, posted)
    refused = ledger.refused(actor, batch, refusals)
    ledger.not_sent(actor, batch, unsent, next((outcome.says for outcome in unsent.values()), ""))
    ledger.unanswered(actor, batch, unknown, "No answer.")
    said = [(row, no) for row in refused if (no := refusals[key_of(row)]).cause != CLOSED_PERIOD]
    _tell(desk, [(row, Wait("refused", no.says, no.reason, no.field, needs_you=True)) for row, no in said])
    desk.count_posted(moved)
    desk.deliver(moved)
    desk.held.step()
    return list(unsent.values())


def _accept(desk: Desk, batch: ledger.Batch, posted: Mapping[str, Posted]) -> list[Export]:
    """Remember the records. One whose record another row holds already stays in doubt and is looked at."""
    actor = desk.actor(Who.SENDER)
    try:
        moved = ledger.accepted(actor, batch, posted, desk.owed(note=True))
    except IntegrityError:
        if len(posted) > 1:
            return [row for key in posted for row in _accept(desk, batch, {key: posted[key]})]
        logger.error("the books named a record that another row holds", extra={"keys": list(posted)})
        ledger.unanswered(actor, batch, posted, "The books named a record that another row holds.")
        return []
    late = set(posted) - {key_of(row) for row in moved}
    if late:
        ledger.look_now(actor, [batch.exports[key] for key in late])
    return moved


def _tell(desk: Desk, failures: Sequence[tuple[Export, Wait | Hold]]) -> None:
    """Rows that did not go in this run and need a person."""
    if desk.run is not None and failures:
        checking.save_results(desk, desk.run, failures)
        desk.add(rows_failed=len(failures))


def _posted(found: Found) -> Posted:
    return Posted(found.record_id, found.link, found.says, found.draft)


def to_hold(export: Export, found: Found) -> tuple[Export, Cause, str, str]:
    cause, says, advice = CAUSES[found.fate]
    again = support.word(registry.ALL[export.system])
    return export, cause, f"{found.says or says} {advice.format(again=again)}", found.link
