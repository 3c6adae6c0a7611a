"""Our records <-> Business Central's JSON. Pure.

Wire names are https://learn.microsoft.com/dynamics365/business-central/dev-itpro/api-reference/v2.0/.
An amount there is positive where it debits an account; ours is positive where it credits the PEX account.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import Any, Self
from urllib.parse import quote, unquote

from connectors.errors import RecordRejected
from connectors.records import (
    ACCOUNT,
    PARTY,
    BookRecord,
    Entry,
    Fate,
    Field,
    Found,
    Kind,
    Line,
    Option,
    Refused,
    Sent,
    field_name,
)

JSON = dict[str, Any]

JOURNAL = "PEX CARD"  # its code; Business Central keeps codes in upper case
GL, BANK, VENDOR = "G/L Account", "Bank Account", "Vendor"
NOBODY = "00000000-0000-0000-0000-000000000000"
NO_DATE = "0001-01-01"
PEX_CURRENCY = "USD"
CENT = Decimal("0.01")
MOST_LINES = 98  # of an entry, beside the one on the PEX account
DOCUMENT, EXTERNAL, DESCRIPTION_LENGTH, COMMENT = 20, 35, 100, 250  # characters of a line's fields
NAME_LENGTH = 100  # of a vendor
NOT_SET = "Dimensions not set yet"  # begins the comment of a line while they are under way

BANKS, TAX, PEX = "bank", "tax", "pex_account"  # names of lists
BANK_ID = "bank:"  # begins the option id of a bank account
DIMENSION = "dimension:"  # begins the key of a dimension's field
KINDS = (Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.BILL_PAYMENT, Kind.REBATE)
FIELDS = (
    Field(ACCOUNT, "Expense Account", required=True),
    Field(ACCOUNT, "Fee Account", required=True, kinds=(Kind.FEE,), options=ACCOUNT),
    Field(ACCOUNT, "Bank Account", required=True, kinds=(Kind.TRANSFER, Kind.BILL_PAYMENT), options=BANKS),
    Field(ACCOUNT, "Income Account", required=True, kinds=(Kind.REBATE,), options=ACCOUNT),
    Field(PARTY, "Vendor"),
    Field(TAX, "Tax"),
)

# --- their notation ---------------------------------------------------------------------------------------------------

_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def plain(text: object) -> str:
    """The member of an enum as people write it: "G_x002F_L_x0020_Account" is "G/L Account"; a blank one is ""."""
    return _ENCODED.sub(lambda match: chr(int(match[1], 16)), str(text or "")).strip()


def day(text: object) -> date | None:
    """None for the empty date."""
    given = str(text or "")[:10]
    return None if given in ("", NO_DATE) else date.fromisoformat(given)


def money(value: object) -> Decimal:
    return Decimal(str(value or 0))


def real_id(text: object) -> str:
    """In small letters, as ids are compared; "" for nobody's."""
    given = norm(str(text or ""))
    return "" if given == NOBODY else given


def norm(text: str) -> str:
    return text.strip().casefold()


