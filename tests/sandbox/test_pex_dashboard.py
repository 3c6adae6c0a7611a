"""PEX's dashboard as a person uses it: sign in, launch, look, switch permissions."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.pex import Admin
from sandbox.server import Desk
from tests.sandbox.test_pex import acme, admin_of, client_of
from tests.sandbox.test_pex_tokens import exchange


def browser(desk: Desk, admin: Admin | None = None) -> httpx.Client:
    client = client_of(f"{desk.url}/pex-dashboard/")
    if admin is not None:
        answer = client.post("sign-in", data={"admin": f"{admin.business_id}:{admin.admin_id}"})
        assert answer.headers["Location"] == "/pex-dashboard/apps"
    return client


@pytest.mark.parametrize("path", ["", "apps", "cards", "profile", "cards/51001/detail"])
def test_a_stranger_is_sent_to_sign_in(sandbox, path):
    acme(sandbox)
    answer = browser(sandbox).get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/pex-dashboard/sign-in")


def test_the_sign_in_page_shows_the_admins(sandbox):
    admin_of(acme(sandbox))
    page = browser(sandbox).get("sign-in")
    assert "admin.4410" in page.text
    assert "Acme Builders" in page.text


def test_launching_hands_the_product_a_jwt_that_works_once(sandbox):
    client = browser(sandbox, admin_of(acme(sandbox)))
    assert "LAUNCH" in client.get("apps").text
    answer = client.post("apps/app/pexsync-demo/launch")
    target = urlsplit(answer.headers["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{sandbox.product_url}/handle-pex-jwt"
    jwt = parse_qs(target.query)["jwt"][0]
    assert [exchange(sandbox, jwt).status_code for _ in range(2)] == [200, 401]


def test_an_unknown_app_is_not_launched(sandbox):
    assert browser(sandbox, admin_of(acme(sandbox))).post("apps/app/nothing/launch").status_code == 404


def test_permissions_are_switched_on_the_profile_page(sandbox):
    admin = admin_of(acme(sandbox))
    client = browser(sandbox, admin)
    answer = client.post("profile", data={"permission": ["ViewCardTransactions", "Nonsense"]})
    assert answer.status_code == 303
    assert admin.permissions == {"ViewCardTransactions"}
    assert "Edit business settings" in client.get("apps").text


def test_a_card_shows_its_transactions_and_no_foreign_card(sandbox):
    business, rival = acme(sandbox), acme(sandbox, name="Rival", business_id=6630)
    row = business.add_purchase(merchant="<b>Corner</b> Shop", notes=["Typed by hand"])
    client = browser(sandbox, admin_of(business))
    page = client.get(f"cards/{row.account_id}/detail")
    assert "&lt;b&gt;Corner&lt;/b&gt; Shop" in page.text
    assert "Typed by hand" in page.text
    assert client.get(f"cards/{next(iter(rival.cards))}/detail").status_code == 404


def test_a_form_sent_by_another_site_is_refused(sandbox):
    admin = admin_of(acme(sandbox))
    client = browser(sandbox, admin)
    answer = client.post("profile", data={"permission": []}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "ViewCardTransactions" in admin.permissions


@pytest.mark.parametrize("cookie", ["4410.9001.1.", "4410.9001.1.0000", "x", "..."])
def test_a_forged_cookie_opens_nothing(sandbox, cookie):
    acme(sandbox)
    client = browser(sandbox)
    client.cookies.set("pex_dashboard", cookie)
    assert client.get("apps").status_code == 303


def test_signing_out_forgets_the_admin(sandbox):
    client = browser(sandbox, admin_of(acme(sandbox)))
    client.post("sign-out")
    assert client.get("apps").headers["Location"] == "/pex-dashboard/sign-in"
