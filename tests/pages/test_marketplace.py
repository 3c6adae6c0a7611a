"""Apps: tabs, search, installing, permissions."""

import pytest

from connectors.models import Connection
from pexsync.accounts.models import Membership


@pytest.fixture
def not_installed(acme):
    acme.connection.delete()


@pytest.fixture
def without_permissions(acme):
    Membership.objects.update(permissions=["EditBusinessProfile"])


def test_installed_and_available_are_counted_and_in_the_address(browser, acme):
    page = browser.get("/apps").content.decode()
    assert 'href="?tab=installed" aria-current="page"' in page
    assert "Additional services" in page
    assert "LAUNCH" in page
    available = browser.get("/apps?tab=available").content.decode()
    assert "PEX Connector for Dynamics 365" in available
    assert "Everything available is installed." not in available
    browser.post("/apps/dynamics365/install")
    assert "Everything available is installed." in browser.get("/apps?tab=available").content.decode()


@pytest.mark.usefixtures("not_installed")
def test_a_first_visit_shows_what_is_available(browser):
    page = browser.get("/apps").content.decode()
    assert 'href="?tab=available" aria-current="page"' in page
    assert "INSTALL" in page
    assert "Pick your accounting system" in page


@pytest.mark.usefixtures("not_installed")
def test_install_makes_one_connection_and_leads_to_connecting(browser, acme):
    for _ in range(2):
        assert browser.post("/apps/xero/install").url == "/xero"
    assert Connection.objects.get(business=acme.business).state == Connection.State.INSTALLED
    assert browser.get("/xero").url == "/xero/connect"


@pytest.mark.usefixtures("not_installed")
def test_installing_is_not_done_by_a_link(browser):
    assert browser.get("/apps/xero/install").status_code == 405
    assert not Connection.objects.exists()


@pytest.mark.usefixtures("not_installed", "without_permissions")
def test_missing_permissions_are_named_and_the_button_is_off(browser):
    page = browser.get("/apps").content.decode()
    assert "<strong>Manage cardholder</strong>" in page
    assert "<strong>View card transactions</strong>" in page
    assert "My Profile" in page
    assert 'disabled aria-describedby="missing-permissions"' in page
    assert browser.post("/apps/xero/install").status_code == 403
    assert not Connection.objects.exists()


def test_search_looks_at_names_and_says_when_nothing_answers(browser):
    assert "PEX Connector for Xero" in browser.get("/apps?tab=installed&q=xero").content.decode()
    page = browser.get("/apps?tab=installed&q=%3Cb%3Enothing").content.decode()
    assert "No app here answers to that." in page
    assert "<b>nothing" not in page


def test_services_that_move_money_open_in_pex(browser, settings):
    page = browser.get("/apps?tab=services").content.decode()
    assert "Funding Scheduler" in page
    assert f'href="{settings.PEX_DASHBOARD_URL}/apps"' in page
    assert 'rel="noopener noreferrer"' in page


def test_more_info_says_what_it_sends_and_needs(browser):
    page = browser.get("/apps/xero").content.decode()
    assert "What it sends to Xero" in page
    assert "Modify transaction notes" in page


def test_an_unknown_or_unconfigured_system_is_not_there(browser, settings):
    assert browser.get("/apps/nosuch").status_code == 404
    settings.XERO_CLIENT_ID = ""
    assert browser.get("/apps/xero").status_code == 404
    assert browser.get("/xero/sync").status_code == 404
    assert "PEX Connector for Xero" not in browser.get("/apps?tab=available").content.decode()


@pytest.mark.parametrize(
    ("columns", "leads_to"),
    [
        ({"state": "installed"}, "/xero/connect"),
        ({"state": "preparing"}, "/xero/connect"),
        ({"state": "failed"}, "/xero/connect"),
        ({"state": "ready", "settings_version": 0}, "/xero/setup"),
        ({"state": "ready"}, "/xero/sync"),
    ],
)
def test_launch_opens_what_comes_next(browser, change, columns, leads_to):
    change(**columns)
    assert browser.get("/xero").url == leads_to


@pytest.mark.parametrize(
    ("columns", "button"),
    [
        ({"state": "installed"}, "CONNECT"),
        ({"state": "failed"}, "RE-CONNECT"),
        ({"settings_version": 0}, "FINISH SETUP"),
        ({"settings_problem": "429 is archived."}, "MEND THE SETTINGS"),
    ],
)
def test_the_tile_has_the_button_of_its_state(browser, change, columns, button):
    change(**columns)
    assert f">{button}<" in browser.get("/apps").content.decode()
