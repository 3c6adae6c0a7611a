"""The nights: who begins when, once, and what happens to those that cannot."""

import os
import threading
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as house
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from kombu import Connection as Broker

from connectors.models import Connection
from pexsync import clock
from pexsync.accounts import installation
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import everywhere
from syncjobs import engine, lease, night, notices, runs, sweeper, tasks, window
from syncjobs.models import Export, Lease, Notice, SyncRun
from tests.syncjobs.conftest import Died

pytestmark = pytest.mark.database

Status = SyncRun.Status
EASTERN = ZoneInfo("America/New_York")


@pytest.fixture
def nightly(acme):
    """Acme with its first sync behind it and auto-sync on."""
    Connection.objects.filter(pk=acme.connection.pk).update(preview_confirmed={"purchase": {}})
    acme.connection.refresh_from_db()
    night.switch_on(acme.connection)
    return acme


@pytest.fixture
def until_due(travel):
    """Let time pass until the connection's next night has come."""

    def go(world):
        world.connection.refresh_from_db()
        travel(seconds=(world.connection.auto_next_at - clock.now()).total_seconds() + 1)

    return go


@pytest.fixture
def messages(monkeypatch):
    """What is sent to workers: the run, how urgent, and whether the database had it by then."""
    sent = []

    def keep(arguments, **options):
        sent.append((arguments[0], options.get("priority"), connection.in_atomic_block))

    monkeypatch.setattr(tasks.advance, "apply_async", keep)
    return sent


def crowd(count: int, due_in: timedelta, first: int = 0) -> list[Connection]:
    """So many more businesses with auto-sync, each due a second after the one before."""
    now = clock.now()
    businesses = Business.objects.bulk_create(
        Business(pex_id=100_000 + first + number, name=f"Business {first + number}") for number in range(count)
    )
    return Connection.objects.bulk_create(
        Connection(
            business=business,
            system="xero",
            state=Connection.State.READY,
            company=f"company-{business.pex_id}",
            settings={"kinds": ["purchase"]},
            settings_version=1,
            preview_confirmed={"purchase": {}},
            auto_sync=True,
            auto_next_at=now + due_in + timedelta(seconds=number),
            installed_at=now,
        )
        for number, business in enumerate(businesses)
    )


def work(run: SyncRun) -> SyncRun:
    for _ in range(6):
        engine.advance(run.pk)
        run.refresh_from_db()
        if not run.alive or run.wake_at is None:
            break
    return run


class TestOneNight:
    def test_a_night_posts_what_settled_without_anybody_pressing_anything(self, nightly, until_due):
        nightly.purchase("12.50")
        until_due(nightly)
        assert night.tick() == 1
        run = SyncRun.objects.get()
        assert (run.nightly, run.started_by, run.status) == (True, None, Status.QUEUED)
        assert work(run).status == Status.SUCCESS
        assert Export.objects.get().state == "posted"

    def test_it_reaches_two_months_back_however_early_the_start_date(self, nightly, until_due):
        nightly.set(start_date=(clock.today() - timedelta(days=300)).isoformat())
        until_due(nightly)
        night.tick()
        run = SyncRun.objects.get()
        assert (run.window_start, run.window_end) == (window.two_months_before(clock.today()), clock.today())

    def test_nothing_begins_before_its_minute_and_nothing_twice_in_a_night(self, nightly, until_due, travel):
        assert night.tick() == 0
        until_due(nightly)
        assert [night.tick(), night.tick()] == [1, 0]
        work(SyncRun.objects.get())
        travel(hours=20)
        assert night.tick() == 0
        until_due(nightly)
        assert night.tick() == 1

    def test_the_next_night_is_on_the_next_local_day_at_the_same_minute(self, nightly, until_due):
        nightly.connection.refresh_from_db()
        first = nightly.connection.auto_next_at.astimezone(EASTERN)
        until_due(nightly)
        night.tick()
        nightly.connection.refresh_from_db()
        second = nightly.connection.auto_next_at.astimezone(EASTERN)
        assert (second.date() - first.date(), second.time()) == (timedelta(days=1), first.time())
        assert first.hour < 6

    def test_the_night_is_the_one_of_the_setting(self, nightly, settings):
        settings.NIGHT_WINDOW = "21:00-21:01"
        first = night.switch_on(nightly.connection).astimezone(EASTERN)
        assert (first.hour, first.minute) == (21, 0)

    def test_the_night_is_that_of_the_business_and_not_ours(self, nightly):
        nightly.connection.business.time_zone = "Asia/Kolkata"
        assert night.switch_on(nightly.connection).astimezone(ZoneInfo("Asia/Kolkata")).hour < 6


