import json
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors import sign_in
from connectors.dynamics365 import auth
from connectors.dynamics365.client import Client
from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Connection, Credential
from pexsync import clock
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import everywhere

from .conftest import alter, change, expire, linked, reread, stored

pytestmark = pytest.mark.database


def credentials() -> int:
    with everywhere():
        return Credential.objects.count()


def walk_to_microsoft_and_back(way: auth.SignIn) -> dict[str, str]:
    answer = httpx.get(way.url, follow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture
def unlinked(acme, db):
    connection = linked(acme)
    with everywhere():
        Credential.objects.all().delete()
    return reread(connection)


@pytest.fixture
def walk(acme, unlinked) -> Callable[..., Credential]:
    """Goes the whole way: consent, code, tokens."""

    def go(connection: Connection = unlinked, **changes: str) -> Credential:
        acme.switch(consent="allow")
        way = auth.begin()
        code = auth.code_of(walk_to_microsoft_and_back(way), way.state)
        return auth.connect(connection, User.objects.get(), code, changes.get("verifier", way.verifier))

    return go


# --- consent


def test_a_person_goes_to_microsoft_and_comes_back_connected(acme, unlinked, walk):
    walk()

    connection = reread(unlinked)
    assert auth.tenant_of(connection) == acme.tenant.id
    assert auth.user_of(connection) == f"{acme.person.id}.{acme.tenant.id}"
    assert stored(connection).owner == User.objects.get()
    with closing(Client(connection)) as client:
        assert [row["displayName"] for row in client.companies("Production")] == ["Acme LLC"]
    assert acme.renewals() == 1  # the code's; what it brought is good


def test_the_person_is_sent_to_choose_an_account_and_answers_in_the_address(acme):
    asked = {name: values[0] for name, values in parse_qs(urlsplit(auth.begin().url).query).items()}

    assert auth.begin().url.startswith(f"{acme.desk.url}/entra/organizations/oauth2/v2.0/authorize?")
    assert asked["redirect_uri"] == "http://testserver/dynamics365/callback"
    assert asked["prompt"] == "select_account"
    assert asked["code_challenge_method"] == "S256"
    assert "https://api.businesscentral.dynamics.com/.default" in asked["scope"].split()
    assert "response_mode" not in asked


def test_beginning_calls_nobody_since_its_page_holds_a_transaction(acme):
    auth.begin()

    assert acme.desk.calls.calls == []


@pytest.mark.parametrize("answer", [{"state": "somebody else’s", "code": "x"}, {"code": "x"}, {}])
def test_an_answer_to_another_sign_in_is_not_taken(acme, answer):
    for state in (auth.begin().state, ""):
        with pytest.raises(NotAuthorized, match="not begun here"):
            auth.code_of(answer, state)


def test_who_does_not_allow_access_is_told_so(acme):
    acme.switch(consent="cancel")
    way = auth.begin()

    with pytest.raises(NotAuthorized, match="not allowed at Microsoft"):
        auth.code_of(walk_to_microsoft_and_back(way), way.state)


def test_who_needs_an_administrator_is_given_the_address_for_them(acme):
    acme.switch(consent="admin")
    way = auth.begin()

    with pytest.raises(NotAuthorized, match="An administrator of your organization") as caught:
        auth.code_of(walk_to_microsoft_and_back(way), way.state)

    page = httpx.get(caught.value.says.split()[-1])
    assert page.status_code == 200


def test_an_administrator_who_allowed_it_for_all_is_told_what_to_do_next(acme):
    boss = acme.world.add_user("Bo Boss", "bo@acme.example", acme.tenant, administrator=True)
    form = {"user": boss.id, "decision": "allow"}
    headers = {"Origin": acme.desk.url}

    answer = httpx.post(auth.admin_consent_url(), data=form, headers=headers)
    back = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}

    assert acme.tenant.admin_consent
    with pytest.raises(NotAuthorized, match="Press CONNECT to sign in"):
        auth.code_of(back, "")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("invalid_resource", "has no Business Central"),
        ("temporarily_unavailable", "CONNECT once more"),
        ("login_required", "CONNECT once more"),
    ],
)
def test_what_the_person_can_mend_is_not_the_operators_matter(acme, caplog, error, says):
    way = auth.begin()

    with pytest.raises(NotAuthorized, match=says):
        auth.code_of({"state": way.state, "error": error}, way.state)
    assert caplog.records == []


