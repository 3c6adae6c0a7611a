"""Help: why a transaction is not in the books yet, what to do about it, and what people ask about each connector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from connectors import registry
from connectors.connector import Connector
from pexsync.accounts.models import BusinessRequest
from pexsync.pages import rooms


@dataclass(frozen=True, slots=True)
class Reason:
    """One row: what you see, why, and what to do. `{sync}`, `{setup}`, `{manage}`: what the connectors call them."""

    seen: str
    why: str
    do: str


@dataclass(frozen=True, slots=True)
class About:
    """What people ask about one connector, as question and answer, and where they write to."""

    connector: type[Connector]
    questions: Sequence[tuple[str, str]]
    address: str  # "" where whoever runs this installation names none


REASONS = (
    Reason("It is dated today.", "It came after the last sync.", "Press {sync}, or wait for the next one."),
    Reason(
        "It has a Pending label in PEX.",
        "It is not settled. The final amount may still change.",
        "Wait. Most purchases settle within five business days.",
    ),
    Reason(
        "It lies before the Start Date or after the End Date.",
        "The dates in {setup} leave it out.",
        "Move the date in {setup}, or sync other days on {manage}.",
    ),
    Reason(
        "It is older than two months.",
        "Without a Start Date a sync reaches two months back.",
        "Sync those days on {manage}. Nothing older than a year is ever synced.",
    ),
    Reason("It is older than one year.", "Nothing that old is synced.", "Enter it in the books by hand."),
    Reason(
        "It is not Approved.",
        "{setup} sends approved purchases only.",
        "Approve it in PEX under Review. A rejected one waits until it is approved.",
    ),
    Reason(
        "Needs you: no tag.",
        "Its account, or a field whose tag is required, comes from a PEX tag, and nothing is tagged.",
        "Tag it in PEX, or set a default in {setup}.",
    ),
    Reason(
        "Needs you: a tag value the books do not know.",
        "The option was misspelt, renamed or archived in the books.",
        "Choose another value in PEX, or restore it in the books.",
    ),
    Reason(
        "Needs you: a tag that is gone.",
        "{setup} maps a field to a PEX tag that was deleted or switched off.",
        "Choose another tag in {setup}.",
    ),
    Reason(
        "People tag it, but the value does not arrive.",
        "The field is mapped to another tag than the one people fill.",
        "Choose the right tag in {setup}.",
    ),
    Reason(
        "A tag is not offered in {setup}.",
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
        "Switch it on in {setup} where it is offered; otherwise enter it by hand.",
    ),
    Reason(
        "It paid a bill through PEX bill pay.",
        "Such charges wait, because the bill is usually in the books already.",
        "Switch them on in {setup} if yours are not.",
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
    Reason(
        "Connected: Not Ready.",
        "You signed in, and the company is not settled yet.",
        "Open Connect. Choose the company, or wait there: it says what is missing, and turns to Ready by itself.",
    ),
    Reason(
        "The receipt is missing in the books.",
        "It was added after the sync, or PEX was still scanning it.",
        "It is looked for again on the days after; the row says where it stands.",
    ),
)


@require_safe
def page(request: BusinessRequest) -> HttpResponse:
    systems = {connection.system for connection in request.business.connections.all()}
    connectors = [kind for kind in registry.available() if kind.key in systems]
    called = _called(connectors or registry.available())
    context = {
        "reasons": [_said(reason, called) for reason in REASONS],
        "sync_word": called["sync"],
        "about": [About(kind, rooms.questions(kind), support_address(kind)) for kind in connectors],
    }
    return render(request, "pages/help.html", context)


def support_address(connector: type[Connector]) -> str:
    """Where people write to about one connector: the installation's address, with the system in it."""
    person, at, host = settings.SUPPORT_ADDRESS.partition("@")
    return f"{person}+{connector.key}@{host}" if at else ""


def _called(connectors: Sequence[type[Connector]]) -> Mapping[str, str]:
    """The words on the buttons and pages of these connectors; of several, each: "SYNC or EXECUTE"."""
    words = {
        "sync": [kind.sync_word for kind in connectors],
        "setup": [kind.setup_page for kind in connectors],
        "manage": [kind.sync_page for kind in connectors],
    }
    return {name: " or ".join(dict.fromkeys(found)) for name, found in words.items()}


def _said(reason: Reason, called: Mapping[str, str]) -> Reason:
    return Reason(*(text.format(**called) for text in (reason.seen, reason.why, reason.do)))
