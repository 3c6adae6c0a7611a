"""The demo's folder `.demo/`: its secrets, data, logs and the lock that keeps a second start out."""

import base64
import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import IO

PATIENCE = 10  # seconds a start waits for parts of an earlier demo that are just ending


class InUse(Exception):
    """Another demo runs from this folder."""


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"  # the product's: database, messages, static files
        self.logs = path / "logs"
        self.sandbox = path / "sandbox.world"
        self.clock = path / "clock.json"
        for folder in (path, self.data, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def lock(self) -> IO[str]:
        """Return the open lock file; the lock lasts as long as any process holds it open. Raises `InUse`."""
        file = (self.path / "lock").open("a+")
        give_up = time.monotonic() + PATIENCE
        while not _locked(file):
            file.seek(0)
            if _alive(file.read()) or time.monotonic() > give_up:
                file.close()
                raise InUse
            time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file

    def secrets(self) -> dict[str, str]:
        """Return the secrets of this demo, made once: data sealed with them is read again by the next start."""
        file = self.path / "env"
        known = dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}
        made = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "CREDENTIAL_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "INSTALLATION_ID": secrets.token_hex(8),
        } | known
        if made != known:
            fresh = file.with_suffix(".new")
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.writelines(f"{name}={value}\n" for name, value in made.items())
            fresh.replace(file)
        return made

    def tidy(self) -> None:
        """Drop wake-ups of an earlier start: what is to be done stands in the database."""
        shutil.rmtree(self.data / "broker", ignore_errors=True)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
