"""The client against the simulated PEX, over real HTTP."""

import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import NoAnswer, NotAuthorized, NotReached, RecordRejected, RetryLater
from connectors.pex import client as wire
from connectors.pex import mapping
from connectors.pex.client import PexClient, PexSession, Token, TokenDead
from connectors.records import Kind, Transaction
from sandbox.clock import Clock
from sandbox.pex import ABSENT, Admin, Business, Limit, PexWorld, documents
from sandbox.server import Desk

TODAY = datetime.now(mapping.EASTERN).date()
YEAR_AGO, TOMORROW = TODAY - timedelta(days=360), TODAY + timedelta(days=1)


def cards(client: PexClient, **options: Any) -> list[Transaction]:
    rows = client.card_transactions(YEAR_AGO, TOMORROW, **{"bill_pay": True, **options})
    return [mapping.card_row(row) for row in rows]


def business_rows(client: PexClient, charge: bool = False) -> list[Transaction]:
    return [mapping.business_row(row, charge=charge) for row in client.business_transactions(YEAR_AGO, TOMORROW)]


# --- lists ------------------------------------------------------------------------------------------------------------


def test_pending_settles_under_a_new_id_and_another_amount(client: PexClient, acme: Business) -> None:
    hold = acme.add_purchase("50.00", settled=None)
    assert cards(client) == []
    (pending,) = cards(client, pendings=True)
    assert (pending.pending, pending.settled_at) == (True, None)
    first = acme.settle(hold, "31.20", vanish=False)
    second = acme.settle(hold, "22.80")
    found = cards(client, pendings=True)
    assert [(one.pex_id, one.amount) for one in found] == [
        (first.transaction_id, Decimal("31.20")),
        (second.transaction_id, Decimal("22.80")),
    ]
    assert {one.authorization_id for one in found} == {hold.transaction_id}


def test_hold_that_drops_off_and_force_post_leave_no_orphan(client: PexClient, acme: Business) -> None:
    hold = acme.add_purchase("50.00", settled=None)
    acme.remove(hold)
    acme.add_purchase("9.99", auth_id=0)
    (force_post,) = cards(client, pendings=True)
    assert (force_post.amount, force_post.authorization_id) == (Decimal("9.99"), None)


def test_refunds_disputes_declines_and_fees(client: PexClient, acme: Business) -> None:
    acme.add_purchase("-12.50")
    acme.add_dispute("-8.00")
    acme.add_dispute("8.00")
    acme.add_card_fee("1.00")
    acme.add_card_fee("-1.00")
    acme.add_purchase("0.00")
    acme.add_decline("40.00")
    found = cards(client)
    assert [(one.kind, one.amount, one.dispute) for one in found] == [
        (Kind.PURCHASE, Decimal("-12.50"), False),
        (Kind.PURCHASE, Decimal("-8.00"), True),
        (Kind.PURCHASE, Decimal("8.00"), True),
        (Kind.FEE, Decimal("1.00"), False),
        (Kind.FEE, Decimal("-1.00"), False),
        (Kind.PURCHASE, Decimal("0.00"), False),
    ]
    assert [one.declined for one in cards(client, declines=True)].count(True) == 1


@pytest.mark.parametrize("nulls", ["null", "omit"])
@pytest.mark.parametrize("notes", ["null", "list"])
def test_nulls_absent_fields_and_unknown_things_are_tolerated(
    client: PexClient, world: PexWorld, acme: Business, nulls: str, notes: str
) -> None:
    world.switches.nulls, world.switches.empty_notes = nulls, notes
    world.switches.unknown_fields = world.switches.unknown_values = True
    acme.add_purchase("12.50", merchant=None, description=None, approval="NotReviewed", network_id=None)
    acme.add_purchase("1.00", overrides={"TransactionTags": {"Tags": None}, "TransactionNotes": ABSENT})
    acme.add_purchase("2.00", overrides={"TransactionId": 2**45, "TransactionType": "Quantum"})
    acme.add_business_row("CardUnloadSweep", "3.00")
    first, second, third = cards(client)
    assert (first.merchant, first.approval, first.notes) == ("", "AwaitingSecondReview", ())
    assert second.allocations[0].tags == ()
    assert (third.pex_id, third.kind) == (2**45, None)
    assert [(one.kind, one.category) for one in business_rows(client)] == [(None, "CardUnloadSweep")]


