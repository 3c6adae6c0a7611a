"""The sweeper: wakes what should be awake. It makes every lost message and every dead worker harmless."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import Q

from connectors.models import Connection
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from syncjobs import lease, ledger
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import State, Who

logger = logging.getLogger(__name__)

GIVE_UP = timedelta(hours=24)
GIVEN_UP = "It was sent without an answer, and for a day the books could not be asked. Look there for it."


def sweep() -> None:
    """One round, every few seconds: wake runs that are due and rows whose look is due; give up on day-old doubt."""
    from syncjobs.tasks import advance, settle

    # A wake-up nobody took is worthless when the next one comes: a long queue must not fill with them.
    life = settings.SWEEP_SECONDS * 3
    for run_id in sleeping_runs():
        advance.apply_async((run_id,), expires=life)
    for connection_id in unsettled_connections():
        settle.apply_async((connection_id,), expires=life)
    give_up()


def sleeping_runs() -> list[int]:
    """Runs whose time has come, that are to stop, or whose slice died: nobody holds the lease of their target."""
    now = clock.now()
    with everywhere():
        runs = list(
            SyncRun.objects.filter(
                Q(status__in=(SyncRun.Status.QUEUED, SyncRun.Status.RUNNING))
                | Q(status=SyncRun.Status.PAUSED, wake_at__lte=now)
                | Q(status=SyncRun.Status.PAUSED, cancel_asked_at__isnull=False)
            ).values_list("pk", "target")
        )
    taken = lease.taken()
    return [pk for pk, target in runs if target not in taken]


def unsettled_connections() -> list[int]:
    """Connections with rows to be looked at again and no run that would do it; one that waits for a person will not."""
    now = clock.database_now()
    with everywhere():
        targets = set(
            Export.objects.filter(state__in=(State.SENT, State.POSTED), next_look__lte=now)
            .values_list("business_id", "target")
            .distinct()
        )
        working = SyncRun.objects.filter(status__in=SyncRun.ALIVE, connection__isnull=False).exclude(
            status=SyncRun.Status.PAUSED, wake_at=None
        )
        connections = Connection.objects.filter(
            state=Connection.State.READY, business_id__in={business for business, _ in targets}
        ).exclude(pk__in=working.values("connection_id"))
        found = [row for row in connections if (row.business_id, row.target) in targets]
    taken = lease.taken()
    return [row.pk for row in found if row.target not in taken]


def give_up() -> None:
    """Move 13: a row that could not be looked at for a day is a person's."""
    limit = clock.database_now() - GIVE_UP * settings.PATIENCE
    with everywhere():
        old = list(Export.objects.filter(state=State.SENT, sent_at__lt=limit))
    for business_id in {row.business_id for row in old}:
        rows = [row for row in old if row.business_id == business_id]
        ledger.give_up(ledger.Actor(business_id, Who.SWEEPER), rows, GIVEN_UP)
        logger.error("rows given up", extra={"business": business_id, "rows": len(rows)})
