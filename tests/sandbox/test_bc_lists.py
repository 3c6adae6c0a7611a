"""The plain records of the simulated Business Central: accounts, vendors, dimensions, set-up."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.dynamics365.records import LedgerEntry
from sandbox.server import Desk
from tests.sandbox.bc_books import Books, open_books, parsed, refused, statuses

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "@" not in name and name != "lastModifiedDateTime"}


# Accounts


def test_accounts_show_what_they_are_good_for(books: Books):
    books.company.add_account("60000", "Expenses", "Expense", kind="Heading")
    books.company.add_account("61900", "Old supplies", blocked=True, direct_posting=False)
    heading, supplies, _, old = books.rows("accounts", filter="startswith(number,'6')")
    assert plain(supplies) == {
        "id": books.company.account("61200").id,
        "number": "61200",
        "displayName": "Office supplies",
        "category": "Expense",
        "subCategory": "Office",
        "blocked": False,
        "accountType": "Posting",
        "directPosting": True,
        "netChange": 0,
    }
    assert (heading["accountType"], old["blocked"], old["directPosting"]) == ("Heading", True, False)
    usable = "accountType eq 'Posting' and blocked eq false and directPosting eq true and category eq 'Expense'"
    assert [row["number"] for row in books.rows("accounts", filter=usable)] == ["61200", "61300"]


def test_the_net_change_is_what_was_posted(books: Books):
    def net() -> Decimal:
        found: Decimal = parsed(books.get("accounts", filter="number eq '61200'"))["value"][0]["netChange"]
        return found

    for number, (debit, credit) in enumerate((("12.50", "0"), ("0", "2.25")), 1):
        entry = LedgerEntry(books.company.new_id(), books.world.now(), number=number, account="61200")
        entry.debit, entry.credit = Decimal(debit), Decimal(credit)
        books.company.entries[entry.id] = entry
        books.company.last_entry = number
        assert net() == Decimal("12.50") - Decimal("2.25") * (number - 1)
    assert parsed(books.get("accounts", filter="number eq '61300'"))["value"][0]["netChange"] == 0


def test_bank_accounts_name_a_foreign_currency_only(books: Books):
    books.company.add_bank_account("EUROS", "", currency="EUR", blocked=True)
    checking, euros = books.rows("bankAccounts")
    assert (checking["currencyCode"], checking["currencyId"], checking["blocked"]) == ("", NOBODY, False)
    assert (euros["displayName"], euros["currencyCode"], euros["blocked"]) == ("", "EUR", True)
    (currency,) = books.rows("currencies", filter="code eq 'EUR'")
    assert currency["id"] == euros["currencyId"]
    assert books.get(f"currencies({currency['id']})").json()["displayName"] == "Euro"
    assert books.rows("currencies", filter="code eq 'USD'") == []


# Vendors


def test_a_vendor_gets_the_next_number(books: Books):
    first, second = (books.post("vendors", {"displayName": "Target"}).json() for _ in range(2))
    assert (first["number"], second["number"]) == ("V00001", "V00002")
    assert first["displayName"] == second["displayName"]
    assert first["id"] != second["id"]
    assert (first["blocked"], first["currencyCode"], first["balance"]) == ("_x0020_", "USD", 0)
    assert [row["number"] for row in books.rows("vendors")] == ["V00001", "V00002"]


def test_a_number_of_ones_own_is_skipped_by_the_series(books: Books):
    assert books.post("vendors", {"displayName": "A", "number": " v00003 "}).json()["number"] == "V00003"
    assert books.post("vendors", {"displayName": "B"}).json()["number"] == "V00002"
    assert books.post("vendors", {"displayName": "C"}).json()["number"] == "V00004"


def test_a_vendor_keeps_what_was_sent(books: Books):
    sent = {
        "displayName": 'O\'Reilly & Söhne "GmbH"',
        "addressLine1": "1 Main Street",
        "city": "Hull",
        "country": "us",
        "email": "a@b.example",
        "taxLiable": True,
        "blocked": "Payment",
        "paymentTermsId": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    }
    made = books.post("vendors", sent).json()
    shown = books.get(f"vendors({made['id']})").json()
    assert plain(shown) == plain(made)
    assert {name: shown[name] for name in sent} == sent | {"country": "US"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"displayName": "x" * 101}, "Application_StringExceededLength"),
        ({"displayName": "x", "number": "N" * 21}, "Application_StringExceededLength"),
        ({"displayName": "x", "city": "y" * 31}, "Application_StringExceededLength"),
        ({"displayName": "x", "number": "v00001"}, "Internal_EntityWithSameKeyExists"),
        ({"displayName": "  "}, "BadRequest_RequiredParamNotProvided"),
        ({}, "BadRequest_RequiredParamNotProvided"),
        ({"displayName": 7}, "BadRequest"),
        ({"displayName": "x", "taxLiable": "yes"}, "BadRequest"),
        ({"displayName": "x", "blocked": "Sometimes"}, "BadRequest"),
        ({"displayName": "x", "paymentTermsId": "none"}, "BadRequest"),
        ({"displayName": "x", "currencyCode": "XXX"}, "Internal_InvalidTableRelation"),
        (
            {"displayName": "x", "currencyId": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
            "Application_FieldValidationException",
        ),
    ],
)
def test_a_vendor_is_refused(books: Books, body: dict[str, Any], code: str):
    books.company.add_vendor("Target")
    assert refused(books.post("vendors", body)) == (400, code)
    assert len(books.company.vendors) == 1


def test_a_name_of_a_hundred_letters_fits(books: Books):
    assert books.post("vendors", {"displayName": "x" * 100}).json()["displayName"] == "x" * 100


def test_without_a_series_a_vendor_needs_a_number(books: Books):
    books.company.vendor_series = False
    assert refused(books.post("vendors", {"displayName": "A"})) == (400, "Application_FieldValidationException")
    assert books.post("vendors", {"displayName": "A", "number": "T1"}).json()["number"] == "T1"


def test_a_series_may_forbid_numbers_of_ones_own(books: Books):
    books.company.manual_vendor_numbers = False
    answer = books.post("vendors", {"displayName": "A", "number": "T1"})
    assert refused(answer) == (400, "Application_DialogException")
    assert not books.company.vendors
    assert books.post("vendors", {"displayName": "A"}).status_code == 201


def test_a_vendor_has_a_posting_group_where_a_template_gives_it_one(books: Books):
    books.post("vendors", {"displayName": "A"})
    books.world.switches.vendor_posting_groups = False
    books.post("vendors", {"displayName": "B"})
    assert [one.posting_group for one in books.company.vendors.values()] == ["DOMESTIC", ""]


def test_the_local_currency_of_a_vendor_shows_as_its_code(books: Books):
    (euro,) = books.rows("currencies", filter="code eq 'EUR'")
    made = books.post("vendors", {"displayName": "A", "currencyCode": "usd"}).json()
    assert (made["currencyCode"], made["currencyId"]) == ("USD", NOBODY)
    made = books.post("vendors", {"displayName": "B", "currencyId": euro["id"]}).json()
    assert (made["currencyCode"], made["currencyId"]) == ("EUR", euro["id"])


def test_a_vendor_changes(books: Books):
    made = books.post("vendors", {"displayName": "A", "city": "Hull"}).json()
    books.desk.clock.advance(timedelta(seconds=1))
    changed = books.patch(f"vendors({made['id']})", {"displayName": "B", "blocked": "All", "number": "T1"}).json()
    assert (changed["displayName"], changed["blocked"], changed["number"]) == ("B", "All", "T1")
    assert changed["city"] == "Hull"
    assert changed["lastModifiedDateTime"] > made["lastModifiedDateTime"]
    books.post("vendors", {"displayName": "C", "number": "T2"})
    answer = books.patch(f"vendors({made['id']})", {"displayName": "D", "number": "t2"})
    assert refused(answer) == (400, "Internal_EntityWithSameKeyExists")
    assert [row["displayName"] for row in books.rows("vendors")] == ["B", "C"]


def test_a_vendor_with_journal_lines_stays(books: Books):
    vendor = books.company.add_vendor("Target")
    line = books.line(accountType="Vendor", accountNumber=vendor.number)
    made = books.post(books.lines_of(), line)
    assert made.status_code == 201, made.text
    assert refused(books.delete(f"vendors({vendor.id})")) == (400, "Application_DialogException")
    books.journal.lines.clear()
    assert books.delete(f"vendors({vendor.id})").status_code == 204
    assert books.rows("vendors") == []


# Dimensions


def test_dimensions_and_their_values(books: Books):
    department, project = books.rows("dimensions", expand="dimensionValues")
    assert [(one["code"], one["displayName"]) for one in (department, project)] == [
        ("DEPARTMENT", "Department"),
        ("PROJECT", "Project"),
    ]
    assert [one["code"] for one in department["dimensionValues"]] == ["ADM", "SALES"]
    assert [row["code"] for row in books.rows(f"dimensions({project['id']})/dimensionValues")] == ["P1"]
    every = books.rows("dimensionValues", filter=f"dimensionId eq {department['id']}")
    assert [plain(row) for row in every] == [plain(row) for row in department["dimensionValues"]]
    assert [row["code"] for row in books.rows("dimensionValues")] == ["ADM", "SALES", "P1"]


def test_headings_and_blocked_values_look_like_others(books: Books):
    dimension = books.company.dimension("PROJECT")
    books.company.add_value(dimension, "P0", "All projects", kind="Heading")
    books.company.add_value(dimension, "P2", "", blocked=True)
    rows = books.rows(f"dimensions({dimension.id})/dimensionValues")
    assert [(row["code"], row["displayName"]) for row in rows] == [("P0", "All projects"), ("P1", "Bridge"), ("P2", "")]
    assert {tuple(plain(row)) for row in rows} == {("id", "code", "dimensionId", "displayName", "consolidationCode")}


def test_vendors_have_default_dimensions_and_accounts_do_not_show_theirs(books: Books):
    vendor, dimension = books.company.add_vendor("Target"), books.company.dimension("DEPARTMENT")
    value = dimension.values["ADM"]
    body = {"dimensionId": dimension.id, "dimensionValueId": value.id}
    account = books.company.account("61200")
    account.default_dimensions["DEPARTMENT"] = "SALES"
    for parent in (account.id, vendor.id):
        for_account = {"parentType": "G/L Account", "parentId": parent, **body}
        assert refused(books.post("defaultDimensions", for_account)) == (400, "Application_DialogException")
    made = books.post("defaultDimensions", {"parentType": "Vendor", "parentId": vendor.id, **body})
    assert (made.status_code, made.json()["dimensionValueCode"]) == (201, "ADM")
    again = books.post(f"vendors({vendor.id})/defaultDimensions", body)
    assert refused(again) == (400, "Internal_EntityWithSameKeyExists")
    (row,) = books.rows("defaultDimensions")
    assert (row["parentType"], row["parentId"], row["dimensionCode"]) == ("Vendor", vendor.id, "DEPARTMENT")
    assert books.rows(f"vendors({vendor.id})/defaultDimensions") == [row]


# Set-up


def test_a_company_has_one_of_each_set_up(books: Books):
    books.company.posting_from, books.company.posting_to = date(2026, 1, 1), date(2026, 12, 31)
    (setup,) = books.rows("generalLedgerSetup")
    assert (setup["allowPostingFrom"], setup["allowPostingTo"]) == ("2026-01-01", "2026-12-31")
    assert setup["localCurrencyCode"] == "USD"
    assert [setup[f"shortcutDimension{place}Code"] for place in (1, 2, 3)] == ["DEPARTMENT", "PROJECT", ""]
    (company,) = books.rows("companyInformation")
    assert (company["displayName"], company["currencyCode"]) == ("Acme LLC", "USD")
    assert books.get(f"companyInformation({company['id']})").json()["id"] == company["id"]


def test_accounting_periods_and_the_fiscal_year(books: Books):
    year = books.world.now().year
    books.company.add_period(date(year, 2, 1))
    books.company.add_period(date(year, 1, 1), new_fiscal_year=True, closed=True, date_locked=True)
    books.company.add_period(date(year + 1, 1, 1), new_fiscal_year=True)
    first, second, _ = books.rows("accountingPeriods")
    assert (first["startingDate"], first["closed"], first["dateLocked"]) == (f"{year}-01-01", True, True)
    assert (second["name"], second["newFiscalYear"]) == ("February", False)
    (company,) = books.rows("companyInformation")
    assert company["currentFiscalYearStartDate"] == f"{year}-01-01"


def test_tax_groups(books: Books):
    books.company.add_tax_group("VAT20", "Standard", rate="20", kind="VAT")
    books.company.add_tax_group("LABOR", "Labor on job")
    labor, vat = books.rows("taxGroups")
    assert (labor["code"], labor["displayName"], labor["taxType"]) == ("LABOR", "Labor on job", "Sales_x0020_Tax")
    assert (vat["code"], vat["taxType"]) == ("VAT20", "VAT")
    assert "rate" not in vat


def test_lists_can_be_read_together(books: Books):
    """As a connector does once per run."""
    names = ("journals", "accounts", "bankAccounts", "vendors", "dimensions", "generalLedgerSetup", "taxGroups")
    assert statuses(books.batch(*(books.operation("GET", name) for name in names))) == [200] * len(names)
