"""One refresh for all workers, and what each way to die in the middle of it costs."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections

from connectors import registry, sign_in
from connectors.dynamics365.auth import Access
from connectors.dynamics365.client import Client
from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Connection, Credential
from connectors.pex import auth as pex_auth
from connectors.pex.auth import SignIn
from connectors.pex.client import PexSession, Token
from connectors.xero import auth as xero_auth
from pexsync.accounts import permissions
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import everywhere
from tests import make
from tests.connectors.dynamics365 import conftest as dynamics

pytestmark = pytest.mark.database

WORKERS = 20


class Died(BaseException):
    """The worker is gone: nobody catches it."""


@pytest.fixture
def acme(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    cache.clear()
    yield make.world(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def travel(sandbox) -> Callable[..., None]:
    return lambda **by: sandbox.clock.advance(timedelta(**by))


@pytest.fixture
def pair(acme, sandbox) -> make.World:
    """Acme, whose PEX sign-in is an OAuth pair."""
    with everywhere():
        acme.business.credentials.filter(system="pex").delete()
    issued = consent(sandbox, acme)
    everything = [permission.value for permission in permissions.CONNECTOR]
    assert pex_auth.adopt(acme.business, acme.user, issued, everything)
    return acme


def consent(sandbox: Any, acme: make.World) -> SignIn:
    """A pair, as PEX gives it to who consented."""
    world, family = sandbox.worlds["pex"], "family-1"
    from sandbox.pex.world import REFRESH_SECONDS, Family, RefreshToken
    from sandbox.pex.world import Token as Access

    admin, now = acme.admin, sandbox.clock.now()
    world.families[family] = Family(
        "pexsync-demo-oauth", admin.business_id, admin.admin_id, pex_auth.SCOPE, "", admin.password_version
    )
    world.refresh_tokens["refresh-1"] = RefreshToken(family, now + timedelta(seconds=REFRESH_SECONDS))
    until = now + timedelta(minutes=10)
    world.tokens["access-1"] = Access(
        text="access-1",
        app_id="pexsync-demo-oauth",
        business_id=admin.business_id,
        admin_id=admin.admin_id,
        issued=now,
        expires=until,
        password_version=admin.password_version,
        scheme="Bearer",
        family=family,
    )
    return SignIn(Token("access-1", "Bearer"), until, Token("refresh-1", "refresh"))


def at_once(count: int, work: Callable[[], None]) -> list[BaseException]:
    """Run it in so many threads that begin together, each with its own database connection; what they raised."""
    gate, raised = threading.Barrier(count), []

    def one() -> None:
        try:
            gate.wait()
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def ask_xero(connection: Connection) -> None:
    with registry.open_connector(connection) as xero:
        xero.closed_until()


def ask_dynamics(connection: Connection) -> None:
    with closing(Client(connection)) as client:
        assert client.rows("journals")


def ask_pex(business: Business) -> None:
    with pex_auth.client_for(business) as pex:
        assert pex.business_profile()


def refreshes(sandbox: Any, system: str) -> int:
    return len(sandbox.calls.matching(system, "POST", "token"))


def stored(acme: make.World, system: str) -> Credential:
    with everywhere():
        return Credential.objects.get(business=acme.business, system=system)


class TestXero:
    def test_twenty_workers_renew_once_and_all_go_on(self, acme, sandbox, travel):
        travel(minutes=31)
        assert at_once(WORKERS, lambda: ask_xero(acme.connection)) == []
        assert refreshes(sandbox, "xero-identity") == 1
        assert {call.status for call in sandbox.calls.matching("xero-api")} == {200}

    def test_two_processes_renew_once(self, acme, sandbox, settings, travel):
        travel(minutes=31)
        assert in_two_processes(settings, "xero", acme.connection.pk) == [0, 0]
        assert refreshes(sandbox, "xero-identity") == 1

    def test_a_worker_killed_between_answer_and_save_is_made_up_for(self, acme, sandbox, travel, monkeypatch):
        travel(minutes=31)
        with monkeypatch.context() as patch:
            patch.setattr(Credential, "save_renewed", die)
            with pytest.raises(Died):
                ask_xero(acme.connection)
        assert stored(acme, "xero").claim
        travel(seconds=61)
        ask_xero(acme.connection)  # with the refresh token that was used already, within its grace
        assert refreshes(sandbox, "xero-identity") == 2
        assert stored(acme, "xero").state == Credential.State.ALIVE

    def test_until_its_claim_ends_nobody_asks_and_nobody_uses_the_dead_token(self, acme, sandbox, travel, monkeypatch):
        travel(minutes=31)
        with monkeypatch.context() as patch:
            patch.setattr(Credential, "save_renewed", die)
            with pytest.raises(Died):
                ask_xero(acme.connection)
        monkeypatch.setattr(sign_in, "LOSER_WAITS", 0.3)
        sandbox.calls.clear()
        with pytest.raises(RetryLater, match="being renewed"):
            ask_xero(acme.connection)
        assert sandbox.calls.calls == []

    def test_a_worker_killed_after_the_save_has_left_a_good_pair(self, acme, sandbox, travel, monkeypatch):
        travel(minutes=31)
        with monkeypatch.context() as patch:
            patch.setattr(xero_auth.Access, "_keep", die)
            with pytest.raises(Died):
                ask_xero(acme.connection)
        ask_xero(acme.connection)
        assert refreshes(sandbox, "xero-identity") == 1

    def test_twenty_workers_survive_a_lost_answer(self, acme, sandbox, travel):
        travel(minutes=31)
        sandbox.faults.add("drop_after", system="xero-identity")
        assert at_once(WORKERS, lambda: ask_xero(acme.connection)) == []
        assert refreshes(sandbox, "xero-identity") == 2
        assert {call.status for call in sandbox.calls.matching("xero-api")} == {200}

    def test_a_worker_frozen_since_its_claim_sends_nothing(self, acme, sandbox, travel, monkeypatch):
        travel(minutes=31)
        original = xero_auth.Deadline.after
        monkeypatch.setattr(xero_auth.Deadline, "after", lambda seconds: original(-1))
        with pytest.raises(RetryLater):
            ask_xero(acme.connection)
        assert sandbox.calls.calls == []
        assert stored(acme, "xero").claim == ""

    def test_what_a_slow_worker_brings_does_not_replace_what_another_saved(self, acme, sandbox, travel, monkeypatch):
        travel(minutes=31)
        original = Credential.save_renewed

        def slow(credential: Credential, *what: Any) -> None:
            monkeypatch.setattr(Credential, "save_renewed", original)
            travel(seconds=61)
            ask_xero(acme.connection)
            original(credential, *what)

        monkeypatch.setattr(Credential, "save_renewed", slow)
        ask_xero(acme.connection)
        newest = list(sandbox.worlds["xero"].access)[-1]
        assert stored(acme, "xero").secret()["access_token"] == newest
        assert stored(acme, "xero").version == 2

    def test_a_worker_whose_token_and_the_stored_one_have_both_ended_still_comes_in(self, acme, sandbox):
        """Frozen over a renewal of somebody else's, it wakes when that token has ended, too."""
        with closing(registry.open_connector(acme.connection)) as slow:
            slow.companies()
            sandbox.worlds["xero"].access.clear()
            ask_xero(acme.connection)
            sandbox.worlds["xero"].access.clear()
            before = refreshes(sandbox, "xero-identity")
            slow.companies()
        assert refreshes(sandbox, "xero-identity") == before + 1
        with everywhere():
            acme.connection.refresh_from_db()
        assert acme.connection.state == Connection.State.READY


