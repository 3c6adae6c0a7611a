"""How we come in to PEX: a dashboard launch, OAuth 2.1, and the stored sign-in that syncs.

External tokens live six months and can be renewed in their last one. OAuth access tokens live minutes; their refresh
tokens rotate, and a second use of one ends the whole family, so a refresh without an answer is never repeated.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.conf import settings
from django.core.cache import cache

from connectors.connector import Deadline
from connectors.errors import ConnectorError, NoAnswer, NotAuthorized, NotNow, NotReached, RetryLater
from connectors.http import json_of
from connectors.models import PEX, Credential
from connectors.pex import client as wire
from connectors.pex import mapping
from connectors.pex.client import PexClient, PexSession, Token, TokenDead
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.models import Business, User
from pexsync.accounts.permissions import CONNECTOR, Permission

JSON = dict[str, Any]

SCOPE = "openid offline_access"
ZONE_MARGIN = timedelta(days=1)  # PEX does not say in which zone a token's expiry is counted
RENEW_EARLY = timedelta(days=26)  # within the last month whatever its length
RENEW_AGAIN = timedelta(hours=6)  # between two tries to renew a token that still works
REFRESH_EARLY = timedelta(minutes=5)
JUST_RENEWED = timedelta(minutes=1)
SENT_WITHIN = 20  # seconds of a claim in which a refresh may leave; its answer then comes within the claim's life
RETIRE_AFTER = timedelta(hours=1)  # slices that still use the sign-in a newer one replaced have ended by then

LAUNCH = "Launch PEX Sync from PEX to connect it."
NOBODY = f"PEX is not connected: nobody with all permissions has signed in yet. {LAUNCH}"
LOST = f"PEX did not answer while the sign-in was renewed, so it has ended. {LAUNCH}"
ENDED = f"PEX has ended the sign-in that syncs. {LAUNCH}"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a person's sign-in gave us: an external token, or an OAuth pair with its refresh token."""

    token: Token
    expires_at: datetime | None = None  # of the token; None: unknown
    refresh: Token | None = None

    def secret(self) -> dict[str, str]:
        return {
            "token": self.token.text,
            "scheme": self.token.scheme,
            "refresh": self.refresh.text if self.refresh else "",
        }

    @classmethod
    def stored(cls, secret: JSON, expires_at: datetime | None) -> Self:
        refresh = Token(secret["refresh"], "refresh") if secret["refresh"] else None
        return cls(Token(secret["token"], secret["scheme"]), expires_at, refresh)

    @property
    def rotating(self) -> bool:
        return self.refresh is not None

    @property
    def lasting(self) -> bool:
        """An OAuth access token alone ends within minutes."""
        return self.rotating or self.token.scheme == "token"


# --- a person signs in ------------------------------------------------------------------------------------------------


def launched(session: PexSession, jwt: str, address: str = "") -> SignIn:
    """A launch from the dashboard. Raises `NotAuthorized` when the JWT is stale or used."""
    return SignIn(wire.exchange(jwt, session, address))


def configured() -> bool:
    """Whether the operator registered PEX Sync for OAuth."""
    return bool(settings.PEX_OAUTH_CLIENT_ID)


def authorize_url(session: PexSession, redirect_uri: str, state: str, verifier: str) -> str:
    """The address at PEX where the person consents."""
    url: str = prepare_grant_uri(
        discovery(session)["authorization_endpoint"],
        settings.PEX_OAUTH_CLIENT_ID,
        "code",
        redirect_uri,
        SCOPE,
        state,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return url


def redeem(session: PexSession, code: str, verifier: str, redirect_uri: str) -> SignIn:
    """Turn the code of a consent into tokens. Raises `NotAuthorized`, `RetryLater`, `NoAnswer`, `NotReached`."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "client_id": settings.PEX_OAUTH_CLIENT_ID,
        "redirect_uri": redirect_uri,
    }
    return _granted(_post(session, "token_endpoint", form))


def discovery(session: PexSession) -> JSON:
    """Where PEX's OAuth host keeps its doors; remembered for an hour."""
    url = f"{settings.PEX_OAUTH_URL}/.well-known/openid-configuration"
    found = cache.get(url)
    if found is None:
        response = session.read("GET", url, headers={"Accept": "application/json"})
        found = json_of(response, wire.NAME) if response.is_success else {}
        if not isinstance(found, dict) or "token_endpoint" not in found or "authorization_endpoint" not in found:
            raise RetryLater("PEX's sign-in page cannot be reached. Try again in a minute.")
        cache.set(url, found, 3600)
    return dict(found)


def revoke(session: PexSession, sign_in: SignIn) -> None:
    """End a sign-in at PEX. Raises `NoAnswer`, `NotReached`, `RetryLater`; one that has ended is as good."""
    if sign_in.refresh is None:
        PexClient(sign_in.token, session).delete_token()
    elif "revocation_endpoint" in discovery(session):
        form = {"token": sign_in.refresh.text, "client_id": settings.PEX_OAUTH_CLIENT_ID}
        _post(session, "revocation_endpoint", form)


def _refreshed(session: PexSession, refresh: Token, deadline: Deadline) -> SignIn:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh.text,
        "client_id": settings.PEX_OAUTH_CLIENT_ID,
    }
    return _granted(_post(session, "token_endpoint", form, deadline))


