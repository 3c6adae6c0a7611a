"""What all steps of the setup share: a form that reads the draft of the settings and gives the next one."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from django import forms
from django.forms.utils import flatatt
from django.http import QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from connectors.settings import Settings
from pexsync.pages.steps.books import GONE, Books, Choices

LONGEST = 250  # characters of an id: "static:" before one of the books


class LongSelect(forms.Select):
    """A select that may hold thousands: Django's own takes two templates for each option, and seconds for all."""

    def render(self, name: str, value: Any, attrs: Mapping[str, Any] | None = None, renderer: Any = None) -> SafeString:
        given = self.build_attrs({"name": name, **self.attrs}, dict(attrs or {}))
        return format_html("<select{}>{}</select>", flatatt(given), _options(self.choices, str(value or "")))


def _options(choices: Iterable[Any], chosen: str) -> SafeString:
    return format_html_join("\n", "{}", ((_option(key, label, chosen),) for key, label in choices))


def _option(key: str, label: Any, chosen: str) -> SafeString:
    """One option, or a group of them where the label is a list."""
    if not isinstance(label, str):
        return format_html('<optgroup label="{}">{}</optgroup>', key, _options(label, chosen))
    form = '<option value="{}" selected>{}</option>' if key == chosen else '<option value="{}">{}</option>'
    return format_html(form, key, label)


class StepForm(forms.Form):
    """One step. `typed` is what a person entered; without it the form shows the draft."""

    use_required_attribute = False  # the server's words say what is missing, in one place
    reads: ClassVar[tuple[str, ...]] = ()  # the lists of the books it shows; "fields": those of all that can be coded

    def __init__(self, books: Books, draft: Settings, typed: QueryDict | None = None) -> None:
        super().__init__(data=typed)
        self.books, self.draft = books, draft
        self.build()

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        """The id of the control that asks for a field as causes name it ("fee:account"); "" of another step's."""
        return ""

    def build(self) -> None:
        """Add the fields that depend on the books, and the draft as initial values."""

    def settings(self) -> Settings:
        """Return the draft with this step's answers, of which the plainest step has none. Only of a valid form."""
        return self.draft

    def stands(self) -> bool:
        """Whether what the draft says here may be saved as it is."""
        return self.looked_at().is_valid()

    def looked_at(self) -> Self:
        """Return this step as if somebody had typed the draft in: it then says what is wrong with it."""
        return self if self.is_bound else type(self)(self.books, self.draft, typed=self._as_typed())

    def summary(self) -> list[tuple[str, str]]:
        """The errors for the top of the page: the id of the field and the sentence."""
        if not self.is_bound:
            return []
        found = []
        for name, errors in sorted(self.errors.items(), key=self._place):
            target = self[name].id_for_label if name in self.fields else "form"
            found += [(target or self[name].auto_id, str(error)) for error in errors]
        return found

    def wrong_with(self, *names: str) -> str:
        """All that is wrong with these fields, in one line."""
        return " ".join(str(error) for name in names for error in self[name].errors) if self.is_bound else ""

    def choose(self, name: str, label: str, choices: Choices, initial: str) -> None:
        """Add a select. What a person sent is a choice too: whether it may stay is said in `clean`, in words."""
        sent = self.data.get(name, "") if self.is_bound else ""
        chooser = forms.ChoiceField(label=label, required=False, widget=LongSelect(attrs={"class": "select"}))
        chooser.choices, chooser.error_messages["invalid_choice"] = choices, "Choose one of the list."
        if sent and not chooser.valid_value(sent) and len(sent) <= LONGEST and sent.isprintable():
            chooser.choices = [*choices, (sent, GONE)]
        self.fields[name] = chooser
        self.initial[name] = initial

    def switch(self, name: str, label: str, initial: bool) -> None:
        self.fields[name] = forms.BooleanField(label=label, required=False)
        self.initial[name] = initial

    def check(self, name: str, list_name: str, empty: str = "") -> None:
        """Say what is wrong with what was chosen from a list; `empty` is the sentence for nothing."""
        chosen = self.cleaned_data.get(name, "")
        trouble = self.books.missing(list_name, chosen) if chosen else empty
        if trouble:
            self.add_error(name, trouble)

    def _place(self, item: tuple[str, Any]) -> int:
        names = list(self.fields)
        return names.index(item[0]) if item[0] in names else len(names)

    def _as_typed(self) -> QueryDict:
        data = QueryDict(mutable=True)
        for name, value in self.initial.items():
            if value is True:
                data[name] = "on"
            elif value not in (None, False, ""):
                data[name] = str(value)
        return data
