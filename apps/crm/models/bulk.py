"""Changing many accounts at once, by the same writers as one at a time.

A few are changed while somebody waits; more by the worker, slice by slice, so that whoever asked can leave and come
back. What was left as it was is kept with the reason; undo is a change of many, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from apps.crm.enough import Enough, never
from apps.crm.models.account import Account
from apps.crm.models.label import Label
from apps.crm.models.moving import MoveError
from apps.crm.models.task import Task
from apps.crm.models.user import User
from apps.crm.options import refusal, rule_of
from apps.crm.pipeline import STAGES, Stage
from apps.crm.policy import Numbers

# So many are changed while somebody waits; more are the worker's.
AT_ONCE = 200
MOST = 10_000
SLICE = 200
FORGET_AFTER = timedelta(days=30)

Facts = Mapping[str, Any]


class _Standing(NamedTuple):
    """What the guards ask of an account."""

    stage: str
    engaged_at: datetime | None
    intro_call_completed_at: datetime | None
    stage_before_paid_call: str


def gathered(why: Mapping[str, list[int]], rules: Mapping[str, str]) -> dict[str, list[int]]:
    """Accounts by the sentence that says why they stay, the most frequent first.

    Sentences that differ in a day or a name alone become the rule they say, of ``rules`` by sentence.
    """
    same: dict[str, list[str]] = {}
    for sentence in why:
        same.setdefault(rules.get(sentence, sentence), []).append(sentence)
    found = {
        sentences[0] if len(sentences) == 1 else rule: [pk for one in sentences for pk in why[one]]
        for rule, sentences in same.items()
    }
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))


class Preview:
    """Which of some accounts a person may move where, and why the others stay; one query."""

    def __init__(self, ids: Collection[int]) -> None:
        self._like: dict[_Standing, list[int]] = {}
        rows = Account.objects.filter(pk__in=ids).order_by("pk")
        for pk, *facts in rows.values_list("pk", *_Standing._fields):
            self._like.setdefault(_Standing(*facts), []).append(pk)

    @property
    def total(self) -> int:
        return sum(map(len, self._like.values()))

    def going(self, to: Stage) -> int:
        """How many may move there now."""
        return sum(len(ids) for facts, ids in self._like.items() if not refusal(facts, to))

    def staying(self, to: Stage) -> dict[str, list[int]]:
        """The others by what refuses them, the most frequent first."""
        why: dict[str, list[int]] = {}
        rules: dict[str, str] = {}
        for facts, ids in self._like.items():
            if sentence := refusal(facts, to):
                why.setdefault(sentence, []).extend(ids)
                rules[sentence] = rule_of(facts, to)
        return gathered(why, rules)

    def sources(self, to: Stage) -> set[Stage]:
        """The stages that those who may move there come from."""
        return {Stage(facts.stage) for facts in self._like if not refusal(facts, to)}

    def choices(self) -> list[tuple[Stage, int]]:
        """Every stage with how many may move there, in the board's order."""
        return [(stage, self.going(stage)) for stage in STAGES]


class BulkQuerySet(models.QuerySet["Bulk"]):
    def waiting(self) -> BulkQuerySet:
        return self.filter(finished_at__isnull=True).order_by("pk")

    def to_tell(self, user: User) -> BulkQuerySet:
        """This person's that are at work, or over without their having looked."""
        return self.filter(by=user, seen=False).order_by("pk")

    def forget(self, *, now: datetime) -> None:
        self.filter(finished_at__lt=now - FORGET_AFTER).delete()


