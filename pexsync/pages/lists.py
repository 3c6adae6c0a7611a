"""What the setup offers to choose from, asked of the books and of PEX, and kept for two minutes: going back and forth
in the setup asks nobody again.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self, TypeVar

from django.core.cache import cache

from connectors import registry
from connectors.connector import Connector
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection
from connectors.records import PARTY, Company, Field, Option
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.models import Business
from pexsync.pages.steps import Books
from pexsync.pages.steps.books import COMPANIES
from syncjobs import notices
from syncjobs.views import connector_of
from tagging import definitions
from tagging.models import Tag

ASKED_AGAIN = 120  # seconds after which the books are asked again for their lists
FIELDS = "fields"  # in what a step reads: all that can be coded, with the lists of it
ALL_LISTS = ("pex_account", PARTY, FIELDS)

Row = TypeVar("Row")


def tags_of(business: Business, fresh: bool = False) -> tuple[list[Tag], str]:
    """The tags of a business as PEX has them now; our last copy where PEX is silent, with why if there is none."""
    silent = ""
    try:
        definitions.refresh(business, fresh)
    except ConnectorError as error:
        silent = error.says
    with tenancy.reading(business.pk):
        tags = list(business.tags.filter(enabled=True, deleted=False))
    return tags, "" if tags else silent


def read_books(connection: Connection, tags: Sequence[Tag], reads: Sequence[str] = (), fresh: bool = False) -> Books:
    """What the books offer to choose from; with the reason where they do not answer. Never inside a transaction.

    Before a company is chosen there are no lists but that of the companies.
    """
    connector, company = connector_of(connection.system), _company(connection)
    books = Books(connector, connection.business.charge, clock.today(), tags=tags, company=company)
    if not reads:
        return books
    with tenancy.reading(connection.business_id):
        books = replace(books, taken=fed_elsewhere(connection))
    try:
        with Lists(connection, fresh) as lists:
            if COMPANIES in reads and connector.company_in_setup:
                books = replace(books, companies=lists.companies())
            if company is None:
                return books
            fields = lists.fields()
            names = dict.fromkeys(name for each in reads if each != COMPANIES for name in _named(each, fields))
            options = {name: lists.options(name) for name in names}
    except NotAuthorized as error:
        notices.signed_out(connection, error.says)
        return replace(books, trouble=error.says)
    except ConnectorError as error:
        return replace(books, trouble=error.says)
    return replace(books, fields=fields, options=options)


def fed_elsewhere(connection: Connection) -> dict[str, str]:
    """The tags that get their options from another connection of this business, and from what. Inside a scope."""
    others = Connection.objects.filter(business_id=connection.business_id).exclude(pk=connection.pk)
    taken = {}
    for other in others.exclude(state=Connection.State.INSTALLED):
        names, connector = other.settings.get("labels", {}), registry.get(other.system)
        label = connector.label if connector else other.system
        for key, tag in Settings.parse(other.settings).synced.items():
            taken[tag] = f"{names.get(f'field:{key}', 'a field')} in {label}"
    return taken


def _company(connection: Connection) -> Company | None:
    return Company(connection.company, connection.company_name) if connection.company else None


def _named(read: str, fields: Sequence[Field]) -> list[str]:
    """Whom entries are booked against may be thousands: they are read only where they are asked for."""
    if read != FIELDS:
        return [read]
    return [each.list_name for each in fields if not each.text and each.list_name != PARTY]


class Lists:
    """The lists of one connection; the books are opened only for those not kept. Use it in a `with`."""

    def __init__(self, connection: Connection, fresh: bool) -> None:
        self.connection, self.fresh = connection, fresh
        self.key = f"lists:{connection.pk}:{connection.company}"
        self._stack = ExitStack()
        self._opened: Connector | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.close()

    def companies(self) -> list[Company]:
        """Those of the sign-in, whichever is in use."""
        name = f"companies:{self.connection.pk}:{self.connection.credential_id}"
        kept: list[Company] | None = None if self.fresh else cache.get(name)
        if kept is None:
            kept = list(self._books.companies())
            cache.set(name, kept, ASKED_AGAIN)
        return kept

    def fields(self) -> list[Field]:
        kept: list[Field] | None = self._kept(FIELDS)
        return self._keep(FIELDS, list(self._books.fields())) if kept is None else kept

    def options(self, name: str) -> list[Option]:
        kept: list[Option] | None = self._kept(f"of:{name}")
        return self._keep(f"of:{name}", list(self._books.options(name))) if kept is None else kept

    @property
    def _books(self) -> Connector:
        if self._opened is None:
            self._opened = self._stack.enter_context(registry.open_connector(self.connection))
        return self._opened

    def _kept(self, name: str) -> Any:
        return None if self.fresh else cache.get(f"{self.key}:{name}")

    def _keep(self, name: str, rows: list[Row]) -> list[Row]:
        cache.set(f"{self.key}:{name}", rows, ASKED_AGAIN)
        return rows
