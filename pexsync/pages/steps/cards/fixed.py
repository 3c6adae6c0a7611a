"""The cards of the kinds that carry no tags: every value is one of the books, always the same."""

from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.http import QueryDict

from connectors.records import ACCOUNT, Field, Kind
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.books import Books
from pexsync.pages.steps.cards.card import SHOWN, KindCard
from pexsync.pages.steps.sync import BESIDE
from pexsync.pages.words import NAMES_OF_KINDS

HINTS = {
    Kind.FEE: "The same account can be used for both purchases and fees.",
    Kind.TRANSFER: "The account is your bank account that pays into PEX.",
    Kind.BILL_PAYMENT: "The account is your bank account that pays your PEX card balance.",
    Kind.REBATE: "The account is one of your income.",
}
OWN_BANK = (Kind.TRANSFER, Kind.BILL_PAYMENT)  # their other side is a bank account of the business


@dataclass(frozen=True, slots=True)
class FixedRow:
    label: str
    value: forms.BoundField
    required: bool


class FixedCard(KindCard):
    template = "pages/cards/fixed.html"

    def __init__(
        self,
        books: Books,
        draft: Settings,
        typed: QueryDict | None = None,
        *,
        kind: Kind,
        held: QueryDict | None = None,
    ) -> None:
        self.kind = kind
        super().__init__(books, draft, typed, prefix=kind.value, held=held)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        kind, _, key = field.partition(":")
        if kind not in {each.value for each in Kind if each is not Kind.PURCHASE} or not key:
            return ""
        return f"id_{kind}-{key}" if Kind(kind) in draft.kinds else f"id_{kind}-on"

    def build(self) -> None:
        super().build()
        self.take(SHOWN, ["on"])
        for wanted in self.asked():
            chosen = self.draft.by_kind.get(self.kind, {}).get(wanted.key, "")
            empty = "Choose a value" if wanted.required else "Leave empty"
            choices = self.books.choices(wanted.list_name, chosen, empty)
            self.choose(wanted.key, f"{wanted.label} of {self.name}", choices, chosen)
            self.take(wanted.key, [wanted.key])

    @property
    def name(self) -> str:
        """What the kind is called, in the plural."""
        return NAMES_OF_KINDS[self.kind.value][1]

    @property
    def one(self) -> str:
        return NAMES_OF_KINDS[self.kind.value][0]

    @property
    def beside(self) -> str:
        return BESIDE[self.kind]

    @property
    def hint(self) -> str:
        return HINTS[self.kind]

    def asked(self) -> list[Field]:
        asked = [wanted for wanted in self.books.fields if self.kind in wanted.kinds and not wanted.text]
        return sorted(asked, key=lambda wanted: wanted.key != ACCOUNT)

    def rows(self) -> list[FixedRow]:
        return [FixedRow(wanted.label, self[wanted.key], wanted.required) for wanted in self.asked()]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for wanted in self.asked() if self.on else ():
            empty = f"Choose the {wanted.label} of {self.name}." if wanted.required else ""
            self.check(wanted.key, wanted.list_name, empty)
        if self.on and self.kind in OWN_BANK:
            self._check_bank()
        return cleaned

    def into(self, settings: Settings) -> Settings:
        """While the books do not answer, what was chosen stays; a field they no longer have goes."""
        chosen = dict(settings.by_kind.get(self.kind, {})) if self.books.trouble else {}
        for wanted in self.asked():
            chosen.pop(wanted.key, None)
            if value := self.cleaned_data[wanted.key]:
                chosen[wanted.key] = value
        by_kind = {kind: of for kind, of in settings.by_kind.items() if kind is not self.kind}
        return replace(super().into(settings), by_kind=by_kind | ({self.kind: chosen} if chosen else {}))

    def _check_bank(self) -> None:
        account = self.books.option(self.books.list_of(self.kind, ACCOUNT), self.cleaned_data.get(ACCOUNT, ""))
        trouble = rooms.unfit_source(self.books.connector, account) if account else ""
        if trouble and not self.errors.get(ACCOUNT):
            self.add_error(ACCOUNT, trouble)
