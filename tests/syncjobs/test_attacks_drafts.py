"""Attempts to book twice or to lose what a person has yet to post there: looks, support, and what is vouched for."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from sandbox.dynamics365 import journals, posting
from syncjobs import drafts, people, support
from syncjobs.models import Export, ExportEvent
from syncjobs.people import Action, Answer, Wish
from syncjobs.transitions import Cause, Event, State
from tests import make
from tests.syncjobs.following import export_of, key_of

pytestmark = pytest.mark.database


def post_journal(world: make.World) -> None:
    posting.post(world.books, world.books.journal())


def lines_of(world: make.World, row: Any) -> list[Any]:
    return [line for line in world.books.lines() if line.document_number == key_of(row)]


def delete(world: make.World, row: Any) -> None:
    for line in lines_of(world, row):
        journals.delete_line(world.books, line)


def press(world: make.World, action: Action, row: Any, **words: str) -> Answer:
    return people.decide(Wish(world.connection, action, world.user, **words), [export_of(row).pk])


def allow(world: make.World, row: Any) -> None:
    call_command("send_again", world.business.pex_id, world.connection.system, row.transaction_id)


def standing(row: Any) -> tuple[str, str, bool]:
    export = export_of(row)
    return export.state, export.cause, export.draft


@pytest.fixture
def draft(entered) -> Any:
    row = entered.purchase("12.50")
    entered.sync()
    entered.sandbox.clock.advance(timedelta(minutes=21))
    return row


def test_a_counter_entry_nobody_posted_does_not_let_it_go_again(entered, draft):
    """Gone again, and the counter entry deleted, it would stand there twice."""
    lines = lines_of(entered, draft)
    post_journal(entered)
    entered.sync()
    for line in lines:
        facts = {"posting_date": line.posting_date, "document_number": key_of(draft), "description": line.description}
        journals.add_manual_line(entered.books, entered.books.journal(), line.account, -line.amount, **facts)

    answer = press(entered, Action.SEND_AGAIN, draft)

    assert not answer.asked
    assert export_of(draft).state == State.POSTED
    with pytest.raises(CommandError):
        allow(entered, draft)


def test_what_a_person_vouched_for_is_not_asked_again_by_every_run(entered, draft):
    """The day is moved into an open period, which is a bookkeeper's daily bread."""
    for line in lines_of(entered, draft):
        journals.edit_line(entered.books, line, posting_date=line.posting_date - timedelta(days=40))
    entered.sync()
    assert standing(draft) == (State.HELD, Cause.EDITED, False)
    entered.sandbox.clock.advance(timedelta(days=2))
    assert press(entered, Action.IT_IS_THERE, draft, record=key_of(draft)).moved

    entered.sync()

    assert standing(draft) == (State.POSTED, "", True)
    assert ExportEvent.objects.filter(event=Event.CHANGED_THERE).count() == 1


def test_what_changes_after_somebody_vouched_for_it_is_held_anew(entered, draft):
    for line in lines_of(entered, draft):
        journals.edit_line(entered.books, line, posting_date=line.posting_date - timedelta(days=40))
    entered.sync()
    entered.sandbox.clock.advance(timedelta(days=2))
    press(entered, Action.IT_IS_THERE, draft, record=key_of(draft))
    journals.delete_line(entered.books, lines_of(entered, draft)[0])

    entered.sync()

    assert standing(draft)[:2] == (State.HELD, Cause.EDITED)


def test_what_somebody_vouched_for_is_seen_when_it_is_posted(entered, draft):
    for line in lines_of(entered, draft):
        journals.edit_line(entered.books, line, posting_date=line.posting_date - timedelta(days=40))
    entered.sync()
    entered.sandbox.clock.advance(timedelta(days=2))
    press(entered, Action.IT_IS_THERE, draft, record=key_of(draft))
    post_journal(entered)

    entered.sync()

    assert standing(draft) == (State.POSTED, "", False)


def test_where_the_oldest_stay_unposted_the_others_have_their_turn(entered, monkeypatch):
    monkeypatch.setattr(drafts, "CHUNK", 1)
    monkeypatch.setattr(drafts, "MOST", 2)
    rows = [entered.purchase(f"{number}.00") for number in (1, 2, 3, 4, 5)]
    entered.sync()
    entered.sandbox.clock.advance(timedelta(minutes=21))
    last = Export.objects.order_by("-pk").first()
    [gone] = [row for row in rows if row.transaction_id == last.pex_id]
    delete(entered, gone)

    for _ in range(4):
        entered.sync()

    assert export_of(gone).state == State.HELD


