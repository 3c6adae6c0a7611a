"""After the storm: faults are cleared, everybody is let go on, and syncs are pressed until nothing moves any more.

Then the clock is moved past the second look, and all of it settles once more.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.companies import Companies
from chaos.evidence import Tables
from chaos.house import Hands, House

SECOND_LOOK = 86_400.0  # seconds after which what was found by a look is looked at again, at patience 1
MARGIN = 400.0  # seconds beyond, unscaled: waits for receipts PEX still loads are over too
PRESSED_EVERY = 3.0  # seconds
QUIET_ROUNDS = 2  # syncs of everybody that found nothing more to do

QUESTIONS = {
    "runs": "select count(*) as n from syncjobs_syncrun where status in ('queued', 'running', 'paused')",
    "sent": "select count(*) as n from syncjobs_export where state = 'sent'",
    "due": "select count(*) as n from syncjobs_export where state = 'due' and waiting in ('', 'refused')",
    "receipts": "select count(*) as n from syncjobs_exportreceipt r join syncjobs_export e on e.id = r.export_id "
    "where r.state in ('waiting', 'sent', 'unknown') and e.state = 'posted' and r.generation = e.generation",
    "unlisted": "select count(*) as n from syncjobs_export where state = 'posted' and receipts_checked_at is null",
    "notes": "select count(*) as n from syncjobs_export where state = 'posted' and note_state = ''",
    "signed out": "select count(*) as n from connectors_credential where state = 'dead'",
    "looks": "select count(*) as n from syncjobs_export where state = 'posted' and next_look is not null",
}


@dataclass
class Settling:
    house: House
    companies: Companies
    hands: Hands
    tables: Tables
    connections: list[int]
    look_after_people: Callable[[], None]
    say: Callable[[str], None]

    def open_work(self) -> dict[str, int]:
        return {name: self.tables.ask(question)[0]["n"] for name, question in QUESTIONS.items()}

    def settle(self, seconds: float) -> bool:
        """False when something still moves after so many seconds."""
        give_up = time.monotonic() + seconds
        if not self._until_quiet(give_up, ignoring=("looks", "receipts")):
            return False
        self.companies.advance(SECOND_LOOK * self.house.patience + MARGIN)
        return self._until_quiet(give_up, ignoring=())

    def _until_quiet(self, give_up: float, ignoring: tuple[str, ...]) -> bool:
        """Rounds of one sync of every business each, until so many in a row left nothing open."""
        quiet = told = 0
        while quiet < QUIET_ROUNDS and time.monotonic() < give_up:
            for connection in self.connections:
                self.hands.ask("sync", connection=connection)
            self.look_after_people()
            work = self._rest(give_up, ignoring)
            quiet = quiet + 1 if not any(work.values()) else 0
            told += 1
            self.say(f"  round {told}: {_open(work) or 'nothing is open'}")
        return quiet >= QUIET_ROUNDS

    def _rest(self, give_up: float, ignoring: tuple[str, ...]) -> dict[str, int]:
        """Wait until the runs of this round have ended and nothing is in doubt any more."""
        begun, pressed = time.monotonic(), time.monotonic()
        while True:
            time.sleep(0.2)
            self.house.look_after()
            work = {name: count for name, count in self.open_work().items() if name not in ignoring}
            moving = work["runs"] or work["sent"] or work.get("looks", 0)
            if (not moving and time.monotonic() - begun > 1) or time.monotonic() > give_up:
                return work
            if time.monotonic() - pressed > PRESSED_EVERY:
                pressed = time.monotonic()
                self.look_after_people()


def _open(work: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in work.items() if count)
