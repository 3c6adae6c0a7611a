"""Transfers and bill payments: records of their own kind in Xero, made one by one and never changed."""

import time
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from connectors.connector import Deadline
from connectors.errors import NotAuthorized, RetryLater
from connectors.records import Fate, Kind, Line, NotSent, Posted, Receipt, Refused, Unknown

pytestmark = pytest.mark.database

TRANSFERS = "BankTransfers"


def kinds(outcomes):
    return {key: type(outcome) for key, outcome in outcomes.items()}


def made(acme):
    return [
        (one.from_account.name, one.to_account.name, one.amount, one.date, one.reference)
        for one in acme.organisation.live_transfers()
    ]


def refuse(acme, message, times=1):
    body = (
        '{"ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred",'
        f' "Elements": [{{"ValidationErrors": [{{"Message": "{message}"}}]}}]}}'
    )
    acme.desk.faults.add(
        "status", method="PUT", path=TRANSFERS, status=400, content_type="application/json", body=body, times=times
    )


# --- post


def test_money_moves_between_the_bank_and_pex_by_its_sign(acme, xero, soon):
    batch = [
        acme.transfer(1, "-500.00"),
        acme.transfer(2, "120.50"),
        acme.transfer(3, "-75.25", kind=Kind.BILL_PAYMENT),
        acme.transfer(4, "75.25", kind=Kind.BILL_PAYMENT),
    ]

    outcomes = xero.post(batch, soon)

    assert set(kinds(outcomes).values()) == {Posted}
    day, bank, pex = date(2026, 7, 3), "Business Checking", "PEX Cash"
    assert made(acme) == [
        (bank, pex, Decimal("500.00"), day, "PEXT8000001"),
        (pex, bank, Decimal("120.50"), day, "PEXT8000002"),
        (bank, pex, Decimal("75.25"), day, "PEXT8000003"),
        (pex, bank, Decimal("75.25"), day, "PEXT8000004"),
    ]
    assert acme.organisation.balance(acme.bank) == Decimal("379.50")
    assert [outcome.record_id for outcome in outcomes.values()] == list(acme.organisation.bank_transfers)
    assert acme.calls("PUT", TRANSFERS) == 4


def test_a_transfer_can_be_opened(acme, xero, soon):
    outcome = xero.post([acme.transfer()], soon)["PEXT8000001"]

    assert outcome.link.endswith(f"/Bank/ViewTransfer.aspx?bankTransferID={outcome.record_id}")


def test_documents_go_in_one_call_before_the_transfers_of_their_batch(acme, xero, soon):
    batch = [acme.transfer(1), acme.entry(2), acme.transfer(3), acme.entry(4)]

    outcomes = xero.post(batch, soon)

    assert list(outcomes) == [entry.key for entry in batch]
    assert set(kinds(outcomes).values()) == {Posted}
    assert [call.path.rpartition("/")[2] for call in acme.desk.calls.matching("xero-api", "PUT")] == [
        "BankTransactions",
        TRANSFERS,
        TRANSFERS,
    ]


def test_a_transfer_needs_no_contact(acme, xero, soon):
    xero.prepare([acme.transfer()])
    xero.post([acme.transfer()], soon)

    assert acme.calls(path="Contacts") == 0


@pytest.mark.parametrize(
    ("account", "says"),
    [
        (lambda acme: acme.organisation.add_bank_account("Old", status="ARCHIVED"), "Old is archived in Xero"),
        (lambda acme: acme.organisation.add_bank_account("Euro", currency="EUR"), "Euro is kept in EUR"),
        (lambda acme: acme.bank, "PEX Cash is the PEX account itself"),
        (lambda acme: acme.fuel, "on the other side is not in Xero any more"),
    ],
)
def test_an_unfit_bank_account_on_the_other_side_is_said_before_anything_is_sent(acme, xero, soon, account, says):
    entry = acme.transfer(lines=(Line(Decimal("-500.00"), account(acme).id, "Funding"),))

    refused = xero.post([entry], soon)[entry.key]

    assert isinstance(refused, Refused)
    assert says in refused.says
    assert (refused.cause, refused.field) == ("bank_account", "transfer:account")
    assert acme.calls("PUT") == 0


def test_a_refused_transfer_does_not_stop_the_others(acme, xero, soon):
    acme.organisation.period_lock_date = date(2026, 6, 30)
    late = acme.transfer(2, date=date(2026, 6, 30))

    outcomes = xero.post([acme.transfer(1), late, acme.transfer(3)], soon)

    assert list(kinds(outcomes).values()) == [Posted, Refused, Posted]
    assert (outcomes[late.key].cause, outcomes[late.key].says.split(".")[0]) == (
        "period",
        "Closed to 30 Jun 2026 in Xero",
    )