class TestDynamics:
    @pytest.fixture
    def books(self, sandbox, settings, transactional_db, tmp_path) -> Iterator[dynamics.Acme]:
        make.point_at(settings, sandbox)
        settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
        yield dynamics.Acme(sandbox)
        sandbox.clock.path = None

    @pytest.fixture
    def connection(self, books) -> Connection:
        return dynamics.linked(books)

    def test_twenty_workers_renew_once_and_all_go_on(self, connection, sandbox, travel):
        travel(minutes=61)
        assert at_once(WORKERS, lambda: ask_dynamics(connection)) == []
        assert refreshes(sandbox, "entra") == 1
        assert {call.status for call in sandbox.calls.matching("bc-api")} == {200}

    def test_two_processes_renew_once(self, connection, sandbox, settings, travel):
        travel(minutes=61)
        assert in_two_processes(settings, "dynamics365", connection.pk) == [0, 0]
        assert refreshes(sandbox, "entra") == 1

    def test_a_worker_killed_between_answer_and_save_is_made_up_for(self, connection, sandbox, travel, monkeypatch):
        travel(minutes=61)
        with monkeypatch.context() as patch:
            patch.setattr(Credential, "save_renewed", die)
            with pytest.raises(Died):
                ask_dynamics(connection)
        assert dynamics.stored(connection).claim
        travel(seconds=61)
        ask_dynamics(connection)  # with the refresh token that was used already: it is still taken
        assert refreshes(sandbox, "entra") == 2
        assert dynamics.stored(connection).state == Credential.State.ALIVE

    def test_a_worker_killed_after_the_save_has_left_a_good_token(self, connection, sandbox, travel, monkeypatch):
        travel(minutes=61)
        with monkeypatch.context() as patch:
            patch.setattr(Access, "_keep", die)
            with pytest.raises(Died):
                ask_dynamics(connection)
        ask_dynamics(connection)
        assert refreshes(sandbox, "entra") == 1

    def test_twenty_workers_survive_a_lost_answer(self, connection, sandbox, travel):
        travel(minutes=61)
        sandbox.faults.add("drop_after", system="entra")
        assert at_once(WORKERS, lambda: ask_dynamics(connection)) == []
        assert refreshes(sandbox, "entra") == 2

    def test_a_dead_sign_in_is_asked_for_once(self, books, connection, sandbox, travel):
        books.world.revoke(books.person)
        travel(minutes=61)
        raised = at_once(WORKERS, lambda: ask_dynamics(connection))
        assert {type(error) for error in raised} == {NotAuthorized}
        assert len(raised) == WORKERS
        assert refreshes(sandbox, "entra") == 1

    def test_what_another_worker_stored_and_that_ended_too_is_renewed(self, connection, sandbox):
        with closing(Client(connection)) as slow:
            assert slow.rows("journals")
            sandbox.worlds["dynamics365"].expire_access()
            ask_dynamics(connection)
            sandbox.worlds["dynamics365"].expire_access()
            before = refreshes(sandbox, "entra")
            assert slow.rows("journals")
        assert refreshes(sandbox, "entra") == before + 1