def test_what_nobody_expects_is_the_operators_matter(acme, caplog):
    way = auth.begin()
    answer = {"state": way.state, "error": "unsupported_response_type", "error_description": "AADSTS700054: no."}

    with pytest.raises(NotAuthorized, match="whoever runs PEX Sync"):
        auth.code_of(answer, way.state)

    [record] = caplog.records
    assert (record.levelno, record.error, record.number) == (
        logging.ERROR,
        "unsupported_response_type",
        "AADSTS700054",
    )


def test_a_code_is_good_once(acme, unlinked, walk):
    acme.switch(consent="allow")
    way = auth.begin()
    code = auth.code_of(walk_to_microsoft_and_back(way), way.state)
    auth.connect(unlinked, User.objects.get(), code, way.verifier)

    with pytest.raises(NotAuthorized, match="used up"):
        auth.connect(unlinked, User.objects.get(), code, way.verifier)


def test_a_code_that_is_too_old_is_said_to_be(acme, unlinked):
    acme.switch(consent="allow")
    way = auth.begin()
    code = auth.code_of(walk_to_microsoft_and_back(way), way.state)
    acme.desk.clock.advance(timedelta(minutes=11))

    with pytest.raises(NotAuthorized, match="too old"):
        auth.connect(unlinked, User.objects.get(), code, way.verifier)
    assert credentials() == 0


def test_a_sign_in_answered_for_another_is_refused(acme, walk):
    """The ID token names the sign-in it was made for; an answer somebody slipped in names another."""
    ours, theirs = auth.begin(), auth.begin()
    mixed = json.loads(ours.verifier) | {"nonce": json.loads(theirs.verifier)["nonce"]}
    acme.switch(consent="allow")
    code = auth.code_of(walk_to_microsoft_and_back(ours), ours.state)

    with everywhere():
        connection = Connection.objects.get()
    with pytest.raises(NotAuthorized, match="not begun here"):
        auth.connect(connection, User.objects.get(), code, json.dumps(mixed))
    assert credentials() == 0


@pytest.mark.parametrize("verifier", ["", "{}", "not JSON"])
def test_a_sign_in_whose_beginning_is_lost_is_refused(walk, verifier):
    with pytest.raises(NotAuthorized, match="not begun here"):
        walk(verifier=verifier)
    assert credentials() == 0


def test_a_sign_in_that_does_not_say_of_which_organization_is_refused(acme, unlinked, walk):
    acme.forge('{"access_token": "a", "expires_in": 3600, "scope": "x"}', system="entra", path="token")

    with pytest.raises(NotAuthorized, match="which organization"):
        walk()
    assert credentials() == 0


def test_a_sign_in_of_no_organization_is_refused(acme, unlinked, walk):
    acme.tenant.id = ""  # the ID token has no `tid` worth the name

    with pytest.raises(NotAuthorized, match="which organization"):
        walk()
    assert credentials() == 0


def test_a_tenant_without_business_central_is_said_to_have_none(acme, walk):
    acme.tenant.has_service = False

    with pytest.raises(NotAuthorized, match="has no Business Central"):
        walk()


def test_a_sign_in_microsoft_does_not_finish_can_be_made_again(acme, unlinked, walk):
    acme.desk.faults.add("status", system="entra", status=503, path="token")

    with pytest.raises(RetryLater, match="CONNECT once more"):
        walk()
    assert acme.renewals() == 1  # a code is good once: it is not sent again
    walk()
    assert credentials() == 1


def test_connecting_again_replaces_the_secret(connection, walk):
    walk(connection)

    assert credentials() == 1


