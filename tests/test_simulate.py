"""The next 30 days: what is foretold is what then happens, and looking ahead changes and holds up nothing."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import InternalError, connection, transaction

from apps.crm.models import Account, Bill, Call, Policy
from apps.crm.pipeline import Stage
from apps.playbooks import simulate
from apps.playbooks.engine import run, skip
from apps.playbooks.models import Act, Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.simulate import DAYS, Busy, ahead
from apps.playbooks.then import MoveWithTask
from tests.factories import NOW, TODAY, account, days, in_days, user

pytestmark = pytest.mark.django_db(transaction=True)

FINAL, MISSED, ENTER = "final-outreach-due", "missed-outreach", "enter-pipeline"


def policy(**values):
    for name, value in values.items():
        Policy.objects.create(name=name, value=str(value), starts_on=TODAY - days(400))


def in_2(renews, **fields):
    on = None if renews is None else in_days(renews)
    return account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=on, **fields)


def everything():
    """Every row of every table, as it stands."""
    return {model: list(model.objects.order_by("pk").values()) for model in apps.get_models()}


def foretold(*names, **options):
    """Which playbook acts on which day on which accounts, and for which reason."""
    told = ahead(*map(PLAYBOOKS.get, names), now=NOW, **options)
    return {(line.playbook, day.on, line.account, line.because) for day in told.days for line in day.lines}


@pytest.fixture
def world():
    """Accounts to which something happens on days of their own, and some to which nothing may."""
    policy(time_zone="America/New_York")
    Policy.objects.create(name="final_outreach_days", value="4", starts_on=in_days(12))
    lead = user("lead")
    for renews in (-1, 0, 3, 9, 10, 11, 12, 20, 21, 26, 30, 45, None):
        in_2(renews, owner=lead)
    in_2(6, extended_until=in_days(5))
    in_2(6, extended_until=in_days(9))
    in_2(6, held_by="import:1")
    in_2(6, quarantine="3. Onboarded")
    skip(PLAYBOOKS[FINAL], in_2(6), by=lead, now=NOW)
    called = in_2(16)
    Call.objects.create(
        account=called,
        external_id="call",
        status="booked",
        starts_at=NOW + days(13),
        ends_at=NOW + days(13),
    )
    for entered in (0, 1, 5, 7, 8):
        account(Stage.NEW, since=NOW - days(entered), next_renewal_on=in_days(60))
    account(Stage.NEW, since=NOW, next_renewal_on=in_days(14))
    # These enter when their plan is about to roll off, and wait for their outreach from then on.
    for ends in (0, 30, 31, 38, 59, 60):
        account(plan="yc", plan_ends_on=in_days(ends), next_renewal_on=in_days(ends))
    account(plan="pay_as_you_go", forecast=Decimal(4000))
    for due, amount in ((3, 1200), (20, 1200), (25, 900)):
        of = in_2(due, forecast=Decimal(amount))
        Bill.objects.create(
            account=of,
            external_id=f"bill-{due}",
            period_start=in_days(due - 30),
            period_end=in_days(due),
            amount=Decimal(amount),
            reported_at=NOW,
            status="upcoming" if due > 3 else "open",
            attempts=1 if due == 3 else 0,
        )


def lived_through(number, ticks=1):
    """Run every playbook on each of the days, early in the team's morning; (playbook, day, account, because)."""
    told = set()
    for offset in range(number):
        morning = NOW if offset == 0 else Policy.at(NOW).start_of(in_days(offset))
        for tick in range(ticks):
            now = morning + timedelta(minutes=tick)
            run(
                [*PLAYBOOKS],
                now=now,
                tell=lambda line, offset=offset: told.add(
                    (line.playbook, in_days(offset), line.account, line.because)
                ),
            )
    return told


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("ticks", [1, 3])
def test_what_is_foretold_for_each_day_is_what_thirty_daily_runs_then_do(ticks, monkeypatch):
    monkeypatch.setattr(simulate, "KEPT", 1000)
    told = foretold(*PLAYBOOKS)
    assert told == lived_through(DAYS, ticks)
    assert Counter(name for name, *_ in told)[FINAL] > 8
    # Entered on one day, found without an outreach on a later one.
    entered = {pk: on for name, on, pk, _ in told if name == ENTER and on > TODAY}
    assert {pk for name, on, pk, _ in told if name == MISSED and on > entered.get(pk, on)}


@pytest.mark.usefixtures("world")
def test_each_playbook_alone_is_foretold_what_all_of_them_together_are():
    together = foretold(*PLAYBOOKS, days=6)
    for name in PLAYBOOKS:
        assert foretold(name, days=6) == {one for one in together if one[0] == name}


@pytest.mark.usefixtures("world")
def test_looking_ahead_writes_nothing():
    before = everything()
    ahead(*PLAYBOOKS.values(), now=NOW)
    assert everything() == before


@pytest.mark.usefixtures("world")
def test_nothing_of_the_real_tables_can_be_written_meanwhile():
    before, refused = everything(), []

    def attempt():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE public.crm_account SET name = 'changed'")

    def enough():
        try:
            attempt()
        except InternalError as error:
            refused.append(str(error))
        return False

    ahead(PLAYBOOKS[FINAL], now=NOW, enough=enough)
    assert refused
    assert all("read-only transaction" in words for words in refused)
    assert everything() == before


