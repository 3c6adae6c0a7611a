"""Help: why a transaction is not in the books yet, and what to do about it."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from connectors import registry
from pexsync.accounts.models import BusinessRequest


@dataclass(frozen=True, slots=True)
class Reason:
    """One row: what you see, why, and what to do."""

    seen: str
    why: str
    do: str


REASONS = (
    Reason("It is dated today.", "It came after the last sync.", "Press SYNC, or wait for the next one."),
    Reason(
        "It has a Pending label in PEX.",
        "It is not settled. The final amount may still change.",
        "Wait. Most purchases settle within five business days.",
    ),
    Reason(
        "It lies before the Start Date or after the End Date.",
        "The dates in Setup leave it out.",
        "Move the date in Setup, or sync other days on Manage.",
    ),
    Reason(
        "It is older than two months.",
        "Without a Start Date a sync reaches two months back.",
        "Sync those days on Manage. Nothing older than a year is ever synced.",
    ),
    Reason("It is older than one year.", "Nothing that old is synced.", "Enter it in the books by hand."),
    Reason(
        "It is not Approved.",
        "Setup sends approved purchases only.",
        "Approve it in PEX under Review. A rejected one waits until it is approved.",
    ),
    Reason(
        "Needs you: no tag.",
        "Its account, or a field whose tag is required, comes from a PEX tag, and nothing is tagged.",
        "Tag it in PEX, or set a default in Setup.",
    ),
    Reason(
        "Needs you: a tag value the books do not know.",
        "The option was misspelt, renamed or archived in the books.",
        "Choose another value in PEX, or restore it in the books.",
    ),
    Reason(
        "Needs you: a tag that is gone.",
        "Setup maps a field to a PEX tag that was deleted or switched off.",
        "Choose another tag in Setup.",
    ),
    Reason(
        "People tag it, but the value does not arrive.",
        "The field is mapped to another tag than the one people fill.",
        "Choose the right tag in Setup.",
    ),
    Reason(
        "A tag is not offered in Setup.",
        "Only dropdown tags that are switched on can name accounts and fields.",
        "Make it a dropdown tag in PEX under Tag Manager, then sync once.",
    ),
    Reason(
        "It has a note that it was synced.",
        "It was synced before, perhaps by the connector of PEX itself.",
        "Look for it in the books. It is never posted twice.",
    ),
    Reason(
        "Not due: a closed period.",
        "Its day lies before the lock date of your books.",
        "Open the period there, or leave it out. A date is never moved.",
    ),
    Reason(
        "It is a fee, transfer, bill payment or rebate.",
        "That kind is switched off, or this connector does not send it.",
        "Switch it on in Setup where it is offered; otherwise enter it by hand.",
    ),
    Reason(
        "It paid a bill through PEX bill pay.",
        "Such charges wait, because the bill is usually in the books already.",
        "Switch them on in Setup if yours are not.",
    ),
    Reason(
        "Checking until a time.",
        "It was sent, but no answer came. We look in the books before anything is sent again.",
        "Nothing. It is settled by itself.",
    ),
    Reason(
        "Needs you: possibly already booked.",
        "The books hold a record of the same day and amount that is not ours.",
        "Open it there and decide: leave it out, or send it.",
    ),
    Reason(
        "Session Failure.",
        "The sign-in to your books has ended.",
        "Press RE-CONNECT. Nothing is lost, settings are kept.",
    ),
    Reason("Connected: Not Ready.", "You signed in, but no company is chosen yet.", "Open Connect and choose it."),
    Reason(
        "The receipt is missing in the books.",
        "It was added after the sync, or PEX was still scanning it.",
        "It is looked for again on the days after; the row says where it stands.",
    ),
)


@require_safe
def page(request: BusinessRequest) -> HttpResponse:
    systems = {connection.system for connection in request.business.connections.all()}
    context = {"reasons": REASONS, "connectors": [kind for kind in registry.available() if kind.key in systems]}
    return render(request, "pages/help.html", context)
