"""The one way out: every outside call passes here, for timeouts, typed errors and bounded sockets.

One `httpx.Client` per run and system with one shared TLS context (a client of its own costs 18 ms of certificate
loading, one client for all tenants collapses). Reads are repeated a little; writes never.
"""

import json
import secrets
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import stamina

from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotNow, NotReached, RetryLater

JSON = dict[str, Any]

USER_TIMEOUT = 30_000  # milliseconds the kernel keeps trying to deliver bytes (rule L4)
READ_ATTEMPTS = 3
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Session:
    """A client for one system, named for people in its errors."""

    def __init__(self, name: str, *, connections: int = 4, timeout: float = 100.0) -> None:
        self.name = name
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

    def read(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """A call that changes nothing there; repeated on no answer and 5xx.

        Answers with any status below 500 but 429. Raises `RetryLater`.
        """
        for attempt in _attempts():
            with attempt:
                response = self._read_once(method, url, **kwargs)
        return response

    def _read_once(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        try:
            response = self.client.request(method, url, **kwargs)
        except httpx.RequestError as error:
            raise Again(f"{self.name} does not answer. We keep trying; no action is needed.") from error
        self._check_limits(response)
        if response.status_code >= 500:
            raise Again(f"{self.name} has trouble (it answered {response.status_code}). We keep trying.")
        return response

    @contextmanager
    def stream(self, method: str, url: str, **kwargs: Any) -> Iterator[httpx.Response]:
        """A long answer, read in pieces; only its beginning is repeated, as in `read`. Raises `RetryLater`."""
        for attempt in _attempts():
            with attempt:
                response = self._begin(method, url, **kwargs)
        try:
            yield response
        except httpx.RequestError as error:
            raise RetryLater(f"{self.name} stopped answering half way. We keep trying.") from error
        finally:
            response.close()

    def _begin(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        try:
            response = self.client.send(self.client.build_request(method, url, **kwargs), stream=True)
        except httpx.RequestError as error:
            raise Again(f"{self.name} does not answer. We keep trying; no action is needed.") from error
        if response.status_code == 429 or response.status_code >= 500:
            response.close()
            self._check_limits(response)
            raise Again(f"{self.name} has trouble (it answered {response.status_code}). We keep trying.")
        return response

    def write(self, method: str, url: str, *, deadline: Deadline | None = None, **kwargs: Any) -> httpx.Response:
        """A call that changes something there; sent once.

        Raises `NotReached` when it surely never arrived, `RetryLater` when it was refused for pace (surely not
        done), `NoAnswer` when nobody knows (connection lost after sending, or a 5xx).
        """
        if deadline:
            _check(deadline)
            kwargs["extensions"] = {**kwargs.get("extensions", {}), "trace": _only_before(deadline)}
        try:
            response = self.client.request(method, url, **kwargs)
        except _NOT_REACHED as error:
            raise NotReached(f"{self.name} cannot be reached. We keep trying.", after=60) from error
        except httpx.RequestError as error:
            raise NoAnswer(f"{self.name} did not answer.") from error
        self._check_limits(response)
        if response.status_code >= 500:
            raise NoAnswer(f"{self.name} answered {response.status_code}.")
        return response

    def _check_limits(self, response: httpx.Response) -> None:
        if response.status_code == 429:
            raise self.limited(response)

    def limited(self, response: httpx.Response) -> RetryLater:
        """What a 429 means here. An `Again` lets a read be repeated at once; a write never is."""
        return NotNow(f"{self.name} asks us to slow down.", after=retry_after(response.headers))


class Again(RetryLater):
    """A failed read that may be repeated at once."""


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


def retry_after(headers: Mapping[str, str], default: float = 5.0) -> float:
    """Seconds from the `Retry-After` header; a date or nonsense counts as the default."""
    try:
        return max(0.0, float(headers.get("Retry-After", default)))
    except ValueError:
        return default


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
