"""Posting to the journal, looking for what was posted, attaching receipts: the verbs that must never double or lose."""

import logging
import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from connectors.connector import Deadline
from connectors.dynamics365 import mapping
from connectors.dynamics365.client import MOST_OPERATIONS, BadRequest, Inner, Operation, address
from connectors.dynamics365.mapping import JSON, Chart, Coded, Mark, Part, PartyNamed, Question
from connectors.dynamics365.options import BUSY, Books, rows_of
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RecordRejected, RetryLater, SettingsNeeded
from connectors.pace import FEW
from connectors.records import (
    BookRecord,
    Entry,
    ExpectedReceipt,
    Fate,
    Found,
    Kind,
    NotSent,
    Outcome,
    Party,
    Posted,
    Receipt,
    Refused,
    Sent,
    Unknown,
)

logger = logging.getLogger(__name__)

FREE_CALLS = 5  # of one look, for rows that were never in doubt (rule L1)
MOST_ROWS = 20_000  # of one answer: a page of the service. What begins alike more often is searched exactly
SILENCE = 60.0  # seconds in which nothing more is sent after a call without an answer
LARGEST_FILE = 25 * 1024 * 1024
TURNS = 3  # of what surely was not done, and of a receipt whose line may be posted while it is on its way

ANSWER = "id,lineNumber,documentNumber,balancingAccountNumber"  # what a created line tells


# --- post -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    entry: Entry
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """One line as it goes out: `later` are the dimensions that are set once it stands."""

    entry: Entry
    part: Part
    nested: tuple[Coded, ...] = ()
    later: tuple[Coded, ...] = ()

    def operation(self, journal: str) -> Operation:
        options = {"select": ANSWER} | ({"expand": "dimensionSetLines"} if self.later else {})
        path = address(f"journals({journal})/journalLines", **options)
        return Operation("POST", path, self.part.sent(self.nested, self.later))


@dataclass(frozen=True, slots=True)
class _Later:
    """A line that stands, and lacks some of its dimensions."""

    plan: _Plan
    line: str  # its id
    has: Mapping[str, str]  # id of a dimension -> code of its value

    @property
    def filled(self) -> frozenset[str]:
        """Ids of the dimensions that are not from us."""
        return frozenset(self.has) - {each.id for each in self.plan.nested}

    @property
    def operations(self) -> list[Operation]:
        """What is there already can only be changed, what is not can only be added."""
        path = f"journalLines({self.line})"
        made = []
        for each in self.plan.later:
            if each.id not in self.has:
                made.append(Operation("POST", f"{path}/dimensionSetLines", each.body))
            elif mapping.norm(self.has[each.id]) != mapping.norm(each.value):
                made.append(Operation("PATCH", f"{path}/dimensionSetLines({each.id})", {"valueCode": each.value}))
        return [*made, Operation("PATCH", path, {"comment": self.plan.part.body["comment"]})]


def post(books: Books, entries: Sequence[Entry], deadline: Deadline) -> dict[str, Outcome]:
    """One outcome per key. Raises `NotAuthorized` and `SettingsNeeded` only while nothing was sent."""
    try:
        journal = books.journal()
        books.check_currency()
        vendors = books.vendors.resolve(_parties(entries), deadline)
        drafts = {entry.key: _draft(entry, books.chart, vendors) for entry in entries}
    except RetryLater as error:
        return _all(entries, NotSent(error.after, error.says))
    sender = _Sender(books, str(journal["id"]), vendors, deadline)
    outcomes = {key: draft for key, draft in drafts.items() if not isinstance(draft, _Draft)}
    outcomes |= sender.send([draft for draft in drafts.values() if isinstance(draft, _Draft)])
    return {entry.key: _about(entry, outcomes[entry.key]) for entry in entries}


def prepare(books: Books, entries: Sequence[Entry]) -> None:
    """Create the vendors of many entries at once. Raises `RetryLater`."""
    books.vendors.resolve(_parties(entries), None)


def _parties(entries: Iterable[Entry]) -> list[Party]:
    return [entry.party for entry in entries if entry.kind is Kind.PURCHASE]


def _about(entry: Entry, outcome: Outcome) -> Outcome:
    return mapping.about(entry.kind, outcome) if isinstance(outcome, Refused) else outcome


