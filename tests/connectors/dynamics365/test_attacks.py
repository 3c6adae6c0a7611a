"""Attempts to have an entry taken for another, for none, or for a dead one, by what people do there over the wire."""

from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.errors import RetryLater
from connectors.records import Fate, Kind, Line, NotSent, Party, Posted
from sandbox.dynamics365 import journals, posting
from tests.connectors.dynamics365.entries import BATCH, DAY, entry, fate, look, post, sent

pytestmark = pytest.mark.database


def counter(acme, made, **changes):
    """Somebody enters our lines once more with the other sign, as "Copy with reversed sign" does."""
    for account, amount in ((acme.fuel.number, -made.amount), (acme.card.number, made.amount)):
        words = {"document_number": made.key, "description": f"Shell {made.key}", "posting_date": DAY}
        journals.add_manual_line(acme.company, acme.journal, account, amount, **(words | changes))


@pytest.fixture
def entered(acme, dynamics):
    made = entry(acme, 3)
    post(dynamics, made)
    return made


def test_a_counter_entry_that_nobody_has_posted_kills_nothing(acme, another, entered):
    posting.post_now(acme.company, acme.journal)
    counter(acme, entered)

    found = look(another(), entered)

    assert (found.fate, found.draft) == (Fate.DOUBTFUL, True)


def test_a_counter_entry_beside_the_entry_in_the_journal_kills_nothing_either(acme, another, entered):
    counter(acme, entered)

    assert fate(another(), entered) is Fate.DOUBTFUL


def test_a_counter_entry_that_was_posted_kills_it(acme, another, entered):
    posting.post_now(acme.company, acme.journal)
    counter(acme, entered)
    posting.post_now(acme.company, acme.journal)

    assert fate(another(), entered) is Fate.DEAD


def test_a_counter_entry_in_the_journal_does_not_free_the_next_generation(acme, another, entered):
    posting.post_now(acme.company, acme.journal)
    counter(acme, entered)

    again = sent(replace(entered, key=f"{entered.key}-2"), earlier=(entered.key,))

    assert another().find([again])[again.key].fate is Fate.DOUBTFUL


def test_keys_that_begin_other_keys_are_told_apart(acme, dynamics, another):
    short, long = entry(acme, key="PEXT800", amount="5.00"), entry(acme, key="PEXT8000", amount="7.00")
    second = entry(acme, key="PEXT800-2", amount="9.00")
    post(dynamics, long, second)
    books = another()

    assert fate(books, short) is Fate.ABSENT
    assert (fate(books, long), fate(books, second)) == (Fate.LIVE, Fate.LIVE)
    posting.post_now(acme.company, acme.journal)
    assert (fate(another(), short), fate(another(), long)) == (Fate.ABSENT, Fate.LIVE)


def test_words_about_another_purchase_do_not_move_an_entry(acme, dynamics, another):
    """The memo of a refund names what it gives back."""
    first = entry(acme, 1)
    refund = entry(acme, 2, "-41.87", memo=f"Refund of {first.key}")
    post(dynamics, refund)

    assert (fate(another(), first), fate(another(), refund)) == (Fate.ABSENT, Fate.LIVE)
    posting.post_now(acme.company, acme.journal)
    assert (fate(another(), first), fate(another(), refund)) == (Fate.ABSENT, Fate.LIVE)


def test_a_late_first_generation_beside_the_second_is_doubled(acme, dynamics, another):
    first = entry(acme, 1)
    second = replace(first, key=f"{first.key}-2")
    post(dynamics, second)
    post(dynamics, first)
    asked = sent(second, earlier=(first.key,), record_id=second.key)

    assert another().find([asked])[second.key].fate is Fate.DOUBLED
    posting.post_now(acme.company, acme.journal)
    assert another().find([asked])[second.key].fate is Fate.DOUBLED


def test_a_pex_account_renamed_and_renumbered_meanwhile_is_the_same(acme, another, entered):
    posting.post_now(acme.company, acme.journal)
    for one in acme.company.entries.values():
        if one.account == acme.card.number:
            one.account = "10951"
    acme.card.number, acme.card.name = "10951", "Cards"

    assert fate(another(), entered) is Fate.LIVE


def test_the_same_key_of_another_business_of_pex_is_nobodys_here(acme, another, entered):
    theirs = replace(sent(entered), url=entered.url.replace("4410-", "4411-"))

    assert another().find([theirs])[entered.key].fate is Fate.ABSENT


