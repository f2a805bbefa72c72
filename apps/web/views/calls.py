"""The calls desk: what is to come, what nobody has marked, and where each paid call stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.calls import LANES, SHOWN, WEEK, WHOLE_LANE, CallFilter, Paid, hosts_of, paid_calls
from apps.crm.days import away, day
from apps.crm.keyset import count_text, counts
from apps.crm.models import Account, Call, Policy, StageTransition, User
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.web.display import GROUPS, amount
from apps.web.rights import SignedIn
from apps.web.views.changes import anew

NOTICES_SHOWN = 3
# What a person can say of a call that has not begun, of one that has, and of one that was marked.
AHEAD = ((Call.Status.CANCELED, "Cancelled"),)
BEGUN = ((Call.Status.HELD, "Held"), (Call.Status.NO_SHOW, "No-show"), *AHEAD)
MARKED = ((Call.Status.BOOKED, "Take back"),)


class Host(NamedTuple):
    """A colleague on a call."""

    pk: int
    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """One call of the desk, or one purchase whose call is not booked yet, ready to be shown."""

    call: int | None
    account: int
    name: str
    group: str
    stage: str
    kind: str
    when: str
    there: str
    email: str
    hosts: tuple[Host, ...]
    runs: str
    status: str
    marks: tuple[tuple[Call.Status, str], ...]
    price: str = ""
    notes: tuple[str, ...] = ()


class Group(NamedTuple):
    """Some calls of the list under one heading; ``total`` says how many there are in all."""

    key: str
    label: str
    total: str
    rows: list[Row]
    empty: str


class Lane(NamedTuple):
    """A lane of the paid calls; ``more`` is the query string that shows it whole."""

    key: str
    label: str
    total: str
    rows: list[Row]
    more: str


@require_safe
def calls(request: HttpRequest) -> HttpResponse:
    """The calls of a query string in the reader's own time, and the lanes of the paid ones."""
    context = _context(cast(SignedIn, request), Policy.at(timezone.now()))
    return render(request, "web/calls.html", context)


def calls_parts(request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None) -> str:
    """The whole desk drawn anew: what is said of a call moves it from one place to another."""
    return _parts(request, now)


def _parts(request: SignedIn, now: datetime) -> str:
    return render_to_string("web/_call_parts.html", _context(request, Policy.at(now)), request)


changed = anew(_parts)


def _context(request: SignedIn, numbers: Numbers) -> dict[str, Any]:
    asked = CallFilter(request.GET, numbers=numbers, user=request.user)
    desk = Desk(request.user, asked, numbers)
    return {
        "asked": asked,
        "notices": asked.notices[:NOTICES_SHOWN],
        "groups": desk.groups(),
        "lanes": desk.lanes(asked.form.cleaned_data.get("lane") or ""),
        "may": request.user.may("call"),
        "people": User.objects.assignable() if request.user.may("call") else [],
        "zone": city(request.user.time_zone),
        "booking_link": numbers.booking_link,
        "query": request.GET.urlencode(),
    }


def city(zone: str) -> str:
    """A time zone by the name of its city, as people say it."""
    return zone.rpartition("/")[2].replace("_", " ")