@pytest.mark.parametrize("encoding", ["string", "object"])
def test_splits_arrive_in_both_encodings(client: PexClient, acme: Business, encoding: str) -> None:
    tag = acme.add_tag("Account", options=[("5001", "Office")])
    lines = [("6.25", {tag.tag_id: "5001"}), ("6.25", {tag.tag_id: "5001"})]
    acme.add_purchase("12.50", splits=lines, tags={tag.tag_id: "5001"}, split_encoding=encoding)
    acme.add_purchase("12.50", splits=[("6.25", {}), ("6.24", {})], split_encoding=encoding)
    good, bad = cards(client)
    assert [one.amount for one in good.allocations] == [Decimal("6.25")] * 2
    assert good.allocations[0].tags[0].value == "5001"
    assert not good.problem
    assert "12.49" in bad.problem


def test_tags_of_rows_outlive_the_feature_and_the_definition(client: PexClient, acme: Business) -> None:
    tag = acme.add_tag("Account", options=[("5001", "Office")])
    acme.add_purchase("12.50", tags={tag.tag_id: "5001", "65f0ffffffffffffffffffff": "gone"})
    acme.tags_enabled = False
    (found,) = cards(client)
    assert [one.value for one in found.allocations[0].tags] == ["5001", "gone"]
    assert client.tags() is None
    assert client.tag(tag.tag_id) is None


@pytest.mark.parametrize("page_size", [2, 5, 9, 10, 11])
def test_pages_overlap_and_each_row_comes_once(
    client: PexClient, world: PexWorld, acme: Business, sandbox: Desk, page_size: int
) -> None:
    at = sandbox.clock.now() - timedelta(days=30)
    for number in range(10):
        acme.add_purchase("1.00", happened=at + timedelta(minutes=number), settled=at + timedelta(days=1))
    world.switches.page_size = page_size
    found = [one.pex_id for one in cards(client)]
    assert found == sorted(acme.transactions)
    assert len(sandbox.calls.matching("pex", path="AllCardholder")) == {2: 9, 5: 3, 9: 2, 10: 1, 11: 1}[page_size]


def test_page_that_does_not_advance_ends_the_read_as_incomplete(
    client: PexClient, world: PexWorld, acme: Business, sandbox: Desk
) -> None:
    at = sandbox.clock.now() - timedelta(days=30)
    for _ in range(4):
        acme.add_purchase("1.00", happened=at, settled=at)
    world.switches.page_size = 2
    with pytest.raises(RetryLater, match="all transactions"):
        cards(client)
    assert len(sandbox.calls.matching("pex", path="AllCardholder")) == 2


def test_last_page_is_the_last_even_where_the_count_of_pages_never_falls(
    client: PexClient, acme: Business, sandbox: Desk
) -> None:
    row = {"TransactionId": 1, "TransactionAmount": -1, "TransactionTime": "2026-01-01T00:00:00"}
    pages = {"PageSize": 5, "NumberOfPages": 3, "LastTimeRetrieved": "2026-01-01T00:00:00"}
    body = json.dumps({"TransactionList": [row], "Pages": pages})
    sandbox.faults.add("status", path="AllCardholder", status=200, body=body, content_type="application/json")
    assert [one.pex_id for one in cards(client)] == [1]


def test_shuffled_list_and_both_readings_of_the_window(
    client: PexClient, world: PexWorld, acme: Business, sandbox: Desk
) -> None:
    world.switches.shuffled = True
    rows = [acme.add_purchase("1.00") for _ in range(6)]
    for reading in ("transaction", "settlement"):
        world.switches.window_by = reading
        assert sorted(one.pex_id for one in cards(client)) == [row.transaction_id for row in rows]


def test_window_is_eastern_and_both_days_count(client: PexClient, acme: Business, sandbox: Desk) -> None:
    day = (sandbox.clock.now() - timedelta(days=40)).astimezone(mapping.EASTERN).date()
    begin = datetime(day.year, day.month, day.day, tzinfo=mapping.EASTERN)
    for at in (-1, 0, 86_399, 86_400):
        moment = (begin + timedelta(seconds=at)).astimezone(UTC)
        acme.add_purchase("1.00", happened=moment, settled=moment)
    rows = list(client.card_transactions(day, day, bill_pay=True))
    assert [row["TransactionTime"] for row in rows] == [f"{day}T00:00:00", f"{day}T23:59:59"]
    (call,) = sandbox.calls.matching("pex", path="AllCardholder")
    assert "StartDate" in call.query
    assert "Z" not in call.query
    assert "%2B" not in call.query


