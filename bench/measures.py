"""The measures and their bars. Each group starts a scene and a worker and returns flat keys."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

LARGE = {"foreign": 20_000, "contacts": 3_000}

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bar:
    most: float
    unit: str


BARS = {
    "xero.calls_per_100_with_receipts": Bar(112, "calls"),
    "xero.calls_per_500_without_receipts": Bar(20, "calls"),
    "xero.second_run_writes": Bar(0, "calls"),
    "xero.second_run_reads": Bar(8, "calls per system, the larger"),
    "engine.cpu_ms_per_purchase": Bar(2, "ms"),
    "engine.db_queries_per_purchase": Bar(2, "queries"),
    "engine.row_versions_per_purchase": Bar(8, "rows"),
    "engine.peak_rss_mb_over_idle": Bar(150, "MB"),
    "engine.db_queries_per_receipt": Bar(2, "queries"),
    "engine.tcp_connections_per_run": Bar(12, "connections"),
    "seed_sessions.documents_seconds": Bar(5, "s"),
    "seed_sessions.all_seconds": Bar(12, "s"),
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


def work(facts: dict[str, Any], **wish: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        answer = subprocess.run(
            [sys.executable, "-m", "bench.worker", json.dumps({"scene": facts, **wish})],
            env={
                **os.environ,
                "DATA_DIR": folder,
                "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
                "REDIS_URL": "",
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=600,
        )
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    for run in result["runs"]:
        if run["status"] != "success":
            raise SystemExit(f"A measured run ended {run['status']}: {run['says']}")
    return result


def calls(facts: dict[str, Any], clear: bool = False) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{facts['url']}/control/calls?limit=1000000", method="DELETE" if clear else "GET")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    found = json.loads(text) if text else {}
    return list(found.get("calls", found) if isinstance(found, dict) else found)


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


def _last_run(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls since the clock was moved."""
    moved = datetime.fromisoformat(found[-1]["at"]) - timedelta(hours=12)
    return [call for call in found if datetime.fromisoformat(call["at"]) > moved]


def engine_cpu() -> Figures:
    with scene(purchases=10_000, contacts=40) as facts:
        result = work(facts, replay=True)
        run = result["runs"][0]
        return {
            "engine.cpu_ms_per_purchase": (run["cpu"] - result["replay_cpu"]) / run["posted"] * 1000,
            "engine.cpu_ms_per_purchase_with_http": run["cpu"] / run["posted"] * 1000,
            "engine.cpu_ms_per_purchase_of_replay": result["replay_cpu"] / run["posted"] * 1000,
            "engine.db_queries_per_purchase": run["queries"] / run["posted"],
            "engine.row_versions_per_purchase": run["row_versions"] / run["posted"],
        }


def engine_memory() -> Figures:
    with scene(purchases=30_000, contacts=40) as facts:
        result = work(facts)
        return {"engine.peak_rss_mb_over_idle": result["runs"][0]["peak_rss_mb"] - result["idle_rss_mb"]}


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


GROUPS: dict[str, Callable[[], Figures]] = {
    "xero.calls_per_100": xero_with_receipts,
    "xero.calls_per_500": xero_without_receipts,
    "xero.second_run": xero_second_run,
    "engine.cpu": engine_cpu,
    "engine.memory": engine_memory,
    "engine.receipts": engine_receipts,
    "seed_sessions": seed_sessions,
}
