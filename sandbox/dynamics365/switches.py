"""What may be turned on the simulated Entra and Business Central: their limits, their moods, and what is left open."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Switches:
    """Defaults are the documented behaviour, or the stricter one where sources disagree; limits are off."""

    # Sign-in and tokens
    token_seconds: int = 3600  # of an access token
    code_seconds: int = 600
    refresh_days: int = 90  # an unused refresh token dies after so many days
    scope_echo: Literal["default", "names"] = "default"  # the token answer's scope: with `.default`, or what it means
    consent: Literal["ask", "allow", "cancel", "admin"] = "ask"  # "ask" shows the page, others answer for it
    client_info: bool = True
    token_error: str = ""  # each token call is refused with this `error`: invalid_grant, interaction_required ...
    token_suberror: str = ""
    token_claims: str = ""
    token_status: int = 0  # each token call answers this status instead: 429, 503

    # Environments and companies
    environment_version: str = "v1.2"
    names_anywhere: bool = True  # environment names are compared without case

    # Limits of one user; while off nothing is counted
    limits: bool = False
    window_limit: int = 6000
    window_seconds: int = 300
    concurrent_limit: int = 5
    queue_limit: int = 95
    retry_after: int = 0  # seconds a 429 names; 0: it names none
    inner_counts: bool = True  # each operation of a batch counts as a call

    # Time an answer takes; the call occupies one of the concurrent slots meanwhile
    latency: float = 0.0
    seconds_per_operation: float = 0.0
    seconds_per_upload: float = 0.0

    # Lists
    page_size: int = 20_000
    read_lines: Literal["documented", "source"] = "documented"  # which account types GET journalLines shows
    code_filter_case: Literal["exact", "any"] = "exact"  # whether `eq 'abc'` finds ABC

    # Batches
    inner_failures: int = 0  # so many next writing operations inside a batch answer 500 and undo a snapshot

    # Attachments
    content_answer: Literal["204", "200"] = "204"

    # Posting
    job_queue: bool = False  # the post action only schedules; a person posts on the pages

    # Vendors
    vendor_posting_groups: bool = True  # a template gives vendors made through the API their posting group
