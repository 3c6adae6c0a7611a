"""Acme, connected and set up at the simulated companies, Rival beside it, and a browser signed in for Acme."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from pexsync import clock
from pexsync.accounts.middleware import BUSINESS
from pexsync.accounts.models import Business, User
from syncjobs.models import Export, ExportReceipt, PexTransaction, SyncRun
from tests import make


@pytest.fixture(autouse=True)
def _static(settings) -> None:
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns where it is missing


@pytest.fixture
def acme(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    cache.clear()
    yield make.world(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def rival(acme, sandbox) -> make.World:
    return make.world(sandbox, "Rival Roofing", 5520, "rita.rival")


def sign_in(client: Client, user: User, business: Business) -> Client:
    client.force_login(user, backend="pexsync.accounts.backend.PexBackend")
    session = client.session
    session[BUSINESS] = business.pk
    session.save()
    return client


@pytest.fixture
def browser(client, acme) -> Client:
    return sign_in(client, acme.user, acme.business)


@pytest.fixture
def travel(sandbox) -> Callable[..., None]:
    """Move the one clock both sides share."""
    return lambda **by: sandbox.clock.advance(timedelta(**by))


@pytest.fixture
def change(acme) -> Callable[..., None]:
    """Set columns of Acme's connection."""

    def to(**columns: Any) -> None:
        for name, value in columns.items():
            setattr(acme.connection, name, value)
        acme.connection.save()

    return to


@pytest.fixture
def a_run(acme) -> Callable[..., SyncRun]:
    """A run of Acme as a sync would leave it."""

    def build(world: make.World = acme, **columns: Any) -> SyncRun:
        at = clock.now() - timedelta(minutes=5)
        defaults = {
            "business": world.business,
            "connection": world.connection,
            "system": "xero",
            "target": world.connection.target,
            "started_by": world.user,
            "status": "success",
            "phase": "done",
            "window_start": clock.today() - timedelta(days=30),
            "window_end": clock.today(),
            "queued_at": at,
            "started_at": at,
            "ended_at": at + timedelta(seconds=41),
        }
        if columns.get("status") in SyncRun.ALIVE:
            defaults |= {"ended_at": None, "phase": "sending"}
        return SyncRun.objects.create(**(defaults | columns))

    return build


@pytest.fixture
def a_row(acme) -> Callable[..., Export]:
    """A ledger row of Acme with its PEX transaction."""
    numbers = iter(range(1000, 9000))

    def build(merchant: str = "Staples", receipts: int = 0, world: make.World = acme, **columns: Any) -> Export:
        number, day, at = next(numbers), clock.today(), clock.now()
        amount = columns.setdefault("amount", Decimal("12.50"))
        PexTransaction.objects.create(
            business=world.business, source="transaction", pex_id=number, kind="purchase", amount=amount,
            happened_at=at, settled_at=at, settled_on=day, merchant=merchant, cardholder="Carla Cole",
            digest="x", read_at=at,
        )  # fmt: skip
        defaults = {
            "business": world.business,
            "system": "xero",
            "source": "transaction",
            "pex_id": number,
            "kind": "purchase",
            "state": "posted",
            "settled_on": day,
            "first_seen_at": at,
        }
        if columns.get("state", "posted") == "posted":
            record = f"record-{number}"
            defaults |= {"record_id": record, "link": f"https://books.example/{record}", "target": "xero:t"}
        export = Export.objects.create(**(defaults | columns))
        for each in range(receipts):
            ExportReceipt.objects.create(
                business=world.business, export=export, attachment_id=f"{number}-{each}", state="attached", at=at
            )
        return export

    return build
