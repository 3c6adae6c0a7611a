"""Coding of the kinds that carry no tags, of descriptions from a text tag, and how an entry is drawn."""

from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.errors import RecordRejected, SettingsNeeded
from connectors.records import Allocation, Field, Kind, KnownTag, Option, Party, TagValue
from connectors.settings import TAG, FieldSource, Settings
from syncjobs import coding
from syncjobs.coding import Book, Choices
from syncjobs.drawing import Drawn, drawn
from tests.syncjobs import test_coding
from tests.syncjobs.test_coding import purchase

BANK_KINDS = (Kind.TRANSFER, Kind.BILL_PAYMENT)
FIELDS = (
    Field("account", "Expense Account", required=True, kinds=(Kind.PURCHASE, Kind.FEE)),
    Field("account", "Income Account", required=True, kinds=(Kind.REBATE,)),
    Field("account", "Source Cash", required=True, kinds=BANK_KINDS, options="pex_account"),
    Field("party", "Contact", required=True, kinds=(Kind.FEE, Kind.REBATE)),
    Field("description", "Item Description", static=False, tag_types=("Text",)),
    Field("tracking:region", "Region", kinds=(Kind.PURCHASE, Kind.FEE)),
)
BANKS = [
    Option("bank", "PEX Cash Account"),
    Option("checking", "Business Checking"),
    Option("old", "Old Bank", active=False),
]
BOOK = Book(
    label="Xero",
    fields=FIELDS,
    choices={**test_coding.BOOK.choices, "pex_account": Choices(BANKS)},
    tags={**test_coding.BOOK.tags, "T3": KnownTag("What for", "Text")},
)
CHOSEN = {
    Kind.FEE: {"account": "id-429", "party": "c-pex", "tracking:region": "north"},
    Kind.REBATE: {"account": "id-449", "party": "c-pex"},
    Kind.TRANSFER: {"account": "checking"},
    Kind.BILL_PAYMENT: {"account": "checking"},
}
SETTINGS = replace(
    test_coding.SETTINGS,
    kinds=frozenset(Kind),
    by_kind=CHOSEN,
    fields={**test_coding.SETTINGS.fields, "description": FieldSource(TAG, tag="T3")},
)


def code(row, settings=SETTINGS, book=BOOK):
    return coding.code(row, settings, book, "PEXT7", "https://pex.example/7")


def without(kind, key):
    chosen = {name: value for name, value in CHOSEN[kind].items() if name != key}
    return replace(SETTINGS, by_kind={**CHOSEN, kind: chosen})


@pytest.mark.parametrize(
    ("kind", "amount", "account", "party", "dimensions"),
    [
        (Kind.FEE, "9.99", "id-429", Party(id="c-pex"), (("tracking:region", "north"),)),
        (Kind.FEE, "-9.99", "id-429", Party(id="c-pex"), (("tracking:region", "north"),)),
        (Kind.REBATE, "-4.20", "id-449", Party(id="c-pex"), ()),
        (Kind.REBATE, "4.20", "id-449", Party(id="c-pex"), ()),
        (Kind.TRANSFER, "-500.00", "checking", Party(), ()),
        (Kind.TRANSFER, "500.00", "checking", Party(), ()),
        (Kind.BILL_PAYMENT, "-500.00", "checking", Party(), ()),
    ],
)
def test_other_kinds_take_what_was_chosen_for_them_and_no_tags(kind, amount, account, party, dimensions):
    splits = (Allocation(Decimal(amount), (TagValue("T1", "449"), TagValue("T2", "south"))),)
    entry = code(purchase(amount, kind=kind, allocations=splits))
    (line,) = entry.lines
    assert (entry.kind, entry.party) == (kind, party)
    assert (line.amount, line.account, line.dimensions) == (Decimal(amount), account, dimensions)


@pytest.mark.parametrize(
    ("kind", "key", "says", "field"),
    [
        (Kind.FEE, "account", "Choose the expense account of fees in Setup.", "fee:account"),
        (Kind.FEE, "party", "Choose the contact of fees in Xero in Setup.", "fee:party"),
        (Kind.REBATE, "account", "Choose the income account of rebates in Setup.", "rebate:account"),
        (Kind.TRANSFER, "account", "Choose the source cash of transfers in Setup.", "transfer:account"),
    ],
)
def test_what_was_not_chosen_is_named_with_its_kind(kind, key, says, field):
    with pytest.raises(SettingsNeeded) as raised:
        code(purchase(kind=kind), without(kind, key))
    assert (str(raised.value), raised.value.field) == (says, field)


