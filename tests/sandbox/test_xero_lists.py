"""Reading lists of the simulated Xero: filters, order, pages, changes."""

from collections.abc import Iterator
from datetime import date, timedelta

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def filled(books: Books) -> Books:
    """Four transactions: three with references, one without."""
    enter = books.organisation.post_by_hand
    enter("PEX-1", "10.00", date=date(2026, 7, 1), contact="Shell", url="https://pex.example/1")
    enter("PEX-2", "20.00", date=date(2026, 7, 31), contact="Café Zoë", type="RECEIVE")
    enter("", "30.00", date=date(2026, 8, 1), contact="Shell")
    enter("inv-1", "40.00", date=date(2026, 9, 1), contact="O'Brien", bank_account="Business Checking")
    return books


def found(books: Books, where: str) -> list[str]:
    return [row.get("Reference", "") for row in books.records("BankTransactions", where=where, page=1)]


def refused(books: Books, where: str, path: str = "BankTransactions") -> str:
    answer = books.get(path, where=where)
    assert answer.status_code == 400
    assert (answer.json()["ErrorNumber"], answer.json()["Type"]) == (16, "QueryParseException")
    return answer.json()["Message"]


@pytest.mark.parametrize(
    ("where", "references"),
    [
        ('Type=="RECEIVE"', ["PEX-2"]),
        ('Type = "SPEND" AND Status!="DELETED"', ["PEX-1", "", "inv-1"]),
        ("Date>=DateTime(2026,07,01) AND Date<=DateTime(2026,07,31)", ["PEX-1", "PEX-2"]),
        ("Date > DateTime(2026, 7, 1) && Date < DateTime(2026, 8, 1)", ["PEX-2"]),
        ("Date >= DateTime(2026,07,31,12,0,0)", ["", "inv-1"]),
        ("Date==DateTime(2026,8,1)", [""]),
        ("UpdatedDateUTC>DateTime(2020,1,1,10,20,30,400) AND Total==20", ["PEX-2"]),
        ('Reference!=null AND Reference=="PEX-1"', ["PEX-1"]),
        ('Reference != null and Reference.StartsWith("PEX")', ["PEX-1", "PEX-2"]),
        ('Reference!=null AND Reference.EndsWith("-1")', ["PEX-1", "inv-1"]),
        ('Reference!=null AND Reference.ToLower().Contains("pex")', ["PEX-1", "PEX-2"]),
        ("Reference==null", [""]),
        ('Contact.Name=="Shell"', ["PEX-1", ""]),
        ('Contact.Name=="O\'Brien"', ["inv-1"]),
        ('BankAccount.Name=="Business Checking"', ["inv-1"]),
        ("Total>=30", ["", "inv-1"]),
        ("Total>20.00 AND Total<40", [""]),
        ("!(Total>20)", ["PEX-1", "PEX-2"]),
        ("IsReconciled==false AND Total<15", ["PEX-1"]),
        ("IsReconciled", []),
        ('(Type=="RECEIVE" OR Total==40)', ["PEX-2", "inv-1"]),
        ("UpdatedDateUTC>=DateTime(2020,1,1) AND Total==10", ["PEX-1"]),
    ],
)
def test_a_filter_finds_what_it_says(filled: Books, where: str, references: list[str]):
    assert found(filled, where) == references


def test_ids_are_compared_as_guids(filled: Books):
    account = filled.organisation.account("Business Checking").id
    assert found(filled, f'BankAccount.AccountID==Guid("{account}")') == ["inv-1"]
    shell = filled.organisation.contact("Shell").id.upper()
    assert found(filled, f'Contact.ContactID == guid("{shell}")') == ["PEX-1", ""]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ('Reference=="PEX-1"', "Object reference not set to an instance of an object."),
        ('Reference.Contains("PEX")', "Object reference not set to an instance of an object."),
        ('Contact.Name=="The "Blue" Door"', "Syntax error"),
        ('Contact.Name=="The \\"Blue\\" Door"', "Syntax error"),
        ('Contact.Name=="The \\\\"Blue\\\\" Door"', "Syntax error"),
        ("Contact.Name=='Shell'", "Character literal must contain exactly one character"),
        ('Contact.Name=="Shell', "Unterminated string literal"),
        ('Name=="x"', "No property or field 'Name' exists in type 'BankTransaction'"),
        ('Contact.Nme=="x"', "No property or field 'Nme' exists in type 'Contact'"),
        ('Date>="2026-07-01"', "Operator '>=' incompatible with operand types 'DateTime' and 'String'"),
        ('BankTransactionID=="x"', "Operator '==' incompatible with operand types 'Guid' and 'String'"),
        ('Total.Contains("x")', "No applicable method 'Contains' exists in type 'Decimal'"),
        ('Type=="SPEND" AND', "Syntax error"),
        ("Date>=DateTime(2026,13,1)", "Syntax error"),
        ("Date>=DateTime(2026,7)", "Syntax error"),
        ('Type=="SPEND")', "Syntax error"),
        ("Type", "Expression of type 'Boolean' expected"),
    ],
)
def test_a_filter_xero_cannot_read_is_error_16(filled: Books, where: str, message: str):
    assert refused(filled, where) == message


