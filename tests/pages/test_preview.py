"""The page of a preview: what it says, ticks that survive, exactly these, and what happens when it is too late."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.utils.html import strip_tags

from pexsync import clock
from syncjobs import engine, runs
from syncjobs.models import Export, PreviewRow, SyncRun
from tests.pages.conftest import sign_in

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch) -> None:
    """Wake-ups go nowhere: the tests themselves say when a worker comes by."""
    from syncjobs.tasks import advance

    monkeypatch.setattr(advance, "apply_async", lambda *args, **options: None)


@pytest.fixture
def asked(acme) -> Callable[..., SyncRun]:
    """A run that has been to PEX and now waits for somebody."""

    def build(**how: Any) -> SyncRun:
        run = runs.start(acme.connection, acme.user, **how)
        engine.advance(run.pk)
        run.refresh_from_db()
        return run

    return build


@pytest.fixture
def many(acme, asked) -> SyncRun:
    """Sixty that could go: more than one page."""
    for number in range(60):
        acme.purchase(f"{number + 1}.00")
    return asked()


def address(run: SyncRun) -> str:
    return f"/xero/runs/{run.pk}/preview"


def text_of(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode()).split())


def on_page(answer: Any) -> list[str]:
    return re.findall(r'name="on" value="(\d+)"', answer.content.decode())


def ticked(answer: Any) -> list[str]:
    return re.findall(r'name="row" value="(\d+)" checked', answer.content.decode())


class TestWhatItSays:
    def test_counts_and_sums_stand_first(self, browser, acme, asked):
        acme.purchase("12.50", merchant="Staples")
        acme.purchase("7.50", merchant="Shell")
        acme.purchase("3.00", account=None)
        acme.purchase("4.00", approval="NotReviewed")
        shown = text_of(browser.get(address(asked())))
        assert "2 transactions would be sent to Xero" in shown
        assert (
            "Together $20.00 out of PEX. 2 contacts would be created in Xero, 1 needs you first, 1 is not due." in shown
        )
        assert "Send these 2 to Xero" in shown

    def test_an_entry_can_be_opened_to_its_debit_and_credit_without_script(self, browser, acme, asked):
        acme.purchase("12.50", merchant="Staples")
        page = browser.get(address(asked())).content.decode()
        assert "<details" in page
        assert "Debit429 General Expenses$12.50" in strip_tags(page).replace("\n", "").replace("  ", "")
        assert "CreditPEX Cash Account$12.50" in strip_tags(page).replace("\n", "").replace("  ", "")
        assert "new contact" in page

    def test_what_does_not_go_says_why_and_leads_to_what_mends_it(self, browser, acme, asked):
        acme.purchase("3.00", account=None)
        run = asked()
        page = browser.get(address(run)).content.decode()
        assert "Nothing would be sent to Xero" in page
        assert "Mend what needs you, then look again." in page
        assert "No Expense Account tag" in page
        assert "TAG IN PEX" in page
        found = browser.get(f"{address(run)}?cause=untagged:account").content.decode()
        assert "$3.00" in found

    def test_the_count_beside_each_reason_opens_exactly_those_rows(self, browser, acme, asked):
        for code in ("601", "601", "602"):
            acme.purchase(account=code)
        run = asked()
        page = browser.get(address(run)).content.decode()
        links = re.findall(r'href="(\?[^"]*cause=[^"]*)#rows-title">Show (\d+)', page)
        assert sorted(count for _, count in links) == ["1", "2"]
        for query, count in links:
            found = browser.get(f"{address(run)}{unescape(query)}").content.decode()
            assert found.count('class="lead-cell"') == int(count)

    @pytest.mark.parametrize(
        ("query", "merchants"),
        [
            ("state=ready", {"Staples", "Shell"}),
            ("state=blocked", {"Untagged Inn"}),
            ("state=later", set()),
            ("q=shel", {"Shell"}),
            ("kind=purchase", {"Staples", "Shell", "Untagged Inn"}),
            ("kind=fee", set()),
            ("month=2020-01", set()),
            ("month=9999-12&state=nonsense&kind=what", {"Staples", "Shell", "Untagged Inn"}),
            ("month=0000-00&page=x", {"Staples", "Shell", "Untagged Inn"}),
        ],
    )
    def test_it_is_filtered_by_the_address(self, browser, acme, asked, query, merchants):
        for merchant in ("Staples", "Shell"):
            acme.purchase(merchant=merchant)
        acme.purchase(merchant="Untagged Inn", account=None)
        page = browser.get(f"{address(asked())}?{query}").content.decode()
        shown = set(re.findall(r'class="lead-cell">([^<]+)<', page))
        assert shown == merchants

    def test_a_number_in_the_address_that_is_no_month_of_ours_is_left_alone(self, browser, asked, acme):
        acme.purchase()
        assert browser.get(f"{address(asked())}?month=2026-1&q=%00").status_code == 200

    def test_the_sheet_holds_every_debit_and_credit(self, browser, acme, asked):
        acme.purchase("12.50", merchant="=Staples")
        acme.purchase("3.00", account=None)
        answer = browser.get(f"/xero/runs/{asked().pk}/preview.csv")
        lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
        assert [(line["Account"], line["Debit"], line["Credit"]) for line in lines] == [
            ("429 General Expenses", "12.50", ""),
            ("PEX Cash Account", "", "12.50"),
            ("", "", ""),
        ]
        assert lines[0]["Merchant"].startswith("'=")
        assert [line["Ticked"] for line in lines] == ["yes", "yes", "no"]

    def test_before_it_is_made_and_when_it_was_dropped_it_says_what_to_do(self, browser, a_run):
        assert "PEX is being read" in text_of(browser.get(address(a_run(status="running"))))
        SyncRun.objects.update(status="success", ended_at=clock.now())
        assert "kept for some days" in text_of(
            browser.get(
                address(a_run(preview=[{"month": "2026-01", "kind": "fee", "count": 1, "sum": "1", "blocked": 0}]))
            )
        )

    def test_the_page_asks_the_database_as_often_for_many_rows_as_for_few(self, browser, acme, asked, many):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as whole:
            browser.get(address(many))
        with CaptureQueriesContext(connection) as few:
            browser.get(f"{address(many)}?page=2")
        assert len(whole) == len(few) <= 16


class TestTicks:
    def test_everything_is_ticked_at_first(self, browser, many):
        answer = browser.get(address(many))
        assert len(ticked(answer)) == len(on_page(answer)) == 50

    def test_they_survive_going_to_the_next_page_without_script(self, browser, many):
        first = on_page(browser.get(address(many)))
        answer = browser.post(address(many), {"on": first, "row": first[2:], "here": "1", "go": "2"})
        assert answer.url.endswith("page=2")
        assert "Send these 58 to Xero" in text_of(browser.get(answer.url))
        assert len(ticked(browser.get(address(many)))) == 48

    def test_only_rows_of_the_page_are_changed(self, browser, many):
        first = on_page(browser.get(address(many)))
        browser.post(address(many), {"on": first[:1], "row": []})
        assert PreviewRow.objects.filter(chosen=False).count() == 1

    def test_all_or_none_of_what_the_filter_shows(self, browser, acme, asked):
        for merchant in ("Staples", "Shell", "Shell"):
            acme.purchase(merchant=merchant)
        run = asked()
        here = f"{address(run)}?q=Shell"
        browser.post(here, {"all": "0"})
        assert set(PreviewRow.objects.filter(chosen=False).values_list("merchant", flat=True)) == {"Shell"}
        browser.post(here, {"all": "1"})
        assert not PreviewRow.objects.filter(chosen=False).exists()

    def test_with_script_the_foot_says_at_once_what_would_go(self, browser, many):
        first = on_page(browser.get(address(many)))
        part = browser.post(address(many), {"on": first, "row": first[1:]}, headers=FRAGMENT).content.decode()
        assert part.strip().startswith('<div class="bulk" id="preview-foot"')
        assert "Send these 59 to Xero" in part
        assert 'name="expected" value="59"' in part

    def test_a_row_that_cannot_go_yet_is_not_unticked(self, browser, acme, asked):
        acme.purchase(account=None)
        run = asked()
        assert on_page(browser.get(address(run))) == []
        row = PreviewRow.objects.get()
        browser.post(address(run), {"on": [row.pk], "row": []})
        row.refresh_from_db()
        assert row.chosen  # else it would be put off once it can go

    def test_ticks_of_another_business_are_nobodys_to_change(self, client, browser, acme, rival, asked):
        acme.purchase()
        run = asked()
        row = PreviewRow.objects.get()
        other = sign_in(client, rival.user, rival.business)
        assert other.post(address(run), {"on": [row.pk], "row": []}).status_code == 404
        row.refresh_from_db()
        assert row.chosen


class TestSending:
    def test_exactly_what_is_ticked_goes(self, browser, acme, many):
        first = on_page(browser.get(address(many)))
        browser.post(address(many), {"on": first, "row": first[10:]})
        answer = browser.get(address(many))
        browser.post(address(many), {"on": first, "row": first[10:], "expected": "50", "send": "1"})
        assert "Send these 50 to Xero" in text_of(answer)
        engine.advance(many.pk)
        assert len(acme.books.live()) == 50
        assert Export.objects.filter(put_off=True).count() == 10

    def test_ticks_made_without_script_in_the_last_moment_ask_once_more(self, browser, acme, many):
        first = on_page(browser.get(address(many)))
        answer = browser.post(
            address(many), {"on": first, "row": first[1:], "expected": "60", "send": "1"}, follow=True
        )
        shown = text_of(answer)
        assert "Nothing was sent: 59 transactions are ticked now." in shown
        assert "Send these 59 to Xero" in shown
        many.refresh_from_db()
        assert many.confirmed_at is None

    def test_manage_confirms_the_number_it_shows_and_leads_to_each(self, browser, acme, many):
        page = browser.get("/xero/sync").content.decode()
        assert f'href="{address(many)}"' in page
        assert 'name="expected" value="60"' in page
        PreviewRow.objects.filter(pk=PreviewRow.objects.first().pk).update(chosen=False)
        answer = browser.post(f"/xero/runs/{many.pk}/confirm", {"expected": "60"}, follow=True)
        assert "59 transactions are ticked now" in text_of(answer)

    def test_after_the_confirmation_the_page_only_tells(self, browser, acme, many):
        browser.post(address(many), {"expected": "60", "send": "1"})
        shown = text_of(browser.get(address(many)))
        assert "Confirmed by Ann" in shown or "Confirmed by ann.admin" in shown
        assert "Send these" not in shown
        answer = browser.post(address(many), {"on": [1], "row": []}, follow=True)
        assert "confirmed or cancelled meanwhile" in text_of(answer)

    def test_settings_that_changed_meanwhile_are_told_and_looked_at_again(self, browser, acme, many):
        acme.set(clean_names=False)
        shown = text_of(browser.get(address(many)))
        assert "The settings were changed after this preview was made." in shown
        assert "Send these" not in shown
        assert 'id="confirm"' not in browser.get("/xero/sync").content.decode()
        refused = browser.post(address(many), {"expected": "60", "send": "1"}, follow=True)
        assert "no longer shows what would be sent" in text_of(refused)
        browser.post(address(many), {"look": "1"})
        engine.advance(many.pk)
        assert "Send these 60 to Xero" in text_of(browser.get(address(many)))


class TestMonths:
    @pytest.fixture
    def booked(self, acme, asked) -> SyncRun:
        day = clock.now() - timedelta(days=1)
        acme.purchase("5.00", settled=day, merchant="Staples")
        acme.purchase("7.00", settled=day, merchant="Shell")
        acme.books.post_by_hand("Card", "5.00", date=day.date())
        return asked()

    def test_a_month_that_looks_booked_is_left_out_posted_or_shown(self, browser, booked):
        page = browser.get(address(booked)).content.decode()
        month = booked.preview[0]["month"]
        for word in (f'value="{month}:purchase:out"', f'value="{month}:purchase:post"', f"?paired=1&amp;month={month}"):
            assert word in page
        assert "as the" in page
        assert "?field=start_date" in page
        assert 'name="send"' not in page
        paired = browser.get(f"{address(booked)}?paired=1&month={month}&kind=purchase").content.decode()
        assert re.findall(r'class="lead-cell">([^<]+)<', paired) == ["Staples"]

    def test_what_is_decided_is_kept_and_can_be_decided_otherwise(self, browser, acme, booked):
        month = booked.preview[0]["month"]
        browser.post(address(booked), {"decide": f"{month}:purchase:out"})
        assert "Nothing would be sent to Xero" in text_of(browser.get(address(booked)))
        browser.post(address(booked), {"decide": f"{month}:purchase:post"})
        assert "Send these 2 to Xero" in text_of(browser.get(address(booked)))
        browser.post(address(booked), {"decide": f"{month}:purchase:perhaps"})
        browser.post(address(booked), {"expected": "2", "send": "1"})
        engine.advance(booked.pk)
        assert len(acme.books.live()) == 3


class TestPreviewFirst:
    def test_it_stands_beside_sync_once_the_first_sync_is_confirmed(self, browser, change):
        assert "PREVIEW FIRST" not in browser.get("/xero/sync").content.decode()
        change(preview_confirmed={"purchase": {}})
        page = browser.get("/xero/sync").content.decode()
        assert "PREVIEW FIRST" in page
        assert "PREVIEW THESE" in page

    def test_it_begins_a_sync_that_asks(self, browser, change):
        change(preview_confirmed={"purchase": {}})
        first = clock.today() - timedelta(days=9)
        browser.post("/xero/sync/start", {"asks_first": "1", "first": first.isoformat()})
        run = SyncRun.objects.get()
        assert (run.asks_first, run.window_start) == (True, first)

    def test_sync_alone_does_not_ask(self, browser, change):
        change(preview_confirmed={"purchase": {}})
        browser.post("/xero/sync/start")
        assert not SyncRun.objects.get().asks_first
