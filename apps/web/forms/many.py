"""What is asked of many accounts at once, and of saved views."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.crm.models import User
from apps.web.forms.account import AssignForm


class PickedForm(forms.Form):
    """Which alerts to change, ``most`` at once: ``ids`` parted by commas, or all that the filter shows ``but`` some."""

    ids = forms.CharField(required=False)
    all = forms.BooleanField(required=False)
    but = forms.CharField(required=False)

    def __init__(self, *args: object, most: int) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.most = most

    def clean_ids(self) -> list[int]:
        return _ids(self.cleaned_data["ids"])

    def clean_but(self) -> list[int]:
        return _ids(self.cleaned_data["but"])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        ids = given.get("ids")
        if ids is not None and not ids and not given.get("all"):
            raise forms.ValidationError("Choose some alerts first.")
        if ids and len(ids) > self.most:
            raise forms.ValidationError(f"Choose {self.most} alerts at most.")
        return given


class ChosenForm(forms.Form):
    """Which accounts are meant: ``ids`` parted by commas, or all that the page's filters show ``but`` some."""

    ids = forms.CharField(required=False)
    all = forms.BooleanField(required=False)
    but = forms.CharField(required=False)

    def clean_ids(self) -> list[int]:
        return list(dict.fromkeys(_ids(self.cleaned_data["ids"])))

    def clean_but(self) -> list[int]:
        return _ids(self.cleaned_data["but"])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("ids") == [] and not given.get("all"):
            raise forms.ValidationError("Choose some accounts first.")
        return given


class ManyAssignForm(AssignForm):
    seen = None  # type: ignore[assignment]


class SeenViewForm(forms.Form):
    """``seen`` is the ``changed_at`` of the view that somebody looked at."""

    seen = forms.DateTimeField(error_messages={"required": "Look at the view first."})


class UpdateViewForm(SeenViewForm):
    query = forms.CharField(required=False, max_length=4000)


class RenameViewForm(SeenViewForm):
    name = forms.CharField(max_length=80, error_messages={"required": "Give the view a name."})
    shared = forms.BooleanField(required=False)
    protected = forms.BooleanField(required=False)


class KeepViewForm(forms.Form):
    name = forms.CharField(max_length=80, error_messages={"required": "Give the view a name."})
    query = forms.CharField(required=False, max_length=4000)
    shared = forms.BooleanField(required=False)


class GiveBackForm(forms.Form):
    """Whose each alert ``was``, as ``12:3,15:``, and the id of whoever has them now."""

    was = forms.CharField()
    seen = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)

    def clean_was(self) -> dict[int, int | None]:
        pairs = [one.partition(":") for one in self.cleaned_data["was"].split(",")]
        was = {_id(alert): _id(person) if person else None for alert, _, person in pairs}
        known = set(User.objects.filter(pk__in={*was.values()} - {None}).values_list("pk", flat=True))
        if {*was.values()} - {None} - known:
            raise forms.ValidationError("Somebody named there is not known here.")
        return was


def _ids(text: str) -> list[int]:
    return [_id(one) for one in text.split(",") if one]


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise forms.ValidationError("An id is a whole number.")
    return int(text)
