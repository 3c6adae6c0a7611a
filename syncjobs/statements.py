"""Statement payments of charge accounts: which are booked, which wait, which a person decides. Pure.

A payment of the statement debits the PEX account, its reversal credits it. A reversal makes sense only against a
payment that is in the books: otherwise both stay out, since together they moved nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from connectors.pex.mapping import Invoice
from connectors.records import Transaction

PAID = frozenset({"PEXTransfer", "SameDayACH"})  # from the bank; the bank may reject it days later
REVERSAL, SALES_CREDIT, WRITE_OFF = "Reversal", "SalesCredit", "WriteOff"
REVERSED_WITHIN = timedelta(days=5)  # of a rejection; after that somebody must look
STILL_READ = timedelta(days=30)  # after its due date a statement's payments may still change

REJECTED = "The bank rejected this payment: there is nothing to book unless it is paid after all."
CANCELLED_OUT = "This payment was reversed before it was booked: neither of the two is booked."
NO_PAYMENT = "It reverses a payment that is not in the books. It waits until that one is, or stays out with it."
DECIDE = {
    SALES_CREDIT: "A sales credit on the statement: no rule says which account it belongs to. Enter it by hand.",
    WRITE_OFF: "A write-off on the statement: no rule says which account it belongs to. Enter it by hand.",
}
NOT_REVERSED = (
    "The bank rejected this payment after it was booked, and no reversal came within five days. "
    "Ask PEX support about it, then correct your books."
)


def to_read(invoices: Iterable[Invoice], first: date, today: date) -> list[int]:
    """The statements whose payments are read: those of the days asked for, and whatever may still change."""
    since = min(first, today - STILL_READ)
    return [one.id for one in invoices if not one.draft and (one.open or one.due is None or one.due >= since)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a payment is not simply booked. `held`: a person decides."""

    says: str
    held: bool = False


def verdicts(payments: Sequence[Transaction], in_books: Collection[int]) -> Mapping[int, Verdict]:
    """Return, by payment id, what is not simply due. `in_books`: ids of the payments posted or on their way."""
    found: dict[int, Verdict] = {}
    for one in payments:
        if one.category in DECIDE:
            found[one.pex_id] = Verdict(DECIDE[one.category], held=True)
        elif one.category in PAID and one.rejected:
            found[one.pex_id] = Verdict(REJECTED)
    for reversal, payment in reversals(payments, in_books).items():
        if payment is None:
            found[reversal] = Verdict(NO_PAYMENT)
        elif payment not in in_books:
            found[reversal] = Verdict(NO_PAYMENT)
            found[payment] = Verdict(CANCELLED_OUT)
    return found


def reversals(payments: Sequence[Transaction], in_books: Collection[int]) -> Mapping[int, int | None]:
    """Pair each reversal with one payment of the same statement and amount made before it; None where there is none.

    One payment explains one reversal. Of several the rejected one comes first, then one that is in the books.
    """
    free = [one for one in payments if one.category in PAID]
    pairs: dict[int, int | None] = {}
    for reversal in sorted((one for one in payments if one.category == REVERSAL), key=_when):
        fitting = [one for one in free if _reverses(reversal, one)]
        best = min(fitting, key=lambda one: (not one.rejected, one.pex_id not in in_books, _when(one)), default=None)
        pairs[reversal.pex_id] = best.pex_id if best else None
        if best:
            free.remove(best)
    return pairs


def _reverses(reversal: Transaction, payment: Transaction) -> bool:
    return (
        payment.invoice_id == reversal.invoice_id
        and payment.amount == -reversal.amount
        and payment.happened_at <= reversal.happened_at
    )


def _when(one: Transaction) -> tuple[datetime, int]:
    return one.happened_at, one.pex_id


def not_reversed(
    payments: Sequence[Transaction], in_books: Collection[int], rejected_since: Mapping[int, datetime], now: datetime
) -> list[int]:
    """The payments in the books that the bank rejected later and that nothing has reversed within five days.

    `rejected_since`: when PEX first showed the rejection, by payment id.
    """
    reversed_ones = set(reversals(payments, in_books).values())
    return [
        one.pex_id
        for one in payments
        if one.rejected
        and one.pex_id in in_books
        and one.pex_id not in reversed_ones
        and now - rejected_since.get(one.pex_id, now) > REVERSED_WITHIN
    ]
