"""Coding: giving a transaction's shares their account and dimensions, so that it can be posted. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from zoneinfo import ZoneInfo

from connectors.errors import RecordRejected, SettingsNeeded
from connectors.records import (
    ACCOUNT,
    DESCRIPTION,
    PARTY,
    Allocation,
    Entry,
    Field,
    Kind,
    KnownTag,
    Line,
    Option,
    Party,
    TagValue,
    Transaction,
    field_name,
)
from connectors.settings import ONE_PARTY, PURCHASE_DAY, STATIC, TAG, FieldSource, Settings

EASTERN = ZoneInfo("America/New_York")


class Choices:
    """The books' values of one field, found by id, by code, or by a name only one of them has."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.by_id: dict[str, Option] = {}
        self.by_code: dict[str, Option] = {}
        self._by_name: dict[str, list[Option]] = {}
        for option in options:
            self.by_id[option.id.casefold()] = option
            if option.code:
                self.by_code.setdefault(option.code.casefold(), option)
            self._by_name.setdefault(option.name.strip().casefold(), []).append(option)

    def get(self, option_id: str) -> Option | None:
        return self.by_id.get(option_id.casefold())

    def match(self, value: str, shown_as: str = "") -> Option | None:
        """Return the option a tag value means: the value as id or code first, then as the only one of its name."""
        for text in (value, shown_as):
            wanted = text.strip().casefold()
            if not wanted:
                continue
            found = self.by_id.get(wanted) or self.by_code.get(wanted) or self._only(wanted)
            if found:
                return found
        return None

    def _only(self, name: str) -> Option | None:
        """Of several with one name an active one counts alone."""
        found = self._by_name.get(name, [])
        active = [option for option in found if option.active]
        return active[0] if len(active) == 1 else found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Book:
    """What coding must know of the books and of PEX's tags for one run."""

    label: str  # the system's name for people
    fields: Sequence[Field]
    choices: Mapping[str, Choices]  # by the name of the list (`Field.list_name`), and of "pex_account"
    tags: Mapping[str, KnownTag]
    tags_enabled: bool = True
    party_word: str = "contact"  # whom entries are booked against there
    setup_page: str = "Setup"  # what the pages of this system call the settings
    sync_word: str = "SYNC"  # and the button that begins a sync
    sync_page: str = "Manage"  # and the page it stands on


def code(transaction: Transaction, settings: Settings, book: Book, key: str, url: str) -> Entry:
    """Return the entry of a transaction.

    Raises `RecordRejected` (this row must be mended) or `SettingsNeeded` (the settings must).
    """
    if transaction.problem:
        raise RecordRejected(transaction.problem, cause="split")
    _check_pex_account(settings, book)
    kind = transaction.kind or Kind.PURCHASE
    asked = [wanted for wanted in book.fields if kind in wanted.kinds]
    tagged = transaction.allocations if kind is Kind.PURCHASE else ()  # only purchases are coded by their tags
    shares = tagged or (Allocation(transaction.amount),)
    return Entry(
        key=key,
        kind=kind,
        amount=transaction.amount,
        date=posting_date(transaction, settings),
        account=settings.pex_account,
        party=_party(transaction, shares, kind, asked, settings, book),
        lines=tuple(_line(transaction, share, kind, asked, settings, book) for share in shares),
        memo=_memo(transaction),
        url=url,
    )


def _check_pex_account(settings: Settings, book: Book) -> None:
    account = book.choices["pex_account"].get(settings.pex_account)
    if account is None or not account.active:
        state = f"{account.label} is archived" if account else "The PEX account is not chosen or no longer exists"
        raise SettingsNeeded(f"{state} in {book.label}. Choose it in {book.setup_page}.", field="pex_account")


def posting_date(transaction: Transaction, settings: Settings) -> date:
    """The US/Eastern day: of settlement, or of the purchase where the connection chose so."""
    if settings.posting_date == PURCHASE_DAY:
        return transaction.happened_at.astimezone(EASTERN).date()
    return settled_on(transaction)


def settled_on(transaction: Transaction) -> date:
    """The US/Eastern day of settlement; of the transaction where PEX gives none."""
    return (transaction.settled_at or transaction.happened_at).astimezone(EASTERN).date()


def fingerprint(entry: Entry) -> str:
    """Tells two codings of one transaction apart."""
    return blake2b(repr(entry).encode(), digest_size=16).hexdigest()


def _line(
    transaction: Transaction, share: Allocation, kind: Kind, asked: Sequence[Field], settings: Settings, book: Book
) -> Line:
    account, words = "", _memo(transaction)
    dimensions = []
    for wanted in asked:
        if wanted.key == PARTY:
            continue
        value = _value(wanted, kind, share, settings.source(kind, wanted.key), book)
        if wanted.key == ACCOUNT:
            account = value
        elif wanted.key == DESCRIPTION:
            words = " ".join(value.split()) or words
        elif value:
            dimensions.append((wanted.key, value))
    if account and account.casefold() == settings.pex_account.casefold():
        raise SettingsNeeded(
            f"The {_label(asked)} is the PEX account itself. Choose another in {book.setup_page}.",
            field=field_name(kind, ACCOUNT),
        )
    return Line(share.amount, account, words, tuple(dimensions))


def _label(asked: Sequence[Field]) -> str:
    return next((wanted.label for wanted in asked if wanted.key == ACCOUNT), "account").lower()


