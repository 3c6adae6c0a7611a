"""What a sign-in that ended holds up, and how it goes on once somebody has signed in again."""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q

from connectors import registry
from connectors.models import Connection
from pexsync.accounts import tenancy
from pexsync.accounts.models import User
from pexsync.pages import words
from syncjobs import runs, standing
from syncjobs.models import Tally
from syncjobs.transitions import State


@dataclass(frozen=True, slots=True)
class HeldUp:
    """What waits for the sign-in: due, or in doubt. `kind` is "" where it is of several."""

    count: int
    amount: Decimal
    kind: str


def of(connection: Connection) -> HeldUp:
    waiting = Q(state=State.DUE, waits="") | Q(state=State.SENT)
    rows = Tally.objects.filter(waiting, business_id=connection.business_id, system=connection.system, count__gt=0)
    found = list(rows.values_list("kind", "count", "amount"))
    kinds = {kind for kind, _, _ in found}
    amount = sum((each for _, _, each in found), Decimal("0.00"))
    return HeldUp(sum(count for _, count, _ in found), amount, kinds.pop() if len(kinds) == 1 else "")


def go_on(connection: Connection, by: User, failed: bool) -> str:
    """What a failure held up goes by itself; what somebody disconnected on purpose waits for a press of the button."""
    with tenancy.reading(connection.business_id):
        held = of(connection)
    held_up = runs.resume(connection, by) if failed else None
    if held_up is not None:
        return f"Sending {words.counted(held_up, held.kind)}." if held_up else "A sync has begun."
    with tenancy.reading(connection.business_id):
        count = standing.of(connection).queued.count
    word = registry.ALL[connection.system].sync_word
    return f"{words.counted(count, '')} waiting; press {word} to send them." if count else "Settings were kept."
