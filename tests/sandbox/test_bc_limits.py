"""The limits of the simulated Business Central: calls in a window, calls at once, calls that wait."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.bc_books import Books, open_books, refused, statuses


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        books.world.switches.limits = True
        yield books


def together(books: Books, calls: int) -> Counter[int]:
    """Return how often each status was answered to so many calls at once."""

    def call(_: int) -> int:
        headers = {"Authorization": f"Bearer {books.token}"}
        return httpx.get(f"{books.desk.url}{books.base}/companies", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(calls) as pool:
        return Counter(pool.map(call, range(calls)))


def test_the_window_slides(books: Books):
    books.world.switches.window_limit = 2
    assert books.get("accounts").status_code == 200
    books.desk.clock.advance(timedelta(seconds=200))
    assert books.get("accounts").status_code == 200
    answer = books.get("accounts")
    assert refused(answer) == (429, "Application_TooManyRequests")
    assert "Retry-After" not in answer.headers
    books.desk.clock.advance(timedelta(seconds=101))
    assert books.get("accounts").status_code == 200
    assert books.get("accounts").status_code == 429


def test_a_refusal_may_name_the_seconds_to_wait(books: Books):
    books.world.switches.window_limit = 0
    books.world.switches.retry_after = 12
    assert books.get("accounts").headers["Retry-After"] == "12"


def test_a_refused_call_does_nothing_and_is_not_counted(books: Books):
    books.world.switches.window_limit = 1
    assert books.post("vendors", {"displayName": "A"}).status_code == 201
    for _ in range(3):
        assert books.post("vendors", {"displayName": "B"}).status_code == 429
    books.desk.clock.advance(timedelta(seconds=300))
    assert books.post("vendors", {"displayName": "C"}).status_code == 201
    assert [one.name for one in books.company.vendors.values()] == ["A", "C"]


def test_each_person_has_a_window_of_their_own(books: Books):
    books.world.switches.window_limit = 1
    assert books.get("accounts").status_code == 200
    assert books.get("accounts").status_code == 429
    other = books.world.token(books.world.add_user("Hassan", "hassan@acme.example", books.tenant))
    assert books.get("accounts", {"Authorization": f"Bearer {other}"}).status_code == 200


def test_nothing_is_counted_while_the_limits_are_off(books: Books):
    books.world.switches.limits = False
    books.world.switches.window_limit = 1
    assert [books.get("accounts").status_code for _ in range(3)] == [200, 200, 200]
    books.world.switches.limits = True
    assert books.get("accounts").status_code == 200


def test_each_operation_of_a_batch_counts_or_the_batch_alone(books: Books):
    operations = [books.operation("GET", "accounts")] * 4
    books.world.switches.window_limit = 5
    assert statuses(books.batch(*operations)) == [200] * 4
    assert books.batch(*operations).status_code == 429
    assert books.get("accounts").status_code == 200
    assert books.get("accounts").status_code == 429
    books.desk.clock.advance(timedelta(seconds=300))
    books.world.switches.inner_counts = False
    assert [books.batch(*operations).status_code for _ in range(6)] == [200] * 5 + [429]


def test_calls_beyond_the_concurrent_ones_wait_and_beyond_the_queue_are_refused(books: Books):
    switches = books.world.switches
    switches.concurrent_limit, switches.queue_limit, switches.latency = 1, 2, 0.4
    assert together(books, 5) == {200: 3, 429: 2}
    switches.queue_limit, switches.latency = 95, 0.05
    assert together(books, 6) == {200: 6}


def test_a_person_who_waits_does_not_hold_up_another(books: Books):
    switches = books.world.switches
    switches.concurrent_limit, switches.queue_limit, switches.latency = 1, 0, 0.4
    other = books.world.token(books.world.add_user("Hassan", "hassan@acme.example", books.tenant))

    def call(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{books.desk.url}{books.base}/companies", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(call, [books.token, other, books.token, other]))
    assert Counter(found) == {200: 2, 429: 2}
    assert Counter(found[::2]) == {200: 1, 429: 1}


def test_without_limits_any_number_runs_at_once(books: Books):
    switches = books.world.switches
    switches.limits, switches.concurrent_limit, switches.queue_limit, switches.latency = False, 1, 0, 0.1
    assert together(books, 5) == {200: 5}
