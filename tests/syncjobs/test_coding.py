from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from connectors.errors import RecordRejected, SettingsNeeded
from connectors.records import Allocation, Field, Kind, KnownTag, Option, Source, TagValue, Transaction
from connectors.settings import ONE_PARTY, PURCHASE_DAY, TAG, FieldSource, Settings
from syncjobs import coding
from syncjobs.coding import Book, Choices

ACCOUNT = Field("account", "Expense Account", required=True)
REGION = Field("tracking:region", "Region")
SETTINGS = Settings(
    kinds=frozenset({Kind.PURCHASE}),
    pex_account="bank",
    fields={"account": FieldSource(TAG, tag="T1"), "tracking:region": FieldSource(TAG, tag="T2")},
)
BOOK = Book(
    label="Xero",
    fields=(ACCOUNT, REGION),
    choices={
        "account": Choices(
            [
                Option("id-429", "General Expenses", "429"),
                Option("id-449", "Motor Vehicle Expenses", "449"),
                Option("id-1", "Twin"),
                Option("id-2", "Twin"),
                Option("id-old", "Old Costs", "480", active=False),
            ]
        ),
        "tracking:region": Choices([Option("north", "North"), Option("south", "South")]),
        "pex_account": Choices([Option("bank", "PEX Cash Account")]),
    },
    tags={
        "T1": KnownTag("Expense Account", "Dropdown", shown_as={"g": "General Expenses"}),
        "T2": KnownTag("Region", "Dropdown"),
    },
)
NOON = datetime(2026, 3, 5, 17, tzinfo=UTC)


def purchase(amount: str = "12.50", tags: dict[str, str] | None = None, **fields: object) -> Transaction:
    given = {"T1": "429"} if tags is None else tags
    values = tuple(TagValue(tag, value) for tag, value in given.items())
    total = Decimal(amount)
    row = Transaction(
        pex_id=7,
        source=Source.TRANSACTION,
        kind=Kind.PURCHASE,
        amount=total,
        happened_at=NOON,
        settled_at=NOON,
        description="STAPLES 0123",
        merchant="STAPLES #0123",
        merchant_clean="Staples",
        allocations=(Allocation(total, values),),
    )
    return replace(row, **fields)


def code(row: Transaction, settings: Settings = SETTINGS, book: Book = BOOK):
    return coding.code(row, settings, book, "PEXT7", "https://pex.example/7")


@pytest.mark.parametrize("value", ["id-429", "ID-429", "429", "general expenses", " 429 ", "g"])
def test_a_tag_value_is_found_by_id_code_or_the_only_name(value):
    assert code(purchase(tags={"T1": value})).lines[0].account == "id-429"


def test_a_name_two_accounts_share_is_not_guessed():
    with pytest.raises(RecordRejected, match="Xero has no expense account “Twin”"):
        code(purchase(tags={"T1": "Twin"}))


def test_an_archived_account_says_so():
    with pytest.raises(RecordRejected, match="480 Old Costs is archived in Xero"):
        code(purchase(tags={"T1": "480"}))


def test_an_untagged_purchase_takes_the_default():
    settings = replace(SETTINGS, fields={"account": FieldSource(TAG, tag="T1", default="id-449")})
    assert code(purchase(tags={}), settings).lines[0].account == "id-449"
    assert code(purchase(tags={"T1": "429"}), settings).lines[0].account == "id-429"


def test_an_untagged_purchase_without_a_default_says_what_to_do():
    with pytest.raises(RecordRejected, match=r"No Expense Account tag\. Tag it in PEX") as refused:
        code(purchase(tags={}))
    assert refused.value.cause == "untagged:account"


def test_what_to_do_is_said_with_the_words_of_that_systems_pages():
    with pytest.raises(RecordRejected, match=r"set a default for Expense Account in Settings\.$"):
        code(purchase(tags={}), book=replace(BOOK, setup_page="Settings"))


def test_a_field_nobody_needs_stays_empty():
    assert code(purchase()).lines[0].dimensions == ()
    assert code(purchase(tags={"T1": "429", "T2": "north"})).lines[0].dimensions == (("tracking:region", "north"),)


def test_a_tag_pex_requires_is_required_here_too():
    book = replace(BOOK, tags=BOOK.tags | {"T2": KnownTag("Region", "Dropdown", required=True)})
    with pytest.raises(RecordRejected, match="No Region tag"):
        code(purchase(), book=book)


