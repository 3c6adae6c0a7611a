"""The moves of the ledger: each is one guarded statement that changes rows, writes their events and the tally together.

Every function here runs in one short transaction of its own and returns the rows that really moved; what did not move
had been moved by somebody else. Which states a move may start from is read from `transitions`.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import F

from connectors.models import Connection
from connectors.records import CLOSED_PERIOD, Entry, Found, Kind, Posted, Refused
from pexsync import clock
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import scope
from syncjobs import bulk, coding, transitions
from syncjobs.judge import PUT_OFF, Close, Due, Hold, Judgement, Wait, waits_for
from syncjobs.models import Export, ExportEvent, ExportReceipt, Lease, SyncRun, Tally
from syncjobs.transitions import Cause, Closed, Event, Remark, State, Who

SENDING = timedelta(seconds=30)  # a claim is sent within this or not at all
SECOND_LOOK = timedelta(hours=24)

EXPORT_COLUMNS = tuple(field.attname for field in Export._meta.concrete_fields if not field.primary_key)
EVENT_COLUMNS = (
    "business_id", "export_id", "at", "event", "before", "after", "who", "person_id", "run_id", "batch", "generation",
    "says", "facts",
)  # fmt: skip
TALLY_COLUMNS = ("business_id", "system", "month", "kind", "state", "waits", "count", "amount")
ADD_TO_TALLY = (
    "on conflict (business_id, system, month, kind, state, waits) do update set "
    "count = syncjobs_tally.count + excluded.count, amount = syncjobs_tally.amount + excluded.amount"
)

NOWHERE: dict[str, Any] = {"target": "", "batch": None, "sent_at": None, "next_look": None}
NOT_ASKED: dict[str, Any] = {"asked_at": None, "asked_by_id": None}  # what support was asked for is settled


@dataclass(frozen=True, slots=True)
class Actor:
    """Who moves the rows: written into every event."""

    business_id: int
    who: Who
    run: SyncRun | None = None
    person: User | None = None


@dataclass(frozen=True, slots=True)
class Owed:
    """What comes after posting. The note goes out next, so the row says "sent" before the call does."""

    note: bool  # False: PEX carries it already
    receipts: bool

    def by(self, export: Export) -> "Owed":
        """Only purchases carry notes and receipts. The id of a statement's payment is not even a transaction's."""
        return self if export.kind == Kind.PURCHASE else Owed(False, False)


@dataclass(frozen=True, slots=True)
class Change:
    """One row's move: what it must still be and what it becomes, by column."""

    export: Export
    becomes: Mapping[str, Any]
    says: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)  # what the row loses by it, kept in the event


def admit(actor: Actor, rows: Sequence[Export]) -> list[Export]:
    """Move 1. Rows somebody else admitted meanwhile are left as they are. Returns ours, with their ids."""
    if not rows:
        return []
    stamp = clock.now()
    for row in rows:
        row.first_seen_at = stamp
    with scope(actor.business_id):
        values = [[getattr(row, name) for name in EXPORT_COLUMNS] for row in rows]
        bulk.insert_all(Export, EXPORT_COLUMNS, values, "on conflict do nothing")
        inserted = Export.objects.filter(
            business_id=actor.business_id,
            system=rows[0].system,
            pex_id__in=[row.pex_id for row in rows],
            first_seen_at=stamp,
        )
        numbers = {(source, pex_id): pk for pk, source, pex_id in inserted.values_list("pk", "source", "pex_id")}
        mine = [row for row in rows if (row.source, row.pex_id) in numbers]
        for row in mine:
            row.pk, row._state.adding = numbers[row.source, row.pex_id], False
        _write_events(actor, transitions.move(Event.SEEN), [Change(row, {}, row.says) for row in mine])
        _count(mine, +1)
    return mine


