"""PEX's JSON as our records. Pure: values in, values out, no clock.

PEX counts from the account's side: a purchase is negative there, positive here. The sign is turned once, by
`_money_out`. Wall-clock times of its lists are US/Eastern and become aware UTC.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from connectors.records import Allocation, Kind, Note, PexAttachment, Source, TagValue, Transaction

JSON = dict[str, Any]

EASTERN = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
NOUGHT = Decimal("0.00")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # stands for a date PEX did not give, always beside a problem

REBATE_TEXTS = frozenset({"Rebate Credit", "Rebate Credit Reversal", "Rebate payout"})
CARD_FEE, BUSINESS_FEE = "cardaccountfee", "businessaccountfee"
DISPUTE, FUNDING, REBATE = "dispute", "businessfunding", "businessrebate"
# Names are what PEX sends; some of its own software speaks in the numbers.
TYPES = {-1: "Invalid", 1: "Transfer", 2: "Network", 3: "Load"}
TAG_TYPES = {
    0: "Text",
    1: "YesNo",
    2: "Dropdown",
    3: "Decimal",
    4: "PercentageTax",
    5: "AbsoluteTax",
    6: "MerchantAddress",
    10: "Allocation",
}


# --- transactions -------------------------------------------------------------------------------------------


def card_row(row: JSON, cardholders: Mapping[int, str] | None = None, *, bill_pay: bool = False) -> Transaction:
    """One row of the card list. `bill_pay`: it showed only with `IncludeVendorBillPay`."""
    kind, dispute = _card_kind(row)
    account = row.get("AcctId")
    return _transaction(
        row,
        kind=kind,
        dispute=dispute,
        bill_pay=bill_pay,
        account_id=account,
        cardholder=cardholders.get(account, "") if cardholders is not None and account is not None else "",
    )


def business_row(row: JSON, *, charge: bool = False) -> Transaction:
    """One row of the business account's list. Its tags are of no use.

    On a charge account money in and rebates are posted from the statements, so their rows here have no kind.
    """
    return _transaction({**row, "TransactionTags": None}, kind=_business_kind(row, charge))


# Of a statement's payments. Credits nobody has a rule for stand with the bill payments, so that somebody decides.
PAYMENT_KINDS = {
    "PEXTransfer": Kind.BILL_PAYMENT,
    "SameDayACH": Kind.BILL_PAYMENT,
    "Reversal": Kind.BILL_PAYMENT,
    "SalesCredit": Kind.BILL_PAYMENT,
    "WriteOff": Kind.BILL_PAYMENT,
    "RebateCredit": Kind.REBATE,
    "RebateCreditReversal": Kind.REBATE,
}
PAYMENT_TYPES = {
    1: "PEXTransfer",
    2: "SalesCredit",
    3: "WriteOff",
    4: "Reversal",
    5: "RebateCredit",
    6: "RebateCreditReversal",
    7: "SameDayACH",
    8: "CarryOverCredit",
}
GIVEN_BACK = frozenset({"Reversal", "RebateCreditReversal"})  # they credit the PEX account, all others debit it


def statement_payment(row: JSON, invoice_id: int) -> Transaction:
    """One payment of a charge account's statement. PEX gives amounts without a sign; the type tells the direction.

    A carry-over moves nothing and has no kind, nor has a type nobody has heard of.
    """
    given = row.get("Type")
    type_ = PAYMENT_TYPES.get(given, str(given)) if isinstance(given, int) else _text(given)
    amount, problem = _money_out(row.get("Amount"))
    paid = utc(row.get("DatePaid"))
    if paid is None:
        problem = problem or "PEX gave no date for this payment. Ask PEX support about it."
    return Transaction(
        pex_id=int(row["PaymentId"]),
        source=Source.STATEMENT_PAYMENT,
        kind=PAYMENT_KINDS.get(type_),
        amount=abs(amount) if type_ in GIVEN_BACK else -abs(amount),
        happened_at=paid or NEVER,
        settled_at=paid,
        category=type_,
        description=_text(row.get("Description")),
        invoice_id=invoice_id,
        rejected=row.get("RejectedByBank") is True,
        problem=problem,
    )


@dataclass(frozen=True, slots=True)
class Invoice:
    """A statement of a charge account, as PEX calls it."""

    id: int
    due: date | None
    open: bool
    draft: bool = False


INVOICE_STATES = {1: "Open", 2: "Closed", 3: "Cancelled", 4: "Draft"}


def invoice(row: JSON) -> Invoice:
    given = row.get("Status")
    status = INVOICE_STATES.get(given, "") if isinstance(given, int) else _text(given)
    due = utc(row.get("DueDate"))
    return Invoice(
        id=int(row["InvoiceId"]),
        due=due.astimezone(EASTERN).date() if due else None,
        open=status == "Open",
        draft=status == "Draft",
    )


def _card_kind(row: JSON) -> tuple[Kind | None, bool]:
    type_, category = _type(row), _category(row)
    if category == CARD_FEE:
        return Kind.FEE, False
    if type_ == "Network":
        return Kind.PURCHASE, False
    if type_ == "Transfer" and category == DISPUTE:
        return Kind.PURCHASE, True
    return None, False


def _business_kind(row: JSON, charge: bool) -> Kind | None:
    category = _category(row)
    if category == BUSINESS_FEE:
        return Kind.FEE
    # In some environments a rebate is a BusinessFunding row, so it is told apart before transfers are.
    if category == REBATE or _text(row.get("Description")) in REBATE_TEXTS:
        return None if charge else Kind.REBATE
    if category == FUNDING:
        return None if charge else Kind.TRANSFER
    return None


def _type(row: JSON) -> str:
    given = row.get("TransactionType")
    return given if isinstance(given, str) else TYPES.get(given, "") if isinstance(given, int) else ""


def _category(row: JSON) -> str:
    return _text(row.get("TransactionTypeCategory")).lower()


def _transaction(
    row: JSON,
    kind: Kind | None,
    dispute: bool = False,
    bill_pay: bool = False,
    account_id: int | None = None,
    cardholder: str = "",
) -> Transaction:
    amount, problem = _money_out(row.get("TransactionAmount"))
    happened, settled = utc(row.get("TransactionTime")), utc(row.get("SettlementTime"))
    if happened is None:
        happened = settled or utc(row.get("HoldTime")) or NEVER
        if happened is NEVER:
            problem = problem or "PEX gave no date for this transaction. Ask PEX support about it."
    allocations, unsplit = _allocations(row.get("TransactionTags"), amount)
    foreign_amount, foreign_currency = _foreign(row, amount)
    return Transaction(
        pex_id=int(row["TransactionId"]),
        source=Source.TRANSACTION,
        kind=kind,
        amount=amount,
        happened_at=happened,
        settled_at=settled,
        pending=row.get("IsPending") is True,
        declined=row.get("IsDecline") is True,
        category=_text(row.get("TransactionTypeCategory")),
        account_id=account_id,
        cardholder=cardholder,
        description=_text(row.get("Description")),
        merchant=_text(row.get("MerchantName")),
        merchant_clean=_text(row.get("MerchantNameNormalized")),
        mcc=_text(row.get("MCCCode")),
        approval=_text(row.get("MetadataApprovalStatus")),
        dispute=dispute,
        bill_pay=bill_pay,
        authorization_id=row.get("AuthTransactionId") or None,
        network_id=row.get("NetworkTransactionId") or None,
        foreign_amount=foreign_amount,
        foreign_currency=foreign_currency,
        allocations=allocations,
        notes=tuple(_notes(row.get("TransactionNotes"))),
        problem=problem or unsplit,
    )


def _money_out(given: Any) -> tuple[Decimal, str]:
    """Turn PEX's sign to ours, here and nowhere else. Returns the amount, and why there is none."""
    amount = money(given)
    if amount is None:
        return NOUGHT, "PEX gave no amount in whole cents for this transaction. Ask PEX support about it."
    return -amount, ""


