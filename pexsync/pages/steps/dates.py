"""From which day and up to which day transactions are synced, as every setup asks it."""

from datetime import date
from typing import Any

from django import forms

from pexsync.pages.steps.form import StepForm
from syncjobs.window import one_year_before


def _day(label: str, invalid: str) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "input"}, format="%Y-%m-%d"),
        error_messages={
            "required": f"Enter the {label}: the first day whose transactions are synced.",
            "invalid": f"Enter the {label} as year, month and day{invalid}.",
        },
    )


class Days(StepForm):
    """The two days. `limit` is the earliest one: a year ago."""

    start_date = _day("Start Date", "")
    end_date = _day("End Date", ", or leave it empty")

    def build(self) -> None:
        self.limit = one_year_before(self.books.today)
        self.initial.update(start_date=self.draft.start_date, end_date=self.draft.end_date)
        for name in ("start_date", "end_date"):
            self.fields[name].widget.attrs |= {"min": self.limit.isoformat(), "max": self.books.today.isoformat()}

    def clean_start_date(self) -> date | None:
        start: date | None = self.cleaned_data["start_date"]
        if start is None:
            return None
        if start < self.limit and start != self.draft.start_date:  # a saved one that aged is clamped, not refused
            raise forms.ValidationError(f"The Start Date must not be before {_said(self.limit)}, one year ago.")
        if start > self.books.today:
            raise forms.ValidationError("The Start Date must not lie in the future.")
        return start

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        start, end = cleaned.get("start_date"), cleaned.get("end_date")
        if start and end and end < start:
            self.add_error("end_date", "The End Date must not be before the Start Date.")
        return cleaned


def _said(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"
