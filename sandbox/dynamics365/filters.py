"""The language of `$filter`: read once into a Python predicate over the members of a record.

Only what the service understands is understood: `or` between conditions on one member, no `in`, no `not`, and a lambda
is ignored.
https://learn.microsoft.com/dynamics365/business-central/dev-itpro/webservices/use-filter-expressions-in-odata-uris
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from sandbox.dynamics365.values import Refused

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
Value = Callable[[Row], Any]

TEXT, CODE, ENUM, GUID, NUMBER, DATE, MOMENT, FLAG = "text", "code", "enum", "guid", "number", "date", "moment", "flag"
# Names mean the same in all entity sets. What is not named here and does not end in `Id` is text.
KINDS = {
    **dict.fromkeys(
        (
            "accountNumber",
            "additionalReportingCurrency",
            "balancingAccountNumber",
            "code",
            "consolidationCode",
            "currencyCode",
            "dimensionCode",
            "dimensionValueCode",
            "documentNumber",
            "externalDocumentNumber",
            "irs1099Code",
            "localCurrencyCode",
            "number",
            "taxCode",
            "valueCode",
            "valueConsolidationCode",
        ),
        CODE,
    ),
    **dict.fromkeys(
        (
            "accountType",
            "balanceAccountType",
            "blocked",
            "category",
            "documentType",
            "parentType",
            "postingValidation",
            "taxType",
        ),
        ENUM,
    ),
    **dict.fromkeys(
        (
            "additionalCurrencyCreditAmount",
            "additionalCurrencyDebitAmount",
            "amount",
            "amountRoundingPrecision",
            "balance",
            "byteSize",
            "creditAmount",
            "debitAmount",
            "entryNumber",
            "lineNumber",
            "netChange",
            "timestamp",
        ),
        NUMBER,
    ),
    **dict.fromkeys(
        ("allowPostingFrom", "allowPostingTo", "currentFiscalYearStartDate", "postingDate", "startingDate"), DATE
    ),
    **dict.fromkeys(("lastModifiedDateTime", "systemCreatedAt", "systemModifiedAt"), MOMENT),
    **dict.fromkeys(
        ("closed", "dateLocked", "directPosting", "intercompanyEnabled", "newFiscalYear", "taxLiable"), FLAG
    ),
    "businessProfileId": TEXT,
}
ACCEPTED = {TEXT: TEXT, CODE: TEXT, ENUM: TEXT, GUID: GUID, NUMBER: NUMBER, DATE: DATE, MOMENT: MOMENT, FLAG: FLAG}
"""Kind of a member to the kind of literal it is compared with."""

TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})
    | (?P<moment>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<sign>[(),:])
    )""",
    re.VERBOSE,
)
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {"eq": eq, "ne": ne, "gt": gt, "ge": ge, "lt": lt, "le": le}
TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
TEXT_CHANGES: dict[str, Callable[[str], str]] = {"tolower": str.lower, "toupper": str.upper}
LAMBDAS = ("/any", "/all")


@dataclass(frozen=True)
class Filter:
    """`names`: the members it asks about. `equal`: values a member must be one of, so that a list may be short."""

    test: Test
    names: frozenset[str] = frozenset()
    equal: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str


@dataclass(frozen=True)
class Operand:
    """A member of the record, perhaps in other letters. `changed`: it is not what is stored any more."""

    name: str
    kind: str
    value: Value
    changed: bool = False


def read_filter(text: str, known: frozenset[str], kind_of: Callable[[str], str], code_case: str = "exact") -> Filter:
    """`known` are the members there are, `kind_of` tells their kind; `code_case` "any": codes match in any letter case.

    Raises Refused.
    """
    parser = _Parser(_tokens(text), known, kind_of, code_case)
    found = parser.alternatives()
    if parser.next:
        raise _bad(f"Syntax error at '{parser.next.text}' in the filter.")
    return found


def usual_kind(name: str) -> str:
    return KINDS.get(name, GUID if name == "id" or name.endswith("Id") else TEXT)


def _bad(message: str) -> Refused:
    return Refused("BadRequest", message)


