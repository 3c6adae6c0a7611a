"""xero-books: plain pages on which a person sees an organisation's books and does there what people do in Xero."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.server import Desk
from sandbox.xero.identity import read_form
from sandbox.xero.organisation import Organisation
from sandbox.xero.pages import TEMPLATES, page
from sandbox.xero.records import Account, BankTransaction, BankTransfer, Contact
from sandbox.xero.switches import Switches
from sandbox.xero.world import XeroWorld, world_of

ROWS = 100
SHOWN_INLINE = ("application/pdf", "image/png", "image/jpeg", "image/gif", "text/plain")


class Missing(Exception):
    """What the page is about does not exist."""


@dataclass(frozen=True)
class Visit:
    """One page view or pressed button."""

    world: XeroWorld
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def organisation(self) -> Organisation:
        found: Organisation = _found(self.world.organisations, self.path["organisation"])
        return found

    @property
    def number(self) -> int:
        wanted = self.query.get("page", "1")
        return max(1, int(wanted)) if wanted.isdigit() else 1

    def back(self, *parts: str) -> Response:
        return RedirectResponse("/".join(["/xero-books", self.path["organisation"], *parts]), 303)


View = Callable[[Visit], Response]


def application(desk: Desk) -> Starlette:
    def served(view: View) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            form = await read_form(request)
            with desk.lock:
                visit = Visit(world_of(desk), request.path_params, dict(request.query_params), form)
                try:
                    return view(visit)
                except Missing:
                    return page("problem.html", 404, title="Nothing is here", error="not found", sentence=_GONE)
                except Rejected as rejected:
                    title = "That cannot be done"
                    return page("problem.html", 400, title=title, error="refused", sentence=str(rejected))

        return endpoint

    routes = [Route(path, served(view), methods=[method]) for method, path, view in VIEWS]
    return Starlette(routes=[Route("/style.css", _style), *routes])


class Rejected(Exception):
    """What was typed cannot be used; the text is shown."""


_GONE = "This page is about something that does not exist, or not any more."


async def _style(request: Request) -> Response:
    return Response((TEMPLATES / "style.css").read_bytes(), media_type="text/css")


def _found(records: Mapping[str, Any], id: str) -> Any:
    if id not in records:
        raise Missing
    return records[id]


def _index(visit: Visit) -> Response:
    return page("organisations.html", organisations=list(visit.world.organisations.values()))


# One organisation


def _overview(visit: Visit) -> Response:
    organisation = visit.organisation
    connected = [one for one in visit.world.connections.values() if one.tenant_id == organisation.id]
    return page(
        "overview.html",
        organisation=organisation,
        banks=[(one, organisation.balance(one)) for one in organisation.bank_accounts()],
        connected=[(one, visit.world.apps[one.client_id], visit.world.users[one.user_id]) for one in connected],
        live=len(organisation.live()),
    )


def _set_up(visit: Visit) -> Response:
    organisation, form = visit.organisation, visit.form
    organisation.period_lock_date = _day(form.get("period_lock_date", ""))
    organisation.end_of_year_lock_date = _day(form.get("end_of_year_lock_date", ""))
    organisation.pays_tax = "pays_tax" in form
    organisation.multicurrency = "multicurrency" in form
    organisation.offline = "offline" in form
    return visit.back()


def _disconnect(visit: Visit) -> Response:
    visit.world.disconnect(visit.organisation, visit.form.get("client_id", ""))
    return visit.back()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Rejected(f"{text} is not a date.") from None


def _money(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise Rejected(f"{text} is not an amount.") from None
    if not amount.is_finite() or amount <= 0:
        raise Rejected("An amount must be greater than nought.")
    return amount


# Bank transactions


def _transactions(visit: Visit) -> Response:
    organisation, term = visit.organisation, visit.query.get("q", "").strip()
    account = organisation.accounts.get(visit.query.get("account", ""))
    rows = _in_account(organisation, account) if account else _newest(organisation)
    rows = [row for row in rows if _mentions(row[0], term.casefold())]
    return page(
        "transactions.html",
        organisation=organisation,
        account=account,
        term=term,
        **_part(visit, rows),
    )


def _part(visit: Visit, rows: Sequence[Any]) -> Mapping[str, Any]:
    start = (visit.number - 1) * ROWS
    facts = {"found": len(rows), "number": visit.number, "more": start + ROWS < len(rows)}
    return {"rows": rows[start : start + ROWS], **facts}


def _newest(organisation: Organisation) -> list[tuple[BankTransaction, Decimal | None]]:
    everything = sorted(organisation.bank_transactions.values(), key=lambda one: (one.date, one.updated), reverse=True)
    return [(one, None) for one in everything]


def _in_account(organisation: Organisation, account: Account) -> list[tuple[BankTransaction, Decimal | None]]:
    """Return the movements of one bank account with the balance after each, newest first."""
    mine = [one for one in organisation.bank_transactions.values() if one.bank_account is account]
    balance = Decimal("0.00")
    rows: list[tuple[BankTransaction, Decimal | None]] = []
    for one in sorted(mine, key=lambda one: (one.date, one.updated)):
        if one.status == "AUTHORISED":
            balance += one.signed_total
        rows.append((one, balance))
    return rows[::-1]


def _mentions(one: BankTransaction, term: str) -> bool:
    if not term:
        return True
    words = [one.reference, one.url, str(one.total), one.contact.name if one.contact else "", one.id]
    return any(term in word.casefold() for word in (*words, *(line.description for line in one.lines)))


def _transaction(visit: Visit) -> Response:
    one = _found(visit.organisation.bank_transactions, visit.path["id"])
    return page("transaction.html", organisation=visit.organisation, one=one)


def _change_transaction(visit: Visit) -> Response:
    organisation, form = visit.organisation, visit.form
    one: BankTransaction = _found(organisation.bank_transactions, visit.path["id"])
    action = form.get("action")
    if action == "void":
        organisation.void(one.id)
    elif action in ("reconcile", "unreconcile"):
        organisation.reconcile(one.id, action == "reconcile")
    elif action == "edit" and not one.is_leg:
        organisation.edit(one.id, form.get("reference", "").strip(), _money(form.get("amount", "")))
    else:
        raise Rejected("This transaction cannot be changed in this way.")
    return visit.back("transactions", one.id)


def _enter(visit: Visit) -> Response:
    """Enter one transaction by hand."""
    organisation, form = visit.organisation, visit.form
    one = organisation.post_by_hand(
        form.get("reference", "").strip(),
        _money(form.get("amount", "")),
        contact=form.get("contact", "").strip() or "Entered by hand",
        bank_account=_found(organisation.accounts, form.get("bank_account", "")),
        type="RECEIVE" if form.get("type") == "RECEIVE" else "SPEND",
        date=_day(form.get("date", "")),
    )
    return visit.back("transactions", one.id)


def _file(visit: Visit) -> Response:
    return _download(visit, _found(visit.organisation.bank_transactions, visit.path["id"]))


def _transfer_file(visit: Visit) -> Response:
    return _download(visit, _found(visit.organisation.bank_transfers, visit.path["id"]))


def _download(visit: Visit, one: BankTransaction | BankTransfer) -> Response:
    found = next((file for file in one.attachments if file.id == visit.path["file"]), None)
    if found is None:
        raise Missing
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    if found.mime_type not in SHOWN_INLINE:
        headers["Content-Disposition"] = "attachment"
    return Response(found.content, headers=headers, media_type=found.mime_type)


# Transfers, contacts, accounts, tracking


def _transfers(visit: Visit) -> Response:
    rows = sorted(visit.organisation.bank_transfers.values(), key=lambda one: one.created, reverse=True)
    return page("transfers.html", organisation=visit.organisation, **_part(visit, rows))


def _transfer(visit: Visit) -> Response:
    one = _found(visit.organisation.bank_transfers, visit.path["id"])
    return page("transfer.html", organisation=visit.organisation, one=one)


def _change_transfer(visit: Visit) -> Response:
    organisation, form = visit.organisation, visit.form
    one: BankTransfer = _found(organisation.bank_transfers, visit.path["id"])
    if form.get("action") == "delete":
        organisation.delete_transfer(one, "A person")
    elif form.get("action") == "edit":
        organisation.edit_transfer(one, form.get("reference", "").strip())
    else:
        raise Rejected("This transfer cannot be changed in this way.")
    return visit.back("transfers", one.id)


def _contacts(visit: Visit) -> Response:
    term = visit.query.get("q", "").strip()
    rows = [one for one in visit.organisation.contacts.values() if term.casefold() in one.name.casefold()]
    rows.sort(key=lambda one: one.name.casefold())
    return page("contacts.html", organisation=visit.organisation, term=term, **_part(visit, rows))


def _change_contact(visit: Visit) -> Response:
    organisation = visit.organisation
    one: Contact = _found(organisation.contacts, visit.path["id"])
    if visit.form.get("action") == "merge":
        return _merge_contact(visit, one)
    changes = _changes(visit.form)
    active = changes.get("status", one.status) == "ACTIVE"
    twin = organisation.active_contact(changes.get("name", one.name))
    if active and twin not in (None, one):
        raise Rejected("Another active contact has this name.")
    organisation.change_contact(one, **changes)
    return visit.back("contacts")


def _merge_contact(visit: Visit, one: Contact) -> Response:
    into = visit.organisation.active_contact(visit.form.get("name", ""))
    if into in (None, one):
        raise Rejected("Give the name of another active contact.")
    visit.organisation.merge_contact(one, into)
    return visit.back("contacts")


def _accounts(visit: Visit) -> Response:
    organisation = visit.organisation
    rows = sorted(organisation.accounts.values(), key=lambda one: (one.code, one.name))
    return page("accounts.html", organisation=organisation, rows=rows, rates=list(organisation.tax_rates.values()))


def _change_tax_rate(visit: Visit) -> Response:
    one = _found(visit.organisation.tax_rates, visit.path["id"])
    visit.organisation.change_tax_rate(one, **_changes(visit.form))
    return visit.back("accounts")


def _change_account(visit: Visit) -> Response:
    one = _found(visit.organisation.accounts, visit.path["id"])
    visit.organisation.change_account(one, **_changes(visit.form))
    return visit.back("accounts")


def _tracking(visit: Visit) -> Response:
    return page("tracking.html", organisation=visit.organisation, rows=list(visit.organisation.tracking.values()))


def _add_tracking(visit: Visit) -> Response:
    """Add a category, or an option to the category the form names."""
    organisation, name = visit.organisation, visit.form.get("name", "").strip()
    if not name:
        raise Rejected("Give a name.")
    if visit.form.get("category"):
        organisation.add_tracking_option(_found(organisation.tracking, visit.form["category"]), name)
    else:
        organisation.add_tracking(name)
    return visit.back("tracking")


def _change_tracking(visit: Visit) -> Response:
    """Change a category or one of its options, whichever has the id."""
    categories = visit.organisation.tracking
    options = {option.id: option for category in categories.values() for option in category.options}
    visit.organisation.change_tracking(_found({**categories, **options}, visit.path["id"]), **_changes(visit.form))
    return visit.back("tracking")


def _changes(form: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes a button changes: rename, archive, restore or delete."""
    states = {"archive": "ARCHIVED", "restore": "ACTIVE", "delete": "DELETED"}
    action, name = form.get("action", ""), form.get("name", "").strip()
    if action in states:
        return {"status": states[action]}
    if action == "rename" and name:
        return {"name": name}
    raise Rejected("Give a name.")


