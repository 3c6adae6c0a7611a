"""One person's browser, with what it complained about; and what is true of every page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response, WebError

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
EVERY_RULE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
OF_LOOKS = {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size"]}}  # differ by scheme and width
GRAVE = ("serious", "critical")
WIDER = """() => [document.documentElement, ...document.querySelectorAll("main *")]
  .filter((one) => one.scrollWidth > one.clientWidth && one.checkVisibility()
    && (one.parentNode === document || ["auto", "scroll"].includes(getComputedStyle(one).overflowX)))
  .map((one) => `${one.tagName} ${one.className} by ${one.scrollWidth - one.clientWidth} px`)"""
OVERTAKEN = ("htmx:sendAbort", "htmx:afterRequest")  # a request given up for a newer one; trouble is told as sendError
WIDE, NARROW, NARROWEST = (1280, 860), (390, 844), (320, 640)


class Eyes:
    """What the browser said about our own pages; those of the simulated companies are not ours to judge.

    What a Content Security Policy refuses is an error of the console too.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        self.complaints: list[str] = []
        self.expected: set[int] = set()  # answers above 399 that belong to the story
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource")  # told once more by the answer itself
        harmless = refused or message.text.startswith(OVERTAKEN)
        if message.type in ("error", "warning") and not harmless and self._ours(message.location["url"]):
            self.complaints.append(f"console: {message.text}")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"script: {error.error}")

    def _failed(self, request: Request) -> None:
        if self._ours(request.url) and request.failure != "net::ERR_ABORTED":  # aborted by the next page
            self.complaints.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if self._ours(response.url) and response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"{response.status} {response.request.method} {response.url}")

    def _ours(self, address: str) -> bool:
        return not address or address.startswith(self.address)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Not looking while a tool does to the page what our policy refuses."""
        before = list(self.complaints)
        yield
        self.complaints[:] = before


def grave_faults(page: Page, rules: dict[str, object]) -> list[str]:
    """Return what axe finds that keeps people out."""
    found = page.evaluate("rules => axe.run(document, rules)", rules)
    return [
        f"{each['impact']} {each['id']}: {each['help']} {[node['target'] for node in each['nodes']][:4]}"
        for each in found["violations"]
        if each["impact"] in GRAVE
    ]


def too_wide(page: Page) -> list[str]:
    """Return what must be scrolled sideways to be read, the page itself or a part of it."""
    found: list[str] = page.evaluate(WIDER)
    return found


def resize(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


def look_over(eyes: Eyes, page: Page) -> list[str]:
    """Look at the page that is open, wide and light, narrow and dark; return what is wrong with it."""
    found = []
    with eyes.shut():
        page.evaluate(AXE)
        resize(page, WIDE)
        found += [f"light: {fault}" for fault in grave_faults(page, EVERY_RULE)]
        page.emulate_media(color_scheme="dark")
        resize(page, NARROW)
        found += [f"dark, narrow: {fault}" for fault in grave_faults(page, OF_LOOKS)]
        for size in (WIDE, NARROW, NARROWEST):
            resize(page, size)
            found += [f"too wide at {size[0]}: {part}" for part in too_wide(page)]
        page.emulate_media(color_scheme="light")
        resize(page, WIDE)
    return [f"{page.title()} ({page.url.removeprefix(eyes.address)}): {fault}" for fault in found]
