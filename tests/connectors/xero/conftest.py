"""Acme's organisation in the simulated Xero, and the connector opened for it."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pytest

from connectors.connector import Deadline
from connectors.models import Connection, Credential
from connectors.records import Entry, Kind, Line, Party, Sent
from connectors.settings import Settings
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.accounts.models import Business, User
from pexsync.accounts.tenancy import everywhere
from sandbox.server import Desk


class Acme:
    """What the tests hold in hand: both sides of one connection."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.world = desk.worlds["xero"]
        self.organisation = self.world.add_organisation("Acme LLC", short_code="!ACME1")
        self.bank = self.organisation.add_bank_account("PEX Cash")
        self.fuel = self.organisation.add_account("449", "Motor Vehicle Expenses")
        self.office = self.organisation.add_account("453", "Office Expenses")
        self.shell = self.organisation.add_contact("Shell")
        self.person = self.world.add_user("Ann Admin", "ann@acme.example", [self.organisation])

    def grant(self, **how: Any) -> dict[str, Any]:
        return dict(self.world.grant(self.person, [self.organisation], **how))

    def entry(self, number: int = 1, amount: str = "41.87", **changes: Any) -> Entry:
        key = changes.pop("key", f"PEXT{8000000 + number}")
        facts: dict[str, Any] = {
            "key": key,
            "kind": Kind.PURCHASE,
            "amount": Decimal(amount),
            "date": date(2026, 7, 3),
            "account": self.bank.id,
            "party": Party(name="Shell"),
            "lines": (Line(Decimal(amount), self.fuel.id, "Fuel, card 1234"),),
            "url": self.url(key),
        }
        return Entry(**(facts | changes))

    @cached_property
    def savings(self) -> Any:
        """The bank account PEX is funded from."""
        return self.organisation.add_bank_account("Business Checking")

    def transfer(self, number: int = 1, amount: str = "-500.00", **changes: Any) -> Entry:
        """A funding; with a positive amount money that came back from PEX."""
        facts: dict[str, Any] = {
            "kind": Kind.TRANSFER,
            "party": Party(),
            "lines": (Line(Decimal(amount), self.savings.id, "Funding"),),
        }
        return self.entry(number, amount, **(facts | changes))

    def url(self, key: str) -> str:
        return f"https://dashboard.pexcard.com/cards/77/detail?transaction=4410-{key}"

    def sent(self, entry: Entry, **changes: Any) -> Sent:
        facts: dict[str, Any] = {
            "key": entry.key,
            "amount": entry.amount,
            "date": entry.date,
            "account": entry.account,
            "url": entry.url,
            "kind": entry.kind,
        }
        return Sent(**(facts | changes))

    def calls(self, method: str = "", path: str = "") -> int:
        return len(self.desk.calls.matching("xero", method, path))

    def switch(self, **switches: Any) -> None:
        for name, value in switches.items():
            setattr(self.world.switches, name, value)


@pytest.fixture
def addresses(sandbox: Desk, settings: Any) -> None:
    settings.XERO_LOGIN_URL = f"{sandbox.url}/xero-login"
    settings.XERO_IDENTITY_URL = f"{sandbox.url}/xero-identity"
    settings.XERO_API_URL = f"{sandbox.url}/xero-api"
    settings.XERO_GO_URL = "https://go.xero.com"
    settings.PEX_DASHBOARD_URL = "https://dashboard.pexcard.com"
    settings.PUBLIC_URL = sandbox.product_url


@pytest.fixture
def acme(sandbox: Desk, addresses: None) -> Acme:
    return Acme(sandbox)


@pytest.fixture
def connection(acme: Acme, db: None) -> Connection:
    return linked(acme)


def linked(acme: Acme, name: str = "Acme", tokens: dict[str, Any] | None = None) -> Connection:
    """A business connected to Acme's organisation, as CONNECT leaves it."""
    tokens = tokens or acme.grant()
    secret = {"previous_refresh_token": "", **{n: tokens[n] for n in ("access_token", "refresh_token", "scope")}}
    until = clock.now() + timedelta(seconds=tokens["expires_in"])
    with everywhere():
        business = Business.objects.create(pex_id=4410 + Business.objects.count(), name=name)
        person, _ = User.objects.get_or_create(username="ann.admin")
        return Connection.objects.create(
            business=business,
            system="xero",
            credential=Credential.store(business, "xero", person, secret, until),
            company=acme.organisation.id,
            settings=Settings(pex_account=acme.bank.id).stored(),
            installed_at=clock.now(),
        )


def reread(connection: Connection) -> Connection:
    with everywhere():
        return Connection.objects.select_related("credential").get(pk=connection.pk)


def change(connection: Connection, **columns: Any) -> Connection:
    with everywhere():
        Connection.objects.filter(pk=connection.pk).update(**columns)
    return reread(connection)


@pytest.fixture
def xero(connection: Connection) -> Iterator[Xero]:
    with Xero(connection) as opened:
        yield opened


@pytest.fixture
def again(connection: Connection) -> Iterator[Callable[[], Xero]]:
    """Another run's connector, which knows nothing of the first one's."""
    opened: list[Xero] = []

    def open_another() -> Xero:
        opened.append(Xero(reread(connection)))
        return opened[-1]

    yield open_another
    for each in opened:
        each.close()


@pytest.fixture
def soon() -> Deadline:
    return Deadline.after(30)