# --- tokens


def companies(client: Client) -> list[str]:
    return [row["name"] for row in client.companies("Production")]


def test_a_fresh_token_is_used_as_it_is(acme, client):
    companies(client)

    assert acme.renewals() == 0


def test_an_old_token_is_renewed_at_the_tenants_own_address_and_the_rotated_one_is_kept(acme, connection, client):
    before = stored(connection).secret()
    expire(connection)

    companies(client)

    after = stored(connection).secret()
    assert after["access_token"] != before["access_token"]
    assert refresh_tokens(after) != refresh_tokens(before)
    assert (after["tenant"], after["user"], after["name"]) == (before["tenant"], before["user"], before["name"])
    [call] = acme.desk.calls.matching("entra")
    assert call.path == f"/{acme.tenant.id}/oauth2/v2.0/token"


def refresh_tokens(secret) -> list[str]:
    return [each["secret"] for each in json.loads(secret["cache"])["RefreshToken"].values()]


def test_the_rotated_token_is_the_one_asked_with_next(acme, connection, again):
    expire(connection)
    companies(again())
    for token in acme.world.refresh:
        acme.world.refresh[token].revoked = token not in refresh_tokens(stored(connection).secret())
    expire(connection)

    companies(again())

    assert acme.renewals() == 2
    assert len(refresh_tokens(stored(connection).secret())) == 1


@pytest.mark.parametrize("echo", ["default", "names"])
def test_a_token_lasts_its_hour_whatever_scope_microsoft_echoes(acme, connection, again, echo):
    acme.switch(scope_echo=echo)
    expire(connection)

    for _ in range(3):
        companies(again())

    assert acme.renewals() == 1


def test_a_person_microsoft_names_by_subject_only_is_renewed_too(acme, unlinked, walk):
    acme.switch(client_info=False)
    walk()
    acme.desk.clock.advance(timedelta(minutes=61))

    with closing(Client(reread(unlinked))) as client:
        assert companies(client) == ["Acme LLC"]


def test_a_token_that_ends_in_the_middle_of_a_run_is_renewed_and_the_write_repeated_once(acme, client):
    client.rows("journals")
    acme.desk.clock.advance(timedelta(minutes=61))

    client.create(f"journals({acme.journal.id})/journalLines", acme.line())

    assert len(acme.company.lines()) == 1
    assert acme.renewals() == 1


@pytest.mark.django_db(transaction=True)
def test_parallel_calls_renew_once(acme, client):
    companies(client)
    acme.desk.clock.advance(timedelta(minutes=61))
    threads = [threading.Thread(target=companies, args=(client,)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert acme.renewals() == 1
    assert {call.status for call in acme.desk.calls.matching("bc-api")[-4:]} == {200}


def test_while_another_worker_renews_this_one_waits_a_little(acme, connection, client, monkeypatch):
    monkeypatch.setattr(sign_in, "LOSER_WAITS", 0.3)
    expire(connection, claim="another worker", claimed_at=clock.now())

    with pytest.raises(RetryLater, match="sign-in to Dynamics 365 is being renewed"):
        client.rows("journals")
    assert acme.desk.calls.calls == []


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "truncate", "status_after"])
def test_a_renewal_whose_answer_got_lost_is_asked_for_again(acme, connection, client, fault):
    expire(connection)
    acme.desk.faults.add(fault, system="entra", path="token")

    client.rows("journals")

    assert stored(connection).state == Credential.State.ALIVE
    assert acme.renewals() == 2


def test_a_renewal_lost_altogether_is_made_up_for_by_the_next_run(acme, connection, client, again):
    expire(connection)
    acme.desk.faults.add("drop_after", system="entra", times=2)
    with pytest.raises(RetryLater, match="sign-in does not answer"):
        client.rows("journals")

    again().rows("journals")

    assert stored(connection).claim == ""