@pytest.mark.parametrize(
    "amounts",
    [
        ("0.10", "0.20", "0.00"),
        ("1234567.89", "-0.01"),
        ("-0.10", "-0.20"),
        ("33.33", "33.33", "33.34"),
    ],
)
def test_shares_are_exact_to_the_cent_and_those_of_nought_are_no_lines(acme, dynamics, another, amounts):
    shares = tuple(Line(Decimal(amount), acme.fuel.id, "Share") for amount in amounts)
    made = entry(acme, 1, str(sum(map(Decimal, amounts))), lines=shares)

    [outcome] = post(dynamics, made).values()

    assert isinstance(outcome, Posted)
    on_fuel = [line.amount for line in acme.company.lines() if line.account == acme.fuel.number]
    assert on_fuel == [Decimal(amount) for amount in amounts if Decimal(amount)]
    assert [line.amount for line in acme.company.lines() if line.account == acme.card.number] == [-made.amount]
    assert fate(another(), made) is Fate.LIVE


def test_names_that_differ_in_case_blanks_or_behind_a_hundred_characters_are_one_vendor(acme, dynamics, another):
    long = "L" * 99
    names = ["Shell", " shell ", "SHELL", f"{long} X one", f"{long} X two", f"{long.lower()}  x three"]
    names += ["Shell\tOil", "shell oil"]
    made = [entry(acme, number, party=Party(name=name)) for number, name in enumerate(names, 1)]

    outcomes = post(dynamics, *made)
    post(another(), *[replace(one, key=f"{one.key}-2") for one in made])

    assert {type(outcome) for outcome in outcomes.values()} == {Posted}
    assert sorted(vendor.name for vendor in acme.company.vendors.values()) == [long, "Shell", "Shell Oil"]


def test_vendors_made_without_an_answer_are_made_once(acme, dynamics, another):
    made = [entry(acme, 1, party=Party(name="Shell")), entry(acme, 2, party=Party(name="Chevron"))]
    acme.desk.faults.add("drop_after", method="POST", path=BATCH, contains='"displayName"')

    outcomes = post(dynamics, *made)
    again = post(another(), *made)

    assert {type(outcome) for outcome in outcomes.values()} == {NotSent}
    assert {type(outcome) for outcome in again.values()} == {Posted}
    assert len(acme.company.vendors) == 2


@pytest.mark.parametrize("where", [{"path": r"/vendors$"}, {"path": BATCH, "contains": "generalLedgerSetup"}])
def test_lists_that_are_refused_before_anything_is_sent_mean_not_sent(acme, dynamics, where):
    """A crash here would leave claimed rows in doubt that were never sent."""
    acme.forge('{"error":{"code":"Unknown","message":"No."}}', status=400, **where)

    [outcome] = post(dynamics, entry(acme)).values()

    assert isinstance(outcome, NotSent)
    assert acme.company.lines() == []


def test_lists_that_are_refused_mean_later_to_whoever_asks(acme, dynamics):
    acme.forge('{"error":{"code":"Unknown","message":"No."}}', status=400, path=r"/vendors$")

    with pytest.raises(RetryLater):
        dynamics.options("party")


@pytest.mark.parametrize(
    ("kind", "amount"), [(Kind.BILL_PAYMENT, "-75.00"), (Kind.REBATE, "-3.10"), (Kind.FEE, "-1.25")]
)
def test_what_gives_back_is_found_by_its_sign_and_never_by_the_other(acme, dynamics, another, kind, amount):
    made = entry(acme, 1, amount, kind=kind)
    post(dynamics, made)

    assert [line.amount for line in acme.company.lines() if line.account == acme.card.number] == [-Decimal(amount)]
    assert fate(another(), made) is Fate.LIVE
    assert fate(another(), made, amount=-made.amount) is Fate.DOUBTFUL


def test_lines_of_one_document_are_opened_each_for_itself(acme, dynamics):
    """By its link a record is known that somebody has decided about: a shared one would hide the others."""
    for amount in ("500.00", "700.00"):
        words = {"document_number": "G00012", "description": "ACH", "posting_date": DAY}
        journals.add_manual_line(acme.company, acme.journal, acme.card.number, Decimal(amount), **words)
        journals.add_manual_line(acme.company, acme.journal, acme.fuel.number, -Decimal(amount), **words)

    drafts = {one.link for one in dynamics.books(DAY, DAY)}
    posting.post_now(acme.company, acme.journal)
    posted = {one.link for one in dynamics.books(DAY, DAY)}

    assert (len(drafts), len(posted), len(drafts | posted)) == (2, 2, 4)
    assert {dynamics.record_in(link) for link in drafts | posted} == {"G00012"}
