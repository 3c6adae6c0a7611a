"""Judging: what is to become of one settled row now, and why, in a sentence. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from connectors.errors import RecordRejected, SettingsNeeded
from connectors.records import Entry, Kind, Note, Source, Transaction
from connectors.settings import Settings
from syncjobs import coding, keys
from syncjobs.coding import Book
from syncjobs.statements import Verdict
from syncjobs.transitions import Cause, Closed
from syncjobs.window import Window, one_year_before, shows

APPROVED = "approved"
LATE = timedelta(days=10)  # a row first shown longer than this after it settled came late

Address = tuple[str, int | None, int | None, Decimal | None, datetime | None]  # what a row and its re-issue share


@dataclass(frozen=True, slots=True)
class Due:
    entry: Entry
    noted: bool = False  # PEX already carries our note with this row's key: the books must be asked first


@dataclass(frozen=True, slots=True)
class Wait:
    """Not due yet, or not before somebody mends it (`needs_you`)."""

    word: str
    says: str
    cause: str = ""
    field: str = ""
    needs_you: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    cause: Cause
    says: str
    link: str = ""  # the record in the books it is about


@dataclass(frozen=True, slots=True)
class Close:
    cause: Closed
    says: str


Judgement = Due | Wait | Hold | Close

NEEDS_YOU = frozenset({"coding", "settings", "refused", "late"})  # words of `waiting` that a person must mend

PUT_OFF = "put_off"  # word and cause of a row that was unticked in a preview
UNSEEN = "unseen"  # word of a row whose kind nobody has confirmed yet

NOT_SHOWN = "PEX no longer shows it. It is sent when PEX does again; leave it out if it never will."


def waits_for(word: str) -> str:
    """Whom a due row waits for: "" nobody, "you" a person here, "later" time or somebody in PEX."""
    return "you" if word in NEEDS_YOU else "later" if word else ""


@dataclass(frozen=True, slots=True)
class Gone:
    """A row PEX no longer shows, though the ledger has dealt with it. `sure`: it was missing twice."""

    pex_id: int
    name: str  # "Staples of 3 Nov 2026 (12.50)"
    sure: bool
    link: str = ""  # its record in the books


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same for every row of one run."""

    settings: Settings
    book: Book
    note: str  # what our notes in PEX begin with
    foreign_marks: tuple[str, ...]
    today: date
    closed_until: date | None = None
    cutover: date | None = None  # the company was changed: only what settled from this day on goes to the new one
    gone: Mapping[Address, Gone] = field(default_factory=dict)
    late: frozenset[tuple[str, int]] = frozenset()  # rows a person must confirm, by source and PEX id
    statements: Mapping[int, Verdict] = field(default_factory=dict)  # of statement payments, by id


def admitted(transaction: Transaction, rules: Rules, window: Window) -> bool:
    """Whether a row that the ledger does not know enters it: settled, of a kind switched on, in the window.

    Where the company was changed, what settled before that belongs to the former one.
    """
    return (
        not transaction.pending
        and not transaction.declined
        and not transaction.missing
        and transaction.kind is not None
        and transaction.kind in rules.settings.kinds
        and coding.settled_on(transaction) in window
        and (rules.cutover is None or coding.settled_on(transaction) >= rules.cutover)
    )


def judge(
    transaction: Transaction, rules: Rules, *, generation: int, overruled: bool, url: str, put_off: bool = False
) -> Judgement:
    """Judge a row of the ledger that is due.

    `overruled`: a person decided against the rules that hold or close it. `put_off`: one unticked it in a preview.
    """
    settings = rules.settings
    if not transaction.amount and not transaction.problem:
        return Close(Closed.NOTHING, "Its total is nought: there is nothing to book.")
    if transaction.missing:
        return Wait("gone", NOT_SHOWN)
    noted = False
    if not overruled:
        mark = _marked(transaction, rules)
        if isinstance(mark, Hold | Close):
            return mark
        noted = mark
        if change := _changed_its_mind(transaction, rules):
            return change
    if payment := _of_statement(transaction, rules, overruled):
        return payment
    if coding.settled_on(transaction) < one_year_before(rules.today):
        return Wait(
            "too_old", "Older than a year: nothing that old is synced. Enter it there, then press “Entered by hand”."
        )
    if transaction.kind not in settings.kinds:
        return Wait("kind_off", f"{_plural(transaction.kind)} are switched off in {rules.book.setup_page}.")
    if put_off:
        return put_off_by_a_person()
    if transaction.bill_pay and not settings.bill_pay:
        says = f"such charges are switched off in {rules.book.setup_page}."
        return Wait("bill_pay", f"This card charge paid a bill through PEX bill pay; {says}")
    if not _approved(transaction, settings):
        return Wait("approval", _approval_sentence(transaction.approval))
    try:
        entry = coding.code(
            transaction, settings, rules.book, keys.key(transaction.source, transaction.pex_id, generation), url
        )
    except RecordRejected as error:
        return Wait("coding", error.says, cause=error.cause, field=error.field, needs_you=True)
    except SettingsNeeded as error:
        return Wait("settings", error.says, cause=f"settings:{error.field}", field=error.field, needs_you=True)
    if rules.closed_until and entry.date <= rules.closed_until:
        until = f"Closed to {rules.closed_until:%-d %b %Y} in {rules.book.label}."
        return Wait("period", f"{until} Open the period there, or leave it out.")
    return Due(entry, noted)


