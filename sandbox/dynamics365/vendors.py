"""Vendors in the API: read, created, changed and deleted. Nothing but the number is unique.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/api-reference/v2.0/resources/dynamics_vendor
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sandbox.dynamics365 import entities
from sandbox.dynamics365 import members as read
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import BLOCKED, NOBODY, VENDOR, Vendor
from sandbox.dynamics365.values import Member, Refused

LENGTHS = {
    "number": 20,
    "displayName": 100,
    "addressLine1": 100,
    "addressLine2": 50,
    "city": 30,
    "state": 30,
    "country": 10,
    "postalCode": 20,
    "phoneNumber": 30,
    "email": 80,
    "website": 255,
    "taxRegistrationNumber": 20,
    "currencyCode": 10,
    "irs1099Code": 10,
}
ADDRESS = tuple(name for name in LENGTHS if name not in ("number", "displayName", "currencyCode", "irs1099Code"))
IDS = ("currencyId", "paymentTermsId", "paymentMethodId")
WRITABLE = frozenset((*LENGTHS, *IDS, "taxLiable", "blocked"))
READ_ONLY = frozenset(("id", "balance", "lastModifiedDateTime"))
CODES = ("number", "country", "currencyCode", "irs1099Code")


def rows(company: Company, parent: None) -> list[Vendor]:
    return sorted(company.vendors.values(), key=lambda one: one.number)


def shown(company: Company, vendor: Vendor) -> dict[str, Any]:
    """The balance is nought: this company keeps no vendor ledger."""
    members = vendor.members
    currency = members.get("currencyCode") or company.currency
    return {
        "id": vendor.id,
        "number": vendor.number,
        "displayName": vendor.name,
        **{name: members.get(name, "") for name in ADDRESS},
        "currencyId": entities.currency_id(company, currency),
        "currencyCode": currency,
        "irs1099Code": members.get("irs1099Code", ""),
        "paymentTermsId": members.get("paymentTermsId", NOBODY),
        "paymentMethodId": members.get("paymentMethodId", NOBODY),
        "taxLiable": members.get("taxLiable") == "true",
        "blocked": Member(vendor.blocked),
        "balance": Decimal(0),
        "lastModifiedDateTime": vendor.changed,
    }


def create(company: Company, parent: None, body: dict[str, Any]) -> Vendor:
    """Raises Refused."""
    given = _read(company, body)
    if not given.get("displayName", "").strip():
        raise Refused("BadRequest_RequiredParamNotProvided", "A displayName must be provided.")
    number = given.pop("number", "") or _next_number(company)
    if body.get("number") and company.vendor_series and not company.manual_vendor_numbers:
        raise Refused("Application_DialogException", "You may not enter numbers manually: see No. Series of vendors.")
    _check_free(company, number)
    template = company.world.switches.vendor_posting_groups
    made = company.add_vendor(
        given.pop("displayName"),
        number=number,
        blocked=given.pop("blocked", " "),
        posting_group="DOMESTIC" if template else "",
        members=given,
    )
    company.did(lambda: _forget(company, made))
    return made


def change(company: Company, vendor: Vendor, body: dict[str, Any]) -> None:
    """Raises Refused."""
    given = _read(company, body)
    if given.get("number", vendor.number) != vendor.number:
        _check_free(company, given["number"])
    company.keep(vendor)
    vendor.number = given.pop("number", vendor.number)
    vendor.name = given.pop("displayName", vendor.name)
    vendor.blocked = given.pop("blocked", vendor.blocked)
    vendor.members = vendor.members | given
    company.touch(vendor)


def delete(company: Company, vendor: Vendor) -> None:
    """Raises Refused while a journal line names the vendor."""
    for journal in company.journals.values():
        if any((line.account_type, line.account) == (VENDOR, vendor.number) for line in journal.lines.values()):
            message = f"You cannot delete vendor {vendor.number}: there are lines in journal {journal.code} for it."
            raise Refused("Application_DialogException", message)
    del company.vendors[vendor.id]
    company.did(lambda: company.vendors.__setitem__(vendor.id, vendor))


def _forget(company: Company, vendor: Vendor) -> None:
    company.vendors.pop(vendor.id, None)


def _read(company: Company, body: dict[str, Any]) -> dict[str, str]:
    """Return the members sent, checked one by one. Raises Refused."""
    given = {
        name: (read.code if name in CODES else read.text)(name, body[name], limit)
        for name, limit in LENGTHS.items()
        if name in body
    }
    given |= {name: read.guid(name, body[name]) for name in IDS if name in body}
    if "blocked" in body:
        given["blocked"] = read.member("blocked", body["blocked"] or " ", BLOCKED)
    if "taxLiable" in body:
        if not isinstance(body["taxLiable"], bool):
            raise Refused("BadRequest", "taxLiable must be true or false.")
        given["taxLiable"] = str(body["taxLiable"]).lower()
    _read_currency(company, given)
    return given


def _read_currency(company: Company, given: dict[str, str]) -> None:
    """Keep the code alone. Raises Refused for a currency there is not."""
    id = given.pop("currencyId", NOBODY)
    codes = [company.currency, *(one.code for one in entities.currencies(company, None))]
    if id != NOBODY:
        found = [code for code in codes if entities.currency_id(company, code) == id]
        if not found:
            raise Refused("Application_FieldValidationException", 'The "currencyId" does not match to a Currency.')
        given.setdefault("currencyCode", found[0])
    code = given.get("currencyCode", "")
    if code and code not in codes:
        raise Refused("Internal_InvalidTableRelation", f"{code} is not in table Currency.")


def _next_number(company: Company) -> str:
    """Return the next number of the series that nobody has. Raises Refused without a series."""
    if not company.vendor_series:
        message = "Vendor Nos. must have a value in Purchases & Payables Setup. It cannot be zero or empty."
        raise Refused("Application_FieldValidationException", message)
    taken = _numbers(company.vendors.values())
    while f"V{company.last_vendor + 1:05}" in taken:
        company.last_vendor += 1
    return f"V{company.last_vendor + 1:05}"


def _numbers(vendors: Iterable[Vendor]) -> set[str]:
    return {one.number for one in vendors}


def _check_free(company: Company, number: str) -> None:
    if not number:
        raise Refused("BadRequest_RequiredParamNotProvided", "The number must not be empty.")
    if number in _numbers(company.vendors.values()):
        message = f"The record in table Vendor already exists. Identification fields and values: No.='{number}'."
        raise Refused("Internal_EntityWithSameKeyExists", message)
