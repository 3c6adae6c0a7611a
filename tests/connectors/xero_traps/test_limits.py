import pytest

from connectors.errors import RetryLater
from connectors.records import NotSent

pytestmark = pytest.mark.database


def refused(acme) -> int:
    return sum(call.status == 429 for call in acme.desk.calls.matching("xero-api"))


@pytest.mark.parametrize("body", ["", "You have exceeded your limit", "<html>429</html>", "{}"])
@pytest.mark.parametrize("case", ["lower", "title", "upper"])
def test_a_429_is_understood_by_its_headers_alone(acme, xero, case, body):
    """Row 16: its body may be anything, and the name of the limit is spelt in any letters."""
    acme.switch(limits=True, day_limit=0, limit_retry_after=66975, limit_problem_case=case, limit_body=body)

    with pytest.raises(RetryLater) as caught:
        xero.closed_until()

    assert caught.value.after == 66975
    assert "today" in caught.value.says
    assert (acme.calls(), refused(acme)) == (1, 1)


def test_a_write_refused_for_the_day_waits_for_hours_without_anybody_sleeping(acme, xero, soon):
    """Row 16: the time named for a day is huge, and no worker may sleep it out."""
    xero.prepare([acme.entry(1)])
    xero.closed_until()
    xero.options("account")
    acme.switch(limits=True, day_limit=0, limit_retry_after=66975)

    outcome = xero.post([acme.entry(1)], soon)["PEXT8000001"]
    again = xero.post([acme.entry(1)], soon)["PEXT8000001"]

    assert isinstance(outcome, NotSent)
    assert isinstance(again, NotSent)
    assert outcome.after == 66975
    assert again.after > 66000
    assert acme.calls("PUT", "BankTransactions") == 1


def test_a_small_plan_gets_its_documents_today_and_its_receipts_when_there_are_calls(world, mood, travel):
    """Row 15: a thousand calls a day; documents go first and looks keep what they need."""
    rows = [world.purchase(f"{number}.00", receipts=["png"]) for number in range(1, 6)]
    mood(limits=True, day_limit=60)
    world.sandbox.worlds["xero"].begin_windows(world.books)

    world.sync()

    assert len(world.books.live()) == len(rows)
    assert sum(len(record.attachments) for record in world.books.live()) == 0

    mood(day_limit=1000)
    travel(days=1, minutes=1)
    world.sync()

    assert [len(record.attachments) for record in world.books.live()] == [1] * len(rows)
    assert all(call.status != 429 for call in world.sandbox.calls.matching("xero-api"))


def test_many_slow_receipts_never_ask_for_more_than_xero_serves_at_once(world, mood):
    """Row 46: an upload holds its place among the five for as long as it takes."""
    rows = [world.purchase(f"{number}.00", receipts=["png", "pdf"]) for number in range(1, 7)]
    mood(limits=True, seconds_per_upload=0.05)
    world.sandbox.worlds["xero"].begin_windows(world.books)

    world.sync()

    assert sum(len(record.attachments) for record in world.books.live()) == 2 * len(rows)
    assert all(call.status != 429 for call in world.sandbox.calls.matching("xero-api"))
