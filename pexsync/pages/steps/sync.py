"""The step that chooses what is synced: kinds of transactions and days."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django import forms

from connectors.records import Kind
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.form import StepForm
from pexsync.pages.words import NAMES_OF_KINDS
from syncjobs.window import one_year_before

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


class SyncOptions(StepForm):
    approved_only = forms.ChoiceField(
        label="Which purchases",
        choices=[("approved", "Approved purchases only"), ("all", "All settled purchases")],
        widget=forms.Select(attrs={"class": "select"}),
    )
    bill_pay = forms.BooleanField(label="Bill pay charges", required=False)
    start_date = forms.DateField(
        label="Start Date",
        widget=forms.DateInput(attrs={"type": "date", "class": "input"}, format="%Y-%m-%d"),
        error_messages={
            "required": "Enter the Start Date: the first day whose transactions are synced.",
            "invalid": "Enter the Start Date as year, month and day.",
        },
    )
    end_date = forms.DateField(
        label="End Date",
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "input"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Enter the End Date as year, month and day, or leave it empty."},
    )

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        if field == "kinds":  # one is switched off: the switches begin with that of purchases
            return f"id_{name_of(Kind.PURCHASE)}"
        return f"id_{field}" if field in cls.base_fields else ""

    def build(self) -> None:
        draft = self.draft
        self.limit = one_year_before(self.books.today)
        self.initial = {
            "approved_only": "approved" if draft.approved_only else "all",
            "bill_pay": draft.bill_pay,
            "start_date": draft.start_date,
            "end_date": draft.end_date,
        }
        for kind in self.books.kinds():
            self.switch(name_of(kind), NAMES_OF_KINDS[kind.value][1].title(), kind in draft.kinds)
        self.order_fields([name_of(kind) for kind in self.books.kinds()])
        for name in ("start_date", "end_date"):
            self.fields[name].widget.attrs |= {"min": self.limit.isoformat(), "max": self.books.today.isoformat()}

    def kind_rows(self) -> list[KindRow]:
        return [KindRow(kind, self[name_of(kind)], self._says(kind), self._needs(kind)) for kind in self.books.kinds()]

    def clean_start_date(self) -> date:
        start: date = self.cleaned_data["start_date"]
        if start < self.limit and start != self.draft.start_date:  # a saved one that aged is clamped, not refused
            raise forms.ValidationError(f"The Start Date must not be before {_said(self.limit)}, one year ago.")
        if start > self.books.today:
            raise forms.ValidationError("The Start Date must not lie in the future.")
        return start

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        kinds = self._kinds(cleaned)
        if not kinds:
            self.add_error(name_of(self.books.kinds()[0]), "Choose at least one kind of transaction to sync.")
        for kind in kinds:
            if self.books.connector.needs.get(kind, kind) not in kinds:
                self.add_error(name_of(kind), self._needs(kind))
        start, end = cleaned.get("start_date"), cleaned.get("end_date")
        if start and end and end < start:
            self.add_error("end_date", "The End Date must not be before the Start Date.")
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

    def _needs(self, kind: Kind) -> str:
        other = self.books.connector.needs.get(kind)
        if other is None:
            return ""
        this, needed = (NAMES_OF_KINDS[each.value][1].title() for each in (kind, other))
        return f"{this} are synced only together with {needed}: switch both on, or {this} off."


def name_of(kind: Kind) -> str:
    return f"kind_{kind.value}"


def _said(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"
