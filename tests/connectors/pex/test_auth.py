"""The sign-in that syncs: who may give it, how it is renewed, how it ends."""

import logging
import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.core.cache import cache

from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Credential
from connectors.pex import auth
from connectors.pex.auth import SignIn
from connectors.pex.client import PexClient, PexSession, Token, TokenDead
from pexsync.accounts import models, tenancy
from pexsync.accounts.permissions import CONNECTOR, Permission
from sandbox.clock import Clock
from sandbox.pex import Admin, PexWorld
from sandbox.server import Desk

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ALL = [permission.value for permission in CONNECTOR]
CALLBACK = "http://testserver/sign-in/pex/callback"


@pytest.fixture(autouse=True)
def _fresh_discovery() -> None:
    cache.clear()


@pytest.fixture
def business() -> models.Business:
    return models.Business.objects.create(pex_id=4410, name="Acme Builders")


@pytest.fixture
def person() -> models.User:
    return models.User.objects.create(username="alex.admin", name="Alex Admin")


def external(world: PexWorld, admin: Admin) -> SignIn:
    token = world.issue(admin, "pexsync-demo")
    return SignIn(Token(token.text), token.expires - auth.ZONE_MARGIN)


def consented(session: PexSession, admin: Admin) -> SignIn:
    """Walk through PEX's consent as the admin would."""
    verifier = "v" * 64
    address = auth.authorize_url(session, CALLBACK, "state-1", verifier)
    parts = urlsplit(address)
    form = {name: values[0] for name, values in parse_qs(parts.query).items()}
    form |= {"decision": "allow", "admin": f"{admin.business_id}:{admin.admin_id}"}
    back = httpx.post(f"{parts.scheme}://{parts.netloc}{parts.path}", data=form)
    answer = parse_qs(urlsplit(back.headers["location"]).query)
    assert answer["state"] == ["state-1"]
    return auth.redeem(session, answer["code"][0], verifier, CALLBACK)


def credential(business: models.Business) -> Credential:
    with tenancy.scope(business.pk):
        return business.credentials.select_related("owner").get(system="pex")


def test_sign_in_with_all_permissions_syncs(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User
) -> None:
    sign_in = external(world, alex)
    assert auth.adopt(business, person, sign_in, ALL)
    with auth.client_for(business) as client:
        assert client.business_profile()["BusinessAcctId"] == 4410
        assert auth.missing_permissions(client) == []
    assert auth.syncs_with(business, sign_in)
    assert not auth.syncs_with(business, external(world, alex))
    alex.permissions.discard("ModifyTransactionNotes")
    with auth.client_for(business) as client:
        assert auth.missing_permissions(client) == [Permission.EDIT_NOTES]


@pytest.mark.parametrize("missing", ALL)
def test_sign_in_with_less_neither_syncs_nor_replaces(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User, missing: str
) -> None:
    fewer = [name for name in ALL if name != missing]
    assert not auth.adopt(business, person, external(world, alex), fewer)
    with pytest.raises(NotAuthorized, match="nobody with all permissions"), auth.client_for(business):
        pass
    first = external(world, alex)
    auth.adopt(business, person, first, ALL)
    assert not auth.adopt(business, person, external(world, alex), fewer)
    assert auth.syncs_with(business, first)


def test_second_admins_launch_replaces_the_first(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User
) -> None:
    auth.adopt(business, person, external(world, alex), ALL)
    other = models.User.objects.create(username="bo")
    second = external(world, alex)
    assert auth.adopt(business, other, second, ALL)
    assert credential(business).owner == other
    assert auth.syncs_with(business, second)


def test_oauth_replaces_only_what_lasts_no_longer(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User, session: PexSession
) -> None:
    pair = consented(session, alex)
    assert auth.adopt(business, person, pair, ALL)
    assert auth.adopt(business, person, consented(session, alex), ALL)
    assert auth.adopt(business, person, external(world, alex), ALL)
    assert not auth.adopt(business, person, pair, ALL)
    with tenancy.scope(business.pk):
        business.credentials.get().die("over")
    assert auth.adopt(business, person, pair, ALL)
    assert not auth.adopt(business, person, SignIn(Token("x", "Bearer")), ALL)


