"""What looks booked already, and what people decided about it: asked of the books, kept with the run (rule L9)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db.models import Q

from connectors.records import Kind, Transaction
from pexsync.accounts.tenancy import reading
from syncjobs import coding, lookalikes
from syncjobs.desk import Desk
from syncjobs.judge import PUT_OFF, Close, Hold, Judgement, Wait
from syncjobs.lookalikes import Decision
from syncjobs.models import SyncRun
from syncjobs.transitions import Cause, Closed, State


def month_and_kind(record: Transaction) -> tuple[str, Kind]:
    return f"{coding.settled_on(record):%Y-%m}", record.kind or Kind.PURCHASE


def pairs(desk: Desk, rows: Sequence[Transaction]) -> Mapping[lookalikes.Name, lookalikes.Pair]:
    """Compare with everything the books have on the PEX account in the days of these rows; without rows nobody asks."""
    days = lookalikes.window(rows)
    if days is None:
        return {}
    desk.alive()
    with desk.asking_books():
        records = desk.books.books(days.first, days.last)
    explained = _explained(desk, {record.id for record in records})
    return lookalikes.pairs(rows, [record for record in records if not {record.id, record.link} & explained])


def _explained(desk: Desk, records: set[str]) -> set[str]:
    """Ids and links of records that stand for a row already: a person said so, or is to decide it."""
    with reading(desk.business.pk):
        decided = desk.exports().filter(Q(state=State.HELD, cause=Cause.LOOKALIKE) | Q(state=State.CLOSED))
        links = set(decided.exclude(link="").values_list("link", flat=True))
        vouched = desk.exports().filter(target=desk.target).exclude(record_id="")
        return links | {one for one in vouched.values_list("record_id", flat=True).iterator() if one in records}


def stored(pairs: Mapping[lookalikes.Name, lookalikes.Pair]) -> dict[str, dict[str, Any]]:
    return {
        f"{source.value}:{pex_id}": {"link": pair.link, "day": pair.day.isoformat(), "alike": pair.alike}
        for (source, pex_id), pair in pairs.items()
    }


def decided(desk: Desk, run: SyncRun) -> "Decided":
    """A kind counts for the run in which it was confirmed; other runs that showed it decided nothing about it."""
    asked = {Kind(kind): told["run"] for kind, told in desk.connection.preview_confirmed.items() if told.get("run")}
    with reading(desk.business.pk):
        found = {one.pk: one for one in SyncRun.objects.filter(pk__in=set(asked.values()))} if asked else {}
    return Decided(desk.books.label, {kind: found[pk] for kind, pk in asked.items() if pk in found}, run)


class Decided:
    """What people decided about the previews of this connection, laid over the judge's verdicts.

    It counts for good, not only in the run that asked: a row may get its tag, or a dead run its successor, later.
    """

    def __init__(self, label: str, asked: Mapping[Kind, SyncRun], present: SyncRun) -> None:
        """`asked`: the run in which each kind was confirmed."""
        self.label = label
        self.pairs: dict[str, Mapping[str, Any]] = dict(present.pairs)
        self.months: dict[tuple[str, Kind], Decision] = {}
        self.confirmed: dict[Kind, date] = {}
        for kind, run in asked.items():
            self.pairs |= run.pairs
            self.confirmed[kind] = run.confirmed_at.astimezone(coding.EASTERN).date() if run.confirmed_at else date.min
            for line in run.preview:
                if line["kind"] == kind and line.get("decision"):
                    self.months[line["month"], kind] = Decision(line["decision"])

    def overrules(self, record: Transaction) -> bool:
        """The person saw that it looks booked and wants it posted all the same."""
        return self._pair(record) is not None and self._decision(record) is Decision.POST

    def verdict(self, record: Transaction, verdict: Judgement, overruled: bool) -> Judgement:
        if overruled or isinstance(verdict, Hold | Close):
            return verdict
        if self._decision(record) is Decision.LEAVE_OUT:
            return Close(Closed.LEFT_OUT, f"Its month looked booked in {self.label} before the first sync.")
        pair = self._pair(record)
        if pair is None or self._decision(record) is Decision.POST or _put_off(verdict):
            return verdict
        return Hold(Cause.LOOKALIKE, self._says(record, pair), link=pair["link"])

    def _was_settled_then(self, record: Transaction) -> bool:
        return coding.settled_on(record) <= self.confirmed.get(record.kind or Kind.PURCHASE, date.min)

    def _decision(self, record: Transaction) -> Decision | None:
        """Of its month; nobody decided about what settles later in it."""
        return self.months.get(month_and_kind(record)) if self._was_settled_then(record) else None

    def _pair(self, record: Transaction) -> Mapping[str, Any] | None:
        return self.pairs.get(f"{record.source.value}:{record.pex_id}")

    def _says(self, record: Transaction, pair: Mapping[str, Any]) -> str:
        """The same for all of one day and amount, so that one decision can be made about them."""
        many = pair["alike"]
        what = "a record" if many == 1 else f"{many} records"
        return (
            f"Possibly booked already: {self.label} has {what} of ${abs(record.amount):,.2f} around "
            f"{coding.settled_on(record):%-d %b %Y} that PEX Sync did not make. "
            "If it is this one, press “It is there”; if not, press “Send anyway”."
        )


def _put_off(verdict: Judgement) -> bool:
    """It goes nowhere, so nobody has to say now whether it is booked."""
    return isinstance(verdict, Wait) and verdict.word == PUT_OFF
