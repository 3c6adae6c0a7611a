"""Fees, transfers and rebates go the way purchases go: once, looked for when in doubt, decided by people, counted."""

from decimal import Decimal

import pytest
from django.db.models import Sum

from connectors.records import Kind
from syncjobs import coding, people
from syncjobs.models import Export, ExportEvent, Tally
from syncjobs.people import Action
from syncjobs.transitions import Cause, Closed, Event, State
from tests.syncjobs.following import NOTE, booked, settle

pytestmark = pytest.mark.database

TRANSFER = {"system": "xero-api", "method": "PUT", "path": "/BankTransfers$"}
ROWS = {  # category and amount on the business list, in PEX's sign
    "fee": ("BusinessAccountFee", "-25.00"),
    "fee given back": ("BusinessAccountFee", "25.00"),
    "money in": ("BusinessFunding", "500.00"),
    "money out": ("BusinessFunding", "-80.00"),
    "rebate": ("BusinessRebate", "18.42"),
    "rebate taken back": ("BusinessRebate", "-4.10"),
}


@pytest.fixture
def every(acme):
    """Acme with every kind on."""
    acme.all_kinds()
    return acme


def add(world, what: str) -> str:
    """A row of the business list; returns the key its record carries."""
    category, amount = ROWS[what]
    return f"PEXT{world.pex.add_business_row(category, amount, 'By PEX').transaction_id}"


def decide(world, action: Action, row: Export, record: str = "") -> people.Answer:
    return people.decide(people.Wish(world.connection, action, world.user, record=record), [row.pk])


@pytest.mark.parametrize("what", ROWS)
def test_each_is_booked_once_against_what_was_chosen_for_its_kind(every, what):
    key = add(every, what)
    every.sync()
    every.sync()
    amount = -Decimal(ROWS[what][1])
    assert booked(every) == [(key, amount)]
    others = {"fee": "404", "rebate": "260"}
    for record in every.books.live():
        assert [line.account.code for line in record.lines] == [others[what.split()[0]]]
        assert record.contact.name == "PEX"
    for transfer in every.books.live_transfers():
        sides = [transfer.from_account.name, transfer.to_account.name]
        assert sides == (["PEX Cash Account", "Business Checking"][:: 1 if amount > 0 else -1])


@pytest.mark.parametrize("fault", ["drop_after", "status_after", "truncate"])
@pytest.mark.parametrize("what", ["money in", "money out"])
def test_a_transfer_whose_answer_was_lost_never_stands_twice(every, sandbox, travel, what, fault):
    key = add(every, what)
    sandbox.faults.add(fault, **TRANSFER, status=502)
    every.sync()
    assert Export.objects.get().state == State.SENT
    every.sync()
    assert len(booked(every)) == 1
    travel(minutes=11)
    settle(every)
    assert booked(every) == [(key, -Decimal(ROWS[what][1]))]
    assert Export.objects.get().record_id == every.books.live_transfers()[0].id


def test_a_transfer_that_never_arrived_goes_again_with_the_next_sync(every, sandbox, travel):
    key = add(every, "money in")
    sandbox.faults.add("drop_before", **TRANSFER)
    every.sync()
    assert booked(every) == []
    travel(minutes=11)
    settle(every)  # finds it absent; only a run compares it with what the bank's side may have booked
    assert booked(every) == []
    every.sync()
    assert booked(every) == [(key, Decimal("-500.00"))]


def test_a_transfer_entered_once_more_is_held_as_doubled(every, sandbox, travel):
    key = add(every, "money in")
    sandbox.faults.add("drop_after", **TRANSFER)
    every.sync()
    every.books.transfer_by_hand("Business Checking", "PEX Cash Account", "500.00", reference=key)
    travel(minutes=11)
    settle(every)
    assert (Export.objects.get().state, Export.objects.get().cause) == (State.HELD, Cause.DOUBLED)


def test_a_deleted_transfer_is_sent_again_under_a_new_key_when_an_admin_says_so(every):
    key = add(every, "money out")
    every.sync()
    assert not decide(every, Action.SEND_AGAIN, Export.objects.get()).moved, "it still stands"
    every.books.delete_transfer(every.books.live_transfers()[0], "A person")
    assert decide(every, Action.SEND_AGAIN, Export.objects.get()).moved
    every.sync()
    assert booked(every) == [(f"{key}-2", Decimal("80.00"))]


@pytest.mark.parametrize("what", ROWS)
def test_what_a_person_leaves_out_is_never_sent_and_comes_back_when_that_is_undone(every, what):
    every.set(by_kind={})
    key = add(every, what)
    every.sync()
    row = Export.objects.get()
    assert (row.state, row.waiting) == (State.DUE, "settings")
    assert decide(every, Action.LEAVE_OUT, row).moved
    every.all_kinds()
    every.sync()
    assert booked(every) == []
    assert Export.objects.get().cause == Closed.LEFT_OUT
    assert decide(every, Action.UNDO, Export.objects.get()).moved
    every.sync()
    assert [reference for reference, _ in booked(every)] == [key]


def test_the_tally_counts_each_kind_apart(every):
    for what in ROWS:
        add(every, what)
    every.purchase("12.50")
    every.sync()
    posted = (
        Tally.objects.filter(state=State.POSTED).values_list("kind").annotate(count=Sum("count"), all=Sum("amount"))
    )
    assert {kind: (count, amount) for kind, count, amount in posted} == {
        Kind.PURCHASE: (1, Decimal("12.50")),
        Kind.FEE: (2, Decimal("0.00")),
        Kind.TRANSFER: (2, Decimal("-420.00")),
        Kind.REBATE: (2, Decimal("-14.32")),
    }


def test_a_note_pex_lacks_on_a_card_fee_is_nobodys_wish_to_send_it_again(every, sandbox, travel):
    every.pex.add_card_fee("1.00", receipts=["pdf"])
    for _ in range(3):
        every.sync()
        travel(minutes=20)
    assert sandbox.calls.matching("pex", NOTE["method"], "/Note") == []
    assert sandbox.calls.matching("pex", "GET", "/Attachments") == []
    assert (Export.objects.get().state, Export.objects.get().generation) == (State.POSTED, 1)
    assert len(booked(every)) == 1


def test_a_transfer_that_stands_there_with_its_key_is_taken_over(every):
    row = every.pex.add_business_row("BusinessFunding", "500.00", "By PEX")
    key, day = f"PEXT{row.transaction_id}", row.settled.astimezone(coding.EASTERN).date()
    there = every.books.transfer_by_hand("Business Checking", "PEX Cash Account", "500.00", reference=key, date=day)
    every.sync()
    assert booked(every) == [(key, Decimal("-500.00"))]
    assert (Export.objects.get().state, Export.objects.get().record_id) == (State.POSTED, there.id)


def test_a_transfer_in_doubt_is_looked_for_among_the_transfers(every, sandbox, travel):
    add(every, "money in")
    sandbox.faults.add("drop_after", **TRANSFER)
    every.sync()
    travel(minutes=11)
    settle(every)
    events = set(ExportEvent.objects.values_list("event", flat=True))
    assert (Event.SETTLED_LIVE in events, Event.SETTLED_ABSENT in events) == (True, False)
