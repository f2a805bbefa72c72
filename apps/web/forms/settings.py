"""What is typed on the settings pages."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.crm.letters import wrong_with
from apps.crm.models import Label, User
from apps.crm.models.user import ROLES
from apps.web.forms.base import Day, Lines


class MailForm(forms.Form):
    """Which mail somebody wants about their own work."""

    digest = forms.BooleanField(required=False)
    mention_mail = forms.BooleanField(required=False)
    digest_hour = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=23,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), "The hour is a whole number from 0 to 23."
        ),
    )


class MeForm(forms.ModelForm):
    """What somebody sets for themselves."""

    class Meta:
        model = User
        fields = ("time_zone", "hours", "single_keys")


class PersonForm(forms.ModelForm):
    """A colleague, as an admin enters them."""

    roles = forms.MultipleChoiceField(
        choices=[(role, role) for role in ROLES],
        error_messages={
            "required": "Give at least one role.",
            "invalid_choice": "There is no role “%(value)s”.",
        },
    )

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "time_zone", "hours", "is_active")
        error_messages = {"username": {"unique": "Somebody has this login already."}}

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email and User.objects.exclude(pk=self.instance.pk).with_addresses([email.lower()]):
            raise forms.ValidationError("A colleague has this e-mail already.")
        return email


class NumberForm(forms.Form):
    """A number of the policy, from a day on."""

    value = forms.CharField(required=False, max_length=100)
    starts_on = Day("Say from which day.")


class LabelNameForm(forms.ModelForm):
    class Meta:
        model = Label
        fields = ("name",)
        error_messages = {"name": {"required": "A label has a name."}}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        taken = Label.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).first()
        if taken:
            raise forms.ValidationError(f"There is a label “{taken}” already: merge the two.")
        return name


class MergeForm(forms.Form):
    into = forms.ModelChoiceField(
        Label.objects.all(),
        error_messages={
            "required": "Say into which label.",
            "invalid_choice": "The other label is not there any more.",
        },
    )


class TokenForm(forms.Form):
    """A new key to the API; whose it is may be said by whoever enters colleagues."""

    name = forms.CharField(max_length=100, error_messages={"required": "Say what the token is for."})
    read_only = forms.BooleanField(required=False)
    user = forms.ModelChoiceField(
        User.objects.filter(is_active=True),
        required=False,
        error_messages={"invalid_choice": "There is no such colleague any more."},
    )


class TemplateForm(forms.Form):
    """A template's words; ``seen`` is when it was last changed, empty for the house's own."""

    subject = forms.CharField(max_length=300, error_messages={"required": "A mail has a subject."})
    body = Lines(max_length=20_000, error_messages={"required": "A mail says something."})
    seen = forms.DateTimeField(required=False)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name in ("subject", "body"):
            if wrong := wrong_with(given.get(name, "")):
                self.add_error(name, wrong)
        return given


class LookedForm(forms.Form):
    until = forms.DateTimeField()
