"""The contract of a connector: what is declared, and its verbs (check, fields, options, books, find, post, attach)."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from types import TracebackType
from typing import ClassVar, Self

from connectors.limits import Limits
from connectors.models import Connection
from connectors.records import (
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


class Receipts(Enum):
    AFTER = "after"  # each receipt is its own call, once the entry stands
    WITH = "with"  # the first ones travel in the entry


class Resync(Enum):
    NOTE = "note"  # an admin may send again once the old record is proven dead
    SUPPORT = "support"  # an admin asks, staff allow


@dataclass(frozen=True, slots=True)
class Deadline:
    """A claim is sent within 30 s or not at all, by the monotonic and by the wall clock (rule L4)."""

    monotonic: float
    wall: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(time.monotonic() + seconds, time.time() + seconds)

    @property
    def left(self) -> float:
        """Seconds, below nought once it has passed."""
        return min(self.monotonic - time.monotonic(), self.wall - time.time())

    @property
    def passed(self) -> bool:
        return self.left < 0


class Connector(ABC):
    """One outside system opened for one connection. Constructors call nobody; use it in a `with`.

    Verbs raise `RetryLater`, `NotAuthorized`, `SettingsNeeded`; a write without an answer is the outcome `Unknown`.
    A connector sees coded entries and never PEX tags.
    """

    key: ClassVar[str]
    label: ClassVar[str]  # "Xero"
    app_name: ClassVar[str]  # "PEX Connector for Xero"
    tagline: ClassVar[str]  # one line on the tile
    more: ClassVar[Sequence[str]] = ()  # what MORE INFO says, a paragraph each
    tint: ClassVar[str] = "info"  # the monogram tile's tint, a CSS token
    kinds: ClassVar[Sequence[Kind]]
    needs: ClassVar[Mapping[Kind, Kind]] = {}  # a kind that goes only with another one: rebates with purchases
    note: ClassVar[str]  # "Synced with Xero"
    foreign_marks: ClassVar[Sequence[str]] = ()  # notes of the original connector, without a key
    batch_size: ClassVar[int]
    receipts: ClassVar[Receipts] = Receipts.AFTER
    takes_statements: ClassVar[bool] = True  # a bank account stands for PEX there, with statements to reconcile
    receipt_limits: ClassVar[str] = ""  # what the books take of one transaction, a sentence
    resync: ClassVar[Resync] = Resync.NOTE
    resend: ClassVar[bool] = True  # False: a row in doubt is never sent again by itself
    settle_after: ClassVar[timedelta]
    where: ClassVar[str]  # what "posted" is called there: "in Xero"
    where_draft: ClassVar[str] = ""  # the same of a record a person has yet to post; "" where there is no such state
    company_word: ClassVar[str] = "Organization"  # what the company in the books is called there
    company_in_setup: ClassVar[bool] = False  # it is chosen among the settings, not on a page of its own before them
    party_word: ClassVar[str] = "contact"  # whom entries are booked against
    sync_word: ClassVar[str] = "SYNC"  # on the button that begins one
    sync_page: ClassVar[str] = "Manage"  # the page that button stands on
    setup_page: ClassVar[str] = "Setup"  # the page of the settings
    makes_room: ClassVar[bool] = False  # it can get ready for many receipts at once: `make_room`
    stages: ClassVar[str] = "Fields"  # the head of the history's column for tag options
    parallel: ClassVar[int] = 4  # receipts under way at once
    beta: ClassVar[bool] = False
    before: ClassVar[Sequence[str]] = ()  # what people need or do there before they connect, a sentence each
    sign_in_at: ClassVar[str] = ""  # who asks people to sign in; "" where it is called as the system is
    sign_in_steps: ClassVar[Sequence[str]] = ()  # from CONNECT to the connection, a sentence each
    sign_in_hint: ClassVar[str] = ""  # what makes signing in again easier, a sentence
    no_company: ClassVar[str] = ""  # what to do where a sign-in opens no company, a sentence
    may_do: ClassVar[Sequence[str]] = ()  # what we may do there, a sentence each
    never: ClassVar[str] = "It never edits or deletes what is in the books, and never moves money."
    leaves: ClassVar[bool] = True  # DISCONNECT ends the access there too; False: only what is stored here is destroyed
    sign_up: ClassVar[str] = ""  # where somebody without an account gets one; "" where that takes more than a page
    status_page: ClassVar[str] = ""  # where the company says whether it has trouble

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  # a connector without sockets has nothing to do
        """Give the sockets back."""

    @classmethod
    @abstractmethod
    def configured(cls) -> bool:
        """Whether the operator gave what this system needs; if not it is hidden."""

    @classmethod
    def record_in(cls, text: str) -> str:
        """The id of a record in what a person typed or pasted: its number or the address of its page; "" when none."""
        return text.strip()

    @classmethod
    def page_of_books(cls, connection: Connection) -> tuple[str, str]:
        """Where people see there what is written: the words of the link, and its address; "" twice for nowhere."""
        return "", ""

    @classmethod
    def limits(cls, connection: Connection) -> Sequence[Limits]:
        """How often its books may be called, the company's own limits first; none where nothing is published."""
        return ()

    @abstractmethod
    def companies(self) -> Sequence[Company]:
        """The companies this sign-in opens."""

    @abstractmethod
    def check(self) -> Sequence[Finding]:
        """Preflight: one finding per prerequisite. Raises `NotAuthorized` when the sign-in itself has ended."""

    def mend(self, what: str) -> str:
        """Do what a finding offers (`Finding.mend`); returns a sentence about it. Raises `LookupError` for nothing."""
        raise LookupError(f"{self.label} mends no {what!r}")

    @abstractmethod
    def fields(self) -> Sequence[Field]:
        """What can be coded, asked of the company: for every kind declared at least its "account"."""

    @abstractmethod
    def options(self, field: str) -> Sequence[Option]:
        """One list of the books' values: "pex_account", "party", or the list a field of `fields()` names."""

    @abstractmethod
    def disconnect(self) -> None:
        """End the access outside as far as no other connection needs it, and destroy the secret."""

    @abstractmethod
    def closed_until(self) -> date | None:
        """The lock date of the books: postings dated on or before it wait. None when nothing is locked."""

    @abstractmethod
    def books(self, first: date, last: date) -> Sequence[BookRecord]:
        """Everything on the PEX account between two days, both included; dead records too."""

    @abstractmethod
    def find(self, sent: Sequence[Sent]) -> Mapping[str, Found]:
        """Look for records by key over every account, state and date; answers by the key of each `Sent`."""

    def prepare(self, entries: Sequence[Entry]) -> None:  # noqa: B027  # most connectors need none
        """Make ready for many entries at once, before any is claimed (missing contacts). `post` manages without."""

    def missing_parties(self, parties: Sequence[Party]) -> Sequence[Party]:
        """Those that `prepare` would have to create in the books. Writes nothing."""
        return ()

    @abstractmethod
    def post(self, entries: Sequence[Entry], deadline: Deadline) -> Mapping[str, Outcome]:
        """One outcome per entry key; every key of `entries` is answered.

        Raises only while nothing of this call was sent: then nothing of it is in the books.
        """

    def make_room(self, expected: Mapping[str, Sequence[ExpectedReceipt]]) -> None:  # noqa: B027  # only some need it
        """Get ready for receipts of many records, by record id, where that saves calls. `attach` manages without."""

    @abstractmethod
    def attach(self, record_id: str, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        """One outcome per attachment id. May be called from several threads at once."""

    @abstractmethod
    def url_of(self, business_id: int, key: str, account_id: int | None) -> str:
        """The address an entry carries: opens the card in PEX, holds PEX's business id and the key. Nothing of ours."""
