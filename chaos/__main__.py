"""`make chaos`: run the schedule of a seed, let it settle, have it checked. Ends 1 on any violation.

python -m chaos --seed 7 --long --database postgres
"""

import argparse
import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from chaos import checker, evidence, plan
from chaos.checker import Verdict
from chaos.companies import Companies
from chaos.evidence import Tables
from chaos.facts import KINDS, PURCHASE, Evidence
from chaos.house import Hands, House
from chaos.journal import Journal
from chaos.schedule import Schedule
from chaos.services import NotHere
from chaos.settling import Settling
from chaos.steps import MOMENTS

SHOWN = 12  # violations told in full


def main() -> int:
    asked = arguments()
    length, began = plan.LENGTHS[asked.length], time.monotonic()
    made = plan.make(asked.seed, length, asked.database)
    again = f"make chaos SEED={asked.seed} LENGTH={asked.length} STORE={asked.database}"
    say(f"chaos: seed {asked.seed}, {asked.length}, {asked.database}. Again: {again}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with House(asked.database) as house:
            figures, clean = storm(made, house)
            figures["chaos.seconds"] = round(time.monotonic() - began, 1)
            if not clean or asked.keep:
                keep(house, asked.keep or Path(f"chaos-{asked.seed}"))
    except NotHere as missing:
        say(f"Not here: {missing}. Install it, or run without --database postgres.")
        return 1
    tell(figures)
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    say("Clean." if clean else f"VIOLATED. Again: {again}")
    return 0 if clean else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 100_000))
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--long", dest="length", action="store_const", const="long", default="long")
    size.add_argument("--short", dest="length", action="store_const", const="short")
    parser.add_argument("--database", choices=(plan.SQLITE, plan.POSTGRES), default=plan.SQLITE)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--keep", type=Path, help="keep logs, journal and database in this folder, also when clean")
    return parser.parse_args()


def storm(made: plan.Plan, house: House) -> tuple[dict[str, float], bool]:
    """Everything between the first process and the last look."""
    world = house.open(made.length.businesses, made.length.central)
    companies, journal = Companies(house.url), Journal(house.folder / "journal")
    hands = Hands(house)
    schedule = Schedule(made, house, companies, hands, world, journal, say)
    schedule.connections = hands.wait_for("connect", businesses=world)["connections"]
    house.start_workers()
    say(f"  {len(made.arrivals)} rows will come, {len(made.acts)} things will go wrong")
    schedule.run()
    schedule.calm()
    tables = Tables.at(house.tables)
    settling = Settling(house, companies, hands, tables, schedule.connections, schedule.look_after_people, say)
    say(f"  {schedule.now:4.0f} s  the storm is over; settling")
    settled = settling.settle(made.length.settling)
    found = evidence.gather(companies, world, tables, journal.doings)
    verdict = checker.check(found)
    surprises = house.surprises()
    figures = schedule.figures() | verdict.figures()
    figures |= {"chaos.unsettled": int(not settled), "chaos.errors": len(surprises)}
    explain(verdict, found)
    name_twins(found)
    for surprise in surprises[:SHOWN]:
        say(f"error: {surprise}")
    if not settled:
        say(f"It did not come to rest: {settling.open_work()}")
    return figures, settled and not verdict.violations and not surprises and enough(figures, made.length)


def enough(figures: dict[str, float], length: plan.Length) -> bool:
    """Whether so much happened that a clean end means something."""
    wanted = {"purchases": length.purchases, "faults": length.faults, "kills": length.kills}
    wanted["struck_in_dynamics"] = length.struck_there
    wanted |= {f"{kind}s": length.others for kind in KINDS if kind != PURCHASE}
    short = {name: least for name, least in wanted.items() if figures[f"chaos.{name}"] < least}
    if length.every_step and figures["chaos.steps_killed_at"] < len(MOMENTS):
        short["steps_killed_at"] = len(MOMENTS)
    if short or figures["chaos.fault_kinds_lacking"]:
        say(f"Too little happened to prove anything: at least {wanted}, every kind {length.least} times. {short}")
        return False
    return True


def explain(verdict: Verdict, found: Evidence) -> None:
    for violation in verdict.violations[:SHOWN]:
        say("\n".join(checker.explained(violation, found)))
    left = len(verdict.violations) - SHOWN
    if left > 0:
        say(f"... and {left} more: " + ", ".join(f"{one.kind} {one.pex_id}" for one in verdict.violations[SHOWN:][:40]))


def name_twins(found: Evidence) -> None:
    for twin in found.twins:
        struck = sorted({doing.kind for doing in found.doings if twin.name in doing.facts.get("vendors", ())})
        say(f"{twin.count} vendors are called {twin.name}; what struck those calls: {', '.join(struck) or 'nothing'}")


def tell(figures: dict[str, float]) -> None:
    say(f"\n{'measure':32}{'figure':>10}")
    for name, figure in sorted(figures.items()):
        say(f"{name:32}{figure:>10g}")


def keep(house: House, folder: Path) -> None:
    house.stop()
    shutil.copytree(house.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("pg", "broker", "lock"))
    say(f"Logs, journal and database are in {folder}.")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
