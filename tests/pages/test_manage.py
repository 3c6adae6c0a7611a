"""Manage: starting, watching, confirming and cancelling a sync; with and without script."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pexsync import clock
from syncjobs import engine
from syncjobs.models import PreviewRow, SyncRun, Tally

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch) -> None:
    """Wake-ups go nowhere: the tests themselves say when a worker comes by."""
    from syncjobs.tasks import advance

    monkeypatch.setattr(advance, "apply_async", lambda *args, **options: None)


@pytest.fixture
def waiting(a_run) -> SyncRun:
    preview = [
        {"month": "2026-09", "kind": "purchase", "count": 41, "sum": "1234.50", "blocked": 0},
        {"month": "2026-10", "kind": "purchase", "count": 77, "sum": "-12.00", "blocked": 0},
    ]
    run = a_run(status="paused", phase="checking", preview=preview, rows_due=118, settings_version=1)
    PreviewRow.objects.bulk_create(
        PreviewRow(
            business=run.business,
            run=run,
            source="transaction",
            pex_id=number,
            kind="purchase",
            settled_on=date(2026, 9 if number < 41 else 10, 5),
            amount={0: Decimal("1234.50"), 41: Decimal("-12.00")}.get(number, Decimal()),
            state="ready",
        )
        for number in range(118)
    )
    return run


def page(browser) -> str:
    return browser.get("/xero/sync").content.decode()


def test_before_the_first_sync_the_page_says_what_sync_does(browser):
    shown = page(browser)
    assert ">SYNC<" in shown
    assert "No sync has run." in shown
    assert "nothing is posted before you have seen and confirmed it" in shown


def test_sync_queues_one_run_and_a_second_press_says_so(browser, acme):
    browser.post("/xero/sync/start")
    run = SyncRun.objects.get()
    assert (run.status, run.started_by) == ("queued", acme.user)
    assert "Sync is about to begin" in page(browser)

    answer = browser.post("/xero/sync/start", follow=True)
    assert "already running" in answer.content.decode()
    assert SyncRun.objects.count() == 1


def test_other_days_hold_for_this_sync_alone(browser, acme):
    first, last = clock.today() - timedelta(days=9), clock.today() - timedelta(days=2)
    browser.post("/xero/sync/start", {"first": first.isoformat(), "last": last.isoformat()})
    run = SyncRun.objects.get()
    assert (run.window_start, run.window_end) == (first, last)


@pytest.mark.parametrize("typed", ["soon", "2026-13-45"])
def test_days_that_are_none_start_nothing(browser, typed):
    answer = browser.post("/xero/sync/start", {"first": typed}, follow=True)
    assert "No sync was started." in answer.content.decode()
    assert not SyncRun.objects.exists()


def test_a_sync_is_not_started_by_a_link(browser):
    assert browser.get("/xero/sync/start").status_code == 405


def test_a_connection_that_is_not_ready_says_why_it_cannot(browser, change):
    change(state="failed", failure="Xero ended the sign-in.")
    answer = browser.post("/xero/sync/start", follow=True)
    assert "Xero ended the sign-in." in answer.content.decode()
    assert ">RE-CONNECT<" in page(browser)


def test_progress_is_shown_with_words_and_numbers(browser, a_run):
    run = a_run(
        status="running", rows_read=240, rows_judged=240, rows_waiting=122, rows_due=118, rows_posted=37,
        receipts_due=96, receipts_done=20,
    )  # fmt: skip
    shown = page(browser)
    assert "Syncing: 37 of 118 are in Xero" in shown
    assert "You can leave this page" in shown
    assert '<progress aria-labelledby="phase-3" max="118" value="37">' in shown
    assert "118 due, 122 not" in shown
    assert "20 of 96" in shown
    assert f'action="/xero/runs/{run.pk}/cancel"' in shown
    assert 'href="/xero/sync">REFRESH</a>' in shown  # the same without script
    assert 'hx-trigger="every 2s"' in shown


def test_the_live_part_is_a_fragment_with_its_row_of_the_history(browser, a_run):
    run = a_run(status="running", rows_due=118, rows_posted=59)
    part = browser.get("/xero/sync/live", headers=FRAGMENT).content.decode()
    assert part.strip().startswith('<div class="live" id="live"')
    assert 'data-live="50 percent are in Xero."' in part
    assert f'<template><tr id="run-{run.pk}" hx-swap-oob="true">' in part
    assert "<html" not in part


def test_the_live_part_asks_for_the_page_once_the_run_has_ended(browser, a_run):
    a_run()
    answer = browser.get("/xero/sync/live", headers=FRAGMENT)
    assert answer.headers["HX-Refresh"] == "true"
    assert browser.get("/xero/sync/live").url == "/xero/sync"


def test_what_would_be_sent_waits_for_a_yes(browser, waiting):
    shown = page(browser)
    assert "118 transactions are ready to send" in shown
    assert "Nothing goes to Xero before you confirm it." in shown
    assert "September 2026" in shown
    assert "$1,234.50" in shown
    assert "−$12.00" in shown
    assert "$1,222.50" in shown
    assert "Send these 118" in shown


def test_confirming_is_remembered_and_done_once(browser, acme, waiting):
    browser.post(f"/xero/runs/{waiting.pk}/confirm")
    waiting.refresh_from_db()
    acme.connection.refresh_from_db()
    assert waiting.confirmed_at
    assert acme.connection.preview_confirmed["purchase"]["by"] == acme.user.username
    answer = browser.post(f"/xero/runs/{waiting.pk}/confirm", follow=True)
    assert "nothing left to confirm" in answer.content.decode()


def test_cancel_asks_and_says_what_happens(browser, acme, a_run):
    run = a_run(status="running")
    answer = browser.post(f"/xero/runs/{run.pk}/cancel", follow=True)
    shown = answer.content.decode()
    assert "Cancelling the sync" in shown
    assert 'id="cancel"' not in shown
    run.refresh_from_db()
    assert run.cancel_asked_by == acme.user


def test_cancelling_what_has_ended_changes_nothing(browser, a_run):
    run = a_run()
    answer = browser.post(f"/xero/runs/{run.pk}/cancel", follow=True)
    assert "already ended" in answer.content.decode()
    run.refresh_from_db()
    assert run.status == "success"


def test_a_limit_pauses_and_says_until_when(browser, a_run):
    a_run(status="paused", says="Xero allows 5,000 calls a day. Continues 09:14, 81 to go.")
    assert "Continues 09:14, 81 to go." in page(browser)


def test_the_four_counts_are_links_to_their_rows(browser, acme):
    for state, waits, count, amount in (
        ("due", "", 2, "88.10"),
        ("due", "you", 3, "292.57"),
        ("due", "later", 4, "410.00"),
        ("posted", "", 120, "21844.10"),
    ):
        Tally.objects.create(
            business=acme.business, system="xero", month=clock.today().replace(day=1), kind="purchase", state=state,
            waits=waits, count=count, amount=Decimal(amount),
        )  # fmt: skip
    shown = page(browser)
    for view, amount in (
        ("queued", "$88.10"),
        ("needs_you", "$292.57"),
        ("not_due", "$410.00"),
        ("posted", "$21,844.10"),
    ):
        assert f'href="/xero/transactions?view={view}"' in shown
        assert amount in shown


def test_causes_are_grouped_with_the_place_that_mends_them(browser, a_row):
    for _ in range(3):
        a_row(state="due", waiting="coding", cause="untagged:account", says="No Expense Account tag. Tag it in PEX.")
    shown = page(browser)
    assert "3 transactions: no Expense Account tag" in shown
    assert 'href="/xero/setup?field=account"' in shown


def test_a_problem_of_the_settings_is_said_before_the_next_sync(browser, change):
    change(settings_problem="429 is archived in Xero. Choose another in Setup.")
    assert "429 is archived in Xero." in page(browser)


def test_without_settings_the_page_leads_to_the_setup(browser, change):
    change(settings_version=0)
    assert browser.get("/xero/sync").url == "/xero"


def test_a_whole_first_sync_from_sync_to_success(browser, acme):
    acme.purchase("12.50")
    browser.post("/xero/sync/start")
    run = SyncRun.objects.get()
    engine.advance(run.pk)
    assert "1 transaction is ready to send" in page(browser)
    browser.post(f"/xero/runs/{run.pk}/confirm")
    for _ in range(4):
        engine.advance(run.pk)
    shown = page(browser)
    assert "Success" in shown
    assert "1 of 1" in shown
    result = browser.get(f"/xero/runs/{run.pk}").content.decode()
    assert "Staples" in result
    assert "In Xero" in result
    assert "Open record" in result


def test_many_runs_cost_no_more_than_one(browser, a_run):
    a_run()
    page(browser)  # what a process learns once
    one = queries(browser, "/xero/sync")
    for _ in range(8):
        a_run()
    assert queries(browser, "/xero/sync") == one
    assert one <= 20


def queries(browser, address: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(address).status_code == 200
    return len(seen)


def test_a_question_stands_still_while_a_person_answers_it(browser, acme):
    """Drawn anew every two seconds it would forget what was chosen."""
    acme.purchase("12.50")
    browser.post("/xero/sync/start")
    run = SyncRun.objects.get()
    assert "every 2s" in page(browser)
    engine.advance(run.pk)
    assert "every 2s" not in page(browser)
    browser.post(f"/xero/runs/{run.pk}/confirm")
    assert "every 2s" in page(browser)


def test_a_month_that_looks_booked_is_asked_about_and_the_answer_counts(browser, acme):
    acme.purchase("12.50")
    acme.books.post_by_hand("Card", "12.50")
    browser.post("/xero/sync/start")
    run = SyncRun.objects.get()
    engine.advance(run.pk)
    run.refresh_from_db()
    [line] = run.preview
    name = f"decide-{line['month']}-purchase"
    assert "looks booked" in page(browser)
    assert 'id="confirm"' not in page(browser)
    unanswered = browser.post(f"/xero/runs/{run.pk}/confirm", follow=True).content.decode()
    assert "Say of each month that looks booked already" in unanswered
    browser.post(f"/xero/runs/{run.pk}/confirm", {name: "maybe"})
    run.refresh_from_db()
    assert run.confirmed_at is None
    browser.post(f"/xero/runs/{run.pk}/confirm", {name: "out"})
    engine.advance(run.pk)
    assert len(acme.books.live()) == 1
