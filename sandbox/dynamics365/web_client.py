"""Addresses of the real web client, as the product puts them beside what it wrote: where they lead among our pages.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/developer/devenv-web-client-urls
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from sandbox.dynamics365.company import Company
from sandbox.dynamics365.visit import Missing, View, Visit

CONDITION = re.compile(r"'(?:[^']|'')*'\.'((?:[^']|'')*)'\s+IS\s+'((?:[^']|'')*)'", re.IGNORECASE)
Filter = Mapping[str, str]


def follow(visit: Visit) -> Response:
    """Follow `/{tenant}/{environment}/?company={name}&page={number}&filter={conditions}`."""
    company = _company(visit)
    number = visit.query.get("page", "")
    if number and number not in PAGES:
        raise Missing
    room = PAGES[number](company, filter_of(visit.query.get("filter", ""))) if number else ""
    return RedirectResponse(f"/bc/companies/{company.id}{room}", 302)


def filter_of(text: str) -> Filter:
    """`'Table'.'Field' IS 'value' AND ...` as values by field, names without case. Quotes inside are doubled."""
    return {name.replace("''", "'").casefold(): value.replace("''", "'") for name, value in CONDITION.findall(text)}


def _company(visit: Visit) -> Company:
    tenant = next(
        (one for one in visit.world.tenants.values() if visit.path["tenant"].casefold() in (one.id, one.domain)), None
    )
    environment = tenant.environment(visit.path["environment"]) if tenant else None
    if environment is None:
        raise Missing
    companies, name = environment.companies.values(), visit.query.get("company", "")
    found = next((one for one in companies if one.name == name), None) if name else next(iter(companies), None)
    if found is None:
        raise Missing
    return found


def _general_journal(company: Company, conditions: Filter) -> str:
    """Page 39: the journal the filter names, or the first one; with a document number, its first line."""
    code = conditions.get("journal batch name", "").upper()
    template = conditions.get("journal template name", company.default_template).upper()
    rows = (one for one in company.journals.values() if one.template == template and code in ("", one.code))
    journal = next(rows, None)
    if journal is None:
        raise Missing
    document = conditions.get("document no.", "")
    return f"/journals/{journal.id}" + (f"?{urlencode({'document': document})}#line" if document else "")


def _entries(company: Company, conditions: Filter) -> str:
    document = conditions.get("document no.", "")
    return "/ledger" + (f"?{urlencode({'document': document})}" if document else "")


def _room(path: str) -> Callable[[Company, Filter], str]:
    return lambda company, conditions: path


PAGES: dict[str, Callable[[Company, Filter], str]] = {
    "39": _general_journal,
    "251": _room("/journals"),
    "20": _entries,
    "16": _room("/accounts"),
    "27": _room("/vendors"),
    "536": _room("/dimensions"),
    "118": _room(""),  # General Ledger Setup
}

VIEWS: list[tuple[str, str, View]] = [
    ("GET", "/{tenant}/{environment}", follow),
    ("GET", "/{tenant}/{environment}/", follow),
]
