"""What the checker judges: transactions of PEX, records in the books, rows of the ledger. Pure.

No line of the product is imported here: what a key looks like is said once more, from the outside.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from chaos.journal import Doing

KEY = re.compile(r"PEX[TS](\d+)(?:-(\d+))?")
PURCHASE, FEE, TRANSFER, BILL_PAYMENT, REBATE = "purchase", "fee", "transfer", "bill_payment", "rebate"
KINDS = (PURCHASE, FEE, TRANSFER, BILL_PAYMENT, REBATE)


@dataclass(frozen=True, slots=True)
class Note:
    id: int
    text: str
    system: bool


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row of PEX, or one payment of a statement. `amount` has our sign: above nought is money spent."""

    id: int
    business: int
    company: str
    amount: Decimal
    eligible: bool
    kind: str = PURCHASE  # "" of none that is ever booked
    against: int | None = None  # of a payment and its reversal: the other one. Both are booked, or neither
    project: str = ""
    notes: tuple[Note, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # attachment id -> sha256, those PEX has loaded


@dataclass(frozen=True, slots=True)
class Record:
    """What stands on the PEX account of the books for one transaction. `amount` has our sign."""

    id: str
    company: str
    live: bool
    amount: Decimal
    names: tuple[int, ...]  # PEX's ids, by the keys it carries
    files: tuple[str, ...] = ()  # sha256 of each attachment
    projects: tuple[str, ...] = ()  # of its lines
    usual: tuple[str, ...] = ()  # projects its accounts give a line that was sent without one
    known: str = ""  # what the ledger calls it, where that is not its id
    draft: bool | None = None  # whether a person has yet to post it; None where there is no such state
    unfinished: bool = False  # it says itself that its dimensions are not set yet

    @property
    def known_as(self) -> str:
        return self.known or self.id


@dataclass(frozen=True, slots=True)
class Half:
    """A document whose lines do not balance."""

    says: str
    names: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """A file that hangs on nothing, or has no bytes."""

    says: str
    names: tuple[int, ...]
    empty: bool = False
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Twin:
    """A name that more than one vendor of a company has."""

    company: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the ledger."""

    pk: int
    business: int
    pex_id: int
    state: str
    waiting: str
    cause: str
    says: str
    record_id: str
    amount: Decimal
    kind: str
    month: str  # 2026-05
    owed: int = 0  # receipts of its present generation without an outcome
    draft: bool = False  # a person has yet to post its record


@dataclass(frozen=True, slots=True)
class Tally:
    business: int
    month: str
    kind: str
    state: str
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one list, by id: the active ones of the books, the enabled ones of the tag they are to fill."""

    business: int
    books: Mapping[str, str]
    tag: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    transactions: Sequence[Transaction]
    records: Sequence[Record]
    rows: Sequence[Row]
    options: Sequence[Options] = ()
    halves: Sequence[Half] = ()
    strays: Sequence[Stray] = ()
    twins: Sequence[Twin] = ()
    tallies: Sequence[Tally] = ()
    open_runs: Sequence[str] = ()
    events: Mapping[int, Sequence[str]] = field(default_factory=dict)  # by ledger row: its log, as text
    doings: Sequence[Doing] = ()


def named(text: str) -> tuple[int, ...]:
    """PEX's ids in the keys of a text, each once."""
    return tuple(sorted({int(match[1]) for match in KEY.finditer(text)}))
