import json
import logging
import threading
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.connector import Deadline
from connectors.dynamics365.client import (
    BadRequest,
    Client,
    Inner,
    NotLetIn,
    Operation,
    address,
    in_quotes,
    of_user,
)
from connectors.errors import NoAnswer, NotAuthorized, NotNow, NotReached, RetryLater, SettingsNeeded

from .conftest import change, linked, stored

pytestmark = pytest.mark.database

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def lines(acme) -> str:
    return f"journals({acme.journal.id})/journalLines"


@pytest.fixture
def posting(acme, lines):
    """The operation that creates a line; any change makes another one."""
    return lambda amount="12.50", **fields: Operation("POST", lines, acme.line(amount, **fields))


@pytest.fixture
def sent(client) -> list:
    """The requests as they leave."""
    found: list = []
    client.session.client.event_hooks = {"request": [found.append]}
    return found


def amounts(acme) -> list[Decimal]:
    return [line.amount for line in acme.company.lines()]


# --- addresses


def test_options_are_encoded_and_keep_what_odata_reads():
    where = f"displayName eq {in_quotes('O’Reilly & Sons #1 50% a+b')} and startswith(number,{in_quotes('DA')})"

    made = address("vendors", filter=where, expand="defaultDimensions($select=id,dimensionCode)", top=5)

    assert made == (
        "vendors?$filter=displayName%20eq%20'O%E2%80%99Reilly%20%26%20Sons%20%231%2050%25%20a%2Bb'"
        "%20and%20startswith(number,'DA')&$expand=defaultDimensions($select=id,dimensionCode)&$top=5"
    )
    assert address("vendors") == "vendors"


def test_quotes_inside_a_text_are_doubled():
    assert in_quotes("O'Reilly's") == "'O''Reilly''s'"


@pytest.mark.parametrize("name", ["O'Reilly & Sons", "50% + #1 / 2", "Müller \\ Söhne"])
def test_what_a_filter_holds_arrives_as_it_is(acme, client, name):
    acme.company.add_vendor(name)
    acme.company.add_vendor("Somebody else")

    found = client.rows("vendors", filter=f"displayName eq {in_quotes(name)}")

    assert [row["displayName"] for row in found] == [name]


@pytest.mark.parametrize("name", ["Production", "UAT 2 new", "UAT #2, 50%", "Prüfung"])
def test_an_environment_is_found_whatever_its_name(acme, client, connection, name):
    acme.environment.name = name
    opened = Client(change(connection, company=acme.place))
    try:
        assert [row["displayName"] for row in opened.companies(name)] == ["Acme LLC"]
        assert [row["code"] for row in opened.rows("journals")] == ["PEX CARD"]
        assert opened.batch([Operation("GET", "journals")], writes=False)[0].ok
    finally:
        opened.close()


def test_environments_are_those_of_the_tenant(acme, client):
    acme.world.add_environment(acme.tenant, "Sandbox", "Sandbox")
    acme.world.add_environment(acme.world.add_tenant("Rival Inc"), "Rival")

    assert [row["name"] for row in client.environments()] == ["Production", "Sandbox"]


