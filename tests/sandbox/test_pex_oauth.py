"""PEX's OAuth 2.1 host: consent, PKCE, rotation, revocation, who the person is."""

import base64
import hashlib
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.pex import jwt
from tests.sandbox.test_pex import acme, admin_of, client_of, world_of

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def host(desk, **headers):
    return client_of(f"{desk.url}/pex-oauth/", **headers)


def request(desk, **changes):
    facts = {
        "response_type": "code",
        "client_id": "pexsync-demo-oauth",
        "redirect_uri": f"{desk.product_url}/sign-in/pex/callback",
        "scope": "openid offline_access",
        "state": "st/ate&1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in facts.items() if value is not None}


def sent_back(answer):
    """Return the query the browser is sent back with."""
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def consent(desk, admin, decision="allow", **changes):
    form = {**request(desk, **changes), "admin": f"{admin.business_id}:{admin.admin_id}", "decision": decision}
    return sent_back(host(desk).post("oauth21/authorize", data=form))


def redeem(desk, code, /, **changes):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": VERIFIER,
        "client_id": "pexsync-demo-oauth",
        "redirect_uri": f"{desk.product_url}/sign-in/pex/callback",
        **changes,
    }
    return host(desk).post("oauth21/token", data=form)


def refresh(desk, token, client_id="pexsync-demo-oauth"):
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id}
    return host(desk).post("oauth21/token", data=form)


def signed_in(desk):
    """Return an admin and the tokens they consented to."""
    admin = admin_of(acme(desk))
    return admin, redeem(desk, consent(desk, admin)["code"]).json()


def profile(desk, token, scheme="Bearer"):
    return client_of(f"{desk.url}/pex/V4/", Authorization=f"{scheme} {token}").get("Business/Profile")


def invalid_grant(answer):
    return (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_discovery_names_the_endpoints(sandbox):
    found = host(sandbox).get(".well-known/openid-configuration").json()
    assert found["issuer"] == f"{sandbox.url}/pex-oauth"
    assert found["authorization_endpoint"] == f"{sandbox.url}/pex-oauth/oauth21/authorize"
    for name in ("token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint"):
        assert found[name].startswith(found["issuer"])


def test_the_consent_page_shows_the_admins_with_allow_and_cancel(sandbox):
    admin = admin_of(acme(sandbox))
    page = host(sandbox).get("oauth21/authorize", params=request(sandbox))
    assert page.status_code == 200
    assert f'value="{admin.business_id}:{admin.admin_id}"' in page.text
    assert 'value="allow"' in page.text
    assert 'value="cancel"' in page.text
    assert "Simulation" in page.text
    assert page.headers["X-Frame-Options"] == "DENY"


def test_allowing_gives_tokens_that_open_the_data_calls(sandbox):
    admin = admin_of(acme(sandbox))
    back = consent(sandbox, admin)
    assert (back["state"], back["iss"]) == ("st/ate&1", f"{sandbox.url}/pex-oauth")
    answer = redeem(sandbox, back["code"])
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["refresh_token_expires_in"]) == ("Bearer", 600, 1209600)
    assert profile(sandbox, tokens["access_token"]).json()["BusinessAcctId"] == admin.business_id
    assert profile(sandbox, tokens["access_token"], "token").status_code == 401


def test_cancelling_goes_back_with_access_denied(sandbox):
    back = consent(sandbox, admin_of(acme(sandbox)), decision="cancel")
    assert (back["error"], back["state"]) == ("access_denied", "st/ate&1")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "stranger"},
        {"redirect_uri": "https://evil.example/sign-in/pex/callback"},
        {"redirect_uri": "http://localhost:8000/sign-in/pex/callback/"},
        {"redirect_uri": "http://localhost:8000/sign-in/pex/callback?next=x"},
        {"redirect_uri": None},
    ],
)
def test_a_wrong_client_or_address_is_never_redirected_to(sandbox, changes):
    acme(sandbox)
    asked = request(sandbox, **changes)
    for answer in (
        host(sandbox).get("oauth21/authorize", params=asked),
        host(sandbox).post("oauth21/authorize", data={**asked, "admin": "admin.4410", "decision": "allow"}),
    ):
        assert answer.status_code == 400
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid everything"}, "invalid_scope"),
    ],
)
def test_a_wrong_request_goes_back_with_its_error(sandbox, changes, error):
    acme(sandbox)
    asked = request(sandbox, **changes)
    assert sent_back(host(sandbox).get("oauth21/authorize", params=asked))["error"] == error
    posted = {**asked, "admin": "admin.4410", "decision": "allow"}
    assert sent_back(host(sandbox).post("oauth21/authorize", data=posted))["error"] == error


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": CHALLENGE},
        {"code_verifier": "short"},
        {"redirect_uri": "http://localhost:8000/elsewhere"},
        {"code": "guess"},
    ],
)
def test_a_code_is_worth_nothing_without_its_verifier_and_address(sandbox, changes):
    code = consent(sandbox, admin_of(acme(sandbox)))["code"]
    assert invalid_grant(redeem(sandbox, code, **changes))


def test_a_code_lives_a_minute(sandbox):
    code = consent(sandbox, admin_of(acme(sandbox)))["code"]
    sandbox.clock.advance(timedelta(seconds=61))
    assert invalid_grant(redeem(sandbox, code))


def test_a_code_used_twice_revokes_what_it_gave(sandbox):
    code = consent(sandbox, admin_of(acme(sandbox)))["code"]
    tokens = redeem(sandbox, code).json()
    assert invalid_grant(redeem(sandbox, code))
    assert profile(sandbox, tokens["access_token"]).status_code == 401
    assert invalid_grant(refresh(sandbox, tokens["refresh_token"]))


