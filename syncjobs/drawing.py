"""An entry as bookkeepers draw it: debit and credit lines, with the names the books have for what is meant. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from connectors.records import ACCOUNT, Entry
from syncjobs.coding import Book


@dataclass(frozen=True, slots=True)
class Drawn:
    """One line. One of `debit` and `credit` is None, the other above nought."""

    account: str
    debit: Decimal | None
    credit: Decimal | None
    description: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()  # label of the field, name of the option


def drawn(entry: Entry, book: Book) -> list[Drawn]:
    """All lines of an entry, what is debited first; both sides add up to the same."""
    lines = [*_others(entry, book), _line(entry.amount * -1, _named(book, "pex_account", entry.account))]
    return sorted(lines, key=lambda line: line.debit is None)


def _others(entry: Entry, book: Book) -> Iterator[Drawn]:
    asked = {wanted.key: wanted for wanted in book.fields if entry.kind in wanted.kinds}
    for line in entry.lines:
        if line.amount:
            account = _named(book, asked[ACCOUNT].list_name, line.account)
            dimensions = tuple(
                (asked[key].label, _named(book, asked[key].list_name, option)) for key, option in line.dimensions
            )
            yield _line(line.amount, account, line.description, dimensions)


def _line(amount: Decimal, account: str, description: str = "", dimensions: tuple[tuple[str, str], ...] = ()) -> Drawn:
    debit, credit = (amount, None) if amount > 0 else (None, -amount)
    return Drawn(account, debit, credit, description, dimensions)


def _named(book: Book, list_name: str, option_id: str) -> str:
    option = book.choices[list_name].get(option_id)
    return option.label if option else option_id
