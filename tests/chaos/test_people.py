"""What the schedule's people do really happens at the companies, is written down, and falls on one transaction once."""

import random
from decimal import Decimal

import pytest

from chaos import people, plan, troubles
from chaos import world as worlds
from chaos.companies import Companies
from chaos.plan import Act, Arrival
from chaos.schedule import DEEDS, IN_SANDBOX, ORDERS
from chaos.stage import Stage


@pytest.fixture
def stage(sandbox):
    facts = worlds.build(sandbox, 2)
    return Stage(facts, None, Companies(sandbox.url), None, random.Random(7), lambda seconds, do: None)


@pytest.fixture
def charge(sandbox):
    """Four businesses, of which the last is a charge account."""
    facts = worlds.build(sandbox, 4)
    assert [one["charge"] for one in facts] == [False, False, False, True]
    return Stage(facts, None, Companies(sandbox.url), None, random.Random(7), lambda seconds, do: None)


@pytest.fixture
def bought(stage):
    """Buys a row; returns its id."""
    return lambda shape="purchase", receipts=0: stage.buy(Arrival(0.0, 0, shape, 1250, "429", receipts))


@pytest.fixture
def posted(sandbox, stage, bought):
    """A purchase that stands in the books as the product would have posted it."""
    number = bought()
    books = sandbox.worlds["xero"].organisations[stage.world[0]["company"]]
    pex_account = books.accounts[stage.world[0]["bank"]]
    return number, books.post_by_hand(f"PEXT{number}", "12.50", bank_account=pex_account)


def act(kind, luck=0.9):
    return Act(1, 0.0, kind, luck=luck)


def row(sandbox, number):
    return sandbox.worlds["pex"].row(number)


def books_of(sandbox, stage):
    return sandbox.worlds["xero"].organisations[stage.world[0]["company"]]


@pytest.mark.parametrize(
    ("shape", "amount", "approval"),
    [
        ("purchase", "-12.50", "Approved"),
        ("refund", "12.50", "Approved"),
        ("unapproved", "-12.50", "NotReviewed"),
        ("untagged", "-12.50", "Approved"),
        ("card fee", "-12.50", None),
        ("business fee", "-12.50", None),
        ("fee given back", "12.50", None),
        ("money in", "12.50", None),
        ("money out", "-12.50", None),
        ("rebate", "12.50", None),
        ("rebate taken back", "-12.50", None),
        ("moved within", "-12.50", None),
        ("declined", "-12.50", None),
        ("pending", "-12.50", "NotReviewed"),
    ],
)
def test_every_shape_of_row_is_bought_as_it_is_called(sandbox, bought, shape, amount, approval):
    one = row(sandbox, bought(shape))
    assert (one.amount, one.approval) == (Decimal(amount), approval)
    assert bool(one.tags) == (shape in ("purchase", "refund", "unapproved"))
    assert (one.pending, one.decline) == (shape == "pending", shape == "declined")


@pytest.mark.parametrize(
    ("shape", "type_", "rejected"),
    [
        ("money in", "PEXTransfer", False),
        ("rejected", "PEXTransfer", True),
        ("rebate", "RebateCredit", False),
        ("rebate taken back", "RebateCreditReversal", False),
    ],
)
def test_on_a_charge_account_money_moves_by_its_statement(sandbox, charge, shape, type_, rejected):
    number = charge.buy(Arrival(0.0, 3, shape, 1250, "429", 0))
    (payment,) = charge.companies.payments(charge.world[3]["pex_id"])
    assert (payment["payment_id"], payment["amount"]) == (number, "12.50")
    assert (payment["type"], payment["rejected"]) == (type_, rejected)


def test_a_payment_that_takes_money_out_is_reversed_a_little_later(charge):
    later = []
    charge.after = lambda seconds, do: later.append(do)
    charge.buy(Arrival(0.0, 3, "money out", 1250, "429", 0))
    later[0]()
    types = [payment["type"] for payment in charge.companies.payments(charge.world[3]["pex_id"])]
    assert types == ["SameDayACH", "Reversal"]


def test_what_its_business_list_shows_of_it_is_there_as_well(sandbox, charge):
    number = charge.buy(Arrival(0.0, 3, "moved within", 1250, "429", 0))
    assert (row(sandbox, number).category, row(sandbox, number).amount) == ("BusinessFunding", Decimal("12.50"))


