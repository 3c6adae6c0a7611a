"""Settings only Xero has: the rule for the bank account that stands for PEX, and how tax is treated."""

from collections.abc import Sequence
from typing import Any

from django import forms

from connectors.records import Option
from connectors.xero.mapping import INCLUSIVE, NO_TAX, PEX_CURRENCY

TAX = (
    (INCLUSIVE, "Amounts include tax: Xero works it out from the account's tax rate"),
    (NO_TAX, "No tax"),
)


def unfit(account: Option) -> str:
    """Why a bank account cannot stand for PEX, a sentence; "" when it can."""
    if not account.active:
        return f"{account.label} is archived in Xero. Choose another."
    if account.group not in ("", PEX_CURRENCY):
        return f"{account.label} is kept in {account.group}. PEX cards are in US dollars: choose one in US dollars."
    return ""


class BooksForm(forms.Form):
    """`banks` are the options of "pex_account". Without an answer about tax the organisation's own practice holds."""

    pex_account = forms.ChoiceField(label="PEX account", help_text="The Xero bank account that stands for PEX.")
    tax = forms.ChoiceField(
        label="Tax",
        required=False,
        choices=(("", "As the organisation does"), *TAX),
        help_text="The total in Xero is the card amount either way.",
    )

    def __init__(self, banks: Sequence[Option], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.banks = {bank.id: bank for bank in banks}
        chosen = self.initial.get("pex_account", "")
        offered = [bank for bank in banks if bank.active or bank.id == chosen]
        field = self.fields["pex_account"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose a bank account"), *((bank.id, _named(bank)) for bank in offered)]

    def clean_pex_account(self) -> str:
        chosen: str = self.cleaned_data["pex_account"]
        trouble = unfit(self.banks[chosen])
        if trouble:
            raise forms.ValidationError(trouble)
        return chosen

    def extra(self) -> dict[str, str]:
        """What goes to `Settings.extra`. Only of a valid form."""
        return {"tax": self.cleaned_data["tax"]}


def _named(bank: Option) -> str:
    return f"{bank.label} ({bank.group})" if bank.group else bank.label
