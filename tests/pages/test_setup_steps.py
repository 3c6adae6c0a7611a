"""The forms of the setup by themselves: what they offer, what they refuse and in which words, what they give."""

from dataclasses import replace
from datetime import date

import pytest
from django.forms import Select
from django.test.signals import template_rendered
from pytest_django.asserts import assertHTMLEqual

from connectors.connector import Connector
from connectors.records import Field, Kind, Option
from connectors.settings import FieldSource, Settings
from connectors.xero.connector import Xero
from pexsync.pages.steps import (
    AccountOptions,
    FeeOptions,
    PurchaseContactOptions,
    PurchaseOptions,
    RebateOptions,
    SyncOptions,
    TagOptions,
    steps_of,
)
from pexsync.pages.steps.form import LongSelect
from tests.pages.setting_up import books, typed

DAY = date(2026, 5, 3)
PURCHASES = Settings(kinds=frozenset({Kind.PURCHASE}))
EVERYTHING = Settings(kinds=frozenset({Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.REBATE}))
ONE_ACCOUNT = {"pex_account": "bank", "account_source": "static", "account": "429"}


# --- PEX Sync Options -------------------------------------------------------------------------------------------------


def sync(draft: Settings = PURCHASES, charge: bool = False, **members: str) -> SyncOptions:
    return SyncOptions(books(today=DAY, charge=charge), draft, typed(approved_only="all", **members))


def test_the_kinds_are_those_of_the_account_type():
    assert [row.kind for row in sync().kind_rows()] == [Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.REBATE]
    charge = [row.kind for row in sync(charge=True).kind_rows()]
    assert charge == [Kind.PURCHASE, Kind.FEE, Kind.BILL_PAYMENT, Kind.REBATE]


def test_each_kind_says_what_it_becomes_in_the_books():
    says = {row.kind: row.says for row in sync().kind_rows()}
    assert says[Kind.PURCHASE].startswith("Import PEX purchases as Xero spend money transactions.")
    assert says[Kind.FEE].startswith("Import PEX account fees as Xero spend money transactions.")
    assert says[Kind.TRANSFER].startswith("Import PEX account transfers as Xero transfers between two bank accounts.")
    assert says[Kind.REBATE].startswith("Import PEX rebates as Xero receive money transactions.")


def test_rebates_need_purchases():
    form = sync(kind_rebate="on", kind_fee="on", start_date="2026-05-01")
    assert not form.is_valid()
    assert "Rebates are synced only together with Purchases" in str(form.errors["kind_rebate"])
    assert sync(kind_rebate="on", kind_purchase="on", start_date="2026-05-01").is_valid()


def test_nothing_to_sync_is_no_setting():
    form = sync(start_date="2026-05-01")
    assert not form.is_valid()
    assert "at least one kind" in str(form.errors)


def test_an_end_before_the_start_is_refused():
    form = sync(kind_purchase="on", start_date="2026-05-01", end_date="2026-04-30")
    assert not form.is_valid()
    assert "before the Start Date" in str(form.errors["end_date"])


def test_a_start_date_that_aged_past_a_year_is_not_refused():
    draft = Settings(start_date=date(2025, 1, 1))
    assert sync(draft, kind_purchase="on", start_date="2025-01-01").is_valid()
    assert not sync(kind_purchase="on", start_date="2025-01-01").is_valid()


# --- Xero Sync Options ------------------------------------------------------------------------------------------------


def tags(taken: dict[str, str] | None = None, draft: Settings = PURCHASES, **members: str) -> TagOptions:
    return TagOptions(books(taken=taken or {}), draft, typed(**members))


def test_only_what_can_be_synced_is_offered_with_what_it_holds():
    rows = tags().rows()
    assert [(row.label, row.says) for row in rows] == [
        ("Expense Account", "2 options: 429 General, 260 Other"),
        ("PROJECTS", "2 options: Pier 9, Hall"),
    ]


