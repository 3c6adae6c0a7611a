"""The setup: each step kept as it is left, nothing typed is ever lost, SAVE makes a version."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connectors.models import Connection, SettingsVersion
from connectors.records import Kind
from connectors.settings import Settings
from pexsync import clock
from pexsync.pages import setup
from syncjobs.window import one_year_before
from tests.pages.conftest import sign_in
from tests.pages.setting_up import ALL_KINDS, MERCHANTS, SYNC, accounts_by_tag, bank, leave, save, walk


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


@pytest.fixture
def fresh(acme, change) -> Any:
    """Connected, with nothing set up yet."""
    change(settings={}, settings_version=0, draft={})
    return acme


def saved(world) -> Settings:
    world.connection.refresh_from_db()
    return Settings.parse(world.connection.settings)


def draft(world) -> Settings:
    world.connection.refresh_from_db()
    return Settings.parse(world.connection.draft)


def page(browser, address: str) -> str:
    return browser.get(address).content.decode()


# --- the way --------------------------------------------------------------------------------------------------------


def test_the_whole_way_from_first_step_to_settings(browser, fresh):
    assert browser.get("/xero/setup").url == "/xero/setup/sync"
    assert walk(browser, fresh).url == "/xero/setup/review"

    answer = save(browser)

    assert answer.url == "/xero/sync"
    settings = saved(fresh)
    assert settings.kinds == {Kind.PURCHASE}
    assert settings.pex_account == bank(fresh)
    assert settings.fields["account"].tag == fresh.expense_tag.tag_id
    assert settings.start_date == clock.today()
    assert (settings.receipts, settings.late_receipts, settings.clean_names) == (True, True, True)
    assert fresh.connection.draft == {}
    version = SettingsVersion.objects.get(connection=fresh.connection)
    assert (version.version, version.by, version.settings) == (1, fresh.user, fresh.connection.settings)
    assert "before you have seen and confirmed it" in page(browser, "/xero/sync")


def test_every_kind_and_every_field(browser, fresh):
    books = fresh.books
    checking = books.add_bank_account("Business Checking")
    income, contact = books.add_account("260", "Other Revenue", "REVENUE"), books.add_contact("PEX")
    category = books.add_tracking("PROJECTS", ["Pier 9"])
    option, field = category.options[0].id, f"tracking:{category.id}"
    tag, words = fresh.pex.add_tag("PROJECTS", options=[("x", "Pier 9")]), fresh.pex.add_tag("Purpose", type="Text")
    fees = books.account("404").id

    leave(browser, "sync", {**ALL_KINDS, "start_date": clock.today().isoformat()})
    synced = {"account-sync": "on", "account-tag": fresh.expense_tag.tag_id}
    leave(browser, "options", {**synced, f"{field}-sync": "on", f"{field}-tag": tag.tag_id})
    leave(browser, "accounts", accounts_by_tag(fresh, transfer_account=checking.id, fee_account=fees))
    mapped = {f"{field}-map": "on", f"{field}-from": f"tag:{tag.tag_id}", f"{field}-default": option}
    described = {"description-map": "on", "description-from": f"tag:{words.tag_id}"}
    leave(browser, "purchases", {"receipts": "on", **mapped, **described})
    assert leave(browser, "contacts", MERCHANTS).url == "/xero/setup/fees"
    fixed = {"party": contact.id, f"{field}-map": "on", f"{field}-from": option}
    assert leave(browser, "fees", fixed).url == "/xero/setup/rebates"
    assert leave(browser, "rebates", {"party": contact.id, "account": income.id}).url == "/xero/setup/review"
    save(browser)

    settings = saved(fresh)
    assert settings.kinds == {Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.REBATE}
    assert settings.synced == {"account": fresh.expense_tag.tag_id, field: tag.tag_id}
    assert settings.fields[field].stored() == {"source": "tag", "value": "", "tag": tag.tag_id, "default": option}
    assert settings.fields["description"].tag == words.tag_id
    assert settings.by_kind == {
        Kind.TRANSFER: {"account": checking.id},
        Kind.FEE: {"account": fees, "party": contact.id, field: option},
        Kind.REBATE: {"account": income.id, "party": contact.id},
    }
    assert settings.late_receipts is False
    shown = page(browser, "/xero/sync")
    for name in ("Business Checking", "404 Bank Fees", "260 Other Revenue", "PEX Tag: PROJECTS, else Pier 9"):
        assert name in shown


def test_a_charge_account_pays_bills_from_its_bank_to_a_card_account(browser, fresh):
    fresh.business.funding = "Credit"
    fresh.business.save()
    owed = fresh.books.add_bank_account("PEX Card", bank_account_type="CREDITCARD")
    checking = fresh.books.add_bank_account("Business Checking")
    shown = page(browser, "/xero/setup/sync")
    assert "Bill Payments" in shown
    assert "Transfers" not in shown
    leave(browser, "sync", {"kind_bill_payment": "on", "approved_only": "all", "start_date": clock.today().isoformat()})
    leave(browser, "options", {})
    refused = leave(browser, "accounts", {"pex_account": bank(fresh), "bill_payment_account": checking.id})
    assert "is no credit card account" in refused.content.decode()

    done = leave(browser, "accounts", {"pex_account": owed.id, "bill_payment_account": checking.id})

    assert done.url == "/xero/setup/review"
    save(browser)
    assert saved(fresh).by_kind == {Kind.BILL_PAYMENT: {"account": checking.id}}


def test_steps_of_kinds_that_are_off_are_skipped_both_ways(browser, fresh):
    leave(browser, "sync", {"kind_fee": "on", "approved_only": "all", "start_date": clock.today().isoformat()})
    leave(browser, "options", {})
    answers = {"pex_account": bank(fresh), "fee_account": fresh.books.account("404").id}
    assert leave(browser, "accounts", answers).url == "/xero/setup/fees"
    assert leave(browser, "fees", {}, go="back").url == "/xero/setup/accounts"
    shown = page(browser, "/xero/setup/accounts")
    assert shown.count(">not needed<") == 3
    assert 'href="/xero/setup/contacts"' not in shown
    assert "Fees in PEX" in shown
    assert "Purchases in PEX" not in shown


def test_a_step_that_is_not_needed_leads_to_its_switch(browser, fresh):
    answer = browser.get("/xero/setup/rebates")
    assert answer.url == "/xero/setup/sync#id_kind_rebate"
    assert "Rebate Options are not needed: rebates are switched off." in page(browser, "/xero/setup/sync")


def test_names_are_kept_so_that_the_summary_asks_nobody(browser, fresh, sandbox):
    walk(browser, fresh)
    save(browser)
    sandbox.calls.clear()
    shown = page(browser, "/xero/sync")
    assert "PEX Cash Account" in shown
    assert "PEX Tag: Expense Account" in shown
    assert not sandbox.calls.calls


# --- drafts -----------------------------------------------------------------------------------------------------------


def test_a_step_left_by_next_is_in_the_draft_and_not_in_the_settings(browser, fresh):
    leave(browser, "sync", {**SYNC, "start_date": clock.today().isoformat()})
    assert draft(fresh).start_date == clock.today()
    assert fresh.connection.settings == {}


@pytest.mark.parametrize("go", ["next", "back"])
def test_what_was_typed_stays_although_it_is_not_right(browser, fresh, go):
    leave(browser, "sync", {"approved_only": "all", "start_date": "1999-01-02", "end_date": "junk"}, go=go)

    shown = page(browser, "/xero/setup/sync")

    assert 'value="1999-01-02"' in shown
    assert 'value="junk"' in shown
    assert 'name="kind_purchase" checked' not in shown
    assert '<option value="all" selected>' in shown


def test_opening_another_step_keeps_what_was_typed_and_leads_nowhere_else(browser, fresh):
    wrong = {**SYNC, "start_date": "1999-01-02"}
    assert leave(browser, "sync", wrong, go="/xero/connect").url == "/xero/connect"
    assert 'value="1999-01-02"' in page(browser, "/xero/setup/sync")
    right = {**SYNC, "start_date": clock.today().isoformat()}
    for elsewhere in ("https://elsewhere.example/", "/xero/disconnect", ""):
        assert leave(browser, "sync", right, go=elsewhere).url == "/xero/setup/options"


def test_errors_are_summed_up_and_linked_to_their_fields(browser, fresh):
    answer = leave(browser, "sync", {"kind_purchase": "on", "approved_only": "all", "start_date": ""})
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert "1 thing to fix. Nothing you typed is lost." in shown
    assert '<a href="#id_start_date">Enter the Start Date' in shown
    assert 'id="id_start_date_error"' in shown
    assert 'aria-describedby="id_start_date_error"' in shown
    assert 'aria-invalid="true"' in shown


def test_a_step_in_trouble_is_marked_and_save_goes_there(browser, fresh):
    walk(browser, fresh)
    leave(browser, "sync", {**SYNC, "start_date": ""}, go="back")
    assert "needs attention" in page(browser, "/xero/setup/contacts")
    assert leave(browser, "contacts", MERCHANTS).url == "/xero/setup/review"
    assert browser.get("/xero/setup/review").url == "/xero/setup/sync?look=1"
    assert browser.post("/xero/setup/review", {}).url == "/xero/setup/sync?look=1"
    fresh.connection.refresh_from_db()
    assert fresh.connection.settings_version == 0


def test_save_looks_at_every_step_again(browser, fresh):
    walk(browser, fresh)
    shown = browser.get("/xero/setup/review").context["seen"]
    fresh.business.tags.filter(tag_id=fresh.expense_tag.tag_id).delete()
    answer = browser.post("/xero/setup/review", {"seen": shown})
    assert answer.url == "/xero/setup/accounts?look=1"
    assert "This PEX tag is gone" in page(browser, answer.url)


def test_a_kind_switched_on_later_asks_for_its_step(browser, acme):
    walk(browser, acme)
    leave(browser, "sync", {**SYNC, "kind_fee": "on", "start_date": clock.today().isoformat()})
    assert browser.get("/xero/setup/review").url == "/xero/setup/accounts?look=1"
    assert "that fees debit" in page(browser, "/xero/setup/accounts?look=1")


def test_later_steps_wait_for_their_turn_the_first_time(browser, fresh):
    shown = page(browser, "/xero/setup/sync")
    assert 'href="/xero/setup/contacts"' not in shown
    assert "Purchase Contact Options" in shown


def test_a_first_setup_begins_with_purchases(browser, fresh):
    shown = page(browser, "/xero/setup/sync")
    assert 'name="kind_purchase" checked' in shown
    assert 'name="kind_fee" checked' not in shown
    assert shown.count(">not needed<") == 2  # fees and rebates


def test_settings_in_use_open_every_step_and_the_review(browser, acme):
    shown = page(browser, "/xero/setup/sync")
    assert 'href="/xero/setup/contacts"' in shown
    assert leave(browser, "sync", {**SYNC, "start_date": clock.today().isoformat()}, go="review").url.endswith(
        "/review"
    )


def test_cancel_keeps_a_first_draft_and_drops_a_changed_one(browser, fresh, change):
    leave(browser, "sync", {**SYNC, "start_date": clock.today().isoformat()})
    assert browser.post("/xero/setup/leave").url == "/apps"
    fresh.connection.refresh_from_db()
    assert fresh.connection.draft
    change(settings_version=1)
    assert browser.post("/xero/setup/leave").url == "/xero/sync"
    fresh.connection.refresh_from_db()
    assert fresh.connection.draft == {}


# --- the books and PEX ------------------------------------------------------------------------------------------------


def test_the_limit_date_is_printed_and_kept(browser, fresh):
    limit = one_year_before(clock.today())
    assert f"{limit:%b} {limit.day}, {limit.year}" in page(browser, "/xero/setup/sync")
    early = leave(browser, "sync", {**SYNC, "start_date": (limit - timedelta(days=1)).isoformat()})
    assert "must not be before" in early.content.decode()
    assert leave(browser, "sync", {**SYNC, "start_date": limit.isoformat()}).status_code == 302


def test_what_the_books_hold_is_counted_and_sampled(browser, fresh):
    fresh.books.add_tracking("PROJECTS", ["Pier 9", "Hall", "Yard", "Gate"])
    shown = page(browser, "/xero/setup/options")
    assert "4 options: Pier 9, Hall, Yard …" in shown
    assert "429 General Expenses" in shown
    assert "You can only sync fields to dropdown tags" in shown


def test_a_tag_fed_by_another_connection_is_refused(browser, fresh):
    Connection.objects.create(
        business=fresh.business,
        system="other",
        state="ready",
        installed_at=clock.now(),
        settings={**Settings(synced={"department": fresh.expense_tag.tag_id}).stored(),
                  "labels": {"field:department": "Department"}},
    )  # fmt: skip
    answer = leave(browser, "options", {"account-sync": "on", "account-tag": fresh.expense_tag.tag_id})
    assert answer.status_code == 422
    assert "gets the options of Department in other already" in answer.content.decode()


def test_the_books_are_asked_once_for_going_back_and_forth(browser, fresh, sandbox):
    browser.get("/xero/setup/accounts")
    sandbox.calls.clear()
    browser.get("/xero/setup/options")
    browser.get("/xero/setup/accounts")
    assert not sandbox.calls.calls


@pytest.mark.parametrize("step", ["sync", "options", "accounts", "purchases", "contacts", "fees", "rebates", "review"])
def test_more_tags_and_accounts_cost_no_more_queries(browser, acme, step):
    acme.all_kinds(["PROJECTS"])
    browser.get(f"/xero/setup/{step}")
    few = queries(browser, f"/xero/setup/{step}")
    for number in range(5):
        acme.pex.add_tag(f"Tag {number}", options=[("x", "X")])
        acme.books.add_account(f"5{number}", f"Account {number}")
    browser.get(f"/xero/setup/{step}?again=1")
    assert queries(browser, f"/xero/setup/{step}") == few
    assert few <= 20


def queries(browser, address: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(address).status_code == 200
    return len(seen)


def test_books_that_do_not_answer_keep_what_was_chosen(browser, acme, settings):
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    shown = page(browser, "/xero/setup/accounts")
    assert "could not be read" in shown
    assert f'<option value="{bank(acme)}" selected>As chosen before' in shown
    assert "TRY AGAIN" in shown


def test_books_that_do_not_answer_change_nothing_of_any_kind(browser, acme, settings):
    kinds = acme.all_kinds(["PROJECTS"])
    acme.set(synced={"account": acme.expense_tag.tag_id})
    before = saved(acme)
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    leave(browser, "options", {})
    source = {"transfer_account": kinds.source_cash.id, "fee_account": kinds.fees.id}
    leave(browser, "accounts", accounts_by_tag(acme, **source))
    leave(browser, "purchases", {"receipts": "on", "late_receipts": "on"})
    leave(browser, "fees", {})
    leave(browser, "rebates", {})
    assert draft(acme).stored() == before.stored()


def test_an_ended_sign_in_leads_to_connecting_again(browser, acme):
    acme.connection.credential.die("Xero ended the sign-in.")
    browser.get("/xero/setup/accounts")
    acme.connection.refresh_from_db()
    assert acme.connection.state == "failed"
    assert browser.get("/xero/setup/accounts").url == "/xero/connect"


# --- causes -----------------------------------------------------------------------------------------------------------


def test_a_problem_of_the_settings_stands_where_it_is_mended(browser, acme, change, a_row):
    says = "429 General Expenses is archived in Xero. Choose another in Setup."
    change(settings_problem=says)
    a_row(state="due", waiting="settings", cause="settings:account", says=says)
    assert says in page(browser, "/xero/setup/accounts")
    assert "Go to Account Options" in page(browser, "/xero/setup/sync")


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("account", "accounts#id_account_tag"),
        ("pex_account", "accounts#id_pex_account"),
        ("tax", "accounts#id_tax"),
        ("transfer:account", "accounts#id_transfer_account"),
        ("fee:account", "accounts#id_fee_account"),
        ("party", "contacts#party_mode_merchant"),
        ("description", "purchases#id_description-from"),
        ("tracking:1", "purchases#id_tracking:1-map"),
        ("fee:party", "fees#id_party"),
        ("fee:tracking:1", "fees#id_tracking:1-map"),
        ("rebate:party", "rebates#id_party"),
        ("rebate:account", "rebates#id_account"),
        ("synced:account", "options#id_account-sync"),
        ("start_date", "sync#id_start_date"),
    ],
)
def test_a_cause_opens_the_control_that_mends_it(browser, acme, field, place):
    acme.all_kinds()
    answer = browser.get("/xero/setup", {"field": field})
    assert answer.url == f"/xero/setup/{place}"
    step, control = place.split("#")
    if ":1" not in field:  # a category this organisation does not have
        assert f'id="{control}"' in page(browser, f"/xero/setup/{step}")


def test_a_cause_of_a_charge_account_opens_its_own_control(browser, acme):
    acme.business.funding = "Credit"
    acme.business.save()
    acme.set(kinds=["bill_payment"])
    assert browser.get("/xero/setup", {"field": "bill_payment:account"}).url.endswith(
        "accounts#id_bill_payment_account"
    )
    assert 'id="id_bill_payment_account"' in page(browser, "/xero/setup/accounts")


def test_a_cause_of_a_kind_that_is_off_opens_its_switch(browser, acme):
    assert browser.get("/xero/setup", {"field": "fee:party"}).url == "/xero/setup/sync#id_kind_fee"


def test_a_company_that_is_missing_is_chosen_on_its_own_page(browser, acme):
    assert browser.get("/xero/setup", {"field": "company"}).url == "/xero/company"


def test_names_from_the_books_are_text(browser, acme):
    acme.books.add_account("666", "<script>alert(1)</script>")
    shown = page(browser, "/xero/setup/accounts")
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown


def test_an_unknown_step_is_not_there(browser):
    assert browser.get("/xero/setup/nosuch").status_code == 404


def meanwhile(monkeypatch, what: Callable[[], Any]) -> None:
    """Let something happen while the next step asks the books."""
    real = setup.read_books

    def between(*asked: Any) -> Any:
        monkeypatch.setattr(setup, "read_books", real)
        what()
        return real(*asked)

    monkeypatch.setattr(setup, "read_books", between)


def test_two_people_at_once_undo_no_step_of_each_other(browser, acme, monkeypatch):
    theirs = sign_in(Client(), acme.user, acme.business)
    meanwhile(monkeypatch, lambda: leave(theirs, "contacts", {**MERCHANTS, "clean_names": ""}))
    leave(browser, "purchases", {"late_receipts": "on"})
    assert (draft(acme).clean_names, draft(acme).receipts) == (False, False)
    assert draft(acme).fields["account"].tag == acme.expense_tag.tag_id


def test_a_step_left_while_somebody_saves_builds_on_what_was_saved(browser, acme, monkeypatch):
    theirs = sign_in(Client(), acme.user, acme.business)
    leave(theirs, "contacts", {**MERCHANTS, "clean_names": ""})
    meanwhile(monkeypatch, lambda: save(theirs))
    leave(browser, "purchases", {"late_receipts": "on"})
    assert not saved(acme).clean_names
    assert (draft(acme).clean_names, draft(acme).receipts) == (False, False)


def test_a_step_whose_kind_somebody_switched_off_meanwhile_leads_to_its_switch(browser, acme, monkeypatch):
    acme.all_kinds()
    theirs = sign_in(Client(), acme.user, acme.business)
    meanwhile(monkeypatch, lambda: leave(theirs, "sync", {**SYNC, "start_date": clock.today().isoformat()}))
    assert leave(browser, "fees", {}).url == "/xero/setup/sync#id_kind_fee"
    assert "Fee Options are not needed: fees are switched off." in page(browser, "/xero/setup/sync")


@pytest.mark.parametrize("sent", ["no\0thing", "x" * 300, "two\nlines"])
def test_what_no_list_ever_held_is_no_choice_even_while_the_books_are_silent(browser, acme, settings, sent):
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    answer = leave(browser, "contacts", {"party_mode": "one", "party": sent})
    assert answer.status_code == 422
    assert "Choose one of the list." in answer.content.decode()
    assert draft(acme).party == ""


def test_more_than_a_step_has_room_for_is_not_kept(browser, acme):
    leave(browser, "sync", {"start_date": "junk" * 20_000})
    acme.connection.refresh_from_db()
    assert len(str(acme.connection.draft)) < 1000
