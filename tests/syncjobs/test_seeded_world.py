"""The whole demo world goes through: what lands in Xero equals PEX to the cent, told from PEX's own rows."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.pex import auth as pex_auth
from connectors.pex.client import Token
from connectors.records import Kind
from connectors.settings import TAG, FieldSource, Settings
from pexsync import clock
from pexsync.accounts import permissions
from sandbox import seeds
from syncjobs.models import Export
from syncjobs.transitions import State
from tests import make

pytestmark = pytest.mark.database


@pytest.fixture
def northwind(sandbox, settings, transactional_db, tmp_path):
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    seeds.seed(sandbox)
    pex = sandbox.worlds["pex"].businesses[4410]
    admin = next(admin for admin in pex.admins.values() if admin.username == "dana.admin")
    books = sandbox.worlds["xero"].organisation("Northwind Builders LLC")
    tag = next(tag for tag in pex.tags.values() if tag.name == "Expense Account")
    bank = next(account for account in books.accounts.values() if account.name == "PEX Cash Account")
    general = next(account for account in books.accounts.values() if account.code == "429")
    business, user = make.member("Northwind Builders", 4410, "dana.admin")
    everything = [permission.value for permission in permissions.CONNECTOR]
    pex_auth.adopt(
        business, user, pex_auth.SignIn(Token(sandbox.worlds["pex"].token(admin, "pexsync-demo"))), everything
    )
    chosen = Settings(
        kinds=frozenset({Kind.PURCHASE}),
        start_date=clock.today() - timedelta(days=120),
        pex_account=bank.id,
        fields={"account": FieldSource(source=TAG, tag=tag.tag_id, default=general.id)},
    )
    connection = make.connect(sandbox, business, user, books, chosen)
    yield make.World(sandbox, pex, books, admin, tag, business, user, connection)
    sandbox.clock.path = None


def eligible(row) -> bool:
    """By PEX's rows alone: settled card transactions and disputes, approved where purchases, money to move."""
    dispute = row.type == "Transfer" and row.category == "Dispute"
    return (
        row.on_card
        and row.settled is not None
        and not row.pending
        and not row.decline
        and (row.type == "Network" or dispute)
        and row.category != "CardAccountFee"
        and (row.approval == "Approved" or dispute)
        and row.amount != 0
        and not row.bill_pay
    )


def test_what_lands_in_xero_equals_pex_to_the_cent(northwind):
    by_hand = {record.id for record in northwind.books.live()}
    rows = [row for row in northwind.pex.card_rows() if eligible(row)]
    assert len(rows) > 100
    northwind.sync()
    left = {row.pex_id: row for row in Export.objects.exclude(state=State.POSTED)}
    expected = {row.transaction_id: -row.amount for row in rows if row.transaction_id not in left}
    booked = {
        int(record.reference.removeprefix("PEXT")): Decimal(record.total) * (1 if record.type == "SPEND" else -1)
        for record in northwind.books.live()
        if record.id not in by_hand
    }
    assert booked == expected
    assert any(amount < 0 for amount in booked.values()), "refunds are among them"
    told = {row.pex_id: (row.state, row.cause or row.waiting) for row in Export.objects.exclude(state=State.POSTED)}
    for row in rows:
        if row.transaction_id in left:
            state, why = told[row.transaction_id]
            assert why, f"{row.transaction_id} is {state} and nobody says why"
    reasons = Counter(why for pex_id, (_, why) in told.items() if pex_id in {row.transaction_id for row in rows})
    assert set(reasons) <= {"split", "note_by_hand", "synced_before", "unknown:account", "archived:account"}
    lines = {
        record.reference: sum(Decimal(line.unit_amount) * Decimal(line.quantity) for line in record.lines)
        for record in northwind.books.live()
        if record.id not in by_hand
    }
    assert all(
        lines[record.reference] == Decimal(record.total)
        for record in northwind.books.live()
        if record.id not in by_hand
    )


def test_every_receipt_of_a_posted_purchase_is_in_xero_once(northwind):
    northwind.sync()
    posted = set(Export.objects.filter(state=State.POSTED).values_list("pex_id", flat=True))
    given = {
        row.transaction_id: sum(one.status_at(clock.now()) == "Loaded" for one in row.attachments)
        for row in northwind.pex.card_rows()
        if row.transaction_id in posted
    }
    booked = {
        int(record.reference.removeprefix("PEXT")): len(record.attachments)
        for record in northwind.books.live()
        if record.reference.startswith("PEXT")
    }
    assert booked == given
    assert sum(booked.values()) > 50
