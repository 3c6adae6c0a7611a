"""What a company's books hold. Ids are the system ids the API shows; numbers and codes are stored in upper case."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

NOBODY = "00000000-0000-0000-0000-000000000000"
NO_DATE = date(1, 1, 1)

GL, CUSTOMER, VENDOR, BANK = "G/L Account", "Customer", "Vendor", "Bank Account"
ACCOUNT_TYPES = (
    GL,
    CUSTOMER,
    VENDOR,
    BANK,
    "Fixed Asset",
    "IC Partner",
    "Employee",
    "Allocation Account",
)
CATEGORIES = (" ", "Assets", "Liabilities", "Equity", "Income", "Cost of Goods Sold", "Expense")
KINDS_OF_ACCOUNT = ("Posting", "Heading", "Total", "Begin-Total", "End-Total")
BLOCKED = (" ", "Payment", "All")


@dataclass(eq=False)
class Record:
    """What everything has. `version` makes the etag; `changed` is `lastModifiedDateTime`."""

    id: str
    changed: datetime
    version: int = 1


@dataclass(eq=False)
class Account(Record):
    number: str = ""  # 20, code
    name: str = ""  # 100
    category: str = " "
    sub_category: str = ""
    kind: str = "Posting"
    blocked: bool = False
    direct_posting: bool = True
    currency: str = ""
    default_dimensions: dict[str, str] = field(default_factory=dict)  # dimension code -> value code
    mandatory: set[str] = field(default_factory=set)  # dimension codes without which nothing is posted here


@dataclass(eq=False)
class BankAccount(Record):
    number: str = ""
    name: str = ""
    bank_account_number: str = ""
    blocked: bool = False
    currency: str = ""  # "" is the local currency
    iban: str = ""


@dataclass(eq=False)
class Vendor(Record):
    number: str = ""
    name: str = ""
    blocked: str = " "
    posting_group: str = "DOMESTIC"  # "": nothing can be posted on it
    members: dict[str, str] = field(default_factory=dict)  # addressLine1, email ... as sent
    default_dimensions: dict[str, str] = field(default_factory=dict)  # dimension code -> value code


@dataclass(eq=False)
class DimensionValue(Record):
    code: str = ""
    name: str = ""
    kind: str = "Standard"  # Standard, Heading, Total ...: not shown by the API
    blocked: bool = False  # not shown either


@dataclass(eq=False)
class Dimension(Record):
    code: str = ""
    name: str = ""
    values: dict[str, DimensionValue] = field(default_factory=dict)  # by code


@dataclass(eq=False)
class TaxGroup(Record):
    code: str = ""
    name: str = ""
    kind: str = "Sales Tax"  # or VAT
    rate: Decimal = Decimal(0)  # percent; not shown by the API


@dataclass(eq=False)
class Period(Record):
    starting: date = NO_DATE
    name: str = ""
    new_fiscal_year: bool = False
    closed: bool = False
    date_locked: bool = False


@dataclass(eq=False)
class Attachment(Record):
    """One file of an incoming document. `parent`: a journal line or a G/L entry; NOBODY: unlinked."""

    parent: str = NOBODY
    parent_type: str = " "
    name: str = ""
    content: bytes = b""
    content_type: str = "application/octet-stream"
    released: bool = False  # its incoming document is: some companies post nothing before


@dataclass(eq=False)
class JournalLine(Record):
    """amount > 0 debits. `dimensions`: dimension code -> value code."""

    journal: str = ""
    number: int = 0
    account_type: str = GL
    account: str = ""  # number of the account, bank account, vendor ...
    posting_date: date = NO_DATE
    document_number: str = ""  # 20
    document_type: str = " "  # only people can set it
    external_number: str = ""  # 35
    amount: Decimal = Decimal(0)
    description: str = ""  # 100
    comment: str = ""  # 250
    tax_code: str = ""
    balance_type: str = GL
    balance_account: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Journal(Record):
    """A general journal batch. Number series, posting series and approval are not shown by the API."""

    code: str = ""  # 10
    name: str = ""
    template: str = "GENERAL"
    balance_type: str = GL
    balance_account: str = ""  # number of a G/L account
    number_series: str = ""
    manual_numbers: bool = True  # the series allows numbers of one's own
    posting_series: str = ""
    pending_approval: bool = False
    lines: dict[str, JournalLine] = field(default_factory=dict)  # by id, in order of line numbers


@dataclass(eq=False)
class LedgerEntry(Record):
    """One G/L entry: posted. The API shows neither `external_number` nor `comment`."""

    number: int = 0
    posting_date: date = NO_DATE
    document_number: str = ""
    document_type: str = " "
    account: str = ""
    description: str = ""
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    external_number: str = ""
    comment: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)
    reversed: bool = False
