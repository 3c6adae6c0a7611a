"""When people see “Session Failure”: each condition through the real client, and what it says."""

from datetime import timedelta

import pytest

from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Credential
from pexsync.accounts.tenancy import everywhere

from .conftest import alter, expire

pytestmark = pytest.mark.database

DENIED = '{"error": {"code": "Authorization_RequestDenied", "message": "You may not."}}'


def api(acme, status, body="", content_type="application/json", times=None, **fault):
    acme.desk.faults.add(
        "status", system="bc-api", status=status, body=body, content_type=content_type, times=times, **fault
    )


def entra(acme, status, body=""):
    acme.desk.faults.add(
        "status", system="entra", status=status, body=body, content_type="application/json", times=None
    )


def refuses(error, suberror=""):
    def condition(acme, connection, settings):
        acme.switch(token_error=error, token_suberror=suberror)
        expire(connection)

    condition.__name__ = f"entra_says_{error}{suberror and '_'}{suberror}"
    return condition


# --- shown


def password_changed(acme, connection, settings):
    acme.world.revoke(acme.person)
    expire(connection)


def ninety_days_unused(acme, connection, settings):
    acme.desk.clock.advance(timedelta(days=91))
    expire(connection)


def consent_withdrawn(acme, connection, settings):
    acme.world.withdraw(acme.person)
    expire(connection)


def business_central_given_up(acme, connection, settings):
    acme.tenant.has_service = False
    expire(connection)


def token_refused_after_a_renewal(acme, connection, settings):
    api(acme, 401)


def user_removed_from_the_environment(acme, connection, settings):
    acme.person.known = False


def permissions_taken(acme, connection, settings):
    acme.person.rights = "none"


def permission_named_by_the_code_alone(acme, connection, settings):
    api(acme, 400, DENIED)


def undecryptable(acme, connection, settings):
    alter(connection, sealed="1.unknown.AAAA")


def forgotten(acme, connection, settings):
    with everywhere():
        Credential.objects.all().delete()


SHOWN = [
    (password_changed, "sign-in to Dynamics 365 has ended", 1),
    (ninety_days_unused, "90 days", 1),
    (consent_withdrawn, "An administrator must allow PEX Sync again", 1),
    (business_central_given_up, "has no Business Central", 1),
    (refuses("interaction_required"), "prove once more", 1),
    (refuses("invalid_grant", "consent_required"), "An administrator must allow", 1),
    (token_refused_after_a_renewal, "no user there", 2),
    (user_removed_from_the_environment, "no user there", 2),
    (permissions_taken, "needs permissions in Business Central", 0),
    (permission_named_by_the_code_alone, "needs permissions in Business Central", 0),
    (undecryptable, "cannot be read", 0),
    (forgotten, "CONNECT", 0),
]


@pytest.mark.parametrize(("condition", "says", "renewals"), SHOWN)
def test_the_sign_in_has_failed(acme, connection, again, settings, condition, says, renewals):
    condition(acme, connection, settings)

    with pytest.raises(NotAuthorized, match=says) as caught:
        again().rows("journals")

    assert bool(caught.value.permission) is condition.__name__.startswith("permission")
    assert acme.renewals() == renewals


@pytest.mark.parametrize("condition", [undecryptable, forgotten])
def test_what_we_know_ourselves_is_not_asked(acme, connection, again, settings, condition):
    condition(acme, connection, settings)

    with pytest.raises(NotAuthorized):
        again().rows("journals")
    assert acme.desk.calls.calls == []


@pytest.mark.parametrize("condition", [user_removed_from_the_environment, permissions_taken])
def test_what_business_central_denies_does_not_end_the_sign_in(acme, connection, again, settings, condition):
    condition(acme, connection, settings)
    with pytest.raises(NotAuthorized):
        again().rows("journals")

    acme.person.known, acme.person.rights = True, "all"

    assert again().rows("journals")


# --- not shown


def nobody_there(acme, connection, settings):
    settings.BC_API_URL = "http://localhost:9"


def name_unknown(acme, connection, settings):
    settings.BC_API_URL = "http://nowhere.invalid"


def tls_broken(acme, connection, settings):
    settings.BC_API_URL = settings.BC_API_URL.replace("http:", "https:")


def a_page_that_forbids(acme, connection, settings):
    api(acme, 403, "<html>Access Denied</html>", "text/html")


def too_slow(acme, connection, settings):
    acme.desk.faults.add("drop_before", system="bc-api", times=None)


def maintenance(acme, connection, settings):
    api(acme, 503, '{"error": {"code": "Internal_TenantUnavailable", "message": "Later."}}')


def server_error(acme, connection, settings):
    api(acme, 500, "<html>oops</html>", "text/html")


def operation_took_too_long(acme, connection, settings):
    api(acme, 408)


def too_many_calls(acme, connection, settings):
    api(acme, 429, headers={"Retry-After": "3600"})


def sign_in_wants_another_secret(acme, connection, settings):
    settings.ENTRA_CLIENT_SECRET = "wrong"
    expire(connection)


def sign_in_too_busy(acme, connection, settings):
    entra(acme, 429)
    expire(connection)


def sign_in_down(acme, connection, settings):
    entra(acme, 503)
    expire(connection)


def sign_in_in_words_nobody_reads(acme, connection, settings):
    entra(acme, 400, "<html>bad request</html>")
    expire(connection)


def sign_in_out_of_reach(acme, connection, settings):
    settings.ENTRA_URL = "http://localhost:9"
    expire(connection)


NOT_SHOWN = [
    nobody_there,
    name_unknown,
    tls_broken,
    a_page_that_forbids,
    too_slow,
    maintenance,
    server_error,
    operation_took_too_long,
    too_many_calls,
    sign_in_wants_another_secret,
    refuses("unauthorized_client"),
    refuses("invalid_scope"),
    refuses("temporarily_unavailable"),
    sign_in_too_busy,
    sign_in_down,
    sign_in_in_words_nobody_reads,
    sign_in_out_of_reach,
]


@pytest.mark.parametrize("condition", NOT_SHOWN)
def test_the_sign_in_has_not_failed_and_it_is_tried_again(acme, connection, again, settings, condition):
    condition(acme, connection, settings)
    client = again()

    for ask in (lambda: client.rows("journals"), client.environments):
        with pytest.raises(RetryLater) as caught:
            ask()
        assert caught.value.says.endswith(".")

    with everywhere():
        assert Credential.objects.get(connections=connection.pk).state == Credential.State.ALIVE


def test_what_the_operator_mends_goes_on_without_a_new_sign_in(acme, connection, again):
    acme.switch(token_error="unauthorized_client")
    expire(connection)
    with pytest.raises(RetryLater, match="Whoever runs it"):
        again().rows("journals")

    acme.switch(token_error="")

    assert again().rows("journals")
