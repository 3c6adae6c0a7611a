"""Contacts: lists, one, and the writes; names are unique among active contacts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from sandbox.xero import elements as read
from sandbox.xero.answers import Answer, ApiRequest, Refused, in_answer_order, invalid, not_found, with_failed_id
from sandbox.xero.formats import JSON
from sandbox.xero.listing import Listing, check_breadth, one_page, text_member, word_member
from sandbox.xero.organisation import Organisation, name_key
from sandbox.xero.records import Contact
from sandbox.xero.shapes import complaints, contact
from sandbox.xero.where import Member

LISTING = Listing(
    "Contact",
    {
        "Name": text_member(attrgetter("name"), folded=True, safe=True),
        "EmailAddress": text_member(attrgetter("email"), folded=True, safe=True),
        "AccountNumber": text_member(attrgetter("account_number"), safe=True),
        "ContactNumber": text_member(attrgetter("number"), safe=True),
        "CompanyNumber": text_member(attrgetter("company_number")),
        "FirstName": text_member(attrgetter("first_name")),
        "LastName": text_member(attrgetter("last_name")),
        "TaxNumber": text_member(attrgetter("tax_number")),
        "ContactID": Member("Guid", attrgetter("id")),
        "ContactStatus": word_member(attrgetter("status")),
        "IsSupplier": Member("Boolean", attrgetter("is_supplier")),
        "IsCustomer": Member("Boolean", attrgetter("is_customer")),
        "UpdatedDateUTC": Member("DateTime", attrgetter("updated")),
    },
    attrgetter("updated", "id"),
)
TEXTS = {
    "Name": ("name", 255),
    "ContactNumber": ("number", 50),
    "AccountNumber": ("account_number", 50),
    "CompanyNumber": ("company_number", 50),
    "TaxNumber": ("tax_number", 50),
    "FirstName": ("first_name", 255),
    "LastName": ("last_name", 255),
    "EmailAddress": ("email", 255),
    "BankAccountDetails": ("bank_account_details", 255),
}
"""Member on the wire: our attribute, longest text."""
STATUSES = ("ACTIVE", "ARCHIVED", "GDPRREQUEST")
SEARCHED = ("name", "first_name", "last_name", "number", "company_number", "email")


def get_many(request: ApiRequest) -> Answer:
    rows = LISTING.select(request, _asked(request))
    check_breadth(request, rows)
    page = one_page(request, rows)
    summary = request.query.get("summaryonly", "").lower() == "true"
    shown = rows if page is None else page.rows
    facts = {"pagination": page.facts} if page and request.world.switches.pagination else {}
    return request.envelope("Contacts", (contact(one, request.style, summary) for one in shown), facts)


def _asked(request: ApiRequest) -> list[Contact]:
    """Return the contacts before `where`: by ids, by search term, without archived ones unless asked for."""
    rows = list(request.organisation.contacts.values())
    if request.query.get("ids"):
        wanted = set(request.query["ids"].lower().split(","))
        rows = [one for one in rows if one.id in wanted]
    if request.query.get("includearchived", "").lower() != "true":
        rows = [one for one in rows if one.status != "ARCHIVED"]
    term = request.query.get("searchterm", "").casefold()
    if term:
        rows = [one for one in rows if any(term in getattr(one, name).casefold() for name in SEARCHED)]
    return rows


def get_one(request: ApiRequest, id: str) -> Answer:
    return request.envelope("Contacts", [contact(find(request, id), request.style)])


def find(request: ApiRequest, id: str) -> Contact:
    """Return the contact with this id or contact number. Raises Refused."""
    contacts = request.organisation.contacts
    numbered = (one for one in contacts.values() if one.number and one.number == id)
    found = contacts.get(id.lower()) or next(numbered, None)
    if found is None:
        raise Refused(not_found())
    return found


@dataclass
class ContactDraft:
    element: JSON
    existing: Contact | None
    changes: dict[str, Any]
    errors: list[str] = field(default_factory=list)


def put_many(request: ApiRequest) -> Answer:
    """Create only: a name an active contact bears is refused."""
    drafts = [ContactDraft(one, None, changes_in(one)) for one in request.elements("Contacts")]
    return _write(request, drafts, request.summarize)


def post_many(request: ApiRequest) -> Answer:
    """Create, or update the contact with the same id, number or name."""
    drafts = [_matched(request.organisation, one) for one in request.elements("Contacts")]
    return _write(request, drafts, request.summarize)


def post_one(request: ApiRequest, id: str) -> Answer:
    found = find(request, id)
    drafts = [ContactDraft(one, found, changes_in(one)) for one in request.elements("Contacts")[:1]]
    return _write(request, drafts, summarize=True)


def changes_in(sent: JSON) -> dict[str, Any]:
    """Return the attributes the element sets. Raises Refused (error 14)."""
    changes: dict[str, Any] = {
        attribute: read.text(sent, name) for name, (attribute, _) in TEXTS.items() if sent.get(name) is not None
    }
    status = read.choice(sent, "ContactStatus", STATUSES)
    lists = {"addresses": read.records(sent, "Addresses"), "phones": read.records(sent, "Phones")}
    return changes | {name: value for name, value in lists.items() if value} | ({"status": status} if status else {})


def apply_changes(organisation: Organisation, one: Contact, changes: dict[str, Any]) -> Contact:
    """Change the contact; nothing is stamped when nothing differs."""
    differing = {name: value for name, value in changes.items() if getattr(one, name) != value}
    return organisation.change_contact(one, **differing) if differing else one


def _matched(organisation: Organisation, sent: JSON) -> ContactDraft:
    changes, id = changes_in(sent), read.identifier(sent, "ContactID")
    if id:
        draft = ContactDraft(sent, organisation.contacts.get(id), changes)
        if draft.existing is None:
            draft.errors.append("The contact could not be found")
        return draft
    number = changes.get("number", "")
    numbered = (one for one in organisation.contacts.values() if number and one.number == number)
    return ContactDraft(sent, next(numbered, None) or organisation.active_contact(changes.get("name", "")), changes)


def _write(request: ApiRequest, drafts: Sequence[ContactDraft], summarize: bool) -> Answer:
    """Check all, then save what is good; equal new names in one call are one name too many."""
    seen: set[str] = set()
    for draft in drafts:
        _check(request, draft, seen)
    if summarize and any(draft.errors for draft in drafts):
        return invalid(_echo(request, draft) for draft in drafts if draft.errors)
    marked = not summarize
    return request.envelope("Contacts", in_answer_order(request, [_result(request, one, marked) for one in drafts]))


def _check(request: ApiRequest, draft: ContactDraft, seen: set[str]) -> None:
    name = draft.changes.get("name", draft.existing.name if draft.existing else "")
    if draft.errors:
        return
    if not name:
        draft.errors.append("The Contact Name is a mandatory field")
    for wire_name, (attribute, longest) in TEXTS.items():
        if len(draft.changes.get(attribute, "")) > longest:
            draft.errors.append(f"Contact {wire_name} is too long. Maximum of {longest} characters allowed")
    twin = request.organisation.active_contact(name)
    will_be_active = draft.changes.get("status", draft.existing.status if draft.existing else "ACTIVE") == "ACTIVE"
    taken = twin is not None and twin is not draft.existing
    if will_be_active and (taken or (draft.existing is None and name_key(name) in seen)):
        draft.errors.append(
            f"The contact name {name} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
    if draft.existing is None and _refused_twin(request, name):
        draft.errors.append("The contact is archived and cannot be used.")
    seen.add(name_key(name))
    _check_numbers(request.organisation, draft)


def _refused_twin(request: ApiRequest, name: str) -> bool:
    refuse = request.world.switches.archived_names == "refuse"
    return refuse and request.organisation.archived_contact(name) is not None


def _check_numbers(organisation: Organisation, draft: ContactDraft) -> None:
    for attribute, label in (("number", "Contact Number"), ("account_number", "Account Number")):
        value = draft.changes.get(attribute)
        others = (one for one in organisation.contacts.values() if one is not draft.existing)
        if value and any(getattr(one, attribute) == value for one in others):
            draft.errors.append(f"The {label} {value} is already assigned to another contact.")


def _echo(request: ApiRequest, draft: ContactDraft) -> JSON:
    members = {name: value for name, value in draft.element.items() if value is not None}
    members |= {"HasValidationErrors": True, "ValidationErrors": complaints(draft.errors)}
    return with_failed_id(request, members, "ContactID", draft.existing.id if draft.existing else "")


def _result(request: ApiRequest, draft: ContactDraft, marked: bool) -> JSON:
    if draft.errors:
        return {**_echo(request, draft), "StatusAttributeString": "ERROR"}
    organisation = request.organisation
    if draft.existing:
        saved = apply_changes(organisation, draft.existing, draft.changes)
    else:
        saved = organisation.add_contact(**draft.changes)
    members = contact(saved, request.style)
    return members | {"StatusAttributeString": "OK"} if marked else members
