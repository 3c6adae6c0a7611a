"""One business of the simulated PEX, and the methods by which tests, seeds and the control page fill it."""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.pex import documents
from sandbox.pex.records import (
    APPROVALS,
    TAG_TYPES,
    Attachment,
    Note,
    Option,
    Payment,
    Person,
    Statement,
    StatementShare,
    Tag,
    TagValue,
    Transaction,
    shares,
)
from sandbox.pex.text import cents

if TYPE_CHECKING:
    from sandbox.pex.world import PexWorld

Money = Decimal | str | int

ALL = frozenset(
    {
        "ViewAdministration",
        "AddEditTerminateAdministrator",
        "RequestDeleteACHTransfer",
        "EditBusinessProfile",
        "CreateCardholder",
        "ManageCardholder",
        "AddEditTerminateCard",
        "ViewCardNumbers",
        "ViewCardTransactions",
        "ViewCardUsage",
        "ModifyTransactionNotes",
        "ApproveFundingRequest",
        "RequestCardFunding",
    }
)
FIRST_TRANSACTION = 700_000_001


class _Usual:
    """Marks an argument that was not given."""


USUAL = _Usual()


@dataclass(eq=False)
class Admin:
    admin_id: int
    business_id: int
    username: str
    first: str
    last: str
    permissions: set[str]
    email: str = ""
    status: str = "Active"
    password: str = "sandbox"
    password_version: int = 1

    @property
    def person(self) -> Person:
        return Person(self.username, self.first, self.last, self.admin_id)

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()

    def change_password(self, password: str) -> None:
        """Tokens made before die on their next call."""
        self.password = password
        self.password_version += 1

    def deactivate(self) -> None:
        self.status = "Inactive"


@dataclass(eq=False)
class CardAccount:
    """A cardholder with a card. What the API calls an account, under `AcctId`."""

    account_id: int
    business_id: int
    first: str
    last: str
    issued: datetime
    email: str = ""
    status: str = "OPEN"
    card_status: str = "Active"
    last4: str = "0000"
    card_id: int = 0
    custom_id: str | None = None
    virtual: bool = False
    type: str = "TeamMember"  # or "Vendor"
    group_ids: tuple[int, ...] = ()
    ledger: Decimal = Decimal("0.00")
    available: Decimal = Decimal("0.00")
    listed: bool = True  # shown in the business's account details
    refused: bool = False  # looking it up by id is answered 403

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()

    @property
    def person(self) -> Person:
        return Person(self.email or f"card.{self.account_id}", self.first, self.last)

    def close(self) -> None:
        self.status, self.card_status = "CLOSED", "Closed"


@dataclass(frozen=True)
class Plan:
    """What becomes of a hold, and when: it settles for an amount (PEX's sign) or, without one, drops off."""

    at: datetime
    transaction_id: int
    amount: Decimal | None


