"""PEX's wire: one method per call we make, JSON in, JSON out.

Facts: https://coreapi.pexcard.com documentation and PEX's own .NET library. Lists are streamed, so that memory does
not grow with them. Every refusal becomes one of our errors here, and only here are PEX's texts read.
"""

import re
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn, Protocol
from urllib.parse import quote, urlsplit

import httpx
import ijson
from django.conf import settings

from connectors.connector import Deadline
from connectors.errors import ConnectorError, NotAuthorized, RecordRejected, RetryLater, SettingsNeeded
from connectors.http import Session, json_of, to_json
from connectors.limits import Limits, Rate, Said
from connectors.pace import FEW
from connectors.pex.attachments import ContentReader, Download, Sink, TooLarge, Unreadable
from connectors.pex.mapping import TROUBLES
from pexsync import clock
from pexsync.accounts.permissions import Permission

JSON = dict[str, Any]

NAME = "PEX"
PIECE = 65_536
STALE = "This launch was used before or has expired. Launch PEX Sync again from PEX."
UNREADABLE = "PEX sent an answer that cannot be read. We keep trying."
MINUTE, CARD_LIST, CARD_ACCOUNTS, BUSINESS_LIST, TOKENS = "minute", "card list", "card accounts", "list", "tokens"
CARD_LIST_PATH, BUSINESS_LIST_PATH = "Details/AllCardholderTransactions", "Details/TransactionDetails"
PAGE_PATIENCE = 65.0  # seconds that a list waits for the turn of its next page; a read begun anew would meet it again
_JWT = re.compile(r"[\w.~+/=-]{1,8000}", re.ASCII)  # opaque, but nothing else belongs into a header
CLOCK_SKEW = timedelta(minutes=5)  # between PEX's clock and ours, at the far edge of the window


@dataclass(frozen=True, slots=True)
class Token:
    """What opens PEX. `scheme`: "token" for an external token, "Bearer" for an OAuth access token."""

    text: str = field(repr=False)
    scheme: str = "token"

    @property
    def header(self) -> str:
        return f"{self.scheme} {self.text}"


class TokenDead(NotAuthorized):
    """The token will never open anything again: somebody must sign in."""


class Keeper(Protocol):
    """Who looks after a stored credential while a client uses it (`auth.client_for`)."""

    def fresh(self) -> Token:
        """The token to use for the next call."""

    def refused(self, error: TokenDead) -> ConnectorError:
        """PEX says the token is dead: take note, and return what to raise."""


class PexSession(Session):
    """Knows PEX's usage limits, as it published them; nobody outside knows the present ones.

    `business` is PEX's id, whose limits the calls count against; 0 while nobody knows yet who has come.
    """

    SAYS: ClassVar[Mapping[str, str]] = {
        "": "PEX asks us to slow down. We go on soon.",
        MINUTE: "PEX takes only so many calls a minute. We go on soon.",
        CARD_LIST: "PEX shows the transactions of the cards only a few times an hour. We go on by ourselves.",
        CARD_ACCOUNTS: "PEX shows its card accounts only a few times an hour. We go on by ourselves.",
        BUSINESS_LIST: "PEX shows the transactions of the business once a minute. We go on soon.",
        TOKENS: "PEX ends only a few sign-ins a day. This one is ended later.",
    }
    BACK_OFF: ClassVar[float] = 60.0  # PEX counts by the minute and the hour

    def __init__(self, business: int = 0) -> None:
        super().__init__(NAME, connections=7)  # with the books' four and one to sign in: twelve a run
        self.business = business

    def limits(self, method: str, url: str, headers: Mapping[str, str]) -> Sequence[Limits]:
        """Of the business, and of a path that has its own."""
        path = url.removeprefix(_url("")).partition("?")[0]
        if not self.business or path == url:
            return super().limits(method, url, headers)
        own = own_rates().get((method, path))
        return (of_business(self.business), *([Limits(f"pex:{self.business}:{path}", (own,))] if own else []))

    def said(self, response: httpx.Response, limits: Sequence[Limits]) -> Said:
        """A 429 does not say which limit it is about; a wait of more than a minute is not about the minute's."""
        said = super().said(response, limits)
        if not said.refused or len(limits) == 1:
            return said
        [of_all] = said.refused
        after = of_all.after
        of_path = replace(of_all, key=limits[1].key, why=limits[1].rates[0].name)
        return Said(refused=(of_path, replace(of_all, after=None if after is None else min(after, 60.0))))


