"""The way along an address: from the company to a set, from a record to the set below it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.dynamics365.answers import check_content_type, read_json
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.door import Visit
from sandbox.dynamics365.odata import EntitySet, Members, Place
from sandbox.dynamics365.records import Record
from sandbox.dynamics365.sets import COMPANIES, SETS
from sandbox.dynamics365.values import Refused

SEGMENT = re.compile(r"(?P<name>[$A-Za-z][\w.$]*)(?:\((?P<key>[^()]*)\))?")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNREAD = object()


@dataclass(frozen=True)
class Call:
    """One operation: a request of its own, or one of a batch, whose body is read already."""

    method: str
    path: str  # below the API, not decoded
    options: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    content: Any = UNREAD
    company: str = ""  # name or id, when the address does not hold it

    @property
    def in_batch(self) -> bool:
        return self.content is not UNREAD

    def members(self) -> Members:
        """Return the JSON object sent. Raises Refused."""
        check_content_type(self.headers)
        content = self.content if self.in_batch else read_json(self.body)
        if not isinstance(content, dict):
            raise Refused("BadRequest", "The request body must be a JSON object.")
        return {name: value for name, value in content.items() if "@" not in name}


def read_options(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


@dataclass(frozen=True)
class Segment:
    name: str
    key: str | None

    def __str__(self) -> str:
        return self.name if self.key is None else f"{self.name}({self.key})"


@dataclass(frozen=True)
class Target:
    """Where an address leads: a set below `parent`, one `record` of it, or what is `named` behind it."""

    entities: EntitySet
    place: Place
    path: str  # of it, from the place on
    parent: Record | None = None
    record: Record | None = None
    named: str = ""  # `$count`, an action or a stream


# The way along the address


def target_of(visit: Visit, call: Call) -> Target:
    segments = [_segment(part) for part in call.path.split("/") if part]
    if not segments:
        raise _no_resource("")
    if segments[0].name != "companies":
        return _within(_company(visit, call.company), visit, segments)
    if segments[0].key is None:
        return _among_companies(visit, segments)
    company = _company(visit, segments[0].key)
    return _within(company, visit, segments[1:]) if segments[1:] else _one_company(visit, company)


def _segment(text: str) -> Segment:
    parts = SEGMENT.fullmatch(unquote(text))
    if parts is None:
        raise _no_resource(unquote(text))
    return Segment(parts["name"], parts["key"])


def _company(visit: Visit, wanted: str) -> Company:
    """Return the company of an id or a name. Raises Refused."""
    found = visit.environment.companies.get(wanted.lower())
    if found is None and wanted:
        found = next((one for one in visit.environment.companies.values() if one.name == wanted), None)
    if found is None:
        raise Refused("Internal_CompanyNotFound", f"The company '{wanted}' does not exist.", 404)
    return found


def _among_companies(visit: Visit, segments: list[Segment]) -> Target:
    return _along(COMPANIES, Place(visit.environment, visit.base), segments)


def _one_company(visit: Visit, company: Company) -> Target:
    place = Place(visit.environment, visit.base)
    record = COMPANIES.record(visit.environment, None, company.id)
    return Target(COMPANIES, place, "companies", record=record)


def _within(company: Company, visit: Visit, segments: list[Segment]) -> Target:
    first = SETS.get(segments[0].name)
    if first is None:
        raise _no_resource(segments[0].name)
    return _along(first, Place(company, f"{visit.base}/companies({company.id})"), segments)


def _along(entities: EntitySet, place: Place, segments: list[Segment]) -> Target:
    """Walk from set to record to the set below it. Raises Refused."""
    parent: Record | None = None
    for at, segment in enumerate(segments):
        path = "/".join(map(str, [*segments[:at], Segment(segment.name, None)]))
        rest = [str(one) for one in segments[at + 1 :]]
        if segment.key is None:
            if rest and rest != ["$count"]:
                raise _no_resource(rest[0])
            return Target(entities, place, path, parent, named="".join(rest))
        record = entities.record(place.company, parent, _key(segment.key))
        if not rest:
            return Target(entities, place, path, parent, record)
        if segments[at + 1].name in entities.navigations:
            parent, entities = record, entities.navigations[segments[at + 1].name]
            continue
        if len(rest) > 1 or rest[0] not in {*entities.actions, entities.stream}:
            raise _no_resource(rest[0])
        return Target(entities, place, path, parent, record, named=rest[0])
    raise AssertionError("an address has an end")


def _key(text: str) -> str:
    if not GUID.fullmatch(text.lower()):
        raise Refused("BadRequest_NotFound", f"'{text}' is no key.", 404)
    return text.lower()


def _no_resource(name: str) -> Refused:
    return Refused("BadRequest_ResourceNotFound", f"Resource not found for the segment '{name}'.", 404)
