"""The pages of the simulated Business Central: what people see, what they do, and the cast behind the demo."""

import pickle
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sandbox import dynamics365, seeds, xero
from sandbox.dynamics365.records import NO_DATE, Attachment, JournalLine
from sandbox.dynamics365.world import DEMO_CLIENT, world_of
from sandbox.server import Desk
from tests.sandbox.bc_books import Books, open_books

ROOMS = ("", "/journals", "/ledger", "/vendors", "/accounts", "/dimensions")


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def page(books: Books, path: str = "", status: int = 200) -> str:
    answer = books.http.get(f"/bc/companies/{books.company.id}{path}")
    assert answer.status_code == status, answer.text
    assert "Simulated Business Central" in answer.text
    return answer.text


def press(books: Books, path: str, status: int = 303, **form: str) -> httpx.Response:
    answer = books.http.post(f"/bc/companies/{books.company.id}{path}", data=form)
    assert answer.status_code == status, answer.text
    return answer


def journal_path(books: Books) -> str:
    return f"/journals/{books.journal.id}"


def pair(books: Books, number: str = "PEX981", **changes: Any) -> list[JournalLine]:
    """A purchase of 42.17 as the API posts it: the debit line, then the credit line."""
    for amount, account in ((42.17, "61200"), (-42.17, "10950")):
        body = books.line(amount, account, documentNumber=number, **changes)
        assert books.post(books.lines_of(), body).status_code == 201
    return list(books.journal.lines.values())[-2:]


def attach(books: Books, line: JournalLine, name: str = "till.pdf", content: bytes = b"%PDF-1.4") -> Attachment:
    made = books.post("attachments", {"parentId": line.id, "parentType": "Journal", "fileName": name}).json()
    path = books.inside(f"attachments({made['id']})/attachmentContent")
    headers = {"If-Match": "*", "Content-Type": "application/octet-stream"}
    assert books.call("PATCH", path, content=content, headers=headers).status_code == 204
    return books.company.attachments[made["id"]]


