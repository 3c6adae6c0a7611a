"""One statement for many rows, each with values of its own: what Django's `bulk_update` cannot guard or report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connection, models

ROWS = 500  # per statement

Row = tuple[int, Mapping[str, Any], Mapping[str, Any]]  # id, what it must still be, what it becomes


def update_each(model: type[models.Model], rows: Sequence[Row]) -> set[int]:
    """Compare-and-set each row; return the ids that changed.

    All rows name the same columns. A null compares equal to a null.
    """
    changed: set[int] = set()
    for start in range(0, len(rows), ROWS):
        changed |= _update(model, rows[start : start + ROWS])
    return changed


def _update(model: type[models.Model], rows: Sequence[Row]) -> set[int]:
    was, becomes = list(rows[0][1]), list(rows[0][2])
    fields: list[Any] = [model._meta.pk, *(model._meta.get_field(name) for name in was + becomes)]
    values = [[pk, *(expected[name] for name in was), *(new[name] for name in becomes)] for pk, expected, new in rows]
    columns = ["id", *(f"was_{i}" for i in range(len(was))), *(f"new_{i}" for i in range(len(becomes)))]
    table = connection.ops.quote_name(model._meta.db_table)
    names = [connection.ops.quote_name(field.column) for field in fields]
    guard = " and ".join(
        [f"{table}.{names[0]} = v.id", *(f"{table}.{names[1 + i]} {_same()} v.was_{i}" for i in range(len(was)))]
    )
    setting = ", ".join(f"{names[1 + len(was) + i]} = v.new_{i}" for i in range(len(becomes)))
    row = "(" + ", ".join(_slot(field) for field in fields) + ")"
    sql = (
        f"with v({', '.join(columns)}) as (values {', '.join([row] * len(values))}) "  # noqa: S608  # names of our own model
        f"update {table} set {setting} from v where {guard} returning {table}.{names[0]}"
    )
    parameters = _prepared(fields, values)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return {pk for (pk,) in cursor.fetchall()}


def _same() -> str:
    """The comparison to which null is a value like any other."""
    return "is not distinct from" if connection.vendor == "postgresql" else "is"


def _slot(field: Any) -> str:
    """PostgreSQL has to be told the type of a value in a list; text without its length, which would cut it silently."""
    if connection.vendor != "postgresql":
        return "%s"
    if isinstance(field, models.CharField):
        return "%s::text"
    return f"%s::{field.rel_db_type(connection) if field.is_relation else field.db_type(connection)}"


def insert_all(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]], then: str = ""
) -> None:
    """Insert rows given as values by column; `then` is what follows, such as `on conflict ...`.

    A quarter of a run's work was Django's `bulk_create` of the event log, which makes an object for every row first.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    row = "(" + ", ".join(["%s"] * len(fields)) + ")"
    for start in range(0, len(rows), ROWS):
        piece = rows[start : start + ROWS]
        parameters = _prepared(fields, piece)
        table = connection.ops.quote_name(model._meta.db_table)
        slots = ", ".join([row] * len(piece))
        with connection.cursor() as cursor:
            cursor.execute(f"insert into {table} ({names}) values {slots} {then}", parameters)  # noqa: S608  # our names


def _prepared(fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The values as the database takes them, row after row."""
    ways = [_way(field) for field in fields]
    return [value if value is None else way(value) for row in rows for way, value in zip(ways, row, strict=True)]


def _way(field: Any) -> Callable[[Any], Any]:
    """How a column's values are made ready: texts and whole numbers need nothing of what Django does for the others."""
    if isinstance(field, models.CharField):
        return str  # an enum's text, too
    if isinstance(field, models.IntegerField | models.ForeignKey | models.AutoField):
        return _as_it_is
    return lambda value: field.get_db_prep_save(value, connection)


def _as_it_is(value: Any) -> Any:
    return value
