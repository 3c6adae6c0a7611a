from datetime import date, timedelta
from decimal import Decimal

import pytest

from connectors.records import Fate, Line, Party, Posted, Refused

pytestmark = pytest.mark.database


def test_every_batch_asks_for_an_answer_of_its_own_for_each_element(acme, xero, soon):
    """Row 21: otherwise one bad element refuses all the others."""
    bad = acme.entry(2, lines=(Line(Decimal("41.87"), acme.bank.id, "A bank account"),), party=Party(name="New one"))

    outcomes = xero.post([acme.entry(1), bad], soon)

    assert [type(outcome) for outcome in outcomes.values()] == [Posted, Refused]
    assert {call.query for call in acme.desk.calls.matching("xero-api", "PUT")} == {"summarizeErrors=false"}


def test_a_saved_element_with_a_warning_is_posted_and_the_warning_shown(acme, xero, soon):
    """Row 22: a warning is no refusal."""
    acme.switch(warned_elements=1)

    first, second = xero.post([acme.entry(1), acme.entry(2)], soon).values()

    assert isinstance(first, Posted)
    assert (first.says, second) == (
        "The document was saved and should be looked at.",
        Posted(second.record_id, second.link),
    )
    assert len(acme.organisation.live()) == 2


@pytest.mark.parametrize("failed_id", ["zero", "none", "real"])
def test_a_contact_xero_refuses_is_refused_whatever_id_it_carries(acme, xero, soon, failed_id):
    """Row 22: an id alone never proves that something was saved."""
    acme.organisation.add_contact("Delta", status="GDPRREQUEST", number="taken")
    acme.switch(failed_id=failed_id, archived_names="refuse")
    xero.options("party")
    acme.organisation.add_contact("Echo", status="ARCHIVED")

    refused, posted = xero.post(
        [acme.entry(1, party=Party(name="Echo")), acme.entry(2, party=Party(name="Foxtrot"))], soon
    ).values()

    assert (type(refused), type(posted)) == (Refused, Posted)
    assert [record.contact.name for record in acme.organisation.live()] == ["Foxtrot"]


def test_contacts_and_documents_answered_in_another_order_find_each_other(acme, xero, soon):
    """Row 23: Xero promises no order."""
    acme.switch(shuffled=True)
    names = [f"Merchant {number}" for number in range(7)]

    xero.post([acme.entry(number, party=Party(name=name)) for number, name in enumerate(names)], soon)

    assert {record.reference: record.contact.name for record in acme.organisation.live()} == {
        f"PEXT{8000000 + number}": name for number, name in enumerate(names)
    }


def test_a_batch_that_takes_its_time_is_waited_for(acme, xero, soon):
    """Row 23: the more elements, the longer the answer takes."""
    acme.switch(seconds_per_element=0.02)

    outcomes = xero.post([acme.entry(number) for number in range(20)], soon)

    assert {type(outcome) for outcome in outcomes.values()} == {Posted}
    assert acme.calls("PUT", "BankTransactions") == 1


def test_contacts_in_a_body_too_large_go_in_halves(acme, xero, soon):
    """Row 23: a 413 says that nothing was saved."""
    acme.switch(body_bytes=400)
    entries = [acme.entry(number, party=Party(name=f"Merchant {number:03}")) for number in range(30)]

    xero.prepare(entries)

    assert len(acme.organisation.contacts) == 31
    assert 413 in {call.status for call in acme.desk.calls.matching("xero-api", "PUT", "Contacts")}


def test_nothing_we_write_can_change_or_delete_what_stands_there(acme, xero, soon, again):
    """Row 24: POST updates and deletes, PUT only creates."""
    entry = acme.entry(1)
    xero.post([entry], soon)
    before = {one.id: (one.total, one.updated) for one in acme.organisation.live()}

    acme.desk.clock.advance(timedelta(minutes=10))
    again().post([entry], soon)
    again().find([acme.sent(entry, in_doubt=True)])

    assert {call.method for call in acme.desk.calls.matching("xero-api")} <= {"GET", "PUT"}
    assert before.items() <= {one.id: (one.total, one.updated) for one in acme.organisation.live()}.items()


def test_a_record_somebody_deleted_is_seen_as_dead_and_its_day_keeps_it(acme, xero, soon, again):
    """Row 24: deleting is a POST like any other, and the record is still listed."""
    entry = acme.entry(1)
    record_id = xero.post([entry], soon)[entry.key].record_id
    acme.organisation.void(record_id)

    assert again().find([acme.sent(entry, record_id=record_id)])[entry.key].fate is Fate.DEAD
    assert [record.live for record in again().books(date(2026, 7, 3), date(2026, 7, 3))] == [False]