def test_several_messages_of_a_refusal_are_all_shown(acme, xero, soon):
    refuse(acme, 'Too small."}, {"Message": "Too odd.', times=2)

    assert xero.post([acme.transfer()], soon)["PEXT8000001"].says == "Too small. Too odd."


def test_what_was_mended_in_xero_goes_although_xero_remembers_the_refusal(acme, xero, soon):
    acme.organisation.period_lock_date = date(2026, 7, 3)
    first = xero.post([acme.transfer()], soon)["PEXT8000001"]
    again = xero.post([acme.transfer()], Deadline.after(30))["PEXT8000001"]
    acme.organisation.period_lock_date = None

    mended = xero.post([acme.transfer()], Deadline.after(30))["PEXT8000001"]

    assert (type(first), type(again), type(mended)) == (Refused, Refused, Posted)
    assert len(made(acme)) == 1


@pytest.mark.parametrize("fault", ["drop_after", "truncate", "status_after"])
def test_an_answer_that_got_lost_leaves_that_transfer_in_doubt_and_the_others_go(acme, xero, soon, fault):
    acme.desk.faults.add(fault, method="PUT", path=TRANSFERS)

    outcomes = xero.post([acme.transfer(1), acme.transfer(2)], soon)

    assert list(kinds(outcomes).values()) == [Unknown, Posted]
    assert len(made(acme)) == 2


def test_a_silent_xero_gets_no_more_transfers(acme, xero, soon):
    acme.desk.faults.add("drop_before", method="PUT", path=TRANSFERS, times=None)

    outcomes = xero.post([acme.transfer(number) for number in range(1, 6)], soon)

    assert list(kinds(outcomes).values()) == [Unknown, Unknown, NotSent, NotSent, NotSent]
    assert acme.calls("PUT", TRANSFERS) == 2


def test_an_answer_about_another_transfer_proves_nothing(acme, xero, soon):
    body = (
        '{"BankTransfers": [{"BankTransferID": "5a2b7c1d-0e4f-4a6b-8c9d-1e2f3a4b5c6d", "Reference": "PEXT9",'
        ' "Amount": 500.00}]}'
    )
    acme.desk.faults.add(
        "status_after", method="PUT", path=TRANSFERS, status=200, content_type="application/json", body=body
    )

    assert isinstance(xero.post([acme.transfer()], soon)["PEXT8000001"], Unknown)


def test_a_refusal_nobody_can_interpret_leaves_it_in_doubt(acme, xero, soon):
    acme.desk.faults.add(
        "status", method="PUT", path=TRANSFERS, status=400, content_type="application/json", body='{"Message": "Hm"}'
    )

    assert xero.post([acme.transfer()], soon)["PEXT8000001"] == Unknown("Hm")
    assert acme.calls("PUT", TRANSFERS) == 1


def test_after_too_many_calls_the_rest_is_not_even_tried(acme, xero, soon):
    headers = {"X-Rate-Limit-Problem": "minute", "Retry-After": "22"}
    xero.post([acme.transfer(1)], soon)
    acme.desk.faults.add("status", method="PUT", path=TRANSFERS, status=429, headers=headers)

    outcomes = xero.post([acme.transfer(2), acme.transfer(3), acme.transfer(4)], soon)

    assert {outcome.after for outcome in outcomes.values() if isinstance(outcome, NotSent)} == {22}
    assert set(kinds(outcomes).values()) == {NotSent}
    assert acme.calls("PUT", TRANSFERS) == 2
    assert len(made(acme)) == 1


def test_nothing_is_sent_after_the_deadline(acme, xero):
    outcomes = xero.post([acme.transfer(1), acme.transfer(2)], Deadline(time.monotonic() - 1, time.time() + 30))

    assert set(kinds(outcomes).values()) == {NotSent}
    assert acme.calls("PUT") == 0


def test_a_sign_in_that_ends_half_way_leaves_the_rest_unsent_and_what_was_posted_reported(acme, xero, soon):
    xero.post([acme.transfer(1)], soon)  # all is read
    acme.desk.faults.add("status", method="PUT", path=TRANSFERS, status=401, times=None)

    outcomes = xero.post([acme.entry(5), acme.transfer(2), acme.transfer(3)], soon)

    assert list(kinds(outcomes).values()) == [Posted, NotSent, NotSent]


