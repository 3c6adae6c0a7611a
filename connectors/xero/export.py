"""Posting to Xero, looking for what was posted, attaching receipts: the verbs that must never double or lose."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import takewhile

from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotAuthorized, NotReached, RecordRejected, RetryLater
from connectors.records import (
    BookRecord,
    Entry,
    Found,
    NotSent,
    Option,
    Outcome,
    Posted,
    Receipt,
    Refused,
    Sent,
    Unknown,
)
from connectors.xero import mapping
from connectors.xero.client import PAGE_SIZE, BadRequest, Client
from connectors.xero.mapping import JSON
from connectors.xero.options import Books

FREE_CALLS = 5  # of one look, for rows that were never in doubt (rule L1)
LARGEST_FILE = 10_000_000
MOST_FILES = 10
TURNS = 4  # of one batch that Xero answers from memory

Batch = Sequence[tuple[Entry, JSON]]


# --- post -------------------------------------------------------------------------------------------------------------


def post(books: Books, entries: Sequence[Entry], deadline: Deadline) -> dict[str, Outcome]:
    """One outcome per key. Raises `NotAuthorized` and `SettingsNeeded` only while nothing was sent."""
    try:  # all that is read, the organisation for the links too, is read before anything is sent
        contacts = books.contacts.resolve((entry.party for entry in entries), deadline)
        banks, tax = {account.id: account for account in books.bank_accounts}, books.tax
    except RetryLater as error:
        return _all(entries, NotSent(error.after, error.says))
    payloads = {entry.key: _payload(entry, contacts[entry.party], banks.get(entry.account), tax) for entry in entries}
    ready = [(entry, row) for entry in entries if isinstance(row := payloads[entry.key], dict)]
    outcomes = {key: row for key, row in payloads.items() if not isinstance(row, dict)}
    outcomes |= _send(books, ready, deadline)
    return {entry.key: outcomes[entry.key] for entry in entries}


def _payload(entry: Entry, contact: str | Outcome, bank: Option | None, tax: str) -> JSON | Outcome:
    if not isinstance(contact, str):
        return contact
    if bank is None or not bank.active or bank.group not in ("", entry.currency):
        return Refused(
            f"The bank account that stands for PEX is not an active {entry.currency} account in Xero any more. "
            "Choose another in the settings.",
            cause="bank_account",
            field="pex_account",
        )
    try:
        return mapping.bank_transaction(entry, contact, tax)
    except RecordRejected as error:
        return Refused(error.says, error.cause, error.field)


def _send(books: Books, batch: Batch, deadline: Deadline, turn: int = 1) -> dict[str, Outcome]:
    """One call. Without an answer nobody knows, of any of them."""
    if not batch:
        return {}
    entries = [entry for entry, _ in batch]
    try:
        written = books.client.create_bank_transactions([row for _, row in batch], deadline, turn)
    except NoAnswer as error:
        return _all(entries, Unknown(str(error)))
    except NotReached as error:
        return _all(entries, NotSent(error.after, str(error)))
    except RetryLater as error:
        return _all(entries, NotSent(error.after, error.says))
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
    return mapping.outcome(entry, element, books.link)


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


def _all(entries: Iterable[Entry], outcome: Outcome) -> dict[str, Outcome]:
    return {entry.key: outcome for entry in entries}


# --- find -------------------------------------------------------------------------------------------------------------


def find(books: Books, sent: Sequence[Sent]) -> dict[str, Found]:
    """Rows in doubt get an exact answer whatever it takes; the others may stay unseen beyond a few calls (rule L1)."""
    look = _Look(books.client)
    look.cover([key for row in sent for key in _keys(row)])
    for row in sent:
        if row.record_id and row.record_id.lower() not in look.by_id:
            look.take_one(row.record_id)
    look.settle([row for row in sent if not look.covers(row) and (row.in_doubt or look.finds_it_dead(row))])
    return {row.key: mapping.found(row, look.records(row), look.covers(row), books.link) for row in sent}


def _keys(row: Sent) -> tuple[str, ...]:
    return (row.key, *row.earlier)


class _Look:
    """What a look has found so far, and for which keys it is sure that there is no more.

    A key stands in two places, and people may change one of them: a key is covered when both were searched.
    """

    PLACES = ("Reference", "Url")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.calls_left = FREE_CALLS
        self.covered: dict[str, set[str]] = {place: set() for place in self.PLACES}
        self.by_id: dict[str, JSON] = {}
        self.by_key: dict[str, dict[str, JSON]] = {}

    def records(self, row: Sent) -> list[JSON]:
        found = {record_id: record for key in _keys(row) for record_id, record in self._of_key(key).items()}
        if row.record_id.lower() in self.by_id:
            found = {row.record_id.lower(): self.by_id[row.record_id.lower()]} | found
        return list(found.values())

    def _of_key(self, key: str) -> dict[str, JSON]:
        return self.by_key.get(key.strip().casefold(), {})

    def covers(self, row: Sent) -> bool:
        return all(key in self.covered[place] for place in self.PLACES for key in _keys(row))

    def finds_it_dead(self, row: Sent) -> bool:
        records = self.records(row)
        return bool(row.record_id) and not any(mapping.live(record) for record in records)

    def cover(self, keys: Sequence[str]) -> None:
        """Search both places for what the keys begin with, in a few calls at most."""
        for place in self.PLACES:
            for family in _families(keys):
                walk = Walk(self.client, _beginning(place, family), self.calls_left)
                if walk.run(self.take):
                    self.covered[place].update(family)
                self.calls_left -= walk.calls

    def settle(self, rows: Sequence[Sent]) -> None:
        """Search until it is sure: in ever smaller groups, in the end key by key."""
        addresses = {key: _address(row, key) for row in rows for key in _keys(row)}
        for place in self.PLACES:
            for family in _families([key for key in addresses if key not in self.covered[place]]):
                self._settle(place, family, addresses)

    def _settle(self, place: str, keys: Sequence[str], addresses: Mapping[str, str]) -> None:
        if len(keys) == 1:
            where, calls = _exactly(place, keys[0], addresses[keys[0]]), None
        else:
            where, calls = _beginning(place, keys), len(keys)
        if Walk(self.client, where, calls).run(self.take):
            self.covered[place].update(keys)
        elif len(keys) > 1:
            middle = len(keys) // 2
            self._settle(place, keys[:middle], addresses)
            self._settle(place, keys[middle:], addresses)

    def take_one(self, record_id: str) -> None:
        record = self.client.bank_transaction(record_id)
        if record:
            self.take(record)

    def take(self, record: JSON) -> None:
        record_id = record["BankTransactionID"].lower()
        self.by_id[record_id] = record
        for key in mapping.keys_of(record):
            self.by_key.setdefault(key, {})[record_id] = record


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
    if place == "Reference":
        return f'Reference!=null AND Reference=="{key}"'
    return f'Url!=null AND Url=="{address}"' if address else f'Url!=null AND Url.EndsWith("-{key}")'


def _beginning(place: str, keys: Sequence[str]) -> str:
    """A filter for all records that begin as these keys do (sorted: what first and last share, all share).

    Xero's `References` parameter is not used: servers that do not know it answer with everything.
    """
    prefix = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(keys[0], keys[-1], strict=False)))
    begins = f'Reference.StartsWith("{prefix}")' if place == "Reference" else f'Url.Contains("-{prefix}")'
    return f"{place}!=null AND {begins}"


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
    found: list[BookRecord] = []

    def take(row: JSON) -> None:
        if row.get("BankAccount", {}).get("AccountID", "").lower() == account.lower():
            found.append(mapping.book_record(row, books.link(row["BankTransactionID"])))

    where = f"Date>={_literal(first)} AND Date<={_literal(last)}"
    if not Walk(books.client, where).run(take):
        raise RetryLater("Xero's records changed while we read them. We read them again.", after=5)
    return found


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


def _attach(client: Client, record_id: str, receipt: Receipt) -> Outcome:
    try:
        row = client.attach(record_id, receipt.name, receipt.path, receipt.content_type)
    except NoAnswer as error:
        return _attached_after_all(client, record_id, receipt) or Unknown(str(error))
    except NotReached as error:
        return NotSent(error.after, str(error))
    except RetryLater as error:
        return NotSent(error.after, error.says)
    except BadRequest as error:
        return _receipt_refused(error)
    return Posted(row["AttachmentID"]) if row.get("AttachmentID") else Unknown("Xero's answer names no file.")


def _attached_after_all(client: Client, record_id: str, receipt: Receipt) -> Posted | None:
    """The names Xero has now; asked before anybody sends the file once more."""
    try:
        rows = client.attachments(record_id)
    except (RetryLater, NotAuthorized, BadRequest):
        return None
    mine = (row for row in rows if row.get("FileName") == receipt.name and row.get("ContentLength") == receipt.size)
    return next((Posted(str(row.get("AttachmentID", ""))) for row in mine), None)


def _receipt_refused(error: BadRequest) -> Refused:
    if error.status == 413:
        return Refused("The receipt is larger than Xero takes. It stays in PEX.", cause="receipt")
    if error.status == 404:
        return Refused("The transaction is not in Xero any more, so its receipt was not added.", cause="receipt")
    return Refused(f"Xero did not take the receipt: {error.message}", cause="receipt")
