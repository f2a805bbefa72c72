"""Slack, by an incoming webhook."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from apps.outbox.models import Message
from apps.outbox.wire import Answer, Blame, NotSent, post

SECONDS = 10
# Slack refuses a block whose text is longer than 3,000 characters, escapes included.
MOST_SHOWN = 2_000
BUSY = 429
LONGEST_BUSY = 3_600

# What an answer other than 2xx says; whatever is not here is Slack's own trouble, a redirect among it.
BLAMES = {
    400: Blame.MESSAGE,
    413: Blame.MESSAGE,
    401: Blame.CHANNEL_FOR_GOOD,
    403: Blame.CHANNEL_FOR_GOOD,
    404: Blame.CHANNEL_FOR_GOOD,
    410: Blame.CHANNEL_FOR_GOOD,
    BUSY: Blame.CHANNEL_BUSY,
}


def escaped(text: str) -> str:
    """Text that Slack shows as it is: no mention, no link, no channel can be written with it."""
    short = text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(message: Message) -> dict[str, Any]:
    """What is posted. The only link in it is ours, to the account."""
    subject, address = escaped(message.subject[:200]), f"{settings.BASE_URL}/accounts/{message.account_id}/"
    head = f"*<{address}|{subject}>*" if message.account_id else f"*{subject}*"
    told = [{"type": "section", "text": {"type": "mrkdwn", "text": head, "verbatim": True}}]
    if message.text:
        body = {"type": "plain_text", "text": escaped(message.text), "emoji": False}
        told.append({"type": "section", "text": body})
    reference = {"type": "plain_text", "text": f"Reference {message.reference}", "emoji": False}
    return {
        "text": subject,
        "blocks": [*told, {"type": "context", "elements": [reference]}],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def send(message: Message) -> None:
    """Post it. Raises ``NotSent``."""
    answer = post(
        settings.SLACK_WEBHOOK_URL,
        json.dumps(payload(message)).encode(),
        {"Content-Type": "application/json", "User-Agent": "onramp", "X-Reference": str(message.reference)},
        seconds=SECONDS,
    )
    if not 200 <= answer.status < 300:
        said = f"Slack answered {answer.status}{f' ({answer.text[:80]})' if answer.text else ''}."
        raise NotSent(said, BLAMES.get(answer.status, Blame.CHANNEL), _asked_to_wait(answer))


def _asked_to_wait(answer: Answer) -> int:
    """The seconds of Retry-After; a date, or what cannot be read, is a minute."""
    asked = answer.headers.get("Retry-After", "1")
    return min(int(asked), LONGEST_BUSY) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 60
