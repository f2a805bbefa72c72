"""The tasks page: what there is to do, by the reader's own days. Its changes are in ``tasking``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.days import away, day
from apps.crm.keyset import PAGE_SIZE, page
from apps.crm.models import Account, Policy, StageTransition, User
from apps.crm.pipeline import Stage
from apps.crm.tasks import DUE, TaskFilter
from apps.web.display import GROUPS, away_short
from apps.web.links import Choice, Head, Link, counted, heads, query, rows_on_screen
from apps.web.rights import SignedIn
from apps.web.tables import Word
from apps.web.views.changes import anew
from apps.web.views.daily import NOTICES_SHOWN

HEADS = (
    Head("Task"),
    Head("Account"),
    Head("Renewal", "renewal"),
    Head("Due", "due"),
    Head("Assignee"),
    Head("Made by"),
)
WHOSE = {"me": "Mine", "all": "All", "none": "Nobody’s"}


@dataclass(frozen=True, slots=True)
class Row:
    """One task of the page, ready to be shown; ``due_on`` and ``remind_on`` as a date field takes them."""

    pk: int
    title: str
    due: str
    away: Word
    due_on: str
    remind_on: str
    so_far: str
    account: int
    name: str
    group: str
    stage: str
    renewal: str
    renews: Word
    assignee: str
    assignee_id: int | str
    made_by: str
    done: bool


@require_safe
def tasks(request: SignedIn) -> HttpResponse:
    """The tasks a query string asks for, one page of them, with the counts by whose they are and when they are due."""
    asked = _asked(request, timezone.now())
    listed, notice = _listed(request, asked, PAGE_SIZE)
    return render(
        request,
        "web/tasks.html",
        {
            **listed,
            "notices": [*asked.notices[:NOTICES_SHOWN], *filter(None, [notice])],
            "heads": heads(asked, HEADS),
            "people": User.objects.assignable() if request.user.may("task") else [],
        },
    )


def tasks_parts(request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None) -> str:
    """The rows of the page and its counts, drawn anew as far as they were shown."""
    return _parts(request, now)


def _parts(request: SignedIn, now: datetime) -> str:
    listed, _ = _listed(request, _asked(request, now), rows_on_screen(request))
    return render_to_string("web/_task_parts.html", listed, request)


changed = anew(_parts)


def _asked(request: SignedIn, now: datetime) -> TaskFilter:
    return TaskFilter(request.GET, numbers=Policy.at(now), user=request.user, also=("cursor",))


def _listed(request: SignedIn, asked: TaskFilter, size: int) -> tuple[dict[str, Any], str]:
    """What the page and its parts share, and a sentence if the cursor was broken."""
    cursor = "" if request.method == "POST" else request.GET.get("cursor", "")
    found = page(asked.facts(), asked.order, cursor=cursor, size=size)
    links = _links(asked)
    listed = {
        "asked": asked,
        "today": asked.today,
        "query": query(asked),
        "rows": [_row(fact, asked) for fact in found.rows],
        "next": query(asked, cursor=found.next) if found.next else "",
        "whose": [links[f"whose-{key}"] for key in WHOSE],
        "when": [links[f"due-{key}"] for key in DUE],
        "may": request.user.may("task"),
    }
    return listed, found.notice


def _links(asked: TaskFilter) -> dict[str, Link]:
    whose, due = asked.assignee_asked, asked.due_asked
    choices = [
        *(
            Choice(
                f"whose-{key}",
                words,
                {"assignee": key},
                key == whose,
                {"assignee": "" if key == "me" else key},
            )
            for key, words in WHOSE.items()
        ),
        *(Choice(f"due-{key}", words, {"due": key}, key == due) for key, (words, _) in DUE.items()),
    ]
    return counted(asked, choices, asked.like)


def _row(fact: dict[str, Any], asked: TaskFilter) -> Row:
    today, people = asked.today, asked.people
    stage, renewal, due = Stage(fact["account__stage"]), fact["account__renewal_on"], fact["due_on"]
    done = fact["done_at"] is not None
    return Row(
        pk=fact["pk"],
        title=fact["title"],
        due=day(due, today),
        away=_late(away(due, today), due < today and not done),
        due_on=due.isoformat(),
        remind_on=fact["remind_on"].isoformat() if fact["remind_on"] else "",
        so_far=_so_far(fact, asked),
        account=fact["account_id"],
        name=fact["account__name"],
        group=GROUPS[stage],
        stage=stage.label,
        renewal=day(renewal, today),
        renews=_late(away_short(renewal, today), renewal is not None and renewal < today),
        assignee=people.get(fact["assignee_id"], fact["assignee_reported"]),
        assignee_id=fact["assignee_id"] or "",
        made_by=made_by(fact["cause"], people.get(fact["created_by_id"], ""), fact["external_id"]),
        done=done,
    )


def _late(words: str, late: bool) -> Word:
    return Word(words, "bad" if late else "")


def made_by(cause: str, person: str, external_id: str | None) -> str:
    """What a task came from, in words."""
    kind, _, name = cause.partition(":")
    return f"Playbook {name}" if kind == "playbook" else person or ("An import" if external_id else "")


def _so_far(fact: dict[str, Any], asked: TaskFilter) -> str:
    """What has become of a task so far, in a line: who did it and when, or its reminder."""
    if fact["done_at"]:
        when: date = fact["done_at"].astimezone(asked.zone).date()
        return f"Done by {asked.people.get(fact['done_by_id'], 'somebody')}, {away(when, asked.today)}"
    if fact["reminded_at"] or not fact["remind_on"]:
        return ""
    return f"Reminds on {day(fact['remind_on'], asked.today)}"
