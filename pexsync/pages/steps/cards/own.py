"""The account that stands for PEX and what only one system asks. The page draws them among the other cards."""

from dataclasses import replace
from typing import Any

from django import forms

from connectors.records import Option
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.cards.card import SHOWN, Card
from pexsync.pages.steps.effects import balance, on_pex_account
from pexsync.pages.steps.own import PEX, OwnQuestions


class OwnCard(Card, OwnQuestions):
    def build(self) -> None:
        chosen = self.draft.pex_account
        choices = self.books.choices(PEX, chosen, "Choose an account", self._fits)
        self.choose(PEX, "PEX Account", choices, chosen)
        self.own = self.own_form(None)
        self.take(SHOWN, [*self.initial])
        self.ask_own()

    @property
    def no_account(self) -> bool:
        """Whether the books hold no account that could stand for PEX."""
        return not self.books.trouble and len(self.fields[PEX].choices) == 1  # type: ignore[attr-defined]  # a select

    @property
    def doubt(self) -> str:
        """What to look at before the chosen account stands for PEX, a sentence."""
        account = self.books.option(PEX, self[PEX].value() or "")
        return rooms.doubtful(self.books.connector, account, self.books.charge) if account else ""

    def effects(self) -> list[tuple[str, str, str]]:
        """What each kind does to the account: what, in words, and debit or credit."""
        return balance(self.books.kinds(), self.books.charge)

    def turned(self) -> str:
        return on_pex_account(self.books.kinds()).turned

    def of_everything(self) -> list[forms.BoundField]:
        """Its questions that are about every kind."""
        return [each for each in self.extras() if each.name not in rooms.of_purchases(self.books.connector)]

    def of_purchases(self) -> list[forms.BoundField]:
        connector = self.books.connector
        asked = set(rooms.of_purchases(connector)) - set(rooms.of_each_merchant(connector))
        return [each for each in self.extras() if each.name in asked]

    def of_each_merchant(self) -> list[forms.BoundField]:
        return [each for each in self.extras() if each.name in rooms.of_each_merchant(self.books.connector)]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        self.check(PEX, PEX, f"Choose the account in {self.books.connector.label} that stands for PEX.")
        self.check_own()
        return cleaned

    def into(self, settings: Settings) -> Settings:
        extra = {**settings.extra, **self.own_answers()}
        return replace(settings, pex_account=self.cleaned_data[PEX], extra=extra)

    def widget(self, name: str) -> forms.Widget:
        asks = self if name in self.fields or self.own is None else self.own
        widget: forms.Widget = asks.fields[name].widget
        return widget

    def _fits(self, account: Option) -> bool:
        return not rooms.unfit(self.books.connector, account, self.books.charge, self.books.options.get(PEX, ()))
