"""What people send us: read strictly, refused in a sentence."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms

from apps.crm.letters import LETTERS, gaps_in, wrong_with
from apps.crm.models import Account, Call, Contact, Label, Note, Outreach, User
from apps.crm.models.account import PaymentRisk
from apps.crm.models.survey import HIGHEST, LONGEST_WORD, LOWEST
from apps.crm.models.task import NEXT_STEPS
from apps.crm.models.user import ROLES
from apps.crm.pipeline import STAGES, Stage
from apps.playbooks.registry import PLAYBOOKS

_NO_STAGE = {"required": "Say which stage to move it to.", "invalid_choice": "There is no stage “%(value)s”."}
_NO_NUMBER = {
    "invalid": "The version is a whole number.",
    "min_value": "The version is a whole number.",
    "max_value": "The version is a whole number.",
}
_NO_DAY = {"invalid": "The day is written like 2026-12-01."}


class _Version(forms.IntegerField):
    """The version somebody saw; optional."""

    def __init__(self) -> None:
        super().__init__(required=False, min_value=0, max_value=2**31 - 1, error_messages=_NO_NUMBER)


class MoveForm(forms.Form):
    to = forms.TypedChoiceField(
        choices=[(stage.value, stage.label) for stage in STAGES], coerce=Stage, error_messages=_NO_STAGE
    )
    version = _Version()
    reason = forms.CharField(required=False, max_length=20_000)


class LeavePaidCallForm(forms.Form):
    version = _Version()
    reason = forms.CharField(required=False, max_length=20_000)


class UndoForm(forms.Form):
    transition = forms.IntegerField(
        min_value=1, max_value=2**63 - 1, error_messages={"required": "Say which move to undo."}
    )
    version = _Version()


class NoteForm(forms.Form):
    text = forms.CharField(max_length=20_000, error_messages={"required": "Write something first."})
    kind = forms.ChoiceField(choices=Note.Kind, required=False)
    product = forms.CharField(max_length=80, required=False)


class _Lines(forms.CharField):
    """A text of several lines, whose ends count once, as they do for the browser's own limit."""

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


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
    word = _Lines(
        required=False,
        max_length=LONGEST_WORD,
        error_messages={"max_length": f"Please shorten your words to {LONGEST_WORD:,} characters."},
    )


class TaskForm(forms.Form):
    title = forms.CharField(max_length=300, error_messages={"required": "Say what there is to do."})
    due_on = forms.DateField(error_messages={"required": "Say by which day.", **_NO_DAY})
    assignee = forms.ModelChoiceField(User.objects.none(), required=False)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["assignee"].queryset = User.objects.assignable()  # type: ignore[attr-defined]


class NoteEditForm(forms.Form):
    text = forms.CharField(max_length=20_000, error_messages={"required": "A note says something."})
    seen = forms.DateTimeField(required=False)


class LabelForm(forms.Form):
    name = forms.CharField(max_length=80, error_messages={"required": "Say which label."})


class _Several(forms.SelectMultiple):
    """Values given one by one, or as Undo sends them: with commas in between."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return [value for given in data.getlist(name) for value in given.split(",") if value]


class LabelsForm(forms.Form):
    labels = forms.ModelMultipleChoiceField(
        Label.objects.all(),
        required=False,
        widget=_Several,
        error_messages={
            "invalid_choice": "One of these labels is not there any more.",
            "invalid_pk_value": "One of these labels is not there any more.",
        },
    )
    seen = forms.DateTimeField(required=False)


class UnlabelForm(forms.Form):
    label = forms.ModelChoiceField(
        Label.objects.all(),
        error_messages={"required": "Say which label.", "invalid_choice": "There is no such label any more."},
    )


class RiskForm(forms.Form):
    payment_risk = forms.ChoiceField(choices=PaymentRisk, required=False)
    payment_risk_reason = forms.CharField(max_length=2000, required=False)
    seen = forms.DateTimeField(required=False)

    def clean(self) -> dict[str, object]:
        given = super().clean() or {}
        if given.get("payment_risk") and not given.get("payment_risk_reason"):
            raise forms.ValidationError("Say why the risk is what it is.")
        return given


class ExtensionForm(forms.Form):
    extended_until = forms.DateField(
        required=False, error_messages={"invalid": "The day is written like 2026-12-01."}
    )
    extended_reason = forms.CharField(max_length=2000, required=False)
    seen = forms.DateTimeField(required=False)

    def clean(self) -> dict[str, object]:
        given = super().clean() or {}
        if given.get("extended_until") and not given.get("extended_reason"):
            raise forms.ValidationError("Say why it is given more time.")
        return given | ({} if given.get("extended_until") else {"extended_reason": ""})


class HandPickForm(forms.Form):
    hand_picked = forms.CharField(max_length=300, required=False)
    seen = forms.DateTimeField(required=False)


class AssignForm(forms.Form):
    owner = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        error_messages={"invalid_choice": "An account can be given to a specialist, a lead or an admin."},
    )
    seen = forms.DateTimeField(required=False)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["owner"].queryset = User.objects.assignable()  # type: ignore[attr-defined]


class SnoozeForm(forms.Form):
    """``seen`` is the day it was snoozed to when somebody decided, empty for none."""

    until = forms.DateField(error_messages={"required": "Say until which day.", **_NO_DAY})
    seen = forms.DateField(required=False, error_messages=_NO_DAY)

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


class RenewalForm(forms.Form):
    next_renewal_on = forms.DateField(error_messages={"required": "Say which day it renews.", **_NO_DAY})
    seen = forms.DateTimeField(required=False)


class ContractForm(forms.Form):
    contract_renewal_on = forms.DateField(error_messages={"required": "Say which day it renews.", **_NO_DAY})
    seen = forms.DateTimeField(required=False)


class PickedForm(forms.Form):
    """Which alerts to change, ``most`` at once: ``ids`` parted by commas, or all that the page's filter shows."""

    ids = forms.CharField(required=False)
    all = forms.BooleanField(required=False)

    def __init__(self, *args: object, most: int) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.most = most

    def clean_ids(self) -> list[int]:
        return [_id(one) for one in self.cleaned_data["ids"].split(",") if one]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        ids = given.get("ids")
        if ids is not None and not ids and not given.get("all"):
            raise forms.ValidationError("Choose some alerts first.")
        if ids and len(ids) > self.most:
            raise forms.ValidationError(f"Choose {self.most} alerts at most.")
        return given


