"""The account at a glance, connections and what needs a person."""

from decimal import Decimal

from syncjobs.models import Tally

FIGURES = {
    "balance": "1223.03",
    "card_funds": "12115.61",
    "total_funds": "13338.64",
    "open_cards": 12,
    "pending_card": "65.94",
    "pending_ach": "0.00",
    "ledger_midnight": "13429.58",
    "spend_today": "-41.94",
    "rebate_lifetime": "2.50",
    "rebate_year": "1.25",
}


def test_all_figures_of_the_account_are_shown_with_their_time(browser, acme):
    from pexsync import clock

    acme.business.glance, acme.business.glance_at = FIGURES, clock.now()
    acme.business.save()

    page = browser.get("/").content.decode()

    for shown in (
        "$1,223.03",
        "$12,115.61",
        "$13,338.64",
        ">12<",
        "$65.94",
        "$0.00",
        "$13,429.58",
        "−$41.94",
        "$2.50",
        "$1.25",
    ):
        assert shown in page
    assert "As of <time" in page
    assert "has not given us" not in page


def test_a_missing_figure_is_a_dash_with_its_reason(browser, acme):
    page = browser.get("/").content.decode()

    assert "—" in page
    assert "PEX has not given us this figure" in page
    assert "Not read from PEX yet" in page


def test_nothing_to_do_says_so(browser, acme, change):
    change(preview_confirmed={"purchase": {}})
    assert "Nothing needs you." in browser.get("/").content.decode()


def test_without_a_connector_the_one_next_step_is_apps(browser, acme):
    acme.connection.delete()
    page = browser.get("/").content.decode()
    assert "No connector is installed yet." in page
    assert 'href="/apps"' in page


def test_what_needs_a_person_is_named_with_a_way_there(browser, acme, a_row):
    a_row(state="due", waiting="coding", cause="untagged:account", says="No Expense Account tag. Tag it in PEX.")
    Tally.objects.create(
        business=acme.business, system="xero", month="2026-11-01", kind="purchase", state="due", waits="you", count=1,
        amount=Decimal("12.50"),
    )  # fmt: skip

    page = browser.get("/").content.decode()

    assert "1 transaction: no Expense Account tag" in page
    assert 'href="/xero/sync#needs-you"' in page
    assert "SEE 1 PROBLEM" in page


def test_a_dead_sign_in_is_the_first_thing_to_do(browser, change):
    change(state="failed", failure="Xero ended the sign-in.")
    page = browser.get("/").content.decode()
    assert "Session Failure" in page
    assert "RE-CONNECT" in page


def test_the_page_asks_the_database_little(browser, acme, django_assert_max_num_queries):
    with django_assert_max_num_queries(14):
        browser.get("/")
