"""Following one purchase through the engine's tests: its ledger row, its key, and the calls about it."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from connectors.settings import Settings
from syncjobs import engine
from syncjobs.models import Export
from tests import make

LOOK = {"system": "xero-api", "method": "GET", "path": "/BankTransactions$"}
POST = {"system": "xero-api", "method": "PUT", "path": "/BankTransactions$"}
NOTE = {"system": "pex", "method": "POST", "path": "/Note$"}
SLOW_DOWN = {"status": 429, "headers": {"Retry-After": "5", "X-Rate-Limit-Problem": "minute"}}


def key_of(row: Any) -> str:
    return f"PEXT{row.transaction_id}"


def export_of(row: Any) -> Export:
    return Export.objects.get(pex_id=row.transaction_id)


def calls(world: make.World, method: str) -> list[Any]:
    """Of the books' list of bank transactions: GET are looks, PUT is what we sent."""
    made = world.sandbox.calls.matching("xero-api", method)
    return [call for call in made if call.path.endswith("/BankTransactions")]


def posts(world: make.World) -> int:
    """How often we sent bank transactions."""
    return len(calls(world, "PUT"))


def booked(world: make.World) -> list[tuple[str, Decimal]]:
    """Reference and amount of everything live on the PEX account in Xero, transfers too; above nought credits it."""
    account = world.books.account(Settings.parse(world.connection.settings).pex_account)
    found = [
        (one.reference, one.total if one.type == "SPEND" else -one.total)
        for one in world.books.live()
        if one.bank_account is account
    ]
    for one in world.books.live_transfers():
        if account in (one.from_account, one.to_account):
            found.append((one.reference, one.amount if one.from_account is account else -one.amount))
    return sorted(found)


def issued_anew(world: make.World, row: Any, **fields: Any) -> Any:
    """The same purchase under a new number, as PEX shows it after it took the old row away."""
    world.pex.remove(row)
    same = {"amount": str(-row.amount), "happened": row.happened, "settled": row.settled, "auth_id": row.auth_id}
    return world.purchase(**{**same, **fields})


def settle(world: make.World) -> None:
    engine.settle(world.connection.pk)


def wait_for(thing: Callable[[], bool]) -> None:
    """Let other threads come so far. Fails when they do not."""
    end = time.monotonic() + 10
    while not thing():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
