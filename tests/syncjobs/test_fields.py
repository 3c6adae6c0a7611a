"""The books' values become the options of PEX tags: what a sync writes, tells, and leaves alone."""

import pytest

from connectors.models import Connection
from connectors.pex.client import PexClient
from pexsync import clock
from sandbox.pex import Option
from syncjobs import engine, notices, runs
from syncjobs.models import Export, Notice, SyncRun
from tagging import feeds
from tagging.models import Feed
from tests import make
from tests.syncjobs.conftest import Died

pytestmark = pytest.mark.database

Status = SyncRun.Status
ONE_TAG = r"Configuration/Tag/"


@pytest.fixture
def fed(acme) -> make.World:
    """Acme's tag gets its options from the expense accounts. Two of its options were made by hand, by code."""
    acme.set(synced={"account": acme.expense_tag.tag_id})
    return acme


def names(world: make.World) -> list[str]:
    return [option.name for option in world.expense_tag.options]


def shown(world: make.World) -> list[str]:
    return [option.name for option in world.expense_tag.options if option.enabled]


def writes(world: make.World) -> list[str]:
    return [call.path for call in world.sandbox.calls.writes("pex") if "/Tag/" in call.path]


def of_tags(world: make.World) -> list[str]:
    """The calls about one tag."""
    return [call.method for call in world.sandbox.calls.matching("pex") if "/Configuration/Tag/" in call.path]


class TestWhatIsWritten:
    def test_accounts_become_options_under_their_id_and_those_by_hand_stay(self, fed):
        run = fed.sync()
        assert run.status == Status.SUCCESS, run.says
        assert (run.fields_done, run.fields_due) == (1, 1)
        assert names(fed) == ["General Expenses", "Motor Vehicle Expenses", "Bank Fees"]
        assert fed.expense_tag.options[2].value == fed.books.account("404").id
        [told] = run.fields_told
        assert (told["label"], told["tag"], told["state"]) == ("Expense Account", "Expense Account", "done")
        assert told["added"] == {"count": 1, "names": ["Bank Fees"]}
        assert told["says"] == "1 added."

    def test_one_write_and_two_reads_and_then_none(self, fed):
        fed.sync()
        assert of_tags(fed) == ["GET", "PUT", "GET"]
        fed.sandbox.calls.clear()
        run = fed.sync()
        assert of_tags(fed) == []
        assert run.fields_told[0]["says"] == "Nothing had to be changed."

    def test_a_renamed_account_renames_its_option_and_an_archived_one_switches_it_off(self, fed):
        fed.sync()
        fed.books.account("404").name = "Card Fees"
        assert fed.sync().fields_told[0]["renamed"] == {"count": 1, "names": ["Bank Fees → Card Fees"]}
        fed.books.account("404").status = "ARCHIVED"
        assert fed.sync().fields_told[0]["disabled"]["names"] == ["Card Fees"]
        assert shown(fed) == ["General Expenses", "Motor Vehicle Expenses"]
        fed.books.account("404").status = "ACTIVE"
        assert fed.sync().fields_told[0]["enabled"]["names"] == ["Card Fees"]

    def test_everything_else_of_the_tag_goes_back_as_it_came(self, fed):
        tag, group = fed.expense_tag, fed.pex.add_group("Office")
        tag.description, tag.required, tag.order = "What was it for?", True, 7
        tag.options[1] = Option("449", "Motor Vehicle Expenses", order=40, enabled=False, groups=frozenset({group}))
        fed.sync()
        assert (tag.name, tag.description, tag.required, tag.order, tag.enabled) == (
            "Expense Account",
            "What was it for?",
            True,
            7,
            True,
        )
        assert tag.options[1] == Option("449", "Motor Vehicle Expenses", 40, False, frozenset({group}))
        assert tag.options[2].order == 41

    def test_options_hidden_from_the_admins_group_survive_and_cost_no_call_the_next_day(self, fed):
        fed.expense_tag.add_option("secret", "Secret", groups=[fed.pex.add_group("Board")])
        fed.sync()
        assert "Secret" in names(fed)
        fed.expense_tag.change_option(fed.books.account("404").id, groups=frozenset({fed.pex.add_group("Crew")}))
        fed.sync()
        fed.sandbox.calls.clear()
        fed.sync()
        assert of_tags(fed) == []

    def test_a_purchase_tagged_with_a_new_option_is_coded_in_the_same_run(self, fed):
        fed.purchase("12.50", account=fed.books.account("404").id)
        assert fed.sync().rows_posted == 1
        [record] = fed.books.live()
        assert record.lines[0].account.code == "404"

    def test_coding_knows_the_names_of_this_runs_options(self, fed, monkeypatch):
        seen = {}
        original = engine.checking.check

        def check(desk, run):
            seen.update(desk.rules.book.tags[fed.expense_tag.tag_id].shown_as)
            return original(desk, run)

        monkeypatch.setattr(engine.checking, "check", check)
        fed.sync()
        assert seen[fed.books.account("404").id] == "Bank Fees"

    def test_without_a_list_nothing_is_asked_or_told(self, acme):
        run = acme.sync()
        assert (run.fields_due, run.fields_told, of_tags(acme)) == (0, [], [])
        assert not Feed.objects.exists()

    def test_two_lists_the_next_day_stay_within_the_reads(self, fed, travel):
        category = fed.books.add_tracking("Region", ["North", "South"])
        region = fed.pex.add_tag("Region", options=[("x", "Test")])
        fed.set(synced={"account": fed.expense_tag.tag_id, f"tracking:{category.id}": region.tag_id})
        fed.purchase("12.50", account="429")
        run = fed.sync()
        assert (run.fields_done, [option.name for option in region.options]) == (2, ["Test", "North", "South"])
        travel(days=1)
        fed.sandbox.calls.clear()
        run = fed.sync()
        assert (run.status, run.fields_done, run.fields_due) == (Status.SUCCESS, 2, 2)
        assert fed.sandbox.calls.writes("pex") == []
        assert fed.sandbox.calls.writes("xero-api") == []
        assert len(fed.sandbox.calls.matching("pex")) <= 8
        assert len(fed.sandbox.calls.matching("xero")) <= 8