def judged(actor: Actor, verdicts: Sequence[tuple[Export, Judgement, Decimal]]) -> None:
    """Moves 2, 4a and 4b for rows that are due; rows whose verdict is the old one are not written again.

    Each verdict comes with the amount PEX shows today: until a row is sent it follows PEX.
    """
    groups: dict[Event, list[Change]] = {}
    for export, verdict, amount in verdicts:
        event, becomes = _verdict(export, verdict)
        becomes["amount"] = amount
        if any(getattr(export, name) != value for name, value in becomes.items()):
            groups.setdefault(event, []).append(Change(export, becomes, becomes["says"]))
    for event, changes in groups.items():
        with scope(actor.business_id):
            _apply(actor, transitions.move(event), changes)


def _verdict(export: Export, verdict: Judgement) -> tuple[Event, dict[str, Any]]:
    kept = ("fingerprint", "posting_date", "put_off", "kind")
    coded = {name: getattr(export, name) for name in kept}
    match verdict:
        case Due(entry=entry):
            coded |= {"fingerprint": coding.fingerprint(entry), "posting_date": entry.date, "kind": entry.kind.value}
            return Event.JUDGED, {"state": State.DUE, "waiting": "", "cause": "", "says": "", **coded}
        case Wait(word=word, says=says, cause=cause):
            waits = {"waiting": word, "cause": cause[:80], "says": says[:500]}
            coded["put_off"] = export.put_off or word == PUT_OFF
            return Event.JUDGED, {"state": State.DUE, **waits, **coded}
        case Hold(cause=cause, says=says, link=link):
            held = {"state": State.HELD, "waiting": "", "cause": cause, "says": says, "link": link}
            return Event.HELD_BY_RULE, {**held, **coded}
        case Close(cause=closed, says=says):
            return Event.CLOSED_BY_RULE, {"state": State.CLOSED, "waiting": "", "cause": closed, "says": says, **coded}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows claimed together. The number is the guard of everything said about them later."""

    number: int
    sent_at: datetime
    exports: Mapping[str, Export]  # by key


def claim(
    actor: Actor, target: str, rows: Sequence[tuple[Export, Entry]], settle_after: timedelta, holder: str
) -> Batch:
    """Move 5, committed before anything is sent. Rows that are no longer due as judged stay behind.

    `holder` is the lease this slice works under: a slice that lost it claims nothing. Nor does one whose company was
    changed meanwhile.
    """
    number = secrets.randbits(62)
    with scope(actor.business_id):
        at = clock.database_now()
        systems = {export.system for export, _ in rows}
        if not _holds(target, holder, at) or not all(_writes_to(actor, system, target) for system in systems):
            return Batch(number, at, {})
        look = at + (SENDING + settle_after) * settings.PATIENCE
        changes = [
            Change(
                export,
                {
                    "state": State.SENT,
                    "target": target,
                    "batch": number,
                    "run_id": actor.run.pk if actor.run else export.run_id,
                    "sent_at": at,
                    "next_look": look,
                    "kind": entry.kind.value,
                    "fingerprint": coding.fingerprint(entry),
                    "amount": entry.amount,
                    "posting_date": entry.date,
                    "pex_account": entry.account,
                },
            )
            for export, entry in rows
        ]
        won = _apply(actor, transitions.move(Event.CLAIMED), changes)
    return Batch(number, at, {entry.key: export for export, entry in rows if export.pk in won})


def accepted(actor: Actor, batch: Batch, posted: Mapping[str, Posted], owed: Owed) -> list[Export]:
    """Move 6, however late. A row sent twice is looked at once more: its first request may still come through."""
    again = clock.database_now() + SECOND_LOOK * settings.PATIENCE
    changes = [
        Change(export, {**_posted(export, outcome, owed), "next_look": again if export.doubted else None}, outcome.says)
        for key, outcome in posted.items()
        for export in (batch.exports[key],)
    ]
    return _moved(actor, Event.ACCEPTED, changes)


def refused(actor: Actor, batch: Batch, refusals: Mapping[str, Refused]) -> list[Export]:
    """Move 7: back to due with the sentence; waits until it is judged anew, for a person or for the lock date."""
    changes = [
        Change(
            batch.exports[key],
            {
                "state": State.DUE,
                "waiting": CLOSED_PERIOD if refusal.cause == CLOSED_PERIOD else "refused",
                "cause": refusal.reason[:80],
                "says": refusal.says[:500],
                **NOWHERE,
            },
            refusal.says,
        )
        for key, refusal in refusals.items()
    ]
    return _moved(actor, Event.REFUSED, changes)


def not_sent(actor: Actor, batch: Batch, names: Iterable[str], says: str = "") -> list[Export]:
    """Move 8: surely not there."""
    changes = [Change(batch.exports[key], {"state": State.DUE, **NOWHERE}, says) for key in names]
    return _moved(actor, Event.NOT_SENT, changes)


def unanswered(actor: Actor, batch: Batch, names: Iterable[str], says: str = "") -> None:
    """Move 9: nothing changes but the log; the look was set when the row was claimed."""
    rows = [Change(batch.exports[key], {}, says) for key in names]
    if rows:
        with scope(actor.business_id):
            _write_events(actor, transitions.move(Event.UNANSWERED), rows)


def adopt(actor: Actor, target: str, pairs: Sequence[tuple[Export, Entry, Posted]], owed: Owed) -> list[Export]:
    """Move 3: the books already hold the row's one equal record."""
    again = clock.database_now() + SECOND_LOOK * settings.PATIENCE
    changes = [
        Change(
            export,
            {
                **_posted(export, found, owed),
                "next_look": again if export.doubted else None,
                "target": target,
                "amount": entry.amount,
                "posting_date": entry.date,
                "pex_account": entry.account,
                "fingerprint": coding.fingerprint(entry),
                "run_id": actor.run.pk if actor.run else export.run_id,
            },
            "Found in the books.",
        )
        for export, entry, found in pairs
    ]
    return _moved(actor, Event.FOUND_EQUAL, changes)


