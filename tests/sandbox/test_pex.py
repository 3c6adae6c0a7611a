"""The lists of the simulated PEX, and what they show of a transaction."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox.pex import ABSENT, Admin, Business, PexWorld
from sandbox.pex.eastern import instant, wall
from sandbox.server import Desk


def world_of(desk: Desk) -> PexWorld:
    world: PexWorld = desk.worlds["pex"]
    return world


def acme(desk: Desk, **fields: Any) -> Business:
    """Return a business with one admin and one card."""
    business = world_of(desk).add_business(**fields)
    business.add_admin(username=f"admin.{business.business_id}")
    business.add_cardholder("Casey", "Holder")
    return business


def admin_of(business: Business) -> Admin:
    return next(iter(business.admins.values()))


def caller(desk: Desk, business: Business, admin: Admin | None = None) -> httpx.Client:
    """Return a client of the core API with a live token of the business's admin."""
    token = world_of(desk).token(admin or admin_of(business))
    return client_of(f"{desk.url}/pex/V4/", Authorization=f"token {token}")


def client_of(url: str, **headers: str) -> httpx.Client:
    """Return a client that keeps no connection open, so that nobody need close it."""
    return httpx.Client(base_url=url, headers=headers, limits=httpx.Limits(max_keepalive_connections=0))


def eastern(moment: datetime) -> str:
    return wall(moment).isoformat()


def window(desk: Desk, days: float = 60, **flags: str) -> dict[str, str]:
    now = desk.clock.now()
    return {"StartDate": eastern(now - timedelta(days=days)), "EndDate": eastern(now), **flags}


def listed(client: httpx.Client, desk: Desk, days: float = 60, **flags: str) -> list[dict[str, Any]]:
    answer = client.get("Details/AllCardholderTransactions", params=window(desk, days, **flags))
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = json.loads(answer.text, parse_float=Decimal)["TransactionList"]
    return rows


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["TransactionId"] for row in rows]


def test_a_purchase_is_listed_with_a_negative_amount_of_two_decimals(sandbox):
    business = acme(sandbox)
    row = business.add_purchase("12.50", merchant="Target #0973226")
    answer = caller(sandbox, business).get("Details/AllCardholderTransactions", params=window(sandbox))
    assert '"TransactionAmount":-12.50' in answer.text
    shown = answer.json()["TransactionList"][0]
    assert shown["TransactionId"] == row.transaction_id
    assert shown["MerchantName"] == "Target #0973226"
    assert shown["MerchantNameNormalized"] == "Target"
    assert shown["TransactionNotes"] is None
    assert shown["TransactionTags"] is None


def test_the_path_is_read_without_case(sandbox):
    client = caller(sandbox, acme(sandbox))
    path = f"{sandbox.url}/pex/v4/details/allcardholdertransactioncount"
    assert client.get(path, params=window(sandbox)).json() == 0


@pytest.mark.parametrize(("month", "hours"), [(7, 4), (1, 5)])
def test_times_are_eastern_wall_clock_in_summer_and_winter(sandbox, month, hours):
    business = acme(sandbox)
    today = sandbox.clock.now().replace(microsecond=0)
    moment = next(day for back in range(360) if (day := today - timedelta(days=back)).month == month)
    business.add_purchase(happened=moment, settled=moment)
    shown = listed(caller(sandbox, business), sandbox, days=364)[0]
    wall_clock = (moment - timedelta(hours=hours)).replace(tzinfo=None).isoformat()
    assert (shown["TransactionTime"], shown["SettlementTime"]) == (wall_clock, wall_clock)


def test_both_ends_of_the_window_are_included(sandbox):
    business = acme(sandbox)
    day = sandbox.clock.now() - timedelta(days=10)
    row = business.add_purchase(happened=day, settled=day)
    params = {"StartDate": eastern(day), "EndDate": eastern(day)}
    answer = caller(sandbox, business).get("Details/AllCardholderTransactions", params=params)
    assert ids(answer.json()["TransactionList"]) == [row.transaction_id]


