"""The gate before every outside call: one count for all workers, in Redis, or in the process where there is none.

`take` waits out a moment in place and raises `NotYet` for longer. Without Redis to ask nobody passes: a call that is
not counted could break a limit for everybody.
"""

import json
import logging
import os
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors import limits as counting
from connectors.limits import AT_ONCE, NOTHING, Limiter, Limits, Said, Use, Wait
from pexsync import clock

logger = logging.getLogger(__name__)

FEW = 3.0  # seconds that are waited out in place
TURN = counting.ARRIVAL  # seconds to wait in place for one of the calls under way to end; each has ended by then
TURN_OF_PEOPLE = 5.0
STEPS = (0.02, 0.05, 0.1, 0.2)  # seconds between two looks whether a call has ended
PAGE_OPEN = 60.0  # seconds that a page counts as open after it was shown
NO_REDIS = 30.0  # seconds until a slice tries again
REDIS_TIMEOUT = 2.0  # seconds
LINES = 16  # sockets of one process to Redis

_people: ContextVar[bool] = ContextVar("people", default=False)
_leaves: ContextVar[int | None] = ContextVar("leaves", default=None)


class NotYet(Exception):
    """The call may not go now, and the wait is too long to sit out."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait.why)
        self.wait = wait


class Unpaced(Exception):
    """Nobody can say whether the call may go."""


# --- for whom ---------------------------------------------------------------------------------------------------------


@contextmanager
def for_people() -> Iterator[None]:
    """Calls of this thread are made for somebody who waits at a page."""
    before = _people.set(True)
    try:
        yield
    finally:
        _people.reset(before)


@contextmanager
def leaving(calls: int) -> Iterator[None]:
    """Writes of this thread can wait: of the calls the other side says are left they leave so many to others."""
    before = _leaves.set(calls)
    try:
        yield
    finally:
        _leaves.reset(before)


def people_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What a request calls, it calls for people; a page of a connection keeps them a share for the next minute."""

    def answer(request: HttpRequest) -> HttpResponse:
        with for_people():
            response = get_response(request)
        keys: Sequence[str] = getattr(request, "pace_keys", ())
        if keys:
            gate().open_page(keys, PAGE_OPEN)
        return response

    return answer


# --- a call -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """A call that may go. `end` it, whatever became of it."""

    limits: Sequence[Limits]
    call: str

    def end(self, said: Said = NOTHING) -> float:
        """Returns the seconds nobody may call after a refusal, 0 where there was none."""
        return gate().end(self.limits, self.call, said)


def take(limits: Sequence[Limits], *, writes: bool, patience: float, most: float) -> Turn:
    """Count a call, after a wait of at most `patience` seconds, and `most` for others to end. Raises as said above."""
    people = _people.get()
    use, call = Use(people, writes, _leaves.get() if writes else None), secrets.token_hex(8)
    began, steps = _now(), iter(STEPS)
    while True:
        wait = gate().begin(limits, call, use)
        if wait is None:
            return Turn(limits, call)
        waited = _now() - began
        if wait.why == AT_ONCE:
            allowed = min(TURN_OF_PEOPLE if people else TURN, most)
            pause = min(next(steps, STEPS[-1]), wait.seconds)
        else:
            allowed, pause = min(patience, most), wait.seconds
        if waited + pause > allowed:
            raise NotYet(wait)
        time.sleep(pause)


# --- who counts -------------------------------------------------------------------------------------------------------


class Gate(ABC):
    """Counts the calls of all keys. Raises `Unpaced`."""

    @abstractmethod
    def begin(self, limits: Sequence[Limits], call: str, use: Use) -> Wait | None:
        """None when the call may go: it is counted then."""

    @abstractmethod
    def end(self, limits: Sequence[Limits], call: str, said: Said) -> float:
        """The call has ended. Returns the seconds a refusal asks to wait."""

    @abstractmethod
    def open_page(self, keys: Sequence[str], seconds: float) -> None:
        """Keep a share of these keys' calls for people so long."""


@cache
def gate() -> Gate:
    return RedisGate(settings.REDIS_URL) if settings.REDIS_URL else OwnGate()


class OwnGate(Gate):
    """For the embedded default. Other processes count for themselves; what the answers tell corrects it."""

    def __init__(self) -> None:
        self._limiter, self._lock = Limiter(), threading.Lock()

    def begin(self, limits: Sequence[Limits], call: str, use: Use) -> Wait | None:
        with self._lock:
            return self._limiter.reserve(_now(), limits, call, use)

    def end(self, limits: Sequence[Limits], call: str, said: Said) -> float:
        with self._lock:
            return self._limiter.release(_now(), limits, call, said)

    def open_page(self, keys: Sequence[str], seconds: float) -> None:
        with self._lock:
            for key in keys:
                self._limiter.open_page(_now(), key, seconds)


def _now() -> float:
    """Steady seconds; a simulated world's clock, which the other side counts by too, moves them along."""
    return time.monotonic() + clock.offset().total_seconds()


# --- Redis ------------------------------------------------------------------------------------------------------------


