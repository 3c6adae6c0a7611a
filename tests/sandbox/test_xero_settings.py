"""What the simulated Xero tells about an organisation's setup."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def test_lock_dates_are_told_only_when_set(books: Books):
    (told,) = books.get("Organisation").json()["Organisations"]
    assert (told["OrganisationID"], told["Name"], told["PaysTax"]) == (books.organisation.id, "Acme LLC", False)
    assert told["ShortCode"].startswith("!")
    assert "PeriodLockDate" not in told
    books.organisation.period_lock_date = date(2026, 6, 30)
    (told,) = books.get("Organisation").json()["Organisations"]
    assert told["PeriodLockDate"] == "/Date(1782777600000+0000)/"


def test_actions_show_what_the_plan_allows(books: Books):
    books.organisation.multicurrency = False
    actions = {one["Name"]: one["Status"] for one in books.get("Organisation/Actions").json()["Actions"]}
    assert actions["UseMulticurrency"] == "NOT-ALLOWED"
    assert actions["CreateApprovedBill"] == "ALLOWED"


def test_accounts_have_a_class_and_banks_their_own_members(books: Books):
    rows = {row["Name"]: row for row in books.records("Accounts")}
    assert rows["Motor Vehicle Expenses"]["Class"] == "EXPENSE"
    assert rows["Sales"]["Class"] == "REVENUE"
    assert rows["PEX Cash Account"]["BankAccountType"] == "BANK"
    assert "Code" not in rows["PEX Cash Account"]
    assert "BankAccountType" not in rows["Sales"]
    banks = books.records("Accounts", where='Status=="ACTIVE" AND Type=="BANK"', order="Name DESC")
    assert [row["Name"] for row in banks] == ["PEX Cash Account", "Business Checking"]


def test_an_account_changed_between_reads_shows_its_change(books: Books):
    account = books.organisation.account("449")
    books.organisation.post_by_hand(account=account)
    books.get("BankTransactions", page=1)
    books.organisation.change_account(account, name="Vehicles", code="450", status="ARCHIVED")
    (row,) = books.records(f"Accounts/{account.id}")
    assert (row["Name"], row["Code"], row["Status"]) == ("Vehicles", "450", "ARCHIVED")
    assert books.records("BankTransactions", page=1)[0]["LineItems"][0]["AccountCode"] == "450"


def test_an_account_is_created_archived_alone_and_deleted_when_unused(books: Books):
    made = books.call("PUT", "Accounts", json={"Code": "461", "Name": "Printing", "Type": "EXPENSE"})
    id = made.json()["Accounts"][0]["AccountID"]
    both = books.call("POST", f"Accounts/{id}", json={"Name": "Other", "Status": "ARCHIVED"})
    assert both.status_code == 400
    alone = books.call("POST", f"Accounts/{id}", json={"AccountID": id, "Status": "ARCHIVED"})
    assert alone.json()["Accounts"][0]["Status"] == "ARCHIVED"
    assert books.call("DELETE", f"Accounts/{id}").json()["Accounts"][0]["Status"] == "DELETED"
    books.organisation.post_by_hand(account="449")
    assert books.call("DELETE", f"Accounts/{books.organisation.account('449').id}").status_code == 400


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"Code": "12345678901", "Name": "A", "Type": "EXPENSE"}, "Account Code is too long"),
        ({"Code": "1", "Name": "Sales", "Type": "EXPENSE"}, "Please enter a unique Name."),
        ({"Code": "449", "Name": "New", "Type": "EXPENSE"}, "Please enter a unique Code."),
        ({"Name": "New", "Type": "BANK", "BankAccountType": "PAYPAL"}, "PayPal accounts cannot be created"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(books: Books, sent: dict[str, str], message: str):
    assert message in books.call("PUT", "Accounts", json=sent).text


def test_tracking_categories_show_active_options_with_their_flags(books: Books):
    region = books.organisation.add_tracking("Region", ["North", "South"])
    books.organisation.change_tracking(region.options[1], status="ARCHIVED")
    (row,) = books.records("TrackingCategories")
    assert [option["Name"] for option in row["Options"]] == ["North"]
    assert row["Options"][0]["IsActive"] is True
    (row,) = books.records("TrackingCategories", includeArchived="true")
    assert [option["IsArchived"] for option in row["Options"]] == [False, True]
    books.organisation.change_tracking(region, status="ARCHIVED")
    assert books.records("TrackingCategories") == []


def test_a_third_active_category_is_refused(books: Books):
    for name in ("Region", "Project"):
        assert books.call("PUT", "TrackingCategories", json={"Name": name}).status_code == 200
    assert books.call("PUT", "TrackingCategories", json={"Name": "Third"}).status_code == 400


def test_options_are_added_renamed_and_deleted(books: Books):
    region = books.organisation.add_tracking("Region", ["North"])
    path = f"TrackingCategories/{region.id}/Options"
    added = books.call("PUT", path, json={"Name": "South"}).json()["Options"][0]
    assert added["Status"] == "ACTIVE"
    assert books.call("PUT", path, json={"Name": "north"}).status_code == 400
    renamed = books.call("POST", f"{path}/{added['TrackingOptionID']}", json={"Name": "Deep South"})
    assert renamed.json()["Options"][0]["Name"] == "Deep South"
    books.call("DELETE", f"{path}/{added['TrackingOptionID']}")
    assert [one["Name"] for one in books.records("TrackingCategories")[0]["Options"]] == ["North"]
    assert books.call("PUT", "TrackingCategories/nobody/Options", json={"Name": "x"}).status_code == 404


def test_tax_rates_tell_where_they_fit(books: Books):
    books.organisation.add_tax_rate("Tax on Purchases", "INPUT", "8.25", classes=("EXPENSE",))
    books.organisation.add_tax_rate("Gone", "TAX001", "1", status="DELETED")
    rows: dict[str, Any] = {row["TaxType"]: row for row in books.records("TaxRates")}
    assert set(rows) == {"NONE", "INPUT"}
    assert str(rows["INPUT"]["EffectiveRate"]) == "8.2500"
    assert (rows["INPUT"]["CanApplyToExpenses"], rows["INPUT"]["CanApplyToRevenue"]) == (True, False)
    assert books.records("TaxRates/INPUT")[0]["Name"] == "Tax on Purchases"


def test_currencies_are_the_organisations_and_can_be_added_on_a_fitting_plan(books: Books):
    assert books.records("Currencies") == [{"Code": "USD", "Description": "USD"}]
    added = books.call("PUT", "Currencies", json={"Code": "EUR", "Description": "Euro"})
    assert added.json()["Currencies"] == [{"Code": "EUR", "Description": "Euro"}]
    books.organisation.multicurrency = False
    assert books.call("PUT", "Currencies", json={"Code": "GBP"}).status_code == 400