def hold_found(actor: Actor, rows: Sequence[tuple[Export, Cause, str, str]]) -> list[Export]:
    """Move 4: what the look found is not what would be posted. Each row: export, cause, sentence, link.

    Something of it stands in the books, so whatever a person decides it is never sent after a look that was not exact.
    """
    changes = [_held(*row) for row in rows]
    marked = [Change(one.export, {**one.becomes, "doubted": True}, one.says) for one in changes]
    return _moved(actor, Event.FOUND_DIFFERENT, marked)


def settle_live(actor: Actor, rows: Sequence[tuple[Export, Posted]], owed: Owed) -> list[Export]:
    """Move 10; looked at once more a day later."""
    again = clock.database_now() + SECOND_LOOK * settings.PATIENCE
    changes = [
        Change(export, {**_posted(export, found, owed), "next_look": again}, "Found in the books after no answer.")
        for export, found in rows
    ]
    return _moved(actor, Event.SETTLED_LIVE, changes)


def settle_absent(actor: Actor, exports: Sequence[Export], resend: bool) -> list[Export]:
    """Move 11: looked for after patience ran out, and not there."""
    if resend:
        becomes = {"state": State.DUE, "waiting": "", "cause": "", "says": "", "doubted": True, **NOWHERE}
        after = State.DUE
    else:
        says = (
            "It was sent, no answer came, and it was not found. Look in the books: press “It is there” if you find it, "
            "“Send” if not."
        )
        becomes = {"state": State.HELD, "cause": Cause.UNRESOLVED, "says": says, "next_look": None}
        after = State.HELD
    changes = [Change(export, becomes, "Not in the books.") for export in exports]
    return _moved(actor, Event.SETTLED_ABSENT, changes, after)


def settle_unsure(actor: Actor, rows: Sequence[tuple[Export, Cause, str, str]]) -> list[Export]:
    """Move 12: two records, or one that differs."""
    return _moved(actor, Event.SETTLED_UNSURE, [_held(*row) for row in rows])


