"""The way in and out, as a browser walks it."""

import logging
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from connectors.models import Credential
from connectors.pex import auth
from pexsync.accounts import tenancy
from pexsync.accounts.models import Business, Membership, User
from sandbox.pex import ALL, Admin, PexWorld
from sandbox.pex import Business as PexBusiness
from sandbox.server import Desk

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def launch(client: Client, world: PexWorld, admin: Admin) -> Any:
    return client.get("/handle-pex-jwt", {"jwt": world.launch_jwt(admin)})


def consent(client: Client, answer: Any, admin: Admin | None) -> Any:
    """Walk through PEX's own page and come back; None cancels."""
    parts = urlsplit(answer["Location"])
    form = {name: values[0] for name, values in parse_qs(parts.query).items()}
    who = {"decision": "allow", "admin": f"{admin.business_id}:{admin.admin_id}"} if admin else {"decision": "cancel"}
    back = httpx.post(f"{parts.scheme}://{parts.netloc}{parts.path}", data=form | who)
    return client.get(back.headers["location"].removeprefix("http://testserver"))


def works_in(client: Client) -> str:
    """The business the browser's session works in, "" when nobody is signed in."""
    business = client.session.get("business")
    return Business.objects.get(pk=business).name if business else ""


def remembered() -> tuple[Membership, Credential | None]:
    """The one person's place, and the sign-in that syncs."""
    with tenancy.everywhere():
        found = Credential.objects.select_related("owner").filter(system="pex").first()
        return Membership.objects.select_related("user").get(), found


def text(response: Any) -> str:
    return str(response.content.decode())


# --- launched ---------------------------------------------------------------------------------------------------------


def test_launch_signs_in_and_takes_the_jwt_out_of_the_address(client: Client, world: PexWorld, alex: Admin) -> None:
    answer = launch(client, world, alex)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert "no-store" in answer["Cache-Control"]
    assert works_in(client) == "Acme Builders"
    membership, credential = remembered()
    assert membership.user.username == "alex.admin"
    assert (membership.user.name, membership.user.email) == ("Alex Admin", "Alex.Admin@example.com")
    assert not membership.user.has_usable_password()
    assert membership.admin_id == alex.admin_id
    assert set(membership.permissions) == ALL
    assert credential is not None
    assert credential.owner == membership.user


def test_business_is_as_pex_says(client: Client, world: PexWorld, rita: Admin, rival: PexBusiness) -> None:
    rival.tags_enabled = False
    rival.add_cardholder("Casey", "Holder")
    launch(client, world, rita)
    business = Business.objects.get()
    assert (business.pex_id, business.name, business.funding) == (5520, "Rival Roofing", "Credit")
    assert not business.tags_enabled
    assert business.glance["balance"] == "12500.00"
    assert business.glance["open_cards"] == 1
    assert business.glance_at is not None


def test_launch_is_thrifty_with_account_details(client: Client, world: PexWorld, alex: Admin, sandbox: Desk) -> None:
    world.switches.limits = True
    for _ in range(3):
        assert launch(client, world, alex).status_code == 302
    assert len(sandbox.calls.matching("pex", path="AccountDetails")) == 1


@pytest.mark.parametrize("path", ["Business/Settings", "Details/AccountDetails"])
def test_what_pex_does_not_tell_keeps_nobody_out(
    client: Client, world: PexWorld, alex: Admin, sandbox: Desk, path: str
) -> None:
    sandbox.faults.add("status", status=429, path=path, times=None)
    assert launch(client, world, alex)["Location"] == "/"
    assert works_in(client) == "Acme Builders"


@pytest.mark.parametrize("jwt", ["", "nonsense", "a.b.c"])
def test_bad_jwt_asks_to_launch_again(client: Client, world: PexWorld, jwt: str) -> None:
    answer = client.get("/handle-pex-jwt", {"jwt": jwt})
    assert answer.status_code == 400
    assert "Launch PEX Sync again" in text(answer)
    assert works_in(client) == ""


def test_jwt_works_once(client: Client, world: PexWorld, alex: Admin) -> None:
    jwt = world.launch_jwt(alex)
    assert client.get("/handle-pex-jwt", {"jwt": jwt}).status_code == 302
    other = Client()
    assert other.get("/handle-pex-jwt", {"jwt": jwt}).status_code == 400
    assert works_in(other) == ""


def test_pex_in_trouble_says_so(client: Client, world: PexWorld, alex: Admin, sandbox: Desk) -> None:
    sandbox.faults.add("drop_after", path="Exchange")
    answer = launch(client, world, alex)
    assert answer.status_code == 503
    assert "PEX did not answer" in text(answer)


def test_session_key_is_new_after_sign_in(client: Client, world: PexWorld, alex: Admin) -> None:
    client.post("/sign-in/pex")
    before = client.session.session_key
    launch(client, world, alex)
    assert client.session.session_key != before
    between = client.session.session_key
    launch(client, world, alex)
    assert client.session.session_key != between


