"""What the panels of an account's page send us, and the links set for it: read strictly, refused in a sentence."""

from __future__ import annotations

from datetime import date

from django import forms

from apps.crm.models import AuditPoint, Credit, OutLink
from apps.web.forms.base import Day

_NO_SUM = {
    "invalid": "Write the sum as a plain number, such as 40 or 99.50.",
    "max_digits": "The sum is too large.",
    "max_whole_digits": "The sum is too large.",
    "max_decimal_places": "Write the sum as a plain number, such as 40 or 99.50.",
}


class AuditForm(forms.Form):
    """``seen`` is when the point was last looked at when somebody decided, empty for never."""

    what = forms.CharField(max_length=120, error_messages={"required": "Say what was looked at."})
    state = forms.ChoiceField(
        choices=AuditPoint.State,
        error_messages={
            "required": "Say how the point stands.",
            "invalid_choice": "A point is open, done or not relevant.",
        },
    )
    saving = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=2,
        error_messages=_NO_SUM | {"min_value": "A saving is 0 or more."},
    )
    seen = forms.DateTimeField(required=False)


class CreditForm(forms.Form):
    kind = forms.ChoiceField(
        choices=Credit.Kind,
        error_messages={"required": "Say what it was for.", "invalid_choice": "There is no such kind."},
    )
    amount = forms.DecimalField(
        min_value=0.01,
        max_digits=12,
        decimal_places=2,
        error_messages=_NO_SUM | {"required": "Say how much.", "min_value": "The sum is more than 0."},
    )
    currency = forms.RegexField(
        r"^[A-Z]{3}$",
        error_messages={
            "required": "Say in which currency.",
            "invalid": "A currency is three capital letters, such as USD.",
        },
    )
    on = Day("Say on which day.")
    why = forms.CharField(max_length=2000, error_messages={"required": "Say why."})

    def __init__(self, *args: object, today: date) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.today = today

    def clean_on(self) -> date:
        on: date = self.cleaned_data["on"]
        if on > self.today:
            raise forms.ValidationError("Write down what was given, not what will be.")
        return on


class CorrectForm(forms.Form):
    why = forms.CharField(max_length=2000, error_messages={"required": "Say what was wrong."})


class PinForm(forms.Form):
    on = forms.BooleanField(required=False)


class OutLinkForm(forms.ModelForm):
    """A link; ``seen`` is the mark of the one that somebody began to change."""

    seen = forms.CharField(required=False, max_length=1100, strip=False)

    class Meta:
        model = OutLink
        fields = ("label", "url")
        error_messages = {
            "label": {"required": "Give it a label.", "unique": "There is a link of this label already."},
            "url": {"required": "Give it an address."},
        }
