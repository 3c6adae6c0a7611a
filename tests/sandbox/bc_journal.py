"""The company of `bc_books` with more kinds of accounts, for the tests of its journal and its ledger."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx

from sandbox.dynamics365.records import JournalLine
from sandbox.server import Desk
from tests.sandbox import bc_books
from tests.sandbox.bc_books import parsed

ZEROS = "00000000-0000-0000-0000-000000000000"
NOWHERE = "99999999-9999-9999-9999-999999999999"
EXPENSE, PEX = "61200", "10950"
JSON = dict[str, Any]


class Books(bc_books.Books):
    def ask(self, method: str, path: str, body: JSON | None = None, **options: Any) -> httpx.Response:
        """`path` is below the company. PATCH and DELETE go past the etag unless told otherwise."""
        headers = {"If-Match": "*"} if method in ("PATCH", "DELETE") else {}
        headers |= options.pop("headers", {})
        if body is not None:
            options["content"] = written(body)
            headers = bc_books.JSON | headers
        return self.call(method, self.inside(path), headers=headers, **options)

    def one(self, path: str) -> JSON:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return parsed(answer)

    def made(self, path: str, body: JSON) -> JSON:
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.text
        return parsed(answer)

    def changed(self, path: str, body: JSON) -> JSON:
        answer = self.ask("PATCH", path, body)
        assert answer.status_code == 200, answer.text
        return parsed(answer)

    def refused(self, method: str, path: str, body: JSON | None = None, status: int = 400) -> str:
        """Return the code of the refusal; nothing may have changed."""
        before = self.everything()
        answer = self.ask(method, path, body)
        assert answer.status_code == status, answer.text
        assert self.everything() == before
        return answer.json()["error"]["code"]

    def why_not_posted(self) -> str:
        """Return the message posting is refused with; nothing may have changed."""
        before = self.everything()
        answer = self.ask("POST", f"journals({self.journal.id})/Microsoft.NAV.post")
        assert bc_books.refused(answer) == (400, "Application_DialogException")
        assert self.everything() == before
        return answer.json()["error"]["message"]

    def post_journal(self) -> None:
        answer = self.ask("POST", f"journals({self.journal.id})/Microsoft.NAV.post")
        assert (answer.status_code, answer.content) == (204, b""), answer.text

    def made_line(self, **members: Any) -> JSON:
        """Create a good debit line; a member given as None is left out."""
        return self.made(self.lines_of(), self.body(**members))

    def body(self, **members: Any) -> JSON:
        """The body of a good debit line. Money is written exactly as it is given."""
        return self.line(**{"amount": Decimal("42.17"), **members})

    def pair(self, number: str = "PEX981", amount: str = "42.17", **members: Any) -> tuple[JSON, JSON]:
        """Create the debit and the credit line of one purchase."""
        members = {"documentNumber": number, **members}
        credit = {name: value for name, value in members.items() if name != "dimensionSetLines"}
        return (
            self.made_line(accountNumber=EXPENSE, amount=Decimal(amount), **members),
            self.made_line(accountNumber=PEX, amount=-Decimal(amount), **credit),
        )

    def stored(self, line: JSON) -> JournalLine:
        return self.company.journals[line["journalId"]].lines[line["id"]]

    def entries(self) -> list[tuple[str, str, Decimal, Decimal]]:
        """Document number, account, debit and credit of each G/L entry."""
        found = self.company.entries.values()
        return [(one.document_number, one.account, one.debit, one.credit) for one in found]

    def everything(self) -> Any:
        """What the company holds, to be compared with itself later."""
        company = self.company
        tables = (company.accounts, company.journals, company.entries, company.attachments)
        held = [[repr(one) for one in table.values()] for table in tables]
        return [*held, repr(company.posted_documents), repr(company.series)]


def written(body: JSON) -> str:
    """Return the body as JSON with its decimals exact."""
    text = json.dumps(body, default=lambda value: f"#{value}#")
    return re.sub(r'"#(-?[\d.]+)#"', r"\1", text)


@contextmanager
def open_books(desk: Desk) -> Iterator[Books]:
    with bc_books.open_books(desk) as plain:
        company = plain.company
        company.add_account("40900", "Rebates", "Income")
        company.add_account("60000", "Expenses, total", kind="Heading")
        company.add_account("61999", "Closed expenses", blocked=True)
        company.add_account("13100", "Receivables", "Assets", direct_posting=False)
        company.add_bank_account("CLOSED", "Closed account", blocked=True)
        company.add_vendor("Target")
        company.add_value(company.dimension("PROJECT"), "P2")
        company.add_tax_group("NONTAXABLE", "Not taxable")
        yield Books(**vars(plain))
