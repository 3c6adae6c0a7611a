"""When people see “Session Failure”: each condition through the real client, and what it says."""

from datetime import timedelta

import httpx
import pytest

from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Credential
from pexsync import clock
from pexsync.accounts.tenancy import everywhere

from .conftest import linked, reread

pytestmark = pytest.mark.database

JSON = "application/json"
FORBIDDEN = '{"Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"}'
CLIENT = "pexsync-demo-xero"


def alter(connection, **columns):
    with everywhere():
        Credential.objects.filter(connections=connection.pk).update(**columns)


def expire(connection, **columns):
    alter(connection, expires_at=clock.now() - timedelta(minutes=1), **columns)


def api(acme, status, body="", content_type=JSON, times=None, **fault):
    acme.desk.faults.add(
        "status", system="xero-api", status=status, body=body, content_type=content_type, times=times, **fault
    )


def identity(acme, status, error):
    body = f'{{"error": "{error}"}}'
    acme.desk.faults.add("status", system="xero-identity", status=status, body=body, content_type=JSON, times=None)


# --- shown


def refresh_token_dead(acme, connection, settings):
    acme.world.revoke(CLIENT, acme.person.id)
    expire(connection, renewed_at=clock.now() - timedelta(hours=1))


def token_refused_after_a_renewal(acme, connection, settings):
    api(acme, 401, '{"Detail": "AuthenticationUnsuccessful"}')


def scope_missing(acme, connection, settings):
    headers = {"WWW-Authenticate": 'Bearer error="insufficent_scope"'}
    api(acme, 401, '{"Detail": "AuthorizationUnsuccessful"}', headers=headers)


def scope_missing_spelt_right(acme, connection, settings):
    api(acme, 401, headers={"WWW-Authenticate": "error=insufficient_scope"})


def tenant_gone(acme, connection, settings):
    acme.world.disconnect(acme.organisation)


def sixty_days_unused(acme, connection, settings):
    expire(connection, renewed_at=clock.now() - timedelta(days=61))


def undecryptable(acme, connection, settings):
    alter(connection, sealed="1.unknown.AAAA")


def forgotten(acme, connection, settings):
    with everywhere():
        Credential.objects.all().delete()


SHOWN = [
    (refresh_token_dead, "sign-in to Xero has ended", "", None),
    (token_refused_after_a_renewal, "does not accept our sign-in", "", None),
    (scope_missing, "permission", "scope", 0),
    (scope_missing_spelt_right, "permission", "scope", 0),
    (tenant_gone, "not connected to this app any more", "", None),
    (sixty_days_unused, "60 days", "", 0),
    (undecryptable, "cannot be read", "", 0),
    (forgotten, "CONNECT", "", 0),
]


@pytest.mark.parametrize(("condition", "says", "permission", "renewals"), SHOWN)
def test_the_sign_in_has_failed(acme, connection, again, settings, condition, says, permission, renewals):
    condition(acme, connection, settings)

    with pytest.raises(NotAuthorized, match=says) as caught:
        again().closed_until()

    assert caught.value.permission == permission
    if renewals is not None:
        assert acme.calls(path="connect/token") == renewals


@pytest.mark.parametrize("condition", [sixty_days_unused, undecryptable, forgotten])
def test_what_we_know_ourselves_is_not_asked(acme, connection, again, settings, condition):
    condition(acme, connection, settings)

    with pytest.raises(NotAuthorized):
        again().closed_until()
    assert acme.calls() == 0


# --- not shown


def nobody_there(acme, connection, settings):
    settings.XERO_API_URL = "http://localhost:9"


def name_unknown(acme, connection, settings):
    settings.XERO_API_URL = "http://nowhere.invalid"


def tls_broken(acme, connection, settings):
    settings.XERO_API_URL = settings.XERO_API_URL.replace("http:", "https:")


def tls_too_old(acme, connection, settings):
    api(acme, 403, "<html>Access Denied</html>", "text/html")


def too_slow(acme, connection, settings):
    acme.desk.faults.add("drop_before", system="xero-api", times=None)


def offline(acme, connection, settings):
    acme.organisation.offline = True


def server_error(acme, connection, settings):
    api(acme, 500, "<html>oops</html>", "text/html")


def too_many_calls(acme, connection, settings):
    api(acme, 429, headers={"X-Rate-Limit-Problem": "day", "Retry-After": "3600"})


