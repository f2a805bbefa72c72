"""Tasks, alerts, calls, events and the survey."""

from __future__ import annotations

from datetime import date, datetime

from django import forms

from apps.crm.models import Account, Call, User
from apps.crm.models.survey import HIGHEST, LONGEST_WORD, LOWEST
from apps.crm.models.task import NEXT_STEPS
from apps.playbooks.registry import PLAYBOOKS
from apps.web.forms.base import NO_DAY, Day, Lines


class AnswerForm(forms.Form):
    """What a customer answers to the survey."""

    score = forms.TypedChoiceField(
        choices=[(str(score), str(score)) for score in range(LOWEST, HIGHEST + 1)],
        coerce=int,
        error_messages={
            "required": f"Choose a score from {LOWEST} to {HIGHEST}.",
            "invalid_choice": f"The score is a number from {LOWEST} to {HIGHEST}.",
        },
    )
    word = Lines(
        required=False,
        max_length=LONGEST_WORD,
        error_messages={"max_length": f"Please shorten your words to {LONGEST_WORD:,} characters."},
    )


class SnoozeForm(forms.Form):
    """``seen`` is the day it was snoozed to when somebody decided, empty for none."""

    until = Day("Say until which day.")
    seen = forms.DateField(required=False, error_messages=NO_DAY)

    def __init__(self, *args: object, today: date) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.today = today

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        if until <= self.today:
            raise forms.ValidationError("An alert can be snoozed to a day after today.")
        return until


class ResolveForm(forms.Form):
    resolution = forms.CharField(max_length=2000, error_messages={"required": "Say in a word what was done."})


class IgnoreForm(forms.Form):
    word = forms.CharField(max_length=500, error_messages={"required": "Say in a word why."})


class LinkForm(forms.Form):
    account = forms.ModelChoiceField(
        Account.objects.all(),
        error_messages={
            "required": "Choose an account.",
            "invalid_choice": "That account is not here any more.",
        },
    )


class GiveForm(forms.Form):
    """``seen`` is the id of whoever had the task or alert when somebody decided, empty for nobody."""

    assignee = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        error_messages={"invalid_choice": "It can be given to a specialist, a lead or an admin."},
    )
    seen = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["assignee"].queryset = User.objects.assignable()  # type: ignore[attr-defined]


class MarkForm(forms.Form):
    """``seen`` is the status somebody started from; ``at`` when it was said, where Undo says it again."""

    status = forms.TypedChoiceField(
        choices=Call.Status,
        coerce=Call.Status,
        error_messages={
            "required": "Say how the call went.",
            "invalid_choice": "A call is booked, held, cancelled or a no-show.",
        },
    )
    seen = forms.ChoiceField(
        choices=Call.Status, required=False, error_messages={"invalid_choice": "No call is “%(value)s”."}
    )
    at = forms.DateTimeField(required=False, error_messages={"invalid": "The time is written in ISO 8601."})

    def __init__(self, *args: object, now: datetime) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.now = now

    def clean_at(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["at"]
        if at is not None and at > self.now:
            raise forms.ValidationError("Nothing is said in the future.")
        return at


class HostForm(forms.Form):
    """A colleague who takes a call, or with ``off`` takes it no more."""

    user = forms.ModelChoiceField(
        User.objects.all(),
        error_messages={
            "required": "Say who takes the call.",
            "invalid_choice": "There is no such colleague.",
        },
    )
    off = forms.BooleanField(required=False)

    def clean(self) -> dict[str, object]:
        given = super().clean() or {}
        user, off = given.get("user"), given.get("off")
        if user and not off and not User.objects.assignable().filter(pk=user.pk).exists():
            raise forms.ValidationError("A call is taken by a specialist, a lead or an admin.")
        return given


class DayForm(forms.Form):
    """``seen`` is the day a task was due when somebody decided."""

    due_on = Day("Say by which day.")
    seen = forms.DateField(error_messages={"required": "Say by which day it was due.", **NO_DAY})


class TaskEditForm(forms.Form):
    """``seen`` is what a task said when somebody began to write."""

    title = forms.CharField(max_length=300, error_messages={"required": "Say what there is to do."})
    remind_on = Day()
    seen = forms.CharField(max_length=300, error_messages={"required": "Say what it said."})


class NextStepForm(forms.Form):
    step = forms.TypedChoiceField(
        choices=[(key, step.words) for key, step in NEXT_STEPS.items()],
        coerce=NEXT_STEPS.__getitem__,
        error_messages={"required": "Say which step.", "invalid_choice": "There is no step “%(value)s”."},
    )


class NoFacts(forms.Form):
    """A change that needs no more than its address."""


class SkipForm(forms.Form):
    playbook = forms.ChoiceField(
        choices=[(name, name) for name in PLAYBOOKS],
        error_messages={
            "required": "Say which playbook.",
            "invalid_choice": "There is no playbook “%(value)s”.",
        },
    )