def test_every_call_asks_for_json_in_english_and_never_of_a_replica(acme, client, sent, lines, tmp_path):
    file = tmp_path / "receipt.pdf"
    file.write_bytes(b"%PDF-1")
    line = client.create(lines, acme.line())
    client.change(f"journalLines({line['id']})", {"comment": "hello"})
    made = client.create("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "a.pdf"})
    client.upload(f"attachments({made['id']})/attachmentContent", file)
    client.batch([Operation("GET", lines)], writes=False)
    client.batch([Operation("GET", lines)])
    client.rows("journals")
    client.one(f"journals({acme.journal.id})")
    client.remove(f"journalLines({line['id']})")
    client.environments()
    client.companies("Production")

    assert {call.status for call in acme.desk.calls.calls} <= {200, 201, 204}
    assert len(sent) == acme.calls() == 11
    assert {request.headers["Accept"] for request in sent} == {"application/json"}
    assert {request.headers["Accept-Language"] for request in sent} == {"en-US"}
    assert not any("Data-Access-Intent" in request.headers for request in sent)
    assert {request.headers.get("If-Match") for request in sent if request.method in ("PATCH", "DELETE")} == {"*"}


# --- reading


def test_a_list_is_read_to_its_end_page_by_page(acme, client):
    acme.switch(page_size=2)
    for number in range(7):
        acme.company.add_vendor(f"Vendor {number}")

    found = client.rows("vendors", select="displayName", filter="startswith(displayName,'Vendor')")

    assert [row["displayName"] for row in found] == [f"Vendor {number}" for number in range(7)]
    assert acme.calls("GET", "vendors") == 4


def test_large_pages_are_asked_for_on_every_page(acme, client, sent):
    acme.switch(page_size=1)
    acme.company.add_vendor("A")
    acme.company.add_vendor("B")

    client.rows("vendors")

    assert [request.headers["Prefer"] for request in sent] == ["odata.maxpagesize=20000"] * 2


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v2.0/next",
        "http://{host}.evil.example/bc-api/v2.0/next",
        "http://{host}@evil.example/bc-api/v2.0/next",
        "http://somebody@{netloc}/bc-api/v2.0/next",
        "https://{netloc}/bc-api/v2.0/next",
        "http://{host}:1/bc-api/v2.0/next",
        "http://{netloc}/bc-api/v2.0/../../entra/next",
        "http://{netloc}/entra/next",
        "//evil.example/bc-api/v2.0/next",
        "/bc-api/v2.0/next",
        "http://[",
    ],
)
def test_our_token_goes_nowhere_but_to_the_configured_address(acme, client, caplog, sent, link):
    netloc = acme.desk.url.removeprefix("http://")
    link = link.format(netloc=netloc, host=netloc.partition(":")[0])
    acme.forge(json.dumps({"value": [{"id": "1"}], "@odata.nextLink": link}), path="vendors")

    with pytest.raises(RetryLater, match="not its own"):
        client.rows("vendors")
    assert len(sent) == 1
    assert "ERROR" in {record.levelname for record in caplog.records}


def test_a_list_that_leads_back_to_itself_ends(acme, client):
    link = f"{acme.desk.url}/bc-api/v2.0/{acme.tenant.id}/Production/api/v2.0/around"
    acme.forge(json.dumps({"value": [], "@odata.nextLink": link}), path="vendors")
    acme.forge(json.dumps({"value": [], "@odata.nextLink": link}), path="around", times=None)

    with pytest.raises(RetryLater, match="no end"):
        client.rows("vendors")
    assert acme.calls() == 2


def test_one_record_or_none(acme, client):
    assert client.one(f"journals({acme.journal.id})", select="code")["code"] == "PEX CARD"
    assert client.one(f"journals({NOBODY})") is None


def test_money_is_read_as_the_number_it_is(acme, client, lines, posting):
    for amount in ("0.07", "123456789012.35", "-5000.00"):
        client.create(lines, acme.line(amount))

    found = [Decimal(row["amount"]) for row in client.rows(lines)]

    assert found == amounts(acme) == [Decimal("0.07"), Decimal("123456789012.35"), Decimal("-5000.00")]
    assert not any(isinstance(row["amount"], float) for row in client.rows(lines))


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500, "content_type": "text/html", "body": "<html>oops</html>"},
        {"kind": "status", "status": 504},
        {"kind": "status", "status": 408},
        {"kind": "status", "status": 302},
        {"kind": "status", "status": 403, "content_type": "text/html", "body": "<html>Access Denied</html>"},
        {"kind": "status", "status": 404, "content_type": "text/html", "body": "<html>not here</html>"},
        {"kind": "status", "status": 200, "content_type": "text/html", "body": "<html>maintenance</html>"},
        {"kind": "status", "status": 200, "body": "[]"},
        {"kind": "status", "status": 200, "body": "{}"},
        {"kind": "status", "status": 200, "body": '{"value": {}}'},
        {"kind": "truncate"},
        {"kind": "drop_before"},
        {"kind": "drop_after"},
    ],
)
def test_a_read_without_a_usable_answer_is_made_later(acme, client, fault):
    acme.desk.faults.add(path="accounts", times=None, **fault)

    with pytest.raises(RetryLater) as caught:
        client.rows("accounts")
    assert caught.value.says.endswith(".")


def test_a_read_that_failed_once_is_repeated_at_once(acme, client):
    acme.desk.faults.add("drop_before", path="accounts")

    assert len(client.rows("accounts")) == 3


