"""What is read of a company, and at what price; vendors, who are created once."""

import json

import pytest

from connectors.dynamics365.mapping import PartyNamed
from connectors.errors import NotAuthorized, RetryLater
from connectors.records import Kind, Party, Posted, Refused
from connectors.settings import ONE_PARTY
from tests.connectors.dynamics365.conftest import choose
from tests.connectors.dynamics365.entries import BATCH, entry, kinds, post

pytestmark = pytest.mark.database


def parties(*names):
    return [Party(name=name) for name in names]


def bought(acme, *names):
    return [entry(acme, number, party=Party(name=name)) for number, name in enumerate(names, 1)]


def vendors(acme):
    return [vendor.name for vendor in acme.company.vendors.values()]


# --- lists


def test_the_whole_set_up_is_read_in_one_call(acme, dynamics):
    acme.company.add_bank_account("CHECKING", "Business Checking")
    acme.company.add_dimension("DEPARTMENT", [("ADM", "Administration")])
    acme.company.add_tax_group("FURNITURE", "Taxable")

    for field in dynamics.fields():
        if field.key != "party":
            assert dynamics.options(field.list_name)
    dynamics.options("pex_account")
    dynamics.closed_until()

    assert acme.calls() == 1


def test_vendors_are_read_only_when_they_are_asked_for(acme, dynamics):
    acme.company.add_vendor("Shell")
    acme.company.add_vendor("Esso", blocked="All")

    assert [(option.name, option.active) for option in dynamics.options("party")] == [("Esso", False), ("Shell", True)]
    dynamics.options("party")
    assert acme.calls("GET", "vendors") == 1


def test_lists_of_many_pages_are_read_to_the_end(acme, dynamics):
    acme.switch(page_size=3)
    for number in range(20):
        acme.company.add_account(f"7{number:04}", f"Account {number}")
    acme.company.add_dimension("PROJECT", [(f"P{number}", f"Project {number}") for number in range(50)])

    assert len(dynamics.options("account")) == 23
    [project] = [field for field in dynamics.fields() if field.label == "Project"]
    assert len(dynamics.options(project.key)) == 50


def test_a_list_nobody_has_is_no_list(dynamics):
    with pytest.raises(LookupError):
        dynamics.options("description")


def test_a_user_who_may_not_look_is_told_apart_from_a_dead_sign_in(acme, dynamics):
    acme.person.rights = "none"

    with pytest.raises(NotAuthorized) as error:
        dynamics.fields()
    assert "permission" in error.value.says


@pytest.mark.parametrize("body", ['{"responses":[]}', "<html>", '{"responses":[{"id":"1","status":500}]}'])
def test_an_answer_that_says_nothing_is_asked_for_again_later(acme, dynamics, body):
    acme.desk.faults.add("status", status=200, body=body, content_type="application/json", path=BATCH, times=None)

    with pytest.raises(RetryLater):
        dynamics.fields()


# --- vendors


def test_a_merchant_is_matched_without_case_and_spaces(acme, dynamics):
    acme.company.add_vendor("Bob’s & Sons")

    outcomes = post(dynamics, *bought(acme, "BOB’S  & SONS", "bob’s & sons"))

    assert set(kinds(outcomes).values()) == {Posted}
    assert vendors(acme) == ["Bob’s & Sons"]
    assert {line.description[:12] for line in acme.company.lines()} == {"Bob’s & Sons"}


def test_missing_vendors_are_created_once_and_named_in_the_lines(acme, dynamics):
    dynamics.prepare(bought(acme, "Staples", "STAPLES", "Delta"))
    post(dynamics, *bought(acme, "Staples", "STAPLES", "Delta"))

    assert vendors(acme) == ["Staples", "Delta"]
    assert acme.calls("GET", "vendors") == 1
    assert {line.account_type for line in acme.company.lines()} == {"G/L Account"}


def test_hundreds_of_vendors_take_a_call_a_hundred(acme, dynamics):
    dynamics.prepare(bought(acme, *(f"Merchant {number}" for number in range(250))))

    assert len(vendors(acme)) == 250
    assert acme.calls("POST", "$batch") == 3


def test_names_are_cut_to_what_a_vendor_keeps_and_found_again(acme, dynamics, another):
    long = "A very long name of a merchant " * 5

    dynamics.prepare(bought(acme, long))
    another().prepare(bought(acme, long))

    assert [len(name) <= 100 for name in vendors(acme)] == [True]


def test_of_several_vendors_of_a_name_the_first_that_is_not_blocked_counts(acme, connection, dynamics):
    choose(connection, acme, extra={"vendors": "ledger"})
    acme.company.add_vendor("Shell", number="V3")
    acme.company.add_vendor("Shell", number="V1", blocked="All")
    acme.company.add_vendor("Shell", number="V2", blocked="Payment")

    post(dynamics, entry(acme))

    assert {line.account for line in acme.company.lines() if line.account_type == "Vendor"} == {"V2"}


def test_a_vendor_blocked_for_everything_is_said_and_no_second_one_made(acme, dynamics):
    acme.company.add_vendor("Shell", blocked="All")

    refused = post(dynamics, entry(acme))["PEXT8000001"]

    assert (refused.reason, "“Shell” is blocked" in refused.says) == ("vendor:party", True)
    assert vendors(acme) == ["Shell"]


