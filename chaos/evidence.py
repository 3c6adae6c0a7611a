"""What the checker judges: PEX and the books as the companies show them, the product's tables by plain SQL.

No line of the product is imported here: what a key looks like or which way money goes is said once more, from the
outside.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from chaos import central
from chaos.companies import CENTRAL, Companies
from chaos.facts import (
    BILL_PAYMENT,
    FEE,
    PURCHASE,
    REBATE,
    TRANSFER,
    Evidence,
    Half,
    Note,
    Options,
    Record,
    Row,
    Stray,
    Tally,
    Transaction,
    Twin,
    named,
)
from chaos.journal import Doing

CENT = Decimal("0.01")
REBATES = ("Rebate Credit", "Rebate Credit Reversal", "Rebate payout")
PAID = ("PEXTransfer", "SameDayACH")
PAYMENTS = {  # kind, and which way the money goes: below nought onto the PEX account
    **dict.fromkeys(PAID, (BILL_PAYMENT, -1)),
    "Reversal": (BILL_PAYMENT, 1),
    "RebateCredit": (REBATE, -1),
    "RebateCreditReversal": (REBATE, 1),
}

JSON = dict[str, Any]


# --- the companies ----------------------------------------------------------------------------------------------------


def of_pex(companies: Companies, businesses: Sequence[JSON]) -> list[Transaction]:
    """`businesses`: what the world of the companies said about each of them."""
    given = []
    for facts in businesses:
        projects = _projects(companies, facts)
        given += [_row(shown, facts, projects) for shown in companies.transactions(facts["pex_id"])]
        given += _payments(companies.payments(facts["pex_id"]), facts)
    return given


@dataclass
class Books:
    """What stands in the books of all companies."""

    records: list[Record] = field(default_factory=list)
    halves: list[Half] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    twins: list[Twin] = field(default_factory=list)


def of_books(companies: Companies, businesses: Sequence[JSON]) -> Books:
    found = Books()
    for company in sorted({facts["company"] for facts in businesses}):
        of_company = [facts for facts in businesses if facts["company"] == company]
        if of_company[0]["system"] == CENTRAL:
            _take_central(found, companies, company, of_company)
        else:
            found.records += _of_xero(companies, company, {facts["bank"] for facts in of_company})
    return found


def _of_xero(companies: Companies, company: str, banks: Collection[str]) -> Iterator[Record]:
    for shown in companies.books(company):
        if shown["bank_account"] in banks and not shown["transfer"]:
            yield _record(shown, company)
    for shown in companies.transfers(company):
        if {shown["from"], shown["to"]}.intersection(banks):
            yield _moved(shown, company, banks)


def _take_central(found: Books, companies: Companies, company: str, businesses: Sequence[JSON]) -> None:
    books, set_up, facts = companies.central_books(company), companies.central_set_up(company), businesses[0]
    names = {one["code"]: one["name"] for one in set_up["values"] if one["dimension"] == facts["category"]}
    coding = central.Coding(facts["category"], names, facts["usual"])
    accounts = {one["account"] for one in businesses}
    found.records += central.records(books, company, accounts, coding)
    found.halves += central.halves(books)
    found.strays += central.strays(books)
    found.twins += central.twins(set_up, company)


def of_options(companies: Companies, businesses: Sequence[JSON]) -> list[Options]:
    """The lists of the businesses that let their books fill a tag."""
    return [
        Options(
            facts["pex_id"],
            _projects(companies, facts),
            {
                option["value"]: option["name"]
                for tag in companies.tags(facts["pex_id"])
                if tag["tag_id"] == facts["project_tag"]
                for option in tag["options"]
                if option["enabled"]
            },
        )
        for facts in businesses
        if facts["synced"]
    ]


def _projects(companies: Companies, facts: JSON) -> dict[str, str]:
    """The projects in the books that may be chosen: id and name."""
    if facts["system"] == CENTRAL:
        values = companies.central_set_up(facts["company"])["values"]
        return {one["id"]: one["name"] for one in values if one["dimension"] == facts["category"]}
    return {
        option["id"]: option["name"]
        for category in companies.tracking(facts["company"])
        if category["id"] == facts["category"]
        for option in category["options"]
        if option["status"] == "ACTIVE"
    }


def _row(shown: JSON, facts: JSON, projects: Mapping[str, str]) -> Transaction:
    kind = _kind(shown, facts)
    return Transaction(
        id=shown["transaction_id"],
        business=facts["pex_id"],
        company=facts["company"],
        amount=-Decimal(shown["amount"]),
        eligible=bool(kind and shown["settled"] and Decimal(shown["amount"]) and _ready(shown, kind)),
        kind=kind,
        project=projects.get(shown["values"].get(facts["project_tag"], ""), ""),
        notes=tuple(Note(note["note_id"], note["text"], note["system"]) for note in shown["notes"]),
        files={file["attachment_id"]: file["sha256"] for file in shown["files"] if file["status"] == "Loaded"},
    )


def _kind(shown: JSON, facts: JSON) -> str:
    """Which kind a row is, "" where it is of none: on the card list, or on the list of the business account."""
    category = shown["category"]
    if shown["account_id"]:
        return {"Spend": PURCHASE, "CardAccountFee": FEE}.get(category, "")
    if category == "BusinessAccountFee":
        return FEE
    if facts["charge"]:  # the rest is told by its statements
        return ""
    if category == "BusinessRebate" or shown["description"] in REBATES:
        return REBATE
    return TRANSFER if category == "BusinessFunding" else ""


def _ready(shown: JSON, kind: str) -> bool:
    """Whether it may be booked as it is: a purchase settled, approved and tagged."""
    if kind not in (PURCHASE, FEE):
        return True
    if shown["pending"] or shown["decline"]:
        return False
    return kind == FEE or (shown["approval"] == "Approved" and bool(shown["tags"]))


def _payments(payments: Sequence[JSON], facts: JSON) -> list[Transaction]:
    """The payments of a charge account's statements, each reversal with the payment it gives back."""
    against: dict[int, int] = {}
    for reversal in (one for one in payments if one["type"] == "Reversal"):
        same = [one for one in payments if one["type"] in PAID and _same(one, reversal)]
        for payment in same[:1]:
            against |= {payment["payment_id"]: reversal["payment_id"], reversal["payment_id"]: payment["payment_id"]}
    found = []
    for one in payments:
        kind, sign = PAYMENTS.get(one["type"], ("", 1))
        number, amount = one["payment_id"], sign * Decimal(one["amount"])
        ready = bool(kind) and not one["rejected"] and (one["type"] != "Reversal" or number in against)
        found.append(Transaction(number, facts["pex_id"], facts["company"], amount, ready, kind, against.get(number)))
    return found


