import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import RecordRejected
from connectors.http import to_json
from connectors.records import Entry, Fate, Kind, Line, Party, Posted, Refused, Sent, Unknown
from connectors.xero import mapping
from connectors.xero.mapping import Resource

GOLDEN = Path(__file__).parent / "golden"
FUEL, OFFICE = "11111111-aaaa-4aaa-8aaa-000000000449", "11111111-aaaa-4aaa-8aaa-000000000453"
BANK, CONTACT = "22222222-bbbb-4bbb-8bbb-000000000001", "33333333-cccc-4ccc-8ccc-000000000001"
RECORD = "44444444-dddd-4ddd-8ddd-000000000001"
SAVINGS = "22222222-bbbb-4bbb-8bbb-000000000002"
REGION, WEST, EAST = (f"55555555-eeee-4eee-8eee-00000000000{number}" for number in (1, 2, 3))
TEAM, BLUE = (f"66666666-ffff-4fff-8fff-00000000000{number}" for number in (1, 2))


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


def link(resource: Resource, record_id: str) -> str:
    return f"link to {resource} {record_id}"


def fate(*rows: dict, covered: bool = True, **changes):
    records = [mapping.transfer_record(row) if "Amount" in row else mapping.transaction_record(row) for row in rows]
    return mapping.found(sent(**changes), records, covered, link)


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


@pytest.mark.parametrize(
    ("kind", "amount", "name"),
    [
        (Kind.FEE, "3.00", "fee"),
        (Kind.FEE, "-3.00", "fee_reversal"),
        (Kind.REBATE, "-12.34", "rebate"),
        (Kind.REBATE, "12.34", "rebate_reversal"),
    ],
)
def test_fees_and_rebates_are_spent_or_received_by_their_sign(kind, amount, name):
    wanted = entry(Line(Decimal(amount), OFFICE, f"PEX {kind.label}"), kind=kind, party=Party(id=CONTACT))

    assert wire(wanted) == golden(name)


@pytest.mark.parametrize(
    ("kind", "amount", "name"),
    [
        (Kind.TRANSFER, "-500.00", "transfer_in"),
        (Kind.TRANSFER, "120.50", "transfer_out"),
        (Kind.BILL_PAYMENT, "-1999.99", "bill_payment"),
        (Kind.BILL_PAYMENT, "1999.99", "bill_payment_reversal"),
    ],
)
def test_money_between_banks_is_a_transfer_by_its_sign(kind, amount, name):
    wanted = entry(Line(Decimal(amount), SAVINGS, "Funding"), kind=kind, party=Party())

    assert json.loads(to_json(mapping.bank_transfer(wanted)), parse_float=Decimal) == golden(name)


def test_a_transfer_cannot_be_divided():
    lines = (Line(Decimal("-5.00"), SAVINGS, ""), Line(Decimal("-5.00"), SAVINGS, ""))

    with pytest.raises(RecordRejected, match="as one amount"):
        mapping.bank_transfer(entry(*lines, kind=Kind.TRANSFER))


def tracked(*pairs: tuple[str, str], amount: str = "41.87") -> Line:
    dimensions = tuple((f"tracking:{category}", option) for category, option in pairs)
    return Line(Decimal(amount), FUEL, "Fuel, card 1234", dimensions)


def test_tracking_goes_by_ids():
    wanted = entry(tracked((REGION, WEST), (TEAM, BLUE), amount="30.00"), tracked((REGION, EAST), amount="11.87"))

    assert wire(wanted) == golden("spend_money_tracking")


CATEGORIES = [
    {
        "TrackingCategoryID": REGION,
        "Name": "Region",
        "Status": "ACTIVE",
        "Options": [
            {"TrackingOptionID": WEST, "Name": "West", "Status": "ACTIVE"},
            {"TrackingOptionID": EAST, "Name": "East", "Status": "ARCHIVED"},
        ],
    },
    {"TrackingCategoryID": TEAM, "Name": "Team", "Status": "ARCHIVED", "Options": []},
]


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ((REGION, EAST), "“East” of Region is archived"),
        ((REGION, BLUE), "no longer has this option of Region"),
        ((TEAM, BLUE), "category Team is archived"),
        (("gone", BLUE), "not in Xero any more"),
    ],
)
def test_tracking_xero_would_leave_out_is_refused_before_it_is_sent(pair, says):
    with pytest.raises(RecordRejected, match=says) as caught:
        mapping.check_tracking(entry(tracked(pair)), CATEGORIES)
    assert caught.value.field == f"tracking:{pair[0]}"


