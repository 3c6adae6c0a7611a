"""Whom a purchase is booked against: one for all, one that a tag names, or nobody where the books allow that."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import RecordRejected, SettingsNeeded
from connectors.records import Allocation, Field, KnownTag, Option, Party, TagValue, Transaction
from connectors.settings import ONE_PARTY, PER_MERCHANT, TAG, FieldSource, Settings
from syncjobs import coding, judge, remedies, shown
from syncjobs.coding import Book, Choices
from syncjobs.judge import Rules, Wait
from syncjobs.models import PreviewRow
from syncjobs.remedies import Subject
from syncjobs.transitions import State
from tests import make
from tests.syncjobs import test_coding, test_judge
from tests.syncjobs.following import asked, export_of, key_of
from tests.syncjobs.test_coding import purchase

VENDOR = Field("party", "Vendor")
VENDORS = [
    Option("v-1", "Staples", "V010"),
    Option("v-2", "Pilot Fuel", "V020"),
    Option("v-3", "Gone Ltd", "V030", active=False),
]
BOOK = replace(
    test_coding.BOOK,
    label="Ledgerly",
    party_word="vendor",
    fields=(*test_coding.BOOK.fields, VENDOR),
    choices={**test_coding.BOOK.choices, "party": Choices(VENDORS)},
    tags={**test_coding.BOOK.tags, "T4": KnownTag("Vendor", "Dropdown")},
)
BY_TAG = FieldSource(TAG, tag="T4")


def settings(source: FieldSource | None = None, party: str = "") -> Settings:
    fields = dict(test_coding.SETTINGS.fields) | ({} if source is None else {"party": source})
    return replace(test_coding.SETTINGS, party_mode=ONE_PARTY, party=party, fields=fields)


def tagged(*values: str) -> Transaction:
    """A purchase, split in as many shares as there are values; "" for a share without that tag."""
    shares = tuple(
        Allocation(Decimal("1.00"), (TagValue("T1", "429"), *([TagValue("T4", value)] if value else [])))
        for value in values
    )
    return purchase(f"{len(values)}.00", allocations=shares)


def party(row: Transaction, chosen: Settings, book: Book = BOOK) -> Party:
    return coding.code(row, chosen, book, "PEXT7", "").party


@dataclass
class Vendors:
    """The tag that names vendors, and the numbers of two of them."""

    world: make.World
    tag: Any
    pilot: str
    harbor: str

    def buy(self, *numbers: str) -> Any:
        """A purchase with a share for each of these vendors; "" for one that names none."""
        shares = [("4.00", self.tags(number)) for number in numbers]
        return self.world.purchase(f"{4 * len(numbers)}.00", splits=shares)

    def tags(self, number: str) -> dict[str, str]:
        return {self.world.expense_tag.tag_id: "429"} | ({self.tag.tag_id: number} if number else {})

    def words(self, row: Any) -> str:
        """All that stands in the books about a purchase."""
        found = [line for line in self.world.books.lines() if line.document_number == key_of(row)]
        return " ".join(line.description for line in found)


class TestOneForAll:
    def test_what_was_chosen_as_a_field_counts_before_what_was_chosen_once_for_all(self):
        assert party(tagged(""), settings(FieldSource(value="v-1"), party="v-2")) == Party(id="v-1")
        assert party(tagged(""), settings(party="v-2")) == Party(id="v-2")

    def test_nobody_where_nothing_is_chosen_and_the_books_need_nobody(self):
        assert party(tagged(""), settings()) == Party()
        assert party(tagged(""), settings(FieldSource(), party="v-2")) == Party()

    def test_books_that_need_one_ask_for_it_in_their_word(self):
        book = replace(BOOK, fields=(*test_coding.BOOK.fields, replace(VENDOR, required=True)))
        with pytest.raises(SettingsNeeded, match="Choose the vendor in Ledgerly that purchases") as error:
            party(tagged(""), settings(), book)
        assert error.value.field == "party"

    def test_books_that_have_no_such_field_go_by_the_one_alone(self):
        assert party(tagged("V010"), settings(BY_TAG, party="c-1"), test_coding.BOOK) == Party(id="c-1")
        with pytest.raises(SettingsNeeded, match="Choose the contact in Xero that purchases"):
            party(tagged(""), settings(BY_TAG), test_coding.BOOK)

    def test_one_for_each_merchant_asks_no_tag(self):
        chosen = replace(settings(BY_TAG), party_mode=PER_MERCHANT)
        assert party(tagged("V020"), chosen) == Party(name="Staples")
        assert not coding.reads_party(chosen)
        assert coding.reads_party(settings(BY_TAG))
        assert not coding.reads_party(settings(FieldSource(value="v-1")))


class TestByTag:
    @pytest.mark.parametrize("value", ["v-2", "V020", "pilot fuel"])
    def test_the_tag_names_it_by_id_number_or_name(self, value):
        assert party(tagged(value), settings(BY_TAG)) == Party(id="v-2")

    def test_untagged_it_is_the_default_or_nobody(self):
        assert party(tagged(""), settings(FieldSource(TAG, tag="T4", default="v-1"))) == Party(id="v-1")
        assert party(tagged(""), settings(BY_TAG)) == Party()

    def test_a_tag_pex_requires_is_required_here_too(self):
        book = replace(BOOK, tags={**BOOK.tags, "T4": KnownTag("Vendor", "Dropdown", required=True)})
        with pytest.raises(RecordRejected, match="No Vendor tag") as error:
            party(tagged("", ""), settings(BY_TAG), book)
        assert error.value.cause == "untagged:party"

    @pytest.mark.parametrize(
        ("value", "says", "cause"),
        [("Nobody", "Ledgerly has no vendor “Nobody”", "unknown"), ("V030", "V030 Gone Ltd is archived", "archived")],
    )
    def test_one_the_books_do_not_have_is_to_be_mended_in_pex(self, value, says, cause):
        with pytest.raises(RecordRejected, match=says) as error:
            party(tagged(value), settings(BY_TAG))
        assert error.value.cause == f"{cause}:party"

    @pytest.mark.parametrize("default", ["", "v-3"])
    def test_what_one_split_names_is_meant_for_all(self, default):
        chosen = settings(FieldSource(TAG, tag="T4", default=default))
        assert party(tagged("", "V020", ""), chosen) == Party(id="v-2")

    def test_splits_that_name_the_same_in_two_ways_agree(self):
        assert party(tagged("V020", "Pilot Fuel"), settings(BY_TAG)) == Party(id="v-2")

    def test_splits_that_name_different_ones_are_nobodys_guess(self):
        with pytest.raises(RecordRejected, match=r"^The splits name different vendors: tag one\.$") as error:
            party(tagged("V010", "V020"), settings(BY_TAG))
        assert (error.value.cause, error.value.field) == ("parties", "party")

    def test_they_wait_for_a_person_who_tags_them_in_pex(self):
        rules: Rules = replace(test_judge.RULES, settings=replace(settings(BY_TAG), approved_only=False), book=BOOK)
        verdict = judge.judge(tagged("V010", "V020"), rules, generation=1, overruled=False, url="")
        assert isinstance(verdict, Wait)
        assert (verdict.word, verdict.needs_you) == ("coding", True)
        button = remedies.button(Subject("xero", State.DUE, verdict.cause, verdict.word, card_account=7))
        assert button is not None
        assert (button.word, "/cards/7/" in button.link) == ("TAG IN PEX", True)

    def test_in_a_preview_it_has_its_name(self):
        entry = coding.code(tagged("V020"), settings(BY_TAG), BOOK, "PEXT7", "")
        assert shown.kept(entry, BOOK, {})["party"] == "Pilot Fuel"
        assert shown.kept(entry, BOOK, {"v-2": "Pilot"})["party"] == "Pilot"

    def test_names_chosen_in_the_settings_are_those_of_then(self):
        labels = {"option:party:v-1": "V010 Staples", "party": "From long ago"}
        assert shown.parties(settings(FieldSource(value="v-1"), party="v-2"), labels) == {
            "v-1": "V010 Staples",
            "v-2": "From long ago",
        }


@pytest.mark.database
class TestThroughTheEngine:
    @pytest.fixture
    def vendors(self, entered) -> Vendors:
        """Two vendors, and the tag that names them."""
        first, second = entered.books.add_vendor("Pilot Fuel"), entered.books.add_vendor("Harbor Rentals")
        tag = entered.pex.add_tag("Vendor", options=[(one.number, one.name) for one in (first, second)])
        stored = Settings.parse(entered.connection.settings).stored()
        fields = stored["fields"] | {"party": FieldSource(TAG, tag=tag.tag_id).stored()}
        entered.set(party_mode=ONE_PARTY, fields=fields)
        return Vendors(entered, tag, first.number, second.number)

    def test_the_tagged_vendor_is_the_entrys_and_untagged_it_has_none(self, entered, vendors):
        named, unnamed = vendors.buy(vendors.harbor, ""), vendors.buy("", "")
        run = entered.sync()
        assert (run.status, run.rows_posted) == ("success", 2)
        assert "Harbor Rentals" in vendors.words(named)
        assert vendors.words(unnamed)
        assert "Harbor Rentals" not in vendors.words(unnamed)

    def test_the_preview_names_it(self, entered, vendors):
        vendors.buy(vendors.pilot)
        asked(entered)
        assert PreviewRow.objects.get().entry["party"] == "Pilot Fuel"

    def test_splits_at_odds_wait_and_go_once_they_are_tagged(self, entered, vendors):
        row = vendors.buy(vendors.pilot, vendors.harbor)
        entered.sync()
        export = export_of(row)
        assert (export.state, export.waiting, export.cause) == (State.DUE, "coding", "parties")
        assert export.says == "The splits name different vendors: tag one."
        entered.pex.tag(row, vendors.tags(vendors.pilot))
        entered.sync()
        assert export_of(row).state == State.POSTED

    @pytest.mark.parametrize("mode", [ONE_PARTY, PER_MERCHANT])
    def test_the_vendors_become_the_options_of_the_tag(self, entered, vendors, mode):
        third = entered.books.add_vendor("Third & Sons")
        entered.set(synced={"party": vendors.tag.tag_id}, party_mode=mode)
        vendors.buy(vendors.pilot)
        run = entered.sync()
        assert (run.fields_done, run.fields_due) == (1, 1)
        assert third.name in {option.name for option in vendors.tag.options}
