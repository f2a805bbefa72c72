"""What people do about a task, on the tasks page or on its account's: a table of changes, one address each.

Every change is compared with what its maker saw; whoever comes second is told, and sees what is true.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.crm.days import away, day
from apps.crm.models import Task, User
from apps.crm.models.task import NEXT_STEPS
from apps.web.forms.work import DayForm, GiveForm, NextStepForm, NoFacts, TaskEditForm
from apps.web.rights import SignedIn, needs
from apps.web.views.account import Clash
from apps.web.views.editing import Both, clashing
from apps.web.views.moves import changed, invalid, origin

Given = dict[str, Any]


class Change(NamedTuple):
    """A change of a task: how it is read and made, what it says, and what it says when somebody else was first.

    ``back`` gives the change that takes it back, with what to send; it is asked before the change is made.
    """

    form: type[forms.Form]
    make: Callable[[Task, Given, User, datetime], bool]
    says: Callable[[Task, date], str]
    otherwise: Callable[[Task, date], str]
    back: Callable[[Task, Given], tuple[str, dict[str, Any]]] | None = None


def _called(task: Task) -> str:
    return f"“{task.title[:60]}”"


def _due(when: date, today: date) -> str:
    return f"{day(when, today)}, {away(when, today)}"


def _done(task: Task, today: date) -> str:
    if task.dropped:
        return f"{_called(task)} was dropped meanwhile."
    return f"{task.done_by or 'Somebody'} finished {_called(task)} already."


CHANGES: dict[str, Change] = {
    "finish": Change(
        NoFacts,
        lambda task, given, by, now: task.finish(by=by, now=now),
        lambda task, today: f"Done: {task.title[:80]}.",
        _done,
        lambda task, given: ("reopen", {}),
    ),
    "reopen": Change(
        NoFacts,
        lambda task, given, by, now: task.reopen(),
        lambda task, today: f"{_called(task)} is to do again, due {_due(task.due_on, today)}.",
        lambda task, today: f"{_called(task)} is open again already.",
    ),
    "drop": Change(
        NoFacts,
        lambda task, given, by, now: task.drop(by=by, now=now),
        lambda task, today: f"{_called(task)} is taken back.",
        _done,
    ),
    "day": Change(
        DayForm,
        lambda task, given, by, now: task.reschedule(given["due_on"], seen=given["seen"]),
        lambda task, today: f"{_called(task)} is due {_due(task.due_on, today)}.",
        lambda task, today: f"Somebody else moved it meanwhile: it is due {_due(task.due_on, today)}.",
        lambda task, given: ("day", {"due_on": given["seen"], "seen": given["due_on"]}),
    ),
    "assign": Change(
        GiveForm,
        lambda task, given, by, now: task.assign(given["assignee"], seen=given["seen"], by=by, now=now),
        lambda task, today: (
            f"{_called(task)} is {f'{task.assignee}’s' if task.assignee else 'nobody’s'} now."
        ),
        lambda task, today: f"It was given to {task.assignee or 'nobody'} meanwhile.",
        lambda task, given: (
            "assign",
            {"assignee": given["seen"] or "", "seen": given["assignee"].pk if given["assignee"] else ""},
        ),
    ),
    "edit": Change(
        TaskEditForm,
        lambda task, given, by, now: task.reword(
            given["title"], remind_on=given["remind_on"], seen=given["seen"]
        ),
        lambda task, today: f"It says {_called(task)} now.",
        lambda task, today: f"Somebody else changed it meanwhile: it says {_called(task)}.",
        lambda task, given: (
            "edit",
            {"title": given["seen"], "remind_on": task.remind_on or "", "seen": given["title"]},
        ),
    ),
}


# The changes whose maker may keep their own value all the same.
BOTH: dict[str, Both[Task]] = {
    "day": Both(
        lambda task, today: f"due {_due(task.due_on, today)}",
        lambda given, today: f"due {_due(given['due_on'], today)}",
        lambda task: task.due_on.isoformat(),
    ),
    "assign": Both(
        lambda task, today: str(task.assignee or "nobody"),
        lambda given, today: str(given["assignee"] or "nobody"),
        lambda task: str(task.assignee_id or ""),
    ),
    "edit": Both(
        lambda task, today: task.title,
        lambda given, today: given["title"],
        lambda task: task.title,
    ),
}


@require_POST
@needs("task")
def change(request: SignedIn, pk: int, name: str) -> HttpResponse:
    """Make a change of ``CHANGES``: 200 with the parts, 409 with who was first, 422 with the sentence."""
    how, task, now = CHANGES[name], _task(pk), timezone.now()
    form, today = how.form(request.POST), request.user.today(now)
    if not form.is_valid():
        return invalid(form)
    given = form.cleaned_data
    back = how.back and how.back(task, given)
    if not how.make(task, given, request.user, now):
        task = _task(pk)
        closed = task.done_at is not None and name != "reopen"
        words = (_done if closed else how.otherwise)(task, today)
        if name in BOTH and not closed:
            return _both(request, task, name, given, now=now, words=words)
        return _answer(request, task, now, words, status=409, code="conflict")
    undo: Given = {"undo": _undo(request, back[0], task, **back[1])} if back else {}
    return _answer(request, task, now, how.says(task, today), offers=name == "finish", **undo)


def _both(
    request: SignedIn, task: Task, name: str, given: Given, *, now: datetime, words: str
) -> HttpResponse:
    how, today = BOTH[name], request.user.today(now)
    sent = {field: request.POST.get(field, "") for field in (*CHANGES[name].form.base_fields, "rows")}
    clash = Clash(
        label=f"The task {_called(task)}",
        theirs=how.theirs(task, today),
        mine=how.mine(given, today),
        address=_here(request, name, task),
        values=sent | {"seen": how.seen(task)},
        draft=f"task-{name}:{task.pk}",
    )
    return clashing(request, task.account, clash, now=now, text=words)


@require_POST
@needs("task")
def next_step(request: SignedIn, pk: int) -> HttpResponse:
    """Add what comes after a task that is done."""
    task, now, form = _task(pk), timezone.now(), NextStepForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    today = request.user.today(now)
    made = task.next_step(form.cleaned_data["step"], today=today, by=request.user, now=now)
    words = f"{_called(made)} for {task.account.name[:60]} is due {_due(made.due_on, today)}."
    return _answer(request, task, now, words, undo=_undo(request, "drop", made))


def _task(pk: int) -> Task:
    task: Task = get_object_or_404(Task.objects.select_related("account", "assignee", "done_by"), pk=pk)
    return task


def _undo(request: SignedIn, name: str, task: Task, /, **values: Any) -> dict[str, Any]:
    return {
        "url": _here(request, name, task),
        "values": {
            **{key: str(value) for key, value in values.items()},
            "from": origin(request),
            "rows": request.POST.get("rows", ""),
        },
    }


def _here(request: SignedIn, name: str, task: Task) -> str:
    """The address of a task's change, with the query string of the page at hand."""
    query = request.META["QUERY_STRING"]
    return reverse(f"web:task_{name}", args=[task.pk]) + (f"?{query}" if query else "")


def _answer(
    request: SignedIn,
    task: Task,
    now: datetime,
    text: str,
    *,
    status: int = 200,
    offers: bool = False,
    **toast: Any,
) -> HttpResponse:
    """The parts of the sender's page and the count in the bar; after a task is done, the steps that may come next."""
    answer = changed(request, task.account, now=now, text=text, status=status, **toast)
    context = {"task": task, "origin": origin(request), "steps": NEXT_STEPS if offers else {}}
    answer.write(render_to_string("web/_task_next.html", context, request))
    return answer