def test_tracking_that_is_in_order_passes():
    mapping.check_tracking(entry(tracked((REGION.upper(), WEST.upper()))), CATEGORIES)


def test_a_third_tracking_category_is_refused():
    with pytest.raises(RecordRejected, match="two tracking categories"):
        mapping.check_tracking(entry(tracked((REGION, WEST), (REGION, WEST), (TEAM, BLUE))), CATEGORIES)


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
    assert mapping.outcome(entry(), ok("PEXT90817263"), link) == Posted(RECORD, f"link to BankTransactions {RECORD}")


@pytest.mark.parametrize("record_id", [{}, {"BankTransactionID": mapping.NOBODY}, {"BankTransactionID": RECORD}])
def test_a_refused_element_is_refused_whatever_id_it_carries(record_id):
    assert isinstance(mapping.outcome(entry(), bad("PEXT90817263", **record_id), link), Refused)


@pytest.mark.parametrize(
    "nest",
    [
        {"LineItems": [{"ValidationErrors": [{"Message": "Account code '999' has been archived"}]}]},
        {"Contact": {"ValidationErrors": [{"Description": "Account code '999' has been archived"}]}},
        {"BankAccount": {"ValidationErrors": [{"Message": "Account code '999' has been archived"}]}},
        {"ToBankAccount": {"ValidationErrors": [{"Message": "Account code '999' has been archived"}]}},
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


def answered(*kept: tuple[str, str]) -> dict:
    pairs = [{"TrackingCategoryID": category, "TrackingOptionID": option} for category, option in kept]
    return ok("PEXT90817263", LineItems=[{"Tracking": pairs}])


def test_tracking_that_came_back_is_nothing_to_tell():
    wanted = entry(tracked((REGION, WEST)))

    assert mapping.outcome(wanted, answered((REGION.upper(), WEST)), link, CATEGORIES).says == ""
    assert mapping.outcome(wanted, ok("PEXT90817263"), link, CATEGORIES).says == ""


def test_tracking_that_xero_left_out_is_named_and_the_record_stands():
    outcome = mapping.outcome(entry(tracked((REGION, WEST))), answered((REGION, EAST)), link, CATEGORIES)

    assert isinstance(outcome, Posted)
    assert "without its tracking: Region “West”" in outcome.says


def transferred(**changes) -> dict:
    return {"BankTransferID": RECORD, "Reference": "PEXT90817263", "Amount": Decimal("41.87")} | changes


def test_a_transfer_that_was_taken_is_posted_under_its_own_id_and_page():
    wanted = entry(Line(Decimal("-41.87"), SAVINGS, ""), kind=Kind.TRANSFER)

    assert mapping.outcome(wanted, transferred(), link) == Posted(RECORD, f"link to BankTransfers {RECORD}")
    assert "40.00 instead of 41.87" in mapping.outcome(wanted, transferred(Amount=Decimal("40.00")), link).says
    assert isinstance(mapping.outcome(wanted, {"BankTransactionID": RECORD}, link), Unknown)


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
            "period",
            "",
        ),
        (
            "The document date cannot be before the end of year lock date, currently set at 31-Dec-2018",
            "period",
            "",
        ),
        ("The document cannot be edited as it is currently dated before the end of year lock date", "period", ""),
        ("Account code '999' is not a valid code for this document.", "account", "account"),
        ("Account code '999' has been archived", "account_archived", "account"),
        ("PEX Cash bank account is archived and cannot be used", "bank_account", "pex_account"),
        ("Account must be valid.", "account", "account"),
        ("The TaxType code 'X' cannot be used with account code '429'.", "tax", "tax"),
        (
            "The TaxType code 'X' does not exist or cannot be used for this type of transaction.",
            "tax",
            "tax",
        ),
        ("The TaxType field is mandatory", "tax", "tax"),
        ("Tax rate must be valid.", "tax", "tax"),
        (
            "The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, "
            "ContactNumber",
            "contact",
            "party",
        ),
        (
            "The contact name Shell is already assigned to another contact. The contact name must be unique across all "
            "active contacts.",
            "contact",
            "party",
        ),
        ("This Bank Transaction cannot be edited as it has been reconciled with a Bank Statement", "reconciled", ""),
        ("Url must be a valid absolute url", "mistake", ""),
        ("The line total 1 does not match the expected line total 2", "mistake", ""),
        ("The quantity value '-1' is invalid. Quantity must not be less than zero.", "mistake", ""),
        ("Account Code is too long. Maximum of 10 characters allowed", "mistake", ""),
        ("Please enter a unique Name.", "mistake", ""),
        ("The contact is archived and cannot be used.", "contact_archived", "party"),
        ("A Contact must be specified for this type of transaction", "contact", "party"),
        ("Organisation is not subscribed to currency USD", "currency", "pex_account"),
    ],
)
def test_a_known_message_says_what_to_do_and_where(message, cause, field):
    refused = mapping.refusal([message.upper()])

    assert (refused.cause, refused.field) == (cause, field)
    assert "{" not in refused.says
    assert refused.says.endswith(".") or message.upper() in refused.says


