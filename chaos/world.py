"""The simulated companies of a chaos run: `python -m chaos.world '{"businesses": 8, "central": 2, ...}'`.

Prints one line of JSON (ids and tokens) when it is built, then serves until it is told to stop. Two businesses write to
one organisation, one signs in to PEX by OAuth, one has not confirmed its first sync; some are charge accounts. Projects
are coded by tracking, and one business lets its books fill the options of its tag. The last ones keep their books in
Business Central (`chaos.central_world`).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from chaos import central_world
from chaos.companies import XERO
from sandbox import dynamics365, pex, xero
from sandbox.clock import Clock
from sandbox.pex.oauth import grant
from sandbox.server import Desk, serve

ACCOUNTS = [("429", "General Expenses"), ("449", "Motor Vehicle Expenses"), ("453", "Office Expenses")]
NAMES = ("Acorn", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ironwood", "Juniper")
FIRST = 4410  # PEX's number of the first business
SYNCED, BY_OAUTH, UNCONFIRMED = 0, 2, 3  # which business
CHARGE = (3, 5)
PROJECTS = ("Maple Street", "Harbor View", "Ninth Avenue")
MEMORY = 360  # seconds Xero remembers an Idempotency-Key: less than a row in doubt is left alone


def build(desk: Desk, count: int, central: int = 0) -> list[dict[str, Any]]:
    """One dictionary per business: everything a person's sign-in and setup would leave.

    The last `central` of the businesses keep their books in Business Central.
    """
    desk.worlds["pex"], desk.worlds["xero"] = pex.fresh_world(desk.clock), xero.fresh_world()
    desk.worlds["dynamics365"] = dynamics365.fresh_world()
    desk.worlds["xero"].clock = desk.worlds["dynamics365"].clock = desk.clock
    desk.worlds["xero"].switches.minute_limit = 6000  # what its answers say is left, though nothing is counted
    facts: list[dict[str, Any]] = []
    for number in range(count - central):
        organisation = facts[0]["company"] if number == 1 else _organisation(desk, number)
        facts.append(_business(desk, number, organisation))
    return [*facts, *_in_central(desk, count - central, central)]


def _in_central(desk: Desk, first: int, count: int) -> list[dict[str, Any]]:
    """All write to one company, as do two of the others: there is one journal for all of them."""
    if not count:
        return []
    books = central_world.company(desk.worlds["dynamics365"], ACCOUNTS, PROJECTS)
    found = []
    for place in range(count):
        on_pex = _on_pex(desk, first + place, charge=place in central_world.CHARGE)
        mine = central_world.business(desk.worlds["dynamics365"], books, place, on_pex["username"])
        found.append(on_pex | mine | _tags(desk, on_pex, mine["projects"]))
    return found


def _organisation(desk: Desk, number: int) -> str:
    books = desk.worlds["xero"].add_organisation(name=f"{NAMES[number]} LLC", short_code=f"!{FIRST + number}")
    if number in CHARGE:
        books.add_bank_account("PEX Card", bank_account_type="CREDITCARD")
    else:
        books.add_bank_account("PEX Cash Account")
    books.add_bank_account("Business Checking", code="090")
    for code, name in ACCOUNTS:
        books.add_account(code, name)
    books.add_account("404", "Bank Fees")
    books.add_account("260", "Other Revenue", "REVENUE")
    books.add_contact("PEX")
    books.add_tracking("Project", PROJECTS)
    books.add_foreign_transactions(200)
    return str(books.id)


def _business(desk: Desk, number: int, company: str) -> dict[str, Any]:
    books = desk.worlds["xero"].organisations[company]
    on_pex = _on_pex(desk, number, charge=number in CHARGE)
    category = next(iter(books.tracking.values()))
    projects = [(option.id, option.name) for option in category.options]
    person = desk.worlds["xero"].add_user(on_pex["username"], on_pex["email"], [books])
    mine = {
        "system": XERO,
        "books_tokens": desk.worlds["xero"].grant(person, [books]),
        "company": company,
        "target": company,
        "company_name": books.name,
        "company_facts": {},
        "bank": next(one.id for one in books.bank_accounts() if one.name.startswith("PEX")),
        "fees": {"account": books.account("404").id, "party": books.contact("PEX").id},
        "income": {"account": books.account("260").id, "party": books.contact("PEX").id},
        "source_cash": books.account("Business Checking").id,
        "category": category.id,
        "field": f"tracking:{category.id}",
        "projects": projects,
        "extra": {},
        "synced": number == SYNCED,
        "confirmed": number != UNCONFIRMED,
    }
    return on_pex | mine | _tags(desk, on_pex, projects)


def _on_pex(desk: Desk, number: int, charge: bool) -> dict[str, Any]:
    people, name = desk.worlds["pex"], NAMES[number]
    business = people.add_business(f"{name} Builders", "Credit" if charge else "Prepaid", FIRST + number)
    admin = business.add_admin(username=f"{name.lower()}.admin", first=name, last="Admin")
    for card in range(3):
        business.add_cardholder("Holder", f"No {card + 1}")
    if charge:
        business.add_statement("1000.00", desk.clock.now() + timedelta(days=9), "Open", payments=[])
    return {
        "pex_id": business.business_id,
        "name": business.name,
        "username": admin.username,
        "email": admin.email,
        "admin": f"{business.business_id}:{admin.admin_id}",
        "token": people.token(admin),
        "pair": grant(people, admin) if number == BY_OAUTH else None,
        "charge": charge,
        "cards": list(business.cards),
    }


def _tags(desk: Desk, on_pex: Mapping[str, Any], projects: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The tags of the accounts and of the projects. `projects`: id and name of each."""
    business = desk.worlds["pex"].businesses[on_pex["pex_id"]]
    tag, project = business.add_tag("Expense Account", options=ACCOUNTS), business.add_tag("Project", options=projects)
    return {"tag": tag.tag_id, "project_tag": project.tag_id, "projects": [value for value, _ in projects]}


def main() -> None:
    asked = json.loads(sys.argv[1])
    desk = Desk(clock=Clock(Path(asked["clock"])), url=f"http://localhost:{asked['port']}")
    facts = build(desk, asked["businesses"], asked["central"])
    desk.worlds["xero"].switches.idempotency_seconds = round(MEMORY * asked["patience"])
    print(json.dumps(facts), flush=True)
    serve(desk, asked["port"], None)


if __name__ == "__main__":
    main()
