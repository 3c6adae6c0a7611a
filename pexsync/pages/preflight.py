"""Whether a connection is ready: the checks of its connector as a page shows them, and how one becomes ready by itself.

Where the company is a setting like others, somebody who has signed in need not choose it first. The connection is
ready as soon as the books show that there is one to choose; a company that leaves no choice is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache

from connectors import registry, sign_in
from connectors.connector import Connector
from connectors.errors import ConnectorError, NotAuthorized
from connectors.models import Connection, Credential
from connectors.records import Company, Finding
from pexsync import clock
from pexsync.pages import words
from syncjobs import notices
from syncjobs.company import found_ready

REMEMBERED = 86_400  # seconds for which it is known since when a system does not answer
# Seconds between two looks of a page that waits for the connection to be ready: eleven minutes, then it rests.
WAITS = (*(3,) * 2, *(5,) * 2, *(10,) * 12, *(20,) * 12, *(30,) * 10)
PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the preflight as shown. `mend` is what its button asks for, `mend_word` the word on it."""

    name: str
    tone: str
    word: str
    says: str
    fix: str
    link: str
    link_word: str = "Open"
    mend: str = ""
    mend_word: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look brought: the findings, or why there are none. `failed`: a connection that is ready now had failed."""

    found: Sequence[Finding] = ()
    trouble: str = ""
    failed: bool = False


def shown(findings: Sequence[Finding]) -> list[Check]:
    return [_check(found) for found in findings]


def _check(found: Finding) -> Check:
    blind = found.state == "unknown" and bool(found.link)
    tone, word = words.of_finding(found)
    return Check(
        name=found.name,
        tone=tone,
        word=word,
        says=f"{words.BLIND} {found.says}".strip() if blind else found.says,
        fix=found.fix,
        link=found.link,
        link_word="Look here" if blind else "Open",
        mend=found.mend,
        mend_word=found.mend_word,
    )


def prepares(connection: Connection) -> bool:
    """Whether a look may make it ready by itself."""
    by_itself = registry.ALL[connection.system].company_in_setup
    return by_itself and connection.state == Connection.State.PREPARING


def look(connection: Connection) -> Looked:
    """Ask the other system. One that is being prepared may be ready afterwards; its checks are then asked next."""
    if connection.credential_id is None:
        return Looked(trouble="Connect first; then we look whether everything is ready.")
    try:
        with registry.open_connector(connection) as opened:
            return _prepared(opened, connection) if prepares(connection) else Looked(findings(opened))
    except NotAuthorized as error:
        if _opens_nothing_yet(connection):
            return Looked([Finding(registry.ALL[connection.system].company_word, "missing", error.says)])
        notices.signed_out(connection, error.says)
        return Looked(trouble=error.says)
    except ConnectorError as error:
        return Looked(trouble=error.says)


def _opens_nothing_yet(connection: Connection) -> bool:
    """Whether the sign-in itself is good and no company was reached with it: rights just given take a while."""
    by_itself = registry.ALL[connection.system].company_in_setup
    return by_itself and not (connection.company and connection.ready) and lives(connection)


def lives(connection: Connection) -> bool:
    """Whether the sign-in itself is good, whatever it was refused."""
    try:
        return sign_in.load(connection, connection.system).state == Credential.State.ALIVE
    except NotAuthorized:  # somebody disconnected meanwhile
        return False


def findings(opened: Connector) -> Sequence[Finding]:
    """The connector's own checks; before there is a company, whether there is one to choose."""
    if opened.company_in_setup and not opened.connection.company:
        return [_companies(opened, opened.companies())]
    return opened.check()


def _prepared(opened: Connector, connection: Connection) -> Looked:
    """What keeps it from being ready; nothing once it is."""
    companies = opened.companies()
    same = next((each for each in companies if each.id == connection.company), None)
    if not companies or (connection.company and same is None):
        return Looked([_companies(opened, companies)])
    return Looked(failed=found_ready(connection, same or only_choice(companies)))


def only_choice(companies: Sequence[Company]) -> Company | None:
    """The company that leaves no choice: the only one, or the only one people really work in."""
    if len(companies) == 1:
        return companies[0]
    real = [each for each in companies if each.facts.get("environment_type", "").casefold() == PRODUCTION]
    return real[0] if len(real) == 1 else None


def _companies(opened: Connector, companies: Sequence[Company]) -> Finding:
    name, word = opened.company_word, opened.company_word.lower()
    if not companies:
        return Finding(name, "missing", f"Your sign-in opens no {word}.", opened.no_company)
    if opened.connection.company:
        former = opened.connection.company_name
        fix = f"Press RE-CONNECT and sign in as somebody who may open it, or CHANGE to use another {word}."
        return Finding(name, "missing", f"Your sign-in does not open {former}.", fix)
    counted = f"one {word}" if len(companies) == 1 else f"{len(companies):,} {words.many(word)}"
    return Finding(name, "ok", f"Your sign-in opens {counted}. You choose the one to use in {opened.setup_page}.")


def next_look(connection: Connection, looked: int) -> tuple[int, int] | None:
    """The number of the next look of a page that waits, and in how many seconds; None once it rests."""
    if not prepares(connection) or not 0 <= looked < len(WAITS):
        return None
    return looked + 1, WAITS[looked]


def silent_since(connection: Connection, found: Sequence[Finding]) -> datetime | None:
    """Since when these pages got no answer; None while there is one, or the trouble is another."""
    key = f"silent:{connection.pk}"
    silent = bool(found) and all(each.state == "unknown" for each in found)
    if not silent:
        cache.delete(key)
        return None
    since: datetime | None = cache.get_or_set(key, clock.now, REMEMBERED)
    return since