class ChosenForm(forms.Form):
    """Which accounts are meant: ``ids`` parted by commas, or all that the page's filters show."""

    ids = forms.CharField(required=False)
    all = forms.BooleanField(required=False)

    def clean_ids(self) -> list[int]:
        return list(dict.fromkeys(_id(one) for one in self.cleaned_data["ids"].split(",") if one))

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


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise forms.ValidationError("An id is a whole number.")
    return int(text)


class DayForm(forms.Form):
    """``seen`` is the day a task was due when somebody decided."""

    due_on = forms.DateField(error_messages={"required": "Say by which day.", **_NO_DAY})
    seen = forms.DateField(error_messages={"required": "Say by which day it was due.", **_NO_DAY})


class TaskEditForm(forms.Form):
    """``seen`` is what a task said when somebody began to write."""

    title = forms.CharField(max_length=300, error_messages={"required": "Say what there is to do."})
    remind_on = forms.DateField(required=False, error_messages=_NO_DAY)
    seen = forms.CharField(max_length=300, error_messages={"required": "Say what it said."})


class NextStepForm(forms.Form):
    step = forms.TypedChoiceField(
        choices=[(key, step.words) for key, step in NEXT_STEPS.items()],
        coerce=NEXT_STEPS.__getitem__,
        error_messages={"required": "Say which step.", "invalid_choice": "There is no step “%(value)s”."},
    )


class NoFacts(forms.Form):
    """A change that needs no more than its address."""


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
    starts_on = forms.DateField(error_messages={"required": "Say from which day.", **_NO_DAY})


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


class ClaimForm(forms.Form):
    """``over`` is the id of whoever was seen to be on it, ``off`` lets it go, ``quiet`` claims without a word."""

    over = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    off = forms.BooleanField(required=False)
    quiet = forms.BooleanField(required=False)


class PutOffForm(forms.Form):
    """``seen`` is the day an account was snoozed to when somebody decided; no day: have it back."""

    until = forms.DateField(required=False, error_messages=_NO_DAY)
    seen = forms.DateField(required=False, error_messages=_NO_DAY)

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
    text = _Lines(max_length=20_000, error_messages={"required": "Write something first."})
    way = forms.TypedChoiceField(
        choices=Outreach.By,
        coerce=Outreach.By,
        error_messages={"required": "Say how it is sent.", "invalid_choice": "Nothing is sent that way."},
    )
    closes = forms.BooleanField(required=False)
    key = forms.CharField(max_length=40, error_messages={"required": "The form has no key; open it anew."})
    version = _Version()
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


class TemplateForm(forms.Form):
    """A template's words; ``seen`` is when it was last changed, empty for the house's own."""

    subject = forms.CharField(max_length=300, error_messages={"required": "A mail has a subject."})
    body = _Lines(max_length=20_000, error_messages={"required": "A mail says something."})
    seen = forms.DateTimeField(required=False)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name in ("subject", "body"):
            if wrong := wrong_with(given.get(name, "")):
                self.add_error(name, wrong)
        return given


class LookedForm(forms.Form):
    until = forms.DateTimeField()


def sentence(form: forms.BaseForm) -> str:
    """The first thing that is wrong with a form."""
    return next(str(message) for messages in form.errors.values() for message in messages)


class SkipForm(forms.Form):
    playbook = forms.ChoiceField(
        choices=[(name, name) for name in PLAYBOOKS],
        error_messages={
            "required": "Say which playbook.",
            "invalid_choice": "There is no playbook “%(value)s”.",
        },
    )