def test_only_dropdown_tags_are_offered():
    assert [name for _, name in tags().fields["account-tag"].choices] == ["Choose a tag", "PROJECTS", "EXPENSE TYPE"]


def test_a_field_is_synced_to_its_tag():
    form = tags(**{"account-sync": "on", "account-tag": "11", "tracking:1-tag": "10"})
    assert form.is_valid()
    assert form.settings().synced == {"account": "11"}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"account-sync": "on"}, "Choose the PEX tag that gets the options of Expense Account"),
        ({"account-sync": "on", "account-tag": "20"}, "gone, switched off or no dropdown"),
        ({"account-sync": "on", "account-tag": "99"}, "gone, switched off or no dropdown"),
    ],
)
def test_a_sync_without_a_fit_tag_is_refused(members, says):
    form = tags(**members)
    assert not form.is_valid()
    assert says in str(form.errors["account-tag"])


def test_one_tag_is_fed_by_one_field():
    both = {"account-sync": "on", "account-tag": "10", "tracking:1-sync": "on", "tracking:1-tag": "10"}
    form = tags(**both)
    assert not form.is_valid()
    assert "PROJECTS gets the options of Expense Account already" in str(form.errors["tracking:1-tag"])


def test_one_tag_is_fed_by_one_connection():
    form = tags(taken={"10": "Department in Ledgerly"}, **{"account-sync": "on", "account-tag": "10"})
    assert not form.is_valid()
    assert "PROJECTS gets the options of Department in Ledgerly already" in str(form.errors["account-tag"])


def test_a_field_the_books_no_longer_have_is_synced_no_more():
    gone = replace(PURCHASES, synced={"tracking:9": "10"})
    form = tags(draft=gone)
    assert form.is_valid()
    assert form.settings().synced == {}


# --- Account Options --------------------------------------------------------------------------------------------------


def account(draft: Settings = PURCHASES, charge: bool = False, **members: str) -> AccountOptions:
    return AccountOptions(books(charge=charge), draft, typed(**members))


def test_one_account_for_all_purchases():
    form = account(**ONE_ACCOUNT)
    assert form.is_valid()
    assert form.settings().fields["account"].stored() == {"source": "static", "value": "429", "tag": "", "default": ""}


def test_an_account_by_tag_with_a_default():
    form = account(pex_account="bank", account_source="tag", account_tag="10", account_default="429")
    assert form.is_valid()
    assert form.settings().fields["account"].default == "429"


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"pex_account": ""}, "pex_account", "Choose the account in Xero"),
        ({"pex_account": "gone"}, "pex_account", "no longer in Xero"),
        ({"account_source": "tag"}, "account_tag", "Choose the PEX tag"),
        ({"account_source": "tag", "account_tag": "20"}, "account_tag", "gone or switched off"),
        ({"account": ""}, "account", "Choose the expense account"),
        ({"account": "old"}, "account", "archived in Xero"),
        ({"account_source": "nonsense"}, "account_source", "valid choice"),
    ],
)
def test_what_is_wrong_with_the_accounts_is_said_in_words(changes, field, says):
    form = account(**{**ONE_ACCOUNT, **changes})
    assert not form.is_valid()
    assert says in str(form.errors[field])


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"transfer_account": ""}, "transfer_account", "Choose the bank account in Xero that pays into PEX"),
        ({"transfer_account": "bank"}, "transfer_account", "stands for PEX itself"),
        ({"transfer_account": "gone"}, "transfer_account", "no longer in Xero"),
        ({"fee_account": ""}, "fee_account", "Choose the expense account in Xero that fees debit"),
        ({"fee_account": "old"}, "fee_account", "archived in Xero"),
    ],
)
def test_accounts_of_other_kinds_are_required_with_them(changes, field, says):
    right = {**ONE_ACCOUNT, "transfer_account": "checking", "fee_account": "429"}
    assert account(EVERYTHING, **right).is_valid()
    form = account(EVERYTHING, **{**right, **changes})
    assert not form.is_valid()
    assert says in str(form.errors[field])
    assert account(**{**ONE_ACCOUNT, **changes}).is_valid()