class Bulk(models.Model):
    """A change of many accounts: asked for by a person, made slice by slice, with what was left and why."""

    kind = models.CharField(max_length=10)
    what = models.JSONField(default=dict, help_text="What the form said.")
    accounts = models.JSONField(default=list, help_text="Their ids.")
    place = models.PositiveIntegerField(default=0, help_text="So many of them are dealt with.")
    made = models.JSONField(default=dict, help_text="By account, what undo must know.")
    left = models.JSONField(
        default=dict, help_text="Who was left as they were, by the sentence that says why."
    )
    rules = models.JSONField(
        default=dict, help_text="By such a sentence the rule it says, where it tells a day or a name besides."
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="+", db_index=False)
    at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    seen = models.BooleanField(default=False, help_text="Whether who asked has seen what came of it.")

    objects: ClassVar[Any] = BulkQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["id"], name="bulk_waiting", condition=Q(finished_at=None)),
            models.Index(fields=["by"], name="bulk_to_tell", condition=Q(seen=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {len(self.accounts)} accounts"

    def get_absolute_url(self) -> str:
        return f"/daily/many/{self.pk}/"

    @classmethod
    def begin(cls, kind: str, ids: Collection[int], *, by: User, now: datetime, **what: Any) -> Bulk:
        """Change these accounts: at once where they are few, or else as soon as the worker comes to it."""
        few = len(ids) <= AT_ONCE
        with transaction.atomic():
            made: Bulk = cls.objects.create(
                kind=kind, accounts=sorted(set(ids)), by=by, at=now, what=what, seen=few
            )
            if few:
                made.carry_out(now=now)
        return made

    def carry_out(self, *, now: datetime, enough: Enough = never) -> None:
        """Go on with it to the end, or until it is enough; whoever dies in the middle loses one slice."""
        while self._slice(now) and not enough():
            pass
        self.refresh_from_db()

    def _slice(self, now: datetime) -> bool:
        """Deal with the next accounts; False when none is left, or another worker is at it."""
        with transaction.atomic():
            mine = Bulk.objects.waiting().select_for_update(skip_locked=True, of=("self",))
            here = mine.select_related("by").filter(pk=self.pk).first()
            if here is None:
                return False
            ids = here.accounts[here.place : here.place + SLICE]
            here._make(ids, now)
            here.place += len(ids)
            if here.place >= len(here.accounts):
                here.finished_at = now
            here.save(update_fields=["made", "left", "rules", "place", "finished_at"])
        return here.finished_at is None

    def _make(self, ids: list[int], now: datetime) -> None:
        if not self.by.may(KINDS[self.what["undoes"] if self.kind == "undo" else self.kind].right):
            for pk in ids:
                self.leave("You may not do that any more.", pk)
            return
        # In the order of their ids, as everybody locks who locks many.
        rows = Account.objects.filter(pk__in=ids).order_by("pk")
        accounts = list(rows.select_for_update(no_key=True, of=("self",)))
        for pk in set(ids) - {account.pk for account in accounts}:
            self.leave("It is not here any more.", pk)
        KINDS[self.kind].make(self, accounts, now)

    def leave(self, sentence: str, pk: int, rule: str = "") -> None:
        """Note why an account stays as it is."""
        self.left.setdefault(sentence, []).append(pk)
        if rule not in ("", sentence):
            self.rules[sentence] = rule

    @property
    def stayed(self) -> dict[str, list[int]]:
        """Who was left as they were, by why."""
        return gathered(self.left, self.rules)

    def note(self, done: Mapping[int, Any], accounts: list[Account], otherwise: str) -> None:
        """Note what was made of which account; the others were like that already."""
        self.made |= {str(pk): value for pk, value in done.items()}
        for account in accounts:
            if account.pk not in done:
                self.leave(otherwise, account.pk)

    @property
    def percent(self) -> int:
        return 100 * self.place // max(len(self.accounts), 1)

    @property
    def says(self) -> str:
        """What it does, for a sentence: “moved to …”."""
        return KINDS[self.kind].says(self.what)

    def undo_refusal(self, by: User, numbers: Numbers) -> str:
        """Why this person may not take it back now; empty when they may."""
        if self.kind == "undo":
            return "An undo cannot be undone."
        if self.by_id != by.pk:
            return f"{self.by} did this; only they can undo it."
        if self.finished_at is None or not self.made:
            return "There is nothing to undo yet."
        if self.undone_at is not None:
            return "It was undone already."
        late = numbers.now - self.finished_at >= timedelta(minutes=numbers.undo_minutes)
        return f"You did this more than {numbers.undo_minutes} minutes ago." if late else ""

    def undo(self, *, by: User, now: datetime) -> Bulk | None:
        """Take it back where nobody has changed it since; None when somebody was first."""
        with transaction.atomic():
            if not Bulk.objects.filter(pk=self.pk, undone_at=None).update(undone_at=now):
                return None
            return Bulk.begin("undo", [*map(int, self.made)], by=by, now=now, of=self.pk, undoes=self.kind)


def _move(bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    to, reason = Stage(bulk.what["to"]), bulk.what.get("reason", "")
    for account in accounts:
        try:
            row = account.move(to, by=bulk.by, now=now, cause="list", reason=reason)
        except MoveError as error:
            bulk.leave(error.sentence, account.pk, error.rule)
        else:
            bulk.note({account.pk: row.pk} if row else {}, [account], f"It is in “{to.label}” already.")


def _move_back(of: Bulk, bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    for account in accounts:
        try:
            row = account.undo(by=bulk.by, now=now, transition_id=of.made[str(account.pk)])
        except MoveError as error:
            bulk.leave(error.sentence, account.pk, error.rule)
        else:
            bulk.made[str(account.pk)] = row.pk


def _assign(bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    was = _all(accounts).give_to(bulk.what["owner"], by=bulk.by, now=now)
    bulk.note(was, accounts, "It has that owner already.")


def _assign_back(of: Bulk, bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    for owner in {of.made[str(account.pk)] for account in accounts}:
        theirs = [account.pk for account in accounts if of.made[str(account.pk)] == owner]
        as_left = Account.objects.filter(pk__in=theirs, owner=of.what["owner"])
        bulk.made |= {str(pk): None for pk in as_left.give_to(owner, by=bulk.by, now=now)}
    bulk.note({int(pk): None for pk in bulk.made}, accounts, "Somebody has given it to somebody else since.")


def _label(bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    label = Label.called(bulk.what["name"])
    done = _all(accounts).put_label(label, now=now)
    bulk.note(dict.fromkeys(done, label.pk), accounts, f"It is labelled “{label}” already.")


def _label_back(of: Bulk, bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    label = of.made[str(accounts[0].pk)] if accounts else None
    done = _all(accounts).take_label(label, now=now)
    bulk.note(dict.fromkeys(done), accounts, "Somebody has taken the label off since.")


def _unlabel(bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    label = Label.objects.filter(name__iexact=bulk.what["name"]).first()
    done = _all(accounts).take_label(label.pk if label else None, now=now)
    pk = label.pk if label else None
    bulk.note(dict.fromkeys(done, pk), accounts, f"It is not labelled “{bulk.what['name']}”.")


def _unlabel_back(of: Bulk, bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    done = _all(accounts).put_label(Label.called(of.what["name"]), now=now)
    bulk.note(dict.fromkeys(done), accounts, "Somebody has put the label back since.")


def _task(bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    what = bulk.what
    made = _all(accounts).add_tasks(
        what["title"], what["due_on"], by=bulk.by, now=now, assignee=what["assignee"]
    )
    bulk.note(made, accounts, "")


def _task_back(of: Bulk, bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    ids = [of.made[str(account.pk)] for account in accounts]
    tasks = Task.objects.open().filter(pk__in=ids)
    done = dict.fromkeys(tasks.values_list("account", flat=True))
    tasks.update(done_at=now, done_by=bulk.by, dropped=True)
    _all(accounts).recount()
    bulk.note(done, accounts, "The task is done already.")


def _undo(bulk: Bulk, accounts: list[Account], now: datetime) -> None:
    of = Bulk.objects.get(pk=bulk.what["of"])
    back = KINDS[of.kind].back
    assert back is not None
    back(of, bulk, accounts, now)


def _all(accounts: list[Account]) -> Any:
    return Account.objects.filter(pk__in=[account.pk for account in accounts])


class Kind(NamedTuple):
    """A change of many: the right it takes, how it is made of one slice and taken back, and its words."""

    right: str
    make: Callable[[Bulk, list[Account], datetime], None]
    back: Callable[[Bulk, Bulk, list[Account], datetime], None] | None
    says: Callable[[Facts], str]


KINDS: dict[str, Kind] = {
    "move": Kind("move", _move, _move_back, lambda what: f"moved to “{Stage(what['to']).label}”"),
    "assign": Kind("edit", _assign, _assign_back, lambda what: f"given to {what['called']}"),
    "label": Kind("edit", _label, _label_back, lambda what: f"labelled “{what['name']}”"),
    "unlabel": Kind("edit", _unlabel, _unlabel_back, lambda what: f"labelled “{what['name']}” no more"),
    "task": Kind("task", _task, _task_back, lambda what: f"given the task “{what['title'][:80]}”"),
    "undo": Kind("read", _undo, None, lambda what: "as before"),
}
