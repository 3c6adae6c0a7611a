"""The step that chooses the accounts each kind of transaction is booked on."""

from dataclasses import replace
from typing import Any

from django import forms

from connectors.records import ACCOUNT, Kind
from connectors.settings import STATIC, TAG, FieldSource, Settings
from pexsync.pages import rooms
from pexsync.pages.steps.effects import Effects, TAccount, on_other_account, on_pex_account
from pexsync.pages.steps.own import PEX, OwnQuestions
from pexsync.pages.words import NAMES_OF_KINDS

OWN_BANK = (Kind.TRANSFER, Kind.BILL_PAYMENT)  # their other side is a bank account of the business


class AccountOptions(OwnQuestions):
    reads = (PEX, "fields")

    account_source = forms.ChoiceField(
        label="Expense account", choices=[(TAG, "PEX Tag"), (STATIC, "One account")], widget=forms.RadioSelect
    )

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        if field == ACCOUNT:
            by_tag = draft.source(Kind.PURCHASE, ACCOUNT).source == TAG
            return "id_account_tag" if by_tag else "id_account"
        kind, _, key = field.partition(":")
        if key == ACCOUNT and kind in (*(each.value for each in OWN_BANK), Kind.FEE.value):
            return f"id_{kind}_account"
        return f"id_{field}" if field == PEX else ""

    @classmethod
    def own_control(cls, name: str) -> str:
        return f"id_{name}"

    def build(self) -> None:
        books, draft, label = self.books, self.draft, self.books.connector.label
        self.own_bank = next((kind for kind in OWN_BANK if kind in draft.kinds and kind in books.kinds()), None)
        if self.own_bank:
            self._choose_of_kind(self.own_bank, "Source Cash", f"Choose a bank account in {label}")
        self.choose(PEX, self.pex_label, books.choices(PEX, draft.pex_account, "Choose an account"), draft.pex_account)
        if Kind.PURCHASE in draft.kinds:
            self._choose_of_purchases()
        else:
            del self.fields["account_source"]
        if Kind.FEE in draft.kinds:
            self._choose_of_kind(Kind.FEE, "Fees", f"Choose an account in {label}")
        self.ask_own()

    @property
    def pex_label(self) -> str:
        return "PEX Card" if self.books.charge else "PEX Cash"

    @property
    def dropdowns(self) -> list[Any]:
        return self.books.dropdowns

    @property
    def has_purchases(self) -> bool:
        return Kind.PURCHASE in self.draft.kinds

    @property
    def source_word(self) -> str:
        """What moves from the business's own bank."""
        return NAMES_OF_KINDS[self.own_bank.value][1] if self.own_bank else ""

    def source_cash(self) -> forms.BoundField | None:
        return self[f"{self.own_bank.value}_account"] if self.own_bank else None

    def fee_account(self) -> forms.BoundField | None:
        return self["fee_account"] if Kind.FEE in self.draft.kinds else None

    def about_tag(self) -> str:
        """Who keeps the options of the tag that names the account, a sentence."""
        tag = self.books.tag(self["account_tag"].value() or "") if self.has_purchases else None
        if tag is None:
            return ""
        fed, label = self.books.tag(self.draft.synced.get(ACCOUNT, "")), self.books.connector.label
        if fed is tag:
            return f"{tag.name} gets the accounts of {label} as its options with every sync."
        if fed:
            return f"The accounts of {label} are synced to {fed.name}, not to {tag.name}."
        return f"The options of {tag.name} are kept by hand. To keep them the same as in {label}, sync accounts to it."

    def effects(self) -> Effects:
        """What the kinds switched on do to the PEX account."""
        return on_pex_account(self._kinds())

    def source_effects(self) -> Effects:
        return on_other_account(*[self.own_bank] if self.own_bank else [])

    def purchase_effects(self) -> Effects:
        return on_other_account(Kind.PURCHASE)

    def fee_effects(self) -> Effects:
        return on_other_account(Kind.FEE)

    def sketches(self) -> list[TAccount]:
        """The accounts as the ledger draws them: what stands on which side."""
        names = {
            Kind.TRANSFER: "Source Cash",
            Kind.BILL_PAYMENT: "Source Cash",
            Kind.PURCHASE: "Expense account",
            Kind.FEE: "Fees",
            Kind.REBATE: "Income account",
        }
        others = [on_other_account(kind).sketch(names[kind]) for kind in self._kinds()]
        return [self.effects().sketch(self.pex_label), *others]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        label = self.books.connector.label
        self.check(PEX, PEX, f"Choose the account in {label} that stands for PEX.")
        self.check_own()
        if self.own_bank:
            self._check_source(f"{self.own_bank.value}_account")
        if self.has_purchases:
            self._check_purchases()
        if Kind.FEE in self.draft.kinds:
            name = self.books.list_of(Kind.FEE, ACCOUNT)
            self.check("fee_account", name, f"Choose the expense account in {label} that fees debit.")
        return cleaned

    def settings(self) -> Settings:
        cleaned, draft = self.cleaned_data, self.draft
        by_kind = {kind: dict(chosen) for kind, chosen in draft.by_kind.items()}
        for kind in (*OWN_BANK, Kind.FEE):
            if f"{kind.value}_account" in cleaned:
                by_kind[kind] = {**by_kind.get(kind, {}), ACCOUNT: cleaned[f"{kind.value}_account"]}
        fields = dict(draft.fields)
        if self.has_purchases:
            fields[ACCOUNT] = FieldSource(
                source=cleaned["account_source"],
                value=cleaned[ACCOUNT],
                tag=cleaned["account_tag"],
                default=cleaned["account_default"],
            )
        extra = {**draft.extra, **self.own_answers()}
        return replace(draft, pex_account=cleaned[PEX], fields=fields, by_kind=by_kind, extra=extra)

    def _kinds(self) -> list[Kind]:
        return [kind for kind in self.books.kinds() if kind in self.draft.kinds]

    def _choose_of_purchases(self) -> None:
        """The tag that gets the accounts as its options is offered before anything is chosen."""
        books, draft = self.books, self.draft
        fresh = FieldSource(source=TAG, tag=draft.synced.get(ACCOUNT, ""))
        source, accounts = draft.fields.get(ACCOUNT, fresh), books.list_of(Kind.PURCHASE, ACCOUNT)
        self.initial["account_source"] = source.source
        self.choose("account_tag", "PEX tag", books.tag_choices(books.dropdowns, source.tag), source.tag)
        defaults = books.choices(accounts, source.default, "No default: such purchases wait")
        self.choose("account_default", "If the tag is missing, default to", defaults, source.default)
        choices = books.choices(accounts, source.value, f"Choose an account in {books.connector.label}")
        self.choose(ACCOUNT, "Expense account", choices, source.value)

    def _choose_of_kind(self, kind: Kind, label: str, empty: str) -> None:
        chosen = self.draft.source(kind, ACCOUNT).value
        choices = self.books.choices(self.books.list_of(kind, ACCOUNT), chosen, empty)
        self.choose(f"{kind.value}_account", label, choices, chosen)

    def _check_purchases(self) -> None:
        cleaned, accounts = self.cleaned_data, self.books.list_of(Kind.PURCHASE, ACCOUNT)
        if cleaned.get("account_source") == STATIC:
            self.check(ACCOUNT, accounts, "Choose the expense account that purchases debit.")
            return
        if not cleaned.get("account_tag"):
            self.add_error("account_tag", "Choose the PEX tag that names the expense account, or use one account.")
        elif cleaned["account_tag"] not in {tag.tag_id for tag in self.books.dropdowns}:
            self.add_error("account_tag", "This PEX tag is gone or switched off. Choose another.")
        self.check("account_default", accounts)

    def _check_source(self, name: str) -> None:
        assert self.own_bank
        accounts, chosen = self.books.list_of(self.own_bank, ACCOUNT), self.cleaned_data.get(name, "")
        self.check(name, accounts, f"Choose the bank account in {self.books.connector.label} that pays into PEX.")
        account = self.books.option(accounts, chosen)
        if self.errors.get(name) or account is None:
            return
        trouble = rooms.unfit_source(self.books.connector, account)
        if chosen.casefold() == self.cleaned_data.get(PEX, "").casefold():
            trouble = f"{account.label} stands for PEX itself. Choose the bank account the money comes from."
        if trouble:
            self.add_error(name, trouble)