def said(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _words(text: str) -> str:
    return " ".join(text.split())


# --- keys -------------------------------------------------------------------------------------------------------------

# PEX, a letter for the id space, the id; from the second generation on its number: all entries of ours carry one.
KEY = re.compile(r"(?<![A-Z0-9])PEX(?:[TS]\d{1,13}|[XY][0-9A-Z]{9,13})(?:-[1-9]\d?)?(?![0-9A-Z-])")


def key_in(text: str) -> str:
    """The last key that stands in a text; "" when none does."""
    found = KEY.findall(text.upper())
    return str(found[-1]) if found else ""


def external_number(entry: Entry) -> str:
    """PEX's business id and the key, as the entry's address ends: "4410-PEXT1001". Raises `RecordRejected`."""
    number = entry.url.rpartition("=")[2].upper() if entry.url.upper().endswith(entry.key.upper()) else entry.key
    if len(number) > EXTERNAL:
        raise RecordRejected(
            "The number of this transaction is longer than Business Central's external document numbers.", "mistake"
        )
    return number


def _business_of(url: str, key: str) -> str:
    """PEX's business id before the key at the end of an address or number; "" when none stands there."""
    before, found, after = url.upper().rpartition(key.upper())
    match = re.search(r"(\d+)-$", before) if found and not after else None
    return match[1] if match else ""


# --- entry -> lines ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """What an option of an account stands for: the type and number lines name it by. `unfit`: why it cannot be used."""

    type: str
    number: str
    label: str
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension and its values' codes by their ids, all ids in small letters."""

    id: str
    code: str
    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chart:
    """What option ids mean in the books; ids in small letters."""

    accounts: Mapping[str, Account]  # "bank:<id>" for bank accounts
    dimensions: Mapping[str, Dimension]
    tax_codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Coded:
    """One dimension of a line."""

    id: str  # of the dimension
    code: str
    value: str

    @property
    def body(self) -> JSON:
        return {"code": self.code, "valueCode": self.value}

    def __str__(self) -> str:
        return f"{self.code}={self.value}"


@dataclass(frozen=True, slots=True)
class Part:
    """One line of an entry, its dimensions apart: the account may fill some in by itself."""

    about: str  # the settings field that names its account
    body: JSON
    dimensions: tuple[Coded, ...] = ()

    @property
    def account(self) -> str:
        """Type and number, as what accounts fill in is remembered by."""
        return f"{self.body['accountType']} {self.body['accountNumber']}"

    def sent(self, nested: Sequence[Coded], later: Sequence[Coded]) -> JSON:
        """The body with some dimensions in it; those that follow stand in the comment until they are set."""
        body = dict(self.body)
        if later:
            body["comment"] = f"{NOT_SET}: {', '.join(str(each) for each in later)}"[:COMMENT]
        return body | ({"dimensionSetLines": [each.body for each in nested]} if nested else {})


@dataclass(frozen=True, slots=True)
class PartyNamed:
    """The vendor of a purchase. `number`: of the vendor its lines go through; "" where only the words name it."""

    name: str = ""
    number: str = ""


def parts(entry: Entry, chart: Chart, vendor: PartyNamed) -> tuple[Part, ...]:
    """A line for each share, then the vendor's two where they are booked, and last the one on the PEX account.

    All carry one document number; nothing is left to the journal's defaults. Raises `RecordRejected`.
    """
    _check_money(entry)
    _check_key(entry)
    lines = [line for line in entry.lines if line.amount]
    between = 2 if vendor.number else 0
    if len(lines) + between > MOST_LINES:
        raise RecordRejected(
            f"Business Central takes at most {MOST_LINES - between} shares of one entry at once. Split it less in PEX.",
            cause="split",
        )
    shares = tuple(_share(entry, line, chart, vendor) for line in lines)
    words = entry.memo or lines[0].description
    through = tuple(
        Part(PARTY, _body(entry, VENDOR, vendor.number, amount, vendor.name, words))
        for amount in (-entry.amount, entry.amount)
        if vendor.number
    )
    pex = _usable(chart, entry.account, PEX)
    return *shares, *through, Part(PEX, _body(entry, pex.type, pex.number, -entry.amount, vendor.name, words))


def _share(entry: Entry, line: Line, chart: Chart, vendor: PartyNamed) -> Part:
    account = _usable(chart, line.account, ACCOUNT)
    body = _body(entry, account.type, account.number, line.amount, vendor.name, line.description or entry.memo)
    tax = next((option for key, option in line.dimensions if key == TAX), "")
    if tax:
        if norm(tax) not in chart.tax_codes:
            raise RecordRejected(f"Business Central has no tax group “{tax}” any more. Choose another.", TAX, TAX)
        body["taxCode"] = tax
    return Part(ACCOUNT, body, tuple(_coded(chart, *each) for each in line.dimensions if each[0] != TAX))


def _coded(chart: Chart, key: str, option: str) -> Coded:
    found = chart.dimensions.get(norm(key.removeprefix(DIMENSION)))
    if found is None:
        says = "A dimension of the settings is not in Business Central any more. Map another, or none."
        raise RecordRejected(says, cause="dimension", field=key)
    code = found.values.get(norm(option))
    if code is None:
        says = f"Business Central no longer has this value of {found.name}. Choose another one."
        raise RecordRejected(says, cause="dimension", field=key)
    return Coded(found.id, found.code, code)


def _usable(chart: Chart, option: str, about: str) -> Account:
    found = chart.accounts.get(norm(option))
    if found is None:
        raise RecordRejected("The account is not in Business Central any more. Choose another.", "account", about)
    if found.unfit:
        raise RecordRejected(found.unfit, "account", about)
    return found


def _body(entry: Entry, account_type: str, number: str, amount: Decimal, vendor: str, words: str) -> JSON:
    """Members in the order the server takes them in: the type of an account before its number."""
    return {
        "accountType": account_type,
        "accountNumber": number,
        "postingDate": entry.date.isoformat(),
        "documentNumber": entry.key,
        "externalDocumentNumber": external_number(entry),
        "amount": amount.quantize(CENT),
        "description": description(vendor, words or f"PEX {entry.kind.label}", entry.key),
        "comment": entry.url[:COMMENT],
    }


def description(vendor: str, words: str, key: str) -> str:
    """Who and what; the key always stands whole at the end, since the ledger shows nothing else of ours but a number.

    A posting series gives the document another number.
    """
    texts = {text.casefold(): text for text in (_words(words), _words(vendor)) if text}
    room = DESCRIPTION_LENGTH - len(key) - 1
    return f"{' · '.join(reversed(texts.values()))[:room].rstrip()} {key}".strip()


def _check_key(entry: Entry) -> None:
    """Cut off, it would be another one's."""
    if len(entry.key) > DOCUMENT:
        says = "The number of this transaction is longer than Business Central's document numbers."
        raise RecordRejected(says, cause="mistake")


def _check_money(entry: Entry) -> None:
    if not entry.amount:
        raise RecordRejected("The amount is nought: there is nothing to book.", cause="nothing")
    if sum((line.amount for line in entry.lines), Decimal()) != entry.amount:
        raise RecordRejected(
            "The splits do not add up to the amount. Correct the tags of this transaction in PEX.", cause="split"
        )
    if any(line.amount != line.amount.quantize(CENT) for line in entry.lines):
        raise RecordRejected("A split has fractions of a cent, which Business Central cannot hold.", cause="split")


# --- what was refused -------------------------------------------------------------------------------------------------

DIALOG = "Application_DialogException"  # a rule of business: a blocked vendor, a dimension that is there already ...
THERE_ALREADY = frozenset({DIALOG, "Internal_EntityWithSameKeyExists"})
_OF_ACCOUNT = frozenset({"Internal_InvalidTableRelation", "Application_FieldValidationException"})
_MISTAKES = ("BadRequest", "Application_StringExceededLength")
_CAUSES = {ACCOUNT: "account", PEX: "account", PARTY: "vendor"}


def refusal(part: Part, code: str, message: str) -> Refused:
    """Why a line was not taken: decided by its code and its place, since the words come in several languages."""
    says = message or "Business Central refused it without saying why."
    if code in _OF_ACCOUNT and "taxCode" not in part.body:
        return Refused(says, _CAUSES[part.about], part.about)
    if code == DIALOG and part.about == PARTY:
        return Refused(says, "vendor", PARTY)
    if code == DIALOG and len(part.dimensions) == 1:
        return Refused(says, "dimension", f"{DIMENSION}{part.dimensions[0].id}")
    return Refused(says, "mistake" if code.startswith(_MISTAKES) else "refused")


def about(kind: Kind, refused: Refused) -> Refused:
    """A field of another kind's settings is called after it: "fee:account". The PEX account is one for all kinds."""
    shared = refused.field in ("", PEX)
    return refused if shared else replace(refused, field=field_name(kind, refused.field))


# --- what to look for -------------------------------------------------------------------------------------------------

LINE_FIELDS = (
    "id,lineNumber,accountType,accountId,accountNumber,postingDate,documentNumber,externalDocumentNumber,amount,"
    "description,comment,balanceAccountType,balancingAccountId,balancingAccountNumber"
)
ENTRY_FIELDS = "id,entryNumber,postingDate,documentNumber,accountId,accountNumber,description,debitAmount,creditAmount"
MOST_VALUES = 40  # of one field in one filter: more make it too long


@dataclass(frozen=True, slots=True)
class Question:
    """What finds every line that carries one of these keys: a filter for each place one may stand in.

    People may change any one of them, and the general ledger shows no external number.
    """

    keys: tuple[str, ...]
    document: str
    description: str
    external: str = ""

    @property
    def of_lines(self) -> list[str]:
        return [each for each in (self.external, self.document, self.description) if each]

    @property
    def of_entries(self) -> list[str]:
        return [each for each in (self.document, self.description) if each]


def beginnings(keys: Iterable[str]) -> list[Question]:
    """One question for each source of keys: for what all of its keys begin with."""
    families: dict[str, list[str]] = defaultdict(list)
    for key in sorted(set(keys)):
        families[key[:4]].append(key)
    return [_beginning(tuple(family)) for family in families.values()]


def _beginning(keys: tuple[str, ...]) -> Question:
    """Sorted: what the first and the last share, all share."""
    prefix = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(keys[0], keys[-1], strict=False)))
    text = literal(prefix)
    return Question(
        keys,
        document=f"startswith(documentNumber,{text})",
        description=f"contains(description,{text})",
        external=f"contains(externalDocumentNumber,{text})",
    )