def test_a_static_account_needs_no_tag():
    settings = replace(SETTINGS, fields={"account": FieldSource(value="id-449")})
    assert code(purchase(tags={}), settings).lines[0].account == "id-449"


@pytest.mark.parametrize("chosen", ["id-old", "id-gone", ""])
def test_a_chosen_account_that_no_longer_fits_is_the_settings_matter(chosen):
    settings = replace(SETTINGS, fields={"account": FieldSource(value=chosen)})
    with pytest.raises(SettingsNeeded) as error:
        code(purchase(), settings)
    assert error.value.field == "account"


@pytest.mark.parametrize("tag", [KnownTag("Expense Account", "Dropdown", usable=False), None])
def test_a_mapped_tag_that_is_gone_is_the_settings_matter(tag):
    book = replace(BOOK, tags={"T1": tag} if tag else {})
    with pytest.raises(SettingsNeeded, match="which is gone"):
        code(purchase(), book=book)


def test_with_tags_switched_off_the_default_is_used():
    settings = replace(SETTINGS, fields={"account": FieldSource(TAG, tag="T1", default="id-449")})
    assert code(purchase(), settings, replace(BOOK, tags_enabled=False)).lines[0].account == "id-449"


@pytest.mark.parametrize("account", ["", "gone"])
def test_a_pex_account_that_is_missing_is_the_settings_matter(account):
    with pytest.raises(SettingsNeeded) as error:
        code(purchase(), replace(SETTINGS, pex_account=account))
    assert error.value.field == "pex_account"


def test_each_share_of_a_split_is_a_line_and_equal_ones_are_kept():
    shares = tuple(Allocation(Decimal(amount), (TagValue("T1", "429"),)) for amount in ("1.50", "0.51", "0.51"))
    entry = code(purchase("2.52", allocations=shares))
    assert [line.amount for line in entry.lines] == [Decimal("1.50"), Decimal("0.51"), Decimal("0.51")]


def test_one_share_that_cannot_be_coded_stops_the_whole_purchase():
    shares = (Allocation(Decimal(1), (TagValue("T1", "429"),)), Allocation(Decimal(1), (TagValue("T1", "nonsense"),)))
    with pytest.raises(RecordRejected):
        code(purchase("2.00", allocations=shares))


def test_a_split_that_does_not_sum_is_told_and_not_repaired():
    with pytest.raises(RecordRejected, match="add up to"):
        code(purchase(problem="The splits of this transaction add up to 1.99, its amount is 2.00."))


def test_the_posting_date_is_the_eastern_day_of_settlement():
    late = datetime(2026, 4, 1, 3, 30, tzinfo=UTC)  # 31 March, 23:30 in New York
    assert code(purchase(settled_at=late)).date == date(2026, 3, 31)
    assert code(purchase(settled_at=None, happened_at=late)).date == date(2026, 3, 31)
    assert code(purchase(settled_at=late), replace(SETTINGS, posting_date=PURCHASE_DAY)).date == date(2026, 3, 5)


def test_the_merchant_is_the_party_standardised_where_wanted():
    assert code(purchase()).party.name == "Staples"
    assert code(purchase(), replace(SETTINGS, clean_names=False)).party.name == "STAPLES #0123"
    assert code(purchase(merchant="", merchant_clean="")).party.name == "STAPLES 0123"
    assert code(purchase(), replace(SETTINGS, party_mode=ONE_PARTY, party="pex")).party.id == "pex"


def test_one_party_for_all_must_be_chosen():
    with pytest.raises(SettingsNeeded):
        code(purchase(), replace(SETTINGS, party_mode=ONE_PARTY))


def test_an_amount_abroad_stands_in_the_description():
    entry = code(purchase(foreign_amount=Decimal("11.20"), foreign_currency="EUR"))
    assert entry.lines[0].description == "STAPLES 0123 (EUR 11.20)"
    assert entry.amount == Decimal("12.50")


def test_the_fingerprint_tells_codings_apart_and_is_stable():
    entry = code(purchase())
    assert coding.fingerprint(entry) == coding.fingerprint(code(purchase()))
    assert coding.fingerprint(entry) != coding.fingerprint(code(purchase(tags={"T1": "449"})))
