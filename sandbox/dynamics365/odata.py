"""OData as Business Central speaks it: entity sets, the options of a query, and the page of records they choose.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/webservices/odata-known-limitations
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sandbox.dynamics365.answers import etag_of, quoted, row_text
from sandbox.dynamics365.filters import Filter, read_filter, usual_kind
from sandbox.dynamics365.records import Record
from sandbox.dynamics365.switches import Switches
from sandbox.dynamics365.values import Refused

Members = dict[str, Any]
Chosen = tuple[Record, Members | None]  # a record, and what it shows when that is known already
OPTIONS = ("$filter", "$select", "$expand", "$top", "$skip", "$orderby", "$count", "$skiptoken", "$schemaversion")
NESTED_OPTIONS = ("$filter", "$select", "$expand", "$top", "$orderby")
EVERYTHING = Filter(lambda row: True)
PAGE_PREFERENCE = re.compile(r"(?:odata\.)?maxpagesize\s*=\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class EntitySet:
    """One kind of record in the API: a verb without a function does not exist there.

    The functions take the company, or the environment where the companies themselves are meant. `rows` lists what is
    below a parent, or everything; `listed` serves lists without a parent where the filter matters; `found` looks a key
    up. `actions` are bound to a record, `stream` is the member that is bytes.
    """

    name: str
    rows: Callable[[Any, Any], Iterable[Record]]
    shown: Callable[[Any, Any], Members]
    read_only: frozenset[str]
    writable: frozenset[str] = frozenset()
    found: Callable[[Any, str], Record | None] | None = None  # without a parent
    listed: Callable[[Any, Filter], Iterable[Record]] | None = None
    create: Callable[[Any, Any, Members], Record] | None = None
    change: Callable[[Any, Any, Members], None] | None = None
    delete: Callable[[Any, Any], None] | None = None
    navigations: Mapping[str, EntitySet] = field(default_factory=dict)
    actions: Mapping[str, Callable[[Any, Any], None]] = field(default_factory=dict)
    stream: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)  # of members which mean something else elsewhere

    @cached_property
    def members(self) -> frozenset[str]:
        """What a record shows; the names of navigations and bytes are no part of it."""
        return (self.read_only | self.writable) - self.navigations.keys() - {self.stream}

    def kind_of(self, name: str) -> str:
        return self.kinds.get(name) or usual_kind(name)

    def record(self, company: Any, parent: Record | None, key: str) -> Record:
        """Return the record of a key. Raises Refused."""
        if parent is None and self.found:
            found = self.found(company, key)
        else:
            found = next((one for one in self.rows(company, parent) if one.id == key), None)
        if found is None:
            raise Refused("Internal_RecordNotFound", f"The {self.name} with the id {key} does not exist.", 404)
        return found

    def all(self, company: Any, parent: Record | None, filter: Filter) -> Iterable[Record]:
        """Return at least the records the filter lets through."""
        if parent is None and self.listed:
            return self.listed(company, filter)
        return self.rows(company, parent)


@dataclass(frozen=True)
class Place:
    """Where records are: the company, or the environment of companies, and its address without a last slash."""

    company: Any
    address: str


@dataclass(frozen=True)
class Query:
    """What the options of an address ask for. `select` None: every member."""

    select: frozenset[str] | None = None
    expand: Mapping[str, Query] = field(default_factory=dict)
    filter: Filter = EVERYTHING
    order: Sequence[tuple[str, bool]] = ()  # member, descending
    top: int | None = None
    skip: int = 0
    count: bool = False
    after: str = ""  # id of the last record of the page before


@dataclass(frozen=True)
class Page:
    rows: Sequence[Chosen]
    count: int  # of all that the filter lets through
    more: bool


# Reading the options


def read_query(options: Mapping[str, str], entities: EntitySet, switches: Switches) -> Query:
    """Raises Refused for what cannot be understood."""
    for name in options:
        if name.startswith("$") and name not in OPTIONS:
            raise Refused("BadRequest_InvalidRequestUrl", f"The query option '{name}' is not supported.")
    filter_text = options.get("$filter", "")
    return Query(
        select=_select(options.get("$select", ""), entities),
        expand=_expand(options.get("$expand", ""), entities, switches),
        filter=(
            read_filter(filter_text, entities.members, entities.kind_of, switches.code_filter_case)
            if filter_text.strip()
            else EVERYTHING
        ),
        order=_order(options.get("$orderby", ""), entities),
        top=_whole(options, "$top"),
        skip=_whole(options, "$skip") or 0,
        count=_flag(options.get("$count", "false")),
        after=options.get("$skiptoken", "").lower(),
    )


def page_size(headers: Mapping[str, str], switches: Switches) -> int:
    """The server's size, or the smaller one preferred."""
    wanted = PAGE_PREFERENCE.search(headers.get("prefer", ""))
    return min(switches.page_size, max(1, int(wanted[1]))) if wanted else switches.page_size


