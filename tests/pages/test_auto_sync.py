"""Auto-sync on the pages: the switch, when the next night is, what people are told, and what goes on by itself."""

from zoneinfo import ZoneInfo

import pytest

from connectors.models import Connection, Credential
from pexsync import clock
from syncjobs import engine, night, notices
from syncjobs.models import Export, Notice, SyncRun
from syncjobs.tasks import advance
from tests.pages.conftest import sign_in
from tests.pages.test_connect import at_xero

POST = {"system": "xero-api", "method": "PUT", "path": "/BankTransactions$"}
ON, OFF = {"on": "yes"}, {"on": "no"}


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch) -> None:
    monkeypatch.setattr(advance, "apply_async", lambda *args, **options: None)


@pytest.fixture
def confirmed(acme, change):
    change(preview_confirmed={"purchase": {}})
    return acme


def page(browser, address: str = "/xero/sync") -> str:
    return browser.get(address).content.decode()


class TestSwitch:
    def test_on_it_says_when_the_next_sync_begins(self, browser, confirmed):
        shown = browser.post("/xero/sync/auto", ON, follow=True).content.decode()
        confirmed.connection.refresh_from_db()
        begins = confirmed.connection.auto_next_at.astimezone(ZoneInfo("America/New_York"))
        assert "Auto-sync is on." in shown
        assert f"about {begins:%H:%M} ({begins:%Z}), then every 24 hours." in shown
        assert "SWITCH AUTO-SYNC OFF" in shown
        assert f"about {begins:%H:%M}." in page(browser, "/")

    def test_the_time_is_that_of_the_business(self, browser, confirmed):
        confirmed.business.time_zone = "Pacific/Honolulu"
        confirmed.business.save()
        shown = browser.post("/xero/sync/auto", ON, follow=True).content.decode()
        confirmed.connection.refresh_from_db()
        begins = confirmed.connection.auto_next_at.astimezone(ZoneInfo("Pacific/Honolulu"))
        assert begins.hour < 6
        assert f"about {begins:%H:%M} (HST)" in shown

    def test_off_again_a_sync_waits_for_a_person(self, browser, confirmed):
        browser.post("/xero/sync/auto", ON)
        shown = browser.post("/xero/sync/auto", OFF, follow=True).content.decode()
        assert "Auto-sync is off." in shown
        assert "SWITCH AUTO-SYNC ON" in shown
        assert "Next: when you press SYNC." in page(browser, "/")
        confirmed.connection.refresh_from_db()
        assert (confirmed.connection.auto_sync, confirmed.connection.auto_next_at) == (False, None)

    def test_before_the_first_sync_was_confirmed_it_says_what_to_do(self, browser, acme):
        assert "Press SYNC once and confirm what would be sent" in page(browser)
        answer = browser.post("/xero/sync/auto", ON, follow=True).content.decode()
        assert "Auto-sync is on." not in answer
        acme.connection.refresh_from_db()
        assert not acme.connection.auto_sync

    def test_how_far_back_a_night_reaches_stands_beside_it(self, browser, confirmed):
        from syncjobs.window import two_months_before

        confirmed.set(start_date="2020-01-01")
        first = two_months_before(clock.today())
        assert f"covers what settled from {first.day} {first:%b %Y} on" in page(browser)

    def test_on_but_signed_out_it_promises_no_night(self, browser, confirmed, change):
        browser.post("/xero/sync/auto", ON)
        confirmed.connection.refresh_from_db()
        notices.signed_out(confirmed.connection, "Xero ended the sign-in.")
        shown = page(browser)
        assert "No sync begins by itself as things are." in shown
        assert "Next sync" not in shown
        assert "Next sync" not in page(browser, "/")

    def test_the_switch_is_no_link(self, browser, confirmed):
        assert browser.get("/xero/sync/auto").status_code == 405


class TestTold:
    def test_a_notice_stands_on_both_pages_with_since_when(self, browser, acme, travel):
        for _ in range(4):
            notices.tell(
                acme.connection, notices.PEX, "PEX has ended the sign-in that syncs. Launch PEX Sync from PEX."
            )
            travel(days=1)
        told = Notice.objects.get().since.astimezone(ZoneInfo("America/New_York"))
        for address in ("/", "/xero/sync"):
            shown = page(browser, address)
            assert "PEX needs you to sign in again." in shown
            assert f"Since {told.day} {told:%b}, 4 times." in shown

    def test_a_session_failure_is_one_banner_with_since_when(self, browser, acme, travel):
        notices.signed_out(acme.connection, "Xero ended the sign-in.")
        travel(days=1)
        notices.tell(acme.connection, notices.SESSION, "Xero ended the sign-in.")
        shown = page(browser)
        assert shown.count("Xero needs you to sign in again.") == 1
        assert "Since yesterday" in shown
        assert ", 2 times." in shown
        overview = page(browser, "/")
        assert overview.count('href="/xero/connect">RE-CONNECT<span class="for-readers">') == 1
        assert ", 2 times." in overview

    def test_what_only_tells_can_be_put_away_and_nothing_else_can(self, browser, acme):
        notices.tell(acme.connection, notices.END_DATE, "Nothing later is synced.")
        notices.tell(acme.connection, notices.PERMISSION, "A permission is missing.")
        assert page(browser).count(">GOT IT<") == 1
        for cause in (notices.END_DATE, notices.PERMISSION):
            browser.post("/xero/sync/seen", {"cause": cause})
        assert [notice.cause for notice in notices.of(acme.connection)] == [notices.PERMISSION]

    def test_rival_is_told_nothing_of_acme(self, client, acme, rival):
        notices.tell(acme.connection, notices.PEX, "Acme must sign in.")
        browser = sign_in(client, rival.user, rival.business)
        for address in ("/", "/xero/sync"):
            assert "Acme must sign in." not in page(browser, address)
        browser.post("/xero/sync/seen", {"cause": notices.PEX})
        assert Notice.objects.get().ended_at is None


