"""Business Central's wire: reads, single writes, uploads and batches, JSON in, JSON out.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/api-reference/v2.0/
"""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from urllib.parse import quote

import httpx
from django.conf import settings

from connectors.connector import Deadline
from connectors.dynamics365.auth import Access, tenant_of
from connectors.errors import NoAnswer, NotAuthorized, RetryLater, SettingsNeeded
from connectors.http import Session, json_of, retry_after, to_json
from connectors.limits import AT_ONCE, Limits, Rate, Refusal, Said
from connectors.models import Connection

logger = logging.getLogger(__name__)

JSON = dict[str, Any]
Send = Callable[[Mapping[str, str]], httpx.Response]

NAME = "Business Central"
MOST_OPERATIONS = 100  # of a batch; more are refused whole
PAGE = {"Prefer": "odata.maxpagesize=20000"}
FIVE_MINUTES = "five minutes"
RENEWALS = 2  # the first may only bring what another worker had stored, and that may have ended as well
AS_JSON = {"Content-Type": "application/json"}
ANY_VERSION = {"If-Match": "*"}
KEEP_GOING = {"Prefer": "odata.continue-on-error"}
LITERAL = "$,;:()'="  # means something in an option of OData, and nothing in an address
GONE = frozenset({"Internal_CompanyNotFound", "NoEnvironment"})  # codes of a 404 that is not about a record
UNDECIDED = frozenset({408, 429})  # 4xx that say nothing about the operation itself
UNREADABLE = "Business Central sent an answer that cannot be read. We keep trying."
_CORRELATION = re.compile(r"\s*CorrelationId:\s*([0-9a-f-]{36})\.?\s*$", re.IGNORECASE)


class BadRequest(Exception):
    """A call Business Central read and refused: surely nothing was done.

    Decide by `status` and `code`: the `message` is for people and comes in several languages.
    """

    def __init__(self, status: int, code: str = "", message: str = "", correlation: str = "") -> None:
        self.status, self.code, self.correlation = status, code, correlation
        self.message = message or f"Business Central answered {status}."
        super().__init__(self.message)


class NotLetIn(NotAuthorized):
    """The sign-in lives, but Business Central does not let its user into the environment, or do this there."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call inside a batch. `path`: below the company, as `address` makes it."""

    method: str
    path: str
    body: JSON | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Inner:
    """The answer to one operation. `code` and `message` are empty where it went well; `body` where there is none."""

    status: int
    body: JSON
    code: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def definite(self) -> bool:
        """A refusal: surely not done, and it would be refused again."""
        return 400 <= self.status < 500 and self.status not in UNDECIDED


def address(path: str, **options: object) -> str:
    """`path` with OData's options, named without their "$": address("accounts", select="id,number", top=5)."""
    asked = "&".join(f"${name}={quote(str(value), safe=LITERAL)}" for name, value in options.items())
    return f"{path}?{asked}" if asked else path


def in_quotes(value: str) -> str:
    """A text as a filter has it, quotes inside it doubled."""
    return "'" + value.replace("'", "''") + "'"


# --- at what pace -----------------------------------------------------------------------------------------------------


class BusinessCentralSession(Session):
    """Knows the limits of the user who signed in, whatever environment is called.

    https://learn.microsoft.com/dynamics365/business-central/dev-itpro/administration/operational-limits-online
    """

    SAYS: ClassVar[Mapping[str, str]] = {
        "": "Business Central asks us to slow down. We go on soon.",
        FIVE_MINUTES: "Business Central takes only so many calls in five minutes. More go through in a moment.",
        AT_ONCE: "Business Central is busy with our other calls. We keep trying.",
    }
    BACK_OFF: ClassVar[float] = 2.0

    def __init__(self, connection: Connection) -> None:
        super().__init__(NAME, connections=4)
        self.connection = connection

    def limits(self, method: str, url: str, headers: Mapping[str, str]) -> Sequence[Limits]:
        return (of_user(self.connection),)

    def said(self, response: httpx.Response, limits: Sequence[Limits]) -> Said:
        """A 502 may name a time as a 503 does."""
        after = retry_after(response.headers)
        if response.status_code == 502 and after is not None:
            return Said(refused=(Refusal(limits[0].key, "", after, self.BACK_OFF),))
        return super().said(response, limits)


