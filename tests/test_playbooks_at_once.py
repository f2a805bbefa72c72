"""The playbooks while others are at work: five runs at once, a person beside them, a run cut short."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import pairwise
from threading import Barrier

import pytest
from django.db import connection, transaction

from apps.crm import demo
from apps.crm.models import Account, Alert, StageTransition, Task
from apps.crm.models.moving import Conflict, Refused
from apps.crm.pipeline import Stage
from apps.playbooks import engine
from apps.playbooks.engine import run
from apps.playbooks.models import Act, Run
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import AddTask, MoveWithTask
from tests.factories import NOW, account, days, in_days, user

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOW + timedelta(minutes=1)


def together(*jobs):
    """Do these at the same moment, each on a connection of its own; what each returned or raised."""
    start = Barrier(len(jobs))

    def one(job):
        start.wait()
        try:
            return job()
        except (Conflict, Refused) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, jobs))


def in_2(number):
    return [
        account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(5)).pk for _ in range(number)
    ]


def in_1(number):
    return [account(Stage.NEW, since=NOW - days(30)).pk for _ in range(number)]


def foreseen():
    """Whom a run of every playbook would act on; nothing is written."""
    told = []
    run([*PLAYBOOKS], now=NOW, dry_run=True, tell=told.append)
    return told


def test_five_runs_at_once_end_as_one_does(monkeypatch):
    monkeypatch.setattr(engine, "SLICE", 7)
    moved, alerted = in_2(40), in_1(40)
    results = together(*[lambda: run([*PLAYBOOKS], now=NOW)] * 5)
    assert sum(result.acted for each in results for result in each) == 80
    assert not any(result.failed for each in results for result in each)
    assert Account.objects.filter(pk__in=moved, stage=Stage.AWAITING_FINAL_OUTREACH, version=2).count() == 40
    assert Task.objects.filter(account__in=moved).count() == Task.objects.count() == 40
    assert Alert.objects.open().filter(account__in=alerted).count() == Alert.objects.count() == 40
    assert Account.objects.filter(open_alerts=1).count() == 40
    assert Act.objects.count() == 80
    assert StageTransition.objects.filter(cause="playbook:final-outreach-due").count() == 40
    assert sum(Run.objects.values_list("acted", flat=True)) == 80
    assert not Run.objects.filter(acted=0).exists()


def test_five_workers_and_two_beats_on_every_playbook_act_once_and_alert_once(monkeypatch):
    """2,000 accounts as a team has them, each playbook with some to act on; the slices are small, so that they meet."""
    monkeypatch.setattr(engine, "SLICE", 100)
    for role in {role for *_, role in demo.LOGINS.values()}:
        user(role)
    demo.add_logins(now=NOW)
    demo.add_accounts(2_000, seed=1, now=NOW)
    expected = {(line.playbook, line.account) for line in foreseen()}
    tick = partial(run, [*PLAYBOOKS], now=NOW)
    together(*[tick] * 7)
    run([*PLAYBOOKS], now=LATER)
    run([*PLAYBOOKS], now=NOW + days(3))
    acts = list(Act.objects.values_list("playbook", "account", "occasion"))
    assert expected <= {(playbook, account) for playbook, account, _ in acts}
    assert {playbook for playbook, _ in expected} >= {*PLAYBOOKS} - {
        "enter-pipeline",
        "sales-lead",
        "first-bill-check",
    }
    made = dict(
        Counter(Task.objects.filter(cause__startswith="playbook:").values_list("cause", "account", "title"))
    )
    raised = Counter(Alert.objects.values_list("account", "kind", "subject"))
    assert set(raised.values()) == {1}
    adding = {name for name, playbook in PLAYBOOKS.items() if isinstance(playbook.then, AddTask)}
    assert sum(made[key] for key in made if key[0].removeprefix("playbook:") in adding) == sum(
        playbook in adding for playbook, *_ in acts
    )
    assert not Run.objects.filter(failed__gt=0).exists()


def test_the_unique_key_alone_keeps_two_runs_from_acting_twice():
    [pk] = in_2(1)
    first, second = (Run.objects.create(playbook="final-outreach-due", started_at=NOW) for _ in range(2))
    claim = (pk, "renewal:2026-11-26", "because")
    assert sorted(map(len, together(lambda: first.claim([claim]), lambda: second.claim([claim])))) == [0, 1]
    assert Act.objects.count() == 1


def test_of_a_person_and_a_playbook_one_moves_the_account_and_the_other_takes_it_from_there():
    person = user()
    for number in range(10):
        [pk] = in_2(1)
        here = Account.objects.get(pk=pk)
        when = NOW + timedelta(seconds=number)
        together(
            lambda here=here, when=when: here.move(
                Stage.ENGAGED_EMAIL, by=person, now=when, cause="board", version=1
            ),
            lambda when=when: run(["final-outreach-due"], now=when),
        )
        run(["final-outreach-due"], now=LATER)
        path = list(
            StageTransition.objects.filter(account=pk)
            .order_by("version")
            .values_list("from_stage", "to_stage")
        )
        assert [to for _, to in path][-1] == Stage.AWAITING_FINAL_OUTREACH
        assert all(before == after for (_, before), (after, _) in pairwise(path))
        assert Task.objects.filter(account=pk).count() == Act.objects.filter(account=pk).count() == 1


def test_an_account_that_somebody_is_changing_is_left_to_the_next_run():
    locked, free = in_2(2)
    with transaction.atomic():
        Account.objects.get(pk=locked).lock()
        [[result]] = together(lambda: run(["final-outreach-due"], now=NOW))
    assert (result.acted, result.failed) == (1, 0)
    assert list(Act.objects.values_list("account", flat=True)) == [free]
    assert run(["final-outreach-due"], now=LATER)[0].acted == 1


def test_a_run_cut_short_leaves_whole_slices_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(engine, "SLICE", 10)
    in_2(30)
    real, calls = MoveWithTask.__call__, []

    def killed(self, batch):
        calls.append(real(self, batch))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(MoveWithTask, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        run(["final-outreach-due"], now=NOW)
    assert Act.objects.count() == Task.objects.count() == 10
    assert Run.objects.get().acted == 10
    assert run(["final-outreach-due"], now=LATER)[0].acted == 20
    assert Act.objects.count() == Task.objects.count() == 30


def test_what_changed_since_it_was_found_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(engine, "SLICE", 1)
    first, second = in_2(2)

    def extend(line):
        Account.objects.filter(pk=second).update(extended_until=in_days(20))

    assert [result.acted for result in run(["final-outreach-due"], now=NOW, tell=extend)] == [1]
    assert list(Act.objects.values_list("account", flat=True)) == [first]
    assert Account.objects.get(pk=second).stage == Stage.INITIATED