class TestGoingOn:
    """After a repaired sign-in nobody has to press SYNC."""

    @pytest.fixture
    def nora(self, acme):
        return acme.sandbox.worlds["xero"].add_user("Nora", "nora@example.com", [acme.books])

    def run_into_trouble(self, world, fault: str, **facts) -> SyncRun:
        world.purchase("12.50")
        world.sandbox.faults.add(fault, **POST, **facts)
        run = world.sync()
        world.sandbox.faults.clear()
        return run

    def sign_in_again(self, browser, world, nora) -> str:
        return browser.get(at_xero(browser, nora.email, [world.books.id]), follow=True).content.decode()

    def work(self) -> SyncRun:
        run = SyncRun.objects.latest("pk")
        for _ in range(3):
            engine.advance(run.pk)
        run.refresh_from_db()
        return run

    def test_what_was_due_is_sent(self, browser, confirmed, nora):
        failed = self.run_into_trouble(confirmed, "status", status=401, times=None)
        assert (failed.status, Export.objects.get().state) == ("failed", "due")
        confirmed.connection.refresh_from_db()
        assert confirmed.connection.state == Connection.State.FAILED
        shown = self.sign_in_again(browser, confirmed, nora)
        assert "Signed in again. Sending 1 purchase." in shown
        run = self.work()
        assert (run.started_by, run.status, run.rows_posted) == (confirmed.user, "success", 1)
        assert not Notice.objects.filter(ended_at=None).exists()

    def test_what_was_in_doubt_is_looked_for(self, browser, confirmed, nora, travel):
        self.run_into_trouble(confirmed, "drop_after")
        assert Export.objects.get().state == "sent"
        notices.signed_out(confirmed.connection, "Xero ended the sign-in.")
        travel(minutes=11)
        self.sign_in_again(browser, confirmed, nora)
        self.work()
        assert Export.objects.get().state == "posted"

    def test_nights_that_were_missed_are_made_up_for(self, browser, confirmed, nora):
        night.switch_on(confirmed.connection)
        notices.signed_out(confirmed.connection, "Xero ended the sign-in.")
        assert "A sync has begun." in self.sign_in_again(browser, confirmed, nora)
        assert SyncRun.objects.count() == 1

    def test_with_nothing_held_up_nothing_begins(self, browser, confirmed, nora):
        notices.signed_out(confirmed.connection, "Xero ended the sign-in.")
        assert "Settings were kept." in self.sign_in_again(browser, confirmed, nora)
        assert not SyncRun.objects.exists()

    def test_what_somebody_disconnected_on_purpose_waits_for_sync(self, browser, confirmed, nora):
        night.switch_on(confirmed.connection)
        notices.signed_out(confirmed.connection, "Xero ended the sign-in.")
        browser.post("/xero/disconnect")
        self.sign_in_again(browser, confirmed, nora)
        confirmed.connection.refresh_from_db()
        assert confirmed.connection.ready
        assert not SyncRun.objects.exists()

    def test_a_repaired_sign_in_to_pex_sends_what_waited(self, client, confirmed):
        self.run_into_trouble(confirmed, "status", status=401, times=None)
        Connection.objects.update(state=Connection.State.READY, failure="")
        notices.over(confirmed.connection, notices.SESSION)
        confirmed.connection.refresh_from_db()
        Credential.objects.filter(system="pex").update(state=Credential.State.DEAD, reason="PEX has ended the sign-in.")
        assert confirmed.sync().status == "failed"
        assert [notice.cause for notice in notices.of(confirmed.connection)] == [notices.PEX]
        client.get("/handle-pex-jwt", {"jwt": confirmed.sandbox.worlds["pex"].launch_jwt(confirmed.admin)})
        assert notices.of(confirmed.connection) == []
        run = self.work()
        assert (run.status, run.rows_posted) == ("success", 1)
