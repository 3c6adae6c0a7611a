"""Settings as they were: what each version says in words, what changed between two, and how a new one is kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from connectors.models import Connection, SettingsVersion
from connectors.records import ACCOUNT, DESCRIPTION, PARTY, Field, Kind, field_name
from connectors.settings import ONE_PARTY, PURCHASE_DAY, STATIC, FieldSource, Settings
from pexsync import clock
from pexsync.accounts.models import Business, User
from pexsync.accounts.tenancy import scope
from pexsync.pages import rooms
from pexsync.pages.lists import fed_elsewhere
from pexsync.pages.steps.books import Books
from pexsync.pages.words import NAMES_OF_KINDS
from syncjobs import window

LABELS = "labels"  # member of stored settings: the names the books had for what was chosen
NOTE = "note"  # member of a draft: where it came from, kept with the version that SAVE makes of it
NOTHING = "Not set"
ON, OFF = "On", "Off"
NAMELESS = "Chosen, name not kept"
FIELD_LABELS = {ACCOUNT: "Account", PARTY: "Contact", DESCRIPTION: "Item Description"}


class Difference(NamedTuple):
    """One setting that is not as it was, all three in words."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Said:
    """One setting: its label, what is stored, and that in words."""

    label: str
    stored: Any
    words: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What changed between two stored settings (`Settings.stored()` with the names under "labels"). Pure."""
    names = {**before.get(LABELS, {}), **after.get(LABELS, {})}
    was, now = in_words(before, names), in_words(after, names)
    found = []
    for place in {**now, **was}:
        old, new = was.get(place), now.get(place)
        if (old.stored if old else None) == (new.stored if new else None):
            continue
        said = new or old
        assert said is not None
        words = new.words if new else NOTHING
        same = old is not None and old.words == words
        found.append(Difference(said.label, old.words if old else NOTHING, f"{words} (another one)" if same else words))
    return found


def in_words(stored: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Said]:
    """Every setting that says something, by its place: "kinds", "fields:account", "by_kind:fee:party". Pure.

    `names` are those of several versions together, by id; what stands for one place counts only in its own version.
    """
    own: Mapping[str, str] = stored.get(LABELS, {})
    return dict(_said(Settings.parse(stored), _Names(own, {**own, **(names or {})}))) if stored else {}


class _Names:
    """The kept names: by list and id, by tag, and in older versions by the place alone."""

    def __init__(self, own: Mapping[str, str], by_id: Mapping[str, str]) -> None:
        self.own, self.by_id = own, by_id

    def option(self, key: str, option_id: str, place: str = "") -> str:
        if not option_id:
            return NOTHING
        return self.by_id.get(f"option:{key}:{option_id}") or self.own.get(place or key) or NAMELESS

    def tag(self, tag_id: str, place: str) -> str:
        return self.by_id.get(f"tag:{tag_id}") or self.own.get(f"{place}_tag") or "name not kept"

    def field(self, name: str, key: str) -> str:
        return self.by_id.get(f"field:{name}") or FIELD_LABELS.get(key, "Field of the books")

    def own_question(self, name: str, value: Any) -> tuple[str, str]:
        label = self.by_id.get(f"extra:{name}") or name.replace("_", " ").capitalize()
        if isinstance(value, bool):
            return label, ON if value else OFF
        return label, self.by_id.get(f"extra:{name}:{value}") or str(value or NOTHING)


def _said(settings: Settings, names: _Names) -> Iterator[tuple[str, Said]]:
    yield "kinds", Said("Sync", sorted(settings.kinds), _kinds(settings))
    if Kind.PURCHASE in settings.kinds:
        approved = "Approved purchases only" if settings.approved_only else "All settled purchases"
        yield "approved_only", Said("Which purchases", settings.approved_only, approved)
        yield "bill_pay", _switch("Card charges that paid a bill", settings.bill_pay)
    yield "start_date", Said("Start Date", settings.start_date, _day(settings.start_date, "Two months back"))
    yield "end_date", Said("End Date", settings.end_date, _day(settings.end_date, "Date of sync"))
    posted = "Purchase date" if settings.posting_date == PURCHASE_DAY else "Settlement date"
    yield "posting_date", Said("Posting date", settings.posting_date, posted)
    account = names.option("pex_account", settings.pex_account)
    yield "pex_account", Said("PEX account", settings.pex_account, account)
    for key, source in settings.fields.items():
        if key != PARTY:
            yield f"fields:{key}", Said(names.field(key, key), source.stored(), _source(key, source, names))
    yield "party", _party(settings, names)
    yield "receipts", _switch("Attachments", settings.receipts)
    yield "late_receipts", _switch("Receipts added later", settings.late_receipts)
    yield from _of_kinds(settings, names)
    for key, tag in settings.synced.items():
        label = f"Options of {names.field(key, key)} in PEX"
        yield f"synced:{key}", Said(label, tag, f"Tag {names.tag(tag, f'synced:{key}')}")
    for name, value in settings.extra.items():
        label, words = names.own_question(name, value)
        yield f"extra:{name}", Said(label, value or None, words)


def _of_kinds(settings: Settings, names: _Names) -> Iterator[tuple[str, Said]]:
    for kind, chosen in settings.by_kind.items():
        for key, option in chosen.items():
            name = field_name(kind, key)
            label = f"{NAMES_OF_KINDS[kind.value][1].capitalize()}: {names.field(name, key)}"
            if option:
                yield f"by_kind:{name}", Said(label, option, names.option(key, option, name))


def _kinds(settings: Settings) -> str:
    kinds = [NAMES_OF_KINDS[kind.value][1] for kind in Kind if kind in settings.kinds]
    return ", ".join(kinds).capitalize() or "Nothing"


def _switch(label: str, on: bool) -> Said:
    return Said(label, on, ON if on else OFF)


def _source(key: str, source: FieldSource, names: _Names) -> str:
    if source.source == STATIC:
        return names.option(key, source.value)
    tag = f"PEX Tag: {names.tag(source.tag, key)}"
    if not source.default:
        return tag
    return f"{tag}, otherwise {names.option(key, source.default, f'{key}_default')}"


def _party(settings: Settings, names: _Names) -> Said:
    """Whom purchases are booked against: somebody for each merchant, or what is chosen or tagged."""
    label = names.field(PARTY, PARTY)
    if settings.party_mode != ONE_PARTY:
        names_are = "standardized names" if settings.clean_names else "as PEX"
        return Said(label, settings.clean_names, f"One for each merchant, {names_are}")
    source = settings.fields.get(PARTY)
    if source is None:
        return Said(label, settings.party, names.option(PARTY, settings.party))
    return Said(label, source.stored(), _source(PARTY, source, names))


def _day(day: date | None, empty: str) -> str:
    return f"{day:%b} {day.day}, {day.year}" if day else empty


# --- the names that are kept ------------------------------------------------------------------------------------------


def names_of(settings: Settings, books: Books) -> dict[str, str]:
    """What the books and PEX call everything these settings choose, for later versions to be read without them."""
    tags = {source.tag for source in settings.fields.values()} | set(settings.synced.values())
    fields = {field_name(kind, each.key): each.label for each in books.fields for kind in each.kinds}
    return {
        **{
            f"option:{key}:{option.id}": option.label
            for key, list_name, option_id in chosen(settings, books.fields)
            for option in books.options.get(list_name, ())
            if option.id == option_id
        },
        **{f"tag:{tag.tag_id}": tag.name for tag in books.tags if tag.tag_id in tags},
        **{f"field:{name}": label for name, label in fields.items()},
        **_own_names(settings, books),
    }


def chosen(settings: Settings, fields: Sequence[Field]) -> Iterator[tuple[str, str, str]]:
    """Every option of the books that is chosen: the key of its field, the list it is of, its id."""
    lists = {(kind, each.key): each.list_name for each in fields for kind in each.kinds}
    found = [(Kind.PURCHASE, "pex_account", settings.pex_account), (Kind.PURCHASE, PARTY, settings.party)]
    for key, source in settings.fields.items():
        found += [(Kind.PURCHASE, key, source.value), (Kind.PURCHASE, key, source.default)]
    for kind, options in settings.by_kind.items():
        found += [(kind, key, option) for key, option in options.items()]
    for kind, key, option in found:
        if option:
            yield key, lists.get((kind, key), key), option


def _own_names(settings: Settings, books: Books) -> dict[str, str]:
    """What only this system asks, and the words of what was answered."""
    questions = rooms.own_questions(books.connector)
    names = {}
    for name, question in (getattr(questions, "base_fields", {}) if questions else {}).items():
        value = settings.extra.get(name)
        if value is not None:
            names[f"extra:{name}"] = str(question.label)
            words = dict(getattr(question, "choices", ())).get(value)
            names |= {f"extra:{name}:{value}": str(words)} if words else {}
    return names


# --- keeping one ------------------------------------------------------------------------------------------------------


class Overtaken(Exception):
    """What was looked at no longer holds: the sentence says what somebody else did meanwhile."""


def keep(
    connection: Connection,
    settings: Settings,
    names: Mapping[str, str],
    by: User,
    note: str = "",
    seen: int | None = None,
) -> Connection:
    """Make these the settings in use, with a version that says who and when; the draft is done with.

    `names` join those kept before. `seen` is the version the person looked at. Raises `Overtaken` when another one is
    in use now, when the company is no longer that of `connection`, and when another connection feeds one of the tags.
    Opens its own scope.
    """
    with scope(connection.business_id):
        # Of two connections that begin to feed one tag, the second sees what the first one saved.
        Business.objects.select_for_update(no_key=True).get(pk=connection.business_id)
        now = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if says := _meanwhile(connection, now, settings, names, seen):
            raise Overtaken(says)
        note = note or now.draft.get(NOTE, "")
        # Of a kind that was off, and of days before the Start Date, nobody knows what is booked by hand: what would be
        # sent of them is shown first (rule L9).
        still = frozenset() if begins_earlier(settings, Settings.parse(now.settings), clock.today()) else settings.kinds
        now.preview_confirmed = {kind: told for kind, told in now.preview_confirmed.items() if kind in still}
        now.settings = {**settings.stored(), LABELS: {**now.settings.get(LABELS, {}), **names}}
        now.draft, now.settings_problem = {}, ""
        now.settings_version += 1
        now.save(update_fields=["settings", "draft", "settings_problem", "settings_version", "preview_confirmed"])
        SettingsVersion.objects.create(
            business_id=now.business_id,
            connection=now,
            version=now.settings_version,
            settings=now.settings,
            note=note[:200],
            by=by,
            at=clock.now(),
        )
    return now


def begins_earlier(settings: Settings, before: Settings, today: date) -> bool:
    """Whether a sync by hand now goes further back than before."""
    return window.manual(settings, today).first < window.manual(before, today).first


def _meanwhile(
    before: Connection, now: Connection, settings: Settings, names: Mapping[str, str], seen: int | None
) -> str:
    """What somebody did that makes these settings wrong; "" where nothing was."""
    if seen is not None and seen != now.settings_version:
        return f"The settings were changed meanwhile, to version {now.settings_version}. Look once more."
    if now.company != before.company:
        return f"The company was changed meanwhile, to {now.company_name}. Look once more."
    taken = fed_elsewhere(now) if settings.synced else {}
    for tag in settings.synced.values():
        if tag in taken:
            return f"{names.get(f'tag:{tag}', 'A PEX tag')} gets the options of {taken[tag]} meanwhile. Look once more."
    return ""