def test_window_is_clamped_to_twelve_months(client: PexClient, acme: Business, sandbox: Desk) -> None:
    acme.add_purchase("1.00", happened=sandbox.clock.now() - timedelta(days=364))
    assert len(list(client.card_transactions(date(2019, 11, 1), TOMORROW, bill_pay=True))) == 1
    assert list(client.card_transactions(date(2019, 11, 1), date(2019, 12, 1), bill_pay=True)) == []
    assert len(sandbox.calls.matching("pex", path="AllCardholder")) == 1


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        (datetime(2026, 11, 21, 15, tzinfo=UTC), "2025-11-21T10:05:00"),
        (datetime(2028, 2, 29, 15, tzinfo=UTC), "2027-02-28T10:05:00"),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "2025-11-01T01:35:00"),
    ],
)
def test_oldest_moment_asked_for(now: datetime, oldest: str) -> None:
    assert wire._window(date(2020, 1, 1), date(2026, 1, 2), now) == (oldest, "2026-01-02T23:59:59")


def test_bill_pay_charges_are_told_by_reading_twice(client: PexClient, acme: Business) -> None:
    plain = acme.add_purchase("1.00")
    bill = acme.add_purchase("900.00", bill_pay=True)
    without = {one.pex_id for one in cards(client, bill_pay=False)}
    everything = {one.pex_id for one in cards(client, bill_pay=True)}
    assert without == {plain.transaction_id}
    assert everything - without == {bill.transaction_id}


def test_business_list_on_prepaid_and_charge(client: PexClient, acme: Business) -> None:
    acme.add_business_row("BusinessFunding", "500.00", "ACH credit")
    acme.add_business_row("BusinessFunding", "-80.00", "Withdrawal")
    acme.add_business_row("BusinessAccountFee", "-10.00", "Monthly fee")
    acme.add_business_row("BusinessAccountFee", "10.00", "Fee reversal")
    acme.add_business_row("BusinessRebate", "4.00", "Anything")
    acme.add_business_row("BusinessFunding", "3.00", "Rebate Credit")
    acme.add_purchase("1.00")
    assert [(one.kind, one.amount) for one in business_rows(client)] == [
        (Kind.TRANSFER, Decimal("-500.00")),
        (Kind.TRANSFER, Decimal("80.00")),
        (Kind.FEE, Decimal("10.00")),
        (Kind.FEE, Decimal("-10.00")),
        (Kind.REBATE, Decimal("-4.00")),
        (Kind.REBATE, Decimal("-3.00")),
    ]
    assert [one.kind for one in business_rows(client, charge=True)] == [None, None, Kind.FEE, Kind.FEE, None, None]


def test_foreign_purchase_is_in_dollars(client: PexClient, acme: Business) -> None:
    acme.add_purchase("12.50", currency="EURO", currency_number="978", source_amount=Decimal("-11.40"))
    (found,) = cards(client)
    assert (found.amount, found.foreign_amount, found.foreign_currency) == (
        Decimal("12.50"),
        Decimal("11.40"),
        "EUR",
    )


def test_names_of_closed_cards_and_of_cards_nobody_lists(client: PexClient, acme: Business) -> None:
    closed, hidden = acme.add_cardholder("Casey", "Closed"), acme.add_cardholder("Hid", "Den", listed=False)
    closed.close()
    acme.add_purchase("1.00", card=closed)
    acme.add_purchase("2.00", card=hidden)
    names = mapping.cardholders(client.account_details())
    rows = client.card_transactions(YEAR_AGO, TOMORROW, bill_pay=True)
    assert [mapping.card_row(row, names).cardholder for row in rows] == ["Casey Closed", ""]


def test_reading_a_list_does_not_hold_it(client: PexClient, acme: Business) -> None:
    for _ in range(50):
        acme.add_purchase("1.00")
    rows = client.card_transactions(YEAR_AGO, TOMORROW, bill_pay=True)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert len(cards(client)) == 50


# --- bad days ---------------------------------------------------------------------------------------------------------

