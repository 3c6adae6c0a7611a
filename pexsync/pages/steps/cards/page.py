"""All settings of a connector on one page of cards, as one step of the setup: valid only as a whole."""

from dataclasses import replace
from functools import cached_property
from typing import Self

from django.http import QueryDict

from connectors.records import ACCOUNT, PARTY, Company, Kind
from connectors.settings import Settings
from pexsync.pages.steps.books import COMPANIES, Books
from pexsync.pages.steps.cards.card import Card, KindCard
from pexsync.pages.steps.cards.fixed import FixedCard
from pexsync.pages.steps.cards.own import OwnCard
from pexsync.pages.steps.cards.purchases import PurchaseCard
from pexsync.pages.steps.cards.transactions import TransactionCard
from pexsync.pages.steps.form import StepForm
from pexsync.pages.steps.own import PEX
from pexsync.pages.steps.sync import needs_words

DAYS, OWN = "settings", "books"  # prefixes of the two cards that are of no kind


class CardsForm(StepForm):
    """`held` is what was left here although not everything was right; it is shown, and judged once it is sent again."""

    reads = (COMPANIES, PEX, PARTY, "fields")

    def __init__(
        self, books: Books, draft: Settings, typed: QueryDict | None = None, *, held: QueryDict | None = None
    ) -> None:
        self.held = held
        super().__init__(books, draft, typed)

    @classmethod
    def reopened(cls, books: Books, draft: Settings, held: QueryDict | None) -> Self:
        return cls(books, draft, held=held)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        if field == "kinds":  # one is switched off: the switches begin with that of purchases
            return "id_purchase-on"
        if field in (*TransactionCard.base_fields, "company"):
            return f"id_{DAYS}-{field}"
        return FixedCard.control(field, draft) or PurchaseCard.control(field, draft)

    @classmethod
    def own_control(cls, name: str) -> str:
        return f"id_{OWN}-{name}"

    def build(self) -> None:
        """Before a company is chosen there is nothing to choose from: only the days and the company are asked."""
        typed, held = self.typed, self.held
        self.days = TransactionCard(self.books, self.draft, typed, prefix=DAYS, held=held)
        self.own: OwnCard | None = None
        self.kinds: list[KindCard] = []
        if self.days.asks_company and self.books.company is None:
            return
        self.own = OwnCard(self.books, self.draft, typed, prefix=OWN, held=held)
        for kind in self.books.kinds():
            if kind is Kind.PURCHASE:
                card: KindCard = PurchaseCard(self.books, self.draft, typed, prefix=kind.value, held=held)
            else:
                card = FixedCard(self.books, self.draft, typed, kind=kind, held=held)
            self.kinds.append(card)

    @property
    def cards(self) -> list[Card]:
        return [self.days, *([self.own] if self.own else []), *self.kinds]

    def company(self) -> Company | None:
        """The company that was chosen in the form."""
        return self.days.chosen()

    def kinds_shown(self) -> list[Kind]:
        return self.books.kinds()

    def is_valid(self) -> bool:
        return self.is_bound and self._all_right

    def complete(self) -> None:
        for card in self.cards:
            card.complete()

    def as_it_stands(self) -> Settings:
        return self.looked_at().as_it_stands() if self.held is not None else super().as_it_stands()

    def settings(self) -> Settings:
        """A kind that this business does not have, or no longer has, is switched off."""
        made = self.draft
        for card in self.cards:
            made = card.into(made)
        return replace(made, kinds=made.kinds.intersection(self.books.kinds()))

    def summary(self) -> list[tuple[str, str]]:
        return [error for card in self.cards for error in card.summary()] if self.is_bound else []

    @cached_property
    def _all_right(self) -> bool:
        right = [card.is_valid() for card in self.cards]
        if self.kinds:
            self._check_kinds()
            self._check_accounts()
        return all(right) and not any(card.errors for card in self.cards)

    def _check_kinds(self) -> None:
        on = {card.kind for card in self.kinds if card.on}
        if not on:
            self.kinds[0].add_error("on", "Choose at least one kind of transaction to sync.")
        for card in self.kinds:
            if card.on and self.books.connector.needs.get(card.kind, card.kind) not in on:
                card.add_error("on", needs_words(self.books.connector, card.kind))

    def _check_accounts(self) -> None:
        """An entry has two sides: neither account may be the other."""
        assert self.own
        pex = self.own.cleaned_data.get(PEX, "").casefold()
        for card in self.kinds if pex else ():
            name, chosen = _other_side(card)
            if card.on and chosen.casefold() == pex and not card.errors.get(name):
                card.add_error(name, "This account stands for PEX itself. Choose another.")

    def _as_typed(self) -> QueryDict:
        data = QueryDict(mutable=True)
        for card in self.cards:
            for name, value in card.typed_in().items():
                data[name] = str(value)
        return data


def _other_side(card: KindCard) -> tuple[str, str]:
    """The control of the account on the other side, and what was chosen there for all entries alike."""
    if isinstance(card, PurchaseCard):
        return f"{ACCOUNT}-value", card.always(ACCOUNT)
    return ACCOUNT, str(card.cleaned_data.get(ACCOUNT, ""))
