"""The log tells facts and keeps secrets."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from pexsync import logs


class Lines:
    """What the log wrote, as JSON."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def only(self) -> dict[str, Any]:
        (line,) = self.read()
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    logs.configure({"json": True, "level": "INFO"})
    written = Lines()
    (ours,) = [handler for handler in root.handlers if handler not in before]
    assert isinstance(ours, logging.StreamHandler)
    ours.setStream(written.stream)
    yield written
    root.handlers[:] = before
    root.setLevel(level)


def test_facts_given_as_extra_are_fields_of_the_line(lines: Lines) -> None:
    logging.getLogger("syncjobs.engine").info("posted", extra={"pex_id": 7, "state": "posted", "amount": "12.50"})
    line = lines.only()
    assert (line["event"], line["pex_id"], line["state"], line["amount"]) == ("posted", 7, "posted", "12.50")
    assert line["level"] == "info"
    assert line["logger"] == "syncjobs.engine"
    assert line["timestamp"].endswith("Z")


def test_what_is_bound_stands_in_every_line_of_a_run(lines: Lines) -> None:
    with logs.bound(run=5, connection=3, business=2):
        logging.getLogger("a").info("one")
    logging.getLogger("a").info("two")
    first, second = lines.read()
    assert (first["run"], first["connection"], first["business"]) == (5, 3, 2)
    assert "run" not in second


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "refresh_token",
        "accessToken",
        "client_secret",
        "jwt",
        "Authorization",
        "code",
        "password",
        "X-CSRFToken",
    ],
)
def test_a_value_under_a_secret_name_is_hidden(lines: Lines, name: str) -> None:
    logging.getLogger("a").info("came", extra={name: "s3cr3t-value", "deep": {"list": [{name: "s3cr3t-value"}]}})
    assert "s3cr3t-value" not in lines.text
    assert lines.only()[name] == logs.HIDDEN


def test_ids_counts_and_harmless_names_are_shown(lines: Lines) -> None:
    logging.getLogger("a").info("came", extra={"credential": 7, "status_code": "429", "key": "PEXT1", "country": "US"})
    line = lines.only()
    assert (line["credential"], line["status_code"], line["key"], line["country"]) == (7, "429", "PEXT1", "US")


@pytest.mark.parametrize(
    "text",
    [
        "GET /handle-pex-jwt?jwt=s3cr3t-value HTTP/1.1",
        "went to https://x.test/callback?state=s3cr3t-value&code=s3cr3t-value#top",
        "sent Authorization: Bearer s3cr3t-value-s3cr3t-value",
        "Authorization: token s3cr3t-value-s3cr3t-value",
        "got eyJhbGciOiJIUzI1NiJ9.s3cr3t-value.s3cr3t-value back",
        "redis://user:s3cr3t-value@cache.test:6379/0 is away",
    ],
)
def test_a_secret_inside_a_sentence_is_hidden(lines: Lines, text: str) -> None:
    logging.getLogger("a").warning("%s", text)
    assert "s3cr3t-value" not in lines.text


def test_a_traceback_shows_lines_but_no_values(lines: Lines) -> None:
    def fail(token: str) -> None:
        raise ValueError("refused https://x.test/?token=" + token)

    try:
        fail("-".join(["s3cr3t", "value"]))
    except ValueError:
        logging.getLogger("a").exception("it broke")
    assert "s3cr3t-value" not in lines.text
    assert "in fail" in lines.only()["exception"]


def test_lines_for_people_hide_the_same(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"json": False, "level": "INFO"})
    logging.getLogger("a").info("came", extra={"token": "s3cr3t-value", "run": 5})
    printed = capsys.readouterr().err
    assert "s3cr3t-value" not in printed
    assert "run" in printed


def middleware(response: HttpResponse) -> logs.RequestLogMiddleware:
    return logs.RequestLogMiddleware(lambda request: response)


def test_a_request_is_told_by_path_alone_and_gets_an_id(lines: Lines) -> None:
    response = middleware(HttpResponse())(RequestFactory().get("/handle-pex-jwt", {"jwt": "s3cr3t-value"}))
    line = lines.only()
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "GET", "/handle-pex-jwt", 200)
    assert line["request_id"] == response["X-Request-ID"]
    assert "s3cr3t-value" not in lines.text


def test_the_id_of_a_proxy_is_kept_and_nonsense_is_not(lines: Lines) -> None:
    kept = middleware(HttpResponse())(RequestFactory().get("/", headers={"X-Request-ID": "abc-123-def"}))
    made = middleware(HttpResponse())(RequestFactory().get("/", headers={"X-Request-ID": "a b\tc"}))
    assert kept["X-Request-ID"] == "abc-123-def"
    assert len(made["X-Request-ID"]) == 32


class Row:
    pk = 4


class Match:
    kwargs: ClassVar = {"run": 9, "system": "xero", "step": "account"}


def test_every_line_of_a_request_says_whose_it_is_once_that_is_known(lines: Lines) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        logging.getLogger("a").info("before the tenant is known")
        request.business = request._cached_user = Row()  # type: ignore[attr-defined]
        request.resolver_match = Match()  # type: ignore[assignment]
        logging.getLogger("a").info("in the view")
        return HttpResponse()

    logs.RequestLogMiddleware(answer)(RequestFactory().get("/runs/9"))
    logging.getLogger("a").info("after the request")
    before, inside, whole, after = lines.read()
    assert (inside["business"], inside["user"], inside["run"], inside["system"]) == (4, 4, 9, "xero")
    assert (whole["event"], whole["business"], whole["request_id"]) == ("request", 4, inside["request_id"])
    assert "business" not in before
    assert not {"business", "request_id"} & set(after)


def test_healthy_probes_are_not_worth_a_line_but_sick_ones_are(lines: Lines) -> None:
    middleware(HttpResponse())(RequestFactory().get("/readyz"))
    assert lines.read() == []
    middleware(HttpResponse(status=503))(RequestFactory().get("/readyz"))
    assert lines.only()["level"] == "error"
