"""What the control room can do to the simulated Xero, and the books as JSON for whoever has to check them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from sandbox.xero.organisation import Organisation
from sandbox.xero.records import (
    Account,
    Attachment,
    BankTransaction,
    BankTransfer,
    Contact,
    Line,
    TaxRate,
    Tracked,
    TrackingCategory,
    TrackingOption,
)
from sandbox.xero.world import DEMO_CLIENT, XeroWorld

Facts = Mapping[str, Any]
Done = dict[str, Any]
STATUSES = ("ACTIVE", "ARCHIVED", "DELETED")
YES, NO = ("true", "on", True), ("false", "off", False)


def books(world: XeroWorld, facts: Facts) -> list[Done]:
    """Return every bank transaction of the organisation, dead ones and legs of transfers too, in order of entry."""
    return [_shown(one) for one in _organisation(world, facts).bank_transactions.values()]


def transfers(world: XeroWorld, facts: Facts) -> list[Done]:
    """Return every bank transfer of the organisation, deleted ones too, in order of entry."""
    return [_transfer_shown(one) for one in _organisation(world, facts).bank_transfers.values()]


def _transfer_shown(one: BankTransfer) -> Done:
    return {
        "id": one.id,
        "status": one.status,
        "amount": str(one.amount),
        "date": one.date.isoformat(),
        "reference": one.reference,
        "from": one.from_account.id,
        "to": one.to_account.id,
        "legs": [one.from_leg.id, one.to_leg.id],
        "reconciled": [one.from_leg.is_reconciled, one.to_leg.is_reconciled],
        "tracking": [*_tracking_shown(one.from_tracking), *_tracking_shown(one.to_tracking)],
        "attachments": _files_shown(one.attachments),
    }


def _shown(one: BankTransaction) -> Done:
    """Amounts are texts and never negative: the type tells the direction."""
    return {
        "id": one.id,
        "type": one.type,
        "status": one.status,
        "total": str(one.total),
        "date": one.date.isoformat(),
        "reference": one.reference,
        "url": one.url,
        "bank_account": one.bank_account.id,
        "contact": one.contact.name if one.contact else "",
        "reconciled": one.is_reconciled,
        "transfer": one.transfer_id,
        "lines": [_line_shown(line) for line in one.lines],
        "attachments": _files_shown(one.attachments),
        "history": [{"at": note.at.isoformat(), "changes": note.changes, "by": note.user} for note in one.history],
    }


def _line_shown(one: Line) -> Done:
    return {
        "amount": str(one.line_amount),
        "account": one.account.code if one.account else "",
        "description": one.description,
        "tracking": _tracking_shown(one.tracking),
    }


def _tracking_shown(values: Sequence[Tracked]) -> list[Done]:
    return [{"category": one.category.name, "option": one.option.name} for one in values]


def _files_shown(files: Sequence[Attachment]) -> list[Done]:
    return [{"name": file.file_name, "sha256": hashlib.sha256(file.content).hexdigest()} for file in files]


def set_up(world: XeroWorld, facts: Facts) -> Done:
    """Return how the organisation is set up: its chart, contacts, tracking, tax rates, plan and locks."""
    organisation = _organisation(world, facts)
    return {
        "id": organisation.id,
        "name": organisation.name,
        **_state(organisation),
        "accounts": [_named(one, code=one.code, type=one.type) for one in organisation.accounts.values()],
        "contacts": [_named(one, merged_to=one.merged_to) for one in organisation.contacts.values()],
        "tracking": [
            _named(one, options=[_named(option) for option in one.options]) for one in organisation.tracking.values()
        ],
        "tax_rates": [
            {"id": one.tax_type, "name": one.name, "status": one.status, "rate": str(one.rate)}
            for one in organisation.tax_rates.values()
        ],
    }


FLAGS, LOCKS = ("pays_tax", "multicurrency", "offline"), ("period_lock_date", "end_of_year_lock_date")


def _state(organisation: Organisation) -> Done:
    days = {name: getattr(organisation, name) for name in LOCKS}
    flags = {name: getattr(organisation, name) for name in FLAGS}
    return flags | {name: day.isoformat() if day else "" for name, day in days.items()}


def _named(one: Account | Contact | TrackingCategory | TrackingOption, **more: Any) -> Done:
    return {"id": one.id, "name": one.name, "status": one.status, **more}


def void(world: XeroWorld, facts: Facts) -> Done:
    """Delete the transaction `id`, as the page's button does."""
    organisation, one = _transaction(world, facts)
    organisation.void(one.id)
    return _shown(one)


