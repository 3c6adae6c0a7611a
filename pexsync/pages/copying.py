"""Settings of one business carried over to another: what the two books have in common, and what is left to choose.

Ids of accounts, contacts and categories belong to one company, and ids of tags to one business. In the same company the
former stay; in another, what has the same code or exactly the same name takes their place. What has no match is left
open, and named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.records import ACCOUNT, PARTY, Field, Kind, Option, field_name
from connectors.settings import ONE_PARTY, FieldSource, Settings
from pexsync.pages.steps.books import Books
from pexsync.pages.words import NAMES_OF_KINDS
from tagging.models import Tag


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is copied: the settings of another business, the names kept with them, and that business's tags."""

    settings: Settings
    names: Mapping[str, str]
    tags: Sequence[Tag]
    same_company: bool  # it writes to the company that is to be set up


@dataclass(frozen=True, slots=True)
class Copied:
    """`left`: what has no match here, each with its name there: "Expense Account: 429 General Expenses"."""

    settings: Settings
    left: Sequence[str]


def copied(pattern: Pattern, own: Settings, books: Books) -> Copied:
    """The other's settings in terms of these books and tags. Dates stay those of the business's `own`. Pure."""
    return _Copy(pattern, own, books).made()


@dataclass(slots=True)
class _Copy:
    pattern: Pattern
    own: Settings
    books: Books
    left: list[str] = field(default_factory=list)

    def made(self) -> Copied:
        there = self.pattern.settings
        kinds = [kind for kind in self.books.kinds() if kind in there.kinds]
        settings = replace(
            there,
            kinds=frozenset(kinds),
            start_date=self.own.start_date,
            end_date=self.own.end_date,
            pex_account=self._option("pex_account", "pex_account", there.pex_account, "PEX account"),
            party=self._contact(there),
            fields=self._fields(there),
            by_kind={kind: self._of_kind(kind, there.by_kind[kind]) for kind in kinds if kind in there.by_kind},
            synced=self._synced(there),
            extra=there.extra if self.pattern.same_company else self.own.extra,
        )
        return Copied(settings, tuple(dict.fromkeys(self.left)))

    def _contact(self, there: Settings) -> str:
        if there.party_mode != ONE_PARTY:
            return ""
        return self._option(PARTY, PARTY, there.party, "Contact")

    def _fields(self, there: Settings) -> dict[str, FieldSource]:
        found = {}
        for key, source in there.fields.items():
            wanted = self._field(Kind.PURCHASE, key)
            if wanted is None:
                continue
            mapped = replace(
                source,
                value=self._option(key, wanted.list_name, source.value, wanted.label),
                tag=self._tag(source.tag, wanted.label),
                default=self._option(key, wanted.list_name, source.default, f"Default of {wanted.label}"),
            )
            if mapped.tag or mapped.value or wanted.key == ACCOUNT:
                found[wanted.key] = mapped
        return found

    def _of_kind(self, kind: Kind, there: Mapping[str, str]) -> dict[str, str]:
        found = {}
        for key, option in there.items():
            wanted = self._field(kind, key) if option else None
            if wanted is not None:
                label = f"{wanted.label} of {NAMES_OF_KINDS[kind.value][1]}"
                found[wanted.key] = self._option(key, wanted.list_name, option, label)
        return found

    def _synced(self, there: Settings) -> dict[str, str]:
        found = {}
        for key, tag in there.synced.items():
            wanted = self._field(Kind.PURCHASE, key)
            if wanted is None:
                continue
            mine = self._tag(tag, f"Options of {wanted.label}")
            # A tag that another connection of this business feeds already is not ours to feed.
            if mine and mine not in self.books.taken:
                found[wanted.key] = mine
        return found

    def _field(self, kind: Kind, key: str) -> Field | None:
        """The field of these books: the same one, or in another company the one of the same name."""
        same = self.books.asked(kind, key)
        if same is not None:
            return same
        label = self.pattern.names.get(f"field:{field_name(kind, key)}", "")
        alike = [each for each in self.books.fields if kind in each.kinds and label and _same(each.label, label)]
        if len(alike) == 1:
            return alike[0]
        self.left.append(label or "A field these books do not have")
        return None

    def _option(self, key: str, list_name: str, option_id: str, label: str) -> str:
        if not option_id or self.pattern.same_company:
            return option_id
        name = self.pattern.names.get(f"option:{key}:{option_id}", "")
        found = _match(self.books.options.get(list_name, ()), name)
        if found is None:
            self.left.append(f"{label}: {name}" if name else label)
        return found.id if found else ""

    def _tag(self, tag_id: str, label: str) -> str:
        if not tag_id:
            return ""
        theirs = next((tag for tag in self.pattern.tags if tag.tag_id == tag_id), None)
        alike = [tag for tag in self.books.tags if theirs and _same(tag.name, theirs.name) and tag.type == theirs.type]
        if len(alike) == 1:
            return alike[0].tag_id
        self.left.append(f"{label}: PEX tag {theirs.name}" if theirs else label)
        return ""


def _match(options: Sequence[Option], label: str) -> Option | None:
    """The only active option of that code and name, of that code, or of exactly that name; None when in doubt."""
    if not label:
        return None
    active = [option for option in options if option.active]
    for alike in (
        [option for option in active if _same(option.label, label)],
        [option for option in active if option.code and label.startswith(f"{option.code} ")],
        [option for option in active if _named(option, label)],
    ):
        if len(alike) == 1:
            return alike[0]
    return None


def _named(option: Option, label: str) -> bool:
    """Whether it is the name in a label, which begins with a code where options of its list have codes."""
    return _same(option.name, label) or bool(option.code and _same(option.name, label.partition(" ")[2]))


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
