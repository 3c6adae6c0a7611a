"""Ends what the launcher started when the launcher itself is gone without a word (kill -9, out of memory).

Run as a process of its own: it reads "+pid" and "-pid" lines of process groups until the launcher's end of the pipe
closes. After an orderly end no group is left on its list. It holds the demo's lock open meanwhile, so that a new
start waits until the old parts are gone.
"""

import os
import signal
import subprocess
import sys
import time
from typing import IO

GRACE = 5  # seconds between asking and killing


def start(lock: IO[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "demo.watchdog"],
        stdin=subprocess.PIPE,
        text=True,
        bufsize=1,
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )


def end(groups: set[int], grace: float = GRACE) -> None:
    """Ask every process of these groups to stop, and kill what is left after the grace."""
    give_up = time.monotonic() + grace
    alive = {group for group in groups if _signalled(group, signal.SIGTERM)}
    while alive and time.monotonic() < give_up:
        time.sleep(0.05)
        alive = {group for group in alive if _signalled(group, 0)}
    for group in alive:
        _signalled(group, signal.SIGKILL)


def _signalled(group: int, number: int) -> bool:
    """Whether the group still had somebody to hear it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    end(groups)


if __name__ == "__main__":
    main()