def _same(payment: JSON, reversal: JSON) -> bool:
    return all(payment[name] == reversal[name] for name in ("invoice_id", "amount")) and not payment["rejected"]


def _record(shown: JSON, company: str) -> Record:
    total = Decimal(shown["total"])
    return Record(
        id=shown["id"],
        company=company,
        live=shown["status"] == "AUTHORISED",
        amount=-total if shown["type"].startswith("RECEIVE") else total,
        names=named(f"{shown['reference']} {shown['url']}"),
        files=tuple(file["sha256"] for file in shown["attachments"]),
        projects=tuple(sorted({one["option"] for line in shown["lines"] for one in line["tracking"]})),
    )


def _moved(shown: JSON, company: str, banks: Collection[str]) -> Record:
    """A transfer between the PEX account and another one."""
    amount = Decimal(shown["amount"])
    return Record(
        id=shown["id"],
        company=company,
        live=shown["status"] == "AUTHORISED",
        amount=amount if shown["from"] in banks else -amount,
        names=named(shown["reference"]),
        files=tuple(file["sha256"] for file in shown["attachments"]),
    )


# --- the product's tables ---------------------------------------------------------------------------------------------

ROWS = (
    "select e.id, b.pex_id as business, e.pex_id, e.state, e.waiting, e.cause, e.says, e.record_id, e.amount, e.kind, "
    "e.settled_on, e.draft, (select count(*) from syncjobs_exportreceipt r where r.export_id = e.id "
    "and r.generation = e.generation and r.state in ('waiting', 'sent', 'unknown')) as owed "
    "from syncjobs_export e join accounts_business b on b.id = e.business_id"
)
TALLIES = (
    "select b.pex_id as business, t.month, t.kind, t.state, sum(t.count) as count, sum(t.amount) as amount "
    "from syncjobs_tally t join accounts_business b on b.id = t.business_id "
    "group by b.pex_id, t.month, t.kind, t.state"
)
OPEN_RUNS = (
    "select r.id, b.pex_id as business, r.status, r.phase, r.says from syncjobs_syncrun r "
    "join accounts_business b on b.id = r.business_id where r.status in ('queued', 'running', 'paused')"
)
EVENTS = (
    "select export_id, at, event, before, after, who, batch, generation, says from syncjobs_exportevent order by id"
)


