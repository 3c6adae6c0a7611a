"""One worker process: connects to a scene, presses SYNC and tells what it cost. Started by `bench.measures`.

`python -m bench.worker '{"scene": {...}, "runs": 1, "replay": false}'` prints one line of JSON.
"""

import json
import os
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

ENDLESS = "1000000"  # calls, where the simulated companies have no limits


def prepare(scene: dict[str, Any]) -> None:
    """Point the product at the scene; the database is a file of this process's folder."""
    url = scene["url"]
    os.environ |= {
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only-for-measuring-only-for-measuring-only-for-measuring",
        "CREDENTIAL_KEYS": "YmVuY2hiZW5jaGJlbmNoYmVuY2hiZW5jaGJlbmNoYmU=",
        "INSTALLATION_ID": "bench",
        "PEX_API_URL": f"{url}/pex",
        "PEX_OAUTH_URL": f"{url}/pex-oauth",
        "PEX_DASHBOARD_URL": f"{url}/pex-dashboard",
        "XERO_LOGIN_URL": f"{url}/xero-login",
        "XERO_IDENTITY_URL": f"{url}/xero-identity",
        "XERO_API_URL": f"{url}/xero-api",
        "XERO_GO_URL": f"{url}/xero-go",
        "PEX_APP_ID": "pexsync-demo",
        "PEX_APP_SECRET": "pexsync-demo-secret",
        "XERO_CLIENT_ID": "pexsync-demo-xero",
        "XERO_CLIENT_SECRET": "pexsync-demo-xero-secret",
        "ENTRA_URL": f"{url}/entra",
        "BC_API_URL": f"{url}/bc-api",
        "BC_WEB_URL": f"{url}/bc",
        "ENTRA_CLIENT_ID": "7f0d4c52-9c1e-4e0f-8a61-2c5e6d1f9b04",
        "ENTRA_CLIENT_SECRET": "pexsync-demo-entra-secret",
        "DJANGO_SETTINGS_MODULE": "pexsync.settings",
        "CLOCK_FILE": f"{os.environ['DATA_DIR']}/clock.json",
        "LOG_LEVEL": "ERROR",
    }
    if not scene.get("limits", True):
        os.environ |= {"XERO_CALLS_A_MINUTE": ENDLESS, "BC_CALLS_IN_FIVE_MINUTES": ENDLESS}
    if not scene.get("pex_limits", True):
        names = ("PEX_CALLS_A_MINUTE", "PEX_LISTS_AN_HOUR", "PEX_BUSINESS_LISTS_A_MINUTE")
        os.environ |= dict.fromkeys(names, ENDLESS)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def connect(scene: dict[str, Any]) -> Any:
    """The rows that sign-in, CONNECT and setup would leave."""
    from chaos.hands import SECRETS
    from connectors.models import Connection, Credential
    from connectors.pex import auth as pex_auth
    from connectors.pex.client import Token
    from connectors.records import Kind
    from connectors.settings import TAG, FieldSource, Settings
    from pexsync import clock
    from pexsync.accounts import permissions
    from pexsync.accounts.models import Business, User
    from pexsync.accounts.tenancy import scope

    business = Business.objects.create(pex_id=scene["business"], name=scene["name"])
    user = User.objects.create(username=scene["username"])
    everything = [permission.value for permission in permissions.CONNECTOR]
    pex_auth.adopt(business, user, pex_auth.SignIn(Token(scene["pex_token"])), everything)
    system, now = scene["system"], clock.now()
    settings = Settings(
        kinds=frozenset({Kind.PURCHASE}),
        start_date=clock.today() - timedelta(days=90),
        pex_account=scene["bank"],
        receipts=scene["receipts"],
        fields={"account": FieldSource(source=TAG, tag=scene["tag"])}
        | {key: FieldSource(source=TAG, tag=tag) for key, tag in scene["fields"].items()},
        synced=scene["fields"],
        extra=scene.get("extra", {}),
    )
    with scope(business.pk):
        secret = SECRETS[system](scene["tokens"])
        credential = Credential.store(business, system, user, secret, now + timedelta(seconds=1))
        return Connection.objects.create(
            business=business,
            system=system,
            state=Connection.State.READY,
            credential=credential,
            company=scene["company"],
            company_name=f"{scene['name']} LLC",
            company_facts=scene.get("company_facts", {}),
            settings=settings.stored(),
            settings_version=1,
            installed_at=now,
            preview_confirmed={"purchase": {}},
        )


