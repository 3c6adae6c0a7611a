"""Writing bank transactions into the simulated Xero: what it takes, what it refuses and in which words."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books, parsed

ZERO_ID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def test_a_purchase_is_stored_as_sent_and_answered_with_ids(books: Books):
    answer = books.accepted(books.spend(Url="https://pex.example/t/1"))
    (stored,) = books.organisation.live()
    assert answer["BankTransactionID"] == stored.id
    assert (stored.type, stored.reference, stored.url) == ("SPEND", "PEX-1", "https://pex.example/t/1")
    assert (stored.total, stored.date, stored.status) == (Decimal("41.87"), date(2026, 7, 3), "AUTHORISED")
    assert stored.contact is books.organisation.contact("Shell")
    assert answer["LineItems"][0]["AccountID"] == books.organisation.account("449").id
    assert answer["LineItems"][0]["TaxType"] == "NONE"
    assert "HasAttachments" not in answer
    assert "StatusAttributeString" not in answer


def test_numbers_may_be_strings_and_dates_microsofts(books: Books):
    element = books.spend(Date="/Date(1783036800000+0000)/", line={"UnitAmount": "41.87", "Quantity": "1"})
    assert books.accepted(element)["DateString"] == "2026-07-03T00:00:00"


def test_a_single_record_needs_no_list_around_it(books: Books):
    assert books.call("PUT", "BankTransactions", json=books.spend()).status_code == 200
    assert books.call("PUT", "BankTransactions", json=[books.spend()]).status_code == 200
    assert len(books.organisation.live()) == 2


def test_without_a_date_it_is_today_in_the_organisations_zone(books: Books):
    assert books.accepted(books.spend(Date=None))["DateString"][:10] == str(books.organisation.today())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Contact": None}, "A Contact must be specified for this type of transaction"),
        (
            {"Contact": {}},
            "The Contact must contain at least 1 of the following elements to identify the contact: "
            "Name, ContactID, ContactNumber",
        ),
        ({"BankAccount": None}, "A bank account must be specified for this type of transaction"),
        ({"BankAccount": {"Code": "449"}}, "The bank account must be a valid account of type BANK"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"Url": "/t/1"}, "Url must be a valid absolute url"),
        ({"Reference": "x" * 256}, "Reference is too long. Maximum of 255 characters allowed"),
        ({"CurrencyCode": "EUR"}, "Organisation is not subscribed to currency EUR"),
        ({"Type": "SPEND-TRANSFER"}, "The Type 'SPEND-TRANSFER' is not valid for this document."),
        ({"line": {"Description": ""}}, "Description is a mandatory field for a line item"),
        ({"line": {"Description": "x" * 4001}}, "Description is too long. Maximum of 4000 characters allowed"),
        (
            {"line": {"Quantity": -1}},
            "The quantity value '-1' is invalid. Quantity must not be less than zero.",
        ),
        ({"line": {"UnitAmount": 0}}, "The unit amount of a line item must not be zero"),
        ({"line": {"UnitAmount": -5}}, "The total of the document must be greater than zero"),
        ({"line": {"AccountCode": "999"}}, "Account code '999' is not a valid code for this document."),
        ({"line": {"AccountCode": "090"}}, "Account code '090' is not a valid code for this document."),
        ({"line": {"AccountCode": None}}, "Account must be valid."),
        ({"line": {"AccountCode": None, "AccountID": ZERO_ID}}, "Account must be valid."),
        (
            {"line": {"LineAmount": "40.00"}},
            "The line total 40.00 does not match the expected line total 41.87",
        ),
    ],
)
def test_xero_says_why_it_refuses(books: Books, change: dict[str, Any], message: str):
    assert message in books.refusals(books.spend(**change))


def test_archived_and_system_accounts_are_refused_in_different_words(books: Books):
    books.organisation.add_account("499", "Old", status="ARCHIVED")
    books.organisation.add_account("610", "Accounts Receivable", "CURRENT", system_account="DEBTORS")
    books.organisation.add_account("860", "Rounding", "CURRLIAB", system_account="ROUNDING")
    assert books.refusals(books.spend(line={"AccountCode": "499"})) == ["Account code '499' has been archived."]
    assert "not a valid code" in books.refusals(books.spend(line={"AccountCode": "610"}))[0]
    books.accepted(books.spend(line={"AccountCode": "860"}))


def test_an_archived_bank_account_is_refused(books: Books):
    books.organisation.change_account(books.organisation.account("PEX Cash Account"), status="ARCHIVED")
    assert books.refusals(books.spend()) == ["PEX Cash Account bank account is archived and cannot be used"]


def test_the_account_may_be_named_by_its_id(books: Books):
    account = books.organisation.account("400")
    answer = books.accepted(books.spend(line={"AccountCode": None, "AccountID": account.id.upper()}))
    assert answer["LineItems"][0]["AccountCode"] == "400"


def test_a_long_reference_may_be_cut_instead(books: Books):
    books.world.switches.reference_mode = "cut"
    assert books.accepted(books.spend(Reference="x" * 300))["Reference"] == "x" * 255


def test_all_reasons_are_told_at_once(books: Books):
    messages = books.refusals(books.spend(Contact=None, Url="nowhere", line={"Description": ""}))
    assert len(messages) == 3


def test_a_refused_element_echoes_what_it_resolved_to(books: Books):
    answer = parsed(books.put("BankTransactions", books.spend(Contact=None)))["Elements"][0]
    assert answer["BankTransactionID"] == ZERO_ID
    assert answer["BankAccount"]["Name"] == "PEX Cash Account"
    assert answer["LineItems"][0]["AccountID"] == books.organisation.account("449").id
    assert (answer["Total"], answer["CurrencyCode"]) == (Decimal("41.87"), "USD")


# Locks and reconciliation


@pytest.mark.parametrize(("day", "closed"), [("2026-06-29", True), ("2026-06-30", True), ("2026-07-01", False)])
def test_a_lock_date_closes_its_own_day_too(books: Books, day: str, closed: bool):
    books.organisation.period_lock_date = date(2026, 6, 30)
    element = books.spend(Date=day)
    message = "The document date cannot be before the period lock date, currently set at 30-Jun-2026"
    if closed:
        assert books.refusals(element) == [message]
    else:
        books.accepted(element)


def test_the_end_of_year_lock_has_its_own_words(books: Books):
    books.organisation.period_lock_date = date(2026, 9, 30)
    books.organisation.end_of_year_lock_date = date(2026, 8, 5)
    assert books.refusals(books.spend()) == [
        "The document date cannot be before the end of year lock date, currently set at 05-Aug-2026"
    ]


def test_a_reconciled_transaction_refuses_an_edit_under_a_200(books: Books):
    id = books.accepted(books.spend())["BankTransactionID"]
    books.organisation.reconcile(id)
    answer = books.post("BankTransactions", {"BankTransactionID": id, "Reference": "new"})
    assert answer.status_code == 200
    (element,) = answer.json()["BankTransactions"]
    assert element["StatusAttributeString"] == "ERROR"
    assert "cannot be edited as it has been reconciled" in element["ValidationErrors"][0]["Message"]
    assert books.organisation.bank_transactions[id].reference == "PEX-1"


@pytest.mark.parametrize("change", [{"Status": "DELETED"}, {"Reference": "new"}])
def test_a_locked_transaction_is_neither_edited_nor_deleted(books: Books, change: dict[str, str]):
    id = books.accepted(books.spend())["BankTransactionID"]
    books.organisation.end_of_year_lock_date = date(2026, 7, 31)
    (element,) = books.post("BankTransactions", {"BankTransactionID": id, **change}).json()["BankTransactions"]
    assert element["ValidationErrors"] == [
        {"Message": "The document cannot be edited as it is currently dated before the end of year lock date"}
    ]
    assert books.organisation.bank_transactions[id].status == "AUTHORISED"


# Verbs


def test_put_only_creates_and_post_updates_or_creates(books: Books):
    id = books.accepted(books.spend())["BankTransactionID"]
    books.accepted(books.spend(BankTransactionID=id, Reference="PEX-2"))
    assert len(books.organisation.live()) == 2
    changed = books.spend(BankTransactionID=id, Reference="PEX-3", line={"UnitAmount": "50.00"})
    assert books.post("BankTransactions", changed).status_code == 200
    assert books.post("BankTransactions", books.spend(Reference="PEX-4")).status_code == 200
    assert [one.reference for one in books.organisation.live()] == ["PEX-3", "PEX-2", "PEX-4"]
    assert books.organisation.bank_transactions[id].total == Decimal("50.00")


def test_an_update_keeps_named_lines_and_replaces_the_others(books: Books):
    first = books.accepted(books.spend())
    line = first["LineItems"][0]
    kept = {"LineItemID": line["LineItemID"], "Description": "Fuel", "UnitAmount": "20.00", "AccountCode": "449"}
    added = {"Description": "Car wash", "UnitAmount": "21.87", "AccountCode": "449"}
    body = {"BankTransactions": [{**books.spend(), "LineItems": [kept, added]}]}
    answer = books.call("POST", f"BankTransactions/{first['BankTransactionID']}", json=body)
    lines = answer.json()["BankTransactions"][0]["LineItems"]
    assert lines[0]["LineItemID"] == line["LineItemID"]
    assert lines[1]["LineItemID"] != line["LineItemID"]


def test_deleting_is_a_post_and_a_second_time_an_error(books: Books):
    id = books.accepted(books.spend())["BankTransactionID"]
    element = {"BankTransactionID": id, "Status": "DELETED"}
    assert books.post("BankTransactions", element).json()["BankTransactions"][0]["Status"] == "DELETED"
    again = books.post("BankTransactions", element).json()["BankTransactions"][0]
    assert again["StatusAttributeString"] == "ERROR"
    assert books.organisation.live() == []
    assert books.records("BankTransactions", page=1)[0]["Status"] == "DELETED"


def test_an_id_nobody_has_is_404_in_the_path_and_an_error_in_the_body(books: Books):
    assert books.call("POST", f"BankTransactions/{ZERO_ID}", json=books.spend()).status_code == 404
    answer = books.post("BankTransactions", books.spend(BankTransactionID=ZERO_ID))
    assert answer.json()["Elements"][0]["ValidationErrors"] == [{"Message": "The bank transaction could not be found"}]


# Batches


def test_one_bad_element_refuses_the_whole_call_and_saves_nothing_not_even_contacts(books: Books):
    answer = books.put("BankTransactions", books.spend(Contact={"Name": "Brand new"}), books.spend(Contact=None))
    assert answer.status_code == 400
    assert len(answer.json()["Elements"]) == 1
    assert books.organisation.live() == []
    assert books.organisation.active_contact("Brand new") is None


MIXED = "?summarizeErrors=false"


def mixed(books: Books) -> list[dict[str, Any]]:
    answer = books.put("BankTransactions", books.spend(), books.spend(line={"AccountCode": "999"}), query=MIXED)
    assert answer.status_code == 200
    return answer.json()["BankTransactions"]


def test_summarize_errors_false_saves_the_good_and_marks_the_bad(books: Books):
    good, bad = mixed(books)
    assert (good["StatusAttributeString"], bad["StatusAttributeString"]) == ("OK", "ERROR")
    assert bad["BankTransactionID"] == ZERO_ID
    assert bad["Reference"] == "PEX-1"
    assert len(books.organisation.live()) == 1


def test_false_may_be_written_as_the_sdk_writes_it(books: Books):
    assert books.put("BankTransactions", {}, query="?summarizeErrors=False").status_code == 200


def test_a_refused_element_may_carry_no_id_or_one_that_looks_real(books: Books):
    books.world.switches.failed_id = "none"
    assert "BankTransactionID" not in mixed(books)[1]
    books.world.switches.failed_id = "real"
    id = mixed(books)[1]["BankTransactionID"]
    assert id != ZERO_ID
    assert books.get(f"BankTransactions/{id}").status_code == 404


def test_the_reason_may_stand_only_in_the_line(books: Books):
    books.world.switches.failed_errors = "nested"
    bad = mixed(books)[1]
    assert bad["ValidationErrors"] == []
    assert "not a valid code" in bad["LineItems"][0]["ValidationErrors"][0]["Message"]


def test_an_element_may_be_saved_with_a_warning(books: Books):
    books.world.switches.warned_elements = 1
    answer = books.put("BankTransactions", books.spend(), books.spend(Reference="PEX-2"), query=MIXED)
    first, second = answer.json()["BankTransactions"]
    assert (first["StatusAttributeString"], len(first["Warnings"])) == ("WARNING", 1)
    assert second["StatusAttributeString"] == "OK"
    assert len(books.organisation.live()) == 2


def test_answers_may_come_in_another_order(books: Books):
    books.world.switches.shuffled = True
    elements = [books.spend(Reference=f"PEX-{number}") for number in range(4)]
    answer = books.put("BankTransactions", *elements).json()["BankTransactions"]
    assert [one["Reference"] for one in answer] == ["PEX-2", "PEX-3", "PEX-0", "PEX-1"]


def test_a_batch_takes_its_time(books: Books):
    books.world.switches.seconds_per_element = 0.05
    answer = books.put("BankTransactions", *[books.spend() for _ in range(4)])
    assert answer.elapsed.total_seconds() >= 0.2


# Tax


@pytest.mark.parametrize(
    ("amount_types", "sub_total", "tax", "total"),
    [
        ("Inclusive", "38.68", "3.19", "41.87"),
        ("Exclusive", "41.87", "3.45", "45.32"),
        ("NoTax", "41.87", "0.00", "41.87"),
    ],
)
def test_tax_is_inside_on_top_or_absent(books: Books, amount_types: str, sub_total: str, tax: str, total: str):
    books.organisation.add_tax_rate("Tax on Purchases", "INPUT", "8.25")
    answer = books.accepted(books.spend(LineAmountTypes=amount_types, line={"TaxType": "INPUT"}))
    assert (answer["SubTotal"], answer["TotalTax"], answer["Total"]) == (
        Decimal(sub_total),
        Decimal(tax),
        Decimal(total),
    )


def test_the_default_of_line_amount_types_is_a_switch(books: Books):
    assert books.accepted(books.spend(LineAmountTypes=None))["LineAmountTypes"] == "Exclusive"
    books.world.switches.line_amount_types = "Inclusive"
    assert books.accepted(books.spend(LineAmountTypes=None))["LineAmountTypes"] == "Inclusive"


def test_tax_is_rounded_half_up_on_each_line(books: Books):
    books.organisation.add_tax_rate("Five", "INPUT", "5")
    line = {"Description": "Pen", "UnitAmount": "0.10", "AccountCode": "449", "TaxType": "INPUT"}
    answer = books.accepted(books.spend(LineAmountTypes="Exclusive", LineItems=[line, line]))
    assert answer["TotalTax"] == Decimal("0.02")


def test_an_account_brings_its_own_tax_type(books: Books):
    books.organisation.add_tax_rate("Ten", "INPUT2", "10")
    books.organisation.change_account(books.organisation.account("449"), tax_type="INPUT2")
    answer = books.accepted(books.spend(LineAmountTypes="Inclusive"))
    assert answer["LineItems"][0]["TaxType"] == "INPUT2"
    books.organisation.change_account(books.organisation.account("449"), tax_type="")
    assert books.refusals(books.spend(LineAmountTypes="Inclusive")) == ["The TaxType field is mandatory"]


@pytest.mark.parametrize(
    ("tax_type", "message"),
    [
        ("NOPE", "The TaxType code 'NOPE' does not exist or cannot be used for this type of transaction."),
        ("OUTPUT", "The TaxType code 'OUTPUT' cannot be used with account code '449'."),
        ("GONE", "Tax rate must be valid."),
    ],
)
def test_tax_types_that_do_not_fit(books: Books, tax_type: str, message: str):
    books.organisation.add_tax_rate("Tax on Sales", "OUTPUT", "8", classes=("REVENUE",))
    books.organisation.add_tax_rate("Gone", "GONE", "8", status="DELETED")
    assert books.refusals(books.spend(LineAmountTypes="Inclusive", line={"TaxType": tax_type})) == [message]


def test_four_decimals_need_unitdp(books: Books):
    line = {"UnitAmount": "0.1234", "Quantity": 100}
    assert books.accepted(books.spend(line=line))["Total"] == Decimal("12.00")
    answer = books.accepted(books.spend(line=line), query="?unitdp=4")
    assert (answer["Total"], str(answer["LineItems"][0]["UnitAmount"])) == (Decimal("12.34"), "0.1234")
    assert str(books.records(f"BankTransactions/{answer['BankTransactionID']}")[0]["LineItems"][0]["UnitAmount"]) == (
        "0.12"
    )


# Currency


def test_the_document_has_its_accounts_currency(books: Books):
    euro = books.organisation.add_bank_account("Euro account", "EUR")
    answer = books.accepted(books.spend(BankAccount={"AccountID": euro.id}))
    assert (answer["CurrencyCode"], str(answer["CurrencyRate"])) == ("EUR", "1.000000")
    assert "does not match the currency of the bank account" in books.refusals(books.spend(CurrencyCode="EUR"))[0]
    del books.organisation.currencies["EUR"]
    refused = books.refusals(books.spend(BankAccount={"AccountID": euro.id}))
    assert refused == ["Organisation is not subscribed to currency EUR"]


# Tracking


def tracked(books: Books, *values: dict[str, str]) -> dict[str, Any]:
    return books.spend(line={"Tracking": list(values)})


def test_tracking_is_found_by_ids_or_by_names(books: Books):
    region = books.organisation.add_tracking("Region", ["North", "South"])
    ids = {"TrackingCategoryID": region.id, "TrackingOptionID": region.options[1].id}
    assert books.accepted(tracked(books, ids))["LineItems"][0]["Tracking"][0]["Option"] == "South"
    names = {"Name": "Region", "Option": "North"}
    (value,) = books.accepted(tracked(books, names))["LineItems"][0]["Tracking"]
    assert value["TrackingOptionID"] == region.options[0].id


def test_unknown_and_archived_options_vanish_silently_unless_xero_warns_or_refuses(books: Books):
    region = books.organisation.add_tracking("Region", ["North"])
    element = tracked(books, {"Name": "Region", "Option": "East"})
    assert books.accepted(element)["LineItems"][0]["Tracking"] == []
    books.organisation.change_tracking(region.options[0], status="ARCHIVED")
    element = tracked(books, {"Name": "Region", "Option": "North"})
    assert books.accepted(element)["LineItems"][0]["Tracking"] == []
    books.world.switches.tracking = "warn"
    answer = books.accepted(element, query=MIXED)
    assert (answer["StatusAttributeString"], len(answer["Warnings"])) == ("WARNING", 1)
    books.world.switches.tracking = "refuse"
    assert books.refusals(element) == ["The tracking category or option does not exist or is archived"]


def test_a_line_carries_at_most_two_categories(books: Books):
    for name in ("Region", "Project", "Third"):
        books.organisation.add_tracking(name, ["One"])
    values = [{"Name": name, "Option": "One"} for name in ("Region", "Project", "Third")]
    assert books.refusals(tracked(books, *values)) == [
        "A line item can have at most one option of each of two tracking categories"
    ]


# Contacts inside documents


def test_a_name_finds_its_contact_without_case_and_accents_or_makes_a_new_one(books: Books):
    cafe = books.organisation.add_contact("Café Zoë")
    assert books.accepted(books.spend(Contact={"Name": "CAFE ZOE"}))["Contact"]["ContactID"] == cafe.id
    made = books.accepted(books.spend(Contact={"Name": "Brand new"}))["Contact"]["ContactID"]
    assert books.organisation.contacts[made].name == "Brand new"


@pytest.mark.parametrize(("mode", "made"), [("once", 1), ("twice", 2)])
def test_two_equal_new_names_in_one_batch_are_made_once_or_twice(books: Books, mode: Any, made: int):
    books.world.switches.nested_contacts = mode
    books.put("BankTransactions", *[books.spend(Contact={"Name": "Brand new"}) for _ in range(2)])
    assert len([one for one in books.organisation.contacts.values() if one.name == "Brand new"]) == made


def test_members_beside_a_contact_id_change_the_contact(books: Books):
    contact = books.organisation.add_contact("Shell")
    sent = {"ContactID": contact.id, "Name": "Shell Oil", "HasValidationErrors": False}
    books.accepted(books.spend(Contact=sent))
    assert contact.name == "Shell Oil"


def test_archived_contacts_cannot_be_used(books: Books):
    contact = books.organisation.add_contact("Gone", status="ARCHIVED")
    assert books.refusals(books.spend(Contact={"ContactID": contact.id})) == [
        "The contact is archived and cannot be used."
    ]
    assert books.accepted(books.spend(Contact={"Name": "Gone"}))["Contact"]["ContactID"] != contact.id


def test_a_new_contact_named_like_an_archived_one_may_be_refused(books: Books):
    books.organisation.add_contact("Gone", status="ARCHIVED")
    books.world.switches.archived_names = "refuse"
    assert books.refusals(books.spend(Contact={"Name": "Gone"})) == ["The contact is archived and cannot be used."]


# What people do


def test_what_a_person_does_shows_in_the_next_read(books: Books):
    one = books.organisation.post_by_hand("CHK-1", "12.50", contact="Landlord")
    assert books.records("BankTransactions", page=1)[0]["Total"] == Decimal("12.50")
    books.organisation.edit(one.id, reference="CHK-2", amount="13")
    books.organisation.change_contact(books.organisation.contact("Landlord"), name="Meridian")
    (row,) = books.records("BankTransactions", page=1)
    assert (row["Reference"], row["Total"], row["Contact"]["Name"]) == ("CHK-2", Decimal("13.00"), "Meridian")
    books.organisation.void(one.id)
    assert books.records("BankTransactions", page=1)[0]["Status"] == "DELETED"


def test_history_is_kept_and_takes_notes(books: Books):
    id = books.accepted(books.spend())["BankTransactionID"]
    body = {"HistoryRecords": [{"Details": "Receipt follows"}]}
    added = books.call("PUT", f"BankTransactions/{id}/History", json=body)
    assert added.json()["HistoryRecords"][0]["Details"] == "Receipt follows"
    kept = books.call("GET", f"BankTransactions/{id}/History").json()["HistoryRecords"]
    assert [one["Changes"] for one in kept] == ["Note", "Created"]
    long = {"HistoryRecords": [{"Details": "x" * 2501}]}
    assert books.call("PUT", f"BankTransactions/{id}/History", json=long).status_code == 400
