"""The steps at which workers die exist in the product, and an order is carried out once, by one worker, at its step."""

import os
import signal

import pytest

from chaos import worker
from chaos.orders import FREEZE, KILL, LOSE, Orders
from chaos.steps import STEPS, WAKE, Step


@pytest.fixture
def orders(tmp_path):
    return Orders(tmp_path)


@pytest.fixture
def signals(monkeypatch):
    """What this process would have sent to itself."""
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


@pytest.mark.parametrize("step", [*STEPS, WAKE], ids=lambda step: step.name)
def test_the_product_has_the_step_and_it_can_be_wrapped(step, orders, monkeypatch):
    placed = []
    monkeypatch.setattr(worker, "setattr", lambda owner, name, value: placed.append((owner, name)), raising=False)
    worker.install(step, orders)
    ((owner, name),) = placed
    assert callable(getattr(owner, name))


def test_names_of_steps_are_told_apart():
    assert len({step.name for step in STEPS}) == len(STEPS)


def test_a_worker_dies_before_the_step_it_is_told_and_only_once(orders, signals):
    done = []
    step = worker.wrapped(Step("claim", "", ""), lambda: done.append("claim"), orders)
    orders.give(1, KILL, "before claim")
    orders.give(2, KILL, "before post")
    step()
    step()
    assert signals == [(os.getpid(), signal.SIGKILL)]
    assert [(one.number, one.deed, one.moment) for one in orders.news()] == [(1, KILL, "before claim")]
    assert orders.news() == []
    assert orders.waiting() == {2}


def test_a_worker_freezes_after_the_step(orders, signals):
    step = worker.wrapped(Step("claim", "", ""), lambda: "claimed", orders)
    orders.give(1, FREEZE, "after claim")
    assert step() == "claimed"
    assert signals == [(os.getpid(), signal.SIGSTOP)]


def test_a_lost_message_does_nothing(orders):
    done = []
    step = worker.wrapped(WAKE, lambda run: done.append(run), orders)
    orders.give(1, LOSE, "before wake")
    step(7)
    step(8)
    assert done == [8]


def test_a_step_about_nothing_is_no_step(orders, signals):
    step = worker.wrapped(Step("refuse", "", "", rows=2), lambda *args: None, orders)
    orders.give(1, KILL, "before refuse")
    step("actor", "batch", {})
    assert (signals, orders.waiting()) == ([], {1})
    step("actor", "batch", {"PEXT1": "refused"})
    assert (len(signals), orders.waiting()) == (1, set())


def test_an_order_that_was_withdrawn_is_never_carried_out(orders, signals):
    step = worker.wrapped(Step("claim", "", ""), lambda: None, orders)
    orders.give(1, KILL, "before claim")
    orders.withdraw(1)
    step()
    assert signals == []
