"""Which accounts may stand on a journal line, and what they bring with them."""

from typing import Any

from sandbox.dynamics365.company import Company, Numbered
from sandbox.dynamics365.records import BANK, CUSTOMER, GL, NOBODY, VENDOR, Account, BankAccount, JournalLine, Vendor
from sandbox.dynamics365.values import Refused, refused

ONE_SIDED = (CUSTOMER, VENDOR, "Fixed Asset", "IC Partner", "Employee")  # never on both sides of a line
LONGEST_NAME = 100


def check_account(company: Company, kind: str, number: str) -> None:
    """Raises Refused unless this account may stand on a line; no account at all may."""
    if not number:
        return
    found = company.by_number(kind, number)
    if found is None or (isinstance(found, Account) and (found.kind != "Posting" or found.blocked)):
        raise not_related("Account", number, kind)
    _usable(found)


def _usable(found: Numbered) -> None:
    """What is checked whether it was named by number or by id."""
    if isinstance(found, Account):
        _must(found.kind == "Posting", "Account Type must be equal to 'Posting'", "G/L Account", found)
        _must(not found.blocked, "Blocked must be equal to 'No'", "G/L Account", found)
        _must(found.direct_posting, "Direct Posting must be equal to 'Yes'", "G/L Account", found)
    if isinstance(found, BankAccount):
        _must(not found.blocked, "Blocked must be equal to 'No'", "Bank Account", found)
    if isinstance(found, Vendor) and found.blocked == "All":
        raise refused(f"You cannot create this type of document when Vendor {found.number} is blocked with type All.")


def _must(holds: bool, rule: str, table: str, found: Numbered) -> None:
    if not holds:
        raise Refused("Application_FieldValidationException", f"{rule} in {table}: No.={found.number}.")


def not_related(name: str, value: str, table: str) -> Refused:
    return Refused(
        "Internal_InvalidTableRelation",
        f"The field {name} contains a value ({value}) that cannot be found in the related table ({table}).",
    )


def name_of(company: Company, kind: str, number: str) -> str:
    found = company.by_number(kind, number) if number else None
    return found.name[:LONGEST_NAME] if found else ""


def default_dimensions(company: Company, line: JournalLine) -> dict[str, str]:
    """Those of both sides; the account's go before those of the balancing account."""
    sides = ((line.balance_type, line.balance_account), (line.account_type, line.account))
    filled: dict[str, str] = {}
    for kind, number in sides:
        found = company.by_number(kind, number) if number else None
        if isinstance(found, Account):
            filled |= found.default_dimensions
    return filled


def number_of(company: Company, kind: str, name: str, id: str) -> str | None:
    """The number behind an id; None where ids mean nothing: vendors and the like can only be named by number."""
    if id == NOBODY:
        return ""
    tables: dict[str, dict[str, Any]] = {GL: company.accounts, BANK: company.bank_accounts}
    if kind not in tables:
        return None
    if id not in tables[kind]:
        raise refused(f'The "{name}" does not match to an Account.')
    found: Numbered = tables[kind][id]
    _usable(found)
    return found.number


def id_of(company: Company, kind: str, number: str) -> str:
    """Only G/L and bank accounts have an id here."""
    found = company.by_number(kind, number) if number and kind in (GL, BANK) else None
    return found.id if found else NOBODY


def check_sides(line: JournalLine) -> None:
    if line.account_type in ONE_SIDED and line.balance_type in ONE_SIDED:
        raise refused("Account Type or Bal. Account Type must be a G/L Account or Bank Account.")
