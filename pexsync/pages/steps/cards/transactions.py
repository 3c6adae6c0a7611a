"""The card that says which days are synced, and to which company."""

from dataclasses import replace
from typing import Any

from connectors.records import Company
from connectors.settings import Settings
from pexsync.pages.steps.books import Choices
from pexsync.pages.steps.cards.card import SHOWN, Card
from pexsync.pages.steps.dates import Days
from pexsync.pages.words import a


class TransactionCard(Card, Days):
    """The company is not a setting of ours but the connection's: the form only says whether it is the one in use."""

    template = "pages/cards/transactions.html"

    def build(self) -> None:
        super().build()
        if self.asks_company:
            in_use = self.books.company.id if self.books.company else ""
            self.choose("company", self.books.connector.company_word, self._companies(), in_use)
        self.take(SHOWN, self.fields)

    @property
    def asks_company(self) -> bool:
        return self.books.connector.company_in_setup

    @property
    def closed_out(self) -> bool:
        """Whether the sign-in no longer opens the company in use."""
        in_use, offered = self.books.company, self.books.companies
        return bool(in_use and offered and in_use.id not in {each.id for each in offered})

    def chosen(self) -> Company | None:
        """The company that was chosen in the form, of those that are offered."""
        sent = self.sent("company")
        return next((each for each in self.books.companies if each.id == sent), None)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.asks_company and "company" in cleaned:
            trouble = self._wrong_company(cleaned["company"])
            if trouble:
                self.add_error("company", trouble)
        return cleaned

    def into(self, settings: Settings) -> Settings:
        cleaned = self.cleaned_data
        return replace(settings, start_date=cleaned["start_date"], end_date=cleaned["end_date"])

    def _companies(self) -> Choices:
        word, in_use = self.books.connector.company_word.lower(), self.books.company
        found: Choices = [] if in_use else [("", f"Choose {a(word)}")]
        if in_use and in_use.id not in {each.id for each in self.books.companies}:
            found.append((in_use.id, in_use.name))
        return found + [(each.id, _named(each)) for each in self.books.companies]

    def _wrong_company(self, chosen: str) -> str:
        word, in_use = self.books.connector.company_word.lower(), self.books.company
        if not chosen:
            return f"Choose the {word} that all transactions are booked in."
        if in_use is None:
            return f"Press USE THIS {word.upper()}: then its accounts are offered."
        if chosen != in_use.id:
            return (
                f"{in_use.name} is in use. Press USE THIS {word.upper()} to change it, or choose {in_use.name} again."
            )
        return ""


def _named(company: Company) -> str:
    currency = company.facts.get("currency", "")
    return f"{company.name} · {currency}" if currency else company.name
