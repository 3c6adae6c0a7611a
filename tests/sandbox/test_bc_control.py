"""What the control room changes in the simulated Business Central between two syncs, and what it tells of the books."""

from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.dynamics365.world import DEMO_CLIENT, world_of
from sandbox.server import Desk, load, save
from tests.sandbox.bc_books import Books, open_books
from tests.sandbox.test_pex import client_of


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def control(books: Books) -> httpx.Client:
    return client_of(f"{books.desk.url}/control/dynamics365/")


def did(control: httpx.Client, action: str, **facts: Any) -> Any:
    answer = control.post(action, json=facts)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pair(books: Books, number: str = "PEX981", **changes: Any) -> list[str]:
    """Post both lines of a purchase and return their ids."""
    bodies = [books.line(42.17, documentNumber=number, **changes), books.line(-42.17, "10950", documentNumber=number)]
    return [books.post(books.lines_of(), body).json()["id"] for body in bodies]


def attach(books: Books, parent: str, content: bytes = b"%PDF-1.4") -> None:
    body = {"parentId": parent, "parentType": "Journal", "fileName": "till.pdf"}
    id = books.post("attachments", body).json()["id"]
    headers = {"If-Match": "*", "Content-Type": "application/octet-stream"}
    books.call("PATCH", books.inside(f"attachments({id})/attachmentContent"), content=content, headers=headers)


def test_lines_are_told_with_their_dimensions_and_files(books: Books, control: httpx.Client):
    pair(books, dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}], comment="J. Doe")
    debit, credit = books.journal.lines
    attach(books, credit)
    attach(books, "99999999-9999-9999-9999-999999999999", b"lost")
    told = control.get("books").json()
    first, second = told["lines"]
    assert (first["id"], first["journal"], first["number"], first["amount"]) == (debit, "PEX CARD", 10000, "42.17")
    assert (first["account_type"], first["account"], first["posting_date"]) == ("G/L Account", "61200", "2026-03-14")
    assert (first["document_number"], first["external_number"]) == ("PEX981", "PEX-P-4410-981")
    assert (first["dimensions"], first["comment"], first["attachments"]) == ({"PROJECT": "P1"}, "J. Doe", [])
    (file,) = second["attachments"]
    assert (file["name"], file["size"], file["sha256"]) == ("till.pdf", 8, sha256(b"%PDF-1.4").hexdigest())
    assert [one["sha256"] for one in told["unlinked"]] == [sha256(b"lost").hexdigest()]
    assert told["entries"] == []


def test_a_posted_document_is_told_on_each_of_its_entries(books: Books, control: httpx.Client):
    _, credit = pair(books)
    attach(books, credit)
    assert did(control, "post", journal="pex card") == {"posted": 2, "lines": 1}
    told = control.get("books", params={"company": books.company.name}).json()
    assert [(one["account"], one["amount"], one["document_number"]) for one in told["entries"]] == [
        ("61200", "42.17", "PEX981"),
        ("10950", "-42.17", "PEX981"),
    ]
    assert [one["attachments"][0]["sha256"] for one in told["entries"]] == [sha256(b"%PDF-1.4").hexdigest()] * 2
    assert (told["entries"][0]["external_number"], told["unlinked"]) == ("PEX-P-4410-981", [])
    (blank,) = told["lines"]
    assert (blank["account"], blank["document_number"]) == ("", "PEX982")


def test_lines_are_edited_deleted_added_and_renumbered(books: Books, control: httpx.Client):
    debit, credit = pair(books)
    changed = did(control, "edit-line", id=debit, amount="40.00", document_number="inv-7", posting_date="2026-04-01")
    assert (changed["amount"], changed["document_number"], changed["posting_date"]) == ("40.00", "INV-7", "2026-04-01")
    assert did(control, "delete-line", id=credit) == {"deleted": credit, "lines": 1}
    bank = {"account": "CHECKING", "account_type": "Bank Account", "amount": "-40.00"}
    added = did(control, "add-manual-line", **bank, document_number="INV-7", posting_date="2026-04-01")
    assert (added["account_type"], added["document_number"], added["amount"]) == ("Bank Account", "INV-7", "-40.00")
    number = did(control, "renumber")["numbers"]
    assert {one["documentNumber"] for one in books.rows(books.lines_of())} == set(number)
    assert len(number) == 1
    assert "INV-7" not in number


