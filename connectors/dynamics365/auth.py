"""How we come in: a person's consent at Microsoft Entra, and the tokens msal keeps for it.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow. An access token lives about an hour, a
refresh token 90 days unused; each renewal brings another one, and the one before is still taken.
"""

import hmac
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import httpx
import msal
from django.conf import settings

from connectors import sign_in
from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RetryLater
from connectors.http import Session
from connectors.limits import Limits
from connectors.models import Connection, Credential
from connectors.sign_in import Ended, Fresh
from pexsync import clock
from pexsync.accounts.models import User

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

NAME = "Dynamics 365"
LOGIN = "https://login.microsoftonline.com"  # msal takes no other; the calls go to ENTRA_URL
ANYBODY = "organizations"  # every tenant, no personal accounts
SCOPES = ["https://api.businesscentral.dynamics.com/.default"]  # msal adds what a sign-in needs besides
TRIES = 2  # of one renewal: the refresh token is still good after use
TIMEOUT = 15  # seconds
LONGEST_REASON = 300  # characters of a sentence that is kept with the credential
ASKS_AGAIN = frozenset({"interaction_required", "login_required"})
PASSING = frozenset({"temporarily_unavailable", "server_error"})

ENDED = (
    "The sign-in to Dynamics 365 has ended. Most likely a password was changed, somebody took PEX Sync its access, or "
    "it was not used for 90 days. Connect to Dynamics 365 again."
)
SIGN_IN_ANEW = (
    "Microsoft wants whoever signed in to prove once more who they are, as their organization demands. Connect to "
    "Dynamics 365 again."
)
NO_CONSENT = "Your organization allows PEX Sync no longer. Connect again; an administrator may have to allow it."
NO_SERVICE = (
    "The organization of whoever signed in has no Business Central. Connect to Dynamics 365 as somebody who works in "
    "it."
)
USED_UP = "This sign-in to Dynamics 365 is used up or too old. Press CONNECT once more."
FOR_ALL = "PEX Sync is allowed for the whole organization now. Press CONNECT to sign in."
NOT_FOR_ALL = (
    "PEX Sync was not allowed for the whole organization. An administrator can open the address again and allow it."
)
SILENT = "Microsoft's sign-in does not answer. We keep trying; no action is needed."

logging.getLogger("msal.token_cache").setLevel(logging.INFO)  # its debug lines show codes and verifiers
# msal recommends answers as a posted form. From another site such a form comes without our session's cookie.
warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended", category=UserWarning)


