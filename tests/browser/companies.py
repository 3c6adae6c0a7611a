"""Businesses at the simulated PEX with their books, before they have heard of PEX Sync."""

from dataclasses import dataclass, field
from typing import Any

from tests.make import PROJECTS


@dataclass
class Company:
    """A business at PEX and its organisation in Xero."""

    pex: Any
    books: Any
    bank: Any  # the account in the books that stands for PEX
    project: Any  # a tracking category in Xero
    tags: dict[str, Any] = field(default_factory=dict)

    def buys(self, amount: str, merchant: str, account: str = "429", project: int | None = None, **facts: Any) -> Any:
        tags = {self.tags["Expense Account"].tag_id: account} if account else {}
        if project is not None:
            tags[self.tags["Project"].tag_id] = self.project.options[project].id
        return self.pex.add_purchase(amount, merchant=merchant, **{"tags": tags, **facts})


def company_of(sandbox: Any, name: str, funding: str, number: int) -> Company:
    """`funding` as PEX says it: Prepaid, or Credit for a charge account. Nothing was bought yet."""
    pex = sandbox.worlds["pex"].add_business(name, funding, number)
    pex.add_admin("ann.admin", "Ann", "Admin")
    pex.add_cardholder("Carla", "Cole")
    xero = sandbox.worlds["xero"]
    books = xero.add_organisation(name=f"{name} LLC", short_code=f"!{number}")
    if funding == "Credit":
        bank = books.add_bank_account("PEX Card Account", bank_account_type="CREDITCARD")
    else:
        bank = books.add_bank_account("PEX Cash Account")
    books.add_bank_account("Business Checking")
    for code, title in (("404", "Bank Fees"), ("429", "General Expenses"), ("449", "Motor Vehicle Expenses")):
        books.add_account(code, title)
    books.add_account("260", "Other Revenue", "REVENUE")
    books.add_contact("PEX")
    project = books.add_tracking("Project", PROJECTS)
    xero.add_user("Nora Lind", "nora@acme.example", [books])
    accounts = [("429", "General Expenses"), ("449", "Motor Vehicle Expenses")]
    tags = {
        "Expense Account": pex.add_tag("Expense Account", options=accounts),
        "Project": pex.add_tag("Project", options=[(project.options[0].id, PROJECTS[0])]),
        "Purpose": pex.add_tag("Purpose", type="Text"),
    }
    return Company(pex, books, bank, project, tags)


DEPARTMENTS = {"ADM": "Administration", "SALES": "Sales", "PROD": "Production"}


@dataclass
class Builders:
    """A business at PEX and its company in Business Central."""

    pex: Any
    books: Any
    person: Any  # who signs in to Microsoft
    department: Any  # a dimension of the books
    tags: dict[str, Any] = field(default_factory=dict)

    def buys(self, amount: str, merchant: str, account: str = "429", department: str = "", **facts: Any) -> Any:
        """`department` is the code of a value."""
        tags = {self.tags["Expense Account"].tag_id: account} if account else {}
        if department:
            tags[self.tags["Department"].tag_id] = self.department.values[department].id
        return self.pex.add_purchase(amount, merchant=merchant, **{"tags": tags, **facts})

    def amounts(self) -> list[str]:
        """What left the PEX account, in the journal and in the ledger, in order of size."""
        return [str(amount) for amount in sorted(-one.on("10950") for one in self.books.documents())]


def builders_of(sandbox: Any, name: str, number: int) -> Builders:
    """A prepaid business whose company has no journal for PEX yet. Nothing was bought so far."""
    pex = sandbox.worlds["pex"].add_business(name, "Prepaid", number)
    pex.add_admin("ann.admin", "Ann", "Admin")
    pex.add_cardholder("Carla", "Cole")
    central = sandbox.worlds["dynamics365"]
    tenant = central.add_tenant(f"{name} LLC")
    books = central.add_company(central.add_environment(tenant), name, display_name=f"{name} LLC")
    books.add_account("10950", "PEX Card Prepaid", "Assets")
    for code, title in (("404", "Bank Fees"), ("429", "General Expenses"), ("449", "Motor Vehicle Expenses")):
        books.add_account(code, title)
    books.add_account("40900", "Rebates", "Income")
    books.add_bank_account("CHECKING", "Business Checking")
    department = books.add_dimension("DEPARTMENT", DEPARTMENTS.items())
    books.account("449").default_dimensions["DEPARTMENT"] = "SALES"
    person = central.add_user("Nora Lind", "nora@acme.example", tenant, administrator=True)
    tags = {
        "Expense Account": pex.add_tag("Expense Account", options=[("429", "General Expenses"), ("449", "Fuel")]),
        "Department": pex.add_tag("Department", options=[(department.values["ADM"].id, "Administration")]),
        "Purpose": pex.add_tag("Purpose", type="Text"),
    }
    return Builders(pex, books, person, department, tags)
