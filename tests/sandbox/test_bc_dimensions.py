"""Dimensions on journal lines and G/L entries of the simulated Business Central."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.dynamics365.company import Company
from sandbox.server import Desk
from tests.sandbox.bc_journal import EXPENSE, NOWHERE, PEX, ZEROS, Books, open_books

ADM = {"code": "DEPARTMENT", "valueCode": "ADM"}


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def company(books: Books) -> Company:
    return books.company


@pytest.fixture
def path(books: Books) -> str:
    """Of the dimensions of a line without any."""
    return f"journalLines({books.made_line()['id']})/dimensionSetLines"


def test_a_dimension_is_set_by_codes_or_by_ids_and_shown_whole(books: Books, company: Company, path: str):
    department, project = company.dimension("DEPARTMENT"), company.dimension("PROJECT")
    made = books.made(path, {"code": " department ", "valueCode": "adm"})
    assert {name: text for name, text in made.items() if "@" not in name} == {
        "id": department.id,
        "code": "DEPARTMENT",
        "consolidationCode": "",
        "parentId": path[13:49],
        "parentType": "Journal_x0020_Line",
        "displayName": "Department",
        "valueId": department.values["ADM"].id,
        "valueCode": "ADM",
        "valueConsolidationCode": "",
        "valueDisplayName": "Administration",
    }
    books.made(path, {"id": project.id, "valueId": project.values["P2"].id})
    assert [(row["code"], row["valueCode"], row["valueDisplayName"]) for row in books.rows(path)] == [
        ("DEPARTMENT", "ADM", "Administration"),
        ("PROJECT", "P2", ""),
    ]
    assert books.one(f"{path}({project.id})")["valueCode"] == "P2"


def test_a_dimension_the_line_has_cannot_be_posted_again_but_patched(books: Books, company: Company, path: str):
    one = f"{path}({company.dimension('DEPARTMENT').id})"
    books.made(path, ADM)
    assert books.refused("POST", path, ADM) == "Application_DialogException"
    assert books.refused("POST", path, {**ADM, "valueCode": "SALES"}) == "Application_DialogException"
    changed = books.changed(one, {"valueCode": "SALES"})
    assert changed["valueCode"] == "SALES"
    assert changed["@odata.etag"] == books.one(one)["@odata.etag"]
    adm = company.dimension("DEPARTMENT").values["ADM"]
    assert books.changed(one, {"valueId": adm.id, "code": "DEPARTMENT"})["valueDisplayName"] == "Administration"
    (row,) = books.rows(path)
    assert row["valueId"] == adm.id


def test_the_key_of_a_dimension_is_not_patched(books: Books, company: Company, path: str):
    books.made(path, ADM)
    project = company.dimension("PROJECT")
    one = f"{path}({company.dimension('DEPARTMENT').id})"
    for body in ({"code": "PROJECT", "valueCode": "P1"}, {"id": project.id}, {"valueCode": "P1"}, {"valueCode": ""}):
        assert books.refused("PATCH", one, body) == "Application_DialogException"
    assert books.refused("PATCH", f"{path}({project.id})", {"valueCode": "P1"}, 404) == "Internal_RecordNotFound"


def test_a_dimension_is_taken_off_again(books: Books, company: Company, path: str):
    books.made(path, ADM)
    books.made(path, {"code": "PROJECT", "valueCode": "P1"})
    answer = books.ask("DELETE", f"{path}({company.dimension('DEPARTMENT').id})")
    assert answer.status_code == 204
    assert [row["code"] for row in books.rows(path)] == ["PROJECT"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"valueCode": "ADM"}, "Application_DialogException"),
        ({"code": "DEPARTMENT"}, "Application_DialogException"),
        ({"code": "DEPARTMENT", "valueCode": ""}, "Application_DialogException"),
        ({"code": "REGION", "valueCode": "ADM"}, "Application_DialogException"),
        ({"code": "DEPARTMENT", "valueCode": "P1"}, "Application_DialogException"),
        ({"id": NOWHERE, "valueCode": "ADM"}, "Application_DialogException"),
        ({"code": "DEPARTMENT", "valueId": NOWHERE}, "Application_DialogException"),
        ({**ADM, "parentId": NOWHERE}, "BadRequest_InvalidOperation"),
        ({**ADM, "parentType": "Journal Line"}, "BadRequest_InvalidOperation"),
        ({**ADM, "consolidationCode": ""}, "BadRequest_InvalidOperation"),
        ({**ADM, "value": "ADM"}, "BadRequest"),
        ({**ADM, "valueCode": "X" * 21}, "Application_StringExceededLength"),
        ({**ADM, "id": "DEPARTMENT"}, "BadRequest"),
    ],
)
def test_what_no_dimension_or_value_fits_is_refused_alone_and_nested(
    books: Books, path: str, body: dict[str, Any], code: str
):
    assert books.refused("POST", path, body) == code
    assert books.refused("POST", books.lines_of(), books.body(dimensionSetLines=[body])) == code


def test_code_and_id_must_mean_the_same(books: Books, company: Company, path: str):
    department, project = company.dimension("DEPARTMENT"), company.dimension("PROJECT")
    for body in (
        {"id": project.id, **ADM},
        {"code": "DEPARTMENT", "valueId": department.values["ADM"].id, "valueCode": "SALES"},
        {"code": "DEPARTMENT", "valueId": project.values["P1"].id},
    ):
        assert books.refused("POST", path, body) == "Application_DialogException"
    assert books.made(path, {"id": department.id, **ADM, "valueId": department.values["ADM"].id})["valueCode"] == "ADM"


def test_blocked_and_heading_values_pass_here(books: Books, company: Company, path: str):
    department = company.dimension("DEPARTMENT")
    company.add_value(department, "ALL", "All", kind="Total")
    department.values["ADM"].blocked = True
    assert books.made(path, {"code": "DEPARTMENT", "valueCode": "ALL"})["valueCode"] == "ALL"
    assert books.changed(f"{path}({department.id})", {"valueCode": "ADM"})["valueCode"] == "ADM"


def test_dimensions_without_a_parent_cannot_be_reached(books: Books, path: str):
    assert books.refused("GET", "dimensionSetLines") == "Application_DialogException"
    assert books.refused("POST", "dimensionSetLines", ADM) == "Application_DialogException"


def test_dimensions_may_come_with_the_line(books: Books):
    nested = [ADM, {"code": "PROJECT", "valueCode": "P1"}]
    answer = books.ask("POST", f"{books.lines_of()}?$expand=dimensionSetLines", books.body(dimensionSetLines=nested))
    assert answer.status_code == 201
    assert [row["valueCode"] for row in answer.json()["dimensionSetLines"]] == ["ADM", "P1"]


def test_an_account_fills_its_default_dimensions_and_a_nested_one_of_them_fails_the_line(
    books: Books, company: Company
):
    company.account(EXPENSE).default_dimensions["DEPARTMENT"] = "SALES"
    answer = books.ask("POST", f"{books.lines_of()}?$expand=dimensionSetLines", books.body())
    assert [(row["code"], row["valueCode"]) for row in answer.json()["dimensionSetLines"]] == [("DEPARTMENT", "SALES")]
    for nested in ([ADM], [{"code": "PROJECT", "valueCode": "P1"}, ADM]):
        code = books.refused("POST", books.lines_of(), books.body(dimensionSetLines=nested))
        assert code == "Application_DialogException"
    path = f"journalLines({answer.json()['id']})/dimensionSetLines"
    assert books.refused("POST", path, ADM) == "Application_DialogException"
    books.changed(f"{path}({company.dimension('DEPARTMENT').id})", {"valueCode": "ADM"})
    assert len(books.made_line(dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])["id"]) == 36
    assert [line.dimensions for line in company.lines()] == [
        {"DEPARTMENT": "ADM"},
        {"DEPARTMENT": "SALES", "PROJECT": "P1"},
    ]
    assert company.account(EXPENSE).default_dimensions == {"DEPARTMENT": "SALES"}


def test_the_balancing_account_brings_its_defaults_too(books: Books, company: Company):
    company.account(PEX).default_dimensions |= {"DEPARTMENT": "ADM", "PROJECT": "P2"}
    company.account(EXPENSE).default_dimensions["DEPARTMENT"] = "SALES"
    line = books.made_line(balancingAccountNumber=PEX)
    assert books.stored(line).dimensions == {"DEPARTMENT": "SALES", "PROJECT": "P2"}


def test_setting_a_dimension_changes_the_lines_etag(books: Books, company: Company):
    line = books.made_line()
    books.made(f"journalLines({line['id']})/dimensionSetLines", ADM)
    assert books.one(f"journalLines({line['id']})")["@odata.etag"] != line["@odata.etag"]


def test_those_of_a_posted_entry_are_shown_and_cannot_be_changed(books: Books, company: Company):
    books.pair(dimensionSetLines=[ADM])
    books.post_journal()
    debit, credit = company.entries.values()
    path = f"generalLedgerEntries({debit.id})/dimensionSetLines"
    (row,) = books.rows(path)
    assert (row["valueCode"], row["parentId"]) == ("ADM", debit.id)
    assert row["parentType"] == "General_x0020_Ledger_x0020_Entry"
    assert books.rows(f"generalLedgerEntries({credit.id})/dimensionSetLines") == []
    assert books.refused("POST", path, {"code": "PROJECT", "valueCode": "P1"}) == "Application_DialogException"
    assert books.refused("PATCH", f"{path}({row['id']})", {"valueCode": "SALES"}) == "Application_DialogException"
    assert books.refused("DELETE", f"{path}({row['id']})") == "Application_DialogException"


def test_a_value_that_is_gone_is_shown_without_its_id(books: Books, company: Company, path: str):
    books.made(path, ADM)
    del company.dimension("DEPARTMENT").values["ADM"]
    (row,) = books.rows(path)
    assert (row["valueCode"], row["valueId"], row["valueDisplayName"]) == ("ADM", ZEROS, "")
