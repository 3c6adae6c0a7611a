"""Which systems there are. A new one is added here and in its own folder, nowhere else."""

from collections.abc import Sequence

from connectors.connector import Connector
from connectors.models import Connection
from connectors.xero.connector import Xero

ALL: dict[str, type[Connector]] = {connector.key: connector for connector in (Xero,)}


def available() -> Sequence[type[Connector]]:
    """The systems whose app credentials the operator gave."""
    return [connector for connector in ALL.values() if connector.configured()]


def get(system: str) -> type[Connector] | None:
    connector = ALL.get(system)
    return connector if connector and connector.configured() else None


def open_connector(connection: Connection) -> Connector:
    """Return the connector of this connection; use it in a `with`."""
    return ALL[connection.system](connection)
