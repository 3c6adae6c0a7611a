"""The people of the product in one process: `python -m chaos.hands` reads one JSON command a line and answers in kind.

They set up connections as sign-in and setup would leave them, press SYNC, confirm, sign in again when that is needed.
"""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chaos.companies import CENTRAL, XERO

JSON = dict[str, Any]


def connect(asked: JSON) -> JSON:
    """The rows that sign-in, CONNECT and setup would leave, for each business of the world."""
    from connectors.models import Connection
    from connectors.pex import auth as pex_auth
    from pexsync import clock
    from pexsync.accounts import permissions
    from pexsync.accounts.models import Business, Membership, User
    from pexsync.accounts.tenancy import scope

    everything = [permission.value for permission in permissions.CONNECTOR]
    numbers = []
    for facts in asked["businesses"]:
        business = Business.objects.create(pex_id=facts["pex_id"], name=facts["name"])
        user = User.objects.create(username=facts["username"])
        settings = _settings(facts)
        pex_auth.adopt(business, user, _sign_in(facts), everything)
        with scope(business.pk):
            Membership.objects.create(business=business, user=user, permissions=everything)
            connection = Connection.objects.create(
                business=business,
                system=facts["system"],
                state=Connection.State.READY,
                credential=_books_credential(business, user, facts),
                company=facts["target"],
                company_name=facts["company_name"],
                company_facts=facts["company_facts"],
                settings=settings.stored(),
                settings_version=1,
                installed_at=clock.now(),
                connected_at=clock.now(),
                connected_by=user,
                preview_confirmed={kind.value: {} for kind in settings.kinds} if facts["confirmed"] else {},
            )
        numbers.append(connection.pk)
    return {"connections": numbers}


def _settings(facts: JSON) -> Any:
    """Every kind its account has; projects by tag."""
    from connectors.records import Kind
    from connectors.settings import TAG, FieldSource, Settings
    from pexsync import clock

    moving = Kind.BILL_PAYMENT if facts["charge"] else Kind.TRANSFER
    return Settings(
        kinds=frozenset({Kind.PURCHASE, Kind.FEE, Kind.REBATE, moving}),
        start_date=clock.today() - timedelta(days=40),
        pex_account=facts["bank"],
        fields={
            "account": FieldSource(source=TAG, tag=facts["tag"]),
            facts["field"]: FieldSource(source=TAG, tag=facts["project_tag"]),
        },
        by_kind={Kind.FEE: facts["fees"], Kind.REBATE: facts["income"], moving: {"account": facts["source_cash"]}},
        synced={facts["field"]: facts["project_tag"]} if facts["synced"] else {},
        extra=facts["extra"],
    )


def _sign_in(facts: JSON) -> Any:
    from connectors.pex.auth import SignIn
    from connectors.pex.client import Token
    from pexsync import clock

    pair = facts["pair"]
    if pair is None:
        return SignIn(Token(facts["token"]))
    until = clock.now() + timedelta(seconds=pair["expires_in"])
    return SignIn(Token(pair["access_token"], "Bearer"), until, Token(pair["refresh_token"], "refresh"))


def _books_credential(business: Any, user: Any, facts: JSON) -> Any:
    from connectors.models import Credential
    from pexsync import clock

    system, tokens = facts["system"], facts["books_tokens"]
    expires = clock.now() + timedelta(seconds=tokens["expires_in"])
    return Credential.store(business, system, user, SECRETS[system](tokens), expires)


def _xero_secret(tokens: JSON) -> JSON:
    return {
        "access_token": tokens["access_token"],
        "refresh_token": tokens["refresh_token"],
        "previous_refresh_token": "",
        "scope": tokens.get("scope", ""),
    }


def _central_secret(tokens: JSON) -> JSON:
    """What a sign-in leaves in the cache of Microsoft's library."""
    import msal
    from django.conf import settings

    cache = msal.SerializableTokenCache()
    cache.add(
        {
            "client_id": settings.ENTRA_CLIENT_ID,
            "scope": tokens["scope"].split(),
            "token_endpoint": "https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
            "grant_type": "authorization_code",
            "response": tokens,
        }
    )
    [account] = cache.search(cache.CredentialType.ACCOUNT)
    claims = json.loads(msal.oauth2cli.oidc.decode_part(tokens["id_token"].split(".")[1]))
    return {
        "access_token": tokens["access_token"],
        "cache": cache.serialize(),
        "tenant": claims["tid"],
        "user": account["home_account_id"],
        "name": account["username"],
    }


