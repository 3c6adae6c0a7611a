"""The launcher of the demo, with small programs in place of the product's parts; at the end the whole of it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import ports, supervisor, watchdog, world
from demo.home import Home, InUse
from demo.supervisor import BoundedLog, Failed, Stopped, Supervisor
from demo.world import Part

ROOT = Path(__file__).parents[2]
OUTSIDE = ("PEX_", "XERO_", "ENTRA_", "BC_")  # how the names of settings about the other companies begin


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "demo")


def until(claim: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether the claim became true in time."""
    give_up = time.monotonic() + seconds
    while not claim() and time.monotonic() < give_up:
        threading.Event().wait(0.05)
    return claim()


def alive(pid: int) -> bool:
    """Whether it runs; what has ended and only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- ports ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_busy_port_is_noticed_and_named(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as other:
        try:
            other.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        other.listen()
        port = other.getsockname()[1]
        assert ports.busy(port)
        assert f"Port {port} is in use" in ports.sentence(port, "SANDBOX_PORT", 9001)
        assert "make demo SANDBOX_PORT=9001" in ports.sentence(port, "SANDBOX_PORT", 9001)
    assert not ports.busy(port)


@pytest.mark.parametrize("text", ["", "abc", "80", "70000", "-1", "8000.5"])
def test_a_port_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^PORT="):
        ports.number(text, "PORT")


# --- the folder -------------------------------------------------------------------------------------------------------
def test_secrets_are_made_once_and_only_ours_to_read(home: Home) -> None:
    first = home.secrets()
    assert Home(home.path).secrets() == first
    assert set(first) == {"SECRET_KEY", "CREDENTIAL_KEYS", "INSTALLATION_ID"}
    assert (home.path / "env").stat().st_mode & 0o077 == 0


def test_a_second_start_from_one_folder_is_refused(home: Home) -> None:
    with home.lock(), pytest.raises(InUse):
        Home(home.path).lock()
    home.lock().close()


def test_old_wake_ups_are_dropped_and_data_kept(home: Home) -> None:
    (home.data / "broker" / "messages").mkdir(parents=True)
    (home.data / "broker" / "messages" / "1.celery.msg").write_text("{}")
    (home.data / "pexsync.sqlite3").write_text("rows")
    home.tidy()
    assert not (home.data / "broker").exists()
    assert (home.data / "pexsync.sqlite3").read_text() == "rows"


def test_the_demo_is_never_led_to_real_services(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://real")
    monkeypatch.setenv("REDIS_URL", "redis://real")
    monkeypatch.setenv("XERO_API_URL", "https://api.xero.com")
    env = world.environment(home, 8000, 8001)
    assert not {"DATABASE_URL", "REDIS_URL"} & set(env)
    assert {value.split("/")[2] for name, value in env.items() if name.startswith(OUTSIDE) and "://" in value} == {
        "localhost:8001"
    }
    assert env["ENV_FILE"] == os.devnull


def test_product_and_sandbox_share_one_clock(home: Home) -> None:
    assert world.environment(home, 8000, 8001)["CLOCK_FILE"] == str(home.clock)
    assert str(home.clock) in world.sandbox(home, 8000, 8001).command


def test_every_outside_address_is_pointed_at_the_sandbox() -> None:
    source = (ROOT / "pexsync" / "settings.py").read_text()
    named = {line.split(":")[0] for line in source.splitlines() if line.startswith(OUTSIDE) and "https://" in line}
    assert set(world.ADDRESSES) == named


def test_a_log_file_stays_bounded(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "web.log", limit=1000)
    for number in range(500):
        log.write(f"line {number}\n".encode())
    log.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    assert "line 499" in (tmp_path / "web.log").read_text()


# --- the supervisor ---------------------------------------------------------------------------------------------------
class House:
    """A supervisor and what it said."""

    def __init__(self, home: Home) -> None:
        self.home, self.said, self.stopping = home, list[str](), threading.Event()
        self.lock = home.lock()
        self.supervisor = Supervisor(dict(os.environ), home.logs, self.lock, self.stopping, self.said.append)

    def start(self, source: str, name: str = "web", ready: str = "here I am") -> None:
        self.supervisor.start(Part(name, [sys.executable, "-c", source], ready))

    def pid(self, name: str = "web") -> int:
        process = self.supervisor.running[name].process
        return process.pid if process else 0


@pytest.fixture
def house(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(supervisor, "FIRST_WAIT", 0.1)
    monkeypatch.setattr(supervisor, "LONGEST_WAIT", 0.2)
    running = House(home)
    yield running
    running.supervisor.stop()
    running.lock.close()


SITS = "import time; print('here I am', flush=True); time.sleep(100)"
# Has a child of its own, as a worker has its schedule.
FAMILY = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']);"
    "print('child', child.pid, flush=True); print('here I am', flush=True); time.sleep(100)"
)


def child_of(house: House, name: str = "web") -> int:
    (line,) = [line for line in house.supervisor.running[name].tail if line.startswith("child")][-1:]
    return int(line.split()[1])


def test_a_part_that_dies_is_started_again_and_people_are_told(house: House) -> None:
    house.start(SITS)
    house.supervisor.wait_ready("web")
    first = house.pid()
    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        house.supervisor.look_after()
        return house.pid() not in (0, first)

    assert until(again)
    house.supervisor.wait_ready("web")
    assert "The web stopped by itself (killed by signal 9)" in house.said[0]
    assert "web.log" in house.said[0]


def test_what_a_dead_part_leaves_behind_is_ended(house: House) -> None:
    house.start(FAMILY)
    house.supervisor.wait_ready("web")
    child = child_of(house)
    os.kill(house.pid(), signal.SIGKILL)

    def buried() -> bool:
        house.supervisor.look_after()
        return bool(house.said)

    assert until(buried)
    assert until(lambda: not alive(child))


def test_a_part_that_cannot_start_ends_the_demo_with_its_last_words(house: House) -> None:
    house.start("raise SystemExit('the cellar is flooded')")
    with pytest.raises(Failed, match="the cellar is flooded"):
        house.supervisor.wait_ready("web")


def test_a_preparation_that_fails_says_why(house: House) -> None:
    with pytest.raises(Failed, match="no such table"):
        house.supervisor.run("prepare", [sys.executable, "-c", "raise SystemExit('no such table')"])


def test_stopping_interrupts_a_preparation(house: House) -> None:
    house.stopping.set()
    with pytest.raises(Stopped):
        house.supervisor.run("prepare", [sys.executable, "-c", SITS])


def test_stop_leaves_nobody_even_of_those_who_will_not_listen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "GRACE", 0.5)
    house.start(FAMILY, "worker")
    house.start(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SITS}", "web")
    house.supervisor.wait_ready("worker")
    house.supervisor.wait_ready("web")
    pids = [house.pid("web"), house.pid("worker"), child_of(house, "worker")]
    house.supervisor.stop()
    assert until(lambda: not any(map(alive, pids)), 3)


def test_a_killed_launcher_takes_its_parts_along(home: Home) -> None:
    launcher = f"""
