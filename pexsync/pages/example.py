"""The live example beside the setup: one real transaction of the business, drawn as the draft would post it.

It reads the mirror and the lists the setup keeps anyway, and calls nobody else: PEX gives its lists only a few times an
hour. Before the first sync a worker looks once (`syncjobs.first_look`); until it has, the example says so. What only a
sync asks (the books' lock date, whom a merchant's name is known as) is left to the preview.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from django.http import QueryDict

from connectors.connector import Connector
from connectors.errors import RecordRejected, SettingsNeeded
from connectors.models import Connection
from connectors.records import PARTY, Entry, Kind, Transaction
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.books import Books
from pexsync.pages.steps.form import StepForm
from pexsync.pages.words import NAMES_OF_KINDS
from syncjobs import coding, facts, first_look, keys, mirror
from syncjobs.coding import Book, Choices
from syncjobs.drawing import Drawn, drawn
from syncjobs.judge import Due, Rules, judge
from syncjobs.models import ExportReceipt, PexTransaction
from syncjobs.window import one_year_before
from tagging import definitions

OFFERED = 10  # of the newest, to be stepped through
OWN = ("example", "show", "about", "of")  # what the example adds to a step's form, and no draft keeps


@dataclass(frozen=True, slots=True)
class Example:
    """`says` is why it would not go as it is, or why there is none; "" where it would. Amounts are signed our way."""

    about: Kind
    place: int = 0
    count: int = 0
    title: str = ""
    amount: Decimal | None = None
    facts: Sequence[tuple[str, str]] = ()
    lines: Sequence[Drawn] = ()
    says: str = ""
    state: str = "none"  # none, reading (PEX is being read), open (the settings lack something), waits, ready
    kinds: Sequence[Kind] = ()  # those to look at one of, where the step is about several

    @property
    def kind(self) -> str:
        """The plain name of what is shown."""
        return NAMES_OF_KINDS[self.about.value][0]

    @property
    def before(self) -> int | None:
        return self.place - 1 if self.place else None

    @property
    def after(self) -> int | None:
        return self.place + 1 if self.place + 1 < self.count else None


def place_in(sent: QueryDict) -> int:
    """Which of the offered ones is looked at: the button that was pressed, else the one shown before."""
    wanted = "" if "of" in sent else sent.get("show") or sent.get("example") or ""
    return int(wanted[:3]) if wanted.isdecimal() else 0


def kind_of(form: StepForm, settings: Settings, sent: QueryDict) -> Kind:
    """Which kind a step of the setup is about: its own, else the one asked for, else the first that is switched on."""
    own: Kind | None = getattr(form, "kind", None)
    on = [kind for kind in form.books.kinds() if kind in settings.kinds]
    asked = sent.get("of") or sent.get("about")
    touched = next((kind for kind in on if kind in form.kinds_shown() and kind == asked), None)
    return own or touched or next(iter(on), Kind.PURCHASE)


def beside(connection: Connection, settings: Settings, books: Books, kind: Kind, place: int = 0) -> Example:
    """The example of one kind; `place` counts from the newest. Call it in a scope; three queries, whatever there is."""
    found = _newest(connection, kind, books.today)
    if not found:
        return _nothing(connection, kind)
    place = min(max(place, 0), len(found) - 1)
    transaction = mirror.record_of(found[place])
    told = Example(kind, place, len(found), _title(transaction), transaction.amount)
    if books.trouble:
        return replace(told, says=f"It is drawn once the lists of {books.silent or books.connector.label} can be read.")
    return _drawn(told, transaction, connection, replace(settings, kinds=settings.kinds | {kind}), books)


def _newest(connection: Connection, kind: Kind, today: date) -> list[PexTransaction]:
    rows = PexTransaction.objects.filter(
        business_id=connection.business_id,
        kind=kind,
        settled_on__gte=one_year_before(today),
        pending=False,
        declined=False,
        facts__missing__isnull=True,
    )
    return list(rows.order_by("-settled_on", "-pk")[:OFFERED])


def _nothing(connection: Connection, kind: Kind) -> Example:
    many = NAMES_OF_KINDS[kind.value][1]
    if first_look.expected(connection.business):
        says = f"We are reading your last {many} from PEX. One of them stands here in a moment."
        return Example(kind, says=says, state="reading")
    if not connection.settings_version:
        says = (
            f"After the first sync one of your own {many} stands here, as it would be posted. "
            "That sync reads PEX and posts nothing before you have seen and confirmed it."
        )
        return Example(kind, says=says)
    says = f"PEX showed no settled {many} of the last year so far. The next one that a sync reads stands here."
    return Example(kind, says=says)


def _drawn(
    told: Example, transaction: Transaction, connection: Connection, settings: Settings, books: Books
) -> Example:
    rules = _rules(connection, settings, books)
    key = keys.key(transaction.source, transaction.pex_id)
    try:
        entry = coding.code(transaction, settings, rules.book, key, "")
    except RecordRejected as error:
        return replace(told, says=error.says, state="waits")
    except SettingsNeeded as error:
        return replace(told, says=error.says, state="open")
    # Overruled: whether it was posted before is not the question.
    judged = judge(transaction, rules, generation=1, overruled=True, url="")
    return replace(
        told,
        facts=_facts(entry, transaction, connection, settings, rules.book, books.connector),
        lines=drawn(entry, rules.book),
        says="" if isinstance(judged, Due) else judged.says,
        state="ready" if isinstance(judged, Due) else "waits",
    )


def _rules(connection: Connection, settings: Settings, books: Books) -> Rules:
    connector = books.connector
    names = {each.list_name for each in books.fields if not each.text} | {"pex_account", PARTY}
    choices = {name: Choices(books.options.get(name, ())) for name in names}
    tags = definitions.usable(connection.business)
    book = facts.book_of(connector, books.fields, choices, tags, connection.business.tags_enabled)
    return Rules(settings, book, connector.note, tuple(connector.foreign_marks), books.today)


def _facts(
    entry: Entry,
    transaction: Transaction,
    connection: Connection,
    settings: Settings,
    book: Book,
    connector: type[Connector],
) -> list[tuple[str, str]]:
    found = [("Date", f"{entry.date.day} {entry.date:%b %Y}")]
    if contact := _contact(entry, book, rooms.creates_parties(connector, settings.extra)):
        found.append((connector.party_word.capitalize(), contact))
    found.append(("Memo", entry.memo))
    found += _own(entry.kind, settings, connector)
    if entry.kind is Kind.PURCHASE:
        found.append(("Receipts", _receipts(connection, transaction, settings)))
    found.append(("Reference", entry.key))
    return found


def _contact(entry: Entry, book: Book, creates: bool) -> str:
    """Whom it is booked against. A name the list lacks may still be found in another spelling, so nothing is sworn."""
    known = book.choices[PARTY]
    if entry.party.id:
        option = known.get(entry.party.id)
        return option.label if option else f"No longer in {book.label}"
    if not entry.party.name:
        return ""
    option = known.match(entry.party.name)
    if option is None:
        missing = "created in" if creates else "waits for somebody to add it in"
        return f"{entry.party.name}, {missing} {book.label} if it is not there yet"
    state = f"in {book.label}" if option.active else f"archived in {book.label}: restore it there"
    return f"{option.name}, {state}"


def _own(kind: Kind, settings: Settings, connector: type[Connector]) -> list[tuple[str, str]]:
    """What only this system asks, as answered: how tax is treated."""
    questions = getattr(rooms.own_questions(connector), "base_fields", {})
    told = []
    for name, question in questions.items():
        words = dict(getattr(question, "choices", ())).get(settings.extra.get(name, ""))
        asked = kind is Kind.PURCHASE or name not in rooms.of_purchases(connector)
        if name != "pex_account" and words and asked:
            told.append((str(question.label), str(words)))
    return told


def _receipts(connection: Connection, transaction: Transaction, settings: Settings) -> str:
    if not settings.receipts:
        return "Not attached"
    sent = ExportReceipt.objects.filter(
        business_id=connection.business_id,
        export__system=connection.system,
        export__source=transaction.source,
        export__pex_id=transaction.pex_id,
    ).count()
    if sent:
        return f"{sent} attached" if sent > 1 else "1 attached"
    return "Attached, as many as PEX has"


def _title(transaction: Transaction) -> str:
    return transaction.merchant_clean or transaction.merchant or transaction.description or "Transaction"
