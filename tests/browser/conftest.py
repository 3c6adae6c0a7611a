"""A Chromium before the whole product: the pages on a port of their own, a Celery worker, the simulated companies."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker
from django.conf import settings as the_settings
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from connectors import registry
from connectors.connector import Deadline
from connectors.records import Entry, Outcome
from pexsync.accounts.models import Business, User
from pexsync.celery import app
from syncjobs import tasks
from tests import make
from tests.browser.companies import Company, company_of
from tests.browser.eyes import Eyes
from tests.pages.conftest import a_row, a_run, change, rival, sign_in  # noqa: F401  # the same rows as the pages' tests

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session", autouse=True)
def _static() -> None:
    Path(the_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns where it is missing


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    named = os.environ.get("CHROMIUM")
    path = shutil.which(named) if named else next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: name one with CHROMIUM=/path/to/chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps a loop in this thread; Django would take the tests' own queries for a mistake.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Worker:
    """A Celery worker as the demo runs it, but in this process, so that a test may hold it still."""

    def __init__(self) -> None:
        self.waiting, self.changed = 0, threading.Condition()

    def asked(self, **kwargs: object) -> None:
        with self.changed:
            self.waiting += 1

    def done(self, **kwargs: object) -> None:
        with self.changed:
            self.waiting -= 1
            self.changed.notify_all()

    def rest(self) -> None:
        """Wait until everything that was asked for is done."""
        with self.changed:
            assert self.changed.wait_for(lambda: not self.waiting, 60), f"{self.waiting} tasks do not end"


@pytest.fixture(scope="package")
def hired() -> Iterator[Worker]:
    app.conf.broker_transport_options = {"polling_interval": 0.02}
    app.control.purge()  # tests elsewhere send wake-ups that nobody takes
    worker = Worker()
    signals.before_task_publish.connect(worker.asked)
    signals.task_postrun.connect(worker.done)
    with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False):
        yield worker
    signals.before_task_publish.disconnect(worker.asked)
    signals.task_postrun.disconnect(worker.done)
    app.conf.broker_transport_options = {}


@pytest.fixture
def product(live_server, settings, sandbox, tmp_path, hired) -> Iterator[str]:
    """Where people open PEX Sync: by the address PEX and Xero know it by, with nobody in it yet."""
    make.point_at(settings, sandbox)
    sandbox.product_url = settings.PUBLIC_URL = live_server.url
    policy = deepcopy(settings.CONTENT_SECURITY_POLICY)
    policy["DIRECTIVES"]["form-action"] = ["'self'", sandbox.url]
    settings.CONTENT_SECURITY_POLICY = policy
    settings.SHOW_PARTS = True
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    cache.clear()
    yield live_server.url
    hired.rest()  # pages send a worker to look into PEX
    sandbox.clock.path = None


@pytest.fixture
def worker(hired, product) -> Iterator[Worker]:
    yield hired
    hired.rest()


@pytest.fixture
def sweep() -> Callable[[], None]:
    """One round of the sweeper, which the schedule asks for every few seconds."""
    return lambda: tasks.sweep.delay() and None


@pytest.fixture
def acme(product, sandbox) -> make.World:
    """Acme, connected and set up; nothing was synced yet."""
    return make.world(sandbox)


@pytest.fixture
def untouched(product, sandbox) -> Company:
    """Acme before it has heard of PEX Sync: two purchases to book, one that lacks its tag."""
    found = company_of(sandbox, "Acme Builders", "Prepaid", 4410)
    found.buys("84.20", "Target #0973226", receipts=["pdf"])
    found.buys("31.00", "Pilot Hill Fuel", account="449")
    found.buys("9.99", "Corner Cup", account="")
    return found


@pytest.fixture
def new_eyes(chromium, product) -> Iterator[Callable[..., Eyes]]:
    """Open a browser of its own for a person; when the test ends none of them may have complained."""
    opened: list[Eyes] = []

    def new(**options: Any) -> Eyes:
        asked: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce"}
        context: BrowserContext = chromium.new_context(base_url=product, **(asked | options))
        opened.append(Eyes(context, product))
        return opened[-1]

    yield new
    for eyes in opened:
        eyes.context.close()
    assert not [said for eyes in opened for said in eyes.complaints]


@pytest.fixture
def eyes(new_eyes) -> Eyes:
    found: Eyes = new_eyes()
    return found


@pytest.fixture
def page(eyes) -> Page:
    """A browser in which nobody has signed in."""
    found: Page = eyes.context.new_page()
    return found


def let_in(context: BrowserContext, address: str, user: User, business: Business) -> None:
    """Put a signed-in session into the browser, as if the person had come by way of PEX."""
    client = sign_in(Client(), user, business)
    cookie = client.cookies[the_settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": address}])


@pytest.fixture
def desk(page, acme, product) -> Page:
    """A browser in which Acme's admin has signed in."""
    let_in(page.context, product, acme.user, acme.business)
    return page


class Gate:
    """Stands before Xero: lets so many batches through, then holds each until it is opened."""

    def __init__(self) -> None:
        self.left, self.open = 0, threading.Event()

    def let(self, batches: int) -> None:
        self.left = batches

    def passed(self) -> None:
        if self.left:
            self.left -= 1
        else:
            assert self.open.wait(60), "nobody opened the gate"


@pytest.fixture
def gate(monkeypatch, worker) -> Iterator[Gate]:
    """The worker stands still before it posts; each transaction is a batch of its own."""
    found, xero = Gate(), registry.get("xero")
    assert xero
    post = xero.post

    def held(self: Any, entries: list[Entry], deadline: Deadline) -> Mapping[str, Outcome]:
        found.passed()
        return post(self, entries, deadline)

    monkeypatch.setattr(xero, "post", held)
    monkeypatch.setattr(xero, "batch_size", 1)
    yield found
    found.open.set()
    worker.rest()
