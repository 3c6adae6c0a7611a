"""A company of the simulated Business Central with a token for it, as the tests of the simulation use it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import Journal
from sandbox.dynamics365.world import BusinessCentralWorld, Environment, Tenant, User, world_of
from sandbox.server import Desk

JSON = {"Content-Type": "application/json"}


@dataclass
class Books:
    desk: Desk
    world: BusinessCentralWorld
    tenant: Tenant
    environment: Environment
    company: Company
    user: User
    token: str
    http: httpx.Client

    @property
    def base(self) -> str:
        return f"/bc-api/v2.0/{self.tenant.id}/{self.environment.name}/api/v2.0"

    @property
    def journal(self) -> Journal:
        return self.company.journal()

    def call(self, method: str, url: str, **options: Any) -> httpx.Response:
        """`url` is below the API; one that begins with a slash or is absolute is taken as it is."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **options.pop("headers", {})}
        address = url if url.startswith(("/", "http")) else f"{self.base}/{url}"
        return self.http.request(method, address, headers=headers, **options)

    def get(self, path: str, headers: dict[str, str] | None = None, **query: str | int) -> httpx.Response:
        """`path` is below the company, the names of the options without their dollar."""
        options = {f"${name}": value for name, value in query.items()}
        return self.call("GET", self.inside(path), params=options, headers=headers or {})

    def rows(self, path: str, headers: dict[str, str] | None = None, **query: str | int) -> list[dict[str, Any]]:
        answer = self.get(path, headers, **query)
        assert answer.status_code == 200, answer.text
        return parsed(answer)["value"]

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.call("POST", self.inside(path), json=body, headers=headers)

    def patch(self, path: str, body: Any, etag: str = "*") -> httpx.Response:
        return self.call("PATCH", self.inside(path), json=body, headers={"If-Match": etag} if etag else {})

    def delete(self, path: str, **headers: str) -> httpx.Response:
        return self.call("DELETE", self.inside(path), headers=headers)

    def inside(self, path: str) -> str:
        return f"companies({self.company.id})/{path}"

    def lines_of(self, journal: Journal | None = None) -> str:
        return f"journals({(journal or self.journal).id})/journalLines"

    def batch(self, *requests: dict[str, Any], query: str = "", **headers: str) -> httpx.Response:
        return self.call("POST", f"$batch{query}", json={"requests": list(requests)}, headers=headers)

    def snapshot(self, *requests: dict[str, Any]) -> httpx.Response:
        return self.batch(*requests, Isolation="snapshot")

    def operation(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """One request of a batch, without an id."""
        made: dict[str, Any] = {"method": method, "url": self.inside(path), "headers": headers}
        return made if body is None else {**made, "headers": JSON | headers, "body": body}

    def line(self, amount: str | int | float = 42.17, account: str = "61200", **changes: Any) -> dict[str, Any]:
        """A good line; a member given as None is left out."""
        body = {
            "accountType": "G/L Account",
            "accountNumber": account,
            "postingDate": "2026-03-14",
            "documentNumber": "PEX981",
            "externalDocumentNumber": "PEX-P-4410-981",
            "amount": amount,
            "description": "Target",
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}


def parsed(answer: httpx.Response) -> dict[str, Any]:
    """With exact decimals, also where a whole number was written."""
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)
    return found


def statuses(answer: httpx.Response) -> list[int]:
    """Of the operations of a batch."""
    assert answer.status_code == 200, answer.text
    return [one["status"] for one in answer.json()["responses"]]


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


@contextmanager
def open_books(desk: Desk, **fields: Any) -> Iterator[Books]:
    """Give a company with a small chart of accounts and a journal, and a client that may use it."""
    world = world_of(desk)
    tenant = world.add_tenant("Acme LLC")
    environment = world.add_environment(tenant)
    company = world.add_company(environment, "Acme LLC", **fields)
    company.add_account("10950", "PEX Card Prepaid", "Assets")
    company.add_account("61200", "Office supplies", sub_category="Office")
    company.add_account("61300", "Travel")
    company.add_account("40000", "Sales", "Income")
    company.add_bank_account("CHECKING", "Business Checking")
    company.add_dimension("DEPARTMENT", [("ADM", "Administration"), ("SALES", "Sales")])
    company.add_dimension("PROJECT", [("P1", "Bridge")])
    company.add_journal()
    user = world.add_user("Nora Lindqvist", "nora@acme.example", tenant)
    with httpx.Client(base_url=desk.url) as http:
        yield Books(desk, world, tenant, environment, company, user, world.token(user), http)
