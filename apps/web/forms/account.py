"""What is typed on an account: moves, notes, tasks, and facts edited in place."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.crm.models import Label, Note, User
from apps.crm.models.account import PaymentRisk
from apps.crm.pipeline import STAGES, Stage
from apps.web.forms.base import Day, Version

_NO_STAGE = {"required": "Say which stage to move it to.", "invalid_choice": "There is no stage “%(value)s”."}


class MoveForm(forms.Form):
    to = forms.TypedChoiceField(
        choices=[(stage.value, stage.label) for stage in STAGES], coerce=Stage, error_messages=_NO_STAGE
    )
    version = Version()
    reason = forms.CharField(required=False, max_length=20_000)


class LeavePaidCallForm(forms.Form):
    version = Version()
    reason = forms.CharField(required=False, max_length=20_000)


class UndoForm(forms.Form):
    transition = forms.IntegerField(
        min_value=1, max_value=2**63 - 1, error_messages={"required": "Say which move to undo."}
    )
    version = Version()


class NoteForm(forms.Form):
    text = forms.CharField(max_length=20_000, error_messages={"required": "Write something first."})
    kind = forms.ChoiceField(choices=Note.Kind, required=False)
    product = forms.CharField(max_length=80, required=False)


class TaskForm(forms.Form):
    title = forms.CharField(max_length=300, error_messages={"required": "Say what there is to do."})
    due_on = Day("Say by which day.")
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
    extended_until = Day()
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


class RenewalForm(forms.Form):
    next_renewal_on = Day("Say which day it renews.")
    seen = forms.DateTimeField(required=False)


class ContractForm(forms.Form):
    contract_renewal_on = Day("Say which day it renews.")
    seen = forms.DateTimeField(required=False)