class TestWhatHinders:
    def test_a_list_that_fails_holds_up_no_transaction(self, fed, sandbox):
        sandbox.faults.add("status", system="pex", method="PUT", path=ONE_TAG, status=400, body='{"Message": "No."}')
        fed.purchase("12.50")
        run = fed.sync()
        assert (run.status, run.rows_posted, run.fields_done, run.fields_due) == (Status.PARTIAL, 1, 0, 1)
        assert run.fields_told[0]["says"] == "PEX refused this: No."
        assert Notice.objects.get(cause=notices.TAGS).says == "Expense Account: PEX refused this: No."
        fed.sync()
        assert Notice.objects.get(cause=notices.TAGS).ended_at

    @pytest.mark.parametrize("status", [429, 503])
    def test_trouble_that_passes_is_tried_again_and_told_to_nobody(self, fed, sandbox, status):
        sandbox.faults.add("status", system="pex", method="GET", path=ONE_TAG, status=status, times=None)
        run = fed.sync()
        assert run.status == Status.PARTIAL
        assert run.fields_told[0]["says"].endswith("It is tried again with the next sync.")
        assert not Notice.objects.exists()
        sandbox.faults.clear()

    @pytest.mark.parametrize("kind", ["drop_before", "drop_after", "status_after"])
    def test_without_an_answer_reading_again_decides(self, fed, sandbox, kind):
        sandbox.faults.add(kind, system="pex", method="PUT", path=ONE_TAG)
        run = fed.sync()
        assert run.status == Status.SUCCESS, run.fields_told
        assert names(fed).count("Bank Fees") == 1
        assert len(writes(fed)) == (2 if kind == "drop_before" else 1)

    def test_an_edit_between_reading_and_writing_is_not_lost_where_pex_looks_at_the_key(self, fed, sandbox):
        switches = sandbox.worlds["pex"].switches
        switches.tag_keys_checked, switches.tag_edits_after_read = True, 1
        run = fed.sync()
        assert run.status == Status.SUCCESS
        assert names(fed)[2:] == ["Added by hand 1", "Bank Fees"]

    def test_an_edit_right_after_writing_stays(self, fed, sandbox):
        sandbox.worlds["pex"].switches.tag_edits_after_write = 1
        assert fed.sync().status == Status.SUCCESS
        assert names(fed)[2:] == ["Bank Fees", "Added by hand 1"]
        assert len(writes(fed)) == 1

    def test_it_gives_way_to_somebody_who_edits_all_the_time(self, fed, sandbox):
        switches = sandbox.worlds["pex"].switches
        switches.tag_keys_checked, switches.tag_edits_after_read = True, 99
        run = fed.sync()
        assert run.status == Status.PARTIAL
        assert len(writes(fed)) == 3
        assert "did not keep its options" in run.fields_told[0]["says"]

    def test_a_worker_that_dies_after_writing_remembers_what_it_switched_off(self, fed, crash):
        fed.sync()
        fed.books.account("404").status = "ARCHIVED"
        crash(PexClient, "replace_dropdown", "after")
        run = runs.start(fed.connection, fed.user)
        with pytest.raises(Died):
            engine.advance(run.pk)
        assert "Bank Fees" not in shown(fed)
        fed.books.account("404").status = "ACTIVE"
        engine.advance(run.pk)
        assert "Bank Fees" in shown(fed)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"deleted": True}, "was deleted"),
            ({"enabled": False}, "is switched off"),
            ({"type": "Text"}, "is no dropdown"),
        ],
    )
    def test_a_tag_that_can_take_no_options_leads_to_the_setup(self, fed, change, says):
        fed.pex.add_tag("Purpose", type="Text")
        fed.sync()
        for name, value in change.items():
            setattr(fed.expense_tag, name, value)
        run = fed.sync()
        [told] = run.fields_told
        assert says in told["says"]
        assert told["mend"] == "synced:account"
        assert (run.fields_done, run.fields_due) == (0, 1)

    def test_tags_switched_off_in_pex_are_told(self, fed):
        fed.pex.tags_enabled = False
        run = fed.sync()
        assert "Tags are switched off in PEX" in run.fields_told[0]["says"]
        assert of_tags(fed) == []

    def test_a_field_that_is_gone_from_the_books_is_told(self, acme):
        region = acme.pex.add_tag("Region", options=[("x", "Test")])
        acme.set(synced={"tracking:7c2c3f1e-0000-0000-0000-000000000000": region.tag_id})
        [told] = acme.sync().fields_told
        assert told["says"] == "Xero no longer has the field this tag got its options from."
        assert told["state"] == "failed"

    def test_one_tag_is_fed_by_one_field(self, fed):
        category = fed.books.add_tracking("Region", ["North"])
        tag = fed.expense_tag.tag_id
        fed.set(synced={"account": tag, f"tracking:{category.id}": tag})
        first, second = fed.sync().fields_told
        assert (first["state"], second["state"]) == ("done", "failed")
        assert "North" not in names(fed)

    def test_a_tag_of_another_connection_is_left_to_it(self, fed):
        other = Connection.objects.create(
            business=fed.business,
            system="ledgers",
            state=Connection.State.READY,
            settings={"synced": {"job": fed.expense_tag.tag_id}},
            installed_at=clock.now(),
        )
        [told] = fed.sync().fields_told
        assert told["says"].startswith("The PEX tag Expense Account gets its options from ledgers already.")
        assert of_tags(fed) == []
        Connection.objects.filter(pk=other.pk).update(state=Connection.State.INSTALLED)
        assert fed.sync().fields_done == 1

    def test_cancel_is_obeyed_between_lists(self, fed, monkeypatch):
        region = fed.pex.add_tag("Region", options=[("x", "Test")])
        category = fed.books.add_tracking("Region", ["North"])
        fed.set(synced={"account": fed.expense_tag.tag_id, f"tracking:{category.id}": region.tag_id})
        run = runs.start(fed.connection, fed.user)
        original = feeds.update

        def update(*given):
            runs.cancel(run, fed.user)
            return original(*given)

        monkeypatch.setattr(feeds, "update", update)
        engine.advance(run.pk)
        run.refresh_from_db()
        assert (run.status, run.fields_done, run.fields_due) == (Status.CANCELLED, 1, 2)
        assert [option.name for option in region.options] == ["Test"]


