"""A letter as it came in: who wrote it, to whom, and whether a person did.

Headers are read as they stand and by hand: the standard library's newer reader of addresses takes a minute for some
that a stranger can send, and anybody may write to us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parseaddr, parsedate_to_datetime

from django.conf import settings

from apps.crm.fields import YEARS, Unreadable
from apps.crm.fields import email as read_email

# Whoever writes to more than these at once sends a mailing.
MOST_RECIPIENTS = 100
_LONGEST_SUBJECT = 1000
_CALENDARS = ("text/calendar", "application/ics")
_REPORTS = ("multipart/report", "message/delivery-status", "message/disposition-notification")

# What a machine or a calendar writes in a subject. It is no reply of a person.
_AUTOMATIC = re.compile(
    r"\s*(re:\s*)?((automatic reply|auto[- ]?reply|autoreply|out of (the )?office|abwesenheit|undeliverable"
    r"|undelivered mail|delivery status notification|mail delivery)\b"
    r"|(accepted|declined|tentative|tentatively accepted)\s*:)",
    re.IGNORECASE,
)
_MACHINES = ("mailer-daemon@", "postmaster@", "no-reply@", "noreply@")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_ANGLED = re.compile(r"(.*)<([^<>]*)>\s*", re.DOTALL)


def of_a_machine(sender: str, subject: str) -> bool:
    """Whether sender or subject are those of a machine or a calendar."""
    return sender.startswith(_MACHINES) or bool(_AUTOMATIC.match(subject))


def aligned(domain: str, other: str) -> bool:
    """Whether two domains are one, or one is a part of the other."""
    return domain == other or domain.endswith(f".{other}") or other.endswith(f".{domain}")


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _unfolded(value: object) -> str:
    return "".join(str(value).splitlines()).strip()


@dataclass(frozen=True)
class Part:
    """What hangs on a letter: its kind, as its own header says it, and what it holds."""

    kind: str
    content: bytes

    @property
    def plain_kind(self) -> str:
        return self.kind.partition(";")[0].strip().lower()

    @property
    def answers_an_invitation(self) -> bool:
        if self.plain_kind not in _CALENDARS:
            return False
        return "method=reply" in self.kind.lower().replace('"', "") or b"METHOD:REPLY" in self.content.upper()


@dataclass(frozen=True)
class Letter:
    """``headers`` in their order, unfolded, with names in lower case. An envelope not told of is None, or empty."""

    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...] = ()
    envelope_from: str | None = None
    envelope_to: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        headers: Iterable[tuple[object, object]],
        parts: Iterable[Part] = (),
        envelope_from: str | None = None,
        envelope_to: Iterable[str] = (),
    ) -> Letter:
        return cls(
            tuple((str(name).lower(), _unfolded(value)) for name, value in headers),
            tuple(parts),
            None if envelope_from is None else envelope_from.strip("<> "),
            tuple(parseaddr(address)[1].lower() for address in envelope_to),
        )

    @classmethod
    def of_mime(cls, raw: bytes, envelope_from: str | None, envelope_to: Iterable[str]) -> Letter:
        message = BytesParser(policy=policy.compat32).parsebytes(raw)
        parts = [
            Part(_unfolded(part.get("Content-Type", "")), _content(part))
            for part in message.walk()
            if part is not message
        ]
        return cls.of(message.raw_items(), parts, envelope_from, envelope_to)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def sender(self) -> str:
        """Whom it says it is from. Raises ``Unreadable`` unless it is one address, and plainly so."""
        named = self.all("from")
        try:
            if len(named) != 1:
                raise Unreadable("")
            angled = _ANGLED.fullmatch(named[0])
            found = read_email(angled[2] if angled else named[0])
        except Unreadable:
            raise Unreadable("“From” is not one e-mail address.") from None
        if angled and "@" in _QUOTED.sub("", angled[1]).lower().replace(found, ""):
            raise Unreadable("“From” names more than one e-mail address.")
        return found

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it is to and copied to, each once; of a mailing, no more than tell that it is one."""
        given = getaddresses([*self.all("to"), *self.all("cc")])[: MOST_RECIPIENTS + 1]
        return tuple(dict.fromkeys(filter(None, (_address(address) for _, address in given))))

    @property
    def subject(self) -> str:
        written = self.first("subject")[:_LONGEST_SUBJECT]
        try:
            return str(make_header(decode_header(written)))
        except (LookupError, ValueError):
            return written

    @property
    def is_answer(self) -> bool:
        return bool(self.first("in-reply-to") or self.first("references"))

    def written_at(self, received: datetime) -> datetime:
        """When it says it was written; when it came where it says nothing, or a time to come."""
        try:
            said = parsedate_to_datetime(self.first("date"))
            said = said if said.tzinfo else said.replace(tzinfo=UTC)
            return min(said, received) if said.year in YEARS else received
        except (ValueError, TypeError, OverflowError):
            return received

    @property
    def machine(self) -> str:
        """Why it was no person who wrote it, in a sentence; empty where a person may have."""
        return next((sentence for is_so, sentence in _SIGNS if is_so(self)), "")

    @property
    def _through_our_list(self) -> bool:
        """Whether it came by a group of our own, whose members a customer writes to by one address."""
        name = self.first("list-id").rpartition("<")[2].strip("<> ").lower()
        ours = {domain_of(settings.MAIL_LOG_ADDRESS), domain_of(parseaddr(settings.DEFAULT_FROM_EMAIL)[1])}
        return any(domain and aligned(name, domain) for domain in ours | {*settings.OIDC_ALLOWED_DOMAINS})