def of_business(business: int) -> Limits:
    most = settings.PEX_CALLS_A_MINUTE
    return Limits(f"pex:{business}", (Rate(MINUTE, 60, most, kept=most // 6),))


def own_rates() -> Mapping[tuple[str, str], Rate]:
    hourly = settings.PEX_LISTS_AN_HOUR
    return {
        ("GET", CARD_LIST_PATH): Rate(CARD_LIST, 3600, hourly),
        ("GET", "Details/AccountDetails"): Rate(CARD_ACCOUNTS, 3600, hourly),
        ("GET", BUSINESS_LIST_PATH): Rate(BUSINESS_LIST, 60, settings.PEX_BUSINESS_LISTS_A_MINUTE),
        ("DELETE", "Token"): Rate(TOKENS, 86_400, 2),
    }


class PexClient:
    """One token's calls. Safe for threads as `Session` is; constructing it calls nobody."""

    def __init__(self, token: Token, session: Session, keeper: Keeper | None = None) -> None:
        self._token, self._session, self._keeper = token, session, keeper

    # --- the token itself

    def current_token(self) -> JSON:
        return self._get("Token/Current")

    def renew(self) -> JSON | None:
        """Ask for a new token beside this one. None: PEX allows it only in a token's last month."""
        response = self._session.write("POST", _url("Token/Renew"), headers=self._headers())
        if response.status_code == 403 and "cannot renew" in _message(response).lower():
            return None
        return _object(self._checked(response))

    def delete_token(self) -> None:
        """End this token. One that is dead already is as good."""
        response = self._session.write("DELETE", _url("Token"), headers=self._headers())
        if response.status_code not in (401, 403, 404):
            self._checked(response)

    # --- who and what

    def my_profile(self) -> JSON:
        return self._get("Business/MyProfile")

    def business_profile(self) -> JSON:
        """The cheapest call that needs a live token."""
        return self._get("Business/Profile")

    def business_settings(self) -> JSON:
        return self._get("Business/Settings")

    def balance(self) -> JSON:
        return self._get("Business/Balance")

    def account_details(self) -> JSON:
        """The business with all its card accounts; PEX allows this ten times an hour."""
        return self._get("Details/AccountDetails", needs=Permission.MANAGE_CARDHOLDER)

    # --- transactions

    def card_transactions(
        self, start: date, end: date, *, bill_pay: bool, pendings: bool = False, declines: bool = False
    ) -> Iterator[JSON]:
        """Yield the rows of all cards between two Eastern days, both included, each row once.

        `bill_pay`: card charges that paid a bill through bill pay are among them. What lies further back than
        the twelve months PEX answers for is left out. Raises `RetryLater` when the list could not be read whole.
        """
        flags = {"IncludePendings": pendings, "IncludeDeclines": declines, "IncludeVendorBillPay": bill_pay}
        return self._listed(CARD_LIST_PATH, start, end, flags)

    def business_transactions(self, start: date, end: date) -> Iterator[JSON]:
        """Yield the rows of the business account: fundings, fees, rebates. PEX allows one read a minute."""
        flags = {"IncludePendings": False, "IncludeDeclines": False}
        return self._listed(BUSINESS_LIST_PATH, start, end, flags)

    def _listed(self, path: str, start: date, end: date, flags: Mapping[str, bool]) -> Iterator[JSON]:
        first, last = _window(start, end, clock.now())
        seen: set[int] = set()
        while first <= last:
            page = _Page()
            params = {"StartDate": first, "EndDate": last, **{name: str(on) for name, on in flags.items()}}
            with closing(self._page(path, params, page, PAGE_PATIENCE if seen else FEW)) as rows:
                for row in rows:
                    if row["TransactionId"] not in seen:  # the last row of a page stands on the next one too
                        seen.add(row["TransactionId"])
                        yield row
            if not page.more:
                return
            if page.continues_at <= first:
                raise RetryLater("PEX did not send all transactions of the period. We keep trying.", after=600)
            first = page.continues_at

    def _page(self, path: str, params: Mapping[str, str], page: "_Page", patience: float) -> Generator[JSON]:
        call = self._session.stream("GET", _url(path), patience=patience, params=params, headers=self._headers())
        with call as response:
            if response.status_code != 200:
                response.read()
                self._checked(response, Permission.VIEW_TRANSACTIONS)
            yield from page.rows(response.iter_bytes(PIECE))

    # --- statements of a charge account

    def invoices(self, since: date) -> list[JSON]:
        """The statements due on that Eastern day or later."""
        return self._get_list("Invoices", {"startDate": since.isoformat()}, Permission.VIEW_TRANSACTIONS)

    def invoice_payments(self, invoice_id: int) -> list[JSON]:
        return self._get_list(f"Invoice/{invoice_id}/payments", {}, Permission.VIEW_TRANSACTIONS)

    # --- notes

    def add_note(
        self,
        transaction_id: int,
        text: str,
        pending: bool = False,
        visible: bool = True,
        deadline: Deadline | None = None,
    ) -> int:
        """Add a system-generated note; returns its id, 0 where PEX does not say. Raises `NoAnswer`, `NotReached`."""
        body = {
            "TransactionId": transaction_id,
            "NoteText": text,
            "Pending": pending,  # must tell what the row is, else PEX does not find it
            "VisibleToCardholder": visible,
            "SystemGenerated": True,
        }
        answer = self._write("POST", "Note", body, Permission.EDIT_NOTES, deadline)
        try:
            found = _object(answer)
        except RetryLater:  # the note stands; only its id was not told
            return 0
        return found.get("Id") or 0

    # --- receipts

    def attachments(self, transaction_id: int) -> list[JSON]:
        response = self._read(f"Transactions/{transaction_id}/Attachments")
        if response.status_code == 404:
            return []
        given = _object(self._checked(response, Permission.VIEW_TRANSACTIONS)).get("Attachments")
        return [one for one in given or () if isinstance(one, dict)]

    def attachment(self, transaction_id: int, attachment_id: str, to: BinaryIO | Path, limit: int) -> Download:
        """Write a receipt's file to `to`, at most `limit` bytes of it, without holding it in memory.

        Raises `RecordRejected` with the causes receipt_gone, receipt_bad, receipt_too_large, and `RetryLater`.
        """
        if isinstance(to, Path):
            with to.open("wb") as file:
                return self.attachment(transaction_id, attachment_id, file, limit)
        sink = Sink(to, limit)
        try:
            facts = self._file_in_answer(transaction_id, attachment_id, sink)
            if not sink.size:
                self._file_behind_link(facts, sink)
        except TooLarge as error:
            sentence = f"This receipt is larger than {limit // 1_000_000} MB. Attach a smaller copy by hand."
            raise RecordRejected(sentence, cause="receipt_too_large") from error
        return sink.download()

    def _file_in_answer(self, transaction_id: int, attachment_id: str, sink: Sink) -> JSON:
        """Read the file out of the attachment's JSON, where `Full` puts it. Returns the other facts."""
        path = f"Transactions/{transaction_id}/Attachment/{quote(attachment_id, safe='')}"
        params = {"AttachmentLinkType": "Full"}
        with self._session.stream("GET", _url(path), params=params, headers=self._headers()) as response:
            if response.status_code == 404:
                raise RecordRejected("This receipt is no longer in PEX.", cause="receipt_gone")
            if response.status_code != 200:
                response.read()
                self._checked(response, Permission.VIEW_TRANSACTIONS)
            reader = ContentReader(sink)
            try:
                for piece in response.iter_bytes(PIECE):
                    reader.feed(piece)
                facts = reader.end()
            except Unreadable as error:
                raise RetryLater(UNREADABLE) from error
        _must_be_loaded(facts)
        return facts

    def _file_behind_link(self, facts: JSON, sink: Sink) -> None:
        """Fetch the file from its link: with our token where PEX itself serves it, then without."""
        link = (facts.get("Link") or {}).get("related") or ""
        if not _fetchable(link):
            raise RecordRejected("PEX sent no file for this receipt. Upload it again in PEX.", cause="receipt_bad")
        ours = _origin(link) == _origin(settings.PEX_API_URL)
        for headers in ([self._headers()] if ours else []) + [{}]:
            with self._session.stream("GET", link, headers=headers) as response:
                if response.status_code == 200:
                    for piece in response.iter_bytes(PIECE):
                        sink.write(piece)
                    return
            sink.restart()
        raise RetryLater("PEX's link to a receipt did not open. We keep trying.")

    # --- tags

    def tags(self) -> list[JSON] | None:
        """Return all tag definitions with their options; None when tags are switched off for the business."""
        response = self._read("Business/Configuration/Tags")
        if _tags_off(response):
            return None
        return _list(self._checked(response, Permission.EDIT_BUSINESS))

    def tag(self, tag_id: str) -> JSON | None:
        """Return one tag with all its options, also those hidden from the caller's group; None when it is gone."""
        path = f"Business/Configuration/Tag/{quote(tag_id, safe='')}"
        response = self._read(path, params={"OverrideRestrictions": "true"})
        if response.status_code == 404 or _tags_off(response):
            return None
        return _object(self._checked(response, Permission.EDIT_BUSINESS))

    def replace_dropdown(self, tag_id: str, body: JSON) -> bool:
        """Replace a dropdown tag as a whole: options that are not in `body` are gone. See `mapping.dropdown`.

        False when PEX says that the tag was changed or deleted since it was read; nothing was done then. Raises
        `NoAnswer`, `NotReached`, `RecordRejected`.
        """
        headers = {**self._headers(), "Content-Type": "application/json; charset=utf-8"}
        url = _url(f"Business/Configuration/Tag/Dropdown/{quote(tag_id, safe='')}")
        response = self._session.write("PUT", url, content=to_json(body), headers=headers)
        if response.status_code in (404, 409):
            return False
        self._checked(response, Permission.EDIT_BUSINESS)
        return True

    # --- the wire

    def _headers(self) -> dict[str, str]:
        token = self._keeper.fresh() if self._keeper else self._token
        return {"Authorization": token.header, **_common_headers()}

    def _read(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        return self._session.read("GET", _url(path), params=params, headers=self._headers())

    def _get(self, path: str, needs: Permission = Permission.EDIT_BUSINESS) -> JSON:
        return _object(self._checked(self._read(path), needs))

    def _get_list(self, path: str, params: Mapping[str, str], needs: Permission) -> list[JSON]:
        return _list(self._checked(self._read(path, params), needs))

    def _write(
        self, method: str, path: str, body: JSON, needs: Permission, deadline: Deadline | None = None
    ) -> httpx.Response:
        headers = {**self._headers(), "Content-Type": "application/json; charset=utf-8"}
        response = self._session.write(method, _url(path), deadline=deadline, content=to_json(body), headers=headers)
        return self._checked(response, needs)

    def _checked(self, response: httpx.Response, needs: Permission = Permission.EDIT_BUSINESS) -> httpx.Response:
        """Return the answer if it is one; `needs` is named when PEX misses a permission."""
        if response.is_success:
            return response
        try:
            _refuse(response.status_code, _message(response), needs)
        except TokenDead as error:
            if self._keeper:
                raise self._keeper.refused(error) from error
            raise


def exchange(jwt: str, session: Session, address: str = "") -> Token:
    """Turn the dashboard's one-time JWT into an external token. Raises `NotAuthorized` when it is stale or used.

    `address` is the person's, as PEX wants to know it.
    """
    if not _JWT.fullmatch(jwt):
        raise NotAuthorized(STALE)
    headers = {
        "Authorization": f"Bearer {jwt}",
        "Content-Type": "application/json; charset=utf-8",
        **_common_headers(),
        **({"X-Forwarded-For": address} if address else {}),
    }
    body = {"AppId": settings.PEX_APP_ID, "AppSecret": settings.PEX_APP_SECRET}
    url = f"{settings.PEX_API_URL}/Internal/V4/Account/Token/Exchange"
    response = session.write("POST", url, content=to_json(body), headers=headers, timeout=30)
    if not response.is_success:
        raise NotAuthorized(STALE)
    text = json_of(response, NAME)
    if not isinstance(text, str) or not text:
        raise RetryLater(UNREADABLE)
    return Token(text)


# --- one page of a list -----------------------------------------------------------------------------------


class _Page:
    """Reads the rows of one page as its bytes come, then knows whether there is another."""

    def __init__(self) -> None:
        self.count = 0
        self.facts: JSON = {}

    def rows(self, pieces: Iterator[bytes]) -> Iterator[JSON]:
        rows, facts = ijson.sendable_list(), ijson.sendable_list()
        parsers = ijson.items_coro(rows, "TransactionList.item"), ijson.items_coro(facts, "Pages")
        named, end = False, b""
        try:
            for piece in pieces:
                named = named or b'"TransactionList"' in end + piece
                end = piece[-32:]
                for parser in parsers:
                    parser.send(piece)
                for row in rows:
                    if row is not None:
                        yield _identified(row)
                self.count += len(rows)
                rows.clear()
            for parser in parsers:
                parser.close()
        except ijson.JSONError as error:
            raise RetryLater(UNREADABLE) from error
        if not named:  # an answer about something else must not pass for an empty list
            raise RetryLater(UNREADABLE)
        self.facts = facts[0] if facts and isinstance(facts[0], dict) else {}

    @property
    def more(self) -> bool:
        """Whether rows are left. A page that is not full is the last one, whatever its count of pages says."""
        size, total = self.facts.get("PageSize"), self.facts.get("TotalRecords", self.facts.get("TotalItems"))
        if isinstance(size, int) and self.count < size:
            return False
        pages = self.facts.get("NumberOfPages")
        return pages > 1 if isinstance(pages, int) else isinstance(total, int) and total > self.count

    @property
    def continues_at(self) -> str:
        """The Eastern second of the last row, "" where PEX does not say."""
        return str(self.facts.get("LastTimeRetrieved") or "")[:19]


def _identified(row: Any) -> JSON:
    try:
        row["TransactionId"] = int(row["TransactionId"])
    except (KeyError, TypeError, ValueError) as error:
        raise RetryLater(UNREADABLE) from error
    found: JSON = row
    return found


def _window(start: date, end: date, now: datetime) -> tuple[str, str]:
    """Return the period as PEX wants it: Eastern wall clock without offset, within the last twelve months."""
    here = now.astimezone(clock.EASTERN).replace(tzinfo=None)
    oldest = _year_before(here) + CLOCK_SKEW
    return max(f"{start}T00:00:00", oldest.isoformat(timespec="seconds")), f"{end}T23:59:59"


def _year_before(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year - 1, day=28)


# --- refusals ---------------------------------------------------------------------------------------------

AGAIN = "Launch PEX Sync from PEX again to go on."
# PEX's papers disagree on 401 or 403 for these, so their text decides.
DEAD = {
    "token expired or does not exist": f"The PEX sign-in that syncs has ended. {AGAIN}",
    "password has changed": f"The PEX admin whose sign-in syncs has changed the password. {AGAIN}",
    "user is not active": "The PEX admin whose sign-in syncs is no longer active. "
    "Another admin with all permissions must launch PEX Sync from PEX.",
    "business is not open": "PEX says that this account is closed. Ask PEX support about it.",
}


def _refuse(status: int, message: str, needs: Permission) -> NoReturn:
    """Turn a refusal into what happens next."""
    text = message.lower()
    for fragment, sentence in DEAD.items():
        if fragment in text:
            raise TokenDead(sentence)
    if "does not have permission" in text:
        raise NotAuthorized(
            f"The PEX sign-in in use lacks the permission “{needs.label}”. "
            "Switch it on in PEX under My Profile → Permissions.",
            permission=needs.label,
        )
    if "does not support the tags feature" in text:
        raise SettingsNeeded("Tags are switched off in PEX. Ask PEX support to switch them on.")
    if status in (401, 403) and "not found" not in text and "invalid card account" not in text:
        raise NotAuthorized(f"PEX refused the sign-in that syncs ({message}). {AGAIN}")
    if status < 400:
        raise RetryLater(UNREADABLE)
    raise RecordRejected(f"PEX refused this: {message}", cause="pex_refused")


def _message(response: httpx.Response) -> str:
    """Return PEX's own words; the status line's where it sent a page or nothing."""
    try:
        given = response.json()
    except ValueError:
        given = None
    message = given.get("Message") or given.get("message") if isinstance(given, dict) else None
    return str(message or f"{response.status_code} {response.reason_phrase}")[:200]


def _tags_off(response: httpx.Response) -> bool:
    """403 on tags means the feature is off, unless the text says it is about the caller."""
    if response.status_code != 403:
        return False
    text = _message(response).lower()
    return "does not have permission" not in text and not any(fragment in text for fragment in DEAD)


def _must_be_loaded(facts: JSON) -> None:
    status = facts.get("UploadStatus") or "Loaded"
    if status in TROUBLES:
        raise RecordRejected(TROUBLES[status], cause="receipt_bad")
    if status != "Loaded":
        raise RetryLater("PEX is still loading a receipt. It is sent once PEX has it.", after=600)


def _object(response: httpx.Response) -> JSON:
    found = json_of(response, NAME)
    if not isinstance(found, dict):
        raise RetryLater(UNREADABLE)
    return found


def _list(response: httpx.Response) -> list[JSON]:
    found = json_of(response, NAME)
    if not isinstance(found, list):
        raise RetryLater(UNREADABLE)
    return [one for one in found if isinstance(one, dict)]


def _url(path: str) -> str:
    return f"{settings.PEX_API_URL}/V4/{path}"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _fetchable(link: str) -> bool:
    """Whether a link of PEX's may be opened: PEX's own address, or any by https."""
    return _origin(link) == _origin(settings.PEX_API_URL) or urlsplit(link).scheme == "https"


def _common_headers() -> dict[str, str]:
    return {"Accept": "application/json", "X-CORRELATION-ID": f"ext-{uuid.uuid4()}"}