def test_the_window_filters_the_date_the_world_chose(sandbox):
    business = acme(sandbox)
    now = sandbox.clock.now()
    business.add_purchase(happened=now - timedelta(days=9), settled=now - timedelta(days=2))
    client = caller(sandbox, business)
    assert listed(client, sandbox, days=5) == []
    world_of(sandbox).switches.window_by = "settlement"
    assert len(listed(client, sandbox, days=5)) == 1


@pytest.mark.parametrize(
    "start",
    ["", "2026-05-03", "2026-05-03T00:00:00Z", "2026-05-03T00:00:00-04:00", "05/03/2026", "2026-02-30T00:00:00"],
)
def test_a_window_is_asked_for_in_wall_clock_without_an_offset(sandbox, start):
    client = caller(sandbox, acme(sandbox))
    params = {**window(sandbox), "StartDate": start}
    answer = client.get("Details/AllCardholderTransactions", params=params)
    assert answer.status_code == 400
    assert "StartDate" in answer.json()["Message"]


def test_fractions_of_a_second_in_the_window_are_dropped(sandbox):
    client = caller(sandbox, acme(sandbox))
    params = {**window(sandbox), "EndDate": f"{eastern(sandbox.clock.now())}.9990000"}
    assert client.get("Details/AllCardholderTransactions", params=params).status_code == 200


def test_a_window_older_than_twelve_months_is_refused(sandbox):
    client = caller(sandbox, acme(sandbox))
    answer = client.get("Details/AllCardholderTransactions", params=window(sandbox, days=368))
    assert answer.status_code == 400
    assert client.get("Details/AllCardholderTransactions", params=window(sandbox, days=364)).status_code == 200


def test_pending_and_declined_rows_come_only_when_asked_for(sandbox):
    business = acme(sandbox)
    settled = business.add_purchase()
    hold = business.add_purchase(settled=None, happened=sandbox.clock.now() - timedelta(hours=2))
    decline = business.add_decline(reason="Expired card")
    client = caller(sandbox, business)
    assert ids(listed(client, sandbox)) == [settled.transaction_id]
    rows = listed(client, sandbox, IncludePendings="True", IncludeDeclines="true")
    assert set(ids(rows)) == {settled.transaction_id, hold.transaction_id, decline.transaction_id}
    shown = next(row for row in rows if row["IsDecline"])
    assert (shown["Description"], shown["HoldTime"], shown["SettlementTime"]) == ("Expired card", None, None)


def test_a_charge_that_paid_a_bill_is_hidden_without_the_flag(sandbox):
    business = acme(sandbox)
    row = business.add_purchase(bill_pay=True)
    client = caller(sandbox, business)
    assert listed(client, sandbox) == []
    assert ids(listed(client, sandbox, IncludeVendorBillPay="True")) == [row.transaction_id]


def test_a_flag_is_true_or_false(sandbox):
    client = caller(sandbox, acme(sandbox))
    answer = client.get("Details/AllCardholderTransactions", params=window(sandbox, IncludePendings="1"))
    assert answer.status_code == 400


def test_the_next_page_starts_at_the_last_time_retrieved_and_repeats_that_row(sandbox):
    business = acme(sandbox)
    now = sandbox.clock.now()
    rows = [business.add_purchase(happened=now - timedelta(days=20 - day)) for day in range(9)]
    world_of(sandbox).switches.page_size = 5
    client = caller(sandbox, business)
    params = window(sandbox)
    first = client.get("Details/AllCardholderTransactions", params=params).json()
    assert ids(first["TransactionList"]) == [row.transaction_id for row in rows[:5]]
    assert first["Pages"] == {
        "PageSize": 5,
        "TotalRecords": 9,
        "NumberOfPages": 2,
        "LastTimeRetrieved": first["TransactionList"][4]["TransactionTime"],
    }
    params["StartDate"] = first["Pages"]["LastTimeRetrieved"]
    second = client.get("Details/AllCardholderTransactions", params=params).json()
    assert ids(second["TransactionList"]) == [row.transaction_id for row in rows[4:]]
    assert second["Pages"]["NumberOfPages"] == 1