# --- who may


def test_a_token_that_is_not_taken_any_more_is_renewed_once(acme, client):
    acme.world.expire_access()

    assert client.rows("journals")
    assert (acme.renewals(), acme.calls()) == (1, 2)


def test_a_write_after_a_renewal_is_done_once(acme, client, lines):
    acme.world.expire_access()

    client.create(lines, acme.line())

    assert len(acme.company.lines()) == 1
    assert [call.status for call in acme.desk.calls.matching("bc-api")] == [401, 201]


def test_a_user_who_is_none_there_is_not_let_in_and_keeps_the_sign_in(acme, connection, client):
    acme.person.known = False

    with pytest.raises(NotLetIn, match="no user there"):
        client.companies("Production")
    assert (acme.calls(), acme.renewals()) == (3, 2)
    assert stored(connection).state == "alive"


@pytest.mark.parametrize("rights", ["read", "none"])
def test_a_missing_permission_is_named(acme, client, lines, rights):
    acme.person.rights = rights

    with pytest.raises(NotAuthorized, match="needs permissions in Business Central: Sorry") as caught:
        client.create(lines, acme.line())

    assert caught.value.permission == "Sorry, the current permissions prevented the action."
    assert acme.renewals() == 0


def test_a_permission_missing_for_a_read_inside_a_batch_is_named_too(acme, client):
    acme.person.rights = "none"

    with pytest.raises(NotLetIn, match="needs permissions"):
        client.batch([Operation("GET", "journals")], writes=False)


def test_a_page_that_forbids_is_the_operators_matter(acme, client, caplog):
    acme.desk.faults.add("status", status=403, body="<html>Denied</html>", content_type="text/html", times=None)

    with pytest.raises(RetryLater) as caught:
        client.rows("journals")
    assert caught.value.after == 900
    assert "ERROR" in {record.levelname for record in caplog.records}


def test_a_company_that_is_gone_asks_for_another(acme, connection, client):
    del acme.environment.companies[acme.company.id]

    for ask in (
        lambda: client.rows("journals"),
        lambda: client.one(f"journals({acme.journal.id})"),
        lambda: client.create("vendors", {"displayName": "A"}),
        lambda: client.batch([Operation("GET", "journals")], writes=False),
    ):
        with pytest.raises(SettingsNeeded) as caught:
            ask()
        assert caught.value.field == "company"


def test_an_environment_that_is_gone_asks_for_another_company(acme, client):
    acme.environment.name = "Renamed"

    for ask in (lambda: client.rows("journals"), lambda: client.batch([Operation("GET", "journals")])):
        with pytest.raises(SettingsNeeded):
            ask()


def test_without_a_company_nothing_is_asked(acme, connection):
    client = Client(change(connection, company=""))

    with pytest.raises(SettingsNeeded, match="Choose the company"):
        client.rows("journals")
    client.close()
    assert acme.calls() == 0


# --- writing


def test_a_refusal_carries_code_and_message_and_the_id_for_the_support_goes_to_the_log(acme, client, lines, caplog):
    with pytest.raises(BadRequest) as caught:
        client.create(lines, acme.line(accountNumber="99999"))

    error = caught.value
    assert (error.status, error.code) == (400, "Internal_InvalidTableRelation")
    assert error.message
    assert "CorrelationId" not in str(error)
    assert len(error.correlation) == 36
    [record] = [each for each in caplog.records if each.name == "connectors.dynamics365.client"]
    assert (record.correlation, record.error, record.status) == (error.correlation, error.code, 400)
    assert acme.company.lines() == []


@pytest.mark.parametrize("tail", ["  CorrelationId:  {id}.", " CorrelationId: {id}.", "  correlationid:  {id}"])
def test_however_the_id_is_set_the_message_is_without_it(acme, client, tail):
    known = "55555555-5555-5555-5555-555555555555"
    message = "Konto 99999 gibt es nicht." + tail.format(id=known)
    acme.forge(json.dumps({"error": {"code": "Internal_InvalidTableRelation", "message": message}}), 400)

    with pytest.raises(BadRequest) as caught:
        client.create("vendors", {})
    assert (caught.value.message, caught.value.correlation) == ("Konto 99999 gibt es nicht.", known)


