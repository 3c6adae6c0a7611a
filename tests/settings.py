"""Settings of the test suite: the product's own, with invented secrets and nothing kept."""

import os
import tempfile

_data = tempfile.mkdtemp(prefix="pexsync-tests-")
os.environ.setdefault("ENV_FILE", os.devnull)
os.environ.setdefault("SECRET_KEY", "only-for-tests-only-for-tests-only-for-tests-0123456789")
os.environ.setdefault("CREDENTIAL_KEYS", "dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=")
os.environ.setdefault("INSTALLATION_ID", "tests")
os.environ.setdefault("DATA_DIR", _data)
os.environ.setdefault("PEX_APP_ID", "pexsync-demo")
os.environ.setdefault("PEX_APP_SECRET", "pexsync-demo-secret")
os.environ.setdefault("PEX_OAUTH_CLIENT_ID", "pexsync-demo-oauth")
os.environ.setdefault("XERO_CLIENT_ID", "pexsync-demo-xero")
os.environ.setdefault("XERO_CLIENT_SECRET", "pexsync-demo-xero-secret")
os.environ.setdefault("ENTRA_CLIENT_ID", "7f0d4c52-9c1e-4e0f-8a61-2c5e6d1f9b04")
os.environ.setdefault("ENTRA_CLIENT_SECRET", "pexsync-demo-entra-secret")
# The simulated companies have no limits unless a test switches them on, and tests sync more often than anybody would.
for name in (
    *("XERO_CALLS_A_MINUTE", "BC_CALLS_IN_FIVE_MINUTES"),
    *("PEX_CALLS_A_MINUTE", "PEX_LISTS_AN_HOUR", "PEX_BUSINESS_LISTS_A_MINUTE"),
):
    os.environ.setdefault(name, "100000")

from pexsync.settings import *  # noqa: E402, F403

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file, since the engine works in several threads; nothing of it outlives the run.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": f"{_data}/tests.sqlite3"}  # noqa: F405
    DATABASES["default"]["OPTIONS"]["init_command"] = (  # noqa: F405
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;PRAGMA foreign_keys=ON;"
    )
elif not os.environ.get("STRICT_WALLS"):
    # Tests look at all tenants' rows at once. Those marked `walls` also pass without this, as production runs.
    DATABASES["default"]["OPTIONS"]["options"] = "-c app.business=*"  # noqa: F405
CELERY_BROKER_URL = "memory://localhost"  # messages are only wake-ups: tests wake the engine themselves
CELERY_BROKER_TRANSPORT_OPTIONS = {}
if REDIS_URL:  # noqa: F405
    CACHES["default"] |= {"BACKEND": "tests.cache.OwnKeys", "KEY_PREFIX": f"tests-{os.getpid()}"}  # noqa: F405
