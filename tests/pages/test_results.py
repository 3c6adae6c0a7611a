"""History, what became of each transaction of a sync, and the rows behind the counts."""

import csv
import html
import io
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pexsync import clock
from syncjobs.models import Export, MirrorRead, PexTransaction, RunResult
from syncjobs.views import harmless


@pytest.fixture
def partial(a_run, a_row):
    """Two posted, one with a receipt; two refused for one reason."""
    run = a_run(status="partial", rows_due=4, rows_posted=2, rows_failed=2, amount_posted=Decimal("25.00"))
    a_row("Home Depot", run=run, receipts=2)
    a_row("Shell", run=run, amount=Decimal("-61.18"))
    for merchant in ("<b>Bold</b>", "=cmd()"):
        says = "No Expense Account tag. Tag it in PEX."
        row = a_row(merchant, state="due", waiting="coding", cause="untagged:account", says=says)
        RunResult.objects.create(business=run.business, run=run, export=row, cause="untagged:account", says=says)
    return run


def test_history_has_the_columns_people_know(browser, partial):
    page = browser.get("/xero/history").content.decode()
    for head in ("Started", "Ended", "Duration", "Status", "Fields", "Transactions"):
        assert f">{head}<" in page
    assert "Partial" in page
    assert "2 need you." in page
    assert f'href="/xero/runs/{partial.pk}#results"' in page
    assert "2 of 4 transactions" in page  # for readers, beside 2 / 4


def test_an_old_word_gets_a_sentence_beside_it(browser, a_run):
    a_run(status="partial", fields_due=2, fields_done=0, rows_due=44, rows_posted=44)
    page = browser.get("/xero/history").content.decode()
    assert "2 tag lists not updated. All 44 are in Xero." in page


def test_history_is_filtered_by_status(browser, a_run):
    a_run(status="failed", says="Xero asked for a new sign-in. Nothing was posted.")
    a_run(status="success")
    page = browser.get("/xero/history?status=failed").content.decode()
    assert "Nothing was posted." in page
    assert "No sync ended like that." in browser.get("/xero/history?status=cancelled").content.decode()
    assert browser.get("/xero/history?status=nonsense").status_code == 200


def test_history_before_the_first_sync_says_what_to_do(browser):
    assert "No sync has run." in browser.get("/xero/history").content.decode()


def test_results_say_what_became_of_each(browser, partial):
    page = browser.get(f"/xero/runs/{partial.pk}").content.decode()
    assert "2 of 4 are in Xero." in page
    assert "2 transactions: no Expense Account tag" in page
    assert "Home Depot" in page
    assert "2 receipts attached" in page
    assert "−$61.18" in page
    assert 'href="https://books.example/record-' in page
    assert "Needs you" in page


def test_what_merchants_are_called_is_text(browser, partial):
    page = browser.get(f"/xero/runs/{partial.pk}").content.decode()
    assert "&lt;b&gt;Bold&lt;/b&gt;" in page
    assert "<b>Bold" not in page


@pytest.mark.parametrize(
    ("asked", "seen", "unseen"),
    [
        ("?view=posted", "Home Depot", "Bold"),
        ("?view=failed", "Bold", "Home Depot"),
        ("?q=depot", "Home Depot", "Shell"),
        ("?view=nonsense", "Home Depot", "nothing"),
    ],
)
def test_results_are_filtered_and_searched(browser, partial, asked, seen, unseen):
    page = browser.get(f"/xero/runs/{partial.pk}{asked}").content.decode()
    assert seen in page
    assert unseen not in page


def test_a_search_without_answer_says_so(browser, partial):
    page = browser.get(f'/xero/runs/{partial.pk}?q="><script>').content.decode()
    assert "No transaction of this sync answers to that." in page
    assert "<script>" not in page.replace("<script src", "")


def test_a_sync_with_nothing_due_says_so(browser, a_run):
    page = browser.get(f"/xero/runs/{a_run().pk}").content.decode()
    assert "Nothing was due." in page
    assert "This sync posted nothing, and nothing failed." in page


