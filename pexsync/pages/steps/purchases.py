"""The step that chooses what each purchase carries: receipts, and which tags fill which fields."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms

from connectors.records import ACCOUNT, Field, Kind
from connectors.settings import STATIC, TAG, FieldSource, Settings
from pexsync.pages.steps.effects import listed
from pexsync.pages.steps.form import StepForm
from pexsync.pages.steps.mapping import MappingRow


class PurchaseOptions(StepForm):
    reads = ("fields",)

    receipts = forms.BooleanField(label="Attachments", required=False)
    late_receipts = forms.BooleanField(label="Receipts added later", required=False)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        if field in cls.base_fields:
            return f"id_{field}"
        return f"id_{field}-from" if field in draft.fields else f"id_{field}-map"

    def build(self) -> None:
        self.initial = {"receipts": self.draft.receipts, "late_receipts": self.draft.late_receipts}
        for wanted in self.mappable():
            source = self.draft.fields.get(wanted.key)
            chosen = self._chosen(wanted, source)
            self.switch(f"{wanted.key}-map", f"Map {wanted.label}", source is not None or wanted.required)
            self.choose(f"{wanted.key}-from", f"Mapping of {wanted.label}", self.books.sources(wanted, chosen), chosen)
            if not wanted.text:
                default = source.default if source else ""
                choices = self.books.choices(wanted.list_name, default, "No default")
                self.choose(f"{wanted.key}-default", f"Default for {wanted.label}", choices, default)

    def mappable(self) -> list[Field]:
        return self.books.mappable(Kind.PURCHASE)

    def booked_on(self) -> str:
        """Where the expense account comes from, in words."""
        source = self.draft.fields.get(ACCOUNT, FieldSource())
        if source.source == TAG:
            tag = self.books.tag(source.tag)
            return f"PEX Tag: {tag.name if tag else 'not chosen'}"
        option = self.books.option(self.books.list_of(Kind.PURCHASE, ACCOUNT), source.value)
        return option.label if option else "One account"

    def rows(self) -> list[MappingRow]:
        return [self._row(wanted) for wanted in self.mappable()]

    def optional(self) -> str:
        """What the books can do without, and a required tag would not: "Projects and Regions are"."""
        labels = [wanted.label for wanted in self.mappable() if not (wanted.required or wanted.text)]
        return f"{listed(labels)} {'are' if len(labels) > 1 else 'is'}" if labels else ""

    def texts(self) -> list[str]:
        return [wanted.label for wanted in self.mappable() if wanted.text]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for wanted in self.mappable():
            if cleaned.get(f"{wanted.key}-map") or wanted.required:
                self._check_source(wanted, self._source(wanted, cleaned))
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        fields = dict(self.draft.fields)
        for wanted in self.mappable():
            fields.pop(wanted.key, None)
            if cleaned.get(f"{wanted.key}-map") or wanted.required:
                fields[wanted.key] = self._source(wanted, cleaned)
        return replace(self.draft, receipts=cleaned["receipts"], late_receipts=cleaned["late_receipts"], fields=fields)

    def _chosen(self, wanted: Field, source: FieldSource | None) -> str:
        """As the select names it. A tag that gets the options of the field is offered before anything is chosen."""
        if source is None:
            tag = self.draft.synced.get(wanted.key, "")
            return f"{TAG}:{tag}" if tag else ""
        return f"{source.source}:{source.value if source.source == STATIC else source.tag}"

    def _check_source(self, wanted: Field, source: FieldSource) -> None:
        name = f"{wanted.key}-from"
        if not (source.tag or source.value):
            self.add_error(name, f"Choose the PEX tag for {wanted.label}, or switch its mapping off.")
        elif source.source == TAG and source.tag not in {tag.tag_id for tag in self.books.tags_for(wanted)}:
            self.add_error(name, f"The PEX tag of {wanted.label} is gone or switched off. Choose another.")
        for control, value in ((name, source.value), (f"{wanted.key}-default", source.default)):
            trouble = self.books.missing(wanted.list_name, value)
            if trouble:
                self.add_error(control, f"{wanted.label}: {trouble}")

    def _source(self, wanted: Field, cleaned: Mapping[str, Any]) -> FieldSource:
        source, _, chosen = cleaned.get(f"{wanted.key}-from", "").partition(":")
        if source == STATIC:
            return FieldSource(source=STATIC, value=chosen)
        return FieldSource(source=TAG, tag=chosen, default=cleaned.get(f"{wanted.key}-default", ""))

    def _row(self, wanted: Field) -> MappingRow:
        source = self[f"{wanted.key}-from"]
        value = source.value() or ""
        tag = self.books.tag(value.partition(":")[2]) if value.startswith(TAG) else None
        default = None if wanted.text else self[f"{wanted.key}-default"]
        controls = [f"{wanted.key}-from", *([f"{wanted.key}-default"] if default else [])]
        return MappingRow(
            label=wanted.label,
            mapped=self[f"{wanted.key}-map"],
            source=source,
            default=default,
            type="Static" if value.startswith(STATIC) else "Tag",
            required=wanted.required or bool(tag and tag.required),
            default_text="Purchase Description" if wanted.text else "",
            no_tags="" if self.books.tags_for(wanted) else f"No PEX tag of type {' or '.join(wanted.tag_types)} yet",
            note=self._note(wanted, value),
            error=self.wrong_with(*controls),
        )

    def _note(self, wanted: Field, value: str) -> str:
        """Tags that the books do not feed are kept right by hand; said where another tag than theirs is chosen."""
        fed = self.draft.synced.get(wanted.key, "")
        if not fed or not value.startswith(TAG) or value == f"{TAG}:{fed}":
            return ""
        tag = self.books.tag(fed)
        return (
            f"Its options are synced to {tag.name if tag else 'another tag'}"
            if self[f"{wanted.key}-map"].value()
            else ""
        )
