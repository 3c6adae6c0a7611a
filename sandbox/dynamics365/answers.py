"""What the API answers: rows and errors as JSON, money as exact numbers, dates and enum members as it spells them."""

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from sandbox.dynamics365.records import Record
from sandbox.dynamics365.texts import in_language
from sandbox.dynamics365.values import Member, Refused

JSON_MEDIA = "application/json; odata.metadata=minimal"
TEXT_MEDIA = "text/plain; charset=utf-8"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


quoted = encode_basestring  # a text as JSON


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    media: str = JSON_MEDIA
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(text: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, text.encode(), headers={"OData-Version": "4.0", **headers})


def nothing() -> Answer:
    return Answer(204, headers={"OData-Version": "4.0"})


def refusal(refused: Refused, language: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """`language` is the Accept-Language header: the code is the same in each, the message is not."""
    message = f"{in_language(refused.code, refused.message, language)}  CorrelationId:  {uuid.uuid4()}."
    text = f'{{"error":{{"code":{quoted(refused.code)},"message":{quoted(message)}}}}}'
    challenge = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
    return Answer(refused.status, text.encode(), headers={**challenge, **(headers or {})})


# Rows


def row_text(members: Mapping[str, Any], etag: str = "", more: Iterable[str] = ()) -> str:
    """Return one record as JSON. `more` are members already written, such as an expanded list."""
    parts = [f'"@odata.etag":{quoted(etag)}'] if etag else []
    parts += [f'"{name}":{WRITERS[type(value)](value)}' for name, value in members.items()]
    parts += more
    return "{" + ",".join(parts) + "}"


def etag_of(record: Record) -> str:
    """A weak etag as the service makes them: opaque, another one for each version of a record."""
    number = int(record.id.replace("-", ""), 16) % 10**13 * 10**6 + record.version
    inside = f"'19;{number:019};00;'".encode()
    return f'W/"{base64.b64encode(inside).decode()}"'


def _decimal(value: Decimal) -> str:
    """Trailing zeros are dropped, so a whole amount reads as an integer."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def moment_text(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def _member(value: Member) -> str:
    return f'"{value.encoded}"'


WRITERS: dict[type, Callable[[Any], str]] = {
    str: quoted,
    Member: _member,
    bool: lambda value: "true" if value else "false",
    int: str,
    Decimal: _decimal,
    date: lambda value: f'"{value.isoformat()}"',
    datetime: lambda value: f'"{moment_text(value)}"',
}


# What is sent


def read_json(body: bytes) -> Any:
    """Return the JSON of a body, each number a Decimal. Raises Refused."""
    try:
        return json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused("BadRequest", "Cannot read the request body. It must be JSON.") from None


def _no_number(name: str) -> Any:
    raise ValueError(name)


def check_content_type(headers: Mapping[str, str]) -> None:
    """Raises Refused unless the body is said to be JSON."""
    media = headers.get("content-type", "").split(";")[0].strip().lower()
    if media != "application/json":
        raise Refused("BadRequest", "Cannot create an entity from this request. Content-Type must be application/json.")
