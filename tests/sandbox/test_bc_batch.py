"""$batch of the simulated Business Central: order, failures, snapshots, forms of the answer."""

from collections.abc import Iterator
from copy import deepcopy
from email import message_from_bytes
from typing import Any

import pytest

from sandbox.dynamics365.company import Company
from sandbox.server import Desk
from tests.sandbox.bc_books import JSON, Books, open_books, refused, statuses


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def good(books: Books, number: str = "PEX981", **changes: Any) -> dict[str, Any]:
    return books.operation("POST", books.lines_of(), books.line(documentNumber=number, **changes))


def bad(books: Books) -> dict[str, Any]:
    return good(books, accountNumber="99999")


def numbers(books: Books) -> list[str]:
    return [line.document_number for line in books.journal.lines.values()]


def state(company: Company) -> dict[str, Any]:
    """Everything a person would see; counters may go on."""
    return {
        "lines": [deepcopy(vars(line)) for journal in company.journals.values() for line in journal.lines.values()],
        "journals": [(one.id, one.code, one.name, one.version) for one in company.journals.values()],
        "vendors": {id: deepcopy(vars(one)) for id, one in company.vendors.items()},
        "files": {id: deepcopy(vars(one)) for id, one in company.attachments.items()},
        "entries": list(company.entries),
        "posted": dict(company.posted_documents),
    }


# Answers


def test_each_operation_has_its_answer_in_order(books: Books):
    answer = books.batch(
        {"id": "a", **good(books, "PEX1")},
        {"id": "b", **books.operation("GET", "accounts?$select=number&$top=1")},
        {**good(books, "PEX2")},
        {"id": "d", **books.operation("DELETE", f"vendors({books.company.add_vendor('Target').id})")},
    )
    assert answer.headers["content-type"].startswith("application/json")
    first, second, third, fourth = answer.json()["responses"]
    assert [one["id"] for one in (first, second, third, fourth)] == ["a", "b", None, "d"]
    assert [one["status"] for one in (first, second, third, fourth)] == [201, 200, 201, 204]
    assert first["body"]["documentNumber"] == "PEX1"
    assert first["headers"]["location"].endswith(f"journalLines({first['body']['id']})")
    assert [set(row) for row in second["body"]["value"]] == [{"@odata.etag", "number"}]
    assert "body" not in fourth
    assert numbers(books) == ["PEX1", "PEX2"]


@pytest.mark.parametrize("accept", ["*/*", "multipart/mixed", ""])
def test_without_json_asked_for_the_answer_is_multipart(books: Books, accept: str):
    answer = books.batch(good(books), bad(books), Accept=accept)
    assert answer.status_code == 200
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    first, second = message_from_bytes(head + answer.content).get_payload()
    assert first["Content-Type"] == "application/http"
    assert first.get_payload().startswith("HTTP/1.1 201 Created")
    assert '"documentNumber":"PEX981"' in first.get_payload()
    assert second.get_payload().startswith("HTTP/1.1 400 Bad Request")


def test_an_empty_batch_has_no_answers(books: Books):
    assert books.batch().json() == {"responses": []}


# Addresses


@pytest.mark.parametrize(
    ("prefix", "query", "outer", "inner"),
    [
        ("companies({id})/", "", {}, {}),
        ("/companies({id})/", "", {}, {}),
        ("", "?company={id}", {}, {}),
        ("/", "?company={name}", {}, {}),
        ("", "", {"CompanyId": "{id}"}, {}),
        ("", "", {"Company": "{name}"}, {}),
        ("", "", {}, {"CompanyId": "{id}"}),
    ],
)
def test_the_company_stands_in_the_address_or_beside_it(
    books: Books, prefix: str, query: str, outer: dict[str, str], inner: dict[str, str]
):
    def filled(text: str) -> str:
        return text.format(id=books.company.id, name=books.company.name)

    operation = {
        "method": "POST",
        "url": f"{filled(prefix)}{books.lines_of()}?$select=id",
        "headers": JSON | {name: filled(text) for name, text in inner.items()},
        "body": books.line(),
    }
    headers = {name: filled(text) for name, text in outer.items()}
    assert statuses(books.batch(operation, query=filled(query), **headers)) == [201]
    assert numbers(books) == ["PEX981"]


