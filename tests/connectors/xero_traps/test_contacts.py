import pytest

from connectors.records import Party, Posted, Refused

pytestmark = pytest.mark.database


def post(acme, xero, soon, *names):
    batch = [acme.entry(number, party=Party(name=name)) for number, name in enumerate(names, 1)]
    return list(xero.post(batch, soon).values())


def named(acme, name):
    return [one for one in acme.organisation.contacts.values() if one.name == name]


@pytest.mark.parametrize("name", ["SHELL", "shell", "  Shell ", "Shéll", "ＳＨＥＬＬ"])
def test_a_merchant_who_is_there_under_other_letters_is_not_made_again(acme, xero, soon, name):
    """Row 34: Xero takes names without case and accents for one, and refuses a second."""
    (outcome,) = post(acme, xero, soon, name)

    assert isinstance(outcome, Posted)
    assert len(acme.organisation.contacts) == 1
    assert acme.calls("PUT", "Contacts") == 0


@pytest.mark.parametrize("mode", ["once", "twice"])
def test_a_new_merchant_that_stands_ten_times_in_a_batch_is_made_once(acme, xero, soon, mode):
    """Row 35: whether Xero makes one or ten of a name inside documents is not ours to try."""
    acme.switch(nested_contacts=mode)

    outcomes = post(acme, xero, soon, *["Delta Air Lines"] * 10)

    assert {type(outcome) for outcome in outcomes} == {Posted}
    assert len(named(acme, "Delta Air Lines")) == 1
    assert acme.calls("PUT", "Contacts") == 1


def test_posting_never_changes_a_contact(acme, xero, soon):
    """Row 36: whatever stands beside a contact's id overwrites the contact."""
    acme.organisation.change_contact(acme.shell, email="ap@shell.example", number="V-7")
    before = (acme.shell.name, acme.shell.email, acme.shell.number, acme.shell.updated)

    post(acme, xero, soon, "SHELL")

    assert (acme.shell.name, acme.shell.email, acme.shell.number, acme.shell.updated) == before
    assert [record.contact for record in acme.organisation.live()] == [acme.shell]


def test_a_contact_archived_after_it_was_read_is_said_and_not_made_again(acme, xero, soon):
    """Row 37: what we know of the contacts may be old by the time we post."""
    xero.options("party")
    acme.organisation.change_contact(acme.shell, status="ARCHIVED")

    (refused,) = post(acme, xero, soon, "Shell")

    assert (type(refused), refused.cause, refused.field) == (Refused, "contact_archived", "party")
    assert len(acme.organisation.contacts) == 1


@pytest.mark.parametrize("mode", ["create", "refuse"])
def test_a_merchant_named_like_an_archived_contact_is_said_whatever_xero_would_do(acme, xero, soon, mode):
    """Row 37: Xero may make a second one or refuse it; a person decides which they want."""
    acme.switch(archived_names=mode)
    acme.organisation.change_contact(acme.shell, status="ARCHIVED")

    (refused,) = post(acme, xero, soon, "Shell")

    assert refused.cause == "contact_archived"
    assert len(acme.organisation.contacts) == 1


def test_a_contact_merged_since_leads_to_the_other_one(acme, xero, soon, again):
    """Row 37: a merge leaves the stamp as it was, so it is not among what changed."""
    post(acme, xero, soon, "Delta Air Lines")
    (delta,) = named(acme, "Delta Air Lines")
    acme.organisation.merge_contact(delta, acme.shell)

    outcome = again().post([acme.entry(2, party=Party(name="Delta Air Lines"))], soon)["PEXT8000002"]

    assert isinstance(outcome, Posted)
    assert {record.contact for record in acme.organisation.live()} == {acme.shell}


def test_a_name_of_300_letters_is_made_once_and_found_again(acme, xero, soon, again):
    """Row 34: Xero keeps 255 letters of it."""
    name = "Very long merchant name " * 13

    post(acme, xero, soon, name)
    again().post([acme.entry(2, party=Party(name=name))], soon)

    assert len(acme.organisation.contacts) == 2
    assert len(acme.organisation.live()) == 2
