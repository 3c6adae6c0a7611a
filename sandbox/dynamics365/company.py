"""One company in Business Central: its books, its set-up, and what people and tests do with them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from sandbox.dynamics365.records import (
    BANK,
    GL,
    NO_DATE,
    VENDOR,
    Account,
    Attachment,
    BankAccount,
    Dimension,
    DimensionValue,
    Journal,
    JournalLine,
    LedgerEntry,
    Period,
    Record,
    TaxGroup,
    Vendor,
)

if TYPE_CHECKING:
    from sandbox.dynamics365.world import BusinessCentralWorld

Any_record = TypeVar("Any_record", bound=Record)
JOURNAL = "PEX CARD"
Numbered = Account | BankAccount | Vendor


@dataclass(eq=False)
class Company:
    """The rules of Business Central about these records are in `rules`, `lines` and `posting`."""

    id: str
    name: str  # 30
    display_name: str  # 250, may be empty
    world: BusinessCentralWorld = field(repr=False)
    created: datetime
    currency: str = "USD"
    posting_from: date = NO_DATE
    posting_to: date = NO_DATE
    default_template: str = "GENERAL"
    force_balance: bool = True  # of the template: a document balances per number and date
    incoming_approval: bool = False  # incoming documents must be released before posting
    payables: str = "20100"  # what vendor lines are posted on; made when first needed
    cash: str = "10100"  # the same for lines on a bank account
    vendor_series: bool = True  # Purchases & Payables Setup has a number series for vendors
    manual_vendor_numbers: bool = True  # and it allows numbers of one's own
    accounts: dict[str, Account] = field(default_factory=dict)  # all by id
    bank_accounts: dict[str, BankAccount] = field(default_factory=dict)
    vendors: dict[str, Vendor] = field(default_factory=dict)
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    tax_groups: dict[str, TaxGroup] = field(default_factory=dict)
    periods: dict[str, Period] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    entries: dict[str, LedgerEntry] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    posted_documents: dict[str, tuple[str, date]] = field(default_factory=dict)  # attachment -> document and day
    series: dict[str, str] = field(default_factory=dict)  # number series -> the number it gave last
    last_vendor: int = 0
    last_entry: int = 0
    undo: list[Callable[[], None]] | None = field(default=None, repr=False)  # while a snapshot batch is under way
    found: dict[tuple[str, str], Numbered] = field(default_factory=dict, repr=False)  # what `by_number` found last

    def today(self) -> date:
        return self.world.now().date()

    def new_id(self) -> str:
        return self.world.new_id(f"record of {self.id}")

    def touch(self, record: Record) -> None:
        record.changed, record.version = self.world.now(), record.version + 1

    def did(self, undo: Callable[[], None]) -> None:
        """Whoever changes something says how it is taken back: a snapshot batch that fails undoes all of it."""
        if self.undo is not None:
            self.undo.append(undo)

    def keep(self, record: Record) -> None:
        """Whatever changes in this record from now on can be taken back. Its dicts must be replaced, not changed."""
        before = dict(record.__dict__)
        self.did(lambda: record.__dict__.update(before))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All of it or nothing: what was done inside is taken back when it raises."""
        done: list[Callable[[], None]] = []
        outer, self.undo = self.undo, done
        try:
            yield
        except BaseException:
            for undo in reversed(done):
                undo()
            raise
        else:
            if outer is not None:
                outer.extend(done)
        finally:
            self.undo = outer

    # --- set-up, for seeds and tests ----------------------------------------------------------------------------------

    def add_account(self, number: str, name: str, category: str = "Expense", **fields: Any) -> Account:
        return self._add(self.accounts, Account, number=number.upper(), name=name, category=category, **fields)

    def add_bank_account(self, number: str, name: str = "", **fields: Any) -> BankAccount:
        return self._add(self.bank_accounts, BankAccount, number=number.upper(), name=name, **fields)

    def add_vendor(self, name: str, **fields: Any) -> Vendor:
        self.last_vendor += 1
        fields.setdefault("number", f"V{self.last_vendor:05}")
        return self._add(self.vendors, Vendor, name=name, **fields)

    def add_dimension(self, code: str, values: Iterable[tuple[str, str]], name: str = "") -> Dimension:
        """`values`: code and name of each."""
        made = self._add(self.dimensions, Dimension, code=code.upper(), name=name or code.capitalize())
        for value, title in values:
            self.add_value(made, value, title)
        return made

    def add_value(self, dimension: Dimension, code: str, name: str = "", **fields: Any) -> DimensionValue:
        made = DimensionValue(self.new_id(), self.world.now(), code=code.upper(), name=name, **fields)
        dimension.values[made.code] = made
        self.touch(dimension)
        return made

    def add_tax_group(self, code: str, name: str, rate: str = "0", kind: str = "Sales Tax") -> TaxGroup:
        return self._add(self.tax_groups, TaxGroup, code=code.upper(), name=name, rate=Decimal(rate), kind=kind)

    def add_period(self, starting: date, **fields: Any) -> Period:
        return self._add(self.periods, Period, starting=starting, name=f"{starting:%B}", **fields)

    def add_journal(self, code: str = JOURNAL, name: str = "PEX Card Journal", **fields: Any) -> Journal:
        fields.setdefault("template", self.default_template)
        return self._add(self.journals, Journal, code=code.upper(), name=name, **fields)

    def _add(self, where: dict[str, Any_record], kind: type[Any_record], /, **fields: Any) -> Any_record:
        made = kind(self.new_id(), self.world.now(), **fields)
        where[made.id] = made
        return made

    # --- looking up ---------------------------------------------------------------------------------------------------

    def account(self, number: str) -> Account:
        """The G/L account of this number, id or name. Raises `StopIteration`."""
        return next(one for one in self.accounts.values() if number in (one.number, one.id, one.name))

    def by_number(self, kind: str, number: str) -> Numbered | None:
        """The G/L account, bank account or vendor of this number; `kind` is an account type.

        What was found is kept and looked at again: people give other numbers and delete.
        """
        where: dict[str, dict[str, Any]] = {GL: self.accounts, BANK: self.bank_accounts, VENDOR: self.vendors}
        table = where.get(kind, {})
        kept = self.found.get((kind, number))
        if kept is not None and kept.number == number and table.get(kept.id) is kept:
            return kept
        now: Numbered | None = next((one for one in table.values() if one.number == number), None)
        if now is not None:
            self.found[kind, number] = now
        return now

    def dimension(self, code: str) -> Dimension:
        return next(one for one in self.dimensions.values() if code in (one.code, one.id, one.name))

    def journal(self, code: str = JOURNAL) -> Journal:
        return next(one for one in self.journals.values() if code in (one.code, one.id))

    def lines(self, code: str = JOURNAL) -> list[JournalLine]:
        """The lines of a journal, those without an account left out."""
        found = [one for one in self.journals.values() if one.code == code]
        return [line for journal in found for line in journal.lines.values() if line.account]

    def documents(self) -> list[Document]:
        """Every document on any account, journal or ledger: what tests and checkers compare with PEX."""
        found: dict[tuple[str, str, date], Document] = {}
        for journal in self.journals.values():
            for line in journal.lines.values():
                if line.account:
                    key = (f"journal {journal.code}", line.document_number, line.posting_date)
                    found.setdefault(key, Document(*key)).add((line.account_type, line.account, line.amount))
                    found[key].lines.append(line)
        for entry in self.entries.values():
            key = ("ledger", entry.document_number, entry.posting_date)
            found.setdefault(key, Document(*key)).add((GL, entry.account, entry.debit - entry.credit))
            found[key].entries.append(entry)
        return list(found.values())

    def files_of(self, line_or_entry: str) -> list[Attachment]:
        return [one for one in self.attachments.values() if one.parent == line_or_entry]


@dataclass(eq=False)
class Document:
    """Lines with one number and day in one journal, or G/L entries with them."""

    place: str
    number: str
    day: date
    sides: list[tuple[str, str, Decimal]] = field(default_factory=list)
    lines: list[JournalLine] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)

    def add(self, side: tuple[str, str, Decimal]) -> None:
        self.sides.append(side)

    def on(self, account: str) -> Decimal:
        """What it debits this account by."""
        return sum((amount for _, number, amount in self.sides if number == account), Decimal(0))

    @property
    def balanced(self) -> bool:
        return not sum(amount for _, _, amount in self.sides)


def fresh_id(namespace: uuid.UUID, number: int, kind: str) -> str:
    return str(uuid.uuid5(namespace, f"{kind} {number}"))