def test_where_nobody_may_be_created_such_a_purchase_waits(acme, connection, dynamics):
    choose(connection, acme, extra={"create_vendors": False})
    acme.company.add_vendor("Esso")

    dynamics.prepare(bought(acme, "Shell"))
    outcomes = post(dynamics, *bought(acme, "Shell", "Esso"))

    assert kinds(outcomes) == {"PEXT8000001": Refused, "PEXT8000002": Posted}
    assert outcomes["PEXT8000001"].reason == "vendor:party"
    assert "no vendor “Shell”" in outcomes["PEXT8000001"].says
    assert vendors(acme) == ["Esso"]


def test_the_one_vendor_of_the_settings_is_checked(acme, connection, dynamics):
    choose(connection, acme, party_mode=ONE_PARTY)
    pex = acme.company.add_vendor("PEX")
    gone, blocked = Party(id="no-such-vendor"), acme.company.add_vendor("Old", blocked="All")

    outcomes = post(
        dynamics,
        entry(acme, 1, party=Party(id=pex.id.upper())),
        entry(acme, 2, party=gone),
        entry(acme, 3, party=Party(id=blocked.id)),
        entry(acme, 4, party=Party()),
    )

    assert kinds(outcomes) == {
        "PEXT8000001": Posted,
        "PEXT8000002": Refused,
        "PEXT8000003": Refused,
        "PEXT8000004": Posted,
    }
    assert {outcomes[key].reason for key in ("PEXT8000002", "PEXT8000003")} == {"vendor:party"}
    assert acme.company.lines()[0].description == "PEX · Fuel, card 1234 PEXT8000001"
    assert acme.company.lines()[2].description == "Fuel, card 1234 PEXT8000004"


def test_only_purchases_have_vendors(acme, dynamics):
    post(dynamics, entry(acme, 1, kind=Kind.FEE, party=Party(name="PEX")))

    assert vendors(acme) == []
    assert acme.calls("GET", "vendors") == 0


@pytest.mark.parametrize("trouble", ["drop_after", "status_after", "truncate"])
def test_an_answer_that_got_lost_creates_nobody_twice(acme, dynamics, another, trouble):
    acme.desk.faults.add(trouble, method="POST", path=BATCH, contains='"displayName"')

    with pytest.raises(RetryLater) as error:
        dynamics.prepare(bought(acme, "Shell", "Esso"))
    dynamics.prepare(bought(acme, "Shell", "Esso"))
    another().prepare(bought(acme, "Shell", "Esso"))

    assert error.value.after >= 60
    assert vendors(acme) == ["Shell", "Esso"]


def test_trouble_about_one_of_them_creates_nobody_twice(acme, dynamics):
    acme.switch(inner_failures=1)

    with pytest.raises(RetryLater):
        dynamics.prepare(bought(acme, "Shell", "Esso"))
    dynamics.prepare(bought(acme, "Shell", "Esso"))

    assert sorted(vendors(acme)) == ["Esso", "Shell"]


def test_a_vendor_somebody_added_meanwhile_is_not_made_once_more(acme, dynamics):
    dynamics.missing_parties(parties("Shell"))
    acme.company.add_vendor("Shell")

    dynamics.prepare(bought(acme, "Shell"))

    assert vendors(acme) == ["Shell"]


def test_a_vendor_business_central_refuses_stops_only_its_purchases(acme, dynamics):
    acme.company.vendor_series = False
    acme.company.add_vendor("Esso")

    outcomes = post(dynamics, *bought(acme, "Shell", "Esso"))

    assert kinds(outcomes) == {"PEXT8000001": Refused, "PEXT8000002": Posted}
    assert outcomes["PEXT8000001"].reason == "vendor:party"


def test_vendors_that_cannot_be_read_send_nothing(acme, dynamics):
    acme.desk.faults.add("status", path="vendors", status=503, times=None)

    with pytest.raises(RetryLater):
        dynamics.prepare([entry(acme)])
    [outcome] = post(dynamics, entry(acme)).values()

    assert outcome.after > 0
    assert acme.company.lines() == []


def test_who_is_missing_is_told_without_writing(acme, connection, dynamics):
    acme.company.add_vendor("Esso")

    missing = dynamics.missing_parties([*parties("Shell", "ESSO", "shell ", ""), Party(id="x")])

    assert [party.name for party in missing] == ["Shell"]
    assert vendors(acme) == ["Esso"]
    choose(connection, acme, extra={"create_vendors": False})
    assert dynamics.missing_parties(parties("Shell")) == []


def test_in_the_vendor_ledger_each_purchase_passes_through_its_vendor(acme, connection, dynamics):
    choose(connection, acme, extra={"vendors": "ledger", "create_vendors": True})
    refund = entry(acme, 2, "-9.00", party=Party(name="Esso"))

    post(dynamics, entry(acme, 1), refund)

    through = [(line.account, line.amount) for line in acme.company.lines() if line.account_type == "Vendor"]
    assert [(number, str(amount)) for number, amount in through] == [
        ("V00001", "-41.87"),
        ("V00001", "41.87"),
        ("V00002", "9.00"),
        ("V00002", "-9.00"),
    ]


def test_a_vendor_without_a_name_is_nobodys(acme, dynamics):
    [answer] = dynamics._books.vendors.resolve([Party(name="   ")], None).values()

    assert answer == PartyNamed()


def test_vendors_are_created_with_their_name_alone(acme, dynamics):
    acme.desk.faults.add("slow", method="POST", path=BATCH, contains='"displayName"', seconds=0)

    dynamics.prepare(bought(acme, "Shell"))

    [strike] = acme.desk.faults.strikes
    [operation] = json.loads(strike.body)["requests"]
    assert (operation["method"], operation["body"]) == ("POST", {"displayName": "Shell"})