class Meter:
    """Counts what a run does to the database, by watching the connection it uses."""

    def __init__(self) -> None:
        self.queries = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries += 1
        return execute(sql, params, many, context)


class Recorder(httpx.HTTPTransport):
    """Keeps every request, so that the same bytes can be sent again by a bare client, or looked into."""

    kept: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.kept.append((request.method, str(request.url), list(request.headers.raw), body))
        return super().handle_request(request)


def asked_for(kept: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]]) -> list[dict[str, Any]]:
    """Every request: what of the simulated companies it went to, and whether it asks for anything but reading.

    A batch reads where each of its operations does.
    """
    return [
        {
            "system": urlsplit(url).path.split("/")[1],
            "writes": any(each != "GET" for each in _methods(method, url, body)),
        }
        for method, url, _, body in kept
    ]


def _methods(method: str, url: str, body: bytes) -> list[str]:
    return [each["method"] for each in json.loads(body)["requests"]] if url.endswith("/$batch") else [method]


def run_once(connection: Any) -> dict[str, Any]:
    from django.db import connection as database

    from syncjobs import engine, runs
    from syncjobs.models import SyncRun

    meter = Meter()
    versions = _row_versions(database)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run = runs.start(connection, None)
    with database.execute_wrapper(meter):
        while run.alive:
            engine.advance(run.pk)
            run.refresh_from_db()
            if run.status == SyncRun.Status.PAUSED:
                time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "status": run.status,
        "says": run.says,
        "posted": run.rows_posted,
        "receipts": run.receipts_done,
        "seconds": time.perf_counter() - started,
        "documents_seconds": _documents_at(run),
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "queries": meter.queries,
        "row_versions": _row_versions(database) - versions,
        "peak_rss_mb": after.ru_maxrss / 1024,
    }


def _documents_at(run: Any) -> float | None:
    """Seconds from SYNC until the last document was remembered as posted."""
    from django.db.models import Max

    last = run.exports.aggregate(at=Max("posted_at"))["at"]
    return (last - run.queued_at).total_seconds() if last else None


def _row_versions(database: Any) -> int:
    """Rows inserted, changed or deleted on this connection so far (SQLite counts them)."""
    database.ensure_connection()
    return int(database.connection.total_changes)


def replay(kept: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]]) -> float:
    """CPU seconds of a bare client that sends the same requests and reads the answers."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with httpx.Client(timeout=100, trust_env=False) as client:
        for method, url, headers, body in kept:
            client.request(method, url, headers=headers, content=body)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    wish = json.loads(sys.argv[1])
    prepare(wish["scene"])
    connection = connect(wish["scene"])
    if wish.get("replay") or wish.get("look_into"):
        import connectors.http

        connectors.http.httpx.HTTPTransport = Recorder  # type: ignore[attr-defined]
    _warm()
    idle = _rss_mb()
    results = []
    for number in range(wish.get("runs", 1)):
        if number:
            _move_clock(wish["scene"]["url"], wish["hours_between"])
        before = len(Recorder.kept)
        results.append(run_once(connection))
        results[-1]["asked_for"] = asked_for(Recorder.kept[before:]) if wish.get("look_into") else []
        connection.refresh_from_db()
    answer: dict[str, Any] = {"idle_rss_mb": idle, "runs": results}
    if wish.get("replay"):
        answer["replay_cpu"], answer["requests"] = replay(Recorder.kept), len(Recorder.kept)
    print(json.dumps(answer, default=str))


def _move_clock(sandbox: str, hours: float) -> None:
    """Let time pass for the simulated companies and for us alike."""
    httpx.post(f"{sandbox}/control/clock", json={"advance_seconds": hours * 3600}).raise_for_status()
    Path(os.environ["CLOCK_FILE"]).write_text(json.dumps({"offset_seconds": hours * 3600}))


def _warm() -> None:
    """Load what an idle worker has loaded."""
    import syncjobs.tasks  # noqa: F401


def _rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024 / 1024


if __name__ == "__main__":
    main()
