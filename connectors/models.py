"""Connections and the credentials that open the outside systems."""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Q

from connectors.errors import NotAuthorized, RetryLater
from pexsync import clock, crypto
from pexsync.accounts import installation
from pexsync.accounts.models import Business, User

PEX = "pex"
CLAIM_LIFE = timedelta(seconds=60)  # a refresh that took longer than this has died


class Credential(models.Model):
    """The secret that opens a system, encrypted, with an owner. `secret()` is the only way to read it."""

    class State(models.TextChoices):
        ALIVE = "alive"
        DEAD = "dead"

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="credentials")
    system = models.CharField(max_length=40)  # a registry key, or "pex"
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="credentials")
    sealed = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.ALIVE)
    reason = models.CharField(max_length=300, blank=True)  # why it died, a sentence
    created_at = models.DateTimeField()
    renewed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)  # of the access part; None: unknown
    version = models.PositiveIntegerField(default=1)  # rises with each saved secret
    claim = models.CharField(max_length=32, blank=True)  # who is renewing it now
    claimed_at = models.DateTimeField(null=True)
    abandoned = False  # whether this worker's claim was somebody's before, who died with it

    class Meta:
        indexes = [models.Index(fields=["business", "system"], name="credential_of")]

    def __str__(self) -> str:
        return f"{self.system} credential of business {self.business_id}"

    @classmethod
    def store(
        cls, business: Business, system: str, owner: User, secret: dict[str, Any], expires_at: datetime | None
    ) -> Self:
        at = clock.now()
        credential = cls(
            business=business, system=system, owner=owner, created_at=at, renewed_at=at, expires_at=expires_at
        )
        credential.sealed = credential._seal(secret)
        credential.save()
        return credential

    def secret(self) -> dict[str, Any]:
        """Raises `NotAuthorized` when the credential is dead or cannot be opened any more, `RetryLater` in a copy.

        A copy that renewed a sign-in would lock the installation out that it was copied from.
        """
        if not installation.ours():
            raise RetryLater(installation.STRANGER, after=3600)
        if self.state == self.State.DEAD:
            raise NotAuthorized(self.reason or "This sign-in has ended. Connect again.")
        try:
            found: dict[str, Any] = json.loads(crypto.unseal(self.sealed, self._bound_to))
        except crypto.Unreadable as error:
            raise NotAuthorized("The stored sign-in cannot be read any more. Connect again.") from error
        return found

    def claim_renewal(self) -> bool:
        """Compare-and-set: of all workers that want to renew this version exactly one gets True.

        `abandoned` tells whether the claim was taken from somebody who did not end it: the outside may have answered
        them. What this worker read before says nothing about that.
        """
        token, at = secrets.token_hex(16), clock.database_now()
        same = Credential.objects.filter(pk=self.pk, version=self.version, state=self.State.ALIVE)
        won = same.filter(claim="").update(claim=token, claimed_at=at)
        left = same.exclude(claim="").filter(claimed_at__lt=at - CLAIM_LIFE)
        self.abandoned = not won and bool(left.update(claim=token, claimed_at=at))
        if won or self.abandoned:
            self.claim = token
        return bool(won) or self.abandoned

    def save_renewed(self, secret: dict[str, Any], expires_at: datetime | None) -> None:
        """Save the new secret before anyone uses it; only the claimant's answer counts."""
        at = clock.now()
        sealed = self._seal(secret)
        changed = Credential.objects.filter(pk=self.pk, claim=self.claim).update(
            sealed=sealed, expires_at=expires_at, renewed_at=at, version=models.F("version") + 1, claim=""
        )
        if changed:
            self.refresh_from_db()

    def release_claim(self) -> None:
        Credential.objects.filter(pk=self.pk, claim=self.claim).update(claim="")

    def die(self, reason: str) -> None:
        Credential.objects.filter(pk=self.pk, version=self.version).update(
            state=self.State.DEAD, reason=reason[:300], claim=""
        )
        self.state, self.reason = self.State.DEAD, reason[:300]

    def _seal(self, secret: dict[str, Any]) -> str:
        return crypto.seal(json.dumps(secret), self._bound_to)

    @property
    def _bound_to(self) -> str:
        return f"business:{self.business_id}:{self.system}"


class Connection(models.Model):
    """One business linked to one system. Settings, state and secrets are kept apart, so that no save undoes another."""

    class State(models.TextChoices):
        INSTALLED = "installed", "Not connected"
        PREPARING = "preparing", "Connected: Not Ready"
        READY = "ready", "Connected: Ready"
        FAILED = "failed", "Session Failure"

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="connections")
    system = models.CharField(max_length=40)  # a registry key, never database choices
    state = models.CharField(max_length=12, choices=State.choices, default=State.INSTALLED)
    failure = models.CharField(max_length=300, blank=True)  # since when it is broken and what to do, a sentence
    failed_at = models.DateTimeField(null=True)
    credential = models.ForeignKey(Credential, null=True, on_delete=models.SET_NULL, related_name="connections")
    company = models.CharField(max_length=200, blank=True)  # the target's own id: Xero tenant ...
    company_name = models.CharField(max_length=200, blank=True)
    company_facts = models.JSONField(default=dict)  # currency, short code, lock dates as last read
    settings = models.JSONField(default=dict)
    draft = models.JSONField(default=dict)  # what the wizard's steps hold until SAVE; "" members are missing
    settings_version = models.PositiveIntegerField(default=0)
    settings_problem = models.CharField(max_length=300, blank=True)  # set by a run that no row survived
    preview_confirmed = models.JSONField(default=dict)  # kind -> {"at", "by", "count", "sum"}
    auto_sync = models.BooleanField(default=False)
    auto_next_at = models.DateTimeField(null=True)  # when the next nightly sync begins; None: not planned
    cutover_on = models.DateField(null=True)  # the company was changed: only what settled from this day on goes there
    deliver_at = models.DateTimeField(null=True)  # when notes and receipts still owed are tried next; None: nothing is
    late_confirmed_at = models.DateTimeField(null=True)  # rows PEX first showed up to then may go, however late
    installed_at = models.DateTimeField()
    connected_at = models.DateTimeField(null=True)
    connected_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["business", "system"], name="connection_once")]
        indexes = [
            models.Index(fields=["auto_next_at"], condition=Q(auto_sync=True), name="connections_by_night"),
            models.Index(fields=["deliver_at"], condition=Q(deliver_at__isnull=False), name="connections_owing"),
        ]

    def __str__(self) -> str:
        return f"{self.system} of {self.business_id}"

    @property
    def target(self) -> str:
        """The company in the books that is written to, as frozen on each ledger row; "" while none is chosen."""
        return f"{self.system}:{self.company}" if self.company else ""

    @property
    def ready(self) -> bool:
        return self.state == self.State.READY

    def fail(self, sentence: str) -> None:
        # One that somebody disconnected meanwhile has not failed.
        connected = (self.State.PREPARING, self.State.READY)
        Connection.objects.filter(pk=self.pk, state__in=connected).update(
            state=self.State.FAILED, failure=sentence[:300], failed_at=clock.now()
        )
        self.refresh_from_db()


class SettingsVersion(models.Model):
    """What the settings were, who changed them and when. Append-only."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    settings = models.JSONField()
    note = models.CharField(max_length=200, blank=True, db_default="")  # "Version 3 restored"
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "version"], name="settings_version_once")]

    def __str__(self) -> str:
        return f"settings {self.version} of connection {self.connection_id}"
