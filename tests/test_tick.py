"""The tick asks once for all playbooks which have work, by questions written once a day, and misses nobody by it."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from apps.crm import demo
from apps.crm.models import Account, Alert, Policy, Signal, StageTransition
from apps.crm.pipeline import Stage
from apps.playbooks import due as asking
from apps.playbooks import engine
from apps.playbooks.due import due, of_accounts, question, with_work
from apps.playbooks.engine import run
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS
from tests.factories import NOW, TODAY, account, days, in_days

pytestmark = pytest.mark.django_db

ENTER, FINAL, MISSED = "enter-pipeline", "final-outreach-due", "missed-outreach"
MOMENTS = [timedelta(), timedelta(minutes=9), timedelta(hours=11, microseconds=1), timedelta(hours=23)]


@pytest.fixture(autouse=True)
def _nothing_kept():
    asking._kept.clear()


def policy(**values):
    for name, value in values.items():
        Policy.objects.create(name=name, value=str(value), starts_on=TODAY - days(400))


def asked_one_by_one(numbers, of=None):
    """Of whom each playbook's own queries find somebody."""

    def has_work(playbook):
        rows = (due(playbook, numbers), *(tend.which(numbers) for tend in playbook.tends))
        return any(of_accounts(one, of).exists() for one in rows)

    return {name for name, playbook in PLAYBOOKS.items() if has_work(playbook)}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Apia"])
@pytest.mark.parametrize("narrowed", [False, True], ids=["of all", "of some"])
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_question_is_the_same_at_every_moment_of_the_teams_day(
    name, narrowed, zone, django_assert_num_queries
):
    policy(time_zone=zone)
    begin = Policy.at(NOW).start_of(TODAY).astimezone(ZoneInfo("UTC"))
    at = [Policy.at(begin + later) for later in MOMENTS]
    with django_assert_num_queries(0):
        written = {question(PLAYBOOKS[name], numbers, narrowed=narrowed) for numbers in at}
    assert len(written) == 1
    assert len({numbers.standing for numbers in at}) == 1


def test_all_playbooks_together_answer_as_each_does_alone_before_and_after_a_tick():
    demo.add_logins(now=NOW)
    demo.add_accounts(250, seed=1, now=NOW)
    some = list(Account.objects.order_by("-pk").values_list("pk", flat=True)[:40])
    busy = []
    for later in (*MOMENTS, timedelta(days=1), timedelta(days=9)):
        numbers = Policy.at(NOW + later)
        for of in (None, some, []):
            busy.append(with_work([*PLAYBOOKS.values()], numbers, of=of))
            assert busy[-1] == asked_one_by_one(numbers, of)
        run([*PLAYBOOKS], now=NOW + later)
        assert with_work([*PLAYBOOKS.values()], numbers) == asked_one_by_one(numbers) == set()
    assert len(set.union(*busy)) > 12


def test_what_one_playbook_does_is_work_for_the_next_in_the_same_tick():
    of = account(plan="boost", next_renewal_on=in_days(5))
    run([*PLAYBOOKS], now=NOW)
    of.refresh_from_db()
    assert of.stage == Stage.NEW
    assert [*Act.objects.order_by("pk").values_list("playbook", flat=True)] == [ENTER, MISSED]


def test_a_policy_that_changes_during_the_day_counts_at_the_next_tick():
    account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(12))
    run([*PLAYBOOKS], now=NOW)
    assert not Act.objects.exists()
    policy(final_outreach_days=12)
    run([*PLAYBOOKS], now=NOW + timedelta(minutes=1))
    assert Act.objects.get().playbook == FINAL


def test_with_the_next_day_the_questions_are_written_anew():
    account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(11))
    run([*PLAYBOOKS], now=NOW)
    run([*PLAYBOOKS], now=NOW + timedelta(hours=14, minutes=59))
    assert not Act.objects.exists()
    run([*PLAYBOOKS], now=NOW + timedelta(hours=15))
    assert Act.objects.get().playbook == FINAL


def test_an_idle_tick_writes_no_question_and_looks_for_nobody(monkeypatch, django_assert_num_queries):
    account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(5))
    run([*PLAYBOOKS], now=NOW)
    monkeypatch.setattr(asking, "question", lambda *args, **options: pytest.fail("was written again"))
    monkeypatch.setattr(engine.Sweep, "go", lambda *args, **options: pytest.fail("was run for nobody"))
    # The policy, what is paused, a savepoint around the question, and when it ran; the question itself is not counted.
    with django_assert_num_queries(5):
        run([*PLAYBOOKS], now=NOW + timedelta(minutes=1))
    assert {*Switch.objects.values_list("last_run_at", flat=True)} == {NOW + timedelta(minutes=1)}
    assert Run.objects.count() == 1


def broken(rows):
    """Whom it is for cannot be told: the database refuses."""
    return rows.extra(where=["1 / (crm_account.id - crm_account.id) > 0"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["in the database", "in what is asked"])
def test_a_playbook_that_cannot_be_asked_is_tried_alone_and_holds_up_no_other(monkeypatch, where):
    of = account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(5))
    account(Stage.NEW, since=NOW - days(9))
    who = PLAYBOOKS[MISSED].who
    wrong = {
        "in the database": lambda numbers: broken(who(numbers)),
        "in what is asked": lambda numbers: 1 / 0,
    }
    monkeypatch.setitem(PLAYBOOKS, MISSED, replace(PLAYBOOKS[MISSED], who=wrong[where]))
    results = {result.playbook: result for result in run([*PLAYBOOKS], now=NOW)}
    assert {name for name, result in results.items() if result.failed} == {MISSED}
    of.refresh_from_db()
    assert of.stage == Stage.AWAITING_FINAL_OUTREACH
    assert Run.objects.get(playbook=MISSED).failed == 1


def test_an_alert_is_tended_though_the_playbook_is_for_nobody():
    of = account(Stage.SALES_HANDOFF, since=NOW - days(20))
    Signal.objects.create(account=of, kind="sales.disqualified", external_id="no", at=NOW - days(1))
    Signal.objects.update(kind=Signal.Kind.SALES_DISQUALIFIED)
    run(["handover-returned"], now=NOW)
    assert Alert.objects.get().resolved_at is None
    of.edit(now=NOW, sales_contact_kind="AE")
    run([*PLAYBOOKS], now=NOW + timedelta(minutes=1))
    assert Alert.objects.get().resolved_at == NOW + timedelta(minutes=1)
    assert not StageTransition.objects.filter(cause__startswith="playbook:").exists()


def test_of_days_gone_by_no_question_stays_with_the_database_for_long():
    for day in range(asking.MOST_PREPARED + 3):
        run([*PLAYBOOKS], now=NOW + days(day))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (asking.MOST_PREPARED,)


def test_the_question_is_thought_out_once_and_no_other_statement_is_prepared():
    for minute in range(3):
        run([*PLAYBOOKS], now=NOW + timedelta(minutes=minute))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE 'SELECT ARRAY%%'"
            " ORDER BY prepare_time DESC LIMIT 1",
            [],
        )
        assert cursor.fetchone() == (3, 0)
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE 'SELECT ARRAY%%'", []
        )
        assert cursor.fetchone() == (0,)
