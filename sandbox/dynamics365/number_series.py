"""Document numbers: what follows a number, and the series that give them."""

import re

from sandbox.dynamics365.company import Company
from sandbox.dynamics365.values import Refused

LONGEST = 20


def increment(number: str) -> str:
    """Return the number with its last group of digits raised by one; without digits nothing is left.

    `PEX1001` gives `PEX1002`, `G00999` gives `G01000`, `A9` gives `A10`.
    """
    found = re.search(r"(\d+)(\D*)$", number)
    if found is None:
        return ""
    digits, rest = found[1], found[2]
    following = f"{number[: found.start()]}{int(digits) + 1:0{len(digits)}}{rest}"
    if len(following) > LONGEST:
        raise Refused("Application_DialogException", f"The number {number} cannot be extended to more characters.")
    return following


def peek(company: Company, series: str) -> str:
    """Return the next number of a series without using it up: `GJNL-POST` begins with `G00001`."""
    last = company.series.get(series)
    return increment(last) if last else f"{series[:1]}00001"


def take(company: Company, series: str) -> str:
    """Return the next number and use it up."""
    before, number = company.series, peek(company, series)
    company.did(lambda: setattr(company, "series", before))
    company.series = {**before, series: number}
    return number
