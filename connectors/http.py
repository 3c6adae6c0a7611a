"""The one way out: every outside call passes here, for timeouts, typed errors and bounded sockets.

One `httpx.Client` per run and system with one shared TLS context (a client of its own costs 18 ms of certificate
loading, one client for all tenants collapses). Reads are repeated a little; writes never. Nothing leaves without a turn
at the gate (`connectors/pace.py`).
"""

import json
import math
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import httpx
import stamina

from connectors import pace
from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotNow, NotReached, RetryLater
from connectors.limits import ARRIVAL, NOTHING, Limits, Refusal, Said

JSON = dict[str, Any]

USER_TIMEOUT = int(ARRIVAL * 1000)  # milliseconds the kernel keeps trying to deliver bytes (rule L4)
READ_ATTEMPTS = 3
MOST_RETRY_AFTER = 172_800.0  # seconds; no limit of anybody lasts longer than a day
UNPACED = "A part of PEX Sync itself cannot be reached, so nothing is sent. It goes on by itself."
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Session:
    """A client for one system, named for people in its errors. Subclasses know what the system allows."""

    SAYS: ClassVar[Mapping[str, str]] = {}  # what people read, by why a call has to wait
    BACK_OFF: ClassVar[float] = 5.0  # seconds after a refusal that names no time, ever longer when more follow

    def __init__(self, name: str, *, connections: int = 4, timeout: float = 100.0) -> None:
        self.name, self.timeout = name, timeout
        self.free = threading.BoundedSemaphore(connections)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=55)
        transport = httpx.HTTPTransport(
            verify=_tls(),
            limits=limits,
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT),
            ],
        )
        self.client = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(timeout, connect=10, pool=timeout),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self.client.close()

    # --- what may be done ---------------------------------------------------------------------------------------------

    def read(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """A call that changes nothing there; repeated on no answer and 5xx.

        Answers with any status below 500 but 429. Raises `RetryLater`.
        """
        for attempt in _attempts():
            with attempt:
                response = self._read_once(method, url, **kwargs)
        return response

    def _read_once(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        with self._enter(method, url, kwargs) as passage:
            response = passage.response = self._ask(lambda: self.client.request(method, url, **kwargs))
        passage.check()
        if response.status_code >= 500:
            raise self._trouble(response)
        return response

    @contextmanager
    def stream(self, method: str, url: str, *, patience: float = pace.FEW, **kwargs: Any) -> Iterator[httpx.Response]:
        """A long answer, read in pieces; only its beginning is repeated, as in `read`. Raises `RetryLater`.

        `patience`: seconds to wait in place for the other side's limits, where beginning anew would cost more.
        """
        for attempt in _attempts():
            with attempt:
                passage = self._begin(method, url, patience, **kwargs)
        with passage:
            try:
                yield passage.answer
            except httpx.RequestError as error:
                raise RetryLater(f"{self.name} stopped answering half way. We keep trying.") from error
            finally:
                passage.answer.close()

    def _begin(self, method: str, url: str, patience: float, **kwargs: Any) -> "Passage":
        passage = self._enter(method, url, kwargs, patience=patience)
        try:
            request = self.client.build_request(method, url, **kwargs)
            response = passage.response = self._ask(lambda: self.client.send(request, stream=True))
            if response.status_code != 429 and response.status_code < 500:
                return passage
            response.close()
        except BaseException:
            passage.end()
            raise
        passage.end()
        passage.check()
        raise self._trouble(response)

    def write(self, method: str, url: str, *, deadline: Deadline | None = None, **kwargs: Any) -> httpx.Response:
        """A call that changes something there; sent once.

        Raises `NotReached` when it surely never arrived, `RetryLater` when it was refused for pace (surely not
        done), `NoAnswer` when nobody knows (connection lost after sending, or a 5xx).
        """
        if deadline:
            _check(deadline)
            kwargs["extensions"] = {**kwargs.get("extensions", {}), "trace": _only_before(deadline)}
        with self._enter(method, url, kwargs, writes=True, deadline=deadline) as passage:
            try:
                response = passage.response = self.client.request(method, url, **kwargs)
            except _NOT_REACHED as error:
                raise NotReached(f"{self.name} cannot be reached. We keep trying.", after=60) from error
            except httpx.RequestError as error:
                raise NoAnswer(f"{self.name} did not answer.") from error
        if response.status_code == 429:
            passage.check()
        if response.status_code >= 500:
            raise NoAnswer(f"{self.name} answered {response.status_code}.")
        return response

    def _ask(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            return call()
        except httpx.RequestError as error:
            raise Again(f"{self.name} does not answer. We keep trying; no action is needed.") from error

    def _trouble(self, response: httpx.Response) -> "Again":
        return Again(f"{self.name} has trouble (it answered {response.status_code}). We keep trying.")

    # --- at what pace -------------------------------------------------------------------------------------------------

    def limits(self, method: str, url: str, headers: Mapping[str, str]) -> Sequence[Limits]:
        """Whose limits a call counts against; the first is whom a refusal is about."""
        return (Limits(f"{self.name}:{urlsplit(url).netloc}"),)

    def said(self, response: httpx.Response, limits: Sequence[Limits]) -> Said:
        """What an answer tells about the limits. A 503 may name a time as well as a 429."""
        after = retry_after(response.headers)
        if response.status_code != 429 and (response.status_code != 503 or after is None):
            return NOTHING
        return Said(refused=(Refusal(limits[0].key, "", after, self.BACK_OFF),))

    def later(self, why: str, after: float) -> NotNow:
        return NotNow(self.SAYS.get(why, f"{self.name} asks us to slow down."), after)

    def _enter(
        self,
        method: str,
        url: str,
        call: Mapping[str, Any],
        *,
        writes: bool = False,
        deadline: Deadline | None = None,
        patience: float = pace.FEW,
    ) -> "Passage":
        """A socket of ours and a turn at the gate. Raises `NotReached` for writes, and `RetryLater`."""
        limits = self.limits(method, url, call.get("headers") or {})
        if not self.free.acquire(timeout=max(deadline.left, 0.0) if deadline else self.timeout):
            late = f"{self.name} is slow; our turn did not come. We keep trying."
            raise NotReached(late, after=5) if writes else Again(late)
        try:
            most = deadline.left if deadline else math.inf
            return Passage(self, pace.take(limits, writes=writes, patience=patience, most=most))
        except BaseException as error:
            self.free.release()
            if isinstance(error, pace.NotYet):
                raise self._not_yet(error.wait.why, error.wait.seconds, deadline) from error
            if isinstance(error, pace.Unpaced):
                raise NotNow(UNPACED, after=pace.NO_REDIS) from error
            raise

    def _not_yet(self, why: str, after: float, deadline: Deadline | None) -> NotReached | NotNow:
        error = self.later(why, after)
        return NotReached(error.says, after) if deadline and deadline.left <= after else error


class Passage:
    """One call on its way out and back. In a `with`, or `end` it."""

    def __init__(self, session: Session, turn: pace.Turn) -> None:
        self.session, self.turn = session, turn
        self.response: httpx.Response | None = None
        self.said, self.after = NOTHING, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def answer(self) -> httpx.Response:
        assert self.response is not None
        return self.response

    def end(self) -> None:
        """Tell the gate that the call has ended and what its answer said. Raises nothing: what became of it counts."""
        self.session.free.release()
        if self.response is not None:
            self.said = self.session.said(self.response, self.turn.limits)
        try:
            self.after = self.turn.end(self.said)
        except pace.Unpaced:
            self.after = pace.NO_REDIS

    def check(self) -> None:
        """Raises `NotNow` where the call was refused for its pace; `Soon` where a read may wait for it."""
        if self.said.refused:
            error = self.session.later(self.said.refused[0].why, self.after)
            raise error if error.after > pace.FEW else Soon(error.says, error.after)


class Again(RetryLater):
    """A failed read that may be repeated at once."""


class Soon(Again, NotNow):
    """Refused for pace, but for a moment only: a read is repeated and waits at the gate."""


def _attempts() -> Iterable[stamina.Attempt]:
    return stamina.retry_context(on=Again, attempts=READ_ATTEMPTS, wait_initial=0.2, wait_max=2, timeout=None)


def _check(deadline: Deadline) -> None:
    if deadline.passed:
        raise NotReached("Not sent in time; it goes with the next batch.")


def _only_before(deadline: Deadline) -> Callable[[str, Any], None]:
    """Look at the clocks once more when the first byte is about to leave: waiting for a free socket takes time too."""

    def trace(event: str, facts: Any) -> None:
        if event.endswith("send_request_headers.started"):
            _check(deadline)

    return trace


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from the `Retry-After` header, which may also name a date; None without one, or for nonsense."""
    text = headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - _sent_at(headers)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(0.0, seconds), MOST_RETRY_AFTER) if math.isfinite(seconds) else None


def _sent_at(headers: Mapping[str, str]) -> datetime:
    """When the answer was sent by the other side's clock, or by ours where it does not say."""
    return parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)


def json_of(response: httpx.Response, name: str) -> Any:
    """The JSON of an answer with money as `Decimal`. Raises `RetryLater` for HTML, truncation and other noise."""
    try:
        return json.loads(response.content, parse_float=Decimal)
    except ValueError as error:
        raise RetryLater(f"{name} sent an answer that cannot be read. We keep trying.") from error


_MARK = secrets.token_hex(16)  # stands around amounts while they are text; nobody outside can guess it


def to_json(value: Any) -> bytes:
    """JSON with every `Decimal` as the number it is: json would only write it by way of a float."""
    text = json.dumps(value, default=_marked, ensure_ascii=False, separators=(",", ":"))
    return text.replace(f'"{_MARK}', "").replace(f'{_MARK}"', "").encode()


def _marked(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value:f}{_MARK}"
    raise TypeError(f"{type(value).__name__} has no place in JSON")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
