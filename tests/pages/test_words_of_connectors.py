"""Each connector's pages speak its own words: of its company, its parties, its buttons, and nobody else's."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils.html import strip_tags

from connectors import registry
from connectors.models import Connection
from connectors.records import Kind
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from pexsync.pages import words
from syncjobs.models import PreviewRow
from tests.pages.microsoft import CHECKS, change, connect, connection, tenant_of

PAGES = (
    *("/connect", "/connect/checks", "/company", "/disconnect", "/settings", "/settings/copy", "/setup"),
    *("/sync", "/history", "/tags", "/transactions", "/transactions?view=queued", "/statement"),
    *("/transactions/{row}", "/transactions/{due}", "/runs/{run}", "/runs/{waiting}/preview"),
)
AROUND = ("/", "/apps", "/apps/{system}", "/help")
FOREIGN = {
    "xero": r"vendor|EXECUTE|journal|Dynamics|Business Central|Microsoft|Company in|in Settings|the Sync page",
    "dynamics365": (
        r"[Oo]rgani[sz]ation(?! requires)|[Cc]ontacts?\b|(?<!RUNNING )(?<!OPEN )SYNC(?! ON| OFF)|"
        r"Setup|SETUP|Manage\b(?! cardholder)|MANAGE|Xero|Tenant"
    ),
}
STATES = [state for state in Connection.State if state != Connection.State.INSTALLED]


@pytest.fixture
def xero(acme, rival) -> str:
    """Rival's connection lends nothing; Acme has this one only."""
    return "xero"


@pytest.fixture
def dynamics365(browser, acme, sandbox) -> str:
    """Acme has this one only, set up."""
    company = tenant_of(sandbox).company()
    company.add_journal()
    account = company.add_account("10950", "PEX Card Prepaid", "Assets")
    browser.post("/apps/dynamics365/install")
    connect(browser)
    browser.get(CHECKS)
    start = clock.today() - timedelta(days=30)
    chosen = Settings(kinds=frozenset({Kind.PURCHASE}), start_date=start, pex_account=account.id)
    change(settings=chosen.stored() | {"labels": {"field:party": "Vendor"}}, settings_version=1)
    with everywhere():
        acme.connection.delete()
    return "dynamics365"


@pytest.fixture
def addresses(acme, a_run, a_row) -> Callable[[str], list[str]]:
    """The addresses of a connector that has synced, waits for a confirmation, and holds rows of several states."""

    def of(system: str) -> list[str]:
        with everywhere():
            there = Connection.objects.get(system=system, business=acme.business)
            about: dict[str, Any] = {"system": system, "target": there.target}
            run = a_run(connection=there, **about, only=["purchase"])
            preview = [{"month": "2026-10", "kind": "purchase", "count": 1, "sum": "12.50", "blocked": 0}]
            waits = {"status": "paused", "phase": "checking", "preview": preview, "settings_version": 1}
            waiting = a_run(connection=there, **about, **waits)
            lines = [{"account": "Office", "debit": "12.50"}, {"account": "PEX", "credit": "12.50"}]
            PreviewRow.objects.create(
                business=acme.business, run=waiting, source="transaction", pex_id=7, kind="purchase",
                settled_on=clock.today(), amount="12.50", state="ready", merchant="Staples",
                entry={"date": "2026-10-05", "party": "Staples", "new": True, "lines": lines},
            )  # fmt: skip
            row = a_row(run=run, **about)
            due = a_row(state="due", says="No tag.", cause="untagged:account", waiting="refused", system=system)
        numbers = {"row": row.pk, "due": due.pk, "run": run.pk, "waiting": waiting.pk, "system": system}
        return [f"/{system}{page}".format(**numbers) for page in PAGES] + [page.format(**numbers) for page in AROUND]

    return of


def main_of(answer: Any) -> str:
    page = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(strip_tags(re.sub(r"</(dt|h\d|a|button|p|li)>", " ", page)).split())


@pytest.mark.parametrize("system", FOREIGN)
def test_every_page_speaks_its_own_words(request, browser, system, addresses):
    request.getfixturevalue(system)
    seen = 0
    for address in addresses(system):
        answer = browser.get(address, follow=True)
        assert answer.status_code == 200, address
        strange = re.findall(rf".{{0,60}}(?:{FOREIGN[system]}).{{0,30}}", main_of(answer))
        assert not strange, (address, strange)
        seen += 1
    assert seen == len(PAGES) + len(AROUND)


@pytest.mark.parametrize("system", FOREIGN)
@pytest.mark.parametrize("state", STATES)
def test_so_does_the_connection_in_every_state(request, browser, acme, system, state):
    request.getfixturevalue(system)
    with everywhere():
        Connection.objects.filter(system=system, business=acme.business).update(state=state, failure="It has ended.")
    for page in ("connect", "sync", "disconnect"):
        shown = main_of(browser.get(f"/{system}/{page}"))
        assert not re.findall(FOREIGN[system], shown), page


