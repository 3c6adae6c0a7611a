"""What one run reads of a company, each at most once: its set-up, its lists, its vendors (and creates those)."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import quote

from django.conf import settings

from connectors.connector import Deadline
from connectors.dynamics365 import mapping
from connectors.dynamics365.client import MOST_OPERATIONS, BadRequest, Client, Inner, Operation, address
from connectors.dynamics365.mapping import JSON, Chart, PartyNamed, Web
from connectors.errors import NoAnswer, NotReached, RetryLater, SettingsNeeded
from connectors.models import Connection
from connectors.records import PARTY, Option, Outcome, Party, Refused
from connectors.settings import Settings

NAMES, LEDGER = "names", "ledger"  # how vendors are kept, a member of settings.extra
VENDORS, CREATE_VENDORS = "vendors", "create_vendors"  # members of settings.extra
LATE = 300.0  # seconds after which what was asked for without an answer is looked at: it may still be under way
BUSY = 30.0  # seconds

# All of the set-up comes in one call.
LISTS = {
    "journals": address("journals", select="id,code,displayName,templateDisplayName,balancingAccountNumber"),
    "accounts": address("accounts", select="id,number,displayName,category,blocked,accountType,directPosting"),
    "bankAccounts": address("bankAccounts", select="id,number,displayName,blocked,currencyCode"),
    "dimensions": address(
        "dimensions", select="id,code,displayName", expand="dimensionValues($select=id,code,displayName)"
    ),
    "taxGroups": address("taxGroups", select="id,code,displayName"),
    "generalLedgerSetup": "generalLedgerSetup",
    "companyInformation": address("companyInformation", select="id,currencyCode"),
}

_NO_JOURNAL = (
    "Business Central has no general journal named PEX Card. Create it there under General Journals, or let the "
    "Connect page do it."
)
_BALANCED = (
    "The journal PEX CARD has the balancing account {number}, so each line would book itself twice. Empty Bal. Account "
    "No. of the journal in Business Central."
)
_FOREIGN = (
    "The company in Business Central is kept in {currency}; PEX cards are in US dollars. Choose a company kept in US "
    "dollars, or set LCY Code to USD in its General Ledger Setup."
)
_GONE = "The vendor is not in Business Central any more. Choose another vendor in the settings."
_BLOCKED = "The vendor “{name}” is blocked in Business Central. Unblock it there, or choose another in the settings."
_MISSING = (
    "There is no vendor “{name}” in this company. Add it in Business Central, or allow in the settings that missing "
    "vendors are created."
)
_LOST = "Business Central did not keep the vendor “{name}” under its name. Add it there by hand."
_SILENT = "Business Central did not answer when vendors were created. We look and try again."


def web_of(connection: Connection) -> Web:
    """Where people see the company of a connection."""
    place = "/".join(quote(part, safe="") for part in connection.company.split("/")[:2])
    name = connection.company_facts.get("name") or connection.company_name
    return Web(f"{settings.BC_WEB_URL}/{place}", str(name))


class Books:
    """The company as this run knows it. Some of it is asked for by several threads."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.vendors = Vendors(client)
        self.parents: dict[str, str] = {}  # record id -> id of the line or entry its receipts hang on
        self.filled: dict[str, frozenset[str]] = {}  # account -> ids of the dimensions it fills in by itself
        self._lock = threading.Lock()
        self._lists: dict[str, Inner] = {}
        self._chart: Chart | None = None

    def forget(self) -> None:
        """The set-up is read anew when it is next asked for."""
        with self._lock:
            self._lists, self._chart = {}, None

    @property
    def settings(self) -> Settings:
        return Settings.parse(self.client.connection.settings)

    @cached_property
    def web(self) -> Web:
        return web_of(self.client.connection)

    @property
    def journals(self) -> list[JSON]:
        """Those of the default template; Business Central lists no others."""
        return self._list("journals")

    @property
    def accounts(self) -> list[JSON]:
        return self._list("accounts")

    @property
    def banks(self) -> list[JSON]:
        return self._list("bankAccounts")

    @property
    def dimensions(self) -> list[JSON]:
        return self._list("dimensions")

    @property
    def tax_groups(self) -> list[JSON]:
        return self._list("taxGroups")

    @property
    def ledger_setup(self) -> JSON:
        return next(iter(self._list("generalLedgerSetup")), {})

    @property
    def chart(self) -> Chart:
        if self._chart is None:
            self._chart = mapping.chart(self.accounts, self.banks, self.dimensions, self.tax_groups)
        return self._chart

    @property
    def currency(self) -> str:
        """The one the company is kept in, as amounts without a currency are understood; "" where it names none."""
        named = self.ledger_setup.get("localCurrencyCode")
        return str(named or next(iter(self._list("companyInformation")), {}).get("currencyCode") or "").upper()

    def check_currency(self) -> None:
        """Raises `SettingsNeeded`: lines carry no currency, so dollars would be booked as something else."""
        if self.currency != mapping.PEX_CURRENCY:
            raise SettingsNeeded(_FOREIGN.format(currency=self.currency or "a currency it does not name"))

    def journal(self) -> JSON:
        """The one entries go to. Raises `SettingsNeeded` when it is missing or cannot be used, `RetryLater`."""
        found = self.our_journal()
        if not found or found.get("balancingAccountNumber"):
            self.forget()  # somebody may just have mended it
            found = self.our_journal()
        if found is None:
            raise SettingsNeeded(_NO_JOURNAL)
        if found.get("balancingAccountNumber"):
            raise SettingsNeeded(_BALANCED.format(number=found["balancingAccountNumber"]))
        return found

    def our_journal(self) -> JSON | None:
        return next((row for row in self.journals if mapping.is_ours(row)), None)

    def _list(self, name: str) -> list[JSON]:
        """Raises `RetryLater`, `NotAuthorized`."""
        with self._lock:
            if not self._lists:
                operations = [Operation("GET", path) for path in LISTS.values()]
                with shown("set-up"):
                    answers = self.client.batch(operations, writes=False)
                self._lists = {each: inner for each, inner in zip(LISTS, answers, strict=True) if inner}
            inner = self._lists[name]
        if not inner.ok:
            raise RetryLater(f"Business Central does not show its {name} at the moment: {inner.message}", after=300)
        return rows_of(inner.body)


