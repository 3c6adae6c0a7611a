"""The step that chooses what is synced: kinds of transactions and days."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django import forms

from connectors.connector import Connector
from connectors.records import Kind
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.dates import Days
from pexsync.pages.words import NAMES_OF_KINDS

IMPORTS = {
    Kind.PURCHASE: "PEX purchases",
    Kind.FEE: "PEX account fees",
    Kind.TRANSFER: "PEX account transfers",
    Kind.BILL_PAYMENT: "payments of your PEX card balance",
    Kind.REBATE: "PEX rebates",
}
BESIDE = {
    Kind.PURCHASE: "Refunds go along, and each split becomes a line of its own.",
    Kind.FEE: "Fees of the account and of single cards; reversals go along.",
    Kind.TRANSFER: "Both ways: to PEX and back to your bank.",
    Kind.BILL_PAYMENT: "On the day they were paid.",
    Kind.REBATE: "Reversals go along.",
}


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind that can be switched on; `needs` says which other one it needs, a sentence."""

    kind: Kind
    field: forms.BoundField
    says: str
    needs: str


class SyncOptions(Days):
    approved_only = forms.ChoiceField(
        label="Which purchases",
        choices=[("approved", "Approved purchases only"), ("all", "All settled purchases")],
        widget=forms.Select(attrs={"class": "select"}),
    )
    bill_pay = forms.BooleanField(label="Bill pay charges", required=False)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        if field == "kinds":  # one is switched off: the switches begin with that of purchases
            return f"id_{name_of(Kind.PURCHASE)}"
        return f"id_{field}" if field in cls.base_fields else ""

    def build(self) -> None:
        super().build()
        draft = self.draft
        self.fields["start_date"].required = True
        self.initial.update(approved_only="approved" if draft.approved_only else "all", bill_pay=draft.bill_pay)
        for kind in self.books.kinds():
            self.switch(name_of(kind), NAMES_OF_KINDS[kind.value][1].title(), kind in draft.kinds)
        self.order_fields([*(name_of(kind) for kind in self.books.kinds()), "approved_only", "bill_pay"])

    def kind_rows(self) -> list[KindRow]:
        return [
            KindRow(kind, self[name_of(kind)], self._says(kind), needs_words(self.books.connector, kind))
            for kind in self.books.kinds()
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        kinds = self._kinds(cleaned)
        if not kinds:
            self.add_error(name_of(self.books.kinds()[0]), "Choose at least one kind of transaction to sync.")
        for kind in kinds:
            if self.books.connector.needs.get(kind, kind) not in kinds:
                self.add_error(name_of(kind), needs_words(self.books.connector, kind))
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        return replace(
            self.draft,
            kinds=frozenset(self._kinds(cleaned)),
            approved_only=cleaned["approved_only"] == "approved",
            bill_pay=cleaned["bill_pay"],
            start_date=cleaned["start_date"],
            end_date=cleaned["end_date"],
        )

    def _kinds(self, cleaned: Mapping[str, Any]) -> list[Kind]:
        return [kind for kind in self.books.kinds() if cleaned.get(name_of(kind))]

    def _says(self, kind: Kind) -> str:
        label, becomes = self.books.connector.label, rooms.becomes(self.books.connector).get(kind, "")
        into = f"as {label} {becomes}" if becomes else f"into {label}"
        return f"Import {IMPORTS[kind]} {into}. {BESIDE[kind]}"


def name_of(kind: Kind) -> str:
    return f"kind_{kind.value}"


def needs_words(connector: type[Connector], kind: Kind) -> str:
    """The other kind that this one goes only together with, a sentence; "" where it goes alone."""
    other = connector.needs.get(kind)
    if other is None:
        return ""
    this, needed = (NAMES_OF_KINDS[each.value][1].title() for each in (kind, other))
    return f"{this} are synced only together with {needed}: switch both on, or {this} off."