def edit(world: XeroWorld, facts: Facts) -> Done:
    """Change the `reference` or the `amount` of the transaction `id`."""
    organisation, one = _transaction(world, facts)
    if one.is_leg:
        raise ValueError("It is one side of a transfer: edit the transfer.")
    return _shown(organisation.edit(one.id, facts.get("reference"), facts.get("amount")))


def enter(world: XeroWorld, facts: Facts) -> Done:
    """Enter a transaction by hand: `reference`, `amount`, `type`, `bank_account`, `date`, `url`."""
    organisation = _organisation(world, facts)
    given = {name: facts[name] for name in ("type", "bank_account", "url") if facts.get(name)}
    if facts.get("date"):
        given["date"] = date.fromisoformat(facts["date"])
    try:
        return _shown(organisation.post_by_hand(str(facts.get("reference", "")), str(facts["amount"]), **given))
    except (KeyError, ArithmeticError):
        raise ValueError("Give an amount, and a bank account the organisation has.") from None


def reconcile(world: XeroWorld, facts: Facts) -> Done:
    """Match the transaction `id` (a leg of a transfer too) with a bank statement; `reconciled` false undoes it."""
    organisation, one = _transaction(world, facts)
    return _shown(organisation.reconcile(one.id, _flag(facts, "reconciled", True)))


def edit_transfer(world: XeroWorld, facts: Facts) -> Done:
    """Change the `reference` of the transfer `id`."""
    organisation, one = _transfer(world, facts)
    return _transfer_shown(organisation.edit_transfer(one, str(facts.get("reference", ""))))


def delete_transfer(world: XeroWorld, facts: Facts) -> Done:
    """Delete the transfer `id` with both its legs."""
    organisation, one = _transfer(world, facts)
    return _transfer_shown(organisation.delete_transfer(one, "A person"))


# What changes between two syncs


def change_account(world: XeroWorld, facts: Facts) -> Done:
    """Change the `name`, `code`, `status` or `tax_type` of the account `id`."""
    organisation = _organisation(world, facts)
    one = organisation.change_account(_found(organisation.accounts, facts), **_changes(facts, "code", "tax_type"))
    return _named(one, code=one.code)


def change_contact(world: XeroWorld, facts: Facts) -> Done:
    """Change the `name` or `status` of the contact `id`."""
    organisation = _organisation(world, facts)
    return _named(organisation.change_contact(_found(organisation.contacts, facts), **_changes(facts)))


def merge_contact(world: XeroWorld, facts: Facts) -> Done:
    """Merge the contact `id` into the contact `into`."""
    organisation = _organisation(world, facts)
    one, into = (_found(organisation.contacts, facts, name) for name in ("id", "into"))
    if one is into:
        raise ValueError("A contact is merged into another one.")
    return _named(organisation.merge_contact(one, into), merged_to=into.id)


def add_tracking(world: XeroWorld, facts: Facts) -> Done:
    """Add a tracking category `name` with `options`, or the options to the category `id`."""
    organisation = _organisation(world, facts)
    options = [str(option) for option in facts.get("options", ())]
    if facts.get("id"):
        category: TrackingCategory = _found(organisation.tracking, facts)
        for option in options:
            organisation.add_tracking_option(category, option)
    elif facts.get("name"):
        category = organisation.add_tracking(str(facts["name"]), options)
    else:
        raise ValueError("Give the name of a new category, or the id of one.")
    return _named(category, options=[_named(option) for option in category.options])


