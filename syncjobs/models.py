"""What is kept: the mirror of PEX (a cache), the ledger (never dropped), runs and their results."""

from django.db import models
from django.db.models import Q

from connectors.models import Connection
from connectors.records import Kind, Source
from pexsync.accounts.models import Business, User
from syncjobs.transitions import State

KINDS = [(kind.value, kind.label) for kind in Kind]
SOURCES = [(source.value, source.value) for source in Source]
STATES = [(state.value, state.value) for state in State]


class PexTransaction(models.Model):
    """Our copy of one PEX row, signed our way. A cache: it may be dropped and read again."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="pex_transactions", db_index=False)
    source = models.CharField(max_length=20, choices=SOURCES)
    pex_id = models.BigIntegerField()
    kind = models.CharField(max_length=15, choices=KINDS, blank=True)  # "": a kind we do not know
    category = models.CharField(max_length=60, blank=True)
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    happened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_on = models.DateField(null=True)  # US/Eastern; the day the window and the books go by
    pending = models.BooleanField(default=False)
    declined = models.BooleanField(default=False)
    account_id = models.BigIntegerField(null=True)
    cardholder = models.CharField(max_length=200, blank=True)
    merchant = models.CharField(max_length=200, blank=True)
    merchant_clean = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=500, blank=True)
    approval = models.CharField(max_length=30, blank=True)
    facts = models.JSONField(default=dict)  # the rest of records.Transaction: splits, notes, currency, links ...
    digest = models.CharField(max_length=32)  # of the row as read: only what changed is written
    read_at = models.DateTimeField()  # begin of the read it came from; a newer read wins
    first_read_at = models.DateTimeField(
        null=True
    )  # begin of the read that showed it first; None: before this was kept
    noted = models.BooleanField(null=True)  # carries our note with its own key; None: read before this was kept

    class Meta:
        constraints = [models.UniqueConstraint(fields=["business", "source", "pex_id"], name="mirror_once")]
        indexes = [models.Index(fields=["business", "settled_on"], name="mirror_by_day")]

    def __str__(self) -> str:
        return f"{self.source} {self.pex_id}"


class Export(models.Model):
    """Our lasting memory of one PEX transaction for one system: the ledger row. Moves are in `syncjobs.ledger`."""

    business = models.ForeignKey(Business, on_delete=models.PROTECT, related_name="exports", db_index=False)
    system = models.CharField(max_length=40)
    source = models.CharField(max_length=20, choices=SOURCES)
    pex_id = models.BigIntegerField()
    kind = models.CharField(max_length=15, choices=KINDS)
    state = models.CharField(max_length=10, choices=STATES, default=State.DUE)
    waiting = models.CharField(max_length=30, blank=True)  # due, but not yet: a word of syncjobs.judge
    cause = models.CharField(max_length=80, blank=True)  # why held or closed, or why the books refused
    says = models.CharField(max_length=500, blank=True)  # the sentence people read
    overruled = models.BooleanField(default=False)  # a person decided: rules no longer hold or close it
    put_off = models.BooleanField(default=False, db_default=False)  # unticked in a preview: waits until it is sent
    settled_on = models.DateField()
    generation = models.PositiveSmallIntegerField(default=1)
    target = models.CharField(max_length=250, blank=True)  # frozen by the claim, freed by definite refusal
    run = models.ForeignKey("SyncRun", null=True, on_delete=models.SET_NULL, related_name="exports")  # sent it last
    batch = models.BigIntegerField(null=True)
    doubted = models.BooleanField(default=False)  # was once sent without an answer: never again without a look
    sent_at = models.DateTimeField(null=True)
    next_look = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=32, blank=True)  # of the entry
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    posting_date = models.DateField(null=True)
    pex_account = models.CharField(max_length=100, blank=True)  # in the books, as sent
    card_account = models.BigIntegerField(null=True)  # PEX's card account, part of the entry's address
    record_id = models.CharField(max_length=100, blank=True)
    link = models.CharField(max_length=500, blank=True)
    posted_at = models.DateTimeField(null=True)
    note_state = models.CharField(max_length=10, blank=True)  # "" not there, sent, seen, removed
    note_at = models.DateTimeField(null=True)
    note_missed_at = models.DateTimeField(null=True)  # begin of the first read that lacked a note seen before
    gone_missed_at = models.DateTimeField(null=True)  # begin of the first complete read of PEX that lacked the row
    gone_at = models.DateTimeField(null=True)  # begin of the second one: gone in PEX
    receipts_checked_at = models.DateTimeField(null=True)
    receipts_again_at = models.DateTimeField(null=True)  # when PEX is asked next for receipts added since; None: never
    draft = models.BooleanField(default=False, db_default=False)  # posted, but in the books a person has yet to post it
    asked_at = models.DateTimeField(null=True)  # since when support is asked to let it be sent again; None: nobody asks
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["business", "system", "source", "pex_id"], name="export_once"),
            models.UniqueConstraint(
                fields=["business", "target", "record_id"], condition=~Q(record_id=""), name="record_once"
            ),
        ]
        indexes = [
            models.Index(fields=["target", "next_look"], name="export_looks"),
            models.Index(fields=["business", "system"], condition=Q(state="held") | ~Q(waiting=""), name="export_open"),
            models.Index(fields=["business", "system", "settled_on", "id"], name="export_by_day"),
            models.Index(
                fields=["business", "system"],
                condition=Q(state="posted") & (~Q(note_state="seen") | Q(receipts_checked_at=None)),
                name="export_owing",
            ),
            models.Index(fields=["business", "system"], condition=Q(gone_at__isnull=False), name="export_gone"),
            models.Index(
                fields=["business", "system", "receipts_again_at"],
                condition=Q(receipts_again_at__isnull=False),
                name="export_late_receipts",
            ),
            # The sweeper asks whose time has come, whatever the size of the ledger.
            models.Index(fields=["next_look"], condition=Q(next_look__isnull=False), name="export_due_looks"),
            models.Index(fields=["business", "system", "id"], condition=Q(draft=True), name="export_drafts"),
            models.Index(fields=["asked_at"], condition=Q(asked_at__isnull=False), name="export_asked"),
        ]

    def __str__(self) -> str:
        return f"{self.system} {self.source} {self.pex_id}: {self.state}"


class ExportEvent(models.Model):
    """One move of one ledger row, or a remark on it: append-only. What earlier generations left stays readable here."""

    business = models.ForeignKey(Business, on_delete=models.PROTECT, related_name="+", db_index=False)
    export = models.ForeignKey(Export, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    event = models.CharField(max_length=20)
    before = models.CharField(max_length=10, blank=True)
    after = models.CharField(max_length=10)
    who = models.CharField(max_length=10)
    person = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    run = models.ForeignKey("SyncRun", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    batch = models.BigIntegerField(null=True)
    generation = models.PositiveSmallIntegerField(default=1)
    says = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict)  # record id, target, fingerprint: what the move froze or freed

    def __str__(self) -> str:
        return f"{self.event} of export {self.export_id}"


class ExportReceipt(models.Model):
    """One receipt of one posted transaction, by PEX's attachment id."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"  # PEX still loads it, or its turn has not come
        SENT = "sent", "Sending"
        UNKNOWN = "unknown", "Checking"  # no answer; the same name overwrites, so it may be repeated
        ATTACHED = "attached", "Attached"
        FAILED = "failed", "Not attached"

    business = models.ForeignKey(Business, on_delete=models.PROTECT, related_name="+", db_index=False)
    export = models.ForeignKey(Export, on_delete=models.PROTECT, related_name="receipts", db_index=False)
    attachment_id = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State.choices)
    name = models.CharField(max_length=120, blank=True)
    size = models.PositiveIntegerField(default=0)
    says = models.CharField(max_length=300, blank=True)
    generation = models.PositiveSmallIntegerField(default=1)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["export", "generation", "attachment_id"], name="receipt_once")]
        indexes = [
            models.Index(
                fields=["business"], condition=Q(state__in=("waiting", "sent", "unknown")), name="receipts_owing"
            )
        ]

    def __str__(self) -> str:
        return f"receipt {self.attachment_id} of export {self.export_id}"


