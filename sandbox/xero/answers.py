"""What the API is asked and what it answers: the request as handlers see it, envelopes and refusals."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from sandbox.server import Desk
from sandbox.xero.formats import JSON, ZERO_ID, json_text, ms_date, xml_text
from sandbox.xero.organisation import Organisation
from sandbox.xero.shapes import UNKNOWN, Style
from sandbox.xero.world import Access, App, XeroWorld

CONTROL = re.compile(rb"\\u00[01]")
NO_SUCH = "The resource you're looking for cannot be found"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    media: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Ends a request with the answer it carries."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class ApiRequest:
    """One call that has passed the door: who asks, for which organisation, and what."""

    desk: Desk
    world: XeroWorld
    app: App
    access: Access
    organisation: Organisation
    method: str
    path: tuple[str, ...]  # below /api.xro/2.0, decoded
    query: Mapping[str, str]  # names in lower case
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    id: str  # of this answer, in its envelope and its Xero-Correlation-Id

    @property
    def now(self) -> datetime:
        return self.world.now()

    @property
    def wants_xml(self) -> bool:
        return "json" not in self.headers.get("accept", "").lower()

    @property
    def style(self) -> Style:
        switches = self.world.switches
        four = self.query.get("unitdp") == "4"
        return Style(switches.date_form, 4 if four else 2, unknown_enum=switches.unknown_enum)

    @property
    def summarize(self) -> bool:
        """Whether one bad element refuses the whole call; so it is unless the caller says no."""
        return self.query.get("summarizeerrors", "true").lower() != "false"

    @cached_property
    def content(self) -> Any:
        """The JSON sent. Raises Refused: 415 for another type, error 14 for what cannot be read."""
        media = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if media not in ("application/json", "text/json"):
            raise Refused(plain(415, "Unsupported Media Type"))
        try:
            return _loaded(self.body)
        except (ValueError, RecursionError):
            raise Refused(unreadable("JSON for post data was invalid")) from None

    def elements(self, name: str) -> list[JSON]:
        """Return the records of the body: `{name: [...]}`, a bare list, or one bare record."""
        content = self.content
        if isinstance(content, dict) and name in content:
            content = content[name]
        if isinstance(content, dict):
            content = [content] if content else []
        if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
            raise Refused(unreadable(f"JSON for post data was invalid, {name} must be a list of objects"))
        if not content:
            raise Refused(no_data())
        return content

    def envelope(self, name: str, records: Iterable[Any], extra: Mapping[str, Any] | None = None) -> Answer:
        return self.envelope_text(name, (json_text(self._as_switched(name, one)) for one in records), extra)

    def _as_switched(self, name: str, record: Any) -> Any:
        """Return the record with the unheard-of value that a switch may ask for in lists of this name."""
        resource, _, member = self.world.switches.unknown_enum.rpartition(".")
        return {**record, member: UNKNOWN} if resource == name and member in record else record

    def envelope_text(self, name: str, records: Iterable[str], extra: Mapping[str, Any] | None = None) -> Answer:
        """Wrap records already rendered; `extra` stands before them, as `pagination` does."""
        head = {
            "Id": self.id,
            "Status": "OK",
            "ProviderName": self.app.name,
            "DateTimeUTC": ms_date(self.now, self.world.switches.date_form, zoned=False),
            **(extra or {}),
        }
        text = f'{json_text(head)[:-1]},"{name}":[{",".join(records)}]}}'
        if self.wants_xml:
            return Answer(200, xml_text(text).encode(), "text/xml; charset=utf-8")
        return Answer(200, text.encode())


def in_answer_order(request: ApiRequest, elements: Sequence[JSON]) -> list[JSON]:
    """Return the elements as asked, or with their halves swapped: the order is promised nowhere."""
    if not request.world.switches.shuffled:
        return list(elements)
    half = len(elements) // 2
    return [*elements[half:], *elements[:half]]


def with_failed_id(request: ApiRequest, members: JSON, name: str, sent: str) -> JSON:
    """Give a refused element its id: the one sent, else by the switch."""
    members.pop(name, None)
    kinds = {"zero": ZERO_ID, "none": "", "real": request.world.new_id("refused element")}
    id = sent or kinds[request.world.switches.failed_id]
    return {name: id, **members} if id else members


def _loaded(body: bytes) -> Any:
    """Return the JSON of a body. Raises ValueError, also for control characters and halves of surrogate pairs."""
    content = json.loads(body, parse_float=Decimal)
    if CONTROL.search(body):
        raise ValueError("control character")
    if b"\\u" in body:
        json_text(content).encode()
    return content


def new_answer_id() -> str:
    return str(uuid.uuid4())


def plain(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8", headers)


def not_found() -> Answer:
    return plain(404, NO_SUCH)


def problem(status: int, title: str, detail: str, **headers: str) -> Answer:
    members = {"Type": None, "Title": title, "Status": status, "Detail": detail}
    text = json_text(members | {"Instance": new_answer_id(), "Extensions": {}})
    return Answer(status, text.encode(), headers=headers)


def too_large() -> Answer:
    return problem(413, "RequestEntityTooLarge", "PayloadTooLarge")


def bad_request(number: int, kind: str, message: str, **members: Any) -> Answer:
    text = json_text({"ErrorNumber": number, "Type": kind, "Message": message, **members})
    return Answer(400, text.encode())


def invalid(elements: Iterable[JSON]) -> Answer:
    """Error 10: a business rule refused the elements, nothing was saved."""
    message = "A validation exception occurred"
    return bad_request(10, "ValidationException", message, Elements=list(elements))


def refused_with(*messages: str) -> Answer:
    return invalid([{"ValidationErrors": [{"Message": message} for message in messages]}])


def unreadable(message: str) -> Answer:
    return bad_request(14, "PostDataInvalidException", message)


def no_data() -> Answer:
    return bad_request(17, "NoDataProcessedException", "No data has been processed for this endpoint")


def bad_key(message: str) -> Answer:
    """A 400 about the Idempotency-Key: what else it says is known to nobody, so it has no number and no elements."""
    return Answer(400, json_text({"Message": message}).encode())


def bad_query(message: str) -> Answer:
    return bad_request(16, "QueryParseException", message)
