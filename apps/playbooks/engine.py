"""Runs the playbooks: whom each is for now, minus the occasions already acted on; then act, a slice at a time.

A slice is one transaction: it locks its accounts, looks again, claims the occasions and acts on what it claimed.
The unique key of ``Act`` keeps any two runs from acting twice, and nothing here asks when it was last run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import batched
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Exists, OuterRef, When

from apps.crm.enough import Enough, never
from apps.crm.models import Account, Policy, User
from apps.crm.policy import Numbers
from apps.playbooks.due import due, of_accounts, with_work
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.occasions import RENEWAL
from apps.playbooks.registry import PLAYBOOKS, Playbook
from apps.playbooks.then import Batch, Row

SLICE = 5_000
ERRORS_KEPT = 20
COLUMNS = ("pk", "external_id", "name", "renewal_on", "entered_at", "occasion", "assignee_id")

log = structlog.get_logger(__name__)


class NotRun(Exception):
    """A run that cannot be made as asked, with the sentence to show. Nothing was changed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Line(NamedTuple):
    """An account that a playbook acts or would act on, and why."""

    playbook: str
    external_id: str
    name: str
    because: str
    account: int


@dataclass
class Result:
    """What a run of one playbook came to; ``errors`` are the first of the ``failed``, account id and error."""

    playbook: str
    acted: int = 0
    failed: int = 0
    paused: bool = False
    errors: list[dict[str, Any]] = field(default_factory=list)


def named(name: str) -> Playbook:
    """The playbook of that name; raises ``NotRun`` where there is none."""
    if name not in PLAYBOOKS:
        raise NotRun(f"There is no playbook “{name}”. There are: {', '.join(PLAYBOOKS)}.")
    return PLAYBOOKS[name]


def lines(playbook: Playbook, numbers: Numbers, rows: Any) -> Iterator[Line]:
    """A line for each of the accounts that ``due`` found."""
    for row in _rows(playbook, rows).iterator(SLICE):
        yield _line(playbook, numbers, row)


def _rows(playbook: Playbook, rows: Any) -> Any:
    active_owner = Case(When(owner__is_active=True, then="owner_id"))
    return rows.annotate(assignee_id=active_owner).values_list(*COLUMNS, *playbook.facts, named=True)


def _line(playbook: Playbook, numbers: Numbers, row: Row) -> Line:
    return Line(playbook.name, row.external_id, row.name, playbook.because(row, numbers), row.pk)


def skip(playbook: Playbook, account: Account, *, by: User, now: datetime) -> bool:
    """Have a playbook leave an account alone until its next renewal; False when this renewal is settled already."""
    with transaction.atomic():
        account.lock()
        renewal = Account.objects.filter(pk=account.pk).values_list(RENEWAL.occasion, flat=True).get()
        _, new = Act.objects.get_or_create(
            playbook=playbook.name,
            account=account,
            occasion=renewal,
            defaults={"skipped": True, "by": by, "at": now},
        )
    return new


def standing_skips() -> Any:
    """The skips that still stand: those of the renewal at hand."""
    renewing = Account.objects.alias(renewal=RENEWAL.occasion).filter(renewal=OuterRef("occasion"))
    return Act.objects.filter(Exists(renewing.filter(pk=OuterRef("account"))), skipped=True)


def unskip(playbook: Playbook, account: Account) -> bool:
    """Take back a skip that still stands; False when there is none."""
    return bool(standing_skips().filter(playbook=playbook.name, account=account).delete()[0])


def run(
    names: Sequence[str],
    *,
    now: datetime,
    on: date | None = None,
    by: User | None = None,
    held: bool = False,
    of: Collection[int] | None = None,
    dry_run: bool = False,
    tell: Callable[[Line], object] = lambda line: None,
    enough: Enough = never,
) -> list[Result]:
    """Run playbooks by name, in that order, and return what each came to. A paused one is passed over.

    ``on`` sets the team's today, ``held`` takes in accounts that an import holds, ``of`` narrows to
    these accounts, what is tended included, ``dry_run`` writes nothing.
    ``tell`` hears of each account once it is done, or would be; ``enough`` is asked before each slice whether to
    leave the rest to the next run. Raises ``NotRun`` for an unknown name, and for acting on a day ahead of now.
    """
    playbooks = [named(name) for name in names]
    numbers = Policy.at(now, on)
    if numbers.today > numbers.day_of(now) and not (dry_run or settings.DEBUG):
        raise NotRun(f"{on} lies ahead, and nothing is done ahead of its day: ask with --dry-run.")
    paused = Switch.objects.paused()
    sweeps = [Sweep(playbook, numbers, held, of, tell, enough) for playbook in playbooks]
    going = [sweep for sweep in sweeps if sweep.playbook.name not in paused]
    for sweep in sweeps:
        sweep.result.paused = sweep not in going
    if dry_run:
        for sweep in going:
            sweep.preview()
        return [sweep.result for sweep in sweeps]
    if on is None and not held:
        go_where_there_is_work(going, numbers, of, by=by)
    else:
        for sweep in going:
            sweep.go(on=on, by=by)
    if going and of is None:
        Switch.objects.ran([sweep.playbook.name for sweep in going], now=now)
    return [sweep.result for sweep in sweeps]