def change_tracking(world: XeroWorld, facts: Facts) -> Done:
    """Change the `name` or `status` of the tracking category or option `id`."""
    organisation = _organisation(world, facts)
    options = {option.id: option for category in organisation.tracking.values() for option in category.options}
    one: TrackingCategory | TrackingOption = _found({**organisation.tracking, **options}, facts)
    organisation.change_tracking(one, **_changes(facts))
    return _named(one)


def change_tax_rate(world: XeroWorld, facts: Facts) -> Done:
    """Change the `name` or `status` of the tax rate `id` (its type)."""
    organisation = _organisation(world, facts)
    rate: TaxRate = _found(organisation.tax_rates, facts)
    organisation.change_tax_rate(rate, **_changes(facts))
    return {"id": rate.tax_type, "name": rate.name, "status": rate.status}


def change_set_up(world: XeroWorld, facts: Facts) -> Done:
    """Set or, with an empty text, lift the locks; say whether it pays tax, keeps currencies, is offline."""
    organisation = _organisation(world, facts)
    changes: Done = {name: _day(facts, name) for name in LOCKS if name in facts}
    changes |= {name: _flag(facts, name) for name in FLAGS if name in facts}
    for name, value in changes.items():
        setattr(organisation, name, value)
    return _state(organisation)


# Sign-ins


def disconnect(world: XeroWorld, facts: Facts) -> Done:
    """Take the app out of the organisation, as a person does inside Xero."""
    before = len(world.connections)
    world.disconnect(_organisation(world, facts), str(facts.get("client_id", DEMO_CLIENT)))
    return {"disconnected": before - len(world.connections)}


def expire_tokens(world: XeroWorld, facts: Facts) -> Done:
    """End every access token as time does; refresh tokens stay good."""
    ended = len(world.access)
    world.access.clear()
    return {"expired": ended}


ACTIONS: dict[str, Callable[[XeroWorld, Facts], Done]] = {
    "void": void,
    "edit": edit,
    "enter": enter,
    "reconcile": reconcile,
    "edit-transfer": edit_transfer,
    "delete-transfer": delete_transfer,
    "change-account": change_account,
    "change-contact": change_contact,
    "merge-contact": merge_contact,
    "add-tracking": add_tracking,
    "change-tracking": change_tracking,
    "change-tax-rate": change_tax_rate,
    "set-up": change_set_up,
    "disconnect": disconnect,
    "expire-tokens": expire_tokens,
}


def _organisation(world: XeroWorld, facts: Facts) -> Organisation:
    """Return the organisation the facts name; the first one when they name none."""
    name = facts.get("organisation")
    found = world.organisations.get(str(name)) if name else next(iter(world.organisations.values()), None)
    if found is None:
        raise ValueError("There is no such organisation.")
    return found


def _transaction(world: XeroWorld, facts: Facts) -> tuple[Organisation, BankTransaction]:
    organisation = _organisation(world, facts)
    found = organisation.bank_transactions.get(str(facts.get("id")))
    if found is None:
        raise ValueError("There is no such transaction.")
    return organisation, found


def _transfer(world: XeroWorld, facts: Facts) -> tuple[Organisation, BankTransfer]:
    organisation = _organisation(world, facts)
    return organisation, _found(organisation.bank_transfers, facts)


def _found(records: Mapping[str, Any], facts: Facts, name: str = "id") -> Any:
    found = records.get(str(facts.get(name)))
    if found is None:
        raise ValueError(f"There is nothing with this {name}.")
    return found


def _changes(facts: Facts, *more: str) -> Done:
    """Return the members to change. Raises ValueError when nothing would change or a status is unknown."""
    changes = {name: str(facts[name]) for name in ("name", "status", *more) if name in facts}
    if not changes or changes.get("status", "ACTIVE") not in STATUSES:
        raise ValueError(f"Give what to change; a status is {', '.join(STATUSES)}.")
    return changes


def _day(facts: Facts, name: str) -> date | None:
    return date.fromisoformat(str(facts[name])) if facts[name] else None


def _flag(facts: Facts, name: str, usual: bool = False) -> bool:
    value = facts.get(name, usual)
    if value not in (*YES, *NO):
        raise ValueError(f"{name} is true or false.")
    return value in YES
