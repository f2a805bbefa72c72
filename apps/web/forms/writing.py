"""Writing to a customer, and saying that one is on it."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms

from apps.crm.letters import LETTERS, gaps_in
from apps.crm.models import Account, Contact, Outreach, User
from apps.web.forms.base import NO_DAY, Day, Lines, Version


class ClaimForm(forms.Form):
    """``over`` is the id of whoever was seen to be on it, ``off`` lets it go, ``quiet`` claims without a word."""

    over = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    off = forms.BooleanField(required=False)
    quiet = forms.BooleanField(required=False)


class PutOffForm(forms.Form):
    """``seen`` is the day an account was snoozed to when somebody decided; no day: have it back."""

    until = Day()
    seen = forms.DateField(required=False, error_messages=NO_DAY)

    def __init__(self, *args: object, today: date) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.today = today

    def clean_until(self) -> date | None:
        until: date | None = self.cleaned_data["until"]
        if until is not None and until <= self.today:
            raise forms.ValidationError("An account can be snoozed to a day after today.")
        return until


class WriteForm(forms.Form):
    """A mail to people at an account. ``key`` makes a second click the same; ``after`` is the last mail known of."""

    template = forms.ChoiceField(
        choices=[(kind, letter.label) for kind, letter in LETTERS.items()],
        required=False,
        error_messages={"invalid_choice": "There is no template “%(value)s”."},
    )
    to = forms.ModelMultipleChoiceField(
        Contact.objects.none(),
        error_messages={
            "required": "Choose whom it goes to.",
            "invalid_choice": "One of these people is not at the account any more.",
            "invalid_pk_value": "One of these people is not at the account any more.",
        },
    )
    subject = forms.CharField(max_length=300, error_messages={"required": "Give it a subject."})
    text = Lines(max_length=20_000, error_messages={"required": "Write something first."})
    way = forms.TypedChoiceField(
        choices=Outreach.By,
        coerce=Outreach.By,
        error_messages={"required": "Say how it is sent.", "invalid_choice": "Nothing is sent that way."},
    )
    closes = forms.BooleanField(required=False)
    key = forms.CharField(max_length=40, error_messages={"required": "The form has no key; open it anew."})
    version = Version()
    after = forms.IntegerField(required=False, min_value=0, max_value=2**63 - 1)

    def __init__(self, *args: object, account: Account, by: User) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.by = by
        self.fields["to"].queryset = account.contacts.ranked().judged()  # type: ignore[attr-defined]

    def clean_subject(self) -> str:
        return " ".join(self.cleaned_data["subject"].split())

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        for contact in given["to"]:
            if contact.blocked:
                raise forms.ValidationError(f"{contact.name or contact.email} is not to be contacted.")
            if contact.came_back and given["way"] == Outreach.By.ONRAMP:
                raise forms.ValidationError(f"Mail to {contact.email} came back, so none is sent from here.")
        if gaps := gaps_in(f"{given['subject']}\n{given['text']}"):
            raise forms.ValidationError(f"Fill in or take out what is missing: {', '.join(gaps)}.")
        if given["way"] == Outreach.By.ONRAMP and not self.by.email:
            raise forms.ValidationError("Your login has no e-mail address, so nobody could answer you.")
        return given
