"""Whatever happens to the parts, none of them outlives the house, and nothing is left in the temporary folder."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from chaos import house as houses
from chaos.house import House

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def gone(*pids, seconds=15):
    give_up = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < give_up:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(houses, "GRACE", 0.3)


def stubborn(house):
    part = house.start("stubborn", [sys.executable, "-c", STUBBORN], pipes=True)
    return part, int(part.said.get(timeout=20))


def test_a_part_that_will_not_stop_is_ended_with_its_children():
    with House("sqlite") as house:
        part, child = stubborn(house)
        folder = house.folder
    assert gone(part.process.pid, child)
    assert not folder.exists()


def test_a_frozen_part_is_ended_too():
    with House("sqlite") as house:
        part, child = stubborn(house)
        house.signal(part, signal.SIGSTOP)
    assert gone(part.process.pid, child)


def test_a_part_that_died_is_started_again_and_one_put_away_is_not():
    with House("sqlite") as house:
        part, _ = stubborn(house)
        first = part.process.pid
        house.signal(part, signal.SIGKILL)
        part.process.wait(timeout=10)
        assert house.look_after() == ["stubborn"]
        assert part.process.pid != first
        house.pause("stubborn")
        house.signal(part, signal.SIGKILL)
        part.process.wait(timeout=10)
        assert house.look_after() == []
        house.resume("stubborn")
        assert house.look_after() == ["stubborn"]


def test_an_error_nobody_expected_is_told_unless_a_restart_explains_it():
    with House("sqlite") as house:
        log = house.folder / "worker 1.log"
        told = "Task syncjobs.advance[7] raised unexpected: KeyError('target')"
        log.write_text(f'--- a banner\n{{"event": "posted"}}\n{{"event": "{told}", "level": "error"}}\n')
        assert house.surprises() == [told]
        log.write_text('{"event": "Task syncjobs.sweep[8] raised unexpected: OperationalError(1)"}\n')
        assert len(house.surprises()) == 1
        house.postgres = object()
        assert house.surprises() == []


def test_nothing_outlives_a_chaos_run_that_is_killed_without_a_word(tmp_path):
    script = textwrap.dedent(
        f"""
        import sys, time
        from chaos.house import House
        house = House("sqlite")
        part = house.start("stubborn", [sys.executable, "-c", {STUBBORN!r}], pipes=True)
        print(part.process.pid, part.said.get(timeout=20).strip(), flush=True)
        time.sleep(60)
        """
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # its folder is all that it leaves
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env)
    with run.stdout as said:
        pids = [int(number) for number in said.readline().split()]
    run.kill()
    run.wait()
    assert gone(*pids)