# --- consent ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignIn:
    """One way to Microsoft and back: the person goes to `url`; `state` and `verifier` wait in their session.

    `verifier`: what msal gave and wants to see again, as JSON.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    verifier: str = field(repr=False)


def begin() -> SignIn:
    """Calls nobody."""
    with closing(EntraSession()) as session:
        app = _app(session, ANYBODY, msal.SerializableTokenCache())
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=redirect_uri(), prompt="select_account")
    return SignIn(flow["auth_uri"], flow["state"], json.dumps(flow))


def redirect_uri() -> str:
    return f"{settings.PUBLIC_URL}/dynamics365/callback"


def admin_consent_url() -> str:
    """Where an administrator allows PEX Sync for everybody of their tenant."""
    query = {"client_id": settings.ENTRA_CLIENT_ID, "scope": SCOPES[0], "redirect_uri": redirect_uri()}
    return f"{settings.ENTRA_URL}/{ANYBODY}/v2.0/adminconsent?{urlencode(query, safe=':/')}"


def code_of(answer: Mapping[str, str], state: str) -> str:
    """Return the code Microsoft sent the person back with. Raises `NotAuthorized` with what to tell them."""
    if answer.get("admin_consent", "").lower() == "true":  # a refusal on the administrators' page has it too
        raise NotAuthorized(NOT_FOR_ALL if answer.get("error") else FOR_ALL)
    if not state or not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise NotAuthorized("This sign-in was not begun here or is too old. Press CONNECT once more.")
    error = answer.get("error", "")
    if error == "access_denied":
        raise NotAuthorized("Nothing was connected: access was not allowed at Microsoft. Press CONNECT to try again.")
    if error == "consent_required":
        raise NotAuthorized(
            "An administrator of your organization must allow PEX Sync first. Send them this address, and press "
            f"CONNECT when they have: {admin_consent_url()}"
        )
    if error == "invalid_resource":
        raise NotAuthorized(NO_SERVICE)
    if error in ASKS_AGAIN or error in PASSING:
        raise NotAuthorized("Microsoft did not finish the sign-in. Press CONNECT once more.")
    if error or not answer.get("code"):
        logger.error("dynamics365 sign-in refused", extra={"error": error, "number": _number(answer)})
        raise NotAuthorized(f"Microsoft did not allow the sign-in ({error or 'no code'}). Ask whoever runs PEX Sync.")
    return answer["code"]


def connect(connection: Connection, person: User, code: str, verifier: str) -> Credential:
    """Trade the code for tokens and let the connection use them. Raises `NotAuthorized`, `RetryLater`."""
    cache = msal.SerializableTokenCache()
    with closing(EntraSession()) as session:
        try:
            app = _app(session, ANYBODY, cache)
            answer = _granted(_redeemed(app, code, verifier), ended=USED_UP)
        except Ended as error:
            raise NotAuthorized(str(error)) from error
        except (NoAnswer, NotReached) as error:
            raise RetryLater("Microsoft's sign-in does not answer. Press CONNECT once more.") from error
        return sign_in.adopt(connection, person, Fresh(_first_secret(app, answer), _expires_at(answer)))


def _redeemed(app: Any, code: str, verifier: str) -> JSON:
    """What msal makes of the answer. Raises `NotAuthorized` for one that belongs to another sign-in."""
    try:
        flow = json.loads(verifier)
        found: JSON = app.acquire_token_by_auth_code_flow(flow, {"code": code, "state": flow["state"]})
    except (ValueError, KeyError, RuntimeError) as error:  # RuntimeError: the nonce is not ours
        logger.error("dynamics365 sign-in does not fit", extra={"error": type(error).__name__})
        raise NotAuthorized("This sign-in was not begun here or is too old. Press CONNECT once more.") from error
    return found


def _first_secret(app: Any, answer: JSON) -> JSON:
    """Raises `NotAuthorized` when Microsoft does not say whose sign-in it is."""
    claims = answer.get("id_token_claims") or {}
    account = next(iter(app.get_accounts()), None)
    if not claims.get("tid") or account is None:
        raise NotAuthorized("Microsoft did not say which organization this sign-in is of. Use a work account there.")
    return {
        "access_token": answer["access_token"],
        "cache": app.token_cache.serialize(),
        "tenant": claims["tid"],
        "user": account["home_account_id"],
        "name": claims.get("preferred_username", ""),
    }


# --- tokens -----------------------------------------------------------------------------------------------------------


class Access(sign_in.Access):
    """Renewed by the refresh token in msal's cache."""

    NAME = NAME

    def renewal(self, credential: Credential, secret: JSON, deadline: Deadline) -> Fresh:
        """A lost answer is asked for again: the token sent is still taken."""
        with closing(EntraSession()) as session:
            for _ in range(TRIES):
                try:
                    return _renewal(session, secret, deadline)
                except (NoAnswer, NotReached) as error:
                    lost = error
        raise RetryLater(SILENT) from lost


def _renewal(session: Session, secret: JSON, deadline: Deadline) -> Fresh:
    """With an application of its own: msal remembers refusals in it and would not ask again."""
    cache = msal.SerializableTokenCache()
    cache.deserialize(secret["cache"])
    app = _app(session, secret["tenant"], cache, deadline)
    account = next((one for one in app.get_accounts() if one["home_account_id"] == secret["user"]), None)
    found = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    answer = _granted(found, ended=ENDED)
    return Fresh(
        {**secret, "access_token": answer["access_token"], "cache": cache.serialize()},
        _expires_at(answer),
    )


def tenant_of(connection: Connection) -> str:
    """The tenant whoever signed in belongs to. Raises `NotAuthorized`, `RetryLater`."""
    return str(sign_in.load(connection, NAME).secret()["tenant"])


def user_of(connection: Connection) -> str:
    """The id of whoever signed in, the same in every sign-in of theirs. Raises `NotAuthorized`, `RetryLater`."""
    return str(sign_in.load(connection, NAME).secret()["user"])


