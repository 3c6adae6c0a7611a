"""Xero's wire: one method per call we make, JSON in, JSON out.

https://developer.xero.com/documentation/api/accounting/requests-and-responses
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from urllib.parse import quote

import httpx
from django.conf import settings

from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RetryLater, SettingsNeeded
from connectors.http import Session, json_of, retry_after, to_json
from connectors.limits import AT_ONCE, RESERVED, SPARE, Limits, Rate, Refusal, Said
from connectors.models import Connection
from connectors.xero.auth import Access
from connectors.xero.mapping import Resource

logger = logging.getLogger(__name__)

JSON = dict[str, Any]
Send = Callable[[Mapping[str, str]], httpx.Response]

PAGE_SIZE = 1000
IDS_PER_CALL = 40  # more make the address too long
REFUSED = (400, 404, 405, 411, 413, 414, 415, 422)  # Xero read the call, and surely did nothing
DEFINITE = (10, 14, 16, 17)  # ErrorNumbers: rule of business, unreadable data, unreadable filter, nothing to do
MINUTE, DAY, APP_MINUTE, CONCURRENT = "minute", "day", "appminute", "concurrent"  # X-Rate-Limit-Problem
RENEWALS = 2  # the first may only bring what another worker had stored, and that may have ended as well
CALLS_FOR_LOOKS = 30  # of the day: writing leaves them alone (rule L12)
CALLS_FOR_DOCUMENTS = 100  # of the day: receipts leave them alone too, for what settles later in the day
ONE_BY_ONE = "?summarizeErrors=false"  # a bad element does not refuse the others
NOT_SUBSCRIBED = ("insufficent_scope", "insufficient_scope")  # the first is Xero's own spelling


class BadRequest(Exception):
    """A call Xero read and refused. `number` is its ErrorNumber, 0 where it gives none."""

    def __init__(self, status: int, body: JSON, text: str = "") -> None:
        self.status = status
        self.number = int(body.get("ErrorNumber") or 0)
        self.elements: list[JSON] = body.get("Elements") or []
        self.message = str(body.get("Message") or body.get("Detail") or text or f"Xero answered {status}.")
        super().__init__(self.message)

    @property
    def definite(self) -> bool:
        """Xero surely did nothing. A 400 without a number we know may be about a repeated Idempotency-Key."""
        return self.status != 400 or self.number in DEFINITE

    @property
    def about_content(self) -> bool:
        """Half of it may pass."""
        return self.status in (400, 413)


@dataclass(frozen=True, slots=True)
class Written:
    """The elements of a write. `replayed`: Xero answered from memory, to a key it has seen with the same call."""

    elements: Sequence[JSON]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[JSON]
    last: bool
    count: int | None  # of all rows that match, where Xero says


class XeroSession(Session):
    """Knows Xero's limits and its four kinds of 429; decided by status and headers, the body is unreliable.

    https://developer.xero.com/documentation/best-practices/api-call-efficiencies/rate-limits
    """

    SAYS: ClassVar[Mapping[str, str]] = {
        DAY: "Xero's calls for today are used up. The sync goes on by itself when there are new ones.",
        SPARE: "Xero's calls for today are nearly used up; the last ones are kept for looking. The rest goes by itself "
        "when there are new ones.",
        RESERVED: "Xero's calls for today are kept for transactions. Receipts follow by themselves when there are new "
        "ones.",
        MINUTE: "Xero takes only so many calls a minute. More go through in a moment.",
        APP_MINUTE: "Xero is busy with our syncs for others. More go through in a moment.",
        CONCURRENT: "Xero is busy with our other calls. We keep trying.",
        AT_ONCE: "Xero is busy with our other calls. We keep trying.",
    }
    REMAINING: ClassVar[Mapping[str, str]] = {
        MINUTE: "X-MinLimit-Remaining",
        DAY: "X-DayLimit-Remaining",
        APP_MINUTE: "X-AppMinLimit-Remaining",
    }
    NAMELESS: ClassVar[Mapping[str, float]] = {CONCURRENT: 2.0, DAY: 3600.0}  # back-offs where no time is named

    def limits(self, method: str, url: str, headers: Mapping[str, str]) -> Sequence[Limits]:
        """Of the organisation and of our app; the sign-in has none that are published."""
        if not url.startswith(settings.XERO_API_URL):
            return super().limits(method, url, headers)
        company = headers.get("xero-tenant-id")
        return (of_company(company), of_app()) if company else (of_app(),)

    def said(self, response: httpx.Response, limits: Sequence[Limits]) -> Said:
        told = {name: response.headers.get(header, "") for name, header in self.REMAINING.items()}
        left = {name: int(text) for name, text in told.items() if text.isdigit()}
        if response.status_code != 429:
            return replace(super().said(response, limits), left=left)
        why = response.headers.get("X-Rate-Limit-Problem", "").lower()
        about = limits[-1] if why == APP_MINUTE else limits[0]
        wait = retry_after(response.headers)
        return Said(left, (Refusal(about.key, why, wait, self.NAMELESS.get(why, self.BACK_OFF)),))


def of_company(company: str) -> Limits:
    """Five calls at once are allowed: one that timed out may still be running there.

    The minute is ours to count; of the day Xero tells what is left, 5,000 calls or 1,000.
    """
    most = settings.XERO_CALLS_A_MINUTE
    minute = Rate(MINUTE, 60, most, kept=min(most // 6, 10))
    day = Rate(DAY, 86_400, spare=CALLS_FOR_LOOKS, reserve=CALLS_FOR_DOCUMENTS)
    return Limits(f"{of_app().key}:{company}", (minute, day), at_once=4, kept_at_once=1)


def of_app() -> Limits:
    return Limits(f"xero:{settings.XERO_CLIENT_ID}", (Rate(APP_MINUTE, 60, 10_000),))


class Client:
    """The calls of one connection. May be used by several threads at once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.session = XeroSession("Xero", connections=4)
        self.access = Access(connection, self.session)

    def close(self) -> None:
        self.session.close()

    # --- who we are ---------------------------------------------------------------------------------------------------

    def connections(self) -> list[JSON]:
        try:
            found = json_of(self._read("/connections", tenant=False), "Xero")
        except BadRequest as error:
            raise RetryLater(f"Xero does not say what we are connected to: {error}", after=300) from error
        if not isinstance(found, list):
            raise RetryLater("Xero sent an answer that cannot be read. We keep trying.")
        return found

    def delete_connection(self, connection_id: str) -> None:
        """204 and 404 both mean that it is gone. Raises `NotAuthorized` when the tokens are, `RetryLater`."""
        try:
            self._write("DELETE", f"/connections/{connection_id}", tenant=False)
        except (NoAnswer, NotReached) as error:
            raise RetryLater("Xero did not answer. Press DISCONNECT once more.") from error
        except BadRequest as error:
            if error.status != 404:
                raise RetryLater(f"Xero would not disconnect: {error}") from error

    # --- settings -----------------------------------------------------------------------------------------------------

    def organisation(self) -> JSON:
        return self._settings("Organisation", "Organisations")[0][0]

    def accounts(self) -> list[JSON]:
        return self._settings("Accounts", "Accounts")[0]

    def tracking_categories(self) -> list[JSON]:
        return self._settings("TrackingCategories", "TrackingCategories", {"includeArchived": "true"})[0]

    def contacts(self, page: int) -> Page:
        params = {"page": page, "pageSize": PAGE_SIZE, "summaryOnly": "true", "includeArchived": "true"}
        return _page(page, *self._settings("Contacts", "Contacts", params))

    def contacts_of(self, ids: Sequence[str]) -> list[JSON]:
        """Those of these ids that Xero knows, archived ones too; at most `IDS_PER_CALL`."""
        params = {"IDs": ",".join(ids), "includeArchived": "true"}
        return self._settings("Contacts", "Contacts", params)[0]

    def create_contacts(self, contacts: Sequence[JSON], deadline: Deadline | None) -> Sequence[JSON]:
        """One element each; raises `BadRequest` and what `Session.write` raises.

        PUT creates and nothing else: POST would change a contact of the same name.
        """
        return self._create("Contacts", contacts, deadline, query=ONE_BY_ONE).elements

    # --- bank transactions and transfers ------------------------------------------------------------------------------

    def record(self, resource: Resource, record_id: str) -> JSON | None:
        """None when there is none of this id."""
        try:
            return self._rows(f"{resource}/{record_id}", resource)[0]
        except BadRequest as error:
            if error.status == 404:
                return None
            raise RetryLater(f"Xero does not show a record: {error}", after=300) from error

    def bank_transactions(self, where: str, since: datetime | None = None, page: int = 1) -> Page:
        """Oldest change first. Raises `BadRequest` for a filter Xero cannot read or that matches too much."""
        headers = {"If-Modified-Since": f"{since:%Y-%m-%dT%H:%M:%S}"} if since else {}
        params = {"where": where, "order": "UpdatedDateUTC ASC", "page": page, "pageSize": PAGE_SIZE}
        answer = self._read("/api.xro/2.0/BankTransactions", params=params, headers=headers)
        return _page(page, *_listed(answer, "BankTransactions"))

    def bank_transfers(self, where: str) -> Page:
        """Deleted ones too. Xero has no pages here: were there ever some, it is not the last.

        Raises `BadRequest` for a filter Xero cannot read or that matches too much.
        """
        answer = self._read("/api.xro/2.0/BankTransfers", params={"where": where, "includeDeleted": "true"})
        rows, pagination = _listed(answer, "BankTransfers")
        return Page(rows, pagination.get("pageCount", 1) <= 1, pagination.get("itemCount"))

    def create_bank_transactions(self, rows: Sequence[JSON], deadline: Deadline, turn: str = "1") -> Written:
        """One element each; raises `BadRequest` and what `Session.write` raises.

        The same rows in another turn have another Idempotency-Key: Xero then looks at them anew.
        """
        return self._create("BankTransactions", rows, deadline, turn, ONE_BY_ONE)

    def create_bank_transfer(self, row: JSON, deadline: Deadline, turn: str = "1") -> Written:
        """One per call: what Xero makes of several is not known. A refusal is a `BadRequest`; else as above."""
        return self._create("BankTransfers", [row], deadline, turn)

    # --- attachments --------------------------------------------------------------------------------------------------

    def attachments(self, resource: Resource, record_id: str) -> list[JSON]:
        return self._rows(f"{resource}/{record_id}/Attachments", "Attachments")

    def attach(self, resource: Resource, record_id: str, name: str, path: Path, content_type: str) -> JSON:
        """The same name again overwrites. Raises `BadRequest` and what `Session.write` raises."""
        address = f"{_api()}/{resource}/{record_id}/Attachments/{quote(name, safe='')}"

        def send(headers: Mapping[str, str]) -> httpx.Response:
            with path.open("rb") as file:
                return self.session.write(
                    "PUT", address, headers={**headers, "Content-Type": content_type}, content=file
                )

        rows = _written(self._ask(send), "Attachments").elements
        return rows[0] if rows else {}

    # --- how it is sent -----------------------------------------------------------------------------------------------

    def _rows(self, path: str, name: str) -> list[JSON]:
        return _listed(self._read(f"/api.xro/2.0/{path}"), name)[0]

    def _settings(self, path: str, name: str, params: Mapping[str, Any] = {}) -> tuple[list[JSON], JSON]:
        """A read that names nothing of ours: were it refused, nothing here could be mended."""
        try:
            return _listed(self._read(f"/api.xro/2.0/{path}", params=params), name)
        except BadRequest as error:
            raise RetryLater(f"Xero does not show its settings at the moment: {error}", after=300) from error

    def _create(
        self, name: str, rows: Sequence[JSON], deadline: Deadline | None, turn: str = "1", query: str = ""
    ) -> Written:
        path = f"/api.xro/2.0/{name}{query}"
        address = f"{settings.XERO_API_URL}{path}"
        body = to_json({name: rows})
        key = self._key(f"PUT {path} {turn}", body)

        def send(headers: Mapping[str, str]) -> httpx.Response:
            return self.session.write(
                "PUT",
                address,
                deadline=deadline,
                headers={**headers, "Content-Type": "application/json", "Idempotency-Key": key},
                content=body,
            )

        return _written(self._ask(send), name)

    def _key(self, call: str, body: bytes) -> str:
        """The same for the same call, whoever makes it: Xero then answers from memory, for some minutes."""
        facts = f"{self.connection.company}\n{call}\n".encode()
        return f"pex-{self.connection.company[:8]}-{hashlib.sha256(facts + body).hexdigest()}"

    def _read(
        self, path: str, *, tenant: bool = True, params: Mapping[str, Any] = {}, headers: Mapping[str, str] = {}
    ) -> httpx.Response:
        address = f"{settings.XERO_API_URL}{path}"

        def send(ours: Mapping[str, str]) -> httpx.Response:
            return self.session.read("GET", address, params=params, headers={**ours, **headers})

        try:
            return self._ask(send, tenant=tenant)
        except NoAnswer as error:
            raise RetryLater(f"{error} We keep trying; no action is needed.") from error

    def _write(self, method: str, path: str, *, tenant: bool = True) -> httpx.Response:
        address = f"{settings.XERO_API_URL}{path}"
        return self._ask(lambda ours: self.session.write(method, address, headers=ours), tenant=tenant)

    def _ask(self, send: Send, *, tenant: bool = True) -> httpx.Response:
        """Send, and again with a new token after a 401: that answer proves that nothing was done.

        Raises `BadRequest`, `NotAuthorized`, `RetryLater`, and for an answer nobody can read `NoAnswer`.
        """
        token = self.access.token()
        answer = send(self._headers(token, tenant))
        for _ in range(RENEWALS):
            if answer.status_code == 401:
                _check_scope(answer)
                token = self.access.renewed(token)
                answer = send(self._headers(token, tenant))
        if answer.status_code == 403:
            self._check_still_connected(answer, tenant)
            answer = send(self._headers(self.access.token(), tenant))
        if answer.status_code >= 300:
            _fail(answer)
        return answer

    def _headers(self, token: str, tenant: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if tenant:
            headers["xero-tenant-id"] = self._company()
        return headers

    def _company(self) -> str:
        if not self.connection.company:
            raise SettingsNeeded("Choose the Xero organisation this account is connected to.", field="company")
        return self.connection.company

    def _check_still_connected(self, answer: httpx.Response, tenant: bool) -> None:
        """A 403 has several reasons; the list of connections tells whether the person took the access away."""
        _log(answer, "xero forbids")
        body = _body(answer)
        if not body:
            # A page instead of JSON: Xero does not take our TLS, or something stands in between.
            logger.error("xero forbids this installation", extra={"status": answer.status_code})
        if body.get("Detail") != "AuthenticationUnsuccessful" and (tenant or not body):
            return
        if not tenant or self._company() not in {row.get("tenantId") for row in self.connections()}:
            raise NotAuthorized(
                "The Xero organisation is not connected to this app any more: somebody disconnected it in Xero, or it "
                "is closed to whoever signed in. Connect to Xero again."
            )


def _api() -> str:
    return f"{settings.XERO_API_URL}/api.xro/2.0"


def _check_scope(answer: httpx.Response) -> None:
    challenge = answer.headers.get("WWW-Authenticate", "")
    if any(word in challenge for word in NOT_SUBSCRIBED):
        _log(answer, "xero misses a scope")
        raise NotAuthorized(
            "Xero asks for a permission that was not given. Connect to Xero again and allow everything it lists.",
            permission="scope",
        )


def _fail(answer: httpx.Response) -> NoReturn:
    """Everything that is not a success, 429 and 5xx apart: those `Session` raised already."""
    _log(answer, "xero refuses")
    status = answer.status_code
    if status == 401:
        _check_scope(answer)
        raise NotAuthorized("Xero does not accept our sign-in any more. Connect to Xero again.")
    if status == 403:
        raise RetryLater("Xero does not let us into this organisation at the moment. We keep trying.", after=900)
    if status in REFUSED:
        raise BadRequest(status, _body(answer), answer.text[:300].strip() if _plain(answer) else "")
    raise NoAnswer(f"Xero answered {status}.")


def _listed(answer: httpx.Response, name: str) -> tuple[list[JSON], JSON]:
    """The rows of a read, and what it says of paging."""
    body = json_of(answer, "Xero")
    if not isinstance(body, dict) or not isinstance(body.get(name), list):
        raise RetryLater("Xero sent an answer that cannot be read. We keep trying.")
    return body[name], body.get("pagination") or {}


def _page(page: int, rows: Sequence[JSON], pagination: JSON) -> Page:
    last = page >= pagination["pageCount"] if "pageCount" in pagination else len(rows) < PAGE_SIZE
    return Page(rows, last, pagination.get("itemCount"))


def _written(answer: httpx.Response, name: str) -> Written:
    """The elements of a write. An answer that cannot be read says nothing about what was done."""
    body = _body(answer)
    rows = body.get(name)
    if not isinstance(rows, list):
        _log(answer, "xero answer unreadable")
        raise NoAnswer("Xero's answer could not be read.")
    correlation, envelope = answer.headers.get("Xero-Correlation-Id", ""), str(body.get("Id", ""))
    return Written(rows, replayed=bool(correlation and envelope) and correlation.lower() != envelope.lower())


def _body(answer: httpx.Response) -> JSON:
    try:
        body = json.loads(answer.content, parse_float=Decimal)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _plain(answer: httpx.Response) -> bool:
    return str(answer.headers.get("Content-Type", "")).startswith("text/plain")


def _log(answer: httpx.Response, event: str) -> None:
    """Xero's support asks for the correlation id."""
    logger.warning(
        event,
        extra={
            "status": answer.status_code,
            "method": answer.request.method,
            "path": answer.request.url.path,
            "correlation": answer.headers.get("Xero-Correlation-Id", ""),
        },
    )
