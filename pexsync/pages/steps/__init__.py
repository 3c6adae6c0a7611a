"""The steps a setup is made of. Each is a form and its words; a connector names those it asks for, in its order.

One of them, the page of cards, asks for everything at once: a connector that names it names no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.connector import Connector
from connectors.records import Kind
from connectors.settings import Settings
from pexsync.pages import rooms
from pexsync.pages.steps.accounts import AccountOptions
from pexsync.pages.steps.books import Books
from pexsync.pages.steps.cards import CardsForm
from pexsync.pages.steps.contacts import PurchaseContactOptions
from pexsync.pages.steps.fixed import FeeOptions, FixedOptions, RebateOptions
from pexsync.pages.steps.form import StepForm
from pexsync.pages.steps.options import TagOptions
from pexsync.pages.steps.purchases import PurchaseOptions
from pexsync.pages.steps.sync import SyncOptions

__all__ = [
    "CONNECTION",
    "AccountOptions",
    "Books",
    "CardsForm",
    "FeeOptions",
    "FixedOptions",
    "PurchaseContactOptions",
    "PurchaseOptions",
    "RebateOptions",
    "Step",
    "StepForm",
    "SyncOptions",
    "TagOptions",
    "place_of",
    "steps_of",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Its words may name the system as {label}, its page as {page}, and what its kind {becomes} there."""

    key: str
    name: str
    title: str
    says: str
    form: type[StepForm]
    kind: Kind | None = None  # it is asked only while this kind is switched on
    template: str = ""

    def needed(self, draft: Settings) -> bool:
        return self.kind is None or self.kind in draft.kinds

    @property
    def page(self) -> str:
        return f"pages/setup_{self.template or self.key}.html"

    def words(self, text: str, connector: type[Connector]) -> str:
        becomes = rooms.becomes(connector).get(self.kind, "transactions") if self.kind else ""
        return text.format(label=connector.label, becomes=becomes, page=connector.setup_page)


CONNECTION = "connection"  # the step before them all: a page of its own

WIZARD = {
    step.key: step
    for step in (
        Step(
            "sync",
            "PEX Sync Options",
            "Configure what to sync from PEX",
            "Choose what kind of transactions to sync from PEX into {label}.",
            SyncOptions,
        ),
        Step(
            "options",
            "{label} Sync Options",
            "Configure what to sync from {label}",
            "Choose what fields to sync from {label} into PEX as tags.",
            TagOptions,
        ),
        Step(
            "accounts",
            "Account Options",
            "Configure which accounts to use",
            "Choose the accounts in {label} to use when importing transactions.",
            AccountOptions,
        ),
        Step(
            "purchases",
            "Purchase Options",
            "Configure how purchases populate your {label} {becomes}",
            "Choose what each purchase carries into {label}.",
            PurchaseOptions,
            Kind.PURCHASE,
        ),
        Step(
            "contacts",
            "Purchase Contact Options",
            "Configure contact sync",
            "Choose whom purchases are booked against in {label}.",
            PurchaseContactOptions,
            Kind.PURCHASE,
        ),
        Step(
            "fees",
            "Fee Options",
            "Configure how fees populate your {label} {becomes}",
            "Fees carry no tags: what you choose here holds for all of them.",
            FeeOptions,
            Kind.FEE,
            "fixed",
        ),
        Step(
            "rebates",
            "Rebate Options",
            "Configure how rebates populate your {label} {becomes}",
            "Rebates carry no tags: what you choose here holds for all of them.",
            RebateOptions,
            Kind.REBATE,
            "fixed",
        ),
    )
}
CARDS = Step(
    "cards",
    "{page}",
    "Configure what {label} gets from PEX",
    "Everything on one page. Nothing is used before you press SAVE.",
    CardsForm,
)
ALL = {**WIZARD, CARDS.key: CARDS}


def steps_of(connector: type[Connector]) -> Sequence[Step]:
    """The steps a connector asks for; all of the way step by step, where it names none."""
    return [ALL[key] for key in rooms.step_keys(connector) or WIZARD]


def place_of(connector: type[Connector], field: str, draft: Settings) -> tuple[Step, str] | None:
    """The step and the id of the control that ask for a field as causes name it: "account", "fee:account", "tax"."""
    own = field in rooms.names_of_own_questions(connector)
    # What no other step asks for is a field of purchases.
    for step in sorted(steps_of(connector), key=lambda each: each.form is PurchaseOptions):
        control = step.form.own_control(field) if own else step.form.control(field, draft)
        if control:
            return step, control
    return None
