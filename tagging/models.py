"""The tag definitions of a business as PEX last gave them: what the settings offer and the judge reads."""

from django.db import models

from pexsync.accounts.models import Business


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
