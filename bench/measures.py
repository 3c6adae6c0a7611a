"""The measures and their bars. Each group starts a scene and a worker and returns flat keys."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chaos.checker import VIOLATIONS

LARGE = {"foreign": 20_000, "contacts": 3_000}
BC = "dynamics365"

PAUSE = 2  # seconds a refusal of the measure `pace` asks for
ON_THE_WAY = 0.25  # seconds: a call the gate let through before it could know is on its way already

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bar:
    most: float
    unit: str
    least: float | None = None

    def met(self, figure: float) -> bool:
        return figure <= self.most and (self.least is None or figure >= self.least)


BARS = {
    "xero.calls_per_100_with_receipts": Bar(112, "calls"),
    "xero.calls_per_500_without_receipts": Bar(20, "calls"),
    "xero.calls_per_500_with_120_new_contacts": Bar(23, "calls"),
    "xero.second_run_writes": Bar(0, "calls"),
    "xero.second_run_reads": Bar(8, "calls per system, the larger"),
    "bc.calls_per_100_with_receipts": Bar(120, "calls"),
    "bc.second_run_writes": Bar(0, "calls"),
    "bc.second_run_reads": Bar(8, "calls per system, the larger"),
    "bc.cpu_ms_per_purchase": Bar(2, "ms"),
    "engine.cpu_ms_per_purchase": Bar(2, "ms"),
    "engine.db_queries_per_purchase": Bar(2, "queries"),
    "engine.row_versions_per_purchase": Bar(8, "rows"),
    "engine.peak_rss_mb_over_idle": Bar(150, "MB"),
    "engine.rss_mb_50_runs": Bar(1500, "MB"),
    "engine.db_queries_per_receipt": Bar(2, "queries"),
    "engine.tcp_connections_per_run": Bar(12, "connections"),
    "seed_sessions.documents_seconds": Bar(5, "s"),
    "seed_sessions.all_seconds": Bar(12, "s"),
    **{f"chaos.{kind}": Bar(0, "violations") for kind in VIOLATIONS},
    "pace.calls_in_forbidden_window": Bar(0, "calls"),
    "pace.limits_overrun": Bar(0, "refusals"),
    "refresh.flights_for_20_workers": Bar(1, "calls"),
    "chaos.unsettled": Bar(0, "runs"),
    "chaos.errors": Bar(0, "errors"),
    "chaos.fault_kinds_lacking": Bar(0, "kinds"),
    "chaos.delivered_pct": Bar(100, "%, 98 at least", least=98),
    "chaos.purchases": Bar(math.inf, "purchases, 400 at least", least=400),
    "chaos.faults": Bar(math.inf, "faults, 60 at least", least=60),
    "chaos.kills": Bar(math.inf, "kills, 10 at least", least=10),
    "fleet.late": Bar(0, "connections"),
    "fleet.starved": Bar(0, "connections"),
    "fleet.late_in_spring": Bar(0, "connections"),
    "fleet.starved_in_spring": Bar(0, "connections"),
    "fleet.queries_more_at_10000": Bar(0, "queries"),
}


@contextmanager
def scene(**wish: Any) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.scene", json.dumps(wish)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def work(facts: dict[str, Any], module: str = "bench.worker", **wish: Any) -> dict[str, Any]:
    result = _ask(module, {"scene": facts, **wish})
    for run in result["runs"]:
        if run["status"] != "success":
            raise SystemExit(f"A measured run ended {run['status']}: {run['says']}")
    return result


def _ask(module: str, wish: dict[str, Any], redis_url: str = "") -> dict[str, Any]:
    """Start a process of its own with an empty database, and read the line of JSON it prints last."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        answer = subprocess.run(
            [sys.executable, "-m", module, json.dumps(wish)],
            env={
                **os.environ,
                "DATA_DIR": folder,
                "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
                "REDIS_URL": redis_url,
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=1800,
        )
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def calls(facts: dict[str, Any], clear: bool = False) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{facts['url']}/control/calls?limit=1000000", method="DELETE" if clear else "GET")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    found = json.loads(text) if text else {}
    return list(found.get("calls", found) if isinstance(found, dict) else found)


