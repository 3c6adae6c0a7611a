"""Transfers between bank accounts of the simulated Xero."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def funding(books: Books, **changes: Any) -> dict[str, Any]:
    return {
        "FromBankAccount": {"Code": "090"},
        "ToBankAccount": {"AccountID": books.organisation.account("PEX Cash Account").id},
        "Amount": 500.25,
        "Date": "2026-07-03",
        "Reference": "PEX-T-1",
        **changes,
    }


def made(books: Books, **changes: Any) -> dict[str, Any]:
    answer = books.put("BankTransfers", funding(books, **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()["BankTransfers"][0]


def test_a_transfer_has_two_legs_that_move_both_balances(books: Books):
    told = made(books)
    assert (told["Status"], told["Reference"]) == ("AUTHORISED", "PEX-T-1")
    legs = [books.organisation.bank_transactions[told[f"{side}BankTransactionID"]] for side in ("From", "To")]
    assert [leg.type for leg in legs] == ["SPEND-TRANSFER", "RECEIVE-TRANSFER"]
    assert books.organisation.balance(books.organisation.account("PEX Cash Account")) == Decimal("500.25")
    assert books.organisation.balance(books.organisation.account("090")) == Decimal("-500.25")
    assert books.organisation.live() == []
    assert len(books.organisation.live_transfers()) == 1


def test_legs_stand_in_the_list_of_bank_transactions_or_not(books: Books):
    made(books)
    types = [row["Type"] for row in books.records("BankTransactions", page=1)]
    assert types == ["SPEND-TRANSFER", "RECEIVE-TRANSFER"]
    books.world.switches.legs_visible = False
    assert books.records("BankTransactions", page=1) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Amount": 0}, "The amount of a bank transfer must be greater than zero"),
        ({"Amount": -1}, "The amount of a bank transfer must be greater than zero"),
        ({"FromBankAccount": {"Code": "449"}}, "The bank account must be a valid account of type BANK"),
        ({"FromBankAccount": None}, "The bank account must be a valid account of type BANK"),
        ({"ToBankAccount": {"Code": "090"}}, "A bank transfer needs two different bank accounts"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(books: Books, change: dict[str, Any], message: str):
    answer = books.put("BankTransfers", funding(books, **change))
    assert answer.json()["Elements"][0]["ValidationErrors"][0] == {"Message": message}
    assert books.organisation.bank_transfers == {}


def test_currencies_must_agree_and_locked_days_are_closed(books: Books):
    euro = books.organisation.add_bank_account("Euro account", "EUR")
    answer = books.put("BankTransfers", funding(books, ToBankAccount={"AccountID": euro.id}))
    assert "same currency" in answer.text
    books.organisation.period_lock_date = date(2026, 7, 3)
    assert "03-Jul-2026" in books.put("BankTransfers", funding(books)).text


@pytest.mark.parametrize(("mode", "status", "count"), [("all", 200, 2), ("first", 200, 1), ("refuse", 400, 0)])
def test_several_in_one_call_are_all_made_or_one_or_none(books: Books, mode: Any, status: int, count: int):
    books.world.switches.transfers = mode
    answer = books.put("BankTransfers", funding(books), funding(books, Reference="PEX-T-2"))
    assert answer.status_code == status
    assert len(books.organisation.bank_transfers) == count


def test_several_may_be_answered_in_another_order(books: Books):
    books.world.switches.shuffled = True
    answer = books.put("BankTransfers", funding(books), funding(books, Reference="PEX-T-2"))
    assert [row["Reference"] for row in answer.json()["BankTransfers"]] == ["PEX-T-2", "PEX-T-1"]


def test_one_bad_transfer_refuses_all(books: Books):
    assert books.put("BankTransfers", funding(books), funding(books, Amount=0)).status_code == 400
    assert books.organisation.bank_transfers == {}


def test_transfers_are_found_by_filter_and_id(books: Books):
    id = made(books)["BankTransferID"]
    made(books, Reference="")
    where = 'Reference!=null AND Reference=="PEX-T-1"'
    assert [row["BankTransferID"] for row in books.records("BankTransfers", where=where)] == [id]
    assert books.records(f"BankTransfers/{id}")[0]["Amount"] == Decimal("500.25")


def test_a_transfer_is_deleted_by_post_and_then_hidden(books: Books):
    one, two = made(books)["BankTransferID"], made(books)["BankTransferID"]
    deleted = books.call("POST", f"BankTransfers/{one}", json={"Status": "DELETED"})
    assert deleted.json()["BankTransfers"][0]["Status"] == "DELETED"
    books.post("BankTransfers", {"BankTransferID": two, "Status": "DELETED"})
    assert books.records("BankTransfers") == []
    assert len(books.records("BankTransfers", includeDeleted="true")) == 2
    assert {leg.status for leg in books.organisation.bank_transactions.values()} == {"DELETED"}


def test_anything_but_deleting_is_refused(books: Books):
    id = made(books)["BankTransferID"]
    assert books.call("POST", f"BankTransfers/{id}", json={"Status": "AUTHORISED"}).status_code == 400
    assert books.call("POST", f"BankTransfers/{id}", json={"Amount": 3}).status_code == 400
    leg = books.organisation.bank_transfers[id].from_leg.id
    (element,) = books.post("BankTransactions", {"BankTransactionID": leg, "Status": "DELETED"}).json()[
        "BankTransactions"
    ]
    assert element["StatusAttributeString"] == "ERROR"


def test_deleting_may_succeed_for_some(books: Books):
    one, two = made(books)["BankTransferID"], made(books)["BankTransferID"]
    books.organisation.reconcile(books.organisation.bank_transfers[two].to_leg.id)
    elements = [{"BankTransferID": id, "Status": "DELETED"} for id in (one, two)]
    assert books.post("BankTransfers", *elements).status_code == 400
    rows = books.post("BankTransfers", *elements, query="?summarizeErrors=false").json()["BankTransfers"]
    assert [row.get("StatusAttributeString", "") for row in rows] == ["", "ERROR"]
    assert [one.id for one in books.organisation.live_transfers()] == [two]


def test_a_long_reference_is_refused_or_cut(books: Books):
    answer = books.put("BankTransfers", funding(books, Reference="x" * 256))
    assert "Reference is too long" in answer.text
    books.world.switches.reference_mode = "cut"
    assert made(books, Reference="x" * 256)["Reference"] == "x" * 255


def test_tracking_of_a_transfer_is_dropped_or_refused_and_two_at_most(books: Books):
    categories = [books.organisation.add_tracking(name, ["One"]) for name in ("Region", "Project", "Third")]
    values = [{"TrackingCategoryID": one.id, "TrackingOptionID": one.options[0].id} for one in categories]
    assert "two tracking categories" in books.put("BankTransfers", funding(books, ToTracking=values)).text
    books.organisation.change_tracking(categories[0].options[0], status="ARCHIVED")
    assert "FromTracking" not in made(books, FromTracking=values[:1])
    books.world.switches.tracking = "refuse"
    refused = books.put("BankTransfers", funding(books, FromTracking=values[:1]))
    assert "does not exist or is archived" in refused.text


def test_a_repeat_under_the_same_key_makes_one_transfer(books: Books):
    for _ in range(2):
        assert books.put("BankTransfers", funding(books), **{"Idempotency-Key": "k-1"}).status_code == 200
    assert len(books.organisation.bank_transfers) == 1


def test_changes_since_a_moment_show_new_and_deleted_transfers(books: Books):
    made(books)
    books.desk.clock.advance(timedelta(minutes=1))
    since = {"If-Modified-Since": f"{books.world.now():%Y-%m-%dT%H:%M:%S}"}
    assert books.call("GET", "BankTransfers", headers=since).json()["BankTransfers"] == []
    later = made(books, Reference="PEX-T-2")["BankTransferID"]
    found = books.call("GET", "BankTransfers", headers=since).json()["BankTransfers"]
    assert [row["BankTransferID"] for row in found] == [later]


def test_tracking_files_and_notes_stand_on_the_transfer(books: Books):
    region = books.organisation.add_tracking("Region", ["North"])
    value = {"TrackingCategoryID": region.id, "TrackingOptionID": region.options[0].id}
    told = made(books, FromTracking=[value])
    assert told["FromTracking"][0]["Option"] == "North"
    path = f"BankTransfers/{told['BankTransferID']}"
    assert books.call("PUT", f"{path}/Attachments/a.pdf", content=b"%PDF").status_code == 200
    assert books.records(path)[0]["HasAttachments"] is True
    note = {"HistoryRecords": [{"Details": "Funding"}]}
    assert books.call("PUT", f"{path}/History", json=note).status_code == 200
