from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Error, register

from apps.outbox.wire import refusal


def slack_address(**_: Any) -> list[Error]:
    """An address that we would refuse to send to is told at the start, and not by the first message."""
    wrong = refusal(settings.SLACK_WEBHOOK_URL) if settings.SLACK_WEBHOOK_URL else ""
    return [Error(f"SLACK_WEBHOOK_URL {wrong}.", id="outbox.E001")] if wrong else []


class OutboxConfig(AppConfig):
    name = "apps.outbox"
    label = "outbox"
    verbose_name = "Outbox"

    def ready(self) -> None:
        register(slack_address)