@dataclass(eq=False)
class Business:
    world: "PexWorld" = field(repr=False)
    business_id: int
    name: str
    funding: str  # "Prepaid" or "Credit"
    tags_enabled: bool = True
    splits_enabled: bool = True
    status: str = "OPEN"
    balance: Decimal = Decimal("12500.00")
    partner_name: str | None = None
    partner_business_id: str | None = None
    use_business_balance: bool = False
    use_bill_pay: bool = False
    vendor_limit: int | None = 50
    admins: dict[int, Admin] = field(default_factory=dict)
    cards: dict[int, CardAccount] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    transactions: dict[int, Transaction] = field(default_factory=dict)
    statements: dict[int, Statement] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    fields_version: str = "65f000000000000000000001"

    # People and cards

    def add_admin(
        self,
        username: str = "alex.admin",
        first: str = "Alex",
        last: str = "Admin",
        permissions: Iterable[str] = ALL,
        **fields: Any,
    ) -> Admin:
        number = self.world.next_id("admin", 9001)
        unknown = set(permissions) - ALL
        if unknown:
            raise ValueError(f"PEX knows no permission {', '.join(sorted(unknown))}.")
        fields.setdefault("email", f"{username}@example.com")
        admin = Admin(number, self.business_id, username, first, last, set(permissions), **fields)
        self.admins[number] = admin
        return admin

    def add_group(self, name: str) -> int:
        number = self.world.next_id("group", 301)
        self.groups[number] = name
        return number

    def add_cardholder(self, first: str = "Casey", last: str = "Holder", **fields: Any) -> CardAccount:
        number = self.world.next_id("account", 51001)
        fields.setdefault("issued", self.world.now() - timedelta(days=400))
        fields.setdefault("email", f"{first}.{last}@example.com".lower().replace(" ", ""))
        fields.setdefault("last4", f"{number * 37 % 10_000:04d}")
        card = CardAccount(number, self.business_id, first, last, card_id=number + 40_000, **fields)
        self.cards[number] = card
        return card

    # Tags

    def add_tag(
        self,
        name: str,
        type: str = "Dropdown",
        options: Iterable[tuple[str, str] | Option] = (),
        required: bool = False,
        **fields: Any,
    ) -> Tag:
        """Add a tag. Options are (Value, Name) pairs, or Option objects for the disabled and restricted."""
        if type not in TAG_TYPES:
            raise ValueError(f"PEX knows no tag type {type}.")
        tag = Tag(
            tag_id=self.world.next_hex("tag"),
            type=type,
            name=name,
            required=required,
            created=self.world.now(),
            author=Person(),
            key=secrets.token_hex(8),
            order=len(self.tags),
        )
        for option in options:
            if isinstance(option, Option):
                tag.options.append(option)
            else:
                tag.add_option(*option)
        for key, value in fields.items():
            _set(tag, key, value)
        self.tags[tag.tag_id] = tag
        self.fields_version = self.world.next_hex("fields")
        return tag

    def allocation_tag(self) -> Tag:
        """Return the tag that carries splits; made on first use."""
        for tag in self.tags.values():
            if tag.type == "Allocation" and not tag.deleted:
                return tag
        return self.add_tag("Split", type="Allocation")

    # Transactions

    def add_purchase(
        self,
        amount: Money = "12.50",
        settled: datetime | _Usual | None = USUAL,
        happened: datetime | None = None,
        merchant: str | None = "Corner Hardware #114",
        approval: str | None = "Approved",
        tags: Mapping[str, Any] | None = None,
        splits: Sequence[tuple[Money, Mapping[str, Any]]] = (),
        split_encoding: str = "string",
        receipts: Iterable[bytes | str] = (),
        notes: Iterable[str] = (),
        card: CardAccount | None = None,
        **fields: Any,
    ) -> Transaction:
        """Add a row of the card list. A positive amount was spent, a negative one refunded.

        Settled yesterday unless told otherwise; `settled=None` makes it a pending hold. It happened two days
        before it settled. `fields` are attributes of Transaction, in PEX's sign.
        """
        card = card or next(iter(self.cards.values()), None) or self.add_cardholder()
        now = self.world.now()
        when = now - timedelta(days=1) if isinstance(settled, _Usual) else settled
        happened = happened or ((when or now) - timedelta(days=2 if when else 0))
        facts: dict[str, Any] = {
            "amount": -cents(amount),
            "held": happened,
            "pending": when is None,
            "merchant": merchant,
            "merchant_normalized": standard_name(merchant),
            "description": (merchant or "").upper(),
            "approval": approval,
            "network_id": self.world.next_id("network", 880_000_001),
            "auth_id": 0 if when is None else self.world.next_id("transaction", FIRST_TRANSACTION),
            "relationship_id": self.world.next_id("relationship", 410_000_001),
            "mcc": "5999",
            "merchant_city": "Hartford",
            "merchant_state": "CT",
            "merchant_zip": "06103",
        }
        row = self._add(card.account_id, happened, when, {**facts, **fields})
        if tags or splits:
            self.tag(row, tags or {}, splits=splits, encoding=split_encoding)
        for content in receipts:
            self.add_receipt(row, content, keeps_approval=True, at=when or happened)
        for text in notes:
            self.add_note(row, text, at=when or happened)
        return row

    def add_decline(
        self,
        amount: Money = "12.50",
        reason: str = "Do not honor",
        happened: datetime | None = None,
        **fields: Any,
    ) -> Transaction:
        fields = {"decline": True, "pending": False, "held": None, "description": reason, **fields}
        happened = happened or self.world.now() - timedelta(days=1)
        return self.add_purchase(amount, settled=None, happened=happened, approval=None, **fields)

    def add_card_fee(self, amount: Money = "1.00", description: str = "Card fee", **fields: Any) -> Transaction:
        """Add a fee charged to a card; negative: given back."""
        fields = {"type": "Transfer", "category": "CardAccountFee", "network_id": None, "mcc": "", **fields}
        return self.add_purchase(amount, merchant="", approval=None, description=description, **fields)

    def add_dispute(self, amount: Money = "-12.50", **fields: Any) -> Transaction:
        """Add a dispute's credit (negative, as a refund) or its reversal (positive)."""
        fields = {"type": "Transfer", "category": "Dispute", "network_id": None, "approval": None, **fields}
        return self.add_purchase(amount, **fields)

    def add_business_row(
        self,
        category: str = "BusinessFunding",
        amount: Money = "500.00",
        description: str = "ACH credit",
        happened: datetime | None = None,
        settled: datetime | None = None,
        **fields: Any,
    ) -> Transaction:
        """Add a row of the business account's list, settled as it happened unless told otherwise.

        The amount has PEX's sign: money in is positive.
        """
        happened = happened or settled or self.world.now() - timedelta(days=1)
        facts = {
            "amount": cents(amount),
            "type": "Transfer",
            "category": category,
            "description": description,
            "approval": None,
            "merchant_country": None,
        }
        return self._add(0, happened, settled or happened, {**facts, **fields})

    def _add(
        self, account_id: int, happened: datetime, settled: datetime | None, facts: Mapping[str, Any]
    ) -> Transaction:
        if facts["approval"] is not None and facts["approval"] not in APPROVALS:
            raise ValueError(f"PEX knows no approval {facts['approval']!r}.")
        unknown = facts.keys() - Transaction.__dataclass_fields__.keys()
        if unknown:
            raise TypeError(f"A transaction has no {', '.join(sorted(unknown))}.")
        known = {"created": self.world.now(), **facts}
        number = known.pop("transaction_id", None) or self.world.next_id("transaction", FIRST_TRANSACTION)
        row = Transaction(number, self.business_id, account_id, happened, settled, **known)
        row.fields_version = row.fields_version or self.fields_version
        self.transactions[number] = self.world.rows[number] = row
        return row

    def remove(self, row: Transaction) -> None:
        """Let a row vanish from PEX."""
        self.transactions.pop(row.transaction_id, None)
        self.world.rows.pop(row.transaction_id, None)

    def settle(
        self, hold: Transaction, amount: Money | None = None, at: datetime | None = None, vanish: bool = True
    ) -> Transaction:
        """Settle a hold, for another amount if given (positive is spent). The settled row has a new id.

        `vanish=False` keeps the hold, for a second settlement of the same authorisation.
        """
        facts = {name: getattr(hold, name) for name in _KEPT_AT_SETTLEMENT}
        signed = hold.amount if amount is None else -cents(amount)
        row = self._add(
            hold.account_id,
            hold.happened,
            at or self.world.now(),
            {**facts, "amount": signed, "auth_id": hold.transaction_id, "pending": False},
        )
        if vanish:
            self.remove(hold)
        return row

    def plan(self, hold: Transaction, at: datetime, amount: Money | None = None) -> None:
        """Decide a hold's fate: it settles then for an amount (positive: spent), or else drops off."""
        signed = None if amount is None else -cents(amount)
        self.plans.append(Plan(at, hold.transaction_id, signed))

    def catch_up(self, now: datetime) -> None:
        due = sorted((plan for plan in self.plans if plan.at <= now), key=lambda plan: plan.at)
        self.plans = [plan for plan in self.plans if plan.at > now]
        for plan in due:
            hold = self.transactions.get(plan.transaction_id)
            if hold is None:
                continue
            if plan.amount is None:
                self.remove(hold)
            else:
                self.settle(hold, -plan.amount, at=plan.at)

    def card_rows(self) -> list[Transaction]:
        return [row for row in list(self.transactions.values()) if row.account_id]

    def business_rows(self) -> list[Transaction]:
        return [row for row in list(self.transactions.values()) if not row.account_id]

    # What people do with a transaction

    def tag(
        self,
        row: Transaction,
        tags: Mapping[str, Any],
        splits: Sequence[tuple[Money, Mapping[str, Any]]] = (),
        encoding: str = "string",
        auto: bool = False,
    ) -> None:
        """Replace the tag values of a row, unchecked: unknown tags and sums that are off are welcome."""
        values = [TagValue(tag_id, self._tag_name(tag_id), value, auto=auto) for tag_id, value in tags.items()]
        if splits:
            split = self.allocation_tag()
            lines = shares(splits)
            values += [TagValue(split.tag_id, split.name, line, auto, encoding) for line in lines]
        self.set_values(row, values)

    def set_values(self, row: Transaction, values: Iterable[TagValue]) -> None:
        row.tags = tuple(values)
        row.tag_state = "Selected" if row.tags else "Initial"
        row.tags_key = secrets.token_hex(8)
        row.fields_version = self.fields_version

    def _tag_name(self, tag_id: str) -> str:
        tag = self.tags.get(tag_id)
        return tag.name if tag else "Removed tag"

    def set_approval(self, row: Transaction, approval: str, reason: str | None = None) -> None:
        if approval not in APPROVALS:
            raise ValueError(f"PEX knows no approval {approval!r}.")
        row.approval, row.reason = approval, reason
        row.approval_id = row.approval_id or self.world.next_id("approval", 330_001)

    def add_note(
        self,
        row: Transaction,
        text: str,
        author: Person | None = None,
        system: bool = False,
        visible_to_cardholder: bool = True,
        at: datetime | None = None,
    ) -> Note:
        """Add a note, by the cardholder unless told otherwise. It shows at once."""
        if author is None:
            card = self.cards.get(row.account_id)
            author = Person() if system or card is None else card.person
        note = Note(
            note_id=self.world.next_id("note", 550_001),
            text=text,
            author=author,
            at=at or self.world.now(),
            system=system,
            visible_to_cardholder=visible_to_cardholder,
        )
        row.notes = (*row.notes, note)
        return note

    def remove_note(self, row: Transaction, note_id: int) -> None:
        row.notes = tuple(note for note in row.notes if note.note_id != note_id)

    def notes(self, transaction_id: int) -> list[Note]:
        """Return the notes of a transaction as they are stored, shown in lists or not yet."""
        row = self.transactions.get(transaction_id)
        return list(row.notes) if row else []

    def add_receipt(
        self,
        row: Transaction,
        content: bytes | str = "pdf",
        kind: str = "",
        status: str = "Loaded",
        loads_at: datetime | None = None,
        author: Person | None = None,
        keeps_approval: bool = False,
        at: datetime | None = None,
    ) -> Attachment:
        """Add a receipt: bytes, or "pdf", "png" or "jpeg" for a small real one.

        `kind` is Image or Pdf, told from the content when empty. A rejected purchase becomes NotReviewed.
        """
        data = _sample(content, row) if isinstance(content, str) else content
        attachment = Attachment(
            attachment_id=secrets.token_hex(12),
            kind=_attachment_kind(kind) or documents.kind_of(data),
            content=data,
            author=author or (self.cards[row.account_id].person if row.account_id in self.cards else Person()),
            at=at or self.world.now(),
            status=status,
            loads_at=loads_at,
        )
        row.attachments = (*row.attachments, attachment)
        if row.approval == "Rejected" and not keeps_approval:
            row.approval, row.reason = "NotReviewed", None
        return attachment

    def change_receipt(self, row: Transaction, attachment_id: str, **facts: Any) -> None:
        """Change an attachment, for instance `status="HasMalware"`."""
        row.attachments = tuple(
            replace(attachment, **facts) if attachment.attachment_id == attachment_id else attachment
            for attachment in row.attachments
        )

    def remove_receipt(self, row: Transaction, attachment_id: str) -> None:
        row.attachments = tuple(one for one in row.attachments if one.attachment_id != attachment_id)

    # Statements of a charge account

    def add_statement(
        self,
        amount: Money = "1000.00",
        due: datetime | None = None,
        status: str = "Closed",
        payments: Iterable[Payment | tuple[str, Money]] | None = None,
        allocations: Iterable[StatementShare] = (),
        invoice_id: int | None = None,
    ) -> Statement:
        """Add a statement. Payments are (type, amount) pairs made when due; by default a PEXTransfer."""
        due = due or self.world.now() - timedelta(days=5)
        number = invoice_id or self.world.next_id("invoice", 20_001)
        statement = Statement(number, cents(amount), due, status, list(allocations))
        self.statements[number] = statement
        for payment in [("PEXTransfer", amount)] if payments is None else payments:
            if isinstance(payment, Payment):
                statement.payments.append(payment)
            else:
                self.add_payment(statement, *payment)
        return statement

    def add_payment(
        self,
        statement: Statement,
        type: str = "PEXTransfer",
        amount: Money = "1000.00",
        paid: datetime | None = None,
        **fields: Any,
    ) -> Payment:
        number = fields.pop("payment_id", None) or self.world.next_id("payment", 30_001)
        fields.setdefault("description", f"{type} for statement {statement.invoice_id}")
        payment = Payment(number, type, cents(amount), paid or statement.due, **fields)
        statement.payments.append(payment)
        return payment


