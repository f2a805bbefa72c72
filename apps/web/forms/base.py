"""What the forms share: fields that refuse in words, and a form's refusal as a sentence."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms

from apps.crm.fields import YEARS

_NO_NUMBER = {
    "invalid": "The version is a whole number.",
    "min_value": "The version is a whole number.",
    "max_value": "The version is a whole number.",
}
NO_DAY = {"invalid": "The day is written like 2026-12-01."}


class Day(forms.DateField):
    """A day of our time; optional where nothing is said of one that is missing. ``missing`` is that sentence."""

    def __init__(self, missing: str = "") -> None:
        super().__init__(required=bool(missing), error_messages={**NO_DAY, "required": missing})

    def to_python(self, value: Any) -> date | None:
        found: date | None = super().to_python(value)
        if found and found.year not in YEARS:
            raise forms.ValidationError(f"The day is between the years {YEARS[0]} and {YEARS[-1]}.")
        return found


class Version(forms.IntegerField):
    """The version somebody saw; optional."""

    def __init__(self) -> None:
        super().__init__(required=False, min_value=0, max_value=2**31 - 1, error_messages=_NO_NUMBER)


class Lines(forms.CharField):
    """A text of several lines, whose ends count once, as they do for the browser's own limit."""

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


def sentence(form: forms.BaseForm) -> str:
    """The first thing that is wrong with a form."""
    return next(str(message) for messages in form.errors.values() for message in messages)
