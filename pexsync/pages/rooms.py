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
        self,
        banks: Sequence[Option],
        data: Any = None,
        *,
        initial: Mapping[str, Any],
        charge: bool,
        prefix: str | None = None,
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


def questions(connector: type[Connector]) -> Sequence[tuple[str, str]]:
    """What people ask about the connector, each with its answer."""
    return cast(Sequence[tuple[str, str]], _from_forms(connector, "QUESTIONS") or ())


def short_name(connector: type[Connector]) -> str:
    """What people call the system in the middle of a sentence."""
    return cast(str, _from_forms(connector, "SHORT_NAME") or connector.label)


def hints(connector: type[Connector]) -> Mapping[str, str]:
    """What a field does in these books, a sentence each, by its key."""
    return cast(Mapping[str, str], _from_forms(connector, "HINTS") or {})


def of_purchases(connector: type[Connector]) -> Sequence[str]:
    """Its own questions that are about purchases alone."""
    return cast(Sequence[str], _from_forms(connector, "OF_PURCHASES") or ())


def of_each_merchant(connector: type[Connector]) -> Sequence[str]:
    """Those of them that are asked only where each merchant is booked under a name of its own."""
    return cast(Sequence[str], _from_forms(connector, "OF_EACH_MERCHANT") or ())


def creates_parties(connector: type[Connector], extra: Mapping[str, Any]) -> bool:
    """Whether one of a merchant's name is created where the books have none; `extra`: what only this system asked."""
    creates = cast(Callable[[Mapping[str, Any]], bool] | None, _from_forms(connector, "creates_parties"))
    return creates(extra) if creates else True


def unfit(connector: type[Connector], account: Option, charge: bool, others: Sequence[Option]) -> str:
    """Why this account, of all these, cannot stand for PEX, a sentence; "" when it can."""
    unfit = cast(Callable[[Option, bool, Sequence[Option]], str] | None, _from_forms(connector, "unfit"))
    return unfit(account, charge, others) if unfit else ""


def doubtful(connector: type[Connector], account: Option, charge: bool) -> str:
    """What to look at before this account stands for PEX, a sentence; "" where nothing is doubtful."""
    doubtful = cast(Callable[[Option, bool], str] | None, _from_forms(connector, "doubtful"))
    return doubtful(account, charge) if doubtful else ""


def unfit_source(connector: type[Connector], account: Option) -> str:
    """Why the money of transfers cannot come from this account, a sentence; "" when it can."""
    unfit = cast(Callable[[Option], str] | None, _from_forms(connector, "unfit_source"))
    return unfit(account) if unfit else ""


def _from_forms(connector: type[Connector], name: str) -> Any:
    return getattr(_room(connector, "forms"), name, None)


def _room(connector: type[Connector], name: str) -> ModuleType | None:
    path = f"{connector.__module__.rpartition('.')[0]}.{name}"
    return import_module(path) if find_spec(path) else None
