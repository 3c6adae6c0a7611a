"""Sending again where support allows it: an admin asks, the row waits and says so, staff allow or decline."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pexsync import clock
from pexsync.accounts.tenancy import everywhere
from sandbox.dynamics365 import journals
from syncjobs import ledger, people, standing, support
from syncjobs.models import Export, ExportEvent, SyncRun, Tally
from syncjobs.people import Action, Answer, Wish
from syncjobs.transitions import Cause, Closed, Event, Remark, State, Who
from tests import make
from tests.syncjobs.following import export_of, key_of

pytestmark = pytest.mark.database

ASKED = "Ask support to send again"


def ask(world: make.World, row: Any, remark: str = "") -> Answer:
    return press(world, Action.SEND_AGAIN, row, remark=remark)


def press(world: make.World, action: Action, *rows: Any, **words: str) -> Answer:
    wish = Wish(world.connection, action, world.user, **words)
    return people.decide(wish, [export_of(row).pk for row in rows])


def told(answer: Answer) -> str:
    return " ".join(refused.says for refused in answer.refused)


def delete(world: make.World, row: Any) -> None:
    for line in [line for line in world.books.lines() if line.document_number == key_of(row)]:
        journals.delete_line(world.books, line)


def bring_back(world: make.World, row: Any) -> None:
    """Somebody makes the lines of another entry its own."""
    world.purchase("12.50")
    world.sync()
    for line in world.books.lines():
        journals.edit_line(world.books, line, document_number=key_of(row), external_number="", description="")


def in_books(world: make.World) -> list[str]:
    """The document numbers that stand there."""
    return sorted({line.document_number for line in world.books.lines()})


def shown(world: make.World, row: Any) -> standing.ResultRow:
    return standing.result_rows(world.business, [export_of(row)])[0]


def command(world: make.World, row: Any, **options: Any) -> None:
    call_command("send_again", world.business.pex_id, world.connection.system, row.transaction_id, **options)


def today(world: make.World) -> str:
    return f"{clock.now().astimezone(world.business.zone):%-d %b %Y}"


@pytest.fixture
def posted(entered) -> Any:
    """A purchase in the journal."""
    row = entered.purchase("12.50")
    entered.sync()
    assert export_of(row).state == State.POSTED
    return row


@pytest.fixture
def gone(entered, posted) -> Any:
    """One whose record somebody deleted."""
    delete(entered, posted)
    return posted


@pytest.fixture
def asked(entered, gone) -> Any:
    """One that support was asked about."""
    assert ask(entered, gone, "It was deleted by mistake.").asked
    return gone


class TestAsking:
    def test_the_buttons_say_what_they_do(self, entered, posted):
        assert shown(entered, posted).actions == [(Action.SEND_AGAIN, ASKED)]
        delete(entered, posted)
        entered.sandbox.clock.advance(timedelta(minutes=21))
        entered.sync()
        row = shown(entered, posted)
        assert (Action.SEND_AGAIN, ASKED) in row.actions
        assert row.button.word == ASKED
        assert f"“{ASKED}”" in row.says

    def test_what_still_stands_is_not_asked_about(self, entered, posted):
        answer = ask(entered, posted)
        assert "Its record is still in Dynamics 365. Delete or void it there first" in told(answer)
        assert (list(answer.moved), list(answer.asked)) == ([], [])
        assert answer.refused[0].link == export_of(posted).link
        assert (export_of(posted).state, export_of(posted).asked_at) == (State.POSTED, None)
        assert not ExportEvent.objects.filter(event=Remark.ASKED_SUPPORT).exists()

    def test_what_is_gone_is_held_and_the_wish_stands_on_it(self, entered, gone):
        answer = ask(entered, gone, "It was deleted by mistake.")
        export = export_of(gone)
        assert ([row.pk for row in answer.asked], list(answer.moved), answer.refused) == ([export.pk], [], [])
        assert (export.state, export.cause, export.generation) == (State.HELD, Cause.MISSING, 1)
        assert (export.asked_by, export.asked_at is not None) == (entered.user, True)
        moved, event = list(export.events.order_by("pk"))[-2:]
        assert moved.event == Event.CHANGED_THERE
        assert (event.event, event.before, event.after) == (Remark.ASKED_SUPPORT, State.HELD, State.HELD)
        assert (event.who, event.person, event.says) == ("person", entered.user, "It was deleted by mistake.")
        counted = {line.state: line.count for line in Tally.objects.exclude(count=0)}
        assert counted == Counter(Export.objects.values_list("state", flat=True))

    def test_the_row_says_who_asked_and_offers_the_button_no_more(self, entered, asked):
        row = shown(entered, asked)
        assert row.says.startswith(f"Support was asked on {today(entered)} by Ann: it goes again once they allow it.")
        assert {action for action, _ in row.actions} == {Action.IT_IS_THERE, Action.BY_HAND, Action.LEAVE_OUT}
        assert row.button is None

    def test_asking_twice_does_nothing_and_asks_nobody(self, entered, asked):
        before = Export.objects.values().get()
        entered.sandbox.calls.clear()
        answer = ask(entered, asked)
        assert f"Support was asked on {today(entered)} already." in told(answer)
        assert not answer.asked
        assert Export.objects.values().get() == before
        assert ExportEvent.objects.filter(event=Remark.ASKED_SUPPORT).count() == 1
        assert entered.sandbox.calls.matching("bc-api") == []

    def test_books_that_do_not_answer_leave_all_as_it_was(self, entered, gone):
        entered.sandbox.faults.add("status", system="bc-api", status=503, times=None)
        answer = ask(entered, gone)
        assert "Nothing was changed." in told(answer)
        assert (export_of(gone).state, export_of(gone).asked_at) == (State.POSTED, None)

    def test_of_several_those_that_are_gone_are_asked_about(self, entered, gone):
        there = entered.purchase("7.00")
        entered.sync()
        answer = press(entered, Action.SEND_AGAIN, gone, there)
        assert [row.pex_id for row in answer.asked] == [gone.transaction_id]
        assert [each.export.pex_id for each in answer.refused] == [there.transaction_id]

    def test_it_is_not_sent_before_support_allows_it(self, entered, asked):
        entered.sandbox.clock.advance(timedelta(days=1))
        entered.sync()
        assert (export_of(asked).state, in_books(entered)) == (State.HELD, [])

    def test_whoever_runs_it_for_their_own_company_lets_admins_do_it(self, entered, gone, settings):
        settings.RESYNC_BY_ADMINS = True
        assert shown(entered, gone).actions == [(Action.SEND_AGAIN, "Send again")]
        answer = ask(entered, gone)
        assert "not even as a deleted one. Look there, then press “Send again” once more." in told(answer)
        assert ask(entered, gone).moved
        entered.sync()
        assert in_books(entered) == [f"{key_of(gone)}-2"]


class TestTheWishEnds:
    @pytest.mark.parametrize(
        ("action", "state"), [(Action.LEAVE_OUT, State.CLOSED), (Action.BY_HAND, State.CLOSED)], ids=["out", "by hand"]
    )
    def test_with_another_decision(self, entered, asked, action, state):
        assert press(entered, action, asked).moved
        assert (export_of(asked).state, export_of(asked).asked_at, export_of(asked).asked_by) == (state, None, None)
        assert export_of(asked).cause in set(Closed)

    def test_when_a_look_finds_the_record_again(self, entered, asked):
        bring_back(entered, asked)
        entered.sync()
        assert (export_of(asked).state, export_of(asked).asked_at) == (State.POSTED, None)


class TestStaff:
    def test_they_see_what_was_asked_of_every_business(self, entered, asked, sandbox, capsys):
        rival = make.dynamics(sandbox, "Rival Roofing", 5520, "rita.rival")
        row = rival.purchase("3.00")
        rival.sync()
        delete(rival, row)
        assert ask(rival, row, "Gone\x1b[2J").asked
        call_command("send_again", list=True)
        first, second = capsys.readouterr().out.splitlines()
        assert first.startswith(f"4410 dynamics365 {asked.transaction_id}  Acme Builders, purchase of 12.50 settled ")
        assert first.endswith("UTC by Ann: It was deleted by mistake.")
        assert second.startswith(f"5520 dynamics365 {row.transaction_id}  Rival Roofing, purchase of 3.00 settled ")
        assert second.endswith("UTC by Rita: Gone[2J")  # nothing in it moves the reader's screen

    def test_where_nobody_asks_it_says_so(self, entered, posted, capsys):
        call_command("send_again", list=True)
        assert capsys.readouterr().out == "Nobody asks for anything.\n"

    def test_allowed_it_goes_again_under_a_number_of_its_own(self, entered, asked):
        command(entered, asked)
        export = export_of(asked)
        assert (export.state, export.generation, export.asked_at, export.asked_by) == (State.DUE, 2, None, None)
        assert support.wishes() == []
        run = entered.sync()
        assert (run.status, in_books(entered)) == (SyncRun.Status.SUCCESS, [f"{key_of(asked)}-2"])

    def test_they_cannot_allow_what_stands_there_after_all(self, entered, asked):
        bring_back(entered, asked)
        with pytest.raises(CommandError, match="still in Dynamics 365"):
            command(entered, asked)
        assert (export_of(asked).generation, len(support.wishes())) == (1, 1)

    def test_declined_the_row_says_why_and_may_be_asked_about_again(self, entered, asked):
        before = export_of(asked).says
        command(entered, asked, decline="Your auditor keeps it deleted.")
        export = export_of(asked)
        assert (export.state, export.cause, export.asked_at) == (State.HELD, Cause.MISSING, None)
        assert export.says == f"Support did not let it go again: Your auditor keeps it deleted. {before}"
        event = export.events.order_by("-pk").first()
        assert (event.event, event.before, event.after, event.who) == (Remark.DECLINED, "held", "held", "staff")
        assert (Action.SEND_AGAIN, ASKED) in shown(entered, asked).actions
        assert support.wishes() == []
        assert ask(entered, asked).asked

    def test_what_nobody_asked_for_is_not_declined(self, entered, posted):
        with pytest.raises(CommandError, match="Nobody asks for PEX"):
            command(entered, posted, decline="No.")
        assert export_of(posted).says == ""

    @pytest.mark.parametrize(
        ("given", "says"),
        [([], "Name the business"), (["4410", "dynamics365"], "Name the business")],
        ids=["nothing", "no transaction"],
    )
    def test_the_command_says_what_it_lacks(self, entered, given, says):
        with pytest.raises(CommandError, match=says):
            call_command("send_again", *given)

    def test_a_decline_says_why(self, entered, asked):
        with pytest.raises(CommandError, match="Say why"):
            command(entered, asked, decline=" ")
        assert len(support.wishes()) == 1


def test_two_people_at_once_are_one_wish(entered, gone):
    """The slower one read the row before the faster one asked: what they read no longer holds."""
    entered.sandbox.clock.advance(timedelta(minutes=21))
    entered.sync()
    slower = [export_of(gone)]
    assert slower[0].state == State.HELD
    assert ask(entered, gone).asked
    assert ledger.ask_support(ledger.Actor(entered.business.pk, Who.PERSON, person=entered.user), slower, "") == []
    assert ExportEvent.objects.filter(event=Remark.ASKED_SUPPORT).count() == 1


@pytest.mark.walls
def test_wishes_stay_within_the_walls(entered):
    """On PostgreSQL a query outside a scope sees nothing: asking, listing and answering need theirs."""
    row = entered.purchase("12.50")
    entered.sync()
    delete(entered, row)
    with everywhere():
        number = Export.objects.get(pex_id=row.transaction_id).pk
    wish = Wish(entered.connection, Action.SEND_AGAIN, entered.user)
    assert people.decide(wish, [number]).asked
    assert [wished.export.pk for wished in support.wishes()] == [number]
    command(entered, row, decline="No.")
    assert support.wishes() == []
    assert people.decide(wish, [number]).asked
    command(entered, row)
    entered.sync()
    assert in_books(entered) == [f"{key_of(row)}-2"]
