"""A simulated world of a given size, served from its own process so that its work is not counted as ours.

`python -m bench.scene '{"purchases": 100, ...}'` prints one line of JSON (address, tokens, ids) and serves until its
standard input closes.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sandbox import dynamics365, pex, xero
from sandbox.dynamics365 import journals, posting
from sandbox.pex import documents
from sandbox.server import Desk, Server

ACCOUNTS = [("429", "General Expenses"), ("449", "Motor Vehicle Expenses"), ("453", "Office Expenses")]
CATEGORIES = {
    "Project": [f"Project {number:02d}" for number in range(40)],
    "Region": ["Eastside", "North", "South", "West Coast"],
}
TRADES = ("Bakery", "Cleaning", "Diner", "Fuel", "Garage", "Hardware", "Paper", "Travel")
MERCHANTS = [f"{first} {second}" for first in ("Alder", "Birch", "Cedar", "Elm", "Hazel") for second in TRADES]


def build(desk: Desk, wish: dict[str, Any]) -> dict[str, Any]:
    """The facts of the first business stand at the top, those of every other one in `others`."""
    desk.worlds["pex"], desk.worlds["xero"] = pex.fresh_world(desk.clock), xero.fresh_world()
    desk.worlds["dynamics365"] = dynamics365.fresh_world()
    businesses = [_business(desk, number, wish) for number in range(wish.get("businesses", 1))]
    if wish.get("latency"):
        desk.faults.add("slow", seconds=wish["latency"], times=None)
    desk.worlds["xero"].switches.limits = bool(wish.get("limits"))
    desk.worlds["pex"].switches.limits = bool(wish.get("pex_limits"))
    return {
        "url": desk.url,
        "limits": bool(wish.get("limits")),
        "pex_limits": bool(wish.get("pex_limits")),
        **businesses[0],
        "others": businesses[1:],
    }


@dataclass(frozen=True, slots=True)
class Books:
    """One business's books, whatever system keeps them."""

    facts: dict[str, Any]  # company, the bank or account that stands for PEX, tokens of the person who opens it
    dimensions: Sequence["Dimension"] = ()


@dataclass(frozen=True, slots=True)
class Dimension:
    """A field of the books beside the account, and what may stand in it."""

    key: str  # of the settings field
    title: str
    options: Sequence[tuple[str, str]]  # id and name


def _business(desk: Desk, number: int, wish: dict[str, Any]) -> dict[str, Any]:
    """One business on PEX with its purchases, its books, and the person who opens both."""
    system = wish.get("system", "xero")
    name = f"Bench Builders {number}" if number else "Bench Builders"
    username = f"ben.bench{number or ''}"
    business = desk.worlds["pex"].add_business(name=name, business_id=4410 + number)
    admin = business.add_admin(username=username, first="Ben", last="Bench")
    tag = business.add_tag("Expense Account", options=ACCOUNTS)
    books = BOOKS[system](desk, name, username, wish)
    # Dropdowns of their names, whose options the product has filled before.
    tags = {each.key: business.add_tag(each.title, options=each.options).tag_id for each in books.dimensions}
    # Without numbers: PEX leaves those out of the names it tidies.
    new = [f"{one}{two} Supplies" for one in ascii_uppercase for two in ascii_lowercase]
    merchants = new[: wish.get("new_merchants", 0)] or MERCHANTS
    tagged = [(tags[each.key], [option for option, _ in each.options]) for each in books.dimensions]
    _purchases(desk, business, tag.tag_id, tagged, merchants, wish)
    return {
        "system": system,
        "business": 4410 + number,
        "name": name,
        "username": username,
        "pex_token": desk.worlds["pex"].token(admin, "pexsync-demo"),
        "tag": tag.tag_id,
        "fields": tags,
        "receipts": bool(wish.get("receipts")),
        **books.facts,
    }


def _in_xero(desk: Desk, name: str, username: str, wish: dict[str, Any]) -> Books:
    """An organisation. Of transactions that are not ours it holds `foreign`, of contacts `contacts`."""
    organisation = desk.worlds["xero"].add_organisation(name=f"{name} LLC", short_code=f"!{username}")
    bank = organisation.add_bank_account("PEX Cash Account")
    for code, title in ACCOUNTS:
        organisation.add_account(code, title)
    for contact in _known(wish):
        organisation.add_contact(contact)
    organisation.add_foreign_transactions(wish.get("foreign", 0))
    categories = [organisation.add_tracking(title, options) for title, options in CATEGORIES.items()]
    more = [desk.worlds["xero"].add_organisation(name=f"Branch {n}") for n in range(wish.get("branches", 0))]
    person = desk.worlds["xero"].add_user("Ben Bench", f"{username}@example.com", [organisation, *more])
    given = desk.worlds["xero"].grant(person, [organisation, *more])
    facts = {
        "tokens": {each: given[each] for each in ("access_token", "refresh_token", "scope")},
        "company": organisation.id,
        "companies": [organisation.id, *(branch.id for branch in more)],
        "bank": bank.id,
    }
    return Books(
        facts,
        [
            Dimension(f"tracking:{each.id}", each.name, [(option.id, option.name) for option in each.options])
            for each in categories
        ],
    )


