"""Posting to Xero, looking for what was posted, attaching receipts: the verbs that must never double or lose."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile

from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RecordRejected, RetryLater
from connectors.records import (
    ACCOUNT,
    BookRecord,
    Entry,
    Found,
    NotSent,
    Option,
    Outcome,
    Party,
    Posted,
    Receipt,
    Refused,
    Sent,
    Unknown,
)
from connectors.xero import mapping
from connectors.xero.client import PAGE_SIZE, BadRequest, Client
from connectors.xero.mapping import BANKS, BETWEEN_BANKS, JSON, Record, Resource
from connectors.xero.options import Books

FREE_CALLS = 5  # of one look, for rows that were never in doubt (rule L1)
LARGEST_FILE = 10_000_000
MOST_FILES = 10
TURNS = 4  # of one batch that Xero answers from memory
SILENCES = 2  # transfers in a row without an answer, after which the others wait: each has to be looked for
SILENCE = 60.0  # seconds

Batch = Sequence[tuple[Entry, JSON]]


# --- post -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that is read before anything is sent; the organisation for the links too."""

    contacts: Mapping[Party, str | Outcome]
    banks: Mapping[str, Option]
    tax: str
    tracking: Sequence[JSON]


def post(books: Books, entries: Sequence[Entry], deadline: Deadline) -> dict[str, Outcome]:
    """One outcome per key. Raises `NotAuthorized` and `SettingsNeeded` only while nothing was sent."""
    try:
        facts = _facts(books, entries, deadline)
    except RetryLater as error:
        return _all(entries, _unanswered(error))
    payloads = {entry.key: _payload(entry, facts) for entry in entries}
    ready = [(entry, row) for entry in entries if isinstance(row := payloads[entry.key], dict)]
    outcomes = {key: row for key, row in payloads.items() if not isinstance(row, dict)}
    documents = [pair for pair in ready if pair[0].kind not in BETWEEN_BANKS]
    transfers = [pair for pair in ready if pair[0].kind in BETWEEN_BANKS]
    outcomes |= _send(books, documents, deadline)
    outcomes |= _transfer_all(books, transfers, deadline, begun=bool(documents))
    return {entry.key: _about(entry, outcomes[entry.key]) for entry in entries}


def _facts(books: Books, entries: Sequence[Entry], deadline: Deadline) -> _Facts:
    parties = (entry.party for entry in entries if entry.kind not in BETWEEN_BANKS)
    tracked = any(line.dimensions for entry in entries for line in entry.lines)
    return _Facts(
        contacts=books.contacts.resolve(parties, deadline),
        banks={account.id.casefold(): account for account in books.bank_accounts},
        tax=books.tax,
        tracking=books.tracking if tracked else (),
    )


def _about(entry: Entry, outcome: Outcome) -> Outcome:
    return mapping.about(entry.kind, outcome) if isinstance(outcome, Refused) else outcome


def _payload(entry: Entry, facts: _Facts) -> JSON | Outcome:
    if unfit := _unfit(facts.banks.get(entry.account.casefold()), entry):
        return Refused(
            f"The bank account that stands for PEX {unfit}. Choose another in the settings.", "bank_account", BANKS
        )
    try:
        if entry.kind in BETWEEN_BANKS:
            _check_other_side(entry, facts)
            return mapping.bank_transfer(entry)
        contact = facts.contacts[entry.party]
        if not isinstance(contact, str):
            return contact
        mapping.check_tracking(entry, facts.tracking)
        return mapping.bank_transaction(entry, contact, facts.tax)
    except RecordRejected as error:
        return Refused(error.says, error.cause, error.field)


def _unfit(bank: Option | None, entry: Entry) -> str:
    """Why money cannot stand on a bank account; "" when it can."""
    if bank is None:
        return "is not in Xero any more"
    if not bank.active:
        return "is archived in Xero"
    if bank.group not in ("", entry.currency):
        return f"is kept in {bank.group} in Xero, not in {entry.currency}"
    return ""


def _check_other_side(entry: Entry, facts: _Facts) -> None:
    """Raises `RecordRejected`: a transfer needs two bank accounts of one currency."""
    for line in entry.lines:
        bank = facts.banks.get(line.account.casefold())
        unfit = _unfit(bank, entry)
        if line.account.casefold() == entry.account.casefold():
            unfit = "is the PEX account itself"
        if unfit:
            name = f"The bank account {bank.label}" if bank else "The bank account on the other side"
            raise RecordRejected(f"{name} {unfit}. Choose another in the settings.", "bank_account", ACCOUNT)


