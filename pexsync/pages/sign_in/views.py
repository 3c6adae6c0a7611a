"""The way in and out: launched from PEX's dashboard, or signed in with PEX; another business; sign out."""

import ipaddress
import logging
from datetime import datetime, timedelta

from authlib.common.security import generate_token
from django.conf import settings
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from connectors.errors import ConnectorError, NotAuthorized
from connectors.pex import auth
from connectors.pex.client import PexSession
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import membership_of, outside, public
from pexsync.accounts.models import BusinessRequest, Membership
from pexsync.pages.sign_in import arrival
from pexsync.pages.sign_in.arrival import Arrival, NotAnAdmin

logger = logging.getLogger(__name__)

OAUTH = "oauth"  # in the session: what a sign-in under way must come back with
OAUTH_LIFE = timedelta(minutes=15)

AGAIN = "Launch PEX Sync again."
USED = "A launch from PEX works once and only for a few minutes. Go back to PEX, open Apps and press LAUNCH there."
NOT_OURS = "This sign-in was not begun in this browser, or it is too old. Begin it again here."


@require_safe
@public
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    if membership_of(request):
        return redirect(_own_page(request.GET.get("next", "")))
    context = {"oauth": auth.configured(), "dashboard": settings.PEX_DASHBOARD_URL, "next": request.GET.get("next", "")}
    return render(request, "pages/sign_in/sign_in.html", context)


# --- launched from the dashboard --------------------------------------------------------------------------------------


@require_GET
@public
@never_cache
def launch(request: HttpRequest) -> HttpResponse:
    """The dashboard's one-time JWT is exchanged at once; the redirect takes it out of the address."""
    try:
        arrived = arrival.launched(request.GET.get("jwt", ""), _address(request))
    except NotAnAdmin as error:
        return _notice(request, "This is for administrators.", error.says, 403)
    except NotAuthorized:
        return _notice(request, AGAIN, USED, 400)
    except ConnectorError as error:
        return _notice(request, "PEX is not answering.", error.says, 503)
    present = membership_of(request)
    if present and not _is_same(present, arrived):
        # A page of somebody else's may have sent the browser here: nobody is moved to another business unasked.
        arrival.keep(request, arrived)
        return redirect("sign-in-question")
    return _enter(request, arrived)


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@never_cache
def question(request: BusinessRequest) -> HttpResponse:
    """You are working in Acme. Open Rival instead?"""
    arrived = arrival.kept(request)
    if arrived is None:
        request.session.pop(arrival.KEPT, None)
        return _notice(request, AGAIN, USED, 400)
    if request.method != "POST":
        return render(request, "pages/sign_in/question.html", {"arrived": arrived, "business": request.business})
    del request.session[arrival.KEPT]
    if "open" in request.POST:
        return _enter(request, arrived)
    arrival.give_back(arrived)
    return redirect("overview")


def _is_same(present: Membership, arrived: Arrival) -> bool:
    return (present.business.pex_id, present.user.username) == (arrived.business_id, arrived.username)


# --- sign in with PEX -------------------------------------------------------------------------------------------------


@require_POST
@public
@never_cache
def start_oauth(request: HttpRequest) -> HttpResponse:
    if not auth.configured():
        raise Http404
    state, verifier = generate_token(32), generate_token(64)
    session = PexSession()
    try:
        address = auth.authorize_url(session, _callback_address(), state, verifier)
    except ConnectorError as error:
        return _notice(request, "PEX is not answering.", error.says, 503)
    finally:
        session.close()
    request.session[OAUTH] = {
        "state": state,
        "verifier": verifier,
        "next": _own_page(request.POST.get("next", "")),
        "until": (timezone.now() + OAUTH_LIFE).isoformat(),
    }
    return redirect(address)


@require_GET
@public
@never_cache
def oauth_callback(request: HttpRequest) -> HttpResponse:
    """Back from PEX with a code, a refusal, or something nobody here asked for."""
    expected = request.session.pop(OAUTH, None)
    state = request.GET.get("state", "")
    if (
        not expected
        or not constant_time_compare(state, expected["state"])
        or timezone.now() > datetime.fromisoformat(expected["until"])
    ):
        return _notice(request, "Sign in again.", NOT_OURS, 400)
    refusal = request.GET.get("error", "")
    if refusal == "access_denied":
        says = "You chose not to let PEX Sync in, so nothing was changed. You can sign in whenever you like."
        return _notice(request, "You are not signed in.", says, 200)
    if refusal or not request.GET.get("code"):
        logger.warning("oauth refused", extra={"reason": refusal[:100]})
        return _notice(
            request, "PEX did not let us in.", "Sign in again. If it stays so, tell whoever runs PEX Sync.", 400
        )
    try:
        arrived = arrival.consented(request.GET["code"], expected["verifier"], _callback_address())
    except NotAnAdmin as error:
        return _notice(request, "This is for administrators.", error.says, 403)
    except NotAuthorized:
        return _notice(
            request, "Sign in again.", "PEX took this sign-in back or it is too old. Begin it again here.", 400
        )
    except ConnectorError as error:
        return _notice(request, "PEX is not answering.", error.says, 503)
    return _enter(request, arrived, expected["next"])


def _callback_address() -> str:
    return f"{settings.PUBLIC_URL}{reverse('sign-in-pex-callback')}"


# --- another business, and out ----------------------------------------------------------------------------------------


@require_POST
@outside
def switch_business(request: BusinessRequest) -> HttpResponse:
    """Open another business of the same person, where PEX has vouched for them lately."""
    with tenancy.reading_everywhere():
        places = Membership.objects.select_related("business", "user").filter(user=request.user)
        chosen = places.filter(business=_number(request.POST.get("business", ""))).first()
    if chosen is None:
        raise Http404
    if not arrival.may_switch_to(chosen, settings.SESSION_COOKIE_AGE):
        name = chosen.business.name
        says = f"Launch PEX Sync from {name}'s account in PEX once, so that PEX can say what you may do there."
        return _notice(request, f"Open {name} from PEX.", says, 403)
    arrival.switch(request, chosen)
    return redirect("overview")


@require_POST
@public
@never_cache
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session. The PEX sign-in that syncs goes on syncing; any other of this session ends at PEX too."""
    unneeded = arrival.held(request)
    logout(request)
    for arrived in unneeded:
        arrival.give_back(arrived)
    return redirect("sign-in")


def _enter(request: HttpRequest, arrived: Arrival, page: str = "/") -> HttpResponse:
    try:
        arrival.welcome(request, arrived)
    except NotAuthorized as error:
        arrival.end(arrived.sign_in)
        return _notice(request, "PEX did not let us in.", error.says, 403)
    except ConnectorError as error:
        return _notice(request, "PEX is not answering.", error.says, 503)
    return redirect(page)


def _notice(request: HttpRequest, heading: str, says: str, status: int) -> HttpResponse:
    context = {
        "heading": heading,
        "says": says,
        "dashboard": settings.PEX_DASHBOARD_URL,
        "signed_in": membership_of(request),
    }
    return render(request, "pages/sign_in/notice.html", context, status=status)


def _own_page(asked: str) -> str:
    """A page of ours to go on with; anything else counts as the first page."""
    return asked if asked.startswith("/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None) else "/"


def _address(request: HttpRequest) -> str:
    """The person's address, for PEX; "" where it is not known."""
    given = request.META.get("REMOTE_ADDR", "")
    if settings.SECURE_PROXY_SSL_HEADER:
        given = request.headers.get("X-Forwarded-For", given).split(",")[0].strip()
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        return ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
