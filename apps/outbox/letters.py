"""What a colleague writes to a customer by hand and sends from here."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from apps.crm.models import Account, Outreach, StageTransition, User
from apps.outbox.models import Message

KIND = "outreach"
# A mail stays here so long, to be taken back: the ten seconds its Undo is offered for, and the way of a late click.
HOLD = timedelta(seconds=12)


def send_outreach(
    account: Account,
    outreach: Outreach,
    *,
    cause: str,
    closes: bool = False,
    version: int | None = None,
    after: int | None = None,
) -> tuple[bool, StageTransition | None]:
    """Keep what somebody wrote and, unless they sent it themselves, have it leave: a mail to each it is for.

    A second time under the same key nothing happens. Takes, returns and raises what ``Account.write_down`` does.
    """
    with transaction.atomic():
        new, moved = account.write_down(outreach, cause=cause, closes=closes, version=version, after=after)
        if new and outreach.way == Outreach.By.ONRAMP:
            Message.objects.write(
                Message.mail(
                    f"{KIND}:{outreach.key}:{to}",
                    to=to,
                    kind=KIND,
                    subject=outreach.subject,
                    text=outreach.text,
                    now=outreach.at,
                    due_at=outreach.at + HOLD,
                    account=account,
                    outreach=outreach,
                )
                for to in outreach.addresses
            )
    return new, moved


def take_back(account: Account, outreach: Outreach, *, by: User, now: datetime) -> str | None:
    """Keep a mail of a colleague's own from leaving, all of it or nothing.

    Returns None, with nothing changed, once any of it has left or is with a sender; else what ``Account.unwrite`` does.
    """
    with transaction.atomic():
        account.lock()
        messages = outreach.messages.order_by("pk").select_for_update()
        if outreach.way != Outreach.By.ONRAMP or any(message.is_tried for message in messages):
            return None
        outreach.messages.waiting().update(held_at=now, because=f"{by} took it back.")
        return account.unwrite(outreach, by=by, now=now)
