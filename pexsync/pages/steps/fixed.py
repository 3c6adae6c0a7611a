"""The steps of the kinds that carry no tags, fees and rebates: every value is one of the books, always the same."""

from dataclasses import replace
from typing import Any, ClassVar

from django import forms

from connectors.records import ACCOUNT, PARTY, Field, Kind
from connectors.settings import Settings
from pexsync.pages.steps.effects import Effects, on_other_account
from pexsync.pages.steps.form import StepForm
from pexsync.pages.steps.mapping import MappingRow
from pexsync.pages.words import NAMES_OF_KINDS


class FixedOptions(StepForm):
    reads = (PARTY, "fields")
    kind: ClassVar[Kind]
    heading: ClassVar[str]  # of its mapping table
    asks: ClassVar[tuple[str, ...]]  # of account and contact, those that this step asks for

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        kind, _, key = field.partition(":")
        if kind != cls.kind.value:
            return ""
        if key in cls.asks:
            return f"id_{key}"
        if key in (ACCOUNT, PARTY):
            return ""
        return f"id_{key}-from" if draft.by_kind.get(cls.kind, {}).get(key) else f"id_{key}-map"

    def build(self) -> None:
        for wanted in self.asked():
            chosen = self._chosen(wanted)
            empty = f"Choose {'an' if wanted.label[:1] in 'AEIOU' else 'a'} {wanted.label.lower()}"
            self.choose(wanted.key, wanted.label, self.books.choices(wanted.list_name, chosen, empty), chosen)
        for wanted in self.books.mappable(self.kind):
            chosen = self._chosen(wanted)
            self.switch(f"{wanted.key}-map", f"Map {wanted.label}", bool(chosen) or wanted.required)
            choices = self.books.choices(wanted.list_name, chosen, "Choose a value")
            self.choose(f"{wanted.key}-from", f"Mapping of {wanted.label}", choices, chosen)

    def asked(self) -> list[Field]:
        found = [self.books.asked(self.kind, key) for key in self.asks]
        return [wanted for wanted in found if wanted]

    def questions(self) -> list[tuple[forms.BoundField, bool]]:
        """What is asked apart from the mapping table, each with whether it must be answered."""
        return [(self[wanted.key], wanted.required) for wanted in self.asked()]

    @property
    def name(self) -> str:
        """What the kind is called, in the plural."""
        return NAMES_OF_KINDS[self.kind.value][1]

    def booked_on(self) -> str:
        """The account chosen in an earlier step, "" where this one asks for it."""
        wanted = self.books.asked(self.kind, ACCOUNT)
        if wanted is None or ACCOUNT in self.asks:
            return ""
        option = self.books.option(wanted.list_name, self._chosen(wanted))
        return option.label if option else "Not chosen yet"

    def effects(self) -> Effects:
        return on_other_account(self.kind)

    def rows(self) -> list[MappingRow]:
        return [
            MappingRow(
                label=wanted.label,
                mapped=self[f"{wanted.key}-map"],
                source=self[f"{wanted.key}-from"],
                default=None,
                type="Static",
                required=wanted.required,
                error=self.wrong_with(f"{wanted.key}-from"),
            )
            for wanted in self.books.mappable(self.kind)
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for wanted in self.asked():
            empty = f"Choose the {wanted.label.lower()} of {self.name}." if wanted.required else ""
            self.check(wanted.key, wanted.list_name, empty)
        for wanted in self.books.mappable(self.kind):
            if cleaned.get(f"{wanted.key}-map") or wanted.required:
                empty = f"Choose the {wanted.label} of all {self.name}, or switch its mapping off."
                self.check(f"{wanted.key}-from", wanted.list_name, empty)
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        chosen = dict(self.draft.by_kind.get(self.kind, {}))
        for wanted in self.asked():
            chosen[wanted.key] = cleaned[wanted.key]
        for wanted in self.books.mappable(self.kind):
            chosen.pop(wanted.key, None)
            if cleaned.get(f"{wanted.key}-map") or wanted.required:
                chosen[wanted.key] = cleaned[f"{wanted.key}-from"]
        return replace(self.draft, by_kind={**self.draft.by_kind, self.kind: chosen})

    def _chosen(self, wanted: Field) -> str:
        return self.draft.by_kind.get(self.kind, {}).get(wanted.key, "")


class FeeOptions(FixedOptions):
    kind = Kind.FEE
    heading = "Expense Field Mappings"
    asks = (PARTY,)


class RebateOptions(FixedOptions):
    kind = Kind.REBATE
    heading = "Rebate Field Mappings"
    asks = (ACCOUNT, PARTY)
