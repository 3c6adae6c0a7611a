import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import RecordRejected
from connectors.http import to_json
from connectors.records import Entry, Fate, Kind, Line, Party, Posted, Refused, Sent, Unknown
from connectors.xero import mapping

GOLDEN = Path(__file__).parent / "golden"
FUEL, OFFICE = "11111111-aaaa-4aaa-8aaa-000000000449", "11111111-aaaa-4aaa-8aaa-000000000453"
BANK, CONTACT = "22222222-bbbb-4bbb-8bbb-000000000001", "33333333-cccc-4ccc-8ccc-000000000001"
RECORD = "44444444-dddd-4ddd-8ddd-000000000001"


def entry(*lines: Line, **changes) -> Entry:
    lines = lines or (Line(Decimal("41.87"), FUEL, "Fuel, card 1234"),)
    facts = {
        "key": "PEXT90817263",
        "kind": Kind.PURCHASE,
        "amount": sum((line.amount for line in lines), Decimal()),
        "date": date(2026, 7, 3),
        "account": BANK,
        "party": Party(name="Shell"),
        "lines": lines,
        "url": "https://dashboard.pexcard.com/cards/77/detail?transaction=4410-PEXT90817263",
    }
    return Entry(**(facts | changes))


def golden(name: str) -> object:
    return json.loads((GOLDEN / f"{name}.json").read_text(), parse_float=Decimal)


def wire(wanted: Entry, tax: str = mapping.NO_TAX) -> object:
    return json.loads(to_json(mapping.bank_transaction(wanted, CONTACT, tax)), parse_float=Decimal)


def row(**changes) -> dict:
    facts = {
        "BankTransactionID": RECORD,
        "Type": "SPEND",
        "Status": "AUTHORISED",
        "Total": Decimal("41.87"),
        "Reference": "PEXT90817263",
        "Url": "https://dashboard.pexcard.com/cards/77/detail?transaction=4410-PEXT90817263",
        "Date": "/Date(1783036800000+0000)/",
        "BankAccount": {"AccountID": BANK},
    }
    return facts | changes


def sent(**changes) -> Sent:
    facts = {"key": "PEXT90817263", "amount": Decimal("41.87"), "date": date(2026, 7, 3), "account": BANK}
    return Sent(**(facts | changes))


def link(record_id: str) -> str:
    return f"link to {record_id}"


def fate(*rows: dict, covered: bool = True, **changes):
    return mapping.found(sent(**changes), rows, covered, link)


# --- entry -> BankTransaction


def test_a_purchase_is_spend_money():
    assert wire(entry()) == golden("spend_money")


def test_each_split_is_a_line():
    lines = (Line(Decimal("30.00"), FUEL, "Fuel"), Line(Decimal("11.87"), OFFICE, "Paper & “pens”"))

    assert wire(entry(*lines)) == golden("spend_money_split")


def test_a_refund_is_receive_money_with_positive_amounts():
    assert wire(entry(Line(Decimal("-15.50"), OFFICE, "Returned toner"))) == golden("receive_money_refund")


def test_a_split_against_the_total_is_a_negative_line():
    lines = (Line(Decimal("-20.00"), FUEL, "Deposit back"), Line(Decimal("4.50"), OFFICE, "Car wash"))

    assert wire(entry(*lines)) == golden("receive_money_mixed_signs")


def test_amounts_include_tax_where_the_setting_says_so():
    assert wire(entry(), mapping.INCLUSIVE) == golden("spend_money_tax_inclusive")


def test_money_leaves_as_the_very_digits():
    body = to_json(mapping.bank_transaction(entry(Line(Decimal("12345678901234.10"), FUEL, "")), CONTACT, "none"))

    assert b'"UnitAmount":12345678901234.10,' in body


def test_a_description_is_never_empty_and_never_too_long():
    nameless = wire(entry(Line(Decimal("1.00"), FUEL, " ")))
    remembered = wire(entry(Line(Decimal("1.00"), FUEL, ""), memo="Shell #12"))
    endless = wire(entry(Line(Decimal("1.00"), FUEL, "x" * 5000)))

    assert nameless["LineItems"][0]["Description"] == "PEX purchase"
    assert remembered["LineItems"][0]["Description"] == "Shell #12"
    assert len(endless["LineItems"][0]["Description"]) == 4000


