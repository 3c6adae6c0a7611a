"""Small worlds for tests: Acme is ours, Rival must never see it. Everything goes through the simulated companies."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msal

from connectors.dynamics365 import mapping as dynamics_mapping
from connectors.models import Connection, Credential
from connectors.pex import auth as pex_auth
from connectors.pex.client import Token
from connectors.records import DESCRIPTION, PARTY, Field, Kind
from connectors.settings import TAG, FieldSource, Settings
from connectors.xero import mapping as xero_mapping
from pexsync import clock
from pexsync.accounts import permissions
from pexsync.accounts.models import Business, Membership, User
from pexsync.accounts.tenancy import everywhere, scope
from syncjobs import engine, runs
from syncjobs.models import SyncRun

EXPENSES = (("429", "General Expenses"), ("449", "Motor Vehicle Expenses"), ("404", "Bank Fees"))
PROJECTS = ("Maple Street Renovation", "Harbor View Apartments", "Yard and Warehouse")


@dataclass(frozen=True)
class Kinds:
    """What `World.all_kinds` found in the books and PEX, or added there; None for what these books do not ask for."""

    fees: Any  # the sandbox's accounts
    income: Any
    source_cash: Any
    contact: Any
    tracking: dict[str, tuple[Any, Any]]  # name -> the sandbox's category or dimension, and the dropdown tag for it
    words: Any  # the text tag that feeds the description of a line


@dataclass
class World:
    """One business, connected and set up: what the product holds, and both companies behind it."""

    sandbox: Any
    pex: Any  # sandbox.pex's business
    books: Any  # sandbox.xero's organisation, or sandbox.dynamics365's company
    admin: Any  # sandbox.pex's admin
    expense_tag: Any
    business: Business
    user: User
    connection: Connection

    def purchase(self, amount: str = "12.50", account: str | None = "429", **fields: Any) -> Any:
        """A settled, approved purchase of yesterday, tagged with an account code."""
        fields.setdefault("settled", clock.now() - timedelta(days=1))
        fields.setdefault("approval", "Approved")
        fields.setdefault("merchant", "Staples")
        if account is not None and "splits" not in fields:
            fields.setdefault("tags", {self.expense_tag.tag_id: account})
        return self.pex.add_purchase(amount=amount, **fields)

    def sync(self, slices: int = 10) -> SyncRun:
        """Press SYNC, confirm what is asked, and work until the run rests."""
        run = runs.start(self.connection, self.user)
        for _ in range(slices):
            engine.advance(run.pk)
            with everywhere():
                run.refresh_from_db()
            if run.preview and run.confirmed_at is None and run.alive:
                runs.confirm(run, self.user)
                with everywhere():
                    self.connection.refresh_from_db()
            elif not run.alive or run.status == SyncRun.Status.PAUSED:
                break
        return run

    def set(self, **changes: Any) -> None:
        """Change the connection's settings."""
        stored = Settings.parse(self.connection.settings).stored() | changes
        with scope(self.business.pk):
            self.connection.settings = stored
            self.connection.settings_version += 1
            self.connection.save()

    def all_kinds(self, tracking: Iterable[str] = ()) -> Kinds:
        """Switch on every kind this business has: transfers of a prepaid one, bill payments of a charge account.

        `tracking` names categories or dimensions of the books, each fed by the dropdown tag of that name. Those that
        are not there are added with the projects as options, whose ids are the tag's values. Where the books take
        words of one's own for a line, they are read from a text tag.
        """
        shelf = SHELVES[self.connection.system]
        asked = {(kind, field.key) for field in shelf.fields for kind in field.kinds}
        wants_party = any((kind, PARTY) in asked for kind in (Kind.FEE, Kind.REBATE))
        kinds = Kinds(
            fees=self.books.account("404"),
            income=_named(self.books.accounts, "Other Revenue")
            or self.books.add_account("260", "Other Revenue", shelf.income),
            source_cash=shelf.bank(self.books),
            contact=(_named(self.books.contacts, "PEX") or self.books.add_contact("PEX")) if wants_party else None,
            tracking={name: self._tracked(name) for name in tracking},
            words=self._words() if (Kind.PURCHASE, DESCRIPTION) in asked else None,
        )
        moving = Kind.BILL_PAYMENT if self.pex.funding == "Credit" else Kind.TRANSFER
        stored = Settings.parse(self.connection.settings).stored()
        tagged = {f"{shelf.group}{category.id}": tag.tag_id for category, tag in kinds.tracking.values()}
        if kinds.words:
            tagged[DESCRIPTION] = kinds.words.tag_id
        party = {PARTY: kinds.contact.id} if kinds.contact else {}
        self.set(
            kinds=[Kind.PURCHASE.value, Kind.FEE.value, moving.value, Kind.REBATE.value],
            fields=stored["fields"] | {key: FieldSource(source=TAG, tag=tag).stored() for key, tag in tagged.items()},
            by_kind={
                Kind.FEE.value: {"account": kinds.fees.id, **party},
                Kind.REBATE.value: {"account": kinds.income.id, **party},
                Kind.TRANSFER.value: {"account": f"{shelf.bank_id}{kinds.source_cash.id}"},
                Kind.BILL_PAYMENT.value: {"account": f"{shelf.bank_id}{kinds.source_cash.id}"},
            },
        )
        return kinds

    def _words(self) -> Any:
        return _named(self.pex.tags, "Purpose") or self.pex.add_tag("Purpose", type="Text")

    def _tracked(self, name: str) -> tuple[Any, Any]:
        category, options = SHELVES[self.connection.system].tracked(self.books, name)
        return category, _named(self.pex.tags, name) or self.pex.add_tag(name, options=options)