def _unanswered(error: NoAnswer | NotReached | RetryLater) -> Outcome:
    """What is known of a call that brought no answer of its own."""
    if isinstance(error, NoAnswer):
        return Unknown(str(error))
    return NotSent(error.after, str(error))


def _send(books: Books, batch: Batch, deadline: Deadline, turn: int = 1) -> dict[str, Outcome]:
    """One call. Without an answer nobody knows, of any of them."""
    if not batch:
        return {}
    entries = [entry for entry, _ in batch]
    try:
        written = books.client.create_bank_transactions([row for _, row in batch], deadline, str(turn))
    except (NoAnswer, NotReached, RetryLater) as error:
        return _all(entries, _unanswered(error))
    except BadRequest as error:
        return _refused(books, batch, deadline, error)
    answers = mapping.paired([entry.key for entry in entries], written.elements)
    outcomes = {entry.key: _outcome(books, entry, answers.get(entry.key)) for entry in entries}
    if written.replayed and turn < TURNS:
        # A refusal of some minutes ago, repeated from memory: what it complained of may be mended by now.
        stale = [pair for pair in batch if isinstance(outcomes[pair[0].key], Refused)]
        outcomes |= _again(books, stale, deadline, turn + 1)
    return outcomes


def _outcome(books: Books, entry: Entry, element: JSON | None) -> Outcome:
    if element is None:
        return Unknown("Xero's answer does not mention it.")
    tracked = any(line.dimensions for line in entry.lines)
    return mapping.outcome(entry, element, books.link, books.tracking if tracked else ())


def _refused(books: Books, batch: Batch, deadline: Deadline, error: BadRequest) -> dict[str, Outcome]:
    """The call was refused as a whole: the good ones go on without the bad ones, where the refusal was definite.

    A 400 without one of Xero's own numbers may be the answer to a key it knows from another call: then nobody knows.
    """
    entries = [entry for entry, _ in batch]
    if not error.definite:
        return _all(entries, Unknown(error.message))
    named = mapping.paired([entry.key for entry in entries], error.elements)
    refused: dict[str, Outcome] = {
        key: mapping.refusal(said) for key, element in named.items() if (said := mapping.messages(element))
    }
    if refused:
        return refused | _again(books, [pair for pair in batch if pair[0].key not in refused], deadline)
    if len(batch) == 1 or not error.about_content:
        return _all(entries, mapping.refusal([error.message]))
    middle = len(batch) // 2
    return _again(books, batch[:middle], deadline) | _again(books, batch[middle:], deadline)


def _again(books: Books, batch: Batch, deadline: Deadline, turn: int = 1) -> dict[str, Outcome]:
    """Another body or turn, hence another key. What was posted before a trouble stays reported."""
    try:
        return _send(books, batch, deadline, turn)
    except NotAuthorized as error:
        return _all([entry for entry, _ in batch], NotSent(0, error.says))


def _transfer_all(books: Books, batch: Batch, deadline: Deadline, *, begun: bool) -> dict[str, Outcome]:
    """One call each, until one cannot be sent or Xero falls silent. `begun`: something of this `post` was sent."""
    outcomes: dict[str, Outcome] = {}
    silent = 0
    for place, (entry, row) in enumerate(batch):
        try:
            outcome = _transfer(books, entry, row, deadline)
        except NotAuthorized as error:
            if not (begun or place):
                raise
            outcome = NotSent(0, error.says)
        outcomes[entry.key] = outcome
        silent = silent + 1 if isinstance(outcome, Unknown) else 0
        if silent == SILENCES:
            outcome = NotSent(SILENCE, "Xero does not answer. What was sent is looked for; the rest waits.")
        if isinstance(outcome, NotSent):
            return outcomes | _all([entry for entry, _ in batch[place + 1 :]], outcome)
    return outcomes


def _transfer(books: Books, entry: Entry, row: JSON, deadline: Deadline, turn: str = "1") -> Outcome:
    try:
        written = books.client.create_bank_transfer(row, deadline, turn)
    except (NoAnswer, NotReached, RetryLater) as error:
        return _unanswered(error)
    except BadRequest as error:
        if not error.definite:
            return Unknown(error.message)
        if turn == "1":
            # It may be a refusal of some minutes ago, repeated from memory: under a key nobody used it is a new one.
            return _transfer(books, entry, row, deadline, turn=f"{deadline.wall}")
        return mapping.refusal(_said(error))
    return _outcome(books, entry, mapping.paired([entry.key], written.elements).get(entry.key))


