"""The step that chooses which lists of the books become the options of PEX tags."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django import forms

from connectors.records import ACCOUNT, Field
from connectors.settings import Settings
from pexsync.pages.steps.books import Books
from pexsync.pages.steps.form import StepForm

SAMPLE = 3


@dataclass(frozen=True, slots=True)
class SyncRow:
    """One row of Field, Sync, PEX Tag; `says` counts what the books hold and names the first of it."""

    label: str
    sync: forms.BoundField
    tag: forms.BoundField
    says: str
    error: str


class TagOptions(StepForm):
    reads = ("fields",)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        first, _, key = field.partition(":")
        if first != "synced":
            return ""
        return f"id_{key}-tag" if key in draft.synced else f"id_{key}-sync"

    def build(self) -> None:
        for wanted in self.offered():
            chosen = self.draft.synced.get(wanted.key, "")
            self.switch(f"{wanted.key}-sync", f"Sync {wanted.label}", bool(chosen))
            choices = self.books.tag_choices(self.books.dropdowns, chosen)
            self.choose(f"{wanted.key}-tag", f"PEX Tag for {wanted.label}", choices, chosen)

    def offered(self) -> list[Field]:
        return [wanted for wanted in self.books.fields if wanted.can_sync]

    def rows(self) -> list[SyncRow]:
        return [
            SyncRow(
                label=wanted.label,
                sync=self[f"{wanted.key}-sync"],
                tag=self[f"{wanted.key}-tag"],
                says=self._holds(wanted),
                error=self.wrong_with(f"{wanted.key}-tag"),
            )
            for wanted in self.offered()
        ]

    def account_label(self) -> str:
        """What the expense account is called, where its values can be synced."""
        return next((wanted.label for wanted in self.offered() if wanted.key == ACCOUNT), "")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        fed: dict[str, str] = {}
        for wanted in self.offered():
            tag_id = cleaned.get(f"{wanted.key}-tag", "")
            if cleaned.get(f"{wanted.key}-sync"):
                trouble = unfit_to_feed(self.books, wanted, tag_id, fed)
                if trouble:
                    self.add_error(f"{wanted.key}-tag", trouble)
                fed.setdefault(tag_id, wanted.label)
        return cleaned

    def settings(self) -> Settings:
        """While the books do not answer, what is synced stays; a field they no longer have goes."""
        cleaned = self.cleaned_data
        synced = dict(self.draft.synced) if self.books.trouble else {}
        for wanted in self.offered():
            synced.pop(wanted.key, None)
            if cleaned.get(f"{wanted.key}-sync"):
                synced[wanted.key] = cleaned[f"{wanted.key}-tag"]
        return replace(self.draft, synced=synced)

    def _holds(self, wanted: Field) -> str:
        active = [option for option in self.books.options.get(wanted.list_name, ()) if option.active]
        if not active:
            return "" if self.books.trouble else f"Nothing in {self.books.connector.label} yet"
        count = f"{len(active):,} option{'' if len(active) == 1 else 's'}"
        return f"{count}: {', '.join(option.label for option in active[:SAMPLE])}{' …' if len(active) > SAMPLE else ''}"


def unfit_to_feed(books: Books, wanted: Field, tag_id: str, fed: Mapping[str, str]) -> str:
    """Why a tag cannot get the options of a field, a sentence; "" when it can. `fed`: what the others of the form feed.

    One tag is fed by one field of one connection: two lists would switch off each other's options.
    """
    if not tag_id:
        return f"Choose the PEX tag that gets the options of {wanted.label}, or switch its Sync off."
    tag = books.tag(tag_id)
    if tag is None or tag not in books.dropdowns:
        return f"The PEX tag of {wanted.label} is gone, switched off or no dropdown. Choose another."
    owner = fed.get(tag_id) or books.taken.get(tag_id)
    return f"{tag.name} gets the options of {owner} already. Choose another tag for {wanted.label}." if owner else ""