def test_every_known_message_has_its_test():
    (tested,) = test_a_known_message_says_what_to_do_and_where.pytestmark
    messages = " ".join(message for message, *_ in tested.args[1]).lower()

    assert [known.fragment for known in mapping.KNOWN if known.fragment.lower() not in messages] == []


def test_a_refusal_names_the_lock_date_the_account_and_the_bank():
    said = [
        "The document date cannot be before the period lock date, currently set at 05-Nov-2018",
        "Account code '999' has been archived.",
        "PEX Cash bank account is archived and cannot be used",
        "The moon is full.",
    ]

    refused = mapping.refusal(said)

    assert refused.says == (
        "Closed to 5 Nov 2018 in Xero. Open the period there, or leave it out. "
        "The account 999 is archived in Xero. Restore it there, or choose another account. "
        "The bank account PEX Cash is archived in Xero. Restore it there, or choose another in the settings. "
        "The moon is full."
    )


@pytest.mark.parametrize(
    ("beside", "cause"), [([], "period"), (["Account must be valid."], "account"), (["The moon is full."], "refused")]
)
def test_a_closed_period_is_the_cause_only_where_nothing_else_is_wrong(beside, cause):
    locked = "The document date cannot be before the period lock date, currently set at 05-Nov-2018"

    assert mapping.refusal([locked, *beside]).cause == cause


@pytest.mark.parametrize(
    ("kind", "field", "named"),
    [
        (Kind.PURCHASE, "account", "account"),
        (Kind.FEE, "account", "fee:account"),
        (Kind.REBATE, "party", "rebate:party"),
        (Kind.FEE, "tracking:1", "fee:tracking:1"),
        (Kind.FEE, "pex_account", "pex_account"),
        (Kind.FEE, "tax", "tax"),
        (Kind.FEE, "", ""),
    ],
)
def test_a_refusal_names_the_field_of_its_kind(kind, field, named):
    assert mapping.about(kind, Refused("No.", "some", field)).field == named


# --- BankTransaction -> our records


def test_one_equal_record_is_live():
    found = fate(row())

    assert (found.fate, found.record_id, found.link, found.says) == (
        Fate.LIVE,
        RECORD,
        f"link to BankTransactions {RECORD}",
        "",
    )


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


def moved(source: str, goal: str, **changes) -> dict:
    facts = {
        "BankTransferID": RECORD,
        "Amount": Decimal("41.87"),
        "Reference": "PEXT90817263",
        "Date": "/Date(1783036800000+0000)/",
        "FromBankAccount": {"AccountID": source},
        "ToBankAccount": {"AccountID": goal, "Name": "PEX Cash"},
    }
    return facts | changes