def _in_business_central(desk: Desk, name: str, username: str, wish: dict[str, Any]) -> Books:
    """A company with its journal. Of posted documents that are not ours it holds `foreign`, of vendors `contacts`.

    `filled`: every expense account has a default of the first dimension, so that its lines fill it in by themselves.
    """
    world = desk.worlds["dynamics365"]
    tenant = world.add_tenant(f"{name} LLC")
    company = world.add_company(world.add_environment(tenant), name)
    company.add_journal()
    card = company.add_account("10950", "PEX Card Prepaid", "Assets")
    company.add_account("10110", "Checking Account", "Assets")
    for code, title in ACCOUNTS:
        company.add_account(code, title)
    for vendor in _known(wish):
        company.add_vendor(vendor)
    dimensions = [
        company.add_dimension(
            title, [(f"{title[:1]}{place:02}", option) for place, option in enumerate(options)], title
        )
        for title, options in CATEGORIES.items()
    ]
    if wish.get("filled"):
        for code, _ in ACCOUNTS:
            company.account(code).default_dimensions[dimensions[0].code] = next(reversed(dimensions[0].values))
    if wish.get("foreign"):
        _posted_by_hand(company, wish["foreign"])
    person = world.add_user("Ben Bench", f"{username}@example.com", tenant)
    place = world.place_of(company)
    facts = {
        "tokens": world.sign_in(person),
        "company": place,
        "company_facts": {"name": company.name, "environment": place.split("/")[1], "environment_type": "Production"},
        "bank": card.id,
        "extra": {"vendors": "names", "create_vendors": True},
    }
    return Books(
        facts,
        [
            Dimension(f"dimension:{each.id}", each.name, [(value.id, value.name) for value in each.values.values()])
            for each in dimensions
        ],
    )


def _posted_by_hand(company: Any, documents: int) -> None:
    """Documents that are not ours, on the checking account, in the general ledger: two entries each."""
    journal = company.add_journal("DEFAULT", "Default Journal")
    for number in range(documents):
        journals.add_manual_line(
            company,
            journal,
            ACCOUNTS[number % len(ACCOUNTS)][0],
            Decimal(number % 900 + 1),
            document_number=f"CHK-{number}",
            description=f"Somebody {number % 900}",
            balance_account="10110",
        )
    posting.post_now(company, journal)


def _known(wish: dict[str, Any]) -> list[str]:
    """Whom the books know already: as many as are wished for, the merchants among them."""
    return [*(f"Somebody {number}" for number in range(wish.get("contacts", 0) - len(MERCHANTS))), *MERCHANTS]


BOOKS: dict[str, Callable[[Desk, str, str, dict[str, Any]], Books]] = {
    "xero": _in_xero,
    "dynamics365": _in_business_central,
}


def _purchases(
    desk: Desk,
    business: Any,
    tag: str,
    tagged: list[tuple[str, list[str]]],
    merchants: list[str],
    wish: dict[str, Any],
) -> None:
    now = desk.clock.now()
    cards = [business.add_cardholder("Holder", f"No {number}") for number in range(12)]
    receipt: str | bytes = "pdf"
    if wish.get("receipt_bytes"):
        receipt = documents.pdf("TOTAL").ljust(wish["receipt_bytes"], b"\n")
    for number in range(wish["purchases"]):
        happened = now - timedelta(days=2, minutes=number % 20_000)
        business.add_purchase(
            amount=f"{5 + number % 300}.{number % 100:02d}",
            card=cards[number % 12],
            happened=happened,
            settled=happened + timedelta(days=1),
            merchant=merchants[number % len(merchants)],
            approval="Approved",
            tags={
                tag: ACCOUNTS[number % len(ACCOUNTS)][0],
                **{one: values[number % len(values)] for one, values in tagged},
            },
            receipts=[receipt] if number < wish.get("receipts", 0) else [],
        )


def main() -> None:
    desk = Desk()
    server = Server(desk)
    facts = build(desk, json.loads(sys.argv[1]))
    server.start()
    print(json.dumps(facts), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
