"""What a person may type in the setup: one form per step, each reading and giving `connectors.settings.Settings`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Self

from django import forms
from django.http import QueryDict

from connectors.connector import Connector
from connectors.records import Field, Kind, Option
from connectors.settings import ONE_PARTY, PER_MERCHANT, STATIC, TAG, FieldSource, Settings
from pexsync.pages import rooms
from pexsync.pages.words import NAMES_OF_KINDS
from syncjobs.coding import ACCOUNT
from syncjobs.window import one_year_before
from tagging.models import Tag

DEBITS, CREDITS = "debit", "credit"
TEXT = "Text"

# What each kind does to the PEX account. Money that comes in debits it, on prepaid and charge accounts alike.
EFFECTS = {
    Kind.PURCHASE: ("Purchases in PEX", CREDITS),
    Kind.FEE: ("Fees in PEX", CREDITS),
    Kind.TRANSFER: ("Transfers to PEX", DEBITS),
    Kind.BILL_PAYMENT: ("Bill payments to PEX", DEBITS),
    Kind.REBATE: ("Rebates from PEX", DEBITS),
}
KIND_HINTS = {
    Kind.PURCHASE: "Import PEX purchases, refunds included, one line for each split.",
    Kind.FEE: "Import PEX account and card fees.",
    Kind.TRANSFER: "Import transfers between your bank and PEX.",
    Kind.BILL_PAYMENT: "Import the payments of your PEX card balance.",
    Kind.REBATE: "Import PEX rebates as money received.",
}

Choices = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Books:
    """What the setup may choose from: the lists of the books as just read, and the business's tags."""

    connector: type[Connector]
    charge: bool
    today: date
    fields: Sequence[Field] = ()
    options: Mapping[str, Sequence[Option]] = field(default_factory=dict)
    tags: Sequence[Tag] = ()
    trouble: str = ""  # why lists are missing, a sentence
    silent: str = ""  # whose they are, where not the connector's own

    def kinds(self) -> list[Kind]:
        other = Kind.TRANSFER if self.charge else Kind.BILL_PAYMENT
        return [kind for kind in self.connector.kinds if kind is not other]

    def tags_for(self, wanted: Field) -> list[Tag]:
        return [tag for tag in self.tags if tag.type in wanted.tag_types]

    def tag(self, tag_id: str) -> Tag | None:
        return next((tag for tag in self.tags if tag.tag_id == tag_id), None)

    def choices(self, name: str, chosen: str, empty: str) -> Choices:
        """The options of one list, grouped. A chosen one that is gone stays visible: nothing vanishes unseen."""
        groups: dict[str, list[tuple[str, str]]] = {}
        known = False
        for option in self.options.get(name, ()):
            known = known or option.id == chosen
            if option.active or option.id == chosen:
                label = option.label if option.active else f"{option.label} (archived)"
                groups.setdefault(option.group, []).append((option.id, label))
        found: Choices = [("", empty)]
        if chosen and not known:
            found.append((chosen, "As chosen before" if self.trouble else "Chosen before, no longer there"))
        for group, rows in groups.items():
            found.extend(rows if not group else [(group, rows)])
        return found

    def missing(self, name: str, chosen: str) -> str:
        """Why a choice cannot stay, a sentence; "" when it can. While the books do not answer it may."""
        if not chosen or self.trouble:
            return ""
        option = next((option for option in self.options.get(name, ()) if option.id == chosen), None)
        label = self.connector.label
        if option is None:
            return f"What was chosen is no longer in {label}. Choose another."
        return "" if option.active else f"{option.label} is archived in {label}. Choose another."


