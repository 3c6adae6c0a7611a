"""What the checker judges: PEX and the books as the companies show them, the product's tables by plain SQL.

No line of the product is imported here: what a key looks like or which way money goes is said once more, from the
outside.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from chaos.companies import Companies
from chaos.journal import Doing

KEY = re.compile(r"PEXT(\d+)(?:-(\d+))?")
CENT = Decimal("0.01")

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    id: int
    text: str
    system: bool


@dataclass(frozen=True, slots=True)
class Purchase:
    """One settled or other row of PEX. `amount` has our sign: above nought is money spent."""

    id: int
    business: int
    company: str
    amount: Decimal
    eligible: bool
    notes: tuple[Note, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # attachment id -> sha256, those PEX has loaded


@dataclass(frozen=True, slots=True)
class Record:
    """One bank transaction on the PEX account of the books. `amount` has our sign."""

    id: str
    company: str
    live: bool
    amount: Decimal
    names: tuple[int, ...]  # PEX's ids, by the keys in its reference and its address
    files: tuple[str, ...] = ()  # sha256 of each attachment


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the ledger."""

    pk: int
    business: int
    pex_id: int
    state: str
    waiting: str
    cause: str
    says: str
    record_id: str
    amount: Decimal
    kind: str
    month: str  # 2026-05
    owed: int = 0  # receipts of its present generation without an outcome


@dataclass(frozen=True, slots=True)
class Tally:
    business: int
    month: str
    kind: str
    state: str
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Evidence:
    purchases: Sequence[Purchase]
    records: Sequence[Record]
    rows: Sequence[Row]
    tallies: Sequence[Tally] = ()
    open_runs: Sequence[str] = ()
    events: Mapping[int, Sequence[str]] = field(default_factory=dict)  # by ledger row: its log, as text
    doings: Sequence[Doing] = ()


# --- the companies ----------------------------------------------------------------------------------------------------


def of_companies(companies: Companies, businesses: Sequence[JSON]) -> tuple[list[Purchase], list[Record]]:
    """`businesses`: what the world of the companies said about each of them."""
    purchases = [_purchase(shown, facts) for facts in businesses for shown in companies.transactions(facts["pex_id"])]
    accounts = {(facts["company"], facts["bank"]) for facts in businesses}
    records = [
        _record(shown, company)
        for company in sorted({facts["company"] for facts in businesses})
        for shown in companies.books(company)
        if (company, shown["bank_account"]) in accounts
    ]
    return purchases, records


def _purchase(shown: JSON, facts: JSON) -> Purchase:
    spent = shown["category"] == "Spend"
    eligible = bool(
        spent and shown["settled"] and not shown["pending"] and not shown["decline"]
        and shown["approval"] == "Approved" and shown["tags"] and Decimal(shown["amount"])
    )  # fmt: skip
    return Purchase(
        id=shown["transaction_id"],
        business=facts["pex_id"],
        company=facts["company"],
        amount=-Decimal(shown["amount"]),
        eligible=eligible,
        notes=tuple(Note(note["note_id"], note["text"], note["system"]) for note in shown["notes"]),
        files={file["attachment_id"]: file["sha256"] for file in shown["files"] if file["status"] == "Loaded"},
    )


def _record(shown: JSON, company: str) -> Record:
    total = Decimal(shown["total"])
    return Record(
        id=shown["id"],
        company=company,
        live=shown["status"] == "AUTHORISED",
        amount=-total if shown["type"].startswith("RECEIVE") else total,
        names=named(f"{shown['reference']} {shown['url']}"),
        files=tuple(file["sha256"] for file in shown["attachments"]),
    )


def named(text: str) -> tuple[int, ...]:
    """PEX's ids in the keys of a text, each once."""
    return tuple(sorted({int(match[1]) for match in KEY.finditer(text)}))


# --- the product's tables ---------------------------------------------------------------------------------------------

ROWS = (
    "select e.id, b.pex_id as business, e.pex_id, e.state, e.waiting, e.cause, e.says, e.record_id, e.amount, e.kind, "
    "e.settled_on, (select count(*) from syncjobs_exportreceipt r where r.export_id = e.id "
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
    purchases, records = of_companies(companies, businesses)
    return Evidence(
        purchases=purchases,
        records=records,
        rows=tables.rows(),
        tallies=tables.tallies(),
        open_runs=tables.open_runs(),
        events=tables.events(),
        doings=tuple(doings),
    )
