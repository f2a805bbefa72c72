"""Mail, by SMTP, in HTML and in text."""

from __future__ import annotations

import smtplib
from contextlib import suppress
from email.utils import formataddr, parseaddr
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives, mailers
from django.template.loader import render_to_string
from django.urls import reverse

from apps.outbox.inert import inert
from apps.outbox.models import Message
from apps.outbox.wire import Blame, NotSent

_UNSUBSCRIBE = signing.Signer(salt="unsubscribe")


def unsubscribe_url(address: str) -> str:
    """Where whoever has this mail address asks for no more automatic mail."""
    return settings.BASE_URL + reverse("web:unsubscribe", args=[_UNSUBSCRIBE.sign_object(address.lower())])


def address_of(token: str) -> str:
    """The mail address that such a link was made for. Raises ``signing.BadSignature``."""
    return str(_UNSUBSCRIBE.unsign_object(token))


def written(template: str, *, to: str, **context: Any) -> dict[str, str]:
    """The ``text`` and ``html`` of a mail, from templates/mail/TEMPLATE.txt and .html."""
    known = {"base_url": settings.BASE_URL, "unsubscribe": unsubscribe_url(to), **context}
    return {
        kind: inert(render_to_string(f"mail/{template}.{suffix}", known))
        for kind, suffix in (("text", "txt"), ("html", "html"))
    }


def headers(message: Message) -> dict[str, str]:
    """What makes a repeat known as one, keeps out-of-office answers away, and lets a customer end it."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    given = {"Message-ID": f"<{message.reference}@{domain}>"}
    if message.outreach is None:
        given["Auto-Submitted"] = "auto-generated"
    if message.automatic:
        given["List-Unsubscribe"] = f"<{unsubscribe_url(message.to)}>"
        given["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return given


def sender(message: Message) -> dict[str, Any]:
    """Whom a mail is from: what a colleague wrote is theirs, and answers to it are.

    From stays the house's own address unless theirs is of the same domain: for others our server may not speak.
    """
    if message.outreach is None:
        return {}
    by, (_, ours) = message.outreach.by, parseaddr(settings.DEFAULT_FROM_EMAIL)
    same = by.email.rpartition("@")[2].lower() == ours.rpartition("@")[2].lower()
    return {
        "from_email": formataddr((str(by), by.email if same else ours)),
        "reply_to": [formataddr((str(by), by.email))] if by.email else [],
    }


def send(message: Message) -> None:
    """Hand it to the mail server. Raises ``NotSent``."""
    mail = EmailMultiAlternatives(
        message.subject, message.text, to=[message.to], headers=headers(message), **sender(message)
    )
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    server = mailers["default"]
    try:
        server.send_messages([mail])
    except smtplib.SMTPAuthenticationError as error:
        # A server that cannot ask its own list of passwords says so with a 4xx.
        dead = error.smtp_code >= 500
        blame = Blame.CHANNEL_FOR_GOOD if dead else Blame.CHANNEL
        raise NotSent(f"The mail server refused our login ({error.smtp_code}).", blame) from error
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise NotSent(
            f"The mail server refused {message.to}: {_words(code, said)}", _of_address(code)
        ) from error
    except smtplib.SMTPDataError as error:
        refused = _words(error.smtp_code, error.smtp_error)
        raise NotSent(f"The mail server refused the mail: {refused}", Blame.MESSAGE) from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"The mail server did not take it: {str(error)[:200]}", Blame.CHANNEL) from error
    finally:
        # After a login in vain it would stay open.
        with suppress(smtplib.SMTPException, OSError):
            server.close()


def _of_address(code: int) -> Blame:
    return Blame.MESSAGE_FOR_GOOD if code >= 500 else Blame.MESSAGE


def _words(code: int, said: bytes | str) -> str:
    return f"{code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"[:200]
