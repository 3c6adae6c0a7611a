"""Settings only Business Central has: which account may stand for PEX, how vendors are kept; and the words of setup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms

from connectors.dynamics365.mapping import ASSETS, LIABILITIES, PEX_CURRENCY
from connectors.dynamics365.options import CREATE_VENDORS, LEDGER, NAMES, VENDORS
from connectors.records import Kind, Option

STEPS = ("cards",)
SHORT_NAME = "Dynamics"
BECOMES: Mapping[Kind, str] = dict.fromkeys(Kind, "journal entries")
HINTS = {
    "tax": (
        "the tax group that stands on the expense line. A purchase of $108.00 stays $108.00 on the PEX account: "
        "Business Central takes the tax out of that amount when the journal is posted. Leave it empty where your "
        "company does not split tax from card purchases."
    ),
}
OF_PURCHASES = (VENDORS, CREATE_VENDORS)  # own questions that are asked of purchases only
OF_EACH_MERCHANT = (CREATE_VENDORS,)  # and of them, only where each merchant has a vendor of its own
HOW_VENDORS = (
    (NAMES, "By name: the vendor stands in the description of the lines"),
    (LEDGER, "In the vendor ledger: each purchase also passes through the vendor's account"),
)
QUESTIONS = (
    (
        "How are receipts stored in Dynamics 365?",
        "As incoming document files on the journal entries, so that Business Central is your system of record. Open "
        "the journal PEX Card, click the credit line of an entry, and look under Incoming Document Files in the "
        "Journal Check panel.",
    ),
    (
        "Where do I see what was synced?",
        "In Business Central under Finance, General Journals, in the journal PEX Card. Once somebody has posted it, "
        "among the general ledger entries. Each row here has a link to its record.",
    ),
    (
        "Are pending transactions synced?",
        "No. Only settled ones are. “Pending” beside a merchant means that PEX has not settled it yet.",
    ),
    ("Are transactions of closed cardholders synced?", "Yes, those of open and of closed cardholders alike."),
    (
        "Should tag options be synced automatically?",
        "We advise it strongly: PEX tags and the fields of Dynamics 365 then stay the same by themselves. Do not mix "
        "them with options made by hand.",
    ),
    (
        "Can I sync a transaction once more?",
        "Not by yourself. Press “Ask support to send again” on the transaction: support looks whether its record is "
        "gone, and allows it.",
    ),
    (
        "May several PEX accounts use one sign-in?",
        "Yes. On Connect, link an existing connection of another of your PEX accounts instead of signing in again.",
    ),
)
HELD = "It must be an asset account: PEX holds your own money. Every kind of entry stands on it with one line."
OWED = "It must be a liability account: it keeps what you owe PEX. Every kind of entry stands on it with one line."


def unfit(account: Option, charge: bool = False, others: Iterable[Option] = ()) -> str:
    """Why an account cannot stand for PEX, a sentence; "" when it can.

    One without a category will do where no account of the chart has the right one (see `doubtful`).
    """
    wanted = LIABILITIES if charge else ASSETS
    what, why = ("liability", "what you owe PEX") if charge else ("asset", "your own money at PEX")
    if not account.active:
        return f"Nothing can be posted on {account.label} in Business Central. Choose another account."
    if account.type == wanted or (not account.type and not _any_of(wanted, others)):
        return ""
    if not account.type:
        return f"{account.label} has no category in Business Central. Choose one of the {what} accounts."
    return f"{account.label} is no {what} account ({account.type}). It has to keep {why}: choose another."


def doubtful(account: Option, charge: bool = False) -> str:
    """What people should look at before this account stands for PEX, a sentence; "" where nothing is doubtful."""
    if account.type:
        return ""
    what = "a liability" if charge else "an asset"
    return f"{account.label} has no category in Business Central: make sure that it is {what} account there."


def creates_parties(extra: Mapping[str, Any]) -> bool:
    """Whether a vendor that is missing is created; `extra`: what only this system asked."""
    return bool(extra.get(CREATE_VENDORS, True))


def unfit_source(account: Option) -> str:
    """Why money cannot move between an account and PEX, a sentence; "" when it can."""
    if not account.active:
        return f"{account.label} is blocked in Business Central. Choose another."
    if account.type not in ("", PEX_CURRENCY):
        return f"{account.label} is kept in {account.type}. PEX cards are in US dollars: choose one in US dollars."
    return ""


def _any_of(category: str, options: Iterable[Option]) -> bool:
    return any(option.active and option.type == category for option in options)


class BooksForm(forms.Form):
    """`banks` are the options of "pex_account"."""

    pex_account = forms.ChoiceField(label="PEX account")
    vendors = forms.ChoiceField(
        label="How vendors are kept",
        required=False,
        choices=HOW_VENDORS,
        help_text=(
            "By name, the balances of vendors stay as they are. In the vendor ledger, each purchase gets two more "
            "lines on its vendor's account that cancel each other: you see what you bought from whom, and you owe "
            "them nothing. Every vendor then needs a posting group in Business Central before the journal can be "
            "posted."
        ),
    )
    create_vendors = forms.BooleanField(
        label="Update vendors with the chosen company if needed",
        required=False,
        help_text=(
            "On: a vendor this company does not have is created in it. Off: such a purchase waits until somebody adds "
            "the vendor in Business Central."
        ),
    )

    def __init__(self, banks: Sequence[Option], *args: Any, charge: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.accounts, self.charge = {account.id: account for account in banks}, charge
        self.initial.setdefault(VENDORS, NAMES)
        self.initial.setdefault(CREATE_VENDORS, True)
        chosen = self.initial.get("pex_account", "")
        field = self.fields["pex_account"]
        field.help_text = OWED if charge else HELD
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose an account"), *_grouped([one for one in banks if one.active or one.id == chosen])]

    def clean_pex_account(self) -> str:
        chosen: str = self.cleaned_data["pex_account"]
        trouble = unfit(self.accounts[chosen], self.charge, self.accounts.values())
        if trouble:
            raise forms.ValidationError(trouble)
        return chosen

    def clean_vendors(self) -> str:
        return self.cleaned_data[VENDORS] or NAMES

    def extra(self) -> dict[str, Any]:
        """What goes to `Settings.extra`. Only of a valid form."""
        return {VENDORS: self.cleaned_data[VENDORS], CREATE_VENDORS: self.cleaned_data[CREATE_VENDORS]}


def _grouped(accounts: Iterable[Option]) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for account in accounts:
        groups.setdefault(account.group, []).append((account.id, account.label))
    return list(groups.items())
