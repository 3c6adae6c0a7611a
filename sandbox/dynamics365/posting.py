"""Posting: what is checked only now, the G/L entries it makes, and what it leaves behind in the journal."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.dynamics365 import attachments, lines
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.number_series import increment, peek, take
from sandbox.dynamics365.records import (
    BANK,
    GL,
    NO_DATE,
    VENDOR,
    Account,
    BankAccount,
    Journal,
    JournalLine,
    LedgerEntry,
    Vendor,
)
from sandbox.dynamics365.values import refused

POSTABLE_VALUES = ("Standard", "Begin-Total")
PAYMENTS = ("Payment", "Refund")

Side = tuple[str, str, Decimal]  # account type, number, debit
DocumentKey = tuple[str, date, str]


def post(company: Company, journal: Journal) -> None:
    """The post action of the API. Raises Refused; where the job queue posts, it is only put into the queue."""
    if not company.world.switches.job_queue:
        post_now(company, journal)
    elif not _filled(journal):
        raise refused("There is nothing to post.")


def post_now(company: Company, journal: Journal) -> None:
    """Post every line of the journal, whoever made it, or none. Raises Refused with what is wrong first."""
    posted = _filled(journal)
    if not posted:
        raise refused("There is nothing to post.")
    with company.whole():
        check(company, journal, posted)
        documents = _book(company, journal, posted)
        attachments.mark_posted(company, documents)
        _empty(company, journal, posted[-1])


def _filled(journal: Journal) -> list[JournalLine]:
    return [line for line in journal.lines.values() if not lines.is_empty(line)]


# What is checked


def check(company: Company, journal: Journal, posted: Sequence[JournalLine]) -> None:
    """Raises Refused with the first thing that keeps these lines from being posted."""
    if journal.pending_approval:
        raise refused(f"Journal {journal.code} must be approved before it is posted.")
    for line in posted:
        _check_line(company, journal, line)
    _check_files(company, posted)
    _check_balance(company, posted)
    _check_numbers(company, journal, posted)


def _check_line(company: Company, journal: Journal, line: JournalLine) -> None:
    where = f"Journal Template Name={journal.template}, Journal Batch Name={journal.code}, Line No.={line.number}"
    for name, value in (
        ("Posting Date", line.posting_date != NO_DATE),
        ("Document No.", line.document_number),
        ("Account No.", line.account or line.balance_account),
        ("Amount", line.amount),
    ):
        if not value:
            raise refused(f"{name} must have a value in Gen. Journal Line: {where}. It cannot be zero or empty.")
    first, last = company.posting_from, company.posting_to
    if line.posting_date < first or (last != NO_DATE and line.posting_date > last):
        raise refused(
            f"Posting Date {line.posting_date} is not within your range of allowed posting dates "
            f"in Gen. Journal Line: {where}."
        )
    for side in sides(line):
        _check_side(company, line, side)
    _check_dimensions(company, line)


def sides(line: JournalLine) -> list[Side]:
    both = [(line.account_type, line.account, line.amount), (line.balance_type, line.balance_account, -line.amount)]
    return [side for side in both if side[1]]


def _check_side(company: Company, line: JournalLine, side: Side) -> None:
    """The account as it is today, which need not be what it was when the line was made."""
    kind, number, _ = side
    found = company.by_number(kind, number)
    if found is None:
        raise refused(f"The {kind} does not exist. Identification fields and values: No.='{number}'")
    if isinstance(found, Account):
        _check_account(line, found)
    elif isinstance(found, BankAccount) and found.blocked:
        raise refused(f"Blocked must be equal to 'No' in Bank Account: No.={number}.")
    elif isinstance(found, Vendor):
        if found.blocked == "All" or (found.blocked == "Payment" and line.document_type in PAYMENTS):
            raise refused(f"Vendor {number} is blocked with type {found.blocked}.")
        if not found.posting_group:
            raise refused(f"Vendor Posting Group must have a value in Vendor: No.={number}.")


def _check_account(line: JournalLine, account: Account) -> None:
    for holds, rule in (
        (account.kind == "Posting", "Account Type must be equal to 'Posting'"),
        (not account.blocked, "Blocked must be equal to 'No'"),
        (account.direct_posting, "Direct Posting must be equal to 'Yes'"),
    ):
        if not holds:
            raise refused(f"{rule} in G/L Account: No.={account.number}.")
    missing = sorted(account.mandatory - line.dimensions.keys())
    if missing:
        raise refused(
            f"Select a Dimension Value Code for the Dimension Code {missing[0]} for G/L Account {account.number}."
        )


def _check_dimensions(company: Company, line: JournalLine) -> None:
    tables = {one.code: one for one in company.dimensions.values()}
    for code, value in line.dimensions.items():
        found = tables[code].values.get(value) if code in tables else None
        if found is None:
            raise refused(f"The Dimension Value {code} - {value} does not exist.")
        if found.blocked:
            raise refused(f"Dimension Value {code} - {value} is blocked.")
        if found.kind not in POSTABLE_VALUES:
            raise refused(f"Dimension Value Type for Dimension Value {code} - {value} must not be {found.kind}.")


def _check_files(company: Company, posted: Iterable[JournalLine]) -> None:
    if not company.incoming_approval:
        return
    going = {line.id: line for line in posted}
    for file in company.attachments.values():
        if file.parent in going and not file.released:
            number = going[file.parent].document_number
            raise refused(f"The incoming document of Document No. {number} must be released before it is posted.")


def _check_balance(company: Company, posted: Iterable[JournalLine]) -> None:
    """Per document, or per day where the template asks for no more."""
    balances: dict[DocumentKey, Decimal] = {}
    for line in posted:
        key = _document(line) if company.force_balance else ("", line.posting_date, "")
        balances[key] = balances.get(key, Decimal(0)) + lines.balance_of(line)
    for (number, day, _), balance in sorted(balances.items()):
        if balance and number:
            raise refused(
                f"Document No. {number} is out of balance by {balance}. Please check that Posting Date, "
                "Document Type, Document No. and Amount are correct for each line."
            )
        if balance:
            raise refused(
                f"The lines in {day} are out of balance by {balance}. "
                "Check that Posting Date and Amount are correct for each line."
            )


def _document(line: JournalLine) -> DocumentKey:
    return line.document_number, line.posting_date, line.document_type


def _check_numbers(company: Company, journal: Journal, posted: Iterable[JournalLine]) -> None:
    """A journal with a number series wants its next numbers, or allows one's own. Numbers of the series are used up."""
    series = journal.number_series
    if not series:
        return
    for number in sorted({line.document_number for line in posted}):
        if number == peek(company, series):
            take(company, series)
        elif not journal.manual_numbers:
            raise refused(
                f"You may not enter numbers manually. Activate Manual Nos. in No. Series {series} to use {number}."
            )