class TestBothOrNeither:
    @pytest.mark.parametrize("step", ["_start", "_switch_off"])
    def test_a_tick_that_dies_has_neither_planned_nor_begun_anything(self, nightly, until_due, crash, messages, step):
        until_due(nightly)
        due_at = nightly.connection.auto_next_at
        crash(night, step, "after")
        with pytest.raises(Died):
            night.tick()
        nightly.connection.refresh_from_db()
        assert nightly.connection.auto_next_at == due_at
        assert not SyncRun.objects.exists()
        assert messages == []
        assert night.tick() == 1

    def test_workers_are_woken_once_the_run_is_there_and_later_than_for_people(self, nightly, until_due, messages):
        until_due(nightly)
        night.tick()
        assert messages == [(SyncRun.objects.get().pk, runs.LATER, False)]

    def test_many_schedules_at_once_begin_every_sync_once(self, acme):
        due = crowd(60, -timedelta(hours=1))
        start, counts = threading.Barrier(4), []

        def beat():
            start.wait()
            counts.append(night.tick())
            connections.close_all()

        beats = [threading.Thread(target=beat) for _ in range(4)]
        for each in beats:
            each.start()
        for each in beats:
            each.join()
        assert sum(counts) == 60
        assert sorted(SyncRun.objects.values_list("connection_id", flat=True)) == sorted(each.pk for each in due)
        assert not Connection.objects.filter(auto_next_at__lte=clock.now()).exists()

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time")
    def test_what_another_schedule_has_in_hand_is_passed_over_without_waiting(self, acme):
        crowd(night.BATCH + 5, -timedelta(hours=1))
        began, go_on, first = threading.Event(), threading.Event(), []

        def slow_beat():
            with everywhere():
                first.extend(night._claim(clock.now()))
                began.set()
                go_on.wait(30)
            connections.close_all()

        beat = threading.Thread(target=slow_beat)
        beat.start()
        assert began.wait(30)
        assert night.tick() == 5
        go_on.set()
        beat.join()
        assert len(first) == night.BATCH

    def test_a_sync_started_by_a_person_at_that_very_moment_stands_for_the_nights(
        self, nightly, until_due, monkeypatch
    ):
        until_due(nightly)
        theirs = []
        original = night._start

        def a_moment_later(*arguments):
            theirs.append(runs.start(nightly.connection, nightly.user))
            return original(*arguments)

        monkeypatch.setattr(night, "_start", a_moment_later)
        assert night.tick() == 0
        assert [run.pk for run in SyncRun.objects.all()] == [theirs[0].pk]


