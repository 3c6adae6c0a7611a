"""Our records <-> Xero's JSON. Pure.

Wire names are https://developer.xero.com/documentation/api/accounting/banktransactions and its neighbours.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote

from connectors.errors import RecordRejected
from connectors.records import (
    ACCOUNT,
    CLOSED_PERIOD,
    DESCRIPTION,
    PARTY,
    TEXT,
    BookRecord,
    Entry,
    Fate,
    Field,
    Found,
    Kind,
    Line,
    Option,
    Outcome,
    Posted,
    Refused,
    Sent,
    Unknown,
    field_name,
)

JSON = dict[str, Any]

TAX = "tax"  # member of settings.extra
INCLUSIVE, NO_TAX = "inclusive", "none"  # its values
LINE_AMOUNT_TYPES = {INCLUSIVE: "Inclusive", NO_TAX: "NoTax"}
DEAD = ("DELETED", "VOIDED")
DESCRIPTION_LENGTH = 4000
NAME_LENGTH = 255
CENT = Decimal("0.01")
PEX_CURRENCY = "USD"
NOBODY = "00000000-0000-0000-0000-000000000000"

BANKS = "pex_account"  # the list of bank accounts
TRACKING = "tracking:"  # begins the key of a tracking category's field
MOST_TRACKING = 2  # categories of one line
BETWEEN_BANKS = (Kind.TRANSFER, Kind.BILL_PAYMENT)
FIELDS = (
    Field(ACCOUNT, "Expense Account", required=True, kinds=(Kind.PURCHASE, Kind.FEE)),
    Field(ACCOUNT, "Income Account", required=True, kinds=(Kind.REBATE,)),
    Field(ACCOUNT, "Source Cash", required=True, kinds=BETWEEN_BANKS, options=BANKS),
    Field(PARTY, "Contact", required=True, kinds=(Kind.FEE, Kind.REBATE)),
    Field(DESCRIPTION, "Item Description", static=False, tag_types=(TEXT,)),
)


class Resource(StrEnum):
    """Where Xero keeps a record: each has its own list, ids, attachments and page. No id stands in both."""

    TRANSACTION = "BankTransactions"
    TRANSFER = "BankTransfers"

    @classmethod
    def of(cls, kind: Kind) -> "Resource":
        return cls.TRANSFER if kind in BETWEEN_BANKS else cls.TRANSACTION

    @property
    def other(self) -> "Resource":
        return Resource.TRANSACTION if self is Resource.TRANSFER else Resource.TRANSFER

    @property
    def id_name(self) -> str:
        return f"{self.value.removesuffix('s')}ID"


Link = Callable[[Resource, str], str]  # resource and id -> where a person sees the record


# --- entry -> BankTransaction, BankTransfer ---------------------------------------------------------------------------


def bank_transaction(entry: Entry, contact_id: str, tax: str) -> JSON:
    """Spend money, or receive money where PEX got money back. Raises `RecordRejected`.

    The total in Xero is always positive: of splits with mixed signs the opposite ones become negative lines.
    """
    _check_money(entry)
    sign = 1 if entry.amount > 0 else -1
    return {
        "Type": "SPEND" if sign > 0 else "RECEIVE",
        "Contact": {"ContactID": contact_id},
        "BankAccount": {"AccountID": entry.account},
        "Date": entry.date.isoformat(),
        "Reference": entry.key,
        "Url": entry.url,
        "LineAmountTypes": LINE_AMOUNT_TYPES[tax],
        "LineItems": [_line(line, sign, entry) for line in entry.lines if line.amount],
    }


def bank_transfer(entry: Entry) -> JSON:
    """Money between PEX's bank account and the one of the only line. Raises `RecordRejected`.

    A transfer has no address of its own: the key stands in its reference alone.
    """
    _check_money(entry)
    if len(entry.lines) != 1:
        raise RecordRejected(
            "Xero keeps a transfer as one amount. Take the splits away from this transaction in PEX.", cause="split"
        )
    pair = (entry.account, entry.lines[0].account)
    source, goal = pair if entry.amount > 0 else pair[::-1]
    return {
        "FromBankAccount": {"AccountID": source},
        "ToBankAccount": {"AccountID": goal},
        "Amount": abs(entry.amount).quantize(CENT),
        "Date": entry.date.isoformat(),
        "Reference": entry.key,
    }


def _line(line: Line, sign: int, entry: Entry) -> JSON:
    words = line.description.strip() or entry.memo.strip() or f"PEX {entry.kind.label}"
    tracking = [{"TrackingCategoryID": category, "TrackingOptionID": option} for category, option in _tracked(line)]
    return {
        "Description": words[:DESCRIPTION_LENGTH],
        "Quantity": 1,
        "UnitAmount": (line.amount * sign).quantize(CENT),
        "AccountID": line.account,
        **({"Tracking": tracking} if tracking else {}),
    }


def _tracked(line: Line) -> list[tuple[str, str]]:
    """Ids of category and option of one line."""
    return [(key.removeprefix(TRACKING), option) for key, option in line.dimensions if key.startswith(TRACKING)]


def _check_money(entry: Entry) -> None:
    if not entry.amount:
        raise RecordRejected("The amount is nought: there is nothing to book.", cause="nothing")
    if sum((line.amount for line in entry.lines), Decimal()) != entry.amount:
        raise RecordRejected(
            "The splits do not add up to the amount. Correct the tags of this transaction in PEX.", cause="split"
        )
    if any(line.amount != line.amount.quantize(CENT) for line in entry.lines):
        raise RecordRejected("A split has fractions of a cent, which Xero cannot hold.", cause="split")


def check_tracking(entry: Entry, categories: Iterable[JSON]) -> None:
    """Raises `RecordRejected`: what Xero does not know or has archived it might leave out without a word."""
    known = {_norm(row["TrackingCategoryID"]): row for row in categories}
    for line in entry.lines:
        tracked = _tracked(line)
        if len(tracked) > MOST_TRACKING:
            raise RecordRejected(
                "Xero takes two tracking categories on a line. Map only two in the settings.",
                cause="tracking",
                field=f"{TRACKING}{tracked[MOST_TRACKING][0]}",
            )
        for category, option in tracked:
            says = _unfit_tracking(known.get(_norm(category)), option)
            if says:
                raise RecordRejected(says, cause="tracking", field=f"{TRACKING}{category}")


def _unfit_tracking(category: JSON | None, option_id: str) -> str:
    """Why an option cannot be used; "" when it can."""
    if category is None:
        return "A tracking category of the settings is not in Xero any more. Map another, or none."
    name = category.get("Name", "")
    if category.get("Status") != "ACTIVE":
        return f"The tracking category {name} is archived in Xero. Restore it there, or map another."
    options = (row for row in category.get("Options", ()) if _norm(row["TrackingOptionID"]) == _norm(option_id))
    option = next(options, None)
    if option is None or option.get("Status") == "DELETED":
        return f"Xero no longer has this option of {name}. Choose another one."
    if option.get("Status") != "ACTIVE":
        return f"“{option.get('Name', '')}” of {name} is archived in Xero. Restore it there, or choose another option."
    return ""


# --- what became of it ------------------------------------------------------------------------------------------------


def paired(keys: Sequence[str], elements: Sequence[JSON]) -> dict[str, JSON]:
    """Return which element of Xero's answer speaks of which key; keys nobody speaks of for certain are left out.

    Xero promises no order. An element belongs to the key its `Reference` names, when only one does. One without a
    reference counts by its place, when all the others stand at theirs, and never as a success.
    """
    named = [_norm(element.get("Reference", "")) for element in elements]
    by_name = {name: element for name, element in zip(named, elements, strict=True) if named.count(name) == 1}
    found = {key: by_name[_norm(key)] for key in keys if _norm(key) in by_name}
    in_order = len(keys) == len(elements) and all(
        name in ("", _norm(key)) for key, name in zip(keys, named, strict=True)
    )
    if in_order:
        silent = {key: element for key, element in zip(keys, elements, strict=True) if key not in found}
        found |= {key: element for key, element in silent.items() if failed(element)}
    return found


def outcome(entry: Entry, element: JSON, link: Link, categories: Iterable[JSON] = ()) -> Outcome:
    """What one element of a batch says, under HTTP 200 too (an id alone proves nothing).

    `categories` give what Xero may have left out its name.
    """
    said = messages(element)
    if failed(element):
        return refusal(said or ["Xero refused it without saying why."])
    resource = Resource.of(entry.kind)
    record_id = real_id(element.get(resource.id_name))
    if not record_id or said:
        return Unknown(" ".join(said) or "Xero's answer names no record.")
    doubts = [*_doubts(entry, element), *_left_out(entry, element, categories)]
    return Posted(record_id=record_id, link=link(resource, record_id), says=" ".join(doubts))


def failed(element: JSON) -> bool:
    return element.get("StatusAttributeString") == "ERROR" or bool(element.get("ValidationErrors"))


def _doubts(entry: Entry, element: JSON) -> Iterator[str]:
    """The record stands all the same: sentences to show beside it."""
    yield from _texts(element.get("Warnings"))
    total = element.get("Total", element.get("Amount"))
    if total is not None and Decimal(total) != abs(entry.amount):
        yield f"Xero booked {money(total)} instead of {money(abs(entry.amount))}: check its tax lines."
    currency = element.get("CurrencyCode") or entry.currency
    if currency != entry.currency:
        yield f"Xero booked it in {currency}, not in {entry.currency}: check the bank account."


def _left_out(entry: Entry, element: JSON, categories: Iterable[JSON]) -> Iterator[str]:
    """Tracking that was sent and did not come back. An answer without lines says nothing about it."""
    items = element.get("LineItems")
    if not items:
        return
    sent = Counter(_ids(*pair) for line in entry.lines if line.amount for pair in _tracked(line))
    kept = Counter(
        _ids(row.get("TrackingCategoryID", ""), row.get("TrackingOptionID", ""))
        for item in items
        for row in item.get("Tracking") or ()
    )
    lost = sent - kept
    if lost:
        names = _tracking_names(categories)
        each = ", ".join(names.get(pair, "a tracking option") for pair in lost)
        yield f"Xero booked it without its tracking: {each}. Set it on the record there."


def _tracking_names(categories: Iterable[JSON]) -> dict[tuple[str, str], str]:
    return {
        _ids(category["TrackingCategoryID"], option["TrackingOptionID"]): (
            f"{category.get('Name', '')} “{option.get('Name', '')}”"
        )
        for category in categories
        for option in category.get("Options", ())
    }


def _ids(category: str, option: str) -> tuple[str, str]:
    return _norm(category), _norm(option)


def messages(element: JSON) -> list[str]:
    """The sentences of an element and of what is nested in it, in order, each once."""
    parts = (element.get(name) for name in ("Contact", "BankAccount", "FromBankAccount", "ToBankAccount"))
    nested = [element, *element.get("LineItems", ()), *parts]
    texts = [text for part in nested if part for text in _texts(part.get("ValidationErrors"))]
    return list(dict.fromkeys(texts))


def _texts(rows: Iterable[JSON] | None) -> Iterator[str]:
    for row in rows or ():
        text = str(row.get("Message") or row.get("Description") or "").strip()
        if text:
            yield text


@dataclass(frozen=True, slots=True)
class Known:
    """A message of Xero known by a fragment that does not change.

    In `says`, {date} is the lock date it tells, {quoted} the code of the account it quotes, {name} what stands before
    the fragment, {text} all of it.
    """

    fragment: str
    cause: str
    says: str
    field: str = ""


_LOCKED = "Closed{date} in Xero. Open the period there, or leave it out."
_TAX = (
    "Xero does not take the tax rate of the account{quoted}. Choose a default tax rate for it in Xero, or set tax to "
    "none."
)
_NO_CONTACT = "The transaction has no contact. Choose one in the settings."
_OURS = "PEX Sync sent something Xero cannot read. Ask whoever runs it, with the words of Xero: {text}"
KNOWN: tuple[Known, ...] = (
    Known("before the period lock date", CLOSED_PERIOD, _LOCKED),
    Known("before the end of year lock date", CLOSED_PERIOD, _LOCKED),
    Known(
        "bank account is archived",
        "bank_account",
        "The bank account {name} is archived in Xero. Restore it there, or choose another in the settings.",
        BANKS,
    ),
    Known(
        "has been archived",
        "account_archived",
        "The account{quoted} is archived in Xero. Restore it there, or choose another account.",
        ACCOUNT,
    ),
    Known(
        "is not a valid code for this document",
        "account",
        "Xero does not allow the account{quoted} on a bank transaction. Choose an ordinary account.",
        ACCOUNT,
    ),
    Known("Account must be valid", "account", "The account is not in Xero any more. Choose another account.", ACCOUNT),
    Known("cannot be used for this type of transaction", "tax", _TAX, TAX),
    Known("cannot be used with account code", "tax", _TAX, TAX),
    Known("TaxType field is mandatory", "tax", _TAX, TAX),
    Known("Tax rate must be valid", "tax", _TAX, TAX),
    Known(
        "contact is archived",
        "contact_archived",
        "The contact is archived in Xero. Restore it there, or choose another contact in the settings.",
        PARTY,
    ),
    Known(
        "already assigned to another contact",
        "contact",
        "Xero has a contact of this name that we cannot use. Look for it under Contacts in Xero.",
        PARTY,
    ),
    Known("to identify the contact", "contact", _NO_CONTACT, PARTY),
    Known("A Contact must be specified", "contact", _NO_CONTACT, PARTY),
    Known(
        "is not subscribed to currency",
        "currency",
        "The Xero organisation does not keep this currency. Add it in Xero, or choose a bank account in US dollars.",
        BANKS,
    ),
    Known(
        "reconciled with a Bank Statement",
        "reconciled",
        "It is reconciled in Xero and cannot be changed there any more. Leave it as it is.",
    ),
    Known("Url must be a valid absolute url", "mistake", _OURS),
    Known("does not match the expected line total", "mistake", _OURS),
    Known("Quantity must not be less than zero", "mistake", _OURS),
    Known("Account Code is too long", "mistake", _OURS),
    Known("Please enter a unique Name", "mistake", _OURS),
)


def refusal(said: Sequence[str]) -> Refused:
    """All that Xero said: in our words where we know the message, else as it came.

    A closed period waits by itself; it is the cause only where nothing else is wrong.
    """
    known = [_known(text) for text in said]
    to_mend = [row for row in known if row is None or row.cause != CLOSED_PERIOD] or known
    first = next((row for row in to_mend if row), None)
    sentences = [_sentence(row, text) if row else text for row, text in zip(known, said, strict=True)]
    return Refused(
        says=" ".join(dict.fromkeys(sentences)),
        cause=first.cause if first else "refused",
        field=first.field if first else "",
    )


def about(kind: Kind, refused: Refused) -> Refused:
    """A field of another kind's settings is called after it: "fee:account". Some settings hold for all kinds."""
    shared = refused.field in ("", BANKS, TAX)
    return refused if shared else replace(refused, field=field_name(kind, refused.field))


