"""What the team is told of its own work by mail: each person's morning mail, and mails about mentions.

Both are written in a transaction that first takes the person's row, so that however many workers there are, each
mail is written once, and what it tells is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet

from apps.crm.days import away, day, spoken
from apps.crm.enough import Enough, never
from apps.crm.models import Account, Alert, Call, CallHost, Notice, Policy, Task, User
from apps.crm.models.notice import NoticeQuerySet
from apps.crm.policy import Numbers
from apps.outbox.mail import written
from apps.outbox.models import Message

DIGEST, MENTIONS = "digest", "mentions"
LISTED = 10
LONGEST = 160
FRIDAY = 4

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reader:
    """For whom a mail is, on which day of theirs."""

    person: User
    numbers: Numbers

    @cached_property
    def local(self) -> datetime:
        """The moment, by their own clock."""
        return self.numbers.now.astimezone(self.person.zone)

    @cached_property
    def today(self) -> date:
        return self.local.date()

    @cached_property
    def hour(self) -> int:
        """When their morning mail comes."""
        own = self.person.digest_hour
        return self.numbers.digest_hour if own is None else own

    def start_of(self, day: date) -> datetime:
        """The moment their day begins."""
        return datetime.combine(day, time.min, self.person.zone)

    @property
    def tomorrow(self) -> datetime:
        return self.start_of(self.today + timedelta(days=1))

    @property
    def is_awaiting(self) -> bool:
        """Whether it is a working morning of theirs, or later on its day; the first is the one after they joined."""
        done_on = self.person.digested_on
        return (
            self.today.weekday() <= FRIDAY
            and self.local.hour >= self.hour
            and (done_on is None or done_on < self.today)
            and self.person.today(self.person.date_joined) < self.today
        )


class Line(NamedTuple):
    """One thing of a mail: the account it is about, where to find it, what it is, and when."""

    name: str
    link: str
    words: str
    when: str = ""


class Section(NamedTuple):
    """A part of a mail: the first lines, how many more there are, and where they are all shown."""

    title: str
    lines: list[Line]
    more: int
    link: str


@dataclass(frozen=True)
class Part:
    """Something that may await a person: which rows, in order, and how one of them reads.

    ``one`` and ``many`` are what the mail's subject calls them.
    """

    title: str
    one: str
    many: str
    rows: Callable[[Reader], QuerySet[Any]]
    line: Callable[[Any, Reader], Line]
    address: str

    def read(self, reader: Reader) -> tuple[Section, int]:
        """The section, and how many rows there are in all. One query, and one more where they are not all listed."""
        rows = self.rows(reader)
        listed = list(rows[: LISTED + 1])
        count = rows.count() if len(listed) > LISTED else len(listed)
        lines = [self.line(row, reader) for row in listed[:LISTED]]
        return Section(self.title, lines, count - len(lines), settings.BASE_URL + self.address), count


def _calls(reader: Reader) -> QuerySet[Any]:
    """Those they take, and those of their accounts that nobody was named for."""
    hosts = CallHost.objects.filter(call=OuterRef("pk"))
    today = Call.objects.filter(
        status=Call.Status.BOOKED, starts_at__gte=reader.start_of(reader.today), starts_at__lt=reader.tomorrow
    )
    theirs = Exists(hosts.filter(user=reader.person)) | Q(~Exists(hosts), account__owner=reader.person)
    return today.filter(theirs).select_related("account").order_by("starts_at", "pk")


def _tasks(**due: str) -> Callable[[Reader], QuerySet[Any]]:
    """Their open tasks whose day compares like that with their today, the urgent ones first."""
    (how, _), *_ = due.items()

    def rows(reader: Reader) -> QuerySet[Any]:
        tasks = Task.objects.open().filter(**{how: reader.today}, assignee=reader.person)
        return tasks.select_related("account").order_by("-urgent", "due_on", "pk")

    return rows


def _to_remind(reader: Reader) -> QuerySet[Any]:
    tasks = Task.objects.to_remind(reader.today).filter(assignee=reader.person, due_on__gt=reader.today)
    return tasks.select_related("account").order_by("due_on", "pk")


def _alerts(reader: Reader) -> QuerySet[Any]:
    """Theirs, and for whoever is asked about them those of nobody."""
    whose = Q(assignee=reader.person)
    if reader.person.may("alerts of nobody"):
        whose |= Q(assignee=None)
    return Alert.objects.shown(reader.numbers.today).filter(whose).select_related("account")


def _to_write_to(reader: Reader) -> QuerySet[Any]:
    accounts = Account.objects.awaiting_outreach(reader.numbers).filter(owner=reader.person)
    return accounts.order_by(F("renewal_on").asc(nulls_last=True), "pk")


def _to_answer(reader: Reader) -> QuerySet[Any]:
    """Accounts of theirs that wrote last, those who wait longest first."""
    accounts = Account.objects.in_open_stages().waiting_for_us().filter(owner=reader.person)
    return accounts.order_by("last_reply_at", "pk")


def _untold(reader: Reader) -> NoticeQuerySet:
    theirs: NoticeQuerySet = Notice.objects.standing().untold().filter(user=reader.person)
    return theirs.select_related("account", "by", "note", "task", "alert")


def _given(reader: Reader) -> QuerySet[Any]:
    """What is theirs since the last mail, but what stands under another head."""
    due = Q(task__due_on__lte=reader.today)
    return _untold(reader).filter(note=None, alert=None).exclude(due)


def _line(account: Account, words: str, when: str = "") -> Line:
    short = words if len(words) <= LONGEST else f"{words[: LONGEST - 1].rstrip()}…"
    return Line(account.name, settings.BASE_URL + account.get_absolute_url(), short, when)


def _day(when: date, reader: Reader) -> str:
    return f"{day(when, reader.today)}, {away(when, reader.today)}"


def _call_line(call: Any, reader: Reader) -> Line:
    starts = call.starts_at.astimezone(reader.person.zone)
    return _line(call.account, call.get_kind_display(), f"{starts:%H:%M}")


def _task_line(task: Any, reader: Reader) -> Line:
    urgent = "Urgent: " if task.urgent else ""
    return _line(task.account, urgent + task.title, f"due {_day(task.due_on, reader)}")


def _alert_line(alert: Any, reader: Reader) -> Line:
    nobody = "" if alert.assignee_id else "nobody’s"
    return _line(alert.account, f"{alert.kind_label}: {spoken(alert.text, reader.today)}", nobody)


def _write_line(account: Any, reader: Reader) -> Line:
    renews = f"renews {_day(account.renewal_on, reader)}" if account.renewal_on else ""
    return _line(account, account.stage_label, renews)


def _reply_line(account: Any, reader: Reader) -> Line:
    wrote = account.last_reply_at.astimezone(reader.person.zone).date()
    return _line(account, account.stage_label, f"wrote {_day(wrote, reader)}")


def _notice_line(notice: Any, reader: Reader) -> Line:
    said = f"{notice.actor}: {notice.about}" if notice.about else f"{notice.actor} gave it to you"
    due = f"due {_day(notice.task.due_on, reader)}" if notice.task else ""
    return _line(notice.account, said, due)


MENTIONED = Part(
    "You were mentioned",
    "mention",
    "mentions",
    lambda reader: _untold(reader).mentions(),
    _notice_line,
    "/notices/",
)
PARTS: tuple[Part, ...] = (
    Part("Calls today", "call", "calls", _calls, _call_line, "/calls/"),
    Part(
        "Replies waiting",
        "reply waiting",
        "replies waiting",
        _to_answer,
        _reply_line,
        "/?reply=waiting&owner=me",
    ),
    Part("Overdue", "task", "tasks", _tasks(due_on__lt="today"), _task_line, "/tasks/?due=overdue"),
    Part("Due today", "task", "tasks", _tasks(due_on="today"), _task_line, "/tasks/?due=today"),
    Part("Alerts", "alert", "alerts", _alerts, _alert_line, "/alerts/"),
    Part(
        "Write now",
        "account to write to",
        "accounts to write to",
        _to_write_to,
        _write_line,
        "/?write=now&owner=me",
    ),
    MENTIONED,
    Part("Yours since the last mail", "new for you", "new for you", _given, _notice_line, "/notices/"),
    Part("To keep in mind", "reminder", "reminders", _to_remind, _task_line, "/tasks/"),
)


class Told(NamedTuple):
    """What a mail says: its subject's counts in words, and its sections; none where there is nothing to say."""

    counts: str
    sections: list[Section]


