import pytest

from connectors.errors import NotAuthorized
from connectors.records import Posted
from connectors.xero.connector import Xero
from tests.connectors.xero.conftest import linked, reread

pytestmark = pytest.mark.database

BROAD = "openid profile email offline_access accounting.transactions accounting.contacts accounting.settings"


def test_an_app_of_old_age_works_with_the_broad_name_of_its_scope(acme, settings, db, soon):
    """Row 6: the permission for bank transactions has another name for apps registered earlier."""
    settings.XERO_SCOPES = f"{BROAD} accounting.attachments"
    with Xero(linked(acme, tokens=acme.grant(scopes=settings.XERO_SCOPES))) as xero:
        outcome = xero.post([acme.entry(1)], soon)["PEXT8000001"]

        assert isinstance(outcome, Posted)
        assert [finding.state for finding in xero.check() if finding.name == "Permissions in Xero"] == ["ok"]


@pytest.mark.parametrize("lost", ["accounting.contacts", "accounting.settings", "accounting.banktransactions"])
def test_each_missing_permission_is_a_matter_of_signing_in_again_and_nothing_is_written(acme, db, soon, lost):
    """Row 6: which scope opens which path is nowhere to be read but in Xero's refusal."""
    rest = {"accounting.contacts", "accounting.settings", "accounting.banktransactions", "offline_access"} - {lost}
    with Xero(linked(acme, tokens=acme.grant(scopes=sorted(rest)))) as xero, pytest.raises(NotAuthorized) as caught:
        xero.post([acme.entry(1)], soon)

    assert caught.value.permission == "scope"
    assert acme.organisation.live() == []
    assert acme.calls(path="connect/token") == 0


def test_who_shares_no_organisation_has_no_company_to_choose(acme, xero):
    """Row 7: a consent to nothing leaves an empty list."""
    acme.world.disconnect(acme.organisation)

    assert xero.companies() == []


def test_the_company_is_chosen_by_its_id_and_never_by_its_place_in_the_list(acme, connection, xero, soon):
    """Row 7: a practice and other organisations may stand before ours."""
    acme.switch(practice_row=True)
    first = acme.world.add_organisation("Another LLC")
    acme.person.organisations.insert(0, first)
    acme.world.connections.clear()
    acme.world.consent(acme.person, "pexsync-demo-xero", [first, acme.organisation], ["offline_access"])

    xero.post([acme.entry(1)], soon)

    assert [company.name for company in xero.companies()] == ["Another LLC", "Acme LLC"]
    assert (len(first.live()), len(acme.organisation.live())) == (0, 1)


def test_leaving_ends_the_connection_of_our_tenant_alone(acme, connection, xero):
    """Row 8: Xero wants the connection's own id, not the tenant's."""
    other = acme.world.add_organisation("Another LLC")
    acme.world.consent(acme.person, "pexsync-demo-xero", [other], ["offline_access"])

    xero.disconnect()

    assert [one.tenant_id for one in acme.world.connections.values()] == [other.id]
    assert [call.status for call in acme.desk.calls.matching("xero-api", "DELETE")] == [204]


def test_a_tenant_of_somebody_else_is_forbidden_and_nothing_reaches_it(acme, connection, soon):
    """Row 10: a tenant the sign-in does not open is answered 403."""
    rival = acme.world.add_organisation("Rival LLC")
    stolen = reread(connection)
    stolen.company = rival.id
    with Xero(stolen) as xero, pytest.raises(NotAuthorized):
        xero.post([acme.entry(1)], soon)

    assert rival.bank_transactions == acme.organisation.bank_transactions == {}
