"""The world a fresh sandbox begins with: three businesses, three months before the clock's now.

The same random numbers every time, so that two sandboxes started on one day hold the same purchases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from sandbox import dynamics365, xero
from sandbox.pex import ALL, Business, CardAccount, PexWorld, Tag, Transaction, fresh_world
from sandbox.pex.eastern import instant, wall
from sandbox.pex.records import Person, StatementShare
from sandbox.server import Desk

DAYS = 92
ORDINARY = 262  # purchases of Northwind beside the special ones

# Values are the account codes of the simulated books' charts.
EXPENSE_ACCOUNTS = [
    ("404", "Bank Fees"),
    ("400", "Advertising"),
    ("408", "Cleaning"),
    ("412", "Consulting"),
    ("420", "Entertainment"),
    ("425", "Freight & Courier"),
    ("429", "General Expenses"),
    ("433", "Insurance"),
    ("441", "Legal expenses"),
    ("445", "Light, Power, Heating"),
    ("449", "Motor Vehicle Expenses"),
    ("453", "Office Expenses"),
    ("461", "Printing & Stationery"),
    ("469", "Rent"),
    ("473", "Repairs and Maintenance"),
    ("485", "Subscriptions"),
    ("489", "Telephone & Internet"),
    ("493", "Travel - National"),
    ("494", "Travel - International"),
]
PROJECTS = [
    ("P-101", "Maple Street Renovation"),
    ("P-102", "Harbor View Apartments"),
    ("P-103", "Ninth Avenue School"),
    ("P-104", "Yard and Warehouse"),
]
REGIONS = [("EAST", "Eastside"), ("NORTH", "North"), ("SOUTH", "South"), ("WEST", "West Coast")]


@dataclass(frozen=True)
class Shop:
    name: str  # as the card network gives it; # stands for a store number
    mcc: str
    account: str
    low: int
    high: int  # dollars
    city: str
    state: str
    purpose: str


SHOPS = [
    Shop("Granite & Gable Lumber #", "5211", "473", 40, 780, "Hartford", "CT", "Framing lumber"),
    Shop("Fastener Depot #", "5251", "473", 8, 140, "Hartford", "CT", "Fixings"),
    Shop("Redline Rentals #", "7394", "473", 95, 640, "New Britain", "CT", "Lift hire"),
    Shop("Pilot Hill Fuel #", "5541", "449", 32, 118, "Meriden", "CT", "Fuel"),
    Shop("Turnpike Fuel & Go #", "5542", "449", 25, 96, "Waterbury", "CT", "Fuel"),
    Shop("Kestrel Tire Service #", "7534", "449", 60, 520, "Hartford", "CT", "Tires for van 4"),
    Shop("Blue Awning Diner #", "5812", "420", 14, 86, "Hartford", "CT", "Lunch with the crew"),
    Shop("Corner Cup Coffee #", "5814", "420", 4, 26, "New Haven", "CT", "Coffee, site meeting"),
    Shop("Olive & Ash Kitchen", "5812", "420", 48, 310, "New Haven", "CT", "Client dinner"),
    Shop("Paper Lantern Supply #", "5943", "461", 9, 120, "Hartford", "CT", "Printer paper"),
    Shop("Quick Plans Printing", "7338", "461", 18, 240, "Hartford", "CT", "Plan sets"),
    Shop("Desk & Lamp Office #", "5111", "453", 12, 340, "Farmington", "CT", "Office supplies"),
    Shop("Cloudshelf Storage", "5734", "485", 12, 49, "San Jose", "CA", "File storage"),
    Shop("Draftline Software", "5734", "485", 59, 210, "Austin", "TX", "Drawing licences"),
    Shop("Tallyboard", "7372", "485", 15, 90, "Portland", "OR", "Timesheets"),
    Shop("Northern Wireless", "4814", "489", 45, 180, "Albany", "NY", "Phones"),
    Shop("Swiftparcel Courier #", "4215", "425", 11, 95, "Hartford", "CT", "Samples to client"),
    Shop("Clearpane Cleaning", "7349", "408", 85, 260, "Hartford", "CT", "Site cleaning"),
    Shop("Signal & Post Media", "7311", "400", 60, 450, "Stamford", "CT", "Job advert"),
    Shop("Regional Rail Tickets", "4112", "493", 22, 148, "New Haven", "CT", "Train to Boston"),
    Shop("Harborlight Inn #", "7011", "493", 129, 389, "Boston", "MA", "Overnight, site visit"),
    Shop("Cityhop Cabs", "4121", "493", 9, 62, "Boston", "MA", "Cab to site"),
    Shop("Connecticut Light Co-op", "4900", "445", 80, 410, "Hartford", "CT", "Site power"),
    Shop("Mutual Shield Insurance", "6300", "433", 110, 380, "Hartford", "CT", "Equipment cover"),
    Shop("Parcel & Deed Law", "8111", "441", 150, 600, "Hartford", "CT", "Lien search"),
    Shop("Sharp Pencil Bookkeeping", "8931", "412", 120, 420, "Hartford", "CT", "Month-end help"),
    Shop("Yardstick Self Storage #", "4225", "469", 140, 290, "Bristol", "CT", "Tool storage"),
    Shop("Everyday Mart #", "5411", "429", 6, 130, "Hartford", "CT", "Water and sundries"),
    Shop("Main Street Hardware", "5251", "429", 5, 95, "Windsor", "CT", "Small tools"),
    Shop("Green Cross Pharmacy #", "5912", "429", 6, 48, "Hartford", "CT", "First-aid kit"),
]
NORTHWIND_PEOPLE = [
    ("Amara", "Okafor", "Field crew"),
    ("Ben", "Castellano", "Field crew"),
    ("Chloe", "Lindqvist", "Office"),
    ("Diego", "Marín", "Field crew"),
    ("Eilidh", "Fraser", "Office"),
    ("Farid", "Rahimi", "Field crew"),
    ("Grace", "Nakamura", "Estimating"),
    ("Hugo", "Petit", "Estimating"),
    ("Ines", "O'Connell", "Office"),
    ("Jonas", "Weber", "Field crew"),
    ("Keisha", "Brown", "Office"),
    ("Luca", "Ferri", "Field crew"),
]
DECLINES = [
    ("Redline Rentals #0117", "912.00", "exceeded current card balance"),
    ("Pilot Hill Fuel #0032", "75.00", "Expired card"),
    ("Olive & Ash Kitchen", "260.40", "exceeded daily spend limit"),
    ("Lakeside Casino Resort", "200.00", "Unauthorized merchant category: Gambling"),
    ("Tienda Sol y Mar", "48.10", "International not allowed"),
    ("Draftline Software", "189.00", "Address does not match"),
    ("Desk & Lamp Office #0440", "77.35", "Card not present"),
    ("Everyday Mart #0901", "12.99", "Do not honor"),
]


def seed(desk: Desk) -> None:
    """Fill the worlds of all simulated companies."""
    with desk.lock:
        world = fresh_world(desk.clock)
        desk.worlds["pex"] = world
        Northwind(world).build()
        build_harbor(world)
        build_rival(world)
        desk.worlds["xero"] = xero.fresh_world()
        desk.worlds["dynamics365"] = dynamics365.fresh_world()
    xero.seed(desk)
    dynamics365.seed(desk)


class Northwind:
    """A prepaid builder: three months of everything a card business sees.

    What happens is collected first and done in order of time, so that ids rise as they do in life.
    """

    def __init__(self, world: PexWorld) -> None:
        self.world, self.now = world, world.now()
        self.random = Random(4410)
        self.events: list[tuple[datetime, Callable[[], object]]] = []

    def build(self) -> None:
        self.business = self.world.add_business("Northwind Builders", "Prepaid", 4410, use_bill_pay=True)
        self.business.add_admin("dana.admin", "Dana", "Whitfield")
        viewer = ALL - {"ManageCardholder", "EditBusinessProfile"}
        self.business.add_admin("sam.viewer", "Sam", "Ortega", viewer)
        self.cards = self._cards()
        self._tags()
        for _ in range(ORDINARY):
            self._ordinary()
        self._holds()
        self._special_purchases()
        self._card_fees_and_loads()
        self._business_rows()
        for number, (merchant, amount, reason) in enumerate(DECLINES):
            at = self._day(9 * number + 4, hour=15)
            self._at(at, self.business.add_decline, amount, reason, merchant=merchant, card=self._someone())
        for _, event in sorted(self.events, key=lambda one: one[0]):
            event()
        self.business.balance = Decimal("18240.55")

    # People and tags

    def _cards(self) -> list[CardAccount]:
        groups = {name: self.business.add_group(name) for name in ("Field crew", "Office", "Estimating")}
        cards = [
            self.business.add_cardholder(
                first, last, custom_id=f"E{101 + number}", group_ids=(groups[group],), available=Decimal("450.00")
            )
            for number, (first, last, group) in enumerate(NORTHWIND_PEOPLE)
        ]
        cards[9].close()
        cards[10].card_status = "Closed"  # terminated card, the cardholder stays
        self.vendor = self.business.add_cardholder("Northern", "Wireless", type="Vendor", virtual=True)
        return cards

    def _tags(self) -> None:
        self.account = self.business.add_tag("Expense Account", options=EXPENSE_ACCOUNTS)
        self.project = self.business.add_tag("Project", options=PROJECTS)
        self.region = self.business.add_tag("Region", options=REGIONS)
        self.purpose = self.business.add_tag("Purpose", type="Text")
        self.split = self.business.add_tag("Split", type="Allocation")

    def _someone(self) -> CardAccount:
        return self.random.choice([card for card in self.cards if card.status == "OPEN"])

    # Time

    def _day(self, days_ago: float, hour: int = 11) -> datetime:
        """Return a moment of the working day so many days before today, in the East."""
        day = (wall(self.now) - timedelta(days=days_ago)).date()
        minute, second = self.random.randrange(60), self.random.randrange(60)
        return min(instant(datetime.combine(day, time(hour, minute, second))), self.now)

    def _at(self, moment: datetime, call: Callable[..., Any], *args: Any, **fields: Any) -> None:
        self.events.append((moment, partial(call, *args, happened=moment, created=moment, **fields)))

    # Purchases

    def _ordinary(self) -> None:
        shop = self.random.choice(SHOPS)
        happened = self._day(self.random.uniform(0.4, DAYS), hour=self.random.randrange(7, 20))
        settled = happened + timedelta(days=self.random.choice((1, 1, 2, 2, 3)), hours=self.random.uniform(1, 9))
        card = self.cards[9] if happened < self._day(60) and self.random.random() < 0.12 else self._someone()
        fields = self._fields(shop, settled)
        if settled > self.now:
            self.events.append((happened, partial(self._pend, happened, settled, card, fields)))
            return
        receipts = self._receipts()
        notes = [shop.purpose] if self.random.random() < 0.12 else []
        buy = self.business.add_purchase
        self._at(happened, buy, **fields, settled=settled, card=card, receipts=receipts, notes=notes)

    def _fields(self, shop: Shop, settled: datetime) -> dict[str, Any]:
        amount = Decimal(self.random.randrange(shop.low * 100, shop.high * 100)) / 100
        return {
            "amount": amount,
            "merchant": shop.name.replace("#", f"#{self.random.randrange(1, 900):04d}"),
            "mcc": shop.mcc,
            "merchant_city": shop.city,
            "merchant_state": shop.state,
            "merchant_id": f"{hash_of(shop.name):012d}",
            "approval": self._approval(settled),
            "tags": self._answers(shop),
        }

    def _answers(self, shop: Shop) -> dict[str, Any]:
        tags: dict[str, Any] = {}
        if self.random.random() < 0.86:
            tags[self.account.tag_id] = shop.account
        if self.random.random() < 0.6:
            tags[self.project.tag_id] = self.random.choice(PROJECTS)[0]
        if self.random.random() < 0.3:
            tags[self.purpose.tag_id] = shop.purpose
        region = hash_of(shop.name) % (len(REGIONS) + 1)
        if region < len(REGIONS):
            tags[self.region.tag_id] = REGIONS[region][0]
        return tags

    def _approval(self, settled: datetime) -> str:
        fresh = self.now - settled < timedelta(days=5)
        weights = (45, 5, 50) if fresh else (86, 5, 9)
        return self.random.choices(("Approved", "Rejected", "NotReviewed"), weights)[0]

    def _receipts(self) -> list[bytes | str]:
        count = self.random.choices((0, 1, 2, 3), (22, 68, 8, 2))[0]
        return [self.random.choice(("pdf", "png", "jpeg")) for _ in range(count)]

    def _pend(self, happened: datetime, settles: datetime, card: CardAccount, fields: dict[str, Any]) -> None:
        """Add a hold that will settle when the clock gets there."""
        fields = {**fields, "approval": "NotReviewed"}
        hold = self.business.add_purchase(**fields, settled=None, happened=happened, card=card)
        self.business.plan(hold, settles, -hold.amount)

    def _holds(self) -> None:
        """One tip, one fuel hold with padding, one that will drop off, one that has settled already."""
        self._hold(0.6, "Olive & Ash Kitchen", "84.00", "5812", settles_in=1.5, settles_for="99.00")
        self._hold(0.5, "Pilot Hill Fuel #0032", "1.00", "5542", 1.2, "61.37", padding=Decimal("49.00"))
        self._hold(1.0, "Harborlight Inn #0021", "389.00", "7011", settles_in=4.0, settles_for=None)
        happened, settled = self._day(24, hour=19), self._day(21, hour=4)
        self.events.append((happened, partial(self._settled_hold, happened, settled)))

    def _hold(
        self,
        days_ago: float,
        merchant: str,
        amount: str,
        mcc: str,
        settles_in: float,
        settles_for: str | None,
        **fields: Any,
    ) -> None:
        happened = self.now - timedelta(days=days_ago)

        def add() -> None:
            hold = self.business.add_purchase(
                amount, None, happened, merchant, "NotReviewed", mcc=mcc, card=self.cards[0], **fields
            )
            self.business.plan(hold, self.now + timedelta(days=settles_in), settles_for)

        self.events.append((happened, add))

    def _settled_hold(self, happened: datetime, settled: datetime) -> None:
        hold = self.business.add_purchase(
            "52.00", None, happened, "Blue Awning Diner #0007", card=self.cards[1], created=happened
        )
        self.business.tag(hold, {self.account.tag_id: "420"})
        self.business.settle(hold, "62.40", at=settled)

    def _special(self, days_ago: float, amount: str, merchant: str, **fields: Any) -> None:
        happened = self._day(days_ago, hour=13)
        facts = {"approval": "Approved", "card": self.cards[2], "receipts": ["pdf"], **fields}
        settled = happened + timedelta(days=2)
        self._at(happened, self._bought, amount, merchant=merchant, settled=settled, **facts)

    def _bought(self, amount: str, system_note: str = "", **fields: Any) -> Transaction:
        row = self.business.add_purchase(amount, **fields)
        if system_note:
            author = Person("xero.connector", "PEX Connector", "for Xero")
            self.business.add_note(row, system_note, author, system=True, at=row.settled)
        return row

    def _special_purchases(self) -> None:
        account, project = self.account.tag_id, self.project.tag_id
        thirds = [("100.00", {account: "473", project: "P-101"}), ("50.50", {account: "425"})]
        self._special(12, "150.50", "Granite & Gable Lumber #0114", splits=thirds)
        twins = [("30.00", {account: "453"}), ("30.00", {account: "453"}), ("12.25", {account: "461"})]
        self._special(33, "72.25", "Desk & Lamp Office #0440", splits=twins, split_encoding="object")
        off = [("60.00", {account: "493"}), ("39.99", {account: "420"})]
        self._special(15, "100.00", "Harborlight Inn #0021", splits=off)
        self._special(18, "64.20", "Main Street Hardware", tags={account: "429"}, notes=["Synced with Xero"])
        self._special(41, "230.00", "Signal & Post Media", tags={account: "400"}, system_note="Synced with Xero")
        self._special(27, "-118.35", "Granite & Gable Lumber #0114", tags={account: "473"}, receipts=["png"])
        self._special(9, "-24.99", "Everyday Mart #0901", tags={account: "429"})
        self._special(20, "96.81", "Papelería Azul", **_foreign("EUR", "978", "-88.00", "ESP"), tags={account: "461"})
        self._special(
            51,
            "142.07",
            "Rosewood Hotel Toronto",
            **_foreign("CAD", "124", "-191.80", "CAN"),
            tags={account: "494"},
            receipts=["jpeg", "pdf"],
        )
        self._special(30, "88.40", "Kestrel Tire Service #0008", tags={account: "449"}, card=self.cards[10])
        self._special(70, "45.00", "Turnpike Fuel & Go #0003", tags={account: "449"}, card=self.cards[9])
        self._special(14, "129.00", "Northern Wireless", tags={account: "489"}, card=self.vendor)
        self._special(16, "310.00", "Parcel & Deed Law", tags={account: "441"}, bill_pay=True, card=self.vendor)
        self._special(22, "0.00", "Cloudshelf Storage", receipts=[])
        self._special(11, "57.60", "", description="POS ADJUSTMENT", merchant_normalized=None, tags={account: "429"})
        disputed, reversed_at = self._day(35, hour=10), self._day(6, hour=10)
        self._at(
            disputed,
            self.business.add_dispute,
            "-75.00",
            merchant="Cityhop Cabs",
            settled=disputed,
            card=self.cards[3],
            description="Provisional credit",
        )
        self._at(
            reversed_at,
            self.business.add_dispute,
            "75.00",
            merchant="Cityhop Cabs",
            settled=reversed_at,
            card=self.cards[3],
            description="Provisional credit reversed",
        )

    # Fees, loads and the business account

    def _card_fees_and_loads(self) -> None:
        fee = self.business.add_card_fee
        for days, amount, words in (
            (20, "1.94", "International service assessment fee"),
            (51, "2.84", "International service assessment fee"),
            (44, "-2.84", "International service assessment fee reversal"),
            (66, "9.95", "Card replacement fee"),
        ):
            moment = self._day(days, hour=6)
            self._at(moment, fee, amount, words, settled=moment, card=self.cards[2])
        for days in (80, 52, 25, 5):
            moment = self._day(days, hour=8)
            self._at(moment, self._load, "300.00", "CardFunding", "Card funding", self.cards[days % 7])
        moment = self._day(37, hour=8)
        self._at(moment, self._load, "5.00", "CardGoodwillAward", "Goodwill award", self.cards[4])

    def _load(self, amount: str, category: str, words: str, card: CardAccount, **fields: Any) -> Transaction:
        return self.business.add_purchase(
            f"-{amount}",
            settled=fields["happened"],
            merchant="",
            approval=None,
            card=card,
            type="Load",
            category=category,
            description=words,
            network_id=None,
            mcc="",
            other_account_id=self.business.business_id,
            **fields,
        )

    def _business_rows(self) -> None:
        for days_ago, category, amount, words in (
            (88, "BusinessFunding", "9500.00", "ACH credit"),
            (67, "BusinessFunding", "8000.00", "ACH credit"),
            (46, "BusinessFunding", "12000.00", "Wire credit"),
            (25, "BusinessFunding", "8500.00", "ACH credit"),
            (4, "BusinessFunding", "10000.00", "Same day ACH credit"),
            (39, "BusinessFunding", "-1500.00", "ACH debit, funds returned to bank"),
            (84, "BusinessAccountFee", "-25.00", "Monthly maintenance fee"),
            (54, "BusinessAccountFee", "-25.00", "Monthly maintenance fee"),
            (24, "BusinessAccountFee", "-25.00", "Monthly maintenance fee"),
            (50, "BusinessAccountFee", "25.00", "Monthly maintenance fee reversal"),
            (61, "BusinessAccountFee", "-29.95", "Priority shipping fee"),
            (58, "BusinessRebate", "18.42", "Rebate Credit"),
            (28, "BusinessFunding", "21.07", "Rebate Credit"),
            (26, "BusinessRebate", "-4.10", "Rebate Credit Reversal"),
            (8, "BusinessFunding", "12.66", "Rebate payout"),
            (80, "CardFunding", "-300.00", "Card funding"),
            (52, "CardFunding", "-300.00", "Card funding"),
            (25, "CardFunding", "-300.00", "Card funding"),
            (5, "CardFunding", "-300.00", "Card funding"),
            (19, "BusinessLoyaltyAdjustment", "7.50", "Loyalty adjustment"),
        ):
            add = self.business.add_business_row
            self._at(self._day(days_ago, hour=5), add, category, amount, words)


def _foreign(currency: str, number: str, amount: str, country: str) -> dict[str, Any]:
    return {
        "currency": currency,
        "currency_number": number,
        "source_amount": Decimal(amount),
        "merchant_country": country,
        "merchant_state": None,
    }


def hash_of(text: str) -> int:
    """Return the same number for the same text in every process."""
    return sum((index + 1) * ord(letter) * 7919 for index, letter in enumerate(text))


def build_harbor(world: PexWorld) -> None:
    """A charge account: purchases, and statements with payments of every type."""
    random, now = Random(5520), world.now()
    harbor = world.add_business("Harbor Charge Co", "Credit", 5520)
    harbor.add_admin("dana.admin", "Dana", "Whitfield")
    cards = [harbor.add_cardholder(*name) for name in (("Mei", "Tanaka"), ("Noah", "Adeyemi"), ("Olga", "Novak"))]
    account = harbor.add_tag("Expense Account", options=EXPENSE_ACCOUNTS)
    harbor.add_tag("Purpose", type="Text")
    moments = sorted(now - timedelta(days=random.uniform(1.5, 88)) for _ in range(42))
    for happened in moments:
        shop = random.choice(SHOPS)
        harbor.add_purchase(
            Decimal(random.randrange(shop.low * 100, shop.high * 100)) / 100,
            settled=min(happened + timedelta(days=random.choice((1, 2))), now),
            happened=happened,
            merchant=shop.name.replace("#", f"#{random.randrange(1, 900):04d}"),
            approval=random.choices(("Approved", "NotReviewed", "Rejected"), (80, 15, 5))[0],
            tags={account.tag_id: shop.account} if random.random() < 0.85 else None,
            receipts=[random.choice(("pdf", "png", "jpeg"))] if random.random() < 0.7 else [],
            card=random.choice(cards),
            mcc=shop.mcc,
            merchant_city=shop.city,
            merchant_state=shop.state,
            created=happened,
        )
    _harbor_beside_purchases(harbor, account, cards[0], now)
    _statements(harbor, account, now)


def _harbor_beside_purchases(harbor: Business, account: Tag, card: CardAccount, now: datetime) -> None:
    """Fees, a refund, a dispute, and what the business list shows of the statements a second time."""
    for days, category, amount, words in (
        (75, "BusinessFunding", "3150.00", "Statement payment"),
        (75, "BusinessRebate", "36.40", "Rebate Credit"),
        (31, "BusinessAccountFee", "-40.00", "Late payment fee"),
        (27, "BusinessAccountFee", "40.00", "Late payment fee reversal"),
        (12, "BusinessAccountFee", "-29.95", "Priority shipping fee"),
    ):
        harbor.add_business_row(category, amount, words, **_on(now - timedelta(days=days)))
    for days, amount, words in (
        (48, "3.17", "International service assessment fee"),
        (40, "-3.17", "International service assessment fee reversal"),
        (17, "1.08", "International service assessment fee"),
    ):
        harbor.add_card_fee(amount, words, card=card, **_on(now - timedelta(days=days)))
    harbor.add_purchase(
        "-61.20",
        merchant="Desk & Lamp Office #0440",
        tags={account.tag_id: "453"},
        card=card,
        **_on(now - timedelta(days=21)),
    )
    for days, amount, words in ((38, "-48.00", "Provisional credit"), (13, "48.00", "Provisional credit reversed")):
        harbor.add_dispute(amount, merchant="Cityhop Cabs", description=words, card=card, **_on(now - timedelta(days)))


def _on(moment: datetime) -> dict[str, Any]:
    return {"happened": moment, "settled": moment, "created": moment}


def _statements(harbor: Business, account: Tag, now: datetime) -> None:
    def shared(*parts: tuple[str | None, str, str]) -> list[StatementShare]:
        return [
            StatementShare(account.name if code else None, code, Decimal(amount), category)
            for code, amount, category in parts
        ]

    first = harbor.add_statement(
        "3184.20",
        due=now - timedelta(days=75),
        payments=[("PEXTransfer", "3150.00"), ("RebateCredit", "36.40"), ("RebateCreditReversal", "2.20")],
        allocations=shared(("473", "2100.00", "Spend"), ("449", "900.00", "Spend"), (None, "184.20", "Spend")),
    )
    bounced = harbor.add_statement(
        "2750.00",
        due=now - timedelta(days=45),
        payments=[],
        allocations=shared(
            ("420", "410.00", "Spend"), ("473", "2300.00", "Spend"), (None, "40.00", "BusinessAccountFee")
        ),
    )
    harbor.add_payment(bounced, "PEXTransfer", "2750.00", rejected=True)
    harbor.add_payment(bounced, "Reversal", "2750.00", bounced.due + timedelta(days=3))
    harbor.add_payment(bounced, "SameDayACH", "2750.00", bounced.due + timedelta(days=4))
    last = harbor.add_statement(
        "2040.55",
        due=now - timedelta(days=14),
        payments=[("SameDayACH", "1900.00"), ("SalesCredit", "40.00"), ("WriteOff", "0.55")],
        allocations=shared(("493", "1500.55", "Spend"), ("485", "540.00", "Spend")),
    )
    harbor.add_payment(last, "CarryOverCredit", "100.00", carried_from=first.invoice_id)
    harbor.add_statement(
        "1312.90",
        due=now + timedelta(days=9),
        status="Open",
        payments=[],
        allocations=shared(("473", "1000.00", "Spend"), (None, "312.90", "Spend")),
    )
    harbor.add_statement("95.00", due=now - timedelta(days=60), status="Cancelled", payments=[])
    harbor.add_statement("410.15", due=now + timedelta(days=25), status="Draft", payments=[])


def build_rival(world: PexWorld) -> None:
    """Another tenant, whose rows nobody else may ever see."""
    rival = world.add_business("Rival Interiors", "Prepaid", 6630)
    rival.add_admin("riva.admin", "Riva", "Stone")
    card = rival.add_cardholder("Petra", "Vance")
    account = rival.add_tag("Expense Account", options=EXPENSE_ACCOUNTS)
    for days, amount, merchant in (
        (40, "2210.00", "Velvet & Oak Furniture"),
        (31, "318.75", "Tessera Tiles #0012"),
        (19, "96.10", "Lumen Lighting #0204"),
        (12, "540.00", "Velvet & Oak Furniture"),
        (3, "27.45", "Corner Cup Coffee #0113"),
    ):
        happened = world.now() - timedelta(days=days)
        rival.add_purchase(
            amount,
            settled=happened + timedelta(days=1),
            happened=happened,
            merchant=merchant,
            tags={account.tag_id: "429"},
            receipts=["pdf"],
            card=card,
            created=happened,
        )
    funded = world.now() - timedelta(days=42)
    rival.add_business_row("BusinessFunding", "6000.00", "ACH credit", funded, created=funded)