def test_the_company_is_called_what_it_is_called_there(browser, dynamics365):
    assert "Company Acme Builders LLC Environment Production" in main_of(browser.get("/dynamics365/connect"))
    shown = main_of(browser.get("/dynamics365/sync"))
    assert "Company Acme Builders LLC Environment Production State Connected: Ready" in shown


def test_the_company_of_another_is_an_organization(browser, xero):
    assert "Organization Acme Builders LLC" in main_of(browser.get("/xero/connect"))
    assert "Organization Acme Builders LLC State" in main_of(browser.get("/xero/sync"))


class TestSyncPage:
    def test_the_button_bears_its_word(self, browser, dynamics365):
        page = browser.get("/dynamics365/sync").content.decode()
        assert ">EXECUTE</button>" in page
        assert ">EXECUTE THESE</button>" in page
        assert '<p class="eyebrow">PEX Connector for Dynamics 365 · Sync</p>' in page

    def test_the_history_counts_tags(self, browser, dynamics365, addresses):
        addresses("dynamics365")
        page = browser.get("/dynamics365/history").content.decode()
        assert re.search(r'<th scope="col" class="num">Tags</th>', page)
        assert "Purchases only." in page

    def test_the_journal_is_one_click_away(self, browser, dynamics365):
        page = browser.get("/dynamics365/sync").content.decode()
        word, address = registry.ALL["dynamics365"].page_of_books(connection())
        assert word == "Open the PEX Card journal"
        found = re.search(
            r'<a href="([^"]+)" target="_blank" rel="noopener noreferrer">Open the PEX Card journal', page
        )
        assert found
        assert found[1].replace("&amp;", "&").replace("&#x27;", "'") == address

    def test_a_system_without_such_a_page_has_no_link(self, browser, xero):
        assert "Open the" not in main_of(browser.get("/xero/sync"))

    def test_what_waits_in_the_journal_is_told_with_its_time(self, browser, dynamics365, a_run):
        said = "in the PEX Card journal, not posted, as of"
        assert said not in main_of(browser.get("/dynamics365/sync"))
        with everywhere():
            there = connection()
            run = a_run(connection=there, system="dynamics365", target=there.target, drafts=212)
        shown = main_of(browser.get("/dynamics365/sync"))
        local = run.ended_at.astimezone(there.business.zone)
        assert re.search(rf"212 {said} (today|yesterday) {local:%H:%M}\. Open the PEX Card journal", shown)

        with everywhere():
            a_run(connection=there, system="dynamics365", target=there.target, drafts=0, ended_at=clock.now())
        assert said not in main_of(browser.get("/dynamics365/sync"))


class TestHelp:
    def test_what_people_ask_about_a_connector_is_answered(self, browser, dynamics365):
        page = main_of(browser.get("/help"))
        assert "Questions about the PEX Connector for Dynamics 365" in page
        assert "incoming document files" in page
        assert "Only settled ones are" in page
        assert "open and of closed cardholders" in page
        assert "advise it strongly" in page
        assert "support looks whether its record is gone" in page
        assert "link an existing connection" in page
        assert "Press EXECUTE, or wait for the next one." in page
        assert "The dates in Settings leave it out." in page
        assert "sync other days on Sync." in page

    def test_support_is_written_to_at_the_address_of_the_connector(self, browser, dynamics365, settings):
        assert "appsupport+dynamics365@pexcard.com" in browser.get("/help").content.decode()
        settings.SUPPORT_ADDRESS = "books@acme.example"
        assert 'href="mailto:books+dynamics365@acme.example"' in browser.get("/help").content.decode()
        settings.SUPPORT_ADDRESS = ""
        assert "mailto:" not in browser.get("/help").content.decode()

    def test_with_two_of_them_both_words_are_named(self, browser, dynamics365):
        browser.post("/apps/xero/install")
        assert "Press SYNC or EXECUTE, or wait for the next one." in main_of(browser.get("/help"))

    def test_without_any_it_still_reads_well(self, browser, acme):
        with everywhere():
            acme.connection.delete()
        page = main_of(browser.get("/help"))
        assert "{" not in page
        assert "Questions about" not in page


@pytest.mark.parametrize(
    ("word", "several", "one"),
    [
        ("organization", "organizations", "an organization"),
        ("company", "companies", "a company"),
        ("vendor", "vendors", "a vendor"),
        ("Entity", "Entities", "an Entity"),
    ],
)
def test_a_word_has_its_plural_and_its_article(word, several, one):
    assert words.many(word) == several
    assert words.a(word) == one
