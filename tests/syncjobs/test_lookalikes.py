"""Pairing what the books hold with what would be posted (rule L9). Pure."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from connectors.records import BookRecord, Kind, Source, Transaction
from syncjobs import lookalikes
from syncjobs.lookalikes import Span, looks_booked, pairs


def row(pex_id: int, amount: str = "12.50", bought: int = 10, settled: int = 12, kind: Kind = Kind.PURCHASE):
    """A row bought and settled on days of March 2026, at noon in New York."""
    return Transaction(
        pex_id=pex_id,
        source=Source.TRANSACTION,
        kind=kind,
        amount=Decimal(amount),
        happened_at=datetime(2026, 3, bought, 16, tzinfo=UTC),
        settled_at=datetime(2026, 3, settled, 16, tzinfo=UTC),
    )


def record(number: int, amount: str = "12.50", day: int = 12, **facts):
    return BookRecord(id=f"r{number}", date=date(2026, 3, day), amount=Decimal(amount), link=f"/r{number}", **facts)


def ids(found) -> dict[int, str]:
    return {pex_id: pair.record_id for (_, pex_id), pair in found.items()}


@pytest.mark.parametrize(("day", "paired"), [(8, False), (9, True), (10, True), (12, True), (13, True), (14, False)])
def test_a_record_counts_from_the_day_before_the_purchase_to_the_day_after_it_settled(day, paired):
    assert bool(pairs([row(1)], [record(1, day=day)])) is paired


@pytest.mark.parametrize(("day", "paired"), [(2, False), (3, True), (19, True), (20, False)])
@pytest.mark.parametrize("kind", [Kind.TRANSFER, Kind.BILL_PAYMENT])
def test_banks_book_fundings_up_to_seven_days_off(day, paired, kind):
    assert bool(pairs([row(1, kind=kind)], [record(1, day=day)])) is paired


def test_direction_and_cents_must_agree():
    assert not pairs([row(1, "12.50")], [record(1, "-12.50"), record(2, "12.51")])


def test_a_dead_record_explains_nothing():
    assert not pairs([row(1)], [record(1, live=False)])


@pytest.mark.parametrize(
    "facts",
    [{"reference": "PEXT77"}, {"reference": "see PEXT77-2"}, {"texts": ("https://x/cards?transaction=9-PEXT77",)}],
)
def test_a_record_with_a_key_of_ours_is_never_a_lookalike(facts):
    assert not pairs([row(1)], [record(1, **facts)])


def test_one_record_explains_one_transaction():
    found = pairs([row(number) for number in range(200)], [record(1), record(2), record(3)])
    assert ids(found) == {0: "r1", 1: "r2", 2: "r3"}
    assert {pair.alike for pair in found.values()} == {3}


def test_as_many_as_can_be_are_explained():
    # The early record fits both rows, the late one only the second: given to the second it would leave one over.
    early, late = row(1, bought=10, settled=10), row(2, bought=10, settled=13)
    assert ids(pairs([late, early], [record(1, day=11), record(2, day=14)])) == {1: "r1", 2: "r2"}


def test_the_days_to_list_cover_every_row():
    assert lookalikes.window([row(1, bought=10, settled=12), row(2, bought=20, settled=21)]) == Span(
        date(2026, 3, 9), date(2026, 3, 22)
    )
    assert lookalikes.window([]) is None


@pytest.mark.parametrize(("paired", "count", "booked"), [(0, 0, False), (1, 2, True), (1, 3, False), (2, 3, True)])
def test_a_month_looks_booked_from_a_half_on(paired, count, booked):
    assert looks_booked(paired, count) is booked