def _said(error: BadRequest) -> list[str]:
    return [text for element in error.elements for text in mapping.messages(element)] or [error.message]


def _all(entries: Iterable[Entry], outcome: Outcome) -> dict[str, Outcome]:
    return {entry.key: outcome for entry in entries}


# --- find -------------------------------------------------------------------------------------------------------------


def find(books: Books, sent: Sequence[Sent]) -> dict[str, Found]:
    """Rows in doubt get an exact answer whatever it takes; the others may stay unseen beyond a few calls (rule L1)."""
    look = _Look(books.client)
    look.cover(sent)
    for row in sent:
        if row.record_id and row.record_id.lower() not in look.by_id:
            look.take_one(row)
    look.settle([row for row in sent if not look.covers(row) and (row.in_doubt or look.finds_it_dead(row))])
    return {row.key: mapping.found(row, look.records(row), look.covers(row), books.link) for row in sent}


def _keys(row: Sent) -> tuple[str, ...]:
    return (row.key, *row.earlier)


TRANSFERS, REFERENCE, URL = "transfers", "Reference", "Url"


def _places(row: Sent) -> tuple[str, ...]:
    """Where a key of this row stands. In transactions that is two places, and people may change one of them."""
    return (TRANSFERS,) if row.kind in BETWEEN_BANKS else (REFERENCE, URL)


class _Look:
    """What a look has found so far, and for which keys it is sure that there is no more.

    A key is covered when all places were searched in which it stands.
    """

    PLACES = (TRANSFERS, REFERENCE, URL)  # transfers first: they take one call

    def __init__(self, client: Client) -> None:
        self.client = client
        self.calls_left = FREE_CALLS
        self.covered: dict[str, set[str]] = {place: set() for place in self.PLACES}
        self.by_id: dict[str, Record] = {}
        self.by_key: dict[str, dict[str, Record]] = {}

    def records(self, row: Sent) -> list[Record]:
        found = {record_id: record for key in _keys(row) for record_id, record in self._of_key(key).items()}
        named = self.by_id.get(row.record_id.lower())
        if named:
            found = {named.id.lower(): named} | found
        return list(found.values())

    def _of_key(self, key: str) -> dict[str, Record]:
        return self.by_key.get(key.strip().casefold(), {})

    def covers(self, row: Sent) -> bool:
        return all(key in self.covered[place] for place in _places(row) for key in _keys(row))

    def finds_it_dead(self, row: Sent) -> bool:
        return bool(row.record_id) and not any(record.live for record in self.records(row))

    def cover(self, rows: Sequence[Sent]) -> None:
        """Search each place for what the keys begin with, in a few calls at most."""
        for place in self.PLACES:
            for family in _families(key for row in rows if place in _places(row) for key in _keys(row)):
                self.calls_left -= self._search(place, family, _beginning(place, family), self.calls_left)

    def settle(self, rows: Sequence[Sent]) -> None:
        """Search until it is sure: in ever smaller groups, in the end key by key."""
        for place in self.PLACES:
            addresses = {key: _address(row, key) for row in rows if place in _places(row) for key in _keys(row)}
            for family in _families([key for key in addresses if key not in self.covered[place]]):
                self._settle(place, family, addresses)

    def _settle(self, place: str, keys: Sequence[str], addresses: Mapping[str, str]) -> None:
        if len(keys) == 1:
            self._search(place, keys, _exactly(place, keys[0], addresses[keys[0]]), None)
            return
        self._search(place, keys, _beginning(place, keys), len(keys))
        if not self.covered[place].issuperset(keys):
            middle = len(keys) // 2
            self._settle(place, keys[:middle], addresses)
            self._settle(place, keys[middle:], addresses)

    def _search(self, place: str, keys: Sequence[str], where: str, most_calls: int | None) -> int:
        """Take what is there, and mark the keys as covered where that is surely all. Returns the calls it took."""
        if place == TRANSFERS:
            complete, calls = self._list_transfers(where, most_calls)
        else:
            walk = Walk(self.client, where, most_calls)
            complete, calls = walk.run(self._take_transaction), walk.calls
        if complete:
            self.covered[place].update(keys)
        return calls

    def _list_transfers(self, where: str, most_calls: int | None) -> tuple[bool, int]:
        if most_calls is not None and most_calls < 1:
            return False, 0
        try:
            answer = self.client.bank_transfers(where)
        except BadRequest:
            return False, 1
        for row in answer.rows:
            self._take(mapping.transfer_record(row))
        return answer.last, 1

    def take_one(self, row: Sent) -> None:
        """The record the row names. A person may have named one of the other resource."""
        usual = Resource.of(row.kind)
        for resource in (usual, usual.other):
            record = self.client.record(resource, row.record_id)
            if record and resource is Resource.TRANSFER:
                self._take(mapping.transfer_record(record))
            elif record and mapping.is_leg(record):
                self._take_transfer_of(record)
            elif record:
                self._take(mapping.transaction_record(record))
            if record:
                return

    def _take_transfer_of(self, leg: JSON) -> None:
        """One side of a transfer was named: the transfer is meant. It stands on the same day."""
        day = mapping.day(leg, "Date")
        if day is None:
            return
        try:
            answer = self.client.bank_transfers(f"Date=={_literal(day)}")
        except BadRequest as error:
            raise RetryLater(f"Xero does not show a transfer: {error}", after=300) from error
        leg_id = leg[Resource.TRANSACTION.id_name].lower()
        for row in answer.rows:
            if leg_id in mapping.legs_of(row):
                self._take(mapping.transfer_record(row))
                self.by_id[leg_id] = self.by_id[row[Resource.TRANSFER.id_name].lower()]

    def _take_transaction(self, row: JSON) -> None:
        if not mapping.is_leg(row):  # the transfer it belongs to is the record
            self._take(mapping.transaction_record(row))

    def _take(self, record: Record) -> None:
        self.by_id[record.id.lower()] = record
        for key in record.keys:
            self.by_key.setdefault(key, {})[record.id.lower()] = record


