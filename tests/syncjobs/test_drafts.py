"""What we entered and a person has yet to post: told apart, looked at once per run, and counted for the pages."""

from datetime import timedelta
from typing import Any

import pytest

from connectors.models import Connection
from connectors.records import Kind
from connectors.registry import ALL
from pexsync import clock
from sandbox.dynamics365 import journals, posting
from sandbox.faults import Strike
from syncjobs import drafts, engine, people, runs, standing, wording
from syncjobs.models import Export, ExportEvent, SyncRun
from syncjobs.people import Action, Wish
from syncjobs.transitions import Cause, Event, State
from tests import make
from tests.syncjobs.following import export_of, key_of, settle

pytestmark = pytest.mark.database

Status = SyncRun.Status
BATCH = {"system": "bc-api", "method": "POST", "path": r"\$batch$"}
LOOK = {**BATCH, "contains": "creditAmount&$filter=contains("}  # of G/L entries, once in each look
ENTRIES = {**BATCH, "contains": '"accountType"'}


def post_journal(world: make.World) -> None:
    """A person posts all that stands there."""
    posting.post(world.books, world.books.journal())


def lines_of(world: make.World, row: Any) -> list[Any]:
    return [line for line in world.books.lines() if line.document_number == key_of(row)]


def delete(world: make.World, row: Any) -> None:
    for line in lines_of(world, row):
        journals.delete_line(world.books, line)


def copy(world: make.World, row: Any) -> None:
    """Somebody copies the lines of an entry."""
    for line in lines_of(world, row):
        names = ("account_type", "account", "amount", "posting_date", "document_number", "external_number", "comment")
        facts = {name: getattr(line, name) for name in (*names, "description")}
        journals.add_manual_line(world.books, world.books.journal(), **facts)


def label(row: Any) -> str:
    return wording.state_of(export_of(row), ALL[export_of(row).system]).text


def watch(world: make.World, **where: Any) -> None:
    """Keep what is asked in such calls, and let it through."""
    world.sandbox.faults.add("slow", **where, seconds=0, times=None)


def seen(world: make.World) -> list[Strike]:
    return world.sandbox.faults.strikes


def columns(row: Any) -> dict[str, Any]:
    return Export.objects.filter(pex_id=row.transaction_id).values().get()


@pytest.fixture
def draft(entered) -> Any:
    """A purchase that stands in the journal, entered long enough ago for a look to tell something."""
    row = entered.purchase("12.50")
    entered.sync()
    assert export_of(row).state == State.POSTED
    entered.sandbox.clock.advance(timedelta(minutes=21))
    return row


class TestTheMark:
    def test_what_is_entered_says_that_nobody_has_posted_it(self, draft):
        assert export_of(draft).draft
        assert label(draft) == "In the PEX Card journal, not posted"

    def test_once_a_person_has_posted_it_the_next_run_says_so_and_opens_the_ledger(self, entered, draft):
        before = export_of(draft).link
        post_journal(entered)
        run = entered.sync()
        assert (run.status, run.rows_due) == (Status.SUCCESS, 0)
        export = export_of(draft)
        assert (export.state, export.draft, label(draft)) == (State.POSTED, False, "Posted in Dynamics 365")
        assert export.link != before
        assert "page=20" in export.link

    def test_what_was_posted_the_moment_after_it_was_entered_is_seen_at_once(self, entered):
        row = entered.purchase("12.50")
        entered.sync()
        post_journal(entered)
        entered.sync()
        assert not export_of(row).draft

    def test_one_that_was_in_doubt_has_the_mark_of_what_the_look_found(self, entered, sandbox, travel):
        rows = [entered.purchase("1.00"), entered.purchase("2.00")]
        sandbox.faults.add("drop_after", **ENTRIES)
        entered.sync()
        travel(minutes=21)
        settle(entered)
        assert [export_of(row).draft for row in rows] == [True, True]
        assert ExportEvent.objects.filter(event=Event.SETTLED_LIVE).count() == 2

    def test_posted_before_the_look_it_never_has_it(self, entered, sandbox, travel):
        row = entered.purchase("1.00")
        sandbox.faults.add("drop_after", **ENTRIES)
        entered.sync()
        post_journal(entered)
        travel(minutes=21)
        settle(entered)
        assert (export_of(row).state, export_of(row).draft) == (State.POSTED, False)

    def test_the_look_a_day_after_a_doubt_sees_it_posted_without_a_run(self, entered, sandbox, travel):
        row = entered.purchase("1.00")
        sandbox.faults.add("drop_after", **ENTRIES)
        entered.sync()
        travel(minutes=21)
        settle(entered)
        post_journal(entered)
        travel(hours=25)
        settle(entered)
        assert (export_of(row).draft, export_of(row).next_look) == (False, None)

    def test_what_the_books_hold_already_is_taken_over_as_it_stands_there(self, entered):
        row = entered.purchase("12.50")
        entered.sync()
        for model in (ExportEvent, Export):
            model.objects.all().delete()
        entered.sync()
        assert (export_of(row).state, export_of(row).draft) == (State.POSTED, True)

    def test_a_person_who_names_the_record_takes_it_as_it_stands_there(self, entered, draft):
        delete(entered, draft)
        entered.sync()
        assert (export_of(draft).state, export_of(draft).draft) == (State.HELD, False)
        copied = entered.purchase("12.50")
        entered.sync()
        [first, last] = lines_of(entered, copied)
        for line in (first, last):
            journals.edit_line(entered.books, line, document_number=key_of(draft), external_number="", description="")
        wish = Wish(entered.connection, Action.IT_IS_THERE, entered.user, record=key_of(draft))
        assert people.decide(wish, [export_of(draft).pk]).moved
        assert (export_of(draft).state, export_of(draft).draft) == (State.POSTED, True)

    def test_books_that_know_no_such_stage_never_have_it(self, acme):
        row = acme.purchase("12.50")
        run = acme.sync()
        assert (export_of(row).draft, label(row), run.drafts) == (False, "In Xero", None)
        assert standing.drafts(acme.connection) is None


