"""What the schedule's people do in Business Central really happens there, and falls on one transaction once."""

import random
from decimal import Decimal

import pytest

from chaos import central, central_people, people, troubles
from chaos import world as worlds
from chaos.companies import Companies, Refused
from chaos.plan import PEOPLE, Act, Arrival
from chaos.stage import Stage
from sandbox.dynamics365 import journals, posting


@pytest.fixture
def stage(sandbox):
    """One business with Xero, one with Business Central."""
    facts = worlds.build(sandbox, 2, central=1)
    return Stage(facts, None, Companies(sandbox.url), None, random.Random(7), lambda seconds, do: None)


@pytest.fixture
def books(sandbox, stage):
    return sandbox.worlds["dynamics365"].company(stage.world[1]["company"])


@pytest.fixture
def entered(stage, books):
    """Buys something and enters it as the product would; returns PEX's id."""

    def enter(project="P-102", account="429", shape="purchase"):
        number = stage.buy(Arrival(0.0, 1, shape, 1250, account, 0))
        key = f"PEXT{number}"
        given = {"document_number": key, "external_number": f"4411-{key}", "description": f"Staples {key}"}
        line = journals.add_manual_line(books, books.journal(), account, Decimal("12.50"), **given)
        line.dimensions = {"PROJECT": project}
        journals.add_manual_line(books, books.journal(), "10950", Decimal("-12.50"), **given)
        return number

    return enter


def act(kind, luck=0.0, number=1):
    return Act(number, 0.0, kind, luck=luck)


def at_central(kind, least=0.0):
    """An act whose luck falls on Business Central."""
    lucks = (least + step / 100_000 for step in range(100_000))
    return act(kind, next(luck for luck in lucks if luck * people.SPREAD % 1 > people.IN_XERO))


def lines(books):
    return [(line.account, line.amount, line.document_number, line.description) for line in books.lines()]


def test_the_company_is_one_for_all_that_write_to_it(sandbox):
    facts = worlds.build(sandbox, 8, central=2)
    there = [one for one in facts if one["system"] == "dynamics365"]
    assert [one["pex_id"] for one in there] == [facts[6]["pex_id"], facts[7]["pex_id"]]
    assert len({one["company"] for one in there}) == 1
    assert [one["account"] for one in there] == ["10950", "20950"]
    assert [one["charge"] for one in there] == [False, True]
    assert [one["synced"] for one in there] == [True, False]
    assert [one["extra"]["vendors"] for one in there] == ["names", "ledger"]
    tags = Companies(sandbox.url).tags(there[0]["pex_id"])
    options = next(tag["options"] for tag in tags if tag["tag_id"] == there[0]["project_tag"])
    assert [option["value"] for option in options] == there[0]["projects"]


def test_the_journal_is_posted_as_a_whole(stage, books, entered):
    entered(), entered()
    done = central_people.post_journal(stage, act("journal posted"))
    assert (done.says, done.hit) == ("4 entries", ())
    assert (len(books.entries), books.lines()) == (4, [])


def test_nothing_is_posted_renumbered_or_typed_where_nothing_of_ours_stands(stage, books):
    journals.add_manual_line(books, books.journal(), "404", Decimal(5), document_number="A1", balance_account="10110")
    for deed in (central_people.post_journal, central_people.renumber, central_people.type_below):
        assert deed(stage, act("any")) is None
    assert len(books.lines()) == 1


def test_what_is_not_finished_is_posted_as_it_is_and_written_down(stage, books, entered):
    number, _ = entered(), entered()
    books.lines()[0].comment = "Dimensions not set yet: PROJECT=P-101"
    assert central_people.post_journal(stage, act("journal posted")).hit == (number,)


def test_half_a_document_goes_before_the_journal_is_posted(stage, books, entered):
    entered()
    done = central_people.delete_line(stage, act("line deleted"))
    whole = entered()
    with pytest.raises(Refused):
        central_people.post_journal(stage, act("journal posted"))
    stage.mark("line deleted", done.hit)
    central_people.post_journal(stage, act("journal posted"))
    assert {entry.document_number for entry in books.entries.values()} == {f"PEXT{whole}"}


@pytest.mark.parametrize(("place", "left"), [(0, "10950"), (1, "429")])
def test_one_line_of_a_document_is_deleted(stage, books, entered, place, left):
    number = entered()
    done = central_people.delete_line(stage, act("line deleted", (place + 0.5) / people.SPREAD))
    assert done.hit == (number,)
    assert [account for account, *_ in lines(books)] == [left]


def test_documents_get_new_numbers(stage, books, entered):
    entered(), entered()
    central_people.renumber(stage, act("documents renumbered"))
    assert {number for _, _, number, _ in lines(books)} == {"R00001", "R00002"}