def test_a_refusal_without_words_is_one_too(acme, client):
    acme.desk.faults.add("status", status=413, path="vendors")

    with pytest.raises(BadRequest, match="answered 413"):
        client.create("vendors", {})


@pytest.mark.parametrize("status", [400, 404, 405, 409, 412, 413, 422])
def test_a_refused_write_is_surely_not_done(acme, client, lines, status):
    acme.forge('{"error": {"code": "Internal_RecordNotFound", "message": "No."}}', status, method="POST")

    with pytest.raises(BadRequest) as caught:
        client.create(lines, acme.line())
    assert caught.value.status == status
    assert acme.calls() == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_after"},
        {"kind": "status_after", "status": 500},
        {"kind": "status_after", "status": 502},
        {"kind": "status_after", "status": 503},
        {"kind": "status_after", "status": 504},
        {"kind": "status_after", "status": 408},
        {"kind": "status_after", "status": 302},
        {"kind": "status_after", "status": 200, "body": "<html>"},
        {"kind": "status_after", "status": 201, "body": ""},
        {"kind": "truncate"},
    ],
)
def test_a_write_without_an_answer_is_neither_done_nor_undone_and_is_not_repeated(acme, client, lines, posting, fault):
    for write in (
        lambda: client.create(lines, acme.line()),
        lambda: client.batch([posting(), posting("-12.50")], snapshot=True),
    ):
        acme.desk.faults.add(method="POST", **fault)
        with pytest.raises(NoAnswer):
            write()
    assert len(acme.company.lines()) == 3
    assert acme.calls() == 2


def test_a_lost_change_or_upload_is_not_repeated_either(acme, client, lines, tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"1")
    line = client.create(lines, acme.line())
    acme.desk.calls.clear()

    for write in (
        lambda: client.change(f"journalLines({line['id']})", {"comment": "x"}),
        lambda: client.remove(f"journalLines({line['id']})"),
        lambda: client.upload("attachments(1)/attachmentContent", tmp_path / "a.pdf"),
    ):
        acme.desk.faults.add("drop_before")
        with pytest.raises(NoAnswer):
            write()
    assert acme.calls() == 3


def test_a_server_that_cannot_be_reached_means_surely_not_sent(client, lines, acme, settings):
    client.rows("journals")
    settings.BC_API_URL = "http://localhost:9"

    with pytest.raises(NotReached) as caught:
        client.batch([Operation("POST", lines, acme.line())])
    assert caught.value.after == 60


def test_changing_and_removing_show_what_is_left(acme, client, lines):
    line = client.create(lines, acme.line())

    changed = client.change(f"journalLines({line['id']})", {"amount": Decimal("99.99")})
    client.remove(f"journalLines({line['id']})")

    assert Decimal(changed["amount"]) == Decimal("99.99")
    assert client.one(f"journalLines({line['id']})") is None


def test_a_change_that_is_not_shown_is_done_all_the_same(acme, client):
    acme.desk.faults.add("status", status=204, method="PATCH")

    assert client.change("vendors(1)", {"displayName": "A"}) == {}


