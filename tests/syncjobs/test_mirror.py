"""Reading PEX: within its limits, shared by the runs of a business, whole or not at all."""

from datetime import timedelta

import pytest

from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import everywhere, scope
from syncjobs import engine, mirror, runs, window
from syncjobs.models import Export, MirrorRead, PexTransaction, SyncRun
from syncjobs.window import Window, one_year_before

pytestmark = pytest.mark.database

Status = SyncRun.Status
CARD_LIST = "Details/AllCardholderTransactions"
BUSINESS_LIST = "Details/TransactionDetails"
ACCOUNTS = "Details/AccountDetails"


@pytest.fixture
def limits(acme, settings):
    """PEX's limits as published, there and in our own gate."""
    acme.sandbox.worlds["pex"].switches.limits = True
    settings.PEX_CALLS_A_MINUTE, settings.PEX_LISTS_AN_HOUR, settings.PEX_BUSINESS_LISTS_A_MINUTE = 120, 10, 1


def calls(acme, path: str) -> int:
    return sum(call.path.endswith(path) for call in acme.sandbox.calls.calls if call.system == "pex")


def refused(acme) -> list[str]:
    return [call.path for call in acme.sandbox.calls.calls if call.status == 429]


def by_night(acme) -> SyncRun:
    """A sync as the schedule starts it."""
    settings = Settings.parse(acme.connection.settings)
    run = runs.planned(acme.connection, settings, window.automatic(settings, clock.today()), clock.now())
    run.nightly = True
    with scope(run.business_id):
        run.save(force_insert=True)
    return work(run)


def work(run: SyncRun) -> SyncRun:
    engine.advance(run.pk)
    with everywhere():
        run.refresh_from_db()
    return run


class TestWhatIsRemembered:
    def test_a_read_is_remembered_with_its_days_and_rows(self, acme):
        acme.purchase("12.50")
        run = acme.sync()
        [read] = MirrorRead.objects.all()
        assert (read.rows, read.last) == (1, clock.today())
        assert read.first <= run.window_start - timedelta(days=60)
        assert read.ended_at is not None
        assert run.mirrored_at == read.began_at

    def test_a_read_that_was_cut_off_does_not_count_and_begins_anew(self, acme, sandbox, travel):
        acme.purchase("12.50")
        acme.sync()
        gone = acme.purchase("7.00")
        acme.sync()
        acme.pex.remove(gone)
        sandbox.faults.add("truncate", system="pex", path=CARD_LIST)
        run = runs.start(acme.connection, acme.user)
        assert work(run).status == Status.PAUSED
        assert MirrorRead.objects.filter(ended_at=None).count() == 1
        assert not PexTransaction.objects.filter(digest=mirror.NO_LONGER_SHOWN).exists()
        travel(minutes=2)
        assert work(run).status == Status.SUCCESS
        assert PexTransaction.objects.get(digest=mirror.NO_LONGER_SHOWN).pex_id == gone.transaction_id

    def test_a_row_keeps_when_it_was_first_shown(self, acme, travel):
        row = acme.purchase("12.50", account=None)
        acme.sync()
        [first] = PexTransaction.objects.all()
        travel(minutes=5)
        acme.pex.tag(row, {acme.expense_tag.tag_id: "429"})
        acme.sync()
        [again] = PexTransaction.objects.all()
        assert again.read_at > first.read_at
        assert again.first_read_at == first.first_read_at == first.read_at


class TestLimits:
    def test_a_press_of_sync_reads_anew_and_the_night_shares_what_was_read_within_the_hour(self, acme, travel):
        acme.set(start_date=(clock.today() - timedelta(days=20)).isoformat())
        acme.purchase("12.50")
        acme.sync()
        acme.sync()
        assert calls(acme, CARD_LIST) == 2
        by_night(acme)
        assert calls(acme, CARD_LIST) == 3  # a night reads more days than these two did
        travel(minutes=30)
        run = by_night(acme)
        assert (run.status, calls(acme, CARD_LIST)) == (Status.SUCCESS, 3)
        travel(minutes=31)
        by_night(acme)
        assert calls(acme, CARD_LIST) == 4

    def test_twenty_syncs_in_an_hour_stay_within_the_limits_and_none_of_them_fails(self, acme, limits, travel):
        for _ in range(20):
            assert acme.sync().status == Status.SUCCESS
            travel(minutes=2)
        assert calls(acme, CARD_LIST) == 10
        assert calls(acme, ACCOUNTS) <= 10
        assert refused(acme) == []
        travel(hours=1)
        acme.purchase("12.50")
        assert acme.sync().rows_posted == 1

    def test_a_second_press_within_the_minute_still_sees_what_a_card_bought_meanwhile(self, acme, limits):
        acme.purchase("12.50")
        acme.sync()
        acme.purchase("7.00")
        assert acme.sync().rows_posted == 1
        assert (calls(acme, CARD_LIST), calls(acme, BUSINESS_LIST)) == (2, 1)
        assert refused(acme) == []

    def test_rows_of_the_business_list_are_not_missed_while_nobody_asks_for_it(self, acme, limits):
        acme.pex.add_business_row(amount="500.00")
        acme.sync()
        acme.sync()
        assert calls(acme, BUSINESS_LIST) == 1
        assert not PexTransaction.objects.filter(digest=mirror.NO_LONGER_SHOWN).exists()

    def test_where_nothing_new_enough_is_known_the_run_waits_until_pex_gives_the_list_again(
        self, acme, settings, limits, travel
    ):
        acme.purchase("12.50")
        settings.PEX_LISTS_AN_HOUR = 1
        acme.sync()
        travel(minutes=5)
        MirrorRead.objects.all().delete()
        run = runs.start(acme.connection, acme.user)
        assert work(run).status == Status.PAUSED
        assert run.wake_at > clock.now() + timedelta(minutes=50)
        travel(minutes=61)
        assert work(run).status == Status.SUCCESS
        assert refused(acme) == []

    def test_a_run_that_goes_on_after_an_hour_reads_once_more(self, acme, travel):
        acme.purchase("12.50")
        run = runs.start(acme.connection, acme.user)
        assert work(run).preview
        travel(minutes=61)
        acme.purchase("7.00")
        runs.confirm(run, acme.user)
        work(run)
        assert MirrorRead.objects.count() == 2
        assert run.mirrored_at == MirrorRead.objects.latest("began_at").began_at

    def test_the_card_accounts_are_asked_for_once_in_ten_minutes_or_when_a_new_card_is_met(self, acme, travel):
        acme.purchase("12.50")
        for _ in range(3):
            acme.sync()
        assert calls(acme, ACCOUNTS) == 1
        card = acme.pex.add_cardholder("Nora", "New")
        row = acme.purchase("7.00", card=card)
        acme.sync()
        assert calls(acme, ACCOUNTS) == 2
        names = dict(PexTransaction.objects.values_list("pex_id", "cardholder"))
        assert names[row.transaction_id] == "Nora New"
        assert sorted(names.values()) == ["Carla Cole", "Nora New"]
        travel(minutes=11)
        acme.sync()
        assert calls(acme, ACCOUNTS) == 3


