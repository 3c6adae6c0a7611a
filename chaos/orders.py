"""How the schedule tells the workers what to do at which step, and hears that it was done: files in one folder.

An order is an empty file `number.deed.moment`; whoever passes the moment first takes it by renaming it, writes one line
into the log and does the deed. So an order is carried out once, by one process, and the schedule knows that it was.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

KILL, FREEZE, LOSE = "kill", "freeze", "lose"


@dataclass(frozen=True, slots=True)
class Taken:
    """One order that was carried out. `at` is a wall clock in seconds."""

    number: int
    deed: str
    moment: str
    pid: int
    at: float


class Orders:
    def __init__(self, folder: Path) -> None:
        self.open = folder / "open"
        self.taken = folder / "taken"
        self.log = folder / "log"
        self._read = 0
        for room in (self.open, self.taken):
            room.mkdir(parents=True, exist_ok=True)

    # --- the schedule's side ---

    def give(self, number: int, deed: str, moment: str) -> None:
        (self.open / f"{number}.{deed}.{moment}").touch()

    def withdraw(self, number: int) -> None:
        """Forget an order nobody has taken yet."""
        for file in self.open.glob(f"{number}.*"):
            file.unlink(missing_ok=True)

    def waiting(self) -> set[int]:
        return {int(name.split(".")[0]) for name in os.listdir(self.open)}

    def news(self) -> list[Taken]:
        """What was carried out since this was last asked."""
        if not self.log.exists():
            return []
        with self.log.open() as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole.encode())
        return [Taken(**json.loads(line)) for line in whole.splitlines()]

    # --- the worker's side ---

    def take(self, moment: str) -> str:
        """The deed ordered for this moment, taken and written down; "" when there is none."""
        for name in os.listdir(self.open):
            number, deed, wanted = name.split(".")
            if wanted == moment and self._won(name):
                self._write(Taken(int(number), deed, moment, os.getpid(), time.time()))
                return deed
        return ""

    def _won(self, name: str) -> bool:
        try:
            (self.open / name).rename(self.taken / name)
        except FileNotFoundError:  # somebody else was quicker
            return False
        return True

    def _write(self, taken: Taken) -> None:
        """One write of one line: several processes append to the same file."""
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, f"{json.dumps(asdict(taken))}\n".encode())
        finally:
            os.close(log)