HTML = "<!DOCTYPE html><h1>502 Bad Gateway</h1>"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 502, "body": HTML, "content_type": "text/html"},
        {"kind": "status", "status": 500},
        {"kind": "drop_before"},
        {"kind": "drop_after"},
    ],
)
def test_short_trouble_is_overcome(client: PexClient, acme: Business, sandbox: Desk, fault: dict[str, Any]) -> None:
    acme.add_purchase("1.00")
    sandbox.faults.add(**fault, path="AllCardholder")
    assert len(cards(client)) == 1
    sandbox.faults.add(**fault, path="Business/Settings")
    assert client.business_settings()["FundingSource"] == "Prepaid"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 502, "body": HTML, "content_type": "text/html", "times": None},
        {"kind": "status", "status": 500, "times": None},
        {"kind": "status", "status": 200, "body": HTML, "content_type": "text/html"},
        {"kind": "status", "status": 200, "body": ""},
        {"kind": "status", "status": 200, "body": '{"Message": "later"}'},
        {"kind": "status", "status": 200, "body": "[]"},
        {"kind": "status", "status": 200, "body": '{"TransactionList": [{"Id": 1}]}'},
        {"kind": "status", "status": 302, "headers": {"Location": "/elsewhere"}},
        {"kind": "truncate"},
        {"kind": "drop_after", "times": None},
    ],
)
def test_long_trouble_is_waited_for(client: PexClient, acme: Business, sandbox: Desk, fault: dict[str, Any]) -> None:
    for _ in range(3):
        acme.add_purchase("1.00")
    sandbox.faults.add(**fault, path="AllCardholder")
    with pytest.raises(RetryLater):
        cards(client)


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "{", HTML, ""])
def test_answers_of_another_shape_are_waited_for(client: PexClient, acme: Business, sandbox: Desk, body: str) -> None:
    for path, call in (("Settings", client.business_settings), ("Attachments", lambda: client.attachments(1))):
        sandbox.faults.add("status", status=200, body=body, path=path, content_type="application/json")
        with pytest.raises(RetryLater):
            call()


def test_null_lists_are_empty(client: PexClient, acme: Business, sandbox: Desk) -> None:
    for path in ("AllCardholder", "TransactionDetails", "Attachments"):
        body = '{"TransactionList": null, "Pages": null, "Attachments": null}'
        sandbox.faults.add("status", status=200, body=body, path=path)
    assert cards(client) == []
    assert business_rows(client) == []
    assert client.attachments(1) == []


@pytest.mark.parametrize(("says_when", "after"), [(True, 3600), (False, 60)])
def test_limits_are_obeyed(client: PexClient, world: PexWorld, acme: Business, says_when: bool, after: float) -> None:
    world.switches.limits, world.switches.retry_after = True, says_when
    world.switches.limit_table = [Limit("GET", "Details/AllCardholderTransactions", 1, 3600)]
    assert cards(client) == []
    with pytest.raises(RetryLater) as caught:
        cards(client)
    assert caught.value.after == pytest.approx(after, abs=2)


# --- the token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_expired_token_is_dead_on_either_code(
    world: PexWorld, acme: Business, session: PexSession, status: int
) -> None:
    world.switches.dead_token_status = status
    client = PexClient(Token("0" * 48), session)
    for call in (client.business_profile, client.my_profile, lambda: cards(client), client.tags, client.renew):
        with pytest.raises(TokenDead, match="has ended"):
            call()
    client.delete_token()


def test_reason_of_death_is_told_once(client: PexClient, alex: Admin) -> None:
    alex.change_password("new")
    with pytest.raises(TokenDead, match="changed the password"):
        client.business_profile()
    with pytest.raises(TokenDead, match="has ended"):
        client.business_profile()


def test_inactive_admin_and_closed_business(world: PexWorld, acme: Business, alex: Admin, session: PexSession) -> None:
    client = PexClient(Token(world.token(alex)), session)
    acme.status = "CLOSED"
    with pytest.raises(TokenDead, match="closed"):
        client.business_profile()
    acme.status = "OPEN"
    alex.deactivate()
    with pytest.raises(TokenDead, match="no longer active"):
        client.business_profile()


def test_other_refusals_of_the_sign_in_do_not_kill_it(client: PexClient, acme: Business, sandbox: Desk) -> None:
    sandbox.faults.add("status", status=401, body='{"Message": "Try another door"}', path="Profile")
    with pytest.raises(NotAuthorized, match="Try another door") as caught:
        client.business_profile()
    assert not isinstance(caught.value, TokenDead)