def read(parts: tuple[Part, ...], reader: Reader) -> Told:
    """What awaits somebody, of these parts."""
    found = [(part, *part.read(reader)) for part in parts]
    totals: Counter[tuple[str, str]] = Counter()
    for part, _, count in found:
        totals[part.one, part.many] += count
    words = [f"{count} {one if count == 1 else many}" for (one, many), count in totals.items() if count]
    return Told(", ".join(words), [section for _, section, count in found if count])


def write_morning(reader: Reader) -> bool:
    """Write somebody's morning mail, if there is something to say; False where that was dealt with already."""
    person, now, on = reader.person, reader.numbers.now, reader.today
    with transaction.atomic():
        earlier = Q(digested_on=None) | Q(digested_on__lt=on)
        if not User.objects.filter(earlier, pk=person.pk, is_active=True, digest=True).update(digested_on=on):
            return False
        # What comes in meanwhile is told next time.
        untold = list(Notice.objects.untold().filter(user=person).values_list("pk", flat=True))
        told = read(PARTS, reader)
        if told.sections:
            _write(
                reader,
                DIGEST,
                str(on),
                f"{on:%A}: {told.counts}",
                told,
                title=f"{on:%A}, {on.day} {on:%B}",
                why=f"It comes at {reader.hour}:00 on working days.",
                until=reader.tomorrow,
            )
            Task.objects.to_remind(on).filter(assignee=person).reminded(now=now)
            Notice.objects.filter(pk__in=untold).update(told_at=now)
    return True


