"""The steps of the product at which a worker can be killed or frozen: names only, so that plan and tests may read them.

Each is a function the product calls between two facts it commits, or between two calls of another company.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`rows`: which argument must not be empty, where the product also calls the function about nothing.

    `after`: the kind of fault that leads a worker here, where an undisturbed one hardly ever comes.
    """

    name: str
    module: str
    function: str  # "Class.method" for a method
    rows: int | None = None
    after: str = ""


STEPS = (
    Step("take lease", "syncjobs.lease", "Held.__enter__"),
    Step("give lease back", "syncjobs.lease", "Held.__exit__"),
    Step("save mirror", "syncjobs.mirror", "save"),
    Step("admit", "syncjobs.ledger", "admit", rows=1),
    Step("judge", "syncjobs.ledger", "judged", rows=1),
    Step("look in Xero", "connectors.xero.connector", "Xero.find", rows=1),
    Step("look in Dynamics", "connectors.dynamics365.connector", "Dynamics365.find", rows=1),
    Step("claim", "syncjobs.ledger", "claim", rows=2),
    Step("post in Xero", "connectors.xero.connector", "Xero.post", rows=1),
    Step("post in Dynamics", "connectors.dynamics365.connector", "Dynamics365.post", rows=1),
    Step("any write", "connectors.http", "Session.write"),
    Step("accept", "syncjobs.ledger", "accepted", rows=2),
    Step("refuse", "syncjobs.ledger", "refused", rows=2, after="partial batches"),
    Step("not sent", "syncjobs.ledger", "not_sent", rows=2, after="429 without wait"),
    Step("unanswered", "syncjobs.ledger", "unanswered", rows=2, after="answer dropped after"),
    Step("adopt", "syncjobs.ledger", "adopt", rows=2, after="doubled by hand"),
    Step("settle live", "syncjobs.ledger", "settle_live", rows=1, after="answer dropped after"),
    Step("settle absent", "syncjobs.ledger", "settle_absent", rows=1, after="dropped before"),
    Step("note", "connectors.pex.client", "PexClient.add_note"),
    Step("make room", "connectors.dynamics365.connector", "Dynamics365.make_room", rows=1),
    Step("attach in Xero", "connectors.xero.connector", "Xero.attach"),
    Step("attach in Dynamics", "connectors.dynamics365.connector", "Dynamics365.attach"),
    Step("save notes", "syncjobs.delivery", "Delivery._save_notes", rows=1),
    Step("save lists", "syncjobs.delivery", "Delivery._save_lists", rows=1),
    Step("save receipts", "syncjobs.delivery", "Delivery._save_carried", rows=1),
    Step("pause", "syncjobs.runs", "pause", after="429 without wait"),
    Step("finish", "syncjobs.runs", "finish"),
    Step("save renewed sign-in", "connectors.models", "Credential.save_renewed", after="Xero token expired"),
)

WAKE = Step("wake", "syncjobs.engine", "advance")  # where a message can be lost: it was taken, and nothing came of it

MOMENTS = tuple(f"{when} {step.name}" for step in STEPS for when in ("before", "after"))
"""Every moment a schedule may choose: "before claim", "after claim" ..."""

RARE = {f"{when} {step.name}": step.after for step in STEPS if step.after for when in ("before", "after")}
"""Moments that need a fault of this kind to be reached."""
