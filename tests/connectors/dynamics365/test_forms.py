import pytest

from connectors.dynamics365 import forms
from connectors.dynamics365.forms import BooksForm
from connectors.records import Kind, Option

ASSET = Option("a", "PEX Card Prepaid", "10950", group="Assets", type="Assets")
DEBT = Option("l", "PEX Card Payable", "20950", group="Liabilities", type="Liabilities")
BLANK = Option("n", "Odd", "99999", group="Without a category")
EXPENSE = Option("e", "Fuel", "61200", group="Expense", type="Expense")
BLOCKED = Option("b", "Old", "10900", active=False, group="Assets", type="Assets")
ALL = (ASSET, DEBT, BLANK, EXPENSE, BLOCKED)


def form(chosen="a", accounts=ALL, charge=False, **changes):
    data = {"pex_account": chosen, "vendors": "names", "create_vendors": "on"} | changes
    return BooksForm(accounts, data, charge=charge)


@pytest.mark.parametrize(
    ("account", "charge", "fits"),
    [
        (ASSET, False, True),
        (ASSET, True, False),
        (DEBT, True, True),
        (DEBT, False, False),
        (EXPENSE, False, False),
        (BLOCKED, False, False),
        (BLANK, False, False),
        (BLANK, True, False),
    ],
)
def test_what_may_stand_for_pex(account, charge, fits):
    assert (forms.unfit(account, charge, ALL) == "") is fits


@pytest.mark.parametrize("charge", [False, True])
def test_an_account_without_a_category_will_do_where_no_account_has_the_right_one(charge):
    assert forms.unfit(BLANK, charge, [BLANK, EXPENSE, BLOCKED]) == ""
    assert "make sure" in forms.doubtful(BLANK, charge)
    assert forms.doubtful(ASSET) == ""


@pytest.mark.parametrize(
    ("account", "says"),
    [
        (Option("bank:c", "Checking", "CHECKING"), ""),
        (Option("bank:u", "Checking", "CHECKING", type="USD"), ""),
        (Option("bank:e", "Euro", "EURO", type="EUR"), "kept in EUR"),
        (Option("bank:b", "Old", "OLD", active=False), "blocked"),
    ],
)
def test_money_moves_between_pex_and_accounts_in_us_dollars(account, says):
    assert (says in forms.unfit_source(account)) if says else not forms.unfit_source(account)


def test_what_was_chosen_goes_to_the_settings():
    made = form(vendors="ledger", create_vendors="")

    assert made.is_valid()
    assert made.cleaned_data["pex_account"] == "a"
    assert made.extra() == {"vendors": "ledger", "create_vendors": False}


def test_without_an_answer_vendors_are_kept_by_name():
    made = form(vendors="")

    assert made.is_valid()
    assert made.extra() == {"vendors": "names", "create_vendors": True}


def test_before_anybody_chose_vendors_are_created_and_kept_by_name():
    made = BooksForm(ALL, initial={})

    assert (made["vendors"].value(), made["create_vendors"].value()) == ("names", True)


@pytest.mark.parametrize(
    ("chosen", "charge"), [("l", False), ("a", True), ("e", False), ("n", False), ("x", False), ("", False)]
)
def test_another_account_is_refused_with_the_reason(chosen, charge):
    made = form(chosen, charge=charge)

    assert not made.is_valid()
    assert made.errors["pex_account"]


def test_blocked_accounts_are_offered_only_where_they_are_chosen():
    offered = dict(form().fields["pex_account"].choices)
    kept = dict(BooksForm(ALL, initial={"pex_account": "b"}).fields["pex_account"].choices)

    assert [id for id, _ in offered["Assets"]] == ["a"]
    assert [id for id, _ in kept["Assets"]] == ["a", "b"]
    assert list(offered) == ["", "Assets", "Liabilities", "Without a category", "Expense"]


def test_the_hint_says_what_the_account_keeps():
    assert "asset" in form().fields["pex_account"].help_text
    assert "liability" in form(charge=True).fields["pex_account"].help_text


def test_every_kind_becomes_something():
    assert set(forms.BECOMES) == set(Kind)
    assert forms.STEPS == ("cards",)
