"""Walking through the setup as a person does, one step after the other."""

from typing import Any

from django.http import QueryDict

from connectors.records import Field, Kind, Option
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.pages.steps import Books
from tagging.models import Tag
from tests import make

SYNC = {"kind_purchase": "on", "approved_only": "approved"}
ALL_KINDS = {**SYNC, "kind_fee": "on", "kind_transfer": "on", "kind_rebate": "on"}
MERCHANTS = {"party_mode": "merchant", "clean_names": "on"}

ACCOUNT = Field("account", "Expense Account", required=True, kinds=(Kind.PURCHASE, Kind.FEE))
INCOME = Field("account", "Income Account", required=True, kinds=(Kind.REBATE,))
SOURCE = Field("account", "Source Cash", required=True, kinds=(Kind.TRANSFER, Kind.BILL_PAYMENT), options="pex_account")
CONTACT = Field("party", "Contact", required=True, kinds=(Kind.FEE, Kind.REBATE))
WORDS = Field("description", "Item Description", static=False, tag_types=("Text",))
PROJECTS = Field("tracking:1", "PROJECTS", kinds=(Kind.PURCHASE, Kind.FEE, Kind.REBATE))
DROPDOWN = Tag(tag_id="10", name="PROJECTS", type="Dropdown", required=True)
OTHER_DROPDOWN = Tag(tag_id="11", name="EXPENSE TYPE", type="Dropdown")
TEXT_TAG = Tag(tag_id="20", name="Purpose", type="Text")


def books(**changes: Any) -> Books:
    """What an organisation offers, without asking anybody."""
    options = {
        "pex_account": [Option("bank", "PEX Cash", group="USD"), Option("checking", "Checking", group="USD")],
        "account": [Option("429", "General", "429"), Option("260", "Other", "260"), Option("old", "Old", active=False)],
        "tracking:1": [Option("a", "Pier 9"), Option("b", "Hall"), Option("gone", "Shut", active=False)],
        "party": [Option("p", "PEX")],
    }
    given: dict[str, Any] = {
        "connector": Xero,
        "charge": False,
        "today": clock.today(),
        "fields": [ACCOUNT, INCOME, SOURCE, CONTACT, WORDS, PROJECTS],
        "options": options,
        "tags": [DROPDOWN, OTHER_DROPDOWN, TEXT_TAG],
    }
    return Books(**{**given, **changes})


def typed(**members: str) -> QueryDict:
    data = QueryDict(mutable=True)
    data.update(members)
    return data


def bank(world: make.World, name: str = "PEX Cash Account") -> str:
    return str(world.books.account(name).id)


def accounts_by_tag(world: make.World, **more: str) -> dict[str, str]:
    return {"pex_account": bank(world), "account_source": "tag", "account_tag": world.expense_tag.tag_id, **more}


def walk(browser: Any, world: make.World) -> Any:
    """Every step for purchases alone, the last one left by SAVE: the answer to that."""
    leave(browser, "sync", {**SYNC, "start_date": clock.today().isoformat()})
    leave(browser, "options", {})
    leave(browser, "accounts", accounts_by_tag(world))
    leave(browser, "purchases", {"receipts": "on", "late_receipts": "on"})
    return leave(browser, "contacts", MERCHANTS)


def leave(browser: Any, step: str, answers: dict[str, str], go: str = "next") -> Any:
    return browser.post(f"/xero/setup/{step}", {**answers, "go": go})


def save(browser: Any, **more: str) -> Any:
    """Press SAVE on the review, as it is shown now."""
    shown = browser.get("/xero/setup/review")
    return browser.post("/xero/setup/review", {"seen": shown.context["seen"], **more})
