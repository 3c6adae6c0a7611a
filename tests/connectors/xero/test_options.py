import pytest

from connectors.records import Kind, NotSent, Party, Posted, Refused

pytestmark = pytest.mark.database


def post(acme, xero, soon, *names):
    batch = [acme.entry(number, party=Party(name=name)) for number, name in enumerate(names, 1)]
    return list(xero.post(batch, soon).values())


def names(acme):
    return sorted(contact.name for contact in acme.organisation.contacts.values())


# --- contacts


def test_a_known_merchant_is_used_and_a_new_one_created(acme, xero, soon):
    post(acme, xero, soon, "SHELL", "Delta Air Lines")

    assert names(acme) == ["Delta Air Lines", "Shell"]
    assert [record.contact.name for record in acme.organisation.live()] == ["Shell", "Delta Air Lines"]


@pytest.mark.parametrize("names_in_pex", [("Café Zoë", "CAFE ZOE"), ("Blue  Door", "blue door "), ('"Q"', '"q"')])
def test_equal_new_names_in_one_batch_become_one_contact(acme, xero, soon, names_in_pex):
    outcomes = post(acme, xero, soon, *names_in_pex)

    assert [type(outcome) for outcome in outcomes] == [Posted, Posted]
    assert len(acme.organisation.contacts) == 2
    assert acme.calls("PUT", "Contacts") == 1


@pytest.mark.parametrize("name", ['The "Blue Door" Diner', "O'Brien & Sons", "a\\b", "100% + more #7"])
def test_a_name_is_kept_letter_by_letter_and_found_again(acme, xero, again, soon, name):
    post(acme, xero, soon, name)
    post(acme, again(), soon, name)

    assert names(acme) == sorted([name, "Shell"])


def test_contacts_are_read_once_per_run(acme, xero, soon):
    acme.organisation.add_foreign_contacts(2_500)

    post(acme, xero, soon, "One")
    post(acme, xero, soon, "Two")

    assert acme.calls("GET", "Contacts") == 3


def test_chosen_contacts_are_asked_for_by_name_of_their_ids_once_per_run(acme, xero, soon):
    acme.organisation.add_foreign_contacts(2_500)
    fees = acme.organisation.add_contact("PEX")

    xero.post([acme.entry(1, party=Party(id=acme.shell.id)), acme.entry(2, party=Party(id=fees.id))], soon)
    xero.post([acme.entry(3, party=Party(id=fees.id))], soon)

    assert acme.calls("GET", "Contacts") == 1
    assert [record.contact for record in acme.organisation.live()] == [acme.shell, fees, fees]


def test_a_chosen_contact_that_was_archived_or_is_gone_is_said_before_anything_is_sent(acme, xero, soon):
    acme.organisation.change_contact(acme.shell, status="ARCHIVED")
    fee = acme.entry(1, kind=Kind.FEE, party=Party(id=acme.shell.id))
    gone = acme.entry(2, party=Party(id="00000000-1111-4222-8333-444444444444"))

    outcomes = xero.post([fee, gone], soon)

    assert (outcomes[fee.key].cause, outcomes[fee.key].field) == ("contact_archived", "fee:party")
    assert "not in Xero any more" in outcomes[gone.key].says
    assert acme.calls("PUT") == 0


def test_a_chosen_contact_that_was_merged_leads_to_the_other_one(acme, xero, soon):
    second = acme.organisation.add_contact("Shell Oil", status="ARCHIVED", merged_to=acme.shell.id)
    first = acme.organisation.add_contact("Shell Gas", status="ARCHIVED", merged_to=second.id)

    xero.post([acme.entry(1, party=Party(id=first.id))], soon)

    assert acme.organisation.live()[0].contact is acme.shell


def test_sixty_new_contacts_take_two_calls(acme, xero):
    xero.prepare([acme.entry(number, party=Party(name=f"Merchant {number}")) for number in range(60)])

    assert acme.calls("PUT", "Contacts") == 2
    assert len(acme.organisation.contacts) == 61


def test_an_archived_contact_is_not_doubled_but_said(acme, xero, soon):
    acme.organisation.change_contact(acme.shell, status="ARCHIVED")

    (refused,) = post(acme, xero, soon, "Shell")

    assert (refused.cause, refused.field) == ("contact_archived", "party")
    assert "“Shell” is archived" in refused.says
    assert names(acme) == ["Shell"]


def test_an_active_contact_wins_over_an_archived_one_of_its_name(acme, xero, soon):
    acme.organisation.add_contact("Shell", status="ARCHIVED")

    (outcome,) = post(acme, xero, soon, "Shell")

    assert isinstance(outcome, Posted)


def test_a_merged_contact_leads_to_the_one_it_was_merged_into(acme, xero, soon):
    old = acme.organisation.add_contact("Shell Oil", status="ARCHIVED", merged_to=acme.shell.id)

    post(acme, xero, soon, "Shell Oil")
    xero.post([acme.entry(7, party=Party(id=old.id))], soon)

    assert acme.organisation.live()[0].contact is acme.shell


