"""The step that chooses whom purchases are booked against."""

from dataclasses import replace
from typing import Any

from django import forms

from connectors.records import PARTY
from connectors.settings import ONE_PARTY, PER_MERCHANT, Settings
from pexsync.pages.steps.form import StepForm


class PurchaseContactOptions(StepForm):
    reads = (PARTY,)

    party_mode = forms.ChoiceField(
        label="Contact",
        choices=[(ONE_PARTY, "One contact for all purchases"), (PER_MERCHANT, "One contact for each merchant")],
        widget=forms.RadioSelect,
    )
    clean_names = forms.BooleanField(label="Use standardized merchant names", required=False)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        if field != PARTY:
            return ""
        return "id_party" if draft.party_mode == ONE_PARTY else "party_mode_merchant"

    def build(self) -> None:
        draft = self.draft
        self.initial = {"party_mode": draft.party_mode, "clean_names": draft.clean_names}
        self.choose(PARTY, "Contact", self.books.choices(PARTY, draft.party, "Choose a contact"), draft.party)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("party_mode") == ONE_PARTY:
            self.check(PARTY, PARTY, "Choose the contact that all purchases are booked against.")
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        return replace(
            self.draft,
            party_mode=cleaned["party_mode"],
            party=cleaned[PARTY],
            clean_names=cleaned["clean_names"],
        )
