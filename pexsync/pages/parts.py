"""All parts of the pages in all their states, on one page: for staff, and for whoever develops them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from connectors.records import Kind
from pexsync.accounts.models import BusinessRequest
from pexsync.pages.preflight import Check
from pexsync.pages.setup import Mark
from pexsync.pages.steps.effects import on_pex_account
from pexsync.pages.words import BLIND
from syncjobs import people
from syncjobs.models import Export, ExportReceipt, PexTransaction, SyncRun
from syncjobs.remedies import Button
from syncjobs.shown import Total
from syncjobs.standing import CauseGroup, ResultRow
from syncjobs.transitions import Cause, State
from syncjobs.views import PhaseNow, PreviewLine, RunRow
from syncjobs.wording import ACTIONS, RUN_TONES, Label

AT = datetime(2026, 5, 3, 14, 2, tzinfo=UTC)
MONOGRAMS = (
    ("Ledgerly", "info"),
    ("Countbook", "accent"),
    ("Folio", "ok"),
    ("Summa", "warn"),
    ("Other", "bad"),
    ("PEX", "quiet"),
)
COLOURS = ("ground", "paper", "line", "ink", "muted", "accent", "ok", "warn", "bad", "info")


@dataclass(frozen=True, slots=True)
class Sample:
    """A connector that is none, for drawings alone."""

    key: str = "ledgerly"
    label: str = "Ledgerly"
    app_name: str = "PEX Connector for Ledgerly"
    tagline: str = "Send PEX purchases and their receipts to Ledgerly."
    tint: str = "info"
    where: str = "in Ledgerly"
    stages: str = "Fields"
    sync_word: str = "SYNC"
    sync_page: str = "Manage"
    setup_page: str = "Setup"
    party_word: str = "contact"
    beta: bool = True
    kinds: tuple[Kind, ...] = (Kind.PURCHASE, Kind.FEE)


@require_safe
def page(request: BusinessRequest) -> HttpResponse:
    if not (request.user.staff or getattr(settings, "SHOW_PARTS", False)):
        raise Http404
    return render(request, "pages/parts.html", samples())


def samples() -> dict[str, Any]:
    return {
        "colours": COLOURS,
        "monograms": MONOGRAMS,
        "connector": Sample(),
        "tones": [
            ("ok", "In Ledgerly"),
            ("busy", "Sending"),
            ("warn", "Partial"),
            ("bad", "Needs you"),
            ("off", "Not due"),
        ],
        "connection_states": [
            ("off", "Not connected"),
            ("busy", "Connected: Not Ready"),
            ("ok", "Connected: Ready"),
            ("bad", "Session Failure"),
        ],
        "counts": [
            ("Queued", "busy", 12, Decimal("840.20"), "#counts"),
            ("Needs you", "warn", 4, Decimal("292.57"), "#counts"),
            ("Needs you", "warn", 0, Decimal("0.00"), "#counts"),
            ("In the books this month", "ok", 1284, Decimal("121844.10"), ""),
        ],
        "amounts": [Decimal("1234.50"), Decimal("-41.94"), Decimal("0.00"), None],
        "steps": [
            Mark("Ledgerly Connection", "#steps", "done"),
            Mark("PEX Sync Options", "#steps", "done"),
            Mark("Account Options", "#steps", "attention"),
            Mark("Purchase Options", "", "current"),
            Mark("Purchase Contact Options", "", "later"),
            Mark("Fee Options", "", "unneeded"),
        ],
        "phases": [
            PhaseNow("Reading PEX", "240 read", 0, 0, "done"),
            PhaseNow("Checking", "118 due, 122 not", 0, 0, "done"),
            PhaseNow("Sending", "37 of 118", 37, 118, "current"),
            PhaseNow("Receipts", "20 of 96, 1 not attached", 20, 96, "current"),
        ],
        "phases_at_first": [
            PhaseNow("Reading PEX", "", 0, 0, "current"),
            PhaseNow("Checking", "", 0, 0, "later"),
            PhaseNow("Sending", "", 0, 0, "later"),
            PhaseNow("Receipts", "", 0, 0, "later"),
        ],
        "accounts": [
            SimpleNamespace(
                name="PEX account", debit=["Transfers to PEX", "Refunds in PEX"], credit=["Purchases in PEX"]
            ),
            SimpleNamespace(name="Expense account", debit=["Purchases in PEX"], credit=[]),
        ],
        "effects": on_pex_account([Kind.TRANSFER, Kind.PURCHASE]),
        "checks": [
            Check("Organization", "ok", "OK", "Northwind Builders can be reached.", "", ""),
            Check(
                "Bank account for PEX", "bad", "Missing", "None is chosen.", "Add one, then choose it here.", "#checks"
            ),
            Check("Lock dates", "warn", "Look here", "They could not be read.", "Look again in a few minutes.", ""),
            Check("Numbering", "warn", "Not seen", f"{BLIND} See that none is set.", "", "#checks", "Look here"),
            Check(
                name="Journal",
                tone="bad",
                word="Missing",
                says="There is none of the name PEX Card.",
                fix="Add it in Ledgerly, or let us do it.",
                link="",
                mend="journal",
                mend_word="CREATE THE JOURNAL FOR ME",
            ),
        ],
        "causes": [
            CauseGroup(
                "untagged:account",
                "No EXPENSE TYPE tag. Tag it in PEX, or set a default in Setup.",
                "account",
                12,
                Decimal("482.10"),
                ("Home Depot 212.40", "Shell 61.18"),
                Button("TAG IN PEX", link="#results", outside=True, setup="#results"),
            ),
            CauseGroup(
                "period",
                "April is locked. Open the period, or leave it out.",
                "",
                1,
                Decimal("18.99"),
                button=Button("SYNC", post="#results"),
            ),
            CauseGroup(
                "doubled", "Ledgerly holds it twice.", "", 2, Decimal("40.00"), button=Button("DECIDE", link="#results")
            ),
        ],
        "runs": [_run(status) for status in SyncRun.Status],
        "results": _results(),
        "bulk": [(action, ACTIONS[action]) for action in (people.Action.SEND, people.Action.LEAVE_OUT)],
        "preview": [
            PreviewLine(date(2026, 3, 1), "Purchases", 41, Decimal("1234.50"), 4, 3, False, "decide-2026-03-purchase"),
            PreviewLine(date(2026, 4, 1), "Purchases", 77, Decimal("-12.00"), 0, 70, True, "decide-2026-04-purchase"),
        ],
        "preview_count": 118,
        "preview_blocked": 4,
        "preview_paired": 73,
        "preview_sum": Decimal("1222.50"),
        "going": Total(118, Decimal("1222.50")),
        "run": SyncRun(pk=1, window_start=date(2026, 3, 1), window_end=date(2026, 5, 3), queued_at=AT),
        "errors": [("steps", "Enter the Start Date."), ("counts", "Choose the PEX tag for PROJECTS.")],
        "levels": [
            ("ok", "Connected to Northwind Builders."),
            ("info", "Cancelling."),
            ("warn", "Not allowed."),
            ("bad", "No."),
        ],
        "example": SimpleNamespace(
            title="Target",
            amount=Decimal("84.20"),
            says="3 May · Site crew card 1182 · settled",
            lines=[
                SimpleNamespace(account="429 General", text="Gloves and tape", amount=Decimal("52.00")),
                SimpleNamespace(account="441 Small tools", text="Drill bits", amount=Decimal("32.20")),
            ],
            credit=SimpleNamespace(account="PEX Cash Account", amount=Decimal("84.20")),
            checks=["2 receipts attached", "Contact “Target” exists"],
        ),
    }


def _run(status: str) -> RunRow:
    alive = status in SyncRun.ALIVE
    run = SyncRun(
        pk=1,
        status=status,
        queued_at=AT,
        started_at=AT,
        ended_at=AT + timedelta(seconds=41),
        fields_due=2,
        fields_done=2,
        rows_due=118,
        rows_posted=37 if alive else 116,
    )
    word = SyncRun.Status(status)
    return RunRow(run, Label(RUN_TONES[word], str(word.label)), "" if alive else "2 need you.")


def _results() -> list[ResultRow]:
    twice = "Ledgerly holds it twice. Delete all but one there. Then press “It is there”."
    texts = [
        (State.POSTED, Label("ok", "In Ledgerly"), "", "#results", [ExportReceipt(state="attached")]),
        (State.HELD, Label("bad", "Needs you"), twice, "#results", []),
        (State.SENT, Label("busy", "Checking with Ledgerly until 14:12"), "", "", []),
        (State.DUE, Label("bad", "Needs you"), "No EXPENSE TYPE tag. Tag it in PEX, or set a default.", "", []),
        (State.DUE, Label("off", "Not due"), "Waiting for approval in PEX.", "", []),
        (
            State.CLOSED,
            Label("off", "Synced before PEX Sync"),
            "PEX carries the note of the earlier connector.",
            "",
            [],
        ),
    ]
    rows = []
    for number, (state, label, says, link, receipts) in enumerate(texts):
        amount = Decimal("-61.18") if number == 1 else Decimal("212.40")
        export = Export(
            pk=number, pex_id=number, kind="purchase", state=state, amount=amount, settled_on=date(2026, 5, 3),
            cause=Cause.DOUBLED if state == State.HELD else "",
        )  # fmt: skip
        actions = [(action, ACTIONS[action]) for action in people.actions_of(export)]
        told = PexTransaction(merchant="THE HOME DEPOT #4410", merchant_clean="Home Depot", cardholder="Ana Ortiz")
        rows.append(ResultRow(export, None if number == 5 else told, label, says, link, "", receipts, actions))
    return rows