def go_where_there_is_work(
    sweeps: Sequence[Sweep], numbers: Numbers, of: Collection[int] | None = None, **about: Any
) -> None:
    """Run those that have work, in order; what one has done may be work for the next, so these are asked again."""
    playbooks = [sweep.playbook for sweep in sweeps]
    busy = with_work(playbooks, numbers, of=of)
    for place, sweep in enumerate(sweeps):
        if sweep.playbook.name in busy:
            sweep.go(**about)
            if not busy.issuperset(playbook.name for playbook in playbooks[place + 1 :]):
                busy = with_work(playbooks, numbers, of=of, after=place)


@dataclass(eq=False)
class Sweep:
    """One playbook under way."""

    playbook: Playbook
    numbers: Numbers
    held: bool
    of: Collection[int] | None
    tell: Callable[[Line], object]
    enough: Enough
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(self.playbook.name)

    def due(self) -> Any:
        return of_accounts(due(self.playbook, self.numbers, held=self.held), self.of)

    def preview(self) -> None:
        """Tell whom it would act on, and write nothing."""
        for line in lines(self.playbook, self.numbers, self.due()):
            self._told(line)

    def go(self, **about: Any) -> None:
        """Act on everybody it is for, and keep what happened; ``about`` goes on the run."""
        run = Run(playbook=self.playbook.name, started_at=self.numbers.now, **about)
        try:
            for tend in self.playbook.tends:
                tend.mend(of_accounts(tend.which(self.numbers), self.of), self.numbers, self.enough)
            for ids in batched(self.due().values_list("pk", flat=True).iterator(SLICE), SLICE):
                if run._state.adding:
                    run.save()
                self._attempt(ids, run)
        except Exception as error:
            self._failed(None, error)
        run.finish(acted=self.result.acted, failed=self.result.failed, errors=self.result.errors)

    def _attempt(self, ids: Sequence[int], run: Run) -> None:
        """Act on these accounts; where that fails, on one half and the other, until what fails stands alone."""
        if self.enough():
            return
        try:
            done = self._act(ids, run)
        except Exception as error:
            if len(ids) == 1:
                self._failed(ids[0], error)
                return
        else:
            for line in done:
                self._told(line)
            return
        middle = len(ids) // 2
        self._attempt(ids[:middle], run)
        self._attempt(ids[middle:], run)

    def _act(self, ids: Sequence[int], run: Run) -> list[Line]:
        """Act on those of these accounts that it is still for, all of them or none; a line for each."""
        with transaction.atomic():
            # Whom somebody is changing at this moment is left to the next run.
            unlocked = Account.objects.filter(pk__in=ids).order_by("pk")
            mine = unlocked.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)
            rows = list(_rows(self.playbook, self.due().filter(pk__in=list(mine))))
            if not rows:
                return []
            said = {(row.pk, row.occasion): _line(self.playbook, self.numbers, row) for row in rows}
            claimed = run.claim((*key, line.because) for key, line in said.items())
            batch = Batch(
                self.playbook.name,
                [row for row in rows if (row.pk, row.occasion) in claimed],
                {key[0]: said[key].because for key in claimed},
                self.numbers,
            )
            run.link(self.playbook.then(batch))
            return [line for key, line in said.items() if key in claimed]

    def _told(self, line: Line) -> None:
        self.result.acted += 1
        self.tell(line)

    def _failed(self, account: int | None, error: Exception) -> None:
        """Keep the failure and go on; without a database there is no going on."""
        if not connection.is_usable():
            raise error
        log.warning("playbook_failed", playbook=self.playbook.name, account=account, exc_info=error)
        self.result.failed += 1
        if len(self.result.errors) < ERRORS_KEPT:
            self.result.errors.append({"account": account, "error": f"{type(error).__name__}: {error}"[:500]})