_KEPT_AT_SETTLEMENT = (
    "held",
    "type",
    "category",
    "description",
    "bill_pay",
    "merchant",
    "merchant_normalized",
    "merchant_url",
    "merchant_city",
    "merchant_state",
    "merchant_zip",
    "merchant_country",
    "mcc",
    "merchant_id",
    "terminal_id",
    "network_id",
    "relationship_id",
    "currency",
    "currency_number",
    "source_amount",
    "approval",
    "tags",
    "tag_state",
    "tags_key",
    "fields_version",
    "notes",
    "attachments",
)
_STORE_NUMBER = re.compile(r"[\s*#-]*(?:#\s*\w+|\d{2,}).*$")


def standard_name(merchant: str | None) -> str | None:
    """Return the brand of a merchant's name: `Target #0973226` is Target."""
    return _STORE_NUMBER.sub("", merchant).strip() or None if merchant else None


def _sample(name: str, row: Transaction) -> bytes:
    if name == "png":
        return documents.png()
    if name == "jpeg":
        return documents.jpeg()
    if name == "pdf":
        merchant = row.merchant or "Receipt"
        return documents.pdf(merchant, row.happened.date().isoformat(), f"TOTAL {abs(row.amount)} USD")
    raise ValueError(f"No sample receipt {name!r}; there are pdf, png and jpeg.")


def _attachment_kind(kind: str) -> str:
    known = {"": "", "pdf": "Pdf", "image": "Image", "png": "Image", "jpeg": "Image", "jpg": "Image"}
    if kind.lower() not in known:
        raise ValueError(f"PEX knows no attachment type {kind!r}.")
    return known[kind.lower()]


def _set(thing: object, name: str, value: Any) -> None:
    if not hasattr(thing, name):
        raise TypeError(f"A {type(thing).__name__.lower()} has no {name}.")
    setattr(thing, name, value)
