"""Mail: what customers answer, what specialists send with our log address in BCC, and what became of our own mail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, EventType
from django.conf import settings

from apps.crm.fields import YEARS, Unreadable
from apps.crm.fields import email as read_email
from apps.intake.doors import signatures
from apps.intake.doors.letters import MOST_RECIPIENTS, Letter, domain_of
from apps.intake.doors.mailers import MAILERS, Post
from apps.intake.doors.reading import at
from apps.intake.facts import Fact, Ignored
from apps.intake.mailed import Delivery, Inbound, Outbound
from apps.intake.matching import Who

INBOUND = "inbound"
_LONGEST_ID = 400


def _understood[T](read: Callable[[], T]) -> T:
    """What is read. Others' code raises whatever a stranger's letter leads it to: that is ``Unreadable``."""
    try:
        return read()
    except (Unreadable, Ignored):
        raise
    except Exception as error:
        raise Unreadable(f"It was not understood ({type(error).__name__}).") from error


def parse(raw: bytes) -> Post:
    """The post that a body holds. Raises ``Unreadable``."""
    return _understood(lambda: Post(raw))


def identify(mailer: str, headers: Mapping[str, str], post: Post) -> tuple[str, str]:
    """A letter by its Message-ID and whom it was handed to; what became of our mail by the service's own id."""
    return _understood(
        lambda: _letter_id(mailer, post) if _is_letter(mailer, post) else _news_id(mailer, post)
    )


def read(mailer: str, type: str, post: Post, now: datetime) -> list[Fact]:
    """The facts of one event. Raises ``Unreadable``, and ``Ignored`` where nothing follows."""
    return _understood(
        lambda: _letter(mailer, post, now) if _is_letter(mailer, post) else _news(mailer, post, now)
    )


def _is_letter(mailer: str, post: Post) -> bool:
    return MAILERS[mailer].is_letter(post)


def _letter_id(mailer: str, post: Post) -> tuple[str, str]:
    letter = MAILERS[mailer].letter(post)
    said = letter.first("message-id")
    if not said:
        # It has no name: what it says, without what the service adds at each try, stands for one.
        said = repr([letter.all(name) for name in ("from", "to", "cc", "date", "subject", "received")])
    name = f"{INBOUND}:{said}:{','.join(letter.envelope_to)}"
    if len(name) > _LONGEST_ID or not name.isprintable() or not letter.first("message-id"):
        name = f"{INBOUND}:sha256:{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()}"
    return name, INBOUND


def _news_id(mailer: str, post: Post) -> tuple[str, str]:
    news = MAILERS[mailer].told(post)
    types = ",".join(sorted({event.event_type for event in news}))[:120]
    named = len(news) == 1 and isinstance(news[0].event_id, str) and 0 < len(news[0].event_id) <= _LONGEST_ID
    if named and news[0].event_id.isprintable():
        return f"{types}:{news[0].event_id}", types
    return f"sha256:{hashlib.sha256(post.raw).hexdigest()}", types


def _letter(mailer: str, post: Post, now: datetime) -> list[Fact]:
    letter = MAILERS[mailer].letter(post)
    if letter.machine:
        raise Ignored(letter.machine)
    sender, written = letter.sender, letter.written_at(now)
    if not _is_logged(letter):
        return [Inbound(Who(email=sender), written)]
    if MAILERS[mailer].vouches(letter, post, domain_of(sender)) is False:
        raise Ignored(f"It says that it is from {sender}, and neither SPF nor DKIM says so.")
    if not 0 < len(letter.recipients) <= MOST_RECIPIENTS:
        raise Ignored(f"It names nobody in To and Cc, or more than {MOST_RECIPIENTS}: that is no outreach.")
    return [Outbound(letter.recipients, sender=sender, at=written, starts=not letter.is_answer)]


def _is_logged(letter: Letter) -> bool:
    """Whether it was handed to the log address, which is known by its envelope: a BCC leaves no other trace."""
    return bool(settings.MAIL_LOG_ADDRESS) and settings.MAIL_LOG_ADDRESS in letter.envelope_to


def _news(mailer: str, post: Post, now: datetime) -> list[Fact]:
    news = MAILERS[mailer].told(post)
    facts = [fact for event in news if (fact := _delivery(mailer, event, now))]
    if not facts:
        types = ", ".join(sorted({event.event_type for event in news})) or "nothing"
        raise Ignored(f"Nothing follows from “{types}”.")
    return facts


_WHAT: dict[str, Literal["bounced", "unsubscribed"]] = {
    EventType.BOUNCED: "bounced",
    EventType.COMPLAINED: "unsubscribed",
    EventType.UNSUBSCRIBED: "unsubscribed",
}


TYPES = (INBOUND, *_WHAT)


def _delivery(mailer: str, event: AnymailTrackingEvent, now: datetime) -> Fact | None:
    what = _WHAT.get(event.event_type)
    if what is None or (what == "bounced" and not MAILERS[mailer].hard(event.esp_event)):
        return None
    when, reference = _moment(event.timestamp, now), _our_reference(event.message_id)
    return Delivery(what, read_email(event.recipient or ""), when, reference)


def _moment(said: datetime | None, now: datetime) -> datetime:
    if said is None or said.year not in YEARS:
        return now
    return min(said if said.tzinfo else said.replace(tzinfo=UTC), now)


def _our_reference(message_id: Any) -> UUID | None:
    """The reference of a message of our outbox, where the id is one that we gave."""
    name, at_sign, _ = str(message_id or "").strip("<> ").partition("@")
    try:
        return UUID(name) if at_sign else None
    except ValueError:
        return None


def _mailgun_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Mailgun signs a time and a token beside the message, and not the message."""
    try:
        post = parse(body)
        signed = [
            post.form(name) if post.is_form else at(post.json, f"signature.{name}")
            for name in ("timestamp", "token", "signature")
        ]
    except Exception:
        return False
    if not all(isinstance(value, str) for value in signed):
        return False
    seconds, token, given = map(str, signed)
    return signatures.token(seconds, token, given, secrets, now)


VERIFY: dict[str, Callable[[Mapping[str, str], bytes, Sequence[str], datetime], bool]] = {
    "postmark": signatures.basic,
    "mailgun": _mailgun_signed,
    "mailjet": signatures.basic,
    "mailersend": partial(signatures.plain, "Signature"),
}