@contextmanager
def shown(what: str) -> Iterator[None]:
    """A list that is refused changed nothing and may be shown later. Raises `RetryLater`."""
    try:
        yield
    except BadRequest as error:
        says = f"Business Central does not show its {what} at the moment: {error.message}"
        raise RetryLater(says, after=300) from error


def rows_of(body: JSON) -> list[JSON]:
    """The rows of a list. What there is only one of may come as a bare object."""
    found = body.get("value")
    return found if isinstance(found, list) else [body]


class Vendors:
    """All vendors of the company. Matched here: their names need not be unique, and filters mind the case."""

    FIELDS = "id,number,displayName,blocked"

    def __init__(self, client: Client) -> None:
        self.client = client
        self._index: _Index | None = None

    @property
    def rows(self) -> list[JSON]:
        return self._all().rows

    @property
    def _extra(self) -> Mapping[str, Any]:
        return Settings.parse(self.client.connection.settings).extra

    @property
    def creates(self) -> bool:
        return bool(self._extra.get(CREATE_VENDORS, True))

    @property
    def in_ledger(self) -> bool:
        """Whether purchases also pass through the accounts of their vendors."""
        return self._extra.get(VENDORS) == LEDGER

    def resolve(self, parties: Iterable[Party], deadline: Deadline | None) -> dict[Party, PartyNamed | Outcome]:
        """The vendor of each party, creating who is missing; or why its entry cannot go. Raises `RetryLater`.

        The same name could be taken twice there. So nobody is created before all were read, and nobody twice: without
        an answer the vendors are read again, not before whatever is under way has come to its end.
        """
        wanted = list(dict.fromkeys(parties))
        just_read = self._index is None
        found = self._match(wanted)
        if len(found) < len(wanted) and self.creates and not just_read:
            self._index = None
            found = self._match(wanted)
        missing = [party for party in wanted if party not in found]
        if missing and not self.creates:
            return found | {party: _refused(_MISSING, party.name) for party in missing}
        if missing:
            names = {mapping.vendor_key(party.name): party.name for party in reversed(missing)}  # as spelled first
            troubles = self._create(dict(reversed(names.items())), deadline)
            found |= self._match(missing)
            for party in missing:
                lost = troubles.get(mapping.vendor_key(party.name)) or _refused(_LOST, party.name)
                found.setdefault(party, lost)
        return found

    def missing(self, parties: Iterable[Party]) -> list[Party]:
        """Those that would be created, each name once. Raises `RetryLater`."""
        if not self.creates:
            return []
        named = [party for party in dict.fromkeys(parties) if not party.id and mapping.vendor_name(party.name)]
        found = self._match(named)
        new: dict[str, Party] = {}
        for party in named:
            if party not in found:
                new.setdefault(mapping.vendor_key(party.name), party)
        return list(new.values())

    def _all(self) -> "_Index":
        if self._index is None:
            with shown("vendors"):
                self._index = _Index(self.client.rows("vendors", select=self.FIELDS))
        return self._index

    def _match(self, parties: Sequence[Party]) -> dict[Party, PartyNamed | Outcome]:
        """Whom Business Central has already; of those without a name nobody is asked for."""
        named = [party for party in parties if party.id or mapping.vendor_name(party.name)]
        in_ledger = self.in_ledger
        answers = {party: self._answer(party, in_ledger) for party in named}
        nobody: dict[Party, PartyNamed | Outcome] = {party: PartyNamed() for party in parties if party not in answers}
        return nobody | {party: answer for party, answer in answers.items() if answer is not None}

    def _answer(self, party: Party, in_ledger: bool) -> PartyNamed | Outcome | None:
        """The vendor to use, why it cannot be, or None for somebody new."""
        rows = self._all().rows_of(party)
        if not rows:
            return Refused(_GONE, "vendor", PARTY) if party.id else None
        usable = [row for row in rows if not mapping.blocked(row)]
        if not usable:
            return _refused(_BLOCKED, rows[0].get("displayName") or party.name)
        row = min(usable, key=lambda one: str(one.get("number")))
        number = str(row.get("number") or "") if in_ledger else ""
        return PartyNamed(row.get("displayName") or party.name, number)

    def _create(self, names: Mapping[str, str], deadline: Deadline | None) -> dict[str, Outcome]:
        """Create each name once. Answers by key for those who could not be. Raises `RetryLater`."""
        troubles: dict[str, Outcome] = {}
        keys = list(names)
        for start in range(0, len(keys), MOST_OPERATIONS):
            batch = {key: mapping.vendor_name(names[key]) for key in keys[start : start + MOST_OPERATIONS]}
            troubles |= dict(self._take(list(batch), self._created(list(batch.values()), deadline)))
        return troubles

    def _created(self, names: Sequence[str], deadline: Deadline | None) -> Sequence[Inner | None]:
        path = address("vendors", select=self.FIELDS)
        operations = [Operation("POST", path, {"displayName": name}) for name in names]
        try:
            return self.client.batch(operations, keep_going=True, deadline=deadline)
        except NoAnswer as error:
            self._index = None
            raise RetryLater(_SILENT, after=LATE) from error
        except NotReached as error:
            raise RetryLater(str(error), error.after) from error
        except BadRequest as error:
            return [Inner(error.status, {}, error.code, error.message)] * len(names)

    def _take(self, keys: Sequence[str], answers: Sequence[Inner | None]) -> Iterator[tuple[str, Outcome]]:
        """Remember who was created. Raises `RetryLater` where nobody knows of some."""
        for key, inner in zip(keys, answers, strict=True):
            if inner and inner.ok and inner.body.get("id"):
                self._all().add(inner.body)
            elif inner and inner.definite:
                yield key, Refused(f"Business Central did not take the vendor: {inner.message}", "vendor", PARTY)
        unknown = [inner for inner in answers if not inner or not (inner.ok or inner.definite)]
        if unknown:
            self._index = None
            refused_for_pace = all(inner and inner.status == 429 for inner in unknown)
            raise RetryLater(_SILENT, after=BUSY if refused_for_pace else LATE)


