"""What the control room can do to the simulated Business Central, and its books as JSON for whoever checks them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.dynamics365 import journals, posting, set_up
from sandbox.dynamics365.company import JOURNAL, Company
from sandbox.dynamics365.records import (
    BLOCKED,
    NO_DATE,
    NOBODY,
    VENDOR,
    Account,
    Attachment,
    Dimension,
    DimensionValue,
    Journal,
    JournalLine,
    LedgerEntry,
    Vendor,
)
from sandbox.dynamics365.values import Refused
from sandbox.dynamics365.world import DEMO_CLIENT, BusinessCentralWorld, User

Facts = Mapping[str, Any]
Done = dict[str, Any]
Action = Callable[[BusinessCentralWorld, Facts], Done]
RIGHTS = ("all", "read", "none")
YES, NO = ("true", "on", True), ("false", "off", False)


def books(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Return every line of every journal, every G/L entry in order, and the files that hang on nothing.

    Amounts are texts; above nought they debit.
    """
    company = _company(world, facts)
    of_lines, of_documents = _files(company)
    return {
        "company": company.id,
        "name": company.name,
        "lines": [
            _line_shown(line, journal, of_lines.get(line.id, []))
            for journal in company.journals.values()
            for line in journal.lines.values()
        ],
        "entries": [
            _entry_shown(one, of_documents.get((one.document_number, one.posting_date), []))
            for one in company.entries.values()
        ],
        "unlinked": of_lines.get(NOBODY, []),
    }


def _files(company: Company) -> tuple[dict[str, list[Done]], dict[tuple[str, date], list[Done]]]:
    """The files by what they hang on, and those of posted documents by number and day: each entry has them all."""
    of_lines: dict[str, list[Done]] = {}
    of_documents: dict[tuple[str, date], list[Done]] = {}
    for one in company.attachments.values():
        of_lines.setdefault(one.parent, []).append(_file_shown(one))
        if one.id in company.posted_documents:
            of_documents.setdefault(company.posted_documents[one.id], []).append(_file_shown(one))
    return of_lines, of_documents


def _line_shown(one: JournalLine, journal: Journal, files: Sequence[Done] = ()) -> Done:
    return {
        "id": one.id,
        "journal": journal.code,
        "number": one.number,
        "account_type": one.account_type,
        "account": one.account,
        "posting_date": _day_shown(one.posting_date),
        "document_number": one.document_number,
        "external_number": one.external_number,
        "amount": str(one.amount),
        "description": one.description,
        "comment": one.comment,
        "tax_code": one.tax_code,
        "balance_type": one.balance_type,
        "balance_account": one.balance_account,
        "dimensions": dict(one.dimensions),
        "attachments": list(files),
    }


def _entry_shown(one: LedgerEntry, files: Sequence[Done] = ()) -> Done:
    return {
        "id": one.id,
        "number": one.number,
        "account": one.account,
        "posting_date": _day_shown(one.posting_date),
        "document_number": one.document_number,
        "external_number": one.external_number,
        "amount": str(one.debit - one.credit),
        "description": one.description,
        "comment": one.comment,
        "dimensions": dict(one.dimensions),
        "reversed": one.reversed,
        "attachments": list(files),
    }


def _file_shown(one: Attachment) -> Done:
    digest = hashlib.sha256(one.content).hexdigest()
    return {"id": one.id, "name": one.name, "size": len(one.content), "sha256": digest}


def _day_shown(day: date) -> str:
    return "" if day == NO_DATE else day.isoformat()