def money(given: Any) -> Decimal | None:
    """Return an amount with two decimals; None when it is none or has fractions of a cent."""
    if given is None or given.__class__ is bool:
        return None
    try:
        exact = given if given.__class__ is Decimal else Decimal(given)
        rounded = exact.quantize(CENT)
    except (InvalidOperation, ValueError, TypeError):
        return None
    return rounded if rounded == exact else None


def utc(given: Any) -> datetime | None:
    """Return the instant of an Eastern wall-clock text. An hour that comes twice counts as its first."""
    if not isinstance(given, str) or not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=EASTERN)).astimezone(UTC)


# --- tags and splits ----------------------------------------------------------------------------------------


def _allocations(given: Any, amount: Decimal) -> tuple[tuple[Allocation, ...], str]:
    """Return the tagged shares, signed like the total, and why they cannot be used, if so.

    Each line of a split is an entry of its own under the allocation tag's id; equal lines are meant. Where
    there is a split, the other tags of the row do not count. One that does not sum is told, never repaired.
    """
    entries = given.get("Tags") if isinstance(given, dict) else None
    if not entries:
        return (Allocation(amount),), ""
    plain: list[TagValue] = []
    lines: list[Allocation] = []
    problem = ""
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        split = _split(entry)
        if split is None:
            plain += _tag_value(entry.get("FieldId"), entry.get("Value"), entry.get("Name"))
            continue
        share = money(split.get("Amount"))
        if share is None or share < 0:
            problem = "A split of this purchase has no readable amount. Correct the split in PEX."
            share = NOUGHT
        lines.append(Allocation(share if amount >= 0 else -share, tuple(_inner_tags(split.get("Allocation")))))
    if not lines:
        return (Allocation(amount, tuple(plain)),), ""
    total = sum((line.amount for line in lines), NOUGHT)
    if total != amount and not problem:
        problem = (
            f"The splits of this transaction add up to {abs(total)}, its amount is {abs(amount)}. "
            "Correct the split in PEX."
        )
    return tuple(lines), problem


