"""What the forms share: fields that refuse in words, and a form's refusal as a sentence."""

from __future__ import annotations

from typing import Any

from django import forms

_NO_NUMBER = {
    "invalid": "The version is a whole number.",
    "min_value": "The version is a whole number.",
    "max_value": "The version is a whole number.",
}
NO_DAY = {"invalid": "The day is written like 2026-12-01."}


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
