"""The card of purchases: which of them are sent and how, and where each field of an entry comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django import forms

from connectors.records import ACCOUNT, PARTY, Field, Kind
from connectors.settings import (
    ONE_PARTY,
    PER_MERCHANT,
    PURCHASE_DAY,
    SETTLEMENT,
    STATIC,
    TAG,
    FieldSource,
    Settings,
)
from pexsync.pages import rooms
from pexsync.pages.steps.books import Books
from pexsync.pages.steps.cards.card import SHOWN, KindCard
from pexsync.pages.steps.form import LongSelect
from pexsync.pages.steps.options import unfit_to_feed

TYPES = {STATIC: "Static", TAG: "Tag"}
ALL, APPROVED = "all", "approved"
OF_A_ROW = ("type", "value", "tag", "default", "sync")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One row of Field, Type, Value, Default, Sync. `values` counts what the books offer, in words."""

    label: str
    type: forms.BoundField
    value: forms.BoundField | None  # none of what people write
    tag: forms.BoundField
    default: forms.BoundField | None
    sync: forms.BoundField | None
    required: bool
    tag_required: bool  # PEX asks for this tag on every purchase
    values: str
    no_tags: bool
    when: str  # it is asked only while another control says so


class PurchaseCard(KindCard):
    kind = Kind.PURCHASE
    template = "pages/cards/purchases.html"

    which = forms.ChoiceField(
        label="Which purchases",
        choices=[(ALL, "Sync all purchases"), (APPROVED, "Only sync approved purchases")],
        widget=forms.RadioSelect,
    )
    bill_pay = forms.BooleanField(label="Include card charges that paid a bill", required=False)
    receipts = forms.BooleanField(label="Sync purchase attachments", required=False)
    late_receipts = forms.BooleanField(label="Send receipts that are added later, too", required=False)
    posting_date = forms.ChoiceField(
        label="Posting date",
        choices=[(SETTLEMENT, "Use settlement dates"), (PURCHASE_DAY, "Use purchase dates")],
        widget=forms.RadioSelect,
    )
    per_merchant = forms.BooleanField(required=False)
    clean_names = forms.BooleanField(required=False)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        """What no other card asks for is a field of purchases."""
        if Kind.PURCHASE not in draft.kinds:
            return "id_purchase-on"
        if field in cls.base_fields:
            return f"id_purchase-{field}"
        if field == PARTY and draft.party_mode == PER_MERCHANT:
            return "id_purchase-per_merchant"
        first, _, rest = field.partition(":")
        key = rest if first == "synced" else field
        source = draft.fields.get(key)
        if source is None:
            return f"id_purchase-{key}-type"
        return f"id_purchase-{key}-{'tag' if source.source == TAG else 'value'}"

    def build(self) -> None:
        super().build()
        draft = self.draft
        self.initial.update(
            which=APPROVED if draft.approved_only else ALL,
            bill_pay=draft.bill_pay,
            receipts=draft.receipts,
            late_receipts=draft.late_receipts,
            posting_date=draft.posting_date,
            per_merchant=draft.party_mode == PER_MERCHANT,
            clean_names=draft.clean_names,
        )
        party, name = self.books.connector.party_word, rooms.short_name(self.books.connector)
        self.fields["per_merchant"].label = f"Create a {name} {party} for each unique merchant"
        self.fields["clean_names"].label = f"Use standardized {party} names"
        self.take(SHOWN, [*self.fields])
        for wanted in self.asked():
            self._ask(wanted)
            names = [f"{wanted.key}-{each}" for each in OF_A_ROW]
            self.take(f"{wanted.key}-type", [name for name in names if name in self.fields])

    def asked(self) -> list[Field]:
        """What the table asks: account, then whom purchases are booked against, then the rest in the books' order."""
        asked = [wanted for wanted in self.books.fields if Kind.PURCHASE in wanted.kinds]
        return sorted(asked, key=lambda wanted: {ACCOUNT: 0, PARTY: 1}.get(wanted.key, 2))

    def rows(self) -> list[FieldRow]:
        return [self._row(wanted) for wanted in self.asked()]

    def hints(self) -> list[tuple[str, str]]:
        """What a field does in these books: its label and a sentence."""
        hints = rooms.hints(self.books.connector)
        return [(wanted.label, hints[wanted.key]) for wanted in self.asked() if wanted.key in hints]

    def party_label(self) -> str:
        wanted = self.books.asked(Kind.PURCHASE, PARTY)
        return wanted.label if wanted else ""

    def always(self, key: str) -> str:
        """The value of a field that holds for all purchases; "" where a tag says it, or none is chosen."""
        wanted = self.books.asked(Kind.PURCHASE, key)
        return self._source(wanted).value if wanted else ""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        fed: dict[str, str] = {}
        for wanted in self.asked() if self.on else ():
            if wanted.key == PARTY and cleaned.get("per_merchant"):
                continue
            if f"{wanted.key}-type" in cleaned:
                self._check(wanted, self._source(wanted), fed)
        return cleaned

    def into(self, settings: Settings) -> Settings:
        cleaned = self.cleaned_data
        fields, synced = self._fields(settings), self._synced(settings)
        return replace(
            super().into(settings),
            approved_only=cleaned["which"] == APPROVED,
            bill_pay=cleaned["bill_pay"],
            receipts=cleaned["receipts"],
            late_receipts=cleaned["late_receipts"],
            posting_date=cleaned["posting_date"],
            party_mode=PER_MERCHANT if cleaned["per_merchant"] else ONE_PARTY,
            clean_names=cleaned["clean_names"],
            fields=fields,
            synced=synced,
        )

    def _ask(self, wanted: Field) -> None:
        key, label, books = wanted.key, wanted.label, self.books
        source = self.draft.fields.get(key) or FieldSource(source=_first_type(wanted, books))
        tags = books.tag_choices(books.tags_for(wanted), source.tag)
        types = [(each, TYPES[each]) for each in _types(wanted)]
        chooser = forms.ChoiceField(label=f"Type of {label}", choices=types, widget=LongSelect({"class": "select"}))
        self.fields[f"{key}-type"], self.initial[f"{key}-type"] = chooser, source.source
        self.choose(f"{key}-tag", f"PEX tag of {label}", tags, source.tag)
        if not wanted.text:
            empty = "Choose a value" if wanted.required else "Leave empty"
            values = books.choices(wanted.list_name, source.value, empty)
            defaults = books.choices(wanted.list_name, source.default, "No default")
            self.choose(f"{key}-value", f"Value of {label}", values, source.value)
            self.choose(f"{key}-default", f"Default of {label}", defaults, source.default)
        if wanted.can_sync:
            fed = bool(source.tag) and self.draft.synced.get(key) == source.tag
            self.switch(f"{key}-sync", f"Sync the values of {label} to its tag", fed)

    def _row(self, wanted: Field) -> FieldRow:
        key = wanted.key
        tag = self.books.tag(self[f"{key}-tag"].value() or "")
        count = sum(option.active for option in self.books.options.get(wanted.list_name, ()))
        return FieldRow(
            label=wanted.label,
            type=self[f"{key}-type"],
            value=self._field(f"{key}-value"),
            tag=self[f"{key}-tag"],
            default=self._field(f"{key}-default"),
            sync=self._field(f"{key}-sync"),
            required=wanted.required,
            tag_required=bool(tag and tag.required and self[f"{key}-type"].value() == TAG),
            values="" if wanted.text or self.books.trouble else f"{count:,} value{'' if count == 1 else 's'}",
            no_tags=not self.books.tags_for(wanted),
            when=f"{self.add_prefix('per_merchant')}!=on" if key == PARTY else "",
        )

    def _field(self, name: str) -> forms.BoundField | None:
        return self[name] if name in self.fields else None

    def _source(self, wanted: Field) -> FieldSource:
        key, cleaned = wanted.key, self.cleaned_data
        if cleaned.get(f"{key}-type") == TAG:
            return FieldSource(source=TAG, tag=cleaned.get(f"{key}-tag", ""), default=cleaned.get(f"{key}-default", ""))
        return FieldSource(source=STATIC, value=cleaned.get(f"{key}-value", ""))

    def _check(self, wanted: Field, source: FieldSource, fed: dict[str, str]) -> None:
        key, label = wanted.key, wanted.label
        if source.source == STATIC:  # of a field that has values to choose from
            empty = f"Choose the {label} of all purchases, or choose Tag." if wanted.required else ""
            self._say(f"{key}-value", empty if not source.value else self.books.missing(wanted.list_name, source.value))
            return
        if not source.tag:
            self._say(f"{key}-tag", f"Choose the PEX tag that names the {label}, or choose Static.")
        elif source.tag not in {tag.tag_id for tag in self.books.tags_for(wanted)}:
            self._say(f"{key}-tag", f"The PEX tag of {label} is gone or switched off. Choose another.")
        elif self.cleaned_data.get(f"{key}-sync"):
            self._say(f"{key}-tag", unfit_to_feed(self.books, wanted, source.tag, fed))
            fed.setdefault(source.tag, label)
        if source.default:
            self._say(f"{key}-default", self.books.missing(wanted.list_name, source.default))

    def _say(self, name: str, trouble: str) -> None:
        if trouble and name in self.cleaned_data:
            self.add_error(name, trouble)

    def _fields(self, settings: Settings) -> dict[str, FieldSource]:
        """While the books do not answer, what was mapped stays; a field they no longer have goes."""
        found = dict(settings.fields) if self.books.trouble else {}
        for wanted in self.asked():
            found.pop(wanted.key, None)
            source = self._source(wanted)
            if source.value or source.tag or wanted.required:
                found[wanted.key] = source
        return found

    def _synced(self, settings: Settings) -> dict[str, str]:
        """Where each merchant is booked under a name of its own no tag is needed, so none gets the names."""
        found = dict(settings.synced) if self.books.trouble else {}
        for wanted in self.asked():
            found.pop(wanted.key, None)
            source, fed = self._source(wanted), dict.fromkeys(found.values(), "another field")
            asked = wanted.key != PARTY or not self.cleaned_data["per_merchant"]
            synced = source.tag and asked and self.cleaned_data.get(f"{wanted.key}-sync")
            # While the kind is off nobody was told what is wrong.
            if synced and (self.on or not unfit_to_feed(self.books, wanted, source.tag, fed)):
                found[wanted.key] = source.tag
        return found


def _types(wanted: Field) -> Sequence[str]:
    """Static, where one of the books' values may hold for all; Tag, where a PEX tag may say it."""
    static = wanted.static and not wanted.text
    return [*([STATIC] if static else []), *([TAG] if wanted.tag_types else [])]


def _first_type(wanted: Field, books: Books) -> str:
    """Before anything is chosen: what must be coded is offered by tag where there is one, the rest is left empty."""
    types = _types(wanted)
    by_tag = TAG in types and wanted.required and bool(books.tags_for(wanted))
    return TAG if by_tag else types[0]