def put_off_by_a_person() -> Wait:
    says = "Unticked in a preview: no sync sends it. Press “Send” to let it go, or “Leave out” if it never should."
    return Wait(PUT_OFF, says, cause=PUT_OFF)


def unseen(kind: Kind | None, book: Book) -> Wait:
    what = _plural(kind).lower()
    says = f"Nobody has looked at what {what} would send. Press {book.sync_word} to see and confirm them."
    return Wait(UNSEEN, says, cause=UNSEEN)


def _of_statement(transaction: Transaction, rules: Rules, overruled: bool) -> Hold | Wait | None:
    """What the other payments of its statement say about one (see `statements`)."""
    if transaction.source is not Source.STATEMENT_PAYMENT or transaction.pex_id not in rules.statements:
        return None
    verdict = rules.statements[transaction.pex_id]
    if not verdict.held:
        return Wait("statement", verdict.says)
    return None if overruled else Hold(Cause.STATEMENT, verdict.says)


def _changed_its_mind(transaction: Transaction, rules: Rules) -> Hold | Wait | None:
    """What PEX may be showing a second time, or so late that somebody may have booked it meanwhile (rule L11)."""
    for address in addresses(transaction):
        old = rules.gone.get(address)
        if old is None or old.pex_id == transaction.pex_id:
            continue
        if not old.sure:
            return Wait("reissued", f"PEX may be showing {old.name} again under a new number. The next sync tells.")
        return Hold(
            Cause.REISSUED,
            f"It looks like {old.name} under a new number, which was dealt with and which PEX no longer shows. "
            f"{_ask(rules)}",
            old.link,
        )
    if (transaction.source, transaction.pex_id) in rules.late:
        says = f"PEX showed it only long after it settled. Confirm it in {rules.book.sync_page}."
        return Wait("late", says, cause="late", needs_you=True)
    return None


def addresses(transaction: Transaction) -> list[Address]:
    """What a row has in common with the same one issued anew: card and authorisation, or card, amount and time."""
    card, amount = transaction.account_id, transaction.amount
    found: list[Address] = [("time", card, None, amount, transaction.happened_at)]
    if card is not None and transaction.authorization_id:
        found.append(("authorization", card, transaction.authorization_id, None, None))
    return found


def came_late(
    happened: datetime, settled: datetime, first_read: datetime, reads: Iterable[tuple[datetime, Window]]
) -> bool:
    """Whether a row was first shown long after it settled, although a complete read in between had covered its days.

    `reads`: when each began and which days it covered. A row nobody had asked for before is not late.
    """
    if first_read - settled <= LATE:
        return False
    days = [moment.astimezone(coding.EASTERN).date() for moment in (happened, settled)]
    return any(settled < began < first_read and shows(days_read, *days) for began, days_read in reads)


def _approved(transaction: Transaction, settings: Settings) -> bool:
    """Only purchases ask for approval; dispute rows of either sign pass."""
    if not settings.approved_only or transaction.kind is not Kind.PURCHASE or transaction.dispute:
        return True
    return transaction.approval.casefold() == APPROVED


def _approval_sentence(approval: str) -> str:
    if approval.casefold() == "rejected":
        return "Rejected in PEX. It is sent once it is approved there."
    return "Waiting for approval in PEX."


def _marked(transaction: Transaction, rules: Rules) -> Hold | Close | bool:
    """Read the sync notes of a row the ledger does not hold as posted. True: our own note with this row's key."""
    marks = (rules.note, *rules.foreign_marks)
    found = [note for note in transaction.notes if any(mark in note.text for mark in marks)]
    if any(_is_ours(note, transaction) for note in found):
        return True
    for note in found:
        if note.system_generated and keys.find_key(note.text):
            return Hold(Cause.NOTE_BY_HAND, f"PEX shows another transaction's sync note. {_ask(rules)}")
        if not note.system_generated:
            return Hold(Cause.NOTE_BY_HAND, f"Somebody typed “{rules.note}” as a note in PEX. {_ask(rules)}")
        return Close(Closed.SYNCED_BEFORE, "Synced before PEX Sync: PEX carries the note of the earlier connector.")
    return False


def _ask(rules: Rules) -> str:
    return f"If it is in {rules.book.label}, press “It is there” or “Entered by hand”; if not, press “Send anyway”."


def _is_ours(note: Note, transaction: Transaction) -> bool:
    name = keys.find_key(note.text) if note.system_generated else None
    return name is not None and (name.source, name.pex_id) == (transaction.source, transaction.pex_id)


def _plural(kind: Kind | None) -> str:
    return f"{kind.label if kind else 'row'}s".capitalize()