def test_a_document_is_reversed(books: Books, control: httpx.Client):
    pair(books)
    did(control, "post")
    entry = control.get("books").json()["entries"][0]["id"]
    assert did(control, "reverse", id=entry) == {"entries": 2}
    told = control.get("books").json()["entries"]
    assert sum(Decimal(one["amount"]) for one in told if one["account"] == "10950") == 0
    assert [one["reversed"] for one in told].count(True) >= 2


def test_a_journal_comes_goes_and_gets_a_balancing_account(books: Books, control: httpx.Client):
    made = did(control, "create-journal", code="cash", name="Cash", posting_series="gjnl-post", number_series="g")
    assert (made["code"], made["posting_series"], made["number_series"]) == ("CASH", "GJNL-POST", "G")
    told = did(control, "set-balancing-account", account="10950")
    assert told["balance_account"] == "10950"
    assert books.rows("journals", filter="code eq 'PEX CARD'")[0]["balancingAccountNumber"] == "10950"
    assert did(control, "set-balancing-account", account="")["balance_account"] == ""
    pair(books)
    old = books.journal.id
    anew = did(control, "delete-journal", anew=True)
    assert (anew["code"], anew["lines"], anew["id"] == old) == ("PEX CARD", 0, False)
    assert did(control, "delete-journal", journal="CASH") == {"deleted": made["id"]}
    assert [one["code"] for one in books.rows("journals")] == ["PEX CARD"]


def test_the_set_up_changes_between_two_reads(books: Books, control: httpx.Client):
    pair(books)
    account = did(control, "rename-account", account="61200", name="Paper", number="61201", category="Assets")
    assert (account["name"], account["number"], account["category"]) == ("Paper", "61201", "Assets")
    assert did(control, "block-account", account="61201")["blocked"] is True
    assert did(control, "block-account", account="61201", blocked=False)["blocked"] is False
    vendor = did(control, "add-vendor", name="Shell")
    assert did(control, "block-vendor", vendor=vendor["number"])["blocked"] == "All"
    assert did(control, "block-vendor", vendor=vendor["id"], blocked=" ")["blocked"] == " "
    assert did(control, "lock-dates", **{"from": "2026-04-01"}) == {"from": "2026-04-01", "to": ""}
    refusal = control.post("post", json={})
    assert (refusal.status_code, "posting dates" in refusal.json()["message"]) == (400, True)
    assert did(control, "lock-dates", **{"from": ""}) == {"from": "", "to": ""}
    told = control.get("set-up").json()
    assert told["place"] == f"{books.tenant.id}/Production/{books.company.id}"
    assert {"id": vendor["id"], "number": "V00001", "name": "Shell", "blocked": " "} in told["vendors"]
    assert (told["dimensions"]["PROJECT"], told["people"][0]["email"]) == (["P1"], "nora@acme.example")
    assert [one["number"] for one in told["accounts"]] == ["10950", "61201", "61300", "40000"]


def test_a_dimension_gets_a_value_and_one_gets_another_name(books: Books, control: httpx.Client):
    made = did(control, "add-value", dimension="PROJECT", code="p2", name="Harbor View")
    assert (made["code"], made["name"], made["kind"]) == ("P2", "Harbor View", "Standard")
    renamed = did(control, "rename-value", dimension="PROJECT", code="P2", name="Harbor View, part 2")
    assert (renamed["id"], renamed["name"]) == (made["id"], "Harbor View, part 2")
    told = [one for one in control.get("set-up").json()["values"] if one["dimension"] == "PROJECT"]
    assert [(one["code"], one["name"]) for one in told][1:] == [("P2", "Harbor View, part 2")]
    rows = books.rows("dimensions", filter="code eq 'PROJECT'", expand="dimensionValues")
    assert [(one["id"], one["displayName"]) for one in rows[0]["dimensionValues"]][1:] == [
        (made["id"], "Harbor View, part 2")
    ]


def test_tokens_expire_are_revoked_and_rights_taken(books: Books, control: httpx.Client):
    assert did(control, "rights", person="nora@acme.example", rights="read")["rights"] == "read"
    assert [books.get("vendors").status_code, books.post("vendors", {}).status_code] == [200, 403]
    did(control, "rights", rights="none")
    assert books.get("vendors").status_code == 403
    assert did(control, "rights", rights="all", known=False)["known"] is False
    assert books.get("vendors").status_code == 401
    did(control, "rights", known=True)
    assert books.get("vendors").status_code == 200
    assert did(control, "expire-tokens") == {"expired": 1}
    assert books.get("vendors").status_code == 401
    books.world.sign_in(books.user)
    assert did(control, "revoke", person=books.user.id, consent=True) == {"revoked": 2}
    assert not books.world.consented(DEMO_CLIENT, books.user)