def _granted(answer: JSON | None, *, ended: str) -> JSON:
    """An answer with tokens. Raises `Ended`, `RetryLater`, and `NoAnswer` for half of one.

    Decided by `error` and `suberror`; Microsoft changes its numbers and texts.
    """
    if answer is None:  # msal has no refresh token to ask with
        raise Ended(ended)
    error = answer.get("error")
    if not error:
        if not answer.get("access_token"):
            raise NoAnswer("Microsoft's sign-in sent half an answer.")
        return answer
    facts = {"error": error, "suberror": answer.get("suberror"), "number": _number(answer)}
    facts["correlation"] = answer.get("correlation_id")
    if error in PASSING:
        logger.warning("dynamics365 sign-in in trouble", extra=facts)
        raise RetryLater(SILENT)
    reason = _reason(error, answer.get("suberror", ""), ended)
    if reason:
        logger.warning("dynamics365 sign-in ended", extra=facts)
        raise Ended(reason)
    # Anything else is about this installation, never about the customer: asking them to connect again would not help.
    logger.error("entra refuses this installation", extra=facts)
    raise RetryLater(
        "Microsoft does not accept this installation of PEX Sync. Whoever runs it must check ENTRA_CLIENT_ID and "
        "ENTRA_CLIENT_SECRET; you need not connect again.",
        after=900,
    )


def _reason(error: str, suberror: str, ended: str) -> str:
    """Why only the person can go on, a sentence; "" when it is not up to them."""
    if "consent_required" in (error, suberror):
        asks = f"An administrator must allow PEX Sync again: {admin_consent_url()}"
        return asks if len(asks) <= LONGEST_REASON else NO_CONSENT  # half an address would help nobody
    if error in ASKS_AGAIN:
        return SIGN_IN_ANEW
    return {"invalid_grant": ended, "invalid_resource": NO_SERVICE}.get(error, "")


def _number(answer: Mapping[str, Any]) -> str:
    """Microsoft's number of an error, for the log only: "AADSTS65004"."""
    return str(answer.get("error_description", "")).partition(":")[0][:20]


def _expires_at(answer: JSON) -> datetime:
    return clock.now() + timedelta(seconds=float(answer.get("expires_in", 3600)))


# --- msal and the way out ---------------------------------------------------------------------------------------------


class EntraSession(Session):
    """Knows that Entra slows down one tenant and not the others."""

    SAYS: ClassVar[Mapping[str, str]] = {
        "": "Microsoft's sign-in asks us to slow down. We keep trying; no action is needed."
    }

    def __init__(self) -> None:
        super().__init__("Microsoft's sign-in", connections=1)

    def limits(self, method: str, url: str, headers: Mapping[str, str]) -> Sequence[Limits]:
        return (Limits(f"entra:{url.removeprefix(settings.ENTRA_URL).split('/')[1]}"),)


class _Line:
    """How msal calls: by `Session`, and at the address configured. Errors pass through msal as they are."""

    def __init__(self, session: Session, deadline: Deadline | None) -> None:
        self.session, self.deadline = session, deadline

    def get(self, url: str, **_: Any) -> httpx.Response:
        """The discovery document. Its addresses are fixed and well known, so nobody is asked for them."""
        tenant = urlsplit(url).path.split("/")[1]
        known = {
            "issuer": f"{LOGIN}/{tenant}/v2.0",
            "authorization_endpoint": f"{settings.ENTRA_URL}/{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{LOGIN}/{tenant}/oauth2/v2.0/token",
        }
        return httpx.Response(200, json=known)

    def post(self, url: str, data: Mapping[str, Any], headers: Mapping[str, str], **_: Any) -> httpx.Response:
        target = settings.ENTRA_URL + url.removeprefix(LOGIN)
        answer = self.session.write("POST", target, data=data, headers=headers, timeout=TIMEOUT, deadline=self.deadline)
        if not _is_object(answer):  # msal would write it to the log, and half an answer may hold a whole token
            raise NoAnswer("Microsoft's sign-in sent an answer that cannot be read.")
        return answer

    def close(self) -> None:
        """Whoever opened the session closes it."""


def _app(session: Session, tenant: str, cache: Any, deadline: Deadline | None = None) -> Any:
    return msal.ConfidentialClientApplication(
        settings.ENTRA_CLIENT_ID,
        client_credential=settings.ENTRA_CLIENT_SECRET,
        authority=f"{LOGIN}/{tenant}",
        instance_discovery=False,
        azure_region=False,
        token_cache=cache,
        http_client=_Line(session, deadline),
    )


def _is_object(answer: httpx.Response) -> bool:
    try:
        return isinstance(answer.json(), dict)
    except ValueError:
        return False
