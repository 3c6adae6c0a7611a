"""Every connector of the registry through all verbs, a refusal, a dead sign-in, no answer and too many requests.

What the engine makes of it, with the same stages, is in test_contract_engine.py.
"""

from dataclasses import replace
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
    ExpectedReceipt,
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
from connectors.settings import Settings
from pexsync.pages.steps import place_of
from tests import make
from tests.connectors.stages import STAGES, Stage

pytestmark = pytest.mark.database

SYSTEMS = sorted(registry.ALL)
DECLARED = [(key, kind) for key in SYSTEMS for kind in registry.ALL[key].kinds]
GONE = "7d1c9a54-6c0e-4e0b-9d7a-2f6b3c1e8a90"  # the id of no account
MARCH = (date(2026, 3, 1), date(2026, 3, 31))


@pytest.fixture
def world(stage, sandbox, settings, transactional_db) -> make.World:
    make.point_at(settings, sandbox)
    return stage.build(sandbox)


@pytest.fixture(params=SYSTEMS)
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


def look(books: Connector, made: Entry, **fields: Any) -> Any:
    return books.find([sent(made, in_doubt=True, **fields)])[made.key]


def post(books: Connector, *entries: Entry) -> dict[str, Any]:
    return dict(books.post(entries, Deadline.after(30)))


def receipt_of(folder: Path, number: int = 1) -> Receipt:
    path = folder / f"receipt-{number}"
    path.write_bytes(b"%PDF-1.4 a receipt " + bytes([48 + number]))
    return Receipt(f"a{number}", f"pex-1-a{number}.pdf", path, "application/pdf", path.stat().st_size)


def test_every_connector_has_a_stage():
    assert set(STAGES) == set(registry.ALL)


def test_the_declaration_is_complete(stage, books):
    assert (books.label, books.app_name, books.tagline, books.where, books.note) != ("", "", "", "", "")
    assert books.batch_size > 0
    assert timedelta() < books.settle_after < timedelta(hours=1)
    assert books.note.startswith("Synced with ")
    assert Kind.PURCHASE in books.kinds
    assert "" not in (books.company_word, books.party_word, books.sync_word, books.stages)
    assert books.where_draft != books.where


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
    listed = books.books(*MARCH)
    assert [(record.id, record.amount) for record in listed if record.live] == [(outcome.record_id, made.amount)]


def test_a_refund_is_booked_the_other_way(stage, world, books):
    made = entry(world, books, amount="-7.00")
    assert isinstance(post(books, made)[made.key], Posted)
    assert books.find([sent(made, in_doubt=True)])[made.key].fate is Fate.LIVE
    assert sum(record.amount for record in books.books(*MARCH)) == Decimal("-7.00")


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
    listed = books.books(*MARCH)
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


def test_a_refused_account_leads_to_the_control_that_asks_for_it(stage, world, books):
    bad = entry(world, books, lines=(Line(Decimal("12.50"), GONE, "Paper"),))
    outcome = post(books, bad)[bad.key]
    settings = Settings.parse(world.connection.settings)
    place = place_of(type(books), outcome.field, settings)
    assert outcome.field
    assert place is not None
    assert place[1]


def test_no_answer_is_unknown_and_a_look_settles_it(stage, world, books, sandbox):
    made = entry(world, books)
    sandbox.faults.add("drop_after", **stage.posting)
    assert isinstance(post(books, made)[made.key], Unknown)
    assert look(books, made).fate is Fate.LIVE
    assert len(stage.live(world)) == 1


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        ({"kind": "drop_before"}, 0),
        ({"kind": "status", "status": 503}, 0),
        ({"kind": "status_after", "status": 500}, 1),
        ({"kind": "truncate"}, 1),
    ],
)
def test_whatever_stands_in_for_an_answer_a_look_tells_the_truth(stage, world, books, sandbox, fault, there):
    made = entry(world, books)
    sandbox.faults.add(**fault, **stage.posting)
    assert isinstance(post(books, made)[made.key], Unknown)
    assert look(books, made).fate is (Fate.LIVE if there else Fate.ABSENT)
    assert len(stage.live(world)) == there


def test_a_batch_without_an_answer_is_unknown_as_a_whole(stage, world, books, sandbox):
    made = [entry(world, books, number) for number in range(1, 6)]
    sandbox.faults.add("drop_after", **stage.posting)
    assert {type(outcome) for outcome in post(books, *made).values()} == {Unknown}
    found = books.find([sent(one, in_doubt=True) for one in made])
    assert {one.fate for one in found.values()} == {Fate.LIVE}
    assert len(stage.live(world)) == 5