def exactly(keys: Iterable[str]) -> list[Question]:
    """For these keys and little else, so many in one filter as it takes."""
    wanted = sorted(set(keys))
    return [_exactly(tuple(wanted[at : at + MOST_VALUES])) for at in range(0, len(wanted), MOST_VALUES)]


def _exactly(keys: tuple[str, ...]) -> Question:
    def either(test: Callable[[str], str]) -> str:
        return " or ".join(test(literal(key)) for key in keys)

    return Question(
        keys,
        document=either(lambda text: f"documentNumber eq {text}"),
        description=either(lambda text: f"contains(description,{text})"),
        external=either(lambda text: f"contains(externalDocumentNumber,{text})"),
    )


def documents(numbers: Iterable[str]) -> list[Question]:
    """For documents by their number alone."""
    wanted = sorted(set(numbers))
    groups = (wanted[at : at + MOST_VALUES] for at in range(0, len(wanted), MOST_VALUES))
    return [
        Question(tuple(group), " or ".join(f"documentNumber eq {literal(one)}" for one in group), "")
        for group in groups
    ]


def literal(text: str) -> str:
    """A text as filters have it: in quotes, those inside doubled."""
    return "'" + text.replace("'", "''") + "'"


# --- lines and entries -> our records ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of a journal or an entry of the ledger, as looks compare it."""

    id: str
    journal: str  # code of its journal; "" in the ledger
    number: int  # of the line or entry
    document: str
    external: str
    description: str
    comment: str
    day: date | None
    sides: Mapping[str, Decimal]  # account -> what it debits it by
    balancing: str = ""  # number of its balancing account
    key: str = ""  # whose it says it is
    business: str = ""  # PEX's id of it, where the external number says so
    certain: bool = False  # not by its document number alone: that may be what Business Central gave the next line

    @classmethod
    def of_line(cls, row: JSON, journal: str) -> Self:
        amount = money(row.get("amount"))
        sides = {_side(row, "accountType", "accountId", "accountNumber"): amount}
        if row.get("balancingAccountNumber"):
            against = _side(row, "balanceAccountType", "balancingAccountId", "balancingAccountNumber")
            sides[against] = sides.get(against, Decimal()) - amount
        return cls(
            id=str(row["id"]),
            journal=journal,
            number=int(row.get("lineNumber") or 0),
            document=str(row.get("documentNumber") or ""),
            external=str(row.get("externalDocumentNumber") or ""),
            description=str(row.get("description") or ""),
            comment=str(row.get("comment") or ""),
            day=day(row.get("postingDate")),
            sides=sides,
            balancing=str(row.get("balancingAccountNumber") or ""),
        )._named()

    @classmethod
    def of_entry(cls, row: JSON) -> Self:
        account = real_id(row.get("accountId")) or f"{GL} {row.get('accountNumber')}"
        return cls(
            id=str(row["id"]),
            journal="",
            number=int(row.get("entryNumber") or 0),
            document=str(row.get("documentNumber") or ""),
            external="",
            description=str(row.get("description") or ""),
            comment="",
            day=day(row.get("postingDate")),
            sides={account: money(row.get("debitAmount")) - money(row.get("creditAmount"))},
        )._named()

    def _named(self) -> Self:
        """A person may have changed one place: the external number counts first, then the words, then the number."""
        certain = key_in(self.external) or key_in(self.description)
        key = certain or key_in(self.document)
        return replace(self, key=key, business=_business_of(self.external, key) if key else "", certain=bool(certain))

    @property
    def draft(self) -> bool:
        return bool(self.journal)

    def on(self, account: str) -> Decimal:
        """What it debits this account by."""
        return self.sides.get(norm(account), Decimal())