class TestNotTonight:
    def test_a_sync_under_way_is_left_alone_and_the_next_night_comes(self, nightly, until_due):
        until_due(nightly)
        run = runs.start(nightly.connection, nightly.user)
        assert night.tick() == 0
        nightly.connection.refresh_from_db()
        assert nightly.connection.auto_next_at > clock.now()
        assert [run.pk] == list(SyncRun.objects.values_list("pk", flat=True))
        assert not Notice.objects.exists()

    def test_a_dead_sign_in_starts_nothing_and_is_one_notice_however_many_nights(self, nightly, until_due):
        notices.signed_out(nightly.connection, "Xero ended the sign-in.")
        for _ in range(3):
            until_due(nightly)
            assert night.tick() == 0
        notice = Notice.objects.get()
        assert (notice.cause, notice.says, notice.times) == (notices.SESSION, "Xero ended the sign-in.", 4)
        assert notice.last_at - notice.since > timedelta(days=2)

    @pytest.mark.parametrize("columns", [{"settings_version": 0}, {"company": ""}, {"state": "installed"}])
    def test_what_is_not_set_up_waits_for_the_next_night_in_silence(self, nightly, until_due, columns):
        until_due(nightly)
        Connection.objects.update(**columns)
        assert night.tick() == 0
        nightly.connection.refresh_from_db()
        assert nightly.connection.auto_next_at > clock.now()
        assert not Notice.objects.exists()

    def test_a_window_still_to_come_starts_nothing_and_stops_nobody_else(self, nightly, until_due):
        nightly.set(start_date=(clock.today() + timedelta(days=30)).isoformat())
        until_due(nightly)
        others = crowd(2, -timedelta(hours=1))
        assert night.tick() == len(others)

    def test_after_the_end_date_two_more_nights_run_and_then_auto_sync_is_off(self, nightly, until_due):
        last_day = clock.today() + timedelta(days=1)
        nightly.set(end_date=last_day.isoformat())
        begun = []
        while True:
            until_due(nightly)
            if not night.tick():
                break
            begun.append(clock.today())
            work(SyncRun.objects.latest("pk"))
        assert max(begun) == last_day + timedelta(days=2)
        nightly.connection.refresh_from_db()
        assert (nightly.connection.auto_sync, nightly.connection.auto_next_at) == (False, None)
        notice = Notice.objects.get()
        assert notice.cause == notices.END_DATE
        assert f"{last_day.day} {last_day:%b %Y}" in notice.says

    def test_a_database_of_another_installation_begins_no_night(self, nightly, until_due, settings):
        until_due(nightly)
        settings.INSTALLATION_ID = "a-copy"
        installation.forget()
        assert night.tick() == 0


class TestUnseen:
    def test_a_night_nobody_has_looked_for_yet_is_told_once(self, nightly, until_due):
        Connection.objects.update(preview_confirmed={})
        for _ in range(2):
            until_due(nightly)
            assert night.tick() == 0
        told = Notice.objects.get()
        assert (told.cause, told.times) == (notices.PREVIEW, 2)

    def test_a_preview_a_person_left_open_is_told_by_night(self, new_kind, until_due):
        run = runs.start(new_kind.connection, new_kind.user)
        engine.advance(run.pk)
        until_due(new_kind)
        assert night.tick() == 0
        assert Notice.objects.get().cause == notices.PREVIEW

    @pytest.fixture
    def new_kind(self, nightly):
        nightly.purchase("12.50")
        Connection.objects.update(preview_confirmed={"fee": {}})
        nightly.connection.refresh_from_db()
        return nightly

    def test_what_nobody_has_seen_waits_with_one_notice_and_no_sync_stays_open(self, new_kind, until_due):
        for _ in range(3):
            until_due(new_kind)
            night.tick()
            for run in SyncRun.objects.filter(status__in=SyncRun.ALIVE):
                work(run)
        assert {run.status for run in SyncRun.objects.all()} == {Status.SUCCESS}
        notice = Notice.objects.get()
        assert (notice.cause, notice.times) == (notices.PREVIEW, 3)
        assert "1 purchase waits" in notice.says
        assert Export.objects.count() == 0

    def test_a_kind_nobody_has_seen_does_not_hold_up_the_others(self, new_kind, until_due):
        new_kind.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
        new_kind.set(kinds=["purchase", "fee"])
        Connection.objects.update(preview_confirmed={"purchase": {}})
        until_due(new_kind)
        night.tick()
        run = work(SyncRun.objects.get())
        assert (run.status, run.rows_posted) == (Status.SUCCESS, 1)
        assert "1 fee waits" in Notice.objects.get(ended_at=None).says
        assert list(Export.objects.values_list("kind", "state")) == [("purchase", "posted")]

    def test_a_row_of_such_a_kind_that_is_in_the_ledger_already_does_not_go_by_night(self, nightly, until_due):
        row = nightly.purchase("12.50", approval="NotReviewed")
        nightly.sync()
        nightly.pex.set_approval(row, "Approved")
        Connection.objects.update(preview_confirmed={"fee": {}})
        until_due(nightly)
        night.tick()
        work(SyncRun.objects.latest("pk"))
        row = Export.objects.get()
        assert (row.state, row.waiting) == ("due", "unseen")
        assert nightly.books.live() == []

    def test_a_confirmation_ends_the_notice(self, new_kind, until_due):
        until_due(new_kind)
        night.tick()
        work(SyncRun.objects.get())
        new_kind.connection.refresh_from_db()
        run = work(runs.start(new_kind.connection, new_kind.user))
        assert Notice.objects.get().ended_at is None
        assert runs.confirm(run, new_kind.user)
        assert Notice.objects.get().ended_at
        assert work(run).rows_posted == 1

    def test_a_preview_that_is_cancelled_leaves_the_notice(self, new_kind, until_due):
        until_due(new_kind)
        night.tick()
        work(SyncRun.objects.get())
        new_kind.connection.refresh_from_db()
        run = work(runs.start(new_kind.connection, new_kind.user))
        runs.cancel(run, new_kind.user)
        assert work(run).status == Status.CANCELLED
        assert Notice.objects.get().ended_at is None