def test_the_sheet_is_for_spreadsheets_and_runs_nothing(browser, partial):
    answer = browser.get(f"/xero/runs/{partial.pk}/results.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f'filename="xero-sync-{partial.pk}.csv"' in answer.headers["Content-Disposition"]
    rows = {row["Merchant"]: row for row in csv.DictReader(io.StringIO(answer.content.decode()))}
    assert rows["Home Depot"]["Receipts"] == "2 of 2"
    assert rows["Shell"]["Amount"] == "-61.18"
    assert "'=cmd()" in rows
    assert rows["<b>Bold</b>"]["State"] == "Needs you"


def test_the_sheet_holds_what_the_page_shows(browser, partial):
    answer = browser.get(f"/xero/runs/{partial.pk}/results.csv?view=posted")
    assert len(answer.content.decode().splitlines()) == 3


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_a_cell_that_looks_like_a_formula_is_made_harmless(text):
    assert harmless(text) == f"'{text}"
    assert harmless("Staples = good") == "Staples = good"


@pytest.mark.parametrize(
    ("view", "merchant"), [("needs_you", "Held"), ("not_due", "Later"), ("queued", "Soon"), ("posted", "There")]
)
def test_a_count_opens_its_rows(browser, a_row, view, merchant):
    a_row("Held", state="held", cause="missing", says="It is gone there.")
    a_row("Later", state="due", waiting="approval", says="Waiting for approval in PEX.")
    a_row("Soon", state="due")
    a_row("There")
    page = browser.get(f"/xero/transactions?view={view}").content.decode()
    assert merchant in page
    assert page.count('<th scope="row"') == 1


def test_rows_of_one_cause(browser, a_row):
    a_row("Held", state="held", cause="missing", says="It is gone there.")
    a_row("Twice", state="held", cause="doubled", says="It is there twice.")
    page = browser.get("/xero/transactions?view=needs_you&cause=missing").content.decode()
    assert "Held" in page
    assert "Twice" not in page
    sheet = browser.get("/xero/transactions?view=needs_you&cause=missing&format=csv").content.decode()
    assert "Held" in sheet
    assert "Twice" not in sheet


def test_a_group_opens_exactly_the_rows_it_counts(browser, a_row):
    """Several sentences may share a cause: the link, the sheet and a decision about the whole list go by both."""
    for name in ("First", "Second"):
        a_row(name, state="held", cause="note_by_hand", says="Somebody typed it.")
    other = a_row("Other", state="held", cause="note_by_hand", says="It is another one's note.")
    manage = browser.get("/xero/sync").content.decode()
    address = html.unescape(re.search(r'href="(/xero/transactions\?view=needs_you[^"]*typed[^"]*)"', manage)[1])
    page = browser.get(address).content.decode()
    assert [name in page for name in ("First", "Second", "Other")] == [True, True, False]
    assert "Other" not in browser.get(f"{address}&format=csv").content.decode()
    whole = {"action": "leave_out", "all": "on", "sure": "on", "view": "needs_you"}
    browser.post("/xero/transactions/decide", whole | {"cause": "note_by_hand", "says": "Somebody typed it."})
    other.refresh_from_db()
    assert other.state == "held"
    assert Export.objects.filter(state="closed").count() == 2


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("?view=needs_you", "Nothing needs you."),
        ("?q=nothing", "No transaction answers to that."),
        ("", "No transaction has come in yet."),
    ],
)
def test_an_empty_list_says_why(browser, asked, says):
    assert says in browser.get(f"/xero/transactions{asked}").content.decode()


def test_long_lists_have_pages(browser, a_row):
    for number in range(51):
        a_row(f"Shop {number}")
    page = browser.get("/xero/transactions?view=posted").content.decode()
    assert "Page 1 of 2" in page
    assert 'href="?view=posted&amp;page=2"' in page
    assert browser.get("/xero/transactions?page=999").status_code == 200


@pytest.mark.parametrize("address", ["/xero/transactions", "/xero/runs/{run}", "/xero/history"])
def test_more_rows_cost_no_more_queries(browser, partial, a_row, a_run, address):
    address = address.format(run=partial.pk)
    few = queries(browser, address)
    for number in range(20):
        a_row(f"Shop {number}", run=partial, receipts=2)
        a_run()
    assert queries(browser, address) == few
    assert few <= 16