def _select(text: str, entities: EntitySet) -> frozenset[str] | None:
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = names - entities.members - entities.navigations.keys() - {"*", entities.stream}
    if unknown:
        raise Refused("BadRequest", f"Could not find a property named '{min(unknown)}' on '{entities.name}'.")
    return None if not names or "*" in names else names


def _expand(text: str, entities: EntitySet, switches: Switches) -> Mapping[str, Query]:
    found = {}
    for part in _split(text, ","):
        name, _, rest = part.partition("(")
        inner = entities.navigations.get(name.strip())
        if inner is None or (rest and not rest.endswith(")")):
            raise Refused("BadRequest", f"Could not find a property named '{part}' on '{entities.name}'.")
        options = dict(_option(one) for one in _split(rest[:-1], ";"))
        found[name.strip()] = read_query(options, inner, switches)
    return found


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if name.strip() not in NESTED_OPTIONS:
        raise Refused("BadRequest_InvalidRequestUrl", f"The option '{text}' cannot stand inside $expand.")
    return name.strip(), value


def _split(text: str, mark: str) -> Iterator[str]:
    """Split at the marks outside parentheses and quotes. Empty parts are left out."""
    depth, quoted, start = 0, False, 0
    for place, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if letter == mark and not depth:
                if text[start:place].strip():
                    yield text[start:place].strip()
                start = place + 1
    if text[start:].strip():
        yield text[start:].strip()


def _order(text: str, entities: EntitySet) -> list[tuple[str, bool]]:
    found = []
    for part in text.split(","):
        name, _, way = part.strip().partition(" ")
        if not name:
            continue
        if name not in entities.members or way.strip() not in ("", "asc", "desc"):
            raise Refused("BadRequest", f"Cannot order '{entities.name}' by '{part.strip()}'.")
        found.append((name, way.strip() == "desc"))
    return found


def _whole(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise Refused("BadRequest_InvalidRequestUrl", f"'{text}' is no value of {name}.")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise Refused("BadRequest_InvalidRequestUrl", f"'{text}' is no value of $count.")
    return text == "true"


# Choosing


def page_of(entities: EntitySet, company: Any, parent: Record | None, query: Query, size: int) -> Page:
    """Return the records a query chooses, at most `size` of them. Raises Refused."""
    chosen = chosen_of(entities, company, parent, query)
    rest = _after(chosen, query.after) if query.after else chosen[query.skip :]
    if query.top is not None:
        rest = rest[: query.top]
    return Page(rest[:size], len(chosen), len(rest) > size)


def chosen_of(entities: EntitySet, company: Any, parent: Record | None, query: Query) -> list[Chosen]:
    """Return all records the filter lets through, in order; what had to be shown for that comes along."""
    records = entities.all(company, parent, query.filter)
    if query.filter is EVERYTHING and not query.order:
        return [(record, None) for record in records]
    shown = ((record, entities.shown(company, record)) for record in records)
    found = [(record, members) for record, members in shown if query.filter.test(members)]
    for name, descending in reversed(query.order):
        found.sort(key=lambda pair: pair[1][name], reverse=descending)
    return [*found]


def _after(chosen: list[Chosen], last: str) -> list[Chosen]:
    for place, (record, _) in enumerate(chosen):
        if record.id == last:
            return chosen[place + 1 :]
    # What the service does then is known to nobody: it is refused, so that no record is left out in silence.
    raise Refused("BadRequest", "The record the page before ended with is no longer there. Read the list anew.")


# Writing


def text_of(entities: EntitySet, place: Place, query: Query, record: Record, members: Members | None = None) -> str:
    """Return one record as JSON, with what the query selects and expands."""
    if members is None:
        members = entities.shown(place.company, record)
    if query.select is not None:
        members = {name: value for name, value in members.items() if name in query.select}
    return row_text(
        members, etag_of(record), [*_links(entities, place, record), *_below(entities, place, query, record)]
    )


def _links(entities: EntitySet, place: Place, record: Record) -> Iterator[str]:
    """Say where the bytes of a record are."""
    if entities.stream:
        address = quoted(f"{place.address}/{entities.name}({record.id})/{entities.stream}")
        for name in ("mediaEditLink", "mediaReadLink"):
            yield f'"{entities.stream}@odata.{name}":{address}'


def _below(entities: EntitySet, place: Place, query: Query, record: Record) -> Iterator[str]:
    for name, inner in query.expand.items():
        below = entities.navigations[name]
        chosen = chosen_of(below, place.company, record, inner)[: inner.top]
        texts = (text_of(below, place, inner, one, members) for one, members in chosen)
        yield f'"{name}":[{",".join(texts)}]'
