"""Who gets to a view, and what stands around it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from pexsync import urls
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside, public
from pexsync.accounts.models import BusinessRequest, Membership, User
from pexsync.accounts.permissions import CONNECTOR, Permission
from sandbox.pex import Admin, PexWorld

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def inside_view(request: BusinessRequest) -> HttpResponse:
    return HttpResponse(f"{request.business.name} {connection.in_atomic_block}")


@outside
def outside_view(request: BusinessRequest) -> HttpResponse:
    return HttpResponse(f"{request.business.name} {connection.in_atomic_block}")


@public
def public_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"anybody {hasattr(request, 'business')}")


@needs(*CONNECTOR)
def guarded_view(request: BusinessRequest) -> HttpResponse:
    return HttpResponse("in")


urlpatterns = [
    path("t/inside", inside_view),
    path("t/outside", outside_view),
    path("t/public", public_view),
    path("t/guarded", guarded_view),
    *urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def _routes(settings: Any, world: PexWorld) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    return


@pytest.fixture
def signed_in(client: Client, world: PexWorld, alex: Admin) -> Client:
    client.get("/handle-pex-jwt", {"jwt": world.launch_jwt(alex)})
    return client


def test_anybody_reaches_public_views_only(client: Client) -> None:
    assert client.get("/t/public").content == b"anybody False"
    assert client.get("/t/inside?page=2")["Location"] == "/sign-in?next=%2Ft%2Finside%3Fpage%3D2"
    assert client.get("/t/outside")["Location"] == "/sign-in?next=%2Ft%2Foutside"
    assert client.post("/t/inside")["Location"] == "/sign-in"


def test_fragments_send_the_whole_page_to_sign_in(client: Client) -> None:
    answer = client.get("/t/inside", headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == "/sign-in"


def test_transaction_stands_around_what_writes(signed_in: Client) -> None:
    reads_in_one = connection.vendor == "postgresql"
    assert signed_in.get("/t/inside").content == f"Acme Builders {reads_in_one}".encode()
    assert signed_in.post("/t/inside").content == b"Acme Builders True"


def test_views_that_call_others_open_their_own(signed_in: Client) -> None:
    assert signed_in.get("/t/outside").content == b"Acme Builders False"
    assert signed_in.post("/t/outside").content == b"Acme Builders False"


def test_pages_of_a_business_are_kept_by_no_cache(signed_in: Client) -> None:
    assert signed_in.get("/t/inside")["Cache-Control"] == "private, no-store"


def test_missing_permission_is_named_with_where_to_switch_it_on(
    signed_in: Client, alex: Admin, world: PexWorld
) -> None:
    assert signed_in.get("/t/guarded").content == b"in"
    alex.permissions -= {"ManageCardholder", "ModifyTransactionNotes"}
    signed_in.get("/handle-pex-jwt", {"jwt": world.launch_jwt(alex)})
    answer = signed_in.get("/t/guarded")
    assert answer.status_code == 403
    page = answer.content.decode()
    assert Permission.MANAGE_CARDHOLDER.label in page
    assert Permission.EDIT_NOTES.label in page
    assert "My Profile" in page


def test_place_that_is_gone_is_a_place_to_sign_in(signed_in: Client) -> None:
    User.objects.update(is_active=False)
    assert signed_in.get("/t/inside").status_code == 302
    User.objects.update(is_active=True)
    assert signed_in.get("/t/inside").status_code == 200
    with tenancy.everywhere():
        Membership.objects.all().delete()
    assert signed_in.get("/t/inside").status_code == 302
