"""What may be turned on the simulated Xero: its limits, its moods, and the points its documents leave open."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Switches:
    """Defaults are the documented behaviour, or the stricter one where sources disagree; limits are off."""

    # Sign-in and tokens
    token_seconds: int = 1800
    code_seconds: int = 300
    grace_seconds: int = 1800  # how long a replaced refresh token may still be used
    refresh_days: int = 60  # an unused refresh token dies after so many days
    invalid_grant_description: str = ""  # added as error_description when not empty
    app_age: Literal["granular", "broad", "both"] = "granular"  # which scope names the app may ask for
    consent: Literal["ask", "allow", "cancel", "nothing"] = "ask"  # "ask" shows the page, others answer for it
    practice_row: bool = False  # consent also connects a PRACTICE, first in the list and without a name
    null_tenant_names: bool = False

    # Limits; while off nothing is counted and the headers show an untouched allowance
    limits: bool = False
    minute_limit: int = 60
    day_limit: int = 5000
    app_minute_limit: int = 10_000
    concurrent_limit: int = 5
    limit_problem_case: Literal["lower", "title", "upper"] = "lower"
    limit_body: str = ""
    limit_retry_after: int = 0  # seconds a 429 names in place of the true ones; 0: the true ones

    # Time an answer takes; the call occupies one of the concurrent slots meanwhile
    latency: float = 0.0
    seconds_per_element: float = 0.0
    seconds_per_upload: float = 0.0

    # Idempotency-Key
    idempotency_seconds: int = 360  # documented; 1200 was measured
    replay_server_errors: bool = True  # a 5xx of Xero itself is stored under the key like any answer
    server_errors: int = 0  # so many next writes are done, but Xero itself answers 500

    # Batches
    failed_id: Literal["zero", "none", "real"] = "zero"  # the id a refused element carries
    failed_errors: Literal["top", "nested"] = "top"  # "nested": the reason stands only in lines, contact, account
    shuffled: bool = False  # the answer to a batch of any kind comes in another order
    refused_elements: int = 0  # so many next new bank transactions are refused, at most half of a batch
    warned_elements: int = 0  # so many next bank transactions are saved with a warning
    body_bytes: int = 3_500_000

    # Bank transactions and contacts
    line_amount_types: Literal["Exclusive", "Inclusive", "NoTax"] = "Exclusive"  # when the document does not say
    reference_length: int = 255
    reference_mode: Literal["error", "cut"] = "error"
    tracking: Literal["drop", "warn", "refuse"] = "drop"  # unknown or archived options
    nested_contacts: Literal["once", "twice"] = "once"  # two equal new names in one batch
    archived_names: Literal["create", "refuse"] = "create"  # a new contact named like an archived one

    # Lists
    where_or: bool = True
    references: bool = True
    pagination: bool = True
    most_rows: int = 100_000
    legs_visible: bool = True  # legs of transfers in the list of bank transactions
    transfers: Literal["all", "first", "refuse"] = "all"  # several transfers in one PUT

    # Attachments
    attachment_bytes: int = 10 * 1024 * 1024
    attachment_files: int = 10
    attachment_types: Literal["listed", "any"] = "listed"

    # Format
    date_form: Literal["recorded", "zone", "plain"] = "recorded"  # "recorded" mixes both forms in one body
    unknown_enum: str = ""  # member with a value nobody has heard of: "Type" (bank transactions) or "Accounts.Type"
