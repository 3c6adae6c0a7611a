"""The account at a glance: PEX's own figures, and those our mirror adds up. Money is kept as text."""

from datetime import datetime, time
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum

from connectors.pex import mapping
from connectors.records import Kind
from pexsync import clock
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import scope
from syncjobs.models import PexTransaction


def note(business: Business, details: dict[str, Any] | None, settings: dict[str, Any], tags_enabled: bool) -> None:
    """Keep what PEX said about the account itself; `details` only where it was asked for them."""
    if details is not None:
        _figures(business, mapping.glance(details, settings))
        business.name = (details.get("BusinessName") or business.name)[:200]
    business.tags_enabled = tags_enabled
    if settings.get("FundingSource") in Business.Funding.values:
        business.funding = settings["FundingSource"]
    with scope(business.pk):
        business.save(update_fields=["glance", "glance_at", "tags_enabled", "name", "funding"])


def _figures(business: Business, given: dict[str, Any]) -> None:
    balance, funds = given["balance"], given["cards_available"]
    figures = {
        "balance": balance,
        "card_funds": funds,
        "total_funds": str(Decimal(balance) + Decimal(funds)) if balance is not None else None,
        "open_cards": given["open_cards"],
        "pending_ach": given["pending_transfers"],
        "ledger_now": str(Decimal(balance) + Decimal(given["cards_ledger"])) if balance is not None else None,
        "number": given["number"],
    }
    business.glance = business.glance | figures
    business.glance_at = clock.now()


def refresh(business: Business) -> None:
    """Add the figures that follow from the rows just read: pending, spent today, rebates of the year."""
    midnight = datetime.combine(clock.today(), time.min, clock.EASTERN)
    new_year = midnight.replace(month=1, day=1)
    with scope(business.pk):
        sums = PexTransaction.objects.filter(business=business, declined=False).aggregate(
            held=Sum("amount", filter=Q(pending=True)),
            holds=Count("pk", filter=Q(pending=True)),
            spent=Sum("amount", filter=Q(kind=Kind.PURCHASE, happened_at__gte=midnight)),
            moved=Sum("amount", filter=Q(settled_at__gte=midnight)),
            rebates=Sum("amount", filter=Q(kind=Kind.REBATE, happened_at__gte=new_year)),
        )
        ledger_now = business.glance.get("ledger_now")
        business.glance = business.glance | {
            "pending_card": str(sums["held"] or Decimal("0.00")),
            "pending_count": sums["holds"],
            "spend_today": str(-(sums["spent"] or Decimal("0.00"))),
            "ledger_midnight": str(Decimal(ledger_now) + (sums["moved"] or 0)) if ledger_now else None,
            "rebate_year": str(-(sums["rebates"] or Decimal("0.00"))),
        }
        business.save(update_fields=["glance"])