@pytest.mark.parametrize(
    ("bank", "says"),
    [
        (Option("euro", "Euro", group="EUR"), "kept in EUR"),
        (Option("shut", "Shut", group="USD", active=False), "archived in Xero"),
    ],
)
def test_money_comes_from_a_live_account_in_us_dollars(bank, says):
    given = books()
    given = replace(given, options={**given.options, "pex_account": [*given.options["pex_account"], bank]})
    members = {**ONE_ACCOUNT, "transfer_account": bank.id, "fee_account": "429"}
    form = AccountOptions(given, EVERYTHING, typed(**members))
    assert not form.is_valid()
    assert says in str(form.errors["transfer_account"])


def test_accounts_of_a_kind_that_is_off_stay_as_they_were():
    draft = replace(PURCHASES, by_kind={Kind.FEE: {"account": "429", "party": "p"}})
    form = account(draft, **ONE_ACCOUNT)
    assert form.is_valid()
    assert form.settings().by_kind == draft.by_kind


def test_without_purchases_no_expense_account_is_asked():
    draft = Settings(kinds=frozenset({Kind.FEE}), fields={"account": FieldSource(value="429")})
    form = account(draft, pex_account="bank", fee_account="429")
    assert form.is_valid()
    assert form.settings().fields == draft.fields


def test_every_kind_says_which_account_it_debits_and_credits():
    form = AccountOptions(books(), EVERYTHING)
    assert form.effects().lines == [
        ("Purchases in PEX", "credit"),
        ("Fees in PEX", "credit"),
        ("Transfers to PEX", "debit"),
        ("Rebates to PEX", "debit"),
    ]
    assert form.effects().turned == "Refunds, reversals and withdrawals"
    assert form.source_effects().lines == [("Transfers to PEX", "credit")]
    assert form.fee_effects().lines == [("Fees in PEX", "debit")]
    assert form.purchase_effects().lines == [("Purchases in PEX", "debit")]


def test_the_sketch_shows_every_entry_on_both_sides():
    pex, *others = AccountOptions(books(), EVERYTHING).sketches()
    assert sorted(pex.debit + pex.credit) == sorted(line for each in others for line in each.debit + each.credit)
    assert sorted(pex.debit) == sorted(line for each in others for line in each.credit)


def test_a_synced_tag_is_offered_for_the_account():
    synced = replace(PURCHASES, synced={"account": "11"})
    assert AccountOptions(books(), synced)["account_tag"].value() == "11"
    assert "EXPENSE TYPE gets the accounts of Xero" in AccountOptions(books(), synced).about_tag()


def test_a_tag_that_is_kept_by_hand_is_said():
    draft = replace(PURCHASES, fields={"account": FieldSource(source="tag", tag="10")})
    assert "PROJECTS are kept by hand" in AccountOptions(books(), draft).about_tag()
    other = replace(draft, synced={"account": "11"})
    assert "synced to EXPENSE TYPE, not to PROJECTS" in AccountOptions(books(), other).about_tag()


def test_while_the_books_do_not_answer_a_choice_may_stay():
    silent = books(options={}, fields=[], trouble="Xero is not answering.")
    draft = replace(EVERYTHING, pex_account="bank", extra={"tax": "none"})
    form = AccountOptions(silent, draft, typed(**ONE_ACCOUNT, transfer_account="checking", fee_account="429"))
    assert form.is_valid(), form.errors
    assert form.settings().extra == {"tax": "none"}


# --- Purchase Options -------------------------------------------------------------------------------------------------


def purchases(draft: Settings = PURCHASES, **members: str) -> PurchaseOptions:
    return PurchaseOptions(books(), draft, typed(**members))


