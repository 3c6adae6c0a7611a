"""The setup: each step kept as it is left, nothing typed is ever lost, SAVE makes a version."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.cache import cache

from connectors.models import SettingsVersion
from connectors.records import Field, Kind, Option
from connectors.settings import Settings
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.pages.forms import AccountOptions, Books, PurchaseContactOptions, PurchaseOptions, SyncOptions
from syncjobs.window import one_year_before
from tagging.models import Tag

SYNC = {"kind_purchase": "on", "approved_only": "approved"}


@pytest.fixture
def fresh(acme, change) -> Any:
    """Connected, with nothing set up yet; the account's tags are known."""
    change(settings={}, settings_version=0, draft={})
    acme.tag = Tag.objects.create(
        business=acme.business,
        tag_id=acme.expense_tag.tag_id,
        name="Expense Account",
        type="Dropdown",
        read_at=clock.now(),
    )
    Tag.objects.create(business=acme.business, tag_id="text", name="Purpose", type="Text", read_at=clock.now())
    return acme


def bank(acme) -> str:
    return str(acme.books.account("PEX Cash Account").id)


def walk(browser, acme) -> None:
    """Every step up to the last, left by NEXT."""
    browser.post("/xero/setup/sync", {**SYNC, "start_date": clock.today().isoformat()})
    browser.post(
        "/xero/setup/accounts",
        {"pex_account": bank(acme), "account_source": "tag", "account_tag": acme.tag.tag_id},
    )
    browser.post("/xero/setup/purchases", {"receipts": "on"})


def test_the_whole_way_from_first_step_to_settings(browser, fresh):
    assert browser.get("/xero/setup").url == "/xero/setup/sync"
    walk(browser, fresh)
    assert browser.get("/xero/setup").url == "/xero/setup/contacts"

    answer = browser.post("/xero/setup/contacts", {"party_mode": "merchant", "clean_names": "on"})

    assert answer.url == "/xero/sync"
    fresh.connection.refresh_from_db()
    saved = Settings.parse(fresh.connection.settings)
    assert saved.kinds == {Kind.PURCHASE}
    assert saved.pex_account == bank(fresh)
    assert saved.fields["account"].tag == fresh.tag.tag_id
    assert saved.start_date == clock.today()
    assert saved.receipts
    assert saved.clean_names
    assert fresh.connection.draft == {}
    version = SettingsVersion.objects.get(connection=fresh.connection)
    assert (version.version, version.by, version.settings) == (1, fresh.user, fresh.connection.settings)
    assert "before you have seen and confirmed it" in browser.get("/xero/sync").content.decode()


def test_names_are_kept_so_that_the_summary_asks_nobody(browser, fresh, sandbox):
    walk(browser, fresh)
    browser.post("/xero/setup/contacts", {"party_mode": "merchant"})
    sandbox.calls.clear()
    page = browser.get("/xero/sync").content.decode()
    assert "PEX Cash Account" in page
    assert "PEX Tag: Expense Account" in page
    assert not sandbox.calls.calls


def test_a_step_left_by_next_is_in_the_draft_and_not_in_the_settings(browser, fresh):
    browser.post("/xero/setup/sync", {**SYNC, "start_date": clock.today().isoformat()})
    fresh.connection.refresh_from_db()
    assert Settings.parse(fresh.connection.draft).start_date == clock.today()
    assert fresh.connection.settings == {}


@pytest.mark.parametrize("go", ["next", "back"])
def test_what_was_typed_stays_although_it_is_not_right(browser, fresh, go):
    browser.post("/xero/setup/sync", {"approved_only": "all", "start_date": "1999-01-02", "end_date": "junk", "go": go})

    page = browser.get("/xero/setup/sync").content.decode()

    assert 'value="1999-01-02"' in page
    assert 'value="junk"' in page
    assert 'name="kind_purchase" checked' not in page
    assert '<option value="all" selected>' in page


def test_errors_are_summed_up_and_linked_to_their_fields(browser, fresh):
    answer = browser.post("/xero/setup/sync", {"kind_purchase": "on", "approved_only": "all", "start_date": ""})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "1 thing to fix. Nothing you typed is lost." in page
    assert '<a href="#id_start_date">Enter the Start Date' in page
    assert 'id="id_start_date_error"' in page
    assert 'aria-describedby="id_start_date_error"' in page
    assert 'aria-invalid="true"' in page


def test_a_step_in_trouble_is_marked_and_save_goes_there(browser, fresh):
    walk(browser, fresh)
    browser.post("/xero/setup/sync", {**SYNC, "start_date": "", "go": "back"})
    assert "needs attention" in browser.get("/xero/setup/contacts").content.decode()
    answer = browser.post("/xero/setup/contacts", {"party_mode": "merchant"})
    assert answer.url.startswith("/xero/setup/sync")
    fresh.connection.refresh_from_db()
    assert fresh.connection.settings_version == 0


