"""Take the pictures of the README: starts a demo of its own, walks through it, saves what a person would see.

python -m tests.browser.screenshots              # docs/screenshots/*.png, 1280 wide
python -m tests.browser.screenshots --all FOLDER  # every page besides, at 1280 and at 390
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import walk

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "screenshots"
CHROMIUM = [str(ROOT / ".ci" / "chromium")]
SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
LONG = 120_000  # milliseconds
PAGES = (
    *("/", "/apps", "/apps?tab=available", "/apps?tab=services", "/apps/xero", "/help", "/parts", "/nowhere"),
    *("/xero/tags", "/xero/statement", "/xero/settings", "/xero/settings/copy"),
    *("/xero/connect", "/xero/company", "/xero/disconnect", "/xero/sync", "/xero/history", "/xero/transactions"),
    *(f"/xero/setup/{step}" for step in ("sync", "accounts", "review")),
    "/xero/transactions?view=needs_you",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="save every page there, wide and narrow")
    folder: Path | None = parser.parse_args().all
    chromium = subprocess.run(CHROMIUM, capture_output=True, text=True, check=True).stdout.strip()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with demo() as (address, sandbox), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            base_url=address, viewport={"width": 1280, "height": 860}, reduced_motion="reduce", color_scheme="light"
        )
        page.set_default_timeout(LONG)
        expect.set_options(timeout=LONG)
        story(page, sandbox, folder)
        browser.close()


def story(page: Page, sandbox: str, folder: Path | None) -> None:
    """The first hour of Northwind Builders."""
    page.goto("/")
    also(page, folder, "sign-in")
    walk.sign_in(page)
    also(page, folder, "overview-empty")
    page.goto("/apps")
    also(page, folder, "apps-empty")
    page.goto("/")
    walk.install(page)
    also(page, folder, "connect-first")
    walk.connect(page, "Northwind Builders LLC")
    set_up(page, folder)
    also(page, folder, "review")
    walk.save_review(page)
    also(page, folder, "sync-first")
    walk.press_sync(page)
    page.locator("#look").wait_for()
    also(page, folder, "sync-asks")
    page.locator("#look").click()
    page.locator("#previewed details").first.locator("summary").click()
    save(page, "preview", of="#rows-title")
    also(page, folder, "preview")
    slow = {"kind": "slow", "system": "xero-api", "method": "POST|PUT", "seconds": 1, "times": None}
    for method in ("POST", "PUT"):
        page.request.post(f"{sandbox}/control/faults", data={**slow, "method": method})
    page.locator("#confirm").click()
    expect(walk.heading(page)).to_have_text(re.compile(r"Syncing: 1\d\d of"))
    save(page, "sync")
    also(page, folder, "sync-running")
    page.request.delete(f"{sandbox}/control/faults")
    expect(page.get_by_role("button", name="SYNC", exact=True)).to_be_visible()
    page.goto("/")
    page.set_viewport_size({"width": 1280, "height": 960})
    save(page, "overview")
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto("/xero/history")
    page.locator("#history tbody tr").first.get_by_role("link").first.click()
    save(page, "results")
    also(page, folder, "results")
    for address in PAGES if folder else ():
        page.goto(address)
        page.wait_for_load_state("networkidle")
        also(page, folder, re.sub(r"\W+", "-", address).strip("-") or "overview")


def set_up(page: Page, folder: Path | None) -> None:
    """Every kind, the lists of Xero as options in PEX, a place for everything: up to the review."""
    for kind in ("Fees", "Transfers", "Rebates"):
        page.get_by_label(kind, exact=True).check()
    page.get_by_label("Start Date").fill((datetime.now(UTC) - timedelta(days=75)).date().isoformat())
    left(page, folder, "sync")
    for field in ("Expense Account", "Region"):
        page.get_by_label(f"Sync {field}").check()
        walk.choose(page.get_by_label(f"PEX Tag for {field}"), field)
    left(page, folder, "options")
    for label, account in (("Source Cash", "Business Checking"), ("PEX Cash", "PEX Cash"), ("Fees", "Bank Fees")):
        walk.choose(page.get_by_label(re.compile(f"^{label}")), account)
    walk.choose(page.get_by_label(re.compile("^If the expense account tag is missing")), "General Expenses")
    expect(page.locator("#example .lines")).to_contain_text("PEX Cash")
    save(page, "setup")
    left(page, folder, "accounts")
    page.get_by_label("Map Item Description").check()
    walk.choose(page.get_by_label("Mapping of Item Description"), "Purpose")
    for field in ("Region", "Project"):
        page.get_by_label(f"Map {field}").check()
        walk.choose(page.get_by_label(f"Mapping of {field}"), field)
    left(page, folder, "purchases")
    walk.choose_merchants(page)
    left(page, folder, "contacts")
    walk.choose(page.get_by_label("Contact"), "PEX")
    left(page, folder, "fees")
    walk.choose(page.get_by_label("Income Account"), "Other Revenue")
    walk.choose(page.get_by_label("Contact"), "PEX")
    left(page, folder, "rebates", "SAVE")


def left(page: Page, folder: Path | None, step: str, button: str = "NEXT") -> None:
    also(page, folder, f"step-{step}")
    before = walk.heading(page).inner_text()
    page.get_by_role("button", name=button).click()
    expect(walk.heading(page)).not_to_have_text(before)


def save(page: Page, name: str, of: str = "") -> None:
    """What stands in the window, from the part `of` on."""
    if of:
        page.locator(of).evaluate("part => { part.scrollIntoView(); scrollBy(0, -24) }")
    page.mouse.move(0, 0)
    page.screenshot(path=PICTURES / f"{name}.png")


def also(page: Page, folder: Path | None, name: str) -> None:
    if folder is None:
        return
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=folder / f"{name}-{size}.png", full_page=True)
    width, height = SIZES["wide"]
    page.set_viewport_size({"width": width, "height": height})


@contextmanager
def demo() -> Iterator[tuple[str, str]]:
    """A fresh demo on free ports: the address of the product and that of the simulated companies."""
    port, sandbox_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="pexsync-pictures-") as folder:
        env = {**os.environ, "DEMO_DIR": folder, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port)}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        process = subprocess.Popen([sys.executable, "-m", "demo"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            if not any("ready:" in line for line in process.stdout):
                raise SystemExit("The demo did not start.")
            yield f"http://localhost:{port}", f"http://localhost:{sandbox_port}"
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