def of_user(connection: Connection) -> Limits:
    """Five calls at once are allowed: one that timed out may still be running there."""
    user = connection.company_facts.get("user") or f"credential:{connection.credential_id}"
    most = settings.BC_CALLS_IN_FIVE_MINUTES
    rate = Rate(FIVE_MINUTES, 300, most, kept=min(most // 6, 50))
    return Limits(f"dynamics365:{user}", (rate,), at_once=4, kept_at_once=1)


# --- the calls --------------------------------------------------------------------------------------------------------


class Client:
    """The calls of one connection. May be used by several threads at once.

    Paths are those below the company: "journals", "journalLines(<id>)". Reads raise `RetryLater`, writes what
    `Session.write` raises; both raise `NotAuthorized`, `SettingsNeeded` when the company is gone, and `BadRequest`.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.session = BusinessCentralSession(connection)
        self.access = Access(connection)

    def close(self) -> None:
        self.session.close()

    # --- where one may go ---------------------------------------------------------------------------------------------

    def environments(self) -> list[JSON]:
        """Those of the tenant, whether or not the user may open them."""
        return self._list(f"{settings.BC_API_URL}/environments/v1.2")

    def companies(self, environment: str) -> list[JSON]:
        """Raises `NotLetIn` when the user does not work in this environment."""
        return self._list(f"{_environment(tenant_of(self.connection), environment)}/companies")

    # --- reading ------------------------------------------------------------------------------------------------------

    def rows(self, path: str, **options: object) -> list[JSON]:
        """All rows of a list, of however many pages; `options` as `address` takes them."""
        return self._list(f"{self._company()}/{address(path, **options)}")

    def one(self, path: str, **options: object) -> JSON | None:
        """None when there is no such record."""
        try:
            return _object(self._read(f"{self._company()}/{address(path, **options)}"))
        except BadRequest as error:
            if error.status == 404:
                return None
            raise

    # --- writing ------------------------------------------------------------------------------------------------------

    def create(self, path: str, body: JSON) -> JSON:
        return _done(self._write("POST", path, body))

    def change(self, path: str, body: JSON) -> JSON:
        return _done(self._write("PATCH", path, body))

    def remove(self, path: str) -> None:
        self._write("DELETE", path)

    def upload(self, path: str, file: Path) -> JSON:
        """Put the bytes of a file into a stream property. The record, where the answer shows it; else {}."""
        target = f"{self._company()}/{path}"
        more = {"Content-Type": "application/octet-stream", "If-Match": "*"}

        def send(ours: Mapping[str, str]) -> httpx.Response:
            with file.open("rb") as content:
                return self.session.write("PATCH", target, headers={**ours, **more}, content=content)

        return _body(self._ask(send))

    def batch(
        self,
        operations: Sequence[Operation],
        *,
        snapshot: bool = False,
        keep_going: bool = False,
        deadline: Deadline | None = None,
        writes: bool = True,
    ) -> list[Inner | None]:
        """Send up to 100 operations in one call; one answer each, None for one that was not run.

        They run in order up to the first that fails. `keep_going`: the others run all the same. `snapshot`: all or
        nothing; once one failed nothing was saved, whatever the answers before it say. Raises `NoAnswer` also when the
        answer does not tell of every operation what became of it.

        `writes=False`: every operation is a GET. Then all are answered, with all their pages, and trouble inside the
        answer is raised as that of a read; refusals other than of the user or the company are returned.
        """
        _check(operations, snapshot, keep_going, writes)
        if not operations:
            return []
        if not writes:
            return list(self._reads(operations))
        more = {**({"Isolation": "snapshot"} if snapshot else {}), **(KEEP_GOING if keep_going else {})}
        target, content = self._batched(operations)

        def send(ours: Mapping[str, str]) -> httpx.Response:
            headers = {**ours, **AS_JSON, **more}
            return self.session.write("POST", target, deadline=deadline, headers=headers, content=content)

        return _answers(self._ask(send), len(operations), stops=not keep_going)

    def _reads(self, operations: Sequence[Operation]) -> list[Inner]:
        target, content = self._batched(operations)

        def send(ours: Mapping[str, str]) -> httpx.Response:
            return self.session.read("POST", target, headers={**ours, **AS_JSON, **KEEP_GOING}, content=content)

        try:
            answers = _answers(self._ask(send), len(operations), stops=False)
        except NoAnswer as error:
            raise RetryLater(f"{error} We keep trying; no action is needed.") from error
        return [self._whole(inner) for inner in answers if inner]

    def _whole(self, inner: Inner) -> Inner:
        """Raises what became of a read; follows its pages."""
        if inner.status in (401, *UNDECIDED) or inner.status >= 500:
            raise RetryLater(f"Business Central has trouble (it answered {inner.status}). We keep trying.")
        if not inner.ok:
            _check_user_and_company(inner.status, inner.code, inner.message)
            return inner
        link = self._next(inner.body)
        return Inner(inner.status, {**inner.body, "value": _value(inner.body) + self._list(link)}) if link else inner

    def _batched(self, operations: Sequence[Operation]) -> tuple[str, bytes]:
        tenant, environment, company = _place(self.connection)
        requests = [_request(number, each, company) for number, each in enumerate(operations, 1)]
        return f"{_environment(tenant, environment)}/$batch", to_json({"requests": requests})

    # --- how it is sent -----------------------------------------------------------------------------------------------

    def _company(self) -> str:
        tenant, environment, company = _place(self.connection)
        return f"{_environment(tenant, environment)}/companies({company})"

    def _list(self, link: str) -> list[JSON]:
        found: list[JSON] = []
        seen: set[str] = set()
        while link:
            if link in seen:
                raise RetryLater("Business Central's list has no end. We keep trying.", after=600)
            seen.add(link)
            page = _object(self._read(link, PAGE))
            found += _value(page)
            link = self._next(page)
        return found

    def _next(self, page: JSON) -> str:
        """The address of the next page, "" behind the last. Our token goes nowhere but to the configured address."""
        link = str(page.get("@odata.nextLink") or "")
        if link and not _ours(link):
            logger.error("dynamics365 continues a list elsewhere", extra={"host": _host(link)})
            raise RetryLater("Business Central continues a list at an address that is not its own.", after=900)
        return link

    def _read(self, target: str, more: Mapping[str, str] = {}) -> httpx.Response:
        def send(ours: Mapping[str, str]) -> httpx.Response:
            return self.session.read("GET", target, headers={**ours, **more})

        try:
            return self._ask(send)
        except NoAnswer as error:
            raise RetryLater(f"{error} We keep trying; no action is needed.") from error

    def _write(self, method: str, path: str, body: JSON | None = None) -> httpx.Response:
        target = f"{self._company()}/{path}"
        more = {**({} if body is None else AS_JSON), **({} if method == "POST" else ANY_VERSION)}
        content = b"" if body is None else to_json(body)

        def send(ours: Mapping[str, str]) -> httpx.Response:
            return self.session.write(method, target, headers={**ours, **more}, content=content)

        return self._ask(send)

    def _ask(self, send: Send) -> httpx.Response:
        """Send, and again with a new token after a 401: that answer proves that nothing was done."""
        token = self.access.token()
        answer = send(_headers(token))
        for _ in range(RENEWALS):
            if answer.status_code == 401:
                token = self.access.renewed(token)
                answer = send(_headers(token))
        if answer.status_code >= 300:
            _fail(answer)
        return answer


# --- addresses and headers --------------------------------------------------------------------------------------------


def _headers(token: str) -> dict[str, str]:
    """Never `Data-Access-Intent`: a replica may not know yet what was just written."""
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Language": "en-US"}


def _place(connection: Connection) -> tuple[str, str, str]:
    """Tenant, environment and company id of "tenant/environment/company"."""
    parts = connection.company.split("/")
    if len(parts) != 3:
        raise SettingsNeeded("Choose the company in Business Central this account is connected to.", field="company")
    return parts[0], parts[1], parts[2]


def _environment(tenant: str, environment: str) -> str:
    names = f"{quote(tenant, safe='')}/{quote(environment, safe='')}"
    return f"{settings.BC_API_URL}/v2.0/{names}/api/v2.0"


def _ours(link: str) -> bool:
    """Whether an address belongs to the configured API, as httpx would understand it."""
    home = httpx.URL(f"{settings.BC_API_URL}/")
    try:
        asked = httpx.URL(link)
    except httpx.InvalidURL:
        return False
    same = (asked.scheme, asked.host, asked.port, asked.userinfo) == (home.scheme, home.host, home.port, b"")
    return same and asked.path.startswith(f"{home.path}v2.0/")


def _host(link: str) -> str:
    try:
        return httpx.URL(link).host
    except httpx.InvalidURL:
        return ""


# --- batches ----------------------------------------------------------------------------------------------------------


def _check(operations: Sequence[Operation], snapshot: bool, keep_going: bool, writes: bool) -> None:
    """Raises `ValueError` for a batch that is our own mistake."""
    if len(operations) > MOST_OPERATIONS:
        raise ValueError(f"{len(operations)} operations in one batch; it takes {MOST_OPERATIONS}")
    if snapshot and keep_going:
        raise ValueError("nobody knows what becomes of all or nothing that keeps going")
    if not writes and any(each.method != "GET" for each in operations):
        raise ValueError("a batch of reads would be repeated with what it writes")


def _request(number: int, operation: Operation, company: str) -> JSON:
    headers = {} if operation.body is None else AS_JSON
    if operation.method in ("PATCH", "DELETE"):
        headers = {**headers, **ANY_VERSION}
    made: JSON = {
        "id": str(number),
        "method": operation.method,
        "url": f"companies({company})/{operation.path}",
        "headers": {**headers, **(operation.headers or {})},
    }
    return made if operation.body is None else {**made, "body": operation.body}


def _answers(answer: httpx.Response, count: int, *, stops: bool) -> list[Inner | None]:
    """The answers by the ids given. `stops`: what stands behind a failed operation was not run and has none.

    Raises `NoAnswer` for everything else that is missing, strange or there twice: it may have been done.
    """
    found: dict[str, Inner] = {}
    for row in _responses(answer):
        name = str(row.get("id"))
        if name in found:
            raise _unreadable(answer)
        found[name] = _inner(answer, row)
    names = [str(number) for number in range(1, count + 1)]
    stopped = stops and any(not inner.ok for inner in found.values())
    if set(found) != set(names[: len(found)]) or (len(found) < count and not stopped):
        raise _unreadable(answer)
    return [found.get(name) for name in names]


def _responses(answer: httpx.Response) -> list[JSON]:
    rows = _body(answer).get("responses")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unreadable(answer)
    return rows


def _inner(answer: httpx.Response, row: JSON) -> Inner:
    status, body = row.get("status"), row.get("body")
    if not isinstance(status, int):
        raise _unreadable(answer)
    body = body if isinstance(body, dict) else {}
    if 200 <= status < 300:
        return Inner(status, body)
    refused = _refusal(status, body)
    _log(answer, "dynamics365 refuses an operation", refused)
    return Inner(status, body, refused.code, refused.message)


def _unreadable(answer: httpx.Response) -> NoAnswer:
    _log(answer, "dynamics365 answer unreadable")
    return NoAnswer("Business Central's answer could not be read.")


# --- answers ----------------------------------------------------------------------------------------------------------


def _fail(answer: httpx.Response) -> NoReturn:
    """Everything that is not a success, 429 and 5xx apart: those `Session` raised already."""
    body, status = _body(answer), answer.status_code
    error = _refusal(status, body)
    _log(answer, "dynamics365 refuses", error)
    if status == 401:
        raise NotLetIn(
            "Whoever signed in may not enter this environment of Business Central: they are no user there, or have no "
            "licence. Connect to Dynamics 365 again as somebody who works in it."
        )
    if status < 400 or status in UNDECIDED:
        raise NoAnswer(f"Business Central answered {status}.")
    if not body and status in (403, 404):
        # A page instead of JSON: our TLS is not taken, or something stands in between.
        logger.error("dynamics365 is shut to this installation", extra={"status": status})
        raise RetryLater("Business Central does not let us in at the moment. We keep trying.", after=900)
    _check_user_and_company(status, error.code, error.message)
    raise error


def _check_user_and_company(status: int, code: str, message: str) -> None:
    if status == 403 or code.startswith("Authorization_"):
        raise NotLetIn(f"Whoever signed in needs permissions in Business Central: {message}", permission=message)
    if status == 404 and code in GONE:
        raise SettingsNeeded(
            "The company is not there any more in Business Central. Choose the company this account is connected to.",
            field="company",
        )


def _refusal(status: int, body: JSON) -> BadRequest:
    """The error of a body, its message without the id that Microsoft's support asks for."""
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    message = str(error.get("message") or "")
    tail = _CORRELATION.search(message)
    said = message[: tail.start()] if tail else message
    return BadRequest(status, str(error.get("code") or ""), said.strip(), tail[1] if tail else "")


def _object(answer: httpx.Response) -> JSON:
    """The JSON of a read."""
    body = json_of(answer, NAME)
    if not isinstance(body, dict):
        raise RetryLater(UNREADABLE)
    return body


def _value(page: JSON) -> list[JSON]:
    rows = page.get("value")
    if not isinstance(rows, list):
        raise RetryLater(UNREADABLE)
    return rows


def _done(answer: httpx.Response) -> JSON:
    """The record a write leaves, {} where none is shown. What cannot be read says nothing about what was done."""
    if answer.status_code == 204:
        return {}
    body = _body(answer)
    if not body:
        raise _unreadable(answer)
    return body


def _body(answer: httpx.Response) -> JSON:
    try:
        body = json.loads(answer.content, parse_float=Decimal)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _log(answer: httpx.Response, event: str, error: BadRequest | None = None) -> None:
    """Microsoft's support asks for the correlation id."""
    logger.warning(
        event,
        extra={
            "status": error.status if error else answer.status_code,
            "method": answer.request.method,
            "path": answer.request.url.path,
            "error": error.code if error else "",
            "correlation": error.correlation if error else "",
        },
    )
