"""What the control room changes in the simulated Xero between two syncs, and what it tells of the books."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.test_pex import client_of
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def control(books: Books) -> httpx.Client:
    return client_of(f"{books.desk.url}/control/xero/")


def did(control: httpx.Client, action: str, **facts: Any) -> Any:
    answer = control.post(action, json=facts)
    assert answer.status_code == 200, answer.text
    return answer.json()


def funding(books: Books, **more: Any) -> str:
    banks = books.organisation.bank_accounts()
    sides = {"FromBankAccount": {"AccountID": banks[0].id}, "ToBankAccount": {"AccountID": banks[1].id}}
    answer = books.put("BankTransfers", {**sides, "Amount": 25.5, "Reference": "PEXT7", **more})
    return str(answer.json()["BankTransfers"][0]["BankTransferID"])


def test_lines_tell_their_account_and_tracking(books: Books, control: httpx.Client):
    did(control, "add-tracking", name="Region", options=["North"])
    books.accepted(books.spend(line={"Tracking": [{"Name": "Region", "Option": "North"}]}))
    (told,) = control.get("books").json()
    assert told["lines"] == [
        {
            "amount": "41.87",
            "account": "449",
            "description": "Fuel",
            "tracking": [{"category": "Region", "option": "North"}],
        }
    ]
    assert (told["reconciled"], told["transfer"]) == (False, "")


def test_a_transfer_is_told_edited_reconciled_and_deleted(books: Books, control: httpx.Client):
    id = funding(books)
    books.call("PUT", f"BankTransfers/{id}/Attachments/a.pdf", content=b"%PDF")
    did(control, "edit-transfer", id=id, reference="July")
    (told,) = control.get("transfers").json()
    did(control, "reconcile", id=told["legs"][1])
    assert (told["reference"], told["amount"], told["attachments"][0]["name"]) == ("July", "25.50", "a.pdf")
    assert {one["reference"] for one in control.get("books").json()} == {"July"}
    assert control.get("transfers").json()[0]["reconciled"] == [False, True]
    assert books.records(f"BankTransfers/{id}")[0]["Reference"] == "July"
    assert did(control, "delete-transfer", id=id)["status"] == "DELETED"
    assert {one["status"] for one in control.get("books").json()} == {"DELETED"}


def test_one_side_of_a_transfer_is_not_edited_alone(books: Books, control: httpx.Client):
    leg = books.organisation.bank_transfers[funding(books)].from_leg.id
    answer = control.post("edit", json={"id": leg, "amount": "1.00"})
    assert (answer.status_code, "transfer" in answer.json()["message"]) == (400, True)


def test_a_reconciled_transaction_is_let_go_again(books: Books, control: httpx.Client):
    id = books.accepted(books.spend())["BankTransactionID"]
    assert did(control, "reconcile", id=id)["reconciled"] is True
    assert did(control, "reconcile", id=id, reconciled=False)["reconciled"] is False


def test_settings_change_between_two_reads(books: Books, control: httpx.Client):
    books.organisation.add_tax_rate("Tax on Purchases", "INPUT", "8.25")
    region = did(control, "add-tracking", name="Region", options=["North"])
    did(control, "add-tracking", id=region["id"], options=["South"])
    north = region["options"][0]["id"]
    account, shell = books.organisation.account("449"), books.organisation.add_contact("Shell")
    did(control, "change-account", id=account.id, status="ARCHIVED", name="Vehicles", code="450")
    did(control, "change-contact", id=shell.id, status="ARCHIVED")
    did(control, "change-tracking", id=north, name="Nord", status="ARCHIVED")
    did(control, "change-tax-rate", id="INPUT", status="DELETED")

    assert (account.name, account.code, account.status) == ("Vehicles", "450", "ARCHIVED")
    assert books.records("Contacts") == []
    (category,) = books.records("TrackingCategories", includeArchived="true")
    assert [(one["Name"], one["Status"]) for one in category["Options"]] == [("Nord", "ARCHIVED"), ("South", "ACTIVE")]
    assert [one["TaxType"] for one in books.records("TaxRates")] == ["NONE"]
    told = control.get("set-up").json()
    assert {"id": "INPUT", "name": "Tax on Purchases", "status": "DELETED", "rate": "8.25"} in told["tax_rates"]
    assert (told["contacts"][0]["status"], told["tracking"][0]["options"][0]["name"]) == ("ARCHIVED", "Nord")


def test_a_merged_contact_is_archived_names_the_other_and_keeps_its_stamp(books: Books, control: httpx.Client):
    shell, oil = books.organisation.add_contact("Shell"), books.organisation.add_contact("Shell Oil")
    before = shell.updated
    books.accepted(books.spend())
    did(control, "merge-contact", id=shell.id, into=oil.id)
    (row,) = (one for one in books.records("Contacts", includeArchived="true") if one["ContactID"] == shell.id)
    assert (row["ContactStatus"], row["MergedToContactID"], shell.updated) == ("ARCHIVED", oil.id, before)
    assert books.records("BankTransactions", page=1)[0]["Contact"]["ContactID"] == oil.id


def test_locks_plan_and_tax_are_set_and_lifted(books: Books, control: httpx.Client):
    facts = {"period_lock_date": "2026-06-30", "pays_tax": True, "multicurrency": False}
    told = did(control, "set-up", **facts)
    assert told == {**facts, "offline": False, "end_of_year_lock_date": ""}
    assert "PeriodLockDate" in books.get("Organisation").json()["Organisations"][0]
    assert did(control, "set-up", period_lock_date="")["period_lock_date"] == ""
    assert did(control, "set-up", offline=True)["offline"] is True
    assert books.get("Accounts").status_code == 503


def test_a_person_takes_the_app_out(books: Books, control: httpx.Client):
    assert did(control, "disconnect") == {"disconnected": 1}
    assert books.get("Accounts").status_code == 403


@pytest.mark.parametrize(
    ("action", "facts"),
    [
        ("reconcile", {"id": "nobody"}),
        ("edit-transfer", {"id": "nobody"}),
        ("change-account", {"id": "nobody", "name": "x"}),
        ("change-tracking", {"id": "nobody", "name": "x"}),
        ("add-tracking", {}),
        ("merge-contact", {"id": "nobody", "into": "nobody"}),
        ("change-tax-rate", {"id": "NONE"}),
        ("change-tax-rate", {"id": "NONE", "status": "asleep"}),
        ("set-up", {"period_lock_date": "soon"}),
        ("set-up", {"offline": "perhaps"}),
        ("disconnect", {"organisation": "nobody"}),
        ("switches", {"tracking": "perhaps"}),
        ("switches", {"loud": True}),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(control: httpx.Client, action: str, facts: dict[str, Any]):
    answer = control.post(action, json=facts)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_every_switch_is_told_and_set_by_json(books: Books, control: httpx.Client):
    told = control.get("switches").json()
    assert {"consent", "idempotency_seconds", "tracking", "legs_visible", "transfers", "unknown_enum"} <= told.keys()
    assert did(control, "switches", **told) == told
    assert did(control, "switches", tracking="refuse", day_limit=1000, latency=0.5)["day_limit"] == 1000
    assert (books.world.switches.tracking, books.world.switches.latency) == ("refuse", 0.5)
