"""generalLedgerEntries: what is posted. Read only, and without external document number and comment."""

from decimal import Decimal
from typing import Any

from sandbox.dynamics365.company import Company
from sandbox.dynamics365.line_accounts import id_of
from sandbox.dynamics365.records import GL, LedgerEntry, Record
from sandbox.dynamics365.values import Member

WRITABLE: frozenset[str] = frozenset()
READ_ONLY = frozenset(
    {
        "id",
        "entryNumber",
        "postingDate",
        "documentNumber",
        "documentType",
        "accountId",
        "accountNumber",
        "description",
        "debitAmount",
        "creditAmount",
        "additionalCurrencyDebitAmount",
        "additionalCurrencyCreditAmount",
        "lastModifiedDateTime",
    }
)
NOTHING = Decimal(0)


def rows(company: Company, parent: Record | None) -> list[LedgerEntry]:
    return list(company.entries.values())


def find(company: Company, id: str) -> LedgerEntry | None:
    return company.entries.get(id)


def shown(company: Company, record: LedgerEntry) -> dict[str, Any]:
    return {
        "id": record.id,
        "entryNumber": record.number,
        "postingDate": record.posting_date,
        "documentNumber": record.document_number,
        "documentType": Member(record.document_type),
        "accountId": id_of(company, GL, record.account),
        "accountNumber": record.account,
        "description": record.description,
        "debitAmount": record.debit,
        "creditAmount": record.credit,
        "additionalCurrencyDebitAmount": NOTHING,
        "additionalCurrencyCreditAmount": NOTHING,
        "lastModifiedDateTime": record.changed,
    }