def has_account(row: JSON) -> bool:
    """Posting leaves an empty line behind, which carries the next document number: it means nothing."""
    return bool(row.get("accountNumber") or row.get("balancingAccountNumber"))


def _side(row: JSON, kind: str, record_id: str, number: str) -> str:
    """An account by its id; those without one here (vendors) by type and number."""
    return real_id(row.get(record_id)) or f"{plain(row.get(kind))} {row.get(number)}"


Link = Callable[[Mark], str]  # where a person sees it


def found(sent: Sent, marks: Iterable[Mark], covered: bool, link: Link) -> Found:
    """The fate of one row, from everything that carries one of its keys or the number of its record (rule L2).

    Journal and ledger count together: posting moves a document from the one to the other. `covered` says that there is
    surely nothing else: half of an entry would look like a changed one.
    """
    if not covered:
        return Found(Fate.UNSEEN)
    own = _own(sent, list(marks))
    standing = _standing(own)
    if not standing and (not own or any(mark.on(sent.account) for mark in own)):
        return _none_standing(sent, own)
    standing = standing or own  # nothing of it was ever on the PEX account
    there = _there(sent, standing, link)
    total = -sum((mark.on(sent.account) for mark in standing), Decimal())
    times = total / sent.amount if sent.amount else Decimal()
    if times > 1 and times == int(times):
        says = f"Business Central holds it {int(times)} times. Delete or reverse all but one there."
        return replace(there, fate=Fate.DOUBLED, says=says)
    differences = list(_differences(sent, standing, total))
    if differences:
        return replace(there, fate=Fate.DOUBTFUL, says=" ".join(differences))
    return there


