"""The wall between tenants: the business whose rows this thread may see.

Every query of a tenant's rows goes through its business. On PostgreSQL row-level security repeats the rule: the
policies of `walls()` read the setting `app.business`, which lives as long as the transaction it was set in.
SQLite has no such policies; there only the scoped access protects.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, migrations, transaction

EVERYWHERE = "*"


@contextmanager
def scope(business_id: int) -> Iterator[None]:
    """One short transaction in which only this business's rows exist. Never call anybody inside it (rule L6)."""
    with _let_in(str(business_id)):
        yield


@contextmanager
def reading(business_id: int) -> Iterator[None]:
    """As `scope`, for reads only: on SQLite no transaction is opened, since any would take the write lock."""
    if connection.vendor == "postgresql":
        with scope(business_id):
            yield
    else:
        yield


@contextmanager
def everywhere() -> Iterator[None]:
    """One transaction that sees all tenants: for the schedule, the sweeper and sign-in, never for a page's rows."""
    with _let_in(EVERYWHERE):
        yield


@contextmanager
def reading_everywhere() -> Iterator[None]:
    """As `everywhere`, for reads only: a person's own memberships of several businesses."""
    if connection.vendor == "postgresql":
        with everywhere():
            yield
    else:
        yield


@contextmanager
def _let_in(whom: str) -> Iterator[None]:
    """A transaction for `whom`; inside another one, that one's business is let in again at the end."""
    with transaction.atomic():
        before = _set(whom)
        yield
        if before != whom:
            _set(before)


def _set(whom: str) -> str:
    """Return whom the setting named before. Where an error ends the transaction, the database itself puts it back."""
    if connection.vendor != "postgresql":
        return whom
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(current_setting('app.business', true), '')")
        before: str = cursor.fetchone()[0]
        if before != whom:
            cursor.execute("select set_config('app.business', %s, true)", [whom])
    return before


def walls(table: str, column: str = "business_id") -> migrations.RunPython:
    """Return the migration operation that puts the wall around a table."""
    return migrations.RunPython(_Wall(table, column), migrations.RunPython.noop)


class _Wall:
    def __init__(self, table: str, column: str) -> None:
        self.table, self.column = table, column

    def __call__(self, apps: object, schema_editor: "object") -> None:
        if connection.vendor != "postgresql":
            return
        now = "current_setting('app.business', true)"
        mine = f"({self.column}::text = {now} or {now} = '{EVERYWHERE}')"
        with connection.cursor() as cursor:
            cursor.execute(f"alter table {self.table} enable row level security")
            cursor.execute(f"alter table {self.table} force row level security")
            cursor.execute(f"create policy own_business on {self.table} using {mine} with check {mine}")
