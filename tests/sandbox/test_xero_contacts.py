"""Contacts of the simulated Xero."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books

TAKEN = (
    "The contact name Shell is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def names(books: Books, **query: str | int) -> list[str]:
    return [row["Name"] for row in books.records("Contacts", **query)]


def test_a_batch_of_new_contacts_gets_ids(books: Books):
    answer = books.put("Contacts", {"Name": "Shell", "EmailAddress": "a@shell.example"}, {"Name": "Café Zoë"})
    assert answer.status_code == 200
    shell, cafe = answer.json()["Contacts"]
    assert books.organisation.contacts[shell["ContactID"]].email == "a@shell.example"
    assert (cafe["Name"], cafe["ContactStatus"]) == ("Café Zoë", "ACTIVE")


def test_a_name_is_unique_among_active_contacts_without_case_and_accents(books: Books):
    books.organisation.add_contact("Shell")
    answer = books.put("Contacts", {"Name": "Shell"})
    assert answer.json()["Elements"][0]["ValidationErrors"] == [{"Message": TAKEN}]
    assert books.put("Contacts", {"Name": "SHÉLL"}).status_code == 400
    assert books.put("Contacts", {"Name": "Twin"}, {"Name": "twin"}).status_code == 400
    assert names(books) == ["Shell"]


def test_mixed_batches_save_the_good_ones(books: Books):
    books.organisation.add_contact("Shell")
    answer = books.put("Contacts", {"Name": "Shell"}, {"Name": "Delta"}, {}, query="?summarizeErrors=false")
    assert answer.status_code == 200
    rows = answer.json()["Contacts"]
    assert [row["StatusAttributeString"] for row in rows] == ["ERROR", "OK", "ERROR"]
    assert names(books) == ["Shell", "Delta"]


def test_a_refused_contact_may_carry_no_id_or_one_that_looks_real(books: Books):
    shell = books.organisation.add_contact("Shell")

    def id_of_the_refused() -> str | None:
        answer = books.put("Contacts", {"Name": "Shell"}, query="?summarizeErrors=false")
        return answer.json()["Contacts"][0].get("ContactID")

    assert id_of_the_refused() == "00000000-0000-0000-0000-000000000000"
    books.world.switches.failed_id = "none"
    assert id_of_the_refused() is None
    books.world.switches.failed_id = "real"
    assert id_of_the_refused() not in (None, shell.id)


def test_new_contacts_may_be_answered_in_another_order(books: Books):
    books.world.switches.shuffled = True
    answer = books.put("Contacts", {"Name": "One"}, {"Name": "Two"}, {"Name": "Three"})
    assert [row["Name"] for row in answer.json()["Contacts"]] == ["Two", "Three", "One"]


def test_post_returns_the_contact_that_has_the_name_or_the_number(books: Books):
    shell = books.organisation.add_contact("Shell", number="C-1")
    answer = books.post("Contacts", {"Name": "shell"}, {"ContactNumber": "C-1"}, {"Name": "New"})
    assert [row["ContactID"] for row in answer.json()["Contacts"]][:2] == [shell.id, shell.id]
    assert len(books.organisation.contacts) == 2


def test_post_with_an_id_changes_the_contact(books: Books):
    shell = books.organisation.add_contact("Shell")
    books.post("Contacts", {"ContactID": shell.id, "Name": "Shell Oil"})
    assert shell.name == "Shell Oil"
    assert books.put("Contacts", {"Name": "Shell"}).status_code == 200
    refused = books.call("POST", f"Contacts/{shell.id}", json={"Name": "Shell"})
    assert refused.json()["Elements"][0]["ValidationErrors"] == [{"Message": TAKEN}]


@pytest.mark.parametrize(
    "sent",
    [{"Name": "x" * 256}, {"Name": "A", "ContactNumber": "1" * 51}, {"Name": "A", "AccountNumber": "taken"}],
)
def test_too_long_or_taken_members_are_refused(books: Books, sent: dict[str, Any]):
    books.organisation.add_contact("Shell", account_number="taken")
    assert books.put("Contacts", sent).status_code == 400


def test_archived_contacts_are_hidden_unless_asked_for_and_can_be_restored(books: Books):
    gone = books.organisation.add_contact("Gone", status="ARCHIVED")
    assert names(books) == []
    assert names(books, includeArchived="true") == ["Gone"]
    books.post("Contacts", {"ContactID": gone.id, "ContactStatus": "ACTIVE"})
    assert names(books) == ["Gone"]
    books.post("Contacts", {"ContactID": gone.id, "ContactStatus": "ARCHIVED"})
    assert names(books) == []


def test_a_contact_is_not_restored_beside_its_twin(books: Books):
    gone = books.organisation.add_contact("Shell", status="ARCHIVED")
    books.organisation.add_contact("Shell")
    answer = books.post("Contacts", {"ContactID": gone.id, "ContactStatus": "ACTIVE"})
    assert answer.json()["Elements"][0]["ValidationErrors"] == [{"Message": TAKEN}]


def test_contacts_are_found_by_name_term_ids_and_page(books: Books):
    books.organisation.add_foreign_contacts(250)
    cafe = books.organisation.add_contact("Café Zoë", email="zoe@cafe.example")
    assert names(books, where='Name=="CAFE ZOE"') == ["Café Zoë"]
    assert names(books, searchTerm="ZOE@") == ["Café Zoë"]
    assert names(books, IDs=cafe.id.upper()) == ["Café Zoë"]
    page = books.get("Contacts", page=3).json()
    assert (len(page["Contacts"]), page["pagination"]["itemCount"]) == (51, 251)
    assert len(names(books)) == 251


def test_a_summary_leaves_out_the_heavy_members(books: Books):
    books.organisation.add_contact("Shell")
    assert "Addresses" in books.records("Contacts")[0]
    (row,) = books.records("Contacts", summaryOnly="True", page=1)
    assert not {"Addresses", "ContactGroups", "IsSupplier"} & row.keys()


def test_use_makes_a_supplier_without_touching_the_stamp(books: Books):
    shell = books.organisation.add_contact("Shell")
    before = shell.updated
    books.accepted(books.spend())
    assert (shell.is_supplier, shell.is_customer, shell.updated) == (True, False, before)


def test_one_contact_is_found_by_id_or_number(books: Books):
    shell = books.organisation.add_contact("Shell", number="C-1")
    assert books.records(f"Contacts/{shell.id}")[0]["Name"] == "Shell"
    assert books.records("Contacts/C-1")[0]["Name"] == "Shell"
    assert books.get("Contacts/nobody").status_code == 404
