"""Rows of PEX as our records, by value."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.pex import mapping
from connectors.records import Allocation, Kind, Note, PexAttachment, Source, TagValue

SPLIT, ACCOUNT, CLASS = "65f0000000000000000000a1", "65f0000000000000000000b1", "65f0000000000000000000b2"


def row(**fields: Any) -> dict[str, Any]:
    return {
        "TransactionId": 700000123,
        "AcctId": 51001,
        "TransactionTime": "2026-03-03T21:14:05",
        "SettlementTime": "2026-03-05T03:10:00",
        "AuthTransactionId": 700000007,
        "NetworkTransactionId": 880000123,
        "TransactionAmount": Decimal("-12.50"),
        "TransactionType": "Network",
        "TransactionTypeCategory": "Spend",
        "Description": "PET CLINIC 1234",
        "IsPending": False,
        "IsDecline": False,
        "MerchantName": "PET CLINIC #1234",
        "MerchantNameNormalized": "Pet Clinic",
        "MCCCode": "0742",
        "TransactionNotes": None,
        "TransactionTags": None,
        "MetadataApprovalStatus": "Approved",
        **fields,
    }


def funding(**fields: Any) -> dict[str, Any]:
    facts = {"TransactionType": "Transfer", "TransactionTypeCategory": "BusinessFunding", "Description": "ACH credit"}
    return row(**{**facts, "TransactionAmount": Decimal("500.00"), **fields})


def tagged(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"State": "Selected", "FieldsVersion": "65f0000000000000000000aa", "Tags": list(entries)}


def line(amount: Any, value: str = "5001", *, text: bool = True) -> dict[str, Any]:
    share = {"TagId": SPLIT, "Allocation": [{"TagId": ACCOUNT, "Value": value}], "Amount": amount}
    return {"FieldId": SPLIT, "Name": "Split", "Value": json.dumps(share) if text else share}


def test_purchase_is_read_whole() -> None:
    found = mapping.card_row(row(), {51001: "Casey Holder"})
    assert found.pex_id == 700000123
    assert found.source is Source.TRANSACTION
    assert found.kind is Kind.PURCHASE
    assert found.amount == Decimal("12.50")
    assert found.happened_at == datetime(2026, 3, 4, 2, 14, 5, tzinfo=UTC)
    assert found.settled_at == datetime(2026, 3, 5, 8, 10, tzinfo=UTC)
    assert (found.account_id, found.cardholder) == (51001, "Casey Holder")
    assert (found.merchant, found.merchant_clean, found.mcc) == ("PET CLINIC #1234", "Pet Clinic", "0742")
    assert (found.authorization_id, found.network_id) == (700000007, 880000123)
    assert found.allocations == (Allocation(Decimal("12.50")),)
    assert not found.problem


@pytest.mark.parametrize(
    ("given", "kind", "dispute"),
    [
        ({}, Kind.PURCHASE, False),
        ({"TransactionTypeCategory": "SomethingNew"}, Kind.PURCHASE, False),
        ({"TransactionType": 2}, Kind.PURCHASE, False),
        ({"TransactionType": "Transfer", "TransactionTypeCategory": "Dispute"}, Kind.PURCHASE, True),
        ({"TransactionType": "Transfer", "TransactionTypeCategory": "CardAccountFee"}, Kind.FEE, False),
        ({"TransactionType": "Transfer", "TransactionTypeCategory": "cardaccountfee"}, Kind.FEE, False),
        ({"TransactionType": "Transfer", "TransactionTypeCategory": "CardFunding"}, None, False),
        ({"TransactionType": "Load", "TransactionTypeCategory": None}, None, False),
        ({"TransactionType": None}, None, False),
        ({"TransactionType": "Quantum"}, None, False),
    ],
)
def test_card_rows_are_told_apart(given: dict[str, Any], kind: Kind | None, dispute: bool) -> None:
    found = mapping.card_row(row(**given))
    assert (found.kind, found.dispute) == (kind, dispute)


@pytest.mark.parametrize(
    ("given", "prepaid", "charge"),
    [
        ({}, Kind.TRANSFER, None),
        ({"TransactionTypeCategory": "businessfunding"}, Kind.TRANSFER, None),
        ({"TransactionTypeCategory": "BusinessAccountFee"}, Kind.FEE, Kind.FEE),
        ({"TransactionTypeCategory": "BusinessRebate"}, Kind.REBATE, None),
        ({"Description": "Rebate Credit"}, Kind.REBATE, None),
        ({"Description": "Rebate Credit Reversal"}, Kind.REBATE, None),
        ({"Description": "Rebate payout"}, Kind.REBATE, None),
        ({"Description": "Rebate payout for March"}, Kind.TRANSFER, None),
        ({"Description": None}, Kind.TRANSFER, None),
        ({"TransactionTypeCategory": "CardDefunding"}, None, None),
        ({"TransactionTypeCategory": None}, None, None),
    ],
)
def test_business_rows_are_told_apart(given: dict[str, Any], prepaid: Kind | None, charge: Kind | None) -> None:
    assert mapping.business_row(funding(**given)).kind is prepaid
    assert mapping.business_row(funding(**given), charge=True).kind is charge


@pytest.mark.parametrize(
    ("read", "given", "amount"),
    [
        (mapping.card_row, row(TransactionAmount=Decimal("-2.01")), "2.01"),  # purchase
        (mapping.card_row, row(TransactionAmount=Decimal("2.01")), "-2.01"),  # refund
        (mapping.card_row, row(TransactionAmount=-2), "2.00"),
        (mapping.business_row, funding(TransactionAmount=Decimal("500.00")), "-500.00"),  # money in
        (mapping.business_row, funding(TransactionAmount=Decimal("-80")), "80.00"),  # withdrawal
        (mapping.business_row, funding(TransactionTypeCategory="BusinessAccountFee", TransactionAmount=-5), "5.00"),
        (mapping.business_row, funding(TransactionTypeCategory="BusinessAccountFee", TransactionAmount=5), "-5.00"),
        (mapping.business_row, funding(Description="Rebate Credit", TransactionAmount=Decimal("9.30")), "-9.30"),
        (mapping.card_row, row(TransactionAmount=Decimal("0.00")), "0.00"),
        (mapping.card_row, row(TransactionAmount="-7.25"), "7.25"),
    ],
)
def test_sign_is_turned_once(read: Any, given: dict[str, Any], amount: str) -> None:
    found = read(given)
    assert str(found.amount) == amount
    assert [str(one.amount) for one in found.allocations] == [amount]
    assert not found.problem


@pytest.mark.parametrize("amount", [None, "", "much", True, Decimal("-1.005"), Decimal("NaN"), [], Decimal("1E+40")])
def test_amount_that_is_no_money_is_told(amount: Any) -> None:
    found = mapping.card_row(row(TransactionAmount=amount))
    assert found.amount == 0
    assert "amount" in found.problem


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-01-15T12:00:00", datetime(2026, 1, 15, 17, tzinfo=UTC)),
        ("2026-07-15T12:00:00", datetime(2026, 7, 15, 16, tzinfo=UTC)),
        ("2026-03-08T01:59:59", datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC)),
        ("2026-03-08T02:30:00", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),  # does not exist: the clock jumps
        ("2026-03-08T03:00:00", datetime(2026, 3, 8, 7, tzinfo=UTC)),
        ("2026-11-01T01:30:00", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),  # comes twice: the first
        ("2026-11-01T02:00:00", datetime(2026, 11, 1, 7, tzinfo=UTC)),
        ("2026-03-31T23:59:59", datetime(2026, 4, 1, 3, 59, 59, tzinfo=UTC)),
        ("2026-03-31T23:59:59.9970000", datetime(2026, 4, 1, 3, 59, 59, 997000, tzinfo=UTC)),
        ("2026-03-31T23:59:59Z", datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_are_eastern(wall: str, utc: datetime) -> None:
    assert mapping.card_row(row(SettlementTime=wall)).settled_at == utc


def test_row_of_nulls_is_still_a_row() -> None:
    bare = dict.fromkeys(row()) | {"TransactionId": 1, "TransactionAmount": Decimal("-1.00")}
    found = mapping.card_row(bare | {"TransactionTime": "2026-03-03T21:14:05"})
    assert found.kind is None
    assert (found.description, found.merchant, found.approval, found.notes) == ("", "", "", ())
    assert found.settled_at is None
    assert not found.problem
    assert mapping.card_row({"TransactionId": 1, "TransactionAmount": -1, "TransactionTime": "2026-03-03T21:14:05"})
    assert "date" in mapping.card_row(bare).problem


def test_pendings_and_declines_are_marked() -> None:
    hold = mapping.card_row(row(IsPending=True, SettlementTime=None, NetworkTransactionId=None, AuthTransactionId=0))
    assert (hold.pending, hold.settled_at, hold.authorization_id, hold.network_id) == (True, None, None, None)
    assert mapping.card_row(row(IsDecline=True, SettlementTime=None)).declined


def test_tags_of_an_unsplit_purchase() -> None:
    tags = tagged(
        {"FieldId": ACCOUNT, "Name": "Account", "Value": "5001"},
        {"FieldId": CLASS, "Name": "Billable", "Value": True},
        {"FieldId": "t3", "Name": "Miles", "Value": Decimal("1E+2")},
        {"FieldId": "t4", "Name": "Empty", "Value": None},
        {"FieldId": "t5", "Name": "Blank", "Value": ""},
        {"FieldId": "t6", "Name": None, "Value": ' {"Allocation": a joke'},
    )
    assert mapping.card_row(row(TransactionTags=tags)).allocations == (
        Allocation(
            Decimal("12.50"),
            (
                TagValue(ACCOUNT, "5001", "Account"),
                TagValue(CLASS, "Yes", "Billable"),
                TagValue("t3", "100", "Miles"),
                TagValue("t6", '{"Allocation": a joke'),
            ),
        ),
    )


@pytest.mark.parametrize("tags", [None, {}, {"Tags": None}, {"Tags": []}, {"Tags": [None]}, "odd"])
def test_purchase_without_tags_is_one_line(tags: Any) -> None:
    assert mapping.card_row(row(TransactionTags=tags)).allocations == (Allocation(Decimal("12.50")),)


@pytest.mark.parametrize(("text", "amounts"), [(True, ("10.00", "2.50")), (False, (10, Decimal("2.5")))])
def test_split_is_read_in_both_encodings(text: bool, amounts: tuple[Any, Any]) -> None:
    tags = tagged(
        {"FieldId": CLASS, "Name": "Class", "Value": "ignored beside a split"},
        line(amounts[0], "5001", text=text),
        line(amounts[1], "5002", text=text),
    )
    found = mapping.card_row(row(TransactionTags=tags))
    assert found.allocations == (
        Allocation(Decimal("10.00"), (TagValue(ACCOUNT, "5001"),)),
        Allocation(Decimal("2.50"), (TagValue(ACCOUNT, "5002"),)),
    )
    assert not found.problem


def test_equal_split_lines_are_kept_and_signed_like_a_refund() -> None:
    tags = tagged(line("6.25"), line("6.25"))
    found = mapping.card_row(row(TransactionAmount=Decimal("12.50"), TransactionTags=tags))
    assert [one.amount for one in found.allocations] == [Decimal("-6.25"), Decimal("-6.25")]
    assert not found.problem


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([line("10.00"), line("2.49")], "12.49"),
        ([line("10.00"), line("2.51")], "12.51"),
        ([line("-10.00"), line("22.50")], "no readable amount"),
        ([line("10.00"), line(None)], "no readable amount"),
        ([line("1,000.00"), line("12.50")], "no readable amount"),
        ([line("10.005"), line("2.495")], "no readable amount"),
    ],
)
def test_split_that_does_not_sum_is_told_and_not_repaired(lines: list[dict[str, Any]], says: str) -> None:
    found = mapping.card_row(row(TransactionTags=tagged(*lines)))
    assert says in found.problem
    assert found.amount == Decimal("12.50")


def test_split_line_without_tags() -> None:
    share = {"TagId": SPLIT, "Allocation": None, "Amount": "12.50"}
    found = mapping.card_row(row(TransactionTags=tagged({"FieldId": SPLIT, "Value": share})))
    assert found.allocations == (Allocation(Decimal("12.50")),)


def test_text_that_looks_like_a_split_of_another_tag_is_text() -> None:
    share = json.dumps({"TagId": SPLIT, "Allocation": [], "Amount": "1.00"})
    found = mapping.card_row(row(TransactionTags=tagged({"FieldId": CLASS, "Value": share})))
    assert found.allocations == (Allocation(Decimal("12.50"), (TagValue(CLASS, share),)),)


def test_business_rows_have_no_tags() -> None:
    tags = tagged({"FieldId": ACCOUNT, "Value": "5001"})
    assert mapping.business_row(funding(TransactionTags=tags)).allocations == (Allocation(Decimal("-500.00")),)


def test_notes_survive_nulls() -> None:
    notes = [
        {"NoteId": 5, "NoteText": "Synced with Xero · PEXt1", "SystemGenerated": True},
        {"NoteId": None, "NoteText": None, "SystemGenerated": None},
        None,
    ]
    found = mapping.card_row(row(TransactionNotes=notes))
    assert found.notes == (Note(5, "Synced with Xero · PEXt1", True), Note(0, ""))


@pytest.mark.parametrize(
    ("fields", "amount", "currency"),
    [
        ({"SourceAmount": Decimal("-10.10"), "SourceCurrencyNumericCode": "978"}, "10.10", "EUR"),
        ({"SourceAmount": Decimal("10.10"), "SourceCurrencyNumericCode": "978"}, "10.10", "EUR"),
        ({"SourceAmount": 900, "SourceCurrencyNumericCode": 36}, "900.00", "AUD"),
        (
            {"SourceAmount": 900, "SourceCurrencyNumericCode": "999", "SourceCurrencyCodeDescription": "MOON DOLLAR"},
            "900.00",
            "MOON DOLLAR",
        ),
        ({"SourceAmount": Decimal("12.50"), "SourceCurrencyNumericCode": "840"}, None, ""),
        ({"SourceAmount": None, "SourceCurrencyNumericCode": "978"}, None, ""),
        ({}, None, ""),
    ],
)
def test_foreign_amount(fields: dict[str, Any], amount: str | None, currency: str) -> None:
    found = mapping.card_row(row(**fields))
    assert found.foreign_amount == (None if amount is None else Decimal(amount))
    assert found.foreign_currency == currency
    assert found.amount == Decimal("12.50")


def test_nul_never_reaches_the_database() -> None:
    assert mapping.card_row(row(MerchantName="A\0B ")).merchant == "AB"


@pytest.mark.parametrize(
    ("status", "ready", "trouble"),
    [
        ("Loaded", True, False),
        (None, True, False),
        ("NotLoaded", False, False),
        ("Deleted", False, True),
        ("HasMalware", False, True),
        ("LoadFailed", False, True),
        ("Quarantined", False, False),
    ],
)
def test_receipt_status(status: str | None, ready: bool, trouble: bool) -> None:
    found = mapping.attachment({"AttachmentId": "a1", "Type": "Pdf", "Size": 12, "UploadStatus": status})
    assert (found.ready, bool(found.trouble)) == (ready, trouble)
    assert found == PexAttachment("a1", ready, "Pdf", 12, found.trouble)


def test_tag_definition() -> None:
    found = mapping.tag(
        {
            "Id": ACCOUNT,
            "Type": "Dropdown",
            "Name": "Account",
            "IsRequired": True,
            "IsEnabled": True,
            "IsDeleted": False,
            "Order": 3,
            "Options": [
                {"Name": "Office", "Value": "5001", "Order": 0, "IsEnabled": True},
                {"Name": "Old", "Value": "5002", "Order": 1, "IsEnabled": False},
            ],
        }
    )
    assert (found.id, found.name, found.type, found.required, found.order) == (ACCOUNT, "Account", "Dropdown", True, 3)
    assert [(one.value, one.name, one.enabled) for one in found.options] == [
        ("5001", "Office", True),
        ("5002", "Old", False),
    ]


@pytest.mark.parametrize(
    ("given", "type_", "enabled", "deleted"),
    [
        ({"Type": 2}, "Dropdown", True, False),
        ({"Type": 77}, "77", True, False),
        ({"Type": "Hologram", "Options": None, "IsEnabled": False}, "Hologram", False, False),
        ({"Type": "Text", "DeletedDateUtc": "2026-01-01T00:00:00"}, "Text", True, True),
    ],
)
def test_tag_definition_tolerates(given: dict[str, Any], type_: str, enabled: bool, deleted: bool) -> None:
    found = mapping.tag({"Id": "t", "Name": "T", **given})
    assert (found.type, found.enabled, found.deleted, found.options) == (type_, enabled, deleted, ())


def test_admin_has_the_permissions_that_are_on() -> None:
    found = mapping.admin(
        {
            "Admin": {
                "BusinessAdminId": 9001,
                "FirstName": "Alex",
                "LastName": None,
                "UserName": "alex",
                "Permissions": {"EditBusinessProfile": True, "ViewCardUsage": False, "New": None},
            }
        }
    )
    assert (found.admin_id, found.name, found.permissions) == (9001, "Alex", ("EditBusinessProfile",))
    assert mapping.admin({}).permissions == ()


def test_cardholders_and_glance() -> None:
    details = {
        "BusinessAccountBalance": Decimal("1200.5"),
        "PendingTransferAmount": None,
        "OpenCardholdersCount": 1,
        "OpenVendorCardsCount": 3,
        "CHAccountList": [
            {"AccountId": 1, "FirstName": "Casey", "LastName": "Holder", "AvailableBalance": Decimal("10.00")},
            {"AccountId": 2, "FirstName": None, "LastName": "Gone", "AvailableBalance": None},
            None,
        ],
    }
    assert mapping.cardholders(details) == {1: "Casey Holder", 2: "Gone"}
    assert mapping.cardholders({"CHAccountList": None}) == {}
    glance = mapping.glance(details, {"VendorLimit": 50, "UseBillPay": True})
    assert glance["balance"] == "1200.50"
    assert glance["pending_transfers"] is None
    assert (glance["cards_available"], glance["open_cards"], glance["vendor_cards_left"]) == ("10.00", 1, 47)


def test_an_option_that_is_not_changed_goes_back_as_it_came():
    given = {
        "Id": "65f0",
        "Name": "Account",
        "Description": None,
        "Order": 3,
        "IsRequired": False,
        "IsEnabled": True,
        "ConcurrencyKey": "k1",
        "UpdatedBy": {"UserName": "ann"},
        "Options": [
            {"Name": " Office ", "Value": "5001", "Order": 2, "IsEnabled": True, "Colour": "red"},
            {"Name": "Rent", "Value": "5002", "Order": 1, "IsEnabled": True},
        ],
    }
    first, second = mapping.tag(given).options
    body = mapping.dropdown(given, [first, replace(second, enabled=False), mapping.TagOption("5003", "Fuel", order=3)])
    assert body == {
        "Name": "Account",
        "Order": 3,
        "IsRequired": False,
        "IsEnabled": True,
        "ConcurrencyKey": "k1",
        "Options": [
            {"Name": " Office ", "Value": "5001", "Order": 2, "IsEnabled": True, "Colour": "red"},
            {"Name": "Rent", "Value": "5002", "Order": 1, "IsEnabled": False},
            {"Name": "Fuel", "Value": "5003", "Order": 3, "IsEnabled": True},
        ],
    }
