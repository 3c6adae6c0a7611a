"""The checks that mend: a finding's button, what is refused, and how a thing nobody can ask for is shown."""

from typing import Any

import pytest

from connectors.models import Connection
from tests.pages.conftest import sign_in
from tests.pages.microsoft import (
    CHECKS,
    CONNECT,
    Microsoft,
    change,
    connect,
    connection,
    tenant_of,
    text_of,
)

MEND = "/dynamics365/mend"


@pytest.fixture
def microsoft(acme, sandbox) -> Microsoft:
    return tenant_of(sandbox)


@pytest.fixture
def company(browser, microsoft) -> Any:
    """Connected and ready; there is no journal yet."""
    browser.post("/apps/dynamics365/install")
    company = microsoft.company()
    connect(browser)
    browser.get(CHECKS)
    assert connection().ready
    return company


def created(sandbox: Any) -> int:
    return len(sandbox.calls.matching("bc-api", "POST", "journals"))


def journals(company: Any) -> list[str]:
    return [journal.code for journal in company.journals.values()]


def test_what_is_missing_says_what_it_means_how_to_mend_it_and_offers_to(browser, company):
    answer = browser.get(CHECKS)
    line = answer.content.decode().partition("<h3>PEX Card journal</h3>")[2].partition("</li>")[0]
    assert "PEX Card journal" in text_of(answer).partition("Missing")[2]
    assert "no general journal" in line
    assert "press New and enter the name PEX Card" in line
    assert '<button class="button" name="what" value="journal">CREATE THE JOURNAL FOR ME</button>' in line


def test_the_button_mends_it_and_says_so(browser, company):
    answer = browser.post(MEND, {"what": "journal"})
    assert answer.url == CHECKS
    assert journals(company) == ["PEX CARD"]
    page = text_of(browser.get(answer.url))
    assert "The journal PEX CARD was created in Business Central." in page
    assert "The journal PEX CARD is there." in page
    assert "CREATE THE JOURNAL" not in page


def test_pressed_twice_it_is_done_once(browser, company, sandbox):
    for _ in range(2):
        browser.post(MEND, {"what": "journal"})
    assert journals(company) == ["PEX CARD"]
    assert created(sandbox) == 1
    assert "Nothing was changed: look at the checks as they stand now." in text_of(browser.get(CHECKS))


@pytest.mark.parametrize("what", ["", "vendor", "journal "])
def test_what_the_checks_do_not_offer_is_not_done(browser, company, sandbox, what):
    answer = browser.post(MEND, {"what": what}, follow=True)
    assert "Nothing was changed" in text_of(answer)
    assert created(sandbox) == 0


def test_a_journal_that_would_book_twice_is_not_mended_for_people(browser, company):
    company.add_account("10950", "PEX Card Prepaid", "Assets")
    company.add_journal(balance_account="10950")
    page = text_of(browser.get(CHECKS))
    assert "every entry would stand there twice" in page
    assert "CREATE THE JOURNAL" not in page
    assert "Nothing was changed" in text_of(browser.post(MEND, {"what": "journal"}, follow=True))


def test_a_refusal_there_is_told_as_a_sentence(browser, company, microsoft):
    microsoft.ann.rights = "read"
    answer = browser.post(MEND, {"what": "journal"}, follow=True)
    assert "Whoever signed in needs permissions in Business Central" in text_of(answer)
    assert journals(company) == []
    assert connection().ready


def test_silence_there_is_told_and_the_checks_say_how_it_is(browser, company, sandbox):
    sandbox.faults.add("status", system="bc-api", method="POST", path="journals", status=503, times=1)
    answer = browser.post(MEND, {"what": "journal"}, follow=True)
    assert "Look again whether the journal is there." in text_of(answer)


def test_a_dead_sign_in_leads_to_where_it_is_mended(browser, company, microsoft):
    microsoft.world.revoke(microsoft.ann)
    microsoft.world.expire_access()
    assert browser.post(MEND, {"what": "journal"}).url == CONNECT
    assert "Session Failure" in text_of(browser.get(CONNECT))


def test_nothing_is_mended_before_it_is_ready_or_after_it_was_taken_back(browser, company, sandbox):
    change(state=Connection.State.PREPARING)
    assert browser.post(MEND, {"what": "journal"}).url == CHECKS
    change(state=Connection.State.READY)
    browser.post("/dynamics365/disconnect")
    assert browser.post(MEND, {"what": "journal"}).url == CHECKS
    assert created(sandbox) == 0


def test_it_is_not_asked_for_by_a_link(browser, company):
    assert browser.get(MEND, {"what": "journal"}).status_code == 405
    assert journals(company) == []


def test_what_cannot_be_seen_from_here_says_so_and_leads_there(browser, company):
    page = browser.get(CHECKS).content.decode()
    line = page.partition("<h3>Set-up of the journal</h3>")[2].partition("</li>")[0]
    assert "<p>We cannot see this from here. Look whether the journal has a number series" in line
    assert ">Look here<" in line
    assert "Not seen" in page.partition("<h3>Set-up of the journal</h3>")[0].rpartition("<li>")[2]


def test_rival_mends_nothing_of_acme(client, company, rival, sandbox):
    theirs = sign_in(client, rival.user, rival.business)
    assert theirs.post(MEND, {"what": "journal"}).status_code == 404
    assert created(sandbox) == 0