def test_the_company_of_the_operation_comes_before_that_of_the_batch(books: Books):
    other = books.world.add_company(books.environment, "Other LLC")
    operation = {"method": "GET", "url": f"accounts?company={books.company.id}&$top=1"}
    answer = books.batch(operation, query=f"?company={other.id}")
    assert len(answer.json()["responses"][0]["body"]["value"]) == 1
    answer = books.batch({"method": "GET", "url": "accounts"}, query=f"?company={other.id}")
    assert answer.json()["responses"][0]["body"]["value"] == []


def test_without_a_company_an_operation_is_404(books: Books):
    (one,) = books.batch({"method": "GET", "url": "accounts"}).json()["responses"]
    assert (one["status"], one["body"]["error"]["code"]) == (404, "Internal_CompanyNotFound")


def test_the_next_page_of_an_operation_has_an_absolute_address(books: Books):
    books.world.switches.page_size = 1
    (one,) = books.batch(books.operation("GET", "accounts?$top=2")).json()["responses"]
    rest = books.call("GET", one["body"]["@odata.nextLink"])
    assert [row["number"] for row in rest.json()["value"]] == ["40000"]


def test_a_count_in_a_batch_is_a_text(books: Books):
    (one,) = books.batch(books.operation("GET", "accounts/$count")).json()["responses"]
    assert (one["status"], one["body"]) == (200, "4")


# What is refused


def test_more_than_a_hundred_operations_are_refused_whole(books: Books):
    operations = [good(books, f"PEX{number}") for number in range(101)]
    assert refused(books.batch(*operations)) == (400, "Unknown")
    assert not books.journal.lines
    assert statuses(books.batch(*operations[:100])) == [201] * 100
    assert len(books.journal.lines) == 100


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"requests": {}},
        {"requests": ["GET"]},
        {"requests": [{"method": "GET"}]},
        {"requests": [{"url": "companies"}]},
        {"requests": [{"id": 1, "method": "GET", "url": "companies"}]},
        {"requests": [{"id": "1", "method": "GET", "url": "companies"}] * 2},
        {"requests": [{"method": "GET", "url": "companies", "headers": "none"}]},
    ],
)
def test_a_batch_that_is_none_is_refused(books: Books, content: Any):
    assert refused(books.call("POST", "$batch", json=content)) == (400, "BadRequest")


def test_a_batch_has_its_own_verb_and_type(books: Books):
    assert refused(books.call("GET", "$batch")) == (405, "BadRequest_MethodNotAllowed")
    answer = books.call("POST", "$batch", content=b"--batch", headers={"Content-Type": "multipart/mixed"})
    assert refused(answer) == (400, "BadRequest")


def test_change_sets_are_refused(books: Books):
    answer = books.batch({**good(books), "atomicityGroup": "g1"})
    assert refused(answer) == (500, "Internal_ServerError")
    assert not books.journal.lines


def test_an_operation_names_the_type_of_its_body(books: Books):
    operation = {**good(books), "headers": {}}
    (one,) = books.batch(operation).json()["responses"]
    assert (one["status"], one["body"]["error"]["code"]) == (400, "BadRequest")
    assert not books.journal.lines


def test_a_change_in_a_batch_needs_its_etag(books: Books):
    vendor = books.company.add_vendor("Target")
    operation = books.operation("PATCH", f"vendors({vendor.id})", {"displayName": "Shell"})
    (one,) = books.batch(operation).json()["responses"]
    assert (one["status"], one["body"]["error"]["code"]) == (400, "BadRequest_InvalidToken")
    operation = books.operation("PATCH", f"vendors({vendor.id})", {"displayName": "Shell"}, **{"If-Match": "*"})
    assert statuses(books.batch(operation)) == [200]
    assert vendor.name == "Shell"


