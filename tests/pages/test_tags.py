"""The Tags page, and what a sync tells of its lists."""

from connectors.settings import Settings
from syncjobs.models import SyncRun
from tagging.models import Feed
from tests.pages.conftest import sign_in

PAGE = "/xero/tags"


def feed(acme, **more) -> None:
    acme.set(synced={"account": acme.expense_tag.tag_id}, **more)


def shown(browser, address=PAGE) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_without_a_list_the_page_says_what_it_would_be_for(browser, acme):
    page = shown(browser)
    assert "No list is synced." in page
    assert "/xero/setup?field=synced:account" in page


def test_the_plan_is_shown_before_anything_is_written(browser, acme, sandbox):
    feed(acme)
    page = shown(browser)
    assert "1 of 1 list would change with the next sync." in page
    assert "Expense Account → PEX tag Expense Account" in page
    assert "1 would be added." in page
    assert "<dt>Options in PEX</dt><dd>2</dd>" in page
    assert "Bank Fees" in page
    assert sandbox.calls.writes("pex") == []
    assert len(acme.expense_tag.options) == 2
    assert not Feed.objects.exists()


def test_after_a_sync_the_list_is_up_to_date(browser, acme, travel):
    feed(acme)
    acme.sync()
    travel(minutes=5)
    page = shown(browser)
    assert "The list is up to date." in page
    assert "Nothing would change." in page
    assert "<dt>Options in PEX</dt><dd>3</dd>" in page
    assert "<dt>In Xero</dt><dd>3</dd>" in page


def test_the_books_are_asked_once_for_some_minutes(browser, acme, sandbox):
    feed(acme)
    shown(browser)
    sandbox.calls.clear()
    shown(browser)
    assert sandbox.calls.calls == []


def test_books_that_do_not_answer_leave_what_is_known(browser, acme, sandbox):
    feed(acme)
    acme.sync()
    acme.set()  # a new version of the settings is read anew
    sandbox.faults.add("status", system="xero-api", status=503, times=None)
    page = shown(browser)
    assert "What the next sync would do cannot be told now." in page
    assert "1 added." in page
    sandbox.faults.clear()


def test_a_sign_in_that_has_ended_is_told_on_every_page(browser, acme, sandbox):
    feed(acme)
    sandbox.worlds["xero"].connections.clear()
    assert "somebody disconnected it in Xero" in shown(browser)
    acme.connection.refresh_from_db()
    assert acme.connection.get_state_display() == "Session Failure"
    assert "Xero needs you to sign in again." in shown(browser)


def test_pex_that_lets_nobody_in_is_no_failure_of_the_books(browser, acme, sandbox):
    feed(acme)
    sandbox.faults.add("status", system="pex", status=401, times=None)
    assert "What the next sync would do cannot be told now." in shown(browser)
    acme.connection.refresh_from_db()
    assert acme.connection.ready


def test_twins_are_named_with_how_they_are_told_apart(browser, acme):
    acme.books.add_account("601", "Travel")
    acme.books.add_account("602", "Travel")
    feed(acme)
    acme.sync()
    assert "Travel (601), Travel (602)" in shown(browser)


class TestHeld:
    def held(self, acme) -> Feed:
        for number in range(20):
            acme.books.add_account(f"6{number:02}", f"Site {number}")
        feed(acme)
        acme.sync()
        for number in range(12):
            del acme.books.accounts[acme.books.account(f"6{number:02}").id]
        acme.sync()
        return Feed.objects.get()

    def seen(self, page: str) -> str:
        return page.partition('name="seen" value="')[2].partition('"')[0]

    def test_a_person_agrees_to_what_was_shown(self, browser, acme):
        self.held(acme)
        page = shown(browser)
        assert "1 list needs you." in page.replace("1 of 1 list", "1 list")
        assert "Held: 12 options" in page
        assert "Site 3" in page
        facts = {"tag": acme.expense_tag.tag_id, "seen": self.seen(page)}
        answer = browser.post(f"{PAGE}/apply", facts, follow=True)
        assert "switches off these 12 options in PEX." in answer.content.decode()
        assert Feed.objects.get().allowed_by == acme.user
        acme.sync()
        assert sum(option.enabled for option in acme.expense_tag.options) == 11

    def test_what_changed_since_is_not_agreed_to(self, browser, acme):
        self.held(acme)
        facts = {"tag": acme.expense_tag.tag_id, "seen": "something else"}
        answer = browser.post(f"{PAGE}/apply", facts, follow=True)
        assert "That list has changed since you looked." in answer.content.decode()
        assert Feed.objects.get().allowed == []

    def test_a_tag_is_named_without_what_no_database_takes(self, browser, acme):
        held = self.held(acme)
        assert browser.post(f"{PAGE}/apply", {"tag": f"{held.tag_id}\0", "seen": "x"}).status_code == 302

    def test_nobody_agrees_for_another_business(self, client, acme, rival):
        held = self.held(acme)
        browser = sign_in(client, rival.user, rival.business)
        assert browser.post(f"{PAGE}/apply", {"tag": held.tag_id, "seen": "x"}).status_code == 404
        assert "Site 3" not in browser.get(PAGE).content.decode()

    def test_manage_tells_and_leads_there(self, browser, acme):
        self.held(acme)
        page = shown(browser, "/xero/sync")
        assert "Tag options in PEX need you." in page
        assert f'href="{PAGE}">SHOW THE LISTS' in page


class TestOfOneSync:
    def test_the_run_page_tells_what_happened_to_each_list(self, browser, acme):
        feed(acme)
        run = acme.sync()
        page = shown(browser, f"/xero/runs/{run.pk}")
        assert "1 of 1 list up to date" in page
        assert "1 added." in page
        assert "<dt>Added</dt><dd>Bank Fees</dd>" in page

    def test_a_list_that_failed_leads_to_what_mends_it(self, browser, acme):
        acme.pex.add_tag("Purpose", type="Text")
        feed(acme)
        acme.expense_tag.enabled = False
        stored = Settings.parse(acme.connection.settings).stored()["fields"]
        stored["account"] |= {"source": "static", "tag": "", "value": acme.books.account("429").id}
        acme.set(fields=stored)
        acme.purchase("12.50", account=None)
        run = acme.sync()
        assert (run.status, run.rows_posted) == (SyncRun.Status.PARTIAL, 1)
        page = shown(browser, f"/xero/runs/{run.pk}")
        assert "1 of 1 is in Xero. 1 tag list not updated." in page
        assert "/xero/setup?field=synced%3Aaccount" in page
        assert "1 tag list not updated. All 1 are in Xero." in shown(browser, "/xero/history")
        assert "The PEX tag Expense Account is switched off." in shown(browser)

    def test_a_sync_without_lists_says_nothing_of_them(self, browser, acme):
        run = acme.sync()
        assert "Tag options" not in shown(browser, f"/xero/runs/{run.pk}")


def test_queries_do_not_grow_with_the_lists(browser, acme, django_assert_max_num_queries):
    tags = {"account": acme.expense_tag.tag_id}
    for number in range(6):
        category = acme.books.add_tracking(f"Category {number}", ["North"])
        tags[f"tracking:{category.id}"] = acme.pex.add_tag(f"Category {number}", options=[("x", "Test")]).tag_id
    acme.set(synced=tags)
    acme.sync()
    shown(browser)
    with django_assert_max_num_queries(14):
        shown(browser)