def _families(keys: Iterable[str]) -> list[list[str]]:
    """Keys that begin alike: those of one source. Between sources there is nothing to search by."""
    families: dict[str, list[str]] = {}
    for key in sorted(set(keys)):
        families.setdefault(key[:4], []).append(key)
    return list(families.values())


def _address(row: Sent, key: str) -> str:
    """Where a record with this key of the row points to; "" when the ledger does not know."""
    return f"{row.url.removesuffix(row.key)}{key}" if row.url.endswith(row.key) else ""


def _exactly(place: str, key: str, address: str) -> str:
    if place == URL:
        return f'Url!=null AND Url=="{address}"' if address else f'Url!=null AND Url.EndsWith("-{key}")'
    return f'Reference!=null AND Reference=="{key}"'


def _beginning(place: str, keys: Sequence[str]) -> str:
    """A filter for all records that begin as these keys do (sorted: what first and last share, all share).

    Xero's `References` parameter is not used: servers that do not know it answer with everything.
    """
    prefix = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(keys[0], keys[-1], strict=False)))
    if place == URL:
        return f'Url!=null AND Url.Contains("-{prefix}")'
    return f'Reference!=null AND Reference.StartsWith("{prefix}")'


class Walk:
    """All records that match a filter, oldest change first, each page begun where the last one ended.

    Pages are not counted through: a record changed meanwhile would move and another slip by. Each page begins at the
    last change seen, so that it only moves to the end; where one second holds more than a page, pages are counted
    within it. That nothing slipped is proven by Xero's own count.
    """

    def __init__(self, client: Client, where: str, most_calls: int | None = None) -> None:
        self.client, self.where, self.most_calls = client, where, most_calls
        self.calls = 0
        self.seen: set[str] = set()
        self.expected = 0

    def run(self, take: Callable[[JSON], None]) -> bool:
        """Hand each record to `take`. False when it is not certain that these were all."""
        since: datetime | None = None
        page, last = 1, False
        while not last:
            if self.most_calls is not None and self.calls >= self.most_calls:
                return False
            try:
                answer = self.client.bank_transactions(self.where, since, page)
            except BadRequest:
                self.calls += 1
                return False
            self.calls += 1
            self._expect(answer.count)
            for row in answer.rows:
                if row["BankTransactionID"] not in self.seen:
                    take(row)
            self.seen.update(row["BankTransactionID"] for row in answer.rows)
            if self._hopeless:
                return False
            last = answer.last or not answer.rows
            since, page = _onward(answer.rows, since, page)
        return len(self.seen) >= self.expected

    def _expect(self, count: int | None) -> None:
        if self.calls == 1 and count:
            self.expected = count

    @property
    def _hopeless(self) -> bool:
        return self.most_calls is not None and self.expected > self.most_calls * PAGE_SIZE