class TestCatchingUp:
    def test_after_a_lost_night_the_oldest_begin_first_a_batch_with_each_tick(self, acme):
        count = night.BATCH + 30
        waiting = crowd(count, -timedelta(hours=9))
        waiting.sort(key=lambda each: each.auto_next_at)
        assert [night.tick(), night.tick(), night.tick()] == [night.BATCH, 30, 0]
        begun = list(SyncRun.objects.order_by("queued_at", "pk").values_list("connection_id", flat=True))
        assert set(begun[: night.BATCH]) == {each.pk for each in waiting[: night.BATCH]}
        assert sorted(begun) == sorted(each.pk for each in waiting)

    def test_three_lost_nights_are_caught_up_once(self, nightly, travel):
        travel(days=3)
        assert night.tick() == 1
        work(SyncRun.objects.get())
        assert night.tick() == 0


class TestWork:
    """What a tick and a round of the sweeper cost does not grow with those that are not due."""

    def statements(self, job) -> int:
        with CaptureQueriesContext(connection) as seen:
            job()
        return len(seen)

    def test_a_tick_asks_as_much_for_twenty_as_for_one(self, acme, messages):
        night.tick()  # learns once in each process whose database this is
        crowd(1, -timedelta(hours=1))
        one = self.statements(night.tick)
        crowd(20, -timedelta(hours=1), first=1)
        assert self.statements(night.tick) == one
        assert one <= 8
        assert SyncRun.objects.count() == 21

    def test_a_tick_finds_the_due_by_their_index(self, acme):
        crowd(2_000, timedelta(hours=5))
        with connection.cursor() as cursor:
            cursor.execute("analyze")
        due = Connection.objects.filter(auto_sync=True, auto_next_at__lte=clock.now()).order_by("auto_next_at")
        assert "connections_by_night" in due[: night.BATCH].explain()

    def test_a_round_of_the_sweeper_asks_as_much_for_many_connections_as_for_few(self, acme, messages):
        crowd(5, timedelta(hours=5))
        few = self.statements(sweeper.sweep)
        crowd(500, timedelta(hours=5), first=5)
        assert self.statements(sweeper.sweep) == few


class TestPeopleFirst:
    def broker(self, tmp_path):
        if url := os.environ.get("REDIS_URL"):
            return Broker(url)
        folder = str(tmp_path / "messages")
        options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": str(tmp_path / "control")}
        return Broker("folder://localhost", transport_options=options)

    def test_a_persons_sync_is_taken_before_the_nights_that_came_earlier(self, tmp_path):
        with self.broker(tmp_path) as broker:
            queue = broker.SimpleQueue(f"urgency-{os.getpid()}")
            queue.clear()
            for number in range(3):
                queue.put({"run": f"night {number}"}, priority=runs.LATER)
            queue.put({"run": "person"}, priority=runs.FIRST)
            queue.put({"run": "unspoken"})
            taken = [queue.get(timeout=5) for _ in range(5)]
            for message in taken:
                message.ack()
            queue.close()
        assert [message.payload["run"] for message in taken] == [
            "person",
            "unspoken",
            "night 0",
            "night 1",
            "night 2",
        ]

    def test_the_sweeper_too_puts_people_first(self, nightly, until_due, messages):
        until_due(nightly)
        night.tick()
        messages.clear()
        sweeper.sweep()
        assert [(priority, atomic) for _, priority, atomic in messages] == [(runs.LATER, False)]
        SyncRun.objects.update(nightly=False)
        messages.clear()
        sweeper.sweep()
        assert [priority for _, priority, _ in messages] == [runs.FIRST]

    def test_a_nightly_sync_that_goes_on_stays_behind_people(self, nightly, until_due, messages, monkeypatch):
        until_due(nightly)
        night.tick()
        messages.clear()
        monkeypatch.setattr("syncjobs.desk.SLICE", -1.0)
        engine.advance(SyncRun.objects.get().pk)
        assert [priority for _, priority, _ in messages] == [runs.LATER]


