"""The tags of a business as PEX last gave them, and which of them get their options from the books."""

from django.db import models

from pexsync.accounts.models import Business, User


class Tag(models.Model):
    """One PEX tag. `options` are a dropdown's rows as [value, name, enabled]; hidden ones are included."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="tags")
    tag_id = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=20)  # Dropdown, Text, Decimal, YesNo, Allocation ... as PEX names it
    required = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    deleted = models.BooleanField(default=False)
    order = models.IntegerField(default=0)
    options = models.JSONField(default=list)
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["business", "tag_id"], name="tag_once")]
        ordering = ["order", "name"]

    def __str__(self) -> str:
        return self.name


class Feed(models.Model):
    """One PEX tag that gets its options from one field of the books: what we did to it, and what we know of it."""

    class State(models.TextChoices):
        DONE = "done", "Up to date"
        HELD = "held", "Held"
        FAILED = "failed", "Not updated"

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="feeds", db_index=False)
    tag_id = models.CharField(max_length=40)
    system = models.CharField(max_length=40)
    field = models.CharField(max_length=100)  # key of the connector's field
    memory = models.JSONField(default=dict)  # of the options that follow: `options.to_store`
    intended = models.JSONField(default=dict)  # the memory a write aims at, until its outcome is known
    unlisted = models.JSONField(default=list)  # [value, name, enabled] of options PEX's list of tags does not show
    state = models.CharField(max_length=10, choices=State.choices, blank=True)
    says = models.CharField(max_length=500, blank=True)
    counts = models.JSONField(default=dict)  # {"books", "pex", "enabled", "hidden"} as last seen
    twins = models.JSONField(default=list)  # names that carry a code, to be told apart
    unfit = models.JSONField(default=list)  # names PEX would not take
    going = models.JSONField(default=list)  # keys of options that are held: their values vanished
    allowed = models.JSONField(default=list)  # keys of those a person agreed to
    allowed_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    allowed_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)  # when we last changed an option
    looked_at = models.DateTimeField(null=True)  # when a sync last compared

    class Meta:
        constraints = [models.UniqueConstraint(fields=["business", "tag_id"], name="feed_once")]

    def __str__(self) -> str:
        return f"tag {self.tag_id} fed by {self.field} of {self.system}"
