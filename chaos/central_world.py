"""The company in Business Central two businesses of a chaos run write to, one journal for both.

One of its expense accounts fills in a project by itself, so that a line with another one takes two steps.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from chaos.companies import CENTRAL
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.world import BusinessCentralWorld

PROJECT = "PROJECT"  # the dimension
PREPAID, OWED = "10950", "20950"  # the PEX account of a prepaid business, and of a charge account
CHECKING, FEES = "10110", "404"  # what people book by hand
USUAL = "449"  # the account that has a project of its own
CHARGE = (1,)  # which of the businesses
SYNCED, UNCONFIRMED, IN_LEDGER = 0, 1, 1


def company(world: BusinessCentralWorld, accounts: Iterable[tuple[str, str]], projects: Sequence[str]) -> Company:
    tenant = world.add_tenant("Cedar Hill Builders LLC", domain="cedar.example")
    made = world.add_company(world.add_environment(tenant), "Cedar Hill", display_name="Cedar Hill Builders LLC")
    made.add_journal()
    made.add_account(PREPAID, "PEX Card Prepaid", "Assets")
    made.add_account(OWED, "PEX Card Payable", "Liabilities")
    made.add_account(CHECKING, "Checking Account", "Assets")
    for number, name in accounts:
        made.add_account(number, name)
    made.add_account(FEES, "Bank Fees")
    made.add_account("40900", "Rebates", "Income")
    made.add_bank_account("CHECKING", "Business Checking")
    made.add_dimension(PROJECT, [(f"P-{number}", name) for number, name in enumerate(projects, 101)], "Project")
    made.account(USUAL).default_dimensions[PROJECT] = "P-101"
    return made


def business(world: BusinessCentralWorld, books: Company, place: int, username: str) -> dict[str, Any]:
    """What sign-in and settings need, of the business at this place among those that write to the company."""
    target, account = world.place_of(books), OWED if place in CHARGE else PREPAID
    tenant, environment, _ = target.split("/")
    person = world.add_user(username, f"{username}@cedar.example", world.tenants[tenant])
    dimension = books.dimension(PROJECT)
    return {
        "system": CENTRAL,
        "books_tokens": world.sign_in(person),
        "company": books.id,
        "target": target,
        "company_name": books.display_name,
        "company_facts": {
            "name": books.name,
            "environment": environment,
            "environment_type": "Production",
            "user": f"{person.id}.{tenant}",
        },
        "bank": books.account(account).id,
        "account": account,
        "fees": {"account": books.account(FEES).id},
        "income": {"account": books.account("40900").id},
        "source_cash": f"bank:{next(iter(books.bank_accounts))}",
        "category": dimension.code,
        "field": f"dimension:{dimension.id}",
        "projects": [(value.id, value.name) for value in dimension.values.values()],
        "usual": {
            one.number: one.default_dimensions[PROJECT] for one in books.accounts.values() if one.default_dimensions
        },
        "extra": {"vendors": "ledger" if place == IN_LEDGER else "names", "create_vendors": True},
        "synced": place == SYNCED,
        "confirmed": place != UNCONFIRMED,
    }
