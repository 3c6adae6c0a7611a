"""Businesses (the tenants), people, and who may do what where."""

from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.http import HttpRequest

from pexsync import clock
from pexsync.accounts.permissions import Permission


class Business(models.Model):
    """A PEX business account: the tenant everything hangs on."""

    class Funding(models.TextChoices):
        PREPAID = "Prepaid", "Prepaid"
        CREDIT = "Credit", "Charge"

    pex_id = models.BigIntegerField(unique=True)
    name = models.CharField(max_length=200)
    funding = models.CharField(max_length=10, choices=Funding.choices, default=Funding.PREPAID)
    tags_enabled = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=50, default="America/New_York")
    glance = models.JSONField(default=dict)  # the account's figures as PEX gave them, money as text
    glance_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """Where its people's clocks stand; PEX's own zone where the name is not known."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return clock.EASTERN

    @property
    def charge(self) -> bool:
        return self.funding == self.Funding.CREDIT


class Users(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username=username)


class User(AbstractBaseUser):
    """A person who signs in with PEX. Customers have no password here."""

    username = models.CharField(max_length=254, unique=True)
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "username"
    objects: ClassVar[Users] = Users()

    def __str__(self) -> str:
        return self.name or self.username


class Membership(models.Model):
    """One person's place in one business, with the permissions PEX last reported."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    admin_id = models.BigIntegerField(null=True)
    permissions = models.JSONField(default=list)  # names of PEX's permissions that are switched on
    seen_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["business", "user"], name="member_once")]

    def __str__(self) -> str:
        return f"{self.user} at {self.business}"

    def may(self, permission: Permission) -> bool:
        return permission.value in self.permissions

    def missing(self, needed: "tuple[Permission, ...]") -> list[Permission]:
        return [permission for permission in needed if not self.may(permission)]


class Installation(models.Model):
    """Which installation this database belongs to: one row. A copy or a restore of it must not write by itself."""

    name = models.CharField(max_length=100)  # what INSTALLATION_ID says there
    adopted_at = models.DateTimeField()
    restored_at = models.DateTimeField(null=True)  # what was sent before may stand in the books and not in here

    def __str__(self) -> str:
        return self.name


class BusinessRequest(HttpRequest):
    """A request of a signed-in person working for one business (set by `TenantMiddleware`)."""

    user: User
    business: Business
    membership: Membership
    htmx: Any  # django_htmx.middleware.HtmxDetails
