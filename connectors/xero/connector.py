"""Xero's declaration and its verbs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar

from django.conf import settings

from connectors import sign_in
from connectors.connector import Connector, Deadline, Receipts, Resync
from connectors.errors import NotAuthorized, RetryLater, SettingsNeeded
from connectors.limits import Limits
from connectors.models import Connection
from connectors.records import (
    PARTY,
    BookRecord,
    Company,
    Entry,
    Field,
    Finding,
    Found,
    Kind,
    Option,
    Outcome,
    Party,
    Receipt,
    Refused,
    Sent,
)
from connectors.settings import ONE_PARTY, TAG, Settings
from connectors.xero import auth, export, mapping
from connectors.xero.client import Client, of_app, of_company
from connectors.xero.options import Books

UNNAMED = "Unnamed organisation"
NAME = 200  # characters of a company's name that are kept


class Xero(Connector):
    key = "xero"
    label = "Xero"
    app_name = "PEX Connector for Xero"
    tagline = "Send PEX purchases and their receipts to Xero, coded and ready to reconcile."
    more = (
        "Every settled PEX purchase becomes a spend money transaction on the Xero bank account that stands for PEX, "
        "a refund becomes receive money, and receipts are attached. Fees, rebates, transfers and bill payments are "
        "booked where you switch them on. Each one is booked exactly once.",
        "You need an administrator's sign-in on both sides, a bank account in US dollars in Xero that stands for PEX, "
        "and, where tags are to choose the account, a dropdown tag in PEX.",
        "It helps to be signed in to Xero in another tab of this browser before you press CONNECT.",
    )
    kinds = (Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.BILL_PAYMENT, Kind.REBATE)
    needs: ClassVar[Mapping[Kind, Kind]] = {Kind.REBATE: Kind.PURCHASE}
    note = "Synced with Xero"
    foreign_marks = ("Synced with Xero",)
    receipt_limits = "Xero keeps ten files of one transaction, of up to 10 MB each."
    batch_size = 50
    receipts = Receipts.AFTER
    resync = Resync.NOTE
    settle_after = timedelta(minutes=10)
    where = "in Xero"
    stages = "Fields"
    before = ("Be an administrator of your Xero organization, and sign in there in another browser tab.",)
    sign_in_steps = (
        "Sign in to Xero in another browser tab first.",
        "Press CONNECT, choose your organization there and press Allow access.",
        "Come back here, choose the organization to use and press CONFIRM.",
    )
    sign_in_hint = "It is easier when you are signed in to Xero in another tab of this browser first."
    no_company = "Connect again and choose one on the page that asks for access."
    may_do = (
        "Add the records of your PEX transactions, with their receipts.",
        "Find and add contacts for merchants.",
        "Read your accounts and settings.",
    )
    sign_up = "https://www.xero.com/signup/"
    status_page = "https://status.xero.com/"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.client = Client(connection)
        self._books = Books(self.client)

    def close(self) -> None:
        self.client.close()

    @classmethod
    def configured(cls) -> bool:
        return bool(settings.XERO_CLIENT_ID)

    @classmethod
    def limits(cls, connection: Connection) -> Sequence[Limits]:
        return (of_company(connection.company), of_app()) if connection.company else (of_app(),)

    @classmethod
    def record_in(cls, text: str) -> str:
        return mapping.record_id(text)

    # --- the company --------------------------------------------------------------------------------------------------

    def companies(self) -> Sequence[Company]:
        """The organisations the person shared. `connection_id` is what disconnecting needs."""
        return [
            Company(row["tenantId"], (row.get("tenantName") or UNNAMED)[:NAME], {"connection_id": row["id"]})
            for row in self.client.connections()
            if row.get("tenantType") == "ORGANISATION"
        ]

    def closed_until(self) -> date | None:
        return mapping.closed_until(self._books.organisation)

    def disconnect(self) -> None:
        """End the access as far as nobody else here needs it, and forget the secret. Raises `RetryLater`."""
        others = sign_in.others(self.connection)
        try:
            if not others.use_company:
                self._leave_company()
            if not others.use_credential and not self.client.connections():
                # Nothing of this person is left: only now revoking cuts nobody off.
                auth.revoke(self.client.session, auth.refresh_token(self.connection))
        except NotAuthorized:
            pass  # it is over already
        sign_in.forget(self.connection)

    def _leave_company(self) -> None:
        for row in self.client.connections():
            if row.get("tenantId") == self.connection.company:
                self.client.delete_connection(row["id"])

    # --- settings -----------------------------------------------------------------------------------------------------

    def fields(self) -> Sequence[Field]:
        return [*mapping.FIELDS, *mapping.tracking_fields(self._books.tracking)]

    def options(self, field: str) -> Sequence[Option]:
        if field == "account":
            return mapping.expense_accounts(self._books.accounts)
        if field == "pex_account":
            return self._books.bank_accounts
        if field == "party":
            return mapping.contact_options(self._books.contacts.rows)
        if field.startswith(mapping.TRACKING):
            return mapping.tracking_options(self._books.tracking, field)
        raise LookupError(f"Xero has no field {field!r}")

    def check(self) -> Sequence[Finding]:
        """The organisation first: when it cannot be reached nothing else is asked. Raises `NotAuthorized`."""
        try:
            organisation = self._books.organisation
            return [
                Finding("Xero organisation", "ok", f"{organisation.get('Name', 'The organisation')} can be reached."),
                self._permissions(),
                self._pex_account(),
                self._open_period(),
                *self._contact(),
                *self._unfit(),
            ]
        except SettingsNeeded as error:
            return [Finding("Xero organisation", "missing", error.says, "Choose the organisation on Connect.")]
        except RetryLater as error:
            return [Finding("Xero organisation", "unknown", error.says, "Look again in a few minutes.")]

    def _permissions(self) -> Finding:
        given = self.client.access.scopes()
        missing = {scope for scope in settings.XERO_SCOPES.split() if not {scope, scope.removesuffix(".read")} & given}
        if not missing:
            return Finding("Permissions in Xero", "ok", "Everything that was asked for is allowed.")
        return Finding(
            "Permissions in Xero",
            "missing",
            f"Not allowed yet: {', '.join(sorted(missing))}.",
            "Press RE-CONNECT and allow everything Xero lists.",
        )

    def _pex_account(self) -> Finding:
        name, chosen = "Bank account for PEX", Settings.parse(self.connection.settings).pex_account
        account = next((option for option in self.options("pex_account") if option.id == chosen), None)
        if account is None:
            return Finding(
                name,
                "missing",
                "No bank account of this organisation is chosen to stand for PEX.",
                "Add a bank account in US dollars in Xero (for example PEX Cash), then choose it in the settings.",
            )
        if not account.active:
            return Finding(name, "missing", f"{account.label} is archived in Xero.", "Restore it or choose another.")
        if account.group != mapping.PEX_CURRENCY:
            return Finding(
                name,
                "missing",
                f"{account.label} is kept in {account.group or 'no known currency'}, PEX cards in US dollars.",
                "Choose a bank account in US dollars; Xero may need a plan with several currencies for it.",
            )
        return Finding(name, "ok", f"{account.label}, in US dollars.")

    def _open_period(self) -> Finding:
        until = self.closed_until()
        says = f"Closed until {until}: transactions up to that day wait." if until else "No period is locked in Xero."
        return Finding("Lock dates", "ok", says)

    def _contact(self) -> Sequence[Finding]:
        chosen = Settings.parse(self.connection.settings)
        if chosen.party_mode != ONE_PARTY:
            return []
        contact = next((option for option in self.options("party") if option.id == chosen.party), None)
        if contact and contact.active:
            return [Finding("Contact", "ok", f"Purchases are booked against {contact.name}.")]
        says = f"{contact.name} is archived in Xero." if contact else "No contact is chosen for the purchases."
        fix = "Add or restore a contact in Xero (for example PEX), then choose it in the settings."
        return [Finding("Contact", "missing", says, fix)]

    def _unfit(self) -> Iterator[Finding]:
        """What the settings name of every kind and Xero does not take any more; nothing where all is in order."""
        chosen, fields = Settings.parse(self.connection.settings), self.fields()
        for wanted in fields:
            for kind in chosen.kinds.intersection(wanted.kinds):
                source = chosen.source(kind, wanted.key)
                value = source.default if source.source == TAG else source.value
                says = self._trouble(wanted, value) if value and not wanted.text else ""
                if says:
                    name = f"{wanted.label} of {kind.label}s"
                    yield Finding(name, "missing", says, "Restore it there, or choose another in the settings.")
        mapped = {key for key, source in chosen.fields.items() if source.tag or source.value}
        mapped.update(key for values in chosen.by_kind.values() for key, value in values.items() if value)
        if any(key.startswith(mapping.TRACKING) for key in mapped - {wanted.key for wanted in fields}):
            says = "A tracking category of the settings is archived in Xero: nothing is coded with it."
            yield Finding("Tracking categories", "missing", says, "Restore it there, or map another in the settings.")

    def _trouble(self, wanted: Field, value: str) -> str:
        """Why Xero does not take this value of a field; "" when it does."""
        if wanted.key == PARTY:
            answer = self._books.contacts.resolve([Party(id=value)], None)[Party(id=value)]
            return answer.says if isinstance(answer, Refused) else ""
        option = next((each for each in self.options(wanted.list_name) if each.id == value), None)
        if option is None:
            return "It is not in Xero any more."
        if not option.active:
            return f"{option.label} is archived in Xero."
        if wanted.list_name == mapping.BANKS and option.group != mapping.PEX_CURRENCY:
            return f"{option.label} is kept in {option.group or 'no known currency'}, not in US dollars."
        return ""

    # --- the books ----------------------------------------------------------------------------------------------------

    def books(self, first: date, last: date) -> Sequence[BookRecord]:
        account = Settings.parse(self.connection.settings).pex_account
        if not account:
            raise SettingsNeeded("Choose the Xero bank account that stands for PEX.", field="pex_account")
        return export.on_account(self._books, account, first, last)

    def find(self, sent: Sequence[Sent]) -> Mapping[str, Found]:
        return export.find(self._books, sent)

    def prepare(self, entries: Sequence[Entry]) -> None:
        """Create the contacts of many entries at once, fifty per call, before any of them is claimed."""
        parties = (entry.party for entry in entries if entry.kind not in mapping.BETWEEN_BANKS)
        self._books.contacts.resolve(parties, None)

    def missing_parties(self, parties: Sequence[Party]) -> Sequence[Party]:
        return self._books.contacts.missing(parties)

    def post(self, entries: Sequence[Entry], deadline: Deadline) -> Mapping[str, Outcome]:
        return export.post(self._books, entries, deadline)

    def attach(self, record_id: str, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        return export.attach(self.client, record_id, receipts)

    def url_of(self, business_id: int, key: str, account_id: int | None) -> str:
        """`business_id` is PEX's. What has no card leads to the dashboard itself: PEX has no page of a transaction."""
        page = f"cards/{account_id}/detail" if account_id else ""
        return f"{settings.PEX_DASHBOARD_URL}/{page}?transaction={business_id}-{key}"
