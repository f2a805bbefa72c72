"""The daily list: the page the team works from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_POST, require_safe

from apps.crm.days import away
from apps.crm.filters import AccountFilter, DailyFilter, EveryFilter
from apps.crm.kept import NOW, Kept, Text, as_it_is, still
from apps.crm.keyset import count_text, counting, page, shares, together
from apps.crm.models import Account, Bulk, Note, Policy, StageTransition, User
from apps.crm.models.account import AccountQuerySet
from apps.crm.people import everybody
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.web import tables
from apps.web.forms.settings import LookedForm
from apps.web.rights import SignedIn

# What can be done to a row: its form, the word and the key for it, and the right it asks for.
ACTIONS = (
    ("write", "Write", "w", "write"),
    ("move", "Move", "m", "move"),
    ("note", "Note", "o", "note"),
    ("task", "Task", "t", "task"),
    ("risk", "Risk", "r", "payment risk"),
    ("assign", "Assign", "a", "edit"),
    ("labels", "Labels", "l", "edit"),
    ("claim", "Claim", "c", "write"),
    ("snooze", "Snooze", "s", "write"),
    ("copy", "Copy e-mails", "e", "write"),
)
# What can be done to many rows: its form, the word for it, and the right it asks for.
MANY = (
    ("move", "Move", "move"),
    ("assign", "Assign", "edit"),
    ("label", "Label", "edit"),
    ("unlabel", "Take label off", "edit"),
    ("task", "Task", "task"),
)
# The right that editing a cell in its place asks for.
CELL_RIGHTS = {"risk": "payment risk", "next": "task"}
COLUMNS = tuple(tables.COLUMNS.values())
NOTICES_SHOWN = 3
CHANGED_AT_ONCE = 200
# How long a browser keeps what is fetched beside the list, the same for every address of it.
BESIDE_SECONDS = 60
NOBODY = "No account is like that."


class Pile(NamedTuple):
    """A part of the day's work: the query string that shows it, which of the open accounts it counts, and what is
    said once there are none."""

    key: str
    label: str
    query: str
    of: Callable[[AccountQuerySet, Numbers, User], AccountQuerySet]
    done: str = NOBODY


PILES = (
    Pile(
        "fresh",
        "New, not seen",
        "fresh=1",
        lambda open_, numbers, user: open_.fresh_since(user.looked_from),
        "You have seen all that is new.",
    ),
    Pile("new", "New", "stage=new", lambda open_, numbers, user: open_.filter(stage=Stage.NEW)),
    Pile(
        "write",
        "Write now",
        "write=now",
        lambda open_, numbers, user: open_.awaiting_outreach(numbers),
        "Nobody is left to write to.",
    ),
    Pile(
        "replies",
        "Replies waiting",
        "reply=waiting",
        lambda open_, numbers, user: open_.waiting_for_us(),
        "No reply waits for us.",
    ),
    Pile(
        "final",
        "Final outreach due",
        "stage=awaiting_final_outreach",
        lambda open_, numbers, user: open_.filter(stage=Stage.AWAITING_FINAL_OUTREACH),
        "No final outreach is due.",
    ),
    Pile(
        "tasks",
        "Tasks due",
        "task=today",
        lambda open_, numbers, user: open_.filter(next_task_on__lte=user.today(numbers.now)),
        "No task is due.",
    ),
    Pile(
        "alerts",
        "Alerts",
        "alert=any",
        lambda open_, numbers, user: open_.filter(open_alerts__gt=0),
        "No alert is open.",
    ),
    Pile("mine", "Mine", "owner=me", lambda open_, numbers, user: open_.filter(owner=user)),
    Pile(
        "snoozed",
        "Snoozed",
        "snoozed=1",
        lambda open_, numbers, user: Account.objects.in_open_stages().snoozed(numbers.today),
        "No account is snoozed.",
    ),
)


def piles(numbers: Numbers, user: User) -> dict[str, AccountQuerySet]:
    """The accounts of each pile, as its link shows them."""
    awake = Account.objects.in_open_stages().awake(numbers.today)
    return {pile.key: pile.of(awake, numbers, user) for pile in PILES}


def _work(numbers: Numbers, user: User) -> Text:
    still_open = Account.objects.in_open_stages()
    return shares(still_open, {"all": still_open.awake(numbers.today), **piles(numbers, user)})


def _shown(asked: AccountFilter) -> Text:
    # Without a filter it is all of them, which are counted with the piles.
    shown = {"shown": asked.qs} if asked.filters else {}
    return counting({**shown, "bulks": Bulk.objects.to_tell(asked.user)})


_WORK, _SHOWN = Kept(_work, into=as_it_is), Kept(_shown, into=as_it_is)


def _of_work(numbers: Numbers, user: User) -> Text:
    """The question how many accounts each pile holds."""
    return _WORK.text(
        numbers, user, by=(numbers.standing, user.pk, user.looked_from, user.today(numbers.now))
    )


def _counted(asked: AccountFilter) -> dict[str, Any]:
    """How many accounts are shown and in each pile, how many changes of many are under way, and the mark of now."""
    [(mark,)] = NOW.ask()
    found: dict[str, Any] = {"mark": mark}
    shown = _SHOWN.text(asked, by=asked.same and (asked.same, asked.user.pk))
    text = together(shown, _of_work(asked.numbers, asked.user))
    [counted] = still(text, mark)
    found |= zip(text.names, counted, strict=True)
    return {"shown": found["all"], **found}


@require_safe
def daily(request: SignedIn) -> HttpResponse:
    """The list for a query string: filters, order, columns, one page of rows, and the piles above it."""
    if not request.GET and request.user.opens_with_id:
        return redirect(f"{reverse('web:daily')}?view={request.user.opens_with_id}")
    numbers, asked = _read(request)
    # First of all: what changes behind the mark is drawn anew.
    found = _counted(asked)
    listed = _rows(request, asked, numbers)
    notices = [*asked.notices, *tables.columns_of(asked.data)[1]]
    links = _pile_links(asked, found)
    alone = request.headers.get("HX-Target") == "div#daily"
    return render(
        request,
        "web/_daily.html" if alone else "web/daily.html",
        {
            **listed,
            "asked": asked,
            "query": asked.with_(),
            "home": home(request.user),
            "notices": [*notices[:NOTICES_SHOWN], *filter(None, [listed["notice"]])],
            "since": found["mark"],
            "bulk": Bulk.objects.to_tell(request.user).first() if found["bulks"] else None,
            "fresh": found["fresh"] and count_text(found["fresh"]),
            "looked": away(numbers.day_of(request.user.looked_from), numbers.today),
            "shown": count_text(found["shown"]),
            "piles": links,
            "done": next((pile.done for pile, _, _, on in links if on), NOBODY),
            "choices": _choices(listed["columns"]),
            "usual": listed["columns"] == tables.DEFAULT_COLUMNS,
            "usual_keys": [",".join(tables.DEFAULT_KEYS)],
            "chips": [(chosen.words, asked.without(chosen)) for chosen in asked.chosen],
            "sorts": _sort_links(asked, listed["columns"]),
            "bulk_actions": MANY,
            "cell_rights": CELL_RIGHTS,
            "actions": ACTIONS,
        },
    )


@require_safe
def rows(request: SignedIn) -> HttpResponse:
    """The rows after a cursor, alone: what the list fetches when its end comes near."""
    numbers, asked = _read(request)
    return render(request, "web/_rows.html", _rows(request, asked, numbers))


@require_safe
def filters(request: SignedIn) -> HttpResponse:
    """The fields of the filter menu of list and board, the same for every address of theirs."""
    asked = EveryFilter(QueryDict(), numbers=Policy.at(timezone.now()), user=request.user)
    return _beside(render(request, "web/_filters.html", {"asked": asked}))


@require_safe
def forms(request: SignedIn) -> HttpResponse:
    """The forms of the list that serve any account, as templates: fetched after its first paint, opened at once."""
    context = {
        "account": Account(pk=0),
        "origin": "list",
        "people": User.objects.assignable() if request.user.may("task") else [],
        "kinds": Note.Kind.choices,
        "my_today": request.user.today(timezone.now()),
    }
    return _beside(render(request, "web/_daily_forms.html", context))


def _beside(answer: HttpResponse) -> HttpResponse:
    patch_cache_control(answer, private=True, max_age=BESIDE_SECONDS)
    return answer


@require_POST
def looked(request: SignedIn) -> HttpResponse:
    """Finish a pass over the list as it stood when it was drawn: what came later is still new."""
    form = LookedForm(request.POST)
    if form.is_valid():
        request.user.look(min(form.cleaned_data["until"], timezone.now()))
    return redirect("web:daily")


@require_safe
def changed(request: SignedIn) -> HttpResponse:
    """The rows of ``?ids=`` and the counts above them, drawn anew: what others have changed meanwhile."""
    given = request.GET.get("ids", "").split(",")[:CHANGED_AT_ONCE]
    ids = [int(pk) for pk in given if pk.isascii() and pk.isdigit() and len(pk) < 19]
    numbers = Policy.at(timezone.now())
    [found] = _of_work(numbers, request.user).dicts()
    return HttpResponse(_parts(request, ids, numbers, found))


def list_parts(request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None) -> str:
    """One row of the list drawn anew. The counts above follow with what others have changed."""
    return _parts(request, [account.pk], Policy.at(now), {})


def _parts(request: SignedIn, ids: list[int], numbers: Numbers, found: Mapping[str, int]) -> str:
    columns = _columns_on_screen(request)
    facts = Account.objects.filter(pk__in=ids).values(*tables.facts_of(columns))
    context = {
        "rows": tables.rows_of(facts, numbers, everybody(), request.user, columns),
        "keys": [column.key for column in columns],
        "named": tables.names_of(columns),
        "piles": [(pile, count_text(found[pile.key])) for pile in PILES if pile.key in found],
    }
    return render_to_string("web/_row_parts.html", context, request)


def _read(request: SignedIn) -> tuple[Numbers, AccountFilter]:
    numbers = Policy.at(timezone.now())
    return numbers, DailyFilter(request.GET, numbers=numbers, user=request.user, also=("cursor",))


def _columns_on_screen(request: SignedIn) -> tuple[tables.Column, ...]:
    """The columns of the list that a part is drawn for: it names them where they are not the usual ones."""
    query = QueryDict(mutable=True)
    query["columns"] = request.headers.get("Columns", "")
    return tables.columns_of(query)[0]


def _rows(request: SignedIn, asked: AccountFilter, numbers: Numbers) -> dict[str, Any]:
    columns, _ = tables.columns_of(asked.data)
    facts = tables.facts_of(columns)
    found = page(
        lambda: asked.qs.values(*facts),
        asked.order,
        cursor=request.GET.get("cursor", ""),
        by=asked.same and (asked.same, *facts),
    )
    return {
        "rows": tables.rows_of(found.rows, numbers, asked.people, request.user, columns),
        "columns": columns,
        "keys": [column.key for column in columns],
        "named": tables.names_of(columns),
        "next": asked.with_(cursor=[found.next]) if found.next else "",
        "notice": found.notice,
        "numbers": numbers,
    }


def _choices(shown: Collection[tables.Column]) -> list[tuple[str, str]]:
    """The columns for their menu, by key and label: those that are shown, in their order, then the others."""
    return [(one.key, one.label) for one in dict.fromkeys((*shown, *COLUMNS)) if one.key != "account"]


def home(user: User) -> str:
    """The address of the list without any filter or view."""
    return "/?view=none" if user.opens_with_id else "/"


def _pile_links(asked: AccountFilter, found: dict[str, int]) -> list[tuple[Pile, str, str, bool]]:
    """Each pile with its count, the address it leads to, and whether it is what is shown; then it leads out of it."""
    on = {(chosen.name, chosen.value) for chosen in asked.chosen}
    columns = urlencode([("columns", value) for value in asked.data.getlist("columns") if value], safe=",")
    links = []
    for pile in PILES:
        shown = on == set(parse_qsl(pile.query))
        parts = [*([] if shown else [pile.query]), *filter(None, [columns])]
        to = f"/?{'&'.join(parts)}" if parts else home(asked.user)
        links.append((pile, count_text(found[pile.key]), to, shown))
    return links


def _sort_links(asked: AccountFilter, columns: Iterable[tables.Column]) -> dict[str, tuple[str, str]]:
    """For each column that sorts: the query string a click on its head leads to, and how it is sorted now."""
    links = {}
    for column in columns:
        if not column.sort:
            continue
        now = {column.sort: "ascending", f"-{column.sort}": "descending"}.get(asked.order.name, "")
        # Big numbers are what one looks for first.
        first, second = (
            (f"-{column.sort}", column.sort) if column.number else (column.sort, f"-{column.sort}")
        )
        to = second if asked.order.name == first else first
        links[column.key] = (asked.with_(sort=[to]), now)
    return links