def test_a_dimension_left_open_stays_open():
    assert code(purchase(kind=Kind.FEE), without(Kind.FEE, "tracking:region")).lines[0].dimensions == ()


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ("old", "Old Bank is archived in Xero"),
        ("nowhere", "The chosen source cash of transfers no longer exists in Xero"),
        ("BANK", "The source cash is the PEX account itself"),
    ],
)
def test_money_comes_from_another_account_that_is_still_there(chosen, says):
    settings = replace(SETTINGS, by_kind={Kind.TRANSFER: {"account": chosen}})
    with pytest.raises(SettingsNeeded, match=says) as raised:
        code(purchase("-500.00", kind=Kind.TRANSFER), settings)
    assert raised.value.field == "transfer:account"


def test_a_purchase_is_not_booked_on_the_pex_account_itself():
    book = replace(BOOK, choices={**BOOK.choices, "account": BOOK.choices["pex_account"]})
    with pytest.raises(SettingsNeeded, match="The expense account is the PEX account itself"):
        code(purchase(), replace(SETTINGS, fields={"account": FieldSource(value="bank")}), book)


@pytest.mark.parametrize(
    ("typed", "words"), [("Lunch  with\nBob", "Lunch with Bob"), ("", "STAPLES 0123"), (None, "STAPLES 0123")]
)
def test_the_description_is_the_text_tag_or_else_what_was_bought(typed, words):
    tags = {"T1": "429"} | ({} if typed is None else {"T3": typed})
    assert code(purchase(tags=tags)).lines[0].description == words


def test_each_split_has_its_own_description():
    splits = tuple(
        Allocation(Decimal(amount), (TagValue("T1", "429"), TagValue("T3", words)))
        for amount, words in (("10.00", "Paper"), ("2.50", "Pens"))
    )
    assert [line.description for line in code(purchase(allocations=splits)).lines] == ["Paper", "Pens"]


def test_a_required_text_tag_is_asked_for():
    book = replace(BOOK, tags={**BOOK.tags, "T3": KnownTag("What for", "Text", required=True)})
    with pytest.raises(RecordRejected, match="No What for tag") as raised:
        code(purchase(), book=book)
    assert raised.value.cause == "untagged:description"


def test_settings_of_kinds_and_synced_lists_survive_storing():
    settings = replace(SETTINGS, synced={"account": "T1"}, late_receipts=False)
    assert Settings.parse(settings.stored()) == settings


class TestDrawing:
    def test_a_purchase_debits_its_accounts_and_credits_pex(self):
        splits = (
            Allocation(Decimal("10.00"), (TagValue("T1", "429"), TagValue("T2", "north"))),
            Allocation(Decimal("2.50"), (TagValue("T1", "449"),)),
        )
        assert drawn(code(purchase(allocations=splits)), BOOK) == [
            Drawn("429 General Expenses", Decimal("10.00"), None, "STAPLES 0123", (("Region", "North"),)),
            Drawn("449 Motor Vehicle Expenses", Decimal("2.50"), None, "STAPLES 0123"),
            Drawn("PEX Cash Account", None, Decimal("12.50")),
        ]

    def test_a_split_the_other_way_stands_on_the_other_side(self):
        splits = (
            Allocation(Decimal("15.00"), (TagValue("T1", "429"),)),
            Allocation(Decimal("-2.50"), (TagValue("T1", "449"),)),
        )
        lines = drawn(code(purchase(allocations=splits)), BOOK)
        assert sum(line.debit or 0 for line in lines) == sum(line.credit or 0 for line in lines) == Decimal("15.00")

    @pytest.mark.parametrize(
        ("kind", "amount", "debited", "credited"),
        [
            (Kind.PURCHASE, "-12.50", "PEX Cash Account", "429 General Expenses"),
            (Kind.TRANSFER, "-500.00", "PEX Cash Account", "Business Checking"),
            (Kind.TRANSFER, "500.00", "Business Checking", "PEX Cash Account"),
            (Kind.BILL_PAYMENT, "-80.00", "PEX Cash Account", "Business Checking"),
            (Kind.REBATE, "-4.20", "PEX Cash Account", "449 Motor Vehicle Expenses"),
            (Kind.FEE, "9.99", "429 General Expenses", "PEX Cash Account"),
        ],
    )
    def test_money_in_debits_pex_and_money_out_credits_it(self, kind, amount, debited, credited):
        lines = drawn(code(purchase(amount, kind=kind)), BOOK)
        assert [line.account for line in lines if line.debit] == [debited]
        assert [line.account for line in lines if line.credit] == [credited]
        assert {line.debit or line.credit for line in lines} == {abs(Decimal(amount))}