def _all(entries: Iterable[Entry], outcome: Outcome) -> dict[str, Outcome]:
    return {entry.key: outcome for entry in entries}


def _draft(entry: Entry, chart: Chart, vendors: Mapping[Party, PartyNamed | Outcome]) -> _Draft | Outcome:
    vendor = vendors[entry.party] if entry.kind is Kind.PURCHASE else PartyNamed()
    if not isinstance(vendor, PartyNamed):
        return vendor
    try:
        return _Draft(entry, mapping.parts(entry, chart, vendor))
    except RecordRejected as error:
        return Refused(error.says, error.cause, error.field)


class _Sender:
    """Sends entries whole, as many in one call as it takes; one call after the other, since a journal is locked.

    Each call is all or nothing. Without an answer nobody knows of any of its entries, and nothing more is sent.
    """

    def __init__(
        self, books: Books, journal: str, vendors: Mapping[Party, PartyNamed | Outcome], deadline: Deadline
    ) -> None:
        self.books, self.journal, self.vendors, self.deadline = books, journal, vendors, deadline
        self.outcomes: dict[str, Outcome] = {}
        self.stopped: NotSent | None = None  # what becomes of those that were not sent yet
        self.begun = False  # something of this `post` is in the books
        self.most = math.inf  # entries in one call
        self.checked: set[str] = set()  # keys of entries compared with the set-up once more, after a refusal
        self.bare: set[str] = set()  # accounts whose lines go without dimensions, to see which they fill in
        self.tried: set[str] = set()  # those that were ever among them

    def send(self, drafts: Sequence[_Draft]) -> dict[str, Outcome]:
        waiting = list(drafts)
        while waiting and not self.stopped:
            chunk = _fitting(waiting, self.most)
            waiting = [*self._turn(chunk), *waiting[len(chunk) :]]
        if self.stopped:
            self.outcomes |= _all([draft.entry for draft in waiting], self.stopped)
        return self.outcomes

    def _turn(self, chunk: Sequence[_Draft]) -> Sequence[_Draft]:
        """One call. Returns those that surely were not taken and go once more."""
        plans = [self._plan(draft.entry, part) for draft in chunk for part in draft.parts]
        operations = [plan.operation(self.journal) for plan in plans]
        try:
            answers = self.books.client.batch(operations, snapshot=True, deadline=self.deadline)
        except NoAnswer as error:
            return self._stop(chunk, Unknown(str(error)))
        except (NotReached, RetryLater) as error:
            return self._stop(chunk, NotSent(error.after, str(error)))
        except (NotAuthorized, SettingsNeeded) as error:
            return self._forbidden(chunk, error)
        except BadRequest as error:
            return self._split(chunk, error)
        bad = next((place for place, inner in enumerate(answers) if inner is None or not inner.ok), None)
        if bad is None:
            self.most *= 2
            return self._stands(chunk, plans, [inner for inner in answers if inner])
        return self._undone(chunk, plans, bad, answers[bad])

    def _undone(
        self, chunk: Sequence[_Draft], plans: Sequence[_Plan], bad: int, inner: Inner | None
    ) -> Sequence[_Draft]:
        """An operation failed. A refusal takes the whole call back; trouble may or may not."""
        if inner is None or not (inner.definite or inner.status == 429):
            return self._stop(chunk, Unknown("Business Central had trouble in the middle of it."))
        if inner.status == 429:
            return self._stop(chunk, NotSent(BUSY, "Business Central asks us to slow down. We go on soon."))
        if inner.status in (401, 403):
            says = f"Whoever signed in needs permissions in Business Central: {inner.message}"
            return self._forbidden(chunk, NotAuthorized(says, permission=inner.message))
        if inner.status == 404:
            return self._journal_lost(chunk, plans, plans[bad], inner)
        now = self._as_of_now(chunk) if plans[bad].entry.key not in self.checked else chunk
        return now if list(now) != list(chunk) else self._refused(chunk, plans, plans[bad], inner)

    def _as_of_now(self, chunk: Sequence[_Draft]) -> Sequence[_Draft]:
        """The set-up may have been changed since it was read: what does not fit any more goes, in words of ours."""
        self.books.forget()
        self.checked |= {draft.entry.key for draft in chunk}
        try:
            anew = [_draft(draft.entry, self.books.chart, self.vendors) for draft in chunk]
        except (RetryLater, NotAuthorized, SettingsNeeded):
            return chunk
        for draft, now in zip(chunk, anew, strict=True):
            if not isinstance(now, _Draft):
                self.outcomes[draft.entry.key] = now
        return [now for now in anew if isinstance(now, _Draft)]

    def _stop(self, chunk: Sequence[_Draft], outcome: Unknown | NotSent) -> Sequence[_Draft]:
        self.outcomes |= _all([draft.entry for draft in chunk], outcome)
        silent = NotSent(SILENCE, "Business Central does not answer. What was sent is looked for; the rest waits.")
        self.stopped = outcome if isinstance(outcome, NotSent) else silent
        return ()

    def _forbidden(self, chunk: Sequence[_Draft], error: NotAuthorized | SettingsNeeded) -> Sequence[_Draft]:
        """What was posted before stays reported."""
        if not self.begun:
            raise error
        return self._stop(chunk, NotSent(0, error.says))

    def _split(self, chunk: Sequence[_Draft], error: BadRequest) -> Sequence[_Draft]:
        """The call was refused as a whole, surely, and says not why: the others must not suffer for one."""
        if len(chunk) == 1:
            self.outcomes[chunk[0].entry.key] = Refused(error.message)
            return ()
        self.most = len(chunk) // 2
        return chunk

    def _journal_lost(
        self, chunk: Sequence[_Draft], plans: Sequence[_Plan], plan: _Plan, inner: Inner
    ) -> Sequence[_Draft]:
        """Somebody deleted the journal, and may have made it anew. Raises `SettingsNeeded`, `NotAuthorized`."""
        self.books.forget()
        try:
            journal = str(self.books.journal()["id"])
        except RetryLater as error:
            return self._stop(chunk, NotSent(error.after, error.says))
        except (NotAuthorized, SettingsNeeded) as error:
            return self._forbidden(chunk, error)
        if journal == self.journal:
            return self._refused(chunk, plans, plan, inner)
        self.journal = journal
        return chunk

    # --- dimensions the accounts fill in by themselves ---

    def _plan(self, entry: Entry, part: Part) -> _Plan:
        """Of an account nobody knows yet all dimensions go with the line; of others only what they do not fill in.

        A dimension that is there twice would be refused together with its line.
        """
        if part.account in self.bare:
            return _Plan(entry, part, (), part.dimensions)
        filled = self.books.filled.get(part.account, frozenset())
        nested = tuple(each for each in part.dimensions if each.id not in filled)
        return _Plan(entry, part, nested, tuple(each for each in part.dimensions if each.id in filled))

    def _refused(self, chunk: Sequence[_Draft], plans: Sequence[_Plan], plan: _Plan, inner: Inner) -> Sequence[_Draft]:
        """The entry of this line is refused; the others go once more.

        A dimension may only have been there before us: then all accounts of this call nobody knows yet are tried
        without any, to see what they fill in.
        """
        if inner.code in mapping.THERE_ALREADY and plan.nested and plan.part.account not in self.tried:
            unknown = {one.part.account for one in plans if one.nested and one.part.account not in self.books.filled}
            self.bare = (unknown | {plan.part.account}) - self.tried
            self.tried |= self.bare
            return chunk
        self.outcomes[plan.entry.key] = mapping.refusal(plan.part, inner.code, inner.message)
        return [draft for draft in chunk if draft.entry.key != plan.entry.key]

    # --- what stands ---

    def _stands(self, chunk: Sequence[_Draft], plans: Sequence[_Plan], answers: Sequence[Inner]) -> Sequence[_Draft]:
        """All lines of a call were taken: settle what its entries become."""
        self.begun = True
        strange = {
            plan.entry.key for plan, inner in zip(plans, answers, strict=True) if not _as_sent(plan.entry, inner)
        }
        says = _set_dimensions(self.books, [pair for pair in zip(plans, answers, strict=True) if pair[0].later])
        self.bare -= set(self.books.filled)
        for plan, inner in zip(plans, answers, strict=True):
            if plan.part.about == mapping.PEX:
                self.books.parents[plan.entry.key] = str(inner.body.get("id", ""))
        for draft in chunk:
            key = draft.entry.key
            link = self.books.web.journal(document=key)
            self.outcomes[key] = Posted(key, link, " ".join(says.get(key, ())), draft=True)
        if strange:
            self.books.forget()
            for key in strange:
                self.outcomes[key] = Unknown("Business Central changed what was sent.")
            self.stopped = NotSent(0, "The journal in Business Central was changed meanwhile. We look at it anew.")
        return ()


