"""The plain records of a company: accounts, bank accounts, dimensions, set-up. Default dimensions alone are written.

Each set is a table, from the name on the wire to what gives its value, and a function with its records.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import (
    NO_DATE,
    NOBODY,
    VENDOR,
    Account,
    BankAccount,
    Dimension,
    DimensionValue,
    Period,
    Record,
    TaxGroup,
    Vendor,
)
from sandbox.dynamics365.values import Member, Refused
from sandbox.dynamics365.world import Environment

Members = dict[str, Any]
Table = Mapping[str, Callable[[Any, Any], Any]]  # name of a member -> its value, of company and record
CHANGED: Table = {"lastModifiedDateTime": lambda company, one: one.changed}
SYSTEM_VERSION = "29.0.48319.0"


def shown_by(table: Table) -> Callable[[Any, Any], Members]:
    return lambda company, one: {name: value(company, one) for name, value in table.items()}


def made_id(company: Company, kind: str) -> str:
    """The id of what is no record of its own here."""
    return str(uuid.uuid5(uuid.UUID(company.id), kind))


# Companies: records of their environment, which stands where the company stands elsewhere


@dataclass(eq=False)
class CompanyRecord(Record):
    name: str = ""
    display_name: str = ""


def companies(environment: Environment, parent: None) -> list[CompanyRecord]:
    found = sorted(environment.companies.values(), key=lambda one: one.name)
    return [CompanyRecord(one.id, one.created, name=one.name, display_name=one.display_name) for one in found]


COMPANIES: Table = {
    "id": lambda _, one: one.id,
    "systemVersion": lambda _, one: SYSTEM_VERSION,
    "timestamp": lambda _, one: int(one.changed.timestamp()),
    "name": lambda _, one: one.name,
    "displayName": lambda _, one: one.display_name,
    "businessProfileId": lambda _, one: "",
    "systemCreatedAt": lambda _, one: one.changed,
    "systemCreatedBy": lambda _, one: NOBODY,
    "systemModifiedAt": lambda _, one: one.changed,
    "systemModifiedBy": lambda _, one: NOBODY,
}


# Accounts


def accounts(company: Company, parent: None) -> list[Account]:
    return sorted(company.accounts.values(), key=lambda one: one.number)


def net_change(company: Company, account: Account) -> Decimal:
    return _net_changes(company, len(company.entries), company.last_entry).get(account.number, Decimal(0))


@lru_cache(maxsize=8)
def _net_changes(company: Company, entries: int, last: int) -> Mapping[str, Decimal]:
    """Return debit less credit of each account. Summed up once per state of the ledger, not once per account."""
    found: dict[str, Decimal] = {}
    for entry in company.entries.values():
        found[entry.account] = found.get(entry.account, Decimal(0)) + entry.debit - entry.credit
    return found


ACCOUNTS: Table = {
    "id": lambda company, one: one.id,
    "number": lambda company, one: one.number,
    "displayName": lambda company, one: one.name,
    "category": lambda company, one: Member(one.category),
    "subCategory": lambda company, one: one.sub_category,
    "blocked": lambda company, one: one.blocked,
    "accountType": lambda company, one: Member(one.kind),
    "directPosting": lambda company, one: one.direct_posting,
    "netChange": net_change,
    **CHANGED,
}


def bank_accounts(company: Company, parent: None) -> list[BankAccount]:
    return sorted(company.bank_accounts.values(), key=lambda one: one.number)


BANK_ACCOUNTS: Table = {
    "id": lambda company, one: one.id,
    "number": lambda company, one: one.number,
    "displayName": lambda company, one: one.name,
    "bankAccountNumber": lambda company, one: one.bank_account_number,
    "blocked": lambda company, one: one.blocked,
    "currencyCode": lambda company, one: one.currency,
    "currencyId": lambda company, one: currency_id(company, one.currency),
    "iban": lambda company, one: one.iban,
    "intercompanyEnabled": lambda company, one: False,
    **CHANGED,
}


# Dimensions


def dimensions(company: Company, parent: None) -> list[Dimension]:
    return sorted(company.dimensions.values(), key=lambda one: one.code)


DIMENSIONS: Table = {
    "id": lambda company, one: one.id,
    "code": lambda company, one: one.code,
    "displayName": lambda company, one: one.name,
    "consolidationCode": lambda company, one: "",
    **CHANGED,
}


def dimension_values(company: Company, parent: Dimension | None) -> list[DimensionValue]:
    """Return the values of one dimension, or of all."""
    found = [parent] if parent else dimensions(company, None)
    return [value for dimension in found for _, value in sorted(dimension.values.items())]


def _dimension_of(company: Company, value: DimensionValue) -> str:
    return next(one.id for one in company.dimensions.values() if one.values.get(value.code) is value)


DIMENSION_VALUES: Table = {
    "id": lambda company, one: one.id,
    "code": lambda company, one: one.code,
    "dimensionId": _dimension_of,
    "displayName": lambda company, one: one.name,
    "consolidationCode": lambda company, one: "",
    **CHANGED,
}


@dataclass(eq=False)
class DefaultDimension(Record):
    """What a vendor's lines carry unless somebody says otherwise."""

    vendor: str = ""  # id
    dimension: Dimension = field(default_factory=lambda: Dimension(NOBODY, datetime.now(UTC)))
    value: str = ""  # code