def test_bytes_do_not_go_through_a_batch(books: Books):
    line = books.post(books.lines_of(), books.line()).json()
    made = books.post("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "r.pdf"}).json()
    path = f"attachments({made['id']})/attachmentContent"
    put = books.operation("PATCH", path, {"value": "JVBERg=="}, **{"If-Match": "*"})
    for operation in (put, books.operation("GET", path)):
        (one,) = books.batch(operation).json()["responses"]
        assert (one["status"], one["body"]["error"]["code"]) == (400, "BadRequest")
    assert books.get(f"attachments({made['id']})").json()["byteSize"] == 0


def test_a_batch_in_a_batch_is_not_found(books: Books):
    (one,) = books.batch({"method": "POST", "url": "$batch", "headers": JSON, "body": {}}).json()["responses"]
    assert one["status"] == 404


def test_rights_and_languages_hold_inside_too(books: Books):
    books.user.rights = "read"
    answer = books.batch(good(books), **{"Accept-Language": "de-DE"})
    (one,) = answer.json()["responses"]
    assert (one["status"], one["body"]["error"]["code"]) == (403, "Authorization_RequestDenied")
    assert one["body"]["error"]["message"].startswith("Sie verf")


# Failures


def test_a_batch_stops_at_the_first_failure_and_what_was_done_stays(books: Books):
    assert statuses(books.batch(good(books, "PEX1"), bad(books), good(books, "PEX2"))) == [201, 400]
    assert numbers(books) == ["PEX1"]


def test_a_read_that_fails_stops_it_too(books: Books):
    assert statuses(books.batch(books.operation("GET", "nonsense"), good(books))) == [404]
    assert not books.journal.lines


@pytest.mark.parametrize("prefer", ["odata.continue-on-error", "odata.maxpagesize=5, odata.continue-on-error=true"])
def test_a_batch_goes_on_when_that_is_preferred(books: Books, prefer: str):
    answer = books.batch(good(books, "PEX1"), bad(books), good(books, "PEX2"), Prefer=prefer)
    assert statuses(answer) == [201, 400, 201]
    assert numbers(books) == ["PEX1", "PEX2"]


def test_a_snapshot_that_fails_saves_nothing_though_its_answers_say_so(books: Books):
    books.post(books.lines_of(), books.line(documentNumber="PEX0"))
    answer = books.snapshot(good(books, "PEX1"), good(books, "PEX2"), bad(books), good(books, "PEX3"))
    assert statuses(answer) == [201, 201, 400]
    assert numbers(books) == ["PEX0"]
    (kept,) = books.rows(books.lines_of())
    assert kept["documentNumber"] == "PEX0"
    for one in answer.json()["responses"][:2]:
        assert refused(books.get(f"journalLines({one['body']['id']})")) == (404, "Internal_RecordNotFound")


def test_a_snapshot_without_a_failure_is_saved(books: Books):
    assert statuses(books.snapshot(good(books, "PEX1"), good(books, "PEX2"))) == [201, 201]
    assert numbers(books) == ["PEX1", "PEX2"]


def test_a_failed_snapshot_takes_back_all_kinds_of_changes(books: Books):
    company = books.company
    first = books.post(books.lines_of(), books.line(documentNumber="PEX1")).json()["id"]
    second = books.post(books.lines_of(), books.line(-42.17, "10950", documentNumber="PEX1")).json()["id"]
    file = books.post("attachments", {"parentId": second, "parentType": "Journal", "fileName": "r.pdf"}).json()["id"]
    vendor, doomed = company.add_vendor("Target"), company.add_vendor("Doomed")
    before, etag = state(company), {"If-Match": "*"}
    operations = [
        books.operation("PATCH", f"journalLines({first})", {"amount": 1, "description": "x"}, **etag),
        books.operation("POST", f"journalLines({first})/dimensionSetLines", {"code": "DEPARTMENT", "valueCode": "ADM"}),
        books.operation("POST", "attachments", {"parentId": first, "parentType": "Journal", "fileName": "n.pdf"}),
        books.operation("PATCH", f"attachments({file})", {"fileName": "other.pdf"}, **etag),
        books.operation("DELETE", f"journalLines({second})", **etag),
        books.operation("DELETE", f"attachments({file})", **etag),
        books.operation("POST", "vendors", {"displayName": "New"}),
        books.operation("PATCH", f"vendors({vendor.id})", {"displayName": "Shell", "city": "Hull"}, **etag),
        books.operation("DELETE", f"vendors({doomed.id})", **etag),
        books.operation("PATCH", f"journals({books.journal.id})", {"displayName": "Renamed"}, **etag),
        books.operation("POST", "journals", {"code": "NEW"}),
        books.operation("POST", f"journals({books.journal.id})/Microsoft.NAV.post"),
    ]
    found = statuses(books.snapshot(*operations[:-1], bad(books)))
    assert found == [200, 201, 201, 200, 204, 204, 201, 200, 204, 200, 201, 400]
    assert state(company) == before
    assert statuses(books.snapshot(operations[-1], bad(books))) == [204, 400]
    assert state(company) == before
    assert books.snapshot(*operations[:-1]).json()["responses"][-1]["status"] == 201
    assert state(company) != before


def test_a_failed_snapshot_reaches_every_company_it_touched(books: Books):
    other = books.world.add_company(books.environment, "Other LLC")
    elsewhere = {
        "method": "POST",
        "url": f"companies({other.id})/vendors",
        "headers": JSON,
        "body": {"displayName": "Target"},
    }
    assert statuses(books.snapshot(elsewhere, bad(books))) == [201, 400]
    assert not other.vendors
    assert statuses(books.snapshot(elsewhere)) == [201]
    assert [one.name for one in other.vendors.values()] == ["Target"]


def test_after_a_snapshot_nothing_is_taken_back_any_more(books: Books):
    books.snapshot(good(books, "PEX1"))
    books.snapshot(bad(books))
    assert statuses(books.batch(good(books, "PEX2"), bad(books))) == [201, 400]
    assert numbers(books) == ["PEX1", "PEX2"]
    assert books.company.undo is None


def test_both_ways_to_treat_a_failure_exclude_each_other(books: Books):
    answer = books.batch(good(books), Isolation="snapshot", Prefer="odata.continue-on-error")
    assert refused(answer) == (400, "BadRequest")
    assert not books.journal.lines


def test_an_operation_may_fail_on_the_server(books: Books):
    books.world.switches.inner_failures = 1
    answer = books.snapshot(books.operation("GET", "accounts"), good(books, "PEX1"), good(books, "PEX2"))
    assert statuses(answer) == [200, 500]
    assert not books.journal.lines
    assert books.world.switches.inner_failures == 0
    books.world.switches.inner_failures = 1
    assert statuses(books.batch(good(books, "PEX1"), good(books, "PEX2"))) == [500]
    books.world.switches.inner_failures = 1
    answer = books.batch(good(books, "PEX1"), good(books, "PEX2"), Prefer="odata.continue-on-error")
    assert statuses(answer) == [500, 201]
    assert numbers(books) == ["PEX2"]


def test_an_operation_that_fails_leaves_nothing_of_itself(books: Books):
    nested = good(books, "PEX1", dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "NOWHERE"}])
    assert statuses(books.batch(nested)) == [400]
    assert not books.journal.lines


def test_the_answer_may_be_lost_after_the_batch_was_done(books: Books):
    books.desk.faults.add("status_after", system="bc-api", path=r"/\$batch$", status=504)
    assert books.snapshot(good(books)).status_code == 504
    assert numbers(books) == ["PEX981"]
