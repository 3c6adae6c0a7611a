"""The members of a journal line in a body: what each takes, in the order they are sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.dynamics365 import members as read
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.line_accounts import check_account, check_sides, not_related, number_of
from sandbox.dynamics365.records import ACCOUNT_TYPES, JournalLine
from sandbox.dynamics365.values import refused

LENGTHS = {
    "accountNumber": 20,
    "balancingAccountNumber": 20,
    "documentNumber": 20,
    "externalDocumentNumber": 35,
    "description": 100,
    "comment": 250,
    "taxCode": 20,
}


@dataclass
class Wanted:
    """What a body asks for, read in its own order: a later account type empties the account named before it."""

    company: Company
    line: JournalLine  # its fields hold what was sent, or what it was
    account_id: str = ""
    account_named: str = ""

    def take(self, body: dict[str, Any]) -> None:
        for name, value in body.items():
            reader = READERS.get(name)
            if reader:
                reader(self, name, value)


def _account_type(wanted: Wanted, name: str, value: Any) -> None:
    kind = read.member(name, value, ACCOUNT_TYPES)
    if kind != wanted.line.account_type:
        wanted.line.account_type, wanted.line.account = kind, ""
        wanted.account_id = wanted.account_named = ""
    check_sides(wanted.line)


def _balance_type(wanted: Wanted, name: str, value: Any) -> None:
    kind = read.member(name, value, ACCOUNT_TYPES)
    if kind != wanted.line.balance_type:
        wanted.line.balance_type, wanted.line.balance_account = kind, ""
    check_sides(wanted.line)


def _account_id(wanted: Wanted, name: str, value: Any) -> None:
    number = number_of(wanted.company, wanted.line.account_type, name, read.guid(name, value))
    if number is None:
        return
    wanted.account_id = number
    _agree(wanted)
    wanted.line.account = number


def _account_number(wanted: Wanted, name: str, value: Any) -> None:
    number = read.code(name, value, LENGTHS[name])
    check_account(wanted.company, wanted.line.account_type, number)
    wanted.account_named = number
    _agree(wanted)
    wanted.line.account = number


def _agree(wanted: Wanted) -> None:
    if wanted.account_id and wanted.account_named and wanted.account_id != wanted.account_named:
        raise refused("The account values do not match to a specific Account.")


def _balance_id(wanted: Wanted, name: str, value: Any) -> None:
    number = number_of(wanted.company, wanted.line.balance_type, name, read.guid(name, value))
    if number is not None:
        wanted.line.balance_account = number


def _balance_number(wanted: Wanted, name: str, value: Any) -> None:
    number = read.code(name, value, LENGTHS[name])
    check_account(wanted.company, wanted.line.balance_type, number)
    wanted.line.balance_account = number


def _text(attribute: str) -> Callable[[Wanted, str, Any], None]:
    return lambda wanted, name, value: setattr(wanted.line, attribute, read.text(name, value, LENGTHS[name]))


def _code(attribute: str) -> Callable[[Wanted, str, Any], None]:
    return lambda wanted, name, value: setattr(wanted.line, attribute, read.code(name, value, LENGTHS[name]))


def _posting_date(wanted: Wanted, name: str, value: Any) -> None:
    wanted.line.posting_date = read.day(name, value)


def _amount(wanted: Wanted, name: str, value: Any) -> None:
    wanted.line.amount = read.money(name, value)


def _line_number(wanted: Wanted, name: str, value: Any) -> None:
    wanted.line.number = read.whole_number(name, value)


def _tax_code(wanted: Wanted, name: str, value: Any) -> None:
    code = read.code(name, value, LENGTHS[name])
    if code and code not in (one.code for one in wanted.company.tax_groups.values()):
        raise not_related("Tax Group Code", code, "Tax Group")
    wanted.line.tax_code = code


def _journal_id(wanted: Wanted, name: str, value: Any) -> None:
    wanted.line.journal = read.guid(name, value)


READERS: dict[str, Callable[[Wanted, str, Any], None]] = {
    "journalId": _journal_id,
    "lineNumber": _line_number,
    "accountType": _account_type,
    "accountId": _account_id,
    "accountNumber": _account_number,
    "postingDate": _posting_date,
    "documentNumber": _code("document_number"),
    "externalDocumentNumber": _code("external_number"),
    "amount": _amount,
    "description": _text("description"),
    "comment": _text("comment"),
    "taxCode": _tax_code,
    "balanceAccountType": _balance_type,
    "balancingAccountId": _balance_id,
    "balancingAccountNumber": _balance_number,
}