class TestHeld:
    @pytest.fixture
    def many(self, fed) -> make.World:
        for number in range(20):
            fed.books.add_account(f"6{number:02}", f"Site {number}")
        fed.sync()
        return fed

    def vanish(self, world: make.World, count: int) -> None:
        for number in range(count):
            del world.books.accounts[world.books.account(f"6{number:02}").id]

    def test_a_much_smaller_answer_changes_nothing_until_somebody_agrees(self, many):
        before = list(many.expense_tag.options)
        self.vanish(many, 12)
        many.purchase("12.50")
        run = many.sync()
        assert (run.status, run.rows_posted, run.fields_done) == (Status.PARTIAL, 1, 0)
        assert many.expense_tag.options == before
        assert run.fields_told[0]["says"].startswith("Xero no longer names 12 values of Expense Account")
        assert Notice.objects.get(cause=notices.TAGS, ended_at=None)
        feed = Feed.objects.get()
        Feed.objects.update(allowed=feed.going)
        run = many.sync()
        assert (run.status, run.fields_told[0]["disabled"]["count"]) == (Status.SUCCESS, 12)
        assert Feed.objects.get().allowed == []
        assert not Notice.objects.filter(cause=notices.TAGS, ended_at=None).exists()

    def test_an_empty_answer_changes_nothing(self, many):
        for each in list(many.books.accounts.values()):
            if each.type not in ("BANK",):
                del many.books.accounts[each.id]
        before = list(many.expense_tag.options)
        run = many.sync()
        assert many.expense_tag.options == before
        assert run.fields_told[0]["says"].startswith("Xero gave no active value of Expense Account")
        assert run.status == Status.PARTIAL


