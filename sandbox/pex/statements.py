"""Statements of charge accounts, which the API calls invoices, with their payments and sums by tag."""

from sandbox.pex.asks import Ask, Refused, Reply, reply
from sandbox.pex.eastern import wall
from sandbox.pex.records import Statement


def every(ask: Ask) -> Reply:
    """GET Invoices, due on or after `startDate`"""
    start = ask.day("startDate")
    rows = sorted(ask.business.statements.values(), key=lambda one: (one.due, one.invoice_id))
    return reply(
        [
            {
                "InvoiceId": one.invoice_id,
                "InvoiceAmount": one.amount,
                "Status": one.status,
                "DueDate": wall(one.due),
            }
            for one in rows
            if start is None or wall(one.due).date() >= start
        ]
    )


def allocations(ask: Ask) -> Reply:
    """GET Invoice/{id}/allocations"""
    statement = _statement(ask)
    return reply(
        [
            {
                "InvoiceId": statement.invoice_id,
                "TagName": share.tag_name,
                "TagValue": share.tag_value,
                "TotalAmount": share.amount,
                "TransactionTypeCategory": share.category,
            }
            for share in statement.allocations
        ]
    )


def payments(ask: Ask) -> Reply:
    """GET Invoice/{id}/payments"""
    unknown = ask.world.switches.unknown_values
    return reply(
        [
            {
                "PaymentId": one.payment_id,
                "RequestId": one.request_id,
                "Type": "GoodwillCredit" if unknown and one.type == "SalesCredit" else one.type,
                "DatePaid": wall(one.paid),
                "Description": one.description,
                "PaymentInitiatedByUserId": one.user_id,
                "CreditCarriedOverFromInvoiceId": one.carried_from,
                "Amount": one.amount,
                "RejectedByBank": one.rejected,
            }
            for one in _statement(ask).payments
        ]
    )


def _statement(ask: Ask) -> Statement:
    statement = ask.business.statements.get(ask.number("invoice"))
    if statement is None:
        raise Refused(404, "Invoice not found")
    return statement
