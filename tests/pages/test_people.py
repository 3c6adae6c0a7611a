"""The buttons with which people decide about transactions: where they stand, what they ask first, what they answer."""

import re
from decimal import Decimal

import pytest

from syncjobs import people, wording
from syncjobs.models import Export, RunResult
from syncjobs.transitions import Cause, Closed, Event, State
from tests.pages.conftest import sign_in

DECIDE = "/xero/transactions/decide"
LIST = "/xero/transactions?view=needs_you"


@pytest.fixture
def held(a_row):
    """Acme's row that somebody noted by hand."""
    return a_row("Home Depot", state="held", cause=Cause.NOTE_BY_HAND, says="Somebody typed it.")


def page_of(browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def press(browser, follow: bool = True, **fields) -> str:
    fields.setdefault("back", LIST)
    return browser.post(DECIDE, fields, follow=follow).content.decode()


def buttons(page: str) -> set[str]:
    """The decisions a page offers about single rows."""
    return set(re.findall(r'name="one" value="(\w+):', page)) | ({"it_is_there"} if "#record" in page else set())


class TestLists:
    @pytest.mark.parametrize(
        ("columns", "offered"),
        [
            ({"state": "held", "cause": Cause.LOOKALIKE}, {"it_is_there", "send", "by_hand", "leave_out"}),
            ({"state": "held", "cause": Cause.DOUBLED}, {"it_is_there", "by_hand", "leave_out"}),
            ({"state": "held", "cause": Cause.MISSING}, {"it_is_there", "send_again", "by_hand", "leave_out"}),
            ({"state": "due", "waiting": "approval"}, {"by_hand", "leave_out"}),
            ({"state": "posted"}, {"send_again"}),
            ({"state": "closed", "cause": Closed.SYNCED_BEFORE}, {"undo"}),
            ({"state": "closed", "cause": Closed.NOTHING}, set()),
            ({"state": "sent"}, set()),
        ],
    )
    def test_a_row_offers_what_it_allows_and_nothing_else(self, browser, a_row, columns, offered):
        row = a_row(**columns)
        page = page_of(browser, "/xero/transactions")
        assert buttons(page) == offered
        assert (f'name="row" value="{row.pk}"' in page) is bool(offered)
        assert f'href="/xero/transactions/{row.pk}"' in page

    def test_against_a_rule_the_button_says_so(self, browser, held, a_row):
        assert "Send anyway<" in page_of(browser, LIST)
        held.delete()
        a_row(state="held", cause=Cause.UNRESOLVED)
        assert "Send anyway<" not in page_of(browser, LIST)

    def test_results_of_a_sync_have_the_same_buttons_and_lead_back(self, browser, a_run, a_row):
        run = a_run(status="partial", rows_due=1, rows_failed=1)
        row = a_row(state="held", cause=Cause.NOTE_BY_HAND, says="Somebody typed it.")
        RunResult.objects.create(business=run.business, run=run, export=row, cause=row.cause, says=row.says)
        here = f"/xero/runs/{run.pk}?view=failed"
        page = page_of(browser, here)
        assert buttons(page) == {"it_is_there", "send", "by_hand", "leave_out"}
        assert f'name="back" value="{here}"' in page
        assert browser.post(DECIDE, {"one": f"leave_out:{row.pk}", "back": here}).url == here

    def test_receipts_of_an_earlier_record_are_not_counted(self, browser, a_row):
        row = a_row(receipts=2)
        Export.objects.update(generation=2)
        assert "receipts attached" not in page_of(browser, f"/xero/transactions/{row.pk}")


class TestOne:
    def test_one_row_moves_at_once_and_sync_is_offered_not_started(self, browser, acme, held):
        page = press(browser, one=f"send:{held.pk}")
        assert "1 transaction: It goes with the next sync." in page
        assert page.count(">SYNC<") == 1
        held.refresh_from_db()
        assert (held.state, held.overruled) == (State.DUE, True)
        assert held.events.get().person == acme.user
        assert acme.connection.runs.count() == 0

    def test_left_out_offers_no_sync_and_keeps_the_remark(self, browser, held):
        page = press(browser, action="leave_out", row=held.pk, remark="A private coffee.")
        assert "1 transaction: It is left out." in page
        assert ">SYNC<" not in page
        held.refresh_from_db()
        assert held.says == "Left out by Ann: A private coffee."

    def test_what_cannot_move_says_why(self, browser, a_row):
        row = a_row(state="sent")
        page = press(browser, one=f"by_hand:{row.pk}")
        assert "Not changed: It is being sent right now." in page

    def test_a_record_that_still_stands_is_linked(self, browser, acme):
        acme.purchase("12.50")
        acme.sync()
        row = Export.objects.get()
        page = press(browser, one=f"send_again:{row.pk}")
        assert "Send 1 transaction again?" in page
        page = press(browser, action="send_again", row=row.pk, sure="1")
        assert "Its record is still in Xero." in page
        assert re.search(r'class="toast warn".*?<a href="[^"]+ViewTransaction[^"]+"', page, re.DOTALL)

    def test_a_wrong_number_keeps_what_was_typed_and_says_what_to_do(self, browser, held):
        answer = browser.post(DECIDE, {"action": "it_is_there", "row": held.pk, "record": '4711"><script>'})
        page = answer.content.decode()
        assert answer.status_code == 422
        assert 'value="4711&quot;&gt;&lt;script&gt;"' in page
        assert "That names no record of Xero." in page
        assert 'aria-describedby="record-error"' in page

    def test_a_number_that_is_right_is_taken(self, browser, acme):
        row = acme.purchase("12.50")
        record = acme.books.post_by_hand(f"PEXT{row.transaction_id}", "99.00")
        acme.sync()
        export = Export.objects.get()
        page = page_of(browser, f"/xero/transactions/{export.pk}")
        assert f"bankTransactionID={record.id}" in page  # what was found is proposed
        page = press(browser, action="it_is_there", row=export.pk, record=record.id)
        assert "It is in Xero now." in page
        assert Export.objects.get().state == State.POSTED


class TestMany:
    def test_more_than_one_is_asked_first_with_what_will_happen(self, browser, a_row):
        rows = [a_row(f"Shop {n}", state="held", cause=Cause.NOTE_BY_HAND) for n in range(3)]
        doubled = a_row("Twice", state="held", cause=Cause.DOUBLED)
        page = press(browser, action="send", row=[row.pk for row in (*rows, doubled)])
        assert "Send 3 transactions?" in page
        assert "The next sync looks in Xero" in page
        assert "1 transaction will stay as it is." in page
        assert "$37.50" in page
        assert Export.objects.filter(state=State.HELD).count() == 4
        assert re.findall(r'type="hidden" name="row" value="(\d+)"', page) == [
            str(row.pk) for row in sorted(rows, key=lambda row: -row.pk)
        ]

    def test_a_yes_moves_them_and_says_how_many(self, browser, a_row):
        rows = [a_row(state="held", cause=Cause.NOTE_BY_HAND) for _ in range(3)]
        doubled = a_row(state="held", cause=Cause.DOUBLED)
        page = press(browser, action="send", row=[row.pk for row in (*rows, doubled)], sure="1")
        assert "3 transactions: They go with the next sync." in page
        assert "Not changed: The books hold it twice" in page
        assert Export.objects.filter(state=State.DUE, overruled=True).count() == 3

    def test_all_of_one_cause(self, browser, a_row, monkeypatch):
        for number in range(52):
            a_row(f"Shop {number}", state="closed", cause=Closed.SYNCED_BEFORE)
        other = a_row(state="closed", cause=Closed.LEFT_OUT)
        page = page_of(browser, f"/xero/transactions?view=closed&cause={Closed.SYNCED_BEFORE}")
        assert "all 52 of this list" in page
        everything = {"all": "1", "view": "closed", "cause": Closed.SYNCED_BEFORE, "action": "undo"}
        page = press(browser, **everything)
        assert "Bring back 52 transactions?" in page
        assert "And 2 more." in page
        asked = re.findall(r'type="hidden" name="row" value="(\d+)"', page)
        page = press(browser, action="undo", row=asked, sure="1")
        assert "52 transactions: They are due again" in page
        other.refresh_from_db()
        assert other.state == State.CLOSED

    def test_what_no_database_takes_is_left_out_of_what_was_typed(self, browser, a_row):
        row = a_row("Shop", state="held", cause=Cause.MISSING)
        for _ in range(2):
            a_row("Other", state="held", cause=Cause.DOUBLED)
        assert "Shop" in page_of(browser, "/xero/transactions?cause=missing%00&q=Sh%00op")
        everything = {"all": "1", "view": "held\0", "cause": "missing\0", "q": "Sh\0op"}
        press(browser, **everything, action="by_hand", remark="No\0.", sure="1")
        assert row.events.latest("pk").says == "Entered by hand by Ann: No."
        assert Export.objects.filter(state=State.CLOSED).count() == 1

    def test_a_search_as_long_as_a_book_finds_nothing(self, browser, a_row):
        a_row("Shop")
        assert "Nothing was changed." in press(browser, action="send", all="1", q="x" * 60_000)
        assert "No transaction answers to that." in page_of(browser, f"/xero/transactions?q={'x' * 60_000}")

    def test_more_than_fit_are_said_to_be_the_first(self, browser, a_row, monkeypatch):
        monkeypatch.setattr(people, "MOST", 2)
        for _ in range(3):
            a_row(state="closed", cause=Closed.SYNCED_BEFORE)
        assert "These are the first of them." in press(browser, action="undo", all="1", view="closed")

    def test_what_cannot_be_undone_is_said_first_also_for_one(self, browser, a_row):
        row = a_row(state="held", cause=Cause.MISSING, record_id="record-1", target="xero:t")
        page = press(browser, one=f"leave_out:{row.pk}")
        assert "This cannot be undone." in page
        row.refresh_from_db()
        assert row.state == State.HELD

    @pytest.mark.parametrize("fields", [{}, {"action": "send"}, {"action": "nonsense", "row": "1"}, {"row": "x"}])
    def test_nothing_chosen_changes_nothing(self, browser, held, fields):
        if fields.get("row") == "1":
            fields = {**fields, "row": held.pk}
        assert "Tick the transactions first" in press(browser, **fields)
        held.refresh_from_db()
        assert held.state == State.HELD

    @pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "/other/", ""])
    def test_it_leads_back_to_our_own_pages_only(self, browser, held, back):
        there = browser.post(DECIDE, {"one": f"leave_out:{held.pk}", "back": back}).url
        assert there == "/xero/transactions"