class TestPex:
    def test_twenty_workers_renew_once_and_nobody_uses_the_dead_token(self, pair, sandbox, travel):
        travel(minutes=11)
        raised = at_once(WORKERS, lambda: ask_pex(pair.business))
        assert {type(error) for error in raised} <= {RetryLater}  # while it is being renewed
        assert at_once(WORKERS, lambda: ask_pex(pair.business)) == []
        assert refreshes(sandbox, "pex-oauth") == 1
        assert {call.status for call in sandbox.calls.matching("pex")} == {200}
        assert stored(pair, "pex").state == Credential.State.ALIVE

    def test_two_processes_renew_once(self, pair, sandbox, settings, travel):
        travel(minutes=6)
        assert in_two_processes(settings, "pex", pair.business.pk) == [0, 0]
        assert refreshes(sandbox, "pex-oauth") == 1

    def test_a_worker_that_gave_its_claim_back_does_not_end_the_sign_in(self, pair, sandbox, travel, monkeypatch):
        """The next one has read the row while the claim stood, and takes it when it is free again."""
        travel(minutes=6)
        original = pex_auth._refreshed

        def meanwhile(*args: Any) -> SignIn:
            monkeypatch.setattr(pex_auth, "_refreshed", original)
            keepers.append(pex_auth._Keeper(pair.business, args[0]))
            raise RetryLater("PEX asks us to slow down.")

        keepers: list[pex_auth._Keeper] = []
        monkeypatch.setattr(pex_auth, "_refreshed", meanwhile)
        ask_pex(pair.business)
        with closing(PexSession(pair.business.pex_id)) as session:
            keepers[0].session = session
            assert keepers[0].fresh().text != "access-1"
        assert stored(pair, "pex").state == Credential.State.ALIVE
        assert refreshes(sandbox, "pex-oauth") == 1

    def test_a_worker_killed_between_answer_and_save_asks_for_a_new_sign_in(self, pair, sandbox, travel, monkeypatch):
        """PEX ends all tokens of a consent when a refresh token comes twice, so it is never sent twice."""
        travel(minutes=11)
        with monkeypatch.context() as patch:
            patch.setattr(Credential, "save_renewed", die)
            with pytest.raises(Died):
                ask_pex(pair.business)
        travel(seconds=61)
        with pytest.raises(NotAuthorized, match="Launch PEX Sync"):
            ask_pex(pair.business)
        assert refreshes(sandbox, "pex-oauth") == 1

    def test_a_worker_killed_after_the_save_has_left_a_good_pair(self, pair, sandbox, travel, monkeypatch):
        travel(minutes=11)
        original = pex_auth._Keeper._save

        def save_and_die(keeper: Any, fresh: SignIn) -> None:
            original(keeper, fresh)
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr(pex_auth._Keeper, "_save", save_and_die)
            with pytest.raises(Died):
                ask_pex(pair.business)
        ask_pex(pair.business)
        assert refreshes(sandbox, "pex-oauth") == 1

    def test_a_worker_frozen_since_its_claim_sends_nothing(self, pair, sandbox, travel, monkeypatch):
        travel(minutes=6)
        original = pex_auth.Deadline.after
        monkeypatch.setattr(pex_auth.Deadline, "after", lambda seconds: original(-1))
        ask_pex(pair.business)  # what we have is used while it lasts
        assert refreshes(sandbox, "pex-oauth") == 0
        assert stored(pair, "pex").claim == ""

    def test_while_its_doors_are_not_told_the_old_token_is_used(self, pair, sandbox, travel):
        travel(minutes=6)
        sandbox.faults.add("status", system="pex-oauth", status=503, times=None)
        ask_pex(pair.business)
        assert stored(pair, "pex").claim == ""
        sandbox.faults.clear()
        ask_pex(pair.business)
        assert stored(pair, "pex").version == 2