def test_a_split_of_nought_is_left_out_since_xero_takes_none():
    lines = (Line(Decimal("41.87"), FUEL, "Fuel"), Line(Decimal("0.00"), OFFICE, "Nothing"))

    assert len(wire(entry(*lines))["LineItems"]) == 1


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (entry(amount=Decimal("41.88")), "do not add up"),
        (entry(Line(Decimal("5"), FUEL, ""), Line(Decimal("-5"), OFFICE, "")), "nought"),
        (entry(Line(Decimal("1.005"), FUEL, "")), "fractions of a cent"),
    ],
)
def test_money_that_xero_would_change_is_refused_before_it_is_sent(wanted, says):
    with pytest.raises(RecordRejected, match=says):
        mapping.bank_transaction(wanted, CONTACT, mapping.NO_TAX)


# --- what became of it


def ok(key: str, **changes) -> dict:
    facts = {"Reference": key, "BankTransactionID": RECORD, "StatusAttributeString": "OK", "Total": Decimal("41.87")}
    return facts | changes


def bad(key: str, **changes) -> dict:
    facts = {
        "Reference": key,
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": "Account must be valid."}],
    }
    return facts | changes


def test_elements_are_told_apart_by_reference_in_any_order():
    answers = mapping.paired(["PEXT1", "PEXT2"], [ok("PEXT2"), ok(" pext1 ")])

    assert answers["PEXT1"]["Reference"] == " pext1 "
    assert answers["PEXT2"]["Reference"] == "PEXT2"


def test_an_element_that_two_references_claim_speaks_of_nobody():
    assert mapping.paired(["PEXT1", "PEXT2"], [ok("PEXT1"), ok("PEXT1")]) == {}


def test_a_refusal_without_a_reference_counts_by_its_place():
    answers = mapping.paired(["PEXT1", "PEXT2"], [ok("PEXT1"), bad("")])

    assert answers["PEXT2"]["StatusAttributeString"] == "ERROR"


def test_a_success_without_a_reference_is_nobodys():
    assert "PEXT2" not in mapping.paired(["PEXT1", "PEXT2"], [ok("PEXT1"), ok("")])


def test_a_place_counts_for_nothing_once_the_order_is_broken():
    assert set(mapping.paired(["PEXT1", "PEXT2", "PEXT3"], [ok("PEXT3"), bad(""), ok("PEXT1")])) == {"PEXT1", "PEXT3"}


def test_an_accepted_element_is_posted_with_its_link():
    assert mapping.outcome(entry(), ok("PEXT90817263"), link) == Posted(RECORD, f"link to {RECORD}")


@pytest.mark.parametrize("record_id", [{}, {"BankTransactionID": mapping.NOBODY}, {"BankTransactionID": RECORD}])
def test_a_refused_element_is_refused_whatever_id_it_carries(record_id):
    assert isinstance(mapping.outcome(entry(), bad("PEXT90817263", **record_id), link), Refused)


@pytest.mark.parametrize(
    "nest",
    [
        {"LineItems": [{"ValidationErrors": [{"Message": "Account code '999' has been archived"}]}]},
        {"Contact": {"ValidationErrors": [{"Description": "Account code '999' has been archived"}]}},
        {"BankAccount": {"ValidationErrors": [{"Message": "Account code '999' has been archived"}]}},
    ],
)
def test_a_reason_is_found_where_it_is_nested(nest):
    outcome = mapping.outcome(entry(), bad("PEXT90817263", ValidationErrors=[], **nest), link)

    assert isinstance(outcome, Refused)
    assert outcome.cause == "account_archived"
    assert outcome.field == "account"


@pytest.mark.parametrize(
    "element",
    [
        ok("PEXT90817263", BankTransactionID=mapping.NOBODY),
        {"Reference": "PEXT90817263"},
        ok("PEXT90817263", LineItems=[{"ValidationErrors": [{"Message": "Account must be valid."}]}]),
    ],
)
def test_an_element_that_contradicts_itself_leaves_the_row_in_doubt(element):
    assert isinstance(mapping.outcome(entry(), element, link), Unknown)


def test_a_warning_of_xero_is_shown_beside_the_posted_row():
    warned = ok("PEXT90817263", StatusAttributeString="WARNING", Warnings=[{"Message": "Looks like a duplicate."}])

    assert mapping.outcome(entry(), warned, link).says == "Looks like a duplicate."