def _control(facts: dict[str, Any], room: str, sent: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a room of the sandbox's control, or send it something."""
    body = json.dumps(sent).encode() if sent else None
    request = urllib.request.Request(
        f"{facts['url']}/control/{room}", body, {"Content-Type": "application/json"}, method="POST" if sent else "GET"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def _of(found: list[dict[str, Any]], system: str) -> list[dict[str, Any]]:
    return [call for call in found if call["system"].startswith(system)]


def xero_with_receipts() -> Figures:
    with scene(purchases=100, receipts=100, **LARGE) as facts:
        work(facts)
        return {"xero.calls_per_100_with_receipts": len(_of(calls(facts), "xero"))}


def xero_without_receipts() -> Figures:
    with scene(purchases=500, **LARGE) as facts:
        work(facts)
        return {"xero.calls_per_500_without_receipts": len(_of(calls(facts), "xero"))}


def xero_new_contacts() -> Figures:
    """Each new merchant is bought from several times, and made once."""
    with scene(purchases=500, new_merchants=120, **LARGE) as facts:
        work(facts)
        return {"xero.calls_per_500_with_120_new_contacts": len(_of(calls(facts), "xero"))}


def xero_second_run() -> Figures:
    """The second run comes a day later by the clock both sides share, with nothing new."""
    with scene(purchases=50, receipts=20, **LARGE) as facts:
        work(facts, runs=2, hours_between=24)
        second = _last_run(calls(facts))
        reads = [call for call in second if call["method"] == "GET"]
        writes = [call for call in second if call["method"] != "GET" and call["system"] in ("pex", "xero-api")]
        return {
            "xero.second_run_writes": len(writes),
            "xero.second_run_reads": max(len(_of(reads, "pex")), len(_of(reads, "xero"))),
        }


def bc_with_receipts() -> Figures:
    """Every purchase is of a new vendor, and every expense account fills in one of the two dimensions by itself."""
    with scene(system=BC, purchases=100, receipts=100, new_merchants=100, filled=True, **LARGE) as facts:
        work(facts)
        return {"bc.calls_per_100_with_receipts": _to_microsoft(calls(facts))}


def bc_without_receipts() -> Figures:
    with scene(system=BC, purchases=500, **LARGE) as facts:
        work(facts)
        return {"bc.calls_per_500_without_receipts": _to_microsoft(calls(facts))}


def bc_second_run() -> Figures:
    """As `xero_second_run`. A batch counts as what is in it."""
    with scene(system=BC, purchases=50, receipts=20, **LARGE) as facts:
        second = work(facts, runs=2, hours_between=24, look_into=True)["runs"][1]["asked_for"]
        reads = Counter(each["system"] for each in second if not each["writes"])
        return {
            "bc.second_run_writes": sum(each["writes"] and each["system"] in ("pex", "bc-api") for each in second),
            "bc.second_run_reads": max(reads.values()),
        }


def bc_cpu() -> Figures:
    with scene(system=BC, purchases=10_000, contacts=40) as facts:
        return {f"bc.{name}": figure for name, figure in _cpu(facts).items()}


def _to_microsoft(found: list[dict[str, Any]]) -> int:
    return len(_of(found, "bc-api")) + len(_of(found, "entra"))


def _last_run(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls since the clock was moved."""
    moved = datetime.fromisoformat(found[-1]["at"]) - timedelta(hours=12)
    return [call for call in found if datetime.fromisoformat(call["at"]) > moved]


def engine_cpu() -> Figures:
    with scene(purchases=10_000, contacts=40) as facts:
        return {f"engine.{name}": figure for name, figure in _cpu(facts).items()}


def _cpu(facts: dict[str, Any]) -> Figures:
    result = work(facts, replay=True)
    run = result["runs"][0]
    return {
        "cpu_ms_per_purchase": (run["cpu"] - result["replay_cpu"]) / run["posted"] * 1000,
        "cpu_ms_per_purchase_with_http": run["cpu"] / run["posted"] * 1000,
        "cpu_ms_per_purchase_of_replay": result["replay_cpu"] / run["posted"] * 1000,
        "db_queries_per_purchase": run["queries"] / run["posted"],
        "row_versions_per_purchase": run["row_versions"] / run["posted"],
    }


def engine_memory() -> Figures:
    with scene(purchases=30_000, contacts=40) as facts:
        result = work(facts)
        return {"engine.peak_rss_mb_over_idle": result["runs"][0]["peak_rss_mb"] - result["idle_rss_mb"]}


def engine_rss() -> Figures:
    """Fifty businesses synced at once by one process: its peak, all of it, and what was under way meanwhile."""
    size = {"businesses": 50, "purchases": 300, "receipts": 60}
    with scene(**size, receipt_bytes=200_000, contacts=40) as facts:
        runs = work(facts, "bench.crowd")["runs"]
    for what in ("purchases", "receipts"):
        done = [run["posted" if what == "purchases" else "receipts"] for run in runs]
        if done != [size[what]] * size["businesses"]:
            raise SystemExit(f"Not all {what} arrived: {done}")
    return {
        "engine.rss_mb_50_runs": max(run["peak_rss_mb"] for run in runs),
        "engine.seconds_50_runs": max(run["seconds"] for run in runs),
    }


def engine_receipts() -> Figures:
    """What 200 receipts cost beyond the same 200 purchases without."""
    with scene(purchases=200, contacts=40) as facts:
        bare = work(facts)["runs"][0]
    with scene(purchases=200, receipts=200, contacts=40) as facts:
        result = work(facts)["runs"][0]
        peers = {(call["system"].split("-")[0], call["peer"]) for call in calls(facts)}
        return {
            "engine.db_queries_per_receipt": (result["queries"] - bare["queries"]) / result["receipts"],
            "engine.tcp_connections_per_run": len(peers),
        }


def seed_sessions() -> Figures:
    with scene(purchases=44, receipts=44, contacts=40, latency=0.3, limits=True) as facts:
        run = work(facts)["runs"][0]
        return {
            "seed_sessions.documents_seconds": run["documents_seconds"],
            "seed_sessions.all_seconds": run["seconds"],
        }


def pace() -> Figures:
    """Two workers on three organisations and one business for 75 seconds, told to wait ten times on each side.

    A refusal closes its organisation, or PEX. A call counts as forbidden that began more than `ON_THE_WAY` after a
    refusal was written and before the time it named. Whatever else was refused overran a limit. Through Redis where
    REDIS_URL says so; else both workers are threads of one process.
    """
    shared = os.environ.get("REDIS_URL", "")
    with scene(purchases=0, branches=2, limits=True, pex_limits=True) as facts:
        wish = {"scene": facts, "work": "pace", "seconds": 75}
        with ThreadPoolExecutor(max_workers=2) as pool:
            workers = [pool.submit(_ask, "bench.gate", wish, shared) for _ in range(2 if shared else 1)]
            for system, path in (("xero-api", "/Organisation"), ("pex", "/Business/Profile")) * 10:
                time.sleep(3)
                fault = {"kind": "status", "system": system, "path": path, "status": 429}
                _control(facts, "faults", {**fault, "headers": {"Retry-After": str(PAUSE)}})
            for worker in workers:
                worker.result()
        found = calls(facts)
        struck = _control(facts, "faults")["struck"]
    refused = [call for call in found if call["status"] == 429]
    return {
        "pace.calls_in_forbidden_window": sum(_forbidden(call, refused) for call in found),
        "pace.limits_overrun": len(refused) - struck.get("status", 0),
        "pace.refusals": len(refused),
        "pace.calls": len(found),
    }


def _forbidden(call: dict[str, Any], refused: list[dict[str, Any]]) -> bool:
    began = datetime.fromisoformat(call["at"]) - timedelta(seconds=call["seconds"])
    return any(
        (call["system"], call["tenant"]) == (no["system"], no["tenant"])
        and timedelta(seconds=ON_THE_WAY) < began - datetime.fromisoformat(no["at"]) < timedelta(seconds=PAUSE)
        for no in refused
    )


def refresh() -> Figures:
    """Twenty workers meet an expired sign-in at once: the calls that renewed it, on the side that took more."""
    with scene(purchases=0) as facts:
        last = _ask("bench.gate", {"scene": facts, "work": "refresh"})
        if last["refused"]:
            raise SystemExit("Workers went on being refused after the sign-in was renewed.")
        tokens = [call["system"] for call in calls(facts) if call["path"].endswith("/token")]
        # One more in PEX was the sign-in itself.
        return {"refresh.flights_for_20_workers": max(tokens.count("xero-identity"), tokens.count("pex-oauth") - 1)}


def fleet_night() -> Figures:
    """An ordinary night, and the one in spring that is an hour shorter; side by side, for each takes minutes."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        ordinary, spring = pool.map(lambda day: _ask("bench.fleet", {"day": day}), ("2026-11-24", "2027-03-14"))
    return {
        "fleet.late": ordinary["late"],
        "fleet.starved": ordinary["starved"],
        "fleet.late_in_spring": spring["late"],
        "fleet.starved_in_spring": spring["starved"],
        "fleet.minutes_left": ordinary["minutes_left"],
        "fleet.minutes_left_in_spring": spring["minutes_left"],
        "fleet.slots_busy": max(ordinary["slots"], spring["slots"]),
        "fleet.person_waits_seconds": max(ordinary["person_waits"], spring["person_waits"]),
        "fleet.xero_calls": ordinary["xero_calls"],
    }


def fleet_database() -> Figures:
    with scene(purchases=0) as facts:
        few = _ask("bench.scheduler", {"scene": facts, "connections": 1_000})
    with scene(purchases=0) as facts:
        many = _ask("bench.scheduler", {"scene": facts, "connections": 10_000})
    return {
        "fleet.queries_per_connection": many["statements_per_connection"],
        "fleet.queries_per_connection_at_1000": few["statements_per_connection"],
        "fleet.queries_more_at_10000": many["statements_per_connection"] - few["statements_per_connection"],
        "fleet.tick_ms_at_10000": many["tick_ms"],
        "fleet.tick_queries": many["tick_statements"],
        "fleet.sweep_ms_at_10000": many["sweep_ms"],
    }


def chaos() -> Figures:
    """The short version, on SQLite and the folder of messages; its seed is printed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = Path(folder) / "figures.json"
        subprocess.run([sys.executable, "-m", "chaos", "--short", "--out", str(out)], check=False, timeout=600)
        figures: Figures = json.loads(out.read_text())
    return figures


GROUPS: dict[str, Callable[[], Figures]] = {
    "xero.calls_per_100": xero_with_receipts,
    "xero.calls_per_500": xero_without_receipts,
    "xero.calls_with_new_contacts": xero_new_contacts,
    "xero.second_run": xero_second_run,
    "bc.calls_per_100": bc_with_receipts,
    "bc.calls_per_500": bc_without_receipts,
    "bc.second_run": bc_second_run,
    "bc.cpu": bc_cpu,
    "engine.cpu": engine_cpu,
    "engine.memory": engine_memory,
    "engine.rss": engine_rss,
    "engine.receipts": engine_receipts,
    "seed_sessions": seed_sessions,
    "chaos": chaos,
    "fleet.night": fleet_night,
    "fleet.database": fleet_database,
    "pace": pace,
    "refresh": refresh,
}
