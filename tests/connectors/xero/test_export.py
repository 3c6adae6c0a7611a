import threading
import time
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from connectors.connector import Deadline
from connectors.errors import NotAuthorized, RetryLater, SettingsNeeded
from connectors.records import Fate, Line, NotSent, Party, Posted, Receipt, Refused, Unknown

pytestmark = pytest.mark.database

ARCHIVED = "is archived in Xero"


def entries(acme, count=3):
    return [acme.entry(number, f"{number}.50") for number in range(1, count + 1)]


def kinds(outcomes):
    return {key: type(outcome) for key, outcome in outcomes.items()}


# --- post


def test_a_batch_is_posted_in_one_call(acme, xero, soon):
    outcomes = xero.post(entries(acme), soon)

    assert set(kinds(outcomes).values()) == {Posted}
    assert acme.calls("PUT", "BankTransactions") == 1
    assert [one.total for one in acme.organisation.live()] == [Decimal("1.50"), Decimal("2.50"), Decimal("3.50")]


def test_what_is_posted_carries_its_key_twice_and_can_be_opened(acme, xero, soon):
    entry = acme.entry(1)

    outcome = xero.post([entry], soon)[entry.key]

    (record,) = acme.organisation.live()
    assert (record.reference, record.url, record.id) == (entry.key, entry.url, outcome.record_id)
    assert (record.date, record.bank_account, record.contact) == (date(2026, 7, 3), acme.bank, acme.shell)
    assert outcome.link.endswith(
        f"shortcode=%21ACME1&redirecturl=/Bank/ViewTransaction.aspx?bankTransactionID={record.id}"
    )


def test_splits_and_refunds_stand_to_the_cent(acme, xero, soon):
    split = acme.entry(
        1,
        "50.00",
        lines=(Line(Decimal("33.33"), acme.fuel.id, "Fuel"), Line(Decimal("16.67"), acme.office.id, "Paper")),
    )
    refund = acme.entry(2, "-9.99")

    xero.post([split, refund], soon)

    first, second = acme.organisation.live()
    assert [line.line_amount for line in first.lines] == [Decimal("33.33"), Decimal("16.67")]
    assert (second.type, second.total) == ("RECEIVE", Decimal("9.99"))


def test_tax_is_carved_out_and_the_total_stays_the_card_amount(acme, xero, soon):
    acme.organisation.pays_tax = True
    acme.organisation.add_tax_rate("Tax on purchases", "INPUT", "8.25")
    acme.organisation.change_account(acme.fuel, tax_type="INPUT")

    outcome = xero.post([acme.entry(1, "10.00")], soon)["PEXT8000001"]

    (record,) = acme.organisation.live()
    assert (record.total, record.total_tax) == (Decimal("10.00"), Decimal("0.76"))
    assert outcome.says == ""


@pytest.mark.parametrize(
    "switches", [{"failed_id": "zero"}, {"failed_id": "none"}, {"failed_id": "real"}, {"failed_errors": "nested"}]
)
@pytest.mark.parametrize("shuffled", [False, True])
def test_one_bad_entry_does_not_stop_the_others(acme, xero, soon, switches, shuffled):
    acme.switch(shuffled=shuffled, **switches)
    acme.organisation.change_account(acme.office, status="ARCHIVED")
    bad = acme.entry(2, lines=(Line(Decimal("41.87"), acme.office.id, "Paper"),))

    outcomes = xero.post([acme.entry(1), bad, acme.entry(3)], soon)

    assert kinds(outcomes) == {"PEXT8000001": Posted, "PEXT8000002": Refused, "PEXT8000003": Posted}
    assert ARCHIVED in outcomes["PEXT8000002"].says
    ids = {outcome.record_id: key for key, outcome in outcomes.items() if isinstance(outcome, Posted)}
    assert {record.id: record.reference for record in acme.organisation.live()} == ids


