"""Posting in the simulated Business Central: what is checked only then, what it books, and what it leaves behind."""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.dynamics365 import attachments, journals, posting
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.values import Refused
from sandbox.server import Desk
from tests.sandbox.bc_journal import EXPENSE, PEX, Books, open_books

NOUGHT = Decimal(0)
MARCH_14 = date(2026, 3, 14)


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def company(books: Books) -> Company:
    return books.company


# What it books


def test_each_side_becomes_an_entry_and_the_lines_are_gone(books: Books, company: Company):
    debit, credit = books.pair(comment="J. Doe", dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])
    books.post_journal()
    assert books.entries() == [
        ("PEX981", EXPENSE, Decimal("42.17"), NOUGHT),
        ("PEX981", PEX, NOUGHT, Decimal("42.17")),
    ]
    first, second = company.entries.values()
    assert (first.external_number, first.comment, first.description) == ("PEX-P-4410-981", "J. Doe", "Target")
    assert (first.dimensions, second.dimensions) == ({"PROJECT": "P1"}, {})
    assert (first.number, second.number, first.posting_date) == (1, 2, MARCH_14)
    for line in (debit, credit):
        assert books.ask("GET", f"journalLines({line['id']})").status_code == 404
    (document,) = company.documents()
    assert (document.place, document.balanced, document.on(PEX)) == ("ledger", True, Decimal("-42.17"))


def test_an_entry_shows_neither_external_number_nor_comment(books: Books, company: Company):
    books.pair(comment="J. Doe")
    books.post_journal()
    rows = books.rows("generalLedgerEntries", filter="documentNumber eq 'PEX981' and postingDate eq 2026-03-14")
    assert [name for name in rows[0] if "@" not in name] == [
        "id",
        "entryNumber",
        "postingDate",
        "documentNumber",
        "documentType",
        "accountId",
        "accountNumber",
        "description",
        "debitAmount",
        "creditAmount",
        "additionalCurrencyDebitAmount",
        "additionalCurrencyCreditAmount",
        "lastModifiedDateTime",
    ]
    assert [(row["entryNumber"], row["accountId"], row["debitAmount"], row["creditAmount"]) for row in rows] == [
        (1, company.account(EXPENSE).id, Decimal("42.17"), 0),
        (2, company.account(PEX).id, 0, Decimal("42.17")),
    ]
    assert rows[0]["documentType"] == "_x0020_"
    path = f"generalLedgerEntries({rows[0]['id']})"
    assert books.one(path)["documentNumber"] == "PEX981"
    for method in ("PATCH", "DELETE"):
        code = books.refused(method, path, {"description": "x"} if method == "PATCH" else None, 405)
        assert code == "BadRequest_MethodNotAllowed"
    code = books.refused("GET", "generalLedgerEntries?$filter=externalDocumentNumber eq 'PEX-P-4410-981'")
    assert code.startswith("BadRequest")


def test_a_line_with_a_balancing_account_makes_two_entries(books: Books):
    books.made_line(balancingAccountNumber=PEX)
    books.made_line(documentNumber="PEX982", amount=-5, balancingAccountNumber=PEX)
    books.post_journal()
    assert books.entries() == [
        ("PEX981", EXPENSE, Decimal("42.17"), NOUGHT),
        ("PEX981", PEX, NOUGHT, Decimal("42.17")),
        ("PEX982", EXPENSE, NOUGHT, Decimal(5)),
        ("PEX982", PEX, Decimal(5), NOUGHT),
    ]


def test_a_debit_and_a_credit_line_in_a_journal_with_a_balancing_account_book_twice(books: Books, company: Company):
    books.journal.balance_account = PEX
    books.pair()
    books.post_journal()
    (document,) = company.documents()
    assert (document.balanced, len(document.entries)) == (True, 4)
    assert document.on(EXPENSE) == Decimal("42.17")
    assert document.on(PEX) == Decimal("-42.17")  # once more on each side: debit and credit of the PEX account


