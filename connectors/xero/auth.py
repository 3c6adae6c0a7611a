"""How we come in: consent, tokens that rotate, and leaving again.

https://developer.xero.com/documentation/guides/oauth2/auth-flow and /token-types. An access token lives 30 minutes, a
refresh token is used once (its predecessor is still taken for 30 minutes) and dies after 60 days unused.
"""

import base64
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from django.conf import settings
from django.db import connections

from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RetryLater
from connectors.http import Session
from connectors.models import Connection, Credential
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.models import User

logger = logging.getLogger(__name__)

SYSTEM = "xero"
JSON = dict[str, Any]

UNUSED_LIFE = timedelta(days=60)
GRACE = timedelta(minutes=30)  # how long the refresh token before the present one is still taken
MARGIN = timedelta(seconds=60)  # renew a little early: a call may wait for its turn
LOSER_WAITS = 20  # seconds for another worker's renewal
TRIES = 2  # of one refresh token; a repeat within the grace is safe
RENEWAL_TIMEOUT = 15  # seconds
SENT_WITHIN = 40  # seconds of a claim in which a try may leave; its answer then comes within the claim's life

ENDED = (
    "The sign-in to Xero has ended. Most likely somebody took PEX Sync off the Connected apps there, or whoever signed "
    "in lost access. Connect to Xero again."
)
EXPIRED = "The sign-in to Xero was not used for 60 days and has ended. Connect to Xero again."


# --- consent ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignIn:
    """One way to Xero and back: the person goes to `url`; `state` and `verifier` wait in their session."""

    url: str
    state: str
    verifier: str


def begin() -> SignIn:
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": settings.XERO_CLIENT_ID,
        "redirect_uri": redirect_uri(),
        "scope": settings.XERO_SCOPES,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return SignIn(f"{settings.XERO_LOGIN_URL}/identity/connect/authorize?{urlencode(query)}", state, verifier)


def redirect_uri() -> str:
    return f"{settings.PUBLIC_URL}/xero/callback"


def code_of(answer: Mapping[str, str], state: str) -> str:
    """Return the code Xero sent the person back with. Raises `NotAuthorized` with what to tell them."""
    if not state or not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise NotAuthorized("This sign-in was not begun here or is too old. Press CONNECT once more.")
    error = answer.get("error", "")
    if error == "access_denied":
        raise NotAuthorized("Nothing was connected: access was not allowed in Xero. Press CONNECT to try again.")
    if error or not answer.get("code"):
        logger.error("xero sign-in refused", extra={"error": error})
        raise NotAuthorized(f"Xero did not allow the sign-in ({error or 'no code'}). Ask whoever runs PEX Sync.")
    return answer["code"]


