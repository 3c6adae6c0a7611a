"""Small worlds for tests: Acme is ours, Rival must never see it. Everything goes through the simulated companies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connectors.models import Connection, Credential
from connectors.pex import auth as pex_auth
from connectors.pex.client import Token
from connectors.records import Kind
from connectors.settings import TAG, FieldSource, Settings
from pexsync import clock
from pexsync.accounts import permissions
from pexsync.accounts.models import Business, Membership, User
from pexsync.accounts.tenancy import everywhere, scope
from syncjobs import engine, runs
from syncjobs.models import SyncRun

PROJECTS = ("Maple Street Renovation", "Harbor View Apartments", "Yard and Warehouse")


@dataclass(frozen=True)
class Kinds:
    """What `World.all_kinds` found in Xero and PEX, or added there."""

    fees: Any  # sandbox.xero's accounts
    income: Any
    source_cash: Any
    contact: Any
    tracking: dict[str, tuple[Any, Any]]  # name -> sandbox.xero's category, and the dropdown tag that feeds it
    words: Any  # the text tag that feeds Item Description


@dataclass
class World:
    """One business, connected and set up: what the product holds, and both companies behind it."""

    sandbox: Any
    pex: Any  # sandbox.pex's business
    books: Any  # sandbox.xero's organisation
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

        `tracking` names categories of Xero, each fed by the dropdown tag of that name. Those that are not there are
        added with the projects as options, whose ids are the tag's values. Item Description is read from a text tag.
        """
        books = self.books
        kinds = Kinds(
            fees=books.account("404"),
            income=_named(books.accounts, "Other Revenue") or books.add_account("260", "Other Revenue", "REVENUE"),
            source_cash=_named(books.accounts, "Business Checking") or books.add_bank_account("Business Checking"),
            contact=_named(books.contacts, "PEX") or books.add_contact("PEX"),
            tracking={name: self._tracked(name) for name in tracking},
            words=_named(self.pex.tags, "Purpose") or self.pex.add_tag("Purpose", type="Text"),
        )
        moving = Kind.BILL_PAYMENT if self.pex.funding == "Credit" else Kind.TRANSFER
        stored = Settings.parse(self.connection.settings).stored()
        tagged = {f"tracking:{category.id}": tag.tag_id for category, tag in kinds.tracking.values()}
        tagged["description"] = kinds.words.tag_id
        self.set(
            kinds=[Kind.PURCHASE.value, Kind.FEE.value, moving.value, Kind.REBATE.value],
            fields=stored["fields"] | {key: FieldSource(source=TAG, tag=tag).stored() for key, tag in tagged.items()},
            by_kind={
                Kind.FEE.value: {"account": kinds.fees.id, "party": kinds.contact.id},
                Kind.REBATE.value: {"account": kinds.income.id, "party": kinds.contact.id},
                Kind.TRANSFER.value: {"account": kinds.source_cash.id},
                Kind.BILL_PAYMENT.value: {"account": kinds.source_cash.id},
            },
        )
        return kinds

    def _tracked(self, name: str) -> tuple[Any, Any]:
        category = _named(self.books.tracking, name) or self.books.add_tracking(name, PROJECTS)
        options = [(option.id, option.name) for option in category.options]
        return category, _named(self.pex.tags, name) or self.pex.add_tag(name, options=options)


def _named(things: Mapping[Any, Any], name: str) -> Any:
    """The record of this name among those one of the companies keeps by id; None when it has none."""
    return next((thing for thing in things.values() if thing.name == name), None)


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


def world(sandbox: Any, name: str = "Acme Builders", business_id: int = 4410, username: str = "ann.admin") -> World:
    """A business on PEX and its organisation in Xero, linked, with purchases by tag switched on."""
    pex = sandbox.worlds["pex"].add_business(name=name, business_id=business_id)
    admin = pex.add_admin(username=username, first=username.split(".")[0].title(), last="Admin")
    pex.add_cardholder("Carla", "Cole")
    tag = pex.add_tag("Expense Account", options=[("429", "General Expenses"), ("449", "Motor Vehicle Expenses")])
    books = sandbox.worlds["xero"].add_organisation(name=f"{name} LLC", short_code=f"!{business_id}")
    bank = books.add_bank_account("PEX Cash Account")
    for code, title in (("429", "General Expenses"), ("449", "Motor Vehicle Expenses"), ("404", "Bank Fees")):
        books.add_account(code, title)
    business, user = member(name, business_id, username)
    pex_auth.adopt(
        business,
        user,
        pex_auth.SignIn(Token(sandbox.worlds["pex"].token(admin, "pexsync-demo"))),
        [permission.value for permission in permissions.CONNECTOR],
    )
    linked = Settings(
        kinds=frozenset({Kind.PURCHASE}),
        start_date=clock.today() - timedelta(days=90),
        pex_account=bank.id,
        fields={"account": FieldSource(source=TAG, tag=tag.tag_id, default="")},
    )
    connection = connect(sandbox, business, user, books, linked)
    return World(sandbox, pex, books, admin, tag, business, user, connection)


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
