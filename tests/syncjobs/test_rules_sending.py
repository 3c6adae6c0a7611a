"""Sending: what is committed before the first byte, until when it may leave, and workers that stand still meanwhile."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.conf import settings as house
from django.db import connection

from connectors import connector, registry
from connectors.xero.connector import Xero
from syncjobs import engine, lease, ledger, people, runs, sweeper
from syncjobs.models import Export, ExportEvent, SyncRun
from syncjobs.people import Action, Wish
from syncjobs.transitions import Cause, Event, State
from tests import make
from tests.syncjobs.following import LOOK, POST, SLOW_DOWN, calls, export_of, key_of, posts, settle

pytestmark = pytest.mark.database

Status = SyncRun.Status


def references(world: make.World) -> list[str]:
    return sorted(record.reference for record in world.books.live())


def confirmed(world: make.World) -> SyncRun:
    """A first run that waits for nobody any more."""
    run = runs.start(world.connection, world.user)
    engine.advance(run.pk)
    runs.confirm(run, world.user)
    return run


def work(run: SyncRun) -> SyncRun:
    engine.advance(run.pk)
    run.refresh_from_db()
    return run


@pytest.fixture
def clocks(monkeypatch) -> dict[str, float]:
    """Seconds by which the two clocks of a deadline have gone on, beyond what really passed."""
    ahead = {"monotonic": 0.0, "time": 0.0}
    fake = SimpleNamespace(
        monotonic=lambda: time.monotonic() + ahead["monotonic"], time=lambda: time.time() + ahead["time"]
    )
    monkeypatch.setattr(connector, "time", fake)
    return ahead


@pytest.fixture
def no_memory(sandbox) -> None:
    """Books that do not know a repeated call again: what keeps us from doubling must not lean on them."""
    sandbox.worlds["xero"].switches.idempotency_seconds = 0


def elsewhere(ask: Callable[[], Any]) -> Any:
    """What another process would read now: only what is committed."""

    def asked() -> Any:
        try:
            return ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asked).result()


# --- before the first byte --------------------------------------------------------------------------------------------


class TestOnTheWire:
    @pytest.fixture
    def wire(self, monkeypatch) -> list[tuple[str, bool, Any]]:
        """Every request: what it is, whether its thread was inside a transaction, what the ledger had committed."""
        seen: list[tuple[str, bool, Any]] = []
        original = httpx.HTTPTransport.handle_request

        def watched(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            rows = elsewhere(lambda: list(Export.objects.order_by("pk").values("state", "batch", "record_id")))
            seen.append((f"{request.method} {request.url.path}", connection.in_atomic_block, rows))
            return original(transport, request)

        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", watched)
        return seen

    def test_the_claim_is_committed_before_the_call_and_the_record_before_note_and_receipt(self, acme, wire):
        acme.purchase("12.50", receipts=["png"])
        acme.sync()
        [claimed] = [rows for call, _, rows in wire if call == "PUT /xero-api/api.xro/2.0/BankTransactions"]
        assert [(row["state"], row["batch"] is not None, row["record_id"]) for row in claimed] == [
            (State.SENT, True, "")
        ]
        [record] = acme.books.live()
        after = [rows for call, _, rows in wire if call.endswith("/Note") or "/Attachments" in call]
        assert len(after) >= 3
        assert {(row["state"], row["record_id"]) for rows in after for row in rows} == {(State.POSTED, record.id)}

    def test_nothing_is_called_inside_a_transaction(self, acme, sandbox, travel, wire):
        """Rule L6: a whole sync, rows in doubt, receipts, notes, renewed sign-ins, a person's wish, and the way out."""
        acme.purchase("12.50", receipts=["png", "pdf"])
        acme.sync()
        acme.purchase("3.00", receipts=["png"])
        sandbox.faults.add("drop_after", **POST)
        sandbox.faults.add("drop_before", system="pex", method="POST", path="/Note")
        acme.sync()
        travel(minutes=45)
        settle(acme)
        acme.purchase("4.00", merchant="Home Depot")
        acme.sync()
        acme.connection.refresh_from_db()
        seen = len(wire)
        people.decide(Wish(acme.connection, Action.SEND_AGAIN, acme.user), Export.objects.values_list("pk", flat=True))
        assert len(wire) > seen
        with registry.open_connector(acme.connection) as opened:
            opened.check()
            opened.disconnect()
        called = {call for call, _, _ in wire}
        for part in ("/connect/token", "PUT /xero-api/api.xro/2.0/Contacts", "/Attachments/", "/Note", "DELETE "):
            assert any(part in call for call in called), part
        assert [call for call, inside, _ in wire if inside] == []

    def test_sockets_give_up_on_bytes_nobody_takes_within_the_time_to_send(self, acme):
        with registry.open_connector(acme.connection) as books:
            answer = books.client.session.read("GET", f"{house.XERO_API_URL}/nothing")
            wire = answer.extensions["network_stream"].get_extra_info("socket")
            milliseconds = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert milliseconds == ledger.SENDING.total_seconds() * 1000


