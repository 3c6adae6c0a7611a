"""Look at pages as people see them: renders addresses to PNG files, wide and narrow, light and dark, and runs axe.

python -m tests.pages.look FOLDER http://localhost:8000/ http://localhost:8000/apps [--cookie name=value] [--axe]
"""

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
CHROMIUM = "/usr/bin/chromium"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--cookie", action="append", default=[])
    parser.add_argument("--only", choices=["wide-light", "wide-dark", "narrow-light", "narrow-dark"], action="append")
    parser.add_argument("--axe", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    troubles = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                if given.only and f"{size}-{scheme}" not in given.only:
                    continue
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
                )
                page = context.new_page()
                for url in given.urls:
                    context.add_cookies(
                        [{"name": k, "value": v, "url": url} for k, v in (each.split("=", 1) for each in given.cookie)]
                    )
                    troubles += look(page, url, given.folder / f"{name_of(url)}-{size}-{scheme}.png", given.axe)
                context.close()
        browser.close()
    return 1 if troubles else 0


def look(page: Page, url: str, path: Path, axe: bool) -> int:
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    said = list(told)  # the tools below add styles of their own, which the page's policy rightly refuses
    page.screenshot(path=str(path), full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        said.append(f"{wide} px too wide")
    if axe:
        said += axe_says(page)
    for each in dict.fromkeys(said):
        print(f"{path.name}: {each}")  # noqa: T201
    return len(said)


def axe_says(page: Page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['impact']} {each['id']}: {each['help']} {[node['target'] for node in each['nodes']][:4]}"
        for each in found
    ]


def name_of(url: str) -> str:
    parts = urlsplit(url)
    return re.sub(r"[^\w]+", "-", f"{parts.path}{'-' + parts.query if parts.query else ''}").strip("-") or "overview"


if __name__ == "__main__":
    raise SystemExit(main())
