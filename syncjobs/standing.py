"""How a connection stands: the counts every page opens with, what needs a person, and what became of each row.

Counts come from the tally, never from counting the ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from connectors import registry
from connectors.models import Connection
from connectors.settings import Settings
from pexsync import clock
from pexsync.accounts.models import Business
from syncjobs import people, remedies, runs, support, window, wording
from syncjobs.judge import NEEDS_YOU, waits_for
from syncjobs.models import Export, ExportReceipt, PexTransaction, RunResult, SyncRun, Tally
from syncjobs.remedies import Button, Subject
from syncjobs.transitions import State
from syncjobs.wording import Label, money

GROUPS = 20  # causes shown at once


@dataclass(frozen=True, slots=True)
class Figure:
    count: int = 0
    amount: Decimal = Decimal("0.00")

    def plus(self, count: int, amount: Decimal) -> "Figure":
        return Figure(self.count + count, self.amount + amount)


@dataclass(frozen=True, slots=True)
class Standing:
    queued: Figure = Figure()
    needs_you: Figure = Figure()
    not_due: Figure = Figure()
    checking: Figure = Figure()
    posted_this_month: Figure = Figure()
    posted_total: int = 0
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """Rows that wait for a person for one reason, and the place that mends it."""

    cause: str
    says: str
    field: str  # of the settings, "" where the books or PEX must be mended
    count: int
    amount: Decimal
    examples: Sequence[str] = ()
    button: Button | None = None


def of(connection: Connection) -> Standing:
    """One query on the tally, one for the last day posted."""
    figures: dict[str, Figure] = {}
    month = clock.today().replace(day=1)
    total = 0
    for row in Tally.objects.filter(business_id=connection.business_id, system=connection.system):
        name = _group(row.state, row.waits)
        figures[name] = figures.get(name, Figure()).plus(row.count, row.amount)
        if row.state == State.POSTED:
            total += row.count
            if row.month == month:
                figures["month"] = figures.get("month", Figure()).plus(row.count, row.amount)
    standing = Standing(
        queued=figures.get("queued", Figure()),
        needs_you=figures.get("you", Figure()),
        not_due=figures.get("later", Figure()),
        checking=figures.get("checking", Figure()),
        posted_this_month=figures.get("month", Figure()),
        posted_total=total,
    )
    return replace(standing, sentence=_sentence(connection, standing))


def _group(state: str, waits: str) -> str:
    match State(state):
        case State.DUE:
            return waits or "queued"
        case State.SENT:
            return "checking"
        case State.HELD:
            return "you"
        case _:
            return str(state)


def _sentence(connection: Connection, standing: Standing) -> str:
    """Everything in the books, what is waiting, who must act: numbers before adjectives."""
    connector = registry.ALL[connection.system]
    where = wording.where_all(connector)
    groups = (standing.queued, standing.needs_you, standing.checking, standing.not_due)
    known = standing.posted_total + sum(group.count for group in groups)
    parts = []
    if standing.posted_total:
        upto = _ledger(connection).aggregate(day=Max("settled_on"))["day"]
        which = f"All {known:,}" if known == standing.posted_total else f"{standing.posted_total:,} of {known:,}"
        until = f" up to {upto.day} {upto:%B}" if upto else ""
        verb = "is" if standing.posted_total == 1 else "are"
        told = f"{_plural(known)} synced so far" if _left_some_out(connection) else f"settled {_plural(known)}{until}"
        parts.append(f"{which} {told} {verb} {where}.")
    parts += [
        f"{group.count:,} {one if group.count == 1 else many}."
        for group, one, many in (
            (standing.needs_you, "needs you", "need you"),
            (standing.queued, "is queued", "are queued"),
            (
                standing.checking,
                f"is being checked with {connector.label}",
                f"are being checked with {connector.label}",
            ),
            (standing.not_due, "is not due yet", "are not due yet"),
        )
        if group.count
    ]
    return " ".join(parts or [f"Nothing is {where} yet."])


def _left_some_out(connection: Connection) -> bool:
    """Whether the last sync was asked for some kinds or days only: then more has settled than the ledger knows."""
    last = runs.last(connection)
    if last is None or last.nightly:
        return False
    usual = window.manual(Settings.parse(connection.settings), last.queued_at.astimezone(clock.EASTERN).date())
    return bool(last.only) or last.window_start > usual.first or last.window_end < usual.last


def _plural(count: int) -> str:
    return "transaction" if count == 1 else "transactions"


def drafts(connection: Connection) -> tuple[int, datetime] | None:
    """How many records nobody had posted in the books when a run last looked, and when that was: one query.

    None where the books know no such stage, or no run has looked yet.
    """
    if not registry.ALL[connection.system].where_draft:
        return None
    looked = connection.runs.filter(target=connection.target, drafts__isnull=False, ended_at__isnull=False)
    found = looked.order_by("-queued_at", "-pk").values_list("drafts", "ended_at").first()
    return (found[0] or 0, found[1]) if found and found[1] else None


def causes(connection: Connection) -> list[CauseGroup]:
    """What needs a person, grouped by the sentence; the commonest first."""
    waiting = _ledger(connection).filter(needing_you())
    groups = (
        waiting.values("state", "cause", "waiting", "says")
        .annotate(count=Count("pk"), amount=Sum("amount"), newest=Max("pk"), oldest=Min("pk"))
        .order_by("-count", "cause")[:GROUPS]
    )
    found = list(groups)
    rows = _rows(connection, {row["newest"] for row in found} | {row["oldest"] for row in found})
    names = _merchants(connection.business_id, list(rows.values()))
    return [
        CauseGroup(
            cause=row["cause"],
            says=row["says"],
            field=remedies.field_of(row["cause"]),
            count=row["count"],
            amount=row["amount"],
            examples=tuple(dict.fromkeys(names[pk] for pk in (row["newest"], row["oldest"]) if pk in names)),
            button=_button_of_group(rows.get(row["newest"]), row["count"]),
        )
        for row in found
    ]


def causes_in(run: SyncRun) -> list[CauseGroup]:
    """What a run failed at, grouped by the sentence; the commonest first."""
    groups = run.results.values("cause", "says").annotate(
        count=Count("pk"), amount=Sum("export__amount"), newest=Max("export")
    )
    found = list(groups.order_by("-count", "cause")[:GROUPS])
    newest = {row.pk: row for row in Export.objects.filter(pk__in=[group["newest"] for group in found])}
    return [
        CauseGroup(
            cause=group["cause"],
            says=group["says"],
            field=remedies.field_of(group["cause"]),
            count=group["count"],
            amount=group["amount"],
            button=_button_of_group(newest.get(group["newest"]), group["count"], group["cause"]),
        )
        for group in found
    ]


def _button_of_group(newest: Export | None, count: int, cause: str = "") -> Button | None:
    """`newest` stands for them all; `cause` is what a run failed at, where the row may have moved on since."""
    if newest is None:
        return None
    if not cause:
        return remedies.button(_subject(newest, single=count == 1))
    state = State.HELD if cause in remedies.HELD else State.DUE
    # By its sentence too they would not be found: some may show another one by now.
    about = replace(_subject(newest, single=count == 1), state=state, cause=cause, waiting=cause, says="")
    return remedies.button(about)


def _subject(row: Export, single: bool = True) -> Subject:
    return Subject(
        system=row.system,
        state=row.state,
        cause=row.cause,
        waiting=row.waiting,
        says="" if single else row.says,
        link=row.link,
        card_account=row.card_account if single else None,
        single=single,
        final=row.state == State.CLOSED and bool(row.record_id),
    )


def needing_you() -> Q:
    return Q(state=State.HELD) | Q(state=State.DUE, waiting__in=NEEDS_YOU)


def _rows(connection: Connection, exports: Iterable[int]) -> dict[int, Export]:
    return {row.pk: row for row in _ledger(connection).filter(pk__in=exports)}


def _merchants(business_id: int, rows: Sequence[Export]) -> dict[int, str]:
    """Merchant and amount of a few rows, by export."""
    mirrored = transactions_of(business_id, rows)
    return {
        row.pk: f"{transaction.merchant_clean or transaction.merchant or transaction.description} {money(row.amount)}"
        for row in rows
        if (transaction := mirrored.get((row.source, row.pex_id)))
    }


def transactions_of(business_id: int, exports: Sequence[Export]) -> Mapping[tuple[str, int], PexTransaction]:
    """The mirror's rows of some ledger rows: one query."""
    found = PexTransaction.objects.filter(business_id=business_id, pex_id__in=[row.pex_id for row in exports])
    return {(row.source, row.pex_id): row for row in found}


