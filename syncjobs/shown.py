"""What a preview showed of each transaction, and what a person made of it: ticks, and decisions about whole months.

The rows of a preview stand in the database from the moment it was made. A run that was confirmed sends only what they
say, however often its slices die, and what was unticked is put off in the ledger before any run judges anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Q, QuerySet, Sum, TextField, Value
from django.db.models.functions import Cast
from django.db.models.lookups import Exact

from connectors.models import Connection
from connectors.records import PARTY, Entry, Kind, Transaction, field_name
from connectors.settings import Settings
from pexsync.accounts.models import User
from pexsync.accounts.tenancy import reading, scope
from syncjobs import coding, drawing, judge, ledger, lookalikes
from syncjobs.coding import Book
from syncjobs.judge import Due, Judgement, Wait
from syncjobs.lookalikes import Decision
from syncjobs.models import Export, PexTransaction, PreviewRow, SyncRun
from syncjobs.transitions import State, Who

CHUNK = 500
CHANGED = "changed"  # cause of a row that is no longer what was shown

# Compared as text: taking every row's JSON apart takes seconds where there are tens of thousands.
PAIRED = ~Q(Exact(Cast("pair", TextField()), Value("{}")))

TO_PUT_OFF = Q(chosen=False) & ~Q(cause=judge.PUT_OFF)

JSON = dict[str, Any]
Month = tuple[str, str]  # "2026-03" and a kind
Name = tuple[str, int]  # source and PEX id


# --- an entry as a preview keeps it -----------------------------------------------------------------------------------


def kept(entry: Entry, book: Book, parties: Mapping[str, str]) -> JSON:
    """An entry as JSON, with the names people know. `parties`: the names of those that are chosen by id."""
    return {
        "date": entry.date.isoformat(),
        "party": entry.party.name or parties.get(entry.party.id) or _listed(entry, book),
        "memo": entry.memo,
        "lines": [_line(line) for line in drawing.drawn(entry, book)],
    }


def _listed(entry: Entry, book: Book) -> str:
    """The name of one that a tag has chosen: then the list is known."""
    options = book.choices.get(PARTY)
    found = options.get(entry.party.id) if options and entry.party.id else None
    return found.name if found else ""


def _line(line: drawing.Drawn) -> JSON:
    return {
        "account": line.account,
        "debit": _text(line.debit),
        "credit": _text(line.credit),
        "description": line.description,
        "dimensions": [list(each) for each in line.dimensions],
    }


def _text(amount: Decimal | None) -> str:
    return "" if amount is None else str(amount)


def parties(settings: Settings, labels: Mapping[str, str]) -> dict[str, str]:
    """The names of those chosen by id. `labels`: the names they had when the settings were saved.

    Settings saved long ago kept them by the field alone.
    """
    of_purchases = settings.source(Kind.PURCHASE, PARTY)
    chosen = dict.fromkeys((settings.party, of_purchases.value, of_purchases.default), PARTY)
    for kind in settings.kinds - {Kind.PURCHASE}:
        chosen[settings.source(kind, PARTY).value] = field_name(kind, PARTY)
    return {one: labels.get(f"option:{PARTY}:{one}") or labels.get(place, "") for one, place in chosen.items() if one}


def difference(before: JSON, after: JSON, amounts: tuple[Decimal, Decimal], party_word: str) -> str:
    """What is no longer as it was shown, the half of a sentence; the most telling of several things."""
    if amounts[0] != amounts[1]:
        return f"its amount was {_money(amounts[0])} and is {_money(amounts[1])} now"
    for name, what in (("date", "its day"), ("party", f"its {party_word}")):
        if before.get(name) != after.get(name):
            return f"{what} was {before.get(name) or 'none'} and is {after.get(name) or 'none'} now"
    was, now = (", ".join(line["account"] for line in each.get("lines", ())) for each in (before, after))
    if was != now:
        return f"its accounts were {was} and are {now} now"
    return "it is coded otherwise now"


def _money(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


# --- months and rows --------------------------------------------------------------------------------------------------


def asks(line: Mapping[str, Any]) -> bool:
    """Whether a month and kind of a preview is asked about as a whole: half of it or more looks booked."""
    return lookalikes.looks_booked(line.get("paired", 0), line["count"] + line["blocked"])


def undecided(run: SyncRun) -> list[JSON]:
    return [line for line in run.preview if asks(line) and not line.get("decision")]


def _months(run: SyncRun, decision: Decision) -> Q:
    """The rows of the months and kinds that were decided so; none where there are none."""
    found = Q(pk__in=[])
    for line in run.preview:
        if line.get("decision") == decision:
            found |= in_month(line["month"], line["kind"])
    return found


def in_month(month: str, kind: str = "") -> Q:
    """`month` as "2026-03"; raises `ValueError` for anything else."""
    days = Q(settled_on__gte=date.fromisoformat(f"{month}-01"), settled_on__lt=following(month))
    return days & Q(kind=kind) if kind else days


def following(month: str) -> date:
    """The first day of the month after "2026-03"."""
    return (date.fromisoformat(f"{month}-01") + timedelta(days=31)).replace(day=1)


GROUPS = ("ready", "booked", "out", "blocked", "later")


def group(run: SyncRun, name: str) -> Q:
    """The rows of one group; each row is in one of `GROUPS`."""
    out = _months(run, Decision.LEAVE_OUT)
    booked = Q(PAIRED) & ~_months(run, Decision.POST) & ~out
    match name:
        case "out":
            return out
        case "booked":
            return booked
        case _:
            return Q(state=name) & ~out & ~booked


def going(run: SyncRun) -> QuerySet[PreviewRow]:
    """What would be sent if the preview was confirmed as it is now: ready, ticked, and nothing speaks against it."""
    return run.shown.filter(group(run, "ready"), chosen=True)


def group_of(decision: str, state: str, paired: bool) -> str:
    """The group of one row. `decision`: what was said of its month and kind, "" where nothing was."""
    if decision == Decision.LEAVE_OUT:
        return "out"
    return "booked" if paired and decision != Decision.POST else state


@dataclass(frozen=True, slots=True)
class Total:
    count: int = 0
    amount: Decimal = Decimal("0.00")

    def __add__(self, other: "Total") -> "Total":
        return Total(self.count + other.count, self.amount + other.amount)


def total(rows: QuerySet[PreviewRow]) -> Total:
    found = rows.aggregate(count=Count("pk"), amount=Sum("amount"))
    return Total(found["count"], found["amount"] or Decimal("0.00"))


def by_month(run: SyncRun) -> dict[Month, dict[str, Total]]:
    """What stands in each month and kind of a preview: one of `GROUPS`, "going" and "paired" -> total. One query."""
    said = decisions(run)
    rows = run.shown.annotate(paired=ExpressionWrapper(PAIRED, BooleanField())).order_by()
    groups = rows.values_list("settled_on", "kind", "state", "paired", "chosen")
    found: dict[Month, dict[str, Total]] = {}
    for day, kind, state, paired, chosen, *sums in groups.annotate(count=Count("pk"), sum=Sum("amount")):
        month = f"{day:%Y-%m}", kind
        name = group_of(said.get(month, ""), state, paired)
        totals = found.setdefault(month, {})
        for each in (name, "going" if name == "ready" and chosen else "", "paired" if paired else ""):
            totals[each] = totals.get(each, Total()) + Total(*sums)
    return dict(sorted(found.items()))


def together(months: Mapping[Month, Mapping[str, Total]], name: str) -> Total:
    return sum((totals.get(name, Total()) for totals in months.values()), Total())


def decisions(run: SyncRun) -> dict[Month, str]:
    return {(line["month"], line["kind"]): line.get("decision", "") for line in run.preview}


# --- what was unticked ------------------------------------------------------------------------------------------------


def put_off(connection: Connection, step: Callable[[], None]) -> None:
    """What was unticked in a preview that was confirmed waits in the ledger from now on, whatever became of its run.

    Every run begins with it: of the kinds that were confirmed with that preview nothing goes before. `step` is called
    between two chunks.
    """
    with reading(connection.business_id):
        owing = list(
            unticked(connection.business_id).filter(run__connection=connection).values_list("run", flat=True)[:1]
        )
    while owing:
        step()
        with scope(connection.business_id):
            rows = list(
                unticked(connection.business_id).filter(run__connection=connection)[:CHUNK].select_related("run")
            )
            for run in {row.run for row in rows}:
                _put_off_of(run, [row for row in rows if row.run_id == run.pk])
            PreviewRow.objects.filter(pk__in=[row.pk for row in rows]).update(cause=judge.PUT_OFF)
        if len(rows) < CHUNK:
            return


def unticked(business_id: int) -> QuerySet[PreviewRow]:
    """Rows that are to be put off and are not yet: also those that could no longer go when they were shown anew."""
    confirmed = PreviewRow.objects.filter(business_id=business_id, run__confirmed_at__isnull=False)
    return confirmed.filter(TO_PUT_OFF).order_by("pk")


def _put_off_of(run: SyncRun, rows: Sequence[PreviewRow]) -> None:
    by = next((line["by"] for line in run.preview if line.get("by")), "")
    actor = ledger.Actor(run.business_id, Who.JUDGE, run, User.objects.filter(username=by).first())
    says = judge.put_off_by_a_person()
    ids = [row.pex_id for row in rows]
    ours = Export.objects.filter(business_id=run.business_id, system=run.system, pex_id__in=ids)
    known = {(export.source, export.pex_id): export for export in ours}
    cards = _cards(run.business_id, ids)
    new = [row for row in rows if (row.source, row.pex_id) not in known]
    ledger.admit(actor, [_put_off(run, row, says, cards.get((row.source, row.pex_id))) for row in new])
    mine = [(known[name], row) for row in rows if (name := (row.source, row.pex_id)) in known]
    ledger.judged(actor, [(export, says, row.amount) for export, row in mine if export.state == State.DUE])


def _put_off(run: SyncRun, row: PreviewRow, why: Wait, card: int | None) -> Export:
    return Export(
        business_id=run.business_id,
        system=run.system,
        source=row.source,
        pex_id=row.pex_id,
        kind=row.kind,
        settled_on=row.settled_on,
        amount=row.amount,
        card_account=card,
        put_off=True,
        waiting=why.word,
        cause=why.cause,
        says=why.says,
    )


def _cards(business_id: int, ids: Sequence[int]) -> dict[Name, int | None]:
    mirrored = PexTransaction.objects.filter(business_id=business_id, pex_id__in=ids)
    return {(source, pex_id): card for source, pex_id, card in mirrored.values_list("source", "pex_id", "account_id")}


# --- a confirmed run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of some rows a run may do. `shown` is None where nobody was asked: then everything."""

    shown: Mapping[Name, PreviewRow] | None

    def admits(self, record: Transaction) -> bool:
        """What was not shown enters the ledger with another run."""
        return self.shown is None or _name(record) in self.shown

    def counted(
        self, record: Transaction, verdict: Judgement, book: Book, names: Mapping[str, str]
    ) -> Judgement | None:
        """What the run makes of a verdict; None where the row was not its to send.

        What changed since it was shown is not sent in this run and is told.
        """
        if self.shown is None or not isinstance(verdict, Due):
            return verdict
        row = self.shown.get(_name(record))
        if row is None or row.state != PreviewRow.State.READY or not row.chosen:
            return None
        if row.fingerprint == coding.fingerprint(verdict.entry):
            return verdict
        now, amounts = kept(verdict.entry, book, names), (row.amount, record.amount)
        return changed(difference(row.entry, now, amounts, book.party_word))


def changed(what: str) -> Wait:
    says = f"It changed after you looked at it: {what}. It was not sent; the next sync sends it as it is then."
    return Wait(CHANGED, says, cause=CHANGED, needs_you=True)


def chosen(run: SyncRun, records: Iterable[Transaction]) -> Chosen:
    """One query for all of these."""
    if run.confirmed_at is None:
        return Chosen(None)
    with reading(run.business_id):
        rows = run.shown.filter(pex_id__in=[record.pex_id for record in records])
        return Chosen({(row.source, row.pex_id): row for row in rows})


def _name(record: Transaction) -> Name:
    return record.source.value, record.pex_id
