"""What connectors and the engine hand each other: plain facts, frozen.

Sign, everywhere: an amount > 0 credits the PEX account (purchase, fee, transfer out, reversal of a rebate or bill
payment), < 0 debits it (refund, fee reversal, transfer in, bill payment, rebate). Money is `Decimal`; instants are
aware UTC; posting dates are US/Eastern dates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

DROPDOWN, TEXT = "Dropdown", "Text"  # types of PEX tags
ACCOUNT, PARTY, DESCRIPTION = "account", "party", "description"  # keys of `Field` that mean the same everywhere
CLOSED_PERIOD = "period"  # cause of a refusal that waits for the lock date in the books, not for a person here
Day = date  # some records have a field called `date`, which hides the type from the fields after it


class Kind(StrEnum):
    PURCHASE = "purchase"
    FEE = "fee"
    TRANSFER = "transfer"
    BILL_PAYMENT = "bill_payment"
    REBATE = "rebate"

    @property
    def label(self) -> str:
        return self.value.replace("_", " ")


def field_name(kind: Kind, key: str) -> str:
    """A field of the settings as causes and links name it: "account", "fee:account"."""
    return key if kind is Kind.PURCHASE else f"{kind.value}:{key}"


class Source(StrEnum):
    """Which of PEX's id spaces a transaction's id belongs to; the two may collide."""

    TRANSACTION = "transaction"
    STATEMENT_PAYMENT = "statement_payment"


# --- from PEX ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TagValue:
    """One tag filled in on a transaction. `value` is a dropdown option's key, or the text, number or yes/no as text."""

    tag_id: str
    value: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Allocation:
    """One tagged share of a transaction, signed like it."""

    amount: Decimal
    tags: tuple[TagValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    id: int
    text: str
    system_generated: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row of PEX, signed our way. `kind` is None for a row of a kind we do not know (then see `category`)."""

    pex_id: int
    source: Source
    kind: Kind | None
    amount: Decimal
    happened_at: datetime
    settled_at: datetime | None = None
    pending: bool = False
    declined: bool = False
    category: str = ""
    account_id: int | None = None  # the card account, None on the business list
    cardholder: str = ""
    description: str = ""
    merchant: str = ""
    merchant_clean: str = ""  # PEX's normalised name, "" where it gives none
    mcc: str = ""
    approval: str = ""  # Approved, Rejected, NotReviewed, Ignored, NoReceipt or whatever PEX says next
    dispute: bool = False
    bill_pay: bool = False  # a card charge that paid a bill through bill pay
    authorization_id: int | None = None
    network_id: int | None = None
    foreign_amount: Decimal | None = None
    foreign_currency: str = ""  # ISO 4217 letters where known, else PEX's text
    allocations: tuple[Allocation, ...] = ()
    notes: tuple[Note, ...] = ()
    problem: str = ""  # why this row cannot be read as money, a sentence; such a row is shown and never posted
    invoice_id: int | None = None  # of a statement payment: the statement it belongs to
    rejected: bool = False  # a statement payment that the bank sent back
    missing: bool = False  # PEX's last list of its days did not show it any more


@dataclass(frozen=True, slots=True)
class KnownTag:
    """A PEX tag as coding needs it: is it usable, and how are its options shown."""

    name: str
    type: str
    required: bool = False
    usable: bool = True
    shown_as: Mapping[str, str] = field(default_factory=dict)  # option value -> display name


@dataclass(frozen=True, slots=True)
class PexAttachment:
    """A receipt PEX knows. `ready` is False while PEX still loads or scans it; `trouble` says why it never will be."""

    id: str
    ready: bool
    kind: str = ""  # Image or Pdf
    size: int = 0
    trouble: str = ""


# --- to the books -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One thing the books ask of an entry of these kinds. `key` is stable ("tracking:<id>"); `tag_types` may feed it.

    Three keys mean the same in every system: "account" is the other side of the entry, "party" whom it is booked
    against, "description" the words of a line. One key may be asked of different kinds under different labels.
    """

    key: str
    label: str
    required: bool = False
    static: bool = True
    tag_types: tuple[str, ...] = ("Dropdown",)
    kinds: tuple[Kind, ...] = (Kind.PURCHASE,)
    options: str = ""  # the list its values are chosen from, where that is not its own: "pex_account"

    @property
    def text(self) -> bool:
        """Whether people write it; there is no list to choose from then."""
        return self.tag_types == (TEXT,)

    @property
    def list_name(self) -> str:
        return self.options or self.key

    @property
    def can_sync(self) -> bool:
        """Whether the books' values of it may become the options of a dropdown tag in PEX."""
        return Kind.PURCHASE in self.kinds and DROPDOWN in self.tag_types


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a field in the books. `group` helps people find it (the class of an account)."""

    id: str
    name: str
    code: str = ""
    active: bool = True
    group: str = ""
    type: str = ""  # what it is there, where that matters: "CREDITCARD"

    @property
    def label(self) -> str:
        return f"{self.code} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Party:
    """Whom the entry is booked against: by id, or by name to be found or created once."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One coded share. amount > 0 debits `account`. `dimensions` maps field keys to option ids."""

    amount: Decimal
    account: str
    description: str
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction coded for the books, ready to post."""

    key: str  # syncjobs.ledger.key: from PEX facts alone
    kind: Kind
    amount: Decimal
    date: date
    account: str  # the PEX account in the books
    party: Party
    lines: tuple[Line, ...]
    memo: str = ""
    url: str = ""  # where a reader of the books finds the transaction; holds business id and key
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the ledger remembers of one row for a look: never today's settings, always what went out."""

    key: str  # of the present generation
    amount: Decimal
    record_id: str = ""  # "" while unknown
    date: Day | None = None
    account: str = ""
    url: str = ""
    in_doubt: bool = False  # was sent at least once without a known outcome
    earlier: tuple[str, ...] = ()  # keys of earlier generations
    kind: Kind = Kind.PURCHASE  # books may keep records of one kind apart from the others


class Fate(StrEnum):
    LIVE = "live"  # one record, equal to what was sent
    DEAD = "dead"  # only void, deleted or rejected records
    DOUBLED = "doubled"
    DOUBTFUL = "doubtful"  # a record with the key, but not equal
    ABSENT = "absent"
    UNSEEN = "unseen"  # the look did not cover this key


@dataclass(frozen=True, slots=True)
class Found:
    fate: Fate
    record_id: str = ""
    link: str = ""
    says: str = ""  # what differs, a sentence; "" when nothing does
    draft: bool = False  # a live one that is not final there yet


@dataclass(frozen=True, slots=True)
class BookRecord:
    """One record on the PEX account in the books, as `books(window)` lists it."""

    id: str
    date: date
    amount: Decimal
    reference: str = ""
    party: str = ""
    state: str = ""
    live: bool = True
    link: str = ""
    texts: tuple[str, ...] = ()  # where else a key of ours may stand


# --- outcomes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Posted:
    record_id: str
    link: str = ""
    says: str = ""  # a warning of the books worth showing
    draft: bool = False  # it is not final there yet: a person posts it


@dataclass(frozen=True, slots=True)
class Refused:
    """Surely not in the books, and the sentence says what to do."""

    says: str
    cause: str = "refused"  # short stable word for grouping
    field: str = ""  # the settings field that mends it, where one does: "account", "fee:account", "tracking:<id>"

    @property
    def reason(self) -> str:
        """Cause and field in one, as the ledger keeps them and pages find their button: "account:fee:account"."""
        return f"{self.cause}:{self.field}" if self.field else self.cause


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely not in the books; may be tried again after so many seconds."""

    after: float = 0.0
    says: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows. Only a look settles it."""

    says: str = ""


Outcome = Posted | Refused | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt on its way: bytes on disk, a safe name, deterministic so that a repeat overwrites."""

    attachment_id: str
    name: str
    path: Path
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ExpectedReceipt:
    """A receipt that will be attached soon: its bytes, and with them the ending of its name, are not here yet."""

    attachment_id: str
    stem: str  # of its name: "pex-1001-a1"
    pdf: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight. state: ok, missing, unknown."""

    name: str
    state: str
    says: str = ""
    fix: str = ""
    link: str = ""
    mend: str = ""  # what `Connector.mend` does about it when asked; "" where only people can
    mend_word: str = ""  # on the button that asks for it


@dataclass(frozen=True, slots=True)
class Company:
    """A company that could be written to, as a connection's sign-in offers it."""

    id: str
    name: str  # at most 200 characters
    facts: Mapping[str, str] = field(default_factory=dict)  # currency, country, short_code ...
