"""What must be right about the settings before anything starts (`manage.py check` runs these too)."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from syncjobs.hours import Hours

LOCAL = ("localhost", "127.0.0.1", "[::1]")


class House(AppConfig):
    """The project itself as an application: it brings the checks, and Celery into every process."""

    name = "pexsync"
    label = "house"

    def ready(self) -> None:
        import_string("pexsync.celery.app")


@register
def ways_in(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """People come in by the PEX dashboard or by PEX's OAuth; one of them must be open."""
    found: list[CheckMessage] = []
    launch = bool(settings.PEX_APP_ID and settings.PEX_APP_SECRET)
    if bool(settings.PEX_APP_ID) != bool(settings.PEX_APP_SECRET):
        missing = "PEX_APP_SECRET" if settings.PEX_APP_ID else "PEX_APP_ID"
        found.append(
            Error(
                f"{missing} is not set, so launching from the PEX dashboard does not work.",
                hint="PEX gives the app id together with its secret; set both or neither.",
                id="pexsync.E001",
            )
        )
    if not launch and not settings.PEX_OAUTH_CLIENT_ID:
        found.append(
            Error(
                "Nobody can sign in: neither PEX_APP_ID and PEX_APP_SECRET (launch from the PEX dashboard) "
                "nor PEX_OAUTH_CLIENT_ID (sign in with PEX) is set.",
                hint="See 'What to obtain' in README.md.",
                id="pexsync.E002",
            )
        )
    elif not launch and not found:
        found.append(
            Warning(
                "PEX_APP_ID is not set: people can sign in with PEX, but not be launched from its dashboard.",
                id="pexsync.W001",
            )
        )
    elif not settings.PEX_OAUTH_CLIENT_ID:
        found.append(
            Warning(
                "PEX_OAUTH_CLIENT_ID is not set: people can be launched from the PEX dashboard, but the "
                "sign-in page has no button.",
                id="pexsync.W002",
            )
        )
    return found


@register
def credential_keys(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Every key is 32 bytes in URL-safe base64. Says which one is wrong, never what it holds."""
    return [
        Error(
            f"Key {number} of CREDENTIAL_KEYS is not 32 bytes in URL-safe base64.",
            hint="Make one with: openssl rand -base64 32 | tr '+/' '-_'",
            id="pexsync.E003",
        )
        for number, key in enumerate(settings.CREDENTIAL_KEYS, start=1)
        if not _is_key(key)
    ]


@register
def public_url(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    scheme, _, rest = settings.PUBLIC_URL.partition("://")
    host = rest.partition("/")[0]
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if not name or scheme not in ("http", "https") or "/" in rest:
        return [Error("PUBLIC_URL is not an address like https://sync.example.com.", id="pexsync.E004")]
    if scheme == "http" and name not in LOCAL:
        return [
            Error(
                f"PUBLIC_URL ({settings.PUBLIC_URL}) must begin with https: secrets would travel in the open.",
                hint="Only http://localhost is allowed without.",
                id="pexsync.E005",
            )
        ]
    return []


@register
def entra(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Microsoft gives a web app an id and a secret; one without the other opens nothing."""
    if bool(settings.ENTRA_CLIENT_SECRET) is not bool(settings.ENTRA_CLIENT_ID):
        says = "ENTRA_CLIENT_ID and ENTRA_CLIENT_SECRET go together; with one of them Dynamics 365 stays hidden."
        return [Error(says, id="pexsync.E008")]
    return []


@register
def xero(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """An id without a secret is an app of Xero's "PKCE" type; a secret without an id is a slip."""
    if settings.XERO_CLIENT_SECRET and not settings.XERO_CLIENT_ID:
        return [Error("XERO_CLIENT_SECRET is set without XERO_CLIENT_ID, so Xero stays hidden.", id="pexsync.E006")]
    return []


@register
def night(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    try:
        Hours.parse(settings.NIGHT_WINDOW)
    except ValueError as error:
        return [Error(f"NIGHT_WINDOW: {error}.", hint="Two times of the day: 00:00-06:00", id="pexsync.E007")]
    return []


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, altchars=b"-_", validate=True)) == 32
    except (ValueError, binascii.Error):
        return False
