import re

import pytest

from syncjobs.models import ExportReceipt

pytestmark = pytest.mark.database


def statuses(world):
    return [call.status for call in world.sandbox.calls.matching("xero-api", "PUT", "/Attachments/")]


def test_receipts_have_names_xero_takes_and_types_their_bytes_say(world):
    """Row 45: some characters are refused, and the type follows the name whatever the header says."""
    world.purchase("12.50", receipts=["png", "pdf", "jpeg"])

    world.sync()

    (record,) = world.books.live()
    assert sorted(file.mime_type for file in record.attachments) == ["application/pdf", "image/jpeg", "image/png"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,100}", file.file_name) for file in record.attachments)
    assert statuses(world) == [200, 200, 200]


def test_ten_receipts_go_and_the_eleventh_is_told(world):
    """Row 45: a document takes ten files."""
    world.purchase("12.50", receipts=["png"] * 11)

    run = world.sync()

    (record,) = world.books.live()
    assert len(record.attachments) == 10
    assert run.receipts_failed == 1
    (told,) = ExportReceipt.objects.filter(state=ExportReceipt.State.FAILED)
    assert re.search(r"\b(ten|10)\b", told.says)


def test_a_receipt_xero_finds_too_large_is_told_and_not_tried_for_ever(world, mood, travel):
    """Row 45: sources name 10 MB, 25 MB and less."""
    mood(attachment_bytes=10)
    world.purchase("12.50", receipts=["png"])

    run = world.sync()
    travel(days=1)
    world.sync()

    assert run.receipts_failed == 1
    assert statuses(world) == [413]


def test_a_receipt_sent_again_overwrites_itself(world, sandbox):
    """Row 45: the name is the same each time, so nothing is doubled."""
    world.purchase("12.50", receipts=["png"])
    sandbox.faults.add("drop_before", system="xero-api", method="PUT", path="/Attachments/")
    sandbox.faults.add("drop_after", system="xero-api", method="PUT", path="/Attachments/", skip=1)

    world.sync()

    (record,) = world.books.live()
    assert len(record.attachments) == 1