# --- until when -------------------------------------------------------------------------------------------------------


class TestTimeToSend:
    @pytest.mark.parametrize("which", ["monotonic", "time"])
    @pytest.mark.parametrize("step", [(ledger, "claim"), (Xero, "post")], ids=["claiming", "posting"])
    def test_a_claim_older_than_thirty_seconds_is_not_sent(self, acme, travel, freeze, clocks, which, step):
        """By either clock: one stands still while a machine sleeps, the other may be set back."""
        acme.purchase("12.50")
        run = confirmed(acme)
        freeze(*step, lambda: clocks.update({which: clocks[which] + 31}))
        assert work(run).status == Status.PAUSED
        row = Export.objects.get()
        assert (row.state, row.batch, row.target, posts(acme)) == (State.DUE, None, "", 0)
        assert ExportEvent.objects.filter(event=Event.NOT_SENT).count() == 1
        travel(minutes=1)
        assert work(run).status == Status.SUCCESS
        assert (posts(acme), len(acme.books.live())) == (1, 1)

    def test_one_that_waited_less_is_sent(self, acme, freeze, clocks):
        acme.purchase("12.50")
        run = confirmed(acme)
        freeze(Xero, "post", lambda: clocks.update(monotonic=20, time=20))
        assert work(run).status == Status.SUCCESS
        assert len(acme.books.live()) == 1

    def test_the_time_scales_with_patience(self, acme, freeze, clocks, settings):
        settings.PATIENCE = 0.5
        acme.purchase("12.50")
        run = confirmed(acme)
        freeze(Xero, "post", lambda: clocks.update(monotonic=20, time=20))
        work(run)
        assert posts(acme) == 0

    @pytest.mark.parametrize("refusal", ["pace", "nobody listens"])
    def test_what_surely_never_arrived_goes_with_the_next_slice_to_wherever_it_belongs(
        self, acme, sandbox, travel, freeze, settings, refusal
    ):
        acme.purchase("12.50")
        run = confirmed(acme)
        good = settings.XERO_API_URL
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        if refusal == "pace":
            sandbox.faults.add("status", **POST, **SLOW_DOWN)
        else:
            freeze(ledger, "claim", lambda: setattr(settings, "XERO_API_URL", closed))
        assert work(run).status == Status.PAUSED
        row = Export.objects.get()
        assert (row.state, row.batch, row.target, row.doubted) == (State.DUE, None, "", False)
        settings.XERO_API_URL = good
        travel(minutes=3)
        assert work(run).status == Status.SUCCESS
        assert len(acme.books.live()) == 1


# --- workers that stand still -----------------------------------------------------------------------------------------