def test_renewal_only_in_the_last_month(client: PexClient, alex: Admin, shared_clock: Clock) -> None:
    assert client.renew() is None
    shared_clock.advance(timedelta(days=165))
    renewed = client.renew()
    assert renewed is not None
    assert client.current_token()["TokenExpiration"] < renewed["TokenExpiration"]
    shared_clock.advance(timedelta(days=30))
    with pytest.raises(TokenDead):
        client.renew()


@pytest.mark.parametrize(
    ("missing", "label"),
    [("ViewCardTransactions", "View card transactions"), ("ModifyTransactionNotes", "Modify transaction notes")],
)
def test_missing_permission_is_named(client: PexClient, acme: Business, alex: Admin, missing: str, label: str) -> None:
    row = acme.add_purchase("1.00")
    alex.permissions.discard(missing)
    call = {
        "ViewCardTransactions": lambda: cards(client),
        "ModifyTransactionNotes": lambda: client.add_note(row.transaction_id, "Synced"),
    }[missing]
    with pytest.raises(NotAuthorized, match="My Profile") as caught:
        call()
    assert caught.value.permission == label
    assert label in str(caught.value)


def test_secrets_are_not_in_repr(client: PexClient) -> None:
    assert "sesame" not in repr(Token("sesame"))
    assert "sesame" not in repr(PexClient(Token("sesame"), PexSession()))


def test_jwt_is_exchanged_once(world: PexWorld, alex: Admin, session: PexSession) -> None:
    jwt = world.launch_jwt(alex)
    token = wire.exchange(jwt, session, "203.0.113.9")
    assert PexClient(token, session).current_token()["Username"] == "alex.admin"
    with pytest.raises(NotAuthorized, match="Launch PEX Sync again"):
        wire.exchange(jwt, session)
    with pytest.raises(NotAuthorized):
        wire.exchange("nonsense", session)


def test_stale_jwt_is_refused(world: PexWorld, alex: Admin, session: PexSession, shared_clock: Clock) -> None:
    jwt = world.launch_jwt(alex)
    shared_clock.advance(timedelta(minutes=6))
    with pytest.raises(NotAuthorized):
        wire.exchange(jwt, session)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_note_is_system_made_and_visible(client: PexClient, acme: Business) -> None:
    row = acme.add_purchase("1.00")
    number = client.add_note(row.transaction_id, "Synced with Xero · PEXt00000000001")
    (note,) = acme.notes(row.transaction_id)
    assert (note.note_id, note.system, note.visible_to_cardholder) == (number, True, True)
    (found,) = cards(client)
    assert [(one.id, one.system_generated) for one in found.notes] == [(number, True)]


def test_note_may_show_late(client: PexClient, world: PexWorld, acme: Business, shared_clock: Clock) -> None:
    world.switches.note_delay = 60
    row = acme.add_purchase("1.00", settled=shared_clock.now() - timedelta(days=1))
    client.add_note(row.transaction_id, "Synced")
    assert cards(client)[0].notes == ()
    shared_clock.advance(timedelta(seconds=61))
    assert len(cards(client)[0].notes) == 1


@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        ({"kind": "drop_after"}, NoAnswer, 1),
        ({"kind": "drop_before"}, NoAnswer, 0),
        ({"kind": "status_after", "status": 502}, NoAnswer, 1),
        ({"kind": "status", "status": 429}, RetryLater, 0),
    ],
)
def test_note_without_an_answer_is_not_repeated(
    client: PexClient, acme: Business, sandbox: Desk, fault: dict[str, Any], error: type[Exception], stored: int
) -> None:
    row = acme.add_purchase("1.00")
    sandbox.faults.add(**fault, path="Note")
    with pytest.raises(error):
        client.add_note(row.transaction_id, "Synced")
    assert len(acme.notes(row.transaction_id)) == stored


def test_note_whose_answer_cannot_be_read_stands(client: PexClient, acme: Business, sandbox: Desk) -> None:
    row = acme.add_purchase("1.00")
    sandbox.faults.add("truncate", path="Note")
    assert client.add_note(row.transaction_id, "Synced") == 0


