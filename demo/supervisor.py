"""Starts the parts, starts them again when they die, and ends them all; each in a process group of its own."""

import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from demo import watchdog
from demo.world import Part

ROOT = Path(__file__).resolve().parent.parent
LOG_BYTES = 2_000_000  # of one log file; one older file is kept beside it
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds before a dead part is started again, doubled each time
SETTLED = 60  # seconds after which a part counts as healthy and its next death as its first
START_SECONDS = 60  # a part may take to be ready
START_DEATHS = 3  # of one part before the demo gives up starting


class Failed(Exception):
    """The demo cannot start; the message says why."""


class Stopped(Exception):
    """Somebody asked the demo to stop while it was starting."""


class BoundedLog:
    """A log file that never grows beyond two times its limit."""

    def __init__(self, path: Path, limit: int = LOG_BYTES) -> None:
        self.path, self.limit = path, limit
        self.file = path.open("ab")

    def write(self, line: bytes) -> None:
        if self.file.tell() + len(line) > self.limit:
            self.file.close()
            self.path.replace(self.path.with_suffix(".log.1"))
            self.file = self.path.open("ab")
        self.file.write(line)
        self.file.flush()

    def close(self) -> None:
        self.file.close()


@dataclass
class Running:
    """One part and the process it has now."""

    part: Part
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    wait: float = field(default_factory=lambda: FIRST_WAIT)  # before its next start, should it die
    again_at: float = 0.0  # when a dead part is started again
    deaths: int = 0
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    said_ready: threading.Event = field(default_factory=threading.Event)
    reader: threading.Thread | None = None


class Supervisor:
    def __init__(
        self,
        env: Mapping[str, str],
        logs: Path,
        lock: IO[str],
        stopping: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self.env, self.logs, self.stopping, self.say = dict(env), logs, stopping, say
        self.running: dict[str, Running] = {}
        self.watchdog = watchdog.start(lock)

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def run(self, name: str, command: list[str]) -> None:
        """Run a preparation to its end. Raises `Failed` with its last words."""
        step = self.running[name] = Running(Part(name, command, ""))
        process = self._spawn(step)
        while process.poll() is None:
            if self.stopping.wait(0.05):
                raise Stopped
        del self.running[name]
        self._bury(step, process)
        if process.returncode:
            raise Failed(f"{' '.join(command[1:3])} failed:\n{self._last_words(step)}")

    def start(self, part: Part) -> None:
        self.running[part.name] = Running(part)
        self._spawn(self.running[part.name])

    def wait_ready(self, name: str) -> None:
        """Raises `Failed` when the part keeps dying or takes too long, `Stopped` when somebody asked to stop."""
        part = self.running[name]
        give_up = time.monotonic() + START_SECONDS
        while not _ready(part):
            if self.stopping.wait(0.05):
                raise Stopped
            self.look_after()
            if part.deaths >= START_DEATHS:
                raise Failed(f"The {name} does not start. Its last words:\n{self._last_words(part)}")
            if time.monotonic() > give_up:
                raise Failed(f"The {name} was not ready after {START_SECONDS} s.\n{self._last_words(part)}")

    def look_after(self) -> None:
        """Notice parts that died and start them again when their wait is over."""
        for part in self.running.values():
            if part.process and part.process.poll() is not None:
                self._mourn(part, part.process)
            elif part.process is None and time.monotonic() >= part.again_at:
                self._spawn(part)

    def stop(self) -> None:
        """End everything; afterwards no process of the demo is left."""
        living = [(part, part.process) for part in self.running.values() if part.process]
        self.running.clear()
        for _, process in living:
            process.terminate()
        _reap([process for _, process in living])
        for part, process in living:
            self._bury(part, process)
        if self.watchdog.stdin:
            self.watchdog.stdin.close()
        self.watchdog.wait()

    def _spawn(self, part: Running) -> "subprocess.Popen[bytes]":
        part.said_ready.clear()
        part.started = time.monotonic()
        process = part.process = subprocess.Popen(
            part.part.command,
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._tell_watchdog("+", process.pid)
        part.reader = threading.Thread(target=self._read, args=(part, process), daemon=True)
        part.reader.start()
        return process

    def _read(self, part: Running, process: "subprocess.Popen[bytes]") -> None:
        """Keep what the part says: all of it in its log file, the last lines at hand."""
        assert process.stdout
        with process.stdout, closing(BoundedLog(self.logs / f"{part.part.name}.log")) as log:
            for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                part.tail.append(text)
                log.write(line)
                if part.part.ready and part.part.ready in text:
                    part.said_ready.set()

    def _mourn(self, part: Running, process: "subprocess.Popen[bytes]") -> None:
        self._bury(part, process)
        lived = time.monotonic() - part.started
        part.process = None
        part.deaths += 1
        wait = FIRST_WAIT if lived > SETTLED else part.wait
        part.again_at = time.monotonic() + wait
        part.wait = min(wait * 2, LONGEST_WAIT)
        self.say(
            f"The {part.part.name} stopped by itself ({_how(process.returncode)}); "
            f"it is started again in {wait:.0f} s. Why stands in {self._log_name(part)}"
        )

    def _bury(self, part: Running, process: "subprocess.Popen[bytes]") -> None:
        """End the children that survived it, as a killed worker's schedule does, and hear its last words."""
        watchdog.end({process.pid}, grace=1)
        self._tell_watchdog("-", process.pid)
        if part.reader:
            part.reader.join(timeout=2)

    def _tell_watchdog(self, sign: str, group: int) -> None:
        try:
            assert self.watchdog.stdin
            self.watchdog.stdin.write(f"{sign}{group}\n")
        except BrokenPipeError:
            self.say("The watchdog is gone: if this launcher is killed now, its parts stay behind.")

    def _last_words(self, part: Running) -> str:
        return "\n".join([*(f"    {line}" for line in part.tail), f"All of it: {self._log_name(part)}"])

    def _log_name(self, part: Running) -> str:
        return shown(self.logs / f"{part.part.name}.log")


def shown(path: Path) -> str:
    """The path as people read it: from the project on, where it lies in there."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _reap(processes: "list[subprocess.Popen[bytes]]") -> None:
    """Wait until the processes have ended; those that take longer than the grace are killed."""
    give_up = time.monotonic() + watchdog.GRACE
    for process in processes:
        try:
            process.wait(max(0.1, give_up - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(part: Running) -> bool:
    if part.process is None:
        return False
    if not part.part.ready.startswith("http"):
        return part.said_ready.is_set()
    try:
        with urllib.request.urlopen(part.part.ready, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