class TestFrozen:
    """A worker stands still past its lease; another one does the work meanwhile; then the first one goes on."""

    @pytest.fixture
    def frozen(self, acme, travel, freeze) -> Callable[..., SyncRun]:
        """Stop a run's worker at a step for eleven minutes while another worker settles, then let it go on."""

        def stop(
            module: Any, name: str, when: str = "before", meanwhile: Callable[[], object] = lambda: None
        ) -> SyncRun:
            run = confirmed(acme)

            def others_work() -> None:
                travel(minutes=11)
                meanwhile()
                settle(acme)

            freeze(module, name, others_work, when)
            return work(run)

        return stop

    def test_thawed_before_it_sent_it_sends_nothing_though_the_batch_of_the_other_differs(
        self, acme, clocks, frozen, no_memory, monkeypatch
    ):
        for amount in ("1.00", "2.00", "3.00"):
            acme.purchase(amount)

        def the_others_batch_is_smaller() -> None:
            monkeypatch.setattr(Xero, "batch_size", 2)
            clocks.update(monotonic=660, time=660)

        frozen(Xero, "post", meanwhile=the_others_batch_is_smaller)
        assert references(acme) == sorted(set(references(acme)))
        assert (len(acme.books.live()), posts(acme)) == (3, 2)
        assert set(Export.objects.values_list("state", flat=True)) == {State.POSTED}
        assert all(len(acme.pex.notes(row.pex_id)) == 1 for row in Export.objects.all())

    def test_thawed_before_it_claimed_it_claims_nothing(self, acme, clocks, frozen, sandbox):
        acme.purchase("1.00")

        def another_slice_takes_the_lease() -> None:
            with lease.take(acme.connection.target) as held:
                assert held is not None

        run = frozen(ledger, "claim", meanwhile=another_slice_takes_the_lease)
        assert (run.status, posts(acme)) == (Status.PAUSED, 0)
        assert Export.objects.get().state == State.DUE

    def test_an_acceptance_heard_after_the_row_was_settled_changes_nothing(self, acme, frozen):
        row = acme.purchase("1.00", receipts=["png"])
        frozen(Xero, "post", "after")
        assert Export.objects.get().state == State.POSTED
        moved = ExportEvent.objects.filter(after=State.POSTED).values_list("event", flat=True)
        assert list(moved) == [Event.SETTLED_LIVE]
        [record] = acme.books.live()
        assert (len(acme.pex.notes(row.transaction_id)), len(record.attachments), posts(acme)) == (1, 1, 1)

    def test_a_look_such_an_acceptance_brings_forward_is_not_the_last_one(self, acme, frozen, travel):
        """What else was sent may still come through for a day."""
        acme.purchase("1.00")
        frozen(Xero, "post", "after")
        assert sweeper.unsettled_connections() == [acme.connection.pk]
        settle(acme)
        assert sweeper.unsettled_connections() == []
        [record] = acme.books.live()
        acme.books.post_by_hand(record.reference, "1.00", bank_account=record.bank_account, date=record.date)
        travel(hours=25)
        settle(acme)
        assert Export.objects.get().cause == Cause.DOUBLED

    @pytest.mark.parametrize("answer", ["refused", "not sent"])
    def test_a_refusal_of_the_first_batch_does_not_free_a_row_that_was_sent_anew(
        self, acme, sandbox, frozen, travel, answer
    ):
        acme.purchase("1.00")
        if answer == "refused":
            sandbox.faults.add(
                "status", **POST, status=400, content_type="application/json",
                body='{"ErrorNumber": 10, "Message": "A validation exception occurred"}',
            )  # fmt: skip
        else:
            sandbox.faults.add("status", **POST, **SLOW_DOWN)
        sandbox.faults.add("drop_after", **POST)
        frozen(Xero, "post", "after")
        row = Export.objects.get()
        assert (row.state, posts(acme)) == (State.SENT, 2)
        travel(minutes=11)
        settle(acme)
        assert (Export.objects.get().state, len(acme.books.live())) == (State.POSTED, 1)

    def test_a_look_made_before_the_row_was_sent_anew_does_not_free_it(self, acme, sandbox, travel, freeze):
        acme.purchase("1.00")
        sandbox.faults.add("drop_before", **POST)
        acme.sync()
        travel(minutes=11)
        sandbox.faults.add("drop_after", **POST)

        def another_worker() -> None:
            travel(minutes=1)
            settle(acme)

        freeze(ledger, "settle_absent", another_worker)
        settle(acme)
        assert (Export.objects.get().state, posts(acme)) == (State.SENT, 2)
        travel(minutes=11)
        settle(acme)
        assert (Export.objects.get().state, len(acme.books.live())) == (State.POSTED, 1)

    def test_a_worker_that_could_not_look_does_not_bring_forward_the_look_of_a_row_that_was_sent_anew(
        self, acme, sandbox, travel, freeze
    ):
        """Its time to settle would be cut short, and the row sent a third time while the second is on its way."""
        acme.purchase("1.00")
        sandbox.faults.add("drop_before", **POST, times=2)
        acme.sync()
        travel(minutes=11)
        sandbox.faults.add("status", **LOOK, **SLOW_DOWN)

        def another_worker() -> None:
            travel(minutes=1)
            settle(acme)

        freeze(ledger, "look_again", another_worker)
        settle(acme)
        row = Export.objects.get()
        assert (row.state, posts(acme)) == (State.SENT, 2)
        assert row.next_look - row.sent_at == ledger.SENDING + Xero.settle_after

    def test_an_acceptance_of_the_first_batch_does_not_bring_forward_the_look_of_the_second(
        self, acme, sandbox, frozen
    ):
        acme.purchase("1.00")
        sandbox.faults.add("drop_before", **POST, skip=1)

        def the_record_is_not_shown_yet() -> None:
            acme.books.bank_transactions.clear()

        frozen(Xero, "post", "after", meanwhile=the_record_is_not_shown_yet)
        row = Export.objects.get()
        assert (row.state, posts(acme)) == (State.SENT, 2)
        assert row.next_look - row.sent_at == ledger.SENDING + Xero.settle_after


def test_a_second_wake_up_while_a_slice_works_calls_nobody_and_changes_nothing(acme, freeze):
    acme.purchase("12.50")
    run = confirmed(acme)
    seen = []

    def woken_twice() -> None:
        before = len(acme.sandbox.calls.calls), ExportEvent.objects.count()
        engine.advance(run.pk)
        settle(acme)
        seen.append((len(acme.sandbox.calls.calls), ExportEvent.objects.count()) == before)
        assert sweeper.sleeping_runs() == []

    freeze(Xero, "post", woken_twice)
    assert work(run).status == Status.SUCCESS
    assert seen == [True]
    assert len(acme.books.live()) == 1