def test_no_two_receipts_are_alike(sandbox, bought):
    contents = [file.content for _ in range(3) for file in row(sandbox, bought(receipts=2)).attachments]
    assert len(set(contents)) == 6


def test_two_businesses_write_to_one_company(stage):
    assert len({facts["pex_id"] for facts in stage.world}) == 2
    assert len({facts["company"] for facts in stage.world}) == 1


def test_a_record_is_voided(stage, posted):
    number, record = posted
    done = people.void(stage, act("record voided"))
    assert (record.status, done.hit, done.facts) == ("DELETED", (number,), {"record": record.id})


def test_a_reference_is_edited_and_nothing_else(stage, posted):
    number, record = posted
    done = people.edit_reference(stage, act("reference edited"))
    assert (record.reference, record.total, done.hit) == ("July, with Dana", Decimal("12.50"), (number,))


def test_a_record_is_entered_once_more_key_and_all(sandbox, stage, posted):
    number, record = posted
    done = people.double_by_hand(stage, act("doubled by hand", luck=0.9))
    twin = books_of(sandbox, stage).bank_transactions[done.facts["record"]]
    assert twin is not record
    assert (twin.reference, twin.total, twin.date) == (record.reference, record.total, record.date)
    assert done.hit == (number,)


def test_a_record_is_entered_before_it_is_posted(sandbox, stage):
    done = people.double_by_hand(stage, act("doubled by hand", luck=0.1))
    (number,) = done.hit
    entered = books_of(sandbox, stage).bank_transactions[done.facts["record"]]
    assert (entered.reference, entered.total) == (f"PEXT{number}", -row(sandbox, number).amount)
    assert entered.bank_account.id == stage.world[0]["bank"]


def test_a_note_of_ours_is_removed(sandbox, stage, bought):
    number = bought()
    sandbox.worlds["pex"].businesses[stage.world[0]["pex_id"]].add_note(row(sandbox, number), "ours", system=True)
    done = people.remove_note(stage, act("note removed", luck=0.1))
    assert (done.hit, row(sandbox, number).notes) == ((number,), ())


@pytest.mark.parametrize("luck", [0.1, 0.5, 0.9])
def test_a_note_is_forged(sandbox, stage, bought, luck):
    number = bought()
    done = people.forge_note(stage, act("note forged", luck))
    (note,) = row(sandbox, number).notes
    assert "Synced with Xero" in note.text
    assert (done.hit, done.facts) == ((number,), {"note": note.note_id})


def test_a_receipt_is_added_after_posting(sandbox, stage, posted):
    done = people.add_receipt(stage, act("receipt added"))
    assert [file.attachment_id for file in row(sandbox, posted[0]).attachments] == [done.facts["attachment"]]


def test_a_purchase_is_tagged_again_and_one_that_waited_is_approved(sandbox, stage, bought):
    tagged, waiting = bought(), bought("unapproved")
    people.tag_again(stage, act("tagged again"))
    people.approve(stage, act("approved late"))
    assert [tag.value for tag in row(sandbox, tagged).tags] == ["449"]
    assert row(sandbox, waiting).approval == "Approved"


def test_a_project_is_added_and_one_gets_another_name(sandbox, stage):
    people.add_project(stage, act("project added"))
    people.rename_project(stage, act("project renamed", luck=0.0))
    category = books_of(sandbox, stage).tracking[stage.world[0]["category"]]
    assert [option.name for option in category.options] == [
        "Maple Street, part 1",
        "Harbor View",
        "Ninth Avenue",
        "Site 1",
    ]


def test_nothing_is_done_twice_to_one_transaction(stage, posted):
    stage.mark("note removed", [posted[0]])
    assert people.void(stage, act("record voided")) is None
    assert people.forge_note(stage, act("note forged")) is None


def test_access_tokens_of_pex_end_where_there_are_any(sandbox, stage):
    assert troubles.expire_pex_tokens(stage, act("PEX token expired")) is None
    admin = stage.world[1]["admin"]
    stage.companies.pex("pair", admin=admin)
    assert troubles.expire_pex_tokens(stage, act("PEX token expired")).says.startswith("1 tokens")


def test_every_kind_of_fault_has_somebody_who_does_it():
    assert {*DEEDS, *ORDERS, *IN_SANDBOX} == set(plan.kinds(plan.POSTGRES))
