"""BankTransactions: lists, one, and the writes with Xero's own rules and messages."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

from sandbox.xero.answers import Answer, ApiRequest, Refused, in_answer_order, invalid, not_found
from sandbox.xero.drafts import Draft, read_draft, save
from sandbox.xero.formats import JSON
from sandbox.xero.listing import Listing, check_breadth, one_page, text_member, word_member
from sandbox.xero.records import BankTransaction
from sandbox.xero.rules import validate
from sandbox.xero.shapes import bank_transaction, bank_transaction_text, complaints
from sandbox.xero.where import Member

PASSING_TROUBLE = "The document could not be saved. Please try again."
PASSING_WARNING = "The document was saved and should be looked at."

LISTING = Listing(
    "BankTransaction",
    {
        "Type": word_member(attrgetter("type")),
        "Status": word_member(attrgetter("status")),
        "Date": Member("DateTime", attrgetter("date"), day=True),
        "UpdatedDateUTC": Member("DateTime", attrgetter("updated")),
        "Reference": text_member(attrgetter("reference")),
        "Url": text_member(attrgetter("url")),
        "Total": Member("Decimal", attrgetter("total")),
        "SubTotal": Member("Decimal", attrgetter("sub_total")),
        "TotalTax": Member("Decimal", attrgetter("total_tax")),
        "CurrencyCode": word_member(attrgetter("currency")),
        "LineAmountTypes": word_member(attrgetter("line_amount_types")),
        "IsReconciled": Member("Boolean", attrgetter("is_reconciled")),
        "HasAttachments": Member("Boolean", lambda one: bool(one.attachments)),
        "BankTransactionID": Member("Guid", attrgetter("id")),
        "BankAccount.AccountID": Member("Guid", attrgetter("bank_account.id")),
        "BankAccount.Code": text_member(attrgetter("bank_account.code")),
        "BankAccount.Name": word_member(attrgetter("bank_account.name")),
        "Contact.ContactID": Member("Guid", lambda one: one.contact.id if one.contact else None),
        "Contact.Name": text_member(lambda one: one.contact.name if one.contact else ""),
        "Contact.ContactNumber": text_member(lambda one: one.contact.number if one.contact else ""),
    },
    attrgetter("updated", "id"),
)


def get_many(request: ApiRequest) -> Answer:
    switches = request.world.switches
    rows = LISTING.select(request, _asked_by_reference(request))
    if not switches.legs_visible:
        rows = [row for row in rows if not row.is_leg]
    check_breadth(request, rows)
    page = one_page(request, rows)
    if page is None:
        return _rendered(request, rows, lines=False)
    facts = {"pagination": page.facts} if switches.pagination else {}
    return _rendered(request, page.rows, lines=True, facts=facts)


def _asked_by_reference(request: ApiRequest) -> list[BankTransaction]:
    rows = list(request.organisation.bank_transactions.values())
    if "references" not in request.query or not request.world.switches.references:
        return rows
    wanted = set(request.query["references"].split(","))
    return [row for row in rows if row.reference in wanted]


def _rendered(request: ApiRequest, rows: Sequence[BankTransaction], lines: bool, facts: JSON | None = None) -> Answer:
    style, revision = replace(request.style, lines=lines), request.organisation.revision
    texts = (bank_transaction_text(row, style, revision) for row in rows)
    return request.envelope_text("BankTransactions", texts, facts)


def get_one(request: ApiRequest, id: str) -> Answer:
    return _rendered(request, [find(request, id)], lines=True)


def find(request: ApiRequest, id: str) -> BankTransaction:
    found = request.organisation.bank_transactions.get(id.lower())
    if found is None:
        raise Refused(not_found())
    return found


def put_many(request: ApiRequest) -> Answer:
    """Create only: an id sent along is not looked at."""
    elements = [{**one, "BankTransactionID": None} for one in request.elements("BankTransactions")]
    return _write(request, elements, request.summarize)


def post_many(request: ApiRequest) -> Answer:
    """Create, or update and delete where an id is given."""
    return _write(request, request.elements("BankTransactions"), request.summarize)


def post_one(request: ApiRequest, id: str) -> Answer:
    found = find(request, id)
    elements = [{**one, "BankTransactionID": found.id} for one in request.elements("BankTransactions")[:1]]
    return _write(request, elements, summarize=True)


def _write(request: ApiRequest, elements: Sequence[JSON], summarize: bool) -> Answer:
    """Check all, then save what is good. Summarized, one bad element refuses all.

    An edit of a reconciled or locked document does not refuse the call: its element says ERROR under a 200.
    """
    drafts = [read_draft(request, element) for element in elements]
    for draft in drafts:
        validate(request, draft)
    _refuse_some(request, drafts)
    if summarize and any(draft.refuses_call for draft in drafts):
        return invalid(draft.echo(request) for draft in drafts if draft.refuses_call)
    marked = not summarize or any(not draft.good for draft in drafts)
    return request.envelope(
        "BankTransactions", in_answer_order(request, [_result(request, one, marked) for one in drafts])
    )


def _refuse_some(request: ApiRequest, drafts: Sequence[Draft]) -> None:
    """As the switch says: every second new one of a batch, until so many were refused."""
    switches = request.world.switches
    for draft in [draft for draft in drafts if draft.good and draft.existing is None][1::2]:
        if switches.refused_elements > 0:
            switches.refused_elements -= 1
            draft.errors.append(PASSING_TROUBLE)


def _result(request: ApiRequest, draft: Draft, marked: bool) -> JSON:
    if not draft.good:
        return {**draft.echo(request), "StatusAttributeString": "ERROR"}
    if request.world.switches.warned_elements > 0:
        request.world.switches.warned_elements -= 1
        draft.warnings.append(PASSING_WARNING)
    members = bank_transaction(save(request, draft), request.style)
    if draft.warnings:
        members["Warnings"] = complaints(draft.warnings)
    if marked:
        members["StatusAttributeString"] = "WARNING" if draft.warnings else "OK"
    return members