def test_external_token_is_renewed_in_its_last_month(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User, shared_clock: Clock
) -> None:
    first = external(world, alex)
    auth.adopt(business, person, first, ALL)
    with auth.client_for(business):
        assert credential(business).version == 1
    shared_clock.advance(timedelta(days=160))
    with auth.client_for(business) as client:
        assert client.business_profile()
    renewed = credential(business)
    assert renewed.version == 2
    assert renewed.secret()["token"] != first.token.text
    shared_clock.advance(timedelta(days=30))
    with auth.client_for(business) as client:
        assert client.business_profile()


@pytest.mark.parametrize("fault", [{"kind": "drop_after"}, {"kind": "status", "status": 503}, {"kind": "truncate"}])
def test_renewal_without_an_answer_costs_nothing(
    world: PexWorld,
    alex: Admin,
    business: models.Business,
    person: models.User,
    shared_clock: Clock,
    sandbox: Desk,
    fault: dict[str, object],
) -> None:
    auth.adopt(business, person, external(world, alex), ALL)
    shared_clock.advance(timedelta(days=160))
    sandbox.faults.add(**fault, path="Token/Renew")  # type: ignore[arg-type]
    for _ in range(3):
        with auth.client_for(business) as client:
            assert client.business_profile()
    assert len(sandbox.calls.matching("pex", path="Token/Renew")) == 1
    shared_clock.advance(timedelta(hours=7))
    with auth.client_for(business) as client:
        assert client.business_profile()
    assert credential(business).version == 2


def test_dead_token_ends_the_credential_with_a_reason(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User, sandbox: Desk
) -> None:
    auth.adopt(business, person, external(world, alex), ALL)
    alex.change_password("new")
    with auth.client_for(business) as client, pytest.raises(TokenDead, match="changed the password"):
        client.business_profile()
    assert credential(business).state == Credential.State.DEAD
    sandbox.calls.clear()
    with pytest.raises(NotAuthorized, match="changed the password"), auth.client_for(business):
        pass
    assert not sandbox.calls.calls


def test_token_replaced_meanwhile_does_not_end_the_new_one(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User
) -> None:
    auth.adopt(business, person, external(world, alex), ALL)
    with auth.client_for(business) as client:
        alex.change_password("new")
        auth.adopt(business, person, external(world, alex), ALL)
        with pytest.raises(RetryLater):
            client.business_profile()
    with auth.client_for(business) as client:
        assert client.business_profile()


def test_oauth_pair_rotates_and_is_saved_before_use(
    world: PexWorld,
    alex: Admin,
    business: models.Business,
    person: models.User,
    session: PexSession,
    shared_clock: Clock,
    sandbox: Desk,
) -> None:
    first = consented(session, alex)
    auth.adopt(business, person, first, ALL)
    with auth.client_for(business) as client:
        assert client.business_profile()
        shared_clock.advance(timedelta(minutes=6))
        sandbox.calls.clear()
        assert client.business_profile()  # within one client, too
        assert [call.system for call in sandbox.calls.calls] == ["pex-oauth", "pex"]
    second = credential(business).secret()
    assert second["refresh"] != first.refresh.text  # type: ignore[union-attr]
    shared_clock.advance(timedelta(days=3))
    with auth.client_for(business) as client:
        assert client.business_profile()
    assert credential(business).version == 3


def test_lost_answer_of_a_refresh_is_never_repeated(
    alex: Admin,
    business: models.Business,
    person: models.User,
    session: PexSession,
    shared_clock: Clock,
    sandbox: Desk,
) -> None:
    auth.adopt(business, person, consented(session, alex), ALL)
    shared_clock.advance(timedelta(hours=1))
    sandbox.faults.add("drop_after", path="oauth21/token")
    sandbox.calls.clear()
    for _ in range(2):
        with pytest.raises(NotAuthorized, match="did not answer"), auth.client_for(business):
            pass
    assert len(sandbox.calls.matching("pex-oauth", "POST")) == 1


def test_refresh_that_never_left_is_tried_again(
    alex: Admin,
    business: models.Business,
    person: models.User,
    session: PexSession,
    shared_clock: Clock,
    sandbox: Desk,
) -> None:
    auth.adopt(business, person, consented(session, alex), ALL)
    shared_clock.advance(timedelta(hours=1))
    sandbox.faults.add("status", status=429, headers={"Retry-After": "20"}, path="oauth21/token")
    with pytest.raises(RetryLater), auth.client_for(business):
        pass
    shared_clock.advance(timedelta(seconds=20))
    with auth.client_for(business) as client:
        assert client.business_profile()


