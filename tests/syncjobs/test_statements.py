"""Statement payments of charge accounts: one thing in the books for each that moved money, none for what did not."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.pex import mapping
from connectors.pex.mapping import Invoice
from connectors.records import Kind, Source, Transaction
from pexsync import clock
from syncjobs import statements
from syncjobs.models import Export, PexTransaction
from syncjobs.transitions import Cause, State
from tests.syncjobs.following import booked

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


def payment(pex_id: int, type_: str = "PEXTransfer", amount: str = "100.00", day: int = 0, **fields) -> Transaction:
    row = {"PaymentId": pex_id, "Type": type_, "Amount": Decimal(amount), "DatePaid": "2026-03-02T12:00:00"}
    found = mapping.statement_payment(row | fields.pop("row", {}), fields.pop("invoice_id", 9))
    when = found.happened_at + timedelta(days=day)
    return replace(found, happened_at=when, settled_at=when, **fields)


def says(payments, in_books=()) -> dict[int, str]:
    return {pex_id: verdict.says for pex_id, verdict in statements.verdicts(payments, set(in_books)).items()}


class TestWhatPexSends:
    @pytest.mark.parametrize(
        ("type_", "kind", "amount"),
        [
            ("PEXTransfer", Kind.BILL_PAYMENT, "-100.00"),
            ("SameDayACH", Kind.BILL_PAYMENT, "-100.00"),
            (1, Kind.BILL_PAYMENT, "-100.00"),
            ("Reversal", Kind.BILL_PAYMENT, "100.00"),
            ("RebateCredit", Kind.REBATE, "-100.00"),
            ("RebateCreditReversal", Kind.REBATE, "100.00"),
            ("CarryOverCredit", None, "-100.00"),
            ("GoodwillCredit", None, "-100.00"),
        ],
    )
    def test_the_type_tells_kind_and_direction(self, type_, kind, amount):
        found = payment(1, type_)
        assert (found.kind, found.amount, found.source) == (kind, Decimal(amount), Source.STATEMENT_PAYMENT)

    def test_it_counts_on_the_day_it_was_paid_in_the_east(self):
        found = payment(1, row={"DatePaid": "2026-03-02T23:30:00"})
        assert found.settled_at == datetime(2026, 3, 3, 4, 30, tzinfo=UTC)

    def test_without_a_date_or_an_amount_it_is_shown_and_never_posted(self):
        assert "no date" in payment(1, row={"DatePaid": None}).problem
        assert "no amount" in payment(1, row={"Amount": None}).problem

    def test_an_invoice_is_read_by_name_or_number(self):
        row = {"InvoiceId": 7, "Status": 1, "DueDate": "2026-03-05T00:00:00"}
        assert mapping.invoice(row) == Invoice(7, date(2026, 3, 5), open=True)
        assert mapping.invoice(row | {"Status": "Draft"}).draft


def test_open_statements_and_those_just_closed_are_read_whatever_the_days():
    today = date(2026, 3, 20)
    invoices = [
        Invoice(1, date(2025, 6, 1), open=True),
        Invoice(2, date(2025, 6, 1), open=False),
        Invoice(3, date(2026, 2, 25), open=False),
        Invoice(4, date(2026, 2, 10), open=False),
        Invoice(5, date(2026, 4, 1), open=True, draft=True),
        Invoice(6, None, open=False),
    ]
    assert statements.to_read(invoices, date(2026, 3, 15), today) == [1, 3, 6]
    assert statements.to_read(invoices, date(2026, 1, 1), today) == [1, 3, 4, 6]


class TestVerdicts:
    def test_plain_payments_and_rebates_are_due(self):
        assert says([payment(1), payment(2, "SameDayACH"), payment(3, "RebateCredit")]) == {}

    def test_sales_credits_and_write_offs_are_a_persons(self):
        found = statements.verdicts([payment(1, "SalesCredit"), payment(2, "WriteOff")], set())
        assert [found[pex_id].held for pex_id in (1, 2)] == [True, True]

    def test_a_rejected_payment_is_not_due(self):
        assert says([payment(1, rejected=True)]) == {1: statements.REJECTED}

    def test_a_reversal_is_due_only_against_a_payment_in_the_books(self):
        both = [payment(1, rejected=True), payment(2, "Reversal", day=3)]
        assert says(both, in_books=[1]) == {1: statements.REJECTED}
        assert says(both) == {1: statements.CANCELLED_OUT, 2: statements.NO_PAYMENT}

    def test_a_payment_reversed_before_it_was_booked_stays_out_with_its_reversal(self):
        assert says([payment(1), payment(2, "Reversal", day=1)]) == {
            1: statements.CANCELLED_OUT,
            2: statements.NO_PAYMENT,
        }

    @pytest.mark.parametrize("other", [{"amount": "100.01"}, {"invoice_id": 10}, {"day": 5}])
    def test_a_reversal_is_of_the_same_statement_and_amount_and_comes_after(self, other):
        rows = [payment(1, **other), payment(2, "Reversal", day=1)]
        assert says(rows, in_books=[1]) == {2: statements.NO_PAYMENT}

    def test_one_payment_explains_one_reversal(self):
        rows = [payment(1), payment(2, "Reversal", day=1), payment(3, "Reversal", day=2)]
        assert says(rows, in_books=[1]) == {3: statements.NO_PAYMENT}

    def test_of_two_equal_payments_the_rejected_one_is_meant(self):
        rows = [payment(1), payment(2, rejected=True), payment(3, "Reversal", day=1)]
        assert statements.reversals(rows, {1}) == {3: 2}
        assert says(rows, in_books=[1]) == {2: statements.CANCELLED_OUT, 3: statements.NO_PAYMENT}

    def test_of_two_equal_ones_the_one_in_the_books_is_meant(self):
        rows = [payment(1), payment(2, day=1), payment(3, "Reversal", day=2)]
        assert statements.reversals(rows, {2}) == {3: 2}

    def test_a_later_rejection_is_told_when_no_reversal_came_within_five_days(self):
        rows = [payment(1, rejected=True)]
        since = {1: NOON}
        assert statements.not_reversed(rows, {1}, since, NOON + timedelta(days=5)) == []
        assert statements.not_reversed(rows, {1}, since, NOON + timedelta(days=5, seconds=1)) == [1]
        assert statements.not_reversed(rows, set(), since, NOON + timedelta(days=9)) == []
        reversed_now = [*rows, payment(2, "Reversal", day=1)]
        assert statements.not_reversed(reversed_now, {1}, since, NOON + timedelta(days=9)) == []


@pytest.fixture
def charge(acme):
    """Acme as a charge account whose statement payments are synced."""
    acme.pex.funding = "Credit"
    acme.all_kinds()
    return acme


def exports() -> dict[int, Export]:
    return {row.pex_id: row for row in Export.objects.filter(source=Source.STATEMENT_PAYMENT)}


@pytest.mark.database
class TestFromPexToTheBooks:
    def test_a_payment_is_booked_once_without_note_or_receipt_even_where_its_id_is_a_purchases(self, charge, travel):
        bought = charge.purchase("12.50")
        statement = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = charge.pex.add_payment(statement, amount="500.00", payment_id=bought.transaction_id)
        charge.sync()
        travel(minutes=11)
        charge.sync()
        [row] = exports().values()
        assert (row.pex_id, row.state, row.amount) == (paid.payment_id, State.POSTED, Decimal("-500.00"))
        assert booked(charge) == [
            (f"PEXS{paid.payment_id}", Decimal("-500.00")),
            (f"PEXT{bought.transaction_id}", Decimal("12.50")),
        ]
        assert len(charge.pex.notes(bought.transaction_id)) == 1
        charge.pex.remove(bought)
        charge.sync()
        assert Export.objects.get(source=Source.TRANSACTION).gone_missed_at is not None
        assert exports()[paid.payment_id].gone_missed_at is None

    def test_a_rejected_payment_and_its_reversal_leave_the_books_as_they_were(self, charge):
        statement = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        charge.pex.add_payment(statement, amount="500.00", rejected=True)
        charge.pex.add_payment(statement, "Reversal", amount="500.00", paid=clock.now() - timedelta(days=1))
        charge.sync()
        assert booked(charge) == []
        assert [row.waiting for row in exports().values()] == ["statement", "statement"]

    def test_rejected_after_it_was_booked_its_reversal_is_booked_too(self, charge, travel):
        statement = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = charge.pex.add_payment(statement, amount="500.00")
        charge.sync()
        paid.rejected = True
        back = charge.pex.add_payment(statement, "Reversal", amount="500.00", paid=clock.now())
        charge.sync()
        assert [row.state for row in exports().values()] == [State.POSTED, State.POSTED]
        assert booked(charge) == [
            (f"PEXS{paid.payment_id}", Decimal("-500.00")),
            (f"PEXS{back.payment_id}", Decimal("500.00")),
        ]

    def test_rejected_and_never_reversed_is_told_after_five_days(self, charge, travel):
        statement = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = charge.pex.add_payment(statement, amount="500.00")
        charge.sync()
        paid.rejected = True
        charge.sync()
        assert exports()[paid.payment_id].says == ""
        travel(days=5, minutes=1)
        charge.sync()
        assert exports()[paid.payment_id].says == statements.NOT_REVERSED

    def test_rebates_come_from_the_statement_alone_and_carry_overs_from_nowhere(self, charge):
        statement = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        credit = charge.pex.add_payment(statement, "RebateCredit", amount="20.00")
        charge.pex.add_payment(statement, "CarryOverCredit", amount="7.00")
        charge.pex.add_business_row(category="BusinessRebate", amount="20.00", description="Rebate Credit")
        charge.sync()
        assert booked(charge) == [(f"PEXS{credit.payment_id}", Decimal("-20.00"))]
        assert PexTransaction.objects.get(category="CarryOverCredit").kind == ""

    def test_a_sales_credit_is_held(self, charge):
        statement = charge.pex.add_statement("500.00", due=clock.now() - timedelta(days=3), payments=[])
        credit = charge.pex.add_payment(statement, "SalesCredit", amount="20.00")
        charge.sync()
        held = exports()[credit.payment_id]
        assert (held.state, held.cause) == (State.HELD, Cause.STATEMENT)
        assert booked(charge) == []

    def test_a_payment_pex_took_back_before_it_was_booked_is_never_booked(self, charge, travel):
        statement = charge.pex.add_statement("900.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = charge.pex.add_payment(statement, amount="500.00")
        charge.books.period_lock_date = clock.today()
        charge.sync()
        assert exports()[paid.payment_id].waiting == "period"
        statement.payments.remove(paid)
        charge.books.period_lock_date = None
        travel(minutes=2)
        charge.sync()
        assert (exports()[paid.payment_id].state, exports()[paid.payment_id].waiting) == (State.DUE, "gone")
        assert booked(charge) == []
        statement.payments.append(paid)
        travel(minutes=2)
        charge.sync()
        assert booked(charge) == [(f"PEXS{paid.payment_id}", Decimal("-500.00"))]

    def test_a_payment_whose_reversal_pex_took_back_is_booked_after_all(self, charge, travel):
        statement = charge.pex.add_statement("900.00", due=clock.now() - timedelta(days=3), payments=[])
        paid = charge.pex.add_payment(statement, amount="500.00")
        charge.pex.add_payment(statement, "Reversal", amount="500.00", paid=clock.now() - timedelta(days=1))
        charge.sync()
        assert booked(charge) == []
        statement.payments.pop()
        travel(minutes=2)
        charge.sync()
        assert booked(charge) == [(f"PEXS{paid.payment_id}", Decimal("-500.00"))]
