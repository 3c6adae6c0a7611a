"""The entity sets of the API: which records each holds, which members they have, and what may be done with them."""

from collections.abc import Iterable
from typing import Any

from sandbox.dynamics365 import (
    attachments,
    dimension_lines,
    document_attachments,
    entities,
    journals,
    ledger_entries,
    lines,
    posting,
    vendors,
)
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.entities import Table, set_up, shown_by
from sandbox.dynamics365.filters import FLAG, Filter
from sandbox.dynamics365.odata import EntitySet
from sandbox.dynamics365.records import Record


def _read_only(name: str, rows: Any, table: Table, **more: Any) -> EntitySet:
    return EntitySet(name, rows, shown_by(table), read_only=frozenset(table), **more)


def _listed_attachments(company: Company, filter: Filter) -> Iterable[Record]:
    attachments.needs_parent_type(set(filter.names))
    if "parentId" in filter.equal:
        return [one for parent in filter.equal["parentId"] for one in attachments.narrowed(company, parent)]
    return attachments.rows(company, None)


def _listed_journals(company: Company, filter: Filter) -> Iterable[Record]:
    return journals.listed(company, set(filter.names))


def _listed_lines(company: Company, filter: Filter) -> Iterable[Record]:
    """Only the journals the filter names are gone through."""
    lines.needs_journal(set(filter.names))
    if "journalId" in filter.equal:
        found = [company.journals[id] for id in filter.equal["journalId"] if id in company.journals]
        return [line for journal in found for line in lines.rows(company, journal)]
    return lines.rows(company, None)


DIMENSION_SET_LINES = EntitySet(
    "dimensionSetLines",
    dimension_lines.rows,
    dimension_lines.shown,
    read_only=dimension_lines.READ_ONLY,
    writable=dimension_lines.WRITABLE,
    create=dimension_lines.create,
    change=dimension_lines.change,
    delete=dimension_lines.delete,
)
ATTACHMENTS = EntitySet(
    "attachments",
    attachments.rows,
    attachments.shown,
    read_only=attachments.READ_ONLY,
    writable=attachments.WRITABLE,
    found=attachments.find,
    listed=_listed_attachments,
    create=attachments.create,
    change=attachments.change,
    delete=attachments.delete,
    stream="attachmentContent",
)
DOCUMENT_ATTACHMENTS = EntitySet(
    "documentAttachments",
    document_attachments.rows,
    document_attachments.shown,
    read_only=document_attachments.READ_ONLY,
    writable=document_attachments.WRITABLE,
    create=document_attachments.create,
    stream="attachmentContent",
)
JOURNAL_LINES = EntitySet(
    "journalLines",
    lines.rows,
    lines.shown,
    read_only=lines.READ_ONLY,
    writable=lines.WRITABLE,
    found=lines.find,
    listed=_listed_lines,
    create=lines.create,
    change=lines.change,
    delete=lines.delete,
    navigations={"dimensionSetLines": DIMENSION_SET_LINES, "attachments": ATTACHMENTS},
)
JOURNALS = EntitySet(
    "journals",
    journals.rows,
    journals.shown,
    read_only=journals.READ_ONLY,
    writable=journals.WRITABLE,
    found=lambda company, key: company.journals.get(key),
    listed=_listed_journals,
    create=journals.create,
    change=journals.change,
    delete=journals.delete,
    navigations={"journalLines": JOURNAL_LINES},
    actions={"Microsoft.NAV.post": posting.post},
)
LEDGER_ENTRIES = EntitySet(
    "generalLedgerEntries",
    ledger_entries.rows,
    ledger_entries.shown,
    read_only=ledger_entries.READ_ONLY,
    found=lambda company, key: company.entries.get(key),
    navigations={"dimensionSetLines": DIMENSION_SET_LINES, "attachments": ATTACHMENTS},
)
DEFAULT_DIMENSIONS = _read_only(
    "defaultDimensions",
    entities.default_dimensions,
    entities.DEFAULT_DIMENSIONS,
    writable=entities.DEFAULT_DIMENSIONS_WRITABLE,
    create=entities.add_default_dimension,
)
VENDORS = EntitySet(
    "vendors",
    vendors.rows,
    vendors.shown,
    read_only=vendors.READ_ONLY,
    writable=vendors.WRITABLE,
    found=lambda company, key: company.vendors.get(key),
    create=vendors.create,
    change=vendors.change,
    delete=vendors.delete,
    navigations={"defaultDimensions": DEFAULT_DIMENSIONS},
)
DIMENSION_VALUES = _read_only("dimensionValues", entities.dimension_values, entities.DIMENSION_VALUES)
COMPANIES = _read_only("companies", entities.companies, entities.COMPANIES)
IN_A_COMPANY = (
    _read_only("accounts", entities.accounts, entities.ACCOUNTS, kinds={"blocked": FLAG}),
    _read_only("bankAccounts", entities.bank_accounts, entities.BANK_ACCOUNTS, kinds={"blocked": FLAG}),
    _read_only(
        "dimensions", entities.dimensions, entities.DIMENSIONS, navigations={"dimensionValues": DIMENSION_VALUES}
    ),
    _read_only("currencies", entities.currencies, entities.CURRENCIES),
    _read_only("companyInformation", set_up("company information"), entities.COMPANY_INFORMATION),
    _read_only("generalLedgerSetup", set_up("general ledger setup"), entities.GENERAL_LEDGER_SETUP),
    _read_only("accountingPeriods", entities.periods, entities.ACCOUNTING_PERIODS),
    _read_only("taxGroups", entities.tax_groups, entities.TAX_GROUPS),
    ATTACHMENTS,
    DEFAULT_DIMENSIONS,
    DIMENSION_SET_LINES,
    DIMENSION_VALUES,
    DOCUMENT_ATTACHMENTS,
    JOURNAL_LINES,
    JOURNALS,
    LEDGER_ENTRIES,
    VENDORS,
)
SETS = {one.name: one for one in IN_A_COMPANY}
