"""Secrets at rest: authenticated encryption, bound to the tenant they belong to."""

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings


class Unreadable(Exception):
    """The secret was sealed with another key, for another owner, or was altered."""


def seal(secret: str, bound_to: str) -> str:
    """Encrypt with the first key. `bound_to` (tenant and purpose) must be given again to open it."""
    name, key = next(iter(_keys().items()))
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, secret.encode(), bound_to.encode())
    return f"1.{name}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(text: str, bound_to: str) -> str:
    """Raises `Unreadable`."""
    try:
        _, name, blob = text.split(".", 2)
        raw = base64.urlsafe_b64decode(blob)
        return AESGCM(_keys()[name]).decrypt(raw[:12], raw[12:], bound_to.encode()).decode()
    except (ValueError, KeyError, InvalidTag) as error:
        raise Unreadable("This secret cannot be opened with the keys in CREDENTIAL_KEYS.") from error


def _keys() -> dict[str, bytes]:
    """Return the keys by a short name made from each; the first seals, the others still open."""
    keys = [base64.urlsafe_b64decode(key) for key in settings.CREDENTIAL_KEYS]
    return {hashlib.sha256(key).hexdigest()[:8]: key for key in keys}
