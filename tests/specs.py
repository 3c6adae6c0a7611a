"""Judging requests and answers by an official OpenAPI 3.0 description.

`load` reads a description, `check_request` and `check_response` raise AssertionError with every objection.
What the descriptions leave to habit is judged as the vendor's servers do it: paths without case, ids by
format, dates as plain strings (Microsoft's form is no standard format), unknown members refused in
requests, where a misspelt one would vanish, and tolerated in answers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
from jsonschema import FormatChecker
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator

JSON_MEDIA = "application/json"
FORMATS = FormatChecker(formats=("uuid",))
BASES = ("/api.xro/2.0",)
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    document: Schema

    def resolve(self, node: Schema) -> Schema:
        """Follow `$ref` until something stands there itself."""
        while "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node


def load(specs_dir: Path, name: str) -> Spec:
    return _load(specs_dir / name)


@cache
def _load(path: Path) -> Spec:
    with path.open(encoding="utf-8") as file:
        return Spec(yaml.load(file, Loader=yaml.CSafeLoader))  # the safe loader, in C


def check_request(spec: Spec, method: str, path: str, body: Any = None) -> None:
    """Judge a request. `path` may carry the query; `body` is JSON (text, bytes or parsed) or raw bytes."""
    operation, item = _operation(spec, method, path)
    problems = list(_query_problems(spec, operation, item, path.partition("?")[2]))
    content = spec.resolve(operation.get("requestBody", {})).get("content", {})
    if JSON_MEDIA in content:
        schema, value = content[JSON_MEDIA]["schema"], _parsed(body)
        problems += _problems(spec, OAS30WriteValidator, schema, value)
        problems += _strangers(spec, schema, value, "body")
    elif content and not isinstance(body, bytes):
        problems.append(f"the body must be bytes of {', '.join(content)}")
    _verdict(f"{method} {path}", problems)


def check_response(spec: Spec, method: str, path: str, status: int, body: Any = None) -> None:
    """Judge an answer. A refusal whose status the description does not mention is not judged."""
    operation, _ = _operation(spec, method, path)
    declared = operation["responses"].get(str(status))
    if declared is None:
        assert status >= 400, f"{method} {path} does not answer {status}"
        return
    content = spec.resolve(declared).get("content", {})
    problems: list[str] = []
    if JSON_MEDIA in content:
        problems = _problems(spec, OAS30ReadValidator, content[JSON_MEDIA]["schema"], _parsed(body))
    _verdict(f"{method} {path} -> {status}", problems)


def _verdict(what: str, problems: list[str]) -> None:
    assert not problems, what + "\n  " + "\n  ".join(problems)


def _parsed(body: Any) -> Any:
    """Return JSON as the descriptions count: a whole decimal is a number, never a text."""
    if isinstance(body, bytes | str):
        return json.loads(body)
    return json.loads(json.dumps(body, default=_plain_number))


def _plain_number(value: Any) -> float:
    if not isinstance(value, Decimal):
        raise TypeError(type(value).__name__)
    return float(value)


def _problems(spec: Spec, judge: Any, schema: Schema, value: Any) -> list[str]:
    whole = {**schema, "components": spec.document["components"]}
    errors = judge(whole, format_checker=FORMATS).iter_errors(value)
    return [f"{'.'.join(str(part) for part in error.absolute_path) or 'body'}: {error.message}" for error in errors]


def _strangers(spec: Spec, schema: Schema, value: Any, where: str) -> Iterator[str]:
    """Yield the members the description does not know."""
    schema = spec.resolve(schema)
    if isinstance(value, list) and "items" in schema:
        for number, one in enumerate(value):
            yield from _strangers(spec, schema["items"], one, f"{where}.{number}")
    known = schema.get("properties")
    if isinstance(value, dict) and known:
        for name, one in value.items():
            if name in known:
                yield from _strangers(spec, known[name], one, f"{where}.{name}")
            else:
                yield f"{where}.{name}: the description does not know this member"


def _operation(spec: Spec, method: str, path: str) -> tuple[Schema, Schema]:
    """Return the operation and the path item; a literal path wins over one with braces."""
    asked = path.partition("?")[0]
    for base in BASES:
        asked = asked.partition(base)[2] or asked
    found = [known for known in spec.document["paths"] if _matches(known, asked)]
    assert found, f"no such path: {asked}"
    for known in sorted(found, key=lambda one: one.count("{")):
        item = spec.document["paths"][known]
        if method.lower() in item:
            return item[method.lower()], item
    raise AssertionError(f"{asked} has no {method}")


def _matches(known: str, asked: str) -> bool:
    pattern = re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(known))
    return re.fullmatch(pattern, asked, re.IGNORECASE) is not None


def _query_problems(spec: Spec, operation: Schema, item: Schema, query: str) -> Iterator[str]:
    parameters = [spec.resolve(one) for one in (*item.get("parameters", []), *operation.get("parameters", []))]
    declared = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in declared:
            yield f"?{name}: the description does not know this parameter"
        elif not _fits(declared[name].get("type"), value):
            yield f"?{name}={value}: not of type {declared[name]['type']}"


def _fits(kind: str | None, value: str) -> bool:
    patterns = {"integer": r"-?\d+", "boolean": "true|false"}
    return re.fullmatch(patterns.get(kind or "", ".*"), value, re.IGNORECASE) is not None