def test_a_purchase_without_a_merchant_is_refused(acme, xero, soon):
    (refused,) = post(acme, xero, soon, "  ")

    assert (refused.cause, refused.field) == ("contact", "party")


def test_a_contact_somebody_else_created_meanwhile_is_used(acme, xero, soon):
    xero.options("party")
    acme.organisation.add_contact("Delta Air Lines")

    (outcome,) = post(acme, xero, soon, "delta air lines")

    assert isinstance(outcome, Posted)
    assert names(acme) == ["Delta Air Lines", "Shell"]


def test_a_lost_answer_makes_no_second_contact(acme, xero, soon):
    acme.desk.faults.add("drop_after", method="PUT", path="Contacts")

    (outcome,) = post(acme, xero, soon, "Delta Air Lines")

    assert isinstance(outcome, Posted)
    assert names(acme) == ["Delta Air Lines", "Shell"]


def test_entries_whose_contact_got_lost_are_not_sent_and_the_others_are(acme, xero, again, soon):
    acme.desk.faults.add("drop_before", method="PUT", path="Contacts")

    known, lost = post(acme, xero, soon, "Shell", "Delta Air Lines")
    (later,) = post(acme, again(), soon, "Delta Air Lines")[:1]

    assert (type(known), type(lost), type(later)) == (Posted, NotSent, Posted)


def test_a_contact_that_is_created_late_is_still_one(acme, xero, again, soon):
    acme.desk.faults.add("late_commit", method="PUT", path="Contacts", seconds=0.3)

    post(acme, xero, soon, "Delta Air Lines")
    post(acme, again(), soon, "Delta Air Lines", "Another")
    again().options("party")

    assert names(acme).count("Delta Air Lines") == 1


def test_a_name_xero_does_not_take_is_refused_alone(acme, xero, soon):
    body = '{"ErrorNumber": 14, "Type": "PostDataInvalidException", "Message": "bad name"}'
    for _ in range(2):
        acme.desk.faults.add(
            "status",
            method="PUT",
            path="Contacts",
            contains="Odd",
            status=400,
            content_type="application/json",
            body=body,
        )

    odd, fine = post(acme, xero, soon, "Odd", "Fine")

    assert odd == Refused("bad name")
    assert isinstance(fine, Posted)


def test_a_merchant_that_appears_ten_times_in_two_batches_is_created_once(acme, xero, soon):
    first = post(acme, xero, soon, *["Delta Air Lines"] * 10)
    second = post(acme, xero, soon, *["DELTA AIR LINES"] * 10)

    assert {type(outcome) for outcome in first + second} == {Posted}
    assert names(acme) == ["Delta Air Lines", "Shell"]
    assert acme.calls("PUT", "Contacts") == 1


def test_a_name_too_long_for_xero_is_cut_and_found_again(acme, xero, again, soon):
    long = "Very long merchant name " * 20

    post(acme, xero, soon, long)
    post(acme, again(), soon, long)

    assert sorted(len(name) for name in names(acme)) == [5, 255]


def test_the_contact_itself_is_never_touched(acme, xero, soon):
    before = acme.shell.updated, acme.shell.name

    post(acme, xero, soon, "SHELL")

    assert (acme.shell.updated, acme.shell.name) == before


def test_who_would_be_created_is_told_before_and_nobody_is(acme, xero):
    acme.organisation.add_contact("Old Diner", status="ARCHIVED")
    wanted = ["shell", "Delta", "DELTA", "Old Diner", "  ", "Zoë"]
    parties = [*(Party(name=name) for name in wanted), Party(id=acme.shell.id), Party()]

    assert [party.name for party in xero.missing_parties(parties)] == ["Delta", "Zoë"]
    assert acme.calls("PUT") == 0
    assert names(acme) == ["Old Diner", "Shell"]


def test_nobody_is_asked_for_when_all_are_known_by_id(acme, xero):
    assert xero.missing_parties([Party(id=acme.shell.id), Party()]) == []
    assert acme.calls() == 0


# --- settings


def test_expense_accounts_are_ordinary_ones_and_archived_ones_say_so(acme, xero):
    acme.organisation.add_account("610", "Accounts Receivable", "CURRENT", system_account="DEBTORS")
    acme.organisation.change_account(acme.office, status="ARCHIVED")

    found = {option.label: (option.active, option.group) for option in xero.options("account")}

    assert found == {"449 Motor Vehicle Expenses": (True, "Expense"), "453 Office Expenses": (False, "Expense")}


def test_the_account_for_pex_is_a_bank_account_with_its_currency(acme, xero):
    acme.organisation.add_bank_account("Euro", currency="EUR")

    assert {(option.name, option.group) for option in xero.options("pex_account")} == {
        ("PEX Cash", "USD"),
        ("Euro", "EUR"),
    }


def test_contacts_can_be_chosen(acme, xero):
    assert [(option.id, option.name) for option in xero.options("party")] == [(acme.shell.id, "Shell")]


def test_an_unknown_field_is_a_mistake_of_ours(xero):
    with pytest.raises(LookupError):
        xero.options("colour")