def _own(sent: Sent, marks: Sequence[Mark]) -> list[Mark]:
    """What says it is this row's, or is the document its record names; never what names another row.

    A document number alone is little: Business Central gives the next line typed by a person the next number after
    ours. It counts where such a document stands on the PEX account.
    """
    keys = {norm(key) for key in (sent.key, *sent.earlier)}
    business = _business_of(sent.url, sent.key)
    own = [
        mark
        for mark in marks
        if (norm(mark.key) in keys and (not business or mark.business in ("", business)))
        or (names_record(sent.record_id, mark) and not (mark.certain and norm(mark.key) not in keys))
    ]
    surely = any(mark.certain or names_record(sent.record_id, mark) or mark.on(sent.account) for mark in own)
    return own if surely else []


_RECORD = re.compile(r"(?P<number>.+?)(?: of (?P<day>\d{4}-\d{2}-\d{2}))?(?: line (?P<line>\d+))?", re.IGNORECASE)


def document_of(record_id: str) -> str:
    """The document number a record's id names; "" for a key of ours, by which records are looked for anyway."""
    match = _RECORD.fullmatch(record_id.strip())
    return match["number"].upper() if match and not KEY.fullmatch(record_id.strip().upper()) else ""


def names_record(record_id: str, mark: Mark) -> bool:
    """Whether a mark belongs to the record of this id: "G00012", "G00012 of 2026-03-14", "... line 20000"."""
    match = _RECORD.fullmatch(record_id.strip())
    if not match or norm(match["number"]) != norm(mark.document):
        return False
    return match["day"] in (None, str(mark.day)) and match["line"] in (None, str(mark.number))


def _standing(own: Sequence[Mark]) -> list[Mark]:
    """Without what was reversed: those whose amounts cancel each other on every account, generation by generation.

    Only in the ledger: a counter entry that nobody has posted may still be deleted, and the record stands as before.
    """
    generations: dict[str, list[Mark]] = defaultdict(list)
    for mark in own:
        generations[mark.key].append(mark)
    return [mark for group in generations.values() if not _cancelled(group) for mark in group]


def _cancelled(group: Sequence[Mark]) -> bool:
    if any(mark.draft for mark in group):
        return False
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for mark in group:
        for account, amount in mark.sides.items():
            sums[account] += amount
    return not any(sums.values())


def _none_standing(sent: Sent, own: Sequence[Mark]) -> Found:
    """What was reversed of an earlier generation is no news."""
    present = [mark for mark in own if norm(mark.key) == norm(sent.key) or names_record(sent.record_id, mark)]
    if not present:
        return Found(Fate.ABSENT)
    return Found(Fate.DEAD, present[0].key or present[0].document, says="It was reversed in Business Central.")


def is_record(record_id: str, mark: Mark) -> bool:
    """Whether a mark is part of the record of this id, whichever way it is named."""
    return norm(mark.key) == norm(record_id) or (bool(document_of(record_id)) and names_record(record_id, mark))


