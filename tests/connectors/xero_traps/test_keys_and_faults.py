from decimal import Decimal

import pytest

from connectors.models import Connection
from connectors.records import Fate, NotSent, Party, Posted, Unknown
from syncjobs import engine, runs
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import State
from tests.syncjobs.following import settle

pytestmark = pytest.mark.database

WRITE = {"system": "xero-api", "method": "PUT", "path": "/BankTransactions$"}


def the_row() -> Export:
    return Export.objects.get()


@pytest.mark.parametrize("seconds", [0, 360, 1200, 86_400])
def test_however_long_xero_remembers_a_key_a_lost_answer_is_settled_by_looking(world, mood, travel, seconds):
    """Row 17: sources disagree how long a key protects, so nothing may depend on it."""
    world.purchase("12.50")
    mood(idempotency_seconds=seconds)
    world.sandbox.faults.add("drop_after", **WRITE)

    world.sync()
    travel(minutes=11)
    settle(world)
    world.sync()

    assert len(world.books.live()) == 1
    assert the_row().state == State.POSTED
    assert len(world.sandbox.calls.matching("xero-api", "PUT", "/BankTransactions")) == 1


def test_a_key_too_long_for_xero_is_never_made(acme, xero, soon):
    """Row 17: more than 128 characters are refused."""
    entries = [acme.entry(number, key=f"PEXT{10**12 + number}") for number in range(50)]

    outcomes = xero.post(entries, soon)

    assert {type(outcome) for outcome in outcomes.values()} == {Posted}
    (call,) = acme.desk.calls.matching("xero-api", "PUT", "BankTransactions")
    assert 0 < len(call.key) <= 128


@pytest.mark.parametrize("replayed", [True, False])
def test_a_500_after_the_work_is_never_answered_by_sending_again(world, mood, travel, replayed):
    """Row 18: a server error may be remembered under its key for ever, or not at all."""
    world.purchase("12.50")
    world.books.add_contact("Staples")
    mood(server_errors=1, replay_server_errors=replayed)

    world.sync()
    in_doubt = the_row().state
    travel(minutes=11)
    settle(world)

    assert (in_doubt, the_row().state) == (State.SENT, State.POSTED)
    assert len(world.books.live()) == 1


def test_a_key_somebody_used_for_another_call_proves_nothing_about_ours(acme, xero, soon, again):
    """Row 18: a 400 about the key says neither that our call was done nor that it was not."""
    acme.organisation.change_account(acme.fuel, status="ARCHIVED")
    xero.post([acme.entry(1)], soon)
    (slot,) = [slot for slot, answer in acme.world.answers.items() if b"BankTransactions" in answer.body]
    kept = acme.world.answers[slot]
    acme.world.answers[slot] = type(kept)("another call", kept.until, kept.status, kept.media, kept.body)

    outcome = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert isinstance(outcome, Unknown)
    assert acme.organisation.live() == []
    assert again().find([acme.sent(acme.entry(1), in_doubt=True)])["PEXT8000001"].fate is Fate.ABSENT


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        ({"kind": "drop_after"}, True),
        ({"kind": "status_after", "status": 504, "body": "Gateway Timeout"}, True),
        ({"kind": "drop_before"}, False),
        ({"kind": "status", "status": 504, "body": "Gateway Timeout"}, False),
        ({"kind": "status", "status": 503, "body": "The organisation is offline"}, False),
        ({"kind": "status", "status": 500, "content_type": "text/html", "body": "<html>oops</html>"}, False),
    ],
)
def test_whether_it_was_done_or_not_it_stands_there_once_in_the_end(world, travel, fault, done):
    """Rows 19 and 20: no answer, or one in HTML, tells nothing; only a look does."""
    world.purchase("12.50")
    world.sandbox.faults.add(**WRITE, **fault)

    world.sync()
    at_first = len(world.books.live())
    travel(minutes=11)
    settle(world)
    world.sync()

    assert at_first == done
    assert [record.total for record in world.books.live()] == [Decimal("12.50")]
    assert the_row().state == State.POSTED


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "truncate"])
def test_contacts_are_created_once_whatever_becomes_of_the_answer(acme, xero, again, soon, fault):
    """Row 19: a contact made twice would be refused, and then its purchases for ever."""
    new = acme.entry(1, party=Party(name="Delta Air Lines"))
    acme.desk.faults.add(fault, method="PUT", path="Contacts")

    first = xero.post([new], soon)[new.key]
    if isinstance(first, NotSent | Unknown):
        again().post([new], soon)

    assert [one.name for one in acme.organisation.contacts.values()].count("Delta Air Lines") == 1
    assert len(acme.organisation.live()) == 1


def test_an_organisation_offline_is_waited_for_and_nobody_is_asked_to_connect(world, travel):
    """Row 20: a text under a 503 is no end of the sign-in."""
    world.purchase("12.50")
    world.books.offline = True
    run = world.sync()
    offline = run.status
    world.connection.refresh_from_db()

    world.books.offline = False
    travel(minutes=20)
    engine.advance(run.pk)
    runs.confirm(run, world.user)
    engine.advance(run.pk)

    assert (offline, world.connection.state) == (SyncRun.Status.PAUSED, Connection.State.READY)
    assert len(world.books.live()) == 1
