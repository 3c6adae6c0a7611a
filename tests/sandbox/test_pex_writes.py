"""Notes, receipts, reviews and tags as written through the simulated PEX's API."""

import base64
from datetime import timedelta

import httpx
import pytest

from sandbox.pex import Option, documents
from tests.sandbox.test_pex import acme, admin_of, caller, client_of, listed, world_of


def note(row, text="Synced", **fields):
    body = {"TransactionId": row.transaction_id, "NoteText": text, "Pending": row.pending}
    return {**body, "VisibleToCardholder": True, "SystemGenerated": True, **fields}


def shown_notes(client, desk):
    rows = listed(client, desk, IncludePendings="True")
    return [one["NoteText"] for row in rows for one in row["TransactionNotes"] or []]


def remove(client, path, **body):
    return client.request("DELETE", path, json=body)


def test_a_note_is_added_changed_and_removed(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(), caller(sandbox, business)
    number = client.post("Note", json=note(row, "Synced with Acme")).json()["Id"]
    shown = listed(client, sandbox)[0]["TransactionNotes"][0]
    assert (shown["NoteId"], shown["NoteText"], shown["SystemGenerated"]) == (number, "Synced with Acme", True)
    assert shown["UserName"] == admin_of(business).username
    answer = client.put(f"Note/{number}", json={"NoteText": "Changed", "Pending": False})
    assert (answer.status_code, answer.content) == (200, b"")
    assert shown_notes(client, sandbox) == ["Changed"]
    assert remove(client, f"Note/{number}", Pending=False).status_code == 200
    assert shown_notes(client, sandbox) == []


def test_a_note_is_found_only_with_the_right_pending_flag(sandbox):
    business = acme(sandbox)
    hold, client = business.add_purchase(settled=None), caller(sandbox, business)
    assert client.post("Note", json=note(hold, Pending=False)).status_code == 403
    number = client.post("Note", json=note(hold)).json()["Id"]
    for answer in (
        client.put(f"Note/{number}", json={"NoteText": "x", "Pending": False}),
        remove(client, f"Note/{number}", Pending=False),
        remove(client, "Note/1", Pending=True),
    ):
        assert (answer.status_code, answer.json()["Message"]) == (403, "Note not found")
    assert remove(client, f"Note/{number}", Pending=True).status_code == 200


@pytest.mark.parametrize("text", ["x" * 251, "", "   ", None, 12])
def test_a_note_has_between_1_and_250_characters(sandbox, text):
    business = acme(sandbox)
    row, client = business.add_purchase(), caller(sandbox, business)
    assert client.post("Note", json=note(row, text)).status_code == 400
    assert client.post("Note", json=note(row, "x" * 250)).status_code == 200


def test_a_new_note_shows_in_the_lists_after_the_delay(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(), caller(sandbox, business)
    world_of(sandbox).switches.note_delay = 60
    client.post("Note", json=note(row))
    assert shown_notes(client, sandbox) == []
    assert [one.text for one in business.notes(row.transaction_id)] == ["Synced"]
    sandbox.clock.advance(timedelta(seconds=61))
    assert shown_notes(client, sandbox) == ["Synced"]


def test_a_network_note_follows_the_purchase_to_settlement(sandbox):
    business = acme(sandbox)
    hold, client = business.add_purchase(settled=None), caller(sandbox, business)
    body = {"NetworkTransactionId": hold.network_id, "NoteText": "Keep me"}
    assert client.post("Note/NetworkTransactionNote", json=body).status_code == 200
    business.settle(hold)
    assert shown_notes(client, sandbox) == ["Keep me"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"not json", "application/json", 400), (b"[]", "application/json", 400), (b"{}", "text/plain", 415)],
)
def test_a_body_is_a_json_object_sent_as_such(sandbox, content, kind, status):
    client = caller(sandbox, acme(sandbox))
    answer = client.post("Note", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "Message" in answer.json()


def attachments(client, row):
    return client.get(f"Transactions/{row.transaction_id}/Attachments")


def test_no_receipts_is_404(sandbox):
    business = acme(sandbox)
    assert attachments(caller(sandbox, business), business.add_purchase()).status_code == 404


def test_receipts_are_real_files_by_link_and_in_full(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(receipts=["pdf", "png", "jpeg"]), caller(sandbox, business)
    listing = attachments(client, row).json()
    assert listing["ApprovalStatus"] == "Approved"
    assert [one["Type"] for one in listing["Attachments"]] == ["Pdf", "Image", "Image"]
    kinds = []
    for one in listing["Attachments"]:
        path = f"Transactions/{row.transaction_id}/Attachment/{one['AttachmentId']}"
        content = base64.b64decode(client.get(path, params={"AttachmentLinkType": "Full"}).json()["Content"])
        file = httpx.get(one["Link"]["related"])
        assert file.content == content
        assert len(content) == one["Size"]
        kinds.append((file.headers["Content-Type"], content[:4]))
    assert kinds == [("application/pdf", b"%PDF"), ("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8\xff\xe0")]


def test_a_link_lives_an_hour_and_cannot_be_guessed(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(receipts=["pdf"]), caller(sandbox, business)
    link = attachments(client, row).json()["Attachments"][0]["Link"]["related"]
    assert httpx.get(link[:-4] + "0000").status_code == 404
    assert httpx.get(link).status_code == 200
    sandbox.clock.advance(timedelta(minutes=61))
    expired = httpx.get(link)
    assert expired.status_code == 403
    assert expired.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("status", ["NotLoaded", "HasMalware", "LoadFailed", "Deleted"])
def test_a_receipt_that_is_not_loaded_has_neither_link_nor_content(sandbox, status):
    business = acme(sandbox)
    row, client = business.add_purchase(), caller(sandbox, business)
    receipt = business.add_receipt(row, "pdf")
    business.change_receipt(row, receipt.attachment_id, status=status)
    one = attachments(client, row).json()["Attachments"][0]
    assert (one["UploadStatus"], one["Link"]) == (status, None)
    path = f"Transactions/{row.transaction_id}/Attachment/{receipt.attachment_id}"
    assert client.get(path, params={"AttachmentLinkType": "Full"}).json()["Content"] is None


def test_an_uploaded_receipt_may_take_a_while_to_load(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(approval="Rejected"), caller(sandbox, business)
    world_of(sandbox).switches.upload_delay = 30
    body = {"Content": base64.b64encode(documents.pdf("Bill")).decode(), "Type": "Pdf"}
    answer = client.post(f"Transactions/{row.transaction_id}/Attachment", json=body)
    assert (answer.status_code, answer.json()["UploadStatus"]) == (200, "NotLoaded")
    assert listed(client, sandbox)[0]["MetadataApprovalStatus"] == "NotReviewed"
    sandbox.clock.advance(timedelta(seconds=31))
    assert attachments(client, row).json()["Attachments"][0]["UploadStatus"] == "Loaded"


@pytest.mark.parametrize(
    "body",
    [
        {"Content": "???", "Type": "Pdf"},
        {"Content": "", "Type": "Pdf"},
        {"Content": base64.b64encode(b"%PDF-1.4").decode(), "Type": "Image"},
        {"Content": base64.b64encode(b"GIF89a").decode(), "Type": "Image"},
        {"Content": base64.b64encode(b"%PDF-1.4").decode(), "Type": 1},
    ],
)
def test_an_upload_that_is_no_receipt_is_refused(sandbox, body):
    business = acme(sandbox)
    row, client = business.add_purchase(), caller(sandbox, business)
    assert client.post(f"Transactions/{row.transaction_id}/Attachment", json=body).status_code == 400


def test_the_receipts_of_an_approved_purchase_are_locked(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(receipts=["pdf"]), caller(sandbox, business)
    path = f"Transactions/{row.transaction_id}/Attachment/{row.attachments[0].attachment_id}"
    assert client.delete(path).status_code == 403
    client.post(f"Approval/{row.transaction_id}/Reset")
    assert client.delete(path).status_code == 200
    assert attachments(client, row).status_code == 404


def test_a_purchase_is_approved_rejected_and_reset(sandbox):
    business = acme(sandbox)
    row, client = business.add_purchase(approval="NotReviewed"), caller(sandbox, business)
    path = f"Approval/{row.transaction_id}"
    states = [
        client.post(f"{path}/Approve").json()["State"],
        client.post(f"{path}/Reject", json={"Reason": "Unreadable"}).json()["State"],
        client.post(f"{path}/Reset").json()["State"],
    ]
    assert states == ["Approved", "Rejected", "NotReviewed"]
    assert client.get(f"{path}/Approve").status_code == 405


CONFIG = "Business/Configuration"
OPTIONS = [{"Name": "General", "Value": "429", "Order": 0, "IsEnabled": True}]


def test_tags_switched_off_are_refused_while_rows_still_carry_them(sandbox):
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General")])
    business.add_purchase(tags={tag.tag_id: "429"})
    business.tags_enabled = False
    client = caller(sandbox, business)
    answer = client.get(f"{CONFIG}/Tags")
    assert (answer.status_code, answer.json()["Message"]) == (403, "This business does not support the Tags Feature")
    assert listed(client, sandbox)[0]["TransactionTags"]["Tags"][0]["Value"] == "429"


def test_a_dropdown_is_made_replaced_and_softly_deleted(sandbox):
    client = caller(sandbox, acme(sandbox))
    made = client.post(f"{CONFIG}/Tag/Dropdown", json={"Name": "Account", "Options": OPTIONS, "IsRequired": True})
    assert made.status_code == 201
    tag = made.json()
    assert (tag["Type"], tag["IsRequired"], len(tag["Id"])) == ("Dropdown", True, 24)
    renamed = {
        **tag,
        "Options": [{**OPTIONS[0], "Name": "Sundry"}, {"Name": "Rent", "Value": "469", "IsEnabled": False}],
    }
    changed = client.put(f"{CONFIG}/Tag/Dropdown/{tag['Id']}", json=renamed).json()
    assert [(one["Value"], one["Name"], one["IsEnabled"]) for one in changed["Options"]] == [
        ("429", "Sundry", True),
        ("469", "Rent", False),
    ]
    assert changed["ConcurrencyKey"] != tag["ConcurrencyKey"]
    assert client.delete(f"{CONFIG}/Tag/Dropdown/{tag['Id']}").status_code == 200
    assert client.get(f"{CONFIG}/Tags").json() == []
    assert client.get(f"{CONFIG}/Tag/{tag['Id']}").json()["IsDeleted"] is True


def test_options_left_out_of_a_put_are_gone(sandbox):
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General"), ("469", "Rent")])
    body = {"Name": "Account", "Options": OPTIONS}
    caller(sandbox, business).put(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}", json=body)
    assert [option.value for option in tag.options] == ["429"]


def test_restricted_options_show_only_with_the_override(sandbox):
    business = acme(sandbox)
    group = business.add_group("Office")
    hidden = Option("999", "Hidden", groups=frozenset({group}))
    tag = business.add_tag("Account", options=[("429", "General"), hidden])
    client = caller(sandbox, business)
    path = f"{CONFIG}/Tag/{tag.tag_id}"
    assert [one["Value"] for one in client.get(path).json()["Options"]] == ["429"]
    everything = client.get(path, params={"OverrideRestrictions": "true"}).json()
    assert [one["Value"] for one in everything["Options"]] == ["429", "999"]
    client.put(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}", json=everything)
    assert tag.options[1].groups == {group}
    client.put(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}", json={**everything, "Options": OPTIONS})
    assert [option.value for option in tag.options] == ["429"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        [{"Name": "General", "Value": "429", "IsEnabled": False}],
        [{"Name": "A", "Value": "1"}, {"Name": "a", "Value": "2", "IsEnabled": False}],
        [{"Name": "A", "Value": "x"}, {"Name": "B", "Value": "X"}],
        [{"Name": "", "Value": "x"}],
        [{"Name": "A"}],
        ["A"],
    ],
)
def test_a_dropdown_with_bad_options_is_refused(sandbox, options):
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General")])
    body = {"Name": "Account", "Options": options}
    answer = caller(sandbox, business).put(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}", json=body)
    assert answer.status_code == 400
    assert [option.value for option in tag.options] == ["429"]


def test_options_are_appended_to_dropdowns_only(sandbox):
    business = acme(sandbox)
    tag, text = business.add_tag("Account", options=[("429", "General")]), business.add_tag("Purpose", type="Text")
    client = caller(sandbox, business)
    body = {"Options": [{"Name": "Rent", "Value": "469"}]}
    client.post(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}/Options", json=body)
    assert [option.value for option in tag.options] == ["429", "469"]
    answer = client.post(f"{CONFIG}/Tag/Dropdown/{text.tag_id}/Options", json=body)
    assert (answer.status_code, answer.json()["Message"]) == (400, "Tag is not dropdown type.")


def test_there_is_one_allocation_tag(sandbox):
    client = caller(sandbox, acme(sandbox))
    codes = [client.post(f"{CONFIG}/Tag/Allocation", json={"Name": name}).status_code for name in ("Split", "Again")]
    assert codes == [201, 400]


def test_five_thousand_options_fit_into_a_dropdown(sandbox):
    client = caller(sandbox, acme(sandbox))
    options = [{"Name": f"Account number {number}", "Value": str(number)} for number in range(5000)]
    tag = client.post(f"{CONFIG}/Tag/Dropdown", json={"Name": "Account", "Options": options}).json()
    assert len(tag["Options"]) == 5000


def tagged(sandbox, **purchase):
    """Return a client, a row and a dropdown tag with options 429 and 453."""
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General"), ("453", "Office")])
    return caller(sandbox, business), business.add_purchase(**purchase), tag


def values(*pairs, key=None):
    return {"ConcurrencyKey": key, "Values": [{"TagId": tag.tag_id, "Value": value} for tag, value in pairs]}


def test_tags_are_first_posted_then_put_with_the_current_key(sandbox):
    client, row, tag = tagged(sandbox)
    path = f"Transactions/{row.transaction_id}/Tags"
    assert client.get(path).status_code == 404
    assert client.put(path, json=values((tag, "429"))).status_code == 404
    first = client.post(path, json=values((tag, "429")))
    assert first.status_code == 201
    assert client.post(path, json=values((tag, "453"))).status_code == 409
    read = client.get(path).json()
    assert [(one["Value"], one["IsAutoGenerated"], one["Definition"]["Name"]) for one in read["Values"]] == [
        ("429", False, "Account")
    ]
    assert client.put(path, json=values((tag, "453"), key="stale")).status_code == 409
    assert client.put(path, json=values((tag, "453"), key=read["ConcurrencyKey"])).status_code == 200
    assert client.put(path, json=values((tag, "429"), key=read["ConcurrencyKey"])).status_code == 409
    assert listed(client, sandbox)[0]["TransactionTags"]["Tags"][0]["Value"] == "453"


def test_tags_are_deleted_with_the_current_key(sandbox):
    client, row, tag = tagged(sandbox)
    path = f"Transactions/{row.transaction_id}/Tags"
    key = client.post(path, json=values((tag, "429"))).json()["ConcurrencyKey"]
    assert client.delete(path, params={"ConcurrencyKey": "stale"}).status_code == 409
    assert client.delete(path, params={"ConcurrencyKey": key}).status_code == 200
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("value", ["999", "General", 429, None, True])
def test_a_dropdown_takes_only_the_value_of_an_enabled_option(sandbox, value):
    client, row, tag = tagged(sandbox)
    tag.change_option("453", enabled=False)
    path = f"Transactions/{row.transaction_id}/Tags"
    for bad in (value, "453"):
        assert client.post(path, json=values((tag, bad))).status_code == 400


def test_a_row_keeps_a_value_whose_option_or_tag_is_gone(sandbox):
    client, row, tag = tagged(sandbox)
    business = world_of(sandbox).businesses[4410]
    business.tag(row, {tag.tag_id: "453", "65f0000000000000deadbeef": "x"})
    tag.remove_option("453")
    shown = listed(client, sandbox)[0]["TransactionTags"]["Tags"]
    assert [(one["FieldId"], one["Value"]) for one in shown] == [
        (tag.tag_id, "453"),
        ("65f0000000000000deadbeef", "x"),
    ]
    read = client.get(f"Transactions/{row.transaction_id}/Tags").json()
    assert [one["Definition"]["IsDeleted"] for one in read["Values"]] == [False, True]


def test_required_tags_are_demanded_unless_forced(sandbox):
    client, row, tag = tagged(sandbox)
    world_of(sandbox).businesses[4410].add_tag("Project", options=[("P", "P")], required=True)
    path = f"Transactions/{row.transaction_id}/Tags"
    assert client.post(path, json=values((tag, "429"))).status_code == 400
    assert client.post(path, params={"force": "true"}, json=values((tag, "429"))).status_code == 201


def split(row_tag, *lines):
    allocation, tag = row_tag
    return {
        "Values": [
            {"TagId": allocation.tag_id, "Amount": amount, "Allocation": [{"TagId": tag.tag_id, "Value": value}]}
            for amount, value in lines
        ]
    }


def test_a_split_adds_up_to_the_amount(sandbox):
    client, row, tag = tagged(sandbox, amount="10.00")
    allocation = world_of(sandbox).businesses[4410].allocation_tag()
    path = f"Transactions/{row.transaction_id}/Tags/Allocations"
    for lines in (
        [(10.00, "429")],
        [(5.00, "429"), (4.99, "453")],
        [(15.00, "429"), (-5.00, "453")],
        [(5.00, "429"), (5.00, "999")],
        [(5.001, "429"), (4.999, "453")],
    ):
        assert client.post(path, json=split((allocation, tag), *lines)).status_code == 400
    answer = client.post(path, json=split((allocation, tag), (6.0, "429"), ("4.00", "453")))
    assert answer.status_code == 201
    shown = answer.json()["Values"]
    assert [(one["Value"]["Amount"], one["Definition"]["Type"]) for one in shown] == [
        (6.0, "Allocation"),
        (4.0, "Allocation"),
    ]


def test_a_pending_purchase_cannot_be_split(sandbox):
    client, row, tag = tagged(sandbox, amount="10.00", settled=None)
    allocation = world_of(sandbox).businesses[4410].allocation_tag()
    path = f"Transactions/{row.transaction_id}/Tags/Allocations"
    assert client.post(path, json=split((allocation, tag), (6, "429"), (4, "453"))).status_code == 400


def test_approval_may_lock_the_tags(sandbox):
    client, row, tag = tagged(sandbox)
    world_of(sandbox).switches.approved_locks_tags = True
    path = f"Transactions/{row.transaction_id}/Tags"
    assert client.post(path, json=values((tag, "429"))).status_code == 403


def test_large_numbers_and_odd_texts_are_answered_not_crashed_on(sandbox):
    client = caller(sandbox, acme(sandbox))
    assert client.get("Transactions/999999999999999999/Tags").status_code == 404
    assert client.post("Note", json={"TransactionId": 10**30, "NoteText": "x"}).status_code == 400
    assert client.post("Note", json={"TransactionId": True, "NoteText": "x"}).status_code == 400
    deep = b"[" * 100_000
    answer = client.post("Note", content=deep, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert client_of(f"{sandbox.url}/pex/").get("files/1-2-3-4").status_code == 404
