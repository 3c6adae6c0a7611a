"""A simulated world of a given size, served from its own process so that its work is not counted as ours.

`python -m bench.scene '{"purchases": 100, ...}'` prints one line of JSON (address, tokens, ids) and serves until its
standard input closes.
"""

import json
import sys
from datetime import timedelta
from typing import Any

from sandbox import pex, xero
from sandbox.server import Desk, Server

ACCOUNTS = [("429", "General Expenses"), ("449", "Motor Vehicle Expenses"), ("453", "Office Expenses")]
TRADES = ("Bakery", "Cleaning", "Diner", "Fuel", "Garage", "Hardware", "Paper", "Travel")
MERCHANTS = [f"{first} {second}" for first in ("Alder", "Birch", "Cedar", "Elm", "Hazel") for second in TRADES]


def build(desk: Desk, wish: dict[str, Any]) -> dict[str, Any]:
    desk.worlds["pex"], desk.worlds["xero"] = pex.fresh_world(desk.clock), xero.fresh_world()
    business = desk.worlds["pex"].add_business(name="Bench Builders", business_id=4410)
    admin = business.add_admin(username="ben.bench", first="Ben", last="Bench")
    tag = business.add_tag("Expense Account", options=ACCOUNTS)
    organisation = desk.worlds["xero"].add_organisation(name="Bench Builders LLC", short_code="!bench")
    bank = organisation.add_bank_account("PEX Cash Account")
    for code, name in ACCOUNTS:
        organisation.add_account(code, name)
    for number in range(wish.get("contacts", 0) - len(MERCHANTS)):
        organisation.add_contact(f"Somebody {number}")
    for name in MERCHANTS:
        organisation.add_contact(name)
    organisation.add_foreign_transactions(wish.get("foreign", 0))
    _purchases(desk, business, tag.tag_id, wish)
    person = desk.worlds["xero"].add_user("Ben Bench", "ben@example.com", [organisation])
    tokens = desk.worlds["xero"].grant(person, [organisation])
    if wish.get("latency"):
        desk.faults.add("slow", seconds=wish["latency"], times=None)
    desk.worlds["xero"].switches.limits = bool(wish.get("limits"))
    return {
        "url": desk.url,
        "pex_token": desk.worlds["pex"].token(admin, "pexsync-demo"),
        "tokens": tokens,
        "company": organisation.id,
        "bank": bank.id,
        "tag": tag.tag_id,
        "receipts": bool(wish.get("receipts")),
    }


def _purchases(desk: Desk, business: Any, tag: str, wish: dict[str, Any]) -> None:
    now = desk.clock.now()
    cards = [business.add_cardholder("Holder", f"No {number}") for number in range(12)]
    for number in range(wish["purchases"]):
        happened = now - timedelta(days=2, minutes=number % 20_000)
        business.add_purchase(
            amount=f"{5 + number % 300}.{number % 100:02d}",
            card=cards[number % 12],
            happened=happened,
            settled=happened + timedelta(days=1),
            merchant=MERCHANTS[number % len(MERCHANTS)],
            approval="Approved",
            tags={tag: ACCOUNTS[number % len(ACCOUNTS)][0]},
            receipts=["pdf"] if number < wish.get("receipts", 0) else [],
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
