"""What all steps of the setup share: a form that reads the draft of the settings and gives the next one."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from django import forms
from django.forms.utils import flatatt
from django.http import QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from connectors.records import Kind
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

    def __init__(
        self, books: Books, draft: Settings, typed: QueryDict | None = None, *, prefix: str | None = None
    ) -> None:
        super().__init__(data=typed, prefix=prefix)
        self.books, self.draft, self.typed = books, draft, typed
        self.build()

    @classmethod
    def reopened(cls, books: Books, draft: Settings, held: QueryDict | None) -> Self:
        """The step as somebody comes back to it; `held` is what was left in it although not everything was right."""
        return cls(books, draft, typed=held)

    @classmethod
    def control(cls, field: str, draft: Settings) -> str:
        """The id of the control that asks for a field as causes name it ("fee:account"); "" of another step's."""
        return ""

    @classmethod
    def own_control(cls, name: str) -> str:
        """The id of the control of a question that only one system asks; "" of another step's."""
        return ""

    def build(self) -> None:
        """Add the fields that depend on the books, and the draft as initial values."""

    def settings(self) -> Settings:
        """Return the draft with this step's answers, of which the plainest step has none. Only of a valid form."""
        return self.draft

    def as_it_stands(self) -> Settings:
        """The draft with this step as it is in the form right now; an answer that is not right counts as before."""
        if not self.is_bound:
            return self.draft
        self.complete()
        return self.settings()

    def complete(self) -> None:
        """Give every field that is not right the answer it had before."""
        if not self.is_valid():
            self.cleaned_data = {**{name: self.before(name) for name in self.fields}, **self.cleaned_data}

    def before(self, name: str) -> Any:
        value = self.initial.get(name)
        return "" if value is None and not isinstance(self.fields[name], forms.DateField) else value

    def kinds_shown(self) -> list[Kind]:
        """The kinds this step is about, where it is about several and one of them is looked at; else none."""
        return []

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
        sent = self.sent(name)
        chooser = forms.ChoiceField(label=label, required=False, widget=LongSelect(attrs={"class": "select"}))
        chooser.choices, chooser.error_messages["invalid_choice"] = choices, "Choose one of the list."
        if sent and not chooser.valid_value(sent) and len(sent) <= LONGEST and sent.isprintable():
            chooser.choices = [*choices, (sent, GONE)]
        self.fields[name] = chooser
        self.initial[name] = initial

    def sent(self, name: str) -> str:
        """What a person chose for a field; "" where nobody has been asked yet."""
        return str(self.typed.get(self.add_prefix(name), "")) if self.typed is not None else ""

    def switch(self, name: str, label: str, initial: bool) -> None:
        self.fields[name] = forms.BooleanField(label=label, required=False)
        self.initial[name] = initial

    def check(self, name: str, list_name: str, empty: str = "") -> None:
        """Say what is wrong with what was chosen from a list; `empty` is the sentence for nothing."""
        if name not in self.cleaned_data:  # it is no choice at all, which is said already
            return
        chosen = self.cleaned_data[name]
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
                data[self.add_prefix(name)] = "on"
            elif value not in (None, False, ""):
                data[self.add_prefix(name)] = str(value)
        return data