def test_nobody_is_held_up_meanwhile_and_what_they_do_is_not_seen_halfway():
    of = in_2(6)
    foreseen = []

    def elsewhere():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            run([FINAL], now=NOW)
            moved = Account.objects.get(pk=of.pk)
            moved.move(Stage.SALES_HANDOFF, by=user(), now=NOW, cause="board", reason="theirs")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        asked = []

        def enough():
            asked.append(1)
            if len(asked) == 2:
                pool.submit(elsewhere).result()
            return False

        foreseen = [day.count for day in ahead(PLAYBOOKS[FINAL], now=NOW, enough=enough).days]
    assert foreseen == [1] + [0] * (DAYS - 1)
    of.refresh_from_db()
    assert (of.stage, of.version) == (Stage.SALES_HANDOFF, 3)
    assert Act.objects.get().account == of


def test_a_row_that_somebody_holds_is_looked_at_all_the_same():
    of = in_2(6)

    def elsewhere():
        try:
            return foretold(FINAL)
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        of.lock()
        assert {pk for _, _, pk, _ in pool.submit(elsewhere).result(timeout=300)} == {of.pk}


@pytest.mark.usefixtures("world")
def test_whoever_asks_while_somebody_looks_ahead_is_told_so():
    answers = []

    def elsewhere():
        try:
            ahead(PLAYBOOKS[MISSED], now=NOW)
        except Busy as busy:
            return busy
        finally:
            connection.close()

    def enough():
        answers.append(pool.submit(elsewhere).result(timeout=300))
        return True

    with ThreadPoolExecutor(1) as pool:
        ahead(PLAYBOOKS[FINAL], now=NOW, enough=enough)
    assert isinstance(answers[0], Busy)
    assert ahead(PLAYBOOKS[FINAL], now=NOW).whole


def test_when_the_time_is_up_only_whole_days_are_told():
    for renews in (0, 11, 13, 30):
        in_2(renews)
    asked = iter(range(1000))
    cut = ahead(PLAYBOOKS[FINAL], now=NOW, enough=lambda: next(asked) > 9)
    assert not cut.whole
    assert 0 < len(cut.days) < DAYS
    assert cut.days == ahead(PLAYBOOKS[FINAL], now=NOW).days[: len(cut.days)]


def test_a_paused_playbook_is_shown_as_if_it_went_on_and_a_paused_other_stands_still():
    lead, of = user("lead"), account(plan="boost", next_renewal_on=in_days(5))
    Switch.objects.turn(MISSED, paused=True, by=lead, now=NOW)
    assert {pk for _, _, pk, _ in foretold(MISSED)} == {of.pk}
    Switch.objects.turn(ENTER, paused=True, by=lead, now=NOW)
    assert foretold(MISSED) == set()
    assert {pk for _, _, pk, _ in foretold(ENTER)} == {of.pk}


def test_a_day_tells_everybody_by_number_and_the_first_by_name(monkeypatch):
    monkeypatch.setattr(simulate, "KEPT", 3)
    for _ in range(5):
        in_2(10)
    today = ahead(PLAYBOOKS[FINAL], now=NOW, days=1).days[0]
    assert (today.on, today.count, len(today.lines)) == (TODAY, 5, 3)


def test_accounts_on_which_it_would_fail_are_counted_and_hold_up_no_other(monkeypatch):
    good, bad = in_2(5), in_2(6)
    real = MoveWithTask.__call__

    def broken(self, batch):
        if bad.pk in [row.pk for row in batch.rows]:
            raise ValueError("no such thing")
        return real(self, batch)

    monkeypatch.setattr(MoveWithTask, "__call__", broken)
    told = ahead(PLAYBOOKS[FINAL], now=NOW)
    assert (told.failed, [line.account for line in told.days[0].lines]) == (1, [good.pk])
    assert sum(day.count for day in told.days) == 1


@pytest.mark.usefixtures("world")
def test_what_is_due_on_a_day_is_what_was_foretold_up_to_it_and_stands_still(capsys, monkeypatch):
    """`due NAME --on` asks of one day alone: everybody foretold for that day is on it, with the same reason."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    ids = dict(Account.objects.values_list("pk", "external_id"))
    told = foretold(FINAL)
    for offset in (0, 1, 10, 11, 17, 20, 29):
        call_command("playbooks", "due", FINAL, on=in_days(offset).isoformat())
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        printed = {(external_id, because) for _, external_id, _, because in lines}
        that_day = {(ids[pk], because) for _, on, pk, because in told if on == in_days(offset)}
        until_then = {ids[pk] for _, on, pk, _ in told if on <= in_days(offset)}
        held = set(Account.objects.exclude(held_by="").values_list("external_id", flat=True))
        assert that_day <= printed
        assert {external_id for external_id, _ in printed} <= until_then | held


def test_each_team_looks_ahead_by_its_own_days():
    in_2(10)
    late = datetime.combine(TODAY, time(23, 30), NOW.tzinfo)
    for zone, today in (("Pacific/Apia", in_days(1)), ("UTC", TODAY), ("America/New_York", TODAY)):
        Policy.objects.all().delete()
        policy(time_zone=zone)
        told = ahead(PLAYBOOKS[FINAL], now=late)
        assert [day.on for day in told.days] == [today + days(offset) for offset in range(DAYS)]
        assert told.days[0].count == 1