def test_a_row_of_another_company_is_not_looked_for_in_this_one(entered, draft):
    """A copied company has the same entries under another id."""
    Export.objects.update(target="dynamics365:copy")
    delete(entered, draft)
    entered.sync()
    assert standing(draft)[0] == State.POSTED


def test_a_look_uses_what_was_sent_and_not_what_the_settings_say_now(entered, draft):
    other = entered.books.add_account("10960", "PEX Card Two", "Assets")
    entered.set(pex_account=other.id)
    entered.sync()
    assert standing(draft) == (State.POSTED, "", True)


def test_the_first_generation_that_comes_late_beside_the_second_is_held_as_doubled(entered, draft):
    lines = [vars(line).copy() for line in lines_of(entered, draft)]
    delete(entered, draft)
    press(entered, Action.SEND_AGAIN, draft)
    allow(entered, draft)
    entered.sync()
    assert [line.document_number for line in entered.books.lines()] == [f"{key_of(draft)}-2"] * 2
    names = ("account", "amount", "posting_date", "document_number", "external_number", "description")
    for line in lines:
        journals.add_manual_line(entered.books, entered.books.journal(), **{name: line[name] for name in names})
    entered.sandbox.clock.advance(timedelta(minutes=21))

    entered.sync()

    assert standing(draft)[:2] == (State.HELD, Cause.DOUBLED)


def test_support_asked_twice_and_allowed_twice_sends_one(entered, draft):
    delete(entered, draft)
    assert press(entered, Action.SEND_AGAIN, draft).asked
    assert not press(entered, Action.SEND_AGAIN, draft).asked
    allow(entered, draft)
    with pytest.raises(CommandError):
        allow(entered, draft)
    entered.sync()
    entered.sync()
    assert [line.document_number for line in entered.books.lines()] == [f"{key_of(draft)}-2"] * 2
    assert not support.wishes()


def test_support_does_not_allow_what_came_back(entered, draft):
    kept = [vars(line).copy() for line in lines_of(entered, draft)]
    delete(entered, draft)
    press(entered, Action.SEND_AGAIN, draft)
    names = ("account", "amount", "posting_date", "document_number", "external_number", "description")
    for line in kept:
        journals.add_manual_line(entered.books, entered.books.journal(), **{name: line[name] for name in names})
    with pytest.raises(CommandError):
        allow(entered, draft)
    entered.sync()
    assert standing(draft) == (State.POSTED, "", True)
    assert not support.wishes()


def test_declined_and_asked_again_it_waits_again(entered, draft):
    delete(entered, draft)
    press(entered, Action.SEND_AGAIN, draft)
    call_command(
        "send_again", entered.business.pex_id, entered.connection.system, draft.transaction_id, decline="Not yet"
    )
    assert press(entered, Action.SEND_AGAIN, draft).asked
    assert len(support.wishes()) == 1
    assert Connection.objects.get().ready


def test_two_fundings_under_one_number_each_explain_their_own(entered):
    """People enter a month under one document number: the line of one must not hide that of the other."""
    entered.all_kinds()
    entered.purchase("1.00")
    entered.pex.add_business_row(amount="1.00", settled=clock.now() - timedelta(days=40))
    entered.sync()
    card = entered.books.accounts[Settings.parse(entered.connection.settings).pex_account]
    day = clock.today() - timedelta(days=10)
    journal = entered.books.add_journal("BYHAND")
    for amount in ("500.00", "700.00"):
        words = {"posting_date": day, "document_number": "G00012", "description": "ACH to PEX"}
        journals.add_manual_line(entered.books, journal, card.number, Decimal(amount), **words)
    before = len(entered.books.lines())

    for amount in ("500.00", "700.00"):
        entered.pex.add_business_row(amount=amount, settled=clock.now() - timedelta(days=10))
        entered.sync()

    held = Export.objects.filter(state=State.HELD, cause=Cause.LOOKALIKE)
    assert [abs(row.amount) for row in held.order_by("amount")] == [Decimal(700), Decimal(500)]
    assert len(entered.books.lines()) == before


def test_lines_hidden_by_a_document_type_are_held_and_found_again_when_posted(entered, draft):
    """The interface shows only lines without one; nothing is sent meanwhile."""
    for line in lines_of(entered, draft):
        journals.edit_line(entered.books, line, document_type="Payment")
    entered.sync()
    assert standing(draft)[:2] == (State.HELD, Cause.MISSING)
    post_journal(entered)
    entered.sync()
    assert standing(draft) == (State.POSTED, "", False)
