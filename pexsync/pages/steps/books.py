"""What the setup may choose from: the lists of the books as just read, and the tags of the business."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from connectors.connector import Connector
from connectors.records import ACCOUNT, DROPDOWN, PARTY, Company, Field, Kind, Option
from connectors.settings import STATIC, TAG
from tagging.models import Tag

COMPANIES = "companies"  # in what a step reads: those the sign-in opens
GONE = "Chosen before, no longer there"

Choices = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Books:
    """The lists of one connection. `options` are by the name of the list (`Field.list_name`)."""

    connector: type[Connector]
    charge: bool
    today: date
    fields: Sequence[Field] = ()
    options: Mapping[str, Sequence[Option]] = field(default_factory=dict)
    tags: Sequence[Tag] = ()
    taken: Mapping[str, str] = field(default_factory=dict)  # tag id -> what feeds it in another connection
    trouble: str = ""  # why lists are missing, a sentence
    silent: str = ""  # whose they are, where not the connector's own
    company: Company | None = None  # the one in use
    companies: Sequence[Company] = ()  # those the sign-in opens, where they are a list of the setup

    def kinds(self) -> list[Kind]:
        other = Kind.TRANSFER if self.charge else Kind.BILL_PAYMENT
        return [kind for kind in self.connector.kinds if kind is not other]

    def asked(self, kind: Kind, key: str) -> Field | None:
        return next((wanted for wanted in self.fields if wanted.key == key and kind in wanted.kinds), None)

    def mappable(self, kind: Kind) -> list[Field]:
        """What a mapping table asks of a kind: account and contact are questions of their own."""
        return [wanted for wanted in self.fields if kind in wanted.kinds and wanted.key not in (ACCOUNT, PARTY)]

    def list_of(self, kind: Kind, key: str) -> str:
        """The name of the list that a field's values are chosen from."""
        wanted = self.asked(kind, key)
        return wanted.list_name if wanted else key

    @property
    def dropdowns(self) -> list[Tag]:
        return [tag for tag in self.tags if tag.type == DROPDOWN]

    def tags_for(self, wanted: Field) -> list[Tag]:
        return [tag for tag in self.tags if tag.type in wanted.tag_types]

    def tag(self, tag_id: str) -> Tag | None:
        return next((tag for tag in self.tags if tag.tag_id == tag_id), None)

    def option(self, name: str, chosen: str) -> Option | None:
        return next((option for option in self.options.get(name, ()) if option.id == chosen), None)

    def choices(
        self, name: str, chosen: str, empty: str, fit: Callable[[Option], bool] = lambda option: True
    ) -> Choices:
        """The options of one list that `fit`, grouped. A chosen one stays visible whatever became of it."""
        groups: dict[str, list[tuple[str, str]]] = {}
        known = False
        for option in self.options.get(name, ()):
            known = known or option.id == chosen
            if option.id == chosen or (option.active and fit(option)):
                label = option.label if option.active else f"{option.label} (archived)"
                groups.setdefault(option.group, []).append((option.id, label))
        found: Choices = [("", empty)]
        if chosen and not known:
            found.append((chosen, "As chosen before" if self.trouble else GONE))
        for group, rows in groups.items():
            found.extend(rows if not group else [(group, rows)])
        return found

    def tag_choices(self, tags: Sequence[Tag], chosen: str) -> Choices:
        found: Choices = [("", "Choose a tag"), *((tag.tag_id, tag.name) for tag in tags)]
        if chosen and all(tag.tag_id != chosen for tag in tags):
            found.append((chosen, GONE))
        return found

    def sources(self, wanted: Field, chosen: str) -> Choices:
        """Where a purchase's field may come from, as "tag:<id>" and "static:<option id>"."""
        tags = [(f"{TAG}:{tag.tag_id}", tag.name) for tag in self.tags_for(wanted)]
        found: Choices = [("", "Choose a tag")]
        if chosen.startswith(TAG) and chosen not in {value for value, _ in tags}:
            found.append((chosen, GONE))
        if wanted.text or not wanted.static:
            return found + tags
        found += [("PEX tags", tags)] if tags else []
        static = chosen.partition(":")[2] if chosen.startswith(STATIC) else ""
        same = [(f"{STATIC}:{value}", name) for value, name in flat(self.choices(wanted.list_name, static, "")[1:])]
        return [*found, ("Always the same", same)] if same else found

    def missing(self, name: str, chosen: str) -> str:
        """Why a choice cannot stay, a sentence; "" when it can. While the books do not answer it may."""
        if not chosen or self.trouble:
            return ""
        option, label = self.option(name, chosen), self.connector.label
        if option is None:
            return f"What was chosen is no longer in {label}. Choose another."
        return "" if option.active else f"{option.label} is archived in {label}. Choose another."


def flat(choices: Choices) -> list[tuple[str, str]]:
    """The choices of a select without their groups."""
    rows: list[tuple[str, str]] = []
    for value, name in choices:
        rows += [(value, name)] if isinstance(name, str) else name
    return rows
