"""What Xero refuses in a bank transaction, with its messages."""

from decimal import Decimal
from urllib.parse import urlsplit

from sandbox.xero import elements as read
from sandbox.xero.answers import ApiRequest
from sandbox.xero.drafts import Draft, LineDraft
from sandbox.xero.formats import JSON, day_in_words
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Account, BankTransaction, Contact, Line, TaxRate, Tracked
from sandbox.xero.shapes import places

PLAIN_TYPES = ("SPEND", "RECEIVE")
LONGEST_DESCRIPTION = 4000
USABLE_SYSTEM_ACCOUNTS = ("ROUNDING",)
MOST_TRACKING = 2
"""Categories per line."""


def validate(request: ApiRequest, draft: Draft) -> None:
    """Resolve the draft against the organisation and note everything Xero would refuse."""
    organisation = request.organisation
    if draft.existing:
        draft.edit_refused = _why_not_editable(organisation, draft.existing)
        draft.bank_account, draft.contact = draft.existing.bank_account, draft.existing.contact
        if draft.edit_refused or draft.deleting:
            return
    elif draft.status != "AUTHORISED":
        draft.errors.append(f"The status {draft.status} is not valid for a new bank transaction")
    _check_head(request, draft)
    _check_bank_account(organisation, draft)
    _check_contact(request, draft)
    for one in draft.lines:
        _check_line(request, draft, one)
    _check_sum(draft)


def _why_not_editable(organisation: Organisation, old: BankTransaction) -> str:
    if old.status != "AUTHORISED":
        return "This Bank Transaction cannot be edited as it has been deleted"
    if old.is_leg:
        return "This Bank Transaction cannot be edited as it belongs to a bank transfer"
    if old.is_reconciled:
        return "This Bank Transaction cannot be edited as it has been reconciled with a Bank Statement"
    broken = organisation.lock_broken(old.date)
    if broken:
        return f"The document cannot be edited as it is currently dated before the {broken[0]} lock date"
    return ""


def _check_head(request: ApiRequest, draft: Draft) -> None:
    switches = request.world.switches
    if draft.type not in PLAIN_TYPES:
        draft.errors.append(f"The Type '{draft.type}' is not valid for this document.")
    broken = request.organisation.lock_broken(draft.day)
    if broken:
        name, lock = broken
        draft.errors.append(
            f"The document date cannot be before the {name} lock date, currently set at {day_in_words(lock)}"
        )
    if draft.url and not _is_absolute(draft.url):
        draft.errors.append("Url must be a valid absolute url")
    if len(draft.reference) > switches.reference_length:
        if switches.reference_mode == "error":
            draft.errors.append(f"Reference is too long. Maximum of {switches.reference_length} characters allowed")
        draft.reference = draft.reference[: switches.reference_length]


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in url


def _check_bank_account(organisation: Organisation, draft: Draft) -> None:
    sent = read.record(draft.element, "BankAccount")
    if sent is not None:
        draft.bank_account = find_account(organisation, sent)
    elif draft.existing is None:
        draft.bank_account_errors.append("A bank account must be specified for this type of transaction")
        return
    account = draft.bank_account
    if account is None or not account.is_bank:
        draft.bank_account_errors.append("The bank account must be a valid account of type BANK")
        return
    if account.status != "ACTIVE":
        draft.bank_account_errors.append(f"{account.name} bank account is archived and cannot be used")
    _check_currency(organisation, draft, account)


def _check_currency(organisation: Organisation, draft: Draft, account: Account) -> None:
    currency = account.currency or organisation.currency
    if draft.currency and not organisation.accepts_currency(draft.currency):
        draft.errors.append(f"Organisation is not subscribed to currency {draft.currency}")
    elif draft.currency and draft.currency != currency:
        draft.errors.append(f"The currency {draft.currency} does not match the currency of the bank account")
    elif not organisation.accepts_currency(currency):
        draft.errors.append(f"Organisation is not subscribed to currency {currency}")
    draft.currency = currency
    if currency == organisation.currency:
        draft.currency_rate = None
    else:
        draft.currency_rate = draft.currency_rate or Decimal("1.000000")


def find_account(organisation: Organisation, sent: JSON) -> Account | None:
    """Return the account named by AccountID or, without one, by Code."""
    id, code = read.identifier(sent, "AccountID"), read.text(sent, "Code")
    if id:
        return organisation.accounts.get(id)
    coded = (one for one in organisation.accounts.values() if code and one.code == code)
    return min(coded, key=lambda one: one.status != "ACTIVE", default=None)


def _check_contact(request: ApiRequest, draft: Draft) -> None:
    sent, organisation = read.record(draft.element, "Contact"), request.organisation
    if sent is None:
        if draft.existing is None:
            draft.contact_errors.append("A Contact must be specified for this type of transaction")
        return
    id, name, number = read.identifier(sent, "ContactID"), read.text(sent, "Name"), read.text(sent, "ContactNumber")
    if not (id or name or number):
        draft.contact_errors.append(
            "The Contact must contain at least 1 of the following elements to identify the contact: "
            "Name, ContactID, ContactNumber"
        )
        return
    draft.contact = _find_contact(organisation, id, number, name)
    if draft.contact is None and name and not id:
        _check_new_contact(request, draft, name)
    elif draft.contact is None:
        draft.contact_errors.append("The contact could not be found")
    elif draft.contact.status != "ACTIVE":
        draft.contact_errors.append("The contact is archived and cannot be used.")


