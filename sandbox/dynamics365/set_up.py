"""What people change in a company's set-up: its accounts, vendors, dimensions and journals."""

from typing import Any

from sandbox.dynamics365 import journals
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import (
    BLOCKED,
    CATEGORIES,
    GL,
    Account,
    BankAccount,
    Dimension,
    DimensionValue,
    Journal,
    Record,
    Vendor,
)
from sandbox.dynamics365.values import Refused

KINDS_OF_VALUE = ("Standard", "Heading", "Total", "Begin-Total", "End-Total")


def change(company: Company, record: Record, **fields: Any) -> None:
    """Set the fields of an account, a vendor, a value ... as its page does."""
    for name, value in fields.items():
        setattr(record, name, value)
    company.touch(record)


def add_account(company: Company, number: str, name: str, category: str) -> Account:
    number = _number(number)
    _free(company, number)
    return company.add_account(number, name, _category(category))


def renumber(company: Company, account: Account, number: str) -> None:
    """Give an account another number; everything that names it follows."""
    number, old = _number(number), account.number
    if number == old:
        return
    _free(company, number)
    for journal in company.journals.values():
        if (journal.balance_type, journal.balance_account) == (GL, old):
            change(company, journal, balance_account=number)
        for line in journal.lines.values():
            if (line.account_type, line.account) == (GL, old):
                change(company, line, account=number)
            if (line.balance_type, line.balance_account) == (GL, old):
                change(company, line, balance_account=number)
    for entry in company.entries.values():
        if entry.account == old:
            change(company, entry, account=number)
    change(company, account, number=number)


def categorize(company: Company, account: Account, category: str) -> None:
    change(company, account, category=_category(category))


def set_default_dimension(
    company: Company, account: Account, dimension: Dimension, value: str, mandatory: bool = False
) -> None:
    """Give an account a default value of a dimension, or none; say whether nothing is posted without one."""
    value = value.strip().upper()
    if value and value not in dimension.values:
        raise Refused("Application_DialogException", f"Dimension {dimension.code} has no value {value}.")
    others = {code: given for code, given in account.default_dimensions.items() if code != dimension.code}
    defaults = {**others, dimension.code: value} if value else others
    needed = account.mandatory - {dimension.code} | ({dimension.code} if mandatory else set())
    change(company, account, default_dimensions=defaults, mandatory=needed)


def add_dimension(company: Company, code: str, name: str) -> Dimension:
    code = _number(code)
    if any(one.code == code for one in company.dimensions.values()):
        raise Refused("Internal_EntityWithSameKeyExists", f"There is a dimension {code} already.")
    return company.add_dimension(code, [], name)


def add_value(company: Company, dimension: Dimension, code: str, name: str, kind: str) -> DimensionValue:
    code = _number(code)
    if code in dimension.values:
        raise Refused("Internal_EntityWithSameKeyExists", f"Dimension {dimension.code} has a value {code} already.")
    if kind not in KINDS_OF_VALUE:
        raise Refused("Application_EvaluateException", f"A value is one of {', '.join(KINDS_OF_VALUE)}.")
    return company.add_value(dimension, code, name, kind=kind)


def block_vendor(company: Company, vendor: Vendor, blocked: str) -> None:
    if blocked not in BLOCKED:
        raise Refused("Application_EvaluateException", "A vendor is blocked for Payment, for All, or not at all.")
    change(company, vendor, blocked=blocked)


def balance_with(company: Company, journal: Journal, number: str) -> None:
    """Give the journal a balancing account; none when the number is empty. Lines that exist keep theirs."""
    number = number.strip().upper()
    if number and company.by_number(GL, number) is None:
        raise Refused("Internal_InvalidTableRelation", f"The G/L account {number} does not exist.")
    change(company, journal, balance_type=GL, balance_account=number)


def add_journal(company: Company, code: str, name: str, template: str = "", **fields: Any) -> Journal:
    """Make a journal as its page does, with number series too."""
    body = {"code": code, "displayName": name, "templateDisplayName": template or company.default_template}
    made = journals.create(company, None, body)
    change(company, made, **fields)
    return made


def _free(company: Company, number: str) -> None:
    if company.by_number(GL, number) is not None:
        raise Refused("Internal_EntityWithSameKeyExists", f"The G/L account {number} exists already.")


def _category(category: str) -> str:
    if category.strip() and category not in CATEGORIES:
        raise Refused("Application_EvaluateException", f"{category} is no category of accounts.")
    return category if category.strip() else " "


def _number(text: str) -> str:
    """A text as a field of the kind Code stores it. Raises Refused when it is empty or too long."""
    text = text.strip().upper()
    if not 0 < len(text) <= 20:
        raise Refused("Application_StringExceededLength", "Give 1 to 20 characters.")
    return text


def named(company: Company, kind: str, number: str) -> Account | BankAccount | Vendor:
    """The account, bank account or vendor of this number. Raises Refused."""
    found = company.by_number(kind, number.strip().upper())
    if found is None:
        raise Refused("Internal_InvalidTableRelation", f"The {kind} {number} does not exist.")
    return found
