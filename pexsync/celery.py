"""The Celery application. A message is only a wake-up: what is to be done stands in the database (rule L7).

Without Redis the messages travel through a folder, so that one machine needs no service at all.
"""

import contextlib
import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import structlog
from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pexsync.settings")

logger = logging.getLogger(__name__)

app = Celery("pexsync")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Celery remembers the current application per thread; this one is for the web's threads too.
app.set_default()


class FolderChannel(filesystem.Channel):
    """Kombu's folder of messages, made safe for several processes.

    Kombu writes a message under its final name, so a reader may meet half of one and die of it, and takes messages by
    way of the machine's shared temporary folder. Here both steps are renames inside the folder.
    """

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # named as kombu does
        urgency = self._get_message_priority(payload, reverse=False)  # the lowest is taken first, as with Redis
        name = f"{urgency}_{time.monotonic_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        folder = _made(self.data_folder_out)
        fresh = folder / f"{name}.new"
        fresh.write_text(dumps(payload))
        fresh.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = _made(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] == f"{queue}.msg":
                with contextlib.suppress(FileNotFoundError):  # another reader was quicker
                    return loads(_taken(folder / name))
        raise Empty

    def _size(self, queue: str) -> int:
        _made(self.data_folder_in)
        size: int = super()._size(queue)
        return size


class FolderTransport(filesystem.Transport):
    """What a broker URL of `folder://` means."""

    Channel = FolderChannel


TRANSPORT_ALIASES["folder"] = f"{__name__}:FolderTransport"


def _taken(message: Path) -> str:
    """Claim a message, read it and remove it. Raises `FileNotFoundError` when somebody else has it."""
    mine = message.with_suffix(f".{uuid.uuid4().hex}")
    message.rename(mine)
    text = mine.read_text()
    mine.unlink()
    return text


def _made(folder: str | Path) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


@signals.setup_logging.connect
def _keep_our_logging(**kwargs: object) -> None:
    """Being connected is enough: Celery then leaves the logging Django has configured alone."""


@signals.worker_ready.connect
def _say_ready(**kwargs: object) -> None:
    logger.info("worker ready")


@signals.task_prerun.connect
def _bind_task(task_id: str, task: Any, **kwargs: object) -> None:
    """Every line a task logs carries its name; what the thread's last task bound is forgotten."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)


@signals.task_postrun.connect
def _forget_task(**kwargs: object) -> None:
    structlog.contextvars.clear_contextvars()