def give_up(actor: Actor, exports: Sequence[Export], says: str) -> list[Export]:
    """Move 13: a day without a complete look."""
    changes = [_held(export, Cause.UNRESOLVED, says, "") for export in exports]
    return _moved(actor, Event.GIVEN_UP, changes)


def changed_there(actor: Actor, rows: Sequence[tuple[Export, Cause, str, str]]) -> list[Export]:
    """Move 14: a later look at a posted row."""
    return _moved(actor, Event.CHANGED_THERE, [_held(*row) for row in rows])


def found_again(actor: Actor, target: str, rows: Sequence[tuple[Export, Posted]], owed: Owed) -> list[Export]:
    """Move 20: a held row whose record is now there once and equal. One posted before owes nothing new."""
    again = clock.database_now() + SECOND_LOOK * settings.PATIENCE
    changes = [
        Change(
            export,
            {
                **_posted(export, found, owed),
                **_kept_from_before(export, found),
                **NOT_ASKED,
                "target": target,
                "next_look": again,
            },
            "Found in the books again.",
        )
        for export, found in rows
    ]
    return _posted_again(actor, Event.FOUND_AGAIN, changes)


def _kept_from_before(export: Export, found: Posted) -> dict[str, Any]:
    """The note of a row that was posted before has gone out, and its receipts where this record carries them."""
    if export.posted_at is None:
        return {}
    names = ["posted_at", "note_state", "note_at"]
    if found.record_id == export.record_id:
        names.append("receipts_checked_at")
    return {name: getattr(export, name) for name in names}


def _posted_again(actor: Actor, event: Event, changes: Sequence[Change]) -> list[Export]:
    """Where another record stands for the row now, its receipts go out once more, to that one."""
    moving_on = {change.export.pk for change in changes if change.export.record_id != change.becomes["record_id"]}
    with scope(actor.business_id):
        moved = _moved(actor, event, changes)
        elsewhere = [row.pk for row in moved if row.pk in moving_on]
        receipts = ExportReceipt.objects.filter(export__in=elsewhere, generation=F("export__generation"))
        receipts.update(state=ExportReceipt.State.SENT, at=clock.now())
    return moved


def still_there(actor: Actor, exports: Sequence[Export], looked_at: datetime) -> None:
    """A later look, begun at that time, found all as it was: nothing moves.

    One begun within a day after the last sending is not the last: an earlier request may still come through.
    """
    open_ = [row for row in exports if may_come_through(row, looked_at)]
    _look_at(actor, [row for row in exports if row not in open_], None)
    _look_at(actor, open_, looked_at + SECOND_LOOK * settings.PATIENCE)


def may_come_through(export: Export, at: datetime) -> bool:
    """Whether something of it that was sent may still arrive in the books: for a day after the last sending."""
    last = export.sent_at or export.posted_at
    return last + SECOND_LOOK * settings.PATIENCE > at if last else export.doubted


def look_again(actor: Actor, exports: Sequence[Export], after: float) -> None:
    """Nothing moves but the time of the next look: one that was not complete is made again after so many seconds."""
    _look_at(actor, exports, clock.database_now() + timedelta(seconds=after) * settings.PATIENCE)


def look_now(actor: Actor, exports: Sequence[Export]) -> None:
    """Records came to light late, whose rows have moved on: those posted since may stand twice in the books.

    A row that is under way again keeps its time: a look before its own request had its chance would settle nothing.
    """
    if exports:
        with scope(actor.business_id):
            posted = Export.objects.filter(pk__in=[row.pk for row in exports], state=State.POSTED)
            posted.update(next_look=clock.database_now())


