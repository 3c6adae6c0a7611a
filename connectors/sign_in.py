"""What the systems people sign in to share: the stored credential, its one renewal for all workers, and leaving."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import connections

from connectors.connector import Deadline
from connectors.errors import NotAuthorized, RetryLater
from connectors.models import Connection, Credential
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.models import User

JSON = dict[str, Any]

MARGIN = timedelta(seconds=60)  # renew a little early: a call may wait for its turn
LOSER_WAITS = 20  # seconds for another worker's renewal
SENT_WITHIN = 40  # seconds of a claim in which a try may leave; its answer then comes within the claim's life


class Ended(Exception):
    """The sign-in is over, and why: one sentence."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A secret just given, with its `access_token` good until then."""

    secret: JSON = field(repr=False)
    expires_at: datetime


class Access(ABC):
    """The access token of one connection, shared by the threads of one run."""

    NAME: ClassVar[str]  # of the system, for people

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._token = ""
        self._until: datetime | None = None

    @abstractmethod
    def renewal(self, credential: Credential, secret: JSON, deadline: Deadline) -> Fresh:
        """Ask the system for the next secret. Raises `Ended`, `RetryLater`."""

    def token(self) -> str:
        """A token that should be good. Raises `NotAuthorized`, `RetryLater`."""
        with self._lock:
            if not self._token or _expired(self._until):
                self._fetch(rejected="")
            return self._token

    def renewed(self, rejected: str) -> str:
        """Another token than the one the system would not take; renewed once, whoever asks first."""
        with self._lock:
            if self._token == rejected:
                self._fetch(rejected)
            return self._token

    def secret(self) -> JSON:
        """The stored secret as it is now. Raises `NotAuthorized`, `RetryLater`."""
        return load(self.connection, self.NAME).secret()

    def _fetch(self, rejected: str) -> None:
        """Take the stored token, or renew it; of all workers one renews and the others wait for what it saves."""
        give_up = time.monotonic() + LOSER_WAITS
        while time.monotonic() < give_up:
            credential = load(self.connection, self.NAME)
            secret = credential.secret()
            if secret["access_token"] != rejected and not _expired(credential.expires_at):
                self._keep(credential)
                return
            deadline = Deadline.after(SENT_WITHIN)
            with rows_of(credential.business_id):
                mine = credential.claim_renewal()
            if mine and self._renew(credential, secret, deadline):
                return
            time.sleep(0.2)
        raise RetryLater(f"The sign-in to {self.NAME} is being renewed. We keep trying; no action is needed.", after=30)

    def _renew(self, credential: Credential, secret: JSON, deadline: Deadline) -> bool:
        """Renew as the claimant: saved before it is used. False when somebody else's tokens are newer."""
        version = credential.version
        try:
            fresh = self.renewal(credential, secret, deadline)
        except Ended as ended:
            if _bury(credential, str(ended)):
                raise NotAuthorized(str(ended)) from ended
            return False
        except BaseException:
            with rows_of(credential.business_id):
                credential.release_claim()
            raise
        with rows_of(credential.business_id):
            credential.save_renewed(fresh.secret, fresh.expires_at)
        if credential.version == version:
            return False
        self._keep(credential)
        return True

    def _keep(self, credential: Credential) -> None:
        self._token, self._until = credential.secret()["access_token"], credential.expires_at


def load(connection: Connection, name: str) -> Credential:
    """The credential this connection uses now. One lent by another business of the same person is that one's row."""
    with _closing(), tenancy.reading(connection.business_id):
        found = Credential.objects.filter(connections=connection.pk).first()
    if found is None:
        with _any_rows():
            found = Credential.objects.filter(connections=connection.pk).first()
    if found is None:
        raise NotAuthorized(f"There is no sign-in to {name} yet. Press CONNECT.")
    return found


def adopt(connection: Connection, person: User, fresh: Fresh) -> Credential:
    """Let the connection use a sign-in somebody just made, and destroy the one before when nobody else uses it."""
    with rows_of(connection.business_id):
        credential = Credential.store(connection.business, connection.system, person, fresh.secret, fresh.expires_at)
        before, connection.credential = connection.credential_id, credential
        connection.save(update_fields=["credential"])
    if before:
        _destroy_unused(before)
    return credential


def _expired(at: datetime | None) -> bool:
    return at is not None and clock.now() >= at - MARGIN


def _bury(credential: Credential, reason: str) -> bool:
    """The credential is dead, unless it was renewed meanwhile."""
    with rows_of(credential.business_id):
        credential.die(reason)
        credential.refresh_from_db()
    return credential.state == Credential.State.DEAD


# --- leaving ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Others:
    """What other connections of this installation would lose."""

    use_company: bool  # someone else here writes to the same company
    use_credential: bool


def others(connection: Connection) -> Others:
    with _any_rows():
        rest = Connection.objects.filter(system=connection.system, credential__isnull=False).exclude(pk=connection.pk)
        return Others(
            use_company=bool(connection.company) and rest.filter(company=connection.company).exists(),
            use_credential=rest.filter(credential=connection.credential_id).exists(),
        )


def forget(connection: Connection) -> None:
    """Take the credential from the connection and destroy it, when nobody else uses it. Settings and ledger stay."""
    with rows_of(connection.business_id):
        before, connection.credential = connection.credential_id, None
        connection.state = Connection.State.INSTALLED
        connection.save(update_fields=["credential", "state"])
    if before:
        _destroy_unused(before)


def _destroy_unused(credential_id: int) -> None:
    with _any_rows():
        if not Connection.objects.filter(credential=credential_id).exists():
            Credential.objects.filter(pk=credential_id).delete()


# --- where the rows are -----------------------------------------------------------------------------------------------


@contextmanager
def rows_of(business_id: int) -> Iterator[None]:
    """The tenant's rows for a moment. A database connection this thread opened only for it is closed again."""
    with _closing(), tenancy.scope(business_id):
        yield


@contextmanager
def _any_rows() -> Iterator[None]:
    with _closing(), tenancy.everywhere():
        yield


@contextmanager
def _closing() -> Iterator[None]:
    database = connections["default"]
    opened_here = database.connection is None
    try:
        yield
    finally:
        if opened_here:
            database.close()
