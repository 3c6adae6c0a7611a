"""The real schedule in front of many connections: what a tick, a round of the sweeper and an empty run cost.

`python -m bench.scheduler '{"scene": {...}, "connections": 10000}'` prints one line of JSON. Of the connections one is
real and has nothing to sync: its run asks the database what every run asks, whatever the number of its rows.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from statistics import median
from typing import Any

from bench.worker import Meter, connect, prepare

DUE = 50
ROUNDS = 7


def crowd(count: int) -> list[int]:
    """So many more businesses with auto-sync, none of them due yet."""
    from connectors.models import Connection
    from pexsync import clock
    from pexsync.accounts.models import Business

    businesses = Business.objects.bulk_create(
        [Business(pex_id=1_000_000 + number, name=f"Business {number}") for number in range(count)], batch_size=500
    )
    now = clock.now()
    connections = [
        Connection(
            business=business,
            system="xero",
            state=Connection.State.READY,
            company=f"company-{business.pex_id}",
            settings={"kinds": ["purchase"]},
            settings_version=1,
            preview_confirmed={"purchase": {}},
            auto_sync=True,
            auto_next_at=now + timedelta(hours=20),
            installed_at=now,
        )
        for business in businesses
    ]
    return [each.pk for each in Connection.objects.bulk_create(connections, batch_size=200)]


def one_round(real: Any, others: list[int]) -> dict[str, float]:
    """Fifty become due, a tick begins their runs, the sweeper looks round, and the real run is worked on."""
    from connectors.models import Connection
    from pexsync import clock
    from syncjobs import engine, night, sweeper
    from syncjobs.models import SyncRun

    due = [real.pk, *others[: DUE - 1]]
    del others[: DUE - 1]
    Connection.objects.filter(pk__in=due).update(auto_sync=True, auto_next_at=clock.now() - timedelta(seconds=1))
    tick_statements, tick_seconds = _counted(night.tick)
    assert SyncRun.objects.filter(status__in=SyncRun.ALIVE).count() == DUE, "every one that was due has begun"
    sweep_statements, sweep_seconds = _counted(sweeper.sweep)
    run = SyncRun.objects.filter(connection=real).latest("pk")
    run_statements, _ = _counted(lambda: engine.advance(run.pk))
    run.refresh_from_db()
    assert run.status == SyncRun.Status.SUCCESS, run.says
    SyncRun.objects.exclude(connection=real).delete()
    return {
        "tick_statements": tick_statements,
        "tick_ms": tick_seconds * 1000,
        "sweep_ms": sweep_seconds * 1000,
        "statements_per_connection": (tick_statements + sweep_statements) / DUE + run_statements,
    }


def _counted(job: Callable[[], object]) -> tuple[int, float]:
    from django.db import connection as database

    meter, started = Meter(), time.perf_counter()
    with database.execute_wrapper(meter):
        job()
    return meter.queries, time.perf_counter() - started


def main() -> None:
    wish = json.loads(sys.argv[1])
    prepare(wish["scene"])
    real = connect(wish["scene"])
    others = crowd(wish["connections"] - 1)
    rounds = [one_round(real, others) for _ in range(ROUNDS)][1:]  # in the first a process learns what it keeps
    print(json.dumps({name: median(each[name] for each in rounds) for name in rounds[0]}))


if __name__ == "__main__":
    main()
