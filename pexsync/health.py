"""Is it alive, and can it work: for load balancers, containers and whoever is called at night.

`python -m pexsync.health 8000` asks the web process on that port of this machine, as a container's check does.
"""

import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

logger = logging.getLogger(__name__)

SECONDS = 2  # that a broker may take to answer

_migrated = False  # once all migrations are applied they stay so for the life of this process


@never_cache
def alive(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nobody else, so that a sick database does not get healthy processes killed."""
    return JsonResponse({"status": "ok"})


@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """Whether work can be done: 200, or 503 with the parts that are not well. Names parts, never addresses."""
    parts = {"database": _part(_database), "migrations": _part(_migrations), "broker": _part(_broker)}
    well = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ok" if well else "unavailable", **parts}, status=200 if well else 503)


def _part(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, redis.RedisError, OSError):
        logger.warning("not ready", extra={"part": check.__name__.strip("_")}, exc_info=True)
        return "not reachable"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    return "ok"


def _migrations() -> str:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "ok" if _migrated else "not applied"


def _broker() -> str:
    if settings.REDIS_URL:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=SECONDS, socket_timeout=SECONDS) as client:
            client.ping()
        return "ok"
    folder = settings.DATA_DIR / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    return "ok" if os.access(folder, os.W_OK) else "not writable"


def main(port: str) -> int:
    """Ask `/healthz` under the public name, since others are refused. Exit code 0 when it answers."""
    public = urlsplit(os.environ.get("PUBLIC_URL", "http://localhost:8000"))
    question = urllib.request.Request(f"http://127.0.0.1:{port}/healthz", headers={"Host": public.netloc})
    try:
        with urllib.request.urlopen(question, timeout=5) as answer:  # noqa: S310  # our own address
            return 0 if answer.status == 200 else 1
    except (OSError, urllib.error.URLError):
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
