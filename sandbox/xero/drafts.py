"""One bank transaction on its way in: what was sent, what it resolves to, what is wrong with it."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sandbox.xero import elements as read
from sandbox.xero.answers import ApiRequest, with_failed_id
from sandbox.xero.contacts import apply_changes, changes_in
from sandbox.xero.formats import JSON, ms_date
from sandbox.xero.records import Account, BankTransaction, Contact, Line
from sandbox.xero.shapes import bank_account, complaints, places, tracked

TYPES = (
    "SPEND",
    "RECEIVE",
    "SPEND-OVERPAYMENT",
    "RECEIVE-OVERPAYMENT",
    "SPEND-PREPAYMENT",
    "RECEIVE-PREPAYMENT",
    "SPEND-TRANSFER",
    "RECEIVE-TRANSFER",
)
AMOUNT_TYPES = ("Exclusive", "Inclusive", "NoTax")
STATUSES = ("AUTHORISED", "DELETED", "VOIDED")


@dataclass
class LineDraft:
    element: JSON
    line: Line
    errors: list[str] = field(default_factory=list)


@dataclass
class Draft:
    element: JSON
    existing: BankTransaction | None
    id_sent: str
    type: str
    day: date
    reference: str
    url: str
    amount_types: str
    status: str
    is_reconciled: bool
    currency: str
    currency_rate: Decimal | None
    bank_account: Account | None = None
    contact: Contact | None = None
    new_contact: str = ""  # a name nobody active bears yet
    lines: list[LineDraft] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    contact_errors: list[str] = field(default_factory=list)
    bank_account_errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    edit_refused: str = ""  # answered under a 200 in either mode

    @property
    def all_errors(self) -> list[str]:
        """Every message once, in the order found."""
        nested = [message for one in self.lines for message in one.errors]
        found = [*self.errors, *self.contact_errors, *self.bank_account_errors, *nested]
        return list(dict.fromkeys([*found, *filter(None, [self.edit_refused])]))

    @property
    def good(self) -> bool:
        return not self.all_errors

    @property
    def refuses_call(self) -> bool:
        return not self.good and not self.edit_refused

    @property
    def deleting(self) -> bool:
        return self.existing is not None and self.status in ("DELETED", "VOIDED")

    def totals(self) -> tuple[Decimal, Decimal, Decimal]:
        """Return net, tax and gross of the lines as they stand."""
        amounts = sum((one.line.line_amount for one in self.lines), Decimal("0.00"))
        tax = sum((one.line.tax_amount for one in self.lines), Decimal("0.00"))
        net = amounts - tax if self.amount_types == "Inclusive" else amounts
        return net, tax, net + tax

    def echo(self, request: ApiRequest) -> JSON:
        """Return what was sent, enriched with what it resolved to, and the reasons for the refusal."""
        switches = request.world.switches
        nested = switches.failed_errors == "nested" and not self.edit_refused and not self.errors
        sub_total, tax, total = self.totals()
        members = {name: value for name, value in self.element.items() if value is not None}
        members |= {
            **({"Type": self.type} if self.type else {}),
            "Date": ms_date(self.day, switches.date_form, zoned=False),
            "LineItems": [_line_echo(one, nested) for one in self.lines],
            "LineAmountTypes": self.amount_types,
            "SubTotal": sub_total,
            "TotalTax": tax,
            "Total": total,
            "CurrencyCode": self.currency or request.organisation.currency,
            "ValidationErrors": [] if nested else complaints(self.all_errors),
        }
        if self.bank_account:
            members["BankAccount"] = {
                **bank_account(self.bank_account),
                "ValidationErrors": complaints(self.bank_account_errors if nested else []),
            }
        if isinstance(members.get("Contact"), dict):
            members["Contact"] = {
                **members["Contact"],
                "ValidationErrors": complaints(self.contact_errors if nested else []),
            }
        return with_failed_id(request, members, "BankTransactionID", self.id_sent)


def _line_echo(draft: LineDraft, nested: bool) -> JSON:
    line = draft.line
    members = {name: value for name, value in draft.element.items() if value is not None}
    members |= {
        "UnitAmount": line.unit_amount,
        "Quantity": places(line.quantity, 4),
        "LineAmount": line.line_amount,
        "TaxAmount": line.tax_amount,
        "TaxType": line.tax_type,
        "Tracking": [tracked(one) for one in line.tracking],
        "ValidationErrors": complaints(draft.errors if nested else []),
    }
    if line.account:
        members |= {"AccountID": line.account.id, "AccountCode": line.account.code}
    return members


# Reading


def read_draft(request: ApiRequest, element: JSON) -> Draft:
    """Read one element; what it leaves out comes from the record it updates. Raises Refused (error 14)."""
    id = read.identifier(element, "BankTransactionID")
    old = request.organisation.bank_transactions.get(id) if id else None
    switches = request.world.switches
    draft = Draft(
        element=element,
        existing=old,
        id_sent=id,
        type=read.choice(element, "Type", TYPES) or (old.type if old else ""),
        day=read.day(element, "Date") or (old.date if old else request.organisation.today()),
        reference=_kept(element, "Reference", old.reference if old else ""),
        url=_kept(element, "Url", old.url if old else ""),
        amount_types=read.choice(element, "LineAmountTypes", AMOUNT_TYPES)
        or (old.line_amount_types if old else switches.line_amount_types),
        status=read.choice(element, "Status", STATUSES) or (old.status if old else "AUTHORISED"),
        is_reconciled=_flag(element, "IsReconciled", old.is_reconciled if old else False),
        currency=read.text(element, "CurrencyCode").upper() or (old.currency if old else ""),
        currency_rate=read.number(element, "CurrencyRate") or (old.currency_rate if old else None),
    )
    if id and old is None:
        draft.errors.append("The bank transaction could not be found")
    draft.lines = _read_lines(request, element, old)
    return draft


def _kept(element: JSON, name: str, before: str) -> str:
    return read.text(element, name) if element.get(name) is not None else before


def _flag(element: JSON, name: str, before: bool) -> bool:
    value = read.flag(element, name)
    return before if value is None else value


def _read_lines(request: ApiRequest, element: JSON, old: BankTransaction | None) -> list[LineDraft]:
    if element.get("LineItems") is None and old:
        return [LineDraft({"LineItemID": line.id}, line) for line in old.lines]
    known = {line.id for line in old.lines} if old else set()
    return [_read_line(request, one, known) for one in read.records(element, "LineItems")]


def _read_line(request: ApiRequest, element: JSON, known: set[str]) -> LineDraft:
    """Read one line. A line without a known id becomes a new one."""
    id = read.identifier(element, "LineItemID")
    decimals = request.style.unit_places
    quantity = read.number(element, "Quantity")
    quantity = Decimal(1) if quantity is None else quantity
    total, unit = read.number(element, "LineAmount"), read.number(element, "UnitAmount")
    if unit is None:
        unit = total / quantity if total is not None and quantity else Decimal(0)
    unit = places(unit, decimals)
    line = Line(
        id=id if id in known else request.world.new_id("line"),
        description=read.text(element, "Description"),
        quantity=quantity,
        unit_amount=unit,
        line_amount=places(quantity * unit, 2),
        account=None,
    )
    draft = LineDraft(element, line)
    if total is not None and places(total, 2) != line.line_amount:
        draft.errors.append(f"The line total {total} does not match the expected line total {line.line_amount}")
    return draft


# Saving


def save(request: ApiRequest, draft: Draft) -> BankTransaction:
    """Write a good draft into the books."""
    organisation, who = request.organisation, request.app.name
    if draft.deleting and draft.existing:
        return organisation.delete(draft.existing, who)
    contact = _contact_for(request, draft)
    assert draft.bank_account
    old = draft.existing
    one = BankTransaction(
        id=old.id if old else request.world.new_id("bank transaction"),
        type=draft.type,
        bank_account=draft.bank_account,
        contact=contact,
        date=draft.day,
        lines=[line.line for line in draft.lines],
        updated=request.now,
        reference=draft.reference,
        url=draft.url,
        line_amount_types=draft.amount_types,
        is_reconciled=draft.is_reconciled,
        currency=draft.currency,
        currency_rate=draft.currency_rate,
    )
    one.add_up()
    if old:
        one = _put_into(old, one)
    mark_use(contact, one.type)
    action = "Edited" if old else "Created"
    organisation.note(one, action, f"{action} through the Xero API using {who}", "System Generated")
    return organisation.add_transaction(one)


def _put_into(old: BankTransaction, new: BankTransaction) -> BankTransaction:
    """Let the record in the books become the new one; its attachments and history stay."""
    kept = {"attachments": old.attachments, "history": old.history}
    vars(old).update(vars(new) | kept)
    return old


def _contact_for(request: ApiRequest, draft: Draft) -> Contact:
    """Return the draft's contact, made now if new; members sent beside a ContactID change the contact."""
    organisation = request.organisation
    if draft.new_contact:
        twin = organisation.active_contact(draft.new_contact)
        if twin and request.world.switches.nested_contacts == "once":
            return twin
        return organisation.add_contact(draft.new_contact)
    assert draft.contact
    sent = read.record(draft.element, "Contact")
    if sent and sent.get("ContactID"):
        changes = changes_in(sent)
        taken = organisation.active_contact(changes.get("name", ""))
        if taken is None or taken is draft.contact:
            apply_changes(organisation, draft.contact, changes)
    return draft.contact


def mark_use(contact: Contact, type: str) -> None:
    """Using a contact makes it a supplier or customer; its stamp does not change."""
    contact.is_supplier = contact.is_supplier or type == "SPEND"
    contact.is_customer = contact.is_customer or type == "RECEIVE"