def default_dimensions(company: Company, parent: Vendor | None) -> list[DefaultDimension]:
    vendors = [parent] if parent else list(company.vendors.values())
    return [
        _default_dimension(company, vendor, code, value)
        for vendor in vendors
        for code, value in vendor.default_dimensions.items()
    ]


def _default_dimension(company: Company, vendor: Vendor, code: str, value: str) -> DefaultDimension:
    id = made_id(company, f"default dimension {code} of {vendor.id}")
    return DefaultDimension(id, vendor.changed, vendor.version, vendor.id, company.dimension(code), value)


DEFAULT_DIMENSIONS: Table = {
    "id": lambda company, one: one.id,
    "parentType": lambda company, one: Member(VENDOR),
    "parentId": lambda company, one: one.vendor,
    "dimensionId": lambda company, one: one.dimension.id,
    "dimensionCode": lambda company, one: one.dimension.code,
    "dimensionValueId": lambda company, one: one.dimension.values[one.value].id,
    "dimensionValueCode": lambda company, one: one.value,
    "postingValidation": lambda company, one: Member(" "),
    **CHANGED,
}
DEFAULT_DIMENSIONS_WRITABLE = frozenset(("parentType", "parentId", "dimensionId", "dimensionValueId"))


def add_default_dimension(company: Company, parent: Vendor | None, body: Members) -> DefaultDimension:
    """Raises Refused: G/L accounts have default dimensions too, but not for the API; customers there are none."""
    if body.get("parentType", VENDOR) != VENDOR:
        raise Refused("Application_DialogException", f"The parent type '{body['parentType']}' is not supported.")
    vendor = parent or company.vendors.get(str(body.get("parentId", "")).lower())
    dimension = company.dimensions.get(str(body.get("dimensionId", "")).lower())
    if vendor is None or dimension is None:
        raise Refused("Application_DialogException", "The parent or the dimension does not exist.")
    id = str(body.get("dimensionValueId", "")).lower()
    code = next((code for code, value in dimension.values.items() if value.id == id), "")
    if not code:
        raise Refused("Application_DialogException", f"The dimension {dimension.code} has no such value.")
    if dimension.code in vendor.default_dimensions:
        raise Refused("Internal_EntityWithSameKeyExists", f"Default Dimension {dimension.code} already exists.")
    company.keep(vendor)
    vendor.default_dimensions = {**vendor.default_dimensions, dimension.code: code}
    company.touch(vendor)
    return _default_dimension(company, vendor, dimension.code, code)


