"""What the schedule's deeds work on: the world, the parts, and what was bought so far."""

import base64
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from chaos import central
from chaos.central import Document
from chaos.companies import CENTRAL, XERO, Companies
from chaos.house import Hands, House
from chaos.journal import named_in
from chaos.plan import PEOPLE, Arrival

JSON = dict[str, Any]
T = TypeVar("T")

BOOKS_LIFE = 4.0  # seconds a look at all books serves
NEWEST = 40  # rows among which one that may not be posted yet is chosen
ALONE = frozenset(PEOPLE) - {"approved late", "tagged again"}  # what is done to a transaction only once, by one of them

KIND_IN_PEX = {"card fee": "card_fee", "declined": "decline", "pending": "pending", "refund": "refund"}
BARE = ("declined", "pending")  # card transactions without approval, tags and receipts
ON_BUSINESS_LIST = {  # category, description and PEX's sign
    "business fee": ("BusinessAccountFee", "Monthly fee", -1),
    "fee given back": ("BusinessAccountFee", "Monthly fee reversal", 1),
    "money in": ("BusinessFunding", "ACH credit", 1),
    "money out": ("BusinessFunding", "ACH debit", -1),
    "rebate": ("BusinessRebate", "Rebate Credit", 1),
    "rebate taken back": ("BusinessFunding", "Rebate Credit Reversal", -1),
    "moved within": ("CardFunding", "Card funding", -1),
    "rejected": ("CardFunding", "Card funding", -1),
}
OF_STATEMENT = {  # of a charge account; what is moved within stands on its business list a second time
    "money in": "PEXTransfer",
    "money out": "SameDayACH",
    "rebate": "RebateCredit",
    "rebate taken back": "RebateCreditReversal",
    "rejected": "PEXTransfer",
}
SPREAD = 7919  # turns one luck into another
IN_XERO = 0.6  # of what people do in the books of either system, so much they do in Xero
REVERSED_WITHIN = 15.0  # seconds: some of the payments are booked by then, some are not
TRADES = ("Diner", "Fuel", "Paper")
TREES = ("Alder", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper", "Larch", "Maple")
FEW = tuple(f"{tree} {trade}" for tree in TREES[:3] for trade in TRADES)
MANY = tuple(f"{tree} {street} {trade}" for tree in TREES for street in ("Hill", "Lane", "Road") for trade in TRADES)
"""Merchants. In Business Central each is a vendor, and there is always one it does not know yet."""
PDF = b"%%PDF-1.4\n%% %s\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%%%EOF\n"


@dataclass(frozen=True, slots=True)
class Done:
    """What a deed did: words for the journal, PEX's ids of the transactions it hit, facts for the checker."""

    says: str = ""
    hit: tuple[int, ...] = ()
    facts: JSON = field(default_factory=dict)


@dataclass
class Bought:
    """What is known of a row that was put into PEX."""

    business: int  # its place in the world
    arrival: Arrival
    deeds: set[str] = field(default_factory=set)


@dataclass
class Stage:
    """`after(seconds, do)` does something later."""

    world: list[JSON]
    house: House
    companies: Companies
    hands: Hands
    dice: random.Random
    after: Callable[[float, Callable[[], None]], None]
    bought: dict[int, Bought] = field(default_factory=dict)
    _books: dict[str, list[JSON]] = field(default_factory=dict)
    _looked: float = 0.0

    # --- buying ---

    def buy(self, arrival: Arrival) -> int:
        """Put the row into PEX; return its id there."""
        facts = self.world[arrival.business]
        if facts["charge"] and arrival.shape in OF_STATEMENT:
            return self._pay(arrival, facts)
        row = self._business_row if arrival.shape in ON_BUSINESS_LIST else self._card_row
        number = int(self.companies.pex("transactions", **row(arrival, facts))["transaction_id"])
        self.bought[number] = Bought(arrival.business, arrival)
        for _ in range(arrival.receipts if has_receipts(arrival.shape) else 0):
            self.give_receipt(number)
        return number

    def _pay(self, arrival: Arrival, facts: JSON) -> int:
        """A payment of the charge account's statement. One that takes money out is reversed a little later."""
        payment = {"business_id": facts["pex_id"], "amount": _money(arrival.cents)}
        type_, rejected = OF_STATEMENT[arrival.shape], arrival.shape == "rejected"
        made = self.companies.pex("payment", **payment, type=type_, rejected=rejected, days_ago=self._days_ago())
        number = int(made["payment_id"])
        self.bought[number] = Bought(arrival.business, arrival)
        if arrival.shape == "money out":
            self.after(self.dice.uniform(1, REVERSED_WITHIN), lambda: self._reverse(number, payment))
        return number

    def _reverse(self, number: int, payment: JSON) -> None:
        made = self.companies.pex("payment", **payment, type="Reversal", days_ago=0)
        reversal = int(made["payment_id"])
        self.bought[reversal] = self.bought[number]

    def _days_ago(self) -> int:
        return self.dice.randrange(1, 8)  # what is first shown longer after waits for a person

    def _business_row(self, arrival: Arrival, facts: JSON) -> JSON:
        category, description, sign = ON_BUSINESS_LIST[arrival.shape]
        if facts["charge"] and arrival.shape == "moved within":
            category, sign = "BusinessFunding", 1
        return {
            "business_id": facts["pex_id"],
            "kind": "business",
            "category": category,
            "description": description,
            "amount": _money(sign * arrival.cents),
            "days_ago": self._days_ago(),
        }

    def _card_row(self, arrival: Arrival, facts: JSON) -> JSON:
        row: JSON = {
            "business_id": facts["pex_id"],
            "kind": KIND_IN_PEX.get(arrival.shape, "purchase"),
            "amount": _money(arrival.cents),
            "merchant": _merchant(arrival, facts),
            "account_id": self.dice.choice(facts["cards"]),
            "days_ago": self._days_ago(),
        }
        if arrival.shape not in BARE:
            row["approval"] = "NotReviewed" if arrival.shape == "unapproved" else "Approved"
        if arrival.shape not in (*BARE, "untagged"):
            row["tags"] = {facts["tag"]: arrival.account} | _project(arrival, facts)
        return row

    def give_receipt(self, number: int) -> str:
        """A receipt nobody else has, so that the checker can tell each from all others. Returns its id."""
        content = base64.b64encode(PDF % self.dice.randbytes(12).hex().encode()).decode()
        given = self.companies.pex("receipt", transaction_id=number, content=content, kind="Pdf")
        return str(given["attachment_id"])

    # --- choosing ---

    def mark(self, deed: str, hit: Iterable[int]) -> None:
        for number in hit:
            if number in self.bought:
                self.bought[number].deeds.add(deed)

    def untouched(self, number: int) -> bool:
        return number in self.bought and not self.bought[number].deeds & ALONE

    def newest(self, shape: str, luck: float) -> int | None:
        """One of the newest rows of this shape nobody has touched, so that some of them are not posted yet."""
        found = [number for number, one in self.bought.items() if one.arrival.shape == shape and self.untouched(number)]
        return chosen(found[-NEWEST:], luck)

    def record(self, luck: float, fits: Callable[[JSON, Arrival], bool]) -> tuple[str, JSON, int] | None:
        """A living record of ours in Xero nobody has touched: organisation, record, PEX's id."""
        if time.monotonic() - self._looked > BOOKS_LIFE:
            organisations = {facts["company"] for facts in self.world if facts["system"] == XERO}
            self._books = {company: self.companies.books(company) for company in sorted(organisations)}
            self._looked = time.monotonic()
        found = [
            (company, record, names[0])
            for company, records in self._books.items()
            for record in records
            if record["status"] == "AUTHORISED"
            and len(names := named_in(f"{record['reference']} {record['url']}")) == 1
            and self.untouched(names[0])
            and fits(record, self.bought[names[0]].arrival)
        ]
        return chosen(found, luck)

    def in_central(self) -> list[JSON]:
        """The businesses that keep their books in Business Central."""
        return [facts for facts in self.world if facts["system"] == CENTRAL]

    def document(
        self, luck: float, fits: Callable[[Document, Arrival], bool], posted: bool | None = None
    ) -> tuple[str, Document, int] | None:
        """A standing document of ours in Business Central nobody has touched: company, document, PEX's id.

        `posted`: only those in the ledger, or only those in a journal. One that is not finished is left alone.
        """
        found = [
            (company, document, document.names[0])
            for company, accounts in self._accounts().items()
            for document in central.documents(self.companies.central_books(company))
            if posted in (None, document.place == central.LEDGER)
            and _whole(document, accounts)
            and self.untouched(document.names[0])
            and fits(document, self.bought[document.names[0]].arrival)
        ]
        return chosen(found, luck)

    def _accounts(self) -> dict[str, set[str]]:
        """The PEX accounts of each company in Business Central."""
        found: dict[str, set[str]] = {}
        for facts in self.in_central():
            found.setdefault(facts["company"], set()).add(facts["account"])
        return found

    def standing(self, luck: float, fits: Callable[[Arrival], bool]) -> int | None:
        """PEX's id of something that stands in the books, in those of either system."""
        documents, records = self.document(luck, lambda _, arrival: fits(arrival)), None
        if documents is None or luck * SPREAD % 1 < IN_XERO:
            records = self.record(luck, lambda _, arrival: fits(arrival))
        found = records or documents
        return found[2] if found else None


def _whole(document: Document, accounts: set[str]) -> bool:
    """Ours, entered once, and nothing of it was deleted, reversed, or is still to be set."""
    return (
        len(document.names) == 1
        and not document.by_hand
        and len(document.on(accounts)) == 1
        and not sum(line.amount for line in document.lines)
        and not any(line.reversed or line.comment.startswith(central.NOT_SET) for line in document.lines)
    )


def has_receipts(shape: str) -> bool:
    """Whether PEX lets people add receipts and notes: to card transactions that settled."""
    return shape not in (*BARE, *ON_BUSINESS_LIST, "card fee")


def _merchant(arrival: Arrival, facts: JSON) -> str:
    known = MANY if facts["system"] == CENTRAL else FEW
    return known[arrival.cents % len(known)]


def _money(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


def _project(arrival: Arrival, facts: JSON) -> dict[str, str]:
    return {} if arrival.project is None else {facts["project_tag"]: facts["projects"][arrival.project]}


def chosen(among: list[T], luck: float) -> T | None:
    """The one this luck, from 0 to 1, falls on; None of nothing."""
    return among[int(luck * len(among))] if among else None