def test_another_total_is_posted_and_said():
    outcome = mapping.outcome(entry(), ok("PEXT90817263", Total=Decimal("41.86")), link)

    assert isinstance(outcome, Posted)
    assert "41.86 instead of 41.87" in outcome.says


def test_another_currency_is_posted_and_said():
    assert "in EUR, not in USD" in mapping.outcome(entry(), ok("PEXT90817263", CurrencyCode="EUR"), link).says


def test_all_messages_are_shown_each_once():
    refused = mapping.refusal(["The moon is full.", "Account must be valid.", "The moon is full."])

    assert refused.says.count("The moon is full.") == 1
    assert "not in Xero any more" in refused.says
    assert refused.cause == "account"


def test_an_unknown_message_is_shown_as_it_came():
    assert mapping.refusal(["The moon is full."]) == Refused("The moon is full.")


@pytest.mark.parametrize(
    ("message", "cause", "field"),
    [
        (
            "The document date cannot be before the period lock date, currently set at 30-Nov-2018",
            "closed_period",
            "",
        ),
        (
            "The document date cannot be before the end of year lock date, currently set at 31-Dec-2018",
            "closed_period",
            "",
        ),
        ("Account code '999' is not a valid code for this document.", "account", "account"),
        ("Account code '999' has been archived", "account_archived", "account"),
        ("PEX Cash bank account is archived and cannot be used", "bank_account", "pex_account"),
        ("The TaxType code 'X' cannot be used with account code '429'.", "tax", "tax"),
        ("The contact is archived and cannot be used.", "contact_archived", "party"),
        ("A Contact must be specified for this type of transaction", "contact", "party"),
        ("Organisation is not subscribed to currency USD", "currency", "pex_account"),
    ],
)
def test_a_known_message_says_what_to_do_and_where(message, cause, field):
    refused = mapping.refusal([message.upper()])

    assert (refused.cause, refused.field) == (cause, field)
    assert refused.says.endswith(".")


# --- BankTransaction -> our records


def test_one_equal_record_is_live():
    found = fate(row())

    assert (found.fate, found.record_id, found.link, found.says) == (Fate.LIVE, RECORD, f"link to {RECORD}", "")


def test_a_deleted_record_is_dead_and_none_is_absent():
    assert fate(row(Status="DELETED")).fate is Fate.DEAD
    assert fate(row(Status="VOIDED")).fate is Fate.DEAD
    assert fate().fate is Fate.ABSENT


def test_a_dead_record_of_an_earlier_generation_is_no_news():
    assert fate(row(Status="DELETED", Url=""), key="PEXT90817263-2", earlier=("PEXT90817263",)).fate is Fate.ABSENT


def test_a_dead_record_is_known_by_its_number_too():
    stripped = row(Status="DELETED", Reference="Taxi", Url="")

    assert fate(stripped, record_id=RECORD.upper()).fate is Fate.DEAD


def test_nothing_is_said_of_what_was_not_covered():
    assert fate(covered=False).fate is Fate.UNSEEN
    assert fate(row(Status="DELETED"), covered=False).fate is Fate.UNSEEN
    assert fate(row(), covered=False).fate is Fate.LIVE


def test_two_live_records_are_doubled():
    found = fate(row(), row(BankTransactionID="other"))

    assert found.fate is Fate.DOUBLED
    assert "2 times" in found.says


def test_a_dead_and_a_live_record_are_one_live_record():
    assert fate(row(Status="DELETED"), row(BankTransactionID="other")).record_id == "other"


def test_two_records_that_add_up_are_live_and_said():
    found = fate(row(Total=Decimal("40.00")), row(BankTransactionID="other", Total=Decimal("1.87")))

    assert found.fate is Fate.LIVE
    assert "2 records" in found.says


def test_records_that_cancel_each_other_are_dead():
    assert fate(row(), row(BankTransactionID="other", Type="RECEIVE")).fate is Fate.DEAD


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Total": Decimal("14.87")}, "14.87 instead of 41.87"),
        ({"Type": "RECEIVE"}, "-41.87 instead of 41.87"),
        ({"Date": "/Date(1783123200000)/"}, "2026-07-04 instead of 2026-07-03"),
        ({"BankAccount": {"AccountID": OFFICE}}, "another bank account"),
    ],
)
def test_a_live_record_that_differs_is_doubtful(change, says):
    found = fate(row(**change))

    assert found.fate is Fate.DOUBTFUL
    assert says in found.says


