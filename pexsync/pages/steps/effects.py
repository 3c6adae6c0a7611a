"""What each kind of transaction does to the accounts it is booked on, in the words of the setup. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.records import Kind

DEBITS, CREDITS = "debit", "credit"
OTHER_SIDE = {DEBITS: CREDITS, CREDITS: DEBITS}

# What each kind does to the PEX account. Money that comes in debits it, on prepaid and charge accounts alike.
EFFECTS = {
    Kind.PURCHASE: ("Purchases in PEX", CREDITS),
    Kind.FEE: ("Fees in PEX", CREDITS),
    Kind.TRANSFER: ("Transfers to PEX", DEBITS),
    Kind.BILL_PAYMENT: ("Bill payments to PEX", DEBITS),
    Kind.REBATE: ("Rebates to PEX", DEBITS),
}
# What each kind does to the balance of the PEX account, in words: to money that is yours, and to what you owe.
HELD = {CREDITS: "deducted from", DEBITS: "added to"}
OWED = {CREDITS: "charged to", DEBITS: "taken off"}
# What of each kind goes the other way: in a sentence about several kinds, and by itself.
TURNED = {
    Kind.PURCHASE: ("refunds", "Refunds in PEX"),
    Kind.FEE: ("reversals", "Fee reversals"),
    Kind.TRANSFER: ("withdrawals", "Withdrawals"),
    Kind.BILL_PAYMENT: ("reversals", "Bill payment reversals"),
    Kind.REBATE: ("reversals", "Rebate reversals"),
}


@dataclass(frozen=True, slots=True)
class TAccount:
    name: str
    debit: list[str]
    credit: list[str]


@dataclass(frozen=True, slots=True)
class Effects:
    """What kinds do to one account."""

    sides: Mapping[Kind, str]  # debit or credit

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What, and debit or credit."""
        return [(EFFECTS[kind][0], side) for kind, side in self.sides.items()]

    @property
    def turned(self) -> str:
        """What goes the other way: "Refunds, reversals and withdrawals"."""
        words = {TURNED[kind][0] for kind in self.sides}
        return listed(sorted(words)).capitalize()

    def sketch(self, name: str) -> TAccount:
        drawn: dict[str, list[str]] = {DEBITS: [], CREDITS: []}
        for what, side in self.lines:
            drawn[side].append(what)
        for kind, side in self.sides.items():
            drawn[OTHER_SIDE[side]].append(TURNED[kind][1])
        return TAccount(name, drawn[DEBITS], drawn[CREDITS])


def on_pex_account(kinds: Iterable[Kind]) -> Effects:
    return Effects({kind: EFFECTS[kind][1] for kind in kinds})


def balance(kinds: Iterable[Kind], charge: bool) -> list[tuple[str, str, str]]:
    """What each kind does to the PEX account: what, in words ("deducted from"), and debit or credit."""
    words = OWED if charge else HELD
    return [(what, words[side], side) for what, side in (EFFECTS[kind] for kind in kinds)]


def on_other_account(*kinds: Kind) -> Effects:
    """The account on the other side of these kinds."""
    return Effects({kind: OTHER_SIDE[EFFECTS[kind][1]] for kind in kinds})


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
