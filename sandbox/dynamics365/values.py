"""How Business Central writes what is no plain text or number: enum members, and the errors of the API."""

import re


class Member(str):
    """A member of an enum. Filters name it plainly; answers show it with what no identifier may hold encoded."""

    __slots__ = ()

    @property
    def encoded(self) -> str:
        return re.sub(r"[^A-Za-z0-9]", lambda match: f"_x{ord(match[0]):04X}_", self)


class Refused(Exception):
    """A call the API refuses: `code` of its table of errors, and a message people may read."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def refused(message: str) -> Refused:
    """What a rule of the application refuses, in the words a person would see on its page."""
    return Refused("Application_DialogException", message)