def queries(browser, address: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(address).status_code == 200
    return len(seen)


class TestOneButton:
    """Each row that does not go has one button, and what else may be decided behind it."""

    def shown(self, browser, **columns) -> str:
        return browser.get("/xero/transactions").content.decode()

    def test_approval_opens_the_card_in_pex(self, browser, a_row, settings):
        a_row(state="due", waiting="approval", says="Waiting for approval in PEX.", card_account=51001)
        page = self.shown(browser)
        assert f'href="{settings.PEX_DASHBOARD_URL}/cards/51001/detail"' in page
        assert "APPROVE IN PEX" in page

    def test_a_refusal_opens_its_step(self, browser, a_row):
        a_row(state="due", waiting="refused", cause="tax:tax", says="Xero does not accept the tax rate.")
        assert 'href="/xero/setup?field=tax"' in self.shown(browser)

    def test_what_only_another_try_tells_is_tried_again_from_its_row(self, browser, acme, a_row):
        row = a_row(state="due", waiting="refused", cause="refused", says="Xero said no.")
        page = self.shown(browser)
        assert 'formaction="/xero/sync/start"' in page
        page = browser.get(f"/xero/transactions/{row.pk}").content.decode()
        assert 'action="/xero/sync/start"' in page
        browser.post("/xero/sync/start", {"back": "/xero/transactions", "row": str(row.pk)})
        assert acme.business.runs.count() == 1

    def test_a_move_stands_once_on_a_row_and_on_its_page(self, browser, a_row):
        row = a_row(state="held", cause="missing", says="It is gone there.")
        assert self.shown(browser).count(f'value="send_again:{row.pk}"') == 1
        page = browser.get(f"/xero/transactions/{row.pk}").content.decode()
        assert page.count('value="send_again"') == 1
        assert 'button-primary" name="action" value="send_again"' in page

    def test_the_record_in_question_is_opened_once(self, browser, a_row):
        a_row(state="held", cause="edited", says="It differs.", link="https://books.example/7", record_id="7")
        assert self.shown(browser).count('href="https://books.example/7"') == 1

    def test_several_are_decided_about_in_their_list(self, browser, a_row):
        for _ in range(2):
            a_row(state="held", cause="possibly_booked", says="It looks booked.")
        page = browser.get("/xero/sync").content.decode()
        assert 'href="/xero/transactions?view=needs_you&amp;cause=possibly_booked&amp;says=It+looks+booked."' in page
        assert "DECIDE" in page

    def test_a_sync_of_the_past_offers_the_same(self, browser, partial):
        page = browser.get(f"/xero/runs/{partial.pk}").content.decode()
        assert "TAG IN PEX" in page
        assert 'href="/xero/setup?field=untagged' not in page
        assert 'href="/xero/setup?field=account"' in page

    def test_transfers_open_their_record_too(self, browser, a_row):
        a_row(kind="transfer", amount=Decimal("-500.00"))
        assert "Open record" in self.shown(browser)


class TestWhatIsNotInTheList:
    """The search also finds what PEX shows and no sync has taken in."""

    @pytest.fixture
    def in_pex(self, a_row):
        def only(merchant: str, **facts) -> PexTransaction:
            row = a_row(merchant, state="due")
            number = row.pex_id
            row.delete()
            PexTransaction.objects.filter(pex_id=number).update(**facts)
            return PexTransaction.objects.get(pex_id=number)

        return only

    def test_it_says_why(self, browser, in_pex):
        in_pex("Shell", pending=True)
        page = browser.get("/xero/transactions?q=shell").content.decode()
        assert "In PEX, and not in this list" in page
        assert "Pending in PEX" in page

    def test_by_its_number(self, browser, in_pex):
        hold = in_pex("Shell", declined=True)
        assert "PEX declined it" in browser.get(f"/xero/transactions?q={hold.pex_id}").content.decode()

    def test_what_is_in_the_list_is_not_said_to_be_missing(self, browser, a_row):
        a_row("Shell")
        assert "not in this list" not in browser.get("/xero/transactions?q=shell").content.decode()

    def test_another_connector_s_row_is_not_this_one_s(self, browser, in_pex, a_row):
        a_row("Shell", system="intacct")
        assert "not in this list" in browser.get("/xero/transactions?q=shell").content.decode()

    def test_nothing_of_rival(self, browser, rival, a_row):
        a_row("Rival's shop", world=rival).delete()
        assert "Rival&#x27;s shop" not in browser.get("/xero/transactions?q=shop").content.decode()

    def test_a_number_pex_has_not_shown_says_as_of_when(self, browser, acme):
        at = clock.now()
        MirrorRead.objects.create(
            business=acme.business, first=clock.today(), last=clock.today(), began_at=at, ended_at=at
        )
        assert "PEX was last read" in browser.get("/xero/transactions?q=4711").content.decode()

    @pytest.mark.parametrize("text", ["9" * 40, "²", "%", "'", "\x00"])
    def test_any_text_may_be_searched_for(self, browser, text):
        assert browser.get("/xero/transactions", {"q": text}).status_code == 200