class Tally(models.Model):
    """How many ledger rows are in which state, per month and kind; changed with the rows, so that pages never count."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="tallies")
    system = models.CharField(max_length=40)
    month = models.DateField()  # its first day
    kind = models.CharField(max_length=15, choices=KINDS)
    state = models.CharField(max_length=10)
    waits = models.CharField(max_length=10, blank=True)  # due rows apart: "later" not due yet, "you" for a person
    count = models.IntegerField(default=0)
    amount = models.DecimalField(max_digits=18, decimal_places=2, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["business", "system", "month", "kind", "state", "waits"], name="tally_once")
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.kind} {self.state} in {self.month:%Y-%m}"


class SyncRun(models.Model):
    """One sync, a row of the history. Progress is columns, written as the run goes."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        SUCCESS = "success", "Success"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    ALIVE = (Status.QUEUED, Status.RUNNING, Status.PAUSED)

    class Phase(models.TextChoices):
        READING = "reading", "Reading PEX"
        CHECKING = "checking", "Checking"
        SENDING = "sending", "Sending"
        RECEIPTS = "receipts", "Receipts"
        DONE = "done", "Done"

    business = models.ForeignKey(Business, on_delete=models.PROTECT, related_name="runs")
    connection = models.ForeignKey(Connection, null=True, on_delete=models.SET_NULL, related_name="runs")
    system = models.CharField(max_length=40)
    target = models.CharField(max_length=250)
    started_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    nightly = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    phase = models.CharField(max_length=10, choices=Phase.choices, default=Phase.READING)
    says = models.CharField(max_length=500, blank=True)  # why it waits, failed, or is partial
    window_start = models.DateField()
    window_end = models.DateField()
    settings_version = models.PositiveIntegerField(default=0)
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)  # when a slice is wanted next; the sweeper wakes what is overdue
    cancel_asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    cancel_asked_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # slices in a row that did not come to their end
    mirrored_at = models.DateTimeField(null=True)  # when this run's last complete read of PEX began
    preview = models.JSONField(default=list)  # [{"month", "kind", "count", "sum", "blocked"}] to confirm
    pairs = models.JSONField(
        default=dict, db_default={}
    )  # "source:pex id" -> {"id", "link", "says"}: what it looks booked as
    confirmed_at = models.DateTimeField(null=True)
    asks_first = models.BooleanField(default=False, db_default=False)  # somebody wants to see what it would post
    only = models.JSONField(default=list, db_default=[])  # the kinds it is asked for; []: all that are switched on
    rows_read = models.PositiveIntegerField(default=0)
    rows_judged = models.PositiveIntegerField(default=0)
    rows_waiting = models.PositiveIntegerField(default=0)  # of those: not due, with a reason
    rows_due = models.PositiveIntegerField(default=0)  # what this run set out to post
    rows_posted = models.PositiveIntegerField(default=0)
    rows_failed = models.PositiveIntegerField(default=0)
    receipts_due = models.PositiveIntegerField(default=0)
    receipts_done = models.PositiveIntegerField(default=0)
    receipts_failed = models.PositiveIntegerField(default=0)
    fields_done = models.PositiveIntegerField(default=0)
    fields_due = models.PositiveIntegerField(default=0)
    fields_told = models.JSONField(default=list, db_default=[])  # what became of each list of tag options
    amount_posted = models.DecimalField(max_digits=18, decimal_places=2, default=0)
    drafts = models.PositiveIntegerField(null=True)  # what nobody had posted in the books yet when it ended

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(status__in=("queued", "running", "paused")),
                name="one_run_alive_per_connection",
            )
        ]
        indexes = [models.Index(fields=["business", "system", "-queued_at"], name="runs_newest")]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.system}: {self.status}"

    @property
    def alive(self) -> bool:
        return self.status in self.ALIVE

    @property
    def only_kinds(self) -> frozenset[Kind]:
        """Empty: all that are switched on."""
        return frozenset(Kind(kind) for kind in self.only)

    def covers(self, kind: str) -> bool:
        """Whether rows of a kind are this run's to send; those of the others stay as they are."""
        return not self.only or kind in self.only