def _value(wanted: Field, kind: Kind, share: Allocation, source: FieldSource, book: Book) -> str:
    """Return what one field of one share says: an option id, the text of a text field, "" where nothing is needed."""
    if source.source == STATIC:
        return _chosen(wanted, kind, source.value, book)
    definition = book.tags.get(source.tag)
    if book.tags_enabled and (definition is None or not definition.usable):
        name = definition.name if definition else "chosen for it"
        raise SettingsNeeded(
            f"{wanted.label} is read from the PEX tag {name}, which is gone. Choose another tag in {book.setup_page}.",
            field=wanted.key,
        )
    value = _tagged(share.tags, source.tag) if book.tags_enabled else ""
    if value:
        return value if wanted.text else _matched(wanted, value, definition, book)
    if source.default:
        return _chosen(wanted, kind, source.default, book)
    if not wanted.required and not (definition and definition.required):
        return ""
    tag = definition.name if definition else wanted.label
    raise RecordRejected(
        f"No {tag} tag. Tag it in PEX, or set a default for {wanted.label} in {book.setup_page}.",
        cause=f"untagged:{wanted.key}",
        field=wanted.key,
    )


def _chosen(wanted: Field, kind: Kind, option_id: str, book: Book) -> str:
    """A value from the settings: when it no longer fits, the settings are to be mended."""
    where, name = field_name(kind, wanted.key), _named(wanted, kind)
    if not option_id:
        if wanted.required:
            raise SettingsNeeded(f"Choose the {name} in {book.setup_page}.", field=where)
        return ""
    option = book.choices[wanted.list_name].get(option_id)
    if option is None or not option.active:
        gone = f"{option.label} is archived" if option else f"The chosen {name} no longer exists"
        raise SettingsNeeded(f"{gone} in {book.label}. Choose another in {book.setup_page}.", field=where)
    return option.id


def _named(wanted: Field, kind: Kind) -> str:
    label = wanted.label.lower()
    return label if kind is Kind.PURCHASE else f"{label} of {kind.label}s"


def _matched(wanted: Field, value: str, definition: KnownTag | None, book: Book) -> str:
    """A value a person tagged: when it does not fit, this row is to be mended."""
    shown_as = definition.shown_as.get(value, "") if definition else ""
    option = book.choices[wanted.list_name].match(value, shown_as)
    name = shown_as or value
    if option is None:
        raise RecordRejected(
            f"{book.label} has no {wanted.label.lower()} “{name}”. Choose another tag value in PEX.",
            cause=f"unknown:{wanted.key}",
            field=wanted.key,
        )
    if not option.active:
        raise RecordRejected(
            f"{option.label} is archived in {book.label}. Restore it there, or choose another tag value in PEX.",
            cause=f"archived:{wanted.key}",
            field=wanted.key,
        )
    return option.id


def _tagged(tags: Sequence[TagValue], tag_id: str) -> str:
    return next((tag.value.strip() for tag in tags if tag.tag_id == tag_id), "")


def reads_party(settings: Settings) -> bool:
    """Whether a tag names whom purchases are booked against: then coding needs the list of them."""
    return settings.party_mode == ONE_PARTY and settings.source(Kind.PURCHASE, PARTY).source == TAG


def _party(
    transaction: Transaction,
    shares: Sequence[Allocation],
    kind: Kind,
    asked: Sequence[Field],
    settings: Settings,
    book: Book,
) -> Party:
    if kind is not Kind.PURCHASE:
        return _party_of_kind(kind, asked, settings, book)
    if settings.party_mode == ONE_PARTY:
        return _one_party(shares, asked, settings, book)
    clean = transaction.merchant_clean if settings.clean_names else ""
    return Party(name=" ".join((clean or transaction.merchant or transaction.description or "PEX").split()))


def _one_party(shares: Sequence[Allocation], asked: Sequence[Field], settings: Settings, book: Book) -> Party:
    """Whom a purchase is booked against where that does not follow its merchant; nobody where the books allow that."""
    wanted = next((wanted for wanted in asked if wanted.key == PARTY), None)
    source = FieldSource(value=settings.party)
    if wanted is not None:
        source = settings.fields.get(PARTY, source)
        if source.source == TAG:
            return _tagged_party(shares, wanted, source, book)
    if not source.value and (wanted is None or wanted.required):
        says = f"Choose the {book.party_word} in {book.label} that purchases are booked against."
        raise SettingsNeeded(says, field=PARTY)
    return Party(id=source.value)


def _tagged_party(shares: Sequence[Allocation], wanted: Field, source: FieldSource, book: Book) -> Party:
    """An entry has one: what any of its splits names is meant for all of them, as long as they agree."""
    naming = [share for share in shares if _tagged(share.tags, source.tag)] or shares[:1]
    found = {_value(wanted, Kind.PURCHASE, share, source, book) for share in naming}
    if len(found) > 1:
        raise RecordRejected(f"The splits name different {book.party_word}s: tag one.", cause="parties", field=PARTY)
    return Party(id=found.pop())


def _party_of_kind(kind: Kind, asked: Sequence[Field], settings: Settings, book: Book) -> Party:
    """Whom a fee or rebate is booked against; nobody where the books do not ask for it, as with transfers."""
    wanted = next((wanted for wanted in asked if wanted.key == PARTY), None)
    if wanted is None:
        return Party()
    chosen = settings.source(kind, PARTY).value
    if not chosen and wanted.required:
        raise SettingsNeeded(
            f"Choose the {_named(wanted, kind)} in {book.label} in {book.setup_page}.", field=field_name(kind, PARTY)
        )
    return Party(id=chosen)


def _memo(transaction: Transaction) -> str:
    """What it was, with the amount abroad where it was paid in another currency."""
    kind = transaction.kind or Kind.PURCHASE
    plain = "PEX card purchase" if kind is Kind.PURCHASE else f"PEX {kind.label}"
    text = " ".join((transaction.description or transaction.merchant or plain).split())
    if transaction.foreign_amount and transaction.foreign_currency not in ("", "USD"):
        text += f" ({transaction.foreign_currency} {abs(transaction.foreign_amount)})"
    return text