def test_vendors_and_banks_are_booked_on_the_account_of_their_group(books: Books, company: Company):
    (vendor,) = company.vendors.values()
    books.made_line(accountType="Vendor", accountNumber=vendor.number, amount=-7, balancingAccountNumber=EXPENSE)
    books.made_line(accountType="Bank Account", accountNumber="CHECKING", amount=-5, documentNumber="PEX982")
    books.made_line(accountNumber=PEX, amount=5, documentNumber="PEX982")
    books.post_journal()
    assert [(account, debit - credit) for _, account, debit, credit in books.entries()] == [
        ("20100", Decimal(-7)),
        (EXPENSE, Decimal(7)),
        ("10100", Decimal(-5)),
        (PEX, Decimal(5)),
    ]
    assert company.account("20100").name == "Accounts Payable"
    company.payables = "21000"
    for _ in range(2):
        books.made_line(accountType="Vendor", accountNumber=vendor.number, amount=1, balancingAccountNumber=EXPENSE)
        books.post_journal()
        assert books.entries()[-2][1] == "21000"
    assert sum(1 for one in company.accounts.values() if one.name == "Accounts Payable") == 2


def test_every_line_is_posted_whoever_made_it(books: Books, company: Company):
    books.pair()
    journals.add_manual_line(
        company, books.journal, "61300", Decimal(9), document_number="CHK-1", balance_account="40900"
    )
    books.post_journal()
    assert len(books.entries()) == 4
    assert company.lines() == []


# What it leaves behind


def test_one_blank_line_with_the_raised_number_of_the_last_line_is_left(books: Books, company: Company):
    books.pair("PEX1001")
    books.pair("PEX1002", postingDate="2026-04-02")
    books.post_journal()
    (blank,) = books.journal.lines.values()
    assert (blank.number, blank.account, blank.amount) == (10000, "", NOUGHT)
    assert (blank.document_number, blank.posting_date) == ("PEX1003", date(2026, 4, 2))
    assert company.lines() == []
    assert len(company.documents()) == 2


def test_a_journal_with_a_number_series_is_left_without_a_line(books: Books):
    books.journal.number_series = "GJNL-GEN"
    books.pair()
    books.post_journal()
    assert books.journal.lines == {}


def test_a_posting_series_renumbers_the_documents_and_not_the_blank_line(books: Books, company: Company):
    books.journal.posting_series = "GJNL-POST"
    books.pair("PEX981")
    books.pair("PEX982")
    books.post_journal()
    assert [number for number, *_ in books.entries()] == ["G00001", "G00001", "G00002", "G00002"]
    assert books.rows("generalLedgerEntries", filter="startswith(documentNumber,'PEX')") == []
    (blank,) = books.journal.lines.values()
    assert blank.document_number == "PEX983"
    books.pair("PEX990")
    books.post_journal()
    assert books.entries()[-1][0] == "G00003"


def test_blank_lines_are_passed_over_and_nothing_to_post_is_an_error(books: Books):
    assert "nothing to post" in books.why_not_posted()
    books.pair()
    books.post_journal()
    assert "nothing to post" in books.why_not_posted()
    books.pair("PEX982")
    books.post_journal()
    assert len(books.entries()) == 4


def test_where_the_job_queue_posts_the_action_only_schedules(books: Books, company: Company):
    books.world.switches.job_queue = True
    assert "nothing to post" in books.why_not_posted()
    books.pair()
    before = books.everything()
    books.post_journal()
    assert books.everything() == before
    posting.post_now(company, books.journal)
    assert len(books.entries()) == 2


# What is checked only now


def _close_march(books: Books) -> None:
    books.company.posting_from = date(2026, 3, 15)


def _close_april(books: Books) -> None:
    books.company.posting_to = date(2026, 3, 13)


def _edit(**fields: Any) -> Callable[[Books], None]:
    def edit(books: Books) -> None:
        line = next(iter(books.journal.lines.values()))
        journals.edit_line(books.company, line, **fields)

    return edit


def _mandatory(books: Books) -> None:
    books.company.account(PEX).mandatory.add("DEPARTMENT")


def _blocked_value(books: Books) -> None:
    books.company.dimension("PROJECT").values["P1"].blocked = True


