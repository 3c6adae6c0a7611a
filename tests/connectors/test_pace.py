"""The gate: every call is counted, nobody calls when the other side said not to, and nothing is sent late.

In the process where there is no Redis, and through Redis where there is: CI runs both. Waits in place move the one
clock that both sides share, so that no test sleeps.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.conf import settings as product
from django.http import HttpRequest, HttpResponse

from connectors import pace, registry
from connectors.connector import Deadline
from connectors.errors import NotNow, NotReached, RetryLater
from connectors.limits import ARRIVAL, WORK, Refusal, Said
from connectors.pex import auth as pex_auth
from connectors.pex.client import of_business
from connectors.records import Fate, NotSent, Posted
from connectors.xero.client import of_company
from connectors.xero.connector import Xero
from pexsync.accounts.middleware import BUSINESS
from pexsync.accounts.tenancy import everywhere
from syncjobs import engine
from syncjobs.models import SyncRun
from tests import make
from tests.connectors.test_contract import entry, sent

pytestmark = pytest.mark.database

TODAY = date(2026, 3, 5)
SLOW_DOWN = {"status": 429, "headers": {"Retry-After": "22", "X-Rate-Limit-Problem": "minute"}}


@pytest.fixture
def acme(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    yield make.world(sandbox)
    sandbox.clock.path = None


@pytest.fixture(autouse=True)
def _as_xero_published(settings) -> None:
    settings.XERO_CALLS_A_MINUTE = 60


@pytest.fixture
def travel(sandbox) -> Callable[[float], None]:
    return lambda seconds: sandbox.clock.advance(timedelta(seconds=seconds))


@pytest.fixture
def naps(travel, monkeypatch) -> list[float]:
    """The waits in place, which pass at once."""
    taken: list[float] = []

    def sleep(seconds: float) -> None:
        taken.append(seconds)
        travel(seconds + 0.001)

    monkeypatch.setattr(pace.time, "sleep", sleep)
    return taken


@pytest.fixture
def xero(acme) -> Iterator[Xero]:
    with worker(acme) as opened:
        yield opened


@contextmanager
def worker(acme: make.World) -> Iterator[Xero]:
    """Another slice's connector: nothing in common with the first one's but the gate."""
    opened = registry.open_connector(acme.connection)
    assert isinstance(opened, Xero)
    with opened:
        yield opened


def calls(sandbox: Any, system: str = "xero-api") -> int:
    return len(sandbox.calls.matching(system))


def refused(sandbox: Any) -> int:
    return sum(call.status == 429 for call in sandbox.calls.calls)


def made_until_not_now(call: Callable[[], object]) -> int:
    for made in range(1000):
        try:
            call()
        except NotNow:
            return made
    raise AssertionError("nothing stops it")


# --- what the other side asks for ------------------------------------------------------------------------------------


def test_after_a_refusal_no_worker_calls_before_the_time(acme, sandbox, xero, travel):
    sandbox.faults.add("status", path="/Accounts", **SLOW_DOWN)
    with pytest.raises(NotNow) as first:
        xero.client.accounts()
    before = calls(sandbox)
    travel(15)
    with worker(acme) as other:
        for call in (other.client.accounts, other.client.organisation, xero.client.organisation):
            with pytest.raises(NotNow) as later:
                call()
            assert 6 < later.value.after <= 7
    assert first.value.after == 22
    assert calls(sandbox) == before


def test_and_goes_on_when_it_has_come(sandbox, xero, travel):
    sandbox.faults.add("status", path="/Accounts", **SLOW_DOWN)
    with pytest.raises(NotNow):
        xero.client.accounts()
    travel(22)
    assert xero.client.accounts()


def test_another_companys_calls_go_on_meanwhile(acme, sandbox, xero):
    sandbox.faults.add("status", path="/Accounts", **SLOW_DOWN)
    with pytest.raises(NotNow):
        xero.client.accounts()
    rival = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
    with worker(rival) as other:
        assert other.client.accounts()


def test_a_limit_of_the_whole_app_stops_every_company(acme, sandbox, xero):
    problem = {"Retry-After": "22", "X-Rate-Limit-Problem": "AppMinute"}
    sandbox.faults.add("status", path="/Accounts", status=429, headers=problem)
    with pytest.raises(NotNow):
        xero.client.accounts()
    rival = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
    before = calls(sandbox)
    with worker(rival) as other, pytest.raises(NotNow):
        other.client.accounts()
    assert calls(sandbox) == before


def test_a_moment_is_waited_out_in_place_and_the_read_made_once_more(sandbox, xero, naps):
    sandbox.faults.add("status", path="/Accounts", status=429, headers={"Retry-After": "2"})
    assert xero.client.accounts()
    first, second = sandbox.calls.matching("xero-api", path="/Accounts")
    assert (second.at - first.at).total_seconds() >= 2
    assert sum(naps) < 4


def test_a_time_named_as_a_date_is_kept_too(sandbox, xero):
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    sandbox.faults.add("status", path="/Accounts", status=429, headers={"Retry-After": then})
    with pytest.raises(NotNow) as caught:
        xero.client.accounts()
    assert 37 < caught.value.after <= 41


def test_a_503_that_names_a_time_is_waited_for(acme, sandbox, xero):
    sandbox.faults.add("status", path="/Accounts", status=503, headers={"Retry-After": "300"})
    with pytest.raises(NotNow) as caught:
        xero.client.accounts()
    with worker(acme) as other, pytest.raises(NotNow):
        other.client.organisation()
    assert caught.value.after == 300
    assert calls(sandbox) == 1


def test_a_write_answered_503_stays_in_doubt_whatever_time_it_names(acme, sandbox, xero):
    made = entry(acme, xero)
    xero.prepare([made])
    sandbox.faults.add("status", method="PUT", path="/BankTransactions$", status=503, headers={"Retry-After": "300"})
    [outcome] = xero.post([made], Deadline.after(30)).values()
    assert type(outcome).__name__ == "Unknown"


def test_refusals_that_name_no_time_are_backed_off_from(sandbox, xero, travel):
    sandbox.faults.add("status", path="/Accounts", status=429, times=None)
    waits = []
    for _ in range(3):
        with pytest.raises(NotNow) as caught:
            xero.client.accounts()
        waits.append(caught.value.after)
        travel(caught.value.after)
    assert waits == [5, 10, 20]
    assert calls(sandbox) == 3


# --- what we count ourselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 13.0, 59.5])
def test_the_minutes_of_xero_are_never_overrun_wherever_they_begin(acme, sandbox, xero, travel, offset):
    world = sandbox.worlds["xero"]
    world.switches.limits = True
    world.windows.starts[acme.books.id] = sandbox.clock.now().timestamp() - offset
    began, done, waits = sandbox.clock.now(), 0, []
    while done < 200:
        try:
            xero.client.organisation()
            done += 1
        except NotNow as not_now:
            waits.append(not_now.after)
            travel(not_now.after)
    assert refused(sandbox) == 0
    assert len(waits) == 3  # sixty at once, then a rest, three times
    assert sandbox.clock.now() - began < timedelta(seconds=200)


def test_a_fresh_minute_is_used_at_once(sandbox, xero, naps):
    for _ in range(60):
        xero.client.organisation()
    with pytest.raises(NotNow, match="only so many calls a minute"):
        xero.client.organisation()
    assert naps == []
    assert calls(sandbox) == 60


def test_calls_somebody_else_makes_are_heard_of_and_counted(acme, sandbox, xero, monkeypatch):
    """Another installation of the same app, or this one before its memory was lost."""
    sandbox.worlds["xero"].switches.limits = True
    sandbox.worlds["xero"].windows.begin(acme.books.id, sandbox.clock.now())
    for _ in range(30):
        xero.client.organisation()
    pace.gate.cache_clear()
    monkeypatch.setattr(pace.RedisGate, "PREFIX", f"{pace.RedisGate.PREFIX}-lost")
    with worker(acme) as other:
        assert made_until_not_now(other.client.organisation) == 30
    assert refused(sandbox) == 0


def test_no_more_than_four_are_under_way_at_once_over_all_workers(acme, sandbox):
    switches = sandbox.worlds["xero"].switches
    switches.limits, switches.concurrent_limit, switches.latency = True, 4, 0.05
    with worker(acme) as one, worker(acme) as other:
        threads = [threading.Thread(target=opened.client.accounts) for opened in (one, other) * 6]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [call.status for call in sandbox.calls.matching("xero-api")] == [200] * 12


def test_calls_of_a_killed_worker_are_over_when_they_must_have_arrived(acme, sandbox, xero, naps):
    limits = [of_company(acme.books.id)]
    for number in range(4):
        assert pace.gate().begin(limits, f"never ended {number}", WORK) is None
    began = sandbox.clock.now()
    assert xero.client.accounts()
    assert timedelta(seconds=ARRIVAL - 1) < sandbox.clock.now() - began < timedelta(seconds=ARRIVAL + 2)


def test_a_call_whose_answer_never_came_gives_its_turn_back(sandbox, xero, naps):
    sandbox.faults.add("drop_before", path="/Accounts", times=None)
    for _ in range(3):
        with pytest.raises(RetryLater):
            xero.client.accounts()
    sandbox.faults.clear()
    assert xero.client.organisation()


# --- writes ----------------------------------------------------------------------------------------------------------


def test_a_write_that_would_go_late_is_not_sent(acme, sandbox, xero, naps):
    close(xero, 2)
    with pytest.raises(NotReached):
        xero.client.create_bank_transactions([{}], Deadline.after(1))
    assert sandbox.calls.writes("xero-api") == []
    assert naps == []


def close(xero: Xero, seconds: float) -> None:
    """As a refusal somebody else has met."""
    limits = [of_company(xero.connection.company)]
    pace.gate().begin(limits, "refused", WORK)
    pace.gate().end(limits, "refused", Said(refused=(Refusal(limits[0].key, "minute", seconds, 5),)))


def test_a_write_that_can_still_go_in_time_waits_a_moment(acme, sandbox, xero, naps):
    made = entry(acme, xero)
    xero.prepare([made])
    close(xero, 2)
    [outcome] = xero.post([made], Deadline.after(30)).values()
    assert isinstance(outcome, Posted)
    assert len(naps) == 1


def test_a_write_that_has_to_wait_long_is_surely_not_sent(acme, sandbox, xero):
    made = entry(acme, xero)
    xero.prepare([made])
    close(xero, 50)
    [outcome] = xero.post([made], Deadline.after(30)).values()
    assert isinstance(outcome, NotSent)
    assert 49 < outcome.after <= 50
    assert acme.books.live() == []


class TestTheLastCallsOfTheDay:
    """Rule L12."""

    @pytest.fixture
    def nearly_spent(self, acme, sandbox) -> None:
        switches = sandbox.worlds["xero"].switches
        switches.limits, switches.day_limit = True, 5000
        sandbox.worlds["xero"].windows.begin(acme.books.id, sandbox.clock.now())

    def spend(self, sandbox: Any, left: int) -> None:
        """Somebody used up the day but for so many calls."""
        sandbox.worlds["xero"].switches.day_limit = left

    def test_are_not_for_posting_nor_for_receipts_but_for_looks(self, acme, sandbox, xero, nearly_spent, tmp_path):
        made, late = entry(acme, xero, 1), entry(acme, xero, 2)
        assert isinstance(xero.post([made], Deadline.after(30))[made.key], Posted)
        self.spend(sandbox, len(sandbox.calls.matching("xero-api")) + 29)
        xero.client.organisation()
        with worker(acme) as fresh:
            fresh.client.organisation()
            outcome = fresh.post([late], Deadline.after(30))[late.key]
            assert isinstance(outcome, NotSent)
            assert outcome.says.startswith("Xero's calls for today are nearly used up")
            assert 3600 < outcome.after <= 86_400
            found = fresh.find([sent(made, in_doubt=True), sent(late, in_doubt=True)])
        assert [found[one.key].fate for one in (made, late)] == [Fate.LIVE, Fate.ABSENT]
        assert len(acme.books.live()) == 1

    def test_a_fresh_worker_knows_without_asking(self, acme, sandbox, xero, nearly_spent):
        made = entry(acme, xero)
        xero.prepare([made])
        self.spend(sandbox, len(sandbox.calls.matching("xero-api")) + 10)
        xero.client.organisation()
        before = calls(sandbox)
        with worker(acme) as fresh, pytest.raises(NotNow):
            fresh.client.create_contacts([{"Name": "Somebody"}], None)
        assert calls(sandbox) == before

    def test_the_run_says_when_it_goes_on_and_does(self, acme, sandbox, nearly_spent, travel):
        acme.purchase("12.50")
        self.spend(sandbox, 25)
        run = acme.sync()
        assert run.status == SyncRun.Status.PAUSED
        assert run.says.startswith("Xero's calls for today are nearly used up")
        assert "Continues " in run.says
        assert acme.books.live() == []
        sandbox.worlds["xero"].switches.day_limit = 5000
        travel(24 * 3600)
        engine.advance(run.pk)
        with everywhere():
            run.refresh_from_db()
        assert run.status == SyncRun.Status.SUCCESS
        assert len(acme.books.live()) == 1

    def test_a_day_that_is_used_up_is_waited_for_to_the_second(self, acme, sandbox, xero, nearly_spent):
        self.spend(sandbox, 0)
        with pytest.raises(NotNow, match="calls for today are used up") as caught:
            xero.client.organisation()
        with worker(acme) as other, pytest.raises(NotNow) as again:
            other.client.organisation()
        assert 86_000 < caught.value.after <= 86_400
        assert again.value.after <= caught.value.after
        assert calls(sandbox) == 1


# --- people ----------------------------------------------------------------------------------------------------------


class TestPeople:
    @pytest.fixture
    def browser(self, client, acme, settings, tmp_path):
        settings.STATIC_ROOT = tmp_path
        client.force_login(acme.user, backend="pexsync.accounts.backend.PexBackend")
        session = client.session
        session[BUSINESS] = acme.business.pk
        session.save()
        return client

    def test_an_open_page_keeps_a_share_of_the_minute(self, acme, xero, browser):
        assert browser.get("/xero/sync").status_code == 200
        assert made_until_not_now(xero.client.organisation) == 50
        with pace.for_people():
            assert xero.client.organisation()

    def test_a_page_shown_a_minute_ago_keeps_nothing(self, acme, xero, browser, travel):
        browser.get("/xero/sync")
        travel(60)
        assert made_until_not_now(xero.client.organisation) == 60

    def test_what_a_request_asks_of_the_books_is_asked_for_people(self, acme, sandbox, xero, browser):
        browser.get("/xero/sync")
        made_until_not_now(xero.client.organisation)
        before = calls(sandbox)
        browser.get("/xero/connect/checks")
        assert calls(sandbox) > before

    def test_a_request_leaves_nothing_behind_for_its_thread(self):
        def view(request: HttpRequest) -> HttpResponse:
            seen.append(pace._people.get())
            return HttpResponse()

        seen: list[bool] = []
        pace.people_middleware(view)(HttpRequest())
        assert [*seen, pace._people.get()] == [True, False]


# --- PEX -------------------------------------------------------------------------------------------------------------


class TestPex:
    @pytest.fixture
    def published(self, settings, sandbox) -> None:
        """PEX's limits as it published them, on both sides."""
        settings.PEX_CALLS_A_MINUTE, settings.PEX_LISTS_AN_HOUR, settings.PEX_BUSINESS_LISTS_A_MINUTE = 120, 10, 1
        sandbox.worlds["pex"].switches.limits = True

    @pytest.fixture
    def pex(self, acme):
        with pex_auth.client_for(acme.business) as client:
            yield client

    def test_ten_lists_an_hour_and_the_rest_goes_on(self, sandbox, published, pex, travel):
        for _ in range(10):
            list(pex.card_transactions(TODAY, TODAY, bill_pay=False))
            travel(1)
        with pytest.raises(NotNow, match="only a few times an hour") as caught:
            list(pex.card_transactions(TODAY, TODAY, bill_pay=False))
        assert 3585 < caught.value.after <= 3590
        assert pex.my_profile()
        travel(caught.value.after)
        list(pex.card_transactions(TODAY, TODAY, bill_pay=False))
        assert refused(sandbox) == 0

    def test_a_hundred_and_twenty_calls_a_minute(self, sandbox, published, pex, travel):
        for _ in range(2):
            for _ in range(120):
                pex.my_profile()
            with pytest.raises(NotNow) as caught:
                pex.my_profile()
            travel(caught.value.after)
        assert refused(sandbox) == 0

    def test_a_list_of_the_business_waits_for_the_turn_of_its_next_page(self, acme, sandbox, published, pex, naps):
        sandbox.worlds["pex"].switches.page_size = 2
        now = sandbox.clock.now()
        for number in range(5):
            acme.pex.add_business_row(happened=now - timedelta(days=1, minutes=number))
        day = now.date()
        rows = list(pex.business_transactions(day - timedelta(days=5), day))
        assert len(rows) == 5
        assert refused(sandbox) == 0
        assert len(naps) >= 1

    def test_a_long_refusal_of_a_list_is_about_the_list(self, acme, sandbox, pex, travel):
        fault = {"status": 429, "headers": {"Retry-After": "1500"}}
        sandbox.faults.add("status", system="pex", path="AllCardholderTransactions", **fault)
        with pytest.raises(NotNow) as caught:
            list(pex.card_transactions(TODAY, TODAY, bill_pay=False))
        assert caught.value.after == 1500
        before = calls(sandbox, "pex")
        with pytest.raises(NotNow):
            pex.my_profile()
        assert calls(sandbox, "pex") == before
        travel(60)
        assert pex.my_profile()
        with pytest.raises(NotNow) as again:
            list(pex.card_transactions(TODAY, TODAY, bill_pay=False))
        assert 1430 < again.value.after <= 1440

    def test_businesses_do_not_share(self, acme, sandbox, settings, published, pex):
        settings.PEX_CALLS_A_MINUTE = 3
        for _ in range(3):
            pex.my_profile()
        rival = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
        with pex_auth.client_for(rival.business) as other:
            assert other.my_profile()
        with pytest.raises(NotNow):
            pex.my_profile()

    def test_a_page_keeps_a_share_here_too(self, acme, published, pex):
        pace.gate().open_page(registry.pace_keys(acme.connection), 60)
        assert made_until_not_now(pex.my_profile) == 100
        assert of_business(acme.business.pex_id).key in registry.pace_keys(acme.connection)