def _known(text: str) -> Known | None:
    return next((row for row in KNOWN if row.fragment.lower() in text.lower()), None)


_DAY = re.compile(r"currently set at (\d{1,2})-([a-z]{3})[a-z]*-(\d{4})", re.IGNORECASE)
_QUOTED = re.compile(r"account code '([^']+)'", re.IGNORECASE)


def _sentence(known: Known, text: str) -> str:
    closed, quoted = _DAY.search(text), _QUOTED.search(text)
    return known.says.format(
        date=f" to {int(closed[1])} {closed[2].title()} {closed[3]}" if closed else " to this date",
        quoted=f" {quoted[1]}" if quoted else "",
        name=text[: text.lower().index(known.fragment.lower())].strip() or "of the settings",
        text=text,
    )


# --- BankTransaction, BankTransfer -> our records ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """A bank transaction or transfer as looks compare it."""

    resource: Resource
    id: str
    live: bool
    date: date | None
    reference: str
    url: str
    sides: Mapping[str, Decimal]  # id of a bank account -> the amount, signed our way as that account sees it

    @property
    def keys(self) -> set[str]:
        """The keys it carries: in its reference, and at the end of its address."""
        from_url = self.url.rpartition("=")[2].partition("-")[2]
        return {_norm(text) for text in (self.reference, from_url)} - {""}

    def amount(self, account: str, like: Decimal) -> Decimal:
        """What this account sees. On other accounts: the side of a transfer that has the sign of `like`."""
        seen = self.sides.get(_norm(account))
        if seen is not None:
            return seen
        return max(self.sides.values(), key=lambda side: (side > 0) == (like > 0))