def test_a_shuffled_answer_is_put_in_order(acme, xero, soon):
    acme.switch(shuffled=True)

    outcomes = xero.post(entries(acme, 7), soon)

    assert {outcome.record_id: key for key, outcome in outcomes.items()} == {
        record.id: record.reference for record in acme.organisation.live()
    }


def test_a_closed_period_is_said_in_our_words(acme, xero, soon):
    acme.organisation.period_lock_date = date(2026, 7, 3)

    refused = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert (refused.cause, refused.says.split(".")[0]) == ("period", "Closed to 3 Jul 2026 in Xero")


def test_what_was_mended_in_xero_goes_at_the_next_try_although_xero_remembers_the_first(acme, xero, soon):
    acme.organisation.change_account(acme.fuel, status="ARCHIVED")
    first = xero.post([acme.entry(1)], soon)["PEXT8000001"]
    again = xero.post([acme.entry(1)], soon)["PEXT8000001"]
    acme.organisation.change_account(acme.fuel, status="ACTIVE")

    mended = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert (type(first), type(again), type(mended)) == (Refused, Refused, Posted)
    assert len(acme.organisation.live()) == 1


@pytest.mark.parametrize("fault", ["drop_after", "truncate", "status_after"])
def test_an_answer_that_got_lost_leaves_all_in_doubt(acme, xero, soon, fault):
    acme.desk.faults.add(fault, method="PUT", path="BankTransactions")

    outcomes = xero.post(entries(acme), soon)

    assert set(kinds(outcomes).values()) == {Unknown}
    assert len(acme.organisation.live()) == 3
    assert acme.calls("PUT", "BankTransactions") == 1


def test_a_connection_lost_before_anything_was_done_leaves_all_in_doubt_too(acme, xero, soon):
    acme.desk.faults.add("drop_before", method="PUT", path="BankTransactions")

    assert set(kinds(xero.post(entries(acme), soon)).values()) == {Unknown}
    assert acme.organisation.live() == []


def test_a_late_commit_is_in_doubt_and_found_later(acme, xero, soon, again):
    acme.desk.faults.add("late_commit", method="PUT", path="BankTransactions", seconds=0.2)
    entry = acme.entry(1)

    first = xero.post([entry], soon)[entry.key]
    early = again().find([acme.sent(entry, in_doubt=True)])[entry.key]
    wait_for(lambda: acme.organisation.live())
    late = again().find([acme.sent(entry, in_doubt=True)])[entry.key]

    assert isinstance(first, Unknown)
    assert (early.fate, late.fate) == (Fate.ABSENT, Fate.LIVE)


def test_xeros_own_500_after_the_work_leaves_all_in_doubt(acme, xero, soon):
    acme.switch(server_errors=1)

    assert set(kinds(xero.post(entries(acme), soon)).values()) == {Unknown}


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"X-Rate-Limit-Problem": "Minute", "Retry-After": "22"}, 22),
        ({"X-Rate-Limit-Problem": "day", "Retry-After": "66975"}, 66975),
        ({"X-Rate-Limit-Problem": "appminute", "Retry-After": "7"}, 7),
        ({"X-Rate-Limit-Problem": "CONCURRENT"}, 2),
    ],
)
def test_too_many_calls_means_surely_not_sent(acme, xero, soon, headers, after):
    acme.desk.faults.add("status", method="PUT", path="BankTransactions", status=429, headers=headers)

    outcomes = xero.post(entries(acme), soon)

    assert {outcome.after for outcome in outcomes.values() if isinstance(outcome, NotSent)} == {after}
    assert acme.organisation.live() == []


def test_the_last_calls_of_the_day_are_kept_for_looks(acme, xero, soon):
    acme.switch(limits=True, day_limit=33)
    for _ in range(2):
        xero.find([acme.sent(acme.entry(1))])

    outcomes = xero.post(entries(acme), soon)

    assert set(kinds(outcomes).values()) == {NotSent}
    assert acme.calls("PUT") == 0


def test_nothing_is_sent_after_the_deadline(acme, xero):
    outcomes = xero.post(entries(acme), Deadline(time.monotonic() - 1, time.time() + 30))

    assert set(kinds(outcomes).values()) == {NotSent}
    assert acme.calls("PUT", "BankTransactions") == 0