def test_the_count_is_a_bare_number(sandbox):
    business = acme(sandbox)
    business.add_purchase()
    answer = caller(sandbox, business).get("Details/AllCardholderTransactionCount", params=window(sandbox))
    assert answer.text == "1"


def test_one_card_is_listed_by_its_account_and_a_foreign_account_is_refused(sandbox):
    business, other = acme(sandbox), acme(sandbox, name="Rival", business_id=6630)
    second = business.add_cardholder("Second", "Card")
    business.add_purchase()
    row = business.add_purchase(card=second)
    client = caller(sandbox, business)
    answer = client.get(f"Details/TransactionDetails/{second.account_id}", params=window(sandbox))
    assert ids(answer.json()["TransactionList"]) == [row.transaction_id]
    foreign = next(iter(other.cards))
    answer = client.get(f"Details/TransactionDetails/{foreign}", params=window(sandbox))
    assert (answer.status_code, answer.json()) == (403, {"Message": "Invalid card account ID"})


def test_the_business_list_holds_fees_transfers_and_rebates_but_no_purchases(sandbox):
    business = acme(sandbox)
    business.add_purchase()
    business.add_business_row("BusinessFunding", "500.00", "ACH credit")
    business.add_business_row("BusinessRebate", "4.20", "Rebate Credit")
    business.add_business_row("BusinessAccountFee", "-25.00", "Monthly fee")
    answer = caller(sandbox, business).get("Details/TransactionDetails", params=window(sandbox))
    rows = answer.json()["TransactionList"]
    assert [row["TransactionTypeCategory"] for row in rows] == [
        "BusinessFunding",
        "BusinessRebate",
        "BusinessAccountFee",
    ]
    assert rows[0]["AcctId"] == business.business_id


def test_a_business_never_sees_the_rows_of_another(sandbox):
    business, rival = acme(sandbox), acme(sandbox, name="Rival", business_id=6630)
    row = rival.add_purchase(receipts=["pdf"], tags={"65f0": "429"})
    client = caller(sandbox, business)
    assert listed(client, sandbox) == []
    for path in ("Attachments", "Tags", f"Attachment/{row.attachments[0].attachment_id}"):
        assert client.get(f"Transactions/{row.transaction_id}/{path}").status_code == 404
    assert client.post(f"Approval/{row.transaction_id}/Approve").status_code == 404
    assert client.post("Note", json={"TransactionId": row.transaction_id, "NoteText": "x"}).status_code == 403


def test_a_settled_hold_is_a_new_row_and_the_hold_is_gone(sandbox):
    business = acme(sandbox)
    hold = business.add_purchase("40.00", settled=None)
    row = business.settle(hold, "46.00")
    rows = listed(caller(sandbox, business), sandbox, IncludePendings="True")
    assert ids(rows) == [row.transaction_id]
    assert row.transaction_id != hold.transaction_id
    assert rows[0]["AuthTransactionId"] == hold.transaction_id
    assert rows[0]["NetworkTransactionId"] == hold.network_id
    assert rows[0]["TransactionAmount"] == Decimal("-46.00")


def test_planned_holds_settle_or_drop_off_when_the_clock_gets_there(sandbox):
    business = acme(sandbox)
    tip, gone = business.add_purchase("20.00", settled=None), business.add_purchase("300.00", settled=None)
    business.plan(tip, sandbox.clock.now() + timedelta(days=2), "23.00")
    business.plan(gone, sandbox.clock.now() + timedelta(days=3))
    client = caller(sandbox, business)
    assert len(listed(client, sandbox, IncludePendings="True")) == 2
    sandbox.clock.advance(timedelta(days=4))
    rows = listed(client, sandbox, IncludePendings="True")
    assert [(row["TransactionAmount"], row["IsPending"]) for row in rows] == [(Decimal("-23.00"), False)]


