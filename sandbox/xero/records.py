"""The records an organisation keeps: accounts, contacts, tracking, tax rates, bank transactions, transfers."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

CENT = Decimal("0.01")
CLASSES = {
    "BANK": "ASSET",
    "CURRENT": "ASSET",
    "FIXED": "ASSET",
    "INVENTORY": "ASSET",
    "NONCURRENT": "ASSET",
    "PREPAYMENT": "ASSET",
    "EQUITY": "EQUITY",
    "DEPRECIATN": "EXPENSE",
    "DIRECTCOSTS": "EXPENSE",
    "EXPENSE": "EXPENSE",
    "OVERHEADS": "EXPENSE",
    "CURRLIAB": "LIABILITY",
    "LIABILITY": "LIABILITY",
    "TERMLIAB": "LIABILITY",
    "PAYG": "LIABILITY",
    "OTHERINCOME": "REVENUE",
    "REVENUE": "REVENUE",
    "SALES": "REVENUE",
}
"""Account type to account class."""


@dataclass(eq=False)
class Attachment:
    id: str
    file_name: str
    mime_type: str
    content: bytes


@dataclass(eq=False)
class Note:
    """One line of a record's history."""

    at: datetime
    details: str
    changes: str = "Note"
    user: str = "System Generated"


@dataclass(eq=False)
class Account:
    id: str
    code: str  # "": none, as on many bank accounts
    name: str
    type: str
    updated: datetime
    status: str = "ACTIVE"
    tax_type: str = "NONE"
    description: str = ""
    bank_account_type: str = ""
    bank_account_number: str = ""
    currency: str = ""
    system_account: str = ""
    enable_payments: bool = False
    show_in_expense_claims: bool = False
    attachments: list[Attachment] = field(default_factory=list)

    @property
    def account_class(self) -> str:
        return CLASSES[self.type]

    @property
    def is_bank(self) -> bool:
        return self.type == "BANK"


@dataclass(eq=False)
class Contact:
    id: str
    name: str
    updated: datetime
    status: str = "ACTIVE"
    number: str = ""
    account_number: str = ""
    company_number: str = ""
    tax_number: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    bank_account_details: str = ""
    addresses: list[dict[str, Any]] = field(default_factory=list)
    phones: list[dict[str, Any]] = field(default_factory=list)
    is_supplier: bool = False
    is_customer: bool = False
    merged_to: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    history: list[Note] = field(default_factory=list)


@dataclass(eq=False)
class TrackingOption:
    id: str
    name: str
    status: str = "ACTIVE"


@dataclass(eq=False)
class TrackingCategory:
    id: str
    name: str
    status: str = "ACTIVE"
    options: list[TrackingOption] = field(default_factory=list)

    def option(self, id_or_name: str) -> TrackingOption | None:
        wanted = id_or_name.casefold()
        return next((one for one in self.options if wanted in (one.id, one.name.casefold())), None)


@dataclass(frozen=True)
class Tracked:
    """One tracking value of one line."""

    category: TrackingCategory
    option: TrackingOption


@dataclass(eq=False)
class TaxRate:
    name: str
    tax_type: str
    rate: Decimal  # percent
    status: str = "ACTIVE"
    report_tax_type: str = "NONE"
    classes: tuple[str, ...] = ("ASSET", "EQUITY", "EXPENSE", "LIABILITY", "REVENUE")


@dataclass(eq=False)
class Line:
    id: str
    description: str
    quantity: Decimal
    unit_amount: Decimal
    line_amount: Decimal
    account: Account | None  # None only in a refused draft
    tax_type: str = "NONE"
    tax_amount: Decimal = Decimal("0.00")
    tracking: list[Tracked] = field(default_factory=list)


@dataclass(eq=False)
class BankTransaction:
    """Spend money, receive money, or one leg of a transfer. Amounts are positive; the type tells the direction."""

    id: str
    type: str
    bank_account: Account
    contact: Contact | None  # None on the legs of a transfer
    date: date
    lines: list[Line]
    updated: datetime
    reference: str = ""  # "" is null on the wire
    url: str = ""
    line_amount_types: str = "NoTax"
    status: str = "AUTHORISED"
    is_reconciled: bool = False
    currency: str = "USD"
    currency_rate: Decimal | None = None
    sub_total: Decimal = Decimal("0.00")
    total_tax: Decimal = Decimal("0.00")
    total: Decimal = Decimal("0.00")
    transfer_id: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    history: list[Note] = field(default_factory=list)
    texts: dict[object, tuple[object, str]] = field(default_factory=dict, repr=False)  # rendered once, then kept

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "texts": {}}

    @property
    def is_leg(self) -> bool:
        return bool(self.transfer_id)

    @property
    def signed_total(self) -> Decimal:
        """The amount as the bank account sees it: spent is negative."""
        return self.total if self.type.startswith("RECEIVE") else -self.total

    def add_up(self) -> None:
        """Set the totals from the lines."""
        amounts = sum((line.line_amount for line in self.lines), Decimal("0.00"))
        self.total_tax = sum((line.tax_amount for line in self.lines), Decimal("0.00"))
        inclusive = self.line_amount_types == "Inclusive"
        self.sub_total = amounts - self.total_tax if inclusive else amounts
        self.total = self.sub_total + self.total_tax


@dataclass(eq=False)
class BankTransfer:
    id: str
    from_account: Account
    to_account: Account
    amount: Decimal
    date: date
    created: datetime
    updated: datetime
    from_leg: BankTransaction
    to_leg: BankTransaction
    reference: str = ""
    status: str = "AUTHORISED"
    from_tracking: list[Tracked] = field(default_factory=list)
    to_tracking: list[Tracked] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    history: list[Note] = field(default_factory=list)