def _named(things: Mapping[Any, Any], name: str) -> Any:
    """The record of this name among those one of the companies keeps by id; None when it has none."""
    return next((thing for thing in things.values() if thing.name == name), None)


@dataclass(frozen=True)
class Shelf:
    """Where one system keeps what the settings name, and how it is called there."""

    fields: Sequence[Field]  # that are asked for of every company
    income: str  # what an account for income is
    bank: Callable[[Any], Any]  # the company -> the bank account PEX is funded from
    bank_id: str  # begins the id of such an option
    tracked: Callable[[Any, str], tuple[Any, list[tuple[str, str]]]]  # the category of a name, and its options
    group: str  # begins the key of its field


def _xero_bank(books: Any) -> Any:
    return _named(books.accounts, "Business Checking") or books.add_bank_account("Business Checking")


def _xero_category(books: Any, name: str) -> tuple[Any, list[tuple[str, str]]]:
    category = _named(books.tracking, name) or books.add_tracking(name, PROJECTS)
    return category, [(option.id, option.name) for option in category.options]


def _dynamics_bank(books: Any) -> Any:
    found = next((bank for bank in books.bank_accounts.values() if bank.number == "CHECKING"), None)
    return found or books.add_bank_account("CHECKING", "Business Checking")


def _dynamics_dimension(books: Any, name: str) -> tuple[Any, list[tuple[str, str]]]:
    values = [(f"P{number:03}", project) for number, project in enumerate(PROJECTS, 1)]
    dimension = _named(books.dimensions, name) or books.add_dimension(name, values, name=name)
    return dimension, [(value.id, value.name) for value in dimension.values.values()]


SHELVES = {
    "xero": Shelf(xero_mapping.FIELDS, "REVENUE", _xero_bank, "", _xero_category, xero_mapping.TRACKING),
    "dynamics365": Shelf(
        dynamics_mapping.FIELDS,
        "Income",
        _dynamics_bank,
        dynamics_mapping.BANK_ID,
        _dynamics_dimension,
        dynamics_mapping.DIMENSION,
    ),
}