def test_note_on_a_row_pex_does_not_find_is_refused(client: PexClient, acme: Business) -> None:
    hold = acme.add_purchase("1.00", settled=None)
    with pytest.raises(RecordRejected, match="not found"):
        client.add_note(hold.transaction_id, "Synced")
    assert client.add_note(hold.transaction_id, "Seen", pending=True)


def test_note_that_never_left(settings: Any) -> None:
    settings.PEX_API_URL = "http://localhost:1"
    with pytest.raises(NotReached):
        PexClient(Token("x"), PexSession()).add_note(1, "Synced")


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_receipts_of_all_kinds_are_listed(client: PexClient, acme: Business, sandbox: Desk) -> None:
    row = acme.add_purchase("1.00")
    assert client.attachments(row.transaction_id) == []
    acme.add_receipt(row, "pdf")
    acme.add_receipt(row, "png", status="NotLoaded", loads_at=sandbox.clock.now() + timedelta(days=1))
    acme.add_receipt(row, "jpeg", status="HasMalware")
    found = [mapping.attachment(one) for one in client.attachments(row.transaction_id)]
    assert [(one.kind, one.ready, bool(one.trouble)) for one in found] == [
        ("Pdf", True, False),
        ("Image", False, False),
        ("Image", False, True),
    ]


@pytest.mark.parametrize(
    ("sample", "content_type", "extension"),
    [("pdf", "application/pdf", "pdf"), ("png", "image/png", "png"), ("jpeg", "image/jpeg", "jpg")],
)
def test_receipt_is_fetched(
    client: PexClient, acme: Business, tmp_path: Path, sample: str, content_type: str, extension: str
) -> None:
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, sample)
    target = tmp_path / "receipt"
    found = client.attachment(row.transaction_id, receipt.attachment_id, target, 10_000_000)
    assert target.read_bytes() == receipt.content
    assert (found.size, found.content_type, found.extension) == (len(receipt.content), content_type, extension)


def test_large_receipt_comes_through_whole(client: PexClient, acme: Business) -> None:
    content = b"%PDF-" + bytes(range(256)) * 4000
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, content)
    to = io.BytesIO()
    assert client.attachment(row.transaction_id, receipt.attachment_id, to, len(content)).size == len(content)
    assert to.getvalue() == content
    with pytest.raises(RecordRejected, match="larger") as caught:
        client.attachment(row.transaction_id, receipt.attachment_id, io.BytesIO(), len(content) - 1)
    assert caught.value.cause == "receipt_too_large"


def full_answer(receipt: Any, link: str | None, content: str | None = None) -> str:
    facts = {"AttachmentId": receipt.attachment_id, "Type": "Pdf", "Size": 3, "UploadStatus": "Loaded"}
    return json.dumps({**facts, "Link": {"related": link}, "Content": content})


def test_receipt_behind_a_link(client: PexClient, acme: Business, sandbox: Desk) -> None:
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, "pdf")
    (listed,) = client.attachments(row.transaction_id)
    link = listed["Link"]["related"]
    sandbox.faults.add("status", status=200, body=full_answer(receipt, link), path="Attachment/")
    to = io.BytesIO()
    client.attachment(row.transaction_id, receipt.attachment_id, to, 10_000_000)
    assert to.getvalue() == documents.pdf("Corner Hardware #114", row.happened.date().isoformat(), "TOTAL 1.00 USD")


def test_link_that_has_expired_is_asked_for_again_later(
    client: PexClient, world: PexWorld, acme: Business, sandbox: Desk
) -> None:
    world.switches.link_seconds = 0
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, "pdf")
    link = client.attachments(row.transaction_id)[0]["Link"]["related"]
    sandbox.faults.add("status", status=200, body=full_answer(receipt, link), path="Attachment/")
    with pytest.raises(RetryLater, match="did not open"):
        client.attachment(row.transaction_id, receipt.attachment_id, io.BytesIO(), 10_000_000)


@pytest.mark.parametrize("link", [None, "", "http://elsewhere.example/file", "file:///etc/hosts", "javascript:1"])
def test_link_nobody_should_open(client: PexClient, acme: Business, sandbox: Desk, link: str | None) -> None:
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, "pdf")
    sandbox.faults.add("status", status=200, body=full_answer(receipt, link), path="Attachment/")
    with pytest.raises(RecordRejected, match="no file"):
        client.attachment(row.transaction_id, receipt.attachment_id, io.BytesIO(), 10_000_000)


