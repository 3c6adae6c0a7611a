"""Business Central's books from the outside: what stands there for which transaction, and what is left in pieces.

Pure: what the control room tells comes in as JSON. A document is the lines of one journal, or the G/L entries, that
have one number, one day and one key. Once posted it keeps its words and its external number, but gets other lines.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from chaos.facts import KEY, Half, Record, Stray, Twin, named
from chaos.journal import normal

JSON = dict[str, Any]

LEDGER = "ledger"
GL, BANK, VENDOR = "G/L Account", "Bank Account", "Vendor"
BY_HAND = re.compile(r"\bby hand \d+\b")  # in the words of whatever the schedule's bookkeeper enters
NOT_SET = "Dimensions not set yet"  # how the comment of a line begins that is not finished
RECEIPT = re.compile(r"\bpex-(\d+)-")  # begins the name of a receipt


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal or one G/L entry. `amount` debits its account; `place`: a journal's code, or the ledger."""

    id: str
    place: str
    document: str
    day: str
    kind: str
    account: str
    amount: Decimal
    key: str  # whose it says it is
    names: tuple[int, ...]  # PEX's ids in that
    words: str
    comment: str = ""
    by_hand: str = ""  # "by hand 7"
    balanced: bool = False  # it has an account on its other side too
    reversed: bool = False
    projects: Mapping[str, str] = field(default_factory=dict)  # dimension -> value, codes
    files: Sequence[JSON] = ()

    @property
    def draft(self) -> bool:
        return self.place != LEDGER


@dataclass(frozen=True, slots=True)
class Document:
    place: str
    number: str
    day: str
    names: tuple[int, ...]
    by_hand: str
    lines: tuple[Line, ...]

    def on(self, accounts: Iterable[str]) -> list[Line]:
        return [line for line in self.lines if line.kind == GL and line.account in accounts]


def lines(books: JSON) -> Iterator[Line]:
    """Those of all journals and the ledger. The blank line that posting leaves behind is none."""
    for shown in books["lines"]:
        if shown["account"] or shown["balance_account"]:
            yield _line(shown, shown["journal"], shown["account_type"], balanced=bool(shown["balance_account"]))
    for shown in books["entries"]:
        yield _line(shown, LEDGER, GL, reversed=shown["reversed"])


def _line(shown: JSON, place: str, kind: str, **more: bool) -> Line:
    """The external number speaks first, then the words, then the number: people change any one of them."""
    texts = (shown["external_number"], shown["description"], shown["document_number"])
    keys = [found[-1][0] for text in texts if (found := list(KEY.finditer(text)))]
    key = keys[0] if keys else ""
    hand = BY_HAND.search(shown["description"])
    return Line(
        id=shown["id"],
        place=place,
        document=shown["document_number"],
        day=shown["posting_date"],
        kind=kind,
        account=shown["account"],
        amount=Decimal(shown["amount"]),
        key=key,
        names=named(key),
        words=shown["description"],
        comment=shown["comment"],
        by_hand=hand[0] if hand else "",
        projects=shown["dimensions"],
        files=shown["attachments"],
        **more,
    )


def documents(books: JSON) -> list[Document]:
    groups: dict[tuple[str, str, str, tuple[int, ...], str], list[Line]] = {}
    for line in lines(books):
        groups.setdefault((line.place, line.document, line.day, line.names, line.by_hand), []).append(line)
    return [Document(*what, tuple(group)) for what, group in groups.items()]


# --- what stands for a transaction ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coding:
    """What is known of how a company codes: its dimension of projects, values by code, what accounts fill in."""

    dimension: str
    names: Mapping[str, str]  # value -> its name now
    usual: Mapping[str, str]  # account -> value


def records(books: JSON, company: str, accounts: Iterable[str], coding: Coding) -> Iterator[Record]:
    """One for each line on a PEX account; a document and its reversal are one, dead. `accounts`: their numbers."""
    ours = frozenset(accounts)
    for document in documents(books):
        dead = [line for line in document.on(ours) if line.reversed]
        if dead:
            yield _record(document, dead, company, ours, coding)
        for line in document.on(ours):
            if not line.reversed:
                yield _record(document, [line], company, ours, coding)


def _record(document: Document, own: Sequence[Line], company: str, accounts: frozenset[str], coding: Coding) -> Record:
    first, others = own[0], [line for line in document.lines if line.account not in accounts]
    amount = -sum((line.amount for line in own), Decimal())
    codes = {line.projects[coding.dimension] for line in others if coding.dimension in line.projects}
    usual = {coding.usual[line.account] for line in others if line.account in coding.usual}
    return Record(
        id=f"{first.key} {first.by_hand}" if first.by_hand else f"{first.key} {document.place} {first.id}".strip(),
        company=company,
        live=bool(amount),
        amount=amount,
        names=document.names,
        files=tuple(_files(document)),
        projects=tuple(sorted(coding.names.get(code, code) for code in codes)),
        usual=tuple(sorted(coding.names.get(code, code) for code in usual)),
        known=first.key,
        draft=first.draft,
        unfinished=any(line.comment.startswith(NOT_SET) for line in document.lines if line.draft),
    )


def _files(document: Document) -> list[str]:
    """The contents of what hangs on any of its lines; each G/L entry shows all files of its document."""
    found = {file["id"]: file["sha256"] for line in document.lines for file in line.files if file["size"]}
    return list(found.values())


# --- what is left in pieces -------------------------------------------------------------------------------------------


def halves(books: JSON) -> Iterator[Half]:
    """Documents of a journal as posting looks at them: by number and day alone."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines(books):
        if line.draft:
            groups.setdefault((line.place, line.document, line.day), []).append(line)
    for (place, number, day), group in groups.items():
        left = sum((line.amount for line in group if not line.balanced), Decimal())
        if left:
            names = tuple(sorted({name for line in group for name in line.names}))
            yield Half(f"document {number} of {day} in {place} is out of balance by {left}", names)


def strays(books: JSON) -> Iterator[Stray]:
    for file in books["unlinked"]:
        says = f"{file['name']} of {file['size']} bytes hangs on nothing"
        yield Stray(says, _of_receipt(file), empty=not file["size"])
    empty: dict[str, Stray] = {}
    for line in lines(books):
        for file in line.files:
            if not file["size"]:
                names = _of_receipt(file) or line.names
                says = f"{file['name']} on {line.key} has no bytes"
                empty.setdefault(file["id"], Stray(says, names, empty=True, linked=True))
    yield from empty.values()


def _of_receipt(file: JSON) -> tuple[int, ...]:
    match = RECEIPT.search(file["name"])
    return (int(match[1]),) if match else ()


def twins(set_up: JSON, company: str) -> Iterator[Twin]:
    counted = Counter(normal(vendor["name"]) for vendor in set_up["vendors"])
    for name, count in sorted(counted.items()):
        if count > 1:
            yield Twin(company, name, count)
