"""A simulated world of a given size, served from its own process so that its work is not counted as ours.

`python -m bench.scene '{"purchases": 100, ...}'` prints one line of JSON (address, tokens, ids) and serves until its
standard input closes.
"""

import json
import sys
from datetime import timedelta
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sandbox import pex, xero
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


def _business(desk: Desk, number: int, wish: dict[str, Any]) -> dict[str, Any]:
    """One business on PEX with its purchases, its organisation in Xero, and the person who opens both."""
    name = f"Bench Builders {number}" if number else "Bench Builders"
    username = f"ben.bench{number or ''}"
    business = desk.worlds["pex"].add_business(name=name, business_id=4410 + number)
    admin = business.add_admin(username=username, first="Ben", last="Bench")
    tag = business.add_tag("Expense Account", options=ACCOUNTS)
    organisation = desk.worlds["xero"].add_organisation(name=f"{name} LLC", short_code=f"!bench{number or ''}")
    bank = organisation.add_bank_account("PEX Cash Account")
    for code, title in ACCOUNTS:
        organisation.add_account(code, title)
    for stranger in range(wish.get("contacts", 0) - len(MERCHANTS)):
        organisation.add_contact(f"Somebody {stranger}")
    for merchant in MERCHANTS:
        organisation.add_contact(merchant)
    # Without numbers: PEX leaves those out of the names it tidies.
    new = [f"{one}{two} Supplies" for one in ascii_uppercase for two in ascii_lowercase]
    merchants = new[: wish.get("new_merchants", 0)] or MERCHANTS
    organisation.add_foreign_transactions(wish.get("foreign", 0))
    tracked = [_tracked(business, organisation, title, options) for title, options in CATEGORIES.items()]
    _purchases(desk, business, tag.tag_id, tracked, merchants, wish)
    more = [desk.worlds["xero"].add_organisation(name=f"Branch {n}") for n in range(wish.get("branches", 0))]
    person = desk.worlds["xero"].add_user("Ben Bench", f"{username}@example.com", [organisation, *more])
    given = desk.worlds["xero"].grant(person, [organisation, *more])
    return {
        "business": 4410 + number,
        "name": name,
        "username": username,
        "pex_token": desk.worlds["pex"].token(admin, "pexsync-demo"),
        "tokens": {name: given[name] for name in ("access_token", "refresh_token", "scope")},
        "company": organisation.id,
        "companies": [organisation.id, *(branch.id for branch in more)],
        "bank": bank.id,
        "tag": tag.tag_id,
        "tracking": {category.id: dropdown.tag_id for category, dropdown in tracked},
        "receipts": bool(wish.get("receipts")),
    }


def _tracked(business: Any, organisation: Any, title: str, options: list[str]) -> tuple[Any, Any]:
    """A tracking category, and the dropdown of its name whose options the product has filled before."""
    category = organisation.add_tracking(title, options)
    return category, business.add_tag(title, options=[(option.id, option.name) for option in category.options])


def _purchases(
    desk: Desk,
    business: Any,
    tag: str,
    tracked: list[tuple[Any, Any]],
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
            tags={tag: ACCOUNTS[number % len(ACCOUNTS)][0], **_options(tracked, number)},
            receipts=[receipt] if number < wish.get("receipts", 0) else [],
        )


def _options(tracked: list[tuple[Any, Any]], number: int) -> dict[str, str]:
    return {tag.tag_id: category.options[number % len(category.options)].id for category, tag in tracked}


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