def test_a_call_that_waited_too_long_for_a_socket_is_not_sent(acme, xero, soon):
    xero.post([acme.entry(9)], soon)
    acme.desk.calls.clear()
    for _ in range(4):
        acme.desk.faults.add("slow", path="Accounts", seconds=0.5)
    busy = [threading.Thread(target=xero.client.accounts) for _ in range(4)]
    for thread in busy:
        thread.start()
    wait_for(lambda: len(acme.desk.faults.active) == 0)

    outcomes = xero.post(entries(acme), Deadline.after(0.1))

    for thread in busy:
        thread.join()
    assert set(kinds(outcomes).values()) == {NotSent}
    assert acme.calls("PUT", "BankTransactions") == 0


def test_the_same_batch_sent_again_is_answered_from_memory(acme, xero, soon, again):
    first = xero.post(entries(acme), soon)

    second = again().post(entries(acme), soon)

    assert {key: outcome.record_id for key, outcome in first.items()} == {
        key: outcome.record_id for key, outcome in second.items()
    }
    assert len(acme.organisation.live()) == 3


def test_another_batch_has_another_key_of_at_most_128_letters(acme, xero, soon):
    xero.post([acme.entry(1)], soon)
    xero.post([acme.entry(2)], soon)

    keys = [call.key for call in acme.desk.calls.matching("xero-api", "PUT", "BankTransactions")]
    assert len(set(keys)) == 2
    assert all(0 < len(key) <= 128 for key in keys)


def test_a_body_xero_cannot_read_is_halved_until_the_culprit_is_alone(acme, xero, soon):
    unreadable = acme.entry(3, lines=(Line(Decimal("41.87"), "not-an-account-id", "Fuel"),))
    batch = [acme.entry(1), acme.entry(2), unreadable, acme.entry(4)]

    outcomes = xero.post(batch, soon)

    assert [key for key, outcome in outcomes.items() if isinstance(outcome, Refused)] == [unreadable.key]
    assert len(acme.organisation.live()) == 3
    keys = [call.key for call in acme.desk.calls.matching("xero-api", "PUT", "BankTransactions")]
    assert len(set(keys)) == len(keys)


def test_a_body_that_is_too_large_is_halved(acme, xero, soon):
    acme.switch(body_bytes=2000)

    outcomes = xero.post(entries(acme, 8), soon)

    assert set(kinds(outcomes).values()) == {Posted}
    assert len(acme.organisation.live()) == 8


def test_halves_go_on_only_while_there_is_time(acme, xero):
    acme.desk.faults.add(
        "status", method="PUT", path="BankTransactions", status=413, content_type="application/json", body="{}"
    )
    acme.desk.faults.add("slow", method="PUT", path="BankTransactions", seconds=1.2)
    xero.prepare(entries(acme))

    outcomes = xero.post(entries(acme, 2), Deadline.after(1))

    assert sorted(kind.__name__ for kind in kinds(outcomes).values()) == ["NotSent", "Posted"]


def test_a_refusal_nobody_can_interpret_leaves_all_in_doubt(acme, xero, soon):
    acme.desk.faults.add(
        "status",
        method="PUT",
        path="BankTransactions",
        status=400,
        content_type="application/json",
        body='{"Message": "The key was used before"}',
    )

    outcomes = xero.post(entries(acme), soon)

    assert {outcome.says for outcome in outcomes.values() if isinstance(outcome, Unknown)} == {
        "The key was used before"
    }
    assert acme.calls("PUT", "BankTransactions") == 1


def test_a_whole_batch_refused_by_rule_names_the_culprit_and_sends_the_rest(acme, xero, soon):
    body = (
        '{"ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred",'
        ' "Elements": [{"Reference": "PEXT8000002", "ValidationErrors": [{"Message": "Account must be valid."}]}]}'
    )
    acme.desk.faults.add(
        "status", method="PUT", path="BankTransactions", status=400, content_type="application/json", body=body
    )

    outcomes = xero.post(entries(acme), soon)

    assert kinds(outcomes) == {"PEXT8000001": Posted, "PEXT8000002": Refused, "PEXT8000003": Posted}
    assert outcomes["PEXT8000002"].field == "account"