def write_mentions(reader: Reader) -> bool:
    """Write a mail about what mentions somebody, once the oldest of it was gathered long enough; False if not."""
    person, now = reader.person, reader.numbers.now
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        untold = list(Notice.objects.untold().mentions().filter(user=person).order_by("at", "pk"))
        if not untold or untold[0].at > _gathered_since(reader.numbers):
            return False
        told = read((MENTIONED,), reader)
        _write(
            reader,
            MENTIONS,
            str(untold[0].pk),
            f"{told.counts} of you in notes",
            told,
            title=f"{told.counts} in notes",
            why="Mentions are gathered, and mailed together.",
        )
        Notice.objects.filter(pk__in=[one.pk for one in untold]).update(told_at=now)
    return True


def _write(
    reader: Reader,
    kind: str,
    occasion: str,
    subject: str,
    told: Told,
    *,
    title: str,
    why: str,
    until: datetime | None = None,
) -> None:
    to = reader.person.email
    body = written(
        "digest",
        to=to,
        automatic=False,
        sections=told.sections,
        zone=reader.person.time_zone,
        title=title,
        why=why,
    )
    key = f"{kind}:{reader.person.pk}:{occasion}"
    now = reader.numbers.now
    Message.objects.write(
        [Message.mail(key, to=to, kind=kind, subject=subject, now=now, until=until, **body)]
    )


def _gathered_since(numbers: Numbers) -> datetime:
    return numbers.now - timedelta(minutes=numbers.mention_mail_minutes)


def _mornings(numbers: Numbers) -> list[Reader]:
    people = User.objects.filter(is_active=True, digest=True).exclude(email="").with_roles()
    readers = [Reader(person, numbers) for person in people]
    return [reader for reader in readers if reader.is_awaiting]


def _mentioned(numbers: Numbers) -> list[Reader]:
    """Whom notes have mentioned for long enough, and who has a mail about it."""
    if not numbers.mention_mail_minutes:
        return []
    untold = Notice.objects.untold().mentions().values("user").annotate(first=Min("at"))
    waiting = untold.filter(first__lte=_gathered_since(numbers)).values("user")
    people = User.objects.filter(pk__in=waiting, is_active=True, mention_mail=True).exclude(email="")
    return [Reader(person, numbers) for person in people.with_roles()]


# The morning mail tells of mentions too, so it comes first.
MAILS: tuple[tuple[Callable[[Numbers], list[Reader]], Callable[[Reader], bool]], ...] = (
    (_mornings, write_morning),
    (_mentioned, write_mentions),
)


def tell(*, now: datetime, enough: Enough = never) -> int:
    """Write every mail that is due; returns how many people were dealt with. One who fails holds up no other."""
    numbers, done = Policy.at(now), 0
    for readers, write in MAILS:
        for reader in readers(numbers):
            if enough():
                return done
            try:
                done += write(reader)
            except Exception as error:
                log.warning("mail_not_written", person=reader.person.pk, exc_info=error)
    return done