# Switches


def _switches(visit: Visit) -> Response:
    switches = visit.world.switches
    rows = [(one.name, getattr(switches, one.name), get_args(one.type)) for one in dataclasses.fields(switches)]
    return page("switches.html", rows=rows, standard=Switches())


def _set_switches(visit: Visit) -> Response:
    """Set the switches sent; a true-or-false one that is not sent is off."""
    fresh = Switches()
    for one in dataclasses.fields(fresh):
        setattr(fresh, one.name, _value(one, visit.form.get(one.name)))
    visit.world.switches = fresh
    return RedirectResponse("/xero-books/switches", 303)


def _value(one: "dataclasses.Field[Any]", text: str | None) -> Any:
    if one.type is bool:
        return text is not None
    if text is None:
        return one.default
    choices = get_args(one.type)
    if choices and text not in choices:
        raise Rejected(f"{one.name} knows {', '.join(choices)}.")
    try:
        return one.type(text) if one.type in (int, float) else text
    except ValueError:
        raise Rejected(f"{one.name} needs a number.") from None


def _reset_switches(visit: Visit) -> Response:
    visit.world.switches = Switches()
    return RedirectResponse("/xero-books/switches", 303)


VIEWS: list[tuple[str, str, View]] = [
    ("GET", "/", _index),
    ("GET", "/switches", _switches),
    ("POST", "/switches", _set_switches),
    ("POST", "/switches/reset", _reset_switches),
    ("GET", "/{organisation}", _overview),
    ("POST", "/{organisation}", _set_up),
    ("POST", "/{organisation}/disconnect", _disconnect),
    ("GET", "/{organisation}/transactions", _transactions),
    ("POST", "/{organisation}/transactions", _enter),
    ("GET", "/{organisation}/transactions/{id}", _transaction),
    ("POST", "/{organisation}/transactions/{id}", _change_transaction),
    ("GET", "/{organisation}/transactions/{id}/files/{file}", _file),
    ("GET", "/{organisation}/transfers", _transfers),
    ("GET", "/{organisation}/transfers/{id}", _transfer),
    ("POST", "/{organisation}/transfers/{id}", _change_transfer),
    ("GET", "/{organisation}/transfers/{id}/files/{file}", _transfer_file),
    ("GET", "/{organisation}/contacts", _contacts),
    ("POST", "/{organisation}/contacts/{id}", _change_contact),
    ("GET", "/{organisation}/accounts", _accounts),
    ("POST", "/{organisation}/accounts/{id}", _change_account),
    ("POST", "/{organisation}/tax-rates/{id}", _change_tax_rate),
    ("GET", "/{organisation}/tracking", _tracking),
    ("POST", "/{organisation}/tracking", _add_tracking),
    ("POST", "/{organisation}/tracking/{id}", _change_tracking),
]
