"""The engine, the tags, the pages and the tables know no system by name: a new one changes nothing there."""

import re
from collections.abc import Iterator
from pathlib import Path

from connectors import registry

ROOT = Path(__file__).parents[2]
ROOMS = ("syncjobs", "tagging", "templates", "pexsync/pages")
MAKERS = ("xero", "dynamics", "business central", "entra", "microsoft", "intacct", "sage", "cmic")


def files() -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".html"))
    yield from ROOT.glob("*/migrations/*.py")
    yield from ROOT.glob("pexsync/*/migrations/*.py")


def names() -> set[str]:
    declared = {word.lower() for system in registry.ALL.values() for word in (system.key, system.label)}
    return declared | set(MAKERS)


NAMED = re.compile(rf"\b({'|'.join(sorted(map(re.escape, names())))})", re.IGNORECASE)


def test_there_is_something_to_look_at():
    assert len(list(files())) > 150
    assert len(registry.ALL) > 1


def test_no_line_names_a_system():
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if NAMED.search(line)
    ]
    assert named == []
