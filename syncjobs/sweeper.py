"""The sweeper: wakes what should be awake. It makes every lost message and every dead worker harmless."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import Q

from connectors.models import Connection
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from syncjobs import lease, ledger, notices, runs
from syncjobs.models import Export, SyncRun
from syncjobs.notices import News
from syncjobs.transitions import State, Who

logger = logging.getLogger(__name__)

GIVE_UP = timedelta(hours=24)
GIVEN_UP = (
    "It was sent without an answer, and for a day the books could not be asked. "
    "Look there for it: press “It is there” if you find it, “Send” if not."
)

TOLD = "They were sent without an answer and wait under Needs you: look there for each. Nothing is sent twice."


def sweep() -> None:
    """One round, every few seconds: wake runs that are due and rows whose look is due; give up on day-old doubt."""
    from syncjobs.tasks import advance, settle

    # A wake-up nobody took is worthless when the next one comes: a long queue must not fill with them.
    life = settings.SWEEP_SECONDS * 3
    for run_id, priority in _sleeping().items():
        advance.apply_async((run_id,), expires=life, priority=priority)
    for connection_id in unsettled_connections():
        settle.apply_async((connection_id,), expires=life, priority=runs.LATER)
    give_up()


def sleeping_runs() -> list[int]:
    """Runs whose time has come, that are to stop, or whose slice died: nobody holds the lease of their target."""
    return list(_sleeping())


def _sleeping() -> dict[int, int]:
    """How soon each is to be taken, by run."""
    now = clock.now()
    with everywhere():
        wanted = (
            Q(status__in=(SyncRun.Status.QUEUED, SyncRun.Status.RUNNING))
            | Q(status=SyncRun.Status.PAUSED, wake_at__lte=now)
            | Q(status=SyncRun.Status.PAUSED, cancel_asked_at__isnull=False)
        )
        # The first condition says nothing new: it names the runs whose index there is.
        found = list(SyncRun.objects.filter(wanted, status__in=SyncRun.ALIVE).only("target", "nightly").order_by("pk"))
    taken = lease.taken()
    return {run.pk: runs.urgency(run) for run in found if run.target not in taken}


def unsettled_connections() -> list[int]:
    """Connections that a slice must tend to and that have no run which would soon.

    They have rows to be looked at again, or notes and receipts still owed. A run that waits for a person, or until the
    books have calls again for posting, will not do it: looks have calls of their own (rule L12).
    """
    now = clock.database_now()
    with everywhere():
        targets = set(
            Export.objects.filter(state__in=(State.SENT, State.POSTED), next_look__lte=now)
            .values_list("business_id", "target")
            .distinct()
        )
        resting = Q(status=SyncRun.Status.PAUSED) & (Q(wake_at=None) | Q(wake_at__gt=now))
        working = SyncRun.objects.filter(~resting, status__in=SyncRun.ALIVE, connection__isnull=False)
        looks = Q(business_id__in={business for business, _ in targets})
        connections = Connection.objects.filter(looks | Q(deliver_at__lte=now), state=Connection.State.READY).exclude(
            pk__in=working.values("connection_id")
        )
        found = [
            row
            for row in connections
            if (row.business_id, row.target) in targets or (row.deliver_at is not None and row.deliver_at <= now)
        ]
    taken = lease.taken()
    return [row.pk for row in found if row.target not in taken]


def give_up() -> None:
    """Move 13: a row that could not be looked at for a day is a person's."""
    limit = clock.database_now() - GIVE_UP * settings.PATIENCE
    with everywhere():
        # Every row in flight has a next look; saying so lets the database go by that instead of reading the ledger.
        old = list(Export.objects.filter(state=State.SENT, next_look__isnull=False, sent_at__lt=limit))
    for business_id in {row.business_id for row in old}:
        rows = [row for row in old if row.business_id == business_id]
        ledger.give_up(ledger.Actor(business_id, Who.SWEEPER), rows, GIVEN_UP)
        logger.error("rows given up", extra={"business": business_id, "rows": len(rows)})
        with everywhere():
            connections = Connection.objects.filter(business_id=business_id, system__in={row.system for row in rows})
            notices.tell_all([News(each, notices.GIVEN_UP, TOLD) for each in connections], clock.now())
