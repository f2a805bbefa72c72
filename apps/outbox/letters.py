"""What a colleague writes to a customer by hand and sends from here."""

from __future__ import annotations

from django.db import transaction

from apps.crm.models import Account, Outreach, StageTransition
from apps.outbox.models import Message

KIND = "outreach"


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
                    account=account,
                    outreach=outreach,
                )
                for to in outreach.addresses
            )
    return new, moved
