"""Settings only Xero has: the rules for its bank accounts, how tax is treated; and the steps and words of its setup."""

from collections.abc import Sequence
from typing import Any

from django import forms

from connectors.records import Kind, Option
from connectors.xero.mapping import INCLUSIVE, NO_TAX, PEX_CURRENCY

STEPS = ("sync", "options", "accounts", "purchases", "contacts", "fees", "rebates")
BECOMES = {
    Kind.PURCHASE: "spend money transactions",
    Kind.FEE: "spend money transactions",
    Kind.TRANSFER: "transfers between two bank accounts",
    Kind.BILL_PAYMENT: "transfers between two bank accounts",
    Kind.REBATE: "receive money transactions",
}
TAX = (
    (INCLUSIVE, "Amounts include tax: Xero works it out from the account's tax rate"),
    (NO_TAX, "No tax"),
)
HELD = "It must be a bank account in US dollars: PEX holds your own money."
OWED = "It must be a bank account of type credit card, in US dollars: it keeps what you owe PEX."
CARD = "CREDITCARD"  # the type of a bank account that keeps what is owed


def unfit(account: Option, charge: bool = False) -> str:
    """Why a bank account cannot stand for PEX, a sentence; "" when it can."""
    trouble = unfit_source(account)
    if trouble or not account.type or (account.type == CARD) is charge:
        return trouble
    if charge:
        return f"{account.label} is no credit card account. What you owe PEX is kept on one: add one in Xero."
    return f"{account.label} is a credit card account. PEX holds your own money: choose a bank account."


def unfit_source(account: Option) -> str:
    """Why money cannot move between a bank account and PEX, a sentence; "" when it can."""
    if not account.active:
        return f"{account.label} is archived in Xero. Choose another."
    if account.group not in ("", PEX_CURRENCY):
        return f"{account.label} is kept in {account.group}. PEX cards are in US dollars: choose one in US dollars."
    return ""


class BooksForm(forms.Form):
    """`banks` are the options of "pex_account". Without an answer about tax the organisation's own practice holds."""

    pex_account = forms.ChoiceField(label="PEX account")
    tax = forms.ChoiceField(
        label="Tax",
        required=False,
        choices=(("", "As the organisation does"), *TAX),
        help_text="The total in Xero is the card amount either way.",
    )

    def __init__(self, banks: Sequence[Option], *args: Any, charge: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.banks, self.charge = {bank.id: bank for bank in banks}, charge
        chosen = self.initial.get("pex_account", "")
        offered = [bank for bank in banks if bank.active or bank.id == chosen]
        field = self.fields["pex_account"]
        field.help_text = OWED if charge else HELD
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose a bank account"), *((bank.id, _named(bank)) for bank in offered)]

    def clean_pex_account(self) -> str:
        chosen: str = self.cleaned_data["pex_account"]
        trouble = unfit(self.banks[chosen], self.charge)
        if trouble:
            raise forms.ValidationError(trouble)
        return chosen

    def extra(self) -> dict[str, str]:
        """What goes to `Settings.extra`. Only of a valid form."""
        return {"tax": self.cleaned_data["tax"]}


def _named(bank: Option) -> str:
    return f"{bank.label} ({bank.group})" if bank.group else bank.label
