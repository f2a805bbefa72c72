"""What every page template can call: the Jinja2 environment of our own pages."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Any, NamedTuple
from zoneinfo import available_timezones

from django.contrib.messages import get_messages
from django.db.models import BigIntegerField, DateField, DateTimeField, QuerySet
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from jinja2 import Environment, StrictUndefined
from lucide.jinja import lucide
from markupsafe import Markup

from apps.crm import days
from apps.crm.kept import Given, Kept
from apps.crm.keyset import counting
from apps.crm.models import Alert, AuditPoint, Credit, Note, Notice, Policy, Task, User
from apps.crm.models.alert import alert_kind
from apps.crm.models.touched import mark_of_now
from apps.intake.events import LATE_AFTER, TOO_MANY
from apps.intake.models import Event
from apps.outbox.models import Gate
from apps.web import cells, display
from apps.web.keys import GOES
from apps.web.sections import SECTIONS


class Page(NamedTuple):
    """A page that can be gone to from everywhere."""

    name: str
    address: str

    @property
    def key(self) -> str:
        return self.name.lower()


MOST_COUNTED = 99
# By whether events are due for long, and whether they are many.
BACKLOG = {
    (False, False): "",
    (True, False): f"Events wait for more than {LATE_AFTER.seconds // 60} minutes to be applied.",
    (False, True): f"More than {TOO_MANY:,} events wait to be applied.",
    (True, True): f"More than {TOO_MANY:,} events wait to be applied, some for more than "
    f"{LATE_AFTER.seconds // 60} minutes.",
}
PAGES = (
    Page("Daily", "/"),
    Page("Board", "/board/"),
    Page("Tasks", "/tasks/"),
    Page("Alerts", "/alerts/"),
    Page("Calls", "/calls/"),
    Page("Playbooks", "/playbooks/"),
    Page("Reports", "/reports/"),
    Page("Revenue", "/revenue/"),
)
# The pages of the menu beside them.
MORE = (
    Page("Hygiene", "/hygiene/"),
    Page("Feedback", "/feedback/"),
    Page("Events", "/events/"),
    Page("Outbox", "/outbox/"),
    Page("Import", "/import/"),
    Page("Exports", "/export/"),
    Page("Settings", "/settings/"),
)


class Bar(NamedTuple):
    """What the bar counts, by the key of its page, and a sentence where other systems’ events are not kept up with,
    and the gates that do not work any more."""

    counts: dict[str, str]
    backlog: str
    dead: list[Gate]


def _wanted() -> dict[str, QuerySet[Any]]:
    now, me = Given("now", DateTimeField()), Given("me", BigIntegerField())
    return {
        "tasks": Task.objects.due_by(Given("today", DateField())).filter(assignee=me),
        "alerts": Alert.objects.shown(Policy.today_at(now)),
        "events": Event.objects.in_the_way(),
        "late": Event.objects.late(now),
        "many": Event.objects.too_many(now),
        "notices": Notice.objects.standing().unseen().filter(user=me),
        "dead": Gate.objects.dead(),
    }


_WANTED = Kept(_wanted, into=partial(counting, up_to=MOST_COUNTED))


def bar_of(user: User) -> Bar:
    """What wants this person now, the bell's included, counted no further than the bar can say; one small query."""
    now = timezone.now()
    [found] = _WANTED.dicts(now=now, today=user.today(now), me=user.pk)
    late, many, dead = found.pop("late"), found.pop("many"), found.pop("dead")
    return Bar(
        {
            key: f"{MOST_COUNTED}+" if shown > MOST_COUNTED else str(shown or "")
            for key, shown in found.items()
        },
        BACKLOG[bool(late), bool(many)],
        list(Gate.objects.dead()) if dead else [],
    )


MARK = Markup(
    '<svg width="20" height="20" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.75"'
    ' stroke-linecap="round" aria-hidden="true"><path d="M2 3.5h3.2c2.6 0 3.2 9 6 9H14"/>'
    '<path d="M2 12.5h3.2c1 0 1.7-1.3 2.3-2.8"/></svg>'
)


@lru_cache(maxsize=128)
def icon(name: str, size: int = 16) -> Markup:
    """A lucide icon as inline SVG, hidden from screen readers: the button or word beside it names it.

    How it is drawn stands in the style sheet, not in each of the many that a page has.
    """
    paths = re.search(r"<svg[^>]*>(.*)</svg>", lucide(name), re.DOTALL)
    drawn = re.sub(r"\s+(?=/?>)|(?<=>)\s+", "", paths[1] if paths else "").strip()
    # The names are our own, and the package's SVG with them.
    return Markup(  # nosec B704
        f'<svg class="icon" width="{size}" height="{size}" viewBox="0 0 24 24" aria-hidden="true">{drawn}</svg>'
    )


@lru_cache(maxsize=512)
def address(name: str, *args: Any) -> str:
    """The address of a named page. Addresses never change while the process lives."""
    return reverse(name, args=args)


@lru_cache(maxsize=1)
def time_zones() -> list[str]:
    """The names of the time zones there are."""
    return sorted(available_timezones())


def environment(**options: Any) -> Environment:
    """Build the environment; a name that is not there raises instead of printing nothing."""
    # Django's backend turns autoescape on among the options.
    env = Environment(  # nosec B701
        **options | {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    )
    env.globals.update(
        static=lru_cache(maxsize=256)(static),
        url=address,
        icon=icon,
        mark=lambda: MARK,
        mark_of_now=mark_of_now,
        pages=lambda: PAGES,
        more_pages=lambda: MORE,
        goes=lambda: GOES,
        sections=lambda: SECTIONS,
        time_zones=time_zones,
        bar_of=bar_of,
        get_messages=get_messages,
        lines=cells.lines,
        drawn_cards=cells.cards,
        day=days.day,
        spoken=days.spoken,
        away=days.away,
        moment=days.moment,
        clock=lambda when, reader: reader.moment(when, timezone.now()),
        away_short=display.away_short,
        money=display.money,
        in_days=display.in_days,
        amount=display.amount,
        runway_at=display.runway_at,
        group=display.GROUPS.get,
        kind_meaning=lambda name: alert_kind(name).meaning,
        note_outline=Note.OUTLINES.get,
        audit_states=lambda: AuditPoint.State.choices,
        credit_kinds=lambda: Credit.Kind.choices,
    )
    return env