# --- batches ----------------------------------------------------------------------------------------------------------


class TestBatches:
    def test_a_server_error_after_the_commit_of_a_batch_leaves_each_row_to_its_own_fate(
        self, acme, sandbox, travel, no_memory
    ):
        acme.purchase("9.00")
        acme.sync()
        for amount in ("1.00", "2.00", "3.00", "4.00"):
            acme.purchase(amount)
        switches = sandbox.worlds["xero"].switches
        switches.server_errors, switches.refused_elements = 1, 1
        run = acme.sync()
        assert (run.status, run.says) == (Status.PARTIAL, "4 are being checked with Xero.")
        assert (len(acme.books.live()), posts(acme)) == (4, 2)
        travel(minutes=11)
        settle(acme)
        assert (len(acme.books.live()), len(set(references(acme))), posts(acme)) == (5, 5, 3)
        assert set(Export.objects.values_list("state", flat=True)) == {State.POSTED}

    def test_a_batch_without_an_answer_is_neither_halved_nor_repeated(self, acme, sandbox):
        for amount in ("1.00", "2.00", "3.00", "4.00"):
            acme.purchase(amount)
        sandbox.faults.add("status_after", **POST, status=503)
        acme.sync()
        acme.sync()
        assert (posts(acme), len(acme.books.live())) == (1, 4)
        assert set(Export.objects.values_list("state", flat=True)) == {State.SENT}

    def test_half_of_a_batch_refused_as_a_whole_that_then_gets_no_answer_stays_in_doubt(self, acme, sandbox, travel):
        rows = [acme.purchase(amount) for amount in ("1.00", "2.00", "3.00", "4.00")]
        sandbox.faults.add("status", **POST, status=413, content_type="application/json", body="{}")
        sandbox.faults.add("drop_after", **POST, skip=1)
        acme.sync()
        states = [export_of(row).state for row in rows]
        assert (sorted(states), posts(acme)) == ([State.POSTED] * 2 + [State.SENT] * 2, 3)
        travel(minutes=11)
        settle(acme)
        assert (len(set(references(acme))), len(acme.books.live()), posts(acme)) == (4, 4, 3)

    def test_the_same_batch_goes_under_the_same_idempotency_key_whoever_sends_it(self, acme, sandbox, travel):
        acme.purchase("1.00")
        acme.purchase("2.00")
        sandbox.faults.add("drop_before", **POST)
        acme.sync()
        travel(minutes=11)
        settle(acme)
        keys = [call.key for call in calls(acme, "PUT")]
        assert len(keys) == 2
        assert len(set(keys)) == 1

    def test_one_look_covers_all_that_is_about_to_be_sent(self, acme, sandbox, monkeypatch):
        monkeypatch.setattr(Xero, "batch_size", 3)
        acme.purchase("1.00")
        acme.sync()
        for number in range(10):
            acme.purchase(f"{number + 2}.00")
        sandbox.calls.clear()
        acme.sync()
        assert (posts(acme), len(calls(acme, "GET"))) == (4, 2)

    def test_rows_never_sent_go_without_a_look_that_would_take_too_long_and_rows_in_doubt_do_not(
        self, acme, sandbox, travel, monkeypatch
    ):
        """5,200 records with keys like ours stand in the way; a look takes a thousand with each call."""
        doubtful = [acme.purchase("1.00"), acme.purchase("1.00", transaction_id=FAR)]
        sandbox.faults.add("drop_before", **POST)
        acme.sync()
        fill(acme, 5200)
        fresh = [acme.purchase("2.00"), acme.purchase("2.00", transaction_id=FAR + 1)]
        sandbox.calls.clear()
        assert acme.sync().rows_posted == 2
        assert 0 < len(calls(acme, "GET")) <= 5
        travel(minutes=11)
        settle(acme)
        assert {export_of(row).state for row in doubtful + fresh} == {State.POSTED}
        assert [len(acme.books.with_reference(key_of(row))) for row in doubtful + fresh] == [1, 1, 1, 1]


FAR = 700_099_000  # a PEX id that shares no more with the others than all those in between


def fill(world: make.World, count: int) -> None:
    """Records of other installations' making, whose keys begin as ours do."""
    first = int(key_of(next(iter(world.pex.transactions.values())))[4:])
    contact, day = world.books.add_contact("Somebody"), world.books.today()
    for number in range(count):
        world.books.post_by_hand(
            f"PEXT{first + 10_000 + number}",
            "1.00",
            contact=contact,
            date=day,
            url=f"https://dashboard.example/transactions?transaction=9-PEXT{first + 10_000 + number}",
        )
