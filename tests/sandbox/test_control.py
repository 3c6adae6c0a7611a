"""The control room of the sandbox, by JSON and by its page."""

import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

import sandbox
from sandbox import seeds
from tests.sandbox.test_pex import acme, admin_of, caller, client_of, listed, world_of


def control(desk):
    return client_of(f"{desk.url}/control/")


def form(desk, action, **facts):
    client = client_of(desk.url)
    answer = client.post("/control/do", data={"action": action, **facts})
    return client.get(answer.headers["Location"])


@pytest.mark.parametrize("path", ["/", "/control"])
def test_the_pages_say_that_they_are_a_simulation(sandbox, path):
    acme(sandbox)
    page = client_of(sandbox.url).get(path)
    assert page.status_code == 200
    assert "Simulation. This is not PEX, Xero or Microsoft" in page.text
    assert "Acme Builders" in page.text


def test_the_pages_work_in_an_empty_world(sandbox):
    assert client_of(sandbox.url).get("/").status_code == 200
    assert client_of(sandbox.url).get("/control").status_code == 200


def test_an_unknown_business_is_not_found(sandbox):
    acme(sandbox)
    assert client_of(sandbox.url).get("/control", params={"business_id": "1"}).status_code == 404


def test_faults_are_switched_on_and_off_by_json(sandbox):
    business = acme(sandbox)
    body = {"kind": "status", "system": "pex", "status": 429, "headers": {"Retry-After": "7"}, "times": None}
    number = control(sandbox).post("faults", json=body).json()["number"]
    answer = caller(sandbox, business).get("Business/Profile")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    shown = control(sandbox).get("faults").json()
    assert [one["number"] for one in shown["active"]] == [number]
    assert shown["struck"] == {"status": 1}
    control(sandbox).delete(f"faults/{number}")
    assert caller(sandbox, business).get("Business/Profile").status_code == 200
    control(sandbox).post("faults", json=body)
    assert control(sandbox).delete("faults").json()["active"] == []