def _tokens(text: str) -> list[Token]:
    found, place, text = [], 0, text.strip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise _bad(f"Syntax error at position {place} in '{text}'.")
        found.append(Token(str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found


class _Parser:
    """A condition is read as a predicate and the names of the members it asks about."""

    def __init__(
        self, tokens: list[Token], known: frozenset[str], kind_of: Callable[[str], str], code_case: str
    ) -> None:
        self.tokens, self.place = tokens, 0
        self.known, self.kind_of, self.code_case = known, kind_of, code_case

    @property
    def next(self) -> Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def take(self, kind: str = "", text: str = "") -> Token:
        token = self.next
        if token is None:
            raise _bad("The filter ends too early.")
        if (kind and token.kind != kind) or (text and token.text != text):
            raise _bad(f"Syntax error at '{token.text}' in the filter.")
        self.place += 1
        return token

    def follows(self, text: str) -> bool:
        return self.next is not None and self.next.kind in ("name", "sign") and self.next.text == text

    # or, and, parentheses

    def alternatives(self) -> Filter:
        parts = self._joined("or", self._all_of)
        if len(parts) == 1:
            return parts[0]
        tests, names = [part.test for part in parts], frozenset[str]().union(*(part.names for part in parts))
        if len(names) > 1:
            raise _bad("The OR operator is supported only between conditions on the same field.")
        equal = {name: sum((part.equal.get(name, ()) for part in parts), ()) for name in names}
        known = all(part.equal for part in parts)
        return Filter(lambda row: any(test(row) for test in tests), names, equal if known else {})

    def _all_of(self) -> Filter:
        parts = self._joined("and", self._condition)
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        equal: dict[str, tuple[Any, ...]] = {}
        for part in parts:
            equal |= part.equal
        names = frozenset[str]().union(*(part.names for part in parts))
        return Filter(lambda row: all(test(row) for test in tests), names, equal)

    def _joined(self, word: str, part: Callable[[], Filter]) -> list[Filter]:
        found = [part()]
        while self.follows(word):
            self.take()
            found.append(part())
        return found

    def _condition(self) -> Filter:
        if self.follows("("):
            self.take()
            found = self.alternatives()
            self.take("sign", ")")
            return found
        token = self.take("name")
        if token.text.endswith(LAMBDAS) and self.follows("("):
            self._skip_parentheses()
            return Filter(lambda row: True)
        if token.text in TEXT_TESTS:
            return self._text_test(TEXT_TESTS[token.text])
        return self._comparison(self._operand(token))

    # Conditions

    def _text_test(self, holds: Callable[[str, str], bool]) -> Filter:
        self.take("sign", "(")
        operand = self._operand(self.take("name"))
        self.take("sign", ",")
        literal = self._literal(operand)
        self.take("sign", ")")
        if operand.kind not in (TEXT, CODE, ENUM):
            raise _bad(f"The field '{operand.name}' is no text.")
        value = operand.value
        return Filter(lambda row: holds(value(row), literal), frozenset((operand.name,)))

    def _comparison(self, operand: Operand) -> Filter:
        word = self.take("name").text
        if word not in COMPARISONS:
            raise _bad(f"'{word}' is no operator of a filter here.")
        compare, value, literal = COMPARISONS[word], operand.value, self._literal(operand)
        equal = {operand.name: (literal,)} if compare is eq and not operand.changed else {}
        return Filter(lambda row: bool(compare(value(row), literal)), frozenset((operand.name,)), equal)

    def _operand(self, token: Token) -> Operand:
        if token.text in TEXT_CHANGES and self.follows("("):
            self.take()
            inner = self._operand(self.take("name"))
            self.take("sign", ")")
            change, value = TEXT_CHANGES[token.text], inner.value
            if inner.kind not in (TEXT, CODE):
                raise _bad(f"The field '{inner.name}' is no text.")
            return Operand(inner.name, TEXT, lambda row: change(value(row)), changed=True)
        name = token.text
        if name not in self.known:
            raise _bad(f"Could not find a property named '{name}'.")
        kind = self.kind_of(name)
        if kind == MOMENT:  # answers show milliseconds: what they show must be found again
            return Operand(name, kind, lambda row: _to_the_millisecond(row[name]))
        return Operand(name, kind, lambda row: row[name])

    def _literal(self, operand: Operand) -> Any:
        token = self.take()
        kind = FLAG if token.kind == "name" and token.text in ("true", "false") else token.kind
        if kind != ACCEPTED[operand.kind]:
            raise _bad(f"'{token.text}' cannot be compared with the field '{operand.name}'.")
        value = _value_of(kind, token.text)
        # Codes are stored in capitals.
        return value.upper() if operand.kind == CODE and self.code_case == "any" else value

    def _skip_parentheses(self) -> None:
        depth = 0
        while True:
            token = self.take()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
            if not depth:
                return


def _value_of(kind: str, text: str) -> Any:
    try:
        if kind == TEXT:
            return text[1:-1].replace("''", "'")
        if kind == NUMBER:
            return Decimal(text)
        if kind == DATE:
            return date.fromisoformat(text)
        if kind == MOMENT:
            return _to_the_millisecond(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        raise _bad(f"'{text}' is no value.") from None
    return text == "true" if kind == FLAG else text.lower()


def _to_the_millisecond(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