def _fitting(waiting: Sequence[_Draft], most: float) -> Sequence[_Draft]:
    """As many whole entries as one call takes; at least one."""
    lines = 0
    for count, draft in enumerate(waiting):
        lines += len(draft.parts)
        if count and (lines > MOST_OPERATIONS or count >= most):
            return waiting[:count]
    return waiting


def _as_sent(entry: Entry, inner: Inner) -> bool:
    """Whether a line has our number, and no balancing account of the journal's, with which it books itself twice."""
    number = str(inner.body.get("documentNumber") or "")
    return mapping.norm(number) == mapping.norm(entry.key) and not inner.body.get("balancingAccountNumber")


def _set_dimensions(books: Books, lines: Sequence[tuple[_Plan, Inner]]) -> dict[str, list[str]]:
    """Set what lines lack now that they stand; returns by key what has to be set by hand, sentences.

    Whatever becomes of it, the entries are in the books. Until it is done the comments of the lines tell what lacks.
    """
    says: dict[str, list[str]] = {}
    waiting, blind = _with_what_they_have(books, lines)
    for plan in blind:
        says.setdefault(plan.entry.key, []).append(_by_hand(plan, "Business Central did not show the line."))
    books.filled |= {line.plan.part.account: line.filled for line in waiting}
    while waiting:
        chunk = _fitting_lines(waiting)
        waiting = waiting[len(chunk) :]
        again, troubles = _set_some(books, chunk)
        waiting = [*again, *waiting]
        for line, trouble in troubles:
            says.setdefault(line.plan.entry.key, []).append(_by_hand(line.plan, trouble))
    return says


