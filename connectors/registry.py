"""Which systems there are. A new one is added here and in its own folder, nowhere else."""

from collections.abc import Sequence

from connectors.connector import Connector
from connectors.dynamics365.connector import Dynamics365
from connectors.models import Connection
from connectors.pex import client as pex
from connectors.xero.connector import Xero

ALL: dict[str, type[Connector]] = {connector.key: connector for connector in (Xero, Dynamics365)}


def available() -> Sequence[type[Connector]]:
    """The systems whose app credentials the operator gave."""
    return [connector for connector in ALL.values() if connector.configured()]


def get(system: str) -> type[Connector] | None:
    connector = ALL.get(system)
    return connector if connector and connector.configured() else None


def pace_keys(connection: Connection) -> Sequence[str]:
    """Whose calls a page of this connection makes: the company's in the books, and the business's in PEX."""
    limits = ALL[connection.system].limits(connection)
    return [*(each.key for each in limits[:1]), pex.of_business(connection.business.pex_id).key]


def open_connector(connection: Connection) -> Connector:
    """Return the connector of this connection; use it in a `with`."""
    return ALL[connection.system](connection)