# --- rows, as Results and the lists show them -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResultRow:
    export: Export
    transaction: PexTransaction | None  # None: PEX no longer shows it
    label: Label
    says: str
    link: str
    field: str
    receipts: Sequence[ExportReceipt]
    actions: Sequence[tuple[people.Action, str]] = ()  # what a person may decide, with the word on its button
    button: Button | None = None  # what mends it; one of the actions where a person's move does


VIEWS = {
    "": Q(),
    "posted": Q(state=State.POSTED),
    "needs_you": needing_you(),
    "not_due": Q(state=State.DUE) & ~Q(waiting="") & ~Q(waiting__in=NEEDS_YOU),
    "queued": Q(state=State.DUE, waiting=""),
    "checking": Q(state=State.SENT),
    "closed": Q(state=State.CLOSED),
}


def ledger_rows(connection: Connection, view: str = "", search: str = "") -> QuerySet[Export]:
    """The ledger of a connection, newest first; `view` is one of `VIEWS`."""
    rows = _ledger(connection).filter(VIEWS.get(view, Q()))
    return _searched(rows, connection.business_id, search).order_by("-settled_on", "-pk")


def run_rows(run: SyncRun, view: str = "", search: str = "") -> QuerySet[Export]:
    """The rows a run posted, sent or failed at; failures first."""
    failed = RunResult.objects.filter(run=run).values("export_id")
    mine = Q(run=run) | Q(pk__in=failed)
    rows = Export.objects.filter(mine, business_id=run.business_id, system=run.system)
    match view:
        case "posted":
            rows = rows.filter(run=run, state=State.POSTED)
        case "failed":
            rows = rows.filter(pk__in=failed)
        case "checking":
            rows = rows.filter(run=run, state=State.SENT)
    return _searched(rows, run.business_id, search).order_by("-settled_on", "-pk")