def connect(connection: Connection, person: User, code: str, verifier: str) -> Credential:
    """Trade the code for tokens and let the connection use them. Raises `NotAuthorized`, `RetryLater`."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri(), "code_verifier": verifier}
    with closing(Session("Xero", connections=1)) as session:
        try:
            answer = _token(session, form)
        except _InvalidGrant as error:
            raise NotAuthorized("This sign-in to Xero is used up or too old. Press CONNECT once more.") from error
        except (NoAnswer, NotReached) as error:
            raise RetryLater("Xero does not answer. Press CONNECT once more.") from error
    with rows_of(connection.business_id):
        credential = Credential.store(connection.business, SYSTEM, person, _secret(answer), _expires_at(answer))
        before, connection.credential = connection.credential_id, credential
        connection.save(update_fields=["credential"])
    if before:
        _destroy_unused(before)
    return credential


# --- tokens -----------------------------------------------------------------------------------------------------------


class Access:
    """The access token of one connection, shared by the threads of one run."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self.connection, self.session = connection, session
        self._lock = threading.Lock()
        self._token = ""
        self._until: datetime | None = None

    def token(self) -> str:
        """A token that should be good. Raises `NotAuthorized`, `RetryLater`."""
        with self._lock:
            if not self._token or _expired(self._until):
                self._fetch(rejected="")
            return self._token

    def renewed(self, rejected: str) -> str:
        """Another token than the one Xero would not take; renewed once, whoever asks first."""
        with self._lock:
            if self._token == rejected:
                self._fetch(rejected)
            return self._token

    def scopes(self) -> set[str]:
        """What the person allowed, as the tokens say."""
        secret = _load(self.connection).secret()
        return set(str(secret.get("scope", "")).split())

    def _fetch(self, rejected: str) -> None:
        """Take the stored token, or renew it; of all workers one renews and the others wait for what it saves."""
        give_up = time.monotonic() + LOSER_WAITS
        while time.monotonic() < give_up:
            credential = _load(self.connection)
            secret = credential.secret()
            if secret["access_token"] != rejected and not _expired(credential.expires_at):
                self._keep(credential)
                return
            deadline = Deadline.after(SENT_WITHIN)
            with rows_of(credential.business_id):
                mine = credential.claim_renewal()
            if mine and self._renew(credential, secret, deadline):
                return
            time.sleep(0.2)
        raise RetryLater("The sign-in to Xero is being renewed. We keep trying; no action is needed.", after=30)

    def _renew(self, credential: Credential, secret: JSON, deadline: Deadline) -> bool:
        """Renew as the claimant: saved before it is used. False when somebody else's tokens are newer."""
        version = credential.version
        try:
            answer = _renewal(self.session, credential, secret, deadline)
        except _InvalidGrant as ended:
            if _bury(credential, str(ended)):
                raise NotAuthorized(str(ended)) from ended
            return False
        except BaseException:
            with rows_of(credential.business_id):
                credential.release_claim()
            raise
        with rows_of(credential.business_id):
            credential.save_renewed(_secret(answer, before=secret), _expires_at(answer))
        if credential.version == version:
            return False
        self._keep(credential)
        return True

    def _keep(self, credential: Credential) -> None:
        self._token, self._until = credential.secret()["access_token"], credential.expires_at


def _expired(at: datetime | None) -> bool:
    return at is not None and clock.now() >= at - MARGIN


def _load(connection: Connection) -> Credential:
    """The credential this connection uses now. One lent by another business of the same person is that one's row."""
    with _closing(), tenancy.reading(connection.business_id):
        found = Credential.objects.filter(connections=connection.pk).first()
    if found is None:
        with _any_rows():
            found = Credential.objects.filter(connections=connection.pk).first()
    if found is None:
        raise NotAuthorized("There is no sign-in to Xero yet. Press CONNECT.")
    return found


def _bury(credential: Credential, reason: str) -> bool:
    """The credential is dead, unless it was renewed meanwhile."""
    with rows_of(credential.business_id):
        credential.die(reason)
        credential.refresh_from_db()
    return credential.state == Credential.State.DEAD


def _renewal(session: Session, credential: Credential, secret: JSON, deadline: Deadline) -> JSON:
    """Ask with the present refresh token, and within the grace with the one before it. Raises `_InvalidGrant`."""
    age = clock.now() - credential.renewed_at
    if age > UNUSED_LIFE:
        raise _InvalidGrant(EXPIRED)
    try:
        return _refresh(session, secret["refresh_token"], deadline)
    except _InvalidGrant:
        before = secret.get("previous_refresh_token")
        if not before or age > GRACE:
            raise
        return _refresh(session, before, deadline)


def _refresh(session: Session, token: str, deadline: Deadline) -> JSON:
    """A lost answer is asked for again: until a new pair is saved, the old token is still taken."""
    for _ in range(TRIES):
        try:
            return _token(session, {"grant_type": "refresh_token", "refresh_token": token}, deadline)
        except (NoAnswer, NotReached) as error:
            lost = error
    raise RetryLater("Xero's sign-in does not answer. We keep trying; no action is needed.") from lost


class _InvalidGrant(Exception):
    """Code or refresh token is used, expired, revoked or another app's."""


