"""What the team writes to customers: the templates as the house brings them, their fields, and what \
fills these in.

A field that has no value, and one that only the writer knows, stands in the text as a gap such as \
“[booking link?]”.
A text with a gap in it is never sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers


@dataclass(frozen=True)
class Writing:
    """Who writes (a user) to whom (contacts) about which account, and when. The models know us, not we them."""

    account: Any
    to: Sequence[Any]
    me: Any
    numbers: Numbers


class Field(NamedTuple):
    """What stands for a fact in a template: what its gap is called, what it says, and how it is read."""

    gap: str
    says: str
    read: Callable[[Writing], str]


def _day(when: date | None, today: date) -> str:
    if when is None:
        return ""
    return f"{when.day} {when:%B}" if when.year == today.year else f"{when.day} {when:%B %Y}"


def _dollars(amount: Decimal | None) -> str:
    return "" if amount is None else f"${amount:,.0f}"


def names_of(contacts: Sequence[Any]) -> str:
    """The first names of these people as a greeting says them; empty where one of them is not known."""
    names = [contact.name.split()[0] if contact.name.split() else "" for contact in contacts]
    if not all(names):
        return ""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _failed_bill(it: Writing) -> str:
    failed = it.account.bills.filter(status="open", attempts__gt=0).order_by("-period_start", "-pk").first()
    return _dollars(failed.amount) if failed else ""


def _next_bill(it: Writing) -> str:
    ahead = it.account.bills.filter(status__in=("upcoming", "draft", "open"))
    found = ahead.order_by("-period_start", "-pk").first()
    return _dollars(found.amount if found else it.account.forecast)


def _missed_call(it: Writing) -> str:
    missed = it.account.calls.filter(status="no_show").order_by("-starts_at").first()
    return _day(it.numbers.day_of(missed.starts_at), it.numbers.today) if missed else ""


def _known_to_the_writer(it: Writing) -> str:
    return ""


FIELDS: dict[str, Field] = {
    "contact": Field("their first name", "The first names of those it goes to", lambda it: names_of(it.to)),
    "account": Field("the account’s name", "What the account is called", lambda it: it.account.name),
    "domain": Field("their domain", "The account’s domain", lambda it: it.account.domain),
    "renewal": Field(
        "the renewal’s day", "The next renewal", lambda it: _day(it.account.renewal_on, it.numbers.today)
    ),
    "forecast": Field(
        "the forecast", "What their bill is forecast to be", lambda it: _dollars(it.account.forecast)
    ),
    "failed_bill": Field("the failed bill", "The latest bill whose payment failed", _failed_bill),
    "next_bill": Field("the next bill", "The bill to come, or else the forecast", _next_bill),
    "missed_call": Field("the missed call’s day", "The last call they did not come to", _missed_call),
    "booking_link": Field(
        "the booking link",
        "The team’s link for booking a call, of the policy",
        lambda it: it.numbers.booking_link,
    ),
    "me": Field("your name", "Whoever writes", lambda it: it.me.get_full_name()),
    "observation": Field(
        "what you saw in their account", "Left for the writer to fill in", _known_to_the_writer
    ),
    "homework": Field("what they should try", "Left for the writer to fill in", _known_to_the_writer),
}


@dataclass(frozen=True)
class Letter:
    """A template as the house brings it: what it is called, its words, and for whom it is the likeliest.

    ``stages`` are those where it is what one writes; ``alert`` is the kind of alert that asks for it.
    """

    label: str
    subject: str
    body: str
    stages: tuple[Stage, ...] = ()
    alert: str = ""


LETTERS: dict[str, Letter] = {
    "initial-outreach": Letter(
        "Initial outreach",
        "{account}: one thing about your setup",
        """Hi {contact},

I’m {me}, and I help new customers get more out of their setup and pay for no more than they use. I \
looked at how {account} works with us, and one thing stood out:

{observation}

Your next bill renews on {renewal}, so there is time to change it before then. Half an hour together is \
usually enough; pick a time here: {booking_link}

If mail suits you better, just answer this one.