class RedisGate(Gate):
    """One count for all processes, by Redis's clock. A worker that died leaves nothing that does not pass by itself."""

    PREFIX = "pace"

    def __init__(self, url: str) -> None:
        self._wires = _Wires(url)

    def begin(self, limits: Sequence[Limits], call: str, use: Use) -> Wait | None:
        leaves = "" if use.leaves is None else str(use.leaves)
        words = (call, "1" if use.people else "0", "1" if use.writes else "0", leaves)
        answer = self._wires.ask("begin", self._keys(limits), _packed(tuple(limits)), words)
        return Wait(float(answer[0]), answer[1].decode()) if answer else None

    def end(self, limits: Sequence[Limits], call: str, said: Said) -> float:
        told = (call, _json(asdict(said)))
        if said.refused:  # the caller is told how long to wait
            return float(self._wires.ask("end", self._keys(limits), _packed(tuple(limits)), told))
        self._wires.tell("end", self._keys(limits), _packed(tuple(limits)), told)
        return 0.0

    def open_page(self, keys: Sequence[str], seconds: float) -> None:
        limits = tuple(Limits(key) for key in keys)
        self._wires.tell("page", self._keys(limits), _packed(limits), (str(seconds),))

    def _keys(self, limits: Sequence[Limits]) -> list[str]:
        return [f"{self.PREFIX}:{each.key}:{part}" for each in limits for part in ("calls", "facts")]


class _Wires:
    """A few sockets to Redis. What is told is not waited for: its answer is read before the next question's."""

    def __init__(self, url: str) -> None:
        pool = redis.ConnectionPool.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT,
            socket_connect_timeout=REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self._make, self._how = pool.connection_class, pool.connection_kwargs
        self._free: list[_Wire] = []
        self._turns = threading.BoundedSemaphore(LINES)
        self._process = os.getpid()

    def ask(self, *what: Any) -> Any:
        """The answer of the script. A socket that has gone stale is replaced once. Raises `Unpaced`."""
        words = self._words(*what)
        with self._turns:
            for last in (False, True):
                wire = self._wire()
                try:
                    answer = wire.ask(words)
                except redis.RedisError as error:
                    wire.close()
                    if last or not isinstance(error, redis.ConnectionError):
                        raise _unpaced(error) from error
                    self._free.clear()  # what stood open beside it went stale with it
                else:
                    self._free.append(wire)
                    return answer
        raise AssertionError("the second try has answered or raised")

    def tell(self, *what: Any) -> None:
        """What cannot be told now passes by itself: a call counts as ended once it must have arrived."""
        with self._turns:
            wire = self._wire()
            try:
                wire.tell(self._words(*what))
            except redis.RedisError as error:
                wire.close()
                logger.warning("Redis did not hear that a call has ended", extra={"error": str(error)})
            else:
                self._free.append(wire)

    def _wire(self) -> "_Wire":
        if self._process != os.getpid():  # a forked child must not share its parent's sockets
            self._free, self._process = [], os.getpid()
        try:
            return self._free.pop()
        except IndexError:
            return _Wire(self._make(**self._how))

    def _words(self, order: str, keys: Sequence[str], limits: str, more: Sequence[str]) -> tuple[Any, ...]:
        ahead = f"{clock.offset().total_seconds():.6f}"
        return (len(keys), *keys, order, ahead, limits, *more)


class _Wire:
    """One socket, its answers in order."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.owed = connection, 0

    def close(self) -> None:
        self.connection.disconnect()

    def tell(self, words: Sequence[Any]) -> None:
        self.connection.send_command("EVALSHA", _script().sha, *words)
        self.owed += 1

    def ask(self, words: Sequence[Any]) -> Any:
        try:
            return self._ask("EVALSHA", _script().sha, words)
        except redis.exceptions.NoScriptError:
            return self._ask("EVAL", _script().text, words)

    def _ask(self, command: str, script: str, words: Sequence[Any]) -> Any:
        self.connection.send_command(command, script, *words)
        while self.owed:
            self.owed -= 1
            try:
                self.connection.read_response()
            except redis.ResponseError as error:
                logger.warning("Redis refused what it was told", extra={"error": str(error)})
        return self.connection.read_response()


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


@cache
def _script() -> _Script:
    shared = f"local ARRIVAL, LONGEST_BACK_OFF, LATE = {counting.ARRIVAL}, {counting.LONGEST_BACK_OFF}, {counting.LATE}"
    text = f"{shared}\n{Path(__file__).with_name('pace.lua').read_text()}"
    return _Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@lru_cache(maxsize=4096)
def _packed(limits: tuple[Limits, ...]) -> str:
    return _json([asdict(each) for each in limits])


def _json(value: Any) -> str:
    """Members without a value are left out: to Lua they would be something."""
    return json.dumps(_without_nones(value), separators=(",", ":"))


def _without_nones(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nones(member) for name, member in value.items() if member is not None}
    if isinstance(value, list | tuple):
        return [_without_nones(member) for member in value]
    return value


def _unpaced(error: redis.RedisError) -> Unpaced:
    logger.error("no outside call can be made: Redis, which counts them, does not answer", extra={"error": str(error)})
    return Unpaced(str(error))