class TestLimits:
    def test_more_values_than_fit_are_told_and_none_is_cut(self, fed, settings):
        settings.PEX_TAG_OPTIONS = 3
        fed.books.add_account("500", "Tools")
        run = fed.sync()
        assert "1 more than fit into a PEX tag" in run.fields_told[0]["says"]
        assert (run.fields_done, names(fed)) == (0, ["General Expenses", "Motor Vehicle Expenses"])

    def test_a_name_that_is_too_long_is_told_and_the_others_go(self, fed, settings):
        settings.PEX_TAG_LENGTH = 40
        fed.books.add_account("500", "Tools, machines and whatever else a crew needs")
        run = fed.sync()
        assert run.status == Status.SUCCESS
        assert "“Tools, machines and whatever else a crew”" in run.fields_told[0]["says"]
        assert names(fed)[2:] == ["Bank Fees"]

    def test_pexs_own_limit_is_told_in_its_words(self, fed, sandbox):
        sandbox.worlds["pex"].switches.options_per_tag = 2
        assert fed.sync().fields_told[0]["says"] == "PEX refused this: A tag takes 2 options"


def test_each_list_is_done_once_in_a_run_that_waits_for_a_look(fed):
    fed.purchase("12.50")
    run = runs.start(fed.connection, fed.user)
    engine.advance(run.pk)
    run.refresh_from_db()
    assert (run.status, run.fields_done) == (Status.PAUSED, 1)
    runs.confirm(run, fed.user)
    engine.advance(run.pk)
    run.refresh_from_db()
    assert run.fields_told[0]["added"]["names"] == ["Bank Fees"]
    assert Export.objects.get().state == "posted"