import os, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from demo.home import Home
from demo.supervisor import Supervisor
from demo.world import Part
home = Home(Path({str(home.path)!r}))
house = Supervisor(dict(os.environ), home.logs, home.lock(), threading.Event(), print)
house.start(Part("web", [sys.executable, "-c", {SITS!r}], "here I am"))
house.wait_ready("web")
print(house.running["web"].process.pid, flush=True)
time.sleep(100)
"""
    process = subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    part = int(process.stdout.readline())
    assert alive(part)
    process.kill()
    process.wait()
    process.stdout.close()
    assert until(lambda: not alive(part))
    home.lock().close()


# --- the whole of it --------------------------------------------------------------------------------------------------
@pytest.mark.demo
def test_the_demo_comes_up_and_goes_without_leaving_anybody(tmp_path: Path) -> None:
    port, sandbox_port = free_port(), free_port()
    env = {
        **{name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "MAKELEVEL")},
        "DEMO_DIR": str(tmp_path / "the demo"),
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
    }
    command = [sys.executable, "-m", "demo"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if "ready:" in line:
                break
        assert f"http://localhost:{port}\n" in said[-1], "".join(said)
        children = family(process.pid)
        assert len(children) >= 4
        with urllib.request.urlopen(f"http://localhost:{port}/healthz") as answer:
            assert answer.status == 200

        refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=20)
        assert refused.returncode == 1
        assert refused.stderr == "A demo is already running from this folder: use it, or stop it first.\n"

        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert until(lambda: not any(map(alive, children)), 5)
    assert not ports.busy(port)
    assert not ports.busy(sandbox_port)
    assert (tmp_path / "the demo" / "data" / "pexsync.sqlite3").exists()


def family(pid: int) -> list[int]:
    """Every process below this one, the watchdog included."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listing.splitlines())}
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [below for child in found for below in family(child)]
