"""The state of the simulated PEX: businesses, tokens, grants, and the switches of its moods."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.clock import Clock
from sandbox.pex import jwt
from sandbox.pex.business import Admin, Business
from sandbox.pex.eastern import months_later
from sandbox.pex.records import Note, Transaction

TOKEN_MONTHS = 6
RENEW_MONTHS = 1  # an external token can be renewed in its last month only
JWT_SECONDS = 300
CODE_SECONDS = 60
ACCESS_SECONDS = 600
REFRESH_SECONDS = 1_209_600


@dataclass
class Limit:
    """So many calls of a verb and path in so many seconds, per business (per user name for `POST Token`)."""

    method: str  # empty: any
    path: str  # regular expression over the whole path below /V4/, case ignored
    calls: int
    seconds: int


def published_limits() -> list[Limit]:
    return [
        Limit("", ".*", 120, 60),
        Limit("GET", "Details/TransactionDetails", 1, 60),
        Limit("GET", "Details/AccountDetails", 10, 3600),
        Limit("GET", "Details/AllCardholderTransactions", 10, 3600),
        Limit("POST", "Token", 2, 86_400),
        Limit("DELETE", "Token", 2, 86_400),
    ]


@dataclass
class Switches:
    """What PEX's public material leaves open, and its bad days. The defaults are the friendly reading."""

    limits: bool = False
    limit_table: list[Limit] = field(default_factory=published_limits)
    retry_after: bool = True  # a 429 says how long to wait
    page_size: int = 30_000
    window_by: str = "transaction"  # which date the lists filter: "transaction" or "settlement"
    note_delay: float = 0  # seconds until a new note shows in the lists
    list_lag: float = 0  # seconds until a new row shows in the lists
    shuffled: bool = False  # lists of one page come in no order
    dead_token_status: int = 401  # or 403: PEX's own papers disagree
    nulls: str = "null"  # or "omit": fields without a value are left out
    empty_notes: str = "null"  # or "list": a row without notes has []
    unknown_fields: bool = False  # rows and accounts carry fields nobody has heard of
    unknown_values: bool = False  # lists of names gain members nobody has heard of
    note_length: int = 250
    attachment_bytes: int = 10_000_000
    upload_delay: float = 0  # seconds an uploaded receipt is NotLoaded
    link_seconds: int = 3600  # life of an attachment's link
    link_in_content: bool = False  # with LinkUrl, `Content` repeats the link
    approved_locks_tags: bool = False
    deleted_tags_listed: bool = False
    tag_keys_checked: bool = False  # a PUT with an old ConcurrencyKey is refused; else the last writer wins
    tag_edits_after_read: int = 0  # so many times an admin adds an option right after a tag was read alone
    tag_edits_after_write: int = 0  # and right after one was replaced
    options_per_tag: int = 0  # more are refused; 0: no limit


@dataclass
class App:
    app_id: str
    secret: str
    name: str


@dataclass
class OAuthClient:
    client_id: str
    name: str
    redirect_path: str  # below the product's address


@dataclass
class Token:
    """A live token of an admin: an external one, or an OAuth access token (scheme Bearer)."""

    text: str
    app_id: str
    business_id: int
    admin_id: int
    issued: datetime
    expires: datetime
    password_version: int
    scheme: str = "token"
    family: str = ""


@dataclass
class Code:
    """An authorization code, good once."""

    client_id: str
    redirect_uri: str
    challenge: str
    scope: str
    nonce: str
    business_id: int
    admin_id: int
    expires: datetime
    family: str = ""  # what it was exchanged for


@dataclass
class Family:
    """All tokens that go back to one consent."""

    client_id: str
    business_id: int
    admin_id: int
    scope: str
    nonce: str
    password_version: int
    revoked: bool = False


@dataclass
class RefreshToken:
    family: str
    expires: datetime
    used: bool = False