def test_a_sign_in_that_has_ended_before_anything_was_sent_stops_the_run(acme, xero, soon):
    acme.desk.faults.add("status", method="PUT", path=TRANSFERS, status=401, times=None)

    with pytest.raises(NotAuthorized):
        xero.post([acme.transfer(1), acme.transfer(2)], soon)
    assert made(acme) == []


def test_the_same_transfer_sent_again_is_answered_from_memory(acme, xero, again, soon):
    first = xero.post([acme.transfer()], soon)["PEXT8000001"]

    second = again().post([acme.transfer()], Deadline.after(30))["PEXT8000001"]

    assert first.record_id == second.record_id
    assert len(made(acme)) == 1


# --- find


@pytest.mark.parametrize("legs", [True, False])
def test_a_transfer_is_found_once_whether_xero_lists_its_legs_or_not(acme, xero, again, soon, legs):
    acme.switch(legs_visible=legs)
    there, absent = acme.transfer(1), acme.transfer(2)
    record_id = xero.post([there], soon)[there.key].record_id
    around = [acme.entry(0), acme.entry(9)]  # purchases whose search covers the keys of the transfers, too

    found = again().find([acme.sent(one, in_doubt=True) for one in (there, absent, *around)])

    assert (found[there.key].fate, found[there.key].record_id) == (Fate.LIVE, record_id)
    assert found[there.key].link.endswith(f"bankTransferID={record_id}")
    assert {found[one.key].fate for one in (absent, *around)} == {Fate.ABSENT}


def test_all_transfers_of_a_look_take_one_call_and_no_other(acme, xero, again, soon):
    batch = [acme.transfer(number) for number in range(1, 31)]
    xero.post(batch, soon)
    acme.desk.calls.clear()

    found = again().find([acme.sent(entry, in_doubt=True) for entry in batch])

    assert {what.fate for what in found.values()} == {Fate.LIVE}
    assert acme.calls("GET", "Bank") == 1


def test_nobody_asks_for_transfers_while_there_are_only_purchases(acme, xero):
    xero.find([acme.sent(acme.entry(1), in_doubt=True)])

    assert acme.calls("GET", TRANSFERS) == 0


def test_a_deleted_transfer_is_dead(acme, xero, again, soon):
    entry = acme.transfer()
    record_id = xero.post([entry], soon)[entry.key].record_id
    acme.organisation.delete_transfer(acme.organisation.bank_transfers[record_id], "A person")

    for known in ("", record_id):
        assert again().find([acme.sent(entry, record_id=known)])[entry.key].fate is Fate.DEAD


def test_a_second_transfer_with_the_key_is_doubled(acme, xero, again, soon):
    entry = acme.transfer()
    xero.post([entry], soon)
    acme.desk.clock.advance(timedelta(minutes=30))
    xero.post([replace(entry, memo="once more")], Deadline.after(30))

    assert len(made(acme)) == 2
    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.DOUBLED


def test_an_earlier_generation_that_still_lives_is_found(acme, xero, again, soon):
    first = acme.transfer()
    record_id = xero.post([first], soon)[first.key].record_id
    second = replace(first, key=f"{first.key}-2")

    found = again().find([acme.sent(second, earlier=(first.key,))])[second.key]

    assert (found.fate, found.record_id) == (Fate.LIVE, record_id)


def test_a_filter_xero_refuses_leaves_rows_unseen_and_those_in_doubt_are_asked_for_one_by_one(acme, xero, again, soon):
    doubtful, new = acme.transfer(1), acme.transfer(2)
    xero.post([doubtful], soon)
    acme.desk.faults.add(
        "status", path=TRANSFERS, status=400, content_type="application/json", body='{"ErrorNumber": 16}'
    )

    found = again().find([acme.sent(doubtful, in_doubt=True), acme.sent(new)])

    assert (found[doubtful.key].fate, found[new.key].fate) == (Fate.LIVE, Fate.UNSEEN)


def test_a_list_that_came_in_pages_after_all_is_not_taken_for_complete(acme, xero):
    body = '{"pagination": {"page": 1, "pageSize": 1, "pageCount": 2, "itemCount": 2}, "BankTransfers": []}'
    for _ in range(2):
        acme.desk.faults.add("status", path=TRANSFERS, status=200, content_type="application/json", body=body)

    entry = acme.transfer()

    assert xero.find([acme.sent(entry, in_doubt=True)])[entry.key].fate is Fate.UNSEEN


def test_a_look_that_gets_no_answer_is_made_later(acme, xero):
    acme.desk.faults.add("status", path=TRANSFERS, status=503, times=None)

    with pytest.raises(RetryLater):
        xero.find([acme.sent(acme.transfer(), in_doubt=True)])


