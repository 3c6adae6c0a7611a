"""What the control room tells of the books and of the faults that struck, and what it does in Xero and to sign-ins."""

from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.test_pex import acme, admin_of, client_of
from tests.sandbox.test_pex_oauth import refresh
from tests.sandbox.xero_books import Books, open_books

SECRET = "pexsync-demo-xero-secret"


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def control(sandbox: Desk) -> httpx.Client:
    return client_of(f"{sandbox.url}/control/")


def shown(control, books):
    return control.get("xero/books", params={"organisation": books.organisation.id}).json()


def test_the_books_are_told_with_their_files(books: Books, control):
    posted = books.accepted(books.spend(Url="https://pex.example/t/1"))["BankTransactionID"]
    books.organisation.attach(posted, "till.pdf", b"%PDF-1.4", "application/pdf")
    (told,) = shown(control, books)
    assert (told["id"], told["type"], told["status"], told["total"]) == (posted, "SPEND", "AUTHORISED", "41.87")
    assert (told["reference"], told["url"]) == ("PEX-1", "https://pex.example/t/1")
    assert told["attachments"] == [{"name": "till.pdf", "sha256": sha256(b"%PDF-1.4").hexdigest()}]


def test_a_record_is_voided_edited_and_entered_by_hand(books: Books, control):
    posted = books.accepted(books.spend())["BankTransactionID"]
    about = {"organisation": books.organisation.id, "id": posted}
    control.post("xero/edit", json={**about, "reference": "July", "amount": "40.00"})
    assert [(one.reference, one.total) for one in books.organisation.live()] == [("July", Decimal("40.00"))]
    control.post("xero/void", json=about)
    assert books.organisation.live() == []
    bank = books.organisation.account("PEX Cash Account")
    facts = {"reference": "PEXT7", "amount": "12.50", "type": "RECEIVE", "bank_account": bank.id, "date": "2026-07-03"}
    control.post("xero/enter", json={"organisation": books.organisation.id, **facts})
    (entered,) = books.organisation.live()
    assert (entered.reference, entered.total, entered.type, entered.bank_account) == (
        "PEXT7",
        Decimal("12.50"),
        "RECEIVE",
        bank,
    )


@pytest.mark.parametrize(
    ("action", "facts"),
    [("void", {"id": "nobody"}), ("enter", {}), ("enter", {"amount": "much"}), ("burn", {}), ("edit", {})],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(books: Books, control, action, facts):
    answer = control.post(f"xero/{action}", json=facts)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert books.organisation.bank_transactions == {}


def test_access_tokens_end_and_refresh_tokens_stay(books: Books, control):
    assert control.post("xero/expire-tokens", json={}).json() == {"expired": 1}
    assert books.get("Organisation").status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": books.token["refresh_token"]}
    fresh = books.http.post("/xero-identity/connect/token", data=form, auth=("pexsync-demo-xero", SECRET)).json()
    books.token = fresh
    assert books.get("Organisation").status_code == 200


def test_a_pair_of_pex_ends_and_is_renewed(sandbox: Desk, control):
    business = acme(sandbox)
    pair = control.post("pex/pair", json={"admin": f"4410:{admin_of(business).admin_id}"}).json()
    client = client_of(f"{sandbox.url}/pex/V4/", Authorization=f"Bearer {pair['access_token']}")
    assert client.get("Business/Profile").status_code == 200
    assert control.post("pex/expire-tokens", json={"business_id": 4410}).json() == {"expired": 1}
    assert client.get("Business/Profile").status_code == 401
    assert control.post("pex/expire-tokens", json={"business_id": 4410}).json() == {"expired": 0}
    assert refresh(sandbox, pair["refresh_token"]).status_code == 200


def test_it_is_told_which_calls_the_faults_struck(books: Books, control):
    number = control.post("faults", json={"kind": "status", "status": 503, "path": "BankTransactions$"}).json()[
        "number"
    ]
    books.put("BankTransactions", books.spend(Reference="PEXT7"))
    books.put("BankTransactions", books.spend(Reference="PEXT8"))
    (strike,) = control.get("strikes").json()
    assert (strike["fault"], strike["kind"], strike["method"]) == (number, "status", "PUT")
    assert "PEXT7" in strike["body"]
    assert control.get("strikes", params={"after": strike["number"]}).json() == []


def test_some_elements_of_a_batch_are_refused_in_passing(books: Books, control):
    control.post("xero/switches", json={"refused_elements": 2})
    batch = [books.spend(Reference=f"PEXT{number}") for number in range(5)]
    refused = books.put("BankTransactions", *batch, query="?summarizeErrors=false").json()["BankTransactions"]
    assert [one["StatusAttributeString"] for one in refused] == ["OK", "ERROR", "OK", "ERROR", "OK"]
    assert [one.reference for one in books.organisation.live()] == ["PEXT0", "PEXT2", "PEXT4"]
    books.put("BankTransactions", *batch[1::2], query="?summarizeErrors=false")
    assert len(books.organisation.live()) == 5
