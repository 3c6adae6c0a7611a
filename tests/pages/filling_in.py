"""A form of a page as a browser would send it: every control that is there, as it stands there."""

from html.parser import HTMLParser
from typing import Any

from django.http import QueryDict


def form_of(page: str, form_id: str = "form") -> QueryDict:
    """What the form `form_id` would send without any button of it, its controls elsewhere on the page too."""
    reader = _Reader(form_id)
    reader.feed(page)
    return reader.sent


def ids_of(page: str) -> set[str]:
    """Every id of the page, to see whether a link leads somewhere."""
    reader = _Reader("")
    reader.feed(page)
    return reader.ids


class _Reader(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.sent, self.ids = form_id, QueryDict(mutable=True), set[str]()
        self._inside, self._select = False, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "form":
            self._inside = given.get("id") == self.form_id
        mine = given["form"] == self.form_id if "form" in given else self._inside
        if tag == "input" and mine and "disabled" not in given:
            self._input(given)
        elif tag == "select" and mine:
            self._select = given["name"]
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.sent):
            self.sent[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = ""

    def _input(self, given: dict[str, Any]) -> None:
        if given.get("type") not in ("checkbox", "radio"):
            self.sent[given["name"]] = given.get("value", "")
        elif "checked" in given:
            self.sent[given["name"]] = given.get("value", "on")