def test_a_dead_sign_in_ends_for_good(acme, connection, client, again):
    acme.world.revoke(acme.person)
    expire(connection)

    for opened in (client, again()):
        with pytest.raises(NotAuthorized, match="Connect to Dynamics 365 again"):
            opened.rows("journals")

    assert stored(connection).state == Credential.State.DEAD
    assert acme.renewals() == 1


@pytest.mark.parametrize(
    ("error", "suberror", "says"),
    [
        ("invalid_grant", "", "has ended"),
        ("invalid_grant", "bad_token", "has ended"),
        ("interaction_required", "basic_action", "prove once more who they are"),
        ("login_required", "", "prove once more who they are"),
        ("consent_required", "", "An administrator must allow"),
        ("invalid_grant", "consent_required", "An administrator must allow"),
        ("invalid_resource", "", "has no Business Central"),
    ],
)
def test_what_only_the_person_can_mend_asks_them_to_connect_again(acme, connection, client, error, suberror, says):
    acme.switch(token_error=error, token_suberror=suberror)
    expire(connection)

    with pytest.raises(NotAuthorized, match=says):
        client.rows("journals")

    assert stored(connection).state == Credential.State.DEAD
    assert acme.renewals() == 1


def test_withdrawn_consent_names_the_whole_address_for_an_administrator(acme, connection, client):
    acme.world.withdraw(acme.person)
    expire(connection)

    with pytest.raises(NotAuthorized) as caught:
        client.rows("journals")

    reason = stored(connection).reason
    assert caught.value.says == reason
    assert reason.endswith(auth.admin_consent_url())


def test_an_address_too_long_to_be_kept_is_left_out(acme, connection, client, settings):
    settings.PUBLIC_URL = "https://" + "long." * 30 + "example"
    acme.world.withdraw(acme.person)
    expire(connection)

    with pytest.raises(NotAuthorized):
        client.rows("journals")

    assert stored(connection).reason == auth.NO_CONSENT


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "invalid_scope"])
def test_what_is_wrong_with_this_installation_is_the_operators_matter_and_nobody_is_asked_to_connect(
    acme, connection, client, caplog, error
):
    acme.switch(token_error=error)
    expire(connection)

    with pytest.raises(RetryLater, match="you need not connect again") as caught:
        client.rows("journals")

    assert caught.value.after == 900
    assert (stored(connection).state, stored(connection).claim) == (Credential.State.ALIVE, "")
    [record] = [each for each in caplog.records if each.name == auth.__name__]
    assert (record.levelno, record.error) == (logging.ERROR, error)
    assert record.correlation


def test_a_wrong_client_secret_is_the_operators_matter(acme, connection, client, settings):
    settings.ENTRA_CLIENT_SECRET = "wrong"
    expire(connection)

    with pytest.raises(RetryLater, match="ENTRA_CLIENT_SECRET"):
        client.rows("journals")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_at_the_sign_in_is_waited_out(acme, connection, client, again, one_clock, status):
    expire(connection)
    acme.desk.faults.add("status", system="entra", status=status, times=2, headers={"Retry-After": "3"})

    with pytest.raises(RetryLater) as caught:
        client.rows("journals")
    assert caught.value.says.startswith("Microsoft's sign-in")
    assert stored(connection).state == Credential.State.ALIVE
    acme.desk.faults.clear()

    acme.desk.clock.advance(timedelta(seconds=4))
    again().rows("journals")


def test_a_sign_in_that_says_it_is_busy_is_waited_out(acme, connection, client):
    acme.switch(token_error="temporarily_unavailable")
    expire(connection)

    with pytest.raises(RetryLater, match="sign-in does not answer"):
        client.rows("journals")
    assert stored(connection).state == Credential.State.ALIVE


def test_a_tenant_microsoft_slows_down_does_not_slow_down_another(acme, connection, client):
    rival = acme.world.add_tenant("Rival Inc")
    theirs = acme.world.add_company(acme.world.add_environment(rival), "Rival Inc")
    spy = acme.world.add_user("Rita Rival", "rita@rival.example", rival)
    other = change(linked(acme, "Rival", acme.world.sign_in(spy)), company=acme.world.place_of(theirs))
    expire(connection)
    expire(other)
    acme.desk.faults.add("status", system="entra", status=429, headers={"Retry-After": "600"})

    with pytest.raises(RetryLater) as caught:
        client.rows("journals")

    with closing(Client(other)) as opened:
        assert opened.rows("accounts") == []
    assert caught.value.after == 600