def _token(session: Session, form: Mapping[str, str], deadline: Deadline | None = None) -> JSON:
    """One call of the token address. Raises `_InvalidGrant`, `RetryLater`, `NoAnswer`, `NotReached`."""
    answer = _post(session, "/connect/token", form, deadline)
    body = _json(answer)
    if answer.status_code == 200:
        if not body.get("access_token"):
            raise NoAnswer("Xero's sign-in sent half an answer.")
        return body
    error = str(body.get("error", ""))
    if error == "invalid_grant":
        raise _InvalidGrant(ENDED)
    # Anything else is about this installation, never about the customer: asking them to connect again would not help.
    logger.error("xero refuses this installation", extra={"status": answer.status_code, "error": error})
    raise RetryLater(
        "Xero does not accept this installation of PEX Sync. Whoever runs it must check XERO_CLIENT_ID, "
        "XERO_CLIENT_SECRET and XERO_SCOPES; you need not connect again.",
        after=900,
    )


def revoke(session: Session, token: str) -> None:
    """End the whole grant of this person: every organisation of theirs. What fails here is over anyway."""
    try:
        _post(session, "/connect/revocation", {"token": token})
    except (NoAnswer, NotReached, RetryLater) as error:
        logger.warning("xero revocation unanswered", extra={"error": str(error)})


def _post(session: Session, path: str, form: Mapping[str, str], deadline: Deadline | None = None) -> httpx.Response:
    known: dict[str, Any] = {"data": dict(form), "deadline": deadline}
    if settings.XERO_CLIENT_SECRET:
        known["auth"] = (settings.XERO_CLIENT_ID, settings.XERO_CLIENT_SECRET)
    else:
        known["data"]["client_id"] = settings.XERO_CLIENT_ID  # an app without a secret, PKCE only
    return session.write("POST", f"{settings.XERO_IDENTITY_URL}{path}", timeout=RENEWAL_TIMEOUT, **known)


def _json(answer: httpx.Response) -> JSON:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _secret(answer: JSON, before: JSON | None = None) -> JSON:
    return {
        "access_token": answer["access_token"],
        "refresh_token": answer.get("refresh_token", ""),
        "previous_refresh_token": before["refresh_token"] if before else "",
        "scope": answer.get("scope", before["scope"] if before else ""),
    }


def _expires_at(answer: JSON) -> datetime:
    return clock.now() + timedelta(seconds=float(answer.get("expires_in", 1800)))


# --- leaving ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Others:
    """What other connections of this installation would lose."""

    use_company: bool  # someone else here writes to the same organisation
    use_credential: bool


def others(connection: Connection) -> Others:
    with _any_rows():
        rest = Connection.objects.filter(system=SYSTEM, credential__isnull=False).exclude(pk=connection.pk)
        return Others(
            use_company=bool(connection.company) and rest.filter(company=connection.company).exists(),
            use_credential=rest.filter(credential=connection.credential_id).exists(),
        )


def refresh_token(connection: Connection) -> str:
    return str(_load(connection).secret().get("refresh_token", ""))


def forget(connection: Connection) -> None:
    """Take the credential from the connection and destroy it, when nobody else uses it. Settings and ledger stay."""
    with rows_of(connection.business_id):
        before, connection.credential = connection.credential_id, None
        connection.state = Connection.State.INSTALLED
        connection.save(update_fields=["credential", "state"])
    if before:
        _destroy_unused(before)


def _destroy_unused(credential_id: int) -> None:
    with _any_rows():
        if not Connection.objects.filter(credential=credential_id).exists():
            Credential.objects.filter(pk=credential_id).delete()


# --- where the rows are -----------------------------------------------------------------------------------------------


@contextmanager
def rows_of(business_id: int) -> Iterator[None]:
    """The tenant's rows for a moment. A database connection this thread opened only for it is closed again."""
    with _closing(), tenancy.scope(business_id):
        yield


@contextmanager
def _any_rows() -> Iterator[None]:
    with _closing(), tenancy.everywhere():
        yield


@contextmanager
def _closing() -> Iterator[None]:
    database = connections["default"]
    opened_here = database.connection is None
    try:
        yield
    finally:
        if opened_here:
            database.close()