@pytest.mark.parametrize(
    ("action", "facts"),
    [
        ("post", {}),
        ("post", {"journal": "NOTHING"}),
        ("edit-line", {"id": "nothing", "amount": "1"}),
        ("delete-line", {}),
        ("add-manual-line", {"account": "61200", "amount": "much"}),
        ("add-manual-line", {"account": "99999", "amount": "1"}),
        ("reverse", {"id": "nothing"}),
        ("create-journal", {"code": "PEX CARD"}),
        ("create-journal", {"code": "much too long a code"}),
        ("set-balancing-account", {"account": "99999"}),
        ("delete-journal", {"anew": "perhaps"}),
        ("block-account", {"account": "99999"}),
        ("rename-account", {"account": "61200"}),
        ("rename-account", {"account": "61200", "number": "61300"}),
        ("rename-account", {"account": "61200", "category": "Toys"}),
        ("block-vendor", {"vendor": "nobody"}),
        ("add-vendor", {"name": "x" * 101}),
        ("add-value", {"dimension": "PROJECT", "code": "P1"}),
        ("add-value", {"dimension": "NOTHING", "code": "P2"}),
        ("rename-value", {"dimension": "PROJECT", "code": "P1"}),
        ("rename-value", {"dimension": "PROJECT", "code": "P9", "name": "Nothing"}),
        ("lock-dates", {}),
        ("lock-dates", {"from": "soon"}),
        ("revoke", {"person": "nobody"}),
        ("rights", {"rights": "some"}),
        ("post", {"company": "Rival"}),
        ("switches", {"read_lines": "perhaps"}),
        ("switches", {"loud": True}),
        ("nothing", {}),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(
    books: Books, control: httpx.Client, action: str, facts: dict[str, Any]
):
    before = control.get("set-up").json()
    answer = control.post(action, json=facts)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert control.get("set-up").json() == before


def test_an_edit_that_changes_nothing_is_refused(books: Books, control: httpx.Client):
    debit, _ = pair(books)
    assert control.post("edit-line", json={"id": debit}).status_code == 400


def test_every_switch_is_told_and_set_by_json(books: Books, control: httpx.Client):
    told = control.get("switches").json()
    assert {"token_seconds", "consent", "read_lines", "inner_failures", "job_queue"} <= told.keys()
    assert did(control, "switches", **told) == told
    assert did(control, "switches", read_lines="source", window_limit=100, latency=0.5)["window_limit"] == 100
    assert (books.world.switches.read_lines, books.world.switches.latency) == ("source", 0.5)


def test_faults_strike_the_sign_in_and_the_api_by_name(books: Books, control: httpx.Client):
    room = client_of(f"{books.desk.url}/control/")
    room.post("faults", json={"kind": "status", "system": "bc-api", "path": "vendors", "status": 504})
    assert [books.get("vendors").status_code, books.get("vendors").status_code] == [504, 200]
    room.post("faults", json={"kind": "status", "system": "entra", "status": 500, "times": None})
    assert books.http.get("/entra/organizations/v2.0/.well-known/openid-configuration").status_code == 500
    assert books.get("vendors").status_code == 200
    assert room.get("calls", params={"system": "bc-api"}).json()["count"] == 3


def test_starting_over_fills_or_empties_it(books: Books, control: httpx.Client):
    room = client_of(f"{books.desk.url}/control/")
    room.post("reset", json={})
    assert "Northwind Builders" in [one.name for one in world_of(books.desk).companies()]
    assert "Acme LLC" not in [one.name for one in world_of(books.desk).companies()]
    room.post("reset", json={"seeds": False})
    assert world_of(books.desk).companies() == []
    assert control.get("books").status_code == 400


def test_worlds_kept_before_there_was_business_central_still_load(tmp_path: Path, sandbox: Desk):
    del sandbox.worlds["dynamics365"]
    save(sandbox, tmp_path / "world")
    load(sandbox, tmp_path / "world", lambda desk: pytest.fail("there is a file"))
    control = client_of(f"{sandbox.url}/control/dynamics365/")
    assert control.get("switches").json()["page_size"] == 20_000
    assert client_of(sandbox.url).get("/bc/").status_code == 200
    assert client_of(sandbox.url).get("/bc/companies/nobody").status_code == 404


def test_the_pages_of_the_control_room_lead_there(books: Books):
    client = client_of(books.desk.url)
    for path in ("/", "/control"):
        page = client.get(path).text
        assert 'href="/bc/"' in page
        assert "This is not PEX, Xero or Microsoft" in page
