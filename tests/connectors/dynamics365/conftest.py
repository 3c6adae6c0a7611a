"""Acme's company in the simulated Business Central, and the calls of a connection to it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import Deadline
from connectors.dynamics365.client import Client
from connectors.dynamics365.connector import Dynamics365
from connectors.models import Connection, Credential
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.models import Business, User
from pexsync.accounts.tenancy import everywhere
from sandbox.dynamics365.world import world_of
from sandbox.server import Desk
from tests import make


class Acme:
    """What the tests hold in hand: both sides of one connection."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.world = world_of(desk)
        self.tenant = self.world.add_tenant("Acme LLC")
        self.environment = self.world.add_environment(self.tenant)
        self.company = self.world.add_company(self.environment, "Acme LLC")
        self.journal = self.company.add_journal()
        self.card = self.company.add_account("10950", "PEX Card Prepaid", "Assets")
        self.fuel = self.company.add_account("61200", "Fuel")
        self.office = self.company.add_account("61300", "Office")
        self.person = self.world.add_user("Ann Admin", "ann@acme.example", self.tenant)

    @property
    def place(self) -> str:
        return self.world.place_of(self.company)

    def line(self, amount: str = "12.50", **fields: Any) -> dict[str, Any]:
        """A line as the connector sends it."""
        facts = {"accountType": "G/L Account", "accountNumber": self.fuel.number, "postingDate": "2026-03-14"}
        words = {"documentNumber": "PEXT1", "externalDocumentNumber": "4410-PEXT1", "description": "Shell PEXT1"}
        return {**facts, **words, "amount": Decimal(amount), **fields}

    def calls(self, method: str = "", path: str = "", system: str = "bc-api") -> int:
        return len(self.desk.calls.matching(system, method, path))

    def renewals(self) -> int:
        return self.calls("POST", "oauth2/v2.0/token", "entra")

    def switch(self, **switches: Any) -> None:
        for name, value in switches.items():
            setattr(self.world.switches, name, value)

    def forge(self, body: str, status: int = 200, **where: Any) -> None:
        """The next call that fits is answered with this, and nothing is done."""
        where.setdefault("system", "bc-api")
        self.desk.faults.add("status", status=status, body=body, content_type="application/json", **where)


@pytest.fixture
def addresses(sandbox: Desk, settings: Any) -> None:
    make.point_at(settings, sandbox)
    settings.PEX_DASHBOARD_URL = "https://dashboard.pexcard.com"


@pytest.fixture
def acme(sandbox: Desk, addresses: None) -> Acme:
    return Acme(sandbox)


@pytest.fixture
def one_clock(acme: Acme, settings: Any, tmp_path: Path) -> Iterator[None]:
    """The product's clock is the sandbox's."""
    settings.CLOCK_FILE = acme.desk.clock.path = tmp_path / "clock.json"
    yield
    acme.desk.clock.path = None


@pytest.fixture
def connection(acme: Acme, db: None) -> Connection:
    return linked(acme)


def linked(acme: Acme, name: str = "Acme", tokens: dict[str, Any] | None = None) -> Connection:
    """A business connected to Acme's company, as CONNECT and the choice of the company leave it."""
    tokens = tokens or acme.world.sign_in(acme.person)
    secret = make.dynamics_secret(tokens)
    until = clock.now() + timedelta(seconds=tokens["expires_in"])
    with everywhere():
        business = Business.objects.create(pex_id=4410 + Business.objects.count(), name=name)
        person, _ = User.objects.get_or_create(username="ann.admin")
        return Connection.objects.create(
            business=business,
            system="dynamics365",
            credential=Credential.store(business, "dynamics365", person, secret, until),
            company=acme.place,
            company_facts={"name": acme.company.name, "user": secret["user"]},
            installed_at=clock.now(),
        )


def reread(connection: Connection) -> Connection:
    with everywhere():
        return Connection.objects.select_related("credential").get(pk=connection.pk)


def change(connection: Connection, **columns: Any) -> Connection:
    with everywhere():
        Connection.objects.filter(pk=connection.pk).update(**columns)
    return reread(connection)


def stored(connection: Connection) -> Credential:
    with everywhere():
        return Credential.objects.get(connections=connection.pk)


def alter(connection: Connection, **columns: Any) -> None:
    """Change the credential."""
    with everywhere():
        Credential.objects.filter(connections=connection.pk).update(**columns)


def expire(connection: Connection, **columns: Any) -> None:
    alter(connection, expires_at=clock.now() - timedelta(minutes=1), **columns)


@pytest.fixture
def client(connection: Connection) -> Iterator[Client]:
    opened = Client(connection)
    yield opened
    opened.close()


@pytest.fixture
def again(connection: Connection) -> Iterator[Callable[[], Client]]:
    """Another run's client, which knows nothing of the first one's."""
    opened: list[Client] = []

    def open_another() -> Client:
        opened.append(Client(reread(connection)))
        return opened[-1]

    yield open_another
    for each in opened:
        each.close()


@pytest.fixture
def soon() -> Deadline:
    return Deadline.after(30)


# --- the connector opened for it


def choose(connection: Connection, acme: Acme, **changes: Any) -> None:
    """The PEX account chosen, and what else the settings say."""
    connection.settings = Settings(pex_account=acme.card.id, **changes).stored()
    with everywhere():
        connection.save()


@pytest.fixture
def dynamics(acme: Acme, connection: Connection) -> Iterator[Dynamics365]:
    choose(connection, acme)
    with Dynamics365(connection) as opened:
        yield opened


@pytest.fixture
def another(dynamics: Dynamics365) -> Iterator[Callable[[], Dynamics365]]:
    """Another run's connector, which knows nothing of the first one's."""
    opened: list[Dynamics365] = []

    def open_another() -> Dynamics365:
        opened.append(Dynamics365(reread(dynamics.connection)))
        return opened[-1]

    yield open_another
    for each in opened:
        each.close()