def test_a_person_may_name_the_transfer_one_of_its_legs_or_a_receive_money_instead(acme, xero, soon):
    entry = acme.transfer()
    by_hand = replace(entry, key="typed by hand")
    record_id = xero.post([by_hand], soon)[by_hand.key].record_id
    transfer = acme.organisation.bank_transfers[record_id]
    typed = acme.organisation.post_by_hand(
        amount="500.00", type="RECEIVE", bank_account=acme.bank, date=entry.date, account=acme.fuel
    )

    def named(record):
        return xero.find([acme.sent(entry, record_id=record, in_doubt=True)])[entry.key]

    assert (named(record_id).fate, named(record_id).record_id) == (Fate.LIVE, record_id)
    assert (named(transfer.to_leg.id).fate, named(transfer.to_leg.id).record_id) == (Fate.LIVE, record_id)
    assert (named(typed.id).fate, named(typed.id).record_id) == (Fate.LIVE, typed.id)
    assert named("00000000-1111-4222-8333-444444444444").fate is Fate.ABSENT


def test_a_purchase_that_was_entered_as_a_transfer_can_be_named(acme, xero, soon):
    purchase = acme.entry(1, "120.50")
    by_hand = acme.transfer(2, "120.50", key="typed by hand")
    record_id = xero.post([by_hand], soon)[by_hand.key].record_id

    found = xero.find([acme.sent(purchase, record_id=record_id, in_doubt=True)])[purchase.key]

    assert (found.fate, found.record_id) == (Fate.LIVE, record_id)


# --- books


@pytest.mark.parametrize("legs", [True, False])
def test_the_books_list_each_movement_once_as_pex_sees_it(acme, xero, soon, legs):
    acme.switch(legs_visible=legs)
    other = acme.organisation.add_bank_account("Payroll")
    elsewhere = acme.transfer(4, key="elsewhere", account=other.id)
    batch = [acme.transfer(1, "-500.00"), acme.transfer(2, "120.50"), acme.entry(3, "41.87"), elsewhere]
    outcomes = xero.post(batch, soon)
    deleted = acme.organisation.bank_transfers[outcomes["PEXT8000002"].record_id]
    acme.organisation.delete_transfer(deleted, "A person")
    xero.post([acme.transfer(5, date=date(2026, 8, 1))], Deadline.after(30))

    records = xero.books(date(2026, 7, 1), date(2026, 7, 31))

    assert {(record.id, record.amount, record.party, record.live) for record in records} == {
        (outcomes["PEXT8000001"].record_id, Decimal("-500.00"), "Business Checking", True),
        (outcomes["PEXT8000002"].record_id, Decimal("120.50"), "Business Checking", False),
        (outcomes["PEXT8000003"].record_id, Decimal("41.87"), "Shell", True),
    }


def test_the_books_of_pex_are_read_past_20_000_records_of_others_in_two_calls(acme, xero):
    acme.organisation.add_foreign_transactions(20_000)
    xero.closed_until()
    acme.desk.calls.clear()

    assert xero.books(date(2000, 1, 1), date(2100, 1, 1)) == []
    assert acme.calls() == 2


def test_books_whose_account_cannot_be_filtered_by_are_read_whole(acme, xero, soon):
    xero.post([acme.entry(1)], soon)
    acme.desk.faults.add(
        "status", path="BankTransactions", status=400, content_type="application/json", body='{"ErrorNumber": 16}'
    )

    assert len(xero.books(date(2026, 7, 1), date(2026, 7, 31))) == 1


def test_books_without_a_list_of_transfers_are_read_later(acme, xero):
    acme.desk.faults.add(
        "status", path=TRANSFERS, status=400, content_type="application/json", body='{"ErrorNumber": 16}'
    )

    with pytest.raises(RetryLater):
        xero.books(date(2026, 7, 1), date(2026, 7, 31))


# --- attach


def test_a_receipt_finds_the_transfer_it_belongs_to(acme, xero, soon, tmp_path):
    record_id = xero.post([acme.transfer()], soon)["PEXT8000001"].record_id
    path = tmp_path / "one.pdf"
    path.write_bytes(b"%PDF")
    receipt = Receipt("a", "pex-1-a.pdf", path, "application/pdf", 4)
    acme.desk.faults.add("drop_after", method="PUT", path=f"{TRANSFERS}/.*/Attachments")

    assert isinstance(xero.attach(record_id, [receipt])["a"], Posted)
    assert [one.file_name for one in acme.organisation.bank_transfers[record_id].attachments] == ["pex-1-a.pdf"]
