"""Faults on the wire in front of a simulated company, and the counting of its calls."""

import time
from datetime import timedelta

import httpx
import pytest

from tests.sandbox.test_pex import acme, caller


@pytest.fixture
def business(sandbox):
    return acme(sandbox)


def add_note(client, row):
    return client.post("Note", json={"TransactionId": row.transaction_id, "NoteText": "Synced"})


def test_a_status_fault_answers_without_doing_anything(sandbox, business):
    row, client = business.add_purchase(), caller(sandbox, business)
    sandbox.faults.add(
        "status", system="pex", path="/Note", status=502, body="<h1>Bad gateway</h1>", content_type="text/html"
    )
    answer = add_note(client, row)
    assert (answer.status_code, answer.text) == (502, "<h1>Bad gateway</h1>")
    assert answer.headers["Content-Type"] == "text/html"
    assert row.notes == ()
    assert add_note(client, row).status_code == 200


def test_a_slow_fault_waits_and_then_serves(sandbox, business):
    client = caller(sandbox, business)
    sandbox.faults.add("slow", system="pex", seconds=0.2)
    with pytest.raises(httpx.ReadTimeout):
        client.get("Business/Profile", timeout=0.05)
    assert client.get("Business/Profile").status_code == 200


def test_a_connection_dropped_before_leaves_nothing_done(sandbox, business):
    row, client = business.add_purchase(), caller(sandbox, business)
    sandbox.faults.add("drop_before", system="pex", path="/Note")
    with pytest.raises(httpx.TransportError):
        add_note(client, row)
    assert row.notes == ()


def test_a_connection_dropped_after_leaves_it_done(sandbox, business):
    row, client = business.add_purchase(), caller(sandbox, business)
    sandbox.faults.add("drop_after", system="pex", path="/Note")
    with pytest.raises(httpx.TransportError):
        add_note(client, row)
    assert len(row.notes) == 1


def test_a_late_commit_happens_when_the_clock_gets_there(sandbox, business):
    row, client = business.add_purchase(), caller(sandbox, business)
    sandbox.faults.add("late_commit", system="pex", path="/Note", seconds=3600)
    with pytest.raises(httpx.TransportError):
        add_note(client, row)
    assert row.notes == ()
    sandbox.clock.advance(timedelta(hours=2))
    deadline = time.monotonic() + 5
    while not row.notes and time.monotonic() < deadline:
        client.get("Ping")
    assert len(row.notes) == 1


def test_an_answer_may_lie_about_what_was_done(sandbox, business):
    row, client = business.add_purchase(), caller(sandbox, business)
    sandbox.faults.add("status_after", system="pex", path="/Note", status=500, body="")
    answer = add_note(client, row)
    assert (answer.status_code, answer.content, len(row.notes)) == (500, b"", 1)


def test_a_truncated_answer_is_half_of_the_real_one(sandbox, business):
    client = caller(sandbox, business)
    whole = client.get("Business/Profile").content
    sandbox.faults.add("truncate", system="pex")
    assert client.get("Business/Profile").content == whole[: len(whole) // 2]


def test_a_fault_strikes_after_the_calls_it_lets_through(sandbox, business):
    client = caller(sandbox, business)
    sandbox.faults.add("status", system="pex", method="GET", skip=1, times=2)
    assert [client.get("Business/Profile").status_code for _ in range(4)] == [200, 503, 503, 200]
    assert sandbox.faults.struck == {"status": 2}


def test_a_fault_may_wait_for_a_text_in_the_body(sandbox, business):
    row, client = business.add_purchase(), caller(sandbox, business)
    sandbox.faults.add("status", system="pex", contains="Synced", times=None)
    assert add_note(client, row).status_code == 503
    body = {"TransactionId": row.transaction_id, "NoteText": "Other"}
    assert client.post("Note", json=body).status_code == 200


def test_calls_are_counted_before_their_caller_hears_the_answer(sandbox, business):
    client = caller(sandbox, business)
    row = business.add_purchase()
    client.get("Business/Profile", params={"a": "1"})
    add_note(client, row)
    calls = sandbox.calls.matching("pex")
    assert [(call.method, call.path, call.query, call.status) for call in calls] == [
        ("GET", "/V4/Business/Profile", "a=1", 200),
        ("POST", "/V4/Note", "", 200),
    ]
    assert [call.method for call in sandbox.calls.writes("pex")] == ["POST"]
    assert sandbox.calls.connections("pex") == 2
    assert calls[1].request_bytes > 0
    assert calls[1].response_bytes > 0


def test_a_dropped_call_is_counted_without_a_status(sandbox, business):
    client = caller(sandbox, business)
    sandbox.faults.add("drop_before", system="pex")
    with pytest.raises(httpx.TransportError):
        client.get("Business/Profile")
    assert [call.status for call in sandbox.calls.matching("pex")] == [0]