def _post(session: PexSession, endpoint: str, form: dict[str, str], deadline: Deadline | None = None) -> httpx.Response:
    headers, timeout = {"Accept": "application/json"}, httpx.Timeout(30, connect=10, write=5)
    address = discovery(session)[endpoint]
    return session.write("POST", address, deadline=deadline, data=form, headers=headers, timeout=timeout)


def _granted(response: httpx.Response) -> SignIn:
    try:
        given = json_of(response, wire.NAME)
    except RetryLater as error:
        raise NoAnswer("PEX's answer about the sign-in cannot be read.") from error
    if not response.is_success:
        raise NotAuthorized(ENDED if given.get("error") == "invalid_grant" else _operator(given))
    try:
        token, seconds = Token(given["access_token"], "Bearer"), int(given.get("expires_in") or 600)
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer("PEX's answer about the sign-in lacks the token.") from error
    refresh = given.get("refresh_token")
    expires_at = clock.now() + timedelta(seconds=seconds)
    return SignIn(token, expires_at, Token(refresh, "refresh") if refresh else None)


def _operator(given: Any) -> str:
    word = given.get("error") if isinstance(given, dict) else None
    return f"PEX refused this installation's sign-in ({word or 'no reason given'}). Tell whoever runs it."


# --- the sign-in that syncs -------------------------------------------------------------------------------------------


def adopt(business: Business, user: User, sign_in: SignIn, permissions: Collection[str]) -> bool:
    """Make this the sign-in that syncs; False where it is not fit to be.

    Only one with all permissions of a connector replaces another. An OAuth pair does not replace an external token
    that lives: it ends sooner.
    """
    if any(permission.value not in permissions for permission in CONNECTOR) or not sign_in.lasting:
        return False
    with tenancy.scope(business.pk):
        Business.objects.select_for_update().get(pk=business.pk)  # two sign-ins at once: one after the other
        present = _opened(_stored(business))
        if present and sign_in.rotating and not present["refresh"]:
            return False
        business.credentials.filter(system=PEX).delete()
        retired = {name: present[name] for name in ("token", "scheme", "refresh")} if present else None
        Credential.store(business, PEX, user, {**sign_in.secret(), "retired": retired}, sign_in.expires_at)
    return True


def syncing(business: Business) -> Credential | None:
    """Whose sign-in syncs, and whether it is alive."""
    with tenancy.reading(business.pk):
        return _stored(business)


def syncs_with(business: Business, sign_in: SignIn) -> bool:
    """Whether this very sign-in is the one that syncs."""
    secret = _opened(syncing(business))
    if secret is None:
        return False
    same_pair = sign_in.refresh is not None and secret["refresh"] == sign_in.refresh.text
    return same_pair or bool(secret["token"] == sign_in.token.text)


@contextmanager
def client_for(business: Business) -> Iterator[PexClient]:
    """Open the stored sign-in of a business, renewed where that is due.

    Raises `NotAuthorized` when there is none or it is dead. Never call it inside a transaction.
    """
    session = PexSession(business.pex_id)
    try:
        keeper = _Keeper(business, session)
        keeper.retire()
        try:
            yield PexClient(keeper.fresh(), session, keeper)
        finally:
            keeper.close()
    finally:
        session.close()


def missing_permissions(client: PexClient) -> list[Permission]:
    """What the person whose sign-in syncs may no longer do, asked of PEX now."""
    switched_on = mapping.admin(client.my_profile()).permissions
    return [permission for permission in CONNECTOR if permission.value not in switched_on]


def _stored(business: Business) -> Credential | None:
    return business.credentials.filter(system=PEX).select_related("owner").order_by("-pk").first()


def _opened(credential: Credential | None) -> JSON | None:
    """The secret; None where there is none, or it is dead or cannot be read any more."""
    try:
        return credential.secret() if credential else None
    except NotAuthorized:
        return None


