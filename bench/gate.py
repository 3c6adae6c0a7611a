"""Limits and sign-ins under many workers. One process of a measure: `python -m bench.gate '{"work": "pace", ...}'`.

`pace`: threads that call without pause, as no worker of ours would, through the real clients; what they did is read
from the calls the simulated companies counted. `refresh`: twenty workers that meet an expired sign-in at once.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import httpx

from bench.worker import connect, prepare

WORKERS = 20
CALLBACK = "http://localhost:8000/sign-in/pex/callback"


def main() -> None:
    wish = json.loads(sys.argv[1])
    os.environ["PEX_OAUTH_CLIENT_ID"] = "pexsync-demo-oauth"
    prepare(wish["scene"])
    connection = connect(wish["scene"])
    print(json.dumps({"pace": pace, "refresh": refresh}[wish["work"]](connection, wish)))


# --- pace -------------------------------------------------------------------------------------------------------------


def pace(connection: Any, wish: dict[str, Any]) -> dict[str, Any]:
    """Call Xero for each organisation, and PEX, for so many seconds, a little more often than they allow."""
    from connectors.xero.connector import Xero
    from pexsync import clock
    from pexsync.accounts.tenancy import scope

    with scope(connection.business_id):
        connection.credential.expires_at = clock.now() + timedelta(minutes=30)
        connection.credential.save(update_fields=["expires_at"])
    until = time.monotonic() + wish["seconds"]
    waits: list[float] = []
    jobs: list[Callable[[], None]] = [partial(_call_pex, connection, until, waits)] * 2
    for company in wish["scene"]["companies"]:
        mine = copy(connection)
        mine.company = company
        jobs += [partial(_call, Xero(mine).client.organisation, until, 1.5, waits)] * 2
    _at_once(jobs)
    return {"waits": len(waits)}


def _call_pex(connection: Any, until: float, waits: list[float]) -> None:
    from connectors.pex import auth

    with auth.client_for(connection.business) as pex:
        _call(pex.business_profile, until, 0.8, waits)


def _call(call: Callable[[], Any], until: float, pause: float, waits: list[float]) -> None:
    """`pause`: seconds between two calls, on average. Who is told to wait asks again at once, to try the gate."""
    from connectors.errors import RetryLater

    dice = random.Random(threading.get_ident())
    while time.monotonic() < until:
        try:
            call()
        except RetryLater as error:
            waits.append(error.after)
            time.sleep(0.2)
        else:
            time.sleep(dice.uniform(0, 2 * pause))


# --- refresh ----------------------------------------------------------------------------------------------------------


def refresh(connection: Any, wish: dict[str, Any]) -> dict[str, Any]:
    """Twenty workers at once on each side; `connect` stored a Xero sign-in that has expired when they come."""
    from connectors import registry
    from connectors.errors import RetryLater
    from connectors.pex import auth

    business, refused = connection.business, []
    _consent(business)

    def ask_xero() -> None:
        with registry.open_connector(connection) as xero:
            xero.closed_until()

    def ask_pex() -> None:
        try:
            with auth.client_for(business) as pex:
                pex.business_profile()
        except RetryLater as error:  # while another one renews it
            refused.append(error)

    _at_once([ask_xero] * WORKERS)
    _at_once([ask_pex] * WORKERS)
    refused.clear()
    _at_once([ask_pex] * WORKERS)
    return {"refused": len(refused)}


def _consent(business: Any) -> None:
    """The admin signs in with PEX; the pair that gives is stored as one that has expired."""
    from contextlib import closing
    from urllib.parse import parse_qs, urlsplit

    from connectors.pex import auth
    from connectors.pex.client import PexSession
    from pexsync import clock
    from pexsync.accounts import permissions
    from pexsync.accounts.models import User
    from pexsync.accounts.tenancy import scope

    verifier = "v" * 64
    with closing(PexSession()) as session:
        asked = urlsplit(auth.authorize_url(session, CALLBACK, "state", verifier))
        form = {name: values[0] for name, values in parse_qs(asked.query).items()}
        address = f"{asked.scheme}://{asked.netloc}{asked.path}"
        back = httpx.post(address, data={**form, "decision": "allow", "admin": "ben.bench"})
        [code] = parse_qs(urlsplit(back.headers["location"]).query)["code"]
        pair = auth.redeem(session, code, verifier, CALLBACK)
    with scope(business.pk):
        business.credentials.filter(system="pex").delete()
    everything = [permission.value for permission in permissions.CONNECTOR]
    auth.adopt(business, User.objects.get(), replace(pair, expires_at=clock.now()), everything)


def _at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """Each in a thread of its own that begins with the others. What one raises ends the measure."""
    from django.db import connections

    gate, raised = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], None]) -> None:
        try:
            gate.wait()
            job()
        except Exception as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


if __name__ == "__main__":
    main()
