"""A customer by mail: letters posted and applied, and what was heard of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from apps.crm.models import Account, Contact
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.models import Event
from tests import mail
from tests.factories import NOW, account, user

LATER = NOW + timedelta(hours=3)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def today(settings: Any) -> Iterator[None]:
    settings.MAIL_WEBHOOK_SECRETS = [mail.SECRET]
    settings.MAIL_LOG_ADDRESS = mail.LOG
    settings.DEFAULT_FROM_EMAIL = "Onramp <onboarding@onramp.example>"
    with time_machine.travel(LATER, tick=False):
        yield


def customer(stage: Stage = Stage.INITIATED, *emails: str, **fields: Any) -> Account:
    made = account(stage, **fields)
    for email in emails or ("zoe@acme.example",):
        Contact.objects.create(account=made, email=email)
    return made


def told(service: str, signed: mail.Signed) -> Event:
    """An event posted and applied."""
    answer = mail.post(service, signed)
    assert (answer.status_code, answer.json()) == (200, {"kept": True})
    drain.apply_due(now=LATER)
    found: Event = Event.objects.latest("pk")
    assert bytes(found.body) == signed[0]
    return found


def heard(of: Account) -> tuple[Any, ...]:
    """Where it stands and what was heard: nothing of it changes where a letter does not count."""
    of.refresh_from_db()
    return Stage(of.stage), of.last_outreach_at, of.last_reply_at, of.engaged_at, of.version


@pytest.fixture
def sam() -> Any:
    user("specialist", email="lee@onramp.example")
    return user("specialist", email="Sam@onramp.example")