def _split(entry: JSON) -> JSON | None:
    """Return the split line of a tag entry (JSON text, or an object); None for any other tag."""
    value = entry.get("Value")
    if isinstance(value, str):
        if not value.startswith("{") or '"Allocation"' not in value:
            return None
        try:
            value = json.loads(value, parse_float=Decimal)
        except ValueError:
            return None
    if not isinstance(value, dict) or "Allocation" not in value:
        return None
    # A text somebody typed may look like a split; a split names its own tag.
    return value if value.get("TagId", entry.get("FieldId")) == entry.get("FieldId") else None


def _inner_tags(given: Any) -> Iterator[TagValue]:
    for entry in given or ():
        if isinstance(entry, dict):
            yield from _tag_value(entry.get("TagId"), entry.get("Value"), entry.get("Name"))


def _tag_value(tag_id: Any, value: Any, name: Any) -> Iterable[TagValue]:
    """Return the tag's value as text, or nothing where it is not filled in."""
    if value is None or value == "" or not tag_id:
        return ()
    if value.__class__ is bool:
        text = "Yes" if value else "No"
    elif isinstance(value, Decimal):
        text = f"{value:f}"
    else:
        text = _text(value)
    return (TagValue(str(tag_id), text, _text(name)),)


def _notes(given: Any) -> Iterator[Note]:
    for note in given or ():
        if isinstance(note, dict):
            yield Note(note.get("NoteId") or 0, _text(note.get("NoteText")), note.get("SystemGenerated") is True)


# --- currencies ---------------------------------------------------------------------------------------------

