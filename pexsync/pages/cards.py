"""All settings of a connector on one page of cards: SAVE makes them the settings in use, at once."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from connectors.models import Connection
from connectors.settings import Settings
from pexsync.accounts import tenancy
from pexsync.accounts.middleware import needs, outside
from pexsync.accounts.models import BusinessRequest
from pexsync.accounts.permissions import CONNECTOR
from pexsync.pages import versions
from pexsync.pages.review import saved_sentence, warnings
from pexsync.pages.setup import keep, link_to, open_step, page_of, reopened
from pexsync.pages.steps import CARDS, Books, CardsForm, Step
from pexsync.pages.steps.effects import listed
from syncjobs.company import CannotChange, is_another, settle
from syncjobs.views import typed

NAMED = 4  # of what was changed, in one sentence


@require_http_methods(["GET", "HEAD", "POST"])
@outside
@needs(*CONNECTOR)
def page(request: BusinessRequest, system: str) -> HttpResponse:
    """The page; POST is SAVE, or USE THIS COMPANY. What was typed is kept whatever it was."""
    opened = open_step(request, system, CARDS.key)
    if isinstance(opened, HttpResponse):
        return opened
    connection, here, books = opened
    if request.method != "POST":
        return reopened(request, connection, here, books)
    with tenancy.scope(request.business.pk):
        form = keep(connection, here, books, request.POST)
    assert isinstance(form, CardsForm)
    if request.POST.get("go") == "company" or not connection.company:
        return _use(request, connection, here, form)
    return _save(request, connection, here, form)


def _use(request: BusinessRequest, connection: Connection, here: Step, form: CardsForm) -> HttpResponse:
    """The first company is used at once; another one than before is asked about on a page of its own (rule L8)."""
    chosen = form.company()
    if chosen is None:
        return page_of(request, connection, here, form, status=422)
    if is_another(connection, chosen):
        return redirect(f"{reverse('company', args=[connection.system])}?{urlencode({'company': chosen.id})}")
    try:
        settle(connection, chosen)
    except CannotChange as reason:
        messages.warning(request, str(reason))
    else:
        messages.success(request, f"{chosen.name} is used. Choose below among what it holds.")
    return redirect(link_to(connection, here))


def _save(request: BusinessRequest, connection: Connection, here: Step, form: CardsForm) -> HttpResponse:
    """Everything is right, or nothing is saved. What somebody else saved meanwhile is not undone unseen."""
    seen = request.POST.get("seen", "")
    if seen != str(connection.settings_version):
        if form.is_valid() and form.settings() == Settings.parse(connection.settings):  # SAVE was pressed twice
            with tenancy.scope(request.business.pk):
                Connection.objects.filter(pk=connection.pk).update(draft={})
            return redirect("manage", connection.system)
        says = f"The settings were changed meanwhile, to version {connection.settings_version}. Look once more."
        return _look_again(request, connection, here, form, says)
    if not form.is_valid():
        return page_of(request, connection, here, form, status=422)
    settings, before = form.settings(), connection.settings
    names, note = versions.names_of(settings, form.books), typed(request.POST, "note").strip()
    try:
        now = versions.keep(connection, settings, names, request.user, note, seen=connection.settings_version)
    except versions.Overtaken as overtaken:
        return _look_again(request, connection, here, form, str(overtaken))
    messages.success(request, _saved(now, before, form.books))
    for warning in warnings(settings, Settings.parse(before), form.books):
        messages.warning(request, warning)
    return redirect("manage", connection.system)


def _look_again(
    request: BusinessRequest, connection: Connection, here: Step, form: CardsForm, says: str
) -> HttpResponse:
    messages.warning(request, f"{says} What you typed stands here and nothing was saved.")
    return page_of(request, connection, here, form, status=422)


def _saved(now: Connection, before: Mapping[str, Any], books: Books) -> str:
    if not before:
        return saved_sentence(books, first=True)
    changed = [each.label for each in versions.differences(before, now.settings)]
    more = [f"{len(changed) - NAMED} more"] if len(changed) > NAMED else []
    told = listed(changed[:NAMED] + more) if changed else "nothing is different"
    return f"Saved as version {now.settings_version}: {told}. {saved_sentence(books, first=False)}"
