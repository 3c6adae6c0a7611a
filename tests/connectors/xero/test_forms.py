import pytest

from connectors.records import Option
from connectors.xero.forms import BooksForm, unfit_source

BANKS = [
    Option("usd", "PEX Cash", group="USD"),
    Option("eur", "PEX Euro", group="EUR"),
    Option("old", "Old PEX", group="USD", active=False),
]


def test_an_account_in_us_dollars_may_stand_for_pex():
    form = BooksForm(BANKS, {"pex_account": "usd", "tax": "inclusive"})

    assert form.is_valid()
    assert form.extra() == {"tax": "inclusive"}


@pytest.mark.parametrize(("chosen", "says"), [("eur", "kept in EUR"), ("old", "archived"), ("gone", "valid choice")])
def test_another_account_may_not(chosen, says):
    form = BooksForm(BANKS, {"pex_account": chosen}, initial={"pex_account": chosen})

    assert not form.is_valid()
    assert says in form.errors["pex_account"][0]


@pytest.mark.parametrize(
    ("kind", "charge", "says"),
    [
        ("BANK", False, ""),
        ("CREDITCARD", True, ""),
        ("", True, ""),
        ("BANK", True, "is no credit card account"),
        ("CREDITCARD", False, "is a credit card account"),
    ],
)
def test_what_is_owed_is_kept_on_a_credit_card_account(kind, charge, says):
    form = BooksForm([Option("pex", "PEX", group="USD", type=kind)], {"pex_account": "pex"}, charge=charge)

    assert form.is_valid() is (not says)
    assert says in str(form.errors)


@pytest.mark.parametrize(
    ("account", "says"), [(BANKS[0], ""), (BANKS[1], "kept in EUR"), (BANKS[2], "archived in Xero")]
)
def test_money_moves_between_live_accounts_in_us_dollars(account, says):
    assert says in unfit_source(account)
    assert bool(unfit_source(account)) is bool(says)


def test_archived_accounts_are_offered_only_where_they_are_chosen():
    assert "old" not in dict(BooksForm(BANKS).fields["pex_account"].choices)
    assert "old" in dict(BooksForm(BANKS, initial={"pex_account": "old"}).fields["pex_account"].choices)


def test_without_an_answer_the_organisation_decides_on_tax():
    form = BooksForm(BANKS, {"pex_account": "usd"})

    assert form.is_valid()
    assert form.extra() == {"tax": ""}