def is_leg(row: JSON) -> bool:
    """Whether a bank transaction is one side of a transfer. Xero may list those or not; the transfer counts."""
    return str(row.get("Type", "")).endswith("-TRANSFER")


def transaction_record(row: JSON) -> Record:
    total = Decimal(row.get("Total", 0))
    spent = str(row.get("Type", "")).startswith("SPEND")
    return Record(
        Resource.TRANSACTION,
        row[Resource.TRANSACTION.id_name],
        row.get("Status") not in DEAD,
        day(row, "Date"),
        row.get("Reference") or "",
        row.get("Url") or "",
        {_account_id(row, "BankAccount"): total if spent else -total},
    )


def transfer_record(row: JSON) -> Record:
    """Without a status it counts as live: older servers send none."""
    total = Decimal(row.get("Amount", 0))
    return Record(
        Resource.TRANSFER,
        row[Resource.TRANSFER.id_name],
        row.get("Status") not in DEAD,
        day(row, "Date"),
        row.get("Reference") or "",
        "",
        {_account_id(row, "FromBankAccount"): total, _account_id(row, "ToBankAccount"): -total},
    )


def legs_of(transfer: JSON) -> set[str]:
    """Ids of the two bank transactions that a transfer shows up as."""
    return {_norm(transfer.get(name) or "") for name in ("FromBankTransactionID", "ToBankTransactionID")}


