"""What the control room can do to the simulated Xero, and the books as JSON for whoever has to check them."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sandbox.xero.organisation import Organisation
from sandbox.xero.records import BankTransaction
from sandbox.xero.world import XeroWorld

Facts = Mapping[str, Any]
Done = dict[str, Any]


def books(world: XeroWorld, facts: Facts) -> list[Done]:
    """Return every bank transaction of the organisation, dead ones and legs of transfers too, in order of entry."""
    return [_shown(one) for one in _organisation(world, facts).bank_transactions.values()]


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
        "attachments": [
            {"name": file.file_name, "sha256": hashlib.sha256(file.content).hexdigest()} for file in one.attachments
        ],
        "history": [{"at": note.at.isoformat(), "changes": note.changes, "by": note.user} for note in one.history],
    }


def void(world: XeroWorld, facts: Facts) -> Done:
    """Delete the transaction `id`, as the page's button does."""
    organisation, one = _transaction(world, facts)
    organisation.void(one.id)
    return _shown(one)


def edit(world: XeroWorld, facts: Facts) -> Done:
    """Change the `reference` or the `amount` of the transaction `id`."""
    organisation, one = _transaction(world, facts)
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


def expire_tokens(world: XeroWorld, facts: Facts) -> Done:
    """End every access token as time does; refresh tokens stay good."""
    ended = len(world.access)
    world.access.clear()
    return {"expired": ended}


ACTIONS: dict[str, Callable[[XeroWorld, Facts], Done]] = {
    "void": void,
    "edit": edit,
    "enter": enter,
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