def _heading_value(books: Books) -> None:
    books.company.dimension("PROJECT").values["P1"].kind = "Heading"


def _no_value(books: Books) -> None:
    del books.company.dimension("PROJECT").values["P1"]


def _no_manual_numbers(books: Books) -> None:
    books.journal.number_series, books.journal.manual_numbers = "GJNL-GEN", False


def _approval(books: Books) -> None:
    books.journal.pending_approval = True


def _blocked_account(books: Books) -> None:
    books.company.account(EXPENSE).blocked = True


def _indirect_account(books: Books) -> None:
    books.company.account(EXPENSE).direct_posting = False


def _heading_account(books: Books) -> None:
    books.company.account(EXPENSE).kind = "Heading"


def _no_account(books: Books) -> None:
    account = books.company.account(EXPENSE)
    del books.company.accounts[account.id]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_close_march, "Posting Date 2026-03-14 is not within"),
        (_close_april, "Posting Date 2026-03-14 is not within"),
        (_edit(amount=Decimal(41)), "PEX981 is out of balance by -1.17"),
        (_edit(document_number="PEX1"), "PEX1 is out of balance by 42.17"),
        (_edit(posting_date=date(2026, 3, 13)), "PEX981 is out of balance by 42.17"),
        (_edit(document_type="Payment"), "PEX981 is out of balance by"),
        (_edit(document_number=""), "Document No. must have a value"),
        (_edit(account=""), "Account No. must have a value"),
        (_edit(amount=Decimal(0)), "Amount must have a value"),
        (_mandatory, "Dimension Code DEPARTMENT for G/L Account 10950"),
        (_blocked_value, "Dimension Value PROJECT - P1 is blocked"),
        (_heading_value, "Dimension Value PROJECT - P1 must not be Heading"),
        (_no_value, "Dimension Value PROJECT - P1 does not exist"),
        (_no_manual_numbers, "may not enter numbers manually"),
        (_approval, "must be approved"),
        (_blocked_account, "Blocked must be equal to 'No' in G/L Account: No.=61200"),
        (_indirect_account, "Direct Posting must be equal to 'Yes' in G/L Account: No.=61200"),
        (_heading_account, "Account Type must be equal to 'Posting' in G/L Account: No.=61200"),
        (_no_account, "G/L Account does not exist"),
    ],
)
def test_posting_is_refused_whole_with_what_is_wrong(books: Books, spoil: Callable[[Books], None], words: str):
    books.pair(dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])
    spoil(books)
    assert words in books.why_not_posted()
    assert books.entries() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"posting_group": ""}, "Vendor Posting Group must have a value in Vendor"),
        ({"blocked": "All"}, "is blocked with type All"),
    ],
)
def test_a_vendor_must_be_complete_and_open(books: Books, company: Company, change: dict[str, str], words: str):
    (vendor,) = company.vendors.values()
    line = books.made_line(accountType="Vendor", accountNumber=vendor.number, amount=-7, balancingAccountNumber=EXPENSE)
    vendor.__dict__.update(change)
    assert words in books.why_not_posted()
    vendor.posting_group, vendor.blocked = "DOMESTIC", "Payment"
    journals.edit_line(company, books.stored(line), document_type="Payment")
    assert "is blocked with type Payment" in books.why_not_posted()
    journals.edit_line(company, books.stored(line), document_type=" ")
    books.post_journal()
    assert len(books.entries()) == 2


def test_a_blocked_bank_cannot_be_posted_on(books: Books, company: Company):
    books.made_line(accountType="Bank Account", accountNumber="CHECKING", balancingAccountNumber=PEX)
    bank: Any = company.by_number("Bank Account", "CHECKING")
    bank.blocked = True
    assert "Bank Account: No.=CHECKING" in books.why_not_posted()


def test_the_range_of_days_holds_its_ends(books: Books, company: Company):
    company.posting_from = company.posting_to = MARCH_14
    books.pair()
    books.post_journal()
    assert len(books.entries()) == 2


def test_a_begin_total_value_can_be_posted(books: Books, company: Company):
    company.dimension("PROJECT").values["P1"].kind = "Begin-Total"
    books.pair(dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])
    books.post_journal()
    assert len(books.entries()) == 2


