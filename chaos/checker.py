"""The independent judge: compares PEX, the books and the ledger, and names every transaction that is not as it must be.

Pure, and without a line of the product. What the schedule did to a transaction excuses exactly what follows from it,
and nothing else.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from chaos.facts import KEY, KINDS, PURCHASE, Evidence, Note, Record, Row, Stray, Transaction
from chaos.journal import Doing

VOIDED, EDITED, DOUBLED, FORGED = "record voided", "reference edited", "doubled by hand", "note forged"
REMOVED, RECEIPT, TOO_LATE = "note removed", "receipt added", "commit beyond patience"
HALVED, REVERSED = "line deleted", "document reversed"
REWORDED = "words edited"  # hits only what lost its key by it
TAKEN = "journal posted"  # hits what was posted though it was not finished: somebody took it as it was
FROZEN = "frozen"
UNHEARD = ("late commit", "answer dropped after", "5xx after commit", "truncated answer")  # done, and nobody knows
GONE = (VOIDED, REVERSED)  # nobody looks again at what was posted there long ago

NEAR = 3.0  # seconds between a move of a row and what was done to the processes "meanwhile"

EXCUSES_HOLDING = frozenset({VOIDED, EDITED, DOUBLED, FORGED, TOO_LATE, HALVED, REVERSED, REWORDED})

LOST, DOUBLED_UNSEEN, WRONG_CENTS, STUCK, HELD = "lost", "doubled_unseen", "wrong_cents", "stuck", "held_unexplained"
MISCODED, OPTIONS, DRAFT = "miscoded", "options_wrong", "draft_wrong"
HALF, UNLINKED, TWINS = "half", "unlinked", "vendors_doubled"
UNINVITED, STRANGER, DISAGREES, NOTES, RECEIPTS, TALLY = (
    "uninvited", "stranger", "disagrees", "notes_wrong", "receipts_wrong", "tally_wrong",
)  # fmt: skip
VIOLATIONS = (
    LOST, DOUBLED_UNSEEN, WRONG_CENTS, MISCODED, STUCK, HELD, UNINVITED, STRANGER, DISAGREES, NOTES, RECEIPTS, TALLY,
    OPTIONS, DRAFT, HALF, UNLINKED, TWINS,
)  # fmt: skip
"""Everything that must not be; each is a figure that must be nought."""


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    says: str
    pex_id: int | None = None  # None: it is about no single transaction


@dataclass
class Verdict:
    violations: list[Violation] = field(default_factory=list)
    eligible: Counter[str] = field(default_factory=Counter)  # by kind
    delivered: int = 0  # posted, or rightly held
    doubled_held: int = 0  # doubles the ledger found by itself and holds for a person
    unfinished: int = 0  # rows held because the books show that dimensions of them were not set
    unheard_of: int = 0  # empty files on nothing, made by calls nobody had an answer to
    vendors_twice: int = 0  # names more than one vendor of a company has

    def figures(self) -> dict[str, float]:
        counted = Counter(violation.kind for violation in self.violations)
        total = self.eligible.total()
        share = 100 * self.delivered / total if total else 0.0
        return {
            **{f"chaos.{kind}s": self.eligible[kind] for kind in KINDS},
            "chaos.delivered_pct": round(share, 2),
            "chaos.doubled_held": self.doubled_held,
            "chaos.unfinished_held": self.unfinished,
            "chaos.files_unheard_of": self.unheard_of,
            "chaos.vendors_named_twice": self.vendors_twice,
            **{f"chaos.{kind}": counted[kind] for kind in VIOLATIONS},
        }


@dataclass(frozen=True, slots=True)
class Case:
    """One transaction of PEX with all that is known of it."""

    transaction: Transaction
    row: Row | None
    records: tuple[Record, ...]  # live ones, ours
    by_hand: tuple[Record, ...]  # live ones the schedule's bookkeeper entered
    doings: tuple[Doing, ...]

    @property
    def id(self) -> int:
        return self.transaction.id

    def was(self, *kinds: str) -> bool:
        return any(doing.kind in kinds for doing in self.doings)

    def ids(self, kind: str, name: str) -> set[object]:
        return {doing.facts[name] for doing in self.doings if doing.kind == kind and name in doing.facts}

    @property
    def held(self) -> bool:
        return self.row is not None and self.row.state == "held"

    @property
    def unfinished(self) -> bool:
        """Its one record stands and tells people which dimensions to set."""
        return self.held and [record.unfinished for record in self.records] == [True]

    @property
    def rightly_held(self) -> bool:
        return self.held and (self.was(*EXCUSES_HOLDING) or self.unfinished)

    @property
    def posted(self) -> bool:
        return self.row is not None and self.row.state == "posted"


def check(evidence: Evidence) -> Verdict:
    verdict = Verdict()
    known = {case.id: case for case in cases(evidence)}
    for case in known.values():
        if case.transaction.eligible and not _both_stay_out(case, known):
            verdict.violations += _eligible(case)
            verdict.eligible[case.transaction.kind] += 1
            verdict.delivered += _delivered(case)
            verdict.doubled_held += len(case.records) > 1 and case.held
            verdict.unfinished += case.unfinished
        elif not case.transaction.eligible:
            verdict.violations += _not_eligible(case)
        verdict.violations += [*_notes(case), *_receipts(case)]
    verdict.violations += _strangers(evidence)
    verdict.violations += [Violation(STUCK, run) for run in evidence.open_runs]
    verdict.violations += _tally(evidence)
    verdict.violations += _options(evidence)
    verdict.violations += [*_halves(evidence, known), *_strays(evidence, known), *_twins(evidence)]
    verdict.vendors_twice = len(evidence.twins)
    verdict.unheard_of = sum(_unheard_of(stray, known) for stray in evidence.strays)
    return verdict


def cases(evidence: Evidence) -> Iterator[Case]:
    rows = {(row.business, row.pex_id): row for row in evidence.rows}
    records: dict[int, list[Record]] = {}
    for record in evidence.records:
        for pex_id in record.names:
            records.setdefault(pex_id, []).append(record)
    doings: dict[int, list[Doing]] = {}
    for doing in evidence.doings:
        for pex_id in doing.hit:
            doings.setdefault(pex_id, []).append(doing)
    for one in evidence.transactions:
        mine = tuple(doings.get(one.id, ()))
        entered = {doing.facts.get("record") for doing in mine if doing.kind == DOUBLED}
        live = [record for record in records.get(one.id, ()) if record.live]
        yield Case(
            one,
            rows.get((one.business, one.id)),
            tuple(record for record in live if record.id not in entered),
            tuple(record for record in live if record.id in entered),
            mine,
        )


# --- one transaction --------------------------------------------------------------------------------------------------


def _both_stay_out(case: Case, known: Mapping[int, Case]) -> bool:
    """A payment of a statement and its reversal moved nothing together, where neither of them was booked."""
    other = known.get(case.transaction.against or 0)
    return other is not None and not any(
        one.records or one.row is None or (one.row.state, one.row.waiting) != ("due", "statement")
        for one in (case, other)
    )


def _eligible(case: Case) -> Iterator[Violation]:
    row, pex_id = case.row, case.id
    if len(case.records) > 1 and not case.held:
        ids = ", ".join(record.id for record in case.records)
        yield Violation(DOUBLED_UNSEEN, f"stands twice in the books ({ids}) and the ledger says {_state(row)}", pex_id)
    for record in case.records:
        yield from _cents(case, record)
    if len({record.draft for record in case.records}) > 1 and not case.was(TOO_LATE):
        yield Violation(HALF, "stands in a journal and in the ledger", pex_id)
    yield from _draft(case)
    if case.held and not case.rightly_held:
        yield Violation(HELD, f"held without a reason of the schedule's: {row.cause if row else ''}", pex_id)
    if row is not None and row.state in ("due", "sent"):
        says = f"ends {row.state}{f', waiting: {row.waiting}' if row.waiting else ''} ({row.says})"
        yield Violation(STUCK, says, pex_id)
    elif not case.records and not _excused_from_books(case):
        yield Violation(LOST, f"is not in the books, and the ledger says {_state(row)}", pex_id)
    elif case.records and not case.held and not _agrees(case):
        known = row.record_id if row else ""
        says = f"is in the books as {case.records[0].id}, and the ledger says {_state(row)} {known}"
        yield Violation(DISAGREES, says, pex_id)


def _cents(case: Case, record: Record) -> Iterator[Violation]:
    if record.amount != case.transaction.amount:
        says = f"is {case.transaction.amount} in PEX and {record.amount} in the books ({record.id})"
        yield Violation(WRONG_CENTS, says, case.id)
    wanted = tuple(filter(None, [case.transaction.project])) or record.usual
    if record.projects != wanted and not (case.unfinished or case.was(TAKEN, HALVED)):
        says = f"is to be of project {wanted or 'none'} and is of {record.projects or 'none'} in the books"
        yield Violation(MISCODED, says, case.id)
    if record.company != case.transaction.company:
        yield Violation(DISAGREES, f"stands in another company's books ({record.id})", case.id)


def _draft(case: Case) -> Iterator[Violation]:
    """Whether the ledger knows if a person has yet to post it; runs look at what they have not seen posted."""
    there = {record.draft for record in (*case.records, *case.by_hand)}
    if case.row is None or not case.posted or len(there) != 1 or there <= {None, case.row.draft}:
        return
    says = "in a journal" if True in there else "in the ledger"
    yield Violation(DRAFT, f"stands {says}, and the ledger of ours says draft: {case.row.draft}", case.id)


def _excused_from_books(case: Case) -> bool:
    """No record of ours: a bookkeeper voided it, or the row is rightly held or closed, or his own stands for it."""
    if case.was(*GONE) or case.rightly_held:
        return True
    if case.row is not None and case.row.state == "closed":
        return case.was(FORGED)
    return case.posted and any(record.known_as == case.row.record_id for record in case.by_hand if case.row)


def _agrees(case: Case) -> bool:
    """The ledger knows one of the records that are there; one it knew may have been voided since."""
    if case.row is None or not case.posted:
        return False
    known = {record.known_as for record in (*case.records, *case.by_hand)}
    return case.row.record_id in known or (case.was(VOIDED) and case.was(DOUBLED))


def _not_eligible(case: Case) -> Iterator[Violation]:
    for record in (*case.records, *case.by_hand):
        if not case.was(DOUBLED):
            yield Violation(UNINVITED, f"must not be booked, and stands in the books as {record.id}", case.id)
    if case.row is not None and case.row.state in ("sent", "posted"):
        yield Violation(UNINVITED, f"must not be booked, and the ledger says {case.row.state}", case.id)


def _notes(case: Case) -> Iterator[Violation]:
    """One note of ours where a purchase is posted, none elsewhere; one somebody removed may be missing."""
    forged = case.ids(FORGED, "note")
    ours = [note for note in case.transaction.notes if note.id not in forged and _is_ours(note, case.id)]
    forged_with_key = any(note.id in forged and _is_ours(note, case.id) for note in case.transaction.notes)
    noted = case.transaction.kind == PURCHASE
    least = 1 if noted and case.posted and not case.was(REMOVED) and not forged_with_key else 0
    most = 1 if noted and (case.posted or case.held) else 0
    if not least <= len(ours) <= most:
        says = f"has {len(ours)} notes of ours in PEX, and the ledger says {_state(case.row)}"
        yield Violation(NOTES, says, case.id)


def _is_ours(note: Note, pex_id: int) -> bool:
    match = KEY.search(note.text)
    return note.system and match is not None and int(match[1]) == pex_id


def _receipts(case: Case) -> Iterator[Violation]:
    """Every receipt of PEX once on the record; one that came after posting at most once."""
    row = case.row
    if row is None or not case.posted or case.was(*GONE):
        return
    record = next((one for one in (*case.records, *case.by_hand) if one.known_as == row.record_id), None)
    if record is None:
        return
    later = case.ids(RECEIPT, "attachment")
    attached = Counter(record.files)
    for attachment, digest in case.transaction.files.items():
        least = 0 if attachment in later else 1
        if not least <= attached.pop(digest, 0) <= 1:
            yield Violation(RECEIPTS, f"receipt {attachment} is not exactly once on {record.id}", case.id)
    if attached:
        yield Violation(RECEIPTS, f"{record.id} carries {attached.total()} files PEX does not have", case.id)
    if row.owed:
        yield Violation(STUCK, f"{row.owed} receipts are still under way", case.id)


def _delivered(case: Case) -> bool:
    if case.rightly_held or case.was(*GONE):
        return True
    if case.row is not None and case.row.state == "closed":
        return case.was(FORGED)
    return case.posted and len(case.records) <= 1 and bool(case.records or case.by_hand)


def _state(row: Row | None) -> str:
    if row is None:
        return "nothing"
    return f"{row.state} ({row.cause})" if row.cause else row.state


# --- the whole --------------------------------------------------------------------------------------------------------


def _strangers(evidence: Evidence) -> Iterator[Violation]:
    """Records on the PEX account that belong to no transaction of PEX."""
    known = {one.id for one in evidence.transactions}
    for record in evidence.records:
        if record.live and not known.intersection(record.names):
            yield Violation(STRANGER, f"{record.id} ({record.amount}) stands in the books for no transaction of PEX")


def _tally(evidence: Evidence) -> Iterator[Violation]:
    """The sums the pages show against the rows they stand for."""
    sums: dict[tuple[int, str, str, str], tuple[int, Decimal]] = {}
    for row in evidence.rows:
        count, amount = sums.get(_group(row), (0, Decimal()))
        sums[_group(row)] = (count + 1, amount + row.amount)
    told = {(one.business, one.month, one.kind, one.state): (one.count, one.amount) for one in evidence.tallies}
    for group in sorted({*sums, *told}):
        counted, says = sums.get(group, (0, Decimal())), told.get(group, (0, Decimal()))
        if counted != says:
            business, month, kind, state = group
            yield Violation(
                TALLY,
                f"business {business}, {kind}s {state} in {month}: the tally says {says[0]} for {says[1]}, "
                f"there are {counted[0]} for {counted[1]}",
            )


def _options(evidence: Evidence) -> Iterator[Violation]:
    """What a tag offers people against what the books have."""
    for one in evidence.options:
        if one.tag != one.books:
            wrong = sorted({*one.tag.items()} ^ {*one.books.items()})
            yield Violation(OPTIONS, f"business {one.business}: the tag's options and the books' differ in {wrong}")


def _halves(evidence: Evidence, known: Mapping[int, Case]) -> Iterator[Violation]:
    """A document that does not balance, unless a person deleted a line of it and the row waits for one."""
    for half in evidence.halves:
        cases_of_it = [known[name] for name in half.names if name in known]
        if not any(case.was(HALVED) and case.held for case in cases_of_it):
            yield Violation(HALF, half.says, half.names[0] if half.names else None)


def _strays(evidence: Evidence, known: Mapping[int, Case]) -> Iterator[Violation]:
    """Files that hang on nothing or have no bytes, unless a person took away the line they were for."""
    for stray in evidence.strays:
        halved = any(known[name].was(HALVED) for name in stray.names if name in known)
        if not halved and not _unheard_of(stray, known):
            yield Violation(UNLINKED, stray.says, stray.names[0] if stray.names else None)


def _unheard_of(stray: Stray, known: Mapping[int, Case]) -> bool:
    """An empty file made by a call without an answer, when its line had just been posted: nobody learns of it.

    The receipt itself is on the entry, or is missed there.
    """
    lost = any(known[name].was(*UNHEARD) for name in stray.names if name in known)
    return lost and stray.empty and not stray.linked


def _twins(evidence: Evidence) -> Iterator[Violation]:
    """A vendor made twice, unless a call that was to make it met a fault, or a worker stood still meanwhile."""
    struck = {name for doing in evidence.doings for name in doing.facts.get("vendors", ())}
    frozen = any(doing.kind == FROZEN for doing in evidence.doings)
    for twin in evidence.twins:
        if twin.name not in struck and not frozen:
            yield Violation(TWINS, f"{twin.count} vendors of {twin.company} are called {twin.name}")


def _group(row: Row) -> tuple[int, str, str, str]:
    return row.business, row.month, row.kind, row.state


def explained(violation: Violation, evidence: Evidence) -> list[str]:
    """All that is known about a violation, line by line: the events of its row, and what the schedule did to it."""
    lines = [f"{violation.kind}: {violation.pex_id or ''} {violation.says}"]
    if violation.pex_id is None:
        return lines
    rows: Sequence[Row] = [row for row in evidence.rows if row.pex_id == violation.pex_id]
    told = [line for row in rows for line in evidence.events.get(row.pk, ())]
    mine = [doing for doing in evidence.doings if violation.pex_id in doing.hit]
    lines += [f"    ledger    {line}" for line in told]
    lines += [f"    schedule  {_told(doing)}" for doing in mine]
    lines += [f"    meanwhile {_told(doing)}" for doing in evidence.doings if doing.process and _near(doing, told)]
    return lines


def _told(doing: Doing) -> str:
    at = datetime.fromtimestamp(doing.at, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S.%f}  {doing.kind}: {doing.says} {doing.facts or ''}"


def _near(doing: Doing, told: Sequence[str]) -> bool:
    """Whether it happened within seconds of a move of the row; the ledger's log begins with the time."""
    moments = [datetime.fromisoformat(line.split("  ")[0]).replace(tzinfo=UTC).timestamp() for line in told]
    return any(-NEAR < doing.at - moment < NEAR for moment in moments)