def tenant_there_but_closed(acme, connection, settings):
    api(acme, 403, FORBIDDEN, path="Organisation")


def sign_in_wants_another_app(acme, connection, settings):
    settings.XERO_CLIENT_SECRET = "wrong"
    expire(connection)


def sign_in_forbids_this_app(acme, connection, settings):
    identity(acme, 400, "unauthorized_client")
    expire(connection)


def sign_in_knows_no_such_scope(acme, connection, settings):
    identity(acme, 400, "invalid_scope")
    expire(connection)


def sign_in_too_busy(acme, connection, settings):
    identity(acme, 429, "")
    expire(connection)


def sign_in_down(acme, connection, settings):
    identity(acme, 503, "")
    expire(connection)


def sign_in_out_of_reach(acme, connection, settings):
    settings.XERO_IDENTITY_URL = "http://localhost:9"
    expire(connection)


def bad_request(number):
    def condition(acme, connection, settings):
        api(acme, 400, f'{{"ErrorNumber": {number}, "Message": "No."}}')

    condition.__name__ = f"bad_request_{number}"
    return condition


NOT_SHOWN = [
    nobody_there,
    name_unknown,
    tls_broken,
    tls_too_old,
    too_slow,
    offline,
    server_error,
    too_many_calls,
    tenant_there_but_closed,
    sign_in_wants_another_app,
    sign_in_forbids_this_app,
    sign_in_knows_no_such_scope,
    sign_in_too_busy,
    sign_in_down,
    sign_in_out_of_reach,
    *(bad_request(number) for number in (0, 10, 14, 16, 17)),
]


@pytest.mark.parametrize("condition", NOT_SHOWN)
def test_the_sign_in_has_not_failed_and_it_is_tried_again(acme, connection, again, settings, condition):
    condition(acme, connection, settings)
    opened = again()

    for ask in (opened.closed_until, opened.companies):
        if ask == opened.companies and condition in (offline, tenant_there_but_closed):
            continue  # the list of connections is not part of the organisation
        with pytest.raises(RetryLater) as caught:
            ask()
        assert caught.value.says.endswith((".", "…"))

    with everywhere():
        assert Credential.objects.get(connections=connection.pk).state == Credential.State.ALIVE


def test_a_tls_that_is_too_old_is_the_operators_matter(acme, connection, again, settings, caplog):
    tls_too_old(acme, connection, settings)

    with pytest.raises(RetryLater):
        again().closed_until()

    assert "ERROR" in {record.levelname for record in caplog.records if record.name == "connectors.xero.client"}


# --- DISCONNECT


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, ""), (401, ""), (403, FORBIDDEN), (403, '{"Title": "Forbidden", "Detail": "AuthorizationUnsuccessful"}')],
)
def test_leaving_what_is_gone_already_is_done(acme, connection, xero, status, body):
    api(acme, status, body, method="DELETE")

    xero.disconnect()

    with everywhere():
        assert Credential.objects.count() == 0


def test_the_last_business_of_an_organisation_ends_the_access_and_the_one_before_it_does_not(acme, connection, xero):
    other = linked(acme, "Acme West")  # the same person signed in a second time, to the same organisation

    xero.disconnect()
    left = len(acme.world.connections)
    with everywhere():
        kept = Credential.objects.count()

    assert (left, kept, acme.calls("DELETE"), acme.calls("POST", "revocation")) == (1, 1, 0, 0)
    with type(xero)(other) as last:
        last.disconnect()
    assert acme.world.connections == {}
    assert acme.calls("POST", "revocation") == 1


def test_the_person_of_another_business_keeps_the_access_to_the_organisation_they_share(acme, connection, xero, soon):
    bob = acme.world.add_user("Bob Books", "bob@acme.example", [acme.organisation])
    other = linked(acme, "Acme West", tokens=acme.world.grant(bob, [acme.organisation]))

    xero.disconnect()

    with type(xero)(reread(other)) as left:
        assert left.options("account")
    assert acme.calls("POST", "revocation") == 0


def test_one_connection_is_deleted_by_its_own_id(acme, connection, xero):
    (row,) = httpx.get(
        f"{acme.desk.url}/xero-api/connections", headers={"Authorization": f"Bearer {xero.client.access.token()}"}
    ).json()

    xero.disconnect()

    (call,) = acme.desk.calls.matching("xero-api", "DELETE")
    assert call.path.endswith(row["id"])
    assert row["id"] != acme.organisation.id