def die(*args: Any) -> None:
    raise Died


WORKER = """
import sys
import django
django.setup()
from connectors.models import Connection
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import everywhere
from tests.connectors import test_refresh
system, number = sys.argv[1:]
with everywhere():
    if system == "pex":
        business = Business.objects.get(pk=number)
    else:
        connection = Connection.objects.select_related("business").get(pk=number)
print("ready", flush=True)
sys.stdin.readline()
if system == "pex":
    test_refresh.ask_pex(business)
elif system == "xero":
    test_refresh.ask_xero(connection)
else:
    test_refresh.ask_dynamics(connection)
"""


def in_two_processes(settings: Any, system: str, number: int) -> list[int]:
    """Two workers that share nothing but database, Redis and the outside; their exit codes."""
    names = (
        "PEX_API_URL",
        "PEX_OAUTH_URL",
        "XERO_IDENTITY_URL",
        "XERO_API_URL",
        "ENTRA_URL",
        "BC_API_URL",
        "CLOCK_FILE",
    )
    env = os.environ | {name: str(getattr(settings, name)) for name in names} | {"DATABASE_URL": database()}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, system, str(number)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
    return [worker.returncode for worker in workers]


def database() -> str:
    """The address of the tests' own database."""
    facts = connections["default"].settings_dict
    if connections["default"].vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"
