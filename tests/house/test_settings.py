"""Settings, `.env.example` and README name the same variables, and the start says what is wrong with them."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage

from pexsync import checks

ROOT = Path(__file__).parents[2]
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "DATABASE_PASSWORD", "PORT", "WORKER_THREADS"}


def read_by_settings() -> set[str]:
    source = (ROOT / "pexsync" / "settings.py").read_text()
    return set(re.findall(r"""\b(?:env(?:\.\w+)?|required)\(\s*["']([A-Z][A-Z0-9_]*)["']""", source))


def named_in_example() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_example_names_every_setting_and_no_other() -> None:
    assert named_in_example() - COMPOSE_ONLY == read_by_settings()


def test_the_readme_lists_every_setting_and_no_other() -> None:
    listed = set(re.findall(r"^\| `([A-Z][A-Z0-9_]*)`", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert listed - COMPOSE_ONLY == read_by_settings()


def test_compose_asks_only_for_variables_the_example_names() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked == COMPOSE_ONLY


def test_every_line_of_the_example_stands_below_an_explanation() -> None:
    explained = False
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line.startswith("# "):
            explained = True
        elif not line:
            explained = False
        elif not explained:
            pytest.fail(f"no explanation above {line}")


def said(found: Any) -> list[str]:
    return [message.id for message in found if isinstance(message, CheckMessage) and message.id]


@pytest.mark.parametrize(
    ("app_id", "app_secret", "client_id", "expected"),
    [
        ("app", "secret", "client", []),
        ("app", "secret", "", ["pexsync.W002"]),
        ("", "", "client", ["pexsync.W001"]),
        ("", "", "", ["pexsync.E002"]),
        ("app", "", "client", ["pexsync.E001"]),
        ("", "secret", "", ["pexsync.E001", "pexsync.E002"]),
    ],
)
def test_a_missing_way_in_is_named(settings: Any, app_id: str, app_secret: str, client_id: str, expected: Any) -> None:
    settings.PEX_APP_ID, settings.PEX_APP_SECRET, settings.PEX_OAUTH_CLIENT_ID = app_id, app_secret, client_id
    assert said(checks.ways_in(None)) == expected


@pytest.mark.parametrize("key", ["", "short", base64.urlsafe_b64encode(b"x" * 31).decode(), "?" * 43 + "="])
def test_a_key_that_opens_nothing_stops_the_start_without_being_printed(settings: Any, key: str) -> None:
    settings.CREDENTIAL_KEYS = [base64.urlsafe_b64encode(b"x" * 32).decode(), key]
    (found,) = checks.credential_keys(None)
    assert "Key 2" in found.msg
    assert not key or key not in str(found)


@pytest.mark.parametrize(
    "url", ["https://sync.example.com", "http://localhost:8000", "http://127.0.0.1", "http://[::1]:8"]
)
def test_a_public_address_is_https_or_this_machine(settings: Any, url: str) -> None:
    settings.PUBLIC_URL = url
    assert said(checks.public_url(None)) == []


@pytest.mark.parametrize(
    "url", ["http://sync.example.com", "http://localhost.example.com", "sync.example.com", "https://a/b"]
)
def test_another_public_address_is_refused(settings: Any, url: str) -> None:
    settings.PUBLIC_URL = url
    assert said(checks.public_url(None))[0] in ("pexsync.E004", "pexsync.E005")


def test_a_xero_secret_without_its_id_is_a_slip(settings: Any) -> None:
    settings.XERO_CLIENT_ID, settings.XERO_CLIENT_SECRET = "", "secret"
    assert said(checks.xero(None)) == ["pexsync.E006"]


@pytest.mark.parametrize(("client", "secret"), [("", "secret"), ("client", "")])
def test_an_entra_id_and_its_secret_go_together(settings: Any, client: str, secret: str) -> None:
    settings.ENTRA_CLIENT_ID, settings.ENTRA_CLIENT_SECRET = client, secret
    assert said(checks.entra(None)) == ["pexsync.E008"]