def test_mandatory_dimensions_are_asked_of_both_sides_of_a_line(books: Books, company: Company):
    company.account(PEX).mandatory.add("DEPARTMENT")
    line = books.made_line(balancingAccountNumber=PEX)
    assert "DEPARTMENT" in books.why_not_posted()
    books.made(f"journalLines({line['id']})/dimensionSetLines", {"code": "DEPARTMENT", "valueCode": "ADM"})
    books.post_journal()
    assert [one.dimensions for one in company.entries.values()] == [{"DEPARTMENT": "ADM"}] * 2


def test_without_forced_document_balance_a_day_must_balance(books: Books, company: Company):
    company.force_balance = False
    books.made_line(documentNumber="A1")
    credit = books.made_line(documentNumber="B1", accountNumber=PEX, amount=Decimal("-42.17"))
    journals.edit_line(company, books.stored(credit), posting_date=date(2026, 3, 15))
    assert "The lines in 2026-03-14 are out of balance by 42.17" in books.why_not_posted()
    journals.edit_line(company, books.stored(credit), posting_date=MARCH_14)
    books.post_journal()
    assert [number for number, *_ in books.entries()] == ["A1", "B1"]


def test_the_series_own_next_numbers_need_no_leave(books: Books, company: Company):
    _no_manual_numbers(books)
    first = books.made_line(documentNumber=None, balancingAccountNumber=PEX)
    second = books.made_line(documentNumber=None, balancingAccountNumber=PEX)
    assert (first["documentNumber"], second["documentNumber"]) == ("G00001", "G00002")
    journals.edit_line(company, books.stored(second), document_number="G00003")
    assert "to use G00003" in books.why_not_posted()
    assert company.series == {}
    journals.edit_line(company, books.stored(second), document_number="G00002")
    books.post_journal()
    assert books.made_line(documentNumber=None)["documentNumber"] == "G00003"


def test_one_bad_line_keeps_the_good_ones_from_being_posted(books: Books, company: Company):
    books.pair("PEX981")
    books.pair("PEX982")
    company.account(EXPENSE).mandatory.add("PROJECT")
    for line in company.lines()[:2]:
        journals.edit_line(company, line, dimensions={"PROJECT": "P1"})
    assert "PROJECT" in books.why_not_posted()
    assert len(company.lines()) == 4


def test_files_that_are_not_released_hold_posting_where_the_company_asks_for_it(books: Books, company: Company):
    company.incoming_approval = True
    _, credit = books.pair()
    for name in ("r.pdf", "s.pdf"):
        books.made("attachments", {"parentId": credit["id"], "parentType": "Journal", "fileName": name})
    assert "PEX981 must be released" in books.why_not_posted()
    attachments.release(company, company.files_of(credit["id"])[0])
    books.post_journal()
    assert len(company.posted_documents) == 2


# What people do with what is posted


def test_a_reversed_document_is_turned_whole_under_its_number_and_day(books: Books, company: Company):
    books.pair("PEX981")
    books.pair("PEX982")
    books.post_journal()
    entry = list(company.entries.values())[1]
    assert len(posting.reverse(company, entry)) == 2
    rows = books.rows("generalLedgerEntries", filter="documentNumber eq 'PEX981' and postingDate eq 2026-03-14")
    assert [(row["accountNumber"], row["debitAmount"], row["creditAmount"]) for row in rows] == [
        (EXPENSE, Decimal("42.17"), 0),
        (PEX, 0, Decimal("42.17")),
        (EXPENSE, Decimal("-42.17"), 0),
        (PEX, 0, Decimal("-42.17")),
    ]
    reversed_one, other = company.documents()
    assert {reversed_one.on(EXPENSE), reversed_one.on(PEX)} == {NOUGHT}
    assert other.on(PEX) == Decimal("-42.17")
    assert [one.number for one in company.entries.values()] == [1, 2, 3, 4, 5, 6]
    for one in company.entries.values():
        if one.document_number == "PEX981":
            with pytest.raises(Refused, match="already been reversed"):
                posting.reverse(company, one)
