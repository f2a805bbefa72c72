"""What mail tells us: a colleague wrote, a customer wrote, or a mail came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from apps.crm.models import Account, User
from apps.crm.pipeline import Stage
from apps.intake.facts import About, Context, Ignored, engaged, moved, sentence
from apps.intake.matching import Who, accounts_of
from apps.outbox.models import Message


@dataclass(frozen=True)
class Outbound:
    """A colleague wrote to people at one account or more, or to the account that is named."""

    to: tuple[str, ...]
    sender: str
    at: datetime
    starts: bool
    external_id: str = ""

    def accounts(self, context: Context) -> Sequence[int]:
        if not User.objects.sender_group().filter(email__iexact=self.sender).exists():
            raise Ignored(f"{self.sender} is not a specialist, so it is no outreach.")
        if self.external_id:
            return [Who(external_id=self.external_id).account_id()]
        ours = User.objects.with_addresses(self.to)
        others = [
            address for address in self.to if address not in ours and address != settings.MAIL_LOG_ADDRESS
        ]
        if not others:
            raise Ignored("It went to colleagues alone, so it is no outreach.")
        return accounts_of(others)

    def apply(self, account: Account, context: Context) -> str:
        account.heard("last_outreach_at", self.at)
        if not (self.starts and account.stage == Stage.NEW):
            return "The outreach was noted."
        said = moved(account, Stage.INITIATED, context)
        if account.last_reply_at and account.last_reply_at >= self.at:
            # Their answer came in before we heard what it answers.
            said = sentence(said, moved(account, Stage.ENGAGED_EMAIL, context))
        return said

    def answers(self, account: Account) -> Iterable[str]:
        return ()


@dataclass(frozen=True)
class Inbound(About):
    """A person at the customer wrote to us. ``who`` is the sender."""

    at: datetime

    def accounts(self, context: Context) -> Sequence[int]:
        if User.objects.with_addresses([self.who.email]):
            raise Ignored(f"{self.who.email} is a colleague, so it is no reply.")
        return super().accounts(context)

    def apply(self, account: Account, context: Context) -> str:
        account.heard("last_reply_at", self.at)
        said = engaged(account, "email", context, {Stage.INITIATED: Stage.ENGAGED_EMAIL})
        return sentence("The reply was noted.", said)


@dataclass(frozen=True)
class Delivery:
    """Mail to a person came back for good, or they want no more. ``reference`` is our outbox's, where it was ours."""

    what: Literal["bounced", "unsubscribed"]
    email: str
    at: datetime
    reference: UUID | None = None

    _SAYS: ClassVar[Mapping[str, str]] = {
        "bounced": "Mail to {} came back for good.",
        "unsubscribed": "{} wants no more automatic mail.",
    }

    def accounts(self, context: Context) -> Sequence[int]:
        theirs = Q(contacts__email=self.email)
        if self.reference:
            theirs |= Q(messages__reference=self.reference)
        return [*Account.objects.filter(theirs).order_by("pk").distinct().values_list("pk", flat=True)]

    def apply(self, account: Account, context: Context) -> str:
        contacts = account.contacts.all()
        keep = {"bounced": contacts.bounce, "unsubscribed": contacts.unsubscribe}[self.what]
        keep(self.email, now=self.at)
        said = self._SAYS[self.what].format(self.email)
        if self.reference:
            Message.objects.sent().filter(reference=self.reference, account=account).update(because=said)
        return said

    def answers(self, account: Account) -> Iterable[str]:
        return ()
