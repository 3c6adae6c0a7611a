"""What becomes of a row the books refuse: which field mends it, and whether a person or only time is waited for."""

from datetime import timedelta

import pytest

from connectors.records import Kind
from pexsync import clock
from syncjobs import engine, ledger, runs
from syncjobs.models import Export, RunResult, SyncRun
from syncjobs.transitions import State

from .following import booked

pytestmark = pytest.mark.database


def sync_while(acme, freeze, meanwhile) -> SyncRun:
    """Sync; all is checked when somebody changes something in the books, and then it is sent."""
    run = runs.start(acme.connection, acme.user)
    engine.advance(run.pk)
    runs.confirm(run, acme.user)
    freeze(ledger, "claim", meanwhile)
    engine.advance(run.pk)
    run.refresh_from_db()
    return run


def test_a_refused_fee_names_the_field_of_fees(acme, freeze):
    kinds = acme.all_kinds()
    acme.pex.add_card_fee(amount="3.00", settled=clock.now() - timedelta(days=1))
    acme.purchase("12.50")

    run = sync_while(acme, freeze, lambda: acme.books.change_account(kinds.fees, status="ARCHIVED"))

    refused = Export.objects.get(kind=Kind.FEE)
    result = RunResult.objects.get(run=run)
    assert (refused.state, refused.waiting, refused.cause) == (State.DUE, "refused", "account_archived:fee:account")
    assert (result.cause, result.field) == ("account_archived:fee:account", "fee:account")
    assert run.status == SyncRun.Status.PARTIAL
    assert len(booked(acme)) == 1


def test_a_period_closed_after_the_check_makes_the_row_wait_with_its_date(acme, freeze):
    acme.purchase("12.50")
    day = clock.today()

    run = sync_while(acme, freeze, lambda: setattr(acme.books, "period_lock_date", day))

    waiting = Export.objects.get()
    assert (waiting.state, waiting.waiting, waiting.cause) == (State.DUE, "period", "period")
    assert waiting.says == f"Closed to {day:%-d %b %Y} in Xero. Open the period there, or leave it out."
    assert not RunResult.objects.exists()
    assert run.status == SyncRun.Status.SUCCESS
    assert booked(acme) == []

    acme.books.period_lock_date = None
    acme.sync()

    assert len(booked(acme)) == 1
