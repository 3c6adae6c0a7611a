"""A first sync into books that hold some of it already (rule L9)."""

from collections import Counter
from datetime import timedelta

import pytest

from connectors.records import Kind
from pexsync import clock
from syncjobs import lookalikes, people, runs
from syncjobs.lookalikes import Decision
from syncjobs.models import Export, SyncRun
from syncjobs.transitions import Cause, Closed, State
from tests.syncjobs.following import asked, work

pytestmark = pytest.mark.database


def book_by_hand(world, amount: str, day, reference: str = "Card") -> object:
    """A bookkeeper entered it without us."""
    return world.books.post_by_hand(reference, amount, date=day)


def finish(world, run: SyncRun) -> SyncRun:
    world.connection.refresh_from_db()
    return work(run)


def month_of(run: SyncRun) -> tuple[str, str]:
    [line] = run.preview
    return line["month"], line["kind"]


def states() -> Counter:
    return Counter(Export.objects.values_list("state", flat=True))


@pytest.fixture
def same_month(acme):
    """A day of last month on which things settled, so that all rows of a test stand in one line of the preview."""
    return (clock.now().replace(day=1, hour=17) - timedelta(days=10)).astimezone(clock.EASTERN)


def test_fewer_than_half_and_only_those_are_held_with_one_sentence_for_all_alike(acme, same_month):
    for _ in range(200):
        acme.purchase("5.00", settled=same_month)
    for _ in range(3):
        book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    assert [(line["count"], line["paired"]) for line in run.preview] == [(200, 3)]
    runs.confirm(run, acme.user)
    run = finish(acme, run)
    assert states() == {State.POSTED: 197, State.HELD: 3}
    held = Export.objects.filter(state=State.HELD)
    assert {row.cause for row in held} == {Cause.LOOKALIKE}
    assert len({row.says for row in held}) == 1
    assert len({row.link for row in held}) == 3
    assert "3 records of $5.00" in held[0].says
    assert len(acme.books.live()) == 200