class StepForm(forms.Form):
    """One step. `typed` is what a person entered; without it the form shows the draft."""

    use_required_attribute = False  # the server's words say what is missing, in one place
    reads: tuple[str, ...] = ()  # the lists of the books this step shows; "fields": those that can be mapped

    def __init__(self, books: Books, draft: Settings, typed: QueryDict | None = None) -> None:
        super().__init__(data=typed)
        self.books, self.draft = books, draft
        self.build()

    def build(self) -> None:
        """Add the fields that depend on the books, and the draft as initial values."""

    def settings(self) -> Settings:
        """Return the draft with this step's answers, of which the plainest step has none. Only of a valid form."""
        return self.draft

    def stands(self) -> bool:
        """Whether what the draft says here may be saved as it is."""
        return self.looked_at().is_valid()

    def looked_at(self) -> Self:
        """Return this step as if somebody had typed the draft in: it then says what is wrong with it."""
        return self if self.is_bound else type(self)(self.books, self.draft, typed=self._as_typed())

    def summary(self) -> list[tuple[str, str]]:
        """The errors for the top of the page: the id of the field and the sentence."""
        if not self.is_bound:
            return []
        found = []
        for name, errors in sorted(self.errors.items(), key=self._place):
            target = self[name].id_for_label if name in self.fields else "form"
            found += [(target or self[name].auto_id, str(error)) for error in errors]
        return found

    def _place(self, item: tuple[str, Any]) -> int:
        names = list(self.fields)
        return names.index(item[0]) if item[0] in names else len(names)

    def _as_typed(self) -> QueryDict:
        data = QueryDict(mutable=True)
        for name, value in self.initial.items():
            if value is True:
                data[name] = "on"
            elif value not in (None, False, ""):
                data[name] = str(value)
        return data


class SyncOptions(StepForm):
    approved_only = forms.ChoiceField(
        label="Which purchases",
        choices=[("approved", "Approved purchases only"), ("all", "All settled purchases")],
        widget=forms.Select(attrs={"class": "select"}),
    )
    bill_pay = forms.BooleanField(label="Bill pay charges", required=False)
    start_date = forms.DateField(
        label="Start Date",
        widget=forms.DateInput(attrs={"type": "date", "class": "input"}, format="%Y-%m-%d"),
        error_messages={
            "required": "Enter the Start Date: the first day whose transactions are synced.",
            "invalid": "Enter the Start Date as year, month and day.",
        },
    )
    end_date = forms.DateField(
        label="End Date",
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "input"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Enter the End Date as year, month and day, or leave it empty."},
    )

    def build(self) -> None:
        draft = self.draft
        self.limit = one_year_before(self.books.today)
        chosen = draft.kinds or ({Kind.PURCHASE} if not draft.pex_account else set())
        for kind in self.books.kinds():
            label = NAMES_OF_KINDS[kind.value][1].capitalize()
            self.fields[f"kind_{kind.value}"] = forms.BooleanField(label=label, required=False)
            self.initial[f"kind_{kind.value}"] = kind in chosen
        self.initial = {
            **self.initial,
            "approved_only": "approved" if draft.approved_only else "all",
            "bill_pay": draft.bill_pay,
            "start_date": draft.start_date,
            "end_date": draft.end_date,
        }
        self.order_fields([f"kind_{kind.value}" for kind in self.books.kinds()])
        for name in ("start_date", "end_date"):
            self.fields[name].widget.attrs |= {"min": self.limit.isoformat(), "max": self.books.today.isoformat()}

    def kind_fields(self) -> list[tuple[Kind, forms.BoundField, str]]:
        return [(kind, self[f"kind_{kind.value}"], KIND_HINTS[kind]) for kind in self.books.kinds()]

    def clean_start_date(self) -> date:
        start: date = self.cleaned_data["start_date"]
        if start < self.limit and start != self.draft.start_date:  # a saved one that aged is clamped, not refused
            raise forms.ValidationError(f"The Start Date must not be before {_said(self.limit)}, one year ago.")
        if start > self.books.today:
            raise forms.ValidationError("The Start Date must not lie in the future.")
        return start

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self._kinds(cleaned):
            self.add_error(f"kind_{self.books.kinds()[0].value}", "Choose at least one kind of transaction to sync.")
        start, end = cleaned.get("start_date"), cleaned.get("end_date")
        if start and end and end < start:
            self.add_error("end_date", "The End Date must not be before the Start Date.")
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        return replace(
            self.draft,
            kinds=frozenset(self._kinds(cleaned)),
            approved_only=cleaned["approved_only"] == "approved",
            bill_pay=cleaned["bill_pay"],
            start_date=cleaned["start_date"],
            end_date=cleaned["end_date"],
        )

    def _kinds(self, cleaned: Mapping[str, Any]) -> list[Kind]:
        return [kind for kind in self.books.kinds() if cleaned.get(f"kind_{kind.value}")]


