"""Short ways to make what a test talks about. Every stage is reached through the one writer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from apps.crm.models import Account, Call, Purchase, StageTransition, User
from apps.crm.pipeline import Stage

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TODAY = NOW.date()

_serial = count(1)


def user(role: str = "specialist", **fields: Any) -> User:
    """A colleague with one role."""
    number = next(_serial)
    fields.setdefault("username", f"{role}-{number}")
    fields.setdefault("email", f"{fields['username']}@onramp.example")
    person = User.objects.create_user(password="secret-secret", **fields)
    person.groups.add(Group.objects.get_or_create(name=role)[0])
    return person


def account(stage: Stage | str = Stage.OUTSIDE, *, since: datetime = NOW, **fields: Any) -> Account:
    """An account at a stage, placed there as an import's first load would, with any other facts."""
    number = next(_serial)
    fields.setdefault("external_id", f"acc-{number}")
    fields.setdefault("name", f"Account {number}")
    fields.setdefault("next_renewal_on", TODAY + timedelta(days=30))
    made = Account.objects.create(**fields)
    if stage:
        with transaction.atomic():
            Account.objects.all().first_load({made.pk: (Stage(stage), since)}, by=None, now=max(since, NOW))
        made.refresh_from_db()
    return made


def with_facts(
    stage: Stage,
    *,
    engaged: bool = False,
    intro_call: bool = False,
    before_paid_call: Stage = Stage.OUTSIDE,
) -> Account:
    """An account whose guards answer as asked, whatever its stage would make likely."""
    made = account(stage)
    Account.objects.filter(pk=made.pk).update(
        engaged_at=NOW - timedelta(days=20) if engaged else None,
        engaged_via="email" if engaged else "",
        intro_call_completed_at=NOW - timedelta(days=10) if intro_call else None,
        stage_before_paid_call=before_paid_call,
    )
    made.refresh_from_db()
    return made


def call(of: Account, kind: str = "intro", *, starts_at: datetime | None = None, **fields: Any) -> Call:
    """A call of half an hour, over since an hour unless said otherwise."""
    starts_at = starts_at or NOW - timedelta(hours=1, minutes=30)
    fields.setdefault("external_id", f"call-{next(_serial)}")
    fields.setdefault("ends_at", starts_at + timedelta(minutes=30))
    return Call.objects.create(account=of, kind=kind, starts_at=starts_at, **fields)


def purchase(of: Account, *, bought_at: datetime, **fields: Any) -> Purchase:
    """A paid call that was bought."""
    fields.setdefault("external_id", f"order-{next(_serial)}")
    fields.setdefault("amount", 200)
    return Purchase.objects.create(account=of, bought_at=bought_at, **fields)


def days(number: int) -> timedelta:
    return timedelta(days=number)


def in_days(number: int) -> date:
    """A day counted from the tests' today."""
    return TODAY + timedelta(days=number)


def snapshot(of: Account) -> dict[str, Any]:
    """Everything that a refused move must leave as it was."""
    return {
        **Account.objects.values().get(pk=of.pk),
        "ledger": list(StageTransition.objects.filter(account=of).values()),
        "tasks": list(of.tasks.values()),
        "alerts": list(of.alerts.values()),
    }
