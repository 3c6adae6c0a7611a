"""The live example beside the setup: a real transaction, drawn as the form as it stands would post it."""

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts import installation
from syncjobs import first_look, tasks
from syncjobs.models import Export
from tests import make
from tests.pages.conftest import sign_in

pytestmark = pytest.mark.database

EXAMPLE = "/xero/setup/accounts/example"


@pytest.fixture
def bought(acme) -> make.World:
    """Acme's mirror holds one purchase of Staples."""
    acme.purchase("12.50", merchant="Staples")
    acme.sync()
    return acme


def bank(world: make.World) -> str:
    return str(world.books.account("PEX Cash Account").id)


def typed(world: make.World, **members: str) -> dict[str, str]:
    """The account step as it stands in the browser."""
    return {"pex_account": bank(world), "account_source": "tag", "account_tag": world.expense_tag.tag_id, **members}


def words(answer: Any) -> str:
    """What the example says, without the page around it."""
    page = answer.content.decode()
    aside = page[page.index('<aside id="example"') : page.index("</aside>")]
    return " ".join(strip_tags(aside.replace("<", " <")).split())


def ask(browser: Any, data: dict[str, str], address: str = EXAMPLE) -> str:
    answer = browser.post(address, data, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith('<aside id="example"')
    return words(answer)


def test_the_newest_purchase_stands_beside_the_form_as_it_would_be_posted(browser, bought):
    shown = words(browser.get("/xero/setup/accounts"))
    assert "As it would be in Xero Staples $12.50" in shown
    assert "429 General Expenses" in shown
    assert shown.index("$12.50", shown.index("429 General")) < shown.index("PEX Cash Account")
    assert "Contact Staples, in Xero" in shown
    assert "Reference PEXT" in shown
    assert "Tax As the organisation does" in shown
    assert "Receipts Attached, as many as PEX has" in shown
    assert "would wait" not in shown


def test_it_follows_what_is_typed_and_keeps_nothing(browser, bought):
    motor = bought.books.account("449").id
    shown = ask(browser, typed(bought, account_source="static", account=motor))
    assert "449 Motor Vehicle Expenses" in shown
    assert "429 General Expenses" not in shown
    bought.connection.refresh_from_db()
    assert bought.connection.draft == {}
    assert Settings.parse(bought.connection.settings).fields["account"].source == "tag"


def test_an_answer_that_is_not_right_counts_as_before(browser, bought):
    motor = bought.books.account("449").id
    shown = ask(browser, typed(bought, pex_account="", account_source="static", account=motor))
    assert "449 Motor Vehicle Expenses" in shown
    assert "PEX Cash Account" in shown


def test_why_it_would_not_go_is_said(browser, acme):
    acme.purchase("12.50", account=None)
    acme.sync()
    shown = words(browser.get("/xero/setup/accounts"))
    assert "It would wait. No Expense Account tag." in shown
    default = acme.books.account("404").id
    assert "404 Bank Fees" in ask(browser, typed(acme, account_default=default))


def test_what_the_setup_lacks_is_named_as_such(browser, bought, change):
    change(settings={}, settings_version=0, draft={})
    assert "Not complete yet. The PEX account is not chosen" in words(browser.get("/xero/setup/sync"))


def test_what_waits_for_its_reviewer_is_drawn_all_the_same(browser, acme):
    acme.purchase("12.50", approval="NotReviewed")
    acme.sync()
    shown = words(browser.get("/xero/setup/sync"))
    assert "It would wait. Waiting for approval in PEX." in shown
    assert "429 General Expenses" in shown
    answers = {"kind_purchase": "on", "approved_only": "all", "start_date": clock.today().isoformat()}
    assert "would wait" not in ask(browser, answers, "/xero/setup/sync/example")


def test_what_became_of_it_before_is_not_the_question(browser, acme):
    acme.purchase("12.50", notes=["Synced with Xero"])
    acme.sync()
    shown = words(browser.get("/xero/setup/accounts"))
    assert "429 General Expenses" in shown
    assert "would wait" not in shown


def test_splits_are_lines_and_a_refund_goes_the_other_way(browser, acme):
    tag = acme.expense_tag.tag_id
    acme.purchase("-30.00", splits=[("10.00", {tag: "429"}), ("20.00", {tag: "449"})])
    acme.sync()
    shown = words(browser.get("/xero/setup/accounts"))
    lines = shown[shown.index("Credit") : shown.index("Date")]
    assert lines.index("PEX Cash Account") < lines.index("429 General Expenses") < lines.index("449 Motor Vehicle")
    assert ("$30.00" in lines, "$10.00" in lines, "$20.00" in lines) == (True, True, True)


def test_before_the_first_sync_it_says_when_there_will_be_one(browser, acme, change):
    change(settings_version=0, draft={})
    browser.get("/xero/setup/accounts")
    cache.clear()  # nobody has brought anything, and the patience with them is over
    assert "After the first sync one of your own purchases stands here" in ask(browser, typed(acme))


def test_others_can_be_stepped_through(browser, bought):
    bought.purchase("7.00", merchant="Target", settled=clock.now())
    bought.sync()
    first = words(browser.get("/xero/setup/accounts"))
    assert "Target" in first
    assert "1 of the last 2 Older" in first
    second = ask(browser, typed(bought, example="0", show="1"))
    assert "Staples" in second
    assert "Newer 2 of the last 2" in second
    assert "Staples" in ask(browser, typed(bought, example="1"))
    assert "Staples" in ask(browser, typed(bought, show="99"))
    assert "Target" in ask(browser, typed(bought, show="-1"))


def test_without_a_script_the_step_comes_back_as_it_was_typed(browser, bought):
    bought.purchase("7.00", merchant="Target", settled=clock.now())
    bought.sync()
    motor = bought.books.account("449").id
    answer = browser.post(EXAMPLE, typed(bought, account_source="static", account=motor, show="1"))
    page = answer.content.decode()
    assert f'<option value="{motor}" selected>' in page
    assert '<form method="post" id="form" action="/xero/setup/accounts"' in page
    assert "449 Motor Vehicle Expenses" in words(answer)
    assert "Staples" in words(answer)
    bought.connection.refresh_from_db()
    assert bought.connection.draft == {}


def test_what_the_example_adds_to_the_form_is_kept_by_no_draft(browser, bought):
    browser.post("/xero/setup/accounts", {**typed(bought, pex_account=""), "example": "1"})
    bought.connection.refresh_from_db()
    assert "example" not in bought.connection.draft["typed"]["accounts"]


def test_a_fee_stands_beside_the_fee_step(browser, acme):
    acme.all_kinds()
    acme.purchase("12.50")
    acme.pex.add_card_fee("3.00")
    acme.sync()
    shown = words(browser.get("/xero/setup/fees"))
    assert "$3.00" in shown
    assert "404 Bank Fees" in shown
    assert "Contact PEX" in shown
    assert "Staples" not in shown


def test_it_asks_nobody_twice_and_the_database_no_more_for_more(browser, bought, sandbox):
    def queries() -> int:
        with CaptureQueriesContext(
            database,
        ) as made:
            ask(browser, typed(bought))
        return len(made)

    queries()
    sandbox.calls.clear()
    few = queries()
    assert not sandbox.calls.calls
    for number in range(12):
        bought.purchase(f"{number + 1}.00")
    bought.sync()
    queries()
    assert queries() == few


def test_nobody_sees_another_business_there(client, bought, rival):
    browser = sign_in(client, rival.user, rival.business)
    shown = words(browser.get("/xero/setup/accounts"))
    assert "Staples" not in shown
    assert "We are reading your last purchases" in shown


def test_lists_that_cannot_be_read_leave_it_undrawn(browser, bought, settings):
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    shown = words(browser.get("/xero/setup/accounts?again=1"))
    assert "It is drawn once the lists of Xero can be read." in shown


class TestTheFirstLook:
    """Before the first sync the setup shows a purchase all the same: a worker reads PEX once."""

    @pytest.fixture
    def asked(self, monkeypatch) -> list[int]:
        """Which connections a worker was sent for."""
        sent: list[int] = []
        monkeypatch.setattr(tasks.first_look, "apply_async", lambda args: sent.append(args[0]))
        return sent

    @pytest.fixture
    def fresh(self, acme) -> make.World:
        acme.purchase("12.50", merchant="Staples")
        return acme

    def test_the_page_sends_a_worker_once_and_shows_what_it_read(self, browser, fresh, asked):
        shown = words(browser.get("/xero/setup/accounts"))
        browser.get("/xero/setup/accounts")
        assert asked == [fresh.connection.pk]
        assert "We are reading your last purchases from PEX." in shown
        first_look.look(fresh.connection.pk)
        assert "Staples $12.50" in ask(browser, typed(fresh))
        assert not Export.objects.exists()

    def test_it_asks_again_while_it_waits_and_no_longer(self, browser, fresh, asked):
        assert "every 2s" in browser.get("/xero/setup/accounts").content.decode()
        first_look.look(fresh.connection.pk)
        assert "every 2s" not in browser.get("/xero/setup/accounts").content.decode()

    def test_where_pex_has_none_the_example_says_so(self, browser, acme, asked):
        browser.get("/xero/setup/accounts")
        first_look.look(acme.connection.pk)
        assert "PEX showed no settled purchases" in ask(browser, typed(acme))

    def test_pex_is_not_read_twice(self, fresh, sandbox):
        first_look.look(fresh.connection.pk)
        before = len(sandbox.calls.matching("pex", "GET"))
        first_look.look(fresh.connection.pk)
        assert len(sandbox.calls.matching("pex", "GET")) == before

    def test_a_silent_pex_hinders_nobody(self, browser, fresh, sandbox, asked):
        sandbox.faults.add("status", status=503, system="pex", times=None)
        first_look.look(fresh.connection.pk)
        sandbox.faults.clear()
        assert browser.get("/xero/setup/accounts").status_code == 200
        assert fresh.sync().rows_posted == 1

    def test_a_copy_of_the_installation_reads_nothing(self, fresh, sandbox, settings):
        installation.ours()
        settings.INSTALLATION_ID = "a copy"
        before = len(sandbox.calls.matching("pex", "GET"))
        first_look.look(fresh.connection.pk)
        assert len(sandbox.calls.matching("pex", "GET")) == before