def test_cardholders_are_turned_away(client: Client, world: PexWorld, alex: Admin, sandbox: Desk) -> None:
    body = '{"UserType": "Cardholder", "BusinessAccountId": 4410, "CardholderAccountId": 1, "Username": "casey"}'
    sandbox.faults.add("status", status=200, body=body, path="Token/Current")
    answer = launch(client, world, alex)
    assert answer.status_code == 403
    assert "administrators" in text(answer)
    assert not User.objects.exists()
    assert not world.tokens


def test_name_of_staff_opens_no_staff_place(client: Client, world: PexWorld, alex: Admin) -> None:
    User.objects.create(username="alex.admin", staff=True)
    assert launch(client, world, alex).status_code == 403
    assert works_in(client) == ""


def test_admin_with_less_signs_in_but_does_not_sync(client: Client, world: PexWorld, alex: Admin) -> None:
    alex.permissions.discard("ModifyTransactionNotes")
    launch(client, world, alex)
    assert works_in(client) == "Acme Builders"
    assert remembered()[1] is None
    alex.permissions.add("ModifyTransactionNotes")
    launch(client, world, alex)
    membership, credential = remembered()
    assert credential is not None
    assert "ModifyTransactionNotes" in membership.permissions


# --- another business in the same browser -----------------------------------------------------------------------------


def test_launch_of_another_business_asks_first(client: Client, world: PexWorld, alex: Admin, rita: Admin) -> None:
    launch(client, world, alex)
    answer = launch(client, world, rita)
    assert answer["Location"] == "/sign-in/question"
    assert works_in(client) == "Acme Builders"
    page = client.get("/sign-in/question")
    assert "You are working in Acme Builders. Open Rival Roofing instead?" in text(page)
    assert client.post("/sign-in/question", {"open": "1"})["Location"] == "/"
    assert works_in(client) == "Rival Roofing"
    assert client.session["_auth_user_id"] == str(User.objects.get(username="rita.rival").pk)


def test_staying_gives_the_other_sign_in_back(client: Client, world: PexWorld, alex: Admin, rita: Admin) -> None:
    launch(client, world, alex)
    launch(client, world, rita)
    assert len(world.tokens) == 2
    assert client.post("/sign-in/question", {"stay": "1"})["Location"] == "/"
    assert works_in(client) == "Acme Builders"
    assert [token.admin_id for token in world.tokens.values()] == [alex.admin_id]
    assert client.get("/sign-in/question").status_code == 400
    assert not Business.objects.filter(pex_id=5520).exists()


