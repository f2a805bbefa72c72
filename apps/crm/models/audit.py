"""The audit of an account: what is looked at before it is called onboarded, and what was found to save."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.core.validators import MaxLengthValidator, MinValueValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Q

from apps.crm.models.user import User
from apps.crm.pipeline import Stage

# What every audit looks at, and what to look for there. A team adds points of its own to an account.
POINTS = {
    "Unused products": "Paid for and hardly used, such as Groups or Autocapture.",
    "Identity merging": "Anonymous and known people become one, and only where they should.",
    "Configuration that raises the bill": "Identified events, recordings and requests nobody asked for.",
    "Unnecessary spend": "What they could sample, filter or switch off.",
    "Billing limits": "A limit on each product, so that no bill is a surprise.",
    "Refund due": "A misconfiguration our refund policy covers.",
}
# The moves before which the audit is remembered. A reminder, never a guard.
REMINDED = (Stage.ONBOARDED_NO_ENGAGEMENT, Stage.ONBOARDED_ENGAGED)


class Audit(NamedTuple):
    """The points of one account, the usual ones first."""

    points: list[AuditPoint]

    @property
    def left(self) -> int:
        """How many points wait to be dealt with."""
        return sum(point.state == AuditPoint.State.OPEN for point in self.points)

    @property
    def saved(self) -> Decimal:
        return self._sum(AuditPoint.State.DONE)

    @property
    def found(self) -> Decimal:
        """What could be saved still."""
        return self._sum(AuditPoint.State.OPEN)

    @property
    def reminder(self) -> str:
        """What a move form says before 6a and 6b; empty where nothing is left to look at."""
        if not self.left:
            return ""
        return f"Before you close it: {self.still_open}"

    @property
    def still_open(self) -> str:
        """What is said once an account is in 6a or 6b; empty where nothing is left to look at."""
        return f"{self.left} of {len(self.points)} points of the audit are open." if self.left else ""

    def _sum(self, state: str) -> Decimal:
        return sum((point.saving or Decimal() for point in self.points if point.state == state), Decimal())


class AuditPointQuerySet(models.QuerySet["AuditPoint"]):
    def audit(self, account: Any) -> Audit:
        """The audit of an account, with the usual points that nobody looked at yet. One query."""
        looked_at = {point.what: point for point in self.filter(account=account).select_related("by")}
        usual = [looked_at.pop(what, None) or AuditPoint(account=account, what=what) for what in POINTS]
        return Audit([*usual, *looked_at.values()])

    def look_at(
        self,
        account: Any,
        what: str,
        *,
        state: str,
        saving: Decimal | None,
        by: User,
        now: datetime,
        seen: datetime | None,
    ) -> AuditPoint | None:
        """Say how a point stands; ``seen`` is the ``at`` the writer started from, None where there was none.

        None, and nothing changed, when somebody else has been at it since.
        """
        facts = {"state": state, "saving": saving, "by": by, "at": now}
        with transaction.atomic():
            account.lock()
            if seen is not None:
                changed = self.filter(account=account, what=what, at=seen).update(**facts)
            else:
                changed = self._first(account=account, what=what, **facts)
            if changed:
                account.touch()
        return self.get(account=account, what=what) if changed else None

    def _first(self, **facts: Any) -> bool:
        try:
            with transaction.atomic():
                self.create(**facts)
        except IntegrityError:
            return False
        return True


class AuditPoint(models.Model):
    """How one point of an account's audit stands, who said so, and what it saves a month by estimate."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DONE = "done", "Done"
        NOT_RELEVANT = "not_relevant", "Not relevant"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="audit_points", db_index=False)
    what = models.TextField(validators=[MaxLengthValidator(120)])
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    saving = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="+", db_index=False)
    at = models.DateTimeField()

    objects: ClassVar[Any] = AuditPointQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "what"], name="audit_point_once"),
            models.CheckConstraint(condition=Q(saving__isnull=True) | Q(saving__gte=0), name="audit_saves"),
        ]

    def __str__(self) -> str:
        return self.what

    @property
    def help(self) -> str:
        return POINTS.get(self.what, "")

    @property
    def says(self) -> str:
        """How it stands, in words: "Done, saves $40 a month"."""
        saves = f", saves ${self.saving:,.0f} a month" if self.saving else ""
        return f"{self.get_state_display()}{saves}"