def test_a_contact_without_an_email_simply_differs(books: Books):
    books.organisation.add_contact("Shell")
    assert books.records("Contacts", where='EmailAddress=="a@b.example"') == []


def test_a_raw_ampersand_cuts_the_query(filled: Books):
    url = f'{filled.desk.url}/xero-api/api.xro/2.0/BankTransactions?where=Contact.Name=="A&B"'
    answer = filled.http.get(httpx.URL(url), headers=dict(filled.get("Organisation").request.headers))
    assert answer.json()["Message"] == "Unterminated string literal"


def test_a_plus_is_a_blank_unless_encoded(books: Books):
    books.organisation.add_contact("A+B")
    assert len(books.call("GET", 'Contacts?where=Name=="A%2BB"').json()["Contacts"]) == 1
    assert books.call("GET", 'Contacts?where=Name=="A+B"').json()["Contacts"] == []


def test_or_can_be_forbidden(filled: Books):
    filled.world.switches.where_or = False
    assert "OR" in refused(filled, 'Type=="SPEND" OR Type=="RECEIVE"')


def test_the_usual_order_is_by_last_change_and_another_may_be_asked_for(filled: Books):
    def references(**query: str) -> list[str]:
        return [row.get("Reference", "") for row in filled.records("BankTransactions", page=1, **query)]

    assert references() == ["PEX-1", "PEX-2", "", "inv-1"]
    filled.organisation.reconcile(next(iter(filled.organisation.bank_transactions)))
    assert references() == ["PEX-2", "", "inv-1", "PEX-1"]
    assert references(order="Date DESC") == ["inv-1", "", "PEX-2", "PEX-1"]
    assert references(order="Type DESC, Total DESC") == ["inv-1", "", "PEX-1", "PEX-2"]
    assert filled.get("BankTransactions", order="Nonsense").json()["ErrorNumber"] == 16


def test_pages_hold_a_hundred_and_at_most_a_thousand(books: Books):
    books.organisation.add_foreign_transactions(1200)
    first = books.get("BankTransactions", page=1).json()
    assert len(first["BankTransactions"]) == 100
    assert first["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 12, "itemCount": 1200}
    assert len(books.records("BankTransactions", page=1, pageSize=5000)) == 1000
    assert len(books.records("BankTransactions", page=2, pageSize=1000)) == 200
    assert len(books.records("BankTransactions", page=1, pageSize=0)) == 1
    assert books.records("BankTransactions", page=99) == []


def test_without_a_page_there_are_no_lines(filled: Books):
    assert [row["LineItems"] for row in filled.records("BankTransactions")] == [[], [], [], []]
    assert filled.records("BankTransactions", page=1)[0]["LineItems"]
    id = next(iter(filled.organisation.bank_transactions))
    assert filled.records(f"BankTransactions/{id}")[0]["LineItems"]


def test_old_servers_have_no_pagination_object(filled: Books):
    filled.world.switches.pagination = False
    assert "pagination" not in filled.get("BankTransactions", page=1).json()


def test_references_are_a_filter_or_ignored(filled: Books):
    asked = filled.records("BankTransactions", References="PEX-1,PEX-2,PEX-9", page=1)
    assert [row["Reference"] for row in asked] == ["PEX-1", "PEX-2"]
    filled.world.switches.references = False
    assert len(filled.records("BankTransactions", References="PEX-1", page=1)) == 4


def test_too_broad_a_filter_is_refused(filled: Books):
    filled.world.switches.most_rows = 3
    assert filled.get("BankTransactions", page=1).status_code == 400


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S.%fZ"])
def test_changes_since_a_moment_to_the_second_with_or_without_zone(filled: Books, form: str):
    filled.desk.clock.advance(timedelta(minutes=1))
    since = filled.desk.clock.now().strftime(form)
    headers = {"If-Modified-Since": since}
    assert filled.call("GET", "BankTransactions", headers=headers).json()["BankTransactions"] == []
    one = filled.organisation.post_by_hand("PEX-9")
    rows = filled.call("GET", "BankTransactions", headers=headers).json()["BankTransactions"]
    assert [row["BankTransactionID"] for row in rows] == [one.id]


def test_twenty_thousand_foreign_transactions_answer_a_filtered_page(books: Books):
    books.organisation.add_foreign_contacts(300)
    books.organisation.add_foreign_transactions(20_000, until=date(2026, 7, 31), days=400)
    where = 'Date>=DateTime(2026,07,01) AND Date<=DateTime(2026,07,31) AND Type=="SPEND"'
    answer = books.get("BankTransactions", where=where, page=1, pageSize=1000).json()
    assert answer["pagination"]["itemCount"] == 1240
    assert len(answer["BankTransactions"]) == 1000
    assert {one.bank_account.name for one in books.organisation.live()} == {"Business Checking"}