def _there(sent: Sent, standing: Sequence[Mark], link: Link) -> Found:
    """A live record: by the name the row knows it by, else by the key it carries."""
    on_account = [mark for mark in standing if mark.on(sent.account)] or list(standing)
    shown = next((mark for mark in on_account if mark.draft), on_account[0])
    named = bool(document_of(sent.record_id)) and any(names_record(sent.record_id, mark) for mark in standing)
    record_id = sent.record_id if named else shown.key or shown.document
    return Found(Fate.LIVE, record_id, link(shown), draft=any(mark.draft for mark in standing))


def _differences(sent: Sent, own: Sequence[Mark], total: Decimal) -> Iterator[str]:
    """Why what is there is not simply what was sent, sentences."""
    where = "the PEX account in Business Central"
    if total != sent.amount and any(mark.on(sent.account) for mark in own):
        yield f"On {where} it stands with {said(total)} instead of {said(sent.amount)}."
    elif total != sent.amount:
        yield f"Its lines are there, but none of them on {where}."
    drafts = [mark for mark in own if mark.draft and mark.key]  # of a record a person named, less may be ours
    if any(_open_documents(drafts).values()):
        yield "Its lines in the journal do not balance: one of them was deleted, changed, or moved to another document."
    days = sorted({str(one) for one, net in _by_day(sent, own).items() if net})
    if sent.date and total == sent.amount and days != [str(sent.date)]:
        yield f"It is dated {', '.join(days)} instead of {sent.date}."
    balancing = sorted({mark.balancing for mark in drafts if mark.balancing})
    if balancing:
        yield (
            f"Its lines in the journal carry the balancing account {', '.join(balancing)}, which books each of them "
            "twice. Empty it on the lines, and on the journal."
        )
    for comment in dict.fromkeys(mark.comment for mark in drafts if mark.comment.startswith(NOT_SET)):
        yield f"{comment}. Set them on the line in the journal and empty its comment."


def _open_documents(drafts: Sequence[Mark]) -> Mapping[tuple[str, str, date | None], Decimal]:
    """What is left over of each document in a journal, as posting looks at it: by number and day."""
    left: dict[tuple[str, str, date | None], Decimal] = defaultdict(Decimal)
    for mark in drafts:
        left[mark.journal, norm(mark.document), mark.day] += sum(mark.sides.values(), Decimal())
    return left


def _by_day(sent: Sent, own: Sequence[Mark]) -> Mapping[date | None, Decimal]:
    net: dict[date | None, Decimal] = defaultdict(Decimal)
    for mark in own:
        net[mark.day] += mark.on(sent.account)
    return net


# --- everything on the PEX account ------------------------------------------------------------------------------------

STATES = {True: "journal", False: "posted"}


def book_records(account: str, marks: Iterable[Mark], link: Link) -> list[BookRecord]:
    """What stands on one account: ours by key, others by document; each line of a document that has several there.

    One record explains one transaction, and people enter a month's card purchases under one number. `link` must tell
    the lines of a document apart: by it a record is known that a person has decided about.
    """
    ours: dict[str, list[Mark]] = defaultdict(list)
    others: dict[tuple[str, str, date | None], list[Mark]] = defaultdict(list)
    for mark in marks:
        if mark.on(account) and mark.key:
            ours[mark.key].append(mark)
        elif mark.on(account):
            others[mark.journal, mark.document, mark.day].append(mark)
    records = [_book_record(key, account, group, link) for key, group in ours.items()]
    days = Counter(document for _, document, _ in others)
    for (_, document, on), group in others.items():
        name = document if days[document] == 1 and document else f"{document} of {on}".strip()
        if len(group) == 1 or not sum(mark.on(account) for mark in group):
            records.append(_book_record(name, account, group, link))
        else:
            records += [_book_record(f"{name} line {mark.number}", account, [mark], link) for mark in group]
    return records


def _book_record(name: str, account: str, group: Sequence[Mark], link: Link) -> BookRecord:
    shown = next((mark for mark in group if mark.draft), group[0])
    total = -sum((mark.on(account) for mark in group), Decimal())
    return BookRecord(
        id=name,
        date=shown.day or date.min,
        amount=total,
        reference=shown.document,
        party=_without_key(shown.description),
        state=STATES[shown.draft],
        live=bool(total),
        link=link(shown),
        texts=(shown.external, shown.description),
    )


def _without_key(text: str) -> str:
    key = key_in(text)
    return text.removesuffix(key).strip() if key else text.strip()


# --- settings ---------------------------------------------------------------------------------------------------------

