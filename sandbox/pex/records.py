"""What the simulated PEX keeps: transactions with notes, receipts and tag values; tags; statements."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.pex.eastern import wall
from sandbox.pex.text import cents

APPROVALS = ("NotReviewed", "Ignored", "Approved", "Rejected", "NoReceipt")
ABSENT = object()  # as the value of an override: the field is left out of the row
TAG_TYPES = (
    "Text",
    "YesNo",
    "Dropdown",
    "Decimal",
    "PercentageTax",
    "AbsoluteTax",
    "MerchantAddress",
    "Allocation",
)


@dataclass(frozen=True)
class Person:
    """Who wrote a note, gave a receipt or changed a tag."""

    username: str = "pex.system"
    first: str = "PEX"
    last: str = "System"
    admin_id: int | None = None


@dataclass(frozen=True)
class Note:
    note_id: int
    text: str
    author: Person
    at: datetime
    system: bool = False
    visible_to_cardholder: bool = False
    edited_by: Person | None = None
    edited_at: datetime | None = None
    shows_from: datetime | None = None  # lists show the note only from here on; None: at once


@dataclass(frozen=True)
class Attachment:
    attachment_id: str
    kind: str  # "Image" or "Pdf"
    content: bytes = field(repr=False)
    author: Person
    at: datetime
    status: str = "Loaded"
    loads_at: datetime | None = None  # a NotLoaded one becomes Loaded then
    updated_by: Person | None = None
    updated_at: datetime | None = None

    def status_at(self, now: datetime) -> str:
        if self.status == "NotLoaded" and self.loads_at is not None and now >= self.loads_at:
            return "Loaded"
        return self.status


@dataclass(frozen=True)
class Share:
    """One line of a split: a positive amount and the tags it carries."""

    amount: Decimal
    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class TagValue:
    tag_id: str
    name: str
    value: Any  # text, number, bool; a Share for the allocation tag
    auto: bool = False  # made by a machine, not by a person
    encoding: str = "string"  # of a Share in the lists: "string" or "object"


@dataclass(eq=False)
class Transaction:
    """One row of PEX: of the card list, or of the business account's list when `account_id` is 0.

    Amounts have PEX's sign: a purchase is negative. Any change forgets the row's cached JSON text, so the
    collections are tuples: replace them, or use the Business's methods.
    """

    transaction_id: int
    business_id: int
    account_id: int
    happened: datetime
    settled: datetime | None
    amount: Decimal
    created: datetime  # when the row came to be known, by the shared clock
    held: datetime | None = None
    padding: Decimal = Decimal("0.00")
    type: str = "Network"
    category: str = "Spend"
    description: str | None = ""
    pending: bool = False
    decline: bool = False
    bill_pay: bool = False  # a card charge that paid a bill; listed only with IncludeVendorBillPay
    merchant: str | None = ""
    merchant_normalized: str | None = None
    merchant_url: str | None = None
    merchant_city: str | None = ""
    merchant_state: str | None = ""
    merchant_zip: str | None = ""
    merchant_country: str | None = "USA"
    mcc: str | None = ""
    merchant_id: str | None = ""
    terminal_id: str | None = ""
    response_code: str | None = ""
    auth_id: int = 0
    network_id: int | None = None
    relationship_id: int = 0
    other_account_id: int = 0  # the other side of a transfer
    currency: str | None = None
    currency_number: str | None = None
    source_amount: Decimal | None = None
    approval: str | None = "NotReviewed"
    approval_id: int | None = None
    reason: str | None = None
    tags: tuple[TagValue, ...] = ()
    tag_state: str = ""  # "Initial" or "Selected"; empty: the row has no tags object
    tags_key: str = ""  # ConcurrencyKey of the tag values
    fields_version: str = ""
    notes: tuple[Note, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)  # fields put into the JSON as given, last of all

    def __setattr__(self, name: str, value: Any) -> None:
        facts = self.__dict__
        facts[name] = value
        facts["cache"] = facts["wall_times"] = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("cache", "wall_times")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, cache=None, wall_times=None)

    @property
    def times(self) -> tuple[datetime, datetime]:
        """Return when the row happened and when it settled (or else happened), in Eastern wall clock."""
        known: tuple[datetime, datetime] | None = self.__dict__["wall_times"]
        if known is None:
            happened = wall(self.happened)
            known = self.__dict__["wall_times"] = (happened, wall(self.settled) if self.settled else happened)
        return known

    @property
    def on_card(self) -> bool:
        return self.account_id != 0


@dataclass(frozen=True)
class Option:
    """One row of a dropdown. `groups` names the user groups that may see it; empty: everyone."""

    value: str
    name: str
    order: int = 0
    enabled: bool = True
    groups: frozenset[int] = frozenset()


@dataclass
class Tag:
    tag_id: str
    type: str
    name: str
    created: datetime
    author: Person
    key: str  # ConcurrencyKey
    description: str = ""
    enabled: bool = True
    deleted: bool = False
    required: bool = False
    order: int = 0
    options: list[Option] = field(default_factory=list)
    updated: datetime | None = None
    updated_by: Person | None = None
    deleted_at: datetime | None = None
    deleted_by: Person | None = None
    min_length: int = 0
    length: int = 255
    validation: str = "None"
    validation_regex: str | None = None

    def option(self, value: object) -> Option | None:
        """Return the option stored under this value, which is compared exactly."""
        return next((option for option in self.options if option.value == value), None)

    def add_option(self, value: str, name: str = "", enabled: bool = True, groups: Iterable[int] = ()) -> Option:
        option = Option(value, name or value, len(self.options), enabled, frozenset(groups))
        self.options.append(option)
        return option

    def change_option(self, value: str, **facts: Any) -> Option:
        """Rename, disable or restrict one option."""
        at = next(index for index, option in enumerate(self.options) if option.value == value)
        self.options[at] = Option(**{**vars(self.options[at]), **facts})
        return self.options[at]

    def remove_option(self, value: str) -> None:
        self.options = [option for option in self.options if option.value != value]


@dataclass
class Payment:
    payment_id: int
    type: str  # PEXTransfer, SameDayACH, Reversal, RebateCredit, RebateCreditReversal, SalesCredit, WriteOff ...
    amount: Decimal
    paid: datetime
    description: str = ""
    request_id: int | None = None
    user_id: int | None = None
    carried_from: int | None = None
    rejected: bool = False  # RejectedByBank


@dataclass(frozen=True)
class StatementShare:
    """Spend of a statement summed by tag name, tag value and category; nulls for untagged spend."""

    tag_name: str | None
    tag_value: str | None
    amount: Decimal
    category: str = "Spend"


@dataclass
class Statement:
    """What PEX's API calls an invoice: a charge account's statement."""

    invoice_id: int
    amount: Decimal
    due: datetime
    status: str = "Closed"  # Open, Closed, Cancelled, Draft
    allocations: list[StatementShare] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)


def shares(splits: Iterable[tuple[Decimal | str | int, Mapping[str, Any]]]) -> list[Share]:
    return [Share(cents(amount), tuple(values.items())) for amount, values in splits]
