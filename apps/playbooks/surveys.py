"""What the playbooks know of satisfaction: whom to ask how the onboarding was, and which answers want a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, Subquery, TextField, Value
from django.db.models.functions import Cast, Concat, Least
from django.urls import reverse

from apps.crm.days import away
from apps.crm.models import Account, Alert, Contact, StageTransition, Survey
from apps.crm.models.survey import HIGHEST, LOWEST
from apps.crm.pipeline import ONBOARDED, Stage
from apps.crm.policy import Numbers
from apps.outbox.mail import written
from apps.outbox.models import Message
from apps.playbooks.then import Batch, Row, cause_gone

_LOW = "low-score"
LOW_IS_NEWS_DAYS = 30

# A late reply from 6a to 6b is the same closing, and so is where an undone move leads back to.
_CLOSINGS = (
    StageTransition.objects.filter(account=OuterRef("pk"), to_stage__in=ONBOARDED)
    .exclude(from_stage__in=ONBOARDED)
    .exclude(cause__startswith="undo:")
    .order_by("-version")
)


def to_ask(numbers: Numbers) -> Any:
    """Onboarded accounts, closed some days ago and not too long, with somebody whom mail may reach.

    A closing that can still be undone is left alone. To leave a paid call is to come back to a closing that was
    asked about before.
    """
    since = numbers.start_of(numbers.today - timedelta(days=numbers.survey_within_days))
    until = Least(
        Value(numbers.end_of(numbers.today - timedelta(days=numbers.survey_after_days))),
        Value(numbers.now - timedelta(minutes=numbers.undo_minutes)),
    )
    asked = Survey.objects.filter(account=OuterRef("pk"))
    contacts = Contact.objects.filter(account=OuterRef("pk")).mailable().ranked()
    # They came to their stage with the closing or after it: whom we asked since then need not be looked at closely.
    recent = Account.objects.filter(stage__in=ONBOARDED, stage_since__gte=since).order_by()
    recent = recent.exclude(Exists(asked.filter(asked_at__gte=OuterRef("stage_since"))))
    return (
        Account.objects.filter(stage__in=ONBOARDED, pk__in=recent.values("pk"))
        .annotate(
            closing_pk=Subquery(_CLOSINGS.values("pk")[:1]),
            closed_at=Subquery(_CLOSINGS.values("at")[:1]),
            contact_pk=Subquery(contacts.values("pk")[:1]),
        )
        .alias(closed_from=Subquery(_CLOSINGS.values("from_stage")[:1]))
        .filter(closed_at__gte=since, closed_at__lt=until, contact_pk__isnull=False)
        .exclude(Exists(asked.filter(asked_at__gte=OuterRef("closed_at"))))
        .exclude(Q(closed_from=Stage.PAID_CALL) & Exists(asked))
    )


def why_ask(row: Row, numbers: Numbers) -> str:
    day = numbers.day_of(row.closed_at)
    return f"Closed as {Stage(row.stage).number} on {day}, {away(day, numbers.today)}"


@dataclass(frozen=True)
class Ask:
    """Ask one person of each account in an automatic mail, by a link of its own to answer at."""

    to: Stage | None = None
    says: str = "asks one person of the account by mail, if the send guards let it pass"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        now = batch.numbers.now
        people = Contact.objects.in_bulk([row.contact_pk for row in batch.rows])
        surveys = [
            Survey(account_id=row.pk, closing_id=row.closing_pk, contact=people[row.contact_pk], asked_at=now)
            for row in batch.rows
        ]
        Survey.objects.bulk_create(surveys)
        Message.objects.write(
            _invitation(batch, row, survey) for row, survey in zip(batch.rows, surveys, strict=True)
        )
        return {}


def _invitation(batch: Batch, row: Row, survey: Survey) -> Message:
    contact = survey.contact
    assert contact is not None
    address = settings.BASE_URL + reverse("web:survey", args=[survey.token])
    words = written(
        "survey",
        to=contact.email,
        title="How was your onboarding?",
        name=contact.name,
        link=address,
        scores=range(LOWEST, HIGHEST + 1),
        days=batch.numbers.survey_open_days,
        automatic=True,
    )
    return Message.mail(
        f"playbook:{batch.playbook}:{row.pk}:{row.occasion}",
        to=contact.email,
        kind=batch.playbook,
        subject="How was your onboarding?",
        now=batch.numbers.now,
        account_id=row.pk,
        automatic=True,
        **words,
    )


def scored_low(numbers: Numbers) -> Any:
    """Accounts with a low answer of late; one row a survey, which an answer that is changed makes anew."""
    since = numbers.start_of(numbers.today - timedelta(days=LOW_IS_NEWS_DAYS))
    low = FilteredRelation(
        "surveys", condition=Q(surveys__score__lte=numbers.survey_low_score, surveys__changed_at__gte=since)
    )
    return (
        Account.objects.alias(survey=low)
        .filter(survey__isnull=False)
        .annotate(
            answer=Concat(
                Cast("survey__pk", TextField()),
                Value("-"),
                Cast("survey__answers", TextField()),
                output_field=TextField(),
            ),
            score=F("survey__score"),
            word=F("survey__word"),
            said_at=F("survey__changed_at"),
        )
    )


def why_low(row: Row, numbers: Numbers) -> str:
    day = numbers.day_of(row.said_at)
    return f"Scored {row.score} of {HIGHEST} on {day}, {away(day, numbers.today)}"


def low_text(row: Row, numbers: Numbers) -> str:
    said = f": “{row.word}”" if row.word else "."
    return f"They gave the onboarding {row.score} of {HIGHEST}{said} Ask them what went wrong."


def _do_not_stand(numbers: Numbers) -> Any:
    standing = Survey.objects.filter(
        score__lte=numbers.survey_low_score, account=OuterRef("account")
    ).annotate(
        subject=Concat(
            Value("survey:"),
            Cast("pk", TextField()),
            Value("-"),
            Cast("answers", TextField()),
            output_field=TextField(),
        )
    )
    return (
        Alert.objects.open().filter(kind=_LOW).exclude(Exists(standing.filter(subject=OuterRef("subject"))))
    )


TAKEN_BACK = cause_gone(_do_not_stand, "The answer was changed, or does not count as low any more.")
