"""Everything that differs between installations, read from the environment (`.env.example` names each variable)."""

from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(env("ENV_FILE", default=str(BASE_DIR / ".env")))


def required(name: str) -> str:
    """A missing secret stops the start with its name."""
    value: str = env(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. See .env.example for what it is and how to make one.")
    return value


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


# --- where we are -----------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = required("SECRET_KEY")
CREDENTIAL_KEYS = required("CREDENTIAL_KEYS").split(",")
INSTALLATION_ID = required("INSTALLATION_ID")  # pexsync.accounts.installation
PUBLIC_URL: str = env("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / ".data")))
CLOCK_FILE: Path | None = Path(env("CLOCK_FILE")) if env("CLOCK_FILE", default="") else None

_public = urlsplit(PUBLIC_URL)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_public.hostname or "localhost"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
HTTPS = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # the browser comes back from PEX and Xero by a link
SESSION_COOKIE_AGE = 12 * 3600
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_REFERRER_POLICY = "strict-origin"  # never a path; with none at all browsers call our own forms strangers
X_FRAME_OPTIONS = "DENY"

# --- the parts --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "pexsync.checks.House",
    "pexsync.accounts",
    "pexsync.pages",
    "connectors",
    "tagging",
    "syncjobs",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "pexsync.logs.RequestLogMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "connectors.pace.people_middleware",
    "pexsync.accounts.middleware.TenantMiddleware",
]
ROOT_URLCONF = "pexsync.urls"
WSGI_APPLICATION = "pexsync.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "pexsync.pages.context.frame",
            ],
        },
    },
]
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["pexsync.accounts.backend.PexBackend"]
LOGIN_URL = "/sign-in"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- what is kept -----------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'pexsync.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": env.int("DATABASE_POOL", default=20)}}

REDIS_URL: str = env("REDIS_URL", default="")
CACHES = (
    {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    if REDIS_URL
    else {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
)
SESSION_ENGINE = "django.contrib.sessions.backends.db"

STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", default=str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- outside systems: each address is a setting, so that the same code runs against the sandbox -----------------------
PEX_API_URL: str = env("PEX_API_URL", default="https://coreapi.pexcard.com")
PEX_OAUTH_URL: str = env("PEX_OAUTH_URL", default="https://oauth.pexcard.com")
PEX_DASHBOARD_URL: str = env("PEX_DASHBOARD_URL", default="https://dashboard.pexcard.com")
PEX_APP_ID: str = env("PEX_APP_ID", default="")
PEX_APP_SECRET: str = env("PEX_APP_SECRET", default="")
PEX_OAUTH_CLIENT_ID: str = env("PEX_OAUTH_CLIENT_ID", default="")

XERO_CLIENT_ID: str = env("XERO_CLIENT_ID", default="")
XERO_CLIENT_SECRET: str = env("XERO_CLIENT_SECRET", default="")
XERO_LOGIN_URL: str = env("XERO_LOGIN_URL", default="https://login.xero.com")
XERO_IDENTITY_URL: str = env("XERO_IDENTITY_URL", default="https://identity.xero.com")
XERO_API_URL: str = env("XERO_API_URL", default="https://api.xero.com")
XERO_GO_URL: str = env("XERO_GO_URL", default="https://go.xero.com")
XERO_SCOPES: str = env(
    "XERO_SCOPES",
    default="openid profile email offline_access accounting.banktransactions accounting.contacts "
    "accounting.settings.read accounting.attachments",
)

ENTRA_CLIENT_ID: str = env("ENTRA_CLIENT_ID", default="")
ENTRA_CLIENT_SECRET: str = env("ENTRA_CLIENT_SECRET", default="")
ENTRA_URL: str = env("ENTRA_URL", default="https://login.microsoftonline.com")
BC_API_URL: str = env("BC_API_URL", default="https://api.businesscentral.dynamics.com")
BC_WEB_URL: str = env("BC_WEB_URL", default="https://businesscentral.dynamics.com")

# How many calls the other side takes (connectors/pace.py). PEX's are those it published; it may allow an app more.
XERO_CALLS_A_MINUTE: int = env.int("XERO_CALLS_A_MINUTE", default=60)  # of one organisation
BC_CALLS_IN_FIVE_MINUTES: int = env.int("BC_CALLS_IN_FIVE_MINUTES", default=6000)  # of one user
PEX_CALLS_A_MINUTE: int = env.int("PEX_CALLS_A_MINUTE", default=120)  # of one business, as the next two
PEX_LISTS_AN_HOUR: int = env.int("PEX_LISTS_AN_HOUR", default=10)  # of card transactions, and of card accounts
PEX_BUSINESS_LISTS_A_MINUTE: int = env.int("PEX_BUSINESS_LISTS_A_MINUTE", default=1)
PEX_TAG_OPTIONS: int = env.int("PEX_TAG_OPTIONS", default=10_000)  # of one tag; more are told, never cut
PEX_TAG_LENGTH: int = env.int("PEX_TAG_LENGTH", default=100)  # characters of an option's name

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        # A form that starts a sign-in is redirected there, and browsers hold redirects to this list too.
        "form-action": [SELF, *{origin(url) for url in (PEX_OAUTH_URL, XERO_LOGIN_URL, ENTRA_URL)}],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

# --- the engine -------------------------------------------------------------------------------------------------------
# Scales every wait of the ledger (settle_after, leases, back-offs); below 1 only in tests and chaos.
PATIENCE: float = env.float("PATIENCE", default=1.0)

CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object]
CELERY_BROKER_URL: str = REDIS_URL or "folder://localhost"  # pexsync.celery.FolderTransport
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
if REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 900,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
    }
else:
    _post = DATA_DIR / "broker"
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # its reply queues would pile up in the folder
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_post / "messages"),
        "data_folder_out": str(_post / "messages"),
        "control_folder": str(_post / "control"),
        "polling_interval": 0.05,
    }
# Where sending again is for support to allow: True lets a business's own admins do it.
RESYNC_BY_ADMINS: bool = env.bool("RESYNC_BY_ADMINS", default=False)
# Whom people write to, with the connector's key in it: appsupport+xero@pexcard.com.
SUPPORT_ADDRESS: str = env("SUPPORT_ADDRESS", default="appsupport@pexcard.com")
SWEEP_SECONDS: float = env.float("SWEEP_SECONDS", default=10.0)
NIGHT_SECONDS = SWEEP_SECONDS * 6
# By each business's own clocks; nightly syncs begin in its first five sixths.
NIGHT_WINDOW: str = env("NIGHT_WINDOW", default="00:00-06:00")
CELERY_BEAT_SCHEDULE = {
    # A wake-up nobody took is worthless when the next one comes.
    "sweep": {"task": "syncjobs.sweep", "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS * 3}},
    "night": {"task": "syncjobs.night", "schedule": NIGHT_SECONDS, "options": {"expires": NIGHT_SECONDS * 3}},
    "tidy": {"task": "syncjobs.tidy", "schedule": 3600, "options": {"expires": 3600}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")

SHOW_PARTS = env.bool("SHOW_PARTS", default=False)  # the page /parts for everybody, not only for staff
LOG_JSON = env.bool("LOG_JSON", default=not DEBUG)
LOGGING_CONFIG = "pexsync.logs.configure"
LOGGING = {"json": LOG_JSON, "level": env("LOG_LEVEL", default="INFO")}
