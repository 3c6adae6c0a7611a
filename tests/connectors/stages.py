"""Where the contract is played: how each system's company is built, hurt and handled by people in the sandbox.

A new connector joins the contract tests by a stage of its own here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from connectors.models import Credential
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from sandbox.dynamics365 import journals as journal_rules
from sandbox.dynamics365 import lines as line_rules
from sandbox.dynamics365.records import JournalLine
from tests import make


@dataclass(frozen=True)
class Standing:
    """One live record on the PEX account, read without the connector. `amount` > 0 credits it."""

    name: str  # what carries the key
    amount: Decimal
    files: int


@dataclass(frozen=True)
class Stage:
    """One system: its company, the call that posts there, and what people do to its books.

    `posting`: how a fault of the sandbox names the posting call and no other.
    """

    build: Callable[..., make.World]
    posting: Mapping[str, str]
    end_sign_in: Callable[[make.World], None]
    sign_in_again: Callable[[make.World], None]
    live: Callable[[make.World], list[Standing]]
    void: Callable[[make.World, str], None]
    copy: Callable[[make.World, str], None]
    by_hand: Callable[[make.World, date, Decimal], None]
    hide: Callable[[make.World, str], None]  # the key, in one of the places it stands in
    slow_down: Mapping[str, str]  # headers of a 429 that names 41 seconds

    def made(self, world: make.World) -> int:
        """How many records of any sort were ever made there."""
        return int(world.sandbox.worlds[world.connection.system].last_id)


# --- Xero -------------------------------------------------------------------------------------------------------------


def _xero_live(world: make.World) -> list[Standing]:
    account = world.books.account(Settings.parse(world.connection.settings).pex_account)
    return [
        Standing(one.reference, one.total if one.type == "SPEND" else -one.total, len(one.attachments))
        for one in world.books.live()
        if one.bank_account is account
    ]


def _xero_record(world: make.World, key: str) -> Any:
    [record] = [one for one in world.books.live() if key in (one.reference, one.url.rpartition("-")[2])]
    return record


def _xero_copy(world: make.World, key: str) -> None:
    record = _xero_record(world, key)
    world.books.post_by_hand(
        key, record.total, type=record.type, date=record.date, bank_account=record.bank_account, account="429"
    )


def _xero_by_hand(world: make.World, day: date, amount: Decimal) -> None:
    bank = world.books.account(Settings.parse(world.connection.settings).pex_account)
    world.books.post_by_hand("by hand", amount, date=day, bank_account=bank, account="429")


def _xero_sign_in_again(world: make.World) -> None:
    xero = world.sandbox.worlds["xero"]
    tokens = xero.grant(xero.add_user("ann.again", "again@example.com", [world.books]), [world.books])
    _use(world, make.xero_secret(tokens), tokens["expires_in"])


# --- Dynamics 365 -----------------------------------------------------------------------------------------------------

PEX_NUMBER = "10950"  # of the PEX account in `make.dynamics`


def _entered(world: make.World, key: str) -> list[JournalLine]:
    return [line for line in world.books.lines() if key in (line.document_number, line.description.split()[-1])]


def _dynamics_live(world: make.World) -> list[Standing]:
    """By what ends the description: lines in journals and posted ones alike."""
    books = world.books
    sums: dict[str, Decimal] = {}
    files: dict[str, int] = {}
    for document in books.documents():
        for line in document.lines:
            if line.account == PEX_NUMBER:
                key = line.description.split()[-1]
                sums[key] = sums.get(key, Decimal()) - line.amount
                files[key] = files.get(key, 0) + len(books.files_of(line.id))
        for entry in document.entries:
            if entry.account == PEX_NUMBER:
                key = entry.description.split()[-1]
                sums[key] = sums.get(key, Decimal()) - entry.debit + entry.credit
                held = [one for one in books.posted_documents.values() if one == (document.number, document.day)]
                files[key] = files.get(key, 0) + len(held)
    return [Standing(key, amount, files[key]) for key, amount in sums.items() if amount]


def _dynamics_void(world: make.World, key: str) -> None:
    for line in _entered(world, key):
        line_rules.delete(world.books, line)


def _dynamics_copy(world: make.World, key: str) -> None:
    """Copied by hand with its numbers, as the lines of a document are pasted below it."""
    journal = world.books.journal()
    for line in _entered(world, key):
        journal_rules.add_manual_line(
            world.books,
            journal,
            line.account,
            line.amount,
            posting_date=line.posting_date,
            document_number=line.document_number,
            external_number=line.external_number,
            description=line.description,
        )


def _dynamics_by_hand(world: make.World, day: date, amount: Decimal) -> None:
    journal = world.books.journal()
    for account, debit in (("429", amount), (PEX_NUMBER, -amount)):
        journal_rules.add_manual_line(
            world.books, journal, account, debit, posting_date=day, document_number="HAND1", description="By hand"
        )


def _dynamics_hide(world: make.World, key: str) -> None:
    journal_rules.renumber(world.books, world.books.journal())


def _dynamics_sign_in_again(world: make.World) -> None:
    entra = world.sandbox.worlds["dynamics365"]
    tokens = entra.sign_in(_dynamics_user(world))
    _use(world, make.dynamics_secret(tokens), tokens["expires_in"])


def _dynamics_user(world: make.World) -> Any:
    users = world.sandbox.worlds["dynamics365"].users.values()
    return next(user for user in users if user.name == world.user.username)


def _use(world: make.World, secret: dict[str, Any], seconds: int) -> None:
    """The connection as CONNECT leaves it."""
    with everywhere():
        made = Credential.store(
            world.business, world.connection.system, world.user, secret, clock.now() + timedelta(seconds=seconds)
        )
        world.connection.refresh_from_db()
        world.connection.credential, world.connection.state = made, world.connection.State.READY
        world.connection.save()


STAGES = {
    "xero": Stage(
        build=make.world,
        posting={"system": "xero-api", "method": "PUT", "path": "/BankTransactions$"},
        end_sign_in=lambda world: world.sandbox.worlds["xero"].disconnect(world.books),
        sign_in_again=_xero_sign_in_again,
        live=_xero_live,
        void=lambda world, key: world.books.void(_xero_record(world, key).id),
        copy=_xero_copy,
        by_hand=_xero_by_hand,
        hide=lambda world, key: world.books.edit(_xero_record(world, key).id, reference="July, with Dana"),
        slow_down={"Retry-After": "41", "X-Rate-Limit-Problem": "minute"},
    ),
    "dynamics365": Stage(
        build=make.dynamics,
        posting={"system": "bc-api", "method": "POST", "path": r"/\$batch$", "contains": '"accountNumber"'},
        end_sign_in=lambda world: world.sandbox.worlds["dynamics365"].revoke(_dynamics_user(world)),
        sign_in_again=_dynamics_sign_in_again,
        live=_dynamics_live,
        void=_dynamics_void,
        copy=_dynamics_copy,
        by_hand=_dynamics_by_hand,
        hide=_dynamics_hide,
        slow_down={"Retry-After": "41"},
    ),
}
