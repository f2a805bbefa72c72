"""The contradictions a record can hold, as a table: which accounts, in which words, and what mends each.

They are shown while they stand. Nothing is claimed, and nothing is done about them without a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

import django_filters
from django.db.models import Exists, OuterRef, Subquery

from apps.crm.days import day
from apps.crm.filters import SORTS, QueryFilter
from apps.crm.models import Account, Call, Note, Task
from apps.crm.models.account import AccountQuerySet, Plan
from apps.crm.pipeline import MOVES, OPEN, Stage
from apps.crm.policy import Numbers

FINAL_TOO_EARLY_DAYS = 30
# Nobody remembers an older call well enough to write it down.
NOTED_WITHIN, REMEMBERED = timedelta(days=1), timedelta(days=60)

Door = Literal["move", "mark", "finish", "task", "note", "renewal", "contract"]


class Mend(NamedTuple):
    """One click that ends a contradiction: the door it goes through, its words, and what it says there."""

    door: Door
    words: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Contradiction:
    """Two facts that cannot both be so.

    ``of`` narrows accounts to those that hold both, with what ``says`` (a sentence) and ``mends`` read.
    """

    label: str
    of: Callable[[AccountQuerySet, Numbers], AccountQuerySet]
    says: Callable[[Any, Numbers], str]
    mends: Callable[[Any, Numbers], list[Mend]]


def _booked(numbers: Numbers) -> Any:
    booked = Call.objects.filter(account=OuterRef("pk"), status=Call.Status.BOOKED)
    return booked.filter(starts_at__gte=numbers.start_of(numbers.today))


def _move(account: Any, to: Stage) -> Mend:
    words = MOVES[Stage(account.stage), to].label
    return Mend("move", words, {"to": to.value, "version": account.version})


def _no_call_ahead(accounts: AccountQuerySet, numbers: Numbers) -> AccountQuerySet:
    gone = Call.objects.filter(account=OuterRef("pk"), status=Call.Status.BOOKED).order_by("-starts_at")
    return accounts.filter(~Exists(_booked(numbers)), stage=Stage.CALL_BOOKED).annotate(
        call=Subquery(gone.values("pk")[:1]), called_at=Subquery(gone.values("starts_at")[:1])
    )


def _the_call(account: Any, numbers: Numbers) -> str:
    return f"The call of {day(numbers.day_of(account.called_at), numbers.today)}"


def _call_gone(account: Any, numbers: Numbers) -> str:
    if account.call is None:
        return "No call is booked."
    return f"{_the_call(account, numbers)} is not marked, and no other is booked."


def _call_mends(account: Any, numbers: Numbers) -> list[Mend]:
    moved = [_move(account, Stage.ENGAGED_EMAIL)]
    if account.call is None:
        return [_move(account, Stage.INTRO_CALL_COMPLETED), *moved]
    mark = {"call": account.call, "seen": Call.Status.BOOKED.value}
    return [
        Mend("mark", words, mark | {"status": status.value})
        for words, status in (("It was held", Call.Status.HELD), ("No-show", Call.Status.NO_SHOW))
    ] + moved


def _far(account: Any, numbers: Numbers) -> str:
    return f"It awaits its final outreach, and renews in {(account.renewal_on - numbers.today).days} days."


def _closing(account: Any, numbers: Numbers) -> list[Mend]:
    engaged = account.engaged_at is not None
    return [_move(account, Stage.ONBOARDED_ENGAGED if engaged else Stage.ONBOARDED_NO_ENGAGEMENT)]


def _engaged(account: Any, numbers: Numbers) -> str:
    how = account.get_engaged_via_display().lower()
    engaged_on = day(numbers.day_of(account.engaged_at), numbers.today)
    return f"It is closed without engagement, and engaged by {how} on {engaged_on}."


def _with_task(accounts: AccountQuerySet, numbers: Numbers) -> AccountQuerySet:
    todo = Task.objects.open().filter(account=OuterRef("pk")).order_by("due_on", "pk")
    return accounts.filter(stage=Stage.CHURNED, next_task_on__isnull=False).annotate(
        task=Subquery(todo.values("pk")[:1]), task_title=Subquery(todo.values("title")[:1])
    )


def next_renewal(last: date, today: date, months: int) -> date:
    """The first day after ``today`` that is a whole number of terms after ``last``; a short month ends earlier."""
    terms = max(((today.year - last.year) * 12 + today.month - last.month) // months, 0)
    then = _months_after(last, terms * months)
    return then if then > today else _months_after(last, (terms + 1) * months)


def _months_after(begins: date, months: int) -> date:
    years, month = divmod(begins.month - 1 + months, 12)
    first = date(begins.year + years, month + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(begins.day, last.day))


def _renew(account: Any, numbers: Numbers) -> list[Mend]:
    by_contract = account.plan == Plan.ANNUAL and account.contract_renewal_on is not None
    then = next_renewal(account.renewal_on, numbers.today, 12 if by_contract else 1)
    field = "contract_renewal_on" if by_contract else "next_renewal_on"
    values = {field: then.isoformat(), "seen": account.changed_at.isoformat()}
    return [Mend("contract" if by_contract else "renewal", f"It renews {day(then, numbers.today)}", values)]


def _held_unnoted(accounts: AccountQuerySet, numbers: Numbers) -> AccountQuerySet:
    noted = Note.objects.filter(account=OuterRef("account"), created_at__gte=OuterRef("starts_at"))
    over = numbers.now - NOTED_WITHIN
    held = Call.objects.filter(
        ~Exists(noted), status=Call.Status.HELD, ends_at__range=(numbers.now - REMEMBERED, over)
    )
    return accounts.filter(pk__in=held.values("account")).annotate(
        called_at=Subquery(held.filter(account=OuterRef("pk")).order_by("-starts_at").values("starts_at")[:1])
    )


def _nothing_planned(accounts: AccountQuerySet, numbers: Numbers) -> AccountQuerySet:
    # Whoever bought a call books it when they like: that is nothing to see to.
    return accounts.filter(
        ~Exists(_booked(numbers)), stage__in=OPEN, engaged_at__isnull=False, next_task_on__isnull=True
    ).exclude(stage=Stage.PAID_CALL)


def _circle_back(account: Any, numbers: Numbers) -> list[Mend]:
    due_on = (numbers.today + timedelta(days=1)).isoformat()
    return [Mend("task", "Circle back tomorrow", {"title": "Circle back", "due_on": due_on})]


CONTRADICTIONS: dict[str, Contradiction] = {
    "no-call-ahead": Contradiction("Call booked, none ahead", _no_call_ahead, _call_gone, _call_mends),
    "final-too-early": Contradiction(
        "Final outreach, renewal far off",
        lambda accounts, numbers: accounts.filter(
            stage=Stage.AWAITING_FINAL_OUTREACH,
            renewal_on__gt=numbers.today + timedelta(days=FINAL_TOO_EARLY_DAYS),
        ),
        _far,
        _closing,
    ),
    "engaged-in-6a": Contradiction(
        "Engaged, but in 6a",
        lambda accounts, numbers: accounts.filter(
            stage=Stage.ONBOARDED_NO_ENGAGEMENT, engaged_at__isnull=False
        ),
        _engaged,
        lambda account, numbers: [_move(account, Stage.ONBOARDED_ENGAGED)],
    ),
    "task-on-churned": Contradiction(
        "Churned, with a task",
        _with_task,
        lambda account, numbers: f"It has churned, and “{account.task_title[:80]}” is still to do.",
        lambda account, numbers: [Mend("finish", "Task done", {"task": account.task})],
    ),
    "renewal-past": Contradiction(
        "Renewal in the past",
        lambda accounts, numbers: accounts.filter(stage__in=OPEN, renewal_on__lt=numbers.today),
        lambda account, numbers: (
            f"Its next renewal was {(numbers.today - account.renewal_on).days} days ago."
        ),
        _renew,
    ),
    "held-no-note": Contradiction(
        "Call held, no note",
        _held_unnoted,
        lambda account, numbers: f"{_the_call(account, numbers)} was held, and nobody has written it down.",
        lambda account, numbers: [Mend("note", "Write the note", {})],
    ),
    "nothing-planned": Contradiction(
        "Engaged, nothing planned",
        _nothing_planned,
        lambda account, numbers: "It has engaged, and has neither a task nor a call ahead.",
        _circle_back,
    ),
}


class HygieneFilter(QueryFilter):
    """The accounts in contradiction with themselves that a query string asks for, of one kind or of each."""

    everything = Account.objects
    sorts = {"renewal": SORTS["renewal"]}
    default_sort = "renewal"

    kind = django_filters.ChoiceFilter(
        label="Kind", choices=[(key, one.label) for key, one in CONTRADICTIONS.items()]
    )
    owner = django_filters.ChoiceFilter(label="Owner", choices=[])

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        return {"owner": lambda: self._people_choices()}

    @property
    def kind_asked(self) -> str:
        return self.form.cleaned_data.get("kind") or ""

    def of(self, kind: str) -> AccountQuerySet:
        """The accounts of one kind, whichever is asked for, of the owner asked for."""
        accounts: AccountQuerySet = Account.objects.all()
        if owner := self.form.cleaned_data.get("owner"):
            people: dict[str, Any] = {"me": self.user.pk, "none": None}
            accounts = accounts.filter(owner=people.get(owner, owner))
        return CONTRADICTIONS[kind].of(accounts, self.numbers)
