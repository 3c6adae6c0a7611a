"""The company in the books that is written to: choosing the first one, and changing it (rule L8).

What is posted stays where it is. What was never sent goes to the new company from a day on that is asked; what settled
before that day is left out, and a person may undo it row by row. Nothing is changed while anything is on its way.
"""

from datetime import date, datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from connectors import registry
from connectors.models import Connection
from connectors.records import Company
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import reading, scope
from syncjobs import ledger, notices, runs
from syncjobs.models import Export
from syncjobs.transitions import Closed, State, Who


class CannotChange(Exception):
    """Why the company stays as it is: one sentence for the person who asked."""


def is_another(connection: Connection, chosen: Company) -> bool:
    """Whether choosing it takes the connection from one company to another."""
    return bool(connection.company) and chosen.id != connection.company


def settle(connection: Connection, chosen: Company) -> bool:
    """Ready to write to the company: the first one ever, or the same as before. True when it had failed meanwhile.

    Raises `CannotChange` where somebody chose another one meanwhile.
    """
    with scope(connection.business_id):
        free = Connection.objects.filter(Q(company="") | Q(company=chosen.id), pk=connection.pk)
        settled = free.update(**_ready_for(chosen))
        connection.refresh_from_db()
        if not settled:
            raise CannotChange(f"Somebody chose {connection.company_name} meanwhile. Nothing was changed.")
        return notices.over(connection, notices.SESSION)


def found_ready(connection: Connection, chosen: Company | None) -> bool:
    """A look found that a connection being prepared can be used; `chosen` where one company leaves no choice.

    True when it had failed before. What another person did since the look stands: they signed in, or chose a company.
    """
    columns = _ready_for(chosen) if chosen else _READY
    with scope(connection.business_id):
        same = Connection.objects.filter(
            pk=connection.pk,
            state=Connection.State.PREPARING,
            credential=connection.credential_id,
            company=connection.company,
        )
        found = bool(same.update(**columns))
        connection.refresh_from_db()
        return found and notices.over(connection, notices.SESSION)


def in_the_way(connection: Connection) -> str:
    """What must end before the company may change, a sentence; "" when nothing."""
    with reading(connection.business_id):
        return _in_the_way(connection)


def never_sent(connection: Connection) -> int:
    """How many rows would follow the connection to another company."""
    with reading(connection.business_id):
        return _never_sent(connection).count()


def change_company(connection: Connection, chosen: Company, cutover: date | None, by: User) -> int:
    """Write to the chosen company from now on; return how many rows were left out because they settled before.

    Nothing is sent there before somebody has confirmed what would be (rule L9). Without a day the former one stands.
    Raises `CannotChange`.
    """
    with scope(connection.business_id):
        # Whoever claims rows takes this lock too: from here on nothing of the old company can become sent.
        locked = Connection.objects.select_for_update(no_key=True).select_related("business").get(pk=connection.pk)
        if says := _in_the_way(locked):
            raise CannotChange(says)
        since = cutover or locked.cutover_on
        columns = _ready_for(chosen) | {"preview_confirmed": {}, "cutover_on": since}
        Connection.objects.filter(pk=connection.pk).update(**columns)
        connection.refresh_from_db()
        earlier = list(_never_sent(connection).filter(settled_on__lt=since)) if since else []
        actor = ledger.Actor(connection.business_id, Who.PERSON, person=by)
        says = f"Settled before the change to {chosen.name}."
        return len(ledger.take_out(actor, earlier, Closed.LEFT_OUT, says))


_READY = {"state": Connection.State.READY, "failure": "", "failed_at": None}


def _ready_for(chosen: Company) -> dict[str, Any]:
    return _READY | {"company": chosen.id, "company_name": chosen.name, "company_facts": dict(chosen.facts)}


def _in_the_way(connection: Connection) -> str:
    # Once the company has changed nobody would look there any more.
    watched = Export.objects.filter(
        business_id=connection.business_id,
        system=connection.system,
        target=connection.target,
        state__in=(State.SENT, State.POSTED),
        next_look__isnull=False,
    )
    found = watched.aggregate(
        sent=Count("pk", filter=Q(state=State.SENT)),
        until=Max("next_look", filter=Q(state=State.SENT)),
        posted=Count("pk", filter=Q(state=State.POSTED)),
        again=Max("next_look", filter=Q(state=State.POSTED)),
    )
    if found["sent"]:
        one = found["sent"] == 1
        return (
            f"{found['sent']:,} {'transaction is' if one else 'transactions are'} on {'its' if one else 'their'} way "
            f"to {connection.company_name} until {_hour(connection, found['until'])}. Change the company once we know "
            f"whether {'it has' if one else 'they have'} arrived."
        )
    if found["posted"]:
        one = found["posted"] == 1
        return (
            f"{found['posted']:,} {'transaction was' if one else 'transactions were'} sent without an answer, and "
            f"{'is' if one else 'are'} looked at once more until {_hour(connection, found['again'])}. "
            "Change the company after that."
        )
    if runs.current(connection) is not None:
        page = registry.ALL[connection.system].sync_page
        return f"A sync to {connection.company_name} is under way. Cancel it under {page}, or wait for its end."
    return ""


def _hour(connection: Connection, at: datetime) -> str:
    return f"{at.astimezone(connection.business.zone):%-d %b %H:%M}"


def _never_sent(connection: Connection) -> QuerySet[Export]:
    """Rows no company has seen, those held before they went to the former one among them."""
    mine = Export.objects.filter(business_id=connection.business_id, system=connection.system)
    return mine.filter(Q(state=State.DUE) | Q(state=State.HELD, target=""))


def has_synced(connection: Connection) -> bool:
    """Whether anything was ever let in for the present company: then a day must part the two."""
    with reading(connection.business_id):
        return Export.objects.filter(business_id=connection.business_id, system=connection.system).exists()
