"""Tags of the simulated PEX where several hands are at them: restricted options, old keys, edits by an admin."""

import pytest

from sandbox.pex import Option
from tests.sandbox.test_control import control, form
from tests.sandbox.test_pex import acme, caller, client_of

CONFIG = "Business/Configuration"


@pytest.fixture
def business(sandbox):
    return acme(sandbox)


@pytest.fixture
def tag(business):
    return business.add_tag("Account", options=[("429", "General"), ("469", "Rent")])


@pytest.fixture
def client(sandbox, business):
    return caller(sandbox, business)


@pytest.fixture
def switches(sandbox):
    return sandbox.worlds["pex"].switches


def read(client, tag):
    return client.get(f"{CONFIG}/Tag/{tag.tag_id}", params={"OverrideRestrictions": "true"}).json()


def replace(client, tag, body):
    return client.put(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}", json=body)


def names(tag):
    return [option.name for option in tag.options]


def test_the_list_never_shows_the_options_of_other_groups(client, business, tag):
    tag.options.append(Option("999", "Hidden", groups=frozenset({business.add_group("Office")})))
    [listed] = client.get(f"{CONFIG}/Tags", params={"OverrideRestrictions": "true"}).json()
    assert [option["Value"] for option in listed["Options"]] == ["429", "469"]


def test_the_last_writer_wins_unless_keys_are_checked(client, tag, switches):
    before = read(client, tag)
    replace(client, tag, {**before, "Description": "First"})
    assert replace(client, tag, before).status_code == 200
    switches.tag_keys_checked = True
    answer = replace(client, tag, before)
    assert (answer.status_code, answer.json()["Message"]) == (409, "The tag was changed since it was read")
    assert replace(client, tag, read(client, tag)).status_code == 200
    assert replace(client, tag, {**before, "ConcurrencyKey": None}).status_code == 200


def test_somebody_adds_an_option_right_after_a_read(client, tag, switches):
    switches.tag_edits_after_read = 1
    before = read(client, tag)
    assert names(tag) == ["General", "Rent", "Added by hand 1"]
    replace(client, tag, before)
    assert names(tag) == ["General", "Rent"]  # lost: nobody looked at the key
    read(client, tag)
    assert names(tag) == ["General", "Rent"]


def test_somebody_adds_an_option_right_after_a_write(client, tag, switches):
    switches.tag_edits_after_write = 1
    answer = replace(client, tag, read(client, tag)).json()
    assert len(answer["Options"]) == 2
    assert len(read(client, tag)["Options"]) == 3
    assert answer["ConcurrencyKey"] != tag.key


def test_more_options_than_fit_are_refused(client, tag, switches):
    switches.options_per_tag = 2
    body = read(client, tag)
    assert replace(client, tag, body).status_code == 200
    body["Options"].append({"Name": "Fuel", "Value": "449"})
    assert replace(client, tag, body).status_code == 400
    assert (
        client.post(f"{CONFIG}/Tag/Dropdown/{tag.tag_id}/Options", json={"Options": body["Options"][-1:]}).status_code
        == 400
    )
    assert names(tag) == ["General", "Rent"]


def test_a_tag_that_is_gone_is_not_found(client, tag):
    body = read(client, tag)
    tag.deleted = True
    assert replace(client, tag, body).status_code == 404


@pytest.mark.parametrize(
    ("facts", "after"),
    [
        ({"do": "add", "value": "449", "name": "Fuel"}, [("General", True), ("Rent", True), ("Fuel", True)]),
        ({"do": "rename", "value": "429", "name": "Sundry"}, [("Sundry", True), ("Rent", True)]),
        ({"do": "hide", "value": "429"}, [("General", False), ("Rent", True)]),
    ],
)
def test_an_admin_edits_options_in_the_control_room(sandbox, tag, facts, after):
    key = tag.key
    answer = control(sandbox).post("pex/edit-option", json={"tag_id": tag.tag_id, **facts})
    assert answer.status_code == 200, answer.text
    assert [(option.name, option.enabled) for option in tag.options] == after
    assert tag.key != key


@pytest.mark.parametrize(
    "facts",
    [
        {"do": "add", "value": "429", "name": "Again"},
        {"do": "add", "value": "1", "name": "rent"},
        {"do": "rename", "value": "429", "name": ""},
        {"do": "hide", "value": "nothing"},
        {"do": "burn", "value": "429"},
        {"do": "add", "value": "1", "name": "Fuel", "tag_id": "nothing"},
    ],
)
def test_what_the_dashboard_refuses_is_refused(sandbox, tag, facts):
    answer = control(sandbox).post("pex/edit-option", json={"tag_id": tag.tag_id, **facts})
    assert answer.status_code == 400
    assert names(tag) == ["General", "Rent"]


def test_the_last_option_cannot_be_hidden(sandbox, tag):
    tag.change_option("469", enabled=False)
    answer = control(sandbox).post("pex/edit-option", json={"tag_id": tag.tag_id, "do": "hide", "value": "429"})
    assert answer.status_code == 400


def test_tags_are_edited_on_the_page(sandbox, tag):
    page = client_of(sandbox.url).get("/control").text
    assert "Tags and their options" in page
    assert "Rent" in page
    form(sandbox, "edit-option", tag_id=tag.tag_id, value="469", do="hide")
    assert not tag.options[1].enabled
    form(sandbox, "edit-tag", tag_id=tag.tag_id, enabled="false")
    assert (tag.enabled, tag.deleted) == (False, False)
    form(sandbox, "edit-tag", tag_id=tag.tag_id, deleted="true", enabled="false")
    assert tag.deleted