def _account_id(row: JSON, name: str) -> str:
    return _norm((row.get(name) or {}).get("AccountID", ""))


def book_records(account: str, rows: Iterable[JSON], transfers: Iterable[JSON], link: Link) -> list[BookRecord]:
    """What stands on one bank account, each movement once."""
    mine = _norm(account)
    spent = [(transaction_record(row), row) for row in rows if not is_leg(row)]
    moved = [(transfer_record(row), row) for row in transfers]
    return [
        BookRecord(
            id=record.id,
            date=record.date or date.min,
            amount=record.sides[mine],
            reference=record.reference,
            party=_party(row, mine),
            state=row.get("Status", ""),
            live=record.live,
            link=link(record.resource, record.id),
            texts=(record.url,),
        )
        for record, row in [*spent, *moved]
        if mine in record.sides
    ]


def _party(row: JSON, account: str) -> str:
    """Of a transfer: the bank account on the other side."""
    if "Contact" in row:
        return str((row["Contact"] or {}).get("Name", ""))
    sides = [name for name in ("FromBankAccount", "ToBankAccount") if name in row and _account_id(row, name) != account]
    return str(row[sides[0]].get("Name", "")) if sides else ""


def found(sent: Sent, records: Sequence[Record], covered: bool, link: Link) -> Found:
    """The fate of one row, from all records that carry one of its keys or its id (rule L2).

    `covered` says that there are surely no others.
    """
    alive = [record for record in records if record.live]
    amounts = [record.amount(sent.account, sent.amount) for record in alive]
    total = sum(amounts, Decimal())
    if not total:
        return _none_alive([record for record in records if _is_of(sent, record)], alive, covered)
    there = Found(Fate.LIVE, alive[0].id, link(alive[0].resource, alive[0].id))
    if len(alive) > 1 and all(amount == sent.amount for amount in amounts):
        return replace(there, fate=Fate.DOUBLED, says=f"Xero holds it {len(alive)} times. Delete all but one there.")
    differences = list(_differences(sent, alive, total))
    if differences:
        return replace(there, fate=Fate.DOUBTFUL, says=" ".join(differences))
    return replace(there, says=_remark(sent, alive))