def _look_at(actor: Actor, exports: Sequence[Export], at: datetime | None) -> None:
    """Set the next look of rows that are still in the batch and generation they were read in.

    One that was sent anew meanwhile has a time of its own, and a look before that would find nothing too early.
    """
    changes = []
    for row in exports:
        was = {"state": row.state, "batch": row.batch, "generation": row.generation}
        changes.append((row.pk, was, {"next_look": at}))
    if changes:
        with scope(actor.business_id):
            bulk.update_each(Export, changes)


def remember_drafts(actor: Actor, rows: Sequence[tuple[Export, Found]]) -> None:
    """Nothing moves: a person has posted in the books what stood there as a draft, and where it is opened now.

    Only what changed is written, of rows that still stand for the record that was looked at.
    """
    changes = []
    for row, found in rows:
        if row.draft != found.draft:
            was = {"state": State.POSTED, "generation": row.generation, "record_id": row.record_id}
            changes.append((row.pk, was, {"draft": found.draft, "link": found.link or row.link}))
    if changes:
        with scope(actor.business_id):
            bulk.update_each(Export, changes)


def _posted(export: Export, found: Posted, owed: Owed) -> dict[str, Any]:
    owed = owed.by(export)
    return {
        "state": State.POSTED,
        "waiting": "",
        "cause": "",
        "says": found.says[:500],
        "record_id": found.record_id,
        "link": found.link,
        "draft": found.draft,
        "posted_at": clock.now(),
        "next_look": None,
        "note_state": "sent" if owed.note else "seen",
        "note_at": clock.now() if owed.note else None,
        "receipts_checked_at": None if owed.receipts else clock.now(),
    }


def _held(export: Export, cause: Cause, says: str, link: str) -> Change:
    becomes = {"state": State.HELD, "waiting": "", "cause": cause, "says": says[:500], "link": link, "next_look": None}
    return Change(export, {**becomes, "draft": False}, says)


def _moved(actor: Actor, event: Event, changes: Sequence[Change], after: State | None = None) -> list[Export]:
    if not changes:
        return []
    with scope(actor.business_id):
        won = _apply(actor, transitions.move(event, after), changes)
    return [change.export for change in changes if change.export.pk in won]


def _apply(actor: Actor, move: transitions.Move, changes: Sequence[Change]) -> set[int]:
    """Change the rows that are still what they were, write their events and the tally. Inside a transaction."""
    if not changes:
        return set()
    rows = []
    for change in changes:
        if change.export.state not in move.before:
            raise AssertionError(f"{move.event} cannot start from {change.export.state}")
        # Amount and kind are compared for the tally's sake: what is taken from it must be what was added.
        was = {name: getattr(change.export, name) for name in ("state", "waiting", "generation", "amount", "kind")}
        if State.HELD in move.before:  # what a person decides, they decide of the reason they saw
            was["cause"] = change.export.cause
        if Who.PERSON in move.who:  # and of the row they saw: it may have come back to that state since
            was |= {name: getattr(change.export, name) for name in ("batch", "doubted", "record_id")}
        if move.event is Event.CLAIMED:  # a look from before it came into doubt does not count
            was["doubted"] = change.export.doubted
        if move.batch_must_match:
            was["batch"] = change.export.batch
        rows.append((change.export.pk, was, change.becomes))
    won = bulk.update_each(Export, rows)
    done = [change for change in changes if change.export.pk in won]
    before = {change.export.pk: str(change.export.state) for change in done}
    _count([change.export for change in done], -1)
    for change in done:
        for name, value in change.becomes.items():
            setattr(change.export, name, value)
    _count([change.export for change in done], +1)
    _write_events(actor, move, done, before)
    return won


def _write_events(
    actor: Actor, move: transitions.Move, changes: Sequence[Change], was: Mapping[int, str] | None = None
) -> None:
    """`was`: the state each row came from, where the move can start from several."""
    before = next(iter(move.before)) if len(move.before) == 1 else ""
    _log(actor, move.event, changes, was or {}, before)


