"""A year lived by a clock, and what came of it.

Every clock must end in the same state, and each act must fall on its day (`stories.py`). `python -m tests.year` lives
all of it (`full.py`), the suite a coarse form.
"""

import re
from collections import Counter
from datetime import date, timedelta
from operator import itemgetter

from django.db import transaction

from apps.crm.models import Account, Alert, Policy, StageTransition, Task, User
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from apps.playbooks.digest import DIGEST, tell
from apps.playbooks.engine import run
from apps.playbooks.models import Act
from apps.playbooks.registry import PLAYBOOKS
from tests.year.clock import FIRST, start_of
from tests.year.stories import Fate


def live(zone, clock, told):
    """Live the year by a clock, in an empty database."""
    begin = start_of(clock.zone, 0)
    Policy.objects.create(name="time_zone", value=zone, starts_on=FIRST - timedelta(days=100))
    person = User.objects.create_user("someone", "someone@onramp.example", time_zone=zone)
    User.objects.update(date_joined=begin - timedelta(days=20))
    accounts = _accounts(told, begin - timedelta(days=20))
    # Every morning there is something to say.
    accounts[0].add_task("Never done", FIRST - timedelta(days=1), by=None, now=begin, assignee=person)
    deeds = sorted(
        (
            (moment, account, deed)
            for account, story in zip(accounts, told, strict=True)
            for moment, deed in story.deeds
        ),
        key=itemgetter(0),
    )
    done = 0
    for tick in clock.ticks:
        while done < len(deeds) and deeds[done][0] <= tick:
            moment, account, deed = deeds[done]
            account.refresh_from_db()
            deed(account, person, moment)
            done += 1
        for _ in range(clock.times):
            run([*PLAYBOOKS], now=tick)
            tell(now=tick)


def _accounts(told, since):
    made = Account.objects.bulk_create(
        Account(external_id=f"year-{number}", name=f"Year {number}", **story.facts)
        for number, story in enumerate(told)
    )
    places = {
        account.pk: (story.stage, since) for account, story in zip(made, told, strict=True) if story.stage
    }
    with transaction.atomic():
        Account.objects.all().first_load(places, by=None, now=since)
    return made


def reckoned(told, clock):
    """What must come of each account: of the playbooks that are reckoned, with every day."""
    return {f"year-{number}": _plain(story.fate(clock)) for number, story in enumerate(told)}


def mornings(clock):
    """The first tick from seven on, of each working day that has one: then the morning mail is written."""
    first = {}
    for tick in clock.ticks:
        local = tick.astimezone(clock.zone)
        if local.weekday() < 5 and local.hour >= 7:
            first.setdefault(local.date(), tick)
    return first


def written():
    """When the morning mail of which day was written."""
    mails = Message.objects.filter(kind=DIGEST).values_list("key", "created_at")
    return {date.fromisoformat(key.rpartition(":")[2]): at for key, at in mails}


def _plain(fate):
    return {
        "moves": fate.moves,
        "acts": sorted(fate.acts),
        "tasks": sorted(fate.tasks),
        "alerts": sorted(fate.alerts),
    }


def lived(clock):
    """What came of each account, in the words of the reckoning."""
    came = {name: Fate() for name in Account.objects.values_list("external_id", flat=True)}

    def local(moment):
        return (moment.astimezone(clock.zone).date() - FIRST).days

    for row in (
        StageTransition.objects.exclude(cause="import")
        .order_by("account", "version")
        .select_related("account")
    ):
        came[row.account.external_id].moves.append((Stage(row.to_stage), local(row.at), row.cause))
    for act in Act.objects.select_related("account"):
        came[act.account.external_id].acts.append((act.playbook, local(act.at)))
    for task in Task.objects.filter(cause__startswith="playbook:").select_related("account"):
        came[task.account.external_id].tasks.append((task.title, (task.due_on - FIRST).days))
    for alert in Alert.objects.select_related("account"):
        state = "closed" if alert.resolved_at else "open"
        came[alert.account.external_id].alerts.append(
            (alert.kind, local(alert.raised_at), state, alert.attempts)
        )
    return {name: _plain(fate) for name, fate in came.items()}


def state():
    """Where everything stands at the end, of every playbook, but for the days and the ids."""

    def plain(text):
        return re.sub(r"^(account|entry|closing|handoff|survey):\d+", r"\1", text)

    def of(rows, *columns):
        return [
            (row[0], *map(plain, map(str, row[1:])))
            for row in rows.values_list("account__external_id", *columns)
        ]

    return {
        "accounts": sorted(
            Account.objects.values_list(
                "external_id", "stage", "version", "open_alerts", "scope", "scope_row"
            )
        ),
        "moves": Counter(of(StageTransition.objects.all(), "version", "from_stage", "to_stage", "cause")),
        "acts": Counter(of(Act.objects.all(), "playbook", "occasion")),
        "tasks": Counter(of(Task.objects.all(), "title", "done_at", "dropped", "cause")),
        "alerts": Counter(of(Alert.objects.all(), "kind", "subject", "attempts", "resolution")),
        # The morning mails hang on the clock.
        "messages": Counter(of(Message.objects.exclude(kind=DIGEST), "kind", "subject")),
    }