@pytest.mark.parametrize(
    ("status", "error"),
    [("NotLoaded", RetryLater), ("HasMalware", RecordRejected), ("LoadFailed", RecordRejected)],
)
def test_receipt_that_is_not_ready(client: PexClient, acme: Business, status: str, error: type[Exception]) -> None:
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, "pdf", status=status)
    with pytest.raises(error):
        client.attachment(row.transaction_id, receipt.attachment_id, io.BytesIO(), 10_000_000)


def test_receipt_that_is_gone(client: PexClient, acme: Business) -> None:
    row = acme.add_purchase("1.00")
    with pytest.raises(RecordRejected) as caught:
        client.attachment(row.transaction_id, "0" * 24, io.BytesIO(), 10_000_000)
    assert caught.value.cause == "receipt_gone"


def test_receipt_cut_off_is_fetched_later(client: PexClient, acme: Business, sandbox: Desk) -> None:
    row = acme.add_purchase("1.00")
    receipt = acme.add_receipt(row, "pdf")
    sandbox.faults.add("truncate", path="Attachment/")
    with pytest.raises(RetryLater):
        client.attachment(row.transaction_id, receipt.attachment_id, io.BytesIO(), 10_000_000)


# --- tags -------------------------------------------------------------------------------------------------------------


def test_tags_are_listed_and_one_tag_shows_hidden_options(client: PexClient, acme: Business) -> None:
    group = acme.add_group("Crew")
    tag = acme.add_tag("Account", options=[("5001", "Office")], required=True)
    tag.add_option("5002", "Secret", groups=[group])
    (listed,) = client.tags() or []
    assert mapping.tag(listed).required
    one = client.tag(tag.tag_id)
    assert one is not None
    assert [option.value for option in mapping.tag(one).options] == ["5001", "5002"]
    assert client.tag("65f0ffffffffffffffffffff") is None


def test_a_dropdown_is_replaced_with_what_is_hidden_in_it(client: PexClient, acme: Business) -> None:
    crew = acme.add_group("Crew")
    tag = acme.add_tag("Account", options=[("5001", "Office")], required=True)
    tag.description = "Where from?"
    tag.add_option("5002", "Secret", groups=[crew])
    given = client.tag(tag.tag_id)
    assert given is not None
    options = mapping.tag(given).options
    renamed = replace(options[0], name="Rooms")
    assert client.replace_dropdown(tag.tag_id, mapping.dropdown(given, [renamed, options[1]]))
    assert [(option.name, option.groups) for option in tag.options] == [("Rooms", set()), ("Secret", {crew})]
    assert (tag.name, tag.description, tag.required) == ("Account", "Where from?", True)


def test_a_tag_changed_meanwhile_is_not_replaced(client: PexClient, acme: Business, world: PexWorld) -> None:
    tag = acme.add_tag("Account", options=[("5001", "Office")])
    given = client.tag(tag.tag_id)
    assert given is not None
    world.switches.tag_keys_checked = True
    body = mapping.dropdown(given, mapping.tag(given).options)
    assert client.replace_dropdown(tag.tag_id, body)
    assert not client.replace_dropdown(tag.tag_id, body)
    tag.deleted = True
    assert not client.replace_dropdown(tag.tag_id, body)


def test_large_tag(client: PexClient, acme: Business) -> None:
    acme.add_tag("Account", options=[(str(number), f"Account {number}") for number in range(5000)])
    (listed,) = client.tags() or []
    assert len(mapping.tag(listed).options) == 5000


# --- headers ----------------------------------------------------------------------------------------------------------


def test_each_call_is_named_and_the_person_is_told_on_exchange(
    monkeypatch: pytest.MonkeyPatch, world: PexWorld, alex: Admin, session: PexSession
) -> None:
    seen: list[dict[str, str]] = []
    session.client.event_hooks["request"].append(lambda request: seen.append(dict(request.headers)))
    token = wire.exchange(world.launch_jwt(alex), session, "203.0.113.9")
    client = PexClient(token, session)
    client.business_profile()
    client.business_settings()
    assert [one.get("x-forwarded-for") for one in seen] == ["203.0.113.9", None, None]
    assert len({one["x-correlation-id"] for one in seen}) == 3
    assert seen[1]["authorization"] == f"token {token.text}"
