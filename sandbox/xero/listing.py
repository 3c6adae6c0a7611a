"""Reading lists: filters, order, changes since a moment, pages."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.xero.answers import ApiRequest, Refused, bad_query, bad_request
from sandbox.xero.formats import JSON, moment_from
from sandbox.xero.where import Member, Members, QueryError, compile_order, compile_where

LARGEST_PAGE, USUAL_PAGE = 1000, 100


@dataclass(frozen=True)
class Listing:
    """How records of one kind can be asked for: their name in messages and their members."""

    type_name: str
    members: Members
    usual_order: Callable[[Any], Any]

    def select(self, request: ApiRequest, records: Iterable[Any]) -> list[Any]:
        """Return the records that pass `where` and If-Modified-Since, in order. Raises Refused."""
        try:
            rows = _since(request, records)
            if request.query.get("where"):
                test = compile_where(
                    request.query["where"], self.members, self.type_name, request.world.switches.where_or
                )
                rows = [row for row in rows if test(row)]
            return self._ordered(request, rows)
        except QueryError as error:
            raise Refused(bad_query(str(error))) from None

    def _ordered(self, request: ApiRequest, rows: list[Any]) -> list[Any]:
        rows = sorted(rows, key=self.usual_order)
        order = request.query.get("order")
        return compile_order(order, self.members, self.type_name)(rows) if order else rows


def _since(request: ApiRequest, records: Iterable[Any]) -> list[Any]:
    header = request.headers.get("if-modified-since")
    if not header:
        return list(records)
    try:
        since = moment_from(header)
    except ValueError:
        raise Refused(bad_request(10, "ValidationException", "If-Modified-Since is not a date")) from None
    return [row for row in records if row.updated >= since]


@dataclass(frozen=True)
class Page:
    rows: Sequence[Any]
    facts: JSON  # the `pagination` object


def one_page(request: ApiRequest, rows: Sequence[Any]) -> Page | None:
    """Return the page asked for, or None when none was; a size out of range is clamped."""
    if "page" not in request.query and "pagesize" not in request.query:
        return None
    number = max(1, _whole(request.query.get("page", "1")))
    size = min(LARGEST_PAGE, max(1, _whole(request.query.get("pagesize", str(USUAL_PAGE)))))
    facts = {
        "page": number,
        "pageSize": size,
        "pageCount": -(-len(rows) // size),
        "itemCount": len(rows),
    }
    start = (number - 1) * size
    return Page(rows[start : start + size], facts)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused(bad_query(f"'{text}' is not a page")) from None


def check_breadth(request: ApiRequest, rows: Sequence[Any]) -> None:
    """Refuse a filter that matches too many rows. Raises Refused."""
    most = request.world.switches.most_rows
    if len(rows) > most:
        raise Refused(bad_query(f"The query matches more than {most} records, narrow it down"))


def text_member(read: Callable[[Any], str], **how: bool) -> Member:
    """A string that is null when empty."""
    return Member("String", lambda row: read(row) or None, **how)


def word_member(read: Callable[[Any], str]) -> Member:
    """A string that is never null: a type, a status."""
    return Member("String", read, safe=True)
