"""What the cards of one page of settings share: each is a step's form, under a prefix of its own."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from django import forms
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from connectors.connector import Connector
from connectors.records import ACCOUNT, Kind
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.books import Books
from pexsync.pages.steps.effects import Effects, on_other_account
from pexsync.pages.steps.form import StepForm

SHOWN = "shown"  # hidden in every card that is drawn: without it, what was sent is not about this card
WHAT = {
    Kind.PURCHASE: "cardholder purchases",
    Kind.FEE: "business & cardholder fees",
    Kind.TRANSFER: "business transfers",
    Kind.BILL_PAYMENT: "business bill payments",
    Kind.REBATE: "business rebates",
}


class Card(StepForm):
    """One card. `held` is what was left in it before: shown again, and not judged before it is sent.

    What was not on the page that was sent, a card or a row of its table, stays as the draft has it.
    """

    kind: Kind | None = None
    template: ClassVar[str] = ""

    def __init__(
        self,
        books: Books,
        draft: Settings,
        typed: QueryDict | None = None,
        *,
        prefix: str,
        held: QueryDict | None = None,
    ) -> None:
        self.held = held
        super().__init__(books, draft, typed, prefix=prefix)

    def into(self, settings: Settings) -> Settings:
        """Return these settings with the answers of this card. Only of a valid form, or a completed one."""
        return settings

    def settings(self) -> Settings:
        return self.into(self.draft)

    def sent(self, name: str) -> str:
        sent = self.held if self.typed is None else self.typed
        return str(sent.get(self.add_prefix(name), "")) if sent is not None else ""

    def take(self, marker: str, names: Iterable[str]) -> None:
        """Let these fields be as they were left where `marker` says that they were on the page, else as before."""
        if self.typed is not None and self.add_prefix(marker) not in self.typed:
            self.data = self.typed = self._as_before(self.typed, names)
        elif self.held is not None and self.add_prefix(marker) in self.held:
            for name in names:
                value = self.widget(name).value_from_datadict(self.held, MultiValueDict(), self.add_prefix(name))
                self.initial[name] = value

    def _as_before(self, typed: QueryDict, names: Iterable[str]) -> QueryDict:
        before, data = self._as_typed(), typed.copy()
        for name in map(self.add_prefix, names):
            data.pop(name, None)
            if name in before:
                data[name] = str(before[name])
        return data

    def widget(self, name: str) -> forms.Widget:
        widget: forms.Widget = self.fields[name].widget
        return widget

    def typed_in(self) -> QueryDict:
        """The card as somebody would send it who changes nothing."""
        data = self._as_typed()
        data[self.add_prefix(SHOWN)] = "on"
        return data


class KindCard(Card):
    """The card of one kind. While it is switched off nothing in it is judged, and what it holds is kept."""

    kind: Kind

    def build(self) -> None:
        self.switch("on", toggle(self.books.connector, self.kind), self.kind in self.draft.kinds)

    @property
    def account_label(self) -> str:
        """What the books call the account on the other side."""
        wanted = self.books.asked(self.kind, ACCOUNT)
        return wanted.label if wanted else "account"

    def effects(self) -> Effects:
        """What the kind does to that account."""
        return on_other_account(self.kind)

    @property
    def on(self) -> bool:
        return bool(self.cleaned_data.get("on"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("on"):
            return cleaned
        self.errors.clear()
        return {**{name: self.before(name) for name in self.fields}, **cleaned}

    def into(self, settings: Settings) -> Settings:
        others = settings.kinds - {self.kind}
        return replace(settings, kinds=others | {self.kind} if self.on else others)


def toggle(connector: type[Connector], kind: Kind) -> str:
    """What switching a kind on does, in the words of the original."""
    becomes = rooms.becomes(connector).get(kind, "transactions")
    return f"Create {becomes} in {rooms.short_name(connector)} for {WHAT[kind]}"