def test_mappings_take_tags_of_the_right_type_only():
    form = purchases(**{"tracking:1-map": "on", "tracking:1-from": "tag:20"})
    assert not form.is_valid()
    assert "gone or switched off" in str(form.errors["tracking:1-from"])

    form = purchases(**{
        "tracking:1-map": "on", "tracking:1-from": "tag:10", "tracking:1-default": "a",
        "description-map": "on", "description-from": "tag:20",
    })  # fmt: skip
    assert form.is_valid(), form.errors
    assert form.settings().fields["tracking:1"].stored() == {"source": "tag", "value": "", "tag": "10", "default": "a"}
    assert form.settings().fields["description"].tag == "20"


def test_the_rows_are_those_of_the_original():
    rows = PurchaseOptions(books(), PURCHASES).rows()
    assert [(row.label, row.type, row.default_text) for row in rows] == [
        ("Item Description", "Tag", "Purchase Description"),
        ("PROJECTS", "Tag", ""),
    ]


def test_a_mapping_switched_off_is_gone_and_a_required_tag_is_marked():
    mapped = purchases(**{"tracking:1-map": "on", "tracking:1-from": "tag:10"})
    assert mapped.is_valid()
    assert [row.required for row in PurchaseOptions(books(), mapped.settings()).rows()] == [False, True]
    off = purchases(mapped.settings(), **{"tracking:1-from": "tag:10"})
    assert off.is_valid()
    assert "tracking:1" not in off.settings().fields


def test_a_field_that_may_be_static_offers_the_values_of_the_books():
    form = purchases(**{"tracking:1-map": "on", "tracking:1-from": "static:a"})
    assert form.is_valid()
    assert form.settings().fields["tracking:1"].stored() == {"source": "static", "value": "a", "tag": "", "default": ""}
    assert form.rows()[1].type == "Static"


@pytest.mark.parametrize("members", [{"tracking:1-from": "static:gone"},
                                     {"tracking:1-from": "tag:10", "tracking:1-default": "gone"}])  # fmt: skip
def test_an_archived_value_is_refused(members):
    form = purchases(**{"tracking:1-map": "on", **members})
    assert not form.is_valid()
    assert "Shut is archived in Xero" in str(form.errors)


def test_a_text_field_takes_no_value_that_is_always_the_same():
    groups = [name for _, name in PurchaseOptions(books(), PURCHASES).fields["description-from"].choices]
    assert groups == ["Choose a tag", "Purpose"]


def test_a_synced_tag_is_offered_for_its_field_and_another_one_is_told():
    synced = replace(PURCHASES, synced={"tracking:1": "10"})
    form = PurchaseOptions(books(), synced)
    assert form["tracking:1-from"].value() == "tag:10"
    assert not form["tracking:1-map"].value()
    other = purchases(synced, **{"tracking:1-map": "on", "tracking:1-from": "tag:11"})
    assert other.rows()[1].note == "Its options are synced to PROJECTS"


# --- Purchase Contact Options -----------------------------------------------------------------------------------------


def test_one_contact_must_be_named():
    form = PurchaseContactOptions(books(), Settings(), typed(party_mode="one"))
    assert not form.is_valid()
    assert "Choose the contact" in str(form.errors["party"])
    form = PurchaseContactOptions(books(), Settings(), typed(party_mode="one", party="p"))
    assert form.is_valid()
    assert form.settings().party == "p"


# --- Fee Options, Rebate Options --------------------------------------------------------------------------------------


def test_fees_name_their_contact_and_their_tracking():
    draft = replace(EVERYTHING, by_kind={Kind.FEE: {"account": "429"}})
    form = FeeOptions(books(), draft, typed(**{"party": "p", "tracking:1-map": "on", "tracking:1-from": "a"}))
    assert form.is_valid(), form.errors
    assert form.settings().by_kind == {Kind.FEE: {"account": "429", "party": "p", "tracking:1": "a"}}
    assert form.booked_on() == "429 General"