def _by_hand(plan: _Plan, trouble: str) -> str:
    missing = ", ".join(str(each) for each in plan.later)
    return f"Set {missing} on its line in the journal by hand, and empty the comment there: {trouble}"


def _with_what_they_have(books: Books, lines: Sequence[tuple[_Plan, Inner]]) -> tuple[list[_Later], list[_Plan]]:
    """The dimensions the accounts filled in: as the created lines show them, or asked for; and lines that do not."""
    shown = {id(plan): inner.body.get("dimensionSetLines") for plan, inner in lines}
    silent = [(plan, inner) for plan, inner in lines if not isinstance(shown[id(plan)], list)]
    for start in range(0, len(silent), MOST_OPERATIONS):
        some = silent[start : start + MOST_OPERATIONS]
        paths = [f"journalLines({inner.body.get('id')})/dimensionSetLines" for _, inner in some]
        try:
            answers = _read(books, paths)
        except (RetryLater, NotAuthorized, SettingsNeeded):
            continue
        shown |= {id(plan): rows_of(each.body) for (plan, _), each in zip(some, answers, strict=True) if each.ok}
    later, blind = [], []
    for plan, inner in lines:
        rows, line = shown[id(plan)], inner.body.get("id")
        if isinstance(rows, list) and line:
            later.append(_Later(plan, str(line), _values(rows)))
        else:
            blind.append(plan)
    return later, blind


def _values(rows: Sequence[JSON]) -> dict[str, str]:
    return {mapping.norm(row["id"]): str(row.get("valueCode") or "") for row in rows}


def _fitting_lines(waiting: Sequence[_Later]) -> Sequence[_Later]:
    operations = 0
    for count, line in enumerate(waiting):
        operations += len(line.operations)
        if count and operations > MOST_OPERATIONS:
            return waiting[:count]
    return waiting


def _set_some(books: Books, chunk: Sequence[_Later]) -> tuple[Sequence[_Later], list[tuple[_Later, str]]]:
    """One call, all or nothing. Returns the lines that go once more, and those people have to see to."""
    operations = [(line, operation) for line in chunk for operation in line.operations]
    try:
        answers = _write_soon(books, [operation for _, operation in operations])
    except (NoAnswer, NotReached, RetryLater, NotAuthorized, SettingsNeeded, BadRequest) as error:
        return (), [(line, str(error)) for line in chunk]
    bad = next((place for place, inner in enumerate(answers) if inner is None or not inner.ok), None)
    if bad is None:
        return (), []
    culprit, inner = operations[bad][0], answers[bad]
    if inner is None or not inner.definite:
        return (), [(line, "Business Central had trouble in the middle of it.") for line in chunk]
    return [line for line in chunk if line is not culprit], [(culprit, inner.message)]


