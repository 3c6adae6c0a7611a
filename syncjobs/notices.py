"""Notices: what people must know about a connection. One for each cause: told again it is counted, not repeated."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse

from connectors import registry
from connectors.errors import NotAuthorized, SettingsNeeded
from connectors.models import Connection
from pexsync import clock
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import scope
from syncjobs import bulk
from syncjobs.models import Export, Notice
from syncjobs.transitions import Cause, State

SESSION = "session"  # the books no longer let us in
PEX = "pex"  # PEX no longer lets us in
PERMISSION = "permission"  # the person whose sign-in syncs lost one in PEX
SETTINGS = "settings"  # no row survived them
END_DATE = "end_date"  # it passed, and auto-sync went off
PREVIEW = "preview"  # a nightly sync waits for a person
GIVEN_UP = "given_up"  # rows in doubt for a day
TAGS = "tags"  # lists of tag options that only a person can bring up to date
ROWS_VANISHED = "rows_vanished"  # PEX's list left out more than can be true
NOTES_VANISHED = "notes_vanished"  # so with our notes in it

OVER_WITH_A_GOOD_RUN = (SESSION, PEX, PERMISSION, SETTINGS)
ONLY_TELL = frozenset({END_DATE})  # nothing has to be done: whoever has read it may put it away


@dataclass(frozen=True, slots=True)
class Heading:
    """How a cause is headed, and the button that leads to its cure; `{label}`, `{SETUP}`: the system's own words."""

    title: str
    tone: str
    word: str
    place: str  # name of the address, which takes the system


HEADINGS = {
    SESSION: Heading("{label} needs you to sign in again.", "bad", "RE-CONNECT", "connect"),
    PEX: Heading("PEX needs you to sign in again.", "bad", "SEE WHAT TO DO", "manage"),
    PERMISSION: Heading("A permission is missing in PEX.", "bad", "SEE WHAT TO DO", "manage"),
    SETTINGS: Heading("The settings need you before the next sync.", "bad", "OPEN {SETUP}", "setup"),
    END_DATE: Heading("Auto-sync is off: the End Date has passed.", "warn", "OPEN {SETUP}", "setup"),
    PREVIEW: Heading("A nightly sync waits for your look.", "warn", "SEE WHAT WOULD BE SENT", "manage"),
    TAGS: Heading("Tag options in PEX need you.", "warn", "SHOW THE LISTS", "tags"),
    ROWS_VANISHED: Heading("PEX leaves out many transactions.", "warn", "SEE WHAT TO DO", "manage"),
    NOTES_VANISHED: Heading("Many sync notes are missing in PEX.", "warn", "SEE WHAT TO DO", "manage"),
    GIVEN_UP: Heading("Some transactions could not be looked for in {label}.", "bad", "SHOW THEM", "manage"),
}
OTHERS = Heading("{label} has something to tell you.", "warn", "SHOW", "manage")


@dataclass(frozen=True, slots=True)
class Shown:
    """A notice as a page draws it."""

    cause: str
    title: str
    says: str
    tone: str
    word: str
    link: str
    since: datetime
    times: int
    only_tells: bool


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell about one connection."""

    connection: Connection
    cause: str
    says: str


def tell(connection: Connection, cause: str, says: str) -> None:
    """Tell people once; while the cause lasts, telling it again counts one more time."""
    with scope(connection.business_id):
        tell_all([News(connection, cause, says)], clock.now())


def tell_all(news: Iterable[News], at: datetime) -> None:
    """As `tell`, in one statement for many connections, each with one cause. Call it inside their scope."""
    rows = [
        (each.connection.business_id, each.connection.system, each.cause, each.says[:500], at, at, 1) for each in news
    ]
    if rows:
        bulk.insert_all(
            Notice,
            ["business", "system", "cause", "says", "since", "last_at", "times"],
            rows,
            "on conflict (business_id, system, cause) where ended_at is null do update set "
            "times = syncjobs_notice.times + 1, last_at = excluded.last_at, says = excluded.says",
        )


def over(connection: Connection, *causes: str) -> bool:
    """The causes are gone. True when people had been told of one."""
    with scope(connection.business_id):
        return bool(_open(connection).filter(cause__in=causes).update(ended_at=clock.now()))


# --- what the engine and the pages know -------------------------------------------------------------------------------


def signed_out(connection: Connection, says: str) -> None:
    """The books no longer let us in: the connection says so until somebody signs in again."""
    with scope(connection.business_id):
        connection.fail(says)
        if connection.state == Connection.State.FAILED:
            tell(connection, SESSION, says)


def stopped(connection: Connection, error: NotAuthorized | SettingsNeeded) -> None:
    """A run ended because of something only a person can mend."""
    if isinstance(error, SettingsNeeded):
        tell(connection, SETTINGS, error.says)
    elif error.permission:
        tell(connection, PERMISSION, error.says)
    elif connection.state != Connection.State.FAILED:  # else the books have ended it, and that was told
        tell(connection, PEX, error.says)


def went_well(connection: Connection) -> None:
    """A run came to its end: what would have stopped it is gone."""
    over(connection, *OVER_WITH_A_GOOD_RUN)
    with scope(connection.business_id):
        unresolved = Export.objects.filter(
            business_id=OuterRef("business_id"), system=OuterRef("system"), state=State.HELD, cause=Cause.UNRESOLVED
        )
        given_up = _open(connection).filter(cause=GIVEN_UP)
        given_up.filter(~Exists(unresolved)).update(ended_at=clock.now())


# --- pages ------------------------------------------------------------------------------------------------------------


def of_business(business: Business) -> dict[str, list[Shown]]:
    """What is open, oldest first, by system: one query."""
    found: dict[str, list[Shown]] = {}
    for notice in Notice.objects.filter(business=business, ended_at=None).order_by("since", "pk"):
        found.setdefault(notice.system, []).append(shown(notice))
    return found


def of(connection: Connection) -> list[Shown]:
    return [shown(notice) for notice in _open(connection).order_by("since", "pk")]


def banners(connection: Connection) -> tuple[Sequence[Shown], Mapping[str, Shown]]:
    """The notices Manage draws by themselves, and by cause those whose trouble has a banner of its own there."""
    found = of(connection)
    return [each for each in found if not by_state(connection, each)], {
        each.cause: each for each in found if by_state(connection, each)
    }


def by_state(connection: Connection, notice: Shown) -> bool:
    """Whether the connection's own columns make the pages tell of it."""
    return (notice.cause == SESSION and connection.state == Connection.State.FAILED) or (
        notice.cause == SETTINGS and bool(connection.settings_problem)
    )


def shown(notice: Notice) -> Shown:
    heading = HEADINGS.get(notice.cause, OTHERS)
    connector = registry.get(notice.system)
    return Shown(
        cause=notice.cause,
        title=heading.title.format(label=connector.label if connector else notice.system),
        says=notice.says,
        tone=heading.tone,
        word=heading.word.format(SETUP=(connector.setup_page if connector else "settings").upper()),
        link=reverse(heading.place, args=[notice.system]),
        since=notice.since,
        times=notice.times,
        only_tells=notice.cause in ONLY_TELL,
    )


def _open(connection: Connection) -> QuerySet[Notice]:
    return Notice.objects.filter(business_id=connection.business_id, system=connection.system, ended_at=None)
