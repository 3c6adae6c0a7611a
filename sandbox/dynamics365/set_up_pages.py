"""The pages of a company's vendors, accounts, dimensions and set-up."""

from starlette.responses import Response

from sandbox.dynamics365 import set_up
from sandbox.dynamics365.look import page
from sandbox.dynamics365.records import BLOCKED, CATEGORIES, GL, NO_DATE, NOBODY, Account, Dimension, Vendor
from sandbox.dynamics365.visit import Rejected, View, Visit, day, found
from sandbox.dynamics365.world import User

RIGHTS = ("all", "read", "none")


def _overview(visit: Visit) -> Response:
    company, world = visit.company, visit.world
    tenant = next(one for one in world.tenants.values() for place in one.environments if company.id in place.companies)
    return page(
        "overview.html",
        company=company,
        root=visit.root,
        place=world.place_of(company),
        tenant=tenant,
        people=[one for one in world.users.values() if one.tenant is tenant],
        apps=list(world.apps.values()),
        consents=world.consents,
        rights=RIGHTS,
        unlinked=[one for one in company.attachments.values() if one.parent == NOBODY],
    )


def _set_up(visit: Visit) -> Response:
    company, form = visit.company, visit.form
    company.posting_from = day(visit.text("posting_from")) or NO_DATE
    company.posting_to = day(visit.text("posting_to")) or NO_DATE
    company.currency = visit.text("currency").upper() or company.currency
    company.display_name = visit.text("display_name")
    for name in ("incoming_approval", "force_balance", "vendor_series"):
        setattr(company, name, name in form)
    return visit.back()


def _person(visit: Visit) -> Response:
    """Change what a person may do in Business Central, or take the person's sign-ins away."""
    user: User = found(visit.world.users, visit.path["user"])
    action = visit.text("action")
    if action == "revoke":
        visit.world.revoke(user)
    elif action == "withdraw":
        visit.world.withdraw(user, visit.text("client_id"))
    elif action == "rights" and visit.text("rights") in RIGHTS:
        user.rights, user.known = visit.text("rights"), "known" in visit.form
    else:
        raise Rejected("A person cannot be changed in this way.")
    return visit.back()


# Vendors


def _vendors(visit: Visit) -> Response:
    term = visit.query.get("q", "").strip()
    rows = [one for one in visit.company.vendors.values() if term.casefold() in f"{one.number} {one.name}".casefold()]
    rows.sort(key=lambda one: one.number)
    facts = visit.part(rows)
    return page("vendors.html", company=visit.company, root=visit.root, term=term, blocks=BLOCKED, **facts)


def _add_vendor(visit: Visit) -> Response:
    visit.company.add_vendor(_name(visit))
    return visit.back("vendors")


def _change_vendor(visit: Visit) -> Response:
    company = visit.company
    vendor: Vendor = found(company.vendors, visit.path["vendor"])
    action = visit.text("action")
    if action == "block":
        set_up.block_vendor(company, vendor, visit.form.get("blocked", ""))
    elif action == "rename":
        set_up.change(company, vendor, name=_name(visit))
    elif action == "posting-group":
        set_up.change(company, vendor, posting_group=visit.text("posting_group").upper())
    else:
        raise Rejected("A vendor cannot be changed in this way.")
    return visit.back("vendors", q=visit.text("q"))


def _name(visit: Visit) -> str:
    name = visit.text("name")
    if not 0 < len(name) <= 100:
        raise Rejected("Give a name of at most 100 characters.")
    return name


# Accounts


def _accounts(visit: Visit) -> Response:
    rows = sorted(visit.company.accounts.values(), key=lambda one: one.number)
    banks = sorted(visit.company.bank_accounts.values(), key=lambda one: one.number)
    return page("accounts.html", company=visit.company, root=visit.root, rows=rows, banks=banks, categories=CATEGORIES)


def _add_account(visit: Visit) -> Response:
    set_up.add_account(visit.company, visit.text("number"), _name(visit), visit.text("category"))
    return visit.back("accounts")


def _change_account(visit: Visit) -> Response:
    company = visit.company
    account = found({**company.accounts, **company.bank_accounts}, visit.path["account"])
    action = visit.text("action")
    if action in ("block", "unblock"):
        set_up.change(company, account, blocked=action == "block")
    elif action == "rename":
        set_up.change(company, account, name=_name(visit))
    elif action == "renumber" and isinstance(account, Account):
        set_up.renumber(company, account, visit.text("number"))
    elif action == "category" and isinstance(account, Account):
        set_up.categorize(company, account, visit.text("category"))
    elif action == "direct" and isinstance(account, Account):
        set_up.change(company, account, direct_posting=not account.direct_posting)
    else:
        raise Rejected("An account cannot be changed in this way.")
    return visit.back("accounts")


# Dimensions


def _dimensions(visit: Visit) -> Response:
    company = visit.company
    return page(
        "dimensions.html",
        company=company,
        root=visit.root,
        rows=list(company.dimensions.values()),
        kinds=set_up.KINDS_OF_VALUE,
        defaults=[one for one in company.accounts.values() if one.default_dimensions or one.mandatory],
    )


def _add_dimension(visit: Visit) -> Response:
    set_up.add_dimension(visit.company, visit.text("code"), visit.text("name"))
    return visit.back("dimensions")


def _change_dimension(visit: Visit) -> Response:
    """Add a value, block or unblock one, or set what an account gets by default."""
    company = visit.company
    dimension: Dimension = found(company.dimensions, visit.path["dimension"])
    action = visit.text("action")
    if action == "add":
        set_up.add_value(company, dimension, visit.text("code"), visit.text("name"), visit.text("kind"))
    elif action in ("block", "unblock"):
        set_up.change(company, found(dimension.values, visit.text("code")), blocked=action == "block")
    elif action == "rename":
        set_up.change(company, found(dimension.values, visit.text("code")), name=visit.text("name"))
    elif action == "default":
        account = set_up.named(company, GL, visit.text("account"))
        assert isinstance(account, Account)
        set_up.set_default_dimension(company, account, dimension, visit.text("value"), "mandatory" in visit.form)
    else:
        raise Rejected("A dimension cannot be changed in this way.")
    return visit.back("dimensions")


VIEWS: list[tuple[str, str, View]] = [
    ("GET", "/companies/{company}", _overview),
    ("POST", "/companies/{company}", _set_up),
    ("POST", "/companies/{company}/people/{user}", _person),
    ("GET", "/companies/{company}/vendors", _vendors),
    ("POST", "/companies/{company}/vendors", _add_vendor),
    ("POST", "/companies/{company}/vendors/{vendor}", _change_vendor),
    ("GET", "/companies/{company}/accounts", _accounts),
    ("POST", "/companies/{company}/accounts", _add_account),
    ("POST", "/companies/{company}/accounts/{account}", _change_account),
    ("GET", "/companies/{company}/dimensions", _dimensions),
    ("POST", "/companies/{company}/dimensions", _add_dimension),
    ("POST", "/companies/{company}/dimensions/{dimension}", _change_dimension),
]
