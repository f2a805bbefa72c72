"""The mail of the week: on Monday morning, by their own clock, leads are told the numbers the team is run by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.crm.enough import Enough, never
from apps.crm.metrics import METRICS, Row
from apps.crm.models import Policy, User
from apps.crm.months import monday
from apps.crm.scope import dollars
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
        """The section, if there is anything to tell. One query."""
        metric = METRICS[self.metric]
        told = [self.line(row, reader) for row in metric.read(reader.numbers)]
        address = settings.BASE_URL + self.address
        lines = [Line(name, address, words) for name, words in filter(None, told)]
        return Section(metric.label, lines, 0, address) if lines else None


def _share(value: Any) -> str:
    return "–" if value is None else f"{value:.0%}"


def _cohort(row: Row, reader: Reader) -> tuple[str, str] | None:
    values = row.values
    if values["who"] != "entered" or not values["accounts"]:
        return None
    spare = values["may_be_lost"]
    goal = f"{spare} more may be lost" if spare >= 0 else f"{-spare} too many lost"
    kept = f"{values['kept']} of {values['accounts']} kept"
    decided = (
        f"{_share(values['share'])}, {kept}" if values["share"] is not None else f"{kept} so far; {goal}"
    )
    return f"{values['cohort']:%B %Y}", decided


def _last_week(row: Row, reader: Reader) -> tuple[str, str] | None:
    values = row.values
    week = monday(reader.numbers.today) - timedelta(weeks=1)
    if values["week"] != week:
        return None
    closed = sum(values[name] for name in ("in_6a", "in_6b", "in_6c", "in_6d"))
    words = f"{values['entered']} entered, {values['written']} outreaches, {values['called']} calls, {closed} closed"
    return f"Week of {week.day} {week:%b}", words


def _on_time(row: Row, reader: Reader) -> tuple[str, str] | None:
    values = row.values
    if values["entered"] < (reader.numbers.today.replace(day=1) - timedelta(days=1)).replace(day=1):
        return None
    words = f"{_share(values['week_share'])} in week one, {_share(values['time_share'])} by T-14"
    return f"Entered in {values['entered']:%B}", words


def _due(row: Row, reader: Reader) -> tuple[str, str] | None:
    values = row.values
    if values["currency"] != "USD":
        return None
    week = METRICS["bills-due"].keys[1].words(values["week"], {})
    words = f"{dollars(values['amount'])} due, {dollars(values['expected'])} risk-adjusted"
    return week if values["week"] == "overdue" else f"Week of {week}", words


def _alerts(row: Row, reader: Reader) -> tuple[str, str] | None:
    values = row.values
    words = f"{values['open_now']} open, {values['closed']} closed in 90 days"
    return METRICS["alerts"].keys[0].words(row.key[0], {}), words


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
