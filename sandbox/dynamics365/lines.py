"""journalLines: what a line of a general journal takes, fills in by itself, refuses, and shows.

Much is checked only when the journal is posted (`posting`): a line that was made need not be one that can be posted.
A list without a journal above it goes through `needs_journal` first.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox.dynamics365 import attachments, dimension_lines
from sandbox.dynamics365 import members as read
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.line_accounts import check_sides, default_dimensions, id_of, name_of
from sandbox.dynamics365.line_members import READERS, Wanted
from sandbox.dynamics365.number_series import increment, peek
from sandbox.dynamics365.records import BANK, CUSTOMER, GL, NO_DATE, NOBODY, VENDOR, Journal, JournalLine, Record
from sandbox.dynamics365.values import Member, Refused, refused

READ_ONLY = frozenset({"id", "journalDisplayName", "lastModifiedDateTime"})
WRITABLE = frozenset({*READERS, "dimensionSetLines"})

NO_JOURNAL = "You must specify a journal batch ID or a journal ID to get a journal line."
STEP = 10_000  # from one line number to the next
READABLE = {"documented": (GL, BANK), "source": (GL, CUSTOMER, VENDOR, BANK)}


# Reading


def rows(company: Company, parent: Record | None) -> list[JournalLine]:
    """The lines the API shows of one journal, or of all: not every kind of account is."""
    journals = [parent] if isinstance(parent, Journal) else company.journals.values()
    return [line for journal in journals for line in journal.lines.values() if readable(company, line)]


def readable(company: Company, line: JournalLine) -> bool:
    return line.document_type == " " and line.account_type in READABLE[company.world.switches.read_lines]


def find(company: Company, id: str) -> JournalLine | None:
    """The line of this id, if the API shows it: without a walk through all lines."""
    found = next((journal.lines[id] for journal in company.journals.values() if id in journal.lines), None)
    return found if found is not None and readable(company, found) else None


def needs_journal(names: set[str]) -> None:
    """Raises Refused for a list without a journal above it whose filter, with these names, asks for none either."""
    if not names & {"journalId", "id"}:
        raise refused(NO_JOURNAL)


def shown(company: Company, record: JournalLine) -> dict[str, Any]:
    return {
        "id": record.id,
        "journalId": record.journal,
        "journalDisplayName": company.journals[record.journal].code,
        "lineNumber": record.number,
        "accountType": Member(record.account_type),
        "accountId": id_of(company, record.account_type, record.account),
        "accountNumber": record.account,
        "postingDate": record.posting_date,
        "documentNumber": record.document_number,
        "externalDocumentNumber": record.external_number,
        "amount": record.amount,
        "description": record.description,
        "comment": record.comment,
        "taxCode": record.tax_code,
        "balanceAccountType": Member(record.balance_type),
        "balancingAccountId": id_of(company, record.balance_type, record.balance_account),
        "balancingAccountNumber": record.balance_account,
        "lastModifiedDateTime": record.changed,
    }


# Creating


def create(company: Company, parent: Record | None, body: dict[str, Any]) -> JournalLine:
    """All of it or nothing: nested dimensions that are refused take the line with them."""
    with company.whole():
        wanted = Wanted(company, JournalLine(NOBODY, company.world.now(), journal=NOBODY))
        wanted.take(body)
        journal = _journal(company, parent, wanted.line.journal)
        line = _filled(company, journal, wanted.line)
        _open(journal)
        _store(company, journal, line)
        for nested in read.children(body, "dimensionSetLines", dimension_lines.WRITABLE, dimension_lines.READ_ONLY):
            dimension_lines.create(company, line, nested)
        return line


def _journal(company: Company, parent: Record | None, named: str) -> Journal:
    """The journal of the body goes before the one of the address."""
    if named in company.journals:
        return company.journals[named]
    if named != NOBODY:
        raise Refused("Internal_RecordNotFound", f"The Gen. Journal Batch does not exist. ID: {named}", 404)
    if isinstance(parent, Journal):
        return parent
    raise refused(NO_JOURNAL)


def _filled(company: Company, journal: Journal, sent: JournalLine) -> JournalLine:
    """The line as the server builds it: what the neighbour and the journal give, then what was sent."""
    line = JournalLine(company.new_id(), company.world.now(), journal=journal.id, number=sent.number)
    _follow_neighbour(company, journal, line, sent)
    line.account_type, line.account = sent.account_type, sent.account
    line.posting_date = sent.posting_date if sent.posting_date != NO_DATE else line.posting_date
    line.external_number, line.amount, line.comment = sent.external_number, sent.amount, sent.comment
    line.description = sent.description or name_of(company, sent.account_type, sent.account)
    _balance(journal, line, sent)
    line.dimensions = default_dimensions(company, line)
    line.tax_code = sent.tax_code
    return line


def _follow_neighbour(company: Company, journal: Journal, line: JournalLine, sent: JournalLine) -> None:
    """Day and document number, where none was sent, come from the line below or from the last line."""
    neighbour, at_bottom = _neighbour(journal, sent.number)
    line.posting_date = neighbour.posting_date if neighbour else company.today()
    line.document_number = sent.document_number
    if not line.document_number and neighbour is None:
        line.document_number = peek(company, journal.number_series) if journal.number_series else ""
    elif not line.document_number and neighbour is not None:
        begins = at_bottom and not is_empty(neighbour) and not _running_balance(journal)
        begins = begins or neighbour.external_number != sent.external_number
        line.document_number = increment(neighbour.document_number) if begins else neighbour.document_number


def _neighbour(journal: Journal, number: int) -> tuple[JournalLine | None, bool]:
    """The first line below this number, else the last line, and whether the new one comes at the bottom."""
    last = last_line(journal)
    if number and last is not None and number < last.number:
        return next(one for one in journal.lines.values() if one.number > number), False
    return last, True


def last_line(journal: Journal) -> JournalLine | None:
    return next(reversed(journal.lines.values()), None)


def is_empty(line: JournalLine) -> bool:
    return not line.account and not line.amount


def balance_of(line: JournalLine) -> Decimal:
    """What it adds to the balance of its document: nought with an account on both sides."""
    if line.account and line.balance_account:
        return Decimal(0)
    return -line.amount if line.balance_account else line.amount


def _running_balance(journal: Journal) -> Decimal:
    """Of all lines: asked only where a document number must be found, which is no usual call."""
    return sum((balance_of(line) for line in journal.lines.values()), Decimal(0))


def _balance(journal: Journal, line: JournalLine, sent: JournalLine) -> None:
    """The journal's balancing account, whatever was sent; then what was sent, if it says something else.

    An empty number says nothing. A type says something also when it was left out: then it is G/L Account.
    """
    line.balance_type, line.balance_account = journal.balance_type, journal.balance_account
    if sent.balance_type != line.balance_type:
        line.balance_type, line.balance_account = sent.balance_type, ""
    check_sides(line)
    if sent.balance_account:
        line.balance_account = sent.balance_account


def _open(journal: Journal) -> None:
    if journal.pending_approval:
        raise refused(f"You cannot change the lines of journal {journal.code}: an approval request is pending for it.")


def _store(company: Company, journal: Journal, line: JournalLine) -> None:
    last = last_line(journal)
    line.number = line.number or (last.number if last else 0) + STEP
    if last is not None and line.number <= last.number:
        _free(journal, line)
        _rearrange(company, journal, [*journal.lines.values(), line])
        return
    journal.lines[line.id] = line
    company.did(lambda: _drop(journal, line.id))


def _drop(journal: Journal, id: str) -> None:
    del journal.lines[id]


def _free(journal: Journal, line: JournalLine) -> None:
    if any(one.number == line.number for one in journal.lines.values() if one is not line):
        raise Refused(
            "Internal_EntityWithSameKeyExists",
            "The record in table Gen. Journal Line already exists. Identification fields and values: "
            f"Journal Template Name='{journal.template}',Journal Batch Name='{journal.code}',Line No.='{line.number}'",
        )


def _rearrange(company: Company, journal: Journal, lines: list[JournalLine]) -> None:
    """These are the journal's lines now, in order of their numbers."""
    before = journal.lines
    company.did(lambda: setattr(journal, "lines", before))
    journal.lines = {one.id: one for one in sorted(lines, key=lambda one: one.number)}


