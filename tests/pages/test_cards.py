"""The cards by themselves: what they offer, what they refuse and in which words, what they give."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test.signals import template_rendered

from connectors.dynamics365 import mapping
from connectors.dynamics365.connector import Dynamics365
from connectors.records import Company, Field, Kind, Option
from connectors.settings import ONE_PARTY, PURCHASE_DAY, STATIC, TAG, FieldSource, Settings
from connectors.xero.connector import Xero
from pexsync.pages.review import warnings
from pexsync.pages.steps import CARDS, Books, CardsForm, place_of, steps_of
from pexsync.pages.steps.cards.purchases import PurchaseCard
from syncjobs.window import one_year_before
from tagging.models import Tag

DAY = date(2026, 5, 3)
PURCHASES = Settings(kinds=frozenset({Kind.PURCHASE}))
ACCOUNT_TAG = Tag(tag_id="10", name="Expense Account", type="Dropdown", required=True)
TEAM_TAG = Tag(tag_id="11", name="Team", type="Dropdown")
TEXT_TAG = Tag(tag_id="20", name="Purpose", type="Text")
DEPARTMENT = mapping.dimension_fields([{"id": "dep", "code": "DEPARTMENT", "displayName": "Department"}])[0]
ACME, OTHER = Company("t/Production/acme", "Acme Builders"), Company("t/Production/other", "Other Inc.")
OPTIONS = {
    "pex_account": [
        Option("cash", "PEX Funds", "1150", group="Assets", type="Assets"),
        Option("shut", "Old Funds", "1160", group="Assets", type="Assets", active=False),
        Option("owed", "PEX Owed", "2150", group="Liabilities", type="Liabilities"),
        Option("adv", "Advertising", "8100", group="Expense", type="Expense"),
    ],
    "account": [
        Option("cash", "PEX Funds", "1150", group="Assets", type="Assets"),
        Option("adv", "Advertising", "8100", group="Expense"),
        Option("off", "Office Supplies", "8200", group="Expense"),
        Option("gone", "Telex", "8300", group="Expense", active=False),
    ],
    "bank": [Option("bank:c", "Checking", "CHECKING"), Option("bank:e", "Euro", "EURO", type="EUR")],
    "party": [Option("pex", "PEX", "V1"), Option("odd", "Oddities", "V2")],
    "tax": [Option("taxable", "Taxable", "TAXABLE")],
    DEPARTMENT.key: [Option("adm", "Administration", "ADM"), Option("prod", "Production", "PROD")],
}


def books(**changes: Any) -> Books:
    """What a company in Business Central offers, without asking anybody."""
    given: dict[str, Any] = {
        "connector": Dynamics365,
        "charge": False,
        "today": DAY,
        "fields": [*mapping.FIELDS, DEPARTMENT],
        "options": OPTIONS,
        "tags": [ACCOUNT_TAG, TEAM_TAG, TEXT_TAG],
        "company": ACME,
        "companies": [ACME, OTHER],
    }
    return Books(**{**given, **changes})


def sent(draft: Settings = PURCHASES, given: Books | None = None, **members: str | None) -> QueryDict:
    """The page as a person sends it who changes these members ("purchase.on": `None` switches off); fit to be saved."""
    right = {"books-pex_account": "cash", "purchase-account-type": "static", "purchase-account-value": "adv"}
    data = CardsForm(given or books(), draft)._as_typed()
    for name, value in {**right, **members}.items():
        if value is None:
            data.pop(name, None)
        else:
            data[name] = value
    return data


def cards(draft: Settings = PURCHASES, given: Books | None = None, **members: str | None) -> CardsForm:
    given = given or books()
    return CardsForm(given, draft, sent(draft, given, **members))


def saved(draft: Settings = PURCHASES, given: Books | None = None, **members: str | None) -> Settings:
    form = cards(draft, given, **members)
    assert form.is_valid(), form.summary()
    return form.settings()


def wrong(draft: Settings = PURCHASES, given: Books | None = None, **members: str | None) -> dict[str, str]:
    """What is wrong, by the id of the control the summary links to."""
    form = cards(draft, given, **members)
    assert not form.is_valid()
    return dict(form.summary())


def names(field: Any) -> list[str]:
    return [
        name for _, group in field.choices for name in ([group] if isinstance(group, str) else dict(group).values())
    ]


# --- which cards ------------------------------------------------------------------------------------------------------


def test_a_connector_of_cards_has_one_step():
    assert steps_of(Dynamics365) == [CARDS]
    assert CARDS not in steps_of(Xero)


@pytest.mark.parametrize(
    ("charge", "kinds"),
    [
        (False, [Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.REBATE]),
        (True, [Kind.PURCHASE, Kind.FEE, Kind.BILL_PAYMENT, Kind.REBATE]),
    ],
)
def test_the_cards_are_those_of_the_account_type_each_with_its_switch(charge, kinds):
    form = CardsForm(books(charge=charge), PURCHASES)
    assert [card.kind for card in form.kinds] == kinds
    what = {
        Kind.PURCHASE: "cardholder purchases",
        Kind.FEE: "business & cardholder fees",
        Kind.TRANSFER: "business transfers",
        Kind.BILL_PAYMENT: "business bill payments",
        Kind.REBATE: "business rebates",
    }
    assert [card["on"].label for card in form.kinds] == [
        f"Create journal entries in Dynamics for {what[kind]}" for kind in kinds
    ]


def test_before_a_company_is_chosen_only_days_and_company_are_asked():
    form = CardsForm(books(company=None, fields=[], options={}), PURCHASES)
    assert [card.prefix for card in form.cards] == ["settings"]
    assert names(form.days.fields["company"]) == ["Choose a company", "Acme Builders", "Other Inc."]


def test_a_system_whose_company_is_chosen_elsewhere_is_not_asked_for_it():
    class Elsewhere(Dynamics365):
        company_in_setup = False

    form = CardsForm(books(connector=Elsewhere, company=None), PURCHASES)
    assert "company" not in form.days.fields
    assert len(form.cards) == 6


# --- Transaction Settings ---------------------------------------------------------------------------------------------


def test_both_days_may_stay_empty():
    settings = saved()
    assert (settings.start_date, settings.end_date) == (None, None)


def test_days_are_kept():
    settings = saved(**{"settings-start_date": "2026-05-01", "settings-end_date": "2026-05-02"})
    assert (settings.start_date, settings.end_date) == (date(2026, 5, 1), date(2026, 5, 2))


LIMIT = one_year_before(DAY)


@pytest.mark.parametrize(
    ("members", "control", "says"),
    [
        ({"settings-start_date": (LIMIT - timedelta(days=1)).isoformat()}, "start_date", "not be before May 3, 2025"),
        ({"settings-start_date": "2026-05-04"}, "start_date", "not lie in the future"),
        ({"settings-start_date": "junk"}, "start_date", "as year, month and day"),
        ({"settings-end_date": "junk"}, "end_date", "or leave it empty"),
        (
            {"settings-start_date": "2026-05-02", "settings-end_date": "2026-05-01"},
            "end_date",
            "not be before the Start Date",
        ),
    ],
)
def test_days_that_cannot_be_are_refused(members, control, says):
    assert says in wrong(**members)[f"id_settings-{control}"]


def test_a_start_date_of_a_year_ago_is_right():
    assert saved(**{"settings-start_date": LIMIT.isoformat()}).start_date == LIMIT


@pytest.mark.parametrize(
    ("company", "says"),
    [
        (OTHER.id, "Acme Builders is in use. Press USE THIS COMPANY to change it, or choose Acme Builders again."),
        ("", "Choose the company"),
        ("t/Production/nowhere", "Acme Builders is in use."),
    ],
)
def test_another_company_is_never_saved_silently(company, says):
    assert says in wrong(**{"settings-company": company})["id_settings-company"]


def test_the_first_company_has_to_be_used_before_anything_is_saved():
    none = books(company=None, fields=[], options={})
    assert "Press USE THIS COMPANY" in wrong(given=none, **{"settings-company": ACME.id})["id_settings-company"]


def test_a_company_the_sign_in_no_longer_opens_is_named():
    form = CardsForm(books(companies=[OTHER]), PURCHASES)
    assert form.days.closed_out
    assert names(form.days.fields["company"]) == ["Acme Builders", "Other Inc."]
    assert not CardsForm(books(), PURCHASES).days.closed_out
    assert not CardsForm(books(companies=[], trouble="Silent."), PURCHASES).days.closed_out


@pytest.mark.parametrize(("charge", "offered"), [(False, "1150 PEX Funds"), (True, "2150 PEX Owed")])
def test_only_accounts_that_may_stand_for_pex_are_offered(charge, offered):
    form = CardsForm(books(charge=charge), PURCHASES)
    assert names(form.own.fields["pex_account"]) == ["Choose an account", offered]
    assert not form.own.no_account


def test_no_fitting_account_is_said():
    only = {**OPTIONS, "pex_account": OPTIONS["pex_account"][2:]}
    assert CardsForm(books(options=only), PURCHASES).own.no_account
    assert not CardsForm(books(options={}, fields=[], trouble="Silent."), PURCHASES).own.no_account


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ("", "Choose the account in Dynamics 365 that stands for PEX."),
        ("nowhere", "no longer in Dynamics 365"),
        ("shut", "Old Funds"),
        ("owed", "no asset account"),
    ],
)
def test_an_account_that_cannot_stand_for_pex_is_refused(chosen, says):
    assert says in wrong(**{"books-pex_account": chosen})["id_books-pex_account"]


def test_a_chosen_account_that_no_longer_fits_stays_visible():
    form = CardsForm(books(), replace(PURCHASES, pex_account="owed"))
    assert "2150 PEX Owed" in names(form.own.fields["pex_account"])


def test_an_account_without_a_category_is_doubted():
    bare = [Option("bare", "Funds", "1100")]
    form = CardsForm(books(options={**OPTIONS, "pex_account": bare}), replace(PURCHASES, pex_account="bare"))
    assert "1100 Funds has no category" in form.own.doubt
    assert CardsForm(books(), replace(PURCHASES, pex_account="cash")).own.doubt == ""


def test_every_kind_says_what_it_does_to_the_account_of_a_prepaid_business():
    own = CardsForm(books(), PURCHASES).own
    assert own.effects() == [
        ("Purchases in PEX", "deducted from", "credit"),
        ("Fees in PEX", "deducted from", "credit"),
        ("Transfers to PEX", "added to", "debit"),
        ("Rebates to PEX", "added to", "debit"),
    ]
    assert own.turned() == "Refunds, reversals and withdrawals"


def test_every_kind_says_what_it_does_to_the_account_of_a_charge_business():
    assert CardsForm(books(charge=True), PURCHASES).own.effects() == [
        ("Purchases in PEX", "charged to", "credit"),
        ("Fees in PEX", "charged to", "credit"),
        ("Bill payments to PEX", "taken off", "debit"),
        ("Rebates to PEX", "taken off", "debit"),
    ]


# --- Purchases --------------------------------------------------------------------------------------------------------


def test_a_first_page_has_the_recommended_answers():
    settings = saved()
    assert settings.kinds == {Kind.PURCHASE}
    assert settings.approved_only
    assert (settings.receipts, settings.late_receipts, settings.bill_pay) == (True, True, False)
    assert settings.posting_date == "settlement"
    assert (settings.party_mode, settings.clean_names) == ("merchant", True)
    assert settings.extra == {"vendors": "names", "create_vendors": True}
    assert settings.fields == {"account": FieldSource(source=STATIC, value="adv")}


def test_every_answer_about_purchases_is_kept():
    settings = saved(**{
        "purchase-which": "all", "purchase-bill_pay": "on", "purchase-receipts": None, "purchase-late_receipts": None,
        "purchase-posting_date": "purchase", "purchase-clean_names": None, "books-create_vendors": None,
        "books-vendors": "ledger",
    })  # fmt: skip
    assert not settings.approved_only
    assert (settings.receipts, settings.late_receipts, settings.bill_pay) == (False, False, True)
    assert settings.posting_date == PURCHASE_DAY
    assert not settings.clean_names
    assert settings.extra == {"vendors": "ledger", "create_vendors": False}


def test_the_vendor_questions_stand_where_they_belong():
    form = CardsForm(books(), PURCHASES)
    assert [each.label for each in form.own.of_each_merchant()] == ["Update vendors with the chosen company if needed"]
    assert [each.name for each in form.own.of_purchases()] == ["vendors"]
    [purchases, *_] = form.kinds
    assert purchases["per_merchant"].label == "Create a Dynamics vendor for each unique merchant"
    assert purchases["clean_names"].label == "Use standardized vendor names"


@pytest.mark.parametrize("name", ["which", "posting_date"])
def test_a_choice_nobody_offered_is_refused(name):
    assert f"id_purchase-{name}" in wrong(**{f"purchase-{name}": "nonsense"})


# --- Purchase Field Mappings ------------------------------------------------------------------------------------------


def rows(form: CardsForm) -> dict[str, Any]:
    purchases = form.kinds[0]
    assert isinstance(purchases, PurchaseCard)
    return {row.label: row for row in purchases.rows()}


def test_the_rows_are_account_vendor_tax_and_every_dimension():
    found = rows(CardsForm(books(), PURCHASES))
    assert list(found) == ["Expense Account", "Vendor", "Tax", "Department"]
    assert [row.required for row in found.values()] == [True, False, False, False]
    assert [row.values for row in found.values()] == ["3 values", "2 values", "1 value", "2 values"]
    assert [row.when for row in found.values()] == ["", "purchase-per_merchant!=on", "", ""]
    assert [name for _, name in found["Tax"].type.field.choices] == ["Static", "Tag"]
    assert names(found["Department"].tag.field) == ["Choose a tag", "Expense Account", "Team"]


def test_what_must_be_coded_begins_with_a_tag_and_the_rest_empty():
    found = rows(CardsForm(books(), PURCHASES))
    assert [row.type.value() for row in found.values()] == [TAG, STATIC, STATIC, STATIC]
    without = rows(CardsForm(books(tags=[TEXT_TAG]), PURCHASES))
    assert without["Expense Account"].type.value() == STATIC
    assert without["Expense Account"].no_tags


def test_a_tag_that_pex_requires_is_marked():
    by_tag = replace(PURCHASES, fields={DEPARTMENT.key: FieldSource(source=TAG, tag="10")})
    assert rows(CardsForm(books(), by_tag))["Department"].tag_required
    assert not rows(CardsForm(books(), PURCHASES))["Department"].tag_required


def test_what_tax_does_to_an_amount_is_said():
    [(label, says)] = CardsForm(books(), PURCHASES).kinds[0].hints()
    assert label == "Tax"
    assert "$108.00 stays $108.00 on the PEX account" in says


def test_a_field_is_mapped_to_a_tag_with_a_default_and_feeds_it():
    settings = saved(**{
        "purchase-account-type": "tag", "purchase-account-tag": "10", "purchase-account-default": "off",
        "purchase-account-sync": "on",
    })  # fmt: skip
    assert settings.fields["account"] == FieldSource(source=TAG, tag="10", default="off")
    assert settings.synced == {"account": "10"}
    assert rows(CardsForm(books(), settings))["Expense Account"].sync.value()


def test_a_static_field_feeds_no_tag_whatever_its_switch_says():
    settings = saved(**{"purchase-account-tag": "10", "purchase-account-sync": "on"})
    assert settings.synced == {}
    assert settings.fields["account"] == FieldSource(source=STATIC, value="adv")


def test_a_field_of_the_books_that_is_left_empty_is_not_mapped():
    mapped = saved(**{f"purchase-{DEPARTMENT.key}-value": "adm"})
    assert mapped.fields[DEPARTMENT.key] == FieldSource(source=STATIC, value="adm")
    assert DEPARTMENT.key not in saved(mapped, **{f"purchase-{DEPARTMENT.key}-value": ""}).fields


@pytest.mark.parametrize(
    ("members", "control", "says"),
    [
        ({"purchase-account-value": ""}, "account-value", "Choose the Expense Account of all purchases"),
        ({"purchase-account-value": "nowhere"}, "account-value", "no longer in Dynamics 365"),
        ({"purchase-account-value": "gone"}, "account-value", "8300 Telex is"),
        ({"purchase-account-value": "cash", "books-pex_account": "cash"}, "account-value", "stands for PEX itself"),
        ({"purchase-account-type": "tag"}, "account-tag", "Choose the PEX tag that names the Expense Account"),
        ({"purchase-account-type": "tag", "purchase-account-tag": "20"}, "account-tag", "gone or switched off"),
        ({"purchase-account-type": "tag", "purchase-account-tag": "99"}, "account-tag", "gone or switched off"),
        (
            {"purchase-account-type": "tag", "purchase-account-tag": "10", "purchase-account-default": "gone"},
            "account-default",
            "8300 Telex is",
        ),
        ({"purchase-tax-type": "tag"}, "tax-tag", "Choose the PEX tag that names the Tax, or choose Static."),
        ({"purchase-account-type": "none"}, "account-type", "Select a valid choice"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_at_its_control(members, control, says):
    assert says in wrong(**members)[f"id_purchase-{control}"]


BOTH = {
    "purchase-account-type": "tag", "purchase-account-tag": "10", "purchase-account-sync": "on",
    f"purchase-{DEPARTMENT.key}-type": "tag", f"purchase-{DEPARTMENT.key}-tag": "10",
}  # fmt: skip


def test_one_tag_is_fed_by_one_field():
    says = wrong(**BOTH, **{f"purchase-{DEPARTMENT.key}-sync": "on"})[f"id_purchase-{DEPARTMENT.key}-tag"]
    assert "Expense Account gets the options of Expense Account already" in says
    assert saved(**BOTH).synced == {"account": "10"}


def test_one_tag_is_fed_by_one_connection():
    says = wrong(given=books(taken={"10": "Department in Ledgerly"}), **BOTH)["id_purchase-account-tag"]
    assert "gets the options of Department in Ledgerly already" in says


def test_a_field_the_books_no_longer_have_is_mapped_and_fed_no_more():
    gone = replace(PURCHASES, fields={"dimension:x": FieldSource(source=TAG, tag="11")}, synced={"dimension:x": "11"})
    settings = saved(gone)
    assert (set(settings.fields), settings.synced) == ({"account"}, {})


# --- vendors ----------------------------------------------------------------------------------------------------------


ONE_VENDOR = {"purchase-per_merchant": None}


def test_one_vendor_for_all_purchases():
    settings = saved(**ONE_VENDOR, **{"purchase-party-value": "pex"})
    assert settings.party_mode == ONE_PARTY
    assert settings.fields["party"] == FieldSource(source=STATIC, value="pex")


def test_the_vendor_by_tag_with_its_options():
    tag = {"purchase-party-type": "tag", "purchase-party-tag": "11", "purchase-party-default": "pex"}
    settings = saved(**ONE_VENDOR, **tag, **{"purchase-party-sync": "on"})
    assert settings.fields["party"] == FieldSource(source=TAG, tag="11", default="pex")
    assert settings.synced == {"party": "11"}


def test_a_purchase_needs_no_vendor():
    settings = saved(**ONE_VENDOR)
    assert settings.party_mode == ONE_PARTY
    assert "party" not in settings.fields


def test_with_one_vendor_for_each_merchant_the_row_is_not_judged_and_feeds_nothing():
    tag = {"purchase-party-type": "tag", "purchase-party-tag": "11", "purchase-party-sync": "on"}
    settings = saved(**tag, **{"purchase-party-default": "nowhere"})
    assert settings.fields["party"].tag == "11"
    assert settings.synced == {}


def test_only_a_vendor_tag_in_use_is_warned_about():
    tag = {"purchase-party-type": "tag", "purchase-party-tag": "11"}
    assert warnings(saved(**tag), PURCHASES, books()) == []
    assert "The options of Team are kept by hand" in warnings(saved(**ONE_VENDOR, **tag), PURCHASES, books())[0]


# --- Fees, Transfers or Bill Payments, Rebates ------------------------------------------------------------------------

FIXED = {
    Kind.FEE: {"fee-on": "on", "fee-account": "adv"},
    Kind.TRANSFER: {"transfer-on": "on", "transfer-account": "bank:c"},
    Kind.REBATE: {"rebate-on": "on", "rebate-account": "off"},
}


@pytest.mark.parametrize("kind", FIXED)
def test_each_kind_without_tags_has_an_account_and_the_dimensions(kind):
    card = next(each for each in CardsForm(books(), PURCHASES).kinds if each.kind is kind)
    account = {Kind.FEE: "Fee Account", Kind.TRANSFER: "Bank Account", Kind.REBATE: "Income Account"}[kind]
    assert [(row.label, row.required) for row in card.rows()] == [(account, True), ("Department", False)]
    chosen = {**FIXED[kind], f"{kind.value}-{DEPARTMENT.key}": "adm"}
    settings = saved(**chosen)
    assert settings.kinds == {Kind.PURCHASE, kind}
    assert settings.by_kind == {kind: {"account": FIXED[kind][f"{kind.value}-account"], DEPARTMENT.key: "adm"}}


def test_every_kind_says_what_it_does_to_its_account():
    effects = {card.kind: card.effects().lines for card in CardsForm(books(), PURCHASES).kinds}
    assert effects == {
        Kind.PURCHASE: [("Purchases in PEX", "debit")],
        Kind.FEE: [("Fees in PEX", "debit")],
        Kind.TRANSFER: [("Transfers to PEX", "credit")],
        Kind.REBATE: [("Rebates to PEX", "credit")],
    }


def test_purchases_and_fees_may_share_an_account():
    settings = saved(**FIXED[Kind.FEE])
    assert settings.fields["account"].value == settings.by_kind[Kind.FEE]["account"]


@pytest.mark.parametrize(
    ("members", "control", "says"),
    [
        ({"fee-on": "on"}, "fee-account", "Choose the Fee Account of fees."),
        ({"fee-on": "on", "fee-account": "gone"}, "fee-account", "8300 Telex is"),
        ({"fee-on": "on", "fee-account": "cash"}, "fee-account", "stands for PEX itself"),
        ({"transfer-on": "on"}, "transfer-account", "Choose the Bank Account of transfers."),
        ({"transfer-on": "on", "transfer-account": "bank:e"}, "transfer-account", "kept in EUR"),
        ({"rebate-on": "on"}, "rebate-account", "Choose the Income Account of rebates."),
        ({**FIXED[Kind.FEE], f"fee-{DEPARTMENT.key}": "nowhere"}, f"fee-{DEPARTMENT.key}", "no longer in Dynamics"),
        ({"fee-on": "on", "fee-account": "x" * 300}, "fee-account", "Choose one of the list."),
    ],
)
def test_what_a_kind_lacks_is_said_at_its_control(members, control, says):
    assert says in wrong(**members)[f"id_{control}"]


def test_a_charge_account_pays_its_bills():
    given = books(charge=True)
    settings = saved(
        given=given, **{"books-pex_account": "owed", "bill_payment-on": "on", "bill_payment-account": "bank:c"}
    )
    assert settings.kinds == {Kind.PURCHASE, Kind.BILL_PAYMENT}
    assert settings.by_kind == {Kind.BILL_PAYMENT: {"account": "bank:c"}}


def test_a_kind_the_business_no_longer_has_is_switched_off():
    draft = replace(PURCHASES, kinds=frozenset({Kind.PURCHASE, Kind.TRANSFER}))
    given = books(charge=True)
    assert saved(draft, given, **{"books-pex_account": "owed"}).kinds == {Kind.PURCHASE}


# --- kinds that are off -----------------------------------------------------------------------------------------------


def test_what_stands_in_a_card_that_is_off_is_neither_judged_nor_lost():
    settings = saved(**{"fee-account": "gone", f"fee-{DEPARTMENT.key}": "adm", "rebate-account": "x" * 300})
    assert settings.kinds == {Kind.PURCHASE}
    assert settings.by_kind == {Kind.FEE: {"account": "gone", DEPARTMENT.key: "adm"}}


def test_purchases_that_are_off_keep_their_mappings():
    whole = saved(**{
        "purchase-account-type": "tag", "purchase-account-tag": "10", "purchase-account-sync": "on", **FIXED[Kind.FEE],
    })  # fmt: skip
    off = {"purchase-on": None, "purchase-account-type": "tag", "purchase-which": "nonsense"}
    settings = saved(whole, **off)
    assert settings.kinds == {Kind.FEE}
    assert (settings.fields, settings.synced) == (whole.fields, whole.synced)
    assert settings.approved_only


def test_purchases_that_are_off_begin_to_feed_no_tag_of_another_connection():
    by_tag = {"purchase-account-type": "tag", "purchase-account-tag": "10", "purchase-account-sync": "on"}
    given = books(taken={"10": "Department in Ledgerly"})
    assert saved(given=given, **by_tag, **FIXED[Kind.FEE], **{"purchase-on": None}).synced == {}


def test_nothing_to_sync_is_no_setting():
    assert "at least one kind" in wrong(**{"purchase-on": None})["id_purchase-on"]


def test_a_kind_that_needs_another_one_says_so():
    class Together(Dynamics365):
        needs = {Kind.REBATE: Kind.PURCHASE}

    only = {**FIXED[Kind.REBATE], "purchase-on": None}
    assert "only together with Purchases" in wrong(given=books(connector=Together), **only)["id_rebate-on"]
    assert saved(**only).kinds == {Kind.REBATE}


# --- what was on the page ---------------------------------------------------------------------------------------------


def test_a_card_that_was_not_on_the_page_stays_as_it_was():
    draft = saved(**FIXED[Kind.FEE], **{"purchase-which": "all"})
    only_days = QueryDict(mutable=True)
    only_days.update({"settings-shown": "on", "settings-company": ACME.id, "settings-start_date": "2026-05-01"})
    form = CardsForm(books(), draft, only_days)
    assert form.is_valid(), form.summary()
    assert form.settings() == replace(draft, start_date=date(2026, 5, 1))


def test_a_row_that_was_not_on_the_page_stays_as_it_was():
    draft = saved(**{
        f"purchase-{DEPARTMENT.key}-type": "tag", f"purchase-{DEPARTMENT.key}-tag": "11",
        f"purchase-{DEPARTMENT.key}-sync": "on",
    })  # fmt: skip
    data = sent(draft)
    for name in [name for name in data if DEPARTMENT.key in name]:
        data.pop(name)
    form = CardsForm(books(), draft, data)
    assert form.is_valid(), form.summary()
    assert form.settings() == draft


def test_what_was_left_is_shown_again_and_not_judged():
    left = sent(**{"settings-start_date": "junk", "purchase-which": "all", "purchase-account-value": "nowhere",
                   "purchase-receipts": None, "books-vendors": "ledger", "fee-account": "adv"})  # fmt: skip
    form = CardsForm.reopened(books(), PURCHASES, left)
    assert form.summary() == []
    assert form.days["start_date"].value() == "junk"
    assert form.kinds[0]["which"].value() == "all"
    assert form.kinds[0]["receipts"].value() is False
    assert form.own.own["vendors"].value() == "ledger"
    assert form.kinds[1]["account"].value() == "adv"
    assert rows(form)["Expense Account"].value.value() == "nowhere"
    assert "nowhere" in dict(rows(form)["Expense Account"].value.field.choices)
    assert "as year, month and day" in dict(form.looked_at().summary())["id_settings-start_date"]


def test_what_was_left_before_there_was_a_company_keeps_the_answers_of_the_draft():
    left = QueryDict("settings-shown=on&settings-start_date=2026-05-01&settings-company=")
    form = CardsForm.reopened(books(), PURCHASES, left)
    assert form.days["start_date"].value() == "2026-05-01"
    assert form.kinds[0]["on"].value() is True
    assert form.own.own["create_vendors"].value() is True


def test_as_it_stands_counts_what_is_wrong_as_before():
    draft = saved(**{"settings-start_date": "2026-05-01"})
    form = cards(draft, **{"settings-start_date": "junk", "purchase-which": "nonsense", "purchase-receipts": None})
    settings = form.as_it_stands()
    assert settings.start_date == date(2026, 5, 1)
    assert settings.approved_only
    assert not settings.receipts


# --- silent books, long lists -----------------------------------------------------------------------------------------


def test_while_the_books_do_not_answer_everything_stays():
    draft = saved(
        **FIXED[Kind.FEE], **{"purchase-account-type": "tag", "purchase-account-tag": "10", "books-vendors": "ledger"}
    )
    silent = books(options={}, fields=[], companies=[], trouble="Dynamics 365 is not answering.")
    form = CardsForm(silent, draft)
    assert names(form.own.fields["pex_account"]) == ["Choose an account", "As chosen before"]
    again = form.looked_at()
    assert again.is_valid(), again.summary()
    assert again.settings() == draft


def test_while_pex_does_not_answer_the_books_are_shown_all_the_same():
    silent = books(tags=[], trouble="PEX is not answering.", silent="PEX")
    assert "3 values" not in [row.values for row in rows(CardsForm(silent, PURCHASES)).values()]


def test_a_thousand_accounts_take_no_template_each():
    def templates(count: int) -> int:
        many = {**OPTIONS, "account": [Option(f"a{n}", f"Account {n}") for n in range(count)]}
        form = CardsForm(books(options=many), PURCHASES)
        drawn: list[object] = []

        def one_more(**facts: object) -> None:
            drawn.append(facts)

        template_rendered.connect(one_more)
        row = rows(form)["Expense Account"]
        assert str(row.value).count("<option") == str(row.default).count("<option") == count + 1
        return len(drawn)

    assert templates(1000) == templates(3)


def test_a_text_field_of_another_system_takes_a_text_tag_and_no_value():
    words = Field("description", "Item Description", static=False, tag_types=("Text",))
    given = books(fields=[*mapping.FIELDS, words])
    row = rows(CardsForm(given, PURCHASES))["Item Description"]
    assert (row.value, row.default, row.sync) == (None, None, None)
    settings = saved(given=given, **{"purchase-description-tag": "20"})
    assert settings.fields["description"] == FieldSource(source=TAG, tag="20")


# --- where each setting is asked for ----------------------------------------------------------------------------------

KINDS = replace(PURCHASES, kinds=frozenset({Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.REBATE}))


@pytest.mark.parametrize(
    ("field", "control"),
    [
        ("start_date", "id_settings-start_date"),
        ("end_date", "id_settings-end_date"),
        ("company", "id_settings-company"),
        ("pex_account", "id_books-pex_account"),
        ("vendors", "id_books-vendors"),
        ("create_vendors", "id_books-create_vendors"),
        ("kinds", "id_purchase-on"),
        ("posting_date", "id_purchase-posting_date"),
        ("account", "id_purchase-account-type"),
        ("party", "id_purchase-per_merchant"),
        ("tax", "id_purchase-tax-type"),
        ("dimension:dep", "id_purchase-dimension:dep-type"),
        ("synced:dimension:dep", "id_purchase-dimension:dep-type"),
        ("fee:account", "id_fee-account"),
        ("transfer:account", "id_transfer-account"),
        ("rebate:dimension:dep", "id_rebate-dimension:dep"),
    ],
)
def test_a_cause_finds_its_control(field, control):
    assert place_of(Dynamics365, field, KINDS) == (CARDS, control)


@pytest.mark.parametrize(
    ("draft", "field", "control"),
    [
        ({"fields": {"account": FieldSource(source=TAG, tag="10")}}, "account", "id_purchase-account-tag"),
        ({"fields": {"account": FieldSource(value="adv")}}, "account", "id_purchase-account-value"),
        ({"fields": {"tax": FieldSource(source=TAG, tag="10")}}, "synced:tax", "id_purchase-tax-tag"),
        ({"party_mode": ONE_PARTY}, "party", "id_purchase-party-type"),
        ({"kinds": frozenset({Kind.PURCHASE})}, "fee:account", "id_fee-on"),
        ({"kinds": frozenset({Kind.FEE})}, "account", "id_purchase-on"),
        ({"kinds": frozenset({Kind.BILL_PAYMENT})}, "bill_payment:account", "id_bill_payment-account"),
    ],
)
def test_a_cause_finds_the_control_that_is_to_be_seen(draft, field, control):
    assert place_of(Dynamics365, field, replace(KINDS, **draft)) == (CARDS, control)