SECRETS: dict[str, Callable[[JSON], JSON]] = {XERO: _xero_secret, CENTRAL: _central_secret}


def sync(asked: JSON) -> JSON:
    """Press SYNC."""
    from connectors.models import Connection
    from pexsync.accounts.tenancy import everywhere
    from syncjobs import runs

    with everywhere():
        connection = Connection.objects.select_related("business", "connected_by").get(pk=asked["connection"])
    try:
        return {"run": runs.start(connection, connection.connected_by).pk}
    except runs.CannotStart as error:
        return {"says": str(error)}


def night(asked: JSON) -> JSON:
    """Switch auto-sync on, and let this connection's night begin now."""
    from connectors.models import Connection
    from pexsync import clock
    from pexsync.accounts.tenancy import everywhere

    with everywhere():
        due = Connection.objects.filter(pk=asked["connection"])
        return {"due": due.update(auto_sync=True, auto_next_at=clock.now())}


def confirm(asked: JSON) -> JSON:
    """Agree to every preview that waits for somebody."""
    from pexsync.accounts.tenancy import everywhere
    from syncjobs import runs
    from syncjobs.models import SyncRun

    with everywhere():
        waiting = SyncRun.objects.filter(status=SyncRun.Status.PAUSED, confirmed_at=None).exclude(preview=[])
        found = list(waiting.select_related("connection__connected_by"))
    people = [(run, run.connection.connected_by) for run in found if run.connection]
    return {"confirmed": sum(runs.confirm(run, person) for run, person in people if person)}


def wake(asked: JSON) -> JSON:
    """Wake every run that is alive, several times at once."""
    from pexsync.accounts.tenancy import everywhere
    from syncjobs.models import SyncRun
    from syncjobs.tasks import advance

    with everywhere():
        alive = list(SyncRun.objects.filter(status__in=SyncRun.ALIVE).values_list("pk", flat=True))
    for _ in range(asked["times"]):
        for run in alive:
            advance.delay(run)
    return {"runs": alive}


def signed_out(asked: JSON) -> JSON:
    """Which businesses have no living sign-in to PEX any more."""
    from connectors.models import Credential
    from connectors.pex import auth as pex_auth
    from pexsync.accounts.models import Business

    stored = {business.pex_id: pex_auth.syncing(business) for business in Business.objects.all()}
    alive = Credential.State.ALIVE
    return {"businesses": [pex_id for pex_id, one in stored.items() if one is None or one.state != alive]}


def sign_in(asked: JSON) -> JSON:
    """Launch PEX Sync from PEX again, with a fresh pair."""
    from connectors.pex import auth as pex_auth
    from pexsync.accounts import permissions
    from pexsync.accounts.models import Business, User

    business, user = Business.objects.get(pex_id=asked["pex_id"]), User.objects.get(username=asked["username"])
    everything = [permission.value for permission in permissions.CONNECTOR]
    return {"adopted": pex_auth.adopt(business, user, _sign_in(asked), everything)}


COMMANDS: dict[str, Callable[[JSON], JSON]] = {
    "connect": connect,
    "sync": sync,
    "night": night,
    "confirm": confirm,
    "wake": wake,
    "signed out": signed_out,
    "sign in": sign_in,
}


def main() -> None:
    import django

    django.setup()
    from django.db import connections
    from django.db.utils import Error
    from kombu.exceptions import OperationalError

    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = COMMANDS[asked["do"]](asked)
        except (Error, OperationalError, OSError) as error:  # a database or a Redis that is just coming back
            connections.close_all()
            answer = {"trouble": f"{type(error).__name__}: {error}"}
        print(json.dumps({**answer, "do": asked["do"], "number": asked["number"]}), flush=True)


if __name__ == "__main__":
    main()