class TestPages:
    def test_a_list_of_many_pages_is_read_whole_and_each_row_once(self, acme, sandbox):
        sandbox.worlds["pex"].switches.page_size = 5
        at = clock.now() - timedelta(days=3)
        times = [at + timedelta(seconds=number // 3) for number in range(23)]  # neighbours share a second
        rows = [
            acme.purchase("1.00", settled=None if not number else when, happened=when)
            for number, when in enumerate(times)
        ]
        acme.sync()
        assert set(PexTransaction.objects.values_list("pex_id", flat=True)) == {row.transaction_id for row in rows}
        assert MirrorRead.objects.get().rows == 23
        assert calls(acme, CARD_LIST) > 4

    def test_rows_added_and_withdrawn_while_pages_are_read_are_met_by_the_next_read(self, acme, sandbox, travel):
        sandbox.worlds["pex"].switches.page_size = 5
        old = [acme.purchase("1.00", settled=clock.now() - timedelta(days=4, minutes=-number)) for number in range(12)]
        listed, pages = acme.pex.card_rows, []

        def busy():
            pages.append(1)
            if len(pages) == 3:
                acme.purchase("2.00", settled=clock.now())
                acme.purchase("3.00", settled=clock.now() - timedelta(days=4, minutes=30))
                acme.pex.remove(old[0])
            return listed()

        acme.pex.card_rows = busy
        acme.sync()
        assert not PexTransaction.objects.filter(digest=mirror.NO_LONGER_SHOWN).exists()
        acme.sync()
        assert len(acme.books.live()) == 14
        assert PexTransaction.objects.get(digest=mirror.NO_LONGER_SHOWN).pex_id == old[0].transaction_id

    def test_a_read_that_was_frozen_takes_nothing_from_a_newer_one(self, acme, travel):
        row = acme.purchase("12.50", account=None)
        acme.sync()
        worked = []

        def freeze(rows):
            if not worked:
                worked.append(rows)
                travel(minutes=5)
                acme.purchase("7.00")
                acme.pex.tag(row, {acme.expense_tag.tag_id: "429"})
                acme.sync()

        with engine.Desk(acme.connection, object(), None) as desk:
            days = Window(one_year_before(clock.today()), clock.today())
            read = mirror.refresh(acme.business, desk.pex, days, {}, False, freeze)
        assert read.missing == []
        assert PexTransaction.objects.filter(digest=mirror.NO_LONGER_SHOWN).count() == 0
        assert Export.objects.filter(state="posted").count() == 2


class TestTheYear:
    def test_once_a_week_the_whole_year_is_read(self, acme, travel):
        acme.set(start_date=(clock.today() - timedelta(days=20)).isoformat())
        acme.sync()
        wide = []
        for day in range(16):
            travel(days=1)
            by_night(acme)
            read = MirrorRead.objects.latest("began_at")
            if read.first == one_year_before(clock.today()):
                wide.append(day + 1)
        assert wide == [7, 14]

    def test_a_year_that_is_too_much_for_one_hour_does_not_keep_the_night_from_its_work(self, acme, sandbox, travel):
        acme.set(start_date=(clock.today() - timedelta(days=20)).isoformat())
        acme.purchase("1.00")
        acme.sync()
        travel(days=8)
        acme.purchase("12.50")
        sandbox.faults.add("status", system="pex", path=CARD_LIST, status=429, headers={"Retry-After": "1800"})
        run = runs.start(acme.connection, acme.user)
        assert work(run).status == Status.PAUSED
        travel(minutes=31)
        assert work(run).status == Status.SUCCESS
        assert run.rows_posted == 1
        assert MirrorRead.objects.latest("began_at").first > one_year_before(clock.today())


@pytest.mark.parametrize(
    ("lost", "known", "too_many"),
    [
        (1, 1, False),
        (3, 3, False),
        (2, 4, False),
        (3, 4, True),
        (20, 40, False),
        (21, 40, True),
        (21, 419, True),
        (21, 420, False),
    ],
)
def test_more_than_twenty_and_one_in_twenty_or_more_than_half_is_not_believed(lost, known, too_many):
    assert mirror.vanished_too_many(lost, known) is too_many
