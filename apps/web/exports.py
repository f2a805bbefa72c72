"""Every table as a CSV file, as data: who may have it, the rows a query string asks for, and its columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import django_filters
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import F, OuterRef
from django.http import QueryDict

from apps.crm.alerts import AMOUNT, CURRENCY, AlertFilter, IdFilter
from apps.crm.calls import CallFilter
from apps.crm.feedback import FeedbackFilter
from apps.crm.filters import AccountFilter, DailyFilter, QueryFilter
from apps.crm.keyset import Column as Sorted
from apps.crm.keyset import in_order
from apps.crm.models import (
    Account,
    Alert,
    AuditPoint,
    Bill,
    Call,
    CallHost,
    Contact,
    Credit,
    Note,
    Outreach,
    Purchase,
    RiskAssessment,
    Signal,
    StageTransition,
    Survey,
    Task,
    User,
)
from apps.crm.policy import Numbers
from apps.crm.tasks import TaskFilter
from apps.intake.inbox import EventFilter
from apps.intake.models import Event
from apps.outbox.models import CHANNELS, Message
from apps.playbooks.models import Act
from apps.web.accountfile import ACCOUNT, LABELS, OF_LIST
from apps.web.csvfile import BOM, Column, plain, written

AT_ONCE = 1_000


class OfAccountFilter(QueryFilter):
    """The rows of one account, or of all, the newest first: for tables that have no page of their own."""

    sorts = {"written": Sorted(F("pk"), models.BigIntegerField())}
    default_sort = "-written"

    account = IdFilter(label="Account", min_value=1, max_value=2**63 - 1)


# How a message stands: what the outbox shows under each of its states.
_STATES = ("waiting", "sent", "held", "failed")


class MessageFilter(OfAccountFilter):
    """The messages a query string asks for; those of one state, as the outbox shows them."""

    state = django_filters.ChoiceFilter(
        method="standing", label="State", choices=[(state, state.capitalize()) for state in _STATES]
    )
    channel = django_filters.ChoiceFilter(label="Channel", choices=list(CHANNELS.items()))

    def standing(self, rows: Any, name: str, state: str) -> Any:
        return rows & getattr(Message.objects, state)()


_HOSTS = ArraySubquery(CallHost.objects.filter(call=OuterRef("pk")).order_by("pk").values("user__username"))

_WHOSE = plain(account="account__external_id", account_name="account__name")


@dataclass(frozen=True)
class Export:
    """A table: its address and name, what it holds, the right it takes, its columns, and the filter that reads it.

    ``more`` are facts that are made for it alone.
    """

    key: str
    label: str
    says: str
    columns: tuple[Column, ...]
    filtered: type[QueryFilter]
    rows: models.QuerySet[Any]
    right: str = "read"
    more: Mapping[str, Any] = field(default_factory=dict)

    def lines(
        self, query: QueryDict, *, numbers: Numbers, user: User, only: Collection[int] | None = None
    ) -> Iterator[str]:
        """The file, in pieces: what a page shows for the same query string, in its order, to the last row.

        With ``only`` the rows of these ids instead, whatever the filters say.
        """
        asked = self._asked(query, numbers, user)
        columns = self._chosen(asked.data)
        facts = {fact for column in columns for fact in column.facts}
        rows_asked = asked.qs if only is None else self.rows.all().filter(pk__in=only)
        found = in_order(rows_asked.annotate(**self.more), asked.order).values(*facts)
        # The cursor is held beyond its own statement: no transaction stands open while a slow reader reads.
        rows = ([column.of(row) for column in columns] for row in found.iterator(chunk_size=AT_ONCE))
        yield BOM
        yield from written([column.header for column in columns], rows)

    def _asked(self, query: QueryDict, numbers: Numbers, user: User) -> QueryFilter:
        if issubclass(self.filtered, TaskFilter):
            return self.filtered(query, numbers=numbers, user=user)
        return self.filtered(query, self.rows.all(), numbers=numbers, user=user)

    def _chosen(self, query: QueryDict) -> tuple[Column, ...]:
        """The columns for ``columns=``, in its order, of accounts alone; all of them where it says none we know."""
        given = [key for value in query.getlist("columns") for key in value.split(",")]
        keys = [key for key in given if key in OF_LIST]
        if not keys or self.columns is not ACCOUNT:
            return self.columns
        headers = dict.fromkeys(["external_id", "name", *(header for key in keys for header in OF_LIST[key])])
        known = {column.header: column for column in self.columns}
        return tuple(known[header] for header in headers)


EXPORTS: dict[str, Export] = {
    export.key: export
    for export in (
        Export(
            "daily",
            "Daily list",
            "The accounts of the daily list: those in open stages, unless stages or a search are given",
            ACCOUNT,
            DailyFilter,
            Account.objects.all(),
            more={"label_names": LABELS},
        ),
        Export(
            "accounts",
            "Accounts",
            "All accounts, in and outside the pipeline; the import finds nothing new in it",
            ACCOUNT,
            AccountFilter,
            Account.objects.all(),
            more={"label_names": LABELS},
        ),
        Export(
            "contacts",
            "Contacts",
            "The people of the accounts",
            (*_WHOSE, *plain("email", "name", "role", "do_not_contact", "bounced_at", "unsubscribed_at")),
            OfAccountFilter,
            Contact.objects.all(),
            right="export people",
        ),
        Export(
            "transitions",
            "Moves",
            "The ledger of moves",
            (
                *_WHOSE,
                *plain("version", "from_stage", "to_stage", "at", "cause", "reason", by="by__username"),
            ),
            OfAccountFilter,
            StageTransition.objects.all(),
        ),
        Export(
            "notes",
            "Notes",
            "What was written down",
            (
                *_WHOSE,
                *plain(
                    "kind",
                    "product",
                    "text",
                    "author_reported",
                    "created_at",
                    "edited_at",
                    author="author__username",
                ),
            ),
            OfAccountFilter,
            Note.objects.all(),
        ),
        Export(
            "outreaches",
            "Outreaches",
            "What colleagues wrote to customers",
            (
                *_WHOSE,
                *plain("at", "to", "template", "way", "subject", "text", "withdrawn_at", by="by__username"),
            ),
            OfAccountFilter,
            Outreach.objects.all(),
            right="export people",
        ),
        Export(
            "feedback",
            "Feedback",
            "What customers said of the products",
            (*_WHOSE, *plain("product", "text", "created_at", author="author__username")),
            FeedbackFilter,
            Note.objects.all(),
        ),
        Export(
            "tasks",
            "Tasks",
            "Your open tasks, or those a page of tasks shows",
            (
                *_WHOSE,
                *plain("title", "due_on", "urgent", "remind_on", "assignee_reported", "cause", "created_at"),
                *plain(
                    "done_at", "dropped", assignee="assignee__username", created_by="created_by__username"
                ),
                *plain(done_by="done_by__username"),
            ),
            TaskFilter,
            Task.objects.all(),
        ),
        Export(
            "alerts",
            "Alerts",
            "The alerts that want somebody now, or those a page of alerts shows",
            (
                *_WHOSE,
                *plain("kind", "subject", "text", "attempts", "amount", "currency", "raised_at"),
                *plain("acknowledged_at", "snoozed_until", "resolved_at", "resolution"),
                *plain(assignee="assignee__username", resolved_by="resolved_by__username"),
            ),
            AlertFilter,
            Alert.objects.all(),
            more={"amount": AMOUNT, "currency": CURRENCY},
        ),
        Export(
            "calls",
            "Calls",
            "Calls to come and calls that were",
            (
                *_WHOSE,
                *plain("external_id", "kind", "status", "starts_at", "ends_at", "marked_at", "contact_email"),
                Column("hosts", ("host_logins",), "; ".join),
            ),
            CallFilter,
            Call.objects.all(),
            more={"host_logins": _HOSTS},
        ),
        Export(
            "bills",
            "Bills",
            "The bills, as the billing system told them",
            (
                *_WHOSE,
                *plain(
                    "external_id", "status", "amount", "currency", "attempts", "period_start", "period_end"
                ),
                *plain("due_on", "paid_at", "reported_at"),
            ),
            OfAccountFilter,
            Bill.objects.all(),
            right="export revenue",
        ),
        Export(
            "risks",
            "Payment risk history",
            "What the payment risk of each account was said to be, by whom and why",
            (*_WHOSE, *plain("risk", "reason", "at", by="by__username")),
            OfAccountFilter,
            RiskAssessment.objects.all(),
            right="export revenue",
        ),
        Export(
            "purchases",
            "Purchases",
            "The paid calls that were bought, as the shop told them",
            (
                *_WHOSE,
                *plain("external_id", "email", "amount", "currency", "bought_at", "refunded_at"),
            ),
            OfAccountFilter,
            Purchase.objects.all(),
            right="export revenue",
        ),
        Export(
            "credits",
            "Credits",
            "Credits and refunds as they were written down; a correction takes away what it corrects",
            (
                *_WHOSE,
                *plain("kind", "amount", "currency", "on", "why", "at", "corrects", entry="pk"),
                *plain(by="by__username"),
            ),
            OfAccountFilter,
            Credit.objects.all(),
            right="export revenue",
        ),
        Export(
            "audit",
            "Audit points",
            "What was looked at in the accounts, and what it saves a month",
            (*_WHOSE, *plain("what", "state", "saving", "at", by="by__username")),
            OfAccountFilter,
            AuditPoint.objects.all(),
        ),
        Export(
            "signals",
            "Signals",
            "What other systems said once: a subscription that was cancelled, a handoff that Sales disqualified",
            (*_WHOSE, *plain("kind", "at", "by", "reason", "external_id")),
            OfAccountFilter,
            Signal.objects.all(),
        ),
        Export(
            "surveys",
            "Surveys",
            "Who was asked how their onboarding was, and what they said",
            (
                *_WHOSE,
                *plain("asked_at", "score", "word", "answered_at", "changed_at", contact="contact__email"),
            ),
            OfAccountFilter,
            Survey.objects.all(),
            right="export people",
        ),
        Export(
            "acts",
            "Playbook acts",
            "What the playbooks did, and why",
            (*_WHOSE, *plain("playbook", "occasion", "at", "because", "skipped", by="by__username")),
            OfAccountFilter,
            Act.objects.all(),
        ),
        Export(
            "outbox",
            "Outbox",
            "Messages that wait, left or were held back",
            (
                *_WHOSE,
                *plain("reference", "channel", "kind", "to", "subject", "text", "automatic", "created_at"),
                *plain("due_at", "sent_at", "held_at", "failed_at", "tries", "because"),
            ),
            MessageFilter,
            Message.objects.all(),
        ),
        Export(
            "events",
            "Events",
            "What other systems told us, without the raw messages",
            (
                *_WHOSE,
                *plain("provider", "external_id", "type", "subject", "state", "sentence", "received_at"),
                *plain("done_at", "tries"),
            ),
            EventFilter,
            Event.objects.all(),
        ),
    )
}