def test_a_month_that_looks_booked_is_asked_about_and_nothing_goes_before(acme, same_month):
    acme.purchase("5.00", settled=same_month)
    acme.purchase("7.00", settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    with pytest.raises(runs.Undecided):
        runs.confirm(run, acme.user)
    assert finish(acme, run).status == SyncRun.Status.PAUSED
    assert len(acme.books.live()) == 1


def test_leaving_the_month_out_closes_what_settled_by_then_and_later_rows_go(acme, same_month):
    acme.purchase("5.00", settled=same_month)
    acme.purchase("7.00", account=None, settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    runs.confirm(run, acme.user, {month_of(run): Decision.LEAVE_OUT})
    assert finish(acme, run).status == SyncRun.Status.SUCCESS
    assert set(Export.objects.values_list("state", "cause")) == {(State.CLOSED, Closed.LEFT_OUT)}
    acme.purchase("5.00")
    assert acme.sync().rows_posted == 1
    assert len(acme.books.live()) == 2


def test_posting_the_month_all_the_same_posts_all_of_it(acme, same_month):
    acme.purchase("5.00", settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    runs.confirm(run, acme.user, {month_of(run): Decision.POST})
    assert finish(acme, run).rows_posted == 1
    assert Export.objects.get().overruled


def test_what_was_decided_outlives_the_run_that_asked(acme, same_month):
    for amount in ("5.00", "6.00", "7.00"):
        acme.purchase(amount, settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    runs.confirm(run, acme.user)
    runs.cancel(run, acme.user)
    finish(acme, run)
    assert not run.alive
    acme.sync()
    assert states() == {State.POSTED: 2, State.HELD: 1}


def test_a_row_that_only_got_its_tag_later_is_held_as_well(acme, same_month):
    row = acme.purchase("5.00", account=None, settled=same_month)
    for amount in ("6.00", "7.00"):
        acme.purchase(amount, settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    acme.sync()
    acme.pex.tag(row, {acme.expense_tag.tag_id: "429"})
    acme.sync()
    assert Export.objects.get(pex_id=row.transaction_id).state == State.HELD


def test_after_the_first_sync_alike_records_no_longer_matter(acme, same_month):
    acme.purchase("5.00", settled=same_month)
    acme.sync()
    book_by_hand(acme, "9.00", clock.today())
    acme.purchase("9.00")
    assert acme.sync().rows_posted == 1


def test_what_banks_book_too_is_compared_on_every_run(acme, same_month, monkeypatch):
    monkeypatch.setattr(lookalikes, "BY_BANK", frozenset({Kind.PURCHASE}))
    acme.sync()
    acme.purchase("5.00", settled=same_month)
    acme.sync()
    booked = acme.purchase("9.00")
    book_by_hand(acme, "9.00", clock.today())
    acme.sync()
    assert Export.objects.get(pex_id=booked.transaction_id).cause == Cause.LOOKALIKE
    # The same record does not explain the next one as well.
    acme.purchase("9.00")
    assert acme.sync().rows_posted == 1


def test_a_preview_made_again_pairs_again(acme, same_month):
    for amount in ("5.00", "6.00", "7.00"):
        acme.purchase(amount, settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    acme.set(clean_names=False)
    assert runs.look_again(run)
    run = finish(acme, run)
    assert run.status == SyncRun.Status.PAUSED
    runs.confirm(run, acme.user)
    finish(acme, run)
    assert Export.objects.get(amount="5.00").cause == Cause.LOOKALIKE


def test_a_month_left_out_closes_only_what_had_settled_when_its_own_kind_was_confirmed(acme, travel):
    settled = clock.now() - timedelta(days=1)
    acme.purchase("5.00", settled=settled)
    book_by_hand(acme, "5.00", settled.date())
    run = asked(acme)
    runs.confirm(run, acme.user, {month_of(run): Decision.LEAVE_OUT})
    finish(acme, run)
    travel(hours=30)
    later = acme.purchase("6.00", settled=clock.now() - timedelta(minutes=5))
    acme.all_kinds()
    acme.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
    acme.connection.refresh_from_db()
    acme.sync()
    assert Export.objects.get(pex_id=later.transaction_id).state == State.POSTED


def test_what_was_decided_is_shown_by_the_next_preview(acme, same_month):
    acme.purchase("5.00", settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    runs.confirm(run, acme.user, {month_of(run): Decision.LEAVE_OUT})
    runs.cancel(run, acme.user)
    finish(acme, run)
    following = finish(acme, runs.start(acme.connection, acme.user, asks_first=True))
    row = following.shown.get()
    assert (row.state, row.cause) == ("later", Closed.LEFT_OUT)


def test_a_kind_confirmed_later_does_not_forget_what_was_decided_before(acme, same_month):
    acme.purchase("5.00", settled=same_month)
    book_by_hand(acme, "5.00", same_month.date())
    run = asked(acme)
    runs.confirm(run, acme.user, {month_of(run): Decision.LEAVE_OUT})
    runs.cancel(run, acme.user)
    finish(acme, run)
    acme.pex.add_card_fee("1.00", settled=clock.now() - timedelta(days=1))
    acme.set(kinds=["purchase", "fee"])
    acme.sync()
    assert set(acme.connection.preview_confirmed) == {"purchase", "fee"}
    assert Export.objects.get(kind="purchase").state == State.CLOSED
    assert len(acme.books.live()) == 1


def test_what_a_bank_feed_brings_while_a_row_waits_is_noticed(acme, monkeypatch):
    monkeypatch.setattr(lookalikes, "BY_BANK", frozenset({Kind.PURCHASE}))
    acme.purchase("1.00")
    acme.sync()
    row = acme.purchase("9.00", account=None)
    acme.sync()
    book_by_hand(acme, "9.00", clock.today() - timedelta(days=1))
    acme.pex.tag(row, {acme.expense_tag.tag_id: "429"})
    acme.sync()
    assert Export.objects.get(pex_id=row.transaction_id).cause == Cause.LOOKALIKE
    assert len(acme.books.live()) == 2


def test_a_record_a_person_vouched_for_explains_no_other_transaction(acme, monkeypatch):
    monkeypatch.setattr(lookalikes, "BY_BANK", frozenset({Kind.PURCHASE}))
    acme.purchase("1.00")
    acme.sync()
    record = book_by_hand(acme, "9.00", clock.today() - timedelta(days=1))
    first = acme.purchase("9.00")
    acme.sync()
    held = Export.objects.get(pex_id=first.transaction_id)
    assert held.cause == Cause.LOOKALIKE
    wish = people.Wish(acme.connection, people.Action.IT_IS_THERE, acme.user, record=record.id)
    assert len(people.decide(wish, [held.pk]).moved) == 1
    second = acme.purchase("9.00")
    acme.sync()
    assert Export.objects.get(pex_id=second.transaction_id).state == State.POSTED
    assert len(acme.books.live()) == 3