@pytest.mark.parametrize("answer", ["204", "200"])
def test_a_receipt_is_streamed_from_the_disk(acme, client, lines, tmp_path, sent, answer):
    acme.switch(content_answer=answer)
    file = tmp_path / "receipt.jpg"
    file.write_bytes(bytes(range(256)) * 4096)
    line = client.create(lines, acme.line())
    made = client.create("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "receipt.jpg"})

    shown = client.upload(f"attachments({made['id']})/attachmentContent", file)

    [kept] = acme.company.files_of(line["id"])
    assert kept.content == file.read_bytes()
    assert shown.get("byteSize", 1024 * 1024) == 1024 * 1024
    assert sent[-1].headers["Content-Length"] == str(1024 * 1024)
    assert sent[-1].headers["Content-Type"] == "application/octet-stream"


def test_a_receipt_is_sent_whole_again_after_a_renewal(acme, client, lines, tmp_path):
    file = tmp_path / "receipt.jpg"
    file.write_bytes(b"0123456789")
    line = client.create(lines, acme.line())
    made = client.create("attachments", {"parentId": line["id"], "parentType": "Journal", "fileName": "receipt.jpg"})
    acme.world.expire_access()

    client.upload(f"attachments({made['id']})/attachmentContent", file)

    assert acme.company.files_of(line["id"])[0].content == b"0123456789"


# --- batches


def test_a_batch_answers_each_operation_in_its_order(acme, client, posting):
    answers = client.batch([posting(str(number)) for number in range(1, 101)], snapshot=True)

    assert [Decimal(inner.body["amount"]) for inner in answers] == amounts(acme)
    assert {inner.status for inner in answers} == {201}
    assert acme.calls() == 1


def test_answers_are_matched_by_id_in_whatever_order_they_come(acme, client, posting):
    rows = [{"id": str(number), "status": 200 + number, "body": {"id": number}} for number in (3, 1, 2)]
    acme.forge(json.dumps({"responses": rows}))

    answers = client.batch([posting()] * 3)

    assert answers == [Inner(200 + number, {"id": number}) for number in (1, 2, 3)]


def test_more_than_a_hundred_operations_are_our_mistake_and_not_sent(acme, client, posting):
    with pytest.raises(ValueError, match="101"):
        client.batch([posting()] * 101)
    assert acme.calls() == 0


def test_no_operations_are_no_call(acme, client):
    assert client.batch([]) == client.batch([], writes=False) == []
    assert acme.calls() == 0


def test_all_or_nothing_does_not_keep_going(client, posting):
    with pytest.raises(ValueError, match="nobody knows"):
        client.batch([posting()], snapshot=True, keep_going=True)


def test_a_write_among_reads_is_our_mistake_since_reads_are_repeated(acme, client, posting):
    with pytest.raises(ValueError, match="repeated"):
        client.batch([Operation("GET", "journals"), posting()], writes=False)
    assert acme.calls() == 0


@pytest.mark.parametrize(("how", "kept"), [({"snapshot": True}, 0), ({}, 1), ({"keep_going": True}, 2)])
def test_what_one_refusal_does_to_the_others(acme, client, posting, how, kept):
    operations = [posting("1"), posting("2", accountNumber="99999"), posting("3")]

    answers = client.batch(operations, **how)

    assert len(acme.company.lines()) == kept
    assert (answers[0].ok, answers[1].status, answers[1].code) == (True, 400, "Internal_InvalidTableRelation")
    assert answers[1].definite
    assert answers[1].message
    assert "CorrelationId" not in answers[1].message
    assert (answers[2] is None) is ("keep_going" not in how)


def test_each_refusal_inside_is_logged_with_its_id(acme, client, posting, caplog):
    client.batch([posting(accountNumber="99999"), posting(accountNumber="88888")], keep_going=True)

    assert [(record.status, len(record.correlation)) for record in caplog.records] == [(400, 36), (400, 36)]


@pytest.mark.parametrize(("status", "definite"), [(400, True), (404, True), (408, False), (429, False), (500, False)])
def test_what_an_inner_answer_proves(acme, client, posting, status, definite):
    acme.forge(json.dumps({"responses": [{"id": "1", "status": status, "body": {"error": {"code": "X"}}}]}))

    [inner] = client.batch([posting()])

    assert (inner.ok, inner.definite, inner.code) == (False, definite, "X")


def answered(*rows) -> str:
    return json.dumps({"responses": list(rows)})


GOOD = {"id": "1", "status": 201, "body": {}}
BAD = {"id": "1", "status": 400, "body": {}}


@pytest.mark.parametrize(
    "body",
    [
        answered(GOOD),  # the second is missing, and nothing stopped it
        answered({**BAD, "id": "2"}),  # the first is missing, which ran before it
        answered(GOOD, {**GOOD, "id": None}),
        answered(GOOD, {**GOOD, "id": "17"}),
        answered(GOOD, GOOD),
        answered(GOOD, {**GOOD, "id": "2"}, {**GOOD, "id": "3"}),
        answered(GOOD, {"id": "2", "body": {}}),
        answered(GOOD, {"id": "2", "status": "201"}),
        answered(GOOD, None),
        '{"responses": {}}',
        '{"value": []}',
        "[]",
        "--batchresponse_1\r\nContent-Type: application/http\r\n",
    ],
)
def test_an_answer_that_does_not_tell_what_became_of_each_tells_nothing(acme, client, posting, body):
    acme.forge(body)

    with pytest.raises(NoAnswer, match="could not be read"):
        client.batch([posting(), posting()])


def test_whoever_keeps_going_must_answer_for_all(acme, client, posting):
    acme.forge(answered(BAD))

    with pytest.raises(NoAnswer):
        client.batch([posting(), posting()], keep_going=True)


def test_a_batch_refused_whole_did_nothing(acme, client, posting):
    acme.forge('{"error": {"code": "Unknown", "message": "The maximum number of operations."}}', 400)

    with pytest.raises(BadRequest) as caught:
        client.batch([posting()])
    assert caught.value.code == "Unknown"


def test_a_batch_is_not_sent_after_its_deadline(acme, client, posting):
    client.rows("journals")
    acme.desk.calls.clear()

    with pytest.raises(NotReached):
        client.batch([posting()], deadline=Deadline.after(-1))
    assert acme.calls() == 0


def test_money_is_sent_as_the_number_it_is(acme, client, posting, sent):
    client.batch([posting("0.10"), posting("123456789012.35")])

    assert amounts(acme) == [Decimal("0.10"), Decimal("123456789012.35")]
    assert b'"amount":0.10}' in sent[0].content


def test_changes_inside_a_batch_say_that_any_version_will_do(acme, client, lines, posting):
    [made] = client.batch([posting()])

    answers = client.batch(
        [
            Operation("PATCH", f"journalLines({made.body['id']})", {"comment": "new"}),
            Operation("DELETE", f"journalLines({made.body['id']})"),
        ]
    )

    assert [inner.status for inner in answers] == [200, 204]
    assert acme.company.lines() == []


def test_headers_of_an_operation_are_its_own(acme, client, lines, posting):
    [made] = client.batch([posting()])
    stale = Operation("PATCH", f"journalLines({made.body['id']})", {"comment": "x"}, {"If-Match": 'W/"old"'})

    [inner] = client.batch([stale])

    assert (inner.status, inner.code) == (409, "Request_EntityChanged")


# --- batches of reads


def test_many_lists_are_one_call(acme, client):
    answers = client.batch([Operation("GET", "accounts"), Operation("GET", "journals")], writes=False)

    assert [len(inner.body["value"]) for inner in answers] == [3, 1]
    assert acme.calls() == 1


def test_the_pages_of_lists_inside_are_followed(acme, client):
    acme.switch(page_size=2)
    for number in range(5):
        acme.company.add_vendor(f"Vendor {number}")

    vendors, accounts = client.batch([Operation("GET", "vendors"), Operation("GET", "accounts")], writes=False)

    assert [row["displayName"] for row in vendors.body["value"]] == [f"Vendor {number}" for number in range(5)]
    assert len(accounts.body["value"]) == 3
    assert acme.calls() == 1 + 2 + 1


def test_our_token_is_not_taken_elsewhere_from_inside_a_batch(acme, client, sent):
    inner = {"value": [], "@odata.nextLink": "https://evil.example/v2.0/next"}
    acme.forge(answered({"id": "1", "status": 200, "body": inner}))

    with pytest.raises(RetryLater, match="not its own"):
        client.batch([Operation("GET", "vendors")], writes=False)
    assert len(sent) == 1


def test_one_bad_read_does_not_stop_the_others(acme, client):
    answers = client.batch(
        [Operation("GET", f"journals({NOBODY})"), Operation("GET", "nonsense"), Operation("GET", "accounts")],
        writes=False,
    )

    assert [inner.status for inner in answers] == [404, 404, 200]


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "status"])
def test_a_batch_of_reads_is_repeated_at_once(acme, client, kind):
    acme.desk.faults.add(kind, path=r"\$batch$")

    [inner] = client.batch([Operation("GET", "journals")], writes=False)

    assert inner.ok
    assert acme.calls() == 2


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_trouble_inside_a_batch_of_reads_is_that_of_a_read(acme, client, status):
    acme.forge(answered({"id": "1", "status": status, "body": {}}))

    with pytest.raises(RetryLater):
        client.batch([Operation("GET", "journals")], writes=False)


