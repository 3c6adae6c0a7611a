"""Following one purchase through the engine's tests: its ledger row, its key, and the calls about it."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.models import Q

from connectors.settings import Settings
from syncjobs import engine, people, runs
from syncjobs.models import Export, SyncRun
from syncjobs.people import Action
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


def work(run: SyncRun) -> SyncRun:
    """The run after one more slice."""
    engine.advance(run.pk)
    run.refresh_from_db()
    return run


def asked(world: make.World, **how: Any) -> SyncRun:
    """Press SYNC: the run after its first slice, which may be waiting for a person."""
    world.connection.refresh_from_db()
    return work(runs.start(world.connection, world.user, **how))


def untick(run: SyncRun, row: Any) -> None:
    assert runs.tick(run, Q(pex_id=row.transaction_id), chosen=False)


def confirmed_and_cancelled(world: make.World) -> Any:
    """One of two purchases was unticked in a preview whose run was cancelled as soon as it was confirmed; that one."""
    world.purchase("5.00")
    row = world.purchase("6.00")
    run = asked(world)
    untick(run, row)
    assert runs.confirm(run, world.user)
    runs.cancel(run, world.user)
    assert work(run).status == SyncRun.Status.CANCELLED
    return row


def press(world: make.World, action: Action, row: Any) -> people.Answer:
    world.connection.refresh_from_db()
    return people.decide(people.Wish(world.connection, action, world.user), [export_of(row).pk])


def settle(world: make.World) -> None:
    engine.settle(world.connection.pk)


def wait_for(thing: Callable[[], bool]) -> None:
    """Let other threads come so far. Fails when they do not."""
    end = time.monotonic() + 10
    while not thing():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
