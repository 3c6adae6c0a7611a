"""The PEX account's month as a bank would tell it: a table, and an OFX file for the bank reconciliation. Pure.

OFX 1.0.2 (https://www.ofx.net/downloads.html): the form every accounting program reads. Each element is closed, as the
standard allows, so that readers of SGML and of XML agree on it.
"""

import calendar
import csv
import io
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.sax.saxutils import escape

from connectors.records import Kind, Transaction
from syncjobs import coding, keys

HEAD = ("Date", "Amount", "Payee", "Description", "Reference", "Kind", "PEX id")
HEADER = (
    "OFXHEADER:100",
    "DATA:OFXSGML",
    "VERSION:102",
    "SECURITY:NONE",
    "ENCODING:USASCII",
    "CHARSET:1252",
    "COMPRESSION:NONE",
    "OLDFILEUID:NONE",
    "NEWFILEUID:NONE",
)
TYPES = {Kind.TRANSFER: "XFER", Kind.BILL_PAYMENT: "PAYMENT"}  # the others by their sign
NAME, MEMO, ACCOUNT = 32, 255, 22  # characters OFX allows


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the statement. `amount` is the bank's: what lowers the balance is negative."""

    key: str
    day: date
    amount: Decimal
    payee: str
    memo: str
    kind: Kind
    pex_id: int


@dataclass(frozen=True, slots=True)
class Balance:
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """One month. `read_at`: when PEX was asked; `balance`: only where PEX told one, as of its own time."""

    account: str
    charge: bool
    first: date
    last: date
    read_at: datetime
    lines: Sequence[Line]
    balance: Balance | None = None


def month_of(text: str) -> date:
    """Return the first day of a month given as "2026-10". Raises `ValueError` for anything else."""
    year, _, month = text.partition("-")
    if len(year) != 4 or len(month) != 2 or not (text.isascii() and (year + month).isdecimal()):
        raise ValueError(text)
    return date(int(year), int(month), 1)


def last_day(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def months(today: date) -> list[date]:
    """This month and the eleven before it, the newest first: the whole months PEX still shows."""
    return [
        date(year, index + 1, 1)
        for back in range(12)
        for year, index in [divmod(today.year * 12 + today.month - 1 - back, 12)]
    ]


def lines(rows: Iterable[Transaction]) -> list[Line]:
    """The rows that moved the account's money, in order of settling; whatever has not, or cannot be read, left out."""
    return sorted((_line(row) for row in rows if counts(row)), key=lambda line: (line.day, line.pex_id))


def counts(row: Transaction) -> bool:
    """A row without a kind moves money between the account and its own cards, or is told by another row as well.

    One that cannot be booked as it stands has moved its amount all the same, where it has one.
    """
    unsettled = row.pending or row.declined
    return row.kind is not None and not (unsettled or row.missing or row.rejected) and bool(row.amount)


def _line(row: Transaction) -> Line:
    assert row.kind is not None
    key = keys.key(row.source, row.pex_id)
    plain = f"PEX {row.kind.label}"
    payee = row.merchant_clean or row.merchant or row.description or plain
    words = row.merchant or row.description or plain
    return Line(key, coding.settled_on(row), -row.amount, payee, f"{words} {key}", row.kind, row.pex_id)


def as_csv(statement: Statement, safe: Callable[[str], str]) -> str:
    """ISO dates and plain amounts; `safe` makes harmless what a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    for line in statement.lines:
        words = [safe(each) for each in (line.payee, line.memo, line.key, line.kind.label)]
        writer.writerow([line.day.isoformat(), f"{line.amount:.2f}", *words, str(line.pex_id)])
    return text.getvalue()


def as_ofx(statement: Statement) -> bytes:
    """The file, in the character set its header names."""
    body = _element("OFX", _signed_on(statement), _card(statement) if statement.charge else _bank(statement))
    text = "\r\n".join([*HEADER, "", body, ""])
    return text.encode("cp1252", "replace")


def _signed_on(statement: Statement) -> str:
    answer = _element("SONRS", _ok(), _element("DTSERVER", _instant(statement.read_at)), _element("LANGUAGE", "ENG"))
    return _element("SIGNONMSGSRSV1", answer)


def _ok() -> str:
    return _element("STATUS", _element("CODE", "0"), _element("SEVERITY", "INFO"))


def _bank(statement: Statement) -> str:
    account = _element(
        "BANKACCTFROM",
        _element("BANKID", "PEX"),
        _element("ACCTID", _text(statement.account, ACCOUNT)),
        _element("ACCTTYPE", "CHECKING"),
    )
    told = _element("STMTRS", _element("CURDEF", "USD"), account, _moves(statement), *_balance(statement))
    return _element("BANKMSGSRSV1", _element("STMTTRNRS", _element("TRNUID", "0"), _ok(), told))


def _card(statement: Statement) -> str:
    account = _element("CCACCTFROM", _element("ACCTID", _text(statement.account, ACCOUNT)))
    told = _element("CCSTMTRS", _element("CURDEF", "USD"), account, _moves(statement), *_balance(statement))
    return _element("CREDITCARDMSGSRSV1", _element("CCSTMTTRNRS", _element("TRNUID", "0"), _ok(), told))


def _moves(statement: Statement) -> str:
    days = _element("DTSTART", f"{statement.first:%Y%m%d}"), _element("DTEND", f"{statement.last:%Y%m%d}")
    return _element("BANKTRANLIST", *days, *(_move(line) for line in statement.lines))


def _move(line: Line) -> str:
    return _element(
        "STMTTRN",
        _element("TRNTYPE", _type(line)),
        _element("DTPOSTED", f"{line.day:%Y%m%d}"),
        _element("TRNAMT", f"{line.amount:.2f}"),
        _element("FITID", line.key),
        _element("REFNUM", line.key),
        _element("NAME", _text(line.payee, NAME)),
        _element("MEMO", _text(line.memo, MEMO)),
    )


def _type(line: Line) -> str:
    if line.kind is Kind.FEE and line.amount < 0:
        return "FEE"
    return TYPES.get(line.kind) or ("DEBIT" if line.amount < 0 else "CREDIT")


def _balance(statement: Statement) -> Sequence[str]:
    if statement.balance is None:
        return ()
    amount = _element("BALAMT", f"{statement.balance.amount:.2f}")
    return (_element("LEDGERBAL", amount, _element("DTASOF", _instant(statement.balance.at))),)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%d%H%M%S}[0:GMT]"


def _element(name: str, *inside: str) -> str:
    text = "\r\n".join(inside)
    return f"<{name}>\r\n{text}\r\n</{name}>" if text.startswith("<") or len(inside) > 1 else f"<{name}>{text}</{name}>"


def _text(text: str, most: int) -> str:
    """One line of at most so many characters, escaped; a control character has no place in it."""
    # Narrowed before it is cut and escaped: a full-width "＜" becomes "<", and one letter may become several.
    shown = "".join(letter if letter.isprintable() else " " for letter in _narrow(text))
    return escape(" ".join(shown.split())[:most].strip() or "-")


def _narrow(text: str) -> str:
    """Letters the file's character set lacks, without their marks."""
    return "".join(letter if _fits(letter) else _plain(letter) for letter in text)


def _plain(letter: str) -> str:
    marks = unicodedata.normalize("NFKD", letter)
    return "".join(each for each in marks if not unicodedata.combining(each))


def _fits(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
