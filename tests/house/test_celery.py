"""The folder that carries wake-ups where there is no Redis, and the application every process shares."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
import structlog
from celery import current_app, shared_task
from kombu import Connection

from pexsync import celery as house


@shared_task(name="tests.wake")
def wake() -> dict[str, Any]:
    return structlog.contextvars.get_contextvars()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Connection]:
    folder = str(tmp_path / "messages")
    options = {
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": str(tmp_path / "control"),
        "polling_interval": 0.01,
    }
    with Connection("folder://localhost", transport_options=options) as connection:
        yield connection


def test_threads_of_the_web_send_to_our_broker() -> None:
    found: list[tuple[str | None, str | None]] = []
    thread = threading.Thread(target=lambda: found.append((current_app.main, wake.app.main)))
    thread.start()
    thread.join()
    assert found == [("pexsync", "pexsync")]


# Kombu remembers per process which queues it has made: every test has its own.
def test_a_message_is_taken_once_and_leaves_nothing_behind(post: Connection, tmp_path: Path) -> None:
    queue = post.SimpleQueue("taken")
    queue.put({"run": 1})
    queue.put({"run": 2})
    assert queue.qsize() == 2
    assert [queue.get(timeout=1).payload for _ in range(2)] == [{"run": 1}, {"run": 2}]
    with pytest.raises(Empty):
        queue.get(block=False)
    assert list((tmp_path / "messages").iterdir()) == []


def test_half_a_message_is_not_seen(post: Connection, tmp_path: Path) -> None:
    queue = post.SimpleQueue("half")
    queue.put({"run": 1})
    (whole,) = (tmp_path / "messages").iterdir()
    whole.rename(f"{whole}.new")
    with pytest.raises(Empty):
        queue.get(block=False)


def test_messages_of_another_queue_stay(post: Connection) -> None:
    other, mine = post.SimpleQueue("other"), post.SimpleQueue("mine")
    other.put({"run": 1})
    with pytest.raises(Empty):
        mine.get(block=False)
    assert other.get(timeout=1).payload == {"run": 1}


def test_a_task_binds_its_name_and_forgets_the_last_one() -> None:
    structlog.contextvars.bind_contextvars(run=99)
    found = wake.apply().get()
    assert found["task"] == "tests.wake"
    assert "run" not in found
    assert structlog.contextvars.get_contextvars() == {}


def test_tasks_of_the_engine_are_found_by_name() -> None:
    house.app.loader.import_default_modules()
    assert {"syncjobs.advance", "syncjobs.sweep"} <= set(house.app.tasks)