def test_rebates_name_their_account_too():
    form = RebateOptions(books(), EVERYTHING, typed(account="260", party="p"))
    assert form.is_valid(), form.errors
    assert form.settings().by_kind == {Kind.REBATE: {"account": "260", "party": "p"}}
    assert form.booked_on() == ""
    assert form.effects().lines == [("Rebates to PEX", "credit")]


@pytest.mark.parametrize(
    ("form", "members", "field", "says"),
    [
        (FeeOptions, {}, "party", "Choose the contact of fees."),
        (RebateOptions, {"party": "p"}, "account", "Choose the income account of rebates."),
        (RebateOptions, {"account": "260"}, "party", "Choose the contact of rebates."),
        (FeeOptions, {"party": "p", "tracking:1-map": "on"}, "tracking:1-from", "Choose the PROJECTS of all fees"),
        (FeeOptions, {"party": "gone"}, "party", "no longer in Xero"),
    ],
)
def test_what_fees_and_rebates_lack_is_said(form, members, field, says):
    filled = form(books(), EVERYTHING, typed(**members))
    assert not filled.is_valid()
    assert says in str(filled.errors[field])


def test_a_mapping_of_fees_switched_off_is_gone():
    draft = replace(EVERYTHING, by_kind={Kind.FEE: {"account": "429", "party": "p", "tracking:1": "a"}})
    form = FeeOptions(books(), draft, typed(**{"party": "p", "tracking:1-from": "a"}))
    assert form.is_valid()
    assert "tracking:1" not in form.settings().by_kind[Kind.FEE]


# --- another system ---------------------------------------------------------------------------------------------------


def test_a_connector_chooses_its_steps():
    assert [step.key for step in steps_of(Xero)] == [
        "sync", "options", "accounts", "purchases", "contacts", "fees", "rebates",
    ]  # fmt: skip
    assert [step.words(step.name, Xero) for step in steps_of(Xero)][1] == "Xero Sync Options"


def test_a_field_of_another_system_is_mapped_alike():
    wanted = Field("dimension", "Department", required=True)
    given = books(fields=[wanted], options={"dimension": [Option("d1", "Field work", group="Active")]})
    form = PurchaseOptions(given, PURCHASES, typed(**{"dimension-from": "static:d1"}))
    assert form.is_valid()
    assert form.settings().fields["dimension"].value == "d1"
    assert form.rows()[0].required


def test_a_system_whose_rebates_stand_alone_needs_no_purchases():
    class Alone(Xero):
        needs = Connector.needs

    members = typed(approved_only="all", kind_rebate="on", start_date="2026-05-01")
    form = SyncOptions(books(connector=Alone, today=DAY), PURCHASES, members)
    assert form.is_valid()


# --- long lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", ["", "<b>", "429"])
def test_a_long_select_is_drawn_as_any_other(chosen):
    choices = [("", "Choose"), ("<b>", 'A "sign" & <script>'), ("Group's", [("429", "429 General"), ("x", "X")])]
    attrs = {"class": "select", "aria-describedby": "party-error"}
    drawn, plain = (
        each(attrs=attrs, choices=choices).render("party", chosen, {"id": "id_party"}) for each in (LongSelect, Select)
    )
    assertHTMLEqual(drawn, plain)
    assert drawn.count(" selected") == 1


def test_thousands_of_contacts_take_no_template_each():
    """They take Django's own select seconds."""

    def templates(contacts: int) -> int:
        form = PurchaseContactOptions(
            books(options={"party": [Option(f"p{n}", f"Contact {n}") for n in range(contacts)]}), PURCHASES
        )
        drawn: list[object] = []

        def one_more(**facts: object) -> None:
            drawn.append(facts)

        template_rendered.connect(one_more)
        assert str(form["party"]).count("<option") == contacts + 1
        return len(drawn)

    assert templates(300) == templates(3)