def _searched(rows: QuerySet[Export], business_id: int, search: str) -> QuerySet[Export]:
    text = search.strip()
    if not text:
        return rows
    wanted = Q(pex_id__in=_named(business_id, text).values("pex_id")) | Q(record_id=text)
    return rows.filter(wanted | _numbered(text))


def searched_in_pex(business_id: int, search: str) -> QuerySet[PexTransaction]:
    """All that PEX has shown and the same search means, also what no connector has."""
    text = search.strip()
    rows = PexTransaction.objects.filter(business_id=business_id)
    return rows.filter(Q(pk__in=_named(business_id, text)) | _numbered(text)) if text else rows.none()


def _named(business_id: int, text: str) -> QuerySet[PexTransaction]:
    return PexTransaction.objects.filter(business_id=business_id).filter(
        Q(merchant__icontains=text)
        | Q(merchant_clean__icontains=text)
        | Q(description__icontains=text)
        | Q(cardholder__icontains=text)
    )


def _numbered(text: str) -> Q:
    return Q(pex_id=int(text)) if text.isdecimal() and len(text) < 19 else Q(pk__in=())


def result_rows(business: Business, exports: Sequence[Export], run: SyncRun | None = None) -> list[ResultRow]:
    """What a page shows of some ledger rows: three queries, whatever their number, and a fourth for who asked support.

    With a run, a row that run failed at says why it failed then, as long as it still waits.
    """
    mirrored = transactions_of(business.pk, exports)
    receipts: dict[int, list[ExportReceipt]] = {}
    for receipt in ExportReceipt.objects.filter(export__in=[row.pk for row in exports]).order_by("pk"):
        receipts.setdefault(receipt.export_id, []).append(receipt)
    failures: dict[int, RunResult] = {}
    if run is not None:
        results = RunResult.objects.filter(run=run, export__in=[row.pk for row in exports])
        failures = {result.export_id: result for result in results}
    asked = support.names_of(exports)
    shown = []
    for row in exports:
        failure = failures.get(row.pk)
        connector = registry.ALL[row.system]
        says = row.says or (failure.says if failure and waits_for(row.waiting) else "")
        shown.append(
            ResultRow(
                export=row,
                transaction=mirrored.get((row.source, row.pex_id)),
                label=wording.state_of(row, connector, business.zone),
                says=f"{support.says(row, asked, business.zone)} {says}".strip(),
                link=row.link,
                field=remedies.field_of(row.cause),
                receipts=[one for one in receipts.get(row.pk, ()) if one.generation == row.generation],
                actions=[(action, wording.action_of(action, row.cause, connector)) for action in people.offered(row)],
                button=None if support.waits(row) else remedies.button(_subject(row)),
            )
        )
    return shown


def _ledger(connection: Connection) -> QuerySet[Export]:
    return Export.objects.filter(business_id=connection.business_id, system=connection.system)
