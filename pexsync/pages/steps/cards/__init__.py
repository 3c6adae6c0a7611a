"""A page of cards: the settings of a connector that asks for all of them at once."""

from pexsync.pages.steps.cards.page import CardsForm

__all__ = ["CardsForm"]
