"""Judging: what is to become of one settled row now, and why, in a sentence. Pure."""

from dataclasses import dataclass
from datetime import date

from connectors.errors import RecordRejected, SettingsNeeded
from connectors.records import Entry, Kind, Note, Transaction
from connectors.settings import Settings
from syncjobs import coding, keys
from syncjobs.coding import Book
from syncjobs.transitions import Cause, Closed
from syncjobs.window import Window, one_year_before

APPROVED = "approved"


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


@dataclass(frozen=True, slots=True)
class Close:
    cause: Closed
    says: str


Judgement = Due | Wait | Hold | Close

NEEDS_YOU = frozenset({"coding", "settings", "refused"})  # words of `waiting` that a person must mend


def waits_for(word: str) -> str:
    """Whom a due row waits for: "" nobody, "you" a person here, "later" time or somebody in PEX."""
    return "you" if word in NEEDS_YOU else "later" if word else ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same for every row of one run."""

    settings: Settings
    book: Book
    note: str  # "Synced with Xero"
    foreign_marks: tuple[str, ...]
    where: str  # "in Xero"
    today: date
    closed_until: date | None = None


def admitted(transaction: Transaction, rules: Rules, window: Window) -> bool:
    """Whether a row that the ledger does not know enters it: settled, of a kind switched on, in the window."""
    return (
        not transaction.pending
        and not transaction.declined
        and transaction.kind is not None
        and transaction.kind in rules.settings.kinds
        and coding.settled_on(transaction) in window
    )


def judge(transaction: Transaction, rules: Rules, *, generation: int, overruled: bool, url: str) -> Judgement:
    """Judge a row of the ledger that is due. `overruled`: a person decided against the rules that hold or close."""
    settings = rules.settings
    if not transaction.amount and not transaction.problem:
        return Close(Closed.NOTHING, "Its total is nought: there is nothing to book.")
    noted = False
    if not overruled:
        mark = _marked(transaction, rules)
        if isinstance(mark, Hold | Close):
            return mark
        noted = mark
    if coding.settled_on(transaction) < one_year_before(rules.today):
        return Wait("too_old", "Older than a year: nothing that old is synced. Enter it by hand.")
    if transaction.kind not in settings.kinds:
        return Wait("kind_off", f"{_plural(transaction.kind)} are switched off in Setup.")
    if transaction.bill_pay and not settings.bill_pay:
        return Wait(
            "bill_pay", "This card charge paid a bill through PEX bill pay; such charges are switched off in Setup."
        )
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
        return Wait(
            "period", f"Closed to {rules.closed_until:%-d %b %Y} {rules.where}. Open the period there, or leave it out."
        )
    return Due(entry, noted)


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
            return Hold(
                Cause.NOTE_BY_HAND,
                f"PEX shows another transaction's sync note. If this one is not {rules.where}, enter it there by hand.",
            )
        if not note.system_generated:
            return Hold(
                Cause.NOTE_BY_HAND,
                f"Somebody typed “{rules.note}” as a note in PEX. If it is not {rules.where}, enter it there by hand.",
            )
        return Close(Closed.SYNCED_BEFORE, "Synced before PEX Sync: PEX carries the note of the earlier connector.")
    return False


def _is_ours(note: Note, transaction: Transaction) -> bool:
    name = keys.find_key(note.text) if note.system_generated else None
    return name is not None and (name.source, name.pex_id) == (transaction.source, transaction.pex_id)


def _plural(kind: Kind | None) -> str:
    return f"{kind.label if kind else 'row'}s".capitalize()
