"""An organisation of the simulated Xero with a token for it, as the tests of the simulation use it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from sandbox.server import Desk
from sandbox.xero import XeroWorld
from sandbox.xero.organisation import Organisation
from sandbox.xero.world import User

BASE = "/xero-api/api.xro/2.0"


@dataclass
class Books:
    desk: Desk
    world: XeroWorld
    organisation: Organisation
    user: User
    token: dict[str, Any]
    http: httpx.Client

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.token['access_token']}",
            "xero-tenant-id": self.organisation.id,
            "Accept": "application/json",
            **options.pop("headers", {}),
        }
        return self.http.request(method, f"{BASE}/{path}", headers=headers, **options)

    def get(self, path: str, **query: str | int) -> httpx.Response:
        return self.call("GET", path, params=query)

    def records(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """Return the records of a list, with exact decimals."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return parsed(answer)[path.split("/")[0]]

    def put(self, name: str, *elements: dict[str, Any], query: str = "", **headers: str) -> httpx.Response:
        return self.call("PUT", f"{name}{query}", json={name: list(elements)}, headers=headers)

    def post(self, name: str, *elements: dict[str, Any], query: str = "", **headers: str) -> httpx.Response:
        return self.call("POST", f"{name}{query}", json={name: list(elements)}, headers=headers)

    def spend(self, **changes: Any) -> dict[str, Any]:
        """Return a good SPEND of 41.87; a member given as None is left out."""
        line = {"Description": "Fuel", "Quantity": 1, "UnitAmount": 41.87, "AccountCode": "449"}
        element = {
            "Type": "SPEND",
            "BankAccount": {"AccountID": self.organisation.account("PEX Cash Account").id},
            "Contact": {"Name": "Shell"},
            "Date": "2026-07-03",
            "Reference": "PEX-1",
            "LineAmountTypes": "NoTax",
            "LineItems": [{**line, **changes.pop("line", {})}],
            **changes,
        }
        return {name: value for name, value in element.items() if value is not None}

    def refusals(self, element: dict[str, Any]) -> list[str]:
        """Return the messages this element is refused with; nothing may have been saved."""
        before = len(self.organisation.bank_transactions)
        answer = self.put("BankTransactions", element)
        assert answer.status_code == 400, answer.text
        assert answer.json()["ErrorNumber"] == 10
        assert len(self.organisation.bank_transactions) == before
        return [error["Message"] for error in answer.json()["Elements"][0]["ValidationErrors"]]

    def accepted(self, element: dict[str, Any], query: str = "") -> dict[str, Any]:
        answer = self.put("BankTransactions", element, query=query)
        assert answer.status_code == 200, answer.text
        return parsed(answer)["BankTransactions"][0]


def parsed(answer: httpx.Response) -> dict[str, Any]:
    return json.loads(answer.text, parse_float=Decimal)


@contextmanager
def open_books(desk: Desk, **fields: Any) -> Iterator[Books]:
    """Give an organisation with a small chart of accounts, and a client that may use it."""
    world: XeroWorld = desk.worlds["xero"]
    organisation = world.add_organisation(**fields)
    organisation.add_bank_account("PEX Cash Account")
    organisation.add_bank_account("Business Checking", code="090")
    organisation.add_account("449", "Motor Vehicle Expenses")
    organisation.add_account("400", "Advertising")
    organisation.add_account("200", "Sales", "REVENUE")
    user = world.add_user("Nora Lindqvist", "nora@acme.example", [organisation])
    token = world.grant(user, [organisation])
    with httpx.Client(base_url=desk.url) as http:
        yield Books(desk, world, organisation, user, token, http)