def _check_new_contact(request: ApiRequest, draft: Draft, name: str) -> None:
    draft.new_contact = name
    if len(name) > 255:
        draft.contact_errors.append("Contact Name is too long. Maximum of 255 characters allowed")
    if request.world.switches.archived_names == "refuse" and request.organisation.archived_contact(name):
        draft.contact_errors.append("The contact is archived and cannot be used.")


def _find_contact(organisation: Organisation, id: str, number: str, name: str) -> Contact | None:
    if id:
        return organisation.contacts.get(id)
    if number:
        numbered = (one for one in organisation.contacts.values() if one.number == number)
        return next(numbered, None)
    return organisation.active_contact(name)


def _check_line(request: ApiRequest, draft: Draft, one: LineDraft) -> None:
    line, organisation = one.line, request.organisation
    if not line.description:
        one.errors.append("Description is a mandatory field for a line item")
    if len(line.description) > LONGEST_DESCRIPTION:
        one.errors.append(f"Description is too long. Maximum of {LONGEST_DESCRIPTION} characters allowed")
    if line.quantity < 0:
        one.errors.append(f"The quantity value '{line.quantity}' is invalid. Quantity must not be less than zero.")
    elif line.quantity == 0:
        one.errors.append("The quantity value '0' is invalid. Quantity must be greater than zero.")
    if line.unit_amount == 0:
        one.errors.append("The unit amount of a line item must not be zero")
    if one.element.keys() == {"LineItemID"}:
        return
    line.account = _line_account(organisation, one)
    _check_tax(organisation, draft, one)
    _check_tracking(request, draft, one)


def _line_account(organisation: Organisation, one: LineDraft) -> Account | None:
    code = read.text(one.element, "AccountCode")
    id = read.identifier(one.element, "AccountID")
    account = find_account(organisation, {"AccountID": id, "Code": code})
    named = account.code if account else code
    if account is None and (id or not code):
        one.errors.append("Account must be valid.")
    elif account is None or not _postable(account):
        one.errors.append(f"Account code '{named}' is not a valid code for this document.")
    elif account.status != "ACTIVE":
        one.errors.append(f"Account code '{named}' has been archived.")
    return account


def _postable(account: Account) -> bool:
    system = account.system_account
    return not account.is_bank and account.status != "DELETED" and (not system or system in USABLE_SYSTEM_ACCOUNTS)


def _check_tax(organisation: Organisation, draft: Draft, one: LineDraft) -> None:
    line = one.line
    if draft.amount_types == "NoTax":
        line.tax_type = "NONE"
        return
    line.tax_type = read.text(one.element, "TaxType") or (line.account.tax_type if line.account else "")
    if not line.tax_type:
        one.errors.append("The TaxType field is mandatory")
        return
    rate = organisation.tax_rates.get(line.tax_type)
    error = _tax_error(line, rate)
    if error:
        one.errors.append(error)
    if rate:
        sent = read.number(one.element, "TaxAmount")
        line.tax_amount = _tax(line.line_amount, rate.rate, draft.amount_types) if sent is None else places(sent, 2)


def _tax_error(line: Line, rate: TaxRate | None) -> str:
    if rate is None:
        return f"The TaxType code '{line.tax_type}' does not exist or cannot be used for this type of transaction."
    if rate.status != "ACTIVE":
        return "Tax rate must be valid."
    if line.account and line.account.account_class not in rate.classes:
        return f"The TaxType code '{line.tax_type}' cannot be used with account code '{line.account.code}'."
    return ""


def _tax(amount: Decimal, rate: Decimal, amount_types: str) -> Decimal:
    """Return the tax of one line, half up to the cent: inside the amount, or on top of it."""
    base = 100 + rate if amount_types == "Inclusive" else Decimal(100)
    return places(amount * rate / base, 2)


def _check_tracking(request: ApiRequest, draft: Draft, one: LineDraft) -> None:
    values = read.records(one.element, "Tracking")
    found = [find_tracking(request.organisation, value) for value in values]
    one.line.tracking = [value for value in found if value]
    categories = [value.category for value in one.line.tracking]
    if len(values) > MOST_TRACKING or len(set(categories)) < len(categories):
        one.errors.append("A line item can have at most one option of each of two tracking categories")
    elif None in found and request.world.switches.tracking == "refuse":
        one.errors.append("The tracking category or option does not exist or is archived")
    elif None in found and request.world.switches.tracking == "warn":
        draft.warnings.append("A tracking option that does not exist or is archived was left out")


def find_tracking(organisation: Organisation, sent: JSON) -> Tracked | None:
    """Return the active category and option named by ids or by names."""
    category_key = read.identifier(sent, "TrackingCategoryID") or read.text(sent, "Name").casefold()
    option_key = read.identifier(sent, "TrackingOptionID") or read.text(sent, "Option")
    for category in organisation.tracking.values():
        if category.status == "ACTIVE" and category_key in (category.id, category.name.casefold()):
            option = category.option(option_key)
            return Tracked(category, option) if option and option.status == "ACTIVE" else None
    return None


def _check_sum(draft: Draft) -> None:
    if not draft.lines:
        draft.errors.append("One or more line items must be specified")
    elif not any(one.errors for one in draft.lines) and draft.totals()[2] <= 0:
        draft.errors.append("The total of the document must be greater than zero")