def told(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Return how the company is set up: its chart, banks, vendors, dimensions, journals, and its tenant's people."""
    company = _company(world, facts)
    tenant = world.place_of(company).partition("/")[0]
    return {
        "id": company.id,
        "name": company.name,
        "display_name": company.display_name,
        "place": world.place_of(company),
        "currency": company.currency,
        "posting_from": _day_shown(company.posting_from),
        "posting_to": _day_shown(company.posting_to),
        "accounts": [_account_shown(one) for one in company.accounts.values()],
        "bank_accounts": [
            {"id": one.id, "number": one.number, "name": one.name, "blocked": one.blocked, "currency": one.currency}
            for one in company.bank_accounts.values()
        ],
        "vendors": [_vendor_shown(one) for one in company.vendors.values()],
        "dimensions": {one.code: list(one.values) for one in company.dimensions.values()},
        "values": [
            {"dimension": one.code, **_value_shown(value)}
            for one in company.dimensions.values()
            for value in one.values.values()
        ],
        "journals": [_journal_shown(one) for one in company.journals.values()],
        "people": [_person_shown(one) for one in world.users.values() if one.tenant.id == tenant],
    }


def _account_shown(one: Account) -> Done:
    named = {"id": one.id, "number": one.number, "name": one.name, "category": one.category}
    return {**named, "kind": one.kind, "blocked": one.blocked, "direct_posting": one.direct_posting}


def _vendor_shown(one: Vendor) -> Done:
    return {"id": one.id, "number": one.number, "name": one.name, "blocked": one.blocked}


def _value_shown(one: DimensionValue) -> Done:
    return {"id": one.id, "code": one.code, "name": one.name, "kind": one.kind, "blocked": one.blocked}


def _journal_shown(one: Journal) -> Done:
    return {
        "id": one.id,
        "code": one.code,
        "name": one.name,
        "template": one.template,
        "balance_account": one.balance_account,
        "number_series": one.number_series,
        "posting_series": one.posting_series,
        "pending_approval": one.pending_approval,
        "lines": len(one.lines),
    }


def _person_shown(one: User) -> Done:
    return {"id": one.id, "name": one.name, "email": one.email, "rights": one.rights, "known": one.known}


# Journals and their lines


def post(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Post the `journal`, as the page's button does."""
    company, journal = _journal(world, facts)
    before = len(company.entries)
    posting.post_now(company, journal)
    return {"posted": len(company.entries) - before, "lines": len(journal.lines)}


def delete_line(world: BusinessCentralWorld, facts: Facts) -> Done:
    company, journal, line = _line(world, facts)
    journals.delete_line(company, line)
    return {"deleted": line.id, "lines": len(journal.lines)}


EDITABLE = ("posting_date", "document_number", "external_number", "description", "amount")


def edit_line(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Change the line `id`: its posting_date, document_number, external_number, description or amount."""
    company, journal, line = _line(world, facts)
    changes = _typed(facts, *EDITABLE)
    if not changes:
        raise ValueError(f"Give what to change: {', '.join(EDITABLE)}.")
    journals.edit_line(company, line, **changes)
    return _line_shown(line, journal)


def add_manual_line(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Add a line to the `journal` as a person does: `account`, `amount`, and whichever other fields are given."""
    company, journal = _journal(world, facts)
    more = _typed(facts, *EDITABLE[:4], "account_type", "balance_account")
    line = journals.add_manual_line(company, journal, str(facts.get("account", "")), _amount(facts), **more)
    return _line_shown(line, journal)


def _typed(facts: Facts, *names: str) -> Done:
    """The fields that are given, as the type they have on a line."""
    changes: Done = {name: str(facts[name]) for name in names if name in facts}
    if "posting_date" in changes:
        changes["posting_date"] = date.fromisoformat(changes["posting_date"])
    if "amount" in changes:
        changes["amount"] = _amount(facts)
    return changes


def _amount(facts: Facts) -> Decimal:
    try:
        amount = Decimal(str(facts.get("amount", "")))
    except InvalidOperation:
        raise ValueError("Give an amount.") from None
    if not amount.is_finite():
        raise ValueError("Give an amount.")
    return amount


def renumber(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Renumber the documents of the `journal`."""
    company, journal = _journal(world, facts)
    journals.renumber(company, journal)
    return {"numbers": list(dict.fromkeys(one.document_number for one in journal.lines.values()))}


def reverse(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Reverse the posted document the entry `id` belongs to."""
    company = _company(world, facts)
    before = len(company.entries)
    posting.reverse(company, _found(company.entries, facts))
    return {"entries": len(company.entries) - before}


def create_journal(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Make a journal: `code`, `name`, `number_series`, `posting_series`, `balance_account`, `template`."""
    company = _company(world, facts)
    named = ("number_series", "posting_series", "template")
    series = {name: str(facts[name]).upper() for name in named if name in facts}
    made = set_up.add_journal(company, str(facts.get("code", JOURNAL)), str(facts.get("name", "")), **series)
    set_up.balance_with(company, made, str(facts.get("balance_account", "")))
    return _journal_shown(made)


def delete_journal(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Delete the `journal` with its lines; with `anew` make it again, empty and with another id."""
    company, journal = _journal(world, facts)
    if _flag(facts, "anew"):
        return _journal_shown(journals.recreate_journal(company, journal))
    journals.delete(company, journal)
    return {"deleted": journal.id}


def set_balancing_account(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Give the `journal` the balancing account `account`, or none."""
    company, journal = _journal(world, facts)
    set_up.balance_with(company, journal, str(facts.get("account", "")))
    return _journal_shown(journal)


# What changes between two syncs


def block_account(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Block the G/L account `account` (number, id or name), or with `blocked` false unblock it."""
    company, account = _account(world, facts)
    set_up.change(company, account, blocked=_flag(facts, "blocked", True))
    return _account_shown(account)


def rename_account(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Change the `name`, the `number` or the `category` of the G/L account `account`."""
    company, account = _account(world, facts)
    if not {"name", "number", "category"} & facts.keys():
        raise ValueError("Give a name, a number or a category.")
    if "number" in facts:
        set_up.renumber(company, account, str(facts["number"]))
    if "name" in facts:
        set_up.change(company, account, name=str(facts["name"]))
    if "category" in facts:
        set_up.categorize(company, account, str(facts["category"]))
    return _account_shown(account)


def block_vendor(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Block the vendor `vendor` (number or id) for "Payment" or "All"; " " unblocks."""
    company = _company(world, facts)
    wanted = str(facts.get("vendor"))
    vendor = company.vendors.get(wanted) or company.by_number(VENDOR, wanted)
    if not isinstance(vendor, Vendor):
        raise ValueError("There is no such vendor.")
    set_up.block_vendor(company, vendor, str(facts.get("blocked", BLOCKED[-1])))
    return _vendor_shown(vendor)


def add_vendor(world: BusinessCentralWorld, facts: Facts) -> Done:
    name = str(facts.get("name", "")).strip()
    if not 0 < len(name) <= 100:
        raise ValueError("Give a name of at most 100 characters.")
    return _vendor_shown(_company(world, facts).add_vendor(name))


def add_value(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Add the value `code`, called `name`, to the `dimension` of this code or id."""
    company, dimension = _dimension(world, facts)
    kind = str(facts.get("kind", set_up.KINDS_OF_VALUE[0]))
    made = set_up.add_value(company, dimension, str(facts.get("code", "")), str(facts.get("name", "")), kind)
    return _value_shown(made)


def rename_value(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Give the value `code` of the `dimension` another `name`."""
    company, dimension = _dimension(world, facts)
    value = dimension.values.get(str(facts.get("code", "")))
    if value is None or "name" not in facts:
        raise ValueError("Give the code of a value and its new name.")
    set_up.change(company, value, name=str(facts["name"]))
    return _value_shown(value)


def lock_dates(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Allow posting `from` and `to` these days only; an empty text lifts the limit."""
    company = _company(world, facts)
    if not {"from", "to"} & facts.keys():
        raise ValueError("Give from or to.")
    for name in {"from", "to"} & facts.keys():
        day = date.fromisoformat(str(facts[name])) if facts[name] else NO_DATE
        setattr(company, f"posting_{name}", day)
    return {"from": _day_shown(company.posting_from), "to": _day_shown(company.posting_to)}


# Sign-ins


def expire_tokens(world: BusinessCentralWorld, facts: Facts) -> Done:
    """End every access token as time does; refresh tokens stay good."""
    return {"expired": world.expire_access()}


def revoke(world: BusinessCentralWorld, facts: Facts) -> Done:
    """End every token of a `person` (email or id; the first one when none is named); with `consent` also that."""
    user = _person(world, facts)
    if _flag(facts, "consent"):
        world.withdraw(user, str(facts.get("client_id", DEMO_CLIENT)))
    return {"revoked": world.revoke(user)}


def rights(world: BusinessCentralWorld, facts: Facts) -> Done:
    """Say what a `person` may do: `rights` all, read or none; `known` whether Business Central knows the person."""
    user = _person(world, facts)
    wanted = str(facts.get("rights", user.rights))
    if wanted not in RIGHTS:
        raise ValueError(f"Rights are {', '.join(RIGHTS)}.")
    user.rights, user.known = wanted, _flag(facts, "known", user.known)
    return _person_shown(user)


ACTIONS: dict[str, Action] = {
    "post": post,
    "delete-line": delete_line,
    "edit-line": edit_line,
    "add-manual-line": add_manual_line,
    "renumber": renumber,
    "reverse": reverse,
    "create-journal": create_journal,
    "delete-journal": delete_journal,
    "set-balancing-account": set_balancing_account,
    "block-account": block_account,
    "rename-account": rename_account,
    "block-vendor": block_vendor,
    "add-vendor": add_vendor,
    "add-value": add_value,
    "rename-value": rename_value,
    "lock-dates": lock_dates,
    "expire-tokens": expire_tokens,
    "revoke": revoke,
    "rights": rights,
}


def act(world: BusinessCentralWorld, name: str, facts: Facts) -> Done:
    """Do one of the actions. Raises ValueError with the sentence Business Central would show."""
    if name not in ACTIONS:
        raise ValueError(f"Unknown action {name!r}; known: {', '.join(ACTIONS)}.")
    try:
        return ACTIONS[name](world, facts)
    except Refused as refused:
        raise ValueError(refused.message) from refused


def _company(world: BusinessCentralWorld, facts: Facts) -> Company:
    """The company the facts name by id or name; the first one when they name none."""
    name = facts.get("company")
    rows = world.companies()
    found = next((one for one in rows if not name or name in (one.id, one.name, one.display_name)), None)
    if found is None:
        raise ValueError("There is no such company.")
    return found


def _journal(world: BusinessCentralWorld, facts: Facts) -> tuple[Company, Journal]:
    """The journal of this code or id; "PEX CARD" when none is named."""
    company, wanted = _company(world, facts), str(facts.get("journal", JOURNAL))
    rows = company.journals.values()
    found = next((one for one in rows if wanted.upper() == one.code or wanted == one.id), None)
    if found is None:
        raise ValueError("There is no such journal.")
    return company, found


def _line(world: BusinessCentralWorld, facts: Facts) -> tuple[Company, Journal, JournalLine]:
    company = _company(world, facts)
    for journal in company.journals.values():
        if facts.get("id") in journal.lines:
            return company, journal, journal.lines[facts["id"]]
    raise ValueError("There is no such line.")


def _account(world: BusinessCentralWorld, facts: Facts) -> tuple[Company, Account]:
    company, wanted = _company(world, facts), facts.get("account")
    rows = company.accounts.values()
    found = next((one for one in rows if wanted in (one.number, one.id, one.name)), None)
    if found is None:
        raise ValueError("There is no such account.")
    return company, found


def _dimension(world: BusinessCentralWorld, facts: Facts) -> tuple[Company, Dimension]:
    company, wanted = _company(world, facts), facts.get("dimension")
    found = next((one for one in company.dimensions.values() if wanted in (one.code, one.id)), None)
    if found is None:
        raise ValueError("There is no such dimension.")
    return company, found


def _person(world: BusinessCentralWorld, facts: Facts) -> User:
    wanted = facts.get("person")
    found = next((one for one in world.users.values() if not wanted or wanted in (one.id, one.email)), None)
    if found is None:
        raise ValueError("There is no such person.")
    return found


def _found(records: Mapping[str, Any], facts: Facts) -> Any:
    found = records.get(str(facts.get("id")))
    if found is None:
        raise ValueError("There is nothing with this id.")
    return found


def _flag(facts: Facts, name: str, usual: bool = False) -> bool:
    value = facts.get(name, usual)
    if value not in (*YES, *NO):
        raise ValueError(f"{name} is true or false.")
    return value in YES