# What is written


def _book(company: Company, journal: Journal, posted: Iterable[JournalLine]) -> dict[str, tuple[str, date, str]]:
    """Make the entries. Return of each line: the number its document has now, its day, the document's first entry."""
    first = {(one.document_number, one.posting_date): one.id for one in reversed(company.entries.values())}
    made: dict[str, tuple[str, date, str]] = {}
    before, number = "", ""
    for line in posted:
        if line.document_number != before or not number:
            before = line.document_number
            number = take(company, journal.posting_series) if journal.posting_series else line.document_number
        for side in sides(line):
            entry = _enter(company, line, side, number)
            first.setdefault((number, line.posting_date), entry.id)
        made[line.id] = (number, line.posting_date, first[number, line.posting_date])
    return made


def _enter(company: Company, line: JournalLine, side: Side, number: str) -> LedgerEntry:
    kind, account, amount = side
    return _add(
        company,
        posting_date=line.posting_date,
        document_number=number,
        document_type=line.document_type,
        account=_ledger_account(company, kind, account),
        description=line.description,
        debit=max(amount, Decimal(0)),
        credit=max(-amount, Decimal(0)),
        external_number=line.external_number,
        comment=line.comment,
        dimensions=dict(line.dimensions),
    )


def _add(company: Company, **fields: Any) -> LedgerEntry:
    company.last_entry += 1
    entry = LedgerEntry(company.new_id(), company.world.now(), number=company.last_entry, **fields)
    company.entries[entry.id] = entry
    company.did(lambda: _drop(company.entries, entry.id))
    return entry


def _drop(table: dict[str, Any], id: str) -> None:
    del table[id]


def _ledger_account(company: Company, kind: str, number: str) -> str:
    """Bank accounts and vendors are posted on the G/L account of their posting group, made when first needed."""
    if kind == GL:
        return number
    named = {
        BANK: (company.cash, "Cash in Bank", "Assets"),
        VENDOR: (company.payables, "Accounts Payable", "Liabilities"),
    }
    ledger, name, category = named[kind]
    if company.by_number(GL, ledger) is None:
        made = company.add_account(ledger, name, category)
        company.did(lambda: _drop(company.accounts, made.id))
    return ledger


def _empty(company: Company, journal: Journal, last: JournalLine) -> None:
    """All lines are gone. Without a number series one blank line stands there, with the next document number."""
    before = journal.lines
    company.did(lambda: setattr(journal, "lines", before))
    journal.lines = {}
    if journal.number_series:
        return
    blank = JournalLine(
        company.new_id(),
        company.world.now(),
        journal=journal.id,
        number=lines.STEP,
        posting_date=last.posting_date,
        document_number=increment(last.document_number),
        balance_type=journal.balance_type,
        balance_account=journal.balance_account,
    )
    journal.lines[blank.id] = blank


# What people do


def reverse(company: Company, entry: LedgerEntry) -> list[LedgerEntry]:
    """Reverse the whole document of an entry. Return the new entries, of the same number and day.

    As there, an entry and its reversal have the same account and side, the reversal with a minus: the sums are nought.
    """
    document = (entry.document_number, entry.posting_date)
    turned = [one for one in company.entries.values() if (one.document_number, one.posting_date) == document]
    if any(one.reversed for one in turned):
        raise refused(f"You cannot reverse Document No. {entry.document_number}: it has already been reversed.")
    with company.whole():
        return [_turn(company, one) for one in turned]


def _turn(company: Company, entry: LedgerEntry) -> LedgerEntry:
    company.keep(entry)
    entry.reversed = True
    company.touch(entry)
    fields = {
        name: value for name, value in entry.__dict__.items() if name not in ("id", "changed", "version", "number")
    }
    return _add(company, **{**fields, "debit": -entry.debit, "credit": -entry.credit})
