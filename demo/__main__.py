"""`python -m demo`: prepares, starts and looks after everything, and prints the one address to open."""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from demo import ports, world
from demo.home import Home, InUse
from demo.supervisor import ROOT, Failed, Stopped, Supervisor, shown

PR_SET_PDEATHSIG = 1

WELCOME = """
  PEX Sync is ready:  http://localhost:{port}

  Sign in     Open it, press "Sign in with PEX" and choose dana.admin. No password is asked.
  Then        Apps > Available > INSTALL the connector for Xero > CONNECT. README.md goes on from there.
  Look round  The simulated PEX, the books in the simulated Xero and their switches (new purchases, lost
              answers, the clock) are on port {sandbox_port} of this machine.
  Stop        Ctrl-C. Everything is kept for the next start; `make clean` forgets it.
  Logs        {logs}
"""


def main() -> int:
    started = time.monotonic()
    try:
        port = ports.number(os.environ.get("PORT", "8000"), "PORT")
        sandbox_port = ports.number(os.environ.get("SANDBOX_PORT", "8001"), "SANDBOX_PORT")
    except ValueError as error:
        return _refuse(str(error))
    if port == sandbox_port:
        return _refuse(f"PORT and SANDBOX_PORT are both {port}: they must differ.")
    home = Home(Path(os.environ.get("DEMO_DIR", ROOT / ".demo")).resolve())
    try:
        lock = home.lock()
    except InUse:
        return _refuse("A demo is already running from this folder: use it, or stop it first.")
    with lock:
        for number, variable in ((port, "PORT"), (sandbox_port, "SANDBOX_PORT")):
            if ports.busy(number):
                return _refuse(ports.sentence(number, variable, max(port, sandbox_port) + 10))
        home.tidy()
        stopping = _stop_signals()
        env = world.environment(home, port, sandbox_port)
        try:
            with Supervisor(env, home.logs, lock, stopping, _say) as house:
                _start(house, home, port, sandbox_port)
                _say(f"Started in {time.monotonic() - started:.0f} s.")
                _say(WELCOME.format(port=port, sandbox_port=sandbox_port, logs=shown(home.logs)))
                while not stopping.wait(0.5):
                    house.look_after()
                _say("Stopping ...")
        except Stopped:
            pass
        except Failed as error:
            return _refuse(str(error))
    _say("Stopped. Nothing is left running.")
    return 0


def _start(house: Supervisor, home: Home, port: int, sandbox_port: int) -> None:
    _say("Starting the simulated companies ...")
    house.start(world.sandbox(home, port, sandbox_port))
    for label, command in world.PREPARATIONS.items():
        _say(f"{label} ...")
        house.run("prepare", command)
    _say("Starting the pages and the worker ...")
    house.start(world.web(port))
    house.start(world.worker())
    for name in ("sandbox", "web", "worker"):
        house.wait_ready(name)


def _stop_signals() -> threading.Event:
    """Return the event that is set once somebody wants the demo to end."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    if "MAKELEVEL" in os.environ:
        _end_with_parent()
    return stopping


def _end_with_parent() -> None:
    """Started by make, be asked to stop when make is killed. Only Linux can; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _say(text: str) -> None:
    print(text, flush=True)


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