class TestDeadWorkers:
    def test_within_a_minute_the_sweeper_takes_up_what_a_dead_worker_left(self, nightly, travel):
        assert lease.LIFE + house.SWEEP_SECONDS < 60
        nightly.purchase("12.50")
        run = runs.start(nightly.connection, nightly.user)
        SyncRun.objects.update(status=Status.RUNNING, started_at=clock.now(), wake_at=None)
        dies_at = clock.database_now() + timedelta(seconds=lease.LIFE)
        Lease.objects.create(target=run.target, holder="a worker that is gone", until=dies_at)
        assert sweeper.sleeping_runs() == []
        engine.advance(run.pk)
        assert Export.objects.count() == 0
        travel(seconds=lease.LIFE + house.SWEEP_SECONDS)
        assert sweeper.sleeping_runs() == [run.pk]
        assert work(run).status == Status.SUCCESS
        assert Export.objects.get().state == "posted"


class TestSwitch:
    def test_before_the_first_sync_was_confirmed_it_stays_off(self, acme):
        with pytest.raises(runs.CannotStart, match="confirm"):
            night.switch_on(acme.connection)
        acme.connection.refresh_from_db()
        assert not acme.connection.auto_sync

    def test_a_connector_in_beta_has_no_nights(self, nightly, until_due, monkeypatch):
        from connectors.xero.connector import Xero

        monkeypatch.setattr(Xero, "beta", True)
        assert "BETA" in night.cannot_switch_on(nightly.connection)
        until_due(nightly)
        assert night.tick() == 0

    def test_switched_off_it_has_no_next_night(self, nightly, travel):
        night.switch_off(nightly.connection)
        travel(days=2)
        assert night.tick() == 0
        nightly.connection.refresh_from_db()
        assert nightly.connection.auto_next_at is None

    @pytest.mark.parametrize(
        ("now", "at", "said"),
        [
            ("2026-11-21 16:00", "2026-11-22 07:41", "tonight about 02:41"),
            ("2026-11-22 05:30", "2026-11-22 07:41", "tonight about 02:41"),
            ("2026-11-22 08:00", "2026-11-23 07:41", "tomorrow about 02:41"),
            ("2026-11-22 14:00", "2026-11-22 18:00", "today about 13:00"),
            ("2026-11-22 14:00", "2026-11-22 14:00", "in a moment"),
        ],
    )
    def test_when_the_next_one_begins_is_said_as_people_say_it(self, now, at, said):
        from datetime import UTC, datetime

        moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, at)]
        assert night.when(moments[1], moments[0], EASTERN) == said


class TestWalls:
    @pytest.mark.walls
    def test_the_walls_between_businesses_let_the_night_through(self, acme, sandbox):
        """Run again where the database shows no row outside a scope, as in production."""
        acme.purchase("12.50")
        with everywhere():
            Connection.objects.update(
                preview_confirmed={"purchase": {}}, auto_sync=True, auto_next_at=clock.now() - timedelta(minutes=1)
            )
        assert night.tick() == 1
        with everywhere():
            run = SyncRun.objects.get()
        for _ in range(3):
            engine.advance(run.pk)
        with everywhere():
            run.refresh_from_db()
            assert (run.nightly, run.status, run.rows_posted) == (True, Status.SUCCESS, 1)
            acme.connection.refresh_from_db()
        notices.signed_out(acme.connection, "Xero ended the sign-in.")
        with everywhere():
            Connection.objects.update(auto_next_at=clock.now() - timedelta(minutes=1))
        assert night.tick() == 0
        with everywhere():
            assert Notice.objects.get().times == 2
        assert notices.over(acme.connection, notices.SESSION)
