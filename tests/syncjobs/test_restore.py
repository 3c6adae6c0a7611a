"""Yesterday's database, and a copy of today's: what the books know and the ledger does not (rule L10)."""

from datetime import timedelta

import pytest

from connectors.errors import RetryLater
from connectors.models import Connection, Credential
from pexsync import clock
from pexsync.accounts import installation
from syncjobs import engine, runs, sweeper
from syncjobs.models import Export, ExportEvent, ExportReceipt, RunResult, SyncRun, Tally
from syncjobs.transitions import Event, State

pytestmark = pytest.mark.database


def forget_the_ledger() -> None:
    """As a backup of yesterday, restored: nothing of today's rows is in it."""
    for model in (RunResult, ExportEvent, ExportReceipt, Export, Tally, SyncRun):
        model.objects.all().delete()


def test_what_was_sent_after_the_backup_is_taken_over_and_not_sent_again(acme):
    for number in range(5):
        acme.purchase(f"{number + 1}.00")
    acme.sync()
    forget_the_ledger()
    installation.adopt()
    run = acme.sync()
    assert (run.status, run.rows_posted) == (SyncRun.Status.SUCCESS, 5)
    assert len(acme.books.live()) == 5
    assert set(ExportEvent.objects.filter(after=State.POSTED).values_list("event", flat=True)) == {Event.FOUND_EQUAL}


def test_after_a_restore_a_look_that_was_not_complete_lets_nothing_out(acme, sandbox):
    acme.purchase("12.50")
    acme.sync()
    forget_the_ledger()
    installation.adopt()
    # Too much to search by what keys begin with, and the exact search fails as well.
    sandbox.faults.add("status", system="xero-api", method="GET", path="/BankTransactions$", status=400, times=None)
    run = acme.sync()
    assert run.says == "1 could not be looked for in Xero yet."
    assert len(acme.books.live()) == 1
    sandbox.faults.clear()
    acme.sync()
    assert len(acme.books.live()) == 1
    assert Export.objects.get().state == State.POSTED


def test_what_settles_after_the_restore_needs_no_such_look(acme, sandbox, travel):
    acme.purchase("1.00")
    acme.sync()
    installation.adopt()
    travel(days=3)
    acme.purchase("12.50", settled=clock.now() - timedelta(days=1))
    sandbox.faults.add("status", system="xero-api", method="GET", path="/BankTransactions$", status=400, times=None)
    assert acme.sync().rows_posted == 1


class TestACopy:
    @pytest.fixture
    def copied(self, acme, sandbox, settings):
        """A run under way and a row in doubt when the copy is made."""
        acme.purchase("12.50")
        sandbox.faults.add("drop_before", system="xero-api", method="PUT", path="/BankTransactions$")
        acme.sync()
        acme.purchase("1.00")
        settings.INSTALLATION_ID = "staging"
        sandbox.calls.clear()
        return acme

    def test_begins_no_sync_and_says_why(self, copied):
        with pytest.raises(runs.CannotStart, match="another installation"):
            runs.start(copied.connection, copied.user)

    def test_calls_nobody_for_rows_in_doubt(self, copied, sandbox, travel):
        travel(minutes=11)
        assert sweeper.unsettled_connections() == [copied.connection.pk]
        engine.settle(copied.connection.pk)
        assert sandbox.calls.calls == []
        assert Export.objects.get().state == State.SENT

    def test_goes_on_with_no_run_that_was_under_way(self, acme, sandbox, settings):
        acme.purchase("12.50")
        run = runs.start(acme.connection, acme.user)
        settings.INSTALLATION_ID = "staging"
        engine.advance(run.pk)
        run.refresh_from_db()
        assert (run.status, run.says) == (SyncRun.Status.PAUSED, installation.STRANGER)
        assert sandbox.calls.calls == []

    def test_opens_no_stored_sign_in(self, copied):
        for credential in Credential.objects.all():
            with pytest.raises(RetryLater, match="another installation"):
                credential.secret()
        assert Connection.objects.get().state == Connection.State.READY

    def test_works_once_it_was_adopted(self, copied, travel):
        installation.adopt()
        travel(minutes=11)
        copied.sync()
        assert len(copied.books.live()) == 2
