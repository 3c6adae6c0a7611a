"""Receipts in the simulated Business Central: incoming document files of journal lines and of posted documents."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.dynamics365 import journals
from sandbox.dynamics365.company import Company
from sandbox.server import Desk
from tests.sandbox.bc_journal import JSON, NOWHERE, ZEROS, Books, open_books

PDF = b"%PDF-1.4 receipt"


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def company(books: Books) -> Company:
    return books.company


@pytest.fixture
def line(books: Books) -> str:
    """Id of the credit line of a purchase."""
    return books.pair()[1]["id"]


def attached(books: Books, parent: str, name: str = "receipt.pdf", **members: Any) -> JSON:
    return books.made("attachments", {"parentId": parent, "parentType": "Journal", "fileName": name, **members})


def filled(books: Books, file: str, content: bytes = PDF, **headers: str) -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream", "If-Match": "*", **headers}
    return books.ask("PATCH", f"attachments({file})/attachmentContent", content=content, headers=headers)


def files_of(books: Books, parent: str) -> list[JSON]:
    return books.rows("attachments", filter=f"parentId eq {parent} and parentType eq 'Journal'")


# Two steps


def test_a_file_is_made_empty_and_filled_afterwards(books: Books, line: str):
    made = attached(books, line)
    assert {name: made[name] for name in ("parentId", "parentType", "fileName", "byteSize")} == {
        "parentId": line,
        "parentType": "Journal",
        "fileName": "receipt.pdf",
        "byteSize": 0,
    }
    answer = filled(books, made["id"])
    assert (answer.status_code, answer.content) == (204, b"")
    (row,) = files_of(books, line)
    assert (row["id"], row["byteSize"]) == (made["id"], len(PDF))
    content = books.ask("GET", f"attachments({made['id']})/attachmentContent")
    assert (content.content, content.headers["content-type"]) == (PDF, "application/octet-stream")


def test_the_bytes_may_be_answered_with_200_and_need_an_etag(books: Books, line: str):
    books.world.switches.content_answer = "200"
    made = attached(books, line)
    answer = filled(books, made["id"], **{"If-Match": made["@odata.etag"]})
    assert (answer.status_code, answer.json()["byteSize"]) == (200, len(PDF))
    stale = filled(books, made["id"], b"other", **{"If-Match": made["@odata.etag"]})
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "Request_EntityChanged")
    assert filled(books, made["id"], b"newer").status_code == 200
    assert files_of(books, line)[0]["byteSize"] == len(b"newer")


def test_an_interrupted_second_step_leaves_a_file_without_bytes(books: Books, line: str):
    made = attached(books, line)
    books.desk.faults.add("drop_before", system="bc-api", method="PATCH", path="attachmentContent")
    with pytest.raises(httpx.HTTPError):
        filled(books, made["id"])
    (row,) = files_of(books, line)
    assert (row["id"], row["byteSize"]) == (made["id"], 0)
    assert filled(books, made["id"]).status_code == 204
    assert [row["byteSize"] for row in files_of(books, line)] == [len(PDF)]


def test_a_file_may_be_made_below_its_line(books: Books, line: str):
    made = books.made(f"journalLines({line})/attachments", {"fileName": "a.pdf"})
    assert (made["parentId"], made["parentType"]) == (line, "Journal")
    assert [row["id"] for row in books.rows(f"journalLines({line})/attachments")] == [made["id"]]


def test_a_vendors_line_the_api_does_not_show_can_carry_a_file(books: Books, company: Company):
    (vendor,) = company.vendors.values()
    hidden = books.made_line(accountType="Vendor", accountNumber=vendor.number)["id"]
    assert attached(books, hidden)["parentId"] == hidden
    assert len(files_of(books, hidden)) == 1


# Whose parent is not found


@pytest.mark.parametrize(
    "members",
    [
        {"parentId": NOWHERE, "parentType": "Journal"},
        {"parentId": "line", "parentType": "Sales Invoice"},
        {"parentId": "line"},
        {"parentType": "Journal"},
        {},
    ],
)
def test_a_file_without_a_parent_to_be_found_is_stored_all_the_same(
    books: Books, company: Company, line: str, members: JSON
):
    sent = {name: line if value == "line" else value for name, value in members.items()}
    made = books.made("attachments", {"fileName": "receipt.pdf", **sent})
    assert (made["parentId"], made["parentType"]) == (ZEROS, "_x0020_")
    assert company.files_of(line) == []
    assert filled(books, made["id"]).status_code == 204
    assert [row["id"] for row in files_of(books, ZEROS)] == []
    assert [row["id"] for row in books.rows("attachments", filter=f"parentId eq {ZEROS} and parentType eq ' '")] == [
        made["id"]
    ]


def test_a_line_posted_between_two_files_takes_only_the_first(books: Books, company: Company, line: str):
    attached(books, line, "a.pdf")
    books.post_journal()
    late = attached(books, line, "b.pdf")
    assert late["parentId"] == ZEROS
    assert books.ask("DELETE", f"attachments({late['id']})").status_code == 204
    assert [one.name for one in company.attachments.values()] == ["a.pdf"]


@pytest.mark.parametrize("kind", ["Employee", "Job", "Item", "Customer", "Vendor"])
def test_parents_of_the_other_api_are_refused(books: Books, line: str, kind: str):
    body = {"parentId": line, "parentType": kind, "fileName": "a.pdf"}
    assert books.refused("POST", "attachments", body) == "Application_DialogException"


def test_the_other_api_has_no_place_for_journals(books: Books, line: str):
    body = {"parentId": line, "parentType": "Journal", "fileName": "a.pdf"}
    assert books.refused("POST", "documentAttachments", body) == "Application_DialogException"
    assert books.rows("documentAttachments") == []


# Names


@pytest.mark.parametrize(
    "name",
    [
        "",
        None,
        'a".pdf',
        "a<b.pdf",
        "a>.pdf",
        "a|b.pdf",
        "12:30.pdf",
        "a*.pdf",
        "a?.pdf",
        "a\\b.pdf",
        "a/b.pdf",
        "a\n.pdf",
    ],
)
def test_a_name_no_file_may_have_is_replaced_without_a_word(books: Books, line: str, name: str | None):
    assert attached(books, line, name)["fileName"] == "filename.txt"  # type: ignore[arg-type]


def test_names_keep_their_letters_and_are_cut_at_their_extension_only(books: Books, line: str):
    assert attached(books, line, "Müller & Co [1] #2.pdf")["fileName"] == "Müller & Co [1] #2.pdf"
    assert attached(books, line, "noextension")["fileName"] == "noextension"
    assert attached(books, line, f"a.{'x' * 31}")["fileName"] == f"a.{'x' * 30}"
    body = {"parentId": line, "parentType": "Journal", "fileName": f"{'x' * 247}.pdf"}
    assert books.refused("POST", "attachments", body) == "Application_StringExceededLength"


def test_the_same_name_twice_is_two_files(books: Books, line: str):
    attached(books, line)
    attached(books, line)
    assert [row["fileName"] for row in files_of(books, line)] == ["receipt.pdf"] * 2


def test_a_file_is_renamed_but_given_to_no_other_line(books: Books, line: str):
    made = attached(books, line)
    path = f"attachments({made['id']})"
    assert books.changed(path, {"fileName": "b.pdf", "parentId": line})["fileName"] == "b.pdf"
    for body in ({"parentId": ZEROS}, {"parentType": "Sales Invoice"}, {"parentType": "Vendor"}):
        assert books.refused("PATCH", path, body) == "Application_DialogException"
    for name in ("id", "byteSize", "lastModifiedDateTime"):
        assert books.refused("PATCH", path, {name: 1}) == "BadRequest_InvalidOperation"


# Lists


def test_a_list_by_parent_needs_its_type_and_a_parent_that_is_there(books: Books, company: Company, line: str):
    attached(books, line)
    assert books.refused("GET", f"attachments?$filter=parentId eq {line}") == "Application_DialogException"
    debit = next(iter(books.journal.lines))
    assert files_of(books, debit) == []
    gone = f"attachments?$filter=parentId eq {line} and parentType eq 'Journal'"
    journals.delete_line(company, books.journal.lines[line])
    assert books.refused("GET", gone) == "Application_DialogException"


# Posted documents


def test_the_files_of_a_posted_document_are_those_of_each_of_its_entries(books: Books, company: Company, line: str):
    first = attached(books, line, "a.pdf")
    filled(books, first["id"])
    books.pair("PEX982")
    books.post_journal()
    debit, credit, other, _ = company.entries.values()
    assert company.posted_documents == {first["id"]: ("PEX981", debit.posting_date)}
    for entry in (debit, credit):
        (row,) = files_of(books, entry.id)
        assert (row["id"], row["parentId"], row["parentType"]) == (first["id"], entry.id, "Journal")
        assert len(books.rows(f"generalLedgerEntries({entry.id})/attachments")) == 1
    assert files_of(books, other.id) == []
    assert books.one(f"attachments({first['id']})")["parentId"] == debit.id
    assert books.ask("GET", f"attachments({first['id']})/attachmentContent").content == PDF


def test_a_late_receipt_goes_on_an_entry_and_serves_the_whole_document(books: Books, company: Company, line: str):
    books.post_journal()
    debit, credit = company.entries.values()
    late = attached(books, credit.id, "late.pdf")
    assert (late["parentId"], late["parentType"], late["byteSize"]) == (credit.id, "Journal", 0)
    filled(books, late["id"])
    assert [row["byteSize"] for row in files_of(books, debit.id)] == [len(PDF)]
    below = books.made(f"generalLedgerEntries({debit.id})/attachments", {"fileName": "b.pdf"})
    assert below["parentId"] == debit.id
    assert [row["fileName"] for row in files_of(books, credit.id)] == ["late.pdf", "b.pdf"]


def test_files_follow_a_document_its_posting_series_renumbered(books: Books, company: Company, line: str):
    books.journal.posting_series = "GJNL-POST"
    made = attached(books, line)
    books.post_journal()
    assert company.posted_documents[made["id"]][0] == "G00001"
    assert [row["id"] for row in files_of(books, next(iter(company.entries)))] == [made["id"]]


def test_with_its_last_file_an_incoming_document_is_gone(books: Books, company: Company, line: str):
    first, second = attached(books, line, "a.pdf"), attached(books, line, "b.pdf")
    books.post_journal()
    entry = next(iter(company.entries))
    assert books.ask("DELETE", f"attachments({first['id']})").status_code == 204
    assert [row["id"] for row in files_of(books, entry)] == [second["id"]]
    assert books.ask("DELETE", f"attachments({second['id']})").status_code == 204
    assert files_of(books, entry) == []
    assert (company.attachments, company.posted_documents) == ({}, {})
    assert books.refused("DELETE", f"attachments({second['id']})", status=404) == "Internal_RecordNotFound"
