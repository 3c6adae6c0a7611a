"""What the log says: one event per line with its facts, as JSON or for a console, and never a secret.

Code logs with the standard library: `logger.info("posted", extra={"pex_id": ...})`. What is bound with `bound()`
stands in every line of that request or slice.
"""

import logging.config
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

logger = logging.getLogger(__name__)

bound = bound_contextvars  # with bound(run=run.pk, connection=connection.pk): ...

HIDDEN = "[hidden]"
SECRET_WORDS = frozenset(
    {
        *("token", "tokens", "secret", "secrets", "credential", "credentials", "password", "passwd"),
        *("jwt", "assertion", "verifier", "authorization"),
        *("cookie", "cookies", "sessionid", "csrf", "csrftoken", "csrfmiddlewaretoken"),
    }
)
SECRET_NAMES = frozenset({"code", "api_key", "apikey", "private_key"})
QUIET = ("/healthz", "/readyz")
MAX_DEPTH = 6

_current: ContextVar[HttpRequest | None] = ContextVar("request", default=None)

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_IN_QUERY = re.compile(r"(?i)([?&](?:[\w.-]*(?:jwt|token|secret|password|assertion)[\w.-]*|code|state)=)[^&\s\"'<>]+")
_AFTER_SCHEME = re.compile(r"(?i)\b(bearer|basic|token)(\s+)[\w.~+/=-]{16,}")
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_PASSWORD_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(@)")


def configure(options: Mapping[str, Any]) -> None:
    """Set up logging. `options`: `json` (lines for machines or for people) and `level`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _request_facts,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_request,
        # Tracebacks as plain text: those with local variables would print what the code holds.
        structlog.processors.format_exc_info,
        mask,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if options.get("json", True)
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "lines": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
                }
            },
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"handlers": ["out"], "level": options.get("level", "INFO")},
            "loggers": {
                # Django's own handlers would print the same again, in their own form.
                "django": {"handlers": [], "level": "INFO", "propagate": True},
                "django.server": {"handlers": [], "level": "INFO", "propagate": True},
                "django.request": {"level": "ERROR"},  # RequestLogMiddleware tells of the others
                # These write a line per call or wake-up, the first with whole addresses.
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                "kombu": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *(processor for processor in shared if not isinstance(processor, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace what may not be read: values under secret names, and secrets inside any text."""
    return {name: _shown(name, value) for name, value in event.items()}


def secret(name: str) -> bool:
    """Whether a value of this name is hidden: `refresh_token`, `clientSecret`, `code`; not `status_code`."""
    return name.lower() in SECRET_NAMES or not SECRET_WORDS.isdisjoint(word.lower() for word in _WORDS.findall(name))


def _shown(name: str, value: Any, depth: int = 0) -> Any:
    # Row ids and counts (`credential=7`) are no secrets, whatever they are called.
    harmless = isinstance(value, (bool, int, float)) or not value
    return HIDDEN if secret(name) and not harmless else masked(value, depth)


def masked(value: Any, depth: int = 0) -> Any:
    """Return the value with every secret inside it hidden, in a form JSON can hold."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, (bool, int, float, type(None))):
        return value
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if depth >= MAX_DEPTH:
        return "[...]"
    if isinstance(value, Mapping):
        return {str(name): _shown(str(name), inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [masked(inner, depth + 1) for inner in value]
    return without_secrets(str(value))


def without_secrets(text: str) -> str:
    """Hide one-time codes and tokens in addresses, headers written out, JWTs and passwords in URLs."""
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    text = _AFTER_SCHEME.sub(rf"\1\2{HIDDEN}", text)
    text = _JWT.sub(HIDDEN, text)
    return _PASSWORD_IN_URL.sub(rf"\1{HIDDEN}\2", text)


def _without_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Django and gunicorn hand whole requests over as extras; their facts are in the line already."""
    for name in ("request", "server_time"):
        event.pop(name, None)
    return event


class RequestLogMiddleware:
    """One line per request, an id for it (also the header `X-Request-ID`), and whose request it was."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        clear_contextvars()
        request_id = _request_id(request.headers.get("X-Request-ID", ""))
        bind_contextvars(request_id=request_id)
        _current.set(request)
        started = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        if request.path not in QUIET or response.status_code >= 500:
            _tell(request, response, time.perf_counter() - started)
        clear_contextvars()
        _current.set(None)
        return response


def _request_facts(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say whose request this is, as far as it is known by now; nothing is asked of the database."""
    request = _current.get()
    if request is not None:
        match = request.resolver_match
        facts = {
            "business": getattr(getattr(request, "business", None), "pk", None),
            "user": getattr(getattr(request, "_cached_user", None), "pk", None),
            **({name: match.kwargs.get(name) for name in ("system", "connection", "run")} if match else {}),
        }
        for name, value in facts.items():
            if value is not None:
                event.setdefault(name, value)
    return event


def _request_id(offered: str) -> str:
    """Return the id a proxy gave the request, if it looks like one, or a new one."""
    return offered if re.fullmatch(r"[\w-]{8,64}", offered) else uuid.uuid4().hex


def _tell(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Say what was asked by method and path alone: a query string may be a one-time secret."""
    level = logging.ERROR if response.status_code >= 500 else logging.INFO
    logger.log(
        level,
        "request",
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "milliseconds": round(seconds * 1000),
        },
    )
