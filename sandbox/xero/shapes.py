"""How the records look on the wire: one function per record, our objects in, JSON members out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from sandbox.xero.formats import JSON, json_text, ms_date, without_nothing
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import (
    Account,
    Attachment,
    BankTransaction,
    BankTransfer,
    Contact,
    Line,
    Note,
    TaxRate,
    Tracked,
    TrackingCategory,
    TrackingOption,
)

UNKNOWN = "UNHEARD-OF"


@dataclass(frozen=True)
class Style:
    """What one answer looks like: the form of dates, decimals of unit amounts, with or without lines."""

    dates: str = "recorded"
    unit_places: int = 2
    lines: bool = True
    unknown_enum: str = ""


def places(amount: Decimal, count: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-count), rounding=ROUND_HALF_UP)


def bank_transaction(one: BankTransaction, style: Style, listed: bool = False) -> JSON:
    """`listed`: from a read, where attachments are mentioned."""
    members = without_nothing(
        {
            "BankTransactionID": one.id,
            "BankAccount": bank_account(one.bank_account),
            "Type": one.type,
            "Reference": one.reference,
            "IsReconciled": one.is_reconciled,
            "HasAttachments": bool(one.attachments) if listed else None,
            "CurrencyRate": places(one.currency_rate, 6) if one.currency_rate else None,
            "Contact": document_contact(one.contact) if one.contact else None,
            "DateString": f"{one.date.isoformat()}T00:00:00",
            "Date": ms_date(one.date, style.dates, zoned=False),
            "Url": one.url,
            "Status": one.status,
            "LineAmountTypes": one.line_amount_types,
            "LineItems": [line(item, style) for item in one.lines] if style.lines else [],
            "SubTotal": one.sub_total,
            "TotalTax": one.total_tax,
            "Total": one.total,
            "UpdatedDateUTC": ms_date(one.updated, style.dates),
            "CurrencyCode": one.currency,
        }
    )
    if style.unknown_enum in members:
        members[style.unknown_enum] = UNKNOWN
    return members


def bank_transaction_text(one: BankTransaction, style: Style, revision: int) -> str:
    """Return the listed form as JSON text, rendered again only when something in it changed."""
    state = (
        revision,
        one.updated,
        one.reference,
        one.url,
        one.date,
        one.status,
        one.total,
        one.is_reconciled,
        len(one.attachments),
        one.contact and (one.contact.name, one.contact.updated),
        one.bank_account.name,
    )
    kept = one.texts.get(style)
    if kept and kept[0] == state:
        return kept[1]
    text = json_text(bank_transaction(one, style, listed=True))
    one.texts[style] = (state, text)
    return text


def bank_account(one: Account) -> JSON:
    return without_nothing({"AccountID": one.id, "Code": one.code, "Name": one.name})


def document_contact(one: Contact) -> JSON:
    """Return a contact as it stands inside a document."""
    return {
        "ContactID": one.id,
        "Name": one.name,
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def line(one: Line, style: Style) -> JSON:
    return without_nothing(
        {
            "Description": one.description,
            "UnitAmount": places(one.unit_amount, style.unit_places),
            "TaxType": one.tax_type,
            "TaxAmount": one.tax_amount,
            "LineAmount": one.line_amount,
            "AccountCode": one.account.code if one.account else None,
            "Tracking": [tracked(value) for value in one.tracking],
            "Quantity": places(one.quantity, 4),
            "LineItemID": one.id,
            "AccountID": one.account.id if one.account else None,
            "ValidationErrors": [],
        }
    )


def tracked(one: Tracked) -> JSON:
    return {
        "Name": one.category.name,
        "Option": one.option.name,
        "TrackingCategoryID": one.category.id,
        "TrackingOptionID": one.option.id,
    }


def bank_transfer(one: BankTransfer, style: Style) -> JSON:
    members = {
        "BankTransferID": one.id,
        "CreatedDateUTCString": one.created.strftime("%Y-%m-%dT%H:%M:%S"),
        "CreatedDateUTC": ms_date(one.created, style.dates),
        "DateString": f"{one.date.isoformat()}T00:00:00",
        "Date": ms_date(one.date, style.dates, zoned=False),
        "Status": one.status,
        "FromBankAccount": bank_account(one.from_account),
        "ToBankAccount": bank_account(one.to_account),
        "Amount": one.amount,
        "FromBankTransactionID": one.from_leg.id,
        "ToBankTransactionID": one.to_leg.id,
        "FromIsReconciled": one.from_leg.is_reconciled,
        "ToIsReconciled": one.to_leg.is_reconciled,
        "Reference": one.reference,
        "CurrencyRate": Decimal("1.000000"),
        "HasAttachments": bool(one.attachments),
    }
    sides = {"FromTracking": one.from_tracking, "ToTracking": one.to_tracking}
    tracking = {name: [tracked(value) for value in side] for name, side in sides.items() if side}
    return without_nothing(members | tracking)


def account(one: Account, style: Style) -> JSON:
    bank = one.is_bank
    return without_nothing(
        {
            "AccountID": one.id,
            "Code": one.code,
            "Name": one.name,
            "Status": one.status,
            "Type": one.type,
            "TaxType": one.tax_type,
            "Description": one.description,
            "Class": one.account_class,
            "SystemAccount": one.system_account,
            "EnablePaymentsToAccount": one.enable_payments,
            "ShowInExpenseClaims": one.show_in_expense_claims,
            "BankAccountNumber": one.bank_account_number if bank else None,
            "BankAccountType": one.bank_account_type if bank else None,
            "CurrencyCode": one.currency if bank else None,
            "ReportingCode": one.account_class[:3],
            "ReportingCodeName": one.account_class.title(),
            "HasAttachments": bool(one.attachments),
            "UpdatedDateUTC": ms_date(one.updated, style.dates),
            "AddToWatchlist": False,
        }
    )


def contact(one: Contact, style: Style, summary: bool = False) -> JSON:
    members = without_nothing(
        {
            "ContactID": one.id,
            "ContactNumber": one.number,
            "AccountNumber": one.account_number,
            "CompanyNumber": one.company_number,
            "TaxNumber": one.tax_number,
            "ContactStatus": one.status,
            "MergedToContactID": one.merged_to,
            "Name": one.name,
            "FirstName": one.first_name,
            "LastName": one.last_name,
            "EmailAddress": one.email,
            "BankAccountDetails": one.bank_account_details,
            "UpdatedDateUTC": ms_date(one.updated, style.dates),
            "HasAttachments": bool(one.attachments),
            "HasValidationErrors": False,
        }
    )
    if summary:
        return members
    return members | {
        "Addresses": one.addresses,
        "Phones": one.phones,
        "ContactGroups": [],
        "ContactPersons": [],
        "IsSupplier": one.is_supplier,
        "IsCustomer": one.is_customer,
    }


def tracking_category(one: TrackingCategory, archived: bool = False) -> JSON:
    shown = [option for option in one.options if option.status == "ACTIVE" or archived]
    return {
        "Name": one.name,
        "Status": one.status,
        "TrackingCategoryID": one.id,
        "Options": [tracking_option(option) for option in shown if option.status != "DELETED"],
    }


def tracking_option(one: TrackingOption) -> JSON:
    return {
        "TrackingOptionID": one.id,
        "Name": one.name,
        "Status": one.status,
        "HasValidationErrors": False,
        "IsDeleted": one.status == "DELETED",
        "IsArchived": one.status == "ARCHIVED",
        "IsActive": one.status == "ACTIVE",
    }


def tax_rate(one: TaxRate) -> JSON:
    rate = places(one.rate, 4)
    component = {"Name": one.name, "Rate": rate, "IsCompound": False, "IsNonRecoverable": False}
    usable = {
        f"CanApplyTo{word}": kind in one.classes
        for word, kind in (
            ("Assets", "ASSET"),
            ("Equity", "EQUITY"),
            ("Expenses", "EXPENSE"),
            ("Liabilities", "LIABILITY"),
            ("Revenue", "REVENUE"),
        )
    }
    return {
        "Name": one.name,
        "TaxType": one.tax_type,
        "ReportTaxType": one.report_tax_type,
        **usable,
        "DisplayTaxRate": rate,
        "EffectiveRate": rate,
        "Status": one.status,
        "TaxComponents": [component],
    }


def organisation(one: Organisation, style: Style) -> JSON:
    locks = {"PeriodLockDate": one.period_lock_date, "EndOfYearLockDate": one.end_of_year_lock_date}
    return without_nothing(
        {
            "OrganisationID": one.id,
            "Name": one.name,
            "LegalName": one.legal_name or one.name,
            "PaysTax": one.pays_tax,
            "Version": one.version,
            "OrganisationType": "COMPANY",
            "OrganisationEntityType": "COMPANY",
            "BaseCurrency": one.currency,
            "CountryCode": one.country,
            "IsDemoCompany": one.is_demo,
            "OrganisationStatus": "ACTIVE",
            "FinancialYearEndDay": 31,
            "FinancialYearEndMonth": 12,
            "SalesTaxBasis": one.sales_tax_basis,
            "SalesTaxPeriod": one.sales_tax_period,
            "DefaultSalesTax": one.default_sales_tax,
            "DefaultPurchasesTax": one.default_purchases_tax,
            **{name: ms_date(day, style.dates) for name, day in locks.items() if day},
            "CreatedDateUTC": ms_date(one.created, style.dates, zoned=False),
            "Timezone": one.timezone,
            "ShortCode": one.short_code,
            "Class": one.organisation_class,
            "Edition": "BUSINESS",
            "Addresses": [],
            "Phones": [],
            "ExternalLinks": [],
            "PaymentTerms": {},
        }
    )


def attachment(one: Attachment, url: str) -> JSON:
    return {
        "AttachmentID": one.id,
        "FileName": one.file_name,
        "Url": url,
        "MimeType": one.mime_type,
        "ContentLength": len(one.content),
    }


def note(one: Note, style: Style) -> JSON:
    return {
        "Changes": one.changes,
        "DateUTCString": (one.at - timedelta(microseconds=one.at.microsecond)).strftime("%Y-%m-%dT%H:%M:%S"),
        "DateUTC": ms_date(one.at, style.dates),
        "User": one.user,
        "Details": one.details,
    }


def complaints(messages: Iterable[str]) -> list[JSON]:
    return [{"Message": message} for message in messages]