def _is_of(sent: Sent, record: Record) -> bool:
    """Whether the record is one of the present generation: a dead one of an earlier generation is no news."""
    return _norm(sent.key) in record.keys or _norm(record.id) == _norm(sent.record_id)


def _none_alive(records: Sequence[Record], alive: Sequence[Record], covered: bool) -> Found:
    if not covered:
        return Found(Fate.UNSEEN)
    if not records:
        return Found(Fate.ABSENT)
    says = "Its records in Xero cancel each other." if alive else "It was deleted in Xero."
    return Found(Fate.DEAD, record_id=records[0].id, says=says)


def _differences(sent: Sent, alive: Sequence[Record], total: Decimal) -> Iterator[str]:
    if total != sent.amount:
        yield f"In Xero it stands with {money(total)} instead of {money(sent.amount)}."
    dates = {record.date for record in alive}
    if sent.date and dates != {sent.date}:
        there = ", ".join(sorted(str(found) for found in dates))
        yield f"In Xero it is dated {there} instead of {sent.date}."
    if sent.account and not all(_norm(sent.account) in record.sides for record in alive):
        yield "In Xero it stands on another bank account."


def _remark(sent: Sent, alive: Sequence[Record]) -> str:
    if len(alive) > 1:
        return f"In Xero it was divided into {len(alive)} records that add up to it."
    reference = alive[0].reference
    if _norm(reference) not in {_norm(key) for key in (sent.key, *sent.earlier)}:
        return f"Its reference in Xero was changed to “{reference}”."
    return ""


PAGES = {
    Resource.TRANSACTION: "/Bank/ViewTransaction.aspx?bankTransactionID=",
    Resource.TRANSFER: "/Bank/ViewTransfer.aspx?bankTransferID=",
}