@pytest.mark.parametrize("status", [408, 409, 302])
def test_an_answer_that_proves_nothing_leaves_all_in_doubt(acme, xero, soon, status):
    acme.desk.faults.add("status", method="PUT", path="BankTransactions", status=status)

    assert set(kinds(xero.post(entries(acme), soon)).values()) == {Unknown}


def test_an_element_missing_in_the_answer_leaves_its_row_in_doubt(acme, xero, soon):
    body = '{"Id": "a", "BankTransactions": []}'
    acme.desk.faults.add(
        "status_after", method="PUT", path="BankTransactions", status=200, content_type="application/json", body=body
    )

    assert set(kinds(xero.post(entries(acme), soon)).values()) == {Unknown}


def test_a_bank_account_in_another_currency_is_never_written_to(acme, xero, soon):
    euro = acme.organisation.add_bank_account("PEX Euro", currency="EUR")

    refused = xero.post([acme.entry(1, account=euro.id)], soon)["PEXT8000001"]

    assert (refused.cause, refused.field) == ("bank_account", "pex_account")
    assert acme.calls("PUT", "BankTransactions") == 0


def test_posting_without_an_organisation_asks_for_one(acme, xero, soon):
    xero.connection.company = ""

    with pytest.raises(SettingsNeeded):
        xero.post([acme.entry(1)], soon)


def test_a_thousand_calls_are_not_needed_for_a_thousand_purchases(acme, xero, soon):
    acme.organisation.add_foreign_transactions(20_000)
    acme.organisation.add_foreign_contacts(3_000)
    batch = [acme.entry(number, "1.00", party=Party(name=f"Merchant {number % 120}")) for number in range(500)]

    xero.find([acme.sent(entry) for entry in batch])
    xero.closed_until()
    xero.options("account")
    xero.prepare(batch)
    for start in range(0, 500, 50):
        xero.post(batch[start : start + 50], Deadline.after(30))

    assert len(acme.organisation.live()) == 20_500
    assert acme.calls() <= 500 / 50 + 3 + 10
    assert acme.desk.calls.connections("xero") <= 4


# --- find


def posted(acme, xero, soon, *batch):
    outcomes = xero.post(batch, soon)
    return [outcomes[entry.key].record_id for entry in batch]


def test_what_is_there_is_live_and_what_is_not_is_absent(acme, xero, soon, again):
    there, not_there = acme.entry(1), acme.entry(2)
    (record_id,) = posted(acme, xero, soon, there)

    found = again().find([acme.sent(there), acme.sent(not_there)])

    assert (found[there.key].fate, found[there.key].record_id) == (Fate.LIVE, record_id)
    assert found[not_there.key].fate is Fate.ABSENT


def test_a_look_among_20_000_records_of_others_takes_two_calls(acme, xero, soon, again):
    batch = entries(acme, 50)
    xero.post(batch, soon)
    acme.organisation.add_foreign_transactions(20_000)
    acme.desk.calls.clear()

    found = again().find([acme.sent(entry, in_doubt=True) for entry in batch])

    assert {what.fate for what in found.values()} == {Fate.LIVE}
    assert acme.calls("GET", "BankTransactions") == 2