def test_save_looks_at_every_step_again(browser, fresh):
    walk(browser, fresh)
    fresh.tag.delete()
    answer = browser.post("/xero/setup/contacts", {"party_mode": "merchant"})
    assert answer.url.startswith("/xero/setup/accounts")
    assert "This PEX tag is gone" in browser.get(answer.url).content.decode()


def test_later_steps_wait_for_their_turn_the_first_time(browser, fresh):
    page = browser.get("/xero/setup/sync").content.decode()
    assert 'href="/xero/setup/contacts"' not in page
    assert "Purchase Contact Options" in page


def test_cancel_keeps_a_first_draft_and_drops_a_changed_one(browser, fresh, change):
    browser.post("/xero/setup/sync", {**SYNC, "start_date": clock.today().isoformat()})
    assert browser.post("/xero/setup/leave").url == "/apps"
    fresh.connection.refresh_from_db()
    assert fresh.connection.draft
    change(settings_version=1)
    assert browser.post("/xero/setup/leave").url == "/xero/sync"
    fresh.connection.refresh_from_db()
    assert fresh.connection.draft == {}


def test_the_limit_date_is_printed_and_kept(browser, fresh):
    limit = one_year_before(clock.today())
    page = browser.get("/xero/setup/sync").content.decode()
    assert f"{limit:%b} {limit.day}, {limit.year}" in page
    early = browser.post("/xero/setup/sync", {**SYNC, "start_date": (limit - timedelta(days=1)).isoformat()})
    assert "must not be before" in early.content.decode()
    assert browser.post("/xero/setup/sync", {**SYNC, "start_date": limit.isoformat()}).status_code == 302


def test_the_books_are_asked_once_for_going_back_and_forth(browser, fresh, sandbox):
    browser.get("/xero/setup/accounts")
    sandbox.calls.clear()
    browser.get("/xero/setup/accounts")
    assert not sandbox.calls.calls


def test_books_that_do_not_answer_keep_what_was_chosen(browser, acme, settings):
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    page = browser.get("/xero/setup/accounts").content.decode()
    assert "could not be read" in page
    assert f'<option value="{bank(acme)}" selected>As chosen before' in page
    assert "TRY AGAIN" in page


def test_an_ended_sign_in_leads_to_connecting_again(browser, acme, change):
    credential = acme.connection.credential
    credential.die("Xero ended the sign-in.")
    browser.get("/xero/setup/accounts")
    acme.connection.refresh_from_db()
    assert acme.connection.state == "failed"
    assert browser.get("/xero/setup/accounts").url == "/xero/connect"


def test_a_problem_of_the_settings_stands_where_it_is_mended(browser, acme, change, a_row):
    says = "429 General Expenses is archived in Xero. Choose another in Setup."
    change(settings_problem=says)
    a_row(state="due", waiting="settings", cause="settings:account", says=says)
    assert says in browser.get("/xero/setup/accounts").content.decode()
    assert "Go to Account Options" in browser.get("/xero/setup/sync").content.decode()


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("account", "accounts#expense-account"),
        ("pex_account", "accounts#id_pex_account"),
        ("party", "contacts#id_party"),
        ("tracking:1", "purchases#mappings"),
    ],
)
def test_a_cause_opens_the_place_that_mends_it(browser, field, place):
    assert browser.get("/xero/setup", {"field": field}).url == f"/xero/setup/{place}"


def test_names_from_the_books_are_text(browser, fresh):
    fresh.books.add_account("666", "<script>alert(1)</script>")
    page = browser.get("/xero/setup/accounts").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_an_unknown_step_is_not_there(browser):
    assert browser.get("/xero/setup/nosuch").status_code == 404


# --- the forms by themselves ------------------------------------------------------------------------------------------

DROPDOWN = Tag(tag_id="10", name="PROJECTS", type="Dropdown", required=True)
TEXT_TAG = Tag(tag_id="20", name="Purpose", type="Text")


def books(**changes: Any) -> Books:
    fields = [
        Field("account", "Expense account", required=True),
        Field("tracking:1", "PROJECTS", static=False),
        Field("description", "Item Description", tag_types=("Text",)),
    ]
    options = {
        "pex_account": [Option("bank", "PEX Cash", group="USD")],
        "account": [Option("429", "General", "429"), Option("old", "Closed", active=False)],
        "tracking:1": [Option("a", "Pier 9")],
        "party": [Option("p", "PEX")],
    }
    given: dict[str, Any] = {
        "connector": Xero,
        "charge": False,
        "today": date(2026, 5, 3),
        "fields": fields,
        "options": options,
        "tags": [DROPDOWN, TEXT_TAG],
    }
    return Books(**{**given, **changes})


def typed(**members: str) -> Any:
    from django.http import QueryDict

    data = QueryDict(mutable=True)
    data.update(members)
    return data


def account(**members: str) -> AccountOptions:
    return AccountOptions(books(), Settings(kinds=frozenset({Kind.PURCHASE})), typed(**members))


def test_one_account_for_all_purchases():
    form = account(pex_account="bank", account_source="static", account="429")
    assert form.is_valid()
    assert form.settings().fields["account"].stored() == {"source": "static", "value": "429", "tag": "", "default": ""}