def deep_link(go_url: str, short_code: str, resource: Resource, record_id: str) -> str:
    """Where a signed-in person sees the record in Xero."""
    page = f"{PAGES[resource]}{record_id}"
    return f"{go_url}/organisationlogin/default.aspx?shortcode={quote(short_code, safe='')}&redirecturl={page}"


_RECORD_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)


def record_id(text: str) -> str:
    """The last id in an address of Xero or in what a person typed; "" when none stands there."""
    found = _RECORD_ID.findall(unquote(text))
    return found[-1].lower() if found else ""


# --- settings ---------------------------------------------------------------------------------------------------------


def expense_accounts(rows: Iterable[JSON]) -> list[Option]:
    """What a line may be booked to. Archived accounts stay listed, not active, so that their purchases say why."""
    ordinary = (row for row in rows if row.get("Type") != "BANK" and not row.get("SystemAccount"))
    return [_account(row, str(row.get("Class", "")).capitalize()) for row in ordinary if row.get("Status") != "DELETED"]


def bank_accounts(rows: Iterable[JSON], base_currency: str) -> list[Option]:
    """What may stand for PEX; `group` is the currency the account is kept in."""
    banks = (row for row in rows if row.get("Type") == "BANK" and row.get("Status") != "DELETED")
    return [_account(row, row.get("CurrencyCode") or base_currency) for row in banks]


def _account(row: JSON, group: str) -> Option:
    return Option(
        id=row["AccountID"],
        name=row.get("Name", ""),
        code=row.get("Code", ""),
        active=row.get("Status") == "ACTIVE",
        group=group,
        type=row.get("BankAccountType") or "",
    )


def tracking_fields(rows: Iterable[JSON]) -> list[Field]:
    """One field for each active tracking category; Xero keeps two at most."""
    kinds = (Kind.PURCHASE, Kind.FEE, Kind.REBATE)
    return [
        Field(f"{TRACKING}{row['TrackingCategoryID']}", row.get("Name", ""), kinds=kinds)
        for row in rows
        if row.get("Status") == "ACTIVE"
    ]


def tracking_options(rows: Iterable[JSON], field: str) -> list[Option]:
    """The options of one category, archived ones too; none for a category that is gone."""
    wanted = field.removeprefix(TRACKING).lower()
    return [
        Option(id=row["TrackingOptionID"], name=row.get("Name", ""), active=row.get("Status") == "ACTIVE")
        for category in rows
        if category["TrackingCategoryID"].lower() == wanted
        for row in category.get("Options", ())
        if row.get("Status") != "DELETED"
    ]


def contact_options(rows: Iterable[JSON]) -> list[Option]:
    return [
        Option(id=row["ContactID"], name=row.get("Name", ""), active=row.get("ContactStatus") == "ACTIVE")
        for row in rows
        if not row.get("MergedToContactID")
    ]


def closed_until(organisation: JSON) -> date | None:
    """The later of the two lock dates; a posting on that very day is refused too."""
    days = [day(organisation, name) for name in ("PeriodLockDate", "EndOfYearLockDate")]
    return max((found for found in days if found), default=None)


def pays_tax(organisation: JSON) -> bool:
    return bool(organisation.get("PaysTax"))


# --- their notation ---------------------------------------------------------------------------------------------------

_MS_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")


def instant(text: str) -> datetime:
    """`/Date(1661360170477+0000)/` or ISO, to UTC. The zone after the milliseconds does not move the instant."""
    match = _MS_DATE.fullmatch(text)
    if match:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(match[1]))
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def day(row: Mapping[str, Any], name: str) -> date | None:
    """A calendar day: from the readable twin (`DateString`) where there is one."""
    twin = row.get(f"{name}String")
    if twin:
        return date.fromisoformat(twin[:10])
    text = row.get(name)
    return instant(text).date() if text else None


def contact_name(name: str) -> str:
    """As it is sent: one space between words, at most 255 characters."""
    return " ".join(name.split())[:NAME_LENGTH].strip()


def contact_key(name: str) -> str:
    """What makes two contacts one to Xero: letters without case and accents."""
    letters = unicodedata.normalize("NFKD", contact_name(name))
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def real_id(text: str | None) -> str:
    return text if text and text != NOBODY else ""


def money(value: Decimal | int) -> str:
    return f"{Decimal(value):,.2f}"


def _norm(text: str) -> str:
    return text.strip().casefold()
