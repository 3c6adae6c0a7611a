"""$batch: up to a hundred operations in one request, one after the other, each with an answer of its own.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/webservices/use-odata-batch
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.dynamics365.answers import BYTE_ORDER_MARK, JSON_MEDIA, Answer, check_content_type, read_json, refusal
from sandbox.dynamics365.door import WRITES, Sent, Visit, check_intent
from sandbox.dynamics365.routes import Call, read_options
from sandbox.dynamics365.values import Refused
from sandbox.dynamics365.verbs import served

MOST = 100  # operations
CONTINUE = re.compile(r"(^|,)\s*(odata\.)?continue-on-error(\s*=\s*true)?\s*(,|$)", re.IGNORECASE)
Answered = tuple["Operation", Answer]


@dataclass(frozen=True)
class Operation:
    """`id` as it was sent; None when there is none."""

    id: str | None
    call: Call


class _Failed(Exception):
    """Ends a snapshot, so that all of it is taken back."""


def read_operations(sent: Sent) -> list[Operation]:
    """Return the operations of a batch. Raises Refused for the whole of it."""
    if sent.method != "POST":
        raise Refused("BadRequest_MethodNotAllowed", f"{sent.method} is not allowed for '$batch'.", 405)
    check_intent(sent.method, sent.headers)
    check_content_type(sent.headers)
    content = read_json(sent.body)
    requests = content.get("requests") if isinstance(content, dict) else None
    if not isinstance(requests, list):
        raise Refused("BadRequest", "A batch is an object with the list 'requests'.")
    if len(requests) > MOST:
        raise Refused(
            "Unknown", f"The maximum number of operations in a batch is {MOST}; this one has {len(requests)}."
        )
    found = [_operation(sent, one) for one in requests]
    ids = [one.id for one in found if one.id is not None]
    if len(ids) != len(set(ids)):
        raise Refused("BadRequest", "Two operations of a batch cannot have the same id.")
    return found


def _operation(sent: Sent, request: Any) -> Operation:
    """Raises Refused."""
    if not isinstance(request, dict):
        raise Refused("BadRequest", "An operation of a batch is an object.")
    id, method, url = request.get("id"), request.get("method"), request.get("url")
    headers = request.get("headers") or {}
    if not isinstance(method, str) or not isinstance(url, str) or not isinstance(headers, dict):
        raise Refused("BadRequest", "An operation of a batch has a method, a url, and headers if it needs any.")
    if not isinstance(id, str | None):
        raise Refused("BadRequest", "The id of an operation is a text.")
    if "atomicityGroup" in request:
        raise Refused("Internal_ServerError", "Change sets are not supported.", 500)
    inner = {str(name).lower(): str(value) for name, value in headers.items()}
    inner.setdefault("accept-language", sent.headers.get("accept-language", ""))
    path, _, query = url.partition("?")
    options, outer = read_options(query), read_options(sent.query)
    company = _first_company((options, inner), (outer, sent.headers))
    call = Call(method.upper(), path, options, inner, content=request.get("body"), company=company)
    return Operation(id, call)


def _first_company(*levels: tuple[Mapping[str, str], Mapping[str, str]]) -> str:
    """Return the company the operation names, else the batch: in the address or in a header."""
    for options, headers in levels:
        found = options.get("company") or headers.get("companyid") or headers.get("company")
        if found:
            return found
    return ""


def answer(visit: Visit, sent: Sent, operations: list[Operation]) -> Answer:
    """Do the operations and put their answers together. Raises Refused."""
    keep_going = CONTINUE.search(sent.headers.get("prefer", "")) is not None
    snapshot = sent.headers.get("isolation", "").strip().lower() == "snapshot"
    if keep_going and snapshot:
        # What the service makes of both is known to nobody.
        raise Refused("BadRequest", "Isolation: snapshot and Prefer: odata.continue-on-error exclude each other.")
    answered = _in_one_piece(visit, operations) if snapshot else list(_answered(visit, operations, keep_going))
    if "application/json" in sent.headers.get("accept", "").lower():
        return Answer(200, _json(answered).encode(), JSON_MEDIA, {"OData-Version": "4.0"})
    return _multipart(answered)


# Doing


def _in_one_piece(visit: Visit, operations: list[Operation]) -> list[Answered]:
    """One failure takes everything back, and the answers before it say what they said."""
    answered: list[Answered] = []
    with suppress(_Failed), ExitStack() as stack:
        for company in visit.environment.companies.values():
            stack.enter_context(company.whole())
        for one in _answered(visit, operations, keep_going=False):
            answered.append(one)
            if one[1].status >= 400:
                raise _Failed
    return answered


def _answered(visit: Visit, operations: list[Operation], keep_going: bool) -> Iterator[Answered]:
    """What stands behind a failure has no answer, unless it was to go on."""
    for operation in operations:
        answer = _answer_to(visit, operation.call)
        yield operation, answer
        if answer.status >= 400 and not keep_going:
            return


def _answer_to(visit: Visit, call: Call) -> Answer:
    try:
        if call.method in WRITES and visit.world.switches.inner_failures > 0:
            visit.world.switches.inner_failures -= 1
            raise Refused("Internal_ServerError", "An error has occurred.", 500)
        return served(visit, call)
    except Refused as refused:
        return refusal(refused, call.headers["accept-language"])


# Writing


def _headers(answer: Answer) -> dict[str, str]:
    media = {"Content-Type": answer.media} if answer.body else {}
    return {**media, **answer.headers}


def _json(answered: list[Answered]) -> str:
    return f'{{"responses":[{",".join(_json_one(*one) for one in answered)}]}}'


def _json_one(operation: Operation, answer: Answer) -> str:
    headers = {name.lower(): value for name, value in _headers(answer).items()}
    body = ""
    if answer.media == JSON_MEDIA and answer.body:
        body = f',"body":{answer.body.decode()}'
    elif answer.body:
        body = f',"body":{json.dumps(answer.body.removeprefix(BYTE_ORDER_MARK).decode())}'
    head = f'"id":{json.dumps(operation.id)},"status":{answer.status},"headers":{json.dumps(headers)}'
    return f"{{{head}{body}}}"


def _multipart(answered: list[Answered]) -> Answer:
    """What the service sends unless JSON is asked for. The ids are not in it."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    parts = [f"--{boundary}\r\n".encode() + _http(answer) for _, answer in answered]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Answer(200, body, f"multipart/mixed; boundary={boundary}", {"OData-Version": "4.0"})


def _http(answer: Answer) -> bytes:
    lines = [
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        *(f"{name}: {value}" for name, value in _headers(answer).items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + answer.body + b"\r\n"