def test_question_goes_stale(
    client: Client, world: PexWorld, alex: Admin, rita: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(client, world, alex)
    launch(client, world, rita)
    late = timezone.now() + timedelta(minutes=11)
    monkeypatch.setattr("pexsync.pages.sign_in.arrival.timezone.now", lambda: late)
    assert client.post("/sign-in/question", {"open": "1"}).status_code == 400
    assert works_in(client) == "Acme Builders"


def test_other_person_of_the_same_business_asks_first(
    client: Client, world: PexWorld, acme: PexBusiness, alex: Admin
) -> None:
    other = acme.add_admin("bo.admin", "Bo", "Admin")
    launch(client, world, alex)
    assert launch(client, world, other)["Location"] == "/sign-in/question"
    assert launch(client, world, alex)["Location"] == "/"


def test_nothing_of_one_business_stays_for_another(client: Client, world: PexWorld, alex: Admin, rita: Admin) -> None:
    launch(client, world, alex)
    session = client.session
    session["connecting"] = {"state": "of Acme"}
    session.save()
    launch(client, world, rita)
    client.post("/sign-in/question", {"open": "1"})
    assert "connecting" not in client.session


def test_switch_only_to_own_and_lately_proven_places(
    client: Client, world: PexWorld, alex: Admin, rival: PexBusiness, rita: Admin
) -> None:
    also_alex = rival.add_admin("alex.admin", "Alex", "Admin")
    launch(Client(), world, rita)
    launch(client, world, also_alex)
    launch(client, world, alex)
    client.post("/sign-in/question", {"open": "1"})
    first, second = Business.objects.get(pex_id=4410), Business.objects.get(pex_id=5520)
    assert client.post("/switch", {"business": second.pk})["Location"] == "/"
    assert works_in(client) == "Rival Roofing"
    with tenancy.everywhere():
        Membership.objects.filter(business=first).update(seen_at=timezone.now() - timedelta(days=2))
    refused = client.post("/switch", {"business": first.pk})
    assert refused.status_code == 403
    assert "from PEX" in text(refused)
    assert works_in(client) == "Rival Roofing"
    for business in ("", "0", "x", str(10**30), "-1"):
        assert client.post("/switch", {"business": business}).status_code == 404


def test_strangers_cannot_switch(client: Client, world: PexWorld, alex: Admin, rita: Admin) -> None:
    launch(Client(), world, rita)
    launch(client, world, alex)
    theirs = Business.objects.get(pex_id=5520)
    assert client.post("/switch", {"business": theirs.pk}).status_code == 404
    assert works_in(client) == "Acme Builders"


# --- sign in with PEX -------------------------------------------------------------------------------------------------


def test_oauth_with_pkce(client: Client, world: PexWorld, alex: Admin) -> None:
    page = client.get("/sign-in")
    assert "Sign in with PEX" in text(page)
    answer = client.post("/sign-in/pex", {"next": "/help"})
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://testserver/sign-in/pex/callback"]
    back = consent(client, answer, alex)
    assert (back.status_code, back["Location"]) == (302, "/help")
    assert works_in(client) == "Acme Builders"
    with auth.client_for(Business.objects.get()) as pex:
        assert pex.business_profile()["BusinessAcctId"] == 4410


def test_refused_consent_is_friendly(client: Client, world: PexWorld, alex: Admin) -> None:
    answer = consent(client, client.post("/sign-in/pex"), None)
    assert answer.status_code == 200
    assert "You are not signed in" in text(answer)
    assert works_in(client) == ""


def test_callback_nobody_asked_for(client: Client, world: PexWorld, alex: Admin) -> None:
    answer = client.post("/sign-in/pex")
    assert consent(Client(), answer, alex).status_code == 400  # another browser
    assert client.get("/sign-in/pex/callback", {"code": "x", "state": "guess"}).status_code == 400
    assert consent(client, answer, alex).status_code == 400  # used up by the guess
    assert works_in(client) == ""


def test_callback_with_an_error_or_a_stale_code(client: Client, world: PexWorld, alex: Admin) -> None:
    for given in ({"error": "server_error"}, {}, {"code": "stale"}):
        client.post("/sign-in/pex")
        state = client.session["oauth"]["state"]
        assert client.get("/sign-in/pex/callback", {"state": state, **given}).status_code == 400
    assert works_in(client) == ""


def test_oauth_host_down(client: Client, world: PexWorld, alex: Admin, sandbox: Desk) -> None:
    sandbox.faults.add("status", status=503, system="pex-oauth", path="openid-configuration", times=None)
    assert client.post("/sign-in/pex").status_code == 503
    sandbox.faults.clear()
    answer = client.post("/sign-in/pex")
    sandbox.faults.add("drop_after", system="pex-oauth", path="oauth21/token")
    assert consent(client, answer, alex).status_code == 503


def test_without_oauth_there_is_only_the_dashboard(client: Client, world: PexWorld, settings: Any) -> None:
    settings.PEX_OAUTH_CLIENT_ID = ""
    page = client.get("/sign-in")
    assert "Sign in with PEX" not in text(page)
    assert settings.PEX_DASHBOARD_URL in text(page)
    assert client.post("/sign-in/pex").status_code == 404


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "javascript:1", "/\\evil.example", ""])
def test_sign_in_leads_only_to_own_pages(client: Client, world: PexWorld, alex: Admin, page: str) -> None:
    back = consent(client, client.post("/sign-in/pex", {"next": page}), alex)
    assert back["Location"] == "/"
    assert client.get("/sign-in", {"next": page})["Location"] == "/"


# --- out --------------------------------------------------------------------------------------------------------------


def test_sign_out_keeps_the_sign_in_that_syncs(client: Client, world: PexWorld, alex: Admin) -> None:
    launch(client, world, alex)
    key = client.session.session_key
    answer = client.post("/sign-out")
    assert answer["Location"] == "/sign-in"
    assert works_in(client) == ""
    assert not client.session.exists(key)
    with auth.client_for(Business.objects.get()) as pex:
        assert pex.business_profile()


def test_sign_out_ends_a_sign_in_that_does_not_sync(client: Client, world: PexWorld, alex: Admin, rita: Admin) -> None:
    alex.permissions.discard("ManageCardholder")
    launch(client, world, alex)
    launch(client, world, rita)
    assert len(world.tokens) == 2
    client.post("/sign-out")
    assert not world.tokens


def test_sign_out_works_while_pex_does_not(client: Client, world: PexWorld, alex: Admin, sandbox: Desk) -> None:
    alex.permissions.discard("ManageCardholder")
    launch(client, world, alex)
    sandbox.faults.add("status", status=429, method="DELETE", times=None)
    assert client.post("/sign-out").status_code == 302
    assert works_in(client) == ""


def test_sign_out_is_a_post(client: Client, world: PexWorld, alex: Admin) -> None:
    launch(client, world, alex)
    assert client.get("/sign-out").status_code == 405
    assert client.get("/switch").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/sign-out").status_code == 403


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_in_session_or_log(
    client: Client, world: PexWorld, alex: Admin, rita: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    alex.permissions.discard("ManageCardholder")
    jwt = world.launch_jwt(alex)
    client.get("/handle-pex-jwt", {"jwt": jwt})
    launch(client, world, rita)
    said = f"{dict(client.session)} {[(record.getMessage(), record.__dict__) for record in caplog.records]}"
    assert len(world.tokens) == 2
    for secret in (*world.tokens, jwt.rpartition(".")[2]):
        assert secret not in said
