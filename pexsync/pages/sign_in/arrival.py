"""A person arrives from PEX: who they are, what they may do where, and what is remembered of it."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.contrib.auth import login
from django.http import HttpRequest
from django.utils import timezone

from connectors.errors import ConnectorError, NoAnswer, NotAuthorized, NotReached, RecordRejected, RetryLater
from connectors.pex import auth, mapping
from connectors.pex.auth import SignIn
from connectors.pex.client import PexClient, PexSession
from pexsync import clock, crypto
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import BUSINESS
from pexsync.accounts.models import Business, Membership, User
from syncjobs import notices, runs

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

BACKEND = "pexsync.accounts.backend.PexBackend"
KEPT, HELD = "arrived", "held"  # in the session: an arrival that waits for an answer, sign-ins to end at sign-out
PATIENCE = timedelta(minutes=10)  # an arrival waits so long for the answer
GLANCE_LIFE = timedelta(minutes=10)  # PEX tells the account's figures ten times an hour
TROUBLE = "PEX did not answer. Launch PEX Sync from PEX again in a minute."


class NotAnAdmin(NotAuthorized):
    """A cardholder came; the product is for a business's administrators."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody PEX vouches for, not yet let in."""

    sign_in: SignIn
    business_id: int  # PEX's
    business_name: str
    username: str

    def sealed(self, bound_to: str) -> str:
        expires = self.sign_in.expires_at.isoformat() if self.sign_in.expires_at else None
        return crypto.seal(
            json.dumps([self.sign_in.secret(), expires, self.business_id, self.business_name, self.username]),
            bound_to,
        )

    @classmethod
    def unsealed(cls, text: str, bound_to: str) -> Self:
        """Raises `crypto.Unreadable`."""
        secret, expires, business_id, name, username = json.loads(crypto.unseal(text, bound_to))
        sign_in = SignIn.stored(secret, datetime.fromisoformat(expires) if expires else None)
        return cls(sign_in, business_id, name, username)


# --- arriving ---------------------------------------------------------------------------------------------------------


def launched(jwt: str, address: str) -> Arrival:
    """From the dashboard, with its one-time JWT. Raises `NotAuthorized`, `RetryLater`."""
    with _at_pex() as session:
        return _identified(session, auth.launched(session, jwt, address))


def consented(code: str, verifier: str, redirect_uri: str) -> Arrival:
    """From PEX's sign-in page, with a code. Raises `NotAuthorized`, `RetryLater`."""
    with _at_pex() as session:
        return _identified(session, auth.redeem(session, code, verifier, redirect_uri))


@contextmanager
def _at_pex() -> Iterator[PexSession]:
    try:
        with closing(PexSession()) as session:
            yield session
    except (NoAnswer, NotReached) as error:
        raise RetryLater(TROUBLE) from error


def _identified(session: PexSession, sign_in: SignIn) -> Arrival:
    """Ask PEX whose token this is; a cardholder's is given back at once."""
    client = PexClient(sign_in.token, session)
    try:
        given = client.current_token()
    except RecordRejected:  # a kind of token that call is not made for
        given = {"BusinessAccountId": client.business_profile().get("BusinessAcctId")}
    if given.get("UserType", "Admin") not in ("Admin", 1):
        end(sign_in)
        raise NotAnAdmin("PEX Sync is for administrators of a business. Your PEX sign-in is a cardholder's.")
    if not isinstance(given.get("BusinessAccountId"), int):
        raise RetryLater(TROUBLE)
    expires_at = sign_in.expires_at or auth.expiry(given)
    return Arrival(
        sign_in=SignIn(sign_in.token, expires_at, sign_in.refresh),
        business_id=given["BusinessAccountId"],
        business_name=given.get("BusinessAccountName") or "",
        username=plain(given.get("Username") or ""),
    )


def plain(username: str) -> str:
    """PEX does not tell large from small letters in user names."""
    return username.strip().lower()


# --- letting in -------------------------------------------------------------------------------------------------------


def welcome(request: HttpRequest, arrival: Arrival) -> Membership:
    """Remember what PEX says of the person and the business, and begin a fresh session. Raises `ConnectorError`."""
    known = Business.objects.filter(pex_id=arrival.business_id).first()
    with _at_pex() as session:
        client = PexClient(arrival.sign_in.token, session)
        admin = mapping.admin(client.my_profile())
        settings = _if_allowed(client.business_settings)
        details = {} if known and _fresh(known) else _if_allowed(client.account_details)
    with tenancy.everywhere():
        business = _business(arrival, details, settings)
        user = _user(arrival, admin)
        membership, _ = Membership.objects.update_or_create(
            business=business,
            user=user,
            defaults={"admin_id": admin.admin_id, "permissions": list(admin.permissions)},
        )
    adopted = auth.adopt(business, user, arrival.sign_in, admin.permissions)
    if adopted:
        _go_on(business, user)
    _begin_session(request, membership, None if adopted else arrival)
    logger.info("signed in", extra={"business": business.pk, "user": user.pk, "syncs": adopted})
    return membership


