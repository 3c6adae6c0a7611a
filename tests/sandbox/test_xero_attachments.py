"""Receipts in the simulated Xero."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books

PDF = b"%PDF-1.4 receipt"


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def id(books: Books) -> str:
    return books.organisation.post_by_hand("PEX-1").id


def upload(books: Books, id: str, name: str, content: bytes = PDF, method: str = "PUT") -> httpx.Response:
    path = f"BankTransactions/{id}/Attachments/{quote(name, safe='')}"
    return books.call(method, path, content=content, headers={"Content-Type": "application/octet-stream"})


def test_a_receipt_is_stored_with_the_type_its_name_says(books: Books, id: str):
    (told,) = upload(books, id, "pex-1.pdf").json()["Attachments"]
    assert (told["MimeType"], told["ContentLength"]) == ("application/pdf", len(PDF))
    assert told["Url"].startswith(f"{books.desk.url}/xero-api/api.xro/2.0/BankTransactions/{id}/Attachments/")
    assert books.records("BankTransactions", page=1)[0]["HasAttachments"] is True
    listed = books.get(f"BankTransactions/{id}/Attachments").json()["Attachments"]
    assert listed == [told]


def test_the_bytes_come_back_by_name_and_by_id(books: Books, id: str):
    (told,) = upload(books, id, "müller & co [1].pdf").json()["Attachments"]
    for name in ("müller & co [1].pdf", told["AttachmentID"]):
        answer = books.get(f"BankTransactions/{id}/Attachments/{quote(name, safe='')}")
        assert (answer.content, answer.headers["content-type"]) == (PDF, "application/pdf")
    assert books.get(f"BankTransactions/{id}/Attachments/other.pdf").status_code == 404


def test_the_same_name_overwrites_and_keeps_its_id(books: Books, id: str):
    first = upload(books, id, "a.pdf").json()["Attachments"][0]["AttachmentID"]
    second = upload(books, id, "a.pdf", b"%PDF newer", "POST").json()["Attachments"][0]["AttachmentID"]
    assert first == second
    (stored,) = books.organisation.bank_transactions[id].attachments
    assert stored.content == b"%PDF newer"


@pytest.mark.parametrize("name", ["a<b.pdf", "a/b.pdf", "a?.pdf", "a:b.pdf", "a|b.pdf", "a\\b.pdf", 'a".pdf', "a*.pdf"])
def test_forbidden_characters_are_refused(books: Books, id: str, name: str):
    assert upload(books, id, name).status_code == 400


def test_raw_brackets_are_refused(books: Books, id: str):
    url = f"{books.desk.url}/xero-api/api.xro/2.0/BankTransactions/{id}/Attachments/a.pdf"
    request = books.http.build_request("PUT", url, content=PDF)
    request.url = httpx.URL(url).copy_with(raw_path=request.url.raw_path.replace(b"a.pdf", b"a[1].pdf"))
    assert books.http.send(request).status_code == 400


@pytest.mark.parametrize("name", ["photo.heic", "page.html", "noextension", "x" * 252 + ".pdf"])
def test_types_xero_does_not_list_and_overlong_names_are_refused(books: Books, id: str, name: str):
    assert upload(books, id, name).status_code == 400
    assert books.organisation.bank_transactions[id].attachments == []


def test_ten_files_are_the_most_and_ten_megabytes_the_largest(books: Books, id: str):
    for number in range(10):
        assert upload(books, id, f"{number}.pdf").status_code == 200
    assert upload(books, id, "11.pdf").status_code == 400
    assert upload(books, id, "9.pdf", b"again").status_code == 200
    books.world.switches.attachment_bytes = 100
    answer = upload(books, id, "9.pdf", b"x" * 101)
    assert (answer.status_code, answer.json()["Detail"]) == (413, "PayloadTooLarge")


def test_an_empty_file_and_an_unknown_document_are_refused(books: Books, id: str):
    assert upload(books, id, "a.pdf", b"").status_code == 400
    assert upload(books, "00000000-0000-0000-0000-000000000000", "a.pdf").status_code == 404


def test_a_slow_upload_takes_its_time(books: Books, id: str):
    books.world.switches.seconds_per_upload = 0.2
    assert upload(books, id, "a.pdf").elapsed.total_seconds() >= 0.2


def test_accounts_and_contacts_carry_files_too(books: Books):
    contact = books.organisation.add_contact("Shell")
    account = books.organisation.account("449")
    for path in (f"Contacts/{contact.id}", f"Accounts/{account.id}"):
        assert books.call("PUT", f"{path}/Attachments/a.txt", content=b"hello").status_code == 200
        assert len(books.get(f"{path}/Attachments").json()["Attachments"]) == 1
