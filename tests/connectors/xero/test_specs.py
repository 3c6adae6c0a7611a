"""Every request we make, judged by the vendor's own descriptions."""

from datetime import date
from decimal import Decimal

import httpx
import pytest

from connectors.records import Kind, Line, Party, Receipt
from tests.specs import check_request, load

pytestmark = [pytest.mark.specs, pytest.mark.database]


@pytest.fixture
def requests(xero):
    seen: list[httpx.Request] = []
    xero.client.session.client.event_hooks["request"].append(seen.append)
    return seen


def judge(spec, requests, base):
    for request in requests:
        path = request.url.raw_path.decode().partition(base)[2]
        streamed = "Attachments" in path and request.method == "PUT"
        check_request(spec, request.method, path, b"file" if streamed else request.content or None)


def test_the_accounting_calls_are_as_described(acme, xero, again, requests, soon, specs, tmp_path):
    receipt = tmp_path / "one.pdf"
    receipt.write_bytes(b"%PDF")
    region = acme.organisation.add_tracking("Region", ["West"])
    tracking = ((f"tracking:{region.id}", region.options[0].id),)
    lines = (Line(Decimal("-20.00"), acme.fuel.id, "Deposit", tracking), Line(Decimal("4.50"), acme.office.id, "Wash"))
    batch = [
        acme.entry(1),
        acme.entry(2, "-15.50", lines=lines, party=Party(name='"Blue Door"')),
        acme.entry(3, kind=Kind.FEE, party=Party(id=acme.shell.id)),
        acme.transfer(4),
    ]

    xero.check()
    xero.post(batch[2:], soon)
    xero.options("party")
    outcomes = xero.post(batch, soon)
    posted, moved = outcomes[batch[0].key], outcomes[batch[3].key]
    xero.find([acme.sent(entry, in_doubt=True) for entry in batch])
    for entry in (batch[0], batch[3]):
        xero.find([acme.sent(entry, record_id="00000000-1111-4222-8333-444444444444", in_doubt=True)])
    xero.books(date(2026, 7, 1), date(2026, 7, 31))
    xero.attach(posted.record_id, [Receipt("a", "a [1].pdf", receipt, "application/pdf", 4)])
    acme.desk.faults.add("drop_after", method="PUT", path="Attachments")
    xero.attach(posted.record_id, [Receipt("b", "b.pdf", receipt, "application/pdf", 4)])
    xero.attach(moved.record_id, [Receipt("c", "c.pdf", receipt, "application/pdf", 4)])

    assert len(requests) >= 20
    judge(load(specs, "xero_accounting.yaml"), requests, "/xero-api/api.xro/2.0")


def test_the_calls_about_connections_are_as_described(xero, requests, specs):
    xero.companies()
    xero.disconnect()

    judge(load(specs, "xero-identity.yaml"), [one for one in requests if "connections" in one.url.path], "/xero-api")
