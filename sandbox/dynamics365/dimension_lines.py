"""dimensionSetLines: the dimensions of a journal line, which may be set, and of a G/L entry, which may not.

The key of one is the id of its dimension, so `rows` of a parent is where a keyed one is found.
"""

from dataclasses import dataclass
from typing import Any

from sandbox.dynamics365 import members as read
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import NOBODY, Dimension, DimensionValue, JournalLine, LedgerEntry, Record
from sandbox.dynamics365.values import Member, refused

WRITABLE = frozenset({"id", "code", "displayName", "valueId", "valueCode", "valueDisplayName"})
READ_ONLY = frozenset({"consolidationCode", "parentId", "parentType", "valueConsolidationCode"})

Parent = JournalLine | LedgerEntry


@dataclass(eq=False, kw_only=True)
class DimensionLine(Record):
    """One dimension of a line or entry, made when it is asked for. `id` is the dimension's, `value` a code."""

    parent: Parent
    dimension: Dimension
    value: str


def rows(company: Company, parent: Record | None) -> list[DimensionLine]:
    if not isinstance(parent, JournalLine | LedgerEntry):
        raise refused("You must get to the parent first to get to the dimension set line.")
    return [_made(company, parent, code) for code in parent.dimensions]


def _made(company: Company, parent: Parent, code: str) -> DimensionLine:
    dimension = next(one for one in company.dimensions.values() if one.code == code)
    return DimensionLine(
        dimension.id,
        parent.changed,
        parent.version,
        parent=parent,
        dimension=dimension,
        value=parent.dimensions[code],
    )


def shown(company: Company, record: DimensionLine) -> dict[str, Any]:
    dimension, parent = record.dimension, record.parent
    value = dimension.values.get(record.value)
    return {
        "id": dimension.id,
        "code": dimension.code,
        "consolidationCode": "",
        "parentId": parent.id,
        "parentType": Member("Journal Line" if isinstance(parent, JournalLine) else "General Ledger Entry"),
        "displayName": dimension.name,
        "valueId": value.id if value else NOBODY,
        "valueCode": record.value,
        "valueConsolidationCode": "",
        "valueDisplayName": value.name if value else "",
    }


def create(company: Company, parent: Record | None, body: dict[str, Any]) -> DimensionLine:
    if parent is None:
        raise refused("You must get to the parent first to create a dimension set line.")
    line = _open(parent)
    dimension = _dimension(company, body)
    value = _value(dimension, body)
    if dimension.code in line.dimensions:
        raise refused(
            "The dimension set line already exists. "
            "Check existing dimension set lines and the default dimension set lines on the parent."
        )
    _put(company, line, {**line.dimensions, dimension.code: value.code})
    return _made(company, line, dimension.code)


def change(company: Company, record: DimensionLine, body: dict[str, Any]) -> None:
    line, dimension = _open(record.parent), record.dimension
    if {"id", "code"} & body.keys() and _dimension(company, body) is not dimension:
        raise refused('The "id" and "code" fields cannot be modified.')
    if {"valueId", "valueCode"} & body.keys():
        record.value = _value(dimension, body).code
        _put(company, line, {**line.dimensions, dimension.code: record.value})
        record.version = line.version


def delete(company: Company, record: DimensionLine) -> None:
    line, dimension = _open(record.parent), record.dimension
    _put(company, line, {code: value for code, value in line.dimensions.items() if code != dimension.code})


def _open(parent: Record | None) -> JournalLine:
    if not isinstance(parent, JournalLine):
        raise refused("Dimension set lines are read only for parent type General Ledger Entry.")
    return parent


def _put(company: Company, line: JournalLine, dimensions: dict[str, str]) -> None:
    company.keep(line)
    line.dimensions = dimensions
    company.touch(line)


def _dimension(company: Company, body: dict[str, Any]) -> Dimension:
    """The dimension of `id` or `code`; both must mean the same one."""
    by_id, by_code = read.guid("id", body.get("id")), read.code("code", body.get("code"), 20)
    if by_id == NOBODY and not by_code:
        raise refused('The "id" or "code" field must be filled in.')
    found = company.dimensions.get(by_id)
    if by_id != NOBODY and found is None:
        raise refused('The "id" does not match to a Dimension.')
    if by_code:
        named = next((one for one in company.dimensions.values() if one.code == by_code), None)
        if named is None:
            raise refused('The "code" does not match to a Dimension.')
        if found not in (None, named):
            raise refused("The dimension field values do not match to a specific Dimension.")
        found = named
    assert found
    return found


def _value(dimension: Dimension, body: dict[str, Any]) -> DimensionValue:
    """The value of `valueId` or `valueCode`; headings and blocked values pass, they fail when the line is posted."""
    by_id, by_code = read.guid("valueId", body.get("valueId")), read.code("valueCode", body.get("valueCode"), 20)
    if by_id == NOBODY and not by_code:
        raise refused('The "valueId" or "valueCode" field must be filled in.')
    found = next((one for one in dimension.values.values() if one.id == by_id), None)
    if by_id != NOBODY and found is None:
        raise refused('The "valueId" does not match to a Dimension Value.')
    if by_code:
        coded = dimension.values.get(by_code)
        if coded is None:
            raise refused('The "valueCode" does not match to a Dimension Value.')
        if found not in (None, coded):
            raise refused("The dimension value fields do not refer to the same Dimension Value.")
        found = coded
    assert found
    return found
