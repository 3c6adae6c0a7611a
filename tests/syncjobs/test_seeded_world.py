"""The whole demo world goes through: what lands in Xero equals PEX to the cent, told from PEX's own rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Min

from connectors.pex import auth as pex_auth
from connectors.pex.client import Token
from connectors.records import Kind
from connectors.settings import TAG, FieldSource, Settings
from pexsync import clock
from pexsync.accounts import permissions
from sandbox import seeds
from syncjobs.models import Export
from syncjobs.transitions import Cause, State
from tests import make
from tests.syncjobs.following import booked

pytestmark = pytest.mark.database

NORTHWIND, HARBOR = (4410, "Northwind Builders LLC"), (5520, "Harbor Charge Books")
REBATES = ("Rebate Credit", "Rebate Credit Reversal", "Rebate payout")


@pytest.fixture
def seeded(sandbox, settings, transactional_db, tmp_path) -> Iterator[Callable[..., make.World]]:
    """Set up one business of the demo with its organisation; every kind is on."""
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    seeds.seed(sandbox)
    yield lambda business_id, company: set_up(sandbox, business_id, company)
    sandbox.clock.path = None


def set_up(sandbox, business_id: int, company: str) -> make.World:
    pex = sandbox.worlds["pex"].businesses[business_id]
    admin = next(admin for admin in pex.admins.values() if admin.username == "dana.admin")
    books = sandbox.worlds["xero"].organisation(company)
    tag = next(tag for tag in pex.tags.values() if tag.name == "Expense Account")
    bank = next(account for account in books.accounts.values() if account.is_bank and "PEX" in account.name)
    business, user = make.member(pex.name, business_id, admin.username)
    everything = [permission.value for permission in permissions.CONNECTOR]
    pex_auth.adopt(
        business, user, pex_auth.SignIn(Token(sandbox.worlds["pex"].token(admin, "pexsync-demo"))), everything
    )
    chosen = Settings(
        kinds=frozenset({Kind.PURCHASE}),
        start_date=clock.today() - timedelta(days=120),
        pex_account=bank.id,
        fields={"account": FieldSource(source=TAG, tag=tag.tag_id, default=books.account("429").id)},
    )
    connection = make.connect(sandbox, business, user, books, chosen)
    world = make.World(sandbox, pex, books, admin, tag, business, user, connection)
    world.all_kinds(tracking=[category.name for category in books.tracking.values()])
    return world


# --- what PEX says, told from its own rows ------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What must be booked of one row: above nought it credits the PEX account."""

    kind: Kind
    amount: Decimal


def told_by_pex(world: make.World) -> dict[str, Told]:
    """Everything that must be booked, by the key its record carries."""
    listed = [*card_rows(world.pex), *business_rows(world.pex)]
    found = {f"PEXT{row.transaction_id}": Told(kind, -row.amount) for row, kind in listed}
    assert len(found) == len(listed)
    return found | statement_payments(world.pex)


def card_rows(pex) -> Iterator[tuple[object, Kind]]:
    """Fees of cards, card transactions and disputes that settled: approved where purchases, money to move."""
    for row in pex.card_rows():
        dispute = row.type == "Transfer" and row.category == "Dispute"
        if row.settled is None or row.pending or row.decline or not row.amount or row.bill_pay:
            continue
        if row.category == "CardAccountFee":
            yield row, Kind.FEE
        elif dispute or (row.type == "Network" and row.approval == "Approved"):
            yield row, Kind.PURCHASE


def business_rows(pex) -> Iterator[tuple[object, Kind]]:
    """Fees; of a prepaid account also rebates, by category or words, and what came from the bank or went there."""
    for row in pex.business_rows():
        if row.category == "BusinessAccountFee":
            yield row, Kind.FEE
        elif pex.funding == "Credit":
            continue
        elif row.category == "BusinessRebate" or row.description in REBATES:
            yield row, Kind.REBATE
        elif row.category == "BusinessFunding":
            yield row, Kind.TRANSFER


def statement_payments(pex) -> dict[str, Told]:
    """What statements of a charge account were paid with. What the bank rejected is nothing, with its reversal."""
    found = {}
    for payment in (payment for statement in pex.statements.values() for payment in statement.payments):
        if payment.type in ("PEXTransfer", "SameDayACH") and not payment.rejected:
            found[f"PEXS{payment.payment_id}"] = Told(Kind.BILL_PAYMENT, -payment.amount)
        elif payment.type == "RebateCredit":
            found[f"PEXS{payment.payment_id}"] = Told(Kind.REBATE, -payment.amount)
        elif payment.type == "RebateCreditReversal":
            found[f"PEXS{payment.payment_id}"] = Told(Kind.REBATE, payment.amount)
    return found


def key(row: Export) -> str:
    return f"PEX{'S' if row.source == 'statement_payment' else 'T'}{row.pex_id}"


