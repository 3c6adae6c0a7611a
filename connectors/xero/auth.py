"""How we come in: consent, tokens that rotate, and leaving again.

https://developer.xero.com/documentation/guides/oauth2/auth-flow and /token-types. An access token lives 30 minutes, a
refresh token is used once (its predecessor is still taken for 30 minutes) and dies after 60 days unused.
"""

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from django.conf import settings

from connectors import sign_in
from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RetryLater
from connectors.http import Session
from connectors.models import Connection, Credential
from connectors.sign_in import Ended, Fresh
from pexsync import clock
from pexsync.accounts.models import User

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

UNUSED_LIFE = timedelta(days=60)
GRACE = timedelta(minutes=30)  # how long the refresh token before the present one is still taken
TRIES = 2  # of one refresh token; a repeat within the grace is safe
RENEWAL_TIMEOUT = 15  # seconds

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
        except Ended as error:
            raise NotAuthorized("This sign-in to Xero is used up or too old. Press CONNECT once more.") from error
        except (NoAnswer, NotReached) as error:
            raise RetryLater("Xero does not answer. Press CONNECT once more.") from error
    return sign_in.adopt(connection, person, Fresh(_secret(answer), _expires_at(answer)))


# --- tokens -----------------------------------------------------------------------------------------------------------


class Access(sign_in.Access):
    """Renewed by the refresh token, which is used once."""

    NAME = "Xero"

    def __init__(self, connection: Connection, session: Session) -> None:
        super().__init__(connection)
        self.session = session

    def scopes(self) -> set[str]:
        """What the person allowed, as the tokens say."""
        return set(str(self.secret().get("scope", "")).split())

    def renewal(self, credential: Credential, secret: JSON, deadline: Deadline) -> Fresh:
        answer = _renewal(self.session, credential, secret, deadline)
        return Fresh(_secret(answer, before=secret), _expires_at(answer))


def _renewal(session: Session, credential: Credential, secret: JSON, deadline: Deadline) -> JSON:
    """Ask with the present refresh token, and within the grace with the one before it. Raises `Ended`."""
    age = clock.now() - credential.renewed_at
    if age > UNUSED_LIFE:
        raise Ended(EXPIRED)
    try:
        return _refresh(session, secret["refresh_token"], deadline)
    except Ended:
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


def _token(session: Session, form: Mapping[str, str], deadline: Deadline | None = None) -> JSON:
    """One call of the token address. Raises `Ended`, `RetryLater`, `NoAnswer`, `NotReached`."""
    answer = _post(session, "/connect/token", form, deadline)
    body = _json(answer)
    if answer.status_code == 200:
        if not body.get("access_token"):
            raise NoAnswer("Xero's sign-in sent half an answer.")
        return body
    error = str(body.get("error", ""))
    if error == "invalid_grant":
        raise Ended(ENDED)
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


def refresh_token(connection: Connection) -> str:
    return str(sign_in.load(connection, Access.NAME).secret().get("refresh_token", ""))
