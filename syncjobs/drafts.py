"""Records a person has yet to post in the books: each run looks once what has become of them.

Nothing of exactly-once depends on it. A look that fails is made again by the next run.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from connectors.errors import RetryLater, SettingsNeeded
from connectors.records import Fate, Found
from pexsync import clock
from pexsync.accounts.tenancy import reading
from syncjobs import ledger, sending
from syncjobs.desk import Desk, as_sent, key_of
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import State, Who

logger = logging.getLogger(__name__)

CHUNK = 500
MOST = 5_000  # looked at by one run; where there are more, by several in turn


def look(desk: Desk, run: SyncRun) -> None:
    """Once per run, when its documents have ended; then it knows how many nobody has posted yet.

    Raises what `desk.alive` raises, and `NotAuthorized`.
    """
    if not desk.books.where_draft:
        return
    try:
        _look(desk, run)
    except (RetryLater, SettingsNeeded) as error:
        logger.warning("drafts not looked at", extra={"run": run.pk, "says": error.says})
        return
    with reading(desk.business.pk):
        left = _drafts(desk).count()
    desk.progress(drafts=left)


def _drafts(desk: Desk) -> QuerySet[Export]:
    return desk.exports().filter(draft=True, state=State.POSTED, target=desk.target)


def _look(desk: Desk, run: SyncRun) -> None:
    """What this run has sent itself needs none."""
    last = _begins_behind(desk, run)
    for _ in range(0, MOST, CHUNK):
        with reading(desk.business.pk):
            rows = list(_drafts(desk).exclude(run=run).filter(pk__gt=last).order_by("pk")[:CHUNK])
        if not rows:
            return
        last = rows[-1].pk
        desk.alive()
        _take(desk, rows)


def _begins_behind(desk: Desk, run: SyncRun) -> int:
    """The id this run's share begins behind. Of more than one run looks at, the oldest may stay unposted for long."""
    with reading(desk.business.pk):
        ids = _drafts(desk).exclude(run=run).order_by("pk").values_list("pk", flat=True)
        shares = math.ceil(ids.count() / MOST)
        if shares < 2:
            return 0
        runs = desk.connection.runs.filter(target=desk.target, drafts__gt=MOST).exclude(pk=run.pk).count()
        share = max(runs - 1, 0) % shares  # the first of them left these without having had a share to look at
        return next(iter(ids[share * MOST - 1 : share * MOST]), 0) if share else 0


def _take(desk: Desk, rows: Sequence[Export]) -> None:
    """Posted by a person or not; what is gone, halved or doubled is a person's, as with every later look (move 14).

    Nobody is in doubt about them, so half a look is enough. What was sent a moment ago may not be shown yet. What a
    person took as it differs is not asked about again while it differs in that way.
    """
    patient = clock.now() - desk.books.settle_after * settings.PATIENCE
    found = sending.look(desk, [replace(as_sent(row, desk.connection, desk.books), in_doubt=False) for row in rows])
    pairs = [(row, what) for row in rows if (what := found.get(key_of(row)))]
    as_known = [(row, what) for row, what in pairs if what.fate is Fate.LIVE or _vouched_for(row, what)]
    ledger.remember_drafts(desk.actor(Who.SLICE), as_known)
    changed = [
        (row, what)
        for row, what in pairs
        if what.fate not in (Fate.LIVE, Fate.UNSEEN) and not _vouched_for(row, what) and _was_sent_before(row, patient)
    ]
    ledger.changed_there(desk.actor(Who.SLICE), [sending.to_hold(row, what) for row, what in changed])


def _vouched_for(row: Export, what: Found) -> bool:
    """Whether a person saw this difference and took the record: the row keeps the sentence that told it."""
    return what.fate is Fate.DOUBTFUL and bool(row.says) and row.says == what.says[:500]


def _was_sent_before(row: Export, at: datetime) -> bool:
    last = row.posted_at or row.sent_at
    return last is not None and last < at
