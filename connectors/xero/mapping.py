"""Our records <-> Xero's JSON. Pure.

Wire names are https://developer.xero.com/documentation/api/accounting/banktransactions and its neighbours.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

from connectors.errors import RecordRejected
from connectors.records import (
    BookRecord,
    Entry,
    Fate,
    Field,
    Found,
    Line,
    Option,
    Outcome,
    Posted,
    Refused,
    Sent,
    Unknown,
)

JSON = dict[str, Any]

INCLUSIVE, NO_TAX = "inclusive", "none"  # settings.extra["tax"]
LINE_AMOUNT_TYPES = {INCLUSIVE: "Inclusive", NO_TAX: "NoTax"}
DEAD = ("DELETED", "VOIDED")
DESCRIPTION_LENGTH = 4000
NAME_LENGTH = 255
CENT = Decimal("0.01")
PEX_CURRENCY = "USD"
NOBODY = "00000000-0000-0000-0000-000000000000"

ACCOUNT = Field(key="account", label="Expense Account", required=True)


# --- entry -> BankTransaction -----------------------------------------------------------------------------------------


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


def _line(line: Line, sign: int, entry: Entry) -> JSON:
    words = line.description.strip() or entry.memo.strip() or f"PEX {entry.kind.label}"
    return {
        "Description": words[:DESCRIPTION_LENGTH],
        "Quantity": 1,
        "UnitAmount": (line.amount * sign).quantize(CENT),
        "AccountID": line.account,
    }


def _check_money(entry: Entry) -> None:
    if not entry.amount:
        raise RecordRejected("The amount is nought: there is nothing to book.", cause="nothing")
    if sum((line.amount for line in entry.lines), Decimal()) != entry.amount:
        raise RecordRejected(
            "The splits do not add up to the amount. Correct the tags of this transaction in PEX.", cause="split"
        )
    if any(line.amount != line.amount.quantize(CENT) for line in entry.lines):
        raise RecordRejected("A split has fractions of a cent, which Xero cannot hold.", cause="split")


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


def outcome(entry: Entry, element: JSON, link: Callable[[str], str]) -> Outcome:
    """What one element of a batch says, under HTTP 200 too (an id alone proves nothing)."""
    said = messages(element)
    if failed(element):
        return refusal(said or ["Xero refused it without saying why."])
    record_id = real_id(element.get("BankTransactionID"))
    if not record_id or said:
        return Unknown(" ".join(said) or "Xero's answer names no record.")
    return Posted(record_id=record_id, link=link(record_id), says=" ".join(_doubts(entry, element)))


def failed(element: JSON) -> bool:
    return element.get("StatusAttributeString") == "ERROR" or bool(element.get("ValidationErrors"))


def _doubts(entry: Entry, element: JSON) -> Iterator[str]:
    """The record stands all the same: sentences to show beside it."""
    yield from _texts(element.get("Warnings"))
    total = element.get("Total")
    if total is not None and Decimal(total) != abs(entry.amount):
        yield f"Xero booked {money(total)} instead of {money(abs(entry.amount))}: check its tax lines."
    currency = element.get("CurrencyCode") or entry.currency
    if currency != entry.currency:
        yield f"Xero booked it in {currency}, not in {entry.currency}: check the bank account."


def messages(element: JSON) -> list[str]:
    """The sentences of an element and of what is nested in it, in order, each once."""
    nested = [element, *element.get("LineItems", ()), element.get("Contact"), element.get("BankAccount")]
    texts = [text for part in nested if part for text in _texts(part.get("ValidationErrors"))]
    return list(dict.fromkeys(texts))


def _texts(rows: Iterable[JSON] | None) -> Iterator[str]:
    for row in rows or ():
        text = str(row.get("Message") or row.get("Description") or "").strip()
        if text:
            yield text


@dataclass(frozen=True, slots=True)
class Known:
    """A message of Xero known by a fragment that does not change. `says` "" shows Xero's own words."""

    fragment: str
    cause: str
    says: str = ""
    field: str = ""


_LOCKED = "The books are closed to this date in Xero. Move the lock date there, or leave the transaction out."
_TAX = "Xero does not accept the tax rate of the account. Choose a default tax rate for it in Xero, or set tax to none."
KNOWN: tuple[Known, ...] = (
    Known("cannot be before the period lock date", "closed_period", _LOCKED),
    Known("cannot be before the end of year lock date", "closed_period", _LOCKED),
    Known("before the end of year lock date", "closed_period", _LOCKED),
    Known(
        "bank account is archived",
        "bank_account",
        "The bank account that stands for PEX is archived in Xero. Restore it, or choose another in the settings.",
        "pex_account",
    ),
    Known(
        "has been archived",
        "account_archived",
        "The account is archived in Xero. Restore it there, or choose another account for this transaction.",
        "account",
    ),
    Known(
        "is not a valid code for this document",
        "account",
        "Xero does not allow this account on a bank transaction. Choose an ordinary expense account.",
        "account",
    ),
    Known(
        "Account must be valid",
        "account",
        "The account is not in Xero any more. Choose another account for this transaction.",
        "account",
    ),
    Known("cannot be used for this type of transaction", "tax", _TAX, "tax"),
    Known("cannot be used with account code", "tax", _TAX, "tax"),
    Known("TaxType field is mandatory", "tax", _TAX, "tax"),
    Known("Tax rate must be valid", "tax", _TAX, "tax"),
    Known(
        "contact is archived",
        "contact_archived",
        "The contact is archived in Xero. Restore it there, or choose another contact in the settings.",
        "party",
    ),
    Known(
        "already assigned to another contact",
        "contact",
        "Xero has a contact of this name that we cannot use. Look for it under Contacts in Xero.",
        "party",
    ),
    Known(
        "to identify the contact",
        "contact",
        "The transaction has no contact. Choose one in the settings.",
        "party",
    ),
    Known(
        "A Contact must be specified",
        "contact",
        "The transaction has no contact. Choose one in the settings.",
        "party",
    ),
    Known(
        "is not subscribed to currency",
        "currency",
        "The Xero organisation does not keep this currency. Add it in Xero, or choose a bank account in US dollars.",
        "pex_account",
    ),
    Known(
        "reconciled with a Bank Statement",
        "reconciled",
        "It is reconciled in Xero and cannot be changed there any more.",
    ),
)