class RunResult(models.Model):
    """What became of one transaction in one run, where it did not succeed; successes are read from the ledger."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="results")
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="+")
    cause = models.CharField(max_length=80)
    says = models.CharField(max_length=500)
    field = models.CharField(max_length=60, blank=True)  # the settings field that mends it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "export"], name="result_once")]

    def __str__(self) -> str:
        return f"{self.cause} in run {self.run_id}"


class PreviewRow(models.Model):
    """One transaction as a preview showed it: the entry, or why it would not go. Dropped some days after its run."""

    class State(models.TextChoices):
        READY = "ready", "Ready"
        BLOCKED = "blocked", "Needs you"
        LATER = "later", "Not due"

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="shown", db_index=False)
    source = models.CharField(max_length=20, choices=SOURCES)
    pex_id = models.BigIntegerField()
    kind = models.CharField(max_length=15, choices=KINDS)
    settled_on = models.DateField()
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    merchant = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices)
    cause = models.CharField(max_length=80, blank=True)
    says = models.CharField(max_length=500, blank=True)
    fingerprint = models.CharField(max_length=32, blank=True)  # of the entry as shown; what changed since is not sent
    entry = models.JSONField(default=dict)  # date, lines with names of accounts and dimensions, party, memo
    pair = models.JSONField(default=dict)  # what it looks booked as: link, day, alike
    chosen = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "source", "pex_id"], name="shown_once")]
        indexes = [models.Index(fields=["run", "settled_on", "id"], name="shown_by_day")]

    def __str__(self) -> str:
        return f"{self.source} {self.pex_id} as shown in run {self.run_id}"


class MirrorRead(models.Model):
    """One read of PEX's lists: which days, when, whether it came to its end. PEX allows few of them an hour."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+", db_index=False)
    first = models.DateField()
    last = models.DateField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # None: cut off, or still under way
    rows = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["business", "-began_at"], name="reads_newest")]

    def __str__(self) -> str:
        return f"{self.first} to {self.last}, begun {self.began_at:%H:%M:%S}"


class Notice(models.Model):
    """Something people must know about one connection: told once per cause, counted while it goes on."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="notices", db_index=False)
    system = models.CharField(max_length=40)
    cause = models.CharField(max_length=80)  # short and stable: session, permission, settings ...
    says = models.CharField(max_length=500)
    since = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["business", "system", "cause"], condition=Q(ended_at=None), name="one_notice_per_cause"
            )
        ]

    def __str__(self) -> str:
        return f"{self.cause} of {self.system}"


class Lease(models.Model):
    """Who may post to a target now: one slice, for order and pace. The guard against doubles is the batch number."""

    target = models.CharField(max_length=250, primary_key=True)
    holder = models.CharField(max_length=32, blank=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.target} held until {self.until:%H:%M:%S}"
