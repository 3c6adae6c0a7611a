"""Acme's tenant at the simulated Microsoft, and the way of a browser through CONNECT and back."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
from django.test import Client
from django.utils.html import strip_tags

from connectors.models import Connection
from pexsync.accounts.tenancy import everywhere
from sandbox.dynamics365.world import world_of

CONNECT, CHECKS = "/dynamics365/connect", "/dynamics365/connect/checks"
FRAGMENT = {"HX-Request": "true"}


@dataclass
class Microsoft:
    """A tenant with one environment, and Ann, who may open it."""

    world: Any
    tenant: Any
    environment: Any
    ann: Any

    def company(self, name: str = "Acme Builders LLC", environment: Any = None, **fields: Any) -> Any:
        return self.world.add_company(environment or self.environment, name, **fields)

    def sandbox(self, name: str = "Trial") -> Any:
        return self.world.add_environment(self.tenant, name, "Sandbox")


def tenant_of(sandbox: Any) -> Microsoft:
    world = world_of(sandbox)
    tenant = world.add_tenant("Acme LLC")
    environment = world.add_environment(tenant)
    return Microsoft(world, tenant, environment, world.add_user("Ann Admin", "ann@acme.example", tenant))


def at_microsoft(browser: Client, email: str = "ann@acme.example", decision: str = "allow") -> str:
    """Press CONNECT, answer at Microsoft, and return the address the browser is sent back to."""
    there = browser.post("/dynamics365/connect/begin").url
    answer = httpx.post(there, data={"user": email, "decision": decision})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].removeprefix("http://testserver")


def connect(browser: Client, email: str = "ann@acme.example") -> Any:
    return browser.get(at_microsoft(browser, email))


def connection() -> Connection:
    with everywhere():
        return Connection.objects.select_related("business").get(system="dynamics365", business__pex_id=4410)


def change(**columns: Any) -> None:
    with everywhere():
        Connection.objects.filter(system="dynamics365", business__pex_id=4410).update(**columns)


def text_of(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode().replace("</dt>", " ")).split())


def tabs_of(page: str) -> list[str]:
    nav = re.search(r'<nav class="tabs"[^>]*>(.*?)</nav>', page, re.DOTALL)
    assert nav
    return [" ".join(each.split()) for each in re.findall(r">([^<>]+)</a>", nav[1])]
