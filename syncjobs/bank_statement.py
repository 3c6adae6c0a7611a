"""The page of the monthly statement: the PEX account as a bank would tell it, as CSV and OFX, from the mirror."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from connectors.records import Kind, Source, Transaction
from pexsync import clock
from pexsync.accounts.middleware import needs
from pexsync.accounts.models import Business, BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from syncjobs import mirror, statement_file, statements
from syncjobs.models import MirrorRead, PexTransaction
from syncjobs.statement_file import Balance, Line, Statement
from syncjobs.views import connection_of, connector_of, harmless

READS = 500  # of PEX that are looked through for one that covers a month
NO_MONTH = "Choose a month of the last twelve; nothing was made for the one you asked for."


@dataclass(frozen=True, slots=True)
class Sum:
    """What one kind moved in the month."""

    name: str
    count: int
    amount: Decimal


@require_safe
@needs(*CONNECTOR)
def page(request: BusinessRequest, system: str) -> HttpResponse:
    """Choose a month, see what it holds, take it along."""
    return _page(request, system, _asked(request))


@require_safe
@needs(*CONNECTOR)
def as_csv(request: BusinessRequest, system: str) -> HttpResponse:
    told = _told(request, system)
    if isinstance(told, HttpResponse):
        return told
    return _file(statement_file.as_csv(told, harmless), f"{_name(told)}.csv", "text/csv; charset=utf-8")


@require_safe
@needs(*CONNECTOR)
def as_ofx(request: BusinessRequest, system: str) -> HttpResponse:
    told = _told(request, system)
    if isinstance(told, HttpResponse):
        return told
    return _file(statement_file.as_ofx(told), f"{_name(told)}.ofx", "application/x-ofx")


def _told(request: BusinessRequest, system: str) -> Statement | HttpResponse:
    """The statement that was asked for, or the page that says why there is none."""
    connection_of(request, system)
    month = _asked(request)
    told = statement(request.business, month) if month else None
    return told or _page(request, system, month)


def _asked(request: BusinessRequest) -> date | None:
    """The month that was chosen, this one where none was; None for one there is no statement of."""
    text, today = request.GET.get("month", ""), clock.today()
    if not text:
        return today.replace(day=1)
    try:
        month = statement_file.month_of(text)
    except ValueError:
        return None
    return month if month in statement_file.months(today) else None


def _page(request: BusinessRequest, system: str, month: date | None) -> HttpResponse:
    connection, connector = connection_of(request, system), connector_of(system)
    shown = month or clock.today().replace(day=1)
    told = statement(request.business, shown)
    found = told.lines if told else ()
    context = {
        "connector": connector,
        "connection": connection,
        "month": shown,
        "months": statement_file.months(clock.today()),
        "statement": told,
        "sums": _sums(found),
        "count": len(found),
        "total": sum((line.amount for line in found), Decimal("0.00")),
        "others": _without_kind(request.business, shown),
        "asked": f"?month={shown:%Y-%m}",
        "errors": [] if month else [("month", NO_MONTH)],
        "sync": reverse("manage", args=[system]),
    }
    return render(request, "syncjobs/statement.html", context, status=200 if month else 422)


def _file(text: str | bytes, name: str, content_type: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type=content_type, headers=headers)


def _name(told: Statement) -> str:
    return f"pex-statement-{told.first:%Y-%m}"


# --- from the mirror --------------------------------------------------------------------------------------------------


def statement(business: Business, month: date) -> Statement | None:
    """A month of the account; None where no read of PEX covered all of it so far: half a statement proves nothing."""
    last = statement_file.last_day(month)
    read_at = _read_at(business, month, last)
    if read_at is None:
        return None
    rows = _settled(business, month).exclude(kind="")
    return Statement(
        account=str(business.glance.get("number") or business.pex_id),
        charge=business.charge,
        first=month,
        last=min(last, _day(read_at)),
        read_at=read_at,
        lines=statement_file.lines(_records(business, rows)),
        balance=_balance(business),
    )


def _records(business: Business, rows: QuerySet[PexTransaction]) -> Iterator[Transaction]:
    """A payment the bank sent back came in and went out again, once its reversal shows that it did."""
    payments = PexTransaction.objects.filter(business=business, source=Source.STATEMENT_PAYMENT)
    known = [mirror.record_of(row) for row in payments] if business.charge else []
    sent_back = set(statements.reversals([one for one in known if not one.missing], ()).values())
    for row in rows.iterator(chunk_size=1000):
        record = mirror.record_of(row)
        both_ways = record.source is Source.STATEMENT_PAYMENT and record.pex_id in sent_back
        yield replace(record, rejected=False) if both_ways else record


def _settled(business: Business, month: date) -> QuerySet[PexTransaction]:
    days = (month, statement_file.last_day(month))
    return PexTransaction.objects.filter(business=business, settled_on__range=days, pending=False, declined=False)


def _read_at(business: Business, first: date, last: date) -> datetime | None:
    """When PEX was last asked for the whole month, or for all of it there was by then."""
    reads = MirrorRead.objects.filter(business=business, ended_at__isnull=False, first__lte=first, last__gte=first)
    for began_at, until in reads.order_by("-began_at").values_list("began_at", "last")[:READS]:
        if until >= min(last, _day(began_at)):
            return began_at
    return None


def _day(at: datetime) -> date:
    return at.astimezone(clock.EASTERN).date()


def _balance(business: Business) -> Balance | None:
    """What PEX said the account and its cards held, as of its own time."""
    told = business.glance.get("ledger_now")
    return Balance(Decimal(told), business.glance_at) if told and business.glance_at else None


def _sums(found: Iterable[Line]) -> list[Sum]:
    sums: dict[Kind, list[Decimal]] = {}
    for line in found:
        sums.setdefault(line.kind, []).append(line.amount)
    names = [(kind, f"{kind.label}s".capitalize()) for kind in Kind if kind in sums]
    return [Sum(name, len(sums[kind]), sum(sums[kind], Decimal())) for kind, name in names]


def _without_kind(business: Business, month: date) -> list[tuple[str, int]]:
    """Rows of kinds that are not on a statement, by PEX's name of them."""
    found = _settled(business, month).filter(kind="").values_list("category").annotate(count=Count("pk"))
    return [(category or "without a name", count) for category, count in found.order_by("category")]
