from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Q

from apps.crm.letters import LETTERS, wrong_with
from apps.crm.models.user import User


class TemplateQuerySet(models.QuerySet["Template"]):
    def of(self, kind: str) -> Template:
        """The template of a kind: the team's own, or else the house's, not kept yet."""
        return self.filter(kind=kind).first() or Template.as_brought(kind)

    def every(self) -> list[Template]:
        """One of each kind, in their order. One query."""
        ours = {template.kind: template for template in self.select_related("changed_by")}
        return [ours.get(kind) or Template.as_brought(kind) for kind in LETTERS]


class Template(models.Model):
    """What the team writes on an occasion, with fields. A kind without a row goes by the words of ``LETTERS``."""

    kind = models.CharField(
        max_length=24, unique=True, choices=[(kind, letter.label) for kind, letter in LETTERS.items()]
    )
    subject = models.TextField(validators=[MaxLengthValidator(300)])
    body = models.TextField(validators=[MaxLengthValidator(20_000)])
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", editable=False
    )

    objects: ClassVar[Any] = TemplateQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.CheckConstraint(condition=Q(kind__in=[*LETTERS]), name="template_kind_known")]

    def __str__(self) -> str:
        return self.get_kind_display()

    @classmethod
    def as_brought(cls, kind: str) -> Template:
        """The house's own template of a kind."""
        return cls(kind=kind, subject=LETTERS[kind].subject, body=LETTERS[kind].body)

    def clean(self) -> None:
        for name in ("subject", "body"):
            if wrong := wrong_with(getattr(self, name)):
                raise ValidationError({name: wrong})

    def reword(self, *, by: User, now: datetime, seen: datetime | None, subject: str, body: str) -> bool:
        """Say it in other words; ``seen`` is the ``changed_at`` the writer started from, None for the house's own.

        False, and nothing changed, when somebody else has changed it since.
        """
        words = {"subject": subject, "body": body, "changed_at": now, "changed_by": by}
        if seen is not None:
            return bool(Template.objects.filter(kind=self.kind, changed_at=seen).update(**words))
        try:
            with transaction.atomic():
                Template.objects.create(kind=self.kind, **words)
        except IntegrityError:
            return False
        return True

    def restore(self, *, seen: datetime | None) -> bool:
        """Go back to the house's words; False when somebody has changed it since ``seen``."""
        return bool(Template.objects.filter(kind=self.kind, changed_at=seen).delete()[0])
