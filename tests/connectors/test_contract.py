"""Every connector of the registry through all verbs, a refusal, a dead sign-in and too many requests.

A new connector joins by a stage: how its company is built in the sandbox, and where its wire can be hurt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.connector import Connector, Deadline
from connectors.errors import NotAuthorized, RetryLater
from connectors.records import (
    ACCOUNT,
    Entry,
    Fate,
    Kind,
    Line,
    NotSent,
    Party,
    Posted,
    Receipt,
    Refused,
    Sent,
    Unknown,
)
from tests import make

pytestmark = pytest.mark.database


@dataclass(frozen=True)
class Stage:
    """How one system is hurt, and how its books are read without the connector."""

    system: str  # of the sandbox's wire
    writes: str  # path of the call that posts
    end_sign_in: Callable[[make.World], None]
    live: Callable[[make.World], list[Any]]
    receipts: Callable[[Any], int]


STAGES = {
    "xero": Stage(
        system="xero-api",
        writes="/BankTransactions$",
        end_sign_in=lambda world: world.sandbox.worlds["xero"].disconnect(world.books),
        live=lambda world: world.books.live(),
        receipts=lambda record: len(record.attachments),
    )
}


DECLARED = [(key, kind) for key, connector in sorted(registry.ALL.items()) for kind in connector.kinds]


@pytest.fixture
def world(sandbox, settings, transactional_db) -> make.World:
    make.point_at(settings, sandbox)
    return make.world(sandbox)


@pytest.fixture(params=sorted(registry.ALL))
def stage(request) -> Stage:
    return STAGES[request.param]


@pytest.fixture
def books(world):
    with registry.open_connector(world.connection) as opened:
        yield opened


def entry(world: make.World, books: Connector, number: int = 1, amount: str = "12.50", **fields: Any) -> Entry:
    [account] = [option for option in books.options("account") if option.code == "429"]
    key = f"PEXT{number}"
    made = Entry(
        key=key,
        kind=Kind.PURCHASE,
        amount=Decimal(amount),
        date=date(2026, 3, 5),
        account=world.connection.settings["pex_account"],
        party=Party(name="Staples"),
        lines=(Line(Decimal(amount), account.id, "Paper"),),
        url=books.url_of(4410, key, 51001),
    )
    return replace(made, **fields)


def sent(made: Entry, **fields: Any) -> Sent:
    facts = {"amount": made.amount, "date": made.date, "account": made.account, "url": made.url, "kind": made.kind}
    return Sent(key=made.key, **facts | fields)


def post(books: Connector, *entries: Entry) -> dict[str, Any]:
    return dict(books.post(entries, Deadline.after(30)))


def test_every_connector_has_a_stage():
    assert set(STAGES) == set(registry.ALL)


def test_the_declaration_is_complete(stage, books):
    assert (books.label, books.app_name, books.tagline, books.where, books.note) != ("", "", "", "", "")
    assert books.batch_size > 0
    assert timedelta() < books.settle_after < timedelta(hours=1)
    assert books.note.startswith("Synced with ")
    assert Kind.PURCHASE in books.kinds


def test_check_tells_each_finding_in_a_sentence(stage, books):
    findings = books.check()
    assert findings
    assert {finding.state for finding in findings} <= {"ok", "missing", "unknown"}
    assert all(finding.says or finding.state == "ok" for finding in findings)


def test_fields_and_options_agree(stage, books):
    fields = books.fields()
    assert "account" in {field.key for field in fields}
    assert {kind for field in fields if field.key == ACCOUNT for kind in field.kinds} >= set(books.kinds)
    for field in fields:
        options = books.options(field.list_name) if not field.text else ()
        assert len({option.id for option in options}) == len(options)
    assert books.options("pex_account")
    assert books.companies()


def test_what_is_posted_is_found_and_listed(stage, world, books):
    made = entry(world, books)
    outcome = post(books, made)[made.key]
    assert isinstance(outcome, Posted)
    found = books.find([sent(made, in_doubt=True)])[made.key]
    assert (found.fate, found.record_id) == (Fate.LIVE, outcome.record_id)
    assert outcome.link.startswith("http")
    listed = books.books(date(2026, 3, 1), date(2026, 3, 31))
    assert [(record.id, record.amount) for record in listed if record.live] == [(outcome.record_id, made.amount)]


def test_a_refund_is_booked_the_other_way(stage, world, books):
    made = entry(world, books, amount="-7.00")
    assert isinstance(post(books, made)[made.key], Posted)
    assert books.find([sent(made, in_doubt=True)])[made.key].fate is Fate.LIVE
    assert sum(record.amount for record in books.books(date(2026, 3, 1), date(2026, 3, 31))) == Decimal("-7.00")


@pytest.mark.parametrize("amount", ["12.50", "-12.50"])
@pytest.mark.parametrize(("stage", "kind"), DECLARED, indirect=["stage"])
def test_every_kind_is_posted_found_and_listed_by_its_sign(stage, world, books, kind, amount):
    world.all_kinds()
    [field] = [field for field in books.fields() if field.key == ACCOUNT and kind in field.kinds]
    account = next(option for option in books.options(field.list_name) if option.id != entry(world, books).account)
    lines = (Line(Decimal(amount), account.id, "Paper"),)
    made = entry(world, books, amount=amount, kind=kind, lines=lines)

    outcome = post(books, made)[made.key]

    assert isinstance(outcome, Posted)
    found = books.find([sent(made, in_doubt=True)])[made.key]
    assert (found.fate, found.record_id, found.link) == (Fate.LIVE, outcome.record_id, outcome.link)
    listed = books.books(date(2026, 3, 1), date(2026, 3, 31))
    assert [(record.id, record.amount) for record in listed] == [(outcome.record_id, Decimal(amount))]


def test_what_was_never_posted_is_absent(stage, world, books):
    made = entry(world, books)
    assert books.find([sent(made, in_doubt=True)])[made.key].fate is Fate.ABSENT


def test_a_record_that_differs_is_doubtful(stage, world, books):
    made = entry(world, books)
    post(books, made)
    looked_for = replace(sent(made, in_doubt=True), amount=Decimal("99.00"))
    found = books.find([looked_for])[made.key]
    assert found.fate is Fate.DOUBTFUL
    assert found.says


def test_one_refusal_does_not_touch_the_others_and_says_why(stage, world, books):
    good = entry(world, books, 1)
    bad = entry(world, books, 2, lines=(Line(Decimal("12.50"), "no-such-account", "Paper"),))
    outcomes = post(books, good, bad)
    assert isinstance(outcomes[good.key], Posted)
    assert isinstance(outcomes[bad.key], Refused)
    assert outcomes[bad.key].says
    assert len(stage.live(world)) == 1


def test_no_answer_is_unknown_and_a_look_settles_it(stage, world, books, sandbox):
    made = entry(world, books)
    sandbox.faults.add("drop_after", system=stage.system, method="PUT", path=stage.writes)
    assert isinstance(post(books, made)[made.key], Unknown)
    assert books.find([sent(made, in_doubt=True)])[made.key].fate is Fate.LIVE
    assert len(stage.live(world)) == 1


def test_too_many_requests_are_surely_not_sent_and_say_when(stage, world, books, sandbox):
    made = entry(world, books)
    headers = {"Retry-After": "41", "X-Rate-Limit-Problem": "minute"}
    sandbox.faults.add("status", system=stage.system, method="PUT", path=stage.writes, status=429, headers=headers)
    assert _told_to_wait(books, made) >= 41
    assert stage.live(world) == []


def _told_to_wait(books: Connector, made: Entry) -> float:
    """A connector may raise while nothing was sent, or say so per entry."""
    try:
        outcome = post(books, made)[made.key]
    except RetryLater as error:
        return error.after
    assert isinstance(outcome, NotSent)
    return outcome.after


def test_a_passed_deadline_sends_nothing(stage, world, books):
    made = entry(world, books)
    assert isinstance(books.post([made], Deadline.after(-1))[made.key], NotSent)
    assert stage.live(world) == []


def test_a_dead_sign_in_asks_to_connect_again(stage, world, books):
    stage.end_sign_in(world)
    with pytest.raises(NotAuthorized) as error:
        books.options("account")
    assert str(error.value)


def test_a_receipt_attached_twice_is_there_once(stage, world, books, tmp_path: Path):
    made = entry(world, books)
    outcome = post(books, made)[made.key]
    path = tmp_path / "receipt"
    path.write_bytes(b"%PDF-1.4 a receipt")
    receipt = Receipt("a1", "pex-1-a1.pdf", path, "application/pdf", path.stat().st_size)
    for _ in range(2):
        assert isinstance(books.attach(outcome.record_id, [receipt])["a1"], Posted)
    [record] = stage.live(world)
    assert stage.receipts(record) == 1
