from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.connector import Deadline
from connectors.records import Entry, Fate, Kind, Line, Party, Posted, Refused
from syncjobs.models import Export
from syncjobs.transitions import State
from tests.syncjobs.following import booked, settle

pytestmark = pytest.mark.database

WRITE = {"system": "xero-api", "method": "PUT", "path": "/BankTransfers$"}


@pytest.fixture
def checking(acme) -> Any:
    return acme.organisation.add_bank_account("Business Checking", code="090")


@pytest.fixture
def move(acme, checking) -> Callable[..., Entry]:
    """Money moved between PEX and the checking account: below nought it came to PEX."""

    def make(number: int = 1, amount: str = "-500.25", to: Any = None, **facts: Any) -> Entry:
        line = Line(Decimal(amount), (to or checking).id, "Funding")
        return acme.entry(number, amount, kind=Kind.TRANSFER, party=Party(), lines=(line,), url="", **facts)

    return make


def sent(acme, entry, **facts):
    return acme.sent(entry, kind=entry.kind, **facts)


@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("amount", ["-500.25", "500.25"])
def test_a_transfer_is_one_record_whether_its_sides_are_listed_or_not(
    acme, xero, soon, again, checking, move, amount, visible
):
    """Row 43: where both sides stand in the list of transactions they are no copies of it."""
    acme.switch(legs_visible=visible)
    entry, *others = move(1, amount), acme.entry(2), acme.entry(3)

    outcome = xero.post([entry, *others], soon)[entry.key]
    found = again().find([sent(acme, one, in_doubt=True) for one in (entry, *others)])
    records = again().books(date(2026, 7, 1), date(2026, 7, 31))

    (transfer,) = acme.organisation.live_transfers()
    assert {what.fate for what in found.values()} == {Fate.LIVE}
    assert (found[entry.key].record_id, outcome.record_id) == (transfer.id, transfer.id)
    assert sorted((record.reference, record.amount) for record in records) == [
        (entry.key, Decimal(amount)),
        *((other.key, Decimal("41.87")) for other in others),
    ]
    assert acme.organisation.balance(acme.bank) == -Decimal(amount) - 2 * Decimal("41.87")
    assert acme.organisation.balance(checking) == Decimal(amount)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "ARCHIVED"}, "archived"),
        ({"currency": "EUR"}, "EUR"),
        ({"type": "EXPENSE"}, "not in Xero any more"),
    ],
)
def test_a_bank_account_a_transfer_cannot_use_is_said_before_anything_is_sent(
    acme, xero, soon, checking, move, change, says
):
    """Row 43: both sides must be bank accounts in use, of one currency."""
    acme.organisation.change_account(checking, **change)

    refused = xero.post([move()], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert says in refused.says
    assert refused.field == "transfer:account"
    assert acme.calls("PUT") == 0


def test_a_transfer_to_the_pex_account_itself_is_said(acme, xero, soon, move):
    """Row 43: the two sides must differ."""
    refused = xero.post([move(to=acme.bank)], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert acme.calls("PUT") == 0


def test_an_account_archived_after_it_was_read_is_said_by_xeros_answer(acme, xero, soon, checking, move):
    """Row 43: the list of accounts may be older than what is written with it."""
    xero.options("pex_account")
    acme.organisation.change_account(checking, status="ARCHIVED")

    refused = xero.post([move()], soon)["PEXT8000001"]

    assert isinstance(refused, Refused)
    assert "archived" in refused.says
    assert acme.organisation.live_transfers() == []


@pytest.mark.parametrize("mode", ["all", "first", "refuse"])
def test_each_transfer_goes_alone_whatever_xero_makes_of_several(acme, xero, soon, move, mode):
    """Row 44: of several in one call Xero may make all, one or none."""
    acme.switch(transfers=mode)
    batch = [move(number, f"-{number}.00") for number in range(1, 5)]

    outcomes = xero.post(batch, soon)

    assert {type(outcome) for outcome in outcomes.values()} == {Posted}
    assert sorted(one.reference for one in acme.organisation.live_transfers()) == [entry.key for entry in batch]
    assert acme.calls("PUT", "BankTransfers") == 4


def test_one_bad_transfer_stops_no_other(acme, xero, soon, move):
    """Row 44: a refusal comes as a 400 there, not within the element."""
    acme.organisation.period_lock_date = date(2026, 7, 1)
    closed, open_ = move(1, date=date(2026, 7, 1)), move(2, date=date(2026, 7, 2))

    outcomes = xero.post([closed, open_, acme.entry(3)], soon)

    assert [type(outcome) for outcome in outcomes.values()] == [Refused, Posted, Posted]
    assert len(acme.organisation.live_transfers()) == len(acme.organisation.live()) == 1


def test_a_deleted_transfer_is_dead_and_not_absent(acme, xero, soon, again, move):
    """Row 44: the list leaves deleted ones out unless they are asked for."""
    entry = move()
    record_id = xero.post([entry], soon)[entry.key].record_id
    acme.organisation.delete_transfer(acme.organisation.bank_transfers[record_id], "A person")

    by_key = again().find([sent(acme, entry)])[entry.key]
    by_id = again().find([sent(acme, entry, record_id=record_id)])[entry.key]

    assert (by_key.fate, by_id.fate) == (Fate.DEAD, Fate.DEAD)


def test_a_transfer_made_twice_is_doubled(acme, xero, soon, again, move):
    """Row 17: Xero forgets a key after some minutes, and a repeat would be another transfer."""
    entry = move()
    xero.post([entry], soon)
    acme.world.answers.clear()
    again().post([entry], soon)

    assert again().find([sent(acme, entry)])[entry.key].fate is Fate.DOUBLED


def test_a_refused_transfer_goes_once_what_it_complained_of_is_mended(acme, xero, move):
    """Row 18: a refusal is remembered under its key too."""
    entry = move()
    acme.organisation.period_lock_date = entry.date
    refused = [xero.post([entry], Deadline.after(30))[entry.key] for _ in range(2)]
    acme.organisation.period_lock_date = None

    outcome = xero.post([entry], Deadline.after(30))[entry.key]

    assert {type(one) for one in refused} == {Refused}
    assert isinstance(outcome, Posted)
    assert len(acme.organisation.live_transfers()) == 1


@pytest.mark.parametrize("mode", ["error", "cut"])
def test_the_key_of_a_transfer_fits_wherever_xero_may_cut(acme, xero, soon, again, move, mode):
    """Row 29: its reference is the only place for it."""
    acme.switch(reference_length=20, reference_mode=mode)
    entry = move(key="PEXT9999999999999-99")

    xero.post([entry], soon)

    assert again().find([sent(acme, entry)])[entry.key].fate is Fate.LIVE


@pytest.mark.parametrize("member", ["BankTransfers.Status", "BankTransfers.CurrencyRate"])
def test_a_value_nobody_has_heard_of_never_loses_a_transfer(acme, xero, soon, again, move, member):
    """Row 13: it stands there all the same."""
    acme.switch(unknown_enum=member)
    entry = move()

    outcome = xero.post([entry], soon)[entry.key]

    assert isinstance(outcome, Posted)
    assert again().find([sent(acme, entry, in_doubt=True)])[entry.key].fate is Fate.LIVE


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        ({"kind": "drop_after"}, True),
        ({"kind": "status_after", "status": 504, "body": "Gateway Timeout"}, True),
        ({"kind": "truncate"}, True),
        ({"kind": "drop_before"}, False),
        ({"kind": "status", "status": 503, "body": "The organisation is offline"}, False),
    ],
)
@pytest.mark.parametrize("visible", [True, False])
def test_a_transfer_without_an_answer_stands_there_once_in_the_end(world, mood, travel, visible, fault, done):
    """Rows 19 and 43: no key protects it for long, so it is looked for."""
    mood(legs_visible=visible, idempotency_seconds=60)
    world.all_kinds()
    world.pex.add_business_row(amount="500.00")
    world.sandbox.faults.add(**WRITE, **fault)

    world.sync()
    at_first = len(world.books.live_transfers())
    travel(minutes=11)
    settle(world)
    world.sync()

    assert (at_first == 1) is done
    assert [amount for _, amount in booked(world)] == [Decimal("-500.00")]
    assert Export.objects.get().state == State.POSTED


def test_a_reconciled_transfer_is_left_alone(world, travel):
    """Row 32: the bank feed's line was matched to it."""
    world.all_kinds()
    world.pex.add_business_row(amount="500.00")
    world.sync()
    (transfer,) = world.books.live_transfers()
    world.books.reconcile(transfer.to_leg.id)
    written = len(world.sandbox.calls.writes("xero-api"))

    travel(days=1, hours=1)
    world.sync()

    assert len(world.sandbox.calls.writes("xero-api")) == written
    assert world.books.live_transfers() == [transfer]


def test_no_write_of_any_kind_is_a_post(world):
    """Row 24: POST changes and deletes, also transfers."""
    world.all_kinds()
    world.purchase("12.50", receipts=["png"])
    world.pex.add_business_row(amount="500.00")
    world.sync()

    assert len(world.books.live()) == len(world.books.live_transfers()) == 1
    assert {call.method for call in world.sandbox.calls.writes("xero-api")} == {"PUT"}