def test_an_access_token_lives_ten_minutes(sandbox):
    _, tokens = signed_in(sandbox)
    sandbox.clock.advance(timedelta(seconds=601))
    assert profile(sandbox, tokens["access_token"]).status_code == 401
    fresh = refresh(sandbox, tokens["refresh_token"]).json()
    assert profile(sandbox, fresh["access_token"]).status_code == 200


def test_refresh_tokens_rotate_and_reuse_revokes_the_family(sandbox):
    _, tokens = signed_in(sandbox)
    fresh = refresh(sandbox, tokens["refresh_token"]).json()
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert profile(sandbox, tokens["access_token"]).status_code == 200
    assert invalid_grant(refresh(sandbox, tokens["refresh_token"]))
    assert invalid_grant(refresh(sandbox, fresh["refresh_token"]))
    assert profile(sandbox, fresh["access_token"]).status_code == 401


def test_reuse_in_one_family_leaves_another_alone(sandbox):
    admin, tokens = signed_in(sandbox)
    other = redeem(sandbox, consent(sandbox, admin)["code"]).json()
    refresh(sandbox, tokens["refresh_token"])
    refresh(sandbox, tokens["refresh_token"])
    assert refresh(sandbox, other["refresh_token"]).status_code == 200


def test_a_refresh_token_dies_after_a_fortnight(sandbox):
    _, tokens = signed_in(sandbox)
    sandbox.clock.advance(timedelta(days=14, seconds=1))
    assert invalid_grant(refresh(sandbox, tokens["refresh_token"]))


def test_a_changed_password_ends_the_grant(sandbox):
    admin, tokens = signed_in(sandbox)
    admin.change_password("new one")
    assert profile(sandbox, tokens["access_token"]).json()["Message"] == "Password has changed"
    assert invalid_grant(refresh(sandbox, tokens["refresh_token"]))


def test_no_refresh_token_without_offline_access(sandbox):
    code = consent(sandbox, admin_of(acme(sandbox)), scope="openid")["code"]
    assert "refresh_token" not in redeem(sandbox, code).json()


def test_the_token_endpoint_reads_forms_only_and_each_name_once(sandbox):
    code = consent(sandbox, admin_of(acme(sandbox)))["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_id": "pexsync-demo-oauth"}
    assert host(sandbox).post("oauth21/token", json=form).json()["error"] == "invalid_request"
    twice = [("client_id", "pexsync-demo-oauth"), ("client_id", "x")]
    body = "&".join(f"{name}={value}" for name, value in twice)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert host(sandbox).post("oauth21/token", content=body, headers=kind).json()["error"] == "invalid_request"
    assert host(sandbox).get("oauth21/token").status_code == 405


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "password", "client_id": "pexsync-demo-oauth"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_id": "stranger", "refresh_token": "x"}, 401, "invalid_client"),
    ],
)
def test_a_wrong_token_request_is_told_why(sandbox, form, status, error):
    answer = host(sandbox).post("oauth21/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_revoking_the_refresh_token_ends_the_family(sandbox):
    _, tokens = signed_in(sandbox)
    form = {"token": tokens["refresh_token"], "client_id": "pexsync-demo-oauth"}
    assert host(sandbox).post("oauth21/revoke", data=form).status_code == 200
    assert profile(sandbox, tokens["access_token"]).status_code == 401
    assert host(sandbox).post("oauth21/revoke", data=form).status_code == 200


def test_userinfo_names_the_same_person_in_every_business(sandbox):
    admin, tokens = signed_in(sandbox)
    twin = world_of(sandbox).add_business("Harbor", "Credit", 5520).add_admin(admin.username, "Alex", "Admin")
    other = redeem(sandbox, consent(sandbox, twin)["code"]).json()
    people = [
        host(sandbox, Authorization=f"Bearer {one['access_token']}").get("oauth21/userinfo").json()
        for one in (tokens, other)
    ]
    assert people[0] == people[1]
    assert people[0]["preferred_username"] == admin.username
    assert (people[0]["name"], people[0]["email"]) == ("Alex Admin", admin.email)
    assert profile(sandbox, other["access_token"]).json()["BusinessAcctId"] == 5520


def test_userinfo_refuses_strangers(sandbox):
    acme(sandbox)
    external = world_of(sandbox).token(world_of(sandbox).admins()[0], "pexsync-demo")
    for text in ("Bearer nobody", f"Bearer {external}", f"token {external}"):
        answer = host(sandbox, Authorization=text).get("oauth21/userinfo")
        assert answer.status_code == 401
        assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_the_id_token_is_signed_with_the_published_key(sandbox):
    admin, tokens = signed_in(sandbox)
    key = host(sandbox).get(".well-known/jwks.json").json()["keys"][0]
    text, _, signature = tokens["id_token"].rpartition(".")
    header, claims = (json.loads(jwt.decode(part)) for part in text.split("."))
    modulus, exponent = (int.from_bytes(jwt.decode(key[name]), "big") for name in ("n", "e"))
    opened = pow(int.from_bytes(jwt.decode(signature), "big"), exponent, modulus).to_bytes(256, "big")
    assert opened.startswith(b"\x00\x01\xff\xff")
    assert opened.endswith(hashlib.sha256(text.encode()).digest())
    assert (header["alg"], header["kid"]) == ("RS256", key["kid"])
    assert (claims["aud"], claims["nonce"]) == ("pexsync-demo-oauth", "n-1")
    assert claims["preferred_username"] == admin.username


def test_the_redirect_address_follows_the_product(sandbox, monkeypatch):
    monkeypatch.setattr(sandbox, "product_url", "http://localhost:9999")
    assert "code" in consent(sandbox, admin_of(acme(sandbox)))
