"""The review: everything in words before it holds, and SAVE holds exactly that."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.cache import cache

from connectors.models import SettingsVersion
from connectors.records import Kind
from connectors.settings import TAG, FieldSource, Settings
from pexsync import clock
from pexsync.pages.review import warnings
from tests.pages.setting_up import DROPDOWN, MERCHANTS, books, leave, save, walk


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def page(browser) -> str:
    return browser.get("/xero/setup/review").content.decode()


def test_a_first_review_says_all_choices_and_what_comes_next(browser, acme, change):
    change(settings={}, settings_version=0, draft={})
    walk(browser, acme)
    shown = page(browser)
    for words in ("Approved purchases only", "PEX Tag: Expense Account", "PEX Cash Account", "One for each merchant"):
        assert words in shown
    assert "Nothing is sent yet" in shown
    assert "What changes" not in shown
    assert 'href="/xero/setup/contacts"' in shown
    assert SettingsVersion.objects.count() == 0


def test_a_changed_setting_is_shown_as_it_was_and_as_it_will_be(browser, acme):
    walk(browser, acme)
    save(browser)
    leave(browser, "sync", {"kind_purchase": "on", "approved_only": "all", "start_date": clock.today().isoformat()})
    shown = page(browser)
    assert "1 setting will change." in shown
    assert '<td data-label="Now">Approved purchases only</td>' in shown
    assert '<td data-label="After SAVE">All settled purchases</td>' in shown


def test_a_note_is_kept_with_the_version(browser, acme):
    walk(browser, acme)
    save(browser, note=" The auditors\0 asked ")
    assert SettingsVersion.objects.get(connection=acme.connection).note == "The auditors asked"


def test_save_refuses_what_was_changed_in_another_window(browser, acme):
    walk(browser, acme)
    seen = browser.get("/xero/setup/review").context["seen"]
    leave(browser, "contacts", {**MERCHANTS, "clean_names": ""})

    answer = browser.post("/xero/setup/review", {"seen": seen}, follow=True)

    assert "Look once more" in answer.content.decode()
    acme.connection.refresh_from_db()
    assert acme.connection.settings_version == 1
    assert save(browser).url == "/xero/sync"


def test_save_twice_makes_one_version(browser, acme):
    walk(browser, acme)
    seen = browser.get("/xero/setup/review").context["seen"]
    browser.post("/xero/setup/review", {"seen": seen})
    browser.post("/xero/setup/review", {"seen": seen})
    assert SettingsVersion.objects.filter(connection=acme.connection).count() == 1


def test_books_that_do_not_answer_are_named_on_the_review(browser, acme, settings):
    walk(browser, acme)
    cache.clear()
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    assert "The lists of Xero could not be read." in page(browser)


# --- warnings ---------------------------------------------------------------------------------------------------------

BEFORE = Settings(kinds=frozenset({Kind.PURCHASE}), start_date=date(2026, 5, 1), pex_account="bank")
TAGGED = {"account": FieldSource(source=TAG, tag=DROPDOWN.tag_id, default="429")}


def told(**changes: Any) -> list[str]:
    settings = Settings(**{
        "kinds": BEFORE.kinds, "start_date": BEFORE.start_date, "pex_account": "bank", "fields": TAGGED,
        "synced": {"account": DROPDOWN.tag_id}, **changes,
    })  # fmt: skip
    return warnings(settings, BEFORE, books())


def test_nothing_to_know_is_nothing_said():
    assert told() == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fields": {"account": FieldSource(source=TAG, tag="10")}}, "Purchases without the PROJECTS tag wait"),
        ({"synced": {}}, "The options of PROJECTS are kept by hand"),
        (
            {"synced": {"account": "11", "tracking:1": "10"}},
            "read from the tag PROJECTS, which gets the options of PROJ",
        ),
        ({"end_date": date(2026, 5, 31)}, "Nothing settled after May 31, 2026 is synced"),
        ({"kinds": frozenset({Kind.PURCHASE, Kind.FEE, Kind.REBATE})}, "Before the first fees and rebates go to Xero"),
        ({"start_date": BEFORE.start_date - timedelta(days=1)}, "The Start Date is earlier than before"),
        ({"pex_account": "checking"}, "The PEX account is another one"),
    ],
)
def test_what_a_person_should_know_is_said(changes, says):
    assert len(told(**changes)) == 1
    assert says in told(**changes)[0]