@pytest.mark.parametrize("body", [answered(), answered(GOOD, GOOD), "{}", "<html>"])
def test_a_batch_of_reads_without_a_usable_answer_is_made_later(acme, client, body):
    acme.forge(body)

    with pytest.raises(RetryLater, match="could not be read"):
        client.batch([Operation("GET", "journals")], writes=False)


# --- at what pace


def test_calls_count_against_whoever_signed_in_whatever_company_they_go_to(acme, connection):
    west = change(linked(acme, "Acme West"), company="t/e/another")

    assert of_user(connection) == of_user(west)
    assert of_user(connection).key == f"dynamics365:{acme.person.id}.{acme.tenant.id}"
    assert of_user(change(west, company_facts={})).key == f"dynamics365:credential:{west.credential_id}"


def test_we_never_call_more_often_than_the_user_may(acme, client, settings):
    settings.BC_CALLS_IN_FIVE_MINUTES = 3
    for _ in range(3):
        client.rows("journals")

    with pytest.raises(NotNow, match="so many calls in five minutes") as caught:
        client.rows("journals")
    assert 290 < caught.value.after <= 331
    assert acme.calls() == 3


@pytest.mark.django_db(transaction=True)
def test_no_more_than_four_calls_are_under_way(acme, connection):
    acme.switch(latency=0.3, limits=True, concurrent_limit=4, queue_limit=0)
    clients = [Client(connection) for _ in range(3)]
    failed: list[BaseException] = []

    def ask(client: Client) -> None:
        try:
            client.environments()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(clients[number % 3],)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()

    assert failed == []
    assert [call.status for call in acme.desk.calls.matching("bc-api")] == [200] * 12


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_time_that_is_named_is_kept_to_by_everybody(acme, client, again, status):
    acme.desk.faults.add("status", system="bc-api", status=status, headers={"Retry-After": "40"})

    with pytest.raises(NotNow) as caught:
        client.rows("journals")
    with pytest.raises(NotNow, match="slow down"):
        again().rows("accounts")

    assert caught.value.after == 40
    assert acme.calls() == 1