def _log(
    actor: Actor, event: Event | Remark, changes: Sequence[Change], was: Mapping[int, str], otherwise: str = ""
) -> None:
    """`was`: the state each row came from; `otherwise` for those it does not name."""
    at = clock.now()
    person, run = (actor.person.pk if actor.person else None), (actor.run.pk if actor.run else None)
    bulk.insert_all(
        ExportEvent,
        EVENT_COLUMNS,
        [
            (
                actor.business_id,
                change.export.pk,
                at,
                event.value,
                was.get(change.export.pk, otherwise),
                str(change.becomes.get("state", change.export.state)),
                actor.who,
                person,
                run,
                change.export.batch,
                change.export.generation,
                change.says[:500],
                _facts(change),
            )
            for change in changes
        ],
    )


def _facts(change: Change) -> dict[str, str]:
    """What the row would lose when it moves on: the record it stood for, what was sent and where."""
    kept = ("target", "record_id", "fingerprint", "pex_account")
    return {name: value for name in kept if (value := change.becomes.get(name) or "")} | dict(change.facts)


def _holds(target: str, holder: str, at: datetime) -> bool:
    return Lease.objects.filter(pk=target, holder=holder, until__gt=at).exists()


def _writes_to(actor: Actor, system: str, target: str) -> bool:
    """Whether this is still the company the connection writes to. It stays so until this transaction ends (rule L8)."""
    mine = Connection.objects.select_for_update(no_key=True).filter(business_id=actor.business_id, system=system)
    return [connection.target for connection in mine] == [target]


def _count(exports: Sequence[Export], sign: int) -> None:
    """Add to (or take from) the tally what these rows are now."""
    sums: dict[tuple[Any, ...], tuple[int, Decimal]] = {}
    for export in exports:
        group = (
            export.business_id,
            export.system,
            export.settled_on.replace(day=1),
            export.kind,
            str(export.state),
            waits_for(export.waiting),
        )
        count, amount = sums.get(group, (0, Decimal()))
        sums[group] = (count + sign, amount + sign * export.amount)
    if not sums:
        return
    bulk.insert_all(Tally, TALLY_COLUMNS, [(*group, *numbers) for group, numbers in sorted(sums.items())], ADD_TO_TALLY)


# --- what people decide -----------------------------------------------------------------------------------------------
#
# Whether a row allows it is said by `people.allowed`; these moves compare once more what the person saw of the row.


def it_is_there(actor: Actor, target: str, export: Export, found: Posted, owed: Owed, look_again: bool) -> list[Export]:
    """Move 15. The note goes out with the next delivery; a row that was posted before owes nothing new.

    `look_again`: once more a day later, as for every row that was in doubt. Where a person vouched for a record that
    differs, only when `may_come_through`: then they are asked a second time. Raises `IntegrityError` when the record is
    another row's.
    """
    again = clock.database_now() + SECOND_LOOK * settings.PATIENCE
    becomes = {
        **_posted(export, found, owed),
        "note_state": "" if owed.by(export).note else "seen",
        "note_at": None,
        **_kept_from_before(export, found),
        **NOT_ASKED,
        "target": target,
        "next_look": again if look_again else None,
    }
    return _posted_again(actor, Event.IT_IS_THERE, [Change(export, becomes, found.says)])


def send(actor: Actor, exports: Sequence[Export]) -> list[Export]:
    """Move 16. A row that was sent once without an answer is looked for exactly before it goes out again.

    One that was put off overrules no rule by it: it only is no longer put off.
    """
    put_off = [export for export in exports if export.state == State.DUE]
    held = [_released(export) for export in exports if export.state != State.DUE]
    no_longer = {"put_off": False, "waiting": "", "cause": "", "says": ""}
    moved = _moved(actor, Event.SEND, held)
    return moved + _moved(actor, Event.SEND, [Change(export, no_longer, "No longer put off.") for export in put_off])


