"""What the engine makes of every connector: doubt, death, refusals, people in the books. The same cases for each."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache

from connectors import registry
from connectors.connector import Resync
from connectors.models import Connection
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from syncjobs import delivery, engine, ledger, people, runs, sending
from syncjobs.models import Export, SyncRun
from syncjobs.people import Action, Wish
from syncjobs.transitions import Cause, State, Who
from tests import make
from tests.connectors.stages import STAGES, Stage

pytestmark = pytest.mark.database

Status = SyncRun.Status
RECEIPT = b"%PDF-1.4 a receipt of the contract"


class Died(BaseException):
    """The worker is gone: nobody catches it."""


@pytest.fixture(params=sorted(registry.ALL))
def stage(request) -> Stage:
    return STAGES[request.param]


@pytest.fixture
def world(stage, sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    cache.clear()
    yield stage.build(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def travel(sandbox) -> Callable[..., None]:
    return lambda **by: sandbox.clock.advance(timedelta(**by))


@pytest.fixture
def crash(monkeypatch) -> Callable[..., None]:
    """Let the worker die once, just before or after it calls a function of a module or class."""

    def at(owner: Any, name: str, when: str) -> None:
        original = getattr(owner, name)

        def dying(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(owner, name, original)
            if when == "after":
                original(*args, **kwargs)
            raise Died

        monkeypatch.setattr(owner, name, dying)

    return at


def begun(world: make.World) -> SyncRun:
    """A first sync that has been confirmed and not worked on since."""
    run = runs.start(world.connection, world.user)
    engine.advance(run.pk)
    run.refresh_from_db()
    assert runs.confirm(run, world.user)
    return run


def patience(world: make.World) -> timedelta:
    return registry.ALL[world.connection.system].settle_after + timedelta(minutes=2)


def ended(world: make.World, travel: Callable[..., None]) -> None:
    """Let all that is in doubt be looked for, and whatever is due go out: as a day of syncing does."""
    travel(seconds=patience(world).total_seconds())
    for run in SyncRun.objects.filter(status__in=SyncRun.ALIVE):
        engine.advance(run.pk)
    engine.settle(world.connection.pk)
    with everywhere():
        world.connection.refresh_from_db()
    world.sync()


def states() -> dict[str, int]:
    found = Export.objects.values_list("state", flat=True)
    return {str(state): list(found).count(state) for state in set(found)}


def key(row: Any) -> str:
    return f"PEXT{row.transaction_id}"


class TestDoubt:
    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "drop_after"},
            {"kind": "drop_before"},
            {"kind": "status_after", "status": 502},
            {"kind": "truncate"},
            {"kind": "late_commit", "seconds": 90.0},
        ],
        ids=lambda fault: fault["kind"],
    )
    def test_what_got_no_answer_is_there_once_in_the_end(self, stage, world, sandbox, travel, fault):
        rows = [world.purchase(amount) for amount in ("1.01", "2.02", "3.03")]
        sandbox.faults.add(**fault, **stage.posting)
        world.sync()
        assert states() == {"sent": 3}
        ended(world, travel)
        assert states() == {"posted": 3}
        assert sorted((one.name, one.amount) for one in stage.live(world)) == sorted(
            (key(row), -row.amount) for row in rows
        )

    def test_nothing_is_sent_again_before_its_time(self, stage, world, sandbox, travel):
        world.purchase("1.01")
        sandbox.faults.add("drop_before", **stage.posting)
        world.sync()
        travel(seconds=60)
        world.sync()
        assert (states(), stage.live(world)) == ({"sent": 1}, [])


class TestDeath:
    @pytest.mark.parametrize(
        ("owner", "name", "when"),
        [
            (ledger, "claim", "after"),
            (sending, "_remember", "before"),
            (ledger, "accepted", "before"),
            (ledger, "accepted", "after"),
            (delivery.Delivery, "_save_lists", "before"),
            (delivery.Delivery, "_save_carried", "before"),
            (delivery.Delivery, "_save_notes", "before"),
        ],
        ids=lambda value: getattr(value, "__name__", value),
    )
    def test_a_worker_that_dies_leaves_one_record_one_receipt_and_one_note(
        self, stage, world, travel, crash, owner, name, when
    ):
        row = world.purchase("12.50")
        world.pex.add_receipt(row, RECEIPT)
        run = begun(world)
        crash(owner, name, when)
        with pytest.raises(Died):
            engine.advance(run.pk)
        ended(world, travel)
        travel(minutes=15)  # a note that may be under way is repeated only after a later read lacks it
        world.sync()
        [record] = stage.live(world)
        assert (record.name, record.amount, record.files) == (key(row), Decimal("12.50"), 1)
        assert [note.text for note in row.notes if note.system] == [
            f"{registry.ALL[world.connection.system].note} · {key(row)}"
        ]


class TestRefusal:
    def test_one_that_cannot_be_coded_keeps_nobody_else_back(self, stage, world):
        good, bad = world.purchase("1.01"), world.purchase("2.02", account="no such account")
        world.sync()
        assert Export.objects.get(pex_id=good.transaction_id).state == State.POSTED
        refused = Export.objects.get(pex_id=bad.transaction_id)
        assert (refused.state, bool(refused.says)) == (State.DUE, True)
        assert [one.name for one in stage.live(world)] == [key(good)]


class TestSignIn:
    def test_a_dead_one_stops_and_signing_in_again_goes_on(self, stage, world, travel):
        row = world.purchase("1.01")
        stage.end_sign_in(world)
        world.sync()
        world.connection.refresh_from_db()
        assert world.connection.state == Connection.State.FAILED
        assert world.connection.failure
        assert stage.live(world) == []
        stage.sign_in_again(world)
        world.connection.refresh_from_db()
        world.sync()
        assert [one.name for one in stage.live(world)] == [key(row)]


class TestPace:
    @pytest.mark.parametrize("named", [True, False])
    def test_too_many_requests_pause_the_run_and_it_goes_on(self, stage, world, sandbox, travel, named):
        row = world.purchase("1.01")
        headers = stage.slow_down if named else {}
        sandbox.faults.add("status", **stage.posting, status=429, headers=headers)
        run = begun(world)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert (run.status, stage.live(world)) == (Status.PAUSED, [])
        travel(minutes=6)
        cache.clear()
        engine.advance(run.pk)
        run.refresh_from_db()
        assert run.status == Status.SUCCESS
        assert [one.name for one in stage.live(world)] == [key(row)]


class TestPeople:
    def test_a_first_sync_pairs_what_was_entered_by_hand(self, stage, world):
        there, new = world.purchase("41.10"), world.purchase("7.00")
        stage.by_hand(world, there.settled.astimezone(clock.EASTERN).date(), Decimal("41.10"))
        world.purchase("8.00")
        world.purchase("9.00")
        world.sync()
        paired = Export.objects.get(pex_id=there.transaction_id)
        assert (paired.state, paired.cause) == (State.HELD, Cause.LOOKALIKE)
        assert Export.objects.get(pex_id=new.transaction_id).state == State.POSTED

    def test_what_was_made_void_is_held_and_sent_again_only_as_agreed(self, stage, world, travel):
        row = world.purchase("12.50")
        world.sync()
        stage.void(world, key(row))
        export = Export.objects.get()
        wish = Wish(world.connection, Action.SEND_AGAIN, world.user)
        people.decide(wish, [export.pk])  # a record that vanished is proven dead by a second look only
        people.decide(wish, [export.pk])
        if registry.ALL[world.connection.system].resync is Resync.SUPPORT:
            export.refresh_from_db()
            assert (export.state, export.generation) == (State.HELD, 1)
            people.decide(Wish(world.connection, Action.SEND_AGAIN, None, Who.STAFF), [export.pk])
        world.sync()
        export.refresh_from_db()
        assert (export.state, export.generation) == (State.POSTED, 2)
        assert [one.name for one in stage.live(world)] == [f"{key(row)}-2"]

    def test_a_copy_made_before_the_answer_came_is_held_as_doubled(self, stage, world, sandbox, travel):
        row = world.purchase("12.50")
        sandbox.faults.add("drop_after", **stage.posting)
        world.sync()
        stage.copy(world, key(row))
        ended(world, travel)
        export = Export.objects.get()
        assert (export.state, export.cause) == (State.HELD, Cause.DOUBLED)

    def test_a_key_lost_in_one_place_hides_nothing(self, stage, world, sandbox, travel):
        row = world.purchase("12.50")
        sandbox.faults.add("drop_after", **stage.posting)
        world.sync()
        stage.hide(world, key(row))
        ended(world, travel)
        assert states() == {"posted": 1}
        assert len(stage.live(world)) == 1


def test_a_second_sync_writes_nothing(stage, world, sandbox, travel):
    row = world.purchase("12.50")
    world.pex.add_receipt(row, RECEIPT)
    world.sync()
    travel(hours=25)
    made = stage.made(world)
    sandbox.calls.clear()
    run = world.sync()
    assert run.status == Status.SUCCESS
    assert stage.made(world) == made
    assert [call.path for call in sandbox.calls.writes("pex") if not call.path.endswith("/token")] == []
    assert [(one.name, one.files) for one in stage.live(world)] == [(key(row), 1)]
