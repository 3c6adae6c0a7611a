"""The simulated Xero before its official description: every answer must be one Xero could have given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books
from tests.specs import Spec, check_request, check_response, load

pytestmark = pytest.mark.specs

WHERE = 'Date>=DateTime(2026,07,01) AND Type=="SPEND"'


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    """An organisation with something of everything in it."""
    with open_books(sandbox) as books:
        organisation = books.organisation
        organisation.add_tracking("Region", ["North", "South"])
        organisation.add_tax_rate("Tax on Purchases", "INPUT", "8.25", report_tax_type="INPUT")
        organisation.add_account("610", "Accounts Receivable", "CURRENT", system_account="DEBTORS")
        organisation.add_bank_account("Card", bank_account_type="CREDITCARD")
        organisation.add_bank_account("Euro account", "EUR")
        organisation.add_contact("Shell", email="a@shell.example", number="C-1")
        organisation.post_by_hand("PEX-9", "10.00", contact="Shell")
        yield books


@pytest.fixture
def spec(specs: Path) -> Spec:
    return load(specs, "xero_accounting.yaml")


def judged(spec: Spec, books: Books, method: str, path: str, **options: Any) -> httpx.Response:
    """Send a request, and have both it and its answer judged."""
    answer = books.call(method, path, **options)
    sent = f"/{path.partition('?')[0]}?{answer.request.url.query.decode()}"
    check_request(spec, method, sent, answer.request.content)
    check_response(spec, method, f"/{path}", answer.status_code, answer.content)
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "Organisation",
        "Organisation/Actions",
        "Accounts",
        "TrackingCategories",
        "TrackingCategories?includeArchived=true",
        "TaxRates",
        "TaxRates/INPUT",
        "Currencies",
        "Contacts",
        "Contacts?page=1&pageSize=1000&summaryOnly=true&includeArchived=true",
        "BankTransactions",
        "BankTransactions?page=1&pageSize=100&unitdp=4",
        "BankTransfers",
    ],
)
def test_every_list_is_as_described(spec: Spec, books: Books, path: str):
    assert judged(spec, books, "GET", path).status_code == 200


def test_lists_can_be_filtered_as_described(spec: Spec, books: Books):
    query = {"where": WHERE, "order": "Date DESC", "page": 1}
    assert judged(spec, books, "GET", "BankTransactions", params=query).status_code == 200
    query = {"where": 'Name=="Shell"', "searchTerm": "sh", "page": 1}
    assert judged(spec, books, "GET", "Contacts", params=query).status_code == 200


def test_bank_transactions_are_written_and_refused_as_described(spec: Spec, books: Books):
    tracking = [{"Name": "Region", "Option": "North"}]
    good = books.spend(Url="https://pex.example/1", line={"Tracking": tracking, "TaxType": "INPUT"})
    body = {"BankTransactions": [{**good, "LineAmountTypes": "Inclusive"}]}
    answer = judged(spec, books, "PUT", "BankTransactions?summarizeErrors=false&unitdp=4", json=body)
    id = answer.json()["BankTransactions"][0]["BankTransactionID"]
    judged(spec, books, "GET", f"BankTransactions/{id}")
    bad = books.spend(Contact={"Name": "New"}, line={"AccountCode": "999"})
    for failed_id in ("zero", "none", "real"):
        books.world.switches.failed_id = failed_id
        mixed = judged(
            spec, books, "PUT", "BankTransactions?summarizeErrors=false", json={"BankTransactions": [good, bad]}
        )
        assert mixed.status_code == 200
        assert judged(spec, books, "PUT", "BankTransactions", json={"BankTransactions": [bad]}).status_code == 400
    edit = {"BankTransactions": [{**good, "BankTransactionID": id, "Reference": "PEX-2"}]}
    judged(spec, books, "POST", f"BankTransactions/{id}", json=edit)
    books.organisation.reconcile(id)
    assert "ERROR" in judged(spec, books, "POST", "BankTransactions", json=edit).text


def test_a_foreign_currency_is_as_described(spec: Spec, books: Books):
    euro = books.organisation.account("Euro account").id
    body = {"BankTransactions": [books.spend(BankAccount={"AccountID": euro})]}
    answer = judged(spec, books, "PUT", "BankTransactions", json=body)
    assert '"CurrencyRate":1.000000' in answer.text


def test_contacts_are_written_and_refused_as_described(spec: Spec, books: Books):
    made = judged(spec, books, "PUT", "Contacts", json={"Contacts": [{"Name": "Delta"}]})
    id = made.json()["Contacts"][0]["ContactID"]
    judged(spec, books, "GET", f"Contacts/{id}")
    judged(spec, books, "POST", f"Contacts/{id}", json={"Contacts": [{"EmailAddress": "a@delta.example"}]})
    both = {"Contacts": [{"Name": "Delta"}, {"Name": "Echo"}]}
    assert judged(spec, books, "PUT", "Contacts", json=both).status_code == 400
    assert judged(spec, books, "PUT", "Contacts?summarizeErrors=false", json=both).status_code == 200
    assert judged(spec, books, "POST", "Contacts", json=both).status_code == 200


def test_what_was_archived_merged_or_warned_of_is_as_described(spec: Spec, books: Books):
    organisation = books.organisation
    shell, region = organisation.contact("Shell"), next(iter(organisation.tracking.values()))
    organisation.merge_contact(shell, organisation.add_contact("Shell Oil"))
    organisation.change_tracking(region.options[0], status="ARCHIVED")
    assert "MergedToContactID" in judged(spec, books, "GET", "Contacts?includeArchived=true").text
    assert '"IsArchived":true' in judged(spec, books, "GET", "TrackingCategories?includeArchived=true").text
    books.world.switches.warned_elements = 1
    body = {"BankTransactions": [books.spend(Contact={"Name": "Shell Oil"})]}
    warned = judged(spec, books, "PUT", "BankTransactions?summarizeErrors=false", json=body)
    assert "WARNING" in warned.text


def test_receipts_and_notes_are_as_described(spec: Spec, books: Books):
    id = next(iter(books.organisation.bank_transactions))
    path = f"BankTransactions/{id}/Attachments/receipt.pdf"
    assert judged(spec, books, "PUT", path, content=b"%PDF").status_code == 200
    assert judged(spec, books, "PUT", path.replace("pdf", "heic"), content=b"x").status_code == 400
    judged(spec, books, "GET", f"BankTransactions/{id}/Attachments")
    judged(spec, books, "PUT", f"BankTransactions/{id}/History", json={"HistoryRecords": [{"Details": "Note"}]})
    assert judged(spec, books, "GET", f"BankTransactions/{id}/History").status_code == 200


def test_transfers_are_as_described(spec: Spec, books: Books):
    banks = books.organisation.bank_accounts()
    transfer = {
        "FromBankAccount": {"AccountID": banks[0].id},
        "ToBankAccount": {"AccountID": banks[1].id},
        "Amount": 25.5,
        "Date": "2026-07-03",
        "Reference": "PEX-T-1",
    }
    made = judged(spec, books, "PUT", "BankTransfers", json={"BankTransfers": [transfer]})
    id = made.json()["BankTransfers"][0]["BankTransferID"]
    judged(spec, books, "GET", f"BankTransfers/{id}")
    region = next(iter(books.organisation.tracking.values()))
    value = {"TrackingCategoryID": region.id, "TrackingOptionID": region.options[0].id}
    both = {"BankTransfers": [{**transfer, "FromTracking": [value]}, {**transfer, "ToTracking": [value]}]}
    assert judged(spec, books, "PUT", "BankTransfers", json=both).text.count("Tracking") > 1
    query = {"where": 'Reference!=null AND Reference=="PEX-T-1"', "order": "Date DESC"}
    assert judged(spec, books, "GET", "BankTransfers", params=query).text.count('"BankTransferID"') == 3
    file = f"BankTransfers/{id}/Attachments/order.pdf"
    assert judged(spec, books, "PUT", file, content=b"%PDF").status_code == 200
    judged(spec, books, "GET", f"BankTransfers/{id}/Attachments")
    judged(spec, books, "PUT", f"BankTransfers/{id}/History", json={"HistoryRecords": [{"Details": "Note"}]})
    judged(spec, books, "GET", f"BankTransfers/{id}/History")
    judged(spec, books, "GET", "BankTransactions?page=1")
    refused = {"BankTransfers": [{**transfer, "Amount": 0}]}
    assert judged(spec, books, "PUT", "BankTransfers", json=refused).status_code == 400
    assert judged(spec, books, "POST", f"BankTransfers/{id}", json={"Status": "DELETED"}).status_code == 200
    gone = {"BankTransfers": [{"BankTransferID": id, "Status": "DELETED"}]}
    judged(spec, books, "POST", "BankTransfers?summarizeErrors=false", json=gone)
    judged(spec, books, "GET", "BankTransfers?includeDeleted=true")


def test_settings_are_written_as_described(spec: Spec, books: Books):
    account = {"Code": "461", "Name": "Printing", "Type": "EXPENSE"}
    made = judged(spec, books, "PUT", "Accounts", json=account).json()["Accounts"][0]["AccountID"]
    judged(spec, books, "GET", f"Accounts/{made}")
    judged(spec, books, "POST", f"Accounts/{made}", json={"Accounts": [{"Status": "ARCHIVED"}]})
    judged(spec, books, "DELETE", f"Accounts/{made}")
    assert judged(spec, books, "PUT", "Accounts", json={**account, "Name": "Sales"}).status_code == 400
    made = judged(spec, books, "PUT", "TrackingCategories", json={"Name": "Project"}).json()
    id = made["TrackingCategories"][0]["TrackingCategoryID"]
    options = judged(spec, books, "PUT", f"TrackingCategories/{id}/Options", json={"Name": "One"})
    option = options.json()["Options"][0]["TrackingOptionID"]
    judged(spec, books, "POST", f"TrackingCategories/{id}/Options/{option}", json={"Name": "Two"})
    judged(spec, books, "DELETE", f"TrackingCategories/{id}/Options/{option}")
    judged(spec, books, "PUT", "Currencies", json={"Code": "GBP", "Description": "Pound"})
    judged(spec, books, "GET", f"TrackingCategories/{id}")


def test_connections_are_as_described(specs: Path, books: Books):
    spec = load(specs, "xero-identity.yaml")
    headers = {"Authorization": f"Bearer {books.token['access_token']}"}
    answer = books.http.get("/xero-api/connections", headers=headers)
    check_response(spec, "GET", "/connections", answer.status_code, answer.content)
    path = f"/connections/{answer.json()[0]['id']}"
    gone = books.http.delete(f"/xero-api{path}", headers=headers)
    check_response(spec, "DELETE", path, gone.status_code)


# The judge itself


@pytest.mark.parametrize(
    ("path", "change", "objection"),
    [
        ("/BankTransactions", {"Referense": "PEX-1"}, "Referense"),
        ("/BankTransactions", {"Type": "BUY"}, "BUY"),
        ("/BankTransactions", {"HasAttachments": True}, "read-only"),
        ("/BankTransactions", {"LineItems": [{"Quantity": "1"}]}, "Quantity"),
        ("/BankTransactions", {"BankAccount": {"AccountID": "7"}}, "uuid"),
        ("/BankTransactions?References=PEX-1", {}, "References"),
        ("/BankTransactions?unitdp=four", {}, "unitdp"),
        ("/Nonsense", {}, "no such path"),
    ],
)
def test_the_judge_objects_to_what_xero_does_not_know(
    spec: Spec, books: Books, path: str, change: dict[str, Any], objection: str
):
    with pytest.raises(AssertionError, match=objection):
        check_request(spec, "PUT", path, {"BankTransactions": [{**books.spend(), **change}]})


def test_the_judge_objects_to_an_answer_of_the_wrong_shape(spec: Spec):
    with pytest.raises(AssertionError, match="not of type 'array'"):
        check_response(spec, "GET", "/Accounts", 200, {"Accounts": {}})
    with pytest.raises(AssertionError, match="does not answer 204"):
        check_response(spec, "GET", "/Accounts", 204)
    check_response(spec, "GET", "/Accounts", 503, b"offline")
