"""The cast of the demo: four organisations, two people, and books that somebody already kept by hand."""

from datetime import timedelta
from decimal import Decimal

from sandbox.server import Desk
from sandbox.xero.organisation import Organisation
from sandbox.xero.world import XeroWorld, world_of

EXPENSES = {
    "400": "Advertising",
    "404": "Bank Fees",
    "408": "Cleaning",
    "412": "Consulting",
    "420": "Entertainment",
    "425": "Freight & Courier",
    "429": "General Expenses",
    "433": "Insurance",
    "441": "Legal expenses",
    "445": "Light, Power, Heating",
    "449": "Motor Vehicle Expenses",
    "453": "Office Expenses",
    "461": "Printing & Stationery",
    "469": "Rent",
    "473": "Repairs and Maintenance",
    "485": "Subscriptions",
    "489": "Telephone & Internet",
    "493": "Travel - National",
    "494": "Travel - International",
}
SYSTEM = (
    ("610", "Accounts Receivable", "CURRENT", "DEBTORS"),
    ("800", "Accounts Payable", "CURRLIAB", "CREDITORS"),
    ("820", "Sales Tax", "CURRLIAB", "GST"),
    ("840", "Historical Adjustment", "CURRLIAB", "HISTORICAL"),
    ("860", "Rounding", "CURRLIAB", "ROUNDING"),
    ("877", "Tracking Transfers", "CURRLIAB", "TRACKINGTRANSFERS"),
    ("960", "Retained Earnings", "EQUITY", "RETAINEDEARNINGS"),
)
PROJECTS = ("Harbor View Apartments", "Maple Street Renovation", "Ninth Avenue School", "Yard and Warehouse")
CONTACTS = (
    "PEX",
    "Amazon",
    "Shell",
    "Delta Air Lines",
    "Joe's Hardware & Lumber",
    "Café Zoë",
    'The "Blue Door" Diner',
    "Müller Werkzeuge GmbH",
    "Office Depot",
    "Verizon",
    "O'Brien Plumbing",
    "Señor Taco",
)
BY_HAND = (
    ("City Power & Light", "445", "212.40", "Electricity"),
    ("Meridian Properties", "469", "4200.00", "Rent of the yard"),
    ("Verizon", "489", "189.99", "Phones"),
    ("Joe's Hardware & Lumber", "473", "76.15", "Hinges and screws"),
    ("Office Depot", "453", "58.30", "Paper"),
    ("Shell", "449", "64.02", "Fuel"),
)


def seed(desk: Desk) -> None:
    """Fill the world that stands on the desk; the same call always gives the same ids."""
    with desk.lock:
        world = world_of(desk)
        northwind = world.add_organisation("Northwind Builders LLC", short_code="!NWB7Q")
        holdings = world.add_organisation("Northwind Holdings", short_code="!NWH2K")
        harbor = world.add_organisation("Harbor Charge Books", short_code="!HCB9M")
        rival = world.add_organisation("Rival Interiors Ltd", short_code="!RIL4T")
        _northwind(northwind)
        _plain(holdings, "PEX Cash Account")
        _plain(harbor, "PEX Card", "CREDITCARD")
        _rival(rival)
        _people(world, [northwind, holdings], harbor, rival)


def _people(world: XeroWorld, northwind: list[Organisation], harbor: Organisation, rival: Organisation) -> None:
    world.add_user("Nora Lindqvist", "nora@northwind.example", northwind)
    world.add_user("Hassan Okafor", "hassan@harbor.example", [harbor])
    world.add_user("Rita Vance", "rita@rival.example", [rival])


def _northwind(organisation: Organisation) -> None:
    organisation.add_bank_account("PEX Cash Account", code="091", bank_account_number="0919820091")
    organisation.add_bank_account("Business Checking", code="090", bank_account_number="0909810044")
    _chart(organisation)
    organisation.add_account("499", "Petty Cash Expenses (old)", status="ARCHIVED")
    organisation.add_tracking("Region", ["Eastside", "North", "South", "West Coast"])
    organisation.add_tracking("Project", PROJECTS)
    for name in CONTACTS:
        organisation.add_contact(name)
    organisation.add_contact("Blockbuster Video", status="ARCHIVED")
    _by_hand(organisation)


def _plain(organisation: Organisation, card_account: str, kind: str = "BANK") -> None:
    organisation.add_bank_account(card_account, bank_account_type=kind, bank_account_number="0919820092")
    organisation.add_bank_account("Business Checking", code="090", bank_account_number="0909810045")
    _chart(organisation)
    organisation.add_contact("PEX")
    organisation.add_contact("Amazon")


def _rival(organisation: Organisation) -> None:
    _plain(organisation, "PEX Cash Account")
    organisation.add_contact("Rival's Secret Supplier")
    organisation.post_by_hand("RIVAL-1", "999.99", contact="Rival's Secret Supplier", account="429")


def _chart(organisation: Organisation) -> None:
    organisation.add_account("200", "Sales", "REVENUE")
    organisation.add_account("260", "Other Revenue", "REVENUE")
    for code, name in EXPENSES.items():
        organisation.add_account(code, name, show_in_expense_claims=True)
    for code, name, kind, system in SYSTEM:
        organisation.add_account(code, name, kind, system_account=system)
    organisation.add_tax_rate(
        "Tax on Purchases", "INPUT", "8.25", classes=("EXPENSE", "ASSET"), report_tax_type="INPUT"
    )
    organisation.add_tax_rate("Tax on Sales", "OUTPUT", "8.25", classes=("REVENUE",), report_tax_type="OUTPUT")


def _by_hand(organisation: Organisation) -> None:
    """Enter some rent and power of the last weeks, from the checking account."""
    checking, today = organisation.account("Business Checking"), organisation.today()
    organisation.post_by_hand(
        "OPENING",
        Decimal(60_000),
        type="RECEIVE",
        contact="Meridian Bank",
        account="200",
        bank_account=checking,
        date=today - timedelta(days=70),
        description="Opening balance",
    )
    for number, (contact, code, amount, words) in enumerate(BY_HAND):
        organisation.post_by_hand(
            f"CHK-{1040 + number}",
            amount,
            contact=contact,
            account=code,
            bank_account=checking,
            date=today - timedelta(days=60 - 9 * number),
            description=words,
        )