def point_at(settings: Any, sandbox: Any) -> None:
    """Let the product reach the sandbox."""
    sandbox.product_url = "http://testserver"
    settings.PUBLIC_URL = "http://testserver"
    settings.PEX_API_URL = f"{sandbox.url}/pex"
    settings.PEX_OAUTH_URL = f"{sandbox.url}/pex-oauth"
    settings.PEX_DASHBOARD_URL = f"{sandbox.url}/pex-dashboard"
    settings.XERO_LOGIN_URL = f"{sandbox.url}/xero-login"
    settings.XERO_IDENTITY_URL = f"{sandbox.url}/xero-identity"
    settings.XERO_API_URL = f"{sandbox.url}/xero-api"
    settings.XERO_GO_URL = f"{sandbox.url}/xero-go"
    settings.ENTRA_URL = f"{sandbox.url}/entra"
    settings.BC_API_URL = f"{sandbox.url}/bc-api"
    settings.BC_WEB_URL = f"{sandbox.url}/bc"


def world(sandbox: Any, name: str = "Acme Builders", business_id: int = 4410, username: str = "ann.admin") -> World:
    """A business on PEX and its organisation in Xero, linked, with purchases by tag switched on."""
    pex, admin, tag = _on_pex(sandbox, name, business_id, username)
    books = sandbox.worlds["xero"].add_organisation(name=f"{name} LLC", short_code=f"!{business_id}")
    bank = books.add_bank_account("PEX Cash Account")
    for code, title in EXPENSES:
        books.add_account(code, title)
    business, user = _known_to_us(sandbox, admin, name, business_id, username)
    connection = connect(sandbox, business, user, books, _purchases_by_tag(bank.id, tag))
    return World(sandbox, pex, books, admin, tag, business, user, connection)


def dynamics(sandbox: Any, name: str = "Acme Builders", business_id: int = 4410, username: str = "ann.admin") -> World:
    """A business on PEX and its company in Business Central, linked, with purchases by tag switched on.

    The journal is there, a bank account, and the dimension DEPARTMENT; missing vendors are created.
    """
    pex, admin, tag = _on_pex(sandbox, name, business_id, username)
    entra = sandbox.worlds["dynamics365"]
    tenant = entra.add_tenant(f"{name} LLC")
    books = entra.add_company(entra.add_environment(tenant), name, display_name=f"{name} LLC")
    books.add_journal()
    card = books.add_account("10950", "PEX Card Prepaid", "Assets")
    for code, title in EXPENSES:
        books.add_account(code, title)
    books.add_account("260", "Other Revenue", "Income")
    books.add_bank_account("CHECKING", "Business Checking")
    books.add_dimension("DEPARTMENT", [("ADM", "Administration"), ("SALES", "Sales"), ("PROD", "Production")])
    person = entra.add_user(username, f"{username}@example.com", tenant)
    business, user = _known_to_us(sandbox, admin, name, business_id, username)
    extra = {"vendors": "names", "create_vendors": True}
    connection = connect_dynamics(entra, person, business, user, books, _purchases_by_tag(card.id, tag, extra=extra))
    return World(sandbox, pex, books, admin, tag, business, user, connection)


def _on_pex(sandbox: Any, name: str, business_id: int, username: str) -> tuple[Any, Any, Any]:
    """The business there, its admin, and the tag that names the expense account."""
    pex = sandbox.worlds["pex"].add_business(name=name, business_id=business_id)
    admin = pex.add_admin(username=username, first=username.split(".")[0].title(), last="Admin")
    pex.add_cardholder("Carla", "Cole")
    tag = pex.add_tag("Expense Account", options=[("429", "General Expenses"), ("449", "Motor Vehicle Expenses")])
    return pex, admin, tag


def _known_to_us(sandbox: Any, admin: Any, name: str, business_id: int, username: str) -> tuple[Business, User]:
    """The business and the person here, signed in with PEX."""
    business, user = member(name, business_id, username)
    pex_auth.adopt(
        business,
        user,
        pex_auth.SignIn(Token(sandbox.worlds["pex"].token(admin, "pexsync-demo"))),
        [permission.value for permission in permissions.CONNECTOR],
    )
    return business, user