@dataclass
class PexWorld:
    businesses: dict[int, Business] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    apps: dict[str, App] = field(default_factory=dict)
    clients: dict[str, OAuthClient] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    spent_jwts: dict[str, datetime] = field(default_factory=dict)  # jti -> when it would have expired anyway
    hits: dict[tuple[Any, ...], list[datetime]] = field(default_factory=dict)  # calls counted by the limits
    secret: str = field(default_factory=lambda: secrets.token_hex(32))  # signs JWTs, links and cookies
    counters: dict[str, int] = field(default_factory=dict)
    rows: dict[int, Transaction] = field(default_factory=dict)  # of all businesses
    clock: Clock = field(default_factory=Clock, repr=False)  # the desk's, set by whoever serves this world

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "clock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, clock=Clock())

    def now(self) -> datetime:
        return self.clock.now()

    def next_id(self, sequence: str, first: int = 1) -> int:
        """Count up a sequence. Transactions, pending and settled alike, share one."""
        number = self.counters.get(sequence, first)
        self.counters[sequence] = number + 1
        return number

    def next_hex(self, sequence: str) -> str:
        """Return the next 24-digit id of a sequence."""
        salt = hashlib.sha256(sequence.encode()).hexdigest()[:8]
        return f"65f0{salt}{self.next_id(sequence):012x}"

    def add_business(
        self,
        name: str = "Acme Builders",
        funding: str = "Prepaid",
        business_id: int = 4410,
        tags_enabled: bool = True,
        **fields: Any,
    ) -> Business:
        if funding not in ("Prepaid", "Credit"):
            raise ValueError("A business is funded Prepaid or Credit.")
        if business_id in self.businesses:
            raise ValueError(f"There is a business {business_id} already.")
        business = Business(self, business_id, name, funding, tags_enabled=tags_enabled)
        for key, value in fields.items():
            if key not in Business.__dataclass_fields__:
                raise TypeError(f"A business has no {key}.")
            setattr(business, key, value)
        self.businesses[business_id] = business
        return business

    def admins(self, username: str = "") -> list[Admin]:
        """Return the admins of all businesses, or those with a user name."""
        found = [admin for business in list(self.businesses.values()) for admin in list(business.admins.values())]
        return [admin for admin in found if username in ("", admin.username)]

    def admin(self, business_id: int, admin_id: int) -> Admin | None:
        business = self.businesses.get(business_id)
        return business.admins.get(admin_id) if business else None

    def row(self, transaction_id: int) -> Transaction | None:
        return self.rows.get(transaction_id)

    def notes(self, transaction_id: int) -> list[Note]:
        """Return the notes of a transaction as they are stored, shown in lists or not yet."""
        row = self.rows.get(transaction_id)
        return list(row.notes) if row else []

    def token(self, admin: Admin, app_id: str = "pexsync-demo") -> str:
        """Make a live external token for an admin, as a launch would."""
        return self.issue(admin, app_id).text

    def issue(self, admin: Admin, app_id: str) -> Token:
        issued = self.now()
        token = Token(
            text=secrets.token_hex(24),
            app_id=app_id,
            business_id=admin.business_id,
            admin_id=admin.admin_id,
            issued=issued,
            expires=months_later(issued, TOKEN_MONTHS),
            password_version=admin.password_version,
        )
        self.tokens[token.text] = token
        return token

    def launch_jwt(self, admin: Admin, app_id: str = "pexsync-demo") -> str:
        """Make the one-time JWT the dashboard hands to an app, good for five minutes."""
        now = self.now()
        claims = {
            "iss": "pex-dashboard",
            "aud": app_id,
            "sub": admin.username,
            "business": admin.business_id,
            "admin": admin.admin_id,
            "pwd": admin.password_version,
            "jti": secrets.token_hex(16),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=JWT_SECONDS)).timestamp()),
        }
        return jwt.signed(claims, self.secret)

    def catch_up(self) -> None:
        """Let happen what was planned for a time that has come: holds settle or drop off."""
        now = self.now()
        for business in list(self.businesses.values()):
            if business.plans:
                business.catch_up(now)


def fresh_world(clock: Clock | None = None) -> PexWorld:
    """Return a PEX without businesses that knows the product's app and OAuth client."""
    world = PexWorld(clock=clock or Clock())
    world.apps["pexsync-demo"] = App("pexsync-demo", "pexsync-demo-secret", "PEX Sync")
    world.clients["pexsync-demo-oauth"] = OAuthClient("pexsync-demo-oauth", "PEX Sync", "/sign-in/pex/callback")
    return world