class TestHistory:
    def test_a_transaction_tells_what_became_of_it_by_whom_and_when(self, browser, acme):
        acme.purchase("12.50", merchant="Home Depot")
        acme.sync()
        acme.books.void(acme.books.live()[0].id)
        export = Export.objects.get()
        press(browser, action="send_again", row=export.pk, sure="1")
        page = page_of(browser, f"/xero/transactions/{export.pk}")
        told = re.findall(r"<h3>([^<]+)</h3>", page)
        assert told == ["To be sent again", "Booked in Xero", "On its way to Xero", "Came in from PEX"]
        assert "· Ann" in page
        assert f'<a href="/xero/runs/{acme.connection.runs.get().pk}">PEX Sync</a>' in page
        assert export.record_id in page  # the record of the first generation stays readable
        assert f"{export.pex_id}-2" in page

    def test_every_event_has_its_words(self):
        assert set(wording.EVENTS) == set(Event)

    def test_a_transaction_pex_no_longer_shows_is_named_by_its_number(self, browser, held, acme):
        acme.business.pex_transactions.all().delete()
        assert f"PEX {held.pex_id}" in page_of(browser, f"/xero/transactions/{held.pk}")


class TestWalls:
    def test_a_row_of_another_business_is_not_there(self, client, acme, held, rival):
        browser = sign_in(client, rival.user, rival.business)
        assert browser.get(f"/xero/transactions/{held.pk}").status_code == 404
        for fields in ({"one": f"send:{held.pk}"}, {"action": "leave_out", "row": [held.pk]}):
            assert browser.post(DECIDE, fields).status_code == 404
        held.refresh_from_db()
        assert (held.state, held.events.count()) == (State.HELD, 0)

    def test_a_row_of_another_system_is_not_there(self, browser, held):
        Export.objects.update(system="ledgerly")
        assert browser.get(f"/xero/transactions/{held.pk}").status_code == 404
        assert browser.post(DECIDE, {"one": f"send:{held.pk}"}).status_code == 404


@pytest.mark.parametrize("address", ["/xero/transactions", "/xero/transactions/{row}"])
def test_the_pages_of_decisions_hold_no_script_and_no_style(browser, held, address):
    page = page_of(browser, address.format(row=held.pk))
    for forbidden in ("style=", "onclick", "hx-on", "<script>", "None"):
        assert forbidden not in page
    assert page.count("<h1") == 1


def test_the_sum_of_a_question_is_that_of_its_rows(browser, a_row):
    rows = [a_row(amount=Decimal(amount), state="due") for amount in ("10.00", "-4.00")]
    assert "$6.00" in press(browser, action="leave_out", row=[row.pk for row in rows])