def test_splits_are_text_in_one_encoding_and_an_object_in_the_other(sandbox):
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General"), ("453", "Office")])
    lines = [("1.50", {tag.tag_id: "429"}), ("0.51", {tag.tag_id: "429"})]
    business.add_purchase("2.01", splits=lines, happened=sandbox.clock.now() - timedelta(days=9))
    business.add_purchase("2.01", splits=lines, split_encoding="object")
    text, thing = (row["TransactionTags"]["Tags"] for row in listed(caller(sandbox, business), sandbox))
    split = business.allocation_tag().tag_id
    inner = [{"TagId": tag.tag_id, "Value": "429"}]
    assert [json.loads(one["Value"]) for one in text] == [
        {"TagId": split, "Allocation": inner, "Amount": "1.50"},
        {"TagId": split, "Allocation": inner, "Amount": "0.51"},
    ]
    assert thing[0]["Value"] == {"TagId": split, "Allocation": inner, "Amount": Decimal("1.50")}


def test_a_change_shows_in_the_next_list(sandbox):
    business = acme(sandbox)
    row = business.add_purchase(approval="NotReviewed")
    client = caller(sandbox, business)
    assert listed(client, sandbox)[0]["MetadataApprovalStatus"] == "NotReviewed"
    row.approval = "Approved"
    business.add_note(row, "Typed by hand")
    shown = listed(client, sandbox)[0]
    assert shown["MetadataApprovalStatus"] == "Approved"
    assert shown["TransactionNotes"][0]["NoteText"] == "Typed by hand"


def test_missing_values_are_null_or_left_out_as_the_world_chose(sandbox):
    business = acme(sandbox)
    business.add_purchase(merchant=None)
    client = caller(sandbox, business)
    assert listed(client, sandbox)[0]["MerchantName"] is None
    switches = world_of(sandbox).switches
    switches.nulls, switches.empty_notes, switches.unknown_fields = "omit", "list", True
    shown = listed(client, sandbox)[0]
    assert "MerchantName" not in shown
    assert "TransactionTags" not in shown
    assert shown["TransactionNotes"] == []
    assert "SettlementBatch" in shown


def test_any_field_can_be_overridden_on_the_wire(sandbox):
    business = acme(sandbox)
    overrides = {"TransactionType": "Mystery", "Description": None, "MCCCode": ABSENT}
    business.add_purchase(overrides=overrides, transaction_id=9_007_199_254_740_993)
    shown = listed(caller(sandbox, business), sandbox)[0]
    assert shown["TransactionId"] == 9_007_199_254_740_993
    assert (shown["TransactionType"], shown["Description"]) == ("Mystery", None)
    assert "MCCCode" not in shown


def test_a_new_row_shows_only_after_the_list_lag(sandbox):
    business = acme(sandbox)
    client = caller(sandbox, business)
    world_of(sandbox).switches.list_lag = 120
    sandbox.clock.advance(timedelta(seconds=1))
    client.get("Ping")
    business.add_purchase()
    assert listed(client, sandbox) == []
    sandbox.clock.advance(timedelta(minutes=3))
    assert len(listed(client, sandbox)) == 1


def test_shuffled_lists_hold_the_same_rows(sandbox):
    business = acme(sandbox)
    rows = [business.add_purchase() for _ in range(20)]
    world_of(sandbox).switches.shuffled = True
    shown = ids(listed(caller(sandbox, business), sandbox))
    assert shown != sorted(shown)
    assert sorted(shown) == [row.transaction_id for row in rows]


def test_foreign_purchases_carry_their_source_amount(sandbox):
    business = acme(sandbox)
    business.add_purchase("96.81", currency="EUR", currency_number="978", source_amount=Decimal("-88.00"))
    shown = listed(caller(sandbox, business), sandbox)[0]
    assert shown["TransactionAmount"] == Decimal("-96.81")
    assert (shown["SourceCurrencyNumericCode"], shown["SourceAmount"]) == ("978", Decimal("-88.00"))