# --- Redis -----------------------------------------------------------------------------------------------------------


def test_without_redis_to_ask_nothing_is_called(acme, sandbox, xero, settings, caplog):
    made = entry(acme, xero)
    xero.prepare([made])
    before = len(sandbox.calls.calls)
    settings.REDIS_URL = "redis://127.0.0.1:9/0"  # nobody listens there
    pace.gate.cache_clear()
    with pytest.raises(RetryLater, match="goes on by itself"):
        xero.client.accounts()
    [outcome] = xero.post([made], Deadline.after(30)).values()
    assert isinstance(outcome, NotSent)
    with pytest.raises(RetryLater), pex_auth.client_for(acme.business) as pex:
        pex.my_profile()
    assert len(sandbox.calls.calls) == before
    said = [record for record in caplog.records if record.name == pace.__name__]
    assert said
    assert {record.levelno for record in said} == {logging.ERROR}
    pace.gate.cache_clear()


if product.REDIS_URL:  # CI runs these with what touches the database

    def wires() -> Any:
        gate = pace.gate()
        assert isinstance(gate, pace.RedisGate)
        return gate._wires

    def test_a_socket_that_went_stale_is_replaced(xero):
        xero.client.accounts()
        for wire in wires()._free:
            wire.connection._sock.close()
        assert xero.client.accounts()

    def test_a_redis_that_was_emptied_is_told_the_script_anew(xero, monkeypatch):
        known = pace._script()
        text = f"{known.text}\n-- {pace.RedisGate.PREFIX}"
        monkeypatch.setattr(pace, "_script", lambda: pace._Script(text, pace.sha1(text.encode()).hexdigest()))
        assert xero.client.accounts()
        assert xero.client.accounts()

    def test_a_call_costs_one_wait_for_redis(xero, monkeypatch):
        xero.client.accounts()
        read = []
        wire = wires()._free[-1]
        original = wire.connection.read_response
        monkeypatch.setattr(wire.connection, "read_response", lambda: read.append(1) or original())
        sends = []
        send = wire.connection.send_command
        monkeypatch.setattr(wire.connection, "send_command", lambda *words: sends.append(words[0]) or send(*words))
        for _ in range(5):
            xero.client.accounts()
        assert len(sends) == 10  # a question and a word each
        assert len(read) == 10  # and the words' answers come with the next question's

    def test_what_redis_keeps_passes_by_itself(xero):
        import redis

        xero.client.accounts()
        with redis.Redis.from_url(product.REDIS_URL) as client:
            keys = list(client.scan_iter(f"{pace.RedisGate.PREFIX}:*"))
            assert len(keys) == 4
            assert all(0 < client.ttl(key) <= 172_800 for key in keys)
