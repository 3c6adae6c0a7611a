"""Sign-in, tokens and connections of the simulated Xero."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.server import Desk
from sandbox.xero.world import DEMO_CLIENT, DEMO_SECRET, App
from tests.sandbox.xero_books import Books, open_books

SCOPES = "openid profile email offline_access accounting.banktransactions accounting.contacts accounting.settings.read"
VERIFIER = "verifier-" * 6
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def ask(books: Books, **changes: str | None) -> dict[str, str]:
    asked = {
        "response_type": "code",
        "client_id": DEMO_CLIENT,
        "redirect_uri": f"{books.desk.product_url}/xero/callback",
        "scope": SCOPES,
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def authorize(books: Books, form: dict[str, Any] | None = None, **changes: str | None) -> httpx.Response:
    path = "/xero-login/identity/connect/authorize"
    if form is None:
        return books.http.get(path, params=ask(books, **changes))
    return books.http.post(path, params=ask(books, **changes), data=form)


def allow(books: Books, *organisations: str, **changes: str | None) -> dict[str, str]:
    """Consent as Nora and return the arguments the browser is sent back with."""
    chosen = list(organisations) or [books.organisation.id]
    form = {"user": books.user.email, "tenant": chosen, "decision": "allow"}
    return came_back(authorize(books, form, **changes))


def came_back(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def token(books: Books, auth: tuple[str, str] | None = (DEMO_CLIENT, DEMO_SECRET), **form: str) -> httpx.Response:
    return books.http.post("/xero-identity/connect/token", data=form, auth=auth)


def exchange(books: Books, code: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{books.desk.product_url}/xero/callback",
        "code_verifier": VERIFIER,
        **changes,
    }
    return token(books, **form)


def refresh(books: Books, refresh_token: str) -> httpx.Response:
    return token(books, grant_type="refresh_token", refresh_token=refresh_token)


def organisation_status(books: Books, access_token: str) -> int:
    return books.call("GET", "Organisation", headers={"Authorization": f"Bearer {access_token}"}).status_code


def test_a_person_signs_in_sees_the_scopes_in_words_and_allows_one_organisation(books: Books):
    books.world.add_organisation("Second LLC")
    assert "Nora Lindqvist" in authorize(books).text
    consent = authorize(books, {"user": books.user.id})
    assert "See and change your bank transactions" in consent.text
    assert "Acme LLC" in consent.text

    back = allow(books)

    assert back["state"] == "s-1"
    assert back["scope"] == "openid profile email offline_access accounting.banktransactions accounting.contacts " + (
        "accounting.settings accounting.attachments accounting.settings.read"
    )
    answer = exchange(books, back["code"])
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 1800
    assert answer.json()["token_type"] == "Bearer"
    assert organisation_status(books, answer.json()["access_token"]) == 200


def test_scopes_of_a_new_person_are_only_those_asked_for(books: Books):
    other = books.world.add_user("Olga", "olga@acme.example", [books.organisation])
    form = {"user": other.email, "tenant": [books.organisation.name], "decision": "allow"}
    back = came_back(authorize(books, form))
    assert exchange(books, back["code"]).json()["scope"] == SCOPES


def test_cancel_sends_the_person_back_with_access_denied(books: Books):
    back = came_back(authorize(books, {"user": books.user.id, "decision": "cancel"}))
    assert back == {"error": "access_denied", "state": "s-1"}


def test_consent_can_be_answered_without_a_person(books: Books):
    books.world.switches.consent = "allow"
    assert "code" in came_back(authorize(books))
    books.world.switches.consent = "cancel"
    assert came_back(authorize(books))["error"] == "access_denied"


def test_an_unregistered_redirect_is_shown_and_never_followed(books: Books):
    answer = authorize(books, redirect_uri="http://localhost:8000/xero/callback/")
    assert answer.status_code == 400
    assert "not registered" in answer.text


def test_the_redirect_follows_the_products_address(books: Books, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(books.desk, "product_url", "http://localhost:9999")
    assert authorize(books).status_code == 200


def test_an_unknown_app_is_refused_on_the_page(books: Books):
    assert "unauthorized_client" in authorize(books, client_id="nobody").text


@pytest.mark.parametrize(
    ("age", "scope", "refused"),
    [
        ("granular", "accounting.transactions", True),
        ("granular", "accounting.banktransactions", False),
        ("broad", "accounting.transactions", False),
        ("broad", "accounting.banktransactions", True),
        ("both", "accounting.transactions accounting.banktransactions", False),
        ("both", "accounting.everything", True),
    ],
)
def test_the_apps_age_decides_which_scope_names_it_may_ask_for(books: Books, age: Any, scope: str, refused: bool):
    books.world.switches.app_age = age
    books.world.switches.consent = "allow"
    back = came_back(authorize(books, scope=f"offline_access {scope}"))
    assert back.get("error") == ("invalid_scope" if refused else None)


def test_a_plain_challenge_is_refused(books: Books):
    assert came_back(authorize(books, code_challenge_method="plain"))["error"] == "invalid_request"


def test_a_code_works_once(books: Books):
    code = allow(books)["code"]
    assert exchange(books, code).status_code == 200
    again = exchange(books, code)
    assert (again.status_code, again.text) == (400, '{"error":"invalid_grant"}')


@pytest.mark.parametrize(
    "breach",
    [{"code_verifier": "x" * 43}, {"redirect_uri": "http://localhost:8000/other"}, {"code": "made-up"}],
)
def test_a_code_is_bound_to_its_verifier_and_redirect(books: Books, breach: dict[str, str]):
    answer = exchange(books, **{"code": allow(books)["code"], **breach})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_stale_code_is_dead(books: Books):
    code = allow(books)["code"]
    books.desk.clock.advance(timedelta(minutes=6))
    assert exchange(books, code).json()["error"] == "invalid_grant"


def test_pkce_is_checked_only_when_a_challenge_was_sent(books: Books):
    code = allow(books, code_challenge=None, code_challenge_method=None)["code"]
    assert exchange(books, code).status_code == 200


def test_an_app_without_a_secret_needs_pkce(books: Books):
    books.world.apps["native"] = App("native", "", "Native", ["{product_url}/xero/callback"])
    assert came_back(authorize(books, client_id="native", code_challenge=None))["error"] == "invalid_request"
    code = allow(books, client_id="native")["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "client_id": "native"}
    answer = token(books, None, redirect_uri=f"{books.desk.product_url}/xero/callback", **form)
    assert answer.status_code == 200


def test_the_app_may_show_its_secret_in_the_body(books: Books):
    form = {"grant_type": "refresh_token", "refresh_token": books.token["refresh_token"]}
    answer = token(books, None, client_id=DEMO_CLIENT, client_secret=DEMO_SECRET, **form)
    assert answer.status_code == 200


def test_a_wrong_secret_is_invalid_client(books: Books):
    answer = token(books, (DEMO_CLIENT, "wrong"), grant_type="refresh_token", refresh_token="x")
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})


def test_unknown_grants_are_named(books: Books):
    assert token(books, grant_type="password").json() == {"error": "unsupported_grant_type"}
    assert token(books, grant_type="client_credentials").json() == {"error": "unauthorized_client"}


def test_refreshing_gives_a_new_pair_and_the_old_access_token_lives_on(books: Books):
    answer = refresh(books, books.token["refresh_token"]).json()
    assert answer["refresh_token"] != books.token["refresh_token"]
    assert organisation_status(books, answer["access_token"]) == 200
    assert organisation_status(books, books.token["access_token"]) == 200


def test_the_previous_refresh_token_may_be_replayed_for_half_an_hour(books: Books):
    old = books.token["refresh_token"]
    refresh(books, old)
    books.desk.clock.advance(timedelta(minutes=29))
    assert refresh(books, old).status_code == 200
    books.desk.clock.advance(timedelta(minutes=2))
    assert refresh(books, old).json() == {"error": "invalid_grant"}


def test_of_two_refreshes_that_raced_the_first_ones_token_dies_with_its_grace(books: Books):
    old = books.token["refresh_token"]
    first, second = refresh(books, old).json(), refresh(books, old).json()
    books.desk.clock.advance(timedelta(minutes=31))
    assert refresh(books, first["refresh_token"]).json() == {"error": "invalid_grant"}
    assert refresh(books, second["refresh_token"]).status_code == 200


def test_an_unused_refresh_token_dies_after_sixty_days(books: Books):
    books.desk.clock.advance(timedelta(days=59))
    young = refresh(books, books.token["refresh_token"]).json()
    books.desk.clock.advance(timedelta(days=61))
    assert refresh(books, young["refresh_token"]).json() == {"error": "invalid_grant"}


def test_invalid_grant_may_carry_a_description(books: Books):
    books.world.switches.invalid_grant_description = "The refresh token is invalid"
    answer = refresh(books, "made-up")
    assert answer.json() == {"error": "invalid_grant", "error_description": "The refresh token is invalid"}


def test_a_refresh_token_belongs_to_its_app(books: Books):
    books.world.apps["other"] = App("other", "other-secret", "Other", [])
    answer = token(
        books,
        ("other", "other-secret"),
        grant_type="refresh_token",
        refresh_token=books.token["refresh_token"],
    )
    assert answer.json() == {"error": "invalid_grant"}


def test_without_offline_access_there_is_no_refresh_token(books: Books):
    given = books.world.grant(books.world.add_user("Olga", "o@acme.example"), [], "openid accounting.contacts")
    assert "refresh_token" not in given
    assert "id_token" in given


def test_the_tokens_are_readable_claims(books: Books):
    body = books.token["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert (claims["email"], claims["given_name"]) == ("nora@acme.example", "Nora")


def test_revocation_ends_every_connection_of_the_person(books: Books):
    second = books.world.add_organisation("Second LLC")
    books.world.grant(books.user, [second])
    form = {"token": books.token["refresh_token"]}
    answer = books.http.post("/xero-identity/connect/revocation", data=form, auth=(DEMO_CLIENT, DEMO_SECRET))
    assert answer.status_code == 200
    assert books.world.connections == {}
    assert organisation_status(books, books.token["access_token"]) == 401
    assert refresh(books, books.token["refresh_token"]).json() == {"error": "invalid_grant"}


def test_trouble_at_the_token_address_comes_from_the_wire(books: Books):
    books.desk.faults.add("status", system="xero-identity", status=503)
    assert refresh(books, books.token["refresh_token"]).status_code == 503
    assert refresh(books, books.token["refresh_token"]).status_code == 200


# Connections


def connections(books: Books, **query: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {books.token['access_token']}"}
    answer = books.http.get("/xero-api/Connections", headers=headers, params=query)
    assert answer.status_code == 200
    return answer.json()


def test_connections_are_a_bare_list_with_dates_of_seven_decimals(books: Books):
    (row,) = connections(books)
    assert row["tenantId"] == books.organisation.id
    assert (row["tenantType"], row["tenantName"]) == ("ORGANISATION", "Acme LLC")
    assert len(row["createdDateUtc"]) == len("2022-08-26T07:51:30.7975760")


def test_consent_to_a_second_organisation_adds_a_connection_of_its_own_event(books: Books):
    second = books.world.add_organisation("Second LLC")
    books.user.organisations.append(second)
    allow(books, second.id)
    rows = connections(books)
    assert [row["tenantName"] for row in rows] == ["Acme LLC", "Second LLC"]
    assert [row["tenantName"] for row in connections(books, authEventId=rows[1]["authEventId"])] == ["Second LLC"]


def test_consent_to_nothing_leaves_an_empty_list(books: Books):
    books.world.connections.clear()
    books.world.switches.consent = "nothing"
    assert "code" in came_back(authorize(books))
    assert connections(books) == []


def test_a_practice_may_stand_before_the_organisations(books: Books):
    books.world.connections.clear()
    books.world.switches.practice_row = True
    allow(books)
    rows = connections(books)
    assert [row["tenantType"] for row in rows] == ["PRACTICE", "ORGANISATION"]
    assert rows[0]["tenantName"] is None


def test_a_connection_is_deleted_by_its_own_id_not_by_the_tenants(books: Books):
    (row,) = connections(books)
    headers = {"Authorization": f"Bearer {books.token['access_token']}"}
    assert books.http.delete(f"/xero-api/connections/{row['tenantId']}", headers=headers).status_code == 404
    assert books.http.delete(f"/xero-api/connections/{row['id']}", headers=headers).status_code == 204
    assert connections(books) == []


def test_a_person_who_disconnects_in_xero_is_found_out_by_the_next_call(books: Books):
    books.world.disconnect(books.organisation)
    answer = books.get("Organisation")
    assert answer.status_code == 403
    assert answer.json()["Detail"] == "AuthenticationUnsuccessful"
    assert connections(books) == []


# Who may call


def test_an_expired_token_says_so(books: Books):
    books.desk.clock.advance(timedelta(seconds=1801))
    answer = books.get("Organisation")
    assert answer.status_code == 401
    assert answer.json()["Title"] == "Unauthorized"
    assert answer.json()["Detail"].startswith("TokenExpired: token expired at")


def test_a_token_nobody_gave_out_is_unsuccessful(books: Books):
    answer = books.call("GET", "Organisation", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert answer.json() | {"Instance": ""} == {
        "Type": None,
        "Title": "Unauthorized",
        "Status": 401,
        "Detail": "AuthenticationUnsuccessful",
        "Instance": "",
        "Extensions": {},
    }


@pytest.mark.parametrize(
    ("scopes", "method", "path", "allowed"),
    [
        ("accounting.settings.read", "GET", "Accounts", True),
        ("accounting.settings.read", "PUT", "Accounts", False),
        ("accounting.settings", "PUT", "Accounts", True),
        ("accounting.settings", "GET", "BankTransactions", False),
        ("accounting.banktransactions", "PUT", "BankTransactions", True),
        ("accounting.transactions", "PUT", "BankTransfers", True),
        ("accounting.contacts", "GET", "BankTransactions/x/Attachments", False),
        ("accounting.attachments", "GET", "BankTransactions/x/Attachments", True),
        ("accounting.banktransactions", "GET", "BankTransactions/x/Attachments", False),
    ],
)
def test_each_path_needs_its_scope(books: Books, scopes: str, method: str, path: str, allowed: bool):
    person = books.world.add_user("Olga", "olga@acme.example")
    given = books.world.grant(person, [books.organisation], scopes)
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    answer = books.call(method, path, headers=headers, json={} if method == "PUT" else None)
    assert (answer.status_code != 401) is allowed
    if not allowed:
        assert answer.json()["Detail"] == "AuthorizationUnsuccessful"
        assert "insufficent_scope" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("tenant", ["", "00000000-0000-0000-0000-000000000000"])
def test_a_missing_or_unknown_tenant_is_forbidden(books: Books, tenant: str):
    answer = books.call("GET", "Organisation", headers={"xero-tenant-id": tenant})
    assert (answer.status_code, answer.json()["Title"]) == (403, "Forbidden")


def test_another_organisation_is_forbidden_until_it_is_connected(books: Books):
    rival = books.world.add_organisation("Rival Interiors Ltd")
    headers = {"xero-tenant-id": rival.id}
    assert books.call("GET", "Organisation", headers=headers).status_code == 403
    books.world.grant(books.user, [rival])
    assert books.call("GET", "Organisation", headers=headers).status_code == 200


def test_an_offline_organisation_answers_503_in_text(books: Books):
    books.organisation.offline = True
    answer = books.get("Organisation")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")


def test_paths_do_not_mind_their_case_and_unknown_ones_are_text(books: Books):
    headers = {"Authorization": f"Bearer {books.token['access_token']}", "xero-tenant-id": books.organisation.id}
    assert books.http.get("/xero-api/API.XRO/2.0/organisation", headers=headers).status_code == 200
    unknown = books.get("Nonsense")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert books.call("DELETE", "BankTransactions").status_code == 405