HOME = "840"
# ISO 4217, numbers of the currencies cards meet most often.
CURRENCIES = {
    "032": "ARS",
    "036": "AUD",
    "044": "BSD",
    "052": "BBD",
    "060": "BMD",
    "124": "CAD",
    "136": "KYD",
    "152": "CLP",
    "156": "CNY",
    "170": "COP",
    "188": "CRC",
    "203": "CZK",
    "208": "DKK",
    "214": "DOP",
    "320": "GTQ",
    "344": "HKD",
    "348": "HUF",
    "352": "ISK",
    "356": "INR",
    "360": "IDR",
    "376": "ILS",
    "388": "JMD",
    "392": "JPY",
    "404": "KES",
    "410": "KRW",
    "458": "MYR",
    "484": "MXN",
    "504": "MAD",
    "554": "NZD",
    "566": "NGN",
    "578": "NOK",
    "604": "PEN",
    "608": "PHP",
    "634": "QAR",
    "682": "SAR",
    "702": "SGD",
    "704": "VND",
    "710": "ZAR",
    "752": "SEK",
    "756": "CHF",
    "764": "THB",
    "780": "TTD",
    "784": "AED",
    "818": "EGP",
    "826": "GBP",
    "840": "USD",
    "901": "TWD",
    "941": "RSD",
    "946": "RON",
    "949": "TRY",
    "975": "BGN",
    "978": "EUR",
    "980": "UAH",
    "985": "PLN",
    "986": "BRL",
}


def _foreign(row: JSON, amount: Decimal) -> tuple[Decimal | None, str]:
    """Return what the merchant charged in another currency, signed like the amount."""
    given = row.get("SourceAmount")
    if given is None:
        return None, ""
    number = _text(row.get("SourceCurrencyNumericCode")).zfill(3)
    source = money(given)
    if number == HOME or source is None:
        return None, ""
    currency = CURRENCIES.get(number) or _text(row.get("SourceCurrencyCodeDescription"))
    return (abs(source) if amount >= 0 else -abs(source)), currency


# --- receipts, tags, people, the account --------------------------------------------------------------------

TROUBLES = {
    "Deleted": "This receipt was deleted in PEX.",
    "HasMalware": "PEX found malware in this receipt. Upload a clean copy in PEX.",
    "LoadFailed": "PEX could not load this receipt. Upload it again in PEX.",
}


def attachment(given: JSON) -> PexAttachment:
    """A receipt of a transaction. A status nobody has heard of counts as not ready yet."""
    status = _text(given.get("UploadStatus"))
    return PexAttachment(
        id=_text(given.get("AttachmentId")),
        ready=status in ("Loaded", ""),
        kind=_text(given.get("Type")),
        size=given.get("Size") or 0,
        trouble=TROUBLES.get(status, ""),
    )


@dataclass(frozen=True, slots=True)
class TagOption:
    """One row of a dropdown: `value` is the key that transactions store, `name` is what people read."""

    value: str
    name: str
    enabled: bool = True
    order: int = 0


@dataclass(frozen=True, slots=True)
class TagDefinition:
    id: str
    name: str
    type: str  # Dropdown, Text, Decimal, YesNo, Allocation ... as PEX names it
    required: bool = False
    enabled: bool = True
    deleted: bool = False
    order: int = 0
    options: tuple[TagOption, ...] = ()


def tag(given: JSON) -> TagDefinition:
    type_ = given.get("Type")
    return TagDefinition(
        id=_text(given.get("Id")),
        name=_text(given.get("Name")),
        type=TAG_TYPES.get(type_, str(type_)) if isinstance(type_, int) else _text(type_),
        required=given.get("IsRequired") is True,
        enabled=given.get("IsEnabled") is not False,
        deleted=given.get("IsDeleted") is True or given.get("DeletedDateUtc") is not None,
        order=given.get("Order") or 0,
        options=tuple(
            TagOption(
                value=_text(option.get("Value")),
                name=_text(option.get("Name")),
                enabled=option.get("IsEnabled") is not False,
                order=option.get("Order") or 0,
            )
            for option in given.get("Options") or ()
            if isinstance(option, dict)
        ),
    )


