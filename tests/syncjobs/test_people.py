"""What people decide about a transaction: from which states, by whom, how often, and what the books hold afterwards."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from connectors.connector import Resync
from connectors.models import Connection
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.accounts.models import Membership
from pexsync.accounts.tenancy import everywhere
from syncjobs import engine, ledger, people, sending, sweeper
from syncjobs.models import Export, SyncRun, Tally
from syncjobs.people import Action, Answer, Wish
from syncjobs.transitions import Cause, Closed, Event, State, Who
from tests import make
from tests.syncjobs.following import POST, export_of, key_of

pytestmark = pytest.mark.database

Status = SyncRun.Status
LOOK = {"system": "xero-api", "method": "GET", "path": "/BankTransactions"}

OUT = {Action.LEAVE_OUT, Action.BY_HAND}
OPEN_TO_SEND = {Action.IT_IS_THERE, Action.SEND, *OUT}
ALLOWED = {
    (State.DUE, "", ""): OUT,
    (State.SENT, "", ""): set(),
    (State.POSTED, "", "record"): {Action.SEND_AGAIN},
    (State.HELD, Cause.LOOKALIKE, ""): OPEN_TO_SEND,
    (State.HELD, Cause.NOTE_BY_HAND, ""): OPEN_TO_SEND,
    (State.HELD, Cause.RECEIPT, ""): OPEN_TO_SEND,
    (State.HELD, Cause.REISSUED, ""): OPEN_TO_SEND,
    (State.HELD, Cause.STATEMENT, ""): OPEN_TO_SEND,
    (State.HELD, Cause.UNRESOLVED, ""): OPEN_TO_SEND,
    (State.HELD, Cause.DOUBLED, "record"): {Action.IT_IS_THERE, *OUT},
    (State.HELD, Cause.EDITED, "record"): {Action.IT_IS_THERE, *OUT},
    (State.HELD, Cause.MISSING, "record"): {Action.IT_IS_THERE, Action.SEND_AGAIN, *OUT},
    (State.CLOSED, Closed.LEFT_OUT, ""): {Action.UNDO},
    (State.CLOSED, Closed.BY_HAND, ""): {Action.UNDO},
    (State.CLOSED, Closed.SYNCED_BEFORE, ""): {Action.UNDO},
    (State.CLOSED, Closed.NOTHING, ""): set(),
    (State.CLOSED, Closed.LEFT_OUT, "record"): set(),
}


def decide(world: make.World, action: Action, *rows: Export, **words: Any) -> Answer:
    with everywhere():
        world.connection.refresh_from_db()
    return people.decide(Wish(world.connection, action, world.user, **words), [row.pk for row in rows])


def told(answer: Answer) -> str:
    return " ".join(refused.says for refused in answer.refused)


def last_event(export: Export) -> Any:
    return export.events.order_by("-pk").first()


def tally_is_right() -> bool:
    rows, counted = Counter(Export.objects.values_list("state", flat=True)), Counter()
    for line in Tally.objects.all():
        counted[line.state] += line.count
    return {state: count for state, count in counted.items() if count} == dict(rows)


@pytest.fixture
def a_row(acme) -> Callable[..., Export]:
    """A ledger row as it may stand, whatever led there."""
    numbers = iter(range(1, 1000))

    def build(world: make.World = acme, **columns: Any) -> Export:
        number = next(numbers)
        columns.setdefault("target", world.connection.target if columns.get("record_id") else "")
        if columns.get("record_id"):
            columns["record_id"] = f"record-{number}"
        return Export.objects.create(
            business=world.business, system="xero", source="transaction", pex_id=number, kind="purchase",
            amount=Decimal("12.50"), settled_on=clock.today(), first_seen_at=clock.now(), **columns,
        )  # fmt: skip

    return build


@pytest.fixture
def posted(acme) -> Any:
    """A purchase with a receipt, in the books."""
    row = acme.purchase("12.50", receipts=["png"])
    acme.sync()
    assert export_of(row).state == State.POSTED
    return row


@pytest.fixture
def different(acme) -> Any:
    """A purchase held because the books hold its key with another amount."""
    row = acme.purchase("12.50")
    acme.books.post_by_hand(key_of(row), "99.00")
    acme.sync()
    assert export_of(row).cause == Cause.EDITED
    return row


@pytest.fixture
def given_up(acme, sandbox, travel) -> Callable[[str], Any]:
    """A purchase that was sent without an answer and could not be looked for during a day."""

    def build(fault: str) -> Any:
        row = acme.purchase("12.50")
        sandbox.faults.add(fault, **POST)
        acme.sync()
        travel(hours=25)
        sweeper.give_up()
        assert export_of(row).cause == Cause.UNRESOLVED
        return row

    return build


class TestTable:
    def test_it_says_for_every_state_and_cause_what_is_allowed(self):
        for (state, cause, record), may in ALLOWED.items():
            assert set(people.allowed(state, cause, record)) == may

    @pytest.mark.parametrize(("state", "cause", "record"), ALLOWED)
    def test_what_is_not_allowed_moves_nothing_and_says_why(self, acme, a_row, state, cause, record):
        row = a_row(state=state, cause=cause, record_id=record)
        for action in set(Action) - ALLOWED[state, cause, record]:
            answer = decide(acme, action, row, record="00000000-0000-0000-0000-000000000001")
            assert not answer.moved
            assert told(answer)
            row.refresh_from_db()
            assert (row.state, row.cause, row.generation, row.overruled) == (state, cause, 1, False)
            assert row.events.count() == 0

    def test_what_a_person_may_do_starts_where_the_table_of_moves_lets_it(self):
        events = {
            Action.IT_IS_THERE: Event.IT_IS_THERE,
            Action.SEND: Event.SEND,
            Action.SEND_AGAIN: Event.SEND_AGAIN,
            Action.BY_HAND: Event.TAKEN_OUT,
            Action.LEAVE_OUT: Event.TAKEN_OUT,
            Action.UNDO: Event.UNDONE,
        }
        for (state, _, _), may in ALLOWED.items():
            for action in may:
                assert state in ledger.transitions.move(events[action]).before


class TestWho:
    def test_without_a_permission_nothing_moves(self, acme, a_row):
        row = a_row(state=State.DUE)
        Membership.objects.update(permissions=["EditBusinessProfile"])
        with pytest.raises(PermissionDenied, match="View card transactions"):
            decide(acme, Action.LEAVE_OUT, row)
        row.refresh_from_db()
        assert row.state == State.DUE

    def test_a_stranger_to_the_business_decides_nothing(self, acme, sandbox, a_row):
        row = a_row(state=State.DUE)
        rival = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
        with pytest.raises(PermissionDenied):
            people.decide(Wish(acme.connection, Action.LEAVE_OUT, rival.user), [row.pk])

    def test_a_row_of_another_business_is_not_there(self, acme, sandbox, a_row):
        rival = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
        theirs = a_row(rival, state=State.DUE)
        answer = decide(acme, Action.LEAVE_OUT, theirs)
        assert (list(answer.moved), answer.refused) == ([], [])
        theirs.refresh_from_db()
        assert theirs.state == State.DUE

    def test_one_decision_covers_so_many_rows_and_no_more(self, acme, a_row, monkeypatch):
        monkeypatch.setattr(people, "MOST", 2)
        rows = [a_row(state=State.DUE) for _ in range(3)]
        assert len(decide(acme, Action.LEAVE_OUT, *rows).moved) == 2
        assert Export.objects.filter(state=State.DUE).count() == 1


class TestStale:
    """What somebody saw a moment ago is no longer so: the move compares and does nothing."""

    def test_a_row_that_is_held_for_another_reason_by_now_does_not_move(self, acme, a_row):
        seen = a_row(state=State.HELD, cause=Cause.LOOKALIKE)
        Export.objects.update(cause=Cause.DOUBLED)
        actor = ledger.Actor(acme.business.pk, Who.PERSON, person=acme.user)
        assert ledger.send(actor, [seen]) == []
        assert Export.objects.get().state == State.HELD

    def test_a_record_sent_again_by_somebody_else_does_not_go_a_third_time(self, acme, a_row):
        seen = a_row(state=State.HELD, cause=Cause.MISSING, record_id="record")
        Export.objects.update(generation=2)
        actor = ledger.Actor(acme.business.pk, Who.PERSON, person=acme.user)
        assert ledger.send_again(actor, [seen], "") == []

    @pytest.mark.parametrize("state", [State.DUE, State.SENT, State.POSTED, State.CLOSED])
    def test_a_row_that_moved_on_stays_where_it_is(self, acme, a_row, state):
        seen = a_row(state=State.HELD, cause=Cause.NOTE_BY_HAND)
        Export.objects.update(state=state)
        actor = ledger.Actor(acme.business.pk, Who.PERSON, person=acme.user)
        assert ledger.send(actor, [seen]) == []
        assert ledger.take_out(actor, [seen], Closed.LEFT_OUT, "") == []
        assert Export.objects.get().state == state


class TestItIsThere:
    def test_a_record_named_by_its_link_is_taken_with_the_persons_word(self, acme, different):
        export = export_of(different)
        [record] = acme.books.live()
        link = f"https://go.xero.com/Bank/ViewTransaction.aspx?bankTransactionID={record.id.upper()}&x=1"
        answer = decide(acme, Action.IT_IS_THERE, export, record=link)
        assert [row.pk for row in answer.moved] == [export.pk]
        export = export_of(different)
        assert (export.state, export.record_id, export.target) == (State.POSTED, record.id, acme.connection.target)
        event = last_event(export)
        assert (event.event, event.before, event.who, event.person) == ("it_is_there", "held", "person", acme.user)
        assert event.facts["record_id"] == record.id
        assert tally_is_right()

    def test_its_note_follows_and_nothing_is_posted(self, acme, different):
        [record] = acme.books.live()
        decide(acme, Action.IT_IS_THERE, export_of(different), record=record.id)
        assert export_of(different).note_state == ""
        acme.sync()
        assert [note.text for note in acme.pex.notes(different.transaction_id)] == [
            f"Synced with Xero · {key_of(different)}"
        ]
        assert len(acme.books.live()) == 1

    def test_one_that_was_posted_before_gets_no_second_note(self, acme, posted, travel):
        [record] = acme.books.live()
        acme.books.edit(record.id, amount="99.00")
        export = export_of(posted)
        actor = ledger.Actor(acme.business.pk, Who.SLICE)
        ledger.changed_there(actor, [(export, Cause.EDITED, "It stands there with 99.00.", "")])
        assert decide(acme, Action.IT_IS_THERE, export, record=record.id).moved
        acme.sync()
        assert len(acme.pex.notes(posted.transaction_id)) == 1
        assert len(record.attachments) == 1

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ("", "names no record of Xero"),
            ("4711", "names no record of Xero"),
            ("00000000-aaaa-bbbb-cccc-000000000001", "holds this transaction as another record"),
        ],
    )
    def test_what_names_no_record_is_refused(self, acme, different, typed, says):
        answer = decide(acme, Action.IT_IS_THERE, export_of(different), record=typed)
        assert not answer.moved
        assert says in told(answer)
        assert export_of(different).state == State.HELD

    def test_a_record_that_is_not_there_is_refused(self, acme):
        row = acme.purchase("12.50", notes=["Synced with Xero"])
        acme.sync()
        answer = decide(acme, Action.IT_IS_THERE, export_of(row), record="00000000-aaaa-bbbb-cccc-000000000001")
        assert "Xero has no such record" in told(answer)

    def test_a_deleted_record_is_refused(self, acme, different):
        [record] = acme.books.live()
        acme.books.void(record.id)
        answer = decide(acme, Action.IT_IS_THERE, export_of(different), record=record.id)
        assert "deleted or void" in told(answer)

    def test_where_there_are_two_none_is_taken(self, acme):
        row = acme.purchase("12.50")
        first, _ = (acme.books.post_by_hand(key_of(row), "12.50") for _ in range(2))
        acme.sync()
        answer = decide(acme, Action.IT_IS_THERE, export_of(row), record=first.id)
        assert "Xero holds it 2 times" in told(answer)
        acme.books.void(acme.books.live()[1].id)
        assert decide(acme, Action.IT_IS_THERE, export_of(row), record=first.id).moved

    def test_the_record_of_another_transaction_is_refused_by_name(self, acme, posted):
        second = acme.purchase("12.50", notes=["Synced with Xero"])
        acme.sync()
        [record] = acme.books.live()
        answer = decide(acme, Action.IT_IS_THERE, export_of(second), record=record.id)
        assert f"PEX {posted.transaction_id}" in told(answer)
        assert export_of(second).state == State.HELD
        assert export_of(posted).record_id == record.id

    def test_books_that_do_not_answer_change_nothing(self, acme, different, sandbox):
        [record] = acme.books.live()
        sandbox.faults.add("status", system="xero-api", status=503, times=None)
        answer = decide(acme, Action.IT_IS_THERE, export_of(different), record=record.id)
        assert "Nothing was changed." in told(answer)
        assert export_of(different).state == State.HELD

    def test_where_nobody_is_signed_in_nothing_is_looked_for(self, acme, different, sandbox):
        [record] = acme.books.live()
        Connection.objects.update(state=Connection.State.INSTALLED, credential=None)
        sandbox.calls.clear()
        answer = decide(acme, Action.IT_IS_THERE, export_of(different), record=record.id)
        assert "Connect Xero first" in told(answer)
        assert not sandbox.calls.calls

    def test_a_sign_in_that_ended_is_told_and_the_connection_says_so(self, acme, different, sandbox):
        [record] = acme.books.live()
        sandbox.faults.add("status", system="xero-api", status=401, times=None)
        answer = decide(acme, Action.IT_IS_THERE, export_of(different), record=record.id)
        assert not answer.moved
        acme.connection.refresh_from_db()
        assert acme.connection.state == Connection.State.FAILED
        assert told(answer) == acme.connection.failure


class TestSend:
    def test_what_somebody_noted_by_hand_is_sent_anyway_and_held_no_more(self, acme):
        row = acme.purchase("12.50", notes=["Synced with Xero"])
        acme.sync()
        answer = decide(acme, Action.SEND, export_of(row))
        assert [moved.state for moved in answer.moved] == [State.DUE]
        assert SyncRun.objects.filter(status__in=SyncRun.ALIVE).count() == 0
        acme.sync()
        assert export_of(row).state == State.POSTED
        assert len(acme.books.live()) == 1
        assert tally_is_right()

    def test_a_row_whose_fate_is_unknown_goes_when_it_is_surely_not_there(self, acme, given_up):
        row = given_up("drop_before")
        answer = decide(acme, Action.SEND, export_of(row))
        assert answer.moved
        export = export_of(row)
        assert (export.state, export.target, export.batch, export.doubted) == (State.DUE, "", None, True)
        assert last_event(export).facts["target"] == acme.connection.target
        assert last_event(export).facts["batch"]
        acme.sync()
        assert len(acme.books.live()) == 1

    def test_a_row_whose_fate_is_unknown_stays_when_it_is_there_after_all(self, acme, given_up):
        row = given_up("drop_after")
        answer = decide(acme, Action.SEND, export_of(row))
        assert "It is in Xero after all" in told(answer)
        assert answer.refused[0].link
        assert export_of(row).state == State.HELD

    def test_a_look_that_was_not_complete_sends_nothing(self, acme, given_up, sandbox):
        row = given_up("drop_before")
        sandbox.faults.add("status", **LOOK, status=400, times=None)
        answer = decide(acme, Action.SEND, export_of(row))
        assert not answer.moved
        assert "could not be looked through completely" in told(answer)

    def test_a_row_sent_a_moment_ago_waits_until_a_look_tells_something(self, acme, a_row, sandbox):
        row = a_row(
            state=State.HELD, cause=Cause.UNRESOLVED, sent_at=clock.now(), target=acme.connection.target, batch=7
        )
        sandbox.calls.clear()
        assert "sent a moment ago" in told(decide(acme, Action.SEND, row))
        assert not sandbox.calls.calls

    @pytest.mark.parametrize("action", [Action.SEND, Action.IT_IS_THERE])
    def test_what_went_to_another_company_is_not_looked_for_in_this_one(self, acme, a_row, action):
        row = a_row(state=State.HELD, cause=Cause.UNRESOLVED, target="xero:former", batch=7)
        answer = decide(acme, action, row, record="00000000-aaaa-bbbb-cccc-000000000001")
        assert "another company than Acme Builders LLC" in told(answer)

    def test_many_go_and_those_that_cannot_say_why(self, acme, a_row):
        noted = [a_row(state=State.HELD, cause=Cause.NOTE_BY_HAND) for _ in range(3)]
        doubled = a_row(state=State.HELD, cause=Cause.DOUBLED, record_id="record")
        answer = decide(acme, Action.SEND, *noted, doubled)
        assert {row.pk for row in answer.moved} == {row.pk for row in noted}
        assert [refused.export.pk for refused in answer.refused] == [doubled.pk]

    def test_only_so_many_are_looked_for_while_somebody_waits(self, acme, a_row, monkeypatch):
        monkeypatch.setattr(people, "LOOKED_FOR", 2)
        rows = [a_row(state=State.HELD, cause=Cause.UNRESOLVED) for _ in range(3)]
        answer = decide(acme, Action.SEND, *rows)
        assert (len(answer.moved), len(answer.refused)) == (2, 1)
        assert "Only 2 are looked for at once" in told(answer)


class TestOut:
    def test_what_is_left_out_is_not_sent(self, acme):
        row = acme.purchase("12.50", approval="NotReviewed")
        acme.sync()
        answer = decide(acme, Action.LEAVE_OUT, export_of(row), remark="A private coffee.")
        export = export_of(row)
        assert [moved.pk for moved in answer.moved] == [export.pk]
        assert (export.state, export.cause, export.waiting) == (State.CLOSED, Closed.LEFT_OUT, "")
        assert export.says == "Left out by Ann: A private coffee."
        assert last_event(export).before == State.DUE
        acme.pex.set_approval(row, "Approved")
        acme.sync()
        assert acme.books.live() == []
        assert tally_is_right()

    def test_entered_by_hand_is_refused_while_the_row_is_in_flight(self, acme, monkeypatch):
        row = acme.purchase("12.50")
        answers = []
        original = Xero.post

        def meanwhile(books, entries, deadline):
            answers.append(decide(acme, Action.BY_HAND, export_of(row)))
            return original(books, entries, deadline)

        monkeypatch.setattr(Xero, "post", meanwhile)
        acme.sync()
        [answer] = answers
        assert not answer.moved
        assert "It is being sent right now. Wait until" in told(answer)
        assert export_of(row).state == State.POSTED
        assert len(acme.books.live()) == 1

    def test_a_person_who_read_the_row_before_it_was_claimed_does_not_close_it_after(self, acme, monkeypatch):
        row = acme.purchase("12.50", approval="NotReviewed")
        acme.sync()
        acme.pex.set_approval(row, "Approved")
        seen = export_of(row)
        acme.sync()
        actor = ledger.Actor(acme.business.pk, Who.PERSON, person=acme.user)
        assert ledger.take_out(actor, [seen], Closed.BY_HAND, "") == []
        assert export_of(row).state == State.POSTED

    def test_a_row_closed_just_before_the_claim_is_not_sent(self, acme, monkeypatch):
        row = acme.purchase("12.50")
        original = ledger.claim

        def too_late(*args):
            assert decide(acme, Action.BY_HAND, export_of(row)).moved
            return original(*args)

        monkeypatch.setattr(ledger, "claim", too_late)
        acme.sync()
        assert export_of(row).state == State.CLOSED
        assert acme.books.live() == []

    def test_a_row_in_doubt_keeps_where_and_when_it_was_sent(self, acme, given_up):
        row = given_up("drop_before")
        before = export_of(row)
        assert decide(acme, Action.BY_HAND, before, remark="JE 4711").moved
        export = export_of(row)
        assert (export.state, export.batch, export.target) == (State.CLOSED, before.batch, before.target)
        assert last_event(export).facts["batch"] == str(before.batch)
        assert export.says == "Entered by hand by Ann: JE 4711"

    def test_many_at_once(self, acme, a_row):
        due = [a_row(state=State.DUE, waiting="approval") for _ in range(4)]
        sent = a_row(state=State.SENT, next_look=clock.now())
        answer = decide(acme, Action.LEAVE_OUT, *due, sent)
        assert (len(answer.moved), [refused.export.pk for refused in answer.refused]) == (4, [sent.pk])


class TestUndo:
    def test_all_that_the_earlier_connector_synced_can_be_brought_back(self, acme):
        rows = [acme.purchase(amount) for amount in ("1.00", "2.00", "3.00")]
        for row in rows:
            acme.pex.add_note(row, "Synced with Xero", system=True)
        acme.sync()
        closed = list(Export.objects.filter(cause=Closed.SYNCED_BEFORE))
        assert len(closed) == 3
        assert len(decide(acme, Action.UNDO, *closed).moved) == 3
        assert acme.books.live() == []
        acme.sync()
        assert len(acme.books.live()) == 3
        assert {row.state for row in Export.objects.all()} == {State.POSTED}
        assert tally_is_right()

    def test_what_may_have_arrived_is_looked_for_exactly_before_it_is_sent(self, acme, given_up):
        row = given_up("drop_after")
        decide(acme, Action.LEAVE_OUT, export_of(row))
        assert decide(acme, Action.UNDO, export_of(row)).moved
        assert export_of(row).doubted
        acme.sync()
        assert export_of(row).state == State.POSTED
        assert len(acme.books.live()) == 1

    def test_nothing_with_a_known_record_is_brought_back(self, acme, different):
        [record] = acme.books.live()
        decide(acme, Action.IT_IS_THERE, export_of(different), record=record.id)
        actor = ledger.Actor(acme.business.pk, Who.SLICE)
        ledger.changed_there(actor, [(export_of(different), Cause.DOUBLED, "Twice.", "")])
        decide(acme, Action.LEAVE_OUT, export_of(different))
        answer = decide(acme, Action.UNDO, export_of(different))
        assert "A record of it is known" in told(answer)


class TestSendAgain:
    def test_a_deleted_record_is_followed_by_a_new_one_with_receipts_and_note(self, acme, posted):
        [old] = acme.books.live()
        acme.books.void(old.id)
        answer = decide(acme, Action.SEND_AGAIN, export_of(posted))
        assert [row.generation for row in answer.moved] == [2]
        event = last_event(export_of(posted))
        assert (event.event, event.before, event.generation) == ("send_again", "posted", 2)
        assert event.facts["record_id"] == old.id
        assert acme.books.live() == []

        acme.sync()
        [new] = acme.books.live()
        assert (new.reference, len(new.attachments)) == (f"{key_of(posted)}-2", 1)
        assert [note.text for note in acme.pex.notes(posted.transaction_id)] == [
            f"Synced with Xero · {key_of(posted)}",
            f"Synced with Xero · {key_of(posted)}-2",
        ]
        export = export_of(posted)
        assert (export.state, export.record_id) == (State.POSTED, new.id)
        assert tally_is_right()

    def test_a_record_that_is_still_there_is_not_doubled(self, acme, posted, sandbox):
        answer = decide(acme, Action.SEND_AGAIN, export_of(posted))
        assert not answer.moved
        assert "Its record is still in Xero. Delete or void it there first" in told(answer)
        assert answer.refused[0].link == export_of(posted).link
        assert export_of(posted).generation == 1

    def test_a_record_that_was_changed_is_still_there(self, acme, posted):
        acme.books.edit(acme.books.live()[0].id, amount="99.00")
        assert "still in Xero" in told(decide(acme, Action.SEND_AGAIN, export_of(posted)))

    def test_a_vanished_record_is_a_persons_matter_first(self, acme, posted):
        acme.books.bank_transactions.clear()
        answer = decide(acme, Action.SEND_AGAIN, export_of(posted))
        assert not answer.moved
        assert "not even as a deleted one" in told(answer)
        assert (export_of(posted).state, export_of(posted).cause) == (State.HELD, Cause.MISSING)
        assert decide(acme, Action.SEND_AGAIN, export_of(posted)).moved
        acme.sync()
        assert len(acme.books.live()) == 1

    def test_without_a_complete_look_nothing_goes_again(self, acme, posted, sandbox):
        acme.books.bank_transactions.clear()
        sandbox.faults.add("status", **{**LOOK, "path": "/BankTransactions$"}, status=400, times=None)
        answer = decide(acme, Action.SEND_AGAIN, export_of(posted))
        assert not answer.moved
        assert "could not be looked through completely" in told(answer)
        assert export_of(posted).state == State.POSTED

    def test_a_row_held_because_its_key_was_deleted_goes_again(self, acme):
        row = acme.purchase("12.50")
        acme.books.void(acme.books.post_by_hand(key_of(row), "12.50").id)
        acme.sync()
        assert (export_of(row).state, export_of(row).cause) == (State.HELD, Cause.MISSING)
        assert decide(acme, Action.SEND_AGAIN, export_of(row)).moved
        acme.sync()
        assert [record.reference for record in acme.books.live()] == [f"{key_of(row)}-2"]

    def test_two_people_at_once_make_one_new_generation(self, acme, posted, monkeypatch):
        acme.books.void(acme.books.live()[0].id)
        answers = []
        original = Xero.find

        def and_meanwhile_another(books, sent):
            if not answers:
                answers.append(None)
                answers[0] = decide(acme, Action.SEND_AGAIN, export_of(posted))
            return original(books, sent)

        monkeypatch.setattr(Xero, "find", and_meanwhile_another)
        slower = decide(acme, Action.SEND_AGAIN, export_of(posted))
        [faster] = answers
        assert (len(faster.moved), len(slower.moved)) == (1, 0)
        assert "changed meanwhile" in told(slower)
        assert export_of(posted).generation == 2
        acme.sync()
        assert len(acme.books.live()) == 1

    def test_a_record_brought_back_before_the_sync_is_not_doubled(self, acme, posted):
        [old] = acme.books.live()
        acme.books.void(old.id)
        decide(acme, Action.SEND_AGAIN, export_of(posted))
        old.status = "AUTHORISED"
        acme.sync()
        assert acme.books.live() == [old]

    def test_many_at_once(self, acme):
        rows = [acme.purchase(amount) for amount in ("1.00", "2.00", "3.00")]
        acme.sync()
        for record in acme.books.live()[:2]:
            acme.books.void(record.id)
        answer = decide(acme, Action.SEND_AGAIN, *(export_of(row) for row in rows))
        assert (len(answer.moved), len(answer.refused)) == (2, 1)
        acme.sync()
        assert sum(record.total for record in acme.books.live()) == Decimal("6.00")


class TestSupport:
    @pytest.fixture(autouse=True)
    def _support(self, monkeypatch, posted, acme):
        """A system whose posted records only support may send again."""
        monkeypatch.setattr(Xero, "resync", Resync.SUPPORT)
        acme.books.void(acme.books.live()[0].id)

    def test_a_person_asks_support_and_nothing_moves_on(self, acme, posted):
        answer = decide(acme, Action.SEND_AGAIN, export_of(posted))
        assert (list(answer.moved), len(answer.asked)) == ([], 1)
        export = export_of(posted)
        assert (export.generation, export.asked_by) == (1, acme.user)
        acme.sync()
        assert acme.books.live() == []

    def test_support_allows_it_by_command(self, acme, posted, capsys):
        call_command("send_again", acme.business.pex_id, "xero", posted.transaction_id)
        assert "goes to xero again with the next sync" in capsys.readouterr().out
        event = last_event(export_of(posted))
        assert (event.event, event.who, event.person) == ("send_again", "staff", None)
        acme.sync()
        assert len(acme.books.live()) == 1

    def test_the_command_says_why_not(self, acme, posted):
        acme.books.post_by_hand(key_of(posted), "12.50")
        with pytest.raises(CommandError, match="still in Xero"):
            call_command("send_again", acme.business.pex_id, "xero", posted.transaction_id)
        with pytest.raises(CommandError, match="not connected"):
            call_command("send_again", 99, "xero", posted.transaction_id)
        with pytest.raises(CommandError, match="is known"):
            call_command("send_again", acme.business.pex_id, "xero", 99)


def test_what_holds_a_row_names_buttons_that_are_there(acme):
    """Every sentence that holds a row names at least one button, and only those its cause offers."""
    words = {"Send again": Action.SEND_AGAIN, "Send anyway": Action.SEND, "Send": Action.SEND}
    words |= {"It is there": Action.IT_IS_THERE, "Entered by hand": Action.BY_HAND, "Leave out": Action.LEAVE_OUT}
    said = [(cause, f"{fact} {advice}".format(again="Send again")) for cause, fact, advice in sending.CAUSES.values()]
    said += [(Cause.UNRESOLVED, sending.TAKEN), (Cause.UNRESOLVED, sweeper.GIVEN_UP)]
    for cause, sentence in said:
        named = {action for word, action in words.items() if f"“{word}”" in sentence}
        assert named
        assert named <= set(people.allowed(State.HELD, cause, ""))


@pytest.mark.walls
def test_decisions_stay_within_the_walls(acme):
    """On PostgreSQL a query outside a scope sees nothing: looks and moves need theirs."""
    row = acme.purchase("12.50")
    acme.sync()
    acme.books.void(acme.books.live()[0].id)
    with everywhere():
        export = Export.objects.get(pex_id=row.transaction_id)
    assert decide(acme, Action.SEND_AGAIN, export).moved
    assert decide(acme, Action.LEAVE_OUT, export).moved
    assert decide(acme, Action.UNDO, export).moved
    engine.settle(acme.connection.pk)
    run = acme.sync()
    assert (run.status, len(acme.books.live())) == (Status.SUCCESS, 1)
