from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import Q

from apps.crm.letters import LETTERS
from apps.crm.models.moving import Conflict, MoveError
from apps.crm.models.transition import StageTransition
from apps.crm.models.user import User
from apps.crm.models.waiting import first_outreach_due_on
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers


class Overtaken(Conflict):
    """Somebody else wrote while somebody was writing."""

    code = "overtaken"


class OutreachQuerySet(models.QuerySet["Outreach"]):
    def standing(self) -> OutreachQuerySet:
        """Those that nobody took back."""
        return self.filter(withdrawn_at=None)


class Outreach(models.Model):
    """A mail that somebody of the team wrote to people at an account, kept with its text."""

    class By(models.TextChoices):
        ONRAMP = "onramp", "through Onramp"
        OWN = "own", "in their own mail program"

    key = models.CharField(max_length=80, unique=True, help_text="What makes a second click the same mail.")
    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="outreaches", db_index=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="+", db_index=False)
    at = models.DateTimeField()
    template = models.CharField(
        max_length=24, blank=True, choices=[(kind, letter.label) for kind, letter in LETTERS.items()]
    )
    way = models.CharField(max_length=8, choices=By)
    to = models.TextField(help_text="The addresses, with commas in between.")
    subject = models.TextField(validators=[MaxLengthValidator(300)])
    text = models.TextField(validators=[MaxLengthValidator(20_000)])
    before = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The account’s last outreach until then."
    )
    withdrawn_at = models.DateTimeField(
        null=True, blank=True, help_text="When its writer took it back, before any of it left."
    )

    objects: ClassVar[Any] = OutreachQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "outreaches"
        indexes = [models.Index(fields=["account", "-at"], name="outreach_of_account")]

    def __str__(self) -> str:
        return self.subject

    @property
    def addresses(self) -> list[str]:
        return self.to.split(", ")


class Reachable(models.Model):
    """An account as far as writing to it goes."""

    class Meta:
        abstract = True

    def write_down(
        self: Any,
        outreach: Outreach,
        *,
        cause: str,
        closes: bool = False,
        version: int | None = None,
        after: int | None = None,
    ) -> tuple[bool, StageTransition | None]:
        """Keep that somebody wrote: it is the account's last outreach, and takes it from 1 to 2.

        ``closes`` says that it was the final one: the account goes on to 6a or 6b. ``after`` is the id of the last one
        the writer knew of, 0 for none. Returns whether it is new, and the move it made. Raises as ``move`` does, and
        ``Overtaken`` where there is a newer one; then nothing is kept.
        """
        with transaction.atomic():
            here = self._locked()
            if Outreach.objects.filter(key=outreach.key).exists():
                return False, None
            newer = (
                self.outreaches.standing().filter(pk__gt=after).select_related("by").first()
                if after is not None
                else None
            )
            if newer is not None:
                raise Overtaken(f"{newer.by} wrote to them meanwhile. Read that first; nothing was sent.")
            outreach.before = here.last_outreach_at
            outreach.save(force_insert=True)
            self.heard("last_outreach_at", outreach.at)
            self.let_go(by=outreach.by)
            to = _goes_to(here, closes)
            if to is None:
                return True, None
            seen = version if closes else None
            return True, self.move(to, by=outreach.by, now=outreach.at, cause=cause, version=seen)

    def outreach_due_on(self: Any, numbers: Numbers) -> date | None:
        """The day the first outreach is due; None once written to."""
        if self.stage != Stage.NEW or self.entered_at is None:
            return None
        return first_outreach_due_on(self.entered_at, self.renewal_on, numbers)

    def heard(self: Any, what: str, at: datetime) -> None:
        """Bring ``last_outreach_at`` or ``last_reply_at`` forward to ``at``; it never goes back.

        A new reply ends a snooze.
        """
        news = Q(**{f"{what}__isnull": True}) | Q(**{f"{what}__lt": at})
        wakes = {"snoozed_until": None} if what == "last_reply_at" else {}
        said: dict[str, Any] = {what: at, **wakes}
        if type(self)._base_manager.filter(news, pk=self.pk).update(**said):
            self.__dict__.update(said)
        else:
            self.refresh_from_db(fields=[*said])

    def unwrite(self: Any, outreach: Outreach, *, by: User, now: datetime) -> str:
        """Note that a mail was taken back before it left: it was no outreach, and the move it made is undone.

        Returns why the move stands all the same; empty where it does not, or where there was none.
        """
        with transaction.atomic():
            self.lock()
            Outreach.objects.filter(pk=outreach.pk).update(withdrawn_at=now)
            last = type(self).objects.filter(pk=self.pk, last_outreach_at=outreach.at)
            last.update(last_outreach_at=outreach.before)
            moved = self.transitions.filter(at=outreach.at, by=outreach.by).first()
            try:
                if moved:
                    self.undo(by=by, now=now, transition_id=moved.pk)
            except MoveError as error:
                return error.sentence
            finally:
                self.refresh_from_db()
        return ""

    def last_of_others(self: Any, me: User, numbers: Numbers) -> Outreach | None:
        """The last mail another colleague wrote to them, unless it is too long ago to matter."""
        since = numbers.now - timedelta(days=numbers.written_days)
        found: Outreach | None = (
            self.outreaches.standing().filter(at__gt=since).exclude(by=me).select_related("by").first()
        )
        return found


def _goes_to(here: Any, closes: bool) -> Stage | None:
    if closes:
        return Stage.ONBOARDED_ENGAGED if here.engaged_at else Stage.ONBOARDED_NO_ENGAGEMENT
    return Stage.INITIATED if here.stage == Stage.NEW else None
