import logging
import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors import sign_in
from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Connection, Credential
from connectors.xero import auth
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import everywhere

from .conftest import change, linked, reread

pytestmark = pytest.mark.database

TOKEN = "connect/token"


def stored(connection) -> Credential:
    with everywhere():
        return Credential.objects.get(connections=connection.pk)


def alter(connection, **columns) -> None:
    with everywhere():
        Credential.objects.filter(connections=connection.pk).update(**columns)


def expire(connection) -> None:
    alter(connection, expires_at=clock.now() - timedelta(minutes=1))


def credentials() -> int:
    with everywhere():
        return Credential.objects.count()


def walk_to_xero_and_back(sign_in: auth.SignIn) -> dict[str, str]:
    answer = httpx.get(sign_in.url, follow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture
def unlinked(acme, db):
    connection = linked(acme)
    with everywhere():
        Credential.objects.all().delete()
    return reread(connection)


# --- consent


def test_a_person_goes_to_xero_and_comes_back_connected(acme, unlinked):
    acme.switch(consent="allow")
    sign_in = auth.begin()

    code = auth.code_of(walk_to_xero_and_back(sign_in), sign_in.state)
    auth.connect(unlinked, User.objects.get(), code, sign_in.verifier)

    with Xero(reread(unlinked)) as xero:
        assert [company.name for company in xero.companies()] == ["Acme LLC"]
    assert stored(unlinked).owner == User.objects.get()


@pytest.mark.parametrize("answer", [{"state": "somebody else’s", "code": "x"}, {"code": "x"}, {}])
def test_an_answer_to_another_sign_in_is_not_taken(acme, answer):
    for state in (auth.begin().state, ""):
        with pytest.raises(NotAuthorized, match="not begun here"):
            auth.code_of(answer, state)


def test_who_does_not_allow_access_is_told_so(acme):
    acme.switch(consent="cancel")
    sign_in = auth.begin()

    with pytest.raises(NotAuthorized, match="not allowed in Xero"):
        auth.code_of(walk_to_xero_and_back(sign_in), sign_in.state)


def test_a_scope_this_app_may_not_have_is_the_operators_matter(acme, settings, caplog):
    settings.XERO_SCOPES = "offline_access accounting.transactions"
    sign_in = auth.begin()

    with pytest.raises(NotAuthorized, match="whoever runs PEX Sync"):
        auth.code_of(walk_to_xero_and_back(sign_in), sign_in.state)
    assert caplog.records[0].levelno == logging.ERROR


def test_a_code_is_good_once(acme, unlinked):
    acme.switch(consent="allow")
    sign_in = auth.begin()
    code = auth.code_of(walk_to_xero_and_back(sign_in), sign_in.state)
    auth.connect(unlinked, User.objects.get(), code, sign_in.verifier)

    with pytest.raises(NotAuthorized, match="used up"):
        auth.connect(unlinked, User.objects.get(), code, sign_in.verifier)


def test_connecting_again_replaces_the_secret(acme, connection):
    acme.switch(consent="allow")
    sign_in = auth.begin()
    code = auth.code_of(walk_to_xero_and_back(sign_in), sign_in.state)

    auth.connect(connection, User.objects.get(), code, sign_in.verifier)

    assert credentials() == 1


# --- tokens


def test_a_fresh_token_is_used_as_it_is(acme, xero):
    xero.closed_until()

    assert acme.calls(path=TOKEN) == 0


def test_an_old_token_is_renewed_before_it_is_used(acme, connection, xero):
    before = stored(connection).secret()
    expire(connection)

    xero.closed_until()

    after = stored(connection).secret()
    assert after["access_token"] != before["access_token"]
    assert after["previous_refresh_token"] == before["refresh_token"]
    assert [call.status for call in acme.desk.calls.calls] == [200, 200]


def test_a_token_that_ends_in_the_middle_of_a_run_is_renewed_and_the_write_repeated_once(acme, xero, soon):
    xero.prepare([acme.entry(1)])
    acme.desk.clock.advance(timedelta(minutes=31))

    xero.post([acme.entry(1)], soon)

    assert len(acme.organisation.live()) == 1
    assert acme.calls(path=TOKEN) == 1


@pytest.mark.django_db(transaction=True)
def test_parallel_calls_renew_once(acme, xero):
    xero.closed_until()
    acme.desk.clock.advance(timedelta(minutes=31))
    threads = [threading.Thread(target=xero.client.accounts) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert acme.calls(path=TOKEN) == 1
    assert acme.calls(path="Accounts") >= 5
    assert {call.status for call in acme.desk.calls.matching("xero-api", path="Accounts")[-4:]} == {200}


def test_what_another_worker_renewed_is_used(acme, xero, again):
    xero.closed_until()
    other = again()
    other.closed_until()
    acme.desk.clock.advance(timedelta(minutes=31))

    xero.options("account")
    other.options("account")

    assert acme.calls(path=TOKEN) == 1


def test_while_another_worker_renews_this_one_waits_a_little(acme, connection, xero, monkeypatch):
    monkeypatch.setattr(sign_in, "LOSER_WAITS", 0.3)
    expire(connection)
    alter(connection, claim="another worker", claimed_at=clock.now())

    with pytest.raises(RetryLater, match="being renewed"):
        xero.closed_until()
    assert acme.calls() == 0


def test_a_worker_that_died_while_renewing_does_not_block_for_ever(connection, xero):
    expire(connection)
    alter(connection, claim="a dead worker", claimed_at=clock.now() - timedelta(minutes=2))

    xero.closed_until()

    assert stored(connection).claim == ""


@pytest.mark.parametrize("fault", ["drop_after", "truncate", "status_after"])
def test_a_renewal_whose_answer_got_lost_is_asked_for_again(acme, connection, xero, fault):
    expire(connection)
    acme.desk.faults.add(fault, system="xero-identity", path=TOKEN)

    xero.closed_until()

    assert stored(connection).state == Credential.State.ALIVE
    assert acme.calls(path=TOKEN) == 2


def test_a_renewal_lost_altogether_is_made_up_for_by_the_next_run(acme, connection, xero, again):
    expire(connection)
    acme.desk.faults.add("drop_after", system="xero-identity", path=TOKEN, times=2)
    with pytest.raises(RetryLater):
        xero.closed_until()

    again().closed_until()

    assert stored(connection).state == Credential.State.ALIVE


def test_the_token_before_the_last_helps_within_its_grace(acme, connection, xero):
    secret = stored(connection).secret()
    credential = stored(connection)
    lost = secret | {"refresh_token": "never arrived", "previous_refresh_token": secret["refresh_token"]}
    alter(connection, sealed=credential._seal(lost), expires_at=clock.now())

    xero.closed_until()

    assert acme.calls(path=TOKEN) == 2


@pytest.mark.parametrize("wording", ["", "The refresh token is expired"])
def test_a_dead_refresh_token_ends_the_sign_in_for_good(acme, connection, xero, again, wording):
    acme.switch(invalid_grant_description=wording)
    acme.world.revoke("pexsync-demo-xero", acme.person.id)
    expire(connection)

    for opened in (xero, again()):
        with pytest.raises(NotAuthorized, match="Connect to Xero again"):
            opened.closed_until()

    assert stored(connection).state == Credential.State.DEAD
    assert acme.calls(path=TOKEN) == 1


def test_sixty_days_unused_are_the_end_without_asking(acme, connection, xero):
    expire(connection)
    alter(connection, renewed_at=clock.now() - timedelta(days=61))

    with pytest.raises(NotAuthorized, match="60 days"):
        xero.closed_until()
    assert acme.calls() == 0


def test_a_wrong_app_secret_is_the_operators_matter_and_nobody_is_asked_to_connect(
    acme, connection, xero, settings, caplog
):
    settings.XERO_CLIENT_SECRET = "wrong"
    expire(connection)

    with pytest.raises(RetryLater, match="you need not connect again"):
        xero.closed_until()

    assert stored(connection).state == Credential.State.ALIVE
    assert stored(connection).claim == ""
    assert [record.levelno for record in caplog.records if record.name == auth.__name__] == [logging.ERROR]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_at_the_sign_in_is_waited_out(acme, connection, xero, again, status):
    expire(connection)
    acme.desk.faults.add("status", system="xero-identity", status=status, times=2, headers={"Retry-After": "3"})

    with pytest.raises(RetryLater):
        xero.closed_until()
    acme.desk.faults.clear()

    again().closed_until()


def test_a_secret_that_cannot_be_opened_ends_the_sign_in(connection, xero):
    alter(connection, sealed="1.unknown.AAAA")

    with pytest.raises(NotAuthorized):
        xero.closed_until()


def test_without_a_sign_in_nothing_is_asked(acme, unlinked):
    with Xero(unlinked) as xero, pytest.raises(NotAuthorized, match="CONNECT"):
        xero.closed_until()
    assert acme.calls() == 0


def test_a_credential_lent_by_another_business_of_the_same_person_works(acme, connection):
    other = linked(acme, "Acme West")
    other = change(other, credential=connection.credential)
    expire(connection)

    with Xero(other) as xero:
        xero.closed_until()

    assert acme.calls(path=TOKEN) == 1


# --- leaving


def test_disconnecting_ends_the_access_on_both_sides(acme, connection, xero):
    xero.disconnect()

    connection = reread(connection)
    assert (connection.credential, connection.state) == (None, Connection.State.INSTALLED)
    assert credentials() == 0
    assert acme.world.connections == {}
    assert acme.calls("POST", "revocation") == 1


def test_settings_and_company_are_kept_for_the_next_time(acme, connection, xero):
    xero.disconnect()

    connection = reread(connection)
    assert connection.company == acme.organisation.id
    assert connection.settings["pex_account"] == acme.bank.id


def test_disconnecting_one_of_two_businesses_leaves_the_other_its_access(acme, connection, xero):
    other = linked(acme, "Acme West")
    other = change(other, credential=connection.credential)

    xero.disconnect()

    with Xero(other) as left:
        assert left.options("account")
    assert acme.calls("POST", "revocation") == 0


def test_other_organisations_of_the_same_person_are_not_cut_off(acme, connection, xero):
    second = acme.world.add_organisation("Acme Farms")
    acme.world.grant(acme.person, [second])

    xero.disconnect()

    assert [one.tenant_id for one in acme.world.connections.values()] == [second.id]
    assert acme.calls("POST", "revocation") == 0


def test_what_was_disconnected_in_xero_already_is_forgotten_here(acme, connection, xero):
    acme.world.revoke("pexsync-demo-xero", acme.person.id)

    xero.disconnect()

    assert credentials() == 0


def test_a_silent_xero_keeps_the_connection_until_it_answers(acme, connection, xero):
    acme.desk.faults.add("drop_before", method="DELETE")

    with pytest.raises(RetryLater, match="DISCONNECT once more"):
        xero.disconnect()
    assert credentials() == 1

    xero.disconnect()
    assert credentials() == 0