def take_out(actor: Actor, exports: Sequence[Export], closed: Closed, says: str) -> list[Export]:
    """Move 17. What was sent, when and where stays on the row."""
    becomes = {"state": State.CLOSED, "waiting": "", "cause": closed, "says": says[:500], "next_look": None}
    becomes |= NOT_ASKED
    return _moved(actor, Event.TAKEN_OUT, [Change(export, becomes, says, _what_it_was(export)) for export in exports])


def undo(actor: Actor, exports: Sequence[Export]) -> list[Export]:
    """Move 18. The rule that closed the row no longer counts."""
    return _moved(actor, Event.UNDONE, [_released(export) for export in exports])


def send_again(actor: Actor, exports: Sequence[Export], says: str) -> list[Export]:
    """Move 19: a new generation, under a new key, with its own note and receipts. The old record stays in the event.

    The record must be proven dead. A person's wish overrules the note of the first generation that PEX still shows.
    """
    changes = [
        Change(
            export,
            {
                "state": State.DUE,
                "waiting": "",
                "cause": "",
                "says": "",
                "generation": export.generation + 1,
                "overruled": export.overruled or actor.who is not Who.SLICE,
                "put_off": False,
                "doubted": True,  # somebody may have brought the old record back: look exactly before it is sent
                "record_id": "",
                "link": "",
                "posted_at": None,
                "note_state": "",
                "note_at": None,
                "note_missed_at": None,
                "receipts_checked_at": None,
                "draft": False,
                **NOT_ASKED,
                **NOWHERE,
            },
            says,
            _what_it_was(export),
        )
        for export in exports
    ]
    return _moved(actor, Event.SEND_AGAIN, changes)


# --- what support is asked for ----------------------------------------------------------------------------------------


def ask_support(actor: Actor, exports: Sequence[Export], says: str) -> list[Export]:
    """No move: since when, and who, wants a row to be sent again. Returns those nobody had asked about before."""
    by = actor.person.pk if actor.person else None
    becomes = {"asked_at": clock.now(), "asked_by_id": by}
    return _remarked(actor, Remark.ASKED_SUPPORT, [Change(export, becomes, says) for export in exports])


def decline(actor: Actor, export: Export, says: str) -> list[Export]:
    """No move: support does not want it, and the row says so before whatever it says."""
    told = f"{says} {export.says}" if export.state == State.HELD else says
    return _remarked(actor, Remark.DECLINED, [Change(export, {**NOT_ASKED, "says": told[:500]}, says)])


def _remarked(actor: Actor, remark: Remark, changes: Sequence[Change]) -> list[Export]:
    """Write it on the rows that are still as they were read, and into their log."""
    if not changes:
        return []
    read = ("state", "cause", "generation", "record_id", "asked_at")
    rows = [(one.export.pk, {name: getattr(one.export, name) for name in read}, one.becomes) for one in changes]
    with scope(actor.business_id):
        won = bulk.update_each(Export, rows)
        done = [change for change in changes if change.export.pk in won]
        for change in done:
            for name, value in change.becomes.items():
                setattr(change.export, name, value)
        _log(actor, remark, done, {change.export.pk: change.export.state for change in done})
    return [change.export for change in done]


def _released(export: Export) -> Change:
    """Due again because a person said so; rules that hold or close it are overruled."""
    becomes = {
        "state": State.DUE,
        "waiting": "",
        "cause": "",
        "says": "",
        "link": "",
        "overruled": True,
        "put_off": False,
        "doubted": export.doubted or export.sent_at is not None,
        **NOWHERE,
    }
    return Change(export, becomes, facts=_what_it_was(export))


def _what_it_was(export: Export) -> dict[str, str]:
    """Where it was sent and what stood for it there, before a person moved it on."""
    facts = {name: str(getattr(export, name)) for name in ("target", "record_id", "link", "fingerprint")}
    facts |= {"batch": str(export.batch or ""), "cause": export.cause, "said": export.says}
    return {name: value for name, value in facts.items() if value}