# What a replacement must carry besides the options, else PEX forgets it.
OF_A_TAG = ("Name", "Description", "Order", "IsRequired", "IsEnabled", "ConcurrencyKey")


def dropdown(given: JSON, options: Iterable[TagOption]) -> JSON:
    """The body that replaces a dropdown as PEX gave it with all its options: only these options differ in it."""
    rows = {_text(row.get("Value")): row for row in given.get("Options") or () if isinstance(row, dict)}
    kept = {name: given[name] for name in OF_A_TAG if given.get(name) is not None}
    return {**kept, "Options": [_option_row(option, rows.get(option.value)) for option in options]}


def _option_row(option: TagOption, given: JSON | None) -> JSON:
    """What is unchanged goes back as it came, with what we do not know of."""
    if given is None:
        return {"Name": option.name, "Value": option.value, "Order": option.order, "IsEnabled": option.enabled}
    name = given["Name"] if _text(given.get("Name")) == option.name else option.name
    return {**given, "Name": name, "IsEnabled": option.enabled}


@dataclass(frozen=True, slots=True)
class Admin:
    """The person a token belongs to, with the names of the permissions that are switched on."""

    admin_id: int | None
    username: str
    name: str
    email: str
    permissions: tuple[str, ...]


def admin(profile: JSON) -> Admin:
    """`GET Business/MyProfile`."""
    given = profile.get("Admin") or {}
    permissions = given.get("Permissions") or {}
    return Admin(
        admin_id=given.get("BusinessAdminId"),
        username=_text(given.get("UserName")),
        name=" ".join(filter(None, (_text(given.get("FirstName")), _text(given.get("LastName"))))),
        email=_text(given.get("Email")),
        permissions=tuple(sorted(name for name, on in permissions.items() if on is True)),
    )


def cardholders(details: JSON) -> dict[int, str]:
    """Return the names on the cards by account id, closed ones too, from `GET Details/AccountDetails`."""
    return {
        account["AccountId"]: " ".join(filter(None, (_text(account.get("FirstName")), _text(account.get("LastName")))))
        for account in details.get("CHAccountList") or ()
        if isinstance(account, dict) and account.get("AccountId") is not None
    }


def glance(details: JSON, settings: JSON) -> dict[str, Any]:
    """Return the account's figures for the overview: money as text, None where PEX is silent."""
    accounts = [account for account in details.get("CHAccountList") or () if isinstance(account, dict)]
    limit, used = settings.get("VendorLimit"), details.get("OpenVendorCardsCount")
    balance = money(details.get("BusinessAccountBalance"))
    available = _sum(account.get("AvailableBalance") for account in accounts)
    ledger = _sum(account.get("LedgerBalance") for account in accounts)
    return {
        "status": _text(details.get("BusinessAccountStatus")),
        "number": _text(details.get("BusinessAccountNumber")),
        "balance": _figure(balance),
        "cards_available": str(available),
        "cards_ledger": str(ledger),
        "card_funds": str(available),
        "total_funds": None if balance is None else str(balance + available),
        "ledger_now": None if balance is None else str(balance + ledger),
        "pending_transfers": _figure(money(details.get("PendingTransferAmount"))),
        "pending_ach": _figure(money(details.get("PendingTransferAmount"))),
        "open_cards": details.get("OpenCardholdersCount"),
        "open_vendor_cards": used,
        "vendor_cards_left": max(limit - used, 0) if isinstance(limit, int) and isinstance(used, int) else None,
        "business_balance_in_use": settings.get("UseBusinessBalance") is True,
        "bill_pay": settings.get("UseBillPay") is True,
    }


def _figure(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _sum(given: Iterable[Any]) -> Decimal:
    return sum((amount for amount in map(money, given) if amount is not None), NOUGHT)


def _text(given: Any) -> str:
    """Return PEX's text, trimmed. NUL has no place in a database's text."""
    if given is None:
        return ""
    text = given if given.__class__ is str else str(given)
    return text.replace("\0", "").strip() if "\0" in text else text.strip()