def test_too_many_requests_are_surely_not_sent_and_say_when(stage, world, books, sandbox):
    made = entry(world, books)
    sandbox.faults.add("status", **stage.posting, status=429, headers=stage.slow_down)
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
    receipt = receipt_of(tmp_path)
    for _ in range(2):
        assert isinstance(books.attach(outcome.record_id, [receipt])["a1"], Posted)
    [record] = stage.live(world)
    assert record.files == 1


def test_receipts_that_were_expected_and_those_that_were_not_are_all_there_once(stage, world, books, tmp_path: Path):
    made = entry(world, books)
    outcome = post(books, made)[made.key]
    books.make_room({outcome.record_id: [ExpectedReceipt("a1", "pex-1-a1", pdf=True)]})
    for number in (1, 2):
        receipt = receipt_of(tmp_path, number)
        assert isinstance(books.attach(outcome.record_id, [receipt])[receipt.attachment_id], Posted)
    with registry.open_connector(world.connection) as anew:  # another worker, which knows nothing of the first
        assert isinstance(anew.attach(outcome.record_id, [receipt_of(tmp_path)])["a1"], Posted)
    [record] = stage.live(world)
    assert record.files == 2


def test_splits_are_one_record_to_the_cent(stage, world, books):
    accounts = {option.code: option.id for option in books.options("account")}
    lines = (Line(Decimal("8.01"), accounts["429"], "Paper"), Line(Decimal("4.49"), accounts["449"], "Fuel"))
    made = entry(world, books, lines=lines)
    assert isinstance(post(books, made)[made.key], Posted)
    assert look(books, made).fate is Fate.LIVE
    assert [one.amount for one in stage.live(world)] == [Decimal("12.50")]


def test_another_day_is_doubtful(stage, world, books):
    made = entry(world, books)
    post(books, made)
    found = look(books, replace(made, date=date(2026, 3, 6)))
    assert found.fate is Fate.DOUBTFUL
    assert found.says


def test_the_key_is_found_when_one_place_of_it_is_lost(stage, world, books):
    made = entry(world, books)
    outcome = post(books, made)[made.key]
    stage.hide(world, made.key)
    with registry.open_connector(world.connection) as anew:
        assert look(anew, made).fate is Fate.LIVE
        assert look(anew, made, record_id=outcome.record_id).fate is Fate.LIVE


def test_a_copy_by_hand_is_doubled(stage, world, books):
    made = entry(world, books)
    post(books, made)
    stage.copy(world, made.key)
    found = look(books, made)
    assert found.fate is Fate.DOUBLED
    assert found.says


def test_a_record_made_void_is_not_live_and_may_be_sent_as_the_next_generation(stage, world, books):
    made = entry(world, books)
    outcome = post(books, made)[made.key]
    stage.void(world, made.key)
    assert look(books, made, record_id=outcome.record_id).fate in (Fate.DEAD, Fate.ABSENT)
    again = replace(made, key="PEXT1-2", url=books.url_of(4410, "PEXT1-2", 51001))
    assert look(books, again, earlier=(made.key,)).fate in (Fate.DEAD, Fate.ABSENT)
    assert isinstance(post(books, again)[again.key], Posted)
    assert look(books, again, earlier=(made.key,)).fate is Fate.LIVE
    assert [one.name for one in stage.live(world)] == ["PEXT1-2"]


def test_another_rows_record_is_nobody_elses(stage, world, books):
    post(books, entry(world, books, 12))
    assert look(books, entry(world, books, 1)).fate is Fate.ABSENT
    assert look(books, entry(world, books, 123)).fate is Fate.ABSENT


def test_parties_that_are_missing_are_named_and_then_made_once(stage, world, books):
    wanted = [Party(name="Staples"), Party(name="  STAPLES "), Party(name="Joe's & Sons")]
    made = [entry(world, books, number, party=party) for number, party in enumerate(wanted, 1)]
    named = {party.name.strip().casefold() for party in books.missing_parties(wanted)}
    assert named == {"staples", "joe's & sons"}
    books.prepare(made)
    assert list(books.missing_parties(wanted)) == []
    with registry.open_connector(world.connection) as anew:
        assert list(anew.missing_parties(wanted)) == []
        anew.prepare(made)
    options = [option.name.strip().casefold() for option in books.options("party")]
    assert options.count("staples") == options.count("joe's & sons") == 1


def test_what_a_finding_offers_to_mend_is_mended(stage, world, books):
    for finding in books.check():
        if finding.mend:
            assert books.mend(finding.mend)
    with pytest.raises(LookupError):
        books.mend("the roof")
