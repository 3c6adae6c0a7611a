"""How the simulated Business Central reads $filter, $select, $expand, $orderby, $top, $count, and how it pages."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.dynamics365.records import LedgerEntry
from sandbox.dynamics365.sets import SETS
from sandbox.server import Desk
from tests.sandbox.bc_books import Books, open_books, parsed, refused

ENCODED = re.compile(r"_x([0-9A-F]{4})_")
MEMBERLESS = ("documentAttachments", "dimensionSetLines")  # nothing to list, or only below a parent


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def full(books: Books) -> Books:
    """The company with at least one record in each list."""
    company = books.company
    company.add_tax_group("LABOR", "Labor")
    company.add_period(date(2026, 1, 1), new_fiscal_year=True)
    vendor = company.add_vendor("Target")
    vendor.default_dimensions = {"DEPARTMENT": "ADM"}
    line = books.post(books.lines_of(), books.line(dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])).json()
    books.post("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "r.pdf"})
    entry = LedgerEntry(
        company.new_id(),
        books.world.now(),
        number=1,
        posting_date=date(2026, 3, 1),
        document_number="PEX1",
        account="61200",
        debit=Decimal("12.50"),
        description="Shell",
    )
    company.entries[entry.id] = entry
    return books


def names(books: Books, path: str, filter: str) -> set[str]:
    return {row["displayName"] for row in books.rows(path, filter=filter)}


def vendors(books: Books, filter: str) -> set[str]:
    return names(books, "vendors", filter)


# Kinds


def _listing(books: Books, name: str) -> str:
    return books.lines_of() if name == "journalLines" else name


def _literal(name: str, kind: str, value: Any) -> str:
    if kind in ("guid", "number", "date", "moment"):
        return f"{value}"
    if kind == "flag":
        return str(value).lower()
    plain = ENCODED.sub(lambda found: chr(int(found[1], 16)), value) if kind == "enum" else value
    return "'" + plain.replace("'", "''") + "'"


@pytest.mark.parametrize("name", sorted(set(SETS) - set(MEMBERLESS)))
def test_each_member_is_found_by_what_it_shows(full: Books, name: str):
    """So each has the kind its literal has, and nothing is shown that is not known, nor the other way round."""
    (row, *_) = full.rows(_listing(full, name), top=1)
    shown = {member for member in row if "@" not in member}
    assert shown == SETS[name].members
    for member in shown:
        filter = f"{member} eq {_literal(member, SETS[name].kind_of(member), row[member])}"
        if name == "attachments" and member == "parentId":
            filter += " and parentType eq 'Journal'"
        answer = full.get(_listing(full, name), filter=filter)
        assert answer.status_code == 200, answer.text
        assert row["id"] in {one["id"] for one in answer.json()["value"]}, filter


def test_a_dimension_set_line_shows_what_is_known_of_it(full: Books):
    (line,) = full.journal.lines
    (row,) = full.rows(f"journalLines({line})/dimensionSetLines", filter="code eq 'PROJECT'")
    assert {member for member in row if "@" not in member} == SETS["dimensionSetLines"].members


# $filter


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("displayName eq 'Shell'", {"Shell"}),
        ("displayName eq 'shell'", set()),
        ("displayName eq 'O''Reilly & Sons'", {"O'Reilly & Sons"}),
        ("displayName ne 'Shell'", {"O'Reilly & Sons", "TARGET", "Target"}),
        ("startswith(displayName,'T')", {"Target", "TARGET"}),
        ("endswith(displayName, 'ell')", {"Shell"}),
        ("contains(displayName,'Reilly')", {"O'Reilly & Sons"}),
        ("tolower(displayName) eq 'target'", {"Target", "TARGET"}),
        ("toupper(displayName) eq 'SHELL'", {"Shell"}),
        ("contains(tolower(displayName),'arg')", {"Target", "TARGET"}),
        ("displayName eq 'Shell' or displayName eq 'Target'", {"Shell", "Target"}),
        ("(displayName eq 'Shell' or displayName eq 'Target') and city eq 'Hull'", {"Target"}),
        ("startswith(displayName,'S') or displayName eq 'Target'", {"Shell", "Target"}),
        ("city eq 'Hull' and blocked eq 'All'", {"TARGET"}),
        ("blocked eq ' '", {"Shell", "Target", "O'Reilly & Sons"}),
        ("number ge 'V00002' and number lt 'V00004'", {"Target", "O'Reilly & Sons"}),
        ("taxLiable eq true", set()),
        ("taxLiable eq false and number le 'V00001'", {"Shell"}),
        ("balance eq 0 and number gt 'V00003'", {"TARGET"}),
        ("city eq ''", {"Shell", "O'Reilly & Sons"}),
        ("defaultDimensions/any(d: d/dimensionCode eq 'NOWHERE') and city eq 'Hull'", {"Target", "TARGET"}),
        ("currencyId eq 00000000-0000-0000-0000-000000000000 and displayName eq 'Shell'", {"Shell"}),
    ],
)
def test_a_filter_finds(books: Books, filter: str, found: set[str]):
    books.company.add_vendor("Shell")
    books.company.add_vendor("Target", members={"city": "Hull"})
    books.company.add_vendor("O'Reilly & Sons")
    books.company.add_vendor("TARGET", members={"city": "Hull"}, blocked="All")
    assert vendors(books, filter) == found


@pytest.mark.parametrize(
    "filter",
    [
        "displayName eq 'Shell' or number eq 'V00001'",
        "(displayName eq 'Shell' and city eq 'Hull') or city eq 'York'",
        "displayName in ('Shell','Target')",
        "not (displayName eq 'Shell')",
        "colour eq 'red'",
        "displayName eq Shell",
        "displayName eq 5",
        "displayName eq 'Shell",
        "displayName eq",
        "displayName = 'Shell'",
        "balance eq '0'",
        "balance eq 5 5",
        "taxLiable eq 'true'",
        "id eq 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'",
        "lastModifiedDateTime gt 2026-01-01",
        "lastModifiedDateTime gt '2026-01-01T00:00:00Z'",
        "lastModifiedDateTime gt 2026-13-01T00:00:00Z",
        "startswith(balance,'1')",
        "startswith(displayName)",
        "(displayName eq 'Shell'",
        "displayName eq 'Shell')",
        "tolower(balance) eq '1'",
        "displayName eq null",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(books: Books, filter: str):
    """Also while there is nothing to filter."""
    assert refused(books.get("vendors", filter=filter)) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("filter", "numbers"),
    [
        ("amount lt 0", ["PEX2"]),
        ("amount eq -5.10", ["PEX2"]),
        ("amount ge 42.17", ["PEX1"]),
        ("postingDate ge 2026-03-15", ["PEX2"]),
        ("postingDate eq 2026-03-14 and accountType eq 'G/L Account'", ["PEX1"]),
        ("lineNumber eq 20000", ["PEX2"]),
        ("startswith(documentNumber,'PEX') and endswith(description,'two')", ["PEX2"]),
        ("startswith(externalDocumentNumber,'PEX-P-')", ["PEX1", "PEX2"]),
        ("accountId eq {account}", ["PEX1", "PEX2"]),
    ],
)
def test_lines_are_found_by_number_day_and_text(books: Books, filter: str, numbers: list[str]):
    books.post(books.lines_of(), books.line(documentNumber="PEX1"))
    books.post(
        books.lines_of(),
        books.line(-5.1, documentNumber="PEX2", postingDate="2026-03-15", description="Number two"),
    )
    account = books.company.account("61200").id
    rows = books.rows(books.lines_of(), filter=filter.format(account=account))
    assert [row["documentNumber"] for row in rows] == numbers


def test_lines_without_a_journal_above_need_one_in_the_filter(books: Books):
    other = books.company.add_journal("OTHER")
    for journal in (books.journal, other):
        books.post(books.lines_of(journal), books.line(description=journal.code))
    assert refused(books.get("journalLines")) == (400, "Application_DialogException")
    assert refused(books.get("journalLines", filter="amount gt 0")) == (400, "Application_DialogException")
    rows = books.rows("journalLines", filter=f"amount gt 0 and journalId eq {books.journal.id.upper()}")
    assert [row["description"] for row in rows] == ["PEX CARD"]
    both = f"journalId eq {books.journal.id} or journalId eq {other.id}"
    assert [row["description"] for row in books.rows("journalLines", filter=both)] == ["PEX CARD", "OTHER"]
    assert books.rows("journalLines", filter=f"journalId eq {books.company.id}") == []
    books.post(books.lines_of(), books.line(documentNumber="PEX2"))
    not_this = f"journalId ne {books.journal.id}"
    assert [row["description"] for row in books.rows("journalLines", filter=not_this)] == ["OTHER"]
    assert len(books.rows("journalLines", filter=f"journalId eq {books.journal.id} or {not_this}")) == 3


def test_what_was_changed_is_found_again_by_the_moment_it_shows(books: Books):
    books.company.add_vendor("Target")
    (row,) = books.rows("vendors")
    moment = row["lastModifiedDateTime"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert vendors(books, f"lastModifiedDateTime eq {moment}") == {"Target"}
    assert vendors(books, f"lastModifiedDateTime ge {moment}") == {"Target"}
    assert vendors(books, f"lastModifiedDateTime gt {moment}") == set()
    assert vendors(books, "lastModifiedDateTime lt 2026-01-01T00:00:00+02:00") == set()


def test_a_code_is_found_in_its_own_letters_unless_the_switch_says_otherwise(books: Books):
    assert names(books, "dimensions", "code eq 'department'") == set()
    books.world.switches.code_filter_case = "any"
    assert names(books, "dimensions", "code eq 'department'") == {"Department"}
    assert names(books, "dimensions", "displayName eq 'department'") == set()


def test_only_journals_of_the_default_template_are_listed(books: Books):
    books.company.add_journal("OTHER", template="PAYMENTS")
    assert [row["code"] for row in books.rows("journals")] == ["PEX CARD"]
    assert [row["code"] for row in books.rows("journals", filter="templateDisplayName eq 'PAYMENTS'")] == ["OTHER"]
    assert books.rows("journals", filter="code eq 'OTHER'") == []


def test_files_filtered_by_their_parent_need_its_type(full: Books):
    (line,) = full.journal.lines
    assert refused(full.get("attachments", filter=f"parentId eq {line}")) == (400, "Application_DialogException")
    rows = full.rows("attachments", filter=f"parentId eq {line} and parentType eq 'Journal'")
    assert [row["fileName"] for row in rows] == ["r.pdf"]
    assert full.rows("attachments", filter=f"parentId eq {line} and parentType eq 'Sales Order'") == []


# $select, $orderby, $top, $skip, $count


def test_a_selection_shows_these_members_alone(books: Books):
    (row, *_) = books.rows("accounts", select="number,id")
    assert set(row) == {"@odata.etag", "id", "number"}
    assert refused(books.get("accounts", select="number,colour")) == (400, "BadRequest")
    assert len(books.rows("accounts", select="*")[0]) == 11


def test_a_list_is_ordered_as_asked(books: Books):
    for city, name in (("York", "B"), ("Hull", "C"), ("York", "A")):
        books.company.add_vendor(name, members={"city": city})
    rows = books.rows("vendors", orderby="city desc, displayName")
    assert [row["displayName"] for row in rows] == ["A", "B", "C"]
    assert [row["displayName"] for row in books.rows("vendors", orderby="displayName desc", top=2)] == ["C", "B"]
    assert refused(books.get("vendors", orderby="colour")) == (400, "BadRequest")
    assert refused(books.get("vendors", orderby="city up")) == (400, "BadRequest")


def test_top_and_skip_cut_a_list(books: Books):
    assert [row["number"] for row in books.rows("accounts", top=2)] == ["10950", "40000"]
    assert [row["number"] for row in books.rows("accounts", skip=1, top=2)] == ["40000", "61200"]
    assert books.rows("accounts", top=0) == []
    assert refused(books.get("accounts", top="-1")) == (400, "BadRequest_InvalidRequestUrl")
    assert refused(books.get("accounts", apply="x")) == (400, "BadRequest_InvalidRequestUrl")


def test_a_count_is_of_all_that_the_filter_lets_through(books: Books):
    answer = parsed(books.get("accounts", count="true", top=1, filter="startswith(number,'6')"))
    assert (answer["@odata.count"], len(answer["value"])) == (2, 1)
    assert "@odata.count" not in parsed(books.get("accounts"))


def test_a_count_alone_is_a_text_with_a_byte_order_mark(books: Books):
    answer = books.get("accounts/$count")
    assert answer.content == b"\xef\xbb\xbf4"
    assert answer.headers["content-type"].startswith("text/plain")
    assert books.get("accounts/$count", filter="startswith(number,'6')").content == b"\xef\xbb\xbf2"


# $expand


def test_records_below_come_along(books: Books):
    books.post(books.lines_of(), books.line(dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "ADM"}]))
    (line,) = books.rows(books.lines_of(), expand="dimensionSetLines,attachments", select="id")
    assert [one["valueCode"] for one in line["dimensionSetLines"]] == ["ADM"]
    assert line["attachments"] == []


def test_what_comes_along_is_selected_and_filtered_itself(books: Books):
    expand = "dimensionValues($select=code;$filter=startswith(code,'S') and code ne ';');$top=5)"
    answer = books.get("dimensions", expand=expand)
    assert answer.status_code == 400
    expand = "dimensionValues($select=code;$filter=startswith(code,'S') and code ne ';';$top=5)"
    department, project = books.rows("dimensions", expand=expand, select="code")
    assert [(set(one), one["code"]) for one in department["dimensionValues"]] == [({"@odata.etag", "code"}, "SALES")]
    assert project == {"@odata.etag": project["@odata.etag"], "code": "PROJECT", "dimensionValues": []}
    department, _ = books.rows("dimensions", expand="dimensionValues($orderby=code desc;$top=1)")
    assert [one["code"] for one in department["dimensionValues"]] == ["SALES"]


def test_what_comes_along_may_bring_something_itself(books: Books):
    books.post(books.lines_of(), books.line(dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "ADM"}]))
    expand = "journalLines($expand=dimensionSetLines($select=valueCode);$select=amount;$orderby=lineNumber desc)"
    (journal,) = books.rows("journals", expand=expand)
    assert [one["valueCode"] for line in journal["journalLines"] for one in line["dimensionSetLines"]] == ["ADM"]


@pytest.mark.parametrize("expand", ["values", "dimensionValues($colour=1)", "dimensionValues($select=colour)"])
def test_an_expansion_that_is_not_understood_is_refused(books: Books, expand: str):
    assert books.get("dimensions", expand=expand).status_code == 400


# Pages


def pages(books: Books, path: str, headers: dict[str, str] | None = None, **query: str | int) -> list[list[str]]:
    """The numbers on each page, the links followed as they are."""
    answer = books.get(path, headers, **query)
    found = []
    while True:
        content = answer.json()
        found.append([row["number"] for row in content["value"]])
        link = content.get("@odata.nextLink")
        if not link:
            return found
        answer = books.call("GET", link, headers=headers or {})
        assert answer.status_code == 200, answer.text


def test_a_long_list_comes_in_pages_of_the_servers_size(books: Books):
    books.world.switches.page_size = 3
    assert pages(books, "accounts") == [["10950", "40000", "61200"], ["61300"]]
    books.world.switches.page_size = 2
    assert pages(books, "accounts") == [["10950", "40000"], ["61200", "61300"]]


def test_the_next_page_has_an_absolute_address_with_a_token(books: Books):
    books.world.switches.page_size = 1
    page = books.get("accounts").json()
    row, link = page["value"][0], page["@odata.nextLink"]
    assert link.startswith(f"{books.desk.url}{books.base}/companies({books.company.id})/accounts?")
    assert link.endswith(f"aid=FIN&$skiptoken={row['id']}")


def test_a_caller_may_prefer_smaller_pages_but_no_larger_ones(books: Books):
    prefer = {"Prefer": "odata.maxpagesize=3"}
    assert [len(page) for page in pages(books, "accounts", prefer)] == [3, 1]
    books.world.switches.page_size = 1
    assert [len(page) for page in pages(books, "accounts", prefer)] == [1, 1, 1, 1]


def test_a_page_keeps_the_query(books: Books):
    books.world.switches.page_size = 1
    query = {"filter": "startswith(number,'6') and displayName ne 'A&B; C'", "orderby": "number desc"}
    assert pages(books, "accounts", **query, select="number") == [["61300"], ["61200"]]
    assert pages(books, "accounts", top=3) == [["10950"], ["40000"], ["61200"]]
    assert pages(books, "accounts", skip=1) == [["40000"], ["61200"], ["61300"]]
    books.company.add_vendor("Target")
    link = books.get("accounts", top=3, count="true").json()["@odata.nextLink"]
    assert books.call("GET", link).json()["@odata.count"] == 4


def test_a_company_named_beside_the_address_stands_in_the_next_one(books: Books):
    books.world.switches.page_size = 3
    link = books.call("GET", f"accounts?company={books.company.id}").json()["@odata.nextLink"]
    assert [row["number"] for row in books.call("GET", link).json()["value"]] == ["61300"]


def test_a_page_whose_beginning_is_gone_is_refused_rather_than_cut_short(books: Books):
    books.world.switches.page_size = 1
    for name in ("A", "B", "C"):
        books.company.add_vendor(name)
    answer = books.get("vendors").json()
    assert books.delete(f"vendors({answer['value'][0]['id']})").status_code == 204
    assert refused(books.call("GET", answer["@odata.nextLink"])) == (400, "BadRequest")


def test_what_comes_after_a_page_was_read_is_on_the_next_one(books: Books):
    books.world.switches.page_size = 2
    link = books.get("accounts").json()["@odata.nextLink"]
    books.company.add_account("20000", "Early", "Liabilities")
    books.company.add_account("61250", "Late")
    assert [row["number"] for row in books.call("GET", link).json()["value"]] == ["61200", "61250"]