class Tables:
    """The product's tables, read without the product. `ask` answers a select with one dictionary per row."""

    def __init__(self, ask: Callable[[str], list[JSON]]) -> None:
        self.ask = ask

    @classmethod
    def at(cls, url: str) -> Self:
        """`url`: sqlite:///FILE or postgres://..."""
        return cls(partial(_ask_file if url.startswith("sqlite") else _ask_server, url))

    def rows(self) -> list[Row]:
        return [
            Row(
                pk=one["id"],
                business=one["business"],
                pex_id=one["pex_id"],
                state=one["state"],
                waiting=one["waiting"],
                cause=one["cause"],
                says=one["says"],
                record_id=one["record_id"],
                amount=_money(one["amount"]),
                kind=one["kind"],
                month=str(one["settled_on"])[:7],
                owed=one["owed"],
                draft=bool(one["draft"]),
            )
            for one in self.ask(ROWS)
        ]

    def tallies(self) -> list[Tally]:
        return [
            Tally(
                one["business"], str(one["month"])[:7], one["kind"], one["state"],
                int(one["count"]), _money(one["amount"]),
            )
            for one in self.ask(TALLIES)
        ]  # fmt: skip

    def open_runs(self) -> list[str]:
        return [
            f"run {one['id']} of business {one['business']} is {one['status']} ({one['phase']}): {one['says']}"
            for one in self.ask(OPEN_RUNS)
        ]

    def events(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for one in self.ask(EVENTS):
            batch = f" batch {one['batch']}" if one["batch"] else ""
            found.setdefault(one["export_id"], []).append(
                f"{one['at']}  {one['event']}: {one['before'] or '-'} -> {one['after']} by {one['who']}{batch}"
                f" generation {one['generation']}  {one['says']}"
            )
        return found


def _ask_file(url: str, question: str) -> list[JSON]:
    """Raises `sqlite3.Error`."""
    database = sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=20)
    try:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(question)]
    finally:
        database.close()


def _ask_server(url: str, question: str) -> list[JSON]:
    """Raises `psycopg.Error`."""
    with psycopg.connect(url, row_factory=dict_row, connect_timeout=10) as database:
        return list(database.execute(question.encode()))


def _money(value: object) -> Decimal:
    return Decimal(str(value)).quantize(CENT)


def gather(companies: Companies, businesses: Sequence[JSON], tables: Tables, doings: Iterable[Doing]) -> Evidence:
    books = of_books(companies, businesses)
    return Evidence(
        transactions=of_pex(companies, businesses),
        records=books.records,
        halves=books.halves,
        strays=books.strays,
        twins=books.twins,
        options=of_options(companies, businesses),
        rows=tables.rows(),
        tallies=tables.tallies(),
        open_runs=tables.open_runs(),
        events=tables.events(),
        doings=tuple(doings),
    )
