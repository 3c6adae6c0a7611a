"""What is posted and found: every outcome over the wire, and whatever people do with it there afterwards."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from connectors.connector import Deadline
from connectors.errors import NotAuthorized, RetryLater, SettingsNeeded
from connectors.records import Fate, Kind, Line, NotSent, Party, Posted, Refused, Unknown
from connectors.settings import Settings
from sandbox.dynamics365 import journals, posting
from sandbox.dynamics365.company import fresh_id
from sandbox.dynamics365.world import NAMESPACE
from tests.connectors.dynamics365.entries import (
    BATCH,
    DAY,
    coded,
    entries,
    entry,
    fate,
    kinds,
    look,
    numbers,
    post,
    sent,
    wait_for,
)

pytestmark = pytest.mark.database


def batches(acme) -> list[list[dict]]:
    """The operations of each batch of writes a fault saw; add the fault first."""
    return [json.loads(strike.body)["requests"] for strike in acme.desk.faults.strikes]


def watch(acme) -> None:
    """Keep what is sent in batches, and let it through."""
    acme.desk.faults.add("slow", method="POST", path=BATCH, contains='"body":', seconds=0, times=None)


def bad_account(acme, number):
    """An entry on an account that was blocked after we read the accounts."""
    return entry(acme, number, lines=(Line(Decimal("41.87"), acme.office.id, "Paper"),))


# --- post


def test_a_batch_is_one_call_and_stands_in_the_journal(acme, dynamics):
    watch(acme)

    outcomes = post(dynamics, *entries(acme))

    assert set(kinds(outcomes).values()) == {Posted}
    assert len([one for one in batches(acme) if "journalLines" in one[0]["url"]]) == 1
    assert numbers(acme) == [
        ("PEXT8000001", Decimal("1.50")),
        ("PEXT8000002", Decimal("2.50")),
        ("PEXT8000003", Decimal("3.50")),
    ]


def test_what_is_posted_is_a_draft_named_by_its_key_that_can_be_opened(acme, dynamics, settings):
    made = entry(acme)

    outcome = post(dynamics, made)[made.key]

    debit, credit = acme.company.lines()
    assert outcome == Posted(made.key, dynamics._books.web.journal(document=made.key), "", draft=True)
    assert outcome.link.startswith(f"{settings.BC_WEB_URL}/{acme.tenant.id}/Production?company=Acme%20LLC&page=39")
    assert [(line.account, line.amount) for line in (debit, credit)] == [
        ("61200", Decimal("41.87")),
        ("10950", Decimal("-41.87")),
    ]
    for line in (debit, credit):
        assert (line.document_number, line.external_number, line.posting_date) == (made.key, f"4410-{made.key}", DAY)
        assert (line.comment, line.description.endswith(made.key), line.dimensions) == (made.url, True, {})


def test_each_call_holds_whole_entries_of_at_most_a_hundred_lines(acme, dynamics):
    watch(acme)
    shares = tuple(Line(Decimal("1.00"), acme.fuel.id, "Fuel") for _ in range(39))
    many = [entry(acme, number, "39.00", lines=shares) for number in range(1, 6)]

    outcomes = post(dynamics, *many)

    assert set(kinds(outcomes).values()) == {Posted}
    posts = [one for one in batches(acme) if "journalLines" in one[0]["url"]]
    assert [len(one) for one in posts] == [80, 80, 40]
    assert [amount for _, amount in numbers(acme)] == [Decimal("39.00")] * 5


def test_more_shares_than_one_call_takes_are_refused_and_the_others_go(acme, dynamics):
    shares = tuple(Line(Decimal("1.00"), acme.fuel.id, "Fuel") for _ in range(99))

    outcomes = post(dynamics, entry(acme, 1, "99.00", lines=shares), entry(acme, 2))

    assert kinds(outcomes) == {"PEXT8000001": Refused, "PEXT8000002": Posted}
    assert outcomes["PEXT8000001"].cause == "split"


@pytest.mark.parametrize("trouble", ["drop_after", "truncate", "status_after"])
def test_an_answer_that_got_lost_leaves_all_in_doubt_and_a_look_finds_them(acme, dynamics, another, trouble):
    acme.desk.faults.add(trouble, method="POST", path=BATCH, contains='"accountType"')
    made = entries(acme)

    outcomes = post(dynamics, *made)

    assert set(kinds(outcomes).values()) == {Unknown}
    assert len(acme.company.lines()) == 6
    assert [fate(another(), one) for one in made] == [Fate.LIVE] * 3


def test_a_connection_lost_before_anything_was_done_leaves_all_in_doubt_too(acme, dynamics, another):
    acme.desk.faults.add("drop_before", method="POST", path=BATCH, contains='"accountType"')
    made = entry(acme)

    assert isinstance(post(dynamics, made)[made.key], Unknown)
    assert acme.company.lines() == []
    assert fate(another(), made) is Fate.ABSENT


def test_a_late_commit_is_in_doubt_and_found_later(acme, dynamics, another):
    acme.desk.faults.add("late_commit", method="POST", path=BATCH, contains='"accountType"', seconds=0.2)
    made = entry(acme)

    first = post(dynamics, made)[made.key]
    early = fate(another(), made)
    wait_for(acme.company.lines)

    assert isinstance(first, Unknown)
    assert (early, fate(another(), made)) == (Fate.ABSENT, Fate.LIVE)


def test_trouble_in_the_middle_of_a_batch_leaves_all_in_doubt_and_sends_nothing_more(acme, dynamics):
    post(dynamics, entry(acme, 99))  # the vendor is there
    acme.switch(inner_failures=1)
    shares = tuple(Line(Decimal("1.00"), acme.fuel.id, "Fuel") for _ in range(60))

    outcomes = post(dynamics, *[entry(acme, number, "60.00", lines=shares) for number in (1, 2)])

    assert kinds(outcomes) == {"PEXT8000001": Unknown, "PEXT8000002": NotSent}
    assert outcomes["PEXT8000002"].after > 0
    assert [number for number, _ in numbers(acme)] == ["PEXT8000099"]


def test_after_a_call_without_an_answer_nothing_more_is_sent(acme, dynamics):
    acme.desk.faults.add("drop_after", method="POST", path=BATCH, contains='"accountType"')
    shares = tuple(Line(Decimal("1.00"), acme.fuel.id, "Fuel") for _ in range(60))

    outcomes = post(dynamics, *[entry(acme, number, "60.00", lines=shares) for number in (1, 2)])

    assert kinds(outcomes) == {"PEXT8000001": Unknown, "PEXT8000002": NotSent}
    assert [number for number, _ in numbers(acme)] == ["PEXT8000001"]


@pytest.mark.parametrize(("headers", "after"), [({"Retry-After": "41"}, 41), ({}, 2)])
def test_too_many_calls_means_surely_not_sent(acme, dynamics, headers, after):
    acme.desk.faults.add("status", method="POST", path=BATCH, contains='"accountType"', status=429, headers=headers)

    outcomes = post(dynamics, *entries(acme))

    assert set(kinds(outcomes).values()) == {NotSent}
    assert {outcome.after >= after for outcome in outcomes.values()} == {True}
    assert acme.company.lines() == []


def test_too_many_calls_inside_a_batch_means_surely_not_sent(acme, dynamics):
    body = {"responses": [{"id": "1", "status": 429, "body": {"error": {"code": "Application_TooManyRequests"}}}]}
    acme.forge(json.dumps(body), method="POST", path=BATCH, contains='"accountType"')

    outcomes = post(dynamics, *entries(acme))

    assert set(kinds(outcomes).values()) == {NotSent}


def test_nothing_is_sent_after_the_deadline(acme, dynamics):
    acme.company.add_vendor("Shell")
    watch(acme)

    outcomes = dict(dynamics.post(entries(acme), Deadline(time.monotonic() - 1, time.time() + 30)))

    assert set(kinds(outcomes).values()) == {NotSent}
    assert batches(acme) == []


def test_a_company_that_does_not_answer_at_all_means_not_sent(acme, dynamics):
    acme.desk.faults.add("status", path=BATCH, status=503, times=None)

    outcomes = post(dynamics, *entries(acme))

    assert set(kinds(outcomes).values()) == {NotSent}
    assert acme.company.lines() == []


# --- refusals


def test_one_bad_entry_does_not_stop_the_others(acme, dynamics):
    dynamics.options("account")
    acme.office.blocked = True

    outcomes = post(dynamics, entry(acme, 1), bad_account(acme, 2), entry(acme, 3))

    assert kinds(outcomes) == {"PEXT8000001": Posted, "PEXT8000002": Refused, "PEXT8000003": Posted}
    assert outcomes["PEXT8000002"].reason == "account:account"
    assert "61300" in outcomes["PEXT8000002"].says
    assert "Correlation" not in outcomes["PEXT8000002"].says
    assert [number for number, _ in numbers(acme)] == ["PEXT8000001", "PEXT8000003"]


def test_an_account_known_to_be_blocked_is_said_before_anything_is_sent(acme, dynamics):
    acme.office.blocked = True
    watch(acme)

    refused = post(dynamics, bad_account(acme, 1))["PEXT8000001"]

    assert (refused.reason, "61300 Office is blocked" in refused.says) == ("account:account", True)
    assert [one for one in batches(acme) if "journalLines" in one[0]["url"]] == []


def test_fields_of_fees_are_called_after_them(acme, dynamics):
    acme.office.blocked = True

    refused = post(dynamics, replace(bad_account(acme, 1), kind=Kind.FEE, party=Party()))["PEXT8000001"]

    assert refused.field == "fee:account"


def test_what_was_blocked_at_the_last_moment_is_found_out_once_for_all_entries(acme, dynamics):
    acme.company.add_vendor("Shell")
    dynamics.options("account")
    acme.card.blocked = True
    watch(acme)

    outcomes = post(dynamics, *entries(acme))

    assert {outcome.reason for outcome in outcomes.values()} == {"account:pex_account"}
    assert acme.company.lines() == []
    assert len(batches(acme)) == 1


@pytest.mark.parametrize("currency", ["EUR", ""])
def test_a_company_in_another_currency_gets_nothing(acme, dynamics, currency):
    acme.company.currency = currency

    with pytest.raises(SettingsNeeded, match="LCY Code"):
        post(dynamics, entry(acme))
    assert acme.company.lines() == []


def test_a_batch_refused_as_a_whole_is_halved_until_the_culprit_is_alone(acme, dynamics):
    acme.company.add_vendor("Shell")
    made = entries(acme, 8)
    body = '{"error":{"code":"BadRequest","message":"No.  CorrelationId:  11111111-1111-4111-8111-111111111111."}}'
    culprit = {"status": 400, "body": body, "content_type": "application/json", "times": None}
    acme.desk.faults.add("status", method="POST", path=BATCH, contains='"documentNumber":"PEXT8000006"', **culprit)

    outcomes = post(dynamics, *made)

    assert [key for key, outcome in outcomes.items() if isinstance(outcome, Refused)] == ["PEXT8000006"]
    assert sorted(number for number, _ in numbers(acme)) == sorted({one.key for one in made} - {"PEXT8000006"})


def test_a_user_who_may_only_read_stops_the_run(acme, dynamics):
    acme.company.add_vendor("Shell")
    acme.person.rights = "read"

    with pytest.raises(NotAuthorized):
        post(dynamics, *entries(acme))
    assert acme.company.lines() == []


def test_rights_lost_between_two_calls_leave_what_was_posted_reported(acme, dynamics):
    acme.company.add_vendor("Shell")
    shares = tuple(Line(Decimal("1.00"), acme.fuel.id, "Fuel") for _ in range(60))
    forbidden = '{"error":{"code":"Authorization_RequestDenied","message":"No."}}'
    acme.forge(forbidden, status=403, method="POST", path=BATCH, contains="PEXT8000002")

    outcomes = post(dynamics, *[entry(acme, number, "60.00", lines=shares) for number in (1, 2)])

    assert kinds(outcomes) == {"PEXT8000001": Posted, "PEXT8000002": NotSent}


# --- the journal


def test_without_a_journal_nothing_is_sent_and_people_are_told_what_to_do(acme, dynamics):
    journals.delete(acme.company, acme.journal)

    with pytest.raises(SettingsNeeded, match="General Journals"):
        post(dynamics, entry(acme))


def test_a_journal_made_while_we_are_at_it_is_found(acme, dynamics):
    journals.delete(acme.company, acme.journal)
    dynamics.options("account")
    acme.company.add_journal()

    assert isinstance(post(dynamics, entry(acme))["PEXT8000001"], Posted)


def test_a_balancing_account_stops_everything_before_it_is_sent(acme, dynamics):
    acme.journal.balance_account = acme.office.number

    with pytest.raises(SettingsNeeded, match="61300"):
        post(dynamics, entry(acme))
    assert acme.company.lines() == []


def test_a_balancing_account_filled_meanwhile_leaves_what_was_sent_to_a_look(acme, dynamics, another):
    dynamics.options("account")
    acme.journal.balance_account = acme.office.number
    made = entry(acme)

    outcome = post(dynamics, made)[made.key]

    assert isinstance(outcome, Unknown)
    found = look(another(), made)
    assert (found.fate, "balancing account 61300" in found.says) == (Fate.DOUBTFUL, True)
    with pytest.raises(SettingsNeeded):
        post(dynamics, entry(acme, 2))


def test_a_journal_made_anew_meanwhile_gets_the_entries(acme, dynamics):
    dynamics.options("account")
    journals.recreate_journal(acme.company, acme.journal)

    assert isinstance(post(dynamics, entry(acme))["PEXT8000001"], Posted)
    assert len(acme.company.journal().lines) == 2


def test_a_journal_deleted_meanwhile_stops_the_run(acme, dynamics):
    dynamics.options("account")
    journals.delete(acme.company, acme.journal)

    with pytest.raises(SettingsNeeded):
        post(dynamics, entry(acme))


# --- dimensions


@pytest.fixture
def department(acme):
    return acme.company.add_dimension("DEPARTMENT", [("ADM", "Administration"), ("SALES", "Sales")])


@pytest.fixture
def project(acme):
    return acme.company.add_dimension("PROJECT", [("P1", "Maple Street")])


def dimensions(acme) -> dict[str, dict[str, str]]:
    """Of each line beside those on the PEX account, by document."""
    return {line.document_number: line.dimensions for line in acme.company.lines() if line.account != "10950"}


def test_dimensions_go_with_their_line(acme, dynamics, department, project):
    watch(acme)

    post(dynamics, coded(acme, 1, (department, "ADM"), (project, "P1")))

    assert dimensions(acme) == {"PEXT8000001": {"DEPARTMENT": "ADM", "PROJECT": "P1"}}
    assert len(batches(acme)) == 2  # the vendor, the entry


def test_a_dimension_the_account_fills_in_is_changed_afterwards(acme, dynamics, department, project):
    acme.company.add_vendor("Shell")
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    watch(acme)
    made = [coded(acme, 1, (department, "ADM"), (project, "P1")), entry(acme, 2), coded(acme, 3, (department, "SALES"))]

    outcomes = post(dynamics, *made)

    assert set(kinds(outcomes).values()) == {Posted}
    assert {outcome.says for outcome in outcomes.values()} == {""}
    assert dimensions(acme) == {
        "PEXT8000001": {"DEPARTMENT": "ADM", "PROJECT": "P1"},
        "PEXT8000002": {"DEPARTMENT": "SALES"},
        "PEXT8000003": {"DEPARTMENT": "SALES"},
    }
    assert {line.comment.startswith("https://") for line in acme.company.lines()} == {True}
    assert [len(one) for one in batches(acme)] == [6, 6, 4]  # refused; sent bare; one changed, one added, two comments


def test_what_was_learned_is_known_for_the_next_batch(acme, dynamics, department, project):
    acme.company.add_vendor("Shell")
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    post(dynamics, coded(acme, 1, (department, "ADM")))
    watch(acme)

    post(dynamics, coded(acme, 2, (department, "ADM"), (project, "P1")))

    assert dimensions(acme)["PEXT8000002"] == {"DEPARTMENT": "ADM", "PROJECT": "P1"}
    post(dynamics, coded(acme, 3, (department, "ADM"), (project, "P1")))

    first, second, third, fourth = batches(acme)
    for line in (first[0]["body"], third[0]["body"]):
        assert [one["code"] for one in line["dimensionSetLines"]] == ["PROJECT"]
        assert line["comment"] == "Dimensions not set yet: DEPARTMENT=ADM"
    for sets in (second, fourth):
        assert [one["method"] for one in sets] == ["PATCH", "PATCH"]


@pytest.mark.parametrize("of_the_other", [{}, {"DEPARTMENT": "SALES"}])
def test_accounts_are_learned_together_and_apart_from_each_other(acme, dynamics, department, of_the_other):
    acme.company.add_vendor("Shell")
    acme.fuel.default_dimensions, acme.office.default_dimensions = {"DEPARTMENT": "SALES"}, of_the_other
    watch(acme)

    outcomes = post(
        dynamics,
        coded(acme, 1, (department, "ADM")),
        coded(acme, 2, (department, "ADM"), account=acme.office),
        coded(acme, 3, (department, "ADM")),
    )

    assert set(kinds(outcomes).values()) == {Posted}
    assert [found["DEPARTMENT"] for found in dimensions(acme).values()] == ["ADM"] * 3
    assert len(batches(acme)) == 3  # refused, sent bare, set


def test_an_account_that_fills_in_more_meanwhile_is_learned_anew(acme, dynamics, department, project):
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    post(dynamics, coded(acme, 1, (department, "ADM"), (project, "P1")))
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES", "PROJECT": "P1"}

    outcome = post(dynamics, coded(acme, 2, (department, "ADM"), (project, "P1")))["PEXT8000002"]

    assert (type(outcome), outcome.says) == (Posted, "")
    assert dimensions(acme)["PEXT8000002"] == {"DEPARTMENT": "ADM", "PROJECT": "P1"}


def test_an_account_that_fills_in_less_meanwhile_gets_what_lacks_added(acme, dynamics, department):
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    post(dynamics, coded(acme, 1, (department, "ADM")))
    acme.fuel.default_dimensions = {}

    outcome = post(dynamics, coded(acme, 2, (department, "ADM")))["PEXT8000002"]

    assert (type(outcome), outcome.says) == (Posted, "")
    assert dimensions(acme)["PEXT8000002"] == {"DEPARTMENT": "ADM"}


@pytest.mark.parametrize("filled", [{}, {"DEPARTMENT": "SALES"}])
def test_a_value_that_is_gone_is_refused_for_itself(acme, dynamics, department, filled):
    acme.fuel.default_dimensions = filled
    dynamics.options(f"dimension:{department.id}")
    gone = coded(acme, 1, (department, "ADM"))
    del department.values["ADM"]

    outcomes = post(dynamics, gone, coded(acme, 2, (department, "SALES")))

    assert kinds(outcomes) == {"PEXT8000001": Refused, "PEXT8000002": Posted}
    assert outcomes["PEXT8000001"].reason == f"dimension:dimension:{department.id}"
    assert dimensions(acme) == {"PEXT8000002": {"DEPARTMENT": "SALES"}}


def test_a_value_nobody_may_use_on_a_line_leaves_the_others_in_peace(acme, dynamics, department):
    """A refusal of the second step: the value went while the line was made."""
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    gone = {"id": "1", "status": 400, "body": {"error": {"code": "Application_DialogException", "message": "Gone."}}}
    acme.forge(json.dumps({"responses": [gone]}), method="POST", path=BATCH, contains='{"valueCode":"ADM"}')

    outcomes = post(dynamics, coded(acme, 1, (department, "ADM")), coded(acme, 2, (department, "ADM")))

    assert set(kinds(outcomes).values()) == {Posted}
    assert [outcome.says != "" for outcome in outcomes.values()] == [True, False]
    assert "Set DEPARTMENT=ADM on its line in the journal by hand" in outcomes["PEXT8000001"].says
    assert dimensions(acme) == {"PEXT8000001": {"DEPARTMENT": "SALES"}, "PEXT8000002": {"DEPARTMENT": "ADM"}}


@pytest.mark.parametrize("trouble", ["drop_before", "drop_after", "status"])
def test_dimensions_that_could_not_be_set_are_left_to_a_person_and_the_entry_stands(
    acme, dynamics, another, department, trouble
):
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    acme.desk.faults.add(trouble, method="POST", path=BATCH, contains='"valueCode":"ADM"}},{"id":"2"', status=500)
    made = coded(acme, 1, (department, "ADM"))

    outcome = post(dynamics, made)[made.key]

    assert isinstance(outcome, Posted)
    assert "Set DEPARTMENT=ADM on its line in the journal by hand" in outcome.says
    assert len(acme.company.lines()) == 2
    found = look(another(), made)
    if trouble == "drop_after":
        assert found.fate is Fate.LIVE
    else:
        assert found.fate is Fate.DOUBTFUL
        assert "Dimensions not set yet: DEPARTMENT=ADM" in found.says


def test_dimensions_wait_in_place_when_asked_to_slow_down_for_a_moment(acme, dynamics, department):
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    acme.desk.faults.add("status", method="POST", path=BATCH, contains='{"valueCode":"ADM"}', status=429)

    outcome = post(dynamics, coded(acme, 1, (department, "ADM")))["PEXT8000001"]

    assert (type(outcome), outcome.says) == (Posted, "")
    assert dimensions(acme) == {"PEXT8000001": {"DEPARTMENT": "ADM"}}


def test_a_line_that_does_not_show_its_dimensions_is_asked_for_them(acme, dynamics, department):
    acme.company.add_vendor("Shell")
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    dynamics._books.filled[f"G/L Account {acme.fuel.number}"] = frozenset({department.id})
    made, last = coded(acme, 1, (department, "ADM")), acme.world.last_id
    ids = [fresh_id(NAMESPACE, last + number, f"record of {acme.company.id}") for number in (1, 2)]
    bare = [{"id": id, "documentNumber": made.key, "balancingAccountNumber": ""} for id in ids]
    answers = [{"id": str(number), "status": 201, "body": row} for number, row in enumerate(bare, 1)]
    answer = {"status": 200, "body": json.dumps({"responses": answers}), "content_type": "application/json"}
    acme.desk.faults.add("status_after", method="POST", path=BATCH, contains="Dimensions not set yet", **answer)

    outcome = post(dynamics, made)[made.key]

    assert (type(outcome), outcome.says) == (Posted, "")
    assert [line.id for line in acme.company.lines()] == ids
    assert dimensions(acme) == {made.key: {"DEPARTMENT": "ADM"}}


def test_an_account_that_got_another_number_meanwhile_is_written_by_the_new_one(acme, dynamics):
    dynamics.options("account")
    acme.fuel.number = "61250"

    assert isinstance(post(dynamics, entry(acme))["PEXT8000001"], Posted)
    assert acme.company.lines()[0].account == "61250"


def test_a_crash_before_the_dimensions_were_set_is_seen_in_the_comment(acme, dynamics, another, department):
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    dynamics._books.filled[f"G/L Account {acme.fuel.number}"] = frozenset({department.id})
    acme.desk.faults.add("drop_after", method="POST", path=BATCH, contains="Dimensions not set yet")
    made = coded(acme, 1, (department, "ADM"))

    assert isinstance(post(dynamics, made)[made.key], Unknown)
    found = look(another(), made)
    assert (found.fate, "DEPARTMENT=ADM" in found.says) == (Fate.DOUBTFUL, True)


# --- find


@pytest.fixture
def posted(acme, dynamics):
    """An entry of two shares in the journal, between two others."""
    shares = (Line(Decimal("30.00"), acme.fuel.id, "Fuel"), Line(Decimal("11.87"), acme.office.id, "Paper"))
    made = entry(acme, 2, lines=shares)
    post(dynamics, entry(acme, 1, "1.00"), made, entry(acme, 3, "3.00"))
    return made


def lines_of(acme, made):
    return [line for line in acme.company.lines() if line.external_number.endswith(made.key)]


def test_what_stands_in_the_journal_is_live(another, posted):
    found = look(another(), posted)

    assert (found.fate, found.record_id, found.draft, found.says) == (Fate.LIVE, posted.key, True, "")


def test_a_look_is_two_calls_however_many_are_looked_for(acme, another):
    books = another()
    books.options("account")
    acme.desk.calls.clear()

    found = books.find([sent(one) for one in entries(acme, 300)])

    assert {one.fate for one in found.values()} == {Fate.ABSENT}
    assert acme.calls() == 2


def test_nothing_at_all_is_asked_about_nothing(acme, another):
    assert another().find([]) == {}
    assert acme.calls() == 0


def test_renumbered_in_the_journal(acme, another, posted):
    journals.renumber(acme.company, acme.journal)

    found = look(another(), posted)

    assert (found.fate, found.record_id, found.draft) == (Fate.LIVE, posted.key, True)
    assert "R00002" in found.link


@pytest.mark.parametrize("field", ["document_number", "external_number", "description"])
def test_any_one_of_the_three_places_may_be_changed(acme, another, posted, field):
    for line in lines_of(acme, posted):
        journals.edit_line(acme.company, line, **{field: "X7"})

    assert fate(another(), posted) is Fate.LIVE


def test_two_of_the_three_places_may_be_changed_too(acme, another, posted):
    for line in lines_of(acme, posted):
        journals.edit_line(acme.company, line, description="Fuel", external_number="")

    assert fate(another(), posted) is Fate.LIVE


def test_posted_to_the_ledger(acme, another, posted):
    posting.post_now(acme.company, acme.journal)

    found = look(another(), posted)

    assert (found.fate, found.record_id, found.draft) == (Fate.LIVE, posted.key, False)
    assert "page=20" in found.link


def test_posted_with_a_posting_series_the_words_still_name_it(acme, another, posted):
    acme.journal.posting_series = "GJNL-POST"
    posting.post_now(acme.company, acme.journal)

    found = look(another(), posted)

    assert {entry.document_number for entry in acme.company.entries.values()} == {"G00001", "G00002", "G00003"}
    assert (found.fate, found.record_id) == (Fate.LIVE, posted.key)


def test_posted_and_reversed(acme, another, posted):
    posting.post_now(acme.company, acme.journal)
    posting.reverse(acme.company, next(e for e in acme.company.entries.values() if e.document_number == posted.key))

    assert fate(another(), posted) is Fate.DEAD
    assert fate(another(), entry(acme, 1, "1.00")) is Fate.LIVE


def test_deleted_whole(acme, another, posted):
    for line in lines_of(acme, posted):
        journals.delete_line(acme.company, line)

    assert fate(another(), posted) is Fate.ABSENT


@pytest.mark.parametrize("place", [0, 1, 2])
def test_half_an_entry_is_never_taken_for_it(acme, another, posted, place):
    journals.delete_line(acme.company, lines_of(acme, posted)[place])

    assert fate(another(), posted) is Fate.DOUBTFUL


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Decimal("-40.00")},
        {"posting_date": date(2026, 3, 15)},
        {"account": "61300"},
        {"document_number": "X7"},
    ],
)
def test_one_line_changed_in_money_day_account_or_document_is_doubtful(acme, another, posted, change):
    journals.edit_line(acme.company, lines_of(acme, posted)[-1], **change)

    found = look(another(), posted)

    assert found.fate is Fate.DOUBTFUL
    assert (found.record_id, found.says != "") == (posted.key, True)


def test_a_journal_made_anew_holds_nothing_of_it(acme, another, posted):
    journals.recreate_journal(acme.company, acme.journal)

    assert fate(another(), posted) is Fate.ABSENT


def test_a_journal_deleted_while_we_look_is_looked_at_once_more(acme, another, posted):
    books = another()
    books.options("account")
    journals.recreate_journal(acme.company, acme.journal)

    with pytest.raises(RetryLater):
        look(books, posted)
    assert fate(books, posted) is Fate.ABSENT


def test_moved_by_hand_to_another_journal(acme, another, posted):
    other = acme.company.add_journal("DEFAULT")
    for line in lines_of(acme, posted):
        fields = {"external_number": line.external_number, "description": line.description}
        journals.add_manual_line(
            acme.company,
            other,
            line.account,
            line.amount,
            posting_date=line.posting_date,
            document_number=line.document_number,
            **fields,
        )
        journals.delete_line(acme.company, line)

    found = look(another(), posted)

    assert (found.fate, found.draft, "DEFAULT" in found.link) == (Fate.LIVE, True, True)


def test_copied_to_another_journal_is_doubled(acme, another, posted):
    other = acme.company.add_journal("DEFAULT")
    for line in lines_of(acme, posted):
        journals.add_manual_line(
            acme.company,
            other,
            line.account,
            line.amount,
            posting_date=line.posting_date,
            document_number=line.document_number,
            external_number=line.external_number,
        )

    assert fate(another(), posted) is Fate.DOUBLED


def test_the_empty_line_left_by_posting_is_not_our_next_entry(acme, another, posted):
    posting.post_now(acme.company, acme.journal)

    [left] = acme.company.journal().lines.values()
    assert (left.document_number, left.account) == ("PEXT8000004", "")
    assert fate(another(), entry(acme, 4)) is Fate.ABSENT


def test_the_empty_line_does_not_make_a_posted_entry_a_draft(acme, dynamics, another):
    later = entry(acme, 2)
    post(dynamics, later)
    posting.post_now(acme.company, acme.journal)
    post(dynamics, entry(acme, 1))
    posting.post_now(acme.company, acme.journal)

    assert [line.document_number for line in acme.company.journal().lines.values()] == [later.key]
    assert look(another(), later).draft is False


def test_a_line_typed_over_the_empty_one_is_not_our_next_entry(acme, another, posted):
    posting.post_now(acme.company, acme.journal)
    [left] = acme.company.journal().lines.values()
    journals.edit_line(acme.company, left, account="61300", amount=Decimal("41.87"))
    journals.add_manual_line(
        acme.company, acme.journal, "61200", Decimal("-41.87"), document_number=left.document_number
    )

    assert fate(another(), entry(acme, 4)) is Fate.ABSENT


def test_a_line_typed_with_our_next_number_on_the_pex_account_waits_for_a_person(acme, another, posted):
    posting.post_now(acme.company, acme.journal)
    [left] = acme.company.journal().lines.values()
    journals.edit_line(acme.company, left, account="61300", amount=Decimal("7.00"))
    journals.add_manual_line(
        acme.company, acme.journal, "10950", Decimal("-7.00"), document_number=left.document_number
    )

    assert fate(another(), entry(acme, 4)) is Fate.DOUBTFUL


@pytest.mark.parametrize("read_lines", ["documented", "source"])
def test_vendor_lines_shown_or_not_change_nothing(acme, dynamics, another, read_lines):
    dynamics.connection.settings = Settings(pex_account=acme.card.id, extra={"vendors": "ledger"}).stored()
    acme.switch(read_lines=read_lines)
    made = entry(acme)
    post(dynamics, made)

    assert [line.account_type for line in acme.company.lines()] == [
        "G/L Account",
        "Vendor",
        "Vendor",
        "G/L Account",
    ]
    assert fate(another(), made) is Fate.LIVE
    posting.post_now(acme.company, acme.journal)
    assert fate(another(), made) is Fate.LIVE


def test_small_pages_are_followed_to_the_end(acme, another, dynamics):
    made = entries(acme, 30)
    post(dynamics, *made)
    posting.post_now(acme.company, acme.journal)
    post(dynamics, *[entry(acme, 100 + number) for number in range(30)])
    acme.switch(page_size=7)

    found = another().find([sent(one) for one in [*made, *(entry(acme, 100 + number) for number in range(30))]])

    assert {one.fate for one in found.values()} == {Fate.LIVE}


def test_a_look_that_cannot_be_finished_says_so(acme, another, posted):
    acme.desk.faults.add("status", path=BATCH, status=503, times=None)

    with pytest.raises(RetryLater):
        look(another(), posted)


def test_where_too_much_begins_alike_only_rows_in_doubt_are_sure_to_be_seen(acme, another, posted):
    """Twenty thousand entries begin as ours do, and there are many journals to look into."""
    for number in range(19):
        acme.company.add_journal(f"J{number}")
    for number in range(20_000):
        posting._add(
            acme.company,
            posting_date=DAY,
            document_number=f"PEXT8000{number:05}",
            account="61200",
            description="Somebody else's",
            debit=Decimal("1.00"),
        )
    unsent = [replace(sent(entry(acme, number)), in_doubt=False) for number in range(10, 300)]
    books = another()
    books.options("account")
    acme.desk.calls.clear()

    found = books.find([sent(posted), *unsent])

    assert found[posted.key].fate is Fate.LIVE
    fates = Counter(one.fate for key, one in found.items() if key != posted.key)
    assert set(fates) == {Fate.ABSENT, Fate.UNSEEN}
    assert fates[Fate.ABSENT] >= 80
    assert acme.calls() <= 5 + 2


def test_an_entry_posted_between_the_two_readings_of_a_look_is_there_once(acme, another, posted):
    """Somebody posts after the first reading and before the second: whichever comes first, it must not slip by."""
    books = another()
    books.options("account")
    acme.desk.faults.add("slow", path=BATCH, skip=1, seconds=0.5)
    poster = threading_post(acme)

    found = look(books, posted)

    poster.join()
    assert (found.fate, found.draft) == (Fate.LIVE, False)


def threading_post(acme):
    """Post the journal as soon as the look waits for the ledger."""

    def work() -> None:
        wait_for(lambda: acme.desk.faults.struck.get("slow"))
        with acme.desk.lock:
            posting.post_now(acme.company, acme.journal)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_record_a_person_names_by_its_document_number_is_found(acme, another, dynamics):
    for account, amount in (("61200", "41.87"), ("10950", "-41.87")):
        fields = {"document_number": "JE-7", "posting_date": DAY, "description": "Fuel card"}
        journals.add_manual_line(acme.company, acme.journal, account, Decimal(amount), **fields)
    made = entry(acme)

    found = look(another(), made, record_id=dynamics.record_in("je-7"))

    assert (found.fate, found.record_id) == (Fate.LIVE, "JE-7")
    assert look(another(), made, record_id="JE-8").fate is Fate.ABSENT
    assert look(another(), made, record_id="JE-7", in_doubt=False).fate is Fate.LIVE


# --- books


def test_everything_on_the_pex_account_is_listed_in_journals_and_ledger(acme, dynamics, posted):
    posting.post_now(acme.company, acme.journal)
    draft = entry(acme, 4, "-9.00")
    post(dynamics, draft)
    other = acme.company.add_journal("DEFAULT")
    top_up = {"balance_type": "G/L Account", "balance_account": "10950", "document_number": "JE-9"}
    journals.add_manual_line(acme.company, other, "61300", Decimal("-500.00"), posting_date=DAY, **top_up)
    acme.company.add_bank_account("CHECKING")
    dynamics._books.forget()

    records = {one.id: one for one in dynamics.books(DAY, DAY)}

    assert {id: (one.amount, one.state, one.live) for id, one in records.items()} == {
        "PEXT8000001": (Decimal("1.00"), "posted", True),
        "PEXT8000002": (Decimal("41.87"), "posted", True),
        "PEXT8000003": (Decimal("3.00"), "posted", True),
        "PEXT8000004": (Decimal("-9.00"), "journal", True),
        "JE-9": (Decimal("-500.00"), "journal", True),
    }
    assert records["PEXT8000004"].link.startswith(post(dynamics, draft)["PEXT8000004"].link)
    assert dynamics.books(date(2026, 3, 15), date(2026, 3, 31)) == []


def test_listing_an_account_that_is_gone_asks_for_another(acme, dynamics):
    dynamics.connection.settings = Settings(pex_account="gone").stored()

    with pytest.raises(SettingsNeeded) as error:
        dynamics.books(DAY, DAY)
    assert error.value.field == "pex_account"