# Changing


def change(company: Company, record: JournalLine, body: dict[str, Any]) -> None:
    """Another account brings its own name, tax and dimensions. Children cannot be changed with their line."""
    if "dimensionSetLines" in body:
        raise Refused("BadRequest", "A nested update of 'dimensionSetLines' is not supported.")
    journal = company.journals[record.journal]
    _open(journal)
    wanted = Wanted(company, replace(record))
    for name, value in body.items():
        before = (wanted.line.account_type, wanted.line.account, wanted.line.balance_type, wanted.line.balance_account)
        wanted.take({name: value})
        _follow_account(company, wanted.line, before)
    if wanted.line.journal != record.journal:
        raise refused("The Journal Batch Id isn't editable.")
    with company.whole():
        _write(company, journal, record, wanted.line)


def _follow_account(company: Company, line: JournalLine, before: tuple[str, str, str, str]) -> None:
    if (line.account_type, line.account) != before[:2]:
        line.description, line.tax_code = name_of(company, line.account_type, line.account), ""
    if (line.account_type, line.account, line.balance_type, line.balance_account) != before:
        line.dimensions = default_dimensions(company, line)


def _write(company: Company, journal: Journal, record: JournalLine, wanted: JournalLine) -> None:
    company.keep(record)
    moved = wanted.number != record.number
    record.__dict__.update(wanted.__dict__)
    if moved:
        _free(journal, record)
        _rearrange(company, journal, list(journal.lines.values()))
    company.touch(record)


def delete(company: Company, record: JournalLine) -> None:
    """Its incoming document stays in the company, on nothing."""
    journal = company.journals[record.journal]
    _open(journal)
    remove(company, journal, {record.id})


def remove(company: Company, journal: Journal, going: set[str]) -> None:
    attachments.detach(company, going)
    _rearrange(company, journal, [line for line in journal.lines.values() if line.id not in going])
