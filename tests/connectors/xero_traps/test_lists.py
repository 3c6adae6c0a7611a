from datetime import date
from decimal import Decimal

import pytest

from connectors.records import Fate, Party, Posted

pytestmark = pytest.mark.database

AWKWARD = ['Joe\'s "Diner"', "AT&T", "1+1 Shop", "Back\\slash", "100 % Cotton", "Q\"uo'te & more+"]


def fill(acme, count):
    for number in range(1, count + 1):
        key = f"PEXT{8000000 + number}"
        acme.organisation.post_by_hand(
            reference=key, url=acme.url(key), amount="41.87", bank_account=acme.bank, date=date(2026, 7, 3)
        )


@pytest.mark.parametrize("name", AWKWARD)
def test_no_letter_of_a_merchants_name_breaks_a_question_to_xero(acme, xero, soon, again, name):
    """Rows 38 and 39: a quote cannot be asked for, a raw ampersand cuts the question, a plus becomes a blank."""
    for number in (1, 2):
        outcome = again().post([acme.entry(number, party=Party(name=name))], soon)

        assert [type(one) for one in outcome.values()] == [Posted]

    assert [one.name for one in acme.organisation.contacts.values()] == ["Shell", name]
    assert {call.status for call in acme.desk.calls.matching("xero-api")} == {200}


@pytest.mark.parametrize("reference", ["", 'He said "paid"', "A & B", "7+7", "'x'"])
def test_whatever_a_person_wrote_into_a_reference_a_look_gets_its_answer(acme, xero, soon, again, reference):
    """Row 38: rows without a reference are null to a filter, and one unguarded is an error."""
    entry = acme.entry(1)
    record_id = xero.post([entry], soon)[entry.key].record_id
    acme.organisation.edit(record_id, reference=reference)
    acme.organisation.post_by_hand("", "41.87", bank_account=acme.bank)

    found = again().find([acme.sent(entry, in_doubt=True), acme.sent(acme.entry(2), in_doubt=True)])

    assert (found[entry.key].fate, found["PEXT8000002"].fate) == (Fate.LIVE, Fate.ABSENT)
    assert {call.status for call in acme.desk.calls.matching("xero-api")} == {200}


@pytest.mark.parametrize("switches", [{"where_or": False}, {"references": False}, {"references": True}])
def test_a_look_needs_nothing_that_some_servers_lack(acme, xero, again, switches):
    """Rows 38 and 41: neither `OR` nor a list of references may be counted on."""
    acme.switch(**switches)
    fill(acme, 60)
    acme.organisation.add_foreign_transactions(300)

    found = xero.find([acme.sent(acme.entry(number), in_doubt=True) for number in (1, 30, 60, 61)])

    assert [what.fate for what in found.values()] == [Fate.LIVE, Fate.LIVE, Fate.LIVE, Fate.ABSENT]


@pytest.mark.parametrize("pagination", [True, False])
def test_contacts_beyond_the_first_page_are_known(acme, xero, soon, pagination):
    """Row 40: where Xero does not count the pages, a short one is the last."""
    acme.switch(pagination=pagination)
    acme.organisation.add_foreign_contacts(2100)

    outcome = xero.post([acme.entry(1, party=Party(name="Supplier 02100 Inc"))], soon)["PEXT8000001"]

    assert isinstance(outcome, Posted)
    assert len(acme.organisation.contacts) == 2101
    assert acme.calls("GET", "Contacts") == 3


def test_the_books_are_listed_beyond_one_page_with_every_amount(acme, xero):
    """Row 40: without a page Xero leaves the lines out and shows a hundred rows."""
    fill(acme, 1100)

    records = xero.books(date(2026, 7, 3), date(2026, 7, 3))

    assert len(records) == 1100
    assert {record.amount for record in records} == {Decimal("41.87")}


def test_what_is_too_broad_for_xero_is_asked_more_narrowly(acme, xero):
    """Row 41: a filter that matches too many rows is refused with a 400."""
    fill(acme, 40)
    acme.organisation.post_by_hand("", "41.87", bank_account=acme.bank)
    acme.switch(most_rows=10)

    found = xero.find([acme.sent(acme.entry(number), in_doubt=True) for number in (1, 20, 999)])

    assert [what.fate for what in found.values()] == [Fate.LIVE, Fate.LIVE, Fate.ABSENT]


def test_a_row_in_doubt_is_never_called_absent_while_xero_refuses_to_list(acme, xero):
    """Row 41: what was not covered by the look is unseen, however narrowly it was asked for."""
    fill(acme, 3)
    acme.switch(most_rows=0)

    found = xero.find([acme.sent(acme.entry(number), in_doubt=True) for number in (1, 9)])

    assert [what.fate for what in found.values()] == [Fate.UNSEEN, Fate.ABSENT]


def test_pages_are_walked_by_the_last_change_to_the_second(acme, xero):
    """Row 42: changes since a moment are told to the second, the moment itself included."""
    fill(acme, 1500)

    found = xero.find([acme.sent(acme.entry(number)) for number in (1, 700, 1500)])

    assert {what.fate for what in found.values()} == {Fate.LIVE}
    walked = acme.desk.calls.matching("xero-api", "GET", "BankTransactions")
    assert "page=1" in walked[1].query