def _write_soon(books: Books, operations: Sequence[Operation]) -> Sequence[Inner | None]:
    """One call, all or nothing; asked to slow down for a moment, it waits in place: nobody else comes back to it."""
    for _ in range(TURNS - 1):
        try:
            return books.client.batch(operations, snapshot=True)
        except (NotReached, RetryLater) as error:
            if error.after > FEW:
                raise
    return books.client.batch(operations, snapshot=True)


# --- find -------------------------------------------------------------------------------------------------------------


def find(books: Books, sent: Sequence[Sent]) -> dict[str, Found]:
    """Rows in doubt get an exact answer whatever it takes; the others may stay unseen beyond a few calls (rule L1)."""
    look = _Look(books)
    look.cover(sent)
    answers = {row.key: look.answer(row) for row in sent}
    # The journal is read first. What was posted in between stands in both readings: it is looked at once more.
    both = [row for row in sent if answers[row.key].fate not in (Fate.ABSENT, Fate.UNSEEN) and look.in_both(row)]
    if both:
        again = _Look(books)
        again.settle(both)
        answers |= {row.key: again.answer(row) for row in both}
    return answers


def _keys(row: Sent) -> tuple[str, ...]:
    return (row.key, *row.earlier)


class _Look:
    """What a look has found so far, and for which keys and documents it is sure that there is no more."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.calls = 0
        self.covered: set[str] = set()  # keys, and numbers of documents
        self.by_name: dict[str, dict[tuple[str, str], Mark]] = {}  # the same

    def cover(self, rows: Sequence[Sent]) -> None:
        """Search for what the keys begin with; where that is too much, exactly."""
        numbers = {mapping.document_of(row.record_id) for row in rows} - {""}
        beginnings = mapping.beginnings(key for row in rows for key in _keys(row))
        self._ask([*beginnings, *mapping.documents(numbers)])
        calls_left = FREE_CALLS - self.calls
        self.settle([row for row in rows if row.in_doubt])
        left = mapping.exactly(key for row in rows for key in _keys(row) if key not in self.covered)
        while left and self._cost(left) > calls_left:
            left.pop()
        self._ask(left)

    def settle(self, rows: Sequence[Sent]) -> None:
        """Search exactly for what is not covered yet."""
        numbers = {mapping.document_of(row.record_id) for row in rows} - self.covered - {""}
        keys = {key for row in rows for key in _keys(row)} - self.covered
        self._ask([*mapping.exactly(keys), *mapping.documents(numbers)])

    def answer(self, row: Sent) -> Found:
        return mapping.found(row, self.marks(row), self.covers(row), self.books.web.of)

    def covers(self, row: Sent) -> bool:
        return self.covered.issuperset(self._names(row))

    def marks(self, row: Sent) -> list[Mark]:
        found: dict[tuple[str, str], Mark] = {}
        for name in self._names(row):
            found |= self.by_name.get(mapping.norm(name), {})
        return list(found.values())

    def in_both(self, row: Sent) -> bool:
        """Whether some of it stands in a journal and some in the ledger."""
        return len({mark.draft for mark in self.marks(row)}) > 1

    def _names(self, row: Sent) -> list[str]:
        number = mapping.document_of(row.record_id)
        return [*_keys(row), *([number] if number else [])]

    def _cost(self, questions: Sequence[Question]) -> int:
        """Calls that these questions take."""
        lines = len(self.books.journals) * sum(len(each.of_lines) for each in questions)
        entries = sum(len(each.of_entries) for each in questions)
        return math.ceil(lines / MOST_OPERATIONS) + math.ceil(entries / MOST_OPERATIONS)

    def _ask(self, questions: Sequence[Question]) -> None:
        """Journals first, the ledger only when they were read to the end: the other way round, a document that is
        posted in between would be in neither."""
        if not questions:
            return
        incomplete = self._ask_journals(questions) | self._ask_ledger(questions)
        for question in questions:
            if question not in incomplete:
                self.covered.update(question.keys)

    def _ask_journals(self, questions: Sequence[Question]) -> set[Question]:
        """Returns those that were not answered to the end."""
        asked = [
            _Search(question, f"journals({journal['id']})/journalLines", each, str(journal.get("code") or ""))
            for journal in self.books.journals
            for question in questions
            for each in question.of_lines
        ]
        incomplete = set()
        for search, inner in self._answers(asked, mapping.LINE_FIELDS):
            if inner.status == 404:
                self.books.forget()
                raise RetryLater("A journal was deleted while we looked. We look again.", after=5)
            for row in rows_of(inner.body) if inner.ok else ():
                if mapping.has_account(row):
                    self._take(Mark.of_line(row, search.journal))
            if not _complete(inner):
                incomplete.add(search.question)
        return incomplete

    def _ask_ledger(self, questions: Sequence[Question]) -> set[Question]:
        """Returns those that were not answered to the end."""
        asked = [
            _Search(question, "generalLedgerEntries", each) for question in questions for each in question.of_entries
        ]
        incomplete = set()
        for search, inner in self._answers(asked, mapping.ENTRY_FIELDS):
            for row in rows_of(inner.body) if inner.ok else ():
                self._take(Mark.of_entry(row))
            if not _complete(inner):
                incomplete.add(search.question)
        return incomplete

    def _answers(self, asked: Sequence["_Search"], fields: str) -> Iterator[tuple["_Search", Inner]]:
        for start in range(0, len(asked), MOST_OPERATIONS):
            some = asked[start : start + MOST_OPERATIONS]
            self.calls += 1
            answers = _read(
                self.books, [address(one.path, select=fields, filter=one.where, top=MOST_ROWS) for one in some]
            )
            yield from zip(some, answers, strict=True)

    def _take(self, mark: Mark) -> None:
        for name in {mapping.norm(mark.key), mapping.norm(mark.document)} - {""}:
            self.by_name.setdefault(name, {})[mark.journal, mark.id] = mark


@dataclass(frozen=True, slots=True)
class _Search:
    """One filter of a question, in one place."""

    question: Question
    path: str
    where: str
    journal: str = ""  # code


def _complete(inner: Inner) -> bool:
    return inner.ok and len(rows_of(inner.body)) < MOST_ROWS


def _read(books: Books, paths: Sequence[str]) -> list[Inner]:
    """Up to a hundred lists in one call. Raises `RetryLater`."""
    try:
        answers = books.client.batch([Operation("GET", path) for path in paths], writes=False)
    except BadRequest as error:
        raise RetryLater(f"Business Central does not show its journals: {error.message}", after=300) from error
    return [inner for inner in answers if inner]


# --- books ------------------------------------------------------------------------------------------------------------


def on_account(books: Books, account: str, first: date, last: date) -> list[BookRecord]:
    """Everything on one account between two days, in the journals and posted. Raises `RetryLater`, `SettingsNeeded`."""
    known = books.chart.accounts.get(mapping.norm(account))
    if known is None:
        raise SettingsNeeded("The PEX account is not in Business Central any more. Choose another.", field=mapping.PEX)
    days, number = f"postingDate ge {first} and postingDate le {last}", mapping.literal(known.number)
    sides = [f"{name} eq {number} and {days}" for name in ("accountNumber", "balancingAccountNumber")]
    marks: dict[tuple[str, str], Mark] = {}
    journals = [(journal, each) for journal in books.journals for each in sides]
    paths = [f"journals({journal['id']})/journalLines" for journal, _ in journals]
    asked = [
        address(path, select=mapping.LINE_FIELDS, filter=each[1]) for path, each in zip(paths, journals, strict=True)
    ]
    for (journal, _), inner in zip(journals, _listed(books, asked), strict=True):
        for row in rows_of(inner.body):
            mark = Mark.of_line(row, str(journal.get("code") or ""))
            marks[mark.journal, mark.id] = mark
    # After the journals: what is posted in between is listed twice rather than not at all.
    [posted] = _listed(books, [address("generalLedgerEntries", select=mapping.ENTRY_FIELDS, filter=sides[0])])
    for row in rows_of(posted.body):
        mark = Mark.of_entry(row)
        marks[mark.journal, mark.id] = mark
    return mapping.book_records(account, marks.values(), books.web.line)


def _listed(books: Books, paths: Sequence[str]) -> list[Inner]:
    answers = [
        inner
        for start in range(0, len(paths), MOST_OPERATIONS)
        for inner in _read(books, paths[start : start + MOST_OPERATIONS])
    ]
    refused = next((inner for inner in answers if not inner.ok), None)
    if refused:
        books.forget()  # a journal may have been deleted
        raise RetryLater(f"Business Central does not list what is on the PEX account: {refused.message}", after=30)
    return answers


# --- attach -----------------------------------------------------------------------------------------------------------

FILE_FIELDS = "id,parentId,fileName,byteSize"
_UNSAFE = re.compile(r'["<>|:*?\\/\x00-\x1f]')  # with one of these the file would be called "filename.txt"
_GONE = Refused("The entry is not in Business Central any more, so its receipt was not added.", cause="receipt")


@dataclass(frozen=True, slots=True)
class _Room:
    """A file without bytes, waiting for them."""

    id: str
    name: str


class _Lost(Exception):
    """The line or file is not there any more: most likely it was posted meanwhile."""


class Files:
    """Receipts on their way into one company. May be used by several threads at once.

    A file is made first, on the line that stands for PEX, and then filled. Once the line is posted its files belong to
    the document in the ledger.
    """

    def __init__(self, books: Books) -> None:
        self.books = books
        self._lock = threading.Lock()
        self._rooms: dict[tuple[str, str], _Room] = {}  # by record and attachment

    def make_room(self, expected: Mapping[str, Sequence[ExpectedReceipt]]) -> None:
        """Make the files of many receipts in few calls, for what this run posted itself. Raises `RetryLater`.

        What gets no answer is looked for when its receipt comes.
        """
        wanted = [
            (record_id, line, receipt)
            for record_id, receipts in expected.items()
            if (line := self._parent_known(record_id))
            for receipt in receipts
            if (record_id, receipt.attachment_id) not in self._rooms
        ]
        for start in range(0, len(wanted), MOST_OPERATIONS):
            self._make_some(wanted[start : start + MOST_OPERATIONS])

    def attach(self, record_id: str, receipts: Sequence[Receipt]) -> dict[str, Outcome]:
        return {receipt.attachment_id: _unfit_file(receipt) or self._attach(record_id, receipt) for receipt in receipts}

    def _make_some(self, wanted: Sequence[tuple[str, str, ExpectedReceipt]]) -> None:
        path = address("attachments", select=FILE_FIELDS)
        names = [_safe(f"{receipt.stem}.{'pdf' if receipt.pdf else 'jpg'}") for _, _, receipt in wanted]
        bodies = [_new_file(line, name) for (_, line, _), name in zip(wanted, names, strict=True)]
        try:
            answers = self.books.client.batch([Operation("POST", path, body) for body in bodies], keep_going=True)
        except NotReached as error:
            raise RetryLater(str(error), error.after) from error
        except (NoAnswer, BadRequest) as error:
            logger.warning("no room for receipts", extra={"says": str(error)})
            return
        orphans = []
        for (record_id, line, receipt), inner, name in zip(wanted, answers, names, strict=True):
            if not inner or not inner.ok:
                continue
            if _hangs_on(inner.body, line):
                with self._lock:
                    self._rooms[record_id, receipt.attachment_id] = _Room(str(inner.body["id"]), name)
            else:
                self._forget(record_id)
                orphans.append(str(inner.body["id"]))
        self._remove(orphans)

    def _attach(self, record_id: str, receipt: Receipt) -> Outcome:
        with self._lock:
            room = self._rooms.pop((record_id, receipt.attachment_id), None)
        try:
            for _ in range(TURNS):
                try:
                    return self._fill(room, receipt) if room else self._find_place(record_id, receipt)
                except _Lost:
                    room = None
                    self._forget(record_id)
        except NoAnswer as error:
            return Unknown(str(error))
        except (NotReached, RetryLater) as error:
            return NotSent(error.after, str(error))
        except BadRequest as error:
            return Refused(f"Business Central did not take the receipt: {error.message}", cause="receipt")
        return NotSent(SILENCE, "The journal is being posted in Business Central. The receipt follows.")

    def _find_place(self, record_id: str, receipt: Receipt) -> Outcome:
        """Look at the files that are there first: this one may be among them, whole or without its bytes."""
        parent = self._parent_known(record_id) or self._parent_found(record_id)
        if not parent:
            return _GONE
        for row in self._files(parent):
            if _stem(str(row.get("fileName") or "")) == _stem(receipt.name):
                if row.get("byteSize") == receipt.size:
                    return Posted(str(row["id"]))
                return self._fill(_Room(str(row["id"]), str(row.get("fileName") or "")), receipt)
        name = _safe(receipt.name)
        made = self.books.client.create(address("attachments", select=FILE_FIELDS), _new_file(parent, name))
        if not _hangs_on(made, parent):
            self._remove([str(made["id"])])
            raise _Lost
        return self._fill(_Room(str(made["id"]), name), receipt)

    def _fill(self, room: _Room, receipt: Receipt) -> Outcome:
        """Put the bytes in, under the name they turned out to have. Raises `_Lost`."""
        client, path = self.books.client, f"attachments({room.id})"
        try:
            if room.name != _safe(receipt.name):
                client.change(path, {"fileName": _safe(receipt.name)})
            answer = client.upload(f"{path}/attachmentContent", receipt.path)
        except BadRequest as error:
            if error.status == 404:
                raise _Lost from error
            raise
        except NoAnswer as error:
            return self._filled_after_all(room, receipt) or Unknown(str(error))
        kept = answer.get("byteSize")
        if kept is not None and kept != receipt.size:
            return Unknown(f"Business Central kept {kept} of {receipt.size} bytes of the receipt.")
        return Posted(room.id)

    def _filled_after_all(self, room: _Room, receipt: Receipt) -> Posted | None:
        """Asked before anybody sends the bytes once more."""
        try:
            row = self.books.client.one(f"attachments({room.id})", select="id,byteSize")
        except (RetryLater, NotAuthorized, BadRequest):
            return None
        return Posted(room.id) if row and row.get("byteSize") == receipt.size else None

    def _files(self, parent: str) -> list[JSON]:
        """Raises `_Lost` for a parent that is not there any more."""
        where = f"parentId eq {parent} and parentType eq 'Journal'"
        try:
            return self.books.client.rows("attachments", select=FILE_FIELDS, filter=where)
        except BadRequest as error:
            raise _Lost from error

    def _remove(self, files: Sequence[str]) -> None:
        """Files that hang on nothing. What cannot be removed now stays there, and nobody sees it on an entry."""
        if not files:
            return
        try:
            self.books.client.batch([Operation("DELETE", f"attachments({one})") for one in files], keep_going=True)
        except (NoAnswer, NotReached, RetryLater, NotAuthorized, BadRequest) as error:
            logger.warning("receipts left on nothing", extra={"files": list(files), "says": str(error)})

    # --- what they hang on ---

    def _parent_known(self, record_id: str) -> str:
        with self._lock:
            return self.books.parents.get(record_id, "")

    def _forget(self, record_id: str) -> None:
        with self._lock:
            self.books.parents.pop(record_id, None)

    def _parent_found(self, record_id: str) -> str:
        """The line on the PEX account, or once it is posted an entry of its document; "" when neither is there."""
        row = Sent(record_id, amount=mapping.CENT, record_id=record_id)
        look = _Look(self.books)
        look.settle([row])
        if not look.covers(row):
            raise RetryLater("The entry of a receipt could not be looked for. We keep trying.", after=60)
        account = self.books.settings.pex_account
        marks = [mark for mark in look.marks(row) if mapping.is_record(record_id, mark)]
        best = max(
            marks, key=lambda mark: (mark.draft, mark.certain, bool(mark.on(account)), mark.number), default=None
        )
        if best is None:
            return ""
        with self._lock:
            self.books.parents[record_id] = best.id
        return best.id


def _new_file(parent: str, name: str) -> JSON:
    return {"parentId": parent, "parentType": "Journal", "fileName": name}


def _hangs_on(file: JSON, parent: str) -> bool:
    """A file whose parent is not found is kept all the same, and hangs on nothing."""
    return mapping.norm(str(file.get("parentId") or "")) == mapping.norm(parent)


def _unfit_file(receipt: Receipt) -> Refused | None:
    if receipt.size > LARGEST_FILE:
        return Refused("The receipt is larger than the 25 MB we take to Business Central. It stays in PEX.", "receipt")
    if not receipt.size:
        return Refused("The receipt is an empty file. Add it in PEX once more.", cause="receipt")
    return None


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name)


def _stem(name: str) -> str:
    return PurePosixPath(_safe(name)).stem.casefold()
