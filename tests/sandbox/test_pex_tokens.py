"""Coming in to the simulated PEX: passwords, launches, the life of a token, permissions, limits."""

import base64
from datetime import timedelta

import pytest

from sandbox.pex import ALL
from tests.sandbox.test_pex import acme, admin_of, caller, client_of, window, world_of

DEAD = {"Message": "Token expired or does not exist"}
APP = {"AppId": "pexsync-demo", "AppSecret": "pexsync-demo-secret"}


def basic(app_id="pexsync-demo", secret="pexsync-demo-secret"):
    return "Basic " + base64.b64encode(f"{app_id}:{secret}".encode()).decode()


def sign_in(desk, authorization=None, **body):
    client = client_of(f"{desk.url}/pex/V4/", Authorization=authorization or basic())
    return client.post("Token", json=body)


def exchange(desk, jwt, body=APP):
    client = client_of(desk.url, Authorization=f"Bearer {jwt}")
    return client.post("/pex/Internal/V4/Account/Token/Exchange", json=body)


def with_token(desk, token, scheme="token"):
    return client_of(f"{desk.url}/pex/V4/", Authorization=f"{scheme} {token}")


def test_ping_needs_no_token(sandbox):
    assert client_of(f"{sandbox.url}/pex/V4/").get("Ping").status_code == 200


def test_a_user_name_and_password_give_a_token(sandbox):
    business = acme(sandbox)
    answer = sign_in(sandbox, Username="ADMIN.4410", Password="sandbox")
    assert answer.status_code == 201
    current = with_token(sandbox, answer.json()["Token"]).get("Token/Current").json()
    assert current["BusinessAccountId"] == business.business_id
    assert (current["Username"], current["UserType"], current["AppId"]) == ("admin.4410", "Admin", "pexsync-demo")


@pytest.mark.parametrize("authorization", [basic(secret="wrong"), basic("nobody"), "Basic ???", "token x"])
def test_wrong_app_credentials_are_refused(sandbox, authorization):
    acme(sandbox)
    assert sign_in(sandbox, authorization, Username="admin.4410", Password="sandbox").status_code == 401


def test_a_wrong_password_is_refused(sandbox):
    acme(sandbox)
    assert sign_in(sandbox, Username="admin.4410", Password="guess").status_code == 401


def test_a_launch_jwt_is_exchanged_for_a_token_once(sandbox):
    business = acme(sandbox)
    jwt = world_of(sandbox).launch_jwt(admin_of(business))
    answer = exchange(sandbox, jwt)
    assert answer.status_code == 200
    assert with_token(sandbox, answer.json()).get("Business/Profile").json()["BusinessAcctId"] == 4410
    assert exchange(sandbox, jwt).status_code == 401


def test_a_launch_jwt_lives_five_minutes(sandbox):
    jwt = world_of(sandbox).launch_jwt(admin_of(acme(sandbox)))
    sandbox.clock.advance(timedelta(minutes=5, seconds=1))
    assert exchange(sandbox, jwt).status_code == 401


def test_a_forged_jwt_or_a_wrong_secret_is_refused(sandbox):
    jwt = world_of(sandbox).launch_jwt(admin_of(acme(sandbox)))
    header, payload, signature = jwt.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for forged in (f"{header}.{payload}.{signature[:-4]}AAAA", f"{unsigned}.{payload}.", ".", "a.b.c"):
        assert exchange(sandbox, forged).status_code == 401
    assert exchange(sandbox, jwt, {**APP, "AppSecret": "wrong"}).status_code == 401
    assert exchange(sandbox, jwt).status_code == 200


def test_a_jwt_made_for_another_app_is_refused(sandbox):
    business = acme(sandbox)
    jwt = world_of(sandbox).launch_jwt(admin_of(business), app_id="another-app")
    assert exchange(sandbox, jwt).status_code == 401


