from datetime import timedelta

import pytest

from connectors.errors import NotAuthorized, RetryLater
from connectors.records import NotSent, Posted

pytestmark = pytest.mark.database

FORBIDDEN = '{"Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"}'


def forbid(acme, times):
    acme.desk.faults.add(
        "status", path="Organisation", status=403, content_type="application/json", body=FORBIDDEN, times=times
    )


def test_every_call_names_its_organisation_and_asks_for_json(acme, xero):
    xero.closed_until()
    xero.options("account")

    calls = acme.desk.calls.matching("xero-api")
    assert {call.tenant for call in calls} == {acme.organisation.id}
    assert {call.status for call in calls} == {200}


def test_a_token_xero_no_longer_takes_after_a_renewal_is_the_end(acme, xero):
    acme.desk.faults.add("status", system="xero-api", status=401, times=None)

    with pytest.raises(NotAuthorized, match="does not accept our sign-in"):
        xero.closed_until()
    assert acme.calls(path="connect/token") == 2
    assert acme.calls(path="Organisation") == 3


def test_a_missing_permission_is_named_and_nothing_is_renewed(acme, xero):
    for token, access in list(acme.world.access.items()):
        kept = access.scopes - {"accounting.banktransactions"}
        acme.world.access[token] = type(access)(
            access.client_id, access.user_id, kept, access.auth_event_id, access.expires
        )

    with pytest.raises(NotAuthorized) as caught:
        xero.find([acme.sent(acme.entry(1))])

    assert caught.value.permission == "scope"
    assert acme.calls(path="connect/token") == 0


def test_an_organisation_disconnected_in_xero_is_the_end(acme, xero):
    acme.world.disconnect(acme.organisation)

    with pytest.raises(NotAuthorized, match="not connected to this app any more"):
        xero.closed_until()
    assert acme.calls(path="connections") == 1


def test_a_passing_403_is_tried_once_more(acme, xero):
    forbid(acme, 1)

    assert xero.closed_until() is None


def test_an_organisation_that_stays_closed_is_waited_for(acme, xero):
    forbid(acme, 2)

    with pytest.raises(RetryLater) as caught:
        xero.closed_until()
    assert caught.value.after == 900


def test_a_write_after_a_403_that_passed_is_done_once(acme, xero, soon):
    acme.desk.faults.add(
        "status", method="PUT", path="BankTransactions", status=403, content_type="application/json", body=FORBIDDEN
    )

    outcomes = xero.post([acme.entry(1)], soon)

    assert [type(outcome) for outcome in outcomes.values()] == [Posted]
    assert len(acme.organisation.live()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "body": "The organisation is offline"},
        {"kind": "status", "status": 500, "content_type": "text/html", "body": "<html>oops</html>"},
        {"kind": "status", "status": 200, "content_type": "text/html", "body": "<html>maintenance</html>"},
        {"kind": "status", "status": 200, "content_type": "application/json", "body": "{}"},
        {"kind": "status", "status": 302, "body": ""},
        {"kind": "status", "status": 404, "body": "The resource cannot be found"},
        {"kind": "truncate"},
        {"kind": "drop_before"},
    ],
)
def test_a_read_without_a_usable_answer_is_made_later(acme, xero, fault):
    acme.desk.faults.add(path="Accounts", times=None, **fault)

    with pytest.raises(RetryLater):
        xero.options("account")


def test_a_read_that_failed_once_is_repeated_at_once(acme, xero):
    acme.desk.faults.add("drop_before", path="Accounts")

    assert xero.options("account")


def test_too_many_at_once_is_waited_out_in_place_for_reads(acme, xero):
    acme.desk.faults.add("status", path="Accounts", status=429, headers={"X-Rate-Limit-Problem": "Concurrent"})

    assert xero.options("account")
    assert acme.calls(path="Accounts") == 2


@pytest.mark.parametrize(("kind", "after"), [("minute", 22), ("Day", 66975)])
def test_the_other_limits_end_the_slice_for_as_long_as_xero_says(acme, xero, kind, after):
    headers = {"X-Rate-Limit-Problem": kind, "Retry-After": str(after)}
    acme.desk.faults.add("status", path="Accounts", status=429, headers=headers)

    with pytest.raises(RetryLater) as caught:
        xero.options("account")

    assert caught.value.after == after
    assert acme.calls(path="Accounts") == 1


def test_a_failure_is_logged_with_the_id_xeros_support_asks_for(acme, xero, caplog):
    acme.desk.faults.add(
        "status", path="Organisation", status=404, times=None, headers={"Xero-Correlation-Id": "abc-123"}
    )

    with pytest.raises(RetryLater):
        xero.closed_until()

    assert [record.correlation for record in caplog.records if record.name == "connectors.xero.client"] == ["abc-123"]


def test_no_secret_is_ever_logged(acme, connection, xero, caplog, soon):
    caplog.set_level("DEBUG")
    secret = connection.credential.secret()
    acme.desk.clock.advance(timedelta(minutes=31))
    acme.desk.faults.add("status", path="Accounts", status=404)

    with pytest.raises(RetryLater):
        xero.options("account")
    xero.post([acme.entry(1)], soon)

    said = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert not any(value in said for value in (secret["access_token"], secret["refresh_token"]))


def test_a_server_that_cannot_be_reached_means_surely_not_sent(acme, xero, settings, soon):
    xero.prepare([acme.entry(1)])
    xero.closed_until()
    xero.options("account")
    settings.XERO_API_URL = "http://localhost:9"

    outcome = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert isinstance(outcome, NotSent)
    assert outcome.after == 60
