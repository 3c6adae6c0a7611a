"""The simulated companies of a chaos run: `python -m chaos.world '{"businesses": 6, "port": 8100, ...}'`.

Prints one line of JSON (ids and tokens) when it is built, then serves until it is told to stop. Two businesses write to
one organisation, one signs in to PEX by OAuth, one has not confirmed its first sync; some are charge accounts. Projects
are coded by tracking, and one business lets its books fill the options of its tag.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox import pex, xero
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


def build(desk: Desk, count: int) -> list[dict[str, Any]]:
    """One dictionary per business: everything a person's sign-in and setup would leave."""
    desk.worlds["pex"], desk.worlds["xero"] = pex.fresh_world(desk.clock), xero.fresh_world()
    desk.worlds["xero"].clock = desk.clock
    desk.worlds["xero"].switches.minute_limit = 6000  # what its answers say is left, though nothing is counted
    facts: list[dict[str, Any]] = []
    for number in range(count):
        organisation = facts[0]["company"] if number == 1 else _organisation(desk, number)
        facts.append(_business(desk, number, organisation))
    return facts


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
    people, books = desk.worlds["pex"], desk.worlds["xero"].organisations[company]
    funding = "Credit" if number in CHARGE else "Prepaid"
    business = people.add_business(f"{NAMES[number]} Builders", funding, FIRST + number)
    admin = business.add_admin(username=f"{NAMES[number].lower()}.admin", first=NAMES[number], last="Admin")
    for card in range(3):
        business.add_cardholder("Holder", f"No {card + 1}")
    if number in CHARGE:
        business.add_statement("1000.00", desk.clock.now() + timedelta(days=9), "Open", payments=[])
    tag = business.add_tag("Expense Account", options=ACCOUNTS)
    category = next(iter(books.tracking.values()))
    project = business.add_tag("Project", options=[(option.id, option.name) for option in category.options])
    person = desk.worlds["xero"].add_user(admin.username, admin.email, [books])
    return {
        "pex_id": business.business_id,
        "name": business.name,
        "username": admin.username,
        "admin": f"{business.business_id}:{admin.admin_id}",
        "token": people.token(admin),
        "pair": grant(people, admin) if number == BY_OAUTH else None,
        "books_tokens": desk.worlds["xero"].grant(person, [books]),
        "company": company,
        "company_name": books.name,
        "bank": next(one.id for one in books.bank_accounts() if one.name.startswith("PEX")),
        "charge": number in CHARGE,
        "fees": books.account("404").id,
        "income": books.account("260").id,
        "source_cash": books.account("Business Checking").id,
        "contact": books.contact("PEX").id,
        "tag": tag.tag_id,
        "category": category.id,
        "project_tag": project.tag_id,
        "projects": [option.id for option in category.options],
        "synced": number == SYNCED,
        "cards": list(business.cards),
        "confirmed": number != UNCONFIRMED,
    }


def main() -> None:
    asked = json.loads(sys.argv[1])
    desk = Desk(clock=Clock(Path(asked["clock"])), url=f"http://localhost:{asked['port']}")
    facts = build(desk, asked["businesses"])
    desk.worlds["xero"].switches.idempotency_seconds = round(MEMORY * asked["patience"])
    print(json.dumps(facts), flush=True)
    serve(desk, asked["port"], None)


if __name__ == "__main__":
    main()
