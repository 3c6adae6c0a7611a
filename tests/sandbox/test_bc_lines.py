"""Journal lines of the simulated Business Central: what they take, fill in, refuse, and which are shown."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.dynamics365 import journals
from sandbox.dynamics365.company import Company
from sandbox.server import Desk
from tests.sandbox.bc_books import statuses
from tests.sandbox.bc_journal import EXPENSE, NOWHERE, PEX, ZEROS, Books, open_books

ORDER = [
    "id",
    "journalId",
    "journalDisplayName",
    "lineNumber",
    "accountType",
    "accountId",
    "accountNumber",
    "postingDate",
    "documentNumber",
    "externalDocumentNumber",
    "amount",
    "description",
    "comment",
    "taxCode",
    "balanceAccountType",
    "balancingAccountId",
    "balancingAccountNumber",
    "lastModifiedDateTime",
]


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def company(books: Books) -> Company:
    return books.company


# A line as it is answered


def test_a_line_is_answered_with_every_member_and_its_enums_encoded(books: Books, company: Company):
    answer = books.made_line(comment="J. Doe *1234", taxCode="nontaxable")
    assert [name for name in answer if "@" not in name] == ORDER
    assert answer["journalId"] == books.journal.id
    assert answer["journalDisplayName"] == "PEX CARD"
    assert answer["accountType"] == "G_x002F_L_x0020_Account"
    assert answer["balanceAccountType"] == "G_x002F_L_x0020_Account"
    assert answer["accountId"] == company.account(EXPENSE).id
    assert (answer["balancingAccountId"], answer["balancingAccountNumber"]) == (ZEROS, "")
    assert (answer["amount"], answer["postingDate"]) == (Decimal("42.17"), "2026-03-14")
    assert (answer["comment"], answer["taxCode"]) == ("J. Doe *1234", "NONTAXABLE")
    assert books.one(f"journalLines({answer['id']})")["description"] == "Target"


def test_an_encoded_account_type_is_taken_too(books: Books):
    line = books.made_line(accountType="Bank_x0020_Account", accountNumber="CHECKING")
    assert line["accountType"] == "Bank_x0020_Account"
    assert books.refused("POST", books.lines_of(), books.body(accountType="Cash")) == "BadRequest"


def test_an_account_may_be_named_by_its_id(books: Books, company: Company):
    account, bank = company.account(EXPENSE), company.by_number("Bank Account", "CHECKING")
    assert bank
    assert books.made_line(accountNumber=None, accountId=account.id)["accountNumber"] == EXPENSE
    line = books.made_line(accountType="Bank Account", accountNumber=None, accountId=bank.id.upper())
    assert (line["accountNumber"], line["accountId"]) == ("CHECKING", bank.id)
    both = books.made_line(accountId=account.id)
    assert both["accountNumber"] == EXPENSE
    other = company.account(PEX).id
    for body in (
        books.body(accountId=other),
        {"accountId": other, **books.body()},
        books.body(accountNumber=None, accountId=NOWHERE),
    ):
        assert books.refused("POST", books.lines_of(), body) == "Application_DialogException"


def test_code_fields_are_trimmed_and_capital_and_texts_are_left_alone(books: Books):
    line = books.made_line(
        documentNumber=" pex981 ", externalDocumentNumber=" pex-p-1 ", description=" Target ", comment=" a "
    )
    assert (line["documentNumber"], line["externalDocumentNumber"]) == ("PEX981", "PEX-P-1")
    assert (line["description"], line["comment"]) == (" Target ", " a ")
    company_line = books.made_line(accountType="Bank Account", accountNumber=" checking ")
    assert company_line["accountNumber"] == "CHECKING"


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("accountNumber", 20),
        ("balancingAccountNumber", 20),
        ("documentNumber", 20),
        ("externalDocumentNumber", 35),
        ("description", 100),
        ("comment", 250),
        ("taxCode", 20),
    ],
)
def test_a_text_longer_than_its_field_is_refused(books: Books, name: str, limit: int):
    code = books.refused("POST", books.lines_of(), books.body(**{name: "X" * (limit + 1)}))
    assert code == "Application_StringExceededLength"


def test_texts_of_full_length_are_taken(books: Books):
    line = books.made_line(
        documentNumber=f" {'D' * 20}",  # measured without the spaces around it
        externalDocumentNumber="E" * 35,
        description="d" * 100,
        comment="c" * 250,
    )
    assert [len(line[name]) for name in ("documentNumber", "externalDocumentNumber", "description", "comment")] == [
        20,
        35,
        100,
        250,
    ]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("42.174", "42.17"), ("42.175", "42.18"), ("-42.175", "-42.18"), ("0.005", "0.01"), ("7", "7"), ("0", "0")],
)
def test_an_amount_is_rounded_to_cents_without_a_word(books: Books, sent: str, stored: str):
    assert books.made_line(amount=Decimal(sent))["amount"] == Decimal(stored)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "42.17"},
        {"amount": True},
        {"amount": Decimal("1000000000000000")},
        {"postingDate": "14.03.2026"},
        {"postingDate": "2026-02-30"},
        {"postingDate": "2026-03-14T00:00:00Z"},
        {"description": 5},
        {"accountId": "no guid"},
        {"lineNumber": Decimal("1.5")},
        {"lineNumber": 2**31},
        {"dimensionSetLines": "DEPARTMENT"},
        {"documentType": "Payment"},
        {"attachments": []},
    ],
)
def test_what_does_not_fit_its_type_or_does_not_exist_is_refused(books: Books, change: dict[str, Any]):
    assert books.refused("POST", books.lines_of(), books.body(**change)) == "BadRequest"


@pytest.mark.parametrize("name", ["id", "journalDisplayName", "lastModifiedDateTime"])
def test_members_only_the_server_writes_are_refused(books: Books, name: str):
    assert books.refused("POST", books.lines_of(), books.body(**{name: NOWHERE})) == "BadRequest_InvalidOperation"
    path = f"journalLines({books.made_line()['id']})"
    assert books.refused("PATCH", path, {name: NOWHERE}) == "BadRequest_InvalidOperation"


# Which account may stand on a line


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [
        ("G/L Account", "99999", "Internal_InvalidTableRelation"),
        ("G/L Account", "60000", "Internal_InvalidTableRelation"),  # a heading
        ("G/L Account", "61999", "Internal_InvalidTableRelation"),  # blocked
        ("G/L Account", "13100", "Application_FieldValidationException"),  # no direct posting
        ("G/L Account", "CHECKING", "Internal_InvalidTableRelation"),
        ("Bank Account", "NOBANK", "Internal_InvalidTableRelation"),
        ("Bank Account", "CLOSED", "Application_FieldValidationException"),
        ("Vendor", "V99999", "Internal_InvalidTableRelation"),
        ("Customer", "C1", "Internal_InvalidTableRelation"),
    ],
)
def test_an_account_is_checked_when_the_line_is_made(books: Books, kind: str, number: str, code: str):
    body = books.body(accountType=kind, accountNumber=number)
    assert books.refused("POST", books.lines_of(), body) == code
    body = books.body(balanceAccountType=kind, balancingAccountNumber=number)
    assert books.refused("POST", books.lines_of(), body) == code


@pytest.mark.parametrize("number", ["60000", "61999", "13100"])
def test_an_account_named_by_its_id_is_refused_with_another_code(books: Books, company: Company, number: str):
    body = books.body(accountNumber=None, accountId=company.account(number).id)
    assert books.refused("POST", books.lines_of(), body) == "Application_FieldValidationException"


def test_a_vendor_blocked_for_payments_may_stand_on_a_line_and_one_blocked_for_all_may_not(
    books: Books, company: Company
):
    vendor = company.add_vendor("Blockbuster", blocked="Payment")
    body = books.body(accountType="Vendor", accountNumber=vendor.number)
    assert books.made(books.lines_of(), body)["accountType"] == "Vendor"
    vendor.blocked = "All"
    assert books.refused("POST", books.lines_of(), body) == "Application_DialogException"


def test_a_vendor_is_named_by_number_only(books: Books, company: Company):
    (vendor,) = company.vendors.values()
    line = books.made_line(accountType="Vendor", accountNumber=None, accountId=vendor.id)
    assert line["accountNumber"] == ""
    assert books.made_line(accountType="Vendor", accountNumber=vendor.number)["accountId"] == ZEROS


def test_vendors_cannot_be_on_both_sides(books: Books, company: Company):
    (vendor,) = company.vendors.values()
    both = {"accountType": "Vendor", "accountNumber": vendor.number}
    body = books.body(**both, balanceAccountType="Vendor", balancingAccountNumber=vendor.number)
    assert books.refused("POST", books.lines_of(), body) == "Application_DialogException"
    line = books.made_line(**both, balancingAccountNumber=EXPENSE)
    assert line["balancingAccountNumber"] == EXPENSE


def test_an_account_type_after_the_number_empties_the_number(books: Books, company: Company):
    (vendor,) = company.vendors.values()
    line = books.made(books.lines_of(), {"accountNumber": EXPENSE, "accountType": "Vendor", "amount": 5})
    assert (line["accountType"], line["accountNumber"]) == ("Vendor", "")
    body = {"accountNumber": vendor.number, "accountType": "Vendor"}
    assert books.refused("POST", books.lines_of(), body) == "Internal_InvalidTableRelation"


def test_an_unknown_tax_code_is_refused(books: Books):
    assert books.refused("POST", books.lines_of(), books.body(taxCode="GONE")) == "Internal_InvalidTableRelation"


def test_a_renumbered_account_is_found_by_its_new_number_only(books: Books, company: Company):
    books.made_line()
    company.account(EXPENSE).number = "61201"
    assert books.refused("POST", books.lines_of(), books.body()) == "Internal_InvalidTableRelation"
    assert books.made_line(accountNumber="61201")["accountId"] == company.account("61201").id


# What the server fills in


def test_the_description_is_the_accounts_name_unless_one_is_sent(books: Books, company: Company):
    (vendor,) = company.vendors.values()
    assert books.made_line(description=None)["description"] == "Office supplies"
    assert books.made_line(description="")["description"] == "Office supplies"
    line = books.made_line(accountType="Vendor", accountNumber=vendor.number, description=None)
    assert line["description"] == "Target"


def test_the_day_is_the_one_of_the_line_before_or_today(books: Books, company: Company):
    assert books.made_line(postingDate=None)["postingDate"] == company.today().isoformat()
    books.made_line(postingDate="2026-03-01")
    assert books.made_line(postingDate=None)["postingDate"] == "2026-03-01"
    assert books.made_line(postingDate="0001-01-01")["postingDate"] == "2026-03-01"


def test_the_document_number_of_an_empty_journal_is_the_series_next_or_nothing(books: Books):
    assert books.made_line(documentNumber=None)["documentNumber"] == ""
    journals.recreate_journal(books.company, books.journal)
    books.journal.number_series = "GJNL-GEN"
    assert books.made_line(documentNumber=None)["documentNumber"] == "G00001"


def test_the_document_number_goes_on_while_the_journal_does_not_balance_and_is_raised_when_it_does(books: Books):
    same = {"documentNumber": None, "externalDocumentNumber": "X"}
    books.made_line(**{**same, "documentNumber": "INV-0099-A"})
    assert books.made_line(**same, amount=Decimal(-40))["documentNumber"] == "INV-0099-A"
    assert books.made_line(**same, amount=Decimal("-2.17"))["documentNumber"] == "INV-0099-A"
    assert books.made_line(**same)["documentNumber"] == "INV-0100-A"


def test_another_external_number_makes_another_document_of_the_credit_line(books: Books):
    debit = books.made_line(externalDocumentNumber="A")
    credit = books.made_line(externalDocumentNumber="B", documentNumber=None, amount=Decimal("-42.17"))
    assert (debit["documentNumber"], credit["documentNumber"]) == ("PEX981", "PEX982")
    assert books.made_line(externalDocumentNumber="C", documentNumber="PEX981")["documentNumber"] == "PEX981"


def test_a_number_without_digits_cannot_be_raised(books: Books):
    books.made_line(documentNumber="RENT")
    assert books.made_line(documentNumber=None, externalDocumentNumber="B")["documentNumber"] == ""
    books.made_line(documentNumber="9" * 20)
    body = books.body(documentNumber=None, externalDocumentNumber="B")
    assert books.refused("POST", books.lines_of(), body) == "Application_DialogException"


def test_the_first_line_after_posting_takes_the_number_of_the_blank_line(books: Books):
    books.pair()
    books.post_journal()
    line = books.made_line(documentNumber=None, externalDocumentNumber=None)
    assert (line["documentNumber"], line["lineNumber"]) == ("PEX982", 20000)


# Line numbers


def test_lines_are_numbered_in_steps_of_ten_thousand(books: Books):
    assert [books.made_line()["lineNumber"] for _ in range(3)] == [10000, 20000, 30000]
    assert books.made_line(lineNumber=31234)["lineNumber"] == 31234
    assert books.made_line(lineNumber=0)["lineNumber"] == 41234


def test_a_line_number_is_taken_once(books: Books):
    books.made_line(lineNumber=981)
    code = books.refused("POST", books.lines_of(), books.body(lineNumber=981))
    assert code == "Internal_EntityWithSameKeyExists"
    other = books.made("journals", {"code": "OTHER"})
    assert books.made(f"journals({other['id']})/journalLines", books.body(lineNumber=981))["lineNumber"] == 981


def test_a_line_in_the_middle_follows_the_line_below_it(books: Books):
    for day in (1, 2, 3):
        books.made_line(documentNumber=f"PEX{day}", postingDate=f"2026-03-0{day}")
    middle = books.made_line(lineNumber=15000, documentNumber=None, postingDate=None)
    assert (middle["documentNumber"], middle["postingDate"]) == ("PEX2", "2026-03-02")
    assert [row["lineNumber"] for row in books.rows(books.lines_of())] == [10000, 15000, 20000, 30000]
    assert books.made_line()["lineNumber"] == 40000


# The balancing account


def test_a_journals_balancing_account_goes_on_every_line_and_an_empty_one_sent_does_not_help(
    books: Books, company: Company
):
    account = company.account(PEX)
    books.changed(f"journals({books.journal.id})", {"balancingAccountId": account.id})
    for sent in (None, ""):
        line = books.made_line(balancingAccountNumber=sent)
        assert (line["balancingAccountNumber"], line["balancingAccountId"]) == (PEX, account.id)
    assert books.made_line(balancingAccountNumber="40900")["balancingAccountNumber"] == "40900"
    emptied = books.changed(f"journalLines({line['id']})", {"balancingAccountNumber": ""})
    assert (emptied["balancingAccountNumber"], emptied["balancingAccountId"]) == ("", ZEROS)


def test_a_line_may_balance_itself_on_an_account_or_a_bank(books: Books, company: Company):
    bank = company.by_number("Bank Account", "CHECKING")
    assert bank
    line = books.made_line(balanceAccountType="Bank Account", balancingAccountId=bank.id)
    assert (line["balanceAccountType"], line["balancingAccountNumber"]) == ("Bank_x0020_Account", "CHECKING")
    assert books.made_line(balancingAccountNumber=PEX)["balancingAccountId"] == company.account(PEX).id


def test_a_journal_balancing_on_a_bank_loses_it_to_lines_that_say_g_l_account(books: Books):
    books.journal.balance_type, books.journal.balance_account = "Bank Account", "CHECKING"
    kept = books.made_line(balanceAccountType="Bank Account")
    assert kept["balancingAccountNumber"] == "CHECKING"
    lost = books.made_line(balanceAccountType="G/L Account")
    assert (lost["balanceAccountType"], lost["balancingAccountNumber"]) == ("G_x002F_L_x0020_Account", "")


# Where a line is put


def test_the_journal_comes_from_the_address_or_the_body(books: Books):
    assert books.made("journalLines", books.body(journalId=books.journal.id))["lineNumber"] == 10000
    assert books.refused("POST", "journalLines", books.body()) == "Application_DialogException"
    body = books.body(journalId=NOWHERE)
    assert books.refused("POST", "journalLines", body, 404) == "Internal_RecordNotFound"
    path = f"journals({NOWHERE})/journalLines"
    assert books.refused("POST", path, books.body(), 404) == "Internal_RecordNotFound"


def test_a_journal_waiting_for_approval_is_not_changed(books: Books):
    line = books.made_line()
    books.journal.pending_approval = True
    for method, path, body in (
        ("POST", books.lines_of(), books.body()),
        ("PATCH", f"journalLines({line['id']})", {"comment": "x"}),
        ("DELETE", f"journalLines({line['id']})", None),
    ):
        assert books.refused(method, path, body) == "Application_DialogException"
    assert books.one(f"journalLines({line['id']})")["comment"] == ""


# Which lines are shown


def test_a_list_needs_a_journal(books: Books):
    books.made_line()
    assert books.refused("GET", "journalLines") == "Application_DialogException"
    assert books.refused("GET", "journalLines?$filter=amount gt 0") == "Application_DialogException"
    assert len(books.rows("journalLines", filter=f"journalId eq {books.journal.id}")) == 1
    other = books.made("journals", {"code": "OTHER"})
    assert books.rows("journalLines", filter=f"journalId eq {other['id']}") == []


@pytest.mark.parametrize(("mode", "shown"), [("documented", 2), ("source", 3)])
def test_which_accounts_lines_are_shown_is_a_switch(books: Books, company: Company, mode: Any, shown: int):
    (vendor,) = company.vendors.values()
    books.world.switches.read_lines = mode
    books.made_line()
    books.made_line(accountType="Bank Account", accountNumber="CHECKING")
    hidden = books.made_line(accountType="Vendor", accountNumber=vendor.number)
    books.made_line(accountType="Employee", accountNumber=None)
    assert len(books.rows(books.lines_of())) == shown
    assert len(company.lines()) == 3
    answer = books.ask("GET", f"journalLines({hidden['id']})")
    assert answer.status_code == (200 if mode == "source" else 404)


def test_a_line_a_person_gave_a_document_type_is_hidden(books: Books, company: Company):
    line = books.made_line()
    journals.edit_line(company, books.stored(line), document_type="Payment")
    assert books.rows(books.lines_of()) == []
    assert len(company.lines()) == 1


def test_the_blank_line_after_posting_is_shown_with_the_next_number_and_without_an_account(books: Books):
    books.pair()
    books.post_journal()
    (blank,) = books.rows(books.lines_of(), filter="documentNumber eq 'PEX982'")
    assert (blank["lineNumber"], blank["accountNumber"], blank["amount"]) == (10000, "", 0)
    assert (blank["externalDocumentNumber"], blank["description"]) == ("", "")
    assert books.company.lines() == []


# Changing and deleting


def test_a_patch_changes_what_it_names_and_the_etag(books: Books):
    line = books.made_line()
    answer = books.changed(f"journalLines({line['id']})", {"amount": Decimal("10.005"), "comment": "late"})
    assert (answer["amount"], answer["comment"], answer["description"]) == (Decimal("10.01"), "late", "Target")
    assert answer["@odata.etag"] != line["@odata.etag"]
    path = f"journalLines({line['id']})"
    stale = books.ask("PATCH", path, {"comment": "x"}, headers={"If-Match": line["@odata.etag"]})
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "Request_EntityChanged")


def test_another_account_brings_its_name_tax_and_dimensions(books: Books, company: Company):
    company.account("61300").default_dimensions["PROJECT"] = "P1"
    line = books.made_line(taxCode="NONTAXABLE", dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "ADM"}])
    answer = books.changed(f"journalLines({line['id']})", {"accountNumber": "61300"})
    assert (answer["accountNumber"], answer["description"], answer["taxCode"]) == ("61300", "Travel", "")
    assert books.stored(line).dimensions == {"PROJECT": "P1"}
    same = books.changed(f"journalLines({line['id']})", {"accountNumber": "61300", "description": "Taxi"})
    assert same["description"] == "Taxi"
    other_type = books.changed(f"journalLines({line['id']})", {"accountType": "Bank Account"})
    assert (other_type["accountNumber"], other_type["description"]) == ("", "")


def test_a_line_may_get_another_number_but_no_other_journal(books: Books):
    first, second = books.pair()
    path = f"journalLines({first['id']})"
    assert books.refused("PATCH", path, {"lineNumber": 20000}) == "Internal_EntityWithSameKeyExists"
    assert books.changed(path, {"lineNumber": 25000})["lineNumber"] == 25000
    assert [row["id"] for row in books.rows(books.lines_of())] == [second["id"], first["id"]]
    other = books.made("journals", {"code": "OTHER"})
    assert books.refused("PATCH", path, {"journalId": other["id"]}) == "Application_DialogException"
    assert books.changed(path, {"journalId": books.journal.id})["journalId"] == books.journal.id


def test_children_are_not_changed_with_their_line(books: Books):
    path = f"journalLines({books.made_line()['id']})"
    nested = [{"code": "DEPARTMENT", "valueCode": "ADM"}]
    assert books.refused("PATCH", path, {"dimensionSetLines": nested}) == "BadRequest"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"accountNumber": "13100"}, "Application_FieldValidationException"),
        ({"accountNumber": "99999"}, "Internal_InvalidTableRelation"),
        ({"description": "x" * 101}, "Application_StringExceededLength"),
        ({"comment": "first", "accountNumber": "61999"}, "Internal_InvalidTableRelation"),
    ],
)
def test_a_refused_patch_changes_nothing(books: Books, body: dict[str, Any], code: str):
    assert books.refused("PATCH", f"journalLines({books.made_line()['id']})", body) == code


def test_a_deleted_line_is_gone_and_its_file_hangs_on_nothing(books: Books, company: Company):
    debit, credit = books.pair()
    file = books.made("attachments", {"parentId": credit["id"], "parentType": "Journal", "fileName": "r.pdf"})
    answer = books.ask("DELETE", f"journalLines({credit['id']})")
    assert (answer.status_code, answer.content) == (204, b"")
    assert books.ask("GET", f"journalLines({credit['id']})").status_code == 404
    assert [row["id"] for row in books.rows(books.lines_of())] == [debit["id"]]
    left = books.one(f"attachments({file['id']})")
    assert (left["parentId"], left["parentType"]) == (ZEROS, "_x0020_")


# What people type


def test_a_person_goes_on_with_the_next_number_after_a_journal_that_balances(books: Books, company: Company):
    books.pair()
    made = journals.add_manual_line(company, books.journal, "61300", Decimal("12.5"), external_number="PEX-P-4410-981")
    assert (made.document_number, made.posting_date, made.number) == ("PEX982", date(2026, 3, 14), 30000)
    assert (made.amount, made.description) == (Decimal("12.50"), "Travel")
    bank = journals.add_manual_line(
        company, books.journal, "CHECKING", Decimal("-12.5"), "Bank Account", posting_date=date(2026, 4, 1)
    )
    assert (bank.document_number, bank.posting_date) == ("PEX983", date(2026, 4, 1))
    assert len(books.rows(books.lines_of())) == 4


def test_a_person_types_over_a_line_or_deletes_it(books: Books, company: Company):
    line = books.stored(books.made_line())
    version = line.version
    journals.edit_line(
        company,
        line,
        amount=Decimal("41.17"),
        document_number="rent1",
        posting_date=date(2026, 4, 1),
        dimensions={"DEPARTMENT": "ADM"},
    )
    (row,) = books.rows(books.lines_of(), expand="dimensionSetLines")
    assert (row["amount"], row["documentNumber"], row["postingDate"]) == (Decimal("41.17"), "RENT1", "2026-04-01")
    assert [one["valueCode"] for one in row["dimensionSetLines"]] == ["ADM"]
    assert line.version > version
    journals.delete_line(company, line)
    assert books.rows(books.lines_of()) == []


# Taking back


def test_a_snapshot_that_fails_leaves_no_trace_of_any_change(books: Books, company: Company):
    company.account("61300").default_dimensions["PROJECT"] = "P1"
    debit, credit = books.pair(dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "ADM"}])
    file = books.made("attachments", {"parentId": credit["id"], "parentType": "Journal", "fileName": "r.pdf"})
    department, project = company.dimension("DEPARTMENT").id, {"code": "PROJECT", "valueCode": "P2"}
    lines, journal = books.lines_of(), f"journals({books.journal.id})"
    dimensions = f"journalLines({debit['id']})/dimensionSetLines"
    line = books.line(amount=5)
    work: list[tuple[str, str, Any]] = [
        ("POST", "journals", {"code": "NEW", "journalLines": [line]}),
        ("PATCH", journal, {"displayName": "x", "balancingAccountId": company.account(PEX).id}),
        ("POST", lines, {**line, "dimensionSetLines": [project]}),
        ("POST", lines, {**line, "lineNumber": 15000}),
        ("POST", dimensions, project),
        ("PATCH", f"{dimensions}({department})", {"valueCode": "SALES"}),
        ("DELETE", f"{dimensions}({department})", None),
        ("PATCH", f"journalLines({debit['id']})", {"accountNumber": "61300", "lineNumber": 90000}),
        ("POST", "attachments", {"parentId": debit["id"], "parentType": "Journal", "fileName": "s.pdf"}),
        ("PATCH", f"attachments({file['id']})", {"fileName": "t.pdf"}),
        ("DELETE", f"journalLines({credit['id']})", None),
        ("DELETE", f"attachments({file['id']})", None),
        ("DELETE", journal, None),
        ("POST", "journals", {"code": "NEW"}),
    ]
    before = books.everything()
    answer = books.snapshot(*[books.operation(*one, **{"If-Match": "*"}) for one in work])
    assert statuses(answer) == [201, 200, 201, 201, 201, 200, 204, 200, 201, 200, 204, 204, 204, 400]
    assert books.everything() == before
    assert list(books.journal.lines) == [debit["id"], credit["id"]]


def test_posting_is_taken_back_with_its_snapshot(books: Books, company: Company):
    company.add_journal("EMPTY")
    books.journal.posting_series = "GJNL-POST"
    _, credit = books.pair()
    books.made_line(accountType="Bank Account", accountNumber="CHECKING", balancingAccountNumber=PEX)
    books.made("attachments", {"parentId": credit["id"], "parentType": "Journal", "fileName": "r.pdf"})
    before = books.everything()
    answer = books.snapshot(
        books.operation("POST", f"journals({books.journal.id})/Microsoft.NAV.post"),
        books.operation("POST", f"journals({company.journal('EMPTY').id})/Microsoft.NAV.post"),
    )
    assert statuses(answer) == [204, 400]
    assert books.everything() == before
    books.post_journal()
    assert [one[0] for one in books.entries()] == ["G00001"] * 4


def test_a_line_of_a_long_journal_is_made_without_walking_through_it(books: Books, company: Company):
    """Counted, not timed: the lines before the last are never looked at."""
    for number in range(3):
        books.made_line(documentNumber=f"PEX{number}")
    first, *_ = books.journal.lines.values()

    class Untouchable(type(first)):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"looked at {name}")

    first.__class__ = Untouchable
    assert books.made_line(documentNumber="PEX4")["lineNumber"] == 40000
