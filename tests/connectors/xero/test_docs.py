from pathlib import Path

import pytest

from connectors.xero import mapping
from connectors.xero.connector import Xero

PAGE = (Path(__file__).parents[3] / "docs" / "connectors" / "xero.md").read_text()


@pytest.mark.parametrize("known", mapping.KNOWN, ids=lambda known: known.fragment)
def test_every_message_we_know_is_explained(known):
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {known.fragment} |")]

    assert f"`{known.cause}`" in line
    assert ("Setup" in line) is bool(known.field)


@pytest.mark.parametrize("kind", Xero.kinds)
def test_every_kind_says_what_it_becomes(kind):
    assert f"| {kind.label}" in PAGE