{me}
""",
        stages=(Stage.OUTSIDE, Stage.NEW),
    ),
    "second-call": Letter(
        "Second-call invitation",
        "A second session for {account}",
        """Hi {contact},

Thank you for your time on our call. If you want to go deeper, we can use a second one for what you are \
after: send me two or three goals, or the numbers you watch, and I prepare the session around them.

Pick a time here, and bring whoever else works with it: {booking_link}

{me}
""",
        stages=(Stage.INTRO_CALL_COMPLETED,),
    ),
    "homework": Letter(
        "After the call, with homework",
        "What to try after our call",
        """Hi {contact},

It was good to talk. So that it does not end there, here is what I suggest you try on your own data:

{homework}

Answer here with whatever gets in the way, or with what you found.

{me}
""",
        stages=(Stage.SECOND_CALL_COMPLETED, Stage.HOMEWORK_OFFERED),
    ),
    "final-outreach": Letter(
        "Final outreach",
        "{account}: a last look before {renewal}",
        """Hi {contact},

Your next bill renews on {renewal}, so I went through your setup once more:

{observation}

This is the last mail I had planned. The docs answer most questions, support takes what is broken, and \
you can always answer here.

{me}
""",
        stages=(Stage.AWAITING_FINAL_OUTREACH,),
    ),
    "failed-payment": Letter(
        "Failed payment",
        "Your payment of {failed_bill} did not go through",
        """Hi {contact},

The payment of your bill of {failed_bill} did not go through. Often it is only a card that ran out: put \
in another one under billing, and it is tried again by itself.

If the amount is the surprise, tell me. I gladly go through with you what makes it so, and what of it you \
can switch off.

{me}
""",
        alert="failed-payment",
    ),
    "large-invoice": Letter(
        "Large invoice",
        "{account}: your next bill, before it comes",
        """Hi {contact},

I want no bill of yours to come as a surprise. The next one, on {renewal}, is on its way to about \
{next_bill}. What drives it, as far as I can see:

{observation}

Shall we go through it before then? {booking_link}

{me}
""",
        alert="large-invoice",
    ),
    "no-show": Letter(
        "No-show",
        "Another time for our call?",
        """Hi {contact},

We missed each other on {missed_call}. That happens, and your call is still yours: pick another time that \
suits you here: {booking_link}

{me}
""",
    ),
}

_FIELD = re.compile(r"\{([^{}\n]*)\}")


def wrong_with(text: str) -> str:
    """What is wrong with the fields of a template, in a sentence; else empty."""
    for name in _FIELD.findall(text):
        if name not in FIELDS:
            return f"There is no field {{{name[:40]}}}. The fields are {', '.join(f'{{{one}}}' for one in FIELDS)}."
    if set("{}") & set(_FIELD.sub("", text)):
        return "A brace stands alone; a field is written like {contact}."
    return ""


def filled_in(text: str, it: Writing) -> str:
    """A template's text with its fields filled in; what is missing stands there as a gap."""
    return _FIELD.sub(lambda found: FIELDS[found[1]].read(it) or _gap(FIELDS[found[1]]), text)


def _gap(field: Field) -> str:
    return f"[{field.gap}?]"


def gaps_in(text: str) -> list[str]:
    """The gaps and fields that nobody has filled in yet, as they stand in the text."""
    known = (mark for name, field in FIELDS.items() for mark in (_gap(field), f"{{{name}}}"))
    return [mark for mark in known if mark in text]


def likeliest(account: Any) -> str:
    """The template one most likely wants for an account: by what presses, then by its stage; empty for none."""
    stage = Stage(account.stage)
    by_stage = next((name for name, letter in LETTERS.items() if stage in letter.stages), "")
    if stage == Stage.NEW:
        return by_stage
    pressing = set(account.alerts.open().values_list("kind", flat=True)) if account.open_alerts else set()
    by_alert = next((name for name, letter in LETTERS.items() if letter.alert in pressing), "")
    last_call = account.calls.order_by("-starts_at").first()
    missed = "no-show" if last_call and last_call.status == "no_show" else ""
    return by_alert or missed or by_stage