def _content(part: Message) -> bytes:
    held = part.get_payload(decode=True)
    return held if isinstance(held, bytes) else b""


def _address(written: str) -> str:
    try:
        return read_email(written)
    except Unreadable:
        return ""


def _says_automatic(letter: Letter) -> bool:
    return letter.first("auto-submitted").partition(";")[0].strip().lower() not in ("", "no")


def _came_back(letter: Letter) -> bool:
    null = letter.envelope_from is not None and not letter.envelope_from
    return null or letter.first("return-path").replace(" ", "") == "<>"


def _is_report(letter: Letter) -> bool:
    kinds = [letter.first("content-type").partition(";")[0].strip().lower()]
    return not {*kinds, *(part.plain_kind for part in letter.parts)}.isdisjoint(_REPORTS)


def _is_bulk(letter: Letter) -> bool:
    said = letter.first("precedence").lower()
    return said in ("bulk", "junk", "auto_reply") or (said == "list" and not letter._through_our_list)


def _suppresses(letter: Letter) -> bool:
    return letter.first("x-auto-response-suppress").lower() not in ("", "none")


def _is_of_a_list(letter: Letter) -> bool:
    listed = letter.first("list-id") or letter.first("list-unsubscribe")
    return bool(listed) and not letter._through_our_list


def _autoresponds(letter: Letter) -> bool:
    return any(letter.first(name) for name in ("x-autoreply", "x-autorespond", "x-autoresponder"))


def _reads_automatic(letter: Letter) -> bool:
    sender = _ANGLED.fullmatch(letter.first("from"))
    return of_a_machine((sender[2] if sender else letter.first("from")).strip().lower(), letter.subject)


# The first that is so says why a letter is no reply.
_SIGNS: tuple[tuple[Callable[[Letter], bool], str], ...] = (
    (_came_back, "It is a bounce: nobody is named whom it could be answered to."),
    (_is_report, "It is a report of a mail server."),
    (
        lambda letter: (
            any(part.answers_an_invitation for part in letter.parts)
            or Part(letter.first("content-type"), b"").answers_an_invitation
        ),
        "A calendar answered an invitation.",
    ),
    (_says_automatic, "It says of itself that a machine wrote it (Auto-Submitted)."),
    (_suppresses, "It says of itself that a machine wrote it (X-Auto-Response-Suppress)."),
    (_autoresponds, "It says of itself that it is an automatic reply."),
    (_is_bulk, "It says of itself that it is no personal letter (Precedence)."),
    (_is_of_a_list, "It came by a mailing list."),
    (_reads_automatic, "Its sender or its subject is that of a machine."),
)