def test_revoked_family_ends_the_credential(
    world: PexWorld,
    alex: Admin,
    business: models.Business,
    person: models.User,
    session: PexSession,
    shared_clock: Clock,
) -> None:
    pair = consented(session, alex)
    auth.adopt(business, person, pair, ALL)
    auth.revoke(session, pair)
    with auth.client_for(business) as client, pytest.raises(TokenDead):
        client.business_profile()
    assert credential(business).state == Credential.State.DEAD


def test_worker_that_died_while_renewing_is_not_repeated(
    alex: Admin, business: models.Business, person: models.User, session: PexSession, shared_clock: Clock
) -> None:
    auth.adopt(business, person, consented(session, alex), ALL)
    shared_clock.advance(timedelta(hours=1))
    with tenancy.scope(business.pk):
        assert business.credentials.get().claim_renewal()
    with pytest.raises(RetryLater, match="being renewed"), auth.client_for(business):
        pass
    shared_clock.advance(timedelta(minutes=2))
    with pytest.raises(NotAuthorized, match="did not answer"), auth.client_for(business):
        pass


def test_other_threads_use_the_token_as_it_is(
    alex: Admin, business: models.Business, person: models.User, session: PexSession, shared_clock: Clock
) -> None:
    auth.adopt(business, person, consented(session, alex), ALL)
    answers: list[object] = []
    with auth.client_for(business) as client:
        shared_clock.advance(timedelta(minutes=6))
        thread = threading.Thread(target=lambda: answers.append(client.business_profile()))
        thread.start()
        thread.join()
    assert len(answers) == 1
    assert credential(business).version == 1


def test_death_heard_in_another_thread_is_noted_at_the_end(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User
) -> None:
    auth.adopt(business, person, external(world, alex), ALL)
    heard: list[Exception] = []

    def work() -> None:
        try:
            client.business_profile()
        except TokenDead as error:
            heard.append(error)

    with auth.client_for(business) as client:
        alex.change_password("new")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert credential(business).state == Credential.State.ALIVE
    assert len(heard) == 1
    assert credential(business).reason == str(heard[0])


def test_replaced_sign_in_is_ended_at_pex_later(
    world: PexWorld, alex: Admin, business: models.Business, person: models.User, shared_clock: Clock
) -> None:
    first, second = external(world, alex), external(world, alex)
    auth.adopt(business, person, first, ALL)
    auth.adopt(business, person, second, ALL)
    for after in (timedelta(), timedelta(hours=2), timedelta(hours=2)):
        shared_clock.advance(after)
        with auth.client_for(business) as client:
            assert client.business_profile()
    assert list(world.tokens) == [second.token.text]
    assert credential(business).secret()["token"] == second.token.text
    assert "retired" not in credential(business).secret()


def test_replaced_pair_is_revoked_later(
    alex: Admin,
    business: models.Business,
    person: models.User,
    session: PexSession,
    shared_clock: Clock,
    world: PexWorld,
) -> None:
    for _ in range(2):
        auth.adopt(business, person, consented(session, alex), ALL)
    shared_clock.advance(timedelta(hours=2))
    with auth.client_for(business) as client:
        assert client.business_profile()
    assert [family.revoked for family in world.families.values()] == [True, False]


def test_nothing_secret_is_said(
    world: PexWorld,
    alex: Admin,
    business: models.Business,
    person: models.User,
    session: PexSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    pair, token = consented(session, alex), external(world, alex)
    auth.adopt(business, person, pair, ALL)
    auth.adopt(business, person, token, ALL)
    with auth.client_for(business) as client:
        client.business_profile()
    said = f"{pair!r} {token!r} {credential(business)!r} {credential(business).__dict__} {caplog.text}"
    for secret in (pair.token, pair.refresh, token.token):
        assert secret is not None
        assert secret.text not in said


def test_dead_sign_in_is_revoked_quietly(world: PexWorld, alex: Admin, session: PexSession) -> None:
    sign_in = external(world, alex)
    auth.revoke(session, sign_in)
    auth.revoke(session, sign_in)
    with pytest.raises(TokenDead):
        PexClient(sign_in.token, session).business_profile()
