"""What every call to the simulated Business Central passes: addresses, tokens, rights, bodies, etags, faults."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.server import Desk
from tests.sandbox.bc_books import JSON, Books, open_books, parsed, refused

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


# Environments


@pytest.mark.parametrize("version", ["v1.1", "v1.2"])
def test_the_environments_are_those_of_the_tenant(books: Books, version: str):
    books.world.add_environment(books.tenant, "Try-out", "Sandbox")
    books.world.add_environment(books.world.add_tenant("Rival"), "Rivals")
    (first, second) = books.call("GET", f"/bc-api/environments/{version}").json()["value"]
    assert (first["aadTenantId"], first["name"], first["type"]) == (books.tenant.id, "Production", "Production")
    assert (second["name"], second["type"]) == ("Try-out", "Sandbox")
    assert second["webClientLoginUrl"] == f"{books.desk.url}/bc/{books.tenant.id}/Try-out"


def test_an_older_service_does_not_know_the_newest_version(books: Books):
    books.world.switches.environment_version = "v1.1"
    assert books.call("GET", "/bc-api/environments/v1.1").status_code == 200
    assert refused(books.call("GET", "/bc-api/environments/v1.2")) == (404, "BadRequest_NotFound")
    assert refused(books.call("GET", "/bc-api/environments/v9")) == (404, "BadRequest_NotFound")


# Addresses


def test_the_companies_of_an_environment(books: Books):
    books.world.add_company(books.environment, "Acme Holdings", display_name="")
    books.world.add_company(books.world.add_environment(books.tenant, "Other"), "Elsewhere")
    rows = books.call("GET", "companies").json()["value"]
    assert [(row["name"], row["displayName"]) for row in rows] == [("Acme Holdings", ""), ("Acme LLC", "Acme LLC")]
    assert books.call("GET", f"companies({rows[1]['id']})").json()["name"] == "Acme LLC"
    assert refused(books.call("POST", "companies", json={})) == (405, "BadRequest_MethodNotAllowed")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (f"v2.0/{NOBODY}/Production/api/v2.0/companies", "NoEnvironment"),
        ("v2.0/{tenant}/Nowhere/api/v2.0/companies", "NoEnvironment"),
        (f"v2.0/{{tenant}}/Production/api/v2.0/companies({NOBODY})/accounts", "Internal_CompanyNotFound"),
        ("v2.0/{tenant}/Production/api/v2.0/accounts", "Internal_CompanyNotFound"),
        ("v2.0/{tenant}/Production/api/v1.0/companies", "BadRequest_NotFound"),
        ("nowhere", "BadRequest_NotFound"),
    ],
)
def test_a_wrong_address_is_404(books: Books, address: str, code: str):
    answer = books.call("GET", "/bc-api/" + address.replace("{tenant}", books.tenant.id))
    assert refused(answer) == (404, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("customers", "BadRequest_ResourceNotFound"),
        (f"accounts({NOBODY})", "Internal_RecordNotFound"),
        ("accounts(61200)", "BadRequest_NotFound"),
        ("accounts/somewhere", "BadRequest_ResourceNotFound"),
        ("journals({journal})/journalCards", "BadRequest_ResourceNotFound"),
        (f"journals({NOBODY})/journalLines", "Internal_RecordNotFound"),
        ("journals({journal})/Microsoft.NAV.burn", "BadRequest_ResourceNotFound"),
        ("accounts({account})/defaultDimensions", "BadRequest_ResourceNotFound"),
    ],
)
def test_what_is_not_in_the_company_is_404(books: Books, path: str, code: str):
    path = path.format(journal=books.journal.id, account=books.company.account("61200").id)
    assert refused(books.get(path)) == (404, code)


def test_an_environment_is_found_in_any_letters_unless_the_switch_says_no(books: Books):
    shouted = books.base.replace("Production", "PRODUCTION")
    assert books.call("GET", f"{shouted}/companies").status_code == 200
    books.world.switches.names_anywhere = False
    assert refused(books.call("GET", f"{shouted}/companies")) == (404, "NoEnvironment")
    assert books.call("GET", "companies").status_code == 200


def test_the_tenant_may_be_left_out_or_named_by_its_domain(books: Books):
    books.tenant.domain = "acme.example"
    for place in ("Production", "acme.example/Production"):
        rows = books.call("GET", f"/bc-api/v2.0/{place}/api/v2.0/companies").json()["value"]
        assert [row["id"] for row in rows] == [books.company.id]


def test_another_tenant_is_not_there(books: Books):
    rival = books.world.add_tenant("Rival")
    company = books.world.add_company(books.world.add_environment(rival), "Rival LLC")
    answer = books.call("GET", f"/bc-api/v2.0/{rival.id}/Production/api/v2.0/companies({company.id})/vendors")
    assert refused(answer) == (404, "NoEnvironment")
    answer = books.call("GET", f"companies({company.id})/vendors")
    assert refused(answer) == (404, "Internal_CompanyNotFound")


@pytest.mark.parametrize("way", ["?company={id}", "?company=Acme%20LLC", "CompanyId", "Company"])
def test_the_company_may_stand_beside_the_address(books: Books, way: str):
    headers = {"CompanyId": books.company.id, "Company": books.company.name}
    if way.startswith("?"):
        answer = books.call("GET", "accounts" + way.format(id=books.company.id))
    else:
        answer = books.call("GET", "accounts", headers={way: headers[way]})
    assert [row["number"] for row in answer.json()["value"]] == ["10950", "40000", "61200", "61300"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "vendors"),
        ("POST", "accounts"),
        ("PATCH", "accounts({account})"),
        ("DELETE", "accounts({account})"),
        ("DELETE", "accounts"),
        ("GET", "journals({journal})/Microsoft.NAV.post"),
        ("POST", "accounts/$count"),
        ("POST", "generalLedgerEntries"),
    ],
)
def test_a_verb_that_is_not_there_is_405(books: Books, method: str, path: str):
    path = path.format(journal=books.journal.id, account=books.company.account("61200").id)
    answer = books.call(method, books.inside(path), json={}, headers={"If-Match": "*"})
    assert refused(answer) == (405, "BadRequest_MethodNotAllowed")
    assert len(books.company.accounts) == 4


# People


def test_a_token_is_needed(books: Books):
    for header in ("", "Bearer nonsense", f"Basic {books.token}"):
        answer = books.call("GET", "companies", headers={"Authorization": header})
        assert refused(answer) == (401, "Authentication_InvalidCredentials")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_ends(books: Books):
    books.desk.clock.advance(timedelta(seconds=books.world.switches.token_seconds - 5))
    assert books.call("GET", "companies").status_code == 200
    books.desk.clock.advance(timedelta(seconds=6))
    assert refused(books.call("GET", "companies")) == (401, "Authentication_InvalidCredentials")
    assert refused(books.call("GET", "/bc-api/environments/v1.2")) == (401, "Authentication_InvalidCredentials")


def test_a_person_who_is_not_set_up_there_is_401(books: Books):
    books.user.known = False
    assert refused(books.call("GET", "companies")) == (401, "Authentication_InvalidCredentials")
    assert books.call("GET", "/bc-api/environments/v1.2").status_code == 200


def test_who_may_read_may_not_write(books: Books):
    books.user.rights = "read"
    assert books.get("vendors").status_code == 200
    assert refused(books.post("vendors", {"displayName": "Target"})) == (403, "Authorization_RequestDenied")
    assert refused(books.post(books.lines_of(), books.line())) == (403, "Authorization_RequestDenied")
    assert not books.company.vendors
    assert not books.journal.lines


def test_without_rights_no_table_opens(books: Books):
    books.user.rights = "none"
    for path in ("accounts", "vendors", "journals", books.lines_of(), "generalLedgerSetup"):
        assert refused(books.get(path)) == (403, "Authorization_RequestDenied")


# Errors


def test_an_error_has_a_code_and_a_message_that_ends_in_a_correlation_id(books: Books):
    first, second = (books.get("nonsense").json()["error"]["message"] for _ in range(2))
    assert first.startswith("Resource not found for the segment 'nonsense'.  CorrelationId:  ")
    assert first.endswith(".")
    assert first != second


def test_messages_come_in_the_language_asked_for_and_the_code_does_not(books: Books):
    english, german = (books.get("nonsense", {"Accept-Language": one}) for one in ("en-US", "de-DE,en;q=0.5"))
    assert english.json()["error"]["code"] == german.json()["error"]["code"]
    assert german.json()["error"]["message"].startswith("Die Ressource")
    assert books.get("nonsense", {"Accept-Language": "fr"}).json()["error"]["message"].startswith("Resource not")


# Bodies


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"displayName":"Target"}', {"Content-Type": ""}),
        (b'{"displayName":"Target"}', {"Content-Type": "text/plain"}),
        (b'{"displayName":', JSON),
        (b'{"displayName":NaN}', JSON),
        (b'[{"displayName":"Target"}]', JSON),
        (b"", JSON),
        (b'{"displayName":"Target","colour":"red"}', JSON),
    ],
)
def test_a_body_that_cannot_be_read_is_400(books: Books, content: bytes, headers: dict[str, str]):
    answer = books.call("POST", books.inside("vendors"), content=content, headers=headers)
    assert refused(answer) == (400, "BadRequest")
    assert not books.company.vendors


@pytest.mark.parametrize("member", ["id", "balance", "lastModifiedDateTime"])
def test_a_read_only_member_cannot_be_sent(books: Books, member: str):
    vendor = books.company.add_vendor("Target")
    shown = books.get(f"vendors({vendor.id})").json()
    for answer in (
        books.post("vendors", {"displayName": "Other", member: shown[member]}),
        books.patch(f"vendors({vendor.id})", {"displayName": "Other", member: shown[member]}),
    ):
        assert refused(answer) == (400, "BadRequest_InvalidOperation")
    assert [one.name for one in books.company.vendors.values()] == ["Target"]


def test_annotations_of_a_body_are_no_members(books: Books):
    answer = books.post("vendors", {"@odata.etag": "W/x", "displayName": "Target", "city@odata.type": "#String"})
    assert answer.status_code == 201


def test_a_read_only_replica_cannot_be_written(books: Books):
    assert books.get("vendors", {"Data-Access-Intent": "ReadOnly"}).status_code == 200
    answer = books.post("vendors", {"displayName": "Target"}, **{"Data-Access-Intent": "ReadOnly"})
    assert refused(answer) == (400, "BadRequest_InvalidOperation")
    operation = books.operation("POST", "vendors", {"displayName": "Target"})
    answer = books.batch(operation, **{"Data-Access-Intent": "ReadOnly"})
    assert refused(answer) == (400, "BadRequest_InvalidOperation")
    assert not books.company.vendors


def test_money_is_exact_and_a_whole_amount_is_an_integer(books: Books):
    sent = b'{"accountNumber":"61200","documentNumber":"D%d","postingDate":"2026-03-14","amount":%s}'
    for number, amount in enumerate((b"123456789012.34", b"0.10", b"-5000.00", b"1e2")):
        answer = books.call("POST", books.inside(books.lines_of()), content=sent % (number, amount), headers=JSON)
        assert answer.status_code == 201, answer.text
    text = books.get(books.lines_of(), select="amount").text
    assert [part.split("}")[0] for part in text.split('"amount":')[1:]] == ["123456789012.34", "0.1", "-5000", "100"]


def test_what_is_empty_is_shown_as_empty(books: Books):
    shown = books.post(books.lines_of(), books.line()).json()
    assert (shown["comment"], shown["balancingAccountId"]) == ("", NOBODY)
    (setup,) = books.rows("generalLedgerSetup")
    assert (setup["allowPostingFrom"], setup["allowPostingTo"]) == ("0001-01-01", "0001-01-01")


def test_enum_members_are_encoded_in_answers(books: Books):
    books.company.add_account("90000", "Profit", " ", kind="Begin-Total")
    (row,) = books.rows("accounts", filter="number eq '90000'")
    assert (row["category"], row["accountType"]) == ("_x0020_", "Begin_x002D_Total")
    assert books.post(books.lines_of(), books.line()).json()["accountType"] == "G_x002F_L_x0020_Account"


def test_an_answer_to_a_write_is_selected_and_expanded_too(books: Books):
    body = books.line(dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "ADM"}])
    path = f"{books.lines_of()}?$select=id,lineNumber&$expand=dimensionSetLines($select=code,valueCode)"
    made = books.post(path, body).json()
    assert {name for name in made if "@" not in name} == {"id", "lineNumber", "dimensionSetLines"}
    (dimension,) = made["dimensionSetLines"]
    assert (dimension["code"], dimension["valueCode"]) == ("DEPARTMENT", "ADM")
    changed = books.patch(f"journalLines({made['id']})?$select=description", {"description": "Shell"}).json()
    assert changed["description"] == "Shell"
    assert "amount" not in changed
    assert refused(books.post(f"{books.lines_of()}?$select=colour", books.line())) == (400, "BadRequest")
    assert len(books.journal.lines) == 1


def test_a_created_record_says_where_it_is(books: Books):
    answer = books.post(books.lines_of(), books.line())
    there = books.call("GET", answer.headers["Location"])
    assert there.json()["id"] == answer.json()["id"]
    assert answer.json()["@odata.context"].endswith(f"journals({books.journal.id})/journalLines/$entity")


# Etags


def test_a_change_needs_the_etag(books: Books):
    vendor = books.company.add_vendor("Target")
    path = f"vendors({vendor.id})"
    first = books.get(path).json()["@odata.etag"]
    assert first.startswith('W/"')
    assert refused(books.patch(path, {"displayName": "A"}, etag="")) == (400, "BadRequest_InvalidToken")
    assert refused(books.patch(path, {"displayName": "A"}, etag="nonsense")) == (400, "BadRequest_InvalidToken")
    changed = books.patch(path, {"displayName": "B"}, etag=first)
    assert changed.status_code == 200
    assert changed.json()["@odata.etag"] not in ("", first)
    assert refused(books.patch(path, {"displayName": "C"}, etag=first)) == (409, "Request_EntityChanged")
    assert books.get(path).json()["displayName"] == "B"
    assert books.patch(path, {"displayName": "D"}, etag="*").status_code == 200


def test_a_deletion_looks_at_the_etag_it_is_given(books: Books):
    vendor = books.company.add_vendor("Target")
    path = f"vendors({vendor.id})"
    stale = books.get(path).json()["@odata.etag"]
    assert books.patch(path, {"city": "Hull"}).status_code == 200
    assert refused(books.delete(path, **{"If-Match": stale})) == (409, "Request_EntityChanged")
    assert books.delete(path).status_code == 204
    assert refused(books.get(path)) == (404, "Internal_RecordNotFound")


def test_each_record_has_an_etag_of_its_own(books: Books):
    rows = [*books.rows("accounts"), *books.rows("dimensions"), *books.call("GET", "companies").json()["value"]]
    assert len({row["@odata.etag"] for row in rows}) == len(rows) == 7


# Bytes


def test_the_bytes_of_a_file_are_put_and_read(books: Books):
    line = books.post(books.lines_of(), books.line()).json()
    made = books.post("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "r.pdf"}).json()
    assert made["attachmentContent@odata.mediaEditLink"].startswith(books.desk.url)
    url, media = made["attachmentContent@odata.mediaEditLink"], {"Content-Type": "application/octet-stream"}
    assert refused(books.call("PATCH", url, content=b"%PDF", headers=media)) == (400, "BadRequest_InvalidToken")
    put = books.call("PATCH", url, content=b"%PDF", headers=media | {"If-Match": made["@odata.etag"]})
    assert (put.status_code, put.content) == (204, b"")
    assert books.call("GET", made["attachmentContent@odata.mediaReadLink"]).content == b"%PDF"
    books.world.switches.content_answer = "200"
    put = books.call("PATCH", url, content=b"%PDF-1", headers=media | {"If-Match": "*"})
    assert (put.status_code, put.json()["byteSize"]) == (200, 6)


# Faults


@pytest.mark.parametrize("pattern", [r"/\$batch$", r"^/v2\.0/"])
def test_a_fault_strikes_the_batch(books: Books, pattern: str):
    books.desk.faults.add("status", system="bc-api", path=pattern, status=503, headers={"Retry-After": "7"})
    operation = books.operation("POST", books.lines_of(), books.line())
    answer = books.batch(operation)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert not books.journal.lines
    assert books.batch(operation).status_code == 200
    assert len(books.journal.lines) == 1


def test_a_lost_answer_leaves_the_work_done(books: Books):
    books.desk.faults.add("drop_after", system="bc-api", method="POST", path="journalLines$")
    with pytest.raises(httpx.RemoteProtocolError):
        books.post(books.lines_of(), books.line())
    assert len(books.journal.lines) == 1


def test_a_fault_strikes_the_bytes_alone(books: Books):
    line = books.post(books.lines_of(), books.line()).json()
    books.desk.faults.add("drop_before", system="bc-api", path="attachmentContent")
    made = books.post("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "r.pdf"}).json()
    url, headers = made["attachmentContent@odata.mediaEditLink"], {"Content-Type": "image/png", "If-Match": "*"}
    with pytest.raises(httpx.RemoteProtocolError):
        books.call("PATCH", url, content=b"png", headers=headers)
    assert books.get(f"attachments({made['id']})").json()["byteSize"] == 0
    assert books.call("PATCH", url, content=b"png", headers=headers).status_code == 204


def test_a_call_is_logged_below_its_system(books: Books):
    books.desk.calls.clear()
    books.get("accounts")
    (call,) = books.desk.calls.calls
    assert (call.system, call.status) == ("bc-api", 200)
    assert call.path.endswith("/accounts")


def test_decimals_of_lists_are_parsed_exactly(books: Books):
    books.post(books.lines_of(), books.line(0.1))
    row: dict[str, Any] = parsed(books.get(books.lines_of()))["value"][0]
    assert str(row["amount"]) == "0.1"
