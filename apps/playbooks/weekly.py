"""The mail of the week: on Monday morning, by their own clock, leads are told the numbers the team is run by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.crm.enough import Enough, never
from apps.crm.metrics import METRICS, Metric, Row
from apps.crm.metrics.base import DAYS
from apps.crm.metrics.words import told
from apps.crm.models import ClosedMonth, Policy, User
from apps.crm.months import after, monday, month_of
from apps.outbox.mail import written
from apps.outbox.models import Message
from apps.playbooks.digest import Line, Reader, Section

WEEKLY = "weekly"
MONDAY = 0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Part:
    """A number of the mail: whose rows it tells, and how one reads; None for a row that is left out."""

    metric: str
    address: str
    line: Callable[[Row, Reader], tuple[str, str] | None]

    def read(self, reader: Reader) -> Section | None:
        """The section, if there is anything to tell."""
        metric = METRICS[self.metric]
        rows = [told.row for told in ClosedMonth.objects.table(metric, reader.numbers)]
        told = [self.line(row, reader) for row in rows]
        address = settings.BASE_URL + self.address
        lines = [Line(name, address, words) for name, words in filter(None, told)]
        return Section(metric.label, lines, 0, address) if lines else None


def _named(metric: Metric, row: Row) -> str:
    """The first of a row's names, as on its page."""
    return metric.keys[0].words(row.key[0], {})


def _cohort(row: Row, reader: Reader) -> tuple[str, str] | None:
    metric, values = METRICS["retention"], row.values
    if values["who"] != "entered" or not values["accounts"]:
        return None
    say = partial(told, metric, row)
    of = f"{say('kept')} of {say('accounts')} kept"
    kept = f"{of} so far" if values["share"] is None else f"{say('share')}, {of}"
    goal = f"{say('may_be_lost')} may be lost" if values["may_be_lost"] >= 0 else f"goal {say('may_be_lost')}"
    return _named(metric, row), f"{kept}; {goal}"


def _last_week(row: Row, reader: Reader) -> tuple[str, str] | None:
    metric, values = METRICS["throughput"], row.values
    if values["week"] != monday(reader.numbers.today) - timedelta(weeks=1):
        return None
    say = partial(told, metric, row)
    closed = sum(values[name] for name in ("in_6a", "in_6b", "in_6c", "in_6d"))
    words = f"{say('entered')} entered, {say('written')} outreaches, {say('called')} calls held, {closed:,} closed"
    return f"Week of {_named(metric, row)}", words


def _on_time(row: Row, reader: Reader) -> tuple[str, str] | None:
    metric, values = METRICS["outreach"], row.values
    if not values["accounts"] or values["entered"] < after(month_of(reader.numbers.today), -1):
        return None
    say = partial(told, metric, row)
    week = f"{say('week_share')} of {say('due_week')} in week one"
    return f"Entered in {_named(metric, row)}", f"{week}, {say('time_share')} of {say('due_time')} by T-14"


def _due(row: Row, reader: Reader) -> tuple[str, str] | None:
    metric = METRICS["bills-due"]
    if row.values["currency"] != "USD" or not row.values["bills"]:
        return None
    week, say = metric.keys[1].words(row.key[1], {}), partial(told, metric, row)
    words = f"{say('amount')} due, {say('expected')} risk-adjusted"
    return week if row.values["week"] == "overdue" else f"Week of {week}", words


def _alerts(row: Row, reader: Reader) -> tuple[str, str] | None:
    metric, say = METRICS["alerts"], partial(told, METRICS["alerts"], row)
    if not row.values["open_now"] and not row.values["closed"]:
        return None
    return _named(metric, row), f"{say('open_now')} open, {say('closed')} closed in {DAYS} days"


PARTS = (
    Part("retention", "/reports/", _cohort),
    Part("throughput", "/reports/pipeline/", _last_week),
    Part("outreach", "/reports/pipeline/", _on_time),
    Part("bills-due", "/revenue/", _due),
    Part("alerts", "/reports/team/", _alerts),
)


def is_awaiting(reader: Reader) -> bool:
    """Whether it is a Monday morning of theirs, or later on that day, and they were not told yet."""
    done_on = reader.person.weekly_on
    return (
        reader.today.weekday() == MONDAY
        and reader.local.hour >= reader.numbers.weekly_hour
        and (done_on is None or done_on < reader.today)
        and reader.person.today(reader.person.date_joined) < reader.today
    )


def write(reader: Reader) -> bool:
    """Write somebody's mail of the week; False where that was dealt with already."""
    person, day = reader.person, reader.today
    with transaction.atomic():
        earlier = Q(weekly_on=None) | Q(weekly_on__lt=day)
        if not User.objects.filter(earlier, pk=person.pk, is_active=True, digest=True).update(weekly_on=day):
            return False
        sections = [section for part in PARTS if (section := part.read(reader))]
        if sections:
            body = written(
                "digest",
                to=person.email,
                automatic=False,
                sections=sections,
                zone=person.time_zone,
                title=f"The numbers, {day.day} {day:%B}",
                why="It comes on Monday to leads.",
            )
            Message.objects.write(
                [
                    Message.mail(
                        f"{WEEKLY}:{person.pk}:{day}",
                        to=person.email,
                        kind=WEEKLY,
                        subject=f"The numbers of the week, {day.day} {day:%B}",
                        now=reader.numbers.now,
                        until=reader.tomorrow,
                        **body,
                    )
                ]
            )
    return True


def tell(*, now: datetime, enough: Enough = never) -> int:
    """Write each mail of the week that is due; returns how many people were dealt with.

    One who fails holds up no other.
    """
    numbers, done = Policy.at(now), 0
    people = User.objects.filter(is_active=True, digest=True).exclude(email="").with_roles()
    for person in people:
        reader = Reader(person, numbers)
        if enough():
            break
        if not person.may("weekly mail") or not is_awaiting(reader):
            continue
        try:
            done += write(reader)
        except Exception as error:
            log.warning("mail_not_written", person=person.pk, exc_info=error)
    return done