ASSETS, LIABILITIES = "Assets", "Liabilities"
_SPENT_FIRST = ("Expense", "Cost of Goods Sold", ASSETS, LIABILITIES, "Equity", "Income", "")
_HELD_FIRST = (ASSETS, LIABILITIES, "", "Equity", "Income", "Expense", "Cost of Goods Sold")
NO_CATEGORY = "Without a category"
OF_BANKS = "Bank accounts"


def account_options(rows: Iterable[JSON]) -> list[Option]:
    """What a share may be booked to; those nothing can be posted on stay listed, not active."""
    return _sorted([_account_option(row) for row in rows], _SPENT_FIRST)


def pex_options(rows: Iterable[JSON]) -> list[Option]:
    """What may stand for PEX, assets and liabilities first; `type` is the category."""
    return _sorted([_account_option(row) for row in rows], _HELD_FIRST)


def bank_options(banks: Iterable[JSON], accounts: Iterable[JSON]) -> list[Option]:
    """Where money comes from and goes to: bank accounts, and assets kept as plain accounts. `type` is a currency."""
    cards = [
        Option(
            id=f"{BANK_ID}{row['id']}",
            name=row.get("displayName") or "",
            code=row.get("number") or "",
            active=not row.get("blocked"),
            group=OF_BANKS,
            type=row.get("currencyCode") or "",
        )
        for row in banks
    ]
    assets = [_account_option(row) for row in accounts if plain(row.get("category")) == ASSETS]
    plain_ones = [replace(option, type="") for option in assets if option.active]
    return [*_by_code(cards), *_by_code(plain_ones)]


def _account_option(row: JSON) -> Option:
    category = plain(row.get("category"))
    return Option(
        id=row["id"],
        name=row.get("displayName") or "",
        code=row.get("number") or "",
        active=not _unusable(row),
        group=category or NO_CATEGORY,
        type=category,
    )


def _unusable(row: JSON) -> str:
    """Why nothing can be posted on an account; "" when it can."""
    if plain(row.get("accountType")) not in ("Posting", ""):
        return "is a heading or total"
    if row.get("blocked"):
        return "is blocked"
    return "" if row.get("directPosting", True) else "takes no direct posting"


def _sorted(options: list[Option], order: Sequence[str]) -> list[Option]:
    """By category, then by number; a category nobody knows comes last."""
    rank = {category: place for place, category in enumerate(order)}
    return sorted(_by_code(options), key=lambda option: rank.get(option.type, len(rank)))


def _by_code(options: list[Option]) -> list[Option]:
    return sorted(options, key=lambda option: (option.code, option.name))


def chart(accounts: Iterable[JSON], banks: Iterable[JSON], dimensions: Iterable[JSON], taxes: Iterable[JSON]) -> Chart:
    held = {norm(row["id"]): _account(GL, row, _unusable(row)) for row in accounts}
    held |= {norm(f"{BANK_ID}{row['id']}"): _account(BANK, row, _unfit_bank(row)) for row in banks}
    known = (
        Dimension(
            norm(row["id"]),
            str(row.get("code") or ""),
            str(row.get("displayName") or row.get("code") or ""),
            {norm(value["id"]): str(value.get("code") or "") for value in row.get("dimensionValues") or ()},
        )
        for row in dimensions
    )
    return Chart(held, {each.id: each for each in known}, frozenset(norm(str(row.get("code") or "")) for row in taxes))


def _account(kind: str, row: JSON, trouble: str) -> Account:
    number = str(row.get("number") or "")
    label = f"{number} {row.get('displayName') or ''}".strip()
    unfit = f"{label} {trouble} in Business Central. Mend it there, or choose another account." if trouble else ""
    return Account(kind, number, label, unfit)


def _unfit_bank(row: JSON) -> str:
    if row.get("blocked"):
        return "is blocked"
    currency = row.get("currencyCode") or ""
    return "" if currency in ("", PEX_CURRENCY) else f"is kept in {currency}, not in US dollars,"


def dimension_fields(rows: Sequence[JSON]) -> list[Field]:
    """One field for each dimension, of all kinds; dimensions of one name are told apart by their code."""
    names = Counter(_words(str(row.get("displayName") or "")) for row in rows)
    return [Field(f"{DIMENSION}{row['id']}", _label(row, names), kinds=KINDS) for row in rows]


def _label(row: JSON, names: Mapping[str, int]) -> str:
    name = _words(str(row.get("displayName") or ""))
    return name if name and names[name] == 1 else str(row.get("code") or "")


