"""Accounts: the chart of accounts, one account per write."""

from operator import attrgetter

from sandbox.xero import elements as read
from sandbox.xero.answers import Answer, ApiRequest, Refused, not_found, refused_with
from sandbox.xero.formats import JSON
from sandbox.xero.listing import Listing, text_member, word_member
from sandbox.xero.records import CLASSES, Account
from sandbox.xero.shapes import account
from sandbox.xero.where import Member

LISTING = Listing(
    "Account",
    {
        "AccountID": Member("Guid", attrgetter("id")),
        "Code": text_member(attrgetter("code")),
        "Name": word_member(attrgetter("name")),
        "Type": word_member(attrgetter("type")),
        "Class": word_member(attrgetter("account_class")),
        "Status": word_member(attrgetter("status")),
        "TaxType": text_member(attrgetter("tax_type")),
        "BankAccountType": text_member(attrgetter("bank_account_type"), safe=True),
        "BankAccountNumber": text_member(attrgetter("bank_account_number"), safe=True),
        "CurrencyCode": text_member(attrgetter("currency"), safe=True),
        "SystemAccount": text_member(attrgetter("system_account"), safe=True),
        "EnablePaymentsToAccount": Member("Boolean", attrgetter("enable_payments")),
        "ShowInExpenseClaims": Member("Boolean", attrgetter("show_in_expense_claims")),
        "UpdatedDateUTC": Member("DateTime", attrgetter("updated")),
    },
    attrgetter("code", "name", "id"),
)
STATUSES = ("ACTIVE", "ARCHIVED", "DELETED")
LONGEST_CODE, LONGEST_NAME = 10, 150


def get_many(request: ApiRequest) -> Answer:
    rows = [one for one in request.organisation.accounts.values() if one.status != "DELETED"]
    return _accounts(request, *LISTING.select(request, rows))


def get_one(request: ApiRequest, id: str) -> Answer:
    return _accounts(request, find(request, id))


def _accounts(request: ApiRequest, *accounts: Account) -> Answer:
    return request.envelope("Accounts", (account(one, request.style) for one in accounts))


def find(request: ApiRequest, id: str) -> Account:
    found = request.organisation.accounts.get(id.lower())
    if found is None:
        raise Refused(not_found())
    return found


def put_one(request: ApiRequest) -> Answer:
    """Create the one account sent."""
    sent = request.elements("Accounts")[0]
    fields = _account_fields(sent)
    kind = read.choice(sent, "Type", tuple(CLASSES))
    errors = _account_errors(request, fields, None)
    if not kind:
        errors.append("The Account Type is a mandatory field")
    if not fields.get("name"):
        errors.append("Please enter a unique Name.")
    if kind == "BANK" and fields.get("bank_account_type") == "PAYPAL":
        errors.append("PayPal accounts cannot be created")
    if errors:
        return refused_with(*errors)
    if kind == "BANK":
        fields = {"currency": request.organisation.currency, "bank_account_type": "BANK"} | fields
    fields = {"code": "", "tax_type": "NONE"} | fields
    return _accounts(request, request.organisation.add_account(type=kind, **fields))


def post_one(request: ApiRequest, id: str) -> Answer:
    """Change an account; archiving must be the only change of its call."""
    found = find(request, id)
    sent = request.elements("Accounts")[0]
    fields, status = _account_fields(sent), read.choice(sent, "Status", STATUSES)
    if status == "ARCHIVED" and any(getattr(found, name) != value for name, value in fields.items()):
        return refused_with("An account can only be archived without other changes")
    errors = _account_errors(request, fields, found)
    if found.system_account and status == "ARCHIVED":
        errors.append("System accounts cannot be archived")
    if errors:
        return refused_with(*errors)
    changes = fields | ({"status": status} if status else {})
    return _accounts(request, request.organisation.change_account(found, **changes))


def delete_one(request: ApiRequest, id: str) -> Answer:
    found = find(request, id)
    documents = request.organisation.bank_transactions.values()
    used = any(found in (one.bank_account, *(line.account for line in one.lines)) for one in documents)
    if used or found.system_account:
        return refused_with("The account cannot be deleted, it is used or a system account")
    return _accounts(request, request.organisation.change_account(found, status="DELETED"))


def _account_fields(sent: JSON) -> JSON:
    texts = {
        "Code": "code",
        "Name": "name",
        "Description": "description",
        "TaxType": "tax_type",
        "BankAccountNumber": "bank_account_number",
        "BankAccountType": "bank_account_type",
        "CurrencyCode": "currency",
    }
    fields: JSON = {ours: read.text(sent, name) for name, ours in texts.items() if sent.get(name) is not None}
    flags = {"EnablePaymentsToAccount": "enable_payments", "ShowInExpenseClaims": "show_in_expense_claims"}
    return fields | {ours: read.flag(sent, name) for name, ours in flags.items() if sent.get(name) is not None}


def _account_errors(request: ApiRequest, fields: JSON, existing: Account | None) -> list[str]:
    code, name, errors = fields.get("code", ""), fields.get("name", ""), []
    others = [one for one in request.organisation.accounts.values() if one is not existing and one.status != "DELETED"]
    if len(code) > LONGEST_CODE:
        errors.append(f"Account Code is too long. Maximum of {LONGEST_CODE} characters allowed")
    if code and any(one.code == code for one in others):
        errors.append("Please enter a unique Code.")
    if len(name) > LONGEST_NAME:
        errors.append(f"Account Name is too long. Maximum of {LONGEST_NAME} characters allowed")
    if name and any(one.name.casefold() == name.casefold() for one in others):
        errors.append("Please enter a unique Name.")
    return errors
