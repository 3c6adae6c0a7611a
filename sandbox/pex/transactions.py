"""The `Details` lists of transactions: Eastern windows of twelve months, paged by time."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.pex.asks import Ask, Refused, Reply, reply
from sandbox.pex.eastern import oldest_day
from sandbox.pex.records import Transaction
from sandbox.pex.rows import envelope, row_text

Dated = tuple[datetime, int, Transaction]


def all_cards(ask: Ask) -> Reply:
    """GET Details/AllCardholderTransactions"""
    return _page(ask, _listed(ask, ask.business.card_rows()))


def count(ask: Ask) -> Reply:
    """GET Details/AllCardholderTransactionCount"""
    return reply(len(_listed(ask, ask.business.card_rows())))


def business(ask: Ask) -> Reply:
    """GET Details/TransactionDetails, the business account's own rows"""
    return _page(ask, _listed(ask, ask.business.business_rows()))


def one_card(ask: Ask) -> Reply:
    """GET Details/TransactionDetails/{acctId}: the number is an account's, not a transaction's"""
    account = ask.number("account")
    if account not in ask.business.cards:
        raise Refused(403, "Invalid card account ID")
    return _page(ask, _listed(ask, (row for row in ask.business.card_rows() if row.account_id == account)))


def _listed(ask: Ask, rows: Iterable[Transaction]) -> list[Dated]:
    start, end = _window(ask)
    by = 1 if ask.world.switches.window_by == "settlement" else 0
    pendings, declines = ask.flag("IncludePendings"), ask.flag("IncludeDeclines")
    bills = ask.flag("IncludeVendorBillPay")
    lag = ask.world.switches.list_lag
    return sorted(
        (row.times[by], row.transaction_id, row)
        for row in rows
        if start <= row.times[by] <= end
        and (pendings or not row.pending)
        and (declines or not row.decline)
        and (bills or not row.bill_pay)
        and (not lag or (ask.now - row.created).total_seconds() >= lag)
    )


def _window(ask: Ask) -> tuple[datetime, datetime]:
    start, end = ask.wall_time("StartDate"), ask.wall_time("EndDate")
    if end < start:
        raise Refused(400, "EndDate must not be before StartDate")
    if start.date() < oldest_day(ask.now):
        raise Refused(400, "StartDate must be within the last 12 months")
    return start, end


def _page(ask: Ask, rows: list[Dated]) -> Reply:
    """Answer the first page. The next one starts at LastTimeRetrieved and shows that row again."""
    switches = ask.world.switches
    shown = rows[: switches.page_size]
    pages: dict[str, Any] = {
        "PageSize": switches.page_size,
        "TotalRecords": len(rows),
        "NumberOfPages": max(1, -(-len(rows) // switches.page_size)),
        "LastTimeRetrieved": shown[-1][0] if shown else None,
    }
    if switches.shuffled and len(shown) == len(rows):
        shown = sorted(shown, key=lambda one: hashlib.sha256(str(one[1]).encode()).digest())
    return reply(envelope([row_text(row, switches, ask.now) for _, _, row in shown], pages))