def test_refunds_disputes_and_fees_have_their_signs_and_types(sandbox):
    business = acme(sandbox)
    business.add_purchase("-5.00", happened=sandbox.clock.now() - timedelta(days=9))
    business.add_dispute("-7.00", happened=sandbox.clock.now() - timedelta(days=8))
    business.add_card_fee("1.94", happened=sandbox.clock.now() - timedelta(days=7))
    rows = listed(caller(sandbox, business), sandbox)
    assert [(row["TransactionAmount"], row["TransactionType"], row["TransactionTypeCategory"]) for row in rows] == [
        (Decimal("5.00"), "Network", "Spend"),
        (Decimal("7.00"), "Transfer", "Dispute"),
        (Decimal("-1.94"), "Transfer", "CardAccountFee"),
    ]


def test_statements_are_listed_with_payments_of_every_type(sandbox):
    business = acme(sandbox, funding="Credit")
    statement = business.add_statement(
        "100.00", payments=[("PEXTransfer", "98.00"), ("RebateCredit", "2.50"), ("RebateCreditReversal", "0.50")]
    )
    business.add_payment(statement, "SameDayACH", "98.00", rejected=True)
    client = caller(sandbox, business)
    row = client.get("Invoices", params={"startDate": "2020-01-01"}).json()[0]
    assert (row["InvoiceId"], row["InvoiceAmount"], row["Status"]) == (statement.invoice_id, 100.0, "Closed")
    assert client.get("Invoices", params={"startDate": eastern(sandbox.clock.now())}).json() == []
    payments = client.get(f"Invoice/{statement.invoice_id}/payments").json()
    assert [one["Type"] for one in payments] == ["PEXTransfer", "RebateCredit", "RebateCreditReversal", "SameDayACH"]
    assert [one["RejectedByBank"] for one in payments] == [False, False, False, True]
    assert client.get("Invoice/1/payments").status_code == 404


def test_accounts_are_listed_at_once_and_looked_up_one_by_one(sandbox):
    business = acme(sandbox)
    card = business.add_cardholder("Jo", "Closed", custom_id="E7")
    card.close()
    refused = business.add_cardholder("No", "Lookup", refused=True)
    client = caller(sandbox, business)
    details = client.get("Details/AccountDetails").json()
    assert details["BusinessAccountId"] == business.business_id
    assert [one["AccountStatus"] for one in details["CHAccountList"]] == ["OPEN", "CLOSED", "OPEN"]
    assert details["OpenCardholdersCount"] == 2
    one = client.get(f"Details/AccountDetails/{card.account_id}").json()
    assert (one["ProfileAddress"]["ContactName"], one["CustomId"]) == ("Jo Closed", "E7")
    assert client.get(f"Card/Profile/{card.account_id}").json()["FirstName"] == "Jo"
    answer = client.get(f"Details/AccountDetails/{refused.account_id}")
    assert (answer.status_code, answer.json()["Message"]) == (403, "Invalid card account ID")


def test_settings_tell_the_kind_of_business(sandbox):
    business = acme(sandbox, funding="Credit", tags_enabled=False)
    settings = caller(sandbox, business).get("Business/Settings").json()
    assert (settings["FundingSource"], settings["TagsEnabled"]) == ("Credit", False)


def test_linked_businesses_are_those_of_the_same_person(sandbox):
    business = acme(sandbox)
    other = world_of(sandbox).add_business("Harbor", "Credit", 5520)
    other.add_admin(admin_of(business).username)
    world_of(sandbox).add_business("Rival", "Prepaid", 6630).add_admin("riva.admin")
    linked = caller(sandbox, business).get("Business/Linked").json()
    assert [one["BusinessAcctId"] for one in linked] == [5520]


def test_an_unknown_path_is_404_and_a_wrong_verb_405(sandbox):
    client = caller(sandbox, acme(sandbox))
    assert client.get("Details/Nothing").status_code == 404
    answer = client.post("Details/AccountDetails")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert "Message" in answer.json()


def test_eastern_instants_round_trip(sandbox):
    moment = sandbox.clock.now().replace(month=3, day=20, microsecond=0)
    assert instant(wall(moment)) == moment