@pytest.mark.parametrize(
    "body", [{}, {"kind": "earthquake"}, {"kind": "slow", "speed": 1}, {"kind": "slow", "path": "("}]
)
def test_an_unknown_fault_is_refused_with_a_sentence(sandbox, body):
    answer = control(sandbox).post("faults", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert sandbox.faults.active == []


def test_calls_are_counted_and_forgotten(sandbox):
    client = caller(sandbox, acme(sandbox))
    client.get("Business/Profile")
    client.get("Business/Settings")
    found = control(sandbox).get("calls", params={"system": "pex", "path": "/profile"}).json()
    assert (found["count"], found["writes"], found["calls"][0]["path"]) == (1, 0, "/V4/Business/Profile")
    control(sandbox).delete("calls")
    assert control(sandbox).get("calls").json()["count"] == 0


def test_the_clock_moves_forward_only(sandbox):
    before = sandbox.clock.now()
    answer = control(sandbox).post("clock", json={"advance_seconds": 86_400})
    assert answer.json()["offset_seconds"] == 86_400
    assert sandbox.clock.now() - before >= timedelta(days=1)
    for seconds in (-1, "soon", None, "nan"):
        assert control(sandbox).post("clock", json={"advance_seconds": seconds}).status_code == 400


def test_json_is_demanded_so_that_no_foreign_page_can_post(sandbox):
    answer = client_of(sandbox.url).post("/control/clock", content='{"advance_seconds": 60}')
    assert answer.status_code == 400
    assert not sandbox.clock.offset


def test_a_form_sent_by_another_site_is_refused(sandbox):
    facts = {"action": "advance", "advance_seconds": "60"}
    client = client_of(sandbox.url, Origin="https://evil.example")
    assert client.post("/control/do", data=facts).status_code == 403
    assert not sandbox.clock.offset


def test_purchases_are_added_tagged_approved_and_removed_by_json(sandbox):
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General")])
    body = {"business_id": 4410, "amount": "19.90", "merchant": "Corner Shop", "receipts": ["pdf", "png"]}
    number = control(sandbox).post("pex/transactions", json=body).json()["transaction_id"]
    about = {"transaction_id": number}
    control(sandbox).post("pex/review", json={**about, "approval": "Approved"})
    control(sandbox).post("pex/tag", json={**about, "tags": {tag.tag_id: "429"}})
    note = control(sandbox).post("pex/note", json={**about, "text": "By hand"}).json()["note_id"]
    shown = listed(caller(sandbox, business), sandbox)[0]
    assert (shown["TransactionAmount"], shown["MetadataApprovalStatus"]) == (Decimal("-19.90"), "Approved")
    assert shown["TransactionTags"]["Tags"][0]["Value"] == "429"
    assert shown["TransactionNotes"][0]["NoteText"] == "By hand"
    control(sandbox).post("pex/remove-note", json={**about, "note_id": note})
    row = control(sandbox).get("pex/transactions", params={"business_id": 4410}).json()[0]
    assert (row["transaction_id"], row["notes"], len(row["receipts"])) == (number, [], 2)
    control(sandbox).post("pex/remove", json=about)
    assert listed(caller(sandbox, business), sandbox) == []


@pytest.mark.parametrize(
    ("kind", "amount", "category"),
    [
        ("purchase", "-5.00", "Spend"),
        ("refund", "5.00", "Spend"),
        ("card_fee", "-5.00", "CardAccountFee"),
        ("dispute", "5.00", "Dispute"),
        ("business", "5.00", "BusinessFunding"),
    ],
)
def test_every_kind_of_row_can_be_added(sandbox, kind, amount, category):
    business = acme(sandbox)
    body = {"kind": kind, "amount": "5.00"}
    number = control(sandbox).post("pex/transactions", json=body).json()["transaction_id"]
    row = business.transactions[number]
    assert (str(row.amount), row.category) == (amount, category)


def test_a_hold_settles_into_a_new_row(sandbox):
    business = acme(sandbox)
    hold = control(sandbox).post("pex/transactions", json={"kind": "pending", "amount": "5.00"}).json()
    about = {"transaction_id": hold["transaction_id"], "amount": "6.00"}
    settled = control(sandbox).post("pex/settle", json=about).json()["transaction_id"]
    assert list(business.transactions) == [settled]
    assert control(sandbox).post("pex/settle", json={"transaction_id": settled}).status_code == 400


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("transactions", {"amount": "1.005"}),
        ("transactions", {"amount": "a lot"}),
        ("transactions", {"kind": "gift"}),
        ("transactions", {"account_id": 1}),
        ("transactions", {"settled": "2026-05-03T10:00:00"}),
        ("transactions", {"count": 1_000_001}),
        ("transactions", {"days_ago": 10_000_000}),
        ("transactions", {"tags": [1]}),
        ("transactions", {"splits": [["5.00"]]}),
        ("transactions", {"receipts": "pdf"}),
        ("review", {"transaction_id": 1}),
        ("nothing", {}),
    ],
)
def test_a_wrong_action_is_refused_with_a_sentence(sandbox, action, body):
    business = acme(sandbox)
    answer = control(sandbox).post(f"pex/{action}", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert business.transactions == {}


def test_an_admin_loses_a_permission_and_a_password(sandbox):
    business = acme(sandbox)
    client = caller(sandbox, business)
    body = {"admin": "admin.4410", "permissions": ["ViewCardTransactions"], "password": "fresh"}
    assert control(sandbox).post("pex/admin", json=body).json()["permissions"] == ["ViewCardTransactions"]
    assert client.get("Business/Profile").json()["Message"] == "Password has changed"
    token = control(sandbox).post("pex/token", json={"admin": "admin.4410"}).json()["token"]
    again = client_of(f"{sandbox.url}/pex/V4/", Authorization=f"token {token}")
    assert again.get("Business/Profile").status_code == 200


def test_switches_are_read_and_set_by_json(sandbox):
    body = {"page_size": 5, "limits": True, "note_delay": 60, "nulls": "omit"}
    shown = control(sandbox).post("pex/switches", json=body).json()
    assert (shown["page_size"], shown["limits"], shown["note_delay"], shown["nulls"]) == (5, True, 60.0, "omit")
    assert world_of(sandbox).switches.page_size == 5
    assert control(sandbox).post("pex/switches", json={"moon": True}).status_code == 400
    assert control(sandbox).get("xero/switches").status_code == 200
    assert control(sandbox).get("sage/switches").status_code == 400


def test_the_page_does_what_the_json_does(sandbox):
    business = acme(sandbox)
    tag = business.add_tag("Account", options=[("429", "General")])
    page = form(sandbox, "transactions", business_id="4410", kind="purchase", amount="12.50", merchant="Corner Shop")
    assert "Corner Shop" in page.text
    row = business.card_rows()[0]
    about = {"business_id": "4410", "transaction_id": str(row.transaction_id)}
    form(sandbox, "review", **about, approval="Rejected", reason="Unreadable")
    form(sandbox, "receipt", **about, sample="png")
    form(sandbox, "tag", **about, tag_id=tag.tag_id, value="429")
    page = form(sandbox, "note", **about, text="<i>by hand</i>")
    assert "&lt;i&gt;by hand&lt;/i&gt;" in page.text
    assert (row.approval, len(row.attachments), row.tags[0].value) == ("NotReviewed", 1, "429")
    form(sandbox, "remove-note", **about, note_id=str(row.notes[0].note_id))
    assert row.notes == ()


def test_the_page_switches_faults_limits_and_moods(sandbox):
    acme(sandbox)
    form(
        sandbox,
        "add-fault",
        business_id="4410",
        kind="slow",
        system="pex",
        method="",
        path="",
        seconds="0.1",
        times="always",
    )
    fault = sandbox.faults.active[0]
    assert (fault.kind, fault.seconds, fault.times) == ("slow", 0.1, None)
    form(sandbox, "remove-fault", number=str(fault.number))
    assert sandbox.faults.active == []
    form(sandbox, "limits", **{"limits": "on", "calls-0": "9", "seconds-0": "5"})
    switches = world_of(sandbox).switches
    assert (switches.limits, switches.retry_after) == (True, False)
    assert (switches.limit_table[0].calls, switches.limit_table[0].seconds) == (9, 5)
    form(sandbox, "moods", page_size="7", shuffled="on", nulls="omit")
    assert (switches.page_size, switches.shuffled, switches.nulls, switches.limits) == (7, True, "omit", True)
    assert "Not done" in form(sandbox, "advance", advance_seconds="-5").text


def test_a_statement_is_paid_and_its_payments_are_told(sandbox):
    business = acme(sandbox, funding="Credit")
    ask = control(sandbox)
    assert ask.post("pex/payment", json={}).json() == {"message": "The business has no such statement."}
    statement = business.add_statement(payments=[])
    paid = {"type": "SameDayACH", "amount": "12.50", "rejected": True, "days_ago": 2}
    given = ask.post("pex/payment", json=paid).json()
    assert given["invoice_id"] == statement.invoice_id
    [told] = ask.get("pex/payments").json()
    assert (told["payment_id"], told["type"], told["amount"]) == (given["payment_id"], "SameDayACH", "12.50")
    assert (told["rejected"], statement.payments[0].rejected) == (True, True)


def test_the_tags_are_told_with_all_their_options(sandbox):
    business = acme(sandbox)
    tag = business.add_tag("Project", options=[("p1", "Maple Street")])
    tag.add_option("p2", "Harbor View", enabled=False)
    [told] = control(sandbox).get("pex/tags").json()
    assert (told["tag_id"], told["deleted"]) == (tag.tag_id, False)
    assert [tuple(option.values()) for option in told["options"]] == [
        ("p1", "Maple Street", True),
        ("p2", "Harbor View", False),
    ]


def test_starting_over_brings_the_seeds(sandbox):
    acme(sandbox, business_id=1)
    assert control(sandbox).post("reset", json={}).json() == {"businesses": [4410, 5520, 6630]}
    assert control(sandbox).post("reset", json={"seeds": False}).json() == {"businesses": []}


def test_the_seeds_hold_one_of_everything(sandbox):
    seeds.seed(sandbox)
    world = world_of(sandbox)
    northwind, harbor, rival = world.businesses.values()
    assert [one.business_id for one in (northwind, harbor, rival)] == [4410, 5520, 6630]
    rows = northwind.card_rows()
    assert 250 <= len(rows) <= 350
    assert {row.approval for row in rows} >= {"Approved", "Rejected", "NotReviewed", None}
    assert {len(row.attachments) for row in rows} >= {0, 1, 2}
    assert {one.content[:4] for row in rows for one in row.attachments} == {b"%PDF", b"\x89PNG", b"\xff\xd8\xff\xe0"}
    assert {one.encoding for row in rows for one in row.tags} == {"string", "object"}
    assert sorted(note.system for row in rows for note in row.notes if note.text == "Synced with Xero") == [False, True]
    assert {row.type for row in rows} == {"Network", "Transfer", "Load"}
    assert any(row.pending for row in rows)
    assert any(row.decline for row in rows)
    assert any(row.currency for row in rows)
    assert any(row.bill_pay for row in rows)
    kinds = {(row.category, row.description) for row in northwind.business_rows()}
    assert {("BusinessRebate", "Rebate Credit"), ("BusinessFunding", "Rebate Credit")} <= kinds
    for business in (northwind, harbor):
        fees = [row for row in business.transactions.values() if row.category.endswith("AccountFee")]
        assert len({(row.on_card, row.amount > 0) for row in fees}) == 4
        assert {row.amount > 0 for row in business.card_rows() if row.category == "Dispute"} == {True, False}
    for category in ("BusinessFunding", "BusinessRebate"):
        assert {row.amount > 0 for row in northwind.business_rows() if row.category == category} == {True, False}
    payments = {one.type for statement in harbor.statements.values() for one in statement.payments}
    assert len(payments) == 8
    assert {admin.username for admin in world.admins()} == {"dana.admin", "sam.viewer", "riva.admin"}


def test_two_seedings_on_one_day_hold_the_same_purchases(sandbox):
    seen = []
    for _ in range(2):
        seeds.seed(sandbox)
        rows = world_of(sandbox).businesses[4410].transactions.values()
        seen.append([(row.transaction_id, row.amount, row.merchant, row.approval) for row in rows if not row.pending])
    assert seen[0] == seen[1]


def test_the_seeded_holds_settle_as_time_goes_by(sandbox):
    seeds.seed(sandbox)
    business = world_of(sandbox).businesses[4410]
    client = caller(sandbox, business, admin_of(business))
    assert any(row["IsPending"] for row in listed(client, sandbox, IncludePendings="True"))
    sandbox.clock.advance(timedelta(days=6))
    assert not any(row["IsPending"] for row in listed(client, sandbox, IncludePendings="True"))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(port, folder):
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(folder / "world"), "--clock"]
    command.append(str(folder / "clock"))
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(sandbox.__file__).parents[1])


def until_up(port, process):
    for _ in range(200):
        try:
            return httpx.get(f"http://127.0.0.1:{port}/").status_code
        except httpx.TransportError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
    raise AssertionError("the sandbox did not come up")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_seeds_serves_and_keeps_its_worlds_over_a_restart(tmp_path, number):
    port = free_port()
    address = f"http://127.0.0.1:{port}/control"
    with start(port, tmp_path) as process:
        until_up(port, process)
        httpx.post(f"{address}/clock", json={"advance_seconds": 3600})
        added = httpx.post(f"{address}/pex/transactions", json={"amount": "1.23"}).json()["transaction_id"]
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (0, "")
    with start(port, tmp_path) as process:
        until_up(port, process)
        rows = httpx.get(f"{address}/pex/transactions", params={"business_id": 4410}).json()
        assert httpx.get(f"{address}/clock").json()["offset_seconds"] == 3600
        process.terminate()
        process.communicate(timeout=10)
    assert added in [row["transaction_id"] for row in rows]


def test_a_busy_port_is_told_in_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with start(port, tmp_path) as process:
            _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said == f"The sandbox cannot use port {port}: Address already in use.\n"
