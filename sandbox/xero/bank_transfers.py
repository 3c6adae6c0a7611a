"""BankTransfers: money between two bank accounts, seen there as two legs; made and deleted, never changed."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from operator import attrgetter

from sandbox.xero import elements as read
from sandbox.xero.answers import (
    Answer,
    ApiRequest,
    Refused,
    in_answer_order,
    invalid,
    not_found,
    refused_with,
    with_failed_id,
)
from sandbox.xero.formats import JSON, day_in_words, ms_date
from sandbox.xero.listing import Listing, check_breadth, text_member, word_member
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Account, BankTransfer, Tracked
from sandbox.xero.rules import MOST_TRACKING, find_account, find_tracking
from sandbox.xero.shapes import bank_transfer, complaints, places
from sandbox.xero.where import Member

LISTING = Listing(
    "BankTransfer",
    {
        "BankTransferID": Member("Guid", attrgetter("id")),
        "Amount": Member("Decimal", attrgetter("amount")),
        "Date": Member("DateTime", attrgetter("date"), day=True),
        "Reference": text_member(attrgetter("reference")),
        "Status": word_member(attrgetter("status")),
        "CreatedDateUTC": Member("DateTime", attrgetter("created")),
        "HasAttachments": Member("Boolean", lambda one: bool(one.attachments)),
        "FromBankAccount.AccountID": Member("Guid", attrgetter("from_account.id")),
        "FromBankAccount.Code": text_member(attrgetter("from_account.code")),
        "FromBankAccount.Name": word_member(attrgetter("from_account.name")),
        "ToBankAccount.AccountID": Member("Guid", attrgetter("to_account.id")),
        "ToBankAccount.Code": text_member(attrgetter("to_account.code")),
        "ToBankAccount.Name": word_member(attrgetter("to_account.name")),
        "FromBankTransactionID": Member("Guid", attrgetter("from_leg.id")),
        "ToBankTransactionID": Member("Guid", attrgetter("to_leg.id")),
    },
    attrgetter("created", "id"),
)
SIDES = ("FromBankAccount", "ToBankAccount")


@dataclass
class TransferDraft:
    element: JSON
    accounts: list[Account | None]
    amount: Decimal
    day: date
    reference: str
    tracking: list[list[Tracked | None]]
    reconciled: tuple[bool, bool]
    errors: list[str] = field(default_factory=list)


def get_many(request: ApiRequest) -> Answer:
    rows = list(request.organisation.bank_transfers.values())
    if request.query.get("includedeleted", "").lower() != "true":
        rows = [one for one in rows if one.status != "DELETED"]
    rows = LISTING.select(request, rows)
    check_breadth(request, rows)
    return _answer(request, *rows)


def get_one(request: ApiRequest, id: str) -> Answer:
    return _answer(request, find(request, id))


def find(request: ApiRequest, id: str) -> BankTransfer:
    found = request.organisation.bank_transfers.get(id.lower())
    if found is None:
        raise Refused(not_found())
    return found


def _answer(request: ApiRequest, *transfers: BankTransfer) -> Answer:
    return request.envelope("BankTransfers", (bank_transfer(one, request.style) for one in transfers))


# Creating


def put_many(request: ApiRequest) -> Answer:
    """Create; one bad element refuses all. What several in one call mean is a switch: Xero does not say."""
    elements, mode = request.elements("BankTransfers"), request.world.switches.transfers
    if len(elements) > 1 and mode == "refuse":
        return refused_with("Only one bank transfer can be created in one request")
    if mode == "first":
        elements = elements[:1]
    drafts = [_read(request, element) for element in elements]
    for draft in drafts:
        _check(request, draft)
    if any(draft.errors for draft in drafts):
        return invalid(_echo(request, draft) for draft in drafts if draft.errors)
    made = [bank_transfer(_save(request, draft), request.style) for draft in drafts]
    return request.envelope("BankTransfers", in_answer_order(request, made))


def _read(request: ApiRequest, element: JSON) -> TransferDraft:
    organisation = request.organisation
    sides = [find_account(organisation, read.record(element, side) or {}) for side in SIDES]
    tracking = [
        [find_tracking(organisation, one) for one in read.records(element, name)]
        for name in ("FromTracking", "ToTracking")
    ]
    return TransferDraft(
        element=element,
        accounts=sides,
        amount=places(read.number(element, "Amount") or Decimal(0), 2),
        day=read.day(element, "Date") or organisation.today(),
        reference=read.text(element, "Reference"),
        tracking=tracking,
        reconciled=(
            bool(read.flag(element, "FromIsReconciled")),
            bool(read.flag(element, "ToIsReconciled")),
        ),
    )


def _check(request: ApiRequest, draft: TransferDraft) -> None:
    errors, switches = draft.errors, request.world.switches
    for account in draft.accounts:
        if account is None or not account.is_bank:
            errors.append("The bank account must be a valid account of type BANK")
        elif account.status != "ACTIVE":
            errors.append(f"{account.name} bank account is archived and cannot be used")
    if not errors:
        errors += _pair_errors(request.organisation, draft)
    if draft.amount <= 0:
        errors.append("The amount of a bank transfer must be greater than zero")
    if len(draft.reference) > switches.reference_length:
        if switches.reference_mode == "error":
            errors.append(f"Reference is too long. Maximum of {switches.reference_length} characters allowed")
        draft.reference = draft.reference[: switches.reference_length]
    broken = request.organisation.lock_broken(draft.day)
    if broken:
        name, lock = broken
        errors.append(f"The document date cannot be before the {name} lock date, currently set at {day_in_words(lock)}")
    if any(len(side) > MOST_TRACKING for side in draft.tracking):
        errors.append("Each side of a bank transfer can have at most one option of each of two tracking categories")
    if switches.tracking == "refuse" and any(None in side for side in draft.tracking):
        errors.append("The tracking category or option does not exist or is archived")


def _pair_errors(organisation: Organisation, draft: TransferDraft) -> list[str]:
    first, second = draft.accounts
    if first is second:
        return ["A bank transfer needs two different bank accounts"]
    if first and second and (first.currency or organisation.currency) != (second.currency or organisation.currency):
        return ["A bank transfer needs two bank accounts of the same currency"]
    return []


def _echo(request: ApiRequest, draft: TransferDraft) -> JSON:
    members = {name: value for name, value in draft.element.items() if value is not None}
    members |= {
        "Amount": draft.amount,
        "Date": ms_date(draft.day, request.style.dates, zoned=False),
        "ValidationErrors": complaints(draft.errors),
    }
    return with_failed_id(request, members, "BankTransferID", "")


def _save(request: ApiRequest, draft: TransferDraft) -> BankTransfer:
    first, second = draft.accounts
    assert first
    assert second
    transfer = request.organisation.add_transfer(first, second, draft.amount, draft.day, draft.reference)
    transfer.from_tracking, transfer.to_tracking = ([one for one in side if one] for side in draft.tracking)
    transfer.from_leg.is_reconciled, transfer.to_leg.is_reconciled = draft.reconciled
    details = f"Created through the Xero API using {request.app.name}"
    request.organisation.note(transfer, "Created", details, "System Generated")
    return transfer


# Deleting


def post_many(request: ApiRequest) -> Answer:
    """Delete: every element names a transfer and the status DELETED, nothing else is possible."""
    elements = request.elements("BankTransfers")
    transfers = request.organisation.bank_transfers
    found = [transfers.get(read.identifier(element, "BankTransferID")) for element in elements]
    errors = [_deletion_error(request, element, one) for element, one in zip(elements, found, strict=True)]
    if request.summarize and any(errors):
        return invalid(
            _refused(request, element, one, error)
            for element, one, error in zip(elements, found, errors, strict=True)
            if error
        )
    results = [
        _deleted(request, element, one, error) for element, one, error in zip(elements, found, errors, strict=True)
    ]
    return request.envelope("BankTransfers", results)


def post_one(request: ApiRequest, id: str) -> Answer:
    one = find(request, id)
    error = _deletion_error(request, request.elements("BankTransfers")[0], one)
    if error:
        return refused_with(error)
    return _answer(request, request.organisation.delete_transfer(one, request.app.name))


def _deletion_error(request: ApiRequest, element: JSON, one: BankTransfer | None) -> str:
    if read.text(element, "Status") != "DELETED":
        return "A bank transfer can only be deleted, not changed"
    if one is None:
        return "The bank transfer could not be found"
    if one.status == "DELETED":
        return "The bank transfer has already been deleted"
    if one.from_leg.is_reconciled or one.to_leg.is_reconciled:
        return "This Bank Transfer cannot be edited as it has been reconciled with a Bank Statement"
    broken = request.organisation.lock_broken(one.date)
    if broken:
        return f"The document cannot be edited as it is currently dated before the {broken[0]} lock date"
    return ""


def _refused(request: ApiRequest, element: JSON, one: BankTransfer | None, error: str) -> JSON:
    known = bank_transfer(one, request.style) if one else element
    return {**known, "ValidationErrors": complaints([error])}


def _deleted(request: ApiRequest, element: JSON, one: BankTransfer | None, error: str) -> JSON:
    if error or one is None:
        return {**_refused(request, element, one, error), "StatusAttributeString": "ERROR"}
    return bank_transfer(request.organisation.delete_transfer(one, request.app.name), request.style)
