"""The rooms of a connector's folder that pages open: `auth`, how people sign in, and `forms`, its own settings."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol, cast

from django import forms

from connectors.connector import Connector
from connectors.models import Connection, Credential
from connectors.records import Option
from pexsync.accounts.models import User


class SignIn(Protocol):
    """Where the person goes to sign in, and what waits in their session until they are back."""

    @property
    def url(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def verifier(self) -> str: ...


class WayIn(Protocol):
    """The room `auth` of a system with a sign-in of its own."""

    def begin(self) -> SignIn: ...
    def code_of(self, answer: Mapping[str, str], state: str) -> str: ...
    def connect(self, connection: Connection, person: User, code: str, verifier: str) -> Credential: ...


class OwnQuestions(Protocol):
    """`BooksForm` of the room `forms`: which account may stand for PEX, and what only this system asks."""

    def __call__(self, banks: Sequence[Option], data: Any = None, *, initial: Mapping[str, Any]) -> forms.Form: ...


def way_in(connector: type[Connector]) -> WayIn:
    room = _room(connector, "auth")
    assert room is not None, f"{connector.key} has no room auth"
    return cast(WayIn, room)


def own_questions(connector: type[Connector]) -> OwnQuestions | None:
    room = _room(connector, "forms")
    return cast(OwnQuestions | None, getattr(room, "BooksForm", None))


def _room(connector: type[Connector], name: str) -> ModuleType | None:
    path = f"{connector.__module__.rpartition('.')[0]}.{name}"
    return import_module(path) if find_spec(path) else None
