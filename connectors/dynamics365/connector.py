"""The declaration of Dynamics 365 Business Central, and its verbs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar

from django.conf import settings

from connectors import sign_in
from connectors.connector import Connector, Deadline, Receipts, Resync
from connectors.dynamics365 import auth, export, forms, mapping, options
from connectors.dynamics365.client import BadRequest, Client, NotLetIn, Operation, address, of_user
from connectors.dynamics365.mapping import JSON
from connectors.dynamics365.options import Books
from connectors.errors import NoAnswer, NotReached, RetryLater, SettingsNeeded
from connectors.limits import Limits
from connectors.models import Connection
from connectors.records import (
    PARTY,
    BookRecord,
    Company,
    Entry,
    ExpectedReceipt,
    Field,
    Finding,
    Found,
    Kind,
    Option,
    Outcome,
    Party,
    Receipt,
    Sent,
)
from connectors.settings import ONE_PARTY, TAG, Settings
from pexsync import clock

NAME = 200  # characters of a company's name that are kept
FAMILY, PRODUCTION = "businesscentral", "production"
VENDORS_PAGE, LEDGER_SETUP_PAGE = 27, 118
JOURNAL = "journal"  # what `mend` makes
BY_HAND = (
    "In Business Central open General Journals, press New and enter the name PEX Card and a description. Leave Bal. "
    "Account No., No. Series and Posting No. Series blank."
)
ELSEWHERE = "Restore it there, or choose another in the settings."


class Dynamics365(Connector):
    key = "dynamics365"
    label = "Dynamics 365"
    app_name = "PEX Connector for Dynamics 365"
    tagline = "Send PEX transactions and their receipts to a Dynamics 365 Business Central journal, coded and ready."
    more = (
        "Every settled PEX purchase becomes an entry in the general journal PEX Card of Business Central, with its "
        "account, dimensions and vendor, and its receipts as incoming document files. Fees, transfers, bill payments "
        "and rebates are entered where you switch them on. Each one is entered exactly once.",
        "Nothing is posted for you: somebody in your company reviews the journal and posts it.",
        "You need an administrator's sign-in on both sides, an asset account in Business Central that stands for your "
        "money at PEX, and, where tags are to choose the account, a dropdown tag in PEX.",
    )
    kinds = mapping.KINDS
    needs: ClassVar[Mapping[Kind, Kind]] = {}
    note = "Synced with Dynamics 365"
    foreign_marks = ("Synced with Dynamics 365",)
    takes_statements = False
    receipt_limits = "Business Central keeps receipts as incoming document files; we take files of up to 25 MB there."
    batch_size = 50
    receipts = Receipts.AFTER
    resync = Resync.SUPPORT
    settle_after = timedelta(minutes=20)
    where = "posted in Dynamics 365"
    where_draft = "in the PEX Card journal, not posted"
    company_word = "Company"
    company_in_setup = True
    party_word = "vendor"
    sync_word = "EXECUTE"
    sync_page = "Sync"
    setup_page = "Settings"
    makes_room = True
    stages = "Tags"
    parallel = 3
    before = (
        "Have a Microsoft account with admin access to your Business Central environment.",
        "In Business Central, under Finance, General Journals, press + New and enter a journal: Name PEX Card, a "
        "Description such as PEX Card Journal, Bal. Account Type G/L Account. Leave Bal. Account No., No. Series, "
        "Posting No. Series and Reason Code blank unless your organization requires them. Without a journal of that "
        "name nothing can be synced; we look for it once you are connected, and can create it for you.",
    )
    sign_in_at = "Microsoft"
    sign_in_steps = (
        "Press CONNECT, and sign in to Microsoft with an account that has admin access to your Business Central "
        "environment.",
        "Allow PEX Sync to access your Dynamics 365 data.",
        "Come back here. The connection is “Connected: Not Ready” while we look for your companies, a few minutes at "
        "most, and turns to “Connected: Ready” by itself.",
    )
    sign_in_hint = "Use an account with admin access to your Business Central environment."
    no_company = "Ensure you have at least one active company in Business Central that whoever signed in may open."
    may_do = (
        "Add the entries of your PEX transactions to the journal PEX Card, with their receipts.",
        "Find vendors for merchants, and add those that are missing.",
        "Read your companies, accounts, dimensions and settings.",
    )
    never = "It never posts the journal, never edits or deletes what others entered, and never moves money."
    leaves = False
    sign_up = "https://dynamics.microsoft.com/business-central/"
    status_page = "https://status.cloud.microsoft/"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.client = Client(connection)
        self._books = Books(self.client)
        self._files = export.Files(self._books)

    def close(self) -> None:
        self.client.close()

    @classmethod
    def configured(cls) -> bool:
        return bool(settings.ENTRA_CLIENT_ID and settings.ENTRA_CLIENT_SECRET)

    @classmethod
    def limits(cls, connection: Connection) -> Sequence[Limits]:
        return (of_user(connection),)

    @classmethod
    def record_in(cls, text: str) -> str:
        return mapping.record_in(text)

    @classmethod
    def page_of_books(cls, connection: Connection) -> tuple[str, str]:
        if not connection.company:
            return "", ""
        return "Open the PEX Card journal", options.web_of(connection).journal()

    # --- the company --------------------------------------------------------------------------------------------------

    def companies(self) -> Sequence[Company]:
        """Those of all environments the user works in. Raises `NotAuthorized` when there is none."""
        with options.shown("environments"):
            environments = [row for row in self.client.environments() if _is_family(row)]
        user, tenant = auth.user_of(self.connection), auth.tenant_of(self.connection)
        found: list[Company] = []
        shut: NotLetIn | None = None
        for environment in environments:
            try:
                with options.shown("companies"):
                    rows = self.client.companies(environment["name"])
            except NotLetIn as error:
                shut = error
                continue
            found += [_company(tenant, environment, row, user, alone=len(environments) == 1) for row in rows]
        if shut and not found:
            raise shut
        return found

    def closed_until(self) -> date | None:
        return mapping.closed_until(self._books.ledger_setup)

    def disconnect(self) -> None:
        """Forget the secret; Microsoft has no call that ends an app's access."""
        sign_in.forget(self.connection)

    # --- settings -----------------------------------------------------------------------------------------------------

    def fields(self) -> Sequence[Field]:
        return [*mapping.FIELDS, *mapping.dimension_fields(self._books.dimensions)]

    def options(self, field: str) -> Sequence[Option]:
        return options.options(self._books, field)

    # --- preflight ----------------------------------------------------------------------------------------------------

    def check(self) -> Sequence[Finding]:
        """The company first: when it cannot be opened nothing else is asked. Raises `NotAuthorized`."""
        name = "Company in Business Central"
        try:
            company = self._company()
            if company is None:
                says = "The company is not there, or is not one whoever signed in may open."
                return [Finding(name, "missing", says, "Choose a company in the settings.")]
            there = Finding(name, "ok", f"{company.name} can be reached.")
        except SettingsNeeded as error:
            return [Finding(name, "missing", error.says, "Choose the company in the settings.")]
        except RetryLater as error:
            return [Finding(name, "unknown", error.says, "Look again in a few minutes.")]
        except NotLetIn as error:
            return [Finding(name, "missing", error.says, "Give the user access in Business Central, then look again.")]
        try:
            return [there, self._permissions(), *self._set_up()]
        except NotLetIn as error:
            fix = "Give the user a permission set that covers it, D365 BUS FULL ACCESS for example, then look again."
            return [there, Finding("Permissions in Business Central", "missing", error.says, fix)]
        except RetryLater as error:
            return [there, Finding("Books", "unknown", error.says, "Look again in a few minutes.")]

    def _company(self) -> Company | None:
        """Raises `SettingsNeeded` while none is chosen."""
        if not self.connection.company:
            raise SettingsNeeded("No company is chosen yet.", field="company")
        return next((one for one in self.companies() if one.id == self.connection.company), None)

    def _permissions(self) -> Finding:
        """Whether everything may be read. Raises `NotLetIn`; what may be written shows with the first entry."""
        lists = ("vendors", "generalLedgerEntries", "attachments")
        with options.shown("lists"):
            answers = self.client.batch([Operation("GET", address(name, top=1)) for name in lists], writes=False)
        closed = [name for name, inner in zip(lists, answers, strict=True) if inner and not inner.ok]
        if closed:
            raise RetryLater(f"Business Central does not show its {closed[0]} at the moment.")
        return Finding("Permissions in Business Central", "ok", "Everything that is needed may be read.")

    def _set_up(self) -> Iterator[Finding]:
        yield self._currency()
        yield self._journal()
        yield Finding(
            "Set-up of the journal",
            "unknown",
            "Look whether the journal has a number series, a posting number series or an approval. With a number "
            "series that takes no numbers of others the journal cannot be posted.",
            "Leave them blank unless your company needs them.",
            link=self._books.web.page(mapping.JOURNALS_PAGE),
        )
        yield self._pex_account()
        yield self._open_dates()
        yield from self._vendors()
        yield from self._unfit()

    def _currency(self) -> Finding:
        try:
            self._books.check_currency()
        except SettingsNeeded as error:
            link = self._books.web.page(LEDGER_SETUP_PAGE)
            return Finding("Currency", "missing", error.says, "Choose another company in the settings.", link=link)
        return Finding("Currency", "ok", "The company is kept in US dollars.")

    def _journal(self) -> Finding:
        name, row, web = "PEX Card journal", self._books.our_journal(), self._books.web
        if row is None:
            return Finding(
                name,
                "missing",
                "There is no general journal named PEX Card, at least none of the usual template for general journals: "
                "entries have nowhere to go.",
                BY_HAND,
                link=web.page(mapping.JOURNALS_PAGE),
                mend=JOURNAL,
                mend_word="CREATE THE JOURNAL FOR ME",
            )
        if row.get("balancingAccountNumber"):
            return Finding(
                name,
                "missing",
                f"The journal has the balancing account {row['balancingAccountNumber']}. Each line would book itself "
                "against it, the line on the PEX account too, so every entry would stand there twice.",
                "Open the journals in Business Central and empty Bal. Account No. of PEX CARD.",
                link=web.page(mapping.JOURNALS_PAGE),
            )
        return Finding(name, "ok", f"The journal {row.get('code')} is there.", link=web.journal())

    def _pex_account(self) -> Finding:
        name, chosen = "PEX account", Settings.parse(self.connection.settings).pex_account
        known, charge = self.options(mapping.PEX), self.connection.business.charge
        account = next((option for option in known if option.id == chosen), None)
        what = "a liability" if charge else "an asset"
        if account is None:
            says = "No account of this company is chosen yet to stand for PEX."
            fix = f"Choose {what} account in the settings; add one in Business Central if there is none."
            return Finding(name, "missing", says, fix)
        trouble = forms.unfit(account, charge, known)
        if trouble:
            return Finding(name, "missing", trouble, f"Choose {what} account in the settings.")
        return Finding(name, "ok", forms.doubtful(account, charge) or f"{account.label}, {what} account.")

    def _open_dates(self) -> Finding:
        name, setup, until = "Posting dates", self._books.ledger_setup, self.closed_until()
        last, link = mapping.day(setup.get("allowPostingTo")), self._books.web.page(LEDGER_SETUP_PAGE)
        if last and last < clock.today():
            return Finding(
                name,
                "missing",
                f"The company allows postings up to {last} only: newer entries wait in the journal.",
                "Move Allow Posting To in the General Ledger Setup, or empty it.",
                link=link,
            )
        open_from = f"Closed until {until}: transactions up to that day wait." if until else "All days are open."
        return Finding(name, "ok", f"{open_from} What one user may post is theirs to know.", link=link)

    def _vendors(self) -> Iterator[Finding]:
        vendors, chosen = self._books.vendors, Settings.parse(self.connection.settings)
        if Kind.PURCHASE not in chosen.kinds or not vendors.in_ledger:
            return
        yield Finding(
            "Vendors",
            "unknown",
            "Purchases pass through their vendors' accounts. Each vendor needs a vendor posting group before the "
            "journal can be posted.",
            "Give new vendors a template with a posting group.",
            link=self._books.web.page(VENDORS_PAGE),
        )

    def _unfit(self) -> Iterator[Finding]:
        """What the settings name of every kind and the books do not take any more; nothing where all is in order."""
        chosen, fields = Settings.parse(self.connection.settings), self.fields()
        for wanted in fields:
            for kind in sorted(chosen.kinds.intersection(wanted.kinds)):
                source = chosen.source(kind, wanted.key)
                value = source.default if source.source == TAG else source.value
                if wanted.key == PARTY:
                    value = (value or chosen.party) if chosen.party_mode == ONE_PARTY else ""
                says = self._trouble(wanted, value) if value else ""
                if says:
                    yield Finding(f"{wanted.label} of {kind.label}s", "missing", says, ELSEWHERE)
        mapped = {key for key, source in chosen.fields.items() if source.tag or source.value}
        mapped.update(key for values in chosen.by_kind.values() for key, value in values.items() if value)
        if any(key.startswith(mapping.DIMENSION) for key in mapped - {wanted.key for wanted in fields}):
            says = "A dimension of the settings is not in Business Central any more: nothing is coded with it."
            yield Finding("Dimensions", "missing", says, "Restore it there, or map another in the settings.")

    def _trouble(self, wanted: Field, value: str) -> str:
        """Why the books do not take this value of a field; "" when they do."""
        option = next((each for each in self.options(wanted.list_name) if each.id == value), None)
        if option is None:
            return "It is not in Business Central any more."
        if not option.active:
            return f"{option.label} is blocked in Business Central."
        return forms.unfit_source(option) if wanted.list_name == mapping.BANKS else ""

    def mend(self, what: str) -> str:
        """Create the journal. Raises `RetryLater`, `SettingsNeeded` with what Business Central says against it."""
        if what != JOURNAL:
            return super().mend(what)
        self._books.forget()
        if self._books.our_journal():
            return "The journal PEX CARD is there already."
        try:
            self.client.create("journals", {"code": mapping.JOURNAL, "displayName": "PEX Card Journal"})
        except (NoAnswer, NotReached) as error:
            raise RetryLater("Business Central did not answer. Look again whether the journal is there.") from error
        except BadRequest as error:
            raise SettingsNeeded(f"Business Central did not create the journal: {error.message}") from error
        finally:
            self._books.forget()
        return "The journal PEX CARD was created in Business Central."

    # --- the books ----------------------------------------------------------------------------------------------------

    def books(self, first: date, last: date) -> Sequence[BookRecord]:
        account = Settings.parse(self.connection.settings).pex_account
        if not account:
            raise SettingsNeeded("Choose the account in Business Central that stands for PEX.", field=mapping.PEX)
        return export.on_account(self._books, account, first, last)

    def find(self, sent: Sequence[Sent]) -> Mapping[str, Found]:
        return export.find(self._books, sent)

    def prepare(self, entries: Sequence[Entry]) -> None:
        """Create the vendors of many entries at once, before any of them is claimed."""
        export.prepare(self._books, entries)

    def missing_parties(self, parties: Sequence[Party]) -> Sequence[Party]:
        return self._books.vendors.missing(parties)

    def post(self, entries: Sequence[Entry], deadline: Deadline) -> Mapping[str, Outcome]:
        return export.post(self._books, entries, deadline)

    def make_room(self, expected: Mapping[str, Sequence[ExpectedReceipt]]) -> None:
        self._files.make_room(expected)

    def attach(self, record_id: str, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        return self._files.attach(record_id, receipts)

    def url_of(self, business_id: int, key: str, account_id: int | None) -> str:
        """`business_id` is PEX's. What has no card leads to the dashboard itself: PEX has no page of a transaction."""
        page = f"cards/{account_id}/detail" if account_id else ""
        return f"{settings.PEX_DASHBOARD_URL}/{page}?transaction={business_id}-{key}"


def _is_family(environment: JSON) -> bool:
    return mapping.norm(str(environment.get("applicationFamily") or "")) == FAMILY


def _company(tenant: str, environment: JSON, row: JSON, user: str, *, alone: bool) -> Company:
    """A company as people choose it: the environment is named where the name alone would not tell which one it is."""
    place, kind = str(environment["name"]), str(environment.get("type") or "")
    name = str(row.get("displayName") or row.get("name") or "")
    if not alone or kind.casefold() != PRODUCTION:
        name = f"{name} ({place})"
    facts = {"name": str(row.get("name") or ""), "environment": place, "environment_type": kind, "user": user}
    return Company(f"{tenant}/{place}/{row['id']}", name[:NAME], facts)
