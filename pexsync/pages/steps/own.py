"""What only one system asks (`BooksForm` of its room `forms`), as a part of the step that asks for the PEX account."""

from typing import Any

from django import forms

from pexsync.pages import rooms
from pexsync.pages.steps.form import StepForm

PEX = "pex_account"


class OwnQuestions(StepForm):
    """`own` checks the PEX account too, by the rules of the system; its other questions are `extras`."""

    own: forms.Form | None

    def ask_own(self) -> None:
        """Call it once all other fields are there."""
        self.own = self.own_form(self.data if self.is_bound else None)

    def own_form(self, typed: Any) -> forms.Form | None:
        """Its own questions as `typed`, or as the draft answers them; those answers become initial ones here too."""
        questions = rooms.own_questions(self.books.connector)
        if questions is None:
            return None
        initial = {**self.draft.extra, PEX: self.draft.pex_account, **self.initial}
        banks = self.books.options.get(PEX, ())
        own = questions(banks, typed, initial=initial, charge=self.books.charge, prefix=self.prefix)
        for name, each in own.fields.items():
            if isinstance(each.widget, forms.Select):
                each.widget.attrs["class"] = "select"
            self.initial.setdefault(name, own.get_initial_for_field(each, name))
        return own

    @property
    def pex_hint(self) -> str:
        """Which accounts may stand for PEX, as this system says it."""
        return str(self.own.fields[PEX].help_text) if self.own and PEX in self.own.fields else ""

    def extras(self) -> list[forms.BoundField]:
        return [each for each in self.own or () if each.name not in self.fields]

    def check_own(self) -> None:
        """While the books do not answer, what was chosen may stay."""
        if self.own is None or self.books.trouble:
            return
        for name, errors in self.own.errors.items():
            if name not in self.fields:
                self.add_error(None, errors)
            elif not self.errors.get(name):
                self.add_error(name, errors)

    def own_answers(self) -> dict[str, Any]:
        if self.own is None or self.books.trouble:
            return {}
        return {name: value for name, value in self.own.cleaned_data.items() if name not in self.fields}