class Desk:
    """The desk as one person sees it. ``groups`` takes four queries and ``lanes`` two, however many calls there are."""

    def __init__(self, user: User, asked: CallFilter, numbers: Numbers) -> None:
        self.asked, self.numbers, self.now = asked, numbers, numbers.now
        self.zone = ZoneInfo(user.time_zone)
        self.today = self.now.astimezone(self.zone).date()

    def groups(self) -> list[Group]:
        """The calls nobody has marked, today's, and those of the week after."""
        midnight = datetime.combine(self.today, datetime.min.time(), self.zone)
        # Days are added to the date, not to the moment: one of them may have 23 hours.
        tomorrow, week = (midnight + timedelta(days=days) for days in (1, WEEK))
        to_mark, coming = self.asked.to_mark(), self.asked.coming(week)
        found = counts(
            {
                "mark": to_mark,
                "today": coming.filter(starts_at__lt=tomorrow),
                "week": coming.filter(starts_at__gte=tomorrow),
            }
        )
        over, ahead = list(to_mark[:SHOWN]), list(coming[:SHOWN])
        hosts = hosts_of([call.pk for call in (*over, *ahead)])
        rows = {
            "mark": [self._row(call, hosts) for call in over],
            "today": [self._row(call, hosts) for call in ahead if call.starts_at < tomorrow],
            "week": [self._row(call, hosts) for call in ahead if call.starts_at >= tomorrow],
        }
        labels = {
            "mark": ("How did it go?", ""),
            "today": ("Today", "No more calls today."),
            "week": (f"Next {WEEK} days", "No call is booked for the days after."),
        }
        return [
            Group(key, label, count_text(found[key]), rows[key], empty)
            for key, (label, empty) in labels.items()
        ]

    def lanes(self, whole: str) -> list[Lane]:
        """The paid calls by where they stand; the lane ``whole`` as far as a page can hold it."""
        paid = paid_calls(whole)
        hosts = hosts_of([row.call_id for rows in paid.values() for row in rows if row.call_id])
        return [
            Lane(
                key,
                label,
                count_text(paid[key][0].of_lane if paid[key] else 0),
                [self._paid(row, hosts) for row in paid[key]],
                self._more(key, paid[key], whole),
            )
            for key, label in LANES.items()
        ]

    def _more(self, lane: str, rows: list[Paid], whole: str) -> str:
        hidden = rows and rows[0].of_lane > len(rows)
        query = self.asked.data.copy()
        query["lane"] = lane
        return query.urlencode() if hidden and (lane != whole or len(rows) < WHOLE_LANE) else ""

    def _row(self, call: Call, hosts: dict[int, list[int]]) -> Row:
        account = call.account
        return Row(
            call=call.pk,
            account=account.pk,
            name=account.name,
            group=GROUPS[Stage(account.stage)],
            stage=account.stage_label,
            kind=call.get_kind_display(),
            when=self._when(call.starts_at),
            there=there(call.starts_at, call.contact_time_zone, self.zone),
            email=call.contact_email,
            hosts=self._hosts(hosts.get(call.pk, ())),
            runs=_runs(account.sales_contact_kind, account.sales_contact_name, call.kind),
            status=call.status,
            marks=marks_for(call.status, call.starts_at, self.now),
        )

    def _paid(self, row: Paid, hosts: dict[int, list[int]]) -> Row:
        return Row(
            call=row.call_id,
            account=row.account_id,
            name=row.name,
            group=GROUPS[Stage(row.stage)],
            stage=Stage(row.stage).label,
            kind="",
            when=self._when(row.starts_at) if row.starts_at else "",
            there="",
            email="",
            hosts=self._hosts(hosts.get(row.call_id, ()) if row.call_id else ()),
            runs=_runs(row.sales_contact_kind, row.sales_contact_name, Call.Kind.CONSULTATION),
            status=row.lane,
            marks=marks_for(row.lane, row.starts_at, self.now) if row.call_id and row.starts_at else (),
            price="" if row.amount is None else amount(row.amount, row.currency or "USD"),
            notes=tuple(self._notes(row)),
        )

    def _notes(self, row: Paid) -> Iterable[str]:
        """What is worth knowing of a paid call, a sentence each."""
        if row.refunded_at:
            yield f"Refunded {self._ago(row.refunded_at)}"
        elif row.bought_at:
            yield f"Bought {self._ago(row.bought_at)}"
        if row.missed_at:
            days = self.numbers.paid_call_silence_days
            gone = (self.today - row.missed_at.astimezone(self.zone).date()).days
            since = f"No-show {self._ago(row.missed_at)}; "
            yield since + (f"credits are offered after {days}" if gone < days else "credits can be offered")
        if row.ours_already and row.lane != "refunded":
            yield "Ours already: credit the price back"

    def _hosts(self, ids: Iterable[int]) -> tuple[Host, ...]:
        return tuple(Host(pk, self.asked.people.get(pk, "")) for pk in ids)

    def _ago(self, moment: datetime) -> str:
        return away(moment.astimezone(self.zone).date(), self.today)

    def _when(self, moment: datetime) -> str:
        here = moment.astimezone(self.zone)
        return f"{here:%a} {day(here.date(), self.today)}, {here:%H:%M}"


def marks_for(status: str, starts_at: datetime, now: datetime) -> tuple[tuple[Call.Status, str], ...]:
    """What a person can say of a call now, with the words of the buttons."""
    if status != Call.Status.BOOKED:
        return MARKED
    return BEGUN if starts_at <= now else AHEAD


def there(moment: datetime, zone: str, here: ZoneInfo) -> str:
    """The contact's own time, where their zone is known and their clock shows another."""
    if not zone:
        return ""
    theirs, mine = moment.astimezone(ZoneInfo(zone)), moment.astimezone(here)
    if theirs.utcoffset() == mine.utcoffset():
        return ""
    weekday = f"{theirs:%a} " if theirs.date() != mine.date() else ""
    return f"{weekday}{theirs:%H:%M} in {city(zone)}"


def _runs(kind: str, name: str, call: str) -> str:
    """Who runs a paid call, where it is not whoever hosts it: the customer's own person."""
    if call != Call.Kind.CONSULTATION or not kind:
        return ""
    return f"{kind} {name} runs the call".replace("  ", " ")