def refusal(said: Sequence[str]) -> Refused:
    """All that Xero said: in our words where we know the message, else as it came."""
    known = [_known(text) for text in said]
    first = next((row for row in known if row), None)
    sentences = [row.says if row else text for row, text in zip(known, said, strict=True)]
    return Refused(
        says=" ".join(dict.fromkeys(sentences)),
        cause=first.cause if first else "refused",
        field=first.field if first else "",
    )


def _known(text: str) -> Known | None:
    return next((row for row in KNOWN if row.fragment.lower() in text.lower()), None)


# --- BankTransaction -> our records -----------------------------------------------------------------------------------


def live(row: JSON) -> bool:
    return row.get("Status") not in DEAD


def amount(row: JSON) -> Decimal:
    """Signed our way: money spent from the PEX account is positive."""
    total = Decimal(row.get("Total", 0))
    return total if str(row.get("Type", "")).startswith("SPEND") else -total


def keys_of(row: JSON) -> set[str]:
    """The keys a record carries: in its reference, and at the end of its address."""
    from_url = str(row.get("Url", "")).rpartition("=")[2].partition("-")[2]
    return {_norm(text) for text in (row.get("Reference", ""), from_url)} - {""}


def book_record(row: JSON, link: str) -> BookRecord:
    return BookRecord(
        id=row["BankTransactionID"],
        date=day(row, "Date") or date.min,
        amount=amount(row),
        reference=row.get("Reference", ""),
        party=row.get("Contact", {}).get("Name", ""),
        state=row.get("Status", ""),
        live=live(row),
        link=link,
        texts=(row.get("Url") or "",),
    )


def found(sent: Sent, rows: Sequence[JSON], covered: bool, link: Callable[[str], str]) -> Found:
    """The fate of one row, from all records that carry one of its keys or its id (rule L2).

    `covered` says that there are surely no others.
    """
    alive = [row for row in rows if live(row)]
    total = sum((amount(row) for row in alive), Decimal())
    if not total:
        return _none_alive([row for row in rows if _is_of(sent, row)], alive, covered)
    record_id = alive[0]["BankTransactionID"]
    record = {"record_id": record_id, "link": link(record_id)}
    if len(alive) > 1 and all(amount(row) == sent.amount for row in alive):
        return Found(Fate.DOUBLED, says=f"Xero holds it {len(alive)} times. Delete all but one there.", **record)
    differences = list(_differences(sent, alive, total))
    if differences:
        return Found(Fate.DOUBTFUL, says=" ".join(differences), **record)
    return Found(Fate.LIVE, says=_remark(sent, alive), **record)


def _is_of(sent: Sent, row: JSON) -> bool:
    """Whether the record is one of the present generation: a dead one of an earlier generation is no news."""
    return _norm(sent.key) in keys_of(row) or _norm(row["BankTransactionID"]) == _norm(sent.record_id)


def _none_alive(rows: Sequence[JSON], alive: Sequence[JSON], covered: bool) -> Found:
    if not covered:
        return Found(Fate.UNSEEN)
    if not rows:
        return Found(Fate.ABSENT)
    says = "Its records in Xero cancel each other." if alive else "It was deleted in Xero."
    return Found(Fate.DEAD, record_id=rows[0]["BankTransactionID"], says=says)


def _differences(sent: Sent, alive: Sequence[JSON], total: Decimal) -> Iterator[str]:
    if total != sent.amount:
        yield f"In Xero it stands with {money(total)} instead of {money(sent.amount)}."
    dates = {day(row, "Date") for row in alive}
    if sent.date and dates != {sent.date}:
        there = ", ".join(sorted(str(found) for found in dates))
        yield f"In Xero it is dated {there} instead of {sent.date}."
    accounts = {_norm(row.get("BankAccount", {}).get("AccountID", "")) for row in alive}
    if sent.account and accounts != {_norm(sent.account)}:
        yield "In Xero it stands on another bank account."


def _remark(sent: Sent, alive: Sequence[JSON]) -> str:
    if len(alive) > 1:
        return f"In Xero it was divided into {len(alive)} records that add up to it."
    reference = alive[0].get("Reference", "")
    if _norm(reference) not in {_norm(key) for key in (sent.key, *sent.earlier)}:
        return f"Its reference in Xero was changed to “{reference}”."
    return ""


def deep_link(go_url: str, short_code: str, record_id: str) -> str:
    """Where a signed-in person sees the record in Xero."""
    page = f"/Bank/ViewTransaction.aspx?bankTransactionID={record_id}"
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
    )


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
