"""Demo data: lively, repeatable, and as true to the ledger as anything people do."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from apps.crm import demo
from apps.crm.models import (
    Account,
    AccountLabel,
    Alert,
    AuditPoint,
    Bill,
    Call,
    CallHost,
    Contact,
    Credit,
    Label,
    Note,
    Notice,
    Purchase,
    ScopeDecision,
    Signal,
    StageTransition,
    Survey,
    Task,
    User,
)
from apps.crm.pipeline import MOVES, STAGES, Stage
from apps.crm.policy import Policy
from apps.playbooks.engine import run
from apps.playbooks.registry import PLAYBOOKS
from apps.web import doctor
from tests.factories import NOW, TODAY, days, in_days

pytestmark = pytest.mark.django_db

MODELS = (
    Account,
    AccountLabel,
    Alert,
    AuditPoint,
    Bill,
    Call,
    CallHost,
    Contact,
    Credit,
    Label,
    Note,
    Notice,
    Purchase,
    ScopeDecision,
    Signal,
    StageTransition,
    Survey,
    Task,
)
# Ids go on counting, so they differ from one making to the next, and so does what is named after one.
IDS = {"id", "account_id", "transition_id", "call_id", "label_id", "note_id", "subject"} | {
    "closing_id",
    "contact_id",
    "reference",
}


def seeded(number: int = 60, *, seed: int = 1) -> int:
    demo.add_logins(now=timezone.now())
    return demo.add_accounts(number, seed=seed, now=NOW)


def told() -> dict[str, list[Any]]:
    """Every row of the demo data, without its ids, in an order of its own."""
    return {
        model.__name__: sorted(
            repr({name: value for name, value in row.items() if name not in IDS})
            for row in model.objects.values()
        )
        for model in MODELS
    }


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


def test_the_same_seed_and_day_make_the_same_data():
    demo.add_logins(now=timezone.now())
    first: dict[str, list[Any]] = {}
    for _ in range(2):
        with transaction.atomic():
            seeded()
            first = first or told()
            assert told() == first
            transaction.set_rollback(True)
    seeded(seed=2)
    assert told()["Account"] != first["Account"]


def test_more_accounts_leave_those_that_are_there_as_they_are():
    assert seeded(30) == 30
    before = Account.objects.order_by("pk").values()[:30]
    before = list(before)
    assert seeded(50) == 20
    assert list(Account.objects.order_by("pk").values()[:30]) == before


def test_seeding_again_changes_nothing_and_says_so(debug):
    call_command("seed_demo", accounts=40, stdout=StringIO())
    before, people = told(), list(User.objects.order_by("pk").values())
    out = StringIO()
    call_command("seed_demo", accounts=40, stdout=out)
    assert out.getvalue() == "Nothing to do: the 40 demo accounts of seed 1 are here.\n"
    assert (told(), list(User.objects.order_by("pk").values())) == (before, people)


@pytest.mark.parametrize("settled", [False, True])
def test_history_replays_and_counts_hold(settled, monkeypatch):
    if settled:
        monkeypatch.setattr(demo.scenes, "LIVE_ACCOUNTS", 0)
    seeded(300)
    assert [said for well, said in [*doctor.ledger(), *doctor.counts()] if not well] == []
    walked = StageTransition.objects.exclude(version=1).values_list("from_stage", "to_stage")
    assert {(Stage(source), Stage(target)) for source, target in walked} <= MOVES.keys()
    assert not StageTransition.objects.filter(at__gt=NOW).exists()


def test_the_day_it_shows_is_alive():
    seeded(400)
    numbers = Policy.at(NOW)
    here = Account.objects.all()
    assert set(here.values_list("stage", flat=True)) == {Stage.OUTSIDE, *STAGES}
    assert here.awaiting_outreach(numbers).count() > 20
    assert here.filter(open_alerts__gt=0).count() > 10
    assert here.filter(next_task_on__lt=TODAY).count() > 10
    assert here.filter(next_task_on=TODAY).exists()
    assert here.filter(next_task_on__gt=TODAY).exists()
    tomorrow = Call.objects.filter(
        starts_at__range=(numbers.start_of(in_days(1)), numbers.end_of(in_days(1)))
    )
    assert tomorrow.filter(status=Call.Status.BOOKED).count() > 2
    assert Bill.objects.filter(status=Bill.Status.OPEN, attempts__gt=0).exists()
    assert here.filter(entered_at__gte=NOW - days(2)).exists()
    assert here.filter(stage=Stage.AWAITING_FINAL_OUTREACH, tasks__transition__isnull=False).exists()
    assert not here.exclude(domain__endswith=".demo.example").exists()
    assert here.values("name").distinct().count() == 400


def test_every_playbook_of_people_shows_something_and_the_alerts_are_no_flood():
    seeded(400)
    acted = {result.playbook: result.acted for result in run([*PLAYBOOKS], now=NOW)}
    # Who enters is decided when it is seeded, and nobody is outside with a forecast for Sales.
    assert {name for name, count in acted.items() if not count} <= {
        "enter-pipeline",
        "sales-lead",
        "first-bill-check",
    }
    of_these = Alert.objects.open().filter(kind__in=("churn-signal", "handover-returned"))
    assert 1 < of_these.count() < 12


def test_demo_logins_hold_their_roles_and_keep_a_password_that_was_changed():
    assert demo.add_logins(now=timezone.now()) == 6
    people = {person.username: person for person in User.objects.filter(username__in=demo.LOGINS)}
    assert {login: set(person.roles) for login, person in people.items()} == {
        login: {role} for login, (_, _, role) in demo.LOGINS.items()
    }
    assert all(person.check_password(demo.PASSWORD) for person in people.values())
    assert {person.email for person in people.values()} == {f"{login}@onramp.example" for login in people}
    assert set(User.objects.sender_group()) == {people["specialist"], people["specialist2"]}
    people["lead"].set_password("changed-since")
    people["lead"].save()
    assert demo.add_logins(now=timezone.now()) == 0
    assert User.objects.get(username="lead").check_password("changed-since")


def test_without_debug_it_refuses_and_makes_nobody(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="with DEBUG only"):
        call_command("seed_demo")
    assert (User.objects.count(), Account.objects.count()) == (0, 0)


@pytest.mark.parametrize("bad", [{"accounts": 0}, {"accounts": -5}, {"seed": -1}])
def test_numbers_that_mean_nothing_are_refused(bad, debug):
    with pytest.raises(CommandError, match="takes a number"):
        call_command("seed_demo", **bad)
    assert (User.objects.count(), Account.objects.count()) == (0, 0)