def _onward(rows: Sequence[JSON], since: datetime | None, page: int) -> tuple[datetime | None, int]:
    """Where the next page begins: a second before the last change, as Xero compares whole seconds."""
    if not rows:
        return since, page
    newest = max(mapping.instant(row["UpdatedDateUTC"]) for row in rows)
    mark = newest.replace(microsecond=0) - timedelta(seconds=1)
    return (mark, 1) if since is None or mark > since else (since, page + 1)


# --- books ------------------------------------------------------------------------------------------------------------


def on_account(books: Books, account: str, first: date, last: date) -> list[BookRecord]:
    """Everything on one bank account between two days, dead records too. Raises `RetryLater`."""
    days = f"Date>={_literal(first)} AND Date<={_literal(last)}"
    return mapping.book_records(
        account, _transactions(books.client, account, days), _transfers(books.client, days), books.link
    )


def _transactions(client: Client, account: str, days: str) -> list[JSON]:
    """Of this account where Xero can tell it apart, else of all; what is not on it is left out later."""
    for where in (f'{days} AND BankAccount.AccountID==Guid("{account}")', days):
        found: list[JSON] = []
        if Walk(client, where).run(found.append):
            return found
    raise RetryLater("Xero's records changed while we read them. We read them again.", after=5)


def _transfers(client: Client, days: str) -> Sequence[JSON]:
    try:
        answer = client.bank_transfers(days)
    except BadRequest as error:
        raise RetryLater(f"Xero does not list its transfers: {error}", after=300) from error
    if not answer.last:
        raise RetryLater("Xero did not list all of its transfers. We read them again.", after=300)
    return answer.rows


def _literal(day: date) -> str:
    return f"DateTime({day:%Y,%m,%d})"


# --- attach -----------------------------------------------------------------------------------------------------------


def attach(client: Client, record_id: str, receipts: Sequence[Receipt]) -> dict[str, Outcome]:
    """One outcome per receipt. The same name overwrites, so an unknown one may be sent again."""
    return {
        receipt.attachment_id: _too_much(receipt, place) or _attach(client, record_id, receipt)
        for place, receipt in enumerate(receipts)
    }


def _too_much(receipt: Receipt, place: int) -> Refused | None:
    if place >= MOST_FILES:
        return Refused("Xero keeps ten files per transaction. This one stays in PEX.", cause="receipt")
    if receipt.size > LARGEST_FILE:
        return Refused("The receipt is larger than the 10 MB Xero takes. It stays in PEX.", cause="receipt")
    if not receipt.size:
        return Refused("The receipt is an empty file. Add it in PEX once more.", cause="receipt")
    return None


def _attach(client: Client, record_id: str, receipt: Receipt, resource: Resource = Resource.TRANSACTION) -> Outcome:
    """To the transaction of this id, or to the transfer: nothing else tells which of them it is."""
    try:
        row = client.attach(resource, record_id, receipt.name, receipt.path, receipt.content_type)
    except NoAnswer as error:
        return _attached_after_all(client, resource, record_id, receipt) or _unanswered(error)
    except (NotReached, RetryLater) as error:
        return _unanswered(error)
    except BadRequest as error:
        if error.status == 404 and resource is Resource.TRANSACTION:
            return _attach(client, record_id, receipt, Resource.TRANSFER)
        return _receipt_refused(error)
    return Posted(row["AttachmentID"]) if row.get("AttachmentID") else Unknown("Xero's answer names no file.")


def _attached_after_all(client: Client, resource: Resource, record_id: str, receipt: Receipt) -> Posted | None:
    """The names Xero has now; asked before anybody sends the file once more."""
    try:
        rows = client.attachments(resource, record_id)
    except (RetryLater, NotAuthorized, BadRequest):
        return None
    mine = (row for row in rows if row.get("FileName") == receipt.name and row.get("ContentLength") == receipt.size)
    return next((Posted(str(row.get("AttachmentID", ""))) for row in mine), None)


def _receipt_refused(error: BadRequest) -> Refused:
    if error.status == 413:
        return Refused("The receipt is larger than Xero takes. It stays in PEX.", cause="receipt")
    if error.status == 404:
        return Refused("The transaction is not in Xero any more, so its receipt was not added.", cause="receipt")
    return Refused(f"Xero did not take the receipt: {' '.join(_said(error))}", cause="receipt")