class TestTheLook:
    @pytest.mark.parametrize(
        ("what", "cause", "says"),
        [
            (delete, Cause.MISSING, "no longer in the books. Look there; then press “Ask support to send again”"),
            (copy, Cause.DOUBLED, "Then press “It is there”."),
            (lambda world, row: journals.delete_line(world.books, lines_of(world, row)[0]), Cause.EDITED, "press"),
        ],
        ids=["deleted", "copied", "halved"],
    )
    def test_what_a_person_did_there_is_a_persons_matter_here(self, entered, draft, what, cause, says):
        what(entered, draft)
        run = entered.sync()
        export = export_of(draft)
        assert (export.state, export.cause, export.draft) == (State.HELD, cause, False)
        assert says in export.says
        assert (run.status, run.drafts) == (Status.SUCCESS, 0)
        assert export.events.order_by("-pk").first().event == Event.CHANGED_THERE

    def test_posted_and_reversed_is_gone(self, entered, draft):
        post_journal(entered)
        posting.reverse(entered.books, next(iter(entered.books.entries.values())))
        entered.sync()
        assert (export_of(draft).state, export_of(draft).cause) == (State.HELD, Cause.MISSING)

    def test_what_was_entered_a_moment_ago_may_not_be_shown_yet(self, entered, travel):
        row = entered.purchase("12.50")
        entered.sync()
        delete(entered, row)
        entered.sync()
        assert export_of(row).state == State.POSTED
        travel(minutes=21)
        entered.sync()
        assert export_of(row).state == State.HELD

    def test_the_run_that_enters_it_does_not_look_at_it_again(self, entered):
        entered.purchase("12.50")
        watch(entered, **LOOK)
        entered.sync()
        assert len(seen(entered)) == 1  # before it was sent

    def test_a_day_on_which_nothing_is_new_costs_a_few_reads_and_no_write(self, entered, draft, travel):
        entered.purchase("7.00")
        entered.sync()
        travel(days=1)
        before, rows = columns(draft), [vars(line).copy() for line in entered.books.lines()]
        entered.sandbox.calls.clear()
        run = entered.sync()
        assert (run.status, run.rows_due, run.drafts) == (Status.SUCCESS, 0, 2)
        assert columns(draft) == before
        assert [vars(line) for line in entered.books.lines()] == rows
        assert len(entered.sandbox.calls.matching("bc-api")) <= 8
        assert len(entered.sandbox.calls.matching("pex")) <= 8
        assert entered.sandbox.calls.writes("pex") == []

    def test_where_all_are_posted_no_run_looks_any_more(self, entered, draft):
        post_journal(entered)
        entered.sync()
        watch(entered, **LOOK)
        entered.sync()
        assert seen(entered) == []

    def test_a_look_that_fails_holds_up_no_run_and_the_next_one_looks_again(self, entered, draft, sandbox, travel):
        first = standing.drafts(entered.connection)
        post_journal(entered)
        sandbox.faults.add("status", **LOOK, status=503, times=None)
        run = entered.sync()
        assert (run.status, run.says, run.drafts) == (Status.SUCCESS, "", None)
        assert export_of(draft).draft
        assert standing.drafts(entered.connection) == first
        sandbox.faults.clear()
        travel(minutes=2)
        assert entered.sync().drafts == 0

    def test_of_very_many_the_oldest_are_looked_at_and_the_others_by_the_next_run(self, entered, monkeypatch, travel):
        monkeypatch.setattr(drafts, "CHUNK", 1)
        monkeypatch.setattr(drafts, "MOST", 2)
        rows = [entered.purchase(f"{number}.00") for number in (1, 2, 3)]
        entered.sync()
        post_journal(entered)
        watch(entered, **LOOK)
        assert entered.sync().drafts == 1
        assert len(seen(entered)) == 2
        assert [export_of(row).draft for row in rows] == [False, False, True]
        assert entered.sync().drafts == 0

    def test_a_run_of_some_kinds_looks_at_all_of_them(self, entered, draft):
        entered.all_kinds()
        post_journal(entered)
        Connection.objects.update(preview_confirmed={kind.value: {} for kind in Kind})
        entered.connection.refresh_from_db()
        run = runs.start(entered.connection, entered.user, kinds=[Kind.FEE])
        engine.advance(run.pk)
        assert not export_of(draft).draft


class TestTheCount:
    def test_it_is_told_with_the_time_of_the_run_that_looked(self, entered, draft):
        run = SyncRun.objects.get()
        assert standing.drafts(entered.connection) == (1, run.ended_at)
        post_journal(entered)
        run = entered.sync()
        assert standing.drafts(entered.connection) == (0, run.ended_at)

    def test_before_any_run_has_ended_nothing_is_told(self, entered):
        assert standing.drafts(entered.connection) is None

    def test_what_stands_in_another_company_is_not_counted(self, entered, draft):
        Export.objects.update(target="dynamics365:former")
        assert entered.sync().drafts == 0
        assert columns(draft)["draft"]

    def test_the_sentence_does_not_call_posted_what_only_stands_there(self, entered, draft):
        yesterday = (clock.today() - timedelta(days=1)).strftime("%-d %B")
        assert standing.of(entered.connection).sentence == (
            f"All 1 settled transaction up to {yesterday} is in Dynamics 365."
        )