def test_a_deleted_record_is_dead(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.void(record_id)

    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.DEAD


def test_a_copy_with_the_same_reference_is_doubled_wherever_it_stands(acme, xero, soon, again):
    entry = acme.entry(1)
    posted(acme, xero, soon, entry)
    other = acme.organisation.add_bank_account("Business Checking")
    acme.organisation.post_by_hand(
        reference=entry.key, amount="41.87", bank_account=other, date=date(2020, 1, 1), account=acme.fuel
    )

    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.DOUBLED


def test_an_edited_amount_is_doubtful(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.edit(record_id, amount="14.87")

    found = again().find([acme.sent(entry, record_id=record_id)])[entry.key]

    assert (found.fate, found.record_id) == (Fate.DOUBTFUL, record_id)
    assert "14.87 instead of 41.87" in found.says


def test_an_edited_reference_is_found_by_the_address(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.edit(record_id, reference="Taxi to the airport")

    found = again().find([acme.sent(entry)])[entry.key]

    assert (found.fate, found.record_id) == (Fate.LIVE, record_id)
    assert "Taxi to the airport" in found.says


def test_a_reference_in_small_letters_with_blanks_is_still_ours(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.edit(record_id, reference=f" {entry.key.lower()} ")

    assert again().find([acme.sent(entry)])[entry.key].says == ""


def test_a_lost_address_is_found_by_the_reference(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.bank_transactions[record_id].url = ""

    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.LIVE


def test_a_record_that_lost_both_is_found_by_its_number(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.edit(record_id, reference="Taxi")
    acme.organisation.bank_transactions[record_id].url = ""

    assert again().find([acme.sent(entry)])[entry.key].fate is Fate.ABSENT
    assert again().find([acme.sent(entry, record_id=record_id)])[entry.key].fate is Fate.LIVE


def test_a_copy_beside_the_record_that_lost_its_key_is_doubled(acme, xero, soon, again):
    entry = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, entry)
    acme.organisation.edit(record_id, reference="Taxi")
    acme.organisation.bank_transactions[record_id].url = ""
    acme.organisation.post_by_hand(reference=entry.key, amount="41.87", bank_account=acme.bank, date=entry.date)

    assert again().find([acme.sent(entry, record_id=record_id)])[entry.key].fate is Fate.DOUBLED


def test_a_number_xero_does_not_know_is_absent(acme, xero):
    nobody = acme.sent(acme.entry(1), record_id="00000000-1111-4222-8333-444444444444")

    assert xero.find([nobody])[nobody.key].fate is Fate.ABSENT


def test_an_earlier_generation_that_still_lives_is_found(acme, xero, soon, again):
    first = acme.entry(1)
    (record_id,) = posted(acme, xero, soon, first)
    second = replace(first, key=f"{first.key}-2", url=acme.url(f"{first.key}-2"))

    living = again().find([acme.sent(second, earlier=(first.key,))])[second.key]
    acme.organisation.void(record_id)
    gone = again().find([acme.sent(second, earlier=(first.key,))])[second.key]

    assert (living.fate, living.record_id, gone.fate) == (Fate.LIVE, record_id, Fate.ABSENT)


def test_both_generations_alive_are_doubled(acme, xero, soon, again):
    first = acme.entry(1)
    second = replace(first, key=f"{first.key}-2", url=acme.url(f"{first.key}-2"))
    posted(acme, xero, soon, first, second)

    assert again().find([acme.sent(second, earlier=(first.key,))])[second.key].fate is Fate.DOUBLED


def fill(acme, count, first=1):
    for number in range(first, first + count):
        key = f"PEXT{8000000 + number}"
        acme.organisation.post_by_hand(
            reference=key,
            url=acme.url(key),
            amount="1.00",
            bank_account=acme.bank,
            account=acme.fuel,
            contact=acme.shell,
            date=date(2026, 7, 3),
        )


def test_rows_never_sent_are_left_unseen_when_looking_would_take_too_long(acme, xero):
    fill(acme, 5100)
    new = acme.entry(999_999)

    found = xero.find([acme.sent(new), acme.sent(acme.entry(1))])

    assert found[new.key].fate is Fate.UNSEEN
    assert acme.calls("GET", "BankTransactions") <= 5


def test_rows_in_doubt_get_an_exact_answer_whatever_it_takes(acme, xero):
    fill(acme, 5100)
    missing, there = acme.entry(999_999), acme.entry(5_000, "1.00")

    found = xero.find([acme.sent(missing, in_doubt=True), acme.sent(there, in_doubt=True)])

    assert found[missing.key].fate is Fate.ABSENT
    assert found[there.key].fate is Fate.LIVE


def test_doubts_of_one_batch_are_settled_together(acme, xero):
    fill(acme, 5100)
    batch = [acme.entry(number, "1.00") for number in range(2000, 2050)]
    doubts = [acme.sent(entry, in_doubt=True) for entry in batch]

    found = xero.find([*doubts, acme.sent(acme.entry(1))])

    assert {found[entry.key].fate for entry in batch} == {Fate.LIVE}
    assert acme.calls("GET", "BankTransactions") <= 10


def test_a_filter_xero_does_not_know_is_replaced_by_one_it_does(acme, xero, soon, again):
    entry = acme.entry(1)
    posted(acme, xero, soon, entry)
    for _ in range(3):
        acme.desk.faults.add(
            "status", path="BankTransactions", status=400, content_type="application/json", body='{"ErrorNumber": 16}'
        )

    found = again().find([acme.sent(entry, in_doubt=True), acme.sent(acme.entry(2))])

    assert found[entry.key].fate is Fate.LIVE
    assert found["PEXT8000002"].fate is Fate.UNSEEN


def test_a_record_changed_during_the_look_does_not_slip_by(acme, xero, monkeypatch):
    fill(acme, 1500)
    ask, asked = xero.client.bank_transactions, []

    def ask_and_change(where, since=None, page=1):
        answer = ask(where, since, page)
        if not asked:
            acme.desk.clock.advance(timedelta(seconds=5))
            acme.organisation.edit(answer.rows[0]["BankTransactionID"], amount="1.00")
        asked.append(page)
        return answer

    monkeypatch.setattr(xero.client, "bank_transactions", ask_and_change)

    found = xero.find([acme.sent(acme.entry(number, "1.00")) for number in range(1, 1501)])

    assert {what.fate for what in found.values()} == {Fate.LIVE}


def test_more_than_a_page_of_one_second_is_read_to_the_end(acme, xero):
    fill(acme, 1200)
    now = acme.world.now()
    for record in acme.organisation.bank_transactions.values():
        record.updated = now

    found = xero.find([acme.sent(acme.entry(number, "1.00")) for number in (1, 600, 1200)])

    assert {what.fate for what in found.values()} == {Fate.LIVE}


def test_pages_end_where_xero_does_not_count_them(acme, xero):
    acme.switch(pagination=False)
    fill(acme, 1100)

    assert xero.find([acme.sent(acme.entry(1100, "1.00"))])["PEXT8001100"].fate is Fate.LIVE


def test_a_look_that_gets_no_answer_is_made_later(acme, xero):
    acme.desk.faults.add("status", path="BankTransactions", status=503, times=None)

    with pytest.raises(RetryLater):
        xero.find([acme.sent(acme.entry(1), in_doubt=True)])


def test_nothing_is_asked_for_nothing(acme, xero):
    assert xero.find([]) == {}
    assert acme.calls() == 0


# --- books


def test_the_books_of_the_pex_account_are_listed_with_dead_records(acme, xero, soon):
    keep, drop = acme.entry(1), acme.entry(2, "-5.00")
    _, record_id = posted(acme, xero, soon, keep, drop)
    acme.organisation.void(record_id)
    acme.organisation.add_foreign_transactions(50)
    acme.organisation.post_by_hand(reference="by hand", amount="7.00", bank_account=acme.bank, date=date(2026, 6, 30))

    records = xero.books(date(2026, 7, 1), date(2026, 7, 3))

    assert {(record.reference, record.amount, record.live) for record in records} == {
        (keep.key, Decimal("41.87"), True),
        (drop.key, Decimal("-5.00"), False),
    }


# --- attach


@pytest.fixture
def receipt(tmp_path):
    def make(name="pex-1-1.pdf", content=b"%PDF-1.4 a receipt", size=None):
        path = tmp_path / name.replace("/", "_")
        path.write_bytes(content)
        return Receipt(f"id of {name}", name, path, "application/pdf", size or len(content))

    return make


@pytest.fixture
def record(acme, xero, soon):
    (record_id,) = posted(acme, xero, soon, acme.entry(1))
    acme.desk.calls.clear()
    return acme.organisation.bank_transactions[record_id]


def test_receipts_are_attached_byte_for_byte(acme, xero, record, receipt):
    outcomes = xero.attach(record.id, [receipt("a b [1] ü.pdf", b"%PDF one"), receipt("two.pdf", b"%PDF two")])

    assert set(kinds(outcomes).values()) == {Posted}
    assert {one.file_name: one.content for one in record.attachments} == {
        "a b [1] ü.pdf": b"%PDF one",
        "two.pdf": b"%PDF two",
    }
    assert acme.calls("PUT") == 2


def test_the_same_name_again_overwrites(xero, record, receipt):
    for content in (b"%PDF one", b"%PDF two"):
        xero.attach(record.id, [receipt("one.pdf", content)])

    assert [one.content for one in record.attachments] == [b"%PDF two"]


def test_more_than_ten_megabytes_or_ten_files_are_not_even_sent(acme, xero, record, receipt):
    big = receipt("big.pdf", size=10_000_001)
    many = [receipt(f"{number}.pdf") for number in range(11)]

    assert "10 MB" in xero.attach(record.id, [big])[big.attachment_id].says
    assert "ten files" in xero.attach(record.id, many)["id of 10.pdf"].says
    assert acme.calls("PUT") == 10


def test_an_answer_lost_after_the_upload_is_settled_by_the_list_of_names(acme, xero, record, receipt):
    acme.desk.faults.add("drop_after", method="PUT", path="Attachments")

    outcome = xero.attach(record.id, [receipt()])["id of pex-1-1.pdf"]

    assert isinstance(outcome, Posted)
    assert acme.calls("PUT") == 1


def test_an_upload_that_got_lost_is_in_doubt_and_may_be_repeated(acme, xero, record, receipt):
    acme.desk.faults.add("drop_before", method="PUT", path="Attachments")

    first = xero.attach(record.id, [receipt()])["id of pex-1-1.pdf"]
    second = xero.attach(record.id, [receipt()])["id of pex-1-1.pdf"]

    assert (type(first), type(second)) == (Unknown, Posted)
    assert len(record.attachments) == 1


def test_what_xero_does_not_take_is_said(acme, xero, record, receipt):
    acme.switch(attachment_bytes=5)
    too_big = xero.attach(record.id, [receipt()])["id of pex-1-1.pdf"]
    strange = xero.attach(record.id, [receipt("photo.heic", b"h")])["id of photo.heic"]
    gone = xero.attach("00000000-1111-4222-8333-444444444444", [receipt("x.pdf", b"x")])["id of x.pdf"]

    assert isinstance(too_big, Refused)
    assert "larger" in too_big.says
    assert isinstance(strange, Refused)
    assert "not in Xero any more" in gone.says


def test_too_many_uploads_are_sent_later(acme, xero, record, receipt):
    acme.desk.faults.add("status", method="PUT", status=429, headers={"Retry-After": "9"})

    assert xero.attach(record.id, [receipt()])["id of pex-1-1.pdf"] == NotSent(9, "Xero asks us to slow down.")


def test_receipts_go_up_in_parallel(acme, xero, record, receipt):
    acme.switch(seconds_per_upload=0.05)
    files = [receipt(f"{number}.pdf") for number in range(8)]
    threads = [threading.Thread(target=xero.attach, args=(record.id, [file])) for file in files]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(record.attachments) == 8
    assert acme.desk.calls.connections("xero") <= 4


def test_a_dead_sign_in_stops_the_receipts(acme, xero, record, receipt):
    acme.world.revoke("pexsync-demo-xero", acme.person.id)

    with pytest.raises(NotAuthorized):
        xero.attach(record.id, [receipt()])


def wait_for(thing, seconds=5):
    end = time.monotonic() + seconds
    while not thing():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