def test_a_transfer_counts_as_pex_sees_it():
    funding = {"kind": Kind.TRANSFER, "amount": Decimal("-41.87")}

    assert fate(moved(SAVINGS, BANK.upper()), **funding).fate is Fate.LIVE
    assert fate(moved(SAVINGS, BANK.upper()), **funding).link == f"link to BankTransfers {RECORD}"
    assert fate(moved(BANK, SAVINGS), kind=Kind.TRANSFER).fate is Fate.LIVE
    assert fate(moved(SAVINGS, BANK, Status="DELETED"), **funding).fate is Fate.DEAD
    assert fate(moved(SAVINGS, BANK), moved(SAVINGS, BANK, BankTransferID="other"), **funding).fate is Fate.DOUBLED


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (moved(BANK, SAVINGS), "41.87 instead of -41.87"),
        (moved(SAVINGS, OFFICE), "on another bank account"),
        (moved(SAVINGS, BANK, Amount=Decimal("41.00")), "-41.00 instead of -41.87"),
        (moved(SAVINGS, BANK, Date="/Date(1783123200000)/"), "2026-07-04 instead of 2026-07-03"),
    ],
)
def test_a_transfer_that_differs_is_doubtful(row, says):
    found = fate(row, kind=Kind.TRANSFER, amount=Decimal("-41.87"))

    assert found.fate is Fate.DOUBTFUL
    assert says in found.says


def test_a_transfer_and_a_copy_of_it_typed_as_receive_money_are_doubled():
    typed = row(Type="RECEIVE", BankTransactionID="other")

    assert fate(moved(SAVINGS, BANK), typed, kind=Kind.TRANSFER, amount=Decimal("-41.87")).fate is Fate.DOUBLED


def test_a_movement_stands_in_the_books_once_and_legs_do_not_count():
    leg = row(Type="RECEIVE-TRANSFER", BankTransactionID="leg")

    (record,) = mapping.book_records(BANK, [leg], [moved(SAVINGS, BANK), moved(SAVINGS, OFFICE)], link)
    (other_side,) = mapping.book_records(SAVINGS, [], [moved(SAVINGS, BANK)], link)

    assert (record.id, record.amount, record.live) == (RECORD, Decimal("-41.87"), True)
    assert (other_side.amount, other_side.party) == (Decimal("41.87"), "PEX Cash")


def test_a_changed_reference_is_said_of_a_live_record():
    found = fate(row(Reference="Taxi to airport"))

    assert found.fate is Fate.LIVE
    assert "“Taxi to airport”" in found.says


def test_a_record_of_an_earlier_generation_is_nothing_strange():
    assert fate(row(), key="PEXT90817263-2", earlier=("PEXT90817263",)).says == ""


def test_a_key_stands_in_the_reference_and_in_the_address():
    address = "https://x/cards/7/detail?transaction=4410-PEXT5-2"

    assert mapping.transaction_record(row(Reference="", Url=address)).keys == {"pext5-2"}
    assert mapping.transaction_record(row(Reference=" pext7 ", Url="")).keys == {"pext7"}
    assert mapping.transaction_record({"BankTransactionID": RECORD}).keys == set()


def test_a_book_record_is_signed_our_way():
    rows = [row(Type="RECEIVE", Contact={"Name": "Shell"}), row(BankAccount={"AccountID": OFFICE})]
    (record,) = mapping.book_records(BANK.upper(), rows, [], link)

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
    place = "https://go.xero.com/organisationlogin/default.aspx?shortcode=%21FR6KJ&redirecturl=/Bank"

    assert [mapping.deep_link("https://go.xero.com", "!FR6KJ", resource, RECORD) for resource in Resource] == [
        f"{place}/ViewTransaction.aspx?bankTransactionID={RECORD}",
        f"{place}/ViewTransfer.aspx?bankTransferID={RECORD}",
    ]


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