@dataclass(frozen=True, slots=True)
class TAccount:
    name: str
    debit: list[str]
    credit: list[str]


class AccountOptions(StepForm):
    reads = ("pex_account", ACCOUNT)

    pex_account = forms.ChoiceField(label="PEX account", required=False)
    account_source = forms.ChoiceField(
        label="Expense account",
        choices=[(TAG, "PEX Tag"), (STATIC, "One account")],
        widget=forms.RadioSelect,
    )
    account_tag = forms.ChoiceField(label="PEX tag", required=False)
    account_default = forms.ChoiceField(label="If the tag is missing, default to", required=False)
    account = forms.ChoiceField(label="Expense account", required=False)

    def build(self) -> None:
        draft, books = self.draft, self.books
        source = draft.fields.get(ACCOUNT, FieldSource(source=TAG))
        self.dropdowns = [tag for tag in books.tags if tag.type == "Dropdown"]
        self.initial = {
            "pex_account": draft.pex_account,
            "account_source": source.source,
            "account_tag": source.tag,
            "account_default": source.default,
            "account": source.value,
        }
        label = books.connector.label
        _choose_from(self, "pex_account", books.choices("pex_account", draft.pex_account, "Choose an account"))
        _choose_from(self, "account_tag", _tag_choices(self.dropdowns, source.tag))
        _choose_from(self, "account_default", books.choices(ACCOUNT, source.default, "No default: such purchases wait"))
        _choose_from(self, "account", books.choices(ACCOUNT, source.value, f"Choose an account in {label}"))
        self.own = self._own()

    def extras(self) -> list[forms.BoundField]:
        """What only this system asks."""
        return [each for each in self.own or () if each.name not in self.fields]

    def effects(self) -> list[tuple[str, str]]:
        """What the kinds switched on do to the PEX account."""
        return [EFFECTS[kind] for kind in self.books.kinds() if kind in self.draft.kinds]

    def sketches(self) -> list[TAccount]:
        """The accounts as the ledger draws them: what stands on which side."""
        sides: dict[str, list[str]] = {DEBITS: [], CREDITS: []}
        for what, side in self.effects():
            sides[side].append(what)
        if Kind.PURCHASE not in self.draft.kinds:
            return [TAccount("PEX account", sides[DEBITS], sides[CREDITS])]
        sides[DEBITS].append("Refunds in PEX")
        return [
            TAccount("PEX account", sides[DEBITS], sides[CREDITS]),
            TAccount("Expense account", ["Purchases in PEX"], ["Refunds in PEX"]),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        label = self.books.connector.label
        if not cleaned.get("pex_account"):
            self.add_error("pex_account", f"Choose the account in {label} that stands for PEX.")
        self._check("pex_account", "pex_account", cleaned)
        self._check_own()
        if cleaned.get("account_source") == TAG:
            if not cleaned.get("account_tag"):
                self.add_error("account_tag", "Choose the PEX tag that names the expense account, or use one account.")
            elif cleaned["account_tag"] not in {tag.tag_id for tag in self.dropdowns}:
                self.add_error("account_tag", "This PEX tag is gone or switched off. Choose another.")
            self._check("account_default", ACCOUNT, cleaned)
        else:
            if not cleaned.get("account"):
                self.add_error("account", "Choose the expense account that purchases debit.")
            self._check("account", ACCOUNT, cleaned)
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        source = FieldSource(
            source=cleaned["account_source"],
            value=cleaned["account"],
            tag=cleaned["account_tag"],
            default=cleaned["account_default"],
        )
        return replace(
            self.draft,
            pex_account=cleaned["pex_account"],
            fields={**self.draft.fields, ACCOUNT: source},
            extra={**self.draft.extra, **self._own_answers()},
        )

    def _own(self) -> forms.Form | None:
        questions = rooms.own_questions(self.books.connector)
        if questions is None:
            return None
        initial = {**self.draft.extra, "pex_account": self.draft.pex_account}
        banks = self.books.options.get("pex_account", ())
        own = questions(banks, self.data if self.is_bound else None, initial=initial)
        for name, each in own.fields.items():
            if isinstance(each.widget, forms.Select):
                each.widget.attrs["class"] = "select"
            self.initial.setdefault(name, initial.get(name, ""))
        return own

    def _check_own(self) -> None:
        """While the books do not answer, what was chosen may stay."""
        if self.own is None or self.books.trouble:
            return
        for name, errors in self.own.errors.items():
            if name not in self.fields:
                self.add_error(None, errors)
            elif not self.errors.get(name):
                self.add_error(name, errors)

    def _own_answers(self) -> dict[str, Any]:
        if self.own is None or self.books.trouble:
            return {}
        return {name: value for name, value in self.own.cleaned_data.items() if name not in self.fields}

    def _check(self, name: str, options: str, cleaned: Mapping[str, Any]) -> None:
        trouble = self.books.missing(options, cleaned.get(name, ""))
        if trouble:
            self.add_error(name, trouble)


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One row of Field, Map, Type, Mapping, Default."""

    label: str
    mapped: forms.BoundField
    source: forms.BoundField
    default: forms.BoundField | None
    type: str
    required: bool
    default_text: str = ""
    no_tags: str = ""
    error: str = ""


class PurchaseOptions(StepForm):
    reads = ("fields",)

    receipts = forms.BooleanField(label="Attachments", required=False)

    def build(self) -> None:
        self.initial = {"receipts": self.draft.receipts}
        for wanted in self.mappable():
            source = self.draft.fields.get(wanted.key)
            chosen = f"{source.source}:{source.value if source.source == STATIC else source.tag}" if source else ""
            default = source.default if source else ""
            self.fields[f"{wanted.key}-map"] = forms.BooleanField(label=f"Map {wanted.label}", required=False)
            self.fields[f"{wanted.key}-from"] = forms.ChoiceField(label=f"Mapping of {wanted.label}", required=False)
            _choose_from(self, f"{wanted.key}-from", self._sources(wanted, chosen))
            self.initial |= {f"{wanted.key}-map": source is not None or wanted.required, f"{wanted.key}-from": chosen}
            if TEXT not in wanted.tag_types:
                self.fields[f"{wanted.key}-default"] = forms.ChoiceField(
                    label=f"Default for {wanted.label}", required=False
                )
                _choose_from(self, f"{wanted.key}-default", self.books.choices(wanted.key, default, "No default"))
                self.initial[f"{wanted.key}-default"] = default

    def mappable(self) -> list[Field]:
        """The account was asked for before; the kinds other than purchases take no tags."""
        return [each for each in self.books.fields if each.key != ACCOUNT and Kind.PURCHASE in each.kinds]

    def account(self) -> str:
        """Where the expense account comes from, in words."""
        source = self.draft.fields.get(ACCOUNT, FieldSource())
        if source.source == TAG:
            tag = self.books.tag(source.tag)
            return f"PEX Tag: {tag.name if tag else 'not chosen'}"
        option = next((each for each in self.books.options.get(ACCOUNT, ()) if each.id == source.value), None)
        return option.label if option else "One account"

    def rows(self) -> list[MappingRow]:
        return [self._row(wanted) for wanted in self.mappable()]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for wanted in self.mappable():
            if not (cleaned.get(f"{wanted.key}-map") or wanted.required):
                continue
            source = self._source(wanted, cleaned)
            if not (source.tag or source.value):
                self.add_error(
                    f"{wanted.key}-from", f"Choose the PEX tag for {wanted.label}, or switch its mapping off."
                )
            elif source.source == TAG and source.tag not in {tag.tag_id for tag in self.books.tags_for(wanted)}:
                self.add_error(
                    f"{wanted.key}-from", f"The PEX tag of {wanted.label} is gone or switched off. Choose another."
                )
            for name, value in (("from", source.value), ("default", source.default)):
                trouble = self.books.missing(wanted.key, value)
                if trouble:
                    self.add_error(f"{wanted.key}-{name}", f"{wanted.label}: {trouble}")
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        fields = dict(self.draft.fields)
        for wanted in self.mappable():
            fields.pop(wanted.key, None)
            if cleaned.get(f"{wanted.key}-map") or wanted.required:
                fields[wanted.key] = self._source(wanted, cleaned)
        return replace(self.draft, receipts=cleaned["receipts"], fields=fields)

    def _source(self, wanted: Field, cleaned: Mapping[str, Any]) -> FieldSource:
        source, _, chosen = cleaned.get(f"{wanted.key}-from", "").partition(":")
        if source == STATIC:
            return FieldSource(source=STATIC, value=chosen)
        return FieldSource(source=TAG, tag=chosen, default=cleaned.get(f"{wanted.key}-default", ""))

    def _sources(self, wanted: Field, chosen: str) -> Choices:
        tags = [(f"{TAG}:{tag.tag_id}", tag.name) for tag in self.books.tags_for(wanted)]
        found: Choices = [("", "Choose a tag")]
        known = {value for value, _ in tags}
        if chosen.startswith(TAG) and chosen not in known:
            found.append((chosen, "Chosen before, no longer there"))
        if not wanted.static or TEXT in wanted.tag_types:
            return found + tags
        if tags:
            found.append(("PEX tags", tags))
        static = chosen.partition(":")[2] if chosen.startswith(STATIC) else ""
        options = [row for row in self.books.choices(wanted.key, static, "") if row[0]]
        same = [(f"{STATIC}:{value}", name) for value, name in options if isinstance(name, str)]
        for _, rows in ((value, name) for value, name in options if not isinstance(name, str)):
            same += [(f"{STATIC}:{value}", name) for value, name in rows]
        return [*found, ("Always the same", same)] if same else found

    def _row(self, wanted: Field) -> MappingRow:
        source = self[f"{wanted.key}-from"]
        value = source.value() or ""
        tag = self.books.tag(value.partition(":")[2]) if value.startswith(TAG) else None
        text = TEXT in wanted.tag_types
        default = None if text else self[f"{wanted.key}-default"]
        errors = [*source.errors, *(default.errors if default else [])] if self.is_bound else []
        return MappingRow(
            label=wanted.label,
            mapped=self[f"{wanted.key}-map"],
            source=source,
            default=default,
            type="Static" if value.startswith(STATIC) else "Tag",
            required=wanted.required or bool(tag and tag.required),
            default_text="Purchase description" if text else "",
            no_tags="" if self.books.tags_for(wanted) else f"No PEX tag of type {' or '.join(wanted.tag_types)} yet",
            error=" ".join(errors),
        )


class PurchaseContactOptions(StepForm):
    reads = ("party",)

    party_mode = forms.ChoiceField(
        label="Contact",
        choices=[(ONE_PARTY, "One contact for all purchases"), (PER_MERCHANT, "One contact for each merchant")],
        widget=forms.RadioSelect,
    )
    party = forms.ChoiceField(label="Contact", required=False)
    clean_names = forms.BooleanField(label="Use standardized merchant names", required=False)

    def build(self) -> None:
        draft = self.draft
        self.initial = {"party_mode": draft.party_mode, "party": draft.party, "clean_names": draft.clean_names}
        _choose_from(self, "party", self.books.choices("party", draft.party, "Choose a contact"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("party_mode") == ONE_PARTY:
            chosen = cleaned.get("party", "")
            trouble = self.books.missing("party", chosen)
            if not chosen:
                self.add_error("party", "Choose the contact that all purchases are booked against.")
            elif trouble:
                self.add_error("party", trouble)
        return cleaned

    def settings(self) -> Settings:
        cleaned = self.cleaned_data
        return replace(
            self.draft,
            party_mode=cleaned["party_mode"],
            party=cleaned["party"],
            clean_names=cleaned["clean_names"],
        )


def _choose_from(form: StepForm, name: str, choices: Choices) -> None:
    """Fill a select. What a person sent is a choice too: whether it may stay is said in `clean`, in words."""
    chooser = form.fields[name]
    assert isinstance(chooser, forms.ChoiceField)
    chooser.widget = forms.Select(attrs={"class": "select"})
    chooser.choices = choices
    sent = form.data.get(name, "") if form.is_bound else ""
    if sent and not chooser.valid_value(sent):
        chooser.choices = [*choices, (sent, "Chosen before, no longer there")]


def _tag_choices(tags: Sequence[Tag], chosen: str) -> Choices:
    found: Choices = [("", "Choose a tag"), *((tag.tag_id, tag.name) for tag in tags)]
    if chosen and all(tag.tag_id != chosen for tag in tags):
        found.append((chosen, "Chosen before, no longer there"))
    return found


def _said(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"