def test_what_the_ledger_does_not_know_is_not_compared():
    assert fate(row(), date=None, account="").fate is Fate.LIVE


def test_ids_are_compared_without_case():
    assert fate(row(BankAccount={"AccountID": BANK.upper()})).fate is Fate.LIVE


def test_a_changed_reference_is_said_of_a_live_record():
    found = fate(row(Reference="Taxi to airport"))

    assert found.fate is Fate.LIVE
    assert "“Taxi to airport”" in found.says


def test_a_record_of_an_earlier_generation_is_nothing_strange():
    assert fate(row(), key="PEXT90817263-2", earlier=("PEXT90817263",)).says == ""


def test_a_key_stands_in_the_reference_and_in_the_address():
    assert mapping.keys_of(row(Reference="", Url="https://x/cards/7/detail?transaction=4410-PEXT5-2")) == {"pext5-2"}
    assert mapping.keys_of(row(Reference=" pext7 ", Url="")) == {"pext7"}
    assert mapping.keys_of({"BankTransactionID": RECORD}) == set()


def test_a_book_record_is_signed_our_way():
    record = mapping.book_record(row(Type="RECEIVE", Contact={"Name": "Shell"}), "link")

    assert (record.amount, record.date, record.party) == (Decimal("-41.87"), date(2026, 7, 3), "Shell")


# --- settings and notation


def test_both_forms_of_their_dates_are_read():
    moment = datetime(2022, 8, 24, 16, 36, 10, 477000, tzinfo=UTC)

    assert mapping.instant("/Date(1661358970477+0000)/") == moment
    assert mapping.instant("/Date(1661358970477)/") == moment
    assert mapping.instant("2022-08-24T16:36:10.477") == moment
    assert mapping.day({"Date": "/Date(0)/", "DateString": "2022-05-24 00:00:00"}, "Date") == date(2022, 5, 24)


def test_the_later_lock_date_counts():
    organisation = {"PeriodLockDate": "/Date(1775001600000+0000)/", "EndOfYearLockDate": "/Date(1767139200000+0000)/"}

    assert mapping.closed_until(organisation) == date(2026, 4, 1)
    assert mapping.closed_until({}) is None


@pytest.mark.parametrize(
    ("one", "other"), [("Café Zoë", "CAFE ZOE"), ("Joe's  Hardware ", "joe's hardware"), ("Straße", "STRASSE")]
)
def test_contacts_are_one_whatever_case_accents_and_spaces(one, other):
    assert mapping.contact_key(one) == mapping.contact_key(other)


def test_a_contact_name_is_cut_at_255_letters():
    assert len(mapping.contact_name("Very long  name " * 30)) <= 255


def test_the_link_names_organisation_and_record():
    assert mapping.deep_link("https://go.xero.com", "!FR6KJ", RECORD) == (
        "https://go.xero.com/organisationlogin/default.aspx?shortcode=%21FR6KJ"
        f"&redirecturl=/Bank/ViewTransaction.aspx?bankTransactionID={RECORD}"
    )


@pytest.mark.parametrize(
    "typed",
    [
        "5A2B7C1D-0e4f-4a6b-8c9d-1e2f3a4b5c6d",
        "  5a2b7c1d-0e4f-4a6b-8c9d-1e2f3a4b5c6d. ",
        "https://go.xero.com/Bank/ViewTransaction.aspx?bankTransactionID=5A2B7C1D-0E4F-4A6B-8C9D-1E2F3A4B5C6D&x=1",
        "https://go.xero.com/organisationlogin/default.aspx?shortcode=!23vYZ&redirecturl=%2FBank%2FViewTransaction.aspx"
        "%3FbankTransactionID%3D5a2b7c1d-0e4f-4a6b-8c9d-1e2f3a4b5c6d",
        "https://x.example/00000000-0000-4000-8000-000000000001/view/5a2b7c1d-0e4f-4a6b-8c9d-1e2f3a4b5c6d",
    ],
)
def test_a_record_is_named_by_its_id_or_by_the_address_of_its_page(typed):
    assert mapping.record_id(typed) == "5a2b7c1d-0e4f-4a6b-8c9d-1e2f3a4b5c6d"


@pytest.mark.parametrize("typed", ["", "4711", "PEXT1001", "5a2b7c1d-0e4f-4a6b-8c9d", "../../etc", "f" * 8 + "-0" * 4])
def test_what_holds_no_id_names_no_record(typed):
    assert mapping.record_id(typed) == ""