# Set-up


@dataclass(eq=False)
class Currency(Record):
    code: str = ""


def currency_id(company: Company, code: str) -> str:
    """The local currency has no record, so it has no id."""
    return made_id(company, f"currency {code}") if code not in ("", company.currency) else NOBODY


def currencies(company: Company, parent: None) -> list[Currency]:
    foreign = [code for code in CURRENCY_NAMES if code != company.currency]
    return [Currency(currency_id(company, code), company.created, code=code) for code in foreign]


CURRENCY_NAMES = {
    "CAD": ("Canadian dollar", "$"),
    "EUR": ("Euro", "€"),
    "GBP": ("Pound sterling", "£"),
    "MXN": ("Mexican peso", "$"),
    "USD": ("US dollar", "$"),
}
CURRENCIES: Table = {
    "id": lambda company, one: one.id,
    "code": lambda company, one: one.code,
    "displayName": lambda company, one: CURRENCY_NAMES[one.code][0],
    "symbol": lambda company, one: CURRENCY_NAMES[one.code][1],
    "amountDecimalPlaces": lambda company, one: "2:2",
    "amountRoundingPrecision": lambda company, one: Decimal("0.01"),
    **CHANGED,
}


def set_up(kind: str) -> Callable[[Company, None], list[Record]]:
    """What a company has one of is a list of one."""
    return lambda company, parent: [Record(made_id(company, kind), company.created)]


def _year_start(company: Company, _: Record) -> date:
    years = [one.starting for one in company.periods.values() if one.new_fiscal_year]
    return max((day for day in years if day <= company.today()), default=NO_DATE)


COMPANY_INFORMATION: Table = {
    "id": lambda company, one: one.id,
    "displayName": lambda company, one: company.display_name or company.name,
    **{
        name: lambda company, one: ""
        for name in ("addressLine1", "addressLine2", "city", "state", "country", "postalCode", "phoneNumber", "email")
    },
    "taxRegistrationNumber": lambda company, one: "",
    "currencyCode": lambda company, one: company.currency,
    "currentFiscalYearStartDate": _year_start,
    **CHANGED,
}


def _shortcut(place: int) -> Callable[[Company, Record], str]:
    return lambda company, one: ([*(one.code for one in company.dimensions.values()), *[""] * 8])[place]


GENERAL_LEDGER_SETUP: Table = {
    "id": lambda company, one: one.id,
    "allowPostingFrom": lambda company, one: company.posting_from,
    "allowPostingTo": lambda company, one: company.posting_to,
    "additionalReportingCurrency": lambda company, one: "",
    "localCurrencyCode": lambda company, one: company.currency,
    "localCurrencySymbol": lambda company, one: CURRENCY_NAMES.get(company.currency, ("", ""))[1],
    **{f"shortcutDimension{place + 1}Code": _shortcut(place) for place in range(8)},
    **CHANGED,
}


def periods(company: Company, parent: None) -> list[Period]:
    return sorted(company.periods.values(), key=lambda one: one.starting)


ACCOUNTING_PERIODS: Table = {
    "id": lambda company, one: one.id,
    "startingDate": lambda company, one: one.starting,
    "name": lambda company, one: one.name,
    "newFiscalYear": lambda company, one: one.new_fiscal_year,
    "closed": lambda company, one: one.closed,
    "dateLocked": lambda company, one: one.date_locked,
    **CHANGED,
}


def tax_groups(company: Company, parent: None) -> list[TaxGroup]:
    return sorted(company.tax_groups.values(), key=lambda one: one.code)


TAX_GROUPS: Table = {
    "id": lambda company, one: one.id,
    "code": lambda company, one: one.code,
    "displayName": lambda company, one: one.name,
    "taxType": lambda company, one: Member(one.kind),
    **CHANGED,
}
