"""What each verb does at the end of an address."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sandbox.dynamics365 import attachments
from sandbox.dynamics365.answers import (
    BYTE_ORDER_MARK,
    TEXT_MEDIA,
    Answer,
    etag_of,
    json_answer,
    nothing,
    quoted,
)
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.door import Visit, check_intent, check_rights
from sandbox.dynamics365.odata import EntitySet, Members, Query, chosen_of, page_of, page_size, read_query, text_of
from sandbox.dynamics365.records import Attachment, Record
from sandbox.dynamics365.routes import Call, Target, target_of
from sandbox.dynamics365.values import Refused

KEPT = ("$filter", "$select", "$expand", "$orderby", "$count")  # what the address of the next page repeats
UNQUOTED = "',():/$"  # in the address of the next page


def served(visit: Visit, call: Call) -> Answer:
    """Do what the call asks for, whole or not at all. Raises Refused."""
    check_rights(visit.user, call.method)
    check_intent(call.method, call.headers)
    target = target_of(visit, call)
    work = Work(visit, call, target)
    if not isinstance(target.place.company, Company):
        return work.answer()
    with target.place.company.whole():
        return work.answer()


@dataclass(frozen=True)
class Work:
    """One verb at one place."""

    visit: Visit
    call: Call
    target: Target

    @property
    def company(self) -> Any:
        return self.target.place.company

    @property
    def entities(self) -> EntitySet:
        return self.target.entities

    def answer(self) -> Answer:
        """Raises Refused: 405 for a verb this place has not."""
        target, entities = self.target, self.entities
        if target.record is None:
            verbs = (
                {"GET": self.count}
                if target.named
                else {"GET": self.read_list, "POST": entities.create and self.create}
            )
        elif target.named in entities.actions:
            verbs = {"POST": self.act}
        elif target.named:
            verbs = {"GET": self.read_bytes, "PATCH": self.put_bytes}
        else:
            change, delete = entities.change and self.change, entities.delete and self.delete
            verbs = {"GET": self.one, "PATCH": change, "DELETE": delete}
        do = verbs.get(self.call.method)
        if do is None:
            message = f"{self.call.method} is not allowed for '{target.path}'."
            raise Refused("BadRequest_MethodNotAllowed", message, 405)
        return do()

    # Lists

    def read_list(self) -> Answer:
        target, query = self.target, self._query()
        size = page_size(self.call.headers, self.visit.world.switches)
        page = page_of(self.entities, self.company, target.parent, query, size)
        parts = [self._context()]
        if query.count:
            parts.append(f'"@odata.count":{page.count}')
        texts = (text_of(self.entities, target.place, query, record, members) for record, members in page.rows)
        parts.append(f'"value":[{",".join(texts)}]')
        if page.more:
            parts.append(f'"@odata.nextLink":{quoted(self._next(query, page.rows[-1][0].id, size))}')
        return json_answer("{" + ",".join(parts) + "}")

    def count(self) -> Answer:
        """As text, with a byte-order mark before it."""
        number = len(chosen_of(self.entities, self.company, self.target.parent, self._query()))
        return Answer(200, BYTE_ORDER_MARK + str(number).encode(), TEXT_MEDIA)

    def _next(self, query: Query, last: str, size: int) -> str:
        options = {name: self.call.options[name] for name in KEPT if name in self.call.options}
        if query.top is not None:
            options["$top"] = str(query.top - size)
        kept = "".join(f"{name}={quote(text, safe=UNQUOTED)}&" for name, text in options.items())
        return f"{self.target.place.address}/{self.target.path}?{kept}aid=FIN&$skiptoken={last}"

    # One record

    def one(self) -> Answer:
        assert self.target.record
        return self._shown(self.target.record, self._query())

    def create(self) -> Answer:
        assert self.entities.create
        body, query = self._body(), self._query()
        made = self.entities.create(self.company, self.target.parent, body)
        location = f"{self.target.place.address}/{self.target.path}({made.id})"
        return self._shown(made, query, 201, Location=location)

    def change(self) -> Answer:
        assert self.entities.change
        assert self.target.record
        record, body, query = self.target.record, self._body(), self._query()
        self._check_etag(record, needed=True)
        self.entities.change(self.company, record, body)
        return self._shown(record, query)

    def delete(self) -> Answer:
        assert self.entities.delete
        assert self.target.record
        self._check_etag(self.target.record)
        self.entities.delete(self.company, self.target.record)
        return nothing()

    def act(self) -> Answer:
        self.entities.actions[self.target.named](self.company, self.target.record)
        return nothing()

    # Bytes

    def read_bytes(self) -> Answer:
        self._check_outside_batch()
        assert isinstance(self.target.record, Attachment)
        content = attachments.content(self.company, self.target.record)
        return Answer(200, content, self.target.record.content_type)

    def put_bytes(self) -> Answer:
        self._check_outside_batch()
        assert isinstance(self.target.record, Attachment)
        self._check_etag(self.target.record, needed=True)
        media = self.call.headers.get("content-type", "")
        if not media:
            raise Refused("BadRequest", "The Content-Type of the bytes is missing.")
        attachments.set_content(self.company, self.target.record, self.call.body, media)
        if self.visit.world.switches.content_answer == "204":
            return nothing()
        return self._shown(self.target.record, Query())

    def _check_outside_batch(self) -> None:
        if self.call.in_batch:
            raise Refused("BadRequest", "Bytes cannot be read or written inside a batch.")

    # Parts

    def _query(self) -> Query:
        return read_query(self.call.options, self.entities, self.visit.world.switches)

    def _body(self) -> Members:
        """Return the members sent, each of them known and writable. Raises Refused."""
        body = self.call.members()
        for name in body:
            if name in self.entities.writable:
                continue
            if name in self.entities.read_only:
                raise Refused("BadRequest_InvalidOperation", f"The control '{name}' is read-only.")
            message = f"The property '{name}' does not exist on type 'Microsoft.NAV.{self.entities.name}'."
            raise Refused("BadRequest", message)
        return body

    def _check_etag(self, record: Record, needed: bool = False) -> None:
        """Raises Refused when the record is another one than the caller saw."""
        sent = self.call.headers.get("if-match", "").strip()
        if not sent and needed:
            raise Refused("BadRequest_InvalidToken", "The If-Match header with the etag of the record is missing.")
        if sent not in ("", "*", etag_of(record)):
            if not sent.startswith('W/"'):
                raise Refused("BadRequest_InvalidToken", f"'{sent}' is no etag.")
            message = "Another user has already changed the record. Your changes cannot be saved."
            raise Refused("Request_EntityChanged", message, 409)

    def _shown(self, record: Record, query: Query, status: int = 200, **headers: str) -> Answer:
        text = text_of(self.entities, self.target.place, query, record)
        return json_answer(f"{{{self._context('/$entity')},{text[1:]}", status, ETag=etag_of(record), **headers)

    def _context(self, ending: str = "") -> str:
        below = self.target.place.address.removeprefix(self.visit.base).lstrip("/")
        path = "/".join(part for part in (below, self.target.path) if part)
        return f'"@odata.context":{quoted(f"{self.visit.base}/$metadata#{path}{ending}")}'