def test_each_launch_adds_a_token_and_the_old_one_stays_alive(sandbox):
    business = acme(sandbox)
    tokens = [exchange(sandbox, world_of(sandbox).launch_jwt(admin_of(business))).json() for _ in range(2)]
    assert all(with_token(sandbox, token).get("Business/Profile").status_code == 200 for token in tokens)
    listed = with_token(sandbox, tokens[0]).get("Token").json()["Tokens"]
    assert {one["Token"] for one in listed} == set(tokens)


@pytest.mark.parametrize("authorization", ["", "token", "Basic abc", "secret"])
def test_a_call_without_a_token_is_refused(sandbox, authorization):
    acme(sandbox)
    answer = client_of(f"{sandbox.url}/pex/V4/", Authorization=authorization).get("Business/Profile")
    assert answer.status_code == 401
    assert "Message" in answer.json()


def test_an_external_token_does_not_pass_as_a_bearer(sandbox):
    token = world_of(sandbox).token(admin_of(acme(sandbox)), "pexsync-demo")
    assert with_token(sandbox, token, "TOKEN").get("Business/Profile").status_code == 200
    assert with_token(sandbox, token, "Bearer").get("Business/Profile").json() == DEAD


@pytest.mark.parametrize("status", [401, 403])
def test_a_dead_token_is_told_with_the_status_the_world_chose(sandbox, status):
    acme(sandbox)
    world_of(sandbox).switches.dead_token_status = status
    answer = with_token(sandbox, "gone").get("Business/Profile")
    assert (answer.status_code, answer.json()) == (status, DEAD)


def test_a_token_lives_six_months(sandbox):
    client = caller(sandbox, acme(sandbox))
    sandbox.clock.advance(timedelta(days=180))
    assert client.get("Business/Profile").status_code == 200
    sandbox.clock.advance(timedelta(days=5))
    assert client.get("Business/Profile").json() == DEAD
    assert client.post("Token/Renew").json() == DEAD


def test_a_token_is_renewed_only_in_its_last_month_and_keeps_its_own_end(sandbox):
    client = caller(sandbox, acme(sandbox))
    answer = client.post("Token/Renew")
    assert (answer.status_code, answer.json()["Message"]) == (403, "Cannot renew token")
    sandbox.clock.advance(timedelta(days=155))
    before = client.get("Token/Current").json()
    fresh = client.post("Token/Renew").json()
    assert fresh["Token"] != before["Token"]
    assert fresh["TokenExpiration"] > before["TokenExpiration"]
    assert client.get("Token/Current").json() == before
    sandbox.clock.advance(timedelta(days=60))
    assert client.get("Business/Profile").status_code == 401
    assert with_token(sandbox, fresh["Token"]).get("Business/Profile").status_code == 200


def test_a_deleted_token_is_dead(sandbox):
    client = caller(sandbox, acme(sandbox))
    answer = client.delete("Token")
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.delete("Token").json() == DEAD


def test_the_list_of_tokens_tells_the_seconds_left(sandbox):
    client = caller(sandbox, acme(sandbox))
    one = client.get("Token/GetAuthTokens").json()["Tokens"][0]
    assert 180 * 86_400 < one["SecondsUntilExpire"] < 185 * 86_400


def test_a_changed_password_is_told_once(sandbox):
    business = acme(sandbox)
    client = caller(sandbox, business)
    admin_of(business).change_password("new one")
    answers = [client.get("Business/Profile") for _ in range(2)]
    assert [(one.status_code, one.json()["Message"]) for one in answers] == [
        (401, "Password has changed"),
        (401, DEAD["Message"]),
    ]


def test_an_inactive_user_is_told_once(sandbox):
    business = acme(sandbox)
    client = caller(sandbox, business)
    admin_of(business).deactivate()
    answers = [client.get("Business/Profile") for _ in range(2)]
    assert [(one.status_code, one.json()["Message"]) for one in answers] == [
        (403, "User is not active"),
        (401, DEAD["Message"]),
    ]


