"""What PEX showed long after it settled is sent after one yes, on Manage."""

from datetime import timedelta

import pytest
from django.utils.html import strip_tags

from pexsync import clock
from syncjobs import engine
from syncjobs.models import Export, SyncRun

pytestmark = pytest.mark.database


@pytest.fixture
def late(acme) -> None:
    acme.purchase("1.00")
    acme.sync()
    for number in range(21):
        acme.purchase(f"{number + 1}.00", settled=clock.now() - timedelta(days=20))
    acme.sync()


def shown(browser) -> str:
    return " ".join(strip_tags(browser.get("/xero/sync").content.decode()).split())


def test_manage_asks_once_and_the_yes_sends_them(browser, acme, late, travel):
    travel(minutes=1)
    page = shown(browser)
    assert "PEX showed 21 older transactions only now." in page
    assert "$231.00 in all" in page
    assert "SEND THEM" in page
    browser.post("/xero/sync/late")
    run = SyncRun.objects.latest("pk")
    assert (run.started_by, run.status) == (acme.user, "queued")
    travel(minutes=2)  # while the page is open calls are kept for people
    engine.advance(run.pk)
    assert Export.objects.filter(state="posted").count() == 22
    assert "only now" not in shown(browser)


def test_a_yes_nobody_waits_for_starts_nothing(browser, acme):
    answer = browser.post("/xero/sync/late", follow=True)
    assert "There was nothing left to confirm." in answer.content.decode()
    assert not SyncRun.objects.exists()
    acme.connection.refresh_from_db()
    assert acme.connection.late_confirmed_at is None


def test_a_yes_while_a_sync_runs_counts_for_the_next(browser, acme, late, a_run, travel):
    travel(minutes=1)
    a_run(status="running")
    answer = browser.post("/xero/sync/late", follow=True)
    assert "Confirmed. They go with the next sync." in answer.content.decode()
    acme.connection.refresh_from_db()
    assert acme.connection.late_confirmed_at is not None


def test_a_link_says_no_yes(browser, late, acme):
    assert browser.get("/xero/sync/late").status_code == 405
