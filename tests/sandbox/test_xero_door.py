"""What every call to the simulated Xero passes: format, limits, idempotency, faults."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


# Format


def test_an_answer_is_xml_unless_json_is_asked_for(books: Books):
    answer = books.call("GET", "Organisation", headers={"Accept": "*/*"})
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert "<Organisations><Organisation><OrganisationID>" in answer.text


def test_a_refusal_is_xml_too(books: Books):
    answer = books.call("PUT", "BankTransactions", json={"BankTransactions": [{}]}, headers={"Accept": "text/xml"})
    assert answer.status_code == 400
    assert "<ApiException><ErrorNumber>10</ErrorNumber>" in answer.text


def test_the_correlation_id_is_the_envelopes_id(books: Books):
    answer = books.get("Organisation")
    assert answer.headers["Xero-Correlation-Id"] == answer.json()["Id"]
    assert answer.json()["Status"] == "OK"
    assert answer.json()["ProviderName"] == "PEX Sync"


def test_money_keeps_its_decimals_and_dates_escape_their_slashes(books: Books):
    books.organisation.post_by_hand("R-1", "89")
    text = books.get("BankTransactions", page=1).text
    assert '"Total":89.00,' in text
    assert '"Quantity":1.0000,' in text
    assert r'"Date":"\/Date(' in text
    assert "null" not in text


def test_dates_come_in_both_forms_in_one_body(books: Books):
    books.organisation.post_by_hand("R-1")
    (row,) = books.records("BankTransactions", page=1)
    assert row["UpdatedDateUTC"].endswith("+0000)/")
    assert not row["Date"].endswith("+0000)/")
    books.world.switches.date_form = "plain"
    assert "+0000" not in books.get("BankTransactions", page=1).text


def test_an_unheard_of_value_can_be_slipped_in(books: Books):
    books.organisation.post_by_hand("R-1")
    books.world.switches.unknown_enum = "LineAmountTypes"
    assert books.records("BankTransactions", page=1)[0]["LineAmountTypes"] == "UNHEARD-OF"
    books.world.switches.unknown_enum = "Accounts.Type"
    assert {row["Type"] for row in books.records("Accounts")} == {"UNHEARD-OF"}
    assert books.records("BankTransactions", page=1)[0]["Type"] == "SPEND"


@pytest.mark.parametrize(
    ("content", "number"),
    [
        ("{", 14),
        (r'{"BankTransactions": [{"Reference": "\ud800"}]}', 14),
        (r'{"Reference": "\u0001"}', 14),
        ('{"BankTransactions": 7}', 14),
        ('{"BankTransactions": []}', 17),
        ("{}", 17),
        ("", 17),
    ],
)
def test_a_body_that_says_nothing_is_refused_by_number(books: Books, content: str, number: int):
    answer = books.call("PUT", "BankTransactions", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, number)


@pytest.mark.parametrize(
    "change", [{"LineAmountTypes": "NO_TAX"}, {"Date": "soon"}, {"Type": "BUY"}, {"LineItems": "none"}]
)
def test_a_wrong_type_is_error_14_without_elements(books: Books, change: dict[str, Any]):
    answer = books.put("BankTransactions", books.spend(**change))
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 14)
    assert "Elements" not in answer.json()


def test_other_content_types_are_not_supported(books: Books):
    answer = books.call("PUT", "BankTransactions", content="<a/>", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415


def test_a_body_over_the_cap_is_413(books: Books):
    books.world.switches.body_bytes = 1000
    answer = books.put("BankTransactions", *[books.spend() for _ in range(10)])
    assert answer.status_code == 413
    assert (answer.json()["Title"], answer.json()["Detail"]) == ("RequestEntityTooLarge", "PayloadTooLarge")


# Limits


def test_limits_are_off_and_the_headers_show_an_untouched_allowance(books: Books):
    for _ in range(3):
        answer = books.get("Organisation")
    assert answer.headers["X-MinLimit-Remaining"] == "60"
    assert answer.headers["X-DayLimit-Remaining"] == "5000"
    assert answer.headers["X-AppMinLimit-Remaining"] == "10000"


def test_the_61st_call_of_a_window_waits_for_its_end(books: Books):
    books.world.switches.limits = True
    books.world.begin_windows(books.organisation)
    answers = [books.get("Organisation") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[0].headers["X-MinLimit-Remaining"] == "59"
    refused = answers[-1]
    assert refused.headers["X-Rate-Limit-Problem"] == "minute"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-MinLimit-Remaining"] == "0"
    assert refused.text == ""

    books.desk.clock.advance(timedelta(seconds=60))

    assert books.get("Organisation").status_code == 200


def test_organisations_do_not_share_an_allowance_and_begin_at_their_own_moment(books: Books):
    second = books.world.add_organisation("Second LLC")
    books.world.grant(books.user, [second])
    books.world.switches.limits = True
    books.world.switches.minute_limit = 1
    assert books.get("Organisation").status_code == 200
    assert books.get("Organisation").status_code == 429
    assert books.call("GET", "Organisation", headers={"xero-tenant-id": second.id}).status_code == 200
    books.world.switches.minute_limit = 0
    tenants = (books.organisation.id, second.id)
    waits = {
        books.call("GET", "Organisation", headers={"xero-tenant-id": one}).headers["Retry-After"] for one in tenants
    }
    assert len(waits) == 2


def test_the_day_limit_asks_for_hours_and_the_apps_limit_spans_organisations(books: Books):
    books.world.switches.limits = True
    books.world.switches.day_limit = 1
    books.world.begin_windows(books.organisation)
    books.get("Organisation")
    refused = books.get("Organisation")
    assert refused.headers["X-Rate-Limit-Problem"] == "day"
    assert int(refused.headers["Retry-After"]) > 80_000
    books.world.switches.day_limit = 5000
    books.world.switches.app_minute_limit = 1
    assert books.get("Organisation").headers["X-Rate-Limit-Problem"] == "appminute"


def test_the_problem_may_be_spelt_in_any_case_with_any_body(books: Books):
    books.world.switches.limits = True
    books.world.switches.minute_limit = 0
    books.world.switches.limit_problem_case = "title"
    books.world.switches.limit_body = "Too many"
    refused = books.get("Organisation")
    assert (refused.headers["X-Rate-Limit-Problem"], refused.text) == ("Minute", "Too many")


def test_a_refusal_may_name_another_time_than_the_true_one(books: Books):
    books.world.switches.limits = True
    books.world.switches.day_limit = 0
    books.world.switches.limit_retry_after = 66975
    assert books.get("Organisation").headers["Retry-After"] == "66975"


def test_a_small_plan_has_a_thousand_calls_a_day(books: Books):
    books.world.switches.limits = True
    books.world.switches.day_limit = 1000
    assert books.get("Organisation").headers["X-DayLimit-Remaining"] == "999"


def test_a_sixth_call_at_once_is_refused_without_a_time_to_come_back(books: Books):
    books.world.switches.limits = True
    books.world.switches.seconds_per_upload = 0.4
    id = books.organisation.post_by_hand().id
    statuses: list[httpx.Response] = []

    def upload(number: int) -> None:
        with httpx.Client(base_url=books.desk.url) as http:
            one = Books(books.desk, books.world, books.organisation, books.user, books.token, http)
            path = f"BankTransactions/{id}/Attachments/{number}.pdf"
            statuses.append(one.call("PUT", path, content=b"%PDF"))

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in statuses) == [200] * 5 + [429]
    refused = next(answer for answer in statuses if answer.status_code == 429)
    assert refused.headers["X-Rate-Limit-Problem"] == "concurrent"
    assert "Retry-After" not in refused.headers


# Idempotency


def keyed(books: Books, key: str = "k-1", **changes: Any) -> httpx.Response:
    return books.put("BankTransactions", books.spend(**changes), **{"Idempotency-Key": key})


def test_the_same_request_under_a_key_is_done_once_and_answered_twice(books: Books):
    first, second = keyed(books), keyed(books)
    assert first.text == second.text
    assert len(books.organisation.live()) == 1


def test_another_body_under_the_same_key_is_refused_and_writes_nothing(books: Books):
    keyed(books)
    answer = keyed(books, Reference="PEX-2")
    assert (answer.status_code, set(answer.json())) == (400, {"Message"})
    assert [one.reference for one in books.organisation.live()] == ["PEX-1"]


def test_a_key_collides_across_endpoints_and_organisations(books: Books):
    keyed(books)
    assert books.put("Contacts", {"Name": "New"}, **{"Idempotency-Key": "k-1"}).status_code == 400
    second = books.world.add_organisation("Second LLC")
    books.world.grant(books.user, [second])
    headers = {"Idempotency-Key": "k-1", "xero-tenant-id": second.id}
    assert books.put("BankTransactions", books.spend(), **headers).status_code == 400


def test_a_refusal_is_kept_under_its_key_too(books: Books):
    assert keyed(books, Contact=None).status_code == 400
    assert keyed(books).status_code == 400
    assert books.organisation.live() == []


def test_a_key_lives_six_minutes_however_often_it_is_replayed(books: Books):
    keyed(books)
    books.desk.clock.advance(timedelta(minutes=5))
    keyed(books)
    assert len(books.organisation.live()) == 1
    books.desk.clock.advance(timedelta(minutes=2))
    keyed(books)
    assert len(books.organisation.live()) == 2


def test_a_key_of_129_characters_is_refused(books: Books):
    assert keyed(books, key="k" * 129).status_code == 400
    assert keyed(books, key="k" * 128).status_code == 200


def test_a_dropped_answer_is_found_again_under_its_key(books: Books):
    books.desk.faults.add("drop_after", system="xero-api", method="PUT")
    with pytest.raises(httpx.RemoteProtocolError):
        keyed(books)
    assert len(books.organisation.live()) == 1
    assert keyed(books).json()["BankTransactions"][0]["Reference"] == "PEX-1"
    assert len(books.organisation.live()) == 1


def test_a_late_commit_does_not_write_what_the_retry_wrote(books: Books):
    books.desk.faults.add("late_commit", system="xero-api", method="PUT", seconds=0.3)
    with pytest.raises(httpx.RemoteProtocolError):
        keyed(books)
    assert keyed(books).status_code == 200
    threading.Event().wait(0.5)
    assert len(books.organisation.live()) == 1


def test_a_retry_waits_for_the_first_call_under_its_key(books: Books):
    books.world.switches.latency = 0.3
    answers: list[str] = []

    def post() -> None:
        with httpx.Client(base_url=books.desk.url) as http:
            one = Books(books.desk, books.world, books.organisation, books.user, books.token, http)
            answers.append(keyed(one).text)

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(books.organisation.live()) == 1
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("replayed", "status", "records"), [(True, 500, 1), (False, 200, 2)])
def test_a_server_error_may_be_stored_under_the_key(books: Books, replayed: bool, status: int, records: int):
    books.world.switches.server_errors = 1
    books.world.switches.replay_server_errors = replayed
    assert keyed(books).status_code == 500
    assert keyed(books).status_code == status
    assert len(books.organisation.live()) == records


def test_a_truncated_answer_is_not_json(books: Books):
    books.desk.faults.add("truncate", system="xero-api")
    with pytest.raises(ValueError):
        books.get("Organisation").json()


def test_every_call_is_on_record(books: Books):
    keyed(books)
    (call,) = books.desk.calls.writes("xero-api")
    assert (call.tenant, call.key, call.status) == (books.organisation.id, "k-1", 200)