def test_every_room_opens_empty_and_filled(books: Books):
    rooms = (*ROOMS, journal_path(books))
    for room in rooms:
        page(books, room)
    books.company.add_vendor("Shell")
    books.company.add_account("40", "<script>alert(1)</script>", " ", kind="Heading")
    pair(books, dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])
    press(books, journal_path(books), action="post")
    for number in range(120):
        books.post(books.lines_of(), books.line(number + 1, documentNumber=f"N{number}"))
    for room in rooms:
        assert "<script>alert" not in page(books, room)
    assert "Acme LLC" in books.http.get("/bc/").text
    assert books.http.get("/bc/style.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("path", ["/journals/nothing", "/files/nothing", "/nowhere"])
def test_what_does_not_exist_is_not_found(books: Books, path: str):
    assert books.http.get(f"/bc/companies/{books.company.id}{path}").status_code == 404
    assert books.http.get("/bc/companies/nobody").status_code == 404


# Addresses of the web client


def client_address(books: Books, page: int | str = "", conditions: str = "", **changes: str) -> httpx.Response:
    place = {"tenant": books.tenant.id, "environment": "Production", "company": books.company.name, **changes}
    query = f"company={quote(place['company'])}" + (f"&page={page}" if page else "")
    query += f"&filter={quote(conditions)}" if conditions else ""
    return books.http.get(f"/bc/{place['tenant']}/{place['environment']}/?{query}")


OF_JOURNAL = "'Gen. Journal Line'.'Journal Batch Name' IS "


def test_a_link_to_the_journal_leads_to_the_journal(books: Books):
    books.company.add_journal("OTHER")
    root = f"/bc/companies/{books.company.id}"
    for page, conditions, room in (
        (39, f"{OF_JOURNAL}'PEX CARD'", f"/journals/{books.journal.id}"),
        (39, f"{OF_JOURNAL}'other'", f"/journals/{books.company.journal('OTHER').id}"),
        (39, "", f"/journals/{books.journal.id}"),
        (251, "", "/journals"),
        (20, "'G/L Entry'.'Document No.' IS 'PEX981'", "/ledger?document=PEX981"),
        (20, "'G/L Entry'.'Document No.' IS 'O''Neil'", "/ledger?document=O%27Neil"),
        (27, "", "/vendors"),
        ("", "", ""),
    ):
        answer = client_address(books, page, conditions)
        assert (answer.status_code, answer.headers["location"]) == (302, root + room)
    both = f"{OF_JOURNAL}'PEX CARD' AND 'Gen. Journal Line'.'Document No.' IS 'PEX981'"
    assert client_address(books, 39, both).headers["location"].endswith("?document=PEX981#line")


@pytest.mark.parametrize(
    ("page", "conditions", "changes"),
    [
        (39, f"{OF_JOURNAL}'NOTHING'", {}),
        (39, f"'Gen. Journal Line'.'Journal Template Name' IS 'PAYMENT' AND {OF_JOURNAL}'PEX CARD'", {}),
        (4711, "", {}),
        ("", "", {"company": "Rival"}),
        ("", "", {"tenant": "nobody"}),
        ("", "", {"environment": "Test"}),
    ],
)
def test_a_link_to_nothing_leads_nowhere(books: Books, page: int | str, conditions: str, changes: dict[str, str]):
    assert client_address(books, page, conditions, **changes).status_code == 404


def test_the_address_the_environment_tells_leads_to_its_company(books: Books):
    told = books.call("GET", "/bc-api/environments/v1.2").json()["value"][0]["webClientLoginUrl"]
    assert books.http.get(told).headers["location"] == f"/bc/companies/{books.company.id}"


# The journal


def test_the_credit_line_shows_its_receipt(books: Books):
    debit, credit = pair(books, comment="J. Doe *1234", dimensionSetLines=[{"code": "PROJECT", "valueCode": "P1"}])
    file = attach(books, credit)
    shown = page(books, journal_path(books))
    for words in ("2026-03-14", "PEX981", "PEX-P-4410-981", "61200", "Target", "J. Doe *1234", "PROJECT P1", "1 file"):
        assert words in shown
    assert "till.pdf" not in shown
    assert "till.pdf" not in page(books, f"{journal_path(books)}?line={debit.id}")
    chosen = page(books, f"{journal_path(books)}?line={credit.id}")
    assert "Incoming Document Files" in chosen
    assert f"/files/{file.id}" in chosen
    answer = books.http.get(f"/bc/companies/{books.company.id}/files/{file.id}")
    assert (answer.content, answer.headers["content-type"]) == (b"%PDF-1.4", "application/pdf")


def test_a_file_that_is_no_picture_is_saved_not_shown(books: Books):
    _, credit = pair(books)
    file = attach(books, credit, "page.html", b"<script>")
    answer = books.http.get(f"/bc/companies/{books.company.id}/files/{file.id}")
    assert answer.headers["content-disposition"] == "attachment"


def test_a_line_is_found_on_whichever_page_of_a_long_journal_it_stands(books: Books):
    for number in range(130):
        books.post(books.lines_of(), books.line(1, documentNumber=f"N{number:03}"))
    last = list(books.journal.lines.values())[-1]
    shown = page(books, f"{journal_path(books)}?line={last.id}")
    assert 'aria-current="true"' in shown
    assert ">N129</a>" in shown
    assert ">N000</a>" not in shown
    assert 'aria-current="true"' in page(books, f"{journal_path(books)}?document=n101")


def test_a_journal_is_posted_and_its_file_moves_with_the_document(books: Books):
    _, credit = pair(books)
    attach(books, credit)
    press(books, journal_path(books), action="post")
    assert [one.account for one in books.company.entries.values()] == ["61200", "10950"]
    assert "till.pdf" in page(books, "/ledger?document=PEX981")
    assert "1 file" in page(books, "/ledger")


def test_a_refusal_to_post_is_shown_as_a_sentence(books: Books):
    debit, _ = pair(books)
    press(books, f"{journal_path(books)}/lines/{debit.id}", action="delete")
    assert "PEX981 on 2026-03-14" in page(books, journal_path(books))
    answer = press(books, journal_path(books), 400, action="post")
    assert "Document No. PEX981 is out of balance by" in answer.text
    assert books.company.entries == {}
    assert len(books.journal.lines) == 1


def test_a_person_posts_also_where_the_job_queue_posts_for_programs(books: Books):
    books.world.switches.job_queue = True
    pair(books)
    press(books, journal_path(books), action="post")
    assert len(books.company.entries) == 2


def test_a_line_is_edited_and_a_wrong_edit_refused(books: Books):
    debit, _ = pair(books)
    path = f"{journal_path(books)}/lines/{debit.id}"
    form = {"posting_date": "2026-04-01", "document_number": "inv-7", "external_number": "x", "description": "Paper"}
    press(books, path, action="edit", amount="1,043.00", **form)
    changed = books.journal.lines[debit.id]
    assert (changed.posting_date, changed.document_number, changed.amount) == (date(2026, 4, 1), "INV-7", Decimal(1043))
    assert (changed.external_number, changed.description) == ("X", "Paper")
    assert "much is not an amount" in press(books, path, 400, action="edit", amount="much", **form).text
    wrong = {**form, "posting_date": "soon"}
    assert "soon is not a date" in press(books, path, 400, action="edit", amount="1", **wrong).text
    press(books, path, 400, action="nonsense")
    assert books.journal.lines[debit.id].amount == Decimal(1043)


def test_a_line_is_added_by_hand_with_the_number_that_follows(books: Books):
    pair(books)
    press(books, f"{journal_path(books)}/lines", account="61300", amount="10", posting_date="2026-03-20")
    line = list(books.journal.lines.values())[-1]
    assert (line.document_number, line.account, line.amount, line.description) == (
        "PEX982",
        "61300",
        Decimal(10),
        "Travel",
    )
    assert "99999" in press(books, f"{journal_path(books)}/lines", 400, account="99999", amount="1").text


def test_documents_are_renumbered(books: Books):
    pair(books), pair(books, "PEX982")
    press(books, journal_path(books), action="renumber")
    numbers = [one.document_number for one in books.journal.lines.values()]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
    assert not {"PEX981", "PEX982"} & set(numbers)


def test_journals_are_made_edited_made_anew_and_deleted(books: Books):
    press(books, "/journals", code="cash", name="Cash", number_series="gjnl-gen", balance_account="10950")
    made = books.company.journal("CASH")
    assert (made.name, made.number_series, made.balance_account) == ("Cash", "GJNL-GEN", "10950")
    assert "exists" in press(books, "/journals", 400, code="cash").text
    path = journal_path(books)
    form = {"action": "edit", "name": "Card", "posting_series": "gjnl-post", "pending_approval": "on"}
    press(books, path, **form, balance_account="10950", number_series="gjnl-gen")
    journal = books.journal
    assert (journal.name, journal.balance_account) == ("Card", "10950")
    assert (journal.number_series, journal.posting_series) == ("GJNL-GEN", "GJNL-POST")
    assert (journal.pending_approval, journal.manual_numbers) == (True, False)
    assert "Bal. account 10950" in page(books, path)
    assert "99999" in press(books, path, 400, **form, balance_account="99999").text
    press(books, path, action="edit", name="Card", balance_account="", manual_numbers="on")
    assert (journal.balance_account, journal.pending_approval, journal.manual_numbers) == ("", False, True)
    old = journal.id
    answer = press(books, path, action="recreate")
    assert answer.headers["location"].endswith(books.journal.id)
    assert books.journal.id != old
    press(books, journal_path(books), action="delete")
    assert [one.code for one in books.company.journals.values()] == ["CASH"]


def test_files_are_released_where_the_company_wants_that(books: Books):
    books.company.incoming_approval = True
    _, credit = pair(books)
    file = attach(books, credit)
    assert "released" in press(books, journal_path(books), 400, action="post").text
    press(books, f"{journal_path(books)}/lines/{credit.id}", action="release")
    assert file.released
    press(books, journal_path(books), action="post")


def test_a_deleted_line_leaves_its_file_without_a_parent(books: Books):
    _, credit = pair(books)
    attach(books, credit)
    press(books, f"{journal_path(books)}/lines/{credit.id}", action="delete")
    assert credit.id not in books.journal.lines
    assert "till.pdf" in page(books)


# The ledger


def test_a_posted_document_is_searched_and_reversed_once(books: Books):
    pair(books), pair(books, "PEX982", description="Shell")
    press(books, journal_path(books), action="post")
    found = page(books, "/ledger?q=shell")
    assert "PEX982" in found
    assert "PEX981" not in found
    entry = next(iter(books.company.entries))
    assert "Reverse document" in page(books, "/ledger?document=pex981")
    press(books, f"/ledger/{entry}", action="reverse")
    documents = [one for one in books.company.documents() if one.number == "PEX981"]
    assert [(one.on("10950"), len(one.entries)) for one in documents] == [(Decimal(0), 4)]
    assert "already been reversed" in press(books, f"/ledger/{entry}", 400, action="reverse").text


# The set-up


def test_an_account_is_blocked_renamed_renumbered_and_put_in_another_category(books: Books):
    pair(books)
    account = books.company.account("61200")
    path = f"/accounts/{account.id}"
    press(books, path, action="rename", name="Paper & pens")
    press(books, path, action="renumber", number="61201")
    press(books, path, action="category", category=" ")
    press(books, path, action="direct")
    press(books, path, action="block")
    assert (account.name, account.number, account.category) == ("Paper & pens", "61201", " ")
    assert (account.blocked, account.direct_posting) == (True, False)
    assert next(iter(books.journal.lines.values())).account == "61201"
    told = books.rows("accounts", filter=f"id eq {account.id}")[0]
    assert (told["number"], told["displayName"], told["blocked"]) == ("61201", "Paper & pens", True)
    press(books, path, action="unblock")
    assert "exists" in press(books, path, 400, action="renumber", number="61300").text
    press(books, path, 400, action="category", category="Toys")
    press(books, "/accounts", number="90", name="New one", category="Assets")
    assert books.company.account("90").category == "Assets"
    press(books, f"/accounts/{books.company.by_number('Bank Account', 'CHECKING').id}", action="block")
    assert books.rows("bankAccounts")[0]["blocked"] is True


def test_a_number_given_to_an_account_follows_into_journals_and_the_ledger(books: Books):
    pair(books)
    press(books, journal_path(books), action="post")
    books.journal.balance_account = "10950"
    account = books.company.account("10950")
    press(books, f"/accounts/{account.id}", action="renumber", number="10999")
    assert books.journal.balance_account == "10999"
    assert {one.account for one in books.company.entries.values()} == {"61200", "10999"}


def test_vendors_are_added_blocked_renamed_and_found(books: Books):
    press(books, "/vendors", name="Joe's Hardware & Lumber")
    (vendor,) = books.company.vendors.values()
    path = f"/vendors/{vendor.id}"
    press(books, path, action="block", blocked="Payment")
    press(books, path, action="rename", name="Joe's")
    press(books, path, action="posting-group", posting_group="")
    assert (vendor.blocked, vendor.name, vendor.posting_group) == ("Payment", "Joe's", "")
    assert books.rows("vendors")[0]["blocked"] == "Payment"
    assert "Joe&#39;s" in page(books, "/vendors?q=joe")
    assert "Joe&#39;s" not in page(books, "/vendors?q=shell")
    press(books, path, 400, action="block", blocked="Often")
    press(books, "/vendors", 400, name="x" * 101)


def test_dimensions_get_values_and_accounts_get_defaults(books: Books):
    dimension = books.company.dimension("DEPARTMENT")
    path = f"/dimensions/{dimension.id}"
    press(books, path, action="add", code="prod", name="Production", kind="Standard")
    press(books, path, action="block", code="ADM")
    press(books, path, action="default", account="61200", value="PROD", mandatory="on")
    assert dimension.values["PROD"].name == "Production"
    assert dimension.values["ADM"].blocked
    account = books.company.account("61200")
    assert (account.default_dimensions, account.mandatory) == ({"DEPARTMENT": "PROD"}, {"DEPARTMENT"})
    (line, _) = pair(books)
    assert line.dimensions == {"DEPARTMENT": "PROD"}
    press(books, path, action="default", account="61200", value="")
    assert (account.default_dimensions, account.mandatory) == ({}, set())
    assert "ADM already" in press(books, path, 400, action="add", code="adm", kind="Standard").text
    press(books, path, 400, action="default", account="99999", value="PROD")
    press(books, path, 400, action="add", code="X", kind="Nonsense")
    press(books, path, action="add", code="all", name="All", kind="Heading")
    assert dimension.values["ALL"].kind == "Heading"
    press(books, "/dimensions", code="area", name="Area")
    assert "AREA already" in press(books, "/dimensions", 400, code="Area").text
    assert books.company.dimension("AREA").name == "Area"


def test_posting_dates_currency_and_people_are_set(books: Books):
    form = {"posting_from": "2026-04-01", "posting_to": "", "currency": "eur", "display_name": "Acme"}
    press(books, "", **form, incoming_approval="on")
    company = books.company
    assert (company.posting_from, company.posting_to, company.currency) == (date(2026, 4, 1), NO_DATE, "EUR")
    assert (company.incoming_approval, company.force_balance, company.display_name) == (True, False, "Acme")
    pair(books)
    assert (
        "not within your range of allowed posting dates" in press(books, journal_path(books), 400, action="post").text
    )
    person = f"/people/{books.user.id}"
    press(books, person, action="rights", rights="read", known="on")
    assert books.post("vendors", {"displayName": "Shell"}).status_code == 403
    press(books, person, action="rights", rights="all")
    assert books.get("vendors").status_code == 401
    press(books, person, 400, action="rights", rights="some")
    press(books, person, action="withdraw", client_id=DEMO_CLIENT)
    assert not books.world.consented(DEMO_CLIENT, books.user)
    press(books, person, action="revoke")
    assert books.world.access == {}


def test_switches_are_set_on_a_page_and_reset(books: Books):
    assert "seconds per operation" in books.http.get("/bc/switches").text
    form = {"limits": "on", "window_limit": "30", "latency": "0.3", "read_lines": "source", "inner_counts": "on"}
    assert books.http.post("/bc/switches", data=form).status_code == 303
    switches = books.world.switches
    assert (switches.limits, switches.window_limit, switches.latency) == (True, 30, 0.3)
    assert (switches.read_lines, switches.client_info, switches.inner_counts) == ("source", False, True)
    assert books.http.post("/bc/switches", data={"read_lines": "all"}).status_code == 400
    assert books.http.post("/bc/switches", data={"window_limit": "many"}).status_code == 400
    books.http.post("/bc/switches/reset")
    assert books.world.switches.limits is False


def test_a_form_sent_by_another_site_is_refused(books: Books):
    pair(books)
    address = f"/bc/companies/{books.company.id}{journal_path(books)}"
    foreign = {"Origin": "https://evil.example"}
    assert books.http.post(address, data={"action": "post"}, headers=foreign).status_code == 403
    assert books.company.entries == {}


# The world itself


def test_the_cast_is_the_same_every_time(sandbox: Desk):
    def told() -> dict[str, str]:
        sandbox.worlds["dynamics365"] = dynamics365.fresh_world()
        dynamics365.seed(sandbox)
        return {one.id: one.name for one in world_of(sandbox).companies()}

    first = told()
    assert first == told()
    assert sorted(first.values()) == [
        "CRONUS USA, Inc.",
        "Harbor Charge Books",
        "Northwind Builders",
        "Northwind Holdings",
        "Rival Interiors",
    ]


def test_the_cast_has_one_of_everything(sandbox: Desk):
    seeds.seed(sandbox)
    world = world_of(sandbox)
    northwind, holdings = world.company("Northwind Builders LLC"), world.company("Northwind Holdings")
    assert [one.code for one in northwind.journals.values()] == ["DEFAULT"]
    assert holdings.journal().balance_account
    assert world.company("Harbor Charge Books").journal().balance_account == ""
    tenants = {one.domain: [(place.name, place.kind) for place in one.environments] for one in world.tenants.values()}
    assert tenants["northwind.example"] == [("Production", "Production"), ("Sandbox", "Sandbox")]
    assert {one.email for one in world.users.values()} == {one.email for one in sandbox.worlds["xero"].users.values()}

    usable = {one.number for one in northwind.accounts.values() if one.kind == "Posting" and not one.blocked}
    assert {code for code, _ in seeds.EXPENSE_ACCOUNTS} <= usable
    assert northwind.account("10950").category == "Assets"
    assert northwind.account("20950").category == "Liabilities"
    assert northwind.account("Rebates").category == "Income"
    accounts = list(northwind.accounts.values())
    assert any(one.blocked for one in accounts)
    assert any(one.kind == "Posting" and not one.direct_posting for one in accounts)
    assert any(one.category == " " for one in accounts)
    assert len({one.name for one in accounts}) < len(accounts)
    assert any(one.default_dimensions for one in accounts)
    assert {one.currency for one in northwind.bank_accounts.values()} == {"", "EUR"}
    names = {one.name for one in northwind.vendors.values()}
    assert set(xero.seeds.CONTACTS) <= names
    assert max(len(name) for name in names) == 100
    assert len({name.casefold() for name in names}) < len(names)
    assert {one.code for one in northwind.dimensions.values()} == {"DEPARTMENT", "PROJECT"}
    assert {code for code, _ in seeds.PROJECTS} <= northwind.dimension("PROJECT").values.keys()
    assert all(document.balanced for document in northwind.documents() if document.place == "ledger")


def test_rival_is_a_tenant_of_its_own(sandbox: Desk):
    seeds.seed(sandbox)
    world = world_of(sandbox)
    rival = world.company("Rival Interiors")
    assert any(one.name == "Rival's Secret Supplier" for one in rival.vendors.values())
    nora = next(one for one in world.users.values() if one.email == "nora@northwind.example")
    with httpx.Client(base_url=sandbox.url) as http:
        path = f"/bc-api/v2.0/rival.example/Production/api/v2.0/companies({rival.id})/vendors"
        answer = http.get(path, headers={"Authorization": f"Bearer {world.token(nora)}"})
    assert answer.status_code == 404
    assert "Secret" not in answer.text


def test_every_page_of_the_cast_opens(sandbox: Desk):
    seeds.seed(sandbox)
    with httpx.Client(base_url=sandbox.url) as http:
        for company in world_of(sandbox).companies():
            paths = [*ROOMS, *(f"/journals/{one}" for one in company.journals)]
            assert {http.get(f"/bc/companies/{company.id}{path}").status_code for path in paths} == {200}


def test_a_world_survives_a_restart(books: Books):
    pair(books)
    books.desk.worlds["dynamics365"] = pickle.loads(pickle.dumps(books.world))
    assert len(books.rows(books.lines_of())) == 2
    assert world_of(books.desk) is not books.world
    assert len(world_of(books.desk).company("Acme LLC").lines()) == 2
