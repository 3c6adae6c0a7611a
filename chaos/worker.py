"""A Celery worker that dies, freezes or forgets at the step it is told: `python -m chaos.worker celery's arguments`.

The steps are wrapped here, from outside: the product has no code for it.
"""

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.orders import FREEZE, KILL, LOSE, Orders
from chaos.steps import STEPS, WAKE, Step


def main() -> None:
    import django

    django.setup()
    orders = Orders(Path(os.environ["CHAOS_ORDERS"]))
    for step in (*STEPS, WAKE):
        install(step, orders)
    from pexsync.celery import app

    app.worker_main(sys.argv[1:])


def install(step: Step, orders: Orders) -> None:
    """Put the wrapper in the function's place. AttributeError when the product has no such function any more."""
    owner: Any = importlib.import_module(step.module)
    *path, name = step.function.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, name, wrapped(step, getattr(owner, name), orders))


def wrapped(step: Step, function: Callable[..., Any], orders: Orders) -> Callable[..., Any]:
    @functools.wraps(function)
    def at_step(*args: Any, **kwargs: Any) -> Any:
        if step.rows is not None and not _about_something(args, step.rows):
            return function(*args, **kwargs)
        if _do(orders.take(f"before {step.name}")):
            return None
        answer = function(*args, **kwargs)
        _do(orders.take(f"after {step.name}"))
        return answer

    return at_step


def _about_something(args: tuple[Any, ...], rows: int) -> bool:
    return len(args) <= rows or bool(args[rows])


def _do(deed: str) -> bool:
    """True when the call itself is to be forgotten."""
    if deed == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == FREEZE:
        os.kill(os.getpid(), signal.SIGSTOP)
    return deed == LOSE


if __name__ == "__main__":
    main()