def test_a_sign_in_without_a_refresh_token_ends_with_its_hour(acme, connection, client):
    secret = stored(connection).secret()
    cache = {name: rows for name, rows in json.loads(secret["cache"]).items() if name != "RefreshToken"}
    sealed = stored(connection)._seal({**secret, "cache": json.dumps(cache)})
    expire(connection, sealed=sealed)

    with pytest.raises(NotAuthorized, match="has ended"):
        client.rows("journals")
    assert acme.renewals() == 0


def test_half_an_answer_is_none(acme, connection, client):
    expire(connection)
    acme.forge('{"token_type": "Bearer", "expires_in": 3600}', system="entra", path="token", times=2)

    with pytest.raises(RetryLater, match="sign-in does not answer"):
        client.rows("journals")
    assert stored(connection).state == Credential.State.ALIVE


def test_a_secret_that_cannot_be_opened_ends_the_sign_in(connection, client):
    alter(connection, sealed="1.unknown.AAAA")

    with pytest.raises(NotAuthorized):
        client.rows("journals")


def test_without_a_sign_in_nothing_is_asked(acme, unlinked):
    with closing(Client(unlinked)) as client:
        for ask in (lambda: client.rows("journals"), lambda: client.companies("Production")):
            with pytest.raises(NotAuthorized, match="no sign-in to Dynamics 365 yet"):
                ask()
    assert acme.desk.calls.calls == []


def test_a_credential_lent_by_another_business_of_the_same_person_works(acme, connection):
    other = change(linked(acme, "Acme West"), credential=connection.credential)
    expire(connection)

    with closing(Client(other)) as client:
        client.rows("journals")

    assert acme.renewals() == 1


# --- what nobody may read


def test_no_secret_is_ever_logged_or_shown(acme, unlinked, walk, settings, caplog, capfd):
    caplog.set_level("DEBUG")
    acme.switch(consent="allow")
    way = auth.begin()
    code = auth.code_of(walk_to_microsoft_and_back(way), way.state)
    auth.connect(unlinked, User.objects.get(), code, way.verifier)
    connection = reread(unlinked)
    first = stored(connection).secret()
    for fault in ("truncate", "status_after"):
        expire(connection)
        acme.desk.faults.add(fault, system="entra", path="token")
        with closing(Client(reread(connection))) as client:
            client.rows("journals")
    acme.world.revoke(acme.person)
    expire(connection)
    with closing(Client(reread(connection))) as client, pytest.raises(NotAuthorized) as caught:
        client.rows("journals")

    flow = json.loads(way.verifier)
    every = [
        *acme.world.refresh,
        *acme.world.access,
        first["access_token"],
        flow["code_verifier"],
        flow["nonce"],
        code,
        settings.ENTRA_CLIENT_SECRET,
    ]
    said = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    shown = f"{way!r} {client!r} {client.access!r} {connection!r} {caught.value!r} {capfd.readouterr()}"
    assert caplog.records
    assert [value for value in every if value in said] == []
    assert [value for value in every if value in shown] == []


# --- leaving


def test_leaving_forgets_the_secret_and_keeps_the_rest(acme, connection):
    sign_in.forget(connection)

    connection = reread(connection)
    assert (connection.credential, connection.state, credentials()) == (None, Connection.State.INSTALLED, 0)
    assert connection.company == acme.place
    assert acme.desk.calls.calls == []


def test_leaving_one_of_two_businesses_leaves_the_other_its_sign_in(acme, connection):
    other = change(linked(acme, "Acme West"), credential=connection.credential)

    sign_in.forget(connection)

    with closing(Client(other)) as client:
        assert client.rows("journals")
