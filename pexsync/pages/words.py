"""The word, tone and shape of every state a page shows. A state is never told by colour alone."""

from datetime import datetime
from zoneinfo import ZoneInfo

from connectors import registry
from connectors.models import Connection
from connectors.records import Finding

SHAPES = {"ok": "●", "busy": "◐", "info": "◐", "warn": "◆", "bad": "▲", "off": "■"}

CONNECTION_TONES = {
    Connection.State.INSTALLED: "off",
    Connection.State.PREPARING: "busy",
    Connection.State.READY: "ok",
    Connection.State.FAILED: "bad",
}
FINDINGS = {"ok": ("ok", "OK"), "missing": ("bad", "Missing"), "unknown": ("warn", "Look here")}
BLIND = "We cannot see this from here."
SMALL = frozenset(("A", "An", "It", "Its", "No", "Nobody", "Older", "Rejected", "Somebody", "The", "This", "Waiting"))
NAMES_OF_KINDS = {
    "purchase": ("purchase", "purchases"),
    "fee": ("fee", "fees"),
    "transfer": ("transfer", "transfers"),
    "bill_payment": ("bill payment", "bill payments"),
    "rebate": ("rebate", "rebates"),
}


def of_connection(connection: Connection) -> tuple[str, str]:
    """Return tone and word of a connection; settings that no row survived count as trouble."""
    state = Connection.State(connection.state)
    if state == Connection.State.READY and connection.settings_problem:
        return "warn", "Connected: Needs settings"
    # Where even the company is a setting, ready means that there is one to choose.
    early = registry.ALL[connection.system].company_in_setup
    if state == Connection.State.READY and not connection.settings_version and not early:
        return "warn", "Connected: Not set up"
    return CONNECTION_TONES[state], str(state.label)


def of_finding(found: Finding) -> tuple[str, str]:
    """Return tone and word of one line of a preflight; what nobody can ask of the books is for people to look at."""
    if found.state == "unknown" and found.link:
        return "warn", "Not seen"
    return FINDINGS.get(found.state, FINDINGS["unknown"])


def many(word: str) -> str:
    """Return the plural of a system's word: "companies", "contacts"."""
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def a(word: str) -> str:
    """Return a system's word with its article: "an organization", "a vendor"."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


def day(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "today", "yesterday", "3 May" or "3 May 2025"."""
    local, today = moment.astimezone(zone).date(), now.astimezone(zone).date()
    if local == today:
        return "today"
    if (today - local).days == 1:
        return "yesterday"
    return date_of(moment, now, zone)


def date_of(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "3 May" or, of another year, "3 May 2025"."""
    local = moment.astimezone(zone).date()
    same_year = local.year == now.astimezone(zone).year
    return f"{local.day} {local:%b}" if same_year else f"{local.day} {local:%b %Y}"


def since(begun: datetime, times: int, now: datetime, zone: ZoneInfo) -> str:
    """Return "Since 3 Nov, 4 times", or "Since today 02:41" of what has just begun."""
    when = day(begun, now, zone)
    said = f"{when} {begun.astimezone(zone):%H:%M}" if when in ("today", "yesterday") else when
    return f"Since {said}, {times:,} times" if times > 1 else f"Since {said}"


def duration(seconds: float) -> str:
    """Return "0:41", "12:05" or "1:02:09"."""
    minutes, rest = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spoken_duration(seconds: float) -> str:
    """Return "41 seconds", "2 minutes" or "1 hour 2 minutes"."""
    minutes, rest = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{_many(hours, 'hour')} {_many(minutes, 'minute')}" if minutes else _many(hours, "hour")
    return _many(minutes, "minute") if minutes else _many(rest, "second")


def counted(count: int, kind: str) -> str:
    """Return "1 purchase" or "41 purchases"; a kind we have no name for is called a transaction."""
    one, many = NAMES_OF_KINDS.get(kind, ("transaction", "transactions"))
    return f"{count:,} {one if count == 1 else many}"


def headline(says: str) -> tuple[str, str]:
    """Split what is said into the first sentence, begun small where it is no name, and the advice after it."""
    first, _, others = says.partition(". ")
    first = first.rstrip(".")
    if first.partition(" ")[0] in SMALL:
        first = first[:1].lower() + first[1:]
    return first, others


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