def by_kind_and_direction(amounts: dict[str, Told]) -> dict[tuple[Kind, bool], Decimal]:
    sums: defaultdict[tuple[Kind, bool], Decimal] = defaultdict(Decimal)
    for told in amounts.values():
        sums[told.kind, told.amount > 0] += told.amount
    return dict(sums)


BOTH_WAYS = {(kind, out) for kind in (Kind.PURCHASE, Kind.FEE, Kind.REBATE) for out in (True, False)}
PREPAID = BOTH_WAYS | {(Kind.TRANSFER, True), (Kind.TRANSFER, False)}
CHARGE = BOTH_WAYS | {(Kind.BILL_PAYMENT, False)}


@pytest.mark.parametrize(("business_id", "company", "present"), [(*NORTHWIND, PREPAID), (*HARBOR, CHARGE)])
def test_every_kind_lands_in_xero_to_the_cent_and_nothing_twice(seeded, business_id, company, present):
    world = seeded(business_id, company)
    wanted = told_by_pex(world)
    assert set(by_kind_and_direction(wanted)) == present
    bank, checking = (world.books.account(one) for one in (bank_of(world), "Business Checking"))
    before = world.books.balance(checking)
    world.sync()
    world.sync()
    rows = {key(row): row for row in Export.objects.all()}
    posted = {name: wanted[name] for name, row in rows.items() if row.state == State.POSTED}
    assert booked(world) == sorted((name, told.amount) for name, told in posted.items())
    in_ledger = {name: Told(Kind(rows[name].kind), rows[name].amount) for name in posted}
    assert by_kind_and_direction(in_ledger) == by_kind_and_direction(posted)
    assert set(by_kind_and_direction(posted)) == present
    assert world.books.balance(bank) == -sum(told.amount for told in posted.values())
    moved = [told.amount for told in posted.values() if told.kind in (Kind.TRANSFER, Kind.BILL_PAYMENT)]
    assert world.books.balance(checking) - before == sum(moved)
    left = {rows[name].cause or rows[name].waiting for name in wanted if name not in posted}
    assert left <= {"split", "note_by_hand", "synced_before", "unknown:account", "archived:account"}
    assert all(wanted[name].kind is Kind.PURCHASE for name in wanted if name not in posted)


def bank_of(world: make.World) -> str:
    return Settings.parse(world.connection.settings).pex_account


def test_of_a_statement_only_what_moved_money_is_booked_and_the_rest_says_why(seeded):
    harbor = seeded(*HARBOR)
    harbor.sync()
    types = {one.payment_id: one for statement in harbor.pex.statements.values() for one in statement.payments}
    rows = Export.objects.filter(source="statement_payment")
    left = Counter((types[row.pex_id].type, row.state, row.cause or row.waiting) for row in rows if not row.record_id)
    assert left == {
        ("PEXTransfer", State.DUE, "statement"): 1,
        ("Reversal", State.DUE, "statement"): 1,
        ("SalesCredit", State.HELD, Cause.STATEMENT): 1,
        ("WriteOff", State.HELD, Cause.STATEMENT): 1,
    }
    on_business_list = {
        row.transaction_id for row in harbor.pex.business_rows() if row.category != "BusinessAccountFee"
    }
    assert on_business_list
    assert not Export.objects.filter(source="transaction", pex_id__in=on_business_list).exists()


def test_only_purchases_get_a_note_and_only_their_receipts_are_asked_for(seeded):
    northwind = seeded(*NORTHWIND)
    northwind.sync()
    noted = {
        row.transaction_id
        for row in northwind.pex.transactions.values()
        if any("PEXT" in note.text for note in row.notes)
    }
    posted = Export.objects.filter(state=State.POSTED)
    assert noted == set(posted.filter(kind=Kind.PURCHASE).values_list("pex_id", flat=True))
    asked = northwind.sandbox.calls.matching("pex", "GET")
    listed = {int(call.path.split("/")[-2]) for call in asked if call.path.endswith("/Attachments")}
    assert listed == noted
    northwind.connection.refresh_from_db()
    first_check = posted.aggregate(at=Min("receipts_again_at"))["at"]
    assert northwind.connection.deliver_at == first_check, "nothing is owed but a look for receipts added since"


def test_every_receipt_of_a_posted_purchase_is_in_xero_once(seeded):
    northwind = seeded(*NORTHWIND)
    northwind.sync()
    posted = Export.objects.filter(state=State.POSTED, kind=Kind.PURCHASE).values_list("pex_id", flat=True)
    given = {
        f"PEXT{pex_id}": sum(
            one.status_at(clock.now()) == "Loaded" for one in northwind.pex.transactions[pex_id].attachments
        )
        for pex_id in posted
    }
    attached = {one.reference: len(one.attachments) for one in northwind.books.live() if one.reference in given}
    assert attached == given
    assert sum(attached.values()) > 50
