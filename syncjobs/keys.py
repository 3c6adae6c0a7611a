"""The key every record in the books carries: made from PEX facts alone, so it survives any loss on our side. Pure.

`PEX` + one letter for the id space + the id, + `-2`, `-3` ... from the second generation on; at most 20 characters.
An id of up to 13 digits stands in decimal, a longer one in base 36 under a letter of its own.
"""

import re
from dataclasses import dataclass

from connectors.records import Source

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DECIMAL_LETTERS = {Source.TRANSACTION: "T", Source.STATEMENT_PAYMENT: "S"}
BASE36_LETTERS = {Source.TRANSACTION: "X", Source.STATEMENT_PAYMENT: "Y"}
MOST_IN_DECIMAL = 10**13 - 1
PATTERN = re.compile(r"\bPEX([TS]\d{1,13}|[XY][0-9A-Z]{9,13})(?:-([1-9]\d?))?(?![0-9A-Z-])")


@dataclass(frozen=True, slots=True)
class Name:
    source: Source
    pex_id: int
    generation: int = 1


def key(source: Source, pex_id: int, generation: int = 1) -> str:
    if pex_id <= MOST_IN_DECIMAL:
        stem = f"PEX{DECIMAL_LETTERS[source]}{pex_id}"
    else:
        stem = f"PEX{BASE36_LETTERS[source]}{_base36(pex_id)}"
    return stem if generation == 1 else f"{stem}-{generation}"


def find_key(text: str) -> Name | None:
    """Return the first key that stands in a text of people, else None."""
    match = PATTERN.search(text.upper())
    if not match:
        return None
    letter, digits, generation = match[1][0], match[1][1:], int(match[2] or 1)
    for source in Source:
        if letter == DECIMAL_LETTERS[source]:
            return Name(source, int(digits), generation)
        if letter == BASE36_LETTERS[source]:
            return Name(source, int(digits, 36), generation)
    return None  # pragma: no cover  # the pattern knows only these letters


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text