def _purchases_by_tag(pex_account: str, tag: Any, **more: Any) -> Settings:
    return Settings(
        kinds=frozenset({Kind.PURCHASE}),
        start_date=clock.today() - timedelta(days=90),
        pex_account=pex_account,
        fields={"account": FieldSource(source=TAG, tag=tag.tag_id, default="")},
        **more,
    )


def member(name: str, business_id: int, username: str) -> tuple[Business, User]:
    business = Business.objects.create(pex_id=business_id, name=name)
    user, _ = User.objects.get_or_create(username=username, defaults={"name": username.split(".")[0].title()})
    with scope(business.pk):
        Membership.objects.create(
            business=business, user=user, permissions=[permission.value for permission in permissions.CONNECTOR]
        )
    return business, user


def connect(sandbox: Any, business: Business, user: User, books: Any, settings: Settings) -> Connection:
    """A live sign-in to the organisation, as CONNECT and CONFIRM leave it."""
    xero = sandbox.worlds["xero"]
    person = xero.add_user(user.username, f"{user.username}@example.com", [books])
    tokens = xero.grant(person, [books])
    now = clock.now()
    with scope(business.pk):
        credential = Credential.store(
            business, "xero", user, xero_secret(tokens), now + timedelta(seconds=tokens["expires_in"])
        )
        return Connection.objects.create(
            business=business,
            system="xero",
            state=Connection.State.READY,
            credential=credential,
            company=books.id,
            company_name=books.name,
            settings=settings.stored(),
            settings_version=1,
            installed_at=now,
            connected_at=now,
            connected_by=user,
        )


def xero_secret(tokens: dict[str, Any]) -> dict[str, Any]:
    return {
        "access_token": tokens["access_token"],
        "refresh_token": tokens["refresh_token"],
        "previous_refresh_token": "",
        "scope": tokens.get("scope", ""),
    }


def connect_dynamics(
    entra: Any, person: Any, business: Business, user: User, books: Any, settings: Settings
) -> Connection:
    """A live sign-in to Microsoft with the company chosen, as CONNECT and the settings leave it."""
    tokens = entra.sign_in(person)
    secret, now = dynamics_secret(tokens), clock.now()
    company = entra.place_of(books)
    with scope(business.pk):
        credential = Credential.store(
            business, "dynamics365", user, secret, now + timedelta(seconds=tokens["expires_in"])
        )
        return Connection.objects.create(
            business=business,
            system="dynamics365",
            state=Connection.State.READY,
            credential=credential,
            company=company,
            company_name=books.display_name,
            company_facts={
                "name": books.name,
                "environment": company.split("/")[1],
                "environment_type": "Production",
                "user": secret["user"],
            },
            settings=settings.stored(),
            settings_version=1,
            installed_at=now,
            connected_at=now,
            connected_by=user,
        )


def dynamics_secret(tokens: dict[str, Any]) -> dict[str, Any]:
    """What a sign-in leaves in msal's cache, from the answer of the simulated Entra."""
    cache, claims = msal.SerializableTokenCache(), msal.oauth2cli.oidc.decode_part(tokens["id_token"].split(".")[1])
    cache.add(
        {
            "client_id": "7f0d4c52-9c1e-4e0f-8a61-2c5e6d1f9b04",
            "scope": tokens["scope"].split(),
            "token_endpoint": "https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
            "grant_type": "authorization_code",
            "response": tokens,
        }
    )
    [account] = cache.search(cache.CredentialType.ACCOUNT)
    return {
        "access_token": tokens["access_token"],
        "cache": cache.serialize(),
        "tenant": json.loads(claims)["tid"],
        "user": account["home_account_id"],
        "name": account["username"],
    }