def dimension_options(rows: Iterable[JSON], name: str) -> list[Option]:
    """The values of one dimension; none for one that is gone. A value without a name is shown by its code."""
    wanted = norm(name.removeprefix(DIMENSION))
    return [
        Option(id=value["id"], name=value.get("displayName") or value.get("code") or "", code=value.get("code") or "")
        for row in rows
        if norm(row["id"]) == wanted
        for value in row.get("dimensionValues") or ()
    ]


def tax_options(rows: Iterable[JSON]) -> list[Option]:
    """By code, since that is what a line takes."""
    return [
        Option(id=row["code"], name=row.get("displayName") or row["code"], code=row["code"])
        for row in rows
        if row.get("code")
    ]


def vendor_options(rows: Iterable[JSON]) -> list[Option]:
    found = [
        Option(
            id=row["id"],
            name=row.get("displayName") or "",
            code=row.get("number") or "",
            active=not blocked(row),
        )
        for row in rows
    ]
    return sorted(found, key=lambda option: (option.name.casefold(), option.code))


def blocked(vendor: JSON) -> bool:
    """For everything. A vendor blocked for payments only may be booked."""
    return plain(vendor.get("blocked")) == "All"


def vendor_name(name: str) -> str:
    """As it is sent: one space between words, at most 100 characters."""
    return _words(name)[:NAME_LENGTH].strip()


def vendor_key(name: str) -> str:
    """What makes two names one vendor to us; Business Central would take both."""
    return vendor_name(name).casefold()


def closed_until(setup: JSON) -> date | None:
    """The day before the first one that may be posted on; None where any may."""
    first = day(setup.get("allowPostingFrom"))
    return first - timedelta(days=1) if first and first > date.min else None


def is_ours(journal: JSON) -> bool:
    return norm(str(journal.get("code") or "")) == norm(JOURNAL)


# --- pages of the web client ------------------------------------------------------------------------------------------

JOURNAL_PAGE, JOURNALS_PAGE, ENTRIES_PAGE = 39, 251, 20
_LINE_TABLE, _ENTRY_TABLE = "Gen. Journal Line", "G/L Entry"


@dataclass(frozen=True, slots=True)
class Web:
    """Where people see the company in their browser."""

    address: str  # of its environment, without a slash at the end
    company: str  # its name, as the address wants it

    def page(self, number: int) -> str:
        return f"{self.address}?company={quote(self.company, safe='')}&page={number}"

    def journal(self, code: str = JOURNAL, document: str = "") -> str:
        chosen = {"Journal Batch Name": code} | ({"Document No.": document} if document else {})
        return f"{self.page(JOURNAL_PAGE)}&filter={_filter(_LINE_TABLE, chosen)}"

    def entries(self, document: str) -> str:
        return f"{self.page(ENTRIES_PAGE)}&filter={_filter(_ENTRY_TABLE, {'Document No.': document})}"

    def of(self, mark: Mark) -> str:
        return self.journal(mark.journal, mark.document) if mark.draft else self.entries(mark.document)

    def line(self, mark: Mark) -> str:
        """As `of`, but no other line's: one document may hold what several transactions are booked as."""
        table, name = (_LINE_TABLE, "Line No.") if mark.draft else (_ENTRY_TABLE, "Entry No.")
        return f"{self.of(mark)}{quote(' AND ')}{_filter(table, {name: str(mark.number)})}"


def _filter(table: str, chosen: Mapping[str, str]) -> str:
    terms = (f"'{table}'.'{name}' IS {literal(value)}" for name, value in chosen.items())
    return quote(" AND ".join(terms), safe="'")


_DOCUMENT_IN_ADDRESS = re.compile(r"'Document No\.'\s+IS\s+'((?:[^']|'')*)'", re.IGNORECASE)
_NUMBER = re.compile(r"[^\s/?&=]{1,20}(?: of \d{4}-\d{2}-\d{2})?(?: line \d+)?", re.IGNORECASE)


def record_in(text: str) -> str:
    """Our key or a document number in what a person typed or pasted; "" when neither stands there."""
    typed = unquote(text).strip()
    key = key_in(typed)
    if key:
        return key
    in_address = _DOCUMENT_IN_ADDRESS.search(typed)
    if in_address:
        return in_address[1].replace("''", "'").upper()
    match = _NUMBER.fullmatch(typed)
    return _in_capitals(typed) if match else ""


def _in_capitals(record_id: str) -> str:
    number, space, rest = record_id.partition(" ")
    return f"{number.upper()}{space}{rest.lower()}"
