"""Many runs at once in one worker process, as `celery --pool threads` works them: what memory they take together.

`python -m bench.crowd '{"scene": {...}}'` syncs every business of the scene at the same time, each in a thread of its
own, and prints one line of JSON. Started by `bench.measures`.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.worker import connect, prepare, run_once


def together(connections: list[Any]) -> list[dict[str, Any]]:
    """Run all; the first ends only after the last has begun."""
    from django.db import connections as databases

    begun = threading.Barrier(len(connections))

    def one(connection: Any) -> dict[str, Any]:
        begun.wait(timeout=60)
        try:
            return run_once(connection)
        finally:
            databases.close_all()

    with ThreadPoolExecutor(max_workers=len(connections)) as pool:
        return list(pool.map(one, connections))


def share_one_file() -> None:
    """Fifty runs write to one SQLite file one after the other: they wait for it, and it does not wait for the disk.

    Memory is measured here, not time; in production this is PostgreSQL.
    """
    from django.conf import settings

    options = settings.DATABASES["default"]["OPTIONS"]
    options |= {"timeout": 600, "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"}


def main() -> None:
    scene = json.loads(sys.argv[1])["scene"]
    prepare(scene)
    share_one_file()
    connections = [connect(business) for business in (scene, *scene["others"])]
    print(json.dumps({"runs": together(connections)}, default=str))


if __name__ == "__main__":
    main()