class _Index:
    """Vendors by id and by what makes a name theirs."""

    def __init__(self, rows: Sequence[JSON]) -> None:
        self.rows: list[JSON] = []
        self.by_id: dict[str, JSON] = {}
        self.by_key: dict[str, list[JSON]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: JSON) -> None:
        self.rows.append(row)
        self.by_id[mapping.norm(row["id"])] = row
        self.by_key.setdefault(mapping.vendor_key(row.get("displayName") or ""), []).append(row)

    def rows_of(self, party: Party) -> list[JSON]:
        if party.id:
            row = self.by_id.get(mapping.norm(party.id))
            return [row] if row else []
        return self.by_key.get(mapping.vendor_key(party.name), [])


def _refused(says: str, name: str) -> Refused:
    return Refused(says.format(name=name), "vendor", PARTY)


def options(books: Books, name: str) -> Sequence[Option]:
    """One list of values. Raises `LookupError` for none of ours."""
    if name == "account":
        return mapping.account_options(books.accounts)
    if name == mapping.PEX:
        return mapping.pex_options(books.accounts)
    if name == mapping.BANKS:
        return mapping.bank_options(books.banks, books.accounts)
    if name == PARTY:
        return mapping.vendor_options(books.vendors.rows)
    if name == mapping.TAX:
        return mapping.tax_options(books.tax_groups)
    if name.startswith(mapping.DIMENSION):
        return mapping.dimension_options(books.dimensions, name)
    raise LookupError(f"Business Central has no list {name!r}")
