"""What people decide on Manage beside a sync itself: the auto-sync switch, and putting a notice away."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from pexsync.accounts.middleware import needs
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from syncjobs import night, notices, runs
from syncjobs.views import connection_of, connector_of


@require_POST
@needs(*CONNECTOR)
def auto_sync(request: BusinessRequest, system: str) -> HttpResponse:
    connection = connection_of(request, system)
    if request.POST.get("on") != "yes":
        night.switch_off(connection)
        word = connector_of(system).sync_word
        messages.success(request, f"Auto-sync is off. Syncs start when you press {word}.")
        return redirect("manage", system)
    try:
        night.switch_on(connection)
    except runs.CannotStart as reason:
        messages.error(request, str(reason))
    else:
        nights = night.of(connection)
        messages.success(request, f"Auto-sync is on. The next sync begins {nights.next_one} ({nights.zone}).")
    return redirect("manage", system)


@require_POST
@needs(*CONNECTOR)
def notice_seen(request: BusinessRequest, system: str) -> HttpResponse:
    """GOT IT, for a notice that asks for nothing."""
    connection = connection_of(request, system)
    cause = request.POST.get("cause", "")
    if cause in notices.ONLY_TELL:
        notices.over(connection, cause)
    return redirect("manage", system)