def test_too_many_calls_without_a_time_are_backed_off_from_ever_longer(acme, client, one_clock):
    acme.desk.faults.add("status", system="bc-api", method="POST", status=429, times=None)
    waited = []
    for _ in range(3):
        with pytest.raises(NotNow) as caught:
            client.create("vendors", {"displayName": "A"})
        waited.append(caught.value.after)
        acme.desk.clock.advance(timedelta(seconds=caught.value.after + 1))

    assert waited == [2, 4, 8]
    assert acme.calls("POST") == 3


def test_too_many_calls_for_a_moment_are_waited_out_in_place_for_reads(acme, client):
    acme.desk.faults.add("status", system="bc-api", status=429, headers={"Retry-After": "1"})

    assert client.rows("journals")
    assert acme.calls() == 2


def test_a_write_refused_for_its_pace_is_surely_not_done(acme, client, posting):
    acme.switch(limits=True, window_limit=1, retry_after=30)

    with pytest.raises(NotNow) as caught:
        client.batch([posting(), posting()], snapshot=True)

    assert caught.value.after == 30
    assert acme.company.lines() == []


def test_a_write_that_met_a_503_keeps_everybody_away_for_the_time_it_names(acme, client, lines):
    acme.desk.faults.add("status", system="bc-api", method="POST", status=503, headers={"Retry-After": "40"})
    with pytest.raises(NoAnswer):
        client.create(lines, acme.line())

    with pytest.raises(NotNow):
        client.rows("journals")
    assert acme.calls() == 1


def test_people_at_a_page_keep_a_share(connection, settings):
    settings.BC_CALLS_IN_FIVE_MINUTES = 6000
    limits = of_user(connection)

    assert (limits.at_once, limits.kept_at_once) == (4, 1)
    assert [(rate.seconds, rate.calls, rate.kept) for rate in limits.rates] == [(300, 6000, 50)]


# --- what nobody may read


def test_no_secret_is_ever_logged(acme, connection, client, caplog, lines):
    caplog.set_level(logging.DEBUG)
    acme.world.expire_access()
    client.create(lines, acme.line())
    with pytest.raises(BadRequest):
        client.create(lines, acme.line(accountNumber="99999"))
    acme.person.known = False
    with pytest.raises(NotLetIn):
        client.rows("journals")

    said = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    secret = stored(connection).secret()
    assert caplog.records
    assert [token for token in (*acme.world.access, *acme.world.refresh, secret["access_token"]) if token in said] == []