def test_words_lose_the_key_only_where_pex_knows_of_the_entry(sandbox, stage, books, entered):
    number = entered()
    losing = act("words edited", 0.9 + 0.6 / people.SPREAD)
    assert losing.luck * people.SPREAD % 1 >= 0.5
    assert central_people.edit_words(stage, losing) is None
    business = sandbox.worlds["pex"].businesses[stage.world[1]["pex_id"]]
    business.add_note(sandbox.worlds["pex"].row(number), "Synced with Dynamics 365", system=True)
    assert central_people.edit_words(stage, losing).hit == (number,)
    assert [words for *_, words in lines(books)] == [f"Staples PEXT{number}", "With Dana"]


def test_words_are_edited_and_keep_the_key(stage, books, entered):
    number = entered()
    keeping = act("words edited", 0.1 / people.SPREAD)
    assert central_people.edit_words(stage, keeping).hit == ()
    assert [words for *_, words in lines(books)] == [f"With Dana PEXT{number}"] * 2


def test_a_line_typed_below_ours_gets_the_next_number(stage, books, entered):
    number = entered()
    assert central_people.type_below(stage, act("line typed below")).says == f"PEXT{number + 1}"
    assert (len(books.lines()), list(central.halves(stage.companies.central_books(books.id)))) == (3, [])


def test_what_was_posted_is_reversed(stage, books, entered):
    number = entered()
    assert central_people.reverse(stage, act("document reversed")) is None
    posting.post_now(books, books.journal())
    assert central_people.reverse(stage, act("document reversed")).hit == (number,)
    assert sum(entry.debit - entry.credit for entry in books.entries.values() if entry.account == "10950") == 0
    assert central_people.reverse(stage, act("document reversed")) is None


@pytest.mark.parametrize("posted", [False, True])
def test_a_document_is_copied_with_its_key(stage, books, entered, posted):
    number = entered()
    if posted:
        posting.post_now(books, books.journal())
    done = people.double_by_hand(stage, at_central("doubled by hand", least=0.5))
    twins = [document for document in central.documents(stage.companies.central_books(books.id)) if document.by_hand]
    assert [(document.names, len(document.lines)) for document in twins] == [((number,), 2)]
    coding = central.Coding("PROJECT", {}, {})
    found = list(central.records(stage.companies.central_books(books.id), books.id, ["10950"], coding))
    assert [record.amount for record in found] == [Decimal("12.50")] * 2
    assert done.facts["record"] in [record.id for record in found]
    assert done.hit == (number,)


def test_a_purchase_is_entered_before_it_is_posted(stage, books):
    luck = next(luck / 100_000 for luck in range(50_000) if int(luck / 100_000 * people.SPREAD) % 2 == 1)
    done = people.double_by_hand(stage, act("doubled by hand", luck))
    (number,) = done.hit
    assert [(account, amount, document) for account, amount, document, _ in lines(books)] == [
        ("453", Decimal("1.01"), f"PEXT{number}"),
        ("10950", Decimal("-1.01"), f"PEXT{number}"),
    ]
    assert done.facts == {"record": f"PEXT{number} by hand 1"}


def test_projects_are_added_and_renamed(stage, books):
    people.add_project(stage, at_central("project added"))
    people.rename_project(stage, at_central("project renamed"))
    names = {value.code: value.name for value in books.dimension("PROJECT").values.values()}
    assert names == {
        "P-101": "Maple Street, part 1",
        "P-102": "Harbor View",
        "P-103": "Ninth Avenue",
        "S-1": "Site 1",
    }


def test_a_note_is_forged_in_the_words_of_its_system(sandbox, stage, entered):
    number = entered()
    people.forge_note(stage, act("note forged", 0.5))
    (note,) = sandbox.worlds["pex"].row(number).notes
    assert note.text.startswith("Synced with Dynamics 365")


def test_a_receipt_is_added_to_what_stands_in_the_journal(sandbox, stage, entered):
    number = entered()
    done = people.add_receipt(stage, act("receipt added"))
    assert [file.attachment_id for file in sandbox.worlds["pex"].row(number).attachments] == [done.facts["attachment"]]


def test_nothing_is_done_to_a_payment_that_is_reversed_and_nothing_twice(stage, entered):
    entered(shape="money out")
    number = entered()
    stage.mark("words edited", [number])
    assert central_people.delete_line(stage, act("line deleted")) is None
    assert central_people.copy(stage, act("doubled by hand")) is None


def test_every_merchant_there_may_be_a_new_vendor(sandbox, stage):
    for cents in range(1, 60):
        for business in (0, 1):
            stage.buy(Arrival(0.0, business, "purchase", cents, "429", 0))
    named = [
        {row.merchant for row in sandbox.worlds["pex"].businesses[facts["pex_id"]].transactions.values()}
        for facts in stage.world
    ]
    assert len(named[0]) < 10
    assert len(named[1]) == 59


def test_calls_to_business_central_fail_inside_a_batch_and_tokens_end(sandbox, stage, books):
    troubles.refuse_some(stage, act("partial batches", 0.9))
    assert sandbox.worlds["dynamics365"].switches.inner_failures == 1
    assert troubles.expire_entra_tokens(stage, act("Entra token expired")).says == "1 tokens"


def test_all_of_it_is_done_by_somebody():
    assert set(central_people.DEEDS) <= set(PEOPLE)
