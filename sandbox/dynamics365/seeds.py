"""The cast of the demo: three tenants, three people, and books that somebody already kept by hand."""

from datetime import date, timedelta
from decimal import Decimal

from sandbox.dynamics365 import journals, posting
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.world import BusinessCentralWorld, Tenant, world_of
from sandbox.server import Desk

# The numbers are those the tags of the simulated PEX hold.
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
OTHERS = (
    ("10110", "Checking Account", "Assets", "Cash"),
    ("10120", "Savings Account", "Assets", "Cash"),
    ("10130", "Euro Account", "Assets", "Cash"),
    ("10910", "Deposits", "Assets", "Prepaid Expenses"),
    ("10950", "PEX Card Prepaid", "Assets", "Cash"),
    ("18100", "Deposits", "Assets", "Other Assets"),
    ("20950", "PEX Card Payable", "Liabilities", "Current Liabilities"),
    ("30100", "Capital Stock", "Equity", "Common Stock"),
    ("30200", "Retained Earnings", "Equity", "Retained Earnings"),
    ("40100", "Sales", "Income", "Income, Product Sales"),
    ("40900", "Rebates", "Income", "Income, Other"),
    ("50100", "Cost of Materials", "Cost of Goods Sold", "Materials"),
    ("90000", "Suspense Account", " ", ""),
)
FRAMES = (  # of the chart: nothing is posted on them
    ("10000", "ASSETS", "Assets", "Begin-Total"),
    ("19999", "TOTAL ASSETS", "Assets", "End-Total"),
    ("20000", "LIABILITIES", "Liabilities", "Begin-Total"),
    ("29999", "TOTAL LIABILITIES", "Liabilities", "End-Total"),
    ("399", "OPERATING EXPENSES", "Expense", "Heading"),
)
PROJECTS = (
    ("P-101", "Maple Street Renovation"),
    ("P-102", "Harbor View Apartments"),
    ("P-103", "Ninth Avenue School"),
    ("P-104", "Yard and Warehouse"),
)
DEPARTMENTS = (("ADM", "Administration"), ("SALES", "Sales"), ("PROD", "Production"), ("EST", "Estimating"))
VENDORS = (
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
    "AMAZON",
    "Granite & Gable Lumber, Fixings, Framing, Roofing and Everything Else the Builder of Houses Ever Needed",
)
BY_HAND = (
    ("City Power & Light", "445", "212.40"),
    ("Rent of the yard", "469", "4200.00"),
    ("Phones", "489", "189.99"),
    ("Hinges and screws", "473", "76.15"),
    ("Paper", "453", "58.30"),
    ("Fuel", "449", "64.02"),
)


def seed(desk: Desk) -> None:
    """Fill the world that stands on the desk; the same call always gives the same ids."""
    with desk.lock:
        world = world_of(desk)
        _northwind(world)
        _harbor(world)
        _rival(world)


def _northwind(world: BusinessCentralWorld) -> None:
    """Builders have no journal for PEX yet; in Holdings it has a balancing account, which books twice."""
    tenant = world.add_tenant("Northwind Builders LLC", domain="northwind.example")
    production = world.add_environment(tenant)
    builders = world.add_company(production, "Northwind Builders", display_name="Northwind Builders LLC")
    holdings = world.add_company(production, "Northwind Holdings")
    cronus = world.add_company(world.add_environment(tenant, "Sandbox", "Sandbox"), "CRONUS USA, Inc.")
    for company in (builders, holdings, cronus):
        _books(company)
    holdings.add_journal(balance_account="10110")
    _by_hand(builders)
    _person(world, tenant, "Nora Lindqvist", "nora")


def _harbor(world: BusinessCentralWorld) -> None:
    tenant = world.add_tenant("Harbor Charge Books", domain="harbor.example")
    company = world.add_company(world.add_environment(tenant), "Harbor Charge Books", display_name="")
    _books(company)
    company.add_journal()
    _person(world, tenant, "Hassan Okafor", "hassan")


def _rival(world: BusinessCentralWorld) -> None:
    """Another tenant, whose records nobody else may ever see."""
    tenant = world.add_tenant("Rival Interiors Ltd", domain="rival.example")
    company = world.add_company(world.add_environment(tenant), "Rival Interiors", display_name="Rival Interiors Ltd")
    _books(company)
    company.add_vendor("Rival's Secret Supplier")
    journal = company.add_journal()
    named = {"document_number": "RIVAL-1", "description": "Rival's Secret Supplier"}
    journals.add_manual_line(company, journal, "429", Decimal("999.99"), **named)
    _person(world, tenant, "Rita Vance", "rita")


def _person(world: BusinessCentralWorld, tenant: Tenant, name: str, mailbox: str) -> None:
    world.add_user(name, f"{mailbox}@{tenant.domain}", tenant, administrator=True)


def _books(company: Company) -> None:
    """A chart, banks, vendors, dimensions, tax groups and open periods."""
    _chart(company)
    company.add_bank_account("CHECKING", "Business Checking", bank_account_number="0909810044")
    company.add_bank_account("SAVINGS", "", bank_account_number="0909810051")
    company.add_bank_account("EURO", "Euro account", currency="EUR", iban="DE02120300000000202051")
    for name in VENDORS:
        company.add_vendor(name[:100])
    company.add_vendor("Blockbuster Video", blocked="All")
    _dimensions(company)
    for code, name, rate in (("NONTAXABLE", "Not taxable", "0"), ("TAXABLE", "Taxable", "8.25")):
        company.add_tax_group(code, name, rate)
    year = company.today().year
    for month in range(24):
        company.add_period(date(year - 1 + month // 12, month % 12 + 1, 1), new_fiscal_year=month % 12 == 0)
    company.add_journal("DEFAULT", "Default Journal", number_series="GJNL-GEN")


def _chart(company: Company) -> None:
    for number, name, category, kind in FRAMES:
        company.add_account(number, name, category, kind=kind, direct_posting=False)
    for number, name, category, sub_category in OTHERS:
        company.add_account(number, name, category, sub_category=sub_category)
    for number, name in EXPENSES.items():
        company.add_account(number, name)
    company.add_account("13100", "Accounts Receivable", "Assets", direct_posting=False)
    company.add_account("499", "Petty Cash Expenses (old)", blocked=True)


def _dimensions(company: Company) -> None:
    departments = company.add_dimension("DEPARTMENT", DEPARTMENTS)
    company.add_value(departments, "ALL", "All departments", kind="Total")
    projects = company.add_dimension("PROJECT", PROJECTS)
    company.add_value(projects, "P-090", "Old Mill (closed)", blocked=True)
    company.account("400").default_dimensions["DEPARTMENT"] = "SALES"


def _by_hand(company: Company) -> None:
    """Rent and power of the last weeks, paid from the checking account and posted; one line waits in the journal."""
    journal, today = company.journal("DEFAULT"), company.today()
    for number, (words, account, amount) in enumerate(BY_HAND):
        if number == len(BY_HAND) - 1:
            posting.post_now(company, journal)
        journals.add_manual_line(
            company,
            journal,
            account,
            Decimal(amount),
            posting_date=today - timedelta(days=60 - 9 * number),
            document_number=f"CHK-{1040 + number}",
            description=words,
            balance_account="10110",
        )
