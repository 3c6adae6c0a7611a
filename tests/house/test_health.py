"""What load balancers and containers are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory

from pexsync import health


def ask(view: Any) -> tuple[int, dict[str, str]]:
    response = view(RequestFactory().get("/"))
    return response.status_code, json.loads(response.content)


def test_alive_asks_nobody() -> None:
    assert ask(health.alive) == (200, {"status": "ok"})


@pytest.mark.database
@pytest.mark.django_db
def test_ready_when_everything_is_there() -> None:
    assert ask(health.ready) == (200, {"status": "ok", "database": "ok", "migrations": "ok", "broker": "ok"})


@pytest.mark.database
@pytest.mark.django_db
def test_not_ready_while_a_migration_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    with connection.cursor() as cursor:
        cursor.execute("delete from django_migrations where app = 'sessions'")
    status, parts = ask(health.ready)
    assert (status, parts["migrations"]) == (503, "not applied")


@pytest.mark.django_db
def test_a_broker_that_is_away_is_named_without_its_address(settings: Any) -> None:
    settings.REDIS_URL = "redis://:s3cr3t-value@127.0.0.1:1/0"
    status, parts = ask(health.ready)
    assert status == 503
    assert parts["broker"] == "not reachable"
    assert "s3cr3t-value" not in str(parts)


@pytest.mark.django_db
def test_a_message_folder_that_cannot_be_made_is_not_ready(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.REDIS_URL = ""
    settings.DATA_DIR = tmp_path / "file"
    assert ask(health.ready)[1]["broker"] == "not reachable"


def test_the_containers_check_fails_when_nobody_answers() -> None:
    assert health.main("1") == 1
