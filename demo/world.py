"""What runs in the demo and with which settings: those of production, pointed at the simulated companies."""

import os
import sys
from dataclasses import dataclass

from demo.home import Home

# What the simulated companies know the product by; invented, like everything about them.
KNOWN_AS = {
    "PEX_APP_ID": "pexsync-demo",
    "PEX_APP_SECRET": "pexsync-demo-secret",
    "PEX_OAUTH_CLIENT_ID": "pexsync-demo-oauth",
    "XERO_CLIENT_ID": "pexsync-demo-xero",
    "XERO_CLIENT_SECRET": "pexsync-demo-xero-secret",
    "ENTRA_CLIENT_ID": "7f0d4c52-9c1e-4e0f-8a61-2c5e6d1f9b04",
    "ENTRA_CLIENT_SECRET": "pexsync-demo-entra-secret",
}
# Where each company is found on the sandbox's port.
ADDRESSES = {
    "PEX_API_URL": "/pex",
    "PEX_OAUTH_URL": "/pex-oauth",
    "PEX_DASHBOARD_URL": "/pex-dashboard",
    "XERO_LOGIN_URL": "/xero-login",
    "XERO_IDENTITY_URL": "/xero-identity",
    "XERO_API_URL": "/xero-api",
    "XERO_GO_URL": "/xero-go",
    "ENTRA_URL": "/entra",
    "BC_API_URL": "/bc-api",
    "BC_WEB_URL": "/bc",
}
LIMITS = ("XERO_CALLS_A_MINUTE", "PEX_CALLS_A_MINUTE", "PEX_LISTS_AN_HOUR", "PEX_BUSINESS_LISTS_A_MINUTE")
# Settings of the shell the demo was started from that would lead it to somebody's real services.
NOT_OURS = frozenset(
    {
        *("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "STATIC_ROOT", "ALLOWED_HOSTS"),
        *("DEBUG", "BEHIND_PROXY", "PATIENCE", "SWEEP_SECONDS", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"),
    }
)


@dataclass(frozen=True)
class Part:
    """One process that is kept running. `ready`: an address that answers 200, or a text in its output."""

    name: str
    command: list[str]
    ready: str


def environment(home: Home, port: int, sandbox_port: int) -> dict[str, str]:
    sandbox = f"http://localhost:{sandbox_port}"
    return {
        **{name: value for name, value in os.environ.items() if name not in NOT_OURS},
        **home.secrets(),
        **KNOWN_AS,
        **{name: f"{sandbox}{prefix}" for name, prefix in ADDRESSES.items()},
        "ENV_FILE": os.devnull,
        "PUBLIC_URL": f"http://localhost:{port}",
        "DATA_DIR": str(home.data),
        "CLOCK_FILE": str(home.clock),
        # The simulated companies have no limits until somebody switches them on, and then they say so.
        **dict.fromkeys(LIMITS, "1000"),
        "LOG_JSON": "true",
        "SHOW_PARTS": "true",
        "PYTHONUNBUFFERED": "1",
    }


def sandbox(home: Home, port: int, sandbox_port: int) -> Part:
    return Part(
        "sandbox",
        [
            *(sys.executable, "-m", "sandbox", "--port", str(sandbox_port)),
            *("--data", str(home.sandbox), "--clock", str(home.clock)),
            *("--product", f"http://localhost:{port}"),
        ],
        f"http://localhost:{sandbox_port}/",
    )


def web(port: int) -> Part:
    return Part(
        "web",
        [
            *(sys.executable, "-m", "gunicorn", "pexsync.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "8"),
            *("--timeout", "120", "--graceful-timeout", "3", "--keep-alive", "30", "--no-control-socket"),
        ],
        f"http://localhost:{port}/readyz",
    )


def worker() -> Part:
    """A real Celery worker; the schedule ticks inside it, as only a demo may have it."""
    return Part(
        "worker",
        [
            *(sys.executable, "-m", "celery", "--app", "pexsync", "worker", "--beat"),
            *("--pool", "threads", "--concurrency", "8", "--loglevel", "INFO"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        "worker ready",
    )


PREPARATIONS = {
    "Preparing the database": [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
    "Preparing the pages": [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
}