class _Keeper:
    """Looks after the stored sign-in while a client uses it: renews it in time, takes note when PEX ends it.

    Renewal is claimed by compare-and-set, asked for outside any transaction, and saved before it is used. Only the
    thread that opened the client renews and writes; the others use the token as it is and leave word.
    """

    def __init__(self, business: Business, session: PexSession) -> None:
        self.business, self.session, self.thread = business, session, threading.get_ident()
        self.heard: TokenDead | None = None
        self._load()

    def fresh(self) -> Token:
        if self._due() and threading.get_ident() == self.thread:
            self._renew()
        return self.sign_in.token

    def refused(self, error: TokenDead) -> ConnectorError:
        if threading.get_ident() == self.thread:
            return self._settle(error)
        self.heard = error
        return NotNow("The PEX sign-in is renewed first.", after=1) if self.sign_in.rotating else error

    def close(self) -> None:
        if self.heard:
            self._settle(self.heard)

    def retire(self) -> None:
        """End at PEX the sign-in that this one replaced, once nobody uses it any more."""
        retired = self.credential.secret().get("retired")
        if not retired or clock.now() - self.credential.renewed_at < RETIRE_AFTER:
            return
        with tenancy.scope(self.business.pk):
            won = self.credential.claim_renewal() and not self.credential.abandoned
            if won:
                self.credential.save_renewed(self.sign_in.secret(), self.sign_in.expires_at)
        if won:
            with suppress(ConnectorError, NoAnswer, NotReached):
                revoke(self.session, SignIn.stored(retired, None))

    def _settle(self, error: TokenDead) -> ConnectorError:
        """The token is dead: unless it was replaced meanwhile, or can be renewed, so is the credential."""
        used = (self.credential.pk, self.credential.version)
        try:
            self._load()
            if (self.credential.pk, self.credential.version) == used:
                if not self.sign_in.rotating or clock.now() - self.credential.renewed_at < JUST_RENEWED:
                    self._die(str(error))
                self._renew()
        except ConnectorError as trouble:
            return trouble
        return RetryLater("The PEX sign-in was just renewed. We go on with the new one.", after=1)

    def _load(self) -> None:
        with tenancy.reading(self.business.pk):
            credential = _stored(self.business)
        if credential is None:
            raise NotAuthorized(NOBODY)
        self.credential = credential
        self.sign_in = SignIn.stored(credential.secret(), credential.expires_at)

    def _due(self) -> bool:
        expires_at, now = self.credential.expires_at, clock.now()
        if expires_at is None:
            return False
        if self.sign_in.rotating:
            return now > expires_at - REFRESH_EARLY
        tried = self.credential.claimed_at
        return now > expires_at - RENEW_EARLY and (tried is None or now - tried > RENEW_AGAIN)

    def _renew(self) -> None:
        if self.sign_in.rotating:
            try:
                discovery(self.session)  # asked before the claim, whose life is short
            except RetryLater as error:
                self._make_do(error)
                return
        deadline = Deadline.after(SENT_WITHIN)
        with tenancy.scope(self.business.pk):
            won = self.credential.claim_renewal()
        self.credential.claimed_at = clock.now()
        if not won:
            self._follow()
        elif self.sign_in.refresh is None:
            self._renew_token()
        elif self.credential.abandoned:  # somebody used the refresh token and died before saving what came of it
            self._die(LOST)
        else:
            self._refresh_pair(self.sign_in.refresh, deadline)

    def _follow(self) -> None:
        """Somebody else renews it now: use theirs once it is saved, and what we have while it lasts."""
        self._load()
        expires_at = self.credential.expires_at
        if expires_at is not None and clock.now() >= expires_at:
            raise RetryLater("The PEX sign-in is being renewed. We go on in a moment.", after=5)

    def _renew_token(self) -> None:
        """A new token beside the old one, which keeps its own expiry: nothing is lost when this does not work."""
        try:
            given = PexClient(self.sign_in.token, self.session).renew()
        except TokenDead as error:
            self._die(str(error))
        except (ConnectorError, NoAnswer, NotReached):
            given = None
        if given and given.get("Token"):
            expires_at = expiry(given)
            self._save(SignIn(Token(given["Token"]), expires_at))
        else:
            self._release()

    def _refresh_pair(self, refresh: Token, deadline: Deadline) -> None:
        try:
            fresh = _refreshed(self.session, refresh, deadline)
        except NotAuthorized as error:
            self._die(str(error))
        except NoAnswer:
            self._die(LOST)
        except (RetryLater, NotReached) as error:
            self._release()
            self._make_do(error)
        else:
            self._save(fresh)

    def _make_do(self, error: RetryLater | NotReached) -> None:
        """PEX could not be asked: what we have is used while it lasts."""
        expires_at = self.credential.expires_at
        if expires_at is None or clock.now() >= expires_at:
            raise RetryLater("PEX cannot be reached to renew the sign-in. We keep trying.", error.after) from error

    def _save(self, fresh: SignIn) -> None:
        with tenancy.scope(self.business.pk):
            self.credential.save_renewed(fresh.secret(), fresh.expires_at)
        self._load()  # where somebody signed in meanwhile, theirs counts

    def _release(self) -> None:
        with tenancy.scope(self.business.pk):
            self.credential.release_claim()

    def _die(self, reason: str) -> NoReturn:
        with tenancy.scope(self.business.pk):
            self.credential.die(reason)
        raise TokenDead(reason)


def expiry(given: JSON) -> datetime | None:
    """When an external token ends, by `Token/Current` or `Token/Renew`."""
    moment = mapping.utc(given.get("TokenExpiration"))
    return moment - ZONE_MARGIN if moment else None