def test_an_account_by_tag_with_a_default():
    form = account(pex_account="bank", account_source="tag", account_tag="10", account_default="429")
    assert form.is_valid()
    assert form.settings().fields["account"].default == "429"


@pytest.mark.parametrize(
    ("members", "field", "says"),
    [
        ({"account_source": "static", "account": "429"}, "pex_account", "Choose the account in Xero"),
        ({"pex_account": "gone", "account_source": "static", "account": "429"}, "pex_account", "no longer in Xero"),
        ({"pex_account": "bank", "account_source": "tag"}, "account_tag", "Choose the PEX tag"),
        ({"pex_account": "bank", "account_source": "tag", "account_tag": "20"}, "account_tag", "gone or switched off"),
        ({"pex_account": "bank", "account_source": "static"}, "account", "Choose the expense account"),
        ({"pex_account": "bank", "account_source": "static", "account": "old"}, "account", "archived in Xero"),
        ({"pex_account": "bank", "account_source": "nonsense"}, "account_source", "valid choice"),
    ],
)
def test_what_is_wrong_with_the_accounts_is_said_in_words(members, field, says):
    form = account(**members)
    assert not form.is_valid()
    assert says in str(form.errors[field])


def test_effects_follow_the_kinds_and_the_account_type():
    form = AccountOptions(books(), Settings(kinds=frozenset({Kind.PURCHASE})))
    assert form.effects() == [("Purchases in PEX", "credit")]
    assert form.sketches()[0].debit == ["Refunds in PEX"]
    assert form.sketches()[1].debit == ["Purchases in PEX"]


def test_mappings_take_tags_of_the_right_type_only():
    draft = Settings(kinds=frozenset({Kind.PURCHASE}))
    form = PurchaseOptions(books(), draft, typed(**{"tracking:1-map": "on", "tracking:1-from": "tag:20"}))
    assert not form.is_valid()
    assert "gone or switched off" in str(form.errors["tracking:1-from"])

    form = PurchaseOptions(
        books(),
        draft,
        typed(**{
            "tracking:1-map": "on", "tracking:1-from": "tag:10", "tracking:1-default": "a",
            "description-map": "on", "description-from": "tag:20",
        }),
    )  # fmt: skip
    assert form.is_valid(), form.errors
    assert form.settings().fields["tracking:1"].stored() == {"source": "tag", "value": "", "tag": "10", "default": "a"}
    assert form.settings().fields["description"].tag == "20"


def test_a_mapping_switched_off_is_gone_and_a_required_tag_is_marked():
    draft = PurchaseOptions(
        books(), Settings(), typed(**{"tracking:1-map": "on", "tracking:1-from": "tag:10"})
    ).looked_at()
    assert draft.is_valid()
    row = PurchaseOptions(books(), draft.settings()).rows()[0]
    assert row.required
    off = PurchaseOptions(books(), draft.settings(), typed())
    assert off.is_valid()
    assert "tracking:1" not in off.settings().fields


def test_a_field_that_may_be_static_offers_the_values_of_the_books():
    wanted = Field("dimension", "Department")
    given = books(fields=[wanted], options={"dimension": [Option("d1", "Field work", group="Active")]})
    form = PurchaseOptions(given, Settings(), typed(**{"dimension-map": "on", "dimension-from": "static:d1"}))
    assert form.is_valid()
    assert form.settings().fields["dimension"].value == "d1"
    assert form.rows()[0].type == "Static"


def test_one_contact_must_be_named():
    form = PurchaseContactOptions(books(), Settings(), typed(party_mode="one"))
    assert not form.is_valid()
    assert "Choose the contact" in str(form.errors["party"])
    form = PurchaseContactOptions(books(), Settings(), typed(party_mode="one", party="p"))
    assert form.is_valid()
    assert form.settings().party == "p"


def test_nothing_to_sync_is_no_setting():
    form = SyncOptions(books(), Settings(), typed(approved_only="all", start_date="2026-05-01"))
    assert not form.is_valid()
    assert "at least one kind" in str(form.errors)


def test_an_end_before_the_start_is_refused():
    form = SyncOptions(books(), Settings(), typed(**SYNC, start_date="2026-05-01", end_date="2026-04-30"))
    assert not form.is_valid()
    assert "before the Start Date" in str(form.errors["end_date"])


def test_a_start_date_that_aged_past_a_year_is_not_refused():
    draft = Settings(start_date=date(2025, 1, 1))
    assert SyncOptions(books(), draft, typed(**SYNC, start_date="2025-01-01")).is_valid()


def test_while_the_books_do_not_answer_a_choice_may_stay():
    silent = books(options={}, fields=[], trouble="Xero is not answering.")
    draft = Settings(kinds=frozenset({Kind.PURCHASE}), pex_account="bank", extra={"tax": "none"})
    form = AccountOptions(silent, draft, typed(pex_account="bank", account_source="static", account="429"))
    assert form.is_valid(), form.errors
    assert form.settings().extra == {"tax": "none"}


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()