def _go_on(business: Business, user: User) -> None:
    """PEX lets us in again: what its absence held up goes by itself."""
    with tenancy.scope(business.pk):
        connections = list(business.connections.all())
    for connection in connections:
        if notices.over(connection, notices.PEX, notices.PERMISSION):
            runs.resume(connection, user)


def _fresh(business: Business) -> bool:
    return business.glance_at is not None and clock.now() - business.glance_at < GLANCE_LIFE


def _if_allowed(call: Any) -> JSON:
    """What is nice to know: a missing permission or a limit does not keep anybody out."""
    try:
        given: JSON = call()
    except ConnectorError as error:
        logger.info("not told at sign-in", extra={"why": error.says})
        return {}
    return given


def _business(arrival: Arrival, details: JSON, settings: JSON) -> Business:
    business, _ = Business.objects.get_or_create(
        pex_id=arrival.business_id, defaults={"name": arrival.business_name or f"PEX account {arrival.business_id}"}
    )
    business.name = (details.get("BusinessName") or arrival.business_name or business.name)[:200]
    if settings.get("FundingSource") in Business.Funding.values:
        business.funding = settings["FundingSource"]
    if isinstance(settings.get("TagsEnabled"), bool):
        business.tags_enabled = settings["TagsEnabled"]
    if details:
        business.glance = business.glance | mapping.glance(details, settings)
        business.glance_at = clock.now()
    business.save()
    return business


def _user(arrival: Arrival, admin: mapping.Admin) -> User:
    username = plain(admin.username) or arrival.username
    if not username:
        raise RetryLater(TROUBLE)
    user = User.objects.filter(username=username).first() or User(username=username)
    # A name at PEX must never open a place of ours that PEX knows nothing about.
    if user.staff or not user.is_active:
        logger.warning("sign-in refused", extra={"user": user.pk})
        raise NotAuthorized("This PEX sign-in cannot be used here. Ask whoever runs PEX Sync.")
    user.name, user.email = admin.name[:200], admin.email[:254]
    if not user.password:
        user.set_unusable_password()
    user.save()
    return user


def _begin_session(request: HttpRequest, membership: Membership, unneeded: Arrival | None) -> None:
    """A new key and nothing of what another business left behind, but the sign-ins to be ended later."""
    held: list[str] = request.session.get(HELD, [])
    if unneeded:
        held = [*held, unneeded.sealed(HELD)]
    request.session.flush()
    login(request, membership.user, backend=BACKEND)
    request.session[BUSINESS] = membership.business_id
    if held:
        request.session[HELD] = held[-10:]


# --- the same browser, another business -------------------------------------------------------------------------------


def keep(request: HttpRequest, arrival: Arrival) -> None:
    """Let an arrival wait in the session, sealed, until the person has answered."""
    until = timezone.now() + PATIENCE
    request.session[KEPT] = {"sealed": arrival.sealed(_waits_for(request)), "until": until.isoformat()}


def kept(request: HttpRequest) -> Arrival | None:
    """The arrival that waits for an answer; None when there is none or it has waited too long."""
    waiting = request.session.get(KEPT)
    if not waiting or timezone.now() > datetime.fromisoformat(waiting["until"]):
        return None
    try:
        return Arrival.unsealed(waiting["sealed"], _waits_for(request))
    except crypto.Unreadable:
        return None


def _waits_for(request: HttpRequest) -> str:
    return f"{KEPT}:{request.user.pk}"


def switch(request: HttpRequest, membership: Membership) -> None:
    """Work in another business of the same person; nothing of the first one stays in the session."""
    _begin_session(request, membership, None)


def may_switch_to(membership: Membership, session_age: int) -> bool:
    """Whether PEX vouched for this place as lately as a session lives; older word may have been taken back."""
    return timezone.now() - membership.seen_at < timedelta(seconds=session_age)


# --- leaving ----------------------------------------------------------------------------------------------------------


def held(request: HttpRequest) -> list[Arrival]:
    """The sign-ins of this session that PEX should end with it."""
    found: list[Arrival] = []
    for text in request.session.get(HELD, []):
        try:
            found.append(Arrival.unsealed(text, HELD))
        except crypto.Unreadable:
            continue
    waiting = kept(request)
    return [*found, waiting] if waiting else found


def give_back(arrival: Arrival) -> None:
    """End a sign-in at PEX, unless it is the one that syncs."""
    business = Business.objects.filter(pex_id=arrival.business_id).first()
    if business is None or not auth.syncs_with(business, arrival.sign_in):
        end(arrival.sign_in)


def end(sign_in: SignIn) -> None:
    """Best effort: PEX allows few deletions a day, and what is left ends by itself."""
    try:
        with closing(PexSession()) as session:
            auth.revoke(session, sign_in)
    except (ConnectorError, NoAnswer, NotReached) as error:
        logger.info("sign-in not ended at PEX", extra={"why": str(error)})
