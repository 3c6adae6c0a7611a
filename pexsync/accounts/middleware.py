"""Which business a request is for, and the wall around the view that answers it.

A view of a signed-in person runs inside one transaction in which only its business's rows exist: `tenancy.reading`
for GET and HEAD, `tenancy.scope` for what writes. A view that talks to other systems is marked `outside` and opens
short scopes of its own, since nobody is called inside a transaction. On SQLite a page that only reads opens none.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect

from pexsync.accounts import tenancy
from pexsync.accounts.models import BusinessRequest, Membership
from pexsync.accounts.permissions import Permission

View = Callable[..., HttpResponseBase]
Some = TypeVar("Some", bound=View)

BUSINESS = "business"  # the session's key for the business the person works in
PUBLIC = frozenset({"healthz", "readyz", "metrics"})  # url names anybody may open, beside views marked `public`
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def outside(view: Some) -> Some:
    """The view talks to other systems: no transaction around it, it opens its own scopes."""
    view.outside = True  # type: ignore[attr-defined]  # a mark the middleware looks for
    return view


def public(view: Some) -> Some:
    """Anybody may open the view, signed in or not; it finds no `request.business`."""
    view.public = True  # type: ignore[attr-defined]  # a mark the middleware looks for
    return view


def needs(*permissions: Permission) -> Callable[[Some], Some]:
    """The view is for people with all these permissions; others are told which they lack and where to get them."""

    def guarded(view: Some) -> Some:
        @wraps(view)
        def guard(request: BusinessRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
            missing = request.membership.missing(permissions)
            if missing:
                raise PermissionDenied(", ".join(permission.label for permission in missing))
            return view(request, *args, **kwargs)

        return cast(Some, guard)

    return guarded


class TenantMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if hasattr(request, "business") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)  # money is nobody's cache's business
        return response

    def process_view(
        self, request: HttpRequest, view: View, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        """Answer for the view, so that the wall stands around it; None lets Django call it as usual."""
        match = request.resolver_match
        if getattr(view, "public", False) or (match and match.view_name in PUBLIC):
            return None
        membership = membership_of(request)
        if membership is None:
            return _to_sign_in(request)
        request.business, request.membership = membership.business, membership  # type: ignore[attr-defined]  # BusinessRequest
        if getattr(view, "outside", False):
            return None
        around = tenancy.reading if request.method in SAFE else tenancy.scope
        with around(membership.business_id):
            response = view(request, *args, **kwargs)
            if response is None:
                raise TypeError(f"{view!r} gave no answer")  # else Django would call it once more
            late = getattr(response, "render", None)
            return late() if callable(late) else response


def membership_of(request: HttpRequest) -> Membership | None:
    """The place the session's person works in, None where nobody is signed in."""
    business = request.session.get(BUSINESS)
    if business is None or not request.user.is_authenticated:
        return None
    with tenancy.reading(business):
        places = Membership.objects.select_related("business", "user")
        return places.filter(business_id=business, user=request.user.pk).first()


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    asked = request.get_full_path() if request.method == "GET" and not getattr(request, "htmx", False) else "/"
    address = settings.LOGIN_URL if asked == "/" else f"{settings.LOGIN_URL}?{urlencode({'next': asked})}"
    if getattr(request, "htmx", False):
        return HttpResponseClientRedirect(address)
    return redirect(address)
