"""What stands around every page: the business, the person, and the way to the other pages."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest

from connectors import registry
from pexsync.accounts import tenancy
from pexsync.accounts.models import Business, Membership
from pexsync.pages import words

OTHERS = 50  # businesses offered in the switcher


@dataclass(frozen=True, slots=True)
class InstalledApp:
    system: str
    label: str
    tone: str
    state: str


class Frame:
    """Asks the database only for what a page really draws: a swapped fragment and an error page draw no rail."""

    def __init__(self, request: HttpRequest, business: Business) -> None:
        match = request.resolver_match
        self.business, self.person = business, request.user
        self.here = match.url_name or "" if match else ""  # which link of the rail is lit
        self.system = str(match.kwargs.get("system", "")) if match else ""
        self.zone = business.zone

    @cached_property
    def others(self) -> list[Membership]:
        """The person's other businesses."""
        with tenancy.reading_everywhere():
            places = Membership.objects.filter(user=self.person.pk).exclude(business=self.business)
            return list(places.select_related("business").order_by("business__name")[:OTHERS])

    @cached_property
    def apps(self) -> list[InstalledApp]:
        found = []
        for connection in self.business.connections.order_by("installed_at"):
            connector = registry.get(connection.system)
            if connector:
                tone, state = words.of_connection(connection)
                found.append(InstalledApp(connection.system, connector.label, tone, state))
        return found


def frame(request: HttpRequest) -> dict[str, Any]:
    """The frame of a signed-in person's page; None elsewhere."""
    business: Business | None = getattr(request, "business", None)
    return {"frame": Frame(request, business) if business else None}
