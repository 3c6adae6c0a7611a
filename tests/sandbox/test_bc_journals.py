"""General journals of the simulated Business Central: their codes, what is hidden, and what people do with them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.dynamics365 import journals
from sandbox.dynamics365.company import Company
from sandbox.server import Desk
from tests.sandbox.bc_journal import EXPENSE, NOWHERE, PEX, ZEROS, Books, open_books

ORDER = [
    "id",
    "code",
    "displayName",
    "templateDisplayName",
    "lastModifiedDateTime",
    "balancingAccountId",
    "balancingAccountNumber",
]


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def company(books: Books) -> Company:
    return books.company


def test_a_journal_is_shown_without_its_series_and_its_approval(books: Books, company: Company):
    company.add_journal("SECOND", number_series="GJNL-GEN", posting_series="GJNL-POST", pending_approval=True)
    first, second = books.rows("journals")
    assert [name for name in first if "@" not in name] == ORDER
    assert (first["code"], first["displayName"], first["templateDisplayName"]) == (
        "PEX CARD",
        "PEX Card Journal",
        "GENERAL",
    )
    assert (first["balancingAccountId"], first["balancingAccountNumber"]) == (ZEROS, "")
    assert second.keys() == first.keys()


def test_a_code_is_stored_in_capitals_without_spaces_around_it(books: Books):
    made = books.made("journals", {"code": " Pex Card2 ", "displayName": "Cards"})
    assert (made["code"], made["displayName"], made["templateDisplayName"]) == ("PEX CARD2", "Cards", "GENERAL")
    assert books.rows(f"journals({made['id']})/journalLines") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"displayName": "Cards"}, "BadRequest_RequiredParamNotProvided"),
        ({"code": "  "}, "BadRequest_RequiredParamNotProvided"),
        ({"code": "ELEVEN CHAR"}, "Application_StringExceededLength"),
        ({"code": "A", "displayName": "x" * 101}, "Application_StringExceededLength"),
        ({"code": "pex card"}, "Internal_EntityWithSameKeyExists"),
        ({"code": "A", "id": NOWHERE}, "BadRequest_InvalidOperation"),
        ({"code": "A", "balancingAccountNumber": PEX}, "BadRequest_InvalidOperation"),
        ({"code": "A", "balancingAccountId": NOWHERE}, "Application_DialogException"),
        ({"code": "A", "balancingAccountId": PEX}, "BadRequest"),
        ({"code": "A", "numberSeries": "GJNL-GEN"}, "BadRequest"),
        ({"code": 5}, "BadRequest"),
    ],
)
def test_a_journal_that_is_not_made(books: Books, body: dict[str, Any], code: str):
    assert books.refused("POST", "journals", body) == code


def test_only_the_default_template_is_listed_unless_the_filter_names_one(books: Books, company: Company):
    company.add_journal("PEX CARD", template="PAYMENTS")
    hidden = books.made("journals", {"code": "CASH", "templateDisplayName": "cashrcpt"})
    books.made("journals", {"code": "PEX CARD", "templateDisplayName": "SALES"})
    assert [row["code"] for row in books.rows("journals")] == ["PEX CARD"]
    assert books.rows("journals", filter="code eq 'CASH'") == []
    for template, codes in (("PAYMENTS", ["PEX CARD"]), ("CASHRCPT", ["CASH"]), ("GENERAL", ["PEX CARD"])):
        found = books.rows("journals", filter=f"templateDisplayName eq '{template}'")
        assert [(row["code"], row["templateDisplayName"]) for row in found] == [(code, template) for code in codes]
    assert books.one(f"journals({hidden['id']})")["code"] == "CASH"


def test_the_balancing_account_is_set_by_id_and_emptied_by_zeros(books: Books, company: Company):
    path, account = f"journals({books.journal.id})", company.account(PEX)
    answer = books.changed(path, {"balancingAccountId": account.id})
    assert (answer["balancingAccountId"], answer["balancingAccountNumber"]) == (account.id, PEX)
    assert books.refused("PATCH", path, {"balancingAccountNumber": ""}) == "BadRequest_InvalidOperation"
    blocked = company.account("61999").id
    assert books.refused("PATCH", path, {"balancingAccountId": blocked}) == "Internal_InvalidTableRelation"
    answer = books.changed(path, {"balancingAccountId": ZEROS})
    assert (answer["balancingAccountId"], answer["balancingAccountNumber"]) == (ZEROS, "")


def test_a_renamed_journal_keeps_its_id_and_its_lines_show_the_new_code(books: Books):
    line = books.made_line()
    path = f"journals({books.journal.id})"
    assert books.changed(path, {"code": "pex 2"})["code"] == "PEX 2"
    assert books.one(f"journalLines({line['id']})")["journalDisplayName"] == "PEX 2"
    books.made("journals", {"code": "PEX CARD"})
    assert books.refused("PATCH", path, {"code": "PEX CARD"}) == "Internal_EntityWithSameKeyExists"
    assert books.refused("PATCH", path, {"templateDisplayName": "OTHER"}) == "BadRequest_InvalidOperation"
    assert books.refused("PATCH", path, {"journalLines": [books.body()]}) == "BadRequest"


def test_a_deleted_journal_takes_its_lines_and_leaves_their_files(books: Books, company: Company):
    _, credit = books.pair()
    file = books.made("attachments", {"parentId": credit["id"], "parentType": "Journal", "fileName": "r.pdf"})
    answer = books.ask("DELETE", f"journals({books.journal.id})")
    assert (answer.status_code, answer.content) == (204, b"")
    assert books.rows("journals") == []
    assert books.ask("GET", f"journalLines({credit['id']})").status_code == 404
    assert books.one(f"attachments({file['id']})")["parentId"] == ZEROS
    assert company.lines() == []


def test_a_new_journal_may_bring_its_lines_all_of_them_or_none(books: Books, company: Company):
    good = books.body(dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])
    made = books.made("journals", {"code": "NEW", "journalLines": [good, books.body(amount=-5, accountNumber=PEX)]})
    assert [line.dimensions for line in company.lines("NEW")] == [{"PROJECT": "P1"}, {}]
    assert len(books.rows(f"journals({made['id']})/journalLines")) == 2
    bad = books.body(accountNumber="99999")
    code = books.refused("POST", "journals", {"code": "BAD", "journalLines": [good, bad]})
    assert code == "Internal_InvalidTableRelation"
    for wrong, expected in (({"id": NOWHERE}, "BadRequest_InvalidOperation"), ({"vendorId": NOWHERE}, "BadRequest")):
        assert books.refused("POST", "journals", {"code": "BAD", "journalLines": [good | wrong]}) == expected


def test_a_journal_made_again_has_another_id_and_no_lines(books: Books, company: Company):
    line, old = books.made_line(), books.journal
    old.posting_series = "GJNL-POST"
    made = journals.recreate_journal(company, old)
    (row,) = books.rows("journals")
    assert (row["id"], row["code"], row["displayName"]) == (made.id, "PEX CARD", "PEX Card Journal")
    assert made.id != old.id
    assert made.posting_series == "GJNL-POST"
    assert books.refused("GET", f"journals({old.id})", status=404) == "Internal_RecordNotFound"
    assert books.refused("GET", f"journalLines({line['id']})", status=404) == "Internal_RecordNotFound"
    assert books.rows(f"journals({made.id})/journalLines") == []


def test_documents_are_renumbered_each_keeping_one_number(books: Books, company: Company):
    books.pair("PEX981")
    books.pair("PEX982")
    books.made_line(accountNumber=None, amount=0, documentNumber="PEX983")  # an empty line
    books.made_line(documentNumber="PEX981", postingDate="2026-03-15", amount=Decimal(5))
    journals.renumber(company, books.journal)
    numbers = [row["documentNumber"] for row in books.rows(books.lines_of())]
    assert numbers == ["R00001", "R00001", "R00002", "R00002", "PEX983", "R00003"]
    books.journal.number_series = "GJNL-GEN"
    journals.renumber(company, books.journal)
    assert [line.document_number for line in company.lines()][:2] == ["G00001", "G00001"]
    assert next(line.external_number for line in company.lines()) == "PEX-P-4410-981"


def test_two_journals_do_not_share_lines(books: Books):
    other = books.made("journals", {"code": "OTHER"})
    books.made_line(accountNumber=EXPENSE)
    assert books.rows(f"journals({other['id']})/journalLines") == []
    first = books.made(f"journals({other['id']})/journalLines", books.body(documentNumber=None, postingDate=None))
    assert (first["lineNumber"], first["documentNumber"]) == (10000, "")
