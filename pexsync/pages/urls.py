"""Addresses of the pages around the syncs. Those of one connector begin with its system."""

from django.urls import path

from pexsync.pages import cards, connect, help, marketplace, overview, parts, review, revisions, setup

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("help", help.page, name="help"),
    path("parts", parts.page, name="parts"),
    path("apps", marketplace.apps, name="apps"),
    path("apps/<slug:system>", marketplace.app, name="app"),
    path("apps/<slug:system>/install", marketplace.install, name="install"),
    path("<slug:system>", marketplace.launch, name="launch"),
    path("<slug:system>/connect", connect.page, name="connect"),
    path("<slug:system>/connect/checks", connect.checks, name="checks"),
    path("<slug:system>/connect/begin", connect.begin, name="connect-begin"),
    path("<slug:system>/mend", connect.mend, name="connect-mend"),
    path("<slug:system>/connect/link", connect.link, name="connect-link"),
    path("<slug:system>/callback", connect.callback, name="connect-callback"),
    path("<slug:system>/company", connect.company, name="company"),
    path("<slug:system>/disconnect", connect.disconnect, name="disconnect"),
    path("<slug:system>/settings", revisions.index, name="versions"),
    path("<slug:system>/settings/copy", revisions.copy, name="settings-copy"),
    path("<slug:system>/settings/<int:version>", revisions.version, name="version"),
    path("<slug:system>/setup", setup.index, name="setup"),
    path("<slug:system>/setup/leave", setup.leave, name="setup-leave"),
    path("<slug:system>/setup/review", review.page, name="setup-review"),
    path("<slug:system>/setup/cards", cards.page, name="setup-cards"),
    path("<slug:system>/setup/<slug:step>", setup.step, name="setup-step"),
    path("<slug:system>/setup/<slug:step>/example", setup.beside, name="setup-example"),
]
