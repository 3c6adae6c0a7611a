"""The rooms of a connector's folder that pages open: `auth`, how people sign in, and `forms`, its own settings."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol, cast

from django import forms

from connectors.connector import Connector
from connectors.models import Connection, Credential
from connectors.records import Kind, Option
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

    base_fields: Mapping[str, forms.Field]

    def __call__(
        self, banks: Sequence[Option], data: Any = None, *, initial: Mapping[str, Any], charge: bool
    ) -> forms.Form: ...


def way_in(connector: type[Connector]) -> WayIn:
    room = _room(connector, "auth")
    assert room is not None, f"{connector.key} has no room auth"
    return cast(WayIn, room)


def own_questions(connector: type[Connector]) -> OwnQuestions | None:
    return cast(OwnQuestions | None, _from_forms(connector, "BooksForm"))


def names_of_own_questions(connector: type[Connector]) -> Sequence[str]:
    questions = own_questions(connector)
    return list(questions.base_fields) if questions else []


def step_keys(connector: type[Connector]) -> Sequence[str]:
    """The steps of its setup, in order; none where it asks for all there are."""
    return cast(Sequence[str], _from_forms(connector, "STEPS") or ())


def becomes(connector: type[Connector]) -> Mapping[Kind, str]:
    """What the books call a transaction of each kind: "spend money transactions"."""
    return cast(Mapping[Kind, str], _from_forms(connector, "BECOMES") or {})


def unfit_source(connector: type[Connector], account: Option) -> str:
    """Why the money of transfers cannot come from this account, a sentence; "" when it can."""
    unfit = cast(Callable[[Option], str] | None, _from_forms(connector, "unfit_source"))
    return unfit(account) if unfit else ""


def _from_forms(connector: type[Connector], name: str) -> Any:
    return getattr(_room(connector, "forms"), name, None)


def _room(connector: type[Connector], name: str) -> ModuleType | None:
    path = f"{connector.__module__.rpartition('.')[0]}.{name}"
    return import_module(path) if find_spec(path) else None
