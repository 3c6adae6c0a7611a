"""Sign-in and tokens of the simulated Entra, by hand and through Microsoft's own library."""

import base64
import hashlib
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msal
import pytest
from msal.exceptions import MsalServiceError

from sandbox.dynamics365.world import (
    ALL_SCOPES,
    DEMO_CLIENT,
    DEMO_SECRET,
    LOGIN,
    RESOURCE,
    SCOPE,
    App,
    BusinessCentralWorld,
    Tenant,
    User,
    world_of,
)
from sandbox.server import Desk

VERIFIER = "verifier-" * 6
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
TOKEN = "/oauth2/v2.0/token"


class ToSandbox(httpx.HTTPTransport):
    """Brings calls of the sign-in's host to the sandbox."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = httpx.URL(url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "login.microsoftonline.com":
            path = b"/entra" + request.url.raw_path
            request.url = self.url.copy_with(raw_path=path)
            request.headers["Host"] = self.url.netloc.decode()
        return super().handle_request(request)


@dataclass
class Stage:
    desk: Desk
    world: BusinessCentralWorld
    tenant: Tenant
    nora: User
    http: httpx.Client
    library: httpx.Client  # goes to the real addresses, as Microsoft's library does

    @property
    def callback(self) -> str:
        return f"{self.desk.product_url}/dynamics365/callback"

    def ask(self, **changes: str | None) -> dict[str, str]:
        asked = {
            "client_id": DEMO_CLIENT,
            "response_type": "code",
            "redirect_uri": self.callback,
            "scope": ALL_SCOPES,
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def authorize(
        self, form: dict[str, str] | None = None, tenant: str = "organizations", **changes: str | None
    ) -> httpx.Response:
        path, query = f"/entra/{tenant}/oauth2/v2.0/authorize", self.ask(**changes)
        return self.http.get(path, params=query) if form is None else self.http.post(path, params=query, data=form)

    def allow(self, **changes: str | None) -> str:
        """Consent as Nora and return the code."""
        return came_back(self.authorize({"user": self.nora.email, "decision": "allow"}, **changes))["code"]

    def token(self, tenant: str = "organizations", auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
        known = {} if auth else {"client_id": DEMO_CLIENT, "client_secret": DEMO_SECRET}
        return self.http.post(f"/entra/{tenant}{TOKEN}", data={**known, **form}, auth=auth)

    def exchange(self, code: str, **changes: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback}
        return self.token(**{**form, "code_verifier": VERIFIER, **changes})

    def refresh(self, refresh_token: str, **more: str) -> httpx.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **more)

    def companies(self, access_token: str) -> int:
        """The status Business Central answers this token with."""
        path = f"/bc-api/v2.0/{self.tenant.id}/Production/api/v2.0/companies"
        return self.http.get(path, headers={"Authorization": f"Bearer {access_token}"}).status_code

    def token_calls(self) -> int:
        return len(self.desk.calls.matching("entra", "POST", TOKEN))


@pytest.fixture
def stage(sandbox: Desk) -> Iterator[Stage]:
    world = world_of(sandbox)
    tenant = world.add_tenant("Acme LLC", domain="acme.example")
    world.add_company(world.add_environment(tenant))
    nora = world.add_user("Nora Lindqvist", "nora@acme.example", tenant)
    with httpx.Client(base_url=sandbox.url) as http, httpx.Client(transport=ToSandbox(sandbox.url)) as library:
        yield Stage(sandbox, world, tenant, nora, http, library)


def came_back(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def refused(answer: httpx.Response, status: int = 400) -> tuple[str, int]:
    """The error and the number of a refusal that has every member such an answer has."""
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told.keys() >= {"error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id"}
    (number,) = told["error_codes"]
    assert told["error_description"].startswith(f"AADSTS{number}: ")
    return told["error"], number


def claims_of(jwt: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(jwt.split(".")[1] + "=="))


# Through Microsoft's library


class Library:
    """An application of msal whose calls reach the sandbox, and the cache it keeps."""

    def __init__(self, stage: Stage, authority: str = "organizations", **options: Any) -> None:
        self.stage = stage
        self.cache = options.pop("cache", msal.SerializableTokenCache())
        self.app = msal.ConfidentialClientApplication(
            DEMO_CLIENT,
            client_credential=DEMO_SECRET,
            authority=f"{LOGIN}/{authority}",
            token_cache=self.cache,
            http_client=stage.library,
            instance_discovery=options.pop("instance_discovery", False),
        )

    def begin(self, **options: Any) -> dict[str, Any]:
        with pytest.warns(UserWarning, match="form_post"):
            flow: dict[str, Any] = self.app.initiate_auth_code_flow(
                [SCOPE], redirect_uri=self.stage.callback, **options
            )
        return flow

    def answered(self, flow: dict[str, Any], **form: str) -> dict[str, Any]:
        """Go to the page, send a form from it, and hand what comes back to the library."""
        answer = self.stage.http.post(flow["auth_uri"], data={"user": self.stage.nora.email, **form})
        result: dict[str, Any] = self.app.acquire_token_by_auth_code_flow(flow, came_back(answer))
        return result

    def sign_in(self) -> dict[str, Any]:
        return self.answered(self.begin(), decision="allow")

    def silent(self, **options: Any) -> Any:
        (account,) = self.app.get_accounts()
        return self.app.acquire_token_silent_with_error([SCOPE], account=account, **options)

    def kept(self) -> list[str]:
        """The refresh tokens in the cache."""
        return [one["secret"] for one in json.loads(self.cache.serialize())["RefreshToken"].values()]


@pytest.fixture
def library(stage: Stage) -> Library:
    return Library(stage)


def test_a_person_signs_in_consents_and_the_token_opens_business_central(stage: Stage, library: Library):
    flow = library.begin()
    assert flow["auth_uri"].startswith(f"{stage.desk.url}/entra/organizations/oauth2/v2.0/authorize?")
    assert "nora@acme.example" in stage.http.get(flow["auth_uri"]).text
    consent = stage.http.post(flow["auth_uri"], data={"user": stage.nora.id}).text
    for words in ("PEX Sync demo", "Use Dynamics 365 Business Central as you", "Maintain access to data"):
        assert words in consent

    result = library.answered(flow, decision="allow")

    claims = result["id_token_claims"]
    assert (claims["tid"], claims["oid"]) == (stage.tenant.id, stage.nora.id)
    assert (claims["preferred_username"], claims["aud"]) == ("nora@acme.example", DEMO_CLIENT)
    assert (result["token_type"], result["expires_in"], SCOPE in result["scope"]) == ("Bearer", 3600, True)
    (account,) = library.app.get_accounts()
    assert account["home_account_id"] == f"{stage.nora.id}.{stage.tenant.id}"
    assert stage.companies(result["access_token"]) == 200


def test_a_token_in_hand_is_not_asked_for_again(stage: Stage, library: Library):
    result = library.sign_in()
    assert library.silent()["access_token"] == result["access_token"]
    assert stage.token_calls() == 1


def test_without_default_in_the_scope_told_every_silent_call_refreshes(stage: Stage, library: Library):
    stage.world.switches.scope_echo = "names"
    assert SCOPE not in library.sign_in()["scope"].split()
    assert [library.silent()["token_source"] for _ in range(2)] == ["identity_provider"] * 2
    assert stage.token_calls() == 3


def test_refreshing_replaces_the_refresh_token_and_the_old_one_stays_good(stage: Stage, library: Library):
    library.sign_in()
    (old,) = library.kept()
    result = library.silent(force_refresh=True)
    (new,) = library.kept()
    assert old != new
    assert stage.companies(result["access_token"]) == 200
    assert stage.refresh(old).status_code == 200


def test_a_token_of_less_than_five_minutes_counts_as_expired(stage: Stage, library: Library):
    stage.world.switches.token_seconds = 200
    library.sign_in()
    library.silent()
    assert stage.token_calls() == 2


def test_the_cache_goes_on_with_the_address_of_the_tenant(stage: Stage, library: Library):
    library.sign_in()
    narrower = Library(stage, stage.tenant.id, cache=library.cache)
    assert narrower.silent()["token_source"] == "identity_provider"
    assert stage.desk.calls.matching("entra", "POST", f"/{stage.tenant.id}{TOKEN}")


def test_a_revoked_person_has_to_sign_in_again(stage: Stage, library: Library):
    result = library.sign_in()
    assert stage.world.revoke(stage.nora) == 2
    told = library.silent(force_refresh=True)
    assert (told["error"], told["error_codes"]) == ("invalid_grant", [50173])
    assert len(library.kept()) == 1
    assert stage.companies(result["access_token"]) == 401


def test_the_library_asks_who_the_sign_in_is_when_a_refresh_fails(stage: Stage):
    library = Library(stage, instance_discovery=True)
    library.sign_in()
    stage.world.revoke(stage.nora)
    assert library.silent(force_refresh=True)["error"] == "invalid_grant"
    (asked,) = stage.desk.calls.matching("entra", "GET", "/common/discovery/instance")
    assert asked.status == 200


def test_too_many_requests_is_an_error_and_a_broken_sign_in_an_exception(stage: Stage, library: Library):
    library.sign_in()
    stage.world.switches.token_status = 429
    assert library.silent(force_refresh=True)["error"] == "temporarily_unavailable"
    stage.world.switches.token_status = 503
    with pytest.raises(MsalServiceError):
        Library(stage, cache=library.cache).silent(force_refresh=True)


def test_a_second_factor_may_be_demanded(stage: Stage, library: Library):
    library.sign_in()
    moods = stage.world.switches
    moods.token_error, moods.token_suberror, moods.token_claims = "interaction_required", "basic_action", '{"a":1}'
    told = library.silent(force_refresh=True)
    assert (told["error"], told["suberror"], told["claims"]) == ("interaction_required", "basic_action", '{"a":1}')
    assert told["error_codes"] == [50076]


def test_without_client_info_the_account_has_another_key(stage: Stage, library: Library):
    stage.world.switches.client_info = False
    result = library.sign_in()
    (account,) = library.app.get_accounts()
    assert account["home_account_id"] == result["id_token_claims"]["sub"]


def test_who_cancels_goes_back_with_access_denied(stage: Stage, library: Library):
    told = library.answered(library.begin(), decision="cancel")
    assert told["error"] == "access_denied"
    assert told["error_description"].startswith("AADSTS65004: ")
    assert stage.world.access == {}


def test_a_foreign_nonce_is_noticed(stage: Stage, library: Library):
    flow = library.begin()
    with pytest.raises(RuntimeError, match="nonce"):
        library.answered({**flow, "nonce": "another"}, decision="allow")


# The pages


def test_only_people_of_the_tenant_asked_for_are_offered(stage: Stage):
    rival = stage.world.add_tenant("Rival", domain="rival.example")
    rita = stage.world.add_user("Rita Vance", "rita@rival.example", rival)
    assert "rita@rival.example" in stage.authorize().text
    for name in (stage.tenant.id, "acme.example"):
        assert "rita@rival.example" not in stage.authorize(tenant=name).text
        assert "Pick an account" in stage.authorize({"user": rita.id, "decision": "allow"}, tenant=name).text
    assert "AADSTS90002" in stage.authorize(tenant="nowhere.example").text


def test_consent_is_asked_for_once_unless_the_app_asks_again(stage: Stage):
    stage.allow()
    assert "code" in came_back(stage.authorize({"user": stage.nora.id}))
    assert "Permissions requested" in stage.authorize({"user": stage.nora.id}, prompt="consent").text
    assert came_back(stage.authorize(prompt="none"))["error"] == "login_required"


def test_where_people_may_not_consent_an_administrator_does_it_for_all(stage: Stage):
    stage.tenant.needs_admin = True
    boss = stage.world.add_user("Olga Admin", "olga@acme.example", stage.tenant, administrator=True)
    page = stage.authorize({"user": stage.nora.id})
    assert "Need admin approval" in page.text
    assert f"/entra/{stage.tenant.id}/v2.0/adminconsent?" in page.text
    back = came_back(stage.authorize({"user": stage.nora.id, "decision": "cancel"}))
    assert (back["error"], back["state"]) == ("consent_required", "s-1")
    assert back["error_description"].startswith("AADSTS90094")
    assert came_back(stage.authorize({"user": stage.nora.id, "decision": "allow"}))["error"] == "consent_required"

    path, query = f"/entra/{stage.tenant.id}/v2.0/adminconsent", stage.ask()
    assert "Olga Admin" in stage.http.get(path, params=query).text
    refusal = stage.http.post(path, params=query, data={"user": stage.nora.id, "decision": "allow"})
    assert (refusal.status_code, stage.tenant.admin_consent) == (403, set())
    back = came_back(stage.http.post(path, params=query, data={"user": boss.id, "decision": "allow"}))
    assert (back["admin_consent"], back["tenant"], back["state"]) == ("True", stage.tenant.id, "s-1")
    assert "code" in came_back(stage.authorize({"user": stage.nora.id}))


def test_an_administrator_may_allow_it_for_everybody_while_signing_in(stage: Stage):
    stage.tenant.needs_admin, stage.nora.administrator = True, True
    assert "Consent on behalf of your organization" in stage.authorize({"user": stage.nora.id}).text
    came_back(stage.authorize({"user": stage.nora.id, "decision": "allow", "everybody": "on"}))
    assert stage.tenant.admin_consent == {DEMO_CLIENT}


@pytest.mark.parametrize(
    ("consent", "told"), [("allow", "code"), ("cancel", "access_denied"), ("admin", "consent_required")]
)
def test_consent_can_be_answered_without_a_person(stage: Stage, consent: Any, told: str):
    stage.world.switches.consent = consent
    back = came_back(stage.authorize())
    assert told in (back.get("error"), *(name for name in back if name == "code"))


def test_without_a_person_the_hint_says_who_it_is(stage: Stage):
    stage.world.switches.consent = "allow"
    hassan = stage.world.add_user("Hassan", "hassan@acme.example", stage.tenant)
    code = came_back(stage.authorize(login_hint="Hassan@acme.example"))["code"]
    assert claims_of(stage.exchange(code).json()["id_token"])["oid"] == hassan.id


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_id": "nobody"}, 700016),
        ({"redirect_uri": "http://localhost:8000/dynamics365/callback/"}, 50011),
        ({"redirect_uri": "https://evil.example/"}, 50011),
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_apps(stage: Stage, changes: dict[str, str], number: int):
    answer = stage.authorize({"user": stage.nora.id, "decision": "allow"}, **changes)
    assert (answer.status_code, f"AADSTS{number}" in answer.text) == (400, True)
    assert stage.world.codes == {}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid https://graph.microsoft.com/.default"}, "invalid_resource"),
        ({"scope": "openid offline_access"}, "invalid_scope"),
        ({"scope": f"{RESOURCE}/Everything"}, "invalid_scope"),
        ({"scope": f"{SCOPE} {RESOURCE}/user_impersonation"}, "invalid_scope"),
    ],
)
def test_what_the_app_asks_wrongly_it_is_told(stage: Stage, changes: dict[str, str], error: str):
    assert came_back(stage.authorize(**changes))["error"] == error


def test_a_tenant_without_business_central_has_no_such_resource(stage: Stage):
    stage.tenant.has_service = False
    back = came_back(stage.authorize({"user": stage.nora.id, "decision": "allow"}))
    assert (back["error"], back["error_description"][:13]) == ("invalid_resource", "AADSTS500011:")


def test_the_answer_may_come_back_as_a_form(stage: Stage):
    page = stage.authorize({"user": stage.nora.id, "decision": "allow"}, response_mode="form_post")
    (code,) = stage.world.codes
    assert page.status_code == 200
    assert f'action="{stage.callback}"' in page.text
    assert f'name="code" value="{code}"' in page.text
    assert 'name="state" value="s-1"' in page.text


def test_a_form_sent_by_another_site_is_refused(stage: Stage):
    answer = stage.http.post(
        "/entra/organizations/oauth2/v2.0/authorize",
        params=stage.ask(),
        data={"user": stage.nora.id, "decision": "allow"},
        headers={"Origin": "https://evil.example"},
    )
    assert (answer.status_code, stage.world.codes) == (403, {})


def test_the_discovery_document_names_our_page_and_their_token_address(stage: Stage):
    for asked, named, issued in (
        ("organizations", "organizations", "{tenantid}"),
        (stage.tenant.id, stage.tenant.id, stage.tenant.id),
        ("Acme.example", stage.tenant.id, stage.tenant.id),
    ):
        told = stage.http.get(f"/entra/{asked}/v2.0/.well-known/openid-configuration").json()
        assert told["authorization_endpoint"] == f"{stage.desk.url}/entra/{named}/oauth2/v2.0/authorize"
        assert told["token_endpoint"] == f"https://login.microsoftonline.com/{named}/oauth2/v2.0/token"
        assert told["issuer"] == f"https://login.microsoftonline.com/{issued}/v2.0"
    unknown = stage.http.get("/entra/nowhere.example/v2.0/.well-known/openid-configuration")
    assert refused(unknown) == ("invalid_tenant", 90002)


def test_the_instance_is_known_by_the_host_alone(stage: Stage):
    path, address = "/entra/common/discovery/instance", f"{LOGIN}/acme.example/oauth2/v2.0/authorize"
    told = stage.http.get(path, params={"api-version": "1.1", "authorization_endpoint": address}).json()
    assert told["tenant_discovery_endpoint"] == f"{LOGIN}/acme.example/v2.0/.well-known/openid-configuration"
    assert "login.microsoftonline.com" in told["metadata"][0]["aliases"]
    foreign = stage.http.get(path, params={"authorization_endpoint": "https://evil.example/x"})
    assert refused(foreign) == ("invalid_instance", 50049)


# The token endpoint


def test_a_code_gives_tokens_once(stage: Stage):
    code = stage.allow()
    told = stage.exchange(code, client_info="1").json()
    assert claims_of(told["id_token"])["nonce"] == "n-1"
    info = json.loads(base64.urlsafe_b64decode(told["client_info"] + "=="))
    assert info == {"uid": stage.nora.id, "utid": stage.tenant.id}
    assert refused(stage.exchange(code)) == ("invalid_grant", 54005)


def test_who_it_is_comes_back_with_the_code_when_asked(stage: Stage):
    form = {"user": stage.nora.id, "decision": "allow"}
    assert "client_info" not in came_back(stage.authorize(form))
    info = came_back(stage.authorize(form, client_info="1"))["client_info"]
    assert json.loads(base64.urlsafe_b64decode(info + "=="))["utid"] == stage.tenant.id


def test_only_what_was_asked_for_is_given(stage: Stage):
    told = stage.exchange(stage.allow(scope=SCOPE)).json()
    assert told.keys() == {"token_type", "scope", "expires_in", "ext_expires_in", "access_token"}


@pytest.mark.parametrize(
    ("breach", "number"),
    [
        ({"code_verifier": "x" * 43}, 501481),
        ({"code_verifier": ""}, 501481),
        ({"redirect_uri": "http://localhost:8000/other"}, 500112),
        ({"code": "made-up"}, 70000),
    ],
)
def test_a_code_is_bound_to_its_verifier_and_redirect(stage: Stage, breach: dict[str, str], number: int):
    assert refused(stage.exchange(**{"code": stage.allow(), **breach})) == ("invalid_grant", number)


def test_a_code_dies_after_ten_minutes(stage: Stage):
    code = stage.allow()
    stage.desk.clock.advance(timedelta(minutes=10))
    assert refused(stage.exchange(code)) == ("invalid_grant", 70008)


def test_the_app_proves_itself_in_the_body_or_the_header(stage: Stage):
    token = stage.world.sign_in(stage.nora)["refresh_token"]
    asked = {"grant_type": "refresh_token", "refresh_token": token}
    assert stage.token(**asked).status_code == 200
    assert stage.token(auth=(DEMO_CLIENT, DEMO_SECRET), **asked).status_code == 200
    assert refused(stage.token(auth=(DEMO_CLIENT, "wrong"), **asked), 401) == ("invalid_client", 7000215)
    assert refused(stage.token(client_secret="", **asked), 401) == ("invalid_client", 7000218)
    assert refused(stage.token(client_id="nobody", **asked)) == ("unauthorized_client", 700016)


def test_grants_have_a_name_and_the_body_is_a_form(stage: Stage):
    assert refused(stage.token(grant_type="password")) == ("unsupported_grant_type", 70003)
    assert refused(stage.token()) == ("invalid_request", 900144)
    body = {"grant_type": "refresh_token", "client_id": DEMO_CLIENT, "client_secret": DEMO_SECRET}
    assert refused(stage.http.post(f"/entra/organizations{TOKEN}", json=body)) == ("invalid_request", 900144)


def test_an_unused_refresh_token_dies_after_ninety_days(stage: Stage):
    old = stage.world.sign_in(stage.nora)["refresh_token"]
    stage.desk.clock.advance(timedelta(days=89))
    young = stage.refresh(old).json()["refresh_token"]
    stage.desk.clock.advance(timedelta(days=1))
    assert refused(stage.refresh(old)) == ("invalid_grant", 700082)
    stage.desk.clock.advance(timedelta(days=88))
    assert stage.refresh(young).status_code == 200


def test_a_refresh_token_belongs_to_its_app_and_its_tenant(stage: Stage):
    token = stage.world.sign_in(stage.nora)["refresh_token"]
    stage.world.apps["other"] = App("other", "other-secret", "Other", [])
    rival = stage.world.add_tenant("Rival")
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert refused(stage.token(auth=("other", "other-secret"), **form)) == ("invalid_grant", 70000)
    assert refused(stage.token(tenant=rival.id, **form)) == ("invalid_grant", 50020)
    assert stage.token(tenant=stage.tenant.id, **form).status_code == 200


def test_withdrawn_consent_is_told_as_such(stage: Stage):
    told = stage.world.sign_in(stage.nora)
    stage.world.withdraw(stage.nora)
    answer = stage.refresh(told["refresh_token"])
    assert refused(answer) == ("invalid_grant", 65001)
    assert answer.json()["suberror"] == "consent_required"
    assert stage.companies(told["access_token"]) == 200


def test_a_refresh_may_ask_for_less_but_not_for_another_resource(stage: Stage):
    token = stage.world.sign_in(stage.nora)["refresh_token"]
    assert "id_token" not in stage.refresh(token, scope=f"{SCOPE} offline_access").json()
    assert refused(stage.refresh(token, scope="https://graph.microsoft.com/.default")) == ("invalid_resource", 500011)


@pytest.mark.parametrize(
    ("error", "status", "number"),
    [("invalid_grant", 400, 700082), ("invalid_client", 401, 7000215), ("temporarily_unavailable", 400, 90033)],
)
def test_the_switches_refuse_every_token_call(stage: Stage, error: str, status: int, number: int):
    token = stage.world.sign_in(stage.nora)["refresh_token"]
    stage.world.switches.token_error = error
    assert refused(stage.refresh(token), status) == (error, number)
    stage.world.switches.token_status = 503
    assert refused(stage.refresh(token), 503) == (error, number)


# What tests and seeds use


def test_tokens_are_made_without_a_browser_and_end(stage: Stage):
    token = stage.world.token(stage.nora)
    answer = stage.world.sign_in(stage.nora)
    assert {"refresh_token", "id_token", "client_info"} <= answer.keys()
    assert [stage.companies(one) for one in (token, answer["access_token"])] == [200, 200]
    assert stage.world.expire_access() == 2
    assert [stage.companies(one) for one in (token, answer["access_token"])] == [401, 401]
    fresh = stage.refresh(answer["refresh_token"]).json()["access_token"]
    stage.desk.clock.advance(timedelta(seconds=3600))
    assert stage.companies(fresh) == 401


def test_the_sign_in_survives_a_restart(stage: Stage):
    answer = stage.world.sign_in(stage.nora)
    stage.desk.worlds["dynamics365"] = pickle.loads(pickle.dumps(stage.world))
    assert stage.companies(answer["access_token"]) == 200
    assert stage.refresh(answer["refresh_token"]).status_code == 200
    assert world_of(stage.desk) is not stage.world
