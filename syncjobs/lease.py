"""One posting slice per target: for order and pace. What guards against doubles is the batch number, not this."""

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models import Q

from pexsync import clock
from syncjobs.models import Lease

logger = logging.getLogger(__name__)

LIFE = 45.0  # seconds without a heartbeat until another slice may begin
BEAT = 10.0  # seconds
IDLE = 600.0  # seconds without a step until the heartbeat stops: the slice hangs


class Lost(Exception):
    """Another slice has the lease, or may take it: whoever still works under it stops at once and changes nothing."""


class Held:
    """A lease in hand. Call `step()` whenever something moved; while steps come a thread keeps the lease alive."""

    def __init__(self, target: str, holder: str) -> None:
        self.target, self.holder = target, holder
        self.lost = False
        self._last_step = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {target}", daemon=True)

    def step(self) -> None:
        self._last_step = time.monotonic()

    def __enter__(self) -> "Held":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        Lease.objects.filter(pk=self.target, holder=self.holder).update(holder="", until=clock.database_now())

    def _beat(self) -> None:
        while not self._done.wait(BEAT * settings.PATIENCE):
            if time.monotonic() - self._last_step > IDLE * settings.PATIENCE:
                logger.error("a slice hangs; its lease runs out", extra={"target": self.target})
                self.lost = True
                return
            try:
                with contextlib.closing(connection):
                    self._extend()
            except Error:
                logger.warning("lease not extended", extra={"target": self.target}, exc_info=True)

    def _extend(self) -> None:
        until = clock.database_now() + timedelta(seconds=LIFE * settings.PATIENCE)
        if not Lease.objects.filter(pk=self.target, holder=self.holder).update(until=until):
            self.lost = True


@contextmanager
def take(target: str) -> Iterator[Held | None]:
    """Yield the lease, or None while another slice has it."""
    holder = secrets.token_hex(16)
    now = clock.database_now()
    until = now + timedelta(seconds=LIFE * settings.PATIENCE)
    Lease.objects.bulk_create([Lease(target=target, until=now)], ignore_conflicts=True)
    free = Q(holder="") | Q(until__lt=now)
    if not Lease.objects.filter(free, pk=target).update(holder=holder, until=until):
        yield None
        return
    with Held(target, holder) as held:
        yield held


def taken() -> set[str]:
    """The targets somebody works on now."""
    held = Lease.objects.filter(until__gte=clock.database_now()).exclude(holder="")
    return set(held.values_list("target", flat=True))