def test_a_closed_business_is_refused(sandbox):
    business = acme(sandbox)
    client = caller(sandbox, business)
    business.status = "CLOSED"
    answer = client.get("Business/Profile")
    assert (answer.status_code, answer.json()["Message"]) == (403, "Business is not open")


@pytest.mark.parametrize(
    ("lacking", "method", "path"),
    [
        ({"ViewCardTransactions"}, "GET", "Details/AllCardholderTransactions"),
        ({"ViewCardTransactions"}, "GET", "Details/TransactionDetails"),
        ({"ModifyTransactionNotes"}, "POST", "Note"),
        ({"EditBusinessProfile", "ManageCardholder"}, "POST", "Business/Configuration/Tag/Dropdown"),
        ({"ViewAdministration"}, "GET", "Business/Admin"),
    ],
)
def test_a_missing_permission_is_refused_by_name_of_the_rule(sandbox, lacking, method, path):
    business = acme(sandbox)
    lesser = business.add_admin("lesser", permissions=ALL - lacking)
    answer = caller(sandbox, business, lesser).request(method, path, params=window(sandbox))
    assert (answer.status_code, answer.json()["Message"]) == (403, "Admin does not have permission")


def test_either_permission_opens_the_tag_manager(sandbox):
    business = acme(sandbox)
    lesser = business.add_admin("lesser", permissions=ALL - {"ManageCardholder"})
    client = caller(sandbox, business, lesser)
    body = {"Name": "Job", "Options": [{"Name": "One", "Value": "1"}]}
    assert client.post("Business/Configuration/Tag/Dropdown", json=body).status_code == 201


def test_my_profile_tells_every_permission(sandbox):
    business = acme(sandbox)
    lesser = business.add_admin("lesser", permissions=ALL - {"ManageCardholder"})
    shown = caller(sandbox, business, lesser).get("Business/MyProfile").json()["Admin"]
    assert shown["UserName"] == "lesser"
    assert shown["Permissions"] == {name: name != "ManageCardholder" for name in ALL}


def test_limits_are_off_until_switched_on(sandbox):
    client = caller(sandbox, acme(sandbox))
    assert [client.get("Details/TransactionDetails", params=window(sandbox)).status_code for _ in range(3)] == [200] * 3


def test_the_published_limits_hold_by_the_shared_clock(sandbox):
    client = caller(sandbox, acme(sandbox))
    world_of(sandbox).switches.limits = True
    assert client.get("Details/TransactionDetails", params=window(sandbox)).status_code == 200
    answer = client.get("Details/TransactionDetails", params=window(sandbox))
    assert (answer.status_code, answer.json()["Message"]) == (429, "Usage Limits Exceeded")
    assert 55 <= int(answer.headers["Retry-After"]) <= 60
    world_of(sandbox).switches.retry_after = False
    assert "Retry-After" not in client.get("Details/TransactionDetails", params=window(sandbox)).headers
    sandbox.clock.advance(timedelta(seconds=61))
    assert client.get("Details/TransactionDetails", params=window(sandbox)).status_code == 200


def test_ten_card_lists_an_hour_and_each_business_for_itself(sandbox):
    client = caller(sandbox, acme(sandbox))
    other = caller(sandbox, acme(sandbox, name="Rival", business_id=6630))
    world_of(sandbox).switches.limits = True
    path = "Details/AllCardholderTransactions"
    codes = [client.get(path, params=window(sandbox)).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]
    assert other.get(path, params=window(sandbox)).status_code == 200


def test_all_calls_together_are_limited_to_120_a_minute(sandbox):
    client = caller(sandbox, acme(sandbox))
    switches = world_of(sandbox).switches
    switches.limits, switches.limit_table[0].calls = True, 3
    assert [client.get("Business/Profile").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_two_tokens_a_day_are_made_by_password(sandbox):
    acme(sandbox)
    world_of(sandbox).switches.limits = True
    codes = [sign_in(sandbox, Username="admin.4410", Password="sandbox").status_code for _ in range(3)]
    assert codes == [201, 201, 429]
