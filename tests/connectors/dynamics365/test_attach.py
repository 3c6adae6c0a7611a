"""Receipts: each once, whole, on the line that stands for PEX or on its document in the ledger, none on nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from connectors.records import ExpectedReceipt, Line, NotSent, Party, Posted, Receipt, Refused, Unknown
from sandbox.dynamics365 import journals, posting
from tests.connectors.dynamics365.entries import BATCH, entry, post, sent, wait_for

pytestmark = pytest.mark.database

CONTENT = "attachmentContent"


@pytest.fixture
def receipt(tmp_path):
    def make(name="pex-1-a1.pdf", content=b"%PDF-1.4 a receipt", attachment_id="a1"):
        path = tmp_path / f"{attachment_id}-{len(content)}"
        path.write_bytes(content)
        return Receipt(attachment_id, name, path, "application/pdf", len(content))

    return make


@pytest.fixture
def posted(acme, dynamics):
    made = entry(acme)
    post(dynamics, made)
    return made


def expected(stem="pex-1-a1", attachment_id="a1", pdf=True):
    return ExpectedReceipt(attachment_id, stem, pdf)


def attach(books, made, *receipts, record_id=""):
    return books.attach(record_id or made.key, receipts)


def pex_line(acme):
    return next(line for line in acme.company.lines() if line.account == acme.card.number)


def files(acme):
    """Every file of the company: what it hangs on, its name and bytes."""
    return [(file.parent, file.name, file.content) for file in acme.company.attachments.values()]


def in_the_ledger(acme):
    """Files by the document they belong to."""
    kept = acme.company.attachments
    return [(number, kept[id].name, kept[id].content) for id, (number, *_) in acme.company.posted_documents.items()]


# --- with room made


def test_room_for_many_is_one_call_and_each_receipt_one_more(acme, dynamics, receipt):
    made = [entry(acme, number, "1.00") for number in range(1, 51)]
    post(dynamics, *made)
    acme.desk.calls.clear()

    dynamics.make_room({one.key: [expected(f"pex-{n}-a", f"a{n}")] for n, one in enumerate(made)})
    for n, one in enumerate(made):
        [outcome] = attach(dynamics, one, receipt(f"pex-{n}-a.pdf", attachment_id=f"a{n}")).values()
        assert isinstance(outcome, Posted)

    assert acme.calls() == 51
    assert len(files(acme)) == 50
    assert {parent for parent, _, _ in files(acme)} == {
        line.id for line in acme.company.lines() if line.account == "10950"
    }
    assert {content for _, _, content in files(acme)} == {b"%PDF-1.4 a receipt"}


def test_the_outcome_names_the_file(acme, dynamics, posted, receipt):
    dynamics.make_room({posted.key: [expected()]})

    outcome = attach(dynamics, posted, receipt())["a1"]

    assert outcome == Posted(next(iter(acme.company.attachments)))


@pytest.mark.parametrize("answer", ["204", "200"])
def test_a_name_that_turned_out_otherwise_is_corrected(acme, dynamics, posted, receipt, answer):
    acme.switch(content_answer=answer)
    dynamics.make_room({posted.key: [expected(pdf=False)]})
    assert files(acme)[0][1:] == ("pex-1-a1.jpg", b"")

    assert isinstance(attach(dynamics, posted, receipt("pex-1-a1.png", b"PNG"))["a1"], Posted)

    assert files(acme) == [(pex_line(acme).id, "pex-1-a1.png", b"PNG")]


def test_what_another_run_posted_gets_no_room(acme, dynamics, another, posted):
    another().make_room({posted.key: [expected()]})

    assert files(acme) == []


def test_room_is_made_once(acme, dynamics, posted):
    dynamics.make_room({posted.key: [expected()]})
    dynamics.make_room({posted.key: [expected(), expected("pex-1-a2", "a2")]})

    assert sorted(name for _, name, _ in files(acme)) == ["pex-1-a1.pdf", "pex-1-a2.pdf"]


def test_room_on_a_line_that_was_posted_meanwhile_leaves_nothing_behind(acme, dynamics, posted, receipt):
    posting.post_now(acme.company, acme.journal)

    dynamics.make_room({posted.key: [expected()]})
    assert files(acme) == []
    assert isinstance(attach(dynamics, posted, receipt())["a1"], Posted)

    assert in_the_ledger(acme) == [(posted.key, "pex-1-a1.pdf", b"%PDF-1.4 a receipt")]


@pytest.mark.parametrize("trouble", ["drop_after", "drop_before"])
def test_room_without_an_answer_is_looked_for_when_the_receipt_comes(acme, dynamics, posted, receipt, trouble):
    acme.desk.faults.add(trouble, method="POST", path=BATCH, contains='"fileName"')

    dynamics.make_room({posted.key: [expected()]})
    assert isinstance(attach(dynamics, posted, receipt())["a1"], Posted)

    assert [(name, content) for _, name, content in files(acme)] == [("pex-1-a1.pdf", b"%PDF-1.4 a receipt")]


def test_a_line_posted_after_its_room_was_made_takes_the_file_to_the_ledger(acme, dynamics, posted, receipt):
    dynamics.make_room({posted.key: [expected()]})
    posting.post_now(acme.company, acme.journal)

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Posted)

    assert in_the_ledger(acme) == [(posted.key, "pex-1-a1.pdf", b"%PDF-1.4 a receipt")]


def test_a_room_somebody_deleted_is_made_again(acme, dynamics, posted, receipt):
    dynamics.make_room({posted.key: [expected()]})
    acme.company.attachments.clear()

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Posted)

    assert [content for _, _, content in files(acme)] == [b"%PDF-1.4 a receipt"]


# --- without


def test_a_receipt_is_found_its_line_by_another_run(acme, dynamics, another, posted, receipt):
    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)

    assert files(acme) == [(pex_line(acme).id, "pex-1-a1.pdf", b"%PDF-1.4 a receipt")]


def test_the_same_receipt_again_is_there_once(acme, dynamics, another, posted, receipt):
    first = attach(dynamics, posted, receipt())["a1"]
    second = attach(another(), posted, receipt())["a1"]

    assert first == second
    assert len(files(acme)) == 1
    assert acme.calls("PATCH", CONTENT) == 1


def test_another_picture_under_the_same_name_takes_its_place(acme, dynamics, another, posted, receipt):
    attach(dynamics, posted, receipt())

    attach(another(), posted, receipt(content=b"%PDF another and longer one"))

    assert [content for _, _, content in files(acme)] == [b"%PDF another and longer one"]


def test_several_receipts_hang_on_one_line(acme, dynamics, another, posted, receipt):
    both = [receipt("pex-1-a1.pdf", b"one", "a1"), receipt("pex-1-a2.jpg", b"two!", "a2")]

    outcomes = attach(another(), posted, *both)

    assert {type(outcome) for outcome in outcomes.values()} == {Posted}
    assert {parent for parent, _, _ in files(acme)} == {pex_line(acme).id}
    assert sorted(content for _, _, content in files(acme)) == [b"one", b"two!"]


def test_receipts_come_from_several_threads_at_once(acme, dynamics, another, receipt):
    made = [entry(acme, number, "1.00") for number in range(1, 13)]
    post(dynamics, *made)
    books = another()
    books.closed_until()  # the sign-in is read here: the test's own transaction locks the threads out
    receipts = [receipt(f"pex-{n}-a.pdf", b"x" * (n + 1), f"a{n}") for n in range(12)]

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda pair: attach(books, pair[0], pair[1]), zip(made, receipts, strict=True)))

    assert {type(outcome) for each in outcomes for outcome in each.values()} == {Posted}
    assert sorted(len(content) for _, _, content in files(acme)) == list(range(1, 13))


@pytest.mark.parametrize("series", ["", "GJNL-POST"])
def test_a_late_receipt_goes_to_the_posted_document(acme, dynamics, another, posted, receipt, series):
    acme.journal.posting_series = series
    posting.post_now(acme.company, acme.journal)

    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)
    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)

    assert in_the_ledger(acme) == [("G00001" if series else posted.key, "pex-1-a1.pdf", b"%PDF-1.4 a receipt")]


def test_a_late_receipt_joins_the_one_that_was_posted_with_its_line(acme, dynamics, another, posted, receipt):
    attach(dynamics, posted, receipt())
    posting.post_now(acme.company, acme.journal)

    attach(another(), posted, receipt())
    attach(another(), posted, receipt("pex-1-a2.pdf", b"late", "a2"))

    assert sorted(content for _, _, content in in_the_ledger(acme)) == [b"%PDF-1.4 a receipt", b"late"]


def test_a_record_named_by_its_document_number_gets_its_receipt(acme, dynamics, another, receipt):
    for account, amount in (("61200", "9.00"), ("10950", "-9.00")):
        journals.add_manual_line(acme.company, acme.journal, account, Decimal(amount), document_number="JE-7")

    outcome = attach(another(), None, receipt(), record_id="JE-7")["a1"]

    assert isinstance(outcome, Posted)
    assert files(acme) == [(pex_line(acme).id, "pex-1-a1.pdf", b"%PDF-1.4 a receipt")]


def test_a_renumbered_entry_gets_its_receipt(acme, dynamics, another, posted, receipt):
    journals.renumber(acme.company, acme.journal)

    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)
    assert files(acme)[0][0] == pex_line(acme).id


@pytest.mark.parametrize("and_posted", [False, True])
def test_lines_a_person_added_to_the_entry_get_no_receipts(acme, dynamics, another, posted, receipt, and_posted):
    for amount in ("5.00", "-5.00"):
        more = {"document_number": posted.key, "posting_date": posted.date}
        journals.add_manual_line(acme.company, acme.journal, "61300", Decimal(amount), **more)
    if and_posted:
        posting.post_now(acme.company, acme.journal)

    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)

    [(parent, _, _)] = files(acme)
    held = acme.company.entries[parent] if and_posted else acme.journal.lines[parent]
    assert held.account == "10950"


def test_a_line_posted_between_look_and_file_is_followed_to_the_ledger(acme, dynamics, posted, receipt):
    """The run knows the line, lists its files, and then it is posted: the file it makes hangs on nothing."""
    acme.desk.faults.add("slow", method="POST", path="attachments$", seconds=0.4)

    def post_meanwhile():
        wait_for(lambda: acme.desk.faults.struck.get("slow"))
        with acme.desk.lock:
            posting.post_now(acme.company, acme.journal)

    poster = threading.Thread(target=post_meanwhile)
    poster.start()
    outcome = attach(dynamics, posted, receipt())["a1"]
    poster.join()

    assert isinstance(outcome, Posted)
    assert in_the_ledger(acme) == [(posted.key, "pex-1-a1.pdf", b"%PDF-1.4 a receipt")]
    assert len(files(acme)) == 1


# --- what goes wrong


def test_an_entry_that_is_gone_says_so(acme, dynamics, another, posted, receipt):
    for line in acme.company.lines():
        journals.delete_line(acme.company, line)

    refused = attach(another(), posted, receipt())["a1"]

    assert (refused.cause, "not in Business Central any more" in refused.says) == ("receipt", True)
    assert files(acme) == []


def test_a_line_deleted_in_this_run_says_so_too(acme, dynamics, posted, receipt):
    for line in acme.company.lines():
        journals.delete_line(acme.company, line)

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Refused)
    assert files(acme) == []


def test_an_upload_whose_answer_got_lost_is_looked_at(acme, dynamics, posted, receipt):
    acme.desk.faults.add("drop_after", method="PATCH", path=CONTENT)

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Posted)
    assert len(files(acme)) == 1


@pytest.mark.parametrize("trouble", ["drop_before", "status"])
def test_an_upload_that_did_not_arrive_is_unknown_and_the_next_try_fills_the_same_file(
    acme, dynamics, another, posted, receipt, trouble
):
    acme.desk.faults.add(trouble, method="PATCH", path=CONTENT, status=500)

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Unknown)
    assert files(acme)[0][2] == b""
    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)

    assert [content for _, _, content in files(acme)] == [b"%PDF-1.4 a receipt"]


def test_a_file_whose_making_got_no_answer_is_reused(acme, dynamics, another, posted, receipt):
    acme.desk.faults.add("drop_after", method="POST", path="attachments$")

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Unknown)
    assert isinstance(attach(another(), posted, receipt())["a1"], Posted)

    assert [content for _, _, content in files(acme)] == [b"%PDF-1.4 a receipt"]


def test_too_many_calls_are_surely_not_sent(acme, dynamics, posted, receipt):
    acme.desk.faults.add("status", method="PATCH", path=CONTENT, status=429, headers={"Retry-After": "41"})

    outcome = attach(dynamics, posted, receipt())["a1"]

    assert (type(outcome), outcome.after >= 41) == (NotSent, True)


def test_bytes_that_got_lost_on_the_way_are_not_taken_for_the_receipt(acme, dynamics, posted, receipt):
    dynamics.make_room({posted.key: [expected()]})
    acme.forge('{"id":"x","byteSize":3}', method="PATCH", path=CONTENT)

    assert isinstance(attach(dynamics, posted, receipt())["a1"], Unknown)


def test_a_refused_upload_says_why(acme, dynamics, posted, receipt):
    acme.forge('{"error":{"code":"Unknown","message":"Zu groß."}}', status=413, method="PATCH", path=CONTENT)

    refused = attach(dynamics, posted, receipt())["a1"]

    assert (refused.cause, "Zu groß." in refused.says) == ("receipt", True)


@pytest.mark.parametrize(("size", "says"), [(0, "empty"), (25 * 1024 * 1024 + 1, "25 MB")])
def test_files_nobody_takes_are_refused_before_any_call(acme, dynamics, posted, receipt, size, says):
    acme.desk.calls.clear()
    given = receipt()
    odd = Receipt(given.attachment_id, given.name, given.path, given.content_type, size)

    refused = attach(dynamics, posted, odd)["a1"]

    assert (refused.cause, says in refused.says, acme.calls()) == ("receipt", True, 0)


def test_names_business_central_would_change_are_made_safe(acme, dynamics, posted, receipt):
    attach(dynamics, posted, receipt('pex<1>:a"1".pdf'))

    assert files(acme)[0][1] == "pex-1--a-1-.pdf"
    assert isinstance(attach(dynamics, posted, receipt('pex<1>:a"1".pdf'))["a1"], Posted)
    assert len(files(acme)) == 1


def test_a_look_that_cannot_be_finished_sends_nothing(acme, dynamics, another, posted, receipt):
    acme.desk.faults.add("status", path=BATCH, status=503, times=None)

    assert isinstance(attach(another(), posted, receipt())["a1"], NotSent)


# --- what a sync costs


def test_a_hundred_purchases_with_all_there_is_to_them_stay_within_the_bar(acme, dynamics, receipt):
    """A hundred new vendors, one dimension the account fills in by itself, a hundred receipts."""
    department = acme.company.add_dimension("DEPARTMENT", [("ADM", "Administration"), ("SALES", "Sales")])
    acme.fuel.default_dimensions = {"DEPARTMENT": "SALES"}
    value = ((f"dimension:{department.id}", department.values["ADM"].id),)
    line = Line(Decimal("1.00"), acme.fuel.id, "Fuel", value)
    made = [entry(acme, number, "1.00", lines=(line,), party=Party(name=f"Merchant {number}")) for number in range(100)]
    for field in dynamics.fields():
        if field.key != "party":
            dynamics.options(field.list_name)
    dynamics.closed_until()
    dynamics.find([sent(one, in_doubt=False) for one in made])
    dynamics.prepare(made)
    for start in (0, 50):
        outcomes = post(dynamics, *made[start : start + 50])
        assert {(type(outcome), outcome.says) for outcome in outcomes.values()} == {(Posted, "")}
    for start in (0, 50):
        some = list(enumerate(made))[start : start + 50]
        dynamics.make_room({one.key: [expected(f"pex-{n}-a", f"a{n}")] for n, one in some})
        for n, one in some:
            attach(dynamics, one, receipt(f"pex-{n}-a.pdf", attachment_id=f"a{n}"))

    assert acme.calls() <= 120
    assert len(acme.company.vendors) == 100
    assert len(acme.company.lines()) == 200
    assert len(files(acme)) == 100
    assert all(content for _, _, content in files(acme))
    assert {tuple(line.dimensions.values()) for line in acme.company.lines() if line.account == "61200"} == {("ADM",)}
    assert acme.desk.calls.connections("bc-api") <= 4
