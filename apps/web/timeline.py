"""What happened to an account, as one list: a table of sources, each with its rows and how one of them reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from markupsafe import Markup

from apps.crm.days import day, spoken
from apps.crm.models import Account, Note, StageTransition
from apps.crm.models.alert import alert_kind
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.playbooks.models import Act
from apps.playbooks.registry import PLAYBOOKS
from apps.web.display import GROUPS, amount
from apps.web.markdown import rendered

SHOWN = 50
KINDS = {
    "": "All",
    "moves": "Moves",
    "notes": "Notes",
    "tasks": "Tasks",
    "mail": "Mail",
    "calls": "Calls",
    "bills": "Bills",
    "alerts": "Alerts",
    "surveys": "Surveys",
    "risk": "Risk",
    "playbooks": "Playbooks",
    "scope": "Scope",
}


@dataclass(frozen=True)
class Entry:
    """One line: “``who`` ``did`` ``what`` ``more``”, below it what was said, and who or what was behind it."""

    did: str
    what: str
    who: str = ""
    more: str = ""
    said: str | Markup = ""
    cause: str = ""
    group: str = ""
    row: Any = None


class Source(NamedTuple):
    """Where entries of a kind come from: an account's rows, the column that says when, and how a row reads.

    ``told``: among all kinds another source tells of it already, so that it is shown only when its own is asked for.
    """

    kind: str
    rows: Callable[[Account], Any]
    when: Any
    entry: Callable[[Any, Numbers], Entry]
    told: bool = False


class Item(NamedTuple):
    """An entry in its place: newest first, then by source, then by id."""

    at: datetime
    source: int
    pk: int
    entry: Entry
    kind: str

    @property
    def mark(self) -> str:
        return f"{self.at.isoformat()}~{self.source}~{self.pk}"


class Timeline(NamedTuple):
    """A stretch of what happened, and the mark after which the rest begins; empty at the end."""

    items: list[Item]
    rest: str


def _move(row: StageTransition, numbers: Numbers) -> Entry:
    return Entry(
        "moved it to",
        row.get_to_stage_display(),
        who=row.actor,
        more=f"from {row.get_from_stage_display()}" if row.from_stage else "",
        said=spoken(row.reason, numbers.today) if row.automatic else row.reason,
        cause="undo" if row.cause.startswith("undo:") else row.cause,
        group=GROUPS[Stage(row.to_stage)],
        row=row,
    )


def _note(row: Any, numbers: Numbers) -> Entry:
    more = f"edited {day(numbers.day_of(row.edited_at), numbers.today)}" if row.edited_at else ""
    what = "a note" if row.kind == Note.Kind.NOTE else row.get_kind_display()
    who = str(row.author or row.author_reported or "Somebody")
    return Entry("wrote", what, who=who, said=rendered(row.text), more=more, row=row)


def _task_made(row: Any, numbers: Numbers) -> Entry:
    who = str(row.created_by or ("An import" if row.external_id else "A playbook"))
    whose = str(row.assignee or row.assignee_reported)
    due = f"due {day(row.due_on, numbers.today)}"
    more = f"for {whose}, {due}" if whose else due
    return Entry("added the task", row.title, who=who, more=more, cause=row.cause)


def _task_done(row: Any, numbers: Numbers) -> Entry:
    if row.dropped and row.transition_id:
        return Entry("Dropped, as its move was undone:", row.title)
    if row.dropped:
        return Entry("took back the task", row.title, who=str(row.done_by or "Somebody"))
    return Entry("finished", row.title, who=str(row.done_by or "Somebody"))


def _call(row: Any, numbers: Numbers) -> Entry:
    more = f"with {row.contact_email}" if row.contact_email else ""
    return Entry(f"{row.get_kind_display()}:", row.get_status_display().lower(), more=more)


def _bill(row: Any, numbers: Numbers) -> Entry:
    failed = f"{row.attempts} failed {'attempt' if row.attempts == 1 else 'attempts'}" if row.attempts else ""
    return Entry(
        "Bill of", amount(row.amount, row.currency), more=row.get_status_display().lower(), said=failed
    )


def _alert_raised(row: Any, numbers: Numbers) -> Entry:
    return Entry("Alert:", alert_kind(row.kind).label, said=spoken(row.text, numbers.today))


def _alert_resolved(row: Any, numbers: Numbers) -> Entry:
    who = str(row.resolved_by or "")
    did = "resolved" if who else "Resolved by itself:"
    return Entry(did, alert_kind(row.kind).label, who=who, said=row.resolution)


def _act(row: Act, numbers: Numbers) -> Entry:
    says = PLAYBOOKS[row.playbook].says if row.playbook in PLAYBOOKS else ""
    if row.skipped:
        more = "leave the account alone until its next renewal"
        return Entry("had", row.playbook, who=str(row.by), more=more, said=says, row=row)
    return Entry(
        "The playbook acted:", row.playbook, more=says, said=spoken(row.because, numbers.today), row=row
    )


def _decision(row: Any, numbers: Numbers) -> Entry:
    return Entry("Scope decided:", row.get_outcome_display(), said=spoken(row.because, numbers.today))


def _risk(row: Any, numbers: Numbers) -> Entry:
    who = str(row.by or "Somebody")
    return Entry("set the payment risk to", str(row), who=who, said=row.reason)


def _survey(row: Any, numbers: Numbers) -> Entry:
    changed = " changed" if row.answers > 1 else ""
    more = f"by {row.contact.name or row.contact.email}" if row.contact else ""
    return Entry(f"Survey answer{changed}:", str(row), more=more, said=row.word)


def _outreach(row: Any, numbers: Numbers) -> Entry:
    sent = {message.to: _whereabouts(message) for message in row.messages.all()}
    to = ", ".join(f"{address}{sent.get(address, '')}" for address in row.addresses)
    if row.withdrawn_at:
        did, more = "wrote, and took back before it left:", f"to {row.to}"
    else:
        did, more = "wrote", f"to {to}, {row.get_way_display()}"
    return Entry(did, row.subject, who=str(row.by), more=more, said=row.text)


def _whereabouts(message: Any) -> str:
    """What became of a mail, where it has not simply left."""
    if message.held_at:
        return f" (held back: {message.because})"
    if message.failed_at:
        return f" (did not leave: {message.because})"
    return "" if message.sent_at else " (on its way)"


SOURCES = (
    Source("moves", lambda a: a.transitions.select_related("by"), F("at"), _move),
    Source("notes", lambda a: a.notes.select_related("author"), F("created_at"), _note),
    Source("tasks", lambda a: a.tasks.select_related("created_by", "assignee"), F("created_at"), _task_made),
    Source("tasks", lambda a: a.tasks.select_related("done_by"), F("done_at"), _task_done),
    Source("calls", lambda a: a.calls.all(), F("starts_at"), _call),
    Source("bills", lambda a: a.bills.all(), Coalesce("paid_at", "reported_at"), _bill),
    Source("alerts", lambda a: a.alerts.all(), F("raised_at"), _alert_raised),
    Source("alerts", lambda a: a.alerts.select_related("resolved_by"), F("resolved_at"), _alert_resolved),
    Source("playbooks", lambda a: a.acts.filter(transition=None).select_related("by"), F("at"), _act),
    Source("scope", lambda a: a.decisions.all(), F("at"), _decision),
    Source("surveys", lambda a: a.surveys.select_related("contact"), F("changed_at"), _survey),
    Source(
        "mail",
        lambda a: a.outreaches.select_related("by").prefetch_related("messages"),
        F("at"),
        _outreach,
    ),
    Source("risk", lambda a: a.risks.select_related("by"), F("at"), _risk),
    Source("playbooks", lambda a: a.acts.filter(transition__isnull=False), F("at"), _act, told=True),
)


def timeline(account: Account, numbers: Numbers, *, kind: str = "", after: str = "") -> Timeline:
    """What happened to an account, newest first; one query a source, however long its history is.

    ``kind`` is one of ``KINDS``; ``after`` the mark of the last item seen. Anything else is as if not given.
    """
    chosen = [
        (number, source)
        for number, source in enumerate(SOURCES)
        if kind == source.kind or (not source.told and (kind == "" or kind not in KINDS))
    ]
    mark = _read(after)
    found = merge(
        *(_items(account, numbers, number, source, mark) for number, source in chosen),
        key=lambda item: (item.at, -item.source, item.pk),
        reverse=True,
    )
    items = list(islice(found, SHOWN + 1))
    return Timeline(items[:SHOWN], items[SHOWN - 1].mark if len(items) > SHOWN else "")


def _items(
    account: Account, numbers: Numbers, number: int, source: Source, mark: tuple[datetime, int, int] | None
) -> list[Item]:
    rows = source.rows(account).annotate(when=source.when).filter(when__isnull=False)
    if mark:
        at, seen, pk = mark
        tied = Q(when=at, pk__lt=pk) if number == seen else Q(when=at)
        rows = rows.filter(Q(when__lt=at) | tied if number >= seen else Q(when__lt=at))
    return [
        Item(row.when, number, row.pk, source.entry(row, numbers), source.kind)
        for row in rows.order_by("-when", "-pk")[: SHOWN + 1]
    ]


def _read(mark: str) -> tuple[datetime, int, int] | None:
    at, _, rest = mark.partition("~")
    source, _, pk = rest.partition("~")
    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        return None
    if when.tzinfo is None or not (source.isdecimal() and pk.isdecimal() and len(pk) < 19):
        return None
    return when, int(source[:3]), int(pk)
